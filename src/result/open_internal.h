/*-------------------------------------------------------------------------
 * open_internal.h
 *		What the files about open windows share: see open.c.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_OPEN_INTERNAL_H
#define SX_RESULT_OPEN_INTERNAL_H

#include "postgres.h"

#include "result/open.h"

typedef struct OpenGroup
{
	uint32		stamp;			/* of the part of a batch that changed it last */
	Datum		data[FLEXIBLE_ARRAY_MEMBER];	/* keys, states; then their
												 * null flags */
} OpenGroup;

typedef struct Slot
{
	uint64		hash;
	OpenGroup  *group;			/* NULL: free */
} Slot;

typedef struct OpenWindow
{
	int64		key;			/* the window's column, or a pane */
	int64		end_us;			/* of a pane: of its last window */
	MemoryContext cxt;			/* this and all of its groups */
	uint64		nslots;			/* a power of two */
	uint64		ngroups;
	Slot	   *slots;
	char	   *next;			/* block that groups are cut from */
	char	   *stop;
	Size		block;			/* size of the next one */
} OpenWindow;

typedef struct Undo
{
	OpenWindow *window;
	OpenGroup  *group;
	uint64		hash;
	Datum	   *states;			/* before; NULL: the group is new */
	bool	   *nulls;
} Undo;

/* Reading from here on brings the rows of windows that end up to there. */
typedef struct Start
{
	SxPosition *positions;
	int			npositions;
	int64		end_us;
} Start;

struct SxOpen
{
	MemoryContext cxt;
	const char *signature;		/* what the groups are groups of */
	int			nkeys;
	int			nstates;
	bool		internal;		/* some state is */
	bool		scribbles;		/* some final function changes its state */
	ExprContext *econtext;		/* its per-tuple memory: the window's */
	AggState   *fake;

	OpenWindow **windows;		/* by key, which is by end as well */
	int			nwindows;
	int			maxwindows;
	int			last;			/* found last */

	bool		floor_known;
	int64		floor_us;		/* windows that end up to here are stored */

	MemoryContext log_cxt;
	Undo	   *log;
	int64		nlog;
	int64		maxlog;
	uint32		stamp;
	bool		careful;
	bool		lost;
	bool		unfit;			/* the view does not suit any more */

	/* the batch at hand */
	int64		batch_end_us;	/* greatest end of a window it brought rows to */
	int64		closing_us;		/* windows up to here go at the commit */
	bool		spilling;		/* and all others */
	bool		spill_due;

	Start	   *starts;			/* ascending by end */
	int			nstarts;
	int			maxstarts;
	Start		next;			/* to be added at the commit; npositions 0:
								 * none */
	SxPosition *saved;			/* replay positions in the catalog */
	int			nsaved;			/* 0: where the view stands */
	SxPosition *pending;		/* the same after the commit, in log_cxt */
	int			npending;
	bool		is_pending;
};

static inline Datum *
group_states(const SxOpen *open, OpenGroup *g)
{
	return g->data + open->nkeys;
}

static inline bool *
group_key_nulls(const SxOpen *open, OpenGroup *g)
{
	return (bool *) (g->data + open->nkeys + open->nstates);
}

static inline bool *
group_nulls(const SxOpen *open, OpenGroup *g)
{
	return group_key_nulls(open, g) + open->nkeys;
}

/* When what has this key is not needed any more. */
extern int64 sx_open_end(const SxResult *result, int64 key);

/* The hash of a group as the state table has it. */
extern uint64 sx_open_hash(const SxResult *result, const Datum *keys, const bool *nulls);

/* The last window that the state table has is the floor. */
extern void sx_open_find_floor(SxResult *result);

/* What the catalog has. */
extern void sx_open_set_saved(SxOpen *open, const SxPosition *saved, int nsaved);

#endif							/* SX_RESULT_OPEN_INTERNAL_H */
