/*-------------------------------------------------------------------------
 * version.h
 *		The version of the extension's SQL that this library goes with: the
 *		default_version of streamx.control.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_VERSION_H
#define SX_BASE_VERSION_H

#define SX_VERSION	"1.0"

#endif							/* SX_BASE_VERSION_H */
