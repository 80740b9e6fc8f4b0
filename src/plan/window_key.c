/*-------------------------------------------------------------------------
 * window_key.c
 *		Which grouping column of a query is a window over event time.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/stream.h"
#include "plan/from.h"
#include "plan/window_key.h"
#include "window/tumble.h"

/*
 * What a column stands for below subqueries, joins and functions in FROM; *query becomes the
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
		else if (rte->rtekind == RTE_FUNCTION && list_length(rte->functions) == 1 &&
				 linitial_node(RangeTblFunction, rte->functions)->funccolcount == 1 &&
				 var->varattno == 1)
			expr = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
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

static bool is_event_time(Query *query, Node *expr, bool exactly);

/* Is it the cast of a date to a timestamp? */
static bool
is_midnight(Node *expr)
{
	return ((FuncExpr *) expr)->funcid == F_TIMESTAMP_DATE ||
		((FuncExpr *) expr)->funcid == F_TIMESTAMPTZ_DATE;
}

/*
 * Is column attno of all branches of UNION ALL over streams the event time?
 * The branches' types become the column's: a cast that is not written.
 */
static bool
is_event_time_of_all(Query *query, Node *node, int attno, Oid type, bool exactly)
{
	RangeTblEntry *rte;
	Node	   *expr;
	Oid			branch_type;

	if (IsA(node, SetOperationStmt))
	{
		SetOperationStmt *op = (SetOperationStmt *) node;

		return is_event_time_of_all(query, op->larg, attno, type, exactly) &&
			is_event_time_of_all(query, op->rarg, attno, type, exactly);
	}
	rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, query->rtable);
	if (rte->rtekind != RTE_SUBQUERY || attno > list_length(rte->subquery->targetList))
		return false;
	if (sx_plan_count_streams((Node *) rte->subquery) == 0)
		return true;			/* history is never late */
	expr = (Node *) list_nth_node(TargetEntry, rte->subquery->targetList, attno - 1)->expr;
	branch_type = exprType(expr);
	if (exactly && branch_type != type && branch_type != DATEOID)
		return false;
	if (rte->subquery->setOperations)
		return is_event_time_of_all(rte->subquery, rte->subquery->setOperations, attno,
									branch_type, exactly);
	return is_event_time(rte->subquery, expr, exactly);
}

/*
 * Is the expression the event time of a stream, or a timestamp or date of it?
 *
 * exactly: at the time itself, which is what the watermark counts in.  A date
 * of a timestamp is before it, and its local time is hours away from it and
 * goes back when clocks do.  The midnight of a date, wherever, is before no
 * other date.
 */
static bool
is_event_time(Query *query, Node *expr, bool exactly)
{
	RangeTblEntry *rte;
	Var		   *var;
	const SxStream *stream;
	const SxColumn *column;

	expr = look_through(&query, expr);
	if (expr && IsA(expr, FuncExpr) &&
		(exactly ? is_midnight(expr) :
		 ((FuncExpr *) expr)->funcformat != COERCE_EXPLICIT_CALL &&
		 list_length(((FuncExpr *) expr)->args) == 1))
		expr = look_through(&query, linitial(((FuncExpr *) expr)->args));
	if (expr == NULL || !IsA(expr, Var))
		return false;
	var = (Var *) expr;
	rte = rt_fetch(var->varno, query->rtable);
	if (var->varlevelsup != 0 || var->varattno < 1)
		return false;
	if (rte->rtekind == RTE_SUBQUERY && rte->subquery->setOperations)
		return is_event_time_of_all(rte->subquery, rte->subquery->setOperations, var->varattno,
									var->vartype, exactly);
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_FOREIGN_TABLE ||
		!sx_stream_is(rte->relid))
		return false;
	stream = sx_stream_get(rte->relid, InvalidOid);
	if (var->varattno > stream->schema->ncols)
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
		 strcmp(name, "cumulate") != 0 && strcmp(name, "session") != 0) ||
		getExtensionOfObject(ProcedureRelationId, funcid) != get_extension_oid("streamx", true))
		return -1;
	return 0;
}

int
sx_plan_window_argument(Oid funcid)
{
	return time_argument(funcid);
}

FuncExpr *
sx_plan_window_call(Query *query, Node *expr, int *arg)
{
	FuncExpr   *call;

	expr = look_through(&query, expr);
	if (expr == NULL || !IsA(expr, FuncExpr))
		return NULL;
	call = (FuncExpr *) expr;
	*arg = time_argument(call->funcid);
	if (*arg < 0 || !is_event_time(query, list_nth(call->args, *arg), false))
		return NULL;
	return call;
}

bool
sx_plan_window_closes(Query *query, Node *expr)
{
	FuncExpr   *call = castNode(FuncExpr, look_through(&query, expr));
	Node	   *time = list_nth(call->args, time_argument(call->funcid));

	if (!is_event_time(query, time, true))
		return false;

	/* whose last row is hours from where the watermark stands */
	time = look_through(&query, time);
	return strcmp(get_func_name(call->funcid), "session") != 0 ||
		!IsA(time, FuncExpr) || ((FuncExpr *) time)->funcid != F_TIMESTAMPTZ_DATE;
}

