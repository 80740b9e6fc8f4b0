/*-------------------------------------------------------------------------
 * targets.h
 *		What is fuzzed: each target takes bytes, and aborts if what comes out
 *		of them is not what has to.
 *
 * libFuzzer runs them (Makefile), and the unit test fuzz_test.c runs them over
 * the corpus.
 *-------------------------------------------------------------------------
 */
#ifndef TEST_FUZZ_TARGETS_H
#define TEST_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

typedef struct FuzzTarget
{
	const char *name;			/* and of its directory in corpus/ */
	int			(*run) (const uint8_t *data, size_t size);
} FuzzTarget;

extern const FuzzTarget fuzz_targets[]; /* the last has no name */

extern int	fuzz_json(const uint8_t *data, size_t size);
extern int	fuzz_csv(const uint8_t *data, size_t size);
extern int	fuzz_text(const uint8_t *data, size_t size);
extern int	fuzz_values(const uint8_t *data, size_t size);
extern int	fuzz_lines(const uint8_t *data, size_t size);

#endif							/* TEST_FUZZ_TARGETS_H */
