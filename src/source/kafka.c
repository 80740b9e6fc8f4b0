/*-------------------------------------------------------------------------
 * kafka.c
 *		A Kafka topic as a source: own assigned partitions, own offsets.
 *
 * No consumer group: each partition is started at the offset that progress
 * names and read in one queue of librdkafka, whose own threads fetch and
 * decompress.  poll, release and status call no PostgreSQL function.
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
 *							again, by librdkafka and by look_at_topic()
 *	 DOWN -> UP				an answer, a message
 *	 any -> FAILED			offsets lost and on_data_loss is stop; until close
 *							or seek
 *
 * With on_data_loss continue, an UP source carries the note of what it skipped
 * (SQLSTATE 01000).
 *
 * Lock: "lock" covers conn, error, parts and nparts between the polling thread
 * and status().  Only the polling thread (or, while there is none, the main
 * thread) changes them, so that it reads them without.  Never held across a
 * wait.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "source/kafka_client.h"

extern const SxSourceOps sx_source_kafka;

#define CHUNK_MSGS			1024
#define MAX_POLL_BYTES		(32 * 1024 * 1024)

/* how often the topic is looked at, and how long one look may take */
#define LOOK_INTERVAL_MS	5000
#define LOOK_TIMEOUT_MS		1500
#define RETRY_MIN_MS		100
#define RETRY_MAX_MS		2000

#define CLOSE_TIMEOUT_MS	5000

typedef enum StartKind
{
	START_EARLIEST,
	START_LATEST,
	START_TIME,
} StartKind;

typedef struct KafkaPartition
{
	int64		next_offset;	/* next one poll delivers; -1: not settled */
	bool		started;		/* librdkafka fetches it */
	bool		ours;			/* next_offset was asked for, nothing read yet */
	bool		at_end;
	bool		moved;			/* to be told by this poll */
} KafkaPartition;

typedef struct KafkaSource
{
	SxSource	source;
	char	   *topic;
	char	   *servers;
	bool		continue_on_loss;
	bool		wants_headers;
	SxKafkaWaker waker;
	char	   *stream_start;

	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *mainq;
	rd_kafka_queue_t *queue;

	/* as of the last seek */
	StartKind	start;
	int64		start_us;
	SxPosition *saved;
	int			nsaved;
	bool		settled;		/* the first look was taken */
	bool		was_missing;	/* there was no such topic at first */
	bool		failed;

	/* offsets that "start" was found to mean, for the seeks after */
	StartKind	found_start;
	int64		found_start_us;
	int64	   *found;
	int			nfound;

	pthread_mutex_t lock;
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	char		note[SX_ERROR_LEN]; /* of offsets skipped; stays until a seek */
	KafkaPartition *parts;
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
} KafkaSource;

static int64
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- state ---------------------------------------------------------------- */

static void set_conn(KafkaSource *src, SxConnState conn, const char *sqlstate,
					 const char *fmt,...) pg_attribute_printf(4, 5);

static void
set_conn(KafkaSource *src, SxConnState conn, const char *sqlstate,
		 const char *fmt,...)
{
	va_list		args;

	pthread_mutex_lock(&src->lock);
	src->conn = conn;
	strlcpy(src->sqlstate, sqlstate, sizeof(src->sqlstate));
	va_start(args, fmt);
	vsnprintf(src->error, sizeof(src->error), fmt, args);
	va_end(args);
	pthread_mutex_unlock(&src->lock);
	if (conn == SX_CONN_FAILED)
		src->failed = true;
}

static void
set_up(KafkaSource *src)
{
	pthread_mutex_lock(&src->lock);
	src->conn = SX_CONN_UP;
	strlcpy(src->sqlstate, src->note[0] != '\0' ? "01000" : "",
			sizeof(src->sqlstate));
	strlcpy(src->error, src->note, sizeof(src->error));
	pthread_mutex_unlock(&src->lock);
	memset(&src->trouble, 0, sizeof(src->trouble));
	src->retry_ms = 0;
}

