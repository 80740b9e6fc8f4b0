/*-------------------------------------------------------------------------
 * derive.h
 *		Inside of the room: queries with more above the grouping.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_DERIVE_H
#define SX_PLAN_DERIVE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "plan/plan.h"
#include "plan/union.h"

/*
 * Where a core stands in the outer query is a range table entry of this kind,
 * until it is planned; its relid is the number of the use, from 1.
 */
#define SX_RELKIND_CORE '+'

#define sx_is_core_use(rte) \
	((rte)->rtekind == RTE_RELATION && (rte)->relkind == SX_RELKIND_CORE)

/* A core while it is put together. */
typedef struct SxCoreDraft
{
	Query	   *query;			/* targetList: columns; the first nkeys are
								 * the grouping columns */
	Query	   *source;			/* its FROM and WHERE, to be compared */
	bool		aggregated;
	int			nkeys;
	Oid			view;			/* this one's result instead, no query */
} SxCoreDraft;

typedef struct SxDeriveContext
{
	const char *viewname;
	List	   *cores;			/* SxCoreDraft */
	List	   *uses;			/* ints: which core each use is of */
} SxDeriveContext;

/*
 * sx_plan_cut -- cut a query in two
 *
 * What remains of it, in place, stands over uses of cores.
 */
extern void sx_plan_cut(SxDeriveContext *cxt, Query *query);

/*
 * Leave out of the cores of a query, in place, what outer joins of streams
 * have not given when the watermark (less lateness) is closed_us.
 */
extern void sx_plan_cores_so_far(Query *query, int64 closed_us);

/*
 * cascade.c: the same where result tables of continuous views take the place
 * of streams; how many there are of them.
 */
extern void sx_plan_cut_cascade(SxDeriveContext *cxt, Query *query);
extern int	sx_plan_count_sources(Query *query);

/* Its columns, and the streams behind it. */
extern List *sx_plan_source_core(SxCore *core, Oid source);

/* Columns of joins become those of what is joined. */
extern void sx_plan_flatten_joins(Query *query);

/* Number of a core's column that has this value; new if there is none. */
extern AttrNumber sx_core_column(SxCoreDraft *core, Expr *expr);

/* A partition column of the outer query. */
typedef struct SxPartition
{
	int			resno;			/* of the outer query */
	Expr	   *expr;			/* there */
	Expr	  **uses;			/* per use: what it is of the core's row, Vars
								 * of varno 1 */
} SxPartition;

/* sx_plan_partitions -- the partition columns of an outer query */
extern List *sx_plan_partitions(SxDeriveContext *cxt, Query *outer);

/*
 * Fill in d->prune where rows of the only core can be told that never again
 * count.
 */
extern void sx_plan_find_prune(SxDerivation *d, Query *outer);

/* Does the query call for it? */
extern bool sx_plan_needs_derivation(Query *query);

/* Fill in the shape of a view whose rewritten query is this. */
extern void sx_plan_make_derivation(SxShape *shape, Query *query,
									const char *viewname);

/* ---- analyze.c ---- */

/*
 * A core's shape.  window_columns: its columns that may close; the one that
 * does is *window_column, 0: none.
 */
extern SxShape *sx_plan_core(Query *query, const char *viewname,
							 const List *window_columns, int *window_column);

#endif							/* SX_PLAN_DERIVE_H */
