/*-------------------------------------------------------------------------
 * batch_plan.c
 *		The plan of a view over one batch.
 *
 * PostgreSQL's own planner plans the batch query (grouping keys and bare
 * aggregates).  Its Agg node is then told to stop at the transition states
 * and to serialize those of type internal, as the lower half of a parallel
 * aggregation does: AGGSPLIT_INITIAL_SERIAL.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/clauses.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/batch_scan.h"
#include "plan/plan.h"

static bool
mark_partial_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		mark_partial_aggref((Aggref *) node, AGGSPLIT_INITIAL_SERIAL);
		return false;
	}
	return expression_tree_walker(node, mark_partial_walker, context);
}

static bool
filter_first_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		if (((Aggref *) node)->aggfilter == NULL)
			((Aggref *) node)->aggfilter = (Expr *) makeBoolConst(true, false);
		return true;
	}
	return expression_tree_walker(node, filter_first_walker, context);
}

/*
 * min() and max() of a whole batch are not to become the first row of an
 * ordered scan, which has no state: they do not where one has a FILTER.
 */
static Query *
keep_aggregation(Query *query)
{
	query = copyObject(query);
	if (query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL)
		(void) filter_first_walker((Node *) query->targetList, NULL);
	return query;
}

static bool
lock_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			LockRelationOid(rte->relid, AccessShareLock);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, lock_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, lock_walker, context);
}

PlannedStmt *
sx_plan_query(Query *query, ParamListInfo params)
{
	(void) lock_walker((Node *) query, NULL);
	return sx_planner(query, params);
}

PlannedStmt *
sx_plan_for_batch(Query *query, double rows)
{
	PlannedStmt *stmt;

	/*
	 * The executor's memory belongs to this process: no parallel workers, and
	 * no code generation for batches that last milliseconds (the caller has
	 * set max_parallel_workers_per_gather and jit).
	 */
	sx_fdw_batch_rows = rows;
	PG_TRY();
	{
		stmt = sx_plan_query(keep_aggregation(query), NULL);
	}
	PG_FINALLY();
	{
		sx_fdw_batch_rows = 0;
	}
	PG_END_TRY();
	return stmt;
}

PlannedStmt *
sx_plan_late(const SxShape *shape, double rows)
{
	return sx_plan_for_batch(shape->late_query, rows);
}

/* Stop at the transition states, if there are any. */
PlannedStmt *
sx_plan_partial(const SxShape *shape, PlannedStmt *stmt)
{
	if (shape->strategy == SX_STRATEGY_MERGE && shape->npartials > 0)
	{
		Agg		   *agg = (Agg *) stmt->planTree;

		/* the select list is what Agg computes: nothing has to stand above */
		if (!IsA(agg, Agg) || agg->aggsplit != AGGSPLIT_SIMPLE ||
			agg->chain != NIL)
			elog(ERROR, "unexpected plan of a grouped batch query: node %d",
				 (int) nodeTag(stmt->planTree));
		agg->aggsplit = AGGSPLIT_INITIAL_SERIAL;
		mark_partial_walker((Node *) agg->plan.targetlist, NULL);
		mark_partial_walker((Node *) agg->plan.qual, NULL);
	}
	return stmt;
}

const char *
sx_plan_not_apart(const SxView *view, const SxShape *shape)
{
	ListCell   *lc;

	/* elsewhere it is held rows, or rows of which all are written, that cost */
	if (shape->strategy != SX_STRATEGY_MERGE || shape->join || shape->sliding)
		return "it is not a grouping whose aggregates can be merged";
	if (view->keep_late)
		return "it keeps late rows";
	if (shape->session || shape->window_partial)
		return "which rows are late depends on rows before them";
	foreach(lc, shape->batch_query->targetList)
	{
		Oid			type = getBaseType(exprType((Node *) lfirst_node(TargetEntry, lc)->expr));

		/* what such a row consists of is known to one process only */
		if (type == RECORDOID || type == RECORDARRAYOID)
			return "it groups by or aggregates anonymous rows";
	}
	if (max_parallel_hazard(copyObject(shape->batch_query)) != PROPARALLEL_SAFE)
		return "it calls a function that is not PARALLEL SAFE";
	return NULL;
}

PlannedStmt *
sx_plan_batch(const SxShape *shape, double rows)
{
	return sx_plan_partial(shape, sx_plan_for_batch(shape->batch_query, rows));
}

PlannedStmt *
sx_plan_seed(const SxShape *shape)
{
	return sx_plan_partial(shape, sx_plan_for_batch(shape->seed_query, 1));
}

PlannedStmt *
sx_plan_initial(const SxShape *shape, Oid state)
{
	Query	   *query = shape->initial_query;

	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
	{
		query = copyObject(query);
		linitial_node(RangeTblEntry, query->rtable)->relid = state;
	}
	return sx_plan_partial(shape, sx_plan_for_batch(query, 1));
}
