/*-------------------------------------------------------------------------
 * distinct.c
 *		The values that DISTINCT aggregates have seen.
 *
 * Of each set (see plan/distinct.c) there is a table: h, the hash of a
 * group's keys; v, that of a value; the keys; the columns of the value.  A
 * batch brings the values that are in it.  Those that the table does not have
 * are inserted, and the aggregates' transition functions make a state of
 * them: partial states as of a batch that had the new values only, each once.
 * From there on it is an ordinary merge, and a batch costs what is in it, not
 * what is held.
 *
 * So a value that is in the table is in the state of its group, and the group
 * is there.  Both go when the group's window closes.
 *
 * Values are looked for by both hashes and compared in full, keys too.  Those
 * met lately are in memory, and so is whether a group has no others, which
 * saves looking for what is new.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_agg.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "compat.h"
#include "result/distinct.h"

/* columns of the table: h, v, the keys, the value */
#define FIRST_KEY 3

/* How values get into the state of an aggregate. */
typedef struct Transition
{
	FmgrInfo	fn;
	Oid			collation;
	int			nargs;			/* of the aggregate */
	bool		whole;			/* it takes a row of all columns, and does not
								 * look at it */
	bool		byval;			/* of the transition type */
	int16		len;
	Datum		initial;
	bool		initial_null;
} Transition;

typedef struct ValueSet
{
	const SxValueSet *def;
	Oid			relid;
	int			ncols;			/* keys and columns of a value */
	SxKeyOps   *ops;			/* of these */
	TupleDesc	desc;			/* of a value */
	SxGroups   *known;			/* keys and values that are in the table */
	SxGroups   *complete;		/* groups all values of which are in "known" */
} ValueSet;

struct SxDistinct
{
	int			nsets;
	ValueSet   *sets;
	Transition *transitions;	/* per partial; of those with a set */
	bool		alone;			/* all partials have one */
	MemoryContext tmp_cxt;		/* of a call */
};

/* ---- opening ------------------------------------------------------------- */

static void
open_transition(Transition *t, const SxPartial *p, Oid owner)
{
	Aggref	   *aggref = p->aggref;
	Oid			inputs[FUNC_MAX_ARGS];
	AclResult	allowed = sx_proc_aclcheck(aggref->aggfnoid, owner, ACL_EXECUTE);
	Expr	   *expr;

	/* the plan of a batch, which would ask, does not have the aggregate */
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_AGGREGATE, get_func_name(aggref->aggfnoid));
	t->collation = aggref->inputcollid;
	t->nargs = get_aggregate_argtypes(aggref, inputs);
	t->whole = t->nargs == 1 && inputs[0] == RECORDOID;
	get_typlenbyval(p->transtype, &t->len, &t->byval);
	build_aggregate_transfn_expr(inputs, t->nargs, 0, aggref->aggvariadic, p->transtype,
								 aggref->inputcollid, p->transfn, InvalidOid, &expr, NULL);
	fmgr_info(p->transfn, &t->fn);
	fmgr_info_set_expr((Node *) expr, &t->fn);
	t->initial_null = p->initval == NULL;
	if (p->initval)
	{
		Oid			input;
		Oid			param;

		getTypeInputInfo(p->transtype, &input, &param);
		t->initial = OidInputFunctionCall(input, p->initval, param, -1);
	}
}

static void
open_set(ValueSet *set, const SxResult *r, const SxValueSet *def, Oid relid)
{
	int			nkeys = r->shape->nkeys;
	int			i;

	set->def = def;
	set->relid = relid;
	set->ncols = nkeys + def->nvalues;
	set->ops = palloc(sizeof(SxKeyOps) * set->ncols);
	memcpy(set->ops, r->keyops, sizeof(SxKeyOps) * nkeys);
	set->desc = CreateTemplateTupleDesc(def->nvalues);
	for (i = 0; i < def->nvalues; i++)
	{
		SxKey		key = {0};

		key.typid = def->values[i].typid;
		key.collation = def->values[i].collation;
		sx_key_ops_init(&set->ops[nkeys + i], &key);
		TupleDescInitEntry(set->desc, i + 1, NULL, key.typid, -1, 0);
	}
	set->known = sx_groups_create(set->ops, set->ncols, NULL, 0);
	set->complete = sx_groups_create(set->ops, nkeys, NULL, 0);
}

