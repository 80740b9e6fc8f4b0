/*-------------------------------------------------------------------------
 * pairs.c
 *		Batches of views that join streams.
 *
 * For each side at which the batch's stream stands, in order: the batch is
 * joined with the rows that are held of the other sides, then held itself.
 * So a pair comes out once, with the later of its rows; where a stream is
 * joined with itself, the batch finds itself among what is held of the sides
 * before.  A part of a batch (after an error) is a batch like any other.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"

#include "exec/exec.h"
#include "window/event_time.h"
#include "worker/task.h"

#define FEW_ROWS	100
#define MANY_ROWS	100000

SxPairs *
sx_pairs_open(const SxView *view, const SxShape *shape, List **relations)
{
	const SxJoin *join = shape->join;
	SxPairs    *pairs = palloc0(sizeof(SxPairs));
	const Oid  *tables;
	int			i;
	int			k;
	ListCell   *lc;

	pairs->held = sx_held_open(view, shape);
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
		*relations = list_append_unique_oid(*relations, tables[i]);
		foreach(lc, pairs->pairs[i][0]->relationOids)
			* relations = list_append_unique_oid(*relations, lfirst_oid(lc));
	}
	return pairs;
}

void
sx_pairs_lock(SxViewRun *run)
{
	const Oid  *tables = sx_held_tables(run->pairs->held);
	int			i;

	for (i = 0; i < run->shape->join->nsides; i++)
		LockRelationOid(tables[i], RowExclusiveLock);
}

void
sx_pairs_apply(SxViewRun *run, SxTask *task, const SxScanInput *input,
			   int expired, bool small)
{
	const SxJoin *join = run->shape->join;
	SxPairs    *pairs = run->pairs;
	int64		closed = sx_watermark_closed(run, run->watermark_us);
	int64		nrows = input->end_row - input->first_row;
	bool	   *late = palloc0(sizeof(bool) * Max(nrows, 1));
	int64		row;
	int			i;

	for (i = 0; i < join->nsides; i++)
	{
		PlannedStmt **plans = expired < 0 ? pairs->pairs[i] : pairs->unmatched[i];
		DestReceiver *dest;

		if (expired < 0 ? join->sides[i].stream != input->stream : i != expired)
			continue;

		/*
		 * What comes out is never of a closed window: rows that are late do
		 * not take part, and a window waits for the rows that are held.
		 */
		sx_window_set_on_time(closed);
		sx_view_write(run, task, plans[small ? 0 : 1], input, PG_INT64_MIN);
		if (expired < 0)
		{
			dest = sx_held_receiver(pairs->held, i, closed, late, input->first_row);
			sx_exec_run(pairs->hold[i], input, dest);
			dest->rDestroy(dest);
		}
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	for (row = 0; row < nrows; row++)
	{
		if (!late[row])
			continue;
		run->counters.rows_late++;
		if (run->view->keep_late)
			sx_late_keep(run, task->stream->def, input, input->first_row + row);
	}
	pfree(late);
}
