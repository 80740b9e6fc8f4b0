/*-------------------------------------------------------------------------
 * sliding.h
 *		Inside of the room: conditions on the clock that rows grow out of.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_SLIDING_H
#define SX_PLAN_SLIDING_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "plan/plan.h"

/*
 * sx_plan_sliding -- the condition that makes the query a sliding window
 *
 * Of the conditions that WHERE joins by AND at the top of the query the one
 * that holds for a row until some time and then never again, as ts > now() -
 * interval '5 minutes'.  NULL: there is none.  *rest: WHERE without it.
 * ERROR 0A000 if the bound may go back.
 */
extern SxSliding *sx_plan_sliding(Query *query, const char *viewname,
								  Node **rest);

/* The condition over an expression that stands for the row's time. */
extern Node *sx_plan_sliding_condition(const SxSliding *sliding, Expr *time);

/*
 * sx_plan_sliding_states -- hold states instead of rows
 *
 * For views whose aggregates can all be merged: makes the time of the rows
 * that of a slice of time, held by each group, and fills shape->held.
 */
extern void sx_plan_sliding_states(SxShape *shape);

/*
 * The same for the batch query, whose select list is (keys, time, partials)
 * by now: group by the time too.  Keeps a query for the states of no rows
 * where the view has a row without any.
 */
extern void sx_plan_group_by_time(SxShape *shape, Query *query);

/* Does it read the clock?  *name: by which function. */
extern bool sx_plan_reads_clock(Node *node, const char **name);

#endif							/* SX_PLAN_SLIDING_H */
