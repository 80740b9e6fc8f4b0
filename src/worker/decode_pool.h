/*-------------------------------------------------------------------------
 * decode_pool.h
 *		Threads that help a reader's thread to decode.
 *
 * The reader's thread cuts the messages of a poll into runs, one after the
 * other and each for a batch of its own; whoever is free takes the next run.
 * So the order of the batches is that of the messages, whoever decodes them.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_DECODE_POOL_H
#define SX_WORKER_DECODE_POOL_H

#include "postgres.h"

#include "base/batch.h"
#include "decode/decode.h"

#define SX_MAX_DECODE_THREADS 16

typedef struct SxDecodePool SxDecodePool;

typedef struct SxDecodeRun
{
	SxBatch    *batch;			/* with room for all of them */
	const SxMessage *msgs;
	int			nmsgs;
	bool		failed;			/* out: no memory */
} SxDecodeRun;

/* Main thread.  Memory is malloc'd; NULL: out of memory. */
extern SxDecodePool *sx_decode_pool_create(const SxSchema *schema, int nhelpers);
extern void sx_decode_pool_destroy(SxDecodePool *pool);

/*
 * Main thread, with all signals blocked.  Threads that cannot be had are done
 * without: the caller of sx_decode_pool_run() decodes what nobody else does.
 */
extern void sx_decode_pool_start(SxDecodePool *pool);

/* Main thread, while nobody is in sx_decode_pool_run(). */
extern void sx_decode_pool_stop(SxDecodePool *pool);

/*
 * Decode all the runs, in this thread by this decoder and in those that help;
 * returns when all are through.  false: out of memory.
 */
extern bool sx_decode_pool_run(SxDecodePool *pool, SxDecoder *decoder,
							   SxDecodeRun *runs, int nruns);

/* sx_decode_messages(), and how long it took. */
extern bool sx_decode_run(SxDecoder *decoder, SxDecodeRun *run);

#endif							/* SX_WORKER_DECODE_POOL_H */
