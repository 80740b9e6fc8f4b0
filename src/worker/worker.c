/*-------------------------------------------------------------------------
 * worker.c
 *		A worker process: reads the streams assigned to it, batch by batch.
 *
 *		init -> { sync with the catalog when something changed
 *				  -> of each stream that has news or whose time has come:
 *					 run each task that is due -> join tasks -> report
 *				  -> wait for rows, a wake-up, or the next time } ...
 *
 * Quiet streams have no time of their own: news of them is told, by their
 * reader's thread or by who commits rows; besides, all are looked at together
 * once in a while.
 *
 * Stock signal handlers; a FATAL on SIGTERM aborts the batch at hand, and the
 * threads are joined on the way out.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/wait_event.h"
#include "compat.h"
#include "stats/stats.h"
#include "worker/control.h"
#include "worker/crash.h"
#include "worker/refill.h"
#include "worker/task.h"

#define REPORT_MS		500
#define SYNC_MS			10000	/* look at the catalog at least this often */
#define SYNC_MAX_MS		300000
#define SYNC_SHARE		5000	/* and more seldom where looking takes long */
#define BACKLOG_MS		200		/* batches gather this long while behind */
#define LOOK_MS			1000	/* a stream that is not quiet */
#define SEEK_AGAIN_MS	1000	/* after a reader has failed */
#define MIN_PAUSE_MS	20		/* between looks at a source we are woken for */
#define UNSETTLED_MS	1000	/* the same while it is to reach some position */
#define MIN_GATHER_MS	5		/* rows gather at least this long */
#define BUSY_SHARE		0.3		/* of our time: then they gather longest */
#define BUSY_MS			100		/* it is measured over such stretches */

static int	ready_fd = -1;

/* views over views hang together with many a stream: none is quiet then */
static bool any_follow = false;

/* share of our time that batches take, smoothed */
static double busy = 0;
static int64 busy_since_us = 0;
static int64 busy_us = 0;

static void
close_at_exit(int code, Datum arg)
{
	sx_senders_close_all();
	sx_streams_close_all();
}

/* A batch took so long (0: none was run); now and then see what share that is. */
static void
note_busy(int64 took_us)
{
	int64		now = sx_clock_us();
	int64		past = now - busy_since_us;
	double		share;

	busy_us += took_us;
	if (past < BUSY_MS * INT64CONST(1000))
		return;
	share = Min((double) busy_us / past, 1.0);
	busy = past > USECS_PER_SEC ? share : (busy + share) / 2;
	busy_since_us = now;
	busy_us = 0;
}

/*
 * How long rows of this task may gather before they go: the less there is to
 * do, the shorter.
 */
static int64
gather_ms(SxTask *task)
{
	int64		interval = 200;
	double		rate = 0;
	ListCell   *lc;

	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		interval = Min(interval, run->view->batch_interval_us / 1000);
		rate = Max(rate, run->rate);
	}

	/*
	 * Behind by more than a second's worth: bigger batches cost less.  Some
	 * batches' worth is no backlog: with small batches that is a moment.
	 */
	if (task->stream->lag_rows > 5 * task->last_rows && task->last_rows > 1000 &&
		task->stream->lag_rows > rate)
		return BACKLOG_MS;
	return Max((int64) (interval / 2 * Min(busy / BUSY_SHARE, 1.0)),
			   Min(MIN_GATHER_MS, interval / 2));
}

/*
 * Milliseconds until the task has to be looked at; 0: now, SX_NEVER_MS: when
 * there is news.
 */
