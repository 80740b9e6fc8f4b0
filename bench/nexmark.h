/*-------------------------------------------------------------------------
 * nexmark.h
 *		Events of the Nexmark suite: event number i, as a function of the seed.
 *
 * Of each 50 one is a person, the next three are auctions, then come 46 bids;
 * of an event's objects "person", "auction" and "bid" one is there.  Half of
 * the bids go to the first of the latest hundred auctions, three in four come
 * from one person in a hundred.  Event time is the message's own timestamp:
 * 10,000 events a second.
 *-------------------------------------------------------------------------
 */
#ifndef BENCH_NEXMARK_H
#define BENCH_NEXMARK_H

#include <math.h>

#include "events.h"

/* 2026-01-01 00:00:00 UTC, in milliseconds since 1970 */
#define NEXMARK_EPOCH_MS INT64_C(1767225600000)
#define NEXMARK_EVENTS_PER_MS 10
#define NEXMARK_MAX_LEN 1024
#define NEXMARK_FIRST_ID 1000

/* an auction is open until about a hundred more have come */
#define NEXMARK_OPEN_MS 334

typedef struct NexmarkRandom
{
	uint64_t	state;
} NexmarkRandom;

static inline uint64_t
nexmark_below(NexmarkRandom *random, uint64_t n)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return events_mix(random->state) % n;
}

static inline uint64_t
nexmark_price(NexmarkRandom *random)
{
	return (uint64_t) llround(100 * pow(10, (double) nexmark_below(random, 1000000) / 1e6 * 6));
}

static inline int64_t
nexmark_time_ms(uint64_t i)
{
	return NEXMARK_EPOCH_MS + (int64_t) (i / NEXMARK_EVENTS_PER_MS);
}

static inline char *
nexmark_put_word(char *p, NexmarkRandom *random, size_t len)
{
	uint64_t	bits = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (i % 8 == 0)
			bits = nexmark_below(random, UINT64_MAX);
		*p++ = (char) ('a' + (bits & 0xff) % 26);
		bits >>= 8;
	}
	return p;
}

static inline char *
nexmark_put_text(char *p, const char *text)
{
	size_t		len = strlen(text);

	memcpy(p, text, len);
	return p + len;
}

static inline char *
nexmark_put_person(char *p, NexmarkRandom *random, uint64_t id)
{
	static const char *const cities[] = {"Phoenix", "Los Angeles", "Boise", "Portland"};
	static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};

	p = EVENTS_PUT(p, "{\"event_type\":0,\"person\":{\"id\":");
	p = events_put_uint(p, NEXMARK_FIRST_ID + id);
	p = EVENTS_PUT(p, ",\"name\":\"");
	p = nexmark_put_word(p, random, 5);
	*p++ = ' ';
	p = nexmark_put_word(p, random, 6);
	p = EVENTS_PUT(p, "\",\"emailAddress\":\"");
	p = nexmark_put_word(p, random, 7);
	*p++ = '@';
	p = nexmark_put_word(p, random, 5);
	p = EVENTS_PUT(p, ".com\",\"creditCard\":\"");
	p = events_put_fixed(p, (uint32_t) nexmark_below(random, 10000), 4);
	*p++ = ' ';
	p = events_put_fixed(p, (uint32_t) nexmark_below(random, 10000), 4);
	p = EVENTS_PUT(p, "\",\"city\":\"");
	p = nexmark_put_text(p, cities[nexmark_below(random, 4)]);
	p = EVENTS_PUT(p, "\",\"state\":\"");
	p = nexmark_put_text(p, states[nexmark_below(random, 6)]);
	p = EVENTS_PUT(p, "\",\"extra\":\"");
	p = nexmark_put_word(p, random, 20 + nexmark_below(random, 40));
	return EVENTS_PUT(p, "\"}}");
}

