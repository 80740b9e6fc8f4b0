/*-------------------------------------------------------------------------
 * decode.c
 *		Bytes of messages to a column batch: what all formats have in common.
 *
 * Envelope, metadata columns, positions, tombstones; the copy of the raw
 * bytes is made before a format's decoder runs, which then reads the copy.
 * A message leaves either one row, or one reject and nothing else: cells that
 * it had set or deferred by then are taken back.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "utils/date.h"

#include "decode/cell.h"
#include "decode/json_parser.h"

static const SxDecoderOps *const decoders[] = {
	&sx_decoder_json,
	&sx_decoder_csv,
	&sx_decoder_text,
	&sx_decoder_raw,
};

bool
sx_decode_format_by_name(const char *name, SxFormat *format)
{
	int			i;

	for (i = 0; i < (int) lengthof(decoders); i++)
	{
		if (strcmp(decoders[i]->name, name) == 0)
		{
			*format = decoders[i]->format;
			return true;
		}
	}
	return false;
}

/* The native way of a column, or SX_AS_INPUT where it would not be exact. */
static SxDecodeAs
effective_decode_as(const SxSchema *schema, const SxColumn *col)
{
	switch (col->decode_as)
	{
		case SX_AS_TIMESTAMPTZ:
		case SX_AS_TIMESTAMP:
		case SX_AS_JSONB:
		case SX_AS_ARRAY:
		case SX_AS_BYTEA:
			return col->decode_as;
		case SX_AS_JSON:
			/* its text through the input function, as jsonb */
			return schema->utf8 ? SX_AS_JSON : SX_AS_JSONB;
		case SX_AS_TEXT:
			return schema->utf8 && col->typmod < 0 ? SX_AS_TEXT : SX_AS_INPUT;
		default:
			return col->typmod < 0 ? col->decode_as : SX_AS_INPUT;
	}
}

SxDecoder *
sx_decode_create(const SxSchema *schema)
{
	SxDecoder  *decoder = calloc(1, sizeof(SxDecoder));
	int			ncols = Max(schema->ncols, 1);
	int			i;

	if (decoder == NULL)
		return NULL;
	for (i = 0; i < (int) lengthof(decoders); i++)
	{
		if (decoders[i]->format == schema->format)
			decoder->ops = decoders[i];
	}
	decoder->schema = schema;
	decoder->as = calloc(ncols, sizeof(SxDecodeAs));
	decoder->payload_cols = calloc(ncols, sizeof(int));
	decoder->metadata_cols = calloc(ncols, sizeof(int));
	if (decoder->as == NULL || decoder->payload_cols == NULL ||
		decoder->metadata_cols == NULL)
	{
		sx_decode_destroy(decoder);
		return NULL;
	}
	for (i = 0; i < schema->ncols; i++)
	{
		const SxColumn *col = &schema->cols[i];

		if (col->dropped)
			continue;
		decoder->as[i] = effective_decode_as(schema, col);
		if (col->metadata == SX_META_NONE)
			decoder->payload_cols[decoder->npayload++] = i;
		else
			decoder->metadata_cols[decoder->nmetadata++] = i;
	}
	if (decoder->ops->create != NULL)
	{
		decoder->state = decoder->ops->create(decoder);
		if (decoder->state == NULL)
		{
			sx_decode_destroy(decoder);
			return NULL;
		}
	}
	return decoder;
}

void
sx_decode_destroy(SxDecoder *decoder)
{
	if (decoder == NULL)
		return;
	if (decoder->state != NULL)
		decoder->ops->destroy(decoder->state);
	free(decoder->as);
	free(decoder->payload_cols);
	free(decoder->metadata_cols);
	free(decoder);
}

bool
sx_decode_reject(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
				 const char *sqlstate, const char *fmt,...)
{
	char		text[512];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!sx_batch_reject(batch, msg, sqlstate, "%s", text))
		decoder->oom = true;
	return false;
}

