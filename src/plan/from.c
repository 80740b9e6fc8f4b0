/*-------------------------------------------------------------------------
 * from.c
 *		What stands in FROM: streams, and what is between them and the top.
 *
 * Streams are found wherever they are used.  To be folded forward each has to
 * reach the top of the query row by row; a WITH query that holds one becomes a
 * subquery first.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"

#include "catalog/stream.h"
#include "plan/from.h"
#include "plan/refuse.h"

typedef struct FromContext
{
	const char *viewname;
	SxFrom		from;			/* streams found on ways that can be
								 * maintained */
	int			nstreams;		/* how often any of them is there */
	bool		in_union;		/* below a branch of UNION ALL */
} FromContext;

static bool
count_streams_walker(Node *node, int *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
			sx_stream_is(rte->relid))
			(*count)++;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, count_streams_walker, count,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, count_streams_walker, count);
}

int
sx_plan_count_streams(Node *node)
{
	int			count = 0;

	count_streams_walker(node, &count);
	return count;
}

static int
count_rte_streams(RangeTblEntry *rte)
{
	return rte->subquery ? sx_plan_count_streams((Node *) rte->subquery) : sx_plan_count_streams((Node *) rte);
}

/* ---- WITH queries over a stream become subqueries ---- */

typedef struct InlineContext
{
	CommonTableExpr *cte;
	int			depth;			/* below the query that has the WITH clause */
} InlineContext;

static bool
inline_reference_walker(Node *node, InlineContext *ic)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ic->depth++;
		(void) query_tree_walker((Query *) node, inline_reference_walker, ic,
								 QTW_EXAMINE_RTES_AFTER);
		ic->depth--;
		return false;
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup == ic->depth &&
			strcmp(rte->ctename, ic->cte->ctename) == 0)
		{
			Query	   *query = copyObject(castNode(Query, ic->cte->ctequery));

			/* what it refers to outside itself is further away now */
			if (ic->depth > 0)
				IncrementVarSublevelsUp((Node *) query, ic->depth, 1);
			rte->rtekind = RTE_SUBQUERY;
			rte->subquery = query;
			rte->ctename = NULL;
			rte->ctelevelsup = 0;
			rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
		}
		return false;
	}
	return expression_tree_walker(node, inline_reference_walker, ic);
}

/*
 * Put each WITH query that holds a stream where it is used, in order, as one
 * may use another; all: those without a stream too.  The rest is left to be
 * told apart.
 */
static bool
inline_ctes_walker(Node *node, bool *all)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		(void) query_tree_walker(query, inline_ctes_walker, all, 0);
		foreach(lc, query->cteList)
		{
			InlineContext ic;

			ic.cte = lfirst_node(CommonTableExpr, lc);
			ic.depth = -1;
			if (ic.cte->cterecursive || (ic.cte->cterefcount < 1 && !*all) ||
				castNode(Query, ic.cte->ctequery)->commandType != CMD_SELECT ||
				(!*all && sx_plan_count_streams(ic.cte->ctequery) == 0))
				continue;
			query->cteList = foreach_delete_current(query->cteList, lc);
			(void) inline_reference_walker((Node *) query, &ic);
		}
		return false;
	}
	return expression_tree_walker(node, inline_ctes_walker, all);
}

void
sx_plan_inline(Query *query, bool all)
{
	(void) inline_ctes_walker((Node *) query, &all);
}

/* ---- what lies below the top level of grouping ---- */

static void check_from(FromContext *cxt, Query *query);
static void check_inlined(FromContext *cxt, Query *query);

/* The branches of UNION ALL, which are added up row by row. */
static void
check_union(FromContext *cxt, Query *query, Node *node)
{
	if (IsA(node, SetOperationStmt))
	{
		SetOperationStmt *op = (SetOperationStmt *) node;

		if (op->op != SETOP_UNION || !op->all)
		{
			if (op->op == SETOP_UNION)
				SX_REFUSE(cxt->viewname, ("The query has UNION without ALL."),
						  ("Use UNION ALL, and GROUP BY over it to take duplicates away."));
			SX_REFUSE(cxt->viewname,
					  ("The query has %s.", op->op == SETOP_INTERSECT ? "INTERSECT" : "EXCEPT"),
					  ("Make a continuous view of each side and compare their result tables."));
		}
		check_union(cxt, query, op->larg);
		check_union(cxt, query, op->rarg);
	}
	else
	{
		RangeTblEntry *rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, query->rtable);
		bool		in_union = cxt->in_union;

		/* what reads no stream is history, whatever it is: see union.c */
		cxt->in_union = true;
		if (count_rte_streams(rte) > 0)
			check_inlined(cxt, rte->subquery);
		cxt->in_union = in_union;
	}
}

