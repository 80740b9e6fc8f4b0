/*-------------------------------------------------------------------------
 * kafka_client.c
 *		librdkafka's handles, logs and questions to a broker.
 *
 * Threads: sx_kafka_drain, sx_kafka_destroy and sx_kafka_sqlstate call no
 * PostgreSQL function and may be used from threads of ours; all the rest
 * belongs to the main thread.
 *
 * librdkafka gets no callback of ours but one that says why a certificate was
 * refused.  What it has to say waits in its main
 * queue (log.queue, error events) until somebody polls.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/handle.h"
#include "source/kafka_client.h"

#define CLOSE_TIMEOUT_MS	5000

/* a question blocks the main thread for at most this long at a time */
#define FIRST_SLICE_MS	100
#define MAX_SLICE_MS	1000

/* when no broker answers at all, further waiting is in vain */
#define DOWN_GRACE_MS	1500

struct SxKafkaClient
{
	SxHandle   *handle;
	rd_kafka_t *rk;
	rd_kafka_queue_t *mainq;
	rd_kafka_topic_t *rkt;
	char	   *topic;
	char	   *servers;
	char	   *name;			/* of the stream, for messages */
	SxKafkaTrouble trouble;
	int64		down_since_ms;	/* 0: not down */
};

/* ---- clients ------------------------------------------------------------- */

rd_kafka_t *
sx_kafka_new(const SxStream *stream, SxKafkaRole role, rd_kafka_conf_t *conf)
{
	char		text[512];
	rd_kafka_t *rk;

	rk = rd_kafka_new(role == SX_KAFKA_PRODUCER || role == SX_KAFKA_SENDER ?
					  RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
					  conf, text, sizeof(text));
	if (rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
				 errmsg("could not make a Kafka client for stream %s: %s",
						stream->name, text),
				 errhint("Check the options of its server and user mapping.")));
	}
	rd_kafka_set_log_queue(rk, NULL);
	return rk;
}

void
sx_kafka_destroy_now(rd_kafka_t *rk)
{
	rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
#ifdef __GLIBC__
	/*
	 * What a consumer fetches ahead is allocated by its threads, each in an
	 * arena of its own, of which tens of megabytes would stay.
	 */
	(void) malloc_trim(0);
#endif
}

typedef struct Closing
{
	rd_kafka_t *rk;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool		done;
	bool		abandoned;		/* the one who waited has gone */
} Closing;

static void
free_closing(Closing *closing)
{
	pthread_cond_destroy(&closing->cond);
	pthread_mutex_destroy(&closing->lock);
	free(closing);
}

static void *
close_client(void *arg)
{
	Closing    *closing = arg;
	bool		abandoned;

	sx_kafka_destroy_now(closing->rk);

	pthread_mutex_lock(&closing->lock);
	closing->done = true;
	abandoned = closing->abandoned;
	pthread_cond_signal(&closing->cond);
	pthread_mutex_unlock(&closing->lock);
	if (abandoned)
		free_closing(closing);
	return NULL;
}

void
sx_kafka_destroy(rd_kafka_t *rk, int timeout_ms)
{
	Closing    *closing = malloc(sizeof(Closing));
	pthread_t	thread;
	sigset_t	all;
	sigset_t	before;
	struct timespec until;
	bool		done;
	int			rc = ENOMEM;

	if (closing != NULL)
	{
		closing->rk = rk;
		closing->done = closing->abandoned = false;
		pthread_mutex_init(&closing->lock, NULL);
		pthread_cond_init(&closing->cond, NULL);

		/* signals are for the main thread */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		rc = pthread_create(&thread, NULL, close_client, closing);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (rc != 0)
	{
		sx_kafka_destroy_now(rk);
		if (closing != NULL)
			free_closing(closing);
		return;
	}

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}

	pthread_mutex_lock(&closing->lock);
	while (!closing->done &&
		   pthread_cond_timedwait(&closing->cond, &closing->lock, &until) != ETIMEDOUT)
		;
	done = closing->done;
	closing->abandoned = !done;
	pthread_mutex_unlock(&closing->lock);

	if (done)
	{
		pthread_join(thread, NULL);
		free_closing(closing);
	}
	else
		pthread_detach(thread);
}

