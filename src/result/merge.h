/*-------------------------------------------------------------------------
 * merge.h
 *		Inside of the room: a view's writer, its aggregates and projection.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_MERGE_H
#define SX_RESULT_MERGE_H

#include "postgres.h"

#include "access/genam.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/sortsupport.h"

#include "result/group.h"
#include "result/key_index.h"
#include "result/places.h"
#include "result/result.h"
#include "result/writer.h"

typedef struct SxPartialOps
{
	bool		internal;		/* transition type internal: stored serialized */
	bool		byval;			/* of the stored type */
	int16		len;
	Oid			collation;
	FmgrInfo	combine;
	FmgrInfo	serialize;
	FmgrInfo	deserialize;
} SxPartialOps;

typedef struct SxFinalOps
{
	int			partial;
	int			nargs;			/* of the final function; 0: there is none */
	Oid			collation;
	FmgrInfo	final;
} SxFinalOps;

typedef struct SxAggregates
{
	const SxShape *shape;
	ExprContext *econtext;		/* its per-tuple memory holds live states */
	AggState   *fake;			/* what the functions ask for their context */
	SxPartialOps *partials;
	SxFinalOps *finals;
	Datum	   *live;			/* states of the group at hand */
	bool	   *live_nulls;
} SxAggregates;

extern void sx_aggregates_init(SxAggregates *aggs, const SxShape *shape);
extern void sx_aggregates_merge(SxAggregates *aggs, bool have_state,
								const Datum *states, const bool *state_nulls,
								const Datum *in, const bool *in_nulls);

/*
 * Live states by themselves, in the same short-lived context: from the stored
 * form, into it, and one added to another.
 */
extern Datum sx_aggregates_live(SxAggregates *aggs, int i, Datum stored,
								bool null, bool *isnull);
extern Datum sx_aggregates_stored(SxAggregates *aggs, int i, Datum live,
								  bool null, bool *isnull);
extern void sx_aggregates_combine(SxAggregates *aggs, int i, Datum *acc,
								  bool *acc_null, Datum in, bool in_null);
extern void sx_aggregates_load(SxAggregates *aggs, const Datum *states,
							   const bool *state_nulls);
extern Datum sx_aggregates_store(SxAggregates *aggs, int i, bool *isnull);
extern Datum sx_aggregates_finish(SxAggregates *aggs, int i, bool *isnull);
extern void sx_aggregates_reset(SxAggregates *aggs);

typedef struct SxProjection
{
	ExprContext *econtext;
	TupleTableSlot *slot;		/* keys, aggregates */
	int			ncols;
	ExprState **exprs;			/* per column of the result */
	ExprState  *having;			/* or NULL */
} SxProjection;

extern void sx_projection_init(SxProjection *proj, const SxShape *shape);

typedef struct SxGathered SxGathered;	/* see gather.c */

struct SxResult
{
	const SxView *view;
	const SxShape *shape;
	SxKeyOps   *keyops;
	SortSupportData *keysort;	/* order of the keys */
	SxGroups   *groups;			/* merge only */
	SxPlaces   *places;			/* of windows' rows, or NULL; panes only */
	SxOpen	   *open;			/* NULL: all groups are in the state table */
	SxAggregates aggs;
	SxProjection proj;
	MemoryContext cxt;
	struct SxEmit *emit;		/* to the view's sink; NULL: none, or not yet */
	bool		closing;		/* rows are written as their window closes */
	struct SxDerived *derived;	/* or NULL, see derive.c */
	struct SxDistinct *distinct;	/* or NULL, see distinct.h */
	PlannedStmt *recompute;		/* made when first needed */
	struct SxSessionKeys *session;	/* or NULL, see session.h */
	int64		closed_us;		/* what ended by then was closed before */
	int64		next_end_us;	/* end of the window that closes first, as far
								 * as known: no group's ends earlier;
								 * PG_INT64_MIN: not known */
	int64		next_leave_us;	/* the same for rows of a sliding window */
	int64		left_us;		/* none of an earlier time is held;
								 * PG_INT64_MIN: not known */
	int64		removed_us;		/* rows from before this have been removed;
								 * PG_INT64_MIN: not known */
	bool		old_left;		/* but some were left for the next batch */
	SxGathered *gathered;		/* NULL: what changes is written at once */
	SxShed		shed;			/* of groups that cannot be written as their
								 * window closes */
	int64		nshed;
};

/*
 * emit.c: the result table, open for writing; the view's sink gets what is
 * written, while a batch of the view is at hand
 */
extern SxWriter *sx_result_writer(const SxResult *result);

/* ---- gather.c: what changed in several rounds is written once ---- */

/* Its state in the cache has changed, the tables have not.  Once per group. */
extern void sx_gathered_group(SxResult *result, SxGroup *group);

/* These groups, whose rows are held, are to be computed again. */
extern void sx_gathered_hashes(SxResult *result, const int64 *hashes, int64 n);

/* Forget it all. */
extern void sx_gathered_forget(SxResult *result);

/*
 * merge.c's part: write states and rows of groups in the cache; returns the
 * rows of the result that changed.
 */
extern int64 sx_result_write_groups(SxResult *result, SxGroup **groups, int64 n);

/* The state table, open for writing and for finding groups. */
typedef struct SxStateTable
{
	SxWriter   *writer;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	Datum	   *found;
	bool	   *found_nulls;
} SxStateTable;

extern void sx_state_begin(SxStateTable *st, const SxView *view,
						   const SxShape *shape);
