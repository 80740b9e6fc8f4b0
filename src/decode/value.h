/*-------------------------------------------------------------------------
 * value.h
 *		Texts and JSON numbers to Datums, for the types decoded natively.
 *
 * Thread-safe: no PostgreSQL function.  A native reading gives exactly what
 * the type's input function gives, whatever DateStyle and TimeZone are; where
 * it is not sure of that it says SX_VALUE_UNSURE, and the text goes to the
 * input function.
 *-------------------------------------------------------------------------
 */
#ifndef SX_DECODE_VALUE_H
#define SX_DECODE_VALUE_H

#include "postgres.h"

#include "base/batch.h"

typedef enum SxValueResult
{
	SX_VALUE_OK,
	SX_VALUE_UNSURE,			/* for the type's input function */
	SX_VALUE_NOT_WHOLE,			/* a fraction for an integer */
	SX_VALUE_OUT_OF_RANGE,
	SX_VALUE_NO_MEMORY,
} SxValueResult;

/* A number in JSON's grammar, taken apart. */
typedef struct SxNumber
{
	const char *text;			/* as written */
	size_t		len;
	bool		negative;
	bool		exact;			/* no digit was left out of mantissa */
	uint64		mantissa;		/* the first 19 significant digits */
	int32		exponent;		/* the value is mantissa * 10^exponent */
} SxNumber;

#define SX_TIMESTAMP_LEN 64

/* Reads a number from text on; where it ends, or NULL if there is none. */
extern const char *sx_number_scan(const char *text, const char *end,
								  SxNumber *number);
extern SxValueResult sx_number_to_int(const SxNumber *number, int64 min,
									  int64 max, int64 *result);
extern SxValueResult sx_number_to_float8(const SxNumber *number, float8 *result);
extern SxValueResult sx_number_to_float4(const SxNumber *number, float4 *result);

/* Seconds (milli-, microseconds) since 1970 to microseconds since 2000. */
extern SxValueResult sx_number_to_timestamp(const SxNumber *number,
											SxEpoch epoch, int64 *result);

/* A number for a column: its type as decode_as tells, its epoch and typmod. */
extern SxValueResult sx_value_from_number(SxDecodeAs as, int32 typmod,
										  SxEpoch epoch, const SxNumber *number,
										  Datum *value);

/*
 * A text for a column.  The byte after it need not be readable.  What a Datum
 * points to is in the arena.
 */
extern SxValueResult sx_value_from_text(SxDecodeAs as, int32 typmod,
										SxEpoch epoch, const char *text,
										size_t len, SxArena *arena,
										Datum *value);

/* A varlena in the arena with these bytes; 0: out of memory. */
extern Datum sx_value_varlena(SxArena *arena, const char *bytes, size_t len);

/* To the digits of the column, as PostgreSQL rounds; -1: all. */
extern int64 sx_value_round_timestamp(int64 us, int32 typmod);

/* The day that a timestamp is in. */
extern int32 sx_value_date(int64 timestamp_us);

/* ISO 8601 in UTC with zone, as every timestamp type reads it. */
extern int	sx_value_format_timestamp(int64 timestamp_us,
									  char result[SX_TIMESTAMP_LEN]);

#endif							/* SX_DECODE_VALUE_H */
