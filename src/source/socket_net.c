/*-------------------------------------------------------------------------
 * socket_net.c
 *		The connections of a socket stream: what arrives becomes lines.
 *
 * One epoll set for all (also the worker's wait_fd):
 *
 *		connect: DOWN --timer--> CONNECTING --> [TLS handshake] --> UP
 *				 --end, error--> DOWN
 *		listen:	 DOWN --timer--> listening; each client [TLS handshake] --> UP
 *				 until it ends, is silent for max_idle, or holds too much
 *
 * DOWN waits 0.1 s, twice as long each time, up to 10 s.  FAILED waits for
 * other options: certificates or a key that cannot be used.  Only a host name
 * that is not numeric is looked up with the resolver, which may take its time.
 *
 * Limits of a listening socket: max_connections clients, max_line bytes in a
 * line, PARTIAL_BYTES in the unfinished lines of all, HANDSHAKE_MS for TLS,
 * max_idle of silence.
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
#include <time.h>
#include <unistd.h>

#include "utils/elog.h"
#include "utils/timestamp.h"

#include "catalog/option.h"
#include "compat.h"
#include "source/lines.h"
#include "source/socket_net.h"
#include "source/socket_tls.h"

#define DEFAULT_MAX_LINE		(16 * 1024 * 1024)
#define LARGEST_LINE			(256 * 1024 * 1024)
#define DEFAULT_CONNECTIONS		100
#define DEFAULT_MAX_IDLE_US		USECS_PER_HOUR
#define HANDSHAKE_MS			10000
#define SWEEP_MS				1000	/* between looks for silent clients */
#define READ_BYTES				(64 * 1024)
#define TURN_BYTES				(1024 * 1024)	/* per connection and look */
#define TURN_CLIENTS			64	/* taken per look */
#define PENDING_BYTES			((size_t) 32 * 1024 * 1024) /* then no more is read */
#define PARTIAL_BYTES			((size_t) 64 * 1024 * 1024)
#define BACKOFF_FIRST_MS		100
#define BACKOFF_MAX_MS			10000
#define MAX_EVENTS				64

typedef struct Connection
{
	struct Connection *next;
	int			fd;
	bool		connecting;		/* mode connect: not through yet */
	SxTlsSession *session;		/* NULL: without TLS */
	bool		shaking;		/* its handshake is not through */
	uint32		events;			/* that epoll looks for */
	int64		active_ms;		/* when something came last, or it began */
	SxLines		lines;
} Connection;

struct SxSocketNet
{
	char	   *host;			/* NULL: listen on loopback */
	char	   *port;
	bool		listen;
	size_t		max_line;
	int			max_connections;
	int64		max_idle_ms;	/* 0: for ever */

	bool		secure;
	SxTlsOptions tls_options;	/* strdup'ed */
	SxTls	   *tls;			/* NULL: not made yet */

	int			epoll_fd;
	int			timer_fd;
	int			listen_fd[2];	/* -1: not there */
	bool		accepting;		/* epoll looks at them */
	int			address;		/* which one of the host's is being tried */
	Connection *connections;
	int			nconnections;
	size_t		partial_bytes;	/* of all unfinished lines */
	int64		swept_ms;
	int			backoff_ms;
	SxConnState conn;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	SxLineQueue *queue;
};

static int64
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *
host_name(const SxSocketNet *net)
{
	return net->host != NULL ? net->host : "localhost";
}

pg_noreturn static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not keep what arrived on a socket.")));
}

/* A line is complete: into the queue. */
static bool
keep_line(void *arg, const char *bytes, size_t len, size_t missing)
{
	SxLineQueue *queue = arg;
	SxLine	   *line;
	char		note[96] = "";
	size_t		note_len = 0;

	if (missing > 0)
		note_len = 1 + snprintf(note + 1, sizeof(note) - 1,
								"[longer than max_line: %zu bytes are missing]",
								missing);
	line = malloc(offsetof(SxLine, bytes) + len + note_len + 1);
	if (line == NULL)
		return false;
	line->next = NULL;
	line->arrived = GetCurrentTimestamp();
	line->len = len + note_len;
	if (len > 0)
		memcpy(line->bytes, bytes, len);
	memcpy(line->bytes + len, note, note_len);
	*queue->tail = line;
	queue->tail = &line->next;
	queue->bytes += line->len + sizeof(SxLine);
	if (queue->unwritten == NULL)
		queue->unwritten = line;
	return true;
}

