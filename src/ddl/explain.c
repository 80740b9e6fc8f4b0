/*-------------------------------------------------------------------------
 * explain.c
 *		streamx.explain: how a view is maintained, for people.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/stream.h"
#include "catalog/view.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "exec/owner.h"
#include "fdw/batch_scan.h"
#include "plan/closing.h"
#include "plan/describe.h"
#include "plan/plan.h"
#include "result/held.h"
#include "result/result.h"
#include "worker/fold.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_explain);

static void
describe_stream(StringInfo text, Oid relid, const char *not_apart, bool first)
{
	SxStream   *stream = sx_stream_get(relid, InvalidOid);
	StringInfoData line;

	initStringInfo(&line);
	appendStringInfo(&line, "%s (%s), event time ", stream->name, stream->kind);
	if (stream->event_time_col >= 0)
		appendStringInfoString(&line, quote_identifier(stream->schema->cols[stream->event_time_col].name));
	else
		appendStringInfoString(&line, "is the arrival");
	if (stream->has_watermark && stream->watermark_us == 0)
		appendStringInfoString(&line, ", watermark right behind it");
	else if (stream->has_watermark)
		appendStringInfo(&line, ", watermark %s behind it",
						 sx_describe_interval(stream->watermark_us));
	else
		appendStringInfoString(&line, ", no watermark");
	sx_describe(text, first ? "Streams" : "", "%s", line.data);
	if (sx_fold_processes(stream) < 2)
		return;
	if (not_apart)
		sx_describe(text, "", "parallelism: not used while this view reads the stream, as %s", not_apart);
	else
		sx_describe(text, "", "parallelism: up to %d processes read and fold it", sx_fold_processes(stream));
}

/* The text of a plan over a batch, or over tables. */
static char *
plan_text(const SxShape *shape, PlannedStmt *plan)
{
	SxScanInput input = {0};
	ExplainState *es = NewExplainState();
	QueryDesc  *desc;

	es->costs = false;
	input.streams = shape->streams;
	desc = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot,
						   None_Receiver, NULL, NULL, 0);
	sx_fdw_bind(&input);
	PG_TRY();
	{
		ExecutorStart(desc, EXEC_FLAG_EXPLAIN_ONLY);
		ExplainBeginOutput(es);
		ExplainPrintPlan(es, desc);
		ExplainEndOutput(es);
		ExecutorEnd(desc);
	}
	PG_FINALLY();
	{
		sx_fdw_bind(NULL);
	}
	PG_END_TRY();
	FreeQueryDesc(desc);
	return es->str->data;
}

static void
append_plan(StringInfo text, const char *title, const char *plan)
{
	const char *line = plan;

	appendStringInfo(text, "\n\n%s:", title);
	while (*line)
	{
		int			len = (int) strcspn(line, "\n");

		appendStringInfo(text, "\n  %.*s", len, line);
		line += len;
		if (*line)
			line++;
	}
}

/* For large and small batches, if they differ. */
static void
append_batch_plans(StringInfo text, const SxShape *shape, const char *of)
{
	char	   *big = plan_text(shape, sx_plan_batch(shape, 100000));
	char	   *small = plan_text(shape, sx_plan_batch(shape, 100));

	if (strcmp(big, small) == 0)
		append_plan(text, psprintf("Plan of a batch%s", of), big);
	else
	{
		append_plan(text, psprintf("Plan of a large batch%s", of), big);
		append_plan(text, psprintf("Plan of a small batch%s", of), small);
	}
}

/* Of a view that joins streams: a batch at each place of a stream. */
static void
append_join_plans(StringInfo text, const SxView *view, const SxJoined *joined, const char *of)
{
	const SxShape *shape = joined->shape;
	const SxJoin *join = shape->join;
	const Oid  *tables = sx_held_tables(sx_held_open(view, joined));
	int			i;

	for (i = 0; i < join->nsides; i++)
	{
		append_plan(text, psprintf("Plan of a batch of %s%s", join->sides[i].name, of),
					plan_text(shape, sx_plan_join_pairs(shape, i, tables, false, 100)));
		if (join->sides[i].preserved)
			append_plan(text, psprintf("Plan of rows of %s without a partner%s", join->sides[i].name, of),
						plan_text(shape, sx_plan_join_pairs(shape, i, tables, true, 100)));
	}
}