struct SxDistinct *
sx_distinct_open(const SxResult *r)
{
	const SxShape *shape = r->shape;
	struct SxDistinct *d = palloc0(sizeof(struct SxDistinct));
	int			i;

	if (list_length(r->view->value_sets) < shape->nsets)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view %s has %d sets of values, but has tables for %d",
						r->view->name, shape->nsets, list_length(r->view->value_sets)),
				 errhint("Something that its query names means something else now; drop the continuous view and create it anew.")));
	d->nsets = shape->nsets;
	d->sets = palloc0(sizeof(ValueSet) * d->nsets);
	d->transitions = palloc0(sizeof(Transition) * shape->npartials);
	d->alone = true;
	for (i = 0; i < d->nsets; i++)
		open_set(&d->sets[i], r, &shape->sets[i], list_nth_oid(r->view->value_sets, i));
	for (i = 0; i < shape->npartials; i++)
	{
		if (shape->partials[i].set >= 0)
			open_transition(&d->transitions[i], &shape->partials[i], r->view->owner);
		else
			d->alone = false;
	}
	d->tmp_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx distinct values",
									   ALLOCSET_SMALL_SIZES);
	return d;
}

/* ---- the table ----------------------------------------------------------- */

typedef struct ValueTable
{
	const ValueSet *set;
	SxWriter   *writer;
	Relation	index;			/* on (h, v) */
	IndexScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext cxt;			/* of the scan */
	Datum	   *found;			/* keys and value of the row in the slot */
	bool	   *found_nulls;
} ValueTable;

static void
table_begin(ValueTable *t, const ValueSet *set)
{
	t->set = set;
	t->cxt = CurrentMemoryContext;
	t->writer = sx_writer_begin(set->relid);
	t->slot = table_slot_create(t->writer->rel, NULL);
	t->index = sx_state_index(t->writer->rel, 1);
	t->scan = sx_index_beginscan(t->writer->rel, t->index, GetActiveSnapshot(), 2, 0);
	t->found = palloc(sizeof(Datum) * set->ncols);
	t->found_nulls = palloc(sizeof(bool) * set->ncols);
}

static void
table_end(ValueTable *t)
{
	ExecDropSingleTupleTableSlot(t->slot);
	index_endscan(t->scan);
	index_close(t->index, NoLock);
	sx_writer_end(t->writer);
}

/* A value of a group; v NULL: all of them. */
static void
seek(ValueTable *t, uint64 h, const uint64 *v)
{
	MemoryContext old = MemoryContextSwitchTo(t->cxt);
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) h));
	if (v)
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) *v));
	else
		ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
					Int64GetDatum(PG_INT64_MIN));
	index_rescan(t->scan, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

/* The next row whose first ncols columns, behind the hashes, are these. */
static bool
next(ValueTable *t, int ncols, const Datum *values, const bool *nulls)
{
	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(t->cxt);
		bool		found = index_getnext_slot(t->scan, ForwardScanDirection, t->slot);
		int			i;

		MemoryContextSwitchTo(old);
		if (!found)
			return false;
		for (i = 0; i < t->set->ncols; i++)
			t->found[i] = slot_getattr(t->slot, FIRST_KEY + i, &t->found_nulls[i]);
		if (sx_keys_equal(t->set->ops, ncols, values, nulls, t->found, t->found_nulls))
			return true;
	}
}

static void
insert(ValueTable *t, uint64 h, uint64 v, SxGroup *value)
{
	TupleTableSlot *slot = t->writer->slot;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum((int64) h);
	slot->tts_values[1] = Int64GetDatum((int64) v);
	slot->tts_isnull[0] = slot->tts_isnull[1] = false;
	memcpy(slot->tts_values + 2, value->keys, sizeof(Datum) * t->set->ncols);
	memcpy(slot->tts_isnull + 2, value->key_nulls, sizeof(bool) * t->set->ncols);
	ExecStoreVirtualTuple(slot);
	sx_writer_add(t->writer, &value->state_tid);
}

/* ---- a batch ------------------------------------------------------------- */

/* A value that is not known, of a group of the batch. */
typedef struct Candidate
{
	uint64		h;
	uint64		v;
	int64		row;			/* of the batch: the group */
	SxGroup    *value;			/* in the set's "known" */
} Candidate;

