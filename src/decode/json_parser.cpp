/*-------------------------------------------------------------------------
 * json_parser.cpp
 *		The thin C interface to simdjson, the only C++ file.
 *
 * Taken from simdjson is what its parsers share and what makes them fast:
 * the search for tokens, 64 bytes at a time, with the check of UTF-8 in the
 * same pass, for the processor at hand.  What comes after that is in json.c:
 * simdjson's DOM parser refuses integers beyond 64 bits and forgets how a
 * number was written, its On-Demand parser does not look at what it skips.
 *
 * Everything here is noexcept: simdjson reports by error code and allocates
 * with std::nothrow, and so do we.
 *-------------------------------------------------------------------------
 */
#define SIMDJSON_EXCEPTIONS 0

#include <charconv>
#include <cmath>
#include <memory>
#include <new>

#include <simdjson.h>

#include "decode/json_parser.h"

/* An index made for a larger document is not kept for the small ones. */
static const size_t SMALL_DOCUMENT = 64 * 1024;
static const size_t LARGE_DOCUMENT = 1024 * 1024;

struct SxJsonIndex
{
	std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

SxJsonIndex *
sx_json_index_create(void)
{
	SxJsonIndex *index = new (std::nothrow) SxJsonIndex;

	if (index == nullptr)
		return nullptr;
	/* depth 1: the stacks of simdjson's own parsers stay unused */
	if (simdjson::get_active_implementation()->create_dom_parser_implementation(
			SMALL_DOCUMENT, 1, index->parser) != simdjson::SUCCESS)
	{
		delete index;
		return nullptr;
	}
	return index;
}

void
sx_json_index_free(SxJsonIndex *index)
{
	delete index;
}

SxJsonStatus
sx_json_index(SxJsonIndex *index, const char *document, size_t len,
			  const uint32_t **at, uint32_t *ntokens)
{
	auto	   &parser = *index->parser;
	size_t		capacity = parser.capacity();

	if (len > capacity || (capacity > LARGE_DOCUMENT && len <= SMALL_DOCUMENT))
	{
		if (len > simdjson::SIMDJSON_MAXSIZE_BYTES)
			return SX_JSON_TOO_LARGE;
		if (parser.set_capacity(len > SMALL_DOCUMENT ? len : SMALL_DOCUMENT) !=
			simdjson::SUCCESS)
			return SX_JSON_NO_MEMORY;
	}
	switch (parser.stage1(reinterpret_cast<const uint8_t *>(document), len,
						  simdjson::stage1_mode::regular))
	{
		case simdjson::SUCCESS:
			break;
		case simdjson::EMPTY:
			return SX_JSON_BLANK;
		case simdjson::UTF8_ERROR:
			return SX_JSON_BAD_UTF8;
		case simdjson::UNESCAPED_CHARS:
			return SX_JSON_CONTROL;
		case simdjson::UNCLOSED_STRING:
			return SX_JSON_UNCLOSED;
		default:
			return SX_JSON_INTERNAL;
	}
	*ntokens = parser.n_structural_indexes;
	/* simdjson keeps room for three more than there are bytes */
	parser.structural_indexes[*ntokens] = static_cast<uint32_t>(len);
	*at = parser.structural_indexes.get();
	return SX_JSON_OK;
}

bool
sx_utf8_is_valid(const char *text, size_t len)
{
	return simdjson::validate_utf8(text, len);
}

/* A number that is not zero must not become zero or infinite. */
template<typename T> static bool
from_decimal(const char *text, size_t len, T *result) noexcept
{
	T			value = 0;
	auto		parsed = std::from_chars(text, text + len, value);

	if (parsed.ec != std::errc() || parsed.ptr != text + len)
		return false;
	if (std::isinf(value))
		return false;
	if (value == 0)
	{
		for (size_t i = 0; i < len && text[i] != 'e' && text[i] != 'E'; i++)
			if (text[i] >= '1' && text[i] <= '9')
				return false;
	}
	*result = value;
	return true;
}

bool
sx_decimal_to_double(const char *text, size_t len, double *result)
{
	return from_decimal(text, len, result);
}

bool
sx_decimal_to_float(const char *text, size_t len, float *result)
{
	return from_decimal(text, len, result);
}
