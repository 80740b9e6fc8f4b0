/*-------------------------------------------------------------------------
 * scheduler.c
 *		Shares the streams of a database out to its workers.
 *
 * A stream is assigned to the worker with the fewest streams and stays there
 * while that worker runs.  Streams that a view reads together are assigned
 * together, and when a view comes to connect them, those with fewer streams
 * follow the others.  Only streams that a running view reads, or that take
 * rows in by themselves (socket), are assigned.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/stop.h"
#include "base/version.h"
#include "base/wait_event.h"
#include "catalog/extension.h"
#include "catalog/option.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "compat.h"
#include "source/journal.h"
#include "stats/stats.h"
#include "worker/control.h"
#include "worker/crash.h"

#define LOOK_MS		5000
#define TRIM_MS		10000
#define RETRY_MS	1000

/*
 * Of our time, looking at all that rarely changes may take one part in so
 * many; but it is looked at this often.
 */
#define LOOK_SHARE	1000
#define LOOK_MAX_S	120
#define REMOVE_ROWS	10000		/* dead letters and the like, at a time and
								 * stream */

/* A journal as it was looked at last: what has changed since is worth it. */
typedef struct Journal
{
	Oid			stream;
	uint32		news;
	int64		rows_in;
} Journal;

static HTAB *journals = NULL;

/* The version of the extension's SQL that was last told not to go with us. */
static char *told = NULL;

/* Views whose parts are known to depend on them: a dump does not say so. */
static List *attached = NIL;

/* Figures of what was dropped; in a transaction. */
static void
forget_dropped(void)
{
	SxStreamFigures *streams;
	SxViewFigures *views;
	int			n;
	int			i;
	ListCell   *lc;

	streams = sx_stats_all_streams(&n);
	for (i = 0; i < n; i++)
	{
		/* its worker gives it back first */
		if (streams[i].owner_pid == 0 &&
			!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(streams[i].key.relid)))
			sx_stats_forget_stream(streams[i].key.relid);
	}
	views = sx_stats_all_views(&n);
	for (i = 0; i < n; i++)
	{
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(views[i].key.relid)))
			sx_stats_forget_view(views[i].key.relid);
	}
	foreach(lc, attached)
	{
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			attached = foreach_delete_current(attached, lc);
	}
}

/*
 * Does the extension go with this library?  If not, nothing is done here until
 * it does; the log says so, once.  In a transaction.
 */
static bool
extension_fits(void)
{
	char	   *installed;
	bool		fits = sx_extension_fits(&installed);

	if (!fits && (told == NULL || strcmp(told, installed) != 0))
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streamx waits in database %u: its extension has version %s, the library goes with %s to %s",
						MyDatabaseId, installed, SX_VERSION_OLDEST, SX_VERSION),
				 errhint("%s", sx_extension_cure(installed))));
	if (fits && told)
		ereport(LOG,
				(errmsg("streamx goes on in database %u", MyDatabaseId)));
	if (told)
		pfree(told);
	told = fits ? NULL : MemoryContextStrdup(TopMemoryContext, installed);
	return fits;
}

