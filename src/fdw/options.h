/*-------------------------------------------------------------------------
 * options.h
 *		Checks of a stream's definition at DDL time.
 *-------------------------------------------------------------------------
 */
#ifndef SX_FDW_OPTIONS_H
#define SX_FDW_OPTIONS_H

#include "postgres.h"

/*
 * sx_fdw_check_stream -- is this stream's definition usable
 *
 * For the utility hook after CREATE / ALTER FOREIGN TABLE: what the validator
 * cannot check, because it does not know the table and its server.  ERROR if
 * not; nothing to do with relations that are no streams.
 */
extern void sx_fdw_check_stream(Oid relid);

/* The same for servers, after CREATE / ALTER SERVER. */
extern void sx_fdw_check_server(Oid serverid);

#endif							/* SX_FDW_OPTIONS_H */
