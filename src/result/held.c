/*-------------------------------------------------------------------------
 * held.c
 *		Rows of joined streams that are held until nothing matches them.
 *
 * Table of a side: e, the time beyond which no row of the other sides matches
 * (PG_INT64_MAX: for ever); t, the row's event time; p and o, partition and
 * position it came from; the columns that the query uses.  Indexes: on the
 * columns that are compared for equality with other sides, on e, and on t.
 *
 * What expires at a batch's end is what lies between the watermarks at its
 * start and at its end, and what had expired before it came, for which
 * PG_INT64_MIN stands: nothing has to be noted in the rows.
 *
 * Sides of an outer join wait for each other: a row of one side goes when
 * nothing still to come matches it, and no row of the preserved side is left
 * of which it is still to be told whether it has a partner.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/stream.h"
#include "compat.h"
#include "fdw/batch_scan.h"
#include "plan/join.h"
#include "result/held.h"
#include "result/writer.h"
#include "window/event_time.h"

struct SxHeldRows
{
	const SxJoin *join;
	Oid		   *tables;
	SxStream  **streams;
	int64		next_us;		/* nothing expires before; PG_INT64_MIN: not
								 * known */
};

char *
sx_held_name(int view_id, int number)
{
	return psprintf("h%d_%d", view_id, number + 1);
}

SxHeldRows *
sx_held_open(const SxView *view, const SxJoined *joined)
{
	SxHeldRows *held = palloc0(sizeof(SxHeldRows));
	int			i;
	int			c;

	if (list_length(view->parts) != joined->nparts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view %s joins other streams than it did when it was created",
						view->name),
				 errdetail("A view that the query uses has changed."),
				 errhint("Create the continuous view again.")));
	held->join = joined->shape->join;
	held->next_us = PG_INT64_MIN;
	held->tables = palloc(sizeof(Oid) * held->join->nsides);
	held->streams = palloc(sizeof(SxStream *) * held->join->nsides);
	for (i = 0; i < held->join->nsides; i++)
	{
		const SxJoinSide *side = &held->join->sides[i];

		held->tables[i] = list_nth_oid(view->parts, joined->first + i);
		for (c = 0; c < side->ncols; c++)
		{
			if (get_attnum(held->tables[i], psprintf("c%d", side->attnos[c])) != SX_HELD_FIRST + c)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("table \"%s\" has other columns than continuous view %s needs",
								get_rel_name(held->tables[i]), view->name),
						 errdetail("A view or function that the query uses has changed."),
						 errhint("Create the continuous view again.")));
		}
		held->streams[i] = sx_stream_get(side->stream, InvalidOid);
	}
	return held;
}

const SxStream *
sx_held_stream(const SxHeldRows *held, int side)
{
	return held->streams[side];
}

const Oid  *
sx_held_tables(const SxHeldRows *held)
{
	return held->tables;
}

void
sx_held_forget(SxHeldRows *held)
{
	held->next_us = PG_INT64_MIN;
}

bool
sx_held_can_expire(const SxHeldRows *held, int64 closed_us)
{
	return closed_us != PG_INT64_MIN && held->next_us < closed_us;
}

/* ---- holding ---- */

typedef struct HeldReceiver
{
	DestReceiver pub;
	SxHeldRows *held;
	int			side;
	int64		closed_us;
	bool	   *late;
	int64		first_row;
	SxWriter   *writer;
} HeldReceiver;

/* Which of the bounds says when the row can go: all of one side's hold. */
static int64
expiry(const HeldReceiver *r, TupleTableSlot *slot, int attno)
{
	const SxJoinSide *side = &r->held->join->sides[r->side];
	int64		result = PG_INT64_MIN;
	ListCell   *lc;
	ListCell   *lb;

	if (!side->expires)
		return PG_INT64_MAX;
	foreach(lc, side->bounds)
	{
		int64		least = PG_INT64_MAX;
		bool		none = false;

		foreach(lb, (List *) lfirst(lc))
		{
			bool		null;
			int64		us = DatumGetInt64(slot_getattr(slot, attno++, &null));

			none |= null;
			if (null)
				continue;
			if (((SxJoinBound *) lfirst(lb))->strict && !TIMESTAMP_NOT_FINITE(us))
				us--;
			least = Min(least, us);
		}
		if (lfirst(lc) != NIL && !none)
			result = Max(result, least);
	}
	return result < r->closed_us ? PG_INT64_MIN : result;
}

