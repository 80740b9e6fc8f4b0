/*-------------------------------------------------------------------------
 * decode_test.c
 *		Tests of the room decode/, without a server.
 *
 * Prints TAP.  With the argument "bench" it measures instead: nanoseconds
 * per message for a document of 6 fields and about 110 bytes.
 *
 * Each case is a message and the cell expected of it:
 *		=text	a Datum, decoded natively
 *		~text	deferred: text for the type's input function
 *		NULL	SQL NULL
 *		!state	rejected with that SQLSTATE
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "catalog/pg_type_d.h"
#include "utils/date.h"
#include "utils/uuid.h"

#include "compat.h"
#include "decode/decode.h"
#include "decode/value.h"

#include "tap.h"

#define MAX_COLS 16

static void check(bool good, const char *fmt,...) pg_attribute_printf(2, 3);

/* ok() of what a case says, control characters and all */
static void
check(bool good, const char *fmt,...)
{
	char		name[256];
	char	   *p;
	va_list		args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	/* a number sign would begin a directive */
	for (p = name; *p; p++)
	{
		if (*p == '#' || (unsigned char) *p < ' ')
			*p = '?';
	}
	ok(good, "%s", name);
}

/* ---- schemas and messages ------------------------------------------- */

typedef struct Fixture
{
	SxSchema	schema;
	SxColumn	cols[MAX_COLS];
	const char *paths[MAX_COLS][8];
	char		path_text[MAX_COLS][64];
	SxDecoder  *decoder;
	SxBatch    *batch;
} Fixture;

static void
begin(Fixture *f, SxFormat format)
{
	memset(f, 0, sizeof(*f));
	f->schema.cols = f->cols;
	f->schema.format = format;
	f->schema.utf8 = true;
	f->schema.delimiter = ',';
	f->schema.quote = '"';
	f->schema.escape = '"';
	if (format == SX_FORMAT_CSV)
		f->schema.null_string = "";
}

/* path NULL: the name; "": the whole document */
static SxColumn *
column(Fixture *f, const char *name, SxDecodeAs as, const char *path)
{
	int			i = f->schema.ncols++;
	SxColumn   *col = &f->cols[i];
	char	   *p;

	col->name = name;
	col->decode_as = as;
	col->typmod = -1;
	col->payload_index = i;
	snprintf(f->path_text[i], sizeof(f->path_text[i]), "%s", path ? path : name);
	col->path = f->paths[i];
	for (p = f->path_text[i]; *p != '\0';)
	{
		char	   *dot = strchr(p, '.');

		f->paths[i][col->npath++] = p;
		if (dot == NULL)
			break;
		*dot = '\0';
		p = dot + 1;
	}
	return col;
}

static SxColumn *
metadata(Fixture *f, const char *name, SxDecodeAs as, SxMetadata what)
{
	SxColumn   *col = column(f, name, as, NULL);

	col->metadata = what;
	col->payload_index = -1;
	return col;
}

static void
start(Fixture *f, int maxrows)
{
	f->decoder = sx_decode_create(&f->schema);
	f->batch = sx_batch_create(&f->schema, maxrows);
	if (f->decoder == NULL || f->batch == NULL)
	{
		printf("Bail out! out of memory\n");
		exit(1);
	}
}

static void
finish(Fixture *f)
{
	sx_decode_destroy(f->decoder);
	sx_batch_free(f->batch);
}

static SxMessage
message(const char *payload, size_t len)
{
	SxMessage	msg;

	memset(&msg, 0, sizeof(msg));
	msg.payload = payload;
	msg.payload_len = len;
	msg.partition = 3;
	msg.position = 41;
	msg.timestamp_us = INT64CONST(1000000);
	msg.arrival_us = INT64CONST(2000000);
	return msg;
}

/* A message alone in a batch; in malloc'd memory of just its size. */
static void
decode_one(Fixture *f, const char *payload, size_t len)
{
	char	   *copy = malloc(Max(len, 1));
	SxMessage	msg;

	memcpy(copy, payload, len);
	msg = message(copy, len);
	sx_batch_reset(f->batch);
	if (sx_decode_messages(f->decoder, f->batch, &msg, 1) != 1 ||
		f->batch->nrows + f->batch->nrejects != 1 ||
		(f->batch->nrejects == 1 && f->batch->ndeferred != 0))
	{
		printf("Bail out! neither a row nor a reject\n");
		exit(1);
	}
	free(copy);
}

/* The cell as in the cases. */
static const char *
cell(Fixture *f, int col, int row)
{
	static char text[4][4096];
	static int	turn = 0;
	char	   *out = text[turn++ % 4];
	size_t		size = sizeof(text[0]);
	SxBatch    *b = f->batch;
	Datum		d;
	int			i;

	if (b->nrejects > 0 && b->nrows == 0)
	{
		snprintf(out, size, "!%s", b->rejects[0].sqlstate);
		return out;
	}
	for (i = 0; i < b->ndeferred; i++)
	{
		if (b->deferred[i].row == row && b->deferred[i].col == col)
		{
			snprintf(out, size, "~%s", b->deferred[i].text);
			return out;
		}
	}
	if (b->nulls[col][row])
		return "NULL";
	d = b->values[col][row];
	switch (f->cols[col].decode_as)
	{
		case SX_AS_BOOL:
			snprintf(out, size, "=%s", DatumGetBool(d) ? "t" : "f");
			break;
		case SX_AS_INT2:
			snprintf(out, size, "=%d", DatumGetInt16(d));
			break;
		case SX_AS_INT4:
			snprintf(out, size, "=%d", DatumGetInt32(d));
			break;
		case SX_AS_INT8:
			snprintf(out, size, "=" INT64_FORMAT, DatumGetInt64(d));
			break;
		case SX_AS_FLOAT4:
			snprintf(out, size, "=%.9g", DatumGetFloat4(d));
			break;
		case SX_AS_FLOAT8:
			snprintf(out, size, "=%.17g", DatumGetFloat8(d));
			break;
		case SX_AS_TIMESTAMPTZ:
		case SX_AS_TIMESTAMP:
			out[0] = '=';
			sx_value_format_timestamp(DatumGetInt64(d), out + 1);
			break;
		case SX_AS_DATE:
			snprintf(out, size, "=%d", DatumGetDateADT(d));
			break;
		case SX_AS_UUID:
			for (i = 0; i < UUID_LEN; i++)
				sprintf(out + 1 + 2 * i, "%02x", ((unsigned char *) DatumGetPointer(d))[i]);
			out[0] = '=';
			break;
		default:
			snprintf(out, size, "=%.*s", (int) VARSIZE_ANY_EXHDR(DatumGetPointer(d)),
					 VARDATA_ANY(DatumGetPointer(d)));
			break;
	}
	return out;
}

static void
expect_bytes(Fixture *f, const char *payload, size_t len, int col,
			 const char *expected)
{
	const char *got;

	decode_one(f, payload, len);
	got = cell(f, col, 0);
	check(strcmp(got, expected) == 0, "%.60s as %s: %.80s", payload,
		  f->cols[col].name, expected);
	if (strcmp(got, expected) != 0)
		printf("# got %s %s\n", got,
			   f->batch->nrejects > 0 ? f->batch->rejects[0].error : "");
}

static void
expect(Fixture *f, const char *payload, int col, const char *expected)
{
	expect_bytes(f, payload, strlen(payload), col, expected);
}

/* ---- cases ---------------------------------------------------------- */

typedef struct Case
{
	const char *value;			/* of the column in the document */
	const char *expected;
} Case;

static void
value_cases(const char *type, SxDecodeAs as, int32 typmod, SxEpoch epoch,
			Oid elemtype, const Case *cases)
{
	Fixture		f;
	SxColumn   *col;

	begin(&f, SX_FORMAT_JSON);
	col = column(&f, "v", as, NULL);
	col->typmod = typmod;
	col->epoch = epoch;
	col->elemtype = elemtype;
	start(&f, 4);
	for (; cases->value != NULL; cases++)
	{
		char		document[512];
		const char *got;

		snprintf(document, sizeof(document), "{\"v\":%s}", cases->value);
		decode_one(&f, document, strlen(document));
		got = cell(&f, 0, 0);
		check(strcmp(got, cases->expected) == 0, "%s: %s is %s", type,
			  cases->value, cases->expected);
		if (strcmp(got, cases->expected) != 0)
			printf("# got %s %s\n", got,
				   f.batch->nrejects > 0 ? f.batch->rejects[0].error : "");
	}
	finish(&f);
}

