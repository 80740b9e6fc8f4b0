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
 * one round each, in which errors are looked after.
 *
 * Each view has its part of it in a subtransaction of its own (batch_view.c).
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
#include "worker/batch_internal.h"
#include "worker/crash.h"
#include "worker/intake.h"
#include "worker/refill.h"
#include "worker/task.h"

#define ROUNDS_MS		1000	/* no further round after that long */
#define ROUNDS_SHARED_MS 200	/* the same where other tasks wait */
#define ROUND_ROWS		16384	/* fewer rows may be all there is */
#define ROUND_WAIT_MS	100		/* for a round to become worth it */
#define MAX_CAREFUL		64		/* batches of one round after an error */
#define MAX_PUT_OFF		3		/* in succession, for views that change */
#define FOLD_RETRY_MS	60000	/* when there were no processes to be had */

MemoryContext sx_batch_cxt = NULL;
bool		sx_batch_given_up = false;

/* The batch at hand; commit_us: reading and resolving, until it is complete. */
static SxBatchRecord record;

/* The batch at hand is put off, see lock_views(): no view has run. */
static bool put_off;

/* The error at hand is that of a view, and in the history already. */
static bool error_told;

void
sx_batch_cxt_open(void)
{
	if (sx_batch_cxt == NULL)
		sx_batch_cxt = AllocSetContextCreate(TopMemoryContext, "streamx batch",
											 ALLOCSET_DEFAULT_SIZES);
}

void
sx_batch_give_up(void)
{
	sx_batch_given_up = true;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a batch of several rounds is taken in again")));
}

/* What the batch has taken in. */
typedef struct Intake
{
	int64		begun_ms;
	int64		nrows;
	int64		nrejects;
	TimestampTz newest;
	SxPosition *after;			/* where the task stands then */
	int			nafter;
	List	   *gone;			/* it has no rows, but saves that task->gone
								 * is */
	bool		anew;			/* what was read before is not to be had again */
} Intake;

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
						 errmsg_internal("%s", sx_batch_row_message(stream->def, &b->rejects[i],
																	b->rejects[i].error))));
			if (stream->def->on_error == SX_ON_ERROR_DEAD_LETTER &&
				sx_result_dead_letter(stream->relid, InvalidOid, &b->rejects[i]))
				kept++;
		}
	}
	return kept;
}

static bool
position_changed(SxTask *task, const SxPosition *p)
{
	SxPosition *old = sx_position_find(task->positions, task->npositions, p->partition);

	return old == NULL || old->next_offset != p->next_offset ||
		old->watermark_us != p->watermark_us || old->gone != p->gone ||
		(p->snapshot != NULL &&
		 (old->snapshot == NULL || strcmp(p->snapshot, old->snapshot) != 0));
}

/*
 * Are rows likely to be waiting when this round is through, and is it worth
 * while to take them in before anything is written?
 */
static bool
go_on(SxTask *task, const Intake *intake, const SxBatchInput *in)
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
	ListCell   *lc;

	foreach(lc, task->views)
	{
		if (sx_crash_suspected(((SxViewRun *) lfirst(lc))->relid))
			return false;
	}
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
 * All views get their locks before one of them runs.  Where the definition of
 * one has changed, or only its statistics, the batch is put off until it has been
 * looked at anew: without it the others would go ahead, and it would have to read
 * by itself until it meets them again.  ERROR, which is no news.
 */
static void
lock_views(SxTask *task, SxBatchInput *in, const Intake *intake)
{
	bool		stale = false;
	ListCell   *lc;

	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		run->next_watermark_us = sx_watermark_after(task, run, intake->after, intake->nafter);
		sx_view_lock(run, in);
		stale |= run->stale && !run->locked && run->retry_ms <= sx_now_ms();
	}
	if (!stale || list_length(task->views) == 1 || task->put_off >= MAX_PUT_OFF)
		return;
	task->put_off++;
	put_off = true;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the views of stream \"%s\" have changed", task->stream->def->name)));
}

