/*-------------------------------------------------------------------------
 * panes.c
 *		SxPaneWindows that overlap: states are kept by pane, windows are merged
 *		from them when they are written.
 *
 * The state table has a row for each pane of a group; h is the hash of the
 * other keys, and the index is on (h, pane), so that the panes of a group are
 * found together and in order.
 *
 * A pane goes when the last of its windows has closed.  A late row may still
 * change a pane of which some windows are closed: those are not written again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "result/panes_internal.h"

uint64
sx_panes_hash(const SxResult *r, const Datum *keys, const bool *nulls)
{
	bool		without[INDEX_MAX_KEYS];

	memcpy(without, nulls, sizeof(bool) * r->shape->nkeys);
	without[r->shape->pane_key] = true;
	return sx_keys_hash(r->keyops, r->shape->nkeys, keys, without);
}

bool
sx_panes_same_group(const SxResult *r, const Datum *a, const bool *anulls,
					const Datum *b, const bool *bnulls)
{
	int			key = r->shape->pane_key;

	return sx_keys_equal(r->keyops, key, a, anulls, b, bnulls) &&
		sx_keys_equal(r->keyops + key + 1, r->shape->nkeys - key - 1, a + key + 1,
					  anulls + key + 1, b + key + 1, bnulls + key + 1);
}

/*
 * Leave out the panes whose windows are all closed; note when windows of the
 * others close.  ERROR if one is out of range.
 */
int64
sx_panes_drop_closed(SxResult *r, SxRows *rows, int64 closed_us)
{
	const SxPanes *panes = r->shape->panes;
	int			n = rows->ncols;
	int64		kept = 0;
	int64		dropped;
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		int64		pane = DatumGetInt64(rows->values[i * n + r->shape->pane_key]);

		sx_pane_check(panes, pane);
		if (r->shape->window)
		{
			if (sx_pane_last_end(panes, pane) <= closed_us)
				continue;
			if (r->next_end_us != PG_INT64_MIN)
				r->next_end_us = Min(r->next_end_us,
									 sx_pane_next_end(panes, pane, closed_us));
		}
		if (kept != i)
		{
			memcpy(rows->values + kept * n, rows->values + i * n, sizeof(Datum) * n);
			memcpy(rows->nulls + kept * n, rows->nulls + i * n, sizeof(bool) * n);
		}
		kept++;
	}
	dropped = rows->nrows - kept;
	rows->nrows = kept;
	return dropped;
}

/* ---- panes of one group, from the state table ---- */

void
sx_pane_list_reset(SxPaneList *panes)
{
	MemoryContextReset(panes->cxt);
	panes->n = panes->max = 0;
	panes->panes = NULL;
}

void
sx_pane_list_init(SxPaneList *panes)
{
	panes->cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx panes",
									   ALLOCSET_DEFAULT_SIZES);
	sx_pane_list_reset(panes);
}

static Datum
copy_value(Datum value, bool byval, int16 len)
{
	if (len == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, byval, len);
}

SxPane *
sx_pane_list_extend(SxPaneList *panes)
{
	if (panes->n == panes->max)
	{
		panes->max = Max(64, panes->max * 2);
		panes->panes = panes->panes ?
			repalloc_huge(panes->panes, sizeof(SxPane) * panes->max) :
			MemoryContextAllocHuge(panes->cxt, sizeof(SxPane) * panes->max);
	}
	return &panes->panes[panes->n++];
}

void
sx_pane_list_add(SxPaneList *panes, const SxResult *r, TupleTableSlot *slot, bool states)
{
	const SxShape *shape = r->shape;
	MemoryContext old = MemoryContextSwitchTo(panes->cxt);
	int			nkeys = shape->nkeys;
	int			nvalues = nkeys + shape->npartials;
	SxPane	   *p;
	int			i;

	p = sx_pane_list_extend(panes);
	slot_getallattrs(slot);
	p->tid = slot->tts_tid;
	p->live = p->taken = false;
	p->keys = palloc((sizeof(Datum) + sizeof(bool)) * nvalues);
	p->states = p->keys + nkeys;
	p->key_nulls = (bool *) (p->keys + nvalues);
	p->state_nulls = p->key_nulls + nkeys;
	memcpy(p->key_nulls, slot->tts_isnull + 1, sizeof(bool) * nvalues);
	for (i = 0; i < nkeys; i++)
	{
		if (!p->key_nulls[i])
			p->keys[i] = copy_value(slot->tts_values[1 + i], r->keyops[i].byval,
									r->keyops[i].len);
	}
	for (i = 0; states && i < shape->npartials; i++)
	{
		if (!p->state_nulls[i])
			p->states[i] = copy_value(slot->tts_values[1 + nkeys + i],
									  r->aggs.partials[i].byval,
									  r->aggs.partials[i].len);
	}
	p->start = DatumGetInt64(p->keys[shape->pane_key]);
	MemoryContextSwitchTo(old);
}

