/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_CLIENT_H
#define LIB_NET_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"

struct io;
struct tls;

/*
 * The client side of TLS 1.2 and later.  Everything that OpenSSL looks up in
 * files must be read before the sandbox: make one while files can be opened.
 */
struct tls_client;

struct tls_client *tls_client_create(void) WARN_UNUSED; /* NULL: ENOMEM, or no TLS at all */
void tls_client_free(struct tls_client *t);
/* Certificates in PEM, copied.  -1: they don't parse, and those from before stay. */
int tls_client_set_ca(struct tls_client *t, const void *ca, size_t len) WARN_UNUSED;
bool tls_client_can_verify(const struct tls_client *t); /* false until tls_client_set_ca() */
/*
 * For io_start_tls(): host is the name for SNI and, with verify, the one the
 * certificate must be for.  NULL: verification asked for and not possible, or ENOMEM.
 */
struct tls *
tls_client_connect(struct tls_client *t, struct io *io, const char *host, bool verify) WARN_UNUSED;

#endif
