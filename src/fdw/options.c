/*-------------------------------------------------------------------------
 * options.c
 *		The validator: options of servers, user mappings, streams, columns.
 *
 * PostgreSQL tells the validator one object's options and the catalog that
 * the object is in, not the object: what needs more than that is checked
 * when the stream is read (catalog/stream.c), and at DDL time by the utility
 * hook through the functions at the end of this file.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "catalog/option.h"
#include "catalog/stream.h"
#include "compat.h"
#include "fdw/options.h"
#include "source/generator.h"
#include "source/kafka_client.h"
#include "source/socket_tls.h"

PG_FUNCTION_INFO_V1(streamx_fdw_validator);

/* Further off than this, a name is no misspelling of the other. */
#define MAX_NAME_DISTANCE	4

/* ERROR: no such option, and what it may have been meant to be. */
pg_noreturn static void
unknown_option(const char *name, int where)
{
	const SxOption *o;
	const char *nearest = NULL;
	int			distance = Min(MAX_NAME_DISTANCE, (int) strlen(name) / 2);
	StringInfoData all;

	initStringInfo(&all);
	for (o = sx_options; o->name != NULL; o++)
	{
		int			d;

		if ((o->where & where) == 0)
			continue;
		appendStringInfo(&all, "%s%s", all.len > 0 ? ", " : "", o->name);
		if (strlen(name) > NAMEDATALEN)
			continue;
		d = varstr_levenshtein_less_equal(name, strlen(name),
										  o->name, strlen(o->name),
										  1, 1, 1, distance, true);
		if (d <= distance)
		{
			nearest = o->name;
			distance = d - 1;
		}
	}
	if (nearest == NULL && (where & (SX_ON_SERVER | SX_ON_USER_MAPPING)) != 0)
		nearest = sx_kafka_option_nearest(name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 nearest != NULL ?
			 errhint("Perhaps you meant the option \"%s\".", nearest) :
			 all.len > 0 ?
			 errhint("Valid options here are: %s.", all.data) :
			 errhint("There are no valid options here.")));
}

pg_noreturn static void
belongs_into_user_mapping(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("option \"%s\" is not for servers", name),
			 errdetail("Everybody may read the options of a server."),
			 errhint("Put it into a user mapping: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (%s '...').",
					 quote_identifier(name))));
}

/*
 * What a user mapping holds is for logging in: where to, and how the
 * connection is made, is up to who may change the server.
 */
pg_noreturn static void
belongs_to_server(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("option \"%s\" is not for user mappings", name),
			 errdetail("A user mapping holds credentials."),
			 errhint("Give it to the server: ALTER SERVER ... OPTIONS (%s '...').",
					 quote_identifier(name))));
}

/* Statements that may hold a secret are not written to the server's log. */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
}

/* One of librdkafka's settings, by its own name. */
static void
check_kafka_option(const char *name, const char *value, int where)
{
	char		error[SX_ERROR_LEN] = "";

	if (where == SX_ON_SERVER && sx_kafka_option_is_secret(name))
		belongs_into_user_mapping(name);
	if (sx_kafka_option_needs_superuser(name, value) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", name),
				 errdetail("It makes the server read files or load code."),
				 errhint("Only superusers may set it.")));
	switch (sx_kafka_option_check(name, value, error, sizeof(error)))
	{
		case SX_KAFKA_OPTION_OK:
			if (where == SX_ON_USER_MAPPING && !sx_kafka_option_is_login(name))
				belongs_to_server(name);
			break;
		case SX_KAFKA_OPTION_UNKNOWN:
			unknown_option(name, where);
			break;
		case SX_KAFKA_OPTION_INVALID:
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\": %s", name, error),
					 errhint("The option is a setting of librdkafka; see its CONFIGURATION.md.")));
			break;
		case SX_KAFKA_OPTION_RESERVED:
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" cannot be set", name),
					 errdetail("streamx sets it itself."),
					 errhint("Drop the option.")));
			break;
	}
}

Datum
streamx_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	int			where = 0;
	ErrorContextCallback hide = {.callback = hide_statement};
	ListCell   *lc;

	if (catalog == ForeignServerRelationId)
		where = SX_ON_SERVER;
	else if (catalog == UserMappingRelationId)
		where = SX_ON_USER_MAPPING;
	else if (catalog == ForeignTableRelationId)
		where = SX_ON_STREAM;
	else if (catalog == AttributeRelationId)
		where = SX_ON_COLUMN;

	hide.previous = error_context_stack;
	if (where == SX_ON_SERVER || where == SX_ON_USER_MAPPING)
		error_context_stack = &hide;
	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const SxOption *option = sx_option_lookup(def->defname, where);
		const char *value = defGetString(def);

		if (option != NULL)
		{
			sx_option_check(option, value);
			if (option->type == SX_OPTION_FILE &&
				!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("permission denied to set option \"%s\"", def->defname),
						 errdetail("It makes the server read files."),
						 errhint("Only superusers and members of pg_read_server_files may set it.")));
		}
		else if (where == SX_ON_SERVER &&
				 sx_option_lookup(def->defname, SX_ON_USER_MAPPING) != NULL)
			belongs_into_user_mapping(def->defname);
		else if (where == SX_ON_USER_MAPPING &&
				 sx_option_lookup(def->defname, SX_ON_SERVER) != NULL)
			belongs_to_server(def->defname);
		else if (where == SX_ON_SERVER || where == SX_ON_USER_MAPPING)
			check_kafka_option(def->defname, value, where);
		else
			unknown_option(def->defname, where);
	}
	error_context_stack = hide.previous;
	PG_RETURN_VOID();
}

void
sx_fdw_check_stream(Oid relid)
{
	SxStream   *stream;

	if (!sx_stream_is(relid))
		return;
	stream = sx_stream_get(relid, GetUserId());
	if (strcmp(stream->kind, "generator") == 0)
		sx_generator_check(stream);
}

void
sx_fdw_check_server(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);

	const char *tls = sx_option_get(server->options, "tls");

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "streamx") != 0)
		return;
	sx_server_check(server);
	if (tls != NULL && strcmp(tls, "on") == 0 && !sx_tls_available())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" cannot use TLS", server->servername),
				 errdetail("streamx was built without OpenSSL."),
				 errhint("Build it where OpenSSL's headers are installed (Debian: libssl-dev).")));
}