/* Of a derived view: into each hidden table, and over them. */
static void
append_derived_plans(StringInfo text, const SxView *view, const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	Oid		   *tables = palloc(sizeof(Oid) * Max(d->ncores, 1));
	ListCell   *lc;
	int			i;

	if (list_length(view->parts) != sx_plan_count_parts(shape))
		return;
	for (i = 0; i < d->ncores; i++)
		tables[i] = d->cores[i].source;
	for (i = 0; i < d->nkept; i++)
	{
		tables[i] = list_nth_oid(view->parts, 2 * i);
		if (d->cores[i].shape->join == NULL)
			append_batch_plans(text, d->cores[i].shape,
							   psprintf(", into hidden table %d", i + 1));
		foreach(lc, sx_plan_joined(shape))
		{
			const SxJoined *joined = lfirst(lc);

			if (joined->core == i)
				append_join_plans(text, view, joined,
								  psprintf(", into hidden table %d", i + 1));
		}
	}
	append_plan(text, d->nkept > 0 ? "Plan over the hidden tables" : "Plan over the results it reads",
				plan_text(shape, sx_plan_derive(shape, tables,
												d->closing ? SX_DERIVE_RANGE :
												d->nparts > 0 ? SX_DERIVE_PARTS : SX_DERIVE_ALL,
												NULL)));
}

static void
describe_emit(StringInfo text, const SxView *view, const SxShape *shape)
{
	if (shape->strategy == SX_STRATEGY_APPEND)
		sx_describe(text, "Emit", shape->sliding ?
					"rows appear within %s, and leave" : "rows appear within %s, and stay",
					sx_describe_interval(view->batch_interval_us));
	else if (view->final)
		sx_describe(text, "Emit", "final: a row appears once, when its window closes");
	else
		sx_describe(text, "Emit", "update: rows change within %s",
					sx_describe_interval(view->batch_interval_us));
	if (view->final_column)
		sx_describe(text, "", "%s is true once the row's window has closed",
					quote_identifier(view->final_column));
	if (OidIsValid(view->sink))
		sx_describe(text, "Sink", "%s",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(view->sink)),
											   get_rel_name(view->sink)));
	if (OidIsValid(view->outbox))
		sx_describe(text, "", "each row exactly once, by way of %s%s%s%s%s",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(view->outbox)),
											   get_rel_name(view->outbox)),
					view->key ? "; key " : "",
					view->key ? quote_identifier(view->key) : "",
					view->partition_by ? "; partition by " : "",
					view->partition_by ? quote_identifier(view->partition_by) : "");
	if (view->notify)
		sx_describe(text, "Notify", "channel %s, once per batch that changes rows",
					quote_identifier(view->notify));
}

/* streamx.explain(view regclass) returns text */
Datum
streamx_explain(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	StringInfoData text;
	SxOwnerScope scope;
	SxViewCounters counters;
	SxView	   *view;
	SxShape    *shape;
	Relation	rel;
	const char *not_apart;
	ListCell   *lc;
	bool		first = true;

	sx_worker_require_preloaded();
	sx_ddl_check_readable_view(relid);
	rel = table_open(relid, AccessShareLock);
	view = sx_view_get(relid);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", relid),
				 errhint("streamx.views lists the continuous views.")));
	sx_owner_enter(view, &scope);
	PushActiveSnapshot(GetLatestSnapshot());
	shape = sx_plan_analyze(sx_plan_stored_query(view->query), view->name);
	if (view->sources && view->final)
		sx_plan_find_closing(shape, view->name);
	not_apart = sx_plan_not_apart(view, shape);
	sx_view_counters(relid, &counters);

	initStringInfo(&text);
	sx_describe(&text, "View", "%s", view->name);
	foreach(lc, view->streams)
	{
		describe_stream(&text, lfirst_oid(lc), not_apart, first);
		first = false;
	}
	if (counters.watermark_us != PG_INT64_MIN)
		sx_describe(&text, "Watermark", "%s", timestamptz_to_str(counters.watermark_us));
	sx_plan_describe(&text, view, shape);
	describe_emit(&text, view, shape);
	sx_result_describe(&text, view, shape);
	if (shape->derivation)
		append_derived_plans(&text, view, shape);
	else if (shape->join)
		append_join_plans(&text, view, linitial(sx_plan_joined(shape)), "");
	else
		append_batch_plans(&text, shape, "");

	PopActiveSnapshot();
	sx_owner_leave(&scope);
	table_close(rel, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(text.data));
}
