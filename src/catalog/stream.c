/*-------------------------------------------------------------------------
 * stream.c
 *		A stream's definition, read from foreign table, server, user mapping
 *		and columns, and checked as a whole.
 *
 * The validator (fdw/options.c) sees one object's options at a time; what
 * takes the table's columns and the server's type together is checked here,
 * so that a stream that sx_stream_get() returns is one that can be read.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/option.h"
#include "catalog/stream.h"

#define WRAPPER_NAME	"streamx"
#define NATIVE_SERVER	"streamx"

const char *
sx_option_get(const List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

bool
sx_stream_is(Oid relid)
{
	HeapTuple	tup;
	Oid			serverid;
	Oid			fdwid;
	bool		result;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;

	tup = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tup))
		return false;
	serverid = ((Form_pg_foreign_table) GETSTRUCT(tup))->ftserver;
	ReleaseSysCache(tup);

	tup = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tup))
		return false;
	fdwid = ((Form_pg_foreign_server) GETSTRUCT(tup))->srvfdw;
	ReleaseSysCache(tup);

	tup = SearchSysCache1(FOREIGNDATAWRAPPEROID, ObjectIdGetDatum(fdwid));
	if (!HeapTupleIsValid(tup))
		return false;
	result = strcmp(NameStr(((Form_pg_foreign_data_wrapper) GETSTRUCT(tup))->fdwname),
					WRAPPER_NAME) == 0;
	ReleaseSysCache(tup);
	return result;
}

List *
sx_stream_list(void)
{
	Relation	rel = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;
	List	   *result = NIL;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Oid			relid = ((Form_pg_foreign_table) GETSTRUCT(tup))->ftrelid;

		if (sx_stream_is(relid))
			result = lappend_oid(result, relid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

int
sx_server_kind(const ForeignServer *server)
{
	int			kind;

	if (server->servertype == NULL || server->servertype[0] == '\0')
	{
		if (strcmp(server->servername, NATIVE_SERVER) == 0)
			return SX_KIND_NATIVE;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no type", server->servername),
				 errhint("Create it with TYPE 'kafka', 'socket' or 'generator'; native streams are on the server \"%s\".",
						 NATIVE_SERVER)));
	}
	kind = sx_kind_by_name(server->servertype);
	if (kind == 0 ||
		(kind == SX_KIND_NATIVE && strcmp(server->servername, NATIVE_SERVER) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("server \"%s\" has the type \"%s\", which is none of streamx",
						server->servername, server->servertype),
				 errhint("Create it with TYPE 'kafka', 'socket' or 'generator'; native streams are on the server \"%s\".",
						 NATIVE_SERVER)));
	return kind;
}

/* Options of the user's mapping, or of PUBLIC's; NIL: there is none. */
static List *
user_mapping_options(Oid user, Oid serverid)
{
	HeapTuple	tup;
	Datum		datum;
	bool		isnull;
	List	   *options = NIL;

	tup = SearchSysCache2(USERMAPPINGUSERSERVER,
						  ObjectIdGetDatum(user), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tup))
		tup = SearchSysCache2(USERMAPPINGUSERSERVER,
							  ObjectIdGetDatum(InvalidOid),
							  ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tup))
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tup,
							Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(datum);
	ReleaseSysCache(tup);
	return options;
}

/*
 * How a type's bytes are read.  Domains go through their input function, so
 * that their checks run; those over arrays and documents take the same text
 * as what they are over.
 */
