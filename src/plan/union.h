/*-------------------------------------------------------------------------
 * union.h
 *		UNION of streams, and of streams and tables.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_UNION_H
#define SX_PLAN_UNION_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* How often streams are used in a query or expression (rewritten). */
extern int	sx_plan_count_streams(Node *node);

/*
 * A query whose top is UNION without ALL as a grouping over UNION ALL; any
 * other as it is.
 */
extern Query *sx_plan_union_as_grouping(Query *query);

/*
 * sx_plan_drop_history -- empty the branches of UNION ALL that read no stream
 *
 * In place, where other branches of the same UNION ALL read one.  Returns
 * whether there are any.
 */
extern bool sx_plan_drop_history(Query *query);

#endif							/* SX_PLAN_UNION_H */
