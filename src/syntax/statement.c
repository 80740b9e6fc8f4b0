/*-------------------------------------------------------------------------
 * statement.c
 *		The literal statements in their canonical form.
 *
 * keyword.c has the grammar read CONTINUOUS as another word.  So a tree only
 * tells that it may have been ours: whether it was, the text tells, at the
 * place that the tree came from.  Where that is not known the tree stays as
 * it is, which for CREATE is an error of the server's own ("views cannot be
 * unlogged").
 *
 *		CREATE [OR REPLACE] CONTINUOUS VIEW v WITH (emit = 'update') AS ...
 *			CREATE [OR REPLACE] VIEW v WITH (streamx.continuous, streamx.emit = 'update') AS ...
 *		CREATE CONTINUOUS VIEW IF NOT EXISTS v ...
 *			CREATE MATERIALIZED VIEW IF NOT EXISTS v, with the same options
 *		DROP CONTINUOUS VIEW v
 *			DROP VIEW v, once it is sure that v is a continuous view
 *
 * It happens after parse analysis, so that everybody else's hooks see the
 * canonical statements.  What has to be true when DROP runs, and what the
 * client is told, is seen to in the utility hook.  Both hooks go ahead of
 * those of other preloaded libraries, in whatever order these are named.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/scanner.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "syntax/syntax.h"

#define OUR_NAMESPACE "streamx"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

/* ---- what was typed ----------------------------------------------------- */

/* Blanks, then the word. */
static bool
take_next_word(SxSqlText *text, const char *word)
{
	return sx_syntax_skip_blanks(text) && sx_syntax_take_word(text, word);
}

/* Does a literal CREATE stand at start whose view's name stands at name? */
static bool
is_literal_create(const char *start, const char *name)
{
	SxSqlText	text = {0};
	SxSqlText	ahead;

	text.pos = start;
	text.end = name + 1;
	if (!take_next_word(&text, "create"))
		return false;
	ahead = text;
	if (take_next_word(&ahead, "or"))
	{
		if (!take_next_word(&ahead, "replace"))
			return false;
		text = ahead;
	}
	if (!take_next_word(&text, "continuous") || !take_next_word(&text, "view"))
		return false;
	ahead = text;
	if (take_next_word(&ahead, "if") && take_next_word(&ahead, "not") &&
		take_next_word(&ahead, "exists"))
		text = ahead;
	return sx_syntax_skip_blanks(&text) && text.pos == name;
}

/*
 * Was the view of this name made by a literal CREATE, in the statement that
 * begins at start?  That may be a CREATE SCHEMA or an EXPLAIN around it.
 */
static bool
typed_create(const RangeVar *view, const char *source, int start)
{
	char	   *before;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	bool		found = false;

	if (source == NULL || start < 0 || view->location < start ||
		strnlen(source, view->location + 1) <= view->location)
		return false;

	/* any text is full of quotes and comments: let the scanner find words */
	before = pnstrdup(source + start, view->location - start);
	scanner = scanner_init(before, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	while (!found)
	{
		core_YYSTYPE value;
		YYLTYPE		location;

		if (core_yylex(&value, &location, scanner) == 0)
			break;
		found = is_literal_create(source + start + location,
								  source + view->location);
	}
	scanner_finish(scanner);
	pfree(before);
	return found;
}

static bool
typed_drop(const char *source, int start)
{
	SxSqlText	text = {0};

	if (source == NULL || start < 0 || strnlen(source, start) < start)
		return false;
	text.pos = source + start;
	return take_next_word(&text, "drop") &&
		take_next_word(&text, "continuous") && take_next_word(&text, "view");
}

/* ---- CREATE ------------------------------------------------------------- */

/* Without the library that knows the canonical form there is nothing to do. */
static void
need_streamx(void)
{
	const char *known = "streamx.enabled";

	/* a placeholder is a setting that nobody has claimed yet */
	if (GetConfigOption(known, true, false) == NULL ||
		(GetConfigOptionFlags(known, true) & GUC_CUSTOM_PLACEHOLDER))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streamx is not loaded"),
				 errhint("Add \"streamx\" to shared_preload_libraries and restart the server.")));
}

/* The options as typed, in the form of the canonical statement. */
static List *
canonical_options(List *options, int location)
{
	List	   *result;
	ListCell   *lc;

	result = list_make1(makeDefElemExtended(OUR_NAMESPACE, "continuous", NULL,
											DEFELEM_UNSPEC, location));
	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (def->defnamespace == NULL)
			def->defnamespace = pstrdup(OUR_NAMESPACE);
		result = lappend(result, def);
	}
	return result;
}

