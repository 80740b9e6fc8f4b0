/*-------------------------------------------------------------------------
 * socket.c
 *		Lines from TCP connections, ours to a server or clients' to us.
 *
 * Two halves.  intake() reads what arrived, cuts it into lines and puts them
 * into the stream's journal (see journal.c), numbered as they came; poll()
 * reads the journal.  A line is a view's business only once it is in the
 * journal: several views, or one that stands behind, read the same lines.
 *
 * Lines taken off a socket stay in memory until the transaction that put them
 * into the journal has committed, and go into the next one if it has not.
 * So only the death of the process loses lines, those it had not committed.
 *
 * A line ends with \n or \r\n; one that is unfinished when its connection
 * ends counts as well.  An empty line is an empty message.  Of a line longer
 * than max_line the beginning is kept, followed by a NUL byte and a note: no
 * format takes a NUL byte, so it becomes a dead letter that says why.
 *
 * Connections, one epoll set for all (also the worker's wait_fd):
 *
 *		connect: DOWN --timer--> CONNECTING --> UP --end, error--> DOWN
 *		listen:	 DOWN --timer--> listening, each client UP until it ends
 *
 * DOWN waits 0.1 s, twice as long each time, up to 10 s.  All is done in the
 * main thread, in intake(); only a host name that is not numeric is looked up
 * with the resolver, which may take its time.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "source/journal.h"
#include "source/journal_internal.h"
#include "source/source.h"

extern const SxSourceOps sx_source_socket;

#define DEFAULT_MAX_LINE		(16 * 1024 * 1024)
#define LARGEST_LINE			(256 * 1024 * 1024)
#define DEFAULT_CONNECTIONS		100
#define READ_BYTES				(64 * 1024)
#define TURN_BYTES				(1024 * 1024)	/* per connection and intake */
#define PENDING_BYTES			((size_t) 32 * 1024 * 1024) /* then no more is read */
#define BACKOFF_FIRST_MS		100
#define BACKOFF_MAX_MS			10000
#define MAX_EVENTS				64

/* One chunk of the journal: about a page, unless a single line is longer. */
#define CHUNK_BYTES				7900
#define CHUNK_LINES				4096

typedef struct Connection
{
	struct Connection *next;
	int			fd;
	bool		connecting;		/* mode connect: not through yet */
	bool		ended;
	char	   *partial;		/* line begun, malloc'd */
	size_t		len;
	size_t		size;
	size_t		dropped;		/* bytes of it beyond max_line */
} Connection;

/* A line that is not known to be committed in the journal. */
typedef struct Line
{
	struct Line *next;
	TimestampTz arrived;
	size_t		len;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} Line;

typedef struct SocketSource
{
	SxSource	base;
	struct SocketSource *next;	/* in "sources" */
	Oid			stream;
	char	   *name;			/* for messages */
	char	   *host;			/* NULL: listen on loopback */
	char	   *port;
	bool		listen;
	size_t		max_line;
	int			max_connections;

	int			epoll_fd;
	int			timer_fd;
	int			listen_fd[2];	/* -1: not there */
	int			address;		/* which one of the host's is being tried */
	Connection *connections;
	int			nconnections;
	int			backoff_ms;
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];

	Line	   *pending;
	Line	  **pending_tail;
	size_t		pending_bytes;
	Line	   *unwritten;		/* first one not in the transaction under way */
	TransactionId written_in;	/* that one; invalid: none */

	/* reading */
	bool		has_origin;
	int64		origin;			/* "from now on", as of the first seek */
	int64		next_offset;	/* -1: from now on, not looked up yet */
	int64		end_offset;		/* of the journal, when last seen */
	int64		hint;			/* no chunk that begins before has
								 * next_offset; -1: unknown */
	bool		at_end;
	MemoryContext poll_cxt;
} SocketSource;

static SocketSource *sources = NULL;
static bool callback_registered = false;

/* ---- memory of lines ---------------------------------------------------- */

