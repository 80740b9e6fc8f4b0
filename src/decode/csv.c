/*-------------------------------------------------------------------------
 * csv.c
 *		Format "csv": one record per message, as RFC 4180 has it.
 *
 * Columns come in the order of the payload columns.  A quote is special at
 * the start of a field only; inside quotes the escape character makes a quote
 * or itself literal.  The end of line after the record may be there or not.
 * An unquoted field equal to null_string (default: the empty one) is NULL.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "decode/cell.h"

/*
 * Reads the field at *pos up to the delimiter or end after it, where *pos is
 * left.  A quoted one that holds escapes is copied into the arena.
 */
static bool
read_field(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
		   const char **pos, const char *end,
		   const char **field, size_t *len, bool *quoted)
{
	const SxSchema *schema = decoder->schema;
	const char *p = *pos;
	const char *start;
	size_t		escapes = 0;

	*quoted = p < end && *p == schema->quote;
	if (!*quoted)
	{
		start = p;
		for (; p < end && *p != schema->delimiter; p++)
		{
			if (*p == '\n' || *p == '\r')
				return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
										"line break outside quotes at byte %zu",
										(size_t) (p - msg->payload));
			if (*p == schema->quote)
				return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
										"quote inside an unquoted field at byte %zu",
										(size_t) (p - msg->payload));
		}
		*field = start;
		*len = p - start;
		*pos = p;
		return true;
	}

	start = ++p;
	for (;; p++)
	{
		if (p == end)
			return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
									"quoted field does not end");
		if (*p == schema->escape && p + 1 < end &&
			(p[1] == schema->quote || p[1] == schema->escape))
		{
			p++;
			escapes++;
		}
		else if (*p == schema->quote)
			break;
	}
	*field = start;
	*len = p - start;
	p++;
	if (p < end && *p != schema->delimiter)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
								"text after a quoted field at byte %zu",
								(size_t) (p - msg->payload));
	*pos = p;
	if (escapes > 0)
	{
		const char *from = *field;
		const char *to = from + *len;
		char	   *copy = sx_arena_alloc(&batch->arena, *len);
		char	   *out = copy;

		if (copy == NULL)
		{
			decoder->oom = true;
			return false;
		}
		while (from < to)
		{
			if (*from == schema->escape && from + 1 < to &&
				(from[1] == schema->quote || from[1] == schema->escape))
				from++;
			*out++ = *from++;
		}
		*field = copy;
		*len = out - copy;
	}
	return true;
}

static bool
csv_decode(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg)
{
	const char *null_string = decoder->schema->null_string;
	size_t		null_len;
	const char *p = msg->payload;
	const char *end = p + msg->payload_len;
	int			n = 0;

	if (null_string == NULL)
		null_string = "";
	null_len = strlen(null_string);
	if (!sx_decode_check_text(decoder, batch, msg, "payload",
							  msg->payload, msg->payload_len))
		return false;
	if (end[-1] == '\n')
		end--;
	if (end > p && end[-1] == '\r')
		end--;
	for (;;)
	{
		const char *field = NULL;
		size_t		len = 0;
		bool		quoted;
		int			col;

		if (n == decoder->npayload)
			return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
									"more fields than columns (%d)",
									decoder->npayload);
		if (!read_field(decoder, batch, msg, &p, end, &field, &len, &quoted))
			return false;
		col = decoder->payload_cols[n++];
		if (!quoted && len == null_len && memcmp(field, null_string, len) == 0)
			sx_cell_null(batch, col);
		else if (!sx_cell_text(decoder, batch, msg, col, field, len))
			return false;
		if (p == end)
			break;
		p++;					/* the delimiter */
	}
	if (n < decoder->npayload)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
								"%d fields for %d columns", n, decoder->npayload);
	return true;
}

const SxDecoderOps sx_decoder_csv = {
	.format = SX_FORMAT_CSV,
	.name = "csv",
	.decode = csv_decode,
};
