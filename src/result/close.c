/*-------------------------------------------------------------------------
 * close.c
 *		Windows that are closed: states go, final rows come.
 *
 * The state table is read through once when the first of its windows closes;
 * it holds the groups of open windows only, so that is in proportion to what
 * is open.  The end of the window that closes next is remembered meanwhile.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#define REMOVE_ROWS		100000	/* that one batch removes by retention */

#include "access/tableam.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/stop.h"
#include "compat.h"
#include "plan/closing.h"
#include "result/distinct.h"
#include "result/leaf.h"
#include "result/merge.h"
#include "result/open.h"
#include "result/session.h"

bool
sx_result_can_close(const SxResult *r, int64 closed_us)
{
	if (r->old_left)
		return true;
	if (r->derived)
		return sx_derived_can_close(r, closed_us);
	return r->shape->window != NULL && closed_us != PG_INT64_MIN &&
		r->next_end_us <= closed_us;
}

void
sx_result_closed_before(SxResult *r, int64 closed_us)
{
	r->closed_us = closed_us;
	if (r->derived)
		sx_derived_closed_before(r, closed_us);
}

/* The group of a row of the state table, in the current context. */
static SxGroup *
group_of(SxResult *r, TupleTableSlot *slot)
{
	const SxShape *shape = r->shape;
	SxGroup    *g = palloc0(sizeof(SxGroup));
	bool		null;
	int			i;

	g->hash = (uint64) DatumGetInt64(slot_getattr(slot, 1, &null));
	g->keys = palloc(sizeof(Datum) * Max(shape->nkeys, 1));
	g->key_nulls = palloc(sizeof(bool) * Max(shape->nkeys, 1));
	g->states = palloc(sizeof(Datum) * Max(shape->npartials, 1));
	g->state_nulls = palloc(sizeof(bool) * Max(shape->npartials, 1));
	for (i = 0; i < shape->nkeys; i++)
	{
		g->keys[i] = slot_getattr(slot, 2 + i, &g->key_nulls[i]);
		if (!g->key_nulls[i] && r->keyops[i].len == -1)
			g->keys[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(g->keys[i]));
	}
	for (i = 0; i < shape->npartials; i++)
	{
		g->states[i] = slot_getattr(slot, 2 + shape->nkeys + i, &g->state_nulls[i]);
		if (!g->state_nulls[i] && r->aggs.partials[i].len == -1)
			g->states[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(g->states[i]));
	}
	return g;
}

/*
 * The partitions whose windows have all ended this long ago; rows of one that
 * has others too stay.  While somebody uses the table, or more are left, the
 * next windows that close try again.
 */
static void
remove_periods(SxResult *r, int64 until)
{
	bool		left;

	if (sx_leaf_drop_before(r->view->relid, until + 1, &left) > 0)
	{
		sx_writer_changed(r->view->relid);
		UpdateActiveSnapshotCommandId();
	}
	r->old_left = false;
	if (!left)
		r->removed_us = until;
}

/*
 * Take away the rows of windows that ended this long ago: so many with a batch,
 * the next one goes on.  Looked for only when the bound has moved, as that may
 * mean to read through the result.
 */
