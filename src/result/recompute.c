/*-------------------------------------------------------------------------
 * recompute.c
 *		Views whose aggregates cannot be merged: rows are held, groups are
 *		computed again.
 *
 * State table: h, the keys, and what the aggregates take of each row (see
 * plan/recompute.c).  A batch adds its rows and computes the groups that it
 * touched from all that is held of them; when a window closes its rows go.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "exec/exec.h"
#include "result/merge.h"
#include "result/session.h"

static int
by_value(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

int64
sx_recompute_unique(int64 *hashes, int64 n)
{
	int64		kept = 0;
	int64		i;

	qsort(hashes, n, sizeof(int64), by_value);
	for (i = 0; i < n; i++)
	{
		if (kept == 0 || hashes[kept - 1] != hashes[i])
			hashes[kept++] = hashes[i];
	}
	return kept;
}

/*
 * sx_recompute_run -- compute the groups with these hashes from the rows held
 *
 * *rows, in the current context: (keys ..., aggregates' values ...).  from_us:
 * of sessions over event time, only rows at that time or later.  Needs an
 * active snapshot that sees the rows.
 */
void
sx_recompute_run(SxResult *r, const int64 *hashes, int n, int64 from_us,
				 SxRows *rows)
{
	const SxShape *shape = r->shape;
	ParamListInfo params = makeParamList(shape->session ? 2 : 1);
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));
	DestReceiver *dest;
	int			i;

	if (r->recompute == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(r->cxt);

		r->recompute = sx_plan_recompute(shape, r->view->state);
		MemoryContextSwitchTo(old);
	}
	for (i = 0; i < n; i++)
		datums[i] = Int64GetDatum(hashes[i]);
	params->params[0].value = PointerGetDatum(construct_array(datums, n, INT8OID, sizeof(int64),
															  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	params->params[0].isnull = false;
	params->params[0].pflags = PARAM_FLAG_CONST;
	params->params[0].ptype = INT8ARRAYOID;
	if (shape->session)
	{
		params->params[1].value = Int64GetDatum(from_us);
		params->params[1].isnull = false;
		params->params[1].pflags = PARAM_FLAG_CONST;
		params->params[1].ptype = shape->keys[shape->session->key].typid;
	}

	LockRelationOid(r->view->state, AccessShareLock);
	dest = sx_exec_collector(rows, CurrentMemoryContext);
	sx_exec_query(r->recompute, params, dest);
	dest->rDestroy(dest);
}

/*
 * sx_recompute_groups -- compute groups from the rows held, write their rows
 *
 * Of the groups with these hashes, those whose window ends at or before
 * closed_us (PG_INT64_MAX: all).  Needs an active snapshot that sees the rows.
 */
int64
sx_recompute_groups(SxResult *r, const int64 *hashes, int n, int64 closed_us)
{
	const SxShape *shape = r->shape;
	SxRows		rows;
	int64		i;

	sx_recompute_run(r, hashes, n, 0, &rows);
	if (closed_us != PG_INT64_MAX)
	{
		/* groups of the same hash whose window is open */
		int64		kept = 0;

		for (i = 0; i < rows.nrows; i++)
		{
			int			width = rows.ncols;

			if (rows.nulls[i * width + shape->window_key] ||
				sx_window_end(shape->window,
							  DatumGetInt64(rows.values[i * width + shape->window_key])) > closed_us)
				continue;
			memmove(rows.values + kept * width, rows.values + i * width, sizeof(Datum) * width);
			memmove(rows.nulls + kept * width, rows.nulls + i * width, sizeof(bool) * width);
			kept++;
		}
		rows.nrows = kept;
	}
	return sx_recompute_write(r, &rows);
}

int64
sx_recompute_write(SxResult *r, const SxRows *groups)
{
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);
	int64		written = 0;
	int64		i;

	for (i = 0; i < groups->nrows; i++)
	{
		SxGroup		g = {0};

		CHECK_FOR_INTERRUPTS();
		g.keys = groups->values + i * groups->ncols;
		g.key_nulls = groups->nulls + i * groups->ncols;
		ItemPointerSetInvalid(&g.result_tid);
		written += sx_result_store(r, writer, index, &g, g.keys + r->shape->nkeys,
								   g.key_nulls + r->shape->nkeys);
	}
	sx_key_index_end(index);
	sx_writer_end(writer);
	return written;
}

