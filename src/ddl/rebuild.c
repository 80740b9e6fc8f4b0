/*-------------------------------------------------------------------------
 * rebuild.c
 *		streamx.rebuild: a view computed anew from its source.
 *
 * In the caller's transaction, from the view's beginning (or another start)
 * to where it stands: the result and what is kept beside it are emptied, and
 * the rows between go through the view batch by batch, as in a worker.
 * Others read the old content until the commit, then the new; the result
 * table stays what it is.  The view's worker waits at the result's lock
 * meanwhile and goes on from the same position; other views go on.
 *
 * No row is late: the view equals its query over all rows.  What failed before
 * gets another chance; what fails now is a dead letter.  Nothing is sent to
 * the view's sink.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "base/stop.h"
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/trusted.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "ddl/rebuild.h"
#include "exec/owner.h"
#include "fdw/batch_scan.h"
#include "fdw/scan.h"
#include "result/cascade.h"
#include "result/result.h"
#include "source/journal.h"
#include "source/kafka_client.h"
#include "stats/stats.h"
#include "window/event_time.h"
#include "worker/task.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_rebuild);

#define ASK_TIMEOUT_MS	10000	/* for where a topic ends */

/* Returns the rows that it has changed. */
int64
sx_rebuild_execute(const char *sql, Oid view)
{
	int64		changed;

	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(view);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, OidIsValid(view) ? 1 : 0, &type, &value, NULL, false, 0) < 0)
		elog(ERROR, "could not execute: %s", sql);
	changed = SPI_processed;
	SPI_finish();
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	return changed;
}

/* The one value of a query, or NULL. */
static char *
text_of(const char *sql)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not execute: %s", sql);
	result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (result)
		result = MemoryContextStrdup(cxt, result);
	SPI_finish();
	return result;
}

char *
sx_rebuild_table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

int64
sx_rebuild_forget(Oid relid, bool *shed)
{
	int64		dead_letters;
	SxTrustedScope trusted;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	dead_letters = sx_rebuild_execute("DELETE FROM streamx.dead_letters WHERE view = $1 AND partition < 0", relid);
	if (dead_letters > 0)
		*shed = true;
	dead_letters += sx_rebuild_execute("DELETE FROM streamx.dead_letters WHERE view = $1", relid);
	(void) sx_rebuild_execute("DELETE FROM streamx.late_rows WHERE view = $1", relid);
	sx_trusted_leave(&trusted);
	return dead_letters;
}

/*
 * Away with all that is there, as if nothing had been read.  Returns how many
 * dead letters there were; *shed is set if there were groups among them.
 */
static int64
empty(const SxView *view, bool *shed)
{
	SxOwnerScope scope;
	char	   *names;
	SxTrustedScope trusted;

	sx_owner_enter(view, &scope);
	(void) sx_rebuild_execute(psprintf("DELETE FROM %s", sx_rebuild_table_name(view->relid)), InvalidOid);
	sx_owner_leave(&scope);

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);

	/* states and what else is held; not what waits to be sent to a sink */
	names = text_of(psprintf("SELECT string_agg(c.oid::pg_catalog.regclass::text, ', ')"
							 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
							 " WHERE n.nspname = 'streamx_state' AND c.relkind = 'r' AND c.relname ~ '^[sdhu]%d(_[0-9]+)*$'",
							 view->id));

	/* a new file also tells a worker what it has in memory of it */
	if (names)
		(void) sx_rebuild_execute(psprintf("TRUNCATE %s", names), InvalidOid);
	sx_trusted_leave(&trusted);
	return sx_rebuild_forget(view->relid, shed);
}

/* ---- from where ---- */

static void
bad_start(const SxView *view, const SxStream *stream, const char *start)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot rebuild continuous view %s", view->name),
			 errdetail("The %s stream %s cannot be read from a time on (\"%s\").",
					   stream->kind, stream->name, start),
			 errhint("Use \"earliest\" or \"latest\".")));
}

static TimestampTz
start_time(const char *start)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(start),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

/*
 * The reference has read another topic than there is now.  This one is read to
 * its end, and once it is, on to where the reference may have begun to read it.
 */
