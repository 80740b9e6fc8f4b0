/*-------------------------------------------------------------------------
 * streamx_syntax.c
 *		Where the library is loaded.
 *
 * In shared_preload_libraries, before or after streamx; for one session also
 * in session_preload_libraries, or by LOAD.  If the server's parser does not
 * play along the log says so once, and the server runs on as if the library
 * were not there.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "syntax/syntax.h"

PG_MODULE_MAGIC;

bool		sx_syntax_enabled = true;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	const char *why;

	/* not under "streamx.": streamx reserves that, perhaps before us */
	DefineCustomBoolVariable("streamx_syntax.enabled",
							 "Takes the statements CREATE and DROP CONTINUOUS VIEW.",
							 "When off they are syntax errors, as on a server without streamx_syntax.",
							 &sx_syntax_enabled, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("streamx_syntax");

	why = sx_syntax_install();
	if (why == NULL)
		sx_syntax_install_hooks();
	else
		ereport(WARNING,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the statements CREATE and DROP CONTINUOUS VIEW are not available"),
				 errdetail("%s", why),
				 errhint("Use CREATE VIEW ... WITH (streamx.continuous) and DROP VIEW, which do the same.")));
}
