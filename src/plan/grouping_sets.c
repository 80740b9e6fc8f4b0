/*-------------------------------------------------------------------------
 * grouping_sets.c
 *		GROUPING SETS, ROLLUP and CUBE as one ordinary grouping.
 *
 * Each row is joined with the table of sets, which has a row for each set:
 * which keys it has, and what each GROUPING() is in it.  A key that is not in
 * every set is NULL in those that lack it, outside of aggregates:
 *
 *		SELECT a, GROUPING(a), count(*) FROM s GROUP BY ROLLUP (a)
 *
 *		SELECT CASE WHEN sets.in1 THEN a END, sets.g1, count(*)
 *		FROM s, (VALUES (true, 0), (false, 1)) sets (in1, g1) GROUP BY 1, 2
 *
 * So whatever maintains a grouping maintains these.  The GROUPING() columns
 * of the select list are keys, and have to tell the sets apart: a NULL of the
 * data and one of the set would be the same group otherwise.
 *
 * A row is late for all sets or for none.  In the sets that have the window
 * its groups are known by it, as ever; where a set lacks it, rows are left
 * out before the aggregation (streamx.is_closed), so that the view equals the
 * batch over the rows that were not late, and totals agree with their parts.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_agg.h"
#include "parser/parse_func.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "plan/grouping_sets.h"
#include "plan/refuse.h"

/* A column of the table of sets. */
typedef struct SxSetColumn
{
	Index		ref;			/* in the set is this key; 0: grouping */
	GroupingFunc *grouping;
	List	   *values;			/* of Const, by set */
} SxSetColumn;

typedef struct SetsContext
{
	const char *viewname;
	Query	   *query;
	SxGroupingSets *sets;
	List	   *expanded;		/* of the sets: integer lists of refs */
	List	   *keys;			/* TargetEntry: copies of the keys as they
								 * were */
	List	   *grouped;		/* SxSetColumn: GROUPING()s that are keys */
} SetsContext;

/* ---- the table of sets ---- */

static Const *
int4_const(int value)
{
	return makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
					 Int32GetDatum(value), false, true);
}

/* What GROUPING() is in a set: a bit for each argument that it lacks. */
static int
grouping_value(const GroupingFunc *grouping, const List *set)
{
	int			result = 0;
	ListCell   *lc;

	foreach(lc, grouping->refs)
	{
		result <<= 1;
		if (!list_member_int(set, lfirst_int(lc)))
			result |= 1;
	}
	return result;
}

/* The column's Var; the column is added if it is not there. */
static Var *
set_column(SetsContext *cxt, Index ref, GroupingFunc *grouping)
{
	SxSetColumn *column = NULL;
	ListCell   *lc;
	int			attno = 0;
	Oid			type = grouping ? INT4OID : BOOLOID;

	foreach(lc, cxt->sets->columns)
	{
		SxSetColumn *c = lfirst(lc);

		attno++;
		if (grouping ? c->grouping && equal(c->grouping, grouping) : c->ref == ref)
			return makeVar(cxt->sets->values, attno, type, -1, InvalidOid, 0);
	}
	column = palloc0(sizeof(SxSetColumn));
	column->ref = ref;
	column->grouping = grouping;
	foreach(lc, cxt->expanded)
	{
		List	   *set = lfirst(lc);

		column->values = lappend(column->values,
								 grouping ? (Node *) int4_const(grouping_value(grouping, set)) :
								 makeBoolConst(list_member_int(set, ref), false));
	}
	cxt->sets->columns = lappend(cxt->sets->columns, column);
	return makeVar(cxt->sets->values, attno + 1, type, -1, InvalidOid, 0);
}