/* That what was read is gone, with the batch's progress. */
static void
mark_gone(SxTask *task, Intake *intake)
{
	int			i;

	for (i = 0; i < intake->nafter; i++)
	{
		if (list_member_int(intake->gone, intake->after[i].partition))
			intake->after[i].gone = true;
	}
}

/*
 * The same for views that save no progress in this batch: they are not through
 * it, or read again, or are paused or stopped.
 */
static void
mark_others_gone(const SxTask *task, const Intake *intake)
{
	Oid			stream = task->stream->relid;
	ListCell   *lc;

	foreach(lc, sx_view_list_of_stream(stream))
	{
		Oid			relid = lfirst_oid(lc);
		SxViewRun  *run = sx_view_find(relid);
		const SxView *view = run ? run->view : sx_view_get(relid);

		if (view == NULL || view->sources)
			continue;
		if (run && !(list_member_ptr(task->views, run) && (task->refill || !run->in_batch)))
			continue;
		sx_checkpoint_set_deleted(relid, stream, intake->gone, true);
	}
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
	SxBatchInput in = {0};
	SxBatch    *b;
	int64		begin = sx_clock_us();
	MemoryContext old;
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
		in.nrows += sx_batch_rows(b);
		record.decode_us += b->decode_us;
		intake->newest = Max(intake->newest, sx_batch_newest(b));
		intake->nrejects += b->nrejects;
	}
	intake->nrows += in.nrows;
	in.task = task;
	in.def = stream->def;
	in.first = first;
	in.last = !go_on(task, intake, &in);
	if (first && in.last && !sx_reader_folding(task->reader))
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
		intake->anew |= sx_positions_begin_anew(stream->def, list, intake->after, intake->nafter);
	}
	old = MemoryContextSwitchTo(task->cxt);
	sx_batches_gone(list, &task->gone);
	MemoryContextSwitchTo(old);
	in.store = intake->anew;
	intake->after = sx_positions_after(stream->def, list, intake->after, intake->nafter,
									   &intake->nafter);

	if (first)
		lock_views(task, &in, intake);
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);
		SxViewOutcome outcome;

		run->in_batch = false;
		if (run->retry_ms > sx_now_ms() && list_length(task->views) > 1)
		{
			/* on another stream it has just failed */
			if (task->rounds)
				sx_batch_give_up();
			*leaving = lappend(*leaving, run);
			continue;
		}
		run->next_watermark_us = sx_watermark_after(task, run, intake->after, intake->nafter);
		sx_view_round(run, &in, &outcome);
		if (outcome.left_out)
		{
			*leaving = lappend(*leaving, run);
			continue;
		}
		if (outcome.stopped)
		{
			sx_view_stop(task, run, outcome.error);
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

static bool
all_passed(const SxStreamRun *stream)
{
	ListCell   *lc;

	foreach(lc, stream->tasks)
	{
		if (!((SxTask *) lfirst(lc))->passed)
			return false;
	}
	return true;
}

/* The source may go on from the task's positions: anew, if its stream says so. */
static void
gone_saved(SxTask *task)
{
	ListCell   *lc;

	list_free(task->gone);
	task->gone = NIL;
	task->seek = true;
	if (task->refill == NULL || !task->stream->def->continue_on_loss)
		return;

	/* there is nothing to fill it with: without */
	foreach(lc, task->views)
		((SxViewRun *) lfirst(lc))->stale = true;
	sx_streams_mark_stale();
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

	if (*list == NULL && task->gone != NIL)
	{
		intake.gone = list_copy(task->gone);
		intake.anew = true;
	}

	/* rows that are not here cannot be looked after one by one either */
	task->rounds = may_have_rounds(task) || sx_reader_folding(task->reader);
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
	if (intake.gone)
	{
		mark_gone(task, &intake);
		mark_others_gone(task, &intake);
	}
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

	MemoryContextSwitchTo(sx_batch_cxt);
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
		if (!task->refill)
			sx_crash_passed(run->relid, run->steps);
		if (run->result)
			sx_result_committed(run->result);
		if (run->counters.outbox > 0)
		{
			run->outbox += run->counters.outbox;
			sx_senders_written(run->relid, run->outbox);
		}
	}

	/* what crashed them, each of its tasks has to be past */
	task->passed |= intake.nrows + intake.nrejects > 0;
	if (all_passed(stream))
		sx_crash_passed(stream->relid, SX_STEP_BIT(SX_STEP_DECODING) | SX_STEP_BIT(SX_STEP_READING));
	sx_follow_done(task, true);
	sx_task_set_positions(task, intake.after, intake.nafter);
	if (intake.gone)
		gone_saved(task);
	if (task->rounds)
		task->next_careful = 0;
	*newest = intake.newest;
	return intake.nrows;
}

