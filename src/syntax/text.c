/*-------------------------------------------------------------------------
 * text.c
 *		Words of SQL text with whitespace and comments between them.
 *
 * As scan.l has them.  Nothing here allocates or raises an error: keyword.c
 * runs it from within the scanner, and quote_identifier() looks words up, too.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __linux__
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "syntax/syntax.h"

static bool probe_works = false;

/*
 * Is there memory to be read at ptr?  The kernel says so: it reads the set of
 * signals before it refuses what is to be done with it.
 */
static bool
is_readable(const char *ptr)
{
#if defined(__linux__) && defined(SYS_rt_sigprocmask)
	const int	no_such_how = -1;
	const size_t set_size = 8;
	int			save_errno = errno;
	bool		readable;

	readable = syscall(SYS_rt_sigprocmask, no_such_how,
					   (uintptr_t) ptr & ~(uintptr_t) (set_size - 1),
					   NULL, set_size) == -1 && errno == EINVAL;
	errno = save_errno;
	return readable;
#else
	return false;
#endif
}

bool
sx_syntax_check_probe(void)
{
#ifdef __linux__
	size_t		size = sysconf(_SC_PAGESIZE);
	char	   *page = mmap(NULL, size, PROT_NONE,
							MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	probe_works = page != MAP_FAILED && !is_readable(page) &&
		is_readable((const char *) &probe_works);
	if (page != MAP_FAILED)
		munmap(page, size);
#endif
	return probe_works;
}

static char
peek(SxSqlText *text)
{
	if (text->end && text->pos >= text->end)
		return '\0';
	if (text->probe && SX_SYNTAX_PAGE(text->pos) != text->page)
	{
		if (!probe_works || !is_readable(text->pos))
			return '\0';
		text->page = SX_SYNTAX_PAGE(text->pos);
	}
	return *text->pos;
}

/* The rest of a comment, behind its first two dashes. */
static bool
skip_line(SxSqlText *text)
{
	for (;; text->pos++)
	{
		char		ch = peek(text);

		if (ch == '\n' || ch == '\r')
			return true;
		if (ch == '\0')
			return false;
	}
}

/* The rest of a comment, behind the slash and star; they nest. */
static bool
skip_block(SxSqlText *text)
{
	int			depth = 1;

	while (depth > 0)
	{
		char		ch = peek(text);

		if (ch == '\0')
			return false;
		text->pos++;
		if (ch == '*' && peek(text) == '/')
		{
			text->pos++;
			depth--;
		}
		else if (ch == '/' && peek(text) == '*')
		{
			text->pos++;
			depth++;
		}
	}
	return true;
}

bool
sx_syntax_skip_blanks(SxSqlText *text)
{
	for (;;)
	{
		const char *start = text->pos;
		char		second;

		switch (peek(text))
		{
			case ' ':
			case '\t':
			case '\n':
			case '\r':
			case '\f':
				text->pos++;
				break;
			case '-':
			case '/':
				text->pos++;
				second = peek(text);
				if (second != (*start == '-' ? '-' : '*'))
				{
					text->pos = start;
					return true;
				}
				text->pos++;
				if (!(second == '-' ? skip_line(text) : skip_block(text)))
					return false;
				break;
			default:
				return true;
		}
	}
}

bool
sx_syntax_skip_blanks_after(SxSqlText *text)
{
	switch (peek(text))
	{
		case '*':
			text->pos++;
			if (!skip_block(text))
				return false;
			break;
		case '-':
			text->pos++;
			if (!skip_line(text))
				return false;
			break;
		default:
			break;
	}
	return sx_syntax_skip_blanks(text);
}

static bool
continues_word(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		(ch >= '0' && ch <= '9') || ch == '_' || ch == '$' ||
		IS_HIGHBIT_SET(ch);
}

bool
sx_syntax_take_word(SxSqlText *text, const char *word)
{
	for (; *word; word++, text->pos++)
	{
		char		ch = peek(text);

		if (ch >= 'A' && ch <= 'Z')
			ch += 'a' - 'A';
		if (ch != *word)
			return false;
	}
	return !continues_word(peek(text));
}
