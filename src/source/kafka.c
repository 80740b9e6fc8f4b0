/*-------------------------------------------------------------------------
 * kafka.c
 *		A Kafka topic as a source: own assigned partitions, own offsets.
 *
 * No consumer group: each partition is started at the offset that progress
 * names and read in one queue of librdkafka, whose own threads fetch and
 * decompress.  poll, release and status call no PostgreSQL function.  States
 * and the lock: kafka_source.h.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "source/kafka_source.h"

extern const SxSourceOps sx_source_kafka;

#define CHUNK_MSGS			1024
#define MAX_POLL_BYTES		(32 * 1024 * 1024)
#define CLOSE_TIMEOUT_MS	5000

/* busy: so many polls bring messages within this time */
#define BUSY_POLLS			50
#define BUSY_MS				10000

/* quiet: nothing came for this long */
#define QUIET_MS			10000

/* ---- reading ------------------------------------------------------------------- */

/* Something else than a message: a partition's end, or trouble with it. */
static void
take_event(SxKafkaSource *src, const rd_kafka_message_t *event)
{
	int			p = event->partition;
	SxKafkaSourcePart *part;

	if (p < 0 || p >= src->nparts)
	{
		src->next_look_ms = 0;
		return;
	}
	part = &src->parts[p];

	switch (event->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			if (!part->at_end)
				src->source.changes++;
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
				sx_kafka_source_offset_lost(src, p);
			break;
		default:
			src->trouble.err = event->err;
			strlcpy(src->trouble.text, rd_kafka_message_errstr(event),
					sizeof(src->trouble.text));
			sx_kafka_source_down(src, event->err);
	}
}

/* Is there something to be done before waiting? */
static bool
is_called(SxKafkaSource *src)
{
	return __atomic_load_n(&src->woken, __ATOMIC_ACQUIRE) ||
		__atomic_load_n(&src->watched.news, __ATOMIC_ACQUIRE) != 0;
}

/* What the client's watching thread has to say. */
static void
take_news(SxKafkaSource *src)
{
	int			news = __atomic_exchange_n(&src->watched.news, 0, __ATOMIC_ACQ_REL);

	if (news & SX_KAFKA_NEWS_TOPIC)
		src->next_look_ms = 0;

	/* trouble with a connection: see what it means for us */
	if ((news & SX_KAFKA_NEWS_TROUBLE) != 0 &&
		sx_kafka_shared_trouble(src->shared, &src->troubles_seen, &src->trouble) &&
		src->trouble.err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		src->conn == SX_CONN_UP)
		src->next_look_ms = Min(src->next_look_ms, sx_kafka_clock_ms() + SX_KAFKA_RETRY_MIN_MS);
}

/* The source should have a client of another kind; a seek brings it there. */
static void
want_to_move(SxKafkaSource *src, SxKafkaPace pace)
{
	if (src->pace == pace || sx_kafka_shared_suits(src->shared, pace))
		return;
	src->pace = pace;
	src->source.changes++;
	__atomic_store_n(&src->source.wants_seek, true, __ATOMIC_RELEASE);
}

/* A poll has brought messages. */
static void
note_messages(SxKafkaSource *src)
{
	src->last_ms = sx_kafka_clock_ms();
	if (src->last_ms - src->polls_since_ms > BUSY_MS)
	{
		src->polls_since_ms = src->last_ms;
		src->polls = 0;
	}
	if (++src->polls >= BUSY_POLLS)
		want_to_move(src, SX_KAFKA_BUSY);
}

/* When to see whether nothing has come for long. */
static int64
quiet_ms(SxKafkaSource *src)
{
	return sx_kafka_shared_suits(src->shared, SX_KAFKA_QUIET) || src->pace == SX_KAFKA_QUIET ?
		SX_KAFKA_NEVER_MS : src->last_ms + QUIET_MS;
}

/* Nothing has come for long: is that because there is nothing? */
static void
note_quiet(SxKafkaSource *src)
{
	bool		quiet = src->conn == SX_CONN_UP && src->settled;

	for (int p = 0; p < src->nparts; p++)
		quiet &= src->parts[p].at_end;
	if (quiet)
		want_to_move(src, SX_KAFKA_QUIET);
	else
		src->last_ms = sx_kafka_clock_ms();
}

