/*-------------------------------------------------------------------------
 * analyze.c
 *		Whether a query over a stream can be maintained, and how.
 *
 * A query Q can be folded forward when Q(S1 + S2) can be had from Q(S1) and
 * Q(S2): each stream has to reach the top through filters, projections, inner
 * joins, the preserved side of outer joins and UNION ALL only; what stands on top is
 * either nothing (rows are appended) or one level of grouping whose
 * aggregates all have a combine function (partial states are merged).
 * Everything else is refused here, by name and with the way out.
 *
 * The tests run on the rewritten query, so that views over a stream count as
 * what they stand for.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_agg.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/stream.h"
#include "catalog/view.h"
#include "compat.h"
#include "plan/derive.h"
#include "plan/describe.h"
#include "plan/distinct.h"
#include "plan/from.h"
#include "plan/grouping_sets.h"
#include "plan/late.h"
#include "plan/panes.h"
#include "plan/plan.h"
#include "plan/recompute.h"
#include "plan/refuse.h"
#include "plan/session.h"
#include "plan/sliding.h"
#include "plan/union.h"
#include "plan/window_key.h"

/* ---- expressions that do not give the same twice ---- */

static bool clock_walker(Node *node, const char **name);

bool
sx_plan_reads_clock(Node *node, const char **name)
{
	return clock_walker(node, name);
}

static bool
clock_walker(Node *node, const char **name)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
	{
		switch (((SQLValueFunction *) node)->op)
		{
			case SVFOP_CURRENT_DATE:
				*name = "CURRENT_DATE";
				return true;
			case SVFOP_CURRENT_TIME:
			case SVFOP_CURRENT_TIME_N:
				*name = "CURRENT_TIME";
				return true;
			case SVFOP_CURRENT_TIMESTAMP:
			case SVFOP_CURRENT_TIMESTAMP_N:
				*name = "CURRENT_TIMESTAMP";
				return true;
			case SVFOP_LOCALTIME:
			case SVFOP_LOCALTIME_N:
				*name = "LOCALTIME";
				return true;
			case SVFOP_LOCALTIMESTAMP:
			case SVFOP_LOCALTIMESTAMP_N:
				*name = "LOCALTIMESTAMP";
				return true;
			default:
				return false;
		}
	}
	if (IsA(node, FuncExpr))
	{
		switch (((FuncExpr *) node)->funcid)
		{
			case F_NOW:
			case F_TRANSACTION_TIMESTAMP:
			case F_STATEMENT_TIMESTAMP:
			case F_AGE_TIMESTAMP:
			case F_AGE_TIMESTAMPTZ:
				*name = get_func_name(((FuncExpr *) node)->funcid);
				return true;
			default:
				break;
		}
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, clock_walker, name, 0);
	return expression_tree_walker(node, clock_walker, name);
}

/* ---- aggregates ---- */

static bool
collect_aggrefs_walker(Node *node, List **aggrefs)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		if (((Aggref *) node)->agglevelsup == 0)
			*aggrefs = list_append_unique(*aggrefs, node);	/* equal() */
		return false;
	}
	if (IsA(node, SubLink))
		return expression_tree_walker(((SubLink *) node)->testexpr,
									  collect_aggrefs_walker, aggrefs);
	return expression_tree_walker(node, collect_aggrefs_walker, aggrefs);
}

/* May two aggregates share one partial state? */
static bool
same_partial(const SxPartial *a, const SxPartial *b)
{
	return a->combinefn == b->combinefn && a->serialfn == b->serialfn &&
		a->deserialfn == b->deserialfn && a->transtype == b->transtype &&
		a->aggref->inputcollid == b->aggref->inputcollid &&
		a->aggref->aggvariadic == b->aggref->aggvariadic &&
		a->aggref->aggstar == b->aggref->aggstar && a->set == b->set &&
		equal(a->aggref->args, b->aggref->args) &&
		equal(a->aggref->aggfilter, b->aggref->aggfilter) &&
		!sx_states_apart(a->aggref->aggfnoid, b->aggref->aggfnoid);
}

