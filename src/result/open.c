/*-------------------------------------------------------------------------
 * open.c
 *		Groups of open windows in memory, of views that emit final rows.
 *
 * A view that writes rows only as their windows close needs no table for what
 * is open, as long as the rows behind it can be read again: the saved progress
 * then has a second position, the replay position, from which reading on
 * fills the memory again.  It is the start of the oldest batch that brought
 * rows to a window that is still open.  Nothing is written but what closes.
 *
 * States are live, as in an Agg node: each window has a hash table of its
 * groups in a memory context of its own, which goes as a whole when the
 * window has closed.  Where windows are merged from panes (panes.c), a pane
 * stands for a window here, which ends when the last of its windows does.
 *
 * What a transaction changes here has to be undone when it, or the
 * subtransaction at hand, does not come through.  A log keeps what the states
 * were before, up to sx_result_committed(); sx_result_mark() is a place in it
 * to go back to.  States of type internal cannot be copied: they are kept
 * serialized, and only once that has proved needed ("careful").  Before, going
 * back over one loses all ("lost"): the rows are read again.  What combine
 * functions complain about therefore loses the memory once, no more.
 *
 * When the groups outgrow streamx.state_memory all of them are written to the
 * state table (they are "stored"), and the windows up to the last of them,
 * the floor, live on there as any other view's; later windows are kept in
 * memory again.  The floor is the last window that the state table has.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_aggregate.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/guc.h"
#include "catalog/stream.h"
#include "compat.h"
#include "result/open_internal.h"

/* a window with few groups takes a kB: there may be many */
#define FIRST_SLOTS		8
#define FIRST_BLOCK		256
#define LAST_BLOCK		(256 * 1024)

/* ---- making -------------------------------------------------------------- */

bool
sx_open_suits(const SxView *view, const SxShape *shape)
{
	SxStream   *stream;
	int			i;

	if (!view->final || shape->strategy != SX_STRATEGY_MERGE ||
		!shape->grouped || shape->window == NULL || shape->window_partial ||
		shape->nsets > 0 || shape->session != NULL ||
		shape->sliding != NULL || shape->join != NULL ||
		(shape->window->kind != SX_WINDOW_FIXED &&
		 shape->window->kind != SX_WINDOW_HOP &&
		 shape->window->kind != SX_WINDOW_CUMULATE) ||
		list_length(view->streams) != 1 || list_length(shape->streams) != 1 || !sx_plan_repeats(shape))
		return false;
	stream = sx_stream_get(linitial_oid(shape->streams), InvalidOid);

	/*
	 * A topic's messages arrive anew when they are read again, and may then
	 * be within max_ahead; with this policy nobody would know that they were
	 * not.
	 */
	if (strcmp(stream->kind, "kafka") == 0)
		return stream->on_error != SX_ON_ERROR_SKIP;

	/* what counts a native stream's rows may have changed */
	if (strcmp(stream->kind, "native") == 0)
	{
		for (i = 0; i < stream->schema->ncols; i++)
		{
			if (!stream->schema->cols[i].dropped &&
				stream->schema->cols[i].metadata == SX_META_OFFSET)
				return false;
		}
		return true;
	}
	return strcmp(stream->kind, "socket") == 0 ||
		strcmp(stream->kind, "generator") == 0;
}

static bool
final_function_scribbles(Oid aggfnoid)
{
	HeapTuple	tup = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
	bool		result;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for aggregate %u", aggfnoid);
	result = ((Form_pg_aggregate) GETSTRUCT(tup))->aggfinalmodify != AGGMODIFY_READ_ONLY;
	ReleaseSysCache(tup);
	return result;
}

