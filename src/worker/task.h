/*-------------------------------------------------------------------------
 * task.h
 *		What one worker does: streams, the readings of each, their views.
 *
 *		worker process
 *		  SxStreamRun  (one per stream assigned to this worker)
 *			SxTask	   (one per position at which views of it stand: the
 *						main reading, and views that catch up)
 *			  SxViewRun  (the views that share this reading)
 *
 * A view is a member of one task of each stream that it reads.  It changes
 * task when it fails where the others do not (it then stands alone until it
 * goes on), and when it has caught up with another task (they become one).
 * A batch is always one of a single task: rows of one stream, and the views'
 * progress on that stream.  What a view is beyond that (plans, result and its
 * caches, watermark, failures) is there once.
 *
 * A worker runs a view only while it owns all the streams of the view, so no
 * two of them ever do; the scheduler sees to it that one gets them all.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_TASK_H
#define SX_WORKER_TASK_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "fdw/resolve.h"
#include "plan/plan.h"
#include "result/held.h"
#include "result/result.h"
#include "stats/history.h"
#include "stats/stats.h"
#include "worker/reader.h"

/*
 * Where a view joins streams: what is held, and plans by side: pairs with the
 * batch in its place, its rows without a partner (NULL: they do not come),
 * what is to be held.  Of the first two those for few and for many rows.
 */
typedef struct SxPairs
{
	const SxJoined *joined;
	List	   *relations;		/* Oids that the plans read */
	SxHeldRows *held;
	PlannedStmt *(*pairs)[2];
	PlannedStmt *(*unmatched)[2];
	PlannedStmt **hold;
} SxPairs;

/* A view at one of its streams. */
typedef struct SxMember
{
	Oid			stream;
	struct SxTask *task;		/* NULL: the stream is not read for it now */
	bool		alone;			/* it has failed: gets a task of its own */
	bool		catching_up;
	uint64		round_done;		/* see stats.h */
} SxMember;

typedef struct SxViewRun
{
	Oid			relid;
	MemoryContext cxt;			/* everything below; gone with the view */
	SxView	   *view;
	int			nmembers;		/* as many as view->streams */
	SxMember   *members;
	SxShape    *shape;			/* NULL: to be planned */
	PlannedStmt *plan_small;	/* for batches of few rows, and of many; NULL
								 * where the result has its own */
	PlannedStmt *plan_big;
	List	   *relations;		/* Oids that plan, result and state depend on */
	SxResult   *result;
	List	   *pairs;			/* SxPairs: where it joins streams */
	bool		stale;			/* something it depends on has changed */
	bool		apart;			/* fold processes can run its plan */
	int			failures;		/* in a row, of the kind that may pass */
	int			retries;		/* in a row */
	int64		retry_ms;		/* not to be tried before (monotonic) */
	SxViewCounters counters;	/* of the batch at hand */
	PlannedStmt *plan_late;		/* counts late rows, made when there are some */
	int64		watermark_us;	/* committed; PG_INT64_MIN: none */
	int64		next_watermark_us;	/* as of the end of the batch at hand */
	int64		closed_before_us;	/* windows that were closed as it began */
	struct SxKept *kept;		/* memory from before it was set up anew */
	SxPosition *left_at;		/* where it left its task */
	int			nleft_at;
	bool		unfilled;		/* while its memory was not filled */
	double		rate;			/* rows per second, smoothed */
	TimestampTz rate_at;
	int64		outbox;			/* rows that its outbox has got, committed */
	SxSpent		spent;			/* on the batch at hand; write_us: all but
								 * executing plans */

	/*
	 * Of a view over other views, which is a member of no task: it runs in
	 * the batches of its sources, see follow.c.
	 */
	bool		behind;			/* the whole is to be derived anew */
	bool		followed;		/* in the batch at hand */
	bool		in_batch;		/* a source: got through the batch at hand */

	/* Of one that emits final rows, see result/cascade.h. */
	int64		final_before_us;	/* windows before it have come: committed */
	int64		next_final_before_us;	/* as of the end of the batch at hand */
	Oid			waits_for;		/* there are more windows, for which this view */
	int64		waits_until_us; /* has to have this watermark */

	/* in the batch at hand, before any view runs, see sx_view_lock() */
	bool		locked;
	struct ErrorData *lock_error;

	int			steps;			/* SX_STEP_BITs that had something to do in
								 * the batch at hand, see crash.h */
} SxViewRun;

