/*-------------------------------------------------------------------------
 * verify.c
 *		streamx.verify: is a view what its query gives over its source?
 *
 * The stored query runs as a batch over exactly what the view has read: from
 * where it began to where it stands, less its dead letters.  Progress, dead
 * letters and result table are read with one snapshot, so that a worker that
 * goes on meanwhile does not matter.
 *
 * Both sides are sorted and walked through side by side: views with groups by
 * their grouping columns, after which the other columns are compared; views
 * without aggregates by their whole rows, each as often as it is there.
 *
 * Floating point sums depend on the order of their rows, which is not kept:
 * they are equal if they agree to rounding.  Everything else has to be equal
 * by its type's own equality or, if there is none, as text.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/sortsupport.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "catalog/stream.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "exec/owner.h"
#include "fdw/batch_scan.h"
#include "plan/closing.h"
#include "plan/plan.h"
#include "result/cascade.h"
#include "result/held.h"
#include "result/result.h"
#include "source/journal.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_verify);

#define FLOAT8_ROUNDING	1e-9	/* relative */
#define FLOAT4_ROUNDING 1e-5
#define FLOAT_TINY		1e-5	/* smaller ones are compared as if they were
								 * of this size */

/* How one column of the view is compared. */
typedef struct Column
{
	Oid			typid;			/* of domains: what they are over */
	Oid			collation;
	FmgrInfo   *eq;				/* NULL: as text */
	FmgrInfo	out;
} Column;

/* The rows of one side, in order. */
typedef struct Side
{
	Tuplesortstate *sort;
	TupleTableSlot *slot;		/* the row at hand */
	bool		more;			/* there is one */
} Side;

typedef struct Comparison
{
	const SxView *view;
	const SxShape *shape;
	int64		closed_us;		/* windows that end by then are closed */
	int64		lost_us;		/* of a final view over other views: windows
								 * up to it are no longer made of all rows */
	int64		final_before_us;	/* those before it have come */
	TupleDesc	row;			/* the view's columns */
	Column	   *columns;
	bool		whole;			/* rows are compared as a whole */
	TupleDesc	sorted;			/* what is sorted: rows, or their text; behind
								 * them a number if there is no key */
	int			nkeys;
	AttrNumber *attnos;
	Oid		   *operators;
	Oid		   *collations;
	bool	   *nulls_first;
	SortSupport keys;			/* to compare one side with the other */
	Side		batch;
	Side		table;
	MemoryContext row_cxt;
	ReturnSetInfo *rsinfo;
} Comparison;

/* ---- what is compared, and how ---- */

static void
add_key(Comparison *c, AttrNumber attno, Oid typid, Oid collation)
{
	TypeCacheEntry *type = lookup_type_cache(typid, TYPECACHE_LT_OPR);
	SortSupport key = &c->keys[c->nkeys];

	if (!OidIsValid(type->lt_opr))
		elog(ERROR, "type %s has no order", format_type_be(typid));
	c->attnos[c->nkeys] = attno;
	c->operators[c->nkeys] = type->lt_opr;
	c->collations[c->nkeys] = collation;
	c->nulls_first[c->nkeys] = false;
	key->ssup_cxt = CurrentMemoryContext;
	key->ssup_collation = collation;
	key->ssup_nulls_first = false;
	key->ssup_attno = attno;
	PrepareSortSupportFromOrderingOp(type->lt_opr, key);
	c->nkeys++;
}

