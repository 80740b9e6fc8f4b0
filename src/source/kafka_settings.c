/*-------------------------------------------------------------------------
 * kafka_settings.c
 *		librdkafka's settings: ours, and those of server and user mapping.
 *
 * Main thread.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef SX_TLS
#include <openssl/x509.h>
#endif

#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/handle.h"
#include "source/kafka_client.h"

#define SETTING_LEN		128

typedef struct Setting
{
	const char *name;
	const char *value;
} Setting;

static const Setting common_settings[] = {
	{"client.id", "streamx"},
	{"log.queue", "true"},
	{"allow.auto.create.topics", "false"},
	{"socket.keepalive.enable", "true"},
	{"reconnect.backoff.max.ms", "2000"},

	/*
	 * librdkafka's own default is GSSAPI, with the server's own ticket and by
	 * a command run in a shell.
	 */
	{"sasl.mechanisms", "PLAIN"},
};

static const Setting consumer_settings[] = {
	{"enable.partition.eof", "true"},
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.commit.enable", "false"},
	{"fetch.wait.max.ms", "100"},
	{"fetch.error.backoff.ms", "100"},
	{"fetch.max.bytes", "16777216"},

	/* of all partitions of a stream that a client reads: see bench/PROFILE.md */
	{"queued.min.messages", "50000"},
	{"queued.max.messages.kbytes", "16384"},
};

static const Setting reader_settings[] = {
	{"auto.offset.reset", "error"},
};

/*
 * An answer names all partitions, and librdkafka looks each up among all of
 * its topics.  It comes at once when there is something in any of them: what
 * waits is a partition that is started meanwhile, and the news of an end.
 */
static const Setting crowd_settings[] = {
	{"fetch.wait.max.ms", CppAsString2(SX_KAFKA_CROWD_WAIT_MS)},
};

static const Setting scanner_settings[] = {
	{"auto.offset.reset", "earliest"},
};

static const Setting producer_settings[] = {
	{"enable.idempotence", "true"},
	/* what arrived needs no report: then flush sees by itself when all is out */
	{"delivery.report.only.error", "true"},
	/* as Kafka's own clients do it: a key goes to the same partition */
	{"partitioner", "murmur2_random"},
	/* what is too large is for the broker to say */
	{"message.max.bytes", "104857600"},
	/* a topic that does not exist is an error soon */
	{"topic.metadata.propagation.max.ms", "2000"},
	{"batch.num.messages", "10000"},
	{"queue.buffering.max.kbytes", "131072"},
	{"queue.buffering.max.messages", "500000"},
};

static const Setting statement_settings[] = {
	/* nothing leaves before a batch is full or the flush */
	{"linger.ms", "900000"},
	{"message.timeout.ms", "3600000"},
};

static const Setting sender_settings[] = {
	{"linger.ms", "1000"},
	/* a message may take as long as its transaction */
	{"transaction.timeout.ms", "60000"},
};

/* exactness or the way we poll depends on these */
static const char *const reserved_settings[] = {
	"allow.auto.create.topics",
	"auto.commit.enable",
	"auto.commit.interval.ms",
	"auto.offset.reset",
	"builtin.features",
	"delivery.report.only.error",
	"enable.auto.commit",
	"enable.auto.offset.store",
	"enable.gapless.guarantee",
	"enable.idempotence",
	"enable.partition.eof",
	"enabled_events",
	"internal.termination.signal",
	"isolation.level",
	"linger.ms",
	"log.queue",
	"message.timeout.ms",
	"delivery.timeout.ms",
	"queue.buffering.max.ms",
	"offset.store.method",
	"offset.store.path",
	"offset.store.sync.interval.ms",
	"opaque",
	"produce.offset.report",
	"statistics.interval.ms",
	"test.mock.broker.rtt",
	"test.mock.num.brokers",
	"transactional.id",
};

/* they read files, load code, run a command or call an address */
static const char *const superuser_settings[] = {
	"debug",
	"plugin.library.paths",
	"ssl.ca.certificate.stores",
	"ssl.engine.id",
	"ssl.providers",
};

static const char *const superuser_prefixes[] = {
	"https.ca.",
	"sasl.kerberos.",
	"sasl.oauthbearer.",
	"ssl.engine.",
};

/* the name of a user is none, but belongs to the password */
static const char *const secret_settings[] = {
	"sasl.username",
	"sasl.password",
	"sasl.oauthbearer.client.secret",
	"sasl.oauthbearer.config",
	"ssl.key.password",
	"ssl.key.pem",
	"ssl.keystore.password",
};

