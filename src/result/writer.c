/*-------------------------------------------------------------------------
 * writer.c
 *		Writes rows of one table through the executor's own routines.
 *
 * The same way as the apply worker of logical replication: an executor state
 * with one range table entry and one result relation, AFTER triggers queued
 * and fired at the end.  Rows that are new go in many at a time, by
 * table_multi_insert, where nothing has to look at each one before.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "compat.h"
#include "result/emit.h"
#include "result/leaf.h"
#include "result/writer.h"
#include "stats/history.h"

#define ADDED_ROWS		1000	/* that go in together */
#define ADDED_BYTES		65536

static List *watches = NIL;		/* SxWatch of all tables */

static void
end_watch(void *watch)
{
	watches = list_delete_ptr(watches, watch);
}

void
sx_writer_watch(SxWatch *watch, MemoryContext cxt)
{
	MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	watches = lappend(watches, watch);
	MemoryContextSwitchTo(old);
	callback->func = end_watch;
	callback->arg = watch;
	MemoryContextRegisterResetCallback(cxt, callback);
}

void
sx_writer_changed(Oid relid)
{
	ListCell   *lc;

	foreach(lc, watches)
	{
		SxWatch    *watch = lfirst(lc);

		if (watch->relid == relid)
			watch->changed(watch, NULL);
	}
}

/* ---- triggers of the statement ---- */

enum
{
	STATEMENT_INSERT,
	STATEMENT_UPDATE,
	STATEMENT_DELETE
};

static bool
has_statement_triggers(const TriggerDesc *t)
{
	return t && (t->trig_insert_before_statement || t->trig_insert_after_statement ||
				 t->trig_update_before_statement || t->trig_update_after_statement ||
				 t->trig_delete_before_statement || t->trig_delete_after_statement);
}

/* The first row is about to be written. */
static void
begin_statement(SxWriter *w, int statement)
{
	static const CmdType commands[] = {CMD_INSERT, CMD_UPDATE, CMD_DELETE};
	MemoryContext old;

	if (!w->statements || w->begun[statement])
		return;
	w->begun[statement] = true;
	old = MemoryContextSwitchTo(w->estate->es_query_cxt);
	if (statement == STATEMENT_INSERT)
		ExecBSInsertTriggers(w->estate, w->rri);
	else if (statement == STATEMENT_UPDATE)
		ExecBSUpdateTriggers(w->estate, w->rri);
	else
		ExecBSDeleteTriggers(w->estate, w->rri);
	w->captures[statement] = MakeTransitionCaptureState(w->rri->ri_TrigDesc,
														RelationGetRelid(w->rel),
														commands[statement]);
	MemoryContextSwitchTo(old);
}

/*
 * A row was written by a function that fills no transition tables: without
 * the triggers of the row, which it has queued.
 */
static void
capture_row(SxWriter *w, int statement, ItemPointer before, TupleTableSlot *after)
{
	TransitionCaptureState *capture = w->captures[statement];
	TriggerDesc *triggers = w->rri->ri_TrigDesc;

	if (capture == NULL)
		return;
	w->rri->ri_TrigDesc = NULL;
	if (statement == STATEMENT_INSERT)
		ExecARInsertTriggers(w->estate, w->rri, after, NIL, capture);
	else if (statement == STATEMENT_UPDATE)
		ExecARUpdateTriggers(w->estate, w->rri, NULL, NULL, before, NULL, after, NIL,
							 capture, false);
	else
		ExecARDeleteTriggers(w->estate, w->rri, before, NULL, capture, false);
	w->rri->ri_TrigDesc = triggers;
}

static void
end_statements(SxWriter *w)
{
	if (w->begun[STATEMENT_INSERT])
		ExecASInsertTriggers(w->estate, w->rri, w->captures[STATEMENT_INSERT]);
	if (w->begun[STATEMENT_UPDATE])
		ExecASUpdateTriggers(w->estate, w->rri, w->captures[STATEMENT_UPDATE]);
	if (w->begun[STATEMENT_DELETE])
		ExecASDeleteTriggers(w->estate, w->rri, w->captures[STATEMENT_DELETE]);
}

