/*-------------------------------------------------------------------------
 * cell.h
 *		What the formats share: setting the cells of the row in the making,
 *		and turning a message down.
 *
 * The row is number batch->nrows.  Where a function returns false the message
 * is rejected, or memory has run out (decoder->oom).
 *-------------------------------------------------------------------------
 */
#ifndef SX_DECODE_CELL_H
#define SX_DECODE_CELL_H

#include "decode/decode.h"
#include "decode/value.h"

extern const SxDecoderOps sx_decoder_json;
extern const SxDecoderOps sx_decoder_csv;
extern const SxDecoderOps sx_decoder_text;
extern const SxDecoderOps sx_decoder_raw;

/* SQLSTATEs of rejects */
#define SX_REJECT_SYNTAX			"22P02" /* invalid_text_representation */
#define SX_REJECT_RANGE				"22003" /* numeric_value_out_of_range */
#define SX_REJECT_DATETIME_RANGE	"22008" /* datetime_field_overflow */
#define SX_REJECT_ENCODING			"22021" /* character_not_in_repertoire */
#define SX_REJECT_NUL_ESCAPE		"22P05" /* untranslatable_character */
#define SX_REJECT_RECORD			"22P04" /* bad_copy_file_format */
#define SX_REJECT_TOO_DEEP			"54001" /* statement_too_complex */

static inline bool
sx_cell_null(SxBatch *batch, int col)
{
	batch->values[col][batch->nrows] = (Datum) 0;
	batch->nulls[col][batch->nrows] = true;
	return true;
}

static inline bool
sx_cell_datum(SxBatch *batch, int col, Datum value)
{
	batch->values[col][batch->nrows] = value;
	batch->nulls[col][batch->nrows] = false;
	return true;
}

/* A text, json or bytea with these bytes. */
extern bool sx_cell_varlena(SxDecoder *decoder, SxBatch *batch, int col,
							const char *bytes, size_t len);

/* For the type's input function. */
extern bool sx_cell_defer(SxDecoder *decoder, SxBatch *batch, int col,
						  const char *text, size_t len);

/* Valid UTF-8 without NUL: natively, or for the type's input function. */
extern bool sx_cell_text(SxDecoder *decoder, SxBatch *batch,
						 const SxMessage *msg, int col,
						 const char *text, size_t len);

/* Is this text? If not then the message is rejected; what: "payload", "key". */
extern bool sx_decode_check_text(SxDecoder *decoder, SxBatch *batch,
								 const SxMessage *msg, const char *what,
								 const char *text, size_t len);

/* Rejects the value of a column for a result that is neither OK nor UNSURE. */
extern bool sx_cell_reject(SxDecoder *decoder, SxBatch *batch,
						   const SxMessage *msg, int col, SxValueResult result);

/* Always false.  fmt must not show the payload. */
extern bool sx_decode_reject(SxDecoder *decoder, SxBatch *batch,
							 const SxMessage *msg, const char *sqlstate,
							 const char *fmt,...) pg_attribute_printf(5, 6);

#endif							/* SX_DECODE_CELL_H */
