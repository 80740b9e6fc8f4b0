/*-------------------------------------------------------------------------
 * merge.c
 *		Folds partial aggregate states into the stored ones and writes the
 *		rows of the groups that changed.
 *
 * State table (streamx_state.s<id>): h bigint, the hash of the keys; the
 * keys; the partial states as stored (transition values; those of type
 * internal serialized).  It is the truth, the cache of groups only saves
 * reading it again.  Result rows are derived from it alone, so a row that
 * somebody else changed or deleted comes right when its group changes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_agg.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

#include "base/guc.h"
#include "compat.h"
#include "result/distinct.h"
#include "result/group.h"
#include "result/key_index.h"
#include "result/leaf.h"
#include "result/merge.h"
#include "result/open.h"
#include "result/session.h"
#include "result/state_table.h"
#include "result/writer.h"

/* ---- select list and HAVING over (keys, aggregates) ---- */

void
sx_projection_init(SxProjection *proj, const SxShape *shape)
{
	TupleDesc	desc = CreateTemplateTupleDesc(Max(shape->nkeys + shape->naggregates, 1));
	ListCell   *lc;
	int			i;

	for (i = 0; i < shape->nkeys; i++)
	{
		TupleDescInitEntry(desc, i + 1, NULL, shape->keys[i].typid,
						   shape->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, shape->keys[i].collation);
	}
	for (i = 0; i < shape->naggregates; i++)
	{
		TupleDescInitEntry(desc, shape->nkeys + i + 1, NULL,
						   shape->aggregates[i].aggref->aggtype, -1, 0);
		TupleDescInitEntryCollation(desc, shape->nkeys + i + 1,
									shape->aggregates[i].aggref->aggcollid);
	}
	if (shape->nkeys + shape->naggregates == 0)
		TupleDescInitEntry(desc, 1, NULL, BOOLOID, -1, 0);

	proj->econtext = CreateStandaloneExprContext();
	proj->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	proj->econtext->ecxt_scantuple = proj->slot;
	proj->ncols = list_length(shape->result_exprs);
	proj->exprs = palloc0(sizeof(ExprState *) * Max(proj->ncols, 1));
	i = 0;
	foreach(lc, shape->result_exprs)
		proj->exprs[i++] = ExecInitExpr(expression_planner(lfirst(lc)), NULL);
	proj->having = shape->having ?
		ExecInitExpr(expression_planner((Expr *) shape->having), NULL) : NULL;
}

/* ---- one view ---- */

Relation
sx_state_index(Relation state, AttrNumber attno)
{
	List	   *indexes = RelationGetIndexList(state);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (index->rd_index->indkey.values[0] == attno && index->rd_index->indisvalid)
		{
			list_free(indexes);
			return index;
		}
		index_close(index, NoLock);
	}
	ereport(ERROR,
			(errcode(SX_ERRCODE_NOT_RESTORED),
			 errmsg("state table \"%s\" has lost its index",
					RelationGetRelationName(state)),
			 errhint("Wait until the restore of the dump is complete, or create it again: btree on column %s.",
					 NameStr(TupleDescAttr(RelationGetDescr(state), attno - 1)->attname))));
}

void
sx_state_begin(SxStateTable *st, const SxView *view, const SxShape *shape)
{
	memset(st, 0, sizeof(*st));
	st->writer = sx_writer_begin(view->state);
	st->slot = table_slot_create(st->writer->rel, NULL);
	if (shape->grouped)
		st->index = sx_state_index(st->writer->rel, 1);
	st->found = palloc0(sizeof(Datum) * Max(shape->nkeys, 1));
	st->found_nulls = palloc0(sizeof(bool) * Max(shape->nkeys, 1));
}

void
sx_state_end(SxStateTable *st)
{
	ExecDropSingleTupleTableSlot(st->slot);
	if (st->scan)
		index_endscan(st->scan);
	if (st->index)
		index_close(st->index, NoLock);
	sx_writer_end(st->writer);
}

