/*-------------------------------------------------------------------------
 * emit.c
 *		Rows of a result on their way to the view's sink.
 *
 * A row that is written to the result becomes a row of the sink as INSERT
 * would make it: assignment casts, defaults, BEFORE ROW triggers, generated
 * columns, constraints.  What fails there fails for the rows of the batch
 * that it comes from.  Then,
 *	- native sinks: it goes into the stream's journal;
 *	- Kafka sinks: it is encoded and goes into the view's outbox.
 *
 * Rows of transforms and of closed windows go there as they come (direct).
 * Rows of update views are kept until the view's part of the batch is
 * complete: a group that is written several times, as its rows were taken in
 * parts, is one row of the sink.  Which writes are of the same row is told by
 * its place: an update names the place before.
 *
 *		sx_result_emit_begin
 *		  { rows ... sx_result_emit_part | abort, sx_result_emit_rollback } ...
 *		sx_result_emit_end | abort, sx_result_emit_discard
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "result/emit.h"
#include "result/leaf.h"
#include "result/merge.h"
#include "sink/encode.h"
#include "sink/outbox.h"
#include "source/journal.h"

#define OUTBOX_ROWS		500		/* written to the table at a time */
#define OUTBOX_BYTES	(512 * 1024)

/* A row of an update view that waits for the end of the batch. */
typedef struct Kept
{
	ItemPointerData before;		/* invalid: the row is new */
	ItemPointerData place;		/* invalid: the row has gone */
	HeapTuple	message;		/* Kafka; NULL: nothing to tell */
	MinimalTuple row;			/* native */
	int64		instead;		/* a later one of the same row; -1: none */
} Kept;

/* A column of the result as bytes: key, and what picks the partition. */
typedef struct ByteColumn
{
	AttrNumber	attno;			/* 0: none */
	bool		is_bytea;
	FmgrInfo	output;
} ByteColumn;

struct SxEmit
{
	const SxView *view;
	SxStream   *stream;
	bool		kafka;
	bool		direct;
	bool		tombstones;
	bool		begun;			/* a batch of the view is at hand */
	SxSinkMap  *map;
	SxEncoder  *encoder;
	ByteColumn	key;
	ByteColumn	route;

	int64		base;			/* number of the outbox's last row before */
	int64		written;		/* rows that the batch has put there since */

	/* update views: the rows of the batch so far */
	MemoryContext kept_cxt;
	Kept	   *kept;
	int64		nkept;
	int64		maxkept;

	/* while a part of a batch is at hand; all in part_cxt */
	MemoryContext part_cxt;
	bool		open;
	EState	   *estate;
	Relation	sink;
	ResultRelInfo *rri;
	ExprState **exprs;
	TupleTableSlot *slot;		/* the row for the sink */
	SxJournalWriter *journal;
	Relation	outbox;
	ResultRelInfo *outbox_rri;
	TupleTableSlot **gathered;
	int			ngathered;
	Size		bytes_gathered;
	MemoryContext gathered_cxt;
};

/* ---- columns ------------------------------------------------------------------- */

static AttrNumber
option_column(const SxView *view, Relation result, const char *option,
			  const char *name)
{
	AttrNumber	attno;

	if (name == NULL)
		return 0;
	attno = get_attnum(RelationGetRelid(result), name);
	if (attno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of option \"streamx.%s\" does not exist",
						name, option),
				 errhint("Name a column of the continuous view.")));
	return attno;
}

static void
check_rights(const SxView *view, const SxStream *stream, const SxSinkMap *map)
{
	if (pg_class_aclcheck(stream->relid, view->owner, ACL_INSERT) == ACLCHECK_OK)
		return;
	for (int i = 0; i < map->natts; i++)
	{
		if (map->given[i] &&
			pg_attribute_aclcheck(stream->relid, i + 1, view->owner, ACL_INSERT) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for foreign table %s",
							get_rel_name(stream->relid)),
					 errdetail("The owner of the continuous view has to insert into its sink."),
					 errhint("GRANT INSERT on it to \"%s\".",
							 GetUserNameFromId(view->owner, false))));
	}
}