/* The panes of g's group from "from" on, before "to". */
static void
panes_load(SxPaneList *panes, SxResult *r, SxStateTable *st, const SxGroup *g,
		   int64 from, int64 to)
{
	const SxShape *shape = r->shape;
	ScanKeyData key[3];

	ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) g->state_hash));
	ScanKeyInit(&key[1], 2, BTGreaterEqualStrategyNumber, F_TIMESTAMP_GE,
				Int64GetDatum(from));
	ScanKeyInit(&key[2], 2, BTLessStrategyNumber, F_TIMESTAMP_LT,
				Int64GetDatum(to));
	if (st->scan == NULL)
		st->scan = sx_index_beginscan(st->writer->rel, st->index,
									  GetActiveSnapshot(), 3, 0);
	index_rescan(st->scan, key, 3, NULL, 0);
	while (index_getnext_slot(st->scan, ForwardScanDirection, st->slot))
	{
		int			i;

		for (i = 0; i < shape->nkeys; i++)
			st->found[i] = slot_getattr(st->slot, 2 + i, &st->found_nulls[i]);
		if (sx_panes_same_group(r, g->keys, g->key_nulls, st->found, st->found_nulls))
			sx_pane_list_add(panes, r, st->slot, true);
	}
	ExecClearTuple(st->slot);
}

/* ---- a batch: windows that touched panes are in ---- */

static int
by_group_and_pane(const void *pa, const void *pb, void *arg)
{
	const SxResult *r = arg;
	const SxGroup *a = *(SxGroup *const *) pa;
	const SxGroup *b = *(SxGroup *const *) pb;
	int64		pane_a = DatumGetInt64(a->keys[r->shape->pane_key]);
	int64		pane_b = DatumGetInt64(b->keys[r->shape->pane_key]);

	if (a->state_hash != b->state_hash)
		return (int64) a->state_hash < (int64) b->state_hash ? -1 : 1;
	return pane_a < pane_b ? -1 : pane_a > pane_b;
}

/*
 * sx_panes_write -- write the windows that these panes are in
 *
 * Their states are in the state table.  Windows that were closed before the
 * batch are left alone.  Returns the rows written.
 */
int64
sx_panes_write(SxResult *r, SxGroup **groups, int64 n)
{
	const SxPanes *of = r->shape->panes;
	int64		closed = r->shape->window ? r->closed_us : PG_INT64_MIN;
	SxPaneWriter *writer;
	SxStateTable st;
	SxPaneList	panes;
	SxPaneWindows windows = {0};
	SxPane	  **list = NULL;
	int			max = 0;
	int64		i;
	int			k;

	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	qsort_arg(groups, n, sizeof(SxGroup *), by_group_and_pane, r);
	writer = sx_pane_writer_begin(r);
	sx_state_begin(&st, r->view, r->shape);
	sx_pane_list_init(&panes);
	for (i = 0; i < n; i++)
	{
		SxGroup    *g = groups[i];
		int64		from;
		int64		to;
		int64		j;

		CHECK_FOR_INTERRUPTS();
		if (g == NULL)
			continue;			/* dealt with */
		windows.n = 0;
		for (j = i; j < n && (groups[j] == NULL || groups[j]->state_hash == g->state_hash); j++)
		{
			/* another one may have the same hash */
			if (groups[j] == NULL ||
				!sx_panes_same_group(r, g->keys, g->key_nulls, groups[j]->keys, groups[j]->key_nulls))
				continue;
			sx_pane_windows_add(&windows, of, DatumGetInt64(groups[j]->keys[r->shape->pane_key]),
								closed, PG_INT64_MAX);
			groups[j] = NULL;
		}
		if (windows.n == 0)
			continue;
		sx_pane_bounds(of, windows.keys[windows.n - 1], &from, &to);
		sx_pane_bounds(of, windows.keys[0], &from, &j);
		sx_pane_list_reset(&panes);
		panes_load(&panes, r, &st, g, from, to);
		if (panes.n > max)
		{
			max = panes.max;
			list = list ? repalloc_huge(list, sizeof(SxPane *) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxPane *) * max);
		}
		for (k = 0; k < panes.n; k++)
			list[k] = &panes.panes[k];
		sx_pane_writer_add(writer, list, panes.n, &windows);
	}
	sx_state_end(&st);
	MemoryContextDelete(panes.cxt);
	return sx_pane_writer_end(writer);
}
