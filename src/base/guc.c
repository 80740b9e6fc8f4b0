/*-------------------------------------------------------------------------
 * guc.c
 *		Settings "streamx.<name>", each in sx_<name>.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/guc.h"

bool		sx_enabled = true;
int			sx_workers = 2;
int			sx_max_batch_rows = 2000000;
int			sx_max_batch_kb = 128 * 1024;
int			sx_state_memory_kb = 256 * 1024;
int			sx_max_streams = 1024;
int			sx_max_views = 1024;
int			sx_batch_history = 5000;
#ifdef SX_STOP_POINTS
static bool sx_stop_points = true;
#endif

void
sx_guc_init(void)
{
	DefineCustomBoolVariable("streamx.enabled",
							 "Runs the background workers that keep continuous views up to date.",
							 "When off, streams are not read; views stay where they are and go on from there.",
							 &sx_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.workers",
							"Worker processes per database that has streams.",
							"Streams are shared out between them.",
							&sx_workers, 2, 1, 64,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.max_batch_rows",
							"Rows that one micro-batch takes in at most.",
							NULL,
							&sx_max_batch_rows, 2000000, 1, 100000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.max_batch_size",
							"Bytes of decoded rows that a micro-batch holds in memory at most.",
							NULL,
							&sx_max_batch_kb, 128 * 1024, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.state_memory",
							"Memory for the cache of groups, per continuous view.",
							"The tables stay the truth; what does not fit is read from them again.",
							&sx_state_memory_kb, 256 * 1024, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.max_streams",
							"Streams whose figures shared memory has room for, in all databases.",
							NULL,
							&sx_max_streams, 1024, 16, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.max_views",
							"Continuous views whose figures shared memory has room for, in all databases.",
							NULL,
							&sx_max_views, 1024, 16, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("streamx.batch_history",
							"Batches that streamx.batches shows, of all databases.",
							"Each takes some 130 bytes of shared memory.",
							&sx_batch_history, 5000, 1, 10000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
#ifdef SX_STOP_POINTS
	DefineCustomBoolVariable("streamx.stop_points",
							 "Whether streamx was built with stop points, which are for its tests only.",
							 NULL,
							 &sx_stop_points, true,
							 PGC_INTERNAL, GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							 NULL, NULL, NULL);
#endif
	MarkGUCPrefixReserved("streamx");
}
