/*-------------------------------------------------------------------------
 * outbox.h
 *		A view's outbox: rows on their way to a Kafka topic.
 *
 * A table streamx_state.o<id>, written in the batch's transaction (result/),
 * read and emptied by the worker that has the view.  Rows are encoded
 * messages, numbered from 1 without gaps, in the order in which they are to be
 * sent.  Main thread, inside a transaction.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SINK_OUTBOX_H
#define SX_SINK_OUTBOX_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

#include "sink/encode.h"
#include "sink/kafka_sender.h"

/* its columns */
enum
{
	SX_OUTBOX_ID = 1,
	SX_OUTBOX_PARTITION,		/* NULL: by route, else by key, else any */
	SX_OUTBOX_TIMESTAMP,		/* NULL: when it is sent */
	SX_OUTBOX_ROUTE,			/* bytes whose hash picks the partition */
	SX_OUTBOX_KEY,
	SX_OUTBOX_PAYLOAD,			/* NULL: tombstone */
	SX_OUTBOX_NATTS = SX_OUTBOX_PAYLOAD
};

/* A row of it, in the current context, still without a number. */
extern HeapTuple sx_outbox_row(Relation outbox, const SxEncoded *message,
							   const char *route, size_t route_len);
extern void sx_outbox_number(HeapTuple row, int64 id);

/* Number of the first row that is still there; 0: it is empty. */
extern int64 sx_outbox_first(Oid outbox);

/*
 * The next rows behind "after", some megabytes at most.  NULL: none.  ERROR
 * where memory is short.
 */
extern SxParcel *sx_outbox_read(Oid outbox, int64 after);

/*
 * Take the rows behind "after" up to "upto" away; those up to "after" have
 * gone already.
 */
extern void sx_outbox_delete(Oid outbox, int64 after, int64 upto);

#endif							/* SX_SINK_OUTBOX_H */
