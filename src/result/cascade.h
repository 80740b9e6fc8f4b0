/*-------------------------------------------------------------------------
 * cascade.h
 *		Views over the results of other views that emit final rows: how far
 *		what they read is complete, and the windows that are.
 *
 * Before a time B, which only grows and is kept with the view's counters in
 * the transaction that moves it, its windows have come, and do not come again.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_CASCADE_H
#define SX_RESULT_CASCADE_H

#include "postgres.h"

#include "catalog/view.h"
#include "plan/closing.h"
#include "result/result.h"

/* Where a view stands. */
typedef struct SxStanding
{
	const SxView *view;
	int64		watermark_us;	/* its result is as of this one */
	int64		final_before_us;	/* of final views over other views */
} SxStanding;

/* Tells it of a view that is read; as the transaction sees its result. */
typedef void (*SxStandingOf) (Oid view, SxStanding *standing);

/* As the catalog has it: for those that are no worker. */
extern void sx_cascade_standing(Oid view, SxStanding *standing);

typedef struct SxComplete
{
	int64		before_us;		/* windows before this are; PG_INT64_MIN: none
								 * are */
	Oid			base;			/* the view over streams which it waits for */
	int64		watermark_us;	/* that one's, before which it does not go on */
} SxComplete;

/* How far is what the view reads complete, for its own windows? */
extern void sx_cascade_complete(const SxView *view, const SxClosing *closing,
								SxStandingOf standing_of, SxComplete *complete);

/*
 * Of windows up to this one, retention may have taken rows away that they were
 * made of; PG_INT64_MIN: of none.
 */
extern int64 sx_cascade_lost(const SxView *view, const SxClosing *closing,
							 SxStandingOf standing_of);

/*
 * sx_result_take_windows -- rows of the windows from one on, before another
 *
 * What is there of them becomes what the query gives; returns the rows
 * written.
 */
extern int64 sx_result_take_windows(SxResult *result, int64 from_us, int64 before_us);

/* Look for the last one, if it is not known, as the view's owner. */
extern void sx_result_look_for_windows(SxResult *result, int64 from_us);

/* Are there, for all that is known, windows from this one on? */
extern bool sx_result_waits_for_windows(const SxResult *result, int64 from_us);

/* Rows older than the view's retention go. */
extern void sx_result_retain(SxResult *result, int64 watermark_us);

/* derive.c's part */
extern int64 sx_derived_windows(SxResult *result, int64 from_us, int64 before_us);

/* The last window that the sources may have; PG_INT64_MAX: not known. */
extern int64 sx_derived_last_window(const SxResult *result);
extern void sx_derived_set_last_window(SxResult *result, int64 last_us);

#endif							/* SX_RESULT_CASCADE_H */
