/*-------------------------------------------------------------------------
 * batch.h
 *		What flows through the rooms: schema, message, column batch, position.
 *
 * A source delivers SxMessages, decode/ turns a run of them into an SxBatch
 * (columns of Datums, all memory in the batch's arena), exec/ scans it.
 *
 * Nothing here calls PostgreSQL: everything in this file may be used from
 * threads of ours.  Memory is malloc'd; a batch is owned by one thread at a
 * time and handed over through a queue.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_BATCH_H
#define SX_BASE_BATCH_H

#include "postgres.h"

#ifdef __cplusplus
extern "C"
{
#endif

/* How a column's bytes become a Datum. */
typedef enum SxDecodeAs
{
	SX_AS_INPUT,				/* text, through the type's input function */
	SX_AS_BOOL,
	SX_AS_INT2,
	SX_AS_INT4,
	SX_AS_INT8,
	SX_AS_FLOAT4,
	SX_AS_FLOAT8,
	SX_AS_TEXT,					/* text, and varchar without length */
	SX_AS_BYTEA,				/* raw format: the bytes; others: input
								 * function */
	SX_AS_TIMESTAMPTZ,
	SX_AS_TIMESTAMP,
	SX_AS_DATE,
	SX_AS_UUID,
	SX_AS_JSON,					/* json: text of the value, as it is */
	SX_AS_JSONB,				/* JSON text of the value, through jsonb_in */
	SX_AS_ARRAY,				/* JSON array: as array literal through
								 * array_in */
} SxDecodeAs;

/* Column option "metadata": the value comes from the message's envelope. */
typedef enum SxMetadata
{
	SX_META_NONE,
	SX_META_PARTITION,			/* int */
	SX_META_OFFSET,				/* bigint */
	SX_META_TIMESTAMP,			/* timestamptz: the broker's, else arrival */
	SX_META_KEY,				/* text or bytea */
	SX_META_HEADERS,			/* jsonb, json or text: object of strings */
	SX_META_ARRIVAL_TIME,		/* timestamptz: when this server took it in */
} SxMetadata;

typedef enum SxEpoch
{
	SX_EPOCH_NONE,
	SX_EPOCH_S,
	SX_EPOCH_MS,
	SX_EPOCH_US,
} SxEpoch;

typedef struct SxColumn
{
	const char *name;			/* attribute name */
	bool		dropped;		/* no value: always NULL */
	Oid			typid;
	int32		typmod;
	Oid			elemtype;		/* for arrays, else InvalidOid */
	SxDecodeAs	decode_as;
	SxMetadata	metadata;
	SxEpoch		epoch;
	int			npath;			/* 0: the whole document */
	const char **path;			/* JSON path components */
	int			payload_index;	/* position among payload columns (csv), -1 */
} SxColumn;

typedef enum SxFormat
{
	SX_FORMAT_JSON,
	SX_FORMAT_CSV,
	SX_FORMAT_TEXT,
	SX_FORMAT_RAW,
} SxFormat;

/*
 * What a stream's rows look like.  Built once in the main thread by catalog/
 * (palloc'd or malloc'd, immutable afterwards), read by any thread.
 */
typedef struct SxSchema
{
	int			ncols;			/* = natts of the foreign table */
	SxColumn   *cols;
	SxFormat	format;
	bool		utf8;			/* server encoding is UTF8 (else text columns
								 * go through the main thread) */
	bool		wants_headers;	/* some column has metadata 'headers' */
	char		delimiter;		/* csv; default ',' */
	char		quote;			/* csv; default '"' */
	char		escape;			/* csv; default = quote */
	const char *null_string;	/* csv, text: unquoted text read as NULL */
} SxSchema;

/* One framed message.  Pointers live until the source's release(). */
typedef struct SxMessage
{
	const char *payload;		/* NULL: tombstone */
	size_t		payload_len;
	const char *key;			/* NULL: none */
	size_t		key_len;
	const char *headers;		/* JSON object text (NUL-terminated) or NULL */
	int32		partition;
	int64		position;		/* Kafka offset, journal position, row number */
	int64		timestamp_us;	/* broker's timestamp, TimestampTz */
	int64		arrival_us;		/* when it was taken in, TimestampTz */
} SxMessage;

/* Chain of malloc'd blocks, reset as a whole.  Not thread-safe by itself. */
typedef struct SxArenaBlock SxArenaBlock;
typedef struct SxArena
{
	SxArenaBlock *head;			/* block being filled */
	SxArenaBlock *spare;		/* kept for the next round */
	char	   *next;			/* first free byte in it, MAXALIGNed */
	char	   *end;
	size_t		used;			/* bytes handed out since the last reset */
	size_t		reserved;		/* bytes malloc'd */
} SxArena;

