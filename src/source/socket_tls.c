/*-------------------------------------------------------------------------
 * socket_tls.c
 *		TLS on a socket that must not block, in either direction.
 *
 * Without OpenSSL's headers (SX_TLS is not defined) nothing is available.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#ifdef SX_TLS
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#include "source/socket_tls.h"

#ifdef SX_TLS

struct SxTls
{
	SSL_CTX    *ctx;
};

struct SxTlsSession
{
	SSL		   *ssl;
};

bool
sx_tls_available(void)
{
	return true;
}

/* What went wrong: what, and OpenSSL's reason. */
static void
say(char *error, size_t error_size, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	if (reason == NULL && code != 0 && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	snprintf(error, error_size, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
}

/* A passphrase is never asked for. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static BIO *
open_pem(const char *text, const char *file)
{
	return text ? BIO_new_mem_buf(text, -1) : BIO_new_file(file, "r");
}

/* Our certificate, and those that come behind it. */
static bool
use_certificate(SSL_CTX *ctx, const char *text, const char *file)
{
	BIO		   *bio = open_pem(text, file);
	X509	   *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	bool		ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
	{
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1)
		{
			X509_free(cert);
			ok = false;
		}
	}
	if (ok)
		ERR_clear_error();		/* the end */
	BIO_free(bio);
	return ok;
}

static bool
use_key(SSL_CTX *ctx, const char *text, const char *file)
{
	BIO		   *bio = open_pem(text, file);
	EVP_PKEY   *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	bool		ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

static bool
trust(SSL_CTX *ctx, const char *text, const char *file, bool server)
{
	BIO		   *bio = open_pem(text, file);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509	   *cert;
	int			n = 0;
	bool		ok = bio != NULL;

	while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
	{
		ok = X509_STORE_add_cert(store, cert) == 1 &&
			(!server || SSL_CTX_add_client_CA(ctx, cert) == 1);
		X509_free(cert);
		n++;
	}
	BIO_free(bio);
	if (ok && n > 0)
		ERR_clear_error();
	return ok && n > 0;
}

SxTls *
sx_tls_create(const SxTlsOptions *o, bool server, char *error, size_t error_size)
{
	SxTls	   *tls = calloc(1, sizeof(SxTls));
	bool		has_ca = o->ca || o->ca_file;
	const char *wrong = NULL;

	if (tls == NULL)
	{
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (tls->ctx == NULL)
		wrong = "could not prepare TLS";
	else if (SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1)
		wrong = "could not set the version of TLS";
	else if ((o->certificate || o->certificate_file) &&
			 !use_certificate(tls->ctx, o->certificate, o->certificate_file))
		wrong = "could not use the TLS certificate";
	else if ((o->key || o->key_file) && !use_key(tls->ctx, o->key, o->key_file))
		wrong = "could not use the TLS key";
	else if ((o->key || o->key_file) && SSL_CTX_check_private_key(tls->ctx) != 1)
		wrong = "the TLS key is not that of the certificate";
	else if (server && !o->key && !o->key_file)
		wrong = "there is no TLS key: the user mapping of the stream's owner lacks \"tls_key\"";
	else if (has_ca && !trust(tls->ctx, o->ca, o->ca_file, server))
		wrong = "could not use the certificates of \"tls_ca\"";
	else if (!has_ca && !server && SSL_CTX_set_default_verify_paths(tls->ctx) != 1)
		wrong = "could not use the system's certificates";
	if (wrong)
	{
		say(error, error_size, wrong);
		sx_tls_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls->ctx,
					   !server ? SSL_VERIFY_PEER :
					   has_ca ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT :
					   SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	/* a connection that just ends: as without TLS */
	SSL_CTX_set_options(tls->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	return tls;
}

void
sx_tls_free(SxTls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

static bool
expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, host, &address) == 1 ||
		inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SxTlsSession *
sx_tls_begin(SxTls *tls, int fd, const char *host)
{
	SxTlsSession *session = calloc(1, sizeof(SxTlsSession));

	if (session == NULL)
		return NULL;
	session->ssl = SSL_new(tls->ctx);
	if (session->ssl == NULL || SSL_set_fd(session->ssl, fd) != 1 ||
		(host && !expect_host(session->ssl, host)))
	{
		SSL_free(session->ssl);
		free(session);
		ERR_clear_error();
		return NULL;
	}
	if (host)
		SSL_set_connect_state(session->ssl);
	else
		SSL_set_accept_state(session->ssl);
	return session;
}

static SxTlsResult
result(SxTlsSession *session, int rc, const char *what, char *error, size_t error_size)
{
	int			saved_errno = errno;
	long		verified;

	switch (SSL_get_error(session->ssl, rc))
	{
		case SSL_ERROR_WANT_READ:
			return SX_TLS_WANTS_READ;
		case SSL_ERROR_WANT_WRITE:
			return SX_TLS_WANTS_WRITE;
		case SSL_ERROR_ZERO_RETURN:
			return SX_TLS_ENDED;
		case SSL_ERROR_SYSCALL:
			if (ERR_peek_error() == 0)
			{
				if (saved_errno == 0)
					return SX_TLS_ENDED;
				snprintf(error, error_size, "%s: %s", what, strerror(saved_errno));
				return SX_TLS_FAILED;
			}
			break;
		default:
			break;
	}
	verified = SSL_get_verify_result(session->ssl);
	if (verified != X509_V_OK)
	{
		snprintf(error, error_size, "%s: %s", what, X509_verify_cert_error_string(verified));
		ERR_clear_error();
	}
	else
		say(error, error_size, what);
	return SX_TLS_FAILED;
}

SxTlsResult
sx_tls_handshake(SxTlsSession *session, char *error, size_t error_size)
{
	int			rc;
	SxTlsResult res;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(session->ssl);
	if (rc == 1)
		return SX_TLS_DONE;
	res = result(session, rc, "TLS handshake failed", error, error_size);
	if (res == SX_TLS_ENDED)
		snprintf(error, error_size, "TLS handshake failed: the connection was closed");
	return res == SX_TLS_ENDED ? SX_TLS_FAILED : res;
}

SxTlsResult
sx_tls_read(SxTlsSession *session, char *buffer, size_t size, size_t *n,
			char *error, size_t error_size)
{
	int			rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(session->ssl, buffer, size, n);
	if (rc == 1)
		return SX_TLS_DONE;
	return result(session, rc, "TLS failed", error, error_size);
}

bool
sx_tls_has_pending(SxTlsSession *session)
{
	return SSL_pending(session->ssl) > 0;
}

void
sx_tls_end(SxTlsSession *session)
{
	if (session == NULL)
		return;
	ERR_clear_error();
	if (SSL_is_init_finished(session->ssl))
		(void) SSL_shutdown(session->ssl);
	SSL_free(session->ssl);
	ERR_clear_error();
	free(session);
}

#else							/* !SX_TLS */

bool
sx_tls_available(void)
{
	return false;
}

SxTls *
sx_tls_create(const SxTlsOptions *o, bool server, char *error, size_t error_size)
{
	snprintf(error, error_size, "streamx was built without OpenSSL");
	return NULL;
}

void
sx_tls_free(SxTls *tls)
{
}

SxTlsSession *
sx_tls_begin(SxTls *tls, int fd, const char *host)
{
	return NULL;
}

SxTlsResult
sx_tls_handshake(SxTlsSession *session, char *error, size_t error_size)
{
	return SX_TLS_FAILED;
}

SxTlsResult
sx_tls_read(SxTlsSession *session, char *buffer, size_t size, size_t *n,
			char *error, size_t error_size)
{
	return SX_TLS_FAILED;
}

bool
sx_tls_has_pending(SxTlsSession *session)
{
	return false;
}

void
sx_tls_end(SxTlsSession *session)
{
}

#endif							/* SX_TLS */
