/*-------------------------------------------------------------------------
 * worker.h
 *		Processes: one launcher per server, one scheduler per database that
 *		has the extension, a pool of workers beside it.
 *
 *		launcher ---- starts ----> scheduler (per database)
 *		                             | shares streams out (stats' "assigned")
 *		                             +--- starts ----> worker 0 .. n-1
 *
 * A slot in shared memory stands for each scheduler and worker, from before
 * it is started until it has ended; its generation tells a process whether
 * the slot is still its own.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_WORKER_H
#define SX_WORKER_WORKER_H

#include "postgres.h"

/* _PG_init: settings are there already */
extern void sx_worker_init(void);

/*
 * sx_worker_wake -- views or streams of this database have changed
 *
 * Call it in the transaction; it takes effect when that commits.
 */
extern void sx_worker_wake(void);

/* The same at once. */
extern void sx_worker_wake_now(void);

/* The same at once, for streams with new rows; safe outside a transaction. */
extern void sx_worker_wake_stream(Oid stream);

/*
 * sx_worker_stop_database -- end all processes of ours in a database
 *
 * Waits (interruptibly) until they are gone; they stay away until
 * sx_worker_release_database, or the end of the server.
 */
extern void sx_worker_stop_database(Oid dbid);
extern void sx_worker_release_database(Oid dbid);

/*
 * The same for the database one is in, until the transaction ends: what is
 * dropped now is not in a worker's hands.
 */
extern void sx_worker_stop_until_end(void);

/* Is the library in shared_preload_libraries? */
extern bool sx_worker_preloaded(void);

/* ERROR with the cure if it is not. */
extern void sx_worker_require_preloaded(void);

#endif							/* SX_WORKER_WORKER_H */
