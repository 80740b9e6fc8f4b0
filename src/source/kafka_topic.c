/*-------------------------------------------------------------------------
 * kafka_topic.c
 *		What a Kafka source knows of its topic: whether it is there, which
 *		partitions it has, where they start, which offsets are lost.
 *
 * Runs in the polling thread: no PostgreSQL function.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "base/stop.h"
#include "source/kafka_source.h"

#define RETRY_MAX_MS		2000

/* unknown for less, it is a broker that does not know yet */
#define DELETED_LOOKS		3
#define DELETED_MS			2000

int64
sx_kafka_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- state ---------------------------------------------------------------- */

void
sx_kafka_source_state(SxKafkaSource *src, SxConnState conn, const char *sqlstate,
					  const char *fmt,...)
{
	char		error[SX_ERROR_LEN];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(error, sizeof(error), fmt, args);
	va_end(args);
	if (src->conn != conn || strcmp(src->error, error) != 0)
		src->source.changes++;
	pthread_mutex_lock(&src->lock);
	src->conn = conn;
	strlcpy(src->sqlstate, sqlstate, sizeof(src->sqlstate));
	strlcpy(src->error, error, sizeof(src->error));
	pthread_mutex_unlock(&src->lock);
	if (conn == SX_CONN_FAILED)
		src->failed = true;
}

void
sx_kafka_source_up(SxKafkaSource *src)
{
	if (src->conn != SX_CONN_UP || strcmp(src->error, src->note) != 0)
		src->source.changes++;
	pthread_mutex_lock(&src->lock);
	src->conn = SX_CONN_UP;
	strlcpy(src->sqlstate, src->note[0] != '\0' ? "01000" : "",
			sizeof(src->sqlstate));
	strlcpy(src->error, src->note, sizeof(src->error));
	pthread_mutex_unlock(&src->lock);
	memset(&src->trouble, 0, sizeof(src->trouble));
	sx_kafka_shared_answered(src->shared);
	src->retry_ms = 0;
}

/* The broker does not answer, or not as it should; look again soon. */
void
sx_kafka_source_down(SxKafkaSource *src, rd_kafka_resp_err_t err)
{
	bool		generic = err == RD_KAFKA_RESP_ERR__TRANSPORT ||
	err == RD_KAFKA_RESP_ERR__TIMED_OUT ||
	err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;

	switch (err)
	{
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
			sx_kafka_source_state(src, SX_CONN_DOWN, sx_kafka_sqlstate(err),
								  "topic \"%s\" does not exist on \"%s\"",
								  src->topic, src->servers);
			break;
		default:
			/* what librdkafka said before tells more than "timed out" */
			if (generic && src->trouble.text[0] != '\0')
				sx_kafka_source_state(src, SX_CONN_DOWN, sx_kafka_sqlstate(src->trouble.err),
									  "%s", src->trouble.text);
			else
				sx_kafka_source_state(src, SX_CONN_DOWN, sx_kafka_sqlstate(err),
									  "no answer from \"%s\": %s", src->servers,
									  rd_kafka_err2str(err));
	}
	__atomic_store_n(&src->watched.npartitions, -1, __ATOMIC_RELEASE);
	src->retry_ms = Min(Max(src->retry_ms * 2, SX_KAFKA_RETRY_MIN_MS), RETRY_MAX_MS);
	src->next_look_ms = sx_kafka_clock_ms() + src->retry_ms;
}

void
sx_kafka_source_oom(SxKafkaSource *src)
{
	sx_kafka_source_state(src, SX_CONN_FAILED, "53200", "out of memory");
}

/* ---- where partitions start ------------------------------------------------- */

