/*-------------------------------------------------------------------------
 * reader.c
 *		Reads one source and decodes it, ahead of the worker's main thread.
 *
 * Thread rules: reader_main() and what it calls never call PostgreSQL.  The
 * mutex guards the queue and the free list; the source belongs to the thread
 * while it runs (status() apart, which is safe from any thread), to the main
 * thread while it does not.  Signals are blocked in the thread, they go to
 * PostgreSQL's.
 *
 * With option decode_threads, what a poll brings under backlog is decoded by
 * several threads at once (decode_pool.c), of which the reader's is one.
 *
 * Where fold processes read the stream instead (fold.h), nothing of it is read
 * here, and what they send is taken in the same way.
 *
 *		main thread: open -> seek (starts thread) -> take ... give_back
 *					 -> seek (stops, restarts) ... -> close (stops)
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/stop.h"
#include "decode/decode.h"
#include "source/native.h"
#include "worker/crash.h"
#include "worker/decode_pool.h"
#include "worker/intake.h"
#include "worker/reader.h"

#define CHUNK_ROWS		8192	/* rows of one batch of columns */
#define CHUNK_BYTES		(4 * 1024 * 1024)	/* bytes after which it is full */
#define CHUNK_MS		10		/* after its first row it waits no longer */
#define POLL_MSGS		4096
#define SHARED_MSGS		1024	/* fewer are not worth a thread */
#define IDLE_MS			600000	/* longest wait for the first message: who
								 * wants the thread wakes it */
#define QUEUE_BYTES		(32 * 1024 * 1024)	/* read ahead at most */
#define FREE_BATCHES	16		/* kept for use again */

struct SxReader
{
	const SxStream *stream;
	SxSource   *source;
	SxDecoder  *decoder;
	SxDecodePool *pool;			/* NULL: the reader's thread decodes alone */
	int			nthreads;		/* that decode */
	volatile Oid *mark;			/* set while decoding; NULL: none */
	int			ready_fd;
	bool	   *news;			/* raised with it; atomic, NULL: nobody asks */
	bool		threaded;

	pthread_t	thread;
	bool		running;		/* main thread's view */
	pthread_mutex_t mutex;
	pthread_cond_t room;		/* signalled when the queue has room again */

	/* under the mutex */
	bool		stop;
	SxBatchQueue queue;
	SxBatch    *free_list;
	int			nfree;
	bool		oom;

	List	   *fold_views;		/* Oids; NIL: not to be folded elsewhere */
	SxFold	   *fold;			/* reads in place of all this; NULL: not */

	SxMessage  *msgs;			/* the poller's */
	bool		exhausted;		/* not threaded: nothing was left */
};

static int64
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A batch to fill: used before, or new.  NULL: out of memory. */
static SxBatch *
get_batch(SxReader *r)
{
	SxBatch    *batch;

	pthread_mutex_lock(&r->mutex);
	batch = r->free_list;
	if (batch)
	{
		r->free_list = batch->next;
		r->nfree--;
	}
	pthread_mutex_unlock(&r->mutex);
	if (batch)
		sx_batch_reset(batch);
	else
		batch = sx_batch_create(r->stream->schema, CHUNK_ROWS);
	if (batch)
		batch->next = NULL;
	return batch;
}

static void
free_batch(SxReader *r, SxBatch *batch)
{
	if (batch->folded)
	{
		sx_fold_give_back(batch);
		return;
	}
	pthread_mutex_lock(&r->mutex);
	if (r->nfree < FREE_BATCHES)
	{
		batch->next = r->free_list;
		r->free_list = batch;
		r->nfree++;
		batch = NULL;
	}
	pthread_mutex_unlock(&r->mutex);
	sx_batch_free(batch);
}

static void
free_batches(SxReader *r, SxBatch *list)
{
	while (list)
	{
		SxBatch    *next = list->next;

		free_batch(r, list);
		list = next;
	}
}

static bool
has_something(const SxBatch *batch)
{
	return batch->nrows > 0 || batch->nrejects > 0 || batch->npositions > 0;
}

static SxBatch *
last_of(SxBatch *list)
{
	while (list->next)
		list = list->next;
	return list;
}

/*
 * Decode n messages, several threads at once: into "batch" if it is empty,
 * and into batches put behind it.  false: out of memory.
 */
