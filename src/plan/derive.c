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

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"
#include "parser/parse_clause.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "plan/derive.h"
#include "plan/sliding.h"

#define REFUSE(viewname, detail_, hint_) \
	ereport(ERROR, \
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), \
			 errmsg("cannot maintain continuous view \"%s\"", viewname), \
			 errdetail detail_, \
			 errhint hint_))

/* ---- what is a core ---- */

static bool
is_aggregated(const Query *query)
{
	return query->hasAggs || query->groupClause || query->groupingSets ||
		query->havingQual;
}

static bool
rte_has_stream(RangeTblEntry *rte)
{
	return sx_plan_count_streams((Node *) list_make1(rte)) > 0 ||
		(rte->subquery && sx_plan_count_streams((Node *) rte->subquery) > 0);
}

static bool plain_from(Query *query);

/* Nothing but filters, projections and joins over its streams? */
static bool
is_plain(Query *query)
{
	ListCell   *lc;

	if (query->setOperations)
	{
		List	   *ops = list_make1(query->setOperations);

		/* UNION ALL of plain ones is */
		while (ops != NIL)
		{
			SetOperationStmt *op = linitial(ops);

			ops = list_delete_first(ops);
			if (!IsA(op, SetOperationStmt))
				continue;
			if (op->op != SETOP_UNION || !op->all)
				return false;
			ops = lappend(lappend(ops, op->larg), op->rarg);
		}
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			/* what reads no stream is history, whatever it is */
			if (rte_has_stream(rte) && !is_plain(rte->subquery))
				return false;
		}
	}
	return !is_aggregated(query) && !query->distinctClause &&
		!query->hasWindowFuncs && !query->limitCount && !query->limitOffset &&
		sx_plan_count_streams((Node *) query->targetList) == 0 &&
		plain_from(query);
}

/* Is every item of FROM that has a stream in it plain, and WHERE without? */
static bool
plain_from(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (!rte_has_stream(rte))
			continue;
		if (rte->rtekind != RTE_RELATION &&
			(rte->rtekind != RTE_SUBQUERY || !is_plain(rte->subquery)))
			return false;
	}
	return sx_plan_count_streams((Node *) query->jointree) == 0;
}

/* Does it refer to a query outside? */
static bool
outer_reference_walker(Node *node, Index *depth)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varlevelsup > *depth;
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup > *depth)
		return true;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_CTE && rte->ctelevelsup > *depth;
	}
	if (IsA(node, Query))
	{
		bool		result;

		(*depth)++;
		result = query_tree_walker((Query *) node, outer_reference_walker, depth,
								   QTW_EXAMINE_RTES_BEFORE);
		(*depth)--;
		return result;
	}
	return expression_tree_walker(node, outer_reference_walker, depth);
}

static bool
has_outer_references(Query *query)
{
	Index		depth = 0;

	return query_tree_walker(query, outer_reference_walker, &depth,
							 QTW_EXAMINE_RTES_BEFORE);
}

/* Is there a subquery outside aggregates and grouping columns? */
typedef struct SublinkContext
{
	List	   *keys;
	bool		in_aggregates;	/* those instead, with a stream */
} SublinkContext;

static bool
sublink_walker(Node *node, SublinkContext *cxt)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
		return cxt->in_aggregates && sx_plan_count_streams(node) > 0;
	if (!cxt->in_aggregates && list_member(cxt->keys, node))
		return false;
	if (IsA(node, SubLink) && !cxt->in_aggregates)
		return true;
	return expression_tree_walker(node, sublink_walker, cxt);
}

static List *
grouping_expressions(Query *query)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, query->groupClause)
		result = lappend(result,
						 get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc),
												  query->targetList));
	return result;
}

static bool
has_sublink_above(Query *query)
{
	SublinkContext cxt;

	cxt.keys = grouping_expressions(query);
	cxt.in_aggregates = false;
	return sublink_walker((Node *) query->targetList, &cxt) ||
		sublink_walker(query->havingQual, &cxt);
}

