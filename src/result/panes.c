/*-------------------------------------------------------------------------
 * panes.c
 *		Windows that overlap: states are kept by pane, windows are merged
 *		from them when they are written.
 *
 * The state table has a row for each pane of a group; h is the hash of the
 * other keys, and the index is on (h, pane), so that the panes of a group are
 * found together and in order.
 *
 * k windows over n panes cost about n + k merges, not their product.  Windows
 * are taken from a first one on, as far as they start before it ends (the
 * "cut"): what a window has before the cut is a suffix of the panes there,
 * what it has behind it a prefix of those that follow; suffixes are merged
 * from the cut backwards and kept where a window starts, the prefix grows as
 * the windows advance.  Windows of cumulate are prefixes only.
 *
 * A pane goes when the last of its windows has closed.  A late row may still
 * change a pane of which some windows are closed: those are not written again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "result/merge.h"
#include "window/pane.h"

/* One row of the state table. */
typedef struct Pane
{
	int64		start;
	ItemPointerData tid;
	bool		taken;			/* its group has been dealt with */
	Datum	   *keys;
	bool	   *key_nulls;
	Datum	   *states;			/* as stored */
	bool	   *state_nulls;
} Pane;

typedef struct Panes
{
	MemoryContext cxt;
	int			n;
	int			max;
	Pane	   *panes;
} Panes;

/* Live states of all partials. */
typedef struct Live
{
	bool		any;			/* there is a pane in it */
	Datum	   *values;
	bool	   *nulls;
} Live;

/* The windows of a group to be written, ascending. */
typedef struct Windows
{
	int64		n;
	int64		max;
	int64	   *keys;
} Windows;

uint64
sx_panes_hash(const SxResult *r, const Datum *keys, const bool *nulls)
{
	bool		without[INDEX_MAX_KEYS];

	memcpy(without, nulls, sizeof(bool) * r->shape->nkeys);
	without[r->shape->pane_key] = true;
	return sx_keys_hash(r->keyops, r->shape->nkeys, keys, without);
}

/* Are the keys beside the pane equal? */
static bool
same_group(const SxResult *r, const Datum *a, const bool *anulls,
		   const Datum *b, const bool *bnulls)
{
	int			key = r->shape->pane_key;

	return sx_keys_equal(r->keyops, key, a, anulls, b, bnulls) &&
		sx_keys_equal(r->keyops + key + 1, r->shape->nkeys - key - 1, a + key + 1,
					  anulls + key + 1, b + key + 1, bnulls + key + 1);
}

/*
 * Leave out the panes whose windows are all closed; note when windows of the
 * others close.  ERROR if one is out of range.
 */