static void
describe(Comparison *c, Relation rel, const Query *query)
{
	int			ncolumns = ExecCleanTargetListLength(query->targetList);
	int			max = Max(c->shape->nkeys, 1);
	int			i;

	if (ncolumns > RelationGetNumberOfAttributes(rel))
		elog(ERROR, "result table of continuous view %s lacks columns", c->view->name);
	c->row = CreateTemplateTupleDesc(ncolumns);
	c->columns = palloc0(sizeof(Column) * Max(ncolumns, 1));
	for (i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		Column	   *column = &c->columns[i];
		TypeCacheEntry *type;
		Oid			outfunc;
		bool		varlena;

		TupleDescCopyEntry(c->row, i + 1, RelationGetDescr(rel), i + 1);
		column->typid = getBaseType(att->atttypid);
		column->collation = att->attcollation;
		type = lookup_type_cache(column->typid, TYPECACHE_EQ_OPR_FINFO);
		if (OidIsValid(type->eq_opr_finfo.fn_oid))
			column->eq = &type->eq_opr_finfo;
		getTypeOutputInfo(att->atttypid, &outfunc, &varlena);
		fmgr_info(outfunc, &column->out);
	}
	c->row = BlessTupleDesc(c->row);

	c->whole = c->shape->strategy == SX_STRATEGY_APPEND ||
		(c->shape->strategy == SX_STRATEGY_DERIVE && c->shape->nkeys == 0);
	c->attnos = palloc(sizeof(AttrNumber) * max);
	c->operators = palloc(sizeof(Oid) * max);
	c->collations = palloc(sizeof(Oid) * max);
	c->nulls_first = palloc(sizeof(bool) * max);
	c->keys = palloc0(sizeof(SortSupportData) * max);
	if (c->whole)
	{
		c->sorted = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(c->sorted, 1, "row", TEXTOID, -1, 0);
		TupleDescInitEntryCollation(c->sorted, 1, C_COLLATION_OID);
		add_key(c, 1, TEXTOID, C_COLLATION_OID);
		return;
	}
	if (c->shape->nkeys > 0)
	{
		c->sorted = c->row;
		for (i = 0; i < c->shape->nkeys; i++)
		{
			AttrNumber	attno = c->shape->keys[i].resno;
			Form_pg_attribute att = TupleDescAttr(c->row, attno - 1);

			add_key(c, attno, att->atttypid, att->attcollation);
		}
		return;
	}

	/* one row: all are the same */
	c->sorted = CreateTemplateTupleDesc(ncolumns + 1);
	for (i = 0; i < ncolumns; i++)
		TupleDescCopyEntry(c->sorted, i + 1, c->row, i + 1);
	TupleDescInitEntry(c->sorted, ncolumns + 1, "key", INT4OID, -1, 0);
	add_key(c, ncolumns + 1, INT4OID, InvalidOid);
}

/*
 * Has the table to have this row, as far as its window goes?  A final view has
 * those of closed windows only; what retention takes away may still be there.
 */
static bool
is_compared(const Comparison *c, TupleTableSlot *slot)
{
	const SxDerivation *d = c->shape->derivation;
	const SxWindow *window = d ? d->window : c->shape->window;
	Datum		key;
	bool		null;
	int64		end;

	if (d && d->closing)
	{
		window = d->closing->window;
		key = slot_getattr(slot, d->closing->column, &null);
		if (null || DatumGetInt64(key) >= c->final_before_us || DatumGetInt64(key) <= c->lost_us)
			return false;
		return !c->view->has_retention ||
			sx_window_end(window, DatumGetInt64(key)) > c->closed_us - c->view->retention_us;
	}
	if (window == NULL || window->kind == SX_WINDOW_SESSION ||
		(!c->view->final && !c->view->has_retention))
		return true;
	key = slot_getattr(slot, d ? d->parts[d->window_part].resno :
					   c->shape->keys[c->shape->window_key].resno, &null);
	if (null)
		return true;
	end = sx_window_end(window, DatumGetInt64(key));
	if (c->view->final && end > c->closed_us)
		return false;
	return !c->view->has_retention || end > c->closed_us - c->view->retention_us;
}

/* ---- rows as JSON ---- */

static text *
row_as_json(Comparison *c, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(c->row, values, nulls);

	return DatumGetTextPP(DirectFunctionCall1(row_to_json,
											  HeapTupleGetDatum(tuple)));
}

static void
append_side(StringInfo buf, Comparison *c, Side *side)
{
	if (side == NULL)
		appendStringInfoString(buf, "null");
	else
	{
		text	   *json;

		slot_getallattrs(side->slot);
		json = c->whole ? DatumGetTextPP(side->slot->tts_values[0]) :
			row_as_json(c, side->slot->tts_values, side->slot->tts_isnull);
		appendBinaryStringInfo(buf, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
	}
}

/* One difference; NULL: that side has no such row. */
static void
report(Comparison *c, const char *difference, Side *batch, Side *table)
{
	StringInfoData buf;
	Datum		values[2];
	bool		nulls[2] = {0};

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"batch\": ");
	append_side(&buf, c, batch);
	appendStringInfoString(&buf, ", \"table\": ");
	append_side(&buf, c, table);
	appendStringInfoChar(&buf, '}');
	values[0] = CStringGetTextDatum(difference);
	values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
	tuplestore_putvalues(c->rsinfo->setResult, c->rsinfo->setDesc, values, nulls);
}

/* ---- filling a side ---- */

