/*-------------------------------------------------------------------------
 * exec.h
 *		Runs a view's plan over a batch.
 *-------------------------------------------------------------------------
 */
#ifndef SX_EXEC_EXEC_H
#define SX_EXEC_EXEC_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "tcop/dest.h"

#include "fdw/batch_scan.h"
#include "window/window.h"

/*
 * Rows that came out of a plan, row by row: value c of row r is
 * values[r * ncols + c].  Everything in the context given to
 * sx_exec_collector.
 */
typedef struct SxRows
{
	int			ncols;
	int64		nrows;
	int64		maxrows;
	Datum	   *values;
	bool	   *nulls;
} SxRows;

/* A receiver that copies what it gets into *rows, in context cxt. */
extern DestReceiver *sx_exec_collector(SxRows *rows, MemoryContext cxt);

/*
 * sx_exec_run -- run a plan over the rows of an input
 *
 * Needs an active snapshot; whatever the plan allocates is gone afterwards.
 * Raises what the view's expressions raise.
 */
extern void sx_exec_run(PlannedStmt *plan, const SxScanInput *input,
						DestReceiver *dest);

/* The same where windows that end at or before closed_us are closed; window NULL: none. */
extern void sx_exec_run_closed(PlannedStmt *plan, const SxScanInput *input, DestReceiver *dest,
							   const SxWindow *window, int64 closed_us);

/* The same for a plan over tables, with parameters. */
extern void sx_exec_query(PlannedStmt *plan, ParamListInfo params,
						  DestReceiver *dest);

#endif							/* SX_EXEC_EXEC_H */
