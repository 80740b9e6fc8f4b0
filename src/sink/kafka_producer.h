/*-------------------------------------------------------------------------
 * kafka_producer.h
 *		Messages out to a Kafka topic, delivery reports in.
 *
 * Main thread.  Idempotent: each message arrives once or its failure is
 * reported by flush.  Nothing is sent before a batch is full or flush is
 * called, so that a short transaction that rolls back sends nothing.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SINK_KAFKA_PRODUCER_H
#define SX_SINK_KAFKA_PRODUCER_H

#include "postgres.h"

#include "catalog/stream.h"

typedef struct SxKafkaProducer SxKafkaProducer;

/*
 * A producer for this stream's topic.  Lives in CurrentMemoryContext and is
 * closed with it, on ERROR too.  Does not wait for the network.
 */
extern SxKafkaProducer *sx_kafka_producer_open(const SxStream *stream);

/*
 * Queue one message; bytes are copied.  payload NULL: tombstone; key NULL:
 * none; partition -1: by the key, else any; timestamp_us (TimestampTz)
 * PG_INT64_MIN: now.  Waits while the queue is full, interruptible.  ERROR
 * for what no retry cures (too large, no such partition).
 */
extern void sx_kafka_producer_send(SxKafkaProducer *producer,
								   const char *key, size_t key_len,
								   const char *payload, size_t payload_len,
								   int32 partition, int64 timestamp_us);

/*
 * Wait until the brokers have acknowledged everything, interruptible.  ERROR
 * with the first failure, or after timeout_ms.
 */
extern void sx_kafka_producer_flush(SxKafkaProducer *producer, int timeout_ms);

/* Messages queued and not acknowledged. */
extern int	sx_kafka_producer_pending(SxKafkaProducer *producer);

/* Drops what was not sent. */
extern void sx_kafka_producer_close(SxKafkaProducer *producer);

#endif							/* SX_SINK_KAFKA_PRODUCER_H */
