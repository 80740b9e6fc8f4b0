/*-------------------------------------------------------------------------
 * difference.h
 *		Inside of the room: brings rows of a result table to what they should
 *		be.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_DIFFERENCE_H
#define SX_RESULT_DIFFERENCE_H

#include "postgres.h"

#include "result/merge.h"

/* Which rows are meant. */
typedef struct SxDifferenceScope
{
	SxResult   *r;
	const SxKeyOps *keyops;		/* of the result's key, if it has one */
	int			nparts;			/* partition columns; 0: all rows */
	const SxKey *parts;
	const SxKeyOps *partops;
	SxGroups   *touched;		/* only of these partitions; the others are
								 * left out of both sides */
} SxDifferenceScope;

/*
 * sx_difference_write -- old: (columns of the table, ctid); new: the query's
 * columns.  Returns the rows written.
 */
extern int64 sx_difference_write(const SxDifferenceScope *scope, const SxRows *old,
								 const SxRows *new);

/* Keys too long for the result's key index as it is change it first. */
extern void sx_difference_check_keys(const SxDifferenceScope *scope, const SxRows *rows);

#endif							/* SX_RESULT_DIFFERENCE_H */
