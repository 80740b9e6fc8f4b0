/*-------------------------------------------------------------------------
 * version.h
 *		The versions of the extension's SQL that this library goes with.
 *
 * The newest is the default_version of streamx.control.  A database that has
 * been left at an older one, down to the oldest, works as it did; where it has
 * any other, nothing is done until it has been updated, or the library has.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_VERSION_H
#define SX_BASE_VERSION_H

#define SX_VERSION			"1.1"
#define SX_VERSION_OLDEST	"1.0"

#endif							/* SX_BASE_VERSION_H */
