/*-------------------------------------------------------------------------
 * kafka_client.h
 *		librdkafka's settings, handles, logs and questions to a broker.
 *
 * Nothing of librdkafka calls back into PostgreSQL: logs and errors are
 * queued and taken out by whoever polls.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_KAFKA_CLIENT_H
#define SX_SOURCE_KAFKA_CLIENT_H

#include "postgres.h"

#include <librdkafka/rdkafka.h>

#include "catalog/stream.h"
#include "compat.h"
#include "source/source.h"

/* ---- settings ------------------------------------------------------------ */

typedef enum SxKafkaOptionCheck
{
	SX_KAFKA_OPTION_OK,
	SX_KAFKA_OPTION_UNKNOWN,	/* librdkafka has no such setting */
	SX_KAFKA_OPTION_INVALID,	/* it has, but not with this value */
	SX_KAFKA_OPTION_RESERVED,	/* streamx sets it itself */
} SxKafkaOptionCheck;

/*
 * Is this a setting of librdkafka that a server or a user mapping may have?
 * Names with dots or with underscores.  error: why not, without the value.
 * Loads no code, whatever the name; ask needs_superuser first all the same.
 */
extern SxKafkaOptionCheck sx_kafka_option_check(const char *name,
												const char *value,
												char *error, size_t error_size);

/* Does it read the server's files, load code, run or call something? */
extern bool sx_kafka_option_needs_superuser(const char *name, const char *value);

/* Is its value a secret, which belongs into a user mapping? */
extern bool sx_kafka_option_is_secret(const char *name);

/* Is it about logging in, so that a user mapping may have it? */
extern bool sx_kafka_option_is_login(const char *name);

/* The setting whose name is most like this one, palloc'd, or NULL. */
extern char *sx_kafka_option_nearest(const char *name);

/* ---- clients ------------------------------------------------------------- */

typedef enum SxKafkaRole
{
	SX_KAFKA_READER,			/* fetches without end */
	SX_KAFKA_CROWD,				/* the same, of many topics, seldom */
	SX_KAFKA_SCANNER,			/* fetches up to an end; asks for offsets */
	SX_KAFKA_PRODUCER,
	SX_KAFKA_SENDER,			/* a producer with transactions */
} SxKafkaRole;

/* An answer to one that fetches seldom comes after this when nothing else does. */
#define SX_KAFKA_CROWD_WAIT_MS	3000

/*
 * Settings of the stream's server and user mapping over those of streamx.
 * Main thread; ERROR on a setting that librdkafka refuses.  The result is the
 * caller's until rd_kafka_new() took it.
 */
extern rd_kafka_conf_t *sx_kafka_conf(const SxStream *stream, SxKafkaRole role);

/*
 * A client with its events routed to its main queue.  Takes conf in any case.
 * Main thread; ERROR if the settings do not fit together.
 */
extern rd_kafka_t *sx_kafka_new(const SxStream *stream, SxKafkaRole role,
								rd_kafka_conf_t *conf);

/*
 * Destroy a client whose topics and queues are gone; waits timeout_ms at
 * most, what takes longer ends by itself in a thread of its own.  Calls no
 * PostgreSQL function.
 */
extern void sx_kafka_destroy(rd_kafka_t *rk, int timeout_ms);

/* The same in this thread, however long it takes; its memory is given back. */
extern void sx_kafka_destroy_now(rd_kafka_t *rk);

/* What librdkafka last complained about; plain memory, no PostgreSQL. */
typedef struct SxKafkaTrouble
{
	rd_kafka_resp_err_t err;	/* NO_ERROR: none */
	bool		down;			/* no broker can be reached */
	char		text[SX_ERROR_LEN];
	char		certificate[SX_ERROR_LEN];	/* why a broker's was refused last */
} SxKafkaTrouble;

/*
 * Take events (errors, logs) out of the client's main queue, waiting up to
 * timeout_ms for the first.  Any one thread.  false: nothing was there.
 */
extern bool sx_kafka_drain(rd_kafka_queue_t *mainq, int timeout_ms,
						   SxKafkaTrouble *trouble);

