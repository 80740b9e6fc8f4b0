/*-------------------------------------------------------------------------
 * encode.c
 *		Rows to payloads: the mirror of decode/.  Main thread.
 *
 * Values become text by PostgreSQL's own functions: to_json() for JSON, the
 * type's output function for the rest.  Columns with a dotted path make nested
 * objects; the tree of their names is laid out once, in sx_encode_create().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "sink/encode.h"

/* A name in the document: an object of names below it, or a column. */
typedef struct JsonNode
{
	char	   *label;			/* its name as JSON string, with the colon */
	const char *name;
	int			col;			/* -1: an object */
	int			nchildren;
	struct JsonNode *children;
} JsonNode;

typedef struct EncodeColumn
{
	FmgrInfo	to_json;		/* with the column's type as its argument's */
	FmgrInfo	output;
	Oid			basetype;		/* below domains */
} EncodeColumn;

struct SxEncoder
{
	const SxSchema *schema;
	MemoryContext row_cxt;		/* reset per row */
	EncodeColumn *cols;
	JsonNode	root;
	int			document;		/* column with path '', or -1 */
	int			key;			/* metadata columns, or -1 */
	int			partition;
	int			timestamp;
	int			npayload;
	int		   *payload;		/* payload columns in their order */
};

#define UNIX_SHIFT_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * USECS_PER_SEC)

static JsonNode *
add_child(JsonNode *parent, const char *name)
{
	StringInfoData label;
	JsonNode   *child;

	for (int i = 0; i < parent->nchildren; i++)
	{
		if (strcmp(parent->children[i].name, name) == 0)
			return &parent->children[i];
	}

	if (parent->children == NULL)
		parent->children = palloc(sizeof(JsonNode));
	else
		parent->children = repalloc(parent->children,
									(parent->nchildren + 1) * sizeof(JsonNode));
	child = &parent->children[parent->nchildren++];
	memset(child, 0, sizeof(JsonNode));
	initStringInfo(&label);
	escape_json(&label, name);
	appendStringInfoChar(&label, ':');
	child->label = label.data;
	child->name = name;
	child->col = -1;
	return child;
}

static void
add_column(SxEncoder *encoder, int c)
{
	const SxColumn *col = &encoder->schema->cols[c];
	JsonNode   *node = &encoder->root;

	if (col->npath == 0)
	{
		encoder->document = c;
		return;
	}
	for (int i = 0; i < col->npath; i++)
	{
		/* "a" and "a.b" cannot both be written: the longer one says more */
		node->col = -1;
		node = add_child(node, col->path[i]);
	}
	if (node->nchildren == 0)
		node->col = c;
}

SxEncoder *
sx_encode_create(const SxSchema *schema)
{
	SxEncoder  *encoder = palloc0(sizeof(SxEncoder));

	encoder->schema = schema;
	encoder->row_cxt = AllocSetContextCreate(CurrentMemoryContext,
											 "streamx encoder",
											 ALLOCSET_DEFAULT_SIZES);
	encoder->cols = palloc0(schema->ncols * sizeof(EncodeColumn));
	encoder->payload = palloc(schema->ncols * sizeof(int));
	encoder->root.col = -1;
	encoder->document = encoder->key = -1;
	encoder->partition = encoder->timestamp = -1;

	for (int c = 0; c < schema->ncols; c++)
	{
		const SxColumn *col = &schema->cols[c];
		EncodeColumn *ec = &encoder->cols[c];
		Oid			output;
		bool		isvarlena;
		Param	   *arg;

		if (col->dropped)
			continue;
		getTypeOutputInfo(col->typid, &output, &isvarlena);
		fmgr_info(output, &ec->output);
		ec->basetype = getBaseType(col->typid);

		/* to_json() takes its argument's type from the call */
		fmgr_info(F_TO_JSON, &ec->to_json);
		arg = makeNode(Param);
		arg->paramkind = PARAM_EXTERN;
		arg->paramid = 1;
		arg->paramtype = col->typid;
		arg->paramtypmod = col->typmod;
		arg->location = -1;
		fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID,
												 list_make1(arg), InvalidOid,
												 InvalidOid,
												 COERCE_EXPLICIT_CALL),
						   &ec->to_json);

		switch (col->metadata)
		{
			case SX_META_NONE:
				encoder->payload[encoder->npayload++] = c;
				if (schema->format == SX_FORMAT_JSON)
					add_column(encoder, c);
				break;
			case SX_META_KEY:
				encoder->key = c;
				break;
			case SX_META_PARTITION:
				encoder->partition = c;
				break;
			case SX_META_TIMESTAMP:
				encoder->timestamp = c;
				break;
			default:
				break;
		}
	}
	return encoder;
}

/* ---- values ------------------------------------------------------------------ */

