/*-------------------------------------------------------------------------
 * native_diff.c
 *		What lies between two positions in the journal of a native stream.
 *
 * A difference is a list of ranges of transactions, which an index scan per
 * segment finds; the segments' chunks are merged into the order of their keys.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "source/journal.h"
#include "source/native_internal.h"

#define XID_END		PG_INT64_MAX	/* after all transactions of an era */

static void
add_range(SxNativeDiff *diff, int *max, int era, int64 lo, int64 hi)
{
	if (lo >= hi)
		return;
	if (diff->nranges == *max)
	{
		*max = *max == 0 ? 16 : *max * 2;
		diff->ranges = diff->ranges == NULL ?
			palloc(sizeof(SxNativeRange) * *max) :
			repalloc(diff->ranges, sizeof(SxNativeRange) * *max);
	}
	diff->ranges[diff->nranges++] = (SxNativeRange)
	{
		era, lo, hi, 0
	};
}

/* [lo, hi) of an era, less what "next" does not see. */
static void
add_seen_ranges(SxNativeDiff *diff, int *max, int era, int64 lo, int64 hi,
				const SxNativeSeen *next)
{
	int			i;

	if (era > next->era)
		return;
	if (era == next->era)
	{
		hi = Min(hi, next->xmax);
		for (i = 0; i < next->nxip && next->xip[i] < hi; i++)
		{
			if (next->xip[i] < lo)
				continue;
			add_range(diff, max, era, lo, next->xip[i]);
			lo = next->xip[i] + 1;
		}
	}
	add_range(diff, max, era, lo, hi);
}

void
sx_native_diff_between(SxNativeDiff *diff, const SxNativeSeen *seen, const SxNativeSeen *next)
{
	int			max = 0;
	int			era;
	int			i;

	for (i = 0; i < seen->nxip; i++)
		add_seen_ranges(diff, &max, seen->era, seen->xip[i], seen->xip[i] + 1,
						next);
	add_seen_ranges(diff, &max, seen->era, seen->xmax, XID_END, next);
	for (era = seen->era + 1; era <= next->era; era++)
		add_seen_ranges(diff, &max, era, 0, XID_END, next);
}

void
sx_native_diff_from(SxNativeDiff *diff, const SxNativeKey *key)
{
	SxNativeRange *ranges = palloc(sizeof(SxNativeRange) * (diff->nranges + 1));
	int			n = 0;
	int			i;

	for (i = 0; i < diff->nranges; i++)
	{
		SxNativeRange r = diff->ranges[i];

		if (r.era < key->era || (r.era == key->era && r.hi <= key->xid))
			continue;
		if (r.era == key->era && r.lo <= key->xid)
		{
			ranges[n++] = (SxNativeRange)
			{
				r.era, key->xid, key->xid + 1, key->seq
			};
			r.lo = key->xid + 1;
			if (r.lo >= r.hi)
				continue;
		}
		ranges[n++] = r;
	}
	diff->ranges = ranges;
	diff->nranges = n;
}

bool
sx_native_diff_open(SxNativeDiff *diff, const SxJournal *journal, Oid only)
{
	int			i;

	diff->range = -1;
	diff->last = -1;
	diff->nsegments = 0;
	for (i = 0; journal != NULL && i < journal->nsegments; i++)
	{
		int			n = diff->nsegments;

		if (OidIsValid(only) && journal->segments[i] != only)
			continue;
		if (!sx_journal_open_segment(journal->segments[i], AccessShareLock,
									 &diff->rels[n], &diff->indexes[n]))
			return false;
		diff->scans[n] = NULL;
		diff->heads[n] = NULL;
		diff->nsegments++;
	}
	return true;
}

void
sx_native_diff_close(SxNativeDiff *diff)
{
	int			i;

	for (i = 0; i < diff->nsegments; i++)
	{
		if (diff->scans[i] != NULL)
			systable_endscan_ordered(diff->scans[i]);
		index_close(diff->indexes[i], NoLock);
		relation_close(diff->rels[i], NoLock);
	}
	diff->nsegments = 0;
}

/* Next chunk of one segment in the current range. */
static void
advance_segment(SxNativeDiff *diff, int i)
{
	TupleDesc	desc = RelationGetDescr(diff->rels[i]);
	HeapTuple	tup = systable_getnext_ordered(diff->scans[i],
											   ForwardScanDirection);
	bool		isnull;

	diff->heads[i] = tup;
	if (tup == NULL)
		return;
	diff->head_keys[i].era =
		DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ERA, desc, &isnull));
	diff->head_keys[i].xid =
		DatumGetInt64(heap_getattr(tup, SX_SEGMENT_XID, desc, &isnull));
	diff->head_keys[i].seq =
		DatumGetInt64(heap_getattr(tup, SX_SEGMENT_SEQ, desc, &isnull));
	diff->head_keys[i].row = 0;
}

