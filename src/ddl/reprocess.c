/*-------------------------------------------------------------------------
 * reprocess.c
 *		streamx.reprocess: dead letters are fed in again, each exactly once.
 *
 * In the caller's transaction, beside locks on the views, whose workers wait
 * meanwhile.  A letter that did not decode is decoded again, as the stream is
 * now, and goes to every view that has passed its position: others come to
 * the message themselves.  One that failed in a view goes to that view.  What
 * succeeds leaves the table; what fails again stays, with the new error.  A
 * row whose windows have closed meanwhile is late, as any other.
 *
 * Views that keep open windows in memory are rebuilt instead: what a worker
 * has in memory cannot be added to from here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/trusted.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "decode/decode.h"
#include "exec/owner.h"
#include "fdw/resolve.h"
#include "result/result.h"
#include "window/event_time.h"
#include "worker/task.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_reprocess);

#define RENEW_ERROR "UPDATE streamx.dead_letters SET sqlstate = $2, error = $3 WHERE id = $1"

typedef struct Letter
{
	int64		id;
	Oid			stream;
	Oid			view;			/* InvalidOid: it did not decode */
	int32		partition;
	int64		position;
	int64		arrival_us;
	bytea	   *key;			/* or NULL */
	bytea	   *payload;
} Letter;

/* A view that rows go to. */
typedef struct Target
{
	SxViewRun	run;
	SxViewCounters before;
	bool		rebuild;		/* keeps open windows in memory, or has given
								 * up groups */
	bool		touched;
} Target;

typedef struct Source
{
	SxStream   *def;
	SxBatch    *batch;			/* of one row */
	SxDecoder  *decoder;		/* NULL: native */
	SxDeferredResolver *resolver;
	List	   *targets;		/* Target: all views of the stream */
	MemoryContextCallback callback;
} Source;

/* ---- the table ---- */

/* A stream that is named has to be the user's; of one's views, name these. */
static void
check_owned_stream(Oid relid)
{
	if (!sx_class_ownercheck(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of \"%s\" to reprocess its dead letters", get_rel_name(relid)),
				 errhint("Ask its owner, or name a continuous view of yours.")));
}

static bytea *
bytes_of(HeapTuple tuple, TupleDesc desc, int column, MemoryContext cxt)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	bytea	   *result = isnull ? NULL : DatumGetByteaPCopy(value);

	MemoryContextSwitchTo(old);
	return result;
}

/*
 * Those asked for that there are now, as far as they are the user's, locked
 * against others.
 */
static List *
read_letters(Oid stream, Oid view)
{
	Oid			types[3] = {OIDOID, OIDOID, OIDOID};
	Datum		values[3] = {ObjectIdGetDatum(stream), ObjectIdGetDatum(view), ObjectIdGetDatum(GetUserId())};
	char		nulls[4] = {OidIsValid(stream) ? ' ' : 'n', OidIsValid(view) ? ' ' : 'n', ' ', '\0'};
	MemoryContext cxt = CurrentMemoryContext;
	List	   *all = NIL;
	SxTrustedScope trusted;
	uint64		i;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT d.id, d.stream, d.view, d.partition, d.position, d.arrived, d.key, d.payload"
							  " FROM streamx.dead_letters d JOIN pg_class c ON c.oid = coalesce(d.view, d.stream)"
							  " WHERE ($1 IS NULL OR d.stream = $1) AND ($2 IS NULL OR d.view = $2)"
							  " AND pg_has_role($3, c.relowner, 'USAGE')"
							  " ORDER BY d.stream, d.id FOR UPDATE OF d",
							  3, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dead letters");
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Letter	   *letter = MemoryContextAllocZero(cxt, sizeof(Letter));
		MemoryContext old;
		bool		isnull;

		letter->id = DatumGetInt64(heap_getattr(tuple, 1, desc, &isnull));
		letter->stream = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
		letter->view = DatumGetObjectId(heap_getattr(tuple, 3, desc, &isnull));
		if (isnull)
			letter->view = InvalidOid;
		letter->partition = DatumGetInt32(heap_getattr(tuple, 4, desc, &isnull));
		letter->position = DatumGetInt64(heap_getattr(tuple, 5, desc, &isnull));
		letter->arrival_us = DatumGetInt64(heap_getattr(tuple, 6, desc, &isnull));
		if (isnull)
			letter->arrival_us = GetCurrentTimestamp();
		letter->key = bytes_of(tuple, desc, 7, cxt);
		letter->payload = bytes_of(tuple, desc, 8, cxt);
		old = MemoryContextSwitchTo(cxt);
		all = lappend(all, letter);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	sx_trusted_leave(&trusted);
	return all;
}