/* Make the range table entry and put it into FROM. */
static void
add_table_of_sets(SetsContext *cxt, RangeTblEntry *rte)
{
	RangeTblRef *ref = makeNode(RangeTblRef);
	List	   *names = NIL;
	ListCell   *lc;
	int			i;

	foreach(lc, cxt->sets->columns)
	{
		SxSetColumn *c = lfirst(lc);

		names = lappend(names, makeString(psprintf("%s%d", c->grouping ? "g" : "in",
												   list_length(names) + 1)));
		rte->coltypes = lappend_oid(rte->coltypes, c->grouping ? INT4OID : BOOLOID);
		rte->coltypmods = lappend_int(rte->coltypmods, -1);
		rte->colcollations = lappend_oid(rte->colcollations, InvalidOid);
	}
	for (i = 0; i < cxt->sets->nsets; i++)
	{
		List	   *row = NIL;

		foreach(lc, cxt->sets->columns)
			row = lappend(row, list_nth(((SxSetColumn *) lfirst(lc))->values, i));
		rte->values_lists = lappend(rte->values_lists, row);
	}
	rte->eref = makeAlias("sets", names);
	ref->rtindex = cxt->sets->values;
	cxt->query->jointree->fromlist = lappend(cxt->query->jointree->fromlist, ref);
}

/* ---- keys ---- */

static bool
in_every_set(const SetsContext *cxt, Index ref)
{
	ListCell   *lc;

	foreach(lc, cxt->expanded)
	{
		if (!list_member_int(lfirst(lc), ref))
			return false;
	}
	return true;
}

/*
 * A function that returns a set expands the rows below all grouping sets: it
 * goes to FROM, and the key is its column there.
 */
static Expr *
function_in_from(SetsContext *cxt, Expr *key)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblFunction *function = makeNode(RangeTblFunction);
	RangeTblRef *ref = makeNode(RangeTblRef);
	ListCell   *lc;
	bool		plain = IsA(key, FuncExpr) && ((FuncExpr *) key)->funcretset;

	if (plain)
		plain = !expression_returns_set((Node *) ((FuncExpr *) key)->args) &&
			!type_is_rowtype(exprType((Node *) key));

	/* two of them in one select list go side by side, which FROM does not */
	foreach(lc, cxt->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!equal(tle->expr, key) && expression_returns_set((Node *) tle->expr))
			plain = false;
	}
	if (!plain)
		SX_REFUSE(cxt->viewname,
				  ("A grouping column that not every grouping set has is made of a set-returning function in a way that cannot be taken apart."),
				  ("Call the function in FROM, and group over its result."));

	function->funcexpr = (Node *) key;
	function->funccolcount = 1;
	rte->rtekind = RTE_FUNCTION;
	rte->functions = list_make1(function);
	rte->lateral = true;
	rte->inFromCl = true;
	rte->eref = makeAlias("expanded", list_make1(makeString("value")));
	cxt->query->rtable = lappend(cxt->query->rtable, rte);
	ref->rtindex = list_length(cxt->query->rtable);
	cxt->query->jointree->fromlist = lappend(cxt->query->jointree->fromlist, ref);
	return (Expr *) makeVar(ref->rtindex, 1, exprType((Node *) key),
							exprTypmod((Node *) key), exprCollation((Node *) key), 0);
}

/* A key as it is in each set; not where every one has it. */
static Expr *
key_by_set(SetsContext *cxt, Index ref, Expr *key, const char *name)
{
	CaseExpr   *by_set = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	if (in_every_set(cxt, ref))
		return key;

	/* what is constant is simplified before the sets are looked at */
	if (!contain_var_clause((Node *) key))
		SX_REFUSE(cxt->viewname,
				  ("Grouping column \"%s\" is a constant, and not every grouping set has it.", name),
				  ("Leave the constant out of GROUP BY."));
	if (expression_returns_set((Node *) key))
		key = function_in_from(cxt, key);
	when->expr = (Expr *) set_column(cxt, ref, NULL);
	when->result = key;
	when->location = -1;
	by_set->casetype = exprType((Node *) key);
	by_set->casecollid = exprCollation((Node *) key);
	by_set->args = list_make1(when);
	by_set->defresult = (Expr *) makeNullConst(by_set->casetype, exprTypmod((Node *) key),
											   by_set->casecollid);
	by_set->location = -1;
	return (Expr *) by_set;
}

