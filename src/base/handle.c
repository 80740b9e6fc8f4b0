/*-------------------------------------------------------------------------
 * handle.c
 *		Handles of other libraries, freed with a memory context.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/handle.h"

static void
context_goes(void *arg)
{
	sx_handle_destroy((SxHandle *) arg);
}

SxHandle *
sx_handle_create(SxHandleDestroy destroy)
{
	SxHandle   *handle = palloc0(sizeof(SxHandle));

	handle->destroy = destroy;
	handle->callback.func = context_goes;
	handle->callback.arg = handle;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &handle->callback);
	return handle;
}

void
sx_handle_destroy(SxHandle *handle)
{
	void	   *object = handle->object;

	/* first, so that nothing is destroyed twice whatever happens below */
	handle->object = NULL;
	if (object != NULL)
		handle->destroy(object);
}