int64
sx_result_recompute(SxResult *r, SxRows *rows, int64 closed_us, int64 *dropped)
{
	int64	   *hashes;
	int			n;

	if (r->shape->session)
		return sx_session_recompute(r, rows, closed_us, dropped);
	*dropped = 0;
	if (r->shape->window)
		*dropped = sx_result_drop_closed(r, rows, closed_us);
	if (rows->nrows == 0)
		return 0;
	sx_result_check_keys(r, rows);

	hashes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * rows->nrows);
	sx_recompute_hold(r, rows, hashes);
	if (r->view->final)
		return 0;
	if (r->gathered)
	{
		sx_gathered_hashes(r, hashes, rows->nrows);
		return 0;
	}
	n = (int) sx_recompute_unique(hashes, rows->nrows);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	return sx_recompute_groups(r, hashes, n, PG_INT64_MAX);
}

void
sx_recompute_hold(SxResult *r, const SxRows *rows, int64 *hashes)
{
	const SxShape *shape = r->shape;
	SxStateTable state;
	int64		i;
	int			c;

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	sx_state_begin(&state, r->view, shape);
	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *values = rows->values + i * rows->ncols;
		const bool *nulls = rows->nulls + i * rows->ncols;
		TupleTableSlot *slot = state.writer->slot;

		CHECK_FOR_INTERRUPTS();
		hashes[i] = (int64) sx_keys_hash(r->keyops, shape->nkeys, values, nulls);
		ExecClearTuple(slot);
		slot->tts_values[0] = Int64GetDatum(hashes[i]);
		slot->tts_isnull[0] = false;
		for (c = 0; c < rows->ncols; c++)
		{
			slot->tts_values[1 + c] = values[c];
			slot->tts_isnull[1 + c] = nulls[c];
		}
		ExecStoreVirtualTuple(slot);
		sx_writer_add(state.writer, NULL);
		if (shape->sliding)
			sx_sliding_note(r, DatumGetInt64(values[shape->nkeys + shape->sliding->held]));
	}
	sx_state_end(&state);
}

int64
sx_recompute_close(SxResult *r, int64 closed_us)
{
	SxStateTable state;
	TableScanDesc scan;
	int64	   *hashes = NULL;
	ItemPointerData *tids = NULL;
	int64		n = 0;
	int64		max = 0;
	int64		next = PG_INT64_MAX;
	int64		written = 0;
	int64		i;

	sx_state_begin(&state, r->view, r->shape);
	scan = table_beginscan(state.writer->rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, state.slot))
	{
		bool		null;
		int64		hash = DatumGetInt64(slot_getattr(state.slot, 1, &null));
		int64		key = DatumGetInt64(slot_getattr(state.slot, 2 + r->shape->window_key, &null));
		int64		end = null ? PG_INT64_MAX : sx_window_end(r->shape->window, key);

		CHECK_FOR_INTERRUPTS();
		if (end > closed_us)
		{
			next = Min(next, end);
			continue;
		}
		if (n == max)
		{
			max = Max(1024, max * 2);
			hashes = hashes ? repalloc_huge(hashes, sizeof(int64) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * max);
			tids = tids ? repalloc_huge(tids, sizeof(ItemPointerData) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ItemPointerData) * max);
		}
		hashes[n] = hash;
		tids[n++] = state.slot->tts_tid;
	}
	table_endscan(scan);
	if ((r->view->final || r->view->final_column) && n > 0)
		written = sx_recompute_groups(r, hashes, (int) sx_recompute_unique(hashes, n), closed_us);
	for (i = 0; i < n; i++)
		sx_writer_delete(state.writer, &tids[i]);
	sx_state_end(&state);
	r->next_end_us = next;
	return written;
}
