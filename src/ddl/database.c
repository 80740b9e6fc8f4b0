/*-------------------------------------------------------------------------
 * database.c
 *		DROP, CREATE and ALTER DATABASE while workers are connected to it.
 *
 * These statements want nobody else in the database.  The workers are
 * stopped first, if the user may do what he asks for at all; the launcher
 * starts them again where the database stands.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ddl/ddl.h"
#include "worker/worker.h"

/* Stops the workers of a database unless the statement will fail anyway. */
static void
stop_workers(const char *dbname, bool may_if_template)
{
	Oid			dbid = get_database_oid(dbname, true);
	HeapTuple	tuple;
	bool		allowed;

	if (!OidIsValid(dbid) || dbid == MyDatabaseId)
		return;
	allowed = sx_database_ownercheck(dbid, GetUserId());
	if (!allowed && may_if_template)
	{
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dbid));
		if (HeapTupleIsValid(tuple))
		{
			allowed = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
			ReleaseSysCache(tuple);
		}
	}
	if (allowed)
		sx_worker_stop_database(dbid);
}

void
sx_ddl_before_database_stmt(Node *stmt, bool is_top_level)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			PreventInTransactionBlock(is_top_level, "DROP DATABASE");
			stop_workers(((DropdbStmt *) stmt)->dbname, false);
			break;

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
				if (have_createdb_privilege())
					stop_workers(source, true);
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
						stop_workers(((AlterDatabaseStmt *) stmt)->dbname, false);
					}
				}
				break;
			}

		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE &&
				have_createdb_privilege())
				stop_workers(((RenameStmt *) stmt)->subname, false);
			break;

		default:
			break;
	}
}
