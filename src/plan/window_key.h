/*-------------------------------------------------------------------------
 * window_key.h
 *		Which grouping column of a query is a window over event time.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_WINDOW_KEY_H
#define SX_PLAN_WINDOW_KEY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "window/window.h"

/*
 * sx_plan_window_call -- the call that makes an expression a window
 *
 * tumble, hop, cumulate, session, date_bin or date_trunc over a stream's event
 * time, seen through subqueries and joins of the (rewritten) query; over UNION ALL it
 * has to be the event time in each branch.  Points into the query; NULL: the
 * expression is none.  *arg: number of the argument that is the event time.
 */
extern FuncExpr *sx_plan_window_call(Query *query, Node *expr, int *arg);

/* Number of the argument that a window function takes the time from; -1 */
extern int	sx_plan_window_argument(Oid funcid);

/*
 * Can the watermark close the windows of an expression that the above knows?
 * Not where they are made of a date of the event time, or of its local time.
 */
extern bool sx_plan_window_closes(Query *query, Node *expr);

/*
 * sx_plan_window -- the window that a call makes; NULL: its size is no
 * constant, so nobody knows when it ends
 */
extern SxWindow *sx_plan_window(const FuncExpr *call);

/*
 * An expression for the start of the last window of a row (over the level of
 * the query at which key stands); NULL: it cannot be told there.
 */
extern Expr *sx_plan_last_window(const FuncExpr *call, Expr *key);

/* tumble(ts, size [, origin]) with the time and the origin of a call of hop */
extern Expr *sx_plan_tumble(const FuncExpr *call, Node *size);

/* Argument "arg" if there is one and it is a constant that is not NULL. */
extern Const *sx_plan_window_constant(const FuncExpr *call, int arg);

/* ERROR if the call would raise one for any time, by its constants. */
extern void sx_plan_check_window(const FuncExpr *call, int arg);

/*
 * Wrap the event time of a call, in place, so that a row without one (NULL,
 * infinite) fails instead of making a group of its own.
 */
extern void sx_plan_require_event_time(FuncExpr *call, int arg);

#endif							/* SX_PLAN_WINDOW_KEY_H */
