/*-------------------------------------------------------------------------
 * fold.c
 *		A worker's fold processes: starting them, what they send.
 *
 *		start -> { receive -> take -> give_back } ... -> stop
 *
 * What has come waits here until a batch takes it; while much does, nothing
 * more is received, and a process that has sent its share waits.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"

#include "base/wait_event.h"
#include "worker/control.h"
#include "worker/fold.h"
#include "worker/fold_internal.h"
#include "worker/intake.h"
#include "worker/task.h"

#define QUEUE_BYTES		(1024 * 1024)	/* of shared memory for messages */
#define MAX_WAITING		(64 * 1024 * 1024)	/* received and not taken */

typedef struct Process
{
	BackgroundWorkerHandle *handle;
	dsm_segment *segment;
	SxFoldOrder *order;
	shm_mq	   *queue;
	shm_mq_handle *mq;
	int			nopen;			/* chunks that are waiting or taken */
	uint64		released;		/* the last that was given back */
	SxSourceStatus status;		/* partitions: in the fold's context */
	bool		answered;
	int64		late;
} Process;

struct SxFold
{
	MemoryContext cxt;
	const SxStream *stream;
	SxFoldState state;
	char		error[SX_ERROR_LEN];
	int			nprocesses;
	Process    *processes;
	SxBatchQueue queue;			/* what has come */
};

/* ---- messages --------------------------------------------------------------- */

void
sx_fold_put(StringInfo message, const void *data, Size size)
{
	static const char zeros[MAXIMUM_ALIGNOF] = {0};
	Size		pad = MAXALIGN(message->len) - message->len;

	appendBinaryStringInfo(message, zeros, pad);
	appendBinaryStringInfo(message, data, size);
}

const void *
sx_fold_get(const char **from, const char *end, Size size)
{
	const char *here = (const char *) MAXALIGN((uintptr_t) *from);

	if (here > end || size > (Size) (end - here))
		elog(ERROR, "message of a fold process is cut off");
	*from = here + size;
	return here;
}

uint32
sx_fold_types(TupleDesc desc)
{
	uint32		hash = (uint32) desc->natts;
	int			i;

	for (i = 0; i < desc->natts; i++)
		hash = hash_combine(hash, murmurhash32(TupleDescAttr(desc, i)->atttypid));
	return hash;
}

static void receive(SxFold *fold, bool limited);

/* ---- starting and stopping -------------------------------------------------- */

int
sx_fold_processes(const SxStream *stream)
{
	const char *value = sx_option_get(stream->table_options, "parallelism");

	return value ? atoi(value) : 1;
}

/* The process is to look at its order. */
static void
wake(Process *process)
{
	PGPROC	   *proc = shm_mq_get_sender(process->queue);

	if (proc)
		SetLatch(&proc->procLatch);
}

/* The segment of process i. */
static void
make_segment(SxFold *fold, int i, List *views, const SxPosition *positions, int npositions)
{
	Process    *process = &fold->processes[i];
	shm_toc_estimator e;
	shm_toc    *toc;
	Size		size;
	Oid		   *oids;
	SxPosition *copy;
	ListCell   *lc;

	shm_toc_initialize_estimator(&e);
	shm_toc_estimate_chunk(&e, sizeof(SxFoldOrder));
	shm_toc_estimate_chunk(&e, sizeof(Oid) * list_length(views));
	shm_toc_estimate_chunk(&e, sizeof(SxPosition) * npositions);
	shm_toc_estimate_chunk(&e, QUEUE_BYTES);
	shm_toc_estimate_keys(&e, 4);
	size = shm_toc_estimate(&e);
	process->segment = dsm_create(size, 0);
	dsm_pin_mapping(process->segment);
	toc = shm_toc_create(SX_FOLD_MAGIC, dsm_segment_address(process->segment), size);

	process->order = shm_toc_allocate(toc, sizeof(SxFoldOrder));
	memset(process->order, 0, sizeof(SxFoldOrder));
	process->order->stream = fold->stream->relid;
	process->order->index = i;
	process->order->count = fold->nprocesses;
	process->order->nviews = list_length(views);
	process->order->npositions = npositions;
	pg_atomic_init_u64(&process->order->released, 0);
	pg_atomic_init_u32(&process->order->asked, 0);
	shm_toc_insert(toc, SX_FOLD_KEY_ORDER, process->order);

	oids = shm_toc_allocate(toc, sizeof(Oid) * list_length(views));
	shm_toc_insert(toc, SX_FOLD_KEY_VIEWS, oids);
	foreach(lc, views)
		* oids++ = lfirst_oid(lc);

	copy = shm_toc_allocate(toc, sizeof(SxPosition) * npositions);
	memcpy(copy, positions, sizeof(SxPosition) * npositions);
	shm_toc_insert(toc, SX_FOLD_KEY_POSITIONS, copy);

	process->queue = shm_mq_create(shm_toc_allocate(toc, QUEUE_BYTES), QUEUE_BYTES);
	shm_toc_insert(toc, SX_FOLD_KEY_QUEUE, process->queue);
	shm_mq_set_receiver(process->queue, MyProc);
}

