/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_SERVER_H
#define LIB_NET_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

struct io;
struct tls;

/*
 * The server side of TLS 1.2 and 1.3: one of these for each way that ports
 * are configured.  No private key is ever in it: what stands for one comes from
 * keyclient_key().
 *
 * Made in this order: create, add (the first is for clients that name no
 * host, or none that a certificate is for), ready.  Counted: whoever
 * has a connection of it holds it too.
 */
struct tls_server;

struct tls_server_options {
	const char *ciphers;   /* of TLS 1.2; NULL: those with ECDHE and AES or ChaCha20 */
	const char *protocols; /* "TLSv1.2,TLSv1.3"; NULL: these two */
	const char *curves;    /* "X25519:P-256:P-384"; NULL: these */
	struct span ca; /* PEM: clients are asked for certificates by these; len 0: not asked */
	bool verify;	/* and must have one */
	int ticket_lifetime_s; /* 0: no session tickets */
	/* Sessions are not resumed where the words differ: they stand for who may come in. */
	const char *context;
};

int tls_server_init(void) WARN_UNUSED; /* once, before the sandbox.  -1: no TLS at all */
struct tls_server *tls_server_create(void) WARN_UNUSED; /* NULL: ENOMEM */
struct tls_server *tls_server_hold(struct tls_server *t);
void tls_server_release(struct tls_server *t);
/* Certificate chain and what stands for its key, in PEM; ocsp in DER, len 0: none.  -1: see tls_server_error(). */
int tls_server_add(
    struct tls_server *t, struct span cert, struct span key, struct span ocsp) WARN_UNUSED;
int tls_server_ready(struct tls_server *t, const struct tls_server_options *options) WARN_UNUSED;
const char *tls_server_error(const struct tls_server *t); /* never NULL */
/* For io_start_tls(): NULL with errno ENOMEM. */
struct tls *tls_server_accept(struct tls_server *t, struct io *io) WARN_UNUSED;

#endif