static const SxPosition *
saved_position(SxKafkaSource *src, int partition)
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
ask_offsets(SxKafkaSource *src, const bool *wanted, int64 *offsets, int n,
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
ask_starts(SxKafkaSource *src, bool *wanted, int64 *offsets, int n)
{
	rd_kafka_resp_err_t err;

	err = ask_offsets(src, wanted, offsets, n, sx_kafka_shared_timeout_ms(src->shared));
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	for (int p = 0; p < n; p++)
	{
		wanted[p] = wanted[p] && offsets[p] < 0;
		if (wanted[p])
			offsets[p] = RD_KAFKA_OFFSET_END;
	}
	return ask_offsets(src, wanted, offsets, n, sx_kafka_shared_timeout_ms(src->shared));
}

/*
 * Remember what "start" was found to mean for the partitions from first to n,
 * for seeks that name no position.
 */
static void
remember_found(SxKafkaSource *src, const int64 *offsets, int first, int n)
{
	int64	   *found;

	if (src->nsaved > 0 || n == 0 || (first > 0 && first != src->nfound))
		return;
	found = realloc(src->found, n * sizeof(int64));
	if (found == NULL)
		return;
	memcpy(found + first, offsets + first, (n - first) * sizeof(int64));
	src->found = found;
	src->nfound = n;
	src->found_start = src->start;
	src->found_start_us = src->start_us;
}

static void
start_partition(SxKafkaSource *src, int p)
{
	if (!sx_kafka_source_reads(src, p))
		return;
	SX_STOP_THREAD("attach_partition", src->topic);
	if (rd_kafka_consume_start_queue(src->rkt, p, src->parts[p].next_offset,
									 src->queue) == 0)
		src->parts[p].started = true;
	else
		sx_kafka_source_down(src, rd_kafka_last_error());
}

void
sx_kafka_source_stop_partition(SxKafkaSource *src, int p)
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
add_partitions(SxKafkaSource *src, int n)
{
	int			first = src->nparts;
	bool	   *wanted = calloc(n, sizeof(bool));
	int64	   *offsets = calloc(n, sizeof(int64));
	SxKafkaSourcePart *parts;
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
				if (src->start == SX_KAFKA_START_LATEST && !src->was_missing)
					offsets[p] = RD_KAFKA_OFFSET_END;
				else if (src->start == SX_KAFKA_START_TIME)
					offsets[p] = sx_kafka_time_to_ms(src->start_us);
			}
		}
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_starts(src, wanted, offsets, n);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		pthread_mutex_lock(&src->lock);
		parts = realloc(src->parts, n * sizeof(SxKafkaSourcePart));
		if (parts == NULL)
			err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
		else
		{
			src->parts = parts;
			memset(&parts[first], 0, (n - first) * sizeof(SxKafkaSourcePart));
			for (int p = first; p < n; p++)
			{
				const SxPosition *saved = saved_position(src, p);

				parts[p].next_offset = offsets[p];
				parts[p].moved = parts[p].ours = sx_kafka_source_reads(src, p) &&
					(saved == NULL || saved->next_offset != offsets[p] || src->anew);
			}
			src->nparts = n;
		}
		pthread_mutex_unlock(&src->lock);
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		remember_found(src, offsets, first, n);
		src->settled = true;
		for (int p = first; p < n; p++)
			start_partition(src, p);
	}
	free(wanted);
	free(offsets);
	if (err == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
		sx_kafka_source_oom(src);
	return err;
}

/* ---- lost offsets ------------------------------------------------------------- */

void
sx_kafka_source_gone(SxKafkaSource *src, int p)
{
	src->gone = src->tells_gone = true;
	src->tells_saved = p < 0;
	for (int i = 0; i < src->nparts; i++)
	{
		sx_kafka_source_stop_partition(src, i);
		src->parts[i].gone = p < 0 || i == p;
	}
	for (int i = 0; p < 0 && i < src->nsaved; i++)
		src->saved[i].gone = true;

	/* nor is what it was to begin with */
	src->nfound = 0;
}

static bool
is_deleted(const SxKafkaSource *src)
{
	return src->unknown_looks >= DELETED_LOOKS &&
		sx_kafka_clock_ms() - src->unknown_ms >= DELETED_MS;
}

/*
 * A topic that was read is unknown.  Of one that comes next by this name
 * nothing is to be fetched at our offsets.
 */
static void
topic_is_missing(SxKafkaSource *src)
{
	if (src->unknown_looks++ == 0)
		src->unknown_ms = sx_kafka_clock_ms();
	if (!src->settled || !is_deleted(src))
		return;
	sx_kafka_source_gone(src, -1);
}

/*
 * There is a topic, and what was saved is not of it.  Its offsets are new ones,
 * also where they reach beyond those that were read.  False: it is not read.
 */
static bool
begin_anew(SxKafkaSource *src)
{
	const SxPosition *kept = NULL;
	const SxPosition *gone = NULL;

	for (int i = 0; i < src->nsaved; i++)
	{
		if (src->saved[i].gone)
			gone = &src->saved[i];
		else
			kept = &src->saved[i];
	}
	if (gone && !src->stream->continue_on_loss)
	{
		if (kept)
			sx_kafka_source_state(src, SX_CONN_FAILED, "55000",
								  "partition %d of topic \"%s\" has not what was read of it, up to offset " INT64_FORMAT ": it was created anew; set on_data_loss to continue, or rebuild the views from earliest",
								  gone->partition, src->topic, gone->next_offset - 1);
		else
			sx_kafka_source_state(src, SX_CONN_FAILED, "55000",
								  "topic \"%s\" was deleted and created anew; set on_data_loss to continue, rebuild the views from earliest, or resume them if it is the same",
								  src->topic);
		return false;
	}
	for (int i = 0; i < src->nsaved; i++)
	{
		if (src->saved[i].gone)
			src->saved[i].next_offset = 0;
		src->saved[i].gone = false;
	}
	if (gone && kept)
		snprintf(src->note, sizeof(src->note),
				 "partition %d of topic \"%s\" was created anew: it is read from its beginning",
				 gone->partition, src->topic);
	else if (gone)
		snprintf(src->note, sizeof(src->note),
				 "topic \"%s\" was deleted and created anew: it is read from its beginning",
				 src->topic);
	return true;
}