/* Read the states of a group into the cache, if the table has it. */
static bool
state_load(SxStateTable *st, SxResult *r, SxGroup *g)
{
	const SxShape *shape = r->shape;
	TableScanDesc seq = NULL;
	bool		found = false;
	ScanKeyData key[2];
	int			nscankeys = shape->panes ? 2 : 1;
	int			i;

	if (st->index)
	{
		ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum((int64) g->state_hash));
		if (shape->panes)
			ScanKeyInit(&key[1], 2, BTEqualStrategyNumber, F_TIMESTAMP_EQ,
						g->keys[shape->pane_key]);
		if (st->scan == NULL)
			st->scan = sx_index_beginscan(st->writer->rel, st->index,
										  GetActiveSnapshot(), nscankeys, 0);
		index_rescan(st->scan, key, nscankeys, NULL, 0);
	}
	else
		seq = table_beginscan(st->writer->rel, GetActiveSnapshot(), 0, NULL);

	while (seq ? table_scan_getnextslot(seq, ForwardScanDirection, st->slot) :
		   index_getnext_slot(st->scan, ForwardScanDirection, st->slot))
	{
		for (i = 0; i < shape->nkeys; i++)
			st->found[i] = slot_getattr(st->slot, 2 + i, &st->found_nulls[i]);
		if (!sx_keys_equal(r->keyops, shape->nkeys, g->keys, g->key_nulls,
						   st->found, st->found_nulls))
			continue;
		for (i = 0; i < shape->npartials; i++)
		{
			Datum		value = slot_getattr(st->slot, 2 + shape->nkeys + i,
											 &g->state_nulls[i]);
			SxPartialOps *ops = &r->aggs.partials[i];

			if (!g->state_nulls[i])
			{
				MemoryContext old = MemoryContextSwitchTo(r->groups->cxt);

				if (ops->len == -1)
					g->states[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
				else
					g->states[i] = datumCopy(value, ops->byval, ops->len);
				MemoryContextSwitchTo(old);
			}
		}
		g->state_tid = st->slot->tts_tid;
		found = true;
		break;
	}
	ExecClearTuple(st->slot);
	if (seq)
		table_endscan(seq);
	return found;
}

/* Keep the live states in the cache. */
static void
state_keep(SxResult *r, SxGroup *g)
{
	int			i;

	for (i = 0; i < r->shape->npartials; i++)
	{
		SxPartialOps *ops = &r->aggs.partials[i];
		bool		null;
		Datum		value = sx_aggregates_store(&r->aggs, i, &null);

		if (!null)
		{
			if (ops->byval)
				g->states[i] = value;
			else
			{
				Size		size = datumGetSize(value, false, ops->len);

				/* most states keep their size */
				if (!g->state_nulls[i] &&
					datumGetSize(g->states[i], false, ops->len) == size)
					memcpy(DatumGetPointer(g->states[i]), DatumGetPointer(value), size);
				else
				{
					MemoryContext old = MemoryContextSwitchTo(r->groups->cxt);

					if (!g->state_nulls[i])
						pfree(DatumGetPointer(g->states[i]));
					g->states[i] = datumCopy(value, false, ops->len);
					MemoryContextSwitchTo(old);
				}
			}
		}
		else if (!ops->byval && !g->state_nulls[i])
			pfree(DatumGetPointer(g->states[i]));
		g->state_nulls[i] = null;
	}
}

/* Write the states that the cache has. */
static void
state_write(SxStateTable *st, SxResult *r, SxGroup *g)
{
	const SxShape *shape = r->shape;
	TupleTableSlot *slot = st->writer->slot;
	int			i;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum((int64) g->state_hash);
	slot->tts_isnull[0] = false;
	for (i = 0; i < shape->nkeys; i++)
	{
		slot->tts_values[1 + i] = g->keys[i];
		slot->tts_isnull[1 + i] = g->key_nulls[i];
	}
	for (i = 0; i < shape->npartials; i++)
	{
		slot->tts_isnull[1 + shape->nkeys + i] = g->state_nulls[i];
		slot->tts_values[1 + shape->nkeys + i] = g->state_nulls[i] ? (Datum) 0 : g->states[i];
	}
	ExecStoreVirtualTuple(slot);
	if (ItemPointerIsValid(&g->state_tid))
		sx_writer_update(st->writer, &g->state_tid);
	else
		sx_writer_add(st->writer, &g->state_tid);
}

