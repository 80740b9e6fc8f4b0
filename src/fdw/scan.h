/*-------------------------------------------------------------------------
 * scan.h
 *		Parts of the foreign data wrapper, among themselves.
 *-------------------------------------------------------------------------
 */
#ifndef SX_FDW_SCAN_H
#define SX_FDW_SCAN_H

#include "postgres.h"

#include "foreign/fdwapi.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "fdw/batch_scan.h"

/* ---- conditions on a message's place (pushdown.c) ----------------------- */

/*
 * Where messages that a query can want may be.  Always at least as much as
 * its conditions ask for, which the executor checks on each row as well.
 */
typedef struct SxScanRange
{
	bool		nothing;		/* no message can do */
	int32		first_partition;	/* inclusive */
	int32		last_partition;
	bool		listed;			/* only those of the list as well */
	int			npartitions;
	int32	   *partitions;		/* sorted, without duplicates */
	int64		from_offset;	/* half-open; PG_INT64_MAX: no end */
	int64		to_offset;
	bool		has_from_time;
	int64		from_time_us;	/* TimestampTz: no older message */
} SxScanRange;

extern bool sx_fdw_range_has_partition(const SxScanRange *range, int32 partition);

/* Those of the plan's conditions that range_init will make use of. */
extern List *sx_fdw_pushed_conditions(const ForeignScan *plan,
									  const SxStream *stream);

/* Evaluates the pushed conditions of a scan that is about to read. */
extern void sx_fdw_range_init(SxScanRange *range, ForeignScanState *node,
							  const SxStream *stream);

/* ---- bounded reading of a source (bounded.c) ---------------------------- */

typedef struct SxBoundedScan SxBoundedScan;

/* What scans of a stream one after the other have in common: its client. */
typedef struct SxBoundedReader SxBoundedReader;

/*
 * statement: the statement's memory context; all readers of a stream in it
 * agree on where the stream ends.  bounds: NULL: all that is there now.
 * Lives in the current context.  Does not wait for the network.
 */
extern SxBoundedReader *sx_fdw_bounded_reader(const SxStream *stream,
											  const SxScanBounds *bounds,
											  MemoryContext statement);

/*
 * Start to read.  Lives in the current context, which has to be the reader's
 * or a child of it; one at a time.
 */
extern SxBoundedScan *sx_fdw_bounded_begin(SxBoundedReader *reader,
										   const SxScanRange *range);

/* The next rows, resolved; NULL: the end.  Valid until the next call. */
extern SxBatch *sx_fdw_bounded_next(SxBoundedScan *scan);

/* Messages that did not decode so far. */
extern int64 sx_fdw_bounded_rejects(const SxBoundedScan *scan);

/* Also done when its context goes. */
extern void sx_fdw_bounded_end(SxBoundedScan *scan);

/* ---- scan (scan.c) and insert (modify.c) callbacks ----------------------- */

extern void sx_fdw_begin_scan(ForeignScanState *node, int eflags);
extern TupleTableSlot *sx_fdw_iterate_scan(ForeignScanState *node);
extern void sx_fdw_rescan(ForeignScanState *node);
extern void sx_fdw_end_scan(ForeignScanState *node);
extern void sx_fdw_explain_scan(ForeignScanState *node,
								struct ExplainState *es);

extern void sx_fdw_modify_routine(FdwRoutine *routine);

#endif							/* SX_FDW_SCAN_H */