static void
wake_brokers(SxKafkaSource *src)
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
make_room(SxKafkaSource *src, int n)
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
take_chunk(SxKafkaSource *src, SxMessage *msgs, int max, int timeout_ms,
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
		sx_kafka_source_oom(src);
		return 0;
	}
	chunk = src->held + src->nheld;

	/*
	 * librdkafka waits until it has all: so wait for one only.  The first try
	 * may have taken the call that would end the wait.
	 */
	n = rd_kafka_consume_batch_queue(src->queue, 0, chunk, max);
	if (n == 0 && timeout_ms > 0 && !is_called(src))
		n = rd_kafka_consume_batch_queue(src->queue, timeout_ms, chunk, 1);
	if (n <= 0)
		return 0;

	arrival_us = sx_kafka_now_us();
	pthread_mutex_lock(&src->lock);
	for (int i = 0; i < n; i++)
	{
		rd_kafka_message_t *msg = chunk[i];
		SxKafkaSourcePart *part;

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
			sx_kafka_source_oom(src);
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
		sx_kafka_source_up(src);
	return n;
}

static int
collect_moved(SxKafkaSource *src, const SxPosition **moved)
{
	int			n = 0;
	int			max = src->nparts + (src->tells_saved ? src->nsaved : 0);

	if (src->maxmoved < max)
	{
		SxPosition *grown = realloc(src->moved, max * sizeof(SxPosition));

		if (grown == NULL)
		{
			sx_kafka_source_oom(src);
			return 0;
		}
		src->moved = grown;
		src->maxmoved = max;
	}
	for (int p = 0; p < src->nparts; p++)
	{
		bool		gone = src->tells_gone && src->parts[p].gone;

		if (!src->parts[p].moved && !gone)
			continue;
		src->parts[p].moved = false;
		src->moved[n].partition = p;
		src->moved[n].next_offset = src->parts[p].next_offset;
		src->moved[n].watermark_us = PG_INT64_MIN;
		src->moved[n].snapshot = NULL;
		src->moved[n].gone = gone;
		n++;
	}
	for (int i = 0; src->tells_saved && i < src->nsaved; i++)
	{
		if (src->saved[i].partition >= src->nparts &&
			(src->tells_gone || sx_kafka_source_reads(src, src->saved[i].partition)))
			src->moved[n++] = src->saved[i];
	}
	src->tells_gone = src->tells_saved = false;
	*moved = src->moved;
	return n;
}

static bool
any_moved(SxKafkaSource *src)
{
	for (int p = 0; p < src->nparts; p++)
	{
		if (src->parts[p].moved)
			return true;
	}
	return src->tells_gone || src->tells_saved;
}

/* Wait; what comes meanwhile is of no use. */
static void
throw_away(SxKafkaSource *src, int timeout_ms)
{
	rd_kafka_message_t *msgs[64];
	ssize_t		n = rd_kafka_consume_batch_queue(src->queue, timeout_ms, msgs, lengthof(msgs));

	for (ssize_t i = 0; i < n; i++)
		rd_kafka_message_destroy(msgs[i]);
}

static int
kafka_poll(SxSource *source, SxMessage *msgs, int max_msgs, int timeout_ms,
		   const SxPosition **moved, int *nmoved)
{
	SxKafkaSource *src = (SxKafkaSource *) source;
	int64		until_ms = sx_kafka_clock_ms() + timeout_ms;
	uint32		changes = src->source.changes;
	int64		bytes = 0;
	int			n = 0;

	*moved = NULL;
	*nmoved = 0;
	for (;;)
	{
		int64		now = sx_kafka_clock_ms();
		int			wait_ms;
		int			came;

		take_news(src);
		if (src->failed || src->gone)
		{
			/* offsets are lost: nothing comes any more, so sit it out */
			if (n == 0 && !any_moved(src) && now < until_ms && src->source.changes == changes &&
				!__atomic_load_n(&src->woken, __ATOMIC_ACQUIRE))
				throw_away(src, until_ms - now);
			break;
		}
		if (now >= src->next_look_ms)
		{
			sx_kafka_source_look(src);
			now = sx_kafka_clock_ms();
		}
		if (now >= quiet_ms(src))
			note_quiet(src);
		if (any_moved(src) || src->source.changes != changes)
			wait_ms = 0;
		else
			wait_ms = Max(Min(Min(until_ms, src->next_look_ms), quiet_ms(src)) - now, 0);

		came = take_chunk(src, msgs, max_msgs - n, n > 0 ? 0 : wait_ms,
						  &n, &bytes);
		if (came < CHUNK_MSGS &&
			(n > 0 || any_moved(src) || sx_kafka_clock_ms() >= until_ms ||
			 src->source.changes != changes ||
			 __atomic_load_n(&src->woken, __ATOMIC_ACQUIRE)))
			break;
		if (n >= max_msgs || bytes >= MAX_POLL_BYTES)
			break;
	}
	if (n > 0)
		note_messages(src);
	if (!src->failed && !src->gone && sx_kafka_waker_due(&src->waker, src->queue, bytes, n))
		wake_brokers(src);
	*nmoved = collect_moved(src, moved);
	return n;
}

