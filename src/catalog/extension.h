/*-------------------------------------------------------------------------
 * extension.h
 *		Does the extension's SQL in this database go with the library?
 *-------------------------------------------------------------------------
 */
#ifndef SX_CATALOG_EXTENSION_H
#define SX_CATALOG_EXTENSION_H

#include "postgres.h"

/*
 * Where the extension is, in a transaction: true if library and SQL go
 * together.  Cached while they do, until sx_extension_forget().  *installed
 * (may be NULL), if they do not: the version of the SQL, palloc'd.
 */
extern bool sx_extension_fits(char **installed);

/* ERROR, with the cure, unless it does. */
extern void sx_extension_check(void);

/* What to do about it: for an errhint. */
extern const char *sx_extension_cure(const char *installed);

/* It may have another version from now on. */
extern void sx_extension_forget(void);

/* ALTER EXTENSION streamx UPDATE: tells other processes. */
extern void sx_extension_changed(void);

#endif							/* SX_CATALOG_EXTENSION_H */