/* Is there another one that fills what this option fills? */
static void
check_envelope(const SxView *view, const SxStream *stream, const SxSinkMap *map,
			   SxMetadata metadata, const char *option, const char *column)
{
	if (column == NULL)
		return;
	for (int i = 0; i < map->natts; i++)
	{
		const SxColumn *col = &stream->schema->cols[i];

		if (map->given[i] && col->metadata == metadata && strcmp(col->name, column) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"streamx.%s\" and column \"%s\" are both for the message's %s",
							option, col->name, metadata == SX_META_KEY ? "key" : "partition"),
					 errhint("Leave one of them out.")));
	}
}

static Expr *
map_column(const SxView *view, const SxStream *stream, Form_pg_attribute from,
		   Form_pg_attribute to)
{
	const SxColumn *col = &stream->schema->cols[to->attnum - 1];
	Var		   *var;
	Node	   *expr;

	if (to->attgenerated != '\0' || to->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot write column \"%s\" of sink %s: it is a generated column",
						NameStr(to->attname), stream->name),
				 errhint("Leave the column out of the continuous view, or give it another name there.")));
	if (col->metadata == SX_META_OFFSET || col->metadata == SX_META_HEADERS ||
		col->metadata == SX_META_ARRIVAL_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write column \"%s\" of sink %s", NameStr(to->attname),
						stream->name),
				 errdetail("It is filled when the message is read."),
				 errhint("Leave the column out of the continuous view, or give it another name there.")));
	var = makeVar(1, from->attnum, from->atttypid, from->atttypmod,
				  from->attcollation, 0);
	expr = coerce_to_target_type(NULL, (Node *) var, from->atttypid, to->atttypid,
								 to->atttypmod, COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of sink %s is of type %s but that of continuous view \"%s\" is of type %s",
						NameStr(to->attname), stream->name,
						format_type_be(to->atttypid), view->name,
						format_type_be(from->atttypid)),
				 errhint("You will need to cast the expression in the view's query.")));
	return (Expr *) expr;
}

/* A column of the sink that the result does not have. */
static Expr *
default_of(const SxView *view, const SxStream *stream, Relation sink,
		   Form_pg_attribute to)
{
	Expr	   *expr;

	if (to->attgenerated != '\0')
		return NULL;
	expr = (Expr *) build_column_default(sink, to->attnum);
	if (expr == NULL && to->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("continuous view \"%s\" has no column \"%s\" for its sink %s",
						view->name, NameStr(to->attname), stream->name),
				 errdetail("The column is declared NOT NULL and has no default."),
				 errhint("Select a column of that name, or give the sink's a default.")));
	return expr;
}

SxSinkMap *
sx_sink_map(const SxView *view, Relation result, Relation sink,
			const SxStream *stream)
{
	TupleDesc	from = RelationGetDescr(result);
	TupleDesc	to = RelationGetDescr(sink);
	bool		kafka = strcmp(stream->kind, "kafka") == 0;
	SxSinkMap  *map = palloc0(sizeof(SxSinkMap));

	if (!kafka && (view->key || view->partition_by))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"streamx.%s\" is for Kafka sinks, but %s is a %s stream",
						view->key ? "key" : "partition_by", stream->name, stream->kind),
				 errhint("Leave it out.")));
	map->natts = to->natts;
	map->exprs = palloc0(sizeof(Expr *) * Max(to->natts, 1));
	map->given = palloc0(sizeof(bool) * Max(to->natts, 1));
	map->key = option_column(view, result, "key", view->key);
	map->partition_by = option_column(view, result, "partition_by", view->partition_by);

	for (int i = 0; i < from->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(from, i);
		AttrNumber	attno;

		if (att->attisdropped)
			continue;
		attno = get_attnum(RelationGetRelid(sink), NameStr(att->attname));
		if (attno > 0)
		{
			map->exprs[attno - 1] = map_column(view, stream, att, TupleDescAttr(to, attno - 1));
			map->given[attno - 1] = true;
		}
		else if (att->attnum != map->key && att->attnum != map->partition_by)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("sink %s has no column \"%s\" for that of continuous view \"%s\"",
							stream->name, NameStr(att->attname), view->name),
					 errhint("Columns go by name: add it to the sink, or name it in the query as it is named there.")));
	}
	for (int i = 0; i < to->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(to, i);

		if (!map->given[i] && !att->attisdropped)
			map->exprs[i] = default_of(view, stream, sink, att);
	}
	check_envelope(view, stream, map, SX_META_KEY, "key", view->key);
	check_envelope(view, stream, map, SX_META_PARTITION, "partition_by", view->partition_by);
	check_rights(view, stream, map);

	/* the key may come by a column of the sink as well */
	for (int i = 0; i < to->natts && map->key == 0 && kafka; i++)
	{
		if (map->given[i] && stream->schema->cols[i].metadata == SX_META_KEY)
			map->key = get_attnum(RelationGetRelid(result),
								  NameStr(TupleDescAttr(to, i)->attname));
	}
	return map;
}

