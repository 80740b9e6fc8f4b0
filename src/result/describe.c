/*-------------------------------------------------------------------------
 * describe.c
 *		What is kept of a view, in words: for streamx.explain().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "optimizer/plancat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "plan/describe.h"
#include "result/open.h"

static int64
bytes_of(Oid relid)
{
	return DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relid)));
}

static const char *
size_text(int64 bytes)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes)));
}

static const char *
relation_size(Oid relid)
{
	return size_text(bytes_of(relid));
}

static double
estimated_rows(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	BlockNumber pages;
	double		tuples;
	double		allvisible;

	estimate_rel_size(rel, NULL, &pages, &tuples, &allvisible);
	table_close(rel, AccessShareLock);
	return tuples;
}

void
sx_result_describe(StringInfo text, const SxView *view, const SxShape *shape)
{
	const char *what;
	ListCell   *lc;

	if (!OidIsValid(view->state))
		what = NULL;
	else if (shape->nheld > 0 || shape->strategy == SX_STRATEGY_RECOMPUTE)
		what = "a row for each row taken in";
	else if (shape->panes)
		what = "a row for each pane of a group";
	else
		what = "a row for each group";
	foreach(lc, list_length(view->parts) == sx_plan_count_parts(shape) ? sx_plan_joined(shape) : NIL)
	{
		const SxJoined *joined = lfirst(lc);
		const SxJoin *join = joined->shape->join;

		for (int i = 0; i < join->nsides; i++)
		{
			Oid			table = list_nth_oid(view->parts, joined->first + i);

			sx_describe(text, joined->number + i == 0 ? "Held" : "", "%s: rows of %s, about %.0f, %s",
						get_rel_name(table), join->sides[i].name,
						estimated_rows(table), relation_size(table));
		}
	}
	if (view->parts != NIL && shape->derivation)
	{
		int64		size = 0;

		foreach(lc, list_truncate(list_copy(view->parts), 2 * shape->derivation->nkept))
		{
			if (OidIsValid(lfirst_oid(lc)))
				size += bytes_of(lfirst_oid(lc));
		}
		sx_describe(text, "State", "hidden tables and their states%s",
					shape->derivation && shape->derivation->window ? ", until the window of a row closes" : "");
		sx_describe(text, "", "%s", size_text(size));
	}
	else if (what == NULL)
		sx_describe(text, "State", "none");
	else
	{
		sx_describe(text, "State", "%s: %s%s", get_rel_name(view->state), what,
					shape->window ? ", until its window closes" : "");
		sx_describe(text, "", "about %.0f rows, %s", estimated_rows(view->state),
					relation_size(view->state));
	}
	for (int i = 0; i < list_length(view->value_sets); i++)
		sx_describe(text, i == 0 ? "Values" : "", "%s: a row for each value that a DISTINCT aggregate has seen in a group, about %.0f rows, %s",
					get_rel_name(list_nth_oid(view->value_sets, i)),
					estimated_rows(list_nth_oid(view->value_sets, i)),
					relation_size(list_nth_oid(view->value_sets, i)));
	if (sx_open_suits(view, shape))
		sx_describe(text, "", "open windows are kept in memory where they can be read again after a restart");
	sx_describe(text, "Result", "about %.0f rows, %s", estimated_rows(view->relid), relation_size(view->relid));
}