int64
sx_panes_drop_closed(SxResult *r, SxRows *rows, int64 closed_us)
{
	const SxPanes *panes = r->shape->panes;
	int			n = rows->ncols;
	int64		kept = 0;
	int64		dropped;
	int64		i;

	for (i = 0; i < rows->nrows; i++)
	{
		int64		pane = DatumGetInt64(rows->values[i * n + r->shape->pane_key]);

		sx_pane_check(panes, pane);
		if (r->shape->window)
		{
			if (sx_pane_last_end(panes, pane) <= closed_us)
				continue;
			if (r->next_end_us != PG_INT64_MIN)
				r->next_end_us = Min(r->next_end_us,
									 sx_pane_next_end(panes, pane, closed_us));
		}
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

/* ---- panes of one group, from the state table ---- */

static void
panes_reset(Panes *panes)
{
	MemoryContextReset(panes->cxt);
	panes->n = panes->max = 0;
	panes->panes = NULL;
}

static void
panes_init(Panes *panes)
{
	panes->cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx panes",
									   ALLOCSET_DEFAULT_SIZES);
	panes_reset(panes);
}

static Datum
copy_value(Datum value, bool byval, int16 len)
{
	if (len == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, byval, len);
}

/* Add the row in the slot; its states only if they are asked for. */
static void
panes_add(Panes *panes, const SxResult *r, TupleTableSlot *slot, bool states)
{
	const SxShape *shape = r->shape;
	MemoryContext old = MemoryContextSwitchTo(panes->cxt);
	int			nkeys = shape->nkeys;
	int			nvalues = nkeys + shape->npartials;
	Pane	   *p;
	int			i;

	if (panes->n == panes->max)
	{
		panes->max = Max(64, panes->max * 2);
		panes->panes = panes->panes ?
			repalloc_huge(panes->panes, sizeof(Pane) * panes->max) :
			MemoryContextAllocHuge(panes->cxt, sizeof(Pane) * panes->max);
	}
	p = &panes->panes[panes->n++];
	slot_getallattrs(slot);
	p->tid = slot->tts_tid;
	p->taken = false;
	p->keys = palloc((sizeof(Datum) + sizeof(bool)) * nvalues);
	p->states = p->keys + nkeys;
	p->key_nulls = (bool *) (p->keys + nvalues);
	p->state_nulls = p->key_nulls + nkeys;
	memcpy(p->key_nulls, slot->tts_isnull + 1, sizeof(bool) * nvalues);
	for (i = 0; i < nkeys; i++)
	{
		if (!p->key_nulls[i])
			p->keys[i] = copy_value(slot->tts_values[1 + i], r->keyops[i].byval,
									r->keyops[i].len);
	}
	for (i = 0; states && i < shape->npartials; i++)
	{
		if (!p->state_nulls[i])
			p->states[i] = copy_value(slot->tts_values[1 + nkeys + i],
									  r->aggs.partials[i].byval,
									  r->aggs.partials[i].len);
	}
	p->start = DatumGetInt64(p->keys[shape->pane_key]);
	MemoryContextSwitchTo(old);
}

/* The panes of g's group from "from" on, before "to". */
static void
panes_load(Panes *panes, SxResult *r, SxStateTable *st, const SxGroup *g,
		   int64 from, int64 to)
{
	const SxShape *shape = r->shape;
	ScanKeyData key[3];

	ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) g->state_hash));
	ScanKeyInit(&key[1], 2, BTGreaterEqualStrategyNumber, F_TIMESTAMP_GE,
				Int64GetDatum(from));
	ScanKeyInit(&key[2], 2, BTLessStrategyNumber, F_TIMESTAMP_LT,
				Int64GetDatum(to));
	if (st->scan == NULL)
		st->scan = sx_index_beginscan(st->writer->rel, st->index,
									  GetActiveSnapshot(), 3, 0);
	index_rescan(st->scan, key, 3, NULL, 0);
	while (index_getnext_slot(st->scan, ForwardScanDirection, st->slot))
	{
		int			i;

		for (i = 0; i < shape->nkeys; i++)
			st->found[i] = slot_getattr(st->slot, 2 + i, &st->found_nulls[i]);
		if (same_group(r, g->keys, g->key_nulls, st->found, st->found_nulls))
			panes_add(panes, r, st->slot, true);
	}
	ExecClearTuple(st->slot);
}

/* ---- windows ---- */

static void
windows_add(Windows *w, int64 key)
{
	if (w->n == w->max)
	{
		w->max = Max(64, w->max * 2);
		w->keys = w->keys ? repalloc_huge(w->keys, sizeof(int64) * w->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * w->max);
	}
	w->keys[w->n++] = key;
}

/*
 * Add the windows that a pane is in and that end after "after", not after
 * "until"; panes come in their order.
 */
static void
windows_of_pane(Windows *w, const SxPanes *panes, int64 pane, int64 after,
				int64 until)
{
	int64		last = sx_pane_last_window(panes, pane);
	int64		key = sx_pane_first_window(panes, pane);

	if (w->n > 0 && key <= w->keys[w->n - 1])
		key = w->keys[w->n - 1] + panes->slide_us;
	for (; key <= last; key += panes->slide_us)
	{
		int64		from;
		int64		to;

		sx_pane_bounds(panes, key, &from, &to);
		if (to > until)
			break;
		if (to > after)
			windows_add(w, key);
	}
}

