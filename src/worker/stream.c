/*-------------------------------------------------------------------------
 * stream.c
 *		Which streams, tasks and views this worker has, in line with the
 *		catalog.
 *
 * Invalidation messages only set flags; the worker looks at them between
 * batches and once more when a batch holds its locks.  A view that something
 * it depends on has changed for is taken out and put in again from the
 * catalog: definition, plan, cache and progress anew.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/stop.h"
#include "catalog/extension.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "exec/owner.h"
#include "result/key_index.h"
#include "result/state_table.h"
#include "source/journal.h"
#include "stats/stats.h"
#include "worker/crash.h"
#include "worker/refill.h"
#include "worker/task.h"
#include "worker/worker.h"

#define OPEN_RETRY_MS 5000

List	   *sx_streams = NIL;

List	   *sx_views = NIL;

static MemoryContext streams_cxt;
static bool any_stale = false;
static int	my_index = -1;		/* this worker's, once it has looked */

int64
sx_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- invalidation ---- */

static void
relation_changed(Datum arg, Oid relid)
{
	ListCell   *lc;

	foreach(lc, sx_streams)
	{
		SxStreamRun *stream = lfirst(lc);

		if (relid == InvalidOid || stream->relid == relid)
			stream->stale = any_stale = true;
	}
	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);

		if (relid == InvalidOid || run->relid == relid ||
			list_member_oid(run->relations, relid))
			run->stale = any_stale = true;
	}
}

/* a server or user mapping: streams are looked at anew */
static void
server_changed(Datum arg, int cacheid, uint32 hash)
{
	relation_changed(arg, InvalidOid);
}

/*
 * A function, or a role, on which row security depends: views are planned
 * anew.
 */
static void
plans_changed(Datum arg, int cacheid, uint32 hash)
{
	ListCell   *lc;

	foreach(lc, sx_views)
		((SxViewRun *) lfirst(lc))->stale = any_stale = true;
}

void
sx_streams_init(void)
{
	streams_cxt = AllocSetContextCreate(TopMemoryContext, "streamx streams",
										ALLOCSET_DEFAULT_SIZES);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, server_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, server_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, plans_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AGGFNOID, plans_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, plans_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, plans_changed, (Datum) 0);
}

bool
sx_streams_stale(void)
{
	return any_stale;
}

void
sx_streams_mark_stale(void)
{
	any_stale = true;
}

/* ---- positions ---- */

SxPosition *
sx_position_find(SxPosition *positions, int n, int32 partition)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (positions[i].partition == partition)
			return &positions[i];
	}
	return NULL;
}

