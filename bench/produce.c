/*-------------------------------------------------------------------------
 * produce.c
 *		Deterministic producer of the benchmark's events into a Kafka topic.
 *
 * The same options give the same messages in the same partitions: ad events
 * (events.h) as JSON or CSV, or those of Nexmark (nexmark.h).  Event i
 * goes to partition i modulo their number, or, with a key, to the one that
 * the key's number belongs to.  With --now the event time is the time of
 * sending instead (for latencies and for a stream to look at).
 *
 * Prints one line when done: events, seconds, events per second, bytes.
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "nexmark.h"

#define BATCH 1000

typedef enum KeyKind
{
	KEY_NONE,
	KEY_PAGE,
	KEY_USER
} KeyKind;

typedef enum DataKind
{
	DATA_JSON,
	DATA_CSV,
	DATA_NEXMARK
} DataKind;

static volatile sig_atomic_t stopped = 0;
static uint64_t failures = 0;	/* by delivery report */
static char first_failure[256];

static void
on_signal(int signo)
{
	(void) signo;
	stopped = 1;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (msg->err && failures++ == 0)
		snprintf(first_failure, sizeof(first_failure), "%s", rd_kafka_err2str(msg->err));
}

static int64_t
now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "produce: %s: %s\n", what, detail);
	exit(1);
}

static uint64_t
number(const char *option, const char *text)
{
	char	   *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end != '\0' || *text == '-')
	{
		fprintf(stderr, "produce: --%s takes a number, not \"%s\"\n", option, text);
		exit(2);
	}
	return v;
}

/* Unless it is there. */
static void
create_topic(rd_kafka_t *rk, const char *topic, uint64_t partitions)
{
	char		errstr[512];
	rd_kafka_NewTopic_t *wanted;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	const rd_kafka_topic_result_t **results;
	rd_kafka_resp_err_t err;
	size_t		nresults;

	wanted = rd_kafka_NewTopic_new(topic, (int) partitions, 1, errstr, sizeof(errstr));
	if (wanted == NULL)
		fail("cannot create the topic", errstr);
	queue = rd_kafka_queue_new(rk);
	rd_kafka_CreateTopics(rk, &wanted, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 60000);
	if (event == NULL)
		fail("could not create the topic", "no answer");
	if (rd_kafka_event_error(event))
		fail("could not create the topic", rd_kafka_event_error_string(event));
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &nresults);
	err = rd_kafka_topic_result_error(results[0]);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		fail("could not create the topic", rd_kafka_topic_result_error_string(results[0]));
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(wanted);
}

static const char usage[] =
"Usage: produce --brokers HOST:PORT --topic NAME [OPTION...]\n"
"  --events N          how many (default 1000000; 0: until stopped)\n"
"  --first N           number of the first one (default 0)\n"
"  --data D            json (default), csv or nexmark\n"
"  --topics N          NAME-0 to NAME-(N-1), in turn, instead of one\n"
"  --partitions N      of the topic (default 4); the topic is made if missing\n"
"  --compression C     none, lz4 (default), zstd, gzip or snappy\n"
"  --disorder MS       events come up to so much late (default 0)\n"
"  --keys K            key of the messages: none (default), page or user\n"
"  --pages N           distinct pages (default 1000)\n"
"  --users N           distinct users (default 100000)\n"
"  --step US           event time between two events (default 100)\n"
"  --rate N            events per second (default 0: as fast as possible)\n"
"  --now               event time is the time of sending\n"
"  --linger MS         how long librdkafka gathers a batch (default 5)\n"
"  --seed N            (default 1)\n"
"  --stdout            print the events, one a line, instead of sending them\n"
"  --quiet             no summary\n";

