/*-------------------------------------------------------------------------
 * watermark.c
 *		How far event time has come for the views of a task.
 *
 * A partition's watermark is in its position (window/event_time.c).  A
 * stream's is the least of its partitions that are not idle; one that has
 * not seen an event time yet holds it back.  A partition is idle when it has
 * been read to its end, over a connection that stands, and nothing came for
 * the stream's idle_timeout.  When all are, the watermark goes on from where
 * it is at the pace of the clock.
 *
 * A view's watermark is the stream's as it sees it, and never goes back; it
 * moves at the end of a batch and is saved with it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "utils/memutils.h"

#include "worker/task.h"

#define TICK_MS 500

typedef struct SxActivity
{
	int32		partition;
	int64		last_ms;		/* when it was not silent last */
	bool		idle;
} SxActivity;

static SxActivity *
activity_of(SxTask *task, int32 partition)
{
	MemoryContext old;
	int			i;

	for (i = 0; i < task->nactivity; i++)
	{
		if (task->activity[i].partition == partition)
			return &task->activity[i];
	}
	old = MemoryContextSwitchTo(task->cxt);
	if (task->activity == NULL)
		task->activity = palloc(sizeof(SxActivity));
	else
		task->activity = repalloc(task->activity, sizeof(SxActivity) * (task->nactivity + 1));
	MemoryContextSwitchTo(old);
	i = task->nactivity++;
	task->activity[i].partition = partition;
	task->activity[i].last_ms = sx_now_ms();
	task->activity[i].idle = false;
	return &task->activity[i];
}

void
sx_watermark_active(SxTask *task, const SxBatch *list)
{
	int64		now = sx_now_ms();

	for (; list; list = list->next)
	{
		int32		last = -1;
		int			i;

		for (i = 0; i < list->nrows; i++)
		{
			SxActivity *a;

			if (list->partition[i] == last)
				continue;
			last = list->partition[i];
			a = activity_of(task, last);
			a->last_ms = now;
			a->idle = false;
			task->silent_ms = 0;
		}
	}
}

/* Least watermark of the partitions that count; PG_INT64_MIN: none. */
static int64
least(SxTask *task, const SxPosition *positions, int n, bool with_idle)
{
	int64		result = PG_INT64_MAX;
	int			i;

	for (i = 0; i < n; i++)
	{
		bool		idle = activity_of(task, positions[i].partition)->idle;

		if (idle && (!with_idle || positions[i].watermark_us == PG_INT64_MIN))
			continue;
		result = Min(result, positions[i].watermark_us);
	}
	return result == PG_INT64_MAX ? PG_INT64_MIN : result;
}

/* Has any view a window to look after? */
static bool
has_windows(const SxTask *task)
{
	ListCell   *lc;

	foreach(lc, task->views)
	{
		const SxViewRun *run = lfirst(lc);

		/* one that is not planned yet may have */
		if (run->shape == NULL || run->shape->window)
			return true;
	}
	return false;
}

bool
sx_watermark_tick(SxTask *task)
{
	SxStream   *def = task->stream->def;
	SxSourceStatus status = {0};
	int64		now = sx_now_ms();
	int64		timeout_ms = def->idle_timeout_us / 1000;
	bool		all_idle = task->npositions > 0;
	ListCell   *lc;
	int			i;

	if (now - task->tick_ms < TICK_MS || timeout_ms == 0 || !has_windows(task))
		return false;
	task->tick_ms = now;
	sx_reader_status(task->reader, &status);
	for (i = 0; i < task->npositions; i++)
	{
		SxActivity *a = activity_of(task, task->positions[i].partition);
		bool		silent = status.conn == SX_CONN_UP;
		int			k;

		for (k = 0; k < status.npartitions; k++)
		{
			if (status.partitions[k].partition == a->partition)
				silent &= status.partitions[k].at_end;
		}

		/* silence counts only while the source is there and read to its end */
		if (!silent)
			a->last_ms = now;
		a->idle = silent && now - a->last_ms >= timeout_ms;
		all_idle &= a->idle;
	}
	free(status.partitions);
	if (!all_idle)
		task->silent_ms = 0;
	else if (task->silent_ms == 0)
	{
		task->silent_ms = now;
		task->silent_from_us = least(task, task->positions, task->npositions, true);
	}
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		if (run->result == NULL ||
			sx_result_can_close(run->result,
								sx_watermark_closed(run, sx_watermark_after(task, run, task->positions,
																			task->npositions))))
			return true;
	}
	return false;
}

int64
sx_watermark_after(SxTask *task, const SxViewRun *run,
				   const SxPosition *positions, int n)
{
	int64		watermark;

	if (task->silent_ms != 0)
	{
		int64		from = Max(task->silent_from_us, run->watermark_us);

		/* the clock goes on from the watermark when all became silent */
		if (task->silent_from_us == PG_INT64_MIN)
			return run->watermark_us;
		watermark = task->silent_from_us + (sx_now_ms() - task->silent_ms) * 1000;
		return Max(watermark, from);
	}
	watermark = least(task, positions, n, false);
	return Max(watermark, run->watermark_us);
}

int64
sx_watermark_closed(const SxViewRun *run, int64 watermark_us)
{
	return watermark_us == PG_INT64_MIN ? PG_INT64_MIN :
		watermark_us - run->view->lateness_us;
}
