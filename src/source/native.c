/*-------------------------------------------------------------------------
 * native.c
 *		Native streams: positions in a journal, and the source that reads on
 *		from one.
 *
 * Rows become visible in commit order, which no number says that a row could
 * carry.  A position therefore is a snapshot: behind it lie the rows of the
 * transactions that it sees.  What is new is what the current snapshot sees
 * and the saved one does not; the journal's index on (era, xid, seq) finds it
 * in time proportional to what is new: the transactions that were running
 * then and are not now, and those from the saved xmax to the current one.
 * What a long transaction has written is neither waited for nor looked at
 * again before it is over.
 *
 * A difference may be more than a batch takes, one COPY of millions of rows
 * too.  Its rows have a fixed order (era, xid, seq, row of the chunk), all of
 * them are committed, and an aborted one never shows up: so the position
 * within it is both snapshots and the next key.  As text:
 *
 *		era@xmin:xmax:xip,...
 *		era@xmin:xmax:xip,...>era@xmin:xmax:xip,...>era:xid:seq:row
 *
 * and, if the view is to start at a time, !microseconds after it: chunks that
 * arrived before are passed over, to the end of the first difference.
 *
 * Eras: transaction ids mean something only in the cluster that gave them
 * out (see journal.c).  Behind a position of era e are all rows of earlier
 * eras, those of era e that its snapshot sees, and none of later ones.  After
 * a restore or upgrade the saved positions are of the era before; the rows
 * that came along and that they do not see are read once, and then the
 * position is of the new era.
 *
 * Offsets count the rows that were read; they identify nothing, since another
 * view may have started elsewhere: the text does.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "compat.h"
#include "source/journal.h"
#include "source/journal_internal.h"
#include "source/native.h"
#include "source/source.h"

#define XID_END		PG_INT64_MAX	/* after all transactions of an era */

/* What a snapshot of an era sees. */
typedef struct Seen
{
	int			era;
	int64		xmax;			/* nothing from here on */
	int			nxip;
	int64	   *xip;			/* nor these, ascending, all below xmax */
} Seen;

/* Place of a row: the next one to be read. */
typedef struct Key
{
	int			era;
	int64		xid;
	int64		seq;
	int			row;
} Key;

typedef struct Position
{
	Seen		seen;
	bool		within;			/* reading the difference of seen and next */
	Seen		next;
	Key			key;
	bool		has_from;		/* passes over what arrived before "from" */
	TimestampTz from;
} Position;

/* Chunks with era = era, lo <= xid < hi, and seq >= seq if it is one xid. */
typedef struct Range
{
	int			era;
	int64		lo;
	int64		hi;
	int64		seq;
} Range;

/* The rows of a difference, over all segments, in order of their keys. */
typedef struct Diff
{
	Snapshot	snapshot;
	int			nranges;
	Range	   *ranges;
	int			range;			/* being scanned; -1: not begun */
	int			nsegments;
	Relation	rels[SX_JOURNAL_MAX_SEGMENTS];
	Relation	indexes[SX_JOURNAL_MAX_SEGMENTS];
	SysScanDesc scans[SX_JOURNAL_MAX_SEGMENTS];
	HeapTuple	heads[SX_JOURNAL_MAX_SEGMENTS]; /* next of each, or NULL */
	Key			head_keys[SX_JOURNAL_MAX_SEGMENTS];
	int			last;			/* segment of the chunk returned last, -1 */
} Diff;

/* ---- positions ---------------------------------------------------------- */

