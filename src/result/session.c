/*-------------------------------------------------------------------------
 * session.c
 *		Sessions whose aggregates are merged.
 *
 * A batch brings its own sessions, each with partial states.  One of these
 * takes in all stored sessions that it touches (they are at most the gap
 * apart), and becomes one session with them: from the first start to the last
 * row, with all states combined.  The rows of those that it took in go, unless
 * one has the same start.
 *
 * A session is late when it has ended before the batch began, unless it
 * touches one that is open.  Stored ones are open: those that end go when the
 * watermark reaches their last row plus the gap.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "result/session.h"
#include "window/session.h"

/* A stored session that was taken in. */
typedef struct Absorbed
{
	ItemPointerData tid;
	int64		start;
} Absorbed;

/* The session at hand. */
typedef struct Growing
{
	const SxPiece *piece;		/* whose it is */
	int64		start;
	int64		last;
	Datum	   *states;
	bool	   *state_nulls;
	List	   *absorbed;
} Growing;

typedef struct MergeContext
{
	SxResult   *r;
	SxSessionTable table;
	SxWriter   *writer;			/* of the result; NULL: nothing to write */
	SxKeyIndex *index;
	MemoryContext cxt;			/* of the session at hand */
	int64		changed;
} MergeContext;

/* Combine the session's states with others, in the current context. */
static void
combine(SxResult *r, Growing *g, const Datum *in, const bool *in_nulls)
{
	int			n = r->shape->npartials;
	Datum	   *states = palloc(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);
	int			i;

	sx_aggregates_merge(&r->aggs, true, g->states, g->state_nulls, in, in_nulls);
	for (i = 0; i < n; i++)
	{
		SxPartialOps *ops = &r->aggs.partials[i];
		Datum		value = sx_aggregates_store(&r->aggs, i, &nulls[i]);

		states[i] = nulls[i] ? (Datum) 0 : datumCopy(value, ops->byval, ops->len);
	}
	sx_aggregates_reset(&r->aggs);
	g->states = states;
	g->state_nulls = nulls;
}

/* The states of the row in the slot, as long as the slot has it. */
static void
read_states(SxSessionTable *st, Datum *states, bool *nulls)
{
	const SxShape *shape = st->r->shape;
	int			i;

	for (i = 0; i < shape->npartials; i++)
	{
		states[i] = slot_getattr(st->slot, 2 + shape->nkeys + i, &nulls[i]);
		if (!nulls[i] && st->r->aggs.partials[i].len == -1)
			states[i] = PointerGetDatum(PG_DETOAST_DATUM(states[i]));
	}
}

/* Take in the stored sessions that a piece of the session touches. */
static void
absorb(MergeContext *c, Growing *g, const SxPiece *piece)
{
	SxResult   *r = c->r;
	SxSessionTable *st = &c->table;
	int64		gap_us = r->shape->session->gap_us;
	int64		reach = sx_session_reach(piece->last, gap_us);

	sx_session_seek(st, piece, sx_session_reach_back(piece->start, gap_us));
	while (sx_session_next(st, piece))
	{
		Absorbed   *a;
		Datum	   *states;
		bool	   *nulls;
		ListCell   *lc;
		int64		start = 0;
		bool		known = false;

		if (!piece->timeless)
		{
			start = sx_session_slot_key(st);
			if (start > reach)
				break;
		}
		foreach(lc, g->absorbed)
			known |= ItemPointerEquals(&((Absorbed *) lfirst(lc))->tid, &st->slot->tts_tid);
		if (known)
			continue;
		a = palloc(sizeof(Absorbed));
		a->tid = st->slot->tts_tid;
		a->start = start;
		g->absorbed = lappend(g->absorbed, a);
		states = palloc(sizeof(Datum) * r->shape->npartials);
		nulls = palloc(sizeof(bool) * r->shape->npartials);
		read_states(st, states, nulls);
		combine(r, g, states, nulls);
		if (!piece->timeless)
		{
			g->start = Min(g->start, start);
			g->last = Max(g->last, sx_session_slot_time(st));
		}
	}
}

