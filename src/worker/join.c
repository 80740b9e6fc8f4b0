/*-------------------------------------------------------------------------
 * join.c
 *		Views that have caught up with others share their reading.
 *
 * Two tasks of a stream become one when they stand at the same position.
 * Once they are close, both read up to the further of their positions in
 * each partition and wait there (for a bounded time: then they go apart and
 * try again later).  Their watermarks have to be the same as well: one that
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

void
sx_join_tasks(SxStreamRun *stream)
{
	SxTask	   *main_task;
	ListCell   *lc;
	int64		now = sx_now_ms();

	/* the other one did not come in time, or there is none any more */
	foreach(lc, stream->tasks)
	{
		SxTask	   *task = lfirst(lc);

		if (task->hold_until_ms != 0 &&
			(now >= task->hold_until_ms || list_length(stream->tasks) < 2))
			let_go(task);
	}
	if (list_length(stream->tasks) < 2)
		return;
	main_task = linitial(stream->tasks);
	foreach(lc, stream->tasks)
	{
		SxTask	   *task = lfirst(lc);

		if (task == main_task || task->failures > 0 || main_task->failures > 0 ||
			task->refill || main_task->refill)
			continue;
		if (task->npositions == 0 || main_task->npositions == 0)
			continue;
		if (distance(main_task, task) == 0 && !same_watermarks(main_task, task))
		{
			if (task->hold_until_ms != 0)
			{
				let_go(main_task);
				let_go(task);
				task->join_after_ms = now + BEHIND_MS;
			}
			continue;
		}
		if (same_place(main_task, task) ||
			(!sx_reader_threaded(task->reader) && now >= task->join_after_ms &&
			 same_watermarks(main_task, task) && same_native_place(main_task, task)))
		{
			let_go(main_task);
			let_go(task);
			sx_task_join(main_task, task);
			return;				/* the list has changed */
		}
		if (task->hold_until_ms != 0)
			return;				/* one pair at a time */
		if (sx_reader_threaded(task->reader) && now >= task->join_after_ms &&
			main_task->limits == NULL && distance(main_task, task) < CLOSE_ROWS)
		{
			set_limits(main_task, task);
			set_limits(task, main_task);
			main_task->hold_until_ms = task->hold_until_ms = now + HOLD_MS;
			return;
		}
	}
}