/* The broker does not answer, or not as it should; look again soon. */
static void
set_down(KafkaSource *src, rd_kafka_resp_err_t err)
{
	bool		generic = err == RD_KAFKA_RESP_ERR__TRANSPORT ||
		err == RD_KAFKA_RESP_ERR__TIMED_OUT ||
		err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;

	switch (err)
	{
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
			set_conn(src, SX_CONN_DOWN, sx_kafka_sqlstate(err),
					 "topic \"%s\" does not exist on \"%s\"",
					 src->topic, src->servers);
			break;
		default:
			/* what librdkafka said before tells more than "timed out" */
			if (generic && src->trouble.text[0] != '\0')
				set_conn(src, SX_CONN_DOWN, sx_kafka_sqlstate(src->trouble.err),
						 "%s", src->trouble.text);
			else
				set_conn(src, SX_CONN_DOWN, sx_kafka_sqlstate(err),
						 "no answer from \"%s\": %s", src->servers,
						 rd_kafka_err2str(err));
	}
	src->retry_ms = Min(Max(src->retry_ms * 2, RETRY_MIN_MS), RETRY_MAX_MS);
	src->next_look_ms = clock_ms() + src->retry_ms;
}

static void
out_of_memory(KafkaSource *src)
{
	set_conn(src, SX_CONN_FAILED, "53200", "out of memory");
}

/* ---- where partitions start ------------------------------------------------- */

static const SxPosition *
saved_position(KafkaSource *src, int partition)
{
	for (int i = 0; i < src->nsaved; i++)
	{
		if (src->saved[i].partition == partition)
			return &src->saved[i];
	}
	return NULL;
}

/*
 * Offsets of some partitions at a time each, in ms or special: offsets[p] in
 * and out for every p with wanted[p].  -1: no message is that young.
 */
static rd_kafka_resp_err_t
ask_offsets(KafkaSource *src, const bool *wanted, int64 *offsets, int n,
			int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int p = 0; p < n; p++)
	{
		if (wanted[p])
			rd_kafka_topic_partition_list_add(list, src->topic, p)->offset = offsets[p];
	}
	if (list->cnt > 0)
		err = rd_kafka_offsets_for_times(src->rk, list, timeout_ms);
	for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		rd_kafka_topic_partition_t *answer = &list->elems[i];

		if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			err = answer->err;
		else if (answer->partition >= 0 && answer->partition < n)
			offsets[answer->partition] = answer->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

/* As above, and -1 gives way to the end. */
static rd_kafka_resp_err_t
ask_starts(KafkaSource *src, bool *wanted, int64 *offsets, int n)
{
	rd_kafka_resp_err_t err;

	err = ask_offsets(src, wanted, offsets, n, LOOK_TIMEOUT_MS);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	for (int p = 0; p < n; p++)
	{
		wanted[p] = wanted[p] && offsets[p] < 0;
		if (wanted[p])
			offsets[p] = RD_KAFKA_OFFSET_END;
	}
	return ask_offsets(src, wanted, offsets, n, LOOK_TIMEOUT_MS);
}

/* Remember what "start" was found to mean, for seeks that name no position. */
static void
remember_found(KafkaSource *src, const int64 *offsets, int n)
{
	int64	   *found;

	if (src->nsaved > 0 || n == 0)
		return;
	found = realloc(src->found, n * sizeof(int64));
	if (found == NULL)
		return;
	memcpy(found, offsets, n * sizeof(int64));
	src->found = found;
	src->nfound = n;
	src->found_start = src->start;
	src->found_start_us = src->start_us;
}

static void
start_partition(KafkaSource *src, int p)
{
	if (rd_kafka_consume_start_queue(src->rkt, p, src->parts[p].next_offset,
									 src->queue) == 0)
		src->parts[p].started = true;
	else
		set_down(src, rd_kafka_last_error());
}

static void
stop_partition(KafkaSource *src, int p)
{
	if (src->parts[p].started)
		rd_kafka_consume_stop(src->rkt, p);
	src->parts[p].started = false;
}

/*
 * Settle where the partitions from src->nparts to n start, and start them.
 * All or none, so that progress names all that were there at first.
 */
