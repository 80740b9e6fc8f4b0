/*-------------------------------------------------------------------------
 * resolve.c
 *		Deferred cells of a batch, through their types' input functions.
 *
 * An input function may raise an error, so the cells are worked on in an
 * internal subtransaction.  One is enough as long as none fails; after each
 * failure the row is marked, the subtransaction rolled back and the work
 * goes on behind it in a new one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "fdw/resolve.h"

typedef struct ColumnInput
{
	bool		known;			/* looked up already */
	bool		byval;
	int16		typlen;
	Oid			typioparam;
	FmgrInfo	function;
} ColumnInput;

struct SxDeferredResolver
{
	const SxSchema *schema;
	ColumnInput *inputs;		/* [column] */
	MemoryContext cxt;			/* where function caches live */
	MemoryContext cell_cxt;		/* reset every so many cells */
};

/* Bytes of results and garbage after which the cell context is reset. */
#define CELL_BYTES		(1024 * 1024)

/* Bytes of an error message that go into a dead letter. */
#define MAX_ERROR_LEN	400

SxDeferredResolver *
sx_fdw_resolver_create(const SxSchema *schema)
{
	SxDeferredResolver *resolver = palloc0(sizeof(SxDeferredResolver));

	resolver->schema = schema;
	resolver->cxt = CurrentMemoryContext;
	resolver->inputs = palloc0(sizeof(ColumnInput) * Max(schema->ncols, 1));
	resolver->cell_cxt = AllocSetContextCreate(CurrentMemoryContext,
											   "streamx deferred cells",
											   ALLOCSET_DEFAULT_SIZES);
	return resolver;
}

static ColumnInput *
column_input(SxDeferredResolver *resolver, int col)
{
	ColumnInput *in = &resolver->inputs[col];
	const SxColumn *column = &resolver->schema->cols[col];
	Oid			function;

	if (in->known)
		return in;
	getTypeInputInfo(column->typid, &function, &in->typioparam);
	fmgr_info_cxt(function, &in->function, resolver->cxt);
	get_typlenbyval(column->typid, &in->typlen, &in->byval);
	in->known = true;
	return in;
}

/* A copy of a by-reference value that lives as long as the batch. */
static Datum
copy_to_arena(SxBatch *batch, Datum value, int16 typlen)
{
	Size		size;
	char	   *copy;

	if (typlen == -1 && VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(value)))
	{
		ExpandedObjectHeader *object = DatumGetEOHP(value);

		size = EOH_get_flat_size(object);
		copy = sx_arena_alloc(&batch->arena, size);
		if (copy != NULL)
			EOH_flatten_into(object, copy, size);
	}
	else
	{
		size = datumGetSize(value, false, typlen);
		copy = sx_arena_alloc(&batch->arena, size);
		if (copy != NULL)
			memcpy(copy, DatumGetPointer(value), size);
	}
	if (copy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while copying a value of %zu bytes into a batch.",
						   size)));
	return PointerGetDatum(copy);
}

/* Is this error one that the value is to blame for? */
static bool
is_data_error(const ErrorData *edata)
{
	if (edata->elevel > ERROR)
		return false;
	switch (ERRCODE_TO_CATEGORY(edata->sqlerrcode))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:	/* out of memory, disk full */
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:	/* lock timeout */
		case ERRCODE_OPERATOR_INTERVENTION: /* cancel, shutdown */
		case ERRCODE_SYSTEM_ERROR:
			return false;
	}
	/* of the internal errors, "invalid memory alloc request" is the value's */
	return edata->sqlerrcode != ERRCODE_DATA_CORRUPTED &&
		edata->sqlerrcode != ERRCODE_INDEX_CORRUPTED;
}

static void
reject_row(SxBatch *batch, int row, int col, const ErrorData *edata)
{
	const char *error = edata->message ? edata->message : "invalid value";
	int			len = pg_mbcliplen(error, strlen(error), MAX_ERROR_LEN);
	SxMessage	msg;

	memset(&msg, 0, sizeof(msg));
	msg.payload = batch->payload[row];
	msg.payload_len = batch->payload_len[row];
	msg.key = batch->key[row];
	msg.key_len = batch->key_len[row];
	msg.partition = batch->partition[row];
	msg.position = batch->position[row];
	msg.timestamp_us = batch->timestamp_us[row];
	msg.arrival_us = batch->arrival_us[row];
	if (!sx_batch_reject(batch, &msg, unpack_sql_state(edata->sqlerrcode),
						 "column \"%s\": %.*s",
						 batch->schema->cols[col].name, len, error))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

/*
 * Cells from "first" on, until one fails or all are done.  Returns the index
 * of the one that failed (its row has been rejected), or of the end.
 */
static int
resolve_run(SxBatch *batch, SxDeferredResolver *resolver, int first,
			bool *failed)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	volatile int i = first;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(resolver->cell_cxt);
	PG_TRY();
	{
		for (; i < batch->ndeferred; i++)
		{
			SxDeferred *cell = &batch->deferred[i];
			ColumnInput *in;
			Datum		value;

			if (failed[cell->row])
				continue;
			in = column_input(resolver, cell->col);
			value = InputFunctionCall(&in->function,
									  unconstify(char *, cell->text),
									  in->typioparam,
									  resolver->schema->cols[cell->col].typmod);
			if (!in->byval)
				value = copy_to_arena(batch, value, in->typlen);
			batch->values[cell->col][cell->row] = value;
			batch->nulls[cell->col][cell->row] = false;
			if ((i & 63) == 63)
			{
				CHECK_FOR_INTERRUPTS();
				if (MemoryContextMemAllocated(resolver->cell_cxt, false) > CELL_BYTES)
					MemoryContextReset(resolver->cell_cxt);
			}
		}
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcxt);
		CurrentResourceOwner = oldowner;
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		SxDeferred *cell = &batch->deferred[i];

		MemoryContextSwitchTo(resolver->cell_cxt);
		edata = CopyErrorData();
		MemoryContextSwitchTo(oldcxt);
		if (!is_data_error(edata))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcxt);
		CurrentResourceOwner = oldowner;

		failed[cell->row] = true;
		reject_row(batch, cell->row, cell->col, edata);
	}
	PG_END_TRY();
	MemoryContextReset(resolver->cell_cxt);
	return i;
}

void
sx_fdw_resolve_deferred(SxBatch *batch, SxDeferredResolver *resolver)
{
	bool	   *failed;
	bool		any = false;
	int			i = 0;

	if (batch->ndeferred == 0)
		return;
	failed = palloc_extended(sizeof(bool) * Max(batch->nrows, 1),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (;;)
	{
		i = resolve_run(batch, resolver, i, failed);
		if (i >= batch->ndeferred)
			break;
		any = true;
		i++;
	}
	batch->ndeferred = 0;
	if (any)
		sx_batch_remove_rows(batch, failed);
	pfree(failed);
}
