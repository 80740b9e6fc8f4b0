/*-------------------------------------------------------------------------
 * pane.h
 *		Panes: the smallest slices of time that windows share.
 *
 * A window of hop or cumulate is a run of panes.  All times are microseconds,
 * sizes are without months; a pane is known by its start, a window by what
 * the function returns for it (hop: its start, cumulate: its end).
 *-------------------------------------------------------------------------
 */
#ifndef SX_WINDOW_PANE_H
#define SX_WINDOW_PANE_H

#include "postgres.h"

#include "window/window.h"

typedef struct SxPanes
{
	SxWindowKind kind;			/* hop or cumulate */
	int64		pane_us;
	int64		slide_us;		/* from one window to the next */
	int64		size_us;		/* of the largest window */
	int64		origin_us;
} SxPanes;

/*
 * sx_panes_init -- the panes of hop(ts, slide, size [, origin]) or
 * cumulate(ts, step, size)
 *
 * false: they have none that are worth it (months, slides greater than the
 * size or with hardly a common measure, sizes that are an error).
 */
extern bool sx_panes_init(SxPanes *panes, SxWindowKind kind,
						  const Interval *slide, const Interval *size,
						  bool has_origin, int64 origin_us);

/* The first and the last window that a pane is in. */
extern int64 sx_pane_first_window(const SxPanes *panes, int64 pane);
extern int64 sx_pane_last_window(const SxPanes *panes, int64 pane);

/* The panes of a window: from <= start < to; it ends at to. */
extern void sx_pane_bounds(const SxPanes *panes, int64 window,
						   int64 *from, int64 *to);

/* When the first of a pane's windows ends that ends after closed. */
extern int64 sx_pane_next_end(const SxPanes *panes, int64 pane, int64 closed);

/* When the last of them ends: then the pane is not needed any more. */
extern int64 sx_pane_last_end(const SxPanes *panes, int64 pane);

/* ERROR as the window function's where its windows are out of range. */
extern void sx_pane_check(const SxPanes *panes, int64 pane);

#endif							/* SX_WINDOW_PANE_H */
