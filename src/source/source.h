/*-------------------------------------------------------------------------
 * source.h
 *		Where messages come from: one table of callbacks per kind.
 *
 * Two families:
 *	 message sources (kafka, socket): poll() delivers framed messages, which
 *	 decode/ turns into columns;
 *	 row sources (native, generator): fill() writes rows into a batch itself.
 *
 * "threaded" sources are polled from a reader thread of the worker; their
 * poll/release must not call PostgreSQL.  All the others run in the main
 * thread inside a transaction that the caller has open.
 *
 * A source knows nothing of views; positions in, messages and positions out.
 * It opens no transaction.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_SOURCE_H
#define SX_SOURCE_SOURCE_H

#include "base/batch.h"
#include "catalog/stream.h"

typedef struct SxSource SxSource;

typedef enum SxConnState
{
	SX_CONN_CONNECTING,
	SX_CONN_UP,
	SX_CONN_DOWN,				/* retries with back-off by itself */
	SX_CONN_FAILED,				/* goes on only after a change by the user */
} SxConnState;

#define SX_ERROR_LEN 256

/* Per partition, as far as the source knows. */
typedef struct SxPartitionStatus
{
	int32		partition;
	int64		end_offset;		/* first offset not yet there; -1: unknown */
	int64		next_offset;	/* next one that poll/fill will deliver */
	bool		at_end;			/* everything that was there has been read */
} SxPartitionStatus;

typedef struct SxSourceStatus
{
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];	/* "" when none; no secrets */
	int			npartitions;
	SxPartitionStatus *partitions;	/* malloc'd by status(), freed by caller
									 * with free() */
} SxSourceStatus;

typedef struct SxSourceOps
{
	const char *kind;			/* server TYPE; "native" for server streamx */
	bool		threaded;
	bool		replayable;		/* the source gives again what a crash took */

	/*
	 * Main thread.  Makes the client; does not wait for the network.  ERROR
	 * only for what no retry cures (bad option).  Freed by close().
	 */
	SxSource   *(*open) (const SxStream *stream);

	/*
	 * Main thread, before the first poll and after each rollback: go on from
	 * these positions.  A partition that is not named (also one added later)
	 * starts as the stream's "start" option says; if npositions is 0 then all
	 * do.  start: the view's own option or NULL for the stream's.
	 */
	void		(*seek) (SxSource *source, const SxPosition *positions,
						 int npositions, const char *start);

	/*
	 * Optional, main thread, before a seek: read only the partitions p with p
	 * modulo "count" = index.  Others do not exist for poll and status.
	 */
	void		(*share) (SxSource *source, int index, int count);

	/*
	 * Message sources.  Up to max_msgs messages, waiting up to timeout_ms (0:
	 * not at all).  Returns their number, 0: none.  Messages live until
	 * release().  A position that moves without a message (transaction
	 * markers up to a partition's end) is reported in *moved (array owned by
	 * the source, valid until the next poll).  It also returns when "changes"
	 * was raised.
	 */
	int			(*poll) (SxSource *source, SxMessage *msgs, int max_msgs,
						 int timeout_ms, const SxPosition **moved, int *nmoved);
	void		(*release) (SxSource *source);

	/*
	 * Threaded sources, any thread: a poll that waits, and every one until
	 * the next seek, returns at once.
	 */
	void		(*wake) (SxSource *source);

	/*
	 * Row sources, main thread in a transaction: append up to batch->maxrows
	 * - batch->nrows rows and set positions.  Returns rows appended (0:
	 * nothing to read now).
	 */
	int			(*fill) (SxSource *source, SxBatch *batch);

	/*
	 * Optional, main thread in a transaction of its own: take in what arrived
	 * (socket: lines to the journal).  Returns true if anything did.
	 */
	bool		(*intake) (SxSource *source);

	/* Any thread. */
	void		(*status) (SxSource *source, SxSourceStatus *status);

	/*
	 * A file descriptor that becomes readable when there may be something to
	 * take in or read, for the worker's wait; -1: none, look again after
	 * poll_interval_ms().
	 */
	int			(*wait_fd) (SxSource *source);
	int			(*poll_interval_ms) (SxSource *source);

	/* Main thread, after the reader thread was joined.  Bounded in time. */
	void		(*close) (SxSource *source);
} SxSourceOps;

struct SxSource
{
	const SxSourceOps *ops;
	uint32		changes;		/* threaded: raised by poll when status() has
								 * something new to say */
	bool		wants_seek;		/* threaded: set by poll: it would go on
								 * elsewhere after a seek; until that, atomic */
	/* kinds embed this as their first member */
};

/* The callbacks of a kind; NULL: no such kind. */
extern const SxSourceOps *sx_source_ops(const char *kind);

#endif							/* SX_SOURCE_SOURCE_H */
