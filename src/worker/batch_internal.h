/*-------------------------------------------------------------------------
 * batch_internal.h
 *		What the files about a batch share: see batch.c.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_BATCH_INTERNAL_H
#define SX_WORKER_BATCH_INTERNAL_H

#include "postgres.h"

#include "compat.h"
#include "worker/task.h"

#define SX_BACKOFF_FIRST_MS 200

/* Emptied when a batch is over. */
extern MemoryContext sx_batch_cxt;
extern void sx_batch_cxt_open(void);

typedef enum SxBlame
{
	SX_BLAME_ROW,
	SX_BLAME_VIEW,
	SX_BLAME_MOMENT,
} SxBlame;

extern SxBlame sx_batch_blame(int sqlstate);
extern int64 sx_batch_backoff_ms(int failures);

/* A batch of several rounds is given up, to be taken in one by one: ERROR. */
extern bool sx_batch_given_up;
pg_noreturn extern void sx_batch_give_up(void);

/* Rows that are taken in together, by all views of a task. */
typedef struct SxBatchInput
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
	bool		store;			/* no groups stay in memory only: they are not
								 * to be had again from before this batch */
} SxBatchInput;

/* What a failed view is told to do; the subtransaction is rolled back. */
typedef struct SxViewOutcome
{
	bool		stopped;		/* error says why */
	bool		again;			/* later */
	bool		left_out;		/* the same, but nothing is wrong */
	int64		retried;		/* rows before this one get no second try */
	ErrorData  *error;
} SxViewOutcome;

/* An error that stops a view: which row it was. */
extern char *sx_batch_row_message(const SxStream *stream, const SxReject *reject,
								  const char *message);

/* ---- batch_view.c: one view's part of it ---- */

/*
 * Before any view of a batch runs: this one's plan and locks, for the whole
 * batch.  What goes wrong is kept (lock_error) for its first round.
 */
extern void sx_view_lock(SxViewRun *run, SxBatchInput *in);

/* A round; the last one ends the view's part of the batch. */
extern void sx_view_round(SxViewRun *run, SxBatchInput *in, SxViewOutcome *outcome);

/* Rows [first, end) in as many parts as it takes; false: see outcome. */
extern bool sx_view_range(SxViewRun *run, SxBatchInput *in, int64 first, int64 end,
						  SxViewOutcome *outcome);

/* The steps at the end of it. */
extern bool sx_view_expire(SxViewRun *run, SxBatchInput *in, SxViewOutcome *outcome);
extern void sx_view_close_windows(SxViewRun *run, SxTask *task, int64 closed_before);
extern void sx_view_leave_window(SxViewRun *run);
extern void sx_view_finish_sink(SxViewRun *run);

/* A view has stopped: kept in the catalog, in the transaction at hand. */
extern void sx_view_stop(SxTask *task, SxViewRun *run, ErrorData *error);

#endif							/* SX_WORKER_BATCH_INTERNAL_H */