const char *
sx_plan_not_mergeable(const SxShape *shape, const Aggref *aggref)
{
	HeapTuple	tuple;
	Form_pg_aggregate form;
	Oid			inputtypes[FUNC_MAX_ARGS];
	int			nargs;
	Oid			transtype;
	const char *reason = NULL;

	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	nargs = get_aggregate_argtypes(unconstify(Aggref *, aggref), inputtypes);
	transtype = resolve_aggregate_transtype(aggref->aggfnoid, form->aggtranstype,
											inputtypes, nargs);
	if (form->aggkind != AGGKIND_NORMAL)
		reason = "it needs all rows in order";
	else if (aggref->aggorder)
		reason = "the order of the rows is not in a state";
	else if (!OidIsValid(sx_combine_function(form)))
		reason = "the aggregate has no combine function";
	else if (transtype == INTERNALOID ?
			 !OidIsValid(form->aggserialfn) || !OidIsValid(form->aggdeserialfn) :
			 get_typtype(transtype) == TYPTYPE_PSEUDO)
		reason = "its state cannot be stored";
	else if (aggref->aggdistinct && (shape->session || shape->sliding))
		reason = shape->session ? "sessions that join may have values in common" :
			"which values are still there when rows leave cannot be told from a state";
	else if (aggref->aggdistinct)
		reason = sx_plan_not_a_set(aggref);
	ReleaseSysCache(tuple);
	return reason;
}

static void
analyze_partial(SxShape *shape, Aggref *aggref)
{
	SxAggregate *agg = &shape->aggregates[shape->naggregates++];
	SxPartial	partial;
	HeapTuple	tuple;
	HeapTuple	othertuple;
	Form_pg_aggregate form;
	Oid			inputtypes[FUNC_MAX_ARGS];
	int			nargs;
	Datum		initval;
	bool		initnull;
	int			i;

	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);

	nargs = get_aggregate_argtypes(aggref, inputtypes);
	memset(&partial, 0, sizeof(partial));
	partial.aggref = aggref;
	partial.transtype = resolve_aggregate_transtype(aggref->aggfnoid,
													form->aggtranstype,
													inputtypes, nargs);
	partial.combinefn = form->aggcombinefn;
	if (partial.transtype == INTERNALOID)
	{
		partial.serialfn = form->aggserialfn;
		partial.deserialfn = form->aggdeserialfn;
		partial.stored_type = BYTEAOID;
	}
	else
		partial.stored_type = partial.transtype;
	partial.set = aggref->aggdistinct ? sx_plan_value_set(shape, aggref) : -1;
	partial.transfn = form->aggtransfn;

	agg->aggref = aggref;
	agg->finalfn = form->aggfinalfn;
	agg->finalextra = form->aggfinalextra;
	agg->partial = -1;

	/* the same transitions from the same start over the same input? */
	initval = SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval,
							  &initnull);
	if (!initnull)
		partial.initval = TextDatumGetCString(initval);
	for (i = 0; i < shape->npartials; i++)
	{
		Form_pg_aggregate other;
		Datum		otherinit;
		bool		othernull;

		if (!same_partial(&shape->partials[i], &partial))
			continue;
		othertuple = SearchSysCache1(AGGFNOID,
									 ObjectIdGetDatum(shape->partials[i].aggref->aggfnoid));
		if (!HeapTupleIsValid(othertuple))
			elog(ERROR, "cache lookup failed for aggregate %u",
				 shape->partials[i].aggref->aggfnoid);
		other = (Form_pg_aggregate) GETSTRUCT(othertuple);
		otherinit = SysCacheGetAttr(AGGFNOID, othertuple,
									Anum_pg_aggregate_agginitval, &othernull);
		if (other->aggtransfn == form->aggtransfn && othernull == initnull &&
			other->aggfinalmodify != AGGMODIFY_READ_WRITE &&
			form->aggfinalmodify != AGGMODIFY_READ_WRITE &&
			(initnull || strcmp(TextDatumGetCString(initval),
								TextDatumGetCString(otherinit)) == 0))
			agg->partial = i;
		ReleaseSysCache(othertuple);
		if (agg->partial >= 0)
			break;
	}
	if (agg->partial < 0)
	{
		agg->partial = shape->npartials;
		shape->partials[shape->npartials++] = partial;
	}
	ReleaseSysCache(tuple);
}