static void
kafka_wake(SxSource *source)
{
	SxKafkaSource *src = (SxKafkaSource *) source;

	__atomic_store_n(&src->woken, true, __ATOMIC_RELEASE);
	rd_kafka_queue_yield(src->queue);
}

static void
kafka_release(SxSource *source)
{
	SxKafkaSource *src = (SxKafkaSource *) source;

	for (int i = 0; i < src->nheld; i++)
		rd_kafka_message_destroy(src->held[i]);
	src->nheld = 0;
	sx_arena_reset(&src->headers);
}

static void
kafka_status(SxSource *source, SxSourceStatus *status)
{
	SxKafkaSource *src = (SxKafkaSource *) source;

	memset(status, 0, sizeof(*status));
	pthread_mutex_lock(&src->lock);
	status->conn = src->conn;
	strlcpy(status->sqlstate, src->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, src->error, sizeof(status->error));
	if (src->nparts > 0)
		status->partitions = malloc(src->nparts * sizeof(SxPartitionStatus));
	if (status->partitions != NULL)
	{
		for (int p = 0; p < src->nparts; p++)
		{
			SxPartitionStatus *to;

			if (!sx_kafka_source_reads(src, p))
				continue;
			to = &status->partitions[status->npartitions++];
			to->partition = p;
			to->next_offset = src->parts[p].next_offset;
			to->at_end = src->parts[p].at_end;
		}
	}
	pthread_mutex_unlock(&src->lock);

	/* as of the last fetch */
	for (int i = 0; i < status->npartitions; i++)
	{
		SxPartitionStatus *to = &status->partitions[i];
		int64_t		low;
		int64_t		high;

		/* past the last readable message there may be open transactions */
		if (to->at_end)
			to->end_offset = to->next_offset;
		else if (rd_kafka_get_watermark_offsets(src->rk, src->topic, to->partition, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
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
	SxKafkaSource *src = (SxKafkaSource *) source;

	kafka_release(source);
	if (src->is_watched)
		sx_kafka_unwatch(src->shared, &src->watched);
	for (int p = 0; p < src->nparts; p++)
		sx_kafka_source_stop_partition(src, p);
	if (src->queue != NULL)
		rd_kafka_queue_destroy(src->queue);
	if (src->rkt != NULL)
		rd_kafka_topic_destroy(src->rkt);
	if (src->shared != NULL)
		sx_kafka_unshare(src->shared, src->topic, CLOSE_TIMEOUT_MS);
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

static rd_kafka_topic_t *
new_topic(SxKafkaSource *src, SxKafkaShared *shared)
{
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(sx_kafka_shared_handle(shared), src->topic, NULL);

	if (rkt == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("cannot use topic \"%s\" of stream %s: %s",
						src->topic, src->stream->name,
						rd_kafka_err2str(rd_kafka_last_error())),
				 errhint("Correct the option topic of the stream.")));
	return rkt;
}

static void
use_client(SxKafkaSource *src, SxKafkaShared *shared, rd_kafka_topic_t *rkt)
{
	src->shared = shared;
	src->rk = sx_kafka_shared_handle(shared);
	src->rkt = rkt;
	sx_kafka_waker_init(&src->waker, src->rk);
	src->troubles_seen = 0;
}

/* A client for what the source has to do; on ERROR "saved" is freed. */
static SxKafkaShared *
find_other(SxKafkaSource *src, SxKafkaPace pace, SxPosition *saved, rd_kafka_topic_t **rkt)
{
	SxKafkaShared *volatile other = NULL;

	PG_TRY();
	{
		other = sx_kafka_share(src->stream, src->topic, pace);
		*rkt = new_topic(src, other);
	}
	PG_CATCH();
	{
		if (other != NULL)
			sx_kafka_unshare(other, src->topic, 0);
		free(saved);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return other;
}

/*
 * To that client, from the one it has; the source has stopped its partitions
 * and has no queue.
 */
static void
move(SxKafkaSource *src, SxKafkaShared *shared, rd_kafka_topic_t *rkt)
{
	rd_kafka_topic_destroy(src->rkt);
	sx_kafka_unshare(src->shared, src->topic, 0);
	use_client(src, shared, rkt);
}

static SxSource *
kafka_open(const SxStream *stream)
{
	SxKafkaSource *src = calloc(1, sizeof(SxKafkaSource));

	if (src == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	src->source.ops = &sx_source_kafka;
	src->nshares = 1;
	pthread_mutex_init(&src->lock, NULL);

	PG_TRY();
	{
		src->topic = copy_option(stream->table_options, "topic", "");
		src->servers = copy_option(stream->server_options, "bootstrap_servers", "");
		src->stream_start = strdup(stream->start != NULL ? stream->start : "earliest");
		if (src->topic == NULL || src->servers == NULL || src->stream_start == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		src->wants_headers = stream->schema->wants_headers;

		src->stream = stream;
		src->shared = sx_kafka_share(stream, src->topic, SX_KAFKA_NEW);
		use_client(src, src->shared, new_topic(src, src->shared));
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
	SxKafkaSource *src = (SxKafkaSource *) source;
	SxPosition *saved = NULL;
	SxKafkaStart kind;
	int64		start_us = 0;
	SxKafkaPace pace = src->pace;
	SxKafkaShared *other = NULL;
	rd_kafka_topic_t *other_rkt = NULL;

	/* if it cannot move, it stays */
	src->pace = SX_KAFKA_NEW;
	__atomic_store_n(&source->wants_seek, false, __ATOMIC_RELEASE);

	/* first what may ERROR */
	if (start == NULL)
		start = src->stream_start;
	if (strcmp(start, "earliest") == 0)
		kind = SX_KAFKA_START_EARLIEST;
	else if (strcmp(start, "latest") == 0)
		kind = SX_KAFKA_START_LATEST;
	else
	{
		kind = SX_KAFKA_START_TIME;
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
	if (pace != SX_KAFKA_NEW)
		other = find_other(src, pace, saved, &other_rkt);

	kafka_release(source);
	if (src->is_watched)
		sx_kafka_unwatch(src->shared, &src->watched);
	for (int p = 0; p < src->nparts; p++)
		sx_kafka_source_stop_partition(src, p);

	/* a queue of its own, so that nothing of before is left in it */
	rd_kafka_queue_destroy(src->queue);
	if (other != NULL)
		move(src, other, other_rkt);
	src->queue = rd_kafka_queue_new(src->rk);
	src->last_ms = sx_kafka_clock_ms();
	src->polls = 0;
	src->watched.topic = src->topic;
	src->watched.queue = src->queue;
	sx_kafka_watch(src->shared, &src->watched);
	src->is_watched = true;

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
	src->unknown_looks = 0;
	src->failed = src->gone = src->tells_gone = src->tells_saved = false;
	src->anew = sx_positions_gone(saved, npositions);
	src->waker.was_full = false;
	src->woken = false;
	src->next_look_ms = 0;
}

static void
kafka_share(SxSource *source, int index, int count)
{
	SxKafkaSource *src = (SxKafkaSource *) source;

	src->share = index;
	src->nshares = count;
}

const SxSourceOps sx_source_kafka = {
	.kind = "kafka",
	.threaded = true,
	.replayable = true,
	.open = kafka_open,
	.seek = kafka_seek,
	.share = kafka_share,
	.poll = kafka_poll,
	.wake = kafka_wake,
	.release = kafka_release,
	.status = kafka_status,
	.wait_fd = kafka_wait_fd,
	.poll_interval_ms = kafka_poll_interval_ms,
	.close = kafka_close,
};
