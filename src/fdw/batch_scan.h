/*-------------------------------------------------------------------------
 * batch_scan.h
 *		What a scan of a stream reads: rows of batches in memory, or a bounded
 *		stretch of the source.
 *
 * A scan of a foreign table of wrapper streamx decides when it begins: an
 * input bound to its relation makes it a scan over memory; else it is a
 * bounded SELECT of the source, of all that is kept or between the bounds
 * set here.
 *
 * Both are set and cleared by the caller around planning and execution
 * (PG_TRY / PG_FINALLY); the end of a transaction clears them too.  What they
 * point to has to stay until then.
 *-------------------------------------------------------------------------
 */
#ifndef SX_FDW_BATCH_SCAN_H
#define SX_FDW_BATCH_SCAN_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "storage/off.h"

#include "base/batch.h"

typedef struct SxScanInput
{
	Oid			stream;			/* whose rows these are */
	List	   *streams;		/* Oids: scans of others of these are empty */
	SxBatch   **batches;		/* resolved: no deferred cells */
	int			nbatches;
	int64		first_row;		/* row numbers over all batches in order, */
	int64		end_row;		/* half-open */
} SxScanInput;

/*
 * Scans of input->stream that begin from now on read these, those of other
 * streams of the list nothing; NULL: none.
 */
extern void sx_fdw_bind(const SxScanInput *input);

/*
 * Row number that the scan of the bound input returned last, -1: none yet
 * since sx_fdw_bind().  Where the executor pipelines rows, an error belongs
 * to that row.
 */
extern int64 sx_fdw_last_row(void);

/*
 * The ctid of a stream's row is its number over all batches, while an input
 * is bound; here is the number.
 */
static inline int64
sx_fdw_row_of(ItemPointer ctid)
{
	return ((int64) ItemPointerGetBlockNumber(ctid) << 15) +
		ItemPointerGetOffsetNumber(ctid) - FirstOffsetNumber;
}

static inline void
sx_fdw_set_row(ItemPointer ctid, int64 row)
{
	ItemPointerSet(ctid, (BlockNumber) (row >> 15),
				   (OffsetNumber) (row & 0x7FFF) + FirstOffsetNumber);
}

/* Where that row came from. */
extern void sx_fdw_last_place(int32 *partition, int64 *position);

/* Rows that the planner expects of a stream; 0: not planning a batch. */
extern double sx_fdw_batch_rows;

/* A message that a bounded scan leaves out. */
typedef struct SxSkip
{
	int32		partition;
	int64		position;
} SxSkip;

/*
 * What exactly a scan of a stream reads: per partition [from, to), less the
 * skipped ones.  A partition that "to" does not name is not read; one that
 * "from" does not name is read from where the source begins.
 */
typedef struct SxScanBounds
{
	Oid			stream;
	SxPosition *from;
	int			nfrom;
	SxPosition *to;
	int			nto;
	SxSkip	   *skip;
	int			nskip;
	struct SxScanBounds *next;	/* of another stream, or NULL */
} SxScanBounds;

/* For bounded scans that begin from now on, one per stream; NULL: none. */
extern void sx_fdw_set_bounds(const SxScanBounds *bounds);

#endif							/* SX_FDW_BATCH_SCAN_H */
