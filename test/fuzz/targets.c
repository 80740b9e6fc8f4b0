/*-------------------------------------------------------------------------
 * targets.c
 *		Hostile bytes for the room decode/ and for lines from a socket.
 *
 * Beside what the sanitizers see: a message is a row or a reject, and the same
 * one whatever messages are in its batch; every text is valid and ends where it
 * says; a JSON document is taken exactly if it is one; numbers are those that
 * the C library reads; lines are the same however their bytes are cut.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "catalog/pg_type_d.h"
#include "utils/uuid.h"

#include "compat.h"
#include "decode/decode.h"
#include "decode/value.h"
#include "source/lines.h"

#include "targets.h"

#define MAX_COLS 24

#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

const FuzzTarget fuzz_targets[] = {
	{"json", fuzz_json},
	{"csv", fuzz_csv},
	{"text", fuzz_text},
	{"values", fuzz_values},
	{"lines", fuzz_lines},
	{NULL, NULL}
};

/* ---- what is required of texts ---- */

static bool
is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + len;

	while (p < end)
	{
		int			more;
		uint32		c = *p++;
		uint32		least;

		if (c < 0x80)
			continue;
		if (c >= 0xC2 && c < 0xE0)
			more = 1, c &= 0x1F, least = 0x80;
		else if (c >= 0xE0 && c < 0xF0)
			more = 2, c &= 0x0F, least = 0x800;
		else if (c >= 0xF0 && c < 0xF5)
			more = 3, c &= 0x07, least = 0x10000;
		else
			return false;
		for (; more > 0; more--)
		{
			if (p == end || (*p & 0xC0) != 0x80)
				return false;
			c = c << 6 | (*p++ & 0x3F);
		}
		if (c < least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
			return false;
	}
	return true;
}

static void
require_text(const SxSchema *schema, const char *text, size_t len)
{
	REQUIRE(memchr(text, '\0', len) == NULL);
	if (schema->utf8)
		REQUIRE(is_utf8(text, len));
}

/* ---- streams ---- */

typedef struct Stream
{
	SxSchema	schema;
	SxColumn	cols[MAX_COLS];
	const char *paths[MAX_COLS][4];
	SxDecoder  *decoder;
	SxBatch    *alone;
	SxBatch    *among;
	int			npayload;
} Stream;

static SxColumn *
add_column(Stream *s, SxDecodeAs as, const char *first, const char *second,
		   const char *third)
{
	int			i = s->schema.ncols++;
	SxColumn   *col = &s->cols[i];

	REQUIRE(i < MAX_COLS);
	col->name = first ? first : "whole";
	col->decode_as = as;
	col->typmod = -1;
	col->payload_index = s->npayload++;
	col->path = s->paths[i];
	s->paths[i][0] = first;
	s->paths[i][1] = second;
	s->paths[i][2] = third;
	while (col->npath < 3 && s->paths[i][col->npath])
		col->npath++;
	return col;
}

static void
add_metadata(Stream *s, SxDecodeAs as, SxMetadata what)
{
	SxColumn   *col = add_column(s, as, "metadata", NULL, NULL);

	col->metadata = what;
	col->payload_index = -1;
	s->npayload--;
}

/* A column of each type. */
static void
add_types(Stream *s)
{
	static const char *const names[] = {
		"input", "bool", "int2", "int4", "int8", "float4", "float8", "text",
		"bytea", "timestamptz", "timestamp", "date", "uuid", "json", "jsonb"
	};

	for (int as = SX_AS_INPUT; as <= SX_AS_JSONB; as++)
		(void) add_column(s, (SxDecodeAs) as, names[as], NULL, NULL);
}