static SxDecodeAs
decode_as(Oid typid, int32 typmod)
{
	Oid			basetype = getBaseType(typid);
	bool		domain = basetype != typid;

	if (OidIsValid(get_element_type(basetype)))
		return SX_AS_ARRAY;
	if (basetype == JSONBOID || (basetype == JSONOID && domain))
		return SX_AS_JSONB;
	if (domain)
		return SX_AS_INPUT;

	switch (typid)
	{
		case BOOLOID:
			return SX_AS_BOOL;
		case INT2OID:
			return SX_AS_INT2;
		case INT4OID:
			return SX_AS_INT4;
		case INT8OID:
			return SX_AS_INT8;
		case FLOAT4OID:
			return SX_AS_FLOAT4;
		case FLOAT8OID:
			return SX_AS_FLOAT8;
		case TEXTOID:
			return SX_AS_TEXT;
		case VARCHAROID:
			return typmod < 0 ? SX_AS_TEXT : SX_AS_INPUT;
		case BYTEAOID:
			return SX_AS_BYTEA;
		case TIMESTAMPTZOID:
			return SX_AS_TIMESTAMPTZ;
		case TIMESTAMPOID:
			return SX_AS_TIMESTAMP;
		case DATEOID:
			return SX_AS_DATE;
		case UUIDOID:
			return SX_AS_UUID;
		case JSONOID:
			return SX_AS_JSON;
		default:
			return SX_AS_INPUT;
	}
}

/* An option's value as number of the enum, in the order of its values. */
static int
enum_option(const List *options, const char *name, int where, int otherwise)
{
	const char *value = sx_option_get(options, name);
	const SxOption *option;
	int			i;

	if (value == NULL)
		return otherwise;
	option = sx_option_lookup(name, where);
	for (i = 0; option->values[i] != NULL; i++)
	{
		if (strcmp(option->values[i], value) == 0)
			return i;
	}
	sx_option_check(option, value);
	return otherwise;			/* keep compiler quiet */
}

static int64
interval_option(const List *options, const char *name, int64 otherwise)
{
	const char *value = sx_option_get(options, name);

	return value == NULL ? otherwise : sx_option_interval_us(name, value);
}

/* Options that belong to another kind of stream are errors. */
static void
check_kind(int kind, const List *options, int where, const char *object)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const SxOption *option = sx_option_lookup(def->defname, where);
		StringInfoData knowing;
		int			bit;

		/* a kafka server's other options are librdkafka's, checked by fdw/ */
		if (option == NULL && kind == SX_KIND_KAFKA)
			continue;
		if (option != NULL && (option->kinds & kind) != 0)
			continue;
		initStringInfo(&knowing);
		for (bit = 1; bit < SX_KIND_ANY; bit <<= 1)
		{
			if (((option ? option->kinds : SX_KIND_KAFKA) & bit) != 0)
				appendStringInfo(&knowing, "%s%s", knowing.len > 0 ? ", " : "",
								 sx_kind_name(bit));
		}
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("%s cannot have option \"%s\", because its kind is \"%s\"",
						object, def->defname, sx_kind_name(kind)),
				 errhint("Drop the option: it is for the kind %s.", knowing.data)));
	}
}

/* A server that listens shows a certificate; without TLS nothing of it counts. */
static void
check_tls(const ForeignServer *server)
{
	const char *mode = sx_option_get(server->options, "mode");
	const char *tls = sx_option_get(server->options, "tls");
	ListCell   *lc;

	if (tls != NULL && strcmp(tls, "on") == 0)
	{
		if (mode != NULL && strcmp(mode, "listen") == 0 &&
			sx_option_get(server->options, "tls_certificate") == NULL &&
			sx_option_get(server->options, "tls_certificate_file") == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
					 errmsg("server \"%s\" has no certificate", server->servername),
					 errhint("Add the option \"tls_certificate\", in PEM, and its key as \"tls_key\" to the user mapping of the owner of its streams.")));
		return;
	}
	foreach(lc, server->options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (strncmp(def->defname, "tls_", 4) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" of server \"%s\" needs option \"tls\"",
							def->defname, server->servername),
					 errhint("Add the option \"tls\" with the value \"on\", or drop it.")));
	}
}

