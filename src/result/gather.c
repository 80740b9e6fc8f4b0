/*-------------------------------------------------------------------------
 * gather.c
 *		What a batch changed in several rounds of input is written once.
 *
 * Of groups that are merged it is the states in the cache that are ahead of
 * the tables, so the cache is the truth until they are written, and any error
 * loses what the batch did.  Of groups that are computed again only which ones
 * they are is kept, and of derived views which partitions.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "result/merge.h"

struct SxGathered
{
	MemoryContext cxt;
	SxGroup   **groups;
	int64		ngroups;
	int64		maxgroups;
	int64	   *hashes;
	int64		nhashes;
	int64		maxhashes;
};

static void *
grow(SxGathered *d, void *array, Size size, int64 *max, int64 need)
{
	if (need <= *max)
		return array;
	*max = Max(need, Max(1024, *max * 2));
	return array ? repalloc_huge(array, size * *max) :
		MemoryContextAllocHuge(d->cxt, size * *max);
}

bool
sx_result_gather(SxResult *r)
{
	const SxShape *shape = r->shape;
	MemoryContext cxt;

	if (shape->strategy == SX_STRATEGY_APPEND || shape->session || shape->sliding || r->open)
		return false;
	if (r->gathered)
		return true;
	cxt = AllocSetContextCreate(r->cxt, "streamx gathered", ALLOCSET_DEFAULT_SIZES);
	r->gathered = MemoryContextAllocZero(cxt, sizeof(SxGathered));
	r->gathered->cxt = cxt;
	if (r->groups)
		r->groups->batch++;
	if (r->derived)
		sx_derived_gather(r, cxt);
	return true;
}

bool
sx_result_gathering(const SxResult *r)
{
	return r->gathered != NULL;
}

int64
sx_result_gathered_bytes(const SxResult *r)
{
	const SxGathered *d = r->gathered;

	if (d == NULL)
		return 0;
	if (r->derived)
		return sx_derived_gathered_bytes(r);
	return d->nhashes * (int64) sizeof(int64) +
		(d->ngroups > 0 ? (int64) ((double) r->groups->bytes * d->ngroups / r->groups->ngroups) : 0);
}

void
sx_gathered_group(SxResult *r, SxGroup *g)
{
	SxGathered *d = r->gathered;

	if (g->gathered)
		return;
	g->gathered = true;
	d->groups = grow(d, d->groups, sizeof(SxGroup *), &d->maxgroups, d->ngroups + 1);
	d->groups[d->ngroups++] = g;
}

void
sx_gathered_hashes(SxResult *r, const int64 *hashes, int64 n)
{
	SxGathered *d = r->gathered;

	d->hashes = grow(d, d->hashes, sizeof(int64), &d->maxhashes, d->nhashes + n);
	memcpy(d->hashes + d->nhashes, hashes, sizeof(int64) * n);
	d->nhashes = sx_recompute_unique(d->hashes, d->nhashes + n);
}

void
sx_gathered_forget(SxResult *r)
{
	if (r->gathered)
		MemoryContextDelete(r->gathered->cxt);
	r->gathered = NULL;
}

int64
sx_result_flush(SxResult *r)
{
	SxGathered *d = r->gathered;
	int64		written = 0;
	int64		i;

	if (d == NULL)
		return 0;
	if (r->derived)
		written = sx_derived_flush(r);
	for (i = 0; i < d->ngroups; i++)
		d->groups[i]->gathered = false;
	written += sx_result_write_groups(r, d->groups, d->ngroups);
	if (d->nhashes > 0)
	{
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written += sx_recompute_groups(r, d->hashes, (int) d->nhashes, PG_INT64_MAX);
	}
	sx_gathered_forget(r);
	return written;
}
