/*-------------------------------------------------------------------------
 * fold_internal.h
 *		What a worker and its fold processes say to each other.
 *
 * One segment of shared memory per process: what it is to do (written before
 * it starts), a queue of messages to the worker, and a few words that both
 * look at.  Messages begin with an SxFoldMessage; structures follow each
 * other, MAXALIGNed.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_FOLD_INTERNAL_H
#define SX_WORKER_FOLD_INTERNAL_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "port/atomics.h"

#include "base/batch.h"
#include "source/source.h"

#define SX_FOLD_MAGIC		0x53584644

/* keys of the segment's table of contents */
#define SX_FOLD_KEY_ORDER	1
#define SX_FOLD_KEY_VIEWS	2
#define SX_FOLD_KEY_POSITIONS 3
#define SX_FOLD_KEY_QUEUE	4

/* What a process may have sent that the worker is not through with. */
#define SX_FOLD_MAX_OPEN	8

typedef struct SxFoldOrder
{
	Oid			stream;
	int			index;			/* its share: partitions p with p modulo
								 * "count" = index */
	int			count;
	int			nviews;
	int			npositions;

	volatile bool stop;			/* nobody wants more of it */

	/* the worker is through with so many of the chunks sent */
	pg_atomic_uint64 released;

	/* a question about late rows: the fields first, then the number */
	uint64		ask_chunk;
	Oid			ask_view;
	int64		ask_closed_us;
	pg_atomic_uint32 asked;
} SxFoldOrder;

typedef enum SxFoldMessageType
{
	SX_FOLD_CHUNK,				/* SxFoldChunk ... */
	SX_FOLD_STATUS,				/* SxFoldStatus, SxPartitionStatus ... */
	SX_FOLD_LATE,				/* SxFoldLate */
	SX_FOLD_GIVES_UP,			/* SxFoldGivesUp: its last word */
} SxFoldMessageType;

typedef struct SxFoldMessage
{
	SxFoldMessageType type;
} SxFoldMessage;

/* then SxFoldPosition ..., SxFoldReject and bytes ..., SxFoldRows and tuples ... */
typedef struct SxFoldChunk
{
	SxFoldMessageType type;
	int			npositions;
	int			nrejects;
	int			nviews;
	uint64		number;			/* 1, 2 ... */
	int64		nrows;
	int64		newest;
	int64		decode_us;
} SxFoldChunk;

typedef struct SxFoldPosition
{
	int32		partition;
	bool		came;
	bool		gone;
	int64		next_offset;
	int64		watermark_us;
	int64		first_offset;
} SxFoldPosition;

/* then error (with its NUL), key, payload */
typedef struct SxFoldReject
{
	SxReject	reject;			/* pointers: only whether there is something */
	Size		error_len;
} SxFoldReject;

typedef struct SxFoldRows
{
	Oid			view;
	int			ncols;
	uint32		types;
	int64		nrows;
	int64		execute_us;
	Size		bytes;			/* of the tuples that follow */
} SxFoldRows;

typedef struct SxFoldStatus
{
	SxFoldMessageType type;
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	int			npartitions;
} SxFoldStatus;

typedef struct SxFoldLate
{
	SxFoldMessageType type;
	int64		nrows;
} SxFoldLate;

typedef struct SxFoldGivesUp
{
	SxFoldMessageType type;
	bool		stale;
	char		error[SX_ERROR_LEN];
} SxFoldGivesUp;

/* Append, from the next MAXALIGNed place on. */
extern void sx_fold_put(StringInfo message, const void *data, Size size);

/* What is there, and on to the next; ERROR if there is less. */
extern const void *sx_fold_get(const char **from, const char *end, Size size);

/* The types of a plan's columns as one number. */
extern uint32 sx_fold_types(TupleDesc desc);

#endif							/* SX_WORKER_FOLD_INTERNAL_H */
