/*-------------------------------------------------------------------------
 * fold_process.c
 *		A fold process: reads a share of a stream's partitions, runs the views'
 *		plans over the rows, sends the worker what comes out.
 *
 *		open -> { wait for rows -> fold, in a transaction -> send } ...
 *
 * It writes nothing.  What it knows of stream and views is as of its start:
 * when a definition changes it gives up, and the worker starts another.  Also
 * at any error: the worker meets it again, and knows what to do.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/stop.h"
#include "base/wait_event.h"
#include "catalog/view.h"
#include "compat.h"
#include "exec/exec.h"
#include "exec/owner.h"
#include "fdw/resolve.h"
#include "plan/plan.h"
#include "window/event_time.h"
#include "worker/control.h"
#include "worker/crash.h"
#include "worker/fold_internal.h"
#include "worker/intake.h"
#include "worker/reader.h"
#include "worker/task.h"

#define CHUNK_ROWS		65536	/* folded together: the more, the less is
								 * merged */
#define BUSY_ROWS		8192	/* a chunk as big as that: wait for the next
								 * to fill */
#define GATHER_MS		50		/* so long */
#define STATUS_MS		500		/* between two reports, if all is well */
#define MAX_KEPT		(128 * 1024 * 1024) /* bytes of rows that were sent */

typedef struct FoldView
{
	SxView	   *view;
	SxShape    *shape;
	PlannedStmt *plan;
	PlannedStmt *plan_late;
	TupleDesc	desc;
} FoldView;

/* Rows that the worker may still ask about. */
typedef struct Kept
{
	uint64		number;			/* 0: free */
	SxBatch    *list;
	Size		bytes;
} Kept;

static MemoryContext fold_cxt;	/* for good */
static MemoryContext chunk_cxt;
static SxFoldOrder *order;
static shm_mq_handle *mq;
static SxStream *stream;
static SxDeferredResolver *resolver;
static SxReader *reader = NULL;
static FoldView *views;
static List *relations = NIL;	/* Oids: what all this depends on */
static bool stale = false;
static Kept kept[SX_FOLD_MAX_OPEN];
static Size kept_bytes = 0;
static uint64 sent = 0;
static uint32 answered = 0;

/* ---- what it works by ---------------------------------------------------------- */

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || list_member_oid(relations, relid))
		stale = true;
}

static void
anything_changed(Datum arg, int cacheid, uint32 hash)
{
	stale = true;
}

static void
watch_definitions(void)
{
	static const int caches[] = {FOREIGNSERVEROID, USERMAPPINGOID, PROCOID, AGGFNOID, AUTHOID, AUTHMEMROLEMEM};
	int			i;

	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	for (i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], anything_changed, (Datum) 0);
}

static void
open_view(FoldView *v, Oid relid)
{
	SxOwnerScope scope;

	v->view = sx_view_get(relid);
	if (v->view == NULL)
	{
		stale = true;
		return;
	}
	sx_owner_enter(v->view, &scope);
	v->shape = sx_plan_analyze(sx_plan_stored_query(v->view->query), v->view->name);
	v->plan = sx_plan_batch(v->shape, CHUNK_ROWS);
	v->desc = ExecCleanTypeFromTL(v->plan->planTree->targetlist);
	sx_owner_leave(&scope);
	relations = lappend_oid(relations, relid);
	relations = lappend_oid(relations, v->view->query);
	relations = list_concat_unique_oid(relations, v->plan->relationOids);
}

static void
close_at_exit(int code, Datum arg)
{
	if (reader)
		sx_reader_close(reader);
	reader = NULL;
}

static void
open_all(const Oid *oids, const SxPosition *positions, int ready_fd)
{
	MemoryContext old;
	int			i;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	old = MemoryContextSwitchTo(fold_cxt);
	relations = list_make1_oid(order->stream);
	stream = sx_stream_get(order->stream, sx_stream_get(order->stream, InvalidOid)->owner);
	resolver = sx_fdw_resolver_create(stream->schema);
	views = palloc0(sizeof(FoldView) * order->nviews);
	for (i = 0; i < order->nviews && !stale; i++)
		open_view(&views[i], oids[i]);
	reader = sx_reader_open(stream, ready_fd);
	before_shmem_exit(close_at_exit, (Datum) 0);
	sx_reader_share(reader, order->index, order->count);
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(fold_cxt);
	sx_reader_seek(reader, positions, order->npositions, NULL);
}

