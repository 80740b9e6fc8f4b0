/*-------------------------------------------------------------------------
 * trusted.c
 *		Statements of ours that run with more rights than the user has.
 *
 * They run in sessions of users too, with whatever operators, functions and
 * types these have put in front of pg_catalog's: an operator =(regclass, oid)
 * is a better match than the one of pg_catalog, wherever that stands in the
 * path, and would be called with the rights that we have just taken on.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/trusted.h"

void
sx_trusted_enter(Oid role, SxTrustedScope *scope)
{
	GetUserIdAndSecContext(&scope->userid, &scope->sec);
	SetUserIdAndSecContext(role, scope->sec | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
sx_trusted_leave(const SxTrustedScope *scope)
{
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->userid, scope->sec);
}