/* ---- the select list over (keys, aggregates) ---- */

typedef struct ResultContext
{
	const char *viewname;
	SxShape    *shape;
} ResultContext;

static Node *
result_mutator(Node *node, ResultContext *rc)
{
	SxShape    *shape = rc->shape;
	int			i;

	if (node == NULL)
		return NULL;
	for (i = 0; i < shape->nkeys; i++)
	{
		SxKey	   *key = &shape->keys[i];

		if (equal(node, key->expr))
			return (Node *) makeVar(1, i + 1, key->typid, key->typmod,
									key->collation, 0);
	}
	if (IsA(node, Aggref))
	{
		for (i = 0; i < shape->naggregates; i++)
		{
			Aggref	   *aggref = shape->aggregates[i].aggref;

			if (equal(node, aggref))
				return (Node *) makeVar(1, shape->nkeys + i + 1,
										aggref->aggtype, -1, aggref->aggcollid, 0);
		}
		elog(ERROR, "aggregate not found among those of the query");
	}
	if (IsA(node, GroupingFunc))
		return (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								  Int32GetDatum(0), false, true);	/* no sets */
	if (IsA(node, SubLink))
		SX_REFUSE(rc->viewname,
				  ("There is a subquery in the select list or HAVING, over grouped rows."),
				  ("Join the result table with the other table in a query of its own."));
	if (IsA(node, Var))
		SX_REFUSE(rc->viewname,
				  ("A column of the select list is neither grouped nor aggregated (it depends on a grouped primary key)."),
				  ("Add the column to GROUP BY."));
	return expression_tree_mutator(node, result_mutator, (void *) rc);
}

/* ---- the whole ---- */

Query *
sx_plan_stored_query(Oid query_view)
{
	Relation	rel = table_open(query_view, AccessShareLock);
	Query	   *query = copyObject(get_view_query(rel));

	table_close(rel, NoLock);
	return query;
}

/* Expand views and row security, as the current user. */
static Query *
rewrite_query(Query *query)
{
	List	   *rewritten;

	query = copyObject(query);
	AcquireRewriteLocks(query, true, false);
	rewritten = QueryRewrite(query);
	if (list_length(rewritten) != 1)
		elog(ERROR, "a SELECT was rewritten into %d queries",
			 list_length(rewritten));
	return sx_flatten_group_rte(linitial_node(Query, rewritten));
}