/* ---- connections -------------------------------------------------------- */

static void
			set_error(SxSocketNet *net, SxConnState conn, int errorcode, const char *fmt,...)
			pg_attribute_printf(4, 5);

static void
set_error(SxSocketNet *net, SxConnState conn, int errorcode, const char *fmt,...)
{
	va_list		args;

	net->conn = conn;
	strlcpy(net->sqlstate, unpack_sql_state(errorcode), sizeof(net->sqlstate));
	va_start(args, fmt);
	vsnprintf(net->error, sizeof(net->error), fmt, args);
	va_end(args);
}

static void
set_up(SxSocketNet *net)
{
	net->conn = SX_CONN_UP;
	net->error[0] = '\0';
	net->sqlstate[0] = '\0';
	net->backoff_ms = BACKOFF_FIRST_MS;
}

/* Try again after the back-off. */
static void
arm_timer(SxSocketNet *net)
{
	struct itimerspec when = {{0}};

	when.it_value.tv_sec = net->backoff_ms / 1000;
	when.it_value.tv_nsec = (long) (net->backoff_ms % 1000) * 1000000;
	if (timerfd_settime(net->timer_fd, 0, &when, NULL) < 0)
		elog(LOG, "could not set a timer: %m");
	net->backoff_ms = Min(net->backoff_ms * 2, BACKOFF_MAX_MS);
}

/* data.ptr of listening sockets and of the timer */
static int	listen_tag;
static int	timer_tag;