/* What a batch does to a group. */
typedef struct GroupChange
{
	bool		exists;			/* some value of it was there before */
	bool		changes;		/* some was not */
} GroupChange;

static int
by_hashes(const void *pa, const void *pb)
{
	const Candidate *a = pa;
	const Candidate *b = pb;

	if (a->h != b->h)
		return (int64) a->h < (int64) b->h ? -1 : 1;
	if (a->v != b->v)
		return (int64) a->v < (int64) b->v ? -1 : 1;
	return 0;
}

static int
by_row(const void *pa, const void *pb)
{
	const Candidate *a = pa;
	const Candidate *b = pb;

	return a->row < b->row ? -1 : a->row > b->row;
}

/* The values of the batch that are not known; they are known from now on. */
static Candidate *
candidates(SxResult *r, ValueSet *set, const SxRows *rows, GroupChange *changes,
		   int64 *ncandidates)
{
	int			nkeys = r->shape->nkeys;
	int			column = nkeys + set->def->partial;
	Datum	   *values = palloc(sizeof(Datum) * set->ncols);
	bool	   *nulls = palloc(sizeof(bool) * set->ncols);
	Candidate  *result = NULL;
	int64		n = 0;
	int64		max = 0;
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *keys = rows->values + i * rows->ncols;
		const bool *key_nulls = rows->nulls + i * rows->ncols;
		uint64		h = sx_keys_hash(set->ops, nkeys, keys, key_nulls);
		SxValueScan scan;
		MinimalTuple tuple;

		CHECK_FOR_INTERRUPTS();
		if (key_nulls[column])
			continue;
		memcpy(values, keys, sizeof(Datum) * nkeys);
		memcpy(nulls, key_nulls, sizeof(bool) * nkeys);
		sx_value_scan_begin(&scan, keys[column]);
		while ((tuple = sx_value_scan_next(&scan)) != NULL)
		{
			HeapTupleData htup;
			uint64		v;
			uint64		hash;
			SxGroup    *g;

			htup.t_len = tuple->t_len + MINIMAL_TUPLE_OFFSET;
			htup.t_data = (HeapTupleHeader) ((char *) tuple - MINIMAL_TUPLE_OFFSET);
			heap_deform_tuple(&htup, set->desc, values + nkeys, nulls + nkeys);
			v = sx_keys_hash(set->ops + nkeys, set->def->nvalues, values + nkeys, nulls + nkeys);
			hash = hash_combine64(h, v);
			g = sx_groups_find(set->known, hash, values, nulls);
			if (g)
			{
				/* without a place: this batch has had it, in other bytes */
				g->used = set->known->batch;
				changes[i].exists |= ItemPointerIsValid(&g->state_tid);
				continue;
			}
			g = sx_groups_add(set->known, hash, values, nulls);
			set->known->bytes += sx_group_bytes(set->known, g);
			if (n == max)
			{
				max = Max(1024, max * 2);
				result = result ? repalloc_huge(result, sizeof(Candidate) * max) :
					MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Candidate) * max);
			}
			result[n].h = h;
			result[n].v = v;
			result[n].row = i;
			result[n++].value = g;
		}
	}
	pfree(values);
	pfree(nulls);
	*ncandidates = n;
	return result;
}

/*
 * Has the table values of the group that are not known?  A group that it has
 * none of is complete from its first ones on.
 */
static bool
is_complete(ValueTable *t, const ValueSet *set, int nkeys, const Candidate *c)
{
	const SxGroup *value = c->value;

	if (sx_groups_find(set->complete, c->h, value->keys, value->key_nulls))
		return true;
	seek(t, c->h, NULL);
	if (next(t, nkeys, value->keys, value->key_nulls))
		return false;
	set->complete->bytes +=
		sx_group_bytes(set->complete, sx_groups_add(set->complete, c->h, value->keys,
													value->key_nulls));
	return true;
}

