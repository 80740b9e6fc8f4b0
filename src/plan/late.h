/*-------------------------------------------------------------------------
 * late.h
 *		Inside of the room: the query that tells which rows were late.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_LATE_H
#define SX_PLAN_LATE_H

#include "postgres.h"

#include "plan/grouping_sets.h"

/*
 * sx_plan_late_query -- which rows of a batch had only closed windows
 *
 * query: as it is before the windows' event times are wrapped; its grouping
 * column key is the window that call makes.  The query's one column is the
 * number of a row (see sx_fdw_row_of), each row once.  NULL: cannot be told.
 */
extern Query *sx_plan_late_query(const Query *query, const SxGroupingSets *sets,
								 const FuncExpr *call, Expr *key);

/*
 * The same for a session, where it depends on other rows: the columns are the
 * number of a row, which may come several times, and the keys, the time in
 * place of the session.
 */
extern Query *sx_plan_late_sessions(const Query *query, const SxShape *shape);

#endif							/* SX_PLAN_LATE_H */