static int
compare_xid(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

static bool
sees(const Seen *seen, int era, int64 xid)
{
	if (era != seen->era)
		return era < seen->era;
	return xid < seen->xmax &&
		(seen->nxip == 0 ||
		 bsearch(&xid, seen->xip, seen->nxip, sizeof(int64), compare_xid) == NULL);
}

/* 64 bits of an id that is near the next one to be given out */
static int64
widen_xid(TransactionId xid, FullTransactionId next)
{
	uint64		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return (int64) (epoch << 32 | xid);
}

static void
seen_by_snapshot(Seen *seen, int era, Snapshot snapshot)
{
	FullTransactionId next = ReadNextFullTransactionId();
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	uint32		i;

	if (snapshot->takenDuringRecovery)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot read a native stream during recovery"),
				 errhint("Continuous views go on when the server is promoted.")));
	seen->era = era;
	seen->xmax = widen_xid(snapshot->xmax, next);
	seen->nxip = 0;
	seen->xip = palloc(sizeof(int64) * (snapshot->xcnt + 1));
	for (i = 0; i < snapshot->xcnt; i++)
		seen->xip[seen->nxip++] = widen_xid(snapshot->xip[i], next);
	/* our own changes are not committed, whatever the snapshot lets us see */
	if (FullTransactionIdIsValid(own) &&
		(int64) U64FromFullTransactionId(own) < seen->xmax)
		seen->xip[seen->nxip++] = (int64) U64FromFullTransactionId(own);
	qsort(seen->xip, seen->nxip, sizeof(int64), compare_xid);
}

static void
write_seen(StringInfo buf, const Seen *seen)
{
	int			i;

	appendStringInfo(buf, "%d@" INT64_FORMAT ":" INT64_FORMAT ":", seen->era,
					 seen->nxip > 0 ? seen->xip[0] : seen->xmax, seen->xmax);
	for (i = 0; i < seen->nxip; i++)
		appendStringInfo(buf, "%s" INT64_FORMAT, i > 0 ? "," : "", seen->xip[i]);
}

static char *
write_position(const Position *position)
{
	StringInfoData buf;

	initStringInfo(&buf);
	write_seen(&buf, &position->seen);
	if (position->within)
	{
		appendStringInfoChar(&buf, '>');
		write_seen(&buf, &position->next);
		appendStringInfo(&buf, ">%d:" INT64_FORMAT ":" INT64_FORMAT ":%d",
						 position->key.era, position->key.xid,
						 position->key.seq, position->key.row);
	}
	if (position->has_from)
		appendStringInfo(&buf, "!" INT64_FORMAT, position->from);
	return buf.data;
}

pg_noreturn static void
bad_position(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid position in a native stream: \"%s\"", text),
			 errhint("streamx.progress was changed by hand: use streamx.rebuild().")));
}

/* A number that is followed by the given character. */
static int64
read_number(const char *text, char **p, char after)
{
	char	   *end;
	int64		result;

	errno = 0;
	result = strtoi64(*p, &end, 10);
	if (end == *p || errno != 0 || *end != after)
		bad_position(text);
	*p = after == '\0' ? end : end + 1;
	return result;
}

static void
read_seen(const char *text, char **p, Seen *seen)
{
	char	   *q;
	int			commas = 0;

	seen->era = (int) read_number(text, p, '@');
	(void) read_number(text, p, ':');
	seen->xmax = read_number(text, p, ':');
	for (q = *p; *q != '\0' && *q != '>' && *q != '!'; q++)
		commas += *q == ',';
	seen->nxip = 0;
	seen->xip = palloc(sizeof(int64) * (commas + 1));
	while (*p != q)
	{
		char	   *end;

		errno = 0;
		seen->xip[seen->nxip++] = strtoi64(*p, &end, 10);
		if (end == *p || errno != 0 || (end != q && *end != ','))
			bad_position(text);
		*p = end == q ? end : end + 1;
	}
	qsort(seen->xip, seen->nxip, sizeof(int64), compare_xid);
}

/* NULL: before everything. */
static void
read_position(const char *text, Position *position)
{
	char	   *p;

	memset(position, 0, sizeof(*position));
	if (text == NULL)
		return;
	p = unconstify(char *, text);
	read_seen(text, &p, &position->seen);
	if (*p == '>')
	{
		p++;
		position->within = true;
		read_seen(text, &p, &position->next);
		if (*p++ != '>')
			bad_position(text);
		position->key.era = (int) read_number(text, &p, ':');
		position->key.xid = read_number(text, &p, ':');
		position->key.seq = read_number(text, &p, ':');
		position->key.row = (int) strtol(p, &p, 10);
	}
	if (*p == '!')
	{
		p++;
		position->has_from = true;
		position->from = read_number(text, &p, '\0');
	}
	if (*p != '\0')
		bad_position(text);
}