static void
begin_side(Comparison *c, Side *side)
{
	side->sort = tuplesort_begin_heap(c->sorted, c->nkeys, c->attnos,
									  c->operators, c->collations,
									  c->nulls_first, work_mem, NULL,
									  TUPLESORT_NONE);
	side->slot = MakeSingleTupleTableSlot(c->sorted, &TTSOpsMinimalTuple);
}

static void
add_row(Comparison *c, Side *side, TupleTableSlot *input, TupleTableSlot *to)
{
	MemoryContext old = MemoryContextSwitchTo(c->row_cxt);

	slot_getallattrs(input);
	ExecClearTuple(to);
	if (c->whole)
	{
		to->tts_values[0] = PointerGetDatum(row_as_json(c, input->tts_values,
														input->tts_isnull));
		to->tts_isnull[0] = false;
	}
	else
	{
		int			ncolumns = c->row->natts;

		memcpy(to->tts_values, input->tts_values, sizeof(Datum) * ncolumns);
		memcpy(to->tts_isnull, input->tts_isnull, sizeof(bool) * ncolumns);
		if (c->sorted->natts > ncolumns)
		{
			to->tts_values[ncolumns] = Int32GetDatum(0);
			to->tts_isnull[ncolumns] = false;
		}
	}
	ExecStoreVirtualTuple(to);
	MemoryContextSwitchTo(old);
	tuplesort_puttupleslot(side->sort, to);
	ExecClearTuple(to);
	MemoryContextReset(c->row_cxt);
}

typedef struct SideReceiver
{
	DestReceiver pub;
	Comparison *c;
	Side	   *side;
	TupleTableSlot *to;
} SideReceiver;

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	SideReceiver *receiver = (SideReceiver *) self;
	TupleDesc	row = receiver->c->row;
	int			i;

	if (desc->natts != row->natts)
		elog(ERROR, "query of a continuous view has %d columns, its result table %d",
			 desc->natts, row->natts);
	for (i = 0; i < row->natts; i++)
	{
		if (TupleDescAttr(desc, i)->atttypid != TupleDescAttr(row, i)->atttypid)
			elog(ERROR, "column %d of a continuous view has another type than its query", i + 1);
	}
}

static bool
receiver_receive(TupleTableSlot *slot, DestReceiver *self)
{
	SideReceiver *receiver = (SideReceiver *) self;

	if (is_compared(receiver->c, slot))
		add_row(receiver->c, receiver->side, slot, receiver->to);
	return true;
}

static void
receiver_nothing(DestReceiver *self)
{
}

/* What the query gives between the bounds. */
static void
run_batch(Comparison *c, Query *query, const SxScanBounds *bounds)
{
	SideReceiver receiver = {{0}};
	PlannedStmt *plan;
	QueryDesc  *desc;

	receiver.pub.receiveSlot = receiver_receive;
	receiver.pub.rStartup = receiver_startup;
	receiver.pub.rShutdown = receiver_nothing;
	receiver.pub.rDestroy = receiver_nothing;
	receiver.pub.mydest = DestNone;
	receiver.c = c;
	receiver.side = &c->batch;
	receiver.to = MakeSingleTupleTableSlot(c->sorted, &TTSOpsVirtual);

	/* bounds are known to this process only: no parallel workers */
	plan = pg_plan_query(query, "", 0, NULL);
	desc = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot,
						   &receiver.pub, NULL, NULL, 0);
	PG_TRY();
	{
		sx_fdw_set_bounds(bounds);
		ExecutorStart(desc, 0);
		sx_executor_run(desc);
		ExecutorFinish(desc);
		ExecutorEnd(desc);
	}
	PG_FINALLY();
	{
		sx_fdw_set_bounds(NULL);
	}
	PG_END_TRY();
	FreeQueryDesc(desc);
	ExecDropSingleTupleTableSlot(receiver.to);
}

static void
read_heap(Comparison *c, Relation rel)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TupleTableSlot *to = MakeSingleTupleTableSlot(c->sorted, &TTSOpsVirtual);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_compared(c, slot))
			add_row(c, &c->table, slot, to);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(to);
}

/* What the result table has, or its partitions have. */
static void
read_table(Comparison *c, Relation rel)
{
	ListCell   *lc;

	if (rel->rd_rel->relkind == RELKIND_RELATION)
	{
		read_heap(c, rel);
		return;
	}
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		Relation	leaf;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		leaf = table_open(lfirst_oid(lc), NoLock);
		read_heap(c, leaf);
		table_close(leaf, NoLock);
	}
}