static void
open_stream(Stream *s, SxFormat format, bool utf8)
{
	s->schema.cols = s->cols;
	s->schema.format = format;
	s->schema.utf8 = utf8;
	if (s->schema.delimiter == '\0')
		s->schema.delimiter = ',';
	if (s->schema.quote == '\0')
		s->schema.quote = '"';
	if (s->schema.escape == '\0')
		s->schema.escape = s->schema.quote;
	s->decoder = sx_decode_create(&s->schema);
	s->alone = sx_batch_create(&s->schema, 1);
	s->among = sx_batch_create(&s->schema, 4);
	REQUIRE(s->decoder && s->alone && s->among);
}

/* Value of a cell that is decoded: its bytes. */
static const char *
cell_bytes(const SxColumn *col, const Datum *value, size_t *len)
{
	switch (col->decode_as)
	{
		case SX_AS_BOOL:
			*len = 1;
			return (const char *) value;
		case SX_AS_INT2:
			*len = 2;
			return (const char *) value;
		case SX_AS_INT4:
		case SX_AS_FLOAT4:
		case SX_AS_DATE:
			*len = 4;
			return (const char *) value;
		case SX_AS_INT8:
		case SX_AS_FLOAT8:
		case SX_AS_TIMESTAMP:
		case SX_AS_TIMESTAMPTZ:
			*len = 8;
			return (const char *) value;
		case SX_AS_UUID:
			*len = UUID_LEN;
			return DatumGetPointer(*value);
		default:
			*len = VARSIZE_ANY_EXHDR(DatumGetPointer(*value));
			return VARDATA_ANY(DatumGetPointer(*value));
	}
}

static const SxDeferred *
find_deferred(const SxBatch *b, int row, int col)
{
	for (int i = 0; i < b->ndeferred; i++)
	{
		if (b->deferred[i].row == row && b->deferred[i].col == col)
			return &b->deferred[i];
	}
	return NULL;
}

static void
require_same_cell(const Stream *s, int col, const SxBatch *a, int arow,
				  const SxBatch *b, int brow)
{
	const SxColumn *column = &s->cols[col];
	const SxDeferred *adeferred = find_deferred(a, arow, col);
	const SxDeferred *bdeferred = find_deferred(b, brow, col);
	const char *abytes;
	const char *bbytes;
	size_t		alen;
	size_t		blen;

	REQUIRE((adeferred == NULL) == (bdeferred == NULL));
	if (adeferred)
	{
		require_text(&s->schema, adeferred->text, strlen(adeferred->text));
		REQUIRE(strcmp(adeferred->text, bdeferred->text) == 0);
		return;
	}
	REQUIRE(a->nulls[col][arow] == b->nulls[col][brow]);
	if (a->nulls[col][arow])
		return;
	abytes = cell_bytes(column, &a->values[col][arow], &alen);
	bbytes = cell_bytes(column, &b->values[col][brow], &blen);
	REQUIRE(alen == blen && memcmp(abytes, bbytes, alen) == 0);
	if (column->decode_as == SX_AS_TEXT || column->decode_as == SX_AS_JSON)
		require_text(&s->schema, abytes, alen);
}

/* A message by itself, and behind two others; true: it is a row. */
static bool
run_message(Stream *s, const char *payload, size_t len, const SxMessage *before)
{
	char	   *copy = malloc(Max(len, 1));
	SxMessage	msgs[3];

	if (len > 0)
		memcpy(copy, payload, len);
	memset(msgs, 0, sizeof(msgs));
	msgs[0] = *before;
	msgs[2].payload = copy;
	msgs[2].payload_len = len;
	msgs[2].partition = 3;
	msgs[2].position = 41;
	msgs[2].timestamp_us = INT64CONST(1000000);
	msgs[2].arrival_us = INT64CONST(2000000);
	msgs[2].key = copy;
	msgs[2].key_len = Min(len, 5);
	msgs[1] = msgs[2];

	sx_batch_reset(s->alone);
	sx_batch_reset(s->among);
	REQUIRE(sx_decode_messages(s->decoder, s->alone, &msgs[2], 1) == 1);
	REQUIRE(s->alone->nrows + s->alone->nrejects == 1);
	REQUIRE(sx_decode_messages(s->decoder, s->among, msgs, 3) == 3);
	REQUIRE(s->among->nrows + s->among->nrejects == 3);
	free(copy);

	if (s->alone->nrejects == 1)
	{
		const SxReject *a = &s->alone->rejects[0];
		const SxReject *b = &s->among->rejects[s->among->nrejects - 1];

		REQUIRE(s->alone->ndeferred == 0);
		REQUIRE(a->payload_len == len && (len == 0 || memcmp(a->payload, payload, len) == 0));
		REQUIRE(strlen(a->sqlstate) == SX_SQLSTATE_LEN && strcmp(a->sqlstate, b->sqlstate) == 0);
		REQUIRE(a->error[0] != '\0' && strcmp(a->error, b->error) == 0);
		require_text(&s->schema, a->error, strlen(a->error));
		return false;
	}
	REQUIRE(s->alone->payload_len[0] == len &&
			(len == 0 || memcmp(s->alone->payload[0], payload, len) == 0));
	for (int i = 0; i < s->schema.ncols; i++)
		require_same_cell(s, i, s->alone, 0, s->among, s->among->nrows - 1);
	return true;
}

