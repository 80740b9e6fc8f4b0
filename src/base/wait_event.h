/*-------------------------------------------------------------------------
 * wait_event.h
 *		What our processes wait for, by name in pg_stat_activity.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_WAIT_EVENT_H
#define SX_BASE_WAIT_EVENT_H

#include "postgres.h"

typedef enum SxWait
{
	SX_WAIT_LAUNCHER,
	SX_WAIT_SCHEDULER,
	SX_WAIT_WORKER,				/* for rows, or the next time to look */
	SX_WAIT_PROGRESS,			/* streamx.wait() */
	SX_WAIT_STOP,				/* for processes of ours to end */
	SX_WAIT_KAFKA,				/* a bounded read of a topic */
	SX_WAIT_FOLD,				/* a fold process for rows, or a worker for it */
	SX_WAIT_COUNT
} SxWait;

/* For WaitLatch() and its like; not under a lightweight lock. */
extern uint32 sx_wait_event(SxWait wait);

#endif							/* SX_BASE_WAIT_EVENT_H */