/* Insert those that the table does not have; they come first then. */
static int64
insert_new(SxResult *r, ValueSet *set, Candidate *c, int64 n, GroupChange *changes)
{
	ValueTable	table;
	int64		last_row = -1;
	bool		complete = false;
	int64		nnew = 0;
	int64		i;

	qsort(c, n, sizeof(Candidate), by_hashes);
	table_begin(&table, set);
	for (i = 0; i < n; i++)
	{
		SxGroup    *value = c[i].value;

		CHECK_FOR_INTERRUPTS();
		if (c[i].row != last_row)
			complete = is_complete(&table, set, r->shape->nkeys, &c[i]);
		last_row = c[i].row;
		if (!complete)
		{
			seek(&table, c[i].h, &c[i].v);
			if (next(&table, set->ncols, value->keys, value->key_nulls))
			{
				value->state_tid = table.slot->tts_tid;
				changes[c[i].row].exists = true;
				continue;
			}
		}
		insert(&table, c[i].h, c[i].v, value);
		changes[c[i].row].changes = true;
		c[nnew++] = c[i];
	}
	table_end(&table);
	return nnew;
}

/* One value into a state, which lives in the aggregates' short-lived context. */
static void
advance(struct SxDistinct *d, SxAggregates *aggs, Transition *t, Datum *state,
		bool *state_null, bool *no_value, const Datum *values, const bool *nulls)
{
	MemoryContext cxt = aggs->econtext->ecxt_per_tuple_memory;
	MemoryContext old;
	Datum		result;
	int			i;

	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);

	InitFunctionCallInfoData(*fcinfo, &t->fn, t->nargs + 1, t->collation,
							 (Node *) aggs->fake, NULL);
	for (i = 0; i < t->nargs; i++)
	{
		fcinfo->args[i + 1].value = t->whole ? (Datum) 0 : values[i];
		fcinfo->args[i + 1].isnull = !t->whole && nulls[i];
		if (t->fn.fn_strict && fcinfo->args[i + 1].isnull)
			return;
	}
	if (t->fn.fn_strict && *no_value)
	{
		/* the first value is the state */
		old = MemoryContextSwitchTo(cxt);
		*state = datumCopy(values[0], t->byval, t->len);
		*state_null = *no_value = false;
		MemoryContextSwitchTo(old);
		return;
	}
	if (t->fn.fn_strict && *state_null)
		return;
	fcinfo->args[0].value = *state;
	fcinfo->args[0].isnull = *state_null;
	MemoryContextReset(d->tmp_cxt);
	old = MemoryContextSwitchTo(d->tmp_cxt);
	result = FunctionCallInvoke(fcinfo);
	if (!t->byval && !fcinfo->isnull &&
		(*state_null || DatumGetPointer(result) != DatumGetPointer(*state)))
	{
		MemoryContextSwitchTo(cxt);
		result = datumCopy(result, false, t->len);
		if (!*state_null)
			pfree(DatumGetPointer(*state));
	}
	*state = result;
	*state_null = fcinfo->isnull;
	MemoryContextSwitchTo(old);
}

/* The state of partial i over new values, as stored, in the current context. */
static Datum
state_of(SxResult *r, int i, const Candidate *c, int64 n, bool *isnull)
{
	struct SxDistinct *d = r->distinct;
	SxAggregates *aggs = &r->aggs;
	const SxPartialOps *ops = &aggs->partials[i];
	Transition *t = &d->transitions[i];
	MemoryContext old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	bool		null = t->initial_null;
	bool		no_value = null;
	Datum		state = null ? (Datum) 0 : datumCopy(t->initial, t->byval, t->len);
	int			nkeys = r->shape->nkeys;
	int64		k;

	MemoryContextSwitchTo(old);
	for (k = 0; k < n; k++)
		advance(d, aggs, t, &state, &null, &no_value, c[k].value->keys + nkeys,
				c[k].value->key_nulls + nkeys);
	state = sx_aggregates_stored(aggs, i, state, null, isnull);
	if (!*isnull)
		state = datumCopy(state, ops->byval, ops->len);
	sx_aggregates_reset(aggs);
	return state;
}

static void
take_set(SxResult *r, int s, SxRows *rows, GroupChange *changes)
{
	const SxShape *shape = r->shape;
	ValueSet   *set = &r->distinct->sets[s];
	Candidate  *c;
	int64		n;
	int64		first = 0;
	int64		i;
	int			k;

	set->known->batch++;
	set->complete->batch++;
	c = candidates(r, set, rows, changes, &n);
	if (n > 0)
		n = insert_new(r, set, c, n, changes);
	qsort(c, n, sizeof(Candidate), by_row);
	for (i = 0; i < rows->nrows; i++)
	{
		int64		end = first;

		CHECK_FOR_INTERRUPTS();
		while (end < n && c[end].row == i)
			end++;
		for (k = 0; k < shape->npartials; k++)
		{
			int64		at = i * rows->ncols + shape->nkeys + k;

			if (shape->partials[k].set == s)
				rows->values[at] = state_of(r, k, c + first, end - first, &rows->nulls[at]);
		}
		first = end;
	}
	if (c)
		pfree(c);
}

