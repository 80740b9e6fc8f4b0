/*-------------------------------------------------------------------------
 * kafka_sender.c
 *		Rows of an outbox to a Kafka topic, each exactly once.
 *
 * Thread rules: sender_main() and what it calls never call PostgreSQL.  The
 * mutex guards parcels and status; librdkafka's client belongs to the thread
 * from its start to its end.  Signals are blocked in it.
 *
 *		CONNECTING: initialize transactions (which ends those of whoever had
 *			 |		our name before), see that the topic is there, ask which
 *			 v		offset was committed last
 *			 UP		begin, produce, send the offset, commit: per parcel
 *			 |
 *			 +--> DOWN: abort, the same parcel again after a rest
 *			 +--> LOST, TOO_LARGE: nothing more; the main thread's turn
 *
 * Each question to the broker waits SLICE_MS at most and is asked again, so
 * that an end of the worker is never far.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sink/kafka_sender.h"
#include "source/kafka_client.h"

#define SLICE_MS			500
#define ABORT_MS			1000	/* the last one, at the end */
#define CLOSE_TIMEOUT_MS	2000
#define REST_MIN_MS			100
#define REST_MAX_MS			5000
#define GRACE_MS			2000
#define IDLE_MS				10000	/* between looks at what librdkafka says */
#define PARTITIONS_MS		30000	/* their number is good for so long */

/* one by one, so many messages go into a transaction */
#define CAREFUL_MSGS		500

struct SxSender
{
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *mainq;
	rd_kafka_consumer_group_metadata_t *group;
	rd_kafka_t *asker;			/* a consumer, only to ask for the offset */
	rd_kafka_queue_t *askerq;
	char	   *topic;
	char	   *servers;
	char	   *name;
	int			wake_fd;
	pthread_t	thread;
	bool		running;		/* main thread's view */

	pthread_mutex_t mutex;
	pthread_cond_t cond;
	/* under the mutex */
	bool		stop;
	SxParcel   *head;
	SxParcel   *tail;
	SxSenderStatus status;

	/* the thread's */
	SxKafkaTrouble trouble;
	bool		ready;
	bool		in_transaction;
	bool		careful;		/* one message per request */
	int			rest_ms;
	int64		trouble_ms;		/* nothing goes since then; 0: it does */
	int32		npartitions;
	int64		partitions_ms;	/* when it was asked; 0: not yet */
	rd_kafka_resp_err_t failed; /* first failure of a delivery */
	char		failed_text[SX_ERROR_LEN];
	int			failed_msg;
};

/* ---- parcels ----------------------------------------------------------------- */

SxParcel *
sx_parcel_create(void)
{
	return calloc(1, sizeof(SxParcel));
}

bool
sx_parcel_add(SxParcel *parcel, const SxParcelMessage *msg, const char *route,
			  const char *key, const char *payload)
{
	size_t		need = msg->route_len + msg->key_len + msg->payload_len;
	SxParcelMessage *to;
	char	   *bytes;

	if (parcel->nmsgs == parcel->maxmsgs)
	{
		int			max = parcel->maxmsgs ? parcel->maxmsgs * 2 : 64;
		SxParcelMessage *msgs = realloc(parcel->msgs, max * sizeof(SxParcelMessage));

		if (msgs == NULL)
			return false;
		parcel->msgs = msgs;
		parcel->maxmsgs = max;
	}
	if (parcel->nbytes + need > parcel->maxbytes)
	{
		size_t		max = Max(parcel->maxbytes * 2, parcel->nbytes + need + 8192);

		bytes = realloc(parcel->bytes, max);
		if (bytes == NULL)
			return false;
		parcel->bytes = bytes;
		parcel->maxbytes = max;
	}
	to = &parcel->msgs[parcel->nmsgs++];
	*to = *msg;
	to->start = parcel->nbytes;
	bytes = parcel->bytes + parcel->nbytes;
	if (msg->route_len > 0)
		memcpy(bytes, route, msg->route_len);
	if (msg->key_len > 0)
		memcpy(bytes + msg->route_len, key, msg->key_len);
	if (msg->payload_len > 0)
		memcpy(bytes + msg->route_len + msg->key_len, payload, msg->payload_len);
	parcel->nbytes += need;
	return true;
}