int
main(int argc, char **argv)
{
	enum
	{
		OPT_BROKERS = 1, OPT_TOPIC, OPT_EVENTS, OPT_FIRST, OPT_PARTITIONS, OPT_COMPRESSION,
		OPT_DISORDER, OPT_KEYS, OPT_PAGES, OPT_USERS, OPT_STEP, OPT_RATE, OPT_NOW, OPT_LINGER,
		OPT_SEED, OPT_DATA, OPT_TOPICS, OPT_STDOUT, OPT_QUIET, OPT_HELP
	};
	static const struct option options[] = {
		{"brokers", required_argument, NULL, OPT_BROKERS},
		{"topic", required_argument, NULL, OPT_TOPIC},
		{"events", required_argument, NULL, OPT_EVENTS},
		{"first", required_argument, NULL, OPT_FIRST},
		{"partitions", required_argument, NULL, OPT_PARTITIONS},
		{"compression", required_argument, NULL, OPT_COMPRESSION},
		{"disorder", required_argument, NULL, OPT_DISORDER},
		{"keys", required_argument, NULL, OPT_KEYS},
		{"pages", required_argument, NULL, OPT_PAGES},
		{"users", required_argument, NULL, OPT_USERS},
		{"step", required_argument, NULL, OPT_STEP},
		{"rate", required_argument, NULL, OPT_RATE},
		{"now", no_argument, NULL, OPT_NOW},
		{"linger", required_argument, NULL, OPT_LINGER},
		{"seed", required_argument, NULL, OPT_SEED},
		{"topics", required_argument, NULL, OPT_TOPICS},
		{"data", required_argument, NULL, OPT_DATA},
		{"stdout", no_argument, NULL, OPT_STDOUT},
		{"quiet", no_argument, NULL, OPT_QUIET},
		{"help", no_argument, NULL, OPT_HELP},
		{NULL, 0, NULL, 0}
	};
	EventSpec	spec = {.seed = 1,.pages = 1000,.users = 100000,.step_us = 100};
	const char *brokers = NULL;
	const char *topic = NULL;
	const char *compression = "lz4";
	const char *linger = "5";
	uint64_t	events = 1000000;
	uint64_t	first = 0;
	uint64_t	partitions = 4;
	uint64_t	topics = 1;
	uint64_t	rate = 0;
	KeyKind		keys = KEY_NONE;
	DataKind	data = DATA_JSON;
	bool		now = false;
	bool		to_stdout = false;
	bool		quiet = false;
	rd_kafka_t *rk = NULL;
	rd_kafka_topic_t **rkts;
	char		errstr[512];
	uint64_t	bytes = 0;
	uint64_t	sent = 0;
	int64_t		start;
	double		seconds;
	int			opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		switch (opt)
		{
			case OPT_BROKERS:
				brokers = optarg;
				break;
			case OPT_TOPIC:
				topic = optarg;
				break;
			case OPT_EVENTS:
				events = number("events", optarg);
				break;
			case OPT_FIRST:
				first = number("first", optarg);
				break;
			case OPT_PARTITIONS:
				partitions = number("partitions", optarg);
				break;
			case OPT_COMPRESSION:
				compression = optarg;
				break;
			case OPT_DISORDER:
				spec.disorder_us = (int64_t) number("disorder", optarg) * 1000;
				break;
			case OPT_KEYS:
				if (strcmp(optarg, "none") == 0)
					keys = KEY_NONE;
				else if (strcmp(optarg, "page") == 0)
					keys = KEY_PAGE;
				else if (strcmp(optarg, "user") == 0)
					keys = KEY_USER;
				else
					fail("--keys takes none, page or user, not", optarg);
				break;
			case OPT_PAGES:
				spec.pages = number("pages", optarg);
				break;
			case OPT_USERS:
				spec.users = number("users", optarg);
				break;
			case OPT_STEP:
				spec.step_us = (int64_t) number("step", optarg);
				break;
			case OPT_RATE:
				rate = number("rate", optarg);
				break;
			case OPT_NOW:
				now = true;
				break;
			case OPT_LINGER:
				linger = optarg;
				break;
			case OPT_SEED:
				spec.seed = number("seed", optarg);
				break;
			case OPT_TOPICS:
				topics = number("topics", optarg);
				break;
			case OPT_DATA:
				if (strcmp(optarg, "json") == 0)
					data = DATA_JSON;
				else if (strcmp(optarg, "csv") == 0)
					data = DATA_CSV;
				else if (strcmp(optarg, "nexmark") == 0)
					data = DATA_NEXMARK;
				else
					fail("--data takes json, csv or nexmark, not", optarg);
				break;
			case OPT_STDOUT:
				to_stdout = true;
				break;
			case OPT_QUIET:
				quiet = true;
				break;
			case OPT_HELP:
				fputs(usage, stdout);
				return 0;
			default:
				fputs(usage, stderr);
				return 2;
		}
	}
	if (optind != argc || partitions == 0 || partitions > INT32_MAX || topics == 0 ||
		spec.pages == 0 || spec.users == 0 ||
		(!to_stdout && (brokers == NULL || topic == NULL)))
	{
		fputs(usage, stderr);
		return 2;
	}

	rkts = calloc(topics, sizeof(rd_kafka_topic_t *));
	if (rkts == NULL)
		fail("cannot have so many topics", strerror(errno));
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	if (!to_stdout)
	{
		const char *settings[][2] = {
			{"bootstrap.servers", brokers},
			{"compression.codec", compression},
			{"linger.ms", linger},
			{"batch.num.messages", "20000"},
			{"batch.size", "2000000"},
			{"queue.buffering.max.messages", "1000000"},
			{"queue.buffering.max.kbytes", "524288"},
			{"enable.idempotence", "true"}, /* no duplicates, in order */
			{"log_level", "3"},
		};
		rd_kafka_conf_t *conf = rd_kafka_conf_new();

		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
			if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK)
				fail("wrong setting", errstr);
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
		if (rk == NULL)
			fail("could not create the producer", errstr);

		if (topics == 1)
		{
			create_topic(rk, topic, partitions);
			rkts[0] = rd_kafka_topic_new(rk, topic, NULL);
		}
		else
		{
			for (uint64_t i = 0; i < topics; i++)
			{
				char		name[256];

				snprintf(name, sizeof(name), "%s-%" PRIu64, topic, i);
				create_topic(rk, name, partitions);
				rkts[i] = rd_kafka_topic_new(rk, name, NULL);
			}
		}
	}

	start = now_us(CLOCK_MONOTONIC);
	while ((events == 0 || sent < events) && !stopped)
	{
		char		buf[NEXMARK_MAX_LEN];
		char		key[32];
		size_t		keylen = 0;
		size_t		len;
		Event		e = events_make(&spec, first + sent);
		uint64_t	part = first + sent;

		if (rate != 0)
		{
			int64_t		due = start + (int64_t) ((double) sent * 1000000 / (double) rate);
			int64_t		wait = due - now_us(CLOCK_MONOTONIC);

			/* at most a millisecond early, then all that is due */
			if (wait > 1000)
			{
				struct timespec ts = {.tv_sec = wait / 1000000,.tv_nsec = wait % 1000000 * 1000};

				if (rk != NULL)
					rd_kafka_poll(rk, 0);
				else
					fflush(stdout);
				nanosleep(&ts, NULL);
			}
		}
		if (now)
			e.time_us = now_us(CLOCK_REALTIME);
		if (data == DATA_NEXMARK)
		{
			len = nexmark_print(buf, spec.seed, first + sent);
			if (!now)
				e.time_us = nexmark_time_ms(first + sent) * 1000;
		}
		else
			len = data == DATA_CSV ? events_print_csv(buf, &e) : events_print(buf, &e);
		bytes += len;
		sent++;

		if (to_stdout)
		{
			buf[len++] = '\n';
			if (fwrite(buf, 1, len, stdout) != len)
				fail("could not write", strerror(errno));
			continue;
		}
		if (keys == KEY_PAGE)
		{
			keylen = (size_t) (events_put_uint(EVENTS_PUT(key, "page-"), e.ad_id) - key);
			part = e.ad_id;
		}
		else if (keys == KEY_USER)
		{
			keylen = (size_t) (events_put_uint(key, e.user_id) - key);
			part = e.user_id;
		}
		for (;;)
		{
			rd_kafka_resp_err_t err;

			/* Nexmark's event time is the message's */
			err = rd_kafka_producev(rk, RD_KAFKA_V_RKT(rkts[topics == 1 ? 0 : (first + sent - 1) % topics]),
									RD_KAFKA_V_PARTITION((int32_t) (part % partitions)),
									RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
									RD_KAFKA_V_VALUE(buf, len),
									RD_KAFKA_V_KEY(keylen ? key : NULL, keylen),
									RD_KAFKA_V_TIMESTAMP(data == DATA_NEXMARK ? e.time_us / 1000 : 0),
									RD_KAFKA_V_END);
			if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
				break;
			if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				fail("could not produce", rd_kafka_err2str(err));
			rd_kafka_poll(rk, 20);
		}
		if (sent % BATCH == 0)
			rd_kafka_poll(rk, 0);
	}

	if (rk != NULL)
	{
		if (rd_kafka_flush(rk, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR)
			fail("could not send everything", "no answer within two minutes");
		for (uint64_t i = 0; i < topics; i++)
			rd_kafka_topic_destroy(rkts[i]);
		rd_kafka_destroy(rk);
	}
	else
		fflush(stdout);
	free(rkts);
	if (failures > 0)
		fail("messages were not delivered", first_failure);

	seconds = (double) (now_us(CLOCK_MONOTONIC) - start) / 1e6;
	if (!quiet)
		fprintf(to_stdout ? stderr : stdout,
				"events=%" PRIu64 " seconds=%.3f events_per_s=%.0f bytes=%" PRIu64 "\n",
				sent, seconds, (double) sent / seconds, bytes);
	return 0;
}