/* Free all lines before this one. */
static void
free_lines(SocketSource *s, Line *until)
{
	while (s->pending != until)
	{
		Line	   *line = s->pending;

		s->pending = line->next;
		s->pending_bytes -= line->len + sizeof(Line);
		free(line);
	}
	if (s->pending == NULL)
		s->pending_tail = &s->pending;
}

/* What was written in a transaction is done with when that commits. */
static void
transaction_ended(XactEvent event, void *arg)
{
	SocketSource *s;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	for (s = sources; s != NULL; s = s->next)
	{
		if (!TransactionIdIsValid(s->written_in))
			continue;
		if (event == XACT_EVENT_COMMIT)
			free_lines(s, s->unwritten);
		s->unwritten = s->pending;
		s->written_in = InvalidTransactionId;
	}
}

pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not keep what arrived on a socket.")));
}

/* The connection's line is complete. */
static void
end_line(SocketSource *s, Connection *c)
{
	Line	   *line;
	char		note[96] = "";
	size_t		note_len = 0;

	if (c->dropped > 0)
	{
		note_len = 1 + snprintf(note + 1, sizeof(note) - 1,
								"[longer than max_line: %zu bytes are missing]",
								c->dropped);
		note[0] = '\0';
	}
	else if (c->len > 0 && c->partial[c->len - 1] == '\r')
		c->len--;
	line = malloc(offsetof(Line, bytes) + c->len + note_len + 1);
	if (line == NULL)
		out_of_memory();
	line->next = NULL;
	line->arrived = GetCurrentTimestamp();
	line->len = c->len + note_len;
	if (c->len > 0)
		memcpy(line->bytes, c->partial, c->len);
	memcpy(line->bytes + c->len, note, note_len);
	*s->pending_tail = line;
	s->pending_tail = &line->next;
	s->pending_bytes += line->len + sizeof(Line);
	if (s->unwritten == NULL)
		s->unwritten = line;
	c->len = 0;
	c->dropped = 0;
	if (c->size > READ_BYTES)
	{
		free(c->partial);
		c->partial = NULL;
		c->size = 0;
	}
}

static void
add_bytes(SocketSource *s, Connection *c, const char *bytes, size_t len)
{
	/* one more, for the \r of a line that is just as long as it may be */
	size_t		room = s->max_line + 1 - Min(c->len, s->max_line + 1);
	size_t		take = Min(len, room);

	if (c->len + take > c->size)
	{
		size_t		want = Max(1024, (c->len + take) * 2);
		char	   *bigger = realloc(c->partial, want);

		if (bigger == NULL)
			out_of_memory();
		c->partial = bigger;
		c->size = want;
	}
	memcpy(c->partial + c->len, bytes, take);
	c->len += take;
	c->dropped += len - take;
	if (c->len == s->max_line + 1 &&
		(c->dropped > 0 || c->partial[s->max_line] != '\r'))
	{
		c->len--;
		c->dropped++;
	}
}

static void
split(SocketSource *s, Connection *c, const char *bytes, size_t len)
{
	while (len > 0)
	{
		const char *newline = memchr(bytes, '\n', len);
		size_t		n = newline != NULL ? newline - bytes : len;

		add_bytes(s, c, bytes, n);
		bytes += n;
		len -= n;
		if (newline != NULL)
		{
			end_line(s, c);
			bytes++;
			len--;
		}
	}
}

/* ---- connections -------------------------------------------------------- */

static void
			set_error(SocketSource *s, SxConnState conn, int errorcode, const char *fmt,...)
			pg_attribute_printf(4, 5);

static void
set_error(SocketSource *s, SxConnState conn, int errorcode, const char *fmt,...)
{
	va_list		args;

	s->conn = conn;
	strlcpy(s->sqlstate, unpack_sql_state(errorcode), sizeof(s->sqlstate));
	va_start(args, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, args);
	va_end(args);
}

static void
set_up(SocketSource *s)
{
	s->conn = SX_CONN_UP;
	s->error[0] = '\0';
	s->sqlstate[0] = '\0';
	s->backoff_ms = BACKOFF_FIRST_MS;
}

