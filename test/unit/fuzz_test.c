/*-------------------------------------------------------------------------
 * fuzz_test.c
 *		The corpus of test/fuzz, each file of it once.
 *-------------------------------------------------------------------------
 */
#include "../fuzz/targets.c"

#include <dirent.h>

#include "tap.h"

#define CORPUS "../fuzz/corpus"
#define LARGEST_INPUT (1024 * 1024)

/* A failure ends the program: the last name tells which it was. */
static void
run_file(const FuzzTarget *target, const char *name)
{
	char		path[1024];
	uint8_t    *data = malloc(LARGEST_INPUT);
	FILE	   *file;
	size_t		size = 0;

	snprintf(path, sizeof(path), "%s/%s/%s", CORPUS, target->name, name);
	file = fopen(path, "rb");
	if (file)
	{
		size = fread(data, 1, LARGEST_INPUT, file);
		fclose(file);
	}
	fprintf(stderr, "# %s\n", path);
	if (size > 0)
		target->run(data, size);
	free(data);
}

int
main(void)
{
	for (const FuzzTarget *target = fuzz_targets; target->name; target++)
	{
		char		path[1024];
		DIR		   *dir;
		struct dirent *entry;
		int			n = 0;

		snprintf(path, sizeof(path), "%s/%s", CORPUS, target->name);
		dir = opendir(path);
		while (dir && (entry = readdir(dir)) != NULL)
		{
			if (entry->d_name[0] == '.')
				continue;
			run_file(target, entry->d_name);
			n++;
		}
		if (dir)
			closedir(dir);
		ok(n > 0, "%d inputs of the corpus of %s", n, target->name);
	}
	return done_testing();
}