static int64
task_due(SxTask *task, int64 now)
{
	if (task->retry_ms > now)
		return task->retry_ms - now;
	if (task->views == NIL || (task->gone == NIL && sx_join_holds(task)))
		return LOOK_MS;
	if (list_length(task->views) == 1)
	{
		SxViewRun  *run = linitial(task->views);

		if (run->retry_ms > now)
			return run->retry_ms - now;
	}
	if (task->gone != NIL)
		return 0;
	if (sx_reader_wants_seek(task->reader) && task->refill == NULL &&
		task->limits == NULL && task->failures == 0)
		task->seek = true;
	if (task->seek)
		return 0;
	if (task->close_due || sx_watermark_tick(task) || sx_follow_due(task))
	{
		task->close_due = true;
		return 0;
	}
	if (sx_reader_threaded(task->reader))
	{
		int64		since;
		bool		full;
		int64		rows = sx_reader_waiting_rows(task->reader, &since, &full);
		int64		gather;
		const char *error;

		if (sx_reader_folding(task->reader) &&
			sx_fold_state(sx_reader_folding(task->reader), &error) != SX_FOLD_WORKS)
			return 0;
		if (sx_reader_failure(task->reader))
		{
			task->seek = true;
			task->retry_ms = now + SEEK_AGAIN_MS;
			return SEEK_AGAIN_MS;
		}
		if (since == 0 && task->refill)
			return sx_refill_failed(task) ? 0 : LOOK_MS;
		if (since == 0)
			return task->limits || task->hold_until_ms != 0 ? LOOK_MS : SX_NEVER_MS;
		gather = gather_ms(task);
		if (full || rows >= sx_max_batch_rows || now - since >= gather)
			return 0;
		return since + gather - now;
	}
	return Max(task->due_ms - now, 0);
}

/* The task's source may have something: look at it, but not all the time. */
static void
hurry(SxTask *task, int64 now)
{
	task->due_ms = Min(task->due_ms, Max(now, task->last_look_ms + MIN_PAUSE_MS));
	task->stream->look_ms = 0;
}

/*
 * We were woken: which streams have news?  all: any may have.  Where many
 * are quiet, looking at each in a transaction is what costs.
 */
static void
look_for_news(bool all)
{
	int64		now = sx_now_ms();
	ListCell   *ls;
	ListCell   *lt;

	sx_stats_lock(false);
	foreach(ls, sx_streams)
	{
		SxStreamRun *stream = lfirst(ls);
		SxStreamFigures *f = sx_stats_stream(stream->relid, false);
		uint32		news = f ? pg_atomic_read_u32(&f->news) : stream->seen_news;

		if (!all && news == stream->seen_news)
			continue;
		stream->seen_news = news;
		foreach(lt, stream->tasks)
			hurry(lfirst(lt), now);
	}
	sx_stats_unlock();
}

/* Its descriptor has something to read. */
static void
look_at_descriptor(int fd)
{
	ListCell   *ls;
	ListCell   *lt;

	foreach(ls, sx_streams)
	{
		foreach(lt, ((SxStreamRun *) lfirst(ls))->tasks)
		{
			SxTask	   *task = lfirst(lt);

			if (sx_reader_wait_fd(task->reader) == fd)
				hurry(task, sx_now_ms());
		}
	}
}

static void
run_task(SxTask *task)
{
	uint64		round = sx_report_round(task);
	bool		refill = task->refill != NULL;
	SxBatchOutcome outcome;
	int64		begin = sx_clock_us();
	int64		pause;

	/* who sees the batch committed shall see the stream's state as well */
	if (task->stream->status_ms == 0)
	{
		sx_report_stream(task->stream);
		task->stream->status_ms = sx_now_ms();
	}
	sx_report_doing(task, "reading");
	outcome = sx_batch_run(task);
	note_busy(sx_clock_us() - begin);
	task->last_look_ms = sx_now_ms();
	if (outcome == SX_BATCH_NOTHING)
	{
		if (task->idle_since_ms == 0)
			task->idle_since_ms = task->last_look_ms;
	}
	else
		task->idle_since_ms = 0;
	pause = Max(sx_reader_poll_interval_ms(task->reader), MIN_PAUSE_MS);
	if (outcome == SX_BATCH_DONE)
		pause = MIN_PAUSE_MS;
	else if (task->refill || task->limits || task->hold_until_ms != 0)
		pause = Min(pause, UNSETTLED_MS);
	task->due_ms = task->last_look_ms + pause;

	/* looks that nothing asks for go together */
	if (pause >= SX_ROUND_MS)
		task->due_ms -= task->due_ms % SX_ROUND_MS;

	/* nothing may have been read because of it */
	if (sx_streams_stale())
		task->due_ms = task->last_look_ms;
	task->stream->quiet = false;
	if (refill && task->refill == NULL)
		task->due_ms = task->last_look_ms;

	/* with something stale, nothing may have been read at all */
	if (outcome != SX_BATCH_FAILED && !sx_streams_stale() && !refill &&
		sx_reader_exhausted(task->reader))
		sx_report_round_done(task, round);
}

/*
 * Is there something to be done for the stream?  What a reader's thread has
 * to say makes it worth looking at its clock and its figures again.
 */
