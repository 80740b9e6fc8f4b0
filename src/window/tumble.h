/*-------------------------------------------------------------------------
 * tumble.h
 *		Sizes of windows.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WINDOW_TUMBLE_H
#define SX_WINDOW_TUMBLE_H

#include "postgres.h"

#include "common/int.h"
#include "datatype/timestamp.h"

/* ERROR unless positive, and either months or days and time. */
extern void sx_window_size_check(const Interval *size);

/* ERROR where hop and cumulate would raise one, whatever the time. */
extern void sx_window_check_hop(const Interval *slide, const Interval *size);
extern void sx_window_check_cumulate(const Interval *step, const Interval *size);

/* Microseconds of a size without months (a day is 24 hours). */
extern int64 sx_window_size_us(const Interval *size);

/*
 * Start of the fixed window that holds ts, see tumble.c.  tz: ts and origin
 * are timestamptz, else timestamp.
 */
extern int64 sx_window_tumble(bool tz, int64 ts, const Interval *size,
							  bool has_origin, int64 origin);

#endif							/* SX_WINDOW_TUMBLE_H */