/* Copies; frees what was there. */
void
sx_task_set_positions(SxTask *task, const SxPosition *positions, int n)
{
	MemoryContext old = MemoryContextSwitchTo(task->cxt);
	SxPosition *copy = sx_positions_copy(positions, n);

	sx_positions_free(task->positions, task->npositions);
	task->positions = copy;
	task->npositions = n;
	MemoryContextSwitchTo(old);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_positions(SxPosition *a, int na, SxPosition *b, int nb)
{
	int			i;

	if (na != nb)
		return false;
	for (i = 0; i < na; i++)
	{
		SxPosition *p = sx_position_find(b, nb, a[i].partition);

		if (p == NULL || p->next_offset != a[i].next_offset ||
			p->watermark_us != a[i].watermark_us || p->gone != a[i].gone ||
			!same_text(p->snapshot, a[i].snapshot))
			return false;
	}
	return true;
}

/* ---- tasks ---- */

static SxMember *
find_member(const SxViewRun *run, Oid stream)
{
	int			i;

	for (i = 0; i < run->nmembers; i++)
	{
		if (run->members[i].stream == stream)
			return &run->members[i];
	}
	elog(ERROR, "view %u does not read stream %u", run->relid, stream);
}

SxMember *
sx_view_member(const SxViewRun *run, const SxTask *task)
{
	return find_member(run, task->stream->relid);
}

/* What fold processes have sent is not for these views, as they are now. */
static void
views_changed(SxTask *task)
{
	if (task->reader && sx_reader_folding(task->reader))
		task->seek = true;
}

static void
leave_task(SxTask *task, SxViewRun *run)
{
	sx_refill_leave(task, run);
	task->views = list_delete_ptr(task->views, run);
	sx_view_member(run, task)->task = NULL;
	views_changed(task);
}

void
sx_task_part(SxTask *task, SxViewRun *run)
{
	leave_task(task, run);
	sx_view_member(run, task)->alone = true;
	any_stale = true;
}

static void
close_task(SxTask *task)
{
	SxStreamRun *stream = task->stream;

	while (task->views)
		leave_task(task, linitial(task->views));
	if (task->reader)
		sx_reader_close(task->reader);
	stream->tasks = list_delete_ptr(stream->tasks, task);
	MemoryContextDelete(task->cxt);
}

/* All of a stream's, and its definition: to be opened anew. */
static void
close_tasks(SxStreamRun *stream)
{
	while (stream->tasks)
		close_task(linitial(stream->tasks));
	stream->def = NULL;
	if (stream->def_cxt)
		MemoryContextDelete(stream->def_cxt);
	stream->def_cxt = NULL;
}

static SxTask *
open_task(SxStreamRun *stream, SxPosition *positions, int n, const char *start,
		  int ready_fd)
{
	/* the transaction's until it is whole: opening may fail, again and again */
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext,
											  "streamx task",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxTask	   *task = palloc0(sizeof(SxTask));

	task->stream = stream;
	task->cxt = cxt;
	task->start = start ? pstrdup(start) : NULL;
	sx_task_set_positions(task, positions, n);
	task->reader = sx_reader_open(stream->def, ready_fd);
	sx_reader_announce(task->reader, &stream->news);
	task->seek = true;
	MemoryContextSetParent(cxt, stream->cxt);
	MemoryContextSwitchTo(stream->cxt);
	stream->tasks = lappend(stream->tasks, task);
	MemoryContextSwitchTo(old);
	return task;
}

void
sx_task_join(SxTask *to, SxTask *from)
{
	ListCell   *lc;
	MemoryContext old = MemoryContextSwitchTo(to->cxt);

	foreach(lc, from->views)
	{
		SxViewRun  *run = lfirst(lc);

		to->views = lappend(to->views, run);
		sx_view_member(run, to)->task = to;
	}
	views_changed(to);
	MemoryContextSwitchTo(old);
	from->views = NIL;
	close_task(from);
}

/* ---- views ---- */

SxViewRun *
sx_view_find(Oid relid)
{
	ListCell   *lc;

	foreach(lc, sx_views)
	{
		if (((SxViewRun *) lfirst(lc))->relid == relid)
			return lfirst(lc);
	}
	return NULL;
}

/* A member of no task yet; NULL: it was dropped this moment. */
SxViewRun *
sx_view_open(Oid relid)
{
	/* the transaction's until it is whole */
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext,
											  "streamx view",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxViewRun  *run = palloc0(sizeof(SxViewRun));
	SxViewCounters counters;
	ListCell   *lc;

	run->relid = relid;
	run->cxt = cxt;
	run->view = sx_view_get(relid);
	if (run->view == NULL)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return NULL;
	}
	run->members = palloc0(sizeof(SxMember) * Max(list_length(run->view->streams), 1));
	foreach(lc, run->view->sources ? NIL : run->view->streams)
		run->members[run->nmembers++].stream = lfirst_oid(lc);
	sx_view_counters(relid, &counters);
	run->watermark_us = counters.watermark_us;
	run->outbox = counters.outbox;
	PushActiveSnapshot(GetTransactionSnapshot());
	run->final_before_us = sx_view_final_before(relid);
	PopActiveSnapshot();
	run->relations = list_make2_oid(relid, run->view->query);
	run->relations = list_concat(run->relations, run->view->streams);
	run->relations = list_concat(run->relations, run->view->sources);
	run->behind = true;
	if (OidIsValid(run->view->state))
		run->relations = lappend_oid(run->relations, run->view->state);
	run->relations = list_concat(run->relations, run->view->value_sets);
	if (OidIsValid(run->view->sink))
		run->relations = lappend_oid(run->relations, run->view->sink);
	MemoryContextSwitchTo(streams_cxt);
	sx_views = lappend(sx_views, run);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(cxt, streams_cxt);
	return run;
}

void
sx_view_close(SxViewRun *run)
{
	int			i;

	for (i = 0; i < run->nmembers; i++)
	{
		if (run->members[i].task)
			leave_task(run->members[i].task, run);
	}
	sx_views = list_delete_ptr(sx_views, run);
	sx_refill_keep(run);
	MemoryContextDelete(run->cxt);
}