static bool
is_key_grouping(SetsContext *cxt, GroupingFunc *grouping)
{
	ListCell   *lc;

	foreach(lc, cxt->grouped)
	{
		if (equal(lfirst(lc), grouping))
			return true;
	}
	return false;
}

/*
 * A GROUPING() that is no column of its own: from those that are.  They tell
 * the sets apart, so they tell its value.
 */
static Expr *
grouping_from_others(SetsContext *cxt, GroupingFunc *grouping)
{
	CaseExpr   *result = makeNode(CaseExpr);
	Oid			equals;
	ListCell   *lc;
	ListCell   *g;

	get_sort_group_operators(INT4OID, false, true, false, NULL, &equals, NULL, NULL);
	foreach(lc, cxt->expanded)
	{
		List	   *set = lfirst(lc);
		CaseWhen   *when = makeNode(CaseWhen);
		List	   *same = NIL;

		foreach(g, cxt->grouped)
			same = lappend(same,
						   make_opclause(equals, BOOLOID, false,
										 (Expr *) set_column(cxt, 0, lfirst(g)),
										 (Expr *) int4_const(grouping_value(lfirst(g), set)),
										 InvalidOid, InvalidOid));
		when->expr = make_ands_explicit(same);
		when->result = (Expr *) int4_const(grouping_value(grouping, set));
		when->location = -1;
		result->args = lappend(result->args, when);
	}
	result->casetype = INT4OID;
	result->defresult = (Expr *) makeNullConst(INT4OID, -1, InvalidOid);
	result->location = -1;
	return (Expr *) result;
}

/* Select list and HAVING: keys and GROUPING() as they are in each set. */
static Node *
by_set_mutator(Node *node, SetsContext *cxt)
{
	ListCell   *lc;
	ListCell   *by_set;

	if (node == NULL)
		return NULL;
	forboth(lc, cxt->keys, by_set, cxt->query->groupClause)
	{
		if (equal(node, lfirst_node(TargetEntry, lc)->expr))
			return copyObject((Node *) get_sortgroupclause_tle(lfirst(by_set),
															   cxt->query->targetList)->expr);
	}
	if (IsA(node, Query))
		return node;			/* refused later */
	if (IsA(node, GroupingFunc))
	{
		GroupingFunc *grouping = (GroupingFunc *) node;

		if (grouping->agglevelsup > 0)
			return node;
		return is_key_grouping(cxt, grouping) ? (Node *) set_column(cxt, 0, grouping) :
			(Node *) grouping_from_others(cxt, grouping);
	}
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup == 0)
	{
		/* its arguments are of the row, direct ones are of the group */
		Aggref	   *aggref = copyObject((Aggref *) node);

		aggref->aggdirectargs = (List *) by_set_mutator((Node *) aggref->aggdirectargs, cxt);
		return (Node *) aggref;
	}
	return expression_tree_mutator(node, by_set_mutator, (void *) cxt);
}

/* ---- the whole ---- */

/* Can two sets give the same values of the GROUPING() columns? */
static void
check_told_apart(SetsContext *cxt)
{
	ListCell   *a;
	ListCell   *lc;
	StringInfoData missing;

	foreach(a, cxt->expanded)
	{
		ListCell   *b;

		for_each_cell(b, cxt->expanded, lnext(cxt->expanded, a))
		{
			bool		same = true;

			if (list_difference_int(lfirst(a), lfirst(b)) == NIL &&
				list_difference_int(lfirst(b), lfirst(a)) == NIL)
				SX_REFUSE(cxt->viewname,
						  ("The same grouping set is there more than once, so that its rows have no key."),
						  ("Write GROUP BY DISTINCT, or leave the repeated set out."));
			foreach(lc, cxt->grouped)
				same = same && grouping_value(lfirst(lc), lfirst(a)) ==
				grouping_value(lfirst(lc), lfirst(b));
			if (!same)
				continue;
			initStringInfo(&missing);
			foreach(lc, cxt->keys)
			{
				TargetEntry *key = lfirst_node(TargetEntry, lc);

				if (!in_every_set(cxt, key->ressortgroupref))
					appendStringInfo(&missing, "%s%s", missing.len > 0 ? ", " : "",
									 key->resname ? key->resname : "?");
			}
			SX_REFUSE(cxt->viewname,
					  ("The select list does not tell the grouping sets apart: a NULL may come from the data or from the set."),
					  ("Add GROUPING(%s) to the select list: it is a part of the key of the result table.",
					   missing.data));
		}
	}
}

