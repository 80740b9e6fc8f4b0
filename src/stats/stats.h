/*-------------------------------------------------------------------------
 * stats.h
 *		Figures of streams, partitions and views in shared memory.
 *
 * Written by the worker that has the stream after each batch, read by the
 * status views and by streamx.wait.  Nothing here is truth that a crash may
 * not take: that is in tables.
 *
 * Lock rule: everything below is under one lightweight lock, held for the
 * copying of a few words only.
 *-------------------------------------------------------------------------
 */
#ifndef SX_STATS_STATS_H
#define SX_STATS_STATS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"

#include "source/source.h"

typedef struct SxStreamKey
{
	Oid			dbid;
	Oid			relid;
} SxStreamKey;

typedef struct SxStreamFigures
{
	SxStreamKey key;
	int			assigned;		/* index of the worker that shall read it; -1 */
	int			owner_pid;		/* worker that has it open; 0: none */
	int			owner_proc;		/* its number in ProcGlobal->allProcs */
	pg_atomic_uint32 news;		/* raised when there may be something to read */
	bool		reported;		/* the fields below are set */
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	int64		rows_in;		/* since the worker took it over */
	TimestampTz last_row;		/* timestamp of the newest row (the broker's,
								 * else its arrival), 0: none */

	/*
	 * Rounds of reading, for sources without an end that others can ask for:
	 * streamx.wait raises "requested" of all streams of a view to the same
	 * new number, the worker copies it before it reads, and when that has
	 * read to the end and is committed, each view that is through it on all
	 * its streams gets it as "round_done".
	 */
	uint64		round_requested;

	double		lag_rate;		/* rows per second by which the lag grows */
	TimestampTz lag_since;		/* it has been growing since; 0: it does not */
} SxStreamFigures;

typedef struct SxPartitionKey
{
	Oid			dbid;
	Oid			stream;
	int32		partition;
} SxPartitionKey;

typedef struct SxPartitionFigures
{
	SxPartitionKey key;
	int64		next_offset;	/* committed by the views that have caught up */
	int64		end_offset;		/* -1: unknown */
	int64		watermark_us;	/* PG_INT64_MIN: none */
	bool		idle;
} SxPartitionFigures;

typedef enum SxPhase
{
	SX_PHASE_RUNNING,
	SX_PHASE_CATCHING_UP,
	SX_PHASE_REPLAYING,			/* rows of open windows are read again */
} SxPhase;

typedef struct SxViewFigures
{
	SxStreamKey key;			/* relid: the result table */
	bool		catching_up;
	double		rows_per_second;	/* smoothed over some 10 s */
	int64		latency_us;		/* from the newest row's timestamp to the
								 * commit of its batch; -1 */
	int64		state_bytes;	/* cache of groups in the worker */
	int64		watermark_us;
	TimestampTz last_batch;
	uint64		round_done;		/* see round_requested */

	/* since the server started */
	int64		execute_us;
	int64		merge_us;
	TimestampTz last_dead_letter;	/* 0: none */

	int64		lag_rows;		/* in all its streams; -1: unknown */

	/* on the way to the end of its streams */
	SxPhase		phase;
	TimestampTz behind_since;
	int64		behind_done;	/* rows read since then */
	int64		behind_left;
	double		behind_rate;	/* rows per second by which they get fewer */

	/* a session that computes it anew; 0: none */
	int			rebuild_pid;
	TimestampTz rebuild_since;
	int64		rebuild_done;	/* rows */
	int64		rebuild_left;

	/* Kafka sinks */
	bool		sink_known;		/* the fields below are set */
	int64		sink_sent;		/* rows that the topic has got, counted from
								 * the view's first */
	char		sink_sqlstate[SX_SQLSTATE_LEN + 1];
	char		sink_error[SX_ERROR_LEN];	/* why nothing is sent; "": it is */
} SxViewFigures;

/* This process rebuilds the view, and has come so far; since 0: no longer. */
extern void sx_report_rebuild(Oid view, TimestampTz since, int64 done, int64 left);

extern void sx_stats_request(void); /* shmem_request hook's part */
extern void sx_stats_startup(void); /* shmem_startup hook's part */

/* Everyone who waits for progress sleeps on this one. */
extern ConditionVariable *sx_stats_progress_cv(void);

/* A new number of a round; the lock has to be held exclusively. */
extern uint64 sx_stats_next_round(void);

extern void sx_stats_lock(bool exclusive);
extern void sx_stats_unlock(void);

/*
 * Find (or with create, make) an entry; the lock has to be held, exclusively
 * to create or change.  NULL: none, or no room.
 */
extern SxStreamFigures *sx_stats_stream(Oid relid, bool create);
extern SxStreamFigures *sx_stats_stream_of(const SxStreamKey *key, bool create);
extern SxPartitionFigures *sx_stats_partition(Oid stream, int32 partition, bool create);
extern SxViewFigures *sx_stats_view(Oid relid, bool create);

/* Drop the entries of relations that are gone (this database). */
extern void sx_stats_forget_stream(Oid relid);
extern void sx_stats_forget_view(Oid relid);

/* Those of a database that no process of ours is in. */
extern void sx_stats_forget_database(Oid dbid);

/* Is there no room for the figures of another stream, partition or view? */
extern bool sx_stats_full(void);

/* Does the user have rights on it?  Error texts may quote data. */
extern bool sx_stats_may_see_errors(Oid relid);

/* Copies of all of this database, palloc'd; *n their number. */
extern SxStreamFigures *sx_stats_all_streams(int *n);
extern SxPartitionFigures *sx_stats_all_partitions(int *n);
extern SxViewFigures *sx_stats_all_views(int *n);

#endif							/* SX_STATS_STATS_H */
