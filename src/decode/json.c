/*-------------------------------------------------------------------------
 * json.c
 *		Format "json": one document per message, fully checked.
 *
 * simdjson finds the tokens (json_parser.h); one pass over them checks the
 * grammar of the whole document, fields that nobody reads included, and notes
 * where the values of columns are.  Only then are those read, so that of
 * duplicate fields the last one counts, whatever the others hold.
 *
 * Paths are a tree: a node per field that is a column or leads to one.  A
 * scalar that a column will read is checked by reading it; any other is
 * checked in passing.
 *
 * Messages of a topic have their fields in the same order, mostly.  A node
 * remembers which field came at each place last time, wanted or not, so that
 * a field costs one comparison.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "catalog/pg_type_d.h"

#include "compat.h"
#include "decode/cell.h"
#include "decode/json_parser.h"

/* Deeper documents are rejected. */
#define MAX_DEPTH			1000

#define REMEMBERED_FIELDS	64
#define REMEMBERED_LEN		48	/* of names; a multiple of 8 */

/* Scratch larger than this is given back after the message. */
#define SCRATCH_KEEP		(1024 * 1024)

typedef struct PathNode PathNode;

/* The field that came at some place of an object last time. */
typedef struct RememberedField
{
	uint32		len;
	PathNode   *node;			/* NULL: no column wants it */
	char		name[REMEMBERED_LEN];	/* as written, between the quotes */
} RememberedField;

struct PathNode
{
	PathNode   *parent;
	PathNode   *sibling;
	PathNode   *children;
	const char *name;			/* the schema's */
	size_t		len;
	uint32		nchildren;
	uint32		ncols;			/* columns with just this path */
	uint32		table_mask;
	PathNode  **table;			/* children, hashed by name */
	RememberedField *fields;

	/* where the value is; it is there if seen_in is the parent's visit */
	uint64		visit;
	uint64		seen_in;
	uint32		token;
	uint32		end;			/* the token after it */
};

typedef enum Fault
{
	FAULT_NONE,
	FAULT_GRAMMAR,
	FAULT_DEPTH,
	FAULT_MEMORY,
} Fault;

typedef struct JsonState
{
	SxJsonIndex *index;
	PathNode	root;
	PathNode	never;			/* of paths too long for any document */
	PathNode  **col_nodes;		/* of each payload column, in their order */
	bool		needs_object;	/* some column has a path */
	uint64		visits;
	char	   *scratch;
	size_t		scratch_size;
	size_t		scratch_len;

	/* the document at hand */
	const char *text;
	size_t		len;
	const uint32 *at;
	uint32		ntokens;
	bool		escapes;		/* there is a backslash in it */
	Fault		fault;
	uint32		fault_token;
} JsonState;

/* ---- checking ------------------------------------------------------- */

static inline char
token_char(const JsonState *json, uint32 i)
{
	/* at[ntokens] is the zero byte behind the document */
	return json->text[json->at[i]];
}

/* Returns 0, which no walk returns otherwise. */
static uint32
fault(JsonState *json, Fault what, uint32 token)
{
	if (json->fault == FAULT_NONE)
	{
		json->fault = what;
		json->fault_token = token;
	}
	return 0;
}

/* What is between the quotes of the string that is token i. */
static inline const char *
string_at(const JsonState *json, uint32 i, size_t *len)
{
	const char *start = json->text + json->at[i] + 1;
	const char *end = json->text + json->at[i + 1] - 1;

	while (*end != '"')
		end--;
	*len = end - start;
	return start;
}

