/*-------------------------------------------------------------------------
 * option.c
 *		The options of servers, streams and columns, and their values.
 *
 * librdkafka's settings, which a kafka server takes as well, are not here:
 * source/ knows those.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/option.h"
#include "compat.h"

static const char *const mode_values[] = {"connect", "listen", NULL};
static const char *const tls_values[] = {"on", "off", NULL};
static const char *const format_values[] = {"json", "csv", "text", "raw", NULL};
static const char *const on_error_values[] = {"dead_letter", "stop", "skip", NULL};
static const char *const isolation_values[] = {"read_committed", "read_uncommitted", NULL};
static const char *const data_loss_values[] = {"stop", "continue", NULL};
static const char *const epoch_values[] = {"s", "ms", "us", NULL};
static const char *const metadata_values[] = {
	"partition", "offset", "timestamp", "key", "headers", "arrival_time", NULL
};

#define SX_KIND_DECODED		(SX_KIND_KAFKA | SX_KIND_SOCKET)

const SxOption sx_options[] = {
	/* servers */
	{"bootstrap_servers", SX_ON_SERVER, SX_KIND_KAFKA, SX_OPTION_NAME},
	{"host", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_NAME},
	{"port", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_INTEGER, NULL, 1, 65535},
	{"mode", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_ENUM, mode_values},
	{"max_connections", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_INTEGER, NULL, 1, 100000},
	{"max_line", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_INTEGER, NULL, 1, 1024 * 1024 * 1024 - 1},
	{"max_idle", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_INTERVAL},
	{"tls", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_ENUM, tls_values},
	{"tls_certificate", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_NAME},
	{"tls_certificate_file", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_FILE},
	{"tls_key_file", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_FILE},
	{"tls_ca", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_NAME},
	{"tls_ca_file", SX_ON_SERVER, SX_KIND_SOCKET, SX_OPTION_FILE},

	/* user mappings */
	{"sasl_username", SX_ON_USER_MAPPING, SX_KIND_KAFKA, SX_OPTION_NAME},
	{"sasl_password", SX_ON_USER_MAPPING, SX_KIND_KAFKA, SX_OPTION_STRING},
	{"tls_key", SX_ON_USER_MAPPING, SX_KIND_SOCKET, SX_OPTION_STRING},

	/* streams */
	{"event_time", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_NAME},
	{"watermark", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_INTERVAL},
	{"idle_timeout", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_INTERVAL},
	{"max_ahead", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_INTERVAL},
	{"on_error", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_ENUM, on_error_values},
	{"start", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_START},
	{"format", SX_ON_STREAM, SX_KIND_DECODED, SX_OPTION_ENUM, format_values},
	{"delimiter", SX_ON_STREAM, SX_KIND_DECODED, SX_OPTION_CHAR},
	{"quote", SX_ON_STREAM, SX_KIND_DECODED, SX_OPTION_CHAR},
	{"escape", SX_ON_STREAM, SX_KIND_DECODED, SX_OPTION_CHAR},
	{"null", SX_ON_STREAM, SX_KIND_DECODED, SX_OPTION_STRING},
	{"topic", SX_ON_STREAM, SX_KIND_KAFKA, SX_OPTION_NAME},
	{"isolation", SX_ON_STREAM, SX_KIND_KAFKA, SX_OPTION_ENUM, isolation_values},
	{"on_data_loss", SX_ON_STREAM, SX_KIND_KAFKA, SX_OPTION_ENUM, data_loss_values},
	{"decode_threads", SX_ON_STREAM, SX_KIND_KAFKA, SX_OPTION_INTEGER, NULL, 1, 16},
	{"parallelism", SX_ON_STREAM, SX_KIND_KAFKA, SX_OPTION_INTEGER, NULL, 1, 64},
	{"dead_letter_retention", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_INTERVAL},
	{"late_row_retention", SX_ON_STREAM, SX_KIND_ANY, SX_OPTION_INTERVAL},
	{"retain", SX_ON_STREAM, SX_KIND_NATIVE | SX_KIND_SOCKET, SX_OPTION_INTERVAL},
	{"rows_per_second", SX_ON_STREAM, SX_KIND_GENERATOR, SX_OPTION_NUMBER, NULL, 0, 1e9},
	{"seed", SX_ON_STREAM, SX_KIND_GENERATOR, SX_OPTION_INTEGER, NULL, (double) PG_INT64_MIN, (double) PG_INT64_MAX},
	{"total", SX_ON_STREAM, SX_KIND_GENERATOR, SX_OPTION_INTEGER, NULL, 0, (double) PG_INT64_MAX},

	/* columns */
	{"path", SX_ON_COLUMN, SX_KIND_DECODED, SX_OPTION_PATH},
	{"epoch", SX_ON_COLUMN, SX_KIND_DECODED, SX_OPTION_ENUM, epoch_values},
	{"metadata", SX_ON_COLUMN, SX_KIND_ANY, SX_OPTION_ENUM, metadata_values},
	{"expression", SX_ON_COLUMN, SX_KIND_GENERATOR, SX_OPTION_NAME},
	{NULL}
};

