/*-------------------------------------------------------------------------
 * panes_internal.h
 *		What the files about panes share: see panes.c.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_PANES_INTERNAL_H
#define SX_RESULT_PANES_INTERNAL_H

#include "postgres.h"

#include "result/merge.h"
#include "window/pane.h"

/* A pane of a group: a row of the state table, or one in memory. */
typedef struct SxPane
{
	int64		start;
	ItemPointerData tid;		/* of the row */
	bool		live;			/* the states are, and belong to open.c */
	bool		taken;			/* its group has been dealt with */
	Datum	   *keys;
	bool	   *key_nulls;
	Datum	   *states;			/* as stored, or live */
	bool	   *state_nulls;
} SxPane;

typedef struct SxPaneList
{
	MemoryContext cxt;
	int			n;
	int			max;
	SxPane	   *panes;
} SxPaneList;

/* The windows of a group to be written, ascending. */
typedef struct SxPaneWindows
{
	int64		n;
	int64		max;
	int64	   *keys;
} SxPaneWindows;

/* Are the keys beside the pane equal? */
extern bool sx_panes_same_group(const SxResult *r, const Datum *a, const bool *anulls,
								const Datum *b, const bool *bnulls);

/* In a context of its own below the current one. */
extern void sx_pane_list_init(SxPaneList *panes);
extern void sx_pane_list_reset(SxPaneList *panes);

/* Room for one more, at the end. */
extern SxPane *sx_pane_list_extend(SxPaneList *panes);

/* Add the row in the slot; its states only if they are asked for. */
extern void sx_pane_list_add(SxPaneList *panes, const SxResult *r,
							 TupleTableSlot *slot, bool states);

/*
 * Add the windows that a pane is in and that end after "after", not after
 * "until"; panes come in their order.
 */
extern void sx_pane_windows_add(SxPaneWindows *windows, const SxPanes *panes,
								int64 pane, int64 after, int64 until);

/* Merges windows from panes and writes them, in the current context. */
typedef struct SxPaneWriter SxPaneWriter;

extern SxPaneWriter *sx_pane_writer_begin(SxResult *r);

/* The panes are of one group and in order, the windows too. */
extern void sx_pane_writer_add(SxPaneWriter *writer, SxPane **panes, int n,
							   const SxPaneWindows *windows);

/* Returns the rows written. */
extern int64 sx_pane_writer_end(SxPaneWriter *writer);

#endif							/* SX_RESULT_PANES_INTERNAL_H */
