/*-------------------------------------------------------------------------
 * derive.c
 *		Queries with more above the grouping than a select list and HAVING.
 *
 * Such a query is cut in two.  Below are its cores: what analyze.c can fold
 * forward, a grouping (its keys and bare aggregates) or the rows themselves.
 * Each is kept in a hidden table as a view is.  Above them stands the outer
 * query, the rest of it as it was, over those tables:
 *
 *		SELECT w, k, n FROM (
 *			SELECT w, k, count(*) AS n,
 *				rank() OVER (PARTITION BY w ORDER BY count(*) DESC) AS r
 *			FROM stream GROUP BY w, k HAVING count(*) > 1) q
 *		WHERE r <= 3
 *
 *	core:	SELECT w, k, count(*) AS c FROM stream GROUP BY w, k
 *	outer:	SELECT w, k, n FROM (
 *			SELECT w, k, c AS n,
 *				rank() OVER (PARTITION BY w ORDER BY c DESC) AS r
 *			FROM core WHERE c > 1) q
 *		WHERE r <= 3
 *
 * After a batch the outer query is run for the partitions that have changed,
 * see partition.c; here w.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "plan/derive.h"
#include "plan/from.h"
#include "plan/refuse.h"
#include "plan/sliding.h"

/* ---- the key of the result ---- */

/* Grouping columns of the topmost level, if its groups are the result's rows. */
static void
result_keys(SxShape *shape, Query *query)
{
	ListCell   *lc;

	if (query->setOperations || query->groupingSets || query->distinctClause ||
		query->groupClause == NIL)
		return;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (expression_returns_set((Node *) tle->expr) &&
			get_sortgroupref_clause_noerr(tle->ressortgroupref, query->groupClause) == NULL)
			return;
	}
	shape->keys = palloc0(sizeof(SxKey) * list_length(query->groupClause));
	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);
		SxKey	   *key = &shape->keys[shape->nkeys++];

		if (tle->resjunk || !OidIsValid(clause->sortop))
		{
			shape->nkeys = 0;
			return;
		}
		key->resno = tle->resno;
		key->typid = exprType((Node *) tle->expr);
		key->typmod = exprTypmod((Node *) tle->expr);
		key->collation = exprCollation((Node *) tle->expr);
	}
	shape->grouped = true;
}

/* Those that are partition columns come first. */
static void
order_keys(SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	SxKey	   *ordered = palloc0(sizeof(SxKey) * Max(shape->nkeys, 1));
	int			n = 0;
	int			pass;
	int			i;
	int			k;

	for (pass = 0; pass < 2; pass++)
	{
		for (i = 0; i < shape->nkeys; i++)
		{
			bool		part = false;

			for (k = 0; k < d->nparts; k++)
				part |= d->parts[k].resno == shape->keys[i].resno;
			if (part == (pass == 0))
				ordered[n++] = shape->keys[i];
		}
	}
	shape->keys = ordered;
}

/* ---- partitions and cores ---- */

/* Are these of the core's row (varno 1) grouping columns, or rows? */
static bool
is_good_partition(const SxDeriveContext *cxt, const SxPartition *part)
{
	int			use;

	for (use = 0; use < list_length(cxt->uses); use++)
	{
		const SxCoreDraft *core = list_nth(cxt->cores, list_nth_int(cxt->uses, use));
		List	   *vars = pull_var_clause((Node *) part->uses[use], 0);
		ListCell   *lc;

		foreach(lc, vars)
		{
			if (core->aggregated && lfirst_node(Var, lc)->varattno > core->nkeys)
				return false;
		}
	}
	return true;
}

/* An expression over a core's row as one over what the core is made from. */
static Node *
substitute_mutator(Node *node, SxCoreDraft *core)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return copyObject((Node *) list_nth_node(TargetEntry, core->query->targetList,
												 ((Var *) node)->varattno - 1)->expr);
	return expression_tree_mutator(node, substitute_mutator, (void *) core);
}

/* Tables of other views get no columns for it. */
static bool
is_found_in_sources(const SxDeriveContext *cxt, const SxPartition *part)
{
	int			use;

	for (use = 0; use < list_length(cxt->uses); use++)
	{
		const SxCoreDraft *core = list_nth(cxt->cores, list_nth_int(cxt->uses, use));

		if (OidIsValid(core->view) && !IsA(part->uses[use], Var))
			return false;
	}
	return true;
}

#define MAX_PARTS 4