/*
 * librdkafka's errors say that a certificate was refused, its logs why: that is
 * what the callback in kafka_settings.c has told it.
 */
static void
take_log(rd_kafka_event_t *event, SxKafkaTrouble *trouble)
{
	static const char before[] = "callback failed: ";
	const char *facility;
	const char *text;
	const char *reason;
	int			level;

	if (rd_kafka_event_log(event, &facility, &text, &level) != 0 ||
		strcmp(facility, "SSLCERTVRFY") != 0 ||
		(reason = strstr(text, before)) == NULL)
		return;
	strlcpy(trouble->certificate, reason + sizeof(before) - 1,
			sizeof(trouble->certificate));
}

/* "...certificate verify failed", and why */
static void
explain_certificate(SxKafkaTrouble *trouble)
{
	static const char failed[] = "certificate verify failed";
	char	   *at = strstr(trouble->text, failed);
	size_t		len;

	if (at == NULL || trouble->certificate[0] == '\0')
		return;
	len = at - trouble->text + sizeof(failed) - 1;
	snprintf(trouble->text + len, sizeof(trouble->text) - len, ": %s",
			 trouble->certificate);
}

void
sx_kafka_take_event(rd_kafka_event_t *event, SxKafkaTrouble *trouble)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);

	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG)
		take_log(event, trouble);
	if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_ERROR)
		return;

	/* this one only counts brokers: the reason came before it */
	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		trouble->down = true;
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || trouble->text[0] == '\0')
	{
		trouble->err = err;
		strlcpy(trouble->text, text ? text : rd_kafka_err2str(err),
				sizeof(trouble->text));
		explain_certificate(trouble);
	}
}

bool
sx_kafka_drain(rd_kafka_queue_t *mainq, int timeout_ms, SxKafkaTrouble *trouble)
{
	rd_kafka_event_t *event;
	bool		any = false;

	while ((event = rd_kafka_queue_poll(mainq, any ? 0 : timeout_ms)) != NULL)
	{
		any = true;
		sx_kafka_take_event(event, trouble);
		rd_kafka_event_destroy(event);
	}
	return any;
}

const char *
sx_kafka_sqlstate(rd_kafka_resp_err_t err)
{
	switch (err)
	{
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
		case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
			return "28000";		/* invalid_authorization_specification */
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
			return "42501";		/* insufficient_privilege */
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return "42704";		/* undefined_object */
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return "55000";		/* object_not_in_prerequisite_state */
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
			return "54000";		/* program_limit_exceeded */
		default:
			return "08000";		/* connection_exception */
	}
}

/* ---- questions to a broker ------------------------------------------------ */

static void
destroy_client(void *object)
{
	SxKafkaClient *client = object;

	if (client->rkt != NULL)
		rd_kafka_topic_destroy(client->rkt);
	if (client->mainq != NULL)
		rd_kafka_queue_destroy(client->mainq);
	if (client->rk != NULL)
		sx_kafka_destroy(client->rk, CLOSE_TIMEOUT_MS);
}

SxKafkaClient *
sx_kafka_client_open(const SxStream *stream)
{
	SxKafkaClient *client = palloc0(sizeof(SxKafkaClient));
	const char *servers = sx_option_get(stream->server_options, "bootstrap_servers");
	const char *topic = sx_option_get(stream->table_options, "topic");

	client->topic = pstrdup(topic ? topic : "");
	client->servers = pstrdup(servers ? servers : "");
	client->name = pstrdup(stream->name);
	client->handle = sx_handle_create(destroy_client);
	client->handle->object = client;
	client->rk = sx_kafka_new(stream, SX_KAFKA_SCANNER,
							  sx_kafka_conf(stream, SX_KAFKA_SCANNER));
	client->mainq = rd_kafka_queue_get_main(client->rk);
	client->rkt = rd_kafka_topic_new(client->rk, client->topic, NULL);
	if (client->rkt == NULL)
		sx_kafka_client_error(client, rd_kafka_last_error(), NULL);
	return client;
}

void
sx_kafka_client_close(SxKafkaClient *client)
{
	sx_handle_destroy(client->handle);
}

rd_kafka_t *
sx_kafka_client_handle(SxKafkaClient *client)
{
	return client->rk;
}

