/*-------------------------------------------------------------------------
 * join.c
 *		Views that join streams: which rows are held, and for how long.
 *
 * A join of streams is folded forward by holding the rows of each side: a
 * batch of one side is joined with what is held of the others, then held
 * itself (the plans for this are made in join_plan.c).  So that a side's rows
 * need not be held for ever, the conditions between two sides are looked
 * through for bounds: from
 *
 *		r.ts BETWEEN l.ts - interval 'a' AND l.ts + interval 'b'
 *
 * follows r.ts <= l.ts + b, and l.ts <= r.ts + a.  A row of l goes when the
 * watermark is beyond l.ts + b, as no row of r that matches it is still to
 * come.  The same bound tells when a row of a preserved side of an outer join
 * has remained without a partner.
 *
 * Conditions are looked at as expressions over the streams themselves, with
 * subqueries and aliases of joins looked through; a Var's number is that of
 * the side + 1, whatever is no stream has the number OTHER.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/stream.h"
#include "plan/join.h"
#include "plan/refuse.h"
#include "plan/window_key.h"

#define MAX_SIDES	8
#define OTHER		(MAX_SIDES + 1)

/* A query within the query, and the one around it. */
typedef struct Level
{
	Query	   *query;
	struct Level *parent;
} Level;

typedef struct JoinContext
{
	const char *viewname;
	SxJoin	   *join;
	struct
	{
		Query	   *query;
		int			rtindex;
		SxStream   *stream;
	}			place[MAX_SIDES];
	List	   *conditions;		/* what holds of all rows that come out */
	bool		in_outer;		/* conditions are those of an outer join of
								 * streams */
} JoinContext;

/* ---- where the streams are ---- */

static bool
is_stream(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
		sx_stream_is(rte->relid);
}

static void find_sides(JoinContext *cxt, Query *query, Node *node, List *path);

static void
find_sides_rte(JoinContext *cxt, Query *query, int rtindex, List *path)
{
	RangeTblEntry *rte = rt_fetch(rtindex, query->rtable);
	SxJoin	   *join = cxt->join;

	path = lappend_int(list_copy(path), rtindex);
	if (is_stream(rte))
	{
		SxJoinSide *side;

		if (join->nsides == MAX_SIDES)
			SX_REFUSE(cxt->viewname, ("The query joins more than %d streams.", MAX_SIDES),
					  ("Make continuous views of parts of it."));
		side = &join->sides[join->nsides];
		side->stream = rte->relid;
		side->path = path;
		cxt->place[join->nsides].query = query;
		cxt->place[join->nsides].rtindex = rtindex;
		cxt->place[join->nsides].stream = sx_stream_get(rte->relid, InvalidOid);
		side->name = cxt->place[join->nsides].stream->name;
		join->nsides++;
	}
	else if (rte->rtekind == RTE_SUBQUERY)
	{
		/* branches of a union are no sides of their own */
		if (rte->subquery->setOperations)
		{
			int			before = join->nsides;
			ListCell   *lc;

			foreach(lc, rte->subquery->rtable)
			{
				RangeTblEntry *branch = lfirst_node(RangeTblEntry, lc);

				if (branch->rtekind == RTE_SUBQUERY)
					find_sides(cxt, branch->subquery,
							   (Node *) branch->subquery->jointree, NIL);
			}
			if (join->nsides > before)
				SX_REFUSE(cxt->viewname,
						  ("A union of streams is joined with another stream."),
						  ("Write the union of the joins, or union the streams in a continuous view with a native stream as its sink."));
		}
		else
			find_sides(cxt, rte->subquery, (Node *) rte->subquery->jointree, path);
	}
}

static void
find_sides(JoinContext *cxt, Query *query, Node *node, List *path)
{
	if (node == NULL)
		return;
	if (IsA(node, RangeTblRef))
		find_sides_rte(cxt, query, ((RangeTblRef *) node)->rtindex, path);
	else if (IsA(node, JoinExpr))
	{
		find_sides(cxt, query, ((JoinExpr *) node)->larg, path);
		find_sides(cxt, query, ((JoinExpr *) node)->rarg, path);
	}
	else if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			find_sides(cxt, query, lfirst(lc), path);
	}
}

