/*-------------------------------------------------------------------------
 * prune.c
 *		Rows of a core that can never be in the result again.
 *
 * Rows only come, so a row that is behind the first n of its partition stays
 * behind them: with
 *	- DISTINCT ON (k) ... ORDER BY k, x: all but the first of each k;
 *	- row_number(), rank() or dense_rank() OVER (PARTITION BY k ORDER BY x)
 *	  below WHERE that <= n: what has a greater number;
 *	- ORDER BY x LIMIT n OFFSET m: all behind the first n + m.
 * They are found by such a number over the rows of the partitions that a
 * batch touches.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"

#include "plan/derive.h"

/* The query whose FROM is the use, and the one above it, if any. */
typedef struct UseContext
{
	Query	   *above;
	int			varno;			/* of the query below, in above */
	Query	   *query;
	Query	   *current;
	int			current_varno;
} UseContext;

static bool
find_use(Query *query, UseContext *uc)
{
	Query	   *above = uc->current;
	int			above_varno = uc->current_varno;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (sx_is_core_use(rte))
		{
			uc->above = above;
			uc->varno = above_varno;
			uc->query = query;
			return true;
		}
		if (rte->rtekind == RTE_SUBQUERY)
		{
			uc->current = query->setOperations ? NULL : query;
			uc->current_varno = foreach_current_index(lc) + 1;
			if (find_use(rte->subquery, uc))
				return true;
		}
	}
	return false;
}

static bool
is_ranking(Oid funcid)
{
	return funcid == F_ROW_NUMBER || funcid == F_RANK_ || funcid == F_DENSE_RANK_;
}

static bool
other_window_walker(Node *node, Index *winref)
{
	if (node == NULL)
		return false;
	if (IsA(node, WindowFunc))
	{
		WindowFunc *func = (WindowFunc *) node;

		if (!is_ranking(func->winfnoid) || (*winref != 0 && func->winref != *winref))
			return true;
		*winref = func->winref;
		return false;
	}
	return expression_tree_walker(node, other_window_walker, winref);
}

/* A whole number that is the same always; -1: it is not. */
static int64
whole_number(Node *node)
{
	Const	   *value = (Const *) eval_const_expressions(NULL, copyObject(node));

	if (!IsA(value, Const) || value->constisnull)
		return -1;
	switch (value->consttype)
	{
		case INT8OID:
			return Max(DatumGetInt64(value->constvalue), -1);
		case INT4OID:
			return Max(DatumGetInt32(value->constvalue), -1);
		case INT2OID:
			return Max(DatumGetInt16(value->constvalue), -1);
		default:
			return -1;
	}
}

/* WHERE bounds the number that a column of an item of FROM is; -1: no. */
static int64
bound_of(Query *query, int varno, AttrNumber attno)
{
	int64		result = -1;
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
	{
		OpExpr	   *op = lfirst(lc);
		Var		   *var;
		int64		bound;

		if (!IsA(op, OpExpr) || list_length(op->args) != 2 || !IsA(linitial(op->args), Var))
			continue;
		var = linitial(op->args);
		if (var->varno != varno || var->varattno != attno || var->varlevelsup != 0)
			continue;
		bound = whole_number(lsecond(op->args));
		set_opfuncid(op);
		switch (op->opfuncid)
		{
			case F_INT8LE:
			case F_INT84LE:
			case F_INT82LE:
			case F_INT8EQ:
			case F_INT84EQ:
			case F_INT82EQ:
				break;
			case F_INT8LT:
			case F_INT84LT:
			case F_INT82LT:
				bound--;
				break;
			default:
				bound = -1;
				break;
		}
		if (bound >= 0 && (result < 0 || bound < result))
			result = bound;
	}
	return result;
}

static WindowFunc *
ranking(Oid funcid, Index winref)
{
	WindowFunc *func = makeNode(WindowFunc);

	func->winfnoid = funcid;
	func->wintype = INT8OID;
	func->winref = winref;
	func->location = -1;
	return func;
}

