/*-------------------------------------------------------------------------
 * state.c
 *		Whether the server does its part: streamx.server_state().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/version.h"
#include "stats/stats.h"
#include "worker/control.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_server_state);

/*
 * streamx.server_state(OUT library text, OUT preloaded boolean,
 *		OUT enabled boolean, OUT scheduler boolean, OUT workers int,
 *		OUT refused timestamptz, OUT full boolean)
 *
 * All but the first two are NULL where the library is not preloaded.
 */
Datum
streamx_server_state(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {0};
	bool		scheduler = false;
	int			workers = 0;
	TimestampTz refused = 0;
	SxDatabase *db;
	int			i;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(SX_VERSION);
	values[1] = BoolGetDatum(sx_worker_preloaded());
	if (!sx_worker_preloaded())
		memset(nulls + 2, true, sizeof(nulls) - 2);
	else
	{
		LWLockAcquire(sx_control->lock, LW_SHARED);
		for (i = 0; i < sx_control->nslots; i++)
		{
			SxSlot	   *slot = &sx_control->slots[i];

			if (!slot->used || slot->dbid != MyDatabaseId || slot->pid == 0)
				continue;
			if (slot->index == SX_SCHEDULER)
				scheduler = true;
			else
				workers++;
		}
		db = sx_control_database(MyDatabaseId, false);
		if (db)
			refused = db->refused;
		LWLockRelease(sx_control->lock);
		values[2] = BoolGetDatum(sx_enabled);
		values[3] = BoolGetDatum(scheduler);
		values[4] = Int32GetDatum(workers);
		values[5] = TimestampTzGetDatum(refused);
		nulls[5] = refused == 0;
		values[6] = BoolGetDatum(sx_stats_full());
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
