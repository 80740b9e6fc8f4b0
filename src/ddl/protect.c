/*-------------------------------------------------------------------------
 * protect.c
 *		What users may not change about continuous views.
 *
 * The result table is the owner's, to index, grant on, publish, rename and
 * move; but its columns are those of the query, and its key index is how
 * groups are found.  The parts in streamx_state (stored query, state) change
 * with the view only.
 *
 * DROP needs no checks here: the parts and the key index are internal
 * dependents of the result table (columns: see drop.c).
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "ddl/ddl.h"
#include "result/state_table.h"

Oid			sx_ddl_changing = InvalidOid;

static Oid
lookup(const RangeVar *relation)
{
	if (relation == NULL)
		return InvalidOid;
	return RangeVarGetRelid(relation, NoLock, true);
}

void
sx_ddl_protect_index(Oid result, Oid index)
{
	ObjectAddress table_address;
	ObjectAddress index_address;

	ObjectAddressSet(table_address, RelationRelationId, result);
	ObjectAddressSet(index_address, RelationRelationId, index);
	recordDependencyOn(&index_address, &table_address, DEPENDENCY_INTERNAL);
}

void
sx_ddl_release_index(Oid result, Oid index)
{
	deleteDependencyRecordsForSpecific(RelationRelationId, index,
									   DEPENDENCY_INTERNAL,
									   RelationRelationId, result);
}

bool
sx_ddl_is_key_index(Oid index)
{
	Oid			result = IndexGetRelation(index, true);
	Relation	depend;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(result) || !sx_view_is(result))
		return false;
	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(index));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = form->refclassid == RelationRelationId &&
			form->refobjid == result && form->deptype == DEPENDENCY_INTERNAL;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

static void
refuse_index(Oid index)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter index \"%s\": it is the key of continuous view \"%s\"",
					get_rel_name(index),
					get_rel_name(IndexGetRelation(index, false))),
			 errhint("Create another index beside it.")));
}

static void
refuse_part(Oid part, Oid view)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter \"%s\": it is a part of continuous view \"%s\"",
					get_rel_name(part), get_rel_name(view)),
			 errhint("Alter or drop the continuous view.")));
}

/* what: the message, with %s for the view's name */
static void
refuse_result(Oid view, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg_internal(what, get_rel_name(view)),
			 errhint("Drop the continuous view and create it anew.")));
}

/* What may be done to the storage and the rights of any of our relations. */
static bool
is_harmless(const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_ChangeOwner:
		case AT_SetTableSpace:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplicaIdentity:
		case AT_ClusterOn:
		case AT_DropCluster:
			return true;
		default:
			return false;
	}
}

static void
check_result_cmd(Oid view, const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_AddColumn:
			refuse_result(view, "cannot add a column to continuous view \"%s\"");
			break;
		case AT_DropColumn:
			refuse_result(view, "cannot drop a column of continuous view \"%s\"");
			break;
		case AT_AlterColumnType:
			refuse_result(view, "cannot change the type of a column of continuous view \"%s\"");
			break;
		case AT_AddIdentity:
		case AT_SetIdentity:
			refuse_result(view, "cannot make an identity column of a column of continuous view \"%s\"");
			break;
		case AT_AddInherit:
		case AT_DropInherit:
			refuse_result(view, "cannot change the inheritance of continuous view \"%s\"");
			break;
		case AT_AddOf:
		case AT_DropOf:
			refuse_result(view, "cannot change the row type of continuous view \"%s\"");
			break;
		case AT_SetUnLogged:
			refuse_result(view, "cannot make continuous view \"%s\" unlogged");
			break;
		case AT_AddConstraint:
			{
				/* UNIQUE or PRIMARY KEY USING INDEX */
				const Constraint *constraint = (Constraint *) cmd->def;
				Oid			index;

				if (!IsA(constraint, Constraint) || constraint->indexname == NULL)
					break;
				index = get_relname_relid(constraint->indexname,
										  get_rel_namespace(view));
				if (OidIsValid(index) && sx_ddl_is_key_index(index))
					refuse_index(index);
				break;
			}
		default:
			break;
	}
}

void
sx_ddl_check_alter_table(const AlterTableStmt *stmt)
{
	Oid			relid = lookup(stmt->relation);
	Oid			view;
	char		relkind;
	ListCell   *lc;

	if (!OidIsValid(relid) || relid == sx_ddl_changing)
		return;

	/* a continuous view as a partition or a child of another table */
	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AttachPartition)
		{
			Oid			partition = lookup(castNode(PartitionCmd, cmd->def)->name);

			if (OidIsValid(partition) && sx_view_is(partition))
				refuse_result(partition, "cannot attach continuous view \"%s\" as a partition");
		}
	}

	relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
	{
		foreach(lc, stmt->cmds)
		{
			const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

			if (cmd->subtype != AT_SetTableSpace && sx_ddl_is_key_index(relid))
				refuse_index(relid);
		}
	}
	else if (sx_view_is(relid))
	{
		foreach(lc, stmt->cmds)
			check_result_cmd(relid, lfirst_node(AlterTableCmd, lc));
	}
	else if (!sx_state_table_changing && (view = sx_view_of_part(relid)) != InvalidOid)
	{
		foreach(lc, stmt->cmds)
		{
			if (!is_harmless(lfirst_node(AlterTableCmd, lc)))
				refuse_part(relid, view);
		}
	}
}

void
sx_ddl_check_rename(const RenameStmt *stmt)
{
	Oid			relid = lookup(stmt->relation);
	Oid			view;
	char		relkind;

	if (stmt->renameType == OBJECT_SCHEMA &&
		(strcmp(stmt->subname, "streamx") == 0 || strcmp(stmt->subname, "streamx_state") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename schema \"%s\"", stmt->subname),
				 errdetail("Extension streamx finds what belongs to it by that name."),
				 errhint("Drop the extension if you do not need it.")));
	if (!OidIsValid(relid))
		return;
	switch (stmt->renameType)
	{
		case OBJECT_COLUMN:
			if (sx_view_is(relid))
				refuse_result(relid, "cannot rename a column of continuous view \"%s\"");
			break;
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			relkind = get_rel_relkind(relid);
			if ((relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX) &&
				sx_ddl_is_key_index(relid))
				refuse_index(relid);
			break;
		default:
			return;
	}
	if ((view = sx_view_of_part(relid)) != InvalidOid)
		refuse_part(relid, view);
}

void
sx_ddl_check_set_schema(const AlterObjectSchemaStmt *stmt)
{
	Oid			relid = lookup(stmt->relation);
	Oid			view;

	if (OidIsValid(relid) && (view = sx_view_of_part(relid)) != InvalidOid)
		refuse_part(relid, view);
}

/* An ON SELECT rule would turn the result table into a view. */
void
sx_ddl_check_rule(const RuleStmt *stmt)
{
	Oid			relid = lookup(stmt->relation);

	if (stmt->event == CMD_SELECT && OidIsValid(relid) && sx_view_is(relid))
		refuse_result(relid, "cannot create a rule ON SELECT on continuous view \"%s\"");
}

void
sx_ddl_check_refresh(const RefreshMatViewStmt *stmt)
{
	Oid			relid = lookup(stmt->relation);

	if (OidIsValid(relid) && sx_view_is(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a continuous view", get_rel_name(relid)),
				 errhint("It is kept up to date by itself; streamx.wait() waits until it has what was committed.")));
}
