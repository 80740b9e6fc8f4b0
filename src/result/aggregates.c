/*-------------------------------------------------------------------------
 * aggregates.c
 *		Combines and finishes transition values by the aggregates' own
 *		functions.
 *
 * They are called with a made-up AggState, as they ask for the context in
 * which a state lives.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "parser/parse_agg.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "result/merge.h"

void
sx_aggregates_init(SxAggregates *aggs, const SxShape *shape)
{
	int			i;

	memset(aggs, 0, sizeof(*aggs));
	aggs->shape = shape;
	aggs->econtext = CreateStandaloneExprContext();
	aggs->fake = makeNode(AggState);
	aggs->fake->curaggcontext = aggs->econtext;
	aggs->fake->tmpcontext = aggs->econtext;
	aggs->partials = palloc0(sizeof(SxPartialOps) * Max(shape->npartials, 1));
	aggs->finals = palloc0(sizeof(SxFinalOps) * Max(shape->naggregates, 1));
	aggs->live = palloc0(sizeof(Datum) * Max(shape->npartials, 1));
	aggs->live_nulls = palloc0(sizeof(bool) * Max(shape->npartials, 1));

	for (i = 0; i < shape->npartials; i++)
	{
		const SxPartial *p = &shape->partials[i];
		SxPartialOps *ops = &aggs->partials[i];
		Oid			transtype = p->transtype;
		Expr	   *expr;

		ops->internal = p->transtype == INTERNALOID;
		ops->collation = p->aggref->inputcollid;
		get_typlenbyval(p->stored_type, &ops->len, &ops->byval);
		/* a combine function is a transition function whose input is a state */
		build_aggregate_transfn_expr(&transtype, 1, 0, false, transtype,
									 p->aggref->inputcollid, p->combinefn,
									 InvalidOid, &expr, NULL);
		fmgr_info(p->combinefn, &ops->combine);
		fmgr_info_set_expr((Node *) expr, &ops->combine);
		if (ops->internal)
		{
			fmgr_info(p->serialfn, &ops->serialize);
			build_aggregate_serialfn_expr(p->serialfn, &expr);
			fmgr_info_set_expr((Node *) expr, &ops->serialize);
			fmgr_info(p->deserialfn, &ops->deserialize);
			build_aggregate_deserialfn_expr(p->deserialfn, &expr);
			fmgr_info_set_expr((Node *) expr, &ops->deserialize);
		}
	}
	for (i = 0; i < shape->naggregates; i++)
	{
		const SxAggregate *a = &shape->aggregates[i];
		SxFinalOps *ops = &aggs->finals[i];
		Oid			inputs[FUNC_MAX_ARGS];
		int			ninputs;
		Expr	   *expr;

		ops->partial = a->partial;
		ops->collation = a->aggref->inputcollid;
		if (!OidIsValid(a->finalfn))
			continue;
		ninputs = get_aggregate_argtypes(a->aggref, inputs);
		ops->nargs = a->finalextra ? ninputs + 1 : 1;
		build_aggregate_finalfn_expr(inputs, ops->nargs,
									 shape->partials[a->partial].transtype,
									 a->aggref->aggtype, a->aggref->inputcollid,
									 a->finalfn, &expr);
		fmgr_info(a->finalfn, &ops->final);
		fmgr_info_set_expr((Node *) expr, &ops->final);
	}
}

/* Call with the made-up AggState; strict functions are the caller's care. */
static Datum
call_agg(SxAggregates *aggs, FmgrInfo *fn, Oid collation, int nargs,
		 Datum a, bool anull, Datum b, bool bnull, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, fn, nargs, collation,
							 (Node *) aggs->fake, NULL);
	fcinfo->args[0].value = a;
	fcinfo->args[0].isnull = anull;
	fcinfo->args[1].value = b;
	fcinfo->args[1].isnull = bnull;
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* stored form to live form */
static Datum
to_live(SxAggregates *aggs, SxPartialOps *ops, Datum value, bool null,
		bool *isnull)
{
	if (!ops->internal)
	{
		*isnull = null;
		/* combine functions may change their first argument in place */
		return null ? (Datum) 0 : datumCopy(value, ops->byval, ops->len);
	}
	if (null && ops->deserialize.fn_strict)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return call_agg(aggs, &ops->deserialize, ops->collation, 2, value, null,
					(Datum) 0, false, isnull);
}

Datum
sx_aggregates_live(SxAggregates *aggs, int i, Datum stored, bool null,
				   bool *isnull)
{
	MemoryContext old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	Datum		result = to_live(aggs, &aggs->partials[i], stored, null, isnull);

	MemoryContextSwitchTo(old);
	return result;
}

