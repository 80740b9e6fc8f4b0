/*-------------------------------------------------------------------------
 * tap.h
 *		What a unit test says: TAP, one line per check.
 *
 * A unit test is one program, NAME_test.c, of code under src/ that calls no
 * PostgreSQL (libpgcommon and libpgport are there).
 *-------------------------------------------------------------------------
 */
#ifndef TEST_TAP_H
#define TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int	tap_count;
static int	tap_failed;

static bool ok(bool good, const char *fmt,...) __attribute__((format(printf, 2, 3)));

static bool
ok(bool good, const char *fmt,...)
{
	va_list		args;

	printf("%s %d - ", good ? "ok" : "not ok", ++tap_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	if (!good)
		tap_failed++;
	return good;
}

/* main() returns this */
static int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed > 0;
}

#endif							/* TEST_TAP_H */
