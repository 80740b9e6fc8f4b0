/*-------------------------------------------------------------------------
 * native.c
 *		Native streams: the source that reads on from a position.
 *
 * See native_position.c for what a position is.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "compat.h"
#include "source/journal.h"
#include "source/native.h"
#include "source/native_internal.h"
#include "source/source.h"

/* How a stream's column is found in a segment. */
typedef struct SegmentColumn
{
	int			nattnos;
	AttrNumber	attnos[4];		/* newest type first */
	bool		as_text[4];		/* another type: through text */
	Oid			elemtype[4];
	int16		typlen[4];
	bool		byval[4];
	char		align[4];
	Oid			outfunc[4];		/* if as_text */
} SegmentColumn;

typedef struct NativeSource
{
	SxSource	base;
	MemoryContext cxt;
	Oid			stream;
	const SxSchema *schema;
	char	   *start;			/* the stream's own option or NULL */
	const char *pending_start;	/* to be looked up at the next fill */
	MemoryContext position_cxt; /* the position's arrays */
	SxNativePosition position;
	bool		started;		/* has a position */
	bool		bounded;
	SxNativePosition end;		/* bounded: read only what is behind this */
	int64		next_offset;
	int64		remaining;		/* of the difference being read; -1: unknown */
	bool		at_end;
} NativeSource;

static SxSource *
native_open(const SxStream *stream)
{
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext,
											  "streamx native source",
											  ALLOCSET_SMALL_SIZES);
	NativeSource *source = MemoryContextAllocZero(cxt, sizeof(NativeSource));
	const char *start = sx_option_get(stream->table_options, "start");

	source->base.ops = &sx_source_native;
	source->cxt = cxt;
	source->stream = stream->relid;
	source->schema = stream->schema;
	source->start = start == NULL ? NULL : MemoryContextStrdup(cxt, start);
	source->position_cxt = AllocSetContextCreate(cxt, "streamx native position",
												 ALLOCSET_SMALL_SIZES);
	source->pending_start = "latest";
	source->remaining = -1;
	return &source->base;
}

/* Keep a copy of a position, which is in the current context. */
static void
keep_position(NativeSource *source, const SxNativePosition *position)
{
	char	   *text = sx_native_position_text(position);
	MemoryContext old;

	MemoryContextReset(source->position_cxt);
	old = MemoryContextSwitchTo(source->position_cxt);
	sx_native_position(text, &source->position);
	MemoryContextSwitchTo(old);
	pfree(text);
	source->started = true;
}

static void
native_seek(SxSource *base, const SxPosition *positions, int npositions,
			const char *start)
{
	NativeSource *source = (NativeSource *) base;
	SxNativePosition position;
	const char *text = NULL;
	bool		found = false;
	int			i;

	source->remaining = -1;
	source->at_end = false;
	source->next_offset = 0;
	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition != 0 || positions[i].next_offset < 0)
			continue;
		source->next_offset = positions[i].next_offset;
		text = positions[i].snapshot;
		found = text != NULL;
	}
	if (found)
	{
		sx_native_position(text, &position);
		keep_position(source, &position);
		return;
	}
	if (start == NULL)
		start = source->start;
	source->started = false;
	source->pending_start = start == NULL ? "latest" :
		MemoryContextStrdup(source->cxt, start);
}

/* The position that a start means; in a transaction. */
static void
start_from(NativeSource *source, const char *start)
{
	SxNativePosition position;

	if (strcmp(start, "latest") == 0)
		sx_native_position(sx_journal_snapshot_now(source->stream, NULL), &position);
	else
		sx_native_position(sx_journal_snapshot_earliest(), &position);
	if (strcmp(start, "latest") != 0 && strcmp(start, "earliest") != 0)
	{
		position.has_from = true;
		position.from =
			DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
													CStringGetDatum(start),
													ObjectIdGetDatum(InvalidOid),
													Int32GetDatum(-1)));
	}
	keep_position(source, &position);
}

