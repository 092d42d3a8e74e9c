/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RESOLV_H
#define LOOKUP_RESOLV_H

#include <stddef.h>

/*
 * Which servers to forward questions to, as libunbound writes them:
 * "192.0.2.1", "192.0.2.1@5353", "2001:db8::1@53".  None: ask the roots.
 */
#define RESOLV_SERVERS_MAX 8
#define RESOLV_SERVER_MAX  64 /* octets and the NUL */

struct resolv_servers {
	size_t n;
	char list[RESOLV_SERVERS_MAX][RESOLV_SERVER_MAX];
};

/* The nameserver lines of resolv.conf(5); whatever else is in it is ignored. */
void resolv_parse(const char *text, struct resolv_servers *out);
/* The value of "resolver forward": addresses with or without "@port", commas between them. */
void resolv_parse_list(const char *text, struct resolv_servers *out);

#endif
