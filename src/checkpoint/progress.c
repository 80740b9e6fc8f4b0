/*-------------------------------------------------------------------------
 * progress.c
 *		Reads and writes streamx.progress.
 *
 * One row per view, stream and partition, changed in the transaction that
 * changes the view's results.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "checkpoint/checkpoint.h"

/* columns of streamx.progress, see the install script */
enum
{
	PR_VIEW = 1,
	PR_STREAM,
	PR_PARTITION,
	PR_NEXT_OFFSET,
	PR_WATERMARK,
	PR_SNAPSHOT,
	PR_FIRST_OFFSET,
	PR_FIRST_SNAPSHOT,
	PR_REPLAY_OFFSET,
	PR_REPLAY_SNAPSHOT,
	PR_TOPIC_DELETED,			/* since 1.1 */
	PR_NCOLS = PR_TOPIC_DELETED
};

static Relation
open_progress(LOCKMODE lockmode)
{
	return table_open(get_relname_relid("progress",
										get_namespace_oid("streamx", false)),
					  lockmode);
}

static SysScanDesc
begin_scan(Relation rel, ScanKeyData *key, int nkeys, Oid view, Oid stream,
		   int32 partition)
{
	Oid			index = get_relname_relid("progress_pkey",
										  RelationGetNamespace(rel));

	ScanKeyInit(&key[0], PR_VIEW, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(view));
	ScanKeyInit(&key[1], PR_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	ScanKeyInit(&key[2], PR_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	return systable_beginscan(rel, index, OidIsValid(index),
							  GetActiveSnapshot(), nkeys, key);
}

/* Where the view stands, or where it began. */
static SxPosition *
load(Oid view, Oid stream, bool first, int *n)
{
	int			offset_col = first ? PR_FIRST_OFFSET : PR_NEXT_OFFSET;
	int			snapshot_col = first ? PR_FIRST_SNAPSHOT : PR_SNAPSHOT;
	Relation	rel = open_progress(AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	SxPosition *result = NULL;
	int			max = 0;

	*n = 0;
	scan = begin_scan(rel, key, 2, view, stream, 0);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[PR_NCOLS] = {0};
		bool		nulls[PR_NCOLS] = {0};
		SxPosition *p;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		if (*n == max)
		{
			max = Max(16, max * 2);
			result = result ? repalloc(result, sizeof(*result) * max) :
				palloc(sizeof(*result) * max);
		}
		p = &result[(*n)++];
		p->partition = DatumGetInt32(values[PR_PARTITION - 1]);
		p->next_offset = DatumGetInt64(values[offset_col - 1]);
		p->first_offset = DatumGetInt64(values[PR_FIRST_OFFSET - 1]);
		p->watermark_us = nulls[PR_WATERMARK - 1] ? PG_INT64_MIN :
			DatumGetInt64(values[PR_WATERMARK - 1]);
		p->snapshot = nulls[snapshot_col - 1] ? NULL :
			TextDatumGetCString(values[snapshot_col - 1]);
		p->gone = !first && DatumGetBool(values[PR_TOPIC_DELETED - 1]);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return result;
}

SxPosition *
sx_checkpoint_load(Oid view, Oid stream, int *n)
{
	return load(view, stream, false, n);
}

SxPosition *
sx_checkpoint_load_first(Oid view, Oid stream, int *n)
{
	return load(view, stream, true, n);
}

static bool
was_gone(Relation rel, HeapTuple tuple)
{
	bool		isnull;

	return RelationGetNumberOfAttributes(rel) >= PR_TOPIC_DELETED &&
		DatumGetBool(heap_getattr(tuple, PR_TOPIC_DELETED, RelationGetDescr(rel), &isnull));
}

void
sx_checkpoint_advance(Oid view, Oid stream, const SxPosition *positions, int n)
{
	Relation	rel = open_progress(RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);
	int			i;

	for (i = 0; i < n; i++)
	{
		const SxPosition *p = &positions[i];
		Datum		values[PR_NCOLS];
		bool		nulls[PR_NCOLS] = {0};
		bool		replace[PR_NCOLS] = {0};
		ScanKeyData key[3];
		SysScanDesc scan;
		HeapTuple	tuple;

		values[PR_VIEW - 1] = ObjectIdGetDatum(view);
		values[PR_STREAM - 1] = ObjectIdGetDatum(stream);
		values[PR_PARTITION - 1] = Int32GetDatum(p->partition);
		values[PR_NEXT_OFFSET - 1] = Int64GetDatum(p->next_offset);
		values[PR_WATERMARK - 1] = Int64GetDatum(p->watermark_us);
		nulls[PR_WATERMARK - 1] = p->watermark_us == PG_INT64_MIN;
		nulls[PR_SNAPSHOT - 1] = p->snapshot == NULL;
		values[PR_SNAPSHOT - 1] = p->snapshot ?
			CStringGetTextDatum(p->snapshot) : (Datum) 0;

		/* a snapshot is the one of the beginning if nothing was read yet */
		values[PR_FIRST_OFFSET - 1] = Int64GetDatum(p->first_offset);
		nulls[PR_FIRST_SNAPSHOT - 1] = p->snapshot == NULL ||
			p->next_offset != p->first_offset;
		values[PR_FIRST_SNAPSHOT - 1] = values[PR_SNAPSHOT - 1];
		replace[PR_NEXT_OFFSET - 1] = true;
		replace[PR_WATERMARK - 1] = true;
		replace[PR_SNAPSHOT - 1] = true;
		nulls[PR_REPLAY_OFFSET - 1] = nulls[PR_REPLAY_SNAPSHOT - 1] = true;
		values[PR_TOPIC_DELETED - 1] = BoolGetDatum(p->gone);
		replace[PR_TOPIC_DELETED - 1] = true;

		scan = begin_scan(rel, key, 3, view, stream, p->partition);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			HeapTuple	changed;

			if (was_gone(rel, tuple) && !p->gone)
			{
				/* from there nothing can be had of another topic */
				replace[PR_REPLAY_OFFSET - 1] = replace[PR_REPLAY_SNAPSHOT - 1] = true;
			}
			changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls,
										replace);
			CatalogTupleUpdateWithInfo(rel, &tuple->t_self, changed, indexes);
			heap_freetuple(changed);
		}
		else
		{
			tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
			CatalogTupleInsertWithInfo(rel, tuple, indexes);
			heap_freetuple(tuple);
		}
		systable_endscan(scan);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}

SxPosition *
sx_checkpoint_load_replay(Oid view, Oid stream, int *n)
{
	SxPosition *result = sx_checkpoint_load(view, stream, n);
	Relation	rel = open_progress(AccessShareLock);
	bool		any = false;
	int			i;

	for (i = 0; i < *n; i++)
	{
		SxPosition *p = &result[i];
		ScanKeyData key[3];
		SysScanDesc scan = begin_scan(rel, key, 3, view, stream, p->partition);
		HeapTuple	tuple = systable_getnext(scan);
		Datum		values[PR_NCOLS];
		bool		nulls[PR_NCOLS];

		if (HeapTupleIsValid(tuple))
		{
			heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);

			if (!nulls[PR_REPLAY_OFFSET - 1])
			{
				const char *snapshot = nulls[PR_REPLAY_SNAPSHOT - 1] ? NULL :
				TextDatumGetCString(values[PR_REPLAY_SNAPSHOT - 1]);
				int64		offset = DatumGetInt64(values[PR_REPLAY_OFFSET - 1]);

				/* what counts a native stream's rows is no matter */
				any |= snapshot ? p->snapshot == NULL || strcmp(snapshot, p->snapshot) != 0 :
					offset < p->next_offset;
				p->next_offset = Min(offset, p->next_offset);
				p->snapshot = snapshot;
			}
		}
		systable_endscan(scan);
	}
	table_close(rel, NoLock);
	if (!any)
		*n = 0;
	return result;
}

void
sx_checkpoint_save_replay(Oid view, Oid stream, const SxPosition *positions, int n)
{
	Relation	rel = open_progress(RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	/* what this transaction has saved before */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = begin_scan(rel, key, 2, view, stream, 0);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[PR_NCOLS];
		bool		nulls[PR_NCOLS];
		bool		replace[PR_NCOLS] = {0};
		HeapTuple	changed;
		int			i;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		nulls[PR_REPLAY_OFFSET - 1] = nulls[PR_REPLAY_SNAPSHOT - 1] = true;
		for (i = 0; i < n; i++)
		{
			if (positions[i].partition != DatumGetInt32(values[PR_PARTITION - 1]))
				continue;
			values[PR_REPLAY_OFFSET - 1] = Int64GetDatum(positions[i].next_offset);
			nulls[PR_REPLAY_OFFSET - 1] = false;
			if (positions[i].snapshot)
			{
				values[PR_REPLAY_SNAPSHOT - 1] = CStringGetTextDatum(positions[i].snapshot);
				nulls[PR_REPLAY_SNAPSHOT - 1] = false;
			}
		}
		replace[PR_REPLAY_OFFSET - 1] = replace[PR_REPLAY_SNAPSHOT - 1] = true;
		changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replace);
		CatalogTupleUpdateWithInfo(rel, &tuple->t_self, changed, indexes);
		heap_freetuple(changed);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}

void
sx_checkpoint_rename(Oid view, Oid stream, const SxPosition *position)
{
	Relation	rel = open_progress(RowExclusiveLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = begin_scan(rel, key, 3, view, stream, position->partition);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[PR_NCOLS];
		bool		nulls[PR_NCOLS];
		bool		replace[PR_NCOLS] = {0};
		HeapTuple	changed;
		int64		next_offset;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		next_offset = DatumGetInt64(values[PR_NEXT_OFFSET - 1]);

		/* so many rows were read, whatever the first one is called */
		values[PR_FIRST_OFFSET - 1] =
			Int64GetDatum(DatumGetInt64(values[PR_FIRST_OFFSET - 1]) +
						  position->next_offset - next_offset);
		replace[PR_FIRST_OFFSET - 1] = true;
		values[PR_NEXT_OFFSET - 1] = Int64GetDatum(position->next_offset);
		replace[PR_NEXT_OFFSET - 1] = true;
		if (!nulls[PR_REPLAY_OFFSET - 1])
		{
			values[PR_REPLAY_OFFSET - 1] =
				Int64GetDatum(DatumGetInt64(values[PR_REPLAY_OFFSET - 1]) +
							  position->next_offset - next_offset);
			replace[PR_REPLAY_OFFSET - 1] = true;
		}
		nulls[PR_SNAPSHOT - 1] = position->snapshot == NULL;
		values[PR_SNAPSHOT - 1] = position->snapshot ?
			CStringGetTextDatum(position->snapshot) : (Datum) 0;
		replace[PR_SNAPSHOT - 1] = true;
		changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls,
									replace);
		CatalogTupleUpdate(rel, &tuple->t_self, changed);
		heap_freetuple(changed);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
}

void
sx_checkpoint_set_deleted(Oid view, Oid stream, const List *partitions, bool deleted)
{
	Relation	rel = open_progress(RowExclusiveLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	/* catalog of 1.0: known as long as the worker that has seen it runs */
	if (RelationGetNumberOfAttributes(rel) < PR_TOPIC_DELETED)
	{
		table_close(rel, NoLock);
		return;
	}
	PushActiveSnapshot(GetLatestSnapshot());
	scan = begin_scan(rel, key, 2, view, stream, 0);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[PR_NCOLS] = {0};
		bool		nulls[PR_NCOLS] = {0};
		bool		replace[PR_NCOLS] = {0};
		bool		isnull;
		int32		partition = DatumGetInt32(heap_getattr(tuple, PR_PARTITION,
														   RelationGetDescr(rel), &isnull));
		HeapTuple	changed;

		if (was_gone(rel, tuple) == deleted ||
			(partitions != NIL && !list_member_int(partitions, partition)))
			continue;
		values[PR_TOPIC_DELETED - 1] = BoolGetDatum(deleted);
		replace[PR_TOPIC_DELETED - 1] = true;
		changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replace);
		CatalogTupleUpdate(rel, &tuple->t_self, changed);
		heap_freetuple(changed);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(rel, NoLock);
}

void
sx_checkpoint_set_first(Oid view, Oid stream, const SxPosition *first, int n)
{
	Relation	rel = open_progress(RowExclusiveLock);
	int			i;

	for (i = 0; i < n; i++)
	{
		ScanKeyData key[3];
		SysScanDesc scan = begin_scan(rel, key, 3, view, stream, first[i].partition);
		HeapTuple	tuple = systable_getnext(scan);
		Datum		values[PR_NCOLS] = {0};
		bool		nulls[PR_NCOLS] = {0};
		bool		replace[PR_NCOLS] = {0};

		if (HeapTupleIsValid(tuple))
		{
			HeapTuple	changed;

			values[PR_FIRST_OFFSET - 1] = Int64GetDatum(first[i].first_offset);
			replace[PR_FIRST_OFFSET - 1] = true;
			nulls[PR_FIRST_SNAPSHOT - 1] = first[i].snapshot == NULL;
			if (first[i].snapshot)
				values[PR_FIRST_SNAPSHOT - 1] = CStringGetTextDatum(first[i].snapshot);
			replace[PR_FIRST_SNAPSHOT - 1] = true;
			changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls,
										replace);
			CatalogTupleUpdate(rel, &tuple->t_self, changed);
			heap_freetuple(changed);
		}
		systable_endscan(scan);
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
