/*-------------------------------------------------------------------------
 * from.h
 *		What stands in FROM: streams, and what is between them and the top.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_FROM_H
#define SX_PLAN_FROM_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* The streams of a query that reach its top row by row. */
typedef struct SxFrom
{
	List	   *streams;		/* their OIDs, each once */
	bool		joins;			/* some of them are joined with each other */
} SxFrom;

/* How often streams are used in a query or expression (rewritten). */
extern int	sx_plan_count_streams(Node *node);

/*
 * Put WITH queries where they are used, in place: those that hold a stream, or
 * all that can be.
 */
extern void sx_plan_inline(Query *query, bool all);

/*
 * sx_plan_check_from -- does each stream reach the top as it has to?
 *
 * Through filters, projections, joins, preserved sides of outer joins and
 * UNION ALL.  Refuses all else by name.  What stands on top is not looked at.
 */
extern SxFrom sx_plan_check_from(Query *query, const char *viewname);

#endif							/* SX_PLAN_FROM_H */
