/*-------------------------------------------------------------------------
 * append.c
 *		Appends the rows of a view without aggregates to its result table.
 *
 * Of a sliding window the state table gets when each row leaves.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/memutils.h"

#include "compat.h"
#include "result/merge.h"
#include "result/writer.h"

#define LEAVING_ROWS	1000	/* of a sliding window, noted together */

/* A row of a sliding window: when it leaves, and how it is found then. */
typedef struct Leaving
{
	uint64		image;
	Datum		time;
	ItemPointerData tid;
} Leaving;

typedef struct Appender
{
	DestReceiver pub;
	SxResult   *r;
	int64	   *nrows;
	SxWriter   *writer;
	int			ncolumns;		/* that the query gives for the table */
	SxWriter   *state;			/* of a sliding window */
	Leaving    *leaving;
	int			nleaving;
} Appender;

/* Keep when the rows leave the result, and where they are. */
static void
append_leaving(Appender *a)
{
	TupleTableSlot *slot = a->state->slot;
	int			i;

	sx_writer_flush(a->writer);
	for (i = 0; i < a->nleaving; i++)
	{
		Leaving    *l = &a->leaving[i];

		if (!ItemPointerIsValid(&l->tid))
			continue;			/* a trigger said no */
		ExecClearTuple(slot);
		memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts);
		slot->tts_values[0] = Int64GetDatum((int64) l->image);
		slot->tts_values[1] = l->time;
		slot->tts_values[2] = PointerGetDatum(&l->tid);
		ExecStoreVirtualTuple(slot);
		sx_writer_add(a->state, NULL);
		sx_sliding_note(a->r, DatumGetInt64(l->time));
	}
	sx_writer_flush(a->state);
	a->nleaving = 0;
}

static void
append_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Appender   *a = (Appender *) self;

	a->writer = sx_result_writer(a->r);
	a->writer->bulk = GetBulkInsertState();
	a->ncolumns = desc->natts;
	if (a->r->shape->sliding)
	{
		a->ncolumns--;
		a->state = sx_writer_begin(a->r->view->state);
		a->leaving = palloc(sizeof(Leaving) * LEAVING_ROWS);
	}
}

static bool
append_receive(TupleTableSlot *in, DestReceiver *self)
{
	Appender   *a = (Appender *) self;
	TupleTableSlot *slot = a->writer->slot;
	int			natts = a->ncolumns;

	slot_getallattrs(in);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	memcpy(slot->tts_values, in->tts_values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, in->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(slot);
	(*a->nrows)++;
	if (a->state == NULL)
		sx_writer_add(a->writer, NULL);
	else
	{
		Leaving    *l = &a->leaving[a->nleaving++];

		l->image = sx_sliding_image(slot, natts);
		l->time = in->tts_values[natts];
		sx_writer_add(a->writer, &l->tid);
		if (a->nleaving == LEAVING_ROWS)
			append_leaving(a);
	}
	return true;
}

static void
append_shutdown(DestReceiver *self)
{
	Appender   *a = (Appender *) self;

	if (a->state)
	{
		append_leaving(a);
		sx_writer_end(a->state);
	}
	sx_writer_end(a->writer);
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