/* Has a session's last row been gap behind the watermark? */
static Node *
session_has_closed(const SxShape *shape, int64 closed_us)
{
	const SxSession *session = shape->session;
	Aggref	   *last = copyObject(shape->aggregates[session->last].aggref);
	Oid			type = last->aggtype;

	return (Node *) makeFuncExpr(type == TIMESTAMPTZOID ? F_TIMESTAMPTZ_LE : F_TIMESTAMP_LE, BOOLOID,
								 list_make2(last,
											makeConst(type, -1, InvalidOid, sizeof(int64),
													  Int64GetDatum(closed_us == PG_INT64_MIN ? closed_us :
																	closed_us - session->gap_us),
													  false, FLOAT8PASSBYVAL)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

Query *
sx_plan_so_far(Query *stored, const SxShape *shape, bool final, int64 closed_us)
{
	Query	   *query = rewrite_query(stored);
	ListCell   *lc;

	/* as it was when it was looked at */
	sx_plan_inline(query, false);
	if (final && shape->session && shape->window)
		query->havingQual = make_and_qual(query->havingQual,
										  session_has_closed(shape, closed_us));
	if (shape->join && shape->join->outer)
	{
		sx_plan_join_locate(shape->join, query);
		sx_plan_join_so_far(query, shape->join, closed_us);
		sx_plan_join_locate(shape->join, shape->batch_query);
	}
	foreach(lc, shape->derivation ? sx_plan_joined(shape) : NIL)
	{
		if (!((SxJoined *) lfirst(lc))->shape->join->outer)
			continue;
		sx_plan_inline(query, true);
		sx_plan_cores_so_far(query, closed_us);
		break;
	}
	return query;
}

/* Grouping columns that are windows over event time. */
static void
analyze_windows(SxShape *shape, Query *query, const SxGroupingSets *sets)
{
	bool		has_watermark = true;
	int			window_side = -1;
	FuncExpr  **calls = palloc0(sizeof(FuncExpr *) * Max(shape->nkeys, 1));
	ListCell   *lc;
	int			i;

	/* the least of all: without one of them there is none */
	foreach(lc, shape->streams)
		has_watermark &= sx_stream_get(lfirst_oid(lc), InvalidOid)->has_watermark;
	for (i = 0; i < shape->nkeys; i++)
	{
		TargetEntry *tle = get_sortgroupclause_tle(list_nth_node(SortGroupClause, query->groupClause, i),
												   query->targetList);
		int			arg;
		bool		partial;
		Expr	   *key = sx_plan_set_key(sets, query, tle->expr, &partial);
		FuncExpr   *call = sx_plan_window_call(query, (Node *) key, &arg);
		bool		is_window = false;
		bool		closes = true;

		if (call == NULL)
			continue;
		if (shape->session == NULL || shape->session->key != i)
			sx_plan_check_window(call, arg);
		if (shape->join)
		{
			shape->window_side = sx_plan_join_time_side(shape->join, query,
														list_nth(call->args, arg));
			if (shape->window_side < 0 || sx_plan_join_nullable(shape->join, shape->window_side))
				continue;		/* NULL where there is no partner */
			closes = sx_plan_join_ends(shape->join, shape->window_side);
		}

		if (shape->session && shape->session->key == i)
			shape->session->event_time = true;

		/* beside a session any other window is grouping only */
		if (has_watermark && closes && shape->window == NULL && shape->sliding == NULL &&
			sx_plan_window_closes(query, (Node *) key) &&
			(shape->session == NULL || shape->session->key == i))
		{
			shape->window = sx_plan_window(call);
			if (shape->window)
			{
				is_window = true;
				shape->window_key = i;
				window_side = shape->window_side;
				if (shape->join == NULL)
					shape->late_query = shape->session ?
						sx_plan_late_sessions(query, shape) :
						sx_plan_late_query(query, sets, call, key);
			}
		}
		sx_plan_require_event_time(call, arg);
		if (is_window && partial)
			sx_plan_leave_out_late(shape, query,
								   linitial_node(CaseWhen, ((CaseExpr *) tle->expr)->args)->result);
		calls[i] = call;
	}

	/* panes go as their windows close, not those of another key */
	for (i = 0; i < shape->nkeys; i++)
	{
		if (calls[i] && sets == NULL && shape->panes == NULL && shape->session == NULL &&
			(shape->window == NULL || shape->window_key == i))
			sx_plan_panes(shape, query, i, calls[i]);
	}
	shape->window_side = window_side;
}

static void
analyze_grouping(SxShape *shape, Query *query, const char *viewname)
{
	SxGroupingSets *sets = NULL;
	List	   *aggrefs = NIL;
	ListCell   *lc;
	ResultContext rc;
	List	   *tlist = NIL;
	int			i;

	sx_plan_find_session(shape, query, viewname);
	sx_plan_drop_distinct(query);
	if (query->groupingSets)
		sets = sx_plan_grouping_sets(query, viewname);
	shape->strategy = SX_STRATEGY_MERGE;
	shape->grouped = query->groupClause != NIL;
	shape->keys = palloc0(sizeof(SxKey) * Max(list_length(query->groupClause), 1));
	foreach(lc, query->groupClause)
	{
		SortGroupClause *sgc = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(sgc, query->targetList);
		SxKey	   *key = &shape->keys[shape->nkeys++];

		if (tle->resjunk)
			SX_REFUSE(viewname,
					  ("A grouping column is not in the select list."),
					  ("Add it to the select list: the grouping columns are the key of the result table."));
		if (!OidIsValid(sgc->sortop))
			SX_REFUSE(viewname,
					  ("Grouping column \"%s\" has type %s, which has no order.",
					   tle->resname, format_type_be(exprType((Node *) tle->expr))),
					  ("Cast it to a type that has a btree operator class, such as text."));
		key->resno = tle->resno;
		key->typid = exprType((Node *) tle->expr);
		key->typmod = exprTypmod((Node *) tle->expr);
		key->collation = exprCollation((Node *) tle->expr);
		key->expr = copyObject(tle->expr);
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			collect_aggrefs_walker((Node *) tle->expr, &aggrefs);
	}
	collect_aggrefs_walker(query->havingQual, &aggrefs);
	if (shape->session)
		aggrefs = sx_plan_session_aggregates(shape, aggrefs);
	shape->aggregates = palloc0(sizeof(SxAggregate) * Max(list_length(aggrefs), 1));
	shape->partials = palloc0(sizeof(SxPartial) * Max(list_length(aggrefs), 1));
	if (shape->sliding && aggrefs == NIL)
		shape->strategy = SX_STRATEGY_RECOMPUTE;
	foreach(lc, aggrefs)
	{
		if (sx_plan_not_mergeable(shape, lfirst_node(Aggref, lc)))
			shape->strategy = SX_STRATEGY_RECOMPUTE;
	}
	foreach(lc, aggrefs)
	{
		if (shape->strategy == SX_STRATEGY_MERGE)
			analyze_partial(shape, lfirst_node(Aggref, lc));
		else
			shape->aggregates[shape->naggregates++].aggref = lfirst_node(Aggref, lc);
	}
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
		sx_plan_hold_rows(shape, query, viewname);
	else if (shape->sliding)
		sx_plan_sliding_states(shape);

	rc.viewname = viewname;
	rc.shape = shape;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			shape->result_exprs = lappend(shape->result_exprs,
										  result_mutator((Node *) tle->expr, &rc));
	}
	if (query->havingQual)
		shape->having = (Expr *) result_mutator(query->havingQual, &rc);

	/* hop and cumulate are grouping columns: what else returns a set is not */
	if (expression_returns_set((Node *) shape->result_exprs))
		SX_REFUSE(viewname,
				  ("There is a set-returning function in the select list of a grouped query that is no grouping column."),
				  ("Call it in a subquery in FROM, and group over that."));

	/* what runs over a batch: the keys and the bare aggregates */
	analyze_windows(shape, query, sets);
	for (i = 0; i < shape->nkeys; i++)
	{
		TargetEntry *tle = get_sortgroupclause_tle(list_nth_node(SortGroupClause, query->groupClause, i),
												   query->targetList);

		tle = flatCopyTargetEntry(tle);
		tle->resno = i + 1;

		/* rows are held with their time: their sessions may yet grow */
		if (shape->session && shape->session->key == i &&
			shape->strategy == SX_STRATEGY_RECOMPUTE)
			tle->expr = sx_plan_session_time(castNode(FuncExpr, tle->expr));
		tlist = lappend(tlist, tle);
	}
	for (i = 0; i < shape->nheld; i++)
		tlist = lappend(tlist,
						makeTargetEntry(copyObject(shape->held[i].expr),
										shape->nkeys + i + 1,
										psprintf("c%d", i + 1), false));
	for (i = 0; i < shape->npartials; i++)
		tlist = lappend(tlist,
						makeTargetEntry(shape->partials[i].set >= 0 ? sx_plan_set_of_batch(shape, i) :
										(Expr *) shape->partials[i].aggref,
										shape->nkeys + shape->nheld + i + 1,
										psprintf("p%d", i + 1), false));
	query->targetList = tlist;
	query->havingQual = NULL;
	query->hasAggs = shape->npartials > 0;
	query->sortClause = NIL;
	if (shape->strategy == SX_STRATEGY_MERGE && shape->sliding)
		sx_plan_group_by_time(shape, query);
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
	{
		query->groupClause = NIL;
		foreach(lc, tlist)
			lfirst_node(TargetEntry, lc)->ressortgroupref = 0;
	}

	/*
	 * Without GROUP BY and without aggregates (a bare HAVING) there would be
	 * no grouping left: refused above all as nobody means it.
	 */
	if (!shape->grouped && shape->naggregates == 0)
		SX_REFUSE(viewname,
				  ("The query has HAVING or GROUP BY () but neither grouping columns nor an aggregate."),
				  ("Use WHERE, or add the aggregates that are meant."));
	shape->batch_query = query;
	if (sets)
		sx_plan_empty_set(shape, sets);
}

/*
 * The clock is read by at most one condition of WHERE, which rows grow out of.
 */
static SxSliding *
check_clock(Query *query, const char *viewname)
{
	Node	   *where = query->jointree->quals;
	SxSliding  *sliding = sx_plan_sliding(query, viewname, &query->jointree->quals);
	const char *clock;

	if (clock_walker((Node *) query, &clock))
		SX_REFUSE(viewname, ("The query reads the clock (%s).", clock),
				  ("Use the event time or the arrival time of the row.  The clock may be one side of a condition of the top WHERE that rows grow out of: ts > now() - interval '5 minutes'."));
	query->jointree->quals = where;
	if (sliding && query->groupingSets)
		SX_REFUSE(viewname, ("Rows leave the groups of GROUPING SETS as time passes."),
				  ("Make one continuous view for each grouping."));
	return sliding;
}

/* What a query that can be folded forward is. */
static SxShape *
analyze_plain(const SxFrom *from, Query *query, const char *viewname,
			  SxSliding *sliding)
{
	SxShape    *shape = palloc0(sizeof(SxShape));

	shape->streams = from->streams;
	shape->window_key = -1;
	shape->sliding = sliding;
	if (from->joins)
		shape->join = sx_plan_join(query, viewname);
	if (query->hasAggs || query->groupClause || query->groupingSets || query->havingQual)
		analyze_grouping(shape, query, viewname);
	else
	{
		ListCell   *lc;
		List	   *tlist = NIL;

		sx_plan_find_session(shape, query, viewname);

		/* order means nothing to a table; junk columns are there for it */
		shape->strategy = SX_STRATEGY_APPEND;
		query->sortClause = NIL;
		foreach(lc, query->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);

			if (!tle->resjunk)
			{
				tle->ressortgroupref = 0;
				tlist = lappend(tlist, tle);
			}
		}
		if (shape->sliding)
			tlist = lappend(tlist, makeTargetEntry(shape->sliding->time, list_length(tlist) + 1,
												   pstrdup("leaves"), false));
		query->targetList = tlist;
	}
	if (shape->sliding && shape->session)
		SX_REFUSE(viewname, ("Rows leave the sessions as time passes."),
				  ("Use a fixed window, or leave the condition on the clock out."));
	return shape;
}

/* The query is as it runs: over a batch without its history. */
static void
finish(SxShape *shape, Query *query)
{
	shape->batch_query = copyObject(query);
	if (shape->join)
		sx_plan_join_locate(shape->join, shape->batch_query);
	if (sx_plan_drop_history(shape->batch_query))
	{
		shape->seed_query = query;
		if (shape->late_query)
			(void) sx_plan_drop_history(shape->late_query);
		if (shape->sliding && shape->initial_query)
			(void) sx_plan_drop_history(shape->initial_query);
	}
}

/* The column of rows that are kept as they are which is a window. */
static int
analyze_row_window(SxShape *shape, Query *query, const List *columns)
{
	bool		has_watermark = true;
	ListCell   *lc;

	foreach(lc, shape->streams)
		has_watermark &= sx_stream_get(lfirst_oid(lc), InvalidOid)->has_watermark;
	foreach(lc, columns)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, lfirst_int(lc) - 1);
		int			arg;
		FuncExpr   *call = sx_plan_window_call(query, (Node *) tle->expr, &arg);
		SxWindow   *window = call && has_watermark &&
		sx_plan_window_closes(query, (Node *) tle->expr) ? sx_plan_window(call) : NULL;

		if (window == NULL)
			continue;
		if (shape->join)
		{
			int			side = sx_plan_join_time_side(shape->join, query,
													  list_nth(call->args, arg));

			if (side < 0 || sx_plan_join_nullable(shape->join, side) ||
				!sx_plan_join_ends(shape->join, side))
				continue;
			shape->window_side = side;
		}
		else
			shape->late_query = sx_plan_late_query(query, NULL, call, tle->expr);
		shape->window = window;
		sx_plan_require_event_time(call, arg);
		return lfirst_int(lc);
	}
	return 0;
}