static bool
watch(SxSocketNet *net, int fd, uint32 events, void *ptr)
{
	struct epoll_event event = {0};

	event.events = events;
	event.data.ptr = ptr;
	return epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
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

/* Look for these events of a connection from now on; false: cannot. */
static bool
look_for(SxSocketNet *net, Connection *c, uint32 events)
{
	struct epoll_event event = {0};

	if (c->events == events)
		return true;
	c->events = event.events = events;
	event.data.ptr = c;
	return epoll_ctl(net->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) == 0;
}

/* TLS begins on a connection that is through. */
static bool
begin_session(SxSocketNet *net, Connection *c)
{
	if (!net->secure)
		return true;
	c->session = sx_tls_begin(net->tls, c->fd, net->listen ? NULL : host_name(net));
	c->shaking = true;
	return c->session != NULL;
}

/* Takes over the descriptor; NULL: it is closed. */
static Connection *
add_connection(SxSocketNet *net, int fd, bool connecting)
{
	Connection *c = calloc(1, sizeof(Connection));

	if (c == NULL)
	{
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->connecting = connecting;
	c->active_ms = now_ms();
	c->lines.max_line = net->max_line;
	c->events = connecting ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;
	if (!watch(net, fd, c->events, c) || (!connecting && !begin_session(net, c)))
	{
		close(fd);
		free(c);
		return NULL;
	}
	c->next = net->connections;
	net->connections = c;
	net->nconnections++;
	return c;
}

static void
drop_connection(SxSocketNet *net, Connection *c)
{
	Connection **link = &net->connections;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	net->nconnections--;
	net->partial_bytes -= c->lines.size;
	sx_tls_end(c->session);
	close(c->fd);				/* leaves the epoll set by that */
	sx_lines_free(&c->lines);
	free(c);
}

/* Addresses of host and port; NULL: the error is set. */
static struct addrinfo *
look_up(SxSocketNet *net)
{
	struct addrinfo hints = {0};
	struct addrinfo *result = NULL;
	int			rc;

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = net->listen && net->host != NULL ? AI_PASSIVE : 0;
	rc = getaddrinfo(net->host, net->port, &hints, &result);
	if (rc != 0)
	{
		set_error(net, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "could not look up host \"%s\": %s",
				  host_name(net), gai_strerror(rc));
		return NULL;
	}
	return result;
}

/*
 * Begin to connect to the address whose turn it is, or the first one after
 * it that takes us that far; with the last one, the round is over.
 */
static void
start_connect(SxSocketNet *net)
{
	struct addrinfo *list = look_up(net);
	struct addrinfo *a;
	int			i = 0;
	int			error = 0;

	for (a = list; a != NULL; a = a->ai_next, i++)
	{
		int			fd;

		if (i < net->address)
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
			if (add_connection(net, fd, true))
			{
				net->address = i;
				if (net->conn != SX_CONN_DOWN)
					net->conn = SX_CONN_CONNECTING;
				freeaddrinfo(list);
				return;
			}
			error = ENOMEM;
			break;
		}
		error = errno;
		close(fd);
	}
	net->address = 0;
	if (list != NULL)
		freeaddrinfo(list);

	/* without an error of its own the last address has told one already */
	if (error != 0)
		set_error(net, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "could not connect to host \"%s\" port %s: %s",
				  host_name(net), net->port,
				  strerror(error));
	arm_timer(net);
}

static void
start_listen(SxSocketNet *net)
{
	struct addrinfo *list = look_up(net);
	struct addrinfo *a;
	int			error = 0;
	int			n = 0;

	for (a = list; a != NULL && n < lengthof(net->listen_fd); a = a->ai_next)
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
			listen(fd, 128) < 0 || !watch(net, fd, EPOLLIN, &listen_tag))
		{
			error = errno;
			close(fd);
			if (error == EADDRNOTAVAIL)
				continue;		/* a family that this machine does not have */

			/* clients would reach somebody else at that address */
			while (n > 0)
			{
				close(net->listen_fd[--n]);
				net->listen_fd[n] = -1;
			}
			break;
		}
		net->listen_fd[n++] = fd;
	}
	if (list != NULL)
		freeaddrinfo(list);
	net->accepting = true;
	if (n > 0)
		set_up(net);
	else
	{
		if (list != NULL)
			set_error(net, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					  "could not listen on host \"%s\" port %s: %s",
					  host_name(net), net->port,
					  strerror(error));
		arm_timer(net);
	}
}

/* Have epoll look at the listening sockets, or not. */
static void
set_accepting(SxSocketNet *net, bool accepting)
{
	int			i;

	if (net->accepting == accepting)
		return;
	net->accepting = accepting;
	for (i = 0; i < lengthof(net->listen_fd) && net->listen_fd[i] >= 0; i++)
	{
		if (accepting)
			(void) watch(net, net->listen_fd[i], EPOLLIN, &listen_tag);
		else
			(void) epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, net->listen_fd[i], NULL);
	}
}

/*
 * Clients that wait, up to the limit; beyond it they are turned away.  Where
 * the machine has no room for one, they wait.
 */
static void
accept_clients(SxSocketNet *net)
{
	int			taken = 0;
	int			i;

	for (i = 0; i < lengthof(net->listen_fd); i++)
	{
		while (net->listen_fd[i] >= 0 && taken < TURN_CLIENTS)
		{
			int			fd = accept(net->listen_fd[i], NULL, NULL);

			if (fd < 0)
			{
				if (errno == EINTR || errno == ECONNABORTED)
					continue;
				if (errno == EAGAIN || errno == EWOULDBLOCK)
					break;
				set_error(net, SX_CONN_UP, ERRCODE_INSUFFICIENT_RESOURCES,
						  "could not accept a client: %s", strerror(errno));
				set_accepting(net, false);
				arm_timer(net);
				return;
			}
			taken++;
			if (net->nconnections >= net->max_connections)
			{
				close(fd);
				set_error(net, SX_CONN_UP, ERRCODE_TOO_MANY_CONNECTIONS,
						  "a client was turned away: %d connections are open",
						  net->nconnections);
				continue;
			}
			if (!prepare_fd(fd))
				close(fd);
			else if (add_connection(net, fd, false) && !net->secure)
				set_up(net);	/* there is room again */
		}
	}
}