/* ---- a partitioned table ---- */

/* It is not kept open, see leaf.c. */
static void
begin_partitioned(SxWriter *w, Oid relid)
{
	Relation	rel = table_open(relid, RowExclusiveLock);
	PartitionKey key = RelationGetPartitionKey(rel);

	if (has_statement_triggers(rel->trigdesc))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot fire the statement triggers of continuous view \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Its result is partitioned."),
				 errhint("Drop them, and use triggers FOR EACH ROW.")));
	w->leaves = palloc0(sizeof(SxLeaves));
	w->leaves->relid = relid;
	w->leaves->attno = key->partattrs[0];
	w->leaves->type = key->parttypid[0];
	w->slot = ExecInitExtraTupleSlot(w->estate, CreateTupleDescCopy(RelationGetDescr(rel)),
									 &TTSOpsVirtual);
	table_close(rel, NoLock);
}

static void
end_partitioned(SxWriter *w)
{
	EState	   *estate = w->estate;
	ListCell   *lc;

	foreach(lc, w->leaves->leaves)
		sx_writer_end(((SxLeaf *) lfirst(lc))->writer);
	ExecResetTupleTable(estate->es_tupleTable, false);
	estate->es_tupleTable = NIL;
	FreeExecutorState(estate);	/* frees w */
}

/* Where the row in the slot goes. */
static SxWriter *
leaf_of_slot(SxWriter *w)
{
	int			i = w->leaves->attno - 1;

	if (w->slot->tts_isnull[i])
		elog(ERROR, "row of a partitioned result without a window");
	return sx_leaf_get(w, DatumGetInt64(w->slot->tts_values[i]), true)->writer;
}

SxWriter *
sx_writer_begin(Oid relid)
{
	ListCell   *lc;
	SxWriter   *w;
	EState	   *estate = CreateExecutorState();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	Bitmapset  *updated = NULL;
	int			i;

	w = palloc0(sizeof(SxWriter));
	w->estate = estate;
	foreach(lc, watches)
	{
		if (((SxWatch *) lfirst(lc))->relid == relid)
			w->watches = lappend(w->watches, lfirst(lc));
	}
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
	{
		begin_partitioned(w, relid);
		MemoryContextSwitchTo(old);
		return w;
	}
	w->rel = table_open(relid, RowExclusiveLock);

	/* column triggers and index hints ask which columns an UPDATE may change */
	for (i = 0; i < RelationGetNumberOfAttributes(w->rel); i++)
		updated = bms_add_member(updated,
								 i + 1 - FirstLowInvalidHeapAttributeNumber);
	sx_init_range_table(estate, w->rel, updated);
	estate->es_output_cid = GetCurrentCommandId(true);
	estate->es_snapshot = GetActiveSnapshot();

	w->rri = makeNode(ResultRelInfo);
	InitResultRelInfo(w->rri, w->rel, 1, NULL, 0);
	ExecOpenIndices(w->rri, false);
	sx_eval_plan_qual_init(&w->epqstate, estate);
	w->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(w->rel),
									 &TTSOpsVirtual);
	w->old = table_slot_create(w->rel, &estate->es_tupleTable);
	w->one_by_one = (w->rri->ri_TrigDesc &&
					 (w->rri->ri_TrigDesc->trig_insert_before_row ||
					  w->rri->ri_TrigDesc->trig_insert_instead_row)) ||
		(w->rel->rd_att->constr && w->rel->rd_att->constr->has_generated_stored);
	w->statements = has_statement_triggers(w->rri->ri_TrigDesc);
	AfterTriggerBeginQuery();
	MemoryContextSwitchTo(old);
	return w;
}