static void
change_letter(const char *sql, const Letter *letter, const SxReject *reject)
{
	Oid			types[3] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[3] = {Int64GetDatum(letter->id)};
	SxTrustedScope trusted;

	if (reject)
	{
		values[1] = CStringGetTextDatum(reject->sqlstate);
		values[2] = CStringGetTextDatum(reject->error);
	}
	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, reject ? 3 : 1, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute: %s", sql);
	SPI_finish();
	sx_trusted_leave(&trusted);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

/* ---- rows ---- */

static void
free_source(void *arg)
{
	Source	   *source = arg;

	if (source->batch)
		sx_batch_free(source->batch);
	if (source->decoder)
		sx_decode_destroy(source->decoder);
	source->batch = NULL;
	source->decoder = NULL;
}

/* The row that a native stream's letter keeps as JSON. */
static void
read_native(Source *source, const Letter *letter)
{
	SxBatch    *batch = source->batch;
	Relation	rel = table_open(source->def->relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	SxOwnerScope scope;
	HeapTupleHeader row;
	HeapTupleData tuple;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext old;
	bool		isnull;
	int			i;

	values[0] = PointerGetDatum(cstring_to_text_with_len(VARDATA_ANY(letter->payload),
														 VARSIZE_ANY_EXHDR(letter->payload)));

	/* checks of a domain are code of users: that of the stream's owner */
	sx_owner_enter_role(source->def->owner, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(psprintf("SELECT pg_catalog.json_populate_record(NULL::%s, $1::pg_catalog.json)",
									   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
																  RelationGetRelationName(rel))),
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a dead letter");
	old = MemoryContextSwitchTo(cxt);
	row = DatumGetHeapTupleHeaderCopy(heap_getattr(SPI_tuptable->vals[0], 1, SPI_tuptable->tupdesc, &isnull));
	MemoryContextSwitchTo(old);
	SPI_finish();
	sx_owner_leave(&scope);

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	for (i = 0; i < desc->natts && i < batch->schema->ncols; i++)
	{
		Datum		value = heap_getattr(&tuple, i + 1, desc, &isnull);

		if (batch->values[i] == NULL)
			continue;
		batch->values[i][0] = value;
		batch->nulls[i][0] = isnull;
	}
	batch->partition[0] = letter->partition;
	batch->position[0] = letter->position;
	batch->timestamp_us[0] = batch->arrival_us[0] = letter->arrival_us;
	batch->payload[0] = VARDATA_ANY(letter->payload);
	batch->payload_len[0] = VARSIZE_ANY_EXHDR(letter->payload);
	batch->key[0] = NULL;
	batch->key_len[0] = 0;
	batch->nrows = 1;
	table_close(rel, NoLock);
}

/* false: the row does not fit the stream any more; the letter says why. */
static bool
try_native(Source *source, const Letter *letter)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;
	SxReject	reject = {0};

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		read_native(source, letter);
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
	if (edata == NULL)
		return true;
	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		ReThrowError(edata);
	strlcpy(reject.sqlstate, unpack_sql_state(edata->sqlerrcode), sizeof(reject.sqlstate));
	reject.error = edata->message;
	change_letter(RENEW_ERROR, letter, &reject);
	source->batch->nrows = 0;
	return false;
}

/* The letter as a row, or a reject, of the source's batch. */
static void
read_letter(Source *source, const Letter *letter)
{
	SxMessage	msg = {0};

	sx_batch_reset(source->batch);
	if (source->decoder == NULL)
	{
		if (!try_native(source, letter))
			return;
	}
	else
	{
		SxOwnerScope scope;

		if (letter->payload)
		{
			msg.payload = VARDATA_ANY(letter->payload);
			msg.payload_len = VARSIZE_ANY_EXHDR(letter->payload);
		}
		if (letter->key)
		{
			msg.key = VARDATA_ANY(letter->key);
			msg.key_len = VARSIZE_ANY_EXHDR(letter->key);
		}
		msg.partition = letter->partition;
		msg.position = letter->position;
		msg.timestamp_us = msg.arrival_us = letter->arrival_us;
		if (sx_decode_messages(source->decoder, source->batch, &msg, 1) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errhint("Try again.")));
		sx_owner_enter_role(source->def->owner, &scope);
		sx_fdw_resolve_deferred(source->batch, source->resolver);
		sx_owner_leave(&scope);
	}
	sx_window_reject_ahead(source->def, source->batch);
}

/* ---- views ---- */

/* Is there a group of the view among them, which takes its rows to be had? */
static bool
has_group(const List *letters, Oid view)
{
	ListCell   *lc;

	foreach(lc, letters)
	{
		const Letter *letter = lfirst(lc);

		if (letter->view == view && letter->partition == SX_SHED_PARTITION)
			return true;
	}
	return false;
}

static Target *
open_target(Oid relid, const List *letters)
{
	Target	   *target;
	SxView	   *view;
	SxOwnerScope scope;
	ListCell   *lc;

	/* streams before the result, and that before its parts, as DROP does */
	view = sx_view_get(relid);
	if (view == NULL)
		return NULL;
	sx_view_lock_definition(relid);
	foreach(lc, view->streams)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	if (OidIsValid(view->sink))
		LockRelationOid(view->sink, RowExclusiveLock);
	LockRelationOid(relid, ShareRowExclusiveLock);
	view = sx_view_get(relid);
	if (view == NULL)
		return NULL;
	target = palloc0(sizeof(Target));
	target->run.relid = relid;
	target->run.view = view;
	target->run.cxt = CurrentMemoryContext;
	sx_ddl_check_at_once(relid);
	sx_view_counters(relid, &target->before);
	sx_owner_enter(view, &scope);
	sx_view_prepare(&target->run);
	target->rebuild = sx_result_in_memory(target->run.result) || has_group(letters, relid);
	sx_owner_leave(&scope);
	target->run.watermark_us = target->run.next_watermark_us = target->before.watermark_us;
	if (!target->rebuild)
		sx_batch_feed_begin(&target->run, target->before.outbox);
	return target;
}

static Source *
open_source(Oid relid, const List *letters)
{
	Source	   *source = palloc0(sizeof(Source));
	ListCell   *lc;

	source->def = sx_stream_get(relid, InvalidOid);
	source->def->on_error = SX_ON_ERROR_DEAD_LETTER;
	source->callback.func = free_source;
	source->callback.arg = source;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &source->callback);
	source->batch = sx_batch_create(source->def->schema, 1);
	if (strcmp(source->def->kind, "native") != 0)
	{
		source->decoder = sx_decode_create(source->def->schema);
		source->resolver = sx_fdw_resolver_create(source->def->schema);
	}
	if (source->batch == NULL || (source->resolver && source->decoder == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errhint("Try again.")));
	foreach(lc, sx_view_list_of_stream(relid))
	{
		Target	   *target = open_target(lfirst_oid(lc), letters);

		if (target)
			source->targets = lappend(source->targets, target);
	}
	return source;
}

