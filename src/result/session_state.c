/*-------------------------------------------------------------------------
 * session_state.c
 *		The state table of a view that groups by session(ts, gap).
 *
 * Its columns are those of any view, but h is the hash of the *other* keys,
 * so that all open sessions of a key are found by it.  Two indexes, on
 * (h, time) and on (time), where time is that of
 *	- merge: a session's last row (the partial state of max(ts)); the session
 *	  key is its start;
 *	- recompute: the row, which is held in place of the session key.
 * Sessions of a key are more than the gap apart: in the order of their last
 * rows they are in that of their starts too.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "result/session.h"
#include "window/session.h"

SxSessionKeys *
sx_session_open(const SxShape *shape)
{
	SxSessionKeys *k = palloc0(sizeof(SxSessionKeys));
	int			i;

	k->ops = palloc0(sizeof(SxKeyOps) * shape->nkeys);
	k->sort = palloc0(sizeof(SortSupportData) * shape->nkeys);
	for (i = 0; i < shape->nkeys; i++)
	{
		TypeCacheEntry *type = lookup_type_cache(shape->keys[i].typid, TYPECACHE_LT_OPR);

		if (i == shape->session->key)
			continue;
		k->column[k->n] = i;
		sx_key_ops_init(&k->ops[k->n], &shape->keys[i]);
		k->sort[k->n].ssup_cxt = CurrentMemoryContext;
		k->sort[k->n].ssup_collation = shape->keys[i].collation;
		PrepareSortSupportFromOrderingOp(type->lt_opr, &k->sort[k->n]);
		k->n++;
	}
	return k;
}

/* ---- pieces ---- */

static int
compare_keys(SxResult *r, const SxPiece *a, const SxPiece *b)
{
	int			i;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	for (i = 0; i < r->session->n; i++)
	{
		int			c = ApplySortComparator(a->keys[i], a->key_nulls[i],
											b->keys[i], b->key_nulls[i],
											&r->session->sort[i]);

		if (c != 0)
			return c;
	}
	return 0;
}

int
sx_session_compare_pieces(SxResult *r, const SxPiece *a, const SxPiece *b)
{
	int			c = compare_keys(r, a, b);

	if (c != 0)
		return c;
	if (a->timeless != b->timeless)
		return a->timeless ? 1 : -1;
	if (a->timeless || a->start == b->start)
		return 0;
	return a->start < b->start ? -1 : 1;
}

static int
by_key_and_time(const void *a, const void *b, void *arg)
{
	return sx_session_compare_pieces(arg, a, b);
}

bool
sx_session_same_keys(SxResult *r, const SxPiece *a, const SxPiece *b)
{
	return a->hash == b->hash &&
		sx_keys_equal(r->session->ops, r->session->n, a->keys, a->key_nulls,
					  b->keys, b->key_nulls);
}

SxPiece *
sx_session_pieces(SxResult *r, const SxRows *rows)
{
	const SxShape *shape = r->shape;
	int			n = r->session->n;
	SxPiece    *pieces = MemoryContextAllocHuge(CurrentMemoryContext,
												sizeof(SxPiece) * rows->nrows);
	Datum	   *keys = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(Datum) * Max(n, 1) * rows->nrows);
	bool	   *nulls = MemoryContextAllocHuge(CurrentMemoryContext,
											   sizeof(bool) * Max(n, 1) * rows->nrows);
	int			last = shape->session->key;
	int64		i;
	int			k;

	if (shape->strategy == SX_STRATEGY_MERGE)
		last = shape->nkeys + shape->aggregates[shape->session->last].partial;
	for (i = 0; i < rows->nrows; i++)
	{
		SxPiece    *p = &pieces[i];

		p->values = rows->values + i * rows->ncols;
		p->nulls = rows->nulls + i * rows->ncols;
		p->keys = keys + i * n;
		p->key_nulls = nulls + i * n;
		for (k = 0; k < n; k++)
		{
			p->keys[k] = p->values[r->session->column[k]];
			p->key_nulls[k] = p->nulls[r->session->column[k]];
		}
		p->hash = sx_keys_hash(r->session->ops, n, p->keys, p->key_nulls);
		p->timeless = p->nulls[shape->session->key];
		p->start = DatumGetInt64(p->values[shape->session->key]);
		p->last = DatumGetInt64(p->values[last]);
	}
	qsort_arg(pieces, rows->nrows, sizeof(SxPiece), by_key_and_time, r);
	return pieces;
}

