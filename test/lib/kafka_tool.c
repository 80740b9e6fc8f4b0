/*-------------------------------------------------------------------------
 * kafka_tool.c
 *		What tests do to a Kafka broker, in one small program.
 *
 *	 kafka_tool BROKER create TOPIC PARTITIONS [name=value ...], of which
 *		replication.factor is no setting of the topic
 *	 kafka_tool BROKER delete TOPIC
 *	 kafka_tool BROKER partitions TOPIC NEW_TOTAL
 *	 kafka_tool BROKER truncate TOPIC PARTITION BEFORE_OFFSET
 *	 kafka_tool BROKER offsets TOPIC		lines "partition low high"
 *	 kafka_tool BROKER leaders TOPIC		lines "partition leader in_sync"
 *	 kafka_tool BROKER produce TOPIC [name=value ...]
 *	 kafka_tool BROKER commit|abort TOPIC [name=value ...]
 *	 kafka_tool BROKER hang TOPIC TRANSACTIONAL_ID
 *	 kafka_tool BROKER consume TOPIC		lines "partition offset key value"
 *
 * produce sends the messages of standard input; commit and abort do so in one
 * transaction, which they end; hang does so, leaves it open and waits for its
 * standard input to end.  In them name=value are librdkafka's settings.
 *
 * A message is a line of its fields, separated by tabs:
 *	 partition (-1: any), timestamp in ms (0: now), key, value, header=value ...
 * Keys, values and headers are in hexadecimal, "-" for none.  An empty line
 * ends the messages.
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS	30000

static char error[512];
static int	failures = 0;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "kafka_tool: %s: %s\n", what, why);
	exit(1);
}

static void
check_error(const char *what, rd_kafka_error_t *err)
{
	if (err != NULL)
		die(what, rd_kafka_error_string(err));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		die(name, error);
}

static void
set_pairs(rd_kafka_conf_t *conf, int n, char **pairs)
{
	for (int i = 0; i < n; i++)
	{
		char	   *name = strdup(pairs[i]);
		char	   *equals = strchr(name, '=');

		if (equals == NULL)
			die(name, "not name=value");
		*equals = '\0';
		set(conf, name, equals + 1);
		free(name);
	}
}

static rd_kafka_t *
new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof(error));

	if (rk == NULL)
		die("client", error);
	return rk;
}

/* ---- topics ---------------------------------------------------------------- */

/* Wait for the answer to an admin request; every result has to be fine. */
static void
admin_wait(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	const rd_kafka_topic_result_t **topics = NULL;
	size_t		n = 0;

	if (event == NULL)
		die("request", "timed out");
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("request", rd_kafka_event_error_string(event));
	switch (rd_kafka_event_type(event))
	{
		case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
			topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
			break;
		case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
			topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
			break;
		case RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT:
			topics = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &n);
			break;
		case RD_KAFKA_EVENT_DELETERECORDS_RESULT:
			{
				const rd_kafka_topic_partition_list_t *list;

				list = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
				for (int i = 0; i < list->cnt; i++)
				{
					if (list->elems[i].err)
						die("truncate", rd_kafka_err2str(list->elems[i].err));
				}
			}
			break;
		default:
			break;
	}
	for (size_t i = 0; i < n; i++)
	{
		if (rd_kafka_topic_result_error(topics[i]))
			die(rd_kafka_topic_result_name(topics[i]),
				rd_kafka_topic_result_error_string(topics[i]) ?
				rd_kafka_topic_result_error_string(topics[i]) :
				rd_kafka_err2str(rd_kafka_topic_result_error(topics[i])));
	}
	rd_kafka_event_destroy(event);
}

/* Partitions of a topic, or -1 if there is none of that name. */
static int
replicas(int n, char **settings)
{
	while (n-- > 0)
	{
		if (strncmp(settings[n], "replication.factor=", 19) == 0)
			return atoi(settings[n] + 19);
	}
	return 1;
}

static int
partition_count(rd_kafka_t *rk, const char *name)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
	const struct rd_kafka_metadata *metadata;
	int			n = -1;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(rk, 0, topic, &metadata, TIMEOUT_MS);
	if (err)
		die("metadata", rd_kafka_err2str(err));
	if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		n = metadata->topics[0].partition_cnt;
		for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
		{
			if (metadata->topics[0].partitions[p].leader < 0)
				n = 0;			/* not ready yet */
		}
	}
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	return n;
}

static void
print_leaders(rd_kafka_conf_t *conf, const char *name)
{
	char		error[512];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	rd_kafka_topic_t *topic;
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;

	if (rk == NULL)
		die("leaders", error);
	topic = rd_kafka_topic_new(rk, name, NULL);
	err = rd_kafka_metadata(rk, 0, topic, &metadata, TIMEOUT_MS);
	if (err)
		die("metadata", rd_kafka_err2str(err));
	for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
		printf("%d %d %d\n", metadata->topics[0].partitions[p].id,
			   metadata->topics[0].partitions[p].leader,
			   metadata->topics[0].partitions[p].isr_cnt);
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
}

