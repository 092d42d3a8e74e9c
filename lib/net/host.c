/* SPDX-License-Identifier: ISC */
/*
 * What a client's address is called: by the limits, which count networks, and
 * by the DNS.  Pure; nothing is fatal.
 */
#include "lib/net/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

int
host_parse(const char *text, struct addr *out)
{
	if (strcmp(text, "unix") != 0)
		return addr_parse(text, 0, out);
	*out = (struct addr){.ss.ss_family = AF_UNIX, .len = sizeof(sa_family_t)};
	return 0;
}

size_t
host_octets(const struct addr *a, uint8_t out[HOST_OCTETS_MAX])
{
	char text[ADDR_TEXT_MAX];

	/* As text every IPv4 address is one, mapped or not. */
	addr_format(a, text);
	text[strcspn(text, "%")] = '\0';
	if (inet_pton(AF_INET, text, out) == 1)
		return 4;
	return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

/* Clears all but the first bits. */
static void
cut(uint8_t *octets, size_t n, unsigned int bits)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned int left = bits > i * 8 ? bits - (unsigned int)i * 8 : 0;

		if (left < 8)
			octets[i] &= (uint8_t)(0xff00U >> left);
	}
}

void
host_network(const struct addr *a, const struct host_prefix *prefix, char dst[HOST_NETWORK_SIZE])
{
	uint8_t octets[HOST_OCTETS_MAX];
	size_t n = host_octets(a, octets);
	unsigned int bits = n == 4 ? prefix->bits4 : prefix->bits6;
	char text[INET6_ADDRSTRLEN] = "unix";

	if (n > 0) {
		cut(octets, n, bits);
		(void)inet_ntop(n == 4 ? AF_INET : AF_INET6, octets, text, sizeof(text));
	}
	if (n == 0 || bits >= n * 8)
		(void)snprintf(dst, HOST_NETWORK_SIZE, "%s", text);
	else
		(void)snprintf(dst, HOST_NETWORK_SIZE, "%s/%u", text, bits);
}

int
host_network_parse(const char *text, const struct host_prefix *prefix, char dst[HOST_NETWORK_SIZE])
{
	const char *slash = strchr(text, '/'), *own;
	char host[HOST_NETWORK_SIZE];
	struct addr a;

	str_cut(host, sizeof(host), text);
	host[strcspn(host, "/")] = '\0';
	if (host_parse(host, &a) == -1) {
		errno = EINVAL;
		return -1;
	}
	host_network(&a, prefix, dst);
	own = strchr(dst, '/');
	if (slash != NULL && (own == NULL || strcmp(own, slash) != 0)) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

int
host_reverse(const struct addr *a, char dst[HOST_REVERSE_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t octets[HOST_OCTETS_MAX];
	size_t n = host_octets(a, octets);
	char *p = dst;

	if (n == 0) {
		errno = EINVAL;
		return -1;
	}
	if (n == 4) {
		(void)snprintf(dst, HOST_REVERSE_SIZE, "%u.%u.%u.%u.in-addr.arpa", octets[3],
		    octets[2], octets[1], octets[0]);
		return 0;
	}
	while (n-- > 0) {
		*p++ = digits[octets[n] & 0xfU];
		*p++ = '.';
		*p++ = digits[octets[n] >> 4];
		*p++ = '.';
	}
	(void)snprintf(p, (size_t)(dst + HOST_REVERSE_SIZE - p), "ip6.arpa");
	return 0;
}
