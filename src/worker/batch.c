/*-------------------------------------------------------------------------
 * batch.c
 *		One micro-batch: one transaction from what was read to the commit.
 *
 *		take -> resolve, event times -> dead letters of what did not decode
 *			 -> each view: plan over the batch, merge or append
 *			 -> progress and counters -> COMMIT
 *
 * Under backlog a batch has several rounds: it takes rows in up to a second
 * long, memory for one round after the other, and what the views keep back
 * (result/gather.c) is written at the end, once.  Nothing in such a batch is
 * tried again by itself: at any error it is given up, and the next ones have
 * one round each, in which errors are looked after as follows.
 *
 * Each view runs in a subtransaction of its own, its rows in one within that.
 * When it fails,
 *	- for a row's sake (a value out of range, a failing CHECK), the range of
 *	  rows is divided until the row is found: it becomes a dead letter of the
 *	  view, its neighbours count;
 *	- for the view's sake (a column is gone, a right is missing), the view
 *	  stops, the others go on;
 *	- for the moment's sake (a lock, memory, a cancelled statement), the view
 *	  is tried again later, by itself if it has company, and after longer and
 *	  longer pauses, on whichever of its streams.
 * The only other catch is at the batch's edge: abort, go back to the saved
 * progress, back off.
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
#include "worker/refill.h"
#include "worker/task.h"

#define SMALL_BATCH		2000	/* rows up to which plan_small is taken */
#define EXPIRED_ROWS	10000	/* looked at together as they expire */
#define ROUNDS_MS		1000	/* no further round after that long */
#define ROUNDS_SHARED_MS 200	/* the same where other tasks wait */
#define ROUND_ROWS		16384	/* fewer rows may be all there is */
#define ROUND_WAIT_MS	100		/* for a round to become worth it */
#define MAX_CAREFUL		64		/* batches of one round after an error */
#define MAX_FAILURES	5		/* in a row, then a view stops */
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS	10000

static MemoryContext batch_cxt = NULL;

/* The batch at hand; commit_us: reading and resolving, until it is complete. */
static SxBatchRecord record;

/* The error at hand is that of a view, and in the history already. */
static bool error_told;

typedef enum Blame
{
	BLAME_ROW,
	BLAME_VIEW,
	BLAME_MOMENT,
} Blame;

static Blame
blame(int sqlstate)
{
	if (sx_result_is_row_error(sqlstate))
		return BLAME_ROW;
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return BLAME_MOMENT;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
				sqlstate == ERRCODE_OBJECT_IN_USE ? BLAME_MOMENT : BLAME_VIEW;
	}
}

/* ---- one view ---- */

typedef struct BatchInput
{
	SxTask	   *task;
	const SxStream *def;		/* whose rows these are */
	SxBatch   **batches;
	int			nbatches;
	int64		nrows;
	SxPairs    *expired;		/* rows that expire of a side of this join;
								 * NULL: a batch of the stream */
	int			side;
	bool		first;			/* round of the batch */
	bool		last;
} BatchInput;

/* What the batch has taken in. */
typedef struct Intake
{
	int64		begun_ms;
	int64		nrows;
	int64		nrejects;
	TimestampTz newest;
	SxPosition *after;			/* where the task stands then */
	int			nafter;
} Intake;

/* A batch of several rounds is given up, to be taken in one by one. */
static bool given_up = false;

