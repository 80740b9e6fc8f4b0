/*-------------------------------------------------------------------------
 * native_position.c
 *		Positions in the journal of a native stream.
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

#include "access/transam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"

#include "compat.h"
#include "source/native_internal.h"

static int
compare_xid(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

bool
sx_native_sees(const SxNativeSeen *seen, int era, int64 xid)
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

void
sx_native_see(SxNativeSeen *seen, int era, Snapshot snapshot)
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
write_seen(StringInfo buf, const SxNativeSeen *seen)
{
	int			i;

	appendStringInfo(buf, "%d@" INT64_FORMAT ":" INT64_FORMAT ":", seen->era,
					 seen->nxip > 0 ? seen->xip[0] : seen->xmax, seen->xmax);
	for (i = 0; i < seen->nxip; i++)
		appendStringInfo(buf, "%s" INT64_FORMAT, i > 0 ? "," : "", seen->xip[i]);
}

char *
sx_native_position_text(const SxNativePosition *position)
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
read_seen(const char *text, char **p, SxNativeSeen *seen)
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

void
sx_native_position(const char *text, SxNativePosition *position)
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

int
sx_native_compare(const SxNativeKey *a, const SxNativeKey *b)
{
	if (a->era != b->era)
		return a->era < b->era ? -1 : 1;
	if (a->xid != b->xid)
		return a->xid < b->xid ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

bool
sx_native_is_behind(const SxNativePosition *position, const SxNativeKey *row)
{
	if (sx_native_sees(&position->seen, row->era, row->xid))
		return true;
	return position->within && sx_native_sees(&position->next, row->era, row->xid) &&
		sx_native_compare(row, &position->key) < 0;
}

bool
sx_native_same_chunk(const SxNativeKey *a, const SxNativeKey *b)
{
	return a->era == b->era && a->xid == b->xid && a->seq == b->seq;
}

int
sx_native_rows_behind(const SxNativePosition *position, const SxNativeKey *chunk, int rows)
{
	if (!position->within || sx_native_sees(&position->seen, chunk->era, chunk->xid))
		return rows;
	if (sx_native_same_chunk(chunk, &position->key))
		return Min(rows, position->key.row);
	return sx_native_compare(chunk, &position->key) > 0 ? 0 : rows;
}
