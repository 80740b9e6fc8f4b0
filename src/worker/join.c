/*-------------------------------------------------------------------------
 * join.c
 *		Views that have caught up with others share their reading.
 *
 * Two tasks of a stream become one when they stand at the same position.
 * Those that are far behind come near by the one in front letting the other
 * one come on.  Once they are close, both read up to the further of their
 * positions in each partition and wait there (for a bounded time: then they
 * go apart and try again later).  Their watermarks have to be the same as well: one that
 * began later may not have seen the newest rows, and rows that are late for
 * the other are not for it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/stop.h"
#include "checkpoint/checkpoint.h"
#include "source/journal.h"
#include "worker/task.h"

#define CLOSE_ROWS		100000	/* near enough to wait for */
#define HOLD_MS			5000	/* longest wait */
#define STALLED_MS		1000	/* without rows so long: not waited for */
#define AGAIN_MS		2000	/* pause after one that did not work out */
#define BEHIND_MS		30000	/* the same for watermarks that differ */
#define LOOK_AGAIN_MS	100		/* between looks whether native ones are the
								 * same */

static int64
offset_of(SxPosition *positions, int n, int32 partition)
{
	SxPosition *p = sx_position_find(positions, n, partition);

	return p ? p->next_offset : 0;
}

/* Rows between two tasks; 0: they stand at the same place. */
static int64
distance(SxTask *a, SxTask *b)
{
	int64		result = 0;
	int			i;

	for (i = 0; i < a->npositions; i++)
		result += llabs(a->positions[i].next_offset -
						offset_of(b->positions, b->npositions, a->positions[i].partition));
	for (i = 0; i < b->npositions; i++)
	{
		if (sx_position_find(a->positions, a->npositions, b->positions[i].partition) == NULL)
			result += b->positions[i].next_offset;
	}
	return result;
}

/* Of tasks at the same place: would the next rows be late for both or none? */
static bool
same_watermarks(SxTask *a, SxTask *b)
{
	int			i;

	for (i = 0; i < a->npositions; i++)
	{
		SxPosition *p = sx_position_find(b->positions, b->npositions, a->positions[i].partition);

		if ((p ? p->watermark_us : PG_INT64_MIN) != a->positions[i].watermark_us)
			return false;
	}
	for (i = 0; i < b->npositions; i++)
	{
		if (b->positions[i].watermark_us != PG_INT64_MIN &&
			sx_position_find(a->positions, a->npositions, b->positions[i].partition) == NULL)
			return false;
	}
	return true;
}

/*
 * A native position says more than its row count: which transactions.
 * Positions with the same rows behind them become the same text.
 */
static bool
same_place(SxTask *a, SxTask *b)
{
	SxPosition *pa;
	SxPosition *pb;

	if (distance(a, b) != 0)
		return false;
	if (a->npositions == 0 || a->positions[0].snapshot == NULL)
		return true;
	if (b->npositions == 0 || b->positions[0].snapshot == NULL)
		return false;
	pa = &a->positions[0];
	pb = &b->positions[0];
	return strcmp(pa->snapshot, pb->snapshot) == 0;
}

/*
 * The count differs when views were created at different times: see above.
 * In a transaction; what goes wrong (a lock) is no matter of other streams.
 */
static bool
same_native_place(SxTask *a, SxTask *b)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool same = false;
	ListCell   *lc;

	if (a->npositions != 1 || b->npositions != 1 ||
		a->positions[0].snapshot == NULL || b->positions[0].snapshot == NULL)
		return false;
	PG_TRY();
	{
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		same = sx_journal_same(a->stream->relid, a->positions[0].snapshot,
							   b->positions[0].snapshot);
		/* progress changes beside the lock on the view only */
		foreach(lc, b->views)
		{
			SxViewRun  *run = lfirst(lc);

			same = same && ConditionalLockRelationOid(run->relid, RowExclusiveLock) &&
				!run->stale;
		}
		if (same)
		{
			/* b's views take a's position over */
			foreach(lc, b->views)
				sx_checkpoint_rename(((SxViewRun *) lfirst(lc))->relid,
									 b->stream->relid, &a->positions[0]);
			SX_STOP("join_tasks", b->stream->def->name);
		}
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
		same = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (!same)
		b->join_after_ms = sx_now_ms() + LOOK_AGAIN_MS;
	return same;
}

