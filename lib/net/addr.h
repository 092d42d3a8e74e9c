/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_ADDR_H
#define LIB_NET_ADDR_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Socket addresses as text and back: numeric only, no resolver, no NSS.
 * "192.0.2.1", "2001:db8::1", "fe80::1%2" (scope by number), "unix:/path".
 * IPv4-mapped IPv6 addresses are shown and compared as IPv4.
 */
#define ADDR_TEXT_MAX 64 /* NUL included; a Unix path is cut to "unix" */

struct addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

int addr_parse(const char *text, uint16_t port, struct addr *out) WARN_UNUSED; /* -1 EINVAL */
void addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX]);
/* As RFC 5321 4.1.3 wants it in brackets: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
void addr_literal(const struct addr *a, char dst[ADDR_TEXT_MAX]);
uint16_t addr_port(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b); /* the host, not the port */
/* "192.0.2.0/24", "2001:db8::/32", or one address.  false for anything else. */
bool addr_in_network(const struct addr *a, const char *network);

#endif
