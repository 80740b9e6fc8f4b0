/*-------------------------------------------------------------------------
 * session.c
 *		Queries that group by session(ts, gap).
 *
 *		SELECT k, session(ts, gap), count(*), sum(v) FROM ... WHERE ...
 *		GROUP BY k, session(ts, gap)
 *
 * becomes
 *
 *		SELECT k, s, count(*), sum(v)
 *		FROM (SELECT k, v, session_start(ts, gap)
 *				OVER (PARTITION BY k ORDER BY ts) AS s
 *			  FROM ... WHERE ...)
 *		GROUP BY k, s
 *
 * for any query when it is planned, by planner_hook.c; so for that of a batch,
 * which groups by session() like the view.  result/session.c then joins the
 * sessions of the batch with those that it has.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_clause.h"
#include "parser/parse_func.h"
#include "parser/parse_oper.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "plan/refuse.h"
#include "plan/session.h"
#include "window/session.h"

FuncExpr *
sx_plan_session_call(Node *expr)
{
	FuncExpr   *call = (FuncExpr *) expr;
	char	   *name;

	if (expr == NULL || !IsA(expr, FuncExpr) || list_length(call->args) != 2 ||
		(call->funcresulttype != TIMESTAMPTZOID && call->funcresulttype != TIMESTAMPOID))
		return NULL;
	name = get_func_name(call->funcid);
	if (name == NULL || strcmp(name, "session") != 0 ||
		getExtensionOfObject(ProcedureRelationId, call->funcid) != get_extension_oid("streamx", true))
		return NULL;
	return call;
}

static bool
has_session_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return sx_plan_session_call(node) != NULL ||
		expression_tree_walker(node, has_session_walker, context);
}

bool
sx_plan_has_session(Node *expr)
{
	return has_session_walker(expr, NULL);
}

Expr *
sx_plan_session_time(const FuncExpr *call)
{
	Expr	   *time = linitial(call->args);

	if (exprType((Node *) time) == DATEOID)
		return (Expr *) makeFuncExpr(F_TIMESTAMP_DATE, TIMESTAMPOID,
									 list_make1(copyObject(time)), InvalidOid,
									 InvalidOid, COERCE_IMPLICIT_CAST);
	return copyObject(time);
}

/* Number of the grouping column that is a session; -1: there is none. */
static int
session_column(Query *query)
{
	int			result = -1;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		if (sx_plan_session_call(sx_group_expr(query, lfirst_node(SortGroupClause, lc))))
		{
			if (result >= 0)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("a query cannot group by two sessions"),
						 errhint("Group by one of them in a query over the result of the other.")));
			result = i;
		}
		i++;
	}
	if (result >= 0 && query->groupingSets != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("session() cannot be a grouping column beside GROUPING SETS, ROLLUP or CUBE"),
				 errdetail("A session is per the other grouping columns, which differ from set to set."),
				 errhint("Write one query for each grouping.")));
	return result;
}

/* ---- the rewriting ---- */

typedef struct ExpandContext
{
	Query	   *inner;			/* its target list grows */
	List	   *grouped;		/* expressions of the query ... */
	List	   *columns;		/* ... and the column of inner for each */
	int			depth;			/* below the query */
} ExpandContext;

/* A column of the subquery, as seen from a query so far below the outer one. */
static Var *
column_var(const ExpandContext *c, int resno)
{
	TargetEntry *tle = list_nth_node(TargetEntry, c->inner->targetList, resno - 1);

	return makeVar(1, resno, exprType((Node *) tle->expr),
				   exprTypmod((Node *) tle->expr),
				   exprCollation((Node *) tle->expr), c->depth);
}

/* The column of the subquery with this expression, made if need be. */
static TargetEntry *
add_column(ExpandContext *c, Expr *expr)
{
	TargetEntry *tle = tlist_member(expr, c->inner->targetList);

	if (tle == NULL)
	{
		int			resno = list_length(c->inner->targetList) + 1;

		tle = makeTargetEntry(copyObject(expr), resno, psprintf("c%d", resno), false);
		c->inner->targetList = lappend(c->inner->targetList, tle);
	}
	return tle;
}

/* What stands above the FROM clause, over the subquery's columns. */
static Node *
outer_mutator(Node *node, ExpandContext *c)
{
	if (node == NULL)
		return NULL;
	if (c->depth == 0)
	{
		ListCell   *expr;
		ListCell   *column;

		forboth(expr, c->grouped, column, c->columns)
		{
			if (equal(node, lfirst(expr)))
				return (Node *) column_var(c, lfirst_int(column));
		}
	}
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		if (var->varlevelsup != c->depth)
			return (Node *) var;
		var->varlevelsup = 0;
		return (Node *) column_var(c, add_column(c, (Expr *) var)->resno);
	}
	if (IsA(node, Query))
	{
		Query	   *query;

		c->depth++;
		query = query_tree_mutator((Query *) node, outer_mutator, (void *) c, 0);
		c->depth--;
		return (Node *) query;
	}
	return expression_tree_mutator(node, outer_mutator, (void *) c);
}

