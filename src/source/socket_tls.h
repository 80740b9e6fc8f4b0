/*-------------------------------------------------------------------------
 * socket_tls.h
 *		TLS on a socket that must not block, in either direction.
 *
 * Nothing here raises or calls PostgreSQL; texts of errors hold no secret.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_SOCKET_TLS_H
#define SX_SOURCE_SOCKET_TLS_H

#include "postgres.h"

typedef struct SxTls SxTls;		/* certificates and keys, for many sessions */
typedef struct SxTlsSession SxTlsSession;

/* Each as text in PEM, or the name of a file, or neither (NULL). */
typedef struct SxTlsOptions
{
	const char *certificate;	/* ours, and those between it and the root */
	const char *certificate_file;
	const char *key;
	const char *key_file;
	const char *ca;				/* whom to trust; clients: by default the
								 * system's; servers: only if clients have to
								 * show a certificate */
	const char *ca_file;
} SxTlsOptions;

typedef enum SxTlsResult
{
	SX_TLS_DONE,
	SX_TLS_WANTS_READ,			/* again when there is something to read */
	SX_TLS_WANTS_WRITE,			/* ... when it can be written to */
	SX_TLS_ENDED,				/* by the peer */
	SX_TLS_FAILED,				/* the error says why */
} SxTlsResult;

/* Was streamx built with OpenSSL? */
extern bool sx_tls_available(void);

/* NULL: the error says why */
extern SxTls *sx_tls_create(const SxTlsOptions *options, bool server,
							char *error, size_t error_size);
extern void sx_tls_free(SxTls *tls);

/*
 * A session over a connected socket, which stays the caller's.  host: whose
 * certificate the server has to show; NULL: we are the server.  NULL: out of
 * memory.
 */
extern SxTlsSession *sx_tls_begin(SxTls *tls, int fd, const char *host);
extern SxTlsResult sx_tls_handshake(SxTlsSession *session, char *error, size_t error_size);

/* *n: bytes read, if DONE */
extern SxTlsResult sx_tls_read(SxTlsSession *session, char *buffer, size_t size,
							   size_t *n, char *error, size_t error_size);

/* Is there more to be read that the socket does not know of any more? */
extern bool sx_tls_has_pending(SxTlsSession *session);

/* Says good-bye if that needs no wait. */
extern void sx_tls_end(SxTlsSession *session);

#endif							/* SX_SOURCE_SOCKET_TLS_H */