/* ---- comparing ---- */

static void
advance(Side *side)
{
	side->more = tuplesort_gettupleslot(side->sort, true, false, side->slot, NULL);
}

static int
compare_keys(Comparison *c)
{
	int			i;

	if (!c->batch.more || !c->table.more)
		return c->batch.more ? -1 : 1;
	for (i = 0; i < c->nkeys; i++)
	{
		bool		null1;
		bool		null2;
		Datum		value1 = slot_getattr(c->batch.slot, c->attnos[i], &null1);
		Datum		value2 = slot_getattr(c->table.slot, c->attnos[i], &null2);
		int			result = ApplySortComparator(value1, null1, value2, null2,
												 &c->keys[i]);

		if (result != 0)
			return result;
	}
	return 0;
}

static bool
same_float(double a, double b, double rounding)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	if (isinf(a) || isinf(b))
		return a == b;
	return fabs(a - b) <= rounding * Max(Max(fabs(a), fabs(b)), FLOAT_TINY);
}

static bool
same_value(Column *column, Datum a, Datum b)
{
	switch (column->typid)
	{
		case FLOAT8OID:
			return same_float(DatumGetFloat8(a), DatumGetFloat8(b), FLOAT8_ROUNDING);
		case FLOAT4OID:
			return same_float(DatumGetFloat4(a), DatumGetFloat4(b), FLOAT4_ROUNDING);
		default:
			if (column->eq != NULL)
				return DatumGetBool(FunctionCall2Coll(column->eq, column->collation, a, b));
			return strcmp(OutputFunctionCall(&column->out, a),
						  OutputFunctionCall(&column->out, b)) == 0;
	}
}

static bool
same_row(Comparison *c)
{
	int			i;

	if (c->whole)
		return true;			/* its text is the key */
	slot_getallattrs(c->batch.slot);
	slot_getallattrs(c->table.slot);
	for (i = 0; i < c->row->natts; i++)
	{
		bool		null1 = c->batch.slot->tts_isnull[i];
		bool		null2 = c->table.slot->tts_isnull[i];

		if (null1 != null2 ||
			(!null1 && !same_value(&c->columns[i], c->batch.slot->tts_values[i],
								   c->table.slot->tts_values[i])))
			return false;
	}
	return true;
}

static void
compare(Comparison *c)
{
	MemoryContext old = MemoryContextSwitchTo(c->row_cxt);

	tuplesort_performsort(c->batch.sort);
	tuplesort_performsort(c->table.sort);
	advance(&c->batch);
	advance(&c->table);
	while (c->batch.more || c->table.more)
	{
		int			order = compare_keys(c);

		CHECK_FOR_INTERRUPTS();
		if (order < 0)
			report(c, "missing", &c->batch, NULL);
		else if (order > 0)
			report(c, "extra", NULL, &c->table);
		else if (!same_row(c))
			report(c, "differs", &c->batch, &c->table);
		if (order <= 0)
			advance(&c->batch);
		if (order >= 0)
			advance(&c->table);
		MemoryContextReset(c->row_cxt);
	}
	MemoryContextSwitchTo(old);
	ExecDropSingleTupleTableSlot(c->batch.slot);
	ExecDropSingleTupleTableSlot(c->table.slot);
	tuplesort_end(c->batch.sort);
	tuplesort_end(c->table.sort);
}

/* ---- the source ---- */

static void
no_longer_kept(const SxView *view, const SxStream *stream, const char *verb)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot %s continuous view %s", verb, view->name),
			 errdetail("Stream %s no longer keeps all the rows that the view has read.",
					   stream->name),
			 strcmp(verb, "backfill") == 0 ?
			 errhint("Use on_replace = 'restart' or 'keep'. With option \"retain\" the stream keeps rows for longer.") :
			 errhint("Set the option \"retain\" of the stream to an interval, so that it keeps them for longer.")));
}

