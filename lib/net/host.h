/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_HOST_H
#define LIB_NET_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/net/addr.h"

/* A client's address in the forms that are asked for here. */
#define HOST_OCTETS_MAX	  16
#define HOST_NETWORK_SIZE 56 /* the longest IPv6 address, "/128", NUL */
#define HOST_REVERSE_SIZE 80 /* 32 digits, a dot after each, "ip6.arpa", NUL */

/* What session calls a client: an address, or "unix" for a Unix socket.  -1 with EINVAL. */
int host_parse(const char *text, struct addr *out) WARN_UNUSED;

/* The address in network order: 4 octets (IPv4-mapped ones too) or 16; 0 for a Unix socket. */
size_t host_octets(const struct addr *a, uint8_t out[HOST_OCTETS_MAX]);

struct host_prefix { /* how many bits of an address count */
	unsigned int bits4, bits6;
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/64", "unix"; a scope is left out. */
void
host_network(const struct addr *a, const struct host_prefix *prefix, char dst[HOST_NETWORK_SIZE]);

/*
 * The same from text: an address, or what host_network() makes of one.  -1:
 * EINVAL (neither), ENOENT (a network of another size).
 */
int host_network_parse(
    const char *text, const struct host_prefix *prefix, char dst[HOST_NETWORK_SIZE]) WARN_UNUSED;

/* Where the DNS has its name (RFC 1035 3.5, RFC 3596 2.5).  -1 with EINVAL for a Unix socket. */
int host_reverse(const struct addr *a, char dst[HOST_REVERSE_SIZE]) WARN_UNUSED;

#endif
