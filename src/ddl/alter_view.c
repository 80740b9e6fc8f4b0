/*-------------------------------------------------------------------------
 * alter_view.c
 *		ALTER VIEW | TABLE | MATERIALIZED VIEW name SET (streamx.option = value),
 *		RESET (streamx.option): options of a continuous view that runs.
 *
 * Those that what is kept was not made by: the worker takes the view up anew
 * between two batches, where it stands.  By the others it becomes another view,
 * see replace.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "catalog/view.h"
#include "ddl/ddl.h"
#include "plan/plan.h"
#include "worker/worker.h"

/* Ours among the options of a command; *others: there are others too. */
static List *
our_options(const AlterTableCmd *cmd, bool *others)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (cmd->subtype != AT_SetRelOptions && cmd->subtype != AT_ResetRelOptions)
	{
		*others = true;
		return NIL;
	}
	foreach(lc, castNode(List, cmd->def))
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (sx_ddl_has_options(list_make1(def)))
			result = lappend(result, def);
		else
			*others = true;
	}
	return result;
}

bool
sx_ddl_alters_options(const AlterTableStmt *stmt)
{
	bool		others = false;
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		if (our_options(lfirst_node(AlterTableCmd, lc), &others))
			return true;
	}
	return false;
}

void
sx_ddl_alter_options(const AlterTableStmt *stmt)
{
	Oid			relid = RangeVarGetRelidExtended(stmt->relation, NoLock,
												 stmt->missing_ok ? RVR_MISSING_OK : 0,
												 RangeVarCallbackOwnsRelation, NULL);
	bool		others = false;
	bool		anew = false;
	SxView	   *view;
	SxView	   *next;
	ListCell   *lc;
	ListCell   *lo;

	if (!OidIsValid(relid))
	{
		ereport(NOTICE,
				(errmsg("relation \"%s\" does not exist, skipping", stmt->relation->relname)));
		return;
	}
	sx_ddl_check_owned_view(relid);

	/* in the order of who rebuilds it */
	sx_view_lock_definition(relid);
	LockRelationOid(relid, ShareUpdateExclusiveLock);
	sx_ddl_check_owned_view(relid);
	view = sx_view_get(relid);
	next = sx_view_get(relid);
	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		foreach(lo, our_options(cmd, &others))
		{
			DefElem    *def = lfirst_node(DefElem, lo);

			bool		its_anew;

			sx_ddl_read_option(next, def->defname,
							   cmd->subtype == AT_SetRelOptions ? defGetString(def) : NULL,
							   &its_anew);
			anew |= its_anew;
		}
	}
	if (others)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change options of continuous view \"%s\" together with other things",
						get_rel_name(relid)),
				 errhint("Use a statement of its own for the options \"streamx....\".")));
	sx_ddl_check_closing(next, sx_plan_analyze(sx_plan_stored_query(view->query), view->name),
						 get_rel_name(relid));
	sx_ddl_check_sink_options(next);
	if (anew)
		sx_ddl_replace_options(view, next);
	else
		sx_view_set_options(next);
	sx_worker_wake();
}
