/*-------------------------------------------------------------------------
 * value.c
 *		Texts and JSON numbers to Datums, for the types decoded natively.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/uuid.h"

#include "compat.h"
#include "decode/json_parser.h"
#include "decode/value.h"

#define MAX_DIGITS		19		/* that fit into 64 bits, whatever they are */
#define MAX_EXPONENT	100000000	/* larger ones are taken for this one */

/* days from 1970-01-01 to 2000-01-01, where PostgreSQL's count begins */
#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

static const uint64 int_powers[] = {
	UINT64CONST(1), UINT64CONST(10), UINT64CONST(100), UINT64CONST(1000),
	UINT64CONST(10000), UINT64CONST(100000), UINT64CONST(1000000),
	UINT64CONST(10000000), UINT64CONST(100000000), UINT64CONST(1000000000),
	UINT64CONST(10000000000), UINT64CONST(100000000000),
	UINT64CONST(1000000000000), UINT64CONST(10000000000000),
	UINT64CONST(100000000000000), UINT64CONST(1000000000000000),
	UINT64CONST(10000000000000000), UINT64CONST(100000000000000000),
	UINT64CONST(1000000000000000000), UINT64CONST(10000000000000000000)
};

/* powers of ten that a double holds exactly */
static const double double_powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

static inline unsigned
digit(char c)
{
	return (unsigned) (unsigned char) c - '0';
}

/*
 * More than 19 digits: take the significant ones again, without the zeros at
 * both ends.
 */
static void
rescan_long(SxNumber *number, const char *from, const char *to, int32 exponent)
{
	const char *point = memchr(from, '.', to - from);
	const char *p;
	int			ndigits = 0;
	uint64		mantissa = 0;
	bool		exact = true;
	int64		left_out = 0;
	int64		e = exponent;

	if (point != NULL)
		e -= to - point - 1;
	for (p = from; p < to; p++)
	{
		if (p == point)
			continue;
		if (ndigits == 0 && *p == '0')
			continue;
		if (ndigits < MAX_DIGITS)
		{
			mantissa = mantissa * 10 + digit(*p);
			ndigits++;
		}
		else
		{
			left_out++;
			if (*p != '0')
				exact = false;
		}
	}
	e += left_out;
	number->mantissa = mantissa;
	number->exact = exact;
	number->exponent = (int32) Max(Min(e, 2 * (int64) MAX_EXPONENT),
								   -2 * (int64) MAX_EXPONENT);
}

const char *
sx_number_scan(const char *text, const char *end, SxNumber *number)
{
	const char *p = text;
	const char *first;
	const char *last;
	uint64		mantissa = 0;
	int32		exponent = 0;
	int64		fraction = 0;
	bool		point = false;

	number->text = text;
	number->negative = p < end && *p == '-';
	if (number->negative)
		p++;
	first = p;
	while (p < end && digit(*p) < 10)
		mantissa = mantissa * 10 + digit(*p++);
	if (p == first || (*first == '0' && p - first > 1))
		return NULL;
	if (p < end && *p == '.')
	{
		const char *decimals = ++p;

		point = true;
		while (p < end && digit(*p) < 10)
			mantissa = mantissa * 10 + digit(*p++);
		fraction = p - decimals;
		if (fraction == 0)
			return NULL;
	}
	last = p;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		bool		minus = false;
		const char *start;

		p++;
		if (p < end && (*p == '+' || *p == '-'))
			minus = *p++ == '-';
		start = p;
		while (p < end && digit(*p) < 10)
		{
			if (exponent < MAX_EXPONENT)
				exponent = exponent * 10 + (int32) digit(*p);
			p++;
		}
		if (p == start)
			return NULL;
		exponent = Min(exponent, MAX_EXPONENT);
		if (minus)
			exponent = -exponent;
	}
	number->len = p - text;
	if (last - first - (point ? 1 : 0) <= MAX_DIGITS)
	{
		number->mantissa = mantissa;
		number->exact = true;
		number->exponent = exponent - (int32) fraction;
	}
	else
		rescan_long(number, first, last, exponent);
	return p;
}

