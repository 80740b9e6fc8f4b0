/*-------------------------------------------------------------------------
 * batch.c
 *		Column batches and their arena.  Thread-safe: malloc only.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/batch.h"

struct SxArenaBlock
{
	SxArenaBlock *prev;
	size_t		size;			/* of the whole malloc'd block */
};

#define ARENA_BLOCK		(1024 * 1024)
#define ARENA_KEEP		(8 * 1024 * 1024)
#define MAX_ALLOC		(SIZE_MAX / 2)
#define BLOCK_HEADER	MAXALIGN(sizeof(SxArenaBlock))

/* our own printf: port.h's vsnprintf replacement is thread-safe as well */
static const char *const oom_text = "out of memory";

/* Allocate when the block being filled has no room. */
void *
sx_arena_alloc_slow(SxArena *arena, size_t size)
{
	SxArenaBlock *block;
	size_t		want;
	bool		own_block;
	char	   *result;

	if (size > MAX_ALLOC)
		return NULL;
	size = MAXALIGN(Max(size, (size_t) 1));
	own_block = size > ARENA_BLOCK / 4;
	want = own_block ? size + BLOCK_HEADER : (size_t) ARENA_BLOCK;
	if (!own_block && arena->spare != NULL)
	{
		block = arena->spare;
		arena->spare = block->prev;
	}
	else
	{
		block = malloc(want);
		if (block == NULL)
			return NULL;
		block->size = want;
		arena->reserved += want;
	}
	result = (char *) block + BLOCK_HEADER;
	arena->used += size;
	if (own_block && arena->head != NULL)
	{
		/* something large: the block being filled goes on being filled */
		block->prev = arena->head->prev;
		arena->head->prev = block;
	}
	else
	{
		block->prev = arena->head;
		arena->head = block;
		arena->next = result + size;
		arena->end = (char *) block + block->size;
	}
	return result;
}

char *
sx_arena_copy(SxArena *arena, const char *bytes, size_t len)
{
	char	   *result = sx_arena_alloc(arena, len + 1);

	if (result != NULL)
	{
		if (len > 0)
			memcpy(result, bytes, len);
		result[len] = '\0';
	}
	return result;
}

void
sx_arena_reset(SxArena *arena)
{
	/* Blocks of the usual size are kept, up to a limit, the others freed. */
	while (arena->head != NULL)
	{
		SxArenaBlock *block = arena->head;

		arena->head = block->prev;
		if (block->size == ARENA_BLOCK && arena->reserved <= ARENA_KEEP)
		{
			block->prev = arena->spare;
			arena->spare = block;
		}
		else
		{
			arena->reserved -= block->size;
			free(block);
		}
	}
	arena->next = arena->end = NULL;
	arena->used = 0;
}

void
sx_arena_free(SxArena *arena)
{
	while (arena->head != NULL)
	{
		SxArenaBlock *block = arena->head;

		arena->head = block->prev;
		free(block);
	}
	while (arena->spare != NULL)
	{
		SxArenaBlock *block = arena->spare;

		arena->spare = block->prev;
		free(block);
	}
	memset(arena, 0, sizeof(*arena));
}

SxBatch *
sx_batch_create(const SxSchema *schema, int maxrows)
{
	SxBatch    *batch = calloc(1, sizeof(SxBatch));
	bool		ok;
	int			i;

	if (batch == NULL)
		return NULL;
	batch->schema = schema;
	batch->maxrows = maxrows;
	batch->values = calloc(Max(schema->ncols, 1), sizeof(Datum *));
	batch->nulls = calloc(Max(schema->ncols, 1), sizeof(bool *));
	batch->partition = malloc(sizeof(int32) * maxrows);
	batch->position = malloc(sizeof(int64) * maxrows);
	batch->timestamp_us = malloc(sizeof(int64) * maxrows);
	batch->arrival_us = malloc(sizeof(int64) * maxrows);
	batch->payload = malloc(sizeof(char *) * maxrows);
	batch->payload_len = malloc(sizeof(size_t) * maxrows);
	batch->key = malloc(sizeof(char *) * maxrows);
	batch->key_len = malloc(sizeof(size_t) * maxrows);
	ok = batch->values && batch->nulls && batch->partition &&
		batch->position && batch->timestamp_us && batch->arrival_us &&
		batch->payload && batch->payload_len && batch->key && batch->key_len;
	for (i = 0; ok && i < schema->ncols; i++)
	{
		if (schema->cols[i].dropped)
			continue;
		batch->values[i] = malloc(sizeof(Datum) * maxrows);
		batch->nulls[i] = malloc(sizeof(bool) * maxrows);
		ok = batch->values[i] && batch->nulls[i];
	}
	if (!ok)
	{
		sx_batch_free(batch);
		return NULL;
	}
	return batch;
}

void
sx_batch_reset(SxBatch *batch)
{
	batch->nrows = 0;
	batch->ndeferred = 0;
	batch->nrejects = 0;
	batch->npositions = 0;
	batch->decode_us = 0;
	batch->next = NULL;
	sx_arena_reset(&batch->arena);
}

