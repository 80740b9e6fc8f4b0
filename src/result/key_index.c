/*-------------------------------------------------------------------------
 * key_index.c
 *		Finding a group's row in the result table by its unique index.
 *
 * The index is on the grouping columns as they are.  A key that may not fit
 * an index tuple makes it an index in which columns of variable length are
 * replaced by streamx.key_digest(column): 128 bits of hashes that respect the
 * type's equality.  What is found by a digest is compared in full.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_opclass.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "base/trusted.h"
#include "catalog/view.h"
#include "compat.h"
#include "result/key_index.h"
#include "result/leaf.h"

struct SxKeyIndex
{
	MemoryContext cxt;			/* of the scan, which is begun when needed */
	SxWriter   *writer;
	const SxShape *shape;
	const SxKeyOps *ops;
	Relation	index;			/* NULL: no key, at most one row */
	IndexScanDesc scan;
	TupleTableSlot *slot;
	RegProcedure *eqproc;		/* per index column */
	Oid		   *subtype;
	bool	   *digest;			/* per index column */
	bool		recheck;
	Datum	   *found;			/* keys of a row found */
	bool	   *found_nulls;
	List	   *leaves;			/* of a partitioned table: SxKeyIndex of each
								 * partition looked into */
};

bool		sx_key_index_changing = false;

PG_FUNCTION_INFO_V1(streamx_key_digest);

/* streamx.key_digest(anyelement) returns uuid */
Datum
streamx_key_digest(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));
	Datum		value = PG_GETARG_DATUM(0);
	TypeCacheEntry *type = fcinfo->flinfo->fn_extra;
	uint64		h[2];

	if (type == NULL)
	{
		Oid			typid = get_fn_expr_argtype(fcinfo->flinfo, 0);

		if (!OidIsValid(typid))
			elog(ERROR, "could not determine the type of a key");
		type = lookup_type_cache(typid, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		fcinfo->flinfo->fn_extra = type;
	}
	if (OidIsValid(type->hash_extended_proc_finfo.fn_oid))
	{
		h[0] = DatumGetUInt64(FunctionCall2Coll(&type->hash_extended_proc_finfo,
												PG_GET_COLLATION(), value,
												UInt64GetDatum(UINT64CONST(0x9E3779B97F4A7C15))));
		h[1] = DatumGetUInt64(FunctionCall2Coll(&type->hash_extended_proc_finfo,
												PG_GET_COLLATION(), value,
												UInt64GetDatum(UINT64CONST(0xC2B2AE3D27D4EB4F))));
	}
	else
	{
		/* types with an order but no hash (bit, tsvector): by their bytes */
		const unsigned char *bytes;
		int			len;

		if (type->typbyval)
		{
			bytes = (const unsigned char *) &value;
			len = sizeof(value);
		}
		else if (type->typlen == -1)
		{
			struct varlena *varlena = PG_DETOAST_DATUM_PACKED(value);

			bytes = (const unsigned char *) VARDATA_ANY(varlena);
			len = VARSIZE_ANY_EXHDR(varlena);
		}
		else
		{
			bytes = (const unsigned char *) DatumGetPointer(value);
			len = type->typlen > 0 ? type->typlen : strlen((const char *) bytes);
		}
		h[0] = DatumGetUInt64(hash_any_extended(bytes, len,
												UINT64CONST(0x9E3779B97F4A7C15)));
		h[1] = DatumGetUInt64(hash_any_extended(bytes, len,
												UINT64CONST(0xC2B2AE3D27D4EB4F)));
	}
	memcpy(result->data, h, sizeof(h));
	PG_RETURN_UUID_P(result);
}

Size
sx_key_size(const SxKeyOps *ops, int nkeys, const Datum *keys,
			const bool *nulls)
{
	Size		size = 0;
	int			i;

	for (i = 0; i < nkeys; i++)
	{
		if (nulls[i])
			continue;
		size += ops[i].len > 0 ? ops[i].len :
			ops[i].len == -1 ? toast_raw_datum_size(keys[i]) :
			strlen(DatumGetCString(keys[i])) + 1;
	}
	return size;
}