/* Those that no view is a member of any more. */
static void
close_empty_tasks(SxStreamRun *stream)
{
	ListCell   *lc;

restart:
	foreach(lc, stream->tasks)
	{
		SxTask	   *task = lfirst(lc);

		if (task->views == NIL)
		{
			close_task(task);
			goto restart;
		}
	}
}

/* Put a view into the task that stands where it stands, or one of its own. */
static void
add_view(SxStreamRun *stream, SxViewRun *run, int ready_fd)
{
	const char *start = run->view->start;
	SxMember   *member;
	SxPosition *positions;
	int			n;
	SxPosition *replay;
	int			nreplay;
	SxTask	   *task = NULL;
	MemoryContext old;
	ListCell   *lc;

	/*
	 * As of now: the view may be younger than the transaction's snapshot, and
	 * the worker that had the stream before has committed until it gave it
	 * up.
	 */
	PushActiveSnapshot(GetLatestSnapshot());
	positions = sx_checkpoint_load(run->relid, stream->relid, &n);
	replay = sx_checkpoint_load_replay(run->relid, stream->relid, &nreplay);
	PopActiveSnapshot();
	if (!sx_refill_arrive(run, positions, n, replay, nreplay) && nreplay > 0 &&
		!(stream->def->continue_on_loss && sx_positions_gone(replay, nreplay)))
	{
		task = open_task(stream, replay, nreplay, start, ready_fd);
		sx_refill_begin(task, run, positions, n);
	}
	member = find_member(run, stream->relid);

	/* one that may crash again is tried by itself */
	member->alone |= sx_crash_suspected(run->relid);
	foreach(lc, stream->tasks)
	{
		SxTask	   *t = lfirst(lc);

		if (task == NULL && !member->alone && t->hold_until_ms == 0 && t->failures == 0 &&
			t->refill == NULL &&
			same_positions(t->positions, t->npositions, positions, n) &&
			(n > 0 || same_text(t->start, start)))
		{
			task = t;
			break;
		}
	}
	if (task == NULL)
	{
		/* what they have of the source would be in the way of another */
		close_empty_tasks(stream);
		task = open_task(stream, positions, n, start, ready_fd);
	}

	/* no other task is joined before it gets through */
	if (member->alone)
		task->failures = 1;
	member->alone = false;
	old = MemoryContextSwitchTo(task->cxt);
	task->views = lappend(task->views, run);
	MemoryContextSwitchTo(old);
	member->task = task;
	views_changed(task);
}

