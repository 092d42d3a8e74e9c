/* SPDX-License-Identifier: ISC */
#ifndef SESSION_PROXY_H
#define SESSION_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net/addr.h"

/*
 * The header that a load balancer sends before anything else (the PROXY
 * protocol, versions 1 and 2): whom it speaks for.
 */
#define PROXY_HEADER_MAX 4096 /* octets of a header, its TLVs included; longer ones are refused */

enum proxy_result {
	PROXY_MORE, /* so far it may be a header */
	PROXY_OK,
	PROXY_BAD
};

struct proxy_header {
	bool own; /* LOCAL or UNKNOWN: the balancer speaks for itself, source is not set */
	struct addr source;
	size_t len; /* octets that the header takes */
};

/* data: all that was read so far.  v2_only: version 1 is PROXY_BAD.  Pure; reads no octet past len. */
enum proxy_result
proxy_parse(const uint8_t *data, size_t len, bool v2_only, struct proxy_header *out) WARN_UNUSED;

#endif
