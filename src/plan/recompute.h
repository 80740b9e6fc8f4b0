/*-------------------------------------------------------------------------
 * recompute.h
 *		Inside of the room: what is held of each row, and the query over it.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_RECOMPUTE_H
#define SX_PLAN_RECOMPUTE_H

#include "postgres.h"

#include "plan/plan.h"

/*
 * Fill shape->held and shape->recompute_query from its keys and aggregates;
 * query has the GROUP BY as it was.
 */
extern void sx_plan_hold_rows(SxShape *shape, const Query *query,
							  const char *viewname);

#endif							/* SX_PLAN_RECOMPUTE_H */
