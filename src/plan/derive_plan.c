/*-------------------------------------------------------------------------
 * derive_plan.c
 *		Plans of derived views, over the tables that hold their cores.
 *
 * A core's use becomes a subquery over its table: the columns, and where the
 * row is.  Restricted plans take the values of each partition column as an
 * array; of several columns that is more than the partitions that are meant,
 * but of each of them all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "plan/closing.h"
#include "plan/derive.h"

static bool
is_by_parts(SxDeriveScope scope)
{
	return scope == SX_DERIVE_PARTS || scope == SX_DERIVE_PARTS_OR_NULL;
}

/* expr = ANY ($param), or is NULL */
static Node *
is_asked_for(Node *expr, int param, Oid type, SxDeriveScope scope)
{
	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
	Param	   *array = makeNode(Param);
	NullTest   *null;

	array->paramkind = PARAM_EXTERN;
	array->paramid = param;
	array->paramtype = get_array_type(type);
	array->paramtypmod = -1;
	array->paramcollid = get_typcollation(array->paramtype);
	array->location = -1;
	any->opno = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	any->opfuncid = get_opcode(any->opno);
	any->useOr = true;
	any->inputcollid = exprCollation(expr);
	any->args = list_make2(expr, array);
	any->location = -1;
	if (scope != SX_DERIVE_PARTS_OR_NULL)
		return (Node *) any;
	null = makeNode(NullTest);
	null->arg = copyObject((Expr *) expr);
	null->nulltesttype = IS_NULL;
	null->argisrow = false;
	null->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR, list_make2(any, null), -1);
}

/* expr (type) >= $1, or < $2 */
static Node *
is_in_range(Node *expr, Oid type, int param)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	Param	   *bound = makeNode(Param);
	Oid			op = get_opfamily_member(entry->btree_opf, entry->btree_opintype,
										 entry->btree_opintype,
										 param == 1 ? BTGreaterEqualStrategyNumber :
										 BTLessStrategyNumber);
	OpExpr	   *result;

	bound->paramkind = PARAM_EXTERN;
	bound->paramid = param;
	bound->paramtype = type;
	bound->paramtypmod = -1;
	bound->location = -1;
	result = (OpExpr *) make_opclause(op, BOOLOID, false, (Expr *) expr, (Expr *) bound,
									  InvalidOid, InvalidOid);
	set_opfuncid(result);
	return (Node *) result;
}

/* A column is in the range. */
static List *
range_quals(AttrNumber attno, Oid type)
{
	Var		   *var = makeVar(1, attno, type, -1, InvalidOid, 0);

	return list_make2(is_in_range((Node *) var, type, 1),
					  is_in_range(copyObject((Node *) var), type, 2));
}

/*
 * The same for what a use is of its source's row.  Fixed windows begin at or
 * before the time in them, which an index finds.
 */
static List *
source_quals(const SxClosingUse *use, int varno, Oid type)
{
	Node	   *expr = copyObject((Node *) use->expr);
	List	   *quals = NIL;

	ChangeVarNodes(expr, 1, varno, 0);
	if (use->calls && exprType((Node *) use->var) == type)
	{
		Node	   *var = copyObject((Node *) use->var);

		ChangeVarNodes(var, 1, varno, 0);
		quals = list_make1(is_in_range(var, type, 1));
	}
	return lappend(lappend(quals, is_in_range(expr, type, 1)),
				   is_in_range(copyObject(expr), type, 2));
}

static Query *
select_from(RangeTblEntry *rte, List *tlist, List *quals)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);

	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref),
								   quals ? (Node *) make_ands_explicit(quals) : NULL);
	query->targetList = tlist;
	return query;
}

static RangeTblEntry *
table_entry(Oid relid, List *names)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias("t", names);
	rte->inFromCl = true;
	return rte;
}

