/*-------------------------------------------------------------------------
 * repeat.c
 *		Does a view's batch query give the same for the same rows again,
 *		whenever it runs?
 *
 * Then what it gave may be forgotten and had again by reading the rows again.
 * It does unless it looks at something else: at a table, at the clock, at
 * what a function of a user's may look at.  In doubt: no.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "plan/plan.h"

/*
 * Stable functions of PostgreSQL's own depend on settings, which a view keeps
 * as they were; some on more than that.
 */
static bool
builtin_depends_on_more(Form_pg_proc proc)
{
	const char *name = NameStr(proc->proname);
	Size		len = strlen(name);

	if (strcmp(name, "textanycat") == 0 || strcmp(name, "anytextcat") == 0)
		return false;
	if (proc->prolang != INTERNALlanguageId || proc->pronargs == 0)
		return true;
	return strncmp(name, "pg_", 3) == 0 || strncmp(name, "has_", 4) == 0 ||
		strncmp(name, "txid_", 5) == 0 || strncmp(name, "ts_stat", 7) == 0 ||
		strcmp(name, "current_setting") == 0 ||
		(len > 12 && strcmp(name + len - 12, "_description") == 0) ||
		strstr(name, "_to_xml") != NULL;
}

static bool
function_varies(Oid funcid, void *context)
{
	HeapTuple	tup = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc proc;
	bool		result = true;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	proc = (Form_pg_proc) GETSTRUCT(tup);
	if (proc->provolatile == PROVOLATILE_IMMUTABLE)
		result = false;
	else if (proc->provolatile == PROVOLATILE_STABLE)
	{
		if (funcid < FirstGenbkiObjectId)
			result = builtin_depends_on_more(proc);
		else
			result = proc->prolang != ClanguageId ||
				getExtensionOfObject(ProcedureRelationId, funcid) !=
				get_extension_oid("streamx", true);
	}
	ReleaseSysCache(tup);
	return result;
}

static bool
varies_walker(Node *node, void *context)
{
	const SxShape *shape = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = castNode(RangeTblEntry, node);

		/* what is left of a view that was expanded is read by nobody */
		return rte->rtekind == RTE_RELATION && !list_member_oid(shape->streams, rte->relid) &&
			get_rel_relkind(rte->relid) != RELKIND_VIEW;
	}
	if (IsA(node, Query))
		return query_tree_walker(castNode(Query, node), varies_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, SQLValueFunction) || IsA(node, NextValueExpr) ||
		check_functions_in_node(node, function_varies, NULL))
		return true;
	return expression_tree_walker(node, varies_walker, context);
}

/* The functions behind an aggregate. */
static bool
aggregate_varies(const SxPartial *partial)
{
	HeapTuple	tup = SearchSysCache1(AGGFNOID,
									  ObjectIdGetDatum(partial->aggref->aggfnoid));
	Oid			transfn;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for aggregate %u",
			 partial->aggref->aggfnoid);
	transfn = ((Form_pg_aggregate) GETSTRUCT(tup))->aggtransfn;
	ReleaseSysCache(tup);
	return function_varies(transfn, NULL) ||
		function_varies(partial->combinefn, NULL) ||
		(OidIsValid(partial->serialfn) && function_varies(partial->serialfn, NULL)) ||
		(OidIsValid(partial->deserialfn) && function_varies(partial->deserialfn, NULL));
}

bool
sx_plan_repeats(const SxShape *shape)
{
	int			i;

	for (i = 0; i < shape->npartials; i++)
	{
		if (aggregate_varies(&shape->partials[i]))
			return false;
	}
	/* what is held of joined streams stays in its tables */
	return shape->join == NULL &&
		!varies_walker((Node *) shape->batch_query, unconstify(SxShape *, shape));
}