/*
 * Is the row at *tid still the group's?  Others may have changed or deleted
 * it, and vacuum may have given its place away.
 */
static bool
result_still_there(SxResult *r, SxWriter *w, SxGroup *g)
{
	bool		same = true;
	int			i;

	/* a partition may be another one, and shorter */
	if (w->leaf && ItemPointerGetBlockNumber(&g->result_tid) >= RelationGetNumberOfBlocks(w->rel))
		return false;
	if (!table_tuple_fetch_row_version(w->rel, &g->result_tid,
									   GetActiveSnapshot(), w->old))
		return false;
	for (i = 0; same && i < r->shape->nkeys; i++)
	{
		bool		null;
		Datum		value = slot_getattr(w->old, r->shape->keys[i].resno, &null);

		same = sx_keys_equal(&r->keyops[i], 1, &value, &null,
							 &g->keys[i], &g->key_nulls[i]);
	}
	ExecClearTuple(w->old);
	return same;
}

bool
sx_result_project(SxResult *r, const SxGroup *g, const Datum *values,
				  const bool *nulls, TupleTableSlot *out)
{
	const SxShape *shape = r->shape;
	SxProjection *proj = &r->proj;
	ExprContext *econtext = proj->econtext;
	TupleTableSlot *in = proj->slot;
	MemoryContext old;
	bool		qualifies = true;
	int			i;

	ResetExprContext(econtext);
	ExecClearTuple(in);
	for (i = 0; i < shape->nkeys; i++)
	{
		in->tts_values[i] = g->keys[i];
		in->tts_isnull[i] = g->key_nulls[i];
	}
	for (i = 0; i < shape->naggregates; i++)
	{
		if (values)
		{
			in->tts_values[shape->nkeys + i] = values[i];
			in->tts_isnull[shape->nkeys + i] = nulls[i];
		}
		else
			in->tts_values[shape->nkeys + i] =
				sx_aggregates_finish(&r->aggs, i, &in->tts_isnull[shape->nkeys + i]);
	}
	if (shape->nkeys + shape->naggregates == 0)
		in->tts_isnull[0] = true;
	ExecStoreVirtualTuple(in);

	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	if (proj->having)
	{
		bool		null;
		Datum		value = ExecEvalExpr(proj->having, econtext, &null);

		qualifies = !null && DatumGetBool(value);
	}
	if (qualifies)
	{
		ExecClearTuple(out);
		memset(out->tts_isnull, true, out->tts_tupleDescriptor->natts);
		for (i = 0; i < proj->ncols; i++)
			out->tts_values[i] = ExecEvalExpr(proj->exprs[i], econtext,
											  &out->tts_isnull[i]);
		if (r->view->final_column)
		{
			out->tts_values[proj->ncols] = BoolGetDatum(r->closing || r->view->final);
			out->tts_isnull[proj->ncols] = false;
		}
		ExecStoreVirtualTuple(out);
	}
	MemoryContextSwitchTo(old);
	return qualifies;
}

/* Write, or take away, the group's row.  Returns the number of rows changed. */
int
sx_result_store(SxResult *r, SxWriter *w, SxKeyIndex *index, SxGroup *g,
				const Datum *values, const bool *nulls)
{
	if (r->closing && r->shed != SX_SHED_NOTHING)
		return sx_result_store_or_shed(r, g, values, nulls);
	return sx_result_store_row(r, w, index, g, values, nulls);
}

int
sx_result_store_row(SxResult *r, SxWriter *w, SxKeyIndex *index, SxGroup *g,
					const Datum *values, const bool *nulls)
{
	bool		qualifies = sx_result_project(r, g, values, nulls, w->slot);
	SxWriter   *leaf = w;
	bool		exists;

	if (w->leaves)
	{
		SxLeaf	   *part = sx_leaf_get(w, DatumGetInt64(g->keys[r->shape->window_key]), qualifies);

		if (part == NULL)
			return 0;
		leaf = part->writer;
	}
	exists = ItemPointerIsValid(&g->result_tid) && result_still_there(r, leaf, g);
	if (!exists)
		exists = sx_key_index_find(index, g->keys, g->key_nulls, &g->result_tid);
	if (!qualifies)
	{
		if (!exists)
			return 0;
		sx_writer_delete(leaf, &g->result_tid);
		return 1;
	}
	if (exists)
		sx_writer_update(w, &g->result_tid);
	else
		sx_writer_add(w, g->cached ? &g->result_tid : NULL);
	return 1;
}