void
sx_parcel_free(SxParcel *parcel)
{
	free(parcel->msgs);
	free(parcel->bytes);
	free(parcel);
}

/* ---- what the threads tell each other ------------------------------------------ */

static int64
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* With the mutex held, up to so long or until somebody has news for us. */
static void
wait_ms(SxSender *s, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&s->cond, &s->mutex, &until);
}

static bool
stopping(SxSender *s)
{
	bool		stop;

	pthread_mutex_lock(&s->mutex);
	stop = s->stop;
	pthread_mutex_unlock(&s->mutex);
	return stop;
}

static void
wake(SxSender *s)
{
	uint64		one = 1;
	ssize_t		rc;

	do
		rc = write(s->wake_fd, &one, sizeof(one));
	while (rc < 0 && errno == EINTR);
}

static void
tell(SxSender *s, SxSenderState state, const char *sqlstate, const char *text)
{
	bool		news;

	pthread_mutex_lock(&s->mutex);
	news = s->status.state != state || strcmp(s->status.error, text) != 0;
	s->status.state = state;
	strlcpy(s->status.sqlstate, sqlstate, sizeof(s->status.sqlstate));
	strlcpy(s->status.error, text, sizeof(s->status.error));
	pthread_mutex_unlock(&s->mutex);
	if (news)
		wake(s);
}

/* Trouble with the broker or the topic, in one sentence. */
static void
tell_trouble(SxSender *s, SxSenderState state, rd_kafka_resp_err_t err,
			 const char *text)
{
	const char *sqlstate = sx_kafka_sqlstate(err);
	char		sentence[SX_ERROR_LEN];

	/* what passes at once, as while a broker starts, is not worth a word */
	if (s->trouble_ms == 0)
		s->trouble_ms = now_ms();
	if (state == SX_SENDER_DOWN && strcmp(sqlstate, "08000") == 0 &&
		now_ms() - s->trouble_ms < GRACE_MS)
		return;

	/* time-outs say less than what librdkafka complained about meanwhile */
	if ((err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT) &&
		s->trouble.text[0] != '\0')
	{
		text = s->trouble.text;
		sqlstate = sx_kafka_sqlstate(s->trouble.err);
	}
	else if (text == NULL || text[0] == '\0')
		text = rd_kafka_err2str(err);
	if (strcmp(sqlstate, "42704") == 0 && err != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		snprintf(sentence, sizeof(sentence), "topic \"%s\" does not exist on \"%s\"",
				 s->topic, s->servers);
	else
		snprintf(sentence, sizeof(sentence), "could not write to topic \"%s\" on \"%s\": %s",
				 s->topic, s->servers, text);
	tell(s, state, sqlstate, sentence);
}

/* The same from an error object, which is freed. */
static void
tell_error(SxSender *s, SxSenderState state, rd_kafka_error_t *error)
{
	tell_trouble(s, state, rd_kafka_error_code(error), rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

static void
all_is_well(SxSender *s)
{
	memset(&s->trouble, 0, sizeof(s->trouble));
	s->rest_ms = 0;
	s->trouble_ms = 0;
	tell(s, SX_SENDER_UP, "", "");
}

/* A rest after something went wrong, longer each time. */
static void
rest(SxSender *s)
{
	s->rest_ms = s->rest_ms == 0 ? REST_MIN_MS : Min(s->rest_ms * 2, REST_MAX_MS);
	pthread_mutex_lock(&s->mutex);
	if (!s->stop)
		wait_ms(s, s->rest_ms);
	pthread_mutex_unlock(&s->mutex);
}

/* ---- what librdkafka says by itself --------------------------------------------- */

static void
take_reports(SxSender *s, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *msg;

	while ((msg = rd_kafka_event_message_next(event)) != NULL)
	{
		/* what an abort throws away is no failure */
		if (msg->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
			msg->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
			msg->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
			s->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		s->failed = msg->err;
		s->failed_msg = (int) (intptr_t) msg->_private;
		strlcpy(s->failed_text, rd_kafka_err2str(msg->err), sizeof(s->failed_text));
	}
}

static void
serve(SxSender *s, int timeout_ms)
{
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(s->mainq, timeout_ms)) != NULL)
	{
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
			take_reports(s, event);
		else
			sx_kafka_take_event(event, &s->trouble);
		rd_kafka_event_destroy(event);
		timeout_ms = 0;
	}
}

/* ---- getting ready ----------------------------------------------------------------- */

/* Ask until it is done (NULL), there is a reason to give up, or we are to stop. */
#define UNTIL_DONE(s, error, call) \
	do { \
		int64 started_ = now_ms(); \
		error = (call); \
		serve(s, 0); \
		if (error == NULL || !rd_kafka_error_is_retriable(error) || \
			rd_kafka_error_is_fatal(error) || \
			rd_kafka_error_txn_requires_abort(error) || stopping(s)) \
			break; \
		tell_error(s, SX_SENDER_DOWN, error); \
		error = NULL; \
		if (now_ms() - started_ < SLICE_MS / 2) \
			rest(s); \
	} while (true)

static bool
learn_partitions(SxSender *s)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;

	if (s->partitions_ms != 0 && now_ms() - s->partitions_ms < PARTITIONS_MS)
		return true;
	err = rd_kafka_metadata(s->rk, 0, s->rkt, &metadata, SLICE_MS);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (metadata->topic_cnt != 1)
			err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		else if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			err = metadata->topics[0].err;
		else if (metadata->topics[0].partition_cnt == 0)
			err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		else
			s->npartitions = metadata->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(metadata);
	}
	serve(s, 0);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		tell_trouble(s, SX_SENDER_DOWN, err, NULL);
		return false;
	}
	s->partitions_ms = now_ms();
	return true;
}

