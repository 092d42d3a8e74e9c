/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_CLIENT_PRIVATE_H
#define LIB_NET_TLS_CLIENT_PRIVATE_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/net/tls_client.h"

struct tls_config;

/* Usages of TLSA records that mail has a use for (RFC 7218 2.1). */
enum { TLSA_DANE_TA = 2, TLSA_DANE_EE = 3 };

/*
 * What depends on the library beneath libtls: tls_client_openssl.c is for
 * libretls over OpenSSL 3, tls_client_libressl.c for LibreSSL's own libtls.
 */

/* Authorities, parsed once.  A connection keeps those that it was made with. */
struct tls_trust;
struct tls_trust *
tls_trust_parse(const void *pem, size_t len) WARN_UNUSED; /* NULL: EINVAL, ENOMEM */
void tls_trust_free(struct tls_trust *trust);		  /* NULL is fine */

int tls_client_start(void) WARN_UNUSED; /* before the first connection.  -1: ENOMEM */
/*
 * trust is NULL only where nothing is to be verified by it.  Whom config
 * verifies does not matter: that is want's.  NULL with errno.
 */
struct tls *tls_client_open(const struct tls_config *config, struct io *io,
    const struct tls_want *want, const struct tls_trust *trust) WARN_UNUSED;

#endif
