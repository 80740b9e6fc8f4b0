/*-------------------------------------------------------------------------
 * kafka_source.h
 *		The source over a Kafka topic, between kafka.c and kafka_topic.c.
 *
 * Where partitions start.  The first look at the topic settles it for all of
 * them at once, as concrete offsets, and poll reports those as moved, so that
 * "latest" means the same after a crash.  Partitions seen later are new: they
 * start at their beginning.
 *
 * States (conn), changed by the polling thread only:
 *
 *	 CONNECTING -> UP		the broker told the topic's partitions
 *	 any -> DOWN			no answer, no such topic, login refused; looked at
 *							again, by librdkafka and by sx_kafka_source_look()
 *							(while UP, the client's watching thread looks and
 *							wakes this one when there is something to see)
 *	 DOWN -> UP				an answer, a message
 *	 any -> FAILED			offsets lost and on_data_loss is stop; until close
 *							or seek
 *
 * What was read is gone where the topic was seen to be missing for a while (a
 * source that has not read it yet tells that when it is back: before, it may be
 * the wrong broker), where it has fewer partitions, or ends before.  Poll says so
 * once, with the positions; nothing is read before a seek, whose positions have
 * that saved.  From such positions a source begins anew, or fails, as
 * on_data_loss has it.
 *
 * With on_data_loss continue, an UP source carries the note of what it skipped
 * (SQLSTATE 01000).
 *
 * Lock: "lock" covers conn, error, parts and nparts between the polling thread
 * and status().  Only the polling thread (or, while there is none, the main
 * thread) changes them, so that it reads them without.  Never held across a
 * wait.  No function here calls PostgreSQL.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_KAFKA_SOURCE_H
#define SX_SOURCE_KAFKA_SOURCE_H

#include "postgres.h"

#include <pthread.h>

#include "source/kafka_shared.h"

#define SX_KAFKA_NEVER_MS		PG_INT64_MAX

/* how soon a topic that gave trouble is looked at again, at first */
#define SX_KAFKA_RETRY_MIN_MS	100

typedef enum SxKafkaStart
{
	SX_KAFKA_START_EARLIEST,
	SX_KAFKA_START_LATEST,
	SX_KAFKA_START_TIME,
} SxKafkaStart;

typedef struct SxKafkaSourcePart
{
	int64		next_offset;	/* next one poll delivers; -1: not settled */
	bool		started;		/* librdkafka fetches it */
	bool		ours;			/* next_offset was asked for, nothing read yet */
	bool		at_end;
	bool		moved;			/* to be told by this poll */
	bool		gone;			/* the topic has not what was read of it */
} SxKafkaSourcePart;

typedef struct SxKafkaSource
{
	SxSource	source;
	char	   *topic;
	char	   *servers;
	bool		wants_headers;
	SxKafkaWaker waker;
	char	   *stream_start;

	SxKafkaShared *shared;
	rd_kafka_t *rk;				/* its client */
	uint64		troubles_seen;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *queue;
	bool		woken;			/* poll is to return; atomic */
	SxKafkaWatched watched;
	bool		is_watched;
	const SxStream *stream;

	/* how much there is to do, see kafka_shared.h */
	SxKafkaPace pace;			/* it should move because of; NEW: it need not */
	int64		last_ms;		/* a message came */
	int64		polls_since_ms;
	int			polls;			/* that brought messages since then */

	/* partitions p with p modulo "nshares" = share are read */
	int			share;
	int			nshares;

	/* as of the last seek */
	SxKafkaStart start;
	int64		start_us;
	SxPosition *saved;
	int			nsaved;
	bool		settled;		/* the first look was taken */
	bool		was_missing;	/* there was no such topic at first */
	bool		anew;			/* what saved says is gone: to begin anew */
	int64		unknown_ms;		/* a topic that was read is unknown since */
	int			unknown_looks;	/* so often; 0: it is there */
	bool		gone;			/* nothing is read before a seek */
	bool		tells_gone;		/* to be told by this poll: parts that are
								 * gone */
	bool		tells_saved;	/* and partitions that the topic has not */
	bool		failed;

	/* offsets that "start" was found to mean, for the seeks after */
	SxKafkaStart found_start;
	int64		found_start_us;
	int64	   *found;
	int			nfound;

	pthread_mutex_t lock;
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	char		note[SX_ERROR_LEN]; /* of offsets skipped; stays until a seek */
	SxKafkaSourcePart *parts;
	int			nparts;

	int64		next_look_ms;
	int			retry_ms;
	SxKafkaTrouble trouble;

	rd_kafka_message_t **held;	/* delivered, until release */
	int			nheld;
	int			maxheld;
	SxArena		headers;
	SxPosition *moved;
	int			maxmoved;
} SxKafkaSource;

/* Milliseconds of a clock that only goes forward. */
extern int64 sx_kafka_clock_ms(void);

/* The states above. */
extern void sx_kafka_source_state(SxKafkaSource *src, SxConnState conn,
								  const char *sqlstate, const char *fmt,...) pg_attribute_printf(4, 5);
extern void sx_kafka_source_up(SxKafkaSource *src);
extern void sx_kafka_source_down(SxKafkaSource *src, rd_kafka_resp_err_t err);
extern void sx_kafka_source_oom(SxKafkaSource *src);

/*
 * Ask the broker about the topic; settle where new partitions start, and
 * start those that do not run.  Waits for an answer, for a bounded time.
 */
extern void sx_kafka_source_look(SxKafkaSource *src);

/* What was read of partition p, or of all (-1), is not of the topic there is. */
extern void sx_kafka_source_gone(SxKafkaSource *src, int p);

/* The broker does not have the offset that this partition is to go on at. */
extern void sx_kafka_source_offset_lost(SxKafkaSource *src, int p);

/* Is the partition one that this source reads? */
static inline bool
sx_kafka_source_reads(const SxKafkaSource *src, int p)
{
	return p % src->nshares == src->share;
}

extern void sx_kafka_source_stop_partition(SxKafkaSource *src, int p);

#endif							/* SX_SOURCE_KAFKA_SOURCE_H */
