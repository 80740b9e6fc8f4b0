/*-------------------------------------------------------------------------
 * describe.c
 *		How a view is maintained, in words: for streamx.explain().
 *
 * Whoever adds a way to maintain queries says here what a user would want to
 * know of it: what is done with a batch, what is kept, when it goes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "plan/closing.h"
#include "plan/describe.h"

#define LABEL_WIDTH 12

void
sx_describe(StringInfo text, const char *label, const char *fmt,...)
{
	va_list		args;
	int			needed;

	if (text->len > 0)
		appendStringInfoChar(text, '\n');
	appendStringInfo(text, "%s%s", label, *label ? ":" : "");
	appendStringInfoSpaces(text, LABEL_WIDTH - (int) strlen(label) - (*label ? 1 : 0));
	for (;;)
	{
		va_start(args, fmt);
		needed = appendStringInfoVA(text, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(text, needed);
	}
}

static char *
interval_text(const Interval *span)
{
	return DatumGetCString(DirectFunctionCall1(interval_out,
											   IntervalPGetDatum(unconstify(Interval *, span))));
}

char *
sx_describe_interval(int64 us)
{
	Interval   *span = palloc0(sizeof(Interval));

	span->time = us;
	return interval_text(DatumGetIntervalP(DirectFunctionCall1(interval_justify_hours,
															   IntervalPGetDatum(span))));
}

/* Name of the result's column. */
static const char *
column_name(const SxView *view, int resno)
{
	return quote_identifier(get_attname(view->relid, resno, false));
}

static char *
key_names(const SxView *view, const SxKey *keys, int nkeys)
{
	StringInfoData names;
	int			i;

	initStringInfo(&names);
	for (i = 0; i < nkeys; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 column_name(view, keys[i].resno));
	return names.data;
}

/* An aggregate as one would speak of it. */
static char *
aggregate_text(const Aggref *aggref)
{
	const char *inside = "...";

	if (aggref->aggstar)
		inside = "*";
	else if (aggref->aggdistinct)
		inside = "DISTINCT ...";
	else if (aggref->aggorder && aggref->aggkind == 'n')
		inside = "... ORDER BY ...";
	return psprintf("%s(%s)", get_func_name(aggref->aggfnoid), inside);
}

/* ---- strategy ---- */

static void
describe_strategy(StringInfo text, const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	List	   *said = NIL;
	int			i;

	switch (shape->strategy)
	{
		case SX_STRATEGY_APPEND:
			sx_describe(text, "Strategy", shape->sliding ?
						"append: each row of the stream becomes rows of the table, with when they leave beside it" :
						"append: each row of the stream becomes rows of the table, nothing else is kept");
			break;
		case SX_STRATEGY_MERGE:
			if (shape->sliding)
				sx_describe(text, "Strategy", "merge: a batch is aggregated by itself and slices of time, its states are kept; groups are merged from them");
			else if (shape->npartials == 0)
				sx_describe(text, "Strategy", "merge: the first row of a group makes its row, later ones change nothing");
			else
				sx_describe(text, "Strategy", "merge: a batch is aggregated by itself, its states are merged with those that are kept");
			if (shape->nsets > 0)
				sx_describe(text, "", "DISTINCT: the values of a group are kept, those that are new go into its states");
			break;
		case SX_STRATEGY_RECOMPUTE:
			sx_describe(text, "Strategy", "recompute: rows are kept, the groups that a batch touches are computed again");
			for (i = 0; i < shape->naggregates; i++)
			{
				const char *reason = sx_plan_not_mergeable(shape, shape->aggregates[i].aggref);
				String	   *line;

				if (reason == NULL)
					continue;
				line = makeString(psprintf("because of %s: %s",
										   aggregate_text(shape->aggregates[i].aggref), reason));
				if (list_member(said, line))
					continue;
				said = lappend(said, line);
				sx_describe(text, "", "%s", strVal(line));
			}
			break;
		case SX_STRATEGY_DERIVE:
			if (d->nkept == 0)
			{
				sx_describe(text, "Strategy", d->closing ?
							"cascade: the query runs over those windows of the views it reads that have closed, once" :
							"cascade: right after the views it reads have taken a batch in, the query runs over what changed in them");
				for (i = 0; i < d->ncores; i++)
					sx_describe(text, i == 0 ? "Sources" : "", "%s",
								quote_qualified_identifier(get_namespace_name(get_rel_namespace(d->cores[i].source)),
														   get_rel_name(d->cores[i].source)));
				return;
			}
			sx_describe(text, "Strategy", "derive: what is below is kept in hidden tables, the rest of the query runs over them");
			for (i = 0; i < d->ncores; i++)
			{
				const SxShape *core = d->cores[i].shape;

				sx_describe(text, "", "hidden table %d: %s", i + 1,
							core->strategy == SX_STRATEGY_APPEND ? "rows as they are" :
							core->strategy == SX_STRATEGY_MERGE ? "groups, by merge" : "groups, by recompute");
			}
			return;
	}
	if (shape->initial_query && shape->grouped)
		sx_describe(text, "", "the row of the empty grouping set is there before any input");
	else if (shape->strategy != SX_STRATEGY_APPEND && !shape->grouped)
		sx_describe(text, "", "one row, there before any input");
	if (shape->seed_query)
		sx_describe(text, "", "branches over tables were taken in once, at CREATE");
	if (shape->having)
		sx_describe(text, "", "rows whose group does not satisfy HAVING are taken away until it does");
}

