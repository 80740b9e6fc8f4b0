/*-------------------------------------------------------------------------
 * fold.h
 *		Processes that read and fold a Kafka stream for its worker (option
 *		parallelism).
 *
 * Each reads a share of the partitions and runs the views' plans over its
 * rows, down to transition states.  These, with positions, watermarks and
 * rejects, go to the worker, which merges, writes and commits them as it does
 * with what it has folded itself.  So a batch still is one transaction of one
 * process, and what these processes do counts for nothing until it commits:
 * whatever goes wrong in them, the worker goes back to its committed
 * positions and takes the rows in by itself.
 *
 *		fold process 0:  read -> decode -> plans --+
 *		fold process 1:  read -> decode -> plans --+--> worker: merge, COMMIT
 *		...                                      --+
 *
 * A process keeps the rows of what it has sent until the worker is through
 * with it, so that late ones can be told apart.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_FOLD_H
#define SX_WORKER_FOLD_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
#include "utils/timestamp.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "exec/exec.h"
#include "plan/plan.h"
#include "source/source.h"

typedef struct SxFold SxFold;

/* What a plan gave over the rows of a run of messages. */
typedef struct SxFoldedView
{
	Oid			view;
	int			ncols;
	uint32		types;			/* hash of their types */
	int64		nrows;
	int64		execute_us;
	const char *tuples;			/* MinimalTuples, MAXALIGNed */
} SxFoldedView;

/*
 * A run of messages, as a batch without rows: positions (with watermarks and
 * first_offset) and rejects are the batch's.
 */
typedef struct SxFolded
{
	SxFold	   *fold;
	int			process;
	uint64		number;			/* of what that process has sent */
	void	   *message;		/* all below points into it */
	Size		size;
	int64		nrows;
	TimestampTz newest;			/* timestamp of its last row */
	bool	   *came;			/* per position: did rows come? */
	int			nviews;
	SxFoldedView *views;
} SxFolded;

typedef enum SxFoldState
{
	SX_FOLD_WORKS,
	SX_FOLD_STALE,				/* a definition has changed: start anew */
	SX_FOLD_FAILED,				/* take rows in without for a while */
} SxFoldState;

/* Option parallelism: 1: the worker alone. */
extern int	sx_fold_processes(const SxStream *stream);

/*
 * sx_fold_start -- start processes that fold for these views (Oids) from here
 *
 * Outside a transaction or in one.  Lives in a context of its own until
 * sx_fold_stop().  NULL: there are not as many processes to be had.
 */
extern SxFold *sx_fold_start(const SxStream *stream, List *views,
							 const SxPosition *positions, int npositions);

/* gone: as of sx_reader_stop(), or NULL. */
extern void sx_fold_stop(SxFold *fold, List **gone);

/* Looks at what has come first; *error: for the log, or NULL. */
extern SxFoldState sx_fold_state(SxFold *fold, const char **error);

/* As sx_reader_waiting_rows(), sx_reader_take() and sx_reader_status(). */
extern int64 sx_fold_waiting_rows(SxFold *fold, int64 *since_ms, bool *full);
extern void sx_fold_take(SxFold *fold, int64 max_rows, int64 max_bytes, SxBatch **list);
extern void sx_fold_status(SxFold *fold, SxSourceStatus *status);

/* A batch that was taken. */
extern void sx_fold_give_back(SxBatch *batch);

/*
 * What the view's plan gave: *rows in the current context, what they refer to
 * in the batch.  ERROR if the process understood the view otherwise.
 */
extern const SxFoldedView *sx_fold_rows(const SxFolded *folded, Oid view,
										const PlannedStmt *plan, SxRows *rows);

/*
 * How many of the rows were late for the view when windows up to closed_us
 * were closed; asks the process and waits.  -1: it cannot tell any more.
 */
extern int64 sx_fold_late(const SxFolded *folded, Oid view, int64 closed_us);

#endif							/* SX_WORKER_FOLD_H */