static int
compare_keys(const Key *a, const Key *b)
{
	if (a->era != b->era)
		return a->era < b->era ? -1 : 1;
	if (a->xid != b->xid)
		return a->xid < b->xid ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

/* Does a row lie behind a position? */
static bool
is_behind(const Position *position, const Key *row)
{
	if (sees(&position->seen, row->era, row->xid))
		return true;
	return position->within && sees(&position->next, row->era, row->xid) &&
		compare_keys(row, &position->key) < 0;
}

/* ---- differences -------------------------------------------------------- */

static void
add_range(Diff *diff, int *max, int era, int64 lo, int64 hi)
{
	if (lo >= hi)
		return;
	if (diff->nranges == *max)
	{
		*max = *max == 0 ? 16 : *max * 2;
		diff->ranges = diff->ranges == NULL ?
			palloc(sizeof(Range) * *max) :
			repalloc(diff->ranges, sizeof(Range) * *max);
	}
	diff->ranges[diff->nranges++] = (Range)
	{
		era, lo, hi, 0
	};
}

/* [lo, hi) of an era, less what "next" does not see. */
static void
add_seen_ranges(Diff *diff, int *max, int era, int64 lo, int64 hi,
				const Seen *next)
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

/* What "next" sees and "seen" does not, in order. */
static void
make_ranges(Diff *diff, const Seen *seen, const Seen *next)
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

/* Cut off the ranges before a key, which is a transaction that may go on. */
static void
cut_ranges(Diff *diff, const Key *key)
{
	Range	   *ranges = palloc(sizeof(Range) * (diff->nranges + 1));
	int			n = 0;
	int			i;

	for (i = 0; i < diff->nranges; i++)
	{
		Range		r = diff->ranges[i];

		if (r.era < key->era || (r.era == key->era && r.hi <= key->xid))
			continue;
		if (r.era == key->era && r.lo <= key->xid)
		{
			ranges[n++] = (Range)
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

/* Open the segments that have rows; only: one of them.  NULL journal: none. */
static bool
open_segments(Diff *diff, const SxJournal *journal, Oid only)
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

/* Locks stay: what is read is not to be emptied before it is saved. */
static void
close_segments(Diff *diff)
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
advance_segment(Diff *diff, int i)
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
start_range(Diff *diff)
{
	const Range *r = &diff->ranges[diff->range];
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

/*
 * Next chunk and its segment's number; NULL: no more.  It lives until the
 * next call.
 */
static HeapTuple
next_chunk(Diff *diff, int *segment, Key *key)
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
					(best < 0 || compare_keys(&diff->head_keys[i],
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

/*
 * Is there a row that "next" (NULL: whatever the snapshot sees, our own
 * transaction apart) has behind it and "position" does not?
 */
static bool
any_between(const SxJournal *journal, Oid only, const Position *position,
			const Position *to, Snapshot snapshot)
{
	Diff		diff = {0};
	Seen		now;
	Seen		last;
	HeapTuple	tup;
	int			segment;
	Key			key;
	bool		found = false;

	if (journal == NULL)
		return false;
	seen_by_snapshot(&now, sx_journal_era_now(journal), snapshot);
	last = to == NULL ? now : to->within ? to->next : to->seen;
	diff.snapshot = snapshot;
	if (position->within)
	{
		/* what of the difference is not read yet, and what came after it */
		Diff		rest = {0};

		make_ranges(&diff, &position->seen, &position->next);
		cut_ranges(&diff, &position->key);
		make_ranges(&rest, &position->next, &last);
		diff.ranges = repalloc(diff.ranges, sizeof(Range) *
							   (diff.nranges + rest.nranges + 1));
		if (rest.nranges > 0)
			memcpy(diff.ranges + diff.nranges, rest.ranges,
				   sizeof(Range) * rest.nranges);
		diff.nranges += rest.nranges;
	}
	else
		make_ranges(&diff, &position->seen, &last);
	if (diff.nranges == 0 || !open_segments(&diff, journal, only))
	{
		/* a segment that is being restored has what nobody has seen */
		found = diff.nranges > 0;
		close_segments(&diff);
		return found;
	}
	while (!found && (tup = next_chunk(&diff, &segment, &key)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
		bool		isnull;
		int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
													  desc, &isnull));

		if (!sees(&last, key.era, key.xid))
			continue;
		/* the last row of the chunk that counts is the one to look at */
		if (to != NULL && to->within && !sees(&to->seen, key.era, key.xid))
		{
			if (key.era == to->key.era && key.xid == to->key.xid &&
				key.seq == to->key.seq)
				rows = Min(rows, to->key.row);
			else if (compare_keys(&key, &to->key) > 0)
				continue;
		}
		if (rows == 0)
			continue;
		if (position->has_from &&
			DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
											 &isnull)) < position->from)
			continue;
		key.row = rows - 1;
		found = !is_behind(position, &key);
	}
	close_segments(&diff);
	return found;
}

bool
sx_native_unseen(const SxJournal *journal, Oid segment, const char *position,
				 Snapshot snapshot)
{
	Position	p;

	read_position(position, &p);
	return any_between(journal, segment, &p, NULL, snapshot);
}

static bool
reached(Oid stream, const char *position, const char *target)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SxJournal  *journal = sx_journal_read(stream, snapshot);
	Position	p;
	Position	to;
	bool		result;

	read_position(position, &p);
	read_position(target, &to);
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

/* The journal, in the era of this cluster; NULL: none, or none to be made. */
static SxJournal *
journal_of_now(Oid stream, bool make)
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
	SxJournal  *journal = journal_of_now(stream, true);
	Position	position = {0};
	char	   *result;

	snapshot = RegisterSnapshot(snapshot ? snapshot : GetLatestSnapshot());
	seen_by_snapshot(&position.seen,
					 journal == NULL ? 1 : sx_journal_era_now(journal), snapshot);
	result = write_position(&position);
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
	Position	position = {0};

	position.has_from = true;
	position.from = from;
	return write_position(&position);
}

int64
sx_journal_count(Oid stream, const char *from, const char *to)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SxJournal  *journal = sx_journal_read(stream, snapshot);
	Diff		diff = {0};
	Position	first;
	Position	end;
	int64		result = 0;

	read_position(from, &first);
	read_position(to, &end);
	diff.snapshot = snapshot;
	make_ranges(&diff, &first.seen, end.within ? &end.next : &end.seen);
	if (diff.nranges > 0 && open_segments(&diff, journal, InvalidOid))
	{
		HeapTuple	tup;
		int			segment;
		Key			key;

		while ((tup = next_chunk(&diff, &segment, &key)) != NULL)
		{
			TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
			bool		isnull;
			int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
														  desc, &isnull));

			if (first.has_from &&
				DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
												 &isnull)) < first.from)
				continue;
			if (end.within && !sees(&end.seen, key.era, key.xid))
			{
				if (key.era == end.key.era && key.xid == end.key.xid &&
					key.seq == end.key.seq)
					rows = Min(rows, end.key.row);
				else if (compare_keys(&key, &end.key) > 0)
					continue;
			}
			result += rows;
		}
	}
	close_segments(&diff);
	UnregisterSnapshot(snapshot);
	return result;
}

