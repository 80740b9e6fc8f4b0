/*-------------------------------------------------------------------------
 * batch_test.c
 *		The arena, and what a column batch does with rejects and removed rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/batch.h"

#include "tap.h"

static void
test_arena(void)
{
	SxArena		arena = {0};
	char	   *pieces[300];
	bool		aligned = true;
	bool		intact = true;
	size_t		reserved;

	/* small, large and odd sizes, each filled with a byte of its own */
	for (int i = 0; i < 300; i++)
	{
		size_t		size = i % 10 == 9 ? 700000 : (size_t) i * 37 + 1;

		pieces[i] = sx_arena_alloc(&arena, size);
		aligned = aligned && pieces[i] == (char *) MAXALIGN(pieces[i]);
		memset(pieces[i], i & 0x7f, size);
	}
	for (int i = 0; i < 300; i++)
	{
		size_t		size = i % 10 == 9 ? 700000 : (size_t) i * 37 + 1;

		intact = intact && pieces[i][0] == (i & 0x7f) && pieces[i][size - 1] == (i & 0x7f);
	}
	ok(aligned, "what an arena hands out is aligned");
	ok(intact, "what an arena hands out does not overlap");
	ok(arena.reserved >= arena.used, "an arena has reserved at least what is used");

	reserved = arena.reserved;
	sx_arena_reset(&arena);
	ok(arena.used == 0 && arena.reserved <= 8 * 1024 * 1024 && reserved > arena.reserved,
	   "a reset gives back all but 8 MB");

	for (int round = 0; round < 1000; round++)
	{
		for (int i = 0; i < 100; i++)
			sx_arena_alloc(&arena, 20000);
		if (round == 10)
			reserved = arena.reserved;
		sx_arena_reset(&arena);
	}
	for (int i = 0; i < 100; i++)
		sx_arena_alloc(&arena, 20000);
	ok(arena.reserved == reserved, "an arena does not grow from round to round");
	ok(strcmp(sx_arena_copy(&arena, "abcd", 3), "abc") == 0, "a copy ends with a NUL");
	ok(sx_arena_alloc(&arena, SIZE_MAX - 3) == NULL, "an impossible size gives NULL");
	sx_arena_free(&arena);
	ok(arena.reserved == 0, "freed, an arena holds nothing");
}

static void
test_batch(void)
{
	SxColumn	cols[2] = {{.name = "a",.typid = 20}, {.name = "gone",.dropped = true}};
	SxSchema	schema = {.ncols = 2,.cols = cols,.utf8 = true};
	SxBatch    *batch = sx_batch_create(&schema, 10);
	SxMessage	msg = {.payload = "xyz",.payload_len = 3,.key = "k",.key_len = 1,
	.partition = 3,.position = 77,.arrival_us = 5};
	bool		remove[10] = {true, false, false, true, false, false, false, false, false, true};

	ok(batch != NULL && batch->nrows == 0 && batch->maxrows >= 10, "a new batch is empty");
	ok(batch->values[0] != NULL && batch->values[1] == NULL, "a dropped column has no values");

	ok(sx_batch_reject(batch, &msg, "22P02", "bad %s at %d", "thing", 4) && batch->nrejects == 1 &&
	   batch->nrows == 0, "a reject takes no row");
	ok(batch->rejects[0].partition == 3 && batch->rejects[0].position == 77 &&
	   batch->rejects[0].payload != msg.payload &&
	   memcmp(batch->rejects[0].payload, "xyz", 3) == 0 && batch->rejects[0].key_len == 1 &&
	   strcmp(batch->rejects[0].sqlstate, "22P02") == 0 &&
	   strcmp(batch->rejects[0].error, "bad thing at 4") == 0,
	   "a reject keeps position, bytes and reason");

	ok(sx_batch_set_position(batch, 1, 10) && sx_batch_set_position(batch, 2, 20) &&
	   sx_batch_set_position(batch, 1, 11) && batch->npositions == 2 &&
	   batch->positions[0].next_offset == 11 && batch->positions[1].next_offset == 20,
	   "a partition's position moves on");

	for (int i = 0; i < 10; i++)
	{
		batch->values[0][i] = Int64GetDatum(i * 100);
		batch->nulls[0][i] = i == 4;
		batch->partition[i] = i % 2;
		batch->position[i] = 1000 + i;
		batch->nrows++;
	}
	sx_batch_remove_rows(batch, remove);
	ok(batch->nrows == 7 && DatumGetInt64(batch->values[0][0]) == 100 &&
	   DatumGetInt64(batch->values[0][1]) == 200 && batch->nulls[0][2] && !batch->nulls[0][3] &&
	   batch->position[2] == 1004 && batch->position[6] == 1008 && batch->partition[6] == 0,
	   "removed rows leave no gap, in any column");

	sx_batch_reset(batch);
	ok(batch->nrows == 0 && batch->nrejects == 0 && batch->npositions == 0 && batch->ndeferred == 0,
	   "a reset batch is empty");
	sx_batch_free(batch);
}

int
main(void)
{
	test_arena();
	test_batch();
	return done_testing();
}