void
sx_writer_end(SxWriter *w)
{
	EState	   *estate = w->estate;
	Relation	rel = w->rel;

	if (w->leaves)
	{
		end_partitioned(w);
		return;
	}
	sx_writer_flush(w);
	if (w->bulk)
	{
		FreeBulkInsertState(w->bulk);
		table_finish_bulk_insert(rel, 0);
	}
	end_statements(w);
	AfterTriggerEndQuery(estate);
	EvalPlanQualEnd(&w->epqstate);
	ExecCloseIndices(w->rri);
	ExecCloseResultRelations(estate);	/* those that triggers opened */
	ExecResetTupleTable(estate->es_tupleTable, false);
	estate->es_tupleTable = NIL;
	FreeExecutorState(estate);	/* frees w */
	table_close(rel, NoLock);
}

/* The row at a place, for those who watch. */
static void
fetch_old(SxWriter *w, ItemPointer tid)
{
	if (!table_tuple_fetch_row_version(w->rel, tid, SnapshotAny, w->old))
		elog(ERROR, "row to be changed is gone");
}

void
sx_writer_tell(SxWriter *w, TupleTableSlot *row)
{
	ListCell   *lc;

	foreach(lc, w->watches)
	{
		SxWatch    *watch = lfirst(lc);

		watch->changed(watch, row);
	}
}

