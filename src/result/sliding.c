/*-------------------------------------------------------------------------
 * sliding.c
 *		Rows leave a sliding window as time passes.
 *
 * What is held in the state table says when each row leaves (its time and the
 * length of the window) and has an index on that.  Groups lose their rows by
 * being computed again from those that are left; one without any loses its
 * row of the result.
 *
 * Of rows that are appended (views without aggregates) the state table keeps
 * where they are in the result table and a hash of their columns.  The place
 * is a hint only: after a restore from a dump, or VACUUM FULL, the row is
 * found by its hash.  Of equal rows any may go; a row that somebody else has
 * changed stays.
 *
 * Rows are looked for when the first that is known of leaves; a batch's rows
 * only bring that moment nearer.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "result/merge.h"

/* A group that a row has left. */
typedef struct Left
{
	int64		hash;
	Datum	   *keys;
	bool	   *nulls;
} Left;

typedef struct Leaving
{
	int64		n;
	int64		max;
	Left	   *left;
	ItemPointerData *places;	/* of rows that were appended */
} Leaving;

/* When does a row leave?  PG_INT64_MAX: never. */
static int64
leaves_at(const SxSliding *sliding, int64 time_us)
{
	int64		result;

	if (time_us == DT_NOEND || pg_add_s64_overflow(time_us, sliding->back_us, &result))
		return PG_INT64_MAX;
	return sliding->at_end ? result + 1 : result;
}

int64
sx_result_leaves_at(const SxResult *r)
{
	return r->derived ? sx_derived_leaves_at(r) : r->next_leave_us;
}

AttrNumber
sx_sliding_attno(const SxShape *shape)
{
	return 2 + shape->nkeys + shape->npartials + shape->sliding->held;
}

bool
sx_sliding_is_in(const SxSliding *sliding, int64 time_us)
{
	int64		bound = GetCurrentTransactionStartTimestamp() - sliding->back_us;

	return sliding->at_end ? time_us >= bound : time_us > bound;
}

void
sx_sliding_note(SxResult *r, int64 time_us)
{
	r->left_us = Min(r->left_us, time_us);
	if (r->next_leave_us != PG_INT64_MIN)
		r->next_leave_us = Min(r->next_leave_us, leaves_at(r->shape->sliding, time_us));
}

uint64
sx_sliding_image(TupleTableSlot *slot, int ncolumns)
{
	uint64		result = 0;
	int			i;

	slot_getsomeattrs(slot, ncolumns);
	for (i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);
		uint64		h = 0;

		if (!slot->tts_isnull[i])
			h = (uint64) datum_image_hash(slot->tts_values[i], att->attbyval, att->attlen) + 1;
		result = hash_combine64(result, h);
	}
	return result;
}

/* ---- what leaves the state table ---- */

static void
left_add(Leaving *l, const SxResult *r, TupleTableSlot *slot)
{
	const SxShape *shape = r->shape;
	Left	   *left;
	bool		null;
	int			i;

	if (l->n == l->max)
	{
		l->max = Max(1024, l->max * 2);
		l->left = l->left ? repalloc_huge(l->left, sizeof(Left) * l->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Left) * l->max);
		l->places = l->places ? repalloc_huge(l->places, sizeof(ItemPointerData) * l->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ItemPointerData) * l->max);
	}
	left = &l->left[l->n];
	left->hash = DatumGetInt64(slot_getattr(slot, 1, &null));
	if (shape->strategy == SX_STRATEGY_APPEND)
	{
		l->places[l->n++] = *(ItemPointer) DatumGetPointer(slot_getattr(slot, 3, &null));
		return;
	}
	left->keys = palloc((sizeof(Datum) + sizeof(bool)) * Max(shape->nkeys, 1));
	left->nulls = (bool *) (left->keys + Max(shape->nkeys, 1));
	for (i = 0; i < shape->nkeys; i++)
	{
		left->keys[i] = slot_getattr(slot, 2 + i, &left->nulls[i]);
		if (left->nulls[i])
			continue;
		if (r->keyops[i].len == -1)
			left->keys[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(left->keys[i]));
		else
			left->keys[i] = datumCopy(left->keys[i], r->keyops[i].byval, r->keyops[i].len);
	}
	l->n++;
}

/*
 * Delete the rows of the state table that have left; find out when the next
 * one does.
 */
static void
take_out(SxResult *r, Leaving *l)
{
	const SxShape *shape = r->shape;
	const SxSliding *sliding = shape->sliding;
	AttrNumber	attno = sx_sliding_attno(shape);
	int64		bound = GetCurrentTransactionStartTimestamp() - sliding->back_us;
	SxWriter   *writer = sx_writer_begin(r->view->state);
	TupleTableSlot *slot = table_slot_create(writer->rel, NULL);
	Relation	index = sx_state_index(writer->rel, attno);
	IndexScanDesc scan = sx_index_beginscan(writer->rel, index, GetActiveSnapshot(), 1, 0);
	ScanKeyData key;

	/* in the order of their times, past the remains of those that have left */
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_TIMESTAMP_GE,
				Int64GetDatum(r->left_us == PG_INT64_MIN ? DT_NOBEGIN : r->left_us));
	index_rescan(scan, &key, 1, NULL, 0);
	r->next_leave_us = PG_INT64_MAX;
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		null;
		int64		time = DatumGetInt64(slot_getattr(slot, attno, &null));
		ItemPointerData tid = slot->tts_tid;

		CHECK_FOR_INTERRUPTS();
		if (sx_sliding_is_in(sliding, time))
		{
			r->next_leave_us = leaves_at(sliding, time);
			break;
		}
		left_add(l, r, slot);
		sx_writer_delete(writer, &tid);
	}
	r->left_us = bound;
	index_endscan(scan);
	index_close(index, NoLock);
	ExecDropSingleTupleTableSlot(slot);
	sx_writer_end(writer);
}