/* A connection ends by an error of its own; of a client the others go on. */
static void
give_up(SxSocketNet *net, Connection *c, int errorcode, const char *what)
{
	if (net->listen)
		set_error(net, SX_CONN_UP, errorcode, "a client was turned away: %s", what);
	else
		set_error(net, SX_CONN_DOWN, errorcode, "could not use host \"%s\" port %s: %s",
				  host_name(net), net->port, what);
	drop_connection(net, c);
	if (!net->listen)
		arm_timer(net);
}

/* false: the connection is gone. */
static bool
continue_handshake(SxSocketNet *net, Connection *c)
{
	char		error[SX_ERROR_LEN] = "";

	switch (sx_tls_handshake(c->session, error, sizeof(error)))
	{
		case SX_TLS_DONE:
			c->shaking = false;
			c->active_ms = now_ms();
			if (!look_for(net, c, EPOLLIN | EPOLLRDHUP))
				break;
			set_up(net);
			return true;
		case SX_TLS_WANTS_READ:
			if (!look_for(net, c, EPOLLIN | EPOLLRDHUP))
				break;
			return true;
		case SX_TLS_WANTS_WRITE:
			if (!look_for(net, c, EPOLLOUT))
				break;
			return true;
		default:
			break;
	}
	give_up(net, c, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
			error[0] ? error : strerror(errno));
	return false;
}

/* Our connection is through, or not. */
static void
finish_connect(SxSocketNet *net, Connection *c)
{
	int			error = 0;
	socklen_t	len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0 && !look_for(net, c, EPOLLIN | EPOLLRDHUP))
		error = errno;
	if (error == 0 && !begin_session(net, c))
		error = ENOMEM;
	if (error == 0)
	{
		c->connecting = false;
		c->active_ms = now_ms();
		net->address = 0;
		if (c->shaking)
			(void) continue_handshake(net, c);
		else
			set_up(net);
		return;
	}
	set_error(net, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
			  "could not connect to host \"%s\" port %s: %s",
			  host_name(net), net->port, strerror(error));
	drop_connection(net, c);

	/* a name may stand for several addresses: the next one, at once */
	net->address++;
	start_connect(net);
}

/*
 * What the connection has: bytes read, 0: nothing now, -1: it has ended, the
 * error says why, or is empty.
 */
