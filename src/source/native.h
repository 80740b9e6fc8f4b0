/*-------------------------------------------------------------------------
 * native.h
 *		The native source, and reading it up to a position.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_NATIVE_H
#define SX_SOURCE_NATIVE_H

#include "source/source.h"

extern const SxSourceOps sx_source_native;

/*
 * sx_native_bound -- read only what lies behind a position
 *
 * For bounded scans (verify, rebuild): after seek(), fill() then delivers
 * what is still kept between the two and returns 0 at the end.  position:
 * text as in SxPosition.snapshot; NULL: no bound.
 */
extern void sx_native_bound(SxSource *source, const char *position);

#endif							/* SX_SOURCE_NATIVE_H */
