/*-------------------------------------------------------------------------
 * grouping_sets.h
 *		Inside of the room: GROUPING SETS, ROLLUP and CUBE as one grouping.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_GROUPING_SETS_H
#define SX_PLAN_GROUPING_SETS_H

#include "postgres.h"

#include "plan/plan.h"

typedef struct SxGroupingSets
{
	int			nfrom;			/* items of FROM that are the query's own */
	int			values;			/* range table index of the table of sets */
	bool		has_empty;		/* one of them groups by nothing */
	List	   *columns;		/* of the table of sets: SxSetColumn */
	int			nsets;
} SxGroupingSets;

/*
 * sx_plan_grouping_sets -- make one GROUP BY of the grouping sets of a query
 *
 * The query (rewritten, not analyzed yet) is changed in place.  NULL: there
 * are none left to speak of, it is an ordinary grouping now.  ERROR 0A000 if
 * the result would have no key.
 */
extern SxGroupingSets *sx_plan_grouping_sets(Query *query, const char *viewname);

/*
 * What a grouping column is in the sets that have it.  *partial: some have it
 * not.  Points into the query, as far as it is a call.
 */
extern Expr *sx_plan_set_key(const SxGroupingSets *sets, const Query *query,
							 Expr *key, bool *partial);

/* Rows of closed windows count in no set, those without the window included. */
extern void sx_plan_leave_out_late(SxShape *shape, Query *query, Expr *window);

/*
 * The row of the empty set, which is there before any input: see
 * shape->initial_query.  After the shape's other queries.
 */
extern void sx_plan_empty_set(SxShape *shape, const SxGroupingSets *sets);

#endif							/* SX_PLAN_GROUPING_SETS_H */
