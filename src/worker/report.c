/*-------------------------------------------------------------------------
 * report.c
 *		Figures of this worker's streams and views, for the status views.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "utils/timestamp.h"

#include "stats/stats.h"
#include "worker/refill.h"
#include "worker/task.h"

#define SMOOTH_S 10.0			/* time constant of rows_per_second */

/* A stream's watermark: the least of its partitions'. */
static int64
task_watermark(const SxTask *task)
{
	int64		result = PG_INT64_MAX;
	int			i;

	for (i = 0; i < task->npositions; i++)
	{
		/* a partition without an event time yet has nothing to say */
		if (task->positions[i].watermark_us != PG_INT64_MIN)
			result = Min(result, task->positions[i].watermark_us);
	}
	return result == PG_INT64_MAX ? PG_INT64_MIN : result;
}

static bool
is_catching_up(const SxViewRun *run)
{
	int			i;

	for (i = 0; i < run->nmembers; i++)
	{
		if (run->members[i].catching_up)
			return true;
	}
	return false;
}

/* The last round that all streams of a view which have rounds are through. */
static uint64
rounds_done(const SxViewRun *run)
{
	uint64		done = PG_UINT64_MAX;
	int			i;

	for (i = 0; i < run->nmembers; i++)
	{
		const SxMember *member = &run->members[i];

		if (member->task == NULL)
			return 0;
		if (!sx_reader_threaded(member->task->reader))
			done = Min(done, member->round_done);
	}
	return done;
}

void
sx_report_batch(SxTask *task, int64 rows, TimestampTz newest)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;
	int			i;

	task->stream->rows_in += task == linitial(task->stream->tasks) ? rows : 0;
	if (newest > task->stream->last_row)
		task->stream->last_row = newest;
	sx_stats_lock(true);
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);
		SxViewFigures *f = sx_stats_view(run->relid, true);
		double		seconds = (now - run->rate_at) / 1000000.0;

		if (f == NULL)
			continue;
		/* each row counts for 1 / SMOOTH_S and fades away */
		if (run->rate_at != 0)
			run->rate *= exp(-Max(seconds, 0) / SMOOTH_S);
		run->rate += rows / SMOOTH_S;
		run->rate_at = now;
		sx_view_member(run, task)->catching_up = task != linitial(task->stream->tasks);
		f->catching_up = is_catching_up(run);
		f->rows_per_second = run->rate;
		if (newest != 0)
			f->latency_us = Max(now - newest, 0);
		f->state_bytes = run->result ? sx_result_memory(run->result) : 0;
		f->watermark_us = task_watermark(task);
		f->last_batch = now;
	}
	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);
		SxViewFigures *f;

		if (run->view->sources == NIL || run->behind || !sx_follow_in(run, task) ||
			(f = sx_stats_view(run->relid, true)) == NULL)
			continue;
		if (newest != 0)
			f->latency_us = Max(now - newest, 0);
		f->watermark_us = task_watermark(task);
		f->last_batch = now;
	}
	if (task == linitial(task->stream->tasks))
	{
		for (i = 0; i < task->npositions; i++)
		{
			SxPartitionFigures *p = sx_stats_partition(task->stream->relid,
													   task->positions[i].partition, true);

			if (p == NULL)
				continue;
			if (p->next_offset == 0 && p->end_offset == 0)
				p->end_offset = -1;
			p->next_offset = task->positions[i].next_offset;
			p->end_offset = Max(p->end_offset, p->next_offset);
			p->watermark_us = task->positions[i].watermark_us;
		}
	}
	sx_stats_unlock();
	ConditionVariableBroadcast(sx_stats_progress_cv());
}

void
sx_report_stream(SxStreamRun *stream)
{
	SxSourceStatus status = {0};
	SxStreamFigures *f;
	SxTask	   *task = stream->tasks ? linitial(stream->tasks) : NULL;
	int64		lag = 0;
	SxPosition *positions = task ? task->positions : NULL;
	int			npositions = task ? task->npositions : 0;
	int			i;

	if (task && task->refill)
		positions = unconstify(SxPosition *, sx_refill_target(task, &npositions));
	if (task && task->reader)
		sx_reader_status(task->reader, &status);
	else
		status.conn = SX_CONN_FAILED;

	sx_stats_lock(true);
	f = sx_stats_stream(stream->relid, true);
	if (f)
	{
		f->reported = true;
		f->conn = status.conn;
		strlcpy(f->sqlstate, status.sqlstate, sizeof(f->sqlstate));
		strlcpy(f->error, stream->error ? stream->error : status.error, sizeof(f->error));
		f->rows_in = stream->rows_in;
		f->last_row = stream->last_row;
	}
	for (i = 0; i < status.npartitions; i++)
	{
		SxPartitionStatus *s = &status.partitions[i];
		SxPartitionFigures *p = sx_stats_partition(stream->relid, s->partition, true);
		SxPosition *pos = sx_position_find(positions, npositions, s->partition);

		if (p == NULL)
			continue;
		p->end_offset = s->end_offset;
		p->next_offset = pos ? pos->next_offset : Max(s->next_offset, 0);
		p->watermark_us = pos ? pos->watermark_us : PG_INT64_MIN;
		p->idle = s->at_end && task && task->idle_since_ms != 0 &&
			stream->def->idle_timeout_us > 0 &&
			(sx_now_ms() - task->idle_since_ms) * 1000 >= stream->def->idle_timeout_us;
		if (s->end_offset > p->next_offset)
			lag += s->end_offset - p->next_offset;
	}
	sx_stats_unlock();
	stream->lag_rows = lag;
	free(status.partitions);
}

uint64
sx_report_round(SxTask *task)
{
	SxStreamFigures *f;
	uint64		result = 0;

	sx_stats_lock(false);
	f = sx_stats_stream(task->stream->relid, false);
	if (f)
		result = f->round_requested;
	sx_stats_unlock();
	return result;
}

void
sx_report_round_done(SxTask *task, uint64 round)
{
	ListCell   *lc;
	bool		news = false;

	sx_stats_lock(true);
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);
		SxMember   *member = sx_view_member(run, task);
		SxViewFigures *f;
		uint64		done;

		/* one that is to be set up anew may have missed the batch */
		if (run->stale)
			continue;
		member->catching_up = false;	/* there was nothing more to read */
		member->round_done = round;
		f = sx_stats_view(run->relid, true);
		if (f == NULL)
			continue;
		f->catching_up = is_catching_up(run);
		done = rounds_done(run);
		if (f->round_done < done)
		{
			f->round_done = done;
			news = true;
		}
	}
	/* views over others are where those are */
	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);
		uint64		done = PG_UINT64_MAX;
		SxViewFigures *f;
		ListCell   *ls;

		if (run->view->sources == NIL || run->stale || run->behind)
			continue;
		foreach(ls, run->view->sources)
		{
			f = sx_stats_view(lfirst_oid(ls), false);
			done = Min(done, f ? f->round_done : 0);
		}
		f = sx_stats_view(run->relid, true);
		if (f == NULL)
			continue;
		f->catching_up = false;
		if (f->round_done < done)
		{
			f->round_done = done;
			news = true;
		}
	}
	sx_stats_unlock();
	if (news)
		ConditionVariableBroadcast(sx_stats_progress_cv());
}