static int
hex4(const char *p)
{
	int			value = 0;
	int			i;

	for (i = 0; i < 4; i++)
	{
		char		c = p[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if (c >= 'a' && c <= 'f')
			value |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value |= c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/*
 * Resolves the escapes of a string.  out: at least len bytes, or NULL to
 * check only.  false: not an escape that JSON knows, or half a surrogate pair.
 */
static bool
unescape(const char *p, size_t len, char *out, size_t *out_len, bool *nul)
{
	const char *end = p + len;
	char	   *o = out;
	char		utf8[4];

	*nul = false;
	while (p < end)
	{
		const char *next = memchr(p, '\\', end - p);
		size_t		plain = (next != NULL ? next : end) - p;
		int			n = 1;
		int			code;

		if (out != NULL)
		{
			memcpy(o, p, plain);
			o += plain;
		}
		if (next == NULL)
			break;
		p = next + 1;
		if (p == end)
			return false;
		switch (*p++)
		{
			case '"':
			case '\\':
			case '/':
				utf8[0] = p[-1];
				break;
			case 'b':
				utf8[0] = '\b';
				break;
			case 'f':
				utf8[0] = '\f';
				break;
			case 'n':
				utf8[0] = '\n';
				break;
			case 'r':
				utf8[0] = '\r';
				break;
			case 't':
				utf8[0] = '\t';
				break;
			case 'u':
				if (end - p < 4 || (code = hex4(p)) < 0)
					return false;
				p += 4;
				if (code >= 0xDC00 && code <= 0xDFFF)
					return false;
				if (code >= 0xD800 && code <= 0xDBFF)
				{
					int			low;

					if (end - p < 6 || p[0] != '\\' || p[1] != 'u' ||
						(low = hex4(p + 2)) < 0xDC00 || low > 0xDFFF)
						return false;
					p += 6;
					code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
				}
				if (code == 0)
					*nul = true;
				if (code < 0x80)
					utf8[0] = (char) code;
				else if (code < 0x800)
				{
					utf8[0] = (char) (0xC0 | code >> 6);
					utf8[1] = (char) (0x80 | (code & 0x3F));
					n = 2;
				}
				else if (code < 0x10000)
				{
					utf8[0] = (char) (0xE0 | code >> 12);
					utf8[1] = (char) (0x80 | (code >> 6 & 0x3F));
					utf8[2] = (char) (0x80 | (code & 0x3F));
					n = 3;
				}
				else
				{
					utf8[0] = (char) (0xF0 | code >> 18);
					utf8[1] = (char) (0x80 | (code >> 12 & 0x3F));
					utf8[2] = (char) (0x80 | (code >> 6 & 0x3F));
					utf8[3] = (char) (0x80 | (code & 0x3F));
					n = 4;
				}
				break;
			default:
				return false;
		}
		if (out != NULL)
		{
			memcpy(o, utf8, n);
			o += n;
		}
	}
	if (out != NULL)
		*out_len = o - out;
	return true;
}

static bool
check_string(JsonState *json, uint32 i)
{
	size_t		len;
	const char *s;
	bool		nul;

	if (!json->escapes)
		return true;
	s = string_at(json, i, &len);
	if (memchr(s, '\\', len) == NULL || unescape(s, len, NULL, NULL, &nul))
		return true;
	fault(json, FAULT_GRAMMAR, i);
	return false;
}

/* Does token i, not a string, end at p? */
static inline bool
ends_at(const JsonState *json, uint32 i, const char *p)
{
	return p == json->text + json->at[i + 1] ||
		*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t';
}

static inline bool
number_at(JsonState *json, uint32 i, SxNumber *number)
{
	const char *end = sx_number_scan(json->text + json->at[i],
									 json->text + json->len, number);

	if (likely(end != NULL && ends_at(json, i, end)))
		return true;
	fault(json, FAULT_GRAMMAR, i);
	return false;
}

/* One of the words true, false, null; reads up to five bytes. */
static bool
literal_at(JsonState *json, uint32 i)
{
	const char *p = json->text + json->at[i];

	if (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0)
		p += 4;
	else if (memcmp(p, "false", 5) == 0)
		p += 5;
	else
		p = NULL;
	if (p != NULL && ends_at(json, i, p))
		return true;
	fault(json, FAULT_GRAMMAR, i);
	return false;
}

static bool
check_scalar(JsonState *json, uint32 i)
{
	SxNumber	number;
	char		c = token_char(json, i);

	if (c == '"')
		return check_string(json, i);
	if (c == '-' || (c >= '0' && c <= '9'))
		return number_at(json, i, &number);
	return literal_at(json, i);
}

/* Checks the value that begins at token i; the token after it, 0: faulty. */
static uint32
skip_value(JsonState *json, uint32 i, int depth)
{
	bool		in_object[MAX_DEPTH];
	int			top = 0;		/* open ones, those around not counted */
	char		c;

value:
	c = token_char(json, i);
	if (c == '{' || c == '[')
	{
		if (depth + top >= MAX_DEPTH)
			return fault(json, FAULT_DEPTH, i);
		in_object[top++] = c == '{';
		i++;
		if (token_char(json, i) == (c == '{' ? '}' : ']'))
		{
			i++;
			top--;
			goto after;
		}
		if (c == '{')
			goto key;
		goto value;
	}
	if (!check_scalar(json, i))
		return 0;
	i++;

after:
	if (top == 0)
		return i;
	c = token_char(json, i);
	if (c == ',')
	{
		i++;
		if (in_object[top - 1])
			goto key;
		goto value;
	}
	if (c != (in_object[top - 1] ? '}' : ']'))
		return fault(json, FAULT_GRAMMAR, i);
	i++;
	top--;
	goto after;

key:
	if (token_char(json, i) != '"')
		return fault(json, FAULT_GRAMMAR, i);
	if (!check_string(json, i))
		return 0;
	i++;
	if (token_char(json, i) != ':')
		return fault(json, FAULT_GRAMMAR, i);
	i++;
	goto value;
}

/* ---- finding the columns' fields ------------------------------------ */

/* memcmp() == 0, inlined; both may be read up to the next multiple of 8. */
static inline bool
same_bytes(const char *a, const char *b, uint32 len)
{
#ifdef WORDS_BIGENDIAN
	return memcmp(a, b, len) == 0;
#else
	uint64		x,
				y;

	for (; len >= 8; len -= 8, a += 8, b += 8)
	{
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		if (x != y)
			return false;
	}
	if (len == 0)
		return true;
	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return (x ^ y) << (64 - 8 * len) == 0;
#endif
}

static uint32
hash_name(const char *name, size_t len)
{
	uint32		hash = 2166136261U;
	size_t		i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) name[i]) * 16777619U;
	return hash ^ hash >> 15;
}

static PathNode *
find_child(const PathNode *node, const char *name, size_t len)
{
	uint32		slot = hash_name(name, len) & node->table_mask;

	while (node->table[slot] != NULL)
	{
		PathNode   *child = node->table[slot];

		if (child->len == len && memcmp(child->name, name, len) == 0)
			return child;
		slot = (slot + 1) & node->table_mask;
	}
	return NULL;
}

static bool
scratch_reserve(JsonState *json, size_t more)
{
	size_t		want = json->scratch_len + more;
	size_t		size = Max(json->scratch_size, 1024);
	char	   *bigger;

	if (want <= json->scratch_size)
		return true;
	while (size < want)
		size *= 2;
	bigger = realloc(json->scratch, size);
	if (bigger == NULL)
	{
		fault(json, FAULT_MEMORY, 0);
		return false;
	}
	json->scratch = bigger;
	json->scratch_size = size;
	return true;
}

/* The field that is not the one remembered for its place. */
static bool
look_up_field(JsonState *json, PathNode *node, uint32 i, int place,
			  const char *name, size_t len, PathNode **child)
{
	if (json->escapes && memchr(name, '\\', len) != NULL)
	{
		size_t		plain_len;
		bool		nul;

		json->scratch_len = 0;
		if (!scratch_reserve(json, len))
			return false;
		if (!unescape(name, len, json->scratch, &plain_len, &nul))
		{
			fault(json, FAULT_GRAMMAR, i);
			return false;
		}
		*child = find_child(node, json->scratch, plain_len);
	}
	else
		*child = find_child(node, name, len);
	if (place < REMEMBERED_FIELDS && len <= REMEMBERED_LEN)
	{
		RememberedField *field = &node->fields[place];

		field->len = (uint32) len;
		field->node = *child;
		memcpy(field->name, name, len);
	}
	return true;
}

static uint32 walk_object(JsonState *json, PathNode *node, uint32 i, int depth);

/* Takes note of the value of a node; the token after it, 0: faulty. */
static inline uint32
take_value(JsonState *json, PathNode *node, uint64 seen_in, uint32 i, int depth)
{
	char		c = token_char(json, i);

	/* A duplicate: what it replaces may not have been checked to the end. */
	if (unlikely(node->seen_in == seen_in) &&
		skip_value(json, node->token, depth) == 0)
		return 0;
	node->seen_in = seen_in;
	node->visit = ++json->visits;
	node->token = i;
	if (c == '{' && node->nchildren > 0)
		node->end = walk_object(json, node, i, depth);
	else if (c == '{' || c == '[')
		node->end = skip_value(json, i, depth);
	else
	{
		/* what a column reads is checked then, the document's end is no value */
		node->end = (node->ncols > 0 && c != '\0') || check_scalar(json, i) ?
			i + 1 : 0;
	}
	return node->end;
}

/* Checks an object in which columns have fields. */
static uint32
walk_object(JsonState *json, PathNode *node, uint32 i, int depth)
{
	int			place = 0;

	if (depth >= MAX_DEPTH)
		return fault(json, FAULT_DEPTH, i);
	i++;
	if (token_char(json, i) == '}')
		return i + 1;
	for (;; place++)
	{
		RememberedField *field;
		PathNode   *child;
		const char *name;
		size_t		len;
		char		c;

		if (token_char(json, i) != '"')
			return fault(json, FAULT_GRAMMAR, i);
		name = string_at(json, i, &len);
		field = &node->fields[Min(place, REMEMBERED_FIELDS - 1)];
		if (likely(field->len == len && same_bytes(field->name, name, len)))
			child = field->node;
		else if (!look_up_field(json, node, i, place, name, len, &child))
			return 0;
		i++;
		if (token_char(json, i) != ':')
			return fault(json, FAULT_GRAMMAR, i);
		i++;
		if (child != NULL)
			i = take_value(json, child, node->visit, i, depth + 1);
		else
			i = skip_value(json, i, depth + 1);
		if (i == 0)
			return 0;
		c = token_char(json, i);
		i++;
		if (c == '}')
			return i;
		if (c != ',')
			return fault(json, FAULT_GRAMMAR, i - 1);
	}
}

static bool
has_value(const PathNode *node)
{
	for (; node->parent != NULL; node = node->parent)
	{
		if (node->seen_in != node->parent->visit)
			return false;
	}
	return true;
}

/* ---- arrays --------------------------------------------------------- */

static void
scratch_add(JsonState *json, const char *bytes, size_t len)
{
	if (scratch_reserve(json, len))
	{
		memcpy(json->scratch + json->scratch_len, bytes, len);
		json->scratch_len += len;
	}
}

/* An element in the quotes of array literals. */
static void
scratch_add_quoted(JsonState *json, const char *bytes, size_t len)
{
	char	   *out;
	size_t		i;

	if (!scratch_reserve(json, 2 * len + 2))
		return;
	out = json->scratch + json->scratch_len;
	*out++ = '"';
	for (i = 0; i < len; i++)
	{
		if (bytes[i] == '"' || bytes[i] == '\\')
			*out++ = '\\';
		*out++ = bytes[i];
	}
	*out++ = '"';
	json->scratch_len = out - json->scratch;
}

/* The token after a container that has been checked. */
static uint32
container_end(const JsonState *json, uint32 i)
{
	int			depth = 0;

	for (;; i++)
	{
		switch (token_char(json, i))
		{
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (--depth == 0)
					return i + 1;
				break;
			default:
				break;
		}
	}
}

/* From the first byte of token i to the last one of the container's end. */
static const char *
container_at(const JsonState *json, uint32 i, uint32 end, size_t *len)
{
	*len = json->at[end - 1] + 1 - json->at[i];
	return json->text + json->at[i];
}

/* Is there an escaped NUL in a text that has been checked? */
static bool
has_nul_escape(const char *text, size_t len)
{
	const char *end = text + len;

	while ((text = memchr(text, '\\', end - text)) != NULL)
	{
		if (text[1] == 'u' && memcmp(text + 2, "0000", 4) == 0)
			return true;
		text += 2;
	}
	return false;
}

static bool
reject_nul_escape(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
				  int col)
{
	return sx_decode_reject(decoder, batch, msg, SX_REJECT_NUL_ESCAPE,
							"column \"%s\": \\u0000 cannot be converted to text",
							decoder->schema->cols[col].name);
}

/* A number within an array, as text for the element's input function. */
static bool
array_number(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col,
			 const SxNumber *number)
{
	JsonState  *json = decoder->state;
	const SxColumn *column = &decoder->schema->cols[col];
	SxValueResult result;
	char		text[SX_TIMESTAMP_LEN];
	int64		i;

	switch (column->elemtype)
	{
		case INT2OID:
			result = sx_number_to_int(number, PG_INT16_MIN, PG_INT16_MAX, &i);
			break;
		case INT4OID:
			result = sx_number_to_int(number, PG_INT32_MIN, PG_INT32_MAX, &i);
			break;
		case INT8OID:
			result = sx_number_to_int(number, PG_INT64_MIN, PG_INT64_MAX, &i);
			break;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
		case DATEOID:
			if (column->epoch == SX_EPOCH_NONE)
				return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
										"column \"%s\": number for a time, and no option \"epoch\"",
										column->name);
			result = sx_number_to_timestamp(number, column->epoch, &i);
			if (result != SX_VALUE_OK)
				return sx_cell_reject(decoder, batch, msg, col, result);
			scratch_add_quoted(json, text, sx_value_format_timestamp(i, text));
			return true;
		default:
			scratch_add(json, number->text, number->len);
			return true;
	}
	if (result != SX_VALUE_OK)
		return sx_cell_reject(decoder, batch, msg, col, result);
	scratch_add(json, text, snprintf(text, sizeof(text), INT64_FORMAT, i));
	return true;
}

