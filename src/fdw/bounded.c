/*-------------------------------------------------------------------------
 * bounded.c
 *		A stretch of a source as a table: what a topic holds now, or what lies
 *		between two positions.
 *
 * One batch is in memory at a time.  Kafka topics are read up to end offsets
 * that are asked for once in a statement, before its first row.
 * The other kinds are read through the callbacks that the worker uses, and
 * between bounds only.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "decode/decode.h"
#include "fdw/resolve.h"
#include "fdw/scan.h"
#include "source/kafka_scan.h"
#include "source/native.h"
#include "source/source.h"

/* What one batch takes in at most. */
#define BATCH_ROWS		4096
#define BATCH_BYTES		(16 * 1024 * 1024)

/* How long a broker may keep us waiting. */
#define ASK_TIMEOUT_MS	10000
#define READ_TIMEOUT_MS	60000

/* Where a topic ends, for one statement; in the statement's context. */
typedef struct TopicEnds
{
	slist_node	node;
	MemoryContext statement;
	Oid			relid;
	int			npartitions;
	SxKafkaPartition *partitions;
	MemoryContextCallback callback;
} TopicEnds;

struct SxBoundedReader
{
	const SxStream *stream;
	const SxScanBounds *bounds;
	MemoryContext cxt;
	MemoryContext statement;
	SxKafkaClient *client;		/* NULL: not opened yet, or not Kafka */
};

struct SxBoundedScan
{
	SxBoundedReader *reader;
	const SxStream *stream;
	const SxScanBounds *bounds;
	SxSkip	   *skip;			/* sorted copy of the bounds' */
	MemoryContextCallback callback;
	SxBatch    *batch;			/* malloc'd, as is the decoder */
	SxDecoder  *decoder;		/* NULL: rows come as rows */
	SxDeferredResolver *resolver;
	int64		rejects;
	bool		done;

	SxKafkaScan *kafka;

	/* other kinds */
	SxSource   *source;
	bool		by_snapshot;	/* native: positions are snapshots */
	int64		next_position;	/* what comes next; -1: whatever there is */

	/* messages that are still to be decoded */
	SxMessage  *msgs;
	int			nmsgs;
	int			next_msg;
};

static void
free_memory(void *arg)
{
	SxBoundedScan *scan = (SxBoundedScan *) arg;

	if (scan->source != NULL)
		scan->source->ops->close(scan->source);
	scan->source = NULL;
	if (scan->decoder != NULL)
		sx_decode_destroy(scan->decoder);
	scan->decoder = NULL;
	sx_batch_free(scan->batch);
	scan->batch = NULL;
}

static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Failed while decoding a batch of messages.")));
}

static const SxPosition *
find_position(const SxPosition *positions, int npositions, int32 partition)
{
	int			i;

	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition == partition)
			return &positions[i];
	}
	return NULL;
}

static int
compare_skips(const void *a, const void *b)
{
	const SxSkip *x = (const SxSkip *) a;
	const SxSkip *y = (const SxSkip *) b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return 0;
}

/* Narrow down a partition to the bounds; false: it is not read. */
static bool
cut_to_bounds(const SxBoundedScan *scan, const SxKafkaPartition *partition,
			  SxKafkaRange *range)
{
	const SxScanBounds *bounds = scan->bounds;
	const SxPosition *from = find_position(bounds->from, bounds->nfrom,
										   partition->partition);
	const SxPosition *to = find_position(bounds->to, bounds->nto,
										 partition->partition);

	if (to == NULL || to->next_offset < 0)
		return false;
	if (from != NULL && from->next_offset >= 0)
	{
		if (from->next_offset < partition->low &&
			from->next_offset < to->next_offset)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("stream %s no longer has what it had from offset %lld on in partition %d",
							scan->stream->name, (long long) from->next_offset,
							partition->partition),
					 errdetail("The first offset that the topic still keeps is %lld.",
							   (long long) partition->low),
					 errhint("Let the topic keep its messages for longer.")));
		range->from_offset = Max(range->from_offset, from->next_offset);
	}
	if (to->next_offset > partition->end)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition %d of stream %s ends at offset %lld, before %lld",
						partition->partition, scan->stream->name,
						(long long) partition->end,
						(long long) to->next_offset),
				 errhint("The topic has lost messages or was made anew.")));
	range->to_offset = Min(range->to_offset, to->next_offset);
	return true;
}

