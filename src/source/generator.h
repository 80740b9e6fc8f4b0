/*-------------------------------------------------------------------------
 * generator.h
 *		The generator source.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_GENERATOR_H
#define SX_SOURCE_GENERATOR_H

#include "source/source.h"

extern const SxSourceOps sx_source_generator;

/* ERROR unless every column's expression gives values of its type. */
extern void sx_generator_check(const SxStream *stream);

/* The stream is dropped: forget when it began.  In a transaction. */
extern void sx_generator_forget(Oid stream);

#endif							/* SX_SOURCE_GENERATOR_H */
