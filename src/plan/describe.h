/*-------------------------------------------------------------------------
 * describe.h
 *		How a view is maintained, in words: for streamx.explain().
 *
 * Each room says its part.  A line is a label and what there is to say; the
 * same label again goes on below.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_DESCRIBE_H
#define SX_PLAN_DESCRIBE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "catalog/view.h"
#include "plan/plan.h"

extern void sx_describe(StringInfo text, const char *label, const char *fmt,...) pg_attribute_printf(3, 4);

/* Microseconds as an interval, palloc'd. */
extern char *sx_describe_interval(int64 us);

/* Strategy, keys, windows: from the shape. */
extern void sx_plan_describe(StringInfo text, const SxView *view,
							 const SxShape *shape);

/*
 * Why an aggregate, as it is called, has no state that can be merged in such a
 * view (keys and session are known); NULL: it has.
 */
extern const char *sx_plan_not_mergeable(const SxShape *shape, const Aggref *aggref);

#endif							/* SX_PLAN_DESCRIBE_H */
