/*-------------------------------------------------------------------------
 * history.c
 *		The recent past, in rings of shared memory: batches, and errors.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "stats/history.h"
#include "stats/stats.h"

#define ERRORS	512

typedef struct SharedHistory
{
	uint64		batches;		/* recorded so far; the ring's next is this
								 * modulo its size */
	SxErrorRecord errors[ERRORS];
	SxBatchRecord ring[FLEXIBLE_ARRAY_MEMBER];
} SharedHistory;

static SharedHistory *history;

SxSpent		sx_spent;

Size
sx_history_size(void)
{
	return add_size(offsetof(SharedHistory, ring),
					mul_size(sizeof(SxBatchRecord), sx_batch_history));
}

void
sx_history_startup(void)
{
	bool		found;

	history = ShmemInitStruct("streamx history", sx_history_size(), &found);
	if (!found)
		memset(history, 0, sx_history_size());
}

void
sx_history_batch(const SxBatchRecord *record)
{
	SxBatchRecord *r;

	if (history == NULL)
		return;
	sx_stats_lock(true);
	r = &history->ring[history->batches % sx_batch_history];
	*r = *record;
	r->id = ++history->batches;
	sx_stats_unlock();
}

void
sx_history_error(Oid dbid, SxErrorKind kind, Oid stream, Oid view,
				 const char *sqlstate, const char *error)
{
	SxErrorRecord *latest = NULL;
	SxErrorRecord *oldest = NULL;
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	if (history == NULL)
		return;
	sx_stats_lock(true);
	for (i = 0; i < ERRORS; i++)
	{
		SxErrorRecord *e = &history->errors[i];

		if (e->times > 0 && e->dbid == dbid && e->kind == kind &&
			e->stream == stream && e->view == view &&
			(latest == NULL || e->last > latest->last))
			latest = e;
		if (oldest == NULL || (e->times == 0 && oldest->times > 0) ||
			(oldest->times > 0 && e->last < oldest->last))
			oldest = e;
	}
	if (latest == NULL || strcmp(latest->sqlstate, sqlstate) != 0 ||
		strncmp(latest->error, error, sizeof(latest->error) - 1) != 0)
	{
		latest = oldest;
		memset(latest, 0, sizeof(*latest));
		latest->dbid = dbid;
		latest->stream = stream;
		latest->view = view;
		latest->kind = kind;
		latest->first = now;
		strlcpy(latest->sqlstate, sqlstate, sizeof(latest->sqlstate));
		strlcpy(latest->error, error, sizeof(latest->error));
	}
	latest->last = now;
	latest->times++;
	sx_stats_unlock();
}

SxBatchRecord *
sx_history_batches(int *n)
{
	SxBatchRecord *result;
	int			i;

	result = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(*result) * sx_batch_history);
	*n = 0;
	sx_stats_lock(false);
	for (i = 0; i < sx_batch_history; i++)
	{
		if (history->ring[i].id != 0 && history->ring[i].dbid == MyDatabaseId)
			result[(*n)++] = history->ring[i];
	}
	sx_stats_unlock();
	return result;
}

SxErrorRecord *
sx_history_errors(int *n)
{
	SxErrorRecord *result = palloc(sizeof(*result) * ERRORS);
	int			i;

	*n = 0;
	sx_stats_lock(false);
	for (i = 0; i < ERRORS; i++)
	{
		if (history->errors[i].times > 0 && history->errors[i].dbid == MyDatabaseId)
			result[(*n)++] = history->errors[i];
	}
	sx_stats_unlock();
	return result;
}

void
sx_history_forget_database(Oid dbid)
{
	int			i;

	for (i = 0; i < ERRORS; i++)
	{
		if (history->errors[i].dbid == dbid)
			history->errors[i].times = 0;
	}
	for (i = 0; i < sx_batch_history; i++)
	{
		if (history->ring[i].dbid == dbid)
			history->ring[i].dbid = InvalidOid;
	}
}
