/*-------------------------------------------------------------------------
 * clock.h
 *		The monotonic clock in microseconds, in any thread.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_CLOCK_H
#define SX_BASE_CLOCK_H

#include "postgres.h"

#include <time.h>

static inline int64
sx_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

#endif							/* SX_BASE_CLOCK_H */