/* Is it streamx.key_digest() of this column? */
static bool
is_digest(const Node *expr, AttrNumber resno)
{
	const FuncExpr *call = (const FuncExpr *) expr;
	const Var  *column;
	char	   *name;

	if (!IsA(expr, FuncExpr) || list_length(call->args) != 1)
		return false;
	column = linitial(call->args);
	if (!IsA(column, Var) || column->varattno != resno)
		return false;
	name = get_func_name(call->funcid);
	return name != NULL && strcmp(name, "key_digest") == 0 &&
		get_func_namespace(call->funcid) == get_namespace_oid("streamx", true);
}

/*
 * Does the index have one column per key, in the keys' order?  The owner may
 * have made others, over expressions or with other collations.
 */
static bool
is_key_index(Relation index, const SxShape *shape)
{
	Form_pg_index form = index->rd_index;
	List	   *exprs;
	ListCell   *expr;
	int			i;

	if (!form->indisunique || !form->indisvalid || !form->indnullsnotdistinct ||
		form->indnkeyatts != shape->nkeys ||
		index->rd_rel->relam != BTREE_AM_OID ||
		RelationGetIndexPredicate(index) != NIL)
		return false;
	exprs = RelationGetIndexExpressions(index);
	expr = list_head(exprs);
	for (i = 0; i < shape->nkeys; i++)
	{
		if (form->indkey.values[i] == InvalidAttrNumber)
		{
			if (!is_digest(lfirst(expr), shape->keys[i].resno))
				return false;
			expr = lnext(exprs, expr);
		}
		else if (form->indkey.values[i] != shape->keys[i].resno ||
				 index->rd_indcollation[i] != shape->keys[i].collation)
			return false;
	}
	return true;
}

static Oid
find_key_index(Relation rel, const SxShape *shape)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (is_key_index(index, shape))
			result = RelationGetRelid(index);
		index_close(index, NoLock);
		if (OidIsValid(result))
			break;
	}
	list_free(indexes);
	if (!OidIsValid(result))
		ereport(ERROR,
				(errcode(SX_ERRCODE_NOT_RESTORED),
				 errmsg("table \"%s\" of a continuous view has lost its unique index on the grouping columns",
						RelationGetRelationName(rel)),
				 errhint("Wait until the restore of the dump is complete, or create it again: unique, NULLS NOT DISTINCT, on the grouping columns in the order of GROUP BY.")));
	return result;
}

void
sx_key_index_attach(Oid result, const SxShape *shape)
{
	Relation	rel = table_open(result, AccessShareLock);

	sx_view_depend(find_key_index(rel, shape), result, DEPENDENCY_INTERNAL);
	table_close(rel, NoLock);
}

void
sx_key_index_widen(Oid result, const SxShape *shape)
{
	Relation	rel = table_open(result, ShareRowExclusiveLock);
	Oid			indexid = find_key_index(rel, shape);
	Relation	index = index_open(indexid, AccessShareLock);
	bool		wide = RelationGetIndexExpressions(index) != NIL;
	char	   *schema = get_namespace_name(RelationGetNamespace(rel));
	char	   *indexname = pstrdup(RelationGetRelationName(index));
	StringInfoData sql;
	SxTrustedScope trusted;
	int			i;

	index_close(index, NoLock);
	if (wide)
	{
		table_close(rel, NoLock);
		return;
	}
	initStringInfo(&sql);
	appendStringInfo(&sql, "DROP INDEX %s; CREATE UNIQUE INDEX %s ON %s (",
					 quote_qualified_identifier(schema, indexname),
					 quote_identifier(indexname),
					 quote_qualified_identifier(schema, RelationGetRelationName(rel)));
	for (i = 0; i < shape->nkeys; i++)
	{
		char	   *column = get_attname(result, shape->keys[i].resno, false);

		appendStringInfo(&sql, "%s%s%s%s", i ? ", " : "",
						 get_typlen(shape->keys[i].typid) == -1 ? "streamx.key_digest(" : "",
						 quote_identifier(column),
						 get_typlen(shape->keys[i].typid) == -1 ? ")" : "");
	}
	appendStringInfoString(&sql, ") NULLS NOT DISTINCT");
	table_close(rel, NoLock);

	/* the protection of the key index is for users, see ddl/ */
	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	sx_key_index_changing = true;
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (SPI_execute(sql.data, false, 0) < 0)
			elog(ERROR, "could not rebuild index: %s", sql.data);
		SPI_finish();
	}
	PG_FINALLY();
	{
		sx_key_index_changing = false;
	}
	PG_END_TRY();
	sx_trusted_leave(&trusted);
	CommandCounterIncrement();
}

