/*-------------------------------------------------------------------------
 * scan.c
 *		The scan of a stream: over batches in memory, or bounded over the
 *		source.
 *
 * Which of the two it is, is decided when it begins:
 *	 input bound (sx_fdw_bind)		rows of the input's batches, or nothing if
 *									they are another stream's
 *	 bounds set (sx_fdw_set_bounds)	the source between them
 *	 a Kafka stream					all that the topic holds now
 *	 any other						ERROR
 *
 * A bounded scan begins to read when the first row is asked for, so that
 * EXPLAIN and scans that are never run do without the broker.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "fdw/batch_scan.h"
#include "fdw/scan.h"

/* so many rows ahead, what a column points to is fetched into the cache */
#define PREFETCH_ROWS 6

typedef struct ScanCell
{
	int			att;			/* from 0 */
	Datum	   *values;
	bool	   *nulls;
} ScanCell;

typedef struct StreamScan
{
	/* the rows at hand */
	SxBatch    *batch;			/* NULL: none yet */
	int			row;			/* next one */
	int			end;			/* behind the last one */

	/* attributes that the plan needs; of those that the batch has, columns */
	int			nattrs;
	AttrNumber *attnos;			/* from 0 */
	TupleTableSlot *slot;
	int			ncells;
	ScanCell   *cells;
	int			nbyref;
	Datum	  **byref;			/* columns of pointers */

	/* over memory */
	const SxScanInput *input;	/* NULL: bounded */
	int			next_batch;
	int64		row_base;		/* row number of the current batch's first */

	/* bounded */
	SxStream   *stream;
	const SxScanBounds *bounds;
	SxBoundedReader *reader;
	MemoryContext cxt;			/* the scan's, reset at a rescan */
	SxBoundedScan *scan;		/* NULL: not begun yet */
	bool		done;
	bool		warned;
} StreamScan;

static const SxScanInput no_input = {0};
static const SxScanInput *bound_input = NULL;
static const SxScanBounds *scan_bounds = NULL;
static int64 last_row = -1;
static const SxBatch *last_batch = NULL;
static int	last_batch_row = 0;

/* What callers forgot to clear after an error must not be read again. */
static void
forget_at_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			bound_input = NULL;
			scan_bounds = NULL;
			last_batch = NULL;
			sx_fdw_batch_rows = 0;
			break;
		default:
			break;
	}
}

static void
register_once(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(forget_at_end, NULL);
	registered = true;
}

void
sx_fdw_bind(const SxScanInput *input)
{
	register_once();
	bound_input = input;
	/* when it is unbound after an error, the row is still to be asked for */
	if (input != NULL)
		last_row = -1;
}

int64
sx_fdw_last_row(void)
{
	return last_row;
}

void
sx_fdw_last_place(int32 *partition, int64 *position)
{
	*partition = last_batch ? last_batch->partition[last_batch_row] : 0;
	*position = last_batch ? last_batch->position[last_batch_row] : 0;
}

void
sx_fdw_set_bounds(const SxScanBounds *bounds)
{
	register_once();
	scan_bounds = bounds;
}

/* Where the needed columns of the batch at hand are. */
static void
set_batch(StreamScan *state, SxBatch *batch, int row, int end)
{
	int			i;

	state->batch = batch;
	state->row = row;
	state->end = end;
	state->ncells = 0;
	state->nbyref = 0;
	for (i = 0; i < state->nattrs; i++)
	{
		int			col = state->attnos[i];
		ScanCell   *cell = &state->cells[state->ncells];

		/* the others stay NULL */
		state->slot->tts_isnull[col] = true;
		if (col >= batch->schema->ncols || batch->values[col] == NULL)
			continue;
		cell->att = col;
		cell->values = batch->values[col];
		cell->nulls = batch->nulls[col];
		state->ncells++;
		if (!TupleDescAttr(state->slot->tts_tupleDescriptor, col)->attbyval)
			state->byref[state->nbyref++] = batch->values[col];
	}
}

void
sx_fdw_begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	Oid			relid = RelationGetRelid(node->ss.ss_currentRelation);
	List	   *attnos = linitial(plan->fdw_private);
	StreamScan *state = palloc0(sizeof(StreamScan));
	MemoryContext reader_cxt;
	MemoryContext oldcxt;
	ListCell   *lc;
	Oid			user;

	node->fdw_state = state;
	state->attnos = palloc(sizeof(AttrNumber) * Max(list_length(attnos), 1));
	state->slot = slot;
	state->cells = palloc0(sizeof(ScanCell) * Max(list_length(attnos), 1));
	state->byref = palloc0(sizeof(Datum *) * Max(list_length(attnos), 1));
	foreach(lc, attnos)
		state->attnos[state->nattrs++] = lfirst_int(lc) - 1;

	/* attributes that nobody asks for stay NULL */
	memset(slot->tts_values, 0,
		   sizeof(Datum) * slot->tts_tupleDescriptor->natts);
	memset(slot->tts_isnull, true,
		   sizeof(bool) * slot->tts_tupleDescriptor->natts);

	if (bound_input != NULL &&
		(bound_input->stream == relid || list_member_oid(bound_input->streams, relid)))
	{
		state->input = bound_input->stream == relid ? bound_input : &no_input;
		return;
	}

	user = sx_foreign_scan_user(plan, estate);
	state->stream = sx_stream_get(relid, OidIsValid(user) ? user : GetUserId());
	state->bounds = scan_bounds;
	while (state->bounds != NULL && state->bounds->stream != relid)
		state->bounds = state->bounds->next;
	if (state->bounds == NULL && strcmp(state->stream->kind, "kafka") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot read %s stream %s as a table",
						state->stream->kind, state->stream->name),
				 errdetail("Its rows cannot be asked for again at will."),
				 errhint("Create a continuous view over it and read that, for example CREATE VIEW v WITH (streamx.continuous) AS SELECT * FROM %s.",
						 state->stream->name)));
	reader_cxt = AllocSetContextCreate(estate->es_query_cxt,
									   "streamx bounded reader",
									   ALLOCSET_SMALL_SIZES);
	state->cxt = AllocSetContextCreate(reader_cxt, "streamx bounded scan",
									   ALLOCSET_DEFAULT_SIZES);
	oldcxt = MemoryContextSwitchTo(reader_cxt);
	state->reader = sx_fdw_bounded_reader(state->stream, state->bounds,
										  estate->es_query_cxt);
	MemoryContextSwitchTo(oldcxt);
}

