/*-------------------------------------------------------------------------
 * owner.h
 *		Acting for a view's owner: rights and settings of CREATE.
 *-------------------------------------------------------------------------
 */
#ifndef SX_EXEC_OWNER_H
#define SX_EXEC_OWNER_H

#include "postgres.h"

#include "catalog/view.h"

typedef struct SxOwnerScope
{
	Oid			userid;
	int			sec;
	int			guc_level;
} SxOwnerScope;

/*
 * sx_owner_enter -- go on with the rights and settings of a view's owner
 *
 * Inside a transaction, until sx_owner_leave(); the end of a subtransaction
 * or transaction by an error puts both back, too.
 */
extern void sx_owner_enter(const SxView *view, SxOwnerScope *scope);

/* The same with the session's settings. */
extern void sx_owner_enter_role(Oid owner, SxOwnerScope *scope);
extern void sx_owner_leave(const SxOwnerScope *scope);

#endif							/* SX_EXEC_OWNER_H */
