/*-------------------------------------------------------------------------
 * journal_trim.c
 *		Emptying a journal: segments whose rows every view has are truncated,
 *		and writing moves on to another one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/stop.h"
#include "catalog/option.h"
#include "catalog/stream.h"
#include "compat.h"
#include "source/journal.h"
#include "source/journal_internal.h"

/* When the current segment has had enough. */
#define SEGMENT_BYTES		((int64) 64 * 1024 * 1024)
#define SMALL_BYTES			((int64) 8 * 1024 * 1024)
#define SMALL_AGE_US		((int64) 10 * 60 * USECS_PER_SEC)
#define ANY_AGE_US			((int64) USECS_PER_DAY)

/* Saved progress of a view. */
typedef struct Saved
{
	int64		next_offset;
	char	   *position;
} Saved;

/*
 * Progress of all views of the stream.  false: some view has none yet, so
 * that nothing can be said to be behind all of them.
 */
static bool
read_progress(Oid stream, Saved **saved, int *nsaved)
{
	MemoryContext cxt = CurrentMemoryContext;
	Oid			argtype = OIDOID;
	Datum		arg = ObjectIdGetDatum(stream);
	bool		complete = true;
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* rows of open windows may be read again */
	if (SPI_execute_with_args("SELECT coalesce(p.replay_offset, p.next_offset),"
							  " coalesce(p.replay_snapshot, p.snapshot)"
							  " FROM streamx.view_streams v LEFT JOIN streamx.progress p"
							  " ON p.view OPERATOR(pg_catalog.=) v.view AND p.stream OPERATOR(pg_catalog.=) v.stream"
							  " WHERE v.stream OPERATOR(pg_catalog.=) $1",
							  1, &argtype, &arg, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read streamx.progress");
	*nsaved = (int) SPI_processed;
	*saved = MemoryContextAlloc(cxt, sizeof(Saved) * Max(SPI_processed, 1));
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		char	   *text;

		(*saved)[i].next_offset = DatumGetInt64(SPI_getbinval(tup, desc, 1, &isnull));
		if (isnull)
			complete = false;
		text = SPI_getvalue(tup, desc, 2);
		(*saved)[i].position = text == NULL ? NULL : MemoryContextStrdup(cxt, text);
	}
	SPI_finish();
	return complete;
}

/* First position after the lines of a socket's segment; 0: it has none. */
static int64
segment_end(Relation rel, Relation index, Snapshot snapshot)
{
	SysScanDesc scan = systable_beginscan_ordered(rel, index, snapshot, 0, NULL);
	HeapTuple	tup = systable_getnext_ordered(scan, BackwardScanDirection);
	int64		end = 0;

	if (HeapTupleIsValid(tup))
	{
		bool		isnull;

		end = DatumGetInt64(heap_getattr(tup, SX_LINES_POSITION,
										 RelationGetDescr(rel), &isnull)) +
			DatumGetInt32(heap_getattr(tup, SX_LINES_ROWS,
									   RelationGetDescr(rel), &isnull));
	}
	systable_endscan_ordered(scan);
	return end;
}

/* Has every view every row of this segment? */
static bool
segment_consumed(const SxJournal *journal, int segment, bool socket,
				 const Saved *saved, int nsaved, int64 *end)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		consumed = true;
	int			i;

	*end = 0;
	if (socket)
	{
		Relation	rel;
		Relation	index;

		consumed = sx_journal_open_segment(journal->segments[segment],
										   AccessShareLock, &rel, &index);
		if (consumed)
		{
			*end = segment_end(rel, index, snapshot);
			for (i = 0; i < nsaved && consumed; i++)
				consumed = saved[i].next_offset >= *end;
			index_close(index, NoLock);
			relation_close(rel, NoLock);
		}
	}
	else
	{
		for (i = 0; i < nsaved && consumed; i++)
			consumed = !sx_native_unseen(journal, journal->segments[segment],
										 saved[i].position, snapshot);
	}
	UnregisterSnapshot(snapshot);
	return consumed;
}

static int64
segment_bytes(Oid segment)
{
	Relation	rel = relation_open(segment, AccessShareLock);
	int64		bytes = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;

	relation_close(rel, AccessShareLock);
	return bytes;
}

bool
sx_journal_trim(Oid stream)
{
	bool		socket;
	SxJournal  *journal;
	Saved	   *saved;
	int			nsaved;
	bool		complete;
	bool		changed = false;
	bool		row_changed = false;
	const char *retain;
	int64		retain_us = 0;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz opened = 0;
	int64		size[SX_JOURNAL_MAX_SEGMENTS] = {0};
	int			i;

	if (!sx_journal_try_lock(stream))
		return false;
	journal = sx_journal_read_latest(stream);
	if (journal == NULL || !sx_stream_is(stream))
		return false;
	socket = sx_journal_is_socket(stream);
	retain = sx_option_get(GetForeignTable(stream)->options, "retain");
	if (retain != NULL)
		retain_us = sx_option_interval_us("retain", retain);
	complete = read_progress(stream, &saved, &nsaved);

	/* Empty those that are done with. */
	for (i = 0; i < journal->nsegments; i++)
	{
		int64		end;

		opened = Max(opened, journal->closed[i]);
		size[i] = 0;
		/* whoever drops the stream holds them and waits for our lock */
		if (!ConditionalLockRelationOid(journal->segments[i], AccessShareLock) ||
			get_rel_name(journal->segments[i]) == NULL)
			return false;
		size[i] = segment_bytes(journal->segments[i]);
		if (i == journal->current || size[i] == 0 || !complete ||
			journal->closed[i] + retain_us > now ||
			!segment_consumed(journal, i, socket, saved, nsaved, &end))
			continue;
		if (!ConditionalLockRelationOid(journal->segments[i], AccessExclusiveLock))
			continue;

		/* now nobody is writing to it any more; did somebody meanwhile? */
		if (!segment_consumed(journal, i, socket, saved, nsaved, &end))
			continue;
		if (socket && journal->next_position < end)
		{
			journal->next_position = end;
			row_changed = true;
		}
		sx_journal_run(psprintf("TRUNCATE ONLY streamx_state.%s",
								get_rel_name(journal->segments[i])));
		size[i] = 0;
		changed = true;
	}

	/* Move on. */
	i = journal->current;
	if (size[i] >= SEGMENT_BYTES ||
		(size[i] >= SMALL_BYTES && now - opened > SMALL_AGE_US) ||
		(size[i] > 0 && now - opened > ANY_AGE_US) ||
		(size[i] > 0 && retain_us > 0 && now - opened > retain_us / 4))
	{
		int			next;

		for (next = 0; next < journal->nsegments; next++)
		{
			if (next != journal->current && size[next] == 0)
				break;
		}
		if (next == journal->nsegments && next < SX_JOURNAL_MAX_SEGMENTS)
		{
			Relation	rel = relation_open(stream, AccessShareLock);

			if (!socket)
			{
				journal = sx_journal_prepare(rel);
				next = journal->nsegments;
			}
			sx_journal_make_segment(journal, rel, socket);
			relation_close(rel, NoLock);
		}
		if (next < journal->nsegments)
		{
			journal->closed[journal->current] = now;
			journal->current = next;
			row_changed = true;
		}
	}
	if (row_changed)
		sx_journal_save(journal);
	if (changed || row_changed)
		SX_STOP("trim", get_rel_name(stream));
	return changed || row_changed;
}
