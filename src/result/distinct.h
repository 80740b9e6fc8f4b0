/*-------------------------------------------------------------------------
 * distinct.h
 *		Inside of the room: the values that DISTINCT aggregates have seen.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_DISTINCT_H
#define SX_RESULT_DISTINCT_H

#include "postgres.h"

#include "access/htup.h"

#include "result/merge.h"

/* What sx_result_open makes for a view with such aggregates. */
extern struct SxDistinct *sx_distinct_open(const SxResult *result);

/*
 * sx_distinct_take -- keep the values of a batch, make states of the new ones
 *
 * rows: as the batch query gives them, with sets of values in place of states;
 * as the merge wants them afterwards.  Rows of groups to which the batch
 * brings nothing new are left out.
 */
extern void sx_distinct_take(SxResult *result, SxRows *rows);

/* The groups are over: their values go. */
typedef struct SxDistinctRemoval SxDistinctRemoval;

extern SxDistinctRemoval *sx_distinct_remove_begin(SxResult *result);
extern void sx_distinct_remove(SxDistinctRemoval *removal, const SxGroup *group);
extern void sx_distinct_remove_end(SxDistinctRemoval *removal);

/* What is in memory is a cache, as that of groups is. */
extern void sx_distinct_forget(SxResult *result);
extern void sx_distinct_trim(SxResult *result);
extern int64 sx_distinct_memory(const SxResult *result);

/* ---- distinct_values.c: the set of a batch, from its bytea ---- */

typedef struct SxValueScan
{
	char	   *next;
	char	   *end;
} SxValueScan;

extern void sx_value_scan_begin(SxValueScan *scan, Datum set);

/* A value as a row of its columns; NULL: there are no more. */
extern MinimalTuple sx_value_scan_next(SxValueScan *scan);

#endif							/* SX_RESULT_DISTINCT_H */
