/*-------------------------------------------------------------------------
 * wait_event.c
 *		What our processes wait for, by name in pg_stat_activity.
 *
 * Servers before 17 have one name for all extensions, "Extension".
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/wait_event.h"
#include "compat.h"

static const char *const names[SX_WAIT_COUNT] = {
	[SX_WAIT_LAUNCHER] = "StreamxLauncherMain",
	[SX_WAIT_SCHEDULER] = "StreamxSchedulerMain",
	[SX_WAIT_WORKER] = "StreamxWorkerMain",
	[SX_WAIT_PROGRESS] = "StreamxProgress",
	[SX_WAIT_STOP] = "StreamxStopDatabase",
	[SX_WAIT_KAFKA] = "StreamxKafkaRead",
	[SX_WAIT_FOLD] = "StreamxFold",
};

uint32
sx_wait_event(SxWait wait)
{
	static uint32 events[SX_WAIT_COUNT];

	if (events[wait] == 0)
		events[wait] = sx_new_wait_event(names[wait]);
	return events[wait];
}
