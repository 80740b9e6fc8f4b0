/*-------------------------------------------------------------------------
 * utility_hook.c
 *		Utility statements on their way: which ones concern us.
 *
 * Statements that make or drop continuous views are answered here; some
 * others are checked before they run or followed up after; all the rest
 * passes untouched.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/ipc.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/extension.h"
#include "catalog/stream.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "fdw/options.h"
#include "result/key_index.h"
#include "source/journal.h"
#include "worker/worker.h"

static ProcessUtility_hook_type prev_process_utility = NULL;

/* One utility statement as the hook got it. */
typedef struct Utility
{
	PlannedStmt *pstmt;
	const char *query_string;
	bool		read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *query_env;
	DestReceiver *dest;
	QueryCompletion *qc;
} Utility;

static void
pass_on(const Utility *utility)
{
	if (prev_process_utility)
		prev_process_utility(utility->pstmt, utility->query_string,
							 utility->read_only_tree, utility->context,
							 utility->params, utility->query_env,
							 utility->dest, utility->qc);
	else
		standard_ProcessUtility(utility->pstmt, utility->query_string,
								utility->read_only_tree, utility->context,
								utility->params, utility->query_env,
								utility->dest, utility->qc);
}

static void
need_extension(void)
{
	if (!sx_extension_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"streamx\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION streamx.")));
}

/* What standard_ProcessUtility does around a statement that changes things. */
static void
prevent_where_impossible(Node *parsetree)
{
	const char *tag = CreateCommandName(parsetree);

	PreventCommandIfReadOnly(tag);
	PreventCommandIfParallelMode(tag);
	PreventCommandDuringRecovery(tag);
}

/* A statement answered here: with the event triggers of any other. */
static void
run_with_event_triggers(const Utility *utility,
						void (*run) (const Utility *utility))
{
	Node	   *parsetree = utility->pstmt->utilityStmt;
	bool		complete = utility->context <= PROCESS_UTILITY_QUERY;
	bool		cleanup;

	prevent_where_impossible(parsetree);
	cleanup = complete && EventTriggerBeginCompleteQuery();
	PG_TRY();
	{
		if (complete)
			EventTriggerDDLCommandStart(parsetree);
		run(utility);
		if (complete)
		{
			EventTriggerSQLDrop(parsetree);
			EventTriggerDDLCommandEnd(parsetree);
		}
	}
	PG_FINALLY();
	{
		if (cleanup)
			EventTriggerEndCompleteQuery();
	}
	PG_END_TRY();
}

/* CREATE VIEW ... WITH (streamx.continuous) */
static void
create_from_view_stmt(const Utility *utility)
{
	const ViewStmt *stmt = castNode(ViewStmt, utility->pstmt->utilityStmt);
	RawStmt    *raw = makeNode(RawStmt);
	SxCreateView create = {0};

	if (stmt->withCheckOption != NO_CHECK_OPTION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("WITH CHECK OPTION is not supported for continuous views"),
				 errhint("Leave it out: nobody inserts into a continuous view.")));

	raw->stmt = copyObject(stmt->query);
	raw->stmt_location = utility->pstmt->stmt_location;
	raw->stmt_len = utility->pstmt->stmt_len;
	create.relation = copyObject(stmt->view);
	create.replace = stmt->replace;
	create.aliases = stmt->aliases;
	create.query = parse_analyze_fixedparams(raw, utility->query_string,
											 NULL, 0, NULL);
	create.options = stmt->options;
	(void) sx_ddl_create_view(&create);
}

/* CREATE MATERIALIZED VIEW ... WITH (streamx.continuous) */
static void
create_from_matview_stmt(const Utility *utility)
{
	const CreateTableAsStmt *stmt = castNode(CreateTableAsStmt,
											 utility->pstmt->utilityStmt);
	SxCreateView create = {0};

	create.relation = copyObject(stmt->into->rel);
	create.aliases = stmt->into->colNames;
	create.query = copyObject(castNode(Query, stmt->query));
	create.options = stmt->into->options;
	create.access_method = stmt->into->accessMethod;
	create.tablespace = stmt->into->tableSpaceName;
	create.if_not_exists = stmt->if_not_exists;
	(void) sx_ddl_create_view(&create);

	/* SPI takes this statement to have selected, if not WITH NO DATA */
	if (utility->qc && utility->context != PROCESS_UTILITY_TOPLEVEL)
		SetQueryCompletion(utility->qc, CMDTAG_SELECT, 0);
}

