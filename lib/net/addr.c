/* SPDX-License-Identifier: ISC */
/*
 * Addresses and their text.  Invariant: addr_parse(addr_format(a)) is a, for
 * every family and scope (a scoped address must not be able to stop anything).
 */
#include "lib/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/str.h"

static int
parse_v6(const char *text, uint16_t port, struct addr *out)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&out->ss;
	const char *percent = strchr(text, '%');
	char host[ADDR_TEXT_MAX];
	uint64_t scope = 0;

	if (str_copy(host, sizeof(host), text) == -1)
		return -1;
	if (percent != NULL) {
		host[percent - text] = '\0';
		if (str_u64(percent + 1, 0, UINT32_MAX, &scope) == -1)
			return -1;
	}
	if (inet_pton(AF_INET6, host, &sin6->sin6_addr) != 1)
		return -1;
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	sin6->sin6_scope_id = (uint32_t)scope;
	out->len = sizeof(*sin6);
	return 0;
}

int
addr_parse(const char *text, uint16_t port, struct addr *out)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&out->ss;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		out->len = sizeof(*sin);
		return 0;
	}
	if (parse_v6(text, port, out) == 0)
		return 0;
	errno = EINVAL;
	return -1;
}

static const struct sockaddr_in6 *
as_v6(const struct addr *a)
{
	return a->ss.ss_family == AF_INET6 ? (const struct sockaddr_in6 *)&a->ss : NULL;
}

/* The four octets of an IPv4 address, mapped ones included; NULL otherwise. */
static const uint8_t *
as_v4(const struct addr *a)
{
	const struct sockaddr_in6 *sin6 = as_v6(a);

	if (a->ss.ss_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)&a->ss)->sin_addr;
	if (sin6 != NULL && IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr))
		return sin6->sin6_addr.s6_addr + 12;
	return NULL;
}

void
addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
	const struct sockaddr_in6 *sin6 = as_v6(a);
	const uint8_t *v4 = as_v4(a);
	char host[INET6_ADDRSTRLEN];

	if (v4 != NULL)
		(void)inet_ntop(AF_INET, v4, dst, ADDR_TEXT_MAX);
	else if (sin6 == NULL)
		(void)snprintf(dst, ADDR_TEXT_MAX, "unix");
	else if (sin6->sin6_scope_id == 0)
		(void)inet_ntop(AF_INET6, &sin6->sin6_addr, dst, ADDR_TEXT_MAX);
	else if (inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host)) != NULL)
		(void)snprintf(dst, ADDR_TEXT_MAX, "%s%%%u", host, sin6->sin6_scope_id);
}

void
addr_literal(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];
	char *percent;

	addr_format(a, text);
	if ((percent = strchr(text, '%')) != NULL)
		*percent = '\0'; /* a scope means nothing to anybody else */
	(void)snprintf(
	    dst, ADDR_TEXT_MAX, "[%s%.50s]", strchr(text, ':') != NULL ? "IPv6:" : "", text);
}

uint16_t
addr_port(const struct addr *a)
{
	const struct sockaddr_in6 *sin6 = as_v6(a);

	if (sin6 != NULL)
		return ntohs(sin6->sin6_port);
	if (a->ss.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&a->ss)->sin_port);
	return 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	const uint8_t *v4 = as_v4(a);
	const struct sockaddr_in6 *sin6 = as_v6(a);

	if (v4 != NULL)
		return v4[0] == 127;
	if (sin6 != NULL)
		return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
	return a->ss.ss_family == AF_UNIX;
}

/* The host's octets and how many there are; 0 for what has none. */
static size_t
host_bytes(const struct addr *a, const uint8_t **bytes)
{
	const struct sockaddr_in6 *sin6 = as_v6(a);

	if ((*bytes = as_v4(a)) != NULL)
		return 4;
	if (sin6 == NULL)
		return 0;
	*bytes = sin6->sin6_addr.s6_addr;
	return 16;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	const uint8_t *pa, *pb;
	size_t na = host_bytes(a, &pa), nb = host_bytes(b, &pb);

	return na != 0 && na == nb && memcmp(pa, pb, na) == 0;
}

static bool
prefix_equal(const uint8_t *a, const uint8_t *b, size_t bits)
{
	size_t whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool
addr_in_network(const struct addr *a, const char *network)
{
	const char *slash = strchr(network, '/');
	char host[ADDR_TEXT_MAX];
	const uint8_t *pa, *pn;
	size_t na, nn;
	uint64_t bits;
	struct addr n;

	if (str_copy(host, sizeof(host), network) == -1)
		return false;
	if (slash != NULL)
		host[slash - network] = '\0';
	if (addr_parse(host, 0, &n) == -1)
		return false;
	na = host_bytes(a, &pa);
	nn = host_bytes(&n, &pn);
	if (na == 0 || na != nn)
		return false;
	bits = na * 8;
	if (slash != NULL && str_u64(slash + 1, 0, bits, &bits) == -1)
		return false;
	return prefix_equal(pa, pn, bits);
}
