/*-------------------------------------------------------------------------
 * final.c
 *		Rows of windows that have closed are written.
 *
 * They are new, as a rule: they are appended without looking.  If that meets a
 * row with the same key (a user's), it is undone and they are written one by
 * one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "result/final.h"

/* Write rows one by one, in the place of those that are there already. */
static int64
store_rows(SxResult *r, void *const *rows, int64 n, SxFinalLoad load)
{
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);
	int64		written = 0;
	int64		i;

	for (i = 0; i < n; i++)
	{
		SxGroup		g = {0};
		Datum	   *values = NULL;
		bool	   *nulls = NULL;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSetInvalid(&g.result_tid);
		load(r, rows[i], &g, &values, &nulls);
		written += sx_result_store(r, writer, index, &g, values, nulls);
		if (values == NULL)
			sx_aggregates_reset(&r->aggs);
	}
	sx_key_index_end(index);
	sx_writer_end(writer);
	return written;
}

/* Append rows.  Those that HAVING excludes are left out: excluded gets them. */
static int64
append_rows(SxResult *r, void *const *rows, int64 n, SxFinalLoad load,
			void **excluded, volatile int64 *nexcluded)
{
	int64		written;
	DestReceiver *dest = sx_result_appender(r, &written);
	Relation	rel = table_open(r->view->relid, RowExclusiveLock);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel),
													&TTSOpsVirtual);
	int64		i;

	*nexcluded = 0;
	dest->rStartup(dest, CMD_INSERT, RelationGetDescr(rel));
	for (i = 0; i < n; i++)
	{
		SxGroup		g = {0};
		Datum	   *values = NULL;
		bool	   *nulls = NULL;

		CHECK_FOR_INTERRUPTS();
		load(r, rows[i], &g, &values, &nulls);
		if (sx_result_project(r, &g, values, nulls, slot))
			dest->receiveSlot(slot, dest);
		else
			excluded[(*nexcluded)++] = rows[i];
		if (values == NULL)
			sx_aggregates_reset(&r->aggs);
	}
	dest->rShutdown(dest);
	dest->rDestroy(dest);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return written;
}

int64
sx_final_write(SxResult *r, void *const *rows, int64 n, SxFinalLoad load)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;
	volatile int64 written = -1;
	volatile int64 nexcluded = 0;
	void	  **excluded;

	if (n == 0)
		return 0;
	if (r->emit != NULL || r->shed != SX_SHED_NOTHING || r->view->period_us > 0)
		return store_rows(r, rows, n, load);
	excluded = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(void *) * n);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		written = append_rows(r, rows, n, load, excluded, &nexcluded);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		written = -1;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	if (edata != NULL)
	{
		if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(edata);
		FreeErrorData(edata);
	}
	if (written < 0)
		written = store_rows(r, rows, n, load);
	else if (nexcluded > 0)
	{
		/* what is there under their keys goes */
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written += store_rows(r, excluded, nexcluded, load);
	}
	pfree(excluded);
	return written;
}