static bool
is_listed(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

#define IS_LISTED(name, list) is_listed(name, list, lengthof(list))

static bool
ends_with(const char *name, const char *end)
{
	size_t		len = strlen(name);
	size_t		end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* librdkafka's spelling: dots, but for two names with underscores of its own */
static const char *
setting_name(const char *name, char *buf)
{
	strlcpy(buf, name, SETTING_LEN);
	if (strcmp(name, "log_level") != 0 && !ends_with(name, "_cb"))
	{
		for (char *p = buf; *p != '\0'; p++)
		{
			if (*p == '_')
				*p = '.';
		}
	}
	return buf;
}

bool
sx_kafka_option_needs_superuser(const char *name, const char *value)
{
	char		buf[SETTING_LEN];

	name = setting_name(name, buf);
	if (IS_LISTED(name, superuser_settings) || ends_with(name, ".location"))
		return true;
	for (int i = 0; i < lengthof(superuser_prefixes); i++)
	{
		if (strncmp(name, superuser_prefixes[i],
					strlen(superuser_prefixes[i])) == 0)
			return true;
	}

	/* Kerberos is the server's own ticket; OAUTHBEARER calls an address */
	if (strcmp(name, "sasl.mechanism") == 0 ||
		strcmp(name, "sasl.mechanisms") == 0)
		return pg_strncasecmp(value, "PLAIN", 5) != 0 &&
			pg_strncasecmp(value, "SCRAM-", 6) != 0;
	return false;
}

bool
sx_kafka_option_is_secret(const char *name)
{
	char		buf[SETTING_LEN];

	return IS_LISTED(setting_name(name, buf), secret_settings);
}

bool
sx_kafka_option_is_login(const char *name)
{
	char		buf[SETTING_LEN];

	name = setting_name(name, buf);
	return strncmp(name, "sasl.", 5) == 0 || strncmp(name, "ssl.", 4) == 0;
}

SxKafkaOptionCheck
sx_kafka_option_check(const char *name, const char *value,
					  char *error, size_t error_size)
{
	char		buf[SETTING_LEN];
	char		text[512];
	rd_kafka_conf_t *conf;
	rd_kafka_conf_res_t res;

	if (strlen(name) >= SETTING_LEN)
	{
		strlcpy(error, "no such setting", error_size);
		return SX_KAFKA_OPTION_UNKNOWN;
	}
	name = setting_name(name, buf);
	if (IS_LISTED(name, reserved_settings) || ends_with(name, "_cb"))
	{
		strlcpy(error, "streamx sets it itself", error_size);
		return SX_KAFKA_OPTION_RESERVED;
	}

	/* merely setting this one loads the libraries */
	if (strcmp(name, "plugin.library.paths") == 0)
		return SX_KAFKA_OPTION_OK;

	conf = rd_kafka_conf_new();
	res = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
	rd_kafka_conf_destroy(conf);

	switch (res)
	{
		case RD_KAFKA_CONF_OK:
			return SX_KAFKA_OPTION_OK;
		case RD_KAFKA_CONF_UNKNOWN:
			strlcpy(error, "no such setting", error_size);
			return SX_KAFKA_OPTION_UNKNOWN;
		default:
			strlcpy(error, sx_kafka_option_is_secret(name) ?
					"not accepted" : text, error_size);
			return SX_KAFKA_OPTION_INVALID;
	}
}

/* Candidates of rd_kafka_conf_dump(); keeps the nearest one in *best. */
static void
consider_names(const char *name, const char **dump, size_t n,
			   int *distance, char **best)
{
	size_t		len = strlen(name);

	for (size_t i = 0; i + 1 < n; i += 2)
	{
		const char *candidate = dump[i];
		int			d;

		if (IS_LISTED(candidate, reserved_settings) ||
			ends_with(candidate, "_cb") || strlen(candidate) > 200)
			continue;
		d = varstr_levenshtein_less_equal(name, len, candidate,
										  strlen(candidate), 1, 1, 1,
										  *distance, true);
		if (d < *distance)
		{
			*distance = d;
			if (*best != NULL)
				pfree(*best);
			*best = pstrdup(candidate);
		}
	}
}

char *
sx_kafka_option_nearest(const char *name)
{
	char		buf[SETTING_LEN];
	rd_kafka_conf_t *conf;
	rd_kafka_topic_conf_t *topic_conf;
	const char **dump;
	size_t		n;
	int			distance;
	char	   *best = NULL;

	if (strlen(name) >= SETTING_LEN)
		return NULL;
	name = setting_name(name, buf);
	distance = Max((int) strlen(name) / 2, 1);

	/* the levenshtein function only raises for longer strings than these */
	conf = rd_kafka_conf_new();
	dump = rd_kafka_conf_dump(conf, &n);
	consider_names(name, dump, n, &distance, &best);
	rd_kafka_conf_dump_free(dump, n);
	rd_kafka_conf_destroy(conf);

	topic_conf = rd_kafka_topic_conf_new();
	dump = rd_kafka_topic_conf_dump(topic_conf, &n);
	consider_names(name, dump, n, &distance, &best);
	rd_kafka_conf_dump_free(dump, n);
	rd_kafka_topic_conf_destroy(topic_conf);
	return best;
}

#ifdef SX_TLS
/*
 * In librdkafka's threads, so no PostgreSQL function: OpenSSL's verdict on a
 * broker's certificate stands, and the reason gets into librdkafka's log.
 */
static int
judge_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
				  int *x509_error, int depth, const char *buf, size_t size,
				  char *errstr, size_t errstr_size, void *opaque)
{
	const char *reason;

	if (*x509_error == X509_V_OK)
		return 1;
	reason = X509_verify_cert_error_string(*x509_error);
	strlcpy(errstr, reason ? reason : "not to be trusted", errstr_size);
	return 0;
}
#endif

static void
destroy_conf(void *conf)
{
	rd_kafka_conf_destroy((rd_kafka_conf_t *) conf);
}

static void
apply_settings(rd_kafka_conf_t *conf, const Setting *settings, int n)
{
	char		text[512];

	for (int i = 0; i < n; i++)
	{
		if (rd_kafka_conf_set(conf, settings[i].name, settings[i].value,
							  text, sizeof(text)) != RD_KAFKA_CONF_OK)
			elog(ERROR, "librdkafka refuses \"%s\": %s", settings[i].name, text);
	}
}

#define APPLY_SETTINGS(conf, settings) \
	apply_settings(conf, settings, lengthof(settings))

static void
apply_options(rd_kafka_conf_t *conf, const SxStream *stream, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		char		buf[SETTING_LEN];
		char		text[512];
		const char *name;

		if (strlen(def->defname) >= SETTING_LEN)
			continue;
		name = setting_name(def->defname, buf);
		if (IS_LISTED(name, reserved_settings))
			continue;
		if (rd_kafka_conf_set(conf, name, defGetString(def),
							  text, sizeof(text)) != RD_KAFKA_CONF_OK)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("cannot use option \"%s\" of the server of stream %s: %s",
							def->defname, stream->name,
							sx_kafka_option_is_secret(name) ? "not accepted" : text),
					 errhint("Change or drop it by ALTER SERVER or ALTER USER MAPPING.")));
	}
}

