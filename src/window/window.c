/*-------------------------------------------------------------------------
 * window.c
 *		When windows end, and which rows are late.
 *
 * Sizes in months, and days of date_trunc, are calendar arithmetic in the
 * session's TimeZone or the one that date_trunc names; all else is
 * arithmetic on microseconds.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "window/window.h"

static const SxWindow *late_window = NULL;
static int64 late_bound = PG_INT64_MIN;
static int64 closed_hits = 0;

PG_FUNCTION_INFO_V1(streamx_is_late);
PG_FUNCTION_INFO_V1(streamx_is_closed);

static int64
plus(const SxWindow *window, int64 start, const Interval *span)
{
	Datum		size = IntervalPGetDatum(unconstify(Interval *, span));
	Datum		ts = Int64GetDatum(start);

	if (TIMESTAMP_NOT_FINITE(start))
		return start;
	if (!window->tz)
		return DatumGetInt64(DirectFunctionCall2(timestamp_pl_interval, ts, size));
	if (window->zone == NULL)
		return DatumGetInt64(DirectFunctionCall2(timestamptz_pl_interval, ts, size));
	ts = DirectFunctionCall2(timestamptz_zone, CStringGetTextDatum(window->zone), ts);
	ts = DirectFunctionCall2(timestamp_pl_interval, ts, size);
	return DatumGetInt64(DirectFunctionCall2(timestamp_zone,
											 CStringGetTextDatum(window->zone), ts));
}

static int64
plus_size(const SxWindow *window, int64 start)
{
	return plus(window, start, &window->size);
}

int64
sx_window_start(const SxWindow *window, int64 end)
{
	Interval	back = {
		.time = -window->size.time,
		.day = -window->size.day,
		.month = -window->size.month,
	};

	return plus(window, end, &back);
}

int64
sx_window_end(const SxWindow *window, int64 key)
{
	return window->kind == SX_WINDOW_CUMULATE ? key : plus_size(window, key);
}

bool
sx_window_trunc_size(const char *unit, Interval *size)
{
	static const struct
	{
		const char *name;
		int32		month;
		int32		day;
		int64		time;
	}			units[] = {
		{"microseconds", 0, 0, 1},
		{"milliseconds", 0, 0, 1000},
		{"second", 0, 0, USECS_PER_SEC},
		{"minute", 0, 0, USECS_PER_MINUTE},
		{"hour", 0, 0, USECS_PER_HOUR},
		{"day", 0, 1, 0},
		{"week", 0, 7, 0},
		{"month", 1, 0, 0},
		{"quarter", 3, 0, 0},
		{"year", 12, 0, 0},
		{"decade", 120, 0, 0},
		{"century", 1200, 0, 0},
		{"millennium", 12000, 0, 0},
	};
	int			i;

	for (i = 0; i < lengthof(units); i++)
	{
		if (pg_strcasecmp(unit, units[i].name) == 0)
		{
			size->month = units[i].month;
			size->day = units[i].day;
			size->time = units[i].time;
			return true;
		}
	}
	return false;
}

void
sx_window_set_late(const SxWindow *window, int64 bound_us)
{
	late_window = window;
	late_bound = bound_us;
	if (window)
		closed_hits = 0;
}

int64
sx_window_closed_hits(void)
{
	return closed_hits;
}

static void
check_bound(const char *name)
{
	if (late_window == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streamx.%s() can only be called while a batch runs", name),
				 errhint("Leave it to continuous views.")));
}

/* streamx.is_late(anyelement) returns boolean, see window.h */
Datum
streamx_is_late(PG_FUNCTION_ARGS)
{
	check_bound("is_late");
	PG_RETURN_BOOL(plus_size(late_window, PG_GETARG_INT64(0)) <= late_bound);
}

/* streamx.is_closed(anyelement) returns boolean, see window.h */
Datum
streamx_is_closed(PG_FUNCTION_ARGS)
{
	bool		closed;

	check_bound("is_closed");
	closed = sx_window_end(late_window, PG_GETARG_INT64(0)) <= late_bound;
	closed_hits += closed;
	PG_RETURN_BOOL(closed);
}
