/*-------------------------------------------------------------------------
 * view.h
 *		A continuous view as the catalog describes it; typed reads and writes
 *		of streamx.continuous_views, view_streams and view_counters.
 *
 * All of these need the extension in the current database (see
 * sx_extension_oid) and an open transaction.  They read and write as the
 * extension's owner: what the current user may do is the caller's question.
 *-------------------------------------------------------------------------
 */
#ifndef SX_CATALOG_VIEW_H
#define SX_CATALOG_VIEW_H

#include "postgres.h"

#include "catalog/dependency.h"
#include "nodes/pg_list.h"

typedef struct SxView
{
	Oid			relid;			/* result table: the view's identity */
	int			id;
	Oid			query;			/* stored query, a view in streamx_state */
	Oid			state;			/* state table or InvalidOid */
	List	   *parts;			/* Oids; of a derived view: per core its
								 * hidden table and state table, or
								 * InvalidOid; then, where it joins streams,
								 * per side the table of its rows */
	List	   *value_sets;		/* Oids: tables of the values that DISTINCT
								 * aggregates have seen; of a derived view:
								 * those of its cores, one after the other */
	Oid			owner;			/* of the result table */
	char	   *name;			/* qualified, quoted: for messages */
	bool		final;			/* emit = 'final' */
	bool		keep_late;		/* late = 'keep' */
	bool		has_retention;
	int64		lateness_us;
	int64		retention_us;
	int64		batch_interval_us;
	char	   *start;			/* NULL: the stream's */
	char	   *final_column;	/* or NULL */
	char	   *notify;			/* channel or NULL */
	Oid			sink;			/* stream that gets the rows too, or
								 * InvalidOid */
	Oid			outbox;			/* where they wait to be sent: Kafka sinks */
	char	   *sink_name;		/* the view's as a producer to Kafka */
	char	   *key;			/* column that is the messages' key, or NULL */
	int64		period_us;		/* of the result's partitions; 0: it is an
								 * ordinary table */
	char	   *partition_by;	/* column whose hash picks the partition */
	List	   *settings;		/* DefElem: GUC name, String value */
	List	   *streams;		/* Oids; of its sources, if it has any */
	List	   *sources;		/* Oids: views that it reads instead of
								 * streams */
	const char *on_replace;		/* of the statement, not kept: what becomes of
								 * a view that is there; NULL: not said */
	bool		paused;
	char	   *sqlstate;		/* stopped because; NULL: not stopped */
	char	   *error;
} SxView;

typedef struct SxViewCounters
{
	int64		rows_in;
	int64		rows_out;
	int64		rows_late;
	int64		dead_letters;
	int64		batches;
	int64		watermark_us;	/* of the view; PG_INT64_MIN: none yet */
	int64		outbox;			/* rows written to the outbox: the number of
								 * the last one */
} SxViewCounters;

/*
 * Is streamx installed in this database?  Cached, invalidated by relcache or
 * syscache messages; false while it is being created, dropped or upgraded.
 */
extern bool sx_extension_exists(void);

/* palloc'd; NULL: relid is no continuous view.  Reads a fresh snapshot. */
extern SxView *sx_view_get(Oid relid);

/* Cheap (cached per relation): is this the result table of a view? */
extern bool sx_view_is(Oid relid);

/* Result table of the view that owns this stored query, state or outbox */
extern Oid	sx_view_of_part(Oid relid);

/* ---- view_parts.c: what belongs to a view depends on it ---- */

/* Records that a relation depends on another, unless it is known. */
extern void sx_view_depend(Oid relid, Oid on, DependencyType type);

/*
 * For a view that a dump has brought: its parts depend on it again, and it on
 * its sink.  In a transaction.  false: not now.
 */
extern bool sx_view_attach_parts(const SxView *view);

/*
 * SQLSTATE of indexes that are not there.  While a dump is being restored
 * they are still to come: to be tried again, not a reason to stop the view.
 */
#define SX_ERRCODE_NOT_RESTORED ERRCODE_OBJECT_IN_USE

extern List *sx_view_list(void);	/* Oids of all views of this database */
extern List *sx_view_list_of_stream(Oid stream);	/* Oids */

/* A new number for objects in streamx_state. */
extern int	sx_view_next_id(void);

extern void sx_view_insert(const SxView *view);
extern void sx_view_delete(Oid relid);	/* and its rows everywhere else */
extern void sx_view_set_paused(Oid relid, bool paused); /* resume also clears
														 * the error */

/*
 * All that a view is, but not where it stands and what it has counted: it is
 * another one from now on.  What was part of it is the caller's affair.
 */
extern void sx_view_redefine(const SxView *view);

/* Until the end of the transaction nobody else redefines or rebuilds it. */
extern void sx_view_lock_definition(Oid relid);

/* late, retention, batch_interval, notify */
extern void sx_view_set_options(const SxView *view);
extern void sx_view_set_error(Oid relid, const char *sqlstate, const char *error);

/*
 * Adds to the stored counters, inside the batch's transaction, which has
 * locked the result table before (DROP waits for that lock).
 */
extern void sx_view_count(Oid relid, const SxViewCounters *delta);
extern void sx_view_counters(Oid relid, SxViewCounters *counters);

/* Its watermark as the active snapshot sees it; PG_INT64_MIN: none yet. */
extern int64 sx_view_watermark(Oid relid);

/*
 * Of a view over other views that emits final rows: rows of windows that begin
 * before this have come, and do not come again.  As the active snapshot sees
 * it; PG_INT64_MIN: none have.  Microseconds, of timestamps too.
 */
extern int64 sx_view_final_before(Oid relid);
extern void sx_view_set_final_before(Oid relid, int64 before_us);

/* ERROR, with the cure, if the extension's SQL has no place for it. */
extern void sx_view_check_final_before(void);

/*
 * Rows of windows from this on may still be needed by such views, through
 * whatever lies between; PG_INT64_MAX: none is.
 */
extern int64 sx_view_needed_from(Oid relid);

/* A stream is gone: journals, progress, dead letters of it. */
extern void sx_stream_forget(Oid relid);

#endif							/* SX_CATALOG_VIEW_H */