SxValueResult
sx_number_to_int(const SxNumber *number, int64 min, int64 max, int64 *result)
{
	uint64		m = number->mantissa;
	int32		e = number->exponent;

	if (!number->exact)
	{
		/* 19 digits and more that are not zero: too large, or a fraction */
		return e > 0 ? SX_VALUE_OUT_OF_RANGE : SX_VALUE_NOT_WHOLE;
	}
	if (m == 0)
		e = 0;
	while (e < 0)
	{
		if (m % 10 != 0)
			return SX_VALUE_NOT_WHOLE;
		m /= 10;
		e++;
	}
	if (e > 0)
	{
		if (e > MAX_DIGITS || m > PG_UINT64_MAX / int_powers[e])
			return SX_VALUE_OUT_OF_RANGE;
		m *= int_powers[e];
	}
	if (number->negative)
	{
		if (m > (uint64) PG_INT64_MAX + 1)
			return SX_VALUE_OUT_OF_RANGE;
		*result = (int64) (0 - m);
		if (*result < min)
			return SX_VALUE_OUT_OF_RANGE;
	}
	else
	{
		if (m > (uint64) max)
			return SX_VALUE_OUT_OF_RANGE;
		*result = (int64) m;
	}
	return SX_VALUE_OK;
}

SxValueResult
sx_number_to_float8(const SxNumber *number, float8 *result)
{
	/* One rounding only where both operands are exact. */
#if FLT_EVAL_METHOD == 0
	if (number->exact && number->mantissa <= (UINT64CONST(1) << 53) &&
		(number->mantissa == 0 ||
		 (number->exponent >= -22 && number->exponent <= 22)))
	{
		double		value = (double) number->mantissa;

		if (number->mantissa == 0)
			 /* keeps its sign */ ;
		else if (number->exponent < 0)
			value /= double_powers[-number->exponent];
		else
			value *= double_powers[number->exponent];
		*result = number->negative ? -value : value;
		return SX_VALUE_OK;
	}
#endif
	return sx_decimal_to_double(number->text, number->len, result) ?
		SX_VALUE_OK : SX_VALUE_OUT_OF_RANGE;
}

SxValueResult
sx_number_to_float4(const SxNumber *number, float4 *result)
{
	return sx_decimal_to_float(number->text, number->len, result) ?
		SX_VALUE_OK : SX_VALUE_OUT_OF_RANGE;
}

SxValueResult
sx_number_to_timestamp(const SxNumber *number, SxEpoch epoch, int64 *result)
{
	uint64		m = number->mantissa;
	int32		e = number->exponent;
	int64		us;

	if (epoch == SX_EPOCH_S)
		e += 6;
	else if (epoch == SX_EPOCH_MS)
		e += 3;
	if (m == 0)
		e = 0;
	if (e < 0)
	{
		/* below a microsecond: to the nearest */
		if (-e > MAX_DIGITS)
			m = 0;
		else
		{
			uint64		unit = int_powers[-e];
			uint64		rest = m % unit;

			m = m / unit + (rest >= unit - rest ? 1 : 0);
		}
	}
	else if (e > 0)
	{
		if (e > MAX_DIGITS || m > PG_UINT64_MAX / int_powers[e])
			return SX_VALUE_OUT_OF_RANGE;
		m *= int_powers[e];
	}
	if (number->negative)
	{
		if (m > (uint64) (PG_INT64_MAX - EPOCH_DAYS * USECS_PER_DAY))
			return SX_VALUE_OUT_OF_RANGE;
		us = -(int64) m - EPOCH_DAYS * USECS_PER_DAY;
	}
	else
	{
		/* from 1970 the last ones are beyond what int64 holds */
		if (m > (uint64) PG_INT64_MAX + EPOCH_DAYS * USECS_PER_DAY)
			return SX_VALUE_OUT_OF_RANGE;
		us = (int64) (m - EPOCH_DAYS * USECS_PER_DAY);
	}
	if (!IS_VALID_TIMESTAMP(us))
		return SX_VALUE_OUT_OF_RANGE;
	*result = us;
	return SX_VALUE_OK;
}