SxResult *
sx_result_open(const SxView *view, const SxShape *shape)
{
	SxResult   *r = palloc0(sizeof(SxResult));
	bool	   *state_byval;
	int			i;

	r->view = view;
	r->shape = shape;
	r->closed_us = PG_INT64_MIN;
	r->next_end_us = PG_INT64_MIN;
	r->left_us = PG_INT64_MIN;
	r->removed_us = PG_INT64_MIN;
	r->next_leave_us = shape->sliding ? PG_INT64_MIN : PG_INT64_MAX;
	r->cxt = CurrentMemoryContext;
	if (shape->strategy == SX_STRATEGY_APPEND)
		return r;
	if (shape->strategy == SX_STRATEGY_DERIVE)
	{
		sx_derived_open(r);
		return r;
	}
	r->keyops = palloc0(sizeof(SxKeyOps) * Max(shape->nkeys, 1));
	for (i = 0; i < shape->nkeys; i++)
		sx_key_ops_init(&r->keyops[i], &shape->keys[i]);
	sx_projection_init(&r->proj, shape);
	if (shape->session)
		r->session = sx_session_open(shape);
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
		return r;
	if (OidIsValid(view->state))
		sx_state_table_fit(view, shape);
	sx_aggregates_init(&r->aggs, shape);
	state_byval = palloc0(sizeof(bool) * Max(shape->npartials, 1));
	for (i = 0; i < shape->npartials; i++)
		state_byval[i] = r->aggs.partials[i].byval;
	r->groups = sx_groups_create(r->keyops, shape->nkeys, state_byval, shape->npartials);
	r->keysort = palloc0(sizeof(SortSupportData) * Max(shape->nkeys, 1));
	for (i = 0; i < shape->nkeys; i++)
	{
		TypeCacheEntry *type = lookup_type_cache(shape->keys[i].typid, TYPECACHE_LT_OPR);

		r->keysort[i].ssup_cxt = CurrentMemoryContext;
		r->keysort[i].ssup_collation = shape->keys[i].collation;
		PrepareSortSupportFromOrderingOp(type->lt_opr, &r->keysort[i]);
	}
	if (sx_open_suits(view, shape))
		r->open = sx_open_create(r);
	if (shape->nsets > 0)
		r->distinct = sx_distinct_open(r);
	return r;
}

#define MIN_ABSENT		64		/* fewer rows are looked for one by one */

/* A row of partial states of a group that the cache does not know. */
typedef struct Change
{
	SxGroup    *group;
	int64		row;			/* of the partials */
} Change;

/*
 * State rows are found and written in the order of their place, new ones in
 * the order of the index on their hash.
 */
static int
by_state_place(const void *pa, const void *pb)
{
	const SxGroup *a = *(SxGroup *const *) pa;
	const SxGroup *b = *(SxGroup *const *) pb;
	bool		va = ItemPointerIsValid(&a->state_tid);
	bool		vb = ItemPointerIsValid(&b->state_tid);

	if (va && vb)
		return ItemPointerCompare((ItemPointer) &a->state_tid,
								  (ItemPointer) &b->state_tid);
	if (va != vb)
		return va ? -1 : 1;
	if (a->state_hash != b->state_hash)
		return (int64) a->state_hash < (int64) b->state_hash ? -1 : 1;
	return 0;
}

/* The same for result rows, whose index is on the keys. */
static int
by_result_place(const void *pa, const void *pb, void *arg)
{
	SxResult   *r = arg;
	const SxGroup *a = *(SxGroup *const *) pa;
	const SxGroup *b = *(SxGroup *const *) pb;
	bool		va = ItemPointerIsValid(&a->result_tid);
	bool		vb = ItemPointerIsValid(&b->result_tid);
	int			i;

	if (va && vb)
		return ItemPointerCompare((ItemPointer) &a->result_tid,
								  (ItemPointer) &b->result_tid);
	if (va != vb)
		return va ? -1 : 1;
	for (i = 0; i < r->shape->nkeys; i++)
	{
		int			c = ApplySortComparator(a->keys[i], a->key_nulls[i],
											b->keys[i], b->key_nulls[i],
											&r->keysort[i]);

		if (c != 0)
			return c;
	}
	return 0;
}

