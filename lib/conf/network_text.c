/* SPDX-License-Identifier: ISC */
/*
 * Networks, as people write them.  Nothing is fatal.
 */
#include "lib/conf/network_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define IPV6 "IPv6:" /* RFC 5321 4.1.3 */

/* How many octets the address has; 0: it is none. */
static size_t
parse_host(const char *text, uint8_t octets[NETWORK_V6_OCTETS])
{
	if (inet_pton(AF_INET, text, octets) == 1)
		return NETWORK_V4_OCTETS;
	if (str_starts_nocase(text, IPV6))
		text += strlen(IPV6);
	if (inet_pton(AF_INET6, text, octets) != 1)
		return 0;
	if (!IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)octets))
		return NETWORK_V6_OCTETS;
	memmove(octets, octets + NETWORK_V6_OCTETS - NETWORK_V4_OCTETS, NETWORK_V4_OCTETS);
	return NETWORK_V4_OCTETS;
}

/* "10" of "10/8". */
static size_t
parse_short(const char *text, uint8_t octets[NETWORK_V6_OCTETS])
{
	char whole[INET_ADDRSTRLEN];
	size_t dots = 0;
	const char *p;

	for (p = text; *p != '\0'; p++)
		dots += *p == '.';
	if (dots > 2 || str_format(whole, sizeof(whole), "%s%s", text, &".0.0.0"[2 * dots]) == -1)
		return 0;
	return inet_pton(AF_INET, whole, octets) == 1 ? NETWORK_V4_OCTETS : 0;
}

int
network_parse(const char *text, struct network *out)
{
	const char *slash = strchr(text, '/');
	char host[sizeof(IPV6) + INET6_ADDRSTRLEN];

	if (str_copy(host, sizeof(host), text) == -1)
		return -1;
	if (slash != NULL)
		host[slash - text] = '\0';
	if ((out->width = parse_host(host, out->octets)) == 0 &&
	    (slash == NULL || (out->width = parse_short(host, out->octets)) == 0))
		return -1;
	out->bits = out->width * 8;
	return slash == NULL ? 0 : str_u64(slash + 1, 0, out->bits, &out->bits);
}
