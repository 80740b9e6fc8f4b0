/*-------------------------------------------------------------------------
 * pushdown.c
 *		Conditions on partition, offset and timestamp of a message, as ranges
 *		to read.
 *
 * The plan's conditions stay where they are; those of the form
 *		column op expression,  column = ANY (array)
 * over a metadata column, with an expression that does not change during the
 * scan, are looked at when the scan begins, and narrow down what is read.
 *
 * Offsets are ordered within a partition, so that both ends can be found.
 * Timestamps need not be: the broker tells the first message that is not
 * older than a time, so a lower end is safe; there may be messages older than
 * any time up to the partition's end, so an upper end is not.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "fdw/scan.h"

/* A condition taken apart. */
typedef struct Condition
{
	SxMetadata	metadata;
	int			strategy;		/* btree: column <strategy> value */
	bool		any;			/* value is an array, strategy is = */
	Expr	   *value;
} Condition;

/* Does the expression keep its value during a scan of this relation? */
static bool
is_stable(Node *expr)
{
	return !contain_var_clause(expr) && !contain_volatile_functions(expr) &&
		!contain_subplans(expr);
}

static bool
is_metadata_var(Node *node, const ForeignScan *plan, const SxStream *stream,
				SxMetadata *metadata)
{
	Var		   *var = (Var *) node;

	if (node == NULL || !IsA(node, Var) ||
		var->varno != plan->scan.scanrelid || var->varlevelsup != 0 ||
		var->varattno < 1 || var->varattno > stream->schema->ncols)
		return false;
	*metadata = stream->schema->cols[var->varattno - 1].metadata;
	return *metadata == SX_META_PARTITION || *metadata == SX_META_OFFSET ||
		*metadata == SX_META_TIMESTAMP;
}

static bool
take_apart(Node *clause, const ForeignScan *plan, const SxStream *stream,
		   Condition *cond)
{
	List	   *args;
	Node	   *left;
	Node	   *right;
	Oid			opno;
	Oid			opfamily;
	Oid			valuetype;

	memset(cond, 0, sizeof(*cond));
	if (IsA(clause, OpExpr))
	{
		args = ((OpExpr *) clause)->args;
		opno = ((OpExpr *) clause)->opno;
	}
	else if (IsA(clause, ScalarArrayOpExpr) &&
			 ((ScalarArrayOpExpr *) clause)->useOr)
	{
		args = ((ScalarArrayOpExpr *) clause)->args;
		opno = ((ScalarArrayOpExpr *) clause)->opno;
		cond->any = true;
	}
	else
		return false;
	if (list_length(args) != 2)
		return false;
	left = linitial(args);
	right = lsecond(args);
	if (!cond->any && is_metadata_var(right, plan, stream, &cond->metadata))
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
		if (!OidIsValid(opno))
			return false;
	}
	if (!is_metadata_var(left, plan, stream, &cond->metadata) ||
		!is_stable(right))
		return false;

	opfamily = cond->metadata == SX_META_TIMESTAMP ?
		lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf :
		INTEGER_BTREE_FAM_OID;
	cond->strategy = get_op_opfamily_strategy(opno, opfamily);
	if (cond->strategy == 0)
		return false;
	cond->value = (Expr *) right;

	/* what is worth something */
	if (cond->any)
		return cond->strategy == BTEqualStrategyNumber &&
			cond->metadata == SX_META_PARTITION;
	valuetype = exprType(right);
	if (cond->metadata == SX_META_TIMESTAMP)
		return (cond->strategy == BTEqualStrategyNumber ||
				cond->strategy == BTGreaterEqualStrategyNumber ||
				cond->strategy == BTGreaterStrategyNumber) &&
			(valuetype == TIMESTAMPTZOID || valuetype == TIMESTAMPOID ||
			 valuetype == DATEOID);
	return valuetype == INT2OID || valuetype == INT4OID || valuetype == INT8OID;
}

List *
sx_fdw_pushed_conditions(const ForeignScan *plan, const SxStream *stream)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, plan->scan.plan.qual)
	{
		Condition	cond;

		if (take_apart(lfirst(lc), plan, stream, &cond))
			result = lappend(result, lfirst(lc));
	}
	return result;
}

bool
sx_fdw_range_has_partition(const SxScanRange *range, int32 partition)
{
	int			i;

	if (range->nothing || partition < range->first_partition ||
		partition > range->last_partition)
		return false;
	if (!range->listed)
		return true;
	for (i = 0; i < range->npartitions; i++)
	{
		if (range->partitions[i] == partition)
			return true;
	}
	return false;
}

