/*-------------------------------------------------------------------------
 * core.c
 *		Cuts a query in two: cores below, the outer query above (see derive.c).
 *
 * Where FROM, WHERE and GROUP BY of a level can be folded forward they become
 * a core, and the level one over the core's columns.  Where they cannot,
 * because FROM has groups as well, or WHERE a subquery over a stream, what
 * stands in FROM is cut, and the rows of streams there become cores as they
 * are.  Cores that are the same are one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_clause.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "plan/derive.h"
#include "plan/from.h"
#include "plan/refuse.h"

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
		SX_REFUSE(ac->cxt->viewname,
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
			SX_REFUSE(ac->cxt->viewname,
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
		SX_REFUSE(cxt->viewname,
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
		SX_REFUSE(cxt->viewname,
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
		SX_REFUSE(cxt->viewname,
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

void
sx_plan_flatten_joins(Query *query)
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
			sx_plan_cut(cxt, castNode(Query, sublink->subselect));
		return walk_sublinks_walker(sublink->testexpr, cxt);
	}
	return expression_tree_walker(node, walk_sublinks_walker, cxt);
}

void
sx_plan_cut(SxDeriveContext *cxt, Query *query)
{
	bool		in_from = false;
	ListCell   *lc;
	int			i;

	check_stack_depth();
	if (query->rowMarks)
		SX_REFUSE(cxt->viewname, ("The query has FOR UPDATE or FOR SHARE."), ("Leave it out."));
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (sx_plan_count_streams(cte->ctequery) > 0)
			SX_REFUSE(cxt->viewname,
					  ("The WITH query \"%s\" over the stream is recursive.", cte->ctename),
					  ("Write it without recursion."));
	}
	sx_plan_flatten_joins(query);
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
				sx_plan_cut(cxt, rte->subquery);
		}
	}
	(void) query_tree_walker(query, walk_sublinks_walker, cxt,
							 QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES);
}

/* ---- what has come out so far ---- */

static bool
sublinks_so_far_walker(Node *node, int64 *closed_us)
{
	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		sx_plan_cores_so_far(castNode(Query, ((SubLink *) node)->subselect), *closed_us);
		return sublinks_so_far_walker(((SubLink *) node)->testexpr, closed_us);
	}
	return expression_tree_walker(node, sublinks_so_far_walker, (void *) closed_us);
}

/* Goes down as sx_plan_cut() does. */
void
sx_plan_cores_so_far(Query *query, int64 closed_us)
{
	ListCell   *lc;

	check_stack_depth();
	if (sx_plan_count_streams((Node *) query) == 0)
		return;
	if (query->setOperations == NULL && has_core(query))
	{
		SxJoin	   *join = sx_plan_join(query, "");

		if (join && join->outer)
			sx_plan_join_so_far(query, join, closed_us);
	}
	else
	{
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_SUBQUERY)
				sx_plan_cores_so_far(rte->subquery, closed_us);
		}
	}
	(void) query_tree_walker(query, sublinks_so_far_walker, &closed_us,
							 QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES);
}
