/*-------------------------------------------------------------------------
 * generator.c
 *		A source without a server: rows made from their number.
 *
 * Row n of a stream falls due at "started" + n / rows_per_second; "started"
 * is the time of the stream's first batch, kept in streamx.generators.  The
 * values of a row follow from seed, column and n, or from the column's
 * expression over n (bigint) and ts (when the row is due): reading from an
 * offset again gives the same rows.  (An expression that is volatile, or
 * reads tables, gives what it gives.)  With rows_per_second 0 all rows, of
 * which there have to be a "total", are there at once, a microsecond apart.
 *
 * Expressions are evaluated with the rights of the stream's owner, who wrote
 * them, as a security-restricted operation.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "source/generator.h"
#include "source/source.h"

#define DEFAULT_RATE	1000.0

/* Columns of streamx.generators. */
#define ANUM_STREAM		1
#define ANUM_STARTED	2
#define NATTS_GENERATORS 2

/* How a column gets its values. */
typedef enum MakeKind
{
	MAKE_NULL,
	MAKE_METADATA,
	MAKE_EXPRESSION,
	MAKE_BOOL,
	MAKE_INT2,
	MAKE_INT4,
	MAKE_INT8,
	MAKE_FLOAT4,
	MAKE_FLOAT8,
	MAKE_TEXT,
	MAKE_TIMESTAMP,				/* with or without time zone: of UTC */
	MAKE_DATE,
	MAKE_INPUT					/* text, through the type's input function */
} MakeKind;

typedef struct MakeColumn
{
	MakeKind	kind;
	uint64		seed;
	Expr	   *expr;
	ExprState  *state;			/* during fill() */
	int16		typlen;
	bool		byval;
	Oid			basetype;
	Oid			elemtype;		/* of the base type, if an array */
	FmgrInfo	input;
	Oid			ioparam;
	int			nlabels;		/* of an enum, or an array of it */
	char	  **labels;
} MakeColumn;

typedef struct GeneratorSource
{
	SxSource	base;
	MemoryContext cxt;
	const SxStream *stream;
	double		rate;			/* rows per second; 0: all at once */
	uint64		seed;
	int64		total;			/* -1: no end */
	MemoryContext columns_cxt;
	MakeColumn *columns;		/* NULL: not looked at yet */
	bool		has_started;
	TimestampTz started;
	char	   *start;			/* to be looked up at the first fill, or NULL */
	int64		next_offset;
} GeneratorSource;

/* A well-mixed number from a seed (splitmix64) */
static inline uint64
mix(uint64 x)
{
	x += UINT64CONST(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* ---- time --------------------------------------------------------------- */

static TimestampTz
due_time(const GeneratorSource *g, int64 n)
{
	if (g->rate <= 0)
		return g->started + n;
	return g->started + (int64) floorl((long double) n * USECS_PER_SEC / g->rate);
}

/* Rows that are due by a time: the number of the first that is not. */
static int64
rows_due(const GeneratorSource *g, TimestampTz at)
{
	long double guess;
	int64		n;

	if (at < g->started)
		return 0;
	if (g->rate <= 0)
		guess = at - g->started;
	else
		guess = floorl((long double) (at - g->started) * g->rate / USECS_PER_SEC);
	if (guess > (long double) (PG_INT64_MAX / 2))
		guess = (long double) (PG_INT64_MAX / 2);
	n = (int64) guess;
	while (n > 0 && due_time(g, n - 1) > at)
		n--;
	while (due_time(g, n) <= at)
		n++;
	return n;
}

/* First row that is not there yet; safe in any thread once it has started. */
static int64
end_of_rows(const GeneratorSource *g)
{
	int64		n;

	if (g->rate <= 0)
		return g->total;
	n = rows_due(g, GetCurrentTimestamp());
	return g->total >= 0 ? Min(n, g->total) : n;
}

static Oid
generators_relid(void)
{
	Oid			schema = get_namespace_oid("streamx", true);
	Oid			relid = InvalidOid;

	if (OidIsValid(schema))
		relid = get_relname_relid("generators", schema);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"streamx.generators\" does not exist"),
				 errhint("Create the extension: CREATE EXTENSION streamx.")));
	return relid;
}