/* Has the view been at this message, and gone on? */
static bool
has_passed(const Target *target, const Letter *letter)
{
	int			n;
	SxPosition *positions = sx_checkpoint_load(target->run.relid, letter->stream, &n);
	SxPosition *p = sx_position_find(positions, n, letter->partition);

	return p && letter->position >= p->first_offset && letter->position < p->next_offset;
}

/* true: the letter is done with */
static bool
feed(Source *source, Target *target)
{
	int64		before = target->run.counters.dead_letters;

	target->touched = true;
	target->run.counters.dead_letters--;	/* it was counted as one */
	if (target->rebuild)
		return true;
	sx_batch_rebuild(&target->run, source->def, source->batch);
	return target->run.counters.dead_letters < before;
}

static int64
reprocess_letter(Source *source, const Letter *letter)
{
	int64		done = 1;
	ListCell   *lc;

	if (source->decoder == NULL && letter->payload == NULL)
		return 0;				/* kept before rows were */
	if (letter->partition == SX_SHED_PARTITION)
	{
		change_letter("DELETE FROM streamx.dead_letters WHERE id = $1", letter, NULL);
		foreach(lc, source->targets)
		{
			Target	   *target = lfirst(lc);

			if (target->run.relid == letter->view)
				(void) feed(source, target);	/* by the rebuild to come */
		}
		return 1;
	}
	read_letter(source, letter);
	if (source->batch->nrows == 0)
	{
		if (source->batch->nrejects > 0)
			change_letter(RENEW_ERROR, letter, &source->batch->rejects[0]);
		return 0;
	}
	change_letter("DELETE FROM streamx.dead_letters WHERE id = $1", letter, NULL);
	foreach(lc, source->targets)
	{
		Target	   *target = lfirst(lc);

		if (OidIsValid(letter->view) ? target->run.relid == letter->view : has_passed(target, letter))
		{
			if (!feed(source, target))
				done = 0;		/* a dead letter of the view now */
		}
	}
	return done;
}

