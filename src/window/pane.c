/*-------------------------------------------------------------------------
 * pane.c
 *		Panes: the smallest slices of time that windows share.
 *
 * The windows of hop start every slide from the origin, those of cumulate
 * start every size and end every slide (its step); both are runs of panes,
 * whose length is the greatest that divides slide and size.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "window/pane.h"
#include "window/tumble.h"

/* as tumble's: 2000-01-03 in microseconds since 2000-01-01 */
#define DEFAULT_ORIGIN	(2 * USECS_PER_DAY)

/* More panes than this from one window to the next do not pay. */
#define MAX_PER_SLIDE	64
#define MAX_WINDOWS		100000	/* as hop's and cumulate's own */
#define MAX_SIZE_US		(INT64CONST(1000000) * USECS_PER_DAY)	/* sums do not overflow */

static int64
greatest_divisor(int64 a, int64 b)
{
	while (b != 0)
	{
		int64		rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

bool
sx_panes_init(SxPanes *panes, SxWindowKind kind, const Interval *slide,
			  const Interval *size, bool has_origin, int64 origin_us)
{
	if (slide->month != 0 || size->month != 0 ||
		slide->day < 0 || slide->time < 0 || size->day < 0 || size->time < 0)
		return false;
	if (slide->day > 1000000 || size->day > 1000000)
		return false;
	panes->kind = kind;
	panes->slide_us = sx_window_size_us(slide);
	panes->size_us = sx_window_size_us(size);
	panes->origin_us = has_origin ? origin_us : DEFAULT_ORIGIN;
	if (panes->slide_us <= 0 || panes->size_us < panes->slide_us ||
		panes->size_us > MAX_SIZE_US ||
		panes->size_us / panes->slide_us > MAX_WINDOWS ||
		TIMESTAMP_NOT_FINITE(panes->origin_us))
		return false;
	panes->pane_us = greatest_divisor(panes->size_us, panes->slide_us);
	if (kind == SX_WINDOW_CUMULATE)
		return panes->pane_us == panes->slide_us;
	return kind == SX_WINDOW_HOP &&
		panes->slide_us / panes->pane_us <= MAX_PER_SLIDE;
}

/* The last start of a slice of this size at or before t. */
static int64
slice(const SxPanes *panes, int64 t, int64 size)
{
	int64		delta = t - panes->origin_us;
	int64		rest = delta % size;

	return t - (rest < 0 ? rest + size : rest);
}

int64
sx_pane_last_window(const SxPanes *panes, int64 pane)
{
	if (panes->kind == SX_WINDOW_CUMULATE)
		return slice(panes, pane, panes->size_us) + panes->size_us;
	return slice(panes, pane, panes->slide_us);
}

int64
sx_pane_first_window(const SxPanes *panes, int64 pane)
{
	if (panes->kind == SX_WINDOW_CUMULATE)
		return pane + panes->pane_us;
	return slice(panes, pane + panes->pane_us - panes->size_us + panes->slide_us - 1,
				 panes->slide_us);
}

void
sx_pane_bounds(const SxPanes *panes, int64 window, int64 *from, int64 *to)
{
	if (panes->kind == SX_WINDOW_CUMULATE)
	{
		*from = slice(panes, window - 1, panes->size_us);
		*to = window;
	}
	else
	{
		*from = window;
		*to = window + panes->size_us;
	}
}

static int64
end_of(const SxPanes *panes, int64 window)
{
	return panes->kind == SX_WINDOW_CUMULATE ? window : window + panes->size_us;
}

int64
sx_pane_next_end(const SxPanes *panes, int64 pane, int64 closed)
{
	int64		first = end_of(panes, sx_pane_first_window(panes, pane));

	if (first > closed)
		return first;
	return first + ((closed - first) / panes->slide_us + 1) * panes->slide_us;
}

int64
sx_pane_last_end(const SxPanes *panes, int64 pane)
{
	return end_of(panes, sx_pane_last_window(panes, pane));
}

void
sx_pane_check(const SxPanes *panes, int64 pane)
{
	int64		from;
	int64		last;
	int64		delta;

	/* as hop.c does it, which looks at a slide more than there are */
	if (panes->kind == SX_WINDOW_CUMULATE)
		from = last = slice(panes, pane, panes->size_us);
	else
	{
		last = slice(panes, pane, panes->slide_us);
		from = last - (panes->size_us / panes->slide_us + 1) * panes->slide_us;
	}
	if (!IS_VALID_TIMESTAMP(from) || last >= END_TIMESTAMP - panes->size_us ||
		pg_sub_s64_overflow(from, panes->origin_us, &delta))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
}