bool
sx_cell_reject(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
			   int col, SxValueResult result)
{
	const char *name = decoder->schema->cols[col].name;

	switch (result)
	{
		case SX_VALUE_NOT_WHOLE:
			return sx_decode_reject(decoder, batch, msg, SX_REJECT_SYNTAX,
									"column \"%s\": number is not whole", name);
		case SX_VALUE_OUT_OF_RANGE:
			if (decoder->schema->cols[col].epoch != SX_EPOCH_NONE)
				return sx_decode_reject(decoder, batch, msg,
										SX_REJECT_DATETIME_RANGE,
										"column \"%s\": timestamp out of range",
										name);
			return sx_decode_reject(decoder, batch, msg, SX_REJECT_RANGE,
									"column \"%s\": number out of range", name);
		default:
			decoder->oom = true;
			return false;
	}
}

bool
sx_cell_varlena(SxDecoder *decoder, SxBatch *batch, int col,
				const char *bytes, size_t len)
{
	Datum		value = sx_value_varlena(&batch->arena, bytes, len);

	if (value == 0)
	{
		decoder->oom = true;
		return false;
	}
	return sx_cell_datum(batch, col, value);
}

bool
sx_cell_defer(SxDecoder *decoder, SxBatch *batch, int col,
			  const char *text, size_t len)
{
	if (!sx_batch_defer(batch, batch->nrows, col, text, len))
	{
		decoder->oom = true;
		return false;
	}
	return true;
}

bool
sx_cell_text(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
			 int col, const char *text, size_t len)
{
	const SxColumn *column = &decoder->schema->cols[col];
	Datum		value;
	SxValueResult result;

	result = sx_value_from_text(decoder->as[col], column->typmod, column->epoch,
								text, len, &batch->arena, &value);
	if (result == SX_VALUE_OK)
		return sx_cell_datum(batch, col, value);
	if (result == SX_VALUE_UNSURE)
		return sx_cell_defer(decoder, batch, col, text, len);
	return sx_cell_reject(decoder, batch, msg, col, result);
}

bool
sx_decode_check_text(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
					 const char *what, const char *text, size_t len)
{
	if (memchr(text, '\0', len) != NULL)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_ENCODING,
								"%s contains a NUL byte", what);
	if (!sx_utf8_is_valid(text, len))
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_ENCODING,
								"%s is not valid UTF-8", what);
	return true;
}

static bool
metadata_int(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
			 int col, int64 value)
{
	char		text[32];
	int			len;

	switch (decoder->as[col])
	{
		case SX_AS_INT8:
			return sx_cell_datum(batch, col, Int64GetDatum(value));
		case SX_AS_INT4:
			if (value < PG_INT32_MIN || value > PG_INT32_MAX)
				return sx_cell_reject(decoder, batch, msg, col,
									  SX_VALUE_OUT_OF_RANGE);
			return sx_cell_datum(batch, col, Int32GetDatum((int32) value));
		case SX_AS_INT2:
			if (value < PG_INT16_MIN || value > PG_INT16_MAX)
				return sx_cell_reject(decoder, batch, msg, col,
									  SX_VALUE_OUT_OF_RANGE);
			return sx_cell_datum(batch, col, Int16GetDatum((int16) value));
		default:
			len = snprintf(text, sizeof(text), INT64_FORMAT, value);
			return sx_cell_text(decoder, batch, msg, col, text, len);
	}
}

/* A timestamp without time zone is the one in UTC. */
static bool
metadata_timestamp(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg,
				   int col, int64 timestamp_us)
{
	int32		typmod = decoder->schema->cols[col].typmod;
	char		text[SX_TIMESTAMP_LEN];
	int			len;

	switch (decoder->as[col])
	{
		case SX_AS_TIMESTAMPTZ:
		case SX_AS_TIMESTAMP:
			return sx_cell_datum(batch, col,
								 Int64GetDatum(sx_value_round_timestamp(timestamp_us, typmod)));
		case SX_AS_DATE:
			return sx_cell_datum(batch, col,
								 DateADTGetDatum(sx_value_date(timestamp_us)));
		default:
			len = sx_value_format_timestamp(timestamp_us, text);
			return sx_cell_text(decoder, batch, msg, col, text, len);
	}
}