static bool
decode_shared(SxReader *r, SxBatch *batch, int n)
{
	SxDecodeRun runs[SX_MAX_DECODE_THREADS];
	int			nruns = Max(Min(n / SHARED_MSGS, r->nthreads), 1);
	SxBatch    *last = has_something(batch) ? NULL : batch;
	int			done = 0;
	int			i;

	for (i = 0; i < nruns; i++)
	{
		if (i > 0 || last == NULL)
		{
			last = get_batch(r);
			if (last == NULL)
				return false;
			last_of(batch)->next = last;
		}
		runs[i].batch = last;
		runs[i].msgs = r->msgs + done;
		runs[i].nmsgs = (n - done) / (nruns - i);
		done += runs[i].nmsgs;
	}
	return sx_decode_pool_run(r->pool, r->decoder, runs, nruns);
}

/*
 * Poll once and decode what came, into "batch" and batches put behind it.
 * Returns the number of messages, -1: out of memory.
 */
static int
poll_into(SxReader *r, SxBatch *batch, int timeout_ms)
{
	const SxSourceOps *ops = r->source->ops;
	const SxPosition *moved = NULL;
	int			nmoved = 0;
	int			room = batch->maxrows - batch->nrows;
	int			n;
	int			result;
	int			i;

	n = ops->poll(r->source, r->msgs,
				  r->pool ? POLL_MSGS * r->nthreads : Min(POLL_MSGS, room),
				  timeout_ms, &moved, &nmoved);
	result = n;
	if (n > 0)
	{
		SxDecodeRun run = {.batch = batch,.msgs = r->msgs,.nmsgs = n};

		SX_STOP_THREAD("after_poll", r->stream->name);
		if (r->mark)
			*r->mark = r->stream->relid;
		if (r->pool && (n > room || n >= 2 * SHARED_MSGS) ?
			!decode_shared(r, batch, n) : !sx_decode_run(r->decoder, &run))
			result = -1;
		SX_STOP_THREAD("after_decode", r->stream->name);
		if (r->mark)
			*r->mark = InvalidOid;
	}
	ops->release(r->source);

	/* behind all messages */
	batch = last_of(batch);
	for (i = 0; i < nmoved && result >= 0; i++)
	{
		SxPosition *p = sx_batch_set_position(batch, moved[i].partition, moved[i].next_offset);

		if (p == NULL)
			result = -1;
		else
			p->gone = moved[i].gone;
	}
	return result;
}

static bool
batch_full(const SxBatch *batch)
{
	return batch->next != NULL ||
		batch->nrows >= batch->maxrows ||
		batch->arena.used >= CHUNK_BYTES ||
		batch->nrejects >= batch->maxrows;
}

