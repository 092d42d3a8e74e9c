/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_CLIENT_H
#define LIB_NET_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"

struct tls;

/*
 * The client side of TLS 1.2 and later.  Everything that OpenSSL looks up in
 * files must be read before the sandbox: make one while files can be opened.
 */
struct tls_client;

/*
 * ca: certificates in PEM, copied; len 0: nobody can be verified.  The bundle
 * is tried at once: -1 in *ca_error when it does not parse.  NULL: ENOMEM, or
 * TLS can't be had at all.
 */
struct tls_client *tls_client_create(const void *ca, size_t len, int *ca_error) WARN_UNUSED;
void tls_client_free(struct tls_client *t);
bool tls_client_can_verify(const struct tls_client *t);
/*
 * For io_start_tls(): host is the name for SNI and, with verify, the one the
 * certificate must be for.  NULL: verification asked for and not possible, or ENOMEM.
 */
struct tls *
tls_client_connect(struct tls_client *t, int fd, const char *host, bool verify) WARN_UNUSED;

#endif
