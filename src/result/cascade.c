/*-------------------------------------------------------------------------
 * cascade.c
 *		Views over the results of other views that emit final rows.
 *
 * What they read is complete before a time that follows from the watermark of
 * the views over streams below them: the first window that is open there, and
 * for each view in between the window of its own that this is in.  It is
 * tight: hours over minutes close with their last minute.
 *
 * A result lags behind its sources if the view did not get through; so it
 * counts at the watermark that it has come to, not at theirs.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/stop.h"
#include "exec/owner.h"
#include "result/cascade.h"
#include "result/merge.h"

void
sx_cascade_standing(Oid relid, SxStanding *standing)
{
	standing->view = sx_view_get(relid);
	if (standing->view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", relid),
				 errhint("streamx.views lists the continuous views.")));
	standing->watermark_us = sx_view_watermark(relid);
	standing->final_before_us = sx_view_final_before(relid);
}

/* ---- how far it is complete ---- */

static void complete_view(const SxClosing *closing, int64 lateness_us, int64 watermark_us,
						  SxStandingOf standing_of, SxComplete *complete);

/* What one view makes of the views that it reads, at most at this watermark. */
static void
complete_uses(const SxView *view, const SxClosing *closing, int64 lateness_us,
			  int64 watermark_us, SxStandingOf standing_of, SxComplete *complete)
{
	ListCell   *lc;

	complete->before_us = PG_INT64_MAX;
	foreach(lc, closing->uses)
	{
		const SxClosingUse *use = lfirst(lc);
		SxComplete	source;
		SxOwnerScope scope;

		complete_view(use->source, lateness_us, watermark_us, standing_of, &source);
		if (source.before_us != PG_INT64_MIN && use->calls)
		{
			const SxWindowCall *outer = llast(use->calls);

			sx_owner_enter(view, &scope);
			source.before_us = sx_plan_windows_of(use->calls, source.before_us);

			/* fixed windows over starts of windows end no sooner than these */
			if (use->source->window->kind != SX_WINDOW_CUMULATE)
			{
				int64		end = sx_window_end(outer->window, source.before_us);

				source.watermark_us = Max(source.watermark_us, end + lateness_us);
			}
			sx_owner_leave(&scope);
		}
		if (source.before_us < complete->before_us)
			*complete = source;
	}
}

/* The result of a view. */
static void
complete_view(const SxClosing *closing, int64 lateness_us, int64 watermark_us,
			  SxStandingOf standing_of, SxComplete *complete)
{
	SxStanding	s;
	SxOwnerScope scope;

	check_stack_depth();
	standing_of(closing->view, &s);
	lateness_us = Max(lateness_us, s.view->lateness_us);
	watermark_us = Min(watermark_us, s.watermark_us);
	if (closing->call == NULL)
	{
		complete_uses(s.view, closing, lateness_us, watermark_us, standing_of, complete);
		if (s.view->final)
			complete->before_us = Min(complete->before_us, s.final_before_us);
		return;
	}
	complete->base = closing->view;
	complete->before_us = PG_INT64_MIN;
	complete->watermark_us = PG_INT64_MIN + 1;
	if (watermark_us == PG_INT64_MIN)
		return;
	sx_owner_enter(s.view, &scope);
	complete->before_us = sx_plan_open_window(closing->call, watermark_us - lateness_us);
	complete->watermark_us = sx_window_end(closing->window, complete->before_us) + lateness_us;
	sx_owner_leave(&scope);
}

void
sx_cascade_complete(const SxView *view, const SxClosing *closing,
					SxStandingOf standing_of, SxComplete *complete)
{
	complete_uses(view, closing, view->lateness_us, PG_INT64_MAX, standing_of, complete);
}

/* ---- what retention has taken ---- */

static int64
lost_of_uses(const SxView *view, const SxClosing *closing, SxStandingOf standing_of)
{
	int64		result = PG_INT64_MIN;
	ListCell   *lc;

	foreach(lc, closing->uses)
	{
		const SxClosingUse *use = lfirst(lc);
		const SxClosing *source = use->source;
		SxStanding	s;
		int64		lost = PG_INT64_MIN;
		SxOwnerScope scope;

		standing_of(source->view, &s);
		if (source->call == NULL && !s.view->final)
			lost = lost_of_uses(s.view, source, standing_of);
		if (s.view->has_retention && s.watermark_us != PG_INT64_MIN)
		{
			int64		until = s.watermark_us - s.view->lateness_us - s.view->retention_us;

			sx_owner_enter(s.view, &scope);
			if (source->window->kind != SX_WINDOW_CUMULATE)
				until = sx_window_start(source->window, until);
			sx_owner_leave(&scope);
			lost = Max(lost, until);
		}
		if (lost == PG_INT64_MIN)
			continue;
		sx_owner_enter(view, &scope);
		result = Max(result, sx_plan_windows_of(use->calls, lost));
		sx_owner_leave(&scope);
	}
	return result;
}

int64
sx_cascade_lost(const SxView *view, const SxClosing *closing, SxStandingOf standing_of)
{
	return lost_of_uses(view, closing, standing_of);
}

/* ---- the windows ---- */

int64
sx_result_take_windows(SxResult *r, int64 from_us, int64 before_us)
{
	int64		written;

	SX_STOP("before_close", r->view->name);
	r->closing = true;
	PG_TRY();
	{
		written = sx_derived_windows(r, from_us, before_us);
	}
	PG_FINALLY();
	{
		r->closing = false;
	}
	PG_END_TRY();
	SX_STOP("after_close", r->view->name);
	return written;
}

/* The last window that the source has, from this one on; PG_INT64_MIN: none. */
static int64
last_window(const SxClosing *source, int64 from_us)
{
	const char *column = quote_identifier(get_attname(source->view, source->column, false));
	Oid			type = source->typid;
	Datum		from = Int64GetDatum(from_us);
	Datum		last;
	bool		null;
	char	   *sql;

	sql = psprintf("SELECT pg_catalog.max(%s) FROM %s WHERE %s OPERATOR(pg_catalog.>=) $1", column,
				   quote_qualified_identifier(get_namespace_name(get_rel_namespace(source->view)),
											  get_rel_name(source->view)),
				   column);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, 1, &type, &from, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look for windows: %s", sql);
	last = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	SPI_finish();
	return null ? PG_INT64_MIN : DatumGetInt64(last);
}

void
sx_result_look_for_windows(SxResult *r, int64 from_us)
{
	int64		last = PG_INT64_MIN;
	ListCell   *lc;

	if (sx_derived_last_window(r) != PG_INT64_MAX)
		return;
	foreach(lc, r->shape->derivation->closing->uses)
		last = Max(last, last_window(((SxClosingUse *) lfirst(lc))->source, from_us));
	sx_derived_set_last_window(r, last);
}

bool
sx_result_waits_for_windows(const SxResult *r, int64 from_us)
{
	return sx_derived_last_window(r) >= from_us;
}

void
sx_result_retain(SxResult *r, int64 watermark_us)
{
	if (watermark_us != PG_INT64_MIN)
		sx_result_remove_old(r, watermark_us - r->view->lateness_us);
}
