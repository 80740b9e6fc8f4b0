/*-------------------------------------------------------------------------
 * window_key.c
 *		Which grouping column of a query is a window over event time.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "plan/window_key.h"

/*
 * What a column stands for below subqueries and joins; *query becomes the
 * level at which it stands.
 */
static Node *
look_through(Query **query, Node *expr)
{
	while (expr && IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0 &&
		   ((Var *) expr)->varattno > 0)
	{
		Var		   *var = (Var *) expr;
		RangeTblEntry *rte = rt_fetch(var->varno, (*query)->rtable);

		if (rte->rtekind == RTE_JOIN)
			expr = list_nth(rte->joinaliasvars, var->varattno - 1);
		else if (rte->rtekind == RTE_SUBQUERY &&
				 var->varattno <= list_length(rte->subquery->targetList) &&
				 rte->subquery->setOperations == NULL)
		{
			*query = rte->subquery;
			expr = (Node *) list_nth_node(TargetEntry, (*query)->targetList,
										  var->varattno - 1)->expr;
		}
		else
			break;
	}
	return expr;
}

static bool
is_event_time(Query *query, Node *expr, const SxStream *stream)
{
	RangeTblEntry *rte;
	Var		   *var;
	const SxColumn *column;

	/* a timestamp or date of it is the same time */
	expr = look_through(&query, expr);
	if (expr && IsA(expr, FuncExpr) &&
		((FuncExpr *) expr)->funcformat != COERCE_EXPLICIT_CALL &&
		list_length(((FuncExpr *) expr)->args) == 1)
		expr = look_through(&query, linitial(((FuncExpr *) expr)->args));
	if (expr == NULL || !IsA(expr, Var))
		return false;
	var = (Var *) expr;
	rte = rt_fetch(var->varno, query->rtable);
	if (var->varlevelsup != 0 || rte->rtekind != RTE_RELATION ||
		rte->relid != stream->relid || var->varattno < 1 ||
		var->varattno > stream->schema->ncols)
		return false;
	if (stream->event_time_col >= 0)
		return var->varattno - 1 == stream->event_time_col;
	column = &stream->schema->cols[var->varattno - 1];
	return column->metadata == SX_META_TIMESTAMP ||
		column->metadata == SX_META_ARRIVAL_TIME;
}

/* Number of the argument that a window function takes the time from; -1 */
static int
time_argument(Oid funcid)
{
	const char *name;

	switch (funcid)
	{
		case F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP:
		case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMP:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT:
			return 1;
		default:
			break;
	}
	name = get_func_name(funcid);
	if (name == NULL ||
		(strcmp(name, "tumble") != 0 && strcmp(name, "hop") != 0 &&
		 strcmp(name, "cumulate") != 0) ||
		getExtensionOfObject(ProcedureRelationId, funcid) != get_extension_oid("streamx", true))
		return -1;
	return 0;
}

FuncExpr *
sx_plan_window_call(Query *query, Node *expr, const SxStream *stream, int *arg)
{
	FuncExpr   *call;

	expr = look_through(&query, expr);
	if (expr == NULL || !IsA(expr, FuncExpr))
		return NULL;
	call = (FuncExpr *) expr;
	*arg = time_argument(call->funcid);
	if (*arg < 0 || !is_event_time(query, list_nth(call->args, *arg), stream))
		return NULL;
	return call;
}

void
sx_plan_require_event_time(FuncExpr *call, int arg)
{
	ListCell   *cell = list_nth_cell(call->args, arg);
	Node	   *time = lfirst(cell);
	Oid			anytype = ANYELEMENTOID;
	Oid			funcid = LookupFuncName(list_make2(makeString("streamx"),
												   makeString("event_time")),
										1, &anytype, false);

	lfirst(cell) = makeFuncExpr(funcid, exprType(time), list_make1(time),
								InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}
