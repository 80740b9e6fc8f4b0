/*-------------------------------------------------------------------------
 * event_time.h
 *		Event times of a batch, and how far they push a watermark.
 *
 * Arithmetic on int64 microseconds (TimestampTz); a timestamp or date without
 * zone counts as UTC.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WINDOW_EVENT_TIME_H
#define SX_WINDOW_EVENT_TIME_H

#include "postgres.h"

#include "base/batch.h"
#include "catalog/stream.h"

/*
 * Event time of a row; false: NULL or infinite, which never moves a
 * watermark.
 */
extern bool sx_window_event_time(const SxStream *stream, const SxBatch *batch,
								 int row, int64 *event_us);

/*
 * sx_window_reject_ahead -- take rows out that are too far in the future
 *
 * A row whose event time is more than the stream's max_ahead after its
 * arrival becomes a reject of the batch.
 */
extern void sx_window_reject_ahead(const SxStream *stream, SxBatch *batch);

/*
 * sx_window_observe -- let the batch's event times push the watermarks of the
 * positions (by partition); a watermark never goes back.
 */
extern void sx_window_observe(const SxStream *stream, const SxBatch *batch,
							  SxPosition *positions, int npositions);

/* Microseconds of a timestamptz, timestamp or date. */
extern int64 sx_window_time_us(Oid type, Datum value);

/*
 * What streamx.on_time() tells from now on: whether an event time is at or
 * after the bound (microseconds).
 */
extern void sx_window_set_on_time(int64 bound_us);

#endif							/* SX_WINDOW_EVENT_TIME_H */