/* ---- sending -------------------------------------------------------------------- */

static void
send_message(const void *message, Size size)
{
	if (shm_mq_send(mq, size, message, false, true) != SHM_MQ_SUCCESS)
		proc_exit(0);			/* the worker has gone on without us */
}

static void
send_status(void)
{
	static SxConnState conn;
	static char error[SX_ERROR_LEN] = "";
	static int	nends = -1;
	static int64 last_ms = 0;
	static int64 last_end = -1;
	SxSourceStatus status;
	SxFoldStatus head;
	StringInfoData message;
	int64		now = sx_now_ms();
	int64		end = 0;
	int			ends = 0;
	int			i;

	sx_reader_status(reader, &status);
	for (i = 0; i < status.npartitions; i++)
	{
		ends += status.partitions[i].at_end;
		end += status.partitions[i].end_offset;
	}
	if (nends == ends && conn == status.conn && strcmp(error, status.error) == 0 &&
		(end == last_end || now - last_ms < STATUS_MS))
	{
		free(status.partitions);
		return;
	}
	nends = ends;
	conn = status.conn;
	strlcpy(error, status.error, sizeof(error));
	last_ms = now;
	last_end = end;

	memset(&head, 0, sizeof(head));
	head.type = SX_FOLD_STATUS;
	head.conn = status.conn;
	strlcpy(head.sqlstate, status.sqlstate, sizeof(head.sqlstate));
	strlcpy(head.error, status.error, sizeof(head.error));
	head.npartitions = status.npartitions;
	initStringInfo(&message);
	sx_fold_put(&message, &head, sizeof(head));
	sx_fold_put(&message, status.partitions, sizeof(SxPartitionStatus) * status.npartitions);
	free(status.partitions);
	send_message(message.data, message.len);
	pfree(message.data);
}

pg_noreturn static void
give_up(bool is_stale, const char *error)
{
	SxFoldGivesUp last;

	memset(&last, 0, sizeof(last));
	last.type = SX_FOLD_GIVES_UP;
	last.stale = is_stale;
	strlcpy(last.error, error, sizeof(last.error));
	send_message(&last, sizeof(last));
	proc_exit(0);
}

/* ---- a chunk ---------------------------------------------------------------------- */

static void
put_rejects(StringInfo message, const SxBatch *list, int *n)
{
	for (; list; list = list->next)
	{
		int			i;

		for (i = 0; i < list->nrejects; i++)
		{
			SxFoldReject r;

			memset(&r, 0, sizeof(r));
			r.reject = list->rejects[i];
			r.error_len = strlen(r.reject.error) + 1;
			sx_fold_put(message, &r, sizeof(r));
			sx_fold_put(message, r.reject.error, r.error_len);
			if (r.reject.key)
				sx_fold_put(message, r.reject.key, r.reject.key_len);
			if (r.reject.payload)
				sx_fold_put(message, r.reject.payload, r.reject.payload_len);
			(*n)++;
		}
	}
}

/* Did rows of the partition come? */
static bool
came(const SxBatch *list, int32 partition)
{
	for (; list; list = list->next)
	{
		int			i;

		for (i = 0; i < list->npositions; i++)
		{
			if (list->positions[i].partition == partition && sx_batch_came(list, i))
				return true;
		}
	}
	return false;
}

/* Where the partitions of these rows go on, and their watermarks. */
static void
put_positions(StringInfo message, const SxBatch *list, int *n)
{
	SxPosition *positions = sx_positions_after(stream, list, NULL, 0, n);
	List	   *gone = NIL;
	int			i;

	sx_batches_gone(list, &gone);
	for (i = 0; i < *n; i++)
	{
		SxFoldPosition p;

		memset(&p, 0, sizeof(p));
		p.partition = positions[i].partition;
		p.next_offset = positions[i].next_offset;
		p.watermark_us = positions[i].watermark_us;
		p.first_offset = positions[i].first_offset;
		p.gone = list_member_int(gone, p.partition);
		p.came = came(list, p.partition);
		sx_fold_put(message, &p, sizeof(p));
	}
}