/* Can all but what stands above FROM, WHERE and GROUP BY be a core? */
static bool
has_core(Query *query)
{
	SublinkContext cxt = {0};

	cxt.in_aggregates = true;
	return plain_from(query) && !has_outer_references(query) &&
		sx_plan_count_streams((Node *) grouping_expressions(query)) == 0 &&
		!sublink_walker((Node *) query->targetList, &cxt) &&
		!sublink_walker(query->havingQual, &cxt);
}

bool
sx_plan_needs_derivation(Query *query)
{
	int			in_from = 0;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		in_from += sx_plan_count_streams((Node *) list_make1(rte));
		if (rte->subquery)
			in_from += sx_plan_count_streams((Node *) rte->subquery);
	}
	if (in_from == 0)
		return false;
	if (query->setOperations)
		return !is_plain(query);
	return query->hasWindowFuncs || query->hasDistinctOn ||
		(query->distinctClause && is_aggregated(query)) ||
		query->limitCount || query->limitOffset || !plain_from(query) ||
		sx_plan_count_streams((Node *) query) != in_from ||
		(is_aggregated(query) && !query->groupingSets && has_sublink_above(query));
}

/* ---- cores ---- */

AttrNumber
sx_core_column(SxCoreDraft *core, Expr *expr)
{
	List	  **tlist = &core->query->targetList;
	ListCell   *lc;

	foreach(lc, *tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (equal(tle->expr, expr))
			return tle->resno;
	}
	*tlist = lappend(*tlist,
					 makeTargetEntry(copyObject(expr), list_length(*tlist) + 1,
									 psprintf("c%d", list_length(*tlist) + 1), false));
	if (expression_returns_set((Node *) expr))
		core->query->hasTargetSRFs = true;
	return list_length(*tlist);
}

static bool
strip_names_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		rte->alias = NULL;
		rte->eref = makeAlias("", NIL);
		sx_clear_permissions(rte);
		return false;
	}
	if (IsA(node, Query))
	{
		sx_forget_permissions((Query *) node);
		return query_tree_walker((Query *) node, strip_names_walker, NULL,
								 QTW_EXAMINE_RTES_BEFORE);
	}
	return expression_tree_walker(node, strip_names_walker, NULL);
}

/* Take away what stands above FROM and WHERE. */
static void
strip_above(Query *query)
{
	query->targetList = NIL;
	query->groupClause = NIL;
	query->groupDistinct = false;
	query->havingQual = NULL;
	query->windowClause = NIL;
	query->distinctClause = NIL;
	query->hasDistinctOn = false;
	query->sortClause = NIL;
	query->limitCount = query->limitOffset = NULL;
	query->limitOption = LIMIT_OPTION_COUNT;
	query->hasAggs = query->hasWindowFuncs = query->hasTargetSRFs = false;
}

static bool
same_keys(const SxCoreDraft *core, const List *keys)
{
	ListCell   *lc;
	int			i;

	if (core->nkeys != list_length(keys))
		return false;
	foreach(lc, keys)
	{
		for (i = 0; i < core->nkeys; i++)
		{
			if (equal(list_nth_node(TargetEntry, core->query->targetList, i)->expr, lfirst(lc)))
				break;
		}
		if (i == core->nkeys)
			return false;
	}
	return true;
}

