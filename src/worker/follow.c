/*-------------------------------------------------------------------------
 * follow.c
 *		Views over the results of other views.
 *
 * Such a view reads no stream and is a member of no task: in each batch of
 * its sources, when these are through with their part, it derives what their
 * writing has changed, in the same transaction.  Its progress is theirs.  When
 * it is new in this worker, or has failed, the whole is derived anew.  One that
 * emits final rows takes in the windows that its sources have closed, from
 * where it has come to.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/snapmgr.h"

#include "checkpoint/checkpoint.h"
#include "exec/owner.h"
#include "result/cascade.h"
#include "result/result.h"
#include "worker/crash.h"
#include "worker/task.h"

#define BUSY_MS		1000		/* a source did not get through */

bool
sx_follow_in(const SxViewRun *run, const SxTask *task)
{
	ListCell   *lc;

	foreach(lc, run->view->sources)
	{
		SxViewRun  *source = sx_view_find(lfirst_oid(lc));

		if (source && (source->view->sources ? sx_follow_in(source, task) :
					   list_member_ptr(task->views, source)))
			return true;
	}
	return false;
}

bool
sx_follow_due(const SxTask *task)
{
	ListCell   *lc;

	if (task->refill)
		return false;
	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->view->sources && run->behind && !run->stale &&
			run->retry_ms <= sx_now_ms() && sx_follow_in(run, task))
			return true;
	}
	return false;
}

/* Do all the sources that read the stream stand where this batch ends? */
static bool
all_there(const SxViewRun *run, Oid stream)
{
	ListCell   *lc;

	foreach(lc, run->view->sources)
	{
		SxViewRun  *source = sx_view_find(lfirst_oid(lc));

		if (source == NULL)
			return false;
		if (list_member_oid(source->view->streams, stream) &&
			(!source->in_batch || !all_there(source, stream)))
			return false;
	}
	return true;
}

/* The view is where those of its sources are that are least far. */
static void
stand_with_sources(const SxViewRun *run, Oid stream)
{
	SxPosition *least = NULL;
	int			nleast = 0;
	bool		first = true;
	ListCell   *lc;
	int			i;

	foreach(lc, run->view->sources)
	{
		SxViewRun  *source = sx_view_find(lfirst_oid(lc));
		SxPosition *positions;
		int			n;

		if (source == NULL || !list_member_oid(source->view->streams, stream))
			continue;
		positions = sx_checkpoint_load(source->relid, stream, &n);
		if (first)
		{
			least = positions;
			nleast = n;
			first = false;
			continue;
		}
		for (i = 0; i < nleast; i++)
		{
			SxPosition *p = sx_position_find(positions, n, least[i].partition);

			if (p == NULL)
				least[i--] = least[--nleast];
			else if (p->next_offset < least[i].next_offset)
				least[i] = *p;
		}
	}
	if (nleast > 0)
		sx_checkpoint_advance(run->relid, stream, least, nleast);
}

static int64
least_watermark(const SxViewRun *run)
{
	int64		result = PG_INT64_MAX;
	ListCell   *lc;

	foreach(lc, run->view->sources)
	{
		SxViewRun  *source = sx_view_find(lfirst_oid(lc));

		if (source)
			result = Min(result, source->in_batch ? source->next_watermark_us :
						 source->watermark_us);
	}
	return Max(result, run->watermark_us);
}

/* ---- final rows: windows that close, see result/cascade.c ---- */

/* In the batch at hand; its sources are there. */
static void
standing_of(Oid view, SxStanding *standing)
{
	const SxViewRun *run = sx_view_find(view);

	if (run == NULL)
		elog(ERROR, "continuous view with OID %u is not there", view);
	standing->view = run->view;
	standing->watermark_us = run->in_batch ? run->next_watermark_us : run->watermark_us;
	standing->final_before_us = run->followed ? run->next_final_before_us : run->final_before_us;
}

void
sx_follow_windows(SxViewRun *run)
{
	int64		from = run->final_before_us;
	SxComplete	complete;
	SxOwnerScope scope;

	sx_cascade_complete(run->view, run->shape->derivation->closing, standing_of, &complete);
	run->next_final_before_us = Max(from, complete.before_us);

	sx_owner_enter(run->view, &scope);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (run->next_final_before_us > from)
	{
		run->steps |= SX_STEP_BIT(SX_STEP_CLOSING);
		run->counters.rows_out = sx_result_take_windows(run->result, from,
														run->next_final_before_us);
		sx_result_emit_part(run->result);
	}
	sx_result_look_for_windows(run->result, run->next_final_before_us);
	sx_result_retain(run->result, run->next_watermark_us);
	PopActiveSnapshot();
	sx_owner_leave(&scope);
	if (run->next_final_before_us > from)
		sx_view_set_final_before(run->relid, run->next_final_before_us);

	run->waits_for = complete.base;
	run->waits_until_us = complete.watermark_us;
}

