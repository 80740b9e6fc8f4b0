/*-------------------------------------------------------------------------
 * journal_write.c
 *		Rows that a statement puts into a native stream, written as chunks
 *		into the journal's current segment.
 *
 * A chunk is filled up to a page (see journal.c) or to the end of the
 * statement.  It carries the top transaction's id, so that a reader can tell
 * which transactions it has behind it, and a number that ascends within the
 * transaction.  Rolled back, to a savepoint too, it is an invisible tuple like
 * any other.
 *
 * What a writer has to know about the segment is kept per stream and session
 * (its plan), and dropped when the stream's or the segment's relcache entry
 * is.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/view.h"
#include "source/journal.h"
#include "source/journal_internal.h"

/* A chunk's tuple is not to grow beyond this: the page would not hold it. */
#define CHUNK_BYTES		8100
#define CHUNK_ROWS		4096

/* One column of the stream in a plan. */
typedef struct PlanColumn
{
	AttrNumber	attno;			/* in the segment; 0: dropped column */
	Oid			elemtype;
	int16		typlen;
	bool		byval;
	char		align;
} PlanColumn;

/* What a session knows about writing to a stream. */
typedef struct WritePlan
{
	Oid			stream;			/* hash key */
	bool		valid;
	Oid			segment;
	int			era;
	int			natts;
	PlanColumn *columns;
} WritePlan;

/* One column of the stream in the chunk being filled. */
typedef struct ChunkColumn
{
	Datum	   *elems;
	bool	   *nulls;
	int			nnulls;
	Size		bytes;			/* of the values, aligned, as in an array */
} ChunkColumn;

struct SxJournalWriter
{
	MemoryContext cxt;			/* the writer's own */
	MemoryContext chunk_cxt;	/* values of the chunk */
	WritePlan	plan;			/* a copy */
	Relation	rel;
	int			nindexes;
	Relation   *indexes;		/* two while one is rebuilt concurrently */
	IndexInfo **index_infos;
	TupleTableSlot *slot;
	BulkInsertState bistate;	/* from the second chunk on */
	bool		flushed;
	Size		fixed_bytes;	/* of a tuple without the arrays */
	ChunkColumn *columns;
	int			nrows;
	int			maxrows;		/* room in the columns */
};

void		(*sx_journal_notify) (Oid stream) = NULL;

static HTAB *plans = NULL;
static uint64 invalidations = 0;

/* Streams written to in this transaction, for the wake-up. */
static Oid *touched = NULL;
static int	ntouched = 0;
static int	maxtouched = 0;

/* Numbers the chunks of one transaction, over all streams. */
static uint64 seq_xid = 0;
static int64 next_seq = 0;

static void
relcache_invalidated(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	WritePlan  *plan;

	invalidations++;
	hash_seq_init(&scan, plans);
	while ((plan = hash_seq_search(&scan)) != NULL)
	{
		if (relid == InvalidOid || relid == plan->stream ||
			relid == plan->segment)
			plan->valid = false;
	}
}

static void
transaction_ended(XactEvent event, void *arg)
{
	int			i;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
			for (i = 0; i < ntouched; i++)
			{
				if (sx_journal_notify != NULL)
					sx_journal_notify(touched[i]);
			}
			ntouched = 0;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			ntouched = 0;
			break;
		default:
			break;
	}
}

static void
touch(Oid stream)
{
	int			i;

	for (i = ntouched - 1; i >= 0; i--)
	{
		if (touched[i] == stream)
			return;
	}
	if (ntouched == maxtouched)
	{
		int			want = Max(8, maxtouched * 2);

		touched = touched == NULL ?
			MemoryContextAlloc(TopMemoryContext, sizeof(Oid) * want) :
			repalloc(touched, sizeof(Oid) * want);
		maxtouched = want;
	}
	touched[ntouched++] = stream;
}

/*
 * The plan for a stream, made anew if need be; it holds as long as nothing
 * is opened or locked.
 */