typedef struct SxTask
{
	struct SxStreamRun *stream;
	MemoryContext cxt;
	SxReader   *reader;
	char	   *start;			/* views' start option, while nothing was read */
	SxPosition *positions;		/* committed */
	int			npositions;
	List	   *views;			/* SxViewRun */
	bool		seek;			/* reader has to go back to positions */
	List	   *gone;			/* partitions of which the source has told
								 * that what was read is gone, which is to be
								 * saved before it reads on */
	int			failures;
	bool		passed;			/* a batch with rows, since it was opened */
	int64		retry_ms;		/* do nothing before (monotonic) */
	int64		last_rows;		/* of the last batch */
	int64		due_ms;			/* sources that are not threaded: next look */
	int64		last_look_ms;
	int64		idle_since_ms;	/* nothing came since, 0: not idle */
	struct SxActivity *activity;	/* per partition, see watermark.c */
	int			nactivity;
	int64		silent_ms;		/* all partitions are idle since; 0: not */
	int64		silent_from_us; /* watermark of the task then */
	int64		tick_ms;		/* when idleness was looked at last */
	bool		settled;		/* silent, and the clock closes nothing until
								 * the next round of looks */
	bool		close_due;		/* run a batch even if nothing came */
	bool		rounds;			/* the batch at hand may have, or has, several */
	int			careful;		/* so many batches may not */
	int			next_careful;	/* as many as after the last error */
	int			put_off;		/* so often in succession, see batch.c */
	int64		fold_after_ms;	/* no fold processes are asked for before */

	/* how far behind, see report.c */
	int64		lag_rows;		/* -1: unknown */
	double		lag_rate;		/* rows per second by which it grows */
	int64		lag_ms;			/* when that was looked at; 0: not yet */
	TimestampTz behind_since;	/* 0: it is not */
	int64		behind_from;	/* sum of its offsets then */

	/* joining another task: read up to these positions, no further */
	SxPosition *limits;
	int			nlimits;
	int64		hold_until_ms;	/* 0: not joining */
	int64		join_after_ms;
	bool		yields;			/* another one, a little behind it, goes first */

	/* reads again what its view has counted, see refill.c; NULL: reads on */
	struct SxRefill *refill;
} SxTask;

typedef struct SxStreamRun
{
	Oid			relid;
	MemoryContext cxt;
	MemoryContext def_cxt;
	SxStream   *def;
	SxDeferredResolver *resolver;
	List	   *tasks;			/* SxTask; the first is the furthest */
	bool		stale;
	char	   *error;			/* why it cannot be opened; NULL: it is */
	int64		retry_ms;
	int64		status_ms;		/* figures were reported last */
	SxConnState conn;			/* as reported */
	bool		quiet;			/* as they were then they stay until a reader
								 * or a batch has something new */
	int64		look_ms;		/* nothing to be done here before (monotonic) */
	bool		news;			/* of a reader, see reader.h */
	bool		folding;		/* fold processes read it, and set our latch */
	int64		rows_in;
	TimestampTz last_row;
	int64		lag_rows;
	TimestampTz lag_since;		/* it has been growing since; 0: it does not */
	char		told_error[SX_ERROR_LEN];	/* last one in the history */
	uint32		seen_news;		/* as of the last look at it, see stats.h */
} SxStreamRun;

extern int64 sx_now_ms(void);	/* monotonic clock */

/* Where nothing happens, streams are looked at together, so often. */
#define SX_ROUND_MS		10000
#define SX_NEVER_MS		PG_INT64_MAX