static void
held_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	HeldReceiver *r = (HeldReceiver *) self;

	r->writer = sx_writer_begin(r->held->tables[r->side]);
}

static bool
held_receive(TupleTableSlot *in, DestReceiver *self)
{
	HeldReceiver *r = (HeldReceiver *) self;
	const SxJoinSide *side = &r->held->join->sides[r->side];
	TupleTableSlot *slot = r->writer->slot;
	int			attno = 1;
	int64		time_us = 0;
	int32		partition;
	int64		position;
	int64		expires;
	int			i;

	slot_getallattrs(in);
	if (side->timed)
	{
		time_us = sx_window_time_us(TupleDescAttr(in->tts_tupleDescriptor, 0)->atttypid,
									in->tts_values[0]);
		attno++;
		if (time_us < r->closed_us)
		{
			if (r->late)
				r->late[sx_fdw_last_row() - r->first_row] = true;
			return true;
		}
	}
	expires = expiry(r, in, attno + side->ncols);
	r->held->next_us = Min(r->held->next_us, expires);
	sx_fdw_last_place(&partition, &position);

	ExecClearTuple(slot);
	slot->tts_values[SX_HELD_EXPIRY - 1] = Int64GetDatum(expires);
	slot->tts_isnull[SX_HELD_EXPIRY - 1] = false;
	slot->tts_values[SX_HELD_TIME - 1] = Int64GetDatum(time_us);
	slot->tts_isnull[SX_HELD_TIME - 1] = !side->timed;
	slot->tts_values[SX_HELD_PARTITION - 1] = Int32GetDatum(partition);
	slot->tts_isnull[SX_HELD_PARTITION - 1] = false;
	slot->tts_values[SX_HELD_POSITION - 1] = Int64GetDatum(position);
	slot->tts_isnull[SX_HELD_POSITION - 1] = false;
	for (i = 0; i < side->ncols; i++)
	{
		slot->tts_values[SX_HELD_FIRST - 1 + i] = in->tts_values[attno - 1 + i];
		slot->tts_isnull[SX_HELD_FIRST - 1 + i] = in->tts_isnull[attno - 1 + i];
	}
	ExecStoreVirtualTuple(slot);
	sx_writer_add(r->writer, NULL);
	return true;
}

static void
held_shutdown(DestReceiver *self)
{
	sx_writer_end(((HeldReceiver *) self)->writer);
}

static void
held_destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
sx_held_receiver(SxHeldRows *held, int side, int64 closed_us, bool *late,
				 int64 first_row)
{
	HeldReceiver *r = palloc0(sizeof(HeldReceiver));

	r->pub.receiveSlot = held_receive;
	r->pub.rStartup = held_startup;
	r->pub.rShutdown = held_shutdown;
	r->pub.rDestroy = held_destroy;
	r->pub.mydest = DestNone;
	r->held = held;
	r->side = side;
	r->closed_us = closed_us;
	r->late = late;
	r->first_row = first_row;
	return &r->pub;
}

/* ---- scans over expiry and time ---- */

struct SxHeldScan
{
	SxHeldRows *held;
	int			side;
	Relation	rel;
	Relation	index;
	Snapshot	snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext cxt;			/* what the index allocates on the way */
	bool		done;			/* the index would begin again */
};

