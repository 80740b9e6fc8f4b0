/*-------------------------------------------------------------------------
 * syntax_probe.c
 *		What the parser makes of a text with and without streamx_syntax, as SQL
 *		functions for tests.
 *
 *	 compare_parse(text) returns text
 *		 same		the same tree
 *		 error		the same error at the same place
 *		 errors		an error each, but not the same
 *		 literal	accepted with the library only
 *		 changed	anything else, which must never be
 *	 taken_across_pages(text, text, text) returns boolean
 *		 whether CONTINUOUS is taken in a text whose first part ends a page and
 *		 whose second begins the next, when the part without the word is
 *			there, none (not to be read) or gone (not mapped) by then
 *	 keyword_table_flags() returns text
 *		 how the memory of the server's keyword table is protected
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/keywords.h"
#include "fmgr.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(compare_parse);
PG_FUNCTION_INFO_V1(taken_across_pages);
PG_FUNCTION_INFO_V1(keyword_table_flags);

typedef struct Parse
{
	List	   *trees;
	ErrorData  *error;			/* NULL: accepted */
} Parse;

static Parse
parse(const char *sql, const char *enabled)
{
	MemoryContext context = CurrentMemoryContext;
	Parse		result = {NIL, NULL};
	Parse	   *volatile parse = &result;

	(void) set_config_option("streamx_syntax.enabled", enabled, PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	PG_TRY();
	{
		parse->trees = raw_parser(sql, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		parse->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

Datum
compare_parse(PG_FUNCTION_ARGS)
{
	char	   *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Parse		without = parse(sql, "off");
	Parse		with = parse(sql, "on");
	const char *result = "changed";

	if (without.error && with.error)
		result = strcmp(without.error->message, with.error->message) == 0 &&
			without.error->cursorpos == with.error->cursorpos ?
			"error" : "errors";
	else if (without.error)
		result = "literal";
	else if (!with.error && equal(without.trees, with.trees))
		result = "same";
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

/* As the scanner does it: the word ends in a zero while it is looked up. */
static bool
look_up(char *start, const char *word)
{
	char		after = start[strlen(word)];
	int			keyword;

	start[strlen(word)] = '\0';
	keyword = ScanKeywordLookup(start, &ScanKeywords);
	start[strlen(word)] = after;
	return keyword >= 0;
}

Datum
taken_across_pages(PG_FUNCTION_ARGS)
{
	const char *first = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *second = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *state = text_to_cstring(PG_GETARG_TEXT_PP(2));
	size_t		size = sysconf(_SC_PAGESIZE);
	char	   *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
							 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char	   *text = pages + size - strlen(first);
	char	   *away = strstr(first, "continuous") ? pages + size : pages;
	bool		taken;

	if (pages == MAP_FAILED)
		elog(ERROR, "mmap: %m");
	memcpy(text, first, strlen(first));
	memcpy(pages + size, second, strlen(second));
	look_up(strstr(text, "create"), "create");
	/* strstr() may read on behind what it finds */
	text = strstr(text, "continuous");
	if ((strcmp(state, "none") == 0 && mprotect(away, size, PROT_NONE) != 0) ||
		(strcmp(state, "gone") == 0 && munmap(away, size) != 0))
		elog(ERROR, "%s: %m", state);
	taken = look_up(text, "continuous");
	munmap(pages, 2 * size);
	PG_RETURN_BOOL(taken);
}

Datum
keyword_table_flags(PG_FUNCTION_ARGS)
{
	FILE	   *maps = fopen("/proc/self/maps", "r");
	char		line[1024];
	unsigned long from;
	unsigned long to;
	char		flags[5];

	while (maps && fgets(line, sizeof(line), maps))
	{
		if (sscanf(line, "%lx-%lx %4s", &from, &to, flags) == 3 &&
			from <= (uintptr_t) &ScanKeywords && (uintptr_t) &ScanKeywords < to)
		{
			fclose(maps);
			PG_RETURN_TEXT_P(cstring_to_text(flags));
		}
	}
	elog(ERROR, "the keyword table is in no mapping");
}
