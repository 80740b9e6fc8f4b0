/*-------------------------------------------------------------------------
 * json_parser.h
 *		What streamx takes from simdjson, as plain C.
 *
 * Only standard headers, so that C++ never sees postgres.h.  Nothing throws.
 *-------------------------------------------------------------------------
 */
#ifndef SX_DECODE_JSON_PARSER_H
#define SX_DECODE_JSON_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* Room for the index of one document; one per thread. */
typedef struct SxJsonIndex SxJsonIndex;

typedef enum SxJsonStatus
{
	SX_JSON_OK,
	SX_JSON_BLANK,				/* nothing but white space */
	SX_JSON_BAD_UTF8,
	SX_JSON_CONTROL,			/* unescaped control character in a string */
	SX_JSON_UNCLOSED,			/* a string does not end */
	SX_JSON_TOO_LARGE,			/* 4 GB or more */
	SX_JSON_NO_MEMORY,
	SX_JSON_INTERNAL,
} SxJsonStatus;

/* NULL: out of memory */
extern SxJsonIndex *sx_json_index_create(void);
extern void sx_json_index_free(SxJsonIndex *index);

/*
 * sx_json_index -- find the tokens of a document
 *
 * On SX_JSON_OK the document is valid UTF-8, every string in it is closed and
 * free of control characters, and *at holds the offsets of its *ntokens
 * tokens: each { } [ ] : , outside strings, the opening quote of each string,
 * the first byte of everything else.  at[ntokens] is len.  Between the start
 * of a string and the next token are its bytes, its closing quote and white
 * space only.  Grammar, escapes, numbers and literals are NOT checked.
 *
 * *at belongs to the index and stands until its next use.
 */
extern SxJsonStatus sx_json_index(SxJsonIndex *index, const char *document,
								  size_t len, const uint32_t **at,
								  uint32_t *ntokens);

extern bool sx_utf8_is_valid(const char *text, size_t len);

/*
 * The double or float nearest to a decimal number in JSON's grammar, whatever
 * the locale.  false: out of range (the type's input function says so too).
 */
extern bool sx_decimal_to_double(const char *text, size_t len, double *result);
extern bool sx_decimal_to_float(const char *text, size_t len, float *result);

#ifdef __cplusplus
}
#endif

#endif							/* SX_DECODE_JSON_PARSER_H */
