/*-------------------------------------------------------------------------
 * outbox.c
 *		A view's outbox: rows on their way to a Kafka topic.
 *
 * Read and written as heap tuples: it belongs to the extension like its other
 * tables do, and the rights of the current user do not matter.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/handle.h"
#include "base/index.h"
#include "catalog/view.h"
#include "sink/outbox.h"

#define PARCEL_ROWS		10000
#define PARCEL_BYTES	(4 * 1024 * 1024)

/* ---- writing ------------------------------------------------------------------ */

static Datum
bytes_datum(const char *bytes, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

static void
check_size(size_t len)
{
	/* a message may be refused by less than this, but not here */
	if (len > MaxAllocSize / 4)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large for a message: %zu bytes", len),
				 errhint("Select less of it.")));
}

HeapTuple
sx_outbox_row(Relation outbox, const SxEncoded *message, const char *route,
			  size_t route_len)
{
	Datum		values[SX_OUTBOX_NATTS] = {0};
	bool		nulls[SX_OUTBOX_NATTS] = {0};
	HeapTuple	row;

	check_size(message->payload_len);
	check_size(message->key_len);
	check_size(route_len);

#define SET(column, isnull, datum) \
	do { \
		nulls[(column) - 1] = (isnull); \
		if (!nulls[(column) - 1]) \
			values[(column) - 1] = (datum); \
	} while (0)
	SET(SX_OUTBOX_ID, false, Int64GetDatum(0));
	SET(SX_OUTBOX_PARTITION, message->partition < 0, Int32GetDatum(message->partition));
	SET(SX_OUTBOX_TIMESTAMP, message->timestamp_us == PG_INT64_MIN,
		TimestampTzGetDatum(message->timestamp_us));
	SET(SX_OUTBOX_ROUTE, route == NULL, bytes_datum(route, route_len));
	SET(SX_OUTBOX_KEY, message->key == NULL, bytes_datum(message->key, message->key_len));
	SET(SX_OUTBOX_PAYLOAD, message->payload == NULL,
		bytes_datum(message->payload, message->payload_len));
#undef SET
	row = heap_form_tuple(RelationGetDescr(outbox), values, nulls);
	for (int i = SX_OUTBOX_ROUTE - 1; i < SX_OUTBOX_NATTS; i++)
	{
		if (!nulls[i])
			pfree(DatumGetPointer(values[i]));
	}
	return row;
}

void
sx_outbox_number(HeapTuple row, int64 id)
{
	/* the first column, of fixed length and never NULL */
	memcpy((char *) row->t_data + row->t_data->t_hoff, &id, sizeof(id));
}

/* ---- reading and emptying ------------------------------------------------------- */

typedef struct OutboxScan
{
	Relation	rel;
	Relation	index;
	Snapshot	snapshot;
	SysScanDesc scan;
} OutboxScan;

/*
 * Rows with a greater id than this one, in ascending order.  It spares the
 * scan the index entries of rows that have gone.
 */
static void
begin_scan(OutboxScan *s, Oid outbox, LOCKMODE lockmode, int64 after)
{
	ScanKeyData key;
	Oid			index;

	s->rel = table_open(outbox, lockmode);
	index = sx_index_first_valid(s->rel);
	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(SX_ERRCODE_NOT_RESTORED),
				 errmsg("outbox \"%s\" has lost its index",
						RelationGetRelationName(s->rel)),
				 errhint("Wait until the restore of the dump is complete, or create it again: btree on column id.")));
	s->index = index_open(index, AccessShareLock);
	s->snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyInit(&key, SX_OUTBOX_ID, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(after));
	s->scan = systable_beginscan_ordered(s->rel, s->index, s->snapshot, 1, &key);
}

static HeapTuple
next_row(OutboxScan *s)
{
	CHECK_FOR_INTERRUPTS();
	return systable_getnext_ordered(s->scan, ForwardScanDirection);
}

static void
end_scan(OutboxScan *s)
{
	systable_endscan_ordered(s->scan);
	UnregisterSnapshot(s->snapshot);
	index_close(s->index, AccessShareLock);
	table_close(s->rel, NoLock);
}