static void
test_values(void)
{
	static const Case bools[] = {
		{"true", "=t"}, {"false", "=f"}, {"null", "NULL"}, {"\"t\"", "=t"},
		{"\"false\"", "=f"}, {"\"yes\"", "~yes"}, {"\"TRUE\"", "~TRUE"},
		{"\"\"", "~"}, {"1", "~1"}, {"[]", "~[]"}, {"tru", "!22P02"},
		{"truex", "!22P02"}, {"nul", "!22P02"}, {"True", "!22P02"}, {NULL, NULL}
	};
	static const Case int2s[] = {
		{"32767", "=32767"}, {"-32768", "=-32768"}, {"32768", "!22003"},
		{"-32769", "!22003"}, {"\"32767\"", "=32767"}, {"\"32768\"", "~32768"},
		{NULL, NULL}
	};
	static const Case int4s[] = {
		{"0", "=0"}, {"-0", "=0"}, {"-0.0", "=0"}, {"1.0", "=1"},
		{"1e3", "=1000"}, {"1E+3", "=1000"}, {"10e-1", "=1"},
		{"1200e-2", "=12"}, {"1.50", "!22P02"}, {"1e-1", "!22P02"},
		{"0e99999999999", "=0"}, {"0.000000000000000000000000", "=0"},
		{"5.000000000000000000000000", "=5"},
		{"5.000000000000000000000001", "!22P02"},
		{"0.000000000000000000000005e24", "=5"},
		{"2147483647", "=2147483647"}, {"-2147483648", "=-2147483648"},
		{"2147483648", "!22003"}, {"-2147483649", "!22003"},
		{"1e99999999999", "!22003"}, {"1e-99999999999", "!22P02"},
		{"12345678901234567890123", "!22003"},
		{"\"42\"", "=42"}, {"\"+42\"", "=42"}, {"\"-42\"", "=-42"},
		{"\"007\"", "=7"}, {"\" 42\"", "~ 42"}, {"\"42 \"", "~42 "},
		{"\"4\\u0032\"", "=42"}, {"\"1.0\"", "~1.0"}, {"\"\"", "~"},
		{"\"-\"", "~-"}, {"\"0x10\"", "~0x10"}, {"\"2147483648\"", "~2147483648"},
		{"true", "~true"}, {"{\"a\":1}", "~{\"a\":1}"}, {"null", "NULL"},
		{"01", "!22P02"}, {"1.", "!22P02"}, {".5", "!22P02"}, {"+1", "!22P02"},
		{"1e", "!22P02"}, {"1e+", "!22P02"}, {"-", "!22P02"}, {"0x1", "!22P02"},
		{"1a", "!22P02"}, {"1 2", "!22P02"}, {"NaN", "!22P02"},
		{"1\"a\"", "!22P02"}, {"--1", "!22P02"}, {NULL, NULL}
	};
	static const Case int8s[] = {
		{"9223372036854775807", "=9223372036854775807"},
		{"-9223372036854775808", "=-9223372036854775808"},
		{"9223372036854775808", "!22003"}, {"-9223372036854775809", "!22003"},
		{"18446744073709551616", "!22003"}, {"9.223372036854775807e18", "=9223372036854775807"},
		{"9223372036854775807.0", "=9223372036854775807"},
		{"9223372036854775806.5", "!22P02"},
		{"9007199254740993", "=9007199254740993"}, {"1e18", "=1000000000000000000"},
		{"1e19", "!22003"}, {"99999999999999999999e-1", "!22P02"},
		{"123456789012345678900e-2", "=1234567890123456789"}, {NULL, NULL}
	};
	static const Case float8s[] = {
		{"1", "=1"}, {"1.5", "=1.5"}, {"-0.0", "=-0"}, {"19.99", "=19.989999999999998"},
		{"0.1", "=0.10000000000000001"}, {"1e23", "=9.9999999999999992e+22"},
		{"1.7976931348623157e308", "=1.7976931348623157e+308"},
		{"1.7976931348623159e308", "!22003"}, {"1e400", "!22003"},
		{"-1e400", "!22003"}, {"1e-400", "!22003"}, {"0e-400", "=0"},
		{"5e-324", "=4.9406564584124654e-324"},
		{"2.2250738585072011e-308", "=2.2250738585072009e-308"},
		{"9007199254740993", "=9007199254740992"},
		{"9007199254740993.0000000000000000000001", "=9007199254740994"},
		{"123456789012345678901234567890", "=1.2345678901234568e+29"},
		{"8.5e-23", "=8.4999999999999996e-23"},
		{"\"1.5\"", "=1.5"}, {"\"NaN\"", "~NaN"}, {"\"Infinity\"", "~Infinity"},
		{"\"1e400\"", "~1e400"}, {"\"+1\"", "~+1"}, {"\" 1\"", "~ 1"},
		{"\".5\"", "~.5"}, {NULL, NULL}
	};
	static const Case float4s[] = {
		{"0.1", "=0.100000001"}, {"16777217", "=16777216"},
		/* a rounding to double in between would give 1 */
		{"1.000000059604644775390626", "=1.00000012"},
		{"3.4028235e38", "=3.40282347e+38"}, {"3.5e38", "!22003"},
		{"1e-50", "!22003"}, {"-0.0", "=-0"}, {"\"2.5\"", "=2.5"},
		{"\"1e39\"", "~1e39"}, {NULL, NULL}
	};
	static const Case texts[] = {
		{"\"abc\"", "=abc"}, {"\"\"", "="}, {"null", "NULL"}, {"1.50", "=1.50"},
		{"-1e5", "=-1e5"}, {"true", "=true"}, {"false", "=false"},
		{"{ \"a\" : [1, 2] }", "={ \"a\" : [1, 2] }"}, {"[]", "=[]"},
		{"[{}, \"\\u00e4\"]", "=[{}, \"\\u00e4\"]"},
		{"\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "=a\n\t\"\\/\b\f\r"},
		{"\"\\u00e4\\u20ac\"", "=\xc3\xa4\xe2\x82\xac"},
		{"\"\\ud83d\\ude00!\"", "=\xf0\x9f\x98\x80!"},
		{"\"\xf0\x9f\x98\x80\"", "=\xf0\x9f\x98\x80"},
		{"\"a\\u0000b\"", "!22P05"}, {"\"a\\\\u0000b\"", "=a\\u0000b"},
		{"\"\\ud83d\"", "!22P02"}, {"\"\\ud83dx\"", "!22P02"},
		{"\"\\ude00\"", "!22P02"}, {"\"\\ud83d\\ud83d\"", "!22P02"},
		{"\"\\ud83d\\u0041\"", "!22P02"}, {"\"\\x\"", "!22P02"},
		{"\"\\u12g4\"", "!22P02"}, {"\"\\u12\"", "!22P02"},
		{"\"a\nb\"", "!22P02"}, {"\"abc", "!22P02"}, {"\"a\"b", "!22P02"},
		{"\"\xff\"", "!22021"}, {"\"\xc0\x80\"", "!22021"},
		{"\"\xed\xa0\x80\"", "!22021"}, {"\"\xf4\x90\x80\x80\"", "!22021"},
		{NULL, NULL}
	};
	static const Case varchars[] = {
		{"\"abc\"", "~abc"}, {"12", "~12"}, {"\"a\\u0000\"", "!22P05"},
		{"null", "NULL"}, {NULL, NULL}
	};
	static const Case numerics[] = {
		{"1.50", "~1.50"}, {"123456789012345678901234567890.123",
		"~123456789012345678901234567890.123"}, {"-0.0", "~-0.0"},
		{"\"1.50\"", "~1.50"}, {"\"NaN\"", "~NaN"}, {"null", "NULL"},
		{"1e400", "~1e400"}, {"01", "!22P02"}, {"[1,2,3]", "~[1,2,3]"}, {NULL, NULL}
	};
	static const Case jsons[] = {
		{"\"a\\n\"", "=\"a\\n\""}, {"null", "NULL"}, {"1.50", "=1.50"},
		{"{\"a\" :  1}", "={\"a\" :  1}"}, {"[1,[2]]", "=[1,[2]]"},
		{"true", "=true"}, {"\"a\\u0000\"", "!22P05"},
		{"{\"a\":[\"\\u0000\"]}", "!22P05"}, {"{\"a\\u0000\":1}", "!22P05"},
		{"[\"\\\\u0000\"]", "=[\"\\\\u0000\"]"}, {NULL, NULL}
	};
	static const Case jsonbs[] = {
		{"\"a\\n\"", "~\"a\\n\""}, {"null", "NULL"}, {"1.50", "~1.50"},
		{"{\"a\" :  1}", "~{\"a\" :  1}"}, {"[1,[2]]", "~[1,[2]]"},
		{"false", "~false"}, {"{\"a\":\"\\u0000\"}", "!22P05"}, {NULL, NULL}
	};
	static const Case uuids[] = {
		{"\"a0EEbc99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "=a0eebc999c0b4ef8bb6d6bb9bd380a11"},
		{"\"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}\"", "~{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"},
		{"\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g\"", "~a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g"},
		{"\"a0eebc99x9c0b-4ef8-bb6d-6bb9bd380a11\"", "~a0eebc99x9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"\"a0eebc999c0b4ef8bb6d6bb9bd380a11\"", "~a0eebc999c0b4ef8bb6d6bb9bd380a11"},
		{NULL, NULL}
	};

	value_cases("bool", SX_AS_BOOL, -1, SX_EPOCH_NONE, InvalidOid, bools);
	value_cases("int2", SX_AS_INT2, -1, SX_EPOCH_NONE, InvalidOid, int2s);
	value_cases("int4", SX_AS_INT4, -1, SX_EPOCH_NONE, InvalidOid, int4s);
	value_cases("int8", SX_AS_INT8, -1, SX_EPOCH_NONE, InvalidOid, int8s);
	value_cases("float8", SX_AS_FLOAT8, -1, SX_EPOCH_NONE, InvalidOid, float8s);
	value_cases("float4", SX_AS_FLOAT4, -1, SX_EPOCH_NONE, InvalidOid, float4s);
	value_cases("text", SX_AS_TEXT, -1, SX_EPOCH_NONE, InvalidOid, texts);
	value_cases("varchar(2)", SX_AS_TEXT, 6, SX_EPOCH_NONE, InvalidOid, varchars);
	value_cases("numeric", SX_AS_INPUT, -1, SX_EPOCH_NONE, InvalidOid, numerics);
	value_cases("json", SX_AS_JSON, -1, SX_EPOCH_NONE, InvalidOid, jsons);
	value_cases("jsonb", SX_AS_JSONB, -1, SX_EPOCH_NONE, InvalidOid, jsonbs);
	value_cases("uuid", SX_AS_UUID, -1, SX_EPOCH_NONE, InvalidOid, uuids);
}

static void
test_times(void)
{
	static const Case timestamptzs[] = {
		{"\"2024-05-01T12:34:56.789Z\"", "=2024-05-01 12:34:56.789000+00"},
		{"\"2024-05-01 12:34:56+02\"", "=2024-05-01 10:34:56.000000+00"},
		{"\"2024-05-01T12:34:56-05:30\"", "=2024-05-01 18:04:56.000000+00"},
		{"\"2024-05-01T12:34:56+0530\"", "=2024-05-01 07:04:56.000000+00"},
		{"\"2024-05-01T12:34Z\"", "=2024-05-01 12:34:00.000000+00"},
		{"\"2024-05-01T12:34:56.123456789Z\"", "=2024-05-01 12:34:56.123457+00"},
		{"\"2024-12-31T23:59:59.9999999Z\"", "=2025-01-01 00:00:00.000000+00"},
		{"\"2024-05-01T12:34:56.1Z\"", "=2024-05-01 12:34:56.100000+00"},
		{"\"2024-02-29T00:00:00Z\"", "=2024-02-29 00:00:00.000000+00"},
		{"\"2000-02-29T00:00:00Z\"", "=2000-02-29 00:00:00.000000+00"},
		{"\"0001-01-01T00:00:00Z\"", "=0001-01-01 00:00:00.000000+00"},
		{"\"0001-01-01T00:00:00+15\"", "=0001-12-31 09:00:00.000000+00 BC"},
		{"\"9999-12-31T23:59:59.999999Z\"", "=9999-12-31 23:59:59.999999+00"},
		{"\"1969-12-31T23:59:59.5Z\"", "=1969-12-31 23:59:59.500000+00"},
		{"\"2023-02-29T00:00:00Z\"", "~2023-02-29T00:00:00Z"},
		{"\"1900-02-29T00:00:00Z\"", "~1900-02-29T00:00:00Z"},
		{"\"2024-13-01T00:00:00Z\"", "~2024-13-01T00:00:00Z"},
		{"\"2024-00-01T00:00:00Z\"", "~2024-00-01T00:00:00Z"},
		{"\"2024-04-31T00:00:00Z\"", "~2024-04-31T00:00:00Z"},
		{"\"2024-05-01T24:00:00Z\"", "~2024-05-01T24:00:00Z"},
		{"\"2024-05-01T12:60:00Z\"", "~2024-05-01T12:60:00Z"},
		{"\"2024-05-01T12:34:60Z\"", "~2024-05-01T12:34:60Z"},
		{"\"2024-05-01T12:34:56\"", "~2024-05-01T12:34:56"},
		{"\"2024-05-01\"", "~2024-05-01"},
		{"\"2024-05-01T12:34:56 UTC\"", "~2024-05-01T12:34:56 UTC"},
		{"\"2024-05-01T12:34:56 +02\"", "~2024-05-01T12:34:56 +02"},
		{"\"2024-05-01T12:34:56+16\"", "~2024-05-01T12:34:56+16"},
		{"\"2024-05-01T12:34:56+1\"", "~2024-05-01T12:34:56+1"},
		{"\"2024-05-01T12:34:56+02:60\"", "~2024-05-01T12:34:56+02:60"},
		{"\"2024-05-01T12:34:56.Z\"", "~2024-05-01T12:34:56.Z"},
		{"\"2024-05-01T12:34:5Z\"", "~2024-05-01T12:34:5Z"},
		{"\"2024-05-01T12:34:56Zx\"", "~2024-05-01T12:34:56Zx"},
		{"\"2024-05-01t12:34:56z\"", "~2024-05-01t12:34:56z"},
		{"\" 2024-05-01T12:34:56Z\"", "~ 2024-05-01T12:34:56Z"},
		{"\"0000-01-01T00:00:00Z\"", "~0000-01-01T00:00:00Z"},
		{"\"12024-05-01T12:34:56Z\"", "~12024-05-01T12:34:56Z"},
		{"\"2024-05-01T12:34:56Z BC\"", "~2024-05-01T12:34:56Z BC"},
		{"\"infinity\"", "~infinity"}, {"\"now\"", "~now"}, {"\"\"", "~"},
		{"\"1714566896\"", "~1714566896"}, {"1714566896", "!22P02"},
		{"20240501", "!22P02"}, {"true", "~true"}, {"null", "NULL"}, {NULL, NULL}
	};
	static const Case timestamptz3s[] = {
		{"\"2024-05-01T12:34:56.7895Z\"", "=2024-05-01 12:34:56.790000+00"},
		{"\"1999-12-31T23:59:59.1235Z\"", "=1999-12-31 23:59:59.123000+00"},
		{"\"2024-05-01T12:34:56.7894Z\"", "=2024-05-01 12:34:56.789000+00"},
		{NULL, NULL}
	};
	static const Case timestamps[] = {
		{"\"2024-05-01T12:34:56.789\"", "=2024-05-01 12:34:56.789000+00"},
		{"\"2024-05-01T12:34:56+05\"", "=2024-05-01 12:34:56.000000+00"},
		{"\"2024-05-01\"", "=2024-05-01 00:00:00.000000+00"},
		{"\"May 1 2024\"", "~May 1 2024"}, {"5", "!22P02"}, {NULL, NULL}
	};
	static const Case dates[] = {
		{"\"2000-01-01\"", "=0"}, {"\"1999-12-31\"", "=-1"},
		{"\"2024-05-01\"", "=8887"}, {"\"2024-05-01T23:59:59-05\"", "=8887"},
		{"\"1.5.2024\"", "~1.5.2024"}, {"\"epoch\"", "~epoch"},
		{"20240501", "!22P02"}, {NULL, NULL}
	};
	static const Case seconds[] = {
		{"0", "=1970-01-01 00:00:00.000000+00"},
		{"1714566896", "=2024-05-01 12:34:56.000000+00"},
		{"1714566896.789", "=2024-05-01 12:34:56.789000+00"},
		{"1714566896.1234565", "=2024-05-01 12:34:56.123457+00"},
		{"1714566896.12345649", "=2024-05-01 12:34:56.123456+00"},
		{"1.714566896e9", "=2024-05-01 12:34:56.000000+00"},
		{"-1.5", "=1969-12-31 23:59:58.500000+00"},
		{"1e-30", "=1970-01-01 00:00:00.000000+00"},
		{"\"1714566896\"", "=2024-05-01 12:34:56.000000+00"},
		{"\"1714566896.5\"", "=2024-05-01 12:34:56.500000+00"},
		{"\"2024-05-01T12:34:56Z\"", "=2024-05-01 12:34:56.000000+00"},
		{"\" 1714566896\"", "~ 1714566896"},
		{"9224318015999", "=294276-12-31 23:59:59.000000+00"},
		{"9224318016000", "!22008"}, {"1e15", "!22008"}, {"-1e15", "!22008"},
		{"-210866803200", "=4714-11-24 00:00:00.000000+00 BC"},
		{"-210866803201", "!22008"}, {"1e400", "!22008"},
		{"\"1e15\"", "!22008"}, {"null", "NULL"}, {NULL, NULL}
	};
	static const Case milliseconds[] = {
		{"1714566896789", "=2024-05-01 12:34:56.789000+00"},
		{"1714566896789.25", "=2024-05-01 12:34:56.789250+00"},
		{"1714566896789000", "=56302-06-19 06:26:29.000000+00"},
		{NULL, NULL}
	};
	static const Case microseconds[] = {
		{"1714566896789123", "=2024-05-01 12:34:56.789123+00"},
		{"9224318015999999999", "=294276-12-31 23:59:59.999999+00"},
		{"9224318016000000000", "!22008"}, {"9223372036854775807", "=294247-01-10 04:00:54.775807+00"},
		{"9223372036854775808", "=294247-01-10 04:00:54.775808+00"}, {"0.5", "=1970-01-01 00:00:00.000001+00"},
		{"0.4", "=1970-01-01 00:00:00.000000+00"}, {NULL, NULL}
	};

	value_cases("timestamptz", SX_AS_TIMESTAMPTZ, -1, SX_EPOCH_NONE, InvalidOid, timestamptzs);
	value_cases("timestamptz(3)", SX_AS_TIMESTAMPTZ, 3, SX_EPOCH_NONE, InvalidOid, timestamptz3s);
	value_cases("timestamp", SX_AS_TIMESTAMP, -1, SX_EPOCH_NONE, InvalidOid, timestamps);
	value_cases("date", SX_AS_DATE, -1, SX_EPOCH_NONE, InvalidOid, dates);
	value_cases("timestamptz epoch s", SX_AS_TIMESTAMPTZ, -1, SX_EPOCH_S, InvalidOid, seconds);
	value_cases("timestamptz epoch ms", SX_AS_TIMESTAMPTZ, -1, SX_EPOCH_MS, InvalidOid, milliseconds);
	value_cases("timestamptz epoch us", SX_AS_TIMESTAMPTZ, -1, SX_EPOCH_US, InvalidOid, microseconds);
}

static void
test_arrays(void)
{
	static const Case ints[] = {
		{"[1,2.0,1e1,null,-0.0]", "~{1,2,10,NULL,0}"}, {"[]", "~{}"},
		{"[[1,2],[3,4]]", "~{{1,2},{3,4}}"}, {"[1.5]", "!22P02"},
		{"[2147483648]", "!22003"}, {"\"{1,2}\"", "~{1,2}"}, {"null", "NULL"},
		{"{}", "!22P02"}, {"5", "~5"}, {"[ 1 , 2 ]", "~{1,2}"},
		{"[1,]", "!22P02"}, {"[,1]", "!22P02"}, {"[1}", "!22P02"},
		{"[1 2]", "!22P02"}, {"[01]", "!22P02"}, {NULL, NULL}
	};
	static const Case texts[] = {
		{"[\"a\",\"\",\"NULL\",null]", "~{\"a\",\"\",\"NULL\",NULL}"},
		{"[\"a\\\"b\\\\c,{}\"]", "~{\"a\\\"b\\\\c,{}\"}"},
		{"[\"\\u00e4\\n\"]", "~{\"\xc3\xa4\n\"}"},
		{"[1.50,true,false]", "~{1.50,true,false}"},
		{"[{\"a\":\"}\"},\"x\"]", "~{\"{\\\"a\\\":\\\"}\\\"}\",\"x\"}"},
		{"[[\"a\"],[\"b\"]]", "~{{\"a\"},{\"b\"}}"},
		{"[\"\\u0000\"]", "!22P05"}, {"[\"\\ud800\"]", "!22P02"}, {NULL, NULL}
	};
	static const Case jsonbs[] = {
		{"[{\"a\":1},[1,2],\"s\",1.0,null,true]",
		"~{\"{\\\"a\\\":1}\",\"[1,2]\",\"\\\"s\\\"\",1.0,NULL,true}"},
		{"[[\"\\u0000\"]]", "!22P05"}, {"[\"\\u0000\"]", "!22P05"},
		{NULL, NULL}
	};
	static const Case boxes[] = {
		{"[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]", "~{\"(1,1),(0,0)\";\"(2,2),(1,1)\"}"},
		{NULL, NULL}
	};
	static const Case times[] = {
		{"[\"2024-05-01T00:00:00Z\"]", "~{\"2024-05-01T00:00:00Z\"}"},
		{"[20240501]", "!22P02"}, {NULL, NULL}
	};
	static const Case epochs[] = {
		{"[0,1.5]", "~{\"1970-01-01 00:00:00.000000+00\",\"1970-01-01 00:00:01.500000+00\"}"},
		{"[1e20]", "!22008"}, {NULL, NULL}
	};

	value_cases("int4[]", SX_AS_ARRAY, -1, SX_EPOCH_NONE, INT4OID, ints);
	value_cases("text[]", SX_AS_ARRAY, -1, SX_EPOCH_NONE, TEXTOID, texts);
	value_cases("jsonb[]", SX_AS_ARRAY, -1, SX_EPOCH_NONE, JSONBOID, jsonbs);
	value_cases("box[]", SX_AS_ARRAY, -1, SX_EPOCH_NONE, BOXOID, boxes);
	value_cases("timestamptz[]", SX_AS_ARRAY, -1, SX_EPOCH_NONE, TIMESTAMPTZOID, times);
	value_cases("timestamptz[] epoch s", SX_AS_ARRAY, -1, SX_EPOCH_S, TIMESTAMPTZOID, epochs);
}

static void
test_documents(void)
{
	Fixture		f;
	char		text[256];
	int			i;

	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_INT4, NULL);
	column(&f, "city", SX_AS_TEXT, "geo.city");
	column(&f, "geo", SX_AS_JSONB, NULL);
	column(&f, "doc", SX_AS_JSON, "");
	column(&f, "b", SX_AS_TEXT, NULL);
	column(&f, "deep", SX_AS_INT4, "geo.x.y");
	start(&f, 4);
	/* missing, null, extra, order, duplicates */
	expect(&f, "{}", 0, "NULL");
	expect(&f, "{}", 3, "={}");
	expect(&f, "{\"b\":\"x\",\"a\":7}", 0, "=7");
	expect(&f, "{\"a\":7,\"b\":\"x\"}", 0, "=7");
	expect(&f, "{\"z\":[{\"a\":1}],\"a\":7}", 0, "=7");
	expect(&f, "{\"A\":1}", 0, "NULL");
	expect(&f, "{\"a\":1,\"a\":2}", 0, "=2");
	expect(&f, "{\"a\":1,\"a\":null}", 0, "NULL");
	expect(&f, "{\"a\":\"bad\",\"a\":3}", 0, "=3");
	expect(&f, "{\"a\":1.5,\"a\":3}", 0, "=3");
	expect(&f, "{\"a\":99999999999,\"a\":3}", 0, "=3");
	expect(&f, "{\"a\":01,\"a\":3}", 0, "!22P02");
	expect(&f, "{\"a\":\"\\x\",\"a\":3}", 0, "!22P02");
	expect(&f, "{\"a\":3,\"a\":\"x\"}", 0, "~x");
	expect(&f, "{\"\\u0061\":5}", 0, "=5");
	expect(&f, "{\"a\":4,\"\\u0061\":5}", 0, "=5");
	expect(&f, "{\"\\u00zz\":5}", 0, "!22P02");
	expect(&f, " \n{ \"a\" :\t5 }\r\n", 0, "=5");
	expect(&f, " \n{ \"a\" :\t5 }\r\n", 3, "={ \"a\" :\t5 }");
	/* paths */
	expect(&f, "{\"geo\":{\"city\":\"Rom\",\"x\":{\"y\":1}}}", 1, "=Rom");
	expect(&f, "{\"geo\":{\"city\":\"Rom\",\"x\":{\"y\":1}}}", 2, "~{\"city\":\"Rom\",\"x\":{\"y\":1}}");
	expect(&f, "{\"geo\":{\"city\":\"Rom\",\"x\":{\"y\":1}}}", 5, "=1");
	expect(&f, "{\"geo\":{\"city\":\"Rom\"},\"geo\":{\"x\":{\"y\":2}}}", 1, "NULL");
	expect(&f, "{\"geo\":{\"city\":\"Rom\"},\"geo\":{\"x\":{\"y\":2}}}", 5, "=2");
	expect(&f, "{\"geo\":{\"city\":\"\\x\"},\"geo\":{}}", 1, "!22P02");
	expect(&f, "{\"geo\":{\"city\":\"Rom\"},\"geo\":null}", 1, "NULL");
	expect(&f, "{\"geo\":{\"city\":\"Rom\"},\"geo\":null}", 2, "NULL");
	expect(&f, "{\"geo\":[{\"city\":\"Rom\"}]}", 1, "NULL");
	expect(&f, "{\"geo\":\"Rom\"}", 1, "NULL");
	expect(&f, "{\"geo.city\":\"Rom\"}", 1, "NULL");
	expect(&f, "{\"city\":\"Rom\"}", 1, "NULL");
	expect(&f, "{\"geo\":{\"x\":1}}", 5, "NULL");
	expect(&f, "{\"geo\":{\"x\":tru}}", 5, "!22P02");
	/* not valid, wherever it is */
	expect(&f, "", 0, "!22P02");
	expect(&f, " \n", 0, "!22P02");
	expect(&f, "{", 0, "!22P02");
	expect(&f, "}", 0, "!22P02");
	expect(&f, "{\"a\":", 0, "!22P02");
	expect(&f, "{\"a\"", 0, "!22P02");
	expect(&f, "{\"a\":1", 0, "!22P02");
	expect(&f, "{\"a\":1,", 0, "!22P02");
	expect(&f, "{\"a\":1,}", 0, "!22P02");
	expect(&f, "{,\"a\":1}", 0, "!22P02");
	expect(&f, "{\"a\" 1}", 0, "!22P02");
	expect(&f, "{\"a\":}", 0, "!22P02");
	expect(&f, "{\"a\":]}", 0, "!22P02");
	expect(&f, "{\"a\":,\"b\":1}", 0, "!22P02");
	expect(&f, "{\"a\":1 \"b\":1}", 0, "!22P02");
	expect(&f, "{a:1}", 0, "!22P02");
	expect(&f, "{'a':1}", 0, "!22P02");
	expect(&f, "{\"a\":1}}", 0, "!22P02");
	expect(&f, "{\"a\":1}{\"a\":2}", 0, "!22P02");
	expect(&f, "{\"a\":1} x", 0, "!22P02");
	expect(&f, "{\"a\":1},", 0, "!22P02");
	expect(&f, "{\"a\":1]", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":tru}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":01}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":[}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":[}]}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":{\"q\":[1,{\"w\":1 2}]}}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":\"\\q\"}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\\q\":1}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":\"\\udc00\"}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":\"\t\"}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":\"\xff\"}", 0, "!22021");
	expect(&f, "{\"a\":1,\"\xff\":1}", 0, "!22021");
	expect(&f, "{\"a\":1,\"z\":1e}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":1\f}", 0, "!22P02");
	expect(&f, "{\"a\":1,\"z\":\"x\"\x1a}", 0, "!22P02");
	expect(&f, "{\"a\":1} // x", 0, "!22P02");
	expect(&f, "\xef\xbb\xbf{\"a\":1}", 0, "!22P02");
	expect(&f, "[1]", 0, "!22P02");
	expect(&f, "1", 0, "!22P02");
	expect(&f, "null", 0, "!22P02");
	/* a NUL byte, wherever it is */
	expect_bytes(&f, "{\"a\":1,\"z\":\"x\0y\"}", 17, 0, "!22021");
	expect_bytes(&f, "{\"a\":1}\0", 8, 0, "!22021");
	expect_bytes(&f, "{\"a\":\0}", 7, 0, "!22021");
	expect_bytes(&f, "\0", 1, 0, "!22021");
	/* \u0000 that no text column takes is valid JSON (here doc takes it) */
	expect(&f, "{\"a\":1,\"z\":\"\\u0000\"}", 3, "!22P05");
	finish(&f);

	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_INT4, NULL);
	start(&f, 4);
	expect(&f, "{\"a\":1,\"z\":\"\\u0000\"}", 0, "=1");
	expect(&f, "{\"z\":123456789012345678901234567890,\"a\":1}", 0, "=1");
	expect(&f, "{\"z\":1e999,\"a\":1}", 0, "=1");
	expect(&f, "[1,\"\\x\"]", 0, "!22P02");
	expect(&f, "tru", 0, "!22P02");
	/* the same field over and over, in ever other places */
	for (i = 0; i < 200; i++)
	{
		int			n = i % 90;
		char		doc[2048];
		int			len = sprintf(doc, "{");
		int			k;

		for (k = 0; k < n; k++)
			len += sprintf(doc + len, "\"f%d\":%d,", k * (1 + i % 3), k);
		sprintf(doc + len, "\"a\":%d}", i);
		decode_one(&f, doc, strlen(doc));
		snprintf(text, sizeof(text), "=%d", i);
		if (strcmp(cell(&f, 0, 0), text) != 0)
			break;
	}
	ok(i == 200, "fields move from message to message");
	finish(&f);

	/* only the whole document */
	begin(&f, SX_FORMAT_JSON);
	column(&f, "doc", SX_AS_JSONB, "");
	column(&f, "t", SX_AS_TEXT, "");
	start(&f, 4);
	expect(&f, "[1, 2]", 0, "~[1, 2]");
	expect(&f, " \"x\\u00e4\" ", 0, "~\"x\\u00e4\"");
	expect(&f, "\"x\\u00e4\"", 1, "=x\xc3\xa4");
	expect(&f, " 12 ", 0, "~12");
	expect(&f, "12", 1, "=12");
	expect(&f, "true", 0, "~true");
	expect(&f, "null", 0, "NULL");
	expect(&f, "-", 0, "!22P02");
	expect(&f, "1 2", 0, "!22P02");
	expect(&f, "[1] [2]", 0, "!22P02");
	expect(&f, "{\"a\":01}", 0, "!22P02");
	finish(&f);

	/* no payload column at all */
	begin(&f, SX_FORMAT_JSON);
	metadata(&f, "pos", SX_AS_INT8, SX_META_OFFSET);
	start(&f, 4);
	expect(&f, "{\"a\":1}", 0, "=41");
	expect(&f, "[1]", 0, "=41");
	expect(&f, "[01]", 0, "!22P02");
	expect(&f, "01", 0, "!22P02");
	finish(&f);

	/* a server encoding other than UTF8 */
	begin(&f, SX_FORMAT_JSON);
	f.schema.utf8 = false;
	column(&f, "t", SX_AS_TEXT, NULL);
	column(&f, "j", SX_AS_JSON, NULL);
	column(&f, "i", SX_AS_INT4, NULL);
	start(&f, 4);
	expect(&f, "{\"t\":\"\\u00e4\",\"j\":\"x\",\"i\":1}", 0, "~\xc3\xa4");
	expect(&f, "{\"t\":\"\\u00e4\",\"j\":\"x\",\"i\":1}", 1, "~\"x\"");
	expect(&f, "{\"t\":\"\\u00e4\",\"j\":\"x\",\"i\":1}", 2, "=1");
	expect(&f, "{\"t\":1.50}", 0, "~1.50");
	expect(&f, "{\"t\":[1]}", 0, "~[1]");
	finish(&f);

	/* 200 columns, in and against their order */
	begin(&f, SX_FORMAT_JSON);
	{
		static SxColumn cols[200];
		static const char *paths[200][1];
		static char names[200][8];
		char		doc[4096];
		int			len = sprintf(doc, "{");
		bool		same = true;

		memset(cols, 0, sizeof(cols));
		for (i = 0; i < 200; i++)
		{
			sprintf(names[i], "c%d", i);
			paths[i][0] = names[i];
			cols[i].name = names[i];
			cols[i].decode_as = SX_AS_INT4;
			cols[i].typmod = -1;
			cols[i].path = paths[i];
			cols[i].npath = 1;
			len += sprintf(doc + len, "%s\"c%d\":%d", i ? "," : "", 199 - i, i);
		}
		sprintf(doc + len, "}");
		cols[7].dropped = true;
		f.schema.cols = cols;
		f.schema.ncols = 200;
		start(&f, 4);
		decode_one(&f, doc, strlen(doc));
		decode_one(&f, doc, strlen(doc));
		for (i = 0; i < 200; i++)
			same &= i == 7 ? f.batch->values[i] == NULL :
				DatumGetInt32(f.batch->values[i][0]) == 199 - i;
		ok(same, "200 columns, one of them dropped");
		finish(&f);
	}
}

