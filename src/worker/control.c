/*-------------------------------------------------------------------------
 * control.c
 *		Slots in shared memory, starting and waking processes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/wait_event.h"
#include "compat.h"
#include "source/journal.h"
#include "stats/history.h"
#include "stats/stats.h"
#include "worker/control.h"
#include "worker/crash.h"
#include "worker/worker.h"

SxControl  *sx_control = NULL;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;
static bool preloaded = false;
static bool wake_at_commit = false;
static bool release_at_end = false;

static Size
control_size(void)
{
	return add_size(offsetof(SxControl, slots),
					mul_size(sizeof(SxSlot), max_worker_processes));
}

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(control_size());
	RequestNamedLWLockTranche("streamx control", 1);
	sx_stats_request();
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	sx_control = ShmemInitStruct("streamx control", control_size(), &found);
	if (!found)
	{
		memset(sx_control, 0, control_size());
		sx_control->lock = &(GetNamedLWLockTranche("streamx control"))->lock;
		sx_control->nslots = max_worker_processes;
		sx_control->launcher_procno = -1;
	}
	sx_stats_startup();
	sx_crash_startup();
	LWLockRelease(AddinShmemInitLock);
}

SxDatabase *
sx_control_database(Oid dbid, bool create)
{
	SxDatabase *empty = NULL;
	int			i;

	for (i = 0; i < SX_MAX_DATABASES; i++)
	{
		SxDatabase *db = &sx_control->databases[i];

		if (db->used && db->dbid == dbid)
			return db;
		if (!db->used && empty == NULL)
			empty = db;
	}
	if (!create || empty == NULL)
		return NULL;
	memset(empty, 0, sizeof(*empty));
	empty->used = true;
	empty->dbid = dbid;
	return empty;
}

SxSlot *
sx_control_slot(Oid dbid, int index)
{
	int			i;

	for (i = 0; i < sx_control->nslots; i++)
	{
		SxSlot	   *slot = &sx_control->slots[i];

		if (slot->used && slot->dbid == dbid && slot->index == index)
			return slot;
	}
	return NULL;
}

/* A slot's number and generation in one Datum. */
#define SLOT_ARG(i, generation) Int64GetDatum(((int64) (generation) << 32) | (uint32) (i))

/* A process in a slot of its own, which *slot and *generation tell; NULL: none. */
static BackgroundWorkerHandle *
register_process(Oid dbid, int index, BackgroundWorker *bgw, SxSlot **slot, uint32 *generation)
{
	BackgroundWorkerHandle *handle;
	int			i;

	*slot = NULL;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	for (i = 0; i < sx_control->nslots; i++)
	{
		if (!sx_control->slots[i].used)
		{
			*slot = &sx_control->slots[i];
			break;
		}
	}
	if (*slot == NULL)
	{
		LWLockRelease(sx_control->lock);
		return NULL;
	}
	*generation = ++(*slot)->generation;
	(*slot)->used = true;
	(*slot)->dbid = dbid;
	(*slot)->index = index;
	(*slot)->pid = 0;
	(*slot)->procno = -1;
	LWLockRelease(sx_control->lock);

	bgw->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw->bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw->bgw_restart_time = BGW_NEVER_RESTART;
	bgw->bgw_notify_pid = MyProcPid;
	bgw->bgw_main_arg = SLOT_ARG(i, *generation);
	strlcpy(bgw->bgw_library_name, "streamx", BGW_MAXLEN);
	if (RegisterDynamicBackgroundWorker(bgw, &handle))
		return handle;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	(*slot)->used = false;
	LWLockRelease(sx_control->lock);
	return NULL;
}

/* It may have come and gone already, and have given its slot back. */
static void
release_unstarted(SxSlot *slot, uint32 generation)
{
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	if (slot->used && slot->generation == generation && slot->pid == 0)
		slot->used = false;
	LWLockRelease(sx_control->lock);
}