Const *
sx_plan_window_constant(const FuncExpr *call, int arg)
{
	Node	   *node;

	if (arg >= list_length(call->args))
		return NULL;
	node = eval_const_expressions(NULL, copyObject(list_nth(call->args, arg)));
	return IsA(node, Const) && !((Const *) node)->constisnull ? (Const *) node : NULL;
}

SxWindow *
sx_plan_window(const FuncExpr *call)
{
	SxWindow   *window = palloc0(sizeof(SxWindow));
	const char *name = get_func_name(call->funcid);
	Const	   *size;

	window->kind = SX_WINDOW_FIXED;
	window->tz = call->funcresulttype == TIMESTAMPTZOID;
	window->call = copyObject(unconstify(FuncExpr *, call));
	if (strcmp(name, "date_trunc") == 0)
	{
		Const	   *zone = sx_plan_window_constant(call, 2);

		size = sx_plan_window_constant(call, 0);
		if (size == NULL || (zone == NULL && list_length(call->args) > 2) ||
			!sx_window_trunc_size(TextDatumGetCString(size->constvalue), &window->size))
			return NULL;
		if (zone)
			window->zone = TextDatumGetCString(zone->constvalue);
		return window;
	}
	if (strcmp(name, "session") == 0)
	{
		window->kind = SX_WINDOW_SESSION;
		size = sx_plan_window_constant(call, 1);
	}
	else if (strcmp(name, "hop") == 0)
	{
		window->kind = SX_WINDOW_HOP;
		size = sx_plan_window_constant(call, 2);
	}
	else if (strcmp(name, "cumulate") == 0)
	{
		window->kind = SX_WINDOW_CUMULATE;
		size = sx_plan_window_constant(call, 2);
	}
	else
		size = sx_plan_window_constant(call, strcmp(name, "date_bin") == 0 ? 0 : 1);
	if (size == NULL)
		return NULL;
	window->size = *DatumGetIntervalP(size->constvalue);

	/* days of these are 24 hours, whatever the clocks do */
	window->size.time += window->size.day * USECS_PER_DAY;
	window->size.day = 0;
	return window;
}

Expr *
sx_plan_tumble(const FuncExpr *call, Node *size)
{
	List	   *args = list_make2(linitial(call->args), size);
	Oid			types[3];
	Oid			funcid;
	int			i = 0;
	ListCell   *lc;

	if (list_length(call->args) > 3)
		args = lappend(args, lfourth(call->args));
	foreach(lc, args)
		types[i++] = exprType(lfirst(lc));
	funcid = LookupFuncName(list_make2(makeString(get_namespace_name(get_func_namespace(call->funcid))),
									   makeString("tumble")),
							i, types, false);
	return (Expr *) makeFuncExpr(funcid, call->funcresulttype, copyObject(args),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

Expr *
sx_plan_last_window(const FuncExpr *call, Expr *key)
{
	bool		hop = strcmp(get_func_name(call->funcid), "hop") == 0;

	if (strcmp(get_func_name(call->funcid), "session") == 0)
		return NULL;			/* depends on other rows */
	if (!call->funcretset)
		return key;
	if (!equal(call, key))
		return NULL;			/* below a subquery */

	/* the one that starts last: tumble(ts, slide [, origin]), (ts, size) */
	return sx_plan_tumble(call, list_nth(call->args, hop ? 1 : 2));
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

void
sx_plan_check_window(const FuncExpr *call, int arg)
{
	const char *name = get_func_name(call->funcid);
	bool		hop = strcmp(name, "hop") == 0;
	Const	   *first = sx_plan_window_constant(call, 1);
	Const	   *second = sx_plan_window_constant(call, 2);
	Oid			type = exprType(list_nth(call->args, arg));
	FuncExpr   *sample;

	if (hop || strcmp(name, "cumulate") == 0)
	{
		if (first && second)
		{
			if (hop)
				sx_window_check_hop(DatumGetIntervalP(first->constvalue),
									DatumGetIntervalP(second->constvalue));
			else
				sx_window_check_cumulate(DatumGetIntervalP(first->constvalue),
										 DatumGetIntervalP(second->constvalue));
		}
	}
	else if (strcmp(name, "tumble") == 0)
	{
		if (first)
			sx_window_size_check(DatumGetIntervalP(first->constvalue));
	}
	else if (type == TIMESTAMPOID || type == TIMESTAMPTZOID)
	{
		/* date_bin, date_trunc: as they say themselves */
		sample = copyObject(unconstify(FuncExpr *, call));
		lfirst(list_nth_cell(sample->args, arg)) =
			makeConst(type, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL);
		if (!contain_var_clause((Node *) sample))
			(void) evaluate_expr((Expr *) sample, sample->funcresulttype, -1, InvalidOid);
	}
}
