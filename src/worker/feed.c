/*-------------------------------------------------------------------------
 * feed.c
 *		Rows that a view takes in outside a worker, for streamx.rebuild and
 *		streamx.reprocess, in the caller's transaction.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "exec/owner.h"
#include "worker/batch_internal.h"

/* What a worker would make of it is the caller's error. */
static void
raise_outcome(SxViewRun *run, SxViewOutcome *outcome)
{
	if (outcome->error)
		ReThrowError(outcome->error);
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("could not keep the open windows of continuous view \"%s\"", run->view->name),
			 errhint("Try again.")));
}

static void
begin_rebuilding(SxBatchInput *in, SxTask *task, SxStreamRun *stream_run, const SxStream *stream)
{
	sx_batch_cxt_open();
	memset(in, 0, sizeof(*in));
	memset(task, 0, sizeof(*task));
	memset(stream_run, 0, sizeof(*stream_run));
	stream_run->relid = stream->relid;
	stream_run->def = unconstify(SxStream *, stream);
	task->stream = stream_run;
	in->task = task;
	in->def = stream;
}

void
sx_batch_rebuild(SxViewRun *run, const SxStream *stream, SxBatch *batch)
{
	SxBatchInput in;
	SxTask		task;
	SxStreamRun stream_run;
	SxViewOutcome outcome = {0};

	begin_rebuilding(&in, &task, &stream_run, stream);
	in.batches = &batch;
	in.nbatches = 1;
	in.nrows = batch->nrows;
	if (!sx_view_range(run, &in, 0, batch->nrows, &outcome))
		raise_outcome(run, &outcome);
	sx_result_trim(run->result);
	MemoryContextReset(sx_batch_cxt);
}

void
sx_batch_rebuilt(SxViewRun *run, const SxStream *stream, int64 watermark_us, bool shed)
{
	SxBatchInput in;
	SxTask		task;
	SxStreamRun stream_run;
	SxViewOutcome outcome = {0};
	SxOwnerScope scope;

	begin_rebuilding(&in, &task, &stream_run, stream);
	run->next_watermark_us = watermark_us;
	if (!sx_view_expire(run, &in, &outcome))
		raise_outcome(run, &outcome);
	sx_result_set_shed(run->result, shed ? SX_SHED_KEEP : SX_SHED_NOTHING);
	sx_view_close_windows(run, &task, PG_INT64_MIN);
	run->counters.dead_letters += sx_result_nshed(run->result);
	sx_result_set_shed(run->result, SX_SHED_NOTHING);
	sx_view_leave_window(run);
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_settle(run->result, true);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
	MemoryContextReset(sx_batch_cxt);
}

void
sx_batch_feed_begin(SxViewRun *run, int64 outbox)
{
	SxOwnerScope scope;

	sx_owner_enter(run->view, &scope);
	sx_result_emit_begin(run->result, outbox);
	sx_owner_leave(&scope);
}

void
sx_batch_feed_end(SxViewRun *run)
{
	sx_view_finish_sink(run);
}