void
sx_native_bound(SxSource *base, const char *position)
{
	NativeSource *source = (NativeSource *) base;
	MemoryContext old = MemoryContextSwitchTo(source->cxt);

	source->bounded = position != NULL;
	sx_native_position(position == NULL ? NULL : pstrdup(position), &source->end);
	MemoryContextSwitchTo(old);
}

/* How the stream's columns are found in a segment; indexed by column. */
static SegmentColumn *
map_columns(const NativeSource *source, const SxJournal *journal,
			Relation segment)
{
	TupleDesc	desc = RelationGetDescr(segment);
	int			ncols = source->schema->ncols;
	SegmentColumn *result = palloc0(sizeof(SegmentColumn) * Max(ncols, 1));
	int			c;

	for (c = 0; c < ncols; c++)
	{
		const SxColumn *col = &source->schema->cols[c];
		SegmentColumn *m = &result[c];
		int			slot = 0;
		int			v;
		int			j;

		if (col->dropped || col->metadata != SX_META_NONE)
			continue;

		/* by number in the same cluster, by name in another one */
		if (journal->era == sx_journal_era_now(journal))
		{
			if (c < journal->ncolumns && journal->columns[c] != NULL)
				slot = journal->slots[c];
		}
		else
		{
			for (j = 0; j < journal->ncolumns; j++)
			{
				if (journal->columns[j] != NULL &&
					strcmp(journal->columns[j], col->name) == 0)
					slot = journal->slots[j];
			}
		}
		if (slot == 0)
			continue;
		m->nattnos = sx_journal_slot_columns(desc, slot, m->attnos,
											 lengthof(m->attnos));
		for (v = 0; v < m->nattnos; v++)
		{
			Oid			arraytype = TupleDescAttr(desc, m->attnos[v] - 1)->atttypid;

			m->elemtype[v] = get_element_type(arraytype);
			get_typlenbyvalalign(m->elemtype[v], &m->typlen[v], &m->byval[v],
								 &m->align[v]);
			m->as_text[v] = !sx_journal_type_fits(arraytype, col->typid);
			if (m->as_text[v])
			{
				bool		isvarlena;

				getTypeOutputInfo(m->elemtype[v], &m->outfunc[v], &isvarlena);
			}
		}
	}
	return result;
}

pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not keep the rows of a batch.")));
}

/* Values skip ... skip + n - 1 of an array into the batch's rows from row on. */
static void
read_array(SxBatch *batch, int row, int col, Datum datum,
		   const SegmentColumn *m, int v, int skip, int n)
{
	ArrayType  *array = (ArrayType *) detoast_attr((struct varlena *) DatumGetPointer(datum));
	Size		size = VARSIZE(array);
	Datum	   *values = batch->values[col] + row;
	bool	   *nulls = batch->nulls[col] + row;
	bits8	   *bitmap = ARR_NULLBITMAP(array);
	char	   *base = ARR_DATA_PTR(array);
	char	   *data;
	int			i;

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < skip + n)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a chunk of a journal has too few values"),
				 errhint("Tables in schema streamx_state are not to be changed by hand.")));

	if (!m->byval[v])
	{
		/* the values stay in the arena, in one piece */
		char	   *copy;

		size -= base - (char *) array;
		copy = sx_arena_alloc(&batch->arena, Max(size, 1));
		if (copy == NULL)
			out_of_memory();
		memcpy(copy, base, size);
		base = copy;
	}

	data = base;
	for (i = 0; i < skip + n; i++)
	{
		bool		isnull = bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) == 0;

		if (!isnull)
		{
			data = (char *) att_align_nominal(data, m->align[v]);
			if (i >= skip)
				values[i - skip] = fetch_att(data, m->byval[v], m->typlen[v]);
			data = att_addlength_pointer(data, m->typlen[v], data);
		}
		else if (i >= skip)
			values[i - skip] = (Datum) 0;
		if (i >= skip)
			nulls[i - skip] = isnull;
	}

	if (m->as_text[v])
	{
		for (i = 0; i < n; i++)
		{
			char	   *text;

			if (nulls[i])
				continue;
			text = OidOutputFunctionCall(m->outfunc[v], values[i]);
			if (!sx_batch_defer(batch, row + i, col, text, strlen(text)))
				out_of_memory();
			pfree(text);
		}
	}
}

