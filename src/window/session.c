/*-------------------------------------------------------------------------
 * session.c
 *		session(ts, gap): start of the session that holds ts, a session being
 *		rows at most gap apart.
 *
 * Where a session starts depends on other rows, so session() is no function
 * like the others: a query that groups by it is rewritten (see plan/) into
 * one over the window function streamx.session_start(ts, gap), which goes
 * through the rows of each group in the order of time.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/nodes.h"
#include "utils/date.h"
#include "utils/timestamp.h"
#include "windowapi.h"

#include "window/session.h"
#include "window/tumble.h"

/* Where session_start stands in a partition. */
typedef struct SessionState
{
	bool		open;			/* a row has been seen */
	int64		start;
	int64		last;
} SessionState;

PG_FUNCTION_INFO_V1(streamx_session);
PG_FUNCTION_INFO_V1(streamx_session_start);

int64
sx_session_gap_us(const Interval *gap)
{
	if (gap->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the gap of a session cannot have months or years"),
				 errhint("Use weeks, days and times: their length is always the same.")));
	if (gap->day < 0 || gap->time < 0 || (gap->day == 0 && gap->time == 0))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the gap of a session must be greater than zero"),
				 errhint("Give the longest silence between two rows of one session.")));
	return sx_window_size_us(gap);
}

int64
sx_session_reach(int64 ts, int64 gap_us)
{
	int64		result;

	if (TIMESTAMP_NOT_FINITE(ts))
		return ts;
	if (pg_add_s64_overflow(ts, gap_us, &result))
		return PG_INT64_MAX - 1;	/* before infinity */
	return Min(result, PG_INT64_MAX - 1);
}

int64
sx_session_reach_back(int64 ts, int64 gap_us)
{
	int64		result;

	if (TIMESTAMP_NOT_FINITE(ts))
		return ts;
	if (pg_sub_s64_overflow(ts, gap_us, &result))
		return PG_INT64_MIN + 1;
	return Max(result, PG_INT64_MIN + 1);
}

/* session(ts, gap): all calls that mean something have been rewritten */
Datum
streamx_session(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("session() can only be called as a grouping column"),
			 errdetail("Where a session starts depends on the other rows of the group."),
			 errhint("Put the call itself into GROUP BY, and use it as it stands there in the select list and HAVING."
					 " A function in SQL that groups by it has to be VOLATILE, so that it is planned by itself.")));
	PG_RETURN_NULL();
}

/* streamx.session_start(ts, gap) OVER (PARTITION BY ... ORDER BY ts) */
Datum
streamx_session_start(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	SessionState *s;
	int64		ts;
	int64		gap_us;
	Datum		value;
	bool		isnull;

	if (!WindowObjectIsValid(window))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("session_start() is a window function"),
				 errhint("Call it with OVER (PARTITION BY ... ORDER BY ts).")));
	WinSetMarkPosition(window, WinGetCurrentPosition(window));
	s = WinGetPartitionLocalMemory(window, sizeof(SessionState));
	value = WinGetFuncArgCurrent(window, 0, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	ts = DatumGetTimestampTz(value);
	value = WinGetFuncArgCurrent(window, 1, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	gap_us = sx_session_gap_us(DatumGetIntervalP(value));
	if (s->open && ts < s->last)
		ereport(ERROR,
				(errcode(ERRCODE_WINDOWING_ERROR),
				 errmsg("rows of session_start() are not in the order of their time"),
				 errhint("Call it with OVER (PARTITION BY ... ORDER BY ts).")));
	if (!s->open || ts > sx_session_reach(s->last, gap_us))
		s->start = ts;
	s->open = true;
	s->last = ts;
	PG_RETURN_TIMESTAMPTZ(s->start);
}
