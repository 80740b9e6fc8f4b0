/*-------------------------------------------------------------------------
 * view.c
 *		Continuous views as the catalog describes them.
 *
 * The only file that knows the columns of streamx.continuous_views,
 * view_streams, view_counters.  Rows are read and written as heap tuples,
 * not through SPI: workers call some of this once per batch, and the rights
 * of the current user do not matter here.
 *
 * Locks: whoever changes a view's row of continuous_views first takes the
 * object lock (continuous_views, view) in ExclusiveLock, kept until the end
 * of the transaction, so that the row cannot change between reading and
 * writing.  Who is about to redefine a view takes another one, of subobject 1,
 * before all these: it may be long until he does.  Rows of progress and of the counters are changed by the one
 * worker that serves the view, which has locked the result table before;
 * sx_view_delete comes with AccessExclusiveLock on that table.  DROP of a
 * stream with CASCADE locks the stream, then the views: who holds locks on
 * views and wants the stream as well takes that one first.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/view.h"

/* Tables of the extension; the order is that of relation_names. */
typedef enum SxTable
{
	TABLE_VIEWS,
	TABLE_VIEW_STREAMS,
	TABLE_PROGRESS,
	TABLE_COUNTERS,
	TABLE_DEAD_LETTERS,
	TABLE_LATE_ROWS,
	TABLE_JOURNALS,
	SEQUENCE_OBJECT_ID,
	NUM_RELATIONS
} SxTable;

static const char *const relation_names[NUM_RELATIONS] = {
	"continuous_views",
	"view_streams",
	"progress",
	"view_counters",
	"dead_letters",
	"late_rows",
	"journals",
	"object_id",
};

/* columns of continuous_views */
enum
{
	VIEWS_VIEW = 1,
	VIEWS_ID,
	VIEWS_QUERY,
	VIEWS_STATE,
	VIEWS_EMIT,
	VIEWS_LATENESS,
	VIEWS_LATE,
	VIEWS_RETENTION,
	VIEWS_START,
	VIEWS_BATCH_INTERVAL,
	VIEWS_OPTIONS,
	VIEWS_SETTINGS,
	VIEWS_PAUSED,
	VIEWS_SQLSTATE,
	VIEWS_ERROR,
	VIEWS_SINK,
	VIEWS_OUTBOX,
	VIEWS_PARTS,
	VIEWS_SOURCES,
	VIEWS_VALUE_SETS,
	VIEWS_NATTS = VIEWS_VALUE_SETS
};

/* columns of view_streams */
enum
{
	VIEW_STREAMS_VIEW = 1,
	VIEW_STREAMS_STREAM,
	VIEW_STREAMS_NATTS = VIEW_STREAMS_STREAM
};

/* columns of view_counters */
enum
{
	COUNTERS_VIEW = 1,
	COUNTERS_ROWS_IN,
	COUNTERS_ROWS_OUT,
	COUNTERS_ROWS_LATE,
	COUNTERS_DEAD_LETTERS,
	COUNTERS_BATCHES,
	COUNTERS_WATERMARK,
	COUNTERS_OUTBOX,
	COUNTERS_FINAL_BEFORE,		/* since 1.1 */
	COUNTERS_NATTS = COUNTERS_FINAL_BEFORE
};

/* columns of the other tables that name a view or a stream */
#define PROGRESS_VIEW		1
#define PROGRESS_STREAM		2
#define DEAD_LETTERS_STREAM 2
#define DEAD_LETTERS_VIEW	3
#define LATE_ROWS_VIEW		1
#define LATE_ROWS_STREAM	2
#define JOURNALS_STREAM		1

/* What is known about the extension in this database. */
static enum
{
	EXTENSION_UNKNOWN,
	EXTENSION_ABSENT,
	EXTENSION_PRESENT
}			extension_state = EXTENSION_UNKNOWN;
static Oid	relation_oids[NUM_RELATIONS];

/* sx_view_is: relation -> is it a result table */
typedef struct ViewIsEntry
{
	Oid			relid;
	bool		is_view;
} ViewIsEntry;

static HTAB *view_is_cache = NULL;
static uint64 invalidations = 0;	/* counts them, to see one pass by */

static void
forget_extension(void)
{
	extension_state = EXTENSION_UNKNOWN;
	sx_extension_forget();
	if (view_is_cache != NULL)
	{
		hash_destroy(view_is_cache);
		view_is_cache = NULL;
	}
}

static void
relation_changed(Datum arg, Oid relid)
{
	invalidations++;
	if (!OidIsValid(relid))
	{
		forget_extension();
		return;
	}
	if (extension_state == EXTENSION_PRESENT)
	{
		for (int i = 0; i < NUM_RELATIONS; i++)
		{
			if (relation_oids[i] == relid)
			{
				forget_extension();
				return;
			}
		}
	}
	if (view_is_cache != NULL)
		hash_search(view_is_cache, &relid, HASH_REMOVE, NULL);
}

