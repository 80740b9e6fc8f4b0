/*-------------------------------------------------------------------------
 * dead_letter.c
 *		Rows that failed, kept in streamx.dead_letters with the reason.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "result/result.h"

/* columns of streamx.dead_letters, see the install script */
enum
{
	DL_ID = 1,
	DL_STREAM,
	DL_VIEW,
	DL_PARTITION,
	DL_POSITION,
	DL_ARRIVED,
	DL_KEY,
	DL_PAYLOAD,
	DL_SQLSTATE,
	DL_ERROR,
	DL_NCOLS = DL_ERROR
};

static Oid
streamx_relation(const char *name)
{
	return get_relname_relid(name, get_namespace_oid("streamx", false));
}

/* The next value of the identity column's sequence. */
static int64
next_id(Oid table)
{
	Oid			seq = streamx_relation("dead_letters_id_seq");

	if (!OidIsValid(seq))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("sequence of %s is missing", get_rel_name(table)),
				 errhint("Create extension streamx again.")));
	return nextval_internal(seq, false);
}

static Datum
bytes_datum(const char *bytes, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

static bool
already_there(Relation rel, Oid index, Oid stream, Oid view, int32 partition,
			  int64 position)
{
	ScanKeyData key[4];
	Relation	irel = index_open(index, AccessShareLock);
	IndexScanDesc scan;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	SnapshotData dirty;
	bool		found;

	ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(stream));
	ScanKeyInit(&key[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(partition));
	ScanKeyInit(&key[2], 3, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(position));
	if (OidIsValid(view))
		ScanKeyInit(&key[3], 4, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
	else
		ScanKeyEntryInitialize(&key[3], SK_ISNULL | SK_SEARCHNULL, 4,
							   InvalidStrategy, InvalidOid, InvalidOid,
							   InvalidOid, (Datum) 0);

	/* own changes of this very command count as well */
	InitDirtySnapshot(dirty);
	scan = sx_index_beginscan(rel, irel, &dirty, 4, 0);
	index_rescan(scan, key, 4, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(irel, NoLock);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

bool
sx_result_dead_letter(Oid stream, Oid view, const SxReject *reject)
{
	Oid			relid = streamx_relation("dead_letters");
	Oid			index = streamx_relation("dead_letters_position");
	Relation	rel = table_open(relid, RowExclusiveLock);
	Datum		values[DL_NCOLS];
	bool		nulls[DL_NCOLS] = {0};
	HeapTuple	tuple;
	CatalogIndexState indexes;
	MemoryContext cxt;
	MemoryContext old;

	/* a batch can have as many as rows, each with a copy of its bytes */
	cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx dead letter",
								ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	if (already_there(rel, index, stream, view, reject->partition, reject->position))
	{
		table_close(rel, NoLock);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return false;
	}
	values[DL_ID - 1] = Int64GetDatum(next_id(relid));
	values[DL_STREAM - 1] = ObjectIdGetDatum(stream);
	values[DL_VIEW - 1] = ObjectIdGetDatum(view);
	nulls[DL_VIEW - 1] = !OidIsValid(view);
	values[DL_PARTITION - 1] = Int32GetDatum(reject->partition);
	values[DL_POSITION - 1] = Int64GetDatum(reject->position);
	values[DL_ARRIVED - 1] = Int64GetDatum(reject->arrival_us);
	nulls[DL_KEY - 1] = reject->key == NULL;
	values[DL_KEY - 1] = reject->key ? bytes_datum(reject->key, reject->key_len) : (Datum) 0;
	nulls[DL_PAYLOAD - 1] = reject->payload == NULL;
	values[DL_PAYLOAD - 1] = reject->payload ?
		bytes_datum(reject->payload, reject->payload_len) : (Datum) 0;
	values[DL_SQLSTATE - 1] = CStringGetTextDatum(reject->sqlstate);
	values[DL_ERROR - 1] = CStringGetTextDatum(reject->error);

	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	indexes = CatalogOpenIndexes(rel);
	CatalogTupleInsertWithInfo(rel, tuple, indexes);
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return true;
}

SxSkip *
sx_result_dead_letters(Oid stream, Oid view, int *n)
{
	Oid			index = streamx_relation("dead_letters_position");
	Relation	rel = table_open(streamx_relation("dead_letters"), AccessShareLock);
	SxSkip	   *result = palloc(sizeof(SxSkip) * 64);
	int			max = 64;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	*n = 0;
	ScanKeyInit(&key, DL_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	scan = systable_beginscan(rel, index, OidIsValid(index), GetActiveSnapshot(),
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Oid			of = DatumGetObjectId(heap_getattr(tuple, DL_VIEW, desc, &isnull));

		if (!isnull && of != view)
			continue;

		/* a group is no row of the stream */
		if (DatumGetInt32(heap_getattr(tuple, DL_PARTITION, desc, &isnull)) == SX_SHED_PARTITION)
			continue;
		if (*n == max)
		{
			max *= 2;
			result = repalloc_huge(result, sizeof(SxSkip) * max);
		}
		result[*n].partition = DatumGetInt32(heap_getattr(tuple, DL_PARTITION, desc, &isnull));
		result[*n].position = DatumGetInt64(heap_getattr(tuple, DL_POSITION, desc, &isnull));
		(*n)++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}
