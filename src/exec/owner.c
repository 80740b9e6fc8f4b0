/*-------------------------------------------------------------------------
 * owner.c
 *		Acting for a view's owner: rights and settings of CREATE.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/guc.h"

#include "exec/owner.h"

void
sx_owner_enter_role(Oid owner, SxOwnerScope *scope)
{
	GetUserIdAndSecContext(&scope->userid, &scope->sec);
	SetUserIdAndSecContext(owner,
						   scope->sec | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = NewGUCNestLevel();
}

void
sx_owner_enter(const SxView *view, SxOwnerScope *scope)
{
	ListCell   *lc;

	sx_owner_enter_role(view->owner, scope);
	foreach(lc, view->settings)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const char *value = strVal(def->arg);
		const char *now = GetConfigOption(def->defname, true, false);

		if (now == NULL || strcmp(now, value) != 0)
			(void) set_config_option(def->defname, value, PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
									 false);
	}
}

void
sx_owner_leave(const SxOwnerScope *scope)
{
	/* what the owner's functions have set does not outlive them either */
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->userid, scope->sec);
}
