/*-------------------------------------------------------------------------
 * recompute.c
 *		Aggregates without a state that can be merged: the rows are held.
 *
 * Of each row the state table keeps the hash of its keys, the keys, and what
 * the aggregates take from it (arguments, sort keys, filters).  The query
 * over that table is the view's grouping with the aggregates as they are,
 * for the groups whose hash is asked for:
 *
 *		SELECT keys, aggregates FROM state WHERE h = ANY ($1) GROUP BY keys
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "plan/recompute.h"
#include "plan/session.h"
#include "plan/sliding.h"

/* columns of the state table: h, the keys, what is held */
#define FIRST_KEY 2

static void
hold(SxShape *shape, int *max, Expr *expr, const char *viewname)
{
	SxHeld	   *held;
	int			i;

	if (expr == NULL || IsA(expr, Const))
		return;
	if (shape->session && equal(expr, shape->session->time))
		return;					/* stands for the key */
	for (i = 0; i < shape->nheld; i++)
	{
		if (equal(shape->held[i].expr, expr))
			return;
	}
	if (exprType((Node *) expr) == RECORDOID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot maintain continuous view \"%s\"", viewname),
				 errdetail("An aggregate takes a row of no named type, which cannot be stored."),
				 errhint("Cast the row to a named composite type, or use the columns one by one.")));
	if (shape->nheld == *max)
	{
		*max = Max(8, *max * 2);
		shape->held = shape->held ? repalloc(shape->held, sizeof(SxHeld) * *max) :
			palloc(sizeof(SxHeld) * *max);
	}
	held = &shape->held[shape->nheld++];
	held->expr = copyObject(expr);
	held->typid = exprType((Node *) expr);
	held->typmod = exprTypmod((Node *) expr);
	held->collation = exprCollation((Node *) expr);
}

/* An expression of the query -> one over the state table. */
static Node *
stored_mutator(Node *node, SxShape *shape)
{
	int			i;

	if (node == NULL)
		return NULL;
	for (i = 0; i < shape->nheld; i++)
	{
		SxHeld	   *held = &shape->held[i];

		if (equal(node, held->expr))
			return (Node *) makeVar(1, FIRST_KEY + shape->nkeys + i, held->typid,
									held->typmod, held->collation, 0);
	}
	for (i = 0; i < shape->nkeys; i++)
	{
		SxKey	   *key = &shape->keys[i];

		if (shape->session && shape->session->key == i ?
			equal(node, shape->session->time) : equal(node, key->expr))
			return (Node *) makeVar(1, FIRST_KEY + i, key->typid, key->typmod,
									key->collation, 0);
	}
	if (IsA(node, Var))
		elog(ERROR, "column of an aggregate is not held");
	return expression_tree_mutator(node, stored_mutator, (void *) shape);
}

static Aggref *
stored_aggref(SxShape *shape, Aggref *aggref)
{
	Aggref	   *result = copyObject(aggref);
	ListCell   *lc;

	foreach(lc, result->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->expr = (Expr *) stored_mutator((Node *) tle->expr, shape);
	}
	result->aggfilter = (Expr *) stored_mutator((Node *) result->aggfilter, shape);
	result->aggdirectargs = (List *) stored_mutator((Node *) result->aggdirectargs, shape);
	return result;
}

static Node *
hash_is_asked_for(void)
{
	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = 1;
	param->paramtype = INT8ARRAYOID;
	param->paramtypmod = -1;
	param->paramcollid = InvalidOid;
	param->location = -1;
	any->opno = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
	any->opfuncid = F_INT8EQ;
	any->useOr = true;
	any->inputcollid = InvalidOid;
	any->args = list_make2(makeVar(1, 1, INT8OID, -1, InvalidOid, 0), param);
	any->location = -1;
	return (Node *) any;
}

