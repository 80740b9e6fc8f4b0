/*-------------------------------------------------------------------------
 * sliding_states.c
 *		Sliding windows whose aggregates can be merged: states are held.
 *
 * A batch gives a state for each group and slice of time (plan/sliding.c),
 * which becomes a row of the state table: h, the keys, the states, when they
 * leave.  Rows of the state table are never changed; what a group has in the
 * window is merged from them whenever a batch or the clock touches it.  A view
 * without GROUP BY holds the states of no rows at all as well, for ever.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "result/merge.h"

/* A group as it is merged; its states are live. */
typedef struct Merged
{
	Datum	   *keys;
	bool	   *key_nulls;
	Datum	   *live;
	bool	   *live_nulls;
} Merged;

typedef struct Merging
{
	SxResult   *r;
	MemoryContext cxt;			/* of the groups with one hash */
	int			n;				/* mostly one */
	int			max;
	Merged	   *groups;
} Merging;

static Datum
copy_value(Datum value, bool byval, int16 len)
{
	if (len == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, byval, len);
}

/* The group that a row of the state table is of; *added: it is its first. */
static Merged *
group_of(Merging *m, const SxStateTable *st, bool *added)
{
	const SxShape *shape = m->r->shape;
	const SxKeyOps *ops = m->r->keyops;
	Merged	   *g;
	int			i;

	for (i = 0; i < m->n; i++)
	{
		g = &m->groups[i];
		*added = false;
		if (sx_keys_equal(ops, shape->nkeys, g->keys, g->key_nulls,
						  st->found, st->found_nulls))
			return g;
	}
	if (m->n == m->max)
	{
		m->max = Max(4, m->max * 2);
		m->groups = m->groups ? repalloc(m->groups, sizeof(Merged) * m->max) :
			palloc(sizeof(Merged) * m->max);
	}
	g = &m->groups[m->n++];
	g->keys = palloc(sizeof(Datum) * Max(shape->nkeys, 1));
	g->key_nulls = palloc(sizeof(bool) * Max(shape->nkeys, 1));
	g->live = palloc0(sizeof(Datum) * shape->npartials);
	g->live_nulls = palloc0(sizeof(bool) * shape->npartials);
	for (i = 0; i < shape->nkeys; i++)
	{
		g->key_nulls[i] = st->found_nulls[i];
		if (!g->key_nulls[i])
			g->keys[i] = copy_value(st->found[i], ops[i].byval, ops[i].len);
	}
	*added = true;
	return g;
}

/* Merge the states with this hash that are in the window. */
static void
merge_hash(Merging *m, SxStateTable *st, int64 hash)
{
	const SxShape *shape = m->r->shape;
	SxAggregates *aggs = &m->r->aggs;
	AttrNumber	time = sx_sliding_attno(shape);
	TableScanDesc seq = NULL;
	ScanKeyData key;
	int			i;

	if (st->index)
	{
		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(hash));
		if (st->scan == NULL)
			st->scan = sx_index_beginscan(st->writer->rel, st->index,
										  GetActiveSnapshot(), 1, 0);
		index_rescan(st->scan, &key, 1, NULL, 0);
	}
	else
		seq = table_beginscan(st->writer->rel, GetActiveSnapshot(), 0, NULL);
	while (seq ? table_scan_getnextslot(seq, ForwardScanDirection, st->slot) :
		   index_getnext_slot(st->scan, ForwardScanDirection, st->slot))
	{
		MemoryContext old = MemoryContextSwitchTo(m->cxt);
		bool		added;
		bool		null;
		Merged	   *g;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(st->slot);
		if (sx_sliding_is_in(shape->sliding, DatumGetInt64(slot_getattr(st->slot, time, &null))))
		{
			for (i = 0; i < shape->nkeys; i++)
				st->found[i] = slot_getattr(st->slot, 2 + i, &st->found_nulls[i]);
			g = group_of(m, st, &added);
			for (i = 0; i < shape->npartials; i++)
			{
				Datum		state = slot_getattr(st->slot, 2 + shape->nkeys + i, &null);
				bool		live_null;
				Datum		live;

				if (!null && aggs->partials[i].len == -1)
					state = PointerGetDatum(PG_DETOAST_DATUM(state));
				live = sx_aggregates_live(aggs, i, state, null, &live_null);
				if (added)
				{
					g->live[i] = live;
					g->live_nulls[i] = live_null;
				}
				else
					sx_aggregates_combine(aggs, i, &g->live[i], &g->live_nulls[i],
										  live, live_null);
			}
		}
		MemoryContextSwitchTo(old);
	}
	ExecClearTuple(st->slot);
	if (seq)
		table_endscan(seq);
}

