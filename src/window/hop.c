/*-------------------------------------------------------------------------
 * hop.c
 *		hop(ts, slide, size [, origin]) and cumulate(ts, step, size): the
 *		windows that hold ts.
 *
 * Sizes and slides are both in months or both in days and times, as in
 * tumble; the window of a slide that holds ts is tumble's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "window/tumble.h"

PG_FUNCTION_INFO_V1(streamx_hop_timestamptz);
PG_FUNCTION_INFO_V1(streamx_hop_timestamp);
PG_FUNCTION_INFO_V1(streamx_hop_date);
PG_FUNCTION_INFO_V1(streamx_cumulate_timestamptz);
PG_FUNCTION_INFO_V1(streamx_cumulate_timestamp);
PG_FUNCTION_INFO_V1(streamx_cumulate_date);

typedef struct Windows
{
	int			n;				/* how many there are */
	int			next;
	int64	   *times;
} Windows;

/* More windows than this for one row are a mistake. */
#define MAX_WINDOWS 100000

static int64
shift(bool tz, int64 ts, const Interval *by, int64 times)
{
	Interval	span;
	int64		us;

	span.month = (int32) (by->month * times);
	span.day = 0;
	span.time = 0;
	if (by->month == 0)
	{
		if (pg_mul_s64_overflow(sx_window_size_us(by), times, &us) ||
			pg_add_s64_overflow(ts, us, &us) || !IS_VALID_TIMESTAMP(us))
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("timestamp out of range")));
		return us;
	}
	return DatumGetInt64(DirectFunctionCall2(tz ? timestamptz_pl_interval : timestamp_pl_interval,
											 Int64GetDatum(ts), IntervalPGetDatum(&span)));
}

