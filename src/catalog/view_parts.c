/*-------------------------------------------------------------------------
 * view_parts.c
 *		What belongs to a continuous view depends on it.
 *
 * Stored query, states and what else is in streamx_state go with the result
 * table; a sink cannot go without the view.  A dump brings all of them, but
 * not these dependencies: they are looked for, and recorded again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/view.h"

static bool
depends(Oid relid, Oid on, char type)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = form->refclassid == RelationRelationId &&
			form->refobjid == on && form->deptype == type;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

void
sx_view_depend(Oid relid, Oid on, DependencyType type)
{
	ObjectAddress object;
	ObjectAddress referenced;

	if (depends(relid, on, (char) type))
		return;
	ObjectAddressSet(object, RelationRelationId, relid);
	ObjectAddressSet(referenced, RelationRelationId, on);
	recordDependencyOn(&object, &referenced, type);
}

/* InvalidOid among them. */
static List *
parts_of(const SxView *view)
{
	List	   *all = list_make3_oid(view->query, view->state, view->outbox);

	return list_concat(list_concat(all, view->parts), view->value_sets);
}

bool
sx_view_attach_parts(const SxView *view)
{
	ListCell   *lc;

	if (depends(view->query, view->relid, DEPENDENCY_INTERNAL))
		return true;

	/* beside DROP or a restore that goes on: later */
	if (!ConditionalLockRelationOid(view->relid, RowExclusiveLock))
		return false;
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(view->relid)))
		return false;
	foreach(lc, parts_of(view))
	{
		Oid			part = lfirst_oid(lc);

		if (OidIsValid(part) && !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(part)))
			return false;
	}
	foreach(lc, parts_of(view))
	{
		if (OidIsValid(lfirst_oid(lc)))
			sx_view_depend(lfirst_oid(lc), view->relid, DEPENDENCY_INTERNAL);
	}
	if (OidIsValid(view->sink) &&
		ConditionalLockRelationOid(view->sink, AccessShareLock) &&
		SearchSysCacheExists1(RELOID, ObjectIdGetDatum(view->sink)))
		sx_view_depend(view->relid, view->sink, DEPENDENCY_NORMAL);
	CommandCounterIncrement();
	return true;
}
