/*-------------------------------------------------------------------------
 * kafka_producer.c
 *		Messages out to a Kafka topic, delivery reports in.
 *
 * Only failures are reported, as events in the client's main queue, taken out
 * while sending waits for room and in flush.  The first one counts.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/handle.h"
#include "sink/kafka_producer.h"
#include "source/kafka_client.h"

#define CLOSE_TIMEOUT_MS	5000

/* how long one wait blocks interrupts */
#define SLICE_MS			100

/* a queue that stays full this long will not empty */
#define FULL_TIMEOUT_MS		60000
#define SSL_TIMEOUT_MS		2000	/* no connection by TLS for so long */

struct SxKafkaProducer
{
	SxHandle   *handle;
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *mainq;
	char	   *topic;
	char	   *servers;
	char	   *name;			/* of the stream, for messages */
	rd_kafka_resp_err_t failed; /* first failure of a delivery */
	char		failed_text[SX_ERROR_LEN];
	SxKafkaTrouble trouble;
};

static void
destroy_producer(void *object)
{
	SxKafkaProducer *producer = object;

	if (producer->rk != NULL)
		rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE |
					   RD_KAFKA_PURGE_F_INFLIGHT |
					   RD_KAFKA_PURGE_F_NON_BLOCKING);
	if (producer->rkt != NULL)
		rd_kafka_topic_destroy(producer->rkt);
	if (producer->mainq != NULL)
		rd_kafka_queue_destroy(producer->mainq);
	if (producer->rk != NULL)
		sx_kafka_destroy(producer->rk, CLOSE_TIMEOUT_MS);
}

SxKafkaProducer *
sx_kafka_producer_open(const SxStream *stream)
{
	SxKafkaProducer *producer = palloc0(sizeof(SxKafkaProducer));
	const char *topic = sx_option_get(stream->table_options, "topic");
	const char *servers = sx_option_get(stream->server_options, "bootstrap_servers");
	rd_kafka_conf_t *conf;

	producer->topic = pstrdup(topic ? topic : "");
	producer->servers = pstrdup(servers ? servers : "");
	producer->name = pstrdup(stream->name);
	producer->handle = sx_handle_create(destroy_producer);
	producer->handle->object = producer;

	conf = sx_kafka_conf(stream, SX_KAFKA_PRODUCER);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
							 RD_KAFKA_EVENT_DR);
	producer->rk = sx_kafka_new(stream, SX_KAFKA_PRODUCER, conf);
	producer->mainq = rd_kafka_queue_get_main(producer->rk);
	producer->rkt = rd_kafka_topic_new(producer->rk, producer->topic, NULL);
	if (producer->rkt == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("cannot use topic \"%s\" of stream %s: %s",
						producer->topic, producer->name,
						rd_kafka_err2str(rd_kafka_last_error())),
				 errhint("Correct the option topic of the stream.")));
	return producer;
}

static void
failure(SxKafkaProducer *producer, rd_kafka_resp_err_t err, const char *text)
{
	const char *sqlstate = sx_kafka_sqlstate(err);
	int			code = ERRCODE_FDW_UNABLE_TO_CREATE_REPLY;

	if (text == NULL || text[0] == '\0')
		text = rd_kafka_err2str(err);
	if (err != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		sx_kafka_refused(producer->topic, producer->servers, producer->name, err, text);
	if (strcmp(sqlstate, "08000") != 0)
		code = MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2],
							 sqlstate[3], sqlstate[4]);
	ereport(ERROR,
			(errcode(code),
			 errmsg("could not write to topic \"%s\" on \"%s\": %s",
					producer->topic, producer->servers, text),
			 errhint("Check the broker, the topic and the options of stream %s.",
					 producer->name)));
}

static void
take_reports(SxKafkaProducer *producer, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *msg;

	while ((msg = rd_kafka_event_message_next(event)) != NULL)
	{
		if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
			producer->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			producer->failed = msg->err;
			strlcpy(producer->failed_text, rd_kafka_err2str(msg->err),
					sizeof(producer->failed_text));
		}
	}
}

/* Take events out of the main queue, waiting up to timeout_ms for the first. */
static void
serve(SxKafkaProducer *producer, int timeout_ms)
{
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(producer->mainq, timeout_ms)) != NULL)
	{
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
			take_reports(producer, event);
		else
			sx_kafka_take_event(event, &producer->trouble);
		rd_kafka_event_destroy(event);
		timeout_ms = 0;
	}
}

void
sx_kafka_producer_send(SxKafkaProducer *producer, const char *key,
					   size_t key_len, const char *payload,
					   size_t payload_len, int32 partition,
					   int64 timestamp_us)
{
	TimestampTz start = 0;
	int64		timestamp_ms = 0;

	if (timestamp_us != PG_INT64_MIN)
		timestamp_ms = sx_kafka_time_to_ms(timestamp_us);

	for (;;)
	{
		rd_kafka_resp_err_t err;

		err = rd_kafka_producev(producer->rk,
								RD_KAFKA_V_RKT(producer->rkt),
								RD_KAFKA_V_PARTITION(partition),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_KEY(key, key_len),
								RD_KAFKA_V_VALUE((void *) payload, payload_len),
								RD_KAFKA_V_TIMESTAMP(timestamp_ms),
								RD_KAFKA_V_END);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			failure(producer, err, NULL);

		/* full of batches that wait for company: send them off */
		CHECK_FOR_INTERRUPTS();
		if (start == 0)
			start = GetCurrentTimestamp();
		else if (GetCurrentTimestamp() - start > FULL_TIMEOUT_MS * INT64CONST(1000))
			failure(producer, err, producer->trouble.text);
		rd_kafka_flush(producer->rk, SLICE_MS);
		serve(producer, 0);
		if (producer->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
			failure(producer, producer->failed, producer->failed_text);
	}
}

void
sx_kafka_producer_flush(SxKafkaProducer *producer, int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();

	/* a failed message counts until its report is taken out */
	while (rd_kafka_outq_len(producer->rk) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		rd_kafka_flush(producer->rk, SLICE_MS);
		serve(producer, 0);
		if (producer->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (strcmp(sx_kafka_sqlstate(producer->trouble.err), "28000") == 0)
			failure(producer, producer->trouble.err, producer->trouble.text);

		/* certificates do not mend by themselves */
		if (producer->trouble.err == RD_KAFKA_RESP_ERR__SSL && producer->trouble.down &&
			GetCurrentTimestamp() - start >= SSL_TIMEOUT_MS * INT64CONST(1000))
			failure(producer, producer->trouble.err, producer->trouble.text);
		if (GetCurrentTimestamp() - start >= timeout_ms * INT64CONST(1000))
			failure(producer, RD_KAFKA_RESP_ERR__TIMED_OUT, producer->trouble.text);
	}
	if (producer->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
		failure(producer, producer->failed, producer->failed_text);
}

int
sx_kafka_producer_pending(SxKafkaProducer *producer)
{
	return rd_kafka_outq_len(producer->rk);
}

void
sx_kafka_producer_close(SxKafkaProducer *producer)
{
	sx_handle_destroy(producer->handle);
}
