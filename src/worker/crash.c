/*-------------------------------------------------------------------------
 * crash.c
 *		Which view or stream a worker was at when it crashed.
 *
 * A crash takes PostgreSQL's shared memory along, so marks and suspects are in
 * memory of the postmaster's own that all processes share.  Whoever dies because
 * another one did (SIGQUIT) takes its marks away; what is left when shared memory
 * is made anew was left by the process that crashed.  The postmaster counts it
 * then.  Suspects are also kept in a file, for servers that do not restart by
 * themselves; they are few and change seldom.
 *
 *		mark (per worker) -- crash --> suspect, crashes = 1, 2 ...
 *		suspect -- a batch gets past the step where it crashed --> forgotten
 *				-- resume of its view --> one more try
 *
 * Marks are written by their worker only.  Suspects are guarded by the control
 * lock; the postmaster changes them while it has no children.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "libpq/pqsignal.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "stats/history.h"
#include "worker/control.h"
#include "worker/crash.h"

PG_FUNCTION_INFO_V1(streamx_stream_crashes);

#define MAX_SUSPECTS	64
#define MAX_THREADS		16
#define FAULT_STACK		(64 * 1024)
#define FILE_NAME		"streamx_crashes"	/* in the data directory */
#define FILE_MAGIC		0x53580002

typedef struct Mark
{
	Oid			dbid;
	Oid			stream;
	Oid			view;			/* or InvalidOid */
	volatile int step;			/* SX_STEP_NONE: at nothing */
	volatile bool fault;		/* a signal that only a fault raises */
	volatile bool in_thread;	/* not the main one */
	int32		partition;		/* of the first row */
	int64		position;
	int64		nrows;
	volatile Oid decoding[MAX_THREADS]; /* streams; 0: nothing */
	bool		taken[MAX_THREADS]; /* the worker's own */
} Mark;

typedef struct Suspect
{
	Oid			dbid;
	Oid			relid;			/* view or stream; InvalidOid: free */
	Oid			stream;
	int			step;
	int			crashes;
	int			faults;			/* of them */
	bool		told;
	int32		partition;
	int64		position;
	int64		nrows;
	uint64		number;			/* the higher the later */
} Suspect;

typedef struct Memory
{
	volatile int nsuspects;		/* none: nobody has to look */
	uint64		last_number;
	Suspect		suspects[MAX_SUSPECTS];
	Mark		marks[FLEXIBLE_ARRAY_MEMBER];
} Memory;

typedef struct FileHeader
{
	uint32		magic;
	uint32		size;			/* of a suspect */
	uint32		n;
	pg_crc32c	crc;			/* of the suspects */
} FileHeader;

static Memory *memory = NULL;
static int	nmarks = 0;
static Mark *mine = NULL;		/* a worker's */
static bool loaded = false;
static pthread_t main_thread;
static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL};

/* ---- the postmaster ---- */

static Suspect *
find(Oid dbid, Oid relid)
{
	int			i;

	if (memory == NULL || memory->nsuspects == 0)
		return NULL;
	for (i = 0; i < MAX_SUSPECTS; i++)
	{
		if (memory->suspects[i].relid == relid && memory->suspects[i].dbid == dbid)
			return &memory->suspects[i];
	}
	return NULL;
}

static void
count_suspects(void)
{
	int			n = 0;
	int			i;

	for (i = 0; i < MAX_SUSPECTS; i++)
		n += OidIsValid(memory->suspects[i].relid);
	memory->nsuspects = n;
}

/* Where there is no room the oldest goes. */
static Suspect *
add(Oid dbid, Oid relid)
{
	Suspect    *s = find(dbid, relid);
	int			i;

	for (i = 0; s == NULL && i < MAX_SUSPECTS; i++)
	{
		if (!OidIsValid(memory->suspects[i].relid))
			s = &memory->suspects[i];
	}
	if (s == NULL)
	{
		s = &memory->suspects[0];
		for (i = 1; i < MAX_SUSPECTS; i++)
		{
			if (memory->suspects[i].number < s->number)
				s = &memory->suspects[i];
		}
	}
	if (s->relid != relid || s->dbid != dbid)
	{
		memset(s, 0, sizeof(*s));
		s->dbid = dbid;
		s->relid = relid;
		count_suspects();
	}
	s->number = ++memory->last_number;
	s->told = false;
	return s;
}

