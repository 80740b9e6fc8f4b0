/*-------------------------------------------------------------------------
 * session.h
 *		Inside of the room: queries that group by session(ts, gap).
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_SESSION_H
#define SX_PLAN_SESSION_H

#include "postgres.h"

#include "plan/plan.h"

/* The call if the expression is one of session(ts, gap), else NULL. */
extern FuncExpr *sx_plan_session_call(Node *expr);

/* Is there a call in the expression?  Its value depends on other rows. */
extern bool sx_plan_has_session(Node *expr);

/* The time that a call takes, as a timestamp with or without zone. */
extern Expr *sx_plan_session_time(const FuncExpr *call);

/*
 * sx_plan_expand_sessions -- queries that group by session() become ones that
 * group over a subquery with the window function behind it
 *
 * In place, at every level of the query.  ERROR for what cannot be.
 */
extern void sx_plan_expand_sessions(Query *query);

/*
 * sx_plan_find_session -- fill shape->session if a key of it is one
 *
 * The query is that of a continuous view, its keys are known.  Refuses calls
 * that are no grouping column.
 */
extern void sx_plan_find_session(SxShape *shape, Query *query,
								 const char *viewname);

/* Adds what is kept of each session to the aggregates of the query. */
extern List *sx_plan_session_aggregates(SxShape *shape, List *aggrefs);

#endif							/* SX_PLAN_SESSION_H */
