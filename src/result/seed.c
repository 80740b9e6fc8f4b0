/*-------------------------------------------------------------------------
 * seed.c
 *		The history of a view: rows that its query takes from tables alone.
 *
 * They are taken in once, by CREATE: as the snapshot sees them that also says
 * where native streams begin to be read, so that what a transaction has
 * written to both the table and the stream is there once.  Rows go the way
 * of a batch's, but there may be any number of them: those that are held go
 * to the state table as they come (of sessions, which touch each other, all at
 * once).
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "result/merge.h"

#define CHUNK_ROWS		10000	/* held at a time */
#define CHUNK_BYTES		(16 * 1024 * 1024)
#define CHUNK_GROUPS	5000	/* computed at a time */

/* A receiver that holds rows for recomputing. */
typedef struct Holder
{
	DestReceiver pub;
	SxResult   *r;
	TupleDesc	desc;
	MemoryContext cxt;			/* of the rows that wait */
	DestReceiver *collector;
	SxRows		rows;
	int64	   *hashes;			/* of the groups, each once up to "unique" */
	int64		nhashes;
	int64		unique;
	int64		max;
} Holder;

static void
begin_chunk(Holder *h)
{
	MemoryContext old = MemoryContextSwitchTo(h->cxt);

	h->collector = sx_exec_collector(&h->rows, h->cxt);
	h->collector->rStartup(h->collector, 0, h->desc);
	MemoryContextSwitchTo(old);
}

static void
end_chunk(Holder *h)
{
	MemoryContext old;

	if (h->nhashes + h->rows.nrows > h->max)
	{
		/* what is there twice makes room; else more is needed */
		h->nhashes = h->unique = sx_recompute_unique(h->hashes, h->nhashes);
		while (h->nhashes + h->rows.nrows > h->max / 2)
			h->max *= 2;
		h->hashes = repalloc_huge(h->hashes, sizeof(int64) * h->max);
	}
	old = MemoryContextSwitchTo(h->cxt);
	sx_result_check_keys(h->r, &h->rows);
	sx_recompute_hold(h->r, &h->rows, h->hashes + h->nhashes);
	h->nhashes += h->rows.nrows;
	MemoryContextSwitchTo(old);
	MemoryContextReset(h->cxt);
}

static void
holder_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Holder	   *h = (Holder *) self;

	h->desc = desc;
	begin_chunk(h);
}

static bool
holder_receive(TupleTableSlot *slot, DestReceiver *self)
{
	Holder	   *h = (Holder *) self;

	h->collector->receiveSlot(slot, h->collector);
	if (h->rows.nrows >= CHUNK_ROWS ||
		MemoryContextMemAllocated(h->cxt, true) > CHUNK_BYTES)
	{
		end_chunk(h);
		begin_chunk(h);
	}
	return true;
}

static void
holder_shutdown(DestReceiver *self)
{
	end_chunk((Holder *) self);
}

static void
holder_destroy(DestReceiver *self)
{
}

/* Run the plan; no window is closed yet. */
static void
run(SxResult *r, PlannedStmt *plan, DestReceiver *dest)
{
	SxScanInput input = {0};

	input.streams = r->shape->streams;
	sx_window_set_late(r->shape->window, PG_INT64_MIN);
	PG_TRY();
	{
		sx_exec_run(plan, &input, dest);
	}
	PG_FINALLY();
	{
		sx_window_set_late(NULL, PG_INT64_MIN);
	}
	PG_END_TRY();
	dest->rDestroy(dest);
}

/* Hold all rows, then compute all groups. */
static int64
seed_by_recompute(SxResult *r, PlannedStmt *plan)
{
	Holder		h = {
		.pub.receiveSlot = holder_receive,
		.pub.rStartup = holder_startup,
		.pub.rShutdown = holder_shutdown,
		.pub.rDestroy = holder_destroy,
		.pub.mydest = DestNone,
		.r = r,
		.max = 2 * CHUNK_ROWS,
	};
	int64		written = 0;
	int64		i;

	h.cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx seed",
								  ALLOCSET_DEFAULT_SIZES);
	h.hashes = palloc(sizeof(int64) * h.max);
	run(r, plan, &h.pub);
	if (r->view->final)
		return 0;

	h.nhashes = sx_recompute_unique(h.hashes, h.nhashes);
	for (i = 0; i < h.nhashes; i += CHUNK_GROUPS)
	{
		MemoryContext old = MemoryContextSwitchTo(h.cxt);

		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written += sx_recompute_groups(r, h.hashes + i, (int) Min(h.nhashes - i, CHUNK_GROUPS),
									   PG_INT64_MAX);
		MemoryContextSwitchTo(old);
		MemoryContextReset(h.cxt);
	}
	return written;
}

static void
context_callback(void *arg)
{
	errcontext("history of continuous view %s", ((const SxView *) arg)->name);
}

int64
sx_result_seed(SxResult *r)
{
	const SxShape *shape = r->shape;
	PlannedStmt *plan;
	ErrorContextCallback context;
	SxRows		rows;
	int64		dropped;
	int64		written;

	if (r->derived)
		return sx_derived_seed(r);
	plan = sx_plan_seed(shape);

	context.callback = context_callback;
	context.arg = unconstify(SxView *, r->view);
	context.previous = error_context_stack;
	error_context_stack = &context;
	if (shape->strategy == SX_STRATEGY_RECOMPUTE && shape->session == NULL)
		written = seed_by_recompute(r, plan);
	else if (shape->strategy == SX_STRATEGY_APPEND)
		run(r, plan, sx_result_appender(r, &written));
	else
	{
		run(r, plan, sx_exec_collector(&rows, CurrentMemoryContext));
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
		written = sx_result_take(r, &rows, PG_INT64_MIN, &dropped);
	}
	error_context_stack = context.previous;
	return written;
}