/* The offset that our group has committed: *sent, -1 if there is none. */
static bool
learn_sent(SxSender *s, int64 *sent)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;

	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, s->topic, 0);
	err = rd_kafka_committed(s->asker, list, SLICE_MS);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		err = list->elems[0].err;
	*sent = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
	rd_kafka_topic_partition_list_destroy(list);
	(void) sx_kafka_drain(s->askerq, 0, &s->trouble);
	serve(s, 0);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		tell_trouble(s, SX_SENDER_DOWN, err, NULL);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
destroy_asker(SxSender *s)
{
	if (s->askerq != NULL)
		rd_kafka_queue_destroy(s->askerq);
	if (s->asker != NULL)
		sx_kafka_destroy(s->asker, CLOSE_TIMEOUT_MS);
	s->askerq = NULL;
	s->asker = NULL;
}

/* false: not yet, or never (then the state says so). */
static bool
get_ready(SxSender *s)
{
	rd_kafka_error_t *error;
	int64		sent = -1;

	UNTIL_DONE(s, error, rd_kafka_init_transactions(s->rk, SLICE_MS));
	if (error != NULL)
	{
		tell_error(s, SX_SENDER_LOST, error);
		return false;
	}
	while (!stopping(s) && !(learn_partitions(s) && learn_sent(s, &sent)))
		rest(s);
	if (stopping(s))
		return false;
	destroy_asker(s);

	s->ready = true;
	pthread_mutex_lock(&s->mutex);
	s->status.known = true;
	s->status.sent = sent;
	pthread_mutex_unlock(&s->mutex);
	all_is_well(s);
	return true;
}

/* ---- one transaction ----------------------------------------------------------------- */

typedef enum Outcome
{
	OUTCOME_SENT,
	OUTCOME_AGAIN,
	OUTCOME_OVER,				/* nothing more with this client */
} Outcome;

/* Back to before the transaction. */
static Outcome
take_back(SxSender *s)
{
	rd_kafka_error_t *error;

	if (!s->in_transaction)
		return OUTCOME_AGAIN;

	/* an abort waits until what is thrown away has been reported */
	rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	serve(s, 0);
	UNTIL_DONE(s, error, rd_kafka_abort_transaction(s->rk, SLICE_MS));
	if (error != NULL)
	{
		tell_error(s, SX_SENDER_LOST, error);
		return OUTCOME_OVER;
	}
	s->in_transaction = false;
	return OUTCOME_AGAIN;
}

