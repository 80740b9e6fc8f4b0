/*-------------------------------------------------------------------------
 * session_held.c
 *		Sessions whose aggregates cannot be merged: rows are held.
 *
 * In place of the session key the state table keeps each row's time.  The
 * sessions of the keys that a batch touched are computed again from all that
 * is held of them (see plan/recompute.c); those that have a row of the batch
 * are written.  Sessions that have become the later part of another lose
 * their row: they are found beforehand, by what lies near the batch's rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "result/session.h"
#include "window/session.h"

/* A session that started here, and does no longer. */
typedef struct Vanished
{
	const SxPiece *piece;
	int64		start;
} Vanished;

/*
 * Does the chain touch rows that are held?  Notes the sessions whose start
 * comes to lie inside another: a row after the chain's first that none within
 * the gap came before.
 */
static bool
look_around(SxSessionTable *st, const SxPiece *chain, int64 gap_us,
			List **vanished)
{
	int64		reach = sx_session_reach(chain->last, gap_us);
	bool		touched = false;
	int64		before = 0;

	sx_session_seek(st, chain, sx_session_reach_back(chain->start, gap_us));
	while (sx_session_next(st, chain))
	{
		int64		time;

		if (chain->timeless)
			return true;
		time = sx_session_slot_time(st);
		if (time > reach)
			break;
		if (time > chain->start && (!touched || time > sx_session_reach(before, gap_us)))
		{
			Vanished   *v = palloc(sizeof(Vanished));

			v->piece = chain;
			v->start = time;
			*vanished = lappend(*vanished, v);
		}
		touched = true;
		before = time;
	}
	return touched;
}

static void
hold(SxSessionTable *st, const SxPiece *piece, int ncols)
{
	TupleTableSlot *slot = st->writer->slot;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum((int64) piece->hash);
	slot->tts_isnull[0] = false;
	memcpy(slot->tts_values + 1, piece->values, sizeof(Datum) * ncols);
	memcpy(slot->tts_isnull + 1, piece->nulls, sizeof(bool) * ncols);
	ExecStoreVirtualTuple(slot);
	sx_writer_add(st->writer, NULL);
}

/* The chains of a batch's rows, which are in order; *n: how many. */
static SxPiece *
make_chains(SxResult *r, const SxPiece *rows, int64 nrows, int64 **first, int64 *n)
{
	SxPiece    *chains = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SxPiece) * nrows);
	int64		i;

	*first = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * (nrows + 1));
	*n = 0;
	for (i = 0; i < nrows; i++)
	{
		SxPiece    *chain = *n > 0 ? &chains[*n - 1] : NULL;

		if (chain != NULL && chain->timeless == rows[i].timeless &&
			sx_session_same_keys(r, chain, &rows[i]) &&
			(chain->timeless ||
			 rows[i].start <= sx_session_reach(chain->last, r->shape->session->gap_us)))
			chain->last = rows[i].start;
		else
		{
			chains[*n] = rows[i];
			chains[*n].last = rows[i].start;
			(*first)[(*n)++] = i;
		}
	}
	(*first)[*n] = nrows;
	return chains;
}

