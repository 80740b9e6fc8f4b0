/*-------------------------------------------------------------------------
 * partition.c
 *		Which columns cut a query over cores into independent parts.
 *
 * Column p of the outer query is a partition column if its rows with p = v
 * can be had from those rows of the cores that have v in a certain column (or
 * expression), for every v, NULL included.  Then a change of a core's row
 * touches the partitions that its old and its new value name, and no others.
 *
 * p is followed down through each level of the query:
 *	- GROUP BY, DISTINCT [ON] and the PARTITION BY of every window function
 *	  have to contain it, LIMIT must not be there;
 *	- an expression is a partition column if all columns in it are;
 *	- where several cores are joined, each needs a column that is equated
 *	  with p, on a side of outer joins that bears it;
 *	- a subquery in an expression needs such an equation in its WHERE;
 *	- in a UNION and the like every branch that has a core has to agree.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "plan/derive.h"
#include "plan/session.h"

/* What a column is at the uses of a query: an array by use, NULL: not there. */
typedef struct Trace
{
	Expr	  **uses;
	int			nuses;
} Trace;

/* Two columns that are equal, or one of them that of the query above. */
typedef struct Equation
{
	int			varno1;
	AttrNumber	attno1;
	int			varno2;
	AttrNumber	attno2;
	Index		up;				/* level of the second */
} Equation;

static bool trace_output(Query *query, int resno, Trace *trace);
static bool trace_var(Query *query, const Var *var, Trace *trace);

/* ---- uses of cores in a query ---- */

static bool
uses_walker(Node *node, Bitmapset **uses)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (sx_is_core_use((RangeTblEntry *) node))
			*uses = bms_add_member(*uses, ((RangeTblEntry *) node)->relid - 1);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, uses_walker, uses, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, uses_walker, uses);
}

static Bitmapset *
uses_of(Node *node)
{
	Bitmapset  *uses = NULL;

	(void) uses_walker(node, &uses);
	return uses;
}

static Bitmapset *
uses_of_rte(RangeTblEntry *rte)
{
	return bms_union(uses_of((Node *) list_make1(rte)),
					 rte->subquery ? uses_of((Node *) rte->subquery) : NULL);
}

static bool
covers(const Trace *trace, const Bitmapset *uses)
{
	int			use = -1;

	while ((use = bms_next_member(uses, use)) >= 0)
	{
		if (trace->uses[use] == NULL)
			return false;
	}
	return true;
}

/* Subqueries in expressions that have uses. */
static bool
sublinks_walker(Node *node, List **sublinks)
{
	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		if (uses_of(((SubLink *) node)->subselect))
			*sublinks = lappend(*sublinks, node);
		return sublinks_walker(((SubLink *) node)->testexpr, sublinks);
	}
	return expression_tree_walker(node, sublinks_walker, sublinks);
}

/* ---- what is joined ---- */

/* Is it an item of FROM that an outer join may fill with NULLs? */
static bool
is_nullable(Node *node, int varno, bool nullable)
{
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		return nullable && ((RangeTblRef *) node)->rtindex == varno;
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		return is_nullable(join->larg, varno,
						   nullable || join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL) ||
			is_nullable(join->rarg, varno,
						nullable || join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL);
	}
	foreach(lc, castNode(FromExpr, node)->fromlist)
	{
		if (is_nullable(lfirst(lc), varno, nullable))
			return true;
	}
	return false;
}

static void
items_of(Node *node, Bitmapset **varnos)
{
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		*varnos = bms_add_member(*varnos, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, JoinExpr))
	{
		items_of(((JoinExpr *) node)->larg, varnos);
		items_of(((JoinExpr *) node)->rarg, varnos);
	}
	else
	{
		foreach(lc, castNode(FromExpr, node)->fromlist)
			items_of(lfirst(lc), varnos);
	}
}

/* The column, below changes of type that change nothing. */
static Var *
bare_var(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node && IsA(node, Var) && ((Var *) node)->varattno > 0 ? (Var *) node : NULL;
}

/* Equations among the conditions; nullable: one has to be of these, if any. */
static List *
add_equations(List *equations, Node *quals, Bitmapset *nullable)
{
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		OpExpr	   *op = lfirst(lc);
		Var		   *a;
		Var		   *b;
		Equation   *equation;

		if (!IsA(op, OpExpr) || list_length(op->args) != 2)
			continue;
		a = bare_var(linitial(op->args));
		b = bare_var(lsecond(op->args));
		if (a == NULL || b == NULL || a->vartype != b->vartype || a->varcollid != b->varcollid ||
			op->inputcollid != a->varcollid ||
			op->opno != lookup_type_cache(a->vartype, TYPECACHE_EQ_OPR)->eq_opr)
			continue;
		if (a->varlevelsup > 0)
		{
			Var		   *swap = a;

			a = b;
			b = swap;
		}
		if (a->varlevelsup > 0 || b->varlevelsup > 1)
			continue;
		if (nullable && !bms_is_member(a->varno, nullable) &&
			(b->varlevelsup > 0 || !bms_is_member(b->varno, nullable)))
			continue;
		equation = palloc(sizeof(Equation));
		equation->varno1 = a->varno;
		equation->attno1 = a->varattno;
		equation->varno2 = b->varno;
		equation->attno2 = b->varattno;
		equation->up = b->varlevelsup;
		equations = lappend(equations, equation);
	}
	return equations;
}