static bool
is_due(SxStreamRun *stream, int64 now, bool woken)
{
	ListCell   *lc;

	if (!__atomic_load_n(&stream->news, __ATOMIC_RELAXED))
		return stream->look_ms <= now || (woken && stream->folding);
	__atomic_store_n(&stream->news, false, __ATOMIC_SEQ_CST);
	stream->quiet = false;
	foreach(lc, stream->tasks)
		((SxTask *) lfirst(lc))->settled = false;

	/* a connection that stands now is told before its rows are there */
	if (stream->conn != SX_CONN_UP)
		stream->status_ms = 0;
	return true;
}

/*
 * Do what is due, join, report; when to come again is in look_ms.  *fds: the
 * stream has descriptors to wait for, or had; *ran: so did a batch.
 */
static void
look_at_stream(SxStreamRun *stream, bool *fds, bool *ran)
{
	int64		now = sx_now_ms();
	int64		wait = any_follow || list_length(stream->tasks) != 1 ? LOOK_MS : SX_NEVER_MS;
	ListCell   *lc;

	stream->folding = false;
	sx_join_yield(stream);
	foreach(lc, stream->tasks)
	{
		SxTask	   *task = lfirst(lc);
		int64		due = task->yields ? LOOK_MS : task_due(task, now);

		if (due == 0)
		{
			*ran = true;
			run_task(task);
			if (sx_streams_stale())
				return;
			now = sx_now_ms();
			due = task_due(task, now);
		}
		wait = Min(wait, due);
		if (task->retry_ms <= now)
			wait = Min(wait, Max(sx_watermark_next_tick(task, now), MIN_PAUSE_MS));
		*fds |= sx_reader_wait_fd(task->reader) >= 0;
		stream->folding |= sx_reader_folding(task->reader) != NULL;
	}
	sx_join_tasks(stream);
	if (now - stream->status_ms >= REPORT_MS)
	{
		sx_report_stream(stream);
		stream->status_ms = now;
	}
	if (stream->folding)
		wait = Min(wait, LOOK_MS);
	if (!stream->quiet)
		wait = Min(wait, Max(stream->status_ms + REPORT_MS - now, MIN_PAUSE_MS));
	stream->look_ms = wait == SX_NEVER_MS ? SX_NEVER_MS : now + wait;
}

/*
 * What to wait for.  The descriptors are those of sources that the main thread
 * reads itself; *set is made anew if it is NULL or has others.
 */
