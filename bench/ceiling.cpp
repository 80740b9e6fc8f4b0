/*-------------------------------------------------------------------------
 * ceiling.cpp
 *		What the hardware gives without a database: librdkafka, simdjson, a
 *		hash table; one thread of ours, no offsets, no output.
 *
 *	 ceiling consume	takes the messages out of librdkafka
 *	 ceiling decode		... and reads all six fields, of JSON or of CSV
 *	 ceiling aggregate	... and does the workload: tumble, join or groups
 *
 * With --dump the aggregate's groups are written for PostgreSQL's COPY; they
 * are what bench/run compares a continuous view's table with.  Amounts are
 * kept in cents there, so that the comparison has no rounding of its own.
 *
 * Prints one line: events, seconds, events per second, CPU seconds, bytes,
 * groups, peak memory.
 *-------------------------------------------------------------------------
 */
#include <getopt.h>
#include <sys/resource.h>
#include <time.h>

#include <charconv>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <simdjson.h>

namespace
{

/* librdkafka waits until so many are there, or so long */
constexpr size_t POLL_MESSAGES = 10000;
constexpr int POLL_TIMEOUT_MS = 10;

enum class Mode
{
	CONSUME, DECODE, AGGREGATE
};
enum class Format
{
	JSON, CSV
};
enum class Workload
{
	TUMBLE, JOIN, GROUPS
};

struct Fields
{
	int64_t		time_us;		/* since 1970 */
	int64_t		ad_id;
	std::string_view page;
	int64_t		user_id;
	std::string_view event_type;
	double		amount;
};

[[noreturn]] void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "ceiling: %s: %s\n", what, detail);
	exit(1);
}

