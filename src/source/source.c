/*-------------------------------------------------------------------------
 * source.c
 *		The kinds of sources: one line each.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/source.h"

extern const SxSourceOps sx_source_kafka;
extern const SxSourceOps sx_source_socket;
extern const SxSourceOps sx_source_native;
extern const SxSourceOps sx_source_generator;

static const SxSourceOps *const source_kinds[] = {
	&sx_source_kafka,
	&sx_source_socket,
	&sx_source_native,
	&sx_source_generator,
};

const SxSourceOps *
sx_source_ops(const char *kind)
{
	for (int i = 0; i < lengthof(source_kinds); i++)
	{
		if (strcmp(source_kinds[i]->kind, kind) == 0)
			return source_kinds[i];
	}
	return NULL;
}
