/*-------------------------------------------------------------------------
 * result.h
 *		The result table and the state of a view; dead letters.
 *
 * The only writer of users' tables.  Runs inside the batch's transaction, as
 * the view's owner, with an active snapshot that sees what the transaction
 * did before.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_RESULT_H
#define SX_RESULT_RESULT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "tcop/dest.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "exec/exec.h"
#include "plan/plan.h"

typedef struct SxResult SxResult;

/* Groups of open windows in memory, see open.c. */
typedef struct SxOpen SxOpen;

/* In the current context, where it stays; view and shape have to stay too. */
extern SxResult *sx_result_open(const SxView *view, const SxShape *shape);

/*
 * sx_result_merge -- fold a batch's partial states into the stored ones
 *
 * Writes the state table, and the result table unless the view emits final
 * rows.  Groups whose window ends at or before closed_us are left out:
 * *dropped counts them.  Returns the rows of the result that were inserted,
 * updated or deleted.  Sessions: *dropped counts the rows that are late.
 */
extern int64 sx_result_merge(SxResult *result, SxRows *partials,
							 int64 closed_us, int64 *dropped);

/*
 * sx_result_recompute -- hold a batch's rows, compute their groups again
 *
 * rows: (keys ..., what is held ...).  Otherwise as sx_result_merge.
 */
extern int64 sx_result_recompute(SxResult *result, SxRows *rows,
								 int64 closed_us, int64 *dropped);

/* What ended at or before this was closed when the batch at hand began. */
extern void sx_result_closed_before(SxResult *result, int64 closed_us);

/* One of the two above, by the view's strategy. */
extern int64 sx_result_take(SxResult *result, SxRows *rows, int64 closed_us,
							int64 *dropped);

/*
 * Was the row with these keys, the time in place of the session, late when
 * the batch was merged last?
 */
extern bool sx_result_was_late(SxResult *result, const Datum *keys,
							   const bool *nulls);

/*
 * sx_result_derive -- fold rows into a derived view's cores, derive what
 * changed by it
 *
 * Returns the rows written; *late, in the current context, those that were.
 */
typedef struct SxLateRows
{
	int64		nrows;
	int64	   *rows;			/* their numbers in the input, in order; NULL:
								 * they cannot be told apart */
} SxLateRows;

extern int64 sx_result_derive(SxResult *result, const SxScanInput *input,
							  int64 closed_us, SxLateRows *late);

/*
 * The parts of it, for views whose cores join streams: begin; fold rows into
 * the cores that do not; what a plan gives over the input into one that does,
 * of which nothing is late; derive.
 */
extern void sx_result_derive_begin(SxResult *result);
extern void sx_result_derive_rows(SxResult *result, const SxScanInput *input,
								  int64 closed_us, SxLateRows *late);
extern void sx_result_derive_joined(SxResult *result, int core, PlannedStmt *plan,
									const SxScanInput *input);
extern int64 sx_result_derive_end(SxResult *result);

/*
 * sx_result_follow -- derive what the writing of other views' results, which
 * it reads, has changed; or the whole anew
 *
 * Returns the rows written.
 */
extern int64 sx_result_follow(SxResult *result, bool whole);

/*
 * A batch may take rows in more than once before it ends.  What would be
 * written each time, and again, is then kept back if the view's way of
 * maintaining allows: between gather and flush, results (and states that are
 * cached) are behind.  Any error in between loses what was kept back: the
 * transaction has to be given up.
 *
 * sx_result_gather -- begin to do so; false: the view always writes at once
 */
extern bool sx_result_gather(SxResult *result);
extern bool sx_result_gathering(const SxResult *result);

/* Memory of what is kept back, bytes, about. */
extern int64 sx_result_gathered_bytes(const SxResult *result);

/* Write it.  Returns the rows of the result that changed. */
extern int64 sx_result_flush(SxResult *result);

/* Of a derived view: what it reads and writes besides the result, and locks. */
extern List *sx_result_relations(const SxResult *result);
extern void sx_result_lock(const SxResult *result);

/*
 * sx_result_close -- windows that end at or before closed_us are closed
 *
 * Their states go; a view that emits final rows writes them now.  Returns the
 * rows written.
 */
extern int64 sx_result_close(SxResult *result, int64 closed_us);

/* Is this the fault of a row, which others need not suffer for? */
extern bool sx_result_is_row_error(int sqlstate);

/* What becomes of a group whose row fails as its window closes. */
typedef enum SxShed
{
	SX_SHED_NOTHING,			/* the error is raised */
	SX_SHED_COUNT,				/* it is left out */
	SX_SHED_KEEP,				/* and kept as a dead letter */
} SxShed;

#define SX_SHED_PARTITION	(-1)	/* of such dead letters */

extern void sx_result_set_shed(SxResult *result, SxShed shed);
extern int64 sx_result_nshed(const SxResult *result);	/* since then */

/*
 * Of a derived view: those of cores that join no streams, for which nothing is
 * waited for.
 */
extern void sx_result_close_unjoined(SxResult *result, int64 closed_us);

/*
 * Is there possibly a window to close?  Cheap; true while it has not looked.
 */
extern bool sx_result_can_close(const SxResult *result, int64 closed_us);

/*
 * Of a sliding window: when may its next row leave, by the clock?
 * PG_INT64_MIN: it has to be looked for; PG_INT64_MAX: none will.
 */
extern int64 sx_result_leaves_at(const SxResult *result);

/*
 * sx_result_leave -- take the rows out whose time has come
 *
 * As of the transaction's start.  Returns the rows written.
 */
