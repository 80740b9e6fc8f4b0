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

#endif							/* SX_COMPAT_H */