/* The next batches have one round each, of rows that this process reads. */
static void
careful_for_a_while(SxTask *task)
{
	task->next_careful = Max(1, Min(task->next_careful * 2, MAX_CAREFUL));
	task->careful = task->next_careful;
}

/* After an error at the batch's edge: nothing happened, later again. */
static void
batch_failed(SxTask *task, ErrorData *error, bool stop)
{
	ListCell   *lc;

	foreach(lc, put_off ? NIL : task->views)
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
			sx_view_stop(task, run, error);
			PopActiveSnapshot();
			CommitTransactionCommand();
			run->stale = true;
		}
	}
	sx_follow_done(task, false);
	task->seek = true;
	if (sx_batch_given_up)
		careful_for_a_while(task);
	else if (!put_off)
		task->retry_ms = sx_now_ms() + sx_batch_backoff_ms(task->failures++);
}

/* ERROR if reading the stream has crashed too often to be tried again. */
static void
check_crashes(Oid stream)
{
	char	   *verdict;

	StartTransactionCommand();
	verdict = sx_crash_verdict(stream);
	if (verdict)
		ereport(ERROR,
				(errcode(SX_ERRCODE_CRASHED),
				 errmsg_internal("%s", verdict),
				 errhint("Mend the cause, then resume the views of the stream.")));
	CommitTransactionCommand();
	MemoryContextSwitchTo(sx_batch_cxt);
}

/* May fold processes read the task's rows, as its stream says (parallelism)? */
static bool
may_fold(const SxTask *task)
{
	ListCell   *lc;

	/*
	 * One task of the stream; and where reading begins is settled here, for
	 * all partitions together.
	 */
	if (sx_fold_processes(task->stream->def) < 2 ||
		task != linitial(task->stream->tasks) || task->npositions == 0 ||
		task->careful > 0 || task->refill || task->limits || task->hold_until_ms != 0 ||
		task->failures > 0 || sx_crash_suspected(task->stream->relid) ||
		sx_now_ms() < task->fold_after_ms)
		return false;
	foreach(lc, task->views)
	{
		const SxViewRun *run = lfirst(lc);

		if (run->result == NULL || !run->apart || run->stale ||
			sx_crash_suspected(run->relid))
			return false;
	}
	return task->views != NIL;
}