/* The core of a query, a new one or one that there is; *number is which. */
static SxCoreDraft *
find_core(SxDeriveContext *cxt, Query *query, bool aggregated, int *number)
{
	SxCoreDraft *core = palloc0(sizeof(SxCoreDraft));
	List	   *keys = grouping_expressions(query);
	ListCell   *lc;

	core->aggregated = aggregated;
	core->query = copyObject(query);
	strip_above(core->query);
	core->query->querySource = QSRC_ORIGINAL;
	core->query->canSetTag = true;
	core->query->hasSubLinks = false;
	core->query->stmt_location = core->query->stmt_len = 0;
	core->source = copyObject(core->query);
	(void) strip_names_walker((Node *) core->source, NULL);

	*number = 0;
	foreach(lc, cxt->cores)
	{
		SxCoreDraft *other = lfirst(lc);

		if (other->aggregated == aggregated && same_keys(other, keys) &&
			equal(other->source, core->source))
			return other;
		(*number)++;
	}

	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = copyObject(lfirst_node(SortGroupClause, lc));
		AttrNumber	column = sx_core_column(core, list_nth(keys, foreach_current_index(lc)));

		clause->tleSortGroupRef = column;
		list_nth_node(TargetEntry, core->query->targetList, column - 1)->ressortgroupref = column;
		core->query->groupClause = lappend(core->query->groupClause, clause);
	}
	core->nkeys = list_length(core->query->targetList);
	cxt->cores = lappend(cxt->cores, core);
	return core;
}

static RangeTblEntry *
make_use(SxDeriveContext *cxt, int core)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	cxt->uses = lappend_int(cxt->uses, core);
	rte->rtekind = RTE_RELATION;
	rte->relkind = SX_RELKIND_CORE;
	rte->relid = (Oid) list_length(cxt->uses);
	rte->eref = makeAlias("core", NIL);
	rte->inFromCl = true;
	return rte;
}

/* ---- what stands above a core, over its columns ---- */

typedef struct AboveContext
{
	SxDeriveContext *cxt;
	SxCoreDraft *core;
	List	   *keys;			/* grouping expressions of the query */
	int			depth;			/* of subqueries */
} AboveContext;

static Node *above_mutator(Node *node, AboveContext *ac);

static Node *
core_var(AboveContext *ac, Node *expr)
{
	Oid			type = exprType(expr);

	if (get_typtype(type) == TYPTYPE_PSEUDO)
		REFUSE(ac->cxt->viewname,
			   ("An expression has type %s, which cannot be stored.", format_type_be(type)),
			   ("Cast it to a named type, or use its columns one by one."));
	return (Node *) makeVar(1, sx_core_column(ac->core, (Expr *) expr), type,
							exprTypmod(expr), exprCollation(expr), ac->depth);
}

/* An expression over rows: computed below if it can be, as a whole. */
static Node *
row_value(Node *expr, AboveContext *ac)
{
	if (expr && !ac->core->aggregated && !contain_windowfuncs(expr) &&
		sx_plan_count_streams(expr) == 0 &&
		(contain_vars_of_level(expr, 0) || expression_returns_set(expr)))
		return core_var(ac, expr);
	return above_mutator(expr, ac);
}

static Node *
above_mutator(Node *node, AboveContext *ac)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query	   *result;

		ac->depth++;
		result = query_tree_mutator((Query *) node, above_mutator, ac, 0);
		ac->depth--;
		return (Node *) result;
	}
	if (ac->core->aggregated)
	{
		ListCell   *lc;

		foreach(lc, ac->keys)
		{
			Node	   *key = lfirst(lc);

			if (ac->depth > 0)
			{
				key = copyObject(key);
				IncrementVarSublevelsUp(key, ac->depth, 0);
			}
			if (equal(node, key))
				return core_var(ac, lfirst(lc));
		}
		if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup == ac->depth)
		{
			node = copyObject(node);
			if (ac->depth > 0)
				IncrementVarSublevelsUp(node, -ac->depth, ac->depth);
			return core_var(ac, node);
		}
		if (IsA(node, GroupingFunc) && ((GroupingFunc *) node)->agglevelsup == ac->depth)
			return (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
									  Int32GetDatum(0), false, true);	/* no sets */
		if (IsA(node, Var) && ((Var *) node)->varlevelsup == ac->depth)
			REFUSE(ac->cxt->viewname,
				   ("A column of the select list is neither grouped nor aggregated (it depends on a grouped primary key)."),
				   ("Add the column to GROUP BY."));
	}
	else if (IsA(node, Var) && ((Var *) node)->varlevelsup == ac->depth)
	{
		Var		   *var = copyObject((Var *) node);

		var->varlevelsup = 0;
		return core_var(ac, (Node *) var);
	}
	else if (IsA(node, WindowFunc) && ac->depth == 0)
	{
		WindowFunc *func = copyObject((WindowFunc *) node);
		ListCell   *lc;

		foreach(lc, func->args)
			lfirst(lc) = row_value(lfirst(lc), ac);
		func->aggfilter = (Expr *) row_value((Node *) func->aggfilter, ac);
		return (Node *) func;
	}
	return expression_tree_mutator(node, above_mutator, (void *) ac);
}

