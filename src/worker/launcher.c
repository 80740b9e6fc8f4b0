/*-------------------------------------------------------------------------
 * launcher.c
 *		Keeps a scheduler running in each database that has the extension.
 *
 * A scheduler that finds no extension says so (dormant) and ends; the
 * database is looked at again when somebody creates the extension there.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/stop.h"
#include "base/wait_event.h"
#include "compat.h"
#include "worker/control.h"

#define LOOK_MS			10000	/* new databases are found this soon */
#define RETRY_MS		1000	/* a scheduler that ended is started again */

typedef struct Try
{
	Oid			dbid;
	TimestampTz last;
} Try;

static List *
list_databases(MemoryContext cxt)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;
	MemoryContext old;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database db = (Form_pg_database) GETSTRUCT(tuple);

		if (!db->datallowconn || db->datistemplate ||
			db->datconnlimit == DATCONNLIMIT_INVALID_DB)
			continue;
		old = MemoryContextSwitchTo(cxt);
		result = lappend_oid(result, db->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	return result;
}

static Try *
find_try(List **tries, Oid dbid)
{
	ListCell   *lc;
	Try		   *t;
	MemoryContext old;

	foreach(lc, *tries)
	{
		t = lfirst(lc);
		if (t->dbid == dbid)
			return t;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	t = palloc0(sizeof(Try));
	t->dbid = dbid;
	*tries = lappend(*tries, t);
	MemoryContextSwitchTo(old);
	return t;
}

static void
detach_launcher(int code, Datum arg)
{
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	sx_control->launcher_pid = 0;
	sx_control->launcher_procno = -1;
	LWLockRelease(sx_control->lock);
}

void
sx_launcher_main(Datum arg)
{
	MemoryContext cxt;
	List	   *tries = NIL;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	sx_control_session("0");
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	sx_control->launcher_pid = MyProcPid;
	sx_control->launcher_procno = sx_proc_number(MyProc);
	LWLockRelease(sx_control->lock);
	before_shmem_exit(detach_launcher, (Datum) 0);
	cxt = AllocSetContextCreate(TopMemoryContext, "streamx launcher",
								ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		long		timeout = LOOK_MS;
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			sx_control_session("0");
		}
		MemoryContextReset(cxt);
		MemoryContextSwitchTo(cxt);
		pgstat_report_activity(STATE_RUNNING, "looking for databases");
		foreach(lc, sx_enabled ? list_databases(cxt) : NIL)
		{
			Oid			dbid = lfirst_oid(lc);
			Try		   *t = find_try(&tries, dbid);
			SxDatabase *db;
			bool		wanted;

			LWLockAcquire(sx_control->lock, LW_SHARED);
			db = sx_control_database(dbid, false);
			wanted = !(db && (db->dormant || db->held)) &&
				sx_control_slot(dbid, SX_SCHEDULER) == NULL;
			LWLockRelease(sx_control->lock);
			if (!wanted)
				continue;
			if (!TimestampDifferenceExceeds(t->last, GetCurrentTimestamp(), RETRY_MS))
			{
				timeout = Min(timeout, RETRY_MS);
				continue;
			}
			t->last = GetCurrentTimestamp();
			SX_STOP("launch", "");
			if (!sx_control_start(dbid, SX_SCHEDULER))
			{
				ereport(LOG,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("streamx could not start a scheduler for database %u", dbid),
						 errhint("You might need to increase max_worker_processes.")));
			}
			timeout = Min(timeout, RETRY_MS);
		}
		pgstat_report_activity(STATE_IDLE, "waiting for new databases");
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout, sx_wait_event(SX_WAIT_LAUNCHER));
		ResetLatch(MyLatch);
	}
}
