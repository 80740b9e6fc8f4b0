/*-------------------------------------------------------------------------
 * open.h
 *		Inside of the room: groups of open windows in memory.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_OPEN_H
#define SX_RESULT_OPEN_H

#include "postgres.h"

#include "result/merge.h"
#include "result/panes_internal.h"

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

/*
 * Where windows are merged from panes it is these that are in memory: those of
 * windows that close, of each group in order, groups by their hash.
 */
typedef struct SxOpenPane
{
	int64		hash;			/* as in the state table */
	int64		start;
	struct OpenGroup *group;
} SxOpenPane;

extern SxOpenPane *sx_open_list_panes(SxResult *result, int64 closed_us, int64 *n);
extern void sx_open_get_pane(const SxResult *result, const SxOpenPane *from,
							 SxPane *pane);

/* End of the window that closes first; PG_INT64_MAX: none. */
extern int64 sx_open_next_end(const SxResult *result);

/* May the state table have rows? */
extern bool sx_open_has_stored(SxResult *result);

extern int64 sx_open_memory(const SxOpen *open);

#endif							/* SX_RESULT_OPEN_H */
