/*-------------------------------------------------------------------------
 * compat.h
 *		What differs between PostgreSQL 15, 16, 17 and 18.
 *
 * Each moved function has one name with the newest signature; the comment
 * says which version moved it.  The only file that names PG_VERSION_NUM.
 *-------------------------------------------------------------------------
 */
#ifndef SX_COMPAT_H
#define SX_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "streamx builds with PostgreSQL 15 to 18"
#endif

#include "nodes/parsenodes.h"

/* 16 moves VARDATA() and its like out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 gives it a name that stands first; below, the attribute may as well */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#include "executor/executor.h"

/* 16 tells which result relations there are; here there is none by that name */
#if PG_VERSION_NUM >= 160000
#define sx_eval_plan_qual_init(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1, NIL)
#else
#define sx_eval_plan_qual_init(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1)
#endif

/*
 * 18 puts the grouping expressions into a range table entry of their own, in
 * each query; below that they stand in the target list already.
 */
#if PG_VERSION_NUM >= 180000
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
static inline bool
sx_flatten_group_rte_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->hasGroupRTE)
		{
			query->targetList = (List *)
				flatten_group_exprs(NULL, query, (Node *) query->targetList);
			query->havingQual =
				flatten_group_exprs(NULL, query, query->havingQual);
			query->rtable = list_truncate(query->rtable,
										  list_length(query->rtable) - 1);
			query->hasGroupRTE = false;
		}
		return query_tree_walker(query, sx_flatten_group_rte_walker, context, 0);
	}
	return expression_tree_walker(node, sx_flatten_group_rte_walker, context);
}

static inline Query *
sx_flatten_group_rte(Query *query)
{
	(void) sx_flatten_group_rte_walker((Node *) query, NULL);
	return query;
}
#else
#define sx_flatten_group_rte(query) (query)
#endif

#include "optimizer/optimizer.h"

/* What a grouping column is, before and after the above. */
static inline Node *
sx_group_expr(Query *query, SortGroupClause *clause)
{
	Node	   *expr = (Node *) get_sortgroupclause_tle(clause, query->targetList)->expr;

#if PG_VERSION_NUM >= 180000
	if (query->hasGroupRTE && IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, query->rtable,
										   ((Var *) expr)->varno - 1);

		if (rte->rtekind == RTE_GROUP)
			expr = list_nth(rte->groupexprs, ((Var *) expr)->varattno - 1);
	}
#endif
	return expr;
}

/* A range table goes from one query to another; 16 moves rights out of it. */
static inline void
sx_move_permissions(Query *to, Query *from)
{
#if PG_VERSION_NUM >= 160000
	to->rteperminfos = from->rteperminfos;
	from->rteperminfos = NIL;
#endif
}

/* 18 drops ExecutorRun's execute_once; all rows, forward, once */
#if PG_VERSION_NUM >= 180000
#define sx_executor_run(desc) ExecutorRun(desc, ForwardScanDirection, 0)
#else
#define sx_executor_run(desc) ExecutorRun(desc, ForwardScanDirection, 0, true)
#endif

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#endif
#include "utils/rel.h"

/*
 * A range table of one relation to write to.  16 moves the columns into a
 * list of their own; 18 adds the set of relations that are not pruned.
 */
static inline void
sx_init_range_table(EState *estate, Relation rel, Bitmapset *updated)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *perms = NIL;

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&perms, rte)->updatedCols = updated;
#else
	rte->updatedCols = updated;
#endif
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(rte), perms, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, list_make1(rte), perms);
#else
	(void) perms;
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

#include "utils/lsyscache.h"

/* get_collation_isdeterministic() ERRORs for InvalidOid */
static inline bool
sx_collation_is_deterministic(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/*
 * 17 added fdw_restrictinfo to create_foreignscan_path(), 18 disabled_nodes.
 * A macro, so that optimizer/pathnode.h is the caller's affair.
 */
#if PG_VERSION_NUM >= 180000
#define sx_create_foreignscan_path create_foreignscan_path
#elif PG_VERSION_NUM >= 170000
#define sx_create_foreignscan_path(root, rel, target, rows, disabled_nodes, \
								   startup, total, pathkeys, outer, \
								   outerpath, restrictinfo, private) \
	create_foreignscan_path(root, rel, target, rows, startup, total, \
							pathkeys, outer, outerpath, restrictinfo, private)
#else
#define sx_create_foreignscan_path(root, rel, target, rows, disabled_nodes, \
								   startup, total, pathkeys, outer, \
								   outerpath, restrictinfo, private) \
	create_foreignscan_path(root, rel, target, rows, startup, total, \
							pathkeys, outer, outerpath, private)
#endif

