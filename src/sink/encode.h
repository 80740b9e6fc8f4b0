/*-------------------------------------------------------------------------
 * encode.h
 *		Rows to payloads: the mirror of decode/.  Main thread.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SINK_ENCODE_H
#define SX_SINK_ENCODE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/batch.h"

typedef struct SxEncoder SxEncoder;

/* What becomes of one row.  Lives until the next row. */
typedef struct SxEncoded
{
	const char *payload;		/* NULL: tombstone */
	size_t		payload_len;
	const char *key;			/* metadata column "key"; NULL: none */
	size_t		key_len;
	int32		partition;		/* metadata column "partition"; -1: any */
	int64		timestamp_us;	/* metadata column "timestamp"; PG_INT64_MIN:
								 * now */
} SxEncoded;

/* schema outlives the encoder, which lives in CurrentMemoryContext */
extern SxEncoder *sx_encode_create(const SxSchema *schema);

/*
 * values and nulls as of the foreign table's columns.  What decode/ makes of
 * the result are the same values again.  ERROR for a value that the format
 * cannot carry, and for columns that only a broker fills (offset, headers,
 * arrival_time) unless NULL.
 */
extern void sx_encode_row(SxEncoder *encoder, const Datum *values,
						  const bool *nulls, SxEncoded *result);

#endif							/* SX_SINK_ENCODE_H */