bool
sx_follow_closes(const SxViewRun *run, int64 watermark_us)
{
	ListCell   *lc;

	foreach(lc, sx_views)
	{
		const SxViewRun *over = lfirst(lc);

		if (over->waits_for == run->relid && over->waits_until_us <= watermark_us &&
			!over->stale && !over->behind && over->result &&
			sx_result_waits_for_windows(over->result, over->final_before_us))
			return true;
	}
	return false;
}

void
sx_follow(SxTask *task, const SxPosition *changed, int nchanged, bool rows)
{
	Oid			stream = task->stream->relid;
	List	   *runs = NIL;
	ListCell   *lc;

	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->view->sources == NIL)
		{
			if (!list_member_ptr(task->views, run))
				run->in_batch = false;
			continue;
		}
		run->in_batch = run->followed = false;
		if (!run->stale)
			runs = lappend(runs, run);
	}
	foreach(lc, runs)
	{
		SxViewRun  *run = lfirst(lc);
		bool		moved = false;
		bool		whole = run->behind;
		ListCell   *ls;

		foreach(ls, run->view->sources)
		{
			SxViewRun  *source = sx_view_find(lfirst_oid(ls));

			moved |= source && source->in_batch;
		}
		if (!moved)
		{
			if (whole && sx_follow_in(run, task))
				run->retry_ms = sx_now_ms() + BUSY_MS;
			continue;
		}
		if (run->retry_ms > sx_now_ms())
			continue;
		run->next_watermark_us = least_watermark(run);
		if (!sx_batch_follow(run, task))
			continue;
		run->followed = run->in_batch = true;
		if (!whole && all_there(run, stream))
			sx_checkpoint_advance(run->relid, stream, changed, nchanged);
		else
		{
			CommandCounterIncrement();
			PushActiveSnapshot(GetTransactionSnapshot());
			foreach(ls, run->view->streams)
				stand_with_sources(run, lfirst_oid(ls));
			PopActiveSnapshot();
		}
		if (rows)
			run->counters.batches = 1;
		if (run->view->notify && run->counters.rows_out > 0)
			Async_Notify(run->view->notify, run->view->name);
		run->counters.watermark_us = run->next_watermark_us;
		if (run->counters.batches > 0 || run->counters.rows_out > 0 ||
			run->counters.outbox > 0 || run->next_watermark_us != run->watermark_us)
			sx_view_count(run->relid, &run->counters);
	}
	list_free(runs);
}

void
sx_follow_done(SxTask *task, bool committed)
{
	ListCell   *lc;

	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->view->sources == NIL)
			continue;
		if (!committed)
			run->behind |= sx_follow_in(run, task);
		else if (run->followed)
		{
			run->behind = false;
			sx_crash_passed(run->relid, run->steps);
			run->retries = 0;
			run->retry_ms = 0;
			run->watermark_us = run->next_watermark_us;
			if (run->view->final)
				run->final_before_us = run->next_final_before_us;
			if (run->counters.outbox > 0)
			{
				run->outbox += run->counters.outbox;
				sx_senders_written(run->relid, run->outbox);
			}
		}
		run->followed = false;
	}
}

/* Are the views there that it reads? */
static bool
has_sources(const SxView *view)
{
	ListCell   *lc;

	foreach(lc, view->sources)
	{
		if (sx_view_find(lfirst_oid(lc)) == NULL)
			return false;
	}
	return true;
}

void
sx_follow_sync(void)
{
	List	   *wanted = NIL;
	List	   *ids = NIL;
	bool		more = true;
	ListCell   *lc;

	foreach(lc, sx_extension_exists() ? sx_view_list() : NIL)
	{
		SxView	   *view = sx_view_get(lfirst_oid(lc));

		if (view && view->sources && !view->paused && !view->sqlstate)
		{
			wanted = lappend(wanted, view);
			ids = lappend_oid(ids, view->relid);
		}
	}

	/* from below: what loses its source goes too */
	while (more)
	{
		more = false;
		foreach(lc, list_copy(sx_views))
		{
			SxViewRun  *run = lfirst(lc);

			if (run->view->sources &&
				(!list_member_oid(ids, run->relid) || !has_sources(run->view)))
			{
				sx_view_close(run);
				more = true;
				break;
			}
		}
	}

	/* and upwards, so that sources come before what reads them */
	do
	{
		more = false;
		foreach(lc, wanted)
		{
			SxView	   *view = lfirst(lc);

			if (sx_view_find(view->relid) == NULL && has_sources(view) &&
				sx_view_open(view->relid))
				more = true;
		}
	} while (more);
}
