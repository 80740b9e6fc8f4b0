/*-------------------------------------------------------------------------
 * sliding.c
 *		Conditions on the clock that rows grow out of: sliding windows.
 *
 * ts > now() - interval '5 minutes' holds for a row from its arrival on until
 * five minutes after ts, and then never again.  The batch query keeps the
 * condition: rows that are out of the window when they come are of no use.
 * Of the others the view keeps the time, and takes them out of the result
 * when it has come (result/sliding.c).
 *
 * Where all aggregates can be merged states are held instead of rows: a batch
 * gives one for each group and slice of time, which leaves when the last of
 * its rows does.  A slice is a hundredth of the window, or so long that
 * nothing is late by half a second.
 *
 * This needs a bound that never goes back.  Months are of different length
 * and days are where clocks are changed: now() - interval '1 month' stands at
 * the end of February for days, and goes back within them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_coerce.h"
#include "parser/parse_oper.h"
#include "pgtime.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "plan/from.h"
#include "plan/sliding.h"

#define MAX_BACK_US	(INT64CONST(1000000) * USECS_PER_DAY)

/* The clock, or the clock and an interval: what the interval is. */
static bool
clock_and_interval(Node *node, Interval *back)
{
	memset(back, 0, sizeof(*back));
	if (IsA(node, SQLValueFunction))
		return ((SQLValueFunction *) node)->op == SVFOP_CURRENT_TIMESTAMP;
	if (IsA(node, FuncExpr))
		return ((FuncExpr *) node)->funcid == F_NOW ||
			((FuncExpr *) node)->funcid == F_TRANSACTION_TIMESTAMP;
	if (IsA(node, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) node;
		Oid			function = get_opcode(op->opno);
		Node	   *interval;
		Interval	none;

		if ((function != F_TIMESTAMPTZ_MI_INTERVAL && function != F_TIMESTAMPTZ_PL_INTERVAL) ||
			!clock_and_interval(linitial(op->args), &none) ||
			none.month != 0 || none.day != 0 || none.time != 0)
			return false;
		interval = eval_const_expressions(NULL, copyObject(lsecond(op->args)));
		if (!IsA(interval, Const) || ((Const *) interval)->constisnull)
			return false;
		*back = *DatumGetIntervalP(((Const *) interval)->constvalue);
		if (function == F_TIMESTAMPTZ_PL_INTERVAL)
		{
			back->time = -back->time;
			back->day = -back->day;
			back->month = -back->month;
		}
		return true;
	}
	return false;
}

/* Microseconds of it; ERROR if it is not always the same. */
static int64
microseconds(const Interval *back, const char *viewname)
{
	long		offset;
	int64		us = back->time + (int64) back->day * USECS_PER_DAY;

	if (back->month != 0 ||
		(back->day != 0 && !pg_get_timezone_offset(session_timezone, &offset)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot maintain continuous view \"%s\"", viewname),
				 back->month != 0 ?
				 errdetail("The bound of its sliding window goes back by the clock: months differ in length.") :
				 errdetail("The bound of its sliding window goes back when the clocks of time zone \"%s\" are changed.",
						   pg_get_timezone_name(session_timezone)),
				 errhint("Give the interval in hours, or add it to the time of the row: ts + interval '...' > now().")));
	if (back->time > MAX_BACK_US || back->time < -MAX_BACK_US ||
		us > MAX_BACK_US || us < -MAX_BACK_US)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot maintain continuous view \"%s\"", viewname),
				 errdetail("The interval of its sliding window is too long."),
				 errhint("Give a shorter interval.")));
	return us;
}

static SxSliding *
sliding_condition(Node *node, const char *viewname)
{
	OpExpr	   *op = (OpExpr *) node;
	Node	   *time;
	Node	   *clock;
	const char *name;
	const char *wanted;
	Interval	back;
	SxSliding  *sliding;

	if (!IsA(node, OpExpr) || list_length(op->args) != 2 ||
		op->opno >= FirstNormalObjectId)
		return NULL;
	time = linitial(op->args);
	clock = lsecond(op->args);
	wanted = ">";
	if (clock_and_interval(time, &back))
	{
		time = lsecond(op->args);
		clock = linitial(op->args);
		wanted = "<";
	}
	if (!clock_and_interval(clock, &back) || sx_plan_reads_clock(time, &name) ||
		checkExprHasSubLink(time) || !contain_var_clause(time))
		return NULL;
	name = get_opname(op->opno);
	if (name == NULL || name[0] != wanted[0] || (name[1] != '\0' && strcmp(name + 1, "=") != 0))
		return NULL;
	switch (exprType(time))
	{
		case TIMESTAMPTZOID:
			break;
		case TIMESTAMPOID:
		case DATEOID:
			/* as the operator compares it */
			time = coerce_to_target_type(NULL, copyObject(time), exprType(time),
										 TIMESTAMPTZOID, -1, COERCION_EXPLICIT,
										 COERCE_EXPLICIT_CAST, -1);
			break;
		default:
			return NULL;
	}
	sliding = palloc0(sizeof(SxSliding));
	sliding->time = (Expr *) copyObject(time);
	sliding->back_us = microseconds(&back, viewname);
	sliding->at_end = name[1] == '=';
	return sliding;
}