static bool
read_started(Relation rel, Oid stream, TimestampTz *started)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tup;

	ScanKeyInit(&key, ANUM_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	scan = systable_beginscan(rel, sx_primary_key_index(rel), true,
							  snapshot, 1, &key);
	tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		bool		isnull;

		*started = DatumGetTimestampTz(heap_getattr(tup, ANUM_STARTED,
													RelationGetDescr(rel),
													&isnull));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return HeapTupleIsValid(tup);
}

/* When the stream began: noted now if it has not been. */
static TimestampTz
note_started(Oid stream)
{
	Oid			relid = generators_relid();
	Relation	rel = table_open(relid, RowExclusiveLock);
	TimestampTz started;

	if (!read_started(rel, stream, &started))
	{
		LockDatabaseObject(relid, stream, 0, ExclusiveLock);
		if (!read_started(rel, stream, &started))
		{
			Datum		values[NATTS_GENERATORS];
			bool		nulls[NATTS_GENERATORS] = {false};

			started = GetCurrentTimestamp();
			values[ANUM_STREAM - 1] = ObjectIdGetDatum(stream);
			values[ANUM_STARTED - 1] = TimestampTzGetDatum(started);
			CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel),
													values, nulls));
			CommandCounterIncrement();
		}
	}
	table_close(rel, NoLock);
	return started;
}

void
sx_generator_forget(Oid stream)
{
	Relation	rel = table_open(generators_relid(), RowExclusiveLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tup;

	ScanKeyInit(&key, ANUM_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	scan = systable_beginscan(rel, sx_primary_key_index(rel), true,
							  snapshot, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		CatalogTupleDelete(rel, &tup->t_self);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
}

/* ---- expressions -------------------------------------------------------- */

static Node *
resolve_name(ParseState *pstate, ColumnRef *ref)
{
	Param	   *param;
	const char *name;

	if (list_length(ref->fields) != 1 || !IsA(linitial(ref->fields), String))
		return NULL;
	name = strVal(linitial(ref->fields));
	if (strcmp(name, "n") != 0 && strcmp(name, "ts") != 0)
		return NULL;
	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = strcmp(name, "n") == 0 ? 1 : 2;
	param->paramtype = param->paramid == 1 ? INT8OID : TIMESTAMPTZOID;
	param->paramtypmod = -1;
	param->paramcollid = InvalidOid;
	param->location = ref->location;
	return (Node *) param;
}

typedef struct ExpressionContext
{
	const char *stream;
	const char *column;			/* NULL: none just now */
	int64		row;			/* -1: parsing */
	const char *text;			/* what is parsed */
} ExpressionContext;

static void
expression_context(void *arg)
{
	ExpressionContext *c = arg;

	if (c->column == NULL)
		return;
	if (c->row < 0)
	{
		/* positions are those in the expression, not in the query */
		internalerrposition(geterrposition());
		errposition(0);
		internalerrquery(c->text);
		errcontext("expression of column \"%s\" of stream %s",
				   c->column, c->stream);
	}
	else
		errcontext("column \"%s\" of stream %s, offset " INT64_FORMAT,
				   c->column, c->stream, c->row);
}

/* The expression, giving values of the column's type. */
static Expr *
parse_expression(const SxStream *stream, const SxColumn *col, const char *text)
{
	ParseState *pstate = make_parsestate(NULL);
	ExpressionContext context = {stream->name, col->name, -1, text};
	ErrorContextCallback callback;
	List	   *raw;
	SelectStmt *select;
	Node	   *expr;
	Node	   *coerced;

	callback.callback = expression_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	raw = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	select = (SelectStmt *) linitial_node(RawStmt, raw)->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE ||
		list_length(select->targetList) != 1 || select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->windowClause != NIL ||
		select->distinctClause != NIL || select->sortClause != NIL ||
		select->limitCount != NULL || select->limitOffset != NULL ||
		select->lockingClause != NIL || select->withClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"%s\" is not an expression", text),
				 errhint("Give one expression over n, the row's number, and ts, the time when it is due.")));

	pstate->p_sourcetext = text;
	pstate->p_pre_columnref_hook = resolve_name;
	expr = transformExpr(pstate,
						 linitial_node(ResTarget, select->targetList)->val,
						 EXPR_KIND_ALTER_COL_TRANSFORM);
	coerced = coerce_to_target_type(pstate, expr, exprType(expr), col->typid,
									col->typmod, COERCION_ASSIGNMENT,
									COERCE_IMPLICIT_CAST, -1);
	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s but its expression is of type %s",
						col->name, format_type_be(col->typid),
						format_type_be(exprType(expr))),
				 errhint("You will need to rewrite or cast the expression.")));
	assign_expr_collations(pstate, coerced);
	free_parsestate(pstate);
	error_context_stack = callback.previous;
	return (Expr *) coerced;
}

