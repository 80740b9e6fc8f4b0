/*-------------------------------------------------------------------------
 * difference.c
 *		Brings rows of a result table to what they should be.
 *
 * Both sides are multisets of rows.  Those that are on both stay untouched; a
 * row of the same key, where the result has one, is updated in its place; the
 * others are deleted or inserted.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "result/difference.h"

/* Values of a row of the result by the columns' numbers */
static void
pick(const SxRows *rows, int64 row, const SxKey *keys, int n, Datum *values,
	 bool *nulls)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		values[i] = rows->values[row * rows->ncols + keys[i].resno - 1];
		nulls[i] = rows->nulls[row * rows->ncols + keys[i].resno - 1];
	}
}

/* A row on one side of the comparison. */
typedef struct Line
{
	uint64		key;			/* hash of the key, or of the partition */
	uint32		image;			/* hash of all columns */
	int64		row;
	bool		done;
} Line;

static int
by_key_and_image(const void *pa, const void *pb)
{
	const Line *a = pa;
	const Line *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->image != b->image)
		return a->image < b->image ? -1 : 1;
	return 0;
}

/* The rows of partitions that were touched, in order. */
static Line *
make_lines(const SxDifferenceScope *v, const SxRows *rows, TupleDesc desc, int ncols, int64 *n)
{
	const SxShape *shape = v->r->shape;
	Line	   *lines = MemoryContextAllocHuge(CurrentMemoryContext,
											   sizeof(Line) * Max(rows->nrows, 1));
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	int64		i;
	int			c;

	*n = 0;
	for (i = 0; i < rows->nrows; i++)
	{
		Line	   *line = &lines[*n];

		CHECK_FOR_INTERRUPTS();
		line->row = i;
		line->key = 0;
		line->done = false;
		if (v->nparts > 0)
		{
			pick(rows, i, v->parts, v->nparts, values, nulls);
			line->key = sx_keys_hash(v->partops, v->nparts, values, nulls);
			if (sx_groups_find(v->touched, line->key, values, nulls) == NULL)
				continue;
		}
		if (shape->nkeys > 0)
		{
			pick(rows, i, shape->keys, shape->nkeys, values, nulls);
			line->key = sx_keys_hash(v->keyops, shape->nkeys, values, nulls);
		}
		line->image = 0;
		for (c = 0; c < ncols; c++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, c);

			line->image = hash_combine(line->image,
									   rows->nulls[i * rows->ncols + c] ? 0 :
									   datum_image_hash(rows->values[i * rows->ncols + c],
														att->attbyval, att->attlen));
		}
		(*n)++;
	}
	qsort(lines, *n, sizeof(Line), by_key_and_image);
	return lines;
}

