/*-------------------------------------------------------------------------
 * session.h
 *		Inside of the room: views that group by session(ts, gap).
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_SESSION_H
#define SX_RESULT_SESSION_H

#include "postgres.h"

#include "result/merge.h"

/* What sx_result_open makes for such a view. */
extern struct SxSessionKeys *sx_session_open(const SxShape *shape);

/* The parts of sx_result_merge, sx_result_recompute and sx_result_close. */
extern int64 sx_session_merge(SxResult *r, SxRows *rows, int64 closed_us,
							  int64 *late);
extern int64 sx_session_recompute(SxResult *r, SxRows *rows, int64 closed_us,
								  int64 *late);
extern int64 sx_session_close(SxResult *r, int64 closed_us);
extern int64 sx_session_close_held(SxResult *r, int64 closed_us);
extern void sx_session_remove_old(SxResult *r, int64 closed_us);

/* ---- session_state.c: the state table by key and time ---- */

/*
 * A row of a batch, or a session of it: whose it is and when.  Those without
 * a time are a session of their own.
 */
typedef struct SxPiece
{
	const Datum *values;		/* of the batch's row: keys, ... */
	const bool *nulls;
	uint64		hash;
	Datum	   *keys;			/* the other keys */
	bool	   *key_nulls;
	bool		timeless;
	int64		start;
	int64		last;
} SxPiece;

/* The grouping columns other than the session: whose sessions they are. */
typedef struct SxSessionKeys
{
	int			n;
	int			column[INDEX_MAX_KEYS]; /* of the view's keys */
	SxKeyOps   *ops;
	SortSupportData *sort;
	int64		swept_us;		/* merge: no session has its last row at that
								 * time or before; PG_INT64_MIN: not known */
	MemoryContext late_cxt;
	SxPiece    *late;			/* of the batch at hand, in their order */
	int64		nlate;
} SxSessionKeys;

/* Make it known that the piece is late, one after the other in their order. */
extern void sx_session_note_late(SxResult *r, const SxPiece *piece);
extern void sx_session_forget_late(SxResult *r);

/* In the order of hash, other keys, time. */
extern SxPiece *sx_session_pieces(SxResult *r, const SxRows *rows);
extern int	sx_session_compare_pieces(SxResult *r, const SxPiece *a,
									  const SxPiece *b);
extern bool sx_session_same_keys(SxResult *r, const SxPiece *a, const SxPiece *b);

/* The state table, open for writing and for looking by key and time. */
typedef struct SxSessionTable
{
	SxResult   *r;
	SxWriter   *writer;
	Relation	by_key;			/* index on (h, time) */
	Relation	by_time;		/* index on (time) */
	IndexScanDesc key_scan;
	IndexScanDesc time_scan;
	TupleTableSlot *slot;		/* the row found */
	MemoryContext cxt;			/* of the scans */
	Datum	   *keys;			/* its other keys */
	bool	   *key_nulls;
} SxSessionTable;

extern void sx_session_table_begin(SxSessionTable *st, SxResult *r);
extern void sx_session_table_end(SxSessionTable *st);

/*
 * Rows of the piece's keys whose time is "from" or later, in its order; if
 * the piece has no time, those that have none.
 */
extern void sx_session_seek(SxSessionTable *st, const SxPiece *piece, int64 from);
extern bool sx_session_next(SxSessionTable *st, const SxPiece *piece);

/* Where the session begins that the piece is of, by the rows held before. */
extern int64 sx_session_begin_of(SxSessionTable *st, const SxPiece *piece);

/* All rows at that time or later, in its order; the slot's time is *time. */
extern void sx_session_seek_all(SxSessionTable *st, int64 from);
extern bool sx_session_next_of_all(SxSessionTable *st, int64 *time);

/* What the slot has in place of the session's key, and of its time. */
extern int64 sx_session_slot_key(SxSessionTable *st);
extern int64 sx_session_slot_time(SxSessionTable *st);

/* A group with the piece's keys and a session that starts then. */
extern void sx_session_group(SxResult *r, const SxPiece *piece, int64 start,
							 SxGroup *group);

/* Its row of the result goes, if it has one; returns 1 then. */
extern int	sx_session_delete_row(SxWriter *writer, SxKeyIndex *index,
								  const SxGroup *group);

#endif							/* SX_RESULT_SESSION_H */