static void
live_init(Live *live, const SxShape *shape)
{
	live->any = false;
	live->values = palloc0(sizeof(Datum) * Max(shape->npartials, 1));
	live->nulls = palloc0(sizeof(bool) * Max(shape->npartials, 1));
}

/* Add a pane, or (stored) states, to the live ones. */
static void
live_add(Live *live, SxAggregates *aggs, const Datum *states, const bool *nulls)
{
	int			i;

	for (i = 0; i < aggs->shape->npartials; i++)
	{
		bool		null;
		Datum		value = sx_aggregates_live(aggs, i, states[i], nulls[i], &null);

		if (live->any)
			sx_aggregates_combine(aggs, i, &live->values[i], &live->nulls[i],
								  value, null);
		else
		{
			live->values[i] = value;
			live->nulls[i] = null;
		}
	}
	live->any = true;
}

/* What is live now in stored form, not touched by what comes. */
static void
live_keep(const Live *live, SxAggregates *aggs, Datum *states, bool *nulls)
{
	int			i;

	for (i = 0; i < aggs->shape->npartials; i++)
	{
		SxPartialOps *ops = &aggs->partials[i];

		states[i] = sx_aggregates_stored(aggs, i, live->values[i], live->nulls[i],
										 &nulls[i]);
		if (!nulls[i] && !ops->byval && !ops->internal)
			states[i] = datumCopy(states[i], false, ops->len);
	}
}

/* A window that is ready to be written. */
typedef struct WindowRow
{
	Datum	   *keys;
	bool	   *key_nulls;
	Datum	   *values;			/* of the aggregates */
	bool	   *nulls;
} WindowRow;

/*
 * Windows come group by group, while the key index mostly begins with the
 * window: they are gathered and written in its order.
 */
typedef struct WindowWriter
{
	SxResult   *r;
	SxWriter   *writer;
	SxKeyIndex *index;
	MemoryContext cxt;			/* of the windows of one cut */
	MemoryContext rows_cxt;		/* of those gathered */
	int			n;
	WindowRow  *rows;
	bool	   *byval;			/* of the aggregates' values */
	int16	   *len;
	int64		written;
} WindowWriter;

#define GATHER_ROWS		50000
#define GATHER_BYTES	(16 * 1024 * 1024)