/* A JSON array, checked, to PostgreSQL's array literal. */
static bool
array_cell(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col,
		   uint32 i, uint32 end)
{
	JsonState  *json = decoder->state;
	Oid			elemtype = decoder->schema->cols[col].elemtype;
	bool		json_elements = elemtype == JSONOID || elemtype == JSONBOID;
	char		delimiter = elemtype == BOXOID ? ';' : ',';
	int			depth = 0;

	json->scratch_len = 0;
	while (i < end)
	{
		SxNumber	number;
		const char *s;
		size_t		len;
		uint32		after = i + 1;
		char		c = token_char(json, i);

		switch (c)
		{
			case '[':
			case '{':
				if (c == '[' && !(json_elements && depth == 1))
				{
					scratch_add(json, "{", 1);
					depth++;
					break;
				}
				after = container_end(json, i);
				s = container_at(json, i, after, &len);
				if (json_elements && json->escapes && has_nul_escape(s, len))
					return reject_nul_escape(decoder, batch, msg, col);
				scratch_add_quoted(json, s, len);
				break;
			case ']':
				scratch_add(json, "}", 1);
				depth--;
				break;
			case ',':
				scratch_add(json, &delimiter, 1);
				break;
			case 'n':
				scratch_add(json, "NULL", 4);
				break;
			case 't':
				scratch_add(json, "true", 4);
				break;
			case 'f':
				scratch_add(json, "false", 5);
				break;
			case '"':
				s = string_at(json, i, &len);
				if (json_elements)
				{
					if (json->escapes && has_nul_escape(s, len))
						return reject_nul_escape(decoder, batch, msg, col);
					scratch_add_quoted(json, s - 1, len + 2);
				}
				else if (json->escapes && memchr(s, '\\', len) != NULL)
				{
					char	   *plain = sx_arena_alloc(&batch->arena, len);
					bool		nul;

					if (plain == NULL)
					{
						decoder->oom = true;
						return false;
					}
					unescape(s, len, plain, &len, &nul);
					if (nul)
						return reject_nul_escape(decoder, batch, msg, col);
					scratch_add_quoted(json, plain, len);
				}
				else
					scratch_add_quoted(json, s, len);
				break;
			default:
				if (!number_at(json, i, &number))
					return false;
				if (json_elements)
					scratch_add(json, number.text, number.len);
				else if (!array_number(decoder, batch, msg, col, &number))
					return false;
				break;
		}
		i = after;
	}
	if (json->fault == FAULT_MEMORY)
	{
		decoder->oom = true;
		return false;
	}
	return sx_cell_defer(decoder, batch, col, json->scratch, json->scratch_len);
}

