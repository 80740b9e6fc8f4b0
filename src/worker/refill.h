/*-------------------------------------------------------------------------
 * refill.h
 *		Reading rows again whose groups were in memory only: see refill.c.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_REFILL_H
#define SX_WORKER_REFILL_H

#include "postgres.h"

#include "worker/task.h"

/*
 * The task stands at the view's replay positions: its reading fills the
 * view's memory up to here.
 */
extern void sx_refill_begin(SxTask *task, const SxViewRun *run,
							const SxPosition *to, int nto);

/* After each seek of its reader. */
extern void sx_refill_bound(SxTask *task);

/* In each batch, when the view has been planned. */
extern void sx_refill_prepare(SxTask *task, SxViewRun *run);

/* Has the source given up? */
extern bool sx_refill_failed(const SxTask *task);

/* ERROR if it has: the view stops, as the rows are not to be had. */
extern void sx_refill_check_source(const SxTask *task);

/* Take rows out that the view did not have. */
extern void sx_refill_skip(SxTask *task, SxBatch *list);

/* After each batch: is all there?  Then the task reads on from there. */
extern void sx_refill_check_done(SxTask *task);

/* Where the task's view stands while it is being filled. */
extern const SxPosition *sx_refill_target(const SxTask *task, int *n);

/* In each other batch: save from where to read again. */
extern void sx_refill_save(SxTask *task, SxViewRun *run,
						   const SxPosition *after, int nafter);

/* The view leaves its task, or is to: it stands where that stands now. */
extern void sx_refill_leave(SxTask *task, SxViewRun *run);

/*
 * sx_refill_arrive -- the view, in no task, stands at these positions
 *
 * replay: its replay positions, nreplay 0: none.  Returns whether its memory
 * is that of this place; if not it is empty.
 */
extern bool sx_refill_arrive(SxViewRun *run, const SxPosition *positions, int n,
							 const SxPosition *replay, int nreplay);

/*
 * A view goes, maybe only to be set up anew: its memory is kept until it
 * arrives, or sx_refill_drop_kept.
 */
extern void sx_refill_keep(SxViewRun *run);
extern void sx_refill_drop_kept(void);

/* The view has been planned: what was kept is its memory again. */
extern void sx_refill_attach(SxViewRun *run);

/* The view's memory is lost: it is set up anew. */
extern void sx_refill_lost(SxViewRun *run);

#endif							/* SX_WORKER_REFILL_H */
