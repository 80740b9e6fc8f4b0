/*-------------------------------------------------------------------------
 * socket.c
 *		Lines from TCP connections, ours to a server or clients' to us.
 *
 * Two halves.  intake() reads what arrived, cuts it into lines and puts them
 * into the stream's journal (see journal.c), numbered as they came; poll()
 * reads the journal.  A line is a view's business only once it is in the
 * journal: several views, or one that stands behind, read the same lines.
 *
 * Lines taken off a socket stay in memory until the transaction that put them
 * into the journal has committed, and go into the next one if it has not.
 * So only the death of the process loses lines, those it had not committed;
 * what a view shows is on disk.
 *
 * A line ends with \n or \r\n; one that is unfinished when its connection
 * ends counts as well.  An empty line is an empty message.  Of a line longer
 * than max_line the beginning is kept, followed by a NUL byte and a note: no
 * format takes a NUL byte, so it becomes a dead letter that says why.
 *
 * All is done in the main thread, the network (socket_net.c) in intake().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "source/journal.h"
#include "source/journal_internal.h"
#include "source/socket_net.h"
#include "source/source.h"

extern const SxSourceOps sx_source_socket;

/* One chunk of the journal: about a page, unless a single line is longer. */
#define CHUNK_BYTES				7900
#define CHUNK_LINES				4096

typedef struct SocketSource
{
	SxSource	base;
	struct SocketSource *next;	/* in "sources" */
	Oid			stream;
	char	   *name;			/* for messages */
	SxSocketNet *net;
	SxLineQueue queue;
	TransactionId written_in;	/* what is not "unwritten"; invalid: none */

	/* reading */
	bool		has_origin;
	int64		origin;			/* "from now on", as of the first seek */
	int64		next_offset;	/* -1: from now on, not looked up yet */
	int64		end_offset;		/* of the journal, when last seen */
	int64		hint;			/* no chunk that begins before has
								 * next_offset; -1: unknown */
	bool		at_end;
	MemoryContext poll_cxt;
} SocketSource;

static SocketSource *sources = NULL;
static bool callback_registered = false;

/* ---- memory of lines ---------------------------------------------------- */

/* Free all lines before this one. */
static void
free_lines(SxLineQueue *queue, SxLine *until)
{
	while (queue->first != until)
	{
		SxLine	   *line = queue->first;

		queue->first = line->next;
		queue->bytes -= line->len + sizeof(SxLine);
		free(line);
	}
	if (queue->first == NULL)
		queue->tail = &queue->first;
}

/* What was written in a transaction is done with when that commits. */
static void
transaction_ended(XactEvent event, void *arg)
{
	SocketSource *s;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	for (s = sources; s != NULL; s = s->next)
	{
		if (!TransactionIdIsValid(s->written_in))
			continue;
		if (event == XACT_EVENT_COMMIT)
			free_lines(&s->queue, s->queue.unwritten);
		s->queue.unwritten = s->queue.first;
		s->written_in = InvalidTransactionId;
	}
}

/* ---- the journal -------------------------------------------------------- */

/* First position after all lines in the journal. */
static int64
journal_end(const SxJournal *journal, Snapshot snapshot)
{
	int64		end = journal->next_position;
	int			i;

	for (i = 0; i < journal->nsegments; i++)
	{
		Relation	rel;
		Relation	index;
		SysScanDesc scan;
		HeapTuple	tup;

		if (!sx_journal_open_segment(journal->segments[i], AccessShareLock,
									 &rel, &index))
			continue;
		if (RelationGetNumberOfBlocks(rel) > 0)
		{
			scan = systable_beginscan_ordered(rel, index, snapshot, 0, NULL);
			tup = systable_getnext_ordered(scan, BackwardScanDirection);
			if (HeapTupleIsValid(tup))
			{
				bool		isnull;
				int64		position;

				position = DatumGetInt64(heap_getattr(tup, SX_LINES_POSITION,
													  RelationGetDescr(rel), &isnull));
				position += DatumGetInt32(heap_getattr(tup, SX_LINES_ROWS,
													   RelationGetDescr(rel), &isnull));
				end = Max(end, position);
			}
			systable_endscan_ordered(scan);
		}
		index_close(index, NoLock);
		relation_close(rel, NoLock);
	}
	return end;
}