/*
 * Does WITH (...) ask for a continuous view?  With only "streamx.continuous =
 * false" it does not: *plain is what remains of it.
 */
static bool
is_continuous(const List *options, List **plain)
{
	SxView		scratch = {0};
	bool		continuous;

	need_extension();
	*plain = sx_ddl_read_options(options, &scratch, &continuous);
	return continuous;
}

/* DROP [MATERIALIZED] VIEW with continuous views among the names */
static void
drop_views(const Utility *utility)
{
	sx_ddl_drop_views(castNode(DropStmt, utility->pstmt->utilityStmt));
}

/* A copy of the statement, to be changed on its way. */
static Node *
own_statement(Utility *utility)
{
	if (utility->read_only_tree)
	{
		utility->pstmt = copyObject(utility->pstmt);
		utility->read_only_tree = false;
	}
	return utility->pstmt->utilityStmt;
}

static Oid
existing_relation(const RangeVar *relation)
{
	return relation == NULL ? InvalidOid :
		RangeVarGetRelid(relation, NoLock, true);
}

/* The owner of a relation as of the latest command. */
static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* The parts of a continuous view go to its new owner. */
static void
follow_owner(Oid relid)
{
	SxView	   *view;
	ListCell   *lc;

	CommandCounterIncrement();
	view = sx_view_get(relid);
	if (view == NULL)
		return;
	if (owner_of(view->query) != view->owner)
		ATExecChangeOwner(view->query, view->owner, true, AccessExclusiveLock);
	if (OidIsValid(view->state) && owner_of(view->state) != view->owner)
		ATExecChangeOwner(view->state, view->owner, true, AccessExclusiveLock);
	if (OidIsValid(view->outbox) && owner_of(view->outbox) != view->owner)
		ATExecChangeOwner(view->outbox, view->owner, true, AccessExclusiveLock);
	foreach(lc, list_concat_copy(view->parts, view->value_sets))
	{
		if (OidIsValid(lfirst_oid(lc)) && owner_of(lfirst_oid(lc)) != view->owner)
			ATExecChangeOwner(lfirst_oid(lc), view->owner, true, AccessExclusiveLock);
	}
}

/* A stream was made or changed. */
static void
follow_stream(Oid relid)
{
	CommandCounterIncrement();
	sx_fdw_check_stream(relid);
	sx_worker_wake();
}

/* DROP EXTENSION of ours, by somebody who may. */
static bool
names_streamx(const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "streamx") == 0)
		{
			Oid			extension = get_extension_oid("streamx", true);

			return OidIsValid(extension) &&
				sx_extension_ownercheck(extension, GetUserId());
		}
	}
	return false;
}

/* ALTER ... SET (streamx....) */
static void
alter_options(const Utility *utility)
{
	sx_ddl_alter_options(castNode(AlterTableStmt, utility->pstmt->utilityStmt));
}

static void
alter_table(const Utility *utility)
{
	const AlterTableStmt *stmt = castNode(AlterTableStmt,
										  utility->pstmt->utilityStmt);
	Oid			relid = existing_relation(stmt->relation);

	if (sx_ddl_alters_options(stmt))
	{
		run_with_event_triggers(utility, alter_options);
		return;
	}
	sx_ddl_check_alter_table(stmt);
	pass_on(utility);

	/* parts of CREATE FOREIGN TABLE come here too, before it is whole */
	if (!OidIsValid(relid) || utility->context == PROCESS_UTILITY_SUBCOMMAND)
		return;
	if (sx_view_is(relid))
	{
		follow_owner(relid);
		sx_worker_wake();
	}
	else if (sx_stream_is(relid))
	{
		follow_stream(relid);
		sx_journal_sync(relid);
	}
}

static void
rename_object(const Utility *utility)
{
	const RenameStmt *stmt = castNode(RenameStmt, utility->pstmt->utilityStmt);
	Oid			relid = InvalidOid;

	if (stmt->renameType == OBJECT_COLUMN)
		relid = existing_relation(stmt->relation);
	sx_ddl_check_rename(stmt);
	pass_on(utility);
	if (OidIsValid(relid) && sx_stream_is(relid))
	{
		follow_stream(relid);
		sx_journal_sync(relid);
	}
}