/* There is something to take, or the status has changed. */
static void
tell_main_thread(SxReader *r)
{
	const uint64 one = 1;

	if (r->news)
		__atomic_store_n(r->news, true, __ATOMIC_RELEASE);
	if (write(r->ready_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
	{
		/* the main thread looks by itself from time to time */
	}
}

static void *
reader_main(void *arg)
{
	SxReader   *r = arg;
	uint32		told = r->source->changes;

	for (;;)
	{
		SxBatch    *batch;
		int64		first = 0;
		bool		stop;
		bool		oom = false;

		pthread_mutex_lock(&r->mutex);
		while (!r->stop && r->queue.bytes >= QUEUE_BYTES)
			pthread_cond_wait(&r->room, &r->mutex);
		stop = r->stop;
		pthread_mutex_unlock(&r->mutex);
		if (stop)
			break;

		batch = get_batch(r);
		if (batch == NULL)
			oom = true;
		while (!oom && !batch_full(batch))
		{
			int			timeout = IDLE_MS;
			int			n;

			if (first)
			{
				timeout = (int) (first + CHUNK_MS - now_ms());
				if (timeout <= 0)
					break;
			}
			n = poll_into(r, batch, timeout);
			if (n < 0)
				oom = true;
			else if (has_something(batch))
			{
				if (!first)
					first = now_ms();
			}
			else
				break;			/* tell what has changed, look whether to stop */
		}

		pthread_mutex_lock(&r->mutex);
		if (oom)
		{
			/* what this batch took in is read again after a seek */
			r->oom = true;
			r->stop = true;
		}
		else if (has_something(batch))
		{
			sx_queue_put(&r->queue, batch, now_ms());
			batch = NULL;
		}
		pthread_mutex_unlock(&r->mutex);
		if (batch == NULL || oom || told != r->source->changes)
			tell_main_thread(r);
		told = r->source->changes;
		if (batch)
			free_batches(r, batch);
	}
	return NULL;
}

/* gone: as of sx_reader_stop(), or NULL. */
static void
stop_thread(SxReader *r, List **gone)
{
	SxBatch    *list;

	if (r->fold)
		sx_fold_stop(r->fold, gone);
	r->fold = NULL;
	if (r->running)
	{
		pthread_mutex_lock(&r->mutex);
		r->stop = true;
		pthread_cond_broadcast(&r->room);
		pthread_mutex_unlock(&r->mutex);
		r->source->ops->wake(r->source);
		pthread_join(r->thread, NULL);
		r->running = false;
	}
	if (r->pool)
		sx_decode_pool_stop(r->pool);
	list = r->queue.head;
	memset(&r->queue, 0, sizeof(r->queue));
	if (gone)
		sx_batches_gone(list, gone);
	free_batches(r, list);
	r->stop = false;
	r->oom = false;
}

void
sx_reader_stop(SxReader *r, List **gone)
{
	stop_thread(r, gone);
}

static void
start_thread(SxReader *r)
{
	sigset_t	blocked;
	sigset_t	before;
	int			rc;

	sx_crash_thread_signals(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	if (r->pool)
		sx_decode_pool_start(r->pool);
	rc = pthread_create(&r->thread, NULL, reader_main, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
	{
		if (r->pool)
			sx_decode_pool_stop(r->pool);
		errno = rc;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a reader thread for stream \"%s\": %m",
						r->stream->name)));
	}
	r->running = true;
}

/* Option decode_threads; its value was checked when it was set. */
static int
decode_threads(const SxStream *stream)
{
	const char *value = sx_option_get(stream->table_options, "decode_threads");

	return value ? Min(Max(atoi(value), 1), SX_MAX_DECODE_THREADS) : 1;
}

SxReader *
sx_reader_open(const SxStream *stream, int ready_fd)
{
	const SxSourceOps *ops = sx_source_ops(stream->kind);
	SxReader   *r;

	if (ops == NULL)
		elog(ERROR, "no source of kind \"%s\"", stream->kind);
	r = palloc0(sizeof(SxReader));
	r->stream = stream;
	r->ready_fd = ready_fd;
	r->threaded = ops->threaded;
	if (ops->poll)
	{
		r->nthreads = ops->threaded ? decode_threads(stream) : 1;
		r->msgs = palloc(sizeof(SxMessage) * POLL_MSGS * r->nthreads);
		r->decoder = sx_decode_create(stream->schema);
		if (r->decoder && r->nthreads > 1)
			r->pool = sx_decode_pool_create(stream->schema, r->nthreads - 1);
		if (r->decoder == NULL || (r->nthreads > 1 && r->pool == NULL))
		{
			sx_decode_destroy(r->decoder);
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		}
	}
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->room, NULL);
	PG_TRY();
	{
		r->source = ops->open(stream);
	}
	PG_CATCH();
	{
		sx_decode_pool_destroy(r->pool);
		sx_decode_destroy(r->decoder);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (r->threaded)
		r->mark = sx_crash_thread_mark();
	return r;
}

void
sx_reader_announce(SxReader *r, bool *news)
{
	r->news = news;
}

void
sx_reader_seek(SxReader *r, const SxPosition *positions, int npositions,
			   const char *start)
{
	stop_thread(r, NULL);
	r->source->ops->seek(r->source, positions, npositions, start);
	if (r->fold_views)
		r->fold = sx_fold_start(r->stream, r->fold_views, positions, npositions);
	if (r->threaded && r->fold == NULL)
		start_thread(r);
}

bool
sx_reader_wants_seek(const SxReader *r)
{
	return __atomic_load_n(&r->source->wants_seek, __ATOMIC_ACQUIRE);
}

void
sx_reader_share(SxReader *r, int index, int count)
{
	r->source->ops->share(r->source, index, count);
}

void
sx_reader_fold(SxReader *r, List *views)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(r));

	list_free(r->fold_views);
	r->fold_views = list_copy(views);
	MemoryContextSwitchTo(old);
}

SxFold *
sx_reader_folding(const SxReader *r)
{
	return r->fold;
}

bool
sx_reader_fold_refused(const SxReader *r)
{
	return r->fold_views != NIL && r->fold == NULL;
}

void
sx_reader_bound(SxReader *r, const char *snapshot)
{
	if (r->source->ops == &sx_source_native)
		sx_native_bound(r->source, snapshot);
}

bool
sx_reader_has_intake(const SxReader *r)
{
	return r->source->ops->intake != NULL;
}

