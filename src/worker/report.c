/*-------------------------------------------------------------------------
 * report.c
 *		Figures of this worker's streams and views, for the status views.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "stats/stats.h"
#include "worker/refill.h"
#include "worker/task.h"

#define SMOOTH_S 10.0			/* time constant of rows_per_second */
#define LAG_SMOOTH_S 5.0		/* and of how fast a lag changes */
#define LAG_MS 400				/* between looks at it */
#define NO_RATE 0.01			/* rows per second that are as good as none */
#define BEHIND_ROWS 10000		/* or as many as come in ten seconds */

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

/* ---- what is to be read, and how fast it gets less ---- */

static int64
sum_of_offsets(const SxTask *task)
{
	int64		result = 0;
	int			i;

	for (i = 0; i < task->npositions; i++)
		result += Max(task->positions[i].next_offset, 0);
	return result;
}

/* Rows between where the task stands and where it is to come; -1: unknown. */
static int64
rows_to_read(SxTask *task)
{
	SxSourceStatus status = {0};
	int64		lag = 0;
	int			i;

	if (task->refill)
	{
		int			n;
		const SxPosition *to = sx_refill_target(task, &n);

		for (i = 0; i < n; i++)
		{
			SxPosition *p = sx_position_find(task->positions, task->npositions, to[i].partition);

			if (p)
				lag += Max(to[i].next_offset - p->next_offset, 0);
		}
		return lag;
	}
	if (task->reader == NULL)
		return -1;
	sx_reader_status(task->reader, &status);
	for (i = 0; i < status.npartitions && lag >= 0; i++)
	{
		SxPartitionStatus *s = &status.partitions[i];
		SxPosition *p = sx_position_find(task->positions, task->npositions, s->partition);

		if (s->end_offset < 0)
			lag = -1;
		else
			lag += Max(s->end_offset - (p ? p->next_offset : Max(s->next_offset, 0)), 0);
	}
	free(status.partitions);
	return lag;
}

static void
look_at_lag(SxTask *task)
{
	int64		now_ms = sx_now_ms();
	int64		lag;
	double		rate = 0;
	bool		behind;
	ListCell   *lc;

	if (task->lag_ms != 0 && now_ms - task->lag_ms < LAG_MS)
		return;
	lag = rows_to_read(task);
	if (task->lag_ms != 0 && lag >= 0 && task->lag_rows >= 0)
	{
		double		seconds = (now_ms - task->lag_ms) / 1000.0;
		double		now = (lag - task->lag_rows) / seconds;

		task->lag_rate += (now - task->lag_rate) * (1 - exp(-seconds / LAG_SMOOTH_S));
		if (lag == 0 && fabs(task->lag_rate) < NO_RATE)
			task->lag_rate = 0;
	}
	task->lag_rows = lag;
	task->lag_ms = now_ms;
	foreach(lc, task->views)
		rate = Max(rate, ((SxViewRun *) lfirst(lc))->rate);
	behind = task->refill != NULL || lag > Max(BEHIND_ROWS, 10 * rate) ||
		(lag > 0 && task != linitial(task->stream->tasks)) ||
		(lag > Max(BEHIND_ROWS / 10, rate) && task->behind_since != 0);
	if (!behind)
		task->behind_since = 0;
	else if (task->behind_since == 0)
	{
		task->behind_since = GetCurrentTimestamp();
		task->behind_from = sum_of_offsets(task);
	}
}

/* Will the figures stay as they are until a row comes, or the source says something? */
static bool
is_quiet(const SxStreamRun *stream, const SxSourceStatus *status)
{
	const SxTask *task = stream->tasks ? linitial(stream->tasks) : NULL;

	if (list_length(stream->tasks) != 1 || stream->error || task->refill || task->limits ||
		status->conn != SX_CONN_UP || task->failures > 0 ||
		!(sx_reader_threaded(task->reader) || strcmp(stream->def->kind, "native") == 0))
		return false;
	if (task->lag_ms == 0 || task->lag_rows != 0 || task->lag_rate != 0 || task->behind_since != 0)
		return false;
	return task->idle_since_ms == 0 || stream->def->idle_timeout_us == 0 ||
		(sx_now_ms() - task->idle_since_ms) * 1000 >= stream->def->idle_timeout_us;
}

/* Over all streams of the view; the lock is held. */
static void
report_phase(const SxViewRun *run, SxViewFigures *f)
{
	int			i;

	f->phase = SX_PHASE_RUNNING;
	f->behind_since = 0;
	f->behind_done = f->behind_left = 0;
	f->behind_rate = 0;
	f->lag_rows = 0;
	for (i = 0; i < run->nmembers; i++)
	{
		const SxTask *task = run->members[i].task;

		if (task == NULL || task->lag_rows < 0 || task->refill)
			f->lag_rows = -1;
		else if (f->lag_rows >= 0)
			f->lag_rows += task->lag_rows;
		if (task == NULL || task->behind_since == 0)
			continue;
		f->phase = Max(f->phase, task->refill ? SX_PHASE_REPLAYING : SX_PHASE_CATCHING_UP);
		if (f->behind_since == 0 || task->behind_since < f->behind_since)
			f->behind_since = task->behind_since;
		f->behind_done += Max(sum_of_offsets(task) - task->behind_from, 0);
		f->behind_left += Max(task->lag_rows, 0);
		f->behind_rate -= task->lag_rate;
	}
}