static void
bind_rows(SxScanInput *input, const FoldView *v, SxBatch **batches, int nbatches, int64 nrows)
{
	input->stream = stream->relid;
	input->streams = v->shape->streams;
	input->batches = batches;
	input->nbatches = nbatches;
	input->first_row = 0;
	input->end_row = nrows;
}

/*
 * Run a plan of the view over rows, as its owner; windows up to closed_us are
 * closed.  The plan's relations are locked by it.
 */
static void
run_plan(FoldView *v, PlannedStmt *plan, SxBatch **batches, int nbatches, int64 nrows,
		 int64 closed_us, SxRows *rows)
{
	SxScanInput input;
	SxOwnerScope scope;
	DestReceiver *dest;
	ListCell   *lc;

	sx_owner_enter(v->view, &scope);
	foreach(lc, plan->relationOids)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	if (stale)
		give_up(true, "");
	PushActiveSnapshot(GetTransactionSnapshot());
	bind_rows(&input, v, batches, nbatches, nrows);
	dest = sx_exec_collector(rows, CurrentMemoryContext);
	sx_exec_run_closed(plan, &input, dest, v->shape->window, closed_us);
	dest->rDestroy(dest);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
}

static void
put_view(StringInfo message, FoldView *v, SxBatch **batches, int nbatches, int64 nrows)
{
	int64		begin = sx_clock_us();
	SxFoldRows	head;
	SxRows		rows;
	int			at;
	int64		r;

	sx_crash_at(stream->relid, v->view->relid, SX_STEP_ROWS);
	if (nbatches > 0 && batches[0]->nrows > 0)
		sx_crash_at_rows(batches[0]->partition[0], batches[0]->position[0], nrows);

	/* what is closed is the worker's to say, when it merges */
	run_plan(v, v->plan, batches, nbatches, nrows, PG_INT64_MIN, &rows);
	memset(&head, 0, sizeof(head));
	head.view = v->view->relid;
	head.ncols = rows.ncols;
	head.types = sx_fold_types(v->desc);
	head.nrows = rows.nrows;
	sx_fold_put(message, &head, sizeof(head));
	at = message->len - sizeof(head);
	sx_fold_put(message, "", 0);
	for (r = 0; r < rows.nrows; r++)
	{
		MinimalTuple tuple = sx_form_minimal_tuple(v->desc, rows.values + r * rows.ncols,
												   rows.nulls + r * rows.ncols);

		sx_fold_put(message, tuple, tuple->t_len);
		pfree(tuple);
	}
	sx_fold_put(message, "", 0);
	head.bytes = message->len - MAXALIGN(at + sizeof(head));
	head.execute_us = sx_clock_us() - begin;
	memcpy(message->data + at, &head, sizeof(head));
	sx_crash_at(stream->relid, InvalidOid, SX_STEP_READING);
}

static void
keep(uint64 number, SxBatch *list)
{
	int			i;
	SxBatch    *b;

	for (i = 0; i < SX_FOLD_MAX_OPEN; i++)
	{
		if (kept[i].number != 0)
			continue;
		kept[i].number = number;
		kept[i].list = list;
		kept[i].bytes = 0;
		for (b = list; b; b = b->next)
			kept[i].bytes += sx_batch_bytes(b);
		kept_bytes += kept[i].bytes;
		return;
	}
	elog(ERROR, "no room to keep rows that were sent");
}

/* What the worker is through with can go. */
static void
release(void)
{
	uint64		released = pg_atomic_read_u64(&order->released);
	int			i;

	for (i = 0; i < SX_FOLD_MAX_OPEN; i++)
	{
		if (kept[i].number == 0 || kept[i].number > released)
			continue;
		sx_reader_give_back(reader, kept[i].list);
		kept_bytes -= kept[i].bytes;
		kept[i].number = 0;
	}
}

static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(chunk_cxt);
	PushActiveSnapshot(GetTransactionSnapshot());
	LockRelationOid(stream->relid, AccessShareLock);
	if (stale)
		give_up(true, "");
}

static void
end_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(chunk_cxt);
}