static void
test_sizes(void)
{
	size_t		size = 10 * 1024 * 1024;
	char	   *doc = malloc(size + 64);
	Fixture		f;
	size_t		len;
	int			depth;
	bool		good;

	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_INT4, NULL);
	column(&f, "t", SX_AS_TEXT, NULL);
	column(&f, "l", SX_AS_ARRAY, NULL)->elemtype = INT4OID;
	start(&f, 4);

	/* 10 MB: text, with an escape, array, broken at its end, then a small one */
	len = sprintf(doc, "{\"a\":1,\"t\":\"");
	memset(doc + len, 'x', size);
	strcpy(doc + len + size, "\"}");
	decode_one(&f, doc, len + size + 2);
	good = f.batch->nrows == 1 && !f.batch->nulls[1][0] &&
		VARSIZE_ANY_EXHDR(DatumGetPointer(f.batch->values[1][0])) == size &&
		memcmp(VARDATA_ANY(DatumGetPointer(f.batch->values[1][0])), doc + len, size) == 0;
	ok(good, "text of 10 MB");
	memcpy(doc + len + size - 2, "\\n", 2);
	decode_one(&f, doc, len + size + 2);
	good = f.batch->nrows == 1 &&
		VARSIZE_ANY_EXHDR(DatumGetPointer(f.batch->values[1][0])) == size - 1 &&
		VARDATA_ANY(DatumGetPointer(f.batch->values[1][0]))[size - 2] == '\n';
	ok(good, "text of 10 MB with an escape");
	doc[len + size + 1] = ']';
	decode_one(&f, doc, len + size + 2);
	ok(f.batch->nrejects == 1 && f.batch->rejects[0].payload_len == len + size + 2 &&
	   memcmp(f.batch->rejects[0].payload, doc, len + size + 2) == 0,
	   "10 MB broken at the end are rejected, with all the bytes");
	ok(sx_batch_bytes(f.batch) > 20 * 1024 * 1024, "that takes memory");
	len = sprintf(doc, "{\"l\":[1");
	while (len < size)
		len += sprintf(doc + len, ",%zu", len);
	len += sprintf(doc + len, "]}");
	decode_one(&f, doc, len);
	ok(f.batch->ndeferred == 1 && strlen(f.batch->deferred[0].text) == len - 6 &&
	   f.batch->deferred[0].text[0] == '{', "array of 10 MB");
	expect(&f, "{\"a\":5}", 0, "=5");
	sx_batch_reset(f.batch);
	ok(f.batch->arena.reserved <= 8 * 1024 * 1024, "and memory is given back");

	/* nesting: up to 1000 levels, then a reject, never a crash */
	for (depth = 999; depth <= 1001; depth++)
	{
		len = sprintf(doc, "{\"a\":1,\"z\":");
		memset(doc + len, '[', depth - 1);
		memset(doc + len + depth - 1, ']', depth - 1);
		strcpy(doc + len + 2 * (depth - 1), "}");
		expect(&f, doc, 0, depth <= 1000 ? "=1" : "!54001");
	}
	memset(doc, '[', 1000000);
	expect_bytes(&f, doc, 1000000, 0, "!54001");
	for (len = 0; len < 1000000; len += 5)
		memcpy(doc + len, "{\"a\":", 5);
	expect_bytes(&f, doc, len, 0, "!54001");
	finish(&f);

	/* the same along a path */
	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_TEXT, "a.a.a.a");
	start(&f, 4);
	expect_bytes(&f, doc, len, 0, "!54001");
	expect(&f, "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}", 0, "={\"a\":1}");
	finish(&f);

	/* a million duplicates take no time to speak of */
	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_INT4, NULL);
	start(&f, 4);
	doc[0] = '{';
	for (len = 1; len < 6000000; len += 6)
		memcpy(doc + len, "\"a\":1,", 6);
	memcpy(doc + len, "\"a\":2}", 6);
	decode_one(&f, doc, len + 6);
	ok(strcmp(cell(&f, 0, 0), "=2") == 0, "a million duplicates");
	finish(&f);
	free(doc);
}