rd_kafka_conf_t *
sx_kafka_conf(const SxStream *stream, SxKafkaRole role)
{
	SxHandle   *handle = sx_handle_create(destroy_conf);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *isolation;
	char		text[512];

	handle->object = conf;
	APPLY_SETTINGS(conf, common_settings);
	if (role == SX_KAFKA_PRODUCER || role == SX_KAFKA_SENDER)
	{
		APPLY_SETTINGS(conf, producer_settings);
		if (role == SX_KAFKA_PRODUCER)
			APPLY_SETTINGS(conf, statement_settings);
		else
			APPLY_SETTINGS(conf, sender_settings);
	}
	else
	{
		APPLY_SETTINGS(conf, consumer_settings);
		if (role == SX_KAFKA_READER || role == SX_KAFKA_CROWD)
			APPLY_SETTINGS(conf, reader_settings);
		if (role == SX_KAFKA_CROWD)
			APPLY_SETTINGS(conf, crowd_settings);
		if (role == SX_KAFKA_SCANNER)
			APPLY_SETTINGS(conf, scanner_settings);

		isolation = sx_option_get(stream->table_options, "isolation");
		if (rd_kafka_conf_set(conf, "isolation.level",
							  isolation ? isolation : "read_committed",
							  text, sizeof(text)) != RD_KAFKA_CONF_OK)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
					 errmsg("cannot use isolation \"%s\" of stream %s",
							isolation, stream->name),
					 errhint("It is read_committed or read_uncommitted.")));

		/* since 2.2 only: without it full queues are looked at once a second */
		(void) rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "10",
								 text, sizeof(text));
	}
#ifdef SX_TLS
	(void) rd_kafka_conf_set_ssl_cert_verify_cb(conf, judge_certificate);
#endif
	apply_options(conf, stream, stream->server_options);
	apply_options(conf, stream, stream->user_options);

	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	handle->object = NULL;
	return conf;
}
