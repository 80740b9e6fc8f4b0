/*-------------------------------------------------------------------------
 * closing.c
 *		Which column of a view over other views is a window, and how it closes.
 *
 * A column closes if it is a partition column (see partition.c) that is at
 * each use of a source the source's own window column, or fixed windows over
 * it (tumble, date_bin, date_trunc): these never decrease, so what is made of
 * windows before w is what there will ever be before f(w).
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/view.h"
#include "plan/closing.h"
#include "plan/derive.h"
#include "plan/refuse.h"
#include "plan/window_key.h"
#include "window/event_time.h"
#include "window/tumble.h"

/* ---- windows as functions of a time ---- */

/* NULL: not all its arguments but the time are constants. */
static SxWindowCall *
make_call(const FuncExpr *func)
{
	SxWindowCall *call = palloc0(sizeof(SxWindowCall));
	const char *name = get_func_name(func->funcid);
	Const	   *origin = NULL;
	int			i;

	call->window = sx_plan_window(func);
	call->nargs = list_length(func->args);
	call->time = sx_plan_window_argument(func->funcid);
	if (call->window == NULL || call->time < 0 || call->nargs > lengthof(call->args))
		return NULL;
	for (i = 0; i < call->nargs; i++)
	{
		Const	   *c = i == call->time ? NULL : sx_plan_window_constant(func, i);

		if (c)
			call->args[i] = c->constvalue;
		else if (i != call->time)
			return NULL;
	}
	switch (call->window->kind)
	{
		case SX_WINDOW_FIXED:
			call->tumble = strcmp(name, "tumble") == 0;
			if (call->tumble)
			{
				call->step = *DatumGetIntervalP(call->args[1]);
				origin = sx_plan_window_constant(func, 2);
			}
			break;
		case SX_WINDOW_HOP:
			origin = sx_plan_window_constant(func, 3);
			/* FALLTHROUGH */
		case SX_WINDOW_CUMULATE:
			call->step = *DatumGetIntervalP(call->args[1]);
			call->size = *DatumGetIntervalP(call->args[2]);
			break;
		case SX_WINDOW_SESSION:
			return NULL;
	}
	call->has_origin = origin != NULL;
	if (origin)
		call->origin = sx_window_time_us(origin->consttype, origin->constvalue);
	fmgr_info(func->funcid, &call->function);
	return call;
}

/* The window of a fixed one that holds the time. */
static int64
fixed_window(const SxWindowCall *call, int64 us)
{
	LOCAL_FCINFO(fcinfo, 4);
	int			i;

	if (call->tumble)
		return sx_window_tumble(call->window->tz, us, &call->step, call->has_origin,
								call->origin);
	InitFunctionCallInfoData(*fcinfo, unconstify(FmgrInfo *, &call->function), call->nargs,
							 InvalidOid, NULL, NULL);
	for (i = 0; i < call->nargs; i++)
	{
		fcinfo->args[i].value = i == call->time ? Int64GetDatum(us) : call->args[i];
		fcinfo->args[i].isnull = false;
	}
	return DatumGetInt64(FunctionCallInvoke(fcinfo));
}

int64
sx_plan_open_window(const SxWindowCall *call, int64 closed_us)
{
	bool		tz = call->window->tz;
	int64		first;

	switch (call->window->kind)
	{
		case SX_WINDOW_HOP:
			return sx_window_first_hop(tz, closed_us, &call->step, &call->size,
									   call->has_origin, call->origin);
		case SX_WINDOW_CUMULATE:
			return sx_window_first_cumulate(tz, closed_us, &call->step, &call->size);
		default:
			break;
	}

	/* where clocks change the one before may end later than this begins */
	first = fixed_window(call, closed_us);
	for (;;)
	{
		int64		before = fixed_window(call, first - 1);

		if (before >= first || sx_window_end(call->window, before) <= closed_us)
			return first;
		first = before;
	}
}

int64
sx_plan_windows_of(const List *calls, int64 us)
{
	const ListCell *lc;

	foreach(lc, calls)
		us = fixed_window(lfirst(lc), us);
	return us;
}

/* ---- which column ---- */

static SxClosing *closing_of(const SxShape *shape, const char **why);

/* That of a view that is there; NULL: none, *why. */
static SxClosing *
closing_of_view(Oid relid, const char **why)
{
	SxView	   *view = sx_view_get(relid);
	SxClosing  *closing;
	const char *reason = NULL;

	check_stack_depth();
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view with OID %u was dropped", relid),
				 errhint("streamx.views lists the continuous views.")));
	closing = closing_of(sx_plan_analyze(sx_plan_stored_query(view->query), view->name), &reason);
	if (closing)
		closing->view = relid;
	else
		*why = psprintf("continuous view %s %s", view->name, reason);
	return closing;
}