static void
test_csv(void)
{
	Fixture		f;

	begin(&f, SX_FORMAT_CSV);
	metadata(&f, "part", SX_AS_INT4, SX_META_PARTITION);
	column(&f, "i", SX_AS_INT4, NULL);
	column(&f, "t", SX_AS_TEXT, NULL);
	column(&f, "f", SX_AS_FLOAT8, NULL);
	start(&f, 4);
	expect(&f, "1,abc,2.5", 0, "=3");
	expect(&f, "1,abc,2.5", 1, "=1");
	expect(&f, "1,abc,2.5", 2, "=abc");
	expect(&f, "1,abc,2.5", 3, "=2.5");
	expect(&f, "1,abc,2.5\n", 3, "=2.5");
	expect(&f, "1,abc,2.5\r\n", 3, "=2.5");
	expect(&f, "1,abc,2.5\r", 3, "=2.5");
	expect(&f, "1,\"a,b\"\"c\",2.5", 2, "=a,b\"c");
	expect(&f, "1,\"a\nb\r\nc\",2.5\n", 2, "=a\nb\r\nc");
	expect(&f, "1,\"\",", 2, "=");
	expect(&f, "1,,", 2, "NULL");
	expect(&f, ",,", 1, "NULL");
	expect(&f, ",,", 3, "NULL");
	expect(&f, "\"7\",x,1", 1, "=7");
	expect(&f, " 7,x,1", 1, "~ 7");
	expect(&f, "x7,x,1", 1, "~x7");
	expect(&f, "7, x ,1", 2, "= x ");
	expect(&f, "7,a'b\\c,1", 2, "=a'b\\c");
	expect(&f, "1,\"\"\"\",2", 2, "=\"");
	expect(&f, "1,2", 1, "!22P04");
	expect(&f, "1,2,3,4", 1, "!22P04");
	expect(&f, "1,2,3,", 1, "!22P04");
	expect(&f, "\n", 1, "!22P04");
	expect(&f, "", 1, "!22P02");
	expect(&f, "1,\"abc,2", 1, "!22P04");
	expect(&f, "1,\"abc\"d,2", 1, "!22P04");
	expect(&f, "1,ab\"c,2", 1, "!22P04");
	expect(&f, "1,a\nb,2", 1, "!22P04");
	expect(&f, "1,a,2\n1,a,2\n", 1, "!22P04");
	expect(&f, "1,\xff,2", 1, "!22021");
	expect_bytes(&f, "1,a\0b,2", 7, 1, "!22021");
	finish(&f);

	begin(&f, SX_FORMAT_CSV);
	f.schema.delimiter = '\t';
	f.schema.quote = '\'';
	f.schema.escape = '\\';
	f.schema.null_string = "\\N";
	column(&f, "a", SX_AS_TEXT, NULL);
	column(&f, "b", SX_AS_TEXT, NULL);
	start(&f, 4);
	expect(&f, "'a\\'b\\\\c\\d'\t\\N", 0, "=a'b\\c\\d");
	expect(&f, "'a'\t\\N", 1, "NULL");
	expect(&f, "'a'\t'\\N'", 1, "=\\N");
	expect(&f, "\tx", 0, "=");
	expect(&f, "'a''b'\tx", 0, "!22P04");
	finish(&f);

	/* types that csv knows natively, and those that it does not */
	begin(&f, SX_FORMAT_CSV);
	column(&f, "ts", SX_AS_TIMESTAMPTZ, NULL)->epoch = SX_EPOCH_MS;
	column(&f, "j", SX_AS_JSON, NULL);
	column(&f, "jb", SX_AS_JSONB, NULL);
	column(&f, "arr", SX_AS_ARRAY, NULL)->elemtype = INT4OID;
	column(&f, "by", SX_AS_BYTEA, NULL);
	column(&f, "bo", SX_AS_BOOL, NULL);
	start(&f, 4);
	expect(&f, "1714566896789,1,2,{3},\\x04,t", 0, "=2024-05-01 12:34:56.789000+00");
	expect(&f, "2024-05-01T00:00:00Z,1,2,{3},\\x04,t", 0, "=2024-05-01 00:00:00.000000+00");
	expect(&f, "1e30,1,2,{3},\\x04,t", 0, "!22008");
	expect(&f, "0,1,2,{3},\\x04,t", 1, "~1");
	expect(&f, "0,1,2,{3},\\x04,t", 2, "~2");
	expect(&f, "0,1,2,{3},\\x04,t", 3, "~{3}");
	expect(&f, "0,1,2,{3},\\x04,t", 4, "~\\x04");
	expect(&f, "0,1,2,{3},\\x04,t", 5, "=t");
	finish(&f);
}

