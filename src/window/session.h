/*-------------------------------------------------------------------------
 * session.h
 *		Sessions: rows at most a gap of silence apart.
 *
 * Times are int64 microseconds; an infinite one is near nothing but itself.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WINDOW_SESSION_H
#define SX_WINDOW_SESSION_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Microseconds of a gap; ERROR unless it is positive and without months. */
extern int64 sx_session_gap_us(const Interval *gap);

/* The last time that belongs to a session whose last row is at ts so far. */
extern int64 sx_session_reach(int64 ts, int64 gap_us);

/* The first time from which a session reaches ts. */
extern int64 sx_session_reach_back(int64 ts, int64 gap_us);

/*
 * When a session with this last row ends: it is closed when the watermark
 * (less the lateness) is there.
 */
#define sx_session_end(last, gap_us) sx_session_reach(last, gap_us)

#endif							/* SX_WINDOW_SESSION_H */