/* ---- expressions over the streams ---- */

typedef struct ResolveContext
{
	JoinContext *cxt;
	Level	   *level;
	bool		fails;			/* it cannot be told */
} ResolveContext;

static Node *
resolve_mutator(Node *node, ResolveContext *rc)
{
	if (node == NULL || rc->fails)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		Level	   *level = rc->level;
		Level	   *saved = rc->level;
		Level		below;
		RangeTblEntry *rte;
		Node	   *expr = NULL;
		Index		up;
		int			i;

		for (up = var->varlevelsup; up > 0 && level; up--)
			level = level->parent;
		if (level == NULL)
		{
			rc->fails = true;
			return NULL;
		}
		rte = rt_fetch(var->varno, level->query->rtable);
		for (i = 0; i < rc->cxt->join->nsides; i++)
		{
			if (rc->cxt->place[i].query == level->query &&
				rc->cxt->place[i].rtindex == var->varno)
				return (Node *) makeVar(i + 1, var->varattno, var->vartype,
										var->vartypmod, var->varcollid, 0);
		}
		if (rte->rtekind == RTE_JOIN && var->varattno > 0)
		{
			rc->level = level;
			expr = resolve_mutator(list_nth(rte->joinaliasvars, var->varattno - 1), rc);
			rc->level = saved;
			return expr;
		}
		if (rte->rtekind == RTE_SUBQUERY && rte->subquery->setOperations == NULL)
		{
			TargetEntry *tle = var->varattno > 0 ?
			get_tle_by_resno(rte->subquery->targetList, var->varattno) : NULL;

			if (tle == NULL || expression_returns_set((Node *) tle->expr) ||
				rte->subquery->hasAggs || rte->subquery->groupClause)
			{
				rc->fails = true;
				return NULL;
			}
			below.query = rte->subquery;
			below.parent = level;
			rc->level = &below;
			expr = resolve_mutator((Node *) tle->expr, rc);
			rc->level = saved;
			return expr;
		}
		return (Node *) makeVar(OTHER, 1, var->vartype, var->vartypmod,
								var->varcollid, 0);
	}
	if (IsA(node, SubLink) || IsA(node, Query))
	{
		rc->fails = true;
		return NULL;
	}
	return expression_tree_mutator(node, resolve_mutator, (void *) rc);
}

/* NULL: it cannot be told. */
static Node *
resolve(JoinContext *cxt, Level *level, Node *expr)
{
	ResolveContext rc = {cxt, level, false};
	Node	   *result = resolve_mutator(expr, &rc);

	return rc.fails ? NULL : eval_const_expressions(NULL, result);
}

/* The conditions of a clause, one by one; those that cannot be told are left out. */
static List *
resolve_conditions(JoinContext *cxt, Level *level, Node *quals)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (quals == NULL)
		return NIL;
	if (IsA(quals, List))
	{
		foreach(lc, (List *) quals)
			result = list_concat(result, resolve_conditions(cxt, level, lfirst(lc)));
	}
	else if (is_andclause(quals))
		result = resolve_conditions(cxt, level, (Node *) ((BoolExpr *) quals)->args);
	else
	{
		Node	   *clause = resolve(cxt, level, quals);

		if (clause)
			result = make_ands_implicit((Expr *) clause);
	}
	return result;
}

/* ---- conditions: of one side, of all rows, of an outer join ---- */

static int	walk(JoinContext *cxt, Level *level, Node *node, List *path,
				 List *above);

/* The conditions above that are the side's own business. */
static List *
filters_of(List *above, int side)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, above)
	{
		Bitmapset  *vars = pull_varnos(NULL, lfirst(lc));
		int			member;

		if (bms_get_singleton_member(vars, &member) && member == side + 1)
		{
			Node	   *filter = copyObject(lfirst(lc));

			ChangeVarNodes(filter, side + 1, 1, 0);
			result = lappend(result, filter);
		}
	}
	return result;
}