/* ---- groups ---- */

static int
by_hash(const void *a, const void *b)
{
	int64		x = ((const Left *) a)->hash;
	int64		y = ((const Left *) b)->hash;

	return x < y ? -1 : x > y;
}

/* Groups of which no row is left lose theirs. */
static int64
remove_groups(SxResult *r, const Leaving *l, SxGroups *there)
{
	const SxShape *shape = r->shape;
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, shape, r->keyops);
	int64		removed = 0;
	int64		i;

	for (i = 0; i < l->n; i++)
	{
		const Left *left = &l->left[i];
		uint64		hash = (uint64) left->hash;
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		if (sx_groups_find(there, hash, left->keys, left->nulls))
			continue;

		/* once */
		(void) sx_groups_add(there, hash, left->keys, left->nulls);
		if (!sx_key_index_find(index, left->keys, left->nulls, &tid))
			continue;			/* HAVING, or somebody else was faster */
		sx_writer_delete(writer, &tid);
		removed++;
	}
	sx_key_index_end(index);
	sx_writer_end(writer);
	return removed;
}

static int64
leave_groups(SxResult *r, Leaving *l)
{
	int64	   *hashes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * l->n);
	bool		none = false;
	SxGroups   *there = sx_groups_create(r->keyops, r->shape->nkeys, &none, 0);
	int			n = 0;
	int64		written;
	int64		i;

	qsort(l->left, l->n, sizeof(Left), by_hash);
	for (i = 0; i < l->n; i++)
	{
		if (n == 0 || hashes[n - 1] != l->left[i].hash)
			hashes[n++] = l->left[i].hash;
	}
	if (r->shape->strategy == SX_STRATEGY_MERGE)
		written = sx_sliding_write(r, hashes, n, there);
	else
	{
		SxRows		rows;

		sx_recompute_run(r, hashes, n, 0, &rows);
		written = sx_recompute_write(r, &rows);
		for (i = 0; i < rows.nrows; i++)
		{
			const Datum *keys = rows.values + i * rows.ncols;
			const bool *nulls = rows.nulls + i * rows.ncols;

			(void) sx_groups_add(there, sx_keys_hash(r->keyops, r->shape->nkeys, keys, nulls),
								 keys, nulls);
		}
	}
	if (r->shape->grouped)
		written += remove_groups(r, l, there);
	MemoryContextDelete(there->cxt);
	return written;
}

/* ---- appended rows ---- */

typedef struct Missing
{
	uint64		image;
	int64		count;
} Missing;

/* Rows that are not where they were: found by their columns, if at all. */
static int64
leave_by_image(SxResult *r, HTAB *missing, int64 n)
{
	int			ncolumns = list_length(r->shape->batch_query->targetList) - 1;
	SxWriter   *writer = sx_result_writer(r);
	TupleTableSlot *slot = table_slot_create(writer->rel, NULL);
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);
	int64		removed = 0;

	while (n > 0 && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		uint64		image = sx_sliding_image(slot, ncolumns);
		Missing    *m = hash_search(missing, &image, HASH_FIND, NULL);
		ItemPointerData tid = slot->tts_tid;

		CHECK_FOR_INTERRUPTS();
		if (m == NULL || m->count == 0)
			continue;
		m->count--;
		n--;
		removed++;
		sx_writer_delete(writer, &tid);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	sx_writer_end(writer);
	return removed;
}

static int64
leave_rows(SxResult *r, Leaving *l)
{
	int			ncolumns = list_length(r->shape->batch_query->targetList) - 1;
	SxWriter   *writer = sx_result_writer(r);
	TableScanDesc scan = table_beginscan_tid(writer->rel, GetActiveSnapshot());
	HASHCTL		ctl = {0};
	HTAB	   *missing = NULL;
	int64		nmissing = 0;
	int64		removed = 0;
	int64		i;

	for (i = 0; i < l->n; i++)
	{
		uint64		image = (uint64) l->left[i].hash;
		bool		same;
		bool		found;
		Missing    *m;

		CHECK_FOR_INTERRUPTS();
		same = table_tuple_tid_valid(scan, &l->places[i]) &&
			table_tuple_fetch_row_version(writer->rel, &l->places[i],
										  GetActiveSnapshot(), writer->old) &&
			sx_sliding_image(writer->old, ncolumns) == image;
		ExecClearTuple(writer->old);
		if (same)
		{
			sx_writer_delete(writer, &l->places[i]);
			removed++;
			continue;
		}
		if (missing == NULL)
		{
			ctl.keysize = sizeof(uint64);
			ctl.entrysize = sizeof(Missing);
			ctl.hcxt = CurrentMemoryContext;
			missing = hash_create("streamx rows that left", 256, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		m = hash_search(missing, &image, HASH_ENTER, &found);
		m->count = found ? m->count + 1 : 1;
		nmissing++;
	}
	table_endscan(scan);
	sx_writer_end(writer);
	if (missing)
	{
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		removed += leave_by_image(r, missing, nmissing);
		hash_destroy(missing);
	}
	return removed;
}

int64
sx_result_leave(SxResult *r)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "streamx rows that leave",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Leaving		leaving = {0};
	int64		written = 0;

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	if (r->derived)
		written = sx_derived_leave(r);
	else
		take_out(r, &leaving);
	if (leaving.n > 0)
	{
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written = r->shape->strategy == SX_STRATEGY_APPEND ?
			leave_rows(r, &leaving) : leave_groups(r, &leaving);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return written;
}
