/*-------------------------------------------------------------------------
 * group.h
 *		Groups of a view in memory: a hash table from key to state.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_GROUP_H
#define SX_RESULT_GROUP_H

#include "postgres.h"

#include "fmgr.h"
#include "storage/itemptr.h"

#include "plan/plan.h"

/* How the values of one grouping column are hashed, compared and copied. */
typedef struct SxKeyOps
{
	Oid			collation;
	bool		byval;
	int16		len;
	bool		has_hash;		/* else the bytes are hashed, or nothing */
	bool		bitwise;		/* equal means equal bytes */
	FmgrInfo	hash;			/* extended hash function */
	FmgrInfo	equal;
} SxKeyOps;

typedef struct SxGroup
{
	struct SxGroup *next;		/* in its chain */
	uint64		hash;
	uint64		state_hash;		/* in the state table: the same, for panes
								 * that of the other keys */
	uint32		used;			/* number of the batch that touched it last */
	bool		cached;			/* it stays; false: a caller's own */
	bool		fresh;			/* not looked for in the state table yet */
	bool		absent;			/* from both tables, for all we know */
	bool		gathered;		/* to be written at the end of the batch */
	ItemPointerData state_tid;	/* invalid: not in the state table */
	ItemPointerData result_tid; /* invalid: not in the result table */
	Datum	   *keys;
	bool	   *key_nulls;
	Datum	   *states;			/* as stored */
	bool	   *state_nulls;
} SxGroup;

typedef struct SxGroups
{
	MemoryContext cxt;
	int			nkeys;
	int			nstates;
	SxKeyOps   *ops;
	const bool *state_byval;
	uint64		nbuckets;		/* a power of two */
	SxGroup   **buckets;
	uint64		ngroups;
	uint32		batch;			/* stamps SxGroup.used */
	int64		bytes;			/* taken by groups, their keys and states */
	int64		whole_after;	/* windows (panes) that begin later are here
								 * with all groups that the tables have */
} SxGroups;

extern void sx_key_ops_init(SxKeyOps *ops, const SxKey *key);

/* Stable across restarts of the same installation. */
extern uint64 sx_keys_hash(const SxKeyOps *ops, int nkeys,
						   const Datum *keys, const bool *nulls);
extern bool sx_keys_equal(const SxKeyOps *ops, int nkeys,
						  const Datum *a, const bool *anulls,
						  const Datum *b, const bool *bnulls);

/* In a context of its own below the current one. */
extern SxGroups *sx_groups_create(const SxKeyOps *ops, int nkeys,
								  const bool *state_byval, int nstates);
extern void sx_groups_reset(SxGroups *groups);
extern SxGroup *sx_groups_find(SxGroups *groups, uint64 hash,
							   const Datum *keys, const bool *nulls);

/* Forget one; nothing happens if it is not there. */
extern void sx_groups_remove(SxGroups *groups, uint64 hash,
							 const Datum *keys, const bool *nulls);

/* Forget those that no batch since "batch" (incl.) has touched. */
extern void sx_groups_evict(SxGroups *groups, uint32 batch);

/* Bytes of a group's keys and states, apart from those passed by value. */
extern int64 sx_group_bytes(const SxGroups *groups, const SxGroup *group);

/* Copies the keys; the states are NULL. */
extern SxGroup *sx_groups_add(SxGroups *groups, uint64 hash,
							  const Datum *keys, const bool *nulls);

#endif							/* SX_RESULT_GROUP_H */