static Outcome
went_wrong(SxSender *s, rd_kafka_error_t *error)
{
	if (rd_kafka_error_is_fatal(error) || !rd_kafka_error_txn_requires_abort(error))
	{
		tell_error(s, SX_SENDER_LOST, error);
		return OUTCOME_OVER;
	}
	tell_error(s, SX_SENDER_DOWN, error);
	return take_back(s);
}

/* A message was not taken. */
static Outcome
not_delivered(SxSender *s, const SxParcel *parcel)
{
	bool		too_large = s->failed == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	s->failed == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
	Outcome		outcome;

	tell_trouble(s, SX_SENDER_DOWN, s->failed, s->failed_text);
	s->partitions_ms = 0;		/* it may name one that comes to be */
	outcome = take_back(s);
	if (!too_large || outcome != OUTCOME_AGAIN)
		return outcome;

	/* it may have been many together: see each one alone */
	if (!s->careful)
	{
		s->careful = true;
		return OUTCOME_AGAIN;
	}
	pthread_mutex_lock(&s->mutex);
	s->status.state = SX_SENDER_TOO_LARGE;
	s->status.bad_id = parcel->msgs[s->failed_msg].id;
	s->status.bad_bytes = parcel->msgs[s->failed_msg].payload_len;
	pthread_mutex_unlock(&s->mutex);
	wake(s);
	return OUTCOME_OVER;
}

/* Until the brokers have all that was produced, something failed, or stop. */
static void
flush(SxSender *s)
{
	while (rd_kafka_outq_len(s->rk) > 0 &&
		   s->failed == RD_KAFKA_RESP_ERR_NO_ERROR && !stopping(s))
	{
		rd_kafka_flush(s->rk, 100);
		serve(s, 0);
	}
}

