/*-------------------------------------------------------------------------
 * open_close.c
 *		Open windows close: their rows are written from memory.  Those that
 *		take too much of it go to the state table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/sortsupport.h"

#include "base/guc.h"
#include "compat.h"
#include "result/open_internal.h"

static int
by_keys(const void *pa, const void *pb, void *arg)
{
	SxResult   *r = arg;
	OpenGroup  *a = *(OpenGroup *const *) pa;
	OpenGroup  *b = *(OpenGroup *const *) pb;
	const bool *anulls = group_key_nulls(r->open, a);
	const bool *bnulls = group_key_nulls(r->open, b);
	int			i;

	for (i = 0; i < r->open->nkeys; i++)
	{
		int			c;

		if (i == r->shape->window_key)
			continue;
		c = ApplySortComparator(a->data[i], anulls[i], b->data[i], bnulls[i],
								&r->keysort[i]);
		if (c != 0)
			return c;
	}
	return 0;
}

/* The groups of a window, in the order of their keys if asked to. */
static OpenGroup **
list_groups(SxResult *r, const OpenWindow *w, bool sorted)
{
	OpenGroup **groups = MemoryContextAllocHuge(CurrentMemoryContext,
												sizeof(OpenGroup *) * Max(w->ngroups, 1));
	uint64		n = 0;
	uint64		i;

	for (i = 0; i < w->nslots; i++)
	{
		if (w->slots[i].group != NULL)
			groups[n++] = w->slots[i].group;
	}
	Assert(n == w->ngroups);
	if (sorted)
		qsort_arg(groups, n, sizeof(OpenGroup *), by_keys, r);
	return groups;
}

static void
load_live(SxResult *r, OpenGroup *g)
{
	memcpy(r->aggs.live, group_states(r->open, g), sizeof(Datum) * r->open->nstates);
	memcpy(r->aggs.live_nulls, group_nulls(r->open, g), sizeof(bool) * r->open->nstates);
}

/* A group as the functions that write it know it. */
static void
as_group(SxResult *r, OpenGroup *from, SxGroup *g)
{
	memset(g, 0, sizeof(SxGroup));
	g->keys = from->data;
	g->key_nulls = group_key_nulls(r->open, from);
	ItemPointerSetInvalid(&g->result_tid);
	load_live(r, from);
}

/* Write groups one by one, in the place of rows that are there already. */
static int64
store_groups(SxResult *r, OpenGroup **groups, uint64 n)
{
	SxWriter   *writer = sx_writer_begin(r->view->relid);
	SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);
	int64		written = 0;
	uint64		i;

	for (i = 0; i < n; i++)
	{
		SxGroup		g;

		CHECK_FOR_INTERRUPTS();
		as_group(r, groups[i], &g);
		written += sx_result_store(r, writer, index, &g, NULL, NULL);
		sx_aggregates_reset(&r->aggs);
	}
	sx_key_index_end(index);
	sx_writer_end(writer);
	return written;
}

/*
 * Append the rows of groups.  Those that HAVING excludes are moved to the
 * front of "groups", *nexcluded.
 */
static int64
append_groups(SxResult *r, OpenGroup **groups, uint64 n, uint64 *nexcluded)
{
	int64		written;
	DestReceiver *dest = sx_result_appender(r, &written);
	Relation	rel = table_open(r->view->relid, RowExclusiveLock);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel),
													&TTSOpsVirtual);
	uint64		i;

	*nexcluded = 0;
	dest->rStartup(dest, CMD_INSERT, RelationGetDescr(rel));
	for (i = 0; i < n; i++)
	{
		SxGroup		g;

		CHECK_FOR_INTERRUPTS();
		as_group(r, groups[i], &g);
		if (sx_result_project(r, &g, NULL, NULL, slot))
			dest->receiveSlot(slot, dest);
		else
			groups[(*nexcluded)++] = groups[i];
		sx_aggregates_reset(&r->aggs);
	}
	dest->rShutdown(dest);
	dest->rDestroy(dest);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return written;
}

