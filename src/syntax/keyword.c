/*-------------------------------------------------------------------------
 * keyword.c
 *		A word that the scanner takes for a keyword, in its place only.
 *
 * The scanner looks each unquoted word up in ScanKeywords, through the hash
 * function that this table points to.  We put a function of our own there,
 * and copies of the keywords' text and offsets with our word added.  Where
 *
 *		CREATE [OR REPLACE] CONTINUOUS VIEW			is read as UNLOGGED
 *		CREATE CONTINUOUS VIEW IF NOT				is read as MATERIALIZED
 *		DROP CONTINUOUS VIEW						is read as MATERIALIZED
 *
 * it says that the word is that keyword, whose offset then leads to our
 * spelling so that the comparison succeeds; the next lookup, of whatever word,
 * takes that back.  No byte of the query is written, and no code is changed.
 *
 * Invariants:
 * - Only the words before and behind decide, as they stand in the text; a
 *   quoted word or one in a literal is never looked up.  UNLOGGED and
 *   MATERIALIZED are unreserved and carry the typed spelling: taken for a
 *   name by the grammar, the word is the name that was typed.
 * - The text before is where the last lookup was, if that was of the same
 *   text at all.  It may be gone by now: it is read only if it is less than a
 *   page away, and only once the kernel has said that the page is there.  The
 *   same holds for the text behind.
 * - The lookup neither allocates nor raises errors.
 * - The server's table is written in install() and uninstall() alone, through
 *   pages that are made writable for just that and are never executable.
 *
 * What comes of it is settled in statement.c.  Anything that does not work
 * here leaves, or puts back, the server's own table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "catalog/pg_class.h"
#include "common/keywords.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/memutils.h"

#include "syntax/syntax.h"

#ifndef __linux__

const char *
sx_syntax_install(void)
{
	return "It works on Linux only.";
}

#else

#define OUR_WORD "continuous"

/* What the last lookup was of, if it can stand before our word. */
typedef enum LastWord
{
	WORD_OTHER,
	WORD_CREATE,
	WORD_OR,					/* behind CREATE */
	WORD_REPLACE,				/* behind CREATE OR */
	WORD_DROP
} LastWord;

static const char *const last_words[] = {NULL, "create", "or", "replace", "drop"};

static LastWord last_word = WORD_OTHER;
static const char *last_key = NULL;

/* The server's table; the compiler must not take it for constant. */
static const ScanKeywordList *volatile server_table = &ScanKeywords;

static ScanKeywordList stock;	/* the table as it was */
static uint16 *offsets;			/* of our copy */
static uint16 our_offset;
static int	unlogged;
static int	materialized;
static int	aliased = -1;		/* keyword that is spelled our way, or -1 */

static void
undo_alias(void)
{
	if (aliased >= 0)
		offsets[aliased] = stock.kw_offsets[aliased];
	aliased = -1;
}

static bool
is_word(const char *key, size_t len, const char *word)
{
	if (len != strlen(word))
		return false;
	for (size_t i = 0; i < len; i++)
	{
		char		ch = key[i];

		if (ch >= 'A' && ch <= 'Z')
			ch += 'a' - 'A';
		if (ch != word[i])
			return false;
	}
	return true;
}

/* Does key stand right behind the word of the last lookup, in its text? */
static bool
follows(const char *key)
{
	SxSqlText	text = {0};

	if ((uintptr_t) key <= (uintptr_t) last_key ||
		(uintptr_t) key - (uintptr_t) last_key >= SX_SYNTAX_PAGE_SIZE)
		return false;
	text.pos = last_key;
	text.end = key + 1;
	text.probe = true;
	text.page = SX_SYNTAX_PAGE(key);
	return sx_syntax_take_word(&text, last_words[last_word]) &&
		sx_syntax_skip_blanks(&text) && text.pos == key;
}

/*
 * Which keyword our word stands for, by the text behind it; -1: none.  The
 * scanner has put a '\0' in the place of the character that ends the word, so
 * that one is unknown.  No token it may begin can stand where VIEW is wanted:
 * guessing wrong gives a syntax error either way.
 */
static int
keyword_meant(const char *key, size_t len)
{
	SxSqlText	text = {0};

	text.pos = key + len + 1;
	text.end = text.pos + SX_SYNTAX_PAGE_SIZE;
	text.probe = true;
	text.page = SX_SYNTAX_PAGE(key + len);
	if (!sx_syntax_skip_blanks_after(&text) ||
		!sx_syntax_take_word(&text, "view"))
		return -1;
	if (last_word == WORD_DROP)
		return materialized;
	if (last_word == WORD_CREATE &&
		sx_syntax_skip_blanks(&text) && sx_syntax_take_word(&text, "if") &&
		sx_syntax_skip_blanks(&text) && sx_syntax_take_word(&text, "not"))
		return materialized;
	return unlogged;
}

/*
 * In the place of the keyword table's hash function: the number of the
 * keyword that this can only be.
 */
