/*-------------------------------------------------------------------------
 * period.c
 *		Results that are partitioned by periods of their window: how they are
 *		made, and what they cannot be combined with.
 *
 * The table has no partitions at first: batches make those that they need,
 * see result/leaf.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "catalog/view.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "plan/plan.h"

#define OPTION "streamx.partition_period"

static void
refuse(const char *name, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot maintain continuous view \"%s\"", name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

void
sx_ddl_check_period(const SxView *view, const SxShape *shape, const char *name)
{
	const SxKey *key;

	if (view->period_us == 0)
		return;
	if (shape->strategy == SX_STRATEGY_APPEND || shape->strategy == SX_STRATEGY_DERIVE)
		refuse(name, shape->strategy == SX_STRATEGY_APPEND ?
			   "Option partition_period needs groups of windows, but the query appends rows." :
			   "Option partition_period needs groups of windows that a batch merges into, but rows of this query are derived from other rows.",
			   "Group by tumble(event_time, size), or leave the option out.");
	if (shape->session)
		refuse(name, "Option partition_period needs windows that stay where they are, but the start of a session moves as rows come in.",
			   "Use another window, or leave the option out.");
	if (shape->window == NULL)
		refuse(name, "Option partition_period needs windows that close, but no grouping column is a window over the event time of a stream that has a watermark.",
			   "Give the stream the options event_time and watermark and group by tumble(event_time, size), or leave the option out.");
	if (shape->window_partial)
		refuse(name, "Option partition_period needs each row to have a window, but some grouping sets are without it.",
			   "Put the window into every grouping set, as in GROUP BY window, ROLLUP (...), or leave the option out.");
	if (OidIsValid(view->sink))
		refuse(name, "Option partition_period cannot be combined with a sink.",
			   "Leave one of the options out.");
	key = &shape->keys[shape->window_key];
	if (key->typid != TIMESTAMPTZOID && key->typid != TIMESTAMPOID)
		refuse(name, "Option partition_period needs a window column of type timestamptz or timestamp.",
			   "Leave the option out.");
}

/* The partitions are made as the extension sees fit. */
void
sx_ddl_check_storage(const SxView *view, const List *options, const char *name)
{
	if (view->period_us > 0 && options != NIL)
		refuse(name, "A partitioned result has no storage parameters of its own.",
			   "Leave them out, and set those of its partitions.");
}

static bool
partitioned_walker(Node *node, Oid *view)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		const RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_PARTITIONED_TABLE &&
			sx_view_is(rte->relid))
			*view = rte->relid;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, partitioned_walker, view,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, partitioned_walker, view);
}

void
sx_ddl_check_sources(Query *query, const char *name)
{
	Oid			view = InvalidOid;

	(void) partitioned_walker((Node *) query, &view);
	if (OidIsValid(view))
		refuse(name, psprintf("It reads continuous view \"%s\", whose result is partitioned.",
							  get_rel_name(view)),
			   "Read a view without the option partition_period.");
}

void
sx_ddl_check_period_replace(const SxView *view, const SxView *next)
{
	if (view == NULL || (view->period_us == 0 && next->period_us == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot replace continuous view %s", view->name),
			 view->period_us > 0 ?
			 errdetail("Its result is partitioned (option %s).", OPTION) :
			 errdetail("Its result is not partitioned (option %s), and a table cannot become so.", OPTION),
			 errhint("Drop the continuous view and create it anew.")));
}

PartitionSpec *
sx_ddl_partition_spec(const SxView *view, const SxShape *shape, List *columns)
{
	PartitionSpec *spec;
	PartitionElem *elem;

	if (view->period_us == 0)
		return NULL;
	elem = makeNode(PartitionElem);
	elem->name = pstrdup(list_nth_node(ColumnDef, columns,
									   shape->keys[shape->window_key].resno - 1)->colname);
	elem->location = -1;
	spec = makeNode(PartitionSpec);
	spec->strategy = SX_PARTITION_BY_RANGE;
	spec->partParams = list_make1(elem);
	spec->location = -1;
	return spec;
}

/* Rows are written to the partitions, which have the triggers of rows only. */
void
sx_ddl_check_trigger(const CreateTrigStmt *stmt)
{
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);

	if (stmt->row || !OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE ||
		!sx_view_is(relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot create a statement trigger on continuous view \"%s\"", get_rel_name(relid)),
			 errdetail("Its result is partitioned."),
			 errhint("Create it FOR EACH ROW.")));
}