int64
sx_journal_next_offset(Oid stream)
{
	SxJournal  *journal;
	Snapshot	snapshot;
	int64		end = 0;

	if (!XactReadOnly)
		sx_journal_create(stream);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(stream, snapshot);
	if (journal != NULL)
		end = journal_end(journal, snapshot);
	UnregisterSnapshot(snapshot);
	return end;
}

/* Append the lines that are not written yet. */
static void
write_lines(SocketSource *s)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "streamx socket journal",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MemoryContext chunk_cxt = AllocSetContextCreate(cxt, "streamx socket chunk",
													ALLOCSET_DEFAULT_SIZES);
	SxJournal  *journal;
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	IndexInfo  *index_info;
	SxLine	   *line = s->queue.unwritten;
	int64		position;
	bool		index_null = false;

	/* positions are given out by one at a time */
	sx_journal_create(s->stream);
	sx_journal_lock(s->stream);
	PushActiveSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(s->stream, GetActiveSnapshot());
	if (journal == NULL)
		elog(ERROR, "stream %u has no journal", s->stream);
	position = journal_end(journal, GetActiveSnapshot());
	PopActiveSnapshot();
	if (!sx_journal_open_segment(journal->segments[journal->current],
								 RowExclusiveLock, &rel, &index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal of stream %s has no index", s->name),
				 errhint("Wait until the restore of the dump is complete.")));
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	index_info = BuildIndexInfo(index);

	while (line != NULL)
	{
		Datum		elems[CHUNK_LINES];
		Size		bytes = 0;
		TimestampTz arrived = line->arrived;
		int			n = 0;

		MemoryContextSwitchTo(chunk_cxt);
		while (line != NULL && n < CHUNK_LINES &&
			   (n == 0 || bytes + line->len + 8 <= CHUNK_BYTES))
		{
			bytea	   *copy = palloc(VARHDRSZ + line->len);

			SET_VARSIZE(copy, VARHDRSZ + line->len);
			memcpy(VARDATA(copy), line->bytes, line->len);
			elems[n++] = PointerGetDatum(copy);
			bytes += INTALIGN(VARHDRSZ + line->len);
			line = line->next;
		}
		ExecClearTuple(slot);
		memset(slot->tts_isnull, false, sizeof(bool) * SX_LINES_NATTS);
		slot->tts_values[SX_LINES_POSITION - 1] = Int64GetDatum(position);
		slot->tts_values[SX_LINES_ROWS - 1] = Int32GetDatum(n);
		slot->tts_values[SX_LINES_ARRIVED - 1] = TimestampTzGetDatum(arrived);
		slot->tts_values[SX_LINES_LINES - 1] =
			PointerGetDatum(construct_array(elems, n, BYTEAOID, -1, false,
											TYPALIGN_INT));
		ExecStoreVirtualTuple(slot);
		table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
		index_insert(index, &slot->tts_values[SX_LINES_POSITION - 1],
					 &index_null, &slot->tts_tid, rel, UNIQUE_CHECK_NO, false,
					 index_info);
		ExecClearTuple(slot);
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(chunk_cxt);
		position += n;
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	relation_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	/*
	 * From here on it is the transaction's end that decides.  No crash may
	 * take it back, unlike a batch's: nobody else has these lines.
	 */
	ForceSyncCommit();
	s->queue.unwritten = NULL;
	s->written_in = GetTopTransactionId();
	s->end_offset = position;
}

/* "From now on" is before the first line that is taken in here. */
static void
find_origin(SocketSource *s)
{
	if (s->next_offset >= 0)
		return;
	s->origin = sx_journal_next_offset(s->stream);
	s->has_origin = true;
	s->next_offset = s->origin;
}

static bool
socket_intake(SxSource *base)
{
	SocketSource *s = (SocketSource *) base;

	find_origin(s);
	sx_socket_net_serve(s->net);
	if (s->queue.unwritten == NULL)
		return false;
	write_lines(s);
	return true;
}