/* ---- the source --------------------------------------------------------- */

/* How a stream's column is found in a segment. */
typedef struct SegmentColumn
{
	int			nattnos;
	AttrNumber	attnos[4];		/* newest type first */
	bool		as_text[4];		/* another type: through text */
	Oid			elemtype[4];
	int16		typlen[4];
	bool		byval[4];
	char		align[4];
	Oid			outfunc[4];		/* if as_text */
} SegmentColumn;

typedef struct NativeSource
{
	SxSource	base;
	MemoryContext cxt;
	Oid			stream;
	const SxSchema *schema;
	char	   *start;			/* the stream's own option or NULL */
	const char *pending_start;	/* to be looked up at the next fill */
	MemoryContext position_cxt; /* the position's arrays */
	Position	position;
	bool		started;		/* has a position */
	bool		bounded;
	Position	end;			/* bounded: read only what is behind this */
	int64		next_offset;
	int64		remaining;		/* of the difference being read; -1: unknown */
	bool		at_end;
} NativeSource;

static SxSource *
native_open(const SxStream *stream)
{
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext,
											  "streamx native source",
											  ALLOCSET_SMALL_SIZES);
	NativeSource *source = MemoryContextAllocZero(cxt, sizeof(NativeSource));
	const char *start = sx_option_get(stream->table_options, "start");

	source->base.ops = &sx_source_native;
	source->cxt = cxt;
	source->stream = stream->relid;
	source->schema = stream->schema;
	source->start = start == NULL ? NULL : MemoryContextStrdup(cxt, start);
	source->position_cxt = AllocSetContextCreate(cxt, "streamx native position",
												 ALLOCSET_SMALL_SIZES);
	source->pending_start = "latest";
	source->remaining = -1;
	return &source->base;
}

