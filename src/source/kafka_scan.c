/*-------------------------------------------------------------------------
 * kafka_scan.c
 *		A topic as a bounded table: ranges of offsets, read to their ends.
 *
 * A range has ended when a message at or past its end comes, or when the
 * broker says that the partition's end is reached: ranges never reach past
 * what was there before.  So transaction markers, compacted and expired
 * messages before the end do not matter; nothing is counted.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "base/handle.h"
#include "base/wait_event.h"
#include "source/kafka_scan.h"

#define CHUNK_MSGS		1024
#define MAX_HELD_BYTES	(32 * 1024 * 1024)

typedef struct ScanPartition
{
	int32		partition;
	int64		next_offset;
	int64		to_offset;
	bool		started;
} ScanPartition;

struct SxKafkaScan
{
	SxHandle   *handle;
	MemoryContext cxt;
	SxKafkaClient *client;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *queue;
	rd_kafka_queue_t *mainq;
	int			pipe[2];		/* readable when the queue may have something */
	bool		wants_headers;
	int			nreading;		/* partitions that have not ended */
	int			nparts;
	ScanPartition *parts;
	rd_kafka_message_t **held;
	int			nheld;
	int			maxheld;
	SxArena		headers;
	SxKafkaTrouble trouble;
	SxKafkaWaker waker;
};

static void
stop_part(SxKafkaScan *scan, ScanPartition *part)
{
	if (part->started)
	{
		rd_kafka_consume_stop(scan->rkt, part->partition);
		part->started = false;
		scan->nreading--;
	}
}

static void
release_held(SxKafkaScan *scan)
{
	for (int i = 0; i < scan->nheld; i++)
		rd_kafka_message_destroy(scan->held[i]);
	scan->nheld = 0;
	sx_arena_reset(&scan->headers);
}