static void
test_text_and_raw(void)
{
	Fixture		f;

	begin(&f, SX_FORMAT_TEXT);
	column(&f, "line", SX_AS_TEXT, NULL);
	start(&f, 4);
	expect(&f, "hello, \"world\"", 0, "=hello, \"world\"");
	expect(&f, "\xc3\xa4", 0, "=\xc3\xa4");
	expect(&f, "\xc3", 0, "!22021");
	expect_bytes(&f, "a\0b", 3, 0, "!22021");
	expect(&f, "", 0, "!22P02");
	finish(&f);

	begin(&f, SX_FORMAT_TEXT);
	f.schema.null_string = "-";
	column(&f, "n", SX_AS_INT4, NULL);
	start(&f, 4);
	expect(&f, "42", 0, "=42");
	expect(&f, "42\n", 0, "~42\n");
	expect(&f, "-", 0, "NULL");
	finish(&f);

	begin(&f, SX_FORMAT_TEXT);
	column(&f, "a", SX_AS_TEXT, NULL);
	column(&f, "b", SX_AS_TEXT, NULL);
	start(&f, 4);
	expect(&f, "x", 0, "!22P04");
	finish(&f);

	begin(&f, SX_FORMAT_RAW);
	column(&f, "b", SX_AS_BYTEA, NULL);
	start(&f, 4);
	expect(&f, "\xff\xfe", 0, "=\xff\xfe");
	decode_one(&f, "a\0b", 3);
	ok(VARSIZE_ANY_EXHDR(DatumGetPointer(f.batch->values[0][0])) == 3 &&
	   memcmp(VARDATA_ANY(DatumGetPointer(f.batch->values[0][0])), "a\0b", 3) == 0,
	   "raw bytes with a NUL");
	finish(&f);

	begin(&f, SX_FORMAT_RAW);
	column(&f, "t", SX_AS_TEXT, NULL);
	start(&f, 4);
	expect(&f, "{\"a\"", 0, "={\"a\"");
	expect(&f, "\xff", 0, "!22021");
	finish(&f);

	begin(&f, SX_FORMAT_RAW);
	column(&f, "j", SX_AS_JSON, NULL);
	start(&f, 4);
	expect(&f, "{\"a\"", 0, "~{\"a\"");
	finish(&f);
}