bool
sx_sink_has_tombstones(const SxSinkMap *map, const SxShape *shape)
{
	return map->key != 0 && shape->strategy != SX_STRATEGY_APPEND &&
		shape->grouped && shape->nkeys == 1 && shape->keys[0].resno == map->key;
}

/* ---- a view's batch -------------------------------------------------------------- */

static void
init_bytes(ByteColumn *c, Relation result, const char *name)
{
	Form_pg_attribute att;
	Oid			output;
	bool		isvarlena;

	if (name == NULL)
		return;
	c->attno = get_attnum(RelationGetRelid(result), name);
	att = TupleDescAttr(RelationGetDescr(result), c->attno - 1);
	c->is_bytea = getBaseType(att->atttypid) == BYTEAOID;
	getTypeOutputInfo(att->atttypid, &output, &isvarlena);
	fmgr_info(output, &c->output);
}

/* In the result's context, where it stays. */
static SxEmit *
create_emit(SxResult *r)
{
	MemoryContext old = MemoryContextSwitchTo(r->cxt);
	SxEmit	   *e = palloc0(sizeof(SxEmit));
	Relation	result = table_open(r->view->relid, RowExclusiveLock);
	Relation	sink = table_open(r->view->sink, RowExclusiveLock);

	e->view = r->view;
	e->stream = sx_stream_get(r->view->sink, r->view->owner);
	e->kafka = strcmp(e->stream->kind, "kafka") == 0;
	e->direct = r->view->final || r->shape->strategy == SX_STRATEGY_APPEND;
	e->map = sx_sink_map(r->view, result, sink, e->stream);
	if (e->kafka)
	{
		e->encoder = sx_encode_create(e->stream->schema);
		e->tombstones = !e->direct && sx_sink_has_tombstones(e->map, r->shape);
		init_bytes(&e->key, result, r->view->key);
		init_bytes(&e->route, result, r->view->partition_by);
	}
	e->kept_cxt = AllocSetContextCreate(r->cxt, "streamx rows for the sink",
										ALLOCSET_DEFAULT_SIZES);
	e->part_cxt = AllocSetContextCreate(r->cxt, "streamx writing to the sink",
										ALLOCSET_DEFAULT_SIZES);
	table_close(sink, NoLock);
	table_close(result, NoLock);
	MemoryContextSwitchTo(old);
	return e;
}

static void
reset_part(SxEmit *e)
{
	e->open = false;
	e->estate = NULL;
	e->journal = NULL;
	e->outbox = NULL;
	e->ngathered = 0;
	e->bytes_gathered = 0;
	e->gathered = NULL;
	MemoryContextReset(e->part_cxt);
}

static void
reset_batch(SxEmit *e)
{
	reset_part(e);
	e->begun = false;
	e->kept = NULL;
	e->nkept = e->maxkept = 0;
	e->written = 0;
	MemoryContextReset(e->kept_cxt);
}

void
sx_result_emit_begin(SxResult *r, int64 base)
{
	if (!OidIsValid(r->view->sink))
		return;
	if (r->emit == NULL)
		r->emit = create_emit(r);
	else
		check_rights(r->view, r->emit->stream, r->emit->map);
	reset_batch(r->emit);
	r->emit->base = base;
	r->emit->begun = true;
}

SxWriter *
sx_result_writer(const SxResult *r)
{
	SxWriter   *w = sx_writer_begin(r->view->relid);

	if (w->leaves)
	{
		/* panes: the rows of all open windows are updated in their places */
		w->leaves->period_us = r->view->period_us;
		w->leaves->fillfactor = r->shape->panes && !r->view->final ? 45 : 80;
	}
	if (r->emit != NULL && r->emit->begun)
		w->emit = r->emit;
	return w;
}

void
sx_result_emit_discard(SxResult *r)
{
	if (r->emit != NULL)
		reset_batch(r->emit);
}

