/*-------------------------------------------------------------------------
 * checkpoint.h
 *		Progress: how far each view has read each partition of its stream.
 *-------------------------------------------------------------------------
 */
#ifndef SX_CHECKPOINT_CHECKPOINT_H
#define SX_CHECKPOINT_CHECKPOINT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/batch.h"

/* palloc'd, by partition; *n 0: nothing has been read yet */
extern SxPosition *sx_checkpoint_load(Oid view, Oid stream, int *n);

/*
 * Where the view began to read, as positions to read from; palloc'd.  A
 * native stream's snapshot is NULL if it is not known.
 */
extern SxPosition *sx_checkpoint_load_first(Oid view, Oid stream, int *n);

/* Inside the batch's transaction: the view stands at these positions now. */
extern void sx_checkpoint_advance(Oid view, Oid stream,
								  const SxPosition *positions, int n);

/*
 * Where reading has to begin for a view that keeps the groups of open windows
 * in memory; palloc'd.  *n 0: they are all in its state table.
 */
extern SxPosition *sx_checkpoint_load_replay(Oid view, Oid stream, int *n);

/* To be saved with the progress, after it.  n 0: nothing to read again. */
extern void sx_checkpoint_save_replay(Oid view, Oid stream,
									  const SxPosition *positions, int n);

/*
 * The view stands where it stood, but the place is called otherwise from now
 * on: a native position of another view, which has counted other rows.
 */
extern void sx_checkpoint_rename(Oid view, Oid stream,
								 const SxPosition *position);

/*
 * What the view has read of these partitions (ints; NIL: of all) is not of the
 * topic that there is, or it is after all.
 */
extern void sx_checkpoint_set_deleted(Oid view, Oid stream, const List *partitions,
									  bool deleted);

/*
 * The view began to read elsewhere, in what is there now: first_offset and
 * snapshot of these.
 */
extern void sx_checkpoint_set_first(Oid view, Oid stream,
									const SxPosition *first, int n);

#endif							/* SX_CHECKPOINT_CHECKPOINT_H */