extern int64 sx_result_leave(SxResult *result);

/*
 * A receiver that appends rows to the result table; rDestroy finishes the
 * writing.  *nrows counts.
 */
extern DestReceiver *sx_result_appender(SxResult *result, int64 *nrows);

/*
 * The view's sink, if it has one: rows written between begin and end go there
 * as well.  base: rows that the outbox had got before.  Each part of the batch
 * ends with emit_part, or is rolled back to the mark made before it; end
 * returns how many rows the outbox has got; discard, after an abort of all.
 */
typedef struct SxEmitMark
{
	int64		nkept;
	int64		written;
} SxEmitMark;

extern void sx_result_emit_begin(SxResult *result, int64 base);
extern void sx_result_emit_mark(const SxResult *result, SxEmitMark *mark);
extern void sx_result_emit_part(SxResult *result);
extern void sx_result_emit_rollback(SxResult *result, const SxEmitMark *mark);
extern int64 sx_result_emit_end(SxResult *result);
extern void sx_result_emit_discard(SxResult *result);

/*
 * Throw the cache of groups away: after every abort, subtransactions
 * included, and when the tables were changed behind our back.
 */
extern void sx_result_forget(SxResult *result);

/* After a commit: keep the cache within streamx.state_memory. */
extern void sx_result_trim(SxResult *result);

/* Bytes of the cache, and of groups that are in memory only. */
extern int64 sx_result_memory(const SxResult *result);

/*
 * Views that emit final rows may keep the groups of open windows in memory
 * only; the functions up to sx_result_restore do nothing for all others.
 *
 * sx_result_mark -- a place to go back to, in a (sub)transaction that begins
 *
 * 0: the beginning of the transaction.
 */
extern int64 sx_result_mark(SxResult *result);

/* The (sub)transaction was rolled back: undo what was done since. */
extern void sx_result_undo(SxResult *result, int64 mark);

/* That could not be done: the rows have to be read again. */
extern bool sx_result_lost(const SxResult *result);

/* The last act of a batch: write to the state table what is too much. */
extern void sx_result_settle(SxResult *result, bool store);

/*
 * sx_result_replay -- from where on the rows of open windows are to be read
 * again, if what is in memory is lost
 *
 * before, after: where the view stood before the batch at hand and stands
 * after it.  *nreplay 0: from where it stands.  Returns whether that is
 * another place than the one last saved.  *replay lives until the commit.
 */
extern bool sx_result_replay(SxResult *result,
							 const SxPosition *before, int nbefore,
							 const SxPosition *after, int nafter,
							 const SxPosition **replay, int *nreplay);

/* The transaction has committed. */
extern void sx_result_committed(SxResult *result);

/*
 * sx_result_restore -- begin to fill the memory by reading rows again
 *
 * saved: the replay positions in the catalog.  careful: it was lost before.
 */
extern void sx_result_restore(SxResult *result, const SxPosition *saved,
							  int nsaved, bool careful);

/*
 * sx_result_detach -- what is in memory, to be given to another SxResult of
 * the same view, as of the last commit
 *
 * Hangs below "parent" from then on.  NULL: there is nothing to be kept.
 */
extern SxOpen *sx_result_detach(SxResult *result, MemoryContext parent);

/*
 * Is this the place from which the catalog says its rows can be had again?  If
 * not, somebody else has changed what is stored.  n 0: nothing is to be read.
 */
extern bool sx_open_replays_from(const SxOpen *open, const SxPosition *replay, int n);
extern bool sx_result_replays_from(const SxResult *result,
								   const SxPosition *replay, int n);

/* false: the view is another one now; "open" stays the caller's. */
extern bool sx_result_attach(SxResult *result, SxOpen *open);
extern void sx_open_free(SxOpen *open);

/* Copies with their texts, in the current context. */
extern SxPosition *sx_positions_copy(const SxPosition *positions, int n);
extern void sx_positions_free(SxPosition *positions, int n);

/* Does the view keep groups in memory only? */
extern bool sx_result_in_memory(const SxResult *result);

/* Forget all that is in memory only. */
extern void sx_result_empty(SxResult *result);

/* Take a batch's partial states in again; the others are stored or written. */
extern void sx_result_refill(SxResult *result, SxRows *partials, int64 closed_us);

/*
 * At CREATE: a view without GROUP BY has its row before any input, and what
 * the query takes from tables alone is there, as the active snapshot sees it.
 */
extern void sx_result_initialize(Oid view);

/* The same, into empty tables; rows written are counted. */
extern void sx_result_begin(SxView *view, SxViewCounters *counters);

/*
 * sx_result_dead_letter -- keep a row that failed, with the reason
 *
 * view: InvalidOid if it did not decode.  At most one per position and view
 * is kept; false: it was there already.
 */
extern bool sx_result_dead_letter(Oid stream, Oid view, const SxReject *reject);

/*
 * Messages that a view has not: those of its own and those of the stream; as
 * the active snapshot sees them, palloc'd.
 */
extern SxSkip *sx_result_dead_letters(Oid stream, Oid view, int *n);

/* Keep a late row of the view: row number in the batch. */
extern void sx_result_late_row(const SxView *view, const SxStream *stream,
							   const SxBatch *batch, int row);

/* A row of a batch as JSON text; desc: the stream's columns. */
extern text * sx_result_row_as_json(TupleDesc desc, const SxBatch *batch, int row);

/* describe.c: lines about state and result, see plan/describe.h */
extern void sx_result_describe(StringInfo text, const SxView *view,
							   const SxShape *shape);

#endif							/* SX_RESULT_RESULT_H */
