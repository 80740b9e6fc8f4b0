/*-------------------------------------------------------------------------
 * history.h
 *		The recent past, in rings of shared memory: batches, and errors.
 *
 * A batch takes the lock of the figures once, for the copying of one record.
 * Nothing here is counted per row, and nothing is written to tables; both
 * rings are empty after a restart.
 *-------------------------------------------------------------------------
 */
#ifndef SX_STATS_HISTORY_H
#define SX_STATS_HISTORY_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "source/source.h"

/* One transaction that took rows in. */
typedef struct SxBatchRecord
{
	uint64		id;				/* counts from the start of the server; 0:
								 * empty */
	Oid			dbid;
	Oid			stream;
	int			worker_pid;
	int			views;			/* that took it in */
	bool		catching_up;	/* not at the stream's furthest position */
	TimestampTz committed;
	int64		rows;
	int64		rows_out;
	int64		rows_late;
	int64		dead_letters;
	int64		decode_us;		/* in the reader's thread, beside the batch
								 * before, where there is one */
	int64		execute_us;		/* plans over the batch */
	int64		merge_us;		/* states, result, windows that close */
	int64		commit_us;		/* progress, counters, COMMIT */
	int64		total_us;		/* of the transaction */
	int64		latency_us;		/* newest row's timestamp to COMMIT; -1 */
} SxBatchRecord;

typedef enum SxErrorKind
{
	SX_ERROR_VIEW_STOPPED,
	SX_ERROR_VIEW_RETRIED,
	SX_ERROR_BATCH_RETRIED,
	SX_ERROR_SOURCE,
	SX_ERROR_SINK,
	SX_ERROR_WORKER,			/* a process could not be started */
} SxErrorKind;

/* The same error of the same object counts up. */
typedef struct SxErrorRecord
{
	int64		times;			/* 0: empty */
	Oid			dbid;
	Oid			stream;			/* or InvalidOid */
	Oid			view;			/* or InvalidOid */
	SxErrorKind kind;
	TimestampTz first;
	TimestampTz last;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
} SxErrorRecord;

extern Size sx_history_size(void);
extern void sx_history_startup(void);	/* under AddinShmemInitLock */

/* Adds it (id is set); nothing while the library is not preloaded. */
extern void sx_history_batch(const SxBatchRecord *record);
extern void sx_history_error(Oid dbid, SxErrorKind kind, Oid stream, Oid view,
							 const char *sqlstate, const char *error);

/* Copies of those of this database, palloc'd, no order; *n their number. */
extern SxBatchRecord *sx_history_batches(int *n);
extern SxErrorRecord *sx_history_errors(int *n);

/* The lock is held. */
extern void sx_history_forget_database(Oid dbid);

/*
 * Where this process spent its time, in microseconds since it began.  Executing
 * includes no writing: whoever writes from within a plan books that himself.
 */
typedef struct SxSpent
{
	int64		execute_us;
	int64		write_us;		/* booked from within a plan */
} SxSpent;

extern SxSpent sx_spent;

#endif							/* SX_STATS_HISTORY_H */
