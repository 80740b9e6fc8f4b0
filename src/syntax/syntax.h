/*-------------------------------------------------------------------------
 * syntax.h
 *		The literal statements CREATE and DROP CONTINUOUS VIEW.
 *
 * A library of its own, streamx_syntax: it includes nothing of the rooms and
 * none includes it.  It makes the stock grammar take the two statements for
 * spellings of its own (keyword.c) and then gives them their canonical form
 * (statement.c), which is all that streamx ever sees.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SYNTAX_SYNTAX_H
#define SX_SYNTAX_SYNTAX_H

#include "postgres.h"

/* streamx_syntax.enabled: are the literal statements taken? */
extern bool sx_syntax_enabled;

/* ---- text.c ------------------------------------------------------------- */

/*
 * A place in SQL text.  What ends there reads as '\0'.  With "probe" each
 * page is asked for before it is read, for text that may not be there.
 */
typedef struct SxSqlText
{
	const char *pos;
	const char *end;			/* not read any more; NULL: up to '\0' */
	bool		probe;
	uintptr_t	page;			/* 1 + number of one that can be read */
} SxSqlText;

/*
 * Pages, for SxSqlText: none is smaller.  Two places on one page are both
 * there if one is.
 */
#define SX_SYNTAX_PAGE_SIZE 4096
#define SX_SYNTAX_PAGE(ptr) ((uintptr_t) (ptr) / SX_SYNTAX_PAGE_SIZE + 1)

/* Whitespace and comments, if any; false: a comment does not end. */
extern bool sx_syntax_skip_blanks(SxSqlText *text);

/*
 * The same behind a character that cannot be seen, which may be the first of
 * a comment.
 */
extern bool sx_syntax_skip_blanks_after(SxSqlText *text);

/* A word in any case, and nothing that would make it a longer one. */
extern bool sx_syntax_take_word(SxSqlText *text, const char *word);

/* Can PROT_NONE and unmapped memory be told from other?  Else none is read. */
extern bool sx_syntax_check_probe(void);

/* ---- keyword.c ---------------------------------------------------------- */

/*
 * sx_syntax_install -- teach the keyword table of this process the statements
 *
 * Proves it by parsing.  NULL if that worked; else why not, and the table is
 * as it was.
 */
extern const char *sx_syntax_install(void);

/* ---- statement.c -------------------------------------------------------- */

/* Installs the hooks, ahead of those that are there. */
extern void sx_syntax_install_hooks(void);

#endif							/* SX_SYNTAX_SYNTAX_H */