static void
test_envelope(void)
{
	Fixture		f;
	SxMessage	msgs[6];
	SxFormat	format;
	int			n;
	char		key[] = "k1";
	char		payload[] = "{\"a\":1,\"n\":1.5}";

	begin(&f, SX_FORMAT_JSON);
	column(&f, "a", SX_AS_INT4, NULL);
	metadata(&f, "part", SX_AS_INT2, SX_META_PARTITION);
	metadata(&f, "pos", SX_AS_INT8, SX_META_OFFSET);
	metadata(&f, "ts", SX_AS_TIMESTAMPTZ, SX_META_TIMESTAMP);
	metadata(&f, "arr", SX_AS_TIMESTAMP, SX_META_ARRIVAL_TIME);
	metadata(&f, "key", SX_AS_TEXT, SX_META_KEY);
	metadata(&f, "keyb", SX_AS_BYTEA, SX_META_KEY);
	metadata(&f, "headers", SX_AS_JSONB, SX_META_HEADERS);
	metadata(&f, "headerst", SX_AS_TEXT, SX_META_HEADERS);
	metadata(&f, "headersj", SX_AS_JSON, SX_META_HEADERS);
	metadata(&f, "posn", SX_AS_INPUT, SX_META_OFFSET);
	metadata(&f, "tsd", SX_AS_DATE, SX_META_TIMESTAMP);
	metadata(&f, "tsi", SX_AS_INPUT, SX_META_TIMESTAMP);
	column(&f, "n", SX_AS_INPUT, NULL);
	start(&f, 4);

	msgs[0] = message(payload, strlen(payload));
	msgs[0].key = key;
	msgs[0].key_len = 2;
	msgs[0].headers = "{\"h\": \"v\"}";
	msgs[1] = message("{\"n\":1,\"a\":x}", 13); /* n is deferred, then... */
	msgs[1].position = 42;
	msgs[1].key = "\xff";
	msgs[1].key_len = 1;
	msgs[2] = message(NULL, 0); /* a tombstone */
	msgs[2].position = 43;
	msgs[2].key = key;
	msgs[2].key_len = 2;
	msgs[3] = message("{\"a\":2}", 7);
	msgs[3].partition = 5;
	msgs[3].position = 7;
	msgs[3].key = "";
	msgs[4] = message("{\"a\":3}", 7);	/* a key that is no text */
	msgs[4].partition = 5;
	msgs[4].position = 8;
	msgs[4].key = "\xff\xfe";
	msgs[4].key_len = 2;
	msgs[5] = message("{\"a\":4}", 7);
	msgs[5].position = 50;
	sx_batch_reset(f.batch);
	n = sx_decode_messages(f.decoder, f.batch, msgs, 6);
	/* nothing of the source's is referred to */
	memset(key, '#', 2);
	memset(payload, '#', strlen(payload));

	ok(n == 6 && f.batch->nrows == 4 && f.batch->nrejects == 2,
	   "6 messages are 4 rows and 2 rejects");
	ok(strcmp(cell(&f, 0, 0), "=1") == 0 && strcmp(cell(&f, 13, 0), "~1.5") == 0,
	   "payload columns");
	ok(strcmp(cell(&f, 1, 0), "=3") == 0, "partition");
	ok(strcmp(cell(&f, 2, 0), "=41") == 0, "offset");
	ok(strcmp(cell(&f, 10, 0), "~41") == 0, "offset, deferred");
	ok(strcmp(cell(&f, 3, 0), "=2000-01-01 00:00:01.000000+00") == 0, "timestamp");
	ok(strcmp(cell(&f, 11, 0), "=0") == 0, "timestamp as date");
	ok(strcmp(cell(&f, 12, 0), "~2000-01-01 00:00:01.000000+00") == 0,
	   "timestamp, deferred");
	ok(strcmp(cell(&f, 4, 0), "=2000-01-01 00:00:02.000000+00") == 0, "arrival time");
	ok(strcmp(cell(&f, 5, 0), "=k1") == 0, "key as text");
	ok(strcmp(cell(&f, 6, 0), "=k1") == 0, "key as bytea");
	ok(strcmp(cell(&f, 7, 0), "~{\"h\": \"v\"}") == 0, "headers as jsonb");
	ok(strcmp(cell(&f, 8, 0), "={\"h\": \"v\"}") == 0, "headers as text");
	ok(strcmp(cell(&f, 9, 0), "={\"h\": \"v\"}") == 0, "headers as json");
	ok(f.batch->partition[0] == 3 && f.batch->position[0] == 41 &&
	   f.batch->timestamp_us[0] == 1000000 && f.batch->arrival_us[0] == 2000000,
	   "envelope");
	ok(f.batch->payload_len[0] == 15 &&
	   memcmp(f.batch->payload[0], "{\"a\":1,\"n\":1.5}", 15) == 0 &&
	   f.batch->key_len[0] == 2 && memcmp(f.batch->key[0], "k1", 2) == 0,
	   "raw bytes are copied");
	ok(strcmp(cell(&f, 0, 1), "NULL") == 0 && strcmp(cell(&f, 13, 1), "NULL") == 0 &&
	   strcmp(cell(&f, 2, 1), "=43") == 0 && strcmp(cell(&f, 5, 1), "=k1") == 0 &&
	   f.batch->payload[1] == NULL && f.batch->payload_len[1] == 0,
	   "a tombstone is a row with metadata only");
	ok(strcmp(cell(&f, 5, 2), "=") == 0 && strcmp(cell(&f, 6, 2), "=") == 0,
	   "an empty key is no NULL");
	ok(strcmp(cell(&f, 5, 3), "NULL") == 0 && strcmp(cell(&f, 7, 3), "NULL") == 0 &&
	   f.batch->key[3] == NULL, "no key, no headers");
	ok(strcmp(cell(&f, 13, 1), "NULL") == 0,
	   "cells that a reject had deferred are taken back");
	ok(f.batch->rejects[0].position == 42 && f.batch->rejects[0].key_len == 1 &&
	   strcmp(f.batch->rejects[0].sqlstate, "22P02") == 0 &&
	   f.batch->rejects[0].arrival_us == 2000000 && f.batch->rejects[0].partition == 3,
	   "the reject of a payload");
	ok(f.batch->rejects[1].position == 8 &&
	   strcmp(f.batch->rejects[1].sqlstate, "22021") == 0 &&
	   f.batch->rejects[1].payload_len == 7 &&
	   memcmp(f.batch->rejects[1].key, "\xff\xfe", 2) == 0,
	   "the reject of a key");
	ok(f.batch->npositions == 2 && f.batch->positions[0].partition == 3 &&
	   f.batch->positions[0].next_offset == 51 &&
	   f.batch->positions[1].partition == 5 &&
	   f.batch->positions[1].next_offset == 9, "positions");

	/* rejects are no rows, but a full batch takes nothing more */
	sx_batch_reset(f.batch);
	ok(sx_decode_messages(f.decoder, f.batch, msgs + 2, 2) == 2 &&
	   sx_decode_messages(f.decoder, f.batch, msgs + 1, 5) == 3 &&
	   sx_decode_messages(f.decoder, f.batch, msgs + 1, 5) == 0 &&
	   f.batch->nrows == 4 && f.batch->nrejects == 1, "a full batch");
	finish(&f);

	begin(&f, SX_FORMAT_JSON);
	metadata(&f, "part", SX_AS_INT2, SX_META_PARTITION);
	metadata(&f, "key", SX_AS_INT4, SX_META_KEY);
	start(&f, 4);
	msgs[0].partition = 40000;
	msgs[0].payload = "{}";
	msgs[0].payload_len = 2;
	msgs[0].key = "12";
	sx_decode_messages(f.decoder, f.batch, msgs, 1);
	ok(strcmp(cell(&f, 0, 0), "!22003") == 0, "partition out of range");
	msgs[0].partition = 4;
	sx_batch_reset(f.batch);
	sx_decode_messages(f.decoder, f.batch, msgs, 1);
	ok(strcmp(cell(&f, 1, 0), "=12") == 0, "key as integer");
	finish(&f);

	ok(sx_decode_format_by_name("csv", &format) && format == SX_FORMAT_CSV &&
	   !sx_decode_format_by_name("xml", &format), "formats by name");
}

