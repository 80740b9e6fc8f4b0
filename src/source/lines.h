/*-------------------------------------------------------------------------
 * lines.h
 *		Bytes that arrive in any pieces, cut into lines.
 *
 * A line ends with \n or \r\n.  Of a line longer than max_line the beginning
 * is kept, and how many bytes are missing.  Calls no PostgreSQL function.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_LINES_H
#define SX_SOURCE_LINES_H

#include "postgres.h"

/* All zero but for max_line at first. */
typedef struct SxLines
{
	size_t		max_line;
	char	   *partial;		/* line begun, malloc'd */
	size_t		len;
	size_t		size;
	size_t		dropped;		/* bytes of it beyond max_line */
} SxLines;

/*
 * What to do with a line, without its end; missing: bytes of it that were
 * dropped.  false: out of memory.
 */
typedef bool (*SxLineTaker) (void *arg, const char *line, size_t len,
							 size_t missing);

/* false: out of memory, here or in the taker; the state is then of no use */
extern bool sx_lines_feed(SxLines *lines, const char *bytes, size_t len,
						  SxLineTaker take, void *arg);

/* Nothing more comes: what is begun is a line as well. */
extern bool sx_lines_end(SxLines *lines, SxLineTaker take, void *arg);

extern void sx_lines_free(SxLines *lines);

#endif							/* SX_SOURCE_LINES_H */