static Oid
index_on(Relation rel, AttrNumber attno)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == attno)
			result = lfirst_oid(lc);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	if (!OidIsValid(result))
		ereport(ERROR,
				(errcode(SX_ERRCODE_NOT_RESTORED),
				 errmsg("table \"%s\" has lost its index on column \"%s\"",
						RelationGetRelationName(rel),
						NameStr(TupleDescAttr(RelationGetDescr(rel), attno - 1)->attname)),
				 errhint("Wait until the restore of the dump is complete, or create it again: btree.")));
	return result;
}

/* Rows whose column (e or t) is in [from_us, to_us), in its order. */
static SxHeldScan *
begin_scan(SxHeldRows *held, int side, AttrNumber attno, int64 from_us, int64 to_us)
{
	SxHeldScan *scan = palloc0(sizeof(SxHeldScan));
	ScanKeyData keys[2];

	scan->cxt = CurrentMemoryContext;
	scan->held = held;
	scan->side = side;
	scan->rel = table_open(held->tables[side], AccessShareLock);
	scan->index = index_open(index_on(scan->rel, attno), AccessShareLock);
	scan->snapshot = RegisterSnapshot(GetActiveSnapshot());
	scan->slot = table_slot_create(scan->rel, NULL);
	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from_us));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(to_us));
	scan->scan = sx_index_beginscan(scan->rel, scan->index, scan->snapshot, 2, 0);
	index_rescan(scan->scan, keys, 2, NULL, 0);
	return scan;
}

/* The next row is in scan->slot. */
static bool
next_row(SxHeldScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->cxt);
	bool		found = index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);

	MemoryContextSwitchTo(old);
	return found;
}

static void
end_scan(SxHeldScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	UnregisterSnapshot(scan->snapshot);
	index_close(scan->index, NoLock);
	table_close(scan->rel, NoLock);
	pfree(scan);
}

SxHeldScan *
sx_held_begin(SxHeldRows *held, int side, int64 from_us, int64 to_us)
{
	return begin_scan(held, side, SX_HELD_EXPIRY, from_us, to_us);
}

SxBatch *
sx_held_next(SxHeldScan *scan, int max_rows)
{
	const SxJoinSide *side = &scan->held->join->sides[scan->side];
	SxStream   *stream = scan->held->streams[scan->side];
	SxBatch    *batch = palloc0(sizeof(SxBatch));
	int			ncols = stream->schema->ncols;
	int			i;

	batch->schema = stream->schema;
	batch->maxrows = max_rows;
	batch->values = palloc0(sizeof(Datum *) * Max(ncols, 1));
	batch->nulls = palloc0(sizeof(bool *) * Max(ncols, 1));
	for (i = 0; i < side->ncols; i++)
	{
		batch->values[side->attnos[i] - 1] = palloc(sizeof(Datum) * max_rows);
		batch->nulls[side->attnos[i] - 1] = palloc(sizeof(bool) * max_rows);
	}
	batch->partition = palloc(sizeof(int32) * max_rows);
	batch->position = palloc(sizeof(int64) * max_rows);
	batch->timestamp_us = palloc0(sizeof(int64) * max_rows);
	batch->arrival_us = palloc(sizeof(int64) * max_rows);
	batch->payload = palloc0(sizeof(char *) * max_rows);
	batch->payload_len = palloc0(sizeof(size_t) * max_rows);
	batch->key = palloc0(sizeof(char *) * max_rows);
	batch->key_len = palloc0(sizeof(size_t) * max_rows);

	while (batch->nrows < max_rows && !scan->done)
	{
		int			row;

		if (!next_row(scan))
		{
			scan->done = true;
			break;
		}
		row = batch->nrows++;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(scan->slot);
		batch->partition[row] = DatumGetInt32(scan->slot->tts_values[SX_HELD_PARTITION - 1]);
		batch->position[row] = DatumGetInt64(scan->slot->tts_values[SX_HELD_POSITION - 1]);
		batch->arrival_us[row] = GetCurrentTransactionStartTimestamp();
		for (i = 0; i < side->ncols; i++)
		{
			int			from = SX_HELD_FIRST - 1 + i;
			int			to = side->attnos[i] - 1;
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(scan->rel), from);

			batch->nulls[to][row] = scan->slot->tts_isnull[from];
			if (scan->slot->tts_isnull[from])
				batch->values[to][row] = (Datum) 0;
			else if (att->attlen == -1)
				batch->values[to][row] =
					PointerGetDatum(PG_DETOAST_DATUM_COPY(scan->slot->tts_values[from]));
			else
				batch->values[to][row] = datumCopy(scan->slot->tts_values[from],
												   att->attbyval, att->attlen);
		}
	}
	if (batch->nrows > 0)
		return batch;
	end_scan(scan);
	return NULL;
}

