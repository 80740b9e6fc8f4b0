/*-------------------------------------------------------------------------
 * decode.h
 *		Bytes of messages to a column batch, or a reject.
 *
 * Thread-safe: no PostgreSQL function is called (no palloc, elog, fmgr).
 * One SxDecoder per thread.  Types without a native decoder, and values that
 * the native one is not sure about, are added to the batch as deferred cells;
 * the worker resolves those with the type's input function
 * (sx_fdw_resolve_deferred).
 *-------------------------------------------------------------------------
 */
#ifndef SX_DECODE_DECODE_H
#define SX_DECODE_DECODE_H

#include "base/batch.h"

#ifdef __cplusplus
extern "C"
{
#endif

typedef struct SxDecoder SxDecoder;

#define SX_PAYLOAD_PADDING 32

typedef struct SxDecoderOps
{
	SxFormat	format;
	const char *name;			/* value of the stream option "format" */
	/* malloc'd state, NULL: out of memory; no callback: needs none */
	void	   *(*create) (const SxDecoder *decoder);

	/*
	 * Decode one message into row batch->nrows.  Its payload is not empty and
	 * already lies in the batch's arena, with SX_PAYLOAD_PADDING zero bytes
	 * behind it.  true: all the payload columns of the row are set (the
	 * caller counts it).  false: rejected (sx_decode_reject was called) or
	 * out of memory (decoder->oom set).
	 */
	bool		(*decode) (SxDecoder *decoder, SxBatch *batch,
						   const SxMessage *msg);
	void		(*destroy) (void *state);
} SxDecoderOps;

struct SxDecoder
{
	const SxDecoderOps *ops;
	const SxSchema *schema;

	/*
	 * How each column is decoded here: as the schema says, but through the
	 * input function where the native parser does not know the typmod or the
	 * server's encoding.
	 */
	SxDecodeAs *as;
	int			npayload;
	int		   *payload_cols;	/* columns filled from the payload, in order */
	int			nmetadata;
	int		   *metadata_cols;
	void	   *state;
	bool		oom;
};

/* NULL: out of memory */
extern SxDecoder *sx_decode_create(const SxSchema *schema);
extern void sx_decode_destroy(SxDecoder *decoder);

/*
 * Append as many of the messages as fit (batch->maxrows), each either as a
 * row, with its metadata columns, envelope and raw bytes, or as a reject.
 * Sets the batch's positions.  Returns the number of messages consumed; -1:
 * out of memory.
 *
 * A tombstone (payload NULL) is a row with all payload columns NULL.  An
 * empty payload is a reject.
 */
extern int	sx_decode_messages(SxDecoder *decoder, SxBatch *batch,
							   const SxMessage *msgs, int nmsgs);

/* Format by name; false: none of that name. */
extern bool sx_decode_format_by_name(const char *name, SxFormat *format);

#ifdef __cplusplus
}
#endif

#endif							/* SX_DECODE_DECODE_H */