/* As whom a scan reads its relation.  16 moved it into the plan node. */
#if PG_VERSION_NUM >= 160000
#define sx_foreign_scan_user(plan, estate) ((plan)->checkAsUser)
#else
#define sx_foreign_scan_user(plan, estate) \
	(exec_rt_fetch((plan)->scan.scanrelid, estate)->checkAsUser)
#endif

/* As whom a statement writes to a result relation; InvalidOid: current user. */
#if PG_VERSION_NUM >= 160000
#define sx_result_rel_user(rinfo, estate) ExecGetResultRelCheckAsUser(rinfo, estate)
#else
#define sx_result_rel_user(rinfo, estate) \
	((rinfo)->ri_RangeTableIndex > 0 ? \
	 exec_rt_fetch((rinfo)->ri_RangeTableIndex, estate)->checkAsUser : InvalidOid)
#endif

/* 18 moved ExplainState and ExplainProperty...() out of commands/explain.h */
#if PG_VERSION_NUM >= 180000
#include "commands/explain.h"
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#else
#include "commands/explain.h"
#endif

#include "storage/latch.h"
#include "utils/memutils.h"

/* 17 gives the set an owner; ours lives as long as the process */
#if PG_VERSION_NUM >= 170000
#define sx_create_wait_event_set(n) CreateWaitEventSet(NULL, n)
#else
#define sx_create_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, n)
#endif

#include "utils/wait_event.h"

/* 17 lets extensions name what they wait for */
#if PG_VERSION_NUM >= 170000
#define sx_new_wait_event(name) WaitEventExtensionNew(name)
#else
#define sx_new_wait_event(name) ((void) (name), PG_WAIT_EXTENSION)
#endif

/* index entries of a new row; 16 adds an argument for BRIN-only updates */
#if PG_VERSION_NUM >= 160000
#define sx_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL, false)
#else
#define sx_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL)
#endif

#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "utils/acl.h"

/* since 15.4: databases whose DROP was interrupted, which nobody can enter */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

/* 16 has one function for all kinds of objects */
#if PG_VERSION_NUM >= 160000
#define sx_class_ownercheck(oid, role) \
	object_ownercheck(RelationRelationId, oid, role)
#define sx_namespace_ownercheck(oid, role) \
	object_ownercheck(NamespaceRelationId, oid, role)
#define sx_database_ownercheck(oid, role) \
	object_ownercheck(DatabaseRelationId, oid, role)
#define sx_extension_ownercheck(oid, role) \
	object_ownercheck(ExtensionRelationId, oid, role)
#else
#define sx_class_ownercheck pg_class_ownercheck
#define sx_namespace_ownercheck pg_namespace_ownercheck
#define sx_database_ownercheck pg_database_ownercheck
#define sx_extension_ownercheck pg_extension_ownercheck
#endif

/* ERROR unless the user may read what the query itself names; 16 moved it */
#if PG_VERSION_NUM >= 160000
#define sx_check_permissions(query) \
	((void) ExecCheckPermissions((query)->rtable, (query)->rteperminfos, true))
#else
#define sx_check_permissions(query) \
	((void) ExecCheckRTPerms((query)->rtable, true))
#endif

#include "access/genam.h"

/* 18 lets a scan count its index searches */
#if PG_VERSION_NUM >= 180000
#define sx_index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define sx_index_beginscan index_beginscan
#endif

/* 18 asks whether a deferrable one will do */
#if PG_VERSION_NUM >= 180000
#define sx_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define sx_primary_key_index RelationGetPrimaryKeyIndex
#endif

#include "storage/proc.h"

/* Number of a process in shared memory.  17 took the field away. */
#if PG_VERSION_NUM >= 170000
#define sx_proc_number(proc) GetNumberFromPGProc(proc)
#else
#define sx_proc_number(proc) ((proc)->pgprocno)
#endif

/* Nobody's rights are asked for; 16 moved them out of the entry. */
#if PG_VERSION_NUM >= 160000
#define sx_clear_permissions(rte) ((void) ((rte)->perminfoindex = 0))
#else
static inline void
sx_clear_permissions(RangeTblEntry *rte)
{
	rte->requiredPerms = 0;
	rte->checkAsUser = InvalidOid;
	rte->selectedCols = NULL;
}
#endif

/*
 * Which outer joins may make a Var NULL; 16 notes it in the Var.
 * sx_remove_nulling: an outer join is to be an inner one, or one that leaves
 * all but "except" (a part of FROM, or NULL) as it is.
 */
#if PG_VERSION_NUM >= 160000
#include "optimizer/prep.h"
#include "rewrite/rewriteManip.h"
static inline void
sx_remove_nulling(Query *query, int rtindex, Node *except)
{
	Relids		relids = except ? get_relids_in_jointree(except, true, true) : NULL;

	*query = *(Query *) remove_nulling_relids((Node *) query,
											  bms_make_singleton(rtindex), relids);
}
#define sx_set_nulling(var, rtindex) \
	((void) ((var)->varnullingrels = bms_make_singleton(rtindex)))
