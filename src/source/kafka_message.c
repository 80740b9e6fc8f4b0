/*-------------------------------------------------------------------------
 * kafka_message.c
 *		librdkafka's messages, times and headers as ours; its full queues.
 *
 * Called from threads of ours: no PostgreSQL function.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>
#include <time.h>

#include "datatype/timestamp.h"

#include "source/kafka_client.h"

#define EPOCH_SHIFT_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC)

#define WAKE_TIMEOUT_MS		20

/* the last millisecond of 9999; Kafka knows no infinity */
#define MAX_TIME_MS	INT64CONST(253402300799999)

int64
sx_kafka_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000 - EPOCH_SHIFT_US;
}

int64
sx_kafka_time_to_ms(int64 timestamp_us)
{
	int64		unix_us;

	if (timestamp_us <= -EPOCH_SHIFT_US)
		return 0;
	if (timestamp_us >= MAX_TIME_MS * 1000 - EPOCH_SHIFT_US)
		return MAX_TIME_MS;
	unix_us = timestamp_us + EPOCH_SHIFT_US;
	return (unix_us + 999) / 1000;
}

/* Length of the UTF-8 sequence that begins here; 0: none does. */
static int
utf8_sequence(const unsigned char *s, size_t len)
{
	int			n;
	uint32		code;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < (size_t) n)
		return 0;
	code = s[0] & (0xff >> (n + 1));
	for (int i = 1; i < n; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = (code << 6) | (s[i] & 0x3f);
	}
	if (n == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff)))
		return 0;
	if (n == 4 && (code < 0x10000 || code > 0x10ffff))
		return 0;
	return n;
}

/* Can these bytes be a JSON string that jsonb takes: UTF-8 without NUL? */
static bool
is_text(const unsigned char *s, size_t len)
{
	size_t		i = 0;

	while (i < len)
	{
		int			n = s[i] == 0 ? 0 : utf8_sequence(s + i, len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/*
 * Append as a JSON string; bytes that are no text as bytea shows them.  The
 * room for it, 6 bytes a byte and the quotes, is the caller's affair.
 */
static char *
append_string(char *to, const char *bytes, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *) bytes;

	*to++ = '"';
	if (!is_text(s, len))
	{
		memcpy(to, "\\\\x", 3);
		to += 3;
		for (size_t i = 0; i < len; i++)
		{
			*to++ = hex[s[i] >> 4];
			*to++ = hex[s[i] & 0x0f];
		}
	}
	else
	{
		for (size_t i = 0; i < len; i++)
		{
			if (s[i] == '"' || s[i] == '\\')
			{
				*to++ = '\\';
				*to++ = s[i];
			}
			else if (s[i] < 0x20)
			{
				memcpy(to, "\\u00", 4);
				to += 4;
				*to++ = hex[s[i] >> 4];
				*to++ = hex[s[i] & 0x0f];
			}
			else
				*to++ = s[i];
		}
	}
	*to++ = '"';
	return to;
}

static bool
set_headers(const rd_kafka_message_t *from, SxArena *arena, SxMessage *to)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t		len;
	size_t		room = 3;
	char	   *p;

	if (rd_kafka_message_headers(from, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;

	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		room += 6 * (strlen(name) + len) + 16;
	p = sx_arena_alloc(arena, room);
	if (p == NULL)
		return false;
	to->headers = p;

	*p++ = '{';
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		if (i > 0)
			*p++ = ',';
		p = append_string(p, name, strlen(name));
		*p++ = ':';
		if (value == NULL)
		{
			memcpy(p, "null", 4);
			p += 4;
		}
		else
			p = append_string(p, value, len);
	}
	*p++ = '}';
	*p = '\0';
	return true;
}

bool
sx_kafka_message(const rd_kafka_message_t *from, int64 arrival_us,
				 SxArena *headers, SxMessage *to)
{
	rd_kafka_timestamp_type_t type;
	int64		time_ms = rd_kafka_message_timestamp(from, &type);

	to->payload = from->payload;
	to->payload_len = from->len;
	to->key = from->key;
	to->key_len = from->key_len;
	to->headers = NULL;
	to->partition = from->partition;
	to->position = from->offset;
	to->arrival_us = arrival_us;

	/* the first two bounds leave out what no timestamptz can be */
	if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time_ms < 0 ||
		time_ms > PG_INT64_MAX / 2000)
		to->timestamp_us = arrival_us;
	else
		to->timestamp_us = time_ms * 1000 - EPOCH_SHIFT_US;
	return headers == NULL || set_headers(from, headers, to);
}

static int64
conf_number(const rd_kafka_conf_t *conf, const char *name, int64 otherwise)
{
	char		value[64];
	size_t		size = sizeof(value);

	if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
		return otherwise;
	return strtoll(value, NULL, 10);
}

void
sx_kafka_waker_init(SxKafkaWaker *waker, rd_kafka_t *rk)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(rk);

	waker->needed = conf_number(conf, "fetch.queue.backoff.ms", -1) < 0;
	waker->was_full = false;
	waker->full_msgs = conf_number(conf, "queued.min.messages", 100000);
	waker->full_bytes = conf_number(conf, "queued.max.messages.kbytes", 65536) * 1024;
}

bool
sx_kafka_waker_due(SxKafkaWaker *waker, rd_kafka_queue_t *queue, int64 bytes,
				   int nmsgs)
{
	int64		msgs;
	int64		queued;

	if (!waker->needed || nmsgs == 0)
		return false;
	msgs = rd_kafka_queue_length(queue);
	queued = msgs * (bytes / nmsgs);
	if (msgs > waker->full_msgs / 8 * 7 || queued > waker->full_bytes / 8 * 7)
		waker->was_full = true;
	else if (waker->was_full && msgs < waker->full_msgs / 2 &&
			 queued < waker->full_bytes / 2)
	{
		waker->was_full = false;
		return true;
	}
	return false;
}

void
sx_kafka_wake(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = RD_KAFKA_OFFSET_END;

	/* the answer is of no interest */
	if (list->cnt > 0)
		(void) rd_kafka_offsets_for_times(rk, list, WAKE_TIMEOUT_MS);
	rd_kafka_topic_partition_list_destroy(list);
}