static inline char *
nexmark_put_auction(char *p, NexmarkRandom *random, uint64_t id, uint64_t persons, int64_t time_ms)
{
	uint64_t	seller = nexmark_below(random, 4) != 0 ?
	(persons - 1) / 100 * 100 : nexmark_below(random, persons);
	uint64_t	initial = nexmark_price(random);

	p = EVENTS_PUT(p, "{\"event_type\":1,\"auction\":{\"id\":");
	p = events_put_uint(p, NEXMARK_FIRST_ID + id);
	p = EVENTS_PUT(p, ",\"itemName\":\"");
	p = nexmark_put_word(p, random, 8);
	p = EVENTS_PUT(p, "\",\"description\":\"");
	p = nexmark_put_word(p, random, 20);
	p = EVENTS_PUT(p, "\",\"initialBid\":");
	p = events_put_uint(p, initial);
	p = EVENTS_PUT(p, ",\"reserve\":");
	p = events_put_uint(p, initial + nexmark_price(random));
	p = EVENTS_PUT(p, ",\"expires\":\"");
	p = events_put_time(p, (time_ms + 1 + (int64_t) nexmark_below(random, NEXMARK_OPEN_MS)) * 1000);
	p = EVENTS_PUT(p, "\",\"seller\":");
	p = events_put_uint(p, NEXMARK_FIRST_ID + seller);
	p = EVENTS_PUT(p, ",\"category\":");
	p = events_put_uint(p, 10 + nexmark_below(random, 5));
	p = EVENTS_PUT(p, ",\"extra\":\"");
	p = nexmark_put_word(p, random, 200 + nexmark_below(random, 200));
	return EVENTS_PUT(p, "\"}}");
}

/* auctions, persons: how many there are so far */
static inline char *
nexmark_put_bid(char *p, NexmarkRandom *random, uint64_t auctions, uint64_t persons)
{
	static const char *const channels[] = {"Google", "Facebook", "Baidu", "Apple"};
	uint64_t	auction = (auctions - 1) / 100 * 100;
	uint64_t	bidder = (persons - 1) / 100 * 100 + 1;
	bool		rare = nexmark_below(random, 2) != 0;

	/* some that are still to come */
	if (nexmark_below(random, 2) == 0)
		auction = auctions > 100 ? auctions - 100 + nexmark_below(random, 110) :
			nexmark_below(random, auctions + 10);
	if (nexmark_below(random, 4) == 0)
		bidder = persons > 1000 ? persons - 1000 + nexmark_below(random, 1010) :
			nexmark_below(random, persons + 10);

	p = EVENTS_PUT(p, "{\"event_type\":2,\"bid\":{\"auction\":");
	p = events_put_uint(p, NEXMARK_FIRST_ID + auction);
	p = EVENTS_PUT(p, ",\"bidder\":");
	p = events_put_uint(p, NEXMARK_FIRST_ID + bidder);
	p = EVENTS_PUT(p, ",\"price\":");
	p = events_put_uint(p, nexmark_price(random));
	p = EVENTS_PUT(p, ",\"channel\":\"");
	if (rare)
	{
		p = EVENTS_PUT(p, "channel-");
		p = events_put_uint(p, nexmark_below(random, 10000));
	}
	else
		p = nexmark_put_text(p, channels[nexmark_below(random, 4)]);
	p = EVENTS_PUT(p, "\",\"url\":\"https://www.nexmark.com/");
	for (int i = 0; i < 3; i++)
	{
		p = nexmark_put_word(p, random, 4);
		*p++ = '/';
	}
	p = EVENTS_PUT(p, "item.htm?query=1");
	if (rare && nexmark_below(random, 10) != 0)
	{
		p = EVENTS_PUT(p, "&channel_id=");
		p = events_put_uint(p, nexmark_below(random, 100000));
	}
	p = EVENTS_PUT(p, "\",\"extra\":\"");
	p = nexmark_put_word(p, random, 20 + nexmark_below(random, 20));
	return EVENTS_PUT(p, "\"}}");
}

/* Writes the JSON text of event i, without a NUL; returns its length. */
static inline size_t
nexmark_print(char *buf, uint64_t seed, uint64_t i)
{
	NexmarkRandom random = {events_mix(i ^ events_mix(seed))};
	uint64_t	block = i / 50;
	uint64_t	place = i % 50;
	char	   *p;

	if (place == 0)
		p = nexmark_put_person(buf, &random, block);
	else if (place <= 3)
		p = nexmark_put_auction(buf, &random, block * 3 + place - 1, block + 1, nexmark_time_ms(i));
	else
		p = nexmark_put_bid(buf, &random, block * 3 + 3, block + 1);
	return (size_t) (p - buf);
}

#endif							/* BENCH_NEXMARK_H */
