/*-------------------------------------------------------------------------
 * history_functions.c
 *		The rings in shared memory as rows, for streamx.batches and errors.
 *
 * Everybody may call these; error texts, which may quote data, are for those
 * with rights on the object.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "stats/history.h"
#include "stats/stats.h"

PG_FUNCTION_INFO_V1(streamx_batch_history);
PG_FUNCTION_INFO_V1(streamx_error_history);

static Datum
interval_of(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return IntervalPGetDatum(interval);
}

/*
 * streamx.batch_history() returns setof (id bigint, stream regclass,
 *		worker int, views int, catching_up boolean, committed timestamptz,
 *		rows bigint, rows_out bigint, rows_late bigint, dead_letters bigint,
 *		decode interval, execute interval, merge interval, commit interval,
 *		duration interval, latency interval)
 */
Datum
streamx_batch_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SxBatchRecord *all;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	all = sx_history_batches(&n);
	for (i = 0; i < n; i++)
	{
		SxBatchRecord *r = &all[i];
		Datum		values[16];
		bool		nulls[16] = {0};

		values[0] = Int64GetDatum(r->id);
		values[1] = ObjectIdGetDatum(r->stream);
		values[2] = Int32GetDatum(r->worker_pid);
		values[3] = Int32GetDatum(r->views);
		values[4] = BoolGetDatum(r->catching_up);
		values[5] = TimestampTzGetDatum(r->committed);
		values[6] = Int64GetDatum(r->rows);
		values[7] = Int64GetDatum(r->rows_out);
		values[8] = Int64GetDatum(r->rows_late);
		values[9] = Int64GetDatum(r->dead_letters);
		values[10] = interval_of(r->decode_us);
		values[11] = interval_of(r->execute_us);
		values[12] = interval_of(r->merge_us);
		values[13] = interval_of(r->commit_us);
		values[14] = interval_of(r->total_us);
		nulls[15] = r->latency_us < 0;
		values[15] = interval_of(r->latency_us);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static const char *
kind_word(SxErrorKind kind)
{
	switch (kind)
	{
		case SX_ERROR_VIEW_STOPPED:
			return "view stopped";
		case SX_ERROR_VIEW_RETRIED:
			return "view retried";
		case SX_ERROR_BATCH_RETRIED:
			return "batch retried";
		case SX_ERROR_SOURCE:
			return "source";
		case SX_ERROR_SINK:
			return "sink";
		case SX_ERROR_WORKER:
			return "worker";
	}
	return NULL;
}

/*
 * streamx.error_history() returns setof (kind text, stream regclass,
 *		view regclass, first timestamptz, last timestamptz, times bigint,
 *		sqlstate text, error text)
 */
Datum
streamx_error_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SxErrorRecord *all;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	all = sx_history_errors(&n);
	for (i = 0; i < n; i++)
	{
		SxErrorRecord *e = &all[i];
		Oid			object = OidIsValid(e->view) ? e->view : e->stream;
		Datum		values[8];
		bool		nulls[8] = {0};

		values[0] = CStringGetTextDatum(kind_word(e->kind));
		nulls[1] = !OidIsValid(e->stream);
		values[1] = ObjectIdGetDatum(e->stream);
		nulls[2] = !OidIsValid(e->view);
		values[2] = ObjectIdGetDatum(e->view);
		values[3] = TimestampTzGetDatum(e->first);
		values[4] = TimestampTzGetDatum(e->last);
		values[5] = Int64GetDatum(e->times);
		nulls[6] = e->sqlstate[0] == '\0';
		values[6] = CStringGetTextDatum(e->sqlstate);
		nulls[7] = OidIsValid(object) && !sx_stats_may_see_errors(object);
		if (!nulls[7])
			values[7] = CStringGetTextDatum(e->error);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
