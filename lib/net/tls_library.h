/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_LIBRARY_H
#define LIB_NET_TLS_LIBRARY_H

#include <stdint.h>

#include "lib/base/bug.h"

struct tls_config;

/*
 * What a server has to tell the library beneath libtls, because libtls has
 * no word for it, or not the right one.  tls_openssl.c is for libretls over
 * OpenSSL 3; LibreSSL's own libtls needs less (tls_libressl.c).
 *
 * The keys of session tickets (RFC 5077 4, RFC 8446 4.6.1) are those of the
 * process, whatever the context: contexts are told apart by their session ids.
 */
#define TLS_TICKET_KEY 48

int tls_library_init(void) WARN_UNUSED; /* before the first context is made.  -1: ENOMEM */
/* Tickets are sealed with it from now on; those sealed by the one before still open. */
void tls_library_ticket_key(uint32_t revision, const uint8_t key[TLS_TICKET_KEY]);
/* A configuration that is about to be used by a server. */
int tls_library_configure(struct tls_config *config) WARN_UNUSED;

/*
 * The connection beneath the struct tls that a server made last, for the next
 * function alone; good as long as that tls.  NULL: it is not known.
 */
void *tls_library_connection(void);
/* tls-exporter (RFC 9266 4.2): what only the two ends of it know.  -1: there is none, or not in this version. */
#define TLS_EXPORTER_SIZE 32
int tls_library_exporter(void *connection, uint8_t out[TLS_EXPORTER_SIZE]) WARN_UNUSED;

#endif