static rd_kafka_resp_err_t
produce(SxSender *s, const SxParcel *parcel, int i)
{
	const SxParcelMessage *msg = &parcel->msgs[i];
	const char *route = parcel->bytes + msg->start;
	const char *key = route + msg->route_len;
	const char *payload = key + msg->key_len;
	int32		partition = msg->partition;

	if (partition < 0 && msg->has_route)
		partition = rd_kafka_msg_partitioner_murmur2(s->rkt, route, msg->route_len,
													 s->npartitions, NULL, NULL);
	for (;;)
	{
		rd_kafka_resp_err_t err;

		err = rd_kafka_producev(s->rk,
								RD_KAFKA_V_RKT(s->rkt),
								RD_KAFKA_V_PARTITION(partition < 0 ? RD_KAFKA_PARTITION_UA : partition),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_KEY(msg->has_key ? key : NULL, msg->key_len),
								RD_KAFKA_V_VALUE(msg->has_payload ? (void *) payload : NULL,
												 msg->payload_len),
								RD_KAFKA_V_TIMESTAMP(msg->timestamp_us == PG_INT64_MIN ? 0 :
													 sx_kafka_time_to_ms(msg->timestamp_us)),
								RD_KAFKA_V_OPAQUE((void *) (intptr_t) i),
								RD_KAFKA_V_END);
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return err;
		if (stopping(s) || s->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
			return RD_KAFKA_RESP_ERR_NO_ERROR;
		rd_kafka_flush(s->rk, 100);
		serve(s, 0);
	}
}

/* Messages [first, end) of the parcel, and the number of the last of them. */
static Outcome
send_range(SxSender *s, const SxParcel *parcel, int first, int end)
{
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_error_t *error;

	if (!learn_partitions(s))
		return OUTCOME_AGAIN;
	s->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
	error = rd_kafka_begin_transaction(s->rk);
	if (error != NULL)
		return went_wrong(s, error);
	s->in_transaction = true;

	for (int i = first; i < end; i++)
	{
		rd_kafka_resp_err_t err = produce(s, parcel, i);

		if (err == RD_KAFKA_RESP_ERR__STATE || err == RD_KAFKA_RESP_ERR__FATAL)
			break;				/* what follows says why */
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR &&
			s->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			s->failed = err;
			s->failed_msg = i;
			strlcpy(s->failed_text, rd_kafka_err2str(err), sizeof(s->failed_text));
		}
		if (s->careful)
			flush(s);
		if (s->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
	}
	flush(s);
	if (stopping(s))
		return OUTCOME_OVER;
	if (s->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
		return not_delivered(s, parcel);

	offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(offsets, s->topic, 0)->offset = parcel->msgs[end - 1].id;
	UNTIL_DONE(s, error, rd_kafka_send_offsets_to_transaction(s->rk, offsets, s->group, SLICE_MS));
	rd_kafka_topic_partition_list_destroy(offsets);
	if (error != NULL)
		return went_wrong(s, error);
	if (stopping(s))
		return OUTCOME_OVER;
	UNTIL_DONE(s, error, rd_kafka_commit_transaction(s->rk, SLICE_MS));
	if (error != NULL)
		return went_wrong(s, error);
	s->in_transaction = false;

	pthread_mutex_lock(&s->mutex);
	s->status.sent = parcel->msgs[end - 1].id;
	pthread_mutex_unlock(&s->mutex);
	all_is_well(s);
	return OUTCOME_SENT;
}

static Outcome
send_parcel(SxSender *s, const SxParcel *parcel)
{
	int			i = 0;

	/* what an attempt before this one has committed already */
	while (i < parcel->nmsgs && parcel->msgs[i].id <= s->status.sent)
		i++;
	while (i < parcel->nmsgs)
	{
		int			end = s->careful ? Min(i + CAREFUL_MSGS, parcel->nmsgs) : parcel->nmsgs;
		Outcome		outcome = send_range(s, parcel, i, end);

		if (outcome != OUTCOME_SENT)
			return outcome;
		i = end;
	}
	return OUTCOME_SENT;
}

/* ---- the thread ------------------------------------------------------------------------ */

/* The parcel to send next, still in the queue; NULL: none came for a while. */
static const SxParcel *
next_parcel(SxSender *s)
{
	const SxParcel *parcel;

	pthread_mutex_lock(&s->mutex);
	if (s->head == NULL && !s->stop)
		wait_ms(s, IDLE_MS);
	parcel = s->stop ? NULL : s->head;
	pthread_mutex_unlock(&s->mutex);
	return parcel;
}

static void
drop_parcel(SxSender *s)
{
	SxParcel   *parcel;

	pthread_mutex_lock(&s->mutex);
	parcel = s->head;
	s->head = parcel->next;
	if (s->head == NULL)
		s->tail = NULL;
	s->status.nqueued--;
	pthread_mutex_unlock(&s->mutex);
	sx_parcel_free(parcel);
	wake(s);
}

static void *
sender_main(void *arg)
{
	SxSender   *s = arg;
	bool		over = false;

	while (!over && !stopping(s))
	{
		const SxParcel *parcel;

		if (!s->ready)
		{
			over = !get_ready(s);
			continue;
		}
		parcel = next_parcel(s);
		if (parcel == NULL)
		{
			serve(s, 0);
			continue;
		}
		switch (send_parcel(s, parcel))
		{
			case OUTCOME_SENT:
				drop_parcel(s);
				break;
			case OUTCOME_AGAIN:
				rest(s);
				break;
			case OUTCOME_OVER:
				over = true;
				break;
		}
	}

	/* readers shall not wait for it until it times out */
	if (s->in_transaction)
	{
		rd_kafka_error_t *error = rd_kafka_abort_transaction(s->rk, ABORT_MS);

		if (error != NULL)
			rd_kafka_error_destroy(error);
	}
	return NULL;
}

/* ---- main thread ------------------------------------------------------------------------- */

static void
free_sender(SxSender *s)
{
	while (s->head != NULL)
	{
		SxParcel   *next = s->head->next;

		sx_parcel_free(s->head);
		s->head = next;
	}
	if (s->group != NULL)
		rd_kafka_consumer_group_metadata_destroy(s->group);
	if (s->rkt != NULL)
		rd_kafka_topic_destroy(s->rkt);
	destroy_asker(s);
	if (s->mainq != NULL)
		rd_kafka_queue_destroy(s->mainq);
	if (s->rk != NULL)
		sx_kafka_destroy(s->rk, CLOSE_TIMEOUT_MS);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->mutex);
	free(s->topic);
	free(s->servers);
	free(s->name);
	free(s);
}

static void
start_thread(SxSender *s)
{
	sigset_t	all;
	sigset_t	before;
	int			rc;

	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, sender_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
	{
		errno = rc;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread to send rows to Kafka: %m"),
				 errhint("Raise the limit of threads of the server's user.")));
	}
	s->running = true;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
	{
		rd_kafka_conf_destroy(conf);
		elog(ERROR, "librdkafka refuses \"%s\": %s", name, text);
	}
}