/* Write a session that grew: its state, and its row of the result. */
static void
store(MergeContext *c, Growing *g)
{
	SxResult   *r = c->r;
	const SxShape *shape = r->shape;
	TupleTableSlot *slot = c->table.writer->slot;
	SxGroup		group;
	ListCell   *lc;
	int			i;

	sx_session_group(r, g->piece, g->start, &group);
	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum((int64) group.hash);
	slot->tts_isnull[0] = false;
	memcpy(slot->tts_values + 1, group.keys, sizeof(Datum) * shape->nkeys);
	memcpy(slot->tts_isnull + 1, group.key_nulls, sizeof(bool) * shape->nkeys);
	for (i = 0; i < shape->npartials; i++)
	{
		slot->tts_values[1 + shape->nkeys + i] = g->states[i];
		slot->tts_isnull[1 + shape->nkeys + i] = g->state_nulls[i];
	}
	ExecStoreVirtualTuple(slot);
	if (g->absorbed == NIL)
		sx_writer_insert(c->table.writer, &group.state_tid);
	foreach(lc, g->absorbed)
	{
		Absorbed   *a = lfirst(lc);

		if (foreach_current_index(lc) == 0)
			sx_writer_update(c->table.writer, &a->tid);
		else
			sx_writer_delete(c->table.writer, &a->tid);
	}
	if (shape->window && r->next_end_us != PG_INT64_MIN)
		r->next_end_us = Min(r->next_end_us, sx_session_end(g->last, shape->session->gap_us));
	if (c->writer == NULL)
		return;

	foreach(lc, g->absorbed)
	{
		Absorbed   *a = lfirst(lc);
		SxGroup		before;

		if (g->piece->timeless || a->start == g->start)
			continue;
		sx_session_group(r, g->piece, a->start, &before);
		c->changed += sx_session_delete_row(c->writer, c->index, &before);
	}
	sx_aggregates_load(&r->aggs, g->states, g->state_nulls);
	c->changed += sx_result_store(r, c->writer, c->index, &group, NULL, NULL);
	sx_aggregates_reset(&r->aggs);
}

static void
begin(MergeContext *c, SxResult *r, bool write)
{
	memset(c, 0, sizeof(*c));
	c->r = r;
	if (write)
	{
		c->writer = sx_result_writer(r);
		c->index = sx_key_index_begin(c->writer, r->shape, r->keyops);
	}
	sx_session_table_begin(&c->table, r);
	c->cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx session",
								   ALLOCSET_DEFAULT_SIZES);
}

static void
finish(MergeContext *c)
{
	sx_session_table_end(&c->table);
	if (c->writer)
	{
		sx_key_index_end(c->index);
		sx_writer_end(c->writer);
	}
	MemoryContextDelete(c->cxt);
}

int64
sx_session_merge(SxResult *r, SxRows *rows, int64 closed_us, int64 *late)
{
	const SxShape *shape = r->shape;
	int64		gap_us = shape->session->gap_us;
	int			count = shape->nkeys + shape->aggregates[shape->session->count].partial;
	MergeContext c;
	SxPiece    *pieces;
	int64		i;

	*late = 0;
	sx_session_forget_late(r);
	if (rows->nrows == 0)
		return 0;
	sx_result_check_keys(r, rows);
	pieces = sx_session_pieces(r, rows);

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	begin(&c, r, !r->view->final);
	for (i = 0; i < rows->nrows;)
	{
		SxPiece    *first = &pieces[i];
		MemoryContext old = MemoryContextSwitchTo(c.cxt);
		Growing		g = {0};

		CHECK_FOR_INTERRUPTS();
		g.piece = first;
		g.start = first->start;
		g.last = first->last;
		g.states = unconstify(Datum *, first->values) + shape->nkeys;
		g.state_nulls = unconstify(bool *, first->nulls) + shape->nkeys;
		absorb(&c, &g, first);

		/* a stored session may join it with the next ones of the batch */
		for (i++; i < rows->nrows && !first->timeless && !pieces[i].timeless &&
			 sx_session_same_keys(r, first, &pieces[i]) &&
			 pieces[i].start <= sx_session_reach(g.last, gap_us); i++)
		{
			combine(r, &g, pieces[i].values + shape->nkeys,
					pieces[i].nulls + shape->nkeys);
			g.last = Max(g.last, pieces[i].last);
			absorb(&c, &g, &pieces[i]);
		}
		if (shape->window && g.absorbed == NIL && sx_session_end(g.last, gap_us) <= closed_us)
		{
			*late += DatumGetInt64(first->values[count]);
			sx_session_note_late(r, first);
		}
		else
			store(&c, &g);
		MemoryContextSwitchTo(old);
		MemoryContextReset(c.cxt);
	}
	finish(&c);
	pfree(pieces);
	return c.changed;
}