/* FROM, WHERE and GROUP BY of a query become a core, below what remains. */
static void
split(SxDeriveContext *cxt, Query *query)
{
	AboveContext ac = {0};
	bool		aggregated = is_aggregated(query);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Node	   *having;
	ListCell   *lc;
	int			number;

	if (query->groupingSets)
		REFUSE(cxt->viewname,
			   ("There is more above GROUPING SETS, ROLLUP or CUBE than a select list and HAVING."),
			   ("Make one continuous view for each grouping."));
	if (query->distinctClause && !query->hasDistinctOn && !aggregated &&
		!query->hasWindowFuncs && grouping_is_sortable(query->distinctClause) &&
		sx_plan_count_streams((Node *) query->targetList) == 0)
	{
		/* the same as grouping by all columns */
		query->groupClause = query->distinctClause;
		query->distinctClause = NIL;
		aggregated = true;
	}
	if (!aggregated && query->hasTargetSRFs && query->hasWindowFuncs)
		REFUSE(cxt->viewname,
			   ("There are window functions beside a set-returning function in a select list."),
			   ("Call the set-returning function in a subquery in FROM."));

	ac.cxt = cxt;
	ac.keys = grouping_expressions(query);
	ac.core = find_core(cxt, query, aggregated, &number);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->expr = (Expr *) row_value((Node *) tle->expr, &ac);
	}
	foreach(lc, query->windowClause)
	{
		WindowClause *window = lfirst_node(WindowClause, lc);

		window->startOffset = above_mutator(window->startOffset, &ac);
		window->endOffset = above_mutator(window->endOffset, &ac);
	}
	having = above_mutator(query->havingQual, &ac);

	ref->rtindex = 1;
	query->rtable = list_make1(make_use(cxt, number));
	sx_forget_permissions(query);
	query->jointree = makeFromExpr(list_make1(ref), having);
	query->groupClause = NIL;
	query->havingQual = NULL;
	query->hasAggs = false;
	query->hasTargetSRFs = expression_returns_set((Node *) query->targetList);
}

/* ---- rows of a stream that is joined with more than a core can be ---- */

typedef struct UsedContext
{
	int			varno;
	Index		depth;
	Bitmapset  *columns;
	bool		others;			/* whole rows, system columns */
} UsedContext;

static bool
used_columns_walker(Node *node, UsedContext *used)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno == used->varno && var->varlevelsup == used->depth)
		{
			if (var->varattno > 0)
				used->columns = bms_add_member(used->columns, var->varattno);
			else
				used->others = true;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		used->depth++;
		(void) query_tree_walker((Query *) node, used_columns_walker, used, 0);
		used->depth--;
		return false;
	}
	return expression_tree_walker(node, used_columns_walker, used);
}

