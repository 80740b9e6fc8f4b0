/*-------------------------------------------------------------------------
 * late.c
 *		Rows of a batch that came when all their windows were closed.
 *
 * What they would have changed is left out by result/; here they are told
 * apart, counted, and kept where the view says so.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "exec/exec.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "worker/task.h"

void
sx_late_keep(SxViewRun *run, const SxStream *stream, const SxScanInput *input,
			 int64 row)
{
	int			i;

	for (i = 0; i < input->nbatches; i++)
	{
		if (row < input->batches[i]->nrows)
		{
			sx_result_late_row(run->view, stream, input->batches[i], (int) row);
			return;
		}
		row -= input->batches[i]->nrows;
	}
	elog(ERROR, "row is not in the batch");
}

/* A row of the batch by one of the ways that it takes through the query. */
typedef struct Way
{
	int64		row;
	bool		late;
} Way;

static int
by_row(const void *a, const void *b)
{
	int64		x = ((const Way *) a)->row;
	int64		y = ((const Way *) b)->row;

	return x < y ? -1 : x > y;
}

/* Rows that were late by all their ways. */
static int64
late_of_sessions(SxViewRun *run, const SxStream *stream, const SxScanInput *input,
				 const SxRows *rows)
{
	Way		   *ways = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(Way) * Max(rows->nrows, 1));
	int64		nlate = 0;
	int64		i;
	int64		next;

	for (i = 0; i < rows->nrows; i++)
	{
		const Datum *values = rows->values + i * rows->ncols;
		const bool *nulls = rows->nulls + i * rows->ncols;

		CHECK_FOR_INTERRUPTS();
		ways[i].row = sx_fdw_row_of((ItemPointer) DatumGetPointer(values[0]));
		ways[i].late = sx_result_was_late(run->result, values + 1, nulls + 1);
	}
	qsort(ways, rows->nrows, sizeof(Way), by_row);
	for (i = 0; i < rows->nrows; i = next)
	{
		bool		late = true;

		for (next = i; next < rows->nrows && ways[next].row == ways[i].row; next++)
			late &= ways[next].late;
		if (!late)
			continue;
		nlate++;
		if (run->view->keep_late)
			sx_late_keep(run, stream, input, ways[i].row);
	}
	pfree(ways);
	return nlate;
}

int64
sx_late_rows(SxViewRun *run, const SxStream *stream, const SxScanInput *input,
			 int64 closed_us)
{
	DestReceiver *dest;
	SxRows		rows;
	int64		i;

	if (run->shape->late_query == NULL)
		return 0;
	if (run->plan_late == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(run->cxt);

		run->plan_late = sx_plan_late(run->shape, 100000);
		MemoryContextSwitchTo(old);
	}
	dest = sx_exec_collector(&rows, CurrentMemoryContext);
	sx_exec_run_closed(run->plan_late, input, dest, run->shape->window, closed_us);
	dest->rDestroy(dest);
	if (run->shape->session)
		return late_of_sessions(run, stream, input, &rows);
	for (i = 0; run->view->keep_late && i < rows.nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		sx_late_keep(run, stream, input,
					 sx_fdw_row_of((ItemPointer) DatumGetPointer(rows.values[i])));
	}
	return rows.nrows;
}

void
sx_late_keep_all(SxViewRun *run, const SxStream *stream, const SxScanInput *input,
				 const SxLateRows *late)
{
	int64		i;

	for (i = 0; run->view->keep_late && late->rows && i < late->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		sx_late_keep(run, stream, input, late->rows[i]);
	}
}
