/*-------------------------------------------------------------------------
 * crash.h
 *		Which view or stream a worker was at when it crashed.
 *
 * A function of a user, or a row, that crashes the process makes PostgreSQL
 * start all of its processes anew, and the worker would meet the same row again,
 * for ever.  So a worker leaves a mark of what it is at; whoever has crashed
 * several times in succession at the same view or stream, without getting past
 * it in between, stops the view, or those of the stream.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_CRASH_H
#define SX_WORKER_CRASH_H

#include "postgres.h"

#include <signal.h>

/*
 * Crashes in succession after which a view is not tried again by itself: those
 * by a fault in the process, and any, as somebody else may have killed it.
 */
#define SX_MAX_FAULTS	3
#define SX_MAX_CRASHES	10

/* Its SQLSTATE then */
#define SX_ERRCODE_CRASHED ERRCODE_CRASH_SHUTDOWN

typedef enum SxStep
{
	SX_STEP_NONE,
	SX_STEP_DECODING,			/* a stream, in a thread */
	SX_STEP_READING,			/* a stream: all of a batch that is no view's */
	SX_STEP_ROWS,				/* a view's part */
	SX_STEP_CLOSING,			/* its windows, held rows that expire */
	SX_STEP_LEAVING,			/* rows leave its window by the clock */
} SxStep;

#define SX_STEP_BIT(step) (1 << (step))

/* The library is loaded; shared memory is there, for the first time or again. */
extern void sx_crash_init(void);
extern void sx_crash_startup(void);

/* ---- a worker's marks; nothing in other processes ---- */

/* slot: its number in shared memory */
extern void sx_crash_attach(int slot);
extern void sx_crash_at(Oid stream, Oid view, SxStep step);
extern void sx_crash_at_step(SxStep step);

/* Which rows the view is at: so many, the first from there. */
extern void sx_crash_at_rows(int32 partition, int64 position, int64 nrows);

/*
 * Where a thread notes the stream that it decodes messages of, 0 when it is
 * through; given back at the end.  NULL: there is no room.
 */
extern volatile Oid *sx_crash_thread_mark(void);
extern void sx_crash_free_thread_mark(volatile Oid *mark);

/* What a thread of ours blocks: all but what a fault raises. */
extern void sx_crash_thread_signals(sigset_t *blocked);

/* ---- who is suspected; of this database ---- */

extern bool sx_crash_suspected(Oid relid);

/* NULL, or why the view or stream is not to be tried again: palloc'd. */
extern char *sx_crash_verdict(Oid relid);

/* A batch is committed in which these steps had something to do. */
extern void sx_crash_passed(Oid relid, int steps);

/* Somebody wants it tried again: once. */
extern void sx_crash_retry(Oid relid);

/* Tell the log and the history of what is new; forget what was dropped. */
extern void sx_crash_report(void);

#endif							/* SX_WORKER_CRASH_H */
