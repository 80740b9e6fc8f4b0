/*-------------------------------------------------------------------------
 * derive_shed.c
 *		Partitions of derived views that fail as their window closes.
 *
 * Each is derived by itself, in an attempt of shed.c.  A query that fails
 * costs its partition; where the query is through and only the table refuses
 * rows, those rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "result/derive_internal.h"

typedef struct Attempt
{
	SxRows		new;
	bool		write_each;		/* the query is through, and nothing is there */
	int64		row;			/* of them */
	int64		written;
} Attempt;

/* As derive() does, for the one partition that is touched. */
static void
derive_partition(SxResult *r, void *arg)
{
	SxDerived  *v = r->derived;
	Attempt    *a = arg;
	SxDeriveScope scope = v->nulls ? SX_DERIVE_PARTS_OR_NULL : SX_DERIVE_PARTS;
	ParamListInfo params = sx_derived_touched_params(v);
	const DerivePlans *plans = sx_derived_plans_for(v, scope, params);
	SxDifferenceScope changes;
	MemoryContext cxt = MemoryContextSwitchTo(GetMemoryChunkContext(a));
	SxRows		old;

	sx_derived_run_plan(plans->derive, params, &a->new);
	MemoryContextSwitchTo(cxt);
	sx_derived_scope(v, &changes);
	sx_derived_run_plan(plans->rows, params, &old);
	a->write_each = old.nrows == 0;
	sx_difference_check_keys(&changes, &a->new);
	UpdateActiveSnapshotCommandId();
	a->written = sx_difference_write(&changes, &old, &a->new);
}

static void
write_row(SxResult *r, void *arg)
{
	Attempt    *a = arg;
	SxRows		old = {0};
	SxRows		new = a->new;
	SxDifferenceScope changes;

	new.values += a->row * new.ncols;
	new.nulls += a->row * new.ncols;
	new.nrows = 1;
	sx_derived_scope(r->derived, &changes);
	sx_difference_check_keys(&changes, &new);
	UpdateActiveSnapshotCommandId();
	a->written += sx_difference_write(&changes, &old, &new);
}

/* Only this partition has changed. */
static void
touch_one(SxDerived *v, const SxGroup *g)
{
	int			i;

	v->nulls = false;
	v->touched = sx_groups_create(v->partops, v->d->nparts, NULL, 0);
	sx_derived_touch(v->touched, v->partops, v->d->nparts, g->keys, g->key_nulls);
	for (i = 0; i < v->d->nparts; i++)
	{
		v->values[i] = sx_groups_create(&v->partops[i], 1, NULL, 0);
		if (g->key_nulls[i])
			v->nulls = true;
		else
			sx_derived_touch(v->values[i], &v->partops[i], 1, &g->keys[i], &g->key_nulls[i]);
	}
}

static int64
derive_or_give_up(SxDerived *v, const SxGroup *g)
{
	SxResult   *r = v->r;
	Attempt    *a = palloc0(sizeof(Attempt));
	ErrorData  *edata;

	touch_one(v, g);
	edata = sx_result_attempt(r, derive_partition, a);
	if (edata == NULL)
		return a->written;
	a->written = 0;
	if (!a->write_each)
	{
		sx_result_give_up(r, v->d->parts, v->d->nparts, g->keys, g->key_nulls, edata);
		return 0;
	}
	for (a->row = 0; a->row < a->new.nrows; a->row++)
	{
		edata = sx_result_attempt(r, write_row, a);
		if (edata)
			sx_result_give_up(r, NULL, a->new.ncols, a->new.values + a->row * a->new.ncols,
							  a->new.nulls + a->row * a->new.ncols, edata);
	}
	return a->written;
}

/* What is touched, partition by partition. */
int64
sx_derived_each(SxDerived *v)
{
	const SxGroups *all = v->touched;
	MemoryContext cxt;
	MemoryContext old;
	int64		written = 0;
	uint64		b;

	LockRelationOid(v->r->view->relid, RowExclusiveLock);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx partition of a derived view",
								ALLOCSET_DEFAULT_SIZES);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	old = MemoryContextSwitchTo(cxt);
	for (b = 0; b < all->nbuckets; b++)
	{
		const SxGroup *g;

		for (g = all->buckets[b]; g; g = g->next)
		{
			CHECK_FOR_INTERRUPTS();
			written += derive_or_give_up(v, g);
			MemoryContextReset(cxt);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	sx_derived_begin_changes(v);
	return written;
}