static void
make_view_canonical(ViewStmt *stmt)
{
	need_streamx();
	stmt->view->relpersistence = RELPERSISTENCE_PERMANENT;
	stmt->options = canonical_options(stmt->options, stmt->view->location);
}

static bool
may_be_literal_view(const Node *node)
{
	return IsA(node, ViewStmt) && ((const ViewStmt *) node)->view->relpersistence == RELPERSISTENCE_UNLOGGED;
}

static bool
may_be_literal_matview(const Node *node)
{
	const CreateTableAsStmt *stmt = (const CreateTableAsStmt *) node;

	return IsA(node, CreateTableAsStmt) && stmt->objtype == OBJECT_MATVIEW &&
		stmt->if_not_exists;
}

/* CREATE VIEW as a part of CREATE SCHEMA; NULL: none was literal */
static Node *
canonical_schema(CreateSchemaStmt *stmt, const char *source, int start)
{
	CreateSchemaStmt *canonical = NULL;

	for (int i = 0; i < list_length(stmt->schemaElts); i++)
	{
		const Node *element = list_nth(stmt->schemaElts, i);

		if (!may_be_literal_view(element) ||
			!typed_create(((const ViewStmt *) element)->view, source, start))
			continue;
		if (canonical == NULL)
			canonical = copyObject(stmt);
		make_view_canonical(list_nth_node(ViewStmt, canonical->schemaElts, i));
	}
	return (Node *) canonical;
}

/*
 * The statement in its canonical form, a copy; NULL: it was not literal, or
 * is DROP and needs nothing.
 */
static Node *
canonical_statement(const Node *node, const char *source, int start)
{
	switch (nodeTag(node))
	{
		case T_ViewStmt:
			{
				ViewStmt   *stmt = (ViewStmt *) node;

				if (!may_be_literal_view(node) ||
					!typed_create(stmt->view, source, start))
					return NULL;
				stmt = copyObject(stmt);
				make_view_canonical(stmt);
				return (Node *) stmt;
			}

		case T_CreateTableAsStmt:
			{
				CreateTableAsStmt *stmt = (CreateTableAsStmt *) node;

				if (!may_be_literal_matview(node) ||
					!typed_create(stmt->into->rel, source, start))
					return NULL;
				need_streamx();
				stmt = copyObject(stmt);
				stmt->into->options = canonical_options(stmt->into->options,
														stmt->into->rel->location);
				return (Node *) stmt;
			}

		case T_CreateSchemaStmt:
			return canonical_schema((CreateSchemaStmt *) node, source, start);

		case T_ExplainStmt:
			{
				const Query *query = (const Query *) ((const ExplainStmt *) node)->query;
				const CreateTableAsStmt *stmt;

				if (!IsA(query, Query) || query->utilityStmt == NULL ||
					!may_be_literal_matview(query->utilityStmt))
					return NULL;
				stmt = (const CreateTableAsStmt *) query->utilityStmt;
				if (typed_create(stmt->into->rel, source, start))
					ereport(ERROR,
							(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							 errmsg("EXPLAIN is not supported for CREATE CONTINUOUS VIEW"),
							 errhint("Create the view and use streamx.explain().")));
				return NULL;
			}

		case T_DropStmt:
			{
				DropStmt   *stmt = (DropStmt *) node;

				if (stmt->removeType != OBJECT_MATVIEW ||
					!typed_drop(source, start))
					return NULL;
				stmt = copyObject(stmt);
				stmt->removeType = OBJECT_VIEW;
				return (Node *) stmt;
			}

		default:
			return NULL;
	}
}

static void
post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (query->commandType == CMD_UTILITY)
	{
		Node	   *canonical;

		canonical = canonical_statement(query->utilityStmt,
										pstate->p_sourcetext,
										query->stmt_location);
		if (canonical)
			query->utilityStmt = canonical;
	}
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

/* ---- DROP --------------------------------------------------------------- */

/* streamx's table of continuous views, opened; ERROR if there is none. */
static Relation
open_continuous_views(void)
{
	Oid			extension = get_extension_oid("streamx", true);
	Oid			relid = InvalidOid;

	if (OidIsValid(extension))
		relid = get_relname_relid("continuous_views",
								  get_namespace_oid("streamx", true));
	if (!OidIsValid(relid) ||
		getExtensionOfObject(RelationRelationId, relid) != extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"streamx\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION streamx.")));
	return table_open(relid, AccessShareLock);
}

