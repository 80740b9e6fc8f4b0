/*-------------------------------------------------------------------------
 * assert.c
 *		What a failed Assert() does in a unit test, where no server is.
 *
 * The server's function takes more than the condition, by version; a caller's
 * further arguments do no harm.
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

extern void ExceptionalCondition(const char *condition);

void
ExceptionalCondition(const char *condition)
{
	printf("not ok 0 - assertion failed: %s\n", condition);
	fflush(stdout);
	abort();
}