/* ---- values by type ----------------------------------------------------- */

static const char *const words[] = {
	"amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor",
	"indigo", "jade", "kelp", "lotus", "maple", "north", "opal", "pearl"
};

/* Text of a value of a type that has no domain over it; NULL: cannot. */
static char *
make_text(const MakeColumn *c, Oid typid, int32 typmod, uint64 h, TimestampTz ts)
{
	uint64		a = mix(h);
	uint64		b = mix(a);
	Timestamp	t;

	switch (typid)
	{
		case BOOLOID:
			return pstrdup(h & 1 ? "t" : "f");
		case INT2OID:
		case INT4OID:
		case OIDOID:
			return psprintf("%d", (int) (h % 1000));
		case INT8OID:
			return psprintf(INT64_FORMAT, (int64) (h % 1000000));
		case FLOAT4OID:
		case FLOAT8OID:
			return psprintf("%d.%02d", (int) (h % 100), (int) (a % 100));
		case NUMERICOID:
			{
				int			precision = 5;
				int			scale = 2;
				int			whole;
				StringInfoData buf;

				if (typmod >= (int32) VARHDRSZ)
				{
					precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
					/* eleven bits, with their sign */
					scale = ((((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024);
				}
				whole = Min(precision - scale, 3);
				initStringInfo(&buf);
				if (whole <= 0)
					appendStringInfoChar(&buf, '0');
				else
					appendStringInfo(&buf, "%d", (int) (h % (whole == 1 ? 10 :
															 whole == 2 ? 100 : 1000)));
				if (scale > 0 && whole >= 0)
					appendStringInfo(&buf, ".%0*d", Min(scale, 4),
									 (int) (a % (scale == 1 ? 10 : scale == 2 ? 100 :
												 scale == 3 ? 1000 : 10000)));
				return buf.data;
			}
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
			{
				char	   *word = psprintf("%s%d", words[h % lengthof(words)],
											(int) (a % 10));

				if (typid != NAMEOID && typmod >= (int32) VARHDRSZ &&
					strlen(word) > typmod - VARHDRSZ)
					word[typmod - VARHDRSZ] = '\0';
				return word;
			}
		case UUIDOID:
			return psprintf("%08x-%04x-4%03x-%04x-%012llx", (uint32) h,
							(uint32) (h >> 32) & 0xffff, (uint32) (h >> 48) & 0xfff,
							((uint32) a & 0x3fff) | 0x8000,
							(unsigned long long) (b & UINT64CONST(0xffffffffffff)));
		case JSONOID:
		case JSONBOID:
			return psprintf("{\"id\": %d, \"name\": \"%s\", \"value\": %d.%d}",
							(int) (h % 1000), words[a % lengthof(words)],
							(int) (b % 100), (int) ((b >> 32) % 10));
		case BYTEAOID:
			return psprintf("\\x%016llx", (unsigned long long) h);
		case INTERVALOID:
			return psprintf("%d seconds", (int) (h % 3600));
		case TIMEOID:
			t = ts % USECS_PER_DAY;
			t = t < 0 ? t + USECS_PER_DAY : t;
			return psprintf("%02d:%02d:%02d", (int) (t / USECS_PER_HOUR),
							(int) (t / USECS_PER_MINUTE % 60),
							(int) (t / USECS_PER_SEC % 60));
		case INETOID:
			return psprintf("10.%d.%d.%d", (int) (h & 255), (int) (a & 255),
							(int) (b % 254) + 1);
		case MACADDROID:
			return psprintf("02:00:%02x:%02x:%02x:%02x", (int) (h & 255),
							(int) (h >> 8 & 255), (int) (a & 255), (int) (b & 255));
		case POINTOID:
			return psprintf("(%d.%d,%d.%d)", (int) (h % 100), (int) (a % 10),
							(int) (b % 100), (int) ((b >> 32) % 10));
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case DATEOID:
			{
				struct pg_tm tm;
				fsec_t		fsec;
				int			tz = 0;
				char		buf[MAXDATELEN + 1];

				/* UTC, whatever the session's zone */
				if (timestamp2tm(ts, NULL, &tm, &fsec, NULL, NULL) != 0)
					return NULL;
				if (typid == DATEOID)
					EncodeDateOnly(&tm, USE_ISO_DATES, buf);
				else
					EncodeDateTime(&tm, fsec, typid == TIMESTAMPTZOID, tz, NULL,
								   USE_ISO_DATES, buf);
				return pstrdup(buf);
			}
		default:
			if (c->nlabels > 0)
				return pstrdup(c->labels[h % c->nlabels]);
			return NULL;
	}
}

/* Can make_text() do it?  Looks up what it needs. */
static bool
can_make_text(MakeColumn *c, Oid typid)
{
	if (get_typtype(typid) == TYPTYPE_ENUM)
	{
		CatCList   *list = SearchSysCacheList1(ENUMTYPOIDNAME,
											   ObjectIdGetDatum(typid));
		int			i;

		c->labels = palloc(sizeof(char *) * Max(list->n_members, 1));
		c->nlabels = list->n_members;
		/* in order of their names: always the same */
		for (i = 0; i < list->n_members; i++)
			c->labels[i] =
				pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(&list->members[i]->tuple))->enumlabel));
		ReleaseSysCacheList(list);
		return c->nlabels > 0;
	}
	return make_text(c, typid, -1, 1, 0) != NULL;
}

