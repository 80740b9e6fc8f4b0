/*-------------------------------------------------------------------------
 * wait.c
 *		streamx.wait: until a view shows what its sources had at the call.
 *
 * What has to be there:
 *	 Kafka		end offsets of all partitions, asked for at the call; reached
 *				when streamx.progress of the view has them
 *	 others		a round of reading that begins after the call (see
 *				src/stats/stats.h); reached when the view is through it
 *
 * Nothing is locked meanwhile.  Each look takes a snapshot of its own, so
 * that it works in a transaction block too, whatever its isolation level.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/wait_event.h"
#include "catalog/stream.h"
#include "checkpoint/checkpoint.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "source/kafka_client.h"
#include "stats/stats.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(streamx_wait);

#define LOOK_MS			100		/* between looks when nobody wakes us */
#define WAKE_MS			1000	/* between calls for a worker */
#define ASK_MS			10000	/* for one question to a broker */

/* What one stream of the view has to come to. */
typedef struct Target
{
	Oid			stream;
	bool		kafka;
	bool		reached;

	bool		known;			/* Kafka: npartitions, partitions are set */
	int			npartitions;
	SxKafkaPartition *partitions;

} Target;

typedef struct Wait
{
	Oid			view;
	TimestampTz until;
	TimestampTz woken;			/* workers were called last */
	MemoryContext look_cxt;		/* reset after each look */
	uint64		round;			/* of streams that are not Kafka's */
	int			ntargets;
	Target	   *targets;
} Wait;

static bool
may_see_error(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		sx_class_ownercheck(relid, GetUserId());
}

/* The view as it is now; ERROR if it, or one it reads, has stopped or is gone. */
static SxView *
look_at(Oid relid)
{
	SxView	   *view = sx_view_get(relid);
	ListCell   *lc;

	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", relid),
				 errhint("streamx.views lists the continuous views.")));
	if (view->sqlstate != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view %s has stopped", view->name),
				 view->error != NULL && may_see_error(relid) ?
				 errdetail("%s", view->error) : 0,
				 errhint("Mend the cause, then SELECT streamx.resume('%s').",
						 view->name)));
	foreach(lc, view->sources)
		(void) look_at(lfirst_oid(lc));
	return view;
}

static SxView *
look_at_view(const Wait *wait)
{
	return look_at(wait->view);
}

static int
remaining_ms(const Wait *wait, int most)
{
	TimestampTz now = GetCurrentTimestamp();

	if (wait->until <= now)
		return 0;
	if (TIMESTAMP_IS_NOEND(wait->until) ||
		wait->until - now >= (int64) most * 1000)
		return most;
	return (int) ((wait->until - now + 999) / 1000);
}

/* Sleep until something has happened or it is time for a look. */
static void
sleep_for(const Wait *wait)
{
	int			ms = remaining_ms(wait, LOOK_MS);

	if (ms > 0)
		(void) ConditionVariableTimedSleep(sx_stats_progress_cv(), ms,
										   sx_wait_event(SX_WAIT_PROGRESS));
	CHECK_FOR_INTERRUPTS();
}

/*
 * Where the topic ends.  false: the broker does not answer now.  Being out of
 * reach is no error of the view, so that it is none of ours either.
 */
static bool
ask_ends(const Wait *wait, Target *target)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext client_cxt;
	volatile bool ok = false;
	int			timeout_ms = remaining_ms(wait, ASK_MS);

	if (timeout_ms == 0)
		return false;
	client_cxt = AllocSetContextCreate(cxt, "streamx wait",
									   ALLOCSET_DEFAULT_SIZES);
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		SxStream   *stream;
		SxKafkaClient *client;
		SxKafkaPartition *partitions;
		int			n;

		MemoryContextSwitchTo(client_cxt);
		stream = sx_stream_get(target->stream, InvalidOid);
		stream = sx_stream_get(target->stream, stream->owner);
		client = sx_kafka_client_open(stream);
		n = sx_kafka_client_offsets(client, timeout_ms, &partitions);
		sx_kafka_client_close(client);

		target->npartitions = n;
		target->partitions = MemoryContextAlloc(cxt, sizeof(SxKafkaPartition) * Max(n, 1));
		memcpy(target->partitions, partitions, sizeof(SxKafkaPartition) * n);
		ReleaseCurrentSubTransaction();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (edata->sqlerrcode != ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION &&
			may_see_error(target->stream))
			ReThrowError(edata);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	MemoryContextDelete(client_cxt);
	return ok;
}