/* ---- stream.c: which streams, tasks and views there are ---- */

extern List *sx_streams;		/* SxStreamRun of this worker */
extern List *sx_views;			/* SxViewRun, each once */

/* NULL: it is not there. */
extern SxViewRun *sx_view_find(Oid relid);
extern SxViewRun *sx_view_open(Oid relid);
extern void sx_view_close(SxViewRun *run);

/* Bring streams, tasks and views in line with the catalog. */
extern void sx_streams_sync(int worker_index, int ready_fd);
extern bool sx_streams_stale(void);
extern void sx_streams_mark_stale(void);
extern void sx_streams_init(void);	/* invalidation callbacks */
extern void sx_streams_close_all(void); /* at exit */

/* The view at the task's stream; it has to be one of the view's. */
extern SxMember *sx_view_member(const SxViewRun *run, const SxTask *task);

/* The view goes on alone, from where it stands now. */
extern void sx_task_part(SxTask *task, SxViewRun *run);

/* Views of "from" go on in "to", which stands at the same position. */
extern void sx_task_join(SxTask *to, SxTask *from);
extern void sx_task_set_positions(SxTask *task, const SxPosition *positions, int n);
extern SxPosition *sx_position_find(SxPosition *positions, int n, int32 partition);

/* Plan a view (in a transaction, with an active snapshot, as its owner). */
extern void sx_view_prepare(SxViewRun *run);

/* ---- batch.c: one batch of one task ---- */

typedef enum SxBatchOutcome
{
	SX_BATCH_NOTHING,			/* there was nothing to read */
	SX_BATCH_DONE,
	SX_BATCH_FAILED,			/* to be tried again, see task->retry_ms */
} SxBatchOutcome;

extern SxBatchOutcome sx_batch_run(SxTask *task);

/*
 * For streamx.rebuild, outside a worker: take the rows of a batch in, in the
 * caller's transaction.  ERROR where a worker would stop the view or wait.
 */
extern void sx_batch_rebuild(SxViewRun *run, const SxStream *stream, SxBatch *batch);

/*
 * For streamx.reprocess: around sx_batch_rebuild(), so that the view's sink
 * gets the rows.  outbox: rows that it has got before.
 */
extern void sx_batch_feed_begin(SxViewRun *run, int64 outbox);
extern void sx_batch_feed_end(SxViewRun *run);

/*
 * All rows were there: close windows, store what is in memory only.  stream:
 * any of the view's; shed: groups whose rows fail are given up.
 */
extern void sx_batch_rebuilt(SxViewRun *run, const SxStream *stream,
							 int64 watermark_us, bool shed);

/* The part of the batch of a view over other views; false: it did not get
 * through, and stops or is tried again. */
extern bool sx_batch_follow(SxViewRun *run, SxTask *task);

/* ---- follow.c: views over other views ---- */

/* Is a source of the view in the task, or follows one that is? */
extern bool sx_follow_in(const SxViewRun *run, const SxTask *task);

/* Is there something to be done for one although nothing came? */
extern bool sx_follow_due(const SxTask *task);

/*
 * The task's views are through the batch (in_batch): those over them follow,
 * sources first.
 */
extern void sx_follow(SxTask *task, const SxPosition *changed, int nchanged,
					  bool rows);

/* Such a view's part that emits final rows. */
extern void sx_follow_windows(SxViewRun *run);

/* At this watermark of the view, has one over it windows to close? */
extern bool sx_follow_closes(const SxViewRun *run, int64 watermark_us);

/* The batch has been committed, or not. */
extern void sx_follow_done(SxTask *task, bool committed);

/* In line with the catalog, after the streams. */
extern void sx_follow_sync(void);

/* ---- late.c: rows that came when all their windows were closed ---- */

/*
 * The number of late rows of the input; kept if the view says so.  In the
 * batch's transaction, as the view's owner.
 */
extern int64 sx_late_rows(SxViewRun *run, const SxStream *stream,
						  const SxScanInput *input, int64 closed_us);

