/*-------------------------------------------------------------------------
 * tumble.c
 *		tumble(ts, size [, origin]): start of the fixed window that holds ts.
 *
 * Sizes without months are arithmetic on microseconds from the origin,
 * Monday 2000-01-03 00:00:00 UTC unless given.  Sizes in months or years
 * count calendar months from the origin, 2000-01-01 unless given, in the
 * session's TimeZone for timestamptz.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "pgtime.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "window/tumble.h"

/* 2000-01-03 00:00:00 in microseconds since 2000-01-01 */
#define DEFAULT_ORIGIN	(2 * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(streamx_tumble_timestamptz);
PG_FUNCTION_INFO_V1(streamx_tumble_timestamp);
PG_FUNCTION_INFO_V1(streamx_tumble_date);

static int64
floor_div(int64 a, int64 b)
{
	int64		q = a / b;

	if ((a % b) < 0)
		q--;
	return q;
}

void
sx_window_size_check(const Interval *size)
{
	bool		months = size->month != 0;
	bool		rest = size->day != 0 || size->time != 0;

	if (months && rest)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a window's size cannot mix months with days or times"),
				 errhint("Use months and years only, or weeks, days and times only.")));
	if (size->month < 0 || size->day < 0 || size->time < 0 || (!months && !rest))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a window's size must be greater than zero")));
}

int64
sx_window_size_us(const Interval *size)
{
	int64		result;

	if (pg_mul_s64_overflow((int64) size->day, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, size->time, &result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a window's size is out of range")));
	return result;
}

static int64
tumble_us(int64 ts, int64 size, int64 origin)
{
	int64		delta;
	int64		result;

	if (pg_sub_s64_overflow(ts, origin, &delta) ||
		pg_mul_s64_overflow(floor_div(delta, size), size, &result) ||
		pg_add_s64_overflow(result, origin, &result) || !IS_VALID_TIMESTAMP(result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return result;
}

/*
 * Window of "months" calendar months; local is a timestamp without zone, the
 * origin too.
 */
static Timestamp
tumble_months(Timestamp local, int32 months, Timestamp origin)
{
	struct pg_tm tm;
	struct pg_tm otm;
	fsec_t		fsec;
	fsec_t		ofsec;
	int64		k;
	Timestamp	result;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		timestamp2tm(origin, NULL, &otm, &ofsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	k = floor_div(((int64) tm.tm_year - otm.tm_year) * 12 + (tm.tm_mon - otm.tm_mon), months);
	for (;;)
	{
		Interval	step = {0};

		step.month = (int32) (k * months);
		result = DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
													   TimestampGetDatum(origin),
													   IntervalPGetDatum(&step)));
		if (result <= local)
			return result;
		k--;					/* the origin's day of month is still to come */
	}
}

static Timestamp
to_local(TimestampTz ts)
{
	return DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp,
												 TimestampTzGetDatum(ts)));
}

static TimestampTz
from_local(Timestamp ts)
{
	return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz,
												   TimestampGetDatum(ts)));
}

int64
sx_window_tumble(bool tz, int64 ts, const Interval *size, bool has_origin,
				 int64 origin)
{
	sx_window_size_check(size);
	if (has_origin && TIMESTAMP_NOT_FINITE(origin))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("origin out of range")));
	if (TIMESTAMP_NOT_FINITE(ts))
		return ts;
	if (size->month == 0)
		return tumble_us(ts, sx_window_size_us(size),
						 has_origin ? origin : DEFAULT_ORIGIN);
	if (!has_origin)
		origin = 0;
	else if (tz)
		origin = to_local(origin);
	if (tz)
		return from_local(tumble_months(to_local(ts), size->month, origin));
	return tumble_months(ts, size->month, origin);
}

/* tumble(timestamptz, interval [, timestamptz]) returns timestamptz */
Datum
streamx_tumble_timestamptz(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(sx_window_tumble(true, PG_GETARG_TIMESTAMPTZ(0),
										   PG_GETARG_INTERVAL_P(1), PG_NARGS() > 2,
										   PG_NARGS() > 2 ? PG_GETARG_TIMESTAMPTZ(2) : 0));
}

/* tumble(timestamp, interval [, timestamp]) returns timestamp */
Datum
streamx_tumble_timestamp(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMP(sx_window_tumble(false, PG_GETARG_TIMESTAMP(0),
										 PG_GETARG_INTERVAL_P(1), PG_NARGS() > 2,
										 PG_NARGS() > 2 ? PG_GETARG_TIMESTAMP(2) : 0));
}

/* tumble(date, interval [, date]) returns timestamp */
Datum
streamx_tumble_date(PG_FUNCTION_ARGS)
{
	Timestamp	ts = date2timestamp_opt_overflow(PG_GETARG_DATEADT(0), NULL);
	bool		given = PG_NARGS() > 2;
	Timestamp	origin = given ?
	date2timestamp_opt_overflow(PG_GETARG_DATEADT(2), NULL) : 0;

	PG_RETURN_TIMESTAMP(sx_window_tumble(false, ts, PG_GETARG_INTERVAL_P(1),
										 given, origin));
}
