/*-------------------------------------------------------------------------
 * guc.h
 *		Settings "streamx.<name>", each in sx_<name>.
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_GUC_H
#define SX_BASE_GUC_H

#include "postgres.h"

extern bool sx_enabled;			/* workers run at all */
extern int	sx_workers;			/* worker processes per database */
extern int	sx_max_batch_rows;	/* rows that one transaction takes in */
extern int	sx_max_batch_kb;	/* bytes that one transaction takes in */
extern int	sx_state_memory_kb; /* cache of groups, per view */
extern int	sx_max_streams;		/* slots in shared memory */
extern int	sx_max_views;		/* slots in shared memory */
extern int	sx_batch_history;	/* batches that shared memory remembers */

extern void sx_guc_init(void);

#endif							/* SX_BASE_GUC_H */