void
sx_result_emit_mark(const SxResult *r, SxEmitMark *mark)
{
	mark->nkept = r->emit ? r->emit->nkept : 0;
	mark->written = r->emit ? r->emit->written : 0;
}

void
sx_result_emit_rollback(SxResult *r, const SxEmitMark *mark)
{
	if (r->emit == NULL)
		return;
	reset_part(r->emit);
	r->emit->nkept = mark->nkept;
	r->emit->written = mark->written;
}

/* ---- writing ------------------------------------------------------------------------ */

static void
open_part(SxEmit *e)
{
	MemoryContext old = MemoryContextSwitchTo(e->part_cxt);
	MemoryContext query_cxt;

	e->estate = CreateExecutorState();
	query_cxt = MemoryContextSwitchTo(e->estate->es_query_cxt);
	e->sink = table_open(e->view->sink, RowExclusiveLock);
	sx_init_range_table(e->estate, e->sink, NULL);
	e->estate->es_output_cid = GetCurrentCommandId(true);
	e->rri = makeNode(ResultRelInfo);
	InitResultRelInfo(e->rri, e->sink, 1, NULL, 0);
	e->slot = ExecInitExtraTupleSlot(e->estate, RelationGetDescr(e->sink),
									 &TTSOpsVirtual);
	e->exprs = palloc0(sizeof(ExprState *) * Max(e->map->natts, 1));
	for (int i = 0; i < e->map->natts; i++)
	{
		if (e->map->exprs[i] != NULL)
			e->exprs[i] = ExecInitExpr(expression_planner(copyObject(e->map->exprs[i])), NULL);
	}
	MemoryContextSwitchTo(query_cxt);
	if (e->kafka)
	{
		e->outbox = table_open(e->view->outbox, RowExclusiveLock);
		e->outbox_rri = makeNode(ResultRelInfo);
		InitResultRelInfo(e->outbox_rri, e->outbox, 1, NULL, 0);
		ExecOpenIndices(e->outbox_rri, false);
		e->gathered = palloc0(sizeof(TupleTableSlot *) * OUTBOX_ROWS);
		e->gathered_cxt = AllocSetContextCreate(e->part_cxt, "streamx rows for the outbox",
												ALLOCSET_DEFAULT_SIZES);
	}
	MemoryContextSwitchTo(old);
	e->open = true;
}

static void
write_outbox(SxEmit *e)
{
	if (e->ngathered == 0)
		return;
	table_multi_insert(e->outbox, e->gathered, e->ngathered,
					   GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < e->ngathered; i++)
	{
		list_free(sx_insert_index_tuples(e->outbox_rri, e->gathered[i], e->estate));
		ExecClearTuple(e->gathered[i]);
	}
	MemoryContextReset(e->gathered_cxt);
	e->ngathered = 0;
	e->bytes_gathered = 0;
}

/* Takes a copy. */
static void
put_message(SxEmit *e, HeapTuple message)
{
	MemoryContext old;
	HeapTuple	copy;

	if (e->gathered[e->ngathered] == NULL)
	{
		old = MemoryContextSwitchTo(e->estate->es_query_cxt);
		e->gathered[e->ngathered] =
			ExecInitExtraTupleSlot(e->estate, RelationGetDescr(e->outbox),
								   &TTSOpsHeapTuple);
		MemoryContextSwitchTo(old);
	}
	old = MemoryContextSwitchTo(e->gathered_cxt);
	copy = heap_copytuple(message);
	MemoryContextSwitchTo(old);
	e->written++;
	sx_outbox_number(copy, e->base + e->written);
	ExecStoreHeapTuple(copy, e->gathered[e->ngathered++], false);
	e->bytes_gathered += copy->t_len;
	if (e->ngathered == OUTBOX_ROWS || e->bytes_gathered > OUTBOX_BYTES)
		write_outbox(e);
}

static void
put_row(SxEmit *e, TupleTableSlot *slot)
{
	if (e->journal == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(e->part_cxt);

		e->journal = sx_journal_begin(e->sink);
		MemoryContextSwitchTo(old);
	}
	sx_journal_insert(e->journal, slot);
}

static void
close_part(SxEmit *e)
{
	if (!e->open)
		return;
	if (e->outbox != NULL)
	{
		write_outbox(e);
		ExecCloseIndices(e->outbox_rri);
		table_close(e->outbox, NoLock);
	}
	if (e->journal != NULL)
		sx_journal_end(e->journal);
	ExecResetTupleTable(e->estate->es_tupleTable, false);
	e->estate->es_tupleTable = NIL;
	table_close(e->sink, NoLock);
	FreeExecutorState(e->estate);
	reset_part(e);
}

