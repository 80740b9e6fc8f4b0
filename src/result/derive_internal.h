/*-------------------------------------------------------------------------
 * derive_internal.h
 *		What derive.c and derive_shed.c share.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_DERIVE_INTERNAL_H
#define SX_RESULT_DERIVE_INTERNAL_H

#include "postgres.h"

#include "exec/exec.h"
#include "result/difference.h"

typedef struct CoreRun
{
	SxWatch		watch;			/* of its hidden table; has to be first */
	struct SxDerived *derived;
	int			number;
	SxView		view;			/* as if it were one */
	SxResult   *result;
	PlannedStmt *plan_small;
	PlannedStmt *plan_big;
	PlannedStmt *plan_late;		/* made when first needed */
} CoreRun;

/* Plans over the tables, for one scope each. */
typedef struct DerivePlans
{
	PlannedStmt *derive;
	PlannedStmt *rows;			/* of the result */
	PlannedStmt *prune;
} DerivePlans;

typedef struct SxDerived
{
	SxResult   *r;
	const SxDerivation *d;
	CoreRun    *cores;
	Oid		   *tables;			/* per core */
	List	   *relations;		/* Oids of all that is read or written */
	SxKeyOps   *partops;
	SxKeyOps   *keyops;			/* of the result's key */
	MemoryContext plans_cxt;
	DerivePlans plans[SX_DERIVE_PARTS_OR_NULL + 1]; /* others are made when
													 * they are run */
	BlockNumber planned_blocks; /* the hidden tables had then */
	bool		plans_stale;	/* a table is not as it was, or an index */

	/*
	 * What has changed; lives as long as the part of the batch, or, if cores
	 * are tables of other views, in a context of its own until the next time.
	 * While changes are gathered over several rounds, as long as that.
	 */
	MemoryContext changes_cxt;
	bool		gathering;
	bool		changed;
	bool		whole;			/* it is not known what has */
	bool		nulls;			/* NULL is among the values */
	SxGroups   *touched;		/* partitions */
	SxGroups  **values;			/* of each partition column */

	/* Windows are taken in as they close: there are none after this. */
	int64		last_us;
} SxDerived;

/* ---- derive.c ---- */

/* Nothing has changed yet. */
extern void sx_derived_begin_changes(SxDerived *v);

/* Put values among the groups. */
extern void sx_derived_touch(SxGroups *groups, const SxKeyOps *ops, int n, const Datum *values,
							 const bool *nulls);

/* The values of each partition column that is touched, as parameters. */
extern ParamListInfo sx_derived_touched_params(SxDerived *v);

/*
 * The plans for a scope.  Few partitions: made before, unless the tables have
 * grown much since; many: for just these.
 */
extern const DerivePlans *sx_derived_plans_for(SxDerived *v, SxDeriveScope scope,
											   ParamListInfo params);

/* What comes out lives in the current context. */
extern void sx_derived_run_plan(PlannedStmt *plan, ParamListInfo params, SxRows *rows);

/* For difference.h: what is touched. */
extern void sx_derived_scope(SxDerived *v, SxDifferenceScope *scope);

/* ---- derive_shed.c ---- */

/*
 * Derive what is touched partition by partition.  One that fails is given up,
 * or, where only the table refuses them, single rows of it.
 */
extern int64 sx_derived_each(SxDerived *v);

#endif							/* SX_RESULT_DERIVE_INTERNAL_H */
