/*-------------------------------------------------------------------------
 * events.h
 *		The benchmark's events: event number i, as a function of the seed.
 *
 * {"event_time":"2025-01-01T00:00:00.000100Z","ad_id":417,"page":"page-417",
 *	"user_id":83211,"event_type":"purchase","amount":123.45,"ip":"10.0.0.1"}
 *
 * or, as CSV,
 *
 * 2025-01-01T00:00:00.000100Z,417,page-417,83211,purchase,123.45,10.0.0.1
 *
 * Event time advances by step_us an event; disorder moves an event back by up
 * to disorder_ms.  About 140 bytes each, 70 as CSV.
 *-------------------------------------------------------------------------
 */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdint.h>
#include <string.h>

/* 2025-01-01 00:00:00 UTC, in seconds since 1970 */
#define EVENTS_EPOCH_S INT64_C(1735689600)
#define EVENTS_MAX_LEN 256

typedef struct EventSpec
{
	uint64_t	seed;
	uint64_t	pages;			/* distinct ad_id and page */
	uint64_t	users;			/* distinct user_id */
	int64_t		step_us;		/* event time from one event to the next */
	int64_t		disorder_us;
} EventSpec;

typedef struct Event
{
	int64_t		time_us;		/* since 1970 */
	uint32_t	ad_id;			/* also the number in page */
	uint32_t	user_id;
	uint32_t	type;			/* index into event_types */
	uint32_t	cents;			/* amount */
} Event;

static const char *const event_types[] = {"view", "click", "purchase"};

/* splitmix64: every bit of x counts */
static inline uint64_t
events_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline Event
events_make(const EventSpec *spec, uint64_t i)
{
	uint64_t	a = events_mix(i ^ events_mix(spec->seed));
	uint64_t	b = events_mix(a);
	Event		e;

	e.time_us = EVENTS_EPOCH_S * INT64_C(1000000) + (int64_t) i * spec->step_us;
	if (spec->disorder_us > 0)
		e.time_us -= (int64_t) (events_mix(b) % (uint64_t) (spec->disorder_us + 1));
	e.ad_id = (uint32_t) ((a & 0xffffffff) % spec->pages);
	e.user_id = (uint32_t) ((a >> 32) % spec->users);
	e.type = (uint32_t) ((b & 0xffff) % 3);
	e.cents = (uint32_t) ((b >> 16) % 100000);
	return e;
}

static inline char *
events_put_uint(char *p, uint64_t v)
{
	char		digits[20];
	int			n = 0;

	do
		digits[n++] = (char) ('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

static inline char *
events_put_fixed(char *p, uint32_t v, int width)
{
	for (int i = width - 1; i >= 0; i--, v /= 10)
		p[i] = (char) ('0' + v % 10);
	return p + width;
}

#define EVENTS_PUT(p, literal) (memcpy(p, literal, sizeof(literal) - 1), (p) + sizeof(literal) - 1)

/* 2025-01-01T00:00:00.000100Z; date of a day number as by Howard Hinnant */
static inline char *
events_put_time(char *p, int64_t us)
{
	int64_t		days = us / INT64_C(86400000000);
	int64_t		rest = us % INT64_C(86400000000);
	int64_t		era;
	uint32_t	doe,
				yoe,
				doy,
				mp,
				secs;
	uint32_t	year,
				month,
				day;

	if (rest < 0)
	{
		rest += INT64_C(86400000000);
		days--;
	}
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = (uint32_t) (days - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	day = doy - (153 * mp + 2) / 5 + 1;
	month = mp < 10 ? mp + 3 : mp - 9;
	year = (uint32_t) (yoe + era * 400) + (month <= 2);
	secs = (uint32_t) (rest / 1000000);

	p = events_put_fixed(p, year, 4);
	*p++ = '-';
	p = events_put_fixed(p, month, 2);
	*p++ = '-';
	p = events_put_fixed(p, day, 2);
	*p++ = 'T';
	p = events_put_fixed(p, secs / 3600, 2);
	*p++ = ':';
	p = events_put_fixed(p, secs / 60 % 60, 2);
	*p++ = ':';
	p = events_put_fixed(p, secs % 60, 2);
	*p++ = '.';
	p = events_put_fixed(p, (uint32_t) (rest % 1000000), 6);
	*p++ = 'Z';
	return p;
}

/* Writes the JSON text, without a NUL; returns its length. */
static inline size_t
events_print(char *buf, const Event *e)
{
	char	   *p = buf;
	const char *type = event_types[e->type];
	size_t		len = strlen(type);

	p = EVENTS_PUT(p, "{\"event_time\":\"");
	p = events_put_time(p, e->time_us);
	p = EVENTS_PUT(p, "\",\"ad_id\":");
	p = events_put_uint(p, e->ad_id);
	p = EVENTS_PUT(p, ",\"page\":\"page-");
	p = events_put_uint(p, e->ad_id);
	p = EVENTS_PUT(p, "\",\"user_id\":");
	p = events_put_uint(p, e->user_id);
	p = EVENTS_PUT(p, ",\"event_type\":\"");
	memcpy(p, type, len);
	p += len;
	p = EVENTS_PUT(p, "\",\"amount\":");
	p = events_put_uint(p, e->cents / 100);
	*p++ = '.';
	p = events_put_fixed(p, e->cents % 100, 2);
	p = EVENTS_PUT(p, ",\"ip\":\"10.0.0.1\"}");
	return (size_t) (p - buf);
}

static inline size_t
events_print_csv(char *buf, const Event *e)
{
	char	   *p = buf;
	const char *type = event_types[e->type];
	size_t		len = strlen(type);

	p = events_put_time(p, e->time_us);
	*p++ = ',';
	p = events_put_uint(p, e->ad_id);
	p = EVENTS_PUT(p, ",page-");
	p = events_put_uint(p, e->ad_id);
	*p++ = ',';
	p = events_put_uint(p, e->user_id);
	*p++ = ',';
	memcpy(p, type, len);
	p += len;
	*p++ = ',';
	p = events_put_uint(p, e->cents / 100);
	*p++ = '.';
	p = events_put_fixed(p, e->cents % 100, 2);
	p = EVENTS_PUT(p, ",10.0.0.1");
	return (size_t) (p - buf);
}

#endif							/* BENCH_EVENTS_H */
