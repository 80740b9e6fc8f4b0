/*-------------------------------------------------------------------------
 * join_plan.c
 *		Plans of a view that joins streams.
 *
 * A batch of one side is joined with what is held of the others: of the
 * view's batch query the range table entry of the side stays the stream, in
 * the place of each other one is put
 *
 *		(SELECT column, NULL, column, ... FROM the table of its rows)
 *
 * with the columns where the stream has them.  An outer join gives its pairs
 * as an inner one.  Rows without a partner come when nothing can match them
 * any more, as a batch of their own: joined as LEFT or RIGHT, and only where
 * the event time of the other side, which no row lacks, is NULL.
 *
 * How much is held changes quickly and is not known when a plan is made, so
 * the planner is told that it is a lot and that equality finds few of it: the
 * way over the index is right for any amount.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/batch_scan.h"
#include "plan/join.h"
#include "plan/plan.h"

#define HELD_ROWS	1e8
#define HELD_PAGES	1000000

/* ---- what the planner is told of the tables of held rows ---- */

static const Oid *planned_held = NULL;
static int	planned_nheld = 0;
static get_relation_info_hook_type prev_relation_info = NULL;
static get_relation_stats_hook_type prev_relation_stats = NULL;

static bool
is_held(Oid relid)
{
	int			i;

	for (i = 0; i < planned_nheld; i++)
	{
		if (planned_held[i] == relid)
			return true;
	}
	return false;
}

static void
relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	ListCell   *lc;

	if (prev_relation_info)
		prev_relation_info(root, relid, inhparent, rel);
	if (!is_held(relid))
		return;
	rel->tuples = HELD_ROWS;
	rel->pages = HELD_PAGES;
	rel->allvisfrac = 0;
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(lc);

		index->tuples = HELD_ROWS;
		index->pages = HELD_PAGES / 4;
		index->tree_height = 3;
	}
}

static void
free_stats(HeapTuple tuple)
{
	heap_freetuple(tuple);
}

/* No two of the values are equal. */
static bool
relation_stats(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
			   VariableStatData *vardata)
{
	Datum		values[Natts_pg_statistic] = {0};
	bool		nulls[Natts_pg_statistic] = {0};
	Relation	rel;
	int			i;

	if (!is_held(rte->relid))
		return prev_relation_stats ?
			prev_relation_stats(root, rte, attnum, vardata) : false;
	for (i = Anum_pg_statistic_stanumbers1 - 1; i < Natts_pg_statistic; i++)
		nulls[i] = true;
	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(rte->relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(attnum);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(false);
	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(0);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(16);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(-1);
	rel = table_open(StatisticRelationId, AccessShareLock);
	vardata->statsTuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	table_close(rel, AccessShareLock);
	vardata->freefunc = free_stats;
	vardata->acl_ok = true;
	return true;
}

static PlannedStmt *
plan_with_held(Query *query, const Oid *held, int nheld, double rows)
{
	static bool hooked = false;
	PlannedStmt *stmt;

	if (!hooked)
	{
		prev_relation_info = get_relation_info_hook;
		get_relation_info_hook = relation_info;
		prev_relation_stats = get_relation_stats_hook;
		get_relation_stats_hook = relation_stats;
		hooked = true;
	}
	planned_held = held;
	planned_nheld = nheld;
	PG_TRY();
	{
		stmt = sx_plan_for_batch(query, rows);
	}
	PG_FINALLY();
	{
		planned_nheld = 0;
	}
	PG_END_TRY();
	return stmt;
}

/* ---- the place of a side in the query ---- */

/* The query in whose range table the last number of the path is. */
static Query *
query_at(Query *query, List *path, int depth)
{
	int			i;

	for (i = 0; i < depth; i++)
		query = rt_fetch(list_nth_int(path, i), query->rtable)->subquery;
	return query;
}

static Query *
query_of_side(Query *query, const SxJoinSide *side)
{
	return query_at(query, side->path, list_length(side->path) - 1);
}

/* SELECT columns as the stream has them FROM held */
static Query *
select_held(const SxJoinSide *side, Oid held)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Relation	rel = table_open(held, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *columns = NIL;
	int			next = 0;
	int			att;

	for (att = 0; att < desc->natts; att++)
		columns = lappend(columns, makeString(pstrdup(NameStr(TupleDescAttr(desc, att)->attname))));
	rte->rtekind = RTE_RELATION;
	rte->relid = held;
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias("held", columns);
	rte->inFromCl = true;
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	for (att = 1; att <= side->natts; att++)
	{
		Expr	   *expr;

		if (next < side->ncols && side->attnos[next] == att)
		{
			Form_pg_attribute column = TupleDescAttr(desc, SX_HELD_FIRST + next - 1);

			expr = (Expr *) makeVar(1, SX_HELD_FIRST + next, column->atttypid,
									column->atttypmod, column->attcollation, 0);
			next++;
		}
		else
			expr = (Expr *) makeNullConst(INT4OID, -1, InvalidOid);
		query->targetList = lappend(query->targetList,
									makeTargetEntry(expr, att, psprintf("c%d", att), false));
	}
	table_close(rel, NoLock);
	return query;
}

/* Put what is held in the place of the stream. */
static void
replace_stream(Query *query, const SxJoinSide *side, Oid held)
{
	RangeTblEntry *rte = rt_fetch(llast_int(side->path),
								  query_of_side(query, side)->rtable);

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = select_held(side, held);
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->inh = false;
	sx_clear_permissions(rte);
}

static JoinExpr *
find_join(Node *node, int rtindex)
{
	JoinExpr   *found = NULL;
	ListCell   *lc;

	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		if (join->rtindex == rtindex)
			return join;
		found = find_join(join->larg, rtindex);
		if (found == NULL)
			found = find_join(join->rarg, rtindex);
	}
	else if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
		{
			found = find_join(lfirst(lc), rtindex);
			if (found)
				break;
		}
	}
	return found;
}