static void
open_clients(SxSender *s, const SxStream *sink)
{
	rd_kafka_conf_t *conf = sx_kafka_conf(sink, SX_KAFKA_SENDER);

	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
							 RD_KAFKA_EVENT_DR);
	set(conf, "transactional.id", s->name);
	s->rk = sx_kafka_new(sink, SX_KAFKA_SENDER, conf);

	/*
	 * A producer could ask as well, but as it has no group of its own,
	 * librdkafka crashes when told that the coordinator has moved.  Not an
	 * offset that a transaction at hand may still change.
	 */
	conf = sx_kafka_conf(sink, SX_KAFKA_SCANNER);
	set(conf, "group.id", s->name);
	set(conf, "isolation.level", "read_committed");
	s->asker = sx_kafka_new(sink, SX_KAFKA_SCANNER, conf);
	s->askerq = rd_kafka_queue_get_main(s->asker);
}

SxSender *
sx_sender_open(const SxStream *sink, const char *name, int wake_fd)
{
	SxSender   *s = calloc(1, sizeof(SxSender));
	const char *topic = sx_option_get(sink->table_options, "topic");
	const char *servers = sx_option_get(sink->server_options, "bootstrap_servers");
	pthread_condattr_t attr;

	if (s == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &attr);
	pthread_condattr_destroy(&attr);
	s->wake_fd = wake_fd;
	s->status.sent = -1;
	PG_TRY();
	{
		s->topic = strdup(topic ? topic : "");
		s->servers = strdup(servers ? servers : "");
		s->name = strdup(name);
		if (s->topic == NULL || s->servers == NULL || s->name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		open_clients(s, sink);
		s->mainq = rd_kafka_queue_get_main(s->rk);
		s->group = rd_kafka_consumer_group_metadata_new(name);
		s->rkt = rd_kafka_topic_new(s->rk, s->topic, NULL);
		if (s->rkt == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("cannot use topic \"%s\" of stream %s: %s",
							s->topic, sink->name,
							rd_kafka_err2str(rd_kafka_last_error())),
					 errhint("Correct the option topic of the stream.")));
		start_thread(s);
	}
	PG_CATCH();
	{
		free_sender(s);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return s;
}

void
sx_sender_give(SxSender *s, SxParcel *parcel)
{
	parcel->next = NULL;
	pthread_mutex_lock(&s->mutex);
	if (s->tail != NULL)
		s->tail->next = parcel;
	else
		s->head = parcel;
	s->tail = parcel;
	s->status.nqueued++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
}

void
sx_sender_look(SxSender *s, SxSenderStatus *status)
{
	pthread_mutex_lock(&s->mutex);
	*status = s->status;
	pthread_mutex_unlock(&s->mutex);
}

void
sx_sender_stop(SxSender *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stop = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
}

void
sx_sender_close(SxSender *s, SxSenderStatus *status)
{
	if (s->running)
	{
		sx_sender_stop(s);
		pthread_join(s->thread, NULL);
	}
	if (status != NULL)
		*status = s->status;
	free_sender(s);
}