/* Keys too long for the index as it is change the index first. */
void
sx_result_check_keys(SxResult *r, const SxRows *rows)
{
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		if (sx_key_size(r->keyops, r->shape->nkeys, rows->values + i * rows->ncols,
						rows->nulls + i * rows->ncols) > SX_KEY_MAX)
		{
			sx_key_index_widen(r->view->relid, r->shape);
			return;
		}
	}
}

/* Groups that the cache does not know are looked for in the index's order. */
static int
by_hash(const void *pa, const void *pb)
{
	uint64		a = ((const Change *) pa)->group->state_hash;
	uint64		b = ((const Change *) pb)->group->state_hash;

	return (int64) a < (int64) b ? -1 : a != b;
}

/* Add a row of partial states to the group; true: its state has changed. */
static bool
merge_group(SxResult *r, SxGroup *g, const SxRows *rows, int64 row, bool have_state)
{
	int			nkeys = r->shape->nkeys;
	const Datum *values = rows->values + row * rows->ncols;
	const bool *nulls = rows->nulls + row * rows->ncols;

	if (r->shape->npartials == 0)
		return !have_state;		/* the keys are all there is to it */
	sx_aggregates_merge(&r->aggs, have_state, g->states, g->state_nulls,
						values + nkeys, nulls + nkeys);
	state_keep(r, g);
	sx_aggregates_reset(&r->aggs);
	return true;
}

/*
 * Merge rows of partial states into the cache.
 * *changed: gets the groups whose state is another one now.
 */
static int64
merge_states(SxResult *r, const SxRows *rows, SxGroup **changed)
{
	const SxShape *shape = r->shape;
	int			window = shape->window && !shape->panes ? shape->window_key : -1;
	Change	   *unknown = NULL;
	int64		nunknown = 0;
	int64		n = 0;
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *values = rows->values + i * rows->ncols;
		const bool *nulls = rows->nulls + i * rows->ncols;
		uint64		hash = sx_keys_hash(r->keyops, shape->nkeys, values, nulls);
		SxGroup    *g = sx_groups_find(r->groups, hash, values, nulls);
		int64		before;

		CHECK_FOR_INTERRUPTS();
		if (g == NULL)
		{
			g = sx_groups_add(r->groups, hash, values, nulls);
			g->absent = window >= 0 && !nulls[window] &&
				DatumGetInt64(values[window]) > r->groups->whole_after;
			g->fresh = true;
			if (shape->panes)
				g->state_hash = sx_panes_hash(r, values, nulls);
		}
		if (g->fresh)
		{
			if (unknown == NULL)
				unknown = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(Change) * (rows->nrows - i));
			unknown[nunknown].group = g;
			unknown[nunknown++].row = i;
			continue;
		}
		g->used = r->groups->batch;
		before = sx_group_bytes(r->groups, g);
		if (merge_group(r, g, rows, i, true))
			changed[n++] = g;
		r->groups->bytes += sx_group_bytes(r->groups, g) - before;
	}
	if (nunknown > 0)
	{
		SxStateTable state;

		qsort(unknown, nunknown, sizeof(Change), by_hash);
		sx_state_begin(&state, r->view, shape);
		for (i = 0; i < nunknown; i++)
		{
			SxGroup    *g = unknown[i].group;
			bool		have_state;

			CHECK_FOR_INTERRUPTS();
			have_state = !g->fresh || (!g->absent && state_load(&state, r, g));
			g->fresh = false;
			if (merge_group(r, g, rows, unknown[i].row, have_state))
				changed[n++] = g;
			r->groups->bytes += sx_group_bytes(r->groups, g);
		}
		sx_state_end(&state);
		pfree(unknown);
	}
	return n;
}