static rd_kafka_resp_err_t
add_partitions(KafkaSource *src, int n)
{
	int			first = src->nparts;
	bool	   *wanted = calloc(n, sizeof(bool));
	int64	   *offsets = calloc(n, sizeof(int64));
	KafkaPartition *parts;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
	bool		use_found = src->nsaved == 0 && src->nfound > 0 &&
		src->found_start == src->start && src->found_start_us == src->start_us;

	if (wanted == NULL || offsets == NULL)
		err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

	for (int p = 0; p < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; p++)
	{
		const SxPosition *saved = saved_position(src, p);

		if (p < first)
			offsets[p] = src->parts[p].next_offset;
		else if (!src->settled && saved != NULL && saved->next_offset >= 0)
			offsets[p] = saved->next_offset;
		else if (!src->settled && use_found && p < src->nfound)
			offsets[p] = src->found[p];
		else
		{
			wanted[p] = true;
			offsets[p] = RD_KAFKA_OFFSET_BEGINNING;
			if (!src->settled && !use_found &&
				(src->nsaved == 0 || saved != NULL))
			{
				if (src->start == START_LATEST && !src->was_missing)
					offsets[p] = RD_KAFKA_OFFSET_END;
				else if (src->start == START_TIME)
					offsets[p] = sx_kafka_time_to_ms(src->start_us);
			}
		}
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_starts(src, wanted, offsets, n);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		pthread_mutex_lock(&src->lock);
		parts = realloc(src->parts, n * sizeof(KafkaPartition));
		if (parts == NULL)
			err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
		else
		{
			src->parts = parts;
			memset(&parts[first], 0, (n - first) * sizeof(KafkaPartition));
			for (int p = first; p < n; p++)
			{
				const SxPosition *saved = saved_position(src, p);

				parts[p].next_offset = offsets[p];
				parts[p].moved = parts[p].ours =
					saved == NULL || saved->next_offset != offsets[p];
			}
			src->nparts = n;
		}
		pthread_mutex_unlock(&src->lock);
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		remember_found(src, offsets, n);
		src->settled = true;
		for (int p = first; p < n; p++)
			start_partition(src, p);
	}
	free(wanted);
	free(offsets);
	if (err == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
		out_of_memory(src);
	return err;
}

/* ---- lost offsets ------------------------------------------------------------- */

/*
 * The topic has fewer partitions than we have read: it was made anew.  What
 * is gone is gone; the others tell by their offsets.
 */
static void
partitions_lost(KafkaSource *src, int n, int known)
{
	if (!src->continue_on_loss)
		set_conn(src, SX_CONN_FAILED, "55000",
				 "topic \"%s\" has %d partitions where it had %d: it was created anew; rebuild the views, or set on_data_loss to continue",
				 src->topic, n, known);
}

/* The offset that we asked for is not there. */
static void
offset_lost(KafkaSource *src, int p)
{
	KafkaPartition *part = &src->parts[p];
	bool	   *wanted = calloc(src->nparts, sizeof(bool));
	int64	   *low = calloc(src->nparts, sizeof(int64));
	int64	   *end = calloc(src->nparts, sizeof(int64));
	rd_kafka_resp_err_t err;
	bool		restart = false;

	stop_partition(src, p);
	if (wanted == NULL || low == NULL || end == NULL)
	{
		free(wanted);
		free(low);
		free(end);
		out_of_memory(src);
		return;
	}

	wanted[p] = true;
	low[p] = RD_KAFKA_OFFSET_BEGINNING;
	end[p] = RD_KAFKA_OFFSET_END;
	err = ask_offsets(src, wanted, low, src->nparts, LOOK_TIMEOUT_MS);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_offsets(src, wanted, end, src->nparts, LOOK_TIMEOUT_MS);

	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		set_down(src, err);		/* the next look starts it where it was */
	else if (part->next_offset >= low[p] && part->next_offset <= end[p])
		restart = true;			/* a moment between two leaders */
	else if (src->continue_on_loss || part->ours)
	{
		/* the latter: expired between our question and our first fetch */
		if (!part->ours)
			snprintf(src->note, sizeof(src->note),
					 "partition %d of topic \"%s\" went on at offset " INT64_FORMAT ": " INT64_FORMAT " was no longer on the broker",
					 p, src->topic, low[p], part->next_offset);
		pthread_mutex_lock(&src->lock);
		part->next_offset = low[p];
		part->moved = true;
		pthread_mutex_unlock(&src->lock);
		restart = true;
		set_up(src);
	}
	else if (part->next_offset < low[p])
		set_conn(src, SX_CONN_FAILED, "55000",
				 "offsets " INT64_FORMAT " to " INT64_FORMAT " of partition %d of topic \"%s\" are no longer on the broker; rebuild the views, or set on_data_loss to continue",
				 part->next_offset, low[p] - 1, p, src->topic);
	else
		set_conn(src, SX_CONN_FAILED, "55000",
				 "partition %d of topic \"%s\" ends at offset " INT64_FORMAT ", before " INT64_FORMAT " that was read: it was created anew; rebuild the views, or set on_data_loss to continue",
				 p, src->topic, end[p], part->next_offset - 1);
	if (restart)
		start_partition(src, p);
	free(wanted);
	free(low);
	free(end);
}

/* ---- looking at the topic ------------------------------------------------------ */

/* Does the broker answer, does the topic exist, which partitions has it? */
static void
look_at_topic(KafkaSource *src)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	int			n = 0;
	int			known = src->nparts;

	src->next_look_ms = clock_ms() + LOOK_INTERVAL_MS;
	err = rd_kafka_metadata(src->rk, 0, src->rkt, &metadata, LOOK_TIMEOUT_MS);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (metadata->topic_cnt != 1)
			err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		else
		{
			err = metadata->topics[0].err;
			n = metadata->topics[0].partition_cnt;
			if (err == RD_KAFKA_RESP_ERR_NO_ERROR && n == 0)
				err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		}
		rd_kafka_metadata_destroy(metadata);
	}
	sx_kafka_drain(src->mainq, 0, &src->trouble);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !src->settled)
			src->was_missing = true;
		set_down(src, err);
		return;
	}

	if (!src->settled)
	{
		for (int i = 0; i < src->nsaved; i++)
			known = Max(known, src->saved[i].partition + 1);
	}
	if (n < known)
		partitions_lost(src, n, known);
	if (!src->failed && n > src->nparts)
		err = add_partitions(src, n);
	if (src->failed)
		return;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		set_down(src, err);
		return;
	}
	for (int p = 0; p < Min(n, src->nparts); p++)
	{
		if (!src->parts[p].started)
			start_partition(src, p);
	}
	set_up(src);
}

