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

/*
 * The least of the windows that hold ts: start of one of hop(), of the next one
 * where ts is between two; end of one of cumulate().
 */
extern int64 sx_window_first_hop(bool tz, int64 ts, const Interval *slide,
								 const Interval *size, bool has_origin, int64 origin);
extern int64 sx_window_first_cumulate(bool tz, int64 ts, const Interval *step,
									  const Interval *size);

#endif							/* SX_WINDOW_TUMBLE_H */
