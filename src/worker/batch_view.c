/*-------------------------------------------------------------------------
 * batch_view.c
 *		One view's part of a batch: its rows, windows that close, its sink.
 *
 * It runs in a subtransaction of its own, its rows in one within that.
 * When it fails,
 *	- for a row's sake (a value out of range, a failing CHECK), the range of
 *	  rows is divided until the row is found: it becomes a dead letter of the
 *	  view, its neighbours count;
 *	- for the view's sake (a column is gone, a right is missing), the view
 *	  stops, the others go on;
 *	- for the moment's sake (a lock, memory, a cancelled statement), the view
 *	  is tried again later, by itself if it has company, and after longer and
 *	  longer pauses, on whichever of its streams.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/stop.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "exec/exec.h"
#include "exec/owner.h"
#include "stats/history.h"
#include "window/event_time.h"
#include "worker/batch_internal.h"
#include "worker/crash.h"
#include "worker/refill.h"
#include "worker/task.h"

#define SMALL_BATCH		2000	/* rows up to which plan_small is taken */
#define EXPIRED_ROWS	10000	/* looked at together as they expire */
#define MAX_FAILURES	5		/* in a row, then a view stops */
#define BACKOFF_MAX_MS	10000

SxBlame
sx_batch_blame(int sqlstate)
{
	if (sx_result_is_row_error(sqlstate))
		return SX_BLAME_ROW;
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return SX_BLAME_MOMENT;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
				sqlstate == ERRCODE_OBJECT_IN_USE ? SX_BLAME_MOMENT : SX_BLAME_VIEW;
	}
}

static void
lock_relations(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (OidIsValid(rte->relid) &&
			(rte->rtekind == RTE_RELATION || rte->rtekind == RTE_SUBQUERY))
			LockRelationOid(rte->relid, AccessShareLock);
	}
}

/*
 * With a lock held: has what we know of the view changed since?  Once all of its
 * locks are, the batch goes through with that, as a plan does that is running.
 */
static void
check_current(const SxViewRun *run, const SxBatchInput *in)
{
	if ((run->stale && !run->locked) || in->task->stream->stale)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("definition of continuous view \"%s\" has changed", run->view->name)));
}

/*
 * What the view needs before any of its rows: its plan, and locks on all that
 * it reads and writes, which stay until the end of the batch however often
 * its rows are tried.
 */