static void
bound_anew(SxStreamReading *r, const SxStream *stream, SxScanBounds *bounds)
{
	SxKafkaPartition *partitions = NULL;
	int			npartitions = 0;
	int			i;
	int			k;

	if (!r->begun)
	{
		SxKafkaClient *client = sx_kafka_client_open(stream);

		npartitions = sx_kafka_client_offsets(client, ASK_TIMEOUT_MS, &partitions);
		sx_kafka_client_close(client);
	}
	for (i = 0; i < bounds->nto; i++)
	{
		SxPosition *to = &bounds->to[i];
		const SxPosition *upto = r->begun ?
		sx_position_find(r->upto, r->nupto, to->partition) : NULL;

		if (r->begun)
		{
			if (upto && (to->gone || to->next_offset < upto->next_offset))
				to->next_offset = upto->next_offset;
			to->gone = false;
			continue;
		}
		for (k = 0; k < npartitions && partitions[k].partition != to->partition; k++)
			 /* look */ ;
		if (to->gone)
			to->next_offset = k < npartitions ? partitions[k].end : 0;
	}
	r->anew = true;
}

/* Of that topic so much was read: these batches, of which this is the next. */
static void
note_reached(SxScanBounds *bounds, SxPosition *reached, SxBatch *batch)
{
	int			i;

	for (i = 0; i < bounds->nto; i++)
	{
		const SxPosition *told = sx_position_find(batch->positions, batch->npositions,
												  bounds->to[i].partition);

		if (told)
			reached[i].next_offset = told->next_offset;
	}
}

/* What comes after it the worker reads. */
static void
end_anew(SxStreamReading *r, SxScanBounds *bounds, const SxPosition *reached)
{
	int			i;

	for (i = 0; i < bounds->nto; i++)
	{
		SxPosition *to = &bounds->to[i];

		if (!to->gone)
			continue;
		to->gone = false;
		to->next_offset = reached[i].next_offset;
		r->first[i].first_offset = Min(r->first[i].first_offset, to->next_offset);
	}
}

/*
 * What is to be read of a stream.  *from_time: Kafka, from this time on; else
 * PG_INT64_MIN.
 */
static SxScanBounds *
bounds_of(const SxReading *reading, SxStreamReading *r, const SxStream *stream,
		  int64 *from_time)
{
	const SxView *view = reading->run->view;
	const char *start = reading->start;
	SxScanBounds *bounds = palloc0(sizeof(SxScanBounds));
	bool		native = strcmp(stream->kind, "native") == 0;
	bool		socket = strcmp(stream->kind, "socket") == 0;
	bool		kafka = strcmp(stream->kind, "kafka") == 0;
	int			i;

	*from_time = PG_INT64_MIN;
	bounds->stream = stream->relid;
	bounds->to = sx_checkpoint_load(reading->reference, stream->relid, &bounds->nto);

	/* native positions count in the order of commits, which is not kept */
	if (!native)
		bounds->skip = sx_result_dead_letters(stream->relid, InvalidOid, &bounds->nskip);
	if (r->anew || (!r->begun && start && strcmp(start, "earliest") == 0 &&
					sx_positions_gone(bounds->to, bounds->nto)))
		bound_anew(r, stream, bounds);
	else if (sx_positions_gone(bounds->to, bounds->nto))
		sx_ddl_check_kept(view, bounds, reading->verb);
	if (r->begun)
	{
		bounds->from = r->upto;
		bounds->nfrom = r->nupto;

		/* the reference has begun anew meanwhile */
		for (i = 0; i < bounds->nto; i++)
		{
			const SxPosition *from = sx_position_find(r->upto, r->nupto,
													  bounds->to[i].partition);

			bounds->to[i].gone = kafka && from &&
				bounds->to[i].next_offset < from->next_offset;
		}
		return bounds;
	}
	bounds->from = sx_checkpoint_load_first(reading->reference, stream->relid, &bounds->nfrom);
	if (start == NULL)
	{
		sx_ddl_check_kept(view, bounds, reading->verb);
		return bounds;
	}
	for (i = 0; i < bounds->nfrom; i++)
	{
		SxPosition *from = &bounds->from[i];

		if (strcmp(start, "latest") == 0)
		{
			from->next_offset = bounds->to[i].next_offset;
			from->snapshot = bounds->to[i].snapshot;
		}
		else if (strcmp(start, "earliest") == 0)
		{
			from->next_offset = socket ? sx_journal_first_offset(stream->relid) : 0;
			if (native)
				from->snapshot = sx_journal_snapshot_earliest();
		}
		else if (native)
		{
			from->next_offset = 0;
			from->snapshot = sx_journal_snapshot_from(start_time(start));
		}
		else if (!kafka)
			bad_start(view, stream, start);
	}
	if (kafka && strcmp(start, "latest") != 0)
	{
		bounds->nfrom = 0;		/* where the topic begins */
		if (strcmp(start, "earliest") != 0)
			*from_time = start_time(start);
	}
	return bounds;
}