/* A batch's are in its memory. */
void
sx_session_forget_late(SxResult *r)
{
	r->session->late_cxt = CurrentMemoryContext;
	r->session->late = NULL;
	r->session->nlate = 0;
}

void
sx_session_note_late(SxResult *r, const SxPiece *piece)
{
	SxSessionKeys *k = r->session;

	/* powers of two */
	if (k->late == NULL)
		k->late = MemoryContextAlloc(k->late_cxt, sizeof(SxPiece));
	else if ((k->nlate & (k->nlate - 1)) == 0)
		k->late = repalloc_huge(k->late, sizeof(SxPiece) * k->nlate * 2);
	k->late[k->nlate++] = *piece;
}

bool
sx_result_was_late(SxResult *r, const Datum *keys, const bool *nulls)
{
	SxSessionKeys *k = r->session;
	Datum		others[INDEX_MAX_KEYS];
	bool		other_nulls[INDEX_MAX_KEYS];
	SxPiece		row = {0};
	int64		low = 0;
	int64		high = k->nlate;
	int			i;

	for (i = 0; i < k->n; i++)
	{
		others[i] = keys[k->column[i]];
		other_nulls[i] = nulls[k->column[i]];
	}
	row.keys = others;
	row.key_nulls = other_nulls;
	row.hash = sx_keys_hash(k->ops, k->n, others, other_nulls);
	row.timeless = nulls[r->shape->session->key];
	row.start = DatumGetInt64(keys[r->shape->session->key]);

	/* the first that starts after it: it is of the one before, or of none */
	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (sx_session_compare_pieces(r, &k->late[middle], &row) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && sx_session_same_keys(r, &k->late[low - 1], &row) &&
		row.start <= k->late[low - 1].last;
}

void
sx_session_group(SxResult *r, const SxPiece *piece, int64 start, SxGroup *group)
{
	const SxShape *shape = r->shape;

	memset(group, 0, sizeof(*group));
	group->hash = piece->hash;
	group->keys = palloc(sizeof(Datum) * shape->nkeys);
	group->key_nulls = palloc(sizeof(bool) * shape->nkeys);
	memcpy(group->keys, piece->values, sizeof(Datum) * shape->nkeys);
	memcpy(group->key_nulls, piece->nulls, sizeof(bool) * shape->nkeys);
	group->keys[shape->session->key] = Int64GetDatum(start);
	ItemPointerSetInvalid(&group->state_tid);
	ItemPointerSetInvalid(&group->result_tid);
}

int
sx_session_delete_row(SxWriter *writer, SxKeyIndex *index, const SxGroup *group)
{
	ItemPointerData tid;

	if (!sx_key_index_find(index, group->keys, group->key_nulls, &tid))
		return 0;
	sx_writer_delete(writer, &tid);
	return 1;
}

/* ---- the table ---- */

static AttrNumber
time_column(const SxShape *shape)
{
	if (shape->strategy == SX_STRATEGY_RECOMPUTE)
		return 2 + shape->session->key;
	return 2 + shape->nkeys + shape->aggregates[shape->session->last].partial;
}

/* A btree that begins with these columns. */
static Relation
find_index(Relation rel, AttrNumber first, AttrNumber second)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		Form_pg_index form = index->rd_index;

		if (index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
			RelationGetIndexPredicate(index) == NIL &&
			form->indnkeyatts == (second ? 2 : 1) &&
			form->indkey.values[0] == first &&
			(second == 0 || form->indkey.values[1] == second))
		{
			list_free(indexes);
			return index;
		}
		index_close(index, NoLock);
	}
	ereport(ERROR,
			(errcode(SX_ERRCODE_NOT_RESTORED),
			 errmsg("state table \"%s\" has lost an index", RelationGetRelationName(rel)),
			 second ?
			 errhint("Create it again: btree on columns %d and %d.", first, second) :
			 errhint("Create it again: btree on column %d.", first)));
	return NULL;
}

void
sx_session_table_begin(SxSessionTable *st, SxResult *r)
{
	AttrNumber	time = time_column(r->shape);

	memset(st, 0, sizeof(*st));
	st->r = r;
	st->cxt = CurrentMemoryContext;
	st->writer = sx_writer_begin(r->view->state);
	st->slot = table_slot_create(st->writer->rel, NULL);
	st->by_key = find_index(st->writer->rel, 1, time);
	st->by_time = find_index(st->writer->rel, time, 0);
	st->keys = palloc0(sizeof(Datum) * Max(r->session->n, 1));
	st->key_nulls = palloc0(sizeof(bool) * Max(r->session->n, 1));
}

