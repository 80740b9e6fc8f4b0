/*-------------------------------------------------------------------------
 * open_close.c
 *		Open windows close: their rows are written from memory.  Those that
 *		take too much of it go to the state table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"

#include "base/guc.h"
#include "compat.h"
#include "result/final.h"
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
as_group(SxResult *r, void *row, SxGroup *g, Datum **values, bool **nulls)
{
	OpenGroup  *from = row;

	g->keys = from->data;
	g->key_nulls = group_key_nulls(r->open, from);
	load_live(r, from);
}

static int64
write_window(SxResult *r, const OpenWindow *w)
{
	OpenGroup **groups = list_groups(r, w, true);
	int64		written = sx_final_write(r, (void *const *) groups, w->ngroups, as_group);

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

static int
by_hash_and_start(const void *pa, const void *pb)
{
	const SxOpenPane *a = pa;
	const SxOpenPane *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

SxOpenPane *
sx_open_list_panes(SxResult *r, int64 closed_us, int64 *n)
{
	SxOpen	   *open = r->open;
	SxOpenPane *result;
	int64		max = 0;
	int			end;
	int			i;

	Assert(!open->lost);
	open->closing_us = closed_us;
	for (end = 0; end < open->nwindows &&
		 sx_pane_next_end(r->shape->panes, open->windows[end]->key, r->closed_us) <= closed_us; end++)
		max += open->windows[end]->ngroups;
	result = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxOpenPane) * Max(max, 1));
	*n = 0;
	for (i = 0; i < end; i++)
	{
		const OpenWindow *w = open->windows[i];
		uint64		k;

		for (k = 0; k < w->nslots; k++)
		{
			if (w->slots[k].group == NULL)
				continue;
			result[*n].hash = (int64) w->slots[k].hash;
			result[*n].start = w->key;
			result[(*n)++].group = w->slots[k].group;
		}
	}
	qsort(result, *n, sizeof(SxOpenPane), by_hash_and_start);
	return result;
}

void
sx_open_get_pane(const SxResult *r, const SxOpenPane *from, SxPane *pane)
{
	memset(pane, 0, sizeof(SxPane));
	pane->start = from->start;
	pane->live = true;
	pane->keys = from->group->data;
	pane->key_nulls = group_key_nulls(r->open, from->group);
	pane->states = group_states(r->open, from->group);
	pane->state_nulls = group_nulls(r->open, from->group);
}

int64
sx_open_next_end(const SxResult *r)
{
	const SxOpen *open = r->open;
	int			i;

	for (i = 0; i < open->nwindows; i++)
	{
		if (open->windows[i]->end_us > open->closing_us)
			return r->shape->panes ?
				sx_pane_next_end(r->shape->panes, open->windows[i]->key, open->closing_us) :
				open->windows[i]->end_us;
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
			int			c;

			CHECK_FOR_INTERRUPTS();
			ExecClearTuple(slot);
			slot->tts_values[0] =
				Int64GetDatum((int64) sx_open_hash(r, groups[k]->data, key_nulls));
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
			sx_writer_add(state.writer, NULL);
			sx_aggregates_reset(&r->aggs);
		}
		pfree(groups);
	}
	sx_state_end(&state);
	open->spilling = true;

	/* the cache of stored groups does not have these */
	r->groups->whole_after = PG_INT64_MAX;
}

void
sx_result_settle(SxResult *r, bool store)
{
	SxOpen	   *open = r->open;

	if (open == NULL ||
		!(store || open->unfit || open->spill_due ||
		  sx_open_memory(open) > (int64) sx_state_memory_kb * 1024))
		return;
	if (sx_open_next_end(r) != PG_INT64_MAX)
	{
		sx_open_find_floor(r);
		spill(r);
	}
}
