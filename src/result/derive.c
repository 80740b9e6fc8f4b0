/*-------------------------------------------------------------------------
 * derive.c
 *		Views that are derived from cores (see plan/derive.c).
 *
 * A core is kept as a view is, in a hidden table of its own with a state
 * table beside it.  What a batch changes there names the partitions that it
 * touches; those are derived anew from the hidden tables, and their rows of
 * the result brought to that: rows that are as they were stay untouched.
 *
 * When the window is among the partition columns, a partition whose window
 * has closed never changes again: its hidden rows go, those of the result
 * stay.  One that cannot be derived then is given up, see derive_shed.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/stop.h"
#include "compat.h"
#include "plan/closing.h"
#include "result/cascade.h"
#include "result/derive_internal.h"

#define SMALL_BATCH		2000	/* rows up to which plan_small is taken */
#define FEW_PARTITIONS	32		/* that a plan made before is good for */

/* ---- plans that hold no longer ---- */

static List *open_views = NIL;	/* SxDerived */

/* An index may go within a batch, see check_index and sx_key_index_widen. */
static void
relation_changed(Datum arg, Oid relid)
{
	ListCell   *lc;

	foreach(lc, open_views)
	{
		SxDerived  *v = lfirst(lc);

		if (!OidIsValid(relid) || relid == v->r->view->relid ||
			list_member_oid(v->relations, relid))
			v->plans_stale = true;
	}
}

static void
forget_view(void *v)
{
	open_views = list_delete_ptr(open_views, v);
}