int64
sx_sliding_write(SxResult *r, const int64 *hashes, int64 n, SxGroups *there)
{
	const SxShape *shape = r->shape;
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, shape, r->keyops);
	SxStateTable st;
	Merging		m = {0};
	int64		written = 0;
	int64		i;
	int			k;

	m.r = r;
	m.cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx sliding window",
								  ALLOCSET_DEFAULT_SIZES);
	sx_state_begin(&st, r->view, shape);
	for (i = 0; i < n; i++)
	{
		merge_hash(&m, &st, hashes[i]);
		for (k = 0; k < m.n; k++)
		{
			Merged	   *merged = &m.groups[k];
			SxGroup		g = {0};

			g.keys = merged->keys;
			g.key_nulls = merged->key_nulls;
			ItemPointerSetInvalid(&g.result_tid);
			memcpy(r->aggs.live, merged->live, sizeof(Datum) * shape->npartials);
			memcpy(r->aggs.live_nulls, merged->live_nulls, sizeof(bool) * shape->npartials);
			written += sx_result_store(r, writer, index, &g, NULL, NULL);
			if (there)
				(void) sx_groups_add(there, (uint64) hashes[i], g.keys, g.key_nulls);
		}
		sx_aggregates_reset(&r->aggs);
		MemoryContextReset(m.cxt);
		m.n = m.max = 0;
		m.groups = NULL;
	}
	sx_state_end(&st);
	sx_key_index_end(index);
	sx_writer_end(writer);
	MemoryContextDelete(m.cxt);
	return written;
}

/* rows: (keys ..., time, states ...), or the states of no rows alone. */
int64
sx_sliding_merge(SxResult *r, const SxRows *rows)
{
	const SxShape *shape = r->shape;
	bool		timed = rows->ncols == shape->nkeys + 1 + shape->npartials;
	AttrNumber	time_attno = sx_sliding_attno(shape);
	int64	   *hashes;
	SxStateTable st;
	int64		n;
	int64		i;
	int			c;

	if (rows->nrows == 0)
		return 0;
	sx_result_check_keys(r, rows);

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	hashes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * rows->nrows);
	sx_state_begin(&st, r->view, shape);
	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *values = rows->values + i * rows->ncols;
		const bool *nulls = rows->nulls + i * rows->ncols;
		TupleTableSlot *slot = st.writer->slot;
		int64		time = timed ? DatumGetInt64(values[shape->nkeys]) : DT_NOEND;
		int			states = shape->nkeys + (timed ? 1 : 0);

		CHECK_FOR_INTERRUPTS();
		hashes[i] = (int64) sx_keys_hash(r->keyops, shape->nkeys, values, nulls);
		ExecClearTuple(slot);
		slot->tts_values[0] = Int64GetDatum(hashes[i]);
		slot->tts_isnull[0] = false;
		for (c = 0; c < shape->nkeys; c++)
		{
			slot->tts_values[1 + c] = values[c];
			slot->tts_isnull[1 + c] = nulls[c];
		}
		for (c = 0; c < shape->npartials; c++)
		{
			slot->tts_values[1 + shape->nkeys + c] = values[states + c];
			slot->tts_isnull[1 + shape->nkeys + c] = nulls[states + c];
		}
		slot->tts_values[time_attno - 1] = Int64GetDatum(time);
		slot->tts_isnull[time_attno - 1] = false;
		ExecStoreVirtualTuple(slot);
		sx_writer_add(st.writer, NULL);
		sx_sliding_note(r, time);
	}
	sx_state_end(&st);
	n = sx_recompute_unique(hashes, rows->nrows);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	return sx_sliding_write(r, hashes, n, NULL);
}
