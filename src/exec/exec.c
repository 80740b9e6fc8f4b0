/*-------------------------------------------------------------------------
 * exec.c
 *		Runs a view's plan over a batch, and collects what comes out.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "compat.h"
#include "exec/exec.h"
#include "stats/history.h"

typedef struct Collector
{
	DestReceiver pub;
	SxRows	   *rows;
	MemoryContext cxt;
	bool	   *byval;
	int16	   *len;
} Collector;

static void
collect_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Collector  *c = (Collector *) self;
	MemoryContext old = MemoryContextSwitchTo(c->cxt);
	int			i;

	c->rows->ncols = desc->natts;
	c->rows->nrows = 0;
	c->rows->maxrows = 1024;
	c->rows->values = palloc(sizeof(Datum) * Max(desc->natts, 1) * c->rows->maxrows);
	c->rows->nulls = palloc(sizeof(bool) * Max(desc->natts, 1) * c->rows->maxrows);
	c->byval = palloc(sizeof(bool) * Max(desc->natts, 1));
	c->len = palloc(sizeof(int16) * Max(desc->natts, 1));
	for (i = 0; i < desc->natts; i++)
	{
		c->byval[i] = TupleDescAttr(desc, i)->attbyval;
		c->len[i] = TupleDescAttr(desc, i)->attlen;
	}
	MemoryContextSwitchTo(old);
}

static bool
collect_receive(TupleTableSlot *slot, DestReceiver *self)
{
	Collector  *c = (Collector *) self;
	SxRows	   *rows = c->rows;
	int			n = rows->ncols;
	Datum	   *values;
	bool	   *nulls;
	MemoryContext old;
	int			i;

	slot_getallattrs(slot);
	old = MemoryContextSwitchTo(c->cxt);
	if (rows->nrows == rows->maxrows)
	{
		rows->maxrows *= 2;
		rows->values = repalloc_huge(rows->values, sizeof(Datum) * Max(n, 1) * rows->maxrows);
		rows->nulls = repalloc_huge(rows->nulls, sizeof(bool) * Max(n, 1) * rows->maxrows);
	}
	values = rows->values + rows->nrows * n;
	nulls = rows->nulls + rows->nrows * n;
	for (i = 0; i < n; i++)
	{
		nulls[i] = slot->tts_isnull[i];
		if (nulls[i] || c->byval[i])
			values[i] = slot->tts_values[i];
		else if (c->len[i] == -1 &&
				 VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(slot->tts_values[i])))
		{
			/* of a joined table, where it may be gone before we are */
			values[i] = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(slot->tts_values[i])));
		}
		else
			values[i] = datumCopy(slot->tts_values[i], false, c->len[i]);
	}
	rows->nrows++;
	MemoryContextSwitchTo(old);
	return true;
}

static void
collect_shutdown(DestReceiver *self)
{
}

static void
collect_destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
sx_exec_collector(SxRows *rows, MemoryContext cxt)
{
	Collector  *c = palloc0(sizeof(Collector));

	c->pub.receiveSlot = collect_receive;
	c->pub.rStartup = collect_startup;
	c->pub.rShutdown = collect_shutdown;
	c->pub.rDestroy = collect_destroy;
	c->pub.mydest = DestNone;
	c->rows = rows;
	c->cxt = cxt;
	memset(rows, 0, sizeof(*rows));
	return &c->pub;
}

pg_noinline void
sx_exec_query(PlannedStmt *plan, ParamListInfo params, DestReceiver *dest)
{
	QueryDesc  *desc;

	desc = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot,
						   dest, params, NULL, 0);
	ExecutorStart(desc, 0);
	sx_executor_run(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
}

void
sx_exec_run(PlannedStmt *plan, const SxScanInput *input, DestReceiver *dest)
{
	int64		begin = sx_clock_us();
	int64		written = sx_spent.write_us;

	sx_fdw_bind(input);
	PG_TRY();
	{
		sx_exec_query(plan, NULL, dest);
	}
	PG_FINALLY();
	{
		sx_fdw_bind(NULL);
		sx_spent.execute_us += sx_clock_us() - begin - (sx_spent.write_us - written);
	}
	PG_END_TRY();
}

void
sx_exec_run_closed(PlannedStmt *plan, const SxScanInput *input, DestReceiver *dest,
				   const SxWindow *window, int64 closed_us)
{
	sx_window_set_late(window, closed_us);
	PG_TRY();
	{
		sx_exec_run(plan, input, dest);
	}
	PG_FINALLY();
	{
		sx_window_set_late(NULL, PG_INT64_MIN);
	}
	PG_END_TRY();
}