static ssize_t
receive(SxSocketNet *net, Connection *c, char *buffer, size_t size,
		char *error, size_t error_size)
{
	size_t		got = 0;
	ssize_t		n;

	if (c->session)
	{
		switch (sx_tls_read(c->session, buffer, size, &got, error, error_size))
		{
			case SX_TLS_DONE:
				return (ssize_t) got;
			case SX_TLS_WANTS_READ:
				return look_for(net, c, EPOLLIN | EPOLLRDHUP) ? 0 : -1;
			case SX_TLS_WANTS_WRITE:
				return look_for(net, c, EPOLLOUT) ? 0 : -1;
			default:
				return -1;
		}
	}
	do
		n = recv(c->fd, buffer, size, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		strlcpy(error, strerror(errno), error_size);
	return -1;
}

static void
feed_lines(SxSocketNet *net, Connection *c, const char *bytes, size_t len)
{
	bool		ok;

	net->partial_bytes -= c->lines.size;
	ok = sx_lines_feed(&c->lines, bytes, len, keep_line, net->queue);
	net->partial_bytes += c->lines.size;
	if (!ok)
		out_of_memory();
}

/* Is its unfinished line more than its share of the memory for all? */
static bool
holds_too_much(const SxSocketNet *net, const Connection *c)
{
	size_t		most = Max(PARTIAL_BYTES, 2 * net->max_line);

	return net->partial_bytes > most && c->lines.size > most / net->nconnections;
}

/* Read a connection's turn. */
static void
read_connection(SxSocketNet *net, Connection *c)
{
	static char buffer[READ_BYTES];
	char		error[SX_ERROR_LEN] = "";
	size_t		total = 0;
	ssize_t		n = 0;

	if (c->shaking && !continue_handshake(net, c))
		return;
	if (c->shaking)
		return;

	/* what TLS has taken off the socket, epoll knows nothing of */
	while ((total < TURN_BYTES && net->queue->bytes < PENDING_BYTES) ||
		   (c->session && sx_tls_has_pending(c->session)))
	{
		n = receive(net, c, buffer, sizeof(buffer), error, sizeof(error));
		if (n <= 0)
			break;
		feed_lines(net, c, buffer, n);
		total += n;
		if (net->listen && holds_too_much(net, c))
		{
			give_up(net, c, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					"too much memory is taken by lines without an end");
			return;
		}
	}
	if (total > 0)
		c->active_ms = now_ms();
	if (n >= 0)
		return;
	if (!sx_lines_end(&c->lines, keep_line, net->queue))
		out_of_memory();
	drop_connection(net, c);
	if (!net->listen)
	{
		set_error(net, SX_CONN_DOWN, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
				  "host \"%s\" port %s closed the connection%s%s",
				  host_name(net), net->port, error[0] ? ": " : "", error);
		arm_timer(net);
	}
	else if (error[0])
		set_error(net, SX_CONN_UP, ERRCODE_CONNECTION_FAILURE,
				  "the connection of a client broke: %s", error);
}

/* Handshakes that take too long, clients that are silent for too long. */
static void
sweep(SxSocketNet *net)
{
	int64		now = now_ms();
	Connection *c;
	Connection *next;

	if (now - net->swept_ms < SWEEP_MS)
		return;
	net->swept_ms = now;
	for (c = net->connections; c != NULL; c = next)
	{
		int64		silent_ms = now - c->active_ms;

		next = c->next;
		if (c->shaking && silent_ms > HANDSHAKE_MS)
			give_up(net, c, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					"the TLS handshake took too long");
		else if (net->listen && net->max_idle_ms > 0 && silent_ms > net->max_idle_ms)
		{
			if (!sx_lines_end(&c->lines, keep_line, net->queue))
				out_of_memory();
			drop_connection(net, c);
		}
	}
}

static void
start(SxSocketNet *net)
{
	if (net->secure && (net->tls == NULL || !net->listen))
	{
		char		error[SX_ERROR_LEN];

		sx_tls_free(net->tls);
		net->tls = sx_tls_create(&net->tls_options, net->listen, error, sizeof(error));
		if (net->tls == NULL)
		{
			set_error(net, SX_CONN_FAILED, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "%s", error);
			return;
		}
	}
	if (!net->listen)
		start_connect(net);
	else if (net->listen_fd[0] < 0)
		start_listen(net);
	else
		set_accepting(net, true);
}

void
sx_socket_net_serve(SxSocketNet *net)
{
	struct epoll_event events[MAX_EVENTS];
	int			n;
	int			i;

	n = epoll_wait(net->epoll_fd, events, MAX_EVENTS, 0);
	for (i = 0; i < n; i++)
	{
		void	   *ptr = events[i].data.ptr;

		if (ptr == &timer_tag)
		{
			uint64		times;

			if (read(net->timer_fd, &times, sizeof(times)) == sizeof(times))
				start(net);
		}
		else if (ptr == &listen_tag)
			accept_clients(net);
		else
		{
			/* of one connection there is one event, so it is still there */
			Connection *c = ptr;

			if (c->connecting)
				finish_connect(net, c);
			else
				read_connection(net, c);
		}
	}
	sweep(net);
}

/* ---- the whole ------------------------------------------------------------ */

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

/* strdup'ed, so that they live as long as the connections. */
static void
read_tls_options(SxSocketNet *net, const SxStream *stream)
{
	const List *server = stream->server_options;
	const char *tls = sx_option_get(server, "tls");
	SxTlsOptions *o = &net->tls_options;

	net->secure = tls != NULL && strcmp(tls, "on") == 0;
	if (!net->secure)
		return;
	o->certificate = copy_string(sx_option_get(server, "tls_certificate"));
	o->certificate_file = copy_string(sx_option_get(server, "tls_certificate_file"));
	o->key = copy_string(sx_option_get(stream->user_options, "tls_key"));
	o->key_file = copy_string(sx_option_get(server, "tls_key_file"));
	o->ca = copy_string(sx_option_get(server, "tls_ca"));
	o->ca_file = copy_string(sx_option_get(server, "tls_ca_file"));
}

SxSocketNet *
sx_socket_net_open(const SxStream *stream, SxLineQueue *queue)
{
	SxSocketNet *net;
	struct itimerspec now = {{0}};
	const char *mode = sx_option_get(stream->server_options, "mode");
	const char *idle = sx_option_get(stream->server_options, "max_idle");

	net = calloc(1, sizeof(SxSocketNet));
	if (net == NULL)
		out_of_memory();
	net->queue = queue;
	net->listen = mode != NULL && strcmp(mode, "listen") == 0;
	net->max_line = Min(number_option(stream, "max_line", DEFAULT_MAX_LINE),
						LARGEST_LINE);
	net->max_connections = number_option(stream, "max_connections",
										 DEFAULT_CONNECTIONS);
	net->max_idle_ms = (idle ? sx_option_interval_us("max_idle", idle) : DEFAULT_MAX_IDLE_US) / 1000;
	net->listen_fd[0] = net->listen_fd[1] = -1;
	net->backoff_ms = BACKOFF_FIRST_MS;
	net->conn = SX_CONN_CONNECTING;
	net->host = copy_string(sx_option_get(stream->server_options, "host"));
	net->port = copy_string(sx_option_get(stream->server_options, "port"));
	read_tls_options(net, stream);
	net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	net->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (net->epoll_fd < 0 || net->timer_fd < 0 ||
		!watch(net, net->timer_fd, EPOLLIN, &timer_tag))
	{
		int			error = errno;

		sx_socket_net_close(net);
		errno = error;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not prepare to wait for sockets: %m"),
				 errhint("Raise the limit of open files of the server.")));
	}

	/*
	 * The first attempt is the timer's: the descriptor is readable at once,
	 * so that whoever waits for it serves us.
	 */
	now.it_value.tv_nsec = 1;
	(void) timerfd_settime(net->timer_fd, 0, &now, NULL);
	return net;
}

int
sx_socket_net_fd(const SxSocketNet *net)
{
	return net->epoll_fd;
}

void
sx_socket_net_status(const SxSocketNet *net, SxSourceStatus *status)
{
	status->conn = net->conn;
	strlcpy(status->sqlstate, net->sqlstate, sizeof(status->sqlstate));
	strlcpy(status->error, net->error, sizeof(status->error));
}

void
sx_socket_net_close(SxSocketNet *net)
{
	const char *const strings[] = {
		net->host, net->port,
		net->tls_options.certificate, net->tls_options.certificate_file,
		net->tls_options.key, net->tls_options.key_file,
		net->tls_options.ca, net->tls_options.ca_file
	};
	int			i;

	while (net->connections != NULL)
		drop_connection(net, net->connections);
	for (i = 0; i < lengthof(net->listen_fd); i++)
	{
		if (net->listen_fd[i] >= 0)
			close(net->listen_fd[i]);
	}
	if (net->timer_fd >= 0)
		close(net->timer_fd);
	if (net->epoll_fd >= 0)
		close(net->epoll_fd);
	sx_tls_free(net->tls);
	for (i = 0; i < lengthof(strings); i++)
		free(unconstify(char *, strings[i]));
	free(net);
}