static int
by_keys(const void *pa, const void *pb, void *arg)
{
	const SxResult *r = arg;
	const WindowRow *a = pa;
	const WindowRow *b = pb;
	int			i;

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

static void
flush_windows(WindowWriter *ww)
{
	int			i;

	qsort_arg(ww->rows, ww->n, sizeof(WindowRow), by_keys, ww->r);
	for (i = 0; i < ww->n; i++)
	{
		const WindowRow *row = &ww->rows[i];
		SxGroup		g = {0};

		CHECK_FOR_INTERRUPTS();
		g.keys = row->keys;
		g.key_nulls = row->key_nulls;
		ItemPointerSetInvalid(&g.result_tid);
		ww->written += sx_result_store(ww->r, ww->writer, ww->index, &g,
									   row->values, row->nulls);
	}
	ww->n = 0;
	MemoryContextReset(ww->rows_cxt);
}

static void
write_window(WindowWriter *ww, const Pane *pane, int64 window, const Live *live)
{
	SxResult   *r = ww->r;
	const SxShape *shape = r->shape;
	int			n = shape->nkeys + shape->naggregates;
	MemoryContext old = MemoryContextSwitchTo(ww->rows_cxt);
	WindowRow  *row = &ww->rows[ww->n++];
	int			i;

	row->keys = palloc((sizeof(Datum) + sizeof(bool)) * n);
	row->values = row->keys + shape->nkeys;
	row->key_nulls = (bool *) (row->keys + n);
	row->nulls = row->key_nulls + shape->nkeys;
	for (i = 0; i < shape->nkeys; i++)
	{
		row->key_nulls[i] = pane->key_nulls[i];
		if (i == shape->pane_key)
			row->keys[i] = Int64GetDatum(window);
		else if (!row->key_nulls[i])
			row->keys[i] = datumCopy(pane->keys[i], r->keyops[i].byval, r->keyops[i].len);
	}
	memcpy(r->aggs.live, live->values, sizeof(Datum) * shape->npartials);
	memcpy(r->aggs.live_nulls, live->nulls, sizeof(bool) * shape->npartials);
	for (i = 0; i < shape->naggregates; i++)
	{
		Datum		value = sx_aggregates_finish(&r->aggs, i, &row->nulls[i]);

		row->values[i] = row->nulls[i] ? (Datum) 0 :
			datumCopy(value, ww->byval[i], ww->len[i]);
	}
	MemoryContextSwitchTo(old);
	if (ww->n == GATHER_ROWS ||
		(ww->n % 256 == 0 && MemoryContextMemAllocated(ww->rows_cxt, false) > GATHER_BYTES))
		flush_windows(ww);
}

/* Windows [first, end), which all hold what is just before the cut. */
static void
write_cut(WindowWriter *ww, Pane **panes, int n, const int64 *windows,
		  int64 nwindows, int64 cut)
{
	SxAggregates *aggs = &ww->r->aggs;
	const SxShape *shape = ww->r->shape;
	const SxPanes *of = shape->panes;
	Datum	   *states = palloc(sizeof(Datum) * Max(shape->npartials * nwindows, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(shape->npartials * nwindows, 1));
	bool	   *any = palloc0(sizeof(bool) * nwindows);
	Live		suffix;
	Live		prefix;
	Live		window;
	int			lo = 0;
	int			hi = n;
	int			p;
	int64		x;

	/* the first pane behind the cut */
	while (lo < hi)
	{
		int			middle = lo + (hi - lo) / 2;

		if (panes[middle]->start < cut)
			lo = middle + 1;
		else
			hi = middle;
	}

	live_init(&suffix, shape);
	p = lo - 1;
	for (x = nwindows - 1; x >= 0; x--)
	{
		int64		from;
		int64		to;

		sx_pane_bounds(of, windows[x], &from, &to);
		for (; p >= 0 && panes[p]->start >= from; p--)
			live_add(&suffix, aggs, panes[p]->states, panes[p]->state_nulls);
		any[x] = suffix.any;
		if (suffix.any)
			live_keep(&suffix, aggs, states + x * shape->npartials,
					  nulls + x * shape->npartials);
	}

	live_init(&prefix, shape);
	live_init(&window, shape);
	p = lo;
	for (x = 0; x < nwindows; x++)
	{
		int64		from;
		int64		to;

		CHECK_FOR_INTERRUPTS();
		sx_pane_bounds(of, windows[x], &from, &to);
		for (; p < n && panes[p]->start < to; p++)
			live_add(&prefix, aggs, panes[p]->states, panes[p]->state_nulls);
		window.any = false;
		if (any[x])
			live_add(&window, aggs, states + x * shape->npartials,
					 nulls + x * shape->npartials);
		if (prefix.any && !window.any)
		{
			live_keep(&prefix, aggs, states, nulls);
			live_add(&window, aggs, states, nulls);
		}
		else if (prefix.any)
		{
			int			i;

			for (i = 0; i < shape->npartials; i++)
				sx_aggregates_combine(aggs, i, &window.values[i], &window.nulls[i],
									  prefix.values[i], prefix.nulls[i]);
		}
		if (window.any)
			write_window(ww, panes[0], windows[x], &window);
	}
}

/* The panes are of one group and in order, the windows too. */
static void
write_windows(WindowWriter *ww, Pane **panes, int n, const Windows *windows)
{
	const SxPanes *of = ww->r->shape->panes;
	int64		first = 0;

	while (first < windows->n)
	{
		MemoryContext old = MemoryContextSwitchTo(ww->cxt);
		int64		end = first;
		int64		from;
		int64		to;
		int64		cut;

		/* of cumulate: where they all start */
		sx_pane_bounds(of, windows->keys[first], &from, &to);
		cut = of->kind == SX_WINDOW_CUMULATE ? from : to;
		for (; end < windows->n; end++)
		{
			sx_pane_bounds(of, windows->keys[end], &from, &to);
			if (from > cut || (from == cut && of->kind == SX_WINDOW_HOP))
				break;
		}
		write_cut(ww, panes, n, windows->keys + first, end - first, cut);
		sx_aggregates_reset(&ww->r->aggs);
		MemoryContextSwitchTo(old);
		MemoryContextReset(ww->cxt);
		first = end;
	}
}

static void
writer_begin(WindowWriter *ww, SxResult *r)
{
	int			n = r->shape->naggregates;
	int			i;

	ww->r = r;
	ww->written = 0;
	ww->n = 0;
	ww->rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(WindowRow) * GATHER_ROWS);
	ww->byval = palloc(sizeof(bool) * Max(n, 1));
	ww->len = palloc(sizeof(int16) * Max(n, 1));
	for (i = 0; i < n; i++)
		get_typlenbyval(r->shape->aggregates[i].aggref->aggtype, &ww->len[i], &ww->byval[i]);
	ww->rows_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx windows gathered",
										 ALLOCSET_DEFAULT_SIZES);
	ww->cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx windows",
									ALLOCSET_DEFAULT_SIZES);
	ww->writer = sx_writer_begin(r->view->relid);
	ww->index = sx_key_index_begin(ww->writer, r->shape, r->keyops);
}