/* Ask for a round of reading of the streams that have such. */
static void
request_round(Wait *wait)
{
	bool		room = true;
	int			i;

	sx_stats_lock(true);
	wait->round = sx_stats_next_round();
	for (i = 0; i < wait->ntargets; i++)
	{
		SxStreamFigures *f;

		if (wait->targets[i].kafka)
			continue;
		f = sx_stats_stream(wait->targets[i].stream, true);
		if (f != NULL)
			f->round_requested = wait->round;
		else
			room = false;
	}
	sx_stats_unlock();
	if (!room)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no room for another stream in shared memory"),
				 errhint("Raise streamx.max_streams and restart the server.")));
}

/* Let the stream's worker look, or have one started. */
static void
wake(Wait *wait, const Target *target)
{
	TimestampTz now = GetCurrentTimestamp();
	SxStreamFigures *f;
	bool		owned;

	sx_stats_lock(false);
	f = sx_stats_stream(target->stream, false);
	owned = f != NULL && f->owner_pid != 0;
	sx_stats_unlock();
	if (owned)
	{
		if (!target->kafka)
			sx_worker_wake_stream(target->stream);
	}
	else if (now - wait->woken >= WAKE_MS * INT64CONST(1000))
	{
		wait->woken = now;
		sx_worker_wake_now();
	}
}

static bool
offsets_reached(const Wait *wait, const Target *target)
{
	MemoryContext old = MemoryContextSwitchTo(wait->look_cxt);
	SxPosition *positions;
	int			npositions;
	int			i;
	int			p;

	PushActiveSnapshot(GetLatestSnapshot());
	positions = sx_checkpoint_load(wait->view, target->stream, &npositions);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	if (sx_positions_gone(positions, npositions))
		return false;			/* the ends are those of another topic */
	for (i = 0; i < target->npartitions; i++)
	{
		const SxKafkaPartition *partition = &target->partitions[i];

		if (partition->end <= partition->low)
			continue;
		for (p = 0; p < npositions; p++)
		{
			if (positions[p].partition == partition->partition)
				break;
		}
		if (p == npositions || positions[p].next_offset < partition->end)
			return false;
	}
	return true;
}

static bool
round_reached(const Wait *wait)
{
	SxViewFigures *f;
	bool		result;

	sx_stats_lock(false);
	f = sx_stats_view(wait->view, false);
	result = f != NULL && f->round_done >= wait->round;
	sx_stats_unlock();
	return result;
}

/* One look at what is still missing. */
static bool
all_reached(Wait *wait)
{
	bool		all = true;
	int			i;

	for (i = 0; i < wait->ntargets; i++)
	{
		Target	   *target = &wait->targets[i];

		if (target->reached)
			continue;
		if (!target->kafka)
			target->reached = round_reached(wait);
		else
		{
			if (!target->known)
				target->known = ask_ends(wait, target);
			if (target->known)
				target->reached = offsets_reached(wait, target);
		}
		if (!target->reached)
			wake(wait, target);
		all &= target->reached;
	}
	return all;
}

/* streamx.wait(view regclass, timeout interval) returns boolean */
Datum
streamx_wait(PG_FUNCTION_ARGS)
{
	Wait		wait = {0};
	SxView	   *view;
	ListCell   *lc;
	bool		reached;

	wait.view = PG_GETARG_OID(0);
	wait.until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														 TimestampTzGetDatum(GetCurrentTimestamp()),
														 PG_GETARG_DATUM(1)));
	sx_worker_require_preloaded();
	sx_ddl_check_view(wait.view);
	view = look_at_view(&wait);
	wait.targets = palloc0(sizeof(Target) * Max(list_length(view->streams), 1));
	foreach(lc, view->streams)
	{
		Target	   *target = &wait.targets[wait.ntargets++];

		target->stream = lfirst_oid(lc);
		target->kafka = strcmp(sx_stream_get(target->stream, InvalidOid)->kind,
							   "kafka") == 0;
	}
	request_round(&wait);

	wait.look_cxt = AllocSetContextCreate(CurrentMemoryContext, "streamx wait look",
										  ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		MemoryContext old;

		reached = all_reached(&wait);
		old = MemoryContextSwitchTo(wait.look_cxt);
		(void) look_at_view(&wait);
		MemoryContextSwitchTo(old);
		MemoryContextReset(wait.look_cxt);
		if (reached || remaining_ms(&wait, LOOK_MS) == 0)
			break;
		sleep_for(&wait);
	}
	ConditionVariableCancelSleep();
	MemoryContextDelete(wait.look_cxt);
	PG_RETURN_BOOL(reached);
}