/* These rows, folded and sent. */
static void
fold_chunk(SxBatch *list)
{
	SxFoldChunk head;
	StringInfoData message;
	SxOwnerScope scope;
	SxBatch    *b;
	SxBatch   **batches;
	int			nbatches = 0;
	int			i;

	memset(&head, 0, sizeof(head));
	head.type = SX_FOLD_CHUNK;
	head.number = ++sent;
	pgstat_report_activity(STATE_RUNNING, psprintf("%s: folding rows", stream->name));
	begin_transaction();

	/* checks of a domain are code of users: that of the stream's owner */
	sx_owner_enter_role(stream->owner, &scope);
	for (b = list; b; b = b->next)
	{
		if (b->ndeferred > 0)
			sx_fdw_resolve_deferred(b, resolver);
	}
	sx_owner_leave(&scope);
	for (b = list; b; b = b->next)
	{
		sx_window_reject_ahead(stream, b);
		nbatches++;
		head.nrows += b->nrows;
		head.decode_us += b->decode_us;
		head.newest = Max(head.newest, sx_batch_newest(b));
	}
	batches = palloc(sizeof(SxBatch *) * nbatches);
	for (b = list, i = 0; b; b = b->next)
		batches[i++] = b;

	initStringInfo(&message);
	sx_fold_put(&message, &head, sizeof(head));
	put_positions(&message, list, &head.npositions);
	put_rejects(&message, list, &head.nrejects);
	for (i = 0; i < order->nviews; i++)
		put_view(&message, &views[i], batches, nbatches, head.nrows);
	head.nviews = order->nviews;
	memcpy(message.data, &head, sizeof(head));
	end_transaction();
	keep(head.number, list);
	SX_STOP("folded", stream->name);
	send_message(message.data, message.len);
}

/* The worker asks how many rows of a chunk are late. */
static void
answer(void)
{
	uint32		asked = pg_atomic_read_u32(&order->asked);
	SxFoldLate	late;
	FoldView   *v = NULL;
	Kept	   *k = NULL;
	int			i;

	if (asked == answered)
		return;
	answered = asked;
	pg_read_barrier();
	memset(&late, 0, sizeof(late));
	late.type = SX_FOLD_LATE;
	late.nrows = -1;
	for (i = 0; i < order->nviews; i++)
	{
		if (views[i].view->relid == order->ask_view)
			v = &views[i];
	}
	for (i = 0; i < SX_FOLD_MAX_OPEN; i++)
	{
		if (kept[i].number == order->ask_chunk)
			k = &kept[i];
	}
	if (v && k && v->shape->late_query)
	{
		SxRows		rows;
		SxBatch   **batches;
		SxBatch    *b;
		int64		nrows = 0;
		int			n = 0;

		begin_transaction();
		if (v->plan_late == NULL)
		{
			SxOwnerScope scope;

			sx_owner_enter(v->view, &scope);
			MemoryContextSwitchTo(fold_cxt);
			v->plan_late = sx_plan_late(v->shape, CHUNK_ROWS);
			MemoryContextSwitchTo(chunk_cxt);
			sx_owner_leave(&scope);
		}
		for (b = k->list; b; b = b->next)
			n++;
		batches = palloc(sizeof(SxBatch *) * n);
		for (b = k->list, n = 0; b; b = b->next)
		{
			batches[n++] = b;
			nrows += b->nrows;
		}
		run_plan(v, v->plan_late, batches, n, nrows, order->ask_closed_us, &rows);
		late.nrows = rows.nrows;
		end_transaction();
	}
	send_message(&late, sizeof(late));
}

/* ---- the process ---------------------------------------------------------------------- */

/* Milliseconds until rows are to be taken; 0: now. */
static int64
due_ms(int64 last_rows)
{
	int64		since;
	bool		full;
	int64		rows = sx_reader_waiting_rows(reader, &since, &full);
	int64		age;

	if (since == 0 || sent - pg_atomic_read_u64(&order->released) >= SX_FOLD_MAX_OPEN ||
		kept_bytes >= MAX_KEPT)
		return 1000;
	age = sx_now_ms() - since;
	if (full || rows >= CHUNK_ROWS || last_rows < BUSY_ROWS || age >= GATHER_MS)
		return 0;
	return GATHER_MS - age;
}

