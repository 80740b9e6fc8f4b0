/*-------------------------------------------------------------------------
 * group.c
 *		Groups of a view in memory.  A cache: the tables are the truth.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "result/group.h"

#define FIRST_BUCKETS 1024

void
sx_key_ops_init(SxKeyOps *ops, const SxKey *key)
{
	TypeCacheEntry *type = lookup_type_cache(key->typid,
											 TYPECACHE_EQ_OPR_FINFO |
											 TYPECACHE_HASH_EXTENDED_PROC_FINFO);

	memset(ops, 0, sizeof(*ops));
	ops->collation = key->collation;
	get_typlenbyval(key->typid, &ops->len, &ops->byval);
	if (!OidIsValid(type->eq_opr_finfo.fn_oid))
		elog(ERROR, "type %u has no equality operator", key->typid);
	fmgr_info_copy(&ops->equal, &type->eq_opr_finfo, CurrentMemoryContext);
	if (OidIsValid(type->hash_extended_proc_finfo.fn_oid))
	{
		fmgr_info_copy(&ops->hash, &type->hash_extended_proc_finfo,
					   CurrentMemoryContext);
		ops->has_hash = true;
	}
	switch (type->eq_opr_finfo.fn_oid)
	{
		case F_BOOLEQ:
		case F_INT2EQ:
		case F_INT4EQ:
		case F_INT8EQ:
		case F_DATE_EQ:
		case F_TIMESTAMP_EQ:
		case F_TIMESTAMPTZ_EQ:
		case F_OIDEQ:
			ops->bitwise = true;
			break;
		case F_TEXTEQ:
			ops->bitwise = sx_collation_is_deterministic(key->collation);
			break;
		default:
			break;
	}
}

uint64
sx_keys_hash(const SxKeyOps *ops, int nkeys, const Datum *keys,
			 const bool *nulls)
{
	uint64		result = 0;
	int			i;

	for (i = 0; i < nkeys; i++)
	{
		uint64		h = 0;

		if (!nulls[i] && ops[i].has_hash)
			h = DatumGetUInt64(FunctionCall2Coll(unconstify(FmgrInfo *, &ops[i].hash),
												 ops[i].collation, keys[i],
												 UInt64GetDatum(0)));
		result = hash_combine64(result, h);
	}
	return result;
}

static inline bool
key_equal(const SxKeyOps *ops, Datum a, Datum b)
{
	if (ops->bitwise)
	{
		if (ops->byval)
			return a == b;
		/* text: a stored one may be compressed or out of line */
		if (!VARATT_IS_EXTENDED(DatumGetPointer(a)) &&
			!VARATT_IS_EXTENDED(DatumGetPointer(b)))
			return VARSIZE(DatumGetPointer(a)) == VARSIZE(DatumGetPointer(b)) &&
				memcmp(DatumGetPointer(a), DatumGetPointer(b),
					   VARSIZE(DatumGetPointer(a))) == 0;
	}
	return DatumGetBool(FunctionCall2Coll(unconstify(FmgrInfo *, &ops->equal),
										  ops->collation, a, b));
}

bool
sx_keys_equal(const SxKeyOps *ops, int nkeys, const Datum *a,
			  const bool *anulls, const Datum *b, const bool *bnulls)
{
	int			i;

	for (i = 0; i < nkeys; i++)
	{
		if (anulls[i] != bnulls[i])
			return false;
		if (!anulls[i] && !key_equal(&ops[i], a[i], b[i]))
			return false;
	}
	return true;
}

SxGroups *
sx_groups_create(const SxKeyOps *ops, int nkeys, const bool *state_byval,
				 int nstates)
{
	SxGroups   *groups = palloc0(sizeof(SxGroups));

	groups->cxt = AllocSetContextCreate(CurrentMemoryContext,
										"streamx groups",
										ALLOCSET_DEFAULT_SIZES);
	groups->ops = unconstify(SxKeyOps *, ops);
	groups->nkeys = nkeys;
	groups->state_byval = state_byval;
	groups->nstates = nstates;
	groups->whole_after = PG_INT64_MAX;
	return groups;
}

void
sx_groups_reset(SxGroups *groups)
{
	MemoryContextReset(groups->cxt);
	groups->buckets = NULL;
	groups->nbuckets = 0;
	groups->ngroups = 0;
	groups->bytes = 0;
	groups->whole_after = PG_INT64_MAX;
}

int64
sx_group_bytes(const SxGroups *groups, const SxGroup *g)
{
	int64		bytes = GetMemoryChunkSpace(unconstify(SxGroup *, g));
	int			i;

	for (i = 0; i < groups->nkeys; i++)
	{
		if (!groups->ops[i].byval && !g->key_nulls[i])
			bytes += GetMemoryChunkSpace(DatumGetPointer(g->keys[i]));
	}
	for (i = 0; i < groups->nstates; i++)
	{
		if (!groups->state_byval[i] && !g->state_nulls[i])
			bytes += GetMemoryChunkSpace(DatumGetPointer(g->states[i]));
	}
	return bytes;
}

