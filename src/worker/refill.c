/*-------------------------------------------------------------------------
 * refill.c
 *		Reading rows again whose groups were in memory only.
 *
 * A view that emits final rows may keep the groups of open windows in memory
 * (result/open.c).  Its progress then has a replay position as well.  A
 * worker that takes the view up reads from there to where the view stands, in
 * a task of its own that fills the memory and writes nothing: the rows have
 * been counted, late ones and dead letters too, and what they brought to
 * windows that are closed is in the result.  Then the task goes on as any
 * other, and joins its stream's.  Whatever interrupts it, it begins again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "utils/memutils.h"

#include "checkpoint/checkpoint.h"
#include "worker/refill.h"

typedef struct SxRefill
{
	SxPosition *to;				/* where the view stands */
	int			nto;
	SxPosition *saved;			/* replay positions in the catalog */
	int			nsaved;
	bool		careful;
	bool		by_offset;		/* positions are those of the first reading */
	bool		skip_known;
	SxSkip	   *skip;			/* messages that it did not have, sorted */
	int			nskip;
} SxRefill;

/* Views whose memory was lost by an error. */
static List *careful_views = NIL;

/* Memory of a view that is set up anew. */
typedef struct SxKept
{
	Oid			relid;
	MemoryContext cxt;			/* this and all below */
	SxOpen	   *open;
	SxPosition *positions;		/* as of which it is */
	int			npositions;
} SxKept;

static List *kept = NIL;

void
sx_refill_lost(SxViewRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	careful_views = list_append_unique_oid(careful_views, run->relid);
	MemoryContextSwitchTo(old);
	run->stale = true;
	sx_streams_mark_stale();
}

void
sx_refill_leave(SxTask *task, SxViewRun *run)
{
	MemoryContext old;

	run->unfilled |= task->refill != NULL;
	if (run->left_at)
		return;
	old = MemoryContextSwitchTo(run->cxt);
	run->left_at = sx_positions_copy(task->positions, task->npositions);
	run->nleft_at = task->npositions;
	MemoryContextSwitchTo(old);
}

static bool
same_place(SxPosition *a, int na, const SxPosition *b, int nb)
{
	int			i;

	if (na != nb)
		return false;
	for (i = 0; i < nb; i++)
	{
		const SxPosition *p = sx_position_find(a, na, b[i].partition);

		if (p == NULL || p->next_offset != b[i].next_offset ||
			(p->snapshot == NULL) != (b[i].snapshot == NULL) ||
			(p->snapshot && strcmp(p->snapshot, b[i].snapshot) != 0))
			return false;
	}
	return true;
}

bool
sx_refill_arrive(SxViewRun *run, const SxPosition *positions, int n,
				 const SxPosition *replay, int nreplay)
{
	bool		same = false;
	ListCell   *lc;

	if (run->result)
	{
		same = run->left_at && !run->unfilled && !sx_result_lost(run->result) &&
			same_place(run->left_at, run->nleft_at, positions, n) &&
			sx_result_replays_from(run->result, replay, nreplay);
		if (!same)
			sx_result_empty(run->result);
	}
	else if (run->kept == NULL)
	{
		foreach(lc, kept)
		{
			SxKept	   *k = lfirst(lc);

			if (k->relid != run->relid)
				continue;
			kept = foreach_delete_current(kept, lc);
			MemoryContextSetParent(k->cxt, run->cxt);
			run->kept = k;
			break;
		}
	}
	if (run->kept)
	{
		same = same_place(run->kept->positions, run->kept->npositions, positions, n) &&
			sx_open_replays_from(run->kept->open, replay, nreplay);
		if (!same)
		{
			MemoryContextDelete(run->kept->cxt);
			run->kept = NULL;
		}
	}
	if (run->left_at)
		sx_positions_free(run->left_at, run->nleft_at);
	run->left_at = NULL;
	run->unfilled = false;
	return same;
}

void
sx_refill_keep(SxViewRun *run)
{
	SxKept	   *k = run->kept;
	MemoryContext old;

	if (k)
		MemoryContextSetParent(k->cxt, TopMemoryContext);
	else
	{
		MemoryContext cxt;
		SxOpen	   *open;

		if (run->result == NULL || run->unfilled || run->left_at == NULL)
			return;
		cxt = AllocSetContextCreate(TopMemoryContext, "streamx memory of a view",
									ALLOCSET_SMALL_SIZES);
		open = sx_result_detach(run->result, cxt);
		if (open == NULL)
		{
			MemoryContextDelete(cxt);
			return;
		}
		old = MemoryContextSwitchTo(cxt);
		k = palloc(sizeof(SxKept));
		k->relid = run->relid;
		k->cxt = cxt;
		k->open = open;
		k->positions = sx_positions_copy(run->left_at, run->nleft_at);
		k->npositions = run->nleft_at;
		MemoryContextSwitchTo(old);
	}
	run->kept = NULL;
	old = MemoryContextSwitchTo(TopMemoryContext);
	kept = lappend(kept, k);
	MemoryContextSwitchTo(old);
}

void
sx_refill_drop_kept(void)
{
	ListCell   *lc;

	foreach(lc, kept)
		MemoryContextDelete(((SxKept *) lfirst(lc))->cxt);
	list_free(kept);
	kept = NIL;
}

