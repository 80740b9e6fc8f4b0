/*-------------------------------------------------------------------------
 * intake.h
 *		What a batch of a stream brings: its rows may be in it, or a fold
 *		process has them and the batch tells what they were.
 *
 * Here is where the two are told apart; whoever takes batches in asks these.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_INTAKE_H
#define SX_WORKER_INTAKE_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "worker/fold.h"

/* rows that it stands for */
static inline int64
sx_batch_rows(const SxBatch *batch)
{
	return batch->folded ? batch->folded->nrows : batch->nrows;
}

/* bytes that it takes up while it waits */
static inline size_t
sx_batch_size(const SxBatch *batch)
{
	return batch->folded ? batch->folded->size : sx_batch_bytes(batch);
}

/* Timestamp of its last row; 0: it has none. */
extern TimestampTz sx_batch_newest(const SxBatch *batch);

/* Did rows of its i-th position's partition come? */
extern bool sx_batch_came(const SxBatch *batch, int i);

/*
 * Are there rows from before where a partition stood, or any at all after what
 * was read of it is gone?  From there on it is another topic.
 */
extern bool sx_positions_begin_anew(const SxStream *stream, const SxBatch *list,
									SxPosition *before, int nbefore);

/* Partitions of which they tell that what was read is gone; in the current context. */
extern void sx_batches_gone(const SxBatch *list, List **gone);

/*
 * Positions after a list of batches, when it was "before" before them; their
 * watermarks as the rows push them.  What is gone stays so until it is told
 * where the partition begins anew.  In the current context.
 */
extern SxPosition *sx_positions_after(const SxStream *stream, const SxBatch *list,
									  const SxPosition *before, int nbefore, int *n);

/*
 * Batches that wait to be taken, in order.  Not guarded: that is its owner's
 * matter.  No function of it calls PostgreSQL.
 */
typedef struct SxBatchQueue
{
	SxBatch    *head;
	SxBatch    *tail;
	int64		rows;
	size_t		bytes;
	int64		since_ms;		/* when it was empty last */
} SxBatchQueue;

/* Put a list at its end. */
extern void sx_queue_put(SxBatchQueue *queue, SxBatch *list, int64 now_ms);

/* As many as keep to the limits, but one at least if there is one. */
extern SxBatch *sx_queue_take(SxBatchQueue *queue, int64 max_rows, int64 max_bytes);

#endif							/* SX_WORKER_INTAKE_H */