/* What cannot be written is missing after a restart, no more. */
static void
save(void)
{
	FileHeader	header = {.magic = FILE_MAGIC,.size = sizeof(Suspect),.n = MAX_SUSPECTS};
	int			fd;
	bool		written;

	if (memory->nsuspects == 0)
	{
		(void) unlink(FILE_NAME);
		return;
	}
	INIT_CRC32C(header.crc);
	COMP_CRC32C(header.crc, memory->suspects, sizeof(memory->suspects));
	FIN_CRC32C(header.crc);
	fd = open(FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, pg_file_create_mode);
	if (fd < 0)
		return;
	written = write(fd, &header, sizeof(header)) == sizeof(header) &&
		write(fd, memory->suspects, sizeof(memory->suspects)) == sizeof(memory->suspects);
	close(fd);
	if (!written || rename(FILE_NAME ".new", FILE_NAME) != 0)
		(void) unlink(FILE_NAME ".new");
}

static void
load(void)
{
	FileHeader	header;
	Suspect		suspects[MAX_SUSPECTS];
	pg_crc32c	crc;
	int			fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (read(fd, &header, sizeof(header)) == sizeof(header) &&
		header.magic == FILE_MAGIC && header.size == sizeof(Suspect) &&
		header.n == MAX_SUSPECTS &&
		read(fd, suspects, sizeof(suspects)) == sizeof(suspects))
	{
		INIT_CRC32C(crc);
		COMP_CRC32C(crc, suspects, sizeof(suspects));
		FIN_CRC32C(crc);
		if (EQ_CRC32C(crc, header.crc))
		{
			int			i;

			memcpy(memory->suspects, suspects, sizeof(suspects));
			for (i = 0; i < MAX_SUSPECTS; i++)
				memory->last_number = Max(memory->last_number, suspects[i].number);
			count_suspects();
		}
	}
	close(fd);
}

static void
blame(const Mark *mark, Oid relid, Oid stream, int step)
{
	Suspect    *s = add(mark->dbid, relid);

	s->stream = stream;
	s->step = step;
	s->crashes++;
	s->faults += mark->fault;
	s->partition = mark->partition;
	s->position = mark->position;
	s->nrows = step == SX_STEP_ROWS ? mark->nrows : 0;
}

/* Of several threads that decode the same stream the first speaks for it. */
static bool
speaks(const Mark *mark, int thread)
{
	int			t;

	for (t = 0; t < thread; t++)
	{
		if (mark->decoding[t] == mark->decoding[thread])
			return false;
	}
	return mark->decoding[thread] != InvalidOid;
}

/*
 * All children have gone: marks that are left are of those who crashed.  Where
 * the main thread was at a view, that is taken for the cause, unless it was
 * another thread that failed.
 */
static void
count_crashes(void)
{
	bool		any = false;
	int			i;
	int			t;

	for (i = 0; i < nmarks; i++)
	{
		Mark	   *mark = &memory->marks[i];
		bool		at_view;

		for (t = 0; mark->fault && mark->in_thread && t < MAX_THREADS; t++)
		{
			if (mark->decoding[t] != InvalidOid)
				mark->step = SX_STEP_NONE;
		}
		at_view = mark->step != SX_STEP_NONE && OidIsValid(mark->view);
		if (mark->step != SX_STEP_NONE)
		{
			blame(mark, at_view ? mark->view : mark->stream, mark->stream, mark->step);
			any = true;
		}
		for (t = 0; t < MAX_THREADS && !at_view; t++)
		{
			if (speaks(mark, t) &&
				(mark->step == SX_STEP_NONE || mark->decoding[t] != mark->stream))
			{
				blame(mark, mark->decoding[t], mark->decoding[t], SX_STEP_DECODING);
				any = true;
			}
		}
		memset(mark, 0, sizeof(*mark));
	}
	if (any)
		save();
}

