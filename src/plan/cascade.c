/*-------------------------------------------------------------------------
 * cascade.c
 *		Continuous views over the results of other continuous views.
 *
 * Where no stream is in FROM, but the result table of a continuous view is,
 * that table is a core which is there already: the whole query is the outer
 * query over it.  What the other view's writing changes there touches the
 * partitions that are derived again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/view.h"
#include "compat.h"
#include "plan/derive.h"
#include "plan/refuse.h"

static bool
is_source(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_RELATION &&
		sx_view_is(rte->relid);
}

static bool
count_walker(Node *node, int *n)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		*n += is_source((RangeTblEntry *) node);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, count_walker, n, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, count_walker, n);
}

int
sx_plan_count_sources(Query *query)
{
	int			n = 0;

	(void) count_walker((Node *) query, &n);
	return n;
}

/* The number of the use. */
static Oid
make_use(SxDeriveContext *cxt, Oid source)
{
	SxCoreDraft *core;
	int			number = 0;
	ListCell   *lc;

	foreach(lc, cxt->cores)
	{
		if (((SxCoreDraft *) lfirst(lc))->view == source)
			break;
		number++;
	}
	if (number == list_length(cxt->cores))
	{
		core = palloc0(sizeof(SxCoreDraft));
		core->view = source;
		cxt->cores = lappend(cxt->cores, core);
	}
	cxt->uses = lappend_int(cxt->uses, number);
	return (Oid) list_length(cxt->uses);
}

static bool
cut_walker(Node *node, SxDeriveContext *cxt)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varattno < 0)
		SX_REFUSE(cxt->viewname, ("The query uses a system column."), ("Leave it out."));
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		check_stack_depth();
		if (query->rowMarks)
			SX_REFUSE(cxt->viewname, ("The query has FOR UPDATE or FOR SHARE."), ("Leave it out."));
		sx_plan_flatten_joins(query);
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (!is_source(rte))
				continue;
			if (rte->tablesample)
				SX_REFUSE(cxt->viewname, ("The result of a continuous view is sampled."),
						  ("Leave TABLESAMPLE out."));
			rte->relid = make_use(cxt, rte->relid);
			rte->relkind = SX_RELKIND_CORE;
		}
		return query_tree_walker(query, cut_walker, cxt, 0);
	}
	return expression_tree_walker(node, cut_walker, cxt);
}

void
sx_plan_cut_cascade(SxDeriveContext *cxt, Query *query)
{
	(void) cut_walker((Node *) query, cxt);
}

List *
sx_plan_source_core(SxCore *core, Oid source)
{
	Relation	rel = table_open(source, AccessShareLock);
	SxView	   *view = sx_view_get(source);
	int			i;

	core->source = source;
	core->ncolumns = RelationGetNumberOfAttributes(rel);
	core->columns = palloc0(sizeof(SxHeld) * Max(core->ncolumns, 1));
	for (i = 0; i < core->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		core->columns[i].typid = att->atttypid;
		core->columns[i].typmod = att->atttypmod;
		core->columns[i].collation = att->attcollation;
	}
	table_close(rel, NoLock);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", source),
				 errhint("streamx.views lists the continuous views.")));
	return view->streams;
}