/* (ctid, number) of the rows of the query's FROM. */
static Query *
numbered(const SxDerivation *d, Query *query, WindowClause *window, WindowFunc *func)
{
	Query	   *result = copyObject(query);
	List	   *tlist;
	ListCell   *lc;

	tlist = list_make2(makeTargetEntry((Expr *) makeVar(1, d->cores[0].ncolumns + 1, TIDOID, -1,
														InvalidOid, 0),
									   1, pstrdup("place"), false),
					   makeTargetEntry((Expr *) copyObject(func), 2, pstrdup("number"), false));
	foreach(lc, result->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->ressortgroupref == 0 ||
			(get_sortgroupref_clause_noerr(tle->ressortgroupref, window->partitionClause) == NULL &&
			 get_sortgroupref_clause_noerr(tle->ressortgroupref, window->orderClause) == NULL))
			continue;
		tlist = lappend(tlist, makeTargetEntry(tle->expr, list_length(tlist) + 1, NULL, true));
		llast_node(TargetEntry, tlist)->ressortgroupref = tle->ressortgroupref;
	}
	result->targetList = tlist;
	result->windowClause = list_make1(copyObject(window));
	result->distinctClause = NIL;
	result->hasDistinctOn = false;
	result->sortClause = NIL;
	result->limitCount = result->limitOffset = NULL;
	result->limitOption = LIMIT_OPTION_COUNT;
	result->hasWindowFuncs = true;
	result->hasTargetSRFs = false;
	result->hasSubLinks = false;
	result->cteList = NIL;
	return result;
}

/* By a window function with a bound in the query above. */
static void
prune_by_window(SxDerivation *d, UseContext *uc)
{
	Query	   *query = uc->query;
	Index		winref = 0;
	ListCell   *lc;

	if (uc->above == NULL || query->distinctClause || query->limitCount || query->limitOffset ||
		other_window_walker((Node *) query->targetList, &winref))
		return;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int64		bound;
		ListCell   *lw;

		if (!IsA(tle->expr, WindowFunc))
			continue;
		bound = bound_of(uc->above, uc->varno, tle->resno);
		if (bound < 0)
			continue;
		foreach(lw, query->windowClause)
		{
			WindowClause *window = lfirst_node(WindowClause, lw);

			if (window->winref != winref)
				continue;
			d->prune = numbered(d, query, window, (WindowFunc *) tle->expr);
			d->prune_keep = bound;
			return;
		}
	}
}

void
sx_plan_find_prune(SxDerivation *d, Query *outer)
{
	UseContext	uc = {0};
	WindowClause *window;
	Query	   *query;

	if (d->nuses != 1 || d->cores[0].shape->strategy != SX_STRATEGY_APPEND ||
		!find_use(outer, &uc))
		return;
	query = uc.query;
	if (list_length(query->rtable) != 1 || query->jointree->quals ||
		query->groupClause || query->hasAggs || query->hasSubLinks ||
		contain_vars_of_level((Node *) query->targetList, 1))
		return;
	if (query->hasWindowFuncs)
	{
		prune_by_window(d, &uc);
		return;
	}

	window = makeNode(WindowClause);
	window->winref = 1;
	window->frameOptions = FRAMEOPTION_DEFAULTS;
	window->orderClause = query->sortClause;
	if (query->hasDistinctOn)
	{
		window->partitionClause = query->distinctClause;
		d->prune = numbered(d, query, window, ranking(F_ROW_NUMBER, 1));
		d->prune_keep = 1;
	}
	else if (query->limitCount && query->distinctClause == NIL)
	{
		int64		count = whole_number(query->limitCount);
		int64		offset = query->limitOffset ? whole_number(query->limitOffset) : 0;

		if (count < 0 || offset < 0 || pg_add_s64_overflow(count, offset, &d->prune_keep))
			return;
		d->prune = numbered(d, query, window,
							ranking(query->limitOption == LIMIT_OPTION_WITH_TIES ?
									F_RANK_ : F_ROW_NUMBER, 1));
	}
}