static Datum
get_column(OutboxScan *s, HeapTuple row, int column, bool *isnull)
{
	return heap_getattr(row, column, RelationGetDescr(s->rel), isnull);
}

int64
sx_outbox_first(Oid outbox)
{
	OutboxScan	s;
	HeapTuple	row;
	int64		result = 0;
	bool		isnull;

	begin_scan(&s, outbox, AccessShareLock, 0);
	row = next_row(&s);
	if (HeapTupleIsValid(row))
		result = DatumGetInt64(get_column(&s, row, SX_OUTBOX_ID, &isnull));
	end_scan(&s);
	return result;
}

static void
free_parcel(void *parcel)
{
	sx_parcel_free((SxParcel *) parcel);
}

/* Bytes of a column; false: NULL. */
static bool
get_bytes(OutboxScan *s, HeapTuple row, int column, char **bytes, size_t *len)
{
	bool		isnull;
	Datum		value = get_column(s, row, column, &isnull);
	bytea	   *detoasted;

	*bytes = NULL;
	*len = 0;
	if (isnull)
		return false;
	detoasted = DatumGetByteaPP(value);
	*bytes = VARDATA_ANY(detoasted);
	*len = VARSIZE_ANY_EXHDR(detoasted);
	return true;
}

static void
add_row(OutboxScan *s, HeapTuple row, SxParcel *parcel)
{
	SxParcelMessage msg = {0};
	char	   *route;
	char	   *key;
	char	   *payload;
	bool		isnull;
	Datum		value;

	msg.id = DatumGetInt64(get_column(s, row, SX_OUTBOX_ID, &isnull));
	value = get_column(s, row, SX_OUTBOX_PARTITION, &isnull);
	msg.partition = isnull ? -1 : DatumGetInt32(value);
	value = get_column(s, row, SX_OUTBOX_TIMESTAMP, &isnull);
	msg.timestamp_us = isnull ? PG_INT64_MIN : DatumGetTimestampTz(value);
	msg.has_route = get_bytes(s, row, SX_OUTBOX_ROUTE, &route, &msg.route_len);
	msg.has_key = get_bytes(s, row, SX_OUTBOX_KEY, &key, &msg.key_len);
	msg.has_payload = get_bytes(s, row, SX_OUTBOX_PAYLOAD, &payload, &msg.payload_len);
	if (!sx_parcel_add(parcel, &msg, route, key, payload))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

SxParcel *
sx_outbox_read(Oid outbox, int64 after)
{
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext,
												  "streamx outbox row",
												  ALLOCSET_DEFAULT_SIZES);
	SxHandle   *handle = sx_handle_create(free_parcel);
	SxParcel   *parcel = sx_parcel_create();
	OutboxScan	s;
	HeapTuple	row;

	if (parcel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	handle->object = parcel;
	begin_scan(&s, outbox, AccessShareLock, after);
	while (parcel->nmsgs < PARCEL_ROWS && parcel->nbytes < PARCEL_BYTES &&
		   HeapTupleIsValid(row = next_row(&s)))
	{
		MemoryContext old = MemoryContextSwitchTo(row_cxt);

		add_row(&s, row, parcel);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
	}
	end_scan(&s);
	MemoryContextDelete(row_cxt);
	handle->object = NULL;
	if (parcel->nmsgs == 0)
	{
		sx_parcel_free(parcel);
		parcel = NULL;
	}
	return parcel;
}

void
sx_outbox_delete(Oid outbox, int64 after, int64 upto)
{
	OutboxScan	s;
	HeapTuple	row;
	bool		isnull;

	begin_scan(&s, outbox, RowExclusiveLock, after);
	while (HeapTupleIsValid(row = next_row(&s)) &&
		   DatumGetInt64(get_column(&s, row, SX_OUTBOX_ID, &isnull)) <= upto)
		simple_heap_delete(s.rel, &row->t_self);
	end_scan(&s);
}
