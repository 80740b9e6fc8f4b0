/*-------------------------------------------------------------------------
 * kafka_insert.c
 *		Rows inserted into a Kafka stream, to its topic.
 *
 * Kafka takes no part in our transaction.  What is inserted is kept here, up
 * to work_mem, until the transaction is about to commit: then it is sent and
 * the acknowledgements are waited for, so that COMMIT fails if the brokers
 * did not take it.  What a ROLLBACK (to a savepoint too) takes back is not
 * sent.  Only where a transaction inserts more than that, the first of it is
 * sent ahead, and stays in the topic whatever becomes of the transaction.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "fdw/kafka_insert.h"
#include "sink/encode.h"
#include "sink/kafka_producer.h"

/* How long COMMIT waits for the brokers. */
#define FLUSH_TIMEOUT_MS	30000

/* A message that is kept back; key and payload follow it. */
typedef struct KeptMessage
{
	slist_node	node;			/* newest first */
	SubTransactionId subid;
	SxKafkaProducer *producer;
	bool		has_key;
	bool		has_payload;
	size_t		key_len;
	size_t		payload_len;
	int32		partition;
	int64		timestamp_us;
} KeptMessage;

/* A producer of this transaction. */
typedef struct TopicProducer
{
	slist_node	node;
	Oid			relid;
	char	   *topic;
	SxKafkaProducer *producer;
} TopicProducer;

struct SxKafkaInsert
{
	SxEncoder  *encoder;
	SxKafkaProducer *producer;
};

/* All of this is in a context that ends with the transaction. */
static MemoryContext insert_cxt = NULL;
static slist_head producers = SLIST_STATIC_INIT(producers);
static slist_head kept = SLIST_STATIC_INIT(kept);
static slist_head sending = SLIST_STATIC_INIT(sending); /* oldest first */
static size_t kept_bytes = 0;	/* of both lists */

static size_t
message_size(const KeptMessage *msg)
{
	return sizeof(KeptMessage) + msg->key_len + msg->payload_len;
}

/*
 * Hand what was kept back to librdkafka, in the order of insertion.  What an
 * error leaves over stays kept: if it only costs a subtransaction, the rows
 * of the others are still to be sent.
 */
static void
send_kept(void)
{
	while (!slist_is_empty(&kept))
		slist_push_head(&sending, slist_pop_head_node(&kept));
	PG_TRY();
	{
		while (!slist_is_empty(&sending))
		{
			KeptMessage *msg = slist_head_element(KeptMessage, node, &sending);
			const char *key = (const char *) (msg + 1);

			sx_kafka_producer_send(msg->producer,
								   msg->has_key ? key : NULL, msg->key_len,
								   msg->has_payload ? key + msg->key_len : NULL,
								   msg->payload_len,
								   msg->partition, msg->timestamp_us);
			slist_pop_head_node(&sending);
			kept_bytes -= message_size(msg);
			pfree(msg);
		}
	}
	PG_FINALLY();
	{
		while (!slist_is_empty(&sending))
			slist_push_head(&kept, slist_pop_head_node(&sending));
	}
	PG_END_TRY();
}

static void
forget_all(void)
{
	insert_cxt = NULL;
	slist_init(&producers);
	slist_init(&kept);
	slist_init(&sending);
	kept_bytes = 0;
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	slist_iter	iter;
	MemoryContext cxt = insert_cxt;

	if (cxt == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			send_kept();
			slist_foreach(iter, &producers)
			{
				TopicProducer *p = slist_container(TopicProducer, node, iter.cur);

				sx_kafka_producer_flush(p->producer, FLUSH_TIMEOUT_MS);
			}
			break;
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has inserted into a Kafka stream"),
					 errhint("Use COMMIT, or insert into the Kafka stream in a transaction of its own.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			/* closes the producers, and drops what they have not sent */
			forget_all();
			MemoryContextDelete(cxt);
			break;
		default:
			break;
	}
}

/* Take back what a subtransaction inserted. */
static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB || insert_cxt == NULL)
		return;

	/* what came after its start is its own, or of those inside it */
	while (!slist_is_empty(&kept))
	{
		KeptMessage *msg = slist_head_element(KeptMessage, node, &kept);

		if (msg->subid < subid)
			break;
		slist_pop_head_node(&kept);
		kept_bytes -= message_size(msg);
		pfree(msg);
	}
}

/* The transaction's producer for this stream. */
static SxKafkaProducer *
get_producer(const SxStream *stream)
{
	static bool registered = false;
	const char *topic = sx_option_get(stream->table_options, "topic");
	slist_iter	iter;
	MemoryContext oldcxt;
	TopicProducer *p;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_event, NULL);
		RegisterSubXactCallback(at_subtransaction_event, NULL);
		registered = true;
	}
	if (insert_cxt == NULL)
		insert_cxt = AllocSetContextCreate(TopTransactionContext,
										   "streamx Kafka inserts",
										   ALLOCSET_DEFAULT_SIZES);
	slist_foreach(iter, &producers)
	{
		p = slist_container(TopicProducer, node, iter.cur);
		if (p->relid == stream->relid && strcmp(p->topic, topic) == 0)
			return p->producer;
	}
	oldcxt = MemoryContextSwitchTo(insert_cxt);
	p = palloc0(sizeof(TopicProducer));
	p->relid = stream->relid;
	p->topic = pstrdup(topic);
	p->producer = sx_kafka_producer_open(stream);
	slist_push_head(&producers, &p->node);
	MemoryContextSwitchTo(oldcxt);
	return p->producer;
}

SxKafkaInsert *
sx_fdw_kafka_insert_begin(const SxStream *stream)
{
	SxKafkaInsert *insert = palloc0(sizeof(SxKafkaInsert));

	insert->encoder = sx_encode_create(stream->schema);
	insert->producer = get_producer(stream);
	return insert;
}

void
sx_fdw_kafka_insert_row(SxKafkaInsert *insert, TupleTableSlot *slot)
{
	SxEncoded	row;
	KeptMessage *msg;
	char	   *bytes;

	slot_getallattrs(slot);
	sx_encode_row(insert->encoder, slot->tts_values, slot->tts_isnull, &row);

	msg = MemoryContextAllocHuge(insert_cxt, sizeof(KeptMessage) +
								 row.key_len + row.payload_len);
	memset(msg, 0, sizeof(KeptMessage));
	msg->subid = GetCurrentSubTransactionId();
	msg->producer = insert->producer;
	msg->partition = row.partition;
	msg->timestamp_us = row.timestamp_us;
	bytes = (char *) (msg + 1);
	if (row.key != NULL)
	{
		msg->has_key = true;
		msg->key_len = row.key_len;
		memcpy(bytes, row.key, row.key_len);
	}
	if (row.payload != NULL)
	{
		msg->has_payload = true;
		msg->payload_len = row.payload_len;
		memcpy(bytes + msg->key_len, row.payload, row.payload_len);
	}
	slist_push_head(&kept, &msg->node);
	kept_bytes += message_size(msg);
	if (kept_bytes > (size_t) work_mem * 1024)
		send_kept();
}

void
sx_fdw_kafka_insert_end(SxKafkaInsert *insert)
{
	pfree(insert);
}