double
seconds(clockid_t clock)
{
	timespec	ts;

	clock_gettime(clock, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* 2025-01-01T00:00:00.000100Z, any number of decimals up to six */
bool
parse_time(std::string_view s, int64_t *out)
{
	auto		num = [&](size_t at, size_t n, int64_t *v)
	{
		*v = 0;
		for (size_t i = at; i < at + n; i++)
		{
			unsigned	d = (unsigned char) s[i] - '0';

			if (d > 9)
				return false;
			*v = *v * 10 + d;
		}
		return true;
	};
	int64_t		y,
				mon,
				d,
				h,
				min,
				sec,
				us = 0;

	if (s.size() < 20 || s.back() != 'Z' || !num(0, 4, &y) || !num(5, 2, &mon) ||
		!num(8, 2, &d) || !num(11, 2, &h) || !num(14, 2, &min) || !num(17, 2, &sec))
		return false;
	if (s.size() > 20)
	{
		size_t		n = s.size() - 21;

		if (s[19] != '.' || n == 0 || n > 6 || !num(20, n, &us))
			return false;
		for (; n < 6; n++)
			us *= 10;
	}

	/* days of the civil calendar, years beginning in March */
	y -= mon <= 2;

	int64_t		era = y / 400;
	int64_t		yoe = y - era * 400;
	int64_t		doy = (153 * (mon + (mon > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t		days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;

	*out = ((days * 24 + h) * 60 + min) * 60000000 + sec * 1000000 + us;
	return true;
}

class Decoder
{
public:
	/* false: not an event as bench/produce makes them */
	bool
	decode(const char *payload, size_t len, Fields *f)
	{
		if (len + simdjson::SIMDJSON_PADDING > buffer.size())
			buffer.resize(2 * len + simdjson::SIMDJSON_PADDING);
		memcpy(buffer.data(), payload, len);

		simdjson::ondemand::document doc;
		simdjson::ondemand::object object;
		std::string_view time;

		return parser.iterate(buffer.data(), len, buffer.size()).get(doc) == simdjson::SUCCESS &&
			doc.get_object().get(object) == simdjson::SUCCESS &&
			object["event_time"].get_string().get(time) == simdjson::SUCCESS &&
			parse_time(time, &f->time_us) &&
			object["ad_id"].get_int64().get(f->ad_id) == simdjson::SUCCESS &&
			object["page"].get_string().get(f->page) == simdjson::SUCCESS &&
			object["user_id"].get_int64().get(f->user_id) == simdjson::SUCCESS &&
			object["event_type"].get_string().get(f->event_type) == simdjson::SUCCESS &&
			object["amount"].get_double().get(f->amount) == simdjson::SUCCESS;
	}

	/* event_time, ad_id, page, user_id, event_type, amount, ip; nothing quoted */
	bool
	decode_csv(const char *payload, size_t len, Fields *f)
	{
		std::string_view fields[7];
		const char *end = payload + len;
		const char *p = payload;

		for (size_t i = 0; i < 7; i++)
		{
			const char *to = (const char *) memchr(p, ',', (size_t) (end - p));

			if ((to == nullptr) != (i == 6))
				return false;
			fields[i] = std::string_view(p, (size_t) ((to ? to : end) - p));
			if (to)
				p = to + 1;
		}
		f->page = fields[2];
		f->event_type = fields[4];
		return parse_time(fields[0], &f->time_us) && parse_number(fields[1], &f->ad_id) &&
			parse_number(fields[3], &f->user_id) && parse_number(fields[5], &f->amount);
	}

private:
	template <typename T> static bool
	parse_number(std::string_view s, T *out)
	{
		auto		result = std::from_chars(s.data(), s.data() + s.size(), *out);

		return result.ec == std::errc() && result.ptr == s.data() + s.size();
	}

	simdjson::ondemand::parser parser;
	std::vector<char> buffer = std::vector<char>(4096);
};

struct Group
{
	int64_t		window_us;
	int64_t		number;			/* campaign or user */
	std::string text;			/* page */
	uint64_t	hash;
	int64_t		count;
	int64_t		sum_cents;
	int64_t		min_cents;
	int64_t		max_cents;
};

/* Groups in the order of their making, found by linear probing. */
class Table
{
public:
	Table() : slots(1024, -1)
	{
	}

	Group &
	find(int64_t window_us, int64_t number, std::string_view text)
	{
		uint64_t	hash = mix((uint64_t) window_us ^ mix((uint64_t) number)) ^
			std::hash<std::string_view>()(text);
		size_t		mask = slots.size() - 1;
		size_t		at = hash & mask;

		for (; slots[at] >= 0; at = (at + 1) & mask)
		{
			Group	   &g = groups[(size_t) slots[at]];

			if (g.hash == hash && g.window_us == window_us && g.number == number && g.text == text)
				return g;
		}
		if (groups.size() * 2 >= slots.size())
		{
			grow();
			return find(window_us, number, text);
		}
		slots[at] = (int64_t) groups.size();
		groups.push_back({window_us, number, std::string(text), hash, 0, 0, INT64_MAX, INT64_MIN});
		return groups.back();
	}

	std::vector<Group> groups;

private:
	std::vector<int64_t> slots;

	static uint64_t
	mix(uint64_t x)
	{
		x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
		return x ^ (x >> 31);
	}

	void
	grow()
	{
		size_t		mask = slots.size() * 4 - 1;

		slots.assign(mask + 1, -1);
		for (size_t i = 0; i < groups.size(); i++)
		{
			size_t		at = groups[i].hash & mask;

			while (slots[at] >= 0)
				at = (at + 1) & mask;
			slots[at] = (int64_t) i;
		}
	}
};

void
aggregate(Table *table, Workload workload, const Fields &f, int64_t size_us, int64_t campaigns)
{
	int64_t		window_us = f.time_us - (f.time_us % size_us + size_us) % size_us;
	Group	   *g;
	int64_t		cents;

	switch (workload)
	{
		case Workload::TUMBLE:
			g = &table->find(window_us, 0, f.page);
			break;
		case Workload::JOIN:
			/* the table "ads" of bench/run: campaign of ad n is n modulo campaigns */
			if (f.event_type != "view")
				return;
			g = &table->find(window_us, f.ad_id % campaigns, {});
			break;
		default:
			g = &table->find(window_us, f.user_id, {});
			break;
	}
	cents = llround(f.amount * 100);
	g->count++;
	g->sum_cents += cents;
	if (cents < g->min_cents)
		g->min_cents = cents;
	if (cents > g->max_cents)
		g->max_cents = cents;
}

void
dump(const Table &table, const char *path)
{
	FILE	   *out = fopen(path, "w");

	if (out == nullptr)
		fail("could not open the dump", path);
	for (const Group &g : table.groups)
		fprintf(out, "%" PRId64 "\t%" PRId64 "\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n",
				g.window_us, g.number, g.text.c_str(), g.count, g.sum_cents, g.min_cents, g.max_cents);
	if (fclose(out) != 0)
		fail("could not write the dump", path);
}

const char	usage[] =
"Usage: ceiling consume|decode|aggregate --brokers HOST:PORT --topic NAME [OPTION...]\n"
"  --format F          json (default) or csv\n"
"  --workload W        of aggregate: tumble (default), join or groups\n"
"  --window US         its size (default 60000000)\n"
"  --campaigns N       of the join (default 100)\n"
"  --dump FILE         write the groups: window (us since 1970), number, text,\n"
"                      count, sum, min and max of the amount in cents\n";

}								/* namespace */

int
main(int argc, char **argv)
{
	static const option options[] = {
		{"brokers", required_argument, nullptr, 'b'},
		{"topic", required_argument, nullptr, 't'},
		{"format", required_argument, nullptr, 'f'},
		{"window", required_argument, nullptr, 's'},
		{"workload", required_argument, nullptr, 'w'},
		{"campaigns", required_argument, nullptr, 'c'},
		{"dump", required_argument, nullptr, 'd'},
		{"help", no_argument, nullptr, 'h'},
		{nullptr, 0, nullptr, 0}
	};
	const char *brokers = nullptr;
	const char *topic = nullptr;
	const char *dump_to = nullptr;
	int64_t		campaigns = 100;
	int64_t		size_us = 60000000;
	Format		format = Format::JSON;
	Workload	workload = Workload::TUMBLE;
	Mode		mode;
	char		errstr[512];
	int			opt;

	while ((opt = getopt_long(argc, argv, "", options, nullptr)) != -1)
	{
		switch (opt)
		{
			case 'b':
				brokers = optarg;
				break;
			case 't':
				topic = optarg;
				break;
			case 'f':
				if (strcmp(optarg, "json") == 0)
					format = Format::JSON;
				else if (strcmp(optarg, "csv") == 0)
					format = Format::CSV;
				else
					fail("no such format", optarg);
				break;
			case 's':
				size_us = atoll(optarg);
				break;
			case 'w':
				if (strcmp(optarg, "tumble") == 0)
					workload = Workload::TUMBLE;
				else if (strcmp(optarg, "join") == 0)
					workload = Workload::JOIN;
				else if (strcmp(optarg, "groups") == 0)
					workload = Workload::GROUPS;
				else
					fail("no such workload", optarg);
				break;
			case 'c':
				campaigns = atoll(optarg);
				break;
			case 'd':
				dump_to = optarg;
				break;
			case 'h':
				fputs(usage, stdout);
				return 0;
			default:
				fputs(usage, stderr);
				return 2;
		}
	}
	if (optind + 1 != argc || brokers == nullptr || topic == nullptr || campaigns <= 0 || size_us <= 0)
	{
		fputs(usage, stderr);
		return 2;
	}
	if (strcmp(argv[optind], "consume") == 0)
		mode = Mode::CONSUME;
	else if (strcmp(argv[optind], "decode") == 0)
		mode = Mode::DECODE;
	else if (strcmp(argv[optind], "aggregate") == 0)
		mode = Mode::AGGREGATE;
	else
		fail("no such mode", argv[optind]);

	const char *settings[][2] = {
		{"bootstrap.servers", brokers},
		{"group.id", "ceiling"},
		{"enable.auto.commit", "false"},
		{"enable.partition.eof", "true"},
		{"auto.offset.reset", "earliest"},
		{"queued.min.messages", "1000000"},
		{"queued.max.messages.kbytes", "262144"},
		{"fetch.message.max.bytes", "4194304"},
		{"fetch.max.bytes", "67108864"},
		/* else the end of a partition is told half a second late */
		{"fetch.wait.max.ms", "10"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	for (auto &setting : settings)
		if (rd_kafka_conf_set(conf, setting[0], setting[1], errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK)
			fail("wrong setting", errstr);

	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));

	if (rk == nullptr)
		fail("could not create the consumer", errstr);
	rd_kafka_poll_set_consumer(rk);

	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, nullptr);
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, rkt, &metadata, 30000);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = metadata->topics[0].err;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail(topic, rd_kafka_err2str(err));

	int			npartitions = metadata->topics[0].partition_cnt;
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(npartitions);

	for (int i = 0; i < npartitions; i++)
		rd_kafka_topic_partition_list_add(partitions, topic, metadata->topics[0].partitions[i].id)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_metadata_destroy(metadata);

	double		start = seconds(CLOCK_MONOTONIC);

	err = rd_kafka_assign(rk, partitions);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("could not assign the partitions", rd_kafka_err2str(err));
	rd_kafka_topic_partition_list_destroy(partitions);

	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
	std::vector<rd_kafka_message_t *> messages(POLL_MESSAGES);
	Decoder		decoder;
	Table		table;
	uint64_t	events = 0;
	uint64_t	bytes = 0;
	double		checksum = 0;	/* keeps the fields from being optimised away */
	int			at_end = 0;

	while (at_end < npartitions)
	{
		ssize_t		n = rd_kafka_consume_batch_queue(queue, POLL_TIMEOUT_MS, messages.data(), messages.size());

		if (n < 0)
			fail("could not consume", rd_kafka_err2str(rd_kafka_last_error()));
		for (ssize_t i = 0; i < n; i++)
		{
			rd_kafka_message_t *msg = messages[(size_t) i];

			if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
				at_end++;
			else if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
				fail("could not consume", rd_kafka_message_errstr(msg));
			else
			{
				events++;
				bytes += msg->len;
				if (mode != Mode::CONSUME)
				{
					Fields		f;

					if (!(format == Format::JSON ? decoder.decode((const char *) msg->payload, msg->len, &f) :
						  decoder.decode_csv((const char *) msg->payload, msg->len, &f)))
						fail("not an event", std::string((const char *) msg->payload, msg->len).c_str());
					if (mode == Mode::AGGREGATE)
						aggregate(&table, workload, f, size_us, campaigns);
					else
						checksum += f.amount + (double) (f.ad_id + f.user_id + f.time_us) +
							(double) (f.page.size() + f.event_type.size());
				}
			}
			rd_kafka_message_destroy(msg);
		}
	}

	double		elapsed = seconds(CLOCK_MONOTONIC) - start;
	rusage		ru;

	getrusage(RUSAGE_SELF, &ru);

	double		cpu = (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;

	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	if (mode == Mode::DECODE && !std::isfinite(checksum))
		fail("the fields make no sense", "their sum is not finite");
	if (dump_to != nullptr)
		dump(table, dump_to);
	printf("events=%" PRIu64 " seconds=%.3f events_per_s=%.0f cpu_s=%.2f bytes=%" PRIu64 " groups=%zu rss_mb=%.1f\n",
		   events, elapsed, (double) events / elapsed, cpu, bytes, table.groups.size(),
		   (double) ru.ru_maxrss / 1024);
	return 0;
}