/* The query over a batch, what its states are, and where they are stored. */
static char *
signature(const SxView *view, const SxShape *shape)
{
	StringInfoData buf;
	char	   *query = nodeToString(shape->batch_query);
	HeapTuple	tuple;
	int			i;

	initStringInfo(&buf);
	appendStringInfoString(&buf, query);
	pfree(query);

	/* a rebuilt view has another state table */
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view->state));
	if (HeapTupleIsValid(tuple))
	{
		appendStringInfo(&buf, " %u", ((Form_pg_class) GETSTRUCT(tuple))->relfilenode);
		ReleaseSysCache(tuple);
	}
	for (i = 0; i < shape->npartials; i++)
	{
		const SxPartial *p = &shape->partials[i];

		appendStringInfo(&buf, " %u %u %u %u %u", p->aggref->aggfnoid, p->transtype,
						 p->combinefn, p->serialfn, p->deserialfn);
	}
	return buf.data;
}

bool
sx_result_in_memory(const SxResult *r)
{
	return r->open != NULL;
}

SxOpen *
sx_open_create(const SxResult *r)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "streamx open windows",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxOpen	   *open = palloc0(sizeof(SxOpen));
	int			i;

	open->cxt = cxt;
	open->signature = signature(r->view, r->shape);
	open->nkeys = r->shape->nkeys;
	open->nstates = r->shape->npartials;
	for (i = 0; i < open->nstates; i++)
		open->internal |= r->aggs.partials[i].internal;
	/* what is merged from panes is a copy */
	for (i = 0; r->shape->panes == NULL && i < r->shape->naggregates; i++)
		open->scribbles |= final_function_scribbles(r->shape->aggregates[i].aggref->aggfnoid);
	open->econtext = makeNode(ExprContext);
	open->econtext->ecxt_per_query_memory = cxt;
	open->fake = makeNode(AggState);
	open->fake->curaggcontext = open->econtext;
	open->fake->tmpcontext = r->aggs.econtext;
	open->log_cxt = GenerationContextCreate(cxt, "streamx open windows, undo",
											ALLOCSET_DEFAULT_SIZES);
	open->floor_us = PG_INT64_MIN;
	open->batch_end_us = PG_INT64_MIN;
	open->closing_us = PG_INT64_MIN;
	open->stamp = 1;
	MemoryContextSwitchTo(old);
	return open;
}

/* ---- windows and groups -------------------------------------------------- */

int64
sx_open_end(const SxResult *r, int64 key)
{
	return r->shape->panes ? sx_pane_last_end(r->shape->panes, key) :
		sx_window_end(r->shape->window, key);
}

uint64
sx_open_hash(const SxResult *r, const Datum *keys, const bool *nulls)
{
	return r->shape->panes ? sx_panes_hash(r, keys, nulls) :
		sx_keys_hash(r->keyops, r->shape->nkeys, keys, nulls);
}

