/*-------------------------------------------------------------------------
 * open.h
 *		Inside of the room: groups of open windows in memory.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_OPEN_H
#define SX_RESULT_OPEN_H

#include "postgres.h"

#include "result/merge.h"

/* Can this view's open windows be kept in memory at all? */
extern bool sx_open_suits(const SxView *view, const SxShape *shape);

/* In a context of its own below the current one. */
extern SxOpen *sx_open_create(const SxResult *result);

/*
 * Take the rows of windows that are kept in memory out of a batch's partial
 * states; those of others stay in *rows.
 */
extern void sx_open_take(SxResult *result, SxRows *rows);

/* Write the rows of windows that are closed; they go at the commit. */
extern int64 sx_open_close(SxResult *result, int64 closed_us);

/* End of the window that closes first; PG_INT64_MAX: none. */
extern int64 sx_open_next_end(const SxOpen *open);

/* May the state table have rows? */
extern bool sx_open_has_stored(SxResult *result);

extern int64 sx_open_memory(const SxOpen *open);

#endif							/* SX_RESULT_OPEN_H */