/* All statements under way that read topics. */
static slist_head topic_ends = SLIST_STATIC_INIT(topic_ends);

static void
forget_ends(void *arg)
{
	slist_delete(&topic_ends, &((TopicEnds *) arg)->node);
}

/* Offsets of the stream's topic as of the statement. */
static const TopicEnds *
get_ends(SxBoundedReader *reader)
{
	SxKafkaPartition *partitions;
	int			npartitions;
	MemoryContext oldcxt;
	TopicEnds  *ends;
	slist_iter	iter;

	slist_foreach(iter, &topic_ends)
	{
		ends = slist_container(TopicEnds, node, iter.cur);
		if (ends->statement == reader->statement &&
			ends->relid == reader->stream->relid)
			return ends;
	}
	oldcxt = MemoryContextSwitchTo(reader->statement);
	npartitions = sx_kafka_client_offsets(reader->client, ASK_TIMEOUT_MS,
										  &partitions);
	ends = palloc0(sizeof(TopicEnds));
	MemoryContextSwitchTo(oldcxt);
	ends->statement = reader->statement;
	ends->relid = reader->stream->relid;
	ends->npartitions = npartitions;
	ends->partitions = partitions;
	ends->callback.func = forget_ends;
	ends->callback.arg = ends;
	slist_push_head(&topic_ends, &ends->node);
	MemoryContextRegisterResetCallback(reader->statement, &ends->callback);
	return ends;
}

static void
open_kafka(SxBoundedScan *scan, const SxScanRange *want)
{
	SxBoundedReader *reader = scan->reader;
	SxKafkaPartition *partitions;
	SxKafkaRange *ranges;
	int64	   *since = NULL;
	int			npartitions;
	int			nranges = 0;
	int			i;

	if (reader->client == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(reader->cxt);

		reader->client = sx_kafka_client_open(reader->stream);
		MemoryContextSwitchTo(oldcxt);
	}
	npartitions = get_ends(reader)->npartitions;
	partitions = get_ends(reader)->partitions;
	if (want->has_from_time)
		since = sx_kafka_client_offsets_for_time(reader->client, partitions,
												 npartitions,
												 want->from_time_us,
												 ASK_TIMEOUT_MS);
	ranges = palloc(sizeof(SxKafkaRange) * Max(npartitions, 1));
	for (i = 0; i < npartitions; i++)
	{
		SxKafkaPartition *p = &partitions[i];
		SxKafkaRange *range = &ranges[nranges];

		if (!sx_fdw_range_has_partition(want, p->partition))
			continue;
		range->partition = p->partition;
		range->from_offset = Max(p->low, want->from_offset);
		range->to_offset = Min(p->end, want->to_offset);
		if (since != NULL)
			range->from_offset = Max(range->from_offset, since[i]);
		if (scan->bounds != NULL && !cut_to_bounds(scan, p, range))
			continue;
		if (range->from_offset < range->to_offset)
			nranges++;
	}
	if (nranges > 0)
		scan->kafka = sx_kafka_scan_open(reader->client, ranges, nranges,
										 scan->stream->schema->wants_headers);
	else
		scan->done = true;
	pfree(ranges);
}

/* Bounds that nothing lies between, as far as positions tell. */
static bool
is_empty(const SxScanBounds *bounds)
{
	int			i;

	for (i = 0; i < bounds->nto; i++)
	{
		const SxPosition *to = &bounds->to[i];
		const SxPosition *from = find_position(bounds->from, bounds->nfrom,
											   to->partition);

		if (to->snapshot != NULL ||
			to->next_offset > Max(from ? from->next_offset : 0, 0))
			return false;
	}
	return true;
}