/* The next batch of the input that has rows to read; false: there is none. */
static bool
next_input_batch(StreamScan *state)
{
	const SxScanInput *input = state->input;

	while (state->next_batch < input->nbatches)
	{
		SxBatch    *batch;
		int64		first;
		int64		end;

		if (state->batch != NULL)
			state->row_base += state->batch->nrows;
		if (state->row_base >= input->end_row)
			return false;
		batch = input->batches[state->next_batch++];
		Assert(batch->ndeferred == 0);
		first = Max(input->first_row - state->row_base, 0);
		end = Min(input->end_row - state->row_base, batch->nrows);
		set_batch(state, batch, (int) Min(first, batch->nrows),
				  (int) end);
		if (state->row < state->end)
			return true;
	}
	return false;
}

static void
begin_reading(ForeignScanState *node, StreamScan *state)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(state->cxt);
	SxScanRange *range = palloc(sizeof(SxScanRange));

	sx_fdw_range_init(range, node, state->stream);
	if (range->nothing)
		state->done = true;
	else
		state->scan = sx_fdw_bounded_begin(state->reader, range);
	MemoryContextSwitchTo(oldcxt);
}

static bool
next_bounded_batch(ForeignScanState *node, StreamScan *state)
{
	SxBatch    *batch = NULL;
	int64		rejects;

	if (state->scan == NULL && !state->done)
		begin_reading(node, state);
	if (!state->done)
		batch = sx_fdw_bounded_next(state->scan);
	if (batch != NULL)
	{
		set_batch(state, batch, 0, batch->nrows);
		return true;
	}
	state->done = true;
	rejects = state->scan ? sx_fdw_bounded_rejects(state->scan) : 0;
	if (rejects > 0 && !state->warned && state->bounds == NULL)
	{
		state->warned = true;
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg_plural("left out %lld message of stream %s that does not decode",
							   "left out %lld messages of stream %s that do not decode",
							   (unsigned long) rejects,
							   (long long) rejects, state->stream->name),
				 errdetail("A continuous view over the stream keeps them in streamx.dead_letters, with the reason.")));
	}
	return false;
}

TupleTableSlot *
sx_fdw_iterate_scan(ForeignScanState *node)
{
	StreamScan *state = (StreamScan *) node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int			row;
	int			i;

	ExecClearTuple(slot);
	while (state->row >= state->end)
	{
		if (state->input != NULL ? !next_input_batch(state) :
			!next_bounded_batch(node, state))
			return slot;
	}

	row = state->row++;

	/* the reader's thread wrote it, on another processor or long ago */
	if (row + PREFETCH_ROWS < state->end)
	{
		for (i = 0; i < state->nbyref; i++)
			__builtin_prefetch(DatumGetPointer(state->byref[i][row + PREFETCH_ROWS]));
	}
	for (i = 0; i < state->ncells; i++)
	{
		const ScanCell *cell = &state->cells[i];

		slot->tts_values[cell->att] = cell->values[row];
		slot->tts_isnull[cell->att] = cell->nulls[row];
	}
	if (state->input != NULL)
	{
		last_row = state->row_base + row;
		sx_fdw_set_row(&slot->tts_tid, last_row);
		last_batch = state->batch;
		last_batch_row = row;
	}
	return ExecStoreVirtualTuple(slot);
}

void
sx_fdw_rescan(ForeignScanState *node)
{
	StreamScan *state = (StreamScan *) node->fdw_state;

	state->batch = NULL;
	state->row = state->end = 0;
	state->next_batch = 0;
	state->row_base = 0;
	if (state->input == NULL)
	{
		/* the conditions' values may be others now */
		if (state->scan != NULL)
			sx_fdw_bounded_end(state->scan);
		state->scan = NULL;
		state->done = false;
		MemoryContextReset(state->cxt);
	}
}

void
sx_fdw_end_scan(ForeignScanState *node)
{
	StreamScan *state = (StreamScan *) node->fdw_state;

	if (state != NULL && state->scan != NULL)
		sx_fdw_bounded_end(state->scan);
}

void
sx_fdw_explain_scan(ForeignScanState *node, ExplainState *es)
{
	StreamScan *state = (StreamScan *) node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	const char *topic;
	List	   *pushed;
	List	   *context;

	if (state->stream == NULL)
		return;
	topic = sx_option_get(state->stream->table_options, "topic");
	if (topic != NULL)
		ExplainPropertyText("Topic", topic, es);
	pushed = sx_fdw_pushed_conditions(plan, state->stream);
	if (pushed == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	ExplainPropertyText("Read Range",
						deparse_expression((Node *) make_ands_explicit(pushed),
										   context, list_length(es->rtable) > 1,
										   false), es);
	if (es->analyze && state->scan != NULL)
		ExplainPropertyInteger("Messages Left Out", NULL,
							   sx_fdw_bounded_rejects(state->scan), es);
}
