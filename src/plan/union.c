/*-------------------------------------------------------------------------
 * union.c
 *		UNION of streams, and of streams and tables.
 *
 * UNION ALL of streams adds up: a batch of one stream goes through its
 * branches, the others are empty then.  A branch that reads no stream is
 * history: its rows are there once, when the view is created (result/seed.c);
 * in the query over a batch an empty relation stands for it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/tlist.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"

#include "compat.h"
#include "plan/from.h"
#include "plan/union.h"

static void
keep_all(Node *node)
{
	SetOperationStmt *op = (SetOperationStmt *) node;

	if (!IsA(node, SetOperationStmt) || op->op != SETOP_UNION)
		return;
	op->all = true;
	op->groupClauses = NIL;
	keep_all(op->larg);
	keep_all(op->rarg);
}

/*
 * A query whose top is UNION without ALL as a grouping over UNION ALL; any
 * other as it is.
 */
static Query *
union_as_grouping(Query *query)
{
	SetOperationStmt *op = (SetOperationStmt *) query->setOperations;
	Query	   *over;
	RangeTblEntry *rte;
	RangeTblRef *ref;
	List	   *columns = NIL;
	ListCell   *lc;

	if (op == NULL || op->op != SETOP_UNION || op->all)
		return query;

	over = makeNode(Query);
	rte = makeNode(RangeTblEntry);
	ref = makeNode(RangeTblRef);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *column;
		SortGroupClause *group;
		Oid			type = exprType((Node *) tle->expr);

		if (tle->resjunk)
			continue;
		columns = lappend(columns, makeString(pstrdup(tle->resname)));
		column = makeTargetEntry((Expr *) makeVar(1, tle->resno, type,
												  exprTypmod((Node *) tle->expr),
												  exprCollation((Node *) tle->expr), 0),
								 tle->resno, pstrdup(tle->resname), false);
		group = makeNode(SortGroupClause);
		group->tleSortGroupRef = column->ressortgroupref = tle->resno;
		get_sort_group_operators(type, false, true, false, &group->sortop,
								 &group->eqop, NULL, &group->hashable);
		over->targetList = lappend(over->targetList, column);
		over->groupClause = lappend(over->groupClause, group);
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->eref = makeAlias("union", columns);
	rte->inFromCl = true;
	ref->rtindex = 1;
	over->commandType = CMD_SELECT;
	over->querySource = QSRC_ORIGINAL;
	over->canSetTag = true;
	over->rtable = list_make1(rte);
	over->jointree = makeFromExpr(list_make1(ref), NULL);

	/* in the order, and so many, of the whole */
	foreach(lc, query->sortClause)
	{
		SortGroupClause *sort = copyObject(lfirst_node(SortGroupClause, lc));

		sort->tleSortGroupRef = get_sortgroupclause_tle(sort, query->targetList)->resno;
		over->sortClause = lappend(over->sortClause, sort);
	}
	over->limitCount = query->limitCount;
	over->limitOffset = query->limitOffset;
	over->limitOption = query->limitOption;
	query->sortClause = NIL;
	query->limitCount = query->limitOffset = NULL;

	/* each row once, whatever there is below */
	keep_all((Node *) op);
	return over;
}

static bool
union_below_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_SUBQUERY && sx_plan_count_streams((Node *) rte->subquery) > 0)
			rte->subquery = sx_plan_unions_as_groupings(rte->subquery);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, union_below_walker, context,
								 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_RT_SUBQUERIES);
	return expression_tree_walker(node, union_below_walker, context);
}

Query *
sx_plan_unions_as_groupings(Query *query)
{
	query = union_as_grouping(query);
	(void) union_below_walker((Node *) query, NULL);
	return query;
}

/* The same columns, no rows. */
static Query *
empty_query(const Query *query)
{
	Query	   *empty = makeNode(Query);
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;

		if (!tle->resjunk)
			empty->targetList =
				lappend(empty->targetList,
						makeTargetEntry((Expr *) makeNullConst(exprType(expr), exprTypmod(expr),
															   exprCollation(expr)),
										tle->resno, tle->resname, false));
	}
	empty->commandType = CMD_SELECT;
	empty->querySource = QSRC_ORIGINAL;
	empty->canSetTag = true;
	empty->jointree = makeFromExpr(NIL, makeBoolConst(false, false));
	return empty;
}

static void
empty_branches(Query *query, Node *node, bool *found)
{
	if (IsA(node, SetOperationStmt))
	{
		empty_branches(query, ((SetOperationStmt *) node)->larg, found);
		empty_branches(query, ((SetOperationStmt *) node)->rarg, found);
	}
	else
	{
		RangeTblEntry *rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, query->rtable);

		if (sx_plan_count_streams((Node *) rte->subquery) == 0)
		{
			rte->subquery = empty_query(rte->subquery);
			*found = true;
		}
	}
}

static bool
drop_history_walker(Node *node, bool *found)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->setOperations && sx_plan_count_streams(node) > 0)
			empty_branches(query, query->setOperations, found);
		return query_tree_walker(query, drop_history_walker, found, 0);
	}
	return expression_tree_walker(node, drop_history_walker, found);
}

bool
sx_plan_drop_history(Query *query)
{
	bool		found = false;

	drop_history_walker((Node *) query, &found);
	return found;
}