/* Has the session that was computed a row of one of these chains? */
static bool
has_chain(SxResult *r, const SxPiece *session, const SxPiece *chains, int64 n)
{
	int64		low = 0;
	int64		high = n;

	/* the first chain of the key that starts when the session does, or later */
	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (sx_session_compare_pieces(r, &chains[middle], session) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && sx_session_same_keys(r, &chains[low], session) &&
		chains[low].timeless == session->timeless &&
		(session->timeless || chains[low].start <= session->last);
}

/*
 * Compute the sessions of the chains' keys from the rows held, and write
 * those that have a row of a chain; chains NULL: those that end by closed_us.
 * None of them begins before from_us.
 */
static int64
compute(SxResult *r, SxWriter *writer, SxKeyIndex *index, int64 *hashes, int n,
		int64 from_us, const SxPiece *chains, int64 nchains, int64 closed_us)
{
	const SxShape *shape = r->shape;
	SxRows		rows;
	SxPiece    *sessions;
	int64		written = 0;
	int64		i;

	sx_recompute_run(r, hashes, n, from_us, &rows);
	if (rows.nrows == 0)
		return 0;
	sessions = sx_session_pieces(r, &rows);
	for (i = 0; i < rows.nrows; i++)
	{
		SxPiece    *s = &sessions[i];
		SxGroup		group;

		CHECK_FOR_INTERRUPTS();
		s->last = DatumGetInt64(s->values[shape->nkeys + shape->session->last]);
		if (chains ? !has_chain(r, s, chains, nchains) :
			s->timeless || sx_session_end(s->last, shape->session->gap_us) > closed_us)
			continue;
		sx_session_group(r, s, s->start, &group);
		written += sx_result_store(r, writer, index, &group,
								   s->values + shape->nkeys, s->nulls + shape->nkeys);
	}
	return written;
}

int64
sx_session_recompute(SxResult *r, SxRows *rows, int64 closed_us, int64 *late)
{
	const SxShape *shape = r->shape;
	int64		gap_us = shape->session->gap_us;
	SxSessionTable st;
	SxWriter   *writer;
	SxKeyIndex *index;
	SxPiece    *pieces;
	SxPiece    *chains;
	int64	   *first;
	int64		nchains;
	int64		kept = 0;
	int64	   *hashes;
	int			nhashes = 0;
	List	   *vanished = NIL;
	int64		from_us = PG_INT64_MAX;
	int64		written = 0;
	int64		i;
	int64		row;
	ListCell   *lc;

	*late = 0;
	sx_session_forget_late(r);
	if (rows->nrows == 0)
		return 0;
	sx_result_check_keys(r, rows);
	pieces = sx_session_pieces(r, rows);
	chains = make_chains(r, pieces, rows->nrows, &first, &nchains);
	hashes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * nchains);

	/* the result is locked before the state, as whoever drops them does */
	LockRelationOid(r->view->relid, RowExclusiveLock);
	sx_session_table_begin(&st, r);
	for (i = 0; i < nchains; i++)
	{
		SxPiece    *chain = &chains[i];
		int64		end = sx_session_end(chain->last, gap_us);

		CHECK_FOR_INTERRUPTS();
		chains[kept] = *chain;
		chain = &chains[kept];
		if (!look_around(&st, chain, gap_us, &vanished) && shape->window && end <= closed_us)
		{
			*late += first[i + 1] - first[i];
			sx_session_note_late(r, chain);
			continue;
		}
		kept++;
		if (shape->session->event_time && !r->view->final)
			from_us = Min(from_us, sx_session_begin_of(&st, chain));
		for (row = first[i]; row < first[i + 1]; row++)
			hold(&st, &pieces[row], rows->ncols);
		if (shape->window && r->next_end_us != PG_INT64_MIN)
			r->next_end_us = Min(r->next_end_us, end);
		if (nhashes == 0 || hashes[nhashes - 1] != (int64) chain->hash)
			hashes[nhashes++] = (int64) chain->hash;
	}
	sx_session_table_end(&st);
	if (r->view->final || kept == 0)
		return 0;

	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	writer = sx_result_writer(r);
	index = sx_key_index_begin(writer, shape, r->keyops);
	foreach(lc, vanished)
	{
		Vanished   *v = lfirst(lc);
		SxGroup		group;

		sx_session_group(r, v->piece, v->start, &group);
		written += sx_session_delete_row(writer, index, &group);
	}
	written += compute(r, writer, index, hashes, nhashes, from_us, chains, kept, 0);
	sx_key_index_end(index);
	sx_writer_end(writer);
	return written;
}

/* ---- closing ---- */

/* A row held that is old enough to be of a session that has ended. */
typedef struct OldRow
{
	SxPiece		piece;
	ItemPointerData tid;
} OldRow;

static int
by_key_and_time(const void *a, const void *b, void *arg)
{
	return sx_session_compare_pieces(arg, &((const OldRow *) a)->piece,
									 &((const OldRow *) b)->piece);
}