static List *
equations_of(Node *node, List *equations)
{
	ListCell   *lc;

	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		Bitmapset  *nullable = NULL;

		equations = equations_of(join->larg, equations);
		equations = equations_of(join->rarg, equations);
		if (join->jointype == JOIN_FULL)
			return equations;

		/* the condition of an outer join filters only what may be missing */
		if (join->jointype == JOIN_LEFT)
			items_of(join->rarg, &nullable);
		else if (join->jointype == JOIN_RIGHT)
			items_of(join->larg, &nullable);
		return add_equations(equations, join->quals, nullable);
	}
	if (IsA(node, FromExpr))
	{
		foreach(lc, ((FromExpr *) node)->fromlist)
			equations = equations_of(lfirst(lc), equations);
		return add_equations(equations, ((FromExpr *) node)->quals, NULL);
	}
	return equations;
}

static bool
is_in_class(const List *class, int varno, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, class)
	{
		const Var  *var = lfirst(lc);

		if (var->varno == varno && var->varattno == attno)
			return true;
	}
	return false;
}

/* All columns that are equal to one, itself included. */
static List *
class_of(const List *equations, const Var *var)
{
	List	   *class = list_make1(copyObject(unconstify(Var *, var)));
	bool		more = true;
	ListCell   *lc;

	while (more)
	{
		more = false;
		foreach(lc, equations)
		{
			const Equation *e = lfirst(lc);
			bool		first = is_in_class(class, e->varno1, e->attno1);
			bool		second = e->up == 0 && is_in_class(class, e->varno2, e->attno2);
			Var		   *other;

			if (e->up > 0 || first == second)
				continue;
			other = copyObject(unconstify(Var *, var));
			other->varno = first ? e->varno2 : e->varno1;
			other->varattno = first ? e->attno2 : e->attno1;
			class = lappend(class, other);
			more = true;
		}
	}
	return class;
}

/* ---- down through the levels ---- */

static void
begin_trace(Trace *trace, int nuses)
{
	trace->nuses = nuses;
	trace->uses = palloc0(sizeof(Expr *) * Max(nuses, 1));
}

static void
add_trace(Trace *to, const Trace *from)
{
	int			i;

	for (i = 0; i < to->nuses; i++)
	{
		if (from->uses[i])
			to->uses[i] = from->uses[i];
	}
}

/* A column of one item of FROM, which has uses. */
static bool
trace_item(Query *query, const Var *var, Trace *trace)
{
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	Trace		below;

	if (sx_is_core_use(rte))
	{
		trace->uses[rte->relid - 1] =
			(Expr *) makeVar(1, var->varattno, var->vartype, var->vartypmod, var->varcollid, 0);
		return true;
	}
	if (rte->rtekind != RTE_SUBQUERY)
		return false;
	begin_trace(&below, trace->nuses);
	if (!trace_output(rte->subquery, var->varattno, &below))
		return false;
	add_trace(trace, &below);
	return true;
}

/* A subquery in an expression: what of it is equated with the class? */
static bool
trace_sublink(Query *sub, const List *class, Trace *trace)
{
	List	   *equations = sub->setOperations ? NIL : equations_of((Node *) sub->jointree, NIL);
	ListCell   *lc;

	foreach(lc, equations)
	{
		const Equation *e = lfirst(lc);
		const Var  *like = linitial(class);
		Var		   *var;
		Trace		inside;

		if (e->up != 1 || !is_in_class(class, e->varno2, e->attno2))
			continue;
		var = makeVar(e->varno1, e->attno1, like->vartype, like->vartypmod, like->varcollid, 0);
		begin_trace(&inside, trace->nuses);
		if (trace_var(sub, var, &inside))
		{
			add_trace(trace, &inside);
			return true;
		}
	}
	return false;
}

/* A column of what a query has in FROM. */
static bool
trace_var(Query *query, const Var *var, Trace *trace)
{
	List	   *class;
	List	   *sublinks = NIL;
	Bitmapset  *items = NULL;
	ListCell   *lc;
	int			varno = -1;

	if (var->varlevelsup > 0 || var->varattno <= 0 ||
		is_nullable((Node *) query->jointree, var->varno, false))
		return false;
	class = class_of(equations_of((Node *) query->jointree, NIL), var);

	items_of((Node *) query->jointree, &items);
	while ((varno = bms_next_member(items, varno)) >= 0)
	{
		bool		found = false;

		if (uses_of_rte(rt_fetch(varno, query->rtable)) == NULL)
			continue;
		foreach(lc, class)
		{
			const Var  *member = lfirst(lc);

			if (!found && member->varno == varno)
				found = trace_item(query, member, trace);
		}
		if (!found)
			return false;
	}

	(void) query_tree_walker(query, sublinks_walker, &sublinks,
							 QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES);
	foreach(lc, sublinks)
	{
		if (!trace_sublink(castNode(Query, ((SubLink *) lfirst(lc))->subselect), class, trace))
			return false;
	}
	return covers(trace, uses_of((Node *) query));
}