SxFold *
sx_fold_start(const SxStream *stream, List *views, const SxPosition *positions, int npositions)
{
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext, "streamx fold processes",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxFold	   *fold = palloc0(sizeof(SxFold));
	bool		complete = true;
	int			i;

	fold->cxt = cxt;
	fold->stream = stream;
	fold->nprocesses = sx_fold_processes(stream);
	fold->processes = palloc0(sizeof(Process) * fold->nprocesses);
	PG_TRY();
	{
		for (i = 0; i < fold->nprocesses && complete; i++)
		{
			Process    *process = &fold->processes[i];

			make_segment(fold, i, views, positions, npositions);
			process->handle = sx_control_start_fold(dsm_segment_handle(process->segment), i);
			complete = process->handle != NULL;
			process->mq = shm_mq_attach(process->queue, process->segment, process->handle);
		}
	}
	PG_CATCH();
	{
		sx_fold_stop(fold, NULL);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (complete)
		return fold;
	sx_fold_stop(fold, NULL);
	return NULL;
}

/* They end when they come to look: soon. */
void
sx_fold_stop(SxFold *fold, List **gone)
{
	SxBatch    *batch;
	SxBatch    *next;
	int			i;

	if (gone)
	{
		receive(fold, false);
		sx_batches_gone(fold->queue.head, gone);
	}
	for (batch = fold->queue.head; batch; batch = next)
	{
		next = batch->next;
		sx_fold_give_back(batch);
	}
	for (i = 0; i < fold->nprocesses; i++)
	{
		Process    *process = &fold->processes[i];

		if (process->segment == NULL)
			continue;
		process->order->stop = true;
		wake(process);
		dsm_detach(process->segment);
	}
	MemoryContextDelete(fold->cxt);
}

/* ---- what they send ---------------------------------------------------------- */

static void
fail(SxFold *fold, SxFoldState state, const char *error)
{
	if (fold->state != SX_FOLD_WORKS)
		return;
	fold->state = state;
	strlcpy(fold->error, error, sizeof(fold->error));
}

static void
out_of_memory(SxBatch *batch)
{
	sx_batch_free(batch);
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory")));
}

/* Rejects were sent with what they point to behind them. */
static void
get_rejects(SxBatch *batch, int n, const char **from, const char *end)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		const SxFoldReject *r = sx_fold_get(from, end, sizeof(SxFoldReject));
		SxMessage	msg = {0};
		const char *error = sx_fold_get(from, end, r->error_len);

		msg.partition = r->reject.partition;
		msg.position = r->reject.position;
		msg.arrival_us = r->reject.arrival_us;
		if (r->reject.key)
		{
			msg.key = sx_fold_get(from, end, r->reject.key_len);
			msg.key_len = r->reject.key_len;
		}
		if (r->reject.payload)
		{
			msg.payload = sx_fold_get(from, end, r->reject.payload_len);
			msg.payload_len = r->reject.payload_len;
		}
		if (!sx_batch_reject(batch, &msg, r->reject.sqlstate, "%s", error))
			out_of_memory(batch);
	}
}

