/*-------------------------------------------------------------------------
 * socket_net.h
 *		The connections of a socket stream: what arrives becomes lines.
 *
 * Main thread, never waits.  States: see socket_net.c.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_SOCKET_NET_H
#define SX_SOURCE_SOCKET_NET_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "source/source.h"

/* A line that is not known to be committed in the journal; malloc'd. */
typedef struct SxLine
{
	struct SxLine *next;
	TimestampTz arrived;
	size_t		len;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} SxLine;

typedef struct SxLineQueue
{
	SxLine	   *first;
	SxLine	  **tail;
	size_t		bytes;
	SxLine	   *unwritten;		/* first one not in the transaction under way */
} SxLineQueue;

typedef struct SxSocketNet SxSocketNet;

/* ERROR if the machine has no room for it; lines go to the queue. */
extern SxSocketNet *sx_socket_net_open(const SxStream *stream, SxLineQueue *queue);

/* Readable when there is something to serve. */
extern int	sx_socket_net_fd(const SxSocketNet *net);

/* Whatever the network wants from us now.  ERROR: out of memory. */
extern void sx_socket_net_serve(SxSocketNet *net);

/* Sets conn, sqlstate and error. */
extern void sx_socket_net_status(const SxSocketNet *net, SxSourceStatus *status);
extern void sx_socket_net_close(SxSocketNet *net);

#endif							/* SX_SOURCE_SOCKET_NET_H */