static bool
is_on(Oid indexid, const List *columns)
{
	Relation	index = index_open(indexid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool		result = !form->indisunique && form->indnkeyatts == list_length(columns);
	ListCell   *lc;

	foreach(lc, columns)
		result = result &&
		form->indkey.values[foreach_current_index(lc)] == lfirst_int(lc);
	index_close(index, NoLock);
	return result;
}

void
sx_key_index_drop(Oid relid, const List *columns)
{
	Relation	rel = table_open(relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	SxTrustedScope trusted;
	ListCell   *lc;

	table_close(rel, NoLock);
	foreach(lc, indexes)
	{
		Oid			index = lfirst_oid(lc);

		if (!is_on(index, columns))
			continue;
		sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (SPI_execute(psprintf("DROP INDEX %s",
								 quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
															get_rel_name(index))),
						false, 0) < 0)
			elog(ERROR, "could not drop index %u", index);
		SPI_finish();
		sx_trusted_leave(&trusted);
		CommandCounterIncrement();
	}
}

SxKeyIndex *
sx_key_index_begin(SxWriter *writer, const SxShape *shape,
				   const SxKeyOps *ops)
{
	SxKeyIndex *ki = palloc0(sizeof(SxKeyIndex));
	int			i;

	ki->cxt = CurrentMemoryContext;
	ki->writer = writer;
	ki->shape = shape;
	ki->ops = ops;
	if (writer->leaves)
		return ki;
	ki->slot = table_slot_create(writer->rel, NULL);
	if (shape->nkeys == 0)
		return ki;
	ki->index = index_open(find_key_index(writer->rel, shape), RowExclusiveLock);
	ki->eqproc = palloc0(sizeof(RegProcedure) * shape->nkeys);
	ki->subtype = palloc0(sizeof(Oid) * shape->nkeys);
	ki->digest = palloc0(sizeof(bool) * shape->nkeys);
	ki->found = palloc0(sizeof(Datum) * shape->nkeys);
	ki->found_nulls = palloc0(sizeof(bool) * shape->nkeys);
	for (i = 0; i < shape->nkeys; i++)
	{
		Oid			family = ki->index->rd_opfamily[i];
		Oid			type = ki->index->rd_opcintype[i];
		Oid			op = get_opfamily_member(family, type, type,
											 BTEqualStrategyNumber);

		if (!OidIsValid(op))
			elog(ERROR, "missing operator %d(%u,%u) in opfamily %u",
				 BTEqualStrategyNumber, type, type, family);
		ki->eqproc[i] = get_opcode(op);
		ki->subtype[i] = type;
		ki->digest[i] = ki->index->rd_index->indkey.values[i] == InvalidAttrNumber;
		ki->recheck |= ki->digest[i];
	}
	return ki;
}

void
sx_key_index_end(SxKeyIndex *ki)
{
	ListCell   *lc;

	foreach(lc, ki->leaves)
		sx_key_index_end(lfirst(lc));
	if (ki->writer->leaves)
		return;
	ExecDropSingleTupleTableSlot(ki->slot);
	if (ki->scan)
		index_endscan(ki->scan);
	if (ki->index)
		index_close(ki->index, NoLock);
}

/* streamx.key_digest of one key's value */
static Datum
digest_of(const SxKey *key, Datum value)
{
	FmgrInfo	flinfo;
	Const		arg;
	FuncExpr	expr;

	LOCAL_FCINFO(fcinfo, 1);

	/* the function finds its argument's type in the expression */
	memset(&arg, 0, sizeof(arg));
	arg.xpr.type = T_Const;
	arg.consttype = key->typid;
	memset(&expr, 0, sizeof(expr));
	expr.xpr.type = T_FuncExpr;
	expr.args = list_make1(&arg);
	memset(&flinfo, 0, sizeof(flinfo));
	flinfo.fn_addr = streamx_key_digest;
	flinfo.fn_nargs = 1;
	flinfo.fn_strict = true;
	flinfo.fn_mcxt = CurrentMemoryContext;
	flinfo.fn_expr = (Node *) &expr;
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, key->collation, NULL, NULL);
	fcinfo->args[0].value = value;
	fcinfo->args[0].isnull = false;
	return streamx_key_digest(fcinfo);
}