void
sx_server_check(const ForeignServer *server)
{
	int			kind = sx_server_kind(server);

	check_kind(kind, server->options, SX_ON_SERVER,
			   psprintf("server \"%s\"", server->servername));
	if (kind == SX_KIND_KAFKA &&
		sx_option_get(server->options, "bootstrap_servers") == NULL &&
		sx_option_get(server->options, "bootstrap.servers") == NULL &&
		sx_option_get(server->options, "metadata.broker.list") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("server \"%s\" names no broker", server->servername),
				 errhint("Add the option \"bootstrap_servers\", for example 'localhost:9092'.")));
	if (kind == SX_KIND_SOCKET &&
		sx_option_get(server->options, "port") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("server \"%s\" has no port", server->servername),
				 errhint("Add the option \"port\" to the server.")));
	if (kind == SX_KIND_SOCKET)
		check_tls(server);
}

/* ERROR unless the metadata column has a type that its value fits. */
static void
check_metadata(const SxStream *stream, int kind, const SxColumn *col)
{
	const char *types = NULL;
	bool		ok = false;

	switch (col->metadata)
	{
		case SX_META_NONE:
			return;
		case SX_META_PARTITION:
			types = "integer or bigint";
			ok = col->typid == INT4OID || col->typid == INT8OID;
			break;
		case SX_META_OFFSET:
			types = "bigint";
			ok = col->typid == INT8OID;
			break;
		case SX_META_TIMESTAMP:
		case SX_META_ARRIVAL_TIME:
			types = "timestamp with time zone";
			ok = col->decode_as == SX_AS_TIMESTAMPTZ;
			break;
		case SX_META_KEY:
			types = "text or bytea";
			ok = col->typid == TEXTOID || col->typid == BYTEAOID;
			break;
		case SX_META_HEADERS:
			types = "jsonb, json or text";
			ok = col->typid == JSONBOID || col->typid == JSONOID ||
				col->typid == TEXTOID;
			break;
	}
	if (!ok)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("metadata column \"%s\" of stream %s cannot have type %s",
						col->name, stream->name,
						format_type_with_typemod(col->typid, col->typmod)),
				 errhint("Give the column the type %s.", types)));
	if ((col->metadata == SX_META_KEY || col->metadata == SX_META_HEADERS) &&
		kind != SX_KIND_KAFKA)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("column \"%s\" of stream %s asks for a message's key or headers, which %s streams do not have",
						col->name, stream->name, stream->kind),
				 errhint("Use metadata \"partition\", \"offset\", \"timestamp\" or \"arrival_time\".")));
}

/* Components of a dotted path, or the column's name as one component. */
static void
set_path(SxColumn *col, const char *path)
{
	char	   *copy;
	char	   *p;
	int			n;

	if (path == NULL)
	{
		col->npath = 1;
		col->path = palloc(sizeof(char *));
		col->path[0] = col->name;
		return;
	}
	col->npath = 0;
	col->path = NULL;
	if (path[0] == '\0')
		return;
	copy = pstrdup(path);
	for (n = 1, p = copy; *p != '\0'; p++)
		n += *p == '.';
	col->path = palloc(sizeof(char *) * n);
	for (p = copy; p != NULL;)
	{
		char	   *dot = strchr(p, '.');

		col->path[col->npath++] = p;
		if (dot != NULL)
			*dot++ = '\0';
		p = dot;
	}
}

