/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_SOCKS_H
#define DELIVERY_SOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/net/addr.h"

/* The client's side of SOCKS5 (RFC 1928), with no authentication.  Pure. */
#define SOCKS_REQUEST_MAX 32

struct socks { /* all zero: the start */
	unsigned int stage;
	uint8_t in[262]; /* the longest answer there is: to a name of 255 octets */
	size_t nin;
	uint8_t out[SOCKS_REQUEST_MAX]; /* SAY: these nout octets are to be sent */
	size_t nout;
	const char *why; /* BROKEN: for people */
};

enum socks_result { SOCKS_MORE, SOCKS_SAY, SOCKS_DONE, SOCKS_BROKEN };

/*
 * The proxy's octets, one at a time; NULL at the start, before any.  After DONE the next
 * octet is the server's: nothing behind the proxy's answer is ever asked for.
 */
enum socks_result
socks_feed(struct socks *s, const struct addr *to, const uint8_t *octet) WARN_UNUSED;

#endif
