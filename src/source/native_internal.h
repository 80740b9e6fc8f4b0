/*-------------------------------------------------------------------------
 * native_internal.h
 *		What the files of the native source share: positions, and what lies
 *		between them.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_NATIVE_INTERNAL_H
#define SX_SOURCE_NATIVE_INTERNAL_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "source/journal_internal.h"

/* What a snapshot of an era sees. */
typedef struct SxNativeSeen
{
	int			era;
	int64		xmax;			/* nothing from here on */
	int			nxip;
	int64	   *xip;			/* nor these, ascending, all below xmax */
} SxNativeSeen;

/* Place of a row: the next one to be read. */
typedef struct SxNativeKey
{
	int			era;
	int64		xid;
	int64		seq;
	int			row;
} SxNativeKey;

typedef struct SxNativePosition
{
	SxNativeSeen seen;
	bool		within;			/* reading the difference of seen and next */
	SxNativeSeen next;
	SxNativeKey key;
	bool		has_from;		/* passes over what arrived before "from" */
	TimestampTz from;
} SxNativePosition;

/* Chunks with era = era, lo <= xid < hi, and seq >= seq if it is one xid. */
typedef struct SxNativeRange
{
	int			era;
	int64		lo;
	int64		hi;
	int64		seq;
} SxNativeRange;

/* The rows of a difference, over all segments, in order of their keys. */
typedef struct SxNativeDiff
{
	Snapshot	snapshot;
	int			nranges;
	SxNativeRange *ranges;
	int			range;			/* being scanned; -1: not begun */
	int			nsegments;
	Relation	rels[SX_JOURNAL_MAX_SEGMENTS];
	Relation	indexes[SX_JOURNAL_MAX_SEGMENTS];
	SysScanDesc scans[SX_JOURNAL_MAX_SEGMENTS];
	HeapTuple	heads[SX_JOURNAL_MAX_SEGMENTS]; /* next of each, or NULL */
	SxNativeKey head_keys[SX_JOURNAL_MAX_SEGMENTS];
	int			last;			/* segment of the chunk returned last, -1 */
} SxNativeDiff;

/* ---- native_position.c ---- */

extern bool sx_native_sees(const SxNativeSeen *seen, int era, int64 xid);

/* Without our own transaction; palloc'd.  ERROR during recovery. */
extern void sx_native_see(SxNativeSeen *seen, int era, Snapshot snapshot);

/* From text and to it, palloc'd.  NULL: before everything. */
extern void sx_native_position(const char *text, SxNativePosition *position);
extern char *sx_native_position_text(const SxNativePosition *position);

extern int	sx_native_compare(const SxNativeKey *a, const SxNativeKey *b);
extern bool sx_native_same_chunk(const SxNativeKey *a, const SxNativeKey *b);

/* Does a row lie behind a position? */
extern bool sx_native_is_behind(const SxNativePosition *position, const SxNativeKey *row);

/* Of a chunk that the position's snapshots see: how many rows are behind it. */
extern int	sx_native_rows_behind(const SxNativePosition *position, const SxNativeKey *chunk,
								  int rows);

/* ---- native_diff.c ---- */

/* What "next" sees and "seen" does not, in order; diff->snapshot is set. */
extern void sx_native_diff_between(SxNativeDiff *diff, const SxNativeSeen *seen,
								   const SxNativeSeen *next);

/* Cut off the ranges before a key, which is a transaction that may go on. */
extern void sx_native_diff_from(SxNativeDiff *diff, const SxNativeKey *key);

/*
 * Open the segments that have rows; only: one of them.  NULL journal: none.
 * false: one is being restored.  To be closed in any case; locks stay: what is
 * read is not to be emptied before it is saved.
 */
extern bool sx_native_diff_open(SxNativeDiff *diff, const SxJournal *journal, Oid only);
extern void sx_native_diff_close(SxNativeDiff *diff);

/*
 * Next chunk and its segment's number; NULL: no more.  It lives until the
 * next call.
 */
extern HeapTuple sx_native_diff_next(SxNativeDiff *diff, int *segment, SxNativeKey *key);

/* Rows of a difference from where the position, within it, stands. */
extern int64 sx_native_diff_rest(const SxJournal *journal, const SxNativePosition *position,
								 Snapshot snapshot);

/* The journal, in the era of this cluster; NULL: none, or none to be made. */
extern SxJournal *sx_native_journal(Oid stream, bool make);

#endif							/* SX_SOURCE_NATIVE_INTERNAL_H */
