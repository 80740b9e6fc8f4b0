/*-------------------------------------------------------------------------
 * kafka_sender.h
 *		Rows of an outbox to a Kafka topic, each exactly once.
 *
 * A thread of its own with a transactional producer.  It sends parcels of
 * messages, one Kafka transaction each, that also commits the number of the
 * parcel's last message as an offset of a consumer group: what the topic has
 * got is known to the broker, whatever becomes of us.
 *
 *		main thread: open -> look until "known" -> give parcels, look -> close
 *-------------------------------------------------------------------------
 */
#ifndef SX_SINK_KAFKA_SENDER_H
#define SX_SINK_KAFKA_SENDER_H

#include "postgres.h"

#include "catalog/stream.h"
#include "source/source.h"

typedef struct SxParcelMessage
{
	int64		id;				/* ascending, from 1 */
	int64		timestamp_us;	/* TimestampTz; PG_INT64_MIN: now */
	int32		partition;		/* -1: by route, else by key, else any */
	bool		has_route;
	bool		has_key;
	bool		has_payload;	/* false: tombstone */
	size_t		start;			/* in bytes: route, key, payload */
	size_t		route_len;
	size_t		key_len;
	size_t		payload_len;
} SxParcelMessage;

/* malloc'd: it goes from thread to thread. */
typedef struct SxParcel
{
	struct SxParcel *next;
	int			nmsgs;
	int			maxmsgs;
	SxParcelMessage *msgs;
	size_t		nbytes;
	size_t		maxbytes;
	char	   *bytes;
} SxParcel;

/* NULL, false: out of memory.  msg->start is set here. */
extern SxParcel *sx_parcel_create(void);
extern bool sx_parcel_add(SxParcel *parcel, const SxParcelMessage *msg,
						  const char *route, const char *key,
						  const char *payload);
extern void sx_parcel_free(SxParcel *parcel);

typedef struct SxSender SxSender;

typedef enum SxSenderState
{
	SX_SENDER_CONNECTING,
	SX_SENDER_UP,
	SX_SENDER_DOWN,				/* tries again by itself */
	SX_SENDER_LOST,				/* to be closed and opened anew, later */
	SX_SENDER_TOO_LARGE,		/* message bad_id is more than the topic takes */
} SxSenderState;

typedef struct SxSenderStatus
{
	SxSenderState state;
	bool		known;			/* the next one is */
	int64		sent;			/* number of the last message that the topic
								 * has got; -1: the broker does not know */
	int			nqueued;		/* parcels given and not sent */
	int64		bad_id;
	int64		bad_bytes;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];	/* "" when none; no secrets */
} SxSenderStatus;

/*
 * sx_sender_open -- start to send to a stream's topic
 *
 * name: of this producer for all times: whoever opens another one of the same
 * name takes over from it.  wake_fd: an eventfd that is written to when there
 * is news.  malloc'd, needs sx_sender_close().  Does not wait for the
 * network.  ERROR if librdkafka refuses the settings.
 */
extern SxSender *sx_sender_open(const SxStream *sink, const char *name, int wake_fd);

/* Takes the parcel, which is freed when it is sent or the sender closed. */
extern void sx_sender_give(SxSender *sender, SxParcel *parcel);

extern void sx_sender_look(SxSender *sender, SxSenderStatus *status);

/* Ask it to end, without waiting for it. */
extern void sx_sender_stop(SxSender *sender);

/*
 * Ends the thread, aborts what is not committed, frees all; waits a second or
 * two at most.  *status: how far it came; NULL: nobody wants to know.
 */
extern void sx_sender_close(SxSender *sender, SxSenderStatus *status);

#endif							/* SX_SINK_KAFKA_SENDER_H */