static void
read_column(SxStream *stream, int kind, Form_pg_attribute att, SxColumn *col,
			int *npayload)
{
	static const SxMetadata metadata_of[] = {
		SX_META_PARTITION, SX_META_OFFSET, SX_META_TIMESTAMP, SX_META_KEY,
		SX_META_HEADERS, SX_META_ARRIVAL_TIME
	};
	static const SxEpoch epoch_of[] = {SX_EPOCH_S, SX_EPOCH_MS, SX_EPOCH_US};
	List	   *options;
	const char *path;
	int			i;

	col->payload_index = -1;
	if (att->attisdropped)
	{
		col->dropped = true;
		col->name = "";
		return;
	}
	col->name = pstrdup(NameStr(att->attname));
	col->typid = att->atttypid;
	col->typmod = att->atttypmod;
	col->elemtype = get_element_type(getBaseType(att->atttypid));
	col->decode_as = decode_as(col->typid, col->typmod);

	options = GetForeignColumnOptions(stream->relid, att->attnum);
	if (options != NIL)
		check_kind(kind, options, SX_ON_COLUMN,
				   psprintf("column \"%s\" of stream %s", col->name, stream->name));
	path = sx_option_get(options, "path");

	i = enum_option(options, "metadata", SX_ON_COLUMN, -1);
	col->metadata = i < 0 ? SX_META_NONE : metadata_of[i];
	check_metadata(stream, kind, col);
	if (col->metadata == SX_META_HEADERS)
		stream->schema->wants_headers = true;

	i = enum_option(options, "epoch", SX_ON_COLUMN, -1);
	col->epoch = i < 0 ? SX_EPOCH_NONE : epoch_of[i];

	if (col->metadata != SX_META_NONE && list_length(options) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("metadata column \"%s\" of stream %s takes no other option",
						col->name, stream->name),
				 errhint("Its value does not come from the message's payload: drop its other options.")));
	if (path != NULL && stream->schema->format != SX_FORMAT_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("column \"%s\" of stream %s has a path, but the stream's format is not json",
						col->name, stream->name),
				 errhint("Drop the column's option \"path\".")));
	if (col->epoch != SX_EPOCH_NONE && col->decode_as != SX_AS_TIMESTAMPTZ &&
		col->decode_as != SX_AS_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of stream %s with option \"epoch\" cannot have type %s",
						col->name, stream->name,
						format_type_with_typemod(col->typid, col->typmod)),
				 errhint("Give it the type timestamptz or timestamp.")));
	if (att->attgenerated != '\0' && kind != SX_KIND_NATIVE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s cannot be a generated column",
						col->name, stream->name),
				 errhint("Compute it in the continuous view's query.")));

	set_path(col, path);
	if (col->metadata == SX_META_NONE)
		col->payload_index = (*npayload)++;
}

static void
read_event_time(SxStream *stream)
{
	const char *name = sx_option_get(stream->table_options, "event_time");
	const char *watermark = sx_option_get(stream->table_options, "watermark");
	bool		arrival = name == NULL;
	int			i;

	stream->event_time_col = -1;
	if (name != NULL)
	{
		SxColumn   *col = NULL;

		for (i = 0; i < stream->schema->ncols && col == NULL; i++)
		{
			if (!stream->schema->cols[i].dropped &&
				strcmp(stream->schema->cols[i].name, name) == 0)
				col = &stream->schema->cols[i];
		}
		if (col == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("event time column \"%s\" of stream %s does not exist",
							name, stream->name),
					 errhint("Name a column of the stream in option \"event_time\".")));
		if (col->typid != TIMESTAMPTZOID && col->typid != TIMESTAMPOID &&
			col->typid != DATEOID)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					 errmsg("event time column \"%s\" of stream %s cannot have type %s",
							name, stream->name,
							format_type_with_typemod(col->typid, col->typmod)),
					 errhint("Give it the type timestamptz, timestamp or date; for numbers there is the column option \"epoch\".")));
		stream->event_time_col = col - stream->schema->cols;
		arrival = col->metadata == SX_META_TIMESTAMP ||
			col->metadata == SX_META_ARRIVAL_TIME;
	}
	stream->has_watermark = watermark != NULL || arrival;
	if (watermark != NULL)
		stream->watermark_us = sx_option_interval_us("watermark", watermark);
}