static WritePlan *
get_plan(Relation stream)
{
	Oid			relid = RelationGetRelid(stream);
	TupleDesc	desc = RelationGetDescr(stream);
	WritePlan  *plan;
	bool		found;

	if (plans == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(WritePlan);
		plans = hash_create("streamx journal writers", 16, &ctl,
							HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(relcache_invalidated, (Datum) 0);
		RegisterXactCallback(transaction_ended, NULL);
	}

	plan = hash_search(plans, &relid, HASH_ENTER, &found);
	if (!found)
	{
		plan->valid = false;
		plan->segment = InvalidOid;
		plan->columns = NULL;
	}

	while (!plan->valid)
	{
		SxJournal  *journal;
		Oid			segment;
		Relation	rel;
		PlanColumn *columns;
		uint64		before;
		int			a;

		before = invalidations;
		journal = sx_journal_prepare(stream);
		segment = journal->segments[journal->current];
		rel = table_open(segment, RowExclusiveLock);
		columns = MemoryContextAllocZero(CacheMemoryContext,
										 sizeof(PlanColumn) * Max(desc->natts, 1));
		for (a = 0; a < desc->natts; a++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, a);
			Form_pg_attribute array;
			AttrNumber	attno;

			if (att->attisdropped)
				continue;
			if (sx_journal_slot_columns(RelationGetDescr(rel),
										journal->slots[a], &attno, 1) != 1)
				elog(ERROR, "segment %u has no column for column \"%s\"",
					 segment, NameStr(att->attname));
			array = TupleDescAttr(RelationGetDescr(rel), attno - 1);
			if (!sx_journal_type_fits(array->atttypid, att->atttypid))
				elog(ERROR, "segment %u has the wrong type for column \"%s\"",
					 segment, NameStr(att->attname));
			columns[a].attno = attno;
			columns[a].elemtype = get_element_type(array->atttypid);
			get_typlenbyvalalign(columns[a].elemtype, &columns[a].typlen,
								 &columns[a].byval, &columns[a].align);
		}
		table_close(rel, NoLock);
		if (plan->columns != NULL)
			pfree(plan->columns);
		plan->columns = columns;
		plan->natts = desc->natts;
		plan->segment = segment;
		plan->era = journal->era;
		plan->valid = before == invalidations;
	}
	return plan;
}

/* Room for this many rows in each column. */
static void
grow(SxJournalWriter *writer, int maxrows)
{
	MemoryContext old = MemoryContextSwitchTo(writer->cxt);
	int			a;

	for (a = 0; a < writer->plan.natts; a++)
	{
		ChunkColumn *c = &writer->columns[a];

		if (writer->plan.columns[a].attno == 0)
			continue;
		if (c->elems == NULL)
		{
			c->elems = palloc(sizeof(Datum) * maxrows);
			c->nulls = palloc(sizeof(bool) * maxrows);
		}
		else
		{
			c->elems = repalloc(c->elems, sizeof(Datum) * maxrows);
			c->nulls = repalloc(c->nulls, sizeof(bool) * maxrows);
		}
	}
	writer->maxrows = maxrows;
	MemoryContextSwitchTo(old);
}

SxJournalWriter *
sx_journal_begin(Relation stream)
{
	MemoryContext cxt;
	MemoryContext old;
	SxJournalWriter *writer;
	WritePlan  *plan;
	Relation	rel;
	List	   *indexes;
	ListCell   *lc;

	/* opening may invalidate what we know */
	for (;;)
	{
		plan = get_plan(stream);
		rel = table_open(plan->segment, RowExclusiveLock);
		if (plan->valid)
			break;
		table_close(rel, NoLock);
	}

	cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx journal writer",
								ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	writer = palloc0(sizeof(SxJournalWriter));
	writer->cxt = cxt;
	writer->chunk_cxt = AllocSetContextCreate(cxt, "streamx journal chunk",
											  0, 8 * 1024, 8 * 1024 * 1024);
	writer->plan = *plan;
	writer->plan.columns = palloc(sizeof(PlanColumn) * Max(plan->natts, 1));
	memcpy(writer->plan.columns, plan->columns,
		   sizeof(PlanColumn) * plan->natts);
	writer->rel = rel;
	indexes = RelationGetIndexList(rel);
	if (indexes == NIL)
		ereport(ERROR,
				(errcode(SX_ERRCODE_NOT_RESTORED),
				 errmsg("journal of stream \"%s\" has no index",
						RelationGetRelationName(stream)),
				 errhint("Wait until the restore of the dump is complete.")));
	writer->indexes = palloc(sizeof(Relation) * list_length(indexes));
	writer->index_infos = palloc(sizeof(IndexInfo *) * list_length(indexes));
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		writer->indexes[writer->nindexes] = index;
		writer->index_infos[writer->nindexes++] = BuildIndexInfo(index);
	}
	writer->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	writer->fixed_bytes =
		MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(RelationGetDescr(rel)->natts)) +
		40 + sizeof(int64);
	writer->columns = palloc0(sizeof(ChunkColumn) * Max(plan->natts, 1));
	grow(writer, 4);
	MemoryContextSwitchTo(old);
	return writer;
}