static void
choose_partitions(SxDeriveContext *cxt, SxDerivation *d, Query *outer)
{
	List	   *found = sx_plan_partitions(cxt, outer);
	List	   *chosen = NIL;
	ListCell   *lc;
	int			use;

	d->traced = list_copy(found);

	foreach(lc, found)
	{
		SxPartition *part = lfirst(lc);
		TypeCacheEntry *type = lookup_type_cache(exprType((Node *) part->expr),
												 TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR);

		if (!OidIsValid(type->lt_opr) || !OidIsValid(type->eq_opr) ||
			!OidIsValid(get_array_type(exprType((Node *) part->expr))))
			found = foreach_delete_current(found, lc);
		else if (!is_found_in_sources(cxt, part))
			found = foreach_delete_current(found, lc);
		else if (is_good_partition(cxt, part))
			chosen = lappend(chosen, part);
	}
	if (chosen == NIL)
		chosen = found;
	chosen = list_truncate(chosen, MAX_PARTS);

	d->nparts = list_length(chosen);
	d->parts = palloc0(sizeof(SxKey) * Max(d->nparts, 1));
	d->nuses = list_length(cxt->uses);
	d->uses = palloc0(sizeof(SxCoreUse) * d->nuses);
	for (use = 0; use < d->nuses; use++)
	{
		d->uses[use].core = list_nth_int(cxt->uses, use);
		d->uses[use].part = palloc0(sizeof(AttrNumber) * Max(d->nparts, 1));
	}
	foreach(lc, chosen)
	{
		SxPartition *part = lfirst(lc);
		int			i = foreach_current_index(lc);
		SxKey	   *key = &d->parts[i];

		key->resno = part->resno;
		key->typid = exprType((Node *) part->expr);
		key->typmod = exprTypmod((Node *) part->expr);
		key->collation = exprCollation((Node *) part->expr);
		key->expr = part->expr;
		for (use = 0; use < d->nuses; use++)
		{
			SxCoreDraft *core = list_nth(cxt->cores, d->uses[use].core);
			Node	   *expr = (Node *) part->uses[use];

			/* what is computed from columns becomes one */
			d->uses[use].part[i] = IsA(expr, Var) ? ((Var *) expr)->varattno :
				sx_core_column(core, (Expr *) substitute_mutator(expr, core));
		}
	}
}

/* Partition columns lead the key of a core, whose index finds them then. */
static List *
lead_with(SxCoreDraft *core, const SxCoreUse *use, int nparts)
{
	List	   *first = NIL;
	List	   *rest = NIL;
	bool		all_keys = core->nkeys > 0;
	List	   *columns = NIL;
	ListCell   *lc;
	int			i;

	for (i = 0; i < nparts; i++)
	{
		columns = list_append_unique_int(columns, use->part[i]);
		all_keys &= use->part[i] <= core->nkeys;
	}
	if (columns == NIL || !all_keys)
		return columns;
	foreach(lc, core->query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);

		if (list_member_int(columns, clause->tleSortGroupRef))
			first = lappend(first, clause);
		else
			rest = lappend(rest, clause);
	}
	core->query->groupClause = list_concat(first, rest);
	return NIL;
}

static void
make_cores(SxDeriveContext *cxt, SxDerivation *d, SxShape *shape)
{
	ListCell   *lc;
	int			use;

	d->ncores = list_length(cxt->cores);
	d->cores = palloc0(sizeof(SxCore) * Max(d->ncores, 1));
	foreach(lc, cxt->cores)
	{
		SxCoreDraft *draft = lfirst(lc);
		int			number = foreach_current_index(lc);
		SxCore	   *core = &d->cores[number];
		List	   *windows = NIL;
		ListCell   *lt;

		if (OidIsValid(draft->view))
		{
			shape->streams = list_concat_unique_oid(shape->streams,
													sx_plan_source_core(core, draft->view));
			continue;
		}
		d->nkept++;
		for (use = d->nuses - 1; use >= 0; use--)
		{
			int			i;

			if (d->uses[use].core != number)
				continue;
			core->index_columns = lead_with(draft, &d->uses[use], d->nparts);
			for (i = 0; i < d->nparts; i++)
				windows = list_append_unique_int(windows, d->uses[use].part[i]);
		}
		draft->query->hasAggs = contain_aggs_of_level((Node *) draft->query->targetList, 0);
		draft->query->hasSubLinks = checkExprHasSubLink((Node *) draft->query->targetList) ||
			checkExprHasSubLink((Node *) draft->query->jointree);
		core->ncolumns = list_length(draft->query->targetList);
		core->columns = palloc0(sizeof(SxHeld) * core->ncolumns);
		foreach(lt, draft->query->targetList)
		{
			Expr	   *expr = lfirst_node(TargetEntry, lt)->expr;
			SxHeld	   *column = &core->columns[foreach_current_index(lt)];

			column->expr = copyObject(expr);
			column->typid = exprType((Node *) expr);
			column->typmod = exprTypmod((Node *) expr);
			column->collation = exprCollation((Node *) expr);
		}
		core->shape = sx_plan_core(draft->query, cxt->viewname, windows, &core->window_column);
		shape->streams = list_concat_unique_oid(shape->streams, core->shape->streams);

		/*
		 * its windows have to be looked after, whether or not partitions
		 * close
		 */
		if (core->shape->window)
			shape->window = core->shape->window;
		if (core->shape->sliding)
			shape->sliding = core->shape->sliding;
	}
}