/* References to the WITH queries of the query that is a level further up now. */
static bool
cte_walker(Node *node, int *depth)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup == *depth)
			rte->ctelevelsup++;
		return false;
	}
	if (IsA(node, Query))
	{
		(*depth)++;
		(void) query_tree_walker((Query *) node, cte_walker, depth, QTW_EXAMINE_RTES_BEFORE);
		(*depth)--;
		return false;
	}
	return expression_tree_walker(node, cte_walker, depth);
}

static Index
sort_ref(ExpandContext *c, TargetEntry *tle)
{
	return assignSortGroupRef(tle, c->inner->targetList);
}

/* streamx.session_start(time, gap) OVER (window 1) */
static WindowFunc *
session_start(const FuncExpr *call, Expr *time)
{
	WindowFunc *start = makeNode(WindowFunc);
	Oid			types[2] = {call->funcresulttype, INTERVALOID};

	start->winfnoid = LookupFuncName(list_make2(makeString("streamx"),
												makeString("session_start")),
									 2, types, false);
	start->wintype = call->funcresulttype;
	start->args = list_make2(time, copyObject(lsecond(call->args)));
	start->winref = 1;
	start->location = -1;
	return start;
}

/* One query, whose grouping column number "session" is one. */
static void
expand(Query *query, int session)
{
	ExpandContext c = {0};
	WindowClause *window = makeNode(WindowClause);
	SortGroupClause *order = makeNode(SortGroupClause);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	TargetEntry *tle;
	FuncExpr   *call = NULL;
	Expr	   *time;
	List	   *names = NIL;
	int			depth = 0;
	int			i = 0;
	ListCell   *lc;

	(void) sx_flatten_group_rte(query);
	c.inner = makeNode(Query);
	c.inner->commandType = CMD_SELECT;
	c.inner->querySource = query->querySource;
	c.inner->canSetTag = true;
	c.inner->hasWindowFuncs = true;
	c.inner->hasSubLinks = query->hasSubLinks;
	c.inner->hasRowSecurity = query->hasRowSecurity;
	c.inner->rtable = query->rtable;
	c.inner->jointree = query->jointree;
	sx_move_permissions(c.inner, query);

	/* the other grouping columns, then the session */
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = copyObject(lfirst_node(SortGroupClause, lc));
		Node	   *expr = sx_group_expr(query, clause);

		if (i++ == session)
		{
			call = castNode(FuncExpr, expr);
			continue;
		}
		tle = add_column(&c, (Expr *) expr);
		clause->tleSortGroupRef = sort_ref(&c, tle);
		window->partitionClause = lappend(window->partitionClause, clause);

		/* a constant may stand where no column can */
		if (!IsA(expr, Const))
		{
			c.grouped = lappend(c.grouped, expr);
			c.columns = lappend_int(c.columns, tle->resno);
		}
	}
	time = sx_plan_session_time(call);
	tle = add_column(&c, time);
	order->tleSortGroupRef = sort_ref(&c, tle);
	get_sort_group_operators(exprType((Node *) time), true, true, false,
							 &order->sortop, &order->eqop, NULL, &order->hashable);
	window->orderClause = list_make1(order);
	window->frameOptions = FRAMEOPTION_DEFAULTS;
	window->winref = 1;
	c.inner->windowClause = list_make1(window);
	tle = add_column(&c, (Expr *) session_start(call, copyObject(time)));
	c.grouped = lappend(c.grouped, call);
	c.columns = lappend_int(c.columns, tle->resno);

	query->targetList = (List *) outer_mutator((Node *) query->targetList, &c);
	query->havingQual = outer_mutator(query->havingQual, &c);
	query->hasTargetSRFs = expression_returns_set((Node *) query->targetList);
	c.inner->hasTargetSRFs = expression_returns_set((Node *) c.inner->targetList);

	/* what the subquery refers to outside itself is further away now */
	IncrementVarSublevelsUp((Node *) c.inner, 1, 1);
	(void) query_tree_walker(c.inner, cte_walker, &depth, QTW_EXAMINE_RTES_BEFORE);

	foreach(lc, c.inner->targetList)
		names = lappend(names, makeString(pstrdup(lfirst_node(TargetEntry, lc)->resname)));
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = c.inner;
	rte->eref = makeAlias("rows", names);
	rte->inFromCl = true;
	ref->rtindex = 1;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
}

/* Is one of the columns of SELECT DISTINCT a session? */
static bool
distinct_session(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->distinctClause)
	{
		if (sx_plan_session_call(sx_group_expr(query, lfirst_node(SortGroupClause, lc))))
			return true;
	}
	return false;
}

static bool
expand_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		sx_plan_expand_sessions((Query *) node);
		return false;
	}
	return expression_tree_walker(node, expand_walker, context);
}

