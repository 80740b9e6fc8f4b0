/*-------------------------------------------------------------------------
 * closing.h
 *		How far the result of a view is complete: which of its windows can
 *		change no more, by the watermarks of the views below it.
 *
 * For views over the results of other views that emit final rows.  A view
 * over streams closes its windows itself; what is made of its window column,
 * bare or by fixed windows over it, is complete as far as that is.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_CLOSING_H
#define SX_PLAN_CLOSING_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/primnodes.h"

#include "plan/plan.h"
#include "window/window.h"

/* A window function with all its arguments but the time. */
typedef struct SxWindowCall
{
	SxWindow   *window;
	bool		tumble;			/* else, if fixed, date_bin or date_trunc */
	Interval	step;			/* of tumble its size, of hop the slide */
	Interval	size;
	bool		has_origin;
	int64		origin;
	FmgrInfo	function;
	int			nargs;
	int			time;			/* number of the argument that is the time */
	Datum		args[4];
} SxWindowCall;

/* The column of a view's result that is a window, and how it closes. */
typedef struct SxClosing
{
	Oid			view;			/* InvalidOid: of the view that was asked
								 * about */
	AttrNumber	column;
	Oid			typid;			/* timestamptz or timestamp */
	SxWindow   *window;
	SxWindowCall *call;			/* of a view over streams */
	List	   *uses;			/* SxClosingUse: of one over other views */
} SxClosing;

/* Per use of a source in the query: what the column is of the source's row. */
typedef struct SxClosingUse
{
	SxClosing  *source;
	Expr	   *expr;			/* over the row as varno 1 */
	Var		   *var;			/* the source's window column in it */
	List	   *calls;			/* SxWindowCall, the innermost first */
} SxClosingUse;

/*
 * sx_plan_find_closing -- how the windows of a view over other views close
 *
 * Fills in shape->derivation->closing.  ERROR 0A000 if they do not.
 */
extern void sx_plan_find_closing(const SxShape *shape, const char *viewname);

/*
 * The least window, by its column, that is open when all that ended by this
 * time is closed; in the settings of the view.
 */
extern int64 sx_plan_open_window(const SxWindowCall *call, int64 closed_us);

/* Fixed windows over a window, one after the other. */
extern int64 sx_plan_windows_of(const List *calls, int64 us);

#endif							/* SX_PLAN_CLOSING_H */