static void
set_limits(SxTask *task, SxTask *other)
{
	MemoryContext old = MemoryContextSwitchTo(task->cxt);
	int			i;

	if (task->limits)
		pfree(task->limits);
	task->limits = palloc(sizeof(SxPosition) * (task->npositions + other->npositions + 1));
	task->nlimits = 0;
	for (i = 0; i < task->npositions; i++)
	{
		SxPosition *l = &task->limits[task->nlimits++];

		*l = task->positions[i];
		l->snapshot = NULL;
		l->next_offset = Max(l->next_offset,
							 offset_of(other->positions, other->npositions, l->partition));
	}
	for (i = 0; i < other->npositions; i++)
	{
		if (sx_position_find(task->limits, task->nlimits, other->positions[i].partition) == NULL)
		{
			task->limits[task->nlimits] = other->positions[i];
			task->limits[task->nlimits++].snapshot = NULL;
		}
	}
	task->due_ms = 0;
	MemoryContextSwitchTo(old);
}

static void
let_go(SxTask *task)
{
	if (task->limits)
	{
		/* what lay beyond the limits was thrown away */
		pfree(task->limits);
		task->limits = NULL;
		task->nlimits = 0;
		task->seek = true;
	}
	task->hold_until_ms = 0;
	task->join_after_ms = sx_now_ms() + AGAIN_MS;
}

/* Is this task at its limits, waiting for the other one? */
bool
sx_join_holds(SxTask *task)
{
	int			i;

	if (task->limits == NULL)
		return false;
	for (i = 0; i < task->nlimits; i++)
	{
		if (offset_of(task->positions, task->npositions, task->limits[i].partition) <
			task->limits[i].next_offset)
			return false;
	}
	return true;
}

void
sx_join_trim(SxTask *task, SxBatch *list)
{
	SxBatch    *b;

	if (task->limits == NULL)
		return;
	for (b = list; b; b = b->next)
	{
		bool	   *remove = NULL;
		int			i;
		int			kept = 0;

		for (i = 0; i < b->npositions; i++)
		{
			SxPosition *l = sx_position_find(task->limits, task->nlimits,
											 b->positions[i].partition);
			int64		limit = l ? l->next_offset : 0;

			if (b->positions[i].next_offset > limit)
			{
				/* never back: it may stand there already */
				b->positions[i].next_offset =
					Max(limit, offset_of(task->positions, task->npositions,
										 b->positions[i].partition));
				if (remove == NULL)
					remove = palloc0(sizeof(bool) * Max(b->nrows, 1));
			}
		}
		if (remove == NULL)
			continue;
		for (i = 0; i < b->nrows; i++)
			remove[i] = b->position[i] >= offset_of(task->limits, task->nlimits, b->partition[i]);
		for (i = 0; i < b->nrejects; i++)
		{
			if (b->rejects[i].position < offset_of(task->limits, task->nlimits,
												   b->rejects[i].partition))
				b->rejects[kept++] = b->rejects[i];
		}
		b->nrejects = kept;
		sx_batch_remove_rows(b, remove);
		pfree(remove);
	}
}

/* Rows that a task has behind it, to see which one is further. */
static int64
rows_behind(const SxTask *task)
{
	int64		result = 0;
	int			i;

	for (i = 0; i < task->npositions; i++)
		result += Max(task->positions[i].next_offset, 0);
	return result;
}

static int
compare_furthest_first(const void *a, const void *b)
{
	int64		ra = rows_behind(*(SxTask *const *) a);
	int64		rb = rows_behind(*(SxTask *const *) b);

	return ra > rb ? -1 : ra < rb;
}

/*
 * The stream's tasks, the furthest first; palloc'd.  Those of a native stream
 * count rows from different starts: as they are in the list.
 */
