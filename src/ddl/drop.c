/*-------------------------------------------------------------------------
 * drop.c
 *		DROP of continuous views and streams, in each spelling.
 *
 * What is dropped along is PostgreSQL's affair: stored query, state and key
 * index are internal dependents of the result table, so that they go with it
 * and it goes, with CASCADE, with whatever the query reads.  Here: DROP VIEW
 * and DROP MATERIALIZED VIEW of what is a table, and the rows of our own
 * tables, which go when the result table or the stream goes, by whatever
 * statement.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/stop.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/stream.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "source/generator.h"
#include "source/journal.h"
#include "worker/worker.h"

static object_access_hook_type prev_object_access_hook = NULL;

static bool
may_be_result(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE;
}

static bool
is_view_name(List *name)
{
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(name), NoLock,
										 true);

	return OidIsValid(relid) && may_be_result(get_rel_relkind(relid)) && sx_view_is(relid);
}

/* What a name in the list stands for. */
typedef struct DropTarget
{
	char		relkind;		/* of an ordinary view */
} DropTarget;

/* Right to drop, and the right kind; before the lock is taken. */
static void
check_drop_target(const RangeVar *relation, Oid relid, Oid old_relid,
				  void *arg)
{
	DropTarget *target = arg;
	char		relkind;

	if (!OidIsValid(relid))
		return;
	relkind = get_rel_relkind(relid);
	if (relkind == '\0')
		return;					/* concurrently dropped */
	if (relkind != target->relkind &&
		!(may_be_result(relkind) && sx_view_is(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg(target->relkind == RELKIND_VIEW ?
						"\"%s\" is not a view" :
						"\"%s\" is not a materialized view",
						relation->relname),
				 errhint("Use the DROP statement for its kind.")));
	if (!sx_class_ownercheck(relid, GetUserId()) &&
		!sx_namespace_ownercheck(get_rel_namespace(relid), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind),
					   relation->relname);
	if (IsCatalogRelationOid(relid) && !allowSystemTableMods)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog",
						relation->relname)));
}

bool
sx_ddl_names_view(const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		if (is_view_name(lfirst_node(List, lc)))
			return true;
	}
	return false;
}

void
sx_ddl_drop_views(const DropStmt *stmt)
{
	DropTarget	target;
	ObjectAddresses *objects = new_object_addresses();
	ListCell   *lc;

	target.relkind = stmt->removeType == OBJECT_VIEW ? RELKIND_VIEW : RELKIND_MATVIEW;
	foreach(lc, stmt->objects)
	{
		RangeVar   *relation = makeRangeVarFromNameList(lfirst_node(List, lc));
		ObjectAddress address;
		Oid			relid;

		AcceptInvalidationMessages();
		relid = RangeVarGetRelidExtended(relation, AccessExclusiveLock,
										 stmt->missing_ok ? RVR_MISSING_OK : 0,
										 check_drop_target, &target);
		if (!OidIsValid(relid))
		{
			ereport(NOTICE,
					(errmsg(target.relkind == RELKIND_VIEW ?
							"view \"%s\" does not exist, skipping" :
							"materialized view \"%s\" does not exist, skipping",
							relation->relname)));
			continue;
		}
		ObjectAddressSet(address, RelationRelationId, relid);
		add_exact_object_address(&address, objects);
	}
	performMultipleDeletions(objects, stmt->behavior, 0);
	free_object_addresses(objects);
}

static void
object_access(ObjectAccessType access, Oid classid, Oid objectid, int subid,
			  void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classid, objectid, subid, arg);

	if (access != OAT_DROP || classid != RelationRelationId ||
		objectid < FirstNormalObjectId || !IsTransactionState())
		return;

	switch (get_rel_relkind(objectid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			if (!sx_view_is(objectid))
				break;
			if (subid != 0)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot drop column \"%s\" of continuous view \"%s\"",
								get_attname(objectid, subid, false),
								get_rel_name(objectid)),
						 errhint("Drop the continuous view.")));
			sx_view_delete(objectid);
			SX_STOP("drop_view", get_rel_name(objectid));
			sx_worker_wake();
			break;

		case RELKIND_FOREIGN_TABLE:
			if (subid != 0 || !sx_extension_exists() || !sx_stream_is(objectid))
				break;
			sx_journal_drop(objectid);
			sx_stream_forget(objectid);
			sx_generator_forget(objectid);
			sx_worker_wake();
			break;

		default:
			break;
	}
}

void
sx_ddl_init_drop(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = object_access;
}
