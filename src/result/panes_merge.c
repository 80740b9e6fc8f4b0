/*-------------------------------------------------------------------------
 * panes_merge.c
 *		Windows are merged from their panes, and written.
 *
 * k windows over n panes cost about n + k merges, not their product.  Windows
 * are taken from a first one on, as far as they start before it ends (the
 * "cut"): what a window has before the cut is a suffix of the panes there,
 * what it has behind it a prefix of those that follow; suffixes are merged
 * from the cut backwards and kept where a window starts, the prefix grows as
 * the windows advance.  Windows of cumulate are prefixes only.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "result/final.h"
#include "result/panes_internal.h"

/* Live states of all partials. */
typedef struct Live
{
	bool		any;			/* there is a pane in it */
	Datum	   *values;
	bool	   *nulls;
} Live;

static void
windows_add(SxPaneWindows *w, int64 key)
{
	if (w->n == w->max)
	{
		w->max = Max(64, w->max * 2);
		w->keys = w->keys ? repalloc_huge(w->keys, sizeof(int64) * w->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * w->max);
	}
	w->keys[w->n++] = key;
}

void
sx_pane_windows_add(SxPaneWindows *w, const SxPanes *panes, int64 pane, int64 after,
					int64 until)
{
	int64		last = sx_pane_last_window(panes, pane);
	int64		key = sx_pane_next_end(panes, pane, after);

	if (panes->kind == SX_WINDOW_HOP)
		key -= panes->size_us;
	if (w->n > 0 && key <= w->keys[w->n - 1])
		key = w->keys[w->n - 1] + panes->slide_us;
	for (; key <= last; key += panes->slide_us)
	{
		int64		from;
		int64		to;

		sx_pane_bounds(panes, key, &from, &to);
		if (to > until)
			break;
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

/*
 * Add live state "in", which has to stay as it is.  PostgreSQL's own combine
 * functions leave their second argument alone, and make a copy of it where
 * the first is NULL.  Others may not: in the executor it is always fresh from
 * being deserialized.
 */
static void
add_state(SxAggregates *aggs, int i, bool first, Datum *acc, bool *acc_null,
		  Datum in, bool in_null)
{
	const SxPartialOps *ops = &aggs->partials[i];

	if (ops->internal)
	{
		if (ops->combine.fn_oid >= FirstGenbkiObjectId)
		{
			in = sx_aggregates_stored(aggs, i, in, in_null, &in_null);
			in = sx_aggregates_live(aggs, i, in, in_null, &in_null);
		}
		if (first)
		{
			*acc = (Datum) 0;
			*acc_null = true;
		}
	}
	else if (first)
	{
		*acc = sx_aggregates_live(aggs, i, in, in_null, acc_null);
		return;
	}
	else if (!in_null)
		in = MakeExpandedObjectReadOnly(in, false, ops->len);
	sx_aggregates_combine(aggs, i, acc, acc_null, in, in_null);
}

static void
live_add(Live *live, SxAggregates *aggs, const Live *from)
{
	int			i;

	for (i = 0; i < aggs->shape->npartials; i++)
		add_state(aggs, i, !live->any, &live->values[i], &live->nulls[i],
				  from->values[i], from->nulls[i]);
	live->any = true;
}

static void
live_add_pane(Live *live, SxAggregates *aggs, const SxPane *pane)
{
	int			i;

	if (pane->live)
	{
		Live		from = {true, pane->states, pane->state_nulls};

		live_add(live, aggs, &from);
		return;
	}
	for (i = 0; i < aggs->shape->npartials; i++)
	{
		bool		null;
		Datum		value = sx_aggregates_live(aggs, i, pane->states[i],
											   pane->state_nulls[i], &null);

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

/* A window that is ready to be written. */
typedef struct WindowRow
{
	SxGroup		group;			/* its keys, hash and place */
	Datum	   *values;			/* of the aggregates */
	bool	   *nulls;
} WindowRow;

/*
 * Windows come group by group, while the key index mostly begins with the
 * window: they are gathered and written in its order.
 */
struct SxPaneWriter
{
	SxResult   *r;
	SxWriter   *writer;			/* NULL: rows are final */
	SxKeyIndex *index;
	uint64		hash;			/* of the group at hand */
	MemoryContext cxt;			/* of the windows of one cut */
	MemoryContext rows_cxt;		/* of those gathered */
	int			n;
	WindowRow **rows;
	bool	   *byval;			/* of the aggregates' values */
	int16	   *len;
	int64		written;
};

#define GATHER_ROWS		50000
#define GATHER_BYTES	(16 * 1024 * 1024)

static int
by_keys(const void *pa, const void *pb, void *arg)
{
	const SxResult *r = arg;
	const SxGroup *a = &(*(WindowRow *const *) pa)->group;
	const SxGroup *b = &(*(WindowRow *const *) pb)->group;
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

/* Rows whose place is known, in the order of that, before the others. */
static int
by_place(const void *pa, const void *pb, void *arg)
{
	WindowRow  *a = *(WindowRow *const *) pa;
	WindowRow  *b = *(WindowRow *const *) pb;
	bool		va = ItemPointerIsValid(&a->group.result_tid);
	bool		vb = ItemPointerIsValid(&b->group.result_tid);

	if (va && vb)
		return ItemPointerCompare(&a->group.result_tid, &b->group.result_tid);
	if (va != vb)
		return va ? -1 : 1;
	return by_keys(pa, pb, arg);
}

static void
load_row(SxResult *r, void *from, SxGroup *g, Datum **values, bool **nulls)
{
	WindowRow  *row = from;

	*g = row->group;
	g->cached = false;
	*values = row->values;
	*nulls = row->nulls;
}

/* Rows change in their places, as far as these are known. */
static void
store_windows(SxPaneWriter *w)
{
	SxResult   *r = w->r;
	int			i;

	for (i = 0; i < w->n; i++)
		(void) sx_places_find(r->places, w->rows[i]->group.hash, &w->rows[i]->group.result_tid);
	qsort_arg(w->rows, w->n, sizeof(WindowRow *), by_place, r);
	for (i = 0; i < w->n; i++)
	{
		WindowRow  *row = w->rows[i];

		CHECK_FOR_INTERRUPTS();
		w->written += sx_result_store(r, w->writer, w->index, &row->group,
									  row->values, row->nulls);
	}
	sx_writer_flush(w->writer);
	for (i = 0; i < w->n; i++)
	{
		const SxGroup *g = &w->rows[i]->group;

		if (ItemPointerIsValid(&g->result_tid))
			sx_places_note(r->places, g->hash, &g->result_tid);
	}
}

static void
flush_windows(SxPaneWriter *w)
{
	if (w->writer)
		store_windows(w);
	else
	{
		qsort_arg(w->rows, w->n, sizeof(WindowRow *), by_keys, w->r);
		w->written += sx_final_write(w->r, (void *const *) w->rows, w->n, load_row);
	}
	w->n = 0;
	MemoryContextReset(w->rows_cxt);
}

static void
write_window(SxPaneWriter *w, const SxPane *pane, int64 window, const Live *live)
{
	SxResult   *r = w->r;
	const SxShape *shape = r->shape;
	int			n = shape->nkeys + shape->naggregates;
	MemoryContext old = MemoryContextSwitchTo(w->rows_cxt);
	WindowRow  *row;
	SxGroup    *g;
	int			i;

	row = w->rows[w->n++] = palloc(sizeof(WindowRow) + (sizeof(Datum) + sizeof(bool)) * n);
	g = &row->group;
	memset(g, 0, sizeof(SxGroup));
	ItemPointerSetInvalid(&g->result_tid);
	g->cached = true;			/* wants to know its place */
	g->hash = hash_combine64(w->hash, (uint64) (window / shape->panes->slide_us) *
							 UINT64CONST(0x9e3779b97f4a7c15));
	g->keys = (Datum *) (row + 1);
	row->values = g->keys + shape->nkeys;
	g->key_nulls = (bool *) (g->keys + n);
	row->nulls = g->key_nulls + shape->nkeys;
	for (i = 0; i < shape->nkeys; i++)
	{
		g->key_nulls[i] = pane->key_nulls[i];
		if (i == shape->pane_key)
			g->keys[i] = Int64GetDatum(window);
		else if (!g->key_nulls[i])
			g->keys[i] = datumCopy(pane->keys[i], r->keyops[i].byval, r->keyops[i].len);
	}
	memcpy(r->aggs.live, live->values, sizeof(Datum) * shape->npartials);
	memcpy(r->aggs.live_nulls, live->nulls, sizeof(bool) * shape->npartials);
	for (i = 0; i < shape->naggregates; i++)
	{
		Datum		value = sx_aggregates_finish(&r->aggs, i, &row->nulls[i]);

		row->values[i] = row->nulls[i] ? (Datum) 0 :
			datumCopy(value, w->byval[i], w->len[i]);
	}
	MemoryContextSwitchTo(old);
	if (w->n == GATHER_ROWS ||
		(w->n % 256 == 0 && MemoryContextMemAllocated(w->rows_cxt, false) > GATHER_BYTES))
		flush_windows(w);
}

/* Windows that all hold what is just before the cut, or where it begins. */
static void
write_cut(SxPaneWriter *w, SxPane **panes, int n, const int64 *windows,
		  int64 nwindows, int64 cut)
{
	SxAggregates *aggs = &w->r->aggs;
	const SxShape *shape = w->r->shape;
	const SxPanes *of = shape->panes;
	Live	   *lives = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Live) * nwindows);
	Live		suffix;
	Live		prefix;
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
			live_add_pane(&suffix, aggs, panes[p]);
		if (x == 0)
			lives[x] = suffix;	/* not needed any more */
		else
		{
			live_init(&lives[x], shape);
			if (suffix.any)
				live_add(&lives[x], aggs, &suffix);
		}
	}

	live_init(&prefix, shape);
	p = lo;
	for (x = 0; x < nwindows; x++)
	{
		int64		from;
		int64		to;

		CHECK_FOR_INTERRUPTS();
		sx_pane_bounds(of, windows[x], &from, &to);
		for (; p < n && panes[p]->start < to; p++)
			live_add_pane(&prefix, aggs, panes[p]);
		if (prefix.any && x == nwindows - 1 && !lives[x].any)
			lives[x] = prefix;
		else if (prefix.any)
			live_add(&lives[x], aggs, &prefix);
		if (lives[x].any)
			write_window(w, panes[0], windows[x], &lives[x]);
	}
}

void
sx_pane_writer_add(SxPaneWriter *w, SxPane **panes, int n,
				   const SxPaneWindows *windows)
{
	const SxPanes *of = w->r->shape->panes;
	int64		first = 0;

	if (w->writer && windows->n > 0)
		w->hash = sx_panes_hash(w->r, panes[0]->keys, panes[0]->key_nulls);
	while (first < windows->n)
	{
		MemoryContext old = MemoryContextSwitchTo(w->cxt);
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
		write_cut(w, panes, n, windows->keys + first, end - first, cut);
		sx_aggregates_reset(&w->r->aggs);
		MemoryContextSwitchTo(old);
		MemoryContextReset(w->cxt);
		first = end;
	}
}

SxPaneWriter *
sx_pane_writer_begin(SxResult *r)
{
	SxPaneWriter *w = palloc0(sizeof(SxPaneWriter));
	int			n = r->shape->naggregates;
	int			i;

	w->r = r;
	w->rows = palloc(sizeof(WindowRow *) * GATHER_ROWS);
	w->byval = palloc(sizeof(bool) * Max(n, 1));
	w->len = palloc(sizeof(int16) * Max(n, 1));
	for (i = 0; i < n; i++)
		get_typlenbyval(r->shape->aggregates[i].aggref->aggtype, &w->len[i], &w->byval[i]);
	w->rows_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx windows gathered",
										ALLOCSET_DEFAULT_SIZES);
	w->cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx windows",
								   ALLOCSET_DEFAULT_SIZES);
	if (!r->view->final)
	{
		if (r->places == NULL)
			r->places = sx_places_create(r->cxt);
		sx_places_begin(r->places);
		w->writer = sx_result_writer(r);
		w->index = sx_key_index_begin(w->writer, r->shape, r->keyops);
	}
	return w;
}

int64
sx_pane_writer_end(SxPaneWriter *w)
{
	int64		written;

	flush_windows(w);
	written = w->written;
	if (w->writer)
	{
		sx_key_index_end(w->index);
		sx_writer_end(w->writer);
	}
	MemoryContextDelete(w->cxt);
	MemoryContextDelete(w->rows_cxt);
	pfree(w->rows);
	pfree(w->byval);
	pfree(w->len);
	pfree(w);
	return written;
}