static int64
integer_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* column <strategy> value narrows [*first, *last], both inclusive */
static void
narrow(int64 *first, int64 *last, int strategy, int64 value, bool *nothing)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			if (value == PG_INT64_MIN)
				*nothing = true;
			else
				*last = Min(*last, value - 1);
			break;
		case BTLessEqualStrategyNumber:
			*last = Min(*last, value);
			break;
		case BTEqualStrategyNumber:
			*first = Max(*first, value);
			*last = Min(*last, value);
			break;
		case BTGreaterEqualStrategyNumber:
			*first = Max(*first, value);
			break;
		case BTGreaterStrategyNumber:
			if (value == PG_INT64_MAX)
				*nothing = true;
			else
				*first = Max(*first, value + 1);
			break;
	}
	if (*first > *last)
		*nothing = true;
}

/* The partitions of "= ANY (array)", cut with those listed already. */
static void
list_partitions(SxScanRange *range, Datum array, Oid arraytype)
{
	ArrayType  *arr = DatumGetArrayTypeP(array);
	Oid			elemtype = get_base_element_type(arraytype);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	int			n = 0;
	int32	   *partitions;
	int			i;

	if (elemtype != INT2OID && elemtype != INT4OID && elemtype != INT8OID)
		return;
	get_typlenbyvalalign(elemtype, &typlen, &typbyval, &typalign);
	deconstruct_array(arr, elemtype, typlen, typbyval, typalign,
					  &elems, &nulls, &nelems);
	partitions = palloc(sizeof(int32) * Max(nelems, 1));
	for (i = 0; i < nelems; i++)
	{
		int64		value;

		if (nulls[i])
			continue;
		value = integer_value(elems[i], elemtype);
		if (value < 0 || value > PG_INT32_MAX ||
			!sx_fdw_range_has_partition(range, (int32) value))
			continue;
		partitions[n++] = (int32) value;
	}
	range->listed = true;
	range->partitions = partitions;
	range->npartitions = n;
	if (n == 0)
		range->nothing = true;
}

static void
apply(SxScanRange *range, const Condition *cond, Datum value)
{
	Oid			type = exprType((Node *) cond->value);
	int64		first;
	int64		last;

	if (cond->any)
	{
		list_partitions(range, value, type);
		return;
	}
	switch (cond->metadata)
	{
		case SX_META_PARTITION:
			first = range->first_partition;
			last = range->last_partition;
			narrow(&first, &last, cond->strategy, integer_value(value, type),
				   &range->nothing);
			if (range->nothing)
				return;
			range->first_partition = (int32) first;
			range->last_partition = (int32) last;
			break;
		case SX_META_OFFSET:
			first = range->from_offset;
			last = range->to_offset == PG_INT64_MAX ? PG_INT64_MAX :
				range->to_offset - 1;
			narrow(&first, &last, cond->strategy, integer_value(value, type),
				   &range->nothing);
			if (range->nothing)
				return;
			range->from_offset = first;
			range->to_offset = last == PG_INT64_MAX ? PG_INT64_MAX : last + 1;
			break;
		case SX_META_TIMESTAMP:
			{
				int			overflow = 0;
				TimestampTz time;

				if (type == DATEOID)
					time = date2timestamptz_opt_overflow(DatumGetDateADT(value),
														 &overflow);
				else if (type == TIMESTAMPOID)
					time = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value),
															  &overflow);
				else
					time = DatumGetTimestampTz(value);
				if (overflow != 0 || TIMESTAMP_NOT_FINITE(time))
					return;
				if (!range->has_from_time || time > range->from_time_us)
					range->from_time_us = time;
				range->has_from_time = true;
				break;
			}
		default:
			break;
	}
}

void
sx_fdw_range_init(SxScanRange *range, ForeignScanState *node,
				  const SxStream *stream)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	ListCell   *lc;

	memset(range, 0, sizeof(*range));
	range->last_partition = PG_INT32_MAX;
	range->to_offset = PG_INT64_MAX;

	foreach(lc, plan->scan.plan.qual)
	{
		Condition	cond;
		ExprState  *state;
		Datum		value;
		bool		isnull;

		if (!take_apart(lfirst(lc), plan, stream, &cond))
			continue;
		state = ExecInitExpr(cond.value, &node->ss.ps);
		value = ExecEvalExprSwitchContext(state, econtext, &isnull);
		/* all these operators are strict */
		if (isnull)
			range->nothing = true;
		else
			apply(range, &cond, value);
		if (range->nothing)
			break;
	}
	if (range->listed && !range->nothing)
	{
		int			i;

		/* the list may have been made before the limits */
		range->nothing = true;
		for (i = 0; i < range->npartitions && range->nothing; i++)
			range->nothing =
				range->partitions[i] < range->first_partition ||
				range->partitions[i] > range->last_partition;
	}
	ResetExprContext(econtext);
}