/* CREATE SERVER, ALTER SERVER */
static void
change_server(const Utility *utility, const char *name)
{
	ForeignServer *server;

	pass_on(utility);
	CommandCounterIncrement();
	server = GetForeignServerByName(name, true);
	if (server && strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "streamx") == 0)
	{
		sx_fdw_check_server(server->serverid);
		sx_worker_wake();
	}
}

static void
create_foreign_table(const Utility *utility)
{
	const CreateForeignTableStmt *stmt = castNode(CreateForeignTableStmt,
												  utility->pstmt->utilityStmt);
	Oid			relid;

	pass_on(utility);
	CommandCounterIncrement();
	relid = existing_relation(stmt->base.relation);
	if (OidIsValid(relid) && sx_stream_is(relid))
		follow_stream(relid);
}

/*
 * The key index is made anew by result/, for keys of any length: release the
 * old one, protect the new one.
 */
static void
rebuild_key_index(const Utility *utility)
{
	Node	   *parsetree = utility->pstmt->utilityStmt;
	ListCell   *lc;

	if (IsA(parsetree, DropStmt))
	{
		foreach(lc, castNode(DropStmt, parsetree)->objects)
		{
			Oid			index = existing_relation(makeRangeVarFromNameList(lfirst_node(List, lc)));

			if (OidIsValid(index) && sx_ddl_is_key_index(index))
				sx_ddl_release_index(IndexGetRelation(index, false), index);
		}
		CommandCounterIncrement();
		pass_on(utility);
	}
	else
	{
		const IndexStmt *stmt = castNode(IndexStmt, parsetree);
		Oid			result = existing_relation(stmt->relation);
		char	   *name = pstrdup(stmt->idxname);

		pass_on(utility);
		CommandCounterIncrement();
		if (OidIsValid(result) && sx_view_is(result))
			sx_ddl_protect_index(result,
								 get_relname_relid(name, get_rel_namespace(result)));
	}
}

/* Statements for which it matters whether the extension is there. */
static void
process_with_extension(Utility *utility)
{
	Node	   *parsetree = utility->pstmt->utilityStmt;

	switch (nodeTag(parsetree))
	{
		case T_DropStmt:
			{
				const DropStmt *stmt = (DropStmt *) parsetree;

				if (stmt->removeType == OBJECT_EXTENSION && names_streamx(stmt))
					sx_worker_stop_until_end();
				if (stmt->removeType == OBJECT_INDEX && sx_key_index_changing)
				{
					rebuild_key_index(utility);
					return;
				}
				if ((stmt->removeType == OBJECT_VIEW ||
					 stmt->removeType == OBJECT_MATVIEW) &&
					sx_ddl_names_view(stmt))
				{
					run_with_event_triggers(utility, drop_views);
					return;
				}
				break;
			}
		case T_IndexStmt:
			if (sx_key_index_changing)
			{
				rebuild_key_index(utility);
				return;
			}
			break;
		case T_AlterTableStmt:
			alter_table(utility);
			return;
		case T_RenameStmt:
			rename_object(utility);
			return;
		case T_AlterObjectSchemaStmt:
			sx_ddl_check_set_schema((AlterObjectSchemaStmt *) parsetree);
			break;
		case T_RuleStmt:
			sx_ddl_check_rule((RuleStmt *) parsetree);
			break;
		case T_CreateTrigStmt:
			sx_ddl_check_trigger((CreateTrigStmt *) parsetree);
			break;
		case T_RefreshMatViewStmt:
			sx_ddl_check_refresh((RefreshMatViewStmt *) parsetree);
			break;
		case T_CreateForeignTableStmt:
			create_foreign_table(utility);
			return;
		case T_CreateForeignServerStmt:
			change_server(utility, ((CreateForeignServerStmt *) parsetree)->servername);
			return;
		case T_AlterForeignServerStmt:
			change_server(utility, ((AlterForeignServerStmt *) parsetree)->servername);
			return;
		case T_CreateUserMappingStmt:
		case T_AlterUserMappingStmt:
		case T_DropUserMappingStmt:
			sx_worker_wake();
			break;
		default:
			break;
	}
	pass_on(utility);
}