static void
give_up(void)
{
	given_up = true;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a batch of several rounds is taken in again")));
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

/* With a lock held: has what we know of the view changed since? */
static void
check_current(const SxViewRun *run, const BatchInput *in)
{
	if (run->stale || in->task->stream->stale)
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
open_view(SxViewRun *run, BatchInput *in)
{
	SxOwnerScope scope;
	ConstraintsSetStmt *immediate = makeNode(ConstraintsSetStmt);
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

	sx_result_emit_begin(run->result, run->outbox);

	/* what is checked at COMMIT would fail for no row, and as superuser */
	AfterTriggerSetState(immediate);
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
static void
close_windows(SxViewRun *run, SxTask *task, int64 closed_before)
{
	int64		closed = sx_watermark_closed(run, run->next_watermark_us);
	SxOwnerScope scope;

	if (!sx_result_can_close(run->result, closed))
		return;
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
settle(SxViewRun *run, const BatchInput *in)
{
	/* a native position from before the first batch is not known */
	bool		store = in->task->npositions == 0 &&
	strcmp(in->task->stream->def->kind, "native") == 0;
	SxOwnerScope scope;

	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_settle(run->result, store);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

/* Take out what leaves a sliding window by the clock. */
static void
leave_window(SxViewRun *run)
{
	SxOwnerScope scope;

	if (sx_result_leaves_at(run->result) > GetCurrentTransactionStartTimestamp())
		return;
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	run->counters.rows_out += sx_result_leave(run->result);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
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
	else
	{
		SxRows		rows;
		int64		dropped = 0;

		dest = sx_exec_collector(&rows, CurrentMemoryContext);
		sx_late_run_plan(run, plan, input, dest, closed_us);
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
apply(SxViewRun *run, BatchInput *in, int64 first, int64 end)
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
static void
finish_sink(SxViewRun *run)
{
	SxOwnerScope scope;

	if (!OidIsValid(run->view->sink))
		return;
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

/* Row number over all batches -> the message it came from. */
static void
row_as_reject(BatchInput *in, int64 row, SxReject *reject)
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
row_as_payload(BatchInput *in, int64 row, SxReject *reject)
{
	Relation	rel = table_open(in->def->relid, AccessShareLock);
	MemoryContext old = MemoryContextSwitchTo(batch_cxt);
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

/* An error that stops a view: which row it was. */
static char *
row_message(const SxStream *stream, const SxReject *reject, const char *message)
{
	return psprintf(_("partition %d, offset " INT64_FORMAT " of stream \"%s\": %s"),
					reject->partition, reject->position, stream->name,
					message ? message : "unknown error");
}

/* What a failed view is told to do; the subtransaction is rolled back. */
typedef struct ViewOutcome
{
	bool		stopped;		/* error says why */
	bool		again;			/* later */
	bool		left_out;		/* the same, but nothing is wrong */
	int64		retried;		/* rows before this one get no second try */
	ErrorData  *error;
} ViewOutcome;

static bool run_range(SxViewRun *run, BatchInput *in, int64 first, int64 end,
					  ViewOutcome *outcome);

static int64
backoff_ms(int failures)
{
	return Min(BACKOFF_FIRST_MS << Min(failures, 6), BACKOFF_MAX_MS);
}

/* The error is not that of a row: what does it mean for the view? */
static void
judge(SxViewRun *run, ErrorData *error, ViewOutcome *outcome)
{
	outcome->error = error;
	if (blame(error->sqlerrcode) != BLAME_MOMENT)
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
			run->retry_ms = sx_now_ms() + backoff_ms(run->retries++);
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
run_part(SxViewRun *run, BatchInput *in, int64 first, int64 end, int64 *rest,
		 ViewOutcome *outcome)
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
	part_cxt = AllocSetContextCreate(batch_cxt, "streamx part of a batch",
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
		MemoryContextSwitchTo(batch_cxt);
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
		give_up();
	if (sx_result_lost(run->result))
	{
		outcome->left_out = true;
		return false;
	}
	if (blame(edata->sqlerrcode) != BLAME_ROW)
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
		return run_range(run, in, first, *rest, outcome);
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
		edata->message = row_message(in->def, &reject, edata->message);
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
static bool
run_range(SxViewRun *run, BatchInput *in, int64 first, int64 end,
		  ViewOutcome *outcome)
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
expire_unmatched(SxViewRun *run, BatchInput *in, SxPairs *pairs, int64 from, int64 to,
				 MemoryContext cxt, ViewOutcome *outcome)
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
			BatchInput	part = {.task = in->task,.expired = pairs,.side = side};

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
			if (!run_range(run, &part, 0, part.nrows, outcome))
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
static bool
expire_rows(SxViewRun *run, BatchInput *in, ViewOutcome *outcome)
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

/*
 * The view's part of a round, in a subtransaction around those of its rows:
 * when the view does not get through, nothing of what it did stays, as its
 * progress does not move either.  *closing: that it was in closing windows.
 */
static void
try_view(SxViewRun *run, BatchInput *in, ViewOutcome *outcome, volatile bool *closing)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback context;
	ErrorData  *volatile edata = NULL;
	SxSpent		before = sx_spent;
	int64		begin = sx_clock_us();

	if (in->first)
	{
		memset(&run->counters, 0, sizeof(run->counters));
		memset(&run->spent, 0, sizeof(run->spent));
	}
	memset(outcome, 0, sizeof(*outcome));
	run->counters.rows_in += in->nrows;
	if (in->first && in->nrows == 0 && !in->task->refill && !sx_view_due(run, run->next_watermark_us) &&
		sx_result_leaves_at(run->result) > GetCurrentTransactionStartTimestamp())
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
	context.callback = context_callback;
	context.arg = run;
	context.previous = error_context_stack;
	error_context_stack = &context;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		if (in->first)
		{
			open_view(run, in);
			run->closed_before_us = windows_closed(run, run->watermark_us);
			if (!in->last)
				(void) sx_result_gather(run->result);
		}
		check_current(run, in);

		/* the whole at once; it is divided only if it fails */
		if (run_range(run, in, 0, in->nrows, outcome) &&
			(!in->last || expire_rows(run, in, outcome)))
		{
			if (!in->last)
				;				/* more is to come */
			else if (!in->task->refill)
			{
				flush_gathered(run);
				*closing = true;
				close_windows(run, in->task, run->closed_before_us);
				*closing = false;
				leave_window(run);
				finish_sink(run);
				settle(run, in);
			}
			else
				sx_result_emit_discard(run->result);
			ReleaseCurrentSubTransaction();
		}
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(batch_cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	error_context_stack = context.previous;

	if (edata != NULL && ProcDiePending)
		ReThrowError(edata);
	if (in->task->rounds &&
		(edata != NULL || outcome->stopped || outcome->again || outcome->left_out))
		give_up();
	if (edata != NULL)
	{
		memset(outcome, 0, sizeof(*outcome));
		judge(run, edata, outcome);
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

/*
 * Groups whose rows fail as their window closes are given up, the others are
 * written.
 */
static void
run_view(SxViewRun *run, BatchInput *in, ViewOutcome *outcome)
{
	volatile bool closing = false;

	try_view(run, in, outcome, &closing);
	if (!closing || !outcome->stopped || !in->first ||
		in->def->on_error == SX_ON_ERROR_STOP ||
		!sx_result_is_row_error(outcome->error->sqlerrcode))
		return;
	FreeErrorData(outcome->error);
	sx_result_set_shed(run->result, in->def->on_error == SX_ON_ERROR_SKIP ?
					   SX_SHED_COUNT : SX_SHED_KEEP);
	closing = false;
	try_view(run, in, outcome, &closing);
	run->counters.dead_letters += sx_result_nshed(run->result);
	sx_result_set_shed(run->result, SX_SHED_NOTHING);
}

static void stop_view(SxTask *task, SxViewRun *run, ErrorData *error);

bool
sx_batch_follow(SxViewRun *run, SxTask *task)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback context;
	ErrorData  *volatile edata = NULL;
	BatchInput	in = {.task = task,.def = task->stream->def};
	ViewOutcome outcome = {0};
	SxSpent		spent_before = sx_spent;
	int64		begin = sx_clock_us();

	memset(&run->spent, 0, sizeof(run->spent));
	sx_report_doing(task, "following into %s", run->view->name);

	memset(&run->counters, 0, sizeof(run->counters));
	context.callback = context_callback;
	context.arg = run;
	context.previous = error_context_stack;
	error_context_stack = &context;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		SxOwnerScope scope;

		open_view(run, &in);
		sx_owner_enter(run->view, &scope);
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		run->counters.rows_out = sx_result_follow(run->result, run->behind);
		sx_result_emit_part(run->result);
		PopActiveSnapshot();
		sx_owner_leave(&scope);
		finish_sink(run);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(batch_cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	error_context_stack = context.previous;
	if (edata == NULL)
	{
		run->failures = 0;
		note_spent(run, &spent_before, begin);
		return true;
	}

	if (ProcDiePending)
		ReThrowError(edata);
	if (run->result)
		sx_result_emit_discard(run->result);
	run->behind = true;
	run->retry_ms = sx_now_ms() + BACKOFF_FIRST_MS;
	judge(run, edata, &outcome);
	if (outcome.stopped)
	{
		stop_view(task, run, edata);
		run->stale = true;
		sx_streams_mark_stale();
	}
	else if (!run->stale)
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg("continuous view \"%s\" is tried again: %s", run->view->name, edata->message)));
	return false;
}

/* ---- the batch ---- */

/* Rejected messages of the stream; true: the stream's policy is to stop. */
static int64
keep_rejects(SxTask *task, SxBatch *list)
{
	SxStreamRun *stream = task->stream;
	SxBatch    *b;
	int64		kept = 0;
	int			i;

	for (b = list; b; b = b->next)
	{
		for (i = 0; i < b->nrejects; i++)
		{
			if (stream->def->on_error == SX_ON_ERROR_STOP)
				ereport(ERROR,
						(errcode(MAKE_SQLSTATE(b->rejects[i].sqlstate[0], b->rejects[i].sqlstate[1],
											   b->rejects[i].sqlstate[2], b->rejects[i].sqlstate[3],
											   b->rejects[i].sqlstate[4])),
						 errmsg_internal("%s", row_message(stream->def, &b->rejects[i],
														   b->rejects[i].error))));
			if (stream->def->on_error == SX_ON_ERROR_DEAD_LETTER &&
				sx_result_dead_letter(stream->relid, InvalidOid, &b->rejects[i]))
				kept++;
		}
	}
	return kept;
}

/*
 * Where reading of a partition began whose position this batch is the first
 * to tell: at its first message, or where there was none.
 */
static int64
first_offset(const SxBatch *b, const SxPosition *position)
{
	int64		result = position->next_offset;
	int			i;

	for (i = 0; i < b->nrows; i++)
	{
		if (b->partition[i] == position->partition)
		{
			result = Min(result, b->position[i]);
			break;
		}
	}
	for (i = 0; i < b->nrejects; i++)
	{
		if (b->rejects[i].partition == position->partition)
			result = Min(result, b->rejects[i].position);
	}
	return result;
}

/*
 * Positions after these rows, when it was "before" before them; their
 * watermarks as the rows push them.
 */
static SxPosition *
positions_after(SxTask *task, SxBatch *list, const SxPosition *before, int nbefore,
				int *n)
{
	SxPosition *after;
	int			max = nbefore;
	SxBatch    *b;
	int			i;

	for (b = list; b; b = b->next)
		max += b->npositions;
	after = palloc(sizeof(SxPosition) * Max(max, 1));
	*n = nbefore;
	memcpy(after, before, sizeof(SxPosition) * nbefore);
	for (b = list; b; b = b->next)
	{
		for (i = 0; i < b->npositions; i++)
		{
			SxPosition *p = sx_position_find(after, *n, b->positions[i].partition);

			if (p == NULL)
			{
				p = &after[(*n)++];
				*p = b->positions[i];
				p->watermark_us = PG_INT64_MIN;
				p->first_offset = first_offset(b, &b->positions[i]);
			}
			p->next_offset = b->positions[i].next_offset;
			if (b->positions[i].snapshot)
				p->snapshot = pstrdup(b->positions[i].snapshot);
		}
		sx_window_observe(task->stream->def, b, after, *n);
	}
	return after;
}

static bool
position_changed(SxTask *task, const SxPosition *p)
{
	SxPosition *old = sx_position_find(task->positions, task->npositions, p->partition);

	return old == NULL || old->next_offset != p->next_offset ||
		old->watermark_us != p->watermark_us ||
		(p->snapshot != NULL &&
		 (old->snapshot == NULL || strcmp(p->snapshot, old->snapshot) != 0));
}

/* A view has stopped: kept in the catalog, in the transaction at hand. */
static void
stop_view(SxTask *task, SxViewRun *run, ErrorData *error)
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

/*
 * Are rows likely to be waiting when this round is through, and is it worth
 * while to take them in before anything is written?
 */
static bool
go_on(SxTask *task, const Intake *intake, const BatchInput *in)
{
	int64		limit = (int64) sx_state_memory_kb * 1024;
	int64		bytes = 0;
	int64		since;
	bool		full;
	bool		shared = list_length(sx_streams) > 1 || list_length(task->stream->tasks) > 1;
	ListCell   *lc;

	if (!task->rounds || in->nrows == 0 || sx_streams_stale() ||
		intake->nrows >= sx_max_batch_rows ||
		sx_now_ms() - intake->begun_ms >= (shared ? ROUNDS_SHARED_MS : ROUNDS_MS))
		return false;

	/* what is read when it comes is not behind */
	if ((in->nrows < ROUND_ROWS || task->stream->lag_rows < 2 * in->nrows) &&
		sx_reader_waiting_rows(task->reader, &since, &full) < in->nrows)
		return false;
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->result)
			bytes += sx_result_gathered_bytes(run->result);
	}
	return bytes < limit;
}

/* May the batch that begins have several rounds? */
static bool
may_have_rounds(SxTask *task)
{
	if (task->careful > 0)
	{
		task->careful--;
		return false;
	}
	return sx_reader_threaded(task->reader) && task->refill == NULL && task->limits == NULL;
}

/* Rows for another round; NULL: there are none. */
static SxBatch *
take_more(SxTask *task)
{
	int64		until = sx_now_ms() + ROUND_WAIT_MS;
	SxBatch    *list;

	for (;;)
	{
		int64		since;
		bool		full;
		int64		rows = sx_reader_waiting_rows(task->reader, &since, &full);

		CHECK_FOR_INTERRUPTS();
		if (full || rows >= 4 * ROUND_ROWS || sx_now_ms() >= until ||
			sx_reader_failure(task->reader))
			break;
		pg_usleep(2000L);
	}
	sx_reader_take(task->reader, sx_max_batch_rows, (int64) sx_max_batch_kb * 1024, &list);
	return list;
}

/*
 * Take these rows in: all views run over them.  Returns whether the batch goes
 * on with another round.
 */
static bool
run_round(SxTask *task, Intake *intake, SxBatch *list, bool first, List **leaving)
{
	SxStreamRun *stream = task->stream;
	SxOwnerScope scope;
	BatchInput	in = {0};
	SxBatch    *b;
	int64		begin = sx_clock_us();
	int			i;
	ListCell   *lc;

	/* checks of a domain are code of users: that of the stream's owner */
	sx_owner_enter_role(stream->def->owner, &scope);
	for (b = list; b; b = b->next)
	{
		if (b->ndeferred > 0)
			sx_fdw_resolve_deferred(b, stream->resolver);
	}
	sx_owner_leave(&scope);
	sx_join_trim(task, list);
	for (b = list; b; b = b->next)
	{
		sx_window_reject_ahead(stream->def, b);
		in.nbatches++;
		in.nrows += b->nrows;
		record.decode_us += b->decode_us;
		if (b->nrows > 0)
			intake->newest = Max(intake->newest, b->timestamp_us[b->nrows - 1]);
		intake->nrejects += b->nrejects;
	}
	intake->nrows += in.nrows;
	in.task = task;
	in.def = stream->def;
	in.first = first;
	in.last = !go_on(task, intake, &in);
	if (first && in.last)
		task->rounds = false;
	in.batches = palloc(sizeof(SxBatch *) * Max(in.nbatches, 1));
	i = 0;
	for (b = list; b; b = b->next)
		in.batches[i++] = b;

	begin = sx_clock_us() - begin;
	record.decode_us += begin;
	record.commit_us += begin;
	if (task->refill)
		sx_refill_skip(task, list);
	else
	{
		(void) keep_rejects(task, list);
		sx_watermark_active(task, list);
	}
	intake->after = positions_after(task, list, intake->after, intake->nafter,
									&intake->nafter);

	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);
		ViewOutcome outcome;

		run->in_batch = false;
		if (run->retry_ms > sx_now_ms() && list_length(task->views) > 1)
		{
			/* on another stream it has just failed */
			if (task->rounds)
				give_up();
			*leaving = lappend(*leaving, run);
			continue;
		}
		run->next_watermark_us = sx_watermark_after(task, run, intake->after, intake->nafter);
		run_view(run, &in, &outcome);
		if (outcome.left_out)
		{
			*leaving = lappend(*leaving, run);
			continue;
		}
		if (outcome.stopped)
		{
			stop_view(task, run, outcome.error);
			run->retry_ms = 0;
			*leaving = lappend(*leaving, run);
			continue;
		}
		if (outcome.again)
		{
			/* alone, or nobody got through: the batch is tried again */
			if (list_length(task->views) == 1)
			{
				error_told = true;
				ReThrowError(outcome.error);
			}
			*leaving = lappend(*leaving, run);
			continue;
		}
		run->in_batch = true;
	}
	return !in.last;
}

/* Everything between take and commit; returns rows of the batch. */
static int64
batch_body(SxTask *task, SxBatch *volatile *list, List **leaving, TimestampTz *newest)
{
	SxStreamRun *stream = task->stream;
	Intake		intake = {.begun_ms = sx_now_ms(),.after = task->positions,.nafter = task->npositions};
	SxPosition *changed;
	int			nchanged = 0;
	const SxPosition *replay;
	int			nreplay;
	int			i;
	int64		begin;
	bool		first = true;
	ListCell   *lc;

	task->rounds = may_have_rounds(task);
	while (run_round(task, &intake, *list, first, leaving))
	{
		sx_reader_give_back(task->reader, *list);
		*list = NULL;
		begin = sx_clock_us();
		*list = take_more(task);
		record.commit_us += sx_clock_us() - begin;
		SX_STOP("next_round", stream->def->name);
		first = false;
	}
	record.rows = intake.nrows;
	record.dead_letters = intake.nrejects;
	record.latency_us = intake.newest;
	changed = palloc(sizeof(SxPosition) * Max(intake.nafter, 1));
	for (i = 0; i < intake.nafter; i++)
	{
		if (position_changed(task, &intake.after[i]))
			changed[nchanged++] = intake.after[i];
	}

	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (!run->in_batch)
			continue;
		if (task->refill)
		{
			SX_STOP("refill", run->view->name);
			(void) sx_result_replay(run->result, task->positions, task->npositions,
									intake.after, intake.nafter, &replay, &nreplay);
			run->next_watermark_us = run->watermark_us;
			run->in_batch = false;
			continue;
		}
		SX_STOP("before_progress", run->view->name);
		sx_checkpoint_advance(run->relid, stream->relid, changed, nchanged);
		SX_STOP("after_progress", run->view->name);
		sx_refill_save(task, run, intake.after, intake.nafter);
		/* what did not decode is missing in every view */
		run->counters.dead_letters += intake.nrejects;
		if (intake.nrows > 0 || intake.nrejects > 0)
			run->counters.batches = 1;
		if (run->view->notify && run->counters.rows_out > 0)
			Async_Notify(run->view->notify, run->view->name);
		run->counters.watermark_us = run->next_watermark_us;
		if (run->counters.batches > 0 || run->counters.outbox > 0 ||
			run->next_watermark_us != run->watermark_us)
			sx_view_count(run->relid, &run->counters);
	}
	if (!task->refill)
		sx_follow(task, changed, nchanged, intake.nrows > 0);
	PopActiveSnapshot();
	sx_report_doing(task, "committing " INT64_FORMAT " rows", intake.nrows);
	SX_STOP("before_commit", stream->def->name);
	CommitTransactionCommand();
	SX_STOP_THREAD("after_commit", stream->def->name);

	MemoryContextSwitchTo(batch_cxt);
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (list_member_ptr(*leaving, run))
		{
			sx_refill_leave(task, run);
			continue;
		}
		run->watermark_us = run->next_watermark_us;
		run->retries = 0;
		run->retry_ms = 0;
		if (run->result)
			sx_result_committed(run->result);
		if (run->counters.outbox > 0)
		{
			run->outbox += run->counters.outbox;
			sx_senders_written(run->relid, run->outbox);
		}
	}
	sx_follow_done(task, true);
	sx_task_set_positions(task, intake.after, intake.nafter);
	if (task->rounds)
		task->next_careful = 0;
	*newest = intake.newest;
	return intake.nrows;
}

/* After an error at the batch's edge: nothing happened, later again. */
static void
batch_failed(SxTask *task, ErrorData *error, bool stop)
{
	ListCell   *lc;

	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->result)
		{
			sx_result_forget(run->result);
			sx_result_undo(run->result, 0);
			if (sx_result_lost(run->result))
				sx_refill_lost(run);
		}
		sx_pairs_forget(run);
		if (stop)
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			stop_view(task, run, error);
			PopActiveSnapshot();
			CommitTransactionCommand();
			run->stale = true;
		}
	}
	sx_follow_done(task, false);
	task->seek = true;
	if (given_up)
	{
		task->next_careful = Max(1, Min(task->next_careful * 2, MAX_CAREFUL));
		task->careful = task->next_careful;
	}
	else
		task->retry_ms = sx_now_ms() + backoff_ms(task->failures++);
}

SxBatchOutcome
sx_batch_run(SxTask *task)
{
	MemoryContext old = CurrentMemoryContext;
	SxBatch    *volatile list = NULL;
	List	   *volatile leaving = NIL;
	volatile int64 rows = 0;
	volatile TimestampTz newest = 0;
	volatile bool failed = false;
	volatile bool took = false;
	volatile int64 begin = 0;
	volatile bool ran = false;
	ListCell   *lc;

	given_up = false;
	if (batch_cxt == NULL)
		batch_cxt = AllocSetContextCreate(TopMemoryContext, "streamx batch",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(batch_cxt);
	MemoryContextSwitchTo(batch_cxt);
	memset(&record, 0, sizeof(record));
	error_told = false;

	PG_TRY();
	{
		if (task->seek)
		{
			SX_STOP("attach", task->stream->def->name);
			sx_reader_seek(task->reader, task->positions, task->npositions,
						   task->start);
			if (task->refill)
				sx_refill_bound(task);
			task->seek = false;
		}
		if (sx_reader_has_intake(task->reader))
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			if (sx_reader_intake(task->reader))
				SX_STOP("intake", task->stream->def->name);
			PopActiveSnapshot();
			CommitTransactionCommand();
			MemoryContextSwitchTo(batch_cxt);
		}
		begin = sx_clock_us();
		SetCurrentStatementStartTimestamp();	/* now() of the batch */
		StartTransactionCommand();
		MemoryContextSwitchTo(batch_cxt);
		PushActiveSnapshot(GetTransactionSnapshot());

		/*
		 * The stream is locked before its views, as whoever drops it does;
		 * taking the lock also brings in what has changed.
		 */
		LockRelationOid(task->stream->relid, AccessShareLock);
		if (task->refill)
			sx_refill_check_source(task);
		if (!sx_streams_stale())
		{
			sx_reader_take(task->reader, sx_max_batch_rows,
						   (int64) sx_max_batch_kb * 1024,
						   (SxBatch **) &list);
			if (list)
				SX_STOP("take", task->stream->def->name);
		}
		record.commit_us = sx_clock_us() - begin;
		ran = list || (task->close_due && !sx_streams_stale());
		if (ran)
		{
			took = list != NULL;
			rows = batch_body(task, &list, (List **) &leaving,
							  (TimestampTz *) &newest);
		}
		else
		{
			PopActiveSnapshot();
			CommitTransactionCommand();
		}
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		bool		stop;

		MemoryContextSwitchTo(batch_cxt);
		edata = CopyErrorData();

		/* rows that do not decode under on_error = stop stop all views */
		stop = task->stream->def->on_error == SX_ON_ERROR_STOP && !given_up &&
			blame(edata->sqlerrcode) == BLAME_ROW;

		/* as do rows of open windows that are gone */
		if (task->refill && edata->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			stop = true;
		HOLD_INTERRUPTS();

		/* a definition that changed under the batch is no news */
		if (!given_up &&
			!(edata->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE && sx_streams_stale()))
		{
			EmitErrorReport();
			if (!stop && !error_told)
				sx_history_error(MyDatabaseId, SX_ERROR_BATCH_RETRIED, task->stream->relid,
								 InvalidOid, unpack_sql_state(edata->sqlerrcode),
								 edata->message ? edata->message : "");
		}
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
		MemoryContextSwitchTo(batch_cxt);
		batch_failed(task, edata, stop);
		failed = true;
	}
	PG_END_TRY();
	if (list)
		sx_reader_give_back(task->reader, list);
	MemoryContextSwitchTo(old);
	if (failed)
		return SX_BATCH_FAILED;

	record.total_us = sx_clock_us() - begin;
	if (ran && !task->refill)
		sx_report_history(task, &record);
	task->failures = 0;
	task->last_rows = rows;
	task->close_due = false;
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->result)
			sx_result_trim(run->result);
	}

	/* stopped ones go; those that failed alone come back on their own */
	foreach(lc, (List *) leaving)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->retry_ms != 0 && !run->stale)
			sx_task_part(task, run);
		else
		{
			run->stale = true;
			sx_streams_mark_stale();
		}
		if (run->result && sx_result_lost(run->result))
			sx_refill_lost(run);
	}
	if (task->refill)
		sx_refill_check_done(task);
	else if (took)
		sx_report_batch(task, rows, newest);
	MemoryContextReset(batch_cxt);
	return took ? SX_BATCH_DONE : SX_BATCH_NOTHING;
}

