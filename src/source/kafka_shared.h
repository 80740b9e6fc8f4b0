/*-------------------------------------------------------------------------
 * kafka_shared.h
 *		One client of librdkafka for several streams of this process.
 *
 * A client has threads and a connection of its own to each broker, and asks
 * each of them ten times a second when nothing comes: with hundreds of idle
 * streams that is all that a server does.  So sources with the same settings
 * share one.  A client reads a partition only once: a second source over the
 * same topic gets another client.
 *
 * There are clients of few topics, which ask often, and of many, which ask
 * seldom.  A broker answers at once when there is something in any partition
 * that it was asked for; but one that is started meanwhile, or whose queue was
 * full, has to wait until the next question, and each question names them
 * all.  So the latter are for topics where little happens: a source that has
 * more to do moves to the former, and goes when it has been quiet for a while.
 * Where there are only a few sources, they stay.
 *
 * Shared and given back in the main thread.  What a client complains about and
 * what it knows of topics is told to all its sources: their polling threads
 * ask here, under the client's lock, never holding it across a wait.
 *
 * A thread of the client watches for them: it takes complaints, asks the
 * broker about all topics from time to time, and wakes those sources whom that
 * concerns.  So the polling thread of a quiet stream sleeps.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_KAFKA_SHARED_H
#define SX_SOURCE_KAFKA_SHARED_H

#include "postgres.h"

#include "source/kafka_client.h"

typedef struct SxKafkaShared SxKafkaShared;

/* What is known of a source that looks for a client. */
typedef enum SxKafkaPace
{
	SX_KAFKA_NEW,				/* nothing */
	SX_KAFKA_BUSY,
	SX_KAFKA_QUIET,
} SxKafkaPace;

/*
 * Main thread; ERROR as sx_kafka_conf() and sx_kafka_new().  Never a client
 * that reads the topic already.
 */
extern SxKafkaShared *sx_kafka_share(const SxStream *stream, const char *topic,
									 SxKafkaPace pace);

/* Is the client one for busy sources, or for quiet ones?  Any thread. */
extern bool sx_kafka_shared_suits(const SxKafkaShared *shared, SxKafkaPace pace);

/*
 * The source of this topic has stopped its partitions and destroyed its
 * queue and topic.  The last one closes the client, within timeout_ms.
 */
extern void sx_kafka_unshare(SxKafkaShared *shared, const char *topic,
							 int timeout_ms);

extern rd_kafka_t *sx_kafka_shared_handle(SxKafkaShared *shared);

/* A source whose polling thread is woken when there is news. */
typedef struct SxKafkaWatched
{
	struct SxKafkaWatched *next;
	const char *topic;
	rd_kafka_queue_t *queue;	/* what it waits on */
	int			npartitions;	/* that it knows of; -1: it looks by itself;
								 * atomic */
	int			news;			/* SX_KAFKA_NEWS bits, atomic */
} SxKafkaWatched;

#define SX_KAFKA_NEWS_TOPIC		1	/* the topic is not as it knows it */
#define SX_KAFKA_NEWS_TROUBLE	2	/* see sx_kafka_shared_trouble() */
#define SX_KAFKA_NEWS_CROWD		4	/* see sx_kafka_shared_suits() */

/* Main thread, before polling starts, and after it has stopped. */
extern void sx_kafka_watch(SxKafkaShared *shared, SxKafkaWatched *watched);
extern void sx_kafka_unwatch(SxKafkaShared *shared, SxKafkaWatched *watched);

/*
 * Has the client complained since *seen?  Then *trouble is what it said, and
 * *seen is moved on.  Any thread.
 */
extern bool sx_kafka_shared_trouble(SxKafkaShared *shared, uint64 *seen,
									SxKafkaTrouble *trouble);

/* A broker has answered: what was complained about is over.  Any thread. */
extern void sx_kafka_shared_answered(SxKafkaShared *shared);

/* How long a question may take: it may have to wait for an answer before. */
extern int	sx_kafka_shared_timeout_ms(const SxKafkaShared *shared);

/*
 * How many partitions has the topic?  first: the caller has not heard of it
 * yet, so that an answer of a moment ago will not do.  False: somebody else
 * is asking, try again soon.  Any thread; waits timeout_ms at most.
 */
extern bool sx_kafka_shared_partitions(SxKafkaShared *shared, rd_kafka_topic_t *topic,
									   bool first, int timeout_ms,
									   rd_kafka_resp_err_t *err, int *npartitions);

#endif							/* SX_SOURCE_KAFKA_SHARED_H */