/* ---- an independent reading of JSON's grammar ------------------------ */

typedef struct Oracle
{
	const unsigned char *p;
	const unsigned char *end;
} Oracle;

static void
oracle_space(Oracle *o)
{
	while (o->p < o->end && (*o->p == ' ' || *o->p == '\t' ||
							 *o->p == '\n' || *o->p == '\r'))
		o->p++;
}

static bool
oracle_word(Oracle *o, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (o->end - o->p) < len || memcmp(o->p, word, len) != 0)
		return false;
	o->p += len;
	return true;
}

static int
oracle_hex(Oracle *o)
{
	char		digits[5] = {0};

	if (o->end - o->p < 4)
		return -1;
	memcpy(digits, o->p, 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return -1;
	o->p += 4;
	return (int) strtol(digits, NULL, 16);
}

static bool
oracle_string(Oracle *o)
{
	if (o->p == o->end || *o->p++ != '"')
		return false;
	while (o->p < o->end)
	{
		unsigned char c = *o->p++;

		if (c == '"')
			return true;
		if (c < ' ')
			return false;
		if (c != '\\')
			continue;
		if (o->p == o->end)
			return false;
		c = *o->p++;
		if (c == 'u')
		{
			int			code = oracle_hex(o);

			if (code < 0 || (code >= 0xDC00 && code < 0xE000))
				return false;
			if (code >= 0xD800 && code < 0xDC00)
			{
				if (!oracle_word(o, "\\u"))
					return false;
				code = oracle_hex(o);
				if (code < 0xDC00 || code >= 0xE000)
					return false;
			}
		}
		else if (strchr("\"\\/bfnrt", c) == NULL || c == '\0')
			return false;
	}
	return false;
}

static bool
oracle_digits(Oracle *o)
{
	const unsigned char *from = o->p;

	while (o->p < o->end && *o->p >= '0' && *o->p <= '9')
		o->p++;
	return o->p > from;
}

static bool
oracle_value(Oracle *o, int depth)
{
	oracle_space(o);
	if (o->p == o->end || depth > 1000)
		return false;
	switch (*o->p)
	{
		case '{':
		case '[':
			{
				bool		object = *o->p++ == '{';
				char		close = object ? '}' : ']';

				oracle_space(o);
				if (o->p < o->end && *o->p == close)
				{
					o->p++;
					return true;
				}
				for (;;)
				{
					if (object)
					{
						oracle_space(o);
						if (!oracle_string(o))
							return false;
						oracle_space(o);
						if (!oracle_word(o, ":"))
							return false;
					}
					if (!oracle_value(o, depth + 1))
						return false;
					oracle_space(o);
					if (o->p == o->end)
						return false;
					if (*o->p == close)
					{
						o->p++;
						return true;
					}
					if (*o->p++ != ',')
						return false;
				}
			}
		case '"':
			return oracle_string(o);
		case 't':
			return oracle_word(o, "true");
		case 'f':
			return oracle_word(o, "false");
		case 'n':
			return oracle_word(o, "null");
		default:
			oracle_word(o, "-");
			if (o->p < o->end && *o->p == '0')
				o->p++;
			else if (!oracle_digits(o))
				return false;
			if (oracle_word(o, ".") && !oracle_digits(o))
				return false;
			if (oracle_word(o, "e") || oracle_word(o, "E"))
			{
				if (!oracle_word(o, "+"))
					oracle_word(o, "-");
				return oracle_digits(o);
			}
			return true;
	}
}

static bool
oracle_utf8(const unsigned char *s, size_t len)
{
	size_t		i = 0;

	while (i < len)
	{
		unsigned char c = s[i];
		int			n = -1;
		int			k;

		if (c < 0x80)
			n = 0;
		else if (c >= 0xC2 && c < 0xE0)
			n = 1;
		else if (c >= 0xE0 && c < 0xF0)
			n = 2;
		else if (c >= 0xF0 && c < 0xF5)
			n = 3;
		if (n < 0 || i + n >= len)
			return false;
		for (k = 1; k <= n; k++)
		{
			if ((s[i + k] & 0xC0) != 0x80)
				return false;
		}
		if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) ||
			(c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] > 0x8F))
			return false;
		i += n + 1;
	}
	return true;
}

