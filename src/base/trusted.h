/*-------------------------------------------------------------------------
 * trusted.h
 *		Statements of ours that run with more rights than the user has.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_TRUSTED_H
#define SX_BASE_TRUSTED_H

#include "postgres.h"

typedef struct SxTrustedScope
{
	Oid			userid;
	int			sec;
	int			guc_level;
} SxTrustedScope;

/*
 * sx_trusted_enter -- go on as this role, with no name to be found but ours
 *
 * The search path is pg_catalog alone: what the session's path holds, users
 * may have made.  Inside a transaction, until sx_trusted_leave(); the end of a
 * subtransaction or transaction by an error puts all back, too.
 */
extern void sx_trusted_enter(Oid role, SxTrustedScope *scope);
extern void sx_trusted_leave(const SxTrustedScope *scope);

#endif							/* SX_BASE_TRUSTED_H */
