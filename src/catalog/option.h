/*-------------------------------------------------------------------------
 * option.h
 *		The options of servers, streams and columns: which there are, where
 *		they go, what values they take.
 *-------------------------------------------------------------------------
 */
#ifndef SX_CATALOG_OPTION_H
#define SX_CATALOG_OPTION_H

#include "postgres.h"

#include "foreign/foreign.h"
#include "lib/stringinfo.h"

/* Where an option goes. */
#define SX_ON_SERVER		0x01
#define SX_ON_USER_MAPPING	0x02
#define SX_ON_STREAM		0x04
#define SX_ON_COLUMN		0x08

/* Kinds of streams that know it. */
#define SX_KIND_KAFKA		0x01
#define SX_KIND_SOCKET		0x02
#define SX_KIND_GENERATOR	0x04
#define SX_KIND_NATIVE		0x08
#define SX_KIND_ANY			0x0f

typedef enum SxOptionType
{
	SX_OPTION_STRING,			/* anything */
	SX_OPTION_NAME,				/* anything but the empty string */
	SX_OPTION_FILE,				/* likewise; a file that the server reads */
	SX_OPTION_CHAR,				/* one single-byte character */
	SX_OPTION_INTERVAL,			/* not negative, without months */
	SX_OPTION_ENUM,				/* one of "values" */
	SX_OPTION_INTEGER,			/* from min to max */
	SX_OPTION_NUMBER,			/* from min to max */
	SX_OPTION_START,			/* earliest, latest or a timestamp */
	SX_OPTION_PATH				/* dotted JSON path or '' */
} SxOptionType;

typedef struct SxOption
{
	const char *name;
	int			where;			/* SX_ON_... */
	int			kinds;			/* SX_KIND_... */
	SxOptionType type;
	const char *const *values;	/* SX_OPTION_ENUM */
	double		min;
	double		max;
} SxOption;

/* All of them; the last one's name is NULL. */
extern const SxOption sx_options[];

/* NULL: there is none of that name at any of these places. */
extern const SxOption *sx_option_lookup(const char *name, int where);

/* ERROR with what is accepted unless the value is. */
extern void sx_option_check(const SxOption *option, const char *value);

/* Microseconds of an interval; ERROR as above. */
extern int64 sx_option_interval_us(const char *name, const char *value);

/* Bit of a kind of stream; 0: there is none of that name. */
extern int	sx_kind_by_name(const char *name);
extern const char *sx_kind_name(int kind);

/* Kind of the streams on a server; ERROR if its type is none of ours. */
extern int	sx_server_kind(const ForeignServer *server);

/* ERROR unless the server's options go together and with its type. */
extern void sx_server_check(const ForeignServer *server);

/* "a", "b" or "c" */
extern void sx_option_list_values(StringInfo buf, const char *const *values);

#endif							/* SX_CATALOG_OPTION_H */