/* ---- values --------------------------------------------------------- */

/* The JSON text of a value, for what takes it as it is. */
static bool
as_written(SxDecoder *decoder, SxBatch *batch, int col,
		   const char *text, size_t len)
{
	if (decoder->as[col] == SX_AS_TEXT || decoder->as[col] == SX_AS_JSON)
		return sx_cell_varlena(decoder, batch, col, text, len);
	return sx_cell_defer(decoder, batch, col, text, len);
}

static bool
string_cell(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col,
			uint32 i)
{
	JsonState  *json = decoder->state;
	SxDecodeAs	as = decoder->as[col];
	bool		written = as == SX_AS_JSON || as == SX_AS_JSONB;
	size_t		len;
	const char *s = string_at(json, i, &len);

	if (json->escapes && memchr(s, '\\', len) != NULL)
	{
		char	   *varlena = NULL;
		size_t		plain_len = 0;
		bool		nul;

		if (!written)
		{
			varlena = sx_arena_alloc(&batch->arena, len + VARHDRSZ);
			if (varlena == NULL)
			{
				decoder->oom = true;
				return false;
			}
		}
		if (!unescape(s, len, written ? NULL : VARDATA(varlena),
					  &plain_len, &nul))
		{
			fault(json, FAULT_GRAMMAR, i);
			return false;
		}
		if (nul)
			return reject_nul_escape(decoder, batch, msg, col);
		if (!written)
		{
			SET_VARSIZE(varlena, plain_len + VARHDRSZ);
			if (as == SX_AS_TEXT)
				return sx_cell_datum(batch, col, PointerGetDatum(varlena));
			return sx_cell_text(decoder, batch, msg, col,
								VARDATA(varlena), plain_len);
		}
	}
	if (written)
		return as_written(decoder, batch, col, s - 1, len + 2);
	return sx_cell_text(decoder, batch, msg, col, s, len);
}

