/*-------------------------------------------------------------------------
 * functions.c
 *		The figures in shared memory as rows, for the status views.
 *
 * The views streamx.views, streams and partitions add what the tables know.
 * Everybody may call these; error texts, which may quote data, are for those
 * with rights on the stream.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "stats/stats.h"

PG_FUNCTION_INFO_V1(streamx_stream_figures);
PG_FUNCTION_INFO_V1(streamx_partition_figures);
PG_FUNCTION_INFO_V1(streamx_view_figures);

#define SMOOTH_S 10.0			/* time constant of rows_per_second */

static Datum
interval_of(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return IntervalPGetDatum(interval);
}

static const char *
conn_word(SxConnState conn)
{
	switch (conn)
	{
		case SX_CONN_CONNECTING:
			return "connecting";
		case SX_CONN_UP:
			return "running";
		case SX_CONN_DOWN:
			return "down";
		case SX_CONN_FAILED:
			return "failed";
	}
	return NULL;
}

bool
sx_stats_may_see_errors(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) &&
		(pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		 sx_class_ownercheck(relid, GetUserId()));
}

/*
 * streamx.stream_figures() returns setof (stream regclass, state text, sqlstate
 *		text, error text, workers int, rows_in bigint, last_row timestamptz,
 *		lag_rate float8, lag_since timestamptz)
 *
 * state: NULL if no worker has the stream or none has said anything yet.
 */
Datum
streamx_stream_figures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SxStreamFigures *all;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	all = sx_stats_all_streams(&n);
	for (i = 0; i < n; i++)
	{
		SxStreamFigures *f = &all[i];
		bool		reading = f->owner_pid != 0 && f->reported;
		bool		shown = reading && f->error[0] != '\0';
		Datum		values[9];
		bool		nulls[9] = {0};

		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(f->key.relid)))
			continue;			/* just dropped */
		shown = shown && sx_stats_may_see_errors(f->key.relid);
		values[0] = ObjectIdGetDatum(f->key.relid);
		nulls[1] = !reading;
		if (reading)
			values[1] = CStringGetTextDatum(conn_word(f->conn));
		nulls[2] = !shown || f->sqlstate[0] == '\0';
		if (!nulls[2])
			values[2] = CStringGetTextDatum(f->sqlstate);
		nulls[3] = !shown;
		if (shown)
			values[3] = CStringGetTextDatum(f->error);
		values[4] = Int32GetDatum(f->owner_pid != 0 ? 1 : 0);
		values[5] = Int64GetDatum(f->rows_in);
		nulls[6] = f->last_row == 0;
		values[6] = TimestampTzGetDatum(f->last_row);
		nulls[7] = nulls[8] = !reading || f->lag_since == 0;
		values[7] = Float8GetDatum(f->lag_rate);
		values[8] = TimestampTzGetDatum(f->lag_since);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * streamx.partition_figures() returns setof (stream regclass, partition int,
 *		next_offset bigint, end_offset bigint, watermark timestamptz,
 *		idle boolean)
 */
Datum
streamx_partition_figures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SxPartitionFigures *all;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	all = sx_stats_all_partitions(&n);
	for (i = 0; i < n; i++)
	{
		SxPartitionFigures *f = &all[i];
		Datum		values[6];
		bool		nulls[6] = {0};

		values[0] = ObjectIdGetDatum(f->key.stream);
		values[1] = Int32GetDatum(f->key.partition);
		values[2] = Int64GetDatum(f->next_offset);
		nulls[3] = f->end_offset < 0;
		values[3] = Int64GetDatum(f->end_offset);
		nulls[4] = f->watermark_us == PG_INT64_MIN;
		values[4] = TimestampTzGetDatum(f->watermark_us);
		values[5] = BoolGetDatum(f->idle);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * streamx.view_figures() returns setof (view regclass, catching_up boolean,
 *		rows_per_second float8, latency interval, state_bytes bigint,
 *		last_batch timestamptz, sink_sent bigint, sink_sqlstate text,
 *		sink_error text, execute interval, merge interval,
 *		last_dead_letter timestamptz, phase text, behind_since timestamptz,
 *		behind_done bigint, behind_left bigint, behind_rate float8,
 *		lag_rows bigint)
 */
Datum
streamx_view_figures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();
	SxViewFigures *all;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	all = sx_stats_all_views(&n);
	for (i = 0; i < n; i++)
	{
		SxViewFigures *f = &all[i];
		double		silent_s = Max(now - f->last_batch, 0) / 1000000.0;
		Datum		values[18];
		bool		nulls[18] = {0};
		bool		shown = f->sink_known && f->sink_error[0] != '\0' &&
		sx_stats_may_see_errors(f->key.relid);

		values[0] = ObjectIdGetDatum(f->key.relid);
		values[1] = BoolGetDatum(f->catching_up);

		/* it fades away while nothing comes */
		values[2] = Float8GetDatum(f->last_batch == 0 ? 0 :
								   f->rows_per_second * exp(-silent_s / SMOOTH_S));
		nulls[3] = f->last_batch == 0 || f->latency_us < 0;
		values[3] = interval_of(f->latency_us);
		values[4] = Int64GetDatum(f->state_bytes);
		nulls[5] = f->last_batch == 0;
		values[5] = TimestampTzGetDatum(f->last_batch);
		nulls[6] = !f->sink_known || f->sink_sent < 0;
		values[6] = Int64GetDatum(f->sink_sent);
		nulls[7] = !shown;
		nulls[8] = !shown;
		if (shown)
		{
			values[7] = CStringGetTextDatum(f->sink_sqlstate);
			values[8] = CStringGetTextDatum(f->sink_error);
		}
		values[9] = interval_of(f->execute_us);
		values[10] = interval_of(f->merge_us);
		nulls[11] = f->last_dead_letter == 0;
		values[11] = TimestampTzGetDatum(f->last_dead_letter);
		nulls[12] = nulls[13] = nulls[14] = nulls[15] = nulls[16] =
			f->phase == SX_PHASE_RUNNING;
		values[12] = CStringGetTextDatum(f->phase == SX_PHASE_REPLAYING ?
										 "reading open windows again" : "catching up");
		values[13] = TimestampTzGetDatum(f->behind_since);
		values[14] = Int64GetDatum(f->behind_done);
		values[15] = Int64GetDatum(f->behind_left);
		values[16] = Float8GetDatum(f->behind_rate);
		if (f->rebuild_pid != 0 && BackendPidGetProc(f->rebuild_pid) != NULL)
		{
			int64		us = Max(now - f->rebuild_since, 1);

			nulls[12] = nulls[13] = nulls[14] = nulls[15] = nulls[16] = false;
			values[12] = CStringGetTextDatum("rebuilding");
			values[13] = TimestampTzGetDatum(f->rebuild_since);
			values[14] = Int64GetDatum(f->rebuild_done);
			values[15] = Int64GetDatum(f->rebuild_left);
			values[16] = Float8GetDatum((double) f->rebuild_done * USECS_PER_SEC / us);
		}
		nulls[17] = f->last_batch == 0 || f->lag_rows < 0;
		values[17] = Int64GetDatum(f->lag_rows);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