/* *next: the time of the first row that is younger; PG_INT64_MAX: none */
static OldRow *
read_old(SxSessionTable *st, int64 until, int64 *n, int64 *next)
{
	SxSessionKeys *k = st->r->session;
	OldRow	   *rows = NULL;
	int64		max = 0;
	int64		time;
	int			i;

	*n = 0;
	*next = PG_INT64_MAX;
	sx_session_seek_all(st, PG_INT64_MIN);
	while (sx_session_next_of_all(st, &time))
	{
		SxPiece    *p;
		bool		null;

		if (time > until)
		{
			*next = time;
			break;
		}
		if (*n == max)
		{
			max = Max(1024, max * 2);
			rows = rows ? repalloc_huge(rows, sizeof(OldRow) * max) :
				MemoryContextAllocHuge(CurrentMemoryContext, sizeof(OldRow) * max);
		}
		rows[*n].tid = st->slot->tts_tid;
		p = &rows[(*n)++].piece;
		memset(p, 0, sizeof(*p));
		p->hash = (uint64) DatumGetInt64(slot_getattr(st->slot, 1, &null));
		p->start = p->last = time;
		p->keys = palloc(sizeof(Datum) * Max(k->n, 1));
		p->key_nulls = palloc(sizeof(bool) * Max(k->n, 1));
		for (i = 0; i < k->n; i++)
		{
			p->key_nulls[i] = st->key_nulls[i];
			if (p->key_nulls[i])
				p->keys[i] = (Datum) 0;
			else if (k->ops[i].len == -1)
				p->keys[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(st->keys[i]));
			else
				p->keys[i] = datumCopy(st->keys[i], k->ops[i].byval, k->ops[i].len);
		}
	}
	if (*n > 1)
		qsort_arg(rows, *n, sizeof(OldRow), by_key_and_time, st->r);
	return rows;
}

/* Do rows that are younger go on with the session that ends here so far? */
static bool
goes_on(SxSessionTable *st, const SxPiece *last, int64 gap_us)
{
	sx_session_seek(st, last, last->start + 1);
	return sx_session_next(st, last) &&
		sx_session_slot_time(st) <= sx_session_reach(last->start, gap_us);
}

int64
sx_session_close_held(SxResult *r, int64 closed_us)
{
	const SxShape *shape = r->shape;
	int64		gap_us = shape->session->gap_us;
	SxSessionTable st;
	OldRow	   *rows;
	int64	   *hashes;
	int			nhashes = 0;
	int64		n;
	int64		next;
	int64		from_us = PG_INT64_MAX;
	int64		written = 0;
	int64		first = 0;
	int64		kept = 0;
	int64		i;

	/* a session that has ended has no row younger than this */
	sx_session_table_begin(&st, r);
	rows = read_old(&st, sx_session_reach_back(closed_us, gap_us), &n, &next);
	hashes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		OldRow	   *row = &rows[i];
		bool		same = i + 1 < n && sx_session_same_keys(r, &row->piece, &rows[i + 1].piece);

		CHECK_FOR_INTERRUPTS();
		if (same && rows[i + 1].piece.start <= sx_session_reach(row->piece.start, gap_us))
			continue;

		/* the last row of a session, or as far as the old rows go */
		if (same || !goes_on(&st, &row->piece, gap_us))
		{
			if (nhashes == 0 || hashes[nhashes - 1] != (int64) row->piece.hash)
				hashes[nhashes++] = (int64) row->piece.hash;
			from_us = Min(from_us, rows[first].piece.start);
			memmove(rows + kept, rows + first, sizeof(OldRow) * (i + 1 - first));
			kept += i + 1 - first;
		}
		first = i + 1;
	}
	if ((r->view->final || r->view->final_column) && kept > 0)
	{
		SxWriter   *writer = sx_result_writer(r);
		SxKeyIndex *index = sx_key_index_begin(writer, shape, r->keyops);

		written = compute(r, writer, index, hashes, nhashes, from_us, NULL, 0, closed_us);
		sx_key_index_end(index);
		sx_writer_end(writer);
	}
	for (i = 0; i < kept; i++)
		sx_writer_delete(st.writer, &rows[i].tid);
	sx_session_table_end(&st);
	r->next_end_us = next == PG_INT64_MAX ? next : sx_session_end(next, gap_us);
	return written;
}