static void
writer_end(WindowWriter *ww)
{
	flush_windows(ww);
	sx_key_index_end(ww->index);
	sx_writer_end(ww->writer);
	MemoryContextDelete(ww->cxt);
	MemoryContextDelete(ww->rows_cxt);
	pfree(ww->rows);
}

/* ---- a batch: windows that touched panes are in ---- */

static int
by_group_and_pane(const void *pa, const void *pb, void *arg)
{
	const SxResult *r = arg;
	const SxGroup *a = *(SxGroup *const *) pa;
	const SxGroup *b = *(SxGroup *const *) pb;
	int64		pane_a = DatumGetInt64(a->keys[r->shape->pane_key]);
	int64		pane_b = DatumGetInt64(b->keys[r->shape->pane_key]);

	if (a->state_hash != b->state_hash)
		return (int64) a->state_hash < (int64) b->state_hash ? -1 : 1;
	return pane_a < pane_b ? -1 : pane_a > pane_b;
}

/*
 * sx_panes_write -- write the windows that these panes are in
 *
 * Their states are in the state table.  Windows that were closed before the
 * batch are left alone.  Returns the rows written.
 */
int64
sx_panes_write(SxResult *r, SxGroup **groups, int64 n)
{
	const SxPanes *of = r->shape->panes;
	int64		closed = r->shape->window ? r->closed_us : PG_INT64_MIN;
	WindowWriter ww;
	SxStateTable st;
	Panes		panes;
	Windows		windows = {0};
	Pane	  **list = NULL;
	int			max = 0;
	int64		i;
	int			k;

	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	qsort_arg(groups, n, sizeof(SxGroup *), by_group_and_pane, r);
	writer_begin(&ww, r);
	sx_state_begin(&st, r->view, r->shape);
	panes_init(&panes);
	for (i = 0; i < n; i++)
	{
		SxGroup    *g = groups[i];
		int64		from;
		int64		to;
		int64		j;

		CHECK_FOR_INTERRUPTS();
		if (g == NULL)
			continue;			/* dealt with */
		windows.n = 0;
		for (j = i; j < n && (groups[j] == NULL || groups[j]->state_hash == g->state_hash); j++)
		{
			/* another one may have the same hash */
			if (groups[j] == NULL ||
				!same_group(r, g->keys, g->key_nulls, groups[j]->keys, groups[j]->key_nulls))
				continue;
			windows_of_pane(&windows, of, DatumGetInt64(groups[j]->keys[r->shape->pane_key]),
							closed, PG_INT64_MAX);
			groups[j] = NULL;
		}
		if (windows.n == 0)
			continue;
		sx_pane_bounds(of, windows.keys[windows.n - 1], &from, &to);
		sx_pane_bounds(of, windows.keys[0], &from, &j);
		panes_reset(&panes);
		panes_load(&panes, r, &st, g, from, to);
		if (panes.n > max)
		{
			max = panes.max;
			list = list ? repalloc_huge(list, sizeof(Pane *) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Pane *) * max);
		}
		for (k = 0; k < panes.n; k++)
			list[k] = &panes.panes[k];
		write_windows(&ww, list, panes.n, &windows);
	}
	sx_state_end(&st);
	writer_end(&ww);
	MemoryContextDelete(panes.cxt);
	return ww.written;
}