static bool
same_image(TupleDesc desc, int ncols, const SxRows *a, int64 arow,
		   const SxRows *b, int64 brow)
{
	int			c;

	for (c = 0; c < ncols; c++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, c);
		bool		anull = a->nulls[arow * a->ncols + c];
		bool		bnull = b->nulls[brow * b->ncols + c];

		if (anull != bnull ||
			(!anull && !datum_image_eq(a->values[arow * a->ncols + c],
									   b->values[brow * b->ncols + c],
									   att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

static bool
same_key(const SxDifferenceScope *v, const SxRows *a, int64 arow, const SxRows *b, int64 brow)
{
	const SxShape *shape = v->r->shape;
	Datum		values[2][INDEX_MAX_KEYS];
	bool		nulls[2][INDEX_MAX_KEYS];

	pick(a, arow, shape->keys, shape->nkeys, values[0], nulls[0]);
	pick(b, brow, shape->keys, shape->nkeys, values[1], nulls[1]);
	return sx_keys_equal(v->keyops, shape->nkeys, values[0], nulls[0], values[1], nulls[1]);
}

/* What is to be written where; row of the new rows, place of the old ones. */
typedef struct Change
{
	int64		row;
	ItemPointerData tid;
} Change;

typedef struct Difference
{
	Change	   *updates;
	int64		nupdates;
	Line	   *old;
	int64		nold;
	Line	   *new;
	int64		nnew;
} Difference;

static ItemPointer
place_of(const SxRows *old, int64 row)
{
	return (ItemPointer) DatumGetPointer(old->values[row * old->ncols + old->ncols - 1]);
}

static void
add_update(Difference *diff, const Line *new, const SxRows *old, int64 old_row)
{
	Change	   *change = &diff->updates[diff->nupdates++];

	change->row = new->row;
	change->tid = *place_of(old, old_row);
}

/* Rows that stay, or change in their place. */
static void
compare(const SxDifferenceScope *v, TupleDesc desc, const SxRows *old, const SxRows *new,
		Difference *diff)
{
	int			ncols = new->ncols;
	bool		mark = v->r->view->final_column != NULL;
	bool		final = v->r->closing || v->r->view->final;
	int64		o = 0;
	int64		i;
	int64		k;

	for (i = 0; i < diff->nnew; i++)
	{
		Line	   *line = &diff->new[i];

		while (o < diff->nold && by_key_and_image(&diff->old[o], line) < 0)
			o++;
		for (k = o; k < diff->nold && by_key_and_image(&diff->old[k], line) == 0; k++)
		{
			int64		row = diff->old[k].row;

			if (diff->old[k].done || !same_image(desc, ncols, old, row, new, line->row))
				continue;
			diff->old[k].done = line->done = true;
			if (mark && (old->nulls[row * old->ncols + ncols] ||
						 DatumGetBool(old->values[row * old->ncols + ncols]) != final))
				add_update(diff, line, old, row);
			break;
		}
		/* equal ones follow each other: do not look at those again */
		while (o < diff->nold && diff->old[o].done)
			o++;
	}
	if (v->r->shape->nkeys == 0)
		return;
	o = 0;
	for (i = 0; i < diff->nnew; i++)
	{
		Line	   *line = &diff->new[i];

		while (o < diff->nold && diff->old[o].key < line->key)
			o++;
		for (k = o; !line->done && k < diff->nold && diff->old[k].key == line->key; k++)
		{
			if (diff->old[k].done || !same_key(v, old, diff->old[k].row, new, line->row))
				continue;
			diff->old[k].done = line->done = true;
			add_update(diff, line, old, diff->old[k].row);
		}
	}
}

static void
fill_slot(const SxDifferenceScope *v, SxWriter *w, const SxRows *rows, int64 row)
{
	TupleTableSlot *slot = w->slot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	memcpy(slot->tts_values, rows->values + row * rows->ncols, sizeof(Datum) * rows->ncols);
	memcpy(slot->tts_isnull, rows->nulls + row * rows->ncols, sizeof(bool) * rows->ncols);
	if (v->r->view->final_column)
	{
		slot->tts_values[rows->ncols] = BoolGetDatum(v->r->closing || v->r->view->final);
		slot->tts_isnull[rows->ncols] = false;
	}
	ExecStoreVirtualTuple(slot);
}

int64
sx_difference_write(const SxDifferenceScope *v, const SxRows *old, const SxRows *new)
{
	SxResult   *r = v->r;
	SxWriter   *w;
	Difference	diff = {0};
	TupleDesc	desc;
	int64		written = 0;
	int64		i;

	w = sx_result_writer(r);
	desc = RelationGetDescr(w->rel);
	diff.old = make_lines(v, old, desc, new->ncols, &diff.nold);
	diff.new = make_lines(v, new, desc, new->ncols, &diff.nnew);
	diff.updates = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Change) * Max(diff.nnew, 1));
	compare(v, desc, old, new, &diff);

	/* first what goes, as what comes may have its place in an index */
	for (i = 0; i < diff.nold; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (diff.old[i].done)
			continue;
		sx_writer_delete(w, place_of(old, diff.old[i].row));
		written++;
	}
	for (i = 0; i < diff.nupdates; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fill_slot(v, w, new, diff.updates[i].row);
		sx_writer_update(w, &diff.updates[i].tid);
		written++;
	}
	for (i = 0; i < diff.nnew; i++)
	{

		CHECK_FOR_INTERRUPTS();
		if (diff.new[i].done)
			continue;
		fill_slot(v, w, new, diff.new[i].row);
		sx_writer_add(w, NULL);
		written++;
	}
	sx_writer_end(w);
	return written;
}

/* Keys too long for the result's key index as it is change it first. */
void
sx_difference_check_keys(const SxDifferenceScope *v, const SxRows *rows)
{
	const SxShape *shape = v->r->shape;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	int64		i;

	for (i = 0; shape->nkeys == 0 && v->nparts > 0 && i < rows->nrows; i++)
	{
		List	   *columns = NIL;
		int			k;

		pick(rows, i, v->parts, v->nparts, values, nulls);
		if (sx_key_size(v->partops, v->nparts, values, nulls) <= SX_KEY_MAX)
			continue;
		for (k = 0; k < v->nparts; k++)
			columns = lappend_int(columns, v->parts[k].resno);
		sx_key_index_drop(v->r->view->relid, columns);
		return;
	}
	for (i = 0; shape->nkeys > 0 && i < rows->nrows; i++)
	{
		pick(rows, i, shape->keys, shape->nkeys, values, nulls);
		if (sx_key_size(v->keyops, shape->nkeys, values, nulls) > SX_KEY_MAX)
		{
			sx_key_index_widen(v->r->view->relid, shape);
			return;
		}
	}
}
