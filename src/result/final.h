/*-------------------------------------------------------------------------
 * final.h
 *		Inside of the room: rows of windows that have closed are written.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_FINAL_H
#define SX_RESULT_FINAL_H

#include "postgres.h"

#include "result/merge.h"

/*
 * What sx_result_project takes, from a row of the caller's own; *values NULL:
 * the live states.
 */
typedef void (*SxFinalLoad) (SxResult *r, void *row, SxGroup *group,
							 Datum **values, bool **nulls);

/*
 * sx_final_write -- write rows of a final view, of windows that close
 *
 * Best in the order of their keys.  Returns the rows written.
 */
extern int64 sx_final_write(SxResult *r, void *const *rows, int64 n, SxFinalLoad load);

#endif							/* SX_RESULT_FINAL_H */
