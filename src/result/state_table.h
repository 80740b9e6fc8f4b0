/*-------------------------------------------------------------------------
 * state_table.h
 *		Does a state table fit its view?
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_STATE_TABLE_H
#define SX_RESULT_STATE_TABLE_H

#include "postgres.h"

#include "catalog/view.h"
#include "plan/plan.h"

/* Set while the types of a state table's columns are changed: ddl/ lets it be. */
extern bool sx_state_table_changing;

/*
 * sx_state_table_fit -- see to it that partial states can be read
 *
 * In a transaction.  ERROR where states are of a kind that is not known.
 */
extern void sx_state_table_fit(const SxView *view, const SxShape *shape);

/*
 * sx_state_table_renew -- the same for all states of a view that nobody has open
 *
 * In a transaction that is to be committed before the view is opened, with the
 * owner's rights.  What is not known is left: sx_state_table_fit() refuses it.
 */
extern void sx_state_table_renew(const SxView *view);

/* May there be anything to do for it?  Cheap. */
extern bool sx_state_table_is_old(const SxView *view);

#endif							/* SX_RESULT_STATE_TABLE_H */