SxSliding *
sx_plan_sliding(Query *query, const char *viewname, Node **rest)
{
	/* the list may be that of the query itself */
	List	   *conditions = list_copy(make_ands_implicit((Expr *) query->jointree->quals));
	SxSliding  *sliding = NULL;
	ListCell   *lc;

	foreach(lc, conditions)
	{
		if (sliding == NULL)
		{
			sliding = sliding_condition(lfirst(lc), viewname);
			if (sliding)
				conditions = foreach_delete_current(conditions, lc);
		}
	}
	*rest = conditions == NIL ? NULL : (Node *) make_ands_explicit(conditions);
	return sliding;
}

Node *
sx_plan_sliding_condition(const SxSliding *sliding, Expr *time)
{
	FuncExpr   *now = makeFuncExpr(F_NOW, TIMESTAMPTZOID, NIL, InvalidOid,
								   InvalidOid, COERCE_EXPLICIT_CALL);
	Interval   *back = palloc0(sizeof(Interval));
	Const	   *interval;
	Expr	   *bound;
	Oid			minus = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("-")),
										 TIMESTAMPTZOID, INTERVALOID);
	Oid			greater = OpernameGetOprid(list_make2(makeString("pg_catalog"),
													  makeString(sliding->at_end ? ">=" : ">")),
										   TIMESTAMPTZOID, TIMESTAMPTZOID);

	back->time = sliding->back_us;
	interval = makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval),
						 IntervalPGetDatum(back), false, false);
	bound = make_opclause(minus, TIMESTAMPTZOID, false, (Expr *) now, (Expr *) interval,
						  InvalidOid, InvalidOid);
	bound = make_opclause(greater, BOOLOID, false, copyObject(time), bound,
						  InvalidOid, InvalidOid);
	fix_opfuncids((Node *) bound);
	return (Node *) bound;
}

/* ---- states instead of rows ---- */

#define SLICES			100		/* of a window */
#define MAX_SLICE_US	400000
#define MIN_SLICE_US	1000

static Expr *
interval_const(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return (Expr *) makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval),
							  IntervalPGetDatum(interval), false, false);
}

void
sx_plan_sliding_states(SxShape *shape)
{
	SxSliding  *sliding = shape->sliding;
	int64		slice = Min(Max(sliding->back_us / SLICES, MIN_SLICE_US), MAX_SLICE_US);
	Const	   *origin = makeConst(TIMESTAMPTZOID, -1, InvalidOid, sizeof(int64),
								   TimestampTzGetDatum(0), false, FLOAT8PASSBYVAL);
	Expr	   *time;

	/* the end of the slice */
	time = (Expr *) makeFuncExpr(F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ, TIMESTAMPTZOID,
								 list_make3(interval_const(slice), copyObject(sliding->time), origin),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	time = (Expr *) makeFuncExpr(F_TIMESTAMPTZ_PL_INTERVAL, TIMESTAMPTZOID,
								 list_make2(time, interval_const(slice)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	sliding->time = time;
	sliding->held = 0;
	shape->nheld = 1;
	shape->held = palloc0(sizeof(SxHeld));
	shape->held[0].expr = time;
	shape->held[0].typid = TIMESTAMPTZOID;
	shape->held[0].typmod = -1;
	shape->held[0].collation = InvalidOid;
}

void
sx_plan_group_by_time(SxShape *shape, Query *query)
{
	TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, shape->nkeys);
	SortGroupClause *clause = makeNode(SortGroupClause);

	if (!shape->grouped)
	{
		int			resno = 1;
		ListCell   *lc;

		shape->initial_query = copyObject(query);
		shape->initial_query->targetList = list_delete_first(shape->initial_query->targetList);
		foreach(lc, shape->initial_query->targetList)
			lfirst_node(TargetEntry, lc)->resno = resno++;
	}
	clause->tleSortGroupRef = assignSortGroupRef(tle, query->targetList);
	get_sort_group_operators(TIMESTAMPTZOID, false, true, false, &clause->sortop,
							 &clause->eqop, NULL, &clause->hashable);
	query->groupClause = lappend(query->groupClause, clause);
}