static void
check_stream_kept(const SxView *view, const SxStream *stream, const SxScanBounds *bounds,
				  const char *verb)
{
	int			i;

	if (sx_positions_gone(bounds->to, bounds->nto))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s continuous view %s", verb, view->name),
				 errdetail("Stream %s has not what the view has read: its topic was deleted or created anew.",
						   stream->name),
				 errhint("SELECT streamx.rebuild('%s', 'earliest') computes the view from the topic that is there now.",
						 view->name)));
	if (strcmp(stream->kind, "socket") == 0)
	{
		for (i = 0; i < bounds->nfrom; i++)
		{
			if (bounds->from[i].next_offset < sx_journal_first_offset(stream->relid))
				no_longer_kept(view, stream, verb);
		}
	}
	else if (strcmp(stream->kind, "native") == 0)
	{
		for (i = 0; i < bounds->nto; i++)
		{
			const SxPosition *from = &bounds->from[i];
			const SxPosition *to = &bounds->to[i];

			if (from->snapshot == NULL ||
				sx_journal_count(stream->relid, from->snapshot, to->snapshot) !=
				to->next_offset - from->next_offset)
				no_longer_kept(view, stream, verb);
		}

		/* their positions count in the order of commits, which is not kept */
		if (bounds->nskip > 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot verify continuous view %s", view->name),
					 errdetail("Rows of native stream %s that became dead letters cannot be told from the others any more.",
							   stream->name),
					 errhint("Compare by a query over what was inserted.")));
	}
}

void
sx_ddl_check_kept(const SxView *view, const SxScanBounds *bounds, const char *verb)
{
	for (; bounds; bounds = bounds->next)
		check_stream_kept(view, sx_stream_get(bounds->stream, view->owner), bounds, verb);
}

static void
context_callback(void *arg)
{
	errcontext("verification of continuous view %s", ((const SxView *) arg)->name);
}

/* streamx.verify(view regclass) returns setof (difference text, result jsonb) */
Datum
streamx_verify(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Comparison	c = {0};
	SxScanBounds *bounds = NULL;
	SxOwnerScope scope;
	SxView	   *view;
	Query	   *query;
	Query	   *rewritten;
	Relation	rel;
	ErrorContextCallback context;
	ListCell   *lc;

	sx_worker_require_preloaded();
	sx_ddl_check_owned_view(relid);
	InitMaterializedSRF(fcinfo, 0);
	rel = table_open(relid, AccessShareLock);
	view = sx_view_get(relid);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", relid),
				 errhint("streamx.views lists the continuous views.")));
	context.callback = context_callback;
	context.arg = view;
	context.previous = error_context_stack;
	error_context_stack = &context;

	sx_owner_enter(view, &scope);
	PushActiveSnapshot(GetLatestSnapshot());
	query = sx_plan_stored_query(view->query);
	c.view = view;
	c.shape = sx_plan_analyze(query, view->name);
	c.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	c.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx verify row",
									  ALLOCSET_DEFAULT_SIZES);
	describe(&c, rel, query);

	/* all as one snapshot sees it */
	c.closed_us = sx_view_watermark(relid);
	if (c.closed_us != PG_INT64_MIN)
		c.closed_us -= view->lateness_us;
	if (view->sources && view->final)
	{
		sx_plan_find_closing(c.shape, view->name);
		c.final_before_us = sx_view_final_before(relid);
		c.lost_us = sx_cascade_lost(view, c.shape->derivation->closing, sx_cascade_standing);
	}
	rewritten = sx_plan_so_far(query, c.shape, view->final, c.closed_us);

	/* windows over joined streams wait for the rows that are held */
	foreach(lc, c.closed_us == PG_INT64_MIN ? NIL : sx_plan_joined(c.shape))
	{
		const SxJoined *joined = lfirst(lc);

		if (joined->shape->window)
			c.closed_us = Min(c.closed_us,
							  sx_held_least_time(sx_held_open(view, joined),
												 joined->shape->window_side, c.closed_us));
	}

	/* what is made from results of other views is what these are now */
	foreach(lc, view->sources ? NIL : c.shape->streams)
	{
		SxScanBounds *b = palloc0(sizeof(SxScanBounds));

		b->stream = lfirst_oid(lc);
		b->from = sx_checkpoint_load_first(relid, b->stream, &b->nfrom);
		b->to = sx_checkpoint_load(relid, b->stream, &b->nto);
		b->skip = sx_result_dead_letters(b->stream, relid, &b->nskip);
		b->next = bounds;
		bounds = b;
	}

	/* twice: what a worker empties while it is read is missed afterwards */
	sx_ddl_check_kept(view, bounds, "verify");
	begin_side(&c, &c.batch);
	begin_side(&c, &c.table);
	run_batch(&c, rewritten, bounds);
	sx_ddl_check_kept(view, bounds, "verify");
	read_table(&c, rel);
	compare(&c);

	PopActiveSnapshot();
	sx_owner_leave(&scope);
	error_context_stack = context.previous;
	table_close(rel, NoLock);
	return (Datum) 0;
}