static bool
metadata_cell(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg, int col)
{
	size_t		len;

	switch (decoder->schema->cols[col].metadata)
	{
		case SX_META_PARTITION:
			return metadata_int(decoder, batch, msg, col, msg->partition);
		case SX_META_OFFSET:
			return metadata_int(decoder, batch, msg, col, msg->position);
		case SX_META_TIMESTAMP:
			return metadata_timestamp(decoder, batch, msg, col, msg->timestamp_us);
		case SX_META_ARRIVAL_TIME:
			return metadata_timestamp(decoder, batch, msg, col, msg->arrival_us);
		case SX_META_KEY:
			if (msg->key == NULL)
				return sx_cell_null(batch, col);
			if (decoder->as[col] == SX_AS_BYTEA)
				return sx_cell_varlena(decoder, batch, col, msg->key, msg->key_len);
			if (!sx_decode_check_text(decoder, batch, msg, "key",
									  msg->key, msg->key_len))
				return false;
			return sx_cell_text(decoder, batch, msg, col, msg->key, msg->key_len);
		case SX_META_HEADERS:
			if (msg->headers == NULL)
				return sx_cell_null(batch, col);
			len = strlen(msg->headers);
			if (!sx_decode_check_text(decoder, batch, msg, "headers",
									  msg->headers, len))
				return false;
			if (decoder->as[col] == SX_AS_JSON)
				return sx_cell_varlena(decoder, batch, col, msg->headers, len);
			return sx_cell_text(decoder, batch, msg, col, msg->headers, len);
		case SX_META_NONE:
			break;
	}
	return sx_cell_null(batch, col);
}

/* One message to a row; false: rejected, or out of memory. */
static bool
decode_message(SxDecoder *decoder, SxBatch *batch, const SxMessage *source_msg)
{
	SxMessage	msg = *source_msg;
	int			row = batch->nrows;
	char	   *copy;
	int			i;

	if (msg.payload != NULL && msg.payload_len == 0)
		return sx_decode_reject(decoder, batch, &msg, SX_REJECT_SYNTAX,
								"payload is empty");
	if (msg.payload != NULL)
	{
		copy = sx_arena_alloc(&batch->arena,
							  msg.payload_len + SX_PAYLOAD_PADDING);
		if (copy == NULL)
		{
			decoder->oom = true;
			return false;
		}
		memcpy(copy, msg.payload, msg.payload_len);
		memset(copy + msg.payload_len, 0, SX_PAYLOAD_PADDING);
		msg.payload = copy;
		if (!decoder->ops->decode(decoder, batch, &msg))
			return false;
	}
	else
	{
		for (i = 0; i < decoder->npayload; i++)
			sx_cell_null(batch, decoder->payload_cols[i]);
	}
	if (msg.key != NULL)
	{
		copy = sx_arena_copy(&batch->arena, msg.key, msg.key_len);
		if (copy == NULL)
		{
			decoder->oom = true;
			return false;
		}
		msg.key = copy;
	}
	for (i = 0; i < decoder->nmetadata; i++)
	{
		if (!metadata_cell(decoder, batch, &msg, decoder->metadata_cols[i]))
			return false;
	}
	batch->partition[row] = msg.partition;
	batch->position[row] = msg.position;
	batch->timestamp_us[row] = msg.timestamp_us;
	batch->arrival_us[row] = msg.arrival_us;
	batch->payload[row] = msg.payload;
	batch->payload_len[row] = msg.payload != NULL ? msg.payload_len : 0;
	batch->key[row] = msg.key;
	batch->key_len[row] = msg.key != NULL ? msg.key_len : 0;
	return true;
}

int
sx_decode_messages(SxDecoder *decoder, SxBatch *batch, const SxMessage *msgs,
				   int nmsgs)
{
	int			i;

	decoder->oom = false;
	for (i = 0; i < nmsgs && batch->nrows < batch->maxrows; i++)
	{
		int			ndeferred = batch->ndeferred;

		if (decode_message(decoder, batch, &msgs[i]))
			batch->nrows++;
		else
		{
			batch->ndeferred = ndeferred;
			if (decoder->oom)
				return -1;
		}
		if (!sx_batch_set_position(batch, msgs[i].partition,
								   msgs[i].position + 1))
			return -1;
	}
	return i;
}