static void
start_range(SxNativeDiff *diff)
{
	const SxNativeRange *r = &diff->ranges[diff->range];
	int			i;

	for (i = 0; i < diff->nsegments; i++)
	{
		ScanKeyData keys[4];
		int			nkeys = 0;

		if (diff->scans[i] != NULL)
		{
			systable_endscan_ordered(diff->scans[i]);
			diff->scans[i] = NULL;
		}
		diff->heads[i] = NULL;
		if (RelationGetNumberOfBlocks(diff->rels[i]) == 0)
			continue;
		ScanKeyInit(&keys[nkeys++], SX_SEGMENT_ERA, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(r->era));
		if (r->hi == r->lo + 1)
		{
			ScanKeyInit(&keys[nkeys++], SX_SEGMENT_XID, BTEqualStrategyNumber,
						F_INT8EQ, Int64GetDatum(r->lo));
			if (r->seq > 0)
				ScanKeyInit(&keys[nkeys++], SX_SEGMENT_SEQ,
							BTGreaterEqualStrategyNumber, F_INT8GE,
							Int64GetDatum(r->seq));
		}
		else
		{
			ScanKeyInit(&keys[nkeys++], SX_SEGMENT_XID,
						BTGreaterEqualStrategyNumber, F_INT8GE,
						Int64GetDatum(r->lo));
			ScanKeyInit(&keys[nkeys++], SX_SEGMENT_XID,
						BTLessStrategyNumber, F_INT8LT, Int64GetDatum(r->hi));
		}
		diff->scans[i] = systable_beginscan_ordered(diff->rels[i],
													diff->indexes[i],
													diff->snapshot,
													nkeys, keys);
		advance_segment(diff, i);
	}
}

HeapTuple
sx_native_diff_next(SxNativeDiff *diff, int *segment, SxNativeKey *key)
{
	if (diff->last >= 0)
		advance_segment(diff, diff->last);
	diff->last = -1;
	for (;;)
	{
		int			best = -1;
		int			i;

		if (diff->range >= 0 && diff->range < diff->nranges)
		{
			for (i = 0; i < diff->nsegments; i++)
			{
				if (diff->heads[i] != NULL &&
					(best < 0 || sx_native_compare(&diff->head_keys[i],
												   &diff->head_keys[best]) < 0))
					best = i;
			}
		}
		if (best >= 0)
		{
			diff->last = best;
			*segment = best;
			*key = diff->head_keys[best];
			return diff->heads[best];
		}
		if (diff->range + 1 >= diff->nranges)
			return NULL;
		CHECK_FOR_INTERRUPTS();
		diff->range++;
		start_range(diff);
	}
}

int64
sx_native_diff_rest(const SxJournal *journal, const SxNativePosition *position,
					Snapshot snapshot)
{
	SxNativeDiff diff = {0};
	HeapTuple	tup;
	int			segment;
	SxNativeKey key;
	int64		n = 0;

	diff.snapshot = snapshot;
	sx_native_diff_between(&diff, &position->seen, &position->next);
	sx_native_diff_from(&diff, &position->key);
	if (sx_native_diff_open(&diff, journal, InvalidOid))
	{
		while ((tup = sx_native_diff_next(&diff, &segment, &key)) != NULL)
		{
			bool		isnull;

			n += DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
											RelationGetDescr(diff.rels[segment]),
											&isnull));
			if (sx_native_same_chunk(&key, &position->key))
				n -= position->key.row;
		}
	}
	sx_native_diff_close(&diff);
	return n;
}

/*
 * Is there a row that "next" (NULL: whatever the snapshot sees, our own
 * transaction apart) has behind it and "position" does not?
 */