void
sx_view_prepare(SxViewRun *run)
{
	/* the transaction's until it is whole: it may fail, again and again */
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext,
											  "streamx plan of a view",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxShape    *shape;
	PlannedStmt *small = NULL;
	PlannedStmt *big = NULL;
	List	   *relations;
	SxResult   *result;
	List	   *pairs;
	ListCell   *lc;

	shape = sx_plan_analyze(sx_plan_stored_query(run->view->query),
							run->view->name);
	foreach(lc, shape->streams)
	{
		if (!list_member_oid(run->view->streams, lfirst_oid(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("continuous view \"%s\" reads a stream that it did not read when it was created",
							run->view->name),
					 errhint("A view that it is defined by was changed: create the continuous view anew.")));
	}
	if (shape->strategy != SX_STRATEGY_APPEND && shape->grouped && shape->nkeys > 0)
		sx_key_index_attach(run->relid, shape);
	result = sx_result_open(run->view, shape);
	if (shape->strategy == SX_STRATEGY_DERIVE)
		relations = list_copy(sx_result_relations(result));
	else
	{
		small = sx_plan_batch(shape, 100);
		big = sx_plan_batch(shape, 100000);
		relations = list_copy(big->relationOids);
	}
	pairs = sx_pairs_open(run->view, shape, &relations);
	MemoryContextSwitchTo(run->cxt);
	foreach(lc, relations)
		run->relations = list_append_unique_oid(run->relations, lfirst_oid(lc));
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(cxt, run->cxt);
	run->shape = shape;
	run->apart = sx_plan_not_apart(run->view, shape) == NULL;
	run->plan_small = small;
	run->plan_big = big;
	run->result = result;
	run->pairs = pairs;
}

/* ---- streams ---- */

/* Whom the stream has been assigned to meanwhile could not claim it so far. */
static void
release_owner(Oid relid)
{
	SxStreamFigures *f;
	bool		awaited = false;

	sx_stats_lock(true);
	f = sx_stats_stream(relid, false);
	if (f && f->owner_pid == MyProcPid)
	{
		f->owner_pid = 0;
		f->owner_proc = -1;
		awaited = f->assigned >= 0 && f->assigned != my_index;
	}
	sx_stats_unlock();
	if (awaited)
		sx_worker_wake_now();
}

static void
close_stream(SxStreamRun *stream)
{
	close_tasks(stream);
	release_owner(stream->relid);
	sx_streams = list_delete_ptr(sx_streams, stream);
	MemoryContextDelete(stream->cxt);
}

void
sx_streams_close_all(void)
{
	while (sx_streams)
		close_stream(linitial(sx_streams));
}

/* Streams assigned to this worker that nobody else has open; they are ours. */
static List *
claim_streams(int worker_index)
{
	SxStreamFigures *all;
	List	   *result = NIL;
	int			n;
	int			i;

	all = sx_stats_all_streams(&n);
	sx_stats_lock(true);
	for (i = 0; i < n; i++)
	{
		SxStreamFigures *f = sx_stats_stream(all[i].key.relid, false);

		if (f == NULL || f->assigned != worker_index ||
			(f->owner_pid != 0 && f->owner_pid != MyProcPid))
			continue;
		if (f->owner_pid != MyProcPid)
			f->reported = false;
		f->owner_pid = MyProcPid;
		f->owner_proc = sx_proc_number(MyProc);
		result = lappend_oid(result, f->key.relid);
	}
	sx_stats_unlock();
	return result;
}

static SxStreamRun *
find_stream(Oid relid)
{
	ListCell   *lc;

	foreach(lc, sx_streams)
	{
		if (((SxStreamRun *) lfirst(lc))->relid == relid)
			return lfirst(lc);
	}
	return NULL;
}

static SxStreamRun *
add_stream(Oid relid)
{
	MemoryContext cxt = AllocSetContextCreate(streams_cxt, "streamx stream",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxStreamRun *stream = palloc0(sizeof(SxStreamRun));

	stream->relid = relid;
	stream->cxt = cxt;
	MemoryContextSwitchTo(streams_cxt);
	sx_streams = lappend(sx_streams, stream);
	MemoryContextSwitchTo(old);
	return stream;
}

/*
 * The stream's definition as it is now; false: nobody reads it.  Its readers
 * are closed unless all is as before: many an invalidation means somebody
 * else, and the clients of a socket would be cut off in vain.
 */
static bool
refresh_definition(SxStreamRun *stream)
{
	MemoryContext cxt;
	MemoryContext old;
	SxStream   *def;
	Oid			owner;

	stream->stale = false;
	if (sx_view_list_of_stream(stream->relid) == NIL)
	{
		close_tasks(stream);
		return false;
	}

	/*
	 * Views of one stream share a connection: the credentials are those that
	 * the stream's owner has at the server.
	 */
	cxt = AllocSetContextCreate(CurTransactionContext,
								"streamx stream definition",
								ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	owner = sx_stream_get(stream->relid, InvalidOid)->owner;
	def = sx_stream_get(stream->relid, owner);
	if (stream->def && sx_stream_same(stream->def, def))
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return true;
	}
	close_tasks(stream);
	stream->resolver = sx_fdw_resolver_create(def->schema);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(cxt, stream->cxt);
	stream->def_cxt = cxt;
	stream->def = def;
	return true;
}

/* Are all streams of the view this worker's? */
static bool
all_mine(const SxView *view, const List *mine)
{
	ListCell   *lc;

	foreach(lc, view->streams)
	{
		if (!list_member_oid(mine, lfirst_oid(lc)))
			return false;
	}
	return true;
}

/*
 * States that another major of PostgreSQL left.  Why a view cannot be planned
 * is told when a batch tries to.
 */
static void
renew_state(Oid relid)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner resowner = CurrentResourceOwner;
	SxOwnerScope scope;
	SxView	   *view = sx_view_get(relid);

	if (view == NULL || !sx_state_table_is_old(view))
		return;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		/* the view before its parts, as whoever drops it does */
		LockRelationOid(relid, RowExclusiveLock);
		sx_owner_enter(view, &scope);
		sx_state_table_renew(view);
		sx_owner_leave(&scope);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = resowner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = resowner;
	}
	PG_END_TRY();
}

