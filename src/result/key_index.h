/*-------------------------------------------------------------------------
 * key_index.h
 *		Finding a group's row in the result table by its unique index.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_KEY_INDEX_H
#define SX_RESULT_KEY_INDEX_H

#include "postgres.h"

#include "result/group.h"
#include "result/writer.h"

typedef struct SxKeyIndex SxKeyIndex;

/*
 * sx_key_index_widen -- make the index hold keys of any length
 *
 * To be called before writing a row whose key may not fit an index tuple
 * (SX_KEY_MAX bytes): columns of variable length are indexed by a digest from
 * then on.  No writer may have the table open.  Takes an access exclusive
 * lock on the result table until the end of the transaction.
 */
extern void sx_key_index_widen(Oid result, const SxShape *shape);

#define SX_KEY_MAX 2000

/*
 * It depends on the result table as ddl/ has made it, which a dump does not
 * say.  In a transaction that may write.
 */
extern void sx_key_index_attach(Oid result, const SxShape *shape);

/* True while the above rebuilds the index: ddl/ lets it pass. */
extern bool sx_key_index_changing;

/* Bytes that a key takes in an index tuple. */
extern Size sx_key_size(const SxKeyOps *ops, int nkeys, const Datum *keys,
						const bool *nulls);

/* For the life of a writer, in the current context. */
extern SxKeyIndex *sx_key_index_begin(SxWriter *writer, const SxShape *shape,
									  const SxKeyOps *ops);
extern void sx_key_index_end(SxKeyIndex *index);

/* true: found, *tid says where */
extern bool sx_key_index_find(SxKeyIndex *index, const Datum *keys,
							  const bool *nulls, ItemPointer tid);

/*
 * Drop the ordinary indexes on just these columns (ints), which only save
 * time: a value is too long for them.
 */
extern void sx_key_index_drop(Oid relid, const List *columns);

#endif							/* SX_RESULT_KEY_INDEX_H */