/* ---- reading ------------------------------------------------------------------- */

/* Something else than a message: a partition's end, or trouble with it. */
static void
take_event(KafkaSource *src, const rd_kafka_message_t *event)
{
	int			p = event->partition;
	KafkaPartition *part;

	if (p < 0 || p >= src->nparts)
	{
		src->next_look_ms = 0;
		return;
	}
	part = &src->parts[p];

	switch (event->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			pthread_mutex_lock(&src->lock);
			part->at_end = true;
			part->ours = false;
			if (event->offset > part->next_offset)
			{
				part->next_offset = event->offset;
				part->moved = true;
			}
			pthread_mutex_unlock(&src->lock);
			break;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
			if (part->started)
				offset_lost(src, p);
			break;
		default:
			src->trouble.err = event->err;
			strlcpy(src->trouble.text, rd_kafka_message_errstr(event),
					sizeof(src->trouble.text));
			set_down(src, event->err);
	}
}

static void
wake_brokers(KafkaSource *src)
{
	rd_kafka_topic_partition_list_t *list;

	list = rd_kafka_topic_partition_list_new(src->nparts);
	for (int p = 0; p < src->nparts; p++)
	{
		if (src->parts[p].started)
			rd_kafka_topic_partition_list_add(list, src->topic, p);
	}
	sx_kafka_wake(src->rk, list);
}

static bool
make_room(KafkaSource *src, int n)
{
	rd_kafka_message_t **held;
	int			max = Max(src->maxheld, 2 * CHUNK_MSGS);

	if (src->nheld + n <= src->maxheld)
		return true;
	while (max < src->nheld + n)
		max *= 2;
	held = realloc(src->held, max * sizeof(rd_kafka_message_t *));
	if (held == NULL)
		return false;
	src->held = held;
	src->maxheld = max;
	return true;
}

