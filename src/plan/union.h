/*-------------------------------------------------------------------------
 * union.h
 *		UNION of streams, and of streams and tables.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_UNION_H
#define SX_PLAN_UNION_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/*
 * The query with each UNION without ALL over streams as a grouping over UNION
 * ALL.  Changes it in place, but for the top.
 */
extern Query *sx_plan_unions_as_groupings(Query *query);

/*
 * sx_plan_drop_history -- empty the branches of UNION ALL that read no stream
 *
 * In place, where other branches of the same UNION ALL read one.  Returns
 * whether there are any.
 */
extern bool sx_plan_drop_history(Query *query);

#endif							/* SX_PLAN_UNION_H */