static void
check_pair(const Interval *part, const Interval *size, const char *name)
{
	sx_window_size_check(part);
	sx_window_size_check(size);
	if ((part->month != 0) != (size->month != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a window's size and %s must both be in months, or both in days and times", name)));
	if ((size->month ? (int64) size->month / part->month :
		 sx_window_size_us(size) / sx_window_size_us(part)) > MAX_WINDOWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a row would be in more than %d windows", MAX_WINDOWS),
				 errhint("Take a greater %s.", name)));
}

void
sx_window_check_hop(const Interval *slide, const Interval *size)
{
	check_pair(slide, size, "slide");
}

void
sx_window_check_cumulate(const Interval *step, const Interval *size)
{
	check_pair(step, size, "step");
	if (size->month ? size->month % step->month != 0 :
		sx_window_size_us(size) % sx_window_size_us(step) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a window's size must be a multiple of the step")));
}

static Windows *
make_windows(int64 max)
{
	Windows    *w = palloc0(sizeof(Windows));

	w->times = palloc(sizeof(int64) * Max(max, 1));
	return w;
}

/* Starts of the windows, ascending. */
static Windows *
hop_windows(bool tz, int64 ts, const Interval *slide, const Interval *size,
			bool has_origin, int64 origin)
{
	Windows    *w;
	int64		last;
	int64		max;
	int64		k;

	check_pair(slide, size, "slide");
	max = (size->month ? size->month / slide->month :
		   sx_window_size_us(size) / sx_window_size_us(slide)) + 2;
	w = make_windows(max);
	if (TIMESTAMP_NOT_FINITE(ts))
	{
		w->times[w->n++] = ts;
		return w;
	}
	last = sx_window_tumble(tz, ts, slide, has_origin, origin);
	for (k = max - 1; k >= 0; k--)
	{
		int64		start = shift(tz, last, slide, -k);

		/* with slides greater than sizes there are gaps */
		if (shift(tz, start, size, 1) > ts)
			w->times[w->n++] = start;
	}
	return w;
}

/* Ends of the windows, ascending. */
static Windows *
cumulate_windows(bool tz, int64 ts, const Interval *step, const Interval *size)
{
	Windows    *w;
	int64		start;
	int64		steps;
	int64		k;

	sx_window_check_cumulate(step, size);
	steps = size->month ? size->month / step->month :
		sx_window_size_us(size) / sx_window_size_us(step);
	w = make_windows(steps);
	if (TIMESTAMP_NOT_FINITE(ts))
	{
		w->times[w->n++] = ts;
		return w;
	}
	start = sx_window_tumble(tz, ts, size, false, 0);
	for (k = 1; k <= steps; k++)
	{
		int64		end = shift(tz, start, step, k);

		if (end > ts)
			w->times[w->n++] = end;
	}
	return w;
}

int64
sx_window_first_hop(bool tz, int64 ts, const Interval *slide, const Interval *size,
					bool has_origin, int64 origin)
{
	Windows    *w = hop_windows(tz, ts, slide, size, has_origin, origin);

	if (w->n > 0)
		return w->times[0];
	return shift(tz, sx_window_tumble(tz, ts, slide, has_origin, origin), slide, 1);
}

int64
sx_window_first_cumulate(bool tz, int64 ts, const Interval *step, const Interval *size)
{
	Windows    *w = cumulate_windows(tz, ts, step, size);

	return w->times[0];
}

static Datum
windows_srf(FunctionCallInfo fcinfo, bool tz, bool hop)
{
	FuncCallContext *cxt;
	Windows    *w;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		cxt = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(cxt->multi_call_memory_ctx);
		if (hop)
			w = hop_windows(tz, PG_GETARG_INT64(0), PG_GETARG_INTERVAL_P(1),
							PG_GETARG_INTERVAL_P(2), PG_NARGS() > 3,
							PG_NARGS() > 3 ? PG_GETARG_INT64(3) : 0);
		else
			w = cumulate_windows(tz, PG_GETARG_INT64(0), PG_GETARG_INTERVAL_P(1),
								 PG_GETARG_INTERVAL_P(2));
		cxt->user_fctx = w;
		MemoryContextSwitchTo(old);
	}
	cxt = SRF_PERCALL_SETUP();
	w = cxt->user_fctx;
	if (w->next < w->n)
		SRF_RETURN_NEXT(cxt, Int64GetDatum(w->times[w->next++]));
	SRF_RETURN_DONE(cxt);
}

/* hop(timestamptz, interval, interval [, timestamptz]) returns setof timestamptz */
Datum
streamx_hop_timestamptz(PG_FUNCTION_ARGS)
{
	return windows_srf(fcinfo, true, true);
}

/* hop(timestamp, interval, interval [, timestamp]) returns setof timestamp */
Datum
streamx_hop_timestamp(PG_FUNCTION_ARGS)
{
	return windows_srf(fcinfo, false, true);
}

/* cumulate(timestamptz, interval, interval) returns setof timestamptz */
Datum
streamx_cumulate_timestamptz(PG_FUNCTION_ARGS)
{
	return windows_srf(fcinfo, true, false);
}

/* cumulate(timestamp, interval, interval) returns setof timestamp */
Datum
streamx_cumulate_timestamp(PG_FUNCTION_ARGS)
{
	return windows_srf(fcinfo, false, false);
}

/* An argument that is a date, as the timestamp of its midnight. */
static void
date_argument(FunctionCallInfo fcinfo, int n)
{
	fcinfo->args[n].value =
		TimestampGetDatum(date2timestamp_opt_overflow(PG_GETARG_DATEADT(n), NULL));
}

/* hop(date, interval, interval [, date]) returns setof timestamp */
Datum
streamx_hop_date(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
	{
		date_argument(fcinfo, 0);
		if (PG_NARGS() > 3)
			date_argument(fcinfo, 3);
	}
	return windows_srf(fcinfo, false, true);
}

/* cumulate(date, interval, interval) returns setof timestamp */
Datum
streamx_cumulate_date(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
		date_argument(fcinfo, 0);
	return windows_srf(fcinfo, false, false);
}