/* Add live state "in" to live state *acc; "in" stays as it is. */
static void
combine(SxAggregates *aggs, SxPartialOps *ops, Datum *acc, bool *acc_null,
		Datum in, bool in_null)
{
	/*
	 * As the executor does, which spares combine functions two NULLs: before
	 * 15.19 they make a pointer to nothing of them.
	 */
	if (in_null && ops->internal && ops->deserialize.fn_strict)
		return;
	if (ops->combine.fn_strict)
	{
		if (in_null)
			return;
		if (*acc_null)
		{
			*acc = ops->internal ? in : datumCopy(in, ops->byval, ops->len);
			*acc_null = false;
			return;
		}
	}
	*acc = call_agg(aggs, &ops->combine, ops->collation, 2, *acc, *acc_null,
					in, in_null, acc_null);

	/* the greater of two may be the second itself */
	if (!*acc_null && !ops->internal && !ops->byval && !in_null &&
		DatumGetPointer(*acc) == DatumGetPointer(in))
		*acc = datumCopy(in, false, ops->len);
}

void
sx_aggregates_combine(SxAggregates *aggs, int i, Datum *acc, bool *acc_null,
					  Datum in, bool in_null)
{
	MemoryContext old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);

	combine(aggs, &aggs->partials[i], acc, acc_null, in, in_null);
	MemoryContextSwitchTo(old);
}

/*
 * sx_aggregates_merge -- combine a group's stored states with new ones
 *
 * Leaves the live states in aggs->live, in a context that the next call (and
 * sx_aggregates_reset) empties.  have_state false: the new ones are all.
 */
void
sx_aggregates_merge(SxAggregates *aggs, bool have_state, const Datum *states,
					const bool *state_nulls, const Datum *in,
					const bool *in_nulls)
{
	MemoryContext old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	int			i;

	for (i = 0; i < aggs->shape->npartials; i++)
	{
		SxPartialOps *ops = &aggs->partials[i];
		Datum		b;
		bool		bnull;

		b = to_live(aggs, ops, in[i], in_nulls[i], &bnull);
		if (!have_state)
		{
			aggs->live[i] = b;
			aggs->live_nulls[i] = bnull;
			continue;
		}
		aggs->live[i] = to_live(aggs, ops, states[i], state_nulls[i],
								&aggs->live_nulls[i]);
		combine(aggs, ops, &aggs->live[i], &aggs->live_nulls[i], b, bnull);
	}
	MemoryContextSwitchTo(old);
}

/* Make a group's stored states the live ones. */
void
sx_aggregates_load(SxAggregates *aggs, const Datum *states,
				   const bool *state_nulls)
{
	MemoryContext old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	int			i;

	for (i = 0; i < aggs->shape->npartials; i++)
		aggs->live[i] = to_live(aggs, &aggs->partials[i], states[i],
								state_nulls[i], &aggs->live_nulls[i]);
	MemoryContextSwitchTo(old);
}

/* Stored form of a live state, in the short-lived context. */
Datum
sx_aggregates_stored(SxAggregates *aggs, int i, Datum live, bool null,
					 bool *isnull)
{
	SxPartialOps *ops = &aggs->partials[i];
	MemoryContext old;
	Datum		result;

	*isnull = null;
	if (!ops->internal)
		return live;
	if (null && ops->serialize.fn_strict)
		return (Datum) 0;
	old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	result = call_agg(aggs, &ops->serialize, ops->collation, 1, live, null,
					  (Datum) 0, true, isnull);
	MemoryContextSwitchTo(old);
	return result;
}

/* The same of the group's live state i. */
Datum
sx_aggregates_store(SxAggregates *aggs, int i, bool *isnull)
{
	return sx_aggregates_stored(aggs, i, aggs->live[i], aggs->live_nulls[i], isnull);
}

/* The value of aggregate i from the live states. */
Datum
sx_aggregates_finish(SxAggregates *aggs, int i, bool *isnull)
{
	SxFinalOps *ops = &aggs->finals[i];
	MemoryContext old;
	Datum		result;
	int			k;

	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);

	*isnull = aggs->live_nulls[ops->partial];
	if (ops->nargs == 0)		/* no final function: the state is it */
		return aggs->live[ops->partial];
	if (ops->final.fn_strict && (*isnull || ops->nargs > 1))
	{
		*isnull = true;
		return (Datum) 0;
	}
	old = MemoryContextSwitchTo(aggs->econtext->ecxt_per_tuple_memory);
	InitFunctionCallInfoData(*fcinfo, &ops->final, ops->nargs, ops->collation,
							 (Node *) aggs->fake, NULL);
	fcinfo->args[0].value = aggs->live[ops->partial];
	fcinfo->args[0].isnull = *isnull;
	for (k = 1; k < ops->nargs; k++)
	{
		fcinfo->args[k].value = (Datum) 0;
		fcinfo->args[k].isnull = true;
	}
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	MemoryContextSwitchTo(old);
	return result;
}

void
sx_aggregates_reset(SxAggregates *aggs)
{
	MemoryContextReset(aggs->econtext->ecxt_per_tuple_memory);
}