static char *
make_array_text(const MakeColumn *c, int32 typmod, uint64 h, TimestampTz ts)
{
	StringInfoData buf;
	int			n = h % 4;
	int			i;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (i = 0; i < n; i++)
	{
		char	   *element;
		char	   *p;

		h = mix(h);
		element = make_text(c, c->elemtype, typmod, h, ts);
		appendStringInfoString(&buf, i > 0 ? ",\"" : "\"");
		for (p = element; *p != '\0'; p++)
		{
			if (*p == '"' || *p == '\\')
				appendStringInfoChar(&buf, '\\');
			appendStringInfoChar(&buf, *p);
		}
		appendStringInfoChar(&buf, '"');
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

static void
prepare_column(const SxStream *stream, int i, uint64 seed, MakeColumn *c)
{
	const SxColumn *col = &stream->schema->cols[i];
	const char *expression;
	Oid			typinput;

	c->seed = mix(seed ^ mix((uint64) i + 1));
	if (col->dropped)
		return;
	get_typlenbyval(col->typid, &c->typlen, &c->byval);
	if (col->metadata != SX_META_NONE)
	{
		c->kind = MAKE_METADATA;
		return;
	}
	expression = sx_option_get(GetForeignColumnOptions(stream->relid, i + 1),
							   "expression");
	if (expression != NULL)
	{
		c->kind = MAKE_EXPRESSION;
		c->expr = parse_expression(stream, col, expression);
		return;
	}
	if (col->typmod < 0)
	{
		switch (col->typid)
		{
			case BOOLOID:
				c->kind = MAKE_BOOL;
				return;
			case INT2OID:
				c->kind = MAKE_INT2;
				return;
			case INT4OID:
				c->kind = MAKE_INT4;
				return;
			case INT8OID:
				c->kind = MAKE_INT8;
				return;
			case FLOAT4OID:
				c->kind = MAKE_FLOAT4;
				return;
			case FLOAT8OID:
				c->kind = MAKE_FLOAT8;
				return;
			case TEXTOID:
			case VARCHAROID:
				c->kind = MAKE_TEXT;
				return;
			case TIMESTAMPTZOID:
			case TIMESTAMPOID:
				c->kind = MAKE_TIMESTAMP;
				return;
			case DATEOID:
				c->kind = MAKE_DATE;
				return;
		}
	}
	c->basetype = getBaseType(col->typid);
	c->elemtype = get_element_type(c->basetype);
	if (!can_make_text(c, OidIsValid(c->elemtype) ? c->elemtype : c->basetype))
		return;
	c->kind = MAKE_INPUT;
	getTypeInputInfo(col->typid, &typinput, &c->ioparam);
	fmgr_info(typinput, &c->input);
}

static MakeColumn *
prepare_columns(const SxStream *stream, uint64 seed)
{
	int			ncols = stream->schema->ncols;
	MakeColumn *columns = palloc0(sizeof(MakeColumn) * Max(ncols, 1));
	int			i;

	for (i = 0; i < ncols; i++)
		prepare_column(stream, i, seed, &columns[i]);
	return columns;
}

void
sx_generator_check(const SxStream *stream)
{
	(void) prepare_columns(stream, 0);
	if (sx_option_get(stream->table_options, "rows_per_second") != NULL &&
		strtod(sx_option_get(stream->table_options, "rows_per_second"), NULL) <= 0 &&
		sx_option_get(stream->table_options, "total") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("generator stream %s has no end and no pace", stream->name),
				 errhint("Give \"rows_per_second\", or the number of rows as \"total\".")));
}

/* ---- the source --------------------------------------------------------- */

static SxSource *
generator_open(const SxStream *stream)
{
	MemoryContext cxt;
	GeneratorSource *g;
	const char *rate = sx_option_get(stream->table_options, "rows_per_second");
	const char *seed = sx_option_get(stream->table_options, "seed");
	const char *total = sx_option_get(stream->table_options, "total");

	cxt = AllocSetContextCreate(TopMemoryContext, "streamx generator",
								ALLOCSET_DEFAULT_SIZES);
	g = MemoryContextAllocZero(cxt, sizeof(GeneratorSource));
	g->base.ops = &sx_source_generator;
	g->cxt = cxt;
	g->columns_cxt = AllocSetContextCreate(cxt, "streamx generator columns",
										   ALLOCSET_SMALL_SIZES);
	g->stream = stream;
	g->rate = rate == NULL ? DEFAULT_RATE : Max(strtod(rate, NULL), 0);
	g->seed = seed == NULL ? 0 : (uint64) strtoll(seed, NULL, 10);
	g->total = total == NULL ? -1 : strtoll(total, NULL, 10);
	if (g->rate <= 0 && g->total < 0)
	{
		MemoryContextDelete(cxt);
		sx_generator_check(stream);
	}
	return &g->base;
}

static void
generator_seek(SxSource *base, const SxPosition *positions, int npositions,
			   const char *start)
{
	GeneratorSource *g = (GeneratorSource *) base;
	int			i;

	/* what was noted may have been rolled back */
	g->has_started = false;
	g->start = NULL;
	g->next_offset = 0;
	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition == 0 && positions[i].next_offset >= 0)
		{
			g->next_offset = positions[i].next_offset;
			return;
		}
	}
	if (start == NULL)
		start = sx_option_get(g->stream->table_options, "start");
	if (start != NULL && strcmp(start, "earliest") != 0)
		g->start = MemoryContextStrdup(g->cxt, start);
}

