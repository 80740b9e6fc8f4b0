/*-------------------------------------------------------------------------
 * options.c
 *		The options of a continuous view: WITH (streamx.<name> = <value>).
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "commands/defrem.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "ddl/ddl.h"

#define OUR_NAMESPACE "streamx"

typedef enum Change
{
	CHANGE_NEVER,				/* where the view has begun */
	CHANGE_TABLE,				/* likewise: the table is made by it */
	CHANGE_AT_ONCE,
	CHANGE_ANEW,				/* rows were made by it, or went by it */
} Change;

/* value NULL: the default */
typedef struct ViewOption
{
	const char *name;
	void		(*read) (SxView *view, const char *name, const char *value);
	Change		change;
} ViewOption;

/* The longest that data may wait: it is a wait, not a schedule. */
#define BATCH_INTERVAL_US		(200 * INT64CONST(1000))
#define MAX_BATCH_INTERVAL_US (USECS_PER_HOUR)

#define MIN_PERIOD_US	(USECS_PER_MINUTE)
#define MAX_PERIOD_US	(36500 * USECS_PER_DAY)

static void
invalid_value(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s.%s\": \"%s\"",
					OUR_NAMESPACE, name, value),
			 errhint("%s", hint)));
}

/* Microseconds of an interval that has no months and is not negative. */
static int64
read_interval(const char *name, const char *value)
{
	Interval   *span;
	int64		us;

	span = DatumGetIntervalP(DirectFunctionCall3(interval_in,
												 CStringGetDatum(value),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1)));
	if (span->month != 0)
		invalid_value(name, value,
					  "Months and years differ in length: give the interval in days or less.");
	if (pg_mul_s64_overflow(span->day, USECS_PER_DAY, &us) ||
		pg_add_s64_overflow(us, span->time, &us) || us < 0)
		invalid_value(name, value, "The interval must not be negative.");
	pfree(span);
	return us;
}

static void
read_emit(SxView *view, const char *name, const char *value)
{
	if (value == NULL || strcmp(value, "update") == 0)
		view->final = false;
	else if (strcmp(value, "final") == 0)
		view->final = true;
	else
		invalid_value(name, value, "Use \"update\" or \"final\".");
}

static void
read_lateness(SxView *view, const char *name, const char *value)
{
	view->lateness_us = value ? read_interval(name, value) : 0;
}

static void
read_late(SxView *view, const char *name, const char *value)
{
	if (value == NULL || strcmp(value, "drop") == 0)
		view->keep_late = false;
	else if (strcmp(value, "keep") == 0)
		view->keep_late = true;
	else
		invalid_value(name, value, "Use \"drop\" or \"keep\".");
}

static void
read_retention(SxView *view, const char *name, const char *value)
{
	view->has_retention = value != NULL;
	view->retention_us = value ? read_interval(name, value) : 0;
}

static void
read_start(SxView *view, const char *name, const char *value)
{
	TimestampTz start;

	if (strcmp(value, "earliest") == 0 || strcmp(value, "latest") == 0)
	{
		view->start = pstrdup(value);
		return;
	}

	/* kept with its zone: workers may have another TimeZone */
	start = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
													CStringGetDatum(value),
													ObjectIdGetDatum(InvalidOid),
													Int32GetDatum(-1)));
	if (TIMESTAMP_NOT_FINITE(start))
		invalid_value(name, value, "Use \"earliest\", \"latest\" or a timestamp.");
	view->start = pstrdup(timestamptz_to_str(start));
}

static void
read_batch_interval(SxView *view, const char *name, const char *value)
{
	view->batch_interval_us = value ? read_interval(name, value) : BATCH_INTERVAL_US;
	if (view->batch_interval_us > MAX_BATCH_INTERVAL_US)
		invalid_value(name, value, "Data can wait for an hour at most.");
}

static void
read_final_column(SxView *view, const char *name, const char *value)
{
	view->final_column = value ? pstrdup(value) : NULL;
}

static void
read_sink(SxView *view, const char *name, const char *value)
{
	view->sink = value ? sx_ddl_find_sink(value) : InvalidOid;
}

static void
read_key(SxView *view, const char *name, const char *value)
{
	view->key = value ? pstrdup(value) : NULL;
}

static void
read_partition_by(SxView *view, const char *name, const char *value)
{
	view->partition_by = value ? pstrdup(value) : NULL;
}

static void
read_partition_period(SxView *view, const char *name, const char *value)
{
	view->period_us = value ? read_interval(name, value) : 0;
	if (value && (view->period_us < MIN_PERIOD_US || view->period_us > MAX_PERIOD_US ||
				  view->period_us % USECS_PER_SEC != 0))
		invalid_value(name, value, "Give whole seconds: a minute at least, 36500 days at most.");
}