static bool
number_cell(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col,
			uint32 i)
{
	JsonState  *json = decoder->state;
	const SxColumn *column = &decoder->schema->cols[col];
	SxDecodeAs	as = decoder->as[col];
	SxNumber	number;
	SxValueResult result;
	Datum		value;

	if (!number_at(json, i, &number))
		return false;
	result = sx_value_from_number(as, column->typmod, column->epoch,
								  &number, &value);
	if (result == SX_VALUE_OK)
		return sx_cell_datum(batch, col, value);
	if (result != SX_VALUE_UNSURE)
		return sx_cell_reject(decoder, batch, msg, col, result);
	if (as == SX_AS_TIMESTAMPTZ || as == SX_AS_TIMESTAMP || as == SX_AS_DATE)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
								"column \"%s\": number for a time, and no option \"epoch\"",
								column->name);
	return as_written(decoder, batch, col, number.text, number.len);
}

/* false: rejected, json->fault is set, or out of memory */
static bool
value_cell(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col,
		   const PathNode *node)
{
	JsonState  *json = decoder->state;
	SxDecodeAs	as = decoder->as[col];
	char		c = token_char(json, node->token);
	const char *s;
	size_t		len;

	switch (c)
	{
		case '"':
			return string_cell(decoder, batch, msg, col, node->token);
		case '{':
		case '[':
			if (as == SX_AS_ARRAY)
			{
				if (c == '[')
					return array_cell(decoder, batch, msg, col,
									  node->token, node->end);
				return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
										"column \"%s\": object for an array",
										decoder->schema->cols[col].name);
			}
			s = container_at(json, node->token, node->end, &len);
			if ((as == SX_AS_JSON || as == SX_AS_JSONB) && json->escapes &&
				has_nul_escape(s, len))
				return reject_nul_escape(decoder, batch, msg, col);
			return as_written(decoder, batch, col, s, len);
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			return number_cell(decoder, batch, msg, col, node->token);
		default:
			if (!literal_at(json, node->token))
				return false;
			if (c == 'n')
				return sx_cell_null(batch, col);
			if (as == SX_AS_BOOL)
				return sx_cell_datum(batch, col, BoolGetDatum(c == 't'));
			return as_written(decoder, batch, col,
							  json->text + json->at[node->token],
							  c == 't' ? 4 : 5);
	}
}