/* Dead letters of the view, groups among them. */
static int64
letters_of(Oid view)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(view);
	SxTrustedScope trusted;
	int64		result;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT FROM streamx.dead_letters WHERE view = $1",
							  1, &type, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dead letters");
	result = (int64) SPI_processed;
	SPI_finish();
	sx_trusted_leave(&trusted);
	return result;
}

/* Returns how many of the rows that it was to get again have failed again. */
static int64
finish_target(const Source *source, Target *target)
{
	SxViewRun  *run = &target->run;

	if (!target->rebuild)
		sx_batch_feed_end(run);
	if (!target->touched)
		return 0;
	if (run->view->notify && run->counters.rows_out > 0)
		Async_Notify(run->view->notify, run->view->name);
	run->counters.watermark_us = target->before.watermark_us;
	sx_view_count(run->relid, &run->counters);
	CacheInvalidateRelcacheByRelid(run->relid);
	if (!target->rebuild)
		return 0;
	sx_ddl_rebuild(run->relid, NULL, true);
	UpdateActiveSnapshotCommandId();
	return letters_of(run->relid);
}

static int64
finish_source(const Source *source)
{
	int64		failed = 0;
	ListCell   *lc;

	if (source)
	{
		foreach(lc, source->targets)
			failed += finish_target(source, lfirst(lc));
	}
	return failed;
}

/* streamx.reprocess(stream regclass, view regclass) returns bigint */
Datum
streamx_reprocess(PG_FUNCTION_ARGS)
{
	Oid			stream = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Oid			view = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx reprocess",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	Source	   *source = NULL;
	List	   *letters;
	ListCell   *lc;
	int64		done = 0;

	PreventCommandIfReadOnly("streamx.reprocess()");
	sx_worker_require_preloaded();
	if (OidIsValid(stream) && !sx_stream_is(stream))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a stream", get_rel_name(stream) ? get_rel_name(stream) : "?"),
				 errhint("streamx.streams lists the streams.")));
	if (OidIsValid(view))
		sx_ddl_check_owned_view(view);
	else if (OidIsValid(stream))
		check_owned_stream(stream);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("streamx.reprocess() needs isolation level READ COMMITTED"),
				 errhint("Call it in a transaction of its own.")));

	old = MemoryContextSwitchTo(cxt);
	if (OidIsValid(stream))
		LockRelationOid(stream, AccessShareLock);
	PushActiveSnapshot(GetLatestSnapshot());
	letters = read_letters(stream, view);
	foreach(lc, letters)
	{
		Letter	   *letter = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (source == NULL || source->def->relid != letter->stream)
		{
			done -= finish_source(source);
			LockRelationOid(letter->stream, AccessShareLock);
			source = open_source(letter->stream, letters);
		}
		done += reprocess_letter(source, letter);
	}
	done -= finish_source(source);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	PG_RETURN_INT64(Max(done, 0));
}