static void
read_notify(SxView *view, const char *name, const char *value)
{
	if (value && (value[0] == '\0' || strlen(value) >= NAMEDATALEN))
		invalid_value(name, value, "Use the name of a channel, as in LISTEN.");
	view->notify = value ? pstrdup(value) : NULL;
}

static void
read_on_replace(SxView *view, const char *name, const char *value)
{
	if (value && strcmp(value, "backfill") != 0 && strcmp(value, "keep") != 0 &&
		strcmp(value, "restart") != 0)
		invalid_value(name, value, "Use \"backfill\", \"keep\" or \"restart\".");
	view->on_replace = value ? pstrdup(value) : NULL;
}

static const ViewOption view_options[] = {
	{"continuous", NULL, CHANGE_NEVER},
	{"emit", read_emit, CHANGE_ANEW},
	{"lateness", read_lateness, CHANGE_ANEW},
	{"late", read_late, CHANGE_AT_ONCE},
	{"retention", read_retention, CHANGE_AT_ONCE},
	{"start", read_start, CHANGE_NEVER},
	{"batch_interval", read_batch_interval, CHANGE_AT_ONCE},
	{"final_column", read_final_column, CHANGE_ANEW},
	{"sink", read_sink, CHANGE_ANEW},
	{"notify", read_notify, CHANGE_AT_ONCE},
	{"key", read_key, CHANGE_ANEW},
	{"partition_by", read_partition_by, CHANGE_ANEW},
	{"partition_period", read_partition_period, CHANGE_TABLE},
	{"on_replace", read_on_replace, CHANGE_AT_ONCE},
};

static bool
is_ours(const DefElem *def)
{
	return def->defnamespace != NULL &&
		strcmp(def->defnamespace, OUR_NAMESPACE) == 0;
}

bool
sx_ddl_has_options(const List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (is_ours(lfirst_node(DefElem, lc)))
			return true;
	}
	return false;
}

static const ViewOption *
find_option(const char *name)
{
	const ViewOption *nearest = NULL;
	int			least = 4;		/* farther away is not what was meant */

	for (int i = 0; i < lengthof(view_options); i++)
	{
		int			distance;

		if (strcmp(view_options[i].name, name) == 0)
			return &view_options[i];
		distance = varstr_levenshtein_less_equal(name, Min(strlen(name), NAMEDATALEN),
												 view_options[i].name,
												 strlen(view_options[i].name),
												 1, 1, 1, least, true);
		if (distance < least)
		{
			least = distance;
			nearest = &view_options[i];
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized option \"%s.%s\" of a continuous view",
					OUR_NAMESPACE, name),
			 nearest != NULL ?
			 errhint("Perhaps you meant the option \"%s.%s\".",
					 OUR_NAMESPACE, nearest->name) :
			 errhint("Options are emit, lateness, late, retention, start, batch_interval, final_column, sink, notify, key, partition_by, partition_period and on_replace.")));
}

void
sx_ddl_read_option(SxView *view, const char *name, const char *value, bool *anew)
{
	const ViewOption *option = find_option(name);

	if (option->change == CHANGE_NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change option \"%s.%s\" of a continuous view", OUR_NAMESPACE, option->name),
				 errdetail("The view has begun already."),
				 errhint("streamx.rebuild(view, start) computes it anew from another start.")));
	if (option->change == CHANGE_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change option \"%s.%s\" of a continuous view", OUR_NAMESPACE, option->name),
				 errdetail("The result table was made by it."),
				 errhint("Drop the continuous view and create it anew.")));
	option->read(view, option->name, value);
	*anew = option->change == CHANGE_ANEW;
}

List *
sx_ddl_read_options(const List *options, SxView *view, bool *continuous)
{
	bool		seen[lengthof(view_options)] = {0};
	bool		any = false;
	List	   *rest = NIL;
	ListCell   *lc;

	*continuous = false;
	view->batch_interval_us = BATCH_INTERVAL_US;
	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const ViewOption *option;

		if (!is_ours(def))
		{
			rest = lappend(rest, def);
			continue;
		}
		option = find_option(def->defname);
		if (seen[option - view_options])
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("option \"%s.%s\" is given more than once",
							OUR_NAMESPACE, option->name),
					 errhint("Give it once.")));
		seen[option - view_options] = true;
		if (option->read == NULL)
		{
			*continuous = defGetBoolean(def);
			continue;
		}
		any = true;
		option->read(view, option->name, defGetString(def));
	}
	if (any && !*continuous)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of a continuous view on a view that is not continuous"),
				 errhint("Add the option \"streamx.continuous\".")));
	return rest;
}