/* CREATE EXTENSION makes schemas, DROP EXTENSION drops them. */
static void
namespace_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidations++;
	forget_extension();
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	registered = true;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_changed, (Datum) 0);
}

bool
sx_extension_exists(void)
{
	Oid			extension;
	Oid			schema;
	Oid			oids[NUM_RELATIONS];
	uint64		before;

	if (!IsTransactionState())
		return false;
	register_callbacks();

	if (creating_extension &&
		CurrentExtensionObject == get_extension_oid("streamx", true))
		return false;

	if (extension_state != EXTENSION_UNKNOWN)
		return extension_state == EXTENSION_PRESENT;

	/*
	 * Not just any schema of that name: the tables have to be members of the
	 * extension.
	 */
	before = invalidations;
	extension = get_extension_oid("streamx", true);
	schema = OidIsValid(extension) ? get_namespace_oid("streamx", true) : InvalidOid;
	for (int i = 0; i < NUM_RELATIONS; i++)
	{
		oids[i] = OidIsValid(schema) ?
			get_relname_relid(relation_names[i], schema) : InvalidOid;
		if (!OidIsValid(oids[i]) ||
			getExtensionOfObject(RelationRelationId, oids[i]) != extension)
		{
			if (before == invalidations)
				extension_state = EXTENSION_ABSENT;
			return false;
		}
	}
	memcpy(relation_oids, oids, sizeof(oids));
	if (before == invalidations)
		extension_state = EXTENSION_PRESENT;
	return true;
}

/*
 * The oid of one of our tables; InvalidOid while the extension is being
 * dropped: its tables go one by one.
 */
static Oid
relation_oid(SxTable table)
{
	if (sx_extension_exists())
		return relation_oids[table];
	if (creating_extension)
		return InvalidOid;
	return get_relname_relid(relation_names[table],
							 get_namespace_oid("streamx", true));
}

static Relation
open_table(SxTable table, LOCKMODE lockmode)
{
	Oid			relid = relation_oid(table);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"streamx\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION streamx.")));
	return table_open(relid, lockmode);
}

/* The index of rel whose first column is attno, or InvalidOid. */
static Oid
find_index(Relation rel, AttrNumber attno)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisvalid && index->indkey.values[0] == attno)
			result = lfirst_oid(lc);
		ReleaseSysCache(tuple);
		if (OidIsValid(result))
			break;
	}
	list_free(indexes);
	return result;
}

/*
 * A scan for the rows whose column attno is oid (InvalidOid: all rows).  The
 * snapshot is registered, so that long values can be fetched.
 */
typedef struct TableScan
{
	SysScanDesc sysscan;
	Snapshot	snapshot;
} TableScan;

static void
begin_scan(TableScan *scan, Relation rel, AttrNumber attno, Oid oid)
{
	ScanKeyData key;
	Oid			index = InvalidOid;

	if (OidIsValid(oid))
	{
		ScanKeyInit(&key, attno, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(oid));
		index = find_index(rel, attno);
	}
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->sysscan = systable_beginscan(rel, index, OidIsValid(index),
									   scan->snapshot,
									   OidIsValid(oid) ? 1 : 0, &key);
}

static void
end_scan(TableScan *scan)
{
	systable_endscan(scan->sysscan);
	UnregisterSnapshot(scan->snapshot);
}

