/*-------------------------------------------------------------------------
 * places.h
 *		Where rows of the result were written last, by a hash of their keys.
 *
 * A hint: whoever uses a place looks whether the row is still there and its
 * own.  Bounded; what has not been written for long is forgotten.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_PLACES_H
#define SX_RESULT_PLACES_H

#include "postgres.h"

#include "storage/itemptr.h"

typedef struct SxPlaces SxPlaces;

/* In a context of its own below "parent". */
extern SxPlaces *sx_places_create(MemoryContext parent);
extern void sx_places_free(SxPlaces *places);

/* Another batch begins. */
extern void sx_places_begin(SxPlaces *places);
extern bool sx_places_find(const SxPlaces *places, uint64 hash, ItemPointer tid);
extern void sx_places_note(SxPlaces *places, uint64 hash, const ItemPointerData *tid);
extern int64 sx_places_memory(const SxPlaces *places);

#endif							/* SX_RESULT_PLACES_H */