const char *
sx_kafka_client_topic(SxKafkaClient *client)
{
	return client->topic;
}

void
sx_kafka_refused(const char *topic, const char *servers,
				 const char *stream_name, rd_kafka_resp_err_t err,
				 const char *text)
{
	const char *sqlstate = sx_kafka_sqlstate(err);

	if (strcmp(sqlstate, "42704") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist on \"%s\"",
						topic, servers),
				 errhint("Create the topic, or correct the option topic of stream %s.",
						 stream_name)));
	if (strcmp(sqlstate, "42501") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for topic \"%s\" on \"%s\": %s",
						topic, servers, text),
				 errhint("Grant access on the broker to the user of the user mapping.")));
	if (strcmp(sqlstate, "28000") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("Kafka at \"%s\" refuses the login: %s",
						servers, text),
				 errhint("Check sasl_username and sasl_password of the user mapping and the server's sasl and security options.")));
}

void
sx_kafka_client_error(SxKafkaClient *client, rd_kafka_resp_err_t err,
					  const char *text)
{
	if (text == NULL || text[0] == '\0')
		text = rd_kafka_err2str(err);
	sx_kafka_refused(client->topic, client->servers, client->name, err, text);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("could not reach Kafka at \"%s\": %s", client->servers, text),
			 errhint("Check that the broker runs and that the server's option bootstrap_servers is right.")));
}

static int64
now_ms(void)
{
	return GetCurrentTimestamp() / 1000;
}

/*
 * Between two tries of a question: raise what no retry cures, take in what
 * the client has to say, see whether there is time left.  Returns how long
 * the next try may take.
 */
static int
next_slice(SxKafkaClient *client, rd_kafka_resp_err_t err, int *slice,
		   int64 until_ms)
{
	int64		now;

	CHECK_FOR_INTERRUPTS();
	sx_kafka_drain(client->mainq, 0, &client->trouble);
	if (strcmp(sx_kafka_sqlstate(client->trouble.err), "28000") == 0)
		sx_kafka_client_error(client, client->trouble.err, client->trouble.text);

	now = now_ms();
	if (client->trouble.down)
	{
		/* said once, and over when an answer comes */
		if (client->down_since_ms == 0)
			client->down_since_ms = now;
		if (now - client->down_since_ms >= DOWN_GRACE_MS)
			sx_kafka_client_error(client, client->trouble.err, client->trouble.text);
	}
	if (now >= until_ms)
		sx_kafka_client_error(client, err, client->trouble.text);

	*slice = *slice == 0 ? FIRST_SLICE_MS : Min(*slice * 2, MAX_SLICE_MS);
	return Max(Min(*slice, until_ms - now), 1);
}

/* An answer came: what was complained about before is over. */
static void
answered(SxKafkaClient *client)
{
	memset(&client->trouble, 0, sizeof(client->trouble));
	client->down_since_ms = 0;
}

/* A moment's rest after an answer that only time changes. */
static void
rest(SxKafkaClient *client)
{
	sx_kafka_drain(client->mainq, 50, &client->trouble);
}

static bool
is_transient(rd_kafka_resp_err_t err)
{
	switch (err)
	{
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__WAIT_COORD:
		case RD_KAFKA_RESP_ERR__WAIT_CACHE:
		case RD_KAFKA_RESP_ERR__NO_OFFSET:
		case RD_KAFKA_RESP_ERR__NOENT:
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
		case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
		case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
			return true;
		default:
			return false;
	}
}

/* The topic's partitions, in a list of their numbers, ascending. */
static rd_kafka_resp_err_t
ask_partitions(SxKafkaClient *client, int timeout_ms, int32 **numbers, int *n)
{
	const struct rd_kafka_metadata *metadata;
	const rd_kafka_metadata_topic_t *topic;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(client->rk, 0, client->rkt, &metadata, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	if (metadata->topic_cnt != 1)
		err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	else
	{
		topic = &metadata->topics[0];
		err = topic->err;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt == 0)
			err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			*numbers = MemoryContextAllocExtended(CurrentMemoryContext,
												  topic->partition_cnt * sizeof(int32),
												  MCXT_ALLOC_NO_OOM);
			*n = topic->partition_cnt;
			if (*numbers == NULL)
				err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
			else
			{
				for (int i = 0; i < *n; i++)
					(*numbers)[i] = topic->partitions[i].id;
			}
		}
	}
	rd_kafka_metadata_destroy(metadata);
	return err;
}