/* Keep a copy of a position, which is in the current context. */
static void
keep_position(NativeSource *source, const Position *position)
{
	char	   *text = write_position(position);
	MemoryContext old;

	MemoryContextReset(source->position_cxt);
	old = MemoryContextSwitchTo(source->position_cxt);
	read_position(text, &source->position);
	MemoryContextSwitchTo(old);
	pfree(text);
	source->started = true;
}

static void
native_seek(SxSource *base, const SxPosition *positions, int npositions,
			const char *start)
{
	NativeSource *source = (NativeSource *) base;
	Position	position;
	const char *text = NULL;
	bool		found = false;
	int			i;

	source->remaining = -1;
	source->at_end = false;
	source->next_offset = 0;
	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition != 0 || positions[i].next_offset < 0)
			continue;
		source->next_offset = positions[i].next_offset;
		text = positions[i].snapshot;
		found = text != NULL;
	}
	if (found)
	{
		read_position(text, &position);
		keep_position(source, &position);
		return;
	}
	if (start == NULL)
		start = source->start;
	source->started = false;
	source->pending_start = start == NULL ? "latest" :
		MemoryContextStrdup(source->cxt, start);
}

/* The position that a start means; in a transaction. */
static void
start_from(NativeSource *source, const char *start)
{
	Position	position;

	if (strcmp(start, "latest") == 0)
		read_position(sx_journal_snapshot_now(source->stream, NULL), &position);
	else
		read_position(sx_journal_snapshot_earliest(), &position);
	if (strcmp(start, "latest") != 0 && strcmp(start, "earliest") != 0)
	{
		position.has_from = true;
		position.from =
			DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
													CStringGetDatum(start),
													ObjectIdGetDatum(InvalidOid),
													Int32GetDatum(-1)));
	}
	keep_position(source, &position);
}

void
sx_native_bound(SxSource *base, const char *position)
{
	NativeSource *source = (NativeSource *) base;
	MemoryContext old = MemoryContextSwitchTo(source->cxt);

	source->bounded = position != NULL;
	read_position(position == NULL ? NULL : pstrdup(position), &source->end);
	MemoryContextSwitchTo(old);
}