/* Keep a row that is known to be late: its number over the input's batches. */
extern void sx_late_keep(SxViewRun *run, const SxStream *stream,
						 const SxScanInput *input, int64 row);

/* Has the view something to do at this watermark although nothing came? */
extern bool sx_view_due(const SxViewRun *run, int64 watermark_us);

/* Run a plan over the input and write what comes out (as the view's owner). */
extern void sx_view_write(SxViewRun *run, SxTask *task, PlannedStmt *plan,
						  const SxScanInput *input, int64 closed_us);

/* ---- pairs.c: views that join streams ---- */

/* In the current context; *relations: Oids that the plans depend on. */
extern List *sx_pairs_open(const SxView *view, const SxShape *shape,
						   List **relations);
extern void sx_pairs_lock(SxViewRun *run);

/* What is remembered may be wrong: after every abort. */
extern void sx_pairs_forget(SxViewRun *run);

/*
 * Join the input with what is held and hold it; expired: the rows are of a
 * side of this, held so far (NULL: a batch).
 */
extern void sx_pairs_apply(SxViewRun *run, SxTask *task, const SxScanInput *input,
						   SxPairs *expired, int side, bool small);

/* ---- watermark.c: how far event time has come for a task's views ---- */

/* Rows of these partitions have come. */
extern void sx_watermark_active(SxTask *task, const SxBatch *list);

/* Look which partitions are idle.  True: a window may close by it. */
extern bool sx_watermark_tick(SxTask *task);

/* Milliseconds until the clock is worth another look; SX_NEVER_MS: the next round. */
extern int64 sx_watermark_next_tick(const SxTask *task, int64 now_ms);

/*
 * The view's watermark when the task stands at these positions, and those of
 * its other streams where they are; monotonic.
 */
extern int64 sx_watermark_after(SxTask *task, const SxViewRun *run,
								const SxPosition *positions, int n);

/* Windows that end at or before this are closed for the view. */
extern int64 sx_watermark_closed(const SxViewRun *run, int64 watermark_us);

/* Of a derived view: keep them if it does. */
extern void sx_late_keep_all(SxViewRun *run, const SxStream *stream,
							 const SxScanInput *input, const SxLateRows *late);

/* ---- join.c: views that have caught up share a reading ---- */

extern void sx_join_tasks(SxStreamRun *stream);

/* Which of the tasks are to leave their rows where they are for now (yields). */
extern void sx_join_yield(SxStreamRun *stream);
extern void sx_join_trim(SxTask *task, SxBatch *list);
extern bool sx_join_holds(SxTask *task);

/* ---- send.c: rows in the views' outboxes go to Kafka ---- */

/*
 * Open and close senders in line with the views that this worker has.  After
 * sx_streams_sync().
 */
extern void sx_senders_sync(int ready_fd);

/* Look after them; milliseconds until they want to be looked after again. */
extern int64 sx_senders_run(void);

/* A batch has been committed that wrote rows up to this number. */
extern void sx_senders_written(Oid view, int64 last);
extern void sx_senders_close_all(void); /* at exit */

/* ---- report.c: figures ---- */

extern void sx_report_batch(SxTask *task, int64 rows, TimestampTz newest);
extern void sx_report_stream(SxStreamRun *stream);

/* A batch has been committed: fills in what the task and its views know. */
extern void sx_report_history(SxTask *task, SxBatchRecord *record);

/*
 * What this process does now, for pg_stat_activity: "stream: text", or while
 * there is nothing to do which streams it waits for.
 */
extern void sx_report_doing(const SxTask *task, const char *fmt,...) pg_attribute_printf(2, 3);
extern void sx_report_waiting(void);

/* Rounds of reading, see stats.h: what was asked for before one, and that
 * all of a task's views are through it. */
extern uint64 sx_report_round(SxTask *task);
extern void sx_report_round_done(SxTask *task, uint64 round);

#endif							/* SX_WORKER_TASK_H */