/* A chunk that has come; "message" is ours. */
static SxBatch *
get_chunk(SxFold *fold, int process, char *message, Size size)
{
	const char *from = message;
	const char *end = message + size;
	const SxFoldChunk *chunk = sx_fold_get(&from, end, sizeof(SxFoldChunk));
	SxFolded   *folded = palloc0(sizeof(SxFolded));
	SxBatch    *batch;
	int			i;

	folded->fold = fold;
	folded->process = process;
	folded->number = chunk->number;
	folded->message = message;
	folded->size = size;
	folded->nrows = chunk->nrows;
	folded->newest = chunk->newest;
	folded->came = palloc0(sizeof(bool) * Max(chunk->npositions, 1));
	folded->nviews = chunk->nviews;
	folded->views = palloc0(sizeof(SxFoldedView) * Max(chunk->nviews, 1));

	batch = sx_batch_create(fold->stream->schema, 1);
	if (batch == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	batch->decode_us = chunk->decode_us;
	for (i = 0; i < chunk->npositions; i++)
	{
		const SxFoldPosition *p = sx_fold_get(&from, end, sizeof(SxFoldPosition));

		SxPosition *position = sx_batch_set_position(batch, p->partition, p->next_offset);

		if (position == NULL)
			out_of_memory(batch);
		position->watermark_us = p->watermark_us;
		position->first_offset = p->first_offset;
		position->gone = p->gone;
		folded->came[i] = p->came;
	}
	get_rejects(batch, chunk->nrejects, &from, end);
	for (i = 0; i < chunk->nviews; i++)
	{
		const SxFoldRows *rows = sx_fold_get(&from, end, sizeof(SxFoldRows));
		SxFoldedView *view = &folded->views[i];

		view->view = rows->view;
		view->ncols = rows->ncols;
		view->types = rows->types;
		view->nrows = rows->nrows;
		view->execute_us = rows->execute_us;
		view->tuples = sx_fold_get(&from, end, rows->bytes);
	}
	batch->folded = folded;
	return batch;
}

static void
take_status(SxFold *fold, Process *process, const char *message, Size size)
{
	const char *from = message;
	const SxFoldStatus *s = sx_fold_get(&from, message + size, sizeof(SxFoldStatus));
	SxSourceStatus *status = &process->status;
	Size		bytes = sizeof(SxPartitionStatus) * s->npartitions;

	if (status->partitions)
		pfree(status->partitions);
	status->conn = s->conn;
	strlcpy(status->sqlstate, s->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, s->error, sizeof(status->error));
	status->npartitions = s->npartitions;
	status->partitions = palloc(Max(bytes, 1));
	memcpy(status->partitions, sx_fold_get(&from, message + size, bytes), bytes);
}

/* A message that has come; data lives until the next one. */
static void
take_in(SxFold *fold, int process, void *data, Size size)
{
	const char *from = data;
	const SxFoldMessage *m = sx_fold_get(&from, (char *) data + size, sizeof(SxFoldMessage));
	char	   *copy;

	switch (m->type)
	{
		case SX_FOLD_CHUNK:
			copy = MemoryContextAllocHuge(fold->cxt, size);
			memcpy(copy, data, size);
			sx_queue_put(&fold->queue, get_chunk(fold, process, copy, size), sx_now_ms());
			fold->processes[process].nopen++;
			break;
		case SX_FOLD_STATUS:
			take_status(fold, &fold->processes[process], data, size);
			break;
		case SX_FOLD_LATE:
			{
				const SxFoldLate *late = data;

				fold->processes[process].answered = true;
				fold->processes[process].late = late->nrows;
				break;
			}
		case SX_FOLD_GIVES_UP:
			{
				const SxFoldGivesUp *last = data;

				fail(fold, last->stale ? SX_FOLD_STALE : SX_FOLD_FAILED, last->error);
				break;
			}
	}
}

/*
 * The same; without the memory for it the processes are of no use for a while,
 * as after any failure of theirs.
 */
static void
take_message(SxFold *fold, int process, void *data, Size size)
{
	MemoryContext cxt = CurrentMemoryContext;

	PG_TRY();
	{
		take_in(fold, process, data, size);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_OUT_OF_MEMORY)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		fail(fold, SX_FOLD_FAILED, "out of memory");
	}
	PG_END_TRY();
}

/* All that has come, as far as there is room for it. */
static void
receive(SxFold *fold, bool limited)
{
	MemoryContext old = MemoryContextSwitchTo(fold->cxt);
	int			i;

	for (i = 0; i < fold->nprocesses; i++)
	{
		while (fold->state == SX_FOLD_WORKS && (!limited || fold->queue.bytes < MAX_WAITING))
		{
			Size		size;
			void	   *data;
			shm_mq_result result = shm_mq_receive(fold->processes[i].mq, &size, &data, true);

			if (result == SHM_MQ_WOULD_BLOCK)
				break;
			if (result == SHM_MQ_DETACHED)
				fail(fold, SX_FOLD_FAILED, "the process has ended");
			else
				take_message(fold, i, data, size);
		}
	}
	MemoryContextSwitchTo(old);
}

SxFoldState
sx_fold_state(SxFold *fold, const char **error)
{
	receive(fold, true);
	*error = fold->error[0] ? fold->error : NULL;
	return fold->state;
}

int64
sx_fold_waiting_rows(SxFold *fold, int64 *since_ms, bool *full)
{
	int			i;

	receive(fold, true);
	*since_ms = fold->queue.head ? fold->queue.since_ms : 0;
	*full = fold->queue.bytes >= MAX_WAITING;

	/* one that waits for us does nothing */
	for (i = 0; i < fold->nprocesses; i++)
		*full |= fold->processes[i].nopen >= SX_FOLD_MAX_OPEN / 2;
	return fold->queue.rows;
}

