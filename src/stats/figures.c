/*-------------------------------------------------------------------------
 * figures.c
 *		Figures of streams, partitions and views in shared memory.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "base/guc.h"
#include "stats/history.h"
#include "stats/stats.h"

#define PARTITIONS_PER_STREAM 16	/* on average */

typedef struct SharedFigures
{
	LWLock	   *lock;
	ConditionVariable progress;
	uint64		rounds;			/* numbers given out */
} SharedFigures;

static SharedFigures *shared;
static HTAB *streams;
static HTAB *partitions;
static HTAB *views;

void
sx_stats_request(void)
{
	Size		size = MAXALIGN(sizeof(SharedFigures));

	size = add_size(size, hash_estimate_size(sx_max_streams, sizeof(SxStreamFigures)));
	size = add_size(size, hash_estimate_size((long) sx_max_streams * PARTITIONS_PER_STREAM,
											 sizeof(SxPartitionFigures)));
	size = add_size(size, hash_estimate_size(sx_max_views, sizeof(SxViewFigures)));
	size = add_size(size, sx_history_size());
	RequestAddinShmemSpace(size);
	RequestNamedLWLockTranche("streamx", 1);
}

void
sx_stats_startup(void)
{
	HASHCTL		ctl = {0};
	bool		found;

	shared = ShmemInitStruct("streamx figures", sizeof(SharedFigures), &found);
	if (!found)
	{
		shared->lock = &(GetNamedLWLockTranche("streamx"))->lock;
		ConditionVariableInit(&shared->progress);
		shared->rounds = 0;
	}
	ctl.keysize = sizeof(SxStreamKey);
	ctl.entrysize = sizeof(SxStreamFigures);
	streams = ShmemInitHash("streamx streams", sx_max_streams, sx_max_streams,
							&ctl, HASH_ELEM | HASH_BLOBS);
	ctl.entrysize = sizeof(SxViewFigures);
	views = ShmemInitHash("streamx views", sx_max_views, sx_max_views,
						  &ctl, HASH_ELEM | HASH_BLOBS);
	ctl.keysize = sizeof(SxPartitionKey);
	ctl.entrysize = sizeof(SxPartitionFigures);
	partitions = ShmemInitHash("streamx partitions",
							   (long) sx_max_streams * PARTITIONS_PER_STREAM,
							   (long) sx_max_streams * PARTITIONS_PER_STREAM,
							   &ctl, HASH_ELEM | HASH_BLOBS);
	sx_history_startup();
}

ConditionVariable *
sx_stats_progress_cv(void)
{
	return &shared->progress;
}

void
sx_stats_lock(bool exclusive)
{
	/* the library may be loaded by a function call, without its memory */
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streamx has to be loaded when the server starts"),
				 errhint("Add streamx to shared_preload_libraries and restart the server.")));
	LWLockAcquire(shared->lock, exclusive ? LW_EXCLUSIVE : LW_SHARED);
}

void
sx_stats_unlock(void)
{
	LWLockRelease(shared->lock);
}

uint64
sx_stats_next_round(void)
{
	return ++shared->rounds;
}

/* A new entry is zero but for its key. */
static void *
find(HTAB *table, const void *key, Size keysize, Size entrysize, bool create)
{
	bool		found;
	char	   *entry = hash_search(table, key, create ? HASH_ENTER_NULL : HASH_FIND, &found);

	if (entry && !found)
		memset(entry + keysize, 0, entrysize - keysize);
	return entry;
}

SxStreamFigures *
sx_stats_stream(Oid relid, bool create)
{
	SxStreamKey key = {MyDatabaseId, relid};

	return sx_stats_stream_of(&key, create);
}

SxStreamFigures *
sx_stats_stream_of(const SxStreamKey *key, bool create)
{
	SxStreamFigures *f = find(streams, key, sizeof(*key), sizeof(SxStreamFigures), false);

	if (f == NULL && create)
	{
		f = find(streams, key, sizeof(*key), sizeof(SxStreamFigures), true);
		if (f)
		{
			f->assigned = -1;
			pg_atomic_init_u32(&f->news, 0);
		}
	}
	return f;
}

SxPartitionFigures *
sx_stats_partition(Oid stream, int32 partition, bool create)
{
	SxPartitionKey key = {MyDatabaseId, stream, partition};

	return find(partitions, &key, sizeof(key), sizeof(SxPartitionFigures), create);
}

SxViewFigures *
sx_stats_view(Oid relid, bool create)
{
	SxStreamKey key = {MyDatabaseId, relid};

	return find(views, &key, sizeof(key), sizeof(SxViewFigures), create);
}