/* ---- the source --------------------------------------------------------- */

static SxSource *
socket_open(const SxStream *stream)
{
	SocketSource *s;

	if (sx_option_get(stream->server_options, "port") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("the server of stream %s has no port", stream->name),
				 errhint("Add the option \"port\" to the server.")));
	s = calloc(1, sizeof(SocketSource));
	if (s != NULL)
		s->name = strdup(stream->name);
	if (s == NULL || s->name == NULL)
	{
		free(s);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not open a socket.")));
	}
	s->base.ops = &sx_source_socket;
	s->stream = stream->relid;
	s->queue.tail = &s->queue.first;
	s->hint = -1;
	s->next_offset = -1;
	s->poll_cxt = AllocSetContextCreate(TopMemoryContext, "streamx socket poll",
										ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		s->net = sx_socket_net_open(stream, &s->queue);
	}
	PG_CATCH();
	{
		MemoryContextDelete(s->poll_cxt);
		free(s->name);
		free(s);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!callback_registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		callback_registered = true;
	}
	s->next = sources;
	sources = s;
	return &s->base;
}

static void
socket_seek(SxSource *base, const SxPosition *positions, int npositions,
			const char *start_option)
{
	SocketSource *s = (SocketSource *) base;
	int			i;

	s->hint = -1;
	s->at_end = false;
	MemoryContextReset(s->poll_cxt);
	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition == 0 && positions[i].next_offset >= 0)
		{
			s->next_offset = positions[i].next_offset;
			return;
		}
	}
	if (start_option != NULL && strcmp(start_option, "earliest") == 0)
	{
		s->next_offset = 0;
		return;
	}
	/* a second seek without progress is one after a rollback */
	if (s->has_origin)
		s->next_offset = s->origin;
	else
		s->next_offset = -1;
}

/* Next chunks of one segment. */
typedef struct SegmentScan
{
	Relation	rel;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	head;
	int64		position;
	int			rows;
} SegmentScan;

static void
advance_scan(SegmentScan *scan)
{
	bool		isnull;

	scan->head = systable_getnext_ordered(scan->scan, ForwardScanDirection);
	if (scan->head == NULL)
		return;
	scan->position = DatumGetInt64(heap_getattr(scan->head, SX_LINES_POSITION,
												RelationGetDescr(scan->rel),
												&isnull));
	scan->rows = DatumGetInt32(heap_getattr(scan->head, SX_LINES_ROWS,
											RelationGetDescr(scan->rel),
											&isnull));
}

/* Messages of a chunk from next_offset on; their number. */
static int
read_lines(SocketSource *s, SegmentScan *scan, SxMessage *msgs, int max)
{
	TupleDesc	desc = RelationGetDescr(scan->rel);
	bool		isnull;
	TimestampTz arrived;
	ArrayType  *lines;
	Datum	   *elems;
	int			nelems;
	int			n = 0;
	int			i;

	arrived = DatumGetTimestampTz(heap_getattr(scan->head, SX_LINES_ARRIVED,
											   desc, &isnull));
	lines = DatumGetArrayTypePCopy(heap_getattr(scan->head, SX_LINES_LINES,
												desc, &isnull));
	deconstruct_array(lines, BYTEAOID, -1, false, TYPALIGN_INT, &elems, NULL,
					  &nelems);
	for (i = s->next_offset - scan->position; i < nelems && n < max; i++)
	{
		SxMessage  *msg = &msgs[n++];

		memset(msg, 0, sizeof(*msg));
		msg->payload = VARDATA_ANY(DatumGetPointer(elems[i]));
		msg->payload_len = VARSIZE_ANY_EXHDR(DatumGetPointer(elems[i]));
		msg->partition = 0;
		msg->position = scan->position + i;
		msg->timestamp_us = arrived;
		msg->arrival_us = arrived;
	}
	s->next_offset += n;
	return n;
}

