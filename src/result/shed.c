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
 *
 * What is derived is given up by row where it is the table that does not take
 * it, and by partition, with the values of the partition columns, where the
 * query fails: of its rows none is known then.
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

/* Columns of the result as a JSON object. */
static text *
as_json(SxResult *r, const SxKey *keys, int nkeys, const Datum *values, const bool *nulls)
{
	Relation	rel = table_open(r->view->relid, AccessShareLock);
	TupleDesc	desc = CreateTemplateTupleDesc(nkeys);
	HeapTuple	tuple;
	int			i;

	for (i = 0; i < nkeys; i++)
		TupleDescCopyEntry(desc, i + 1, RelationGetDescr(rel), keys ? keys[i].resno : i + 1);
	table_close(rel, NoLock);
	tuple = heap_form_tuple(BlessTupleDesc(desc), (Datum *) values, (bool *) nulls);
	return DatumGetTextPP(DirectFunctionCall1(row_to_json, HeapTupleGetDatum(tuple)));
}

void
sx_result_give_up(SxResult *r, const SxKey *keys, int nkeys, const Datum *values,
				  const bool *nulls, const ErrorData *edata)
{
	SxReject	reject = {.partition = SX_SHED_PARTITION};
	text	   *json;

	r->nshed++;
	if (r->shed != SX_SHED_KEEP)
		return;
	json = as_json(r, keys, nkeys, values, nulls);
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

ErrorData *
sx_result_attempt(SxResult *r, void (*work) (SxResult *r, void *arg), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext cxt = AllocSetContextCreate(old, "streamx row of a window",
											  ALLOCSET_DEFAULT_SIZES);
	ErrorData  *volatile edata = NULL;
	SxEmitMark	mark;

	sx_result_emit_mark(r, &mark);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		work(r, arg);
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
	}
	return edata;
}

typedef struct Store
{
	SxGroup    *g;
	const Datum *values;
	const bool *nulls;
	int			written;
} Store;

static void
store(SxResult *r, void *arg)
{
	Store	   *s = arg;
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);

	s->written = sx_result_store_row(r, writer, index, s->g, s->values, s->nulls);
	sx_key_index_end(index);
	sx_writer_end(writer);
}

int
sx_result_store_or_shed(SxResult *r, SxGroup *g, const Datum *values, const bool *nulls)
{
	Store		s = {.g = g,.values = values,.nulls = nulls};
	ErrorData  *edata = sx_result_attempt(r, store, &s);

	if (edata == NULL)
		return s.written;
	sx_result_give_up(r, r->shape->keys, r->shape->nkeys, g->keys, g->key_nulls, edata);
	FreeErrorData(edata);
	return 0;
}