void
sx_report_rebuild(Oid view, TimestampTz since, int64 done, int64 left)
{
	SxViewFigures *f;

	sx_stats_lock(true);
	f = sx_stats_view(view, false);
	if (f)
	{
		f->rebuild_pid = since == 0 ? 0 : MyProcPid;
		f->rebuild_since = since;
		f->rebuild_done = done;
		f->rebuild_left = Max(left, 0);
	}
	sx_stats_unlock();
}

void
sx_stats_forget_stream(Oid relid)
{
	SxStreamKey key = {MyDatabaseId, relid};
	HASH_SEQ_STATUS scan;
	SxPartitionFigures *p;

	sx_stats_lock(true);
	hash_search(streams, &key, HASH_REMOVE, NULL);
	hash_seq_init(&scan, partitions);
	while ((p = hash_seq_search(&scan)) != NULL)
	{
		if (p->key.dbid == MyDatabaseId && p->key.stream == relid)
			hash_search(partitions, &p->key, HASH_REMOVE, NULL);
	}
	sx_stats_unlock();
}

void
sx_stats_forget_view(Oid relid)
{
	SxStreamKey key = {MyDatabaseId, relid};

	sx_stats_lock(true);
	hash_search(views, &key, HASH_REMOVE, NULL);
	sx_stats_unlock();
}

void
sx_stats_forget_database(Oid dbid)
{
	HASH_SEQ_STATUS scan;
	SxStreamFigures *s;
	SxPartitionFigures *p;
	SxViewFigures *v;

	sx_stats_lock(true);
	hash_seq_init(&scan, streams);
	while ((s = hash_seq_search(&scan)) != NULL)
	{
		if (s->key.dbid == dbid)
			hash_search(streams, &s->key, HASH_REMOVE, NULL);
	}
	hash_seq_init(&scan, partitions);
	while ((p = hash_seq_search(&scan)) != NULL)
	{
		if (p->key.dbid == dbid)
			hash_search(partitions, &p->key, HASH_REMOVE, NULL);
	}
	hash_seq_init(&scan, views);
	while ((v = hash_seq_search(&scan)) != NULL)
	{
		if (v->key.dbid == dbid)
			hash_search(views, &v->key, HASH_REMOVE, NULL);
	}
	sx_history_forget_database(dbid);
	sx_stats_unlock();
}

bool
sx_stats_full(void)
{
	bool		full;

	sx_stats_lock(false);
	full = hash_get_num_entries(streams) >= sx_max_streams ||
		hash_get_num_entries(views) >= sx_max_views ||
		hash_get_num_entries(partitions) >= (long) sx_max_streams * PARTITIONS_PER_STREAM;
	sx_stats_unlock();
	return full;
}

SxStreamFigures *
sx_stats_all_streams(int *n)
{
	SxStreamFigures *result;
	SxStreamFigures *f;
	HASH_SEQ_STATUS scan;

	sx_stats_lock(false);
	result = palloc(sizeof(*result) * (hash_get_num_entries(streams) + 1));
	*n = 0;
	hash_seq_init(&scan, streams);
	while ((f = hash_seq_search(&scan)) != NULL)
	{
		if (f->key.dbid == MyDatabaseId)
			result[(*n)++] = *f;
	}
	sx_stats_unlock();
	return result;
}

SxPartitionFigures *
sx_stats_all_partitions(int *n)
{
	SxPartitionFigures *result;
	SxPartitionFigures *f;
	HASH_SEQ_STATUS scan;

	sx_stats_lock(false);
	result = palloc(sizeof(*result) * (hash_get_num_entries(partitions) + 1));
	*n = 0;
	hash_seq_init(&scan, partitions);
	while ((f = hash_seq_search(&scan)) != NULL)
	{
		if (f->key.dbid == MyDatabaseId)
			result[(*n)++] = *f;
	}
	sx_stats_unlock();
	return result;
}

SxViewFigures *
sx_stats_all_views(int *n)
{
	SxViewFigures *result;
	SxViewFigures *f;
	HASH_SEQ_STATUS scan;

	sx_stats_lock(false);
	result = palloc(sizeof(*result) * (hash_get_num_entries(views) + 1));
	*n = 0;
	hash_seq_init(&scan, views);
	while ((f = hash_seq_search(&scan)) != NULL)
	{
		if (f->key.dbid == MyDatabaseId)
			result[(*n)++] = *f;
	}
	sx_stats_unlock();
	return result;
}