/* Started, or it has ended by itself already: *ended.  NULL: could not be. */
static BackgroundWorkerHandle *
start_process(Oid dbid, int index, BackgroundWorker *bgw, bool *ended)
{
	SxSlot	   *slot;
	uint32		generation;
	pid_t		pid;
	BackgroundWorkerHandle *handle = register_process(dbid, index, bgw, &slot, &generation);
	BgwHandleStatus status;

	*ended = false;
	if (handle == NULL)
		return NULL;
	status = WaitForBackgroundWorkerStartup(handle, &pid);
	if (status == BGWH_STARTED)
		return handle;
	release_unstarted(slot, generation);
	*ended = status == BGWH_STOPPED;
	return NULL;
}

static bool
start_worker(Oid dbid, int index)
{
	BackgroundWorker bgw = {0};
	bool		ended;

	if (index == SX_SCHEDULER)
	{
		strlcpy(bgw.bgw_function_name, "sx_scheduler_main", BGW_MAXLEN);
		snprintf(bgw.bgw_name, BGW_MAXLEN, "streamx scheduler for database %u", dbid);
		strlcpy(bgw.bgw_type, "streamx scheduler", BGW_MAXLEN);
	}
	else
	{
		strlcpy(bgw.bgw_function_name, "sx_worker_main", BGW_MAXLEN);
		snprintf(bgw.bgw_name, BGW_MAXLEN, "streamx worker %d for database %u", index, dbid);
		strlcpy(bgw.bgw_type, "streamx worker", BGW_MAXLEN);
	}
	return start_process(dbid, index, &bgw, &ended) != NULL || ended;
}

BackgroundWorkerHandle *
sx_control_start_fold(dsm_handle segment, int number)
{
	BackgroundWorker bgw = {0};
	bool		ended;

	StaticAssertStmt(sizeof(dsm_handle) <= BGW_EXTRALEN, "no room for a segment's handle");
	memcpy(bgw.bgw_extra, &segment, sizeof(segment));
	strlcpy(bgw.bgw_function_name, "sx_fold_main", BGW_MAXLEN);
	snprintf(bgw.bgw_name, BGW_MAXLEN, "streamx fold process %d for database %u", number, MyDatabaseId);
	strlcpy(bgw.bgw_type, "streamx fold process", BGW_MAXLEN);
	return start_process(MyDatabaseId, SX_FOLD_PROCESS, &bgw, &ended);
}