/* A cell whose text still has to go through the type's input function. */
typedef struct SxDeferred
{
	int			row;
	int			col;
	const char *text;			/* NUL-terminated, in the arena */
} SxDeferred;

#define SX_SQLSTATE_LEN 5

/* A message that does not decode: becomes a dead letter of the stream. */
typedef struct SxReject
{
	int32		partition;
	int64		position;
	int64		arrival_us;
	const char *key;			/* copies in the arena; NULL: none */
	size_t		key_len;
	const char *payload;
	size_t		payload_len;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	const char *error;			/* NUL-terminated, server encoding, arena */
} SxReject;

/* Where reading of one partition goes on. */
typedef struct SxPosition
{
	int32		partition;
	int64		next_offset;	/* next one to read; -1: as "start" says */
	int64		watermark_us;	/* TimestampTz; PG_INT64_MIN: none yet */
	const char *snapshot;		/* native streams: what has been read, as text
								 * (source/native_position.c); NULL for all
								 * others */
	bool		gone;			/* Kafka: what was read is not of the topic
								 * that there is; a batch tells it, progress
								 * has it */
	int64		first_offset;	/* where reading began: for the first save of
								 * a view's progress, else of no meaning; in a
								 * batch: as far as its rows do not tell */
} SxPosition;

/*
 * A run of rows as columns.  values[c][r] / nulls[c][r]; a NULL values[c]
 * means that the whole column is NULL (dropped).  Rows keep the order of
 * their messages.  Rejected messages take no row.
 */
typedef struct SxBatch
{
	const SxSchema *schema;
	int			nrows;
	int			maxrows;
	Datum	  **values;
	bool	  **nulls;
	int32	   *partition;		/* [row] */
	int64	   *position;		/* [row] */
	int64	   *timestamp_us;	/* [row] broker timestamp, or arrival */
	int64	   *arrival_us;		/* [row] */

	/*
	 * The raw message of each row, kept so that a row that fails later (input
	 * function, view expression) can become a dead letter with its bytes.
	 * Points into the arena; NULL payload: tombstone, or no bytes (native).
	 */
	const char **payload;
	size_t	   *payload_len;
	const char **key;
	size_t	   *key_len;

	int			ndeferred;
	int			maxdeferred;
	SxDeferred *deferred;

	int			nrejects;
	int			maxrejects;
	SxReject   *rejects;

	/* Where each partition that this batch touched goes on after it. */
	int			npositions;
	int			maxpositions;
	SxPosition *positions;

	int64		decode_us;		/* what it took to fill it */

	/*
	 * Rows that are not here, but what another process made of them
	 * (worker/fold.h); NULL: they are.
	 */
	struct SxFolded *folded;

	SxArena		arena;
	struct SxBatch *next;		/* for queues and free lists */
} SxBatch;

/* MAXALIGNed; NULL: out of memory */
extern void *sx_arena_alloc_slow(SxArena *arena, size_t size);

static inline void *
sx_arena_alloc(SxArena *arena, size_t size)
{
	size_t		aligned = MAXALIGN(size);

	if (likely(aligned > 0 && (size_t) (arena->end - arena->next) >= aligned))
	{
		void	   *result = arena->next;

		arena->next += aligned;
		arena->used += aligned;
		return result;
	}
	return sx_arena_alloc_slow(arena, size);
}

extern char *sx_arena_copy(SxArena *arena, const char *bytes, size_t len);	/* adds a NUL */
extern void sx_arena_reset(SxArena *arena); /* keeps up to 8 MB reserved */
extern void sx_arena_free(SxArena *arena);

/* NULL: out of memory. */
extern SxBatch *sx_batch_create(const SxSchema *schema, int maxrows);
extern void sx_batch_reset(SxBatch *batch);
extern void sx_batch_free(SxBatch *batch);

/* false: out of memory (the row, reject or cell was not added) */
extern bool sx_batch_reject(SxBatch *batch, const SxMessage *msg,
							const char *sqlstate, const char *fmt,...) pg_attribute_printf(4, 5);
extern bool sx_batch_defer(SxBatch *batch, int row, int col,
						   const char *text, size_t len);

/* The batch goes on there after it; NULL: out of memory. */
extern SxPosition *sx_batch_set_position(SxBatch *batch, int32 partition,
										 int64 next_offset);

/* Is what was read of any partition gone? */
extern bool sx_positions_gone(const SxPosition *positions, int n);

/* Close the gaps of the rows marked; deferred cells have to be resolved. */
extern void sx_batch_remove_rows(SxBatch *batch, const bool *remove);

/* bytes held: arena plus columns */
extern size_t sx_batch_bytes(const SxBatch *batch);

#ifdef __cplusplus
}
#endif

#endif							/* SX_BASE_BATCH_H */