static void
open_source(SxBoundedScan *scan)
{
	const SxSourceOps *ops = sx_source_ops(scan->stream->kind);
	const SxScanBounds *bounds = scan->bounds;

	if (ops == NULL)
		elog(ERROR, "there is no source of kind \"%s\"", scan->stream->kind);
	if (is_empty(bounds))
	{
		scan->done = true;
		return;
	}
	scan->source = ops->open(scan->stream);
	ops->seek(scan->source, bounds->from, bounds->nfrom, "earliest");
	scan->by_snapshot = ops == &sx_source_native;
	scan->next_position = bounds->nfrom > 0 ? bounds->from[0].next_offset : -1;
	if (scan->by_snapshot)
		sx_native_bound(scan->source, bounds->to[0].snapshot);
}

SxBoundedReader *
sx_fdw_bounded_reader(const SxStream *stream, const SxScanBounds *bounds,
					  MemoryContext statement)
{
	SxBoundedReader *reader = palloc0(sizeof(SxBoundedReader));

	reader->stream = stream;
	reader->bounds = bounds;
	reader->cxt = CurrentMemoryContext;
	reader->statement = statement;
	return reader;
}

SxBoundedScan *
sx_fdw_bounded_begin(SxBoundedReader *reader, const SxScanRange *range)
{
	SxBoundedScan *scan = palloc0(sizeof(SxBoundedScan));
	const SxStream *stream = reader->stream;
	const SxScanBounds *bounds = reader->bounds;

	scan->reader = reader;
	scan->stream = stream;
	scan->bounds = bounds;
	scan->callback.func = free_memory;
	scan->callback.arg = scan;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &scan->callback);

	if (bounds != NULL && bounds->nskip > 0)
	{
		scan->skip = palloc(sizeof(SxSkip) * bounds->nskip);
		memcpy(scan->skip, bounds->skip, sizeof(SxSkip) * bounds->nskip);
		qsort(scan->skip, bounds->nskip, sizeof(SxSkip), compare_skips);
	}
	scan->batch = sx_batch_create(stream->schema, BATCH_ROWS);
	if (scan->batch == NULL)
		out_of_memory();
	scan->resolver = sx_fdw_resolver_create(stream->schema);
	scan->msgs = palloc(sizeof(SxMessage) * BATCH_ROWS);

	if (strcmp(stream->kind, "kafka") == 0)
		open_kafka(scan, range);
	else
		open_source(scan);
	if (scan->source == NULL || scan->source->ops->poll != NULL)
	{
		scan->decoder = sx_decode_create(stream->schema);
		if (scan->decoder == NULL)
			out_of_memory();
	}
	return scan;
}

/* Decode as many of the messages at hand as one batch should hold. */
static void
decode_some(SxBoundedScan *scan)
{
	size_t		bytes = 0;
	int			n = 0;
	int			consumed;

	while (scan->next_msg + n < scan->nmsgs &&
		   (n == 0 || bytes < BATCH_BYTES))
		bytes += scan->msgs[scan->next_msg + n++].payload_len;
	consumed = sx_decode_messages(scan->decoder, scan->batch,
								  scan->msgs + scan->next_msg, n);
	if (consumed <= 0)
		out_of_memory();
	scan->next_msg += consumed;
}

/* Fetch messages when those at hand are used up; false: there are no more. */
static bool
have_messages(SxBoundedScan *scan)
{
	if (scan->next_msg < scan->nmsgs)
		return true;
	scan->next_msg = 0;
	scan->nmsgs = sx_kafka_scan_next(scan->kafka, scan->msgs, BATCH_ROWS,
									 READ_TIMEOUT_MS);
	return scan->nmsgs > 0;
}

/* ERROR: the source's journal was trimmed behind the bounds. */
pg_noreturn static void
no_longer_kept(const SxBoundedScan *scan, int64 position)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("stream %s no longer has what it had from position %lld on",
					scan->stream->name, (long long) position),
			 errdetail("It keeps what it took in until every view has it, and as long as its option \"retain\" says."),
			 errhint("Set the option \"retain\" on the foreign table to a longer interval.")));
}

