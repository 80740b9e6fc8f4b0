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
 * A view's watermark is the least of its streams' as it sees them, and never
 * goes back; it moves at the end of a batch and is saved with it.  A stream
 * that has had no row yet holds it back.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "utils/memutils.h"

#include "worker/intake.h"
#include "worker/task.h"

#define TICK_MS 500
#define PACE_MS 1000			/* while it is worth it */

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

static void
partition_active(SxTask *task, int32 partition, int64 now)
{
	SxActivity *a = activity_of(task, partition);

	a->last_ms = now;
	a->idle = false;
	task->silent_ms = 0;
}

void
sx_watermark_active(SxTask *task, const SxBatch *list)
{
	int64		now = sx_now_ms();

	for (; list; list = list->next)
	{
		int			i;

		for (i = 0; i < list->npositions; i++)
		{
			if (sx_batch_came(list, i))
				partition_active(task, list->positions[i].partition, now);
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
		if (run->shape == NULL || run->shape->window || run->shape->sliding || run->pairs)
			return true;
	}
	return false;
}

/* Which partitions are idle?  True: all, and will be until a row comes. */
static bool
look_for_silence(SxTask *task, int64 now, int64 timeout_ms)
{
	SxSourceStatus status = {0};
	bool		all_idle = task->npositions > 0;
	ListCell   *lc;
	int			i;

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
		if (task->silent_from_us == PG_INT64_MIN)
			return true;

		/* where an earlier silence has brought it: no view is further */
		foreach(lc, task->views)
			task->silent_from_us = Max(task->silent_from_us,
									   ((SxViewRun *) lfirst(lc))->watermark_us);
	}
	return all_idle || task->npositions == 0;
}

/* Has the view, or one over it, something to do at this watermark? */
static bool
is_due(const SxViewRun *run, int64 watermark_us)
{
	return sx_view_due(run, watermark_us) || sx_follow_closes(run, watermark_us);
}

bool
sx_watermark_tick(SxTask *task)
{
	int64		now = sx_now_ms();
	int64		timeout_ms = task->stream->def->idle_timeout_us / 1000;
	bool		settled;
	ListCell   *lc;

	if (task->refill || now - task->tick_ms < TICK_MS || !has_windows(task))
		return false;
	task->tick_ms = now;
	task->settled = false;
	settled = timeout_ms == 0 || look_for_silence(task, now, timeout_ms);
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);
		int64		watermark;

		if (run->result == NULL || sx_result_leaves_at(run->result) <= GetCurrentTimestamp())
			return true;

		/* with one stream, its batches see to all that is no silence */
		if (timeout_ms == 0 && run->nmembers == 1)
			continue;
		watermark = sx_watermark_after(task, run, task->positions, task->npositions);
		if (is_due(run, watermark))
			return true;

		/* where streams are read together, another one may bring news */
		settled &= run->nmembers == 1 &&
			(watermark == PG_INT64_MIN ||
			 !is_due(run, watermark + SX_ROUND_MS * INT64CONST(1000) + USECS_PER_SEC));
	}
	task->settled = settled;
	return false;
}

int64
sx_watermark_next_tick(const SxTask *task, int64 now_ms)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		next_ms = SX_NEVER_MS;
	ListCell   *lc;

	if (!task->refill && !task->settled && has_windows(task))
		next_ms = PACE_MS;
	foreach(lc, task->views)
	{
		const SxViewRun *run = lfirst(lc);
		int64		leaves = run->result ? sx_result_leaves_at(run->result) : PG_INT64_MAX;

		if (leaves != PG_INT64_MAX)
			next_ms = Min(next_ms, leaves <= now ? 0 : (leaves - now) / 1000 + 1);
	}
	if (next_ms == SX_NEVER_MS)
		return next_ms;
	return Max(next_ms, Min(task->tick_ms + TICK_MS - now_ms, PACE_MS));
}

/* A stream's watermark when its task stands at these positions. */
static int64
stream_watermark(SxTask *task, const SxPosition *positions, int n)
{
	if (task->silent_ms == 0)
		return least(task, positions, n, false);
	if (task->silent_from_us == PG_INT64_MIN)
		return PG_INT64_MIN;

	/* the clock goes on from the watermark when all became silent */
	return task->silent_from_us + (sx_now_ms() - task->silent_ms) * 1000;
}

int64
sx_watermark_after(SxTask *task, const SxViewRun *run,
				   const SxPosition *positions, int n)
{
	int64		watermark = PG_INT64_MAX;
	int			i;

	for (i = 0; i < run->nmembers; i++)
	{
		SxTask	   *t = run->members[i].task;

		if (t == NULL)
			return run->watermark_us;
		watermark = Min(watermark,
						t == task ? stream_watermark(t, positions, n) :
						stream_watermark(t, t->positions, t->npositions));
	}
	return Max(watermark, run->watermark_us);
}

int64
sx_watermark_closed(const SxViewRun *run, int64 watermark_us)
{
	return watermark_us == PG_INT64_MIN ? PG_INT64_MIN :
		watermark_us - run->view->lateness_us;
}