static int
keyword_hash(const void *key, size_t len)
{
	const char *word = key;
	LastWord	now = WORD_OTHER;
	int			meant = -1;

	undo_alias();
	if (sx_syntax_enabled)
	{
		if (is_word(word, len, "create"))
			now = WORD_CREATE;
		else if (is_word(word, len, "drop"))
			now = WORD_DROP;
		else if (last_word == WORD_CREATE && is_word(word, len, "or") &&
				 follows(word))
			now = WORD_OR;
		else if (last_word == WORD_OR && is_word(word, len, "replace") &&
				 follows(word))
			now = WORD_REPLACE;
		else if (last_word != WORD_OTHER && last_word != WORD_OR &&
				 is_word(word, len, OUR_WORD) && follows(word))
			meant = keyword_meant(word, len);
	}
	last_word = now;
	last_key = word;
	if (meant < 0)
		return stock.hash(key, len);
	offsets[meant] = our_offset;
	aliased = meant;
	return meant;
}

/* ---- the server's table ------------------------------------------------- */

/*
 * How the pages from start to end are protected now, if they are one mapping
 * that is not executable.
 */
static bool
find_protection(uintptr_t start, uintptr_t end, int *protection)
{
	FILE	   *maps = fopen("/proc/self/maps", "r");
	char		line[256];
	bool		found = false;
	bool		line_start = true;

	if (maps == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), maps))
	{
		unsigned long from;
		unsigned long to;
		char		flags[5];
		bool		whole = line_start;

		line_start = strchr(line, '\n') != NULL;
		if (!whole || sscanf(line, "%lx-%lx %4s", &from, &to, flags) != 3 ||
			start < from || end > to)
			continue;
		if (flags[0] != 'r' || flags[2] == 'x')
			break;
		*protection = PROT_READ | (flags[1] == 'w' ? PROT_WRITE : 0);
		found = true;
	}
	fclose(maps);
	return found;
}

