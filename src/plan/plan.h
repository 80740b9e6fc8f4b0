/*-------------------------------------------------------------------------
 * plan.h
 *		Whether a query can be maintained, how, and its plan over one batch.
 *
 * ddl/ calls sx_plan_analyze at CREATE, the worker before each (re)planning.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_PLAN_H
#define SX_PLAN_PLAN_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "nodes/primnodes.h"

#include "catalog/view.h"
#include "plan/join.h"
#include "window/pane.h"
#include "window/window.h"

typedef enum SxStrategy
{
	SX_STRATEGY_APPEND,			/* no aggregate: rows are appended */
	SX_STRATEGY_MERGE,			/* partial states are merged per group */
	SX_STRATEGY_RECOMPUTE,		/* rows of open windows are held, groups that
								 * a batch touches are computed again */
	SX_STRATEGY_DERIVE,			/* cores are kept in hidden tables, the query
								 * over them runs for what changed */
} SxStrategy;

/* One grouping column. */
typedef struct SxKey
{
	int			resno;			/* column of the result table, from 1 */
	Oid			typid;
	int32		typmod;
	Oid			collation;
	Expr	   *expr;			/* as in the query */
} SxKey;

/* One distinct aggregate state (several aggregates may share one). */
typedef struct SxPartial
{
	Aggref	   *aggref;			/* as in the query, aggsplit SIMPLE */
	Oid			stored_type;	/* transition type, bytea for internal */
	Oid			transtype;
	Oid			combinefn;
	Oid			serialfn;		/* InvalidOid unless transtype is internal */
	Oid			deserialfn;
	int			set;			/* with DISTINCT: index into sets; -1: without */
	Oid			transfn;		/* by which values of the set get into it */
	char	   *initval;		/* the state before; NULL: none */
} SxPartial;

/* What an aggregate needs of a row, held for recomputing. */
typedef struct SxHeld
{
	Expr	   *expr;			/* as in the query */
	Oid			typid;
	int32		typmod;
	Oid			collation;
} SxHeld;

/* The different values that aggregates with DISTINCT take, see distinct.c */
typedef struct SxValueSet
{
	int			nvalues;		/* columns of a value */
	SxHeld	   *values;			/* expr: as in the query */
	Expr	   *filter;
	int			partial;		/* the first that takes them: in its place a
								 * batch gives the set */
} SxValueSet;

/*
 * A row is in the result while its time > now() - back_us (at_end: >=), see
 * sliding.c.
 */
typedef struct SxSliding
{
	Expr	   *time;			/* timestamptz, over the rows of FROM */
	int64		back_us;
	bool		at_end;
	int			held;			/* where the time is among what is held */
} SxSliding;

/* One aggregate of select list or HAVING, over a partial. */
typedef struct SxAggregate
{
	Aggref	   *aggref;
	int			partial;		/* index into partials */
	Oid			finalfn;		/* or InvalidOid */
	bool		finalextra;
} SxAggregate;

/* The grouping column that is session(ts, gap). */
typedef struct SxSession
{
	int			key;			/* index into keys */
	int64		gap_us;
	Expr	   *gap;			/* the same, a constant */
	Expr	   *time;			/* ts as a timestamp, as in the query */
	bool		event_time;		/* ts is that: every row has one */
	int			last;			/* index into aggregates: time of a session's
								 * last row */
	int			count;			/* likewise: how many rows it has */
} SxSession;

struct SxShape
{
	SxStrategy	strategy;
	List	   *streams;		/* Oids of the streams that it reads */

	/* not append */
	bool		grouped;		/* has GROUP BY; else one row, always there */
	int			nkeys;
	SxKey	   *keys;
	int			npartials;
	SxPartial  *partials;
	int			naggregates;
	SxAggregate *aggregates;

	/* merge only: values that are kept beside the states */
	int			nsets;
	SxValueSet *sets;

	/*
	 * recompute only: beside the keys, and the query over them, see
	 * recompute.c
	 */
	int			nheld;
	SxHeld	   *held;
	Query	   *recompute_query;

	/*
	 * Over a row (keys ..., aggregates' values ...) as varno 1: the result
	 * table's columns in order, and HAVING (NULL: none).
	 */
	List	   *result_exprs;	/* of Expr */
	Expr	   *having;