/* How the stream's columns are found in a segment; indexed by column. */
static SegmentColumn *
map_columns(const NativeSource *source, const SxJournal *journal,
			Relation segment)
{
	TupleDesc	desc = RelationGetDescr(segment);
	int			ncols = source->schema->ncols;
	SegmentColumn *result = palloc0(sizeof(SegmentColumn) * Max(ncols, 1));
	int			c;

	for (c = 0; c < ncols; c++)
	{
		const SxColumn *col = &source->schema->cols[c];
		SegmentColumn *m = &result[c];
		int			slot = 0;
		int			v;
		int			j;

		if (col->dropped || col->metadata != SX_META_NONE)
			continue;

		/* by number in the same cluster, by name in another one */
		if (journal->era == sx_journal_era_now(journal))
		{
			if (c < journal->ncolumns && journal->columns[c] != NULL)
				slot = journal->slots[c];
		}
		else
		{
			for (j = 0; j < journal->ncolumns; j++)
			{
				if (journal->columns[j] != NULL &&
					strcmp(journal->columns[j], col->name) == 0)
					slot = journal->slots[j];
			}
		}
		if (slot == 0)
			continue;
		m->nattnos = sx_journal_slot_columns(desc, slot, m->attnos,
											 lengthof(m->attnos));
		for (v = 0; v < m->nattnos; v++)
		{
			Oid			arraytype = TupleDescAttr(desc, m->attnos[v] - 1)->atttypid;

			m->elemtype[v] = get_element_type(arraytype);
			get_typlenbyvalalign(m->elemtype[v], &m->typlen[v], &m->byval[v],
								 &m->align[v]);
			m->as_text[v] = !sx_journal_type_fits(arraytype, col->typid);
			if (m->as_text[v])
			{
				bool		isvarlena;

				getTypeOutputInfo(m->elemtype[v], &m->outfunc[v], &isvarlena);
			}
		}
	}
	return result;
}

pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not keep the rows of a batch.")));
}

/* Values skip ... skip + n - 1 of an array into the batch's rows from row on. */
static void
read_array(SxBatch *batch, int row, int col, Datum datum,
		   const SegmentColumn *m, int v, int skip, int n)
{
	ArrayType  *array = (ArrayType *) detoast_attr((struct varlena *) DatumGetPointer(datum));
	Size		size = VARSIZE(array);
	Datum	   *values = batch->values[col] + row;
	bool	   *nulls = batch->nulls[col] + row;
	bits8	   *bitmap = ARR_NULLBITMAP(array);
	char	   *base = ARR_DATA_PTR(array);
	char	   *data;
	int			i;

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < skip + n)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a chunk of a journal has too few values"),
				 errhint("Tables in schema streamx_state are not to be changed by hand.")));

	if (!m->byval[v])
	{
		/* the values stay in the arena, in one piece */
		char	   *copy;

		size -= base - (char *) array;
		copy = sx_arena_alloc(&batch->arena, Max(size, 1));
		if (copy == NULL)
			out_of_memory();
		memcpy(copy, base, size);
		base = copy;
	}

	data = base;
	for (i = 0; i < skip + n; i++)
	{
		bool		isnull = bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) == 0;

		if (!isnull)
		{
			data = (char *) att_align_nominal(data, m->align[v]);
			if (i >= skip)
				values[i - skip] = fetch_att(data, m->byval[v], m->typlen[v]);
			data = att_addlength_pointer(data, m->typlen[v], data);
		}
		else if (i >= skip)
			values[i - skip] = (Datum) 0;
		if (i >= skip)
			nulls[i - skip] = isnull;
	}

	if (m->as_text[v])
	{
		for (i = 0; i < n; i++)
		{
			char	   *text;

			if (nulls[i])
				continue;
			text = OidOutputFunctionCall(m->outfunc[v], values[i]);
			if (!sx_batch_defer(batch, row + i, col, text, strlen(text)))
				out_of_memory();
			pfree(text);
		}
	}
}