void
sx_distinct_take(SxResult *r, SxRows *rows)
{
	struct SxDistinct *d = r->distinct;
	GroupChange *changes = MemoryContextAllocExtended(CurrentMemoryContext,
													  sizeof(GroupChange) * rows->nrows,
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int			n = rows->ncols;
	int64		kept = 0;
	int64		i;
	int			s;

	for (s = 0; s < d->nsets; s++)
		take_set(r, s, rows, changes);
	for (i = 0; d->alone && i < rows->nrows; i++)
	{
		if (changes[i].exists && !changes[i].changes)
			continue;
		if (kept != i)
		{
			memcpy(rows->values + kept * n, rows->values + i * n, sizeof(Datum) * n);
			memcpy(rows->nulls + kept * n, rows->nulls + i * n, sizeof(bool) * n);
		}
		kept++;
	}
	if (d->alone)
		rows->nrows = kept;
	pfree(changes);
}

/* ---- groups that are over ------------------------------------------------ */

struct SxDistinctRemoval
{
	SxResult   *r;
	ValueTable *tables;			/* per set */
};

SxDistinctRemoval *
sx_distinct_remove_begin(SxResult *r)
{
	SxDistinctRemoval *removal = palloc(sizeof(SxDistinctRemoval));
	int			i;

	removal->r = r;
	removal->tables = palloc(sizeof(ValueTable) * r->distinct->nsets);
	for (i = 0; i < r->distinct->nsets; i++)
		table_begin(&removal->tables[i], &r->distinct->sets[i]);
	return removal;
}

void
sx_distinct_remove(SxDistinctRemoval *removal, const SxGroup *g)
{
	int			nkeys = removal->r->shape->nkeys;
	int			i;

	for (i = 0; i < removal->r->distinct->nsets; i++)
	{
		ValueTable *t = &removal->tables[i];
		const ValueSet *set = t->set;

		seek(t, g->hash, NULL);
		while (next(t, nkeys, g->keys, g->key_nulls))
		{
			ItemPointerData tid = t->slot->tts_tid;
			uint64		v = sx_keys_hash(set->ops + nkeys, set->def->nvalues,
										 t->found + nkeys, t->found_nulls + nkeys);

			CHECK_FOR_INTERRUPTS();
			sx_groups_remove(set->known, hash_combine64(g->hash, v), t->found, t->found_nulls);
			sx_writer_delete(t->writer, &tid);
		}
		sx_groups_remove(set->complete, g->hash, g->keys, g->key_nulls);
	}
}

void
sx_distinct_remove_end(SxDistinctRemoval *removal)
{
	int			i;

	for (i = 0; i < removal->r->distinct->nsets; i++)
		table_end(&removal->tables[i]);
	pfree(removal);
}

/* ---- memory -------------------------------------------------------------- */

static void
forget_set(ValueSet *set)
{
	sx_groups_reset(set->known);
	sx_groups_reset(set->complete);
}

void
sx_distinct_forget(SxResult *r)
{
	int			i;

	for (i = 0; i < r->distinct->nsets; i++)
		forget_set(&r->distinct->sets[i]);
}

/* Each set has an equal part of the memory. */
void
sx_distinct_trim(SxResult *r)
{
	int64		limit = (int64) sx_state_memory_kb * 1024 / r->distinct->nsets;
	int			i;

	for (i = 0; i < r->distinct->nsets; i++)
	{
		ValueSet   *set = &r->distinct->sets[i];

		if (set->known->bytes + set->complete->bytes <= limit)
			continue;
		sx_groups_reset(set->complete);
		sx_groups_evict(set->known, set->known->batch);
		if (set->known->bytes > limit / 2)
			forget_set(set);
	}
}

int64
sx_distinct_memory(const SxResult *r)
{
	int64		n = 0;
	int			i;

	for (i = 0; i < r->distinct->nsets; i++)
		n += MemoryContextMemAllocated(r->distinct->sets[i].known->cxt, true) +
			MemoryContextMemAllocated(r->distinct->sets[i].complete->cxt, true);
	return n;
}
