/*-------------------------------------------------------------------------
 * checkpoint.h
 *		Progress: how far each view has read each partition of its stream.
 *-------------------------------------------------------------------------
 */
#ifndef SX_CHECKPOINT_CHECKPOINT_H
#define SX_CHECKPOINT_CHECKPOINT_H

#include "postgres.h"

#include "base/batch.h"

/* palloc'd, by partition; *n 0: nothing has been read yet */
extern SxPosition *sx_checkpoint_load(Oid view, Oid stream, int *n);

/* Inside the batch's transaction: the view stands at these positions now. */
extern void sx_checkpoint_advance(Oid view, Oid stream,
								  const SxPosition *positions, int n);

#endif							/* SX_CHECKPOINT_CHECKPOINT_H */
