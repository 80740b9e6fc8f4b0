/*-------------------------------------------------------------------------
 * pairs.c
 *		Batches of views that join streams.
 *
 * For each side at which the batch's stream stands, in order: the batch is
 * joined with the rows that are held of the other sides, then held itself.
 * So a pair comes out once, with the later of its rows; where a stream is
 * joined with itself, the batch finds itself among what is held of the sides
 * before.  A part of a batch (after an error) is a batch like any other.
 *
 * In a derived view it is its cores that join streams, one or more of them;
 * what comes out goes into their hidden tables, and is derived from at the end.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"

#include "base/stop.h"
#include "exec/exec.h"
#include "window/event_time.h"
#include "worker/task.h"

#define FEW_ROWS	100
#define MANY_ROWS	100000

static SxPairs *
open_pairs(const SxView *view, const SxJoined *joined)
{
	const SxShape *shape = joined->shape;
	const SxJoin *join = shape->join;
	SxPairs    *pairs = palloc0(sizeof(SxPairs));
	const Oid  *tables;
	int			i;
	int			k;

	pairs->joined = joined;
	pairs->held = sx_held_open(view, joined);
	pairs->pairs = palloc0(sizeof(*pairs->pairs) * join->nsides);
	pairs->unmatched = palloc0(sizeof(*pairs->unmatched) * join->nsides);
	pairs->hold = palloc0(sizeof(PlannedStmt *) * join->nsides);
	tables = sx_held_tables(pairs->held);
	for (i = 0; i < join->nsides; i++)
	{
		for (k = 0; k < 2; k++)
		{
			double		rows = k == 0 ? FEW_ROWS : MANY_ROWS;

			pairs->pairs[i][k] = sx_plan_join_pairs(shape, i, tables, false, rows);
			if (join->sides[i].preserved)
				pairs->unmatched[i][k] = sx_plan_join_pairs(shape, i, tables, true, rows);
		}
		pairs->hold[i] = sx_plan_join_hold(shape, i);
		pairs->relations = list_append_unique_oid(pairs->relations, tables[i]);
		pairs->relations = list_concat_unique_oid(pairs->relations,
												  pairs->pairs[i][0]->relationOids);
	}
	return pairs;
}

List *
sx_pairs_open(const SxView *view, const SxShape *shape, List **relations)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, sx_plan_joined(shape))
	{
		SxPairs    *pairs = open_pairs(view, lfirst(lc));

		*relations = list_concat_unique_oid(*relations, pairs->relations);
		result = lappend(result, pairs);
	}
	return result;
}

void
sx_pairs_lock(SxViewRun *run)
{
	ListCell   *lc;
	ListCell   *lr;

	foreach(lc, run->pairs)
	{
		const SxPairs *pairs = lfirst(lc);
		const Oid  *tables = sx_held_tables(pairs->held);
		int			i;

		for (i = 0; i < pairs->joined->shape->join->nsides; i++)
			LockRelationOid(tables[i], RowExclusiveLock);
		foreach(lr, pairs->relations)
			LockRelationOid(lfirst_oid(lr), AccessShareLock);
	}
}

void
sx_pairs_forget(SxViewRun *run)
{
	ListCell   *lc;

	foreach(lc, run->pairs)
		sx_held_forget(((SxPairs *) lfirst(lc))->held);
}

/* At one side of one join. */
static void
apply_side(SxViewRun *run, SxTask *task, SxPairs *pairs, int side, const SxScanInput *input,
		   bool expired, bool small, int64 closed_us, bool *late)
{
	PlannedStmt **plans = expired ? pairs->unmatched[side] : pairs->pairs[side];
	PlannedStmt *plan = plans[small ? 0 : 1];

	/*
	 * What comes out is never of a closed window: rows that are late do not
	 * take part, and a window waits for the rows that are held.
	 */
	sx_window_set_on_time(closed_us);
	if (pairs->joined->core >= 0)
		sx_result_derive_joined(run->result, pairs->joined->core, plan, input);
	else
		sx_view_write(run, task, plan, input, PG_INT64_MIN);
	if (!expired)
	{
		DestReceiver *dest = sx_held_receiver(pairs->held, side, closed_us, late,
											  input->first_row);

		SX_STOP("before_hold", run->view->name);
		sx_exec_run(pairs->hold[side], input, dest);
		dest->rDestroy(dest);
	}
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

void
sx_pairs_apply(SxViewRun *run, SxTask *task, const SxScanInput *input,
			   SxPairs *expired, int side, bool small)
{
	bool		derived = run->shape->strategy == SX_STRATEGY_DERIVE;
	int64		closed = sx_watermark_closed(run, run->watermark_us);
	int64		nrows = input->end_row - input->first_row;
	bool	   *late = palloc0(sizeof(bool) * Max(nrows, 1));
	SxLateRows	others = {0};
	int64		nlate = 0;
	int64		row;
	int			i;
	ListCell   *lc;

	if (derived)
		sx_result_derive_begin(run->result);
	if (derived && expired == NULL)
	{
		sx_result_derive_rows(run->result, input, closed, &others);
		for (row = 0; others.rows && row < others.nrows; row++)
			late[others.rows[row] - input->first_row] = true;
	}
	foreach(lc, run->pairs)
	{
		SxPairs    *pairs = lfirst(lc);
		const SxJoin *join = pairs->joined->shape->join;

		for (i = 0; i < join->nsides; i++)
		{
			if (expired ? pairs == expired && i == side : join->sides[i].stream == input->stream)
				apply_side(run, task, pairs, i, input, expired != NULL, small, closed, late);
		}
	}
	if (derived)
	{
		run->counters.rows_out += sx_result_derive_end(run->result);
		sx_result_emit_part(run->result);
	}
	for (row = 0; row < nrows; row++)
	{
		if (!late[row])
			continue;
		nlate++;
		if (run->view->keep_late)
			sx_late_keep(run, task->stream->def, input, input->first_row + row);
	}

	/* of sessions it is not known which: likely the same */
	if (others.rows == NULL)
		nlate = Max(nlate, others.nrows);
	run->counters.rows_late += nlate;
	pfree(late);
}
