/*-------------------------------------------------------------------------
 * rebuild.h
 *		Inside of the room: a view computed anew, in place or beside itself.
 *-------------------------------------------------------------------------
 */
#ifndef SX_DDL_REBUILD_H
#define SX_DDL_REBUILD_H

#include "postgres.h"

#include "catalog/view.h"
#include "worker/task.h"

/* ---- reading a view's streams up to where it stands (rebuild.c) ---- */

/* How far one stream has been read. */
typedef struct SxStreamReading
{
	Oid			stream;
	bool		begun;
	SxPosition *upto;			/* read so far */
	int			nupto;
	SxPosition *first;			/* where the view begins, as it turns out */
	int			nfirst;
	int64		nrows;
	bool		anew;			/* the reference has read another topic than
								 * there is now: its position becomes this one */
} SxStreamReading;

typedef struct SxReading
{
	SxViewRun  *run;			/* what takes the rows in */
	Oid			reference;		/* the view whose positions count: run's own,
								 * or the one that it is to take the place of */
	const char *start;			/* NULL: where the reference began */
	const char *verb;			/* what cannot be done without the rows */
	MemoryContext cxt;
	List	   *streams;		/* SxStreamReading */
	int64		rows;
	TimestampTz since;
} SxReading;

/* In the current context. */
extern SxReading *sx_reading_begin(SxViewRun *run, Oid reference, const List *streams,
								   const char *start);

/*
 * Up to where the reference stands, as the active snapshot sees it.  Again: on
 * from there.
 */
extern void sx_reading_go(SxReading *reading);

/* Rows between that and where the reference stands by now. */
extern int64 sx_reading_left(const SxReading *reading);

/*
 * With the reference locked and nothing left: it began there, and nothing is
 * to be read again.
 */
extern void sx_reading_end(SxReading *reading);

/* Dead letters and late rows of the view go; *shed: groups were among them. */
extern int64 sx_rebuild_forget(Oid relid, bool *shed);

/* Runs a statement of ours; returns the rows that it has changed. */
extern int64 sx_rebuild_execute(const char *sql, Oid view);

extern char *sx_rebuild_table_name(Oid relid);

/* ---- beside.c ---- */

/* What a view becomes. */
typedef struct SxRedefinition
{
	SxView	   *view;			/* as it is */
	SxView	   *next;			/* as it shall be; of the same relid */
	struct Query *query;		/* NULL: as it is */
	List	   *columns;		/* ColumnDefs of the result table: those it
								 * has, maybe more; NIL: as they are */
	const char *start;			/* as in SxReading */
} SxRedefinition;

/*
 * sx_beside_possible -- can the content be made in another table first?
 *
 * Not where the result has triggers or constraints of its own: they are to see
 * each row once, and one that fails is a dead letter.
 */
extern bool sx_beside_possible(const SxView *view);

/*
 * sx_beside_rebuild -- compute the view anew while it goes on, then exchange
 *
 * With the definition locked.  Makes the parts of r->next.
 */
extern void sx_beside_rebuild(SxRedefinition *r);

/* ---- replace.c ---- */

/* ERROR unless the columns are those that the result has, and maybe more. */
extern void sx_replace_check_columns(const SxView *view, const List *columns);

/* With the result locked: it gets those that it has not. */
extern bool sx_replace_adds_columns(const SxView *view, const List *columns);
extern void sx_replace_add_columns(const SxView *view, const List *columns);

/* The result is found by other columns from now on; wide: of any length. */
extern bool sx_replace_changes_key(const SxView *view, const struct SxShape *shape);
extern void sx_replace_drop_key(const SxView *view, const struct SxShape *shape);
extern void sx_replace_create_key(const SxView *view, const struct SxShape *shape, bool wide);

/* Oids: those that both read. */
extern List *sx_replace_shared_streams(const SxRedefinition *r);

/* With the columns there: the sink of r->next. */
extern void sx_replace_sink(SxRedefinition *r);

/*
 * The catalog's part: r->next is the view from now on, what belonged to
 * r->view only is dropped.
 */
extern void sx_replace_take_over(SxRedefinition *r);

/*
 * sx_replace -- the whole of it
 *
 * As r->view's definition is locked.  mode: as option on_replace.
 */
extern void sx_replace(SxRedefinition *r, const char *mode);

#endif							/* SX_DDL_REBUILD_H */
