/*-------------------------------------------------------------------------
 * panes.c
 *		Windows that overlap are kept by their panes.
 *
 * hop and cumulate return a row's windows as a set, so that PostgreSQL would
 * expand each row below the aggregation.  Where partial states can be merged
 * the rows are grouped by pane instead, a fixed window of its own, and the
 * states of a window's panes are merged when it is written (result/panes.c).
 * What panes have of DISTINCT aggregates cannot be added up, as they may have
 * values in common: there the rows stay expanded.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "plan/panes.h"
#include "plan/window_key.h"
#include "window/event_time.h"
#include "window/pane.h"

/* How many grouping columns return sets? */
static int
count_sets(const Query *query)
{
	int			result = 0;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->ressortgroupref != 0 && expression_returns_set((Node *) tle->expr))
			result++;
	}
	return result;
}

void
sx_plan_panes(SxShape *shape, Query *query, int key, const FuncExpr *call)
{
	TargetEntry *tle = get_sortgroupclause_tle(list_nth_node(SortGroupClause, query->groupClause, key),
											   query->targetList);
	const char *name = get_func_name(call->funcid);
	bool		hop = strcmp(name, "hop") == 0;
	const Const *slide = sx_plan_window_constant(call, 1);
	const Const *size = sx_plan_window_constant(call, 2);
	const Const *origin = sx_plan_window_constant(call, 3);
	SxPanes    *panes;
	Interval   *pane;

	if (shape->strategy != SX_STRATEGY_MERGE || shape->nsets > 0 || shape->sliding || !call->funcretset || tle->expr != (Expr *) call ||
		slide == NULL || size == NULL ||
		(list_length(call->args) > 3 && origin == NULL))
		return;

	/* sets of several columns advance side by side */
	if (count_sets(query) != 1)
		return;
	panes = palloc0(sizeof(SxPanes));
	if (!sx_panes_init(panes, hop ? SX_WINDOW_HOP : SX_WINDOW_CUMULATE,
					   DatumGetIntervalP(slide->constvalue),
					   DatumGetIntervalP(size->constvalue), origin != NULL,
					   origin ? sx_window_time_us(origin->consttype, origin->constvalue) : 0))
		return;
	pane = palloc0(sizeof(Interval));
	pane->time = panes->pane_us;
	tle->expr = sx_plan_tumble(call, (Node *) makeConst(INTERVALOID, -1, InvalidOid,
														sizeof(Interval),
														IntervalPGetDatum(pane),
														false, false));
	query->hasTargetSRFs = false;
	shape->panes = panes;
	shape->pane_key = key;
}
