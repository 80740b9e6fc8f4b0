/*-------------------------------------------------------------------------
 * late_row.c
 *		Late rows of views with late = 'keep', in streamx.late_rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "result/result.h"
#include "window/event_time.h"

/* columns of streamx.late_rows, see the install script */
enum
{
	LATE_VIEW = 1,
	LATE_STREAM,
	LATE_PARTITION,
	LATE_POSITION,
	LATE_EVENT_TIME,
	LATE_ROW_DATA,
	LATE_ARRIVED,
	LATE_NCOLS = LATE_ARRIVED
};

/* A row of a batch with the stream's columns, as JSON text. */
text *
sx_result_row_as_json(TupleDesc desc, const SxBatch *batch, int row)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(desc->natts, 1));
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		/* columns that were added since are NULL */
		nulls[i] = i >= batch->schema->ncols || batch->values[i] == NULL ||
			TupleDescAttr(desc, i)->attisdropped || batch->nulls[i][row];
		values[i] = nulls[i] ? (Datum) 0 : batch->values[i][row];
	}
	return DatumGetTextPP(DirectFunctionCall1(row_to_json,
											  HeapTupleGetDatum(heap_form_tuple(desc, values, nulls))));
}

void
sx_result_late_row(const SxView *view, const SxStream *stream,
				   const SxBatch *batch, int row)
{
	Relation	rel = table_open(get_relname_relid("late_rows", get_namespace_oid("streamx", false)),
								 RowExclusiveLock);
	Relation	source = table_open(stream->relid, AccessShareLock);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx late row",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Datum		values[LATE_NCOLS];
	bool		nulls[LATE_NCOLS] = {0};
	int64		event_us;

	values[LATE_VIEW - 1] = ObjectIdGetDatum(view->relid);
	values[LATE_STREAM - 1] = ObjectIdGetDatum(stream->relid);
	values[LATE_PARTITION - 1] = Int32GetDatum(batch->partition[row]);
	values[LATE_POSITION - 1] = Int64GetDatum(batch->position[row]);
	nulls[LATE_EVENT_TIME - 1] = !sx_window_event_time(stream, batch, row, &event_us);
	values[LATE_EVENT_TIME - 1] = Int64GetDatum(event_us);
	values[LATE_ROW_DATA - 1] =
		DirectFunctionCall1(jsonb_in,
							CStringGetDatum(text_to_cstring(sx_result_row_as_json(RelationGetDescr(source), batch, row))));
	values[LATE_ARRIVED - 1] = Int64GetDatum(batch->arrival_us[row]);
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	table_close(source, NoLock);
	table_close(rel, NoLock);
}