static bool
is_continuous_view(Oid relid)
{
	Relation	views = open_continuous_views();
	SysScanDesc scan;
	ScanKeyData key;
	bool		found;

	ScanKeyInit(&key, get_attnum(RelationGetRelid(views), "view"),
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(views, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(views, AccessShareLock);
	return found;
}

static const char *
drop_hint(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "Use DROP VIEW to remove a view.";
		case RELKIND_MATVIEW:
			return "Use DROP MATERIALIZED VIEW to remove a materialized view.";
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return "Use DROP TABLE to remove a table.";
		case RELKIND_FOREIGN_TABLE:
			return "Use DROP FOREIGN TABLE to remove a stream or another foreign table.";
		default:
			return "Use the DROP statement for its kind.";
	}
}

/* The right kind, and the right to drop it; before the lock is taken. */
static void
check_drop_target(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	char		relkind;

	if (!OidIsValid(relid))
		return;
	relkind = get_rel_relkind(relid);
	if (relkind == '\0')
		return;					/* concurrently dropped */
	if ((relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) ||
		!is_continuous_view(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", relation->relname),
				 errhint("%s", drop_hint(relkind))));
	if (!sx_class_ownercheck(relid, GetUserId()) &&
		!sx_namespace_ownercheck(get_rel_namespace(relid), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, relation->relname);
}

/*
 * Locks each continuous view that is named and leaves only those, by names
 * that mean the same to whoever looks next.  ERROR if another kind of thing is
 * named.
 */
static void
resolve_drop(DropStmt *stmt)
{
	List	   *names = NIL;
	ListCell   *lc;

	PreventCommandIfReadOnly("DROP VIEW");
	PreventCommandIfParallelMode("DROP VIEW");
	PreventCommandDuringRecovery("DROP VIEW");
	need_streamx();
	table_close(open_continuous_views(), NoLock);

	foreach(lc, stmt->objects)
	{
		List	   *name = lfirst_node(List, lc);
		Oid			relid;

		AcceptInvalidationMessages();
		relid = RangeVarGetRelidExtended(makeRangeVarFromNameList(name),
										 AccessExclusiveLock, RVR_MISSING_OK,
										 check_drop_target, NULL);
		if (OidIsValid(relid))
			names = lappend(names,
							list_make2(makeString(get_namespace_name(get_rel_namespace(relid))),
									   makeString(get_rel_name(relid))));
		else if (stmt->missing_ok)
			ereport(NOTICE,
					(errmsg("continuous view \"%s\" does not exist, skipping",
							NameListToString(name))));
		else
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("continuous view \"%s\" does not exist",
							NameListToString(name)),
					 errhint("See streamx.views for those that exist.")));
	}
	stmt->objects = names;
}

/* ---- on the way --------------------------------------------------------- */

static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env,
				DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *node = pstmt->utilityStmt;
	CommandTag	tag = CMDTAG_UNKNOWN;

	if (IsA(node, DropStmt))
	{
		ObjectType	type = ((DropStmt *) node)->removeType;

		if ((type == OBJECT_VIEW || type == OBJECT_MATVIEW) &&
			typed_drop(query_string, pstmt->stmt_location))
		{
			tag = CMDTAG_DROP_VIEW;
			pstmt = copyObject(pstmt);
			read_only_tree = false;
			((DropStmt *) pstmt->utilityStmt)->removeType = OBJECT_VIEW;
			resolve_drop((DropStmt *) pstmt->utilityStmt);
		}
	}
	else if (may_be_literal_matview(node) &&
			 typed_create(((CreateTableAsStmt *) node)->into->rel,
						  query_string, pstmt->stmt_location))
	{
		const List *options = ((CreateTableAsStmt *) node)->into->options;

		/* somebody has kept it from us, and it would make something else */
		if (options == NIL ||
			linitial_node(DefElem, options)->defnamespace == NULL)
			elog(ERROR, "CREATE CONTINUOUS VIEW has not got its canonical form");
		tag = CMDTAG_CREATE_VIEW;
	}

	if (prev_process_utility)
		prev_process_utility(pstmt, query_string, read_only_tree, context,
							 params, query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);

	/* SPI looks at the tags of statements that may have returned rows */
	if (tag != CMDTAG_UNKNOWN && qc && context == PROCESS_UTILITY_TOPLEVEL)
		SetQueryCompletion(qc, tag, 0);
}

static void
add_hooks(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/* All preloaded libraries are there. */
static void
shmem_startup(void)
{
	static bool added = false;

	if (prev_shmem_startup)
		prev_shmem_startup();
	if (!added)
		add_hooks();			/* not again after a crash */
	added = true;
}

void
sx_syntax_install_hooks(void)
{
	if (!process_shared_preload_libraries_in_progress)
	{
		add_hooks();
		return;
	}
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}