int64
sx_value_round_timestamp(int64 us, int32 typmod)
{
	int64		scale;
	int64		offset;

	if (typmod < 0 || typmod >= MAX_TIMESTAMP_PRECISION)
		return us;
	scale = (int64) int_powers[MAX_TIMESTAMP_PRECISION - typmod];
	offset = scale / 2;
	if (us >= 0)
		return (us + offset) / scale * scale;
	return -((-us + offset) / scale * scale);
}

int32
sx_value_date(int64 timestamp_us)
{
	int64		day = timestamp_us / USECS_PER_DAY;

	if (timestamp_us % USECS_PER_DAY < 0)
		day--;
	return (int32) day;
}

SxValueResult
sx_value_from_number(SxDecodeAs as, int32 typmod, SxEpoch epoch,
					 const SxNumber *number, Datum *value)
{
	SxValueResult result;
	int64		i;
	float8		f8;
	float4		f4;

	switch (as)
	{
		case SX_AS_INT2:
			result = sx_number_to_int(number, PG_INT16_MIN, PG_INT16_MAX, &i);
			if (result == SX_VALUE_OK)
				*value = Int16GetDatum((int16) i);
			return result;
		case SX_AS_INT4:
			result = sx_number_to_int(number, PG_INT32_MIN, PG_INT32_MAX, &i);
			if (result == SX_VALUE_OK)
				*value = Int32GetDatum((int32) i);
			return result;
		case SX_AS_INT8:
			result = sx_number_to_int(number, PG_INT64_MIN, PG_INT64_MAX, &i);
			if (result == SX_VALUE_OK)
				*value = Int64GetDatum(i);
			return result;
		case SX_AS_FLOAT8:
			result = sx_number_to_float8(number, &f8);
			if (result == SX_VALUE_OK)
				*value = Float8GetDatum(f8);
			return result;
		case SX_AS_FLOAT4:
			result = sx_number_to_float4(number, &f4);
			if (result == SX_VALUE_OK)
				*value = Float4GetDatum(f4);
			return result;
		case SX_AS_TIMESTAMPTZ:
		case SX_AS_TIMESTAMP:
		case SX_AS_DATE:
			if (epoch == SX_EPOCH_NONE)
				return SX_VALUE_UNSURE;
			result = sx_number_to_timestamp(number, epoch, &i);
			if (result != SX_VALUE_OK)
				return result;
			if (as == SX_AS_DATE)
				*value = DateADTGetDatum(sx_value_date(i));
			else
				*value = Int64GetDatum(sx_value_round_timestamp(i, typmod));
			return result;
		default:
			return SX_VALUE_UNSURE;
	}
}

/* days since 2000-01-01 of a date of the Gregorian calendar, year 1 and up */
static int32
days_from_date(int year, int month, int day)
{
	int			era_year = month <= 2 ? year - 1 : year;
	int			shifted = month > 2 ? month - 3 : month + 9;

	return 365 * era_year + era_year / 4 - era_year / 100 + era_year / 400 +
		(153 * shifted + 2) / 5 + day - 1 - 306 - 719162 - EPOCH_DAYS;
}

static bool
two_digits(const char *p, int *result)
{
	unsigned	tens = digit(p[0]);
	unsigned	ones = digit(p[1]);

	*result = (int) (tens * 10 + ones);
	return tens < 10 && ones < 10;
}

typedef struct IsoTime
{
	int32		days;			/* since 2000-01-01 */
	int64		time_us;		/* since midnight */
	bool		has_time;
	bool		has_zone;
	int64		offset_us;		/* east of UTC */
} IsoTime;

/*
 * YYYY-MM-DD, or that with T or one blank, HH:MM[:SS[.fraction]] and
 * [Z|+HH[[:]MM]].  Nothing else: false.
 */
