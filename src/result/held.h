/*-------------------------------------------------------------------------
 * held.h
 *		Rows of joined streams that are held (plan/join.h), in tables
 *		streamx_state.h<id>_<number>.
 *
 * Like all of the room: inside the batch's transaction, as the view's owner,
 * with an active snapshot that sees what the transaction did before.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_HELD_H
#define SX_RESULT_HELD_H

#include "postgres.h"

#include "tcop/dest.h"

#include "base/batch.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "plan/plan.h"

typedef struct SxHeldRows SxHeldRows;

/* Name of a table of rows, in streamx_state: its number among the view's */
extern char *sx_held_name(int view_id, int number);

/* In the current context, where it stays; ERROR if a table is missing. */
extern SxHeldRows *sx_held_open(const SxView *view, const SxJoined *joined);

/* The stream of a side. */
extern const SxStream *sx_held_stream(const SxHeldRows *held, int side);

/* The tables, by side. */
extern const Oid *sx_held_tables(const SxHeldRows *held);

/*
 * sx_held_receiver -- a receiver for the rows of sx_plan_join_hold()
 *
 * Rows whose event time is before closed_us are late: they are left out, and
 * their numbers marked in late (from first_row on; NULL: not wanted).  The
 * others are held, until the end of the batch at least.
 */
extern DestReceiver *sx_held_receiver(SxHeldRows *held, int side,
									  int64 closed_us, bool *late,
									  int64 first_row);

/*
 * Is there possibly a row that expires before closed_us?  Cheap; true while
 * it has not looked.
 */
extern bool sx_held_can_expire(const SxHeldRows *held, int64 closed_us);

/*
 * Rows of a side that expire in [from_us, to_us), in the order of that (those
 * that had expired when they came: at PG_INT64_MIN), as batches of the stream of up to max_rows; NULL: no more.  Each lives in the
 * context that is current; the scan ends with the last one.
 */
typedef struct SxHeldScan SxHeldScan;
extern SxHeldScan *sx_held_begin(SxHeldRows *held, int side, int64 from_us,
								 int64 to_us);
extern SxBatch *sx_held_next(SxHeldScan *scan, int max_rows);

/*
 * The least event time with which a row of the side can come out when nothing
 * before closed_us does any more.
 */
extern int64 sx_held_least_time(SxHeldRows *held, int side, int64 closed_us);

/* Remove what no row still to come, and none still to be looked at, needs. */
extern void sx_held_remove(SxHeldRows *held, int64 closed_us);

/* What is remembered of the tables may be wrong: after every abort. */
extern void sx_held_forget(SxHeldRows *held);

#endif							/* SX_RESULT_HELD_H */