bool
sx_control_start(Oid dbid, int index)
{
	bool		started = start_worker(dbid, index);
	SxDatabase *db;

	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	db = sx_control_database(dbid, !started);
	if (db)
		db->refused = started ? 0 : GetCurrentTimestamp();
	LWLockRelease(sx_control->lock);
	if (!started)
		sx_history_error(dbid, SX_ERROR_WORKER, InvalidOid, InvalidOid,
						 unpack_sql_state(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 index == SX_SCHEDULER ? "could not start a scheduler" : "could not start a worker");
	return started;
}

static void
detach_slot(int code, Datum arg)
{
	SxSlot	   *slot = (SxSlot *) DatumGetPointer(arg);

	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	if (slot->used && slot->pid == MyProcPid)
	{
		slot->used = false;
		slot->pid = 0;
	}
	LWLockRelease(sx_control->lock);
}

SxSlot *
sx_control_attach(Datum arg)
{
	int			i = (int) (uint32) DatumGetInt64(arg);
	uint32		generation = (uint32) (DatumGetInt64(arg) >> 32);
	SxSlot	   *slot = &sx_control->slots[i];
	bool		mine;

	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	mine = slot->used && slot->generation == generation;
	if (mine)
	{
		slot->pid = MyProcPid;
		slot->procno = sx_proc_number(MyProc);
	}
	LWLockRelease(sx_control->lock);
	if (!mine)
		proc_exit(0);
	before_shmem_exit(detach_slot, PointerGetDatum(slot));
	return slot;
}

void
sx_control_set_latch(int procno)
{
	if (procno >= 0)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

void
sx_control_session(const char *lock_timeout)
{
	static const char *const settings[][2] = {
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"},	/* 17 has it */
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_deferrable", "off"},
		{"search_path", "pg_catalog"},
	};
	int			i;

	for (i = 0; i < lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
	SetConfigOption("lock_timeout", lock_timeout, PGC_SUSET, PGC_S_OVERRIDE);
}

/* ---- waking ---- */

void
sx_worker_wake_now(void)
{
	int			i;

	if (sx_control == NULL)
		return;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	sx_control->changes++;
	if (OidIsValid(MyDatabaseId))
	{
		SxDatabase *db = sx_control_database(MyDatabaseId, false);

		if (db)
			db->dormant = false;
	}
	sx_control_set_latch(sx_control->launcher_procno);
	for (i = 0; i < sx_control->nslots; i++)
	{
		SxSlot	   *slot = &sx_control->slots[i];

		if (slot->used && slot->dbid == MyDatabaseId && slot->pid != 0)
			sx_control_set_latch(slot->procno);
	}
	LWLockRelease(sx_control->lock);
}

static void
wake_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (release_at_end)
				sx_worker_release_database(MyDatabaseId);
			if (wake_at_commit)
				sx_worker_wake_now();
			wake_at_commit = release_at_end = false;
			break;
		case XACT_EVENT_ABORT:
			if (release_at_end)
				sx_worker_release_database(MyDatabaseId);
			wake_at_commit = release_at_end = false;
			break;
		default:
			break;
	}
}

void
sx_worker_wake(void)
{
	wake_at_commit = true;
}

void
sx_worker_wake_stream(Oid stream)
{
	SxStreamFigures *f;
	int			procno = -1;

	if (sx_control == NULL)
		return;
	sx_stats_lock(false);
	f = sx_stats_stream(stream, false);
	if (f && f->owner_pid != 0)
	{
		pg_atomic_fetch_add_u32(&f->news, 1);
		procno = f->owner_proc;
	}
	sx_stats_unlock();
	sx_control_set_latch(procno);
}

/* ---- databases ---- */

void
sx_worker_stop_database(Oid dbid)
{
	SxDatabase *db;

	if (sx_control == NULL)
		return;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	db = sx_control_database(dbid, true);
	if (db)
		db->held = true;
	LWLockRelease(sx_control->lock);

	for (;;)
	{
		bool		any = false;
		int			i;

		LWLockAcquire(sx_control->lock, LW_SHARED);
		for (i = 0; i < sx_control->nslots; i++)
		{
			SxSlot	   *slot = &sx_control->slots[i];

			if (!slot->used || slot->dbid != dbid)
				continue;
			any = true;
			if (slot->pid != 0)
				kill(slot->pid, SIGTERM);
		}
		LWLockRelease(sx_control->lock);
		if (!any)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 20, sx_wait_event(SX_WAIT_STOP));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	sx_stats_forget_database(dbid);
}

void
sx_worker_release_database(Oid dbid)
{
	SxDatabase *db;

	if (sx_control == NULL)
		return;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	db = sx_control_database(dbid, false);
	if (db)
		db->used = false;
	sx_control->changes++;
	sx_control_set_latch(sx_control->launcher_procno);
	LWLockRelease(sx_control->lock);
}

void
sx_worker_stop_until_end(void)
{
	release_at_end = true;
	sx_worker_stop_database(MyDatabaseId);
}

bool
sx_worker_preloaded(void)
{
	return preloaded;
}

void
sx_worker_require_preloaded(void)
{
	if (!preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streamx has to be loaded when the server starts"),
				 errhint("Add streamx to shared_preload_libraries and restart the server.")));
}

void
sx_worker_init(void)
{
	BackgroundWorker bgw = {0};

	preloaded = true;
	sx_crash_init();
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
	RegisterXactCallback(wake_xact_callback, NULL);
	sx_journal_notify = sx_worker_wake_stream;

	/* pg_upgrade copies what is there: nothing may move meanwhile */
	if (IsBinaryUpgrade)
		return;
	bgw.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw.bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw.bgw_restart_time = 5;
	strlcpy(bgw.bgw_library_name, "streamx", BGW_MAXLEN);
	strlcpy(bgw.bgw_function_name, "sx_launcher_main", BGW_MAXLEN);
	strlcpy(bgw.bgw_name, "streamx launcher", BGW_MAXLEN);
	strlcpy(bgw.bgw_type, "streamx launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&bgw);
}
