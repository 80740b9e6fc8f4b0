/*-------------------------------------------------------------------------
 * shed.c
 *		Groups whose rows cannot be written when their window closes.
 *
 * An expression over aggregates that fails, a CHECK or a trigger that says no:
 * by then the group is a state, its rows are gone.  So it is the group that is
 * given up, as a dead letter of the view: of partition -1, with the values of
 * the grouping columns.  Others of the window are written.
 *
 * Each row is written in a subtransaction, with a writer of its own, so that
 * triggers that fire after it count as well.  That is slow: it is done when
 * closing has failed, for all that closes with that batch.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "compat.h"
#include "result/merge.h"

bool
sx_result_is_row_error(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_CARDINALITY_VIOLATION:
		case ERRCODE_SQL_ROUTINE_EXCEPTION:
		case ERRCODE_EXTERNAL_ROUTINE_EXCEPTION:
		case ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION:
		case ERRCODE_PLPGSQL_ERROR:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return true;
		default:
			return false;
	}
}

void
sx_result_set_shed(SxResult *r, SxShed shed)
{
	r->shed = shed;
	r->nshed = 0;
}

int64
sx_result_nshed(const SxResult *r)
{
	return r->nshed;
}

/* The grouping columns as a JSON object. */
static text *
keys_as_json(SxResult *r, const SxGroup *g)
{
	Relation	rel = table_open(r->view->relid, AccessShareLock);
	int			nkeys = r->shape->nkeys;
	TupleDesc	desc = CreateTemplateTupleDesc(nkeys);
	HeapTuple	tuple;
	int			i;

	for (i = 0; i < nkeys; i++)
		TupleDescCopyEntry(desc, i + 1, RelationGetDescr(rel), r->shape->keys[i].resno);
	table_close(rel, NoLock);
	tuple = heap_form_tuple(BlessTupleDesc(desc), g->keys, g->key_nulls);
	return DatumGetTextPP(DirectFunctionCall1(row_to_json, HeapTupleGetDatum(tuple)));
}

static void
keep(SxResult *r, const SxGroup *g, const ErrorData *edata)
{
	SxReject	reject = {.partition = SX_SHED_PARTITION};
	text	   *json;

	r->nshed++;
	if (r->shed != SX_SHED_KEEP)
		return;
	json = keys_as_json(r, g);
	reject.payload = VARDATA_ANY(json);
	reject.payload_len = VARSIZE_ANY_EXHDR(json);

	/* the same number for the same group */
	reject.position = (int64) (hash_bytes_extended((const unsigned char *) reject.payload,
												   (int) reject.payload_len, 0) >> 1);
	reject.arrival_us = GetCurrentTransactionStartTimestamp();
	strlcpy(reject.sqlstate, unpack_sql_state(edata->sqlerrcode), sizeof(reject.sqlstate));
	reject.error = edata->message ? edata->message : "unknown error";
	(void) sx_result_dead_letter(linitial_oid(r->view->streams), r->view->relid, &reject);
}

int
sx_result_store_or_shed(SxResult *r, SxGroup *g, const Datum *values, const bool *nulls)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext cxt = AllocSetContextCreate(old, "streamx row of a window",
											  ALLOCSET_DEFAULT_SIZES);
	ErrorData  *volatile edata = NULL;
	volatile int written = 0;
	SxEmitMark	mark;

	sx_result_emit_mark(r, &mark);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		SxWriter   *writer = sx_result_writer(r);
		SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);

		written = sx_result_store_row(r, writer, index, g, values, nulls);
		sx_key_index_end(index);
		sx_writer_end(writer);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	MemoryContextDelete(cxt);
	if (edata)
	{
		if (!sx_result_is_row_error(edata->sqlerrcode))
			ReThrowError(edata);
		sx_result_emit_rollback(r, &mark);
		keep(r, g, edata);
		FreeErrorData(edata);
		return 0;
	}
	return written;
}
