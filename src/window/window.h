/*-------------------------------------------------------------------------
 * window.h
 *		What a window is to those who close it: when it ends.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WINDOW_WINDOW_H
#define SX_WINDOW_WINDOW_H

#include "postgres.h"

#include "datatype/timestamp.h"

struct FuncExpr;

typedef enum SxWindowKind
{
	SX_WINDOW_FIXED,			/* tumble, date_bin, date_trunc: its start */
	SX_WINDOW_HOP,				/* its start; a row is in several */
	SX_WINDOW_CUMULATE,			/* its end; a row is in several */
	SX_WINDOW_SESSION,			/* its start; when it ends is in its state */
} SxWindowKind;

typedef struct SxWindow
{
	SxWindowKind kind;
	bool		tz;				/* timestamptz, else timestamp (as UTC) */
	Interval	size;			/* of the largest, for cumulate */
	const char *zone;			/* of date_trunc's third argument, or NULL */
	const struct FuncExpr *call;	/* that makes it */
} SxWindow;

/* From the grouping column's value; microseconds, TimestampTz. */
extern int64 sx_window_end(const SxWindow *window, int64 key);

/* The greatest time whose window (if one started there) ends by "end". */
extern int64 sx_window_start(const SxWindow *window, int64 end);

/* Size that date_trunc cuts to; false: no such unit. */
extern bool sx_window_trunc_size(const char *unit, Interval *size);

/*
 * What streamx.is_late() tells from now on: whether the last window of a row,
 * which begins at its argument, ends at or before "bound".  window NULL: none.
 */
extern void sx_window_set_late(const SxWindow *window, int64 bound_us);

/*
 * How often streamx.is_closed(), which tells the same of any window by its
 * grouping column, said yes since then.
 */
extern int64 sx_window_closed_hits(void);

#endif							/* SX_WINDOW_WINDOW_H */
