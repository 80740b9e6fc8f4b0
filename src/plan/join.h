/*-------------------------------------------------------------------------
 * join.h
 *		Views that join streams: what is held of each, how long, and the
 *		queries that pair a batch with what is held.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_JOIN_H
#define SX_PLAN_JOIN_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

/*
 * The other side's event time is at most expr, an expression over the stream
 * as varno 1 (timestamptz, timestamp; NULL: no row of the other side does).
 */
typedef struct SxJoinBound
{
	Expr	   *expr;
	bool		strict;			/* less than */
} SxJoinBound;

/* One place of FROM at which a stream stands. */
typedef struct SxJoinSide
{
	Oid			stream;
	const char *name;			/* of the stream, for messages */
	List	   *path;			/* numbers in the range tables from the top of
								 * the query down to it */
	int			natts;
	int			ncols;			/* columns that are held */
	AttrNumber *attnos;			/* ascending */
	List	   *filters;		/* over the stream as varno 1: what has to
								 * hold of a row that can matter at all */
	AttrNumber	time_attno;		/* its event time; 0: none that is a column */
	List	   *index_attnos;	/* equality with something else */
	bool		range_index;	/* bounds alone tie it to another side */

	/*
	 * per other side, in their order: list of SxJoinBound, each of which
	 * holds
	 */
	List	   *bounds;
	bool		expires;		/* bounds for all the others: a row goes when
								 * none of theirs that is still to come can
								 * match it */
	bool		timed;			/* bounds of the others count on its event
								 * time: a late row does not take part */
	bool		preserved;		/* rows without a partner come as well */
} SxJoinSide;

typedef struct SxJoin
{
	int			nsides;
	SxJoinSide *sides;

	/* an outer join of two: where it stands */
	bool		outer;
	List	   *outer_path;		/* of the query whose FROM has it */
	int			outer_rtindex;
	bool		left_first;		/* side 0 is on its left */
} SxJoin;

typedef struct SxShape SxShape;

/*
 * sx_plan_join -- how streams that a query joins are to be held
 *
 * query: rewritten, WITH queries inlined; not changed.  NULL: it has but one
 * stream, or a union of them.  ERROR 0A000 if the join cannot be maintained.
 */
extern SxJoin *sx_plan_join(Query *query, const char *viewname);

/*
 * The same join in another form of the query: below more subqueries, or less.
 */
extern void sx_plan_join_locate(SxJoin *join, Query *query);

/* Number of the side whose event time the expression is; -1: of none. */
extern int	sx_plan_join_time_side(const SxJoin *join, Query *query, Node *expr);

/* Is the side filled with NULLs where a row of the other has no partner? */
#define sx_plan_join_nullable(join, side) \
	((join)->outer && (join)->sides[1 - (side)].preserved)

/*
 * Does the time of the side end: is there a time before which no row comes
 * out any more?
 */
#define sx_plan_join_ends(join, side) \
	((join)->sides[side].expires && (join)->sides[side].timed)

/* Columns of the tables of rows that are held. */
#define SX_HELD_EXPIRY		1	/* int8: no row still to come matches when the
								 * watermark is beyond it */
#define SX_HELD_TIME		2	/* int8: event time; NULL unless timed */
#define SX_HELD_PARTITION	3	/* int4, int8: where the row came from */
#define SX_HELD_POSITION	4
#define SX_HELD_FIRST		5	/* the columns */

/*
 * sx_plan_join_pairs -- plan: the view's query with the batch in the place of
 * one side, and what is held (tables by side) in that of the others
 *
 * unmatched: for a side of an outer join whose rows are in the batch: those
 * without a partner, else pairs only.
 */
extern PlannedStmt *sx_plan_join_pairs(const SxShape *shape, int side,
									   const Oid *held, bool unmatched,
									   double rows);

/*
 * sx_plan_join_so_far -- leave out what an outer join has not given yet
 *
 * query: the one that sx_plan_join() had, changed in place: rows without a
 * partner come only if they have expired at closed_us.
 */
extern void sx_plan_join_so_far(Query *query, const SxJoin *join, int64 closed_us);

/*
 * Plan: of the rows of a batch that matter to the side: event time (if it is
 * timed), the columns to be held, bounds in order.
 */
extern PlannedStmt *sx_plan_join_hold(const SxShape *shape, int side);

#endif							/* SX_PLAN_JOIN_H */
