/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_DIAL_H
#define DELIVERY_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/net/addr.h"

struct event_base;

/*
 * A TCP connection to one of some addresses of one host.  They are tried in
 * order; where one is slow the next is tried beside it (RFC 8305), never more
 * than two at once, and the first that answers is taken.
 *
 * With a proxy each goes through SOCKS5 (RFC 1928, no authentication): the
 * socket is handed over behind the proxy's answer, with nothing unread.
 */
#define DIAL_ADDRESSES_MAX 16
#define DIAL_RACE_MS	   500	 /* how long one has the race to itself */
#define DIAL_TIMEOUT_MS	   30000 /* one address */

struct dial;

struct dial_options {
	const struct addr *addresses; /* borrowed until the end */
	size_t naddresses;	      /* at most DIAL_ADDRESSES_MAX */
	const struct addr *sources;   /* to connect from: that of the address' family; borrowed */
	size_t nsources;	  /* 0: the kernel chooses.  No source of its family: passed over */
	const struct addr *proxy; /* NULL: none */
	int64_t timeout_ms;	  /* of one address; 0: DIAL_TIMEOUT_MS */
	/*
	 * Once, never from within dial_start().  fd: connected, the owner's now; address which it
	 * is.  -1: none answered, and error is that of the last (ETIMEDOUT...); text: more of it, or "".
	 */
	void (*done)(void *arg, int fd, size_t address, int error, const char *text);
	void *arg;
};

/* The options are copied.  NULL: ENOMEM. */
struct dial *dial_start(struct event_base *base, const struct dial_options *options) WARN_UNUSED;
/* No done() after it; NULL is fine, and within done() too.  After done() it is to be called all the same. */
void dial_stop(struct dial *d);

#endif
