/*-------------------------------------------------------------------------
 * kafka_scan.h
 *		A topic as a bounded table: ranges of offsets, read to their ends.
 *
 * Main thread of a backend or worker; interruptible.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_KAFKA_SCAN_H
#define SX_SOURCE_KAFKA_SCAN_H

#include "base/batch.h"
#include "source/kafka_client.h"

typedef struct SxKafkaRange
{
	int32		partition;
	int64		from_offset;	/* inclusive */
	int64		to_offset;		/* exclusive: an end offset asked for before */
} SxKafkaRange;

typedef struct SxKafkaScan SxKafkaScan;

/*
 * Read these ranges, those that are empty not at all.  Lives in
 * CurrentMemoryContext and is closed with it, on ERROR too; closed before its
 * client.
 */
extern SxKafkaScan *sx_kafka_scan_open(SxKafkaClient *client,
									   const SxKafkaRange *ranges, int nranges,
									   bool wants_headers);

/*
 * The next messages, at least one, at most max_msgs, in offset order per
 * partition; 0: every range was read to its end, whatever it ended in
 * (transaction markers, compacted or expired messages).  Messages live until
 * the next call.  ERROR if the brokers fall silent for longer than
 * timeout_ms.
 */
extern int	sx_kafka_scan_next(SxKafkaScan *scan, SxMessage *msgs,
							   int max_msgs, int timeout_ms);

/*
 * Nothing more of this partition is wanted (a condition on offsets or a LIMIT
 * says so).
 */
extern void sx_kafka_scan_stop_partition(SxKafkaScan *scan, int32 partition);

extern void sx_kafka_scan_close(SxKafkaScan *scan);

#endif							/* SX_SOURCE_KAFKA_SCAN_H */
