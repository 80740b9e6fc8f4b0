/*-------------------------------------------------------------------------
 * event_time.c
 *		Event times of a batch, and how far they push a watermark.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "window/event_time.h"

static int64 on_time_bound = PG_INT64_MIN;

PG_FUNCTION_INFO_V1(streamx_event_time);
PG_FUNCTION_INFO_V1(streamx_on_time);

/* The argument's type; looked up once per call site. */
static Oid
arg_type(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo == NULL)
		return InvalidOid;
	if (flinfo->fn_extra == NULL)
		flinfo->fn_extra = DatumGetPointer(ObjectIdGetDatum(get_fn_expr_argtype(flinfo, 0)));
	return DatumGetObjectId(PointerGetDatum(flinfo->fn_extra));
}

/* A date, timestamp or timestamptz that is NULL or infinite: an error. */
static void
check_finite(FunctionCallInfo fcinfo, const char *consequence)
{
	bool		infinite;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event time is NULL, so the row %s", consequence)));
	if (arg_type(fcinfo) == DATEOID)
		infinite = DATE_NOT_FINITE(PG_GETARG_DATEADT(0));
	else
		infinite = TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMP(0));
	if (infinite)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("event time is infinite, so the row %s", consequence)));
}

/* streamx.event_time(anyelement) returns anyelement: not NULL, not infinite */
Datum
streamx_event_time(PG_FUNCTION_ARGS)
{
	check_finite(fcinfo, "is in no window");
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

int64
sx_window_time_us(Oid type, Datum value)
{
	DateADT		date;

	if (type != DATEOID)
		return DatumGetInt64(value);
	date = DatumGetDateADT(value);
	if (DATE_IS_NOBEGIN(date))
		return PG_INT64_MIN;
	/* dates go further than timestamps */
	return DATE_IS_NOEND(date) ? PG_INT64_MAX :
		date < TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE ?
		(int64) date * USECS_PER_DAY : END_TIMESTAMP - 1;
}

void
sx_window_set_on_time(int64 bound_us)
{
	on_time_bound = bound_us;
}

/* streamx.on_time(anyelement) returns boolean, see event_time.h */
Datum
streamx_on_time(PG_FUNCTION_ARGS)
{
	check_finite(fcinfo, "cannot be joined by it");
	PG_RETURN_BOOL(sx_window_time_us(arg_type(fcinfo),
									 PG_GETARG_DATUM(0)) >= on_time_bound);
}

bool
sx_window_event_time(const SxStream *stream, const SxBatch *batch, int row,
					 int64 *event_us)
{
	int			col = stream->event_time_col;

	if (col < 0)
	{
		*event_us = batch->timestamp_us[row];
		return true;
	}
	if (batch->values[col] == NULL || batch->nulls[col][row])
		return false;
	if (batch->schema->cols[col].typid == DATEOID)
	{
		*event_us = sx_window_time_us(DATEOID, batch->values[col][row]);
		return !DATE_NOT_FINITE(DatumGetDateADT(batch->values[col][row]));
	}
	*event_us = DatumGetInt64(batch->values[col][row]);
	return !TIMESTAMP_NOT_FINITE(*event_us);
}

void
sx_window_reject_ahead(const SxStream *stream, SxBatch *batch)
{
	bool	   *remove = NULL;
	int			row;

	if (stream->event_time_col < 0)
		return;
	for (row = 0; row < batch->nrows; row++)
	{
		int64		event_us;
		SxMessage	msg = {0};

		if (!sx_window_event_time(stream, batch, row, &event_us) ||
			event_us - stream->max_ahead_us <= batch->arrival_us[row])
			continue;
		if (remove == NULL)
			remove = palloc0(sizeof(bool) * batch->nrows);
		remove[row] = true;
		msg.partition = batch->partition[row];
		msg.position = batch->position[row];
		msg.arrival_us = batch->arrival_us[row];
		msg.payload = batch->payload[row];
		msg.payload_len = batch->payload_len[row];
		msg.key = batch->key[row];
		msg.key_len = batch->key_len[row];
		if (!sx_batch_reject(batch, &msg, "22008",
							 "event time is further ahead of its arrival than max_ahead allows"))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
	}
	if (remove)
	{
		sx_batch_remove_rows(batch, remove);
		pfree(remove);
	}
}

void
sx_window_observe(const SxStream *stream, const SxBatch *batch,
				  SxPosition *positions, int npositions)
{
	SxPosition *p = NULL;
	int			row;

	if (!stream->has_watermark)
		return;
	for (row = 0; row < batch->nrows; row++)
	{
		int64		event_us;

		if (!sx_window_event_time(stream, batch, row, &event_us))
			continue;
		if (p == NULL || p->partition != batch->partition[row])
		{
			int			i;

			p = NULL;
			for (i = 0; i < npositions && p == NULL; i++)
			{
				if (positions[i].partition == batch->partition[row])
					p = &positions[i];
			}
			if (p == NULL)
				continue;
		}
		if (event_us - stream->watermark_us > p->watermark_us)
			p->watermark_us = event_us - stream->watermark_us;
	}
}