/* Definition and views of one stream, in a transaction. */
static void
sync_stream(SxStreamRun *stream, const List *mine, int ready_fd)
{
	List	   *wanted = NIL;
	List	   *members = NIL;
	ListCell   *lc;

	if (stream->stale || stream->def == NULL)
	{
		/* a batch that did it would find the stream changed, and begin anew */
		sx_journal_arrive(stream->relid);
		if (!refresh_definition(stream))
			return;
	}

	foreach(lc, sx_view_list_of_stream(stream->relid))
	{
		SxView	   *view = sx_view_get(lfirst_oid(lc));

		if (view && !view->paused && !view->sqlstate && all_mine(view, mine))
			wanted = lappend_oid(wanted, view->relid);
	}

	/* views that have gone, are paused or have stopped */
	foreach(lc, stream->tasks)
		members = list_concat(members, ((SxTask *) lfirst(lc))->views);
	foreach(lc, members)
	{
		SxViewRun  *run = lfirst(lc);

		if (!list_member_oid(wanted, run->relid))
			sx_view_close(run);
	}
	foreach(lc, wanted)
	{
		Oid			relid = lfirst_oid(lc);
		SxViewRun  *run = sx_view_find(relid);

		if (run == NULL)
		{
			renew_state(relid);
			run = sx_view_open(relid);
		}
		if (run == NULL)
			continue;
		if (find_member(run, stream->relid)->task == NULL)
			add_view(stream, run, ready_fd);
	}
	close_empty_tasks(stream);
}

/* What is wrong with one stream is no matter of the others. */
static void
try_sync_stream(SxStreamRun *stream, const List *mine, int ready_fd)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		sync_stream(stream, mine, ready_fd);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
		if (stream->error)
			pfree(stream->error);
		stream->error = NULL;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(stream->cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
		if (ProcDiePending)
			ReThrowError(edata);
		if (stream->error == NULL || strcmp(stream->error, edata->message) != 0)
			ereport(LOG,
					(errcode(edata->sqlerrcode),
					 errmsg("could not open stream %u: %s", stream->relid,
							edata->message)));
		close_tasks(stream);
		if (stream->error)
			pfree(stream->error);
		stream->error = MemoryContextStrdup(stream->cxt, edata->message);
		stream->retry_ms = sx_now_ms() + OPEN_RETRY_MS;
		FreeErrorData(edata);
	}
	PG_END_TRY();
}

void
sx_streams_sync(int worker_index, int ready_fd)
{
	List	   *mine;
	ListCell   *lc;
	MemoryContext cxt = CurrentMemoryContext;

	any_stale = false;
	my_index = worker_index;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	mine = sx_extension_exists() && sx_extension_fits(NULL) ? claim_streams(worker_index) : NIL;

	/*
	 * Views to be set up anew, and those that somebody else is to have: out
	 * of all tasks, before a stream is given up.
	 */
	foreach(lc, list_copy(sx_views))
	{
		SxViewRun  *run = lfirst(lc);

		if (run->stale || !all_mine(run->view, mine))
			sx_view_close(run);
	}
again:
	foreach(lc, sx_streams)
	{
		SxStreamRun *stream = lfirst(lc);

		if (!list_member_oid(mine, stream->relid))
		{
			close_stream(stream);
			goto again;
		}
	}
	foreach(lc, mine)
	{
		SxStreamRun *stream = find_stream(lfirst_oid(lc));

		if (stream == NULL)
			stream = add_stream(lfirst_oid(lc));
		if (stream->error == NULL || stream->stale || sx_now_ms() >= stream->retry_ms)
			try_sync_stream(stream, mine, ready_fd);
	}
	foreach(lc, list_copy(sx_views))
	{
		SxViewRun  *run = lfirst(lc);
		bool		read = false;
		int			i;

		for (i = 0; i < run->nmembers; i++)
			read |= run->members[i].task != NULL;
		if (!read && run->view->sources == NIL)
			sx_view_close(run);
	}
	sx_follow_sync();
	SX_STOP("sync", "");
	PopActiveSnapshot();
	CommitTransactionCommand();
	sx_refill_drop_kept();
	MemoryContextSwitchTo(cxt);
}