	/* What runs over a batch: see analyze.c; rewritten, not yet planned. */
	Query	   *batch_query;

	/* The same with the branches of UNION ALL over tables; NULL: none. */
	Query	   *seed_query;

	/*
	 * With grouping sets: the row of the empty one, there before any input;
	 * (keys ..., partials ...), recompute: (keys ..., aggregates ...).  NULL:
	 * there is none.
	 */
	Query	   *initial_query;

	/*
	 * The key that is a window over event time and when it ends; -1, NULL:
	 * none, or the stream has no watermark, so that it never closes.
	 */
	int			window_key;
	SxWindow   *window;
	bool		window_partial; /* NULL in grouping sets without it: these
								 * groups never close, and rows of closed
								 * windows are left out by the plan */

	/*
	 * The key of which a batch gives panes instead of windows, see
	 * result/panes.c; NULL: none.
	 */
	int			pane_key;
	SxPanes    *panes;

	/* what it is if a key is a session (with or without a window); or NULL */
	SxSession  *session;

	/*
	 * Rows leave as time passes; NULL: they do not.  The result then is
	 * derived from the rows held (recompute); of rows that are appended the
	 * batch query gives the time behind their columns.
	 */
	SxSliding  *sliding;

	/*
	 * Numbers of the rows of a batch that are late, sessions: of all its
	 * rows, with their keys, see late.c; NULL: cannot be told.
	 */
	Query	   *late_query;

	/*
	 * Streams are joined: what is held of them; NULL: they are not.  A window
	 * is one over the event time of window_side.
	 */
	SxJoin	   *join;
	int			window_side;

	/* derive only; batch_query is NULL, keys are those of the result */
	struct SxDerivation *derivation;
};

/*
 * A core of a derived view: a query over the stream that is kept as a view of
 * its own in a hidden table, whose columns are those of the shape.
 */
typedef struct SxCore
{
	Oid			source;			/* it is the result table of this view, and
								 * there is no shape; or InvalidOid */
	SxShape    *shape;			/* append, merge or recompute */
	int			ncolumns;
	SxHeld	   *columns;		/* of the hidden table; expr: of the query */
	int			window_column;	/* the one that is a window; 0: none */
	List	   *index_columns;	/* ints: found by these; NIL: by its key */
} SxCore;

/* A place in the outer query where a core stands. */
typedef struct SxCoreUse
{
	int			core;
	AttrNumber *part;			/* per partition column: column of the core */
} SxCoreUse;

/*
 * How a view is had from its cores.  The rows of the result whose partition
 * columns have certain values depend on those rows of the cores only that
 * have them too, see partition.c.
 */
typedef struct SxDerivation
{
	int			ncores;
	int			nkept;			/* all, or none: cores are result tables */
	SxCore	   *cores;
	int			nuses;
	SxCoreUse  *uses;
	int			nparts;			/* 0: every batch derives the whole */
	SxKey	   *parts;			/* partition columns: of the result */
	int			window_part;	/* the one whose partitions close; -1: none */
	SxWindow   *window;			/* how */
	Query	   *outer;			/* over the uses, see derive.c */

	/*
	 * Of the only core, an append one: gives (ctid, number) of its rows in
	 * their partitions; what has a number beyond prune_keep never again
	 * counts.  NULL: rows stay.
	 */
	Query	   *prune;
	int64		prune_keep;

	/*
	 * Over results of other views: partition columns, as they are found there
	 * (SxPartition); how one of them closes, once it is asked for, see
	 * closing.h
	 */
	List	   *traced;
	struct SxClosing *closing;
} SxDerivation;

/*
 * sx_plan_analyze -- can this query be maintained, and how
 *
 * query: after parse analysis, not rewritten; not changed.  The result lives
 * in the current context.  ERROR 0A000 with reason and hint if it cannot be
 * maintained; other SQLSTATEs for what is wrong in itself (no stream in it).
 * Acts with the current user's rights for row security.
 */
extern SxShape *sx_plan_analyze(Query *query, const char *viewname);

/*
 * sx_plan_not_apart -- why the view's batch query cannot run in other processes
 * than the one that merges, which has no rows then; NULL: it can
 */