static bool
oracle_valid(const char *doc, size_t len)
{
	Oracle		o = {(const unsigned char *) doc, (const unsigned char *) doc + len};

	if (!oracle_utf8(o.p, len) || !oracle_value(&o, 1))
		return false;
	oracle_space(&o);
	return o.p == o.end;
}

/* ---- mutated documents ----------------------------------------------- */

static uint64 random_state;

static uint32
random_below(uint32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32) (random_state >> 32) % n;
}

static void
test_fuzz(int rounds)
{
	static const char *const seeds[] = {
		"{\"ts\":\"2024-05-01T12:34:56.789Z\",\"user_id\":123456,\"page\":\"/products/42\",\"amount\":19.99,\"ok\":true,\"city\":\"Berlin\"}",
		"{\"user_id\":1e3,\"geo\":{\"city\":\"R\\u00f6m\",\"x\":[1,2,{\"y\":null}]},\"tags\":[\"a\",\"b\\\"\",null,[1.0]]}",
		"{\"geo\":{\"geo\":{}},\"amount\":-0.0e-5,\"doc\":{\"a\":[[[]]],\"b\":\"\\ud83d\\ude00\"},\"user_id\":9223372036854775807}",
		" [ true , false , null , \"\xc3\xa4\xe2\x82\xac\" , 0 , { } ] ",
		"{\"a\":\"\\n\\t\\\\\\/\\b\",\"user_id\":\"42\",\"user_id\":43,\"page\":[],\"ok\":\"t\",\"ts\":1714566896.5}",
	};
	static const char alphabet[] = "{}[]:,\"\\ \n\t0123456789.eE+-truefalsn/\x01\x0c\x1a\x80\xc3\xff\xed\xa0u";
	Fixture		f;
	Fixture		whole;
	Fixture		csv;
	char		doc[1024];
	int			disagreements = 0;
	int			valid = 0;
	int			i;

	begin(&f, SX_FORMAT_JSON);
	column(&f, "ts", SX_AS_TIMESTAMPTZ, NULL)->epoch = SX_EPOCH_S;
	column(&f, "user_id", SX_AS_INT8, NULL);
	column(&f, "page", SX_AS_TEXT, NULL);
	column(&f, "amount", SX_AS_FLOAT8, NULL);
	column(&f, "ok", SX_AS_BOOL, NULL);
	column(&f, "city", SX_AS_TEXT, "geo.city");
	column(&f, "tags", SX_AS_ARRAY, NULL)->elemtype = TEXTOID;
	column(&f, "geo", SX_AS_JSON, NULL);
	start(&f, 1);
	begin(&whole, SX_FORMAT_JSON);
	column(&whole, "doc", SX_AS_INPUT, "");
	start(&whole, 1);
	begin(&csv, SX_FORMAT_CSV);
	column(&csv, "a", SX_AS_TEXT, NULL);
	column(&csv, "b", SX_AS_FLOAT4, NULL);
	start(&csv, 1);

	random_state = UINT64CONST(20240501);
	for (i = 0; i < rounds; i++)
	{
		const char *seed = seeds[random_below(lengthof(seeds))];
		size_t		len = strlen(seed);
		int			n = random_below(4);
		bool		accepted;
		int			k;

		memcpy(doc, seed, len);
		for (k = 0; k < n && len > 1; k++)
		{
			size_t		at = random_below(len);
			size_t		more;

			switch (random_below(6))
			{
				case 0:			/* another byte */
					doc[at] = (char) random_below(256);
					break;
				case 1:			/* another one of those that matter */
					doc[at] = alphabet[random_below(sizeof(alphabet) - 1)];
					break;
				case 2:			/* one less */
					memmove(doc + at, doc + at + 1, --len - at);
					break;
				case 3:			/* one more */
					memmove(doc + at + 1, doc + at, len++ - at);
					doc[at] = alphabet[random_below(sizeof(alphabet) - 1)];
					break;
				case 4:			/* cut off */
					if (random_below(4) == 0)
						len = at + 1;
					break;
				case 5:			/* a part once more */
					more = random_below(Min(len - at, 40)) + 1;
					if (at + more <= len && len + more < sizeof(doc))
					{
						memmove(doc + at + more, doc + at, len - at);
						len += more;
					}
					break;
			}
		}
		decode_one(&whole, doc, len);
		accepted = whole.batch->nrows == 1;
		/* \u0000 is valid JSON that the text of a string cannot hold */
		if (!accepted && strcmp(whole.batch->rejects[0].sqlstate, "22P05") == 0)
			accepted = true;
		if (accepted != oracle_valid(doc, len))
		{
			disagreements++;
			printf("# %s wrongly: %.*s\n", accepted ? "accepted" : "rejected",
				   (int) len, doc);
		}
		valid += accepted;
		decode_one(&f, doc, len);
		if (!accepted && f.batch->nrows == 1)
		{
			disagreements++;
			printf("# a row of what is not valid: %.*s\n", (int) len, doc);
		}
		decode_one(&csv, doc, len);
	}
	ok(disagreements == 0, "%d mutated documents, %d of them valid", rounds, valid);
	ok(valid > rounds / 10 && valid < rounds - rounds / 10,
	   "both kinds are there");
	finish(&f);
	finish(&whole);
	finish(&csv);
}

/* Numbers of many shapes against strtod. */
static void
test_random_numbers(int rounds)
{
	Fixture		f;
	int			wrong = 0;
	int			i;

	begin(&f, SX_FORMAT_JSON);
	column(&f, "d", SX_AS_FLOAT8, "v");
	column(&f, "f", SX_AS_FLOAT4, "v");
	start(&f, 1);
	random_state = UINT64CONST(42);
	for (i = 0; i < rounds; i++)
	{
		char		doc[128];
		char		number[100];
		int			len = 0;
		int			digits = 1 + random_below(22);
		int			k;
		double		d;
		float		r;

		if (random_below(2))
			number[len++] = '-';
		number[len++] = '1' + random_below(9);
		for (k = 1; k < digits; k++)
			number[len++] = '0' + random_below(10);
		if (random_below(2))
		{
			number[len++] = '.';
			for (k = 1 + random_below(20); k > 0; k--)
				number[len++] = '0' + random_below(10);
		}
		if (random_below(2))
			len += sprintf(number + len, "e%d", (int) random_below(60) - 45);
		number[len] = '\0';
		sprintf(doc, "{\"v\":%s}", number);
		decode_one(&f, doc, strlen(doc));
		d = strtod(number, NULL);
		r = strtof(number, NULL);
		if (isinf(r) || r == 0)
		{
			if (f.batch->nrejects != 1)
				wrong++;
			continue;
		}
		if (f.batch->nrows != 1 ||
			DatumGetFloat8(f.batch->values[0][0]) != d ||
			DatumGetFloat4(f.batch->values[1][0]) != r)
		{
			wrong++;
			printf("# %s\n", number);
		}
	}
	ok(wrong == 0, "%d numbers are rounded as strtod and strtof round", rounds);
	finish(&f);
}

static void
bench(void)
{
	static const char *const pages[] = {"/products/42", "/", "/cart/checkout", "/search"};
	enum
	{
		NMSGS = 10000
	};
	static SxMessage msgs[NMSGS];
	static char text[NMSGS][160];
	Fixture		f;
	size_t		bytes = 0;
	double		best = 1e9;
	int			round;
	int			i;

	begin(&f, SX_FORMAT_JSON);
	column(&f, "ts", SX_AS_TIMESTAMPTZ, NULL);
	column(&f, "user_id", SX_AS_INT8, NULL);
	column(&f, "page", SX_AS_TEXT, NULL);
	column(&f, "amount", SX_AS_FLOAT8, NULL);
	column(&f, "ok", SX_AS_BOOL, NULL);
	column(&f, "city", SX_AS_TEXT, NULL);
	start(&f, NMSGS);
	for (i = 0; i < NMSGS; i++)
	{
		int			len = sprintf(text[i], "{\"ts\":\"2024-05-01T12:%02d:%02d.%03dZ\",\"user_id\":%d,\"page\":\"%s\",\"amount\":%d.%02d,\"ok\":%s,\"city\":\"Berlin\"}",
								  i / 1000 % 60, i / 10 % 60, i % 1000, 100000 + i * 7,
								  pages[i % 4], i % 200, i % 100, i % 3 ? "true" : "false");

		msgs[i] = message(text[i], len);
		msgs[i].position = i;
		bytes += len;
	}
	for (round = 0; round < 300; round++)
	{
		struct timespec from,
					to;
		double		ns;

		clock_gettime(CLOCK_MONOTONIC, &from);
		sx_batch_reset(f.batch);
		if (sx_decode_messages(f.decoder, f.batch, msgs, NMSGS) != NMSGS ||
			f.batch->nrows != NMSGS || f.batch->ndeferred != 0)
			abort();
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / NMSGS;
		best = Min(best, ns);
	}
	printf("%.0f ns per message of %.0f bytes and 6 fields (best of %d rounds)\n",
		   best, (double) bytes / NMSGS, round);
	finish(&f);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "bench") == 0)
	{
		bench();
		return 0;
	}
	test_values();
	test_times();
	test_arrays();
	test_documents();
	test_sizes();
	test_csv();
	test_text_and_raw();
	test_envelope();
	test_random_numbers(100000);
	test_fuzz(100000);
	return done_testing();
}