/* Rows skip ... skip + n - 1 of a chunk to the end of the batch. */
static void
read_chunk(NativeSource *source, SxBatch *batch, TupleDesc desc,
		   HeapTuple tup, const SegmentColumn *columns, int skip, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			row = batch->nrows;
	int64		arrived;
	int			c;
	int			i;

	heap_deform_tuple(tup, desc, values, nulls);
	arrived = DatumGetTimestampTz(values[SX_SEGMENT_ARRIVED - 1]);
	for (i = 0; i < n; i++)
	{
		batch->partition[row + i] = 0;
		batch->position[row + i] = source->next_offset + i;
		batch->timestamp_us[row + i] = arrived;
		batch->arrival_us[row + i] = arrived;
		batch->payload[row + i] = NULL;
		batch->payload_len[row + i] = 0;
		batch->key[row + i] = NULL;
		batch->key_len[row + i] = 0;
	}
	for (c = 0; c < source->schema->ncols; c++)
	{
		const SegmentColumn *m = &columns[c];
		SxMetadata	metadata = source->schema->cols[c].metadata;
		int			v;

		if (batch->values[c] == NULL)
			continue;
		for (v = 0; v < m->nattnos; v++)
		{
			if (!nulls[m->attnos[v] - 1])
				break;
		}
		if (v < m->nattnos)
		{
			read_array(batch, row, c, values[m->attnos[v] - 1], m, v, skip, n);
			continue;
		}
		for (i = 0; i < n; i++)
		{
			batch->nulls[c][row + i] = false;
			switch (metadata)
			{
				case SX_META_PARTITION:
					batch->values[c][row + i] = Int32GetDatum(0);
					break;
				case SX_META_OFFSET:
					batch->values[c][row + i] = Int64GetDatum(batch->position[row + i]);
					break;
				case SX_META_TIMESTAMP:
				case SX_META_ARRIVAL_TIME:
					batch->values[c][row + i] = TimestampTzGetDatum(arrived);
					break;
				default:
					batch->values[c][row + i] = (Datum) 0;
					batch->nulls[c][row + i] = true;
					break;
			}
		}
	}
	batch->nrows += n;
	source->next_offset += n;
}