static bool
same_rows(TupleTableSlot *a, TupleTableSlot *b)
{
	TupleDesc	desc = a->tts_tupleDescriptor;
	int			i;

	slot_getallattrs(a);
	slot_getallattrs(b);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (a->tts_isnull[i] != b->tts_isnull[i] ||
			(!a->tts_isnull[i] &&
			 !datum_image_eq(a->tts_values[i], b->tts_values[i], att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

static bool
may_skip(const SxWriter *w)
{
	ListCell   *lc;

	foreach(lc, w->watches)
	{
		if (!((SxWatch *) lfirst(lc))->skip_same)
			return false;
	}
	return true;
}

void
sx_writer_insert(SxWriter *w, ItemPointer tid)
{
	if (w->leaves)
		w = leaf_of_slot(w);
	begin_statement(w, STATEMENT_INSERT);
	ItemPointerSetInvalid(&w->slot->tts_tid);
	ExecSimpleRelationInsert(w->rri, w->estate, w->slot);
	*tid = w->slot->tts_tid;
	if (ItemPointerIsValid(tid))
		capture_row(w, STATEMENT_INSERT, NULL, w->slot);
	if (w->emit && ItemPointerIsValid(tid))
		sx_emit_row(w->emit, w->slot, NULL, tid);
	if (w->watches && ItemPointerIsValid(tid))
		sx_writer_tell(w, w->slot);
	ResetPerTupleExprContext(w->estate);
}

void
sx_writer_add(SxWriter *w, ItemPointer tid)
{
	TupleTableSlot *slot;
	ItemPointerData nowhere;
	int			i;

	if (w->leaves)
		w = leaf_of_slot(w);
	if (w->one_by_one)
	{
		sx_writer_insert(w, tid ? tid : &nowhere);
		return;
	}
	if (w->nadded == ADDED_ROWS || w->added_bytes > ADDED_BYTES)
		sx_writer_flush(w);
	if (w->added == NULL)
	{
		w->added = MemoryContextAllocZero(w->estate->es_query_cxt, sizeof(TupleTableSlot *) * ADDED_ROWS);
		w->places = MemoryContextAlloc(w->estate->es_query_cxt, sizeof(ItemPointer) * ADDED_ROWS);
	}
	if (w->added[w->nadded] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(w->estate->es_query_cxt);

		w->added[w->nadded] = table_slot_create(w->rel, &w->estate->es_tupleTable);
		MemoryContextSwitchTo(old);
	}
	slot = w->added[w->nadded];
	ExecCopySlot(slot, w->slot);
	slot->tts_tableOid = RelationGetRelid(w->rel);
	if (w->rel->rd_att->constr)
		ExecConstraints(w->rri, slot, w->estate);
	for (i = 0; i < w->slot->tts_nvalid; i++)
	{
		if (!w->slot->tts_isnull[i] && TupleDescAttr(w->slot->tts_tupleDescriptor, i)->attlen == -1)
			w->added_bytes += VARSIZE_ANY(DatumGetPointer(w->slot->tts_values[i]));
	}
	w->places[w->nadded++] = tid;
	if (tid)
		ItemPointerSetInvalid(tid);
}

void
sx_writer_flush(SxWriter *w)
{
	int			n = w->nadded;
	int64		begin;
	int			i;
	ListCell   *lc;

	foreach(lc, w->leaves ? w->leaves->leaves : NIL)
		sx_writer_flush(((SxLeaf *) lfirst(lc))->writer);
	if (n == 0)
		return;
	begin = sx_clock_us();
	w->nadded = 0;
	w->added_bytes = 0;
	begin_statement(w, STATEMENT_INSERT);
	table_multi_insert(w->rel, w->added, n, w->estate->es_output_cid, 0, w->bulk);
	for (i = 0; i < n; i++)
	{
		TupleTableSlot *slot = w->added[i];
		List	   *recheck = NIL;

		if (w->rri->ri_NumIndices > 0)
			recheck = sx_insert_index_tuples(w->rri, slot, w->estate);
		if (w->rri->ri_TrigDesc &&
			(w->rri->ri_TrigDesc->trig_insert_after_row ||
			 w->rri->ri_TrigDesc->trig_insert_new_table))
			ExecARInsertTriggers(w->estate, w->rri, slot, recheck,
								 w->captures[STATEMENT_INSERT]);
		list_free(recheck);
		if (w->places[i])
			*w->places[i] = slot->tts_tid;
		if (w->emit)
			sx_emit_row(w->emit, slot, NULL, &slot->tts_tid);
		if (w->watches)
			sx_writer_tell(w, slot);
		ExecClearTuple(slot);
		ResetPerTupleExprContext(w->estate);
	}
	sx_spent.write_us += sx_clock_us() - begin;
}

void
sx_writer_update(SxWriter *w, ItemPointer tid)
{
	ItemPointerData before = *tid;

	if (w->leaves)
		w = leaf_of_slot(w);
	if (w->watches)
	{
		fetch_old(w, tid);
		if (may_skip(w) && same_rows(w->old, w->slot))
			return;
		sx_writer_tell(w, w->old);
		ExecClearTuple(w->old);
	}
	begin_statement(w, STATEMENT_UPDATE);
	w->old->tts_tid = *tid;
	ItemPointerSetInvalid(&w->slot->tts_tid);
	ExecSimpleRelationUpdate(w->rri, w->estate, &w->epqstate, w->old, w->slot);
	if (ItemPointerIsValid(&w->slot->tts_tid))
	{
		capture_row(w, STATEMENT_UPDATE, &before, w->slot);
		*tid = w->slot->tts_tid;
		if (w->emit)
			sx_emit_row(w->emit, w->slot, &before, tid);
	}
	if (w->watches)
		sx_writer_tell(w, w->slot);
	ResetPerTupleExprContext(w->estate);
}

void
sx_writer_delete(SxWriter *w, ItemPointer tid)
{
	if (w->emit)
	{
		bool		found = sx_emit_wants_old(w->emit) &&
		table_tuple_fetch_row_version(w->rel, tid, SnapshotAny, w->old);

		sx_emit_gone(w->emit, found ? w->old : NULL, tid);
		ExecClearTuple(w->old);
	}
	if (w->watches)
	{
		fetch_old(w, tid);
		sx_writer_tell(w, w->old);
		ExecClearTuple(w->old);
	}
	begin_statement(w, STATEMENT_DELETE);
	w->old->tts_tid = *tid;
	ExecSimpleRelationDelete(w->rri, w->estate, &w->epqstate, w->old);
	capture_row(w, STATEMENT_DELETE, tid, NULL);
	ItemPointerSetInvalid(tid);
	ResetPerTupleExprContext(w->estate);
}