/* Try again after the back-off. */
static void
arm_timer(SocketSource *s)
{
	struct itimerspec when = {{0}};

	when.it_value.tv_sec = s->backoff_ms / 1000;
	when.it_value.tv_nsec = (long) (s->backoff_ms % 1000) * 1000000;
	if (timerfd_settime(s->timer_fd, 0, &when, NULL) < 0)
		elog(LOG, "could not set a timer: %m");
	s->backoff_ms = Min(s->backoff_ms * 2, BACKOFF_MAX_MS);
}

/* data.ptr of listening sockets and of the timer */
static int	listen_tag;
static int	timer_tag;

static bool
watch(SocketSource *s, int fd, uint32 events, void *ptr)
{
	struct epoll_event event = {0};

	event.events = events;
	event.data.ptr = ptr;
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool
prepare_fd(int fd)
{
	int			flags = fcntl(fd, F_GETFL);
	int			on = 1;

	(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
		fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Takes over the descriptor; false: it is closed. */
static bool
add_connection(SocketSource *s, int fd, bool connecting)
{
	Connection *c = calloc(1, sizeof(Connection));

	if (c == NULL)
	{
		close(fd);
		return false;
	}
	c->fd = fd;
	c->connecting = connecting;
	if (!watch(s, fd, connecting ? EPOLLOUT : EPOLLIN | EPOLLRDHUP, c))
	{
		close(fd);
		free(c);
		return false;
	}
	c->next = s->connections;
	s->connections = c;
	s->nconnections++;
	return true;
}

static void
drop_connection(SocketSource *s, Connection *c)
{
	Connection **link = &s->connections;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	s->nconnections--;
	close(c->fd);				/* leaves the epoll set by that */
	free(c->partial);
	free(c);
}

/* Addresses of host and port; NULL: the error is set. */
static struct addrinfo *
look_up(SocketSource *s)
{
	struct addrinfo hints = {0};
	struct addrinfo *result = NULL;
	int			rc;

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = s->listen && s->host != NULL ? AI_PASSIVE : 0;
	rc = getaddrinfo(s->host, s->port, &hints, &result);
	if (rc != 0)
	{
		set_error(s, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "could not look up host \"%s\": %s",
				  s->host != NULL ? s->host : "localhost", gai_strerror(rc));
		return NULL;
	}
	return result;
}

/*
 * Begin to connect to the address whose turn it is, or the first one after
 * it that takes us that far; with the last one, the round is over.
 */
static void
start_connect(SocketSource *s)
{
	struct addrinfo *list = look_up(s);
	struct addrinfo *a;
	int			i = 0;
	int			error = 0;

	for (a = list; a != NULL; a = a->ai_next, i++)
	{
		int			fd;

		if (i < s->address)
			continue;
		fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (fd < 0 || !prepare_fd(fd))
		{
			error = errno;
			if (fd >= 0)
				close(fd);
			continue;
		}
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
		{
			if (add_connection(s, fd, true))
			{
				s->address = i;
				if (s->conn != SX_CONN_DOWN)
					s->conn = SX_CONN_CONNECTING;
				freeaddrinfo(list);
				return;
			}
			error = ENOMEM;
			break;
		}
		error = errno;
		close(fd);
	}
	s->address = 0;
	if (list != NULL)
		freeaddrinfo(list);

	/* without an error of its own the last address has told one already */
	if (error != 0)
		set_error(s, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "could not connect to host \"%s\" port %s: %s",
				  s->host != NULL ? s->host : "localhost", s->port,
				  strerror(error));
	arm_timer(s);
}

static void
start_listen(SocketSource *s)
{
	struct addrinfo *list = look_up(s);
	struct addrinfo *a;
	int			error = 0;
	int			n = 0;

	for (a = list; a != NULL && n < lengthof(s->listen_fd); a = a->ai_next)
	{
		int			on = 1;
		int			fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);

		if (fd < 0)
		{
			error = errno;
			continue;
		}
		(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (a->ai_family == AF_INET6)
			(void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (!prepare_fd(fd) || bind(fd, a->ai_addr, a->ai_addrlen) < 0 ||
			listen(fd, 128) < 0 || !watch(s, fd, EPOLLIN, &listen_tag))
		{
			error = errno;
			close(fd);
			if (error == EADDRNOTAVAIL)
				continue;		/* a family that this machine does not have */

			/* clients would reach somebody else at that address */
			while (n > 0)
			{
				close(s->listen_fd[--n]);
				s->listen_fd[n] = -1;
			}
			break;
		}
		s->listen_fd[n++] = fd;
	}
	if (list != NULL)
		freeaddrinfo(list);
	if (n > 0)
		set_up(s);
	else
	{
		if (list != NULL)
			set_error(s, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					  "could not listen on host \"%s\" port %s: %s",
					  s->host != NULL ? s->host : "localhost", s->port,
					  strerror(error));
		arm_timer(s);
	}
}

/* Clients that wait, up to the limit; beyond it they are turned away. */
static void
accept_clients(SocketSource *s)
{
	int			i;

	for (i = 0; i < lengthof(s->listen_fd); i++)
	{
		while (s->listen_fd[i] >= 0)
		{
			int			fd = accept(s->listen_fd[i], NULL, NULL);

			if (fd < 0)
			{
				if (errno == EINTR || errno == ECONNABORTED)
					continue;
				break;
			}
			if (s->nconnections >= s->max_connections)
			{
				close(fd);
				set_error(s, SX_CONN_UP, ERRCODE_TOO_MANY_CONNECTIONS,
						  "a client was turned away: %d connections are open",
						  s->nconnections);
				continue;
			}
			if (!prepare_fd(fd))
				close(fd);
			else if (add_connection(s, fd, false))
				set_up(s);		/* there is room again */
		}
	}
}

/* Our connection is through, or not. */
static void
finish_connect(SocketSource *s, Connection *c)
{
	struct epoll_event event = {0};
	int			error = 0;
	socklen_t	len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	event.events = EPOLLIN | EPOLLRDHUP;
	event.data.ptr = c;
	if (error == 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		error = errno;
	if (error == 0)
	{
		c->connecting = false;
		s->address = 0;
		set_up(s);
		return;
	}
	set_error(s, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
			  "could not connect to host \"%s\" port %s: %s",
			  s->host != NULL ? s->host : "localhost", s->port,
			  strerror(error));
	drop_connection(s, c);

	/* a name may stand for several addresses: the next one, at once */
	s->address++;
	start_connect(s);
}

/* Read a connection's turn. */
static void
read_connection(SocketSource *s, Connection *c)
{
	static char buffer[READ_BYTES];
	size_t		total = 0;
	int			error = 0;

	while (total < TURN_BYTES && s->pending_bytes < PENDING_BYTES)
	{
		ssize_t		n = recv(c->fd, buffer, sizeof(buffer), 0);

		if (n > 0)
		{
			split(s, c, buffer, n);
			total += n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		c->ended = true;
		error = n < 0 ? errno : 0;
		break;
	}
	if (!c->ended)
		return;
	if (c->len > 0 || c->dropped > 0)
		end_line(s, c);
	drop_connection(s, c);
	if (!s->listen)
	{
		set_error(s, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "host \"%s\" port %s closed the connection%s%s",
				  s->host != NULL ? s->host : "localhost", s->port,
				  error ? ": " : "", error ? strerror(error) : "");
		arm_timer(s);
	}
}

static void
start(SocketSource *s)
{
	if (s->listen)
		start_listen(s);
	else
		start_connect(s);
}

/* Whatever the network wants from us now; never waits. */
static void
serve_network(SocketSource *s)
{
	struct epoll_event events[MAX_EVENTS];
	int			n;
	int			i;

	n = epoll_wait(s->epoll_fd, events, MAX_EVENTS, 0);
	for (i = 0; i < n; i++)
	{
		void	   *ptr = events[i].data.ptr;

		if (ptr == &timer_tag)
		{
			uint64		times;

			if (read(s->timer_fd, &times, sizeof(times)) == sizeof(times))
				start(s);
		}
		else if (ptr == &listen_tag)
			accept_clients(s);
		else
		{
			/* of one connection there is one event, so it is still there */
			Connection *c = ptr;

			if (c->connecting)
				finish_connect(s, c);
			else
				read_connection(s, c);
		}
	}
}

/* ---- the journal -------------------------------------------------------- */

/* First position after all lines in the journal. */
static int64
journal_end(const SxJournal *journal, Snapshot snapshot)
{
	int64		end = journal->next_position;
	int			i;

	for (i = 0; i < journal->nsegments; i++)
	{
		Relation	rel;
		Relation	index;
		SysScanDesc scan;
		HeapTuple	tup;

		if (!sx_journal_open_segment(journal->segments[i], AccessShareLock,
									 &rel, &index))
			continue;
		if (RelationGetNumberOfBlocks(rel) > 0)
		{
			scan = systable_beginscan_ordered(rel, index, snapshot, 0, NULL);
			tup = systable_getnext_ordered(scan, BackwardScanDirection);
			if (HeapTupleIsValid(tup))
			{
				bool		isnull;
				int64		position;

				position = DatumGetInt64(heap_getattr(tup, SX_LINES_POSITION,
													  RelationGetDescr(rel), &isnull));
				position += DatumGetInt32(heap_getattr(tup, SX_LINES_ROWS,
													   RelationGetDescr(rel), &isnull));
				end = Max(end, position);
			}
			systable_endscan_ordered(scan);
		}
		index_close(index, NoLock);
		relation_close(rel, NoLock);
	}
	return end;
}

int64
sx_journal_next_offset(Oid stream)
{
	SxJournal  *journal;
	Snapshot	snapshot;
	int64		end = 0;

	if (!XactReadOnly)
		sx_journal_create(stream);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(stream, snapshot);
	if (journal != NULL)
		end = journal_end(journal, snapshot);
	UnregisterSnapshot(snapshot);
	return end;
}

/* Append the lines that are not written yet. */
static void
write_lines(SocketSource *s)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "streamx socket journal",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MemoryContext chunk_cxt = AllocSetContextCreate(cxt, "streamx socket chunk",
													ALLOCSET_DEFAULT_SIZES);
	SxJournal  *journal;
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	IndexInfo  *index_info;
	Line	   *line = s->unwritten;
	int64		position;
	bool		index_null = false;

	/* positions are given out by one at a time */
	sx_journal_create(s->stream);
	sx_journal_lock(s->stream);
	PushActiveSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(s->stream, GetActiveSnapshot());
	if (journal == NULL)
		elog(ERROR, "stream %u has no journal", s->stream);
	position = journal_end(journal, GetActiveSnapshot());
	PopActiveSnapshot();
	if (!sx_journal_open_segment(journal->segments[journal->current],
								 RowExclusiveLock, &rel, &index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal of stream %s has no index", s->name),
				 errhint("Wait until the restore of the dump is complete.")));
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	index_info = BuildIndexInfo(index);

	while (line != NULL)
	{
		Datum		elems[CHUNK_LINES];
		Size		bytes = 0;
		TimestampTz arrived = line->arrived;
		int			n = 0;

		MemoryContextSwitchTo(chunk_cxt);
		while (line != NULL && n < CHUNK_LINES &&
			   (n == 0 || bytes + line->len + 8 <= CHUNK_BYTES))
		{
			bytea	   *copy = palloc(VARHDRSZ + line->len);

			SET_VARSIZE(copy, VARHDRSZ + line->len);
			memcpy(VARDATA(copy), line->bytes, line->len);
			elems[n++] = PointerGetDatum(copy);
			bytes += INTALIGN(VARHDRSZ + line->len);
			line = line->next;
		}
		ExecClearTuple(slot);
		memset(slot->tts_isnull, false, sizeof(bool) * SX_LINES_NATTS);
		slot->tts_values[SX_LINES_POSITION - 1] = Int64GetDatum(position);
		slot->tts_values[SX_LINES_ROWS - 1] = Int32GetDatum(n);
		slot->tts_values[SX_LINES_ARRIVED - 1] = TimestampTzGetDatum(arrived);
		slot->tts_values[SX_LINES_LINES - 1] =
			PointerGetDatum(construct_array(elems, n, BYTEAOID, -1, false,
											TYPALIGN_INT));
		ExecStoreVirtualTuple(slot);
		table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
		index_insert(index, &slot->tts_values[SX_LINES_POSITION - 1],
					 &index_null, &slot->tts_tid, rel, UNIQUE_CHECK_NO, false,
					 index_info);
		ExecClearTuple(slot);
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(chunk_cxt);
		position += n;
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	relation_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	/* from here on it is the transaction's end that decides */
	s->unwritten = NULL;
	s->written_in = GetTopTransactionId();
	s->end_offset = position;
}

/* "From now on" is before the first line that is taken in here. */
static void
find_origin(SocketSource *s)
{
	if (s->next_offset >= 0)
		return;
	s->origin = sx_journal_next_offset(s->stream);
	s->has_origin = true;
	s->next_offset = s->origin;
}

static bool
socket_intake(SxSource *base)
{
	SocketSource *s = (SocketSource *) base;

	find_origin(s);
	serve_network(s);
	if (s->unwritten == NULL)
		return false;
	write_lines(s);
	return true;
}

/* ---- the source --------------------------------------------------------- */

/* A number from the server's options, which fdw/ has checked. */
static int64
number_option(const SxStream *stream, const char *name, int64 otherwise)
{
	const char *value = sx_option_get(stream->server_options, name);

	return value == NULL ? otherwise : strtoll(value, NULL, 10);
}

static char *
copy_string(const char *string)
{
	char	   *copy = string == NULL ? NULL : strdup(string);

	if (string != NULL && copy == NULL)
		out_of_memory();
	return copy;
}

static SxSource *
socket_open(const SxStream *stream)
{
	SocketSource *s;
	struct itimerspec now = {{0}};
	const char *mode = sx_option_get(stream->server_options, "mode");
	const char *port = sx_option_get(stream->server_options, "port");

	if (port == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("the server of stream %s has no port", stream->name),
				 errhint("Add the option \"port\" to the server.")));
	s = calloc(1, sizeof(SocketSource));
	if (s == NULL)
		out_of_memory();
	s->base.ops = &sx_source_socket;
	s->stream = stream->relid;
	s->listen = mode != NULL && strcmp(mode, "listen") == 0;
	s->max_line = Min(number_option(stream, "max_line", DEFAULT_MAX_LINE),
					  LARGEST_LINE);
	s->max_connections = number_option(stream, "max_connections",
									   DEFAULT_CONNECTIONS);
	s->listen_fd[0] = s->listen_fd[1] = -1;
	s->backoff_ms = BACKOFF_FIRST_MS;
	s->conn = SX_CONN_CONNECTING;
	s->pending_tail = &s->pending;
	s->hint = -1;
	s->next_offset = -1;
	s->name = copy_string(stream->name);
	s->host = copy_string(sx_option_get(stream->server_options, "host"));
	s->port = copy_string(port);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->timer_fd < 0 ||
		!watch(s, s->timer_fd, EPOLLIN, &timer_tag))
	{
		int			error = errno;

		if (s->epoll_fd >= 0)
			close(s->epoll_fd);
		if (s->timer_fd >= 0)
			close(s->timer_fd);
		free(s->name);
		free(s->host);
		free(s->port);
		free(s);
		errno = error;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not prepare to wait for sockets: %m"),
				 errhint("Raise the limit of open files of the server.")));
	}
	s->poll_cxt = AllocSetContextCreate(TopMemoryContext, "streamx socket poll",
										ALLOCSET_DEFAULT_SIZES);
	if (!callback_registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		callback_registered = true;
	}
	s->next = sources;
	sources = s;

	/*
	 * The first attempt is the timer's: the descriptor is readable at once,
	 * so that whoever waits for it calls intake().
	 */
	now.it_value.tv_nsec = 1;
	(void) timerfd_settime(s->timer_fd, 0, &now, NULL);
	return &s->base;
}

static void
socket_seek(SxSource *base, const SxPosition *positions, int npositions,
			const char *start_option)
{
	SocketSource *s = (SocketSource *) base;
	int			i;

	s->hint = -1;
	s->at_end = false;
	MemoryContextReset(s->poll_cxt);
	for (i = 0; i < npositions; i++)
	{
		if (positions[i].partition == 0 && positions[i].next_offset >= 0)
		{
			s->next_offset = positions[i].next_offset;
			return;
		}
	}
	if (start_option != NULL && strcmp(start_option, "earliest") == 0)
	{
		s->next_offset = 0;
		return;
	}
	/* a second seek without progress is one after a rollback */
	if (s->has_origin)
		s->next_offset = s->origin;
	else
		s->next_offset = -1;
}

/* Next chunks of one segment. */
typedef struct SegmentScan
{
	Relation	rel;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	head;
	int64		position;
	int			rows;
} SegmentScan;

static void
advance_scan(SegmentScan *scan)
{
	bool		isnull;

	scan->head = systable_getnext_ordered(scan->scan, ForwardScanDirection);
	if (scan->head == NULL)
		return;
	scan->position = DatumGetInt64(heap_getattr(scan->head, SX_LINES_POSITION,
												RelationGetDescr(scan->rel),
												&isnull));
	scan->rows = DatumGetInt32(heap_getattr(scan->head, SX_LINES_ROWS,
											RelationGetDescr(scan->rel),
											&isnull));
}

/* Messages of a chunk from next_offset on; their number. */
static int
read_lines(SocketSource *s, SegmentScan *scan, SxMessage *msgs, int max)
{
	TupleDesc	desc = RelationGetDescr(scan->rel);
	bool		isnull;
	TimestampTz arrived;
	ArrayType  *lines;
	Datum	   *elems;
	int			nelems;
	int			n = 0;
	int			i;

	arrived = DatumGetTimestampTz(heap_getattr(scan->head, SX_LINES_ARRIVED,
											   desc, &isnull));
	lines = DatumGetArrayTypePCopy(heap_getattr(scan->head, SX_LINES_LINES,
												desc, &isnull));
	deconstruct_array(lines, BYTEAOID, -1, false, TYPALIGN_INT, &elems, NULL,
					  &nelems);
	for (i = s->next_offset - scan->position; i < nelems && n < max; i++)
	{
		SxMessage  *msg = &msgs[n++];

		memset(msg, 0, sizeof(*msg));
		msg->payload = VARDATA_ANY(DatumGetPointer(elems[i]));
		msg->payload_len = VARSIZE_ANY_EXHDR(DatumGetPointer(elems[i]));
		msg->partition = 0;
		msg->position = scan->position + i;
		msg->timestamp_us = arrived;
		msg->arrival_us = arrived;
	}
	s->next_offset += n;
	return n;
}

static int
socket_poll(SxSource *base, SxMessage *msgs, int max_msgs, int timeout_ms,
			const SxPosition **moved, int *nmoved)
{
	SocketSource *s = (SocketSource *) base;
	MemoryContext old;
	Snapshot	snapshot;
	SxJournal  *journal;
	SegmentScan scans[SX_JOURNAL_MAX_SEGMENTS];
	int			nscans = 0;
	int			n = 0;
	int			i;

	*moved = NULL;
	*nmoved = 0;
	find_origin(s);
	old = MemoryContextSwitchTo(s->poll_cxt);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	journal = sx_journal_read(s->stream, snapshot);
	for (i = 0; journal != NULL && i < journal->nsegments; i++)
	{
		SegmentScan *scan = &scans[nscans];
		ScanKeyData key;

		if (!sx_journal_open_segment(journal->segments[i], AccessShareLock,
									 &scan->rel, &scan->index))
			continue;
		nscans++;
		ScanKeyInit(&key, SX_LINES_POSITION, BTGreaterEqualStrategyNumber,
					F_INT8GE,
					Int64GetDatum(s->hint >= 0 ? s->hint :
								  s->next_offset - CHUNK_LINES));
		scan->scan = systable_beginscan_ordered(scan->rel, scan->index,
												snapshot, 1, &key);
		advance_scan(scan);
	}
	s->at_end = true;
	for (;;)
	{
		SegmentScan *best = NULL;

		for (i = 0; i < nscans; i++)
		{
			if (scans[i].head != NULL &&
				(best == NULL || scans[i].position < best->position))
				best = &scans[i];
		}
		if (best == NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		if (best->position + best->rows > s->next_offset)
		{
			if (n == max_msgs)
			{
				s->at_end = false;
				break;
			}
			/* what lies before was kept for too short a time: go on here */
			if (best->position > s->next_offset)
				s->next_offset = best->position;
			s->hint = best->position;
			n += read_lines(s, best, msgs + n, max_msgs - n);
			if (s->next_offset < best->position + best->rows)
			{
				s->at_end = false;
				break;
			}
			s->hint = s->next_offset;
		}
		advance_scan(best);
	}
	for (i = 0; i < nscans; i++)
	{
		systable_endscan_ordered(scans[i].scan);
		index_close(scans[i].index, NoLock);
		relation_close(scans[i].rel, NoLock);
	}
	s->end_offset = Max(s->end_offset, s->next_offset);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(old);
	if (n == 0)
		MemoryContextReset(s->poll_cxt);
	return n;
}

static void
socket_release(SxSource *base)
{
	MemoryContextReset(((SocketSource *) base)->poll_cxt);
}

static void
socket_status(SxSource *base, SxSourceStatus *status)
{
	SocketSource *s = (SocketSource *) base;

	memset(status, 0, sizeof(*status));
	status->conn = s->conn;
	strlcpy(status->sqlstate, s->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, s->error, sizeof(status->error));
	status->partitions = calloc(1, sizeof(SxPartitionStatus));
	if (status->partitions == NULL)
		return;
	status->npartitions = 1;
	status->partitions[0].partition = 0;
	status->partitions[0].next_offset = Max(s->next_offset, 0);
	status->partitions[0].end_offset = Max(s->end_offset, s->next_offset);
	status->partitions[0].at_end = s->at_end && s->pending == NULL;
}

static int
socket_wait_fd(SxSource *base)
{
	return ((SocketSource *) base)->epoll_fd;
}

static int
socket_poll_interval_ms(SxSource *base)
{
	return 1000;
}

static void
socket_close(SxSource *base)
{
	SocketSource *s = (SocketSource *) base;
	SocketSource **link = &sources;
	int			i;

	while (*link != NULL && *link != s)
		link = &(*link)->next;
	if (*link == s)
		*link = s->next;
	while (s->connections != NULL)
		drop_connection(s, s->connections);
	for (i = 0; i < lengthof(s->listen_fd); i++)
	{
		if (s->listen_fd[i] >= 0)
			close(s->listen_fd[i]);
	}
	close(s->timer_fd);
	close(s->epoll_fd);
	free_lines(s, NULL);
	MemoryContextDelete(s->poll_cxt);
	free(s->name);
	free(s->host);
	free(s->port);
	free(s);
}

const SxSourceOps sx_source_socket = {
	.kind = "socket",
	.threaded = false,
	.replayable = false,
	.open = socket_open,
	.seek = socket_seek,
	.poll = socket_poll,
	.release = socket_release,
	.intake = socket_intake,
	.status = socket_status,
	.wait_fd = socket_wait_fd,
	.poll_interval_ms = socket_poll_interval_ms,
	.close = socket_close,
};