/* ---- streamx.rebuild: outside a worker, in the caller's transaction ---- */

/* What a worker would make of it is the caller's error. */
static void
raise_outcome(SxViewRun *run, ViewOutcome *outcome)
{
	if (outcome->error)
		ReThrowError(outcome->error);
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("could not keep the open windows of continuous view \"%s\"", run->view->name),
			 errhint("Try again.")));
}

static void
begin_rebuilding(BatchInput *in, SxTask *task, SxStreamRun *stream_run, const SxStream *stream)
{
	if (batch_cxt == NULL)
		batch_cxt = AllocSetContextCreate(TopMemoryContext, "streamx batch",
										  ALLOCSET_DEFAULT_SIZES);
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
	BatchInput	in;
	SxTask		task;
	SxStreamRun stream_run;
	ViewOutcome outcome = {0};

	begin_rebuilding(&in, &task, &stream_run, stream);
	in.batches = &batch;
	in.nbatches = 1;
	in.nrows = batch->nrows;
	if (!run_range(run, &in, 0, batch->nrows, &outcome))
		raise_outcome(run, &outcome);
	sx_result_trim(run->result);
	MemoryContextReset(batch_cxt);
}

void
sx_batch_rebuilt(SxViewRun *run, const SxStream *stream, int64 watermark_us, bool shed)
{
	BatchInput	in;
	SxTask		task;
	SxStreamRun stream_run;
	ViewOutcome outcome = {0};
	SxOwnerScope scope;

	begin_rebuilding(&in, &task, &stream_run, stream);
	run->next_watermark_us = watermark_us;
	if (!expire_rows(run, &in, &outcome))
		raise_outcome(run, &outcome);
	sx_result_set_shed(run->result, shed ? SX_SHED_KEEP : SX_SHED_NOTHING);
	close_windows(run, &task, PG_INT64_MIN);
	run->counters.dead_letters += sx_result_nshed(run->result);
	sx_result_set_shed(run->result, SX_SHED_NOTHING);
	leave_window(run);
	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	sx_result_settle(run->result, true);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
	MemoryContextReset(batch_cxt);
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
	finish_sink(run);
}
