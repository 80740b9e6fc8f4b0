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

static bool
may_see_errors(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		sx_class_ownercheck(relid, GetUserId());
}

/*
 * streamx.stream_figures() returns setof (stream regclass, state text, sqlstate
 *		text, error text, workers int, rows_in bigint, last_row timestamptz)
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
		Datum		values[7];
		bool		nulls[7] = {0};

		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(f->key.relid)))
			continue;			/* just dropped */
		shown = shown && may_see_errors(f->key.relid);
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
 *		sink_error text)
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
		Interval   *latency = palloc0(sizeof(Interval));
		double		silent_s = Max(now - f->last_batch, 0) / 1000000.0;
		Datum		values[9];
		bool		nulls[9] = {0};
		bool		shown = f->sink_known && f->sink_error[0] != '\0' &&
		SearchSysCacheExists1(RELOID, ObjectIdGetDatum(f->key.relid)) &&
		may_see_errors(f->key.relid);

		values[0] = ObjectIdGetDatum(f->key.relid);
		values[1] = BoolGetDatum(f->catching_up);

		/* it fades away while nothing comes */
		values[2] = Float8GetDatum(f->last_batch == 0 ? 0 :
								   f->rows_per_second * exp(-silent_s / SMOOTH_S));
		latency->time = f->latency_us;
		nulls[3] = f->last_batch == 0 || f->latency_us < 0;
		values[3] = IntervalPGetDatum(latency);
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
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