typedef struct ReplaceContext
{
	List	   *vars;
	List	   *traces;			/* Trace of each */
	int			use;
} ReplaceContext;

static Node *
replace_mutator(Node *node, ReplaceContext *rc)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		ListCell   *lv;
		ListCell   *lt;

		forboth(lv, rc->vars, lt, rc->traces)
		{
			if (equal(lfirst(lv), node))
				return copyObject((Node *) ((Trace *) lfirst(lt))->uses[rc->use]);
		}
	}
	return expression_tree_mutator(node, replace_mutator, (void *) rc);
}

static bool
trace_expr(Query *query, Expr *expr, Trace *trace)
{
	ReplaceContext rc = {0};
	Bitmapset  *uses = uses_of((Node *) query);
	ListCell   *lc;
	Index		up;

	if (IsA(expr, Var))
		return trace_var(query, (Var *) expr, trace);
	/* the second does not look into sublinks */
	if (checkExprHasSubLink((Node *) expr) || contain_agg_clause((Node *) expr) ||
		contain_windowfuncs((Node *) expr) || expression_returns_set((Node *) expr) ||
		sx_plan_has_session((Node *) expr))
		return false;
	for (up = 1; up < 10; up++)
	{
		if (contain_vars_of_level((Node *) expr, up))
			return false;
	}
	rc.vars = pull_var_clause((Node *) expr, 0);
	if (rc.vars == NIL)
		return false;
	foreach(lc, rc.vars)
	{
		Trace	   *one = palloc(sizeof(Trace));

		begin_trace(one, trace->nuses);
		if (!trace_var(query, lfirst_node(Var, lc), one))
			return false;
		rc.traces = lappend(rc.traces, one);
	}
	rc.use = -1;
	while ((rc.use = bms_next_member(uses, rc.use)) >= 0)
		trace->uses[rc.use] = (Expr *) replace_mutator((Node *) expr, &rc);
	return true;
}

/* Is the column in the clause, compared by its type's own equality? */
static bool
is_in_clause(const TargetEntry *tle, List *clauses)
{
	SortGroupClause *clause = tle->ressortgroupref == 0 ? NULL :
	get_sortgroupref_clause_noerr(tle->ressortgroupref, clauses);

	return clause &&
		clause->eqop == lookup_type_cache(exprType((Node *) tle->expr), TYPECACHE_EQ_OPR)->eq_opr;
}

static bool
trace_output(Query *query, int resno, Trace *trace)
{
	TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, resno - 1);
	ListCell   *lc;

	if (query->limitCount || query->limitOffset || query->groupingSets)
		return false;
	if (query->setOperations)
	{
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
			TargetEntry *leaf;
			Trace		below;

			if (rte->rtekind != RTE_SUBQUERY || uses_of((Node *) rte->subquery) == NULL)
				continue;
			leaf = list_nth_node(TargetEntry, rte->subquery->targetList, resno - 1);
			begin_trace(&below, trace->nuses);
			if (exprType((Node *) leaf->expr) != exprType((Node *) tle->expr) ||
				exprCollation((Node *) leaf->expr) != exprCollation((Node *) tle->expr) ||
				!trace_output(rte->subquery, resno, &below))
				return false;
			add_trace(trace, &below);
		}
		return true;
	}
	if ((query->groupClause || query->hasAggs || query->havingQual) &&
		!is_in_clause(tle, query->groupClause))
		return false;
	if (query->distinctClause && !is_in_clause(tle, query->distinctClause))
		return false;
	foreach(lc, query->windowClause)
	{
		if (!is_in_clause(tle, lfirst_node(WindowClause, lc)->partitionClause))
			return false;
	}
	return trace_expr(query, tle->expr, trace);
}

List *
sx_plan_partitions(SxDeriveContext *cxt, Query *outer)
{
	Bitmapset  *uses = uses_of((Node *) outer);
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, outer->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		SxPartition *part;
		Trace		trace;
		bool		same = true;
		int			use;

		if (tle->resjunk)
			continue;
		begin_trace(&trace, list_length(cxt->uses));
		if (!trace_output(outer, tle->resno, &trace) || !covers(&trace, uses))
			continue;
		for (use = 0; use < trace.nuses; use++)
			same &= exprType((Node *) trace.uses[use]) == exprType((Node *) tle->expr) &&
				exprCollation((Node *) trace.uses[use]) == exprCollation((Node *) tle->expr);
		if (!same)
			continue;
		part = palloc0(sizeof(SxPartition));
		part->resno = tle->resno;
		part->expr = tle->expr;
		part->uses = trace.uses;
		result = lappend(result, part);
	}
	return result;
}