static Var *
ctid_var(void)
{
	return makeVar(1, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
}

typedef struct TablesContext
{
	const SxDerivation *d;
	const Oid  *tables;			/* per core */
	SxDeriveScope scope;
} TablesContext;

/* A use becomes a subquery over its core's table: columns, ctid. */
static void
fill_in(RangeTblEntry *rte, TablesContext *tc)
{
	const SxDerivation *d = tc->d;
	const SxCoreUse *use = &d->uses[rte->relid - 1];
	const SxCore *core = &d->cores[use->core];
	List	   *tlist = NIL;
	List	   *names = NIL;
	List	   *quals = NIL;
	int			i;

	for (i = 0; i < core->ncolumns; i++)
	{
		const SxHeld *column = &core->columns[i];
		char	   *name = psprintf("c%d", i + 1);

		names = lappend(names, makeString(name));
		tlist = lappend(tlist,
						makeTargetEntry((Expr *) makeVar(1, i + 1, column->typid, column->typmod,
														 column->collation, 0),
										i + 1, name, false));
	}
	tlist = lappend(tlist, makeTargetEntry((Expr *) ctid_var(), i + 1, pstrdup("ctid"), false));
	if (tc->scope != SX_DERIVE_ALL)
	{
		for (i = 0; i < d->nparts; i++)
		{
			const SxHeld *column = &core->columns[use->part[i] - 1];

			quals = lappend(quals,
							is_asked_for((Node *) makeVar(1, use->part[i], column->typid,
														  column->typmod, column->collation, 0),
										 i + 1, d->parts[i].typid, tc->scope));
		}
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = select_from(table_entry(tc->tables[use->core], names), tlist, quals);
	rte->eref = makeAlias("core", lappend(list_copy(names), makeString(pstrdup("ctid"))));
	rte->relid = InvalidOid;
	rte->relkind = 0;
}

/*
 * A use of another view's result becomes that table again, with the rights
 * that it had; what is asked for is a condition on its scan.
 */
static void
fill_in_sources(Query *query, TablesContext *tc)
{
	const SxDerivation *d = tc->d;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		const SxCoreUse *use;
		const SxCore *core;
		List	   *quals = NIL;
		int			i;

		if (!sx_is_core_use(rte))
			continue;
		use = &d->uses[rte->relid - 1];
		core = &d->cores[use->core];
		if (!OidIsValid(core->source))
			continue;
		rte->relid = core->source;
		rte->relkind = RELKIND_RELATION;
		if (tc->scope == SX_DERIVE_RANGE)
			quals = source_quals(list_nth(d->closing->uses, use - d->uses),
								 foreach_current_index(lc) + 1, d->closing->typid);
		for (i = 0; is_by_parts(tc->scope) && i < d->nparts; i++)
		{
			const SxHeld *column = &core->columns[use->part[i] - 1];

			quals = lappend(quals,
							is_asked_for((Node *) makeVar(foreach_current_index(lc) + 1, use->part[i],
														  column->typid, column->typmod,
														  column->collation, 0),
										 i + 1, d->parts[i].typid, tc->scope));
		}
		rte->securityQuals = list_concat(quals, rte->securityQuals);
	}
}

static bool
tables_walker(Node *node, TablesContext *tc)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (sx_is_core_use((RangeTblEntry *) node))
			fill_in((RangeTblEntry *) node, tc);
		return false;
	}
	if (IsA(node, Query))
		fill_in_sources((Query *) node, tc);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, tables_walker, tc,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, tables_walker, tc);
}

static Query *
over_tables(const SxDerivation *d, const Query *query, const Oid *tables,
			SxDeriveScope scope)
{
	Query	   *result = copyObject(unconstify(Query *, query));
	TablesContext tc;

	tc.d = d;
	tc.tables = tables;
	tc.scope = scope;
	(void) tables_walker((Node *) result, &tc);
	return result;
}

PlannedStmt *
sx_plan_derive(const SxShape *shape, const Oid *tables, SxDeriveScope scope,
			   ParamListInfo params)
{
	const SxDerivation *d = shape->derivation;
	Query	   *query = over_tables(d, d->outer, tables, scope);

	if (scope != SX_DERIVE_ALL)
	{
		/* what comes out is asked for too: it reaches tables that are joined */
		RangeTblEntry *rte = makeNode(RangeTblEntry);
		List	   *tlist = NIL;
		List	   *names = NIL;
		List	   *quals = NIL;
		ListCell   *lc;
		int			i;

		foreach(lc, query->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);
			Node	   *expr = (Node *) tle->expr;

			if (tle->resjunk)
				continue;
			names = lappend(names, makeString(pstrdup(tle->resname)));
			tlist = lappend(tlist,
							makeTargetEntry((Expr *) makeVar(1, tle->resno, exprType(expr),
															 exprTypmod(expr), exprCollation(expr), 0),
											list_length(tlist) + 1, pstrdup(tle->resname), false));
		}
		if (scope == SX_DERIVE_RANGE)
			quals = range_quals(d->closing->column, d->closing->typid);
		for (i = 0; is_by_parts(scope) && i < d->nparts; i++)
			quals = lappend(quals,
							is_asked_for((Node *) makeVar(1, d->parts[i].resno, d->parts[i].typid,
														  d->parts[i].typmod,
														  d->parts[i].collation, 0),
										 i + 1, d->parts[i].typid, scope));
		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = query;
		rte->eref = makeAlias("derived", names);
		rte->inFromCl = true;
		query = select_from(rte, tlist, quals);
	}
	return sx_plan_query(query, params);
}

PlannedStmt *
sx_plan_prune(const SxShape *shape, const Oid *tables, SxDeriveScope scope,
			  ParamListInfo params)
{
	return sx_plan_query(over_tables(shape->derivation, shape->derivation->prune, tables, scope),
						 params);
}

PlannedStmt *
sx_plan_derived_rows(const SxShape *shape, Oid result, SxDeriveScope scope,
					 ParamListInfo params)
{
	const SxDerivation *d = shape->derivation;
	Relation	rel = table_open(result, AccessShareLock);
	List	   *tlist = NIL;
	List	   *names = NIL;
	List	   *quals = NIL;
	int			i;

	for (i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i - 1);
		char	   *name = pstrdup(NameStr(att->attname));

		names = lappend(names, makeString(name));
		tlist = lappend(tlist,
						makeTargetEntry((Expr *) makeVar(1, i, att->atttypid, att->atttypmod,
														 att->attcollation, 0),
										i, name, false));
	}
	table_close(rel, NoLock);
	tlist = lappend(tlist, makeTargetEntry((Expr *) ctid_var(), i, pstrdup("ctid"), false));
	if (scope == SX_DERIVE_RANGE)
		quals = range_quals(d->closing->column, d->closing->typid);
	for (i = 0; is_by_parts(scope) && i < d->nparts; i++)
		quals = lappend(quals,
						is_asked_for((Node *) makeVar(1, d->parts[i].resno, d->parts[i].typid,
													  d->parts[i].typmod, d->parts[i].collation, 0),
									 i + 1, d->parts[i].typid, scope));
	return sx_plan_query(select_from(table_entry(result, names), tlist, quals), params);
}
