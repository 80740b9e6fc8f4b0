/*-------------------------------------------------------------------------
 * late.c
 *		The query that tells which rows of a batch were late.
 *
 * A row is late when all its windows were closed before.  So it is the view's
 * FROM and WHERE, as rows that WHERE excludes are not late, with the number of
 * the stream's row brought up from below as the scan's ctid:
 *
 *		SELECT s.ctid FROM ... WHERE ... AND streamx.is_late(last window)
 *		GROUP BY s.ctid
 *
 * The last window of a row is known where the window function stands at the
 * top.  Where it makes several below, in a subquery or in FROM, or where a row
 * may come by several ways, all of them are looked at:
 *
 *		SELECT s.ctid FROM ... WHERE ...
 *		GROUP BY s.ctid HAVING bool_and(streamx.is_closed(window))
 *
 * Of sessions only result/ knows which rows were late: it gets all rows with
 * their keys.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"

#include "catalog/stream.h"
#include "plan/from.h"
#include "plan/late.h"
#include "plan/session.h"
#include "plan/window_key.h"

static bool add_row_number(Query *query, bool *several_ways);

/* Each branch of UNION ALL gets the column. */
static bool
add_to_branches(Query *query, Node *node, int *first)
{
	RangeTblEntry *rte;
	bool		several_ways;

	if (IsA(node, SetOperationStmt))
	{
		SetOperationStmt *op = (SetOperationStmt *) node;

		op->colTypes = lappend_oid(op->colTypes, TIDOID);
		op->colTypmods = lappend_int(op->colTypmods, -1);
		op->colCollations = lappend_oid(op->colCollations, InvalidOid);
		return add_to_branches(query, op->larg, first) &&
			add_to_branches(query, op->rarg, first);
	}
	if (*first == 0)
		*first = castNode(RangeTblRef, node)->rtindex;
	rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, query->rtable);
	if (rte->rtekind != RTE_SUBQUERY)
		return false;
	if (sx_plan_count_streams((Node *) rte->subquery) == 0)
	{
		/* history, which gives a batch no rows: see union.c */
		List	  **columns = &rte->subquery->targetList;

		*columns = lappend(*columns,
						   makeTargetEntry((Expr *) makeNullConst(TIDOID, -1, InvalidOid),
										   list_length(*columns) + 1, pstrdup("row"), false));
	}
	else if (!add_row_number(rte->subquery, &several_ways))
		return false;
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup("row")));
	return true;
}

/* The row number of the stream below, as it is at this level. */
static Var *
row_number(Query *query, bool *several_ways)
{
	int			rtindex = 0;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		rtindex++;
		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
			sx_stream_is(rte->relid))
			return makeVar(rtindex, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
		if (rte->rtekind == RTE_SUBQUERY && add_row_number(rte->subquery, several_ways))
		{
			rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup("row")));
			return makeVar(rtindex, list_length(rte->subquery->targetList), TIDOID, -1, InvalidOid, 0);
		}
	}
	return NULL;
}

/* Append it to the query's columns; false: there is no stream below. */
static bool
add_row_number(Query *query, bool *several_ways)
{
	Var		   *var;
	ListCell   *lc;

	/* rows that are made of several rows have no number */
	if (query->hasAggs || query->groupClause || query->groupingSets ||
		query->distinctClause || query->limitCount || query->limitOffset)
		return false;
	if (query->setOperations)
	{
		int			first = 0;

		if (!add_to_branches(query, query->setOperations, &first))
			return false;
		*several_ways = true;
		var = makeVar(first, list_length(query->targetList) + 1, TIDOID, -1, InvalidOid, 0);
	}
	else
		var = row_number(query, several_ways);
	if (var == NULL)
		return false;

	/* junk columns come last: what is ordered by is none of ours */
	foreach(lc, query->targetList)
	{
		if (lfirst_node(TargetEntry, lc)->resjunk)
			query->targetList = foreach_delete_current(query->targetList, lc);
	}
	query->sortClause = NIL;
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) var, list_length(query->targetList) + 1,
												pstrdup("row"), false));
	return true;
}

static Expr *
call_of_window(const char *name, Expr *window)
{
	Oid			anytype = ANYELEMENTOID;
	Oid			funcid = LookupFuncName(list_make2(makeString("streamx"),
												   makeString(pstrdup(name))),
										1, &anytype, false);

	return (Expr *) makeFuncExpr(funcid, BOOLOID, list_make1(copyObject(window)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static Expr *
all_of(Expr *arg)
{
	Aggref	   *all = makeNode(Aggref);

	all->aggfnoid = F_BOOL_AND;
	all->aggtype = BOOLOID;
	all->aggtranstype = InvalidOid;
	all->aggargtypes = list_make1_oid(BOOLOID);
	all->args = list_make1(makeTargetEntry(arg, 1, NULL, false));
	all->aggkind = AGGKIND_NORMAL;
	all->aggsplit = AGGSPLIT_SIMPLE;
	all->aggno = all->aggtransno = -1;
	all->location = -1;
	return (Expr *) all;
}

Query *
sx_plan_late_query(const Query *query, const SxGroupingSets *sets,
				   const FuncExpr *call, Expr *key)
{
	Query	   *late = copyObject(unconstify(Query *, query));
	FromExpr   *from = late->jointree;
	Expr	   *last = sx_plan_last_window(call, key);
	SortGroupClause *clause = makeNode(SortGroupClause);
	bool		several_ways = false;
	TargetEntry *tle;
	Var		   *row;

	if (sets)
		from->fromlist = list_truncate(from->fromlist, sets->nfrom);
	row = row_number(late, &several_ways);
	if (row == NULL)
		return NULL;
	tle = makeTargetEntry((Expr *) row, 1, pstrdup("row"), false);
	tle->ressortgroupref = clause->tleSortGroupRef = 1;
	get_sort_group_operators(TIDOID, true, true, false, &clause->sortop,
							 &clause->eqop, NULL, &clause->hashable);
	late->targetList = list_make1(tle);
	late->groupClause = list_make1(clause);
	late->havingQual = NULL;
	late->sortClause = NIL;
	late->hasAggs = false;
	late->hasTargetSRFs = false;
	if (last && !several_ways)
	{
		Expr	   *is_late = call_of_window("is_late", last);

		from->quals = from->quals ?
			(Node *) makeBoolExpr(AND_EXPR, list_make2(from->quals, is_late), -1) :
			(Node *) is_late;
	}
	else
	{
		late->havingQual = (Node *) all_of(last ? call_of_window("is_late", last) :
										   call_of_window("is_closed", key));
		late->hasAggs = true;
	}
	return late;
}

Query *
sx_plan_late_sessions(const Query *query, const SxShape *shape)
{
	Query	   *late = copyObject(unconstify(Query *, query));
	bool		several_ways = false;
	Var		   *row = row_number(late, &several_ways);
	int			i;

	if (row == NULL)
		return NULL;
	late->targetList = list_make1(makeTargetEntry((Expr *) row, 1, pstrdup("row"), false));
	for (i = 0; i < shape->nkeys; i++)
	{
		Expr	   *expr = copyObject(shape->keys[i].expr);

		if (i == shape->session->key)
			expr = sx_plan_session_time(castNode(FuncExpr, expr));
		late->targetList = lappend(late->targetList,
								   makeTargetEntry(expr, i + 2, psprintf("k%d", i + 1), false));
	}
	late->groupClause = NIL;
	late->havingQual = NULL;
	late->sortClause = NIL;
	late->hasAggs = false;
	late->hasTargetSRFs = expression_returns_set((Node *) late->targetList);
	return late;
}