static void
write_states(SxResult *r, SxGroup **groups, int64 n)
{
	SxStateTable state;
	int64		i;

	qsort(groups, n, sizeof(SxGroup *), by_state_place);
	sx_state_begin(&state, r->view, r->shape);
	for (i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		state_write(&state, r, groups[i]);
	}
	sx_state_end(&state);
}

/*
 * Append the rows of these groups, which nobody has written before.  Those
 * that HAVING excludes are moved to the front, *nexcluded: somebody else's row
 * may be there.
 */
static int64
append_results(SxResult *r, SxGroup **groups, int64 n, int64 *nexcluded)
{
	SxWriter   *writer = sx_result_writer(r);
	int64		i;

	*nexcluded = 0;
	for (i = 0; i < n; i++)
	{
		SxGroup    *g = groups[i];

		CHECK_FOR_INTERRUPTS();
		sx_aggregates_load(&r->aggs, g->states, g->state_nulls);
		if (sx_result_project(r, g, NULL, NULL, writer->slot))
			sx_writer_add(writer, &g->result_tid);
		else
			groups[(*nexcluded)++] = g;
		sx_aggregates_reset(&r->aggs);
	}
	sx_writer_end(writer);
	return n - *nexcluded;
}

/*
 * Groups that are in neither table need not be looked for: if a row of a user
 * is there after all, the unique index says so, and this is undone.  Moves
 * those that are to be looked for to the front, *n.
 */
static int64
write_absent(SxResult *r, SxGroup **groups, int64 *n)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	SxGroup   **absent = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxGroup *) * *n);
	ErrorData  *volatile edata = NULL;
	volatile int64 written = 0;
	int64		nabsent = 0;
	int64		nexcluded = 0;
	int64		nothers = 0;
	int64		i;

	for (i = 0; i < *n; i++)
	{
		if (groups[i]->absent)
			absent[nabsent++] = groups[i];
		else
			groups[nothers++] = groups[i];
		groups[i]->absent = false;
	}
	if (nabsent < MIN_ABSENT || r->emit)
		memcpy(groups + nothers, absent, sizeof(SxGroup *) * nabsent);
	else
	{
		qsort_arg(absent, nabsent, sizeof(SxGroup *), by_result_place, r);
		memcpy(groups + nothers, absent, sizeof(SxGroup *) * nabsent);
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(old);
		PG_TRY();
		{
			written = append_results(r, absent, nabsent, &nexcluded);
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
		{
			memcpy(groups + nothers, absent, sizeof(SxGroup *) * nexcluded);
			nabsent = nexcluded;
		}
		else if (edata->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
		{
			FreeErrorData(edata);
			written = 0;
			for (i = nothers; i < *n; i++)
				ItemPointerSetInvalid(&groups[i]->result_tid);
		}
		else
			ReThrowError(edata);
	}
	pfree(absent);
	*n = nothers + nabsent;
	return written;
}

static int64
write_results(SxResult *r, SxGroup **groups, int64 n)
{
	int64		changed = write_absent(r, groups, &n);
	SxWriter   *writer = sx_result_writer(r);
	SxKeyIndex *index = sx_key_index_begin(writer, r->shape, r->keyops);
	int64		i;

	qsort_arg(groups, n, sizeof(SxGroup *), by_result_place, r);
	for (i = 0; i < n; i++)
	{
		SxGroup    *g = groups[i];

		CHECK_FOR_INTERRUPTS();
		sx_aggregates_load(&r->aggs, g->states, g->state_nulls);
		changed += sx_result_store(r, writer, index, g, NULL, NULL);
		sx_aggregates_reset(&r->aggs);
	}
	sx_key_index_end(index);
	sx_writer_end(writer);
	return changed;
}

int64
sx_result_write_groups(SxResult *r, SxGroup **groups, int64 n)
{
	if (n == 0)
		return 0;

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	write_states(r, groups, n);
	if (r->view->final)
		return 0;
	return r->shape->panes ? sx_panes_write(r, groups, n) : write_results(r, groups, n);
}

/* Leave out the groups of windows that are closed; note the others' ends. */
int64
sx_result_drop_closed(SxResult *r, SxRows *rows, int64 closed_us)
{
	int			n = rows->ncols;
	int64		kept = 0;
	int64		dropped;
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		int64		end = PG_INT64_MAX;

		/* a grouping set without the window never closes */
		if (!rows->nulls[i * n + r->shape->window_key])
			end = sx_window_end(r->shape->window,
								DatumGetInt64(rows->values[i * n + r->shape->window_key]));
		if (end <= closed_us)
			continue;
		if (r->next_end_us != PG_INT64_MIN)
			r->next_end_us = Min(r->next_end_us, end);
		if (kept != i)
		{
			memcpy(rows->values + kept * n, rows->values + i * n, sizeof(Datum) * n);
			memcpy(rows->nulls + kept * n, rows->nulls + i * n, sizeof(bool) * n);
		}
		kept++;
	}
	dropped = rows->nrows - kept;
	rows->nrows = kept;
	return dropped;
}

