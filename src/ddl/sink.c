/*-------------------------------------------------------------------------
 * sink.c
 *		The option sink of a continuous view: which stream, does it fit, and
 *		the outbox.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"
#include "utils/varlena.h"

#include "catalog/stream.h"
#include "ddl/ddl.h"
#include "result/emit.h"
#include "source/journal.h"

Oid
sx_ddl_find_sink(const char *name)
{
	RangeVar   *relation = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Oid			relid = RangeVarGetRelid(relation, AccessShareLock, true);
	SxStream   *stream;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("sink \"%s\" does not exist", name),
				 errhint("Name a Kafka or native stream; CREATE FOREIGN TABLE makes one.")));
	if (!sx_stream_is(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("sink \"%s\" is not a stream", name),
				 errhint("Name a Kafka or native stream: a foreign table of the foreign data wrapper \"streamx\".")));
	stream = sx_stream_get(relid, GetUserId());
	if (strcmp(stream->kind, "kafka") != 0 && strcmp(stream->kind, "native") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot write to %s stream %s", stream->kind, stream->name),
				 errhint("Only Kafka and native streams can be sinks.")));
	return relid;
}

/* ---- circles ------------------------------------------------------------------- */

/* The same stream or result table; two foreign tables may be of one topic. */
static bool
same_source(Oid a, Oid b)
{
	SxStream   *x;
	SxStream   *y;
	const char *topic;

	if (a == b)
		return true;
	if (!sx_stream_is(a) || !sx_stream_is(b))
		return false;
	x = sx_stream_get(a, InvalidOid);
	y = sx_stream_get(b, InvalidOid);
	if (strcmp(x->kind, "kafka") != 0 || x->serverid != y->serverid)
		return false;
	topic = sx_option_get(x->table_options, "topic");
	return strcmp(topic, sx_option_get(y->table_options, "topic")) == 0;
}

static bool
reads(const SxView *view, Oid source)
{
	ListCell   *lc;

	foreach(lc, view->streams)
	{
		if (same_source(lfirst_oid(lc), source))
			return true;
	}
	return false;
}

/* Does what is written to "source" come to what the view reads? */
static bool
leads_back(const SxView *view, Oid source, List **seen)
{
	ListCell   *lc;

	check_stack_depth();
	if (reads(view, source))
		return true;
	foreach(lc, sx_view_list())
	{
		SxView	   *other = sx_view_get(lfirst_oid(lc));

		if (other == NULL || list_member_oid(*seen, other->relid) ||
			!reads(other, source))
			continue;
		*seen = lappend_oid(*seen, other->relid);
		if (leads_back(view, other->relid, seen) ||
			(OidIsValid(other->sink) && leads_back(view, other->sink, seen)))
			return true;
	}
	return false;
}

/* ---- what CREATE makes ------------------------------------------------------------ */

/* For all times, in whatever cluster the view comes to live. */
static char *
new_sink_name(void)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	return psprintf("streamx-%s", DatumGetCString(DirectFunctionCall1(uuid_out, uuid)));
}

void
sx_ddl_check_sink_options(const SxView *view)
{
	if (!OidIsValid(view->sink) && (view->key || view->partition_by))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"streamx.%s\" without a sink",
						view->key ? "key" : "partition_by"),
				 errhint("Add the option \"streamx.sink\", or leave it out.")));
}

void
sx_ddl_prepare_sink(SxView *view)
{
	SxStream   *stream;
	Relation	result;
	Relation	sink;
	ObjectAddress result_address;
	ObjectAddress sink_address;
	List	   *seen = NIL;

	if (!OidIsValid(view->sink))
		return;
	stream = sx_stream_get(view->sink, view->owner);
	if (leads_back(view, view->sink, &seen))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("continuous view \"%s\" would read what it writes to its sink %s",
						view->name, stream->name),
				 errhint("Write to another stream.")));

	/* columns and rights */
	result = table_open(view->relid, AccessShareLock);
	sink = table_open(view->sink, AccessShareLock);
	(void) sx_sink_map(view, result, sink, stream);
	table_close(sink, NoLock);
	table_close(result, NoLock);

	ObjectAddressSet(result_address, RelationRelationId, view->relid);
	ObjectAddressSet(sink_address, RelationRelationId, view->sink);
	recordDependencyOn(&result_address, &sink_address, DEPENDENCY_NORMAL);

	if (strcmp(stream->kind, "kafka") == 0)
		view->sink_name = new_sink_name();
	else
		sx_journal_create(view->sink);
}

/* ---- the outbox --------------------------------------------------------------------- */

static ColumnDef *
column(const char *name, Oid typid, bool not_null)
{
	ColumnDef  *def = makeColumnDef(name, typid, -1, InvalidOid);

	def->is_not_null = not_null;
	return def;
}

static DefElem *
setting(char *name, char *value)
{
	return makeDefElem(name, (Node *) makeString(value), -1);
}

/*
 * As sink/outbox.h has it.  Its index is made beside it: a dump brings
 * constraints when the table is protected already.
 */
CreateStmt *
sx_ddl_outbox_stmt(RangeVar *relation)
{
	CreateStmt *create = makeNode(CreateStmt);

	create->relation = relation;
	create->tableElts = list_make5(column("id", INT8OID, true),
								   column("partition", INT4OID, false),
								   column("sent_as_of", TIMESTAMPTZOID, false),
								   column("route", BYTEAOID, false),
								   column("key", BYTEAOID, false));
	create->tableElts = lappend(create->tableElts, column("payload", BYTEAOID, false));

	/* rows come and go: vacuum by their number */
	create->options = list_make4(setting("autovacuum_vacuum_scale_factor", "0"),
								 setting("autovacuum_vacuum_threshold", "20000"),
								 setting("autovacuum_vacuum_cost_delay", "0"),
								 setting("autovacuum_analyze_threshold", "1000000000"));
	create->accessMethod = "heap";
	create->oncommit = ONCOMMIT_NOOP;
	return create;
}