static void
release_database(int code, Datum dbid)
{
	sx_worker_release_database(DatumGetObjectId(dbid));
}

/* A statement about a whole database: workers stay away meanwhile. */
static void
process_database_stmt(const Utility *utility)
{
	Oid			dbid;

	dbid = sx_ddl_database_of_stmt(utility->pstmt->utilityStmt,
								   utility->context == PROCESS_UTILITY_TOPLEVEL);
	if (!OidIsValid(dbid))
	{
		pass_on(utility);
		return;
	}
	PG_ENSURE_ERROR_CLEANUP(release_database, ObjectIdGetDatum(dbid));
	{
		sx_worker_stop_database(dbid);
		pass_on(utility);
	}
	PG_END_ENSURE_ERROR_CLEANUP(release_database, ObjectIdGetDatum(dbid));
	sx_worker_release_database(dbid);
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env,
				DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *parsetree = pstmt->utilityStmt;
	Utility		utility = {
		pstmt, query_string, read_only_tree, context, params, query_env,
		dest, qc
	};
	List	   *plain;

	switch (nodeTag(parsetree))
	{
		case T_ViewStmt:
			{
				ViewStmt   *stmt = (ViewStmt *) parsetree;

				if (!sx_ddl_has_options(stmt->options))
					break;
				if (is_continuous(stmt->options, &plain))
				{
					run_with_event_triggers(&utility, create_from_view_stmt);
					return;
				}
				castNode(ViewStmt, own_statement(&utility))->options = plain;
				break;
			}

		case T_CreateTableAsStmt:
			{
				CreateTableAsStmt *stmt = (CreateTableAsStmt *) parsetree;

				if (!sx_ddl_has_options(stmt->into->options))
					break;
				if (stmt->objtype != OBJECT_MATVIEW)
					ereport(ERROR,
							(errcode(ERRCODE_WRONG_OBJECT_TYPE),
							 errmsg("CREATE TABLE AS does not make continuous views"),
							 errhint("Use CREATE VIEW or CREATE MATERIALIZED VIEW.")));
				if (is_continuous(stmt->into->options, &plain))
				{
					run_with_event_triggers(&utility, create_from_matview_stmt);
					return;
				}
				castNode(CreateTableAsStmt, own_statement(&utility))->into->options = plain;
				break;
			}

		case T_CreateStmt:
			if (sx_ddl_has_options(((CreateStmt *) parsetree)->options))
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("CREATE TABLE does not make continuous views"),
						 errhint("Use CREATE VIEW or CREATE MATERIALIZED VIEW.")));
			break;

		case T_RenameStmt:
			if (((RenameStmt *) parsetree)->renameType == OBJECT_DATABASE)
			{
				process_database_stmt(&utility);
				return;
			}
			/* FALLTHROUGH */
		case T_DropStmt:
		case T_IndexStmt:
		case T_AlterTableStmt:
		case T_AlterObjectSchemaStmt:
		case T_RuleStmt:
		case T_CreateTrigStmt:
		case T_RefreshMatViewStmt:
		case T_CreateForeignTableStmt:
		case T_CreateForeignServerStmt:
		case T_AlterForeignServerStmt:
		case T_CreateUserMappingStmt:
		case T_AlterUserMappingStmt:
		case T_DropUserMappingStmt:
			if (sx_extension_exists())
			{
				process_with_extension(&utility);
				return;
			}
			break;

		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:
			process_database_stmt(&utility);
			return;

		case T_AlterExtensionStmt:
			pass_on(&utility);
			if (strcmp(((AlterExtensionStmt *) parsetree)->extname, "streamx") == 0)
			{
				sx_extension_changed();
				sx_worker_wake();
			}
			return;

		case T_TransactionStmt:
			/* what was prepared may have changed views */
			if (((TransactionStmt *) parsetree)->kind == TRANS_STMT_COMMIT_PREPARED)
				sx_worker_wake();
			break;

		default:
			break;
	}
	pass_on(&utility);
}

void
sx_ddl_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	sx_ddl_init_drop();
}