static void
remove_old(SxResult *r, int64 closed_us)
{
	const SxDerivation *d = r->shape->derivation;
	const SxWindow *window = d ? d->window : r->shape->window;
	int64		until = closed_us - r->view->retention_us;
	int64		needed;
	AttrNumber	attno;
	Oid			type;
	Datum		bound;
	char	   *table;
	StringInfoData sql;

	if (d && d->closing)
	{
		window = d->closing->window;
		attno = d->closing->column;
		type = d->closing->typid;
	}
	else
	{
		const SxKey *key = d ? &d->parts[d->window_part] : &r->shape->keys[r->shape->window_key];

		attno = key->resno;
		type = key->typid;
	}

	/* the last start of a window that ends by then */
	if (window->kind != SX_WINDOW_CUMULATE)
		until = sx_window_start(window, until);
	if (until <= r->removed_us && !r->old_left)
		return;

	/* what views over this one have not taken in yet stays for them */
	needed = sx_view_needed_from(r->view->relid);
	if (needed <= until)
		until = needed == PG_INT64_MIN ? needed : needed - 1;
	if (until <= r->removed_us && !r->old_left)
		return;
	if (r->view->period_us > 0)
	{
		remove_periods(r, until);
		return;
	}
	bound = Int64GetDatum(until);
	initStringInfo(&sql);
	table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(r->view->relid)),
									   get_rel_name(r->view->relid));
	appendStringInfo(&sql, "DELETE FROM %s WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
					 "SELECT ctid FROM %s WHERE %s OPERATOR(pg_catalog.<=) $1 LIMIT %d))",
					 table, table,
					 quote_identifier(get_attname(r->view->relid, attno, false)),
					 REMOVE_ROWS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql.data, 1, &type, &bound, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old rows: %s", sql.data);
	if (SPI_processed > 0)
		sx_writer_changed(r->view->relid);
	r->old_left = SPI_processed >= REMOVE_ROWS;
	r->removed_us = until;
	SPI_finish();
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

void
sx_result_remove_old(SxResult *r, int64 closed_us)
{
	if (!r->view->has_retention || closed_us == PG_INT64_MIN)
		return;
	remove_old(r, closed_us);
	SX_STOP("retention", r->view->name);
}

static int64 close_groups(SxResult *r, int64 closed_us);

/* Of the state table, if it has any, and of memory. */
static int64
close_open(SxResult *r, int64 closed_us)
{
	int64		written = 0;
	int64		next = PG_INT64_MAX;

	if (sx_open_has_stored(r))
	{
		written = close_groups(r, closed_us);
		next = r->next_end_us;
	}
	written += sx_open_close(r, closed_us);
	r->next_end_us = Min(next, sx_open_next_end(r));
	return written;
}

int64
sx_result_close(SxResult *r, int64 closed_us)
{
	int64		written = 0;

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	r->closing = true;
	PG_TRY();
	{
		if (r->derived)
			written = sx_derived_close(r, closed_us);
		else if (r->shape->session)
			written = sx_session_close(r, closed_us);
		else if (r->shape->strategy == SX_STRATEGY_RECOMPUTE)
			written = sx_recompute_close(r, closed_us);
		else if (r->shape->panes)
			written = sx_panes_close(r, closed_us);
		else if (r->open)
			written = close_open(r, closed_us);
		else
			written = close_groups(r, closed_us);
	}
	PG_FINALLY();
	{
		r->closing = false;
	}
	PG_END_TRY();
	if (r->view->has_retention && r->shape->session)
		sx_session_remove_old(r, closed_us);
	else if (r->view->has_retention)
		remove_old(r, closed_us);
	if (r->view->has_retention)
		SX_STOP("retention", r->view->name);
	return written;
}

static int64
close_groups(SxResult *r, int64 closed_us)
{
	MemoryContext row_cxt;
	SxStateTable state;
	SxWriter   *writer = NULL;
	SxKeyIndex *index = NULL;
	SxDistinctRemoval *values = r->distinct ? sx_distinct_remove_begin(r) : NULL;
	TableScanDesc scan;
	int64		next = PG_INT64_MAX;
	int64		last = PG_INT64_MIN;
	int64		written = 0;

	if (r->view->final || r->view->final_column)
	{
		writer = sx_result_writer(r);
		index = sx_key_index_begin(writer, r->shape, r->keyops);
	}
	row_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx window to close",
									ALLOCSET_DEFAULT_SIZES);
	sx_state_begin(&state, r->view, r->shape);
	scan = table_beginscan(state.writer->rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, state.slot))
	{
		MemoryContext old = MemoryContextSwitchTo(row_cxt);
		bool		null;
		int64		key = DatumGetInt64(slot_getattr(state.slot, 2 + r->shape->window_key, &null));
		int64		end = null ? PG_INT64_MAX : sx_window_end(r->shape->window, key);

		CHECK_FOR_INTERRUPTS();
		if (end > closed_us)
		{
			next = Min(next, end);
			if (!null)
				last = Max(last, key);
		}
		else
		{
			SxGroup    *g = group_of(r, state.slot);
			ItemPointerData tid = state.slot->tts_tid;

			if (writer)
			{
				sx_aggregates_load(&r->aggs, g->states, g->state_nulls);
				written += sx_result_store(r, writer, index, g, NULL, NULL);
				sx_aggregates_reset(&r->aggs);
			}
			sx_writer_delete(state.writer, &tid);
			if (values)
				sx_distinct_remove(values, g);
			sx_groups_remove(r->groups, g->hash, g->keys, g->key_nulls);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
	}
	table_endscan(scan);
	sx_state_end(&state);
	if (values)
		sx_distinct_remove_end(values);
	if (writer)
	{
		sx_key_index_end(index);
		sx_writer_end(writer);
	}
	MemoryContextDelete(row_cxt);
	r->next_end_us = next;
	r->groups->whole_after = last;
	return written;
}
