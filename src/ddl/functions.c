/*-------------------------------------------------------------------------
 * functions.c
 *		SQL functions about continuous views: create, pause, resume.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/stop.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "catalog/stream.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "worker/crash.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_create_continuous_view);
PG_FUNCTION_INFO_V1(streamx_pause);
PG_FUNCTION_INFO_V1(streamx_resume);

/* Errors in the query point into it, not into the statement around it. */
static void
query_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

static List *
add_option(List *options, const char *name, const char *value)
{
	return lappend(options,
				   makeDefElemExtended("streamx", pstrdup(name),
									   value != NULL ? (Node *) makeString(pstrdup(value)) : NULL,
									   DEFELEM_UNSPEC, -1));
}

/*
 * streamx.create_continuous_view(name, query, emit, lateness, late, retention,
 *		start, batch_interval, final_column, sink, notify, key, partition_by)
 *		returns regclass
 *
 * Becomes the statement CREATE VIEW ... WITH (streamx.continuous).
 */
Datum
streamx_create_continuous_view(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *name;
		bool		is_interval;
	}			arguments[] =
	{
		{"emit", false},
		{"lateness", true},
		{"late", false},
		{"retention", true},
		{"start", false},
		{"batch_interval", true},
		{"final_column", false},
		{"sink", false},
		{"notify", false},
		{"key", false},
		{"partition_by", false},
	};
	ErrorContextCallback context;
	ViewStmt   *stmt = makeNode(ViewStmt);
	PlannedStmt *wrapper = makeNode(PlannedStmt);
	char	   *query;
	List	   *parsed;
	Oid			schema;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name and query of a continuous view must not be null"),
				 errhint("Give both.")));
	query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	stmt->view = makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(0)));
	stmt->options = add_option(NIL, "continuous", NULL);
	for (int i = 0; i < lengthof(arguments); i++)
	{
		Datum		value;

		if (PG_ARGISNULL(i + 2))
			continue;
		value = PG_GETARG_DATUM(i + 2);
		stmt->options = add_option(stmt->options, arguments[i].name,
								   arguments[i].is_interval ?
								   DatumGetCString(DirectFunctionCall1(interval_out, value)) :
								   TextDatumGetCString(value));
	}

	context.callback = query_error_callback;
	context.arg = query;
	context.previous = error_context_stack;
	error_context_stack = &context;

	parsed = raw_parser(query, RAW_PARSE_DEFAULT);
	if (list_length(parsed) != 1 ||
		!IsA(linitial_node(RawStmt, parsed)->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the query of a continuous view must be one SELECT statement"),
				 errhint("Give the query alone, without CREATE VIEW.")));
	stmt->query = linitial_node(RawStmt, parsed)->stmt;

	/* to find it again whatever the search path says */
	schema = RangeVarGetCreationNamespace(stmt->view);
	stmt->view->schemaname = get_namespace_name(schema);

	wrapper->commandType = CMD_UTILITY;
	wrapper->utilityStmt = (Node *) stmt;
	wrapper->stmt_location = linitial_node(RawStmt, parsed)->stmt_location;
	wrapper->stmt_len = linitial_node(RawStmt, parsed)->stmt_len;
	ProcessUtility(wrapper, query, false, PROCESS_UTILITY_QUERY, NULL, NULL,
				   None_Receiver, NULL);
	CommandCounterIncrement();
	error_context_stack = context.previous;

	PG_RETURN_OID(get_relname_relid(stmt->view->relname, schema));
}

void
sx_ddl_check_view(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("Give the name of a continuous view.")));
	if (!sx_view_is(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", name),
				 errhint("streamx.views lists the continuous views.")));
}

void
sx_ddl_check_owned_view(Oid relid)
{
	sx_ddl_check_view(relid);
	if (!sx_class_ownercheck(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of continuous view \"%s\"",
						get_rel_name(relid)),
				 errhint("Ask its owner.")));
}

/* Who may read any of it may know how it is made and wait for it. */
void
sx_ddl_check_readable_view(Oid relid)
{
	sx_ddl_check_view(relid);
	if (!sx_class_ownercheck(relid, GetUserId()) &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for continuous view \"%s\"", get_rel_name(relid)),
				 errhint("Its owner can grant SELECT on it.")));
}

/* streamx.pause(view regclass) returns void */
Datum
streamx_pause(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	PreventCommandIfReadOnly("streamx.pause()");
	sx_ddl_check_owned_view(relid);
	sx_view_set_paused(relid, true);
	SX_STOP("set_paused", get_rel_name(relid));
	sx_worker_wake();
	PG_RETURN_VOID();
}

/*
 * Views that their topic has failed are told by whoever resumes them that it has
 * what was read after all.  Not where something else kept the view: he may not
 * know of it.
 */
static void
trust_topic(const SxView *view, Oid stream)
{
	SxPosition *positions;
	int			n;

	if (view->paused ||
		(view->sqlstate && strcmp(view->sqlstate, unpack_sql_state(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)) != 0))
		return;
	positions = sx_checkpoint_load(view->relid, stream, &n);

	/* only then the stream's definition, which may be locked */
	if (!sx_positions_gone(positions, n) ||
		sx_stream_get(stream, view->owner)->continue_on_loss)
		return;

	/* not beside a batch of it */
	LockRelationOid(view->relid, ShareRowExclusiveLock);
	sx_checkpoint_set_deleted(view->relid, stream, NIL, false);
}

/*
 * streamx.resume(view regclass) returns void: of a stopped view as well, and of
 * one whose topic is said to be another, which goes on where it stands.
 */
Datum
streamx_resume(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	const SxView *before;
	ListCell   *lc;

	PreventCommandIfReadOnly("streamx.resume()");
	sx_ddl_check_owned_view(relid);
	before = sx_view_get(relid);
	sx_view_set_paused(relid, false);
	foreach(lc, before->streams)
	{
		trust_topic(before, lfirst_oid(lc));
		sx_crash_retry(lfirst_oid(lc));
	}
	sx_crash_retry(relid);
	SX_STOP("set_paused", get_rel_name(relid));
	sx_worker_wake();
	PG_RETURN_VOID();
}