/* Rows skip ... skip + n - 1 of a chunk to the end of the batch. */
static void
read_chunk(NativeSource *source, SxBatch *batch, TupleDesc desc,
		   HeapTuple tup, const SegmentColumn *columns, int skip, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			row = batch->nrows;
	int64		arrived;
	int			c;
	int			i;

	heap_deform_tuple(tup, desc, values, nulls);
	arrived = DatumGetTimestampTz(values[SX_SEGMENT_ARRIVED - 1]);
	for (i = 0; i < n; i++)
	{
		batch->partition[row + i] = 0;
		batch->position[row + i] = source->next_offset + i;
		batch->timestamp_us[row + i] = arrived;
		batch->arrival_us[row + i] = arrived;
		batch->payload[row + i] = NULL;
		batch->payload_len[row + i] = 0;
		batch->key[row + i] = NULL;
		batch->key_len[row + i] = 0;
	}
	for (c = 0; c < source->schema->ncols; c++)
	{
		const SegmentColumn *m = &columns[c];
		SxMetadata	metadata = source->schema->cols[c].metadata;
		int			v;

		if (batch->values[c] == NULL)
			continue;
		for (v = 0; v < m->nattnos; v++)
		{
			if (!nulls[m->attnos[v] - 1])
				break;
		}
		if (v < m->nattnos)
		{
			read_array(batch, row, c, values[m->attnos[v] - 1], m, v, skip, n);
			continue;
		}
		for (i = 0; i < n; i++)
		{
			batch->nulls[c][row + i] = false;
			switch (metadata)
			{
				case SX_META_PARTITION:
					batch->values[c][row + i] = Int32GetDatum(0);
					break;
				case SX_META_OFFSET:
					batch->values[c][row + i] = Int64GetDatum(batch->position[row + i]);
					break;
				case SX_META_TIMESTAMP:
				case SX_META_ARRIVAL_TIME:
					batch->values[c][row + i] = TimestampTzGetDatum(arrived);
					break;
				default:
					batch->values[c][row + i] = (Datum) 0;
					batch->nulls[c][row + i] = true;
					break;
			}
		}
	}
	batch->nrows += n;
	source->next_offset += n;
}

/* Rows of a difference from where the position stands. */
static int64
count_rest(const SxJournal *journal, const Position *position,
		   Snapshot snapshot)
{
	Diff		diff = {0};
	HeapTuple	tup;
	int			segment;
	Key			key;
	int64		n = 0;

	diff.snapshot = snapshot;
	make_ranges(&diff, &position->seen, &position->next);
	cut_ranges(&diff, &position->key);
	if (open_segments(&diff, journal, InvalidOid))
	{
		while ((tup = next_chunk(&diff, &segment, &key)) != NULL)
		{
			bool		isnull;

			n += DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
											RelationGetDescr(diff.rels[segment]),
											&isnull));
			if (key.era == position->key.era && key.xid == position->key.xid &&
				key.seq == position->key.seq)
				n -= position->key.row;
		}
	}
	close_segments(&diff);
	return n;
}