SxGroupingSets *
sx_plan_grouping_sets(Query *query, const char *viewname)
{
	SetsContext cxt = {0};
	RangeTblEntry *rte;
	ListCell   *lc;
	ListCell   *key;
	Index		maxref = 0;

	cxt.viewname = viewname;
	cxt.query = query;
	cxt.expanded = expand_grouping_sets(query->groupingSets, query->groupDistinct, -1);
	query->groupingSets = NIL;
	query->groupDistinct = false;
	if (list_length(cxt.expanded) == 1)
		return NULL;			/* all GROUPING() are 0 */

	cxt.sets = palloc0(sizeof(SxGroupingSets));
	cxt.sets->nsets = list_length(cxt.expanded);
	cxt.sets->nfrom = list_length(query->jointree->fromlist);
	foreach(lc, cxt.expanded)
		cxt.sets->has_empty |= lfirst(lc) == NIL;
	foreach(lc, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);

		cxt.keys = lappend(cxt.keys, copyObject(tle));
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		maxref = Max(maxref, tle->ressortgroupref);
		if (IsA(tle->expr, GroupingFunc) && !tle->resjunk &&
			!is_key_grouping(&cxt, (GroupingFunc *) tle->expr))
			cxt.grouped = lappend(cxt.grouped, tle->expr);
	}
	check_told_apart(&cxt);

	rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_VALUES;
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	cxt.sets->values = list_length(query->rtable);

	/* the keys first: all else that holds them follows */
	forboth(lc, query->groupClause, key, cxt.keys)
	{
		TargetEntry *old = lfirst_node(TargetEntry, key);
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(lc), query->targetList);

		tle->expr = key_by_set(&cxt, tle->ressortgroupref, tle->expr,
							   old->resname ? old->resname : "?");
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		bool		is_key = false;

		foreach(key, cxt.keys)
			is_key |= lfirst_node(TargetEntry, key)->resno == tle->resno;
		if (!is_key)
			tle->expr = (Expr *) by_set_mutator((Node *) tle->expr, &cxt);
	}
	query->havingQual = by_set_mutator(query->havingQual, &cxt);

	/* GROUPING() columns are keys as well */
	foreach(lc, cxt.grouped)
	{
		SortGroupClause *clause = makeNode(SortGroupClause);
		Var		   *var = set_column(&cxt, 0, lfirst(lc));
		ListCell   *t;

		foreach(t, query->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, t);

			if (tle->resjunk || !equal(tle->expr, var))
				continue;
			if (tle->ressortgroupref == 0)
				tle->ressortgroupref = ++maxref;
			clause->tleSortGroupRef = tle->ressortgroupref;
			break;
		}
		get_sort_group_operators(INT4OID, true, true, false, &clause->sortop,
								 &clause->eqop, NULL, &clause->hashable);
		query->groupClause = lappend(query->groupClause, clause);
	}
	add_table_of_sets(&cxt, rte);
	query->hasTargetSRFs = expression_returns_set((Node *) query->targetList);
	return cxt.sets;
}