static void
add_qual(Query *query, Node *qual)
{
	FromExpr   *from = query->jointree;

	from->quals = from->quals ?
		(Node *) makeBoolExpr(AND_EXPR, list_make2(from->quals, qual), -1) : qual;
}

static Var *
time_var(const SxJoinSide *side, int varno)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(side->stream, side->time_attno, &type, &typmod, &collation);
	return makeVar(varno, side->time_attno, type, typmod, collation, 0);
}

/*
 * A column of a side as the query of the outer join sees it, through the
 * subqueries between them.
 */
static Var *
column_at_join(Query *query, const SxJoin *join, const SxJoinSide *side,
			   AttrNumber attno)
{
	int			depth = list_length(side->path) - 1;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Var		   *var;

	get_atttypetypmodcoll(side->stream, attno, &type, &typmod, &collation);
	var = makeVar(llast_int(side->path), attno, type, typmod, collation, 0);
	for (; depth > list_length(join->outer_path); depth--)
	{
		RangeTblEntry *rte = rt_fetch(list_nth_int(side->path, depth - 1),
									  query_at(query, side->path, depth - 1)->rtable);
		Query	   *below = rte->subquery;
		int			resno = list_length(below->targetList) + 1;
		char	   *name = psprintf("streamx_%d", resno);

		below->targetList = lappend(below->targetList,
									makeTargetEntry((Expr *) var, resno, name, false));
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(name));
		var = makeVar(list_nth_int(side->path, depth - 1), resno, var->vartype,
					  var->vartypmod, var->varcollid, 0);
	}
	if (sx_plan_join_nullable(join, side - join->sides))
		sx_set_nulling(var, join->outer_rtindex);
	return var;
}

static Node *
is_null(Expr *expr, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = expr;
	test->nulltesttype = type;
	test->location = -1;
	return (Node *) test;
}

/* Pairs only, or the rows of a side that have no partner. */
static void
set_join(Query *query, const SxJoin *join, int side, bool unmatched)
{
	Query	   *level = query_at(query, join->outer_path, list_length(join->outer_path));
	JoinExpr   *expr = find_join((Node *) level->jointree, join->outer_rtindex);
	RangeTblEntry *rte;
	JoinType	type = !unmatched ? JOIN_INNER : side == 0 ? JOIN_LEFT : JOIN_RIGHT;

	Assert(expr != NULL);
	sx_remove_nulling(level, join->outer_rtindex,
					  type == JOIN_LEFT ? expr->rarg : type == JOIN_RIGHT ? expr->larg : NULL);
	expr = find_join((Node *) level->jointree, join->outer_rtindex);
	rte = rt_fetch(join->outer_rtindex, level->rtable);
	expr->jointype = rte->jointype = type;
	if (unmatched)
	{
		const SxJoinSide *other = &join->sides[1 - side];

		add_qual(level, is_null((Expr *) column_at_join(query, join, other, other->time_attno), IS_NULL));
	}
}