/* ---- windows close ---- */

typedef struct Closing
{
	SxResult   *r;
	SxStateTable *state;
	WindowWriter *ww;			/* NULL: nothing is written */
	int64		closed_us;
	int64		next;
	Windows		windows;
	Pane	  **list;
	int			max;
} Closing;

/* All panes with one hash, in the order of time. */
static void
close_panes(Closing *c, Panes *panes)
{
	SxResult   *r = c->r;
	const SxPanes *of = r->shape->panes;
	int			i;
	int			k;

	if (panes->n > c->max)
	{
		c->max = panes->max;
		c->list = c->list ? repalloc_huge(c->list, sizeof(Pane *) * c->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Pane *) * c->max);
	}
	for (i = 0; c->ww && i < panes->n; i++)
	{
		const Pane *first = &panes->panes[i];
		int			n = 0;

		if (first->taken)
			continue;
		c->windows.n = 0;
		for (k = i; k < panes->n; k++)
		{
			Pane	   *p = &panes->panes[k];

			if (p->taken ||
				!same_group(r, first->keys, first->key_nulls, p->keys, p->key_nulls))
				continue;
			p->taken = true;
			c->list[n++] = p;
			windows_of_pane(&c->windows, of, p->start, r->closed_us, c->closed_us);
		}
		write_windows(c->ww, c->list, n, &c->windows);
	}
	for (i = 0; i < panes->n; i++)
	{
		Pane	   *p = &panes->panes[i];

		if (sx_pane_last_end(of, p->start) > c->closed_us)
		{
			c->next = Min(c->next, sx_pane_next_end(of, p->start, c->closed_us));
			continue;
		}
		sx_groups_remove(r->groups, sx_keys_hash(r->keyops, r->shape->nkeys, p->keys, p->key_nulls),
						 p->keys, p->key_nulls);
		sx_writer_delete(c->state->writer, &p->tid);
	}
	panes_reset(panes);
}

int64
sx_panes_close(SxResult *r, int64 closed_us)
{
	Closing		c = {0};
	WindowWriter ww;
	SxStateTable st;
	Panes		panes;
	IndexScanDesc scan;
	int64		hash = 0;

	c.r = r;
	c.state = &st;
	c.closed_us = closed_us;
	c.next = PG_INT64_MAX;
	if (r->view->final || r->view->final_column)
	{
		c.ww = &ww;
		writer_begin(&ww, r);
	}
	sx_state_begin(&st, r->view, r->shape);
	panes_init(&panes);
	scan = sx_index_beginscan(st.writer->rel, st.index, GetActiveSnapshot(), 0, 0);
	index_rescan(scan, NULL, 0, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, st.slot))
	{
		bool		null;
		int64		h = DatumGetInt64(slot_getattr(st.slot, 1, &null));

		CHECK_FOR_INTERRUPTS();
		if (panes.n > 0 && h != hash)
			close_panes(&c, &panes);
		hash = h;
		panes_add(&panes, r, st.slot, c.ww != NULL);
	}
	close_panes(&c, &panes);
	index_endscan(scan);
	ExecClearTuple(st.slot);
	sx_state_end(&st);
	if (c.ww)
		writer_end(&ww);
	MemoryContextDelete(panes.cxt);
	r->next_end_us = c.next;
	return c.ww ? ww.written : 0;
}