static int
native_fill(SxSource *base, SxBatch *batch)
{
	NativeSource *source = (NativeSource *) base;
	MemoryContext cxt;
	MemoryContext chunk_cxt;
	MemoryContext old;
	SxJournal  *journal;
	Snapshot	snapshot;
	SxNativePosition position;
	SxNativeDiff diff = {0};
	SegmentColumn *columns[SX_JOURNAL_MAX_SEGMENTS] = {0};
	int			before = batch->nrows;
	size_t		max_bytes = (size_t) sx_max_batch_kb * 1024;
	bool		full = batch->nrows >= batch->maxrows;
	bool		was_within;
	bool		moved;
	HeapTuple	tup;
	int			segment;
	SxNativeKey key;

	if (full)
		return 0;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx native read",
								ALLOCSET_DEFAULT_SIZES);
	chunk_cxt = AllocSetContextCreate(cxt, "streamx native chunk",
									  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	if (!source->started)
		start_from(source, source->pending_start);

	/*
	 * The journal as the same snapshot sees it: whoever wrote into a new
	 * segment saw that segment's entry committed before.
	 */
	journal = sx_native_journal(source->stream, false);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (journal != NULL)
		journal = sx_journal_read(source->stream, snapshot);
	position = source->position;
	was_within = position.within;
	if (journal == NULL || !sx_native_diff_open(&diff, journal, InvalidOid))
	{
		sx_native_diff_close(&diff);
		UnregisterSnapshot(snapshot);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		source->at_end = journal == NULL;
		return 0;
	}

	if (!position.within)
	{
		sx_native_see(&position.next, sx_journal_era_now(journal), snapshot);
		if (source->bounded)
			position.next = source->end.within ? source->end.next : source->end.seen;
	}
	diff.snapshot = snapshot;
	sx_native_diff_between(&diff, &position.seen, &position.next);
	if (position.within)
		sx_native_diff_from(&diff, &position.key);

	/* every chunk of the difference, as far as the batch has room */
	while ((tup = sx_native_diff_next(&diff, &segment, &key)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
		bool		isnull;
		int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
													  desc, &isnull));
		int			skip = 0;
		int			n;

		if (position.within && sx_native_same_chunk(&key, &position.key))
			skip = Min(position.key.row, rows);
		if (position.has_from &&
			DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
											 &isnull)) < position.from)
			skip = rows;
		if (source->bounded)
			rows = Max(skip, sx_native_rows_behind(&source->end, &key, rows));
		n = Min(rows - skip, batch->maxrows - batch->nrows);
		if (n > 0 && batch->nrows > before && batch->arena.used >= max_bytes)
			n = 0;
		if (n < rows - skip)
			full = true;
		if (n > 0)
		{
			if (columns[segment] == NULL)
				columns[segment] = map_columns(source, journal, diff.rels[segment]);
			MemoryContextSwitchTo(chunk_cxt);
			read_chunk(source, batch, desc, tup, columns[segment], skip, n);
			MemoryContextSwitchTo(cxt);
			MemoryContextReset(chunk_cxt);
		}
		if (full)
		{
			position.key = key;
			position.key.row = skip + n;
			break;
		}
	}
	sx_native_diff_close(&diff);

	moved = batch->nrows > before;
	if (full)
	{
		position.within = true;
		if (source->remaining < 0 || !was_within)
			source->remaining = sx_native_diff_rest(journal, &position, snapshot);
		else
			source->remaining -= batch->nrows - before;
	}
	else
	{
		moved = moved || position.within;
		position.within = false;
		position.has_from = false;
		position.seen = position.next;
		source->remaining = 0;
	}
	source->at_end = !full;
	UnregisterSnapshot(snapshot);

	if (moved)
	{
		char	   *text = sx_native_position_text(&position);
		char	   *copy = sx_arena_copy(&batch->arena, text, strlen(text));
		int			i;

		if (copy == NULL ||
			!sx_batch_set_position(batch, 0, source->next_offset))
			out_of_memory();
		for (i = 0; i < batch->npositions; i++)
		{
			if (batch->positions[i].partition == 0)
				batch->positions[i].snapshot = copy;
		}
	}
	keep_position(source, &position);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return batch->nrows - before;
}

static void
native_status(SxSource *base, SxSourceStatus *status)
{
	NativeSource *source = (NativeSource *) base;

	memset(status, 0, sizeof(*status));
	status->conn = SX_CONN_UP;
	status->partitions = calloc(1, sizeof(SxPartitionStatus));
	if (status->partitions == NULL)
		return;
	status->npartitions = 1;
	status->partitions[0].partition = 0;
	status->partitions[0].next_offset = source->next_offset;
	status->partitions[0].end_offset = source->remaining < 0 ? -1 :
		source->next_offset + source->remaining;
	status->partitions[0].at_end = source->at_end;
}

static int
native_wait_fd(SxSource *base)
{
	return -1;
}

/* What is committed is announced; all but what a subscription had prepared. */
static int
native_poll_interval_ms(SxSource *base)
{
	/*
	 * Commits are told, this is for what was missed; but a segment that was
	 * locked is tried again soon.
	 */
	return ((NativeSource *) base)->at_end ? 10000 : 100;
}

static void
native_close(SxSource *base)
{
	MemoryContextDelete(((NativeSource *) base)->cxt);
}

const SxSourceOps sx_source_native = {
	.kind = "native",
	.threaded = false,
	.replayable = false,
	.open = native_open,
	.seek = native_seek,
	.fill = native_fill,
	.status = native_status,
	.wait_fd = native_wait_fd,
	.poll_interval_ms = native_poll_interval_ms,
	.close = native_close,
};
