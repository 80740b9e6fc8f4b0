/*-------------------------------------------------------------------------
 * lines.c
 *		Bytes that arrive in any pieces, cut into lines.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "source/lines.h"

#define FIRST_BYTES		1024
#define KEPT_BYTES		(64 * 1024) /* of memory between two lines */

static bool
take_line(const char *line, size_t len, size_t missing,
		  SxLineTaker take, void *arg)
{
	if (missing == 0 && len > 0 && line[len - 1] == '\r')
		len--;
	return take(arg, line, len, missing);
}

static bool
add_bytes(SxLines *lines, const char *bytes, size_t len)
{
	/* one more, for the \r of a line that is just as long as it may be */
	size_t		most = lines->max_line + 1;
	size_t		taken = Min(len, most - lines->len);

	if (lines->dropped > 0)
		taken = 0;
	if (lines->len + taken > lines->size)
	{
		size_t		size = Min(Max(FIRST_BYTES, (lines->len + taken) * 2), most);
		char	   *bigger = realloc(lines->partial, size);

		if (bigger == NULL)
			return false;
		lines->partial = bigger;
		lines->size = size;
	}
	if (taken > 0)
		memcpy(lines->partial + lines->len, bytes, taken);
	lines->len += taken;
	lines->dropped += len - taken;
	if (lines->len == most &&
		(lines->dropped > 0 || lines->partial[most - 1] != '\r'))
	{
		lines->len--;
		lines->dropped++;
	}
	return true;
}

static bool
end_line(SxLines *lines, SxLineTaker take, void *arg)
{
	if (!take_line(lines->partial, lines->len, lines->dropped, take, arg))
		return false;
	lines->len = 0;
	lines->dropped = 0;
	if (lines->size > KEPT_BYTES)
		sx_lines_free(lines);
	return true;
}

bool
sx_lines_feed(SxLines *lines, const char *bytes, size_t len,
			  SxLineTaker take, void *arg)
{
	while (len > 0)
	{
		const char *newline = memchr(bytes, '\n', len);
		size_t		n = newline != NULL ? newline - bytes : len;

		if (newline != NULL && lines->len == 0 && lines->dropped == 0 &&
			n <= lines->max_line)
		{
			/* whole, as most are */
			if (!take_line(bytes, n, 0, take, arg))
				return false;
		}
		else if (!add_bytes(lines, bytes, n) ||
				 (newline != NULL && !end_line(lines, take, arg)))
			return false;
		bytes += n;
		len -= n;
		if (newline != NULL)
		{
			bytes++;
			len--;
		}
	}
	return true;
}

bool
sx_lines_end(SxLines *lines, SxLineTaker take, void *arg)
{
	if (lines->len == 0 && lines->dropped == 0)
		return true;
	return end_line(lines, take, arg);
}

void
sx_lines_free(SxLines *lines)
{
	free(lines->partial);
	lines->partial = NULL;
	lines->len = lines->size = lines->dropped = 0;
}