/* The same for one event that somebody else took out. */
extern void sx_kafka_take_event(rd_kafka_event_t *event, SxKafkaTrouble *trouble);

/* SQLSTATE of an error of librdkafka; static text.  Any thread. */
extern const char *sx_kafka_sqlstate(rd_kafka_resp_err_t err);

/* ---- messages: any thread (kafka_message.c) -------------------------------- */

/*
 * librdkafka's message as ours: points into it.  headers: where the object
 * text of its headers goes, NULL: they are not wanted.  false: out of memory.
 */
extern bool sx_kafka_message(const rd_kafka_message_t *from, int64 arrival_us,
							 SxArena *headers, SxMessage *to);

/* TimestampTz of the system's clock */
extern int64 sx_kafka_now_us(void);

/* Kafka's milliseconds of a TimestampTz, rounded up; never negative. */
extern int64 sx_kafka_time_to_ms(int64 timestamp_us);

/* ---- full queues: any thread (kafka_message.c) ----------------------------- */

/*
 * Before 2.2, librdkafka looks only once a second whether a queue that was
 * full has room again.  A question to the partitions' brokers wakes their
 * threads earlier.
 */
typedef struct SxKafkaWaker
{
	bool		needed;
	bool		was_full;		/* since the last wake-up */
	int64		full_msgs;		/* what librdkafka stops fetching at */
	int64		full_bytes;
} SxKafkaWaker;

extern void sx_kafka_waker_init(SxKafkaWaker *waker, rd_kafka_t *rk);

/* Has the queue room again?  The last nmsgs messages had so many bytes. */
extern bool sx_kafka_waker_due(SxKafkaWaker *waker, rd_kafka_queue_t *queue,
							   int64 bytes, int nmsgs);

/* Wake the threads of these partitions' brokers; the list is used up. */
extern void sx_kafka_wake(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list);

/* ---- questions to a broker: main thread of a backend or worker ------------ */

/* A client of the caller's memory context: closed with it, on ERROR too. */
typedef struct SxKafkaClient SxKafkaClient;

typedef struct SxKafkaPartition
{
	int32		partition;
	int64		low;			/* first offset still kept */
	int64		end;			/* first one not there yet; with isolation
								 * read_committed: not yet readable */
} SxKafkaPartition;

/* Lives in CurrentMemoryContext.  Does not wait for the network. */
extern SxKafkaClient *sx_kafka_client_open(const SxStream *stream);
extern void sx_kafka_client_close(SxKafkaClient *client);

/*
 * First and end offsets of all partitions of the stream's topic, in their
 * order; palloc'd.  Waits timeout_ms at most, interruptible.  ERROR if the
 * topic does not exist (UNDEFINED_OBJECT), nobody answers in time
 * (FDW_UNABLE_TO_ESTABLISH_CONNECTION) or access is denied.
 */
extern int	sx_kafka_client_offsets(SxKafkaClient *client, int timeout_ms,
									SxKafkaPartition **partitions);

/*
 * For each of these partitions the first offset whose message's timestamp is
 * at or after timestamp_us (TimestampTz); its end if there is none.
 */
extern int64 *sx_kafka_client_offsets_for_time(SxKafkaClient *client,
											   const SxKafkaPartition *partitions,
											   int npartitions,
											   int64 timestamp_us,
											   int timeout_ms);

/* For scans: librdkafka's client, and the name of the topic. */
extern rd_kafka_t *sx_kafka_client_handle(SxKafkaClient *client);
extern const char *sx_kafka_client_topic(SxKafkaClient *client);

/* ERROR for what librdkafka reports about this client's stream. */
/*
 * ERROR for what is wrong with the topic, the login or the rights; returns if
 * it is something else.  Main thread.
 */
extern void sx_kafka_refused(const char *topic, const char *servers,
							 const char *stream_name,
							 rd_kafka_resp_err_t err, const char *text);

pg_noreturn extern void sx_kafka_client_error(SxKafkaClient *client,
											  rd_kafka_resp_err_t err, const char *text);

#endif							/* SX_SOURCE_KAFKA_CLIENT_H */
