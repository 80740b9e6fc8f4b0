/*-------------------------------------------------------------------------
 * resolve.h
 *		Deferred cells of a batch, through their types' input functions.
 *-------------------------------------------------------------------------
 */
#ifndef SX_FDW_RESOLVE_H
#define SX_FDW_RESOLVE_H

#include "postgres.h"

#include "base/batch.h"

typedef struct SxDeferredResolver SxDeferredResolver;

/*
 * Looks up the input functions of the schema's columns.  Lives in the current
 * context; schema has to live as long.
 */
extern SxDeferredResolver *sx_fdw_resolver_create(const SxSchema *schema);

/*
 * sx_fdw_resolve_deferred -- turn the batch's deferred cells into Datums
 *
 * Main thread, in a transaction.  Results are copied into the batch's arena.
 * A row with a cell that its type does not take is taken out of the batch and
 * added to its rejects.  ERROR for what no row is to blame for: out of memory,
 * cancel, shutdown.  No deferred cells are left.
 */
extern void sx_fdw_resolve_deferred(SxBatch *batch,
									SxDeferredResolver *resolver);

#endif							/* SX_FDW_RESOLVE_H */
