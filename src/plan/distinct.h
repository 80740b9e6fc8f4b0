/*-------------------------------------------------------------------------
 * distinct.h
 *		Inside of the room: aggregates with DISTINCT.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_DISTINCT_H
#define SX_PLAN_DISTINCT_H

#include "postgres.h"

#include "plan/plan.h"

/*
 * Take DISTINCT away from the query's aggregates to which it makes no
 * difference, such as max(DISTINCT x).
 */
extern void sx_plan_drop_distinct(Query *query);

/* Why the values of such an aggregate cannot be kept as a set; NULL: they can */
extern const char *sx_plan_not_a_set(const Aggref *aggref);

/* Index of the set of the aggregate's values, made if need be. */
extern int	sx_plan_value_set(SxShape *shape, const Aggref *aggref);

/* What stands in a batch's query for partial i, whose values are a set. */
extern Expr *sx_plan_set_of_batch(const SxShape *shape, int i);

#endif							/* SX_PLAN_DISTINCT_H */
