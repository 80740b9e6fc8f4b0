/*-------------------------------------------------------------------------
 * index.h
 *		Which of a table's indexes to read by.
 *
 * While an index is rebuilt with REINDEX CONCURRENTLY there are two of them,
 * and the old one, not valid any more, soon gets no more entries.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_INDEX_H
#define SX_BASE_INDEX_H

#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

/* The first one that is valid, InvalidOid: there is none. */
static inline Oid
sx_index_first_valid(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		bool		valid;

		if (!HeapTupleIsValid(tuple))
			continue;
		valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
		ReleaseSysCache(tuple);
		if (valid)
		{
			result = lfirst_oid(lc);
			break;
		}
	}
	list_free(indexes);
	return result;
}

#endif							/* SX_BASE_INDEX_H */