static void
destroy_scan(void *object)
{
	SxKafkaScan *scan = object;

	release_held(scan);
	for (int i = 0; i < scan->nparts; i++)
		stop_part(scan, &scan->parts[i]);
	if (scan->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(scan->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(scan->queue);
	}
	if (scan->mainq != NULL)
		rd_kafka_queue_destroy(scan->mainq);
	if (scan->rkt != NULL)
		rd_kafka_topic_destroy(scan->rkt);
	for (int i = 0; i < 2; i++)
	{
		if (scan->pipe[i] >= 0)
			close(scan->pipe[i]);
	}
	sx_arena_free(&scan->headers);
}

static int
compare_parts(const void *a, const void *b)
{
	int32		x = ((const ScanPartition *) a)->partition;
	int32		y = ((const ScanPartition *) b)->partition;

	return x < y ? -1 : x > y;
}

SxKafkaScan *
sx_kafka_scan_open(SxKafkaClient *client, const SxKafkaRange *ranges,
				   int nranges, bool wants_headers)
{
	SxKafkaScan *scan = palloc0(sizeof(SxKafkaScan));
	rd_kafka_t *rk = sx_kafka_client_handle(client);

	scan->cxt = CurrentMemoryContext;
	scan->client = client;
	scan->wants_headers = wants_headers;
	scan->parts = palloc0(Max(nranges, 1) * sizeof(ScanPartition));
	scan->maxheld = 0;
	scan->pipe[0] = scan->pipe[1] = -1;
	scan->handle = sx_handle_create(destroy_scan);
	scan->handle->object = scan;

	if (pipe(scan->pipe) != 0 ||
		fcntl(scan->pipe[0], F_SETFL, O_NONBLOCK) != 0 ||
		fcntl(scan->pipe[1], F_SETFL, O_NONBLOCK) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not make a pipe: %m")));

	scan->mainq = rd_kafka_queue_get_main(rk);
	scan->queue = rd_kafka_queue_new(rk);
	sx_kafka_waker_init(&scan->waker, rk);
	rd_kafka_queue_io_event_enable(scan->queue, scan->pipe[1], "1", 1);
	scan->rkt = rd_kafka_topic_new(rk, sx_kafka_client_topic(client), NULL);
	if (scan->rkt == NULL)
		sx_kafka_client_error(client, rd_kafka_last_error(), NULL);

	for (int i = 0; i < nranges; i++)
	{
		ScanPartition *part;

		if (ranges[i].from_offset >= ranges[i].to_offset)
			continue;
		part = &scan->parts[scan->nparts++];
		part->partition = ranges[i].partition;
		part->next_offset = Max(ranges[i].from_offset, 0);
		part->to_offset = ranges[i].to_offset;
	}
	qsort(scan->parts, scan->nparts, sizeof(ScanPartition), compare_parts);
	for (int i = 0; i < scan->nparts; i++)
	{
		ScanPartition *part = &scan->parts[i];

		if (rd_kafka_consume_start_queue(scan->rkt, part->partition,
										 part->next_offset, scan->queue) != 0)
			sx_kafka_client_error(client, rd_kafka_last_error(), NULL);
		part->started = true;
		scan->nreading++;
	}
	return scan;
}

static ScanPartition *
find_part(SxKafkaScan *scan, int32 partition)
{
	ScanPartition key;

	/* most topics have partitions 0 .. n-1, all of them read */
	if (partition >= 0 && partition < scan->nparts &&
		scan->parts[partition].partition == partition)
		return &scan->parts[partition];
	key.partition = partition;
	return bsearch(&key, scan->parts, scan->nparts, sizeof(ScanPartition),
				   compare_parts);
}

void
sx_kafka_scan_stop_partition(SxKafkaScan *scan, int32 partition)
{
	ScanPartition *part = find_part(scan, partition);

	if (part != NULL)
		stop_part(scan, part);
}

/* An end of a partition, or trouble with it. */
static void
take_event(SxKafkaScan *scan, const rd_kafka_message_t *event)
{
	ScanPartition *part = find_part(scan, event->partition);

	if (event->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
	{
		if (part != NULL)
			stop_part(scan, part);
		return;
	}

	/* connections come back by themselves, within the time-out */
	scan->trouble.err = event->err;
	strlcpy(scan->trouble.text, rd_kafka_message_errstr(event),
			sizeof(scan->trouble.text));
}

/*
 * Take what is in the queue, up to max messages; returns how many are for us.
 * *came: whether anything was there.
 */
static int
take_chunk(SxKafkaScan *scan, SxMessage *msgs, int max, int64 *bytes, bool *came)
{
	rd_kafka_message_t **chunk;
	int64		arrival_us = sx_kafka_now_us();
	int			first = scan->nheld;
	int			n;
	int			result = 0;

	max = Min(max, CHUNK_MSGS);
	if (scan->nheld + max > scan->maxheld)
	{
		int			grown = Max(scan->maxheld * 2, 4 * CHUNK_MSGS);

		if (scan->held == NULL)
			scan->held = MemoryContextAlloc(scan->cxt, grown * sizeof(rd_kafka_message_t *));
		else
			scan->held = repalloc(scan->held, grown * sizeof(rd_kafka_message_t *));
		scan->maxheld = grown;
	}
	chunk = scan->held + first;
	n = rd_kafka_consume_batch_queue(scan->queue, 0, chunk, max);
	*came = n > 0;

	/* from here to the end of the loop all of them are ours to free */
	scan->nheld += Max(n, 0);
	for (int i = 0; i < n; i++)
	{
		rd_kafka_message_t *msg = chunk[i];
		ScanPartition *part;

		if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			take_event(scan, msg);
			continue;
		}
		part = find_part(scan, msg->partition);
		if (part == NULL || !part->started || msg->offset < part->next_offset)
			continue;
		if (msg->offset >= part->to_offset)
		{
			stop_part(scan, part);
			continue;
		}
		if (!sx_kafka_message(msg, arrival_us,
							  scan->wants_headers ? &scan->headers : NULL,
							  &msgs[result]))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		part->next_offset = msg->offset + 1;
		*bytes += msg->len + msg->key_len;
		result++;
		if (part->next_offset >= part->to_offset)
			stop_part(scan, part);
	}
	return result;
}

/* Wait until the queue may have something; interruptible. */
static void
wait_for_queue(SxKafkaScan *scan, int timeout_ms)
{
	char		buf[64];
	int			events;

	events = WaitLatchOrSocket(MyLatch,
							   WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT |
							   WL_EXIT_ON_PM_DEATH,
							   scan->pipe[0], timeout_ms, sx_wait_event(SX_WAIT_KAFKA));
	if (events & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	while (read(scan->pipe[0], buf, sizeof(buf)) > 0)
		;
}

static void
wake_brokers(SxKafkaScan *scan)
{
	rd_kafka_topic_partition_list_t *list;

	list = rd_kafka_topic_partition_list_new(scan->nparts);
	for (int i = 0; i < scan->nparts; i++)
	{
		if (scan->parts[i].started)
			rd_kafka_topic_partition_list_add(list,
											  sx_kafka_client_topic(scan->client),
											  scan->parts[i].partition);
	}
	sx_kafka_wake(sx_kafka_client_handle(scan->client), list);
}

int
sx_kafka_scan_next(SxKafkaScan *scan, SxMessage *msgs, int max_msgs,
				   int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();
	int64		bytes = 0;
	int			n = 0;

	release_held(scan);
	while (scan->nreading > 0 && n < max_msgs && bytes < MAX_HELD_BYTES)
	{
		bool		came;
		long		left_ms;

		CHECK_FOR_INTERRUPTS();
		n += take_chunk(scan, msgs + n, max_msgs - n, &bytes, &came);
		if (came)
		{
			/* the brokers are alive, even if it was none of ours */
			start = GetCurrentTimestamp();
			continue;
		}
		if (n > 0)
			break;

		sx_kafka_drain(scan->mainq, 0, &scan->trouble);
		if (strcmp(sx_kafka_sqlstate(scan->trouble.err), "08000") != 0)
			sx_kafka_client_error(scan->client, scan->trouble.err,
								  scan->trouble.text);
		left_ms = timeout_ms - (GetCurrentTimestamp() - start) / 1000;
		if (left_ms <= 0)
			sx_kafka_client_error(scan->client, RD_KAFKA_RESP_ERR__TIMED_OUT,
								  scan->trouble.text);
		wait_for_queue(scan, Min(left_ms, 1000));
	}
	if (sx_kafka_waker_due(&scan->waker, scan->queue, bytes, n))
		wake_brokers(scan);
	return n;
}

void
sx_kafka_scan_close(SxKafkaScan *scan)
{
	sx_handle_destroy(scan->handle);
}