static void
remember_view(SxDerived *v)
{
	static bool registered = false;
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	MemoryContext old;

	if (!registered)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	registered = true;
	old = MemoryContextSwitchTo(TopMemoryContext);
	open_views = lappend(open_views, v);
	MemoryContextSwitchTo(old);
	callback->func = forget_view;
	callback->arg = v;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

/* ---- what has changed ---- */

void
sx_derived_begin_changes(SxDerived *v)
{
	MemoryContext old = CurrentMemoryContext;
	int			i;

	if (v->changes_cxt)
	{
		MemoryContextReset(v->changes_cxt);
		MemoryContextSwitchTo(v->changes_cxt);
	}
	v->changed = v->whole = v->nulls = false;
	v->touched = sx_groups_create(v->partops, v->d->nparts, NULL, 0);
	v->values = palloc(sizeof(SxGroups *) * Max(v->d->nparts, 1));
	for (i = 0; i < v->d->nparts; i++)
		v->values[i] = sx_groups_create(&v->partops[i], 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

/* What follows is of another part of the batch, or not this one's at all. */
static void
end_changes(SxDerived *v)
{
	if (v->gathering || v->changes_cxt)
		return;
	v->changed = false;
	v->touched = NULL;
	v->values = NULL;
}

void
sx_derived_touch(SxGroups *groups, const SxKeyOps *ops, int n, const Datum *values,
				 const bool *nulls)
{
	uint64		hash = sx_keys_hash(ops, n, values, nulls);

	if (sx_groups_find(groups, hash, values, nulls) == NULL)
		(void) sx_groups_add(groups, hash, values, nulls);
}

/* A row of a core has gone or come. */
static void
core_changed(SxWatch *watch, TupleTableSlot *row)
{
	CoreRun    *core = (CoreRun *) watch;
	SxDerived  *v = core->derived;
	const SxDerivation *d = v->d;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	int			use;
	int			i;

	/* it is open besides, somebody else writes */
	if (v->touched == NULL)
		return;
	v->changed = true;
	if (d->window && v->r->next_end_us != PG_INT64_MIN)
	{
		values[0] = slot_getattr(row, d->cores[core->number].window_column, &nulls[0]);
		if (!nulls[0])
			v->r->next_end_us = Min(v->r->next_end_us,
									sx_window_end(d->window, DatumGetInt64(values[0])));
	}
	for (use = 0; d->nparts > 0 && use < d->nuses; use++)
	{
		if (d->uses[use].core != core->number)
			continue;
		for (i = 0; i < d->nparts; i++)
		{
			values[i] = slot_getattr(row, d->uses[use].part[i], &nulls[i]);
			if (nulls[i])
				v->nulls = true;
			else
			{
				if (v->partops[i].len == -1)
					values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
				sx_derived_touch(v->values[i], &v->partops[i], 1, &values[i], &nulls[i]);
			}
		}
		sx_derived_touch(v->touched, v->partops, d->nparts, values, nulls);
	}
}

/* The same for a row of another view's result; NULL: unknown ones. */
static void
source_changed(SxWatch *watch, TupleTableSlot *row)
{
	SxDerived  *v = ((CoreRun *) watch)->derived;
	MemoryContext old;

	if (row == NULL || v->touched == NULL)
		v->whole = true;
	if (v->whole)
		return;
	old = MemoryContextSwitchTo(v->changes_cxt);
	core_changed(watch, row);
	MemoryContextSwitchTo(old);
}

/*
 * The same where windows of another view's result are taken in once they are
 * closed: how far there are any.
 */
static void
source_written(SxWatch *watch, TupleTableSlot *row)
{
	const CoreRun *core = (CoreRun *) watch;
	SxDerived  *v = core->derived;
	ListCell   *lc;

	/* what a statement changes is what retention takes away */
	foreach(lc, row ? v->d->closing->uses : NIL)
	{
		const SxClosingUse *use = lfirst(lc);
		bool		null;
		Datum		window;

		if (v->d->uses[foreach_current_index(lc)].core != core->number)
			continue;
		window = slot_getattr(row, use->var->varattno, &null);
		if (!null)
			v->last_us = Max(v->last_us, DatumGetInt64(window));
	}
}

/* ---- deriving ---- */

/* The values of each partition column as parameters. */
ParamListInfo
sx_derived_touched_params(SxDerived *v)
{
	ParamListInfo params = makeParamList(v->d->nparts);
	int			i;

	for (i = 0; i < v->d->nparts; i++)
	{
		const SxGroups *groups = v->values[i];
		Oid			type = v->d->parts[i].typid;
		Datum	   *elems = palloc(sizeof(Datum) * Max(groups->ngroups, 1));
		int			n = 0;
		uint64		b;
		int16		len;
		bool		byval;
		char		align;

		for (b = 0; b < groups->nbuckets; b++)
		{
			const SxGroup *g;

			for (g = groups->buckets[b]; g; g = g->next)
				elems[n++] = g->keys[0];
		}
		get_typlenbyvalalign(type, &len, &byval, &align);
		params->params[i].value = PointerGetDatum(construct_array(elems, n, type, len, byval, align));
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = get_array_type(type);
	}
	return params;
}

static BlockNumber
hidden_blocks(const SxDerived *v)
{
	BlockNumber n = 0;
	int			i;

	for (i = 0; i < v->d->ncores; i++)
	{
		Relation	rel = table_open(v->tables[i], AccessShareLock);

		n += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	return n;
}

static void
make_plans(SxDerived *v, SxDeriveScope scope, ParamListInfo params, DerivePlans *plans)
{
	const SxShape *shape = v->r->shape;

	plans->derive = sx_plan_derive(shape, v->tables, scope, params);
	plans->rows = sx_plan_derived_rows(shape, v->r->view->relid, scope, params);
	plans->prune = v->d->prune ? sx_plan_prune(shape, v->tables, scope, params) : NULL;
}

/*
 * The plans for a scope.  Few partitions: made before, unless the tables have
 * grown much since; many: for just these.
 */
const DerivePlans *
sx_derived_plans_for(SxDerived *v, SxDeriveScope scope, ParamListInfo params)
{
	DerivePlans *plans = &v->plans[scope];
	BlockNumber blocks;
	DerivePlans made;
	MemoryContext old;

	if (scope != SX_DERIVE_ALL && v->touched->ngroups > FEW_PARTITIONS)
	{
		plans = palloc(sizeof(DerivePlans));
		make_plans(v, scope, params, plans);
		return plans;
	}
	blocks = hidden_blocks(v);
	if (v->plans_stale || blocks > v->planned_blocks * 2 + 16)
	{
		v->plans_stale = false;
		MemoryContextReset(v->plans_cxt);
		memset(v->plans, 0, sizeof(v->plans));
		v->planned_blocks = blocks;
	}
	if (plans->derive)
		return plans;
	make_plans(v, scope, NULL, &made);
	old = MemoryContextSwitchTo(v->plans_cxt);
	plans->rows = copyObject(made.rows);
	plans->prune = copyObject(made.prune);
	plans->derive = copyObject(made.derive);
	MemoryContextSwitchTo(old);
	return plans;
}

void
sx_derived_run_plan(PlannedStmt *plan, ParamListInfo params, SxRows *rows)
{
	DestReceiver *dest = sx_exec_collector(rows, CurrentMemoryContext);

	sx_exec_query(plan, params, dest);
	dest->rDestroy(dest);
}

void
sx_derived_scope(SxDerived *v, SxDifferenceScope *scope)
{
	scope->r = v->r;
	scope->keyops = v->keyops;
	scope->nparts = v->d->nparts;
	scope->parts = v->d->parts;
	scope->partops = v->partops;
	scope->touched = v->touched;
}

/* Rows of the core that can never count again go. */
static void
prune(SxDerived *v, PlannedStmt *plan, ParamListInfo params)
{
	SxWriter   *w;
	SxRows		rows;
	int64		i;

	sx_derived_run_plan(plan, params, &rows);
	w = sx_writer_begin(v->tables[0]);
	for (i = 0; i < rows.nrows; i++)
	{
		if (DatumGetInt64(rows.values[i * 2 + 1]) > v->d->prune_keep)
			sx_writer_delete(w, (ItemPointer) DatumGetPointer(rows.values[i * 2]));
	}
	sx_writer_end(w);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

/*
 * Bring the result to what the cores say, where they have changed; only
 * prune: leave it as it is.
 */
static int64
derive(SxDerived *v, bool only_prune)
{
	SxDeriveScope scope = SX_DERIVE_ALL;
	ParamListInfo params = NULL;
	SxDifferenceScope changes;
	const DerivePlans *plans;
	SxRows		new;
	SxRows		old;

	if (!v->changed || (only_prune && v->d->prune == NULL))
		return 0;
	if (v->d->nparts > 0)
	{
		scope = v->nulls ? SX_DERIVE_PARTS_OR_NULL : SX_DERIVE_PARTS;
		params = sx_derived_touched_params(v);
	}
	LockRelationOid(v->r->view->relid, RowExclusiveLock);
	plans = sx_derived_plans_for(v, scope, params);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	if (plans->prune)
		prune(v, plans->prune, params);
	if (only_prune)
		return 0;
	sx_derived_run_plan(plans->derive, params, &new);
	sx_derived_scope(v, &changes);
	sx_difference_check_keys(&changes, &new);
	UpdateActiveSnapshotCommandId();
	if (v->plans_stale)
		plans = sx_derived_plans_for(v, scope, params);
	sx_derived_run_plan(plans->rows, params, &old);
	return sx_difference_write(&changes, &old, &new);
}

/* The whole result, as there may be rows that no row of a core stands behind. */
static int64
derive_all(SxDerived *v)
{
	const SxShape *shape = v->r->shape;
	SxDifferenceScope changes;
	SxRows		new;
	SxRows		old;

	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	if (v->d->prune)
		prune(v, sx_plan_prune(shape, v->tables, SX_DERIVE_ALL, NULL), NULL);
	sx_derived_run_plan(sx_plan_derive(shape, v->tables, SX_DERIVE_ALL, NULL), NULL, &new);
	sx_derived_scope(v, &changes);
	changes.nparts = 0;
	sx_difference_check_keys(&changes, &new);
	UpdateActiveSnapshotCommandId();
	sx_derived_run_plan(sx_plan_derived_rows(shape, v->r->view->relid, SX_DERIVE_ALL, NULL), NULL, &old);
	return sx_difference_write(&changes, &old, &new);
}

/* ---- cores ---- */

/* Values too long for the index by which a hidden table is searched: drop it. */
static void
check_index(SxDerived *v, CoreRun *core, const SxCore *def, const SxRows *rows)
{
	SxKeyOps   *ops;
	SxKey		key = {0};
	int64		i;
	int			n = list_length(def->index_columns);
	int			c;

	if (n == 0)
		return;
	ops = palloc(sizeof(SxKeyOps) * n);
	for (c = 0; c < n; c++)
	{
		const SxHeld *column = &def->columns[list_nth_int(def->index_columns, c) - 1];

		key.typid = column->typid;
		key.collation = column->collation;
		sx_key_ops_init(&ops[c], &key);
	}
	for (i = 0; i < rows->nrows; i++)
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		for (c = 0; c < n; c++)
		{
			int			column = list_nth_int(def->index_columns, c) - 1;

			values[c] = rows->values[i * rows->ncols + column];
			nulls[c] = rows->nulls[i * rows->ncols + column];
		}
		if (sx_key_size(ops, n, values, nulls) > SX_KEY_MAX)
		{
			sx_key_index_drop(core->view.relid, def->index_columns);
			break;
		}
	}
}

/* Rows as they are; those of closed windows are left out. */
static void
append_rows(CoreRun *core, const SxCore *def, const SxRows *rows, int64 closed_us,
			int64 *dropped)
{
	SxWriter   *w = sx_writer_begin(core->view.relid);
	int64		i;

	*dropped = 0;
	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *values = rows->values + i * rows->ncols;
		const bool *nulls = rows->nulls + i * rows->ncols;
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		if (def->window_column > 0 && !nulls[def->window_column - 1] &&
			sx_window_end(def->shape->window,
						  DatumGetInt64(values[def->window_column - 1])) <= closed_us)
		{
			(*dropped)++;
			continue;
		}
		ExecClearTuple(w->slot);
		memcpy(w->slot->tts_values, values, sizeof(Datum) * rows->ncols);
		memcpy(w->slot->tts_isnull, nulls, sizeof(bool) * rows->ncols);
		ExecStoreVirtualTuple(w->slot);
		sx_writer_insert(w, &tid);
	}
	sx_writer_end(w);
}

static int
by_number(const void *pa, const void *pb)
{
	int64		a = *(const int64 *) pa;
	int64		b = *(const int64 *) pb;

	return a < b ? -1 : a > b;
}

/* The rows that were late for a core, beside those for the ones before. */
static void
add_late(SxDerived *v, CoreRun *core, const SxScanInput *input, int64 closed_us,
		 SxLateRows *late)
{
	const SxShape *shape = core->result->shape;
	DestReceiver *dest;
	SxRows		rows;
	int64	   *all;
	int64		n = 0;
	int64		i;

	if (shape->late_query == NULL)
		return;
	if (core->plan_late == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(v->r->cxt);

		core->plan_late = sx_plan_late(shape, 100000);
		MemoryContextSwitchTo(old);
	}
	dest = sx_exec_collector(&rows, CurrentMemoryContext);
	sx_exec_run_closed(core->plan_late, input, dest, shape->window, closed_us);
	dest->rDestroy(dest);

	/* one of several cores may leave out what another takes */
	all = MemoryContextAllocHuge(CurrentMemoryContext,
								 sizeof(int64) * (late->nrows + rows.nrows + 1));
	if (late->rows)
		memcpy(all, late->rows, sizeof(int64) * late->nrows);
	for (i = 0; i < rows.nrows; i++)
		all[late->nrows + i] = sx_fdw_row_of((ItemPointer) DatumGetPointer(rows.values[i]));
	qsort(all, late->nrows + rows.nrows, sizeof(int64), by_number);
	for (i = 0; i < late->nrows + rows.nrows; i++)
	{
		if (n == 0 || all[n - 1] != all[i])
			all[n++] = all[i];
	}
	late->rows = all;
	late->nrows = n;
}

/* What a plan gives over the input goes into a core. */
static void
run_into_core(SxDerived *v, CoreRun *core, PlannedStmt *plan, const SxScanInput *input,
			  int64 closed_us, int64 *dropped)
{
	const SxShape *shape = core->result->shape;
	SxScanInput in = *input;
	DestReceiver *dest;
	SxRows		rows;

	in.streams = shape->streams;
	dest = sx_exec_collector(&rows, CurrentMemoryContext);
	sx_exec_run_closed(plan, &in, dest, shape->window, closed_us);
	dest->rDestroy(dest);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	if (shape->strategy == SX_STRATEGY_APPEND)
	{
		check_index(v, core, &v->d->cores[core->number], &rows);
		append_rows(core, &v->d->cores[core->number], &rows, closed_us, dropped);
	}
	else
		(void) sx_result_take(core->result, &rows, closed_us, dropped);
}

void
sx_result_derive_begin(SxResult *r)
{
	if (!r->derived->gathering)
		sx_derived_begin_changes(r->derived);
}

void
sx_result_derive_rows(SxResult *r, const SxScanInput *input, int64 closed_us,
					  SxLateRows *late)
{
	SxDerived  *v = r->derived;
	bool		small = input->end_row - input->first_row <= SMALL_BATCH;
	int			i;

	memset(late, 0, sizeof(*late));
	for (i = 0; i < v->d->nkept; i++)
	{
		CoreRun    *core = &v->cores[i];
		const SxShape *shape = core->result->shape;
		int64		dropped;

		if (shape->join || !list_member_oid(shape->streams, input->stream))
			continue;
		run_into_core(v, core, small ? core->plan_small : core->plan_big, input, closed_us,
					  &dropped);
		if (shape->session)
			late->nrows = late->rows ? late->nrows : Max(late->nrows, dropped);
		else if (dropped > 0)
		{
			SxScanInput in = *input;

			in.streams = shape->streams;
			add_late(v, core, &in, closed_us, late);
		}
	}
}

void
sx_result_derive_joined(SxResult *r, int core, PlannedStmt *plan, const SxScanInput *input)
{
	SxDerived  *v = r->derived;
	int64		dropped;

	run_into_core(v, &v->cores[core], plan, input, PG_INT64_MIN, &dropped);
}

int64
sx_result_derive_end(SxResult *r)
{
	int64		written;

	SX_STOP("before_derive", r->view->name);
	if (r->derived->gathering)
		return 0;
	written = derive(r->derived, r->view->final);
	end_changes(r->derived);
	return written;
}

/* ---- several rounds, see gather.c ---- */

void
sx_derived_gather(SxResult *r, MemoryContext cxt)
{
	SxDerived  *v = r->derived;
	int			i;

	v->changes_cxt = AllocSetContextCreate(cxt, "streamx changes", ALLOCSET_DEFAULT_SIZES);
	sx_derived_begin_changes(v);
	v->gathering = true;
	for (i = 0; i < v->d->nkept; i++)
		(void) sx_result_gather(v->cores[i].result);
}

/* What is in the context goes. */
static void
end_gathering(SxDerived *v)
{
	if (!v->gathering)
		return;
	v->gathering = v->changed = false;
	v->changes_cxt = NULL;
	v->touched = NULL;
	v->values = NULL;
}

int64
sx_derived_gathered_bytes(const SxResult *r)
{
	const SxDerived *v = r->derived;
	int64		n = v->changes_cxt ? MemoryContextMemAllocated(v->changes_cxt, true) : 0;
	int			i;

	for (i = 0; i < v->d->nkept; i++)
		n += sx_result_gathered_bytes(v->cores[i].result);
	return n;
}

int64
sx_derived_flush(SxResult *r)
{
	SxDerived  *v = r->derived;
	int64		written;
	int			i;

	for (i = 0; i < v->d->nkept; i++)
		(void) sx_result_flush(v->cores[i].result);
	written = derive(v, r->view->final);
	end_gathering(v);
	return written;
}

int64
sx_result_derive(SxResult *r, const SxScanInput *input, int64 closed_us,
				 SxLateRows *late)
{
	sx_result_derive_begin(r);
	sx_result_derive_rows(r, input, closed_us, late);
	return sx_result_derive_end(r);
}

/* ---- windows that close ---- */

void
sx_derived_closed_before(SxResult *r, int64 closed_us)
{
	int			i;

	for (i = 0; i < r->derived->d->nkept; i++)
		sx_result_closed_before(r->derived->cores[i].result, closed_us);
}

bool
sx_derived_can_close(const SxResult *r, int64 closed_us)
{
	const SxDerived *v = r->derived;
	int			i;

	if (closed_us == PG_INT64_MIN)
		return false;
	if (v->d->window && r->next_end_us <= closed_us)
		return true;
	for (i = 0; i < v->d->nkept; i++)
	{
		const SxResult *core = v->cores[i].result;

		if (core->shape->strategy != SX_STRATEGY_APPEND && sx_result_can_close(core, closed_us))
			return true;
	}
	return false;
}

/* A core's hidden rows whose window has closed: touched, and where they are. */
static ItemPointerData *
closed_rows(SxDerived *v, CoreRun *core, int64 closed_us, int64 *next, int64 *n)
{
	int			column = v->d->cores[core->number].window_column;
	Relation	rel = table_open(core->view.relid, RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	ItemPointerData *tids = NULL;
	int64		max = 0;

	*n = 0;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		null;
		int64		key = DatumGetInt64(slot_getattr(slot, column, &null));
		int64		end = null ? PG_INT64_MAX : sx_window_end(v->d->window, key);

		CHECK_FOR_INTERRUPTS();
		if (end > closed_us)
		{
			*next = Min(*next, end);
			continue;
		}
		core_changed(&core->watch, slot);
		if (*n == max)
		{
			max = Max(1024, max * 2);
			tids = tids ? repalloc_huge(tids, sizeof(ItemPointerData) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ItemPointerData) * max);
		}
		tids[(*n)++] = slot->tts_tid;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return tids;
}

void
sx_result_close_unjoined(SxResult *r, int64 closed_us)
{
	SxDerived  *v = r->derived;
	int			i;

	for (i = 0; v && i < v->d->nkept; i++)
	{
		SxResult   *core = v->cores[i].result;

		if (core->shape->strategy != SX_STRATEGY_APPEND && core->shape->join == NULL &&
			sx_result_can_close(core, closed_us))
			(void) sx_result_close(core, closed_us);
	}
}

int64
sx_derived_close(SxResult *r, int64 closed_us)
{
	SxDerived  *v = r->derived;
	ItemPointerData **tids = palloc0(sizeof(ItemPointerData *) * v->d->ncores);
	int64	   *ntids = palloc0(sizeof(int64) * v->d->ncores);
	int64		next = PG_INT64_MAX;
	int64		written = 0;
	int64		k;
	int			i;

	for (i = 0; i < v->d->nkept; i++)
	{
		SxResult   *core = v->cores[i].result;

		if (core->shape->strategy != SX_STRATEGY_APPEND && sx_result_can_close(core, closed_us))
			(void) sx_result_close(core, closed_us);
	}
	if (v->d->window == NULL)
		return 0;

	sx_derived_begin_changes(v);
	for (i = 0; i < v->d->nkept; i++)
		tids[i] = closed_rows(v, &v->cores[i], closed_us, &next, &ntids[i]);
	if (r->view->final || r->view->final_column)
		written = r->shed == SX_SHED_NOTHING ? derive(v, false) : sx_derived_each(v);
	for (i = 0; i < v->d->nkept; i++)
	{
		SxWriter   *w;

		if (ntids[i] == 0)
			continue;
		w = sx_writer_begin(v->tables[i]);
		for (k = 0; k < ntids[i]; k++)
			sx_writer_delete(w, &tids[i][k]);
		sx_writer_end(w);
	}
	end_changes(v);
	r->next_end_us = next;
	return written;
}

/* ---- rows that leave by the clock ---- */

int64
sx_derived_leaves_at(const SxResult *r)
{
	int64		result = PG_INT64_MAX;
	int			i;

	for (i = 0; i < r->derived->d->nkept; i++)
		result = Min(result, sx_result_leaves_at(r->derived->cores[i].result));
	return result;
}

int64
sx_derived_leave(SxResult *r)
{
	SxDerived  *v = r->derived;
	int64		written;
	int			i;

	sx_derived_begin_changes(v);
	for (i = 0; i < v->d->nkept; i++)
	{
		SxResult   *core = v->cores[i].result;

		if (sx_result_leaves_at(core) <= GetCurrentTransactionStartTimestamp())
			(void) sx_result_leave(core);
	}
	written = derive(v, false);
	end_changes(v);
	return written;
}

/* ---- one view ---- */

static SxKeyOps *
make_ops(const SxKey *keys, int n)
{
	SxKeyOps   *ops = palloc0(sizeof(SxKeyOps) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
		sx_key_ops_init(&ops[i], &keys[i]);
	return ops;
}

void
sx_derived_open(SxResult *r)
{
	SxDerived  *v = palloc0(sizeof(SxDerived));
	const SxShape *shape = r->shape;
	const SxDerivation *d = shape->derivation;
	ListCell   *lc;
	int			nsets = 0;
	int			i;

	if (list_length(r->view->parts) != sx_plan_count_parts(shape))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view %s is derived from %d tables, but has %d",
						r->view->name, sx_plan_count_parts(shape), list_length(r->view->parts)),
				 errhint("Something that its query names means something else now; drop the continuous view and create it anew.")));
	r->derived = v;
	v->r = r;
	v->d = d;
	v->partops = make_ops(d->parts, d->nparts);
	v->keyops = make_ops(shape->keys, shape->nkeys);
	v->plans_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx plans of a derived view",
										 ALLOCSET_DEFAULT_SIZES);
	remember_view(v);
	v->tables = palloc0(sizeof(Oid) * Max(d->ncores, 1));
	v->cores = palloc0(sizeof(CoreRun) * Max(d->ncores, 1));
	for (i = 0; i < d->nkept; i++)
	{
		CoreRun    *core = &v->cores[i];

		core->watch.changed = core_changed;
		core->watch.skip_same = true;
		core->watch.relid = list_nth_oid(r->view->parts, 2 * i);
		sx_writer_watch(&core->watch, CurrentMemoryContext);
		core->derived = v;
		core->number = i;
		core->view = *r->view;
		core->view.relid = v->tables[i] = list_nth_oid(r->view->parts, 2 * i);
		core->view.state = list_nth_oid(r->view->parts, 2 * i + 1);
		core->view.final = core->view.has_retention = false;
		core->view.final_column = NULL;
		core->view.sink = InvalidOid;
		core->view.value_sets = list_copy_tail(r->view->value_sets, nsets);
		nsets += d->cores[i].shape->nsets;
		core->result = sx_result_open(&core->view, d->cores[i].shape);
		if (d->cores[i].shape->join)
			continue;			/* has plans by side, see pairs.c */
		core->plan_small = sx_plan_batch(d->cores[i].shape, 100);
		core->plan_big = sx_plan_batch(d->cores[i].shape, 100000);
	}

	if (d->nkept < d->ncores)
		v->changes_cxt = AllocSetContextCreate(CurrentMemoryContext,
											   "streamx changes for a derived view",
											   ALLOCSET_DEFAULT_SIZES);
	v->last_us = PG_INT64_MAX;	/* not known */
	if (d->nkept == 0 && r->view->final)
		sx_plan_find_closing(shape, r->view->name);
	for (i = d->nkept; i < d->ncores; i++)
	{
		CoreRun    *core = &v->cores[i];

		core->derived = v;
		core->number = i;
		core->watch.changed = r->view->final ? source_written : source_changed;
		core->watch.relid = v->tables[i] = d->cores[i].source;
		sx_writer_watch(&core->watch, CurrentMemoryContext);
	}

	/* hidden tables before their states, as whoever drops them does */
	foreach(lc, r->view->parts)
	{
		if (OidIsValid(lfirst_oid(lc)))
			v->relations = lappend_oid(v->relations, lfirst_oid(lc));
	}
	for (i = 0; i < d->nkept; i++)
	{
		if (v->cores[i].plan_big)
			v->relations = list_concat_unique_oid(v->relations,
												  v->cores[i].plan_big->relationOids);
	}
	v->relations = list_concat_unique_oid(v->relations,
										  sx_plan_derive(shape, v->tables, SX_DERIVE_ALL,
														 NULL)->relationOids);
}