/*
 * Take up to max messages and events out of the queue, waiting timeout_ms for
 * the first; messages go to msgs[*nmsgs] on.  Returns how many came out.
 */
static int
take_chunk(KafkaSource *src, SxMessage *msgs, int max, int timeout_ms,
		   int *nmsgs, int64 *bytes)
{
	rd_kafka_message_t **chunk;
	int			first = *nmsgs;
	int			nkept = 0;
	int64		arrival_us;
	ssize_t		n;

	max = Min(max, CHUNK_MSGS);
	if (!make_room(src, max))
	{
		out_of_memory(src);
		return 0;
	}
	chunk = src->held + src->nheld;

	/* librdkafka waits until it has all: so wait for one only */
	n = rd_kafka_consume_batch_queue(src->queue, 0, chunk, max);
	if (n == 0 && timeout_ms > 0)
		n = rd_kafka_consume_batch_queue(src->queue, timeout_ms, chunk, 1);
	if (n <= 0)
		return 0;

	arrival_us = sx_kafka_now_us();
	pthread_mutex_lock(&src->lock);
	for (int i = 0; i < n; i++)
	{
		rd_kafka_message_t *msg = chunk[i];
		KafkaPartition *part;

		if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			/* in its place among the messages of its partition */
			if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			{
				pthread_mutex_unlock(&src->lock);
				take_event(src, msg);
				pthread_mutex_lock(&src->lock);
				rd_kafka_message_destroy(msg);
			}
			else
				chunk[nkept++] = msg;
			continue;
		}
		if (msg->partition < 0 || msg->partition >= src->nparts ||
			msg->offset < src->parts[msg->partition].next_offset)
		{
			rd_kafka_message_destroy(msg);
			continue;
		}
		if (!sx_kafka_message(msg, arrival_us,
							  src->wants_headers ? &src->headers : NULL,
							  &msgs[*nmsgs]))
		{
			/* nothing after it is delivered either; a seek reads it again */
			pthread_mutex_unlock(&src->lock);
			out_of_memory(src);
			for (; i < n; i++)
				rd_kafka_message_destroy(chunk[i]);
			pthread_mutex_lock(&src->lock);
			break;
		}
		part = &src->parts[msg->partition];
		part->next_offset = msg->offset + 1;
		part->at_end = false;
		part->ours = false;
		/* its messages tell where it stands */
		part->moved = false;
		*bytes += msg->len + msg->key_len;
		(*nmsgs)++;
		chunk[nkept++] = msg;
	}
	pthread_mutex_unlock(&src->lock);

	/* what is left in the chunk: messages to hold, and trouble to look at */
	for (int i = 0; i < nkept; i++)
	{
		if (chunk[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			src->held[src->nheld++] = chunk[i];
		else
		{
			take_event(src, chunk[i]);
			rd_kafka_message_destroy(chunk[i]);
		}
	}
	if (*nmsgs > first && src->conn == SX_CONN_DOWN)
		set_up(src);
	return n;
}

static int
collect_moved(KafkaSource *src, const SxPosition **moved)
{
	int			n = 0;

	if (src->maxmoved < src->nparts)
	{
		SxPosition *grown = realloc(src->moved, src->nparts * sizeof(SxPosition));

		if (grown == NULL)
		{
			out_of_memory(src);
			return 0;
		}
		src->moved = grown;
		src->maxmoved = src->nparts;
	}
	for (int p = 0; p < src->nparts; p++)
	{
		if (!src->parts[p].moved)
			continue;
		src->parts[p].moved = false;
		src->moved[n].partition = p;
		src->moved[n].next_offset = src->parts[p].next_offset;
		src->moved[n].watermark_us = PG_INT64_MIN;
		src->moved[n].snapshot = NULL;
		n++;
	}
	*moved = src->moved;
	return n;
}

static bool
any_moved(KafkaSource *src)
{
	for (int p = 0; p < src->nparts; p++)
	{
		if (src->parts[p].moved)
			return true;
	}
	return false;
}

static int
kafka_poll(SxSource *source, SxMessage *msgs, int max_msgs, int timeout_ms,
		   const SxPosition **moved, int *nmoved)
{
	KafkaSource *src = (KafkaSource *) source;
	int64		until_ms = clock_ms() + timeout_ms;
	int64		bytes = 0;
	int			n = 0;

	*moved = NULL;
	*nmoved = 0;

	/* trouble with a connection: see what it means for us */
	if (sx_kafka_drain(src->mainq, 0, &src->trouble) &&
		src->trouble.err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		src->conn == SX_CONN_UP)
		src->next_look_ms = Min(src->next_look_ms, clock_ms() + RETRY_MIN_MS);

	for (;;)
	{
		int64		now = clock_ms();
		int			wait_ms;
		int			came;

		if (src->failed)
		{
			/* offsets are lost: nothing comes any more, so sit it out */
			if (n == 0 && now < until_ms)
				sx_kafka_drain(src->mainq, until_ms - now, &src->trouble);
			break;
		}
		if (now >= src->next_look_ms)
		{
			look_at_topic(src);
			now = clock_ms();
		}
		if (any_moved(src))
			wait_ms = 0;
		else
			wait_ms = Max(Min(until_ms, src->next_look_ms) - now, 0);

		came = take_chunk(src, msgs, max_msgs - n, n > 0 ? 0 : wait_ms,
						  &n, &bytes);
		if (came < CHUNK_MSGS &&
			(n > 0 || any_moved(src) || clock_ms() >= until_ms))
			break;
		if (n >= max_msgs || bytes >= MAX_POLL_BYTES)
			break;
	}
	if (!src->failed && sx_kafka_waker_due(&src->waker, src->queue, bytes, n))
		wake_brokers(src);
	*nmoved = collect_moved(src, moved);
	return n;
}

static void
kafka_release(SxSource *source)
{
	KafkaSource *src = (KafkaSource *) source;

	for (int i = 0; i < src->nheld; i++)
		rd_kafka_message_destroy(src->held[i]);
	src->nheld = 0;
	sx_arena_reset(&src->headers);
}

static void
kafka_status(SxSource *source, SxSourceStatus *status)
{
	KafkaSource *src = (KafkaSource *) source;

	memset(status, 0, sizeof(*status));
	pthread_mutex_lock(&src->lock);
	status->conn = src->conn;
	strlcpy(status->sqlstate, src->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, src->error, sizeof(status->error));
	if (src->nparts > 0)
		status->partitions = malloc(src->nparts * sizeof(SxPartitionStatus));
	if (status->partitions != NULL)
	{
		status->npartitions = src->nparts;
		for (int p = 0; p < src->nparts; p++)
		{
			SxPartitionStatus *to = &status->partitions[p];

			to->partition = p;
			to->next_offset = src->parts[p].next_offset;
			to->at_end = src->parts[p].at_end;
		}
	}
	pthread_mutex_unlock(&src->lock);

	/* as of the last fetch */
	for (int p = 0; p < status->npartitions; p++)
	{
		SxPartitionStatus *to = &status->partitions[p];
		int64_t		low;
		int64_t		high;

		/* past the last readable message there may be open transactions */
		if (to->at_end)
			to->end_offset = to->next_offset;
		else if (rd_kafka_get_watermark_offsets(src->rk, src->topic, p, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
				 high >= 0)
			to->end_offset = Max(high, to->next_offset);
		else
			to->end_offset = -1;
	}
}

static int
kafka_wait_fd(SxSource *source)
{
	return -1;
}

static int
kafka_poll_interval_ms(SxSource *source)
{
	return 100;
}

/* ---- open, seek, close ------------------------------------------------------------ */

static void
kafka_close(SxSource *source)
{
	KafkaSource *src = (KafkaSource *) source;

	kafka_release(source);
	for (int p = 0; p < src->nparts; p++)
		stop_partition(src, p);
	if (src->queue != NULL)
		rd_kafka_queue_destroy(src->queue);
	if (src->rkt != NULL)
		rd_kafka_topic_destroy(src->rkt);
	if (src->mainq != NULL)
		rd_kafka_queue_destroy(src->mainq);
	if (src->rk != NULL)
		sx_kafka_destroy(src->rk, CLOSE_TIMEOUT_MS);
	pthread_mutex_destroy(&src->lock);
	sx_arena_free(&src->headers);
	free(src->topic);
	free(src->servers);
	free(src->stream_start);
	free(src->saved);
	free(src->found);
	free(src->parts);
	free(src->held);
	free(src->moved);
	free(src);
}

static char *
copy_option(const List *options, const char *name, const char *otherwise)
{
	const char *value = sx_option_get(options, name);

	return strdup(value != NULL ? value : otherwise);
}

static SxSource *
kafka_open(const SxStream *stream)
{
	KafkaSource *src = calloc(1, sizeof(KafkaSource));
	const char *on_data_loss;

	if (src == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	src->source.ops = &sx_source_kafka;
	pthread_mutex_init(&src->lock, NULL);

	PG_TRY();
	{
		rd_kafka_conf_t *conf;

		src->topic = copy_option(stream->table_options, "topic", "");
		src->servers = copy_option(stream->server_options, "bootstrap_servers", "");
		src->stream_start = strdup(stream->start != NULL ? stream->start : "earliest");
		if (src->topic == NULL || src->servers == NULL || src->stream_start == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		on_data_loss = sx_option_get(stream->table_options, "on_data_loss");
		src->continue_on_loss = on_data_loss != NULL &&
			strcmp(on_data_loss, "continue") == 0;
		src->wants_headers = stream->schema->wants_headers;

		conf = sx_kafka_conf(stream, SX_KAFKA_READER);
		src->rk = sx_kafka_new(stream, SX_KAFKA_READER, conf);
		sx_kafka_waker_init(&src->waker, src->rk);
		src->mainq = rd_kafka_queue_get_main(src->rk);
		src->rkt = rd_kafka_topic_new(src->rk, src->topic, NULL);
		if (src->rkt == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("cannot use topic \"%s\" of stream %s: %s",
							src->topic, stream->name,
							rd_kafka_err2str(rd_kafka_last_error())),
					 errhint("Correct the option topic of the stream.")));
		src->queue = rd_kafka_queue_new(src->rk);
	}
	PG_CATCH();
	{
		kafka_close(&src->source);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return &src->source;
}

static void
kafka_seek(SxSource *source, const SxPosition *positions, int npositions,
		   const char *start)
{
	KafkaSource *src = (KafkaSource *) source;
	SxPosition *saved = NULL;
	StartKind	kind;
	int64		start_us = 0;

	/* first what may ERROR */
	if (start == NULL)
		start = src->stream_start;
	if (strcmp(start, "earliest") == 0)
		kind = START_EARLIEST;
	else if (strcmp(start, "latest") == 0)
		kind = START_LATEST;
	else
	{
		kind = START_TIME;
		start_us = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
														   CStringGetDatum(start),
														   ObjectIdGetDatum(InvalidOid),
														   Int32GetDatum(-1)));
	}
	if (npositions > 0)
	{
		saved = malloc(npositions * sizeof(SxPosition));
		if (saved == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		memcpy(saved, positions, npositions * sizeof(SxPosition));
	}

	kafka_release(source);
	for (int p = 0; p < src->nparts; p++)
		stop_partition(src, p);

	/* a queue of its own, so that nothing of before is left in it */
	rd_kafka_queue_destroy(src->queue);
	src->queue = rd_kafka_queue_new(src->rk);

	pthread_mutex_lock(&src->lock);
	src->nparts = 0;
	src->note[0] = '\0';
	if (src->conn == SX_CONN_FAILED)
	{
		src->conn = SX_CONN_CONNECTING;
		src->sqlstate[0] = src->error[0] = '\0';
	}
	pthread_mutex_unlock(&src->lock);

	free(src->saved);
	src->saved = saved;
	src->nsaved = npositions;
	src->start = kind;
	src->start_us = start_us;
	src->settled = false;
	src->failed = false;
	src->waker.was_full = false;
	src->next_look_ms = 0;
}

const SxSourceOps sx_source_kafka = {
	.kind = "kafka",
	.threaded = true,
	.replayable = true,
	.open = kafka_open,
	.seek = kafka_seek,
	.poll = kafka_poll,
	.release = kafka_release,
	.status = kafka_status,
	.wait_fd = kafka_wait_fd,
	.poll_interval_ms = kafka_poll_interval_ms,
	.close = kafka_close,
};