/* A subquery or WITH query that holds the stream is a plain selection. */
static void
check_inlined(FromContext *cxt, Query *query)
{
	const char *clause = NULL;

	if (query->hasAggs || query->groupClause || query->groupingSets ||
		query->havingQual)
		clause = "grouping or aggregates";
	else if (query->distinctClause)
		clause = "DISTINCT";
	else if (query->hasWindowFuncs)
		clause = "window functions";
	else if (query->limitCount || query->limitOffset)
		clause = "LIMIT or OFFSET";
	else if (query->rowMarks)
		clause = "FOR UPDATE or FOR SHARE";
	else if (query->commandType != CMD_SELECT)
		clause = "a data-modifying statement";
	if (clause)
		SX_REFUSE(cxt->viewname,
				  ("A subquery or WITH query over the stream contains %s.", clause),
				  ("Only one level of grouping can be maintained, at the top of the query."));
	if (query->setOperations)
		check_union(cxt, query, query->setOperations);
	else
		check_from(cxt, query);
}

static CommonTableExpr *
find_cte(Query *query, const char *name)
{
	ListCell   *lc;

	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, name) == 0)
			return cte;
	}
	return NULL;
}

static bool
has_stream(Query *query, Node *node)
{
	ListCell   *lc;

	if (IsA(node, RangeTblRef))
		return count_rte_streams(rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable)) > 0;
	if (IsA(node, JoinExpr))
		return has_stream(query, ((JoinExpr *) node)->larg) ||
			has_stream(query, ((JoinExpr *) node)->rarg);
	foreach(lc, castNode(FromExpr, node)->fromlist)
	{
		if (has_stream(query, lfirst(lc)))
			return true;
	}
	return false;
}

/*
 * nullable: below the NULL-extended side of an outer join; *joined counts what
 * holds a stream
 */
static void
check_from_node(FromContext *cxt, Query *query, Node *node, bool nullable,
				int *joined)
{
	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable);

		if (count_rte_streams(rte) > 0)
			(*joined)++;
		if (nullable && count_rte_streams(rte) > 0)
			SX_REFUSE(cxt->viewname,
					  ("The stream is on the side of an outer join that is filled with NULLs."),
					  ("Put the stream on the preserved side: stream LEFT JOIN table."));
		if (rte->rtekind == RTE_RELATION)
		{
			if (rte->relkind == RELKIND_FOREIGN_TABLE && sx_stream_is(rte->relid))
			{
				if (rte->tablesample)
					SX_REFUSE(cxt->viewname, ("A stream has a TABLESAMPLE clause."),
							  ("Leave TABLESAMPLE out."));
				cxt->from.streams = list_append_unique_oid(cxt->from.streams, rte->relid);
				cxt->nstreams++;
			}
		}
		else if (rte->rtekind == RTE_SUBQUERY)
		{
			if (sx_plan_count_streams((Node *) rte->subquery) > 0)
				check_inlined(cxt, rte->subquery);
		}
		else if (rte->rtekind == RTE_CTE && rte->ctelevelsup == 0)
		{
			CommonTableExpr *cte = find_cte(query, rte->ctename);

			/* those that can be subqueries are by now */
			if (cte && sx_plan_count_streams(cte->ctequery) > 0)
				SX_REFUSE(cxt->viewname,
						  ("The WITH query \"%s\" over the stream is recursive.", cte->ctename),
						  ("Write it without RECURSIVE."));
		}
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;
		bool		left = nullable;
		bool		right = nullable;

		/* an outer join of two streams is join.c's affair */
		if (!has_stream(query, join->larg) || !has_stream(query, join->rarg))
		{
			if (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL)
				right = true;
			if (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL)
				left = true;
		}
		check_from_node(cxt, query, join->larg, left, joined);
		check_from_node(cxt, query, join->rarg, right, joined);
	}
	else if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			check_from_node(cxt, query, lfirst(lc), nullable, joined);
	}
	else
		elog(ERROR, "unrecognized node type: %d", (int) nodeTag(node));
}

static void
check_from(FromContext *cxt, Query *query)
{
	int			joined = 0;

	check_from_node(cxt, query, (Node *) query->jointree, false, &joined);
	if (joined > 1)
	{
		if (cxt->in_union)
			SX_REFUSE(cxt->viewname, ("A branch of UNION ALL joins streams."),
					  ("Make a continuous view of each branch."));
		cxt->from.joins = true;
	}
}

SxFrom
sx_plan_check_from(Query *query, const char *viewname)
{
	FromContext cxt = {0};

	cxt.viewname = viewname;
	if (query->setOperations)
		check_union(&cxt, query, query->setOperations);
	else
		check_from(&cxt, query);
	if (cxt.nstreams != sx_plan_count_streams((Node *) query))
		SX_REFUSE(viewname, ("A stream is used in a subquery of an expression."),
				  ("Put the stream into FROM."));
	return cxt.from;
}