static int
socket_poll(SxSource *base, SxMessage *msgs, int max_msgs, int timeout_ms,
			const SxPosition **moved, int *nmoved)
{
	SocketSource *s = (SocketSource *) base;
	MemoryContext old;
	Snapshot	snapshot;
	SxJournal  *journal;
	SegmentScan scans[SX_JOURNAL_MAX_SEGMENTS];
	int			nscans = 0;
	int			n = 0;
	int			i;

	*moved = NULL;
	*nmoved = 0;
	find_origin(s);
	old = MemoryContextSwitchTo(s->poll_cxt);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(s->stream, snapshot);
	for (i = 0; journal != NULL && i < journal->nsegments; i++)
	{
		SegmentScan *scan = &scans[nscans];
		ScanKeyData key;

		if (!sx_journal_open_segment(journal->segments[i], AccessShareLock,
									 &scan->rel, &scan->index))
			continue;
		nscans++;
		ScanKeyInit(&key, SX_LINES_POSITION, BTGreaterEqualStrategyNumber,
					F_INT8GE,
					Int64GetDatum(s->hint >= 0 ? s->hint :
								  s->next_offset - CHUNK_LINES));
		scan->scan = systable_beginscan_ordered(scan->rel, scan->index,
												snapshot, 1, &key);
		advance_scan(scan);
	}
	s->at_end = true;
	for (;;)
	{
		SegmentScan *best = NULL;

		for (i = 0; i < nscans; i++)
		{
			if (scans[i].head != NULL &&
				(best == NULL || scans[i].position < best->position))
				best = &scans[i];
		}
		if (best == NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		if (best->position + best->rows > s->next_offset)
		{
			if (n == max_msgs)
			{
				s->at_end = false;
				break;
			}
			/* what lies before was kept for too short a time: go on here */
			if (best->position > s->next_offset)
				s->next_offset = best->position;
			s->hint = best->position;
			n += read_lines(s, best, msgs + n, max_msgs - n);
			if (s->next_offset < best->position + best->rows)
			{
				s->at_end = false;
				break;
			}
			s->hint = s->next_offset;
		}
		advance_scan(best);
	}
	for (i = 0; i < nscans; i++)
	{
		systable_endscan_ordered(scans[i].scan);
		index_close(scans[i].index, NoLock);
		relation_close(scans[i].rel, NoLock);
	}
	s->end_offset = Max(s->end_offset, s->next_offset);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(old);
	if (n == 0)
		MemoryContextReset(s->poll_cxt);
	return n;
}

static void
socket_release(SxSource *base)
{
	MemoryContextReset(((SocketSource *) base)->poll_cxt);
}

static void
socket_status(SxSource *base, SxSourceStatus *status)
{
	SocketSource *s = (SocketSource *) base;

	memset(status, 0, sizeof(*status));
	sx_socket_net_status(s->net, status);
	status->partitions = calloc(1, sizeof(SxPartitionStatus));
	if (status->partitions == NULL)
		return;
	status->npartitions = 1;
	status->partitions[0].partition = 0;
	status->partitions[0].next_offset = Max(s->next_offset, 0);
	status->partitions[0].end_offset = Max(s->end_offset, s->next_offset);
	status->partitions[0].at_end = s->at_end && s->queue.first == NULL;
}

static int
socket_wait_fd(SxSource *base)
{
	return sx_socket_net_fd(((SocketSource *) base)->net);
}

static int
socket_poll_interval_ms(SxSource *base)
{
	return 1000;
}

static void
socket_close(SxSource *base)
{
	SocketSource *s = (SocketSource *) base;
	SocketSource **link = &sources;

	while (*link != NULL && *link != s)
		link = &(*link)->next;
	if (*link == s)
		*link = s->next;
	sx_socket_net_close(s->net);
	free_lines(&s->queue, NULL);
	MemoryContextDelete(s->poll_cxt);
	free(s->name);
	free(s);
}

const SxSourceOps sx_source_socket = {
	.kind = "socket",
	.threaded = false,
	.replayable = false,
	.open = socket_open,
	.seek = socket_seek,
	.poll = socket_poll,
	.release = socket_release,
	.intake = socket_intake,
	.status = socket_status,
	.wait_fd = socket_wait_fd,
	.poll_interval_ms = socket_poll_interval_ms,
	.close = socket_close,
};