/* Conditions of WHERE on this item of FROM alone: they are taken out. */
static List *
take_conditions(Query *query, int varno)
{
	List	   *taken = NIL;
	List	   *left = NIL;
	bool		direct = false;
	ListCell   *lc;

	foreach(lc, query->jointree->fromlist)
	{
		if (IsA(lfirst(lc), RangeTblRef) && ((RangeTblRef *) lfirst(lc))->rtindex == varno)
			direct = true;
	}
	if (!direct)
		return NIL;
	foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
	{
		Node	   *qual = lfirst(lc);
		Relids		varnos = pull_varnos(NULL, qual);
		Index		depth = 0;

		if (bms_membership(varnos) == BMS_SINGLETON && bms_singleton_member(varnos) == varno &&
			!checkExprHasSubLink(qual) && !outer_reference_walker(qual, &depth))
		{
			ChangeVarNodes(qual, varno, 1, 0);
			taken = lappend(taken, qual);
		}
		else
			left = lappend(left, qual);
	}
	query->jointree->quals = left ? (Node *) make_ands_explicit(left) : NULL;
	return taken;
}

static void
split_rows(SxDeriveContext *cxt, Query *query, int varno)
{
	RangeTblEntry *rte = rt_fetch(varno, query->rtable);
	Query	   *rows = makeNode(Query);
	Query	   *over = makeNode(Query);
	RangeTblEntry *source;
	RangeTblRef *ref = makeNode(RangeTblRef);
	UsedContext used = {0};
	SxCoreDraft *core;
	List	   *quals = take_conditions(query, varno);
	Relation	rel;
	int			number;
	int			i;

	used.varno = varno;
	(void) query_tree_walker(query, used_columns_walker, &used, QTW_IGNORE_JOINALIASES);
	if (used.others || rte->tablesample)
		REFUSE(cxt->viewname,
			   ("A stream that is joined with groups is used as whole rows, or sampled."),
			   ("Name the columns of the stream, and leave TABLESAMPLE out."));

	ref->rtindex = 1;
	source = copyObject(rte);
	rows->commandType = over->commandType = CMD_SELECT;
	sx_copy_permissions(rows, query);
	rows->rtable = list_make1(source);
	rows->jointree = makeFromExpr(list_make1(ref), quals ? (Node *) make_ands_explicit(quals) : NULL);
	core = find_core(cxt, rows, false, &number);
	over->querySource = QSRC_ORIGINAL;
	over->canSetTag = true;
	over->rtable = list_make1(make_use(cxt, number));
	over->jointree = makeFromExpr(list_make1(copyObject(ref)), NULL);

	/* columns keep their numbers; those that nobody asks for are NULL */
	rel = table_open(rte->relid, AccessShareLock);
	for (i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i - 1);
		Var		   *column = makeVar(1, i, att->atttypid, att->atttypmod, att->attcollation, 0);
		Expr	   *value;

		if (bms_is_member(i, used.columns))
			value = (Expr *) makeVar(1, sx_core_column(core, (Expr *) column), att->atttypid,
									 att->atttypmod, att->attcollation, 0);
		else
			value = (Expr *) makeNullConst(att->attisdropped ? INT4OID : att->atttypid,
										   att->atttypmod, att->attcollation);
		over->targetList = lappend(over->targetList,
								   makeTargetEntry(value, i, pstrdup(NameStr(att->attname)), false));
	}
	table_close(rel, NoLock);
	if (core->query->targetList == NIL)
		(void) sx_core_column(core, (Expr *) makeBoolConst(true, false));

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = over;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->inh = false;
	sx_clear_permissions(rte);
}

/* ---- the whole query ---- */

static void walk(SxDeriveContext *cxt, Query *query);

/* Columns of joins become those of what is joined. */
static void
flatten_joins(Query *query)
{
	ListCell   *lc;

	query->targetList = (List *) sx_flatten_join_aliases(query, (Node *) query->targetList);
	query->havingQual = sx_flatten_join_aliases(query, query->havingQual);
	query->jointree = (FromExpr *) sx_flatten_join_aliases(query, (Node *) query->jointree);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY && rte->lateral)
			rte->subquery = (Query *) sx_flatten_join_aliases(query, (Node *) rte->subquery);
	}
}

