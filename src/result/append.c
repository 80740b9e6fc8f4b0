/*-------------------------------------------------------------------------
 * append.c
 *		Appends the rows of a view without aggregates to its result table.
 *
 * Rows are gathered and go in by table_multi_insert where nothing has to look
 * at each one before it is written; a BEFORE ROW trigger makes it row by row.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/memutils.h"

#include "compat.h"
#include "result/emit.h"
#include "result/merge.h"
#include "result/writer.h"

#define APPEND_ROWS		1000	/* gathered at a time */
#define APPEND_BYTES	65536

typedef struct Appender
{
	DestReceiver pub;
	SxResult   *r;
	int64	   *nrows;
	SxWriter   *writer;
	BulkInsertState bulk;
	bool		one_by_one;
	int			n;
	Size		bytes;
	TupleTableSlot **slots;		/* made as needed, kept */
	int			ncolumns;		/* that the query gives for the table */
	SxWriter   *leaving;		/* of a sliding window: when rows leave */
	Datum	   *times;			/* of the rows gathered */
} Appender;

/* Keep when a row leaves the result, and where it is. */
static void
append_leaving(Appender *a, TupleTableSlot *row, Datum time)
{
	TupleTableSlot *slot = a->leaving->slot;
	ItemPointerData tid;

	if (!ItemPointerIsValid(&row->tts_tid))
		return;					/* a trigger said no */
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts);
	slot->tts_values[0] = Int64GetDatum((int64) sx_sliding_image(row, a->ncolumns));
	slot->tts_values[1] = time;
	slot->tts_values[2] = PointerGetDatum(&row->tts_tid);
	ExecStoreVirtualTuple(slot);
	sx_writer_insert(a->leaving, &tid);
	sx_sliding_note(a->r, DatumGetInt64(time));
}

static void
append_flush(Appender *a)
{
	SxWriter   *w = a->writer;
	int			i;

	if (a->n == 0)
		return;
	table_multi_insert(w->rel, a->slots, a->n, w->estate->es_output_cid, 0, a->bulk);
	for (i = 0; i < a->n; i++)
	{
		List	   *recheck = NIL;

		if (w->rri->ri_NumIndices > 0)
			recheck = sx_insert_index_tuples(w->rri, a->slots[i], w->estate);
		if (w->rri->ri_TrigDesc &&
			(w->rri->ri_TrigDesc->trig_insert_after_row ||
			 w->rri->ri_TrigDesc->trig_insert_new_table))
			ExecARInsertTriggers(w->estate, w->rri, a->slots[i], recheck, NULL);
		list_free(recheck);
		if (a->leaving)
			append_leaving(a, a->slots[i], a->times[i]);
		if (w->watches)
			sx_writer_tell(w, a->slots[i]);
		ExecClearTuple(a->slots[i]);
		ResetPerTupleExprContext(w->estate);
	}
	a->n = 0;
	a->bytes = 0;
}

static void
append_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Appender   *a = (Appender *) self;
	TriggerDesc *triggers;

	a->writer = sx_writer_begin(a->r->view->relid);
	triggers = a->writer->rri->ri_TrigDesc;
	a->one_by_one = triggers &&
		(triggers->trig_insert_before_row || triggers->trig_insert_instead_row);
	a->bulk = GetBulkInsertState();
	a->slots = palloc0(sizeof(TupleTableSlot *) * APPEND_ROWS);
	a->ncolumns = desc->natts;
	if (a->r->shape->sliding)
	{
		a->ncolumns--;
		a->leaving = sx_writer_begin(a->r->view->state);
		a->times = palloc(sizeof(Datum) * APPEND_ROWS);
	}
}

static bool
append_receive(TupleTableSlot *in, DestReceiver *self)
{
	Appender   *a = (Appender *) self;
	SxWriter   *w = a->writer;
	TupleTableSlot *slot;
	int			natts = a->ncolumns;
	int			i;

	slot_getallattrs(in);
	if (a->one_by_one)
		slot = w->slot;
	else
	{
		if (a->slots[a->n] == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(w->estate->es_query_cxt);

			a->slots[a->n] = table_slot_create(w->rel, &w->estate->es_tupleTable);
			MemoryContextSwitchTo(old);
		}
		slot = a->slots[a->n];
	}
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	memcpy(slot->tts_values, in->tts_values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, in->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(slot);
	(*a->nrows)++;

	if (a->one_by_one)
	{
		ItemPointerData tid;

		sx_writer_insert(w, &tid);
		if (a->leaving)
			append_leaving(a, slot, in->tts_values[natts]);
		return true;
	}
	if (w->rel->rd_att->constr)
		ExecConstraints(w->rri, slot, w->estate);
	slot->tts_tableOid = RelationGetRelid(w->rel);
	ExecMaterializeSlot(slot);	/* what the plan returned goes away */
	if (w->emit)
		sx_emit_row(w->emit, slot, NULL, NULL);
	if (a->leaving)
		a->times[a->n] = in->tts_values[natts];
	a->n++;
	for (i = 0; i < natts; i++)
	{
		if (!slot->tts_isnull[i] && TupleDescAttr(slot->tts_tupleDescriptor, i)->attlen == -1)
			a->bytes += VARSIZE_ANY(DatumGetPointer(in->tts_values[i]));
	}
	if (a->n == APPEND_ROWS || a->bytes > APPEND_BYTES)
		append_flush(a);
	return true;
}

static void
append_shutdown(DestReceiver *self)
{
	Appender   *a = (Appender *) self;

	append_flush(a);
	FreeBulkInsertState(a->bulk);
	table_finish_bulk_insert(a->writer->rel, 0);
	if (a->leaving)
		sx_writer_end(a->leaving);
	sx_writer_end(a->writer);
	pfree(a->slots);
}

static void
append_destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
sx_result_appender(SxResult *r, int64 *nrows)
{
	Appender   *a = palloc0(sizeof(Appender));

	a->pub.receiveSlot = append_receive;
	a->pub.rStartup = append_startup;
	a->pub.rShutdown = append_shutdown;
	a->pub.rDestroy = append_destroy;
	a->pub.mydest = DestNone;
	a->r = r;
	a->nrows = nrows;
	*nrows = 0;
	return &a->pub;
}