/* TimestampTz of a time column's value */
static int64
time_of(SxEncoder *encoder, int c, Datum value)
{
	int64		us;

	switch (encoder->cols[c].basetype)
	{
		case DATEOID:
			if (DATE_NOT_FINITE(DatumGetDateADT(value)))
				us = PG_INT64_MAX;
			else
				us = (int64) DatumGetDateADT(value) * USECS_PER_DAY;
			break;
		case TIMESTAMPOID:
			us = DatumGetTimestamp(value);
			break;
		default:
			us = DatumGetTimestampTz(value);
			break;
	}
	if (TIMESTAMP_NOT_FINITE(us))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("cannot write an infinite time to column \"%s\"",
						encoder->schema->cols[c].name),
				 errhint("A number since the epoch has no infinity: write NULL, or drop the column's option epoch.")));
	return us;
}

static bool
is_time(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* A time as a number since 1970, with as many digits as it needs. */
static void
append_epoch(StringInfo buf, SxEpoch epoch, int64 us)
{
	int64		unit = epoch == SX_EPOCH_S ? USECS_PER_SEC :
	epoch == SX_EPOCH_MS ? 1000 : 1;
	int			digits = epoch == SX_EPOCH_S ? 6 : 3;
	int64		whole;
	int64		fraction;

	us += UNIX_SHIFT_US;
	whole = us / unit;
	fraction = us % unit;
	if (fraction < 0)
	{
		if (whole == 0)
			appendStringInfoChar(buf, '-');
		fraction = -fraction;
	}
	appendStringInfo(buf, INT64_FORMAT, whole);
	if (fraction != 0)
	{
		appendStringInfo(buf, ".%0*d", digits, (int) fraction);
		while (buf->data[buf->len - 1] == '0')
			buf->data[--buf->len] = '\0';
	}
}

static bool
is_epoch(SxEncoder *encoder, int c)
{
	return encoder->schema->cols[c].epoch != SX_EPOCH_NONE &&
		is_time(encoder->cols[c].basetype);
}

static void
append_json_value(SxEncoder *encoder, StringInfo buf, int c, Datum value)
{
	if (is_epoch(encoder, c))
		append_epoch(buf, encoder->schema->cols[c].epoch,
					 time_of(encoder, c, value));
	else
	{
		text	   *json = DatumGetTextPP(FunctionCall1(&encoder->cols[c].to_json, value));

		appendBinaryStringInfo(buf, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
	}
}

static void
append_node(SxEncoder *encoder, StringInfo buf, const JsonNode *node,
			const Datum *values, const bool *nulls)
{
	if (node->col >= 0)
	{
		if (nulls[node->col])
			appendStringInfoString(buf, "null");
		else
			append_json_value(encoder, buf, node->col, values[node->col]);
		return;
	}
	appendStringInfoChar(buf, '{');
	for (int i = 0; i < node->nchildren; i++)
	{
		if (i > 0)
			appendStringInfoChar(buf, ',');
		appendStringInfoString(buf, node->children[i].label);
		append_node(encoder, buf, &node->children[i], values, nulls);
	}
	appendStringInfoChar(buf, '}');
}

static char *
value_text(SxEncoder *encoder, int c, Datum value)
{
	if (is_epoch(encoder, c))
	{
		StringInfoData buf;

		initStringInfo(&buf);
		append_epoch(&buf, encoder->schema->cols[c].epoch,
					 time_of(encoder, c, value));
		return buf.data;
	}
	return OutputFunctionCall(&encoder->cols[c].output, value);
}

/* ---- formats ------------------------------------------------------------------ */

/* false: tombstone */
static bool
encode_json(SxEncoder *encoder, StringInfo buf, const Datum *values,
			const bool *nulls)
{
	/* the whole document holds all the other columns */
	if (encoder->document >= 0 && !nulls[encoder->document])
		append_json_value(encoder, buf, encoder->document,
						  values[encoder->document]);
	else if (encoder->root.nchildren > 0)
		append_node(encoder, buf, &encoder->root, values, nulls);
	else if (encoder->document >= 0)
		return false;
	else
		appendStringInfoString(buf, "{}");
	return true;
}

static void
encode_csv(SxEncoder *encoder, StringInfo buf, const Datum *values,
		   const bool *nulls)
{
	const SxSchema *schema = encoder->schema;
	const char *null_string = schema->null_string ? schema->null_string : "";

	for (int i = 0; i < encoder->npayload; i++)
	{
		int			c = encoder->payload[i];
		const char *text;
		bool		quoted;

		if (i > 0)
			appendStringInfoChar(buf, schema->delimiter);
		if (nulls[c])
		{
			appendStringInfoString(buf, null_string);
			continue;
		}
		text = value_text(encoder, c, values[c]);

		/* what would be read as NULL, or torn apart; an edge of blanks too */
		quoted = text[0] == '\0' || strcmp(text, null_string) == 0 ||
			text[0] == ' ' || text[strlen(text) - 1] == ' ';
		for (const char *p = text; *p != '\0' && !quoted; p++)
			quoted = *p == schema->delimiter || *p == schema->quote ||
				*p == schema->escape || *p == '\n' || *p == '\r';
		if (!quoted)
		{
			appendStringInfoString(buf, text);
			continue;
		}
		appendStringInfoChar(buf, schema->quote);
		for (const char *p = text; *p != '\0'; p++)
		{
			if (*p == schema->quote || *p == schema->escape)
				appendStringInfoChar(buf, schema->escape);
			appendStringInfoChar(buf, *p);
		}
		appendStringInfoChar(buf, schema->quote);
	}

	/* a single NULL would be no message at all */
	if (buf->len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("cannot write a csv message without any text"),
				 errhint("Give the column a value, or the stream an option null that is not empty.")));
}

/* The bytes of a value: bytea as it is, all else its text. */
static void
append_bytes(SxEncoder *encoder, StringInfo buf, int c, Datum value)
{
	if (encoder->cols[c].basetype == BYTEAOID)
	{
		bytea	   *bytes = DatumGetByteaPP(value);

		appendBinaryStringInfo(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	else
		appendStringInfoString(buf, value_text(encoder, c, value));
}

/* text and raw: one column; false: tombstone */
static bool
encode_single(SxEncoder *encoder, StringInfo buf, const Datum *values,
			  const bool *nulls)
{
	int			c = encoder->npayload > 0 ? encoder->payload[0] : -1;

	if (c < 0 || nulls[c])
		return false;
	if (encoder->schema->format == SX_FORMAT_RAW)
		append_bytes(encoder, buf, c, values[c]);
	else
		appendStringInfoString(buf, value_text(encoder, c, values[c]));
	return true;
}

/* ---- rows -------------------------------------------------------------------- */

static const char *
metadata_name(SxMetadata metadata)
{
	switch (metadata)
	{
		case SX_META_OFFSET:
			return "offset";
		case SX_META_HEADERS:
			return "headers";
		case SX_META_ARRIVAL_TIME:
			return "arrival_time";
		default:
			return NULL;
	}
}

static void
encode_metadata(SxEncoder *encoder, const Datum *values, const bool *nulls,
				SxEncoded *result)
{
	const SxSchema *schema = encoder->schema;

	for (int c = 0; c < schema->ncols; c++)
	{
		const char *name = schema->cols[c].dropped ? NULL :
		metadata_name(schema->cols[c].metadata);

		if (name != NULL && !nulls[c])
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot write column \"%s\"", schema->cols[c].name),
					 errdetail("It is the message's %s.", name),
					 errhint("Leave the column out.")));
	}

	result->key = NULL;
	result->key_len = 0;
	result->partition = -1;
	result->timestamp_us = PG_INT64_MIN;
	if (encoder->key >= 0 && !nulls[encoder->key])
	{
		StringInfoData buf;

		initStringInfo(&buf);
		append_bytes(encoder, &buf, encoder->key, values[encoder->key]);
		result->key = buf.data;
		result->key_len = buf.len;
	}
	if (encoder->partition >= 0 && !nulls[encoder->partition])
	{
		result->partition = DatumGetInt32(values[encoder->partition]);
		if (result->partition < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("cannot write to partition %d", result->partition),
					 errhint("Leave column \"%s\" out to have one chosen.",
							 schema->cols[encoder->partition].name)));
	}
	if (encoder->timestamp >= 0 && !nulls[encoder->timestamp])
		result->timestamp_us = time_of(encoder, encoder->timestamp,
									   values[encoder->timestamp]);
}