/* That of a partition, which has one of its own. */
static SxKeyIndex *
index_of_leaf(SxKeyIndex *ki, SxWriter *writer)
{
	MemoryContext old;
	SxKeyIndex *leaf;
	ListCell   *lc;

	foreach(lc, ki->leaves)
	{
		leaf = lfirst(lc);
		if (leaf->writer == writer)
			return leaf;
	}
	old = MemoryContextSwitchTo(ki->cxt);
	leaf = sx_key_index_begin(writer, ki->shape, ki->ops);
	ki->leaves = lappend(ki->leaves, leaf);
	MemoryContextSwitchTo(old);
	return leaf;
}

bool
sx_key_index_find(SxKeyIndex *ki, const Datum *keys, const bool *nulls,
				  ItemPointer tid)
{
	ScanKeyData skey[INDEX_MAX_KEYS];
	int			n = ki->shape->nkeys;
	MemoryContext old;
	int			i;

	ItemPointerSetInvalid(tid);
	if (ki->writer->leaves)
	{
		SxLeaf	   *leaf = sx_leaf_get(ki->writer, DatumGetInt64(keys[ki->shape->window_key]), false);

		return leaf != NULL && sx_key_index_find(index_of_leaf(ki, leaf->writer), keys, nulls, tid);
	}
	if (n == 0)
	{
		TableScanDesc scan = table_beginscan(ki->writer->rel, GetActiveSnapshot(), 0, NULL);

		if (table_scan_getnextslot(scan, ForwardScanDirection, ki->slot))
			*tid = ki->slot->tts_tid;
		ExecClearTuple(ki->slot);
		table_endscan(scan);
		return ItemPointerIsValid(tid);
	}

	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			ScanKeyEntryInitialize(&skey[i], SK_ISNULL | SK_SEARCHNULL, i + 1,
								   InvalidStrategy, InvalidOid, InvalidOid,
								   InvalidOid, (Datum) 0);
		else
		{
			Datum		value = ki->digest[i] ? digest_of(&ki->shape->keys[i], keys[i]) : keys[i];

			ScanKeyEntryInitialize(&skey[i], 0, i + 1, BTEqualStrategyNumber,
								   ki->subtype[i],
								   ki->index->rd_indcollation[i],
								   ki->eqproc[i], value);
		}
	}

	/* the scan outlives the caller's context */
	old = MemoryContextSwitchTo(ki->cxt);
	if (ki->scan == NULL)
		ki->scan = sx_index_beginscan(ki->writer->rel, ki->index,
									  GetActiveSnapshot(), n, 0);
	index_rescan(ki->scan, skey, n, NULL, 0);
	while (index_getnext_slot(ki->scan, ForwardScanDirection, ki->slot))
	{
		if (ki->recheck)
		{
			for (i = 0; i < n; i++)
				ki->found[i] = slot_getattr(ki->slot, ki->shape->keys[i].resno,
											&ki->found_nulls[i]);
			if (!sx_keys_equal(ki->ops, n, keys, nulls, ki->found, ki->found_nulls))
				continue;
		}
		*tid = ki->slot->tts_tid;
		break;
	}
	ExecClearTuple(ki->slot);
	MemoryContextSwitchTo(old);
	return ItemPointerIsValid(tid);
}