static bool
have_common(const List *a, const List *b)
{
	ListCell   *lc;

	foreach(lc, a)
	{
		if (list_member_oid(b, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* Lists of streams: those that have one in common with "streams" become one. */
static List *
add_group(List *groups, List *streams)
{
	List	   *group = list_copy(streams);
	ListCell   *lc;

	foreach(lc, groups)
	{
		List	   *other = lfirst(lc);

		if (!have_common(other, streams))
			continue;
		group = list_concat_unique_oid(group, other);
		groups = foreach_delete_current(groups, lc);
	}
	return lappend(groups, group);
}

/*
 * Streams that have to be read now, in lists of those that go together;
 * false: there is no extension here.  *fits: it goes with the library.
 */
static bool
list_streams(MemoryContext cxt, List **groups, bool *fits)
{
	ListCell   *lc;
	bool		exists;
	MemoryContext old;

	*groups = NIL;
	*fits = false;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	exists = sx_extension_exists();
	forget_dropped();
	sx_crash_report();
	*fits = exists && extension_fits();
	if (*fits)
	{
		foreach(lc, sx_view_list())
		{
			SxView	   *view = sx_view_get(lfirst_oid(lc));

			if (view == NULL)
				continue;
			if (!list_member_oid(attached, view->relid) && sx_view_attach_parts(view))
			{
				old = MemoryContextSwitchTo(TopMemoryContext);
				attached = lappend_oid(attached, view->relid);
				MemoryContextSwitchTo(old);
			}
			if (view->paused || view->sqlstate)
				continue;
			old = MemoryContextSwitchTo(cxt);
			*groups = add_group(*groups, view->streams);
			MemoryContextSwitchTo(old);
		}
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	return exists;
}

/* When to do again what took us from begun until now. */
static TimestampTz
next_time(TimestampTz begun, int64 least_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	return now + Max(least_ms * INT64CONST(1000),
					 Min((now - begun) * LOOK_SHARE, LOOK_MAX_S * USECS_PER_SEC));
}

/* Have rows come, or been read, since this was asked last? */
static bool
is_active(Oid stream)
{
	SxStreamFigures *f;
	Journal    *j;
	bool		found;
	bool		result = true;

	if (journals == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Journal);
		journals = hash_create("streamx journals", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	j = hash_search(journals, &stream, HASH_ENTER, &found);
	sx_stats_lock(false);
	f = sx_stats_stream(stream, false);
	if (f)
	{
		uint32		news = pg_atomic_read_u32(&f->news);

		result = !found || j->news != news || j->rows_in != f->rows_in;
		j->news = news;
		j->rows_in = f->rows_in;
	}
	sx_stats_unlock();
	return result;
}

/*
 * Empty what every view has read of the journals: of all, or of those that
 * are used.  Each in a transaction of its own, as it keeps locks until the
 * end.
 */
static void
trim_journals(MemoryContext cxt, bool all)
{
	List	   *streams;
	ListCell   *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(cxt);
	streams = sx_journal_list();
	PopActiveSnapshot();
	CommitTransactionCommand();

	/* of those that are gone nothing is remembered */
	if (all && journals && hash_get_num_entries(journals) > 2 * list_length(streams) + 64)
	{
		hash_destroy(journals);
		journals = NULL;
	}
	foreach(lc, streams)
	{
		bool		active = is_active(lfirst_oid(lc));

		if (!active && !all)
			continue;
		PG_TRY();
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			(void) sx_journal_trim(lfirst_oid(lc));
			PopActiveSnapshot();
			CommitTransactionCommand();
		}
		PG_CATCH();
		{
			/* next time: nothing is lost but room */
			HOLD_INTERRUPTS();
			EmitErrorReport();
			FlushErrorState();
			AbortOutOfAnyTransaction();
			RESUME_INTERRUPTS();
		}
		PG_END_TRY();
	}
	MemoryContextSwitchTo(cxt);
}

/* So many of the rows of a stream that arrived this long ago; in a transaction. */
static int64
remove_arrived(const char *table, Oid stream, const char *option)
{
	const char *value = sx_option_get(GetForeignTable(stream)->options, option);
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		args[2];
	char	   *sql;

	if (value == NULL)
		return 0;
	args[0] = ObjectIdGetDatum(stream);
	args[1] = TimestampTzGetDatum(GetCurrentTimestamp() - sx_option_interval_us(option, value));
	sql = psprintf("DELETE FROM %s WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
				   "SELECT ctid FROM %s WHERE stream OPERATOR(pg_catalog.=) $1::pg_catalog.regclass"
				   " AND arrived OPERATOR(pg_catalog.<) $2 ORDER BY arrived LIMIT %d))",
				   table, table, REMOVE_ROWS);
	if (SPI_execute_with_args(sql, 2, types, args, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old rows: %s", sql);
	return SPI_processed;
}

/*
 * Remove dead letters and late rows that are older than their streams say, some
 * at a time.  In a transaction of its own, as it is no batch's affair.  False:
 * there were none.
 */
static bool
remove_old_rows(MemoryContext cxt)
{
	volatile int64 removed = 0;

	PG_TRY();
	{
		ListCell   *lc;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_connect();
		foreach(lc, sx_stream_list())
		{
			removed += remove_arrived("streamx.dead_letters", lfirst_oid(lc), "dead_letter_retention");
			removed += remove_arrived("streamx.late_rows", lfirst_oid(lc), "late_row_retention");
		}
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		/* next time: nothing is lost but room */
		HOLD_INTERRUPTS();
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return removed > 0;
}

/*
 * The worker that a group of streams is for: the one that most of them are
 * assigned to, or else the one with the least to do.  The lock is held.
 */
static int
worker_of(List *group, const int *load, int *votes, int needed)
{
	int			most = 0;
	int			least = 0;
	int			i;
	ListCell   *lc;

	memset(votes, 0, sizeof(int) * needed);
	foreach(lc, group)
	{
		SxStreamFigures *f = sx_stats_stream(lfirst_oid(lc), false);

		if (f && f->assigned >= 0)
			votes[f->assigned]++;
	}
	for (i = 1; i < needed; i++)
	{
		if (votes[i] > votes[most])
			most = i;
		if (load[i] < load[least])
			least = i;
	}
	return votes[most] > 0 ? most : least;
}

/* Is it in this list, which is sorted? */
static bool
is_listed(const List *streams, Oid stream)
{
	int			from = 0;
	int			to = list_length(streams);

	while (from < to)
	{
		int			middle = (from + to) / 2;
		Oid			other = list_nth_oid(streams, middle);

		if (other == stream)
			return true;
		if (other < stream)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

/*
 * Assign each group of streams to one of n workers; returns how many workers
 * it takes.  *moved: whether a worker has to look at the catalog again because
 * of it.  *all_are: whether each is assigned, else there is no room for its
 * figures.
 */
static int
assign(List *groups, int n, bool *moved, bool *all_are)
{
	int		   *load = palloc0(sizeof(int) * n);
	int		   *votes = palloc(sizeof(int) * n);
	int			needed = Min(n, list_length(groups));
	SxStreamFigures *all;
	List	   *streams = NIL;
	int			count;
	int			i;
	ListCell   *lc;
	ListCell   *ls;

	*moved = false;
	*all_are = true;
	foreach(lc, groups)
		streams = list_concat(streams, lfirst(lc));
	list_sort(streams, list_oid_cmp);
	all = sx_stats_all_streams(&count);
	sx_stats_lock(true);
	for (i = 0; i < count; i++)
	{
		SxStreamFigures *f = sx_stats_stream(all[i].key.relid, false);

		if (f == NULL)
			continue;
		if (!is_listed(streams, f->key.relid) || f->assigned >= needed)
			f->assigned = -1;
		else if (f->assigned >= 0)
			load[f->assigned]++;
	}
	foreach(lc, groups)
	{
		int			worker = worker_of(lfirst(lc), load, votes, needed);

		foreach(ls, (List *) lfirst(lc))
		{
			SxStreamFigures *f = sx_stats_stream(lfirst_oid(ls), true);

			*all_are &= f != NULL;
			if (f == NULL || f->assigned == worker)
				continue;
			if (f->assigned >= 0)
				load[f->assigned]--;
			f->assigned = worker;
			load[worker]++;
			*moved = true;
		}
	}
	sx_stats_unlock();
	pfree(load);
	pfree(votes);
	return needed;
}

/* Shutdown takes the workers along: nobody else knows of them. */
static void
stop_workers(int first)
{
	int			i;

	LWLockAcquire(sx_control->lock, LW_SHARED);
	for (i = 0; i < sx_control->nslots; i++)
	{
		SxSlot	   *slot = &sx_control->slots[i];

		if (slot->used && slot->dbid == MyDatabaseId && slot->index >= first &&
			slot->pid != 0)
			kill(slot->pid, SIGTERM);
	}
	LWLockRelease(sx_control->lock);
}

static void
stop_workers_at_exit(int code, Datum arg)
{
	stop_workers(0);
}

static void
wake_workers(bool moved)
{
	int			i;

	/* those that were faster than us have looked at the catalog already */
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	if (moved)
		sx_control->changes++;
	for (i = 0; i < sx_control->nslots; i++)
	{
		SxSlot	   *slot = &sx_control->slots[i];

		if (slot->used && slot->dbid == MyDatabaseId && slot->index >= 0 &&
			slot->pid != 0)
			sx_control_set_latch(slot->procno);
	}
	LWLockRelease(sx_control->lock);
}

/* No process is lacking any more: what could not be started is not needed. */
static void
all_there(void)
{
	SxDatabase *db;

	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	db = sx_control_database(MyDatabaseId, false);
	if (db)
		db->refused = 0;
	LWLockRelease(sx_control->lock);
}

void
sx_scheduler_main(Datum arg)
{
	SxSlot	   *slot;
	MemoryContext cxt;
	MemoryContext list_cxt;
	bool		exists = true;
	bool		fits = false;
	uint64		seen = 0;
	uint64		listed = 0;
	List	   *groups = NIL;
	TimestampTz next_list = 0;
	TimestampTz last_start[64] = {0};
	TimestampTz next_trim = 0;
	TimestampTz next_trim_all = 0;
	TimestampTz next_remove = 0;
	bool		assigned = false;	/* nothing has changed since */
	int			needed = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	slot = sx_control_attach(arg);
	BackgroundWorkerInitializeConnectionByOid(slot->dbid, InvalidOid, 0);
	sx_control_session("0");
	before_shmem_exit(stop_workers_at_exit, (Datum) 0);
	cxt = AllocSetContextCreate(TopMemoryContext, "streamx scheduler",
								ALLOCSET_DEFAULT_SIZES);
	list_cxt = AllocSetContextCreate(TopMemoryContext, "streamx scheduler's streams",
									 ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		TimestampTz now;
		int			i;
		uint64		changes;
		bool		running;
		bool		moved;
		bool		complete;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			sx_control_session("0");
			assigned = false;
		}
		LWLockAcquire(sx_control->lock, LW_SHARED);
		changes = sx_control->changes;
		LWLockRelease(sx_control->lock);

		pgstat_report_activity(STATE_RUNNING, "sharing out streams");
		MemoryContextReset(cxt);
		MemoryContextSwitchTo(cxt);
		now = GetCurrentTimestamp();
		if (changes != listed || now >= next_list)
		{
			MemoryContextReset(list_cxt);
			exists = list_streams(list_cxt, &groups, &fits);
			listed = changes;
			assigned = false;

			/* with many views it takes its time, though they rarely change */
			next_list = next_time(now, 0);
			MemoryContextSwitchTo(cxt);
		}
		if (!exists)
		{
			SxDatabase *db;

			LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
			db = sx_control_database(MyDatabaseId, true);
			if (db && sx_control->changes == changes)
				db->dormant = true;
			LWLockRelease(sx_control->lock);
			proc_exit(0);
		}
		now = GetCurrentTimestamp();
		if (fits && now >= next_trim)
		{
			bool		all = now >= next_trim_all;

			pgstat_report_activity(STATE_RUNNING, "emptying journals");
			trim_journals(cxt, all);
			next_trim = GetCurrentTimestamp() + TRIM_MS * INT64CONST(1000);
			if (all)
				next_trim_all = next_time(now, TRIM_MS);
		}
		now = GetCurrentTimestamp();
		if (fits && now >= next_remove)
		{
			pgstat_report_activity(STATE_RUNNING, "removing old dead letters and late rows");
			if (remove_old_rows(cxt))
				next_remove = GetCurrentTimestamp() + TRIM_MS * INT64CONST(1000);
			else
				next_remove = next_time(now, TRIM_MS);
		}
		pgstat_report_activity(STATE_RUNNING, "sharing out streams");
		moved = false;
		complete = true;
		if (!sx_enabled)
			needed = 0;
		else if (!assigned)
			needed = assign(groups, sx_workers, &moved, &assigned);
		SX_STOP("assign", "");
		stop_workers(needed);
		for (i = 0; i < needed; i++)
		{
			LWLockAcquire(sx_control->lock, LW_SHARED);
			running = sx_control_slot(MyDatabaseId, i) != NULL;
			LWLockRelease(sx_control->lock);
			complete &= running;
			if (running ||
				!TimestampDifferenceExceeds(last_start[i], GetCurrentTimestamp(), RETRY_MS))
				continue;
			last_start[i] = GetCurrentTimestamp();
			if (!sx_control_start(MyDatabaseId, i))
				ereport(LOG,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("streamx could not start worker %d for database %u",
								i, MyDatabaseId),
						 errhint("You might need to increase max_worker_processes.")));
		}
		if (complete)
			all_there();
		if (changes != seen || moved)
			wake_workers(moved);
		seen = changes;
		(void) pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, fits ? "waiting for changes of streams and views" :
							   "waiting for a version of the extension that goes with the library");
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 needed > 0 ? RETRY_MS : LOOK_MS, sx_wait_event(SX_WAIT_SCHEDULER));
		ResetLatch(MyLatch);
	}
}