extern const char *sx_plan_not_apart(const SxView *view, const SxShape *shape);

/*
 * sx_plan_batch -- plan the shape's batch query
 *
 * rows: how many rows of the stream to expect.  For SX_STRATEGY_MERGE the
 * plan's rows are (keys ..., partial states ...).
 */
extern PlannedStmt *sx_plan_batch(const SxShape *shape, double rows);

/*
 * Plan that computes the groups with given hashes ($1, bigint[]) from the
 * rows held in a view's state table: (keys ..., aggregates' values ...).
 * Sessions over event time: from the rows at $2 or later.
 */
extern PlannedStmt *sx_plan_recompute(const SxShape *shape, Oid state);

/* Plan of the initial query; state: the view's state table (recompute). */
extern PlannedStmt *sx_plan_initial(const SxShape *shape, Oid state);

/* Plan of what a batch does not have: the history of the view. */
extern PlannedStmt *sx_plan_seed(const SxShape *shape);

/* Plan of a query that is not partial, over a batch of so many rows. */
extern PlannedStmt *sx_plan_late(const SxShape *shape, double rows);

/*
 * The query of a derived view over its cores, which are in these tables.
 * restricted: only for partitions whose columns have values in the arrays $1,
 * $2, ...; nulls: or are NULL.
 */
typedef enum SxDeriveScope
{
	SX_DERIVE_ALL,
	SX_DERIVE_PARTS,
	SX_DERIVE_PARTS_OR_NULL,
	SX_DERIVE_RANGE,			/* windows from $1 on, before $2: of the
								 * column that closes, see closing.h */
} SxDeriveScope;

extern PlannedStmt *sx_plan_derive(const SxShape *shape, const Oid *tables,
								   SxDeriveScope scope, ParamListInfo params);

/* (ctid, number) of the rows of the core, see SxDerivation.prune */
extern PlannedStmt *sx_plan_prune(const SxShape *shape, const Oid *tables,
								  SxDeriveScope scope, ParamListInfo params);

/* (columns, ctid) of the result table's rows of these partitions */
extern PlannedStmt *sx_plan_derived_rows(const SxShape *shape, Oid result,
										 SxDeriveScope scope, ParamListInfo params);

/*
 * Where a view joins streams: itself, or in a core of it.  Each side has a
 * table of its rows among the parts of the view, which are per core of a
 * derived view its hidden table and its state, then those tables.
 */
typedef struct SxJoined
{
	const SxShape *shape;		/* that has the join */
	int			core;			/* whose shape that is; -1: the view's */
	int			nparts;			/* of the view */
	int			first;			/* of these: the table of the first side */
	int			number;			/* of that table in its name, from 0 */
} SxJoined;

/* They, in order. */
extern List *sx_plan_joined(const SxShape *shape);

/* How many parts the view has. */
extern int	sx_plan_count_parts(const SxShape *shape);

/* At server start: queries over tables can group by session() as well. */
extern void sx_plan_init(void);

/*
 * Does the batch query give the same for the same rows, whenever it runs?
 * False in doubt; see repeat.c.
 */
extern bool sx_plan_repeats(const SxShape *shape);

/*
 * Plan a query that nobody has to be allowed to run, which locks the relations
 * it names; it may be written to.
 */
extern PlannedStmt *sx_plan_query(Query *query, ParamListInfo params);

/* The parts of these: plan a query over a batch; stop at partial states. */
extern PlannedStmt *sx_plan_for_batch(Query *query, double rows);
extern PlannedStmt *sx_plan_partial(const SxShape *shape, PlannedStmt *stmt);

/* Can the rows that are late be told one by one? */
extern bool sx_plan_tells_late(const SxShape *shape);

/*
 * sx_plan_so_far -- the query as it is run over tables, rewritten, less what
 * has not come out yet when the watermark (less lateness) is closed_us: rows
 * of an outer join of streams; final: sessions that are open
 */
extern Query *sx_plan_so_far(Query *query, const SxShape *shape, bool final,
							 int64 closed_us);

/* The stored query of a view (its Query after parse analysis). */
extern Query *sx_plan_stored_query(Oid query_view);

#endif							/* SX_PLAN_PLAN_H */