/* ---- reading ---- */

/* Where the view began, as it turns out. */
static void
note_first(SxPosition *first, int n, const SxBatch *batch, int64 *nrows)
{
	int			i;

	for (i = 0; i < batch->nrows; i++)
	{
		SxPosition *p = sx_position_find(first, n, batch->partition[i]);

		if (p)
			p->first_offset = Min(p->first_offset, batch->position[i]);
	}
	*nrows += batch->nrows;
}

/* Partitions that are read for the first time begin at "from". */
static void
note_partitions(SxStreamReading *r, SxScanBounds *bounds)
{
	SxPosition *first = palloc(sizeof(SxPosition) * Max(bounds->nto, 1));
	int			i;

	for (i = 0; i < bounds->nto; i++)
	{
		const SxPosition *from = sx_position_find(bounds->from, bounds->nfrom,
												  bounds->to[i].partition);
		const SxPosition *before = sx_position_find(r->first, r->nfirst,
													bounds->to[i].partition);

		first[i] = bounds->to[i];
		if (before)
			first[i] = *before;
		else if (from)
		{
			first[i].first_offset = from->next_offset;
			first[i].snapshot = from->snapshot ? pstrdup(from->snapshot) : NULL;
		}
		else
			first[i].first_offset = first[i].next_offset;
	}
	r->first = sx_positions_copy(first, bounds->nto);
	r->nfirst = bounds->nto;
}