static int
walk_rte(JoinContext *cxt, Level *level, int rtindex, List *path, List *above)
{
	RangeTblEntry *rte = rt_fetch(rtindex, level->query->rtable);
	Level		below;
	int			i;

	for (i = 0; i < cxt->join->nsides; i++)
	{
		if (cxt->place[i].query == level->query && cxt->place[i].rtindex == rtindex)
		{
			cxt->join->sides[i].filters = filters_of(above, i);
			return 1;
		}
	}
	if (rte->rtekind != RTE_SUBQUERY || rte->subquery->setOperations)
		return 0;
	below.query = rte->subquery;
	below.parent = level;
	return walk(cxt, &below, (Node *) rte->subquery->jointree,
				lappend_int(list_copy(path), rtindex), above);
}

/*
 * above: conditions that hold of each row of the node that comes out in the
 * end.  Returns how many of the sides the node has.
 */
static int
walk(JoinContext *cxt, Level *level, Node *node, List *path, List *above)
{
	int			n = 0;
	ListCell   *lc;

	if (node == NULL)
		return 0;
	if (IsA(node, RangeTblRef))
		n = walk_rte(cxt, level, ((RangeTblRef *) node)->rtindex, path, above);
	else if (IsA(node, FromExpr))
	{
		List	   *own = resolve_conditions(cxt, level, ((FromExpr *) node)->quals);

		if (!cxt->in_outer)
			cxt->conditions = list_concat(cxt->conditions, own);
		own = list_concat_copy(own, above);
		foreach(lc, ((FromExpr *) node)->fromlist)
			n += walk(cxt, level, lfirst(lc), path, own);
	}
	else
	{
		JoinExpr   *join = castNode(JoinExpr, node);
		List	   *own = resolve_conditions(cxt, level, join->quals);
		int			first = n;
		int			left;
		int			right;

		if (join->jointype == JOIN_INNER)
		{
			if (!cxt->in_outer)
				cxt->conditions = list_concat(cxt->conditions, own);
			own = list_concat_copy(own, above);
			return walk(cxt, level, join->larg, path, own) +
				walk(cxt, level, join->rarg, path, own);
		}
		left = walk(cxt, level, join->larg, path,
					join->jointype == JOIN_LEFT ? above :
					join->jointype == JOIN_RIGHT ? own : NIL);
		right = walk(cxt, level, join->rarg, path,
					 join->jointype == JOIN_RIGHT ? above :
					 join->jointype == JOIN_LEFT ? own : NIL);
		n = first + left + right;
		if (left > 0 && right > 0)
		{
			if (cxt->join->nsides != 2)
				SX_REFUSE(cxt->viewname,
						  ("There is an outer join among more than two streams."),
						  ("Make a continuous view of the outer join of two of them."));

			/* only its own conditions tell whether a row has a partner */
			cxt->conditions = own;
			cxt->in_outer = true;
			cxt->join->outer = true;
			cxt->join->outer_path = path;
			cxt->join->outer_rtindex = join->rtindex;
			cxt->join->sides[0].preserved = join->jointype != JOIN_RIGHT;
			cxt->join->sides[1].preserved = join->jointype != JOIN_LEFT;
			/* sides were numbered from left to right */
			cxt->join->left_first = true;
		}
	}
	return n;
}

/* ---- event times ---- */

static bool
is_time_column(const SxStream *stream, AttrNumber attno)
{
	const SxColumn *column;

	if (attno < 1 || attno > stream->schema->ncols)
		return false;
	if (stream->event_time_col >= 0)
		return attno - 1 == stream->event_time_col;
	column = &stream->schema->cols[attno - 1];
	return column->metadata == SX_META_TIMESTAMP ||
		column->metadata == SX_META_ARRIVAL_TIME;
}

/* Number of the side whose event time it is; -1 */
static int
time_side(const JoinContext *cxt, Node *node)
{
	Var		   *var = (Var *) node;

	if (!IsA(node, Var) || var->varno < 1 || var->varno > cxt->join->nsides ||
		!is_time_column(cxt->place[var->varno - 1].stream, var->varattno))
		return -1;
	return var->varno - 1;
}

