/*-------------------------------------------------------------------------
 * panes_close.c
 *		Windows that overlap close: they are merged from their panes, in the
 *		state table and in memory, and panes without an open window go.
 *
 * The state table is read through by its index, whose order is that of the
 * hash of a group; the panes in memory are sorted the same way.  Those of a
 * group that are in memory come after those that are stored (see the floor in
 * open.c).
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "result/open.h"
#include "result/panes_internal.h"

typedef struct Closing
{
	SxResult   *r;
	SxStateTable *state;
	SxPaneWriter *writer;		/* NULL: nothing is written */
	int64		closed_us;
	int64		next;
	SxPaneWindows windows;
	SxPane	  **list;
	int			max;
	SxOpenPane *open;			/* in memory, in order */
	int64		nopen;
	int64		next_open;		/* those before it have been dealt with */
} Closing;

/* All panes with one hash, in the order of time. */
static void
close_panes(Closing *c, SxPaneList *panes)
{
	SxResult   *r = c->r;
	const SxPanes *of = r->shape->panes;
	int			i;
	int			k;

	if (panes->n > c->max)
	{
		c->max = panes->max;
		c->list = c->list ? repalloc_huge(c->list, sizeof(SxPane *) * c->max) :
			MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxPane *) * c->max);
	}
	for (i = 0; c->writer && i < panes->n; i++)
	{
		const SxPane *first = &panes->panes[i];
		int			n = 0;

		if (first->taken)
			continue;
		c->windows.n = 0;
		for (k = i; k < panes->n; k++)
		{
			SxPane	   *p = &panes->panes[k];

			if (p->taken ||
				!sx_panes_same_group(r, first->keys, first->key_nulls, p->keys, p->key_nulls))
				continue;
			p->taken = true;
			c->list[n++] = p;
			sx_pane_windows_add(&c->windows, of, p->start, r->closed_us, c->closed_us);
		}
		sx_pane_writer_add(c->writer, c->list, n, &c->windows);
	}
	for (i = 0; i < panes->n; i++)
	{
		SxPane	   *p = &panes->panes[i];

		if (p->live)
			continue;			/* open.c knows */
		if (sx_pane_last_end(of, p->start) > c->closed_us)
		{
			c->next = Min(c->next, sx_pane_next_end(of, p->start, c->closed_us));
			continue;
		}
		sx_groups_remove(r->groups, sx_keys_hash(r->keyops, r->shape->nkeys, p->keys, p->key_nulls),
						 p->keys, p->key_nulls);
		sx_writer_delete(c->state->writer, &p->tid);
	}
	sx_pane_list_reset(panes);
}

/* Add the panes in memory that have this hash. */
static void
add_open(Closing *c, SxPaneList *panes, int64 hash)
{
	while (c->next_open < c->nopen && c->open[c->next_open].hash == hash)
		sx_open_get_pane(c->r, &c->open[c->next_open++], sx_pane_list_extend(panes));
}

/* Groups that are in memory only, with hashes up to this. */
static void
close_open(Closing *c, SxPaneList *panes, int64 until)
{
	while (c->next_open < c->nopen && c->open[c->next_open].hash <= until)
	{
		CHECK_FOR_INTERRUPTS();
		add_open(c, panes, c->open[c->next_open].hash);
		close_panes(c, panes);
	}
}

/* All that have the hash of the panes in the list, from the state table. */
static void
close_stored(Closing *c, SxPaneList *panes, int64 hash)
{
	add_open(c, panes, hash);
	close_panes(c, panes);
}

static void
scan_state(Closing *c, SxPaneList *panes)
{
	SxResult   *r = c->r;
	SxStateTable st;
	SxPaneList	only;
	IndexScanDesc scan;
	int64		hash = 0;

	c->state = &st;
	sx_state_begin(&st, r->view, r->shape);
	sx_pane_list_init(&only);
	scan = sx_index_beginscan(st.writer->rel, st.index, GetActiveSnapshot(), 0, 0);
	index_rescan(scan, NULL, 0, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, st.slot))
	{
		bool		null;
		int64		h = DatumGetInt64(slot_getattr(st.slot, 1, &null));

		CHECK_FOR_INTERRUPTS();
		if (panes->n > 0 && h != hash)
			close_stored(c, panes, hash);
		if (panes->n == 0 && h != PG_INT64_MIN)
			close_open(c, &only, h - 1);
		hash = h;
		sx_pane_list_add(panes, r, st.slot, c->writer != NULL);
	}
	if (panes->n > 0)
		close_stored(c, panes, hash);
	index_endscan(scan);
	ExecClearTuple(st.slot);
	sx_state_end(&st);
	MemoryContextDelete(only.cxt);
}

int64
sx_panes_close(SxResult *r, int64 closed_us)
{
	Closing		c = {0};
	SxPaneList	panes;

	c.r = r;
	c.closed_us = closed_us;
	c.next = PG_INT64_MAX;
	if (r->view->final || r->view->final_column)
		c.writer = sx_pane_writer_begin(r);
	if (r->open)
		c.open = sx_open_list_panes(r, closed_us, &c.nopen);
	sx_pane_list_init(&panes);
	if (r->open == NULL || sx_open_has_stored(r))
		scan_state(&c, &panes);
	close_open(&c, &panes, PG_INT64_MAX);
	MemoryContextDelete(panes.cxt);
	if (c.open)
		pfree(c.open);
	r->next_end_us = r->open ? Min(c.next, sx_open_next_end(r)) : c.next;
	return c.writer ? sx_pane_writer_end(c.writer) : 0;
}