void
sx_result_emit_part(SxResult *r)
{
	if (r->emit != NULL)
		close_part(r->emit);
}

/* ---- rows ------------------------------------------------------------------------------ */

/*
 * The sink's row of a row of the result, in e->slot; false: a trigger said no.
 * inserted: it goes there, as opposed to one of which only the key is wanted.
 */
static bool
make_row(SxEmit *e, TupleTableSlot *in, bool inserted)
{
	ExprContext *econtext = GetPerTupleExprContext(e->estate);
	TupleDesc	desc = RelationGetDescr(e->sink);
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(e->estate));

	econtext->ecxt_scantuple = in;
	ExecClearTuple(e->slot);
	for (int i = 0; i < e->map->natts; i++)
	{
		e->slot->tts_isnull[i] = true;
		e->slot->tts_values[i] = (Datum) 0;
		if (e->exprs[i] != NULL)
			e->slot->tts_values[i] = ExecEvalExpr(e->exprs[i], econtext,
												  &e->slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(e->slot);
	MemoryContextSwitchTo(old);
	if (!inserted)
		return true;

	if (e->rri->ri_TrigDesc && e->rri->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(e->estate, e->rri, e->slot))
		return false;
	e->slot->tts_tableOid = RelationGetRelid(e->sink);
	if (desc->constr && desc->constr->has_generated_stored)
		ExecComputeStoredGenerated(e->rri, e->estate, e->slot, CMD_INSERT);
	if (desc->constr)
		ExecConstraints(e->rri, e->slot, e->estate);
	if (e->sink->rd_rel->relispartition)
		ExecPartitionCheck(e->rri, e->slot, e->estate, true);
	if (e->rri->ri_TrigDesc && e->rri->ri_TrigDesc->trig_insert_after_row)
		ExecARInsertTriggers(e->estate, e->rri, e->slot, NIL, NULL);
	return true;
}

/* A column's bytes; false: NULL. */
static bool
column_bytes(const ByteColumn *c, TupleTableSlot *in, char **bytes, size_t *len)
{
	bool		isnull;
	Datum		value;

	*bytes = NULL;
	*len = 0;
	if (c->attno == 0)
		return false;
	value = slot_getattr(in, c->attno, &isnull);
	if (isnull)
		return false;
	if (c->is_bytea)
	{
		bytea	   *b = DatumGetByteaPP(value);

		*bytes = VARDATA_ANY(b);
		*len = VARSIZE_ANY_EXHDR(b);
	}
	else
	{
		char	   *text = OutputFunctionCall(unconstify(FmgrInfo *, &c->output), value);

		*bytes = pg_server_to_any(text, strlen(text), PG_UTF8);
		*len = strlen(*bytes);
	}
	return true;
}

/* The message of e->slot, in the per-tuple context; NULL: nothing to say. */
static HeapTuple
make_message(SxEmit *e, TupleTableSlot *in, bool tombstone)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(e->estate));
	SxEncoded	encoded;
	char	   *route;
	size_t		route_len;
	HeapTuple	result = NULL;

	slot_getallattrs(e->slot);
	sx_encode_row(e->encoder, e->slot->tts_values, e->slot->tts_isnull, &encoded);
	if (e->key.attno != 0)
	{
		char	   *key;

		(void) column_bytes(&e->key, in, &key, &encoded.key_len);
		encoded.key = key;
	}
	(void) column_bytes(&e->route, in, &route, &route_len);
	if (tombstone)
	{
		encoded.payload = NULL;
		encoded.payload_len = 0;
	}
	if (!tombstone || encoded.key != NULL)
		result = sx_outbox_row(e->outbox, &encoded, route, route_len);
	MemoryContextSwitchTo(old);
	return result;
}

static Kept *
keep(SxEmit *e, ItemPointer before, ItemPointer place)
{
	Kept	   *k;

	if (e->nkept == e->maxkept)
	{
		e->maxkept = Max(256, e->maxkept * 2);
		e->kept = e->kept ? repalloc_huge(e->kept, e->maxkept * sizeof(Kept)) :
			MemoryContextAllocHuge(e->kept_cxt, e->maxkept * sizeof(Kept));
	}
	k = &e->kept[e->nkept++];
	memset(k, 0, sizeof(*k));
	k->instead = -1;
	ItemPointerSetInvalid(&k->before);
	ItemPointerSetInvalid(&k->place);
	if (before)
		k->before = *before;
	if (place)
		k->place = *place;
	return k;
}