Expr *
sx_plan_set_key(const SxGroupingSets *sets, const Query *query, Expr *key,
				bool *partial)
{
	*partial = false;
	if (sets == NULL)
		return key;
	if (IsA(key, CaseExpr))
	{
		CaseWhen   *when = linitial_node(CaseWhen, ((CaseExpr *) key)->args);

		if (IsA(when->expr, Var) && ((Var *) when->expr)->varno == sets->values)
		{
			*partial = true;
			key = when->result;
		}
	}
	if (*partial && IsA(key, Var))
	{
		RangeTblEntry *rte = rt_fetch(((Var *) key)->varno, query->rtable);

		if (rte->rtekind == RTE_FUNCTION && ((Var *) key)->varno > sets->values)
			key = (Expr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	}
	return key;
}

void
sx_plan_leave_out_late(SxShape *shape, Query *query, Expr *window)
{
	Oid			anytype = ANYELEMENTOID;
	Oid			funcid = LookupFuncName(list_make2(makeString("streamx"),
												   makeString("is_closed")),
										1, &anytype, false);
	BooleanTest *open = makeNode(BooleanTest);

	open->arg = (Expr *) makeFuncExpr(funcid, BOOLOID, list_make1(copyObject(window)),
									  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	open->booltesttype = IS_NOT_TRUE;
	open->location = -1;
	query->jointree->quals = query->jointree->quals ?
		(Node *) makeBoolExpr(AND_EXPR, list_make2(query->jointree->quals, open), -1) :
		(Node *) open;
	shape->window_partial = true;
}

/* The value of a key in the empty set. */
static Expr *
empty_set_value(const SxGroupingSets *sets, const SxKey *key)
{
	ListCell   *lc;
	int			i = 0;

	if (!IsA(key->expr, Var) || ((Var *) key->expr)->varno != sets->values)
		return (Expr *) makeNullConst(key->typid, key->typmod, key->collation);

	/* a GROUPING(): all its arguments are missing */
	foreach(lc, sets->columns)
	{
		SxSetColumn *c = lfirst(lc);

		if (++i == ((Var *) key->expr)->varattno)
			return (Expr *) int4_const(grouping_value(c->grouping, NIL));
	}
	elog(ERROR, "column of grouping sets not found");
}

typedef struct EmptySetContext
{
	List	   *keys;			/* as the query has them */
	List	   *values;			/* in the empty set */
} EmptySetContext;

static Node *
empty_set_mutator(Node *node, void *context)
{
	EmptySetContext *empty = context;
	ListCell   *key;
	ListCell   *value;

	if (node == NULL)
		return NULL;
	forboth(key, empty->keys, value, empty->values)
	{
		if (equal(node, lfirst(key)))
			return copyObject(lfirst(value));
	}
	return expression_tree_mutator(node, empty_set_mutator, context);
}

void
sx_plan_empty_set(SxShape *shape, const SxGroupingSets *sets)
{
	EmptySetContext empty = {0};
	Query	   *query;
	int			i = 0;
	ListCell   *lc;

	if (!sets->has_empty)
		return;
	query = copyObject(shape->strategy == SX_STRATEGY_RECOMPUTE ?
					   shape->recompute_query : shape->batch_query);
	query->groupClause = NIL;
	query->hasTargetSRFs = false;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->ressortgroupref = 0;
		if (i < shape->nkeys)
		{
			Expr	   *value = empty_set_value(sets, &shape->keys[i++]);

			empty.keys = lappend(empty.keys, tle->expr);
			empty.values = lappend(empty.values, value);
			tle->expr = value;
		}
		else
			/* what an aggregate takes once per group may be a key */
			tle->expr = (Expr *) empty_set_mutator((Node *) tle->expr, &empty);
	}
	query->havingQual = empty_set_mutator(query->havingQual, &empty);

	/* aggregates of no rows; without any, the row alone */
	if (query->hasAggs)
		query->jointree->quals = makeBoolConst(false, false);
	else
		query->jointree = makeFromExpr(NIL, NULL);
	shape->initial_query = query;
}