static void
read_stream(SxReading *reading, SxStreamReading *r)
{
	SxViewRun  *run = reading->run;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx rebuild",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	const SxStream *stream = sx_stream_get(r->stream, run->view->owner);
	SxScanRange range = {
		.last_partition = PG_INT32_MAX,
		.to_offset = PG_INT64_MAX,
	};
	SxScanBounds *bounds;
	SxPosition *reached;
	SxBoundedScan *scan;
	SxBatch    *batch;
	int64		nrows = 0;
	int64		from_time;
	bool		native = strcmp(stream->kind, "native") == 0;
	bool		nothing;

	bounds = bounds_of(reading, r, stream, &from_time);
	reached = palloc0(sizeof(SxPosition) * Max(bounds->nto, 1));
	range.has_from_time = from_time != PG_INT64_MIN;
	range.from_time_us = from_time;
	nothing = bounds->nto == 0 ||
		(!r->begun && reading->start && strcmp(reading->start, "latest") == 0);
	MemoryContextSwitchTo(reading->cxt);
	note_partitions(r, bounds);
	MemoryContextSwitchTo(cxt);
	sx_report_rebuild(reading->reference, reading->since, reading->rows, sx_reading_left(reading));
	if (!nothing)
	{
		scan = sx_fdw_bounded_begin(sx_fdw_bounded_reader(stream, bounds, cxt), &range);
		while ((batch = sx_fdw_bounded_next(scan)) != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			note_first(r->first, native ? 0 : r->nfirst, batch, &nrows);
			if (r->anew)
				note_reached(bounds, reached, batch);
			sx_window_reject_ahead(stream, batch);
			sx_batch_rebuild(run, stream, batch);
			sx_report_rebuild(reading->reference, reading->since, reading->rows + nrows,
							  sx_reading_left(reading) - nrows);
		}
		sx_fdw_bounded_end(scan);
	}

	if (r->anew)
		end_anew(r, bounds, reached);

	/* still, and of what was read on: all of it */
	if (reading->start == NULL || r->begun)
		sx_ddl_check_kept(run->view, bounds, reading->verb);
	r->nrows += nrows;
	reading->rows += nrows;
	r->begun = true;
	MemoryContextSwitchTo(reading->cxt);
	r->upto = sx_positions_copy(bounds->to, bounds->nto);
	r->nupto = bounds->nto;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

SxReading *
sx_reading_begin(SxViewRun *run, Oid reference, const List *streams, const char *start)
{
	SxReading  *reading = palloc0(sizeof(SxReading));
	const ListCell *lc;

	reading->run = run;
	reading->reference = reference;
	reading->start = start;
	reading->verb = "rebuild";
	reading->cxt = CurrentMemoryContext;
	reading->since = GetCurrentTimestamp();
	foreach(lc, streams)
	{
		SxStreamReading *r = palloc0(sizeof(SxStreamReading));

		r->stream = lfirst_oid(lc);
		reading->streams = lappend(reading->streams, r);
	}
	return reading;
}

void
sx_reading_go(SxReading *reading)
{
	ListCell   *lc;

	foreach(lc, reading->streams)
		read_stream(reading, lfirst(lc));
}

int64
sx_reading_left(const SxReading *reading)
{
	int64		left = 0;
	ListCell   *lc;
	int			i;

	foreach(lc, reading->streams)
	{
		const SxStreamReading *r = lfirst(lc);
		SxPosition *to;
		int			n;

		to = sx_checkpoint_load(reading->reference, r->stream, &n);
		for (i = 0; i < n; i++)
		{
			const SxPosition *done = r->begun ?
			sx_position_find(r->upto, r->nupto, to[i].partition) : NULL;

			left += to[i].next_offset - (done ? done->next_offset : to[i].first_offset);
			if (done && done->snapshot && to[i].snapshot &&
				strcmp(done->snapshot, to[i].snapshot) != 0 && left == 0)
				left = 1;
		}
	}
	return Max(left, 0);
}

static void
end_stream(const SxReading *reading, const SxStreamReading *r)
{
	const SxStream *stream = sx_stream_get(r->stream, reading->run->view->owner);
	bool		native = strcmp(stream->kind, "native") == 0;
	int			i;

	if (r->anew)
	{
		sx_checkpoint_advance(reading->reference, r->stream, r->upto, r->nupto);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	if (reading->start != NULL)
	{
		/* so many rows were read, whatever the first one is called */
		for (i = 0; native && i < r->nfirst; i++)
			r->first[i].first_offset = r->upto[i].next_offset - r->nrows;
		sx_checkpoint_set_first(reading->reference, r->stream, r->first, r->nfirst);
		for (i = 0; native && i < r->nupto; i++)
		{
			SxPosition	position = r->upto[i];

			/* more than were counted: then the place has a higher number */
			if (r->first[i].first_offset >= 0)
				continue;
			position.next_offset -= r->first[i].first_offset;
			UpdateActiveSnapshotCommandId();
			sx_checkpoint_rename(reading->reference, r->stream, &position);
			CommandCounterIncrement();
		}
	}
	sx_checkpoint_save_replay(reading->reference, r->stream, NULL, 0);
}

void
sx_reading_end(SxReading *reading)
{
	ListCell   *lc;

	foreach(lc, reading->streams)
		end_stream(reading, lfirst(lc));
	sx_report_rebuild(reading->reference, 0, 0, 0);
}

static void
context_callback(void *arg)
{
	errcontext("rebuilding continuous view %s", ((const SxView *) arg)->name);
}

/*
 * What is checked at COMMIT would be so with the rights of whoever rebuilds:
 * the result's deferrable constraints and triggers are for the rows at once.
 */
void
sx_ddl_check_at_once(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	ConstraintsSetStmt *immediate = makeNode(ConstraintsSetStmt);
	int			i;

	for (i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgdeferrable && OidIsValid(trigger->tgconstraint))
			immediate->constraints = lappend(immediate->constraints,
											 makeRangeVar(get_namespace_name(RelationGetNamespace(rel)),
														  get_constraint_name(trigger->tgconstraint), -1));
	}
	table_close(rel, NoLock);
	if (immediate->constraints)
		AfterTriggerSetState(immediate);
}

static void
check_start(const char *start)
{
	if (start && strcmp(start, "earliest") != 0 && strcmp(start, "latest") != 0)
		(void) start_time(start);
}

/*
 * A final view over other views: windows that have come are brought to what
 * there is; those that are no longer made of all their rows stay as they are.
 */
static void
take_windows(SxViewRun *run)
{
	int64		before = sx_view_final_before(run->relid);
	int64		lost = sx_cascade_lost(run->view, run->shape->derivation->closing,
									   sx_cascade_standing);
	SxOwnerScope scope;

	if (before == PG_INT64_MIN)
		return;
	sx_owner_enter(run->view, &scope);
	run->counters.rows_out += sx_result_take_windows(run->result,
													 lost == PG_INT64_MIN ? lost : lost + 1,
													 before);
	sx_owner_leave(&scope);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

void
sx_ddl_rebuild(Oid relid, const char *start, bool shed)
{
	SxViewRun	run = {0};
	SxViewCounters before;
	int64		dead_letters;
	SxView	   *view;
	SxOwnerScope scope;
	ErrorContextCallback context;
	SxReading  *reading;
	ListCell   *lc;

	/* streams before the result, and that before its parts, as DROP does */
	view = sx_view_get(relid);
	foreach(lc, view->streams)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	sx_view_lock_definition(relid);
	LockRelationOid(relid, ShareRowExclusiveLock);
	sx_ddl_check_view(relid);
	view = sx_view_get(relid);

	context.callback = context_callback;
	context.arg = view;
	context.previous = error_context_stack;
	error_context_stack = &context;

	PushActiveSnapshot(GetLatestSnapshot());
	sx_view_counters(relid, &before);
	view->sink = InvalidOid;	/* what was sent is not sent again */
	run.relid = relid;
	run.view = view;
	run.cxt = CurrentMemoryContext;
	sx_ddl_check_at_once(relid);
	dead_letters = view->sources && view->final && (!start || strcmp(start, "latest") != 0) ?
		sx_rebuild_forget(relid, &shed) : empty(view, &shed);
	sx_result_begin(view, &run.counters);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();

	sx_owner_enter(view, &scope);
	sx_view_prepare(&run);
	sx_owner_leave(&scope);
	if (view->sources && view->final && (!start || strcmp(start, "latest") != 0))
		take_windows(&run);
	run.watermark_us = run.next_watermark_us = PG_INT64_MIN;
	reading = sx_reading_begin(&run, relid, view->sources ? NIL : view->streams, start);
	sx_reading_go(reading);
	sx_reading_end(reading);
	if (view->sources == NIL)
		sx_batch_rebuilt(&run, sx_stream_get(linitial_oid(view->streams), view->owner),
						 before.watermark_us, shed);

	/* late rows and dead letters are those that there are now */
	run.counters.rows_late -= before.rows_late;
	run.counters.dead_letters -= dead_letters;
	run.counters.watermark_us = before.watermark_us;
	sx_view_count(relid, &run.counters);
	CacheInvalidateRelcacheByRelid(relid);
	PopActiveSnapshot();
	SX_STOP("rebuild", view->name);
	error_context_stack = context.previous;
}

/* Beside the view while it goes on, where that can be. */
static void
rebuild(Oid relid, const char *start)
{
	SxRedefinition r = {0};
	SxView	   *view;

	sx_view_lock_definition(relid);
	view = sx_view_get(relid);
	if (view == NULL || (start && strcmp(start, "latest") == 0) || !sx_beside_possible(view))
	{
		sx_ddl_rebuild(relid, start, false);
		return;
	}
	r.view = view;
	r.next = palloc(sizeof(SxView));
	*r.next = *view;
	r.start = start;
	sx_beside_rebuild(&r);
}

/* streamx.rebuild(view regclass, start text) returns void */
Datum
streamx_rebuild(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *start = NULL;

	if (PG_ARGISNULL(0))
		PG_RETURN_VOID();
	relid = PG_GETARG_OID(0);
	if (!PG_ARGISNULL(1))
		start = text_to_cstring(PG_GETARG_TEXT_PP(1));
	PreventCommandIfReadOnly("streamx.rebuild()");
	sx_worker_require_preloaded();
	sx_ddl_check_owned_view(relid);
	check_start(start);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("streamx.rebuild() needs isolation level READ COMMITTED"),
				 errhint("Call it in a transaction of its own.")));

	rebuild(relid, start);
	PG_RETURN_VOID();
}