/* ---- JSON ---- */

/* Where a value of RFC 8259 ends that begins here; NULL: there is none. */
static const char *
skip_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
	{
		if ((unsigned char) *p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		if (++p == end || strchr("\"\\/bfnrtu", *p) == NULL || *p == '\0')
			return NULL;
		if (*p == 'u')
		{
			for (int i = 0; i < 4; i++)
			{
				if (++p == end || *p == '\0' || strchr("0123456789abcdefABCDEF", *p) == NULL)
					return NULL;
			}
		}
	}
	return p < end ? p + 1 : NULL;
}

static const char *
skip_digits(const char *p, const char *end)
{
	const char *first = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > first ? p : NULL;
}

static const char *
skip_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
	{
		if (++p < end && *p >= '0' && *p <= '9')
			return NULL;
	}
	else if ((p = skip_digits(p, end)) == NULL)
		return NULL;
	if (p < end && *p == '.' && (p = skip_digits(p + 1, end)) == NULL)
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(p, end);
	}
	return p;
}

static const char *
skip_value(const char *p, const char *end, int depth)
{
	char		close;

	p = skip_blank(p, end);
	if (p == end || depth > 4000)
		return NULL;
	if (*p == '"')
		return skip_string(p, end);
	if (end - p >= 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0))
		return p + 4;
	if (end - p >= 5 && memcmp(p, "false", 5) == 0)
		return p + 5;
	if (*p != '{' && *p != '[')
		return skip_number(p, end);
	close = *p == '{' ? '}' : ']';
	p = skip_blank(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	for (;;)
	{
		if (close == '}')
		{
			p = skip_blank(p, end);
			if (p == end || *p != '"' || (p = skip_string(p, end)) == NULL)
				return NULL;
			p = skip_blank(p, end);
			if (p == end || *p++ != ':')
				return NULL;
		}
		p = skip_value(p, end, depth + 1);
		if (p == NULL)
			return NULL;
		p = skip_blank(p, end);
		if (p == end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static bool
is_json(const char *document, size_t len)
{
	const char *end = document + len;
	const char *p = skip_value(document, end, 0);

	return p && skip_blank(p, end) == end && is_utf8(document, len);
}

/* Escapes of what is no character, which PostgreSQL does not take. */
static bool
has_odd_escape(const char *document, size_t len)
{
	for (size_t i = 0; i + 6 <= len; i++)
	{
		if (document[i] == '\\' && document[i + 1] == 'u' &&
			(memcmp(document + i + 2, "0000", 4) == 0 ||
			 document[i + 2] == 'd' || document[i + 2] == 'D'))
			return true;
	}
	return false;
}

static bool
is_deep(const char *document, size_t len)
{
	int			depth = 0;

	for (size_t i = 0; i < len; i++)
	{
		depth += document[i] == '{' || document[i] == '[';
		if (depth > 500)
			return true;
	}
	return false;
}

int
fuzz_json(const uint8_t *data, size_t size)
{
	static Stream *streams = NULL;
	static const char good[] = "{\"int4\": 1, \"text\": \"before\", \"a\": {\"b\": {\"c\": [1]}}}";
	SxMessage	before = {.payload = good,.payload_len = sizeof(good) - 1};
	const char *document;
	Stream	   *s;

	if (streams == NULL)
	{
		streams = calloc(4, sizeof(Stream));
		for (int i = 0; i < 2; i++)
		{
			s = &streams[i];
			add_types(s);
			(void) add_column(s, SX_AS_TEXT, "a", "b", "c");
			(void) add_column(s, SX_AS_INT4, "a", "b", NULL);
			add_column(s, SX_AS_ARRAY, "a", NULL, NULL)->elemtype = INT4OID;
			add_column(s, SX_AS_ARRAY, "texts", NULL, NULL)->elemtype = TEXTOID;
			add_column(s, SX_AS_TIMESTAMPTZ, "epoch", NULL, NULL)->epoch = SX_EPOCH_MS;
			(void) add_column(s, SX_AS_JSONB, NULL, NULL, NULL);
			add_metadata(s, SX_AS_INT8, SX_META_OFFSET);
			open_stream(s, SX_FORMAT_JSON, i == 0);
		}
		(void) add_column(&streams[2], SX_AS_JSON, NULL, NULL, NULL);
		open_stream(&streams[2], SX_FORMAT_JSON, true);
		(void) add_column(&streams[3], SX_AS_TEXT, "a", NULL, NULL);
		add_metadata(&streams[3], SX_AS_TEXT, SX_META_KEY);
		open_stream(&streams[3], SX_FORMAT_JSON, true);
	}
	if (size < 1)
		return 0;
	s = &streams[data[0] % 4];
	document = (const char *) data + 1;
	size--;
	if (run_message(s, document, size, &before))
		REQUIRE(s == &streams[1] || is_deep(document, size) || is_json(document, size));
	else if (s == &streams[2] && !is_deep(document, size) && !has_odd_escape(document, size))
		REQUIRE(!is_json(document, size));
	return 0;
}

/* ---- CSV, text, raw ---- */

int
fuzz_csv(const uint8_t *data, size_t size)
{
	static Stream *streams = NULL;
	static const char good[] = "a,b,c";
	SxMessage	before = {.payload = good,.payload_len = sizeof(good) - 1};
	Stream	   *s;

	if (streams == NULL)
	{
		streams = calloc(4, sizeof(Stream));
		for (int i = 0; i < 4; i++)
		{
			s = &streams[i];
			if (i == 0)
				add_types(s);
			else
			{
				(void) add_column(s, SX_AS_TEXT, "a", NULL, NULL);
				(void) add_column(s, SX_AS_INT4, "b", NULL, NULL);
				if (i > 1)
					(void) add_column(s, SX_AS_TEXT, "c", NULL, NULL);
			}
			if (i == 2)
			{
				s->schema.delimiter = '\t';
				s->schema.quote = '\'';
				s->schema.escape = '\\';
				s->schema.null_string = "\\N";
			}
			else
				s->schema.null_string = i == 3 ? "NULL" : "";
			open_stream(s, SX_FORMAT_CSV, i != 3);
		}
	}
	if (size < 1)
		return 0;
	(void) run_message(&streams[data[0] % 4], (const char *) data + 1, size - 1, &before);
	return 0;
}

int
fuzz_text(const uint8_t *data, size_t size)
{
	static Stream *streams = NULL;
	static const char good[] = "before";
	SxMessage	before = {.payload = good,.payload_len = sizeof(good) - 1};

	if (streams == NULL)
	{
		static const SxDecodeAs types[] = {
			SX_AS_TEXT, SX_AS_INT4, SX_AS_TIMESTAMPTZ, SX_AS_JSONB, SX_AS_INPUT
		};

		streams = calloc(12, sizeof(Stream));
		for (int i = 0; i < 10; i++)
		{
			(void) add_column(&streams[i], types[i % 5], "a", NULL, NULL);
			add_metadata(&streams[i], SX_AS_TEXT, SX_META_KEY);
			open_stream(&streams[i], SX_FORMAT_TEXT, i < 5);
		}
		for (int i = 10; i < 12; i++)
		{
			(void) add_column(&streams[i], i == 10 ? SX_AS_BYTEA : SX_AS_TEXT, "a", NULL, NULL);
			open_stream(&streams[i], SX_FORMAT_RAW, true);
		}
	}
	if (size < 1)
		return 0;
	(void) run_message(&streams[data[0] % 12], (const char *) data + 1, size - 1, &before);
	return 0;
}

/* ---- values ---- */

static void
check_number(const char *text, size_t len)
{
	SxNumber	number;
	const char *end = sx_number_scan(text, text + len, &number);
	const char *expected = skip_number(text, text + len);
	char	   *copy;
	float8		f8;
	float4		f4;
	int64		whole;
	int64		i;

	REQUIRE((end == NULL) == (expected == NULL));
	if (end == NULL)
		return;
	REQUIRE(end == expected && text + number.len == end);
	copy = strndup(text, number.len);
	if (sx_number_to_float8(&number, &f8) == SX_VALUE_OK)
	{
		double		d = strtod(copy, NULL);

		REQUIRE(memcmp(&d, &f8, sizeof(d)) == 0);
	}
	if (sx_number_to_float4(&number, &f4) == SX_VALUE_OK)
	{
		float		f = strtof(copy, NULL);

		REQUIRE(memcmp(&f, &f4, sizeof(f)) == 0);
	}
	if (strpbrk(copy, ".eE") == NULL)
	{
		bool		fits;

		errno = 0;
		i = strtoll(copy, NULL, 10);
		fits = errno == 0;
		REQUIRE((sx_number_to_int(&number, PG_INT64_MIN, PG_INT64_MAX, &whole) == SX_VALUE_OK) == fits);
		REQUIRE(!fits || whole == i);
	}
	else if (sx_number_to_int(&number, PG_INT32_MIN, PG_INT32_MAX, &i) == SX_VALUE_OK)
		REQUIRE((double) i == strtod(copy, NULL));
	for (int epoch = SX_EPOCH_S; epoch <= SX_EPOCH_US; epoch++)
		(void) sx_number_to_timestamp(&number, (SxEpoch) epoch, &i);
	free(copy);
}

static void
check_text(SxDecodeAs as, int32 typmod, const char *text, size_t len)
{
	static SxArena arena;
	char	   *copy = strndup(text, len);
	Datum		value;
	Datum		again;

	sx_arena_reset(&arena);
	if (sx_value_from_text(as, typmod, SX_EPOCH_NONE, text, len, &arena, &value) == SX_VALUE_OK)
	{
		switch (as)
		{
			case SX_AS_BOOL:
				REQUIRE(strcmp(copy, DatumGetBool(value) ? "true" : "false") == 0 ||
						strcmp(copy, DatumGetBool(value) ? "t" : "f") == 0 ||
						strcmp(copy, DatumGetBool(value) ? "1" : "0") == 0);
				break;
			case SX_AS_INT2:
				REQUIRE(strtoll(copy, NULL, 10) == DatumGetInt16(value));
				break;
			case SX_AS_INT4:
				REQUIRE(strtoll(copy, NULL, 10) == DatumGetInt32(value));
				break;
			case SX_AS_INT8:
				REQUIRE(strtoll(copy, NULL, 10) == DatumGetInt64(value));
				break;
			case SX_AS_FLOAT8:
				REQUIRE(strtod(copy, NULL) == DatumGetFloat8(value));
				break;
			case SX_AS_FLOAT4:
				REQUIRE(strtof(copy, NULL) == DatumGetFloat4(value));
				break;
			case SX_AS_TIMESTAMP:
			case SX_AS_TIMESTAMPTZ:
				{
					char		iso[SX_TIMESTAMP_LEN];
					int			n = sx_value_format_timestamp(DatumGetInt64(value), iso);

					REQUIRE(n == (int) strlen(iso));
					if (sx_value_from_text(SX_AS_TIMESTAMPTZ, -1, SX_EPOCH_NONE, iso, n, &arena, &again) == SX_VALUE_OK)
						REQUIRE(DatumGetInt64(again) == DatumGetInt64(value));
					break;
				}
			case SX_AS_UUID:
				REQUIRE(len >= 32);
				break;
			default:
				break;
		}
	}
	free(copy);
}

int
fuzz_values(const uint8_t *data, size_t size)
{
	char	   *text;

	if (size < 2)
		return 0;
	/* of just its size: what lies behind is not ours */
	text = malloc(Max(size - 2, 1));
	memcpy(text, data + 2, size - 2);
	size -= 2;
	if (data[0] % 16 == 15)
		check_number(text, size);
	else if (memchr(text, '\0', size) == NULL)
		check_text((SxDecodeAs) (data[0] % 15), data[1] % 8 == 7 ? -1 : data[1] % 8, text, size);
	free(text);
	return 0;
}

/* ---- lines ---- */

typedef struct Taken
{
	char	   *bytes;			/* each line, its end, and what is missing */
	size_t		len;
	size_t		max_line;
} Taken;

static bool
keep_line(void *arg, const char *line, size_t len, size_t missing)
{
	Taken	   *taken = arg;

	REQUIRE(len <= taken->max_line && (missing == 0 || len == taken->max_line));
	taken->bytes = realloc(taken->bytes, taken->len + len + sizeof(len) + sizeof(missing));
	if (len > 0)
		memcpy(taken->bytes + taken->len, line, len);
	taken->len += len;
	memcpy(taken->bytes + taken->len, &len, sizeof(len));
	taken->len += sizeof(len);
	memcpy(taken->bytes + taken->len, &missing, sizeof(missing));
	taken->len += sizeof(missing);
	return true;
}

static void
cut_plainly(Taken *taken, const char *bytes, size_t len)
{
	while (len > 0)
	{
		const char *newline = memchr(bytes, '\n', len);
		size_t		n = newline ? (size_t) (newline - bytes) : len;
		size_t		line = n;

		if (line > 0 && bytes[line - 1] == '\r' && line - 1 <= taken->max_line)
			line--;
		keep_line(taken, bytes, Min(line, taken->max_line),
				  line > taken->max_line ? line - taken->max_line : 0);
		bytes += newline ? n + 1 : n;
		len -= newline ? n + 1 : n;
	}
}

int
fuzz_lines(const uint8_t *data, size_t size)
{
	Taken		plain = {0};
	Taken		pieces = {0};
	SxLines		lines = {0};
	const char *bytes = (const char *) data + 2;
	uint32		step;

	if (size < 2)
		return 0;
	size -= 2;
	plain.max_line = pieces.max_line = lines.max_line = 1 + data[0] % 40;
	step = data[1];
	cut_plainly(&plain, bytes, size);
	for (size_t at = 0; at < size;)
	{
		size_t		n = Min(1 + step % 13, size - at);
		char	   *copy = malloc(n);

		memcpy(copy, bytes + at, n);
		REQUIRE(sx_lines_feed(&lines, copy, n, keep_line, &pieces));
		free(copy);
		at += n;
		step = step * 1103515245 + 12345;
	}
	REQUIRE(sx_lines_end(&lines, keep_line, &pieces));
	REQUIRE(lines.len == 0 && lines.dropped == 0);
	REQUIRE(plain.len == pieces.len &&
			(plain.len == 0 || memcmp(plain.bytes, pieces.bytes, plain.len) == 0));
	sx_lines_free(&lines);
	free(plain.bytes);
	free(pieces.bytes);
	return 0;
}

#ifdef FUZZ_TARGET
int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return FUZZ_TARGET(data, size);
}
#endif
