/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_RELAY_URL_H
#define LIB_MAIL_RELAY_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Where a relay action sends to: "[scheme://][label@]host[:port]".  A host is a
 * name or an address, an IPv6 one in brackets.  Schemes: smtp, smtp+tls,
 * smtp+notls (port 25), smtps (port 465); lmtp, lmtp+tls (RFC 2033; the port
 * must be given).  With a label, smtp and lmtp are as with +tls, and smtp+notls is
 * EINVAL.  A label is printable, without blanks, commas, slashes, quotes and backslashes.
 */
#define RELAY_LABEL_MAX 64
#define RELAY_HOST_MAX	256

enum relay_tls {
	RELAY_TLS_NEVER,
	RELAY_TLS_MAY,	/* STARTTLS when offered, whoever the peer is */
	RELAY_TLS_MUST, /* STARTTLS or nothing */
	RELAY_TLS_FIRST /* TLS before the greeting */
};

struct relay_url {
	enum relay_tls tls;
	char label[RELAY_LABEL_MAX + 1]; /* names a credential; "" when there is none */
	char host[RELAY_HOST_MAX + 1];	 /* without brackets */
	uint16_t port;
	bool lmtp;
};

int relay_url_parse(const char *text, struct relay_url *out) WARN_UNUSED; /* -1: EINVAL */

#endif
