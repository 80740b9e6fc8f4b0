/*-------------------------------------------------------------------------
 * raw.c
 *		Format "raw": the payload's bytes as they are in the one payload
 *		column; in one that is not bytea, they have to be text.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "decode/cell.h"

static bool
raw_decode(SxDecoder *decoder, SxBatch *batch, const SxMessage *msg)
{
	int			col;

	if (decoder->npayload != 1)
		return sx_decode_reject(decoder, batch, msg, SX_REJECT_RECORD,
								"format \"raw\" fills one column, the stream has %d",
								decoder->npayload);
	col = decoder->payload_cols[0];
	if (decoder->as[col] == SX_AS_BYTEA)
		return sx_cell_varlena(decoder, batch, col,
							   msg->payload, msg->payload_len);
	if (!sx_decode_check_text(decoder, batch, msg, "payload",
							  msg->payload, msg->payload_len))
		return false;
	return sx_cell_text(decoder, batch, msg, col, msg->payload, msg->payload_len);
}

const SxDecoderOps sx_decoder_raw = {
	.format = SX_FORMAT_RAW,
	.name = "raw",
	.decode = raw_decode,
};