/* ---- one message ---------------------------------------------------- */

static bool
reject_fault(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg)
{
	JsonState  *json = decoder->state;
	size_t		where;

	if (json->fault == FAULT_MEMORY)
	{
		decoder->oom = true;
		return false;
	}
	if (json->fault == FAULT_DEPTH)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_TOO_DEEP,
								"JSON is nested deeper than %d levels",
								MAX_DEPTH);
	if (memchr(msg->payload, '\0', msg->payload_len) != NULL)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_ENCODING,
								"payload contains a NUL byte");
	where = json->at[json->fault_token];
	if (where >= json->len)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
								"invalid JSON: ends too early");
	return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
							"invalid JSON at byte %zu", where);
}

static bool
reject_status(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
			  SxJsonStatus status)
{
	const char *why;

	if (status == SX_JSON_NO_MEMORY)
	{
		decoder->oom = true;
		return false;
	}
	if (!sx_decode_check_text(decoder, batch, msg, "payload",
							  msg->payload, msg->payload_len))
		return false;
	switch (status)
	{
		case SX_JSON_BLANK:
			why = "nothing but white space";
			break;
		case SX_JSON_CONTROL:
			why = "control character in a string";
			break;
		case SX_JSON_UNCLOSED:
			why = "a string does not end";
			break;
		case SX_JSON_TOO_LARGE:
			why = "too large";
			break;
		default:
			why = "cannot be parsed";
			break;
	}
	return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
							"invalid JSON: %s", why);
}