/* Points the server's table to these; NULL, or why it could not be. */
static const char *
set_table(const ScanKeywordList *to)
{
	ScanKeywordList *table = unconstify(ScanKeywordList *, server_table);
	uintptr_t	page_size = sysconf(_SC_PAGESIZE);
	uintptr_t	start = (uintptr_t) table / page_size * page_size;
	uintptr_t	end = ((uintptr_t) (table + 1) + page_size - 1) / page_size * page_size;
	int			protection;

	if (!find_protection(start, end, &protection))
		return "The memory of the server's keyword table was not found, or is executable.";
	if (!(protection & PROT_WRITE) &&
		mprotect((void *) start, end - start, protection | PROT_WRITE) != 0)
		return "The operating system does not allow to change the server's keyword table.";
	table->kw_string = to->kw_string;
	table->kw_offsets = to->kw_offsets;
	table->hash = to->hash;
	if (!(protection & PROT_WRITE) &&
		mprotect((void *) start, end - start, protection) != 0)
		ereport(LOG,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not protect the server's keyword table again: %m")));
	return NULL;
}

/* ---- proof -------------------------------------------------------------- */

/* Has to be a syntax error, with and without us. */
static const char *const refused[] = {
	"CREATE \"continuous\" VIEW v AS SELECT 1",
	"CREATE CONTINUOUS TABLE t (a int)",
	"CREATE CONTINUOUS MATERIALIZED VIEW v AS SELECT 1",
	"CREATE CONTINUOUS RECURSIVE VIEW v (a) AS SELECT 1",
	"CREATE TEMP CONTINUOUS VIEW v AS SELECT 1",
	"CREATE OR REPLACE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT 1",
	"CREATE CONTINUOUS \"view\" v AS SELECT 1",
	"DROP CONTINUOUS TABLE t",
	"DROP \"continuous\" VIEW v",
	"CREATE CONTINUOUS",
};

/* Has to be the same, with and without us. */
static const char *const untouched[] = {
	"SELECT continuous, view FROM continuous AS view",
	"SELECT t.create continuous, t.drop continuous FROM view t",
	"SELECT 'CREATE CONTINUOUS VIEW v', $$DROP CONTINUOUS VIEW v$$ AS \"create continuous view\"",
	"CREATE /* CONTINUOUS */ VIEW continuous AS SELECT 1 AS view",
	"CREATE UNLOGGED TABLE continuous (view int); DROP VIEW continuous, view",
	"CREATE MATERIALIZED VIEW IF NOT EXISTS continuous AS SELECT 1",
};

/* The trees; NIL: a syntax error. */
static List *
parse(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *volatile trees = NIL;

	PG_TRY();
	{
		trees = raw_parser(sql, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		/* the parser holds nothing but memory: there is nothing to roll back */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return trees;
}

static Node *
parse_one(const char *sql)
{
	List	   *trees = parse(sql);

	return list_length(trees) == 1 ? linitial_node(RawStmt, trees)->stmt : NULL;
}

static bool
makes_view(const char *sql, bool replace)
{
	ViewStmt   *view = (ViewStmt *) parse_one(sql);

	return view && IsA(view, ViewStmt) && view->replace == replace &&
		view->view->relpersistence == RELPERSISTENCE_UNLOGGED &&
		strcmp(view->view->relname, "v") == 0 &&
		view->view->location == (int) (strstr(sql, " v ") + 1 - sql);
}

static bool
literals_are_parsed(void)
{
	CreateTableAsStmt *create;
	DropStmt   *drop;

	if (!makes_view("CREATE CONTINUOUS VIEW v AS SELECT 1", false) ||
		!makes_view("create or/**/replace\r\n Continuous--\n/*/**/*/View v WITH (emit = 'update') AS SELECT 1", true))
		return false;
	create = (CreateTableAsStmt *) parse_one("CREATE CONTINUOUS/* */VIEW IF NOT EXISTS v AS SELECT 1");
	if (create == NULL || !IsA(create, CreateTableAsStmt) ||
		create->objtype != OBJECT_MATVIEW || !create->if_not_exists)
		return false;
	drop = (DropStmt *) parse_one("DROP CONTINUOUS VIEW IF EXISTS s.a, b CASCADE");
	return drop && IsA(drop, DropStmt) && drop->removeType == OBJECT_MATVIEW &&
		list_length(drop->objects) == 2;
}

/* The table shows nothing of us between lookups. */
static bool
table_looks_stock(void)
{
	const ScanKeywordList *table = server_table;

	(void) ScanKeywordLookup("a", table);
	for (int i = 0; i < stock.num_keywords; i++)
	{
		if (strcmp(GetScanKeyword(i, table),
				   GetScanKeyword(i, &stock)) != 0 ||
			ScanKeywordLookup(GetScanKeyword(i, &stock), table) != i)
			return false;
	}
	return ScanKeywordLookup(OUR_WORD, table) < 0;
}

static bool
works(List *const *trees)
{
	if (!literals_are_parsed())
		return false;
	for (int i = 0; i < lengthof(refused); i++)
	{
		if (parse(refused[i]) != NIL)
			return false;
	}
	for (int i = 0; i < lengthof(untouched); i++)
	{
		if (trees[i] == NIL || !equal(parse(untouched[i]), trees[i]))
			return false;
	}
	return table_looks_stock();
}

/* Installs the table and keeps it if it works; NULL, or why not. */
static const char *
install(const ScanKeywordList *ours)
{
	List	   *trees[lengthof(untouched)];
	const char *why;

	for (int i = 0; i < lengthof(untouched); i++)
		trees[i] = parse(untouched[i]);
	why = set_table(ours);
	if (why != NULL)
		return why;
	if (works(trees))
		return NULL;
	undo_alias();
	why = set_table(&stock);
	return why ? why : "This server does not parse as it should then.";
}

const char *
sx_syntax_install(void)
{
	ScanKeywordList ours;
	MemoryContext scratch;
	MemoryContext caller;
	char	   *string;
	size_t		size;
	bool		exit_on_error = ExitOnAnyError;
	bool		enabled = sx_syntax_enabled;
	const char *why;

	stock = *server_table;
	unlogged = ScanKeywordLookup("unlogged", &stock);
	materialized = ScanKeywordLookup("materialized", &stock);
	if (unlogged < 0 || materialized < 0 ||
		ScanKeywordLookup(OUR_WORD, &stock) >= 0 ||
		strlen(OUR_WORD) > stock.max_kw_len)
		return "This server has other keywords than expected.";
	size = stock.kw_offsets[stock.num_keywords - 1] +
		strlen(GetScanKeyword(stock.num_keywords - 1, &stock)) + 1;
	if (size > PG_UINT16_MAX)
		return "This server has other keywords than expected.";
	if (!sx_syntax_check_probe())
		return "The operating system does not tell which memory can be read.";

	our_offset = size;
	string = MemoryContextAlloc(TopMemoryContext, size + sizeof(OUR_WORD));
	memcpy(string, stock.kw_string, size);
	memcpy(string + size, OUR_WORD, sizeof(OUR_WORD));
	offsets = MemoryContextAlloc(TopMemoryContext,
								 stock.num_keywords * sizeof(uint16));
	memcpy(offsets, stock.kw_offsets, stock.num_keywords * sizeof(uint16));
	ours = stock;
	ours.kw_string = string;
	ours.kw_offsets = offsets;
	ours.hash = keyword_hash;

	/* syntax errors are among what is tried: they are to end nothing */
	scratch = AllocSetContextCreate(CurrentMemoryContext,
									"streamx_syntax self-test",
									ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(scratch);
	ExitOnAnyError = false;
	sx_syntax_enabled = true;
	why = install(&ours);
	sx_syntax_enabled = enabled;
	ExitOnAnyError = exit_on_error;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return why;
}

#endif							/* __linux__ */