/* What was asked for is told to all brokers a moment later. */
static void
wait_partitions(rd_kafka_t *rk, const char *name, int n)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);

	for (int i = 0; i < TIMEOUT_MS / 20; i++)
	{
		if (partition_count(rk, name) == n)
		{
			rd_kafka_queue_destroy(queue);
			return;
		}
		rd_kafka_event_destroy(rd_kafka_queue_poll(queue, 20));
	}
	die(name, "the broker does not show the change");
}

static void
admin(rd_kafka_conf_t *conf, const char *verb, int argc, char **argv)
{
	rd_kafka_t *rk = new_client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	const char *topic = argv[0];
	int			expected = -1;

	if (strcmp(verb, "create") == 0 && argc >= 2)
	{
		rd_kafka_NewTopic_t *request;

		expected = atoi(argv[1]);
		request = rd_kafka_NewTopic_new(topic, expected, replicas(argc - 2, argv + 2), error, sizeof(error));
		if (request == NULL)
			die(topic, error);
		for (int i = 2; i < argc; i++)
		{
			char	   *equals = strchr(argv[i], '=');

			if (equals == NULL)
				die(argv[i], "not name=value");
			*equals = '\0';
			if (strcmp(argv[i], "replication.factor") != 0)
				rd_kafka_NewTopic_set_config(request, argv[i], equals + 1);
		}
		rd_kafka_CreateTopics(rk, &request, 1, NULL, queue);
		admin_wait(queue);
		rd_kafka_NewTopic_destroy(request);
	}
	else if (strcmp(verb, "delete") == 0)
	{
		rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);

		rd_kafka_DeleteTopics(rk, &request, 1, NULL, queue);
		admin_wait(queue);
		rd_kafka_DeleteTopic_destroy(request);
	}
	else if (strcmp(verb, "partitions") == 0 && argc == 2)
	{
		rd_kafka_NewPartitions_t *request;

		expected = atoi(argv[1]);
		request = rd_kafka_NewPartitions_new(topic, expected, error, sizeof(error));
		if (request == NULL)
			die(topic, error);
		rd_kafka_CreatePartitions(rk, &request, 1, NULL, queue);
		admin_wait(queue);
		rd_kafka_NewPartitions_destroy(request);
	}
	else if (strcmp(verb, "truncate") == 0 && argc == 3)
	{
		rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_DeleteRecords_t *request;

		rd_kafka_topic_partition_list_add(list, topic, atoi(argv[1]))->offset = atoll(argv[2]);
		request = rd_kafka_DeleteRecords_new(list);
		rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
		admin_wait(queue);
		rd_kafka_DeleteRecords_destroy(request);
		rd_kafka_topic_partition_list_destroy(list);
		expected = partition_count(rk, topic);
	}
	else
		die(verb, "wrong arguments");
	wait_partitions(rk, topic, expected);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

/* ---- producing --------------------------------------------------------------- */

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (msg->err && failures++ == 0)
		fprintf(stderr, "kafka_tool: not delivered: %s\n", rd_kafka_err2str(msg->err));
}