void
sx_encode_row(SxEncoder *encoder, const Datum *values, const bool *nulls,
			  SxEncoded *result)
{
	MemoryContext old;
	StringInfoData buf;
	bool		present = true;

	MemoryContextReset(encoder->row_cxt);
	old = MemoryContextSwitchTo(encoder->row_cxt);

	encode_metadata(encoder, values, nulls, result);
	initStringInfo(&buf);
	switch (encoder->schema->format)
	{
		case SX_FORMAT_JSON:
			present = encode_json(encoder, &buf, values, nulls);
			break;
		case SX_FORMAT_CSV:
			encode_csv(encoder, &buf, values, nulls);
			break;
		case SX_FORMAT_TEXT:
		case SX_FORMAT_RAW:
			present = encode_single(encoder, &buf, values, nulls);
			break;
	}

	/* payloads are UTF-8, whatever the database is in; raw bytes are bytes */
	result->payload = NULL;
	result->payload_len = 0;
	if (present)
	{
		result->payload = buf.data;
		result->payload_len = buf.len;
		if (encoder->schema->format != SX_FORMAT_RAW &&
			GetDatabaseEncoding() != PG_UTF8)
		{
			result->payload = pg_server_to_any(buf.data, buf.len, PG_UTF8);
			if (result->payload != buf.data)
				result->payload_len = strlen(result->payload);
		}
		if (result->payload_len == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot write an empty message"),
					 errdetail("Reading it would make it a dead letter.")));
	}
	MemoryContextSwitchTo(old);
}