/* Sessions that end by then: their states go, final rows come. */
static int64
close_merged(SxResult *r, int64 closed_us)
{
	const SxShape *shape = r->shape;
	MergeContext c;
	SxSessionTable *st;
	int64		next = PG_INT64_MAX;
	int64		last;

	begin(&c, r, r->view->final || r->view->final_column);
	st = &c.table;

	/* what went before is left in the index until vacuum or a scan clears it */
	sx_session_seek_all(st, sx_session_reach(r->session->swept_us, 1));
	while (sx_session_next_of_all(st, &last))
	{
		int64		end = sx_session_end(last, shape->session->gap_us);
		ItemPointerData tid = st->slot->tts_tid;

		if (end > closed_us)
		{
			next = end;
			break;
		}
		if (c.writer)
		{
			MemoryContext old = MemoryContextSwitchTo(c.cxt);
			Datum	   *states = palloc(sizeof(Datum) * shape->npartials);
			bool	   *nulls = palloc(sizeof(bool) * shape->npartials);
			SxGroup		group = {0};
			int			i;

			group.keys = palloc(sizeof(Datum) * shape->nkeys);
			group.key_nulls = palloc(sizeof(bool) * shape->nkeys);
			for (i = 0; i < shape->nkeys; i++)
				group.keys[i] = slot_getattr(st->slot, 2 + i, &group.key_nulls[i]);
			read_states(st, states, nulls);
			ItemPointerSetInvalid(&group.result_tid);
			sx_aggregates_load(&r->aggs, states, nulls);
			c.changed += sx_result_store(r, c.writer, c.index, &group, NULL, NULL);
			sx_aggregates_reset(&r->aggs);
			MemoryContextSwitchTo(old);
			MemoryContextReset(c.cxt);
		}
		sx_writer_delete(st->writer, &tid);
	}
	finish(&c);
	r->next_end_us = next;
	r->session->swept_us = sx_session_reach_back(closed_us, shape->session->gap_us);
	return c.changed;
}

int64
sx_session_close(SxResult *r, int64 closed_us)
{
	/*
	 * A row exactly the gap after the last may come yet, when the watermark
	 * stands there: where nobody is told that a session is closed, it is kept
	 * for that one.
	 */
	if (!r->view->final && !r->view->final_column)
		closed_us--;
	return r->shape->strategy == SX_STRATEGY_MERGE ?
		close_merged(r, closed_us) : sx_session_close_held(r, closed_us);
}

/*
 * AND a IS NOT DISTINCT FROM b, with the equality of their type: by its name
 * alone another one may be found in the view's search path.
 */
static void
append_same(StringInfo sql, const char *a, const char *b, Oid type)
{
	Oid			equal = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(equal));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "type %u has no equality", type);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, " AND (%s OPERATOR(%s.%s) %s OR %s IS NULL AND %s IS NULL)",
					 a, quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname), b, a, b);
	ReleaseSysCache(tuple);
}

/*
 * Take away the rows of sessions that started long ago, by retention and gap,
 * unless they are open still.
 */
void
sx_session_remove_old(SxResult *r, int64 closed_us)
{
	const SxSession *session = r->shape->session;
	int64		until = sx_session_reach_back(closed_us - r->view->retention_us, session->gap_us);
	Oid			type = r->shape->keys[session->key].typid;
	Oid			relid = r->view->relid;
	Datum		bound = Int64GetDatum(until);
	char	   *start = pstrdup(quote_identifier(get_attname(relid, r->shape->keys[session->key].resno,
															 false)));
	StringInfoData sql;
	int			i;

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s r WHERE r.%s OPERATOR(pg_catalog.<=) $1"
					 " AND NOT EXISTS (SELECT FROM %s s WHERE s.k%d OPERATOR(pg_catalog.=) r.%s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)),
					 start,
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(r->view->state)),
												get_rel_name(r->view->state)),
					 session->key + 1, start);
	for (i = 0; i < r->shape->nkeys; i++)
	{
		if (i != session->key)
			append_same(&sql, psprintf("s.k%d", i + 1),
						psprintf("r.%s", quote_identifier(get_attname(relid, r->shape->keys[i].resno, false))),
						r->shape->keys[i].typid);
	}
	appendStringInfoChar(&sql, ')');
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql.data, 1, &type, &bound, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old rows: %s", sql.data);
	if (SPI_processed > 0)
		sx_writer_changed(relid);
	SPI_finish();
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}