static bool
same_window(const SxWindow *a, const SxWindow *b)
{
	return a->kind == b->kind && a->tz == b->tz &&
		a->size.time == b->size.time && a->size.day == b->size.day &&
		a->size.month == b->size.month &&
		(a->zone == b->zone || (a->zone && b->zone && strcmp(a->zone, b->zone) == 0));
}

/* Is a partition column the window of every core? */
static void
find_window(SxDerivation *d)
{
	int			i;
	int			use;

	d->window_part = -1;
	for (i = 0; d->nkept > 0 && i < d->nparts && d->window_part < 0; i++)
	{
		const SxWindow *window = NULL;

		for (use = 0; use < d->nuses; use++)
		{
			const SxCore *core = &d->cores[d->uses[use].core];

			if (core->shape->window == NULL || core->window_column != d->uses[use].part[i] ||
				(window && !same_window(window, core->shape->window)))
				break;
			window = core->shape->window;
		}
		if (use == d->nuses && window)
		{
			d->window_part = i;
			d->window = unconstify(SxWindow *, window);
		}
	}
}

/* ---- joins of streams ---- */

List *
sx_plan_joined(const SxShape *shape)
{
	const SxDerivation *d = shape->derivation;
	int			ncores = d ? d->nkept : 0;
	int			nsides = 0;
	List	   *result = NIL;
	ListCell   *lc;
	int			i;

	for (i = d ? 0 : -1; i < ncores; i++)
	{
		const SxShape *core = i < 0 ? shape : d->cores[i].shape;
		SxJoined   *joined;

		if (core->join == NULL)
			continue;
		joined = palloc(sizeof(SxJoined));
		joined->shape = core;
		joined->core = i;
		joined->first = 2 * ncores + nsides;
		joined->number = nsides;
		nsides += core->join->nsides;
		result = lappend(result, joined);
	}
	foreach(lc, result)
		((SxJoined *) lfirst(lc))->nparts = 2 * ncores + nsides;
	return result;
}

int
sx_plan_count_parts(const SxShape *shape)
{
	List	   *joined = sx_plan_joined(shape);

	if (joined != NIL)
		return ((SxJoined *) linitial(joined))->nparts;
	return shape->derivation ? 2 * shape->derivation->nkept : 0;
}

/* What a view's rule has in its range table and the query as typed has not. */
static void
drop_rule_entries(Query *query)
{
	const RangeTblEntry *first = linitial_node(RangeTblEntry, query->rtable);
	int			i;

	if (list_length(query->rtable) < 2 || first->relkind != RELKIND_VIEW || first->inFromCl)
		return;
	for (i = 0; i < 2; i++)
		query->rtable = list_delete_first(query->rtable);
	OffsetVarNodes((Node *) query, -2, 0);
}

void
sx_plan_make_derivation(SxShape *shape, Query *query, const char *viewname)
{
	SxDeriveContext cxt = {0};
	SxDerivation *d = palloc0(sizeof(SxDerivation));
	bool		cascade = sx_plan_count_streams((Node *) query) == 0;
	const char *clock;

	cxt.viewname = viewname;
	drop_rule_entries(query);
	sx_plan_inline(query, true);
	shape->strategy = SX_STRATEGY_DERIVE;
	shape->window_key = -1;
	shape->derivation = d;
	result_keys(shape, query);
	if (cascade)
		sx_plan_cut_cascade(&cxt, query);
	else
		sx_plan_cut(&cxt, query);
	if (sx_plan_count_streams((Node *) query) > 0)
		SX_REFUSE(viewname, ("A stream is used where its rows cannot be followed."),
				  ("Put the stream into FROM."));

	if (sx_plan_reads_clock((Node *) query, &clock) && cascade)
		SX_REFUSE(viewname, ("The query reads the clock (%s) over the result of another continuous view.", clock),
				  ("Let the clock bound the rows of that view, or use the time of its rows."));
	if (sx_plan_reads_clock((Node *) query, &clock))
		SX_REFUSE(viewname, ("The query reads the clock (%s) above a grouping.", clock),
				  ("Use the event time or the arrival time of the row; the clock may bound these in the WHERE below the grouping."));

	/* order means nothing to a table */
	if (!query->limitCount && !query->limitOffset && !query->hasDistinctOn)
		query->sortClause = NIL;
	d->outer = query;
	choose_partitions(&cxt, d, query);
	make_cores(&cxt, d, shape);
	find_window(d);
	if (d->nkept > 0)
		sx_plan_find_prune(d, query);
	order_keys(shape);
}