void
sx_batch_free(SxBatch *batch)
{
	int			i;

	if (batch == NULL)
		return;
	for (i = 0; i < batch->schema->ncols; i++)
	{
		if (batch->values)
			free(batch->values[i]);
		if (batch->nulls)
			free(batch->nulls[i]);
	}
	free(batch->values);
	free(batch->nulls);
	free(batch->partition);
	free(batch->position);
	free(batch->timestamp_us);
	free(batch->arrival_us);
	free(batch->payload);
	free(batch->payload_len);
	free(batch->key);
	free(batch->key_len);
	free(batch->deferred);
	free(batch->rejects);
	free(batch->positions);
	sx_arena_free(&batch->arena);
	free(batch);
}

/* Make room for one more element; false: out of memory. */
static bool
reserve(void **array, int *max, int n, size_t elem)
{
	void	   *bigger;
	int			want;

	if (n < *max)
		return true;
	want = Max(16, *max * 2);
	bigger = realloc(*array, elem * want);
	if (bigger == NULL)
		return false;
	*array = bigger;
	*max = want;
	return true;
}

bool
sx_batch_reject(SxBatch *batch, const SxMessage *msg, const char *sqlstate,
				const char *fmt,...)
{
	SxReject   *r;
	char		text[512];
	int			len;
	va_list		args;

	if (!reserve((void **) &batch->rejects, &batch->maxrejects,
				 batch->nrejects, sizeof(SxReject)))
		return false;
	r = &batch->rejects[batch->nrejects];
	memset(r, 0, sizeof(*r));
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= (int) sizeof(text))
	{
		/* cut off no character of several bytes in its middle */
		len = sizeof(text) - 1;
		while (len > 0 && IS_HIGHBIT_SET(text[len - 1]))
			text[--len] = '\0';
	}
	r->partition = msg->partition;
	r->position = msg->position;
	r->arrival_us = msg->arrival_us;
	strlcpy(r->sqlstate, sqlstate, sizeof(r->sqlstate));
	r->error = sx_arena_copy(&batch->arena, text, strlen(text));
	if (r->error == NULL)
		r->error = oom_text;
	if (msg->key != NULL)
	{
		r->key = sx_arena_copy(&batch->arena, msg->key, msg->key_len);
		r->key_len = msg->key_len;
		if (r->key == NULL)
			return false;
	}
	if (msg->payload != NULL)
	{
		r->payload = sx_arena_copy(&batch->arena, msg->payload, msg->payload_len);
		r->payload_len = msg->payload_len;
		if (r->payload == NULL)
			return false;
	}
	batch->nrejects++;
	return true;
}

bool
sx_batch_defer(SxBatch *batch, int row, int col, const char *text, size_t len)
{
	SxDeferred *d;

	if (!reserve((void **) &batch->deferred, &batch->maxdeferred,
				 batch->ndeferred, sizeof(SxDeferred)))
		return false;
	d = &batch->deferred[batch->ndeferred];
	d->row = row;
	d->col = col;
	d->text = sx_arena_copy(&batch->arena, text, len);
	if (d->text == NULL)
		return false;
	/* not NULL for now, so that a reader that forgets it fails early */
	batch->values[col][row] = (Datum) 0;
	batch->nulls[col][row] = false;
	batch->ndeferred++;
	return true;
}

SxPosition *
sx_batch_set_position(SxBatch *batch, int32 partition, int64 next_offset)
{
	SxPosition *p;
	int			i;

	/* the last one is the likely one: messages come in runs per partition */
	for (i = batch->npositions - 1; i >= 0; i--)
	{
		p = &batch->positions[i];
		if (p->partition == partition)
		{
			p->next_offset = next_offset;
			p->gone = false;
			return p;
		}
	}
	if (!reserve((void **) &batch->positions, &batch->maxpositions,
				 batch->npositions, sizeof(SxPosition)))
		return NULL;
	p = &batch->positions[batch->npositions++];
	p->partition = partition;
	p->next_offset = next_offset;
	p->watermark_us = PG_INT64_MIN;
	p->snapshot = NULL;
	p->gone = false;
	p->first_offset = PG_INT64_MAX;
	return p;
}

bool
sx_positions_gone(const SxPosition *positions, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (positions[i].gone)
			return true;
	}
	return false;
}

void
sx_batch_remove_rows(SxBatch *batch, const bool *remove)
{
	int			from,
				to = 0;
	int			c;

	Assert(batch->ndeferred == 0);
	for (from = 0; from < batch->nrows; from++)
	{
		if (remove[from])
			continue;
		if (to != from)
		{
			for (c = 0; c < batch->schema->ncols; c++)
			{
				if (batch->values[c] == NULL)
					continue;
				batch->values[c][to] = batch->values[c][from];
				batch->nulls[c][to] = batch->nulls[c][from];
			}
			batch->partition[to] = batch->partition[from];
			batch->position[to] = batch->position[from];
			batch->timestamp_us[to] = batch->timestamp_us[from];
			batch->arrival_us[to] = batch->arrival_us[from];
			batch->payload[to] = batch->payload[from];
			batch->payload_len[to] = batch->payload_len[from];
			batch->key[to] = batch->key[from];
			batch->key_len[to] = batch->key_len[from];
		}
		to++;
	}
	batch->nrows = to;
}

size_t
sx_batch_bytes(const SxBatch *batch)
{
	return batch->arena.reserved +
		(size_t) batch->maxrows * (size_t) (batch->schema->ncols * (sizeof(Datum) + 1) + 68);
}