static int
native_fill(SxSource *base, SxBatch *batch)
{
	NativeSource *source = (NativeSource *) base;
	MemoryContext cxt;
	MemoryContext chunk_cxt;
	MemoryContext old;
	SxJournal  *journal;
	Snapshot	snapshot;
	Position	position;
	Diff		diff = {0};
	SegmentColumn *columns[SX_JOURNAL_MAX_SEGMENTS] = {0};
	int			before = batch->nrows;
	size_t		max_bytes = (size_t) sx_max_batch_kb * 1024;
	bool		full = batch->nrows >= batch->maxrows;
	bool		was_within;
	bool		moved;
	HeapTuple	tup;
	int			segment;
	Key			key;

	if (full)
		return 0;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx native read",
								ALLOCSET_DEFAULT_SIZES);
	chunk_cxt = AllocSetContextCreate(cxt, "streamx native chunk",
									  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	if (!source->started)
		start_from(source, source->pending_start);

	/*
	 * The journal as the same snapshot sees it: whoever wrote into a new
	 * segment saw that segment's entry committed before.
	 */
	journal = journal_of_now(source->stream, false);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (journal != NULL)
		journal = sx_journal_read(source->stream, snapshot);
	position = source->position;
	was_within = position.within;
	if (journal == NULL || !open_segments(&diff, journal, InvalidOid))
	{
		close_segments(&diff);
		UnregisterSnapshot(snapshot);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		source->at_end = journal == NULL;
		return 0;
	}

	if (!position.within)
	{
		seen_by_snapshot(&position.next, sx_journal_era_now(journal), snapshot);
		if (source->bounded)
			position.next = source->end.within ? source->end.next : source->end.seen;
	}
	diff.snapshot = snapshot;
	make_ranges(&diff, &position.seen, &position.next);
	if (position.within)
		cut_ranges(&diff, &position.key);

	/* every chunk of the difference, as far as the batch has room */
	while ((tup = next_chunk(&diff, &segment, &key)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(diff.rels[segment]);
		bool		isnull;
		int			rows = DatumGetInt32(heap_getattr(tup, SX_SEGMENT_ROWS,
													  desc, &isnull));
		int			skip = 0;
		int			n;

		if (position.within && key.era == position.key.era &&
			key.xid == position.key.xid && key.seq == position.key.seq)
			skip = Min(position.key.row, rows);
		if (position.has_from &&
			DatumGetTimestampTz(heap_getattr(tup, SX_SEGMENT_ARRIVED, desc,
											 &isnull)) < position.from)
			skip = rows;
		if (source->bounded && source->end.within &&
			!sees(&source->end.seen, key.era, key.xid))
		{
			if (key.era == source->end.key.era &&
				key.xid == source->end.key.xid &&
				key.seq == source->end.key.seq)
				rows = Max(skip, Min(rows, source->end.key.row));
			else if (compare_keys(&key, &source->end.key) > 0)
				rows = skip;
		}
		n = Min(rows - skip, batch->maxrows - batch->nrows);
		if (n > 0 && batch->nrows > before && batch->arena.used >= max_bytes)
			n = 0;
		if (n < rows - skip)
			full = true;
		if (n > 0)
		{
			if (columns[segment] == NULL)
				columns[segment] = map_columns(source, journal, diff.rels[segment]);
			MemoryContextSwitchTo(chunk_cxt);
			read_chunk(source, batch, desc, tup, columns[segment], skip, n);
			MemoryContextSwitchTo(cxt);
			MemoryContextReset(chunk_cxt);
		}
		if (full)
		{
			position.key = key;
			position.key.row = skip + n;
			break;
		}
	}
	close_segments(&diff);

	moved = batch->nrows > before;
	if (full)
	{
		position.within = true;
		if (source->remaining < 0 || !was_within)
			source->remaining = count_rest(journal, &position, snapshot);
		else
			source->remaining -= batch->nrows - before;
	}
	else
	{
		moved = moved || position.within;
		position.within = false;
		position.has_from = false;
		position.seen = position.next;
		source->remaining = 0;
	}
	source->at_end = !full;
	UnregisterSnapshot(snapshot);

	if (moved)
	{
		char	   *text = write_position(&position);
		char	   *copy = sx_arena_copy(&batch->arena, text, strlen(text));
		int			i;

		if (copy == NULL ||
			!sx_batch_set_position(batch, 0, source->next_offset))
			out_of_memory();
		for (i = 0; i < batch->npositions; i++)
		{
			if (batch->positions[i].partition == 0)
				batch->positions[i].snapshot = copy;
		}
	}
	keep_position(source, &position);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return batch->nrows - before;
}

static void
native_status(SxSource *base, SxSourceStatus *status)
{
	NativeSource *source = (NativeSource *) base;

	memset(status, 0, sizeof(*status));
	status->conn = SX_CONN_UP;
	status->partitions = calloc(1, sizeof(SxPartitionStatus));
	if (status->partitions == NULL)
		return;
	status->npartitions = 1;
	status->partitions[0].partition = 0;
	status->partitions[0].next_offset = source->next_offset;
	status->partitions[0].end_offset = source->remaining < 0 ? -1 :
		source->next_offset + source->remaining;
	status->partitions[0].at_end = source->at_end;
}

static int
native_wait_fd(SxSource *base)
{
	return -1;
}

/* What is committed is announced; all but what a subscription had prepared. */
static int
native_poll_interval_ms(SxSource *base)
{
	return 10000;
}

static void
native_close(SxSource *base)
{
	MemoryContextDelete(((NativeSource *) base)->cxt);
}

const SxSourceOps sx_source_native = {
	.kind = "native",
	.threaded = false,
	.replayable = false,
	.open = native_open,
	.seek = native_seek,
	.fill = native_fill,
	.status = native_status,
	.wait_fd = native_wait_fd,
	.poll_interval_ms = native_poll_interval_ms,
	.close = native_close,
};
