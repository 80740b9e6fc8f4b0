/*-------------------------------------------------------------------------
 * handle.h
 *		Handles of other libraries, freed with a memory context.
 *
 * What librdkafka and the like hand out is malloc'd: an ERROR would leak it.
 * A guard in a memory context destroys it when the context is reset or
 * deleted, unless that was done before.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_HANDLE_H
#define SX_BASE_HANDLE_H

#include "postgres.h"

typedef void (*SxHandleDestroy) (void *object);

typedef struct SxHandle
{
	MemoryContextCallback callback;
	void	   *object;			/* NULL: destroyed */
	SxHandleDestroy destroy;	/* must not ERROR */
} SxHandle;

/*
 * Make a guard in CurrentMemoryContext, still without an object: nothing can
 * fail between getting one and putting it here.  Guards made later go first.
 */
extern SxHandle *sx_handle_create(SxHandleDestroy destroy);

/* Destroy the object now, if there is one. */
extern void sx_handle_destroy(SxHandle *handle);

#endif							/* SX_BASE_HANDLE_H */