#else
#define sx_remove_nulling(query, rtindex, except) ((void) 0)
#define sx_set_nulling(var, rtindex) ((void) 0)
#endif

/* 16 moved the rights that a query needs into a list of their own */
#if PG_VERSION_NUM >= 160000
#define sx_forget_permissions(query) ((query)->rteperminfos = NIL)
#define sx_copy_permissions(to, from) \
	((to)->rteperminfos = copyObject((from)->rteperminfos))
#else
#define sx_forget_permissions(query) ((void) 0)
#define sx_copy_permissions(to, from) ((void) 0)
#endif

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"

/*
 * 16 gives array_agg() and string_agg() combine functions.  A state that
 * grows with the rows is no gain over the rows themselves, and how a view is
 * kept must be the same before and after pg_upgrade: so they go without.
 */
static inline Oid
sx_combine_function(Form_pg_aggregate agg)
{
	switch (agg->aggfnoid)
	{
		case F_ARRAY_AGG_ANYNONARRAY:
		case F_ARRAY_AGG_ANYARRAY:
		case F_STRING_AGG_TEXT_TEXT:
		case F_STRING_AGG_BYTEA_BYTEA:
			return InvalidOid;
		default:
			return agg->aggcombinefn;
	}
}

/*
 * 17 gives sum() and avg() of intervals one state in common, of another kind:
 * how often, the sum, how often each infinity.  There they keep columns of
 * their own, and what is stored of them from before becomes such a state ($
 * is the column).  Of a sum nobody has counted how often: what matters is that
 * it is not never.
 */
static inline bool
sx_states_apart(Oid a, Oid b)
{
	return PG_VERSION_NUM >= 170000 && a != b &&
		(a == F_SUM_INTERVAL || b == F_SUM_INTERVAL);
}

/* Of which types were the states that are of another kind now? */
static inline bool
sx_state_type_of_before(Oid type)
{
	return PG_VERSION_NUM >= 170000 &&
		(type == INTERVALOID || type == INTERVALARRAYOID);
}

static inline const char *
sx_state_of_before(Oid aggfnoid, Oid type)
{
#if PG_VERSION_NUM >= 170000
	if (aggfnoid == F_SUM_INTERVAL && type == INTERVALOID)
		return "int8send(1) || interval_send($) || int8send(0) || int8send(0)";
	if (aggfnoid == F_AVG_INTERVAL && type == INTERVALARRAYOID)
		return "int8send((extract(epoch FROM $[2]) * 1000000)::int8) || interval_send($[1]) || int8send(0) || int8send(0)";
#endif
	return NULL;
}

#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"

/*
 * Plans a query of our own making, whose relations may be without an entry
 * for rights: nobody's are asked for.  16 wants to find one for each.
 */
#if PG_VERSION_NUM >= 160000
static inline bool
sx_complete_permissions_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION && rte->perminfoindex == 0)
				(void) addRTEPermissionInfo(&query->rteperminfos, rte);
		}
		return query_tree_walker(query, sx_complete_permissions_walker, context, 0);
	}
	return expression_tree_walker(node, sx_complete_permissions_walker, context);
}

static inline PlannedStmt *
sx_planner(Query *query, ParamListInfo params)
{
	(void) sx_complete_permissions_walker((Node *) query, NULL);
	return planner(query, NULL, 0, params);
}
#else
#define sx_planner(query, params) planner(query, NULL, 0, params)
#endif

/* 16 added the planner's view of the query */
#if PG_VERSION_NUM >= 160000
#define sx_flatten_join_aliases(query, node) \
	flatten_join_alias_vars(NULL, query, node)
#else
#define sx_flatten_join_aliases(query, node) flatten_join_alias_vars(query, node)
#endif

/* 18 can leave room before it */
#if PG_VERSION_NUM >= 180000
#define sx_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define sx_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls)
#endif

/* 16 has one function for all kinds of objects */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_proc.h"
#define sx_proc_aclcheck(oid, role, mode) \
	object_aclcheck(ProcedureRelationId, oid, role, mode)
#else
#define sx_proc_aclcheck(oid, role, mode) pg_proc_aclcheck(oid, role, mode)
#endif

/* 16 has an enum */
#if PG_VERSION_NUM >= 160000
#define SX_PARTITION_BY_RANGE PARTITION_STRATEGY_RANGE
#else
#define SX_PARTITION_BY_RANGE "range"
#endif

#endif							/* SX_COMPAT_H */
