/*-------------------------------------------------------------------------
 * decode_pool.c
 *		Threads that help a reader's thread to decode.
 *
 * Nothing here calls PostgreSQL.  The mutex guards which run is next and how
 * many are still to be finished; a run belongs to who took it, its batch and
 * messages with it, until all are finished.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "worker/decode_pool.h"

typedef struct Helper
{
	SxDecodePool *pool;
	SxDecoder  *decoder;
	pthread_t	thread;
	bool		running;		/* main thread's view */
} Helper;

struct SxDecodePool
{
	pthread_mutex_t mutex;
	pthread_cond_t work;		/* there are runs to take, or to stop */
	pthread_cond_t done;		/* all runs are finished */

	/* under the mutex */
	bool		stop;
	SxDecodeRun *runs;
	int			nruns;
	int			next;			/* to be taken */
	int			unfinished;

	int			nhelpers;
	Helper		helpers[FLEXIBLE_ARRAY_MEMBER];
};

bool
sx_decode_run(SxDecoder *decoder, SxDecodeRun *run)
{
	int64		begin = sx_clock_us();

	run->failed = sx_decode_messages(decoder, run->batch, run->msgs,
									 run->nmsgs) != run->nmsgs;
	run->batch->decode_us += sx_clock_us() - begin;
	return !run->failed;
}

/* Take the next run; the mutex is held before and after. */
static void
take_run(SxDecodePool *pool, SxDecoder *decoder)
{
	SxDecodeRun *run = &pool->runs[pool->next++];

	pthread_mutex_unlock(&pool->mutex);
	(void) sx_decode_run(decoder, run);
	pthread_mutex_lock(&pool->mutex);
	if (--pool->unfinished == 0)
		pthread_cond_signal(&pool->done);
}

static void *
helper_main(void *arg)
{
	Helper	   *helper = arg;
	SxDecodePool *pool = helper->pool;

	pthread_mutex_lock(&pool->mutex);
	while (!pool->stop)
	{
		if (pool->next < pool->nruns)
			take_run(pool, helper->decoder);
		else
			pthread_cond_wait(&pool->work, &pool->mutex);
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

bool
sx_decode_pool_run(SxDecodePool *pool, SxDecoder *decoder, SxDecodeRun *runs,
				   int nruns)
{
	bool		ok = true;
	int			i;

	pthread_mutex_lock(&pool->mutex);
	pool->runs = runs;
	pool->nruns = nruns;
	pool->next = 0;
	pool->unfinished = nruns;
	if (nruns > 1)
		pthread_cond_broadcast(&pool->work);
	while (pool->next < pool->nruns)
		take_run(pool, decoder);
	while (pool->unfinished > 0)
		pthread_cond_wait(&pool->done, &pool->mutex);
	pool->runs = NULL;
	pool->nruns = pool->next = 0;
	pthread_mutex_unlock(&pool->mutex);

	for (i = 0; i < nruns; i++)
		ok = ok && !runs[i].failed;
	return ok;
}

SxDecodePool *
sx_decode_pool_create(const SxSchema *schema, int nhelpers)
{
	SxDecodePool *pool = calloc(1, offsetof(SxDecodePool, helpers) + nhelpers * sizeof(Helper));
	int			i;

	if (pool == NULL)
		return NULL;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->nhelpers = nhelpers;
	for (i = 0; i < nhelpers; i++)
	{
		pool->helpers[i].pool = pool;
		pool->helpers[i].decoder = sx_decode_create(schema);
		if (pool->helpers[i].decoder == NULL)
		{
			sx_decode_pool_destroy(pool);
			return NULL;
		}
	}
	return pool;
}

void
sx_decode_pool_destroy(SxDecodePool *pool)
{
	int			i;

	if (pool == NULL)
		return;
	for (i = 0; i < pool->nhelpers; i++)
		sx_decode_destroy(pool->helpers[i].decoder);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

void
sx_decode_pool_start(SxDecodePool *pool)
{
	int			i;

	for (i = 0; i < pool->nhelpers; i++)
	{
		Helper	   *helper = &pool->helpers[i];

		if (helper->running)
			continue;
		helper->running = pthread_create(&helper->thread, NULL, helper_main, helper) == 0;
#ifdef __linux__
		if (helper->running)
			(void) pthread_setname_np(helper->thread, "streamx decode");
#endif
	}
}

void
sx_decode_pool_stop(SxDecodePool *pool)
{
	int			i;

	pthread_mutex_lock(&pool->mutex);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	for (i = 0; i < pool->nhelpers; i++)
	{
		if (pool->helpers[i].running)
			pthread_join(pool->helpers[i].thread, NULL);
		pool->helpers[i].running = false;
	}
	pool->stop = false;
}
