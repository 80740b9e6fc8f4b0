/*-------------------------------------------------------------------------
 * text.c
 *		Format "text": the payload is the text of the one payload column.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "decode/cell.h"

static bool
text_decode(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg)
{
	const char *null_string = decoder->schema->null_string;
	int			col;

	if (decoder->npayload != 1)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
								"format \"text\" fills one column, the stream has %d",
								decoder->npayload);
	if (!sx_decode_check_text(decoder, batch, msg, "payload",
							  msg->payload, msg->payload_len))
		return false;
	col = decoder->payload_cols[0];
	if (null_string != NULL && strlen(null_string) == msg->payload_len &&
		memcmp(null_string, msg->payload, msg->payload_len) == 0)
		return sx_cell_null(batch, col);
	return sx_cell_text(decoder, batch, msg, col, msg->payload, msg->payload_len);
}

const SxDecoderOps sx_decoder_text = {
	.format = SX_FORMAT_TEXT,
	.name = "text",
	.decode = text_decode,
};