void
sx_session_table_end(SxSessionTable *st)
{
	ExecDropSingleTupleTableSlot(st->slot);
	if (st->key_scan)
		index_endscan(st->key_scan);
	if (st->time_scan)
		index_endscan(st->time_scan);
	index_close(st->by_key, NoLock);
	index_close(st->by_time, NoLock);
	sx_writer_end(st->writer);
}

/* The scan over rows of the piece's keys, by a condition on the time. */
static void
seek(SxSessionTable *st, const SxPiece *piece, StrategyNumber strategy,
	 RegProcedure function, int64 time)
{
	MemoryContext old = MemoryContextSwitchTo(st->cxt);
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) piece->hash));
	if (piece->timeless)
		ScanKeyEntryInitialize(&keys[1], SK_ISNULL | SK_SEARCHNULL, 2,
							   InvalidStrategy, InvalidOid, InvalidOid,
							   InvalidOid, (Datum) 0);
	else
		ScanKeyInit(&keys[1], 2, strategy, function, TimestampGetDatum(time));
	if (st->key_scan == NULL)
		st->key_scan = sx_index_beginscan(st->writer->rel, st->by_key,
										  GetActiveSnapshot(), 2, 0);
	index_rescan(st->key_scan, keys, 2, NULL, 0);
	MemoryContextSwitchTo(old);
}

static void
read_keys(SxSessionTable *st)
{
	SxSessionKeys *k = st->r->session;
	int			i;

	for (i = 0; i < k->n; i++)
		st->keys[i] = slot_getattr(st->slot, 2 + k->column[i], &st->key_nulls[i]);
}

/* What a scan allocates on its way lives as long as the scan. */
static bool
fetch(SxSessionTable *st, IndexScanDesc scan, ScanDirection direction)
{
	MemoryContext old = MemoryContextSwitchTo(st->cxt);
	bool		found = index_getnext_slot(scan, direction, st->slot);

	MemoryContextSwitchTo(old);
	return found;
}

static bool
next_of_piece(SxSessionTable *st, const SxPiece *piece, ScanDirection direction)
{
	SxSessionKeys *k = st->r->session;

	while (fetch(st, st->key_scan, direction))
	{
		CHECK_FOR_INTERRUPTS();
		read_keys(st);
		if (sx_keys_equal(k->ops, k->n, piece->keys, piece->key_nulls,
						  st->keys, st->key_nulls))
			return true;
	}
	return false;
}

void
sx_session_seek(SxSessionTable *st, const SxPiece *piece, int64 from)
{
	seek(st, piece, BTGreaterEqualStrategyNumber, F_TIMESTAMP_GE, from);
}

bool
sx_session_next(SxSessionTable *st, const SxPiece *piece)
{
	return next_of_piece(st, piece, ForwardScanDirection);
}

int64
sx_session_begin_of(SxSessionTable *st, const SxPiece *piece)
{
	int64		begin = piece->start;

	seek(st, piece, BTLessEqualStrategyNumber, F_TIMESTAMP_LE, begin);
	while (next_of_piece(st, piece, BackwardScanDirection))
	{
		int64		time = sx_session_slot_time(st);

		if (sx_session_reach(time, st->r->shape->session->gap_us) < begin)
			break;
		begin = time;
	}
	return begin;
}

void
sx_session_seek_all(SxSessionTable *st, int64 from)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_TIMESTAMP_GE,
				TimestampGetDatum(from));
	if (st->time_scan == NULL)
		st->time_scan = sx_index_beginscan(st->writer->rel, st->by_time,
										   GetActiveSnapshot(), 1, 0);
	index_rescan(st->time_scan, &key, 1, NULL, 0);
}

bool
sx_session_next_of_all(SxSessionTable *st, int64 *time)
{
	bool		null;

	CHECK_FOR_INTERRUPTS();
	if (!fetch(st, st->time_scan, ForwardScanDirection))
		return false;
	*time = DatumGetInt64(slot_getattr(st->slot, time_column(st->r->shape), &null));
	read_keys(st);
	return true;
}

int64
sx_session_slot_key(SxSessionTable *st)
{
	bool		null;

	return DatumGetInt64(slot_getattr(st->slot, 2 + st->r->shape->session->key, &null));
}

int64
sx_session_slot_time(SxSessionTable *st)
{
	bool		null;

	return DatumGetInt64(slot_getattr(st->slot, time_column(st->r->shape), &null));
}