static bool
scan_iso(const char *p, size_t len, IsoTime *iso)
{
	static const uint8 month_days[] =
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *end = p + len;
	int			century,
				year,
				month,
				day,
				hour,
				minute,
				second = 0;
	int64		fraction = 0;
	bool		minus;

	iso->has_time = iso->has_zone = false;
	iso->time_us = iso->offset_us = 0;
	if (len < 10 || p[4] != '-' || p[7] != '-' ||
		!two_digits(p, &century) || !two_digits(p + 2, &year) ||
		!two_digits(p + 5, &month) || !two_digits(p + 8, &day))
		return false;
	year += century * 100;
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_days[month - 1] +
		(month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
		return false;
	iso->days = days_from_date(year, month, day);
	if (len == 10)
		return true;

	if (len < 16 || (p[10] != 'T' && p[10] != ' ') || p[13] != ':' ||
		!two_digits(p + 11, &hour) || !two_digits(p + 14, &minute) ||
		hour > 23 || minute > 59)
		return false;
	iso->has_time = true;
	p += 16;
	if (end - p >= 3 && *p == ':')
	{
		if (!two_digits(p + 1, &second) || second > 59)
			return false;
		p += 3;
		if (p < end && *p == '.')
		{
			const char *first = ++p;
			int			ndigits;

			while (p < end && p - first <= 15 && digit(*p) < 10)
				fraction = fraction * 10 + digit(*p++);
			ndigits = (int) (p - first);
			if (ndigits < 1 || ndigits > 15)
				return false;
			if (ndigits <= 6)
				fraction *= (int64) int_powers[6 - ndigits];
			else
			{
				/* the same steps in floating point as the input function */
				double		seconds = (double) fraction / double_powers[ndigits];

				fraction = (int64) rint(seconds * 1000000);
			}
		}
	}
	iso->time_us = ((hour * INT64CONST(60) + minute) * 60 + second) *
		USECS_PER_SEC + fraction;
	if (p == end)
		return true;

	iso->has_zone = true;
	if (*p == 'Z')
		return p + 1 == end;
	if (*p != '+' && *p != '-')
		return false;
	minus = *p++ == '-';
	if (end - p < 2 || !two_digits(p, &hour) || hour > MAX_TZDISP_HOUR)
		return false;
	p += 2;
	minute = 0;
	if (p < end)
	{
		if (*p == ':')
			p++;
		if (end - p != 2 || !two_digits(p, &minute) || minute > 59)
			return false;
	}
	iso->offset_us = (hour * INT64CONST(60) + minute) * USECS_PER_MINUTE;
	if (minus)
		iso->offset_us = -iso->offset_us;
	return true;
}

static bool
is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static SxValueResult
bool_from_text(const char *text, size_t len, Datum *value)
{
	if (is_word(text, len, "true") || is_word(text, len, "t") ||
		is_word(text, len, "1"))
		*value = BoolGetDatum(true);
	else if (is_word(text, len, "false") || is_word(text, len, "f") ||
			 is_word(text, len, "0"))
		*value = BoolGetDatum(false);
	else
		return SX_VALUE_UNSURE;
	return SX_VALUE_OK;
}

/* Decimal digits with a sign; false also for what is out of range. */
static bool
int_from_text(const char *text, size_t len, int64 min, int64 max, int64 *result)
{
	const char *p = text;
	const char *end = text + len;
	int64		value = 0;
	bool		minus = false;

	if (p < end && (*p == '-' || *p == '+'))
		minus = *p++ == '-';
	if (p == end || end - p > 18)
		return false;
	for (; p < end; p++)
	{
		if (digit(*p) > 9)
			return false;
		value = value * 10 + digit(*p);
	}
	if (minus)
		value = -value;
	*result = value;
	return value >= min && value <= max;
}

static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 8-4-4-4-12 */
static SxValueResult
uuid_from_text(const char *text, size_t len, SxArena *arena, Datum *value)
{
	pg_uuid_t	uuid;
	char	   *copy;
	const char *p = text;
	int			i;

	if (len != 36)
		return SX_VALUE_UNSURE;
	for (i = 0; i < UUID_LEN; i++)
	{
		int			high,
					low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
			return SX_VALUE_UNSURE;
		high = hex_digit(p[0]);
		low = hex_digit(p[1]);
		if (high < 0 || low < 0)
			return SX_VALUE_UNSURE;
		uuid.data[i] = (unsigned char) (high << 4 | low);
		p += 2;
	}
	copy = sx_arena_copy(arena, (const char *) &uuid, sizeof(uuid));
	if (copy == NULL)
		return SX_VALUE_NO_MEMORY;
	*value = PointerGetDatum(copy);
	return SX_VALUE_OK;
}

SxValueResult
sx_value_from_text(SxDecodeAs as, int32 typmod, SxEpoch epoch,
				   const char *text, size_t len, SxArena *arena, Datum *value)
{
	SxNumber	number;
	IsoTime		iso;
	int64		i;

	switch (as)
	{
		case SX_AS_TEXT:
			*value = sx_value_varlena(arena, text, len);
			return *value != 0 ? SX_VALUE_OK : SX_VALUE_NO_MEMORY;
		case SX_AS_BOOL:
			return bool_from_text(text, len, value);
		case SX_AS_INT2:
			if (!int_from_text(text, len, PG_INT16_MIN, PG_INT16_MAX, &i))
				return SX_VALUE_UNSURE;
			*value = Int16GetDatum((int16) i);
			return SX_VALUE_OK;
		case SX_AS_INT4:
			if (!int_from_text(text, len, PG_INT32_MIN, PG_INT32_MAX, &i))
				return SX_VALUE_UNSURE;
			*value = Int32GetDatum((int32) i);
			return SX_VALUE_OK;
		case SX_AS_INT8:
			if (!int_from_text(text, len, PG_INT64_MIN, PG_INT64_MAX, &i))
				return SX_VALUE_UNSURE;
			*value = Int64GetDatum(i);
			return SX_VALUE_OK;
		case SX_AS_FLOAT4:
		case SX_AS_FLOAT8:
			if (sx_number_scan(text, text + len, &number) != text + len ||
				sx_value_from_number(as, typmod, epoch, &number, value) != SX_VALUE_OK)
				return SX_VALUE_UNSURE;
			return SX_VALUE_OK;
		case SX_AS_TIMESTAMPTZ:
		case SX_AS_TIMESTAMP:
		case SX_AS_DATE:
			if (epoch != SX_EPOCH_NONE &&
				sx_number_scan(text, text + len, &number) == text + len)
				return sx_value_from_number(as, typmod, epoch, &number, value);
			if (!scan_iso(text, len, &iso))
				return SX_VALUE_UNSURE;
			if (as == SX_AS_DATE)
			{
				*value = DateADTGetDatum(iso.days);
				return SX_VALUE_OK;
			}
			i = iso.days * USECS_PER_DAY + iso.time_us;
			if (as == SX_AS_TIMESTAMPTZ)
			{
				/* without a zone it is for TimeZone to say */
				if (!iso.has_zone)
					return SX_VALUE_UNSURE;
				i -= iso.offset_us;
			}
			*value = Int64GetDatum(sx_value_round_timestamp(i, typmod));
			return SX_VALUE_OK;
		case SX_AS_UUID:
			return uuid_from_text(text, len, arena, value);
		default:
			return SX_VALUE_UNSURE;
	}
}

Datum
sx_value_varlena(SxArena *arena, const char *bytes, size_t len)
{
	char	   *result = sx_arena_alloc(arena, len + VARHDRSZ);

	if (result == NULL)
		return (Datum) 0;
	SET_VARSIZE(result, len + VARHDRSZ);
	if (len > 0)
		memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

int
sx_value_format_timestamp(int64 timestamp_us, char result[SX_TIMESTAMP_LEN])
{
	int32		days = sx_value_date(timestamp_us);
	int64		rest = timestamp_us - days * USECS_PER_DAY;
	int64		shifted;
	int64		era;
	int			day_of_era,
				year_of_era,
				day_of_year,
				month,
				day;
	int64		year;

	/* eras of 400 years from 0000-03-01 */
	shifted = (int64) days + EPOCH_DAYS + 719468;
	era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	day_of_era = (int) (shifted - era * 146097);
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				   day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 -
								year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	day = day_of_year - (153 * month + 2) / 5 + 1;
	month = month < 10 ? month + 3 : month - 9;
	year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
	return snprintf(result, SX_TIMESTAMP_LEN,
					"%04d-%02d-%02d %02d:%02d:%02d.%06d+00%s",
					(int) (year > 0 ? year : 1 - year), month, day,
					(int) (rest / USECS_PER_HOUR),
					(int) (rest / USECS_PER_MINUTE % 60),
					(int) (rest / USECS_PER_SEC % 60),
					(int) (rest % USECS_PER_SEC), year > 0 ? "" : " BC");
}