static bool
json_decode(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg)
{
	JsonState  *json = decoder->state;
	SxJsonStatus status;
	uint32		end;
	int			i;

	json->text = msg->payload;
	json->len = msg->payload_len;
	json->fault = FAULT_NONE;
	status = sx_json_index(json->index, json->text, json->len,
						   &json->at, &json->ntokens);
	if (unlikely(status != SX_JSON_OK))
		return reject_status(decoder, batch, msg, status);
	json->escapes = memchr(json->text, '\\', json->len) != NULL;

	end = take_value(json, &json->root, ++json->visits, 0, 0);
	if (end != 0 && end != json->ntokens)
		end = fault(json, FAULT_GRAMMAR, end);
	if (unlikely(end == 0))
		return reject_fault(decoder, batch, msg);
	if (unlikely(json->needs_object && token_char(json, 0) != '{'))
	{
		/* a scalar of the top level may not have been looked at */
		if (skip_value(json, 0, 0) == 0)
			return reject_fault(decoder, batch, msg);
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
								"JSON is not an object, and not all columns have path ''");
	}

	for (i = 0; i < decoder->npayload; i++)
	{
		const PathNode *node = json->col_nodes[i];
		int			col = decoder->payload_cols[i];

		if (!has_value(node))
			sx_cell_null(batch, col);
		else if (unlikely(!value_cell(decoder, batch, msg, col, node)))
		{
			if (json->fault != FAULT_NONE)
				return reject_fault(decoder, batch, msg);
			return false;
		}
	}
	if (unlikely(json->scratch_size > SCRATCH_KEEP))
	{
		free(json->scratch);
		json->scratch = NULL;
		json->scratch_size = 0;
	}
	return true;
}

