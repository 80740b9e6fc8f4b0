/*-------------------------------------------------------------------------
 * stop.c
 *		Named stop points, in a build for tests; see stop.h.
 *
 * All but raising the error is done by system calls alone, so that threads
 * of ours may come here too.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/stop.h"

#ifdef SX_STOP_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"

#define STOP_DIR	"streamx_stop"	/* of the data directory */
#define LOOK_NS		2000000

/* How often a point was passed that is to be skipped at first. */
typedef struct Passed
{
	ino_t		file;
	struct timespec written;
	int			times;
} Passed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Passed passed[64];
static int	next_passed = 0;

static int
times_passed(const struct stat *st)
{
	int			times = 0;
	int			i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < lengthof(passed); i++)
	{
		if (passed[i].file == st->st_ino &&
			passed[i].written.tv_sec == st->st_mtim.tv_sec &&
			passed[i].written.tv_nsec == st->st_mtim.tv_nsec)
			break;
	}
	if (i == lengthof(passed))
	{
		i = next_passed++ % lengthof(passed);
		passed[i].file = st->st_ino;
		passed[i].written = st->st_mtim;
		passed[i].times = 0;
	}
	times = passed[i].times++;
	pthread_mutex_unlock(&lock);
	return times;
}

static void
pause_shortly(void)
{
	struct timespec ts = {.tv_nsec = LOOK_NS};

	nanosleep(&ts, NULL);
}

static bool
postmaster_gone(void)
{
	return getppid() != PostmasterPid;
}

/* Is the file there to be acted upon, here and now?  Its words. */
static bool
armed(const char *path, const char *object, char *action, char *sqlstate)
{
	char		text[512];
	char		wanted[256] = "-";
	const char *dot;
	int			skip = 0;
	struct stat st;
	ssize_t		len;
	int			fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	len = fstat(fd, &st) == 0 ? read(fd, text, sizeof(text) - 1) : -1;
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	strcpy(sqlstate, "53000");
	if (sscanf(text, "%15s %d %255s %5s", action, &skip, wanted, sqlstate) < 1)
		return false;
	dot = strrchr(object, '.');
	if (strcmp(wanted, "-") != 0 && strcmp(wanted, dot ? dot + 1 : object) != 0)
		return false;
	return times_passed(&st) >= skip;
}

/*
 * Take the file: of several that get here one acts.  What says that it has been
 * reached says by whom from its first moment: a process may be killed in here.
 */
static bool
claim(const char *path, const char *reached)
{
	char		own[300];
	char		pid[32];
	int			len = snprintf(pid, sizeof(pid), "%d\n", (int) getpid());
	int			fd;
	bool		first;

	snprintf(own, sizeof(own), "%s.%d.%lx", reached, (int) getpid(), (unsigned long) pthread_self());
	fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0 || write(fd, pid, len) != len)
		abort();
	close(fd);
	first = link(own, reached) == 0;
	unlink(own);
	if (first && unlink(path) != 0)
	{
		/* another one has been here and gone */
		unlink(reached);
		return false;
	}
	return first;
}

/* True: an error is to be raised. */
static bool
stop(const char *name, const char *object, char *sqlstate)
{
	char		path[256];
	char		reached[256];
	char		action[16];

	if (access(STOP_DIR, F_OK) != 0)
		return false;
	snprintf(path, sizeof(path), STOP_DIR "/%s", name);
	snprintf(reached, sizeof(reached), STOP_DIR "/%s.reached", name);
	if (!armed(path, object ? object : "", action, sqlstate))
		return false;
	if (strcmp(action, "fault") == 0)
		raise(SIGSEGV);
	if (!claim(path, reached))
		return false;

	if (strcmp(action, "kill") == 0)
	{
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	if (strcmp(action, "orphan") == 0)
	{
		while (!postmaster_gone())
			pause_shortly();
	}
	else if (strcmp(action, "wait") == 0)
	{
		while (access(reached, F_OK) == 0 && !ProcDiePending)
		{
			if (postmaster_gone())
				_exit(1);
			pause_shortly();
		}
	}
	return strcmp(action, "error") == 0;
}

void
sx_stop_thread(const char *name, const char *object)
{
	char		sqlstate[6];

	(void) stop(name, object, sqlstate);
}

void
sx_stop_point(const char *name, const char *object)
{
	char		sqlstate[6];

	if (stop(name, object, sqlstate))
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2],
									   sqlstate[3], sqlstate[4])),
				 errmsg("stop point \"%s\" fails", name),
				 errhint("A test has armed it in the directory %s.", STOP_DIR)));
}

/* Transactions that leave something behind. */
static void
xact_callback(XactEvent event, void *arg)
{
	const char *who = MyBgworkerEntry ? MyBgworkerEntry->bgw_type :
	MyBackendType == B_AUTOVAC_WORKER ? "autovacuum" : "session";

	if (strncmp(who, "streamx ", 8) == 0)
		who += 8;
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
		sx_stop_point("in_commit", who);
	else if (event == XACT_EVENT_COMMIT)
		sx_stop_thread("after_record", who);
}

void
sx_stop_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}

#endif							/* SX_STOP_POINTS */