/* ---- joins of streams ---- */

static void
describe_joins(StringInfo text, const List *places)
{
	bool		timed = false;
	ListCell   *lc;

	if (places == NIL)
		return;
	sx_describe(text, "Join", "a batch is joined with the rows that are held of the other streams, then held itself");
	foreach(lc, places)
	{
		const SxJoined *joined = lfirst(lc);
		const SxJoin *join = joined->shape->join;
		const char *into = joined->core < 0 ? "" : psprintf(", into hidden table %d", joined->core + 1);
		int			i;

		for (i = 0; i < join->nsides; i++)
		{
			const SxJoinSide *side = &join->sides[i];

			timed |= side->timed;
			sx_describe(text, "", "%s%s: held %s%s", side->name, into,
						side->expires ? "until the watermark shows that nothing can match any more" : "for ever",
						side->preserved ? "; rows without a partner come then" : "");
		}
	}
	if (timed)
		sx_describe(text, "", "rows whose event time is behind the watermark are late");
}

/* ---- windows ---- */

static void
describe_window(StringInfo text, const SxView *view, const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	const SxWindow *window = shape->window;
	const char *kind = "fixed";
	const char *column;

	if (d && d->closing)
	{
		window = d->closing->window;
		sx_describe(text, "Window", "%s%s, in column %s (its %s)",
					window->kind == SX_WINDOW_CUMULATE ? "up to " : "", interval_text(&window->size),
					column_name(view, d->closing->column),
					window->kind == SX_WINDOW_CUMULATE ? "end" : "start");
		sx_describe(text, "", "closes when all windows in it of the views that are read have closed%s%s",
					view->lateness_us > 0 ? ", and the watermark has passed its end by " : "",
					view->lateness_us > 0 ? sx_describe_interval(view->lateness_us) : "");
		return;
	}
	if (d && d->nkept == 0)
	{
		sx_describe(text, "Window", "none that closes: rows are as those of the sources are");
		return;
	}
	if (d && d->window == NULL)
	{
		sx_describe(text, "Window", shape->sliding ? "sliding: rows leave as time passes, without new input" :
					"none that closes: hidden rows are kept for ever");
		return;
	}
	if (shape->sliding)
	{
		sx_describe(text, "Window", "sliding: rows leave as time passes, without new input");
		return;
	}
	if (window == NULL)
	{
		if (shape->strategy == SX_STRATEGY_APPEND)
			return;
		sx_describe(text, "Window", shape->grouped ?
					"none that closes: groups are kept for ever" : "none: one group is kept for ever");
		if (shape->session)
			sx_describe(text, "", "sessions of %s end after %s of silence, but no watermark tells when",
						column_name(view, shape->keys[shape->session->key].resno),
						sx_describe_interval(shape->session->gap_us));
		return;
	}
	column = column_name(view, d ? d->parts[d->window_part].resno :
						 shape->keys[shape->window_key].resno);
	if (shape->session)
		sx_describe(text, "Window", "session %s: ends after %s of silence", column,
					sx_describe_interval(shape->session->gap_us));
	else
	{
		if (window->kind == SX_WINDOW_HOP)
			kind = "hopping";
		else if (window->kind == SX_WINDOW_CUMULATE)
			kind = "growing";
		sx_describe(text, "Window", "%s, %s%s, in column %s (its %s)", kind,
					window->kind == SX_WINDOW_CUMULATE ? "up to " : "",
					interval_text(&window->size), column,
					window->kind == SX_WINDOW_CUMULATE ? "end" : "start");
	}
	if (view->lateness_us > 0)
		sx_describe(text, "", "closes when the watermark has passed its end by %s",
					sx_describe_interval(view->lateness_us));
	else
		sx_describe(text, "", "closes when the watermark has passed its end");
	if (shape->panes)
		sx_describe(text, "", "kept by panes of %s, which windows share",
					sx_describe_interval(shape->panes->pane_us));
	if (shape->window_partial)
		sx_describe(text, "", "grouping sets without the window never close");
	sx_describe(text, "Late rows", view->keep_late ? "counted and kept in streamx.late_rows" : "counted and dropped");
	if (view->period_us > 0)
		sx_describe(text, "Result", "partitioned by %s of %s", sx_describe_interval(view->period_us), column);
	if (view->has_retention && view->period_us > 0)
		sx_describe(text, "Retention", "partitions whose windows all ended %s before the watermark are dropped",
					sx_describe_interval(view->retention_us));
	else if (view->has_retention)
		sx_describe(text, "Retention", "rows of windows that ended %s before the watermark are removed",
					sx_describe_interval(view->retention_us));
}

void
sx_plan_describe(StringInfo text, const SxView *view, const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;

	describe_strategy(text, shape);
	describe_joins(text, sx_plan_joined(shape));
	if (shape->nkeys > 0)
		sx_describe(text, "Key", "%s", key_names(view, shape->keys, shape->nkeys));
	if (d && d->closing)
		;						/* its windows are */
	else if (d && d->nparts > 0)
		sx_describe(text, "Partitions", "by %s: those that a batch touches are derived again",
					key_names(view, d->parts, d->nparts));
	else if (d)
		sx_describe(text, "Partitions", "none: the whole result is derived again with each batch");
	if (d && d->prune)
		sx_describe(text, "", "hidden rows that can no longer be in the result are removed");
	describe_window(text, view, shape);
}