static void
lock_view(SxViewRun *run, SxBatchInput *in)
{
	SxOwnerScope scope;
	ListCell   *lc;

	sx_owner_enter(run->view, &scope);
	PushActiveSnapshot(GetTransactionSnapshot());

	/* streams before the result, and that before its parts, as DROP does */
	foreach(lc, run->view->streams)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	if (OidIsValid(run->view->sink))
		LockRelationOid(run->view->sink, RowExclusiveLock);
	LockRelationOid(run->relid, RowExclusiveLock);
	check_current(run, in);
	if (run->shape == NULL || run->result == NULL)
		sx_view_prepare(run);
	sx_refill_attach(run);
	if (in->task->refill)
		sx_refill_prepare(in->task, run);
	if (run->plan_big)
		lock_relations(run->plan_big);
	else
		sx_result_lock(run->result);
	if (OidIsValid(run->view->state))
		LockRelationOid(run->view->state, RowExclusiveLock);
	foreach(lc, run->view->value_sets)
		LockRelationOid(lfirst_oid(lc), RowExclusiveLock);
	sx_pairs_lock(run);
	check_current(run, in);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

static void
open_view(SxViewRun *run, SxBatchInput *in)
{
	SxOwnerScope scope;

	if (run->lock_error)
		ReThrowError(run->lock_error);
	if (!run->locked)
		lock_view(run, in);

	/*
	 * What is checked at COMMIT would fail for no row, and as superuser.  For
	 * each view: code of the one before may have changed it.
	 */
	AfterTriggerSetState(makeNode(ConstraintsSetStmt));
	if (!OidIsValid(run->view->sink))
		return;
	sx_owner_enter(run->view, &scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_emit_begin(run->result, run->outbox);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

bool
sx_view_due(const SxViewRun *run, int64 watermark_us)
{
	int64		closed = sx_watermark_closed(run, watermark_us);
	ListCell   *lc;

	if (run->result == NULL || sx_result_can_close(run->result, closed))
		return true;
	foreach(lc, run->pairs)
	{
		if (sx_held_can_expire(((SxPairs *) lfirst(lc))->held, closed))
			return true;
	}
	return false;
}

/*
 * Windows that end at or before this are closed at a watermark: where streams
 * are joined they wait for what is held.
 */
static int64
windows_closed(SxViewRun *run, int64 watermark_us)
{
	int64		closed = sx_watermark_closed(run, watermark_us);
	ListCell   *lc;

	foreach(lc, closed == PG_INT64_MIN ? NIL : run->pairs)
	{
		const SxPairs *pairs = lfirst(lc);
		const SxShape *shape = pairs->joined->shape;

		if (shape->window == NULL)
			continue;
		PushActiveSnapshot(GetTransactionSnapshot());
		closed = Min(closed, sx_held_least_time(pairs->held, shape->window_side, closed));
		PopActiveSnapshot();
	}
	return closed;
}

/* Close the windows that the end of this batch closes. */
void
sx_view_close_windows(SxViewRun *run, SxTask *task, int64 closed_before)
{
	int64		closed = sx_watermark_closed(run, run->next_watermark_us);
	SxOwnerScope scope;

	if (!sx_result_can_close(run->result, closed))
		return;
	run->steps |= SX_STEP_BIT(SX_STEP_CLOSING);
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (run->pairs)
		sx_result_close_unjoined(run->result, closed);
	PopActiveSnapshot();
	closed = windows_closed(run, run->next_watermark_us);
	sx_report_doing(task, "closing windows of %s", run->view->name);
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_closed_before(run->result, closed_before);
	SX_STOP("before_close", run->view->name);
	run->counters.rows_out += sx_result_close(run->result, closed);
	SX_STOP("after_close", run->view->name);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/* What is too much for memory goes to the state table. */
static void
settle(SxViewRun *run, const SxBatchInput *in)
{
	/* a native position from before the first batch is not known */
	bool		store = in->store || (in->task->npositions == 0 &&
									  strcmp(in->task->stream->def->kind, "native") == 0);
	SxOwnerScope scope;

	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_settle(run->result, store);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/* Take out what leaves a sliding window by the clock. */
void
sx_view_leave_window(SxViewRun *run)
{
	SxOwnerScope scope;

	if (sx_result_leaves_at(run->result) > GetCurrentTransactionStartTimestamp())
		return;
	run->steps |= SX_STEP_BIT(SX_STEP_LEAVING);
	sx_crash_at_step(SX_STEP_LEAVING);
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	run->counters.rows_out += sx_result_leave(run->result);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/*
 * What fold processes made of the rows of the input, chunk by chunk.  Late
 * rows are theirs to tell.
 */
static int64
take_folded(SxViewRun *run, const PlannedStmt *plan, const SxScanInput *input, int64 closed_us)
{
	int64		written = 0;
	int			i;

	for (i = 0; i < input->nbatches; i++)
	{
		const SxFolded *folded = input->batches[i]->folded;
		const SxFoldedView *view;
		SxRows		rows;
		int64		dropped = 0;
		int64		late;

		view = sx_fold_rows(folded, run->relid, plan, &rows);
		run->spent.execute_us += view->execute_us;
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		SX_STOP("before_merge", run->view->name);
		written += sx_result_take(run->result, &rows, closed_us, &dropped);
		if (dropped == 0 || run->shape->late_query == NULL)
			continue;
		late = sx_fold_late(folded, run->relid, closed_us);
		if (late < 0)
			sx_batch_give_up();
		run->counters.rows_late += late;
	}
	return written;
}

/* Run a plan over the input and write what comes out. */
void
sx_view_write(SxViewRun *run, SxTask *task, PlannedStmt *plan,
			  const SxScanInput *input, int64 closed_us)
{
	DestReceiver *dest = NULL;
	int64		written = 0;

	SX_STOP("before_execute", run->view->name);
	if (run->shape->strategy == SX_STRATEGY_APPEND)
	{
		dest = sx_result_appender(run->result, &written);
		SX_STOP("before_merge", run->view->name);
		sx_exec_run(plan, input, dest);
	}
	else if (run->shape->strategy == SX_STRATEGY_DERIVE)
	{
		SxLateRows	late;

		written = sx_result_derive(run->result, input, closed_us, &late);
		run->counters.rows_late += late.nrows;
		sx_late_keep_all(run, task->stream->def, input, &late);
	}
	else if (input->nbatches > 0 && input->batches[0]->folded)
		written = take_folded(run, plan, input, closed_us);
	else
	{
		SxRows		rows;
		int64		dropped = 0;

		dest = sx_exec_collector(&rows, CurrentMemoryContext);
		sx_exec_run_closed(plan, input, dest, run->shape->window, closed_us);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		SX_STOP("before_merge", run->view->name);
		if (task->refill)
			sx_result_refill(run->result, &rows, closed_us);
		else
			written = sx_result_take(run->result, &rows, closed_us, &dropped);
		if (task->refill)
			dropped = 0;
		else if (run->shape->session && run->shape->late_query == NULL)
			run->counters.rows_late += dropped;
		else if (dropped > 0 || (run->shape->window_partial && sx_window_closed_hits() > 0))
			run->counters.rows_late += sx_late_rows(run, task->stream->def, input, closed_us);
	}
	if (dest)
		dest->rDestroy(dest);
	SX_STOP("after_merge", run->view->name);
	sx_result_emit_part(run->result);
	run->counters.rows_out += written;
}

/* Run the view over rows [first, end) and write what comes out. */
static void
apply(SxViewRun *run, SxBatchInput *in, int64 first, int64 end)
{
	SxOwnerScope scope;
	SxScanInput input;
	bool		small = end - first <= SMALL_BATCH;

	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());

	input.stream = in->def->relid;
	input.streams = run->shape->streams;
	input.batches = in->batches;
	input.nbatches = in->nbatches;
	input.first_row = first;
	input.end_row = end;
	if (run->pairs)
		sx_pairs_apply(run, in->task, &input, in->expired, in->side, small);
	else
		sx_view_write(run, in->task, small ? run->plan_small : run->plan_big, &input,
					  sx_watermark_closed(run, run->watermark_us));
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/* What is left to write to the view's sink. */
void
sx_view_finish_sink(SxViewRun *run)
{
	SxOwnerScope scope;

	if (!OidIsValid(run->view->sink))
		return;
	sx_crash_at_step(SX_STEP_ROWS);
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	run->counters.outbox = sx_result_emit_end(run->result);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

static void
context_callback(void *arg)
{
	SxViewRun  *run = arg;

	errcontext("continuous view \"%s\"", run->view->name);
}

/*
 * A step of a batch for one view, in a subtransaction of its own, which stays
 * if "step" returns true.  Returns its error, NULL if it had none.
 */
static ErrorData *
attempt(bool (*step) (SxViewRun *run, SxBatchInput *in, void *arg),
		SxViewRun *run, SxBatchInput *in, void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback context = {.callback = context_callback,.arg = run};
	ErrorData  *volatile error = NULL;

	context.previous = error_context_stack;
	error_context_stack = &context;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		if (step(run, in, arg))
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(sx_batch_cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	error_context_stack = context.previous;
	if (error && ProcDiePending)
		ReThrowError(error);
	return error;
}

/* Row number over all batches -> the message it came from. */
static void
row_as_reject(SxBatchInput *in, int64 row, SxReject *reject)
{
	int			i;

	for (i = 0; i < in->nbatches; i++)
	{
		SxBatch    *b = in->batches[i];

		if (row < b->nrows)
		{
			memset(reject, 0, sizeof(*reject));
			reject->partition = b->partition[row];
			reject->position = b->position[row];
			reject->arrival_us = b->arrival_us[row];
			reject->payload = b->payload[row];
			reject->payload_len = b->payload_len[row];
			reject->key = b->key[row];
			reject->key_len = b->key_len[row];
			return;
		}
		row -= b->nrows;
	}
	elog(ERROR, "row is not in the batch");
}

/* Rows of native streams have no bytes: their dead letters keep them as JSON. */
static void
row_as_payload(SxBatchInput *in, int64 row, SxReject *reject)
{
	Relation	rel = table_open(in->def->relid, AccessShareLock);
	MemoryContext old = MemoryContextSwitchTo(sx_batch_cxt);
	SxOwnerScope scope;
	text	   *json;
	int			i = 0;

	while (row >= in->batches[i]->nrows)
		row -= in->batches[i++]->nrows;

	/* a type's cast to json is code of users */
	sx_owner_enter_role(in->def->owner, &scope);
	json = sx_result_row_as_json(RelationGetDescr(rel), in->batches[i], (int) row);
	sx_owner_leave(&scope);
	reject->payload = VARDATA_ANY(json);
	reject->payload_len = VARSIZE_ANY_EXHDR(json);
	MemoryContextSwitchTo(old);
	table_close(rel, NoLock);
}

char *
sx_batch_row_message(const SxStream *stream, const SxReject *reject, const char *message)
{
	return psprintf(_("partition %d, offset " INT64_FORMAT " of stream \"%s\": %s"),
					reject->partition, reject->position, stream->name,
					message ? message : "unknown error");
}

int64
sx_batch_backoff_ms(int failures)
{
	return Min(SX_BACKOFF_FIRST_MS << Min(failures, 6), BACKOFF_MAX_MS);
}

/* The error is not that of a row: what does it mean for the view? */
static void
judge(SxViewRun *run, ErrorData *error, SxViewOutcome *outcome)
{
	outcome->error = error;
	if (sx_batch_blame(error->sqlerrcode) != SX_BLAME_MOMENT)
		outcome->stopped = true;
	else if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTERNAL_ERROR &&
			 ++run->failures >= MAX_FAILURES)
	{
		/* what looks like a fault of ours or of a function does not pass */
		outcome->stopped = true;
	}
	else
	{
		outcome->again = true;
		if (!run->stale)
		{
			run->retry_ms = sx_now_ms() + sx_batch_backoff_ms(run->retries++);
			if (MyBgworkerEntry)
				sx_history_error(MyDatabaseId, SX_ERROR_VIEW_RETRIED, InvalidOid, run->relid,
								 unpack_sql_state(error->sqlerrcode),
								 error->message ? error->message : "");
		}
	}
}

/*
 * Rows [first, end) in one subtransaction that either counts or leaves
 * nothing.  true: done, *rest is set to the rows that are left of the range.
 * false: the view is done with this batch, see outcome.
 */
static bool
run_part(SxViewRun *run, SxBatchInput *in, int64 first, int64 end, int64 *rest,
		 SxViewOutcome *outcome)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext part_cxt;
	volatile int64 hint = -1;
	ErrorData  *volatile edata = NULL;
	SxViewCounters before = run->counters;
	SxEmitMark	mark;
	int64		open_mark = sx_result_mark(run->result);
	SxReject	reject;

	/* there can be as many parts as rows */
	part_cxt = AllocSetContextCreate(sx_batch_cxt, "streamx part of a batch",
									 ALLOCSET_DEFAULT_SIZES);
	*rest = end;
	sx_result_emit_mark(run->result, &mark);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(part_cxt);
	PG_TRY();
	{
		apply(run, in, first, end);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		hint = sx_fdw_last_row();
		MemoryContextSwitchTo(sx_batch_cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	MemoryContextDelete(part_cxt);
	if (edata == NULL)
		return true;

	run->counters = before;
	sx_result_emit_rollback(run->result, &mark);
	sx_result_forget(run->result);
	sx_result_undo(run->result, open_mark);
	sx_pairs_forget(run);
	if (ProcDiePending)
		ReThrowError(edata);
	if (in->task->rounds)
		sx_batch_give_up();
	if (sx_result_lost(run->result))
	{
		outcome->left_out = true;
		return false;
	}
	if (sx_batch_blame(edata->sqlerrcode) != SX_BLAME_ROW)
	{
		judge(run, edata, outcome);
		return false;
	}

	if (end - first > 1)
	{
		/*
		 * The scan stood at the hinted row when it happened: likely the one.
		 * What comes before it is tried first, then the row alone.  At the
		 * last row it may have happened after the scan: that says nothing.
		 */
		if (hint > first && hint < end - 1)
			*rest = hint;
		else if (hint == first && hint < end - 1)
			*rest = first + 1;
		else
			*rest = first + (end - first) / 2;
		FreeErrorData(edata);
		return sx_view_range(run, in, first, *rest, outcome);
	}

	/*
	 * A key that is there already may be somebody else's row, committed since
	 * our snapshot: a new one finds it.
	 */
	if (edata->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && outcome->retried <= first)
	{
		outcome->retried = first + 1;
		FreeErrorData(edata);
		*rest = first;
		return true;
	}

	/* the row; it was one of those before if it is read again */
	if (in->task->refill)
	{
		FreeErrorData(edata);
		return true;
	}
	row_as_reject(in, first, &reject);
	if (reject.payload == NULL && strcmp(in->def->kind, "native") == 0)
		row_as_payload(in, first, &reject);
	if (in->def->on_error == SX_ON_ERROR_STOP)
	{
		edata->message = sx_batch_row_message(in->def, &reject, edata->message);
		outcome->stopped = true;
		outcome->error = edata;
		return false;
	}
	strlcpy(reject.sqlstate, unpack_sql_state(edata->sqlerrcode), sizeof(reject.sqlstate));
	reject.error = edata->message ? edata->message : "unknown error";
	if (in->def->on_error == SX_ON_ERROR_DEAD_LETTER)
		(void) sx_result_dead_letter(in->def->relid, run->relid, &reject);
	run->counters.dead_letters++;
	FreeErrorData(edata);
	return true;
}

/* Rows [first, end) in as many parts as it takes. */
bool
sx_view_range(SxViewRun *run, SxBatchInput *in, int64 first, int64 end,
			  SxViewOutcome *outcome)
{
	check_stack_depth();
	while (first < end)
	{
		int64		rest;

		if (!run_part(run, in, first, end, &rest, outcome))
			return false;
		first = rest;
	}
	return true;
}

/* Those of one join that have remained without a partner come out. */
static bool
expire_unmatched(SxViewRun *run, SxBatchInput *in, SxPairs *pairs, int64 from, int64 to,
				 MemoryContext cxt, SxViewOutcome *outcome)
{
	const SxJoin *join = pairs->joined->shape->join;
	MemoryContext old = CurrentMemoryContext;
	int			i;

	for (i = 0; i < join->nsides * 2; i++)
	{
		int			side = i / 2;
		SxHeldScan *scan;
		SxBatch    *batch;

		/* those that had expired when they came, the others */
		if (!join->sides[side].preserved || (i % 2 == 0 && from == PG_INT64_MIN))
			continue;
		scan = i % 2 == 0 ?
			sx_held_begin(pairs->held, side, PG_INT64_MIN, PG_INT64_MIN + 1) :
			sx_held_begin(pairs->held, side, from, to);
		for (;;)
		{
			SxBatchInput part = {.task = in->task,.expired = pairs,.side = side};

			MemoryContextSwitchTo(cxt);
			batch = sx_held_next(scan, EXPIRED_ROWS);
			MemoryContextSwitchTo(old);
			if (batch == NULL)
				break;
			part.def = sx_held_stream(pairs->held, side);
			part.batches = &batch;
			part.nbatches = 1;
			part.nrows = batch->nrows;
			outcome->retried = 0;
			if (!sx_view_range(run, &part, 0, part.nrows, outcome))
				return false;
			MemoryContextReset(cxt);
		}
	}
	return true;
}

/* What the view has taken of the time from "begin" to now. */
static void
note_spent(SxViewRun *run, const SxSpent *before, int64 begin)
{
	int64		execute_us = sx_spent.execute_us - before->execute_us;

	run->spent.execute_us += execute_us;
	run->spent.write_us += Max(sx_clock_us() - begin - execute_us, 0);
}

/*
 * Rows of joined streams that expire at the end of this batch: what is not
 * needed any more goes.
 */
bool
sx_view_expire(SxViewRun *run, SxBatchInput *in, SxViewOutcome *outcome)
{
	int64		from = sx_watermark_closed(run, run->watermark_us);
	int64		to = sx_watermark_closed(run, run->next_watermark_us);
	ListCell   *lc;

	foreach(lc, run->pairs)
	{
		SxPairs    *pairs = lfirst(lc);
		MemoryContext cxt;

		if (!sx_held_can_expire(pairs->held, to))
			continue;
		run->steps |= SX_STEP_BIT(SX_STEP_CLOSING);
		sx_crash_at_step(SX_STEP_CLOSING);
		cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx rows that expire",
									ALLOCSET_DEFAULT_SIZES);
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (!expire_unmatched(run, in, pairs, from, to, cxt, outcome))
			return false;
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		sx_held_remove(pairs->held, to);
		PopActiveSnapshot();
		MemoryContextDelete(cxt);
	}
	return true;
}

/* Write what was kept back over the rounds. */
static void
flush_gathered(SxViewRun *run)
{
	SxOwnerScope scope;

	if (!sx_result_gathering(run->result))
		return;
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	run->counters.rows_out += sx_result_flush(run->result);
	sx_result_emit_part(run->result);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/* But to save progress. */
static bool
has_nothing_to_do(const SxViewRun *run, const SxBatchInput *in)
{
	return in->nrows == 0 && !in->store && !in->task->refill && !sx_view_due(run, run->next_watermark_us) &&
		sx_result_leaves_at(run->result) > GetCurrentTransactionStartTimestamp();
}

static bool
lock_step(SxViewRun *run, SxBatchInput *in, void *arg)
{
	lock_view(run, in);
	return true;
}

void
sx_view_lock(SxViewRun *run, SxBatchInput *in)
{
	run->locked = false;
	run->lock_error = NULL;
	if (run->stale || has_nothing_to_do(run, in) || sx_crash_verdict(run->relid))
		return;
	sx_crash_at(in->task->stream->relid, run->relid, SX_STEP_ROWS);
	run->lock_error = attempt(lock_step, run, in, NULL);
	run->locked = run->lock_error == NULL;
	sx_crash_at(in->task->stream->relid, InvalidOid, SX_STEP_READING);
}

/* *outcome of a round, and whether it was in closing windows. */
typedef struct Round
{
	SxViewOutcome *outcome;
	bool		closing;
} Round;

static bool
round_step(SxViewRun *run, SxBatchInput *in, void *arg)
{
	Round	   *round = arg;

	if (in->first)
	{
		open_view(run, in);
		run->closed_before_us = windows_closed(run, run->watermark_us);
		if (!in->last || (in->nbatches > 1 && in->batches[0]->folded))
			(void) sx_result_gather(run->result);
	}
	check_current(run, in);

	/* the whole at once; it is divided only if it fails */
	if (!sx_view_range(run, in, 0, in->nrows, round->outcome) ||
		(in->last && !sx_view_expire(run, in, round->outcome)))
		return false;
	if (!in->last)
		return true;			/* more is to come */
	if (in->task->refill)
	{
		sx_result_emit_discard(run->result);
		return true;
	}
	flush_gathered(run);
	round->closing = true;
	sx_crash_at_step(SX_STEP_CLOSING);
	sx_view_close_windows(run, in->task, run->closed_before_us);
	round->closing = false;
	sx_view_leave_window(run);
	sx_view_finish_sink(run);
	settle(run, in);
	return true;
}

/*
 * The view's part of a round, in a subtransaction around those of its rows:
 * when the view does not get through, nothing of what it did stays, as its
 * progress does not move either.  *closing: that it was in closing windows.
 */
static void
try_view(SxViewRun *run, SxBatchInput *in, SxViewOutcome *outcome, bool *closing)
{
	Round		round = {.outcome = outcome};
	ErrorData  *error;
	SxSpent		before = sx_spent;
	int64		begin = sx_clock_us();
	int			i;

	if (in->first)
	{
		memset(&run->counters, 0, sizeof(run->counters));
		memset(&run->spent, 0, sizeof(run->spent));
		run->steps = 0;
	}
	if (in->nrows > 0)
		run->steps |= SX_STEP_BIT(SX_STEP_ROWS);
	memset(outcome, 0, sizeof(*outcome));
	run->counters.rows_in += in->nrows;
	if (in->first && has_nothing_to_do(run, in))
	{
		/*
		 * Nothing to do but to save progress: not beside somebody who drops
		 * the view, who takes its progress away.
		 */
		outcome->left_out = !ConditionalLockRelationOid(run->relid, RowExclusiveLock) ||
			run->stale;
		return;
	}
	sx_report_doing(in->task, INT64_FORMAT " rows %s %s", in->nrows,
					in->task->refill ? "again for the open windows of" : "into",
					run->view->name);
	for (i = 0; i < in->nbatches; i++)
	{
		if (in->batches[i]->nrows > 0)
			break;
	}
	if (i < in->nbatches)
		sx_crash_at_rows(in->batches[i]->partition[0], in->batches[i]->position[0], in->nrows);
	error = attempt(round_step, run, in, &round);
	*closing = round.closing;
	if (in->task->rounds &&
		(error || outcome->stopped || outcome->again || outcome->left_out))
		sx_batch_give_up();
	if (error)
	{
		memset(outcome, 0, sizeof(*outcome));
		judge(run, error, outcome);
	}
	if ((outcome->stopped || outcome->again || outcome->left_out) && run->result)
	{
		sx_result_emit_discard(run->result);
		sx_result_forget(run->result);
		sx_result_undo(run->result, 0);
		sx_pairs_forget(run);
	}
	if (!outcome->again)
		run->failures = 0;
	note_spent(run, &before, begin);
}

/* Has it crashed this process so often that it is not tried again? */
static bool
crashed_before(SxViewRun *run, SxViewOutcome *outcome)
{
	char	   *verdict = sx_crash_verdict(run->relid);

	if (verdict == NULL)
		return false;
	memset(outcome, 0, sizeof(*outcome));
	outcome->stopped = true;
	outcome->error = palloc0(sizeof(ErrorData));
	outcome->error->sqlerrcode = SX_ERRCODE_CRASHED;
	outcome->error->message = verdict;
	return true;
}

/*
 * Groups whose rows fail as their window closes are given up, the others are
 * written.
 */
void
sx_view_round(SxViewRun *run, SxBatchInput *in, SxViewOutcome *outcome)
{
	bool		closing = false;
	Oid			stream = in->task->stream->relid;

	if (crashed_before(run, outcome))
		return;
	sx_crash_at(stream, run->relid, SX_STEP_ROWS);
	try_view(run, in, outcome, &closing);
	sx_crash_at(stream, InvalidOid, SX_STEP_READING);
	if (!closing || !outcome->stopped || !in->first ||
		in->def->on_error == SX_ON_ERROR_STOP ||
		!sx_result_is_row_error(outcome->error->sqlerrcode))
		return;
	FreeErrorData(outcome->error);
	sx_result_set_shed(run->result, in->def->on_error == SX_ON_ERROR_SKIP ?
					   SX_SHED_COUNT : SX_SHED_KEEP);
	closing = false;
	sx_crash_at(stream, run->relid, SX_STEP_ROWS);
	try_view(run, in, outcome, &closing);
	sx_crash_at(stream, InvalidOid, SX_STEP_READING);
	run->counters.dead_letters += sx_result_nshed(run->result);
	sx_result_set_shed(run->result, SX_SHED_NOTHING);
}

/* A view has stopped: kept in the catalog, in the transaction at hand. */
void
sx_view_stop(SxTask *task, SxViewRun *run, ErrorData *error)
{
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("continuous view \"%s\" has stopped: %s",
					run->view->name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 errhint("Mend the cause, then SELECT streamx.resume('%s').", run->view->name)));
	sx_view_set_error(run->relid, unpack_sql_state(error->sqlerrcode), error->message);
	sx_history_error(MyDatabaseId, SX_ERROR_VIEW_STOPPED, InvalidOid, run->relid,
					 unpack_sql_state(error->sqlerrcode), error->message ? error->message : "");
}

static bool
follow_step(SxViewRun *run, SxBatchInput *in, void *arg)
{
	SxOwnerScope scope;

	open_view(run, in);
	if (run->view->final)
		sx_follow_windows(run);
	else
	{
		sx_owner_enter(run->view, &scope);
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		run->counters.rows_out = sx_result_follow(run->result, run->behind);
		sx_result_emit_part(run->result);
		PopActiveSnapshot();
		sx_owner_leave(&scope);
	}
	sx_view_finish_sink(run);
	return true;
}

bool
sx_batch_follow(SxViewRun *run, SxTask *task)
{
	ErrorData  *error;
	SxBatchInput in = {.task = task,.def = task->stream->def};
	SxViewOutcome outcome = {0};
	SxSpent		spent_before = sx_spent;
	int64		begin = sx_clock_us();

	memset(&run->spent, 0, sizeof(run->spent));
	if (crashed_before(run, &outcome))
	{
		sx_view_stop(task, run, outcome.error);
		run->behind = true;
		run->stale = true;
		sx_streams_mark_stale();
		return false;
	}
	sx_crash_at(task->stream->relid, run->relid, SX_STEP_ROWS);
	run->steps = SX_STEP_BIT(SX_STEP_ROWS);
	sx_report_doing(task, "following into %s", run->view->name);

	memset(&run->counters, 0, sizeof(run->counters));
	error = attempt(follow_step, run, &in, NULL);
	sx_crash_at(task->stream->relid, InvalidOid, SX_STEP_READING);
	if (error == NULL)
	{
		run->failures = 0;
		note_spent(run, &spent_before, begin);
		return true;
	}

	if (run->result)
		sx_result_emit_discard(run->result);
	run->behind = true;
	run->retry_ms = sx_now_ms() + SX_BACKOFF_FIRST_MS;
	judge(run, error, &outcome);
	if (outcome.stopped)
	{
		sx_view_stop(task, run, error);
		run->stale = true;
		sx_streams_mark_stale();
	}
	else if (!run->stale)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("continuous view \"%s\" is tried again: %s", run->view->name, error->message)));
	return false;
}