List *
sx_result_relations(const SxResult *r)
{
	return r->derived->relations;
}

void
sx_result_lock(const SxResult *r)
{
	ListCell   *lc;

	foreach(lc, r->derived->relations)
		LockRelationOid(lfirst_oid(lc),
						list_member_oid(r->view->parts, lfirst_oid(lc)) ?
						RowExclusiveLock : AccessShareLock);
}

void
sx_derived_forget(SxResult *r)
{
	int			i;

	end_gathering(r->derived);
	end_changes(r->derived);
	for (i = 0; i < r->derived->d->nkept; i++)
		sx_result_forget(r->derived->cores[i].result);
}

void
sx_derived_trim(SxResult *r)
{
	int			i;

	for (i = 0; i < r->derived->d->nkept; i++)
		sx_result_trim(r->derived->cores[i].result);
}

int64
sx_derived_memory(const SxResult *r)
{
	int64		n = 0;
	int			i;

	for (i = 0; i < r->derived->d->nkept; i++)
		n += sx_result_memory(r->derived->cores[i].result);
	return n;
}

void
sx_derived_first_rows(SxResult *r)
{
	SxDerived  *v = r->derived;
	int			i;

	sx_derived_begin_changes(v);
	for (i = 0; i < v->d->nkept; i++)
		sx_result_first_rows(v->cores[i].result);
	if (!r->view->final)
		(void) derive_all(v);
	end_changes(v);
}

