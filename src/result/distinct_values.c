/*-------------------------------------------------------------------------
 * distinct_values.c
 *		The aggregate streamx.distinct_values: the different values of a batch.
 *
 * Values are rows of one or more columns, kept as minimal tuples one behind
 * the other.  Those of equal bytes come once; which others are equal, by the
 * operators of their types, is found out where they meet those seen before.
 * Serialized, they are a bytea: padding up to the alignment, the tuples.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "result/distinct.h"

PG_FUNCTION_INFO_V1(streamx_distinct_values_add);
PG_FUNCTION_INFO_V1(streamx_distinct_values_combine);
PG_FUNCTION_INFO_V1(streamx_distinct_values_serialize);
PG_FUNCTION_INFO_V1(streamx_distinct_values_deserialize);

#define FIRST_SLOTS	4
#define FIRST_SIZE	64
#define HEADER		MAXALIGN(VARHDRSZ)	/* of the bytea */

typedef struct Slot
{
	uint32		hash;
	bool		used;
	Size		at;				/* of the tuple in data */
} Slot;

/* All of it lives in one context. */
typedef struct Values
{
	char	   *data;			/* the tuples, each aligned */
	Size		used;
	Size		size;
	uint64		n;
	uint64		nslots;			/* a power of two */
	Slot	   *slots;
} Values;

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;

	if (!AggCheckCallContext(fcinfo, &cxt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a function of the aggregate streamx.distinct_values was called by itself"),
				 errhint("Call the aggregate.")));
	return cxt;
}

static Values *
make(MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Values	   *v = palloc0(sizeof(Values));

	v->size = FIRST_SIZE;
	v->data = palloc(v->size);
	v->nslots = FIRST_SLOTS;
	v->slots = palloc0(sizeof(Slot) * v->nslots);
	MemoryContextSwitchTo(old);
	return v;
}

static void
grow(Values *v)
{
	uint64		n = v->nslots * 2;
	Slot	   *slots = MemoryContextAllocExtended(GetMemoryChunkContext(v), sizeof(Slot) * n,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint64		i;

	for (i = 0; i < v->nslots; i++)
	{
		uint64		at = v->slots[i].hash & (n - 1);

		if (!v->slots[i].used)
			continue;
		while (slots[at].used)
			at = (at + 1) & (n - 1);
		slots[at] = v->slots[i];
	}
	pfree(v->slots);
	v->slots = slots;
	v->nslots = n;
}

static void
add(Values *v, const char *tuple, uint32 len)
{
	uint32		hash = hash_bytes((const unsigned char *) tuple, len);
	uint64		at = hash & (v->nslots - 1);

	for (; v->slots[at].used; at = (at + 1) & (v->nslots - 1))
	{
		MinimalTuple other = (MinimalTuple) (v->data + v->slots[at].at);

		if (v->slots[at].hash == hash && other->t_len == len &&
			memcmp(other, tuple, len) == 0)
			return;
	}
	if (v->used + MAXALIGN(len) > v->size)
	{
		while (v->used + MAXALIGN(len) > v->size)
			v->size *= 2;
		v->data = repalloc_huge(v->data, v->size);
	}
	memcpy(v->data + v->used, tuple, len);
	memset(v->data + v->used + len, 0, MAXALIGN(len) - len);
	v->slots[at].used = true;
	v->slots[at].hash = hash;
	v->slots[at].at = v->used;
	v->used += MAXALIGN(len);
	if (++v->n > v->nslots / 4 * 3)
		grow(v);
}

static TupleDesc
value_desc(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	TupleDesc	desc = flinfo->fn_extra;
	int			n = PG_NARGS() - 1;
	int			i;

	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(flinfo->fn_mcxt);

		desc = CreateTemplateTupleDesc(n);
		for (i = 0; i < n; i++)
			TupleDescInitEntry(desc, i + 1, NULL, get_fn_expr_argtype(flinfo, i + 1), -1, 0);
		flinfo->fn_extra = desc;
		MemoryContextSwitchTo(old);
	}
	return desc;
}

Datum
streamx_distinct_values_add(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo);
	Values	   *v = PG_ARGISNULL(0) ? make(cxt) : (Values *) PG_GETARG_POINTER(0);
	TupleDesc	desc = value_desc(fcinfo);
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];
	MinimalTuple tuple;
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		nulls[i] = PG_ARGISNULL(i + 1);
		values[i] = PG_GETARG_DATUM(i + 1);

		/* the same bytes however it is stored */
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[i]));
	}
	tuple = sx_form_minimal_tuple(desc, values, nulls);
	add(v, (const char *) tuple, tuple->t_len);
	PG_RETURN_POINTER(v);
}

Datum
streamx_distinct_values_combine(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = aggregate_context(fcinfo);
	Values	   *v = PG_ARGISNULL(0) ? NULL : (Values *) PG_GETARG_POINTER(0);
	Values	   *other = PG_ARGISNULL(1) ? NULL : (Values *) PG_GETARG_POINTER(1);
	Size		at;

	if (v == NULL && other == NULL)
		PG_RETURN_NULL();
	if (v == NULL)
		v = make(cxt);
	for (at = 0; other && at < other->used;)
	{
		MinimalTuple tuple = (MinimalTuple) (other->data + at);

		add(v, (const char *) tuple, tuple->t_len);
		at += MAXALIGN(tuple->t_len);
	}
	PG_RETURN_POINTER(v);
}

Datum
streamx_distinct_values_serialize(PG_FUNCTION_ARGS)
{
	Values	   *v = (Values *) PG_GETARG_POINTER(0);
	bytea	   *result;

	(void) aggregate_context(fcinfo);
	result = palloc(HEADER + v->used);
	memset(result, 0, HEADER);
	SET_VARSIZE(result, HEADER + v->used);
	memcpy((char *) result + HEADER, v->data, v->used);
	PG_RETURN_BYTEA_P(result);
}

Datum
streamx_distinct_values_deserialize(PG_FUNCTION_ARGS)
{
	Values	   *v;
	SxValueScan scan;
	MinimalTuple tuple;

	(void) aggregate_context(fcinfo);
	v = make(CurrentMemoryContext);
	sx_value_scan_begin(&scan, PG_GETARG_DATUM(0));
	while ((tuple = sx_value_scan_next(&scan)) != NULL)
		add(v, (const char *) tuple, tuple->t_len);
	PG_RETURN_POINTER(v);
}

void
sx_value_scan_begin(SxValueScan *scan, Datum set)
{
	bytea	   *bytes = (bytea *) PG_DETOAST_DATUM(set);

	/* as palloc'd it is aligned */
	if ((uintptr_t) bytes != MAXALIGN((uintptr_t) bytes))
		bytes = (bytea *) PG_DETOAST_DATUM_COPY(set);
	scan->next = (char *) bytes + HEADER;
	scan->end = (char *) bytes + VARSIZE(bytes);
}

MinimalTuple
sx_value_scan_next(SxValueScan *scan)
{
	MinimalTuple tuple = (MinimalTuple) scan->next;

	if (scan->next >= scan->end)
		return NULL;
	scan->next += MAXALIGN(tuple->t_len);
	return tuple;
}