/* The number of the row that "start" means. */
static int64
find_start(const GeneratorSource *g)
{
	TimestampTz at;
	int64		n;

	if (strcmp(g->start, "latest") == 0)
		return end_of_rows(g);
	at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
												 CStringGetDatum(g->start),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1)));
	n = at <= g->started ? 0 : rows_due(g, at - 1);
	return g->total >= 0 ? Min(n, g->total) : n;
}

pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not keep the rows of a batch.")));
}

/* A value that outlives the row: in the batch's arena. */
static Datum
keep(SxBatch *batch, const MakeColumn *c, Datum value)
{
	struct varlena *v;
	Size		size;
	char	   *copy;

	if (c->byval)
		return value;
	if (c->typlen == -1)
	{
		v = PG_DETOAST_DATUM(value);
		value = PointerGetDatum(v);
	}
	size = datumGetSize(value, c->byval, c->typlen);
	copy = sx_arena_alloc(&batch->arena, size);
	if (copy == NULL)
		out_of_memory();
	memcpy(copy, DatumGetPointer(value), size);
	return PointerGetDatum(copy);
}

static Datum
make_value(GeneratorSource *g, SxBatch *batch, int i, int64 n, TimestampTz ts,
		   ExprContext *econtext, bool *isnull)
{
	MakeColumn *c = &g->columns[i];
	const SxColumn *col = &g->stream->schema->cols[i];
	uint64		h = mix(c->seed + (uint64) n);
	Datum		value;
	char	   *text;

	*isnull = false;
	switch (c->kind)
	{
		case MAKE_NULL:
			break;
		case MAKE_METADATA:
			switch (col->metadata)
			{
				case SX_META_PARTITION:
					return Int32GetDatum(0);
				case SX_META_OFFSET:
					return Int64GetDatum(n);
				case SX_META_TIMESTAMP:
				case SX_META_ARRIVAL_TIME:
					return TimestampTzGetDatum(ts);
				default:
					break;
			}
			break;
		case MAKE_EXPRESSION:
			value = ExecEvalExprSwitchContext(c->state, econtext, isnull);
			return *isnull ? (Datum) 0 : keep(batch, c, value);
		case MAKE_BOOL:
			return BoolGetDatum(h & 1);
		case MAKE_INT2:
			return Int16GetDatum((int16) (h % 1000));
		case MAKE_INT4:
			return Int32GetDatum((int32) (h % 1000));
		case MAKE_INT8:
			return Int64GetDatum((int64) (h % 1000000));
		case MAKE_FLOAT4:
			return Float4GetDatum((float4) (h % 10000) / 100);
		case MAKE_FLOAT8:
			return Float8GetDatum((float8) (h % 1000000) / 10000);
		case MAKE_TEXT:
			{
				const char *word = words[h % lengthof(words)];
				Size		len = strlen(word);
				char	   *copy = sx_arena_alloc(&batch->arena, VARHDRSZ + len + 1);

				if (copy == NULL)
					out_of_memory();
				SET_VARSIZE(copy, VARHDRSZ + len + 1);
				memcpy(VARDATA(copy), word, len);
				VARDATA(copy)[len] = '0' + (char) (mix(h) % 10);
				return PointerGetDatum(copy);
			}
		case MAKE_TIMESTAMP:
			return TimestampTzGetDatum(ts);
		case MAKE_DATE:
			/* day of UTC, rounded down */
			return DateADTGetDatum((DateADT) (ts >= 0 ? ts / USECS_PER_DAY :
											  -((-ts + USECS_PER_DAY - 1) / USECS_PER_DAY)));
		case MAKE_INPUT:
			text = OidIsValid(c->elemtype) ?
				make_array_text(c, col->typmod, h, ts) :
				make_text(c, c->basetype, col->typmod, h, ts);
			value = InputFunctionCall(&c->input, text, c->ioparam, col->typmod);
			return keep(batch, c, value);
	}
	*isnull = true;
	return (Datum) 0;
}