/*
 * Rows of a window that has closed are new, as a rule: they are appended
 * without looking.  If that meets a row with the same key (a user's), it is
 * undone and they are written one by one.
 */
static int64
write_window(SxResult *r, const OpenWindow *w)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	OpenGroup **groups = list_groups(r, w, true);
	ErrorData  *volatile edata = NULL;
	volatile int64 written = -1;
	uint64		nexcluded = 0;

	if (r->emit == NULL)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(old);
		PG_TRY();
		{
			written = append_groups(r, groups, w->ngroups, &nexcluded);
			ReleaseCurrentSubTransaction();
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(old);
			edata = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			written = -1;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
	}
	if (edata != NULL)
	{
		if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(edata);
		FreeErrorData(edata);
		pfree(groups);
		groups = list_groups(r, w, true);
	}
	if (written < 0)
		written = store_groups(r, groups, w->ngroups);
	else if (nexcluded > 0)
	{
		/* what is there under their keys goes */
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written += store_groups(r, groups, nexcluded);
	}
	pfree(groups);
	return written;
}

int64
sx_open_close(SxResult *r, int64 closed_us)
{
	SxOpen	   *open = r->open;
	int64		written = 0;
	int			i;

	Assert(!open->lost);
	open->closing_us = closed_us;
	for (i = 0; i < open->nwindows && open->windows[i]->end_us <= closed_us; i++)
		written += write_window(r, open->windows[i]);
	return written;
}

int64
sx_open_next_end(const SxOpen *open)
{
	int			i;

	for (i = 0; i < open->nwindows; i++)
	{
		if (open->windows[i]->end_us > open->closing_us)
			return open->windows[i]->end_us;
	}
	return PG_INT64_MAX;
}

int64
sx_open_memory(const SxOpen *open)
{
	return MemoryContextMemAllocated(open->cxt, true);
}

/* Write the groups of all windows that stay open to the state table. */
static void
spill(SxResult *r)
{
	SxOpen	   *open = r->open;
	SxStateTable state;
	int			i;

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	sx_state_begin(&state, r->view, r->shape);
	for (i = 0; i < open->nwindows; i++)
	{
		OpenWindow *w = open->windows[i];
		OpenGroup **groups;
		uint64		k;

		if (w->end_us <= open->closing_us)
			continue;
		groups = list_groups(r, w, false);
		for (k = 0; k < w->ngroups; k++)
		{
			TupleTableSlot *slot = state.writer->slot;
			const bool *key_nulls = group_key_nulls(open, groups[k]);
			ItemPointerData tid;
			int			c;

			CHECK_FOR_INTERRUPTS();
			ExecClearTuple(slot);
			slot->tts_values[0] =
				Int64GetDatum((int64) sx_keys_hash(r->keyops, open->nkeys,
												   groups[k]->data, key_nulls));
			slot->tts_isnull[0] = false;
			for (c = 0; c < open->nkeys; c++)
			{
				slot->tts_values[1 + c] = groups[k]->data[c];
				slot->tts_isnull[1 + c] = key_nulls[c];
			}
			load_live(r, groups[k]);
			for (c = 0; c < open->nstates; c++)
				slot->tts_values[1 + open->nkeys + c] =
					sx_aggregates_store(&r->aggs, c, &slot->tts_isnull[1 + open->nkeys + c]);
			ExecStoreVirtualTuple(slot);
			sx_writer_insert(state.writer, &tid);
			sx_aggregates_reset(&r->aggs);
		}
		pfree(groups);
	}
	sx_state_end(&state);
	open->spilling = true;
}

void
sx_result_settle(SxResult *r, bool store)
{
	SxOpen	   *open = r->open;

	if (open == NULL ||
		!(store || open->unfit || open->spill_due ||
		  sx_open_memory(open) > (int64) sx_state_memory_kb * 1024))
		return;
	if (sx_open_next_end(open) != PG_INT64_MAX)
	{
		sx_open_find_floor(r);
		spill(r);
	}
}