/* Rows of UNION and the like, without ALL, are wanted once. */
static void
once_each(Query *query, Node *node)
{
	SetOperationStmt *op = (SetOperationStmt *) node;
	Node	   *args[2];
	int			i;

	if (!IsA(op, SetOperationStmt))
		return;
	args[0] = op->larg;
	args[1] = op->rarg;
	for (i = 0; i < 2; i++)
	{
		Query	   *leaf;
		ListCell   *lt;
		ListCell   *lg;

		once_each(query, args[i]);
		if (op->all || !IsA(args[i], RangeTblRef) || !grouping_is_sortable(op->groupClauses))
			continue;
		leaf = rt_fetch(((RangeTblRef *) args[i])->rtindex, query->rtable)->subquery;
		if (leaf->setOperations || !is_plain(leaf) || leaf->hasTargetSRFs)
			continue;
		forboth(lt, leaf->targetList, lg, op->groupClauses)
		{
			SortGroupClause *clause = copyObject(lfirst_node(SortGroupClause, lg));

			clause->tleSortGroupRef = assignSortGroupRef(lfirst_node(TargetEntry, lt),
														 leaf->targetList);
			leaf->distinctClause = lappend(leaf->distinctClause, clause);
		}
		leaf->sortClause = NIL;
	}
}

static bool
walk_sublinks_walker(Node *node, SxDeriveContext *cxt)
{
	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		SubLink    *sublink = (SubLink *) node;

		if (sx_plan_count_streams(sublink->subselect) > 0)
			walk(cxt, castNode(Query, sublink->subselect));
		return walk_sublinks_walker(sublink->testexpr, cxt);
	}
	return expression_tree_walker(node, walk_sublinks_walker, cxt);
}

static void
walk(SxDeriveContext *cxt, Query *query)
{
	bool		in_from = false;
	ListCell   *lc;
	int			i;

	check_stack_depth();
	if (query->rowMarks)
		REFUSE(cxt->viewname, ("The query has FOR UPDATE or FOR SHARE."), ("Leave it out."));
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (sx_plan_count_streams(cte->ctequery) > 0)
			REFUSE(cxt->viewname,
				   ("The WITH query \"%s\" over the stream is recursive.", cte->ctename),
				   ("Write it without recursion."));
	}
	flatten_joins(query);
	foreach(lc, query->rtable)
		in_from |= rte_has_stream(lfirst_node(RangeTblEntry, lc));

	if (query->setOperations == NULL && in_from && has_core(query))
		split(cxt, query);
	else
	{
		if (query->setOperations)
			once_each(query, query->setOperations);
		for (i = 1; i <= list_length(query->rtable); i++)
		{
			RangeTblEntry *rte = rt_fetch(i, query->rtable);

			if (!rte_has_stream(rte))
				continue;
			if (rte->rtekind == RTE_RELATION)
				split_rows(cxt, query, i);
			else if (rte->rtekind == RTE_SUBQUERY)
				walk(cxt, rte->subquery);
		}
	}
	(void) query_tree_walker(query, walk_sublinks_walker, cxt,
							 QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES);
}

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

#define MAX_PARTS 4