int
sx_plan_join_time_side(const SxJoin *join, Query *query, Node *expr)
{
	JoinContext cxt = {0};
	SxJoin		again = {0};
	Level		top = {query, NULL};
	Node	   *resolved;

	again.sides = palloc0(sizeof(SxJoinSide) * MAX_SIDES);
	cxt.viewname = "";
	cxt.join = &again;
	find_sides(&cxt, query, (Node *) query->jointree, NIL);
	Assert(again.nsides == join->nsides);
	resolved = resolve(&cxt, &top, expr);
	if (resolved && IsA(resolved, FuncExpr) &&
		((FuncExpr *) resolved)->funcformat != COERCE_EXPLICIT_CALL &&
		list_length(((FuncExpr *) resolved)->args) == 1)
		resolved = linitial(((FuncExpr *) resolved)->args);
	return resolved ? time_side(&cxt, resolved) : -1;
}

void
sx_plan_join_locate(SxJoin *join, Query *query)
{
	JoinContext cxt = {0};
	SxJoin		again = {0};
	int			below = list_length(join->sides[0].path) - list_length(join->outer_path);
	int			i;

	again.sides = palloc0(sizeof(SxJoinSide) * MAX_SIDES);
	cxt.viewname = "";
	cxt.join = &again;
	find_sides(&cxt, query, (Node *) query->jointree, NIL);
	if (again.nsides != join->nsides)
		elog(ERROR, "streams of a join are not where they were");
	for (i = 0; i < join->nsides; i++)
		join->sides[i].path = again.sides[i].path;
	if (join->outer)
		join->outer_path = list_truncate(list_copy(join->sides[0].path),
										 list_length(join->sides[0].path) - below);
}

/* ---- bounds ---- */

/* Side whose columns, and no others, an expression has; -1 */
static int
single_side(const JoinContext *cxt, Node *node)
{
	int			member;

	if (!bms_get_singleton_member(pull_varnos(NULL, node), &member) ||
		member > cxt->join->nsides)
		return -1;
	return member - 1;
}

/* Longer than there is time: of no use as a bound, and too much for int64. */
static bool
is_endless(const Interval *interval)
{
	return abs(interval->month) > 12 * 250000 || abs(interval->day) > 366 * 250000 ||
		interval->time > PG_INT64_MAX / 4 || interval->time < PG_INT64_MIN / 4;
}

