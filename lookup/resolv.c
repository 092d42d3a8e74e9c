/* SPDX-License-Identifier: ISC */
/*
 * Finds name servers in resolv.conf and in our own configuration.
 *
 * Invariant: a server that comes out is a numeric address, with a port or
 * without: nothing else reaches libunbound.  Nothing is fatal.
 */
#include "lookup/resolv.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"

static bool
is_server(const char *text)
{
	char host[RESOLV_SERVER_MAX];
	const char *at = strchr(text, '@');
	struct addr a;
	uint64_t port;
	size_t n = at == NULL ? strlen(text) : (size_t)(at - text);

	if (n >= sizeof(host) || (at != NULL && str_u64(at + 1, 1, 65535, &port) == -1))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return addr_parse(host, 0, &a) == 0;
}

static void
add_server(struct resolv_servers *s, const char *text, size_t len)
{
	char *slot;

	if (s->n == RESOLV_SERVERS_MAX || len >= RESOLV_SERVER_MAX)
		return;
	slot = s->list[s->n];
	memcpy(slot, text, len);
	slot[len] = '\0';
	if (is_server(slot))
		s->n++;
}

void
resolv_parse(const char *text, struct resolv_servers *out)
{
	static const char word[] = "nameserver";
	const char *p;

	out->n = 0;
	for (p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *s = p + strspn(p, " \t");

		if (strncmp(s, word, sizeof(word) - 1) != 0)
			continue;
		s += sizeof(word) - 1;
		if (*s != ' ' && *s != '\t')
			continue;
		s += strspn(s, " \t");
		add_server(out, s, strcspn(s, " \t\r\n#;"));
	}
}

void
resolv_parse_list(const char *text, struct resolv_servers *out)
{
	const char *p = text;
	size_t n;

	out->n = 0;
	for (;;) {
		p += strspn(p, " \t,");
		if (*p == '\0')
			return;
		n = strcspn(p, " \t,");
		add_server(out, p, n);
		p += n;
	}
}