/* Is the expression a source's window column, or fixed windows over it? */
static SxClosingUse *
closing_use(Expr *expr, SxClosing *source)
{
	SxClosingUse *use = palloc0(sizeof(SxClosingUse));

	use->source = source;
	use->expr = expr;
	while (IsA(expr, FuncExpr))
	{
		FuncExpr   *func = (FuncExpr *) expr;
		int			arg = sx_plan_window_argument(func->funcid);
		SxWindowCall *call = arg < 0 || func->funcretset ? NULL : make_call(func);

		if (call == NULL)
			return NULL;
		use->calls = lcons(call, use->calls);
		expr = list_nth(func->args, arg);
	}
	if (!IsA(expr, Var) || ((Var *) expr)->varattno != source->column)
		return NULL;
	use->var = (Var *) expr;
	return use;
}

/* Of columns that close, the one with the smaller windows does so first. */
static double
size_of(const SxWindow *window)
{
	return (window->size.month * 30.0 + window->size.day) * USECS_PER_DAY + window->size.time;
}

static SxClosing *
closing_of_cascade(const SxDerivation *d, const char **why)
{
	SxClosing **sources = palloc0(sizeof(SxClosing *) * d->ncores);
	SxClosing  *best = NULL;
	ListCell   *lc;
	int			i;

	for (i = 0; i < d->ncores; i++)
	{
		sources[i] = closing_of_view(d->cores[i].source, why);
		if (sources[i] == NULL)
		{
			*why = psprintf("reads another one without windows that close: %s", *why);
			return NULL;
		}
	}
	foreach(lc, d->traced)
	{
		const SxPartition *part = lfirst(lc);
		SxClosing  *closing = palloc0(sizeof(SxClosing));

		closing->column = part->resno;
		closing->typid = exprType((Node *) part->expr);
		if (closing->typid != TIMESTAMPTZOID && closing->typid != TIMESTAMPOID)
			continue;
		for (i = 0; i < d->nuses; i++)
		{
			SxClosingUse *use = closing_use(part->uses[i], sources[d->uses[i].core]);

			if (use == NULL)
				break;
			closing->uses = lappend(closing->uses, use);
			if (closing->window == NULL)
				closing->window = use->calls ?
					((SxWindowCall *) llast(use->calls))->window : use->source->window;
		}
		if (i == d->nuses && (best == NULL || size_of(closing->window) < size_of(best->window)))
			best = closing;
	}
	if (best == NULL)
		*why = "has no column that is the window of what it reads";
	return best;
}

static SxClosing *
closing_of(const SxShape *shape, const char **why)
{
	const SxDerivation *d = shape->derivation;
	SxClosing  *closing;
	const SxKey *key;

	if (d && d->nkept == 0)
		return closing_of_cascade(d, why);
	*why = NULL;
	if (shape->session)
		*why = "has sessions";
	else if (sx_plan_joined(shape) != NIL)
		*why = "joins streams";
	else if (shape->sliding)
		*why = "has rows that leave as time passes";
	else if (shape->strategy == SX_STRATEGY_APPEND)
		*why = "has no groups, so that rows of any time may still come";
	else if ((d ? d->window : shape->window) == NULL)
		*why = "has no window that closes";
	if (*why)
		return NULL;

	closing = palloc0(sizeof(SxClosing));
	key = d ? &d->parts[d->window_part] : &shape->keys[shape->window_key];
	closing->column = key->resno;
	closing->typid = key->typid;
	closing->window = d ? d->window : shape->window;
	closing->call = closing->window->call ? make_call(closing->window->call) : NULL;
	if (closing->call == NULL || (key->typid != TIMESTAMPTZOID && key->typid != TIMESTAMPOID))
	{
		*why = closing->window->kind == SX_WINDOW_SESSION ? "has sessions" :
			"has windows that are not made by constants";
		return NULL;
	}
	return closing;
}

void
sx_plan_find_closing(const SxShape *shape, const char *viewname)
{
	const char *why = NULL;

	if (shape->derivation->closing)
		return;
	shape->derivation->closing = closing_of_cascade(shape->derivation, &why);
	if (shape->derivation->closing == NULL)
		SX_REFUSE(viewname,
				  ("With emit = 'final' a row appears when its window closes, but the view %s.", why),
				  ("Have the window column of the view that is read, or tumble(), date_bin() or date_trunc() over it, in the select list and in each GROUP BY and PARTITION BY, and no LIMIT; or use emit = 'update'."));
}