static void
choose_partitions(SxDeriveContext *cxt, SxDerivation *d, Query *outer)
{
	List	   *found = sx_plan_partitions(cxt, outer);
	List	   *chosen = NIL;
	ListCell   *lc;
	int			use;

	foreach(lc, found)
	{
		SxPartition *part = lfirst(lc);
		TypeCacheEntry *type = lookup_type_cache(exprType((Node *) part->expr),
												 TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR);

		if (!OidIsValid(type->lt_opr) || !OidIsValid(type->eq_opr) ||
			!OidIsValid(get_array_type(exprType((Node *) part->expr))))
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
	for (i = 0; i < d->nparts && d->window_part < 0; i++)
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
	const char *clock;

	cxt.viewname = viewname;
	drop_rule_entries(query);
	sx_plan_inline_all(query);
	shape->strategy = SX_STRATEGY_DERIVE;
	shape->window_key = -1;
	shape->derivation = d;
	result_keys(shape, query);
	walk(&cxt, query);
	if (sx_plan_count_streams((Node *) query) > 0)
		REFUSE(viewname, ("A stream is used where its rows cannot be followed."),
			   ("Put the stream into FROM."));

	if (sx_plan_reads_clock((Node *) query, &clock))
		REFUSE(viewname, ("The query reads the clock (%s) above a grouping.", clock),
			   ("Use the event time or the arrival time of the row; the clock may bound these in the WHERE below the grouping."));

	/* order means nothing to a table */
	if (!query->limitCount && !query->limitOffset && !query->hasDistinctOn)
		query->sortClause = NIL;
	d->outer = query;
	choose_partitions(&cxt, d, query);
	make_cores(&cxt, d, shape);
	find_window(d);
	order_keys(shape);
}

/* ---- plans ---- */

/* expr = ANY ($param), or is NULL */
static Node *
is_asked_for(Node *expr, int param, Oid type, SxDeriveScope scope)
{
	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
	Param	   *array = makeNode(Param);
	NullTest   *null;

	array->paramkind = PARAM_EXTERN;
	array->paramid = param;
	array->paramtype = get_array_type(type);
	array->paramtypmod = -1;
	array->paramcollid = get_typcollation(array->paramtype);
	array->location = -1;
	any->opno = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	any->opfuncid = get_opcode(any->opno);
	any->useOr = true;
	any->inputcollid = exprCollation(expr);
	any->args = list_make2(expr, array);
	any->location = -1;
	if (scope != SX_DERIVE_PARTS_OR_NULL)
		return (Node *) any;
	null = makeNode(NullTest);
	null->arg = copyObject((Expr *) expr);
	null->nulltesttype = IS_NULL;
	null->argisrow = false;
	null->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR, list_make2(any, null), -1);
}

static Query *
select_from(RangeTblEntry *rte, List *tlist, List *quals)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);

	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref),
								   quals ? (Node *) make_ands_explicit(quals) : NULL);
	query->targetList = tlist;
	return query;
}

static RangeTblEntry *
table_entry(Oid relid, List *names)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias("t", names);
	rte->inFromCl = true;
	return rte;
}

static Var *
ctid_var(void)
{
	return makeVar(1, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
}

typedef struct TablesContext
{
	const SxDerivation *d;
	const Oid  *tables;			/* per core */
	SxDeriveScope scope;
} TablesContext;

/* A use becomes a subquery over its core's table: columns, ctid. */
static void
fill_in(RangeTblEntry *rte, TablesContext *tc)
{
	const SxDerivation *d = tc->d;
	const SxCoreUse *use = &d->uses[rte->relid - 1];
	const SxCore *core = &d->cores[use->core];
	List	   *tlist = NIL;
	List	   *names = NIL;
	List	   *quals = NIL;
	int			i;

	for (i = 0; i < core->ncolumns; i++)
	{
		const SxHeld *column = &core->columns[i];
		char	   *name = psprintf("c%d", i + 1);

		names = lappend(names, makeString(name));
		tlist = lappend(tlist,
						makeTargetEntry((Expr *) makeVar(1, i + 1, column->typid, column->typmod,
														 column->collation, 0),
										i + 1, name, false));
	}
	tlist = lappend(tlist, makeTargetEntry((Expr *) ctid_var(), i + 1, pstrdup("ctid"), false));
	if (tc->scope != SX_DERIVE_ALL)
	{
		for (i = 0; i < d->nparts; i++)
		{
			const SxHeld *column = &core->columns[use->part[i] - 1];

			quals = lappend(quals,
							is_asked_for((Node *) makeVar(1, use->part[i], column->typid,
														  column->typmod, column->collation, 0),
										 i + 1, d->parts[i].typid, tc->scope));
		}
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = select_from(table_entry(tc->tables[use->core], names), tlist, quals);
	rte->eref = makeAlias("core", lappend(list_copy(names), makeString(pstrdup("ctid"))));
	rte->relid = InvalidOid;
	rte->relkind = 0;
}

static bool
tables_walker(Node *node, TablesContext *tc)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (sx_is_core_use((RangeTblEntry *) node))
			fill_in((RangeTblEntry *) node, tc);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, tables_walker, tc,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, tables_walker, tc);
}