/* The offset that we asked for is not there. */
void
sx_kafka_source_offset_lost(SxKafkaSource *src, int p)
{
	SxKafkaSourcePart *part = &src->parts[p];
	bool	   *wanted = calloc(src->nparts, sizeof(bool));
	int64	   *low = calloc(src->nparts, sizeof(int64));
	int64	   *end = calloc(src->nparts, sizeof(int64));
	rd_kafka_resp_err_t err;
	bool		restart = false;

	sx_kafka_source_stop_partition(src, p);
	if (wanted == NULL || low == NULL || end == NULL)
	{
		free(wanted);
		free(low);
		free(end);
		sx_kafka_source_oom(src);
		return;
	}

	wanted[p] = true;
	low[p] = RD_KAFKA_OFFSET_BEGINNING;
	end[p] = RD_KAFKA_OFFSET_END;
	err = ask_offsets(src, wanted, low, src->nparts, sx_kafka_shared_timeout_ms(src->shared));
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = ask_offsets(src, wanted, end, src->nparts, sx_kafka_shared_timeout_ms(src->shared));

	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		sx_kafka_source_down(src, err); /* the next look starts it where it
										 * was */
	else if (part->next_offset >= low[p] && part->next_offset <= end[p])
		restart = true;			/* a moment between two leaders */
	else if (src->stream->continue_on_loss || part->ours)
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
		sx_kafka_source_up(src);
	}
	else if (part->next_offset < low[p])
		sx_kafka_source_state(src, SX_CONN_FAILED, "55000",
							  "offsets " INT64_FORMAT " to " INT64_FORMAT " of partition %d of topic \"%s\" are no longer on the broker; rebuild the views, or set on_data_loss to continue",
							  part->next_offset, low[p] - 1, p, src->topic);
	else
		sx_kafka_source_gone(src, p);
	if (restart)
		start_partition(src, p);
	free(wanted);
	free(low);
	free(end);
}

/* ---- looking at the topic ------------------------------------------------------ */

/* Does the broker answer, does the topic exist, which partitions has it? */
void
sx_kafka_source_look(SxKafkaSource *src)
{
	rd_kafka_resp_err_t err;
	int			n = 0;
	int			known = src->nparts;

	/* when all is well, the client watches */
	src->next_look_ms = SX_KAFKA_NEVER_MS;
	if (!sx_kafka_shared_partitions(src->shared, src->rkt, !src->settled,
									sx_kafka_shared_timeout_ms(src->shared), &err, &n))
	{
		src->next_look_ms = sx_kafka_clock_ms() + SX_KAFKA_RETRY_MIN_MS;
		return;
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && n == 0)
		err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	sx_kafka_shared_trouble(src->shared, &src->troubles_seen, &src->trouble);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !src->settled)
			src->was_missing = true;
		if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
			(src->settled || src->nsaved > 0) && !src->anew)
			topic_is_missing(src);
		sx_kafka_source_down(src, err);
		return;
	}
	for (int i = 0; i < src->nsaved && !src->settled; i++)
	{
		if (src->saved[i].next_offset > 0)
			known = Max(known, src->saved[i].partition + 1);
	}
	if (!src->anew && (is_deleted(src) || n < known))
	{
		/* no topic ever has fewer partitions than before */
		sx_kafka_source_gone(src, -1);
		return;
	}
	src->unknown_looks = 0;
	if (src->anew && !begin_anew(src))
		return;
	if (n > src->nparts)
		err = add_partitions(src, n);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && src->anew)
	{
		src->tells_saved = true;
		src->anew = false;
	}
	if (src->failed)
		return;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		sx_kafka_source_down(src, err);
		return;
	}
	for (int p = 0; p < Min(n, src->nparts); p++)
	{
		if (!src->parts[p].started)
			start_partition(src, p);
	}
	if (src->next_look_ms == SX_KAFKA_NEVER_MS)
		__atomic_store_n(&src->watched.npartitions, src->nparts, __ATOMIC_RELEASE);
	sx_kafka_source_up(src);
}