static void
run(const Oid *oids, const SxPosition *positions)
{
	WaitEventSet *set = sx_create_wait_event_set(3);
	int			ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int64		last_rows = 0;

	if (ready_fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event descriptor: %m")));
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, ready_fd, NULL, NULL);
	sx_crash_at(order->stream, InvalidOid, SX_STEP_READING);
	open_all(oids, positions, ready_fd);
	sx_crash_at(InvalidOid, InvalidOid, SX_STEP_NONE);
	for (;;)
	{
		WaitEvent	event;
		int64		due;
		uint64		count;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			sx_worker_session();
		}
		if (order->stop)
			proc_exit(0);
		AcceptInvalidationMessages();
		if (stale)
			give_up(true, "");
		if (sx_reader_failure(reader))
			give_up(false, sx_reader_failure(reader));
		MemoryContextReset(chunk_cxt);
		MemoryContextSwitchTo(chunk_cxt);
		answer();
		release();
		send_status();
		due = due_ms(last_rows);
		if (due == 0)
		{
			SxBatch    *list;
			SxBatch    *b;

			sx_reader_take(reader, CHUNK_ROWS, MAX_KEPT / 4, &list);
			if (list)
			{
				last_rows = 0;
				for (b = list; b; b = b->next)
					last_rows += b->nrows;
				sx_crash_at(stream->relid, InvalidOid, SX_STEP_READING);
				fold_chunk(list);
				sx_crash_at(InvalidOid, InvalidOid, SX_STEP_NONE);
				continue;
			}
		}
		(void) pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, psprintf("waiting for rows of %s", stream->name));
		if (WaitEventSetWait(set, due, &event, 1, sx_wait_event(SX_WAIT_FOLD)) > 0)
		{
			if (event.events & WL_LATCH_SET)
				ResetLatch(MyLatch);
			else if ((event.events & WL_SOCKET_READABLE) &&
					 read(ready_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
				elog(ERROR, "could not read event descriptor: %m");
		}
	}
}

void
sx_fold_main(Datum arg)
{
	SxSlot	   *slot;
	dsm_handle	handle;
	dsm_segment *segment;
	shm_toc    *toc;
	shm_mq	   *queue;
	Oid		   *oids;
	SxPosition *positions;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	slot = sx_control_attach(arg);
	memcpy(&handle, MyBgworkerEntry->bgw_extra, sizeof(handle));
	BackgroundWorkerInitializeConnectionByOid(slot->dbid, InvalidOid, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "streamx fold process");
	fold_cxt = AllocSetContextCreate(TopMemoryContext, "streamx fold process",
									 ALLOCSET_DEFAULT_SIZES);
	chunk_cxt = AllocSetContextCreate(TopMemoryContext, "streamx chunk",
									  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(fold_cxt);
	segment = dsm_attach(handle);
	if (segment == NULL)
		proc_exit(0);			/* the worker has gone on without us */
	dsm_pin_mapping(segment);
	toc = shm_toc_attach(SX_FOLD_MAGIC, dsm_segment_address(segment));
	if (toc == NULL)
		elog(ERROR, "segment of a fold process is damaged");
	order = shm_toc_lookup(toc, SX_FOLD_KEY_ORDER, false);
	oids = shm_toc_lookup(toc, SX_FOLD_KEY_VIEWS, false);
	positions = shm_toc_lookup(toc, SX_FOLD_KEY_POSITIONS, false);
	queue = shm_toc_lookup(toc, SX_FOLD_KEY_QUEUE, false);
	shm_mq_set_sender(queue, MyProc);
	mq = shm_mq_attach(queue, segment, NULL);

	sx_crash_attach((int) (slot - sx_control->slots));
	sx_worker_session();
	watch_definitions();
	PG_TRY();
	{
		run(oids, positions);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(fold_cxt);
		error = CopyErrorData();
		FlushErrorState();
		HOLD_INTERRUPTS();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
		sx_crash_at(InvalidOid, InvalidOid, SX_STEP_NONE);
		give_up(stale, error->message ? error->message : "unknown error");
	}
	PG_END_TRY();
}
