/*-------------------------------------------------------------------------
 * control.h
 *		Inside of the room: slots in shared memory.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_CONTROL_H
#define SX_WORKER_CONTROL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"

#define SX_SCHEDULER	(-1)	/* slot->index of a scheduler */
#define SX_FOLD_PROCESS	(-2)	/* of all fold processes */

typedef struct SxSlot
{
	bool		used;
	Oid			dbid;
	int			index;			/* worker's number in its database, or one of
								 * the above */
	int			pid;			/* 0: not running yet */
	int			procno;
	uint32		generation;
} SxSlot;

typedef struct SxDatabase
{
	bool		used;
	Oid			dbid;
	bool		dormant;		/* has no extension: nothing to do until woken */
	bool		held;			/* sx_worker_stop_database */
	TimestampTz refused;		/* a process could not be started; 0: all are
								 * there */
} SxDatabase;

#define SX_MAX_DATABASES 1024

typedef struct SxControl
{
	LWLock	   *lock;
	int			launcher_pid;
	int			launcher_procno;
	uint64		changes;		/* raised by sx_worker_wake */
	int			nslots;
	SxDatabase	databases[SX_MAX_DATABASES];
	SxSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} SxControl;

extern SxControl *sx_control;

/* Under the lock, exclusive to create. NULL: none, or no room. */
extern SxDatabase *sx_control_database(Oid dbid, bool create);
extern SxSlot *sx_control_slot(Oid dbid, int index);

/*
 * Start a scheduler or worker: takes a slot and registers the process.
 * false: no slot or no process to be had now.
 */
extern bool sx_control_start(Oid dbid, int index);

/*
 * Start a fold process of this worker, which attaches to the segment; its
 * number is for the title.  NULL: there is none to be had now.
 */
extern BackgroundWorkerHandle *sx_control_start_fold(dsm_handle segment, int number);

/* In the new process: fill the slot in; it is given back at exit. */
extern SxSlot *sx_control_attach(Datum arg);

extern void sx_control_set_latch(int procno);

/*
 * What a process of ours needs of its session, whatever the configuration, the
 * database and the role say.
 */
extern void sx_control_session(const char *lock_timeout);

/* The same and what else a process that runs views' plans needs. */
extern void sx_worker_session(void);

extern PGDLLEXPORT void sx_launcher_main(Datum arg);
extern PGDLLEXPORT void sx_scheduler_main(Datum arg);
extern PGDLLEXPORT void sx_worker_main(Datum arg);
extern PGDLLEXPORT void sx_fold_main(Datum arg);

#endif							/* SX_WORKER_CONTROL_H */
