/*-------------------------------------------------------------------------
 * refuse.h
 *		All refusals of a query look alike: what, why, the way out.
 *
 * An ERROR, feature_not_supported.  detail and hint are in parentheses, as for
 * errdetail() and errhint(): they may have a format's arguments.
 *-------------------------------------------------------------------------
 */
#ifndef SX_PLAN_REFUSE_H
#define SX_PLAN_REFUSE_H

#include "postgres.h"

#define SX_REFUSE(viewname, detail_, hint_) \
	ereport(ERROR, \
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), \
			 errmsg("cannot maintain continuous view \"%s\"", viewname), \
			 errdetail detail_, \
			 errhint hint_))

#endif							/* SX_PLAN_REFUSE_H */