static OpenWindow *
find_window(SxOpen *open, int64 key, int64 end_us)
{
	int			lo = 0;
	int			hi = open->nwindows;
	MemoryContext old;
	MemoryContext cxt;
	OpenWindow *w;

	if (open->last < open->nwindows && open->windows[open->last]->key == key)
		return open->windows[open->last];
	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (open->windows[mid]->key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	open->last = lo;
	if (lo < open->nwindows && open->windows[lo]->key == key)
		return open->windows[lo];

	if (open->nwindows == open->maxwindows)
	{
		int			max = Max(open->maxwindows * 2, 16);

		open->windows = open->windows == NULL ?
			MemoryContextAlloc(open->cxt, sizeof(OpenWindow *) * max) :
			repalloc_huge(open->windows, sizeof(OpenWindow *) * max);
		open->maxwindows = max;
	}
	cxt = AllocSetContextCreate(open->cxt, "streamx open window",
								0, 1024, ALLOCSET_DEFAULT_MAXSIZE);
	old = MemoryContextSwitchTo(cxt);
	w = palloc0(sizeof(OpenWindow));
	w->key = key;
	w->end_us = end_us;
	w->cxt = cxt;
	w->block = FIRST_BLOCK;
	w->nslots = FIRST_SLOTS;
	w->slots = palloc0(sizeof(Slot) * FIRST_SLOTS);
	MemoryContextSwitchTo(old);
	memmove(open->windows + lo + 1, open->windows + lo,
			sizeof(OpenWindow *) * (open->nwindows - lo));
	open->windows[lo] = w;
	open->nwindows++;
	return w;
}

static void
grow(OpenWindow *w)
{
	uint64		n = w->nslots * 2;
	Slot	   *slots = MemoryContextAllocExtended(w->cxt, sizeof(Slot) * n,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint64		i;

	for (i = 0; i < w->nslots; i++)
	{
		uint64		at;

		if (w->slots[i].group == NULL)
			continue;
		at = w->slots[i].hash & (n - 1);
		while (slots[at].group != NULL)
			at = (at + 1) & (n - 1);
		slots[at] = w->slots[i];
	}
	pfree(w->slots);
	w->slots = slots;
	w->nslots = n;
}

/* Room for a group, never given back. */
static OpenGroup *
cut_group(const SxOpen *open, OpenWindow *w)
{
	Size		size = MAXALIGN(offsetof(OpenGroup, data) +
								(sizeof(Datum) + sizeof(bool)) * (open->nkeys + open->nstates));
	char	   *result;

	if (w->next == NULL || w->stop - w->next < size)
	{
		Size		block = Max(w->block, size);

		w->next = MemoryContextAlloc(w->cxt, block);
		w->stop = w->next + block;
		w->block = Min(w->block * 2, LAST_BLOCK);
	}
	result = w->next;
	w->next += size;
	return (OpenGroup *) result;
}

static OpenGroup *
find_group(SxResult *r, OpenWindow *w, uint64 hash, const Datum *keys,
		   const bool *nulls, bool *is_new)
{
	const SxOpen *open = r->open;
	MemoryContext old;
	OpenGroup  *g;
	uint64		at = hash & (w->nslots - 1);
	int			i;

	for (; w->slots[at].group != NULL; at = (at + 1) & (w->nslots - 1))
	{
		g = w->slots[at].group;
		if (w->slots[at].hash == hash &&
			sx_keys_equal(r->keyops, open->nkeys, g->data,
						  group_key_nulls(open, g), keys, nulls))
		{
			*is_new = false;
			return g;
		}
	}
	if (w->ngroups >= w->nslots / 4 * 3)
	{
		grow(w);
		for (at = hash & (w->nslots - 1); w->slots[at].group != NULL;)
			at = (at + 1) & (w->nslots - 1);
	}
	g = cut_group(open, w);
	g->stamp = 0;
	memcpy(group_key_nulls(open, g), nulls, sizeof(bool) * open->nkeys);
	old = MemoryContextSwitchTo(w->cxt);
	for (i = 0; i < open->nkeys; i++)
		g->data[i] = nulls[i] ? (Datum) 0 :
			datumCopy(keys[i], r->keyops[i].byval, r->keyops[i].len);
	MemoryContextSwitchTo(old);
	memset(group_states(open, g), 0, sizeof(Datum) * open->nstates);
	memset(group_nulls(open, g), true, sizeof(bool) * open->nstates);
	w->slots[at].hash = hash;
	w->slots[at].group = g;
	w->ngroups++;
	*is_new = true;
	return g;
}

static void
remove_group(OpenWindow *w, const OpenGroup *g, uint64 hash)
{
	uint64		mask = w->nslots - 1;
	uint64		hole = hash & mask;
	uint64		at;

	while (w->slots[hole].group != g)
		hole = (hole + 1) & mask;
	/* those that follow move up, unless they are where they belong */
	for (at = (hole + 1) & mask; w->slots[at].group != NULL; at = (at + 1) & mask)
	{
		if (((at - w->slots[at].hash) & mask) < ((at - hole) & mask))
			continue;
		w->slots[hole] = w->slots[at];
		hole = at;
	}
	w->slots[hole].group = NULL;
	w->ngroups--;
}

/* ---- states -------------------------------------------------------------- */

static Datum
call_agg(AggState *fake, FmgrInfo *fn, Oid collation, int nargs, Datum a,
		 bool anull, Datum b, bool bnull, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, fn, nargs, collation, (Node *) fake, NULL);
	fcinfo->args[0].value = a;
	fcinfo->args[0].isnull = anull;
	fcinfo->args[1].value = b;
	fcinfo->args[1].isnull = bnull;
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* One of the executor's transition values, passed by reference. */
static void
free_state(const SxPartialOps *ops, Datum value)
{
	if (DatumIsReadWriteExpandedObject(value, false, ops->len))
		DeleteExpandedObject(value);
	else
		pfree(DatumGetPointer(value));
}

/* Combine states of a batch into those of a group, as an Agg node does. */
static void
combine(SxResult *r, OpenWindow *w, OpenGroup *g, bool is_new, const Datum *in,
		const bool *in_nulls)
{
	SxOpen	   *open = r->open;
	Datum	   *states = group_states(open, g);
	bool	   *nulls = group_nulls(open, g);
	MemoryContext tmp = r->aggs.econtext->ecxt_per_tuple_memory;
	MemoryContext old = MemoryContextSwitchTo(tmp);
	int			i;

	open->econtext->ecxt_per_tuple_memory = w->cxt;
	for (i = 0; i < open->nstates; i++)
	{
		SxPartialOps *ops = &r->aggs.partials[i];
		Datum		b = in[i];
		bool		bnull = in_nulls[i];
		bool		null;
		Datum		value;

		if (ops->internal)
		{
			if (bnull && ops->deserialize.fn_strict)
				continue;
			b = call_agg(r->aggs.fake, &ops->deserialize, ops->collation, 2, b,
						 bnull, (Datum) 0, false, &bnull);
		}
		else if (is_new || (ops->combine.fn_strict && nulls[i]))
		{
			if (bnull)
				continue;
			MemoryContextSwitchTo(w->cxt);
			states[i] = datumCopy(b, ops->byval, ops->len);
			nulls[i] = false;
			MemoryContextSwitchTo(tmp);
			continue;
		}
		else if (ops->combine.fn_strict && bnull)
			continue;
		value = call_agg(open->fake, &ops->combine, ops->collation, 2,
						 states[i], nulls[i], b, bnull, &null);
		if (!ops->internal && !ops->byval &&
			(null || nulls[i] || DatumGetPointer(value) != DatumGetPointer(states[i])))
		{
			Datum		before = states[i];
			bool		had = !nulls[i];

			if (!null &&
				!(DatumIsReadWriteExpandedObject(value, false, ops->len) &&
				  MemoryContextGetParent(DatumGetEOHP(value)->eoh_context) == w->cxt))
			{
				MemoryContextSwitchTo(w->cxt);
				value = datumCopy(value, false, ops->len);
				MemoryContextSwitchTo(tmp);
			}
			states[i] = null ? (Datum) 0 : value;
			nulls[i] = null;
			if (had)
				free_state(ops, before);
			continue;
		}
		states[i] = value;
		nulls[i] = null;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(tmp);
}

/* Stored form of a state of type internal, in the current context. */
static Datum
serialize(SxResult *r, int i, Datum value, bool null, bool *isnull)
{
	SxPartialOps *ops = &r->aggs.partials[i];

	if (null && ops->serialize.fn_strict)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return call_agg(r->aggs.fake, &ops->serialize, ops->collation, 1, value, null,
					(Datum) 0, true, isnull);
}

/* ---- the log ------------------------------------------------------------- */

static void
log_group(SxResult *r, OpenWindow *w, OpenGroup *g, uint64 hash, bool is_new)
{
	SxOpen	   *open = r->open;
	Undo	   *u;
	MemoryContext old;
	int			i;

	if (open->nlog == open->maxlog)
	{
		int64		max = Max(open->maxlog * 2, 1024);

		open->log = open->log == NULL ?
			MemoryContextAllocHuge(open->cxt, sizeof(Undo) * max) :
			repalloc_huge(open->log, sizeof(Undo) * max);
		open->maxlog = max;
	}
	u = &open->log[open->nlog];
	u->window = w;
	u->group = g;
	u->hash = hash;
	u->states = NULL;
	if (!is_new)
	{
		const Datum *states = group_states(open, g);
		const bool *nulls = group_nulls(open, g);

		old = MemoryContextSwitchTo(open->log_cxt);
		u->states = palloc((sizeof(Datum) + sizeof(bool)) * Max(open->nstates, 1));
		u->nulls = (bool *) (u->states + open->nstates);
		for (i = 0; i < open->nstates; i++)
		{
			const SxPartialOps *ops = &r->aggs.partials[i];

			u->nulls[i] = nulls[i];
			u->states[i] = states[i];
			if (ops->internal)
			{
				if (open->careful)
					u->states[i] = serialize(r, i, states[i], nulls[i], &u->nulls[i]);
			}
			else if (!nulls[i] && !ops->byval)
				u->states[i] = datumCopy(states[i], false, ops->len);
		}
		MemoryContextSwitchTo(old);
	}
	open->nlog++;
	g->stamp = open->stamp;
}

static void
restore_group(SxResult *r, const Undo *u)
{
	SxOpen	   *open = r->open;
	Datum	   *states = group_states(open, u->group);
	bool	   *nulls = group_nulls(open, u->group);
	MemoryContext old = MemoryContextSwitchTo(u->window->cxt);
	int			i;

	for (i = 0; i < open->nstates; i++)
	{
		SxPartialOps *ops = &r->aggs.partials[i];

		if (ops->internal)
		{
			/* what the live one took stays until the window goes */
			nulls[i] = true;
			states[i] = (Datum) 0;
			if (!u->nulls[i] || !ops->deserialize.fn_strict)
				states[i] = call_agg(open->fake, &ops->deserialize, ops->collation, 2,
									 u->states[i], u->nulls[i], (Datum) 0, false,
									 &nulls[i]);
			continue;
		}
		if (!ops->byval && !nulls[i])
			free_state(ops, states[i]);
		nulls[i] = u->nulls[i];
		states[i] = u->nulls[i] ? (Datum) 0 :
			datumCopy(u->states[i], ops->byval, ops->len);
	}
	MemoryContextSwitchTo(old);
}

int64
sx_result_mark(SxResult *r)
{
	if (r->open == NULL)
		return 0;
	/* what changes from here on is logged, though it was changed before */
	r->open->stamp++;
	return r->open->nlog;
}

void
sx_result_undo(SxResult *r, int64 mark)
{
	SxOpen	   *open = r->open;
	bool		changed;

	if (open == NULL || open->lost)
		return;
	open->lost = true;			/* if this fails in between */
	changed = open->nlog > mark;
	if (open->closing_us != PG_INT64_MIN && open->scribbles)
		return;
	while (open->nlog > mark)
	{
		Undo	   *u = &open->log[open->nlog - 1];

		if (u->states == NULL)
			remove_group(u->window, u->group, u->hash);
		else if (open->internal && !open->careful)
			return;
		else
		{
			open->econtext->ecxt_per_tuple_memory = u->window->cxt;
			restore_group(r, u);
		}
		open->nlog--;
	}
	open->stamp++;
	open->closing_us = PG_INT64_MIN;
	open->spilling = false;
	open->is_pending = false;

	/* what cannot be merged now may not come out the same another time */
	if (changed)
		open->spill_due = true;
	if (mark == 0)
	{
		open->batch_end_us = PG_INT64_MIN;
		MemoryContextReset(open->log_cxt);
	}
	open->lost = false;
}

bool
sx_result_lost(const SxResult *r)
{
	return r->open != NULL && r->open->lost;
}

/* ---- a batch ------------------------------------------------------------- */

/* The last window that the state table has. */
void
sx_open_find_floor(SxResult *r)
{
	SxOpen	   *open = r->open;
	SxStateTable state;
	TableScanDesc scan;
	int64		floor = PG_INT64_MIN;

	if (open->floor_known)
		return;
	sx_state_begin(&state, r->view, r->shape);
	scan = table_beginscan(state.writer->rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, state.slot))
	{
		bool		null;
		Datum		key = slot_getattr(state.slot, 2 + r->shape->window_key, &null);

		CHECK_FOR_INTERRUPTS();
		floor = Max(floor, null ? PG_INT64_MAX : sx_open_end(r, DatumGetInt64(key)));
	}
	table_endscan(scan);
	sx_state_end(&state);
	open->floor_us = floor;
	open->floor_known = true;
}

bool
sx_open_has_stored(SxResult *r)
{
	sx_open_find_floor(r);
	return r->open->floor_us != PG_INT64_MIN;
}

void
sx_open_take(SxResult *r, SxRows *rows)
{
	SxOpen	   *open = r->open;
	int			n = rows->ncols;
	int64		kept = 0;
	int64		i;

	Assert(!open->lost);
	sx_open_find_floor(r);
	for (i = 0; i < rows->nrows; i++)
	{
		Datum	   *values = rows->values + i * n;
		bool	   *nulls = rows->nulls + i * n;
		int64		key = DatumGetInt64(values[r->shape->window_key]);
		OpenWindow *w = open->last < open->nwindows ? open->windows[open->last] : NULL;
		int64		end_us = w && w->key == key ? w->end_us : sx_open_end(r, key);
		OpenGroup  *g;
		uint64		hash;
		bool		is_new;

		CHECK_FOR_INTERRUPTS();
		if (end_us <= open->floor_us)
		{
			if (kept != i)
			{
				memcpy(rows->values + kept * n, values, sizeof(Datum) * n);
				memcpy(rows->nulls + kept * n, nulls, sizeof(bool) * n);
			}
			kept++;
			continue;
		}
		w = find_window(open, key, end_us);
		open->batch_end_us = Max(open->batch_end_us, end_us);
		hash = sx_open_hash(r, values, nulls);
		g = find_group(r, w, hash, values, nulls, &is_new);
		if (is_new || g->stamp != open->stamp)
			log_group(r, w, g, hash, is_new);
		combine(r, w, g, is_new, values + open->nkeys, nulls + open->nkeys);
	}
	rows->nrows = kept;
}

void
sx_result_refill(SxResult *r, SxRows *rows, int64 closed_us)
{
	if (r->shape->panes)
		(void) sx_panes_drop_closed(r, rows, closed_us);
	else
		(void) sx_result_drop_closed(r, rows, closed_us);

	/* leaves what is in the state table */
	sx_open_take(r, rows);
}

void
sx_result_restore(SxResult *r, const SxPosition *saved, int nsaved, bool careful)
{
	if (r->open == NULL)
	{
		MemoryContext old;

		if (r->shape->strategy != SX_STRATEGY_MERGE || r->shape->window == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot restore the open windows of continuous view \"%s\"",
							r->view->name),
					 errdetail("Its stream or its functions have changed in a way that changes how it is maintained."),
					 errhint("Use streamx.rebuild().")));
		old = MemoryContextSwitchTo(r->cxt);
		r->open = sx_open_create(r);
		r->open->unfit = true;
		MemoryContextSwitchTo(old);
	}
	r->open->careful |= careful;
	sx_open_set_saved(r->open, saved, nsaved);
}

SxOpen *
sx_result_detach(SxResult *r, MemoryContext parent)
{
	SxOpen	   *open = r->open;

	if (open == NULL || open->lost)
		return NULL;
	r->open = NULL;
	MemoryContextSetParent(open->cxt, parent);
	return open;
}

bool
sx_result_attach(SxResult *r, SxOpen *open)
{
	if (r->open == NULL || strcmp(r->open->signature, open->signature) != 0)
		return false;
	sx_open_free(r->open);
	open->fake->tmpcontext = r->aggs.econtext;
	open->floor_known = false;
	MemoryContextSetParent(open->cxt, r->cxt);
	r->open = open;
	return true;
}

void
sx_result_empty(SxResult *r)
{
	MemoryContext old;
	bool		unfit;

	if (r->open == NULL)
		return;
	unfit = r->open->unfit;
	sx_open_free(r->open);
	old = MemoryContextSwitchTo(r->cxt);
	r->open = sx_open_create(r);
	r->open->unfit = unfit;
	MemoryContextSwitchTo(old);
}

void
sx_open_free(SxOpen *open)
{
	MemoryContextDelete(open->cxt);
}
