/*-------------------------------------------------------------------------
 * distinct.c
 *		Aggregates with DISTINCT: the values of each group are a set.
 *
 * The state of count(DISTINCT x) is that of count(x), taken over the values
 * that differ, and beside it the set of these values, each of which is a row
 * of a table (result/distinct.c).  In the query over a batch stands, in place
 * of the aggregate, one that collects the values:
 *
 *		SELECT keys, streamx.distinct_values(x), ... GROUP BY keys
 *
 * What is new in it is what the state has not seen yet.  Aggregates over the
 * same values (arguments, FILTER) share a set.  count(DISTINCT (x, y)) has a
 * set of pairs.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "plan/distinct.h"

/* ---- where DISTINCT makes no difference ---- */

/* Of values that are equal one is enough, in whatever order they come. */
static bool
is_idempotent(Oid aggfnoid)
{
	HeapTuple	tuple;
	bool		result;

	switch (aggfnoid)
	{
		case F_BIT_AND_INT2:
		case F_BIT_AND_INT4:
		case F_BIT_AND_INT8:
		case F_BIT_AND_BIT:
		case F_BIT_OR_INT2:
		case F_BIT_OR_INT4:
		case F_BIT_OR_INT8:
		case F_BIT_OR_BIT:
			return true;
		default:
			break;
	}

	/* those like min and max: the first in an order */
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggfnoid);
	result = OidIsValid(((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop);
	ReleaseSysCache(tuple);
	return result;
}

static bool
drop_distinct_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		Aggref	   *aggref = (Aggref *) node;
		ListCell   *lc;

		if (aggref->agglevelsup != 0 || aggref->aggdistinct == NIL ||
			!is_idempotent(aggref->aggfnoid))
			return false;
		aggref->aggdistinct = NIL;
		aggref->aggorder = NIL;
		foreach(lc, aggref->args)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);

			tle->ressortgroupref = 0;
			if (tle->resjunk)
				aggref->args = foreach_delete_current(aggref->args, lc);
		}
		return false;
	}
	return expression_tree_walker(node, drop_distinct_walker, context);
}

void
sx_plan_drop_distinct(Query *query)
{
	(void) drop_distinct_walker((Node *) query->targetList, NULL);
	(void) drop_distinct_walker(query->havingQual, NULL);
}

/* ---- sets ---- */

/*
 * The values: what the aggregate takes of a row.  The fields of a row of no
 * named type are values by themselves; count does not look at it.
 */
static List *
values_of(const Aggref *aggref)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, aggref->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (aggref->aggfnoid == F_COUNT_ANY && IsA(tle->expr, RowExpr) &&
			((RowExpr *) tle->expr)->row_typeid == RECORDOID &&
			((RowExpr *) tle->expr)->args != NIL)
			return ((RowExpr *) tle->expr)->args;
		values = lappend(values, tle->expr);
	}
	return values;
}

const char *
sx_plan_not_a_set(const Aggref *aggref)
{
	ListCell   *lc;

	switch (aggref->aggfnoid)
	{
		case F_ARRAY_AGG_ANYNONARRAY:
		case F_ARRAY_AGG_ANYARRAY:
		case F_STRING_AGG_TEXT_TEXT:
		case F_STRING_AGG_BYTEA_BYTEA:
			return "the order of the values is not in a state";
		default:
			break;
	}
	if (list_length(values_of(aggref)) > INDEX_MAX_KEYS)
		return "it takes too many values";
	foreach(lc, values_of(aggref))
	{
		Oid			type = exprType(lfirst(lc));

		if (get_typtype(type) == TYPTYPE_PSEUDO ||
			!OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC)->hash_extended_proc))
			return "its values cannot be hashed";
	}
	return NULL;
}

static bool
same_values(const SxValueSet *set, const List *values, const Expr *filter)
{
	ListCell   *lc;

	if (set->nvalues != list_length(values) || !equal(set->filter, filter))
		return false;
	foreach(lc, values)
	{
		if (!equal(set->values[foreach_current_index(lc)].expr, lfirst(lc)))
			return false;
	}
	return true;
}

int
sx_plan_value_set(SxShape *shape, const Aggref *aggref)
{
	List	   *values = values_of(aggref);
	SxValueSet *set;
	ListCell   *lc;
	int			i;

	for (i = 0; i < shape->nsets; i++)
	{
		if (same_values(&shape->sets[i], values, aggref->aggfilter))
			return i;
	}
	shape->sets = shape->sets ?
		repalloc(shape->sets, sizeof(SxValueSet) * (i + 1)) : palloc(sizeof(SxValueSet));
	set = &shape->sets[shape->nsets++];
	set->partial = shape->npartials;
	set->filter = aggref->aggfilter;
	set->nvalues = list_length(values);
	set->values = palloc0(sizeof(SxHeld) * Max(set->nvalues, 1));
	foreach(lc, values)
	{
		SxHeld	   *value = &set->values[foreach_current_index(lc)];

		value->expr = lfirst(lc);
		value->typid = exprType(lfirst(lc));
		value->typmod = exprTypmod(lfirst(lc));
		value->collation = exprCollation(lfirst(lc));
	}
	return i;
}

Expr *
sx_plan_set_of_batch(const SxShape *shape, int i)
{
	const SxValueSet *set = &shape->sets[shape->partials[i].set];
	Oid			anytype = ANYOID;
	Aggref	   *aggref;
	int			k;

	/* one that is shared comes once */
	if (set->partial != i)
		return (Expr *) makeNullConst(BYTEAOID, -1, InvalidOid);
	aggref = makeNode(Aggref);
	aggref->aggfnoid = LookupFuncName(list_make2(makeString("streamx"),
												 makeString("distinct_values")),
									  1, &anytype, false);
	aggref->aggtype = BYTEAOID;
	for (k = 0; k < set->nvalues; k++)
	{
		aggref->aggargtypes = lappend_oid(aggref->aggargtypes, set->values[k].typid);
		aggref->args = lappend(aggref->args,
							   makeTargetEntry(copyObject(set->values[k].expr), k + 1,
											   NULL, false));
	}
	aggref->aggfilter = copyObject(set->filter);
	aggref->aggkind = AGGKIND_NORMAL;
	aggref->aggsplit = AGGSPLIT_SIMPLE;
	aggref->aggno = aggref->aggtransno = -1;
	aggref->location = -1;
	return (Expr *) aggref;
}
