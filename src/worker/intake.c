/*-------------------------------------------------------------------------
 * intake.c
 *		What a batch of a stream brings, and batches that wait.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "window/event_time.h"
#include "worker/intake.h"
#include "worker/task.h"

TimestampTz
sx_batch_newest(const SxBatch *batch)
{
	if (batch->folded)
		return batch->folded->newest;
	return batch->nrows > 0 ? batch->timestamp_us[batch->nrows - 1] : 0;
}

/* The partition's first row; -1: none. */
static int
first_row(const SxBatch *batch, int32 partition)
{
	int			i;

	for (i = 0; i < batch->nrows; i++)
	{
		if (batch->partition[i] == partition)
			return i;
	}
	return -1;
}

bool
sx_batch_came(const SxBatch *batch, int i)
{
	return batch->folded ? batch->folded->came[i] :
		first_row(batch, batch->positions[i].partition) >= 0;
}

/*
 * Where reading of a partition began whose position this batch is the first
 * to tell: at its first message, or where there was none.
 */
static int64
first_offset(const SxBatch *batch, const SxPosition *position)
{
	int64		result = Min(position->next_offset, position->first_offset);
	int			row = first_row(batch, position->partition);
	int			i;

	if (row >= 0)
		result = Min(result, batch->position[row]);
	for (i = 0; i < batch->nrejects; i++)
	{
		if (batch->rejects[i].partition == position->partition)
			result = Min(result, batch->rejects[i].position);
	}
	return result;
}

bool
sx_positions_begin_anew(const SxStream *stream, const SxBatch *list,
						SxPosition *before, int nbefore)
{
	int			i;

	if (strcmp(stream->kind, "kafka") != 0)
		return false;
	for (; list; list = list->next)
	{
		for (i = 0; i < list->npositions; i++)
		{
			const SxPosition *told = &list->positions[i];
			const SxPosition *p = sx_position_find(before, nbefore, told->partition);

			if (p && !told->gone && (p->gone || first_offset(list, told) < p->next_offset))
				return true;
		}
	}
	return false;
}

SxPosition *
sx_positions_after(const SxStream *stream, const SxBatch *list,
				   const SxPosition *before, int nbefore, int *n)
{
	SxPosition *after;
	int			max = nbefore;
	const SxBatch *b;
	int			i;

	for (b = list; b; b = b->next)
		max += b->npositions;
	after = palloc(sizeof(SxPosition) * Max(max, 1));
	*n = nbefore;
	if (nbefore > 0)
		memcpy(after, before, sizeof(SxPosition) * nbefore);
	for (b = list; b; b = b->next)
	{
		for (i = 0; i < b->npositions; i++)
		{
			const SxPosition *told = &b->positions[i];
			SxPosition *p = sx_position_find(after, *n, told->partition);

			if (p == NULL)
			{
				p = &after[(*n)++];
				*p = *told;
				p->first_offset = first_offset(b, told);
				p->gone = false;
			}

			/* that all are gone is told by one that reads some of them only */
			if (told->gone)
				p->next_offset = Max(p->next_offset, told->next_offset);
			else
			{
				p->next_offset = told->next_offset;
				p->gone = false;
			}
			p->watermark_us = Max(p->watermark_us, told->watermark_us);
			if (told->snapshot)
				p->snapshot = pstrdup(told->snapshot);
		}
		sx_window_observe(stream, b, after, *n);
	}
	return after;
}

void
sx_batches_gone(const SxBatch *list, List **gone)
{
	int			i;

	for (; list; list = list->next)
	{
		for (i = 0; i < list->npositions; i++)
		{
			if (list->positions[i].gone)
				*gone = list_append_unique_int(*gone, list->positions[i].partition);
		}
	}
}

/* ---- batches that wait ---- */

void
sx_queue_put(SxBatchQueue *queue, SxBatch *list, int64 now_ms)
{
	if (queue->head)
		queue->tail->next = list;
	else
	{
		queue->head = list;
		queue->since_ms = now_ms;
	}
	for (; list; list = list->next)
	{
		queue->tail = list;
		queue->rows += sx_batch_rows(list);
		queue->bytes += sx_batch_size(list);
	}
}

SxBatch *
sx_queue_take(SxBatchQueue *queue, int64 max_rows, int64 max_bytes)
{
	SxBatch    *list = queue->head;
	SxBatch    *last = NULL;
	SxBatch    *b;
	int64		rows = 0;
	int64		bytes = 0;

	for (b = list; b; b = b->next)
	{
		int64		size = (int64) sx_batch_size(b);

		if (last && (rows + sx_batch_rows(b) > max_rows || bytes + size > max_bytes))
			break;
		rows += sx_batch_rows(b);
		bytes += size;
		last = b;
	}
	if (last == NULL)
		return NULL;
	queue->head = last->next;
	last->next = NULL;
	queue->rows -= rows;
	queue->bytes -= Min((size_t) bytes, queue->bytes);
	return list;
}
