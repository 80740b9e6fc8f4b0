/*-------------------------------------------------------------------------
 * initialize.c
 *		The row of a view without GROUP BY, or of the empty grouping set,
 *		there before any input.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "result/merge.h"

void
sx_result_initialize(Oid viewid)
{
	SxView	   *view = sx_view_get(viewid);
	SxShape    *shape = sx_plan_analyze(sx_plan_stored_query(view->query), view->name);
	SxScanInput input = {0};
	SxRows		rows;
	int64		dropped;
	DestReceiver *dest;

	if (shape->strategy == SX_STRATEGY_APPEND ||
		(shape->grouped && shape->initial_query == NULL))
		return;

	/* the aggregates of no rows at all */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (shape->initial_query)
	{
		dest = sx_exec_collector(&rows, CurrentMemoryContext);
		input.streams = shape->streams;
		sx_exec_run(sx_plan_initial(shape, view->state), &input, dest);
		dest->rDestroy(dest);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		if (shape->strategy == SX_STRATEGY_RECOMPUTE)
			sx_recompute_write(sx_result_open(view, shape), &rows);
		else
			sx_result_merge(sx_result_open(view, shape), &rows, PG_INT64_MIN, &dropped);
		PopActiveSnapshot();
		return;
	}
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
	{
		int64		hash = 0;

		sx_recompute_groups(sx_result_open(view, shape), &hash, 1, PG_INT64_MAX);
		PopActiveSnapshot();
		return;
	}
	input.streams = shape->streams;
	dest = sx_exec_collector(&rows, CurrentMemoryContext);
	sx_exec_run(sx_plan_batch(shape, 1), &input, dest);
	dest->rDestroy(dest);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	sx_result_merge(sx_result_open(view, shape), &rows, PG_INT64_MIN, &dropped);
	PopActiveSnapshot();
}
