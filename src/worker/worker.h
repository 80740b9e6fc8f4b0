/*-------------------------------------------------------------------------
 * worker.h
 *		The processes that keep continuous views up to date.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_WORKER_H
#define SX_WORKER_WORKER_H

#include "postgres.h"

/* Shared memory, hooks, launcher; from _PG_init. */
extern void sx_worker_init(void);

/*
 * sx_worker_wake -- views or streams of this database have changed
 *
 * After commit, with no transaction open: it may not fail.
 */
extern void sx_worker_wake(void);

/*
 * sx_worker_stop_database -- stop the workers of a database and wait for it
 *
 * For statements that want nobody else connected; they start again later.
 */
extern void sx_worker_stop_database(Oid dbid);

#endif							/* SX_WORKER_WORKER_H */
