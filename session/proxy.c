/* SPDX-License-Identifier: ISC */
/*
 * The PROXY protocol, versions 1 and 2, as haproxy's proxy-protocol.txt defines
 * it (sections 2.1 and 2.2).
 *
 * Invariant: the answer for the first octets of a header never contradicts the
 * answer for more of them: once OK or BAD, always so.  What the balancer says
 * of its client is either complete and in its form or refused.  Nothing is fatal.
 */
#include "session/proxy.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/str.h"

#define V1_MAX	     107 /* octets of a line, CRLF included */
#define V1_WORDS     6	 /* PROXY TCP4 source destination port port */
#define V2_FIXED     16	 /* octets before the addresses */
#define V2_INET_LEN  12	 /* two addresses, two ports */
#define V2_INET6_LEN 36

enum v2_command { V2_LOCAL = 0, V2_PROXY = 1 };
enum v2_family { V2_UNSPEC = 0, V2_INET = 1, V2_INET6 = 2, V2_UNIX = 3 };
enum v2_transport { V2_STREAM = 1, V2_DGRAM = 2 };

static const uint8_t v1_mark[] = "PROXY ";
static const uint8_t v2_mark[] = "\r\n\r\n\0\r\nQUIT\n";

/* -- version 1 -- */

/* No scope and no other family than the one announced. */
static bool
v1_address(const char *text, sa_family_t family, uint16_t port, struct addr *out)
{
	return strchr(text, '%') == NULL && addr_parse(text, port, out) == 0 &&
	       out->ss.ss_family == family;
}

static bool
v1_port(const char *text, uint16_t *out)
{
	uint64_t port;

	if ((text[0] == '0' && text[1] != '\0') || str_u64(text, 0, UINT16_MAX, &port) == -1)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* The words of a line, with exactly one space between them; false if they are not as many. */
static bool
v1_split(char *line, char *words[V1_WORDS])
{
	size_t i;

	for (i = 0; i < V1_WORDS; i++) {
		words[i] = line;
		line += strcspn(line, " ");
		if ((*line == '\0') != (i == V1_WORDS - 1))
			return false;
		*line++ = '\0';
	}
	return true;
}

/* A line without its CRLF. */
static enum proxy_result
v1_line(char *line, struct proxy_header *out)
{
	char *rest = line + sizeof(v1_mark) - 1, *words[V1_WORDS];
	uint16_t source_port, port;
	struct addr destination;
	sa_family_t family;

	if (strncmp(rest, "UNKNOWN", 7) == 0 && (rest[7] == '\0' || rest[7] == ' ')) {
		out->own = true; /* what follows is to be ignored */
		return PROXY_OK;
	}
	if (!v1_split(line, words))
		return PROXY_BAD;
	if (strcmp(words[1], "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(words[1], "TCP6") == 0)
		family = AF_INET6;
	else
		return PROXY_BAD;
	if (!v1_port(words[4], &source_port) || !v1_port(words[5], &port) ||
	    !v1_address(words[2], family, source_port, &out->source) ||
	    !v1_address(words[3], family, port, &destination))
		return PROXY_BAD;
	return PROXY_OK;
}

static enum proxy_result
v1_parse(const uint8_t *data, size_t len, struct proxy_header *out)
{
	size_t max = len < V1_MAX ? len : V1_MAX, n;
	const uint8_t *end = memmem(data, max, "\r\n", 2);
	char line[V1_MAX];

	if (end == NULL)
		return len < V1_MAX ? PROXY_MORE : PROXY_BAD;
	n = (size_t)(end - data);
	memcpy(line, data, n);
	line[n] = '\0';
	if (strlen(line) != n)
		return PROXY_BAD;
	out->len = n + 2;
	return v1_line(line, out);
}

/* -- version 2 -- */

static uint16_t
read_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The source, before the destination and the two ports. */
static void
v2_address(const uint8_t *p, unsigned family, struct addr *out)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&out->ss;

	if (family == V2_INET) {
		sin->sin_family = AF_INET;
		memcpy(&sin->sin_addr, p, sizeof(sin->sin_addr));
		sin->sin_port = htons(read_u16(p + 8));
		out->len = sizeof(*sin);
	} else {
		sin6->sin6_family = AF_INET6;
		memcpy(&sin6->sin6_addr, p, sizeof(sin6->sin6_addr));
		sin6->sin6_port = htons(read_u16(p + 32));
		out->len = sizeof(*sin6);
	}
}

static enum proxy_result
v2_parse(const uint8_t *data, size_t len, struct proxy_header *out)
{
	unsigned version, command, family, transport;
	size_t addresses;

	if (len < V2_FIXED)
		return PROXY_MORE;
	version = data[12] >> 4;
	command = data[12] & 0x0f;
	family = data[13] >> 4;
	transport = data[13] & 0x0f;
	addresses = read_u16(data + 14);
	out->len = V2_FIXED + addresses;
	if (version != 2 || (command != V2_LOCAL && command != V2_PROXY) ||
	    out->len > PROXY_HEADER_MAX)
		return PROXY_BAD;
	/* Of LOCAL, the family is to be ignored. */
	if (command == V2_PROXY && (family > V2_UNIX || transport > V2_DGRAM))
		return PROXY_BAD;
	/* A client that TCP did not bring has no address to judge: as UNSPEC, it counts as none. */
	out->own = command == V2_LOCAL || transport != V2_STREAM ||
		   (family != V2_INET && family != V2_INET6);
	if (!out->own && addresses < (family == V2_INET ? V2_INET_LEN : V2_INET6_LEN))
		return PROXY_BAD;
	if (len < out->len)
		return PROXY_MORE;
	if (!out->own)
		v2_address(data + V2_FIXED, family, &out->source);
	return PROXY_OK;
}

/* -- which of them -- */

/* Whether data begins as a header does that begins with a mark. */
static bool
has_mark(const uint8_t *data, size_t len, const uint8_t *mark, size_t size)
{
	return memcmp(data, mark, len < size ? len : size) == 0;
}

enum proxy_result
proxy_parse(const uint8_t *data, size_t len, bool v2_only, struct proxy_header *out)
{
	memset(out, 0, sizeof(*out));
	if (len == 0)
		return PROXY_MORE;
	if (has_mark(data, len, v2_mark, sizeof(v2_mark) - 1))
		return v2_parse(data, len, out);
	if (!v2_only && has_mark(data, len, v1_mark, sizeof(v1_mark) - 1))
		return v1_parse(data, len, out);
	return PROXY_BAD;
}