/* It may not start its children again. */
static void
count_at_exit(int code, Datum arg)
{
	if (MyProcPid == PostmasterPid)
		count_crashes();
}

void
sx_crash_init(void)
{
	Size		size;

	nmarks = max_worker_processes;
	size = add_size(offsetof(Memory, marks), mul_size(sizeof(Mark), nmarks));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
	{
		memory = NULL;
		nmarks = 0;
		ereport(LOG,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not map memory for marks of crashes: %m")));
		return;
	}
	on_proc_exit(count_at_exit, (Datum) 0);
}

void
sx_crash_startup(void)
{
	if (memory == NULL)
		return;
	if (!loaded)
		load();
	loaded = true;
	count_crashes();
}

/* ---- a worker ---- */

static void
clear_marks(void)
{
	int			t;

	mine->step = SX_STEP_NONE;
	for (t = 0; t < MAX_THREADS; t++)
		mine->decoding[t] = InvalidOid;
}

/* Somebody else has crashed. */
static void
quit(SIGNAL_ARGS)
{
	clear_marks();
	SignalHandlerForCrashExit(postgres_signal_arg);
}

/* It was ourselves; on a stack of its own. */
static void
fault(SIGNAL_ARGS)
{
	mine->fault = true;
	mine->in_thread = !pthread_equal(pthread_self(), main_thread);
	signal(postgres_signal_arg, SIG_DFL);
	raise(postgres_signal_arg);
}

static void
watch_faults(void)
{
	stack_t		stack = {.ss_size = FAULT_STACK};
	struct sigaction action = {.sa_handler = fault,.sa_flags = SA_ONSTACK | SA_NODEFER};
	int			i;

	stack.ss_sp = MemoryContextAlloc(TopMemoryContext, FAULT_STACK);
	if (sigaltstack(&stack, NULL) != 0)
		return;
	sigemptyset(&action.sa_mask);
	main_thread = pthread_self();
	for (i = 0; i < lengthof(fault_signals); i++)
		(void) sigaction(fault_signals[i], &action, NULL);
}

void
sx_crash_thread_signals(sigset_t *blocked)
{
	int			i;

	sigfillset(blocked);
	for (i = 0; i < lengthof(fault_signals); i++)
		sigdelset(blocked, fault_signals[i]);
}

static void
clear_at_exit(int code, Datum arg)
{
	clear_marks();
}

void
sx_crash_attach(int slot)
{
	if (memory == NULL || slot >= nmarks)
		return;
	mine = &memory->marks[slot];
	memset(mine, 0, sizeof(*mine));
	mine->dbid = MyDatabaseId;
	pqsignal(SIGQUIT, quit);
	watch_faults();
	on_shmem_exit(clear_at_exit, (Datum) 0);
}

void
sx_crash_at(Oid stream, Oid view, SxStep step)
{
	if (mine == NULL)
		return;
	mine->step = SX_STEP_NONE;
	mine->stream = stream;
	mine->view = view;
	mine->nrows = 0;
	mine->step = step;
}

void
sx_crash_at_step(SxStep step)
{
	if (mine)
		mine->step = step;
}

void
sx_crash_at_rows(int32 partition, int64 position, int64 nrows)
{
	if (mine == NULL)
		return;
	mine->partition = partition;
	mine->position = position;
	mine->nrows = nrows;
}

volatile Oid *
sx_crash_thread_mark(void)
{
	int			t;

	for (t = 0; mine && t < MAX_THREADS; t++)
	{
		if (!mine->taken[t])
		{
			mine->taken[t] = true;
			mine->decoding[t] = InvalidOid;
			return &mine->decoding[t];
		}
	}
	return NULL;
}

void
sx_crash_free_thread_mark(volatile Oid *mark)
{
	if (mark == NULL)
		return;
	*mark = InvalidOid;
	mine->taken[mark - mine->decoding] = false;
}

/* ---- suspects ---- */

bool
sx_crash_suspected(Oid relid)
{
	return find(MyDatabaseId, relid) != NULL;
}

/* What happened, for its view or stream. */
static char *
describe(const Suspect *s)
{
	char	   *stream = get_rel_name(s->stream);

	if (stream == NULL)
		stream = psprintf("%u", s->stream);
	switch (s->step)
	{
		case SX_STEP_ROWS:
			if (s->nrows > 0)
				return psprintf("taking in " INT64_FORMAT " rows of stream \"%s\", from partition %d, offset " INT64_FORMAT " on",
								s->nrows, stream, s->partition, s->position);
			return psprintf("taking in rows of stream \"%s\"", stream);
		case SX_STEP_CLOSING:
			return psprintf("closing windows");
		case SX_STEP_LEAVING:
			return psprintf("letting rows leave the window");
		case SX_STEP_DECODING:
			return psprintf("decoding messages of stream \"%s\"", stream);
		default:
			return psprintf("reading stream \"%s\"", stream);
	}
}

static bool
too_often(const Suspect *s)
{
	return s->faults >= SX_MAX_FAULTS || s->crashes >= SX_MAX_CRASHES;
}

static char *
verdict_on(const Suspect *s)
{
	return psprintf("the worker process has crashed %d times in succession while it was %s",
					s->crashes, describe(s));
}

char *
sx_crash_verdict(Oid relid)
{
	Suspect    *s = find(MyDatabaseId, relid);

	return s && too_often(s) ? verdict_on(s) : NULL;
}

void
sx_crash_passed(Oid relid, int steps)
{
	Suspect    *s = find(MyDatabaseId, relid);

	if (s == NULL || (steps & SX_STEP_BIT(s->step)) == 0)
		return;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	memset(s, 0, sizeof(*s));
	count_suspects();
	save();
	LWLockRelease(sx_control->lock);
}

void
sx_crash_retry(Oid relid)
{
	Suspect    *s = find(MyDatabaseId, relid);

	if (s == NULL)
		return;
	LWLockAcquire(sx_control->lock, LW_EXCLUSIVE);
	s->faults = Min(s->faults, SX_MAX_FAULTS - 1);
	s->crashes = Min(s->crashes, SX_MAX_CRASHES - 1);
	save();
	LWLockRelease(sx_control->lock);
}

static bool
may_read(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK;
}

/*
 * streamx.stream_crashes(stream regclass) returns text: NULL, it is not given
 * up; empty for those who may not read it.
 */
Datum
streamx_stream_crashes(PG_FUNCTION_ARGS)
{
	Suspect    *s;
	Suspect		copy = {0};

	if (sx_control == NULL)
		PG_RETURN_NULL();
	LWLockAcquire(sx_control->lock, LW_SHARED);
	s = find(MyDatabaseId, PG_GETARG_OID(0));
	if (s)
		copy = *s;
	LWLockRelease(sx_control->lock);
	if (!too_often(&copy))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(may_read(copy.relid) ? verdict_on(&copy) : ""));
}

/* In a transaction. */
void
sx_crash_report(void)
{
	int			i;

	if (memory == NULL || memory->nsuspects == 0)
		return;
	for (i = 0; i < MAX_SUSPECTS; i++)
	{
		Suspect    *s = &memory->suspects[i];
		char	   *what;

		if (!OidIsValid(s->relid) || s->dbid != MyDatabaseId)
			continue;
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(s->relid)))
		{
			sx_crash_passed(s->relid, SX_STEP_BIT(s->step));
			continue;
		}
		if (s->told)
			continue;
		s->told = true;
		what = psprintf("a worker process crashed while it was %s", describe(s));
		ereport(LOG,
				(errcode(SX_ERRCODE_CRASHED),
				 s->step >= SX_STEP_ROWS ?
				 errmsg_internal("%s for continuous view \"%s\"", what, get_rel_name(s->relid)) :
				 errmsg_internal("%s", what),
				 errdetail("That was number %d in succession, of which %d were faults of the process itself.",
						   s->crashes, s->faults)));
		sx_history_error(MyDatabaseId, SX_ERROR_WORKER, s->stream,
						 s->relid == s->stream ? InvalidOid : s->relid,
						 unpack_sql_state(SX_ERRCODE_CRASHED), what);
	}
}