static Query *
over_tables(const SxDerivation *d, const Query *query, const Oid *tables,
			SxDeriveScope scope)
{
	Query	   *result = copyObject(unconstify(Query *, query));
	TablesContext tc;

	tc.d = d;
	tc.tables = tables;
	tc.scope = scope;
	(void) tables_walker((Node *) result, &tc);
	return result;
}

PlannedStmt *
sx_plan_derive(const SxShape *shape, const Oid *tables, SxDeriveScope scope,
			   ParamListInfo params)
{
	const SxDerivation *d = shape->derivation;
	Query	   *query = over_tables(d, d->outer, tables, scope);

	if (scope != SX_DERIVE_ALL)
	{
		/* what comes out is asked for too: it reaches tables that are joined */
		RangeTblEntry *rte = makeNode(RangeTblEntry);
		List	   *tlist = NIL;
		List	   *names = NIL;
		List	   *quals = NIL;
		ListCell   *lc;
		int			i;

		foreach(lc, query->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);
			Node	   *expr = (Node *) tle->expr;

			if (tle->resjunk)
				continue;
			names = lappend(names, makeString(pstrdup(tle->resname)));
			tlist = lappend(tlist,
							makeTargetEntry((Expr *) makeVar(1, tle->resno, exprType(expr),
															 exprTypmod(expr), exprCollation(expr), 0),
											list_length(tlist) + 1, pstrdup(tle->resname), false));
		}
		for (i = 0; i < d->nparts; i++)
			quals = lappend(quals,
							is_asked_for((Node *) makeVar(1, d->parts[i].resno, d->parts[i].typid,
														  d->parts[i].typmod,
														  d->parts[i].collation, 0),
										 i + 1, d->parts[i].typid, scope));
		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = query;
		rte->eref = makeAlias("derived", names);
		rte->inFromCl = true;
		query = select_from(rte, tlist, quals);
	}
	return planner(query, NULL, 0, params);
}

PlannedStmt *
sx_plan_prune(const SxShape *shape, const Oid *tables, SxDeriveScope scope,
			  ParamListInfo params)
{
	return planner(over_tables(shape->derivation, shape->derivation->prune, tables, scope),
				   NULL, 0, params);
}

PlannedStmt *
sx_plan_derived_rows(const SxShape *shape, Oid result, SxDeriveScope scope,
					 ParamListInfo params)
{
	const SxDerivation *d = shape->derivation;
	Relation	rel = table_open(result, AccessShareLock);
	List	   *tlist = NIL;
	List	   *names = NIL;
	List	   *quals = NIL;
	int			i;

	for (i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i - 1);
		char	   *name = pstrdup(NameStr(att->attname));

		names = lappend(names, makeString(name));
		tlist = lappend(tlist,
						makeTargetEntry((Expr *) makeVar(1, i, att->atttypid, att->atttypmod,
														 att->attcollation, 0),
										i, name, false));
	}
	table_close(rel, NoLock);
	tlist = lappend(tlist, makeTargetEntry((Expr *) ctid_var(), i, pstrdup("ctid"), false));
	for (i = 0; scope != SX_DERIVE_ALL && i < d->nparts; i++)
		quals = lappend(quals,
						is_asked_for((Node *) makeVar(1, d->parts[i].resno, d->parts[i].typid,
													  d->parts[i].typmod, d->parts[i].collation, 0),
									 i + 1, d->parts[i].typid, scope));
	return planner(select_from(table_entry(result, names), tlist, quals), NULL, 0, params);
}
