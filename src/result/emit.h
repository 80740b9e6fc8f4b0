/*-------------------------------------------------------------------------
 * emit.h
 *		Inside of the room, and for ddl/: rows of a result on their way to the
 *		view's sink.
 *
 * Whoever writes to the result table need not know: the writer tells, while a
 * batch of a view with a sink is at hand (see sx_result_emit_begin in result.h
 * and sx_result_writer in merge.h).
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_EMIT_H
#define SX_RESULT_EMIT_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "catalog/stream.h"
#include "catalog/view.h"
#include "plan/plan.h"

/* What becomes of the result's columns. */
typedef struct SxSinkMap
{
	int			natts;			/* of the sink */
	Expr	  **exprs;			/* per column of the sink, over the result's
								 * row as varno 1; NULL: NULL */
	bool	   *given;			/* it comes from the result */
	AttrNumber	key;			/* column of the result; 0: none */
	AttrNumber	partition_by;	/* likewise */
} SxSinkMap;

/*
 * sx_sink_map -- columns of a result to those of its sink, by name
 *
 * In the current context.  ERROR naming the column if they do not fit; rights
 * are checked as well: view->owner has to be allowed to insert.
 */
extern SxSinkMap *sx_sink_map(const SxView *view, Relation result, Relation sink,
							  const SxStream *stream);

/*
 * Is a removed row told, by a message without payload?  Where the key says
 * which row it was: the grouping column.
 */
extern bool sx_sink_has_tombstones(const SxSinkMap *map, const SxShape *shape);

typedef struct SxEmit SxEmit;

/* A row was written; before: the place of the one it replaces, or NULL. */
extern void sx_emit_row(SxEmit *emit, TupleTableSlot *row, ItemPointer before,
						ItemPointer place);

/* Does it need to see rows that are deleted? */
extern bool sx_emit_wants_old(const SxEmit *emit);

/* A row is deleted; row: what it was, NULL unless wanted. */
extern void sx_emit_gone(SxEmit *emit, TupleTableSlot *row, ItemPointer place);

#endif							/* SX_RESULT_EMIT_H */