bool
sx_reader_intake(SxReader *r)
{
	return r->source->ops->intake(r->source);
}

bool
sx_reader_exhausted(const SxReader *r)
{
	return r->exhausted;
}

bool
sx_reader_threaded(const SxReader *r)
{
	return r->threaded;
}

int64
sx_reader_waiting_rows(SxReader *r, int64 *since_ms, bool *full)
{
	int64		rows;

	if (r->fold)
		return sx_fold_waiting_rows(r->fold, since_ms, full);
	pthread_mutex_lock(&r->mutex);
	rows = r->queue.rows;
	*since_ms = r->queue.head ? r->queue.since_ms : 0;
	*full = r->queue.bytes >= QUEUE_BYTES;
	pthread_mutex_unlock(&r->mutex);
	return rows;
}

/* Fill one batch in the main thread; what it held goes back on error. */
static int
fill_direct(SxReader *r, SxBatch *batch)
{
	int			n = -1;

	PG_TRY();
	{
		if (r->source->ops->fill)
		{
			int64		begin = sx_clock_us();

			n = r->source->ops->fill(r->source, batch);
			batch->decode_us += sx_clock_us() - begin;
			if (n > 0)
				SX_STOP_THREAD("after_poll", r->stream->name);
		}
		else
			n = poll_into(r, batch, 0);
	}
	PG_CATCH();
	{
		free_batch(r, batch);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return n;
}

/*
 * Read in the main thread, inside its transaction.  Batches go to *head as
 * they are filled, so that the caller has them whatever happens.
 */
static void
take_direct(SxReader *r, int64 max_rows, int64 max_bytes, SxBatch **head)
{
	int64		rows = 0;
	int64		bytes = 0;

	r->exhausted = false;
	while (rows < max_rows && bytes < max_bytes)
	{
		SxBatch    *batch = get_batch(r);
		int			n = batch ? fill_direct(r, batch) : -1;

		if (n < 0)
		{
			if (batch)
				free_batch(r, batch);
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed while reading stream \"%s\".", r->stream->name)));
		}
		if (!has_something(batch))
		{
			free_batch(r, batch);
			r->exhausted = true;
			break;
		}
		batch->next = NULL;
		*head = batch;
		head = &batch->next;
		rows += batch->nrows;
		bytes += sx_batch_bytes(batch);
		if (n == 0)
		{
			r->exhausted = true;
			break;
		}
	}
}

void
sx_reader_take(SxReader *r, int64 max_rows, int64 max_bytes, SxBatch **list)
{
	*list = NULL;
	if (!r->threaded)
	{
		take_direct(r, max_rows, max_bytes, list);
		return;
	}
	if (r->fold)
	{
		sx_fold_take(r->fold, max_rows, max_bytes, list);
		return;
	}

	pthread_mutex_lock(&r->mutex);
	*list = sx_queue_take(&r->queue, max_rows, max_bytes);
	if (*list)
		pthread_cond_signal(&r->room);
	pthread_mutex_unlock(&r->mutex);
}

void
sx_reader_give_back(SxReader *r, SxBatch *list)
{
	free_batches(r, list);
}

const char *
sx_reader_failure(SxReader *r)
{
	bool		oom;

	pthread_mutex_lock(&r->mutex);
	oom = r->oom;
	pthread_mutex_unlock(&r->mutex);
	return oom ? "out of memory while reading" : NULL;
}

void
sx_reader_status(SxReader *r, SxSourceStatus *status)
{
	if (r->fold)
		sx_fold_status(r->fold, status);
	else
		r->source->ops->status(r->source, status);
}

int
sx_reader_wait_fd(SxReader *r)
{
	return r->source->ops->wait_fd ? r->source->ops->wait_fd(r->source) : -1;
}

int
sx_reader_poll_interval_ms(SxReader *r)
{
	if (r->threaded)
		return -1;
	return r->source->ops->poll_interval_ms ?
		r->source->ops->poll_interval_ms(r->source) : 100;
}

void
sx_reader_close(SxReader *r)
{
	stop_thread(r, NULL);
	sx_crash_free_thread_mark(r->mark);
	r->source->ops->close(r->source);
	sx_decode_pool_destroy(r->pool);
	sx_decode_destroy(r->decoder);
	while (r->free_list)
	{
		SxBatch    *next = r->free_list->next;

		sx_batch_free(r->free_list);
		r->free_list = next;
	}
	pthread_mutex_destroy(&r->mutex);
	pthread_cond_destroy(&r->room);
}
