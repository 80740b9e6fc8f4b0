/*-------------------------------------------------------------------------
 * database.c
 *		DROP, CREATE and ALTER DATABASE while workers are connected to it.
 *
 * These statements want nobody else in the database.  The workers are held
 * away from it meanwhile, if the user may do what he asks for at all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/ddl.h"

/* As PostgreSQL's own, which earlier minor releases (15.18) do not export. */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The database, unless the statement will fail anyway.  Only as a template it
 * may be the one that we are in ourselves.
 */
static Oid
if_allowed(const char *dbname, bool as_template)
{
	Oid			dbid = get_database_oid(dbname, true);
	HeapTuple	tuple;
	bool		allowed;

	if (!OidIsValid(dbid) || (dbid == MyDatabaseId && !as_template))
		return InvalidOid;
	allowed = sx_database_ownercheck(dbid, GetUserId());
	if (!allowed && as_template)
	{
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dbid));
		if (HeapTupleIsValid(tuple))
		{
			allowed = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
			ReleaseSysCache(tuple);
		}
	}
	return allowed ? dbid : InvalidOid;
}

Oid
sx_ddl_database_of_stmt(Node *stmt, bool is_top_level)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			PreventInTransactionBlock(is_top_level, "DROP DATABASE");
			return if_allowed(((DropdbStmt *) stmt)->dbname, false);

		case T_CreatedbStmt:
			{
				const char *source = "template1";
				ListCell   *lc;

				PreventInTransactionBlock(is_top_level, "CREATE DATABASE");
				foreach(lc, ((CreatedbStmt *) stmt)->options)
				{
					DefElem    *def = lfirst_node(DefElem, lc);

					if (strcmp(def->defname, "template") == 0 && def->arg != NULL)
						source = defGetString(def);
				}
				if (may_create_databases())
					return if_allowed(source, true);
				break;
			}

		case T_AlterDatabaseStmt:
			{
				ListCell   *lc;

				foreach(lc, ((AlterDatabaseStmt *) stmt)->options)
				{
					if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
					{
						PreventInTransactionBlock(is_top_level,
												  "ALTER DATABASE SET TABLESPACE");
						return if_allowed(((AlterDatabaseStmt *) stmt)->dbname, false);
					}
				}
				break;
			}

		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE &&
				may_create_databases())
				return if_allowed(((RenameStmt *) stmt)->subname, false);
			break;

		default:
			break;
	}
	return InvalidOid;
}