void
sx_fold_take(SxFold *fold, int64 max_rows, int64 max_bytes, SxBatch **list)
{
	receive(fold, true);
	*list = fold->state == SX_FOLD_WORKS ? sx_queue_take(&fold->queue, max_rows, max_bytes) : NULL;
}

void
sx_fold_give_back(SxBatch *batch)
{
	SxFolded   *folded = batch->folded;
	Process    *process = &folded->fold->processes[folded->process];

	process->nopen--;
	process->released = Max(process->released, folded->number);
	pg_atomic_write_u64(&process->order->released, process->released);
	wake(process);
	pfree(folded->message);
	pfree(folded->came);
	pfree(folded->views);
	pfree(folded);
	sx_batch_free(batch);
}

/* The worst of the processes' connections, the partitions of all. */
void
sx_fold_status(SxFold *fold, SxSourceStatus *status)
{
	const SxSourceStatus *worst = &fold->processes[0].status;
	int			n = 0;
	int			i;

	receive(fold, true);
	memset(status, 0, sizeof(*status));
	for (i = 0; i < fold->nprocesses; i++)
	{
		const SxSourceStatus *s = &fold->processes[i].status;
		static const int badness[] = {
			[SX_CONN_UP] = 0,[SX_CONN_CONNECTING] = 1,[SX_CONN_DOWN] = 2,[SX_CONN_FAILED] = 3
		};

		if (badness[s->conn] > badness[worst->conn])
			worst = s;
		n += s->npartitions;
	}
	status->conn = worst->conn;
	strlcpy(status->sqlstate, worst->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, worst->error, sizeof(status->error));
	status->partitions = malloc(sizeof(SxPartitionStatus) * Max(n, 1));
	for (i = 0; status->partitions && i < fold->nprocesses; i++)
	{
		const SxSourceStatus *s = &fold->processes[i].status;

		if (s->npartitions == 0)
			continue;
		memcpy(status->partitions + status->npartitions, s->partitions,
			   sizeof(SxPartitionStatus) * s->npartitions);
		status->npartitions += s->npartitions;
	}
}

/* ---- what is in them ----------------------------------------------------------- */

const SxFoldedView *
sx_fold_rows(const SxFolded *folded, Oid view, const PlannedStmt *plan, SxRows *rows)
{
	TupleDesc	desc = ExecCleanTypeFromTL(plan->planTree->targetlist);
	const SxFoldedView *v = NULL;
	const char *at;
	int64		r;
	int			i;

	for (i = 0; i < folded->nviews; i++)
	{
		if (folded->views[i].view == view)
			v = &folded->views[i];
	}
	if (v == NULL || v->ncols != desc->natts || v->types != sx_fold_types(desc))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a fold process knows another definition of the view")));
	memset(rows, 0, sizeof(*rows));
	rows->ncols = v->ncols;
	rows->nrows = rows->maxrows = v->nrows;
	rows->values = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(Datum) * Max(v->ncols * v->nrows, 1));
	rows->nulls = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(bool) * Max(v->ncols * v->nrows, 1));
	at = v->tuples;
	for (r = 0; r < v->nrows; r++)
	{
		MinimalTuple tuple = (MinimalTuple) at;
		HeapTupleData heap;

		heap.t_len = tuple->t_len + MINIMAL_TUPLE_OFFSET;
		heap.t_data = (HeapTupleHeader) ((char *) tuple - MINIMAL_TUPLE_OFFSET);
		heap_deform_tuple(&heap, desc, rows->values + r * v->ncols, rows->nulls + r * v->ncols);
		at += MAXALIGN(tuple->t_len);
	}
	FreeTupleDesc(desc);
	return v;
}

int64
sx_fold_late(const SxFolded *folded, Oid view, int64 closed_us)
{
	SxFold	   *fold = folded->fold;
	Process    *process = &fold->processes[folded->process];

	process->answered = false;
	process->order->ask_chunk = folded->number;
	process->order->ask_view = view;
	process->order->ask_closed_us = closed_us;
	pg_write_barrier();
	pg_atomic_fetch_add_u32(&process->order->asked, 1);
	wake(process);
	for (;;)
	{
		/* what it sends before has to be received, however much it is */
		receive(fold, false);
		if (process->answered)
			return process->late;
		if (fold->state != SX_FOLD_WORKS)
			return -1;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 sx_wait_event(SX_WAIT_FOLD));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
