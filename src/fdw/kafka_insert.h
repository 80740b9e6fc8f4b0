/*-------------------------------------------------------------------------
 * kafka_insert.h
 *		Rows inserted into a Kafka stream, to its topic.
 *-------------------------------------------------------------------------
 */
#ifndef SX_FDW_KAFKA_INSERT_H
#define SX_FDW_KAFKA_INSERT_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "catalog/stream.h"

typedef struct SxKafkaInsert SxKafkaInsert;

/*
 * For one statement; lives in the current context.  The producer is that of
 * the transaction.
 */
extern SxKafkaInsert *sx_fdw_kafka_insert_begin(const SxStream *stream);
extern void sx_fdw_kafka_insert_row(SxKafkaInsert *insert, TupleTableSlot *slot);
extern void sx_fdw_kafka_insert_end(SxKafkaInsert *insert);

#endif							/* SX_FDW_KAFKA_INSERT_H */