extern void sx_state_end(SxStateTable *st);

/* The index of a state table that begins with this column; open and locked. */
extern Relation sx_state_index(Relation state, AttrNumber attno);

/*
 * A group's row, in the slot of the result table's row type; false: HAVING
 * excludes it.  Its values live until the next call.  values: as below.
 */
extern bool sx_result_project(SxResult *result, const SxGroup *group,
							  const Datum *values, const bool *nulls,
							  TupleTableSlot *row);

/*
 * Write, or take away, a group's row.  values: of the aggregates; NULL: from
 * the live states.
 */
extern int	sx_result_store(SxResult *result, SxWriter *writer,
							SxKeyIndex *index, SxGroup *group,
							const Datum *values, const bool *nulls);

/* The same, whatever becomes of groups that fail. */
extern int	sx_result_store_row(SxResult *result, SxWriter *writer,
								SxKeyIndex *index, SxGroup *group,
								const Datum *values, const bool *nulls);

/* shed.c: the same, in a subtransaction; a group that fails is given up */
extern int	sx_result_store_or_shed(SxResult *result, SxGroup *group,
									const Datum *values, const bool *nulls);

/*
 * Work in a subtransaction; the error if it fails for the row's sake, others
 * are raised again.
 */
extern ErrorData *sx_result_attempt(SxResult *result, void (*work) (SxResult *result, void *arg),
									void *arg);

/*
 * A dead letter of the view, with these columns of the result; keys: NULL, the
 * first ones.
 */
extern void sx_result_give_up(SxResult *result, const SxKey *keys, int nkeys,
							  const Datum *values, const bool *nulls, const ErrorData *error);

/* Leave out the groups of windows that are closed; returns how many. */
extern int64 sx_result_drop_closed(SxResult *result, SxRows *rows, int64 closed_us);

/* Keys too long for the key index as it is change the index first. */
extern void sx_result_check_keys(SxResult *result, const SxRows *rows);

/* panes.c: the same three steps where a group is kept by panes */
extern uint64 sx_panes_hash(const SxResult *result, const Datum *keys,
							const bool *nulls);
extern int64 sx_panes_drop_closed(SxResult *result, SxRows *rows, int64 closed_us);
extern int64 sx_panes_write(SxResult *result, SxGroup **groups, int64 n);
extern int64 sx_panes_close(SxResult *result, int64 closed_us);

/*
 * Put rows into the state table; hashes: gets those of their groups.  And how
 * many hashes differ; they are sorted and kept once each.
 */
extern void sx_recompute_hold(SxResult *result, const SxRows *rows, int64 *hashes);
extern int64 sx_recompute_unique(int64 *hashes, int64 n);

/* Take the history in; with an active snapshot of its own. Returns rows written. */
extern int64 sx_result_seed(SxResult *result);

/* sliding.c: rows were put into the window, the first of them leaves then */
extern void sx_sliding_note(SxResult *result, int64 time_us);

/* Hold a batch's states, compute their groups again from all of them. */
extern int64 sx_sliding_merge(SxResult *result, const SxRows *rows);

/* Where the time is in a state table. */
extern AttrNumber sx_sliding_attno(const SxShape *shape);

/* The bound that times of rows in the window are beyond, as of now. */
extern bool sx_sliding_is_in(const SxSliding *sliding, int64 time_us);

/*
 * Compute the groups with these hashes (each once, sorted) from the states
 * held, and write them; *there, if not NULL, gets their keys.
 */
extern int64 sx_sliding_write(SxResult *result, const int64 *hashes, int64 n,
							  SxGroups *there);

/* Image of an appended row, by which it is found again. */
extern uint64 sx_sliding_image(TupleTableSlot *slot, int ncolumns);

/* recompute.c's part of sx_result_close, and the row of a view without groups */
extern int64 sx_recompute_close(SxResult *result, int64 closed_us);
extern void sx_recompute_run(SxResult *result, const int64 *hashes, int n,
							 int64 from_us, SxRows *rows);
extern int64 sx_recompute_groups(SxResult *result, const int64 *hashes, int n,
								 int64 closed_us);

/* Write the rows of these groups: (keys ..., aggregates ...). */
extern int64 sx_recompute_write(SxResult *result, const SxRows *groups);

/* What is there before any input, with an active snapshot of its own. */
extern void sx_result_first_rows(SxResult *result);

/* derive.c's parts */
extern void sx_derived_open(SxResult *result);
extern void sx_derived_forget(SxResult *result);
extern void sx_derived_trim(SxResult *result);
extern int64 sx_derived_memory(const SxResult *result);
extern void sx_derived_gather(SxResult *result, MemoryContext cxt);
extern int64 sx_derived_gathered_bytes(const SxResult *result);
extern int64 sx_derived_flush(SxResult *result);
extern void sx_derived_closed_before(SxResult *result, int64 closed_us);
extern bool sx_derived_can_close(const SxResult *result, int64 closed_us);
extern int64 sx_derived_close(SxResult *result, int64 closed_us);
extern int64 sx_derived_leaves_at(const SxResult *result);
extern int64 sx_derived_leave(SxResult *result);
extern void sx_derived_first_rows(SxResult *result);
extern int64 sx_derived_seed(SxResult *result);

/* close.c: rows that retention takes away go. */
extern void sx_result_remove_old(SxResult *result, int64 closed_us);

#endif							/* SX_RESULT_MERGE_H */