void
sx_plan_hold_rows(SxShape *shape, const Query *query, const char *viewname)
{
	Query	   *over = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List	   *columns = list_make1(makeString(pstrdup("h")));
	int			max = 0;
	ListCell   *lc;
	int			i;

	for (i = 0; i < shape->naggregates; i++)
	{
		Aggref	   *aggref = shape->aggregates[i].aggref;

		foreach(lc, aggref->args)
			hold(shape, &max, lfirst_node(TargetEntry, lc)->expr, viewname);
		hold(shape, &max, aggref->aggfilter, viewname);
	}
	if (shape->sliding)
	{
		hold(shape, &max, shape->sliding->time, viewname);
		for (i = 0; !equal(shape->held[i].expr, shape->sliding->time); i++)
			 /* it is there */ ;
		shape->sliding->held = i;
	}

	for (i = 0; i < shape->nkeys; i++)
		columns = lappend(columns, makeString(psprintf("k%d", i + 1)));
	for (i = 0; i < shape->nheld; i++)
		columns = lappend(columns, makeString(psprintf("c%d", i + 1)));
	rte->rtekind = RTE_RELATION;	/* which one: see sx_plan_recompute */
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias("held", columns);
	rte->inFromCl = true;
	ref->rtindex = 1;

	over->commandType = CMD_SELECT;
	over->querySource = QSRC_ORIGINAL;
	over->canSetTag = true;
	over->hasAggs = shape->naggregates > 0;
	over->rtable = list_make1(rte);
	over->jointree = makeFromExpr(list_make1(ref), hash_is_asked_for());
	for (i = 0; i < shape->nkeys; i++)
	{
		SxKey	   *key = &shape->keys[i];
		SortGroupClause *clause = copyObject(list_nth_node(SortGroupClause, query->groupClause, i));
		TargetEntry *tle = makeTargetEntry((Expr *) makeVar(1, FIRST_KEY + i, key->typid,
															key->typmod, key->collation, 0),
										   i + 1, psprintf("k%d", i + 1), false);

		if (shape->session && shape->session->key == i)
		{
			FuncExpr   *call = (FuncExpr *) copyObject(key->expr);

			/* of the time that is held in the key's place */
			lfirst(list_head(call->args)) = tle->expr;
			tle->expr = (Expr *) call;
		}
		clause->tleSortGroupRef = tle->ressortgroupref = i + 1;
		over->targetList = lappend(over->targetList, tle);
		over->groupClause = lappend(over->groupClause, clause);
	}
	for (i = 0; i < shape->naggregates; i++)
		over->targetList =
			lappend(over->targetList,
					makeTargetEntry((Expr *) stored_aggref(shape, shape->aggregates[i].aggref),
									shape->nkeys + i + 1, psprintf("a%d", i + 1), false));
	if (shape->sliding)
	{
		/* rows that have left may be there until the clock is looked at */
		Var		   *time = makeVar(1, FIRST_KEY + shape->nkeys + shape->sliding->held,
								   TIMESTAMPTZOID, -1, InvalidOid, 0);

		over->jointree->quals =
			(Node *) makeBoolExpr(AND_EXPR,
								  list_make2(over->jointree->quals,
											 sx_plan_sliding_condition(shape->sliding, (Expr *) time)),
								  -1);
	}
	shape->recompute_query = over;
}

/* Rows of sessions: only those at $2 or later. */
static Node *
time_is_asked_for(const SxShape *shape)
{
	const SxKey *key = &shape->keys[shape->session->key];
	Param	   *param = makeNode(Param);
	TypeCacheEntry *type = lookup_type_cache(key->typid, TYPECACHE_BTREE_OPFAMILY);
	Oid			op = get_opfamily_member(type->btree_opf, key->typid, key->typid,
										 BTGreaterEqualStrategyNumber);

	param->paramkind = PARAM_EXTERN;
	param->paramid = 2;
	param->paramtype = key->typid;
	param->paramtypmod = -1;
	param->paramcollid = InvalidOid;
	param->location = -1;
	return (Node *) make_opclause(op, BOOLOID, false,
								  (Expr *) makeVar(1, FIRST_KEY + shape->session->key,
												   key->typid, key->typmod,
												   key->collation, 0),
								  (Expr *) param, InvalidOid, InvalidOid);
}

PlannedStmt *
sx_plan_recompute(const SxShape *shape, Oid state)
{
	Query	   *query = copyObject(shape->recompute_query);

	linitial_node(RangeTblEntry, query->rtable)->relid = state;
	if (shape->session && shape->session->event_time)
		query->jointree->quals = (Node *)
			makeBoolExpr(AND_EXPR, list_make2(query->jointree->quals,
											  time_is_asked_for(shape)), -1);
	return sx_plan_query(query, NULL);
}