/* The next messages or rows of a source that is read by position. */
static bool
fill_from_source(SxBoundedScan *scan)
{
	const SxSourceOps *ops = scan->source->ops;
	const SxPosition *moved;
	int			nmoved;

	if (ops->fill != NULL)
	{
		if (ops->fill(scan->source, scan->batch) == 0)
			return false;
	}
	else
	{
		scan->nmsgs = ops->poll(scan->source, scan->msgs, BATCH_ROWS, 0,
								&moved, &nmoved);
		scan->next_msg = 0;
		if (scan->nmsgs == 0)
			return false;
		if (scan->next_position >= 0 &&
			scan->msgs[0].position > scan->next_position)
			no_longer_kept(scan, scan->next_position);
		scan->next_position = scan->msgs[scan->nmsgs - 1].position + 1;
		while (scan->next_msg < scan->nmsgs)
			decode_some(scan);
		ops->release(scan->source);
	}
	return true;
}

/* Drop rows behind the bounds and those to be skipped. */
static void
remove_unwanted(SxBoundedScan *scan)
{
	const SxScanBounds *bounds = scan->bounds;
	SxBatch    *batch = scan->batch;
	bool	   *remove;
	bool		any = false;
	int			i;

	if (bounds == NULL || batch->nrows == 0)
		return;
	remove = palloc0(sizeof(bool) * batch->nrows);
	for (i = 0; i < batch->nrows; i++)
	{
		const SxPosition *to = find_position(bounds->to, bounds->nto,
											 batch->partition[i]);
		SxSkip		key;

		key.partition = batch->partition[i];
		key.position = batch->position[i];
		remove[i] = to == NULL ||
			(!scan->by_snapshot && batch->position[i] >= to->next_offset) ||
			(bounds->nskip > 0 &&
			 bsearch(&key, scan->skip, bounds->nskip, sizeof(SxSkip),
					 compare_skips) != NULL);
		any |= remove[i];
	}
	if (any)
		sx_batch_remove_rows(batch, remove);
	pfree(remove);
}

/* Has a source that is read by position come to the bounds? */
static bool
reached_bounds(const SxBoundedScan *scan)
{
	int			i;

	for (i = 0; i < scan->bounds->nto; i++)
	{
		const SxPosition *to = &scan->bounds->to[i];
		const SxPosition *at = find_position(scan->batch->positions,
											 scan->batch->npositions,
											 to->partition);

		if (at == NULL || at->next_offset < to->next_offset)
			return false;
	}
	return true;
}

SxBatch *
sx_fdw_bounded_next(SxBoundedScan *scan)
{
	SxBatch    *batch = scan->batch;

	while (!scan->done)
	{
		CHECK_FOR_INTERRUPTS();
		sx_batch_reset(batch);
		if (scan->kafka != NULL)
		{
			if (!have_messages(scan))
				break;
			decode_some(scan);
		}
		else
		{
			if (!fill_from_source(scan))
			{
				/* native: fill() knows where to end */
				if (!scan->by_snapshot)
					no_longer_kept(scan, Max(scan->next_position, 0));
				break;
			}
			scan->done = !scan->by_snapshot && reached_bounds(scan);
		}
		sx_fdw_resolve_deferred(batch, scan->resolver);
		scan->rejects += batch->nrejects;
		remove_unwanted(scan);
		if (batch->nrows > 0)
			return batch;
	}
	scan->done = true;
	return NULL;
}

int64
sx_fdw_bounded_rejects(const SxBoundedScan *scan)
{
	return scan->rejects;
}

void
sx_fdw_bounded_end(SxBoundedScan *scan)
{
	if (scan->kafka != NULL)
		sx_kafka_scan_close(scan->kafka);
	scan->kafka = NULL;
	free_memory(scan);
	scan->done = true;
}
