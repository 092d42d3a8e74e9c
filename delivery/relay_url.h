/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_URL_H
#define DELIVERY_RELAY_URL_H

#include <stdint.h>

#include "delivery/client.h"
#include "lib/ipc/messages.h"

/*
 * Where a relay action sends to: "[scheme://][label@]host[:port]".  A host is a
 * name or an address, an IPv6 one in brackets.  Schemes: smtp, smtp+tls,
 * smtp+notls (port 25), smtps (port 465).
 */
struct relay_url {
	enum client_tls tls;
	char label[IPC_WORD_MAX + 1]; /* names a credential; "" when there is none */
	char host[IPC_NAME_MAX + 1];  /* without brackets */
	uint16_t port;
};

int relay_url_parse(const char *text, struct relay_url *out) WARN_UNUSED; /* -1: EINVAL */

#endif
