/*-------------------------------------------------------------------------
 * compat.h
 *		What differs between PostgreSQL 15, 16, 17 and 18.
 *
 * Each moved function has one name with the newest signature; the comment
 * says which version moved it.  The only file that names PG_VERSION_NUM.
 *-------------------------------------------------------------------------
 */
#ifndef SX_COMPAT_H
#define SX_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "streamx builds with PostgreSQL 15 to 18"
#endif

#include "nodes/parsenodes.h"

/*
 * 18 puts the grouping expressions into a range table entry of their own;
 * below that they stand in the target list already.
 */
#if PG_VERSION_NUM >= 180000
#include "optimizer/optimizer.h"
static inline Query *
sx_flatten_group_rte(Query *query)
{
	if (query->hasGroupRTE)
	{
		query->targetList = (List *)
			flatten_group_exprs(NULL, query, (Node *) query->targetList);
		query->havingQual =
			flatten_group_exprs(NULL, query, query->havingQual);
		query->rtable = list_truncate(query->rtable,
									  list_length(query->rtable) - 1);
		query->hasGroupRTE = false;
	}
	return query;
}
#else
#define sx_flatten_group_rte(query) (query)
#endif

#endif							/* SX_COMPAT_H */