static int
compare_int32(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return x < y ? -1 : x > y;
}

static void
destroy_list(void *list)
{
	rd_kafka_topic_partition_list_destroy((rd_kafka_topic_partition_list_t *) list);
}

/*
 * Offsets of these partitions at a time in ms, or at one of the special times
 * RD_KAFKA_OFFSET_BEGINNING and _END, which mean the same to the broker.
 * -1: no message is that young.
 */
static int64 *
ask_offsets(SxKafkaClient *client, const int32 *numbers, int n, int64 time,
			int64 until_ms)
{
	SxHandle   *handle = sx_handle_create(destroy_list);
	int64	   *result = palloc(n * sizeof(int64));
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_topic_partition_list_t *list;
	int			slice = 0;

	for (;;)
	{
		int			timeout_ms = next_slice(client, err, &slice, until_ms);

		list = rd_kafka_topic_partition_list_new(n);
		handle->object = list;
		for (int i = 0; i < n; i++)
			rd_kafka_topic_partition_list_add(list, client->topic, numbers[i])->offset = time;

		err = rd_kafka_offsets_for_times(client->rk, list, timeout_ms);
		for (int i = 0; i < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		{
			rd_kafka_topic_partition_t *found;

			found = rd_kafka_topic_partition_list_find(list, client->topic,
													   numbers[i]);
			if (found == NULL)
				err = RD_KAFKA_RESP_ERR__NO_OFFSET;
			else if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
				err = found->err;
			else
				result[i] = found->offset;
		}
		sx_handle_destroy(handle);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (!is_transient(err))
			sx_kafka_client_error(client, err, NULL);
		if (err != RD_KAFKA_RESP_ERR__TIMED_OUT)
			rest(client);
	}
	answered(client);
	return result;
}

int
sx_kafka_client_offsets(SxKafkaClient *client, int timeout_ms,
						SxKafkaPartition **partitions)
{
	int64		until_ms = now_ms() + timeout_ms;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
	int32	   *numbers = NULL;
	int64	   *lows;
	int64	   *ends;
	int			n = 0;
	int			slice = 0;

	for (;;)
	{
		int			wait_ms = next_slice(client, err, &slice, until_ms);

		err = ask_partitions(client, wait_ms, &numbers, &n);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (!is_transient(err))
			sx_kafka_client_error(client, err, NULL);
		if (err != RD_KAFKA_RESP_ERR__TIMED_OUT)
			rest(client);
	}
	answered(client);
	qsort(numbers, n, sizeof(int32), compare_int32);

	ends = ask_offsets(client, numbers, n, RD_KAFKA_OFFSET_END, until_ms);
	lows = ask_offsets(client, numbers, n, RD_KAFKA_OFFSET_BEGINNING, until_ms);

	*partitions = palloc(n * sizeof(SxKafkaPartition));
	for (int i = 0; i < n; i++)
	{
		(*partitions)[i].partition = numbers[i];
		(*partitions)[i].low = lows[i];
		(*partitions)[i].end = Max(ends[i], lows[i]);
	}
	pfree(numbers);
	pfree(lows);
	pfree(ends);
	return n;
}

int64 *
sx_kafka_client_offsets_for_time(SxKafkaClient *client,
								 const SxKafkaPartition *partitions,
								 int npartitions, int64 timestamp_us,
								 int timeout_ms)
{
	int64		time_ms = sx_kafka_time_to_ms(timestamp_us);
	int32	   *numbers = palloc(npartitions * sizeof(int32));
	int64	   *result;

	for (int i = 0; i < npartitions; i++)
		numbers[i] = partitions[i].partition;
	result = ask_offsets(client, numbers, npartitions, time_ms,
						 now_ms() + timeout_ms);
	for (int i = 0; i < npartitions; i++)
	{
		if (result[i] < 0)
			result[i] = partitions[i].end;
	}
	pfree(numbers);
	return result;
}