/* streamx.<name>(event time) */
static Expr *
call_with_time(const char *name, Oid result, Var *time)
{
	Oid			anytype = ANYELEMENTOID;
	Oid			funcid = LookupFuncName(list_make2(makeString("streamx"), makeString(pstrdup(name))),
										1, &anytype, false);

	return (Expr *) makeFuncExpr(funcid, result, list_make1(time), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

static bool
holds_time(const SxJoinSide *side)
{
	int			i;

	for (i = 0; i < side->ncols; i++)
	{
		if (side->attnos[i] == side->time_attno)
			return true;
	}
	return false;
}

/*
 * Rows that are late do not take part; those without an event time by which
 * they are joined fail, now and not when others meet them.
 */
static void
check_time(Query *query, const SxJoinSide *side)
{
	Query	   *level = query_of_side(query, side);
	Var		   *time;

	if (!side->timed && !(side->range_index && holds_time(side)))
		return;
	time = time_var(side, llast_int(side->path));
	add_qual(level, side->timed ? (Node *) call_with_time("on_time", BOOLOID, time) :
			 is_null(call_with_time("event_time", time->vartype, time), IS_NOT_NULL));
}

PlannedStmt *
sx_plan_join_pairs(const SxShape *shape, int side, const Oid *held,
				   bool unmatched, double rows)
{
	const SxJoin *join = shape->join;
	Query	   *query = copyObject(shape->batch_query);
	const SxJoinSide *s = &join->sides[side];
	int			i;

	if (join->outer)
		set_join(query, join, side, unmatched);
	if (!unmatched)
		check_time(query, s);
	for (i = 0; i < join->nsides; i++)
	{
		if (i != side)
			replace_stream(query, &join->sides[i], held[i]);
	}
	return sx_plan_partial(shape, plan_with_held(query, held, join->nsides, rows));
}

/* ---- what has come out so far ---- */

typedef struct BoundContext
{
	Query	   *query;
	const SxJoin *join;
	const SxJoinSide *side;
} BoundContext;

/* An expression over a side -> the same as the query of the join sees it. */
static Node *
at_join_mutator(Node *node, BoundContext *bc)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return (Node *) column_at_join(bc->query, bc->join, bc->side,
									   ((Var *) node)->varattno);
	return expression_tree_mutator(node, at_join_mutator, (void *) bc);
}

/* Has a row of the side expired at this time? */
static Node *
has_expired(Query *query, const SxJoin *join, int i, int64 closed_us)
{
	BoundContext bc = {query, join, &join->sides[i]};
	List	   *any = NIL;
	ListCell   *lc;

	foreach(lc, (List *) list_nth(join->sides[i].bounds, 1 - i))
	{
		SxJoinBound *bound = lfirst(lc);
		Expr	   *expr = (Expr *) at_join_mutator((Node *) bound->expr, &bc);
		Oid			type = exprType((Node *) expr);
		TypeCacheEntry *ops = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

		if (closed_us != PG_INT64_MIN)
			any = lappend(any, is_null(expr, IS_NULL));
		any = lappend(any,
					  make_opclause(get_opfamily_member(ops->btree_opf, type, type,
														bound->strict ? BTLessEqualStrategyNumber : BTLessStrategyNumber),
									BOOLOID, false, copyObject(expr),
									(Expr *) makeConst(type, -1, InvalidOid, sizeof(int64),
													   Int64GetDatum(closed_us), false,
													   FLOAT8PASSBYVAL),
									InvalidOid, InvalidOid));
	}
	return (Node *) makeBoolExpr(OR_EXPR, any, -1);
}

void
sx_plan_join_so_far(Query *query, const SxJoin *join, int64 closed_us)
{
	Query	   *level = query_at(query, join->outer_path, list_length(join->outer_path));
	int			i;

	for (i = 0; i < join->nsides; i++)
	{
		const SxJoinSide *other = &join->sides[1 - i];

		if (!join->sides[i].preserved)
			continue;
		add_qual(level,
				 (Node *) makeBoolExpr(OR_EXPR,
									   list_make2(is_null((Expr *) column_at_join(query, join, other,
																				  other->time_attno), IS_NOT_NULL),
												  has_expired(query, join, i, closed_us)), -1));
	}
}

PlannedStmt *
sx_plan_join_hold(const SxShape *shape, int side)
{
	const SxJoinSide *s = &shape->join->sides[side];
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = copyObject(rt_fetch(llast_int(s->path),
											 query_of_side(shape->batch_query, s)->rtable));
	RangeTblRef *ref = makeNode(RangeTblRef);
	List	   *exprs = NIL;
	ListCell   *lc;
	ListCell   *lb;
	int			i;

	sx_clear_permissions(rte);
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref),
								   s->filters ? (Node *) make_ands_explicit(copyObject(s->filters)) : NULL);
	if (s->timed)
	{
		Var		   *time = time_var(s, 1);

		exprs = lappend(exprs, call_with_time("event_time", time->vartype, time));
	}
	for (i = 0; i < s->ncols; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(s->stream, s->attnos[i], &type, &typmod, &collation);
		exprs = lappend(exprs, makeVar(1, s->attnos[i], type, typmod, collation, 0));
	}
	if (s->expires)
	{
		foreach(lc, s->bounds)
		{
			foreach(lb, (List *) lfirst(lc))
				exprs = lappend(exprs, copyObject(((SxJoinBound *) lfirst(lb))->expr));
		}
	}
	i = 0;
	foreach(lc, exprs)
	{
		i++;
		query->targetList = lappend(query->targetList,
									makeTargetEntry(lfirst(lc), i, psprintf("c%d", i), false));
	}
	return sx_plan_for_batch(query, 1000);
}
