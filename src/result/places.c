/*-------------------------------------------------------------------------
 * places.c
 *		Where rows of the result were written last.
 *
 * Two hash tables, a young one that takes what is written and an old one that
 * is only read: when the young one is full it becomes the old one.  So what
 * is written again and again is kept, and the rest goes without being looked
 * for.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/guc.h"
#include "result/places.h"

#define FIRST_SIZE		1024

typedef struct Place
{
	uint64		hash;
	ItemPointerData tid;		/* invalid: free */
} Place;

typedef struct Table
{
	uint64		size;			/* a power of two */
	uint64		n;
	Place	   *places;
} Table;

struct SxPlaces
{
	MemoryContext cxt;
	Table		young;
	Table		old;
	uint64		written;		/* in this batch */
};

static void
make_table(SxPlaces *p, Table *table, uint64 size)
{
	table->size = size;
	table->n = 0;
	table->places = MemoryContextAllocExtended(p->cxt, sizeof(Place) * size,
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

SxPlaces *
sx_places_create(MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "streamx places of rows",
											  ALLOCSET_SMALL_SIZES);
	SxPlaces   *p = MemoryContextAllocZero(cxt, sizeof(SxPlaces));

	p->cxt = cxt;
	make_table(p, &p->young, FIRST_SIZE);
	return p;
}

void
sx_places_free(SxPlaces *p)
{
	MemoryContextDelete(p->cxt);
}

void
sx_places_begin(SxPlaces *p)
{
	p->written = 0;
}

/* The place with this hash, or a free one. */
static Place *
lookup(const Table *table, uint64 hash)
{
	uint64		at = hash & (table->size - 1);

	while (ItemPointerIsValid(&table->places[at].tid) && table->places[at].hash != hash)
		at = (at + 1) & (table->size - 1);
	return &table->places[at];
}

bool
sx_places_find(const SxPlaces *p, uint64 hash, ItemPointer tid)
{
	*tid = lookup(&p->young, hash)->tid;
	if (!ItemPointerIsValid(tid) && p->old.size > 0)
		*tid = lookup(&p->old, hash)->tid;
	return ItemPointerIsValid(tid);
}

/* The young table is full: it grows, or becomes the old one. */
static void
make_room(SxPlaces *p)
{
	Table		full = p->young;
	uint64		i;

	/* what one batch writes is to fit in, within an eighth of the memory */
	if (p->written > full.size / 4 &&
		full.size * 4 * sizeof(Place) <= (uint64) sx_state_memory_kb * 1024 / 8)
	{
		make_table(p, &p->young, full.size * 2);
		for (i = 0; i < full.size; i++)
		{
			if (ItemPointerIsValid(&full.places[i].tid))
				*lookup(&p->young, full.places[i].hash) = full.places[i];
		}
		p->young.n = full.n;
		pfree(full.places);
		return;
	}
	if (p->old.size > 0)
		pfree(p->old.places);
	p->old = full;
	make_table(p, &p->young, full.size);
}

void
sx_places_note(SxPlaces *p, uint64 hash, const ItemPointerData *tid)
{
	Place	   *place = lookup(&p->young, hash);

	p->written++;
	if (!ItemPointerIsValid(&place->tid))
	{
		if (p->young.n >= p->young.size / 2)
		{
			make_room(p);
			place = lookup(&p->young, hash);
		}
		p->young.n++;
	}
	place->hash = hash;
	place->tid = *tid;
}

int64
sx_places_memory(const SxPlaces *p)
{
	return MemoryContextMemAllocated(p->cxt, true);
}
