/*-------------------------------------------------------------------------
 * initialize.c
 *		What a view has before any input: the row of one without GROUP BY, and
 *		its history.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "result/merge.h"

/* The aggregates of no rows at all. */
static void
write_initial(SxResult *r)
{
	const SxShape *shape = r->shape;
	SxScanInput input = {0};
	SxRows		rows;
	int64		dropped;
	DestReceiver *dest;

	if (shape->initial_query == NULL && shape->strategy == SX_STRATEGY_RECOMPUTE)
	{
		int64		hash = 0;

		sx_recompute_groups(r, &hash, 1, PG_INT64_MAX);
		return;
	}
	input.streams = shape->streams;
	dest = sx_exec_collector(&rows, CurrentMemoryContext);
	sx_exec_run(shape->initial_query ? sx_plan_initial(shape, r->view->state) :
				sx_plan_batch(shape, 1), &input, dest);
	dest->rDestroy(dest);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
		sx_recompute_write(r, &rows);
	else
		sx_result_take(r, &rows, PG_INT64_MIN, &dropped);
}

void
sx_result_first_rows(SxResult *r)
{
	if (r->derived)
		sx_derived_first_rows(r);
	else if (r->shape->strategy != SX_STRATEGY_APPEND &&
			 (!r->shape->grouped || r->shape->initial_query))
		write_initial(r);
}

static bool
has_history(const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	bool		result = shape->seed_query != NULL;
	int			i;

	for (i = 0; d && i < d->ncores; i++)
		result |= d->cores[i].shape && has_history(d->cores[i].shape);
	return result;
}

/* What the view's sink gets of it as well. */
static void
take_history(SxResult *r, SxViewCounters *counters)
{
	sx_result_emit_begin(r, 0);
	PG_TRY();
	{
		counters->rows_out = sx_result_seed(r);
		sx_result_emit_part(r);

		/* nothing but the tables can give them again */
		sx_result_settle(r, true);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		counters->outbox = sx_result_emit_end(r);
	}
	PG_CATCH();
	{
		sx_result_emit_discard(r);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
sx_result_begin(SxView *view, SxViewCounters *counters)
{
	SxShape    *shape = sx_plan_analyze(sx_plan_stored_query(view->query), view->name);
	SxResult   *r;

	CommandCounterIncrement();
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	if (shape->strategy == SX_STRATEGY_APPEND && shape->seed_query == NULL)
	{
		PopActiveSnapshot();
		return;
	}
	r = sx_result_open(view, shape);
	sx_result_first_rows(r);
	if (has_history(shape))
	{
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		take_history(r, counters);
	}
	PopActiveSnapshot();
}

void
sx_result_initialize(Oid viewid)
{
	SxViewCounters counters = {.watermark_us = PG_INT64_MIN};

	sx_result_begin(sx_view_get(viewid), &counters);
	if (counters.rows_out > 0 || counters.outbox > 0)
		sx_view_count(viewid, &counters);
}