static void
insert_row(SxTable table, Datum *values, bool *nulls)
{
	Relation	rel = open_table(table, RowExclusiveLock);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * Deletes the rows whose column attno is oid, if the table is still there.
 * Dead letters and late rows are users' to change and to delete meanwhile:
 * waits for them, and takes what they leave.
 */
static void
delete_rows(SxTable table, AttrNumber attno, Oid oid)
{
	Oid			relid = relation_oid(table);
	Relation	rel;
	bool		again;

	if (!OidIsValid(relid))
		return;
	rel = table_open(relid, RowExclusiveLock);
	do
	{
		TableScan	scan;
		HeapTuple	tuple;

		again = false;
		CHECK_FOR_INTERRUPTS();
		begin_scan(&scan, rel, attno, oid);
		while (HeapTupleIsValid(tuple = systable_getnext(scan.sysscan)))
		{
			TM_FailureData failure;
			TM_Result	result = heap_delete(rel, &tuple->t_self,
											 GetCurrentCommandId(true),
											 InvalidSnapshot, true, &failure, false);

			if (result == TM_Updated)
				again = true;	/* a new snapshot finds the new version */
			else if (result != TM_Ok && result != TM_Deleted)
				elog(ERROR, "could not delete a row of %s: %d",
					 RelationGetRelationName(rel), (int) result);
		}
		end_scan(&scan);
		CommandCounterIncrement();
	} while (again);
	table_close(rel, RowExclusiveLock);
}

static void
lock_view(Oid relid)
{
	LockDatabaseObject(relation_oid(TABLE_VIEWS), relid, 0, ExclusiveLock);
}

static int64
interval_us(Datum value)
{
	Interval   *interval = DatumGetIntervalP(value);

	/* without months: options.c sees to that; a hand-made one counts 30 days */
	return interval->time +
		((int64) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
}

static Datum
us_interval(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->day = (int32) (us / USECS_PER_DAY);
	interval->time = us % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}

static char *
json_string(Jsonb *object, const char *name)
{
	JsonbValue	buf;
	JsonbValue *value;

	value = getKeyJsonValueFromContainer(&object->root, name, strlen(name),
										 &buf);
	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
append_json_string(StringInfo buf, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (buf->len > 1)
		appendStringInfoChar(buf, ',');
	escape_json(buf, name);
	appendStringInfoChar(buf, ':');
	escape_json(buf, value);
}

static List *
parse_settings(ArrayType *array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	List	   *settings = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, &nulls, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		char	   *name;
		char	   *value;

		if (nulls[i])
			continue;
		name = TextDatumGetCString(elems[i]);
		value = strchr(name, '=');
		if (value == NULL)
			continue;
		*value++ = '\0';
		settings = lappend(settings,
						   makeDefElem(name, (Node *) makeString(value), -1));
	}
	return settings;
}

static Datum
form_settings(List *settings)
{
	int			nelems = list_length(settings);
	Datum	   *elems = palloc(sizeof(Datum) * Max(nelems, 1));
	ListCell   *lc;
	int			i = 0;

	foreach(lc, settings)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		elems[i++] = CStringGetTextDatum(psprintf("%s=%s", def->defname,
												  defGetString(def)));
	}
	return PointerGetDatum(construct_array(elems, nelems, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static List *
parse_oids(ArrayType *array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	List	   *oids = NIL;

	deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elems, &nulls, &nelems);
	for (int i = 0; i < nelems; i++)
		oids = lappend_oid(oids, nulls[i] ? InvalidOid : DatumGetObjectId(elems[i]));
	return oids;
}

static Datum
form_oids(List *oids)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	ListCell   *lc;

	foreach(lc, oids)
		elems[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elems, list_length(oids), REGCLASSOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

static List *
streams_of_view(Oid relid)
{
	Relation	rel = open_table(TABLE_VIEW_STREAMS, AccessShareLock);
	List	   *streams = NIL;
	TableScan	scan;
	HeapTuple	tuple;

	begin_scan(&scan, rel, VIEW_STREAMS_VIEW, relid);
	while (HeapTupleIsValid(tuple = systable_getnext(scan.sysscan)))
	{
		bool		isnull;

		streams = lappend_oid(streams,
							  DatumGetObjectId(heap_getattr(tuple, VIEW_STREAMS_STREAM,
															RelationGetDescr(rel), &isnull)));
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);
	return streams;
}

SxView *
sx_view_get(Oid relid)
{
	Relation	rel;
	TableScan	scan;
	HeapTuple	tuple;
	HeapTuple	class_tuple;
	SxView	   *view = NULL;
	ListCell   *lc;

	if (!sx_extension_exists())
		return NULL;
	sx_extension_check();

	rel = open_table(TABLE_VIEWS, AccessShareLock);
	begin_scan(&scan, rel, VIEWS_VIEW, relid);
	tuple = systable_getnext(scan.sysscan);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(rel);
		Datum	   *values = palloc(sizeof(Datum) * desc->natts);
		bool	   *nulls = palloc(sizeof(bool) * desc->natts);
		Jsonb	   *options;
		char	   *period;

		heap_deform_tuple(tuple, desc, values, nulls);
#define VALUE(column) (values[(column) - 1])
#define STRING(column) (nulls[(column) - 1] ? NULL : TextDatumGetCString(VALUE(column)))
		view = palloc0(sizeof(SxView));
		view->relid = relid;
		view->id = DatumGetInt32(VALUE(VIEWS_ID));
		view->query = DatumGetObjectId(VALUE(VIEWS_QUERY));
		view->state = nulls[VIEWS_STATE - 1] ? InvalidOid :
			DatumGetObjectId(VALUE(VIEWS_STATE));
		view->final = strcmp(TextDatumGetCString(VALUE(VIEWS_EMIT)), "final") == 0;
		view->keep_late = strcmp(TextDatumGetCString(VALUE(VIEWS_LATE)), "keep") == 0;
		view->lateness_us = interval_us(VALUE(VIEWS_LATENESS));
		view->has_retention = !nulls[VIEWS_RETENTION - 1];
		if (view->has_retention)
			view->retention_us = interval_us(VALUE(VIEWS_RETENTION));
		view->batch_interval_us = interval_us(VALUE(VIEWS_BATCH_INTERVAL));
		view->start = STRING(VIEWS_START);
		options = DatumGetJsonbP(VALUE(VIEWS_OPTIONS));
		view->final_column = json_string(options, "final_column");
		view->notify = json_string(options, "notify");
		view->sink_name = json_string(options, "sink_name");
		view->key = json_string(options, "key");
		view->partition_by = json_string(options, "partition_by");
		period = json_string(options, "partition_period");
		view->period_us = period ? interval_us(DirectFunctionCall3(interval_in, CStringGetDatum(period),
																   ObjectIdGetDatum(InvalidOid),
																   Int32GetDatum(-1))) : 0;
		view->sink = nulls[VIEWS_SINK - 1] ? InvalidOid :
			DatumGetObjectId(VALUE(VIEWS_SINK));
		view->outbox = nulls[VIEWS_OUTBOX - 1] ? InvalidOid :
			DatumGetObjectId(VALUE(VIEWS_OUTBOX));
		view->settings = parse_settings(DatumGetArrayTypeP(VALUE(VIEWS_SETTINGS)));
		view->paused = DatumGetBool(VALUE(VIEWS_PAUSED));
		view->sqlstate = STRING(VIEWS_SQLSTATE);
		view->error = STRING(VIEWS_ERROR);
		view->parts = parse_oids(DatumGetArrayTypeP(VALUE(VIEWS_PARTS)));
		view->sources = parse_oids(DatumGetArrayTypeP(VALUE(VIEWS_SOURCES)));
		view->value_sets = parse_oids(DatumGetArrayTypeP(VALUE(VIEWS_VALUE_SETS)));
#undef STRING
#undef VALUE
		pfree(values);
		pfree(nulls);
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);
	if (view == NULL)
		return NULL;

	class_tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(class_tuple))
		return NULL;			/* being dropped */
	else
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(class_tuple);

		view->owner = class->relowner;
		view->name = quote_qualified_identifier(get_namespace_name(class->relnamespace),
												NameStr(class->relname));
		ReleaseSysCache(class_tuple);
	}
	view->streams = streams_of_view(relid);
	foreach(lc, view->sources)
	{
		SxView	   *source = sx_view_get(lfirst_oid(lc));

		if (source == NULL)
			return NULL;		/* being dropped, and with it this one */
		view->streams = list_concat_unique_oid(view->streams, source->streams);
	}
	return view;
}

bool
sx_view_is(Oid relid)
{
	ViewIsEntry *entry;
	Relation	rel;
	TableScan	scan;
	bool		is_view;
	uint64		before;

	if (relid < FirstNormalObjectId || !sx_extension_exists())
		return false;

	if (view_is_cache != NULL)
	{
		entry = hash_search(view_is_cache, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			return entry->is_view;
	}

	before = invalidations;
	rel = open_table(TABLE_VIEWS, AccessShareLock);
	begin_scan(&scan, rel, VIEWS_VIEW, relid);
	is_view = HeapTupleIsValid(systable_getnext(scan.sysscan));
	end_scan(&scan);
	table_close(rel, AccessShareLock);

	if (before == invalidations)
	{
		if (view_is_cache == NULL)
		{
			HASHCTL		ctl = {
				.keysize = sizeof(Oid),
				.entrysize = sizeof(ViewIsEntry),
				.hcxt = CacheMemoryContext,
			};

			view_is_cache = hash_create("streamx: which relations are continuous views",
										64, &ctl,
										HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		entry = hash_search(view_is_cache, &relid, HASH_ENTER, NULL);
		entry->is_view = is_view;
	}
	return is_view;
}

Oid
sx_view_of_part(Oid relid)
{
	Relation	rel;
	TupleDesc	desc;
	TableScan	scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	if (!OidIsValid(relid) || !sx_extension_exists())
		return InvalidOid;
	rel = open_table(TABLE_VIEWS, AccessShareLock);
	desc = RelationGetDescr(rel);
	begin_scan(&scan, rel, VIEWS_VIEW, InvalidOid);
	while (HeapTupleIsValid(tuple = systable_getnext(scan.sysscan)))
	{
		bool		isnull;
		Oid			query = DatumGetObjectId(heap_getattr(tuple, VIEWS_QUERY, desc, &isnull));
		bool		no_state;
		Datum		state = heap_getattr(tuple, VIEWS_STATE, desc, &no_state);
		bool		no_outbox;
		Datum		outbox = heap_getattr(tuple, VIEWS_OUTBOX, desc, &no_outbox);
		Datum		parts = heap_getattr(tuple, VIEWS_PARTS, desc, &isnull);
		Datum		value_sets = heap_getattr(tuple, VIEWS_VALUE_SETS, desc, &isnull);

		if (query == relid || (!no_state && DatumGetObjectId(state) == relid) ||
			(!no_outbox && DatumGetObjectId(outbox) == relid) ||
			list_member_oid(parse_oids(DatumGetArrayTypeP(parts)), relid) ||
			list_member_oid(parse_oids(DatumGetArrayTypeP(value_sets)), relid))
		{
			result = DatumGetObjectId(heap_getattr(tuple, VIEWS_VIEW, desc, &isnull));
			break;
		}
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Column "result" of the rows whose column attno is oid. */
static List *
list_oids(SxTable table, AttrNumber attno, Oid oid, AttrNumber result)
{
	List	   *oids = NIL;
	Relation	rel;
	TableScan	scan;
	HeapTuple	tuple;

	if (!sx_extension_exists())
		return NIL;
	rel = open_table(table, AccessShareLock);
	begin_scan(&scan, rel, attno, oid);
	while (HeapTupleIsValid(tuple = systable_getnext(scan.sysscan)))
	{
		bool		isnull;

		oids = lappend_oid(oids, DatumGetObjectId(heap_getattr(tuple, result,
															   RelationGetDescr(rel),
															   &isnull)));
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);
	return oids;
}

List *
sx_view_list(void)
{
	return list_oids(TABLE_VIEWS, VIEWS_VIEW, InvalidOid, VIEWS_VIEW);
}

List *
sx_view_list_of_stream(Oid stream)
{
	return list_oids(TABLE_VIEW_STREAMS, VIEW_STREAMS_STREAM, stream,
					 VIEW_STREAMS_VIEW);
}

int
sx_view_next_id(void)
{
	Oid			relid = relation_oid(SEQUENCE_OBJECT_ID);
	Oid			schema = get_namespace_oid("streamx_state", false);
	int			id;

	if (!OidIsValid(relid))
		elog(ERROR, "extension \"streamx\" is not installed in this database");
	sx_extension_check();

	/* a dump of the schema alone brings objects, and not the sequence's value */
	do
	{
		id = (int) nextval_internal(relid, false);
	} while (OidIsValid(get_relname_relid(psprintf("v%d", id), schema)) ||
			 OidIsValid(get_relname_relid(psprintf("j%d_1", id), schema)));
	return id;
}

static Datum
form_options(const SxView *view)
{
	StringInfoData options;

	initStringInfo(&options);
	appendStringInfoChar(&options, '{');
	append_json_string(&options, "final_column", view->final_column);
	append_json_string(&options, "notify", view->notify);
	append_json_string(&options, "sink_name", view->sink_name);
	append_json_string(&options, "key", view->key);
	append_json_string(&options, "partition_by", view->partition_by);
	append_json_string(&options, "partition_period",
					   view->period_us > 0 ? psprintf(INT64_FORMAT " seconds", view->period_us / USECS_PER_SEC) : NULL);
	appendStringInfoChar(&options, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(options.data));
}

/* The view's row, as far as it is known when it is made. */
static void
form_row(const SxView *view, Datum *values, bool *nulls)
{
#define SET(column, datum) (values[(column) - 1] = (datum))
#define SET_STRING(column, string) \
	do { \
		nulls[(column) - 1] = (string) == NULL; \
		if ((string) != NULL) \
			SET(column, CStringGetTextDatum(string)); \
	} while (0)
	SET(VIEWS_VIEW, ObjectIdGetDatum(view->relid));
	SET(VIEWS_ID, Int32GetDatum(view->id));
	SET(VIEWS_QUERY, ObjectIdGetDatum(view->query));
	SET(VIEWS_STATE, ObjectIdGetDatum(view->state));
	nulls[VIEWS_STATE - 1] = !OidIsValid(view->state);
	SET(VIEWS_EMIT, CStringGetTextDatum(view->final ? "final" : "update"));
	SET(VIEWS_LATENESS, us_interval(view->lateness_us));
	SET(VIEWS_LATE, CStringGetTextDatum(view->keep_late ? "keep" : "drop"));
	SET(VIEWS_RETENTION, us_interval(view->retention_us));
	nulls[VIEWS_RETENTION - 1] = !view->has_retention;
	SET_STRING(VIEWS_START, view->start);
	SET(VIEWS_BATCH_INTERVAL, us_interval(view->batch_interval_us));
	SET(VIEWS_OPTIONS, form_options(view));
	SET(VIEWS_SETTINGS, form_settings(view->settings));
	SET(VIEWS_PAUSED, BoolGetDatum(view->paused));
	SET_STRING(VIEWS_SQLSTATE, view->sqlstate);
	SET_STRING(VIEWS_ERROR, view->error);
	SET(VIEWS_SINK, ObjectIdGetDatum(view->sink));
	nulls[VIEWS_SINK - 1] = !OidIsValid(view->sink);
	SET(VIEWS_OUTBOX, ObjectIdGetDatum(view->outbox));
	nulls[VIEWS_OUTBOX - 1] = !OidIsValid(view->outbox);
	SET(VIEWS_PARTS, form_oids(view->parts));
	SET(VIEWS_SOURCES, form_oids(view->sources));
	SET(VIEWS_VALUE_SETS, form_oids(view->value_sets));
#undef SET_STRING
#undef SET
}

static void
insert_streams(const SxView *view)
{
	ListCell   *lc;

	/* one over others stands where they do, and reads nothing itself */
	foreach(lc, view->sources ? NIL : view->streams)
	{
		Datum		stream_values[VIEW_STREAMS_NATTS];
		bool		stream_nulls[VIEW_STREAMS_NATTS] = {0};

		stream_values[VIEW_STREAMS_VIEW - 1] = ObjectIdGetDatum(view->relid);
		stream_values[VIEW_STREAMS_STREAM - 1] = ObjectIdGetDatum(lfirst_oid(lc));
		insert_row(TABLE_VIEW_STREAMS, stream_values, stream_nulls);
	}
}

void
sx_view_insert(const SxView *view)
{
	Datum		values[VIEWS_NATTS] = {0};
	bool		nulls[VIEWS_NATTS] = {0};
	Datum		counters[COUNTERS_NATTS];
	bool		counters_nulls[COUNTERS_NATTS] = {0};

	lock_view(view->relid);
	form_row(view, values, nulls);
	insert_row(TABLE_VIEWS, values, nulls);
	insert_streams(view);
	for (int i = 0; i < COUNTERS_NATTS; i++)
		counters[i] = Int64GetDatum(0);
	counters_nulls[COUNTERS_WATERMARK - 1] = true;
	counters_nulls[COUNTERS_FINAL_BEFORE - 1] = true;
	counters[COUNTERS_VIEW - 1] = ObjectIdGetDatum(view->relid);
	insert_row(TABLE_COUNTERS, counters, counters_nulls);
	CacheInvalidateRelcacheByRelid(view->relid);
}

void
sx_view_delete(Oid relid)
{
	Oid			views = relation_oid(TABLE_VIEWS);

	if (OidIsValid(views))
		lock_view(relid);
	delete_rows(TABLE_PROGRESS, PROGRESS_VIEW, relid);
	delete_rows(TABLE_COUNTERS, COUNTERS_VIEW, relid);
	delete_rows(TABLE_DEAD_LETTERS, DEAD_LETTERS_VIEW, relid);
	delete_rows(TABLE_LATE_ROWS, LATE_ROWS_VIEW, relid);
	delete_rows(TABLE_VIEW_STREAMS, VIEW_STREAMS_VIEW, relid);
	delete_rows(TABLE_VIEWS, VIEWS_VIEW, relid);
	CacheInvalidateRelcacheByRelid(relid);
}

/* Changes some columns of a view's row; nothing if there is no such view. */
static void
update_view(Oid relid, const Datum *values, const bool *nulls,
			const bool *replaces)
{
	Relation	rel;
	TableScan	scan;
	HeapTuple	tuple;

	lock_view(relid);
	rel = open_table(TABLE_VIEWS, RowExclusiveLock);
	begin_scan(&scan, rel, VIEWS_VIEW, relid);
	tuple = systable_getnext(scan.sysscan);
	if (HeapTupleIsValid(tuple))
	{
		HeapTuple	changed = heap_modify_tuple(tuple, RelationGetDescr(rel),
												(Datum *) values, (bool *) nulls,
												(bool *) replaces);

		CatalogTupleUpdate(rel, &tuple->t_self, changed);
		heap_freetuple(changed);
		CacheInvalidateRelcacheByRelid(relid);
	}
	end_scan(&scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

void
sx_view_redefine(const SxView *view)
{
	Datum		values[VIEWS_NATTS] = {0};
	bool		nulls[VIEWS_NATTS] = {0};
	bool		replaces[VIEWS_NATTS];

	memset(replaces, true, sizeof(replaces));
	replaces[VIEWS_VIEW - 1] = false;
	form_row(view, values, nulls);
	update_view(view->relid, values, nulls, replaces);
	delete_rows(TABLE_VIEW_STREAMS, VIEW_STREAMS_VIEW, view->relid);
	insert_streams(view);
}

void
sx_view_lock_definition(Oid relid)
{
	LockDatabaseObject(relation_oid(TABLE_VIEWS), relid, 1, ExclusiveLock);
}

void
sx_view_set_paused(Oid relid, bool paused)
{
	Datum		values[VIEWS_NATTS] = {0};
	bool		nulls[VIEWS_NATTS] = {0};
	bool		replaces[VIEWS_NATTS] = {0};

	values[VIEWS_PAUSED - 1] = BoolGetDatum(paused);
	replaces[VIEWS_PAUSED - 1] = true;
	if (!paused)
	{
		nulls[VIEWS_SQLSTATE - 1] = nulls[VIEWS_ERROR - 1] = true;
		replaces[VIEWS_SQLSTATE - 1] = replaces[VIEWS_ERROR - 1] = true;
	}
	update_view(relid, values, nulls, replaces);
}

void
sx_view_set_options(const SxView *view)
{
	Datum		values[VIEWS_NATTS] = {0};
	bool		nulls[VIEWS_NATTS] = {0};
	bool		replaces[VIEWS_NATTS] = {0};

	replaces[VIEWS_LATE - 1] = replaces[VIEWS_RETENTION - 1] = true;
	replaces[VIEWS_BATCH_INTERVAL - 1] = replaces[VIEWS_OPTIONS - 1] = true;
	values[VIEWS_LATE - 1] = CStringGetTextDatum(view->keep_late ? "keep" : "drop");
	values[VIEWS_RETENTION - 1] = us_interval(view->retention_us);
	nulls[VIEWS_RETENTION - 1] = !view->has_retention;
	values[VIEWS_BATCH_INTERVAL - 1] = us_interval(view->batch_interval_us);
	values[VIEWS_OPTIONS - 1] = form_options(view);
	update_view(view->relid, values, nulls, replaces);
}

void
sx_view_set_error(Oid relid, const char *sqlstate, const char *error)
{
	Datum		values[VIEWS_NATTS] = {0};
	bool		nulls[VIEWS_NATTS] = {0};
	bool		replaces[VIEWS_NATTS] = {0};

	replaces[VIEWS_SQLSTATE - 1] = replaces[VIEWS_ERROR - 1] = true;
	nulls[VIEWS_SQLSTATE - 1] = sqlstate == NULL;
	nulls[VIEWS_ERROR - 1] = error == NULL;
	if (sqlstate != NULL)
		values[VIEWS_SQLSTATE - 1] = CStringGetTextDatum(sqlstate);
	if (error != NULL)
		values[VIEWS_ERROR - 1] = CStringGetTextDatum(error);
	update_view(relid, values, nulls, replaces);
}

static void
add_counters(SxViewCounters *sum, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

#define GET(column) DatumGetInt64(heap_getattr(tuple, column, desc, &isnull))
	sum->rows_in += GET(COUNTERS_ROWS_IN);
	sum->rows_out += GET(COUNTERS_ROWS_OUT);
	sum->rows_late += GET(COUNTERS_ROWS_LATE);
	sum->dead_letters += GET(COUNTERS_DEAD_LETTERS);
	sum->batches += GET(COUNTERS_BATCHES);
	sum->outbox += GET(COUNTERS_OUTBOX);
#undef GET
}

void
sx_view_count(Oid relid, const SxViewCounters *delta)
{
	Relation	rel = open_table(TABLE_COUNTERS, RowExclusiveLock);
	TableScan	scan;
	HeapTuple	tuple;

	begin_scan(&scan, rel, COUNTERS_VIEW, relid);
	tuple = systable_getnext(scan.sysscan);
	if (HeapTupleIsValid(tuple))
	{
		SxViewCounters sum = *delta;
		Datum		values[COUNTERS_NATTS] = {0};
		bool		nulls[COUNTERS_NATTS] = {0};
		bool		replaces[COUNTERS_NATTS];
		HeapTuple	changed;

		add_counters(&sum, tuple, RelationGetDescr(rel));
		memset(replaces, true, sizeof(replaces));
		replaces[COUNTERS_VIEW - 1] = replaces[COUNTERS_FINAL_BEFORE - 1] = false;
		values[COUNTERS_ROWS_IN - 1] = Int64GetDatum(sum.rows_in);
		values[COUNTERS_ROWS_OUT - 1] = Int64GetDatum(sum.rows_out);
		values[COUNTERS_ROWS_LATE - 1] = Int64GetDatum(sum.rows_late);
		values[COUNTERS_DEAD_LETTERS - 1] = Int64GetDatum(sum.dead_letters);
		values[COUNTERS_BATCHES - 1] = Int64GetDatum(sum.batches);
		values[COUNTERS_OUTBOX - 1] = Int64GetDatum(sum.outbox);
		values[COUNTERS_WATERMARK - 1] = Int64GetDatum(sum.watermark_us);
		nulls[COUNTERS_WATERMARK - 1] = sum.watermark_us == PG_INT64_MIN;
		changed = heap_modify_tuple(tuple, RelationGetDescr(rel),
									values, nulls, replaces);
		CatalogTupleUpdate(rel, &tuple->t_self, changed);
		heap_freetuple(changed);
	}
	end_scan(&scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

void
sx_view_counters(Oid relid, SxViewCounters *counters)
{
	Relation	rel = open_table(TABLE_COUNTERS, AccessShareLock);
	TableScan	scan;
	HeapTuple	tuple;

	memset(counters, 0, sizeof(*counters));
	counters->watermark_us = PG_INT64_MIN;
	begin_scan(&scan, rel, COUNTERS_VIEW, relid);
	tuple = systable_getnext(scan.sysscan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		watermark = heap_getattr(tuple, COUNTERS_WATERMARK,
											 RelationGetDescr(rel), &isnull);

		add_counters(counters, tuple, RelationGetDescr(rel));
		if (!isnull)
			counters->watermark_us = DatumGetTimestampTz(watermark);
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);
}

/* A time of the view as the active snapshot sees it; PG_INT64_MIN: NULL. */
static int64
counters_time(Oid relid, AttrNumber attno)
{
	Relation	rel = open_table(TABLE_COUNTERS, AccessShareLock);
	int64		result = PG_INT64_MIN;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, COUNTERS_VIEW, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, find_index(rel, COUNTERS_VIEW), true,
							  GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) && attno <= RelationGetNumberOfAttributes(rel))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, attno, RelationGetDescr(rel), &isnull);

		if (!isnull)
			result = DatumGetTimestampTz(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

int64
sx_view_watermark(Oid relid)
{
	return counters_time(relid, COUNTERS_WATERMARK);
}

int64
sx_view_final_before(Oid relid)
{
	return counters_time(relid, COUNTERS_FINAL_BEFORE);
}

void
sx_view_check_final_before(void)
{
	Relation	rel = open_table(TABLE_COUNTERS, AccessShareLock);

	if (RelationGetNumberOfAttributes(rel) < COUNTERS_FINAL_BEFORE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("views over other views with emit = 'final' need a newer version of extension \"streamx\""),
				 errhint("Run ALTER EXTENSION streamx UPDATE.")));
	table_close(rel, AccessShareLock);
}

void
sx_view_set_final_before(Oid relid, int64 before_us)
{
	Relation	rel;
	TableScan	scan;
	HeapTuple	tuple;

	if (before_us != PG_INT64_MIN)
		sx_view_check_final_before();
	rel = open_table(TABLE_COUNTERS, RowExclusiveLock);
	if (RelationGetNumberOfAttributes(rel) < COUNTERS_FINAL_BEFORE)
	{
		table_close(rel, RowExclusiveLock);
		return;
	}
	begin_scan(&scan, rel, COUNTERS_VIEW, relid);
	tuple = systable_getnext(scan.sysscan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[COUNTERS_NATTS] = {0};
		bool		nulls[COUNTERS_NATTS] = {0};
		bool		replaces[COUNTERS_NATTS] = {0};
		HeapTuple	changed;

		replaces[COUNTERS_FINAL_BEFORE - 1] = true;
		values[COUNTERS_FINAL_BEFORE - 1] = TimestampTzGetDatum(before_us);
		nulls[COUNTERS_FINAL_BEFORE - 1] = before_us == PG_INT64_MIN;
		changed = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replaces);
		CatalogTupleUpdate(rel, &tuple->t_self, changed);
		heap_freetuple(changed);
	}
	end_scan(&scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

int64
sx_view_needed_from(Oid relid)
{
	Relation	rel = open_table(TABLE_VIEWS, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	TableScan	scan;
	HeapTuple	tuple;
	List	   *over = NIL;
	List	   *final = NIL;
	int64		result = PG_INT64_MAX;
	ListCell   *lc;

	begin_scan(&scan, rel, VIEWS_VIEW, InvalidOid);
	while (HeapTupleIsValid(tuple = systable_getnext(scan.sysscan)))
	{
		bool		isnull;
		List	   *sources = parse_oids(DatumGetArrayTypeP(heap_getattr(tuple, VIEWS_SOURCES,
																		 desc, &isnull)));
		Oid			view = DatumGetObjectId(heap_getattr(tuple, VIEWS_VIEW, desc, &isnull));

		if (!list_member_oid(sources, relid))
			continue;
		if (strcmp(TextDatumGetCString(heap_getattr(tuple, VIEWS_EMIT, desc, &isnull)), "final") == 0)
			final = lappend_oid(final, view);
		else
			over = lappend_oid(over, view);
	}
	end_scan(&scan);
	table_close(rel, AccessShareLock);

	foreach(lc, final)
		result = Min(result, sx_view_final_before(lfirst_oid(lc)));
	foreach(lc, over)
		result = Min(result, sx_view_needed_from(lfirst_oid(lc)));
	return result;
}

void
sx_stream_forget(Oid relid)
{
	delete_rows(TABLE_PROGRESS, PROGRESS_STREAM, relid);
	delete_rows(TABLE_DEAD_LETTERS, DEAD_LETTERS_STREAM, relid);
	delete_rows(TABLE_LATE_ROWS, LATE_ROWS_STREAM, relid);
	delete_rows(TABLE_VIEW_STREAMS, VIEW_STREAMS_STREAM, relid);
	delete_rows(TABLE_JOURNALS, JOURNALS_STREAM, relid);
}