/* Who reads the stream from now on, fold processes or this one? */
static void
share_out(SxTask *task)
{
	SxFold	   *fold = sx_reader_folding(task->reader);
	const char *error = NULL;
	List	   *views = NIL;
	ListCell   *lc;

	switch (fold ? sx_fold_state(fold, &error) : SX_FOLD_WORKS)
	{
		case SX_FOLD_WORKS:
			break;
		case SX_FOLD_STALE:
			task->seek = true;
			break;
		case SX_FOLD_FAILED:
			ereport(LOG,
					(errmsg("fold processes of stream \"%s\" have failed, its worker goes on alone for a while",
							task->stream->def->name),
					 error ? errdetail_internal("%s", error) : 0));
			careful_for_a_while(task);
			break;
	}
	if (may_fold(task))
	{
		foreach(lc, task->views)
			views = lappend_oid(views, ((SxViewRun *) lfirst(lc))->relid);
	}
	if ((views != NIL) != (fold != NULL))
		task->seek = true;
	if (task->seek)
		sx_reader_fold(task->reader, views);
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

	sx_batch_given_up = put_off = false;
	sx_batch_cxt_open();
	MemoryContextReset(sx_batch_cxt);
	MemoryContextSwitchTo(sx_batch_cxt);
	memset(&record, 0, sizeof(record));
	error_told = false;
	sx_crash_at(task->stream->relid, InvalidOid, SX_STEP_READING);

	PG_TRY();
	{
		if (sx_crash_suspected(task->stream->relid))
			check_crashes(task->stream->relid);
		if (task->gone == NIL)
			share_out(task);
		if (task->seek && task->gone == NIL)
		{
			MemoryContextSwitchTo(task->cxt);
			sx_reader_stop(task->reader, &task->gone);
			MemoryContextSwitchTo(sx_batch_cxt);
		}
		if (task->seek && task->gone == NIL)
		{
			SX_STOP("attach", task->stream->def->name);
			sx_reader_seek(task->reader, task->positions, task->npositions,
						   task->start);
			if (task->refill)
				sx_refill_bound(task);
			task->seek = false;
			if (sx_reader_fold_refused(task->reader))
			{
				task->fold_after_ms = sx_now_ms() + FOLD_RETRY_MS;
				ereport(LOG,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("streamx could not start %d fold processes for stream \"%s\"",
								sx_fold_processes(task->stream->def), task->stream->def->name),
						 errhint("You might need to increase max_worker_processes.")));
			}
		}
		if (sx_reader_has_intake(task->reader))
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			if (sx_reader_intake(task->reader))
				SX_STOP("intake", task->stream->def->name);
			PopActiveSnapshot();
			CommitTransactionCommand();
			MemoryContextSwitchTo(sx_batch_cxt);
		}
		begin = sx_clock_us();
		SetCurrentStatementStartTimestamp();	/* now() of the batch */
		StartTransactionCommand();
		MemoryContextSwitchTo(sx_batch_cxt);
		PushActiveSnapshot(GetTransactionSnapshot());

		/*
		 * The stream is locked before its views, as whoever drops it does;
		 * taking the lock also brings in what has changed.
		 */
		LockRelationOid(task->stream->relid, AccessShareLock);
		if (task->refill)
			sx_refill_check_source(task);
		if (!sx_streams_stale() && task->gone == NIL)
		{
			sx_reader_take(task->reader, sx_max_batch_rows,
						   (int64) sx_max_batch_kb * 1024,
						   (SxBatch **) &list);
			if (list)
				SX_STOP("take", task->stream->def->name);
		}
		record.commit_us = sx_clock_us() - begin;
		ran = list || ((task->close_due || task->gone != NIL) && !sx_streams_stale());
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

		MemoryContextSwitchTo(sx_batch_cxt);
		edata = CopyErrorData();

		/* rows that do not decode under on_error = stop stop all views */
		stop = task->stream->def->on_error == SX_ON_ERROR_STOP && !sx_batch_given_up &&
			sx_batch_blame(edata->sqlerrcode) == SX_BLAME_ROW;

		/* as do rows of open windows that are gone */
		if (task->refill && edata->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			stop = true;

		/* reading it has crashed again and again */
		if (edata->sqlerrcode == SX_ERRCODE_CRASHED)
			stop = true;
		HOLD_INTERRUPTS();

		/* a definition that changed under the batch is no news */
		if (!sx_batch_given_up &&
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
		MemoryContextSwitchTo(sx_batch_cxt);
		batch_failed(task, edata, stop);
		failed = true;
	}
	PG_END_TRY();
	if (list)
		sx_reader_give_back(task->reader, list);
	sx_crash_at(InvalidOid, InvalidOid, SX_STEP_NONE);
	MemoryContextSwitchTo(old);
	if (failed)
		return SX_BATCH_FAILED;

	record.total_us = sx_clock_us() - begin;
	if (ran && !task->refill)
		sx_report_history(task, &record);
	task->failures = 0;
	task->put_off = 0;
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
	MemoryContextReset(sx_batch_cxt);
	return took ? SX_BATCH_DONE : SX_BATCH_NOTHING;
}