SxShape *
sx_plan_core(Query *query, const char *viewname, const List *window_columns,
			 int *window_column)
{
	SxFrom		from = sx_plan_check_from(query, viewname);
	SxSliding  *sliding;
	SxShape    *shape;

	sliding = check_clock(query, viewname);
	if (sliding && !query->hasAggs && query->groupClause == NIL)
		SX_REFUSE(viewname, ("Rows that leave as time passes are not grouped, and there is more above them than a select list."),
				  ("Group them first, or leave the condition on the clock out."));
	shape = analyze_plain(&from, query, viewname, sliding);
	*window_column = 0;
	if (shape->strategy == SX_STRATEGY_APPEND)
		*window_column = analyze_row_window(shape, query, window_columns);
	else if (shape->window && !shape->session)
		*window_column = shape->keys[shape->window_key].resno;
	finish(shape, query);
	return shape;
}

bool
sx_plan_tells_late(const SxShape *shape)
{
	int			i;

	if (shape->derivation == NULL)
		return shape->late_query != NULL || shape->join != NULL;
	for (i = 0; i < shape->derivation->ncores; i++)
	{
		const SxShape *core = shape->derivation->cores[i].shape;

		if (core && core->window && core->join == NULL &&
			(core->session || core->late_query == NULL))
			return false;
	}
	return true;
}