static SxTask **
in_order(const SxStreamRun *stream)
{
	SxTask	  **tasks = palloc(sizeof(SxTask *) * list_length(stream->tasks));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, stream->tasks)
		tasks[n++] = lfirst(lc);
	if (sx_reader_threaded(tasks[0]->reader))
		qsort(tasks, n, sizeof(SxTask *), compare_furthest_first);
	return tasks;
}

static bool
may_join(const SxTask *task)
{
	return task->failures == 0 && task->refill == NULL && task->npositions > 0 &&
		task->gone == NIL && !sx_positions_gone(task->positions, task->npositions);
}

/*
 * a and b become one, or begin to wait for each other, if they can.  held:
 * two tasks do.  True: something has changed.
 */
static bool
join_pair(SxTask *a, SxTask *b, bool held)
{
	SxStreamRun *stream = a->stream;
	bool		threaded = sx_reader_threaded(a->reader);
	bool		ready = sx_now_ms() >= Max(a->join_after_ms, b->join_after_ms);

	if (!may_join(a) || !may_join(b) || (a->hold_until_ms != 0) != (b->hold_until_ms != 0))
		return false;
	if (distance(a, b) == 0 && !same_watermarks(a, b))
	{
		if (a->hold_until_ms == 0)
			return false;
		let_go(a);
		let_go(b);
		b->join_after_ms = sx_now_ms() + BEHIND_MS;
		return true;
	}
	if (same_place(a, b) ||
		(!threaded && ready && same_watermarks(a, b) && same_native_place(a, b)))
	{
		SxTask	   *to = b == linitial(stream->tasks) ? b : a;

		let_go(a);
		let_go(b);
		to->join_after_ms = 0;
		sx_task_join(to, to == a ? b : a);
		return true;
	}
	if (!threaded || !ready || held || distance(a, b) >= CLOSE_ROWS)
		return false;
	set_limits(a, b);
	set_limits(b, a);
	a->hold_until_ms = b->hold_until_ms = sx_now_ms() + HOLD_MS;
	return true;
}

void
sx_join_tasks(SxStreamRun *stream)
{
	SxTask	  **tasks;
	ListCell   *lc;
	int64		now = sx_now_ms();
	bool		held = false;
	bool		threaded;
	int			i;

	/* the other one did not come in time, or there is none any more */
	foreach(lc, stream->tasks)
	{
		SxTask	   *task = lfirst(lc);

		if (task->hold_until_ms != 0 &&
			(now >= task->hold_until_ms || list_length(stream->tasks) < 2))
			let_go(task);
		held |= task->hold_until_ms != 0;
	}
	if (list_length(stream->tasks) < 2)
		return;
	tasks = in_order(stream);
	threaded = sx_reader_threaded(tasks[0]->reader);
	for (i = 1; i < list_length(stream->tasks); i++)
	{
		if (join_pair(tasks[threaded ? i - 1 : 0], tasks[i], held))
			break;
	}
	pfree(tasks);
}

/* Nothing keeps it from taking rows in: some wait, or it has just done so. */
static bool
comes_on(const SxTask *task)
{
	int64		now = sx_now_ms();
	int64		since;
	bool		full;

	if (!may_join(task) || task->retry_ms > now)
		return false;
	return sx_reader_waiting_rows(task->reader, &since, &full) > 0 ||
		(task->idle_since_ms == 0 && now - task->last_look_ms < STALLED_MS);
}

/*
 * Tasks that are far behind wait for one that is further behind, so that what
 * is left is read once: each reading costs as much as the first, and two at the
 * same pace never meet.  Nobody waits for more rows than it is behind itself.
 */
void
sx_join_yield(SxStreamRun *stream)
{
	SxTask	  **tasks;
	SxTask	   *runner = NULL;
	int			i;

	if (stream->tasks == NIL)
		return;
	tasks = in_order(stream);
	for (i = list_length(stream->tasks) - 1; i >= 0; i--)
	{
		SxTask	   *task = tasks[i];

		task->yields = runner != NULL && may_join(task) &&
			sx_reader_threaded(task->reader) && task->limits == NULL && !task->seek &&
			task->lag_rows > CLOSE_ROWS &&
			distance(task, runner) < task->lag_rows && comes_on(runner);
		if (!task->yields)
			runner = task;
	}
	pfree(tasks);
}
