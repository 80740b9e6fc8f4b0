/*-------------------------------------------------------------------------
 * crash.c
 *		Ways to end a server process, as SQL functions for tests.
 *
 *	 crash(text) returns void
 *		 segv, abort, kill: by that signal; stack: by running out of it;
 *		 exit: by exit status; once and the path of a file: only if there is
 *		 none yet
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(crash);

static volatile char sink;

static int
deeper(int n)
{
	volatile char page[4096];

	page[n % 4096] = (char) n;
	sink = page[0];
	return deeper(n + 1) + page[n % 4096];
}

Datum
crash(PG_FUNCTION_ARGS)
{
	char	   *how = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (strcmp(how, "segv") == 0)
		raise(SIGSEGV);
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "kill") == 0)
		kill(getpid(), SIGKILL);
	else if (strcmp(how, "stack") == 0)
		PG_RETURN_INT32(deeper(0));
	else if (strcmp(how, "exit") == 0)
		_exit(3);
	else if (strncmp(how, "once ", 5) == 0)
	{
		if (open(how + 5, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0)
			raise(SIGSEGV);
		PG_RETURN_VOID();
	}
	elog(ERROR, "no way to crash by that name: %s", how);
	PG_RETURN_VOID();
}