SxShape *
sx_plan_analyze(Query *stored, const char *viewname)
{
	SxFrom		from;
	SxSliding  *sliding;
	SxShape    *shape;
	Query	   *query;

	if (stored->commandType != CMD_SELECT || stored->utilityStmt)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("continuous view \"%s\" needs a SELECT", viewname)));
	if (stored->hasModifyingCTE)
		SX_REFUSE(viewname, ("A WITH query modifies data."), ("Use SELECT only."));
	if (stored->rowMarks)
		SX_REFUSE(viewname, ("The query has FOR UPDATE or FOR SHARE."), ("Leave it out."));

	query = rewrite_query(stored);
	sx_plan_inline(query, false);

	if (sx_plan_count_streams((Node *) query) == 0 && sx_plan_count_sources(query) == 0)
		SX_REFUSE(viewname, ("There is no stream in FROM."),
				  ("A stream is a foreign table of the wrapper streamx; over ordinary tables use a materialized view."));
	if (contain_volatile_functions((Node *) query))
		SX_REFUSE(viewname, ("The query calls a volatile function, whose result changes from call to call."),
				  ("Use only immutable and stable functions: recovery has to give the same rows again."));
	if (sx_plan_count_streams((Node *) query) > 0)
		query = sx_plan_unions_as_groupings(query);
	if (sx_plan_count_streams((Node *) query) == 0 || sx_plan_needs_derivation(query))
	{
		shape = palloc0(sizeof(SxShape));
		sx_plan_make_derivation(shape, query, viewname);
		return shape;
	}
	from = sx_plan_check_from(query, viewname);
	sliding = check_clock(query, viewname);
	if (query->distinctClause)
	{
		/* one row for each that differs: all columns are keys */
		query->groupClause = query->distinctClause;
		query->distinctClause = NIL;
	}
	shape = analyze_plain(&from, query, viewname, sliding);
	finish(shape, query);
	return shape;
}
