/*-------------------------------------------------------------------------
 * open_replay.c
 *		From where on rows are to be read again for the windows that are open,
 *		and what a commit makes final.
 *
 * A batch that brought rows to windows is remembered by where it began and by
 * the last end of these.  One that ends no later than one before it is of no
 * matter: when the other is not needed any more, it is not either.  So there
 * are no more of them than open windows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "result/open_internal.h"

/* A copy, in the current context. */
SxPosition *
sx_positions_copy(const SxPosition *positions, int n)
{
	SxPosition *result = palloc(sizeof(SxPosition) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
	{
		result[i] = positions[i];
		if (positions[i].snapshot)
			result[i].snapshot = pstrdup(positions[i].snapshot);
	}
	return result;
}

void
sx_positions_free(SxPosition *positions, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (positions[i].snapshot)
			pfree(unconstify(char *, positions[i].snapshot));
	}
	if (positions)
		pfree(positions);
}

/* What the catalog has. */
void
sx_open_set_saved(SxOpen *open, const SxPosition *saved, int nsaved)
{
	MemoryContext old = MemoryContextSwitchTo(open->cxt);

	sx_positions_free(open->saved, open->nsaved);
	open->saved = sx_positions_copy(saved, nsaved);
	open->nsaved = nsaved;
	MemoryContextSwitchTo(old);
}

static bool
same_positions(const SxPosition *a, int na, const SxPosition *b, int nb)
{
	int			i;

	if (na != nb)
		return false;
	for (i = 0; i < na; i++)
	{
		if (a[i].partition != b[i].partition ||
			a[i].next_offset != b[i].next_offset ||
			(a[i].snapshot == NULL) != (b[i].snapshot == NULL) ||
			(a[i].snapshot && strcmp(a[i].snapshot, b[i].snapshot) != 0))
			return false;
	}
	return true;
}

/*
 * Where the partitions of "after" stood at a start.  One that it does not
 * name came later: all of it.
 */
static SxPosition *
complete_positions(const SxPosition *start, int nstart,
				   const SxPosition *after, int nafter)
{
	SxPosition *result = palloc(sizeof(SxPosition) * Max(nafter, 1));
	int			i;
	int			k;

	for (i = 0; i < nafter; i++)
	{
		result[i] = after[i];
		result[i].next_offset = after[i].first_offset;
		for (k = 0; k < nstart; k++)
		{
			if (start[k].partition != after[i].partition)
				continue;
			/* a native position may be called otherwise by now */
			result[i].next_offset = Min(start[k].next_offset, after[i].next_offset);
			result[i].snapshot = start[k].snapshot;
		}
	}
	return result;
}

bool
sx_open_replays_from(const SxOpen *open, const SxPosition *replay, int n)
{
	int			i;
	int			k;

	if (open->nsaved != n)
		return false;
	for (i = 0; i < n; i++)
	{
		for (k = 0; k < n; k++)
		{
			if (open->saved[k].partition == replay[i].partition)
				break;
		}
		if (k == n)
			return false;
		/* a native position may be called otherwise by now */
		if (replay[i].snapshot ?
			open->saved[k].snapshot == NULL ||
			strcmp(replay[i].snapshot, open->saved[k].snapshot) != 0 :
			replay[i].next_offset != open->saved[k].next_offset)
			return false;
	}
	return true;
}

bool
sx_result_replays_from(const SxResult *r, const SxPosition *replay, int n)
{
	return r->open ? sx_open_replays_from(r->open, replay, n) : n == 0;
}

bool
sx_result_replay(SxResult *r, const SxPosition *before, int nbefore,
				 const SxPosition *after, int nafter,
				 const SxPosition **replay, int *nreplay)
{
	SxOpen	   *open = r->open;
	const Start *oldest = NULL;
	MemoryContext old;
	int			i;

	if (open == NULL)
		return false;
	open->pending = NULL;
	open->npending = 0;
	open->next.npositions = 0;
	old = MemoryContextSwitchTo(open->log_cxt);
	if (!open->spilling)
	{
		for (i = 0; i < open->nstarts && oldest == NULL; i++)
		{
			if (open->starts[i].end_us > open->closing_us)
				oldest = &open->starts[i];
		}
		if (open->batch_end_us > open->closing_us &&
			(open->nstarts == 0 ||
			 open->starts[open->nstarts - 1].end_us < open->batch_end_us))
		{
			open->next.positions = complete_positions(before, nbefore, after, nafter);
			open->next.npositions = nafter;
			open->next.end_us = open->batch_end_us;
			if (oldest == NULL)
				oldest = &open->next;
		}
		if (oldest)
		{
			open->pending = complete_positions(oldest->positions, oldest->npositions,
											   after, nafter);
			open->npending = nafter;
		}
	}
	open->is_pending = true;
	MemoryContextSwitchTo(old);
	*replay = open->pending;
	*nreplay = open->npending;
	return !same_positions(open->pending, open->npending, open->saved, open->nsaved);
}

void
sx_result_committed(SxResult *r)
{
	SxOpen	   *open = r->open;
	MemoryContext old;
	int			keep = 0;
	int			i;

	if (open == NULL || open->lost)
		return;
	old = MemoryContextSwitchTo(open->cxt);
	if (open->spilling)
	{
		for (i = 0; i < open->nwindows; i++)
		{
			if (open->windows[i]->ngroups > 0)
				open->floor_us = Max(open->floor_us, open->windows[i]->end_us);
		}
	}
	if (open->floor_us <= open->closing_us)
		open->floor_us = PG_INT64_MIN;
	for (i = 0; i < open->nwindows; i++)
	{
		if (open->spilling || open->windows[i]->end_us <= open->closing_us)
			MemoryContextDelete(open->windows[i]->cxt);
		else
			open->windows[keep++] = open->windows[i];
	}
	open->nwindows = keep;
	open->last = 0;

	keep = 0;
	for (i = 0; i < open->nstarts; i++)
	{
		if (open->spilling || open->starts[i].end_us <= open->closing_us)
			sx_positions_free(open->starts[i].positions, open->starts[i].npositions);
		else
			open->starts[keep++] = open->starts[i];
	}
	open->nstarts = keep;
	if (open->is_pending && open->next.npositions > 0)
	{
		if (open->nstarts == open->maxstarts)
		{
			open->maxstarts = Max(open->maxstarts * 2, 16);
			open->starts = open->starts == NULL ?
				palloc(sizeof(Start) * open->maxstarts) :
				repalloc_huge(open->starts, sizeof(Start) * open->maxstarts);
		}
		open->starts[open->nstarts] = open->next;
		open->starts[open->nstarts++].positions =
			sx_positions_copy(open->next.positions, open->next.npositions);
	}
	MemoryContextSwitchTo(old);
	if (open->is_pending)
		sx_open_set_saved(open, open->pending, open->npending);
	if (open->spilling)
		open->spill_due = false;
	open->is_pending = false;
	open->next.npositions = 0;
	open->pending = NULL;
	open->batch_end_us = PG_INT64_MIN;
	open->closing_us = PG_INT64_MIN;
	open->spilling = false;
	open->nlog = 0;
	open->stamp++;
	MemoryContextReset(open->log_cxt);
}
