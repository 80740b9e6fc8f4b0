/*-------------------------------------------------------------------------
 * panes.h
 *		Inside of the room: windows that overlap are kept by their panes.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_PANES_H
#define SX_PLAN_PANES_H

#include "postgres.h"

#include "plan/plan.h"

/*
 * sx_plan_panes -- let the batch query group by pane instead of by window
 *
 * call: the call of hop or cumulate over event time that is grouping column
 * "key" of the query.  Sets shape->panes and changes the column in the
 * query's select list; does neither where windows have to be expanded.
 */
extern void sx_plan_panes(SxShape *shape, Query *query, int key,
						  const FuncExpr *call);

#endif							/* SX_PLAN_PANES_H */