void
sx_emit_row(SxEmit *e, TupleTableSlot *in, ItemPointer before, ItemPointer place)
{
	if (!e->open)
		open_part(e);
	if (make_row(e, in, true))
	{
		HeapTuple	message = e->kafka ? make_message(e, in, false) : NULL;

		if (!e->direct)
		{
			Kept	   *k = keep(e, before, place);
			MemoryContext old = MemoryContextSwitchTo(e->kept_cxt);

			if (e->kafka)
				k->message = heap_copytuple(message);
			else
				k->row = ExecCopySlotMinimalTuple(e->slot);
			MemoryContextSwitchTo(old);
		}
		else if (e->kafka)
			put_message(e, message);
		else
			put_row(e, e->slot);
	}
	else if (!e->direct)
		(void) keep(e, before, place);
	ExecClearTuple(e->slot);
	ResetPerTupleExprContext(e->estate);
}

bool
sx_emit_wants_old(const SxEmit *e)
{
	return e->tombstones;
}

void
sx_emit_gone(SxEmit *e, TupleTableSlot *in, ItemPointer place)
{
	Kept	   *k;

	if (e->direct)
		return;
	k = keep(e, place, NULL);
	if (in == NULL || !e->tombstones)
		return;
	if (!e->open)
		open_part(e);
	if (make_row(e, in, false))
	{
		HeapTuple	message = make_message(e, in, true);

		if (message != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(e->kept_cxt);

			k->message = heap_copytuple(message);
			MemoryContextSwitchTo(old);
		}
	}
	ExecClearTuple(e->slot);
	ResetPerTupleExprContext(e->estate);
}

/* ---- the end of a view's batch ---------------------------------------------------------- */

/* Of several writes of one row the last one counts. */
static void
drop_superseded(SxEmit *e)
{
	typedef struct PlaceEntry
	{
		ItemPointerData place;	/* hash key */
		int64		kept;
	} PlaceEntry;
	HASHCTL		ctl = {
		.keysize = sizeof(ItemPointerData),
		.entrysize = sizeof(PlaceEntry),
		.hcxt = e->kept_cxt,
	};
	HTAB	   *places;
	bool	   *is_new;

	places = hash_create("streamx rows of a batch by place", e->nkept, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* rows that were not there before the batch */
	is_new = MemoryContextAllocHuge(e->kept_cxt, e->nkept);
	for (int64 i = 0; i < e->nkept; i++)
	{
		Kept	   *k = &e->kept[i];
		PlaceEntry *entry;

		is_new[i] = !ItemPointerIsValid(&k->before);
		if (!is_new[i])
		{
			entry = hash_search(places, &k->before, HASH_REMOVE, NULL);
			if (entry != NULL)
			{
				e->kept[entry->kept].instead = i;
				is_new[i] = is_new[entry->kept];
			}
		}
		if (ItemPointerIsValid(&k->place))
		{
			entry = hash_search(places, &k->place, HASH_ENTER, NULL);
			entry->kept = i;
		}
		else if (is_new[i])
			k->message = NULL;	/* nobody has seen it come */
	}
}

int64
sx_result_emit_end(SxResult *r)
{
	SxEmit	   *e = r->emit;
	int64		written;

	if (e == NULL)
		return 0;
	if (e->nkept > 0)
	{
		TupleTableSlot *slot;

		drop_superseded(e);
		if (!e->open)
			open_part(e);
		slot = ExecInitExtraTupleSlot(e->estate, RelationGetDescr(e->sink),
									  &TTSOpsMinimalTuple);
		for (int64 i = 0; i < e->nkept; i++)
		{
			Kept	   *k = &e->kept[i];

			CHECK_FOR_INTERRUPTS();
			if (k->instead >= 0)
				continue;
			if (k->message)
				put_message(e, k->message);
			else if (k->row)
			{
				ExecStoreMinimalTuple(k->row, slot, false);
				slot_getallattrs(slot);
				put_row(e, slot);
			}
		}
	}
	close_part(e);
	written = e->written;
	reset_batch(e);
	return written;
}