static int
generator_fill(SxSource *base, SxBatch *batch)
{
	GeneratorSource *g = (GeneratorSource *) base;
	MemoryContext old = CurrentMemoryContext;
	Oid			save_user;
	int			save_sec;
	int			save_nestlevel;
	int64		end;
	int			filled;
	EState	   *estate;
	ExprContext *econtext;
	ParamListInfo params;
	ExpressionContext context = {g->stream->name, NULL, 0, NULL};
	ErrorContextCallback callback;
	int			i;

	if (!g->has_started)
	{
		g->started = note_started(g->stream->relid);
		g->has_started = true;
	}
	if (g->start != NULL)
	{
		g->next_offset = find_start(g);
		g->start = NULL;
	}
	end = end_of_rows(g);
	if (g->next_offset >= end || batch->nrows >= batch->maxrows)
		return 0;

	/* an error puts user and settings back with the transaction */
	GetUserIdAndSecContext(&save_user, &save_sec);
	SetUserIdAndSecContext(g->stream->owner,
						   save_sec | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	save_nestlevel = NewGUCNestLevel();

	if (g->columns == NULL)
	{
		/* an earlier attempt may have failed */
		MemoryContextReset(g->columns_cxt);
		MemoryContextSwitchTo(g->columns_cxt);
		g->columns = prepare_columns(g->stream, g->seed);
		MemoryContextSwitchTo(old);
	}
	estate = CreateExecutorState();
	MemoryContextSwitchTo(estate->es_query_cxt);
	econtext = GetPerTupleExprContext(estate);
	params = makeParamList(2);
	params->params[0].ptype = INT8OID;
	params->params[0].pflags = 0;
	params->params[0].isnull = false;
	params->params[1].ptype = TIMESTAMPTZOID;
	params->params[1].pflags = 0;
	params->params[1].isnull = false;
	econtext->ecxt_param_list_info = params;
	PushActiveSnapshot(GetTransactionSnapshot());
	for (i = 0; i < g->stream->schema->ncols; i++)
	{
		if (g->columns[i].kind == MAKE_EXPRESSION)
			g->columns[i].state = ExecPrepareExpr(g->columns[i].expr, estate);
	}

	callback.callback = expression_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	for (filled = 0; g->next_offset < end && batch->nrows < batch->maxrows; filled++)
	{
		int64		n = g->next_offset;
		int			row = batch->nrows;
		TimestampTz ts = due_time(g, n);

		params->params[0].value = Int64GetDatum(n);
		params->params[1].value = TimestampTzGetDatum(ts);
		for (i = 0; i < g->stream->schema->ncols; i++)
		{
			if (batch->values[i] == NULL)
				continue;
			context.column = g->stream->schema->cols[i].name;
			context.row = n;
			batch->values[i][row] = make_value(g, batch, i, n, ts, econtext,
											   &batch->nulls[i][row]);
		}
		batch->partition[row] = 0;
		batch->position[row] = n;
		batch->timestamp_us[row] = ts;
		batch->arrival_us[row] = ts;
		batch->payload[row] = NULL;
		batch->payload_len[row] = 0;
		batch->key[row] = NULL;
		batch->key_len[row] = 0;
		batch->nrows++;
		g->next_offset++;
		ResetExprContext(econtext);
		if ((filled & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
	}
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	FreeExecutorState(estate);
	AtEOXact_GUC(false, save_nestlevel);
	SetUserIdAndSecContext(save_user, save_sec);
	if (!sx_batch_set_position(batch, 0, g->next_offset))
		out_of_memory();
	return filled;
}

static void
generator_status(SxSource *base, SxSourceStatus *status)
{
	GeneratorSource *g = (GeneratorSource *) base;

	memset(status, 0, sizeof(*status));
	status->conn = SX_CONN_UP;
	status->partitions = calloc(1, sizeof(SxPartitionStatus));
	if (status->partitions == NULL)
		return;
	status->npartitions = 1;
	status->partitions[0].partition = 0;
	status->partitions[0].next_offset = g->next_offset;
	status->partitions[0].end_offset = g->has_started ? end_of_rows(g) : -1;
	status->partitions[0].at_end = g->has_started &&
		g->next_offset >= status->partitions[0].end_offset;
}

static int
generator_wait_fd(SxSource *base)
{
	return -1;
}

/* Until the next row is due. */
static int
generator_poll_interval_ms(SxSource *base)
{
	GeneratorSource *g = (GeneratorSource *) base;
	int64		us;

	if (!g->has_started)
		return 0;
	if (g->total >= 0 && g->next_offset >= g->total)
		return 1000;
	us = due_time(g, g->next_offset) - GetCurrentTimestamp();
	return (int) Min(Max(us / 1000 + 1, 10), 1000);
}

static void
generator_close(SxSource *base)
{
	MemoryContextDelete(((GeneratorSource *) base)->cxt);
}

const SxSourceOps sx_source_generator = {
	.kind = "generator",
	.threaded = false,
	.replayable = true,
	.open = generator_open,
	.seek = generator_seek,
	.fill = generator_fill,
	.status = generator_status,
	.wait_fd = generator_wait_fd,
	.poll_interval_ms = generator_poll_interval_ms,
	.close = generator_close,
};