/* Format and what goes with it. */
static void
read_format(SxStream *stream, int kind)
{
	static const SxFormat format_of[] = {
		SX_FORMAT_JSON, SX_FORMAT_CSV, SX_FORMAT_TEXT, SX_FORMAT_RAW
	};
	SxSchema   *schema = stream->schema;
	List	   *options = stream->table_options;
	const char *value;
	int			i;

	i = enum_option(options, "format", SX_ON_STREAM, -1);
	if (i >= 0)
		schema->format = format_of[i];
	else
		schema->format = kind == SX_KIND_SOCKET ? SX_FORMAT_TEXT : SX_FORMAT_JSON;

	if (kind == SX_KIND_SOCKET && schema->format == SX_FORMAT_RAW)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("socket stream %s cannot have format \"raw\"", stream->name),
				 errhint("Use \"text\", \"csv\" or \"json\"; messages are lines.")));

	schema->delimiter = ',';
	schema->quote = '"';
	for (i = 0; i < 3; i++)
	{
		static const char *const names[] = {"delimiter", "quote", "escape"};

		value = sx_option_get(options, names[i]);
		if (value == NULL)
			continue;
		if (schema->format != SX_FORMAT_CSV)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" of stream %s needs format \"csv\"",
							names[i], stream->name),
					 errhint("Set format 'csv' or drop the option.")));
		if (i == 0)
			schema->delimiter = value[0];
		else if (i == 1)
			schema->quote = value[0];
		else
			schema->escape = value[0];
	}
	if (schema->escape == '\0')
		schema->escape = schema->quote;
	if (schema->delimiter == schema->quote)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("delimiter and quote of stream %s are the same", stream->name),
				 errhint("Set another \"delimiter\" or \"quote\".")));

	schema->null_string = sx_option_get(options, "null");
	if (schema->null_string != NULL &&
		schema->format != SX_FORMAT_CSV && schema->format != SX_FORMAT_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"null\" of stream %s needs format \"csv\" or \"text\"",
						stream->name),
				 errhint("Set the format or drop the option.")));
	if (schema->null_string == NULL && schema->format == SX_FORMAT_CSV)
		schema->null_string = "";
}

/* Columns of text and raw streams: the whole message is one value. */
static void
check_payload_columns(const SxStream *stream, int npayload)
{
	SxSchema   *schema = stream->schema;
	int			i;

	if (schema->format != SX_FORMAT_TEXT && schema->format != SX_FORMAT_RAW)
		return;
	if (npayload != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_COLUMN_NUMBER),
				 errmsg("stream %s of format \"%s\" has %d payload columns instead of one",
						stream->name,
						schema->format == SX_FORMAT_TEXT ? "text" : "raw", npayload),
				 errdetail("The whole message is the value of one column."),
				 errhint("Keep one column besides those with option \"metadata\", or set another format.")));
	if (schema->format == SX_FORMAT_TEXT)
		return;
	for (i = 0; i < schema->ncols; i++)
	{
		SxColumn   *col = &schema->cols[i];

		if (col->payload_index == 0 && col->typid != BYTEAOID)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					 errmsg("payload column \"%s\" of stream %s of format \"raw\" cannot have type %s",
							col->name, stream->name,
							format_type_with_typemod(col->typid, col->typmod)),
					 errhint("Give it the type bytea, or set format \"text\".")));
	}
}