void
sx_plan_expand_sessions(Query *query)
{
	bool		subqueries = query->hasSubLinks || query->cteList != NIL;
	int			session;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, query->rtable)
	{
		RTEKind		kind = lfirst_node(RangeTblEntry, lc)->rtekind;

		subqueries |= kind == RTE_SUBQUERY;
	}
	if (subqueries)
		(void) query_tree_walker(query, expand_walker, NULL, 0);

	/* SELECT DISTINCT is GROUP BY over the same columns */
	if (query->distinctClause != NIL && !query->hasDistinctOn && !query->hasAggs &&
		!query->hasWindowFuncs && query->setOperations == NULL &&
		query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == NULL && distinct_session(query))
	{
		query->groupClause = query->distinctClause;
		query->distinctClause = NIL;
	}
	session = query->groupClause != NIL ? session_column(query) : -1;
	if (session >= 0)
		expand(query, session);
}

/* ---- continuous views ---- */

typedef struct StrayContext
{
	Node	   *key;			/* the call that is a grouping column, or NULL */
	bool		top;			/* in the view's own query */
	bool		aggregated;		/* and below an aggregate */
} StrayContext;

static Node *
session_key(Query *query)
{
	int			column = session_column(query);

	return column < 0 ? NULL :
		sx_group_expr(query, list_nth_node(SortGroupClause, query->groupClause, column));
}

/* true: there is a call that means nothing */
static bool
stray_call_walker(Node *node, StrayContext *c)
{
	bool		result;

	if (node == NULL)
		return false;
	if (sx_plan_session_call(node))
		return c->aggregated || !equal(node, c->key);
	if (IsA(node, Aggref) && c->top)
	{
		bool		before = c->aggregated;

		c->aggregated = true;
		result = expression_tree_walker(node, stray_call_walker, (void *) c);
		c->aggregated = before;
		return result;
	}
	if (IsA(node, Query))
	{
		StrayContext inner = {session_key((Query *) node), false, false};

		return query_tree_walker((Query *) node, stray_call_walker, (void *) &inner, 0);
	}
	return expression_tree_walker(node, stray_call_walker, (void *) c);
}

void
sx_plan_find_session(SxShape *shape, Query *query, const char *viewname)
{
	StrayContext c = {session_key(query), true, false};
	SxSession  *session;
	FuncExpr   *call;
	Node	   *gap;

	if (query_tree_walker(query, stray_call_walker, (void *) &c, 0))
		SX_REFUSE(viewname,
				  ("There is a call of session() that is no grouping column."),
				  ("Group by session(ts, gap) itself; to aggregate where sessions start, do so over the result."));
	if (c.key == NULL)
		return;

	call = castNode(FuncExpr, c.key);
	gap = eval_const_expressions(NULL, copyObject(lsecond(call->args)));
	if (!IsA(gap, Const) || ((Const *) gap)->constisnull)
		SX_REFUSE(viewname,
				  ("The gap of the session is no constant."),
				  ("Give an interval, such as interval '5 minutes'."));
	session = palloc0(sizeof(SxSession));
	session->key = session_column(query);
	session->gap_us = sx_session_gap_us(DatumGetIntervalP(((Const *) gap)->constvalue));
	session->gap = (Expr *) gap;
	session->time = sx_plan_session_time(call);
	session->last = session->count = -1;
	shape->session = session;
}

static Aggref *
make_aggregate(Oid funcid, Expr *arg)
{
	Aggref	   *aggref = makeNode(Aggref);

	aggref->aggfnoid = funcid;
	aggref->aggtype = arg ? exprType((Node *) arg) : INT8OID;
	aggref->aggtranstype = InvalidOid;
	if (arg)
	{
		aggref->aggargtypes = list_make1_oid(exprType((Node *) arg));
		aggref->args = list_make1(makeTargetEntry(arg, 1, NULL, false));
	}
	else
		aggref->aggstar = true;
	aggref->aggkind = AGGKIND_NORMAL;
	aggref->aggsplit = AGGSPLIT_SIMPLE;
	aggref->aggno = aggref->aggtransno = -1;
	aggref->location = -1;
	return aggref;
}

static List *
add_aggregate(List *aggrefs, Aggref *aggref, int *which)
{
	ListCell   *lc;

	*which = 0;
	foreach(lc, aggrefs)
	{
		if (equal(lfirst(lc), aggref))
			return aggrefs;
		(*which)++;
	}
	return lappend(aggrefs, aggref);
}

List *
sx_plan_session_aggregates(SxShape *shape, List *aggrefs)
{
	SxSession  *session = shape->session;
	bool		tz = exprType((Node *) session->time) == TIMESTAMPTZOID;

	aggrefs = add_aggregate(aggrefs, make_aggregate(tz ? F_MAX_TIMESTAMPTZ : F_MAX_TIMESTAMP,
													copyObject(session->time)),
							&session->last);
	return add_aggregate(aggrefs, make_aggregate(F_COUNT_, NULL), &session->count);
}