static void
group_free(SxGroups *groups, SxGroup *g)
{
	int			i;

	for (i = 0; i < groups->nkeys; i++)
	{
		if (!groups->ops[i].byval && !g->key_nulls[i])
			pfree(DatumGetPointer(g->keys[i]));
	}
	for (i = 0; i < groups->nstates; i++)
	{
		if (!groups->state_byval[i] && !g->state_nulls[i])
			pfree(DatumGetPointer(g->states[i]));
	}
	pfree(g);
}

void
sx_groups_remove(SxGroups *groups, uint64 hash, const Datum *keys,
				 const bool *nulls)
{
	SxGroup   **link;

	if (groups->nbuckets == 0)
		return;
	for (link = &groups->buckets[hash & (groups->nbuckets - 1)]; *link;
		 link = &(*link)->next)
	{
		SxGroup    *g = *link;

		if (g->hash == hash &&
			sx_keys_equal(groups->ops, groups->nkeys, g->keys, g->key_nulls,
						  keys, nulls))
		{
			*link = g->next;
			groups->bytes -= sx_group_bytes(groups, g);
			group_free(groups, g);
			groups->ngroups--;
			return;
		}
	}
}

void
sx_groups_evict(SxGroups *groups, uint32 batch)
{
	uint64		i;

	groups->bytes = 0;
	groups->whole_after = PG_INT64_MAX;
	for (i = 0; i < groups->nbuckets; i++)
	{
		SxGroup   **link = &groups->buckets[i];

		while (*link)
		{
			SxGroup    *g = *link;

			if (g->used < batch)
			{
				*link = g->next;
				group_free(groups, g);
				groups->ngroups--;
			}
			else
			{
				groups->bytes += sx_group_bytes(groups, g);
				link = &g->next;
			}
		}
	}
}

SxGroup *
sx_groups_find(SxGroups *groups, uint64 hash, const Datum *keys,
			   const bool *nulls)
{
	SxGroup    *g;

	if (groups->nbuckets == 0)
		return NULL;
	for (g = groups->buckets[hash & (groups->nbuckets - 1)]; g; g = g->next)
	{
		if (g->hash == hash &&
			sx_keys_equal(groups->ops, groups->nkeys, g->keys, g->key_nulls,
						  keys, nulls))
			return g;
	}
	return NULL;
}

static void
groups_grow(SxGroups *groups)
{
	uint64		want = groups->nbuckets ? groups->nbuckets * 2 : FIRST_BUCKETS;
	SxGroup   **buckets;
	uint64		i;

	buckets = MemoryContextAllocExtended(groups->cxt, sizeof(SxGroup *) * want,
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (i = 0; i < groups->nbuckets; i++)
	{
		SxGroup    *g = groups->buckets[i];

		while (g)
		{
			SxGroup    *next = g->next;
			SxGroup   **bucket = &buckets[g->hash & (want - 1)];

			g->next = *bucket;
			*bucket = g;
			g = next;
		}
	}
	if (groups->buckets)
		pfree(groups->buckets);
	groups->buckets = buckets;
	groups->nbuckets = want;
}

SxGroup *
sx_groups_add(SxGroups *groups, uint64 hash, const Datum *keys,
			  const bool *nulls)
{
	int			nk = groups->nkeys;
	int			ns = groups->nstates;
	SxGroup    *g;
	SxGroup   **bucket;
	MemoryContext old;
	int			i;

	if (groups->ngroups >= groups->nbuckets)
		groups_grow(groups);
	old = MemoryContextSwitchTo(groups->cxt);
	/* one piece: struct, datums, flags */
	g = palloc(MAXALIGN(sizeof(SxGroup)) + (sizeof(Datum) + sizeof(bool)) * (nk + ns));
	g->hash = g->state_hash = hash;
	g->used = groups->batch;
	g->cached = true;
	g->fresh = g->absent = false;
	g->gathered = false;
	ItemPointerSetInvalid(&g->state_tid);
	ItemPointerSetInvalid(&g->result_tid);
	g->keys = (Datum *) ((char *) g + MAXALIGN(sizeof(SxGroup)));
	g->states = g->keys + nk;
	g->key_nulls = (bool *) (g->states + ns);
	g->state_nulls = g->key_nulls + nk;
	for (i = 0; i < nk; i++)
	{
		g->key_nulls[i] = nulls[i];
		if (nulls[i])
			g->keys[i] = (Datum) 0;
		else
			g->keys[i] = datumCopy(keys[i], groups->ops[i].byval,
								   groups->ops[i].len);
	}
	for (i = 0; i < ns; i++)
	{
		g->states[i] = (Datum) 0;
		g->state_nulls[i] = true;
	}
	bucket = &groups->buckets[hash & (groups->nbuckets - 1)];
	g->next = *bucket;
	*bucket = g;
	groups->ngroups++;
	MemoryContextSwitchTo(old);
	return g;
}