int64
sx_held_least_time(SxHeldRows *held, int side, int64 closed_us)
{
	SxHeldScan *scan = begin_scan(held, side, SX_HELD_TIME, PG_INT64_MIN, closed_us);
	int64		result = closed_us;

	/* rows that have expired may still be there for the other side's sake */
	while (next_row(scan))
	{
		bool		null;

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt64(slot_getattr(scan->slot, SX_HELD_EXPIRY, &null)) < closed_us)
			continue;
		result = DatumGetInt64(slot_getattr(scan->slot, SX_HELD_TIME, &null));
		break;
	}
	end_scan(scan);
	return result;
}

/*
 * Rows that had expired when they came have been looked at: as if they had
 * expired with this batch.
 */
static void
date_expired(SxHeldRows *held, int side, int64 closed_us)
{
	SxWriter   *writer = sx_writer_begin(held->tables[side]);
	SxHeldScan *scan = begin_scan(held, side, SX_HELD_EXPIRY, PG_INT64_MIN, PG_INT64_MIN + 1);

	while (index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
	{
		ItemPointerData tid = scan->slot->tts_tid;
		int			natts = RelationGetNumberOfAttributes(scan->rel);

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(scan->slot);
		ExecClearTuple(writer->slot);
		memcpy(writer->slot->tts_values, scan->slot->tts_values, sizeof(Datum) * natts);
		memcpy(writer->slot->tts_isnull, scan->slot->tts_isnull, sizeof(bool) * natts);
		writer->slot->tts_values[SX_HELD_EXPIRY - 1] = Int64GetDatum(closed_us - 1);
		ExecStoreVirtualTuple(writer->slot);
		sx_writer_update(writer, &tid);
	}
	end_scan(scan);
	sx_writer_end(writer);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

void
sx_held_remove(SxHeldRows *held, int64 closed_us)
{
	const SxJoin *join = held->join;
	int64		next = PG_INT64_MAX;
	int			i;

	/* others of an outer join may still ask for them */
	for (i = 0; join->outer && i < join->nsides; i++)
	{
		if (join->sides[i].expires && sx_plan_join_nullable(join, i))
			date_expired(held, i, closed_us);
	}
	for (i = 0; i < join->nsides; i++)
	{
		int64		until = closed_us;
		SxWriter   *writer;
		SxHeldScan *scan;

		if (!join->sides[i].expires)
			continue;
		if (sx_plan_join_nullable(join, i))
			until = Min(until, sx_held_least_time(held, 1 - i, closed_us));

		writer = sx_writer_begin(held->tables[i]);
		scan = begin_scan(held, i, SX_HELD_EXPIRY, PG_INT64_MIN, until);
		while (next_row(scan))
		{
			ItemPointerData tid = scan->slot->tts_tid;

			CHECK_FOR_INTERRUPTS();
			sx_writer_delete(writer, &tid);
		}
		end_scan(scan);
		sx_writer_end(writer);

		scan = begin_scan(held, i, SX_HELD_EXPIRY, closed_us, PG_INT64_MAX);
		if (index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		{
			bool		null;

			next = Min(next, DatumGetInt64(slot_getattr(scan->slot, SX_HELD_EXPIRY, &null)));
		}
		end_scan(scan);
	}
	held->next_us = next;
}