int64
sx_derived_seed(SxResult *r)
{
	SxDerived  *v = r->derived;
	int64		written;
	int			i;

	sx_derived_begin_changes(v);
	for (i = 0; i < v->d->nkept; i++)
	{
		SxResult   *core = v->cores[i].result;

		if (core->shape->seed_query == NULL)
			continue;
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		(void) sx_result_seed(core);
	}
	written = r->view->final ? 0 : derive_all(v);
	end_changes(v);
	return written;
}

int64
sx_result_follow(SxResult *r, bool whole)
{
	SxDerived  *v = r->derived;
	int64		written;

	if (whole || v->whole || v->touched == NULL)
	{
		sx_derived_begin_changes(v);
		LockRelationOid(r->view->relid, RowExclusiveLock);
		written = derive_all(v);
	}
	else
		written = derive(v, false);
	sx_derived_begin_changes(v);
	SX_STOP("after_follow", r->view->name);
	return written;
}

/* ---- the same, windows at a time as they close: see cascade.c ---- */

int64
sx_derived_windows(SxResult *r, int64 from_us, int64 before_us)
{
	SxDerived  *v = r->derived;
	ParamListInfo params = makeParamList(2);
	SxDifferenceScope changes;
	SxRows		new;
	SxRows		old;
	int			i;

	for (i = 0; i < 2; i++)
	{
		params->params[i].value = Int64GetDatum(i == 0 ? from_us : before_us);
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = v->d->closing->typid;
	}
	LockRelationOid(r->view->relid, RowExclusiveLock);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	sx_derived_run_plan(sx_plan_derive(r->shape, v->tables, SX_DERIVE_RANGE, params), params, &new);
	sx_derived_scope(v, &changes);
	changes.nparts = 0;
	sx_difference_check_keys(&changes, &new);
	UpdateActiveSnapshotCommandId();
	sx_derived_run_plan(sx_plan_derived_rows(r->shape, r->view->relid, SX_DERIVE_RANGE, params), params, &old);
	return sx_difference_write(&changes, &old, &new);
}

int64
sx_derived_last_window(const SxResult *r)
{
	return r->derived->last_us;
}

void
sx_derived_set_last_window(SxResult *r, int64 last_us)
{
	r->derived->last_us = last_us;
}