void
sx_refill_attach(SxViewRun *run)
{
	SxKept	   *k = run->kept;
	bool		fits;

	if (k == NULL)
		return;
	run->kept = NULL;
	fits = sx_result_attach(run->result, k->open);
	MemoryContextDelete(k->cxt);
	if (fits)
		return;

	/* the rows have to be read again */
	run->unfilled = true;
	run->stale = true;
	sx_streams_mark_stale();
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("definition of continuous view \"%s\" has changed", run->view->name)));
}

void
sx_refill_begin(SxTask *task, const SxViewRun *run, const SxPosition *to, int nto)
{
	MemoryContext old = MemoryContextSwitchTo(task->cxt);
	SxRefill   *refill = palloc0(sizeof(SxRefill));

	ereport(LOG,
			(errmsg("continuous view \"%s\" reads the rows of its open windows again",
					run->view->name)));
	refill->to = sx_positions_copy(to, nto);
	refill->nto = nto;
	refill->saved = sx_positions_copy(task->positions, task->npositions);
	refill->nsaved = task->npositions;
	refill->careful = list_member_oid(careful_views, run->relid);
	refill->by_offset = nto == 0 || to[0].snapshot == NULL;
	if (refill->by_offset)
	{
		/* no further than this */
		task->limits = sx_positions_copy(to, nto);
		task->nlimits = nto;
	}
	task->refill = refill;
	MemoryContextSwitchTo(old);
}

void
sx_refill_bound(SxTask *task)
{
	if (!task->refill->by_offset)
		sx_reader_bound(task->reader, task->refill->to[0].snapshot);
}

void
sx_refill_prepare(SxTask *task, SxViewRun *run)
{
	sx_result_restore(run->result, task->refill->saved, task->refill->nsaved,
					  task->refill->careful);
}

bool
sx_refill_failed(const SxTask *task)
{
	SxSourceStatus status = {0};

	sx_reader_status(task->reader, &status);
	free(status.partitions);
	return status.conn == SX_CONN_FAILED;
}

void
sx_refill_check_source(const SxTask *task)
{
	SxSourceStatus status = {0};

	sx_reader_status(task->reader, &status);
	free(status.partitions);
	if (status.conn == SX_CONN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not read the rows of open windows again: %s", status.error)));
}

static int
compare_skips(const void *a, const void *b)
{
	const SxSkip *x = a;
	const SxSkip *y = b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return x->position < y->position ? -1 : x->position > y->position;
}

/*
 * Leave out what the view did not have: what is a dead letter now need not be
 * one when it is read again (a message that was ahead of its arrival).
 */
void
sx_refill_skip(SxTask *task, SxBatch *list)
{
	SxRefill   *refill = task->refill;
	SxBatch    *b;

	if (!refill->by_offset)
		return;
	if (!refill->skip_known)
	{
		MemoryContext old = MemoryContextSwitchTo(task->cxt);

		refill->skip = sx_result_dead_letters(task->stream->relid,
											  ((SxViewRun *) linitial(task->views))->relid,
											  &refill->nskip);
		qsort(refill->skip, refill->nskip, sizeof(SxSkip), compare_skips);
		refill->skip_known = true;
		MemoryContextSwitchTo(old);
	}
	if (refill->nskip == 0)
		return;
	for (b = list; b; b = b->next)
	{
		bool	   *remove = NULL;
		int			i;

		for (i = 0; i < b->nrows; i++)
		{
			SxSkip		key = {b->partition[i], b->position[i]};

			if (bsearch(&key, refill->skip, refill->nskip, sizeof(SxSkip),
						compare_skips) == NULL)
				continue;
			if (remove == NULL)
				remove = palloc0(sizeof(bool) * b->nrows);
			remove[i] = true;
		}
		if (remove)
		{
			sx_batch_remove_rows(b, remove);
			pfree(remove);
		}
	}
}

void
sx_refill_check_done(SxTask *task)
{
	SxRefill   *refill = task->refill;
	ListCell   *lc;

	if (refill->by_offset ? !sx_join_holds(task) : !sx_reader_exhausted(task->reader))
		return;
	foreach(lc, task->views)
	{
		SxViewRun  *run = lfirst(lc);

		/* not there if another was taken out before its first batch */
		if (run->result)
			sx_refill_prepare(task, run);
	}
	sx_task_set_positions(task, refill->to, refill->nto);
	if (refill->by_offset)
	{
		sx_positions_free(task->limits, task->nlimits);
		task->limits = NULL;
		task->nlimits = 0;
	}
	else
		sx_reader_bound(task->reader, NULL);
	sx_positions_free(refill->to, refill->nto);
	sx_positions_free(refill->saved, refill->nsaved);
	if (refill->skip)
		pfree(refill->skip);
	pfree(refill);
	task->refill = NULL;
	task->seek = true;
}

const SxPosition *
sx_refill_target(const SxTask *task, int *n)
{
	*n = task->refill->nto;
	return task->refill->to;
}

/*
 * In the transaction of a batch, after its progress: from where the view's
 * open windows can be had again, if that has changed.
 */
void
sx_refill_save(SxTask *task, SxViewRun *run, const SxPosition *after, int nafter)
{
	const SxPosition *replay;
	int			n;

	if (run->result &&
		sx_result_replay(run->result, task->positions, task->npositions,
						 after, nafter, &replay, &n))
		sx_checkpoint_save_replay(run->relid, task->stream->relid, replay, n);
}