/* ---- the tree of paths ---------------------------------------------- */

static void
free_children(PathNode *node)
{
	while (node->children != NULL)
	{
		PathNode   *child = node->children;

		node->children = child->sibling;
		free_children(child);
		free(child);
	}
	free(node->table);
	free(node->fields);
}

static void
json_destroy(void *state)
{
	JsonState  *json = state;

	if (json->index != NULL)
		sx_json_index_free(json->index);
	free_children(&json->root);
	free(json->col_nodes);
	free(json->scratch);
	free(json);
}

static PathNode *
add_child(PathNode *node, const char *name)
{
	size_t		len = strlen(name);
	PathNode   *child;

	for (child = node->children; child != NULL; child = child->sibling)
	{
		if (child->len == len && memcmp(child->name, name, len) == 0)
			return child;
	}
	child = calloc(1, sizeof(PathNode));
	if (child == NULL)
		return NULL;
	child->parent = node;
	child->name = name;
	child->len = len;
	child->sibling = node->children;
	node->children = child;
	node->nchildren++;
	return child;
}

/* Hash tables of children, and what remembers fields. */
static bool
finish_node(PathNode *node)
{
	PathNode   *child;
	uint32		size = 4;
	int			i;

	if (node->nchildren == 0)
		return true;
	while (size < 2 * node->nchildren)
		size *= 2;
	node->table = calloc(size, sizeof(PathNode *));
	node->table_mask = size - 1;
	node->fields = calloc(REMEMBERED_FIELDS, sizeof(RememberedField));
	if (node->table == NULL || node->fields == NULL)
		return false;
	/* of a length that none has: nothing is remembered yet */
	for (i = 0; i < REMEMBERED_FIELDS; i++)
		node->fields[i].len = PG_UINT32_MAX;
	for (child = node->children; child != NULL; child = child->sibling)
	{
		uint32		slot = hash_name(child->name, child->len) & node->table_mask;

		while (node->table[slot] != NULL)
			slot = (slot + 1) & node->table_mask;
		node->table[slot] = child;
		if (!finish_node(child))
			return false;
	}
	return true;
}

static void *
json_create(const SxDecoder *decoder)
{
	JsonState  *json = calloc(1, sizeof(JsonState));
	int			i;

	if (json == NULL)
		return NULL;
	json->index = sx_json_index_create();
	json->col_nodes = calloc(Max(decoder->npayload, 1), sizeof(PathNode *));
	if (json->index == NULL || json->col_nodes == NULL)
		goto no_memory;
	for (i = 0; i < decoder->npayload; i++)
	{
		const SxColumn *col = &decoder->schema->cols[decoder->payload_cols[i]];
		PathNode   *node = &json->root;
		int			p;

		if (col->npath > 0)
			json->needs_object = true;
		if (col->npath >= MAX_DEPTH)
		{
			json->never.parent = node;
			json->col_nodes[i] = &json->never;
			continue;
		}
		for (p = 0; p < col->npath; p++)
		{
			node = add_child(node, col->path[p]);
			if (node == NULL)
				goto no_memory;
		}
		node->ncols++;
		json->col_nodes[i] = node;
	}
	if (!finish_node(&json->root))
		goto no_memory;
	return json;

no_memory:
	json_destroy(json);
	return NULL;
}

const SxDecoderOps sx_decoder_json = {
	.format = SX_FORMAT_JSON,
	.name = "json",
	.create = json_create,
	.decode = json_decode,
	.destroy = json_destroy,
};