static void
make_wait_set(WaitEventSet **set, List **set_fds, int64 now)
{
	List	   *fds = NIL;
	ListCell   *ls;
	ListCell   *lt;

	foreach(ls, sx_streams)
	{
		foreach(lt, ((SxStreamRun *) lfirst(ls))->tasks)
		{
			SxTask	   *task = lfirst(lt);
			int			fd = sx_reader_wait_fd(task->reader);

			/* what waits for its back-off would wake us all the time */
			if (fd >= 0 && task->retry_ms <= now)
				fds = lappend_int(fds, fd);
		}
	}
	if (*set && equal(fds, *set_fds))
	{
		list_free(fds);
		return;
	}
	if (*set)
		FreeWaitEventSet(*set);
	*set = sx_create_wait_event_set(4 + list_length(fds));
	AddWaitEventToSet(*set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(*set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(*set, WL_SOCKET_READABLE, ready_fd, NULL, NULL);
	foreach(lt, fds)
		AddWaitEventToSet(*set, WL_SOCKET_READABLE, lfirst_int(lt), NULL, set);
	list_free(*set_fds);
	*set_fds = fds;
}

/* Are there views over views? */
static bool
follows(void)
{
	ListCell   *lc;

	foreach(lc, sx_views)
	{
		if (((SxViewRun *) lfirst(lc))->view->sources)
			return true;
	}
	return false;
}

static uint64
changes_now(void)
{
	uint64		result;

	LWLockAcquire(sx_control->lock, LW_SHARED);
	result = sx_control->changes;
	LWLockRelease(sx_control->lock);
	return result;
}

/* When to look at the catalog again, if nobody says that it has changed. */
static int64
pause_after_sync(int64 took_ms)
{
	ListCell   *lc;

	/* what could not be opened is tried again then */
	foreach(lc, sx_streams)
	{
		if (((SxStreamRun *) lfirst(lc))->error)
			return SYNC_MS;
	}
	return Max(SYNC_MS, Min(took_ms * SYNC_SHARE, SYNC_MAX_MS));
}

/* What a worker's session is like, whatever the configuration says. */
void
sx_worker_session(void)
{
	static const char *const settings[][2] = {
		{"synchronous_commit", "off"},	/* what a crash takes back is read
										 * again */
		{"max_parallel_workers_per_gather", "0"},
		{"jit", "off"},
		{"deadlock_timeout", "10ms"},	/* rather we than a user */
		{"enable_partitionwise_aggregate", "off"},
	};
	int			i;

	/* less than deadlock_timeout of users */
	sx_control_session("500ms");

	for (i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	if (work_mem < 65536)
		SetConfigOption("work_mem", "65536", PGC_SUSET, PGC_S_OVERRIDE);
}

void
sx_worker_main(Datum arg)
{
	SxSlot	   *slot;
	WaitEventSet *set = NULL;
	uint64		seen = 0;
	int64		synced = 0;
	int64		sync_pause = SYNC_MS;
	int64		round = 0;
	bool		woken = false;
	bool		fds_looked_at = false;
	List	   *set_fds = NIL;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	slot = sx_control_attach(arg);
	BackgroundWorkerInitializeConnectionByOid(slot->dbid, InvalidOid, 0);
	sx_crash_attach((int) (slot - sx_control->slots));
	sx_worker_session();

	ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ready_fd < 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not create an event descriptor: %m")));
	sx_streams_init();
	before_shmem_exit(close_at_exit, (Datum) 0);

	for (;;)
	{
		int64		now;
		int64		next = SX_NEVER_MS;
		int64		wait;
		bool		changed;
		bool		all = false;
		bool		was_woken = woken;
		bool		ran = false;
		ListCell   *ls;
		WaitEvent	events[8];
		int			nevents;
		int			i;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			sx_worker_session();
		}

		note_busy(0);
		now = sx_now_ms();
		changed = changes_now() != seen;
		if (changed || sx_streams_stale() || now - synced > sync_pause)
		{
			seen = changes_now();
			pgstat_report_activity(STATE_RUNNING, "looking at the catalog");
			sx_streams_sync(slot->index, ready_fd);
			sx_senders_sync(ready_fd);
			synced = sx_now_ms();
			sync_pause = pause_after_sync(synced - now);
			now = synced;
			any_follow = follows();
			all = true;

			/* a descriptor may have been closed, and its number used again */
			if (set)
				FreeWaitEventSet(set);
			set = NULL;
		}

		/* what COMMIT PREPARED has brought is told as a change */
		if (woken || changed)
			look_for_news(changed);
		woken = false;

		if (now >= round)
		{
			all = true;
			round = now - now % SX_ROUND_MS + SX_ROUND_MS;
		}
		foreach(ls, sx_streams)
		{
			SxStreamRun *stream = lfirst(ls);

			if (is_due(stream, now, was_woken) || all)
			{
				look_at_stream(stream, &fds_looked_at, &ran);
				if (sx_streams_stale())
					break;
			}
			next = Min(next, stream->look_ms);
		}
		if (sx_streams_stale())
			continue;
		now = sx_now_ms();
		wait = Max(Min(Min(next, round), synced + sync_pause + 1) - now, 0);
		wait = Min(wait, sx_senders_run());
		if (sx_streams_stale())
			continue;

		if (set == NULL || fds_looked_at)
			make_wait_set(&set, &set_fds, now);
		fds_looked_at = false;

		/* waiting for a lock takes what the latch was set for */
		if (ran || all)
		{
			woken = true;
			wait = 0;
		}
		sx_report_waiting();

		/* autovacuum goes by them; what came too soon after others waits */
		if (pgstat_report_stat(false) > 0)
			wait = Min(wait, LOOK_MS);
		nevents = WaitEventSetWait(set, wait, events, lengthof(events), sx_wait_event(SX_WAIT_WORKER));
		for (i = 0; i < nevents; i++)
		{
			if (events[i].events & WL_LATCH_SET)
			{
				ResetLatch(MyLatch);
				woken = true;
			}
			else if (events[i].user_data)
				look_at_descriptor(events[i].fd);
			else if (events[i].events & WL_SOCKET_READABLE)
			{
				uint64		count;

				if (read(ready_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
					elog(ERROR, "could not read event descriptor: %m");
			}
		}
	}
}