int64
sx_result_take(SxResult *r, SxRows *rows, int64 closed_us, int64 *dropped)
{
	return r->shape->strategy == SX_STRATEGY_MERGE ?
		sx_result_merge(r, rows, closed_us, dropped) :
		sx_result_recompute(r, rows, closed_us, dropped);
}

int64
sx_result_merge(SxResult *r, SxRows *rows, int64 closed_us, int64 *dropped)
{
	SxGroup   **groups;
	int64		n;
	int64		changed = 0;
	int64		i;

	if (r->shape->session)
		return sx_session_merge(r, rows, closed_us, dropped);
	*dropped = 0;
	if (r->shape->sliding)
		return sx_sliding_merge(r, rows);
	r->closed_us = closed_us;
	if (r->shape->panes)
		*dropped = sx_panes_drop_closed(r, rows, closed_us);
	else if (r->shape->window)
		*dropped = sx_result_drop_closed(r, rows, closed_us);
	if (rows->nrows == 0)
		return 0;
	Assert(rows->ncols == r->shape->nkeys + r->shape->npartials);
	sx_result_check_keys(r, rows);
	if (r->open)
	{
		sx_open_take(r, rows);
		if (rows->nrows == 0)
			return 0;
	}
	if (!r->gathered)
		r->groups->batch++;
	LockRelationOid(r->view->relid, RowExclusiveLock);
	if (r->distinct)
		sx_distinct_take(r, rows);
	groups = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxGroup *) * rows->nrows);
	n = merge_states(r, rows, groups);
	if (r->gathered)
	{
		for (i = 0; i < n; i++)
			sx_gathered_group(r, groups[i]);
	}
	else
		changed = sx_result_write_groups(r, groups, n);
	pfree(groups);
	return changed;
}

void
sx_result_forget(SxResult *r)
{
	r->next_end_us = PG_INT64_MIN;
	r->left_us = PG_INT64_MIN;
	r->removed_us = PG_INT64_MIN;
	if (r->shape->sliding)
		r->next_leave_us = PG_INT64_MIN;
	if (r->session)
		r->session->swept_us = PG_INT64_MIN;
	if (r->derived)
		sx_derived_forget(r);
	sx_gathered_forget(r);
	if (r->groups)
		sx_groups_reset(r->groups);
	if (r->distinct)
		sx_distinct_forget(r);
	if (r->places)
		sx_places_free(r->places);
	r->places = NULL;
}

int64
sx_result_memory(const SxResult *r)
{
	if (r->derived)
		return sx_derived_memory(r);
	return (r->groups ? MemoryContextMemAllocated(r->groups->cxt, true) : 0) +
		(r->places ? sx_places_memory(r->places) : 0) +
		(r->open ? sx_open_memory(r->open) : 0) +
		(r->distinct ? sx_distinct_memory(r) : 0);
}

void
sx_result_trim(SxResult *r)
{
	int64		limit = (int64) sx_state_memory_kb * 1024;

	if (r->derived)
		sx_derived_trim(r);
	if (r->distinct)
		sx_distinct_trim(r);
	if (r->groups == NULL || r->groups->bytes <= limit)
		return;
	sx_groups_evict(r->groups, r->groups->batch);
	if (r->groups->bytes > limit / 2)
		sx_result_forget(r);
}