static int
hex_digit(char c)
{
	if (!isxdigit((unsigned char) c))
		die("message", "not hexadecimal");
	return isdigit((unsigned char) c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* In place; NULL for "-". */
static char *
unhex(char *field, size_t *len)
{
	*len = 0;
	if (strcmp(field, "-") == 0)
		return NULL;
	for (char *p = field; *p != '\0'; p += 2)
	{
		if (p[1] == '\0')
			die("message", "not hexadecimal");
		field[(*len)++] = hex_digit(p[0]) * 16 + hex_digit(p[1]);
	}
	return field;
}

static char *
next_field(char **line)
{
	char	   *field = strsep(line, "\t");

	if (field == NULL)
		die("message", "a field is missing");
	return field;
}

static void
send_line(rd_kafka_t *rk, const char *topic, char *line)
{
	int			partition = atoi(next_field(&line));
	int64_t		time_ms = atoll(next_field(&line));
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
	size_t		key_len;
	size_t		value_len;
	char	   *key = unhex(next_field(&line), &key_len);
	char	   *value = unhex(next_field(&line), &value_len);
	char	   *field;
	rd_kafka_resp_err_t err;

	while ((field = strsep(&line, "\t")) != NULL)
	{
		char	   *name = strsep(&field, "=");
		size_t		name_len;
		size_t		len;
		char	   *content;

		if (field == NULL)
			die("header", "not name=value");
		content = unhex(field, &len);
		name = unhex(name, &name_len);
		rd_kafka_header_add(headers, name, name_len, content, len);
	}

	do
	{
		err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
								RD_KAFKA_V_PARTITION(partition),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_KEY(key, key_len),
								RD_KAFKA_V_VALUE(value, value_len),
								RD_KAFKA_V_TIMESTAMP(time_ms),
								RD_KAFKA_V_HEADERS(headers),
								RD_KAFKA_V_END);
		if (err)
			rd_kafka_poll(rk, 50);
		else
			rd_kafka_poll(rk, 0);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (err)
		die("produce", rd_kafka_err2str(err));
}

static void
produce(rd_kafka_conf_t *conf, const char *verb, int argc, char **argv)
{
	rd_kafka_t *rk;
	char	   *line = NULL;
	size_t		room = 0;
	ssize_t		len;
	bool		transactional = strcmp(verb, "produce") != 0;

	set(conf, "linger.ms", "5");
	set(conf, "message.max.bytes", "104857600");

	/* a broker that hung has a request tried again: each message once */
	set(conf, "enable.idempotence", "true");
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	if (strcmp(verb, "hang") == 0)
	{
		if (argc != 2)
			die(verb, "wrong arguments");
		set(conf, "transactional.id", argv[1]);
	}
	else
	{
		if (transactional)
		{
			char		id[64];

			snprintf(id, sizeof(id), "kafka_tool_%ld", random());
			set(conf, "transactional.id", id);
		}
		set_pairs(conf, argc - 1, argv + 1);
	}
	rk = new_client(RD_KAFKA_PRODUCER, conf);
	if (transactional)
	{
		check_error("init", rd_kafka_init_transactions(rk, TIMEOUT_MS));
		check_error("begin", rd_kafka_begin_transaction(rk));
	}

	while ((len = getline(&line, &room, stdin)) > 0)
	{
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (len == 0)
			break;
		send_line(rk, argv[0], line);
	}
	if (rd_kafka_flush(rk, TIMEOUT_MS))
		die("flush", "timed out");
	if (failures > 0)
		exit(1);

	if (strcmp(verb, "commit") == 0)
		check_error("commit", rd_kafka_commit_transaction(rk, TIMEOUT_MS));
	else if (strcmp(verb, "abort") == 0)
		check_error("abort", rd_kafka_abort_transaction(rk, TIMEOUT_MS));
	else if (strcmp(verb, "hang") == 0)
	{
		puts("open");
		fflush(stdout);
		while (getline(&line, &room, stdin) > 0)
			;
		/* gone without a word, as after a crash */
		_exit(0);
	}
	free(line);
	rd_kafka_destroy(rk);
}

/* ---- reading ------------------------------------------------------------------ */

static void
print_offsets(rd_kafka_conf_t *conf, const char *topic)
{
	rd_kafka_t *rk = new_client(RD_KAFKA_CONSUMER, conf);
	int			n = partition_count(rk, topic);

	for (int p = 0; p < n; p++)
	{
		int64_t		low;
		int64_t		high;
		rd_kafka_resp_err_t err;

		err = rd_kafka_query_watermark_offsets(rk, topic, p, &low, &high, TIMEOUT_MS);
		if (err)
			die(topic, rd_kafka_err2str(err));
		printf("%d %lld %lld\n", p, (long long) low, (long long) high);
	}
	rd_kafka_destroy(rk);
}

static void
print_hex(const char *bytes, size_t len)
{
	if (bytes == NULL)
		putchar('-');
	for (size_t i = 0; bytes != NULL && i < len; i++)
		printf("%02x", (unsigned char) bytes[i]);
}

/* All there is, read committed, up to the partitions' ends. */
static void
consume(rd_kafka_conf_t *conf, const char *name)
{
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int			n;
	int			ended = 0;

	set(conf, "enable.partition.eof", "true");
	rk = new_client(RD_KAFKA_CONSUMER, conf);
	n = partition_count(rk, name);
	if (n < 0)
		die(name, "no such topic");
	topic = rd_kafka_topic_new(rk, name, NULL);
	queue = rd_kafka_queue_new(rk);
	for (int p = 0; p < n; p++)
		rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue);
	while (ended < n)
	{
		rd_kafka_message_t *msg = rd_kafka_consume_queue(queue, TIMEOUT_MS);

		if (msg == NULL)
			die(name, "timed out");
		if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		else if (msg->err)
			die(name, rd_kafka_message_errstr(msg));
		else
		{
			printf("%d\t%lld\t", msg->partition, (long long) msg->offset);
			print_hex(msg->key, msg->key_len);
			putchar('\t');
			print_hex(msg->payload, msg->len);
			putchar('\n');
		}
		rd_kafka_message_destroy(msg);
	}
	for (int p = 0; p < n; p++)
		rd_kafka_consume_stop(topic, p);
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
}

int
main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *verb;

	if (argc < 4)
		die("usage", "kafka_tool BROKER VERB TOPIC ...");
	srandom((unsigned) getpid() * 2654435761u);
	set(conf, "bootstrap.servers", argv[1]);
	verb = argv[2];
	argc -= 3;
	argv += 3;
	if (strcmp(verb, "produce") == 0 || strcmp(verb, "commit") == 0 ||
		strcmp(verb, "abort") == 0 || strcmp(verb, "hang") == 0)
		produce(conf, verb, argc, argv);
	else if (strcmp(verb, "offsets") == 0)
		print_offsets(conf, argv[0]);
	else if (strcmp(verb, "leaders") == 0)
		print_leaders(conf, argv[0]);
	else if (strcmp(verb, "consume") == 0)
		consume(conf, argv[0]);
	else
		admin(conf, verb, argc, argv);
	return 0;
}
