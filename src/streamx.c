/*-------------------------------------------------------------------------
 * streamx.c
 *		Where the library is loaded: a list of calls.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "base/stop.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "plan/plan.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(streamx_require_preload);

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	sx_guc_init();
#ifdef SX_STOP_POINTS
	sx_stop_init();
#endif
	sx_ddl_init();
	sx_plan_init();
	sx_worker_init();
}

/* streamx.require_preload(): an error with the cure, or nothing */
Datum
streamx_require_preload(PG_FUNCTION_ARGS)
{
	sx_worker_require_preloaded();
	sx_worker_wake();			/* there may be something to do here from now
								 * on */
	PG_RETURN_VOID();
}
