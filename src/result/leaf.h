/*-------------------------------------------------------------------------
 * leaf.h
 *		The partitions of a result that is partitioned by the window column:
 *		found, made ahead of the first row that needs them, dropped when they
 *		are wholly past.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_LEAF_H
#define SX_RESULT_LEAF_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"

#include "result/writer.h"

typedef struct SxLeaf
{
	Oid			relid;
	int64		from_us;		/* values of the window column: from here ... */
	int64		to_us;			/* ... to before here */
	SxWriter   *writer;
} SxLeaf;

/* Of a writer: those that it has opened. */
typedef struct SxLeaves
{
	Oid			relid;			/* the result */
	AttrNumber	attno;			/* its window column */
	Oid			type;			/* of that */
	int64		period_us;		/* of partitions to be made; 0: none are */
	int			fillfactor;		/* of these */
	List	   *leaves;			/* SxLeaf */
	SxLeaf	   *last;			/* the one used last */
} SxLeaves;

/*
 * The partition for a value of the window column, open until its writer ends.
 * NULL: there is none, and make is false.
 */
extern SxLeaf *sx_leaf_get(SxWriter *writer, int64 value_us, bool make);

/*
 * Drop some of the partitions whose values are all below this, if nobody uses
 * the table just now.  Returns how many; *left: there are more.  Takes an
 * access exclusive lock on the table until the end of the transaction, if it
 * is to be had at once.  No writer may have the table open.
 */
extern int	sx_leaf_drop_before(Oid result, int64 before_us, bool *left);

#endif							/* SX_RESULT_LEAF_H */