static bool
any_between(const SxJournal *journal, Oid only, const SxNativePosition *position,
			const SxNativePosition *to, Snapshot snapshot)
{
	SxNativeDiff diff = {0};
	SxNativeSeen now;
	SxNativeSeen last;
	HeapTuple	tup;
	int			segment;
	SxNativeKey key;
	bool		found = false;

	if (journal == NULL)
		return false;
	sx_native_see(&now, sx_journal_era_now(journal), snapshot);
	last = to == NULL ? now : to->within ? to->next : to->seen;
	diff.snapshot = snapshot;
	if (position->within)
	{
		/* what of the difference is not read yet, and what came after it */
		SxNativeDiff rest = {0};

		sx_native_diff_between(&diff, &position->seen, &position->next);
		sx_native_diff_from(&diff, &position->key);
		sx_native_diff_between(&rest, &position->next, &last);
		diff.ranges = repalloc(diff.ranges, sizeof(SxNativeRange) *
							   (diff.nranges + rest.nranges + 1));
		if (rest.nranges > 0)
			memcpy(diff.ranges + diff.nranges, rest.ranges,
				   sizeof(SxNativeRange) * rest.nranges);
		diff.nranges += rest.nranges;
	}
	else
		sx_native_diff_between(&diff, &position->seen, &last);
	if (diff.nranges == 0 || !sx_native_diff_open(&diff, journal, only))
	{
		/* a segment that is being restored has what nobody has seen */
		found = diff.nranges > 0;
		sx_native_diff_close(&diff);
		return found;
	}
	while (!found && (tup = sx_native_diff_next(&diff, &segment, &key)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
		bool		isnull;
		int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
													  desc, &isnull));

		if (!sx_native_sees(&last, key.era, key.xid))
			continue;
		/* the last row of the chunk that counts is the one to look at */
		if (to != NULL)
			rows = sx_native_rows_behind(to, &key, rows);
		if (rows == 0)
			continue;
		if (position->has_from &&
			DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
											 &isnull)) < position->from)
			continue;
		key.row = rows - 1;
		found = !sx_native_is_behind(position, &key);
	}
	sx_native_diff_close(&diff);
	return found;
}

bool
sx_native_unseen(const SxJournal *journal, Oid segment, const char *position,
				 Snapshot snapshot)
{
	SxNativePosition p;

	sx_native_position(position, &p);
	return any_between(journal, segment, &p, NULL, snapshot);
}

static bool
reached(Oid stream, const char *position, const char *target)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SxJournal  *journal = sx_journal_read(stream, snapshot);
	SxNativePosition p;
	SxNativePosition to;
	bool		result;

	sx_native_position(position, &p);
	sx_native_position(target, &to);
	result = !any_between(journal, InvalidOid, &p, target ? &to : NULL, snapshot);
	UnregisterSnapshot(snapshot);
	return result;
}

bool
sx_journal_covers(Oid stream, const char *position)
{
	return reached(stream, position, NULL);
}

bool
sx_journal_reached(Oid stream, const char *position, const char *target)
{
	return target == NULL || reached(stream, position, target);
}

bool
sx_journal_same(Oid stream, const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0 || (reached(stream, a, b) && reached(stream, b, a));
}

SxJournal *
sx_native_journal(Oid stream, bool make)
{
	SxJournal  *journal = sx_journal_read_latest(stream);

	if ((journal == NULL ? make :
		 sx_journal_era_now(journal) != journal->era) && !XactReadOnly)
	{
		Relation	rel = relation_open(stream, AccessShareLock);

		journal = sx_journal_prepare(rel);
		relation_close(rel, NoLock);
	}
	return journal;
}

char *
sx_journal_snapshot_now(Oid stream, Snapshot snapshot)
{
	SxJournal  *journal = sx_native_journal(stream, true);
	SxNativePosition position = {0};
	char	   *result;

	snapshot = RegisterSnapshot(snapshot ? snapshot : GetLatestSnapshot());
	sx_native_see(&position.seen,
				  journal == NULL ? 1 : sx_journal_era_now(journal), snapshot);
	result = sx_native_position_text(&position);
	UnregisterSnapshot(snapshot);
	return result;
}

char *
sx_journal_snapshot_earliest(void)
{
	return pstrdup("0@0:0:");
}

char *
sx_journal_snapshot_from(TimestampTz from)
{
	SxNativePosition position = {0};

	position.has_from = true;
	position.from = from;
	return sx_native_position_text(&position);
}

int64
sx_journal_count(Oid stream, const char *from, const char *to)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SxJournal  *journal = sx_journal_read(stream, snapshot);
	SxNativeDiff diff = {0};
	SxNativePosition first;
	SxNativePosition end;
	int64		result = 0;

	sx_native_position(from, &first);
	sx_native_position(to, &end);
	diff.snapshot = snapshot;
	sx_native_diff_between(&diff, &first.seen, end.within ? &end.next : &end.seen);
	if (diff.nranges > 0 && sx_native_diff_open(&diff, journal, InvalidOid))
	{
		HeapTuple	tup;
		int			segment;
		SxNativeKey key;

		while ((tup = sx_native_diff_next(&diff, &segment, &key)) != NULL)
		{
			TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
			bool		isnull;
			int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
														  desc, &isnull));

			if (first.has_from &&
				DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
												 &isnull)) < first.from)
				continue;
			result += sx_native_rows_behind(&end, &key, rows);
		}
	}
	sx_native_diff_close(&diff);
	UnregisterSnapshot(snapshot);
	return result;
}
