/*-------------------------------------------------------------------------
 * stream.h
 *		A stream as the catalog describes it: foreign table, server, options.
 *-------------------------------------------------------------------------
 */
#ifndef SX_CATALOG_STREAM_H
#define SX_CATALOG_STREAM_H

#include "base/batch.h"
#include "nodes/pg_list.h"

typedef enum SxOnError
{
	SX_ON_ERROR_DEAD_LETTER,
	SX_ON_ERROR_STOP,
	SX_ON_ERROR_SKIP,
} SxOnError;

/*
 * Everything about one stream, palloc'd in the context that was current;
 * valid until the relation's or its server's next invalidation (a copy: does
 * not change under the reader).
 */
typedef struct SxStream
{
	Oid			relid;
	Oid			serverid;
	Oid			owner;			/* of the foreign table */
	char	   *name;			/* quoted, qualified as needed: for messages */
	const char *kind;			/* "kafka", "socket", "generator", "native" */
	SxSchema   *schema;
	int			event_time_col; /* index into schema->cols; -1: arrival (for
								 * Kafka the message's timestamp) */
	bool		has_watermark;	/* option watermark given, or arrival time */
	int64		watermark_us;	/* how far it runs behind */
	int64		idle_timeout_us;	/* 0: never; default 30 s */
	int64		max_ahead_us;	/* default 1 day */
	SxOnError	on_error;
	bool		continue_on_loss;	/* Kafka: option on_data_loss */
	const char *start;			/* "earliest", "latest" or a timestamp */
	List	   *table_options;	/* DefElem, all options of the foreign table */
	List	   *server_options; /* DefElem */
	List	   *user_options;	/* DefElem, of the user mapping of "owner" (or
								 * PUBLIC); secrets: never print */
} SxStream;

/*
 * sx_stream_get -- read a stream's definition
 *
 * user: whose user mapping applies (a view's owner in a worker, the caller in
 * a SELECT).  ERROR if the relation is no stream.
 */
extern SxStream *sx_stream_get(Oid relid, Oid user);

/*
 * Do both mean the same stream with the same columns and options?  Then what
 * was opened by one of them need not be opened anew.
 */
extern bool sx_stream_same(const SxStream *a, const SxStream *b);

/* Is this relation a foreign table of the wrapper streamx?  Cheap. */
extern bool sx_stream_is(Oid relid);

/* All of the database: Oids. */
extern List *sx_stream_list(void);

/* The value of an option as string, or NULL. */
extern const char *sx_option_get(const List *options, const char *name);

#endif							/* SX_CATALOG_STREAM_H */
