/*-------------------------------------------------------------------------
 * handler.c
 *		The foreign data wrapper streamx: its callbacks, and planning of
 *		scans.
 *
 * The planner knows nothing of a stream but a number of rows: that of the
 * batch it plans for (sx_fdw_batch_rows), or a guess.  What a scan reads is
 * decided when it begins, see scan.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/batch_scan.h"
#include "fdw/scan.h"

/* Rows of a stream that nothing is known of. */
#define DEFAULT_ROWS	10000

double		sx_fdw_batch_rows = 0;

PG_FUNCTION_INFO_V1(streamx_fdw_handler);

static void
get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	baserel->tuples = sx_fdw_batch_rows > 0 ? sx_fdw_batch_rows : DEFAULT_ROWS;
	set_baserel_size_estimates(root, baserel);
}

static void
get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	Cost		startup = baserel->baserestrictcost.startup;
	Cost		total = startup + baserel->tuples *
	(cpu_tuple_cost + baserel->baserestrictcost.per_tuple);

	add_path(baserel, (Path *)
			 sx_create_foreignscan_path(root, baserel, NULL, baserel->rows, 0,
										startup, total, NIL,
										baserel->lateral_relids, NULL, NIL,
										NIL));
}

/* fdw_private: the attribute numbers that the scan has to fill in. */
static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
		 ForeignPath *best_path, List *tlist, List *scan_clauses,
		 Plan *outer_plan)
{
	Bitmapset  *used = NULL;
	List	   *attnos = NIL;
	bool		whole_row;
	int			attno;

	scan_clauses = extract_actual_clauses(scan_clauses, false);
	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &used);
	pull_varattnos((Node *) scan_clauses, baserel->relid, &used);
	whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (attno = 1; attno <= baserel->max_attr; attno++)
	{
		if (whole_row ||
			bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, used))
			attnos = lappend_int(attnos, attno);
	}
	return make_foreignscan(tlist, scan_clauses, baserel->relid, NIL,
							list_make1(attnos), NIL, NIL, outer_plan);
}

Datum
streamx_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->BeginForeignScan = sx_fdw_begin_scan;
	routine->IterateForeignScan = sx_fdw_iterate_scan;
	routine->ReScanForeignScan = sx_fdw_rescan;
	routine->EndForeignScan = sx_fdw_end_scan;
	routine->ExplainForeignScan = sx_fdw_explain_scan;
	sx_fdw_modify_routine(routine);
	PG_RETURN_POINTER(routine);
}