static const struct
{
	const char *name;
	int			kind;
}			kinds[] = {
	{"kafka", SX_KIND_KAFKA},
	{"socket", SX_KIND_SOCKET},
	{"generator", SX_KIND_GENERATOR},
	{"native", SX_KIND_NATIVE}
};

const SxOption *
sx_option_lookup(const char *name, int where)
{
	const SxOption *o;

	for (o = sx_options; o->name != NULL; o++)
	{
		if ((o->where & where) != 0 && strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

int
sx_kind_by_name(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	}
	return 0;
}

const char *
sx_kind_name(int kind)
{
	int			i;

	for (i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	elog(ERROR, "unrecognized kind of stream: %d", kind);
	return NULL;				/* keep compiler quiet */
}

void
sx_option_list_values(StringInfo buf, const char *const *values)
{
	int			i;

	for (i = 0; values[i] != NULL; i++)
		appendStringInfo(buf, "%s\"%s\"",
						 i == 0 ? "" : values[i + 1] == NULL ? " or " : ", ",
						 values[i]);
}

pg_noreturn static void
invalid_value(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
			 errhint("%s", hint)));
}

/* Names the option and the cure where an input function raises the error. */
static void
option_context(void *arg)
{
	const char *name = (const char *) arg;

	errcontext("option \"%s\"", name);
	if (strcmp(name, "start") == 0)
		errhint("Use \"earliest\", \"latest\" or a timestamp.");
	else
		errhint("Give an interval, for example '10 seconds'.");
}

/* An input function of PostgreSQL's that takes a typmod. */
static Datum
option_input(PGFunction function, const char *name, const char *value)
{
	ErrorContextCallback context;
	Datum		result;

	context.callback = option_context;
	context.arg = unconstify(char *, name);
	context.previous = error_context_stack;
	error_context_stack = &context;
	result = DirectFunctionCall3(function, CStringGetDatum(value),
								 ObjectIdGetDatum(InvalidOid),
								 Int32GetDatum(-1));
	error_context_stack = context.previous;
	return result;
}

int64
sx_option_interval_us(const char *name, const char *value)
{
	Interval   *span;
	int64		day_us;
	int64		us;

	span = DatumGetIntervalP(option_input(interval_in, name, value));
	if (span->month != 0)
		invalid_value(name, value,
					  "Months and years differ in length: give the interval in days or less.");
	if (pg_mul_s64_overflow(span->day, USECS_PER_DAY, &day_us) ||
		pg_add_s64_overflow(day_us, span->time, &us) || us < 0)
		invalid_value(name, value, "The interval must not be negative.");
	pfree(span);
	return us;
}

/* A whole number or any, between two limits. */
static void
check_number(const SxOption *option, const char *value)
{
	bool		whole = option->type == SX_OPTION_INTEGER;
	bool		ok;
	double		number;
	char	   *end;
	char	   *hint;

	errno = 0;
	if (whole)
	{
		long long	n = strtoll(value, &end, 10);

		number = (double) n;
	}
	else
		number = strtod(value, &end);
	ok = errno == 0 && end != value && *end == '\0' && !isnan(number) &&
		number >= option->min && number <= option->max;
	if (ok)
		return;
	if (option->max >= (double) PG_INT64_MAX)
		hint = option->min < 0 ? pstrdup("Give a whole number.") :
			psprintf("Give a whole number from %.0f up.", option->min);
	else
		hint = psprintf(whole ? "Give a whole number from %.0f to %.0f." :
						"Give a number from %g to %g.",
						option->min, option->max);
	invalid_value(option->name, value, hint);
}

void
sx_option_check(const SxOption *option, const char *value)
{
	const char *const *v;
	StringInfoData buf;

	switch (option->type)
	{
		case SX_OPTION_STRING:
			break;
		case SX_OPTION_NAME:
		case SX_OPTION_FILE:
			if (value[0] == '\0')
				invalid_value(option->name, value, "The value must not be empty.");
			break;
		case SX_OPTION_CHAR:
			if (strlen(value) != 1 || value[0] == '\n' || value[0] == '\r')
				invalid_value(option->name, value,
							  "Give one single-byte character that is no line end.");
			break;
		case SX_OPTION_INTERVAL:
			(void) sx_option_interval_us(option->name, value);
			break;
		case SX_OPTION_ENUM:
			for (v = option->values; *v != NULL; v++)
			{
				if (strcmp(*v, value) == 0)
					break;
			}
			if (*v != NULL)
				break;
			initStringInfo(&buf);
			appendStringInfoString(&buf, "Use ");
			sx_option_list_values(&buf, option->values);
			appendStringInfoChar(&buf, '.');
			invalid_value(option->name, value, buf.data);
			break;
		case SX_OPTION_INTEGER:
		case SX_OPTION_NUMBER:
			check_number(option, value);
			break;
		case SX_OPTION_START:
			if (strcmp(value, "earliest") == 0 || strcmp(value, "latest") == 0)
				break;
			/* raises its own error if it is no timestamp */
			(void) option_input(timestamptz_in, option->name, value);
			break;
		case SX_OPTION_PATH:
			if (value[0] == '.' || strstr(value, "..") != NULL ||
				(value[0] != '\0' && value[strlen(value) - 1] == '.'))
				invalid_value(option->name, value,
							  "A path is field names separated by dots, or empty for the whole document.");
			break;
	}
}