/* Bytes that one more value makes of a column's array. */
static inline Size
column_bytes(const PlanColumn *p, const ChunkColumn *c, int nrows, Datum value,
			 bool isnull, Size *data)
{
	Size		bytes = c->bytes;

	if (!isnull)
	{
		bytes = att_align_nominal(bytes, p->align);
		if (p->typlen > 0)
			bytes += p->typlen;
		else if (p->typlen == -1)
			bytes += VARATT_IS_EXTENDED(DatumGetPointer(value)) ?
				toast_raw_datum_size(value) : VARSIZE(DatumGetPointer(value));
		else
			bytes += strlen(DatumGetCString(value)) + 1;
	}
	*data = bytes;
	if (c->nnulls + (isnull ? 1 : 0) == nrows + 1)
		return 0;				/* no array at all */
	bytes += c->nnulls > 0 || isnull ? ARR_OVERHEAD_WITHNULLS(1, nrows + 1) :
		ARR_OVERHEAD_NONULLS(1);
	return MAXALIGN(bytes);
}

static Datum
copy_value(const PlanColumn *p, Datum value)
{
	Size		len;
	char	   *copy;

	if (p->byval)
		return value;
	if (p->typlen == -1)
	{
		if (VARATT_IS_EXTENDED(DatumGetPointer(value)))
		{
			copy = (char *) detoast_attr((struct varlena *) DatumGetPointer(value));
			if (copy != DatumGetPointer(value))
				return PointerGetDatum(copy);
		}
		len = VARSIZE(DatumGetPointer(value));
	}
	else if (p->typlen == -2)
		len = strlen(DatumGetCString(value)) + 1;
	else
		len = p->typlen;
	copy = palloc(len);
	memcpy(copy, DatumGetPointer(value), len);
	return PointerGetDatum(copy);
}

void
sx_journal_insert(SxJournalWriter *writer, TupleTableSlot *slot)
{
	MemoryContext old;
	int			natts = writer->plan.natts;
	int			a;

	slot_getallattrs(slot);
	if (slot->tts_tupleDescriptor->natts < natts)
		elog(ERROR, "row of a stream has %d columns, expected %d",
			 slot->tts_tupleDescriptor->natts, natts);

	if (writer->nrows > 0)
	{
		Size		total = writer->fixed_bytes;

		for (a = 0; a < natts; a++)
		{
			Size		data;

			if (writer->plan.columns[a].attno != 0)
				total += column_bytes(&writer->plan.columns[a],
									  &writer->columns[a], writer->nrows,
									  slot->tts_values[a], slot->tts_isnull[a],
									  &data);
		}
		if (total > CHUNK_BYTES || writer->nrows >= CHUNK_ROWS)
			sx_journal_flush(writer);
	}
	if (writer->nrows == writer->maxrows)
		grow(writer, writer->maxrows * 4);

	old = MemoryContextSwitchTo(writer->chunk_cxt);
	for (a = 0; a < natts; a++)
	{
		const PlanColumn *p = &writer->plan.columns[a];
		ChunkColumn *c = &writer->columns[a];
		bool		isnull = slot->tts_isnull[a];

		if (p->attno == 0)
			continue;
		(void) column_bytes(p, c, writer->nrows, slot->tts_values[a], isnull,
							&c->bytes);
		c->nulls[writer->nrows] = isnull;
		if (isnull)
		{
			c->elems[writer->nrows] = (Datum) 0;
			c->nnulls++;
		}
		else
			c->elems[writer->nrows] = copy_value(p, slot->tts_values[a]);
	}
	writer->nrows++;
	MemoryContextSwitchTo(old);
}