void
sx_report_history(SxTask *task, SxBatchRecord *record)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		rejects = record->dead_letters;
	ListCell   *lc;

	record->dbid = MyDatabaseId;
	record->stream = task->stream->relid;
	record->worker_pid = MyProcPid;
	record->committed = now;
	record->catching_up = task != linitial(task->stream->tasks);
	record->latency_us = record->latency_us > 0 ? Max(now - record->latency_us, 0) : -1;
	sx_stats_lock(true);
	foreach(lc, sx_views)
	{
		SxViewRun  *run = lfirst(lc);
		SxViewFigures *f;

		if (!run->in_batch || (run->view->sources == NIL && sx_view_member(run, task)->task != task))
			continue;
		record->views++;
		record->rows_out += run->counters.rows_out;
		record->rows_late += run->counters.rows_late;
		record->dead_letters += Max(run->counters.dead_letters - rejects, 0);
		record->execute_us += run->spent.execute_us;
		record->merge_us += run->spent.write_us;
		f = sx_stats_view(run->relid, true);
		if (f == NULL)
			continue;
		f->execute_us += run->spent.execute_us;
		f->merge_us += run->spent.write_us;
		if (run->counters.dead_letters > 0)
			f->last_dead_letter = now;
	}
	sx_stats_unlock();
	record->commit_us = Max(record->total_us - record->commit_us -
							record->execute_us - record->merge_us, 0);
	if (record->rows > 0 || record->dead_letters > 0 || record->rows_out > 0)
		sx_history_batch(record);
}

/* ---- what this process does ---- */

void
sx_report_doing(const SxTask *task, const char *fmt,...)
{
	char		text[512];
	int			n;
	va_list		args;

	/* a session that rebuilds says what its user asked for */
	if (!pgstat_track_activities || MyBgworkerEntry == NULL)
		return;
	n = snprintf(text, sizeof(text), "%s: ", task->stream->def->name);
	va_start(args, fmt);
	if (n < sizeof(text))
		n += vsnprintf(text + n, sizeof(text) - n, fmt, args);
	va_end(args);
	if (task->behind_since != 0 && task->lag_rows > 0 && n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, "; " INT64_FORMAT " to go", task->lag_rows);
	pgstat_report_activity(STATE_RUNNING, text);
}

void
sx_report_waiting(void)
{
	char		text[256];

	if (!pgstat_track_activities)
		return;
	if (list_length(sx_streams) == 1 && ((SxStreamRun *) linitial(sx_streams))->def)
		snprintf(text, sizeof(text), "waiting for rows of %s",
				 ((SxStreamRun *) linitial(sx_streams))->def->name);
	else
		snprintf(text, sizeof(text), "waiting for rows of %d streams", list_length(sx_streams));
	pgstat_report_activity(STATE_IDLE, text);
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
		if (f->last_batch == 0)
			f->lag_rows = -1;

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
	const char *error;
	ListCell   *lc;
	ListCell   *lv;
	int			i;

	if (task && task->refill)
		positions = unconstify(SxPosition *, sx_refill_target(task, &npositions));
	if (task && task->reader)
		sx_reader_status(task->reader, &status);
	else
		status.conn = SX_CONN_FAILED;
	foreach(lc, stream->tasks)
		look_at_lag(lfirst(lc));
	if (task == NULL || task->lag_rate <= 0 || task->lag_rows <= BEHIND_ROWS)
		stream->lag_since = 0;
	else if (stream->lag_since == 0)
		stream->lag_since = GetCurrentTimestamp();

	/* a connection that comes and goes is one error that counts up */
	error = stream->error ? stream->error : status.error;
	if (strcmp(stream->told_error, error) != 0)
	{
		strlcpy(stream->told_error, error, sizeof(stream->told_error));
		if (error[0] != '\0')
			sx_history_error(MyDatabaseId, SX_ERROR_SOURCE, stream->relid, InvalidOid,
							 status.sqlstate, error);
	}

	sx_stats_lock(true);
	f = sx_stats_stream(stream->relid, true);
	if (f)
	{
		f->reported = true;
		f->conn = status.conn;
		strlcpy(f->sqlstate, status.sqlstate, sizeof(f->sqlstate));
		strlcpy(f->error, error, sizeof(f->error));
		f->rows_in = stream->rows_in;
		f->last_row = stream->last_row;
		f->lag_rate = task ? task->lag_rate : 0;
		f->lag_since = stream->lag_since;
	}
	foreach(lc, stream->tasks)
	{
		foreach(lv, ((SxTask *) lfirst(lc))->views)
		{
			SxViewRun  *run = lfirst(lv);
			SxViewFigures *v = sx_stats_view(run->relid, true);

			if (v)
				report_phase(run, v);
		}
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
	stream->conn = status.conn;
	stream->quiet = is_quiet(stream, &status);
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