static int64
linear_us(const Interval *interval)
{
	return interval->time +
		((int64) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
}

/*
 * What t + interval <= y leaves uncertain about t <= y - interval: months
 * differ in length, days where the clocks are changed.
 */
static int64
calendar_slack(const Interval *interval, bool tz)
{
	long		offset;
	int64		slack = 0;

	if (interval->month != 0)
		slack += 4 * USECS_PER_DAY;
	if (tz && (interval->month != 0 || interval->day != 0) &&
		!pg_get_timezone_offset(session_timezone, &offset))
		slack += 25 * USECS_PER_HOUR;
	return slack;
}

/* expr (timestamptz, timestamp or date) + interval */
static Expr *
plus_interval(Expr *expr, const Interval *interval)
{
	Interval   *copy = palloc(sizeof(Interval));
	Oid			type = exprType((Node *) expr);

	*copy = *interval;
	if (type == DATEOID)
	{
		expr = (Expr *) makeFuncExpr(F_TIMESTAMP_DATE, TIMESTAMPOID, list_make1(expr),
									 InvalidOid, InvalidOid, COERCE_IMPLICIT_CAST);
		type = TIMESTAMPOID;
	}
	if (copy->time == 0 && copy->day == 0 && copy->month == 0)
		return expr;
	return (Expr *) makeFuncExpr(type == TIMESTAMPTZOID ? F_TIMESTAMPTZ_PL_INTERVAL : F_TIMESTAMP_PL_INTERVAL,
								 type,
								 list_make2(expr, makeConst(INTERVALOID, -1, InvalidOid,
															sizeof(Interval), IntervalPGetDatum(copy),
															false, false)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static Expr *
plus_us(Expr *expr, int64 us)
{
	Interval	interval = {.time = us};

	return plus_interval(expr, &interval);
}

/* The arguments of an operator or function over intervals; false: it is none */
static bool
interval_arithmetic(Node *node, Node **base, Interval *interval)
{
	Oid			funcid;
	List	   *args;
	Const	   *c;
	int			sign;

	if (IsA(node, OpExpr))
	{
		funcid = get_opcode(((OpExpr *) node)->opno);
		args = ((OpExpr *) node)->args;
	}
	else if (IsA(node, FuncExpr))
	{
		funcid = ((FuncExpr *) node)->funcid;
		args = ((FuncExpr *) node)->args;
	}
	else
		return false;
	switch (funcid)
	{
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TIMESTAMP_PL_INTERVAL:
		case F_DATE_PL_INTERVAL:
			sign = 1;
			break;
		case F_TIMESTAMPTZ_MI_INTERVAL:
		case F_TIMESTAMP_MI_INTERVAL:
		case F_DATE_MI_INTERVAL:
			sign = -1;
			break;
		default:
			return false;
	}
	c = lsecond(args);
	if (!IsA(c, Const) || c->constisnull)
		return false;
	*base = linitial(args);
	*interval = *DatumGetIntervalP(c->constvalue);
	if (is_endless(interval))
		return false;
	interval->time *= sign;
	interval->day *= sign;
	interval->month *= sign;
	return true;
}

/*
 * From x <= y (x over one side) a bound of that side's event time: an
 * expression over the side of y; NULL: there is none.  exact: x = y.
 */
static Expr *
bound_time(JoinContext *cxt, Node *x, Expr *y, bool exact, bool *strict)
{
	Node	   *base;
	Interval	interval;
	bool		tz = exprType(x) == TIMESTAMPTZOID;

	check_stack_depth();
	if (time_side(cxt, x) >= 0)
		return y;
	if (IsA(x, FuncExpr) && ((FuncExpr *) x)->funcid == F_TIMESTAMP_DATE)
		return bound_time(cxt, linitial(((FuncExpr *) x)->args), y, exact, strict);
	if (interval_arithmetic(x, &base, &interval))
	{
		Interval	back = {.time = -interval.time,.day = -interval.day,.month = -interval.month};

		y = plus_interval(y, &back);
		y = plus_us(y, calendar_slack(&interval, tz));
		return bound_time(cxt, base, y, false, strict);
	}
	if (IsA(x, FuncExpr))
	{
		FuncExpr   *call = (FuncExpr *) x;
		int			arg = sx_plan_window_argument(call->funcid);
		SxWindow   *window = arg < 0 || call->funcretset ? NULL : sx_plan_window(call);

		if (window == NULL || window->kind != SX_WINDOW_FIXED)
			return NULL;

		/* what is in a window is before its end */
		*strict = true;
		y = plus_interval(y, &window->size);
		if (!exact || window->zone)
			y = plus_us(y, calendar_slack(&window->size, tz));
		return bound_time(cxt, list_nth(call->args, arg), y, false, strict);
	}
	return NULL;
}

static bool
is_datetime(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* x <= y */
static void
add_bound(JoinContext *cxt, Node *x, Node *y, bool strict, bool exact)
{
	int			of = single_side(cxt, x);
	int			to = single_side(cxt, y);
	Oid			xtype = exprType(x);
	Oid			ytype = exprType(y);
	SxJoinBound *bound;
	ListCell   *cell;
	Expr	   *expr;

	if (of < 0 || to < 0 || of == to || !is_datetime(xtype) || !is_datetime(ytype) ||
		(xtype == TIMESTAMPTZOID) != (ytype == TIMESTAMPTZOID))
		return;
	expr = bound_time(cxt, x, (Expr *) copyObject(y), exact, &strict);
	if (expr == NULL)
		return;
	expr = plus_us(expr, 0);	/* no date */
	ChangeVarNodes((Node *) expr, to + 1, 1, 0);
	bound = palloc(sizeof(SxJoinBound));
	bound->expr = expr;
	bound->strict = strict;
	cell = list_nth_cell(cxt->join->sides[to].bounds, of);
	lfirst(cell) = lappend(lfirst(cell), bound);
}

/* (a - b) <= c, where the difference of two times is an interval */
static void
add_difference_bound(JoinContext *cxt, Node *difference, Node *constant,
					 bool at_most, bool strict)
{
	OpExpr	   *op = (OpExpr *) difference;
	Oid			funcid;
	int64		us;
	Node	   *a;
	Node	   *b;

	if (!IsA(difference, OpExpr) || !IsA(constant, Const) ||
		((Const *) constant)->constisnull)
		return;
	funcid = get_opcode(op->opno);
	if ((funcid != F_TIMESTAMPTZ_MI && funcid != F_TIMESTAMP_MI) ||
		is_endless(DatumGetIntervalP(((Const *) constant)->constvalue)))
		return;
	a = linitial(op->args);
	b = lsecond(op->args);
	us = linear_us(DatumGetIntervalP(((Const *) constant)->constvalue));
	if (at_most)				/* a <= b + c */
		add_bound(cxt, a, (Node *) plus_us(copyObject((Expr *) b), us), strict, false);
	else						/* b <= a - c */
		add_bound(cxt, b, (Node *) plus_us(copyObject((Expr *) a), -us), strict, false);
}

static void
find_bounds(JoinContext *cxt, OpExpr *op)
{
	static Oid	time_family = InvalidOid;
	static Oid	interval_family = InvalidOid;
	Node	   *a;
	Node	   *b;
	int			strategy;
	bool		interval = false;

	if (list_length(op->args) != 2)
		return;
	if (!OidIsValid(time_family))
	{
		interval_family = get_opclass_family(GetDefaultOpClass(INTERVALOID, BTREE_AM_OID));
		time_family = get_opclass_family(GetDefaultOpClass(TIMESTAMPTZOID, BTREE_AM_OID));
	}
	strategy = get_op_opfamily_strategy(op->opno, time_family);
	if (strategy == 0)
	{
		strategy = get_op_opfamily_strategy(op->opno, interval_family);
		interval = true;
	}
	a = linitial(op->args);
	b = lsecond(op->args);
	if (strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber)
	{
		Node	   *swap = a;

		a = b;
		b = swap;
		strategy = strategy == BTGreaterStrategyNumber ?
			BTLessStrategyNumber : BTLessEqualStrategyNumber;
	}
	if (strategy != BTLessStrategyNumber && strategy != BTLessEqualStrategyNumber &&
		strategy != BTEqualStrategyNumber)
		return;
	if (interval)
	{
		bool		strict = strategy == BTLessStrategyNumber;

		add_difference_bound(cxt, a, b, true, strict);
		add_difference_bound(cxt, b, a, false, strict);
		if (strategy == BTEqualStrategyNumber)
		{
			add_difference_bound(cxt, a, b, false, false);
			add_difference_bound(cxt, b, a, true, false);
		}
		return;
	}
	add_bound(cxt, a, b, strategy == BTLessStrategyNumber, strategy == BTEqualStrategyNumber);
	if (strategy == BTEqualStrategyNumber)
		add_bound(cxt, b, a, false, true);
}

/* ---- equalities ---- */

static Node *
strip_relabel(Node *node)
{
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* x is compared for equality with something that is not of its side */
static void
add_index_column(JoinContext *cxt, Node *x, Node *y)
{
	Var		   *var = (Var *) strip_relabel(x);
	SxJoinSide *side;

	if (!IsA(var, Var) || var->varattno < 1 || var->varno > cxt->join->nsides ||
		bms_is_member(var->varno, pull_varnos(NULL, y)))
		return;
	side = &cxt->join->sides[var->varno - 1];
	side->index_attnos = list_append_unique_int(side->index_attnos, var->varattno);
}

static int
group_of(const int *group, int i)
{
	while (group[i] != i)
		i = group[i];
	return i;
}

/* Everything that ties sides together. */
static void
find_ties(JoinContext *cxt)
{
	SxJoin	   *join = cxt->join;
	int			group[OTHER + 1];
	int			i;
	ListCell   *lc;

	for (i = 0; i <= OTHER; i++)
		group[i] = i;
	foreach(lc, cxt->conditions)
	{
		OpExpr	   *op = lfirst(lc);
		Bitmapset  *vars = pull_varnos(NULL, (Node *) op);
		Node	   *a;
		Node	   *b;
		int			x;
		int			y;

		if (!IsA(op, OpExpr) || bms_num_members(vars) < 2 || list_length(op->args) != 2)
			continue;
		find_bounds(cxt, op);
		a = linitial(op->args);
		b = lsecond(op->args);
		if (!op_mergejoinable(op->opno, exprType(a)) && !op_hashjoinable(op->opno, exprType(a)))
			continue;
		add_index_column(cxt, a, b);
		add_index_column(cxt, b, a);
		if (bms_get_singleton_member(pull_varnos(NULL, a), &x) &&
			bms_get_singleton_member(pull_varnos(NULL, b), &y))
			group[group_of(group, x)] = group_of(group, y);
	}
	for (i = 0; i < join->nsides; i++)
	{
		SxJoinSide *side = &join->sides[i];
		int			k = 0;

		foreach(lc, side->bounds)
		{
			if (lfirst(lc) != NIL)
			{
				side->range_index = join->sides[k].range_index = true;
				group[group_of(group, i + 1)] = group_of(group, k + 1);
			}
			k++;
		}
	}
	for (i = 1; i < join->nsides; i++)
	{
		if (group_of(group, i + 1) != group_of(group, 1))
			SX_REFUSE(cxt->viewname,
					  ("Streams %s and %s are joined without an equality and without a bound on their event times.",
					   join->sides[0].name, join->sides[i].name),
					  ("Add a condition such as r.ts BETWEEN l.ts - interval '1 minute' AND l.ts + interval '1 minute', or an equality of columns."));
	}
}

/* ---- columns ---- */

typedef struct ColumnsContext
{
	int			rtindex;
	int			depth;
	Query	   *query;			/* at which it stands */
	Bitmapset  *attnos;
	bool		whole;
	bool		system;
} ColumnsContext;

static bool
columns_walker(Node *node, ColumnsContext *cc)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if ((int) var->varlevelsup != cc->depth)
			return false;
		if (var->varno != cc->rtindex)
		{
			RangeTblEntry *rte = rt_fetch(var->varno, cc->query->rtable);

			/* a column of a join is what it stands for */
			if (rte->rtekind == RTE_JOIN)
			{
				int			depth = cc->depth;

				cc->depth = 0;
				if (var->varattno > 0)
					(void) columns_walker(list_nth(rte->joinaliasvars, var->varattno - 1), cc);
				else
					(void) columns_walker((Node *) rte->joinaliasvars, cc);
				cc->depth = depth;
			}
			return false;
		}
		if (var->varattno > 0)
			cc->attnos = bms_add_member(cc->attnos, var->varattno);
		else if (var->varattno == 0)
			cc->whole = true;
		else
			cc->system = true;
		return false;
	}
	if (IsA(node, Query))
	{
		cc->depth++;
		(void) query_tree_walker((Query *) node, columns_walker, cc, QTW_IGNORE_JOINALIASES);
		cc->depth--;
		return false;
	}
	return expression_tree_walker(node, columns_walker, cc);
}

/* What the query uses of a side. */
static void
find_columns(JoinContext *cxt, int i)
{
	SxJoinSide *side = &cxt->join->sides[i];
	SxStream   *stream = cxt->place[i].stream;
	ColumnsContext cc = {0};
	Relation	rel;
	int			att;

	cc.rtindex = cxt->place[i].rtindex;
	cc.query = cxt->place[i].query;
	(void) query_tree_walker(cc.query, columns_walker, &cc, QTW_IGNORE_JOINALIASES);
	if (cc.system)
		SX_REFUSE(cxt->viewname,
				  ("A system column of stream %s is used in a join with another stream.", side->name),
				  ("Use the columns of the stream."));

	/* its event time marks a row that is there (join_plan.c) */
	for (att = 1; att <= stream->schema->ncols && side->time_attno == 0; att++)
	{
		if (is_time_column(stream, att) &&
			(stream->event_time_col >= 0 || bms_is_member(att, cc.attnos)))
			side->time_attno = att;
	}
	if (side->timed && side->time_attno > 0)
		cc.attnos = bms_add_member(cc.attnos, side->time_attno);

	rel = table_open(side->stream, AccessShareLock);
	side->natts = RelationGetNumberOfAttributes(rel);
	side->attnos = palloc(sizeof(AttrNumber) * Max(side->natts, 1));
	for (att = 1; att <= side->natts; att++)
	{
		if (!TupleDescAttr(RelationGetDescr(rel), att - 1)->attisdropped &&
			(cc.whole || bms_is_member(att, cc.attnos)))
			side->attnos[side->ncols++] = att;
	}
	table_close(rel, NoLock);
}

/* ---- the whole ---- */

SxJoin *
sx_plan_join(Query *query, const char *viewname)
{
	JoinContext cxt = {0};
	SxJoin	   *join = palloc0(sizeof(SxJoin));
	Level		top = {query, NULL};
	int			i;
	int			k;
	ListCell   *lc;

	if (query->setOperations)
		return NULL;
	join->sides = palloc0(sizeof(SxJoinSide) * MAX_SIDES);
	cxt.viewname = viewname;
	cxt.join = join;
	find_sides(&cxt, query, (Node *) query->jointree, NIL);
	if (join->nsides < 2)
		return NULL;
	for (i = 0; i < join->nsides; i++)
	{
		for (k = 0; k < join->nsides; k++)
			join->sides[i].bounds = lappend(join->sides[i].bounds, NIL);
	}
	(void) walk(&cxt, &top, (Node *) query->jointree, NIL, NIL);
	find_ties(&cxt);

	for (i = 0; i < join->nsides; i++)
	{
		SxJoinSide *side = &join->sides[i];

		side->expires = true;
		k = 0;
		foreach(lc, side->bounds)
		{
			if (k++ != i && lfirst(lc) == NIL)
				side->expires = false;
		}
	}
	for (i = 0; i < join->nsides; i++)
	{
		for (k = 0; k < join->nsides; k++)
			join->sides[i].timed |= k != i && join->sides[k].expires;
		find_columns(&cxt, i);
	}
	for (i = 0; i < join->nsides; i++)
	{
		SxJoinSide *side = &join->sides[i];
		SxJoinSide *other = &join->sides[(i + 1) % join->nsides];

		if (!side->preserved)
			continue;
		if (!side->expires && other->time_attno == 0)
			SX_REFUSE(viewname,
					  ("The event time of stream %s is no column of it, so nothing tells when a row of stream %s can have no partner any more.",
					   other->name, side->name),
					  ("Give stream %s the options event_time and watermark, and bound its event time in the ON clause.",
					   other->name));
		if (!side->expires)
			SX_REFUSE(viewname,
					  ("Nothing in the condition of the outer join tells when a row of stream %s can have no partner in stream %s any more.",
					   side->name, other->name),
					  ("Bound the event time of %s by columns of the other stream in the ON clause, for example r.ts BETWEEN l.ts AND l.ts + interval '1 hour'.",
					   other->name));
		for (k = 0; k < join->nsides; k++)
		{
			if (!cxt.place[k].stream->has_watermark)
				SX_REFUSE(viewname,
						  ("Stream %s has no watermark, so that nothing tells when a row can have no partner any more.",
						   join->sides[k].name),
						  ("Give the stream the options event_time and watermark."));
		}
	}
	return join;
}