void
sx_journal_flush(SxJournalWriter *writer)
{
	TupleTableSlot *slot = writer->slot;
	uint64		xid = U64FromFullTransactionId(GetTopFullTransactionId());
	Datum		index_values[INDEX_MAX_KEYS];
	bool		index_nulls[INDEX_MAX_KEYS];
	MemoryContext old;
	int			lbound = 1;
	int			a;
	int			i;

	if (writer->nrows == 0)
		return;
	if (seq_xid != xid)
	{
		seq_xid = xid;
		next_seq = 0;
	}
	if (writer->flushed && writer->bistate == NULL)
	{
		old = MemoryContextSwitchTo(writer->cxt);
		writer->bistate = GetBulkInsertState();
		MemoryContextSwitchTo(old);
	}

	old = MemoryContextSwitchTo(writer->chunk_cxt);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true,
		   sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (a = 0; a < SX_SEGMENT_FIXED; a++)
		slot->tts_isnull[a] = false;
	slot->tts_values[SX_SEGMENT_ERA - 1] = Int32GetDatum(writer->plan.era);
	slot->tts_values[SX_SEGMENT_XID - 1] = Int64GetDatum((int64) xid);
	slot->tts_values[SX_SEGMENT_SEQ - 1] = Int64GetDatum(next_seq++);
	slot->tts_values[SX_SEGMENT_ROWS - 1] = Int32GetDatum(writer->nrows);
	slot->tts_values[SX_SEGMENT_ARRIVED - 1] =
		TimestampTzGetDatum(GetCurrentTimestamp());
	for (a = 0; a < writer->plan.natts; a++)
	{
		const PlanColumn *p = &writer->plan.columns[a];
		ChunkColumn *c = &writer->columns[a];

		if (p->attno == 0)
			continue;
		if (c->nnulls < writer->nrows)
		{
			ArrayType  *array = construct_md_array(c->elems,
												   c->nnulls > 0 ? c->nulls : NULL,
												   1, &writer->nrows, &lbound,
												   p->elemtype, p->typlen,
												   p->byval, p->align);

			slot->tts_values[p->attno - 1] = PointerGetDatum(array);
			slot->tts_isnull[p->attno - 1] = false;
		}
		c->nnulls = 0;
		c->bytes = 0;
	}
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(writer->rel, slot, GetCurrentCommandId(true), 0,
					   writer->bistate);
	for (i = 0; i < writer->nindexes; i++)
	{
		if (!writer->index_infos[i]->ii_ReadyForInserts)
			continue;
		FormIndexDatum(writer->index_infos[i], slot, NULL, index_values, index_nulls);
		index_insert(writer->indexes[i], index_values, index_nulls, &slot->tts_tid,
					 writer->rel, UNIQUE_CHECK_NO, false, writer->index_infos[i]);
	}
	ExecClearTuple(slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->chunk_cxt);
	writer->nrows = 0;
	writer->flushed = true;
	touch(writer->plan.stream);
}

void
sx_journal_end(SxJournalWriter *writer)
{
	sx_journal_flush(writer);
	if (writer->bistate != NULL)
	{
		FreeBulkInsertState(writer->bistate);
		table_finish_bulk_insert(writer->rel, 0);
	}
	ExecDropSingleTupleTableSlot(writer->slot);
	while (writer->nindexes > 0)
		index_close(writer->indexes[--writer->nindexes], NoLock);
	table_close(writer->rel, NoLock);
	MemoryContextDelete(writer->cxt);
}