SxStream *
sx_stream_get(Oid relid, Oid user)
{
	SxStream   *stream;
	SxSchema   *schema;
	Relation	rel;
	TupleDesc	desc;
	ForeignServer *server;
	ForeignTable *table;
	int			kind;
	int			npayload = 0;
	int			i;

	if (!sx_stream_is(relid))
	{
		char	   *relname = get_rel_name(relid);

		if (relname == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("stream with OID %u does not exist", relid)));
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a stream", relname),
				 errhint("A stream is a foreign table of the foreign data wrapper \"streamx\".")));
	}

	rel = relation_open(relid, AccessShareLock);
	desc = RelationGetDescr(rel);
	table = GetForeignTable(relid);
	server = GetForeignServer(table->serverid);

	stream = palloc0(sizeof(SxStream));
	stream->relid = relid;
	stream->serverid = server->serverid;
	stream->owner = rel->rd_rel->relowner;
	if (RelationIsVisible(relid))
		stream->name = pstrdup(quote_identifier(RelationGetRelationName(rel)));
	else
		stream->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												  RelationGetRelationName(rel));
	kind = sx_server_kind(server);
	stream->kind = sx_kind_name(kind);
	stream->table_options = table->options;
	stream->server_options = server->options;
	stream->user_options = user_mapping_options(user, server->serverid);
	sx_server_check(server);
	check_kind(kind, stream->table_options, SX_ON_STREAM,
			   psprintf("stream %s", stream->name));

	schema = stream->schema = palloc0(sizeof(SxSchema));
	schema->utf8 = GetDatabaseEncoding() == PG_UTF8;
	schema->ncols = desc->natts;
	schema->cols = palloc0(sizeof(SxColumn) * Max(desc->natts, 1));
	read_format(stream, kind);
	for (i = 0; i < desc->natts; i++)
		read_column(stream, kind, TupleDescAttr(desc, i), &schema->cols[i],
					&npayload);
	if (kind == SX_KIND_KAFKA || kind == SX_KIND_SOCKET)
		check_payload_columns(stream, npayload);
	relation_close(rel, AccessShareLock);

	read_event_time(stream);
	stream->idle_timeout_us = interval_option(stream->table_options, "idle_timeout",
											  30 * USECS_PER_SEC);
	stream->max_ahead_us = interval_option(stream->table_options, "max_ahead",
										   USECS_PER_DAY);
	stream->continue_on_loss = kind == SX_KIND_KAFKA &&
		enum_option(stream->table_options, "on_data_loss", SX_ON_STREAM, 0) == 1;
	switch (enum_option(stream->table_options, "on_error", SX_ON_STREAM, 0))
	{
		case 1:
			stream->on_error = SX_ON_ERROR_STOP;
			break;
		case 2:
			stream->on_error = SX_ON_ERROR_SKIP;
			break;
		default:
			stream->on_error = SX_ON_ERROR_DEAD_LETTER;
			break;
	}
	stream->start = sx_option_get(stream->table_options, "start");
	if (stream->start == NULL)
		stream->start = kind == SX_KIND_KAFKA || kind == SX_KIND_GENERATOR ?
			"earliest" : "latest";

	if (kind == SX_KIND_KAFKA && sx_option_get(stream->table_options, "topic") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("stream %s has no topic", stream->name),
				 errhint("Add the option \"topic\" to the foreign table.")));
	return stream;
}

static bool
same_column(const SxColumn *a, const SxColumn *b)
{
	int			i;

	if (a->dropped || b->dropped)
		return a->dropped == b->dropped;
	if (strcmp(a->name, b->name) != 0 || a->typid != b->typid ||
		a->typmod != b->typmod || a->metadata != b->metadata ||
		a->epoch != b->epoch || a->npath != b->npath)
		return false;
	for (i = 0; i < a->npath; i++)
	{
		if (strcmp(a->path[i], b->path[i]) != 0)
			return false;
	}
	return true;
}

bool
sx_stream_same(const SxStream *a, const SxStream *b)
{
	int			i;

	if (a->relid != b->relid || a->serverid != b->serverid ||
		a->owner != b->owner || strcmp(a->kind, b->kind) != 0 ||
		strcmp(a->name, b->name) != 0 ||
		!equal(a->table_options, b->table_options) ||
		!equal(a->server_options, b->server_options) ||
		!equal(a->user_options, b->user_options) ||
		a->schema->ncols != b->schema->ncols)
		return false;

	/* the expressions of its columns are not here */
	if (strcmp(a->kind, "generator") == 0)
		return false;
	for (i = 0; i < a->schema->ncols; i++)
	{
		if (!same_column(&a->schema->cols[i], &b->schema->cols[i]))
			return false;
	}
	return true;
}
