/* SPDX-License-Identifier: ISC */
/*
 * The client's side of SOCKS5 (RFC 1928), without authentication, to an
 * address: the proxy is never asked to resolve a name.  Pure.
 *
 * Invariant: of the proxy's octets exactly those are taken that its answer
 * has; what follows belongs to the server behind it.
 */
#include "delivery/socks.h"

#include <netinet/in.h>
#include <string.h>

enum { SOCKS_START, SOCKS_METHOD, SOCKS_ANSWER, SOCKS_OVER };

#define SOCKS_VERSION 5
#define NO_AUTH	      0
#define CONNECT	      1
#define TYPE_IPV4     1
#define TYPE_NAME     3
#define TYPE_IPV6     4
#define ANSWER_FIXED  5 /* version, reply, reserved, type, and the first octet of an address */

/* RFC 1928 6 */
static const char *const replies[] = {NULL, "general failure", "not allowed by its rules",
    "network unreachable", "host unreachable", "connection refused", "TTL expired",
    "command not supported", "address type not supported"};

static enum socks_result
broken(struct socks *s, const char *why)
{
	s->stage = SOCKS_OVER;
	s->why = why;
	return SOCKS_BROKEN;
}

static enum socks_result
say_methods(struct socks *s)
{
	static const uint8_t methods[] = {SOCKS_VERSION, 1, NO_AUTH};

	s->stage = SOCKS_METHOD;
	memcpy(s->out, methods, sizeof(methods));
	s->nout = sizeof(methods);
	return SOCKS_SAY;
}

static void
put_request(struct socks *s, uint8_t type, const void *address, size_t len, in_port_t port)
{
	const uint8_t head[] = {SOCKS_VERSION, CONNECT, 0, type};

	memcpy(s->out, head, sizeof(head));
	memcpy(s->out + sizeof(head), address, len);
	memcpy(s->out + sizeof(head) + len, &port, sizeof(port)); /* in network order as it is */
	s->nout = sizeof(head) + len + sizeof(port);
}

static enum socks_result
say_request(struct socks *s, const struct addr *to)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	s->stage = SOCKS_ANSWER;
	s->nin = 0;
	if (to->ss.ss_family == AF_INET6) {
		memcpy(&in6, &to->ss, sizeof(in6));
		put_request(s, TYPE_IPV6, &in6.sin6_addr, sizeof(in6.sin6_addr), in6.sin6_port);
	} else {
		memcpy(&in, &to->ss, sizeof(in));
		put_request(s, TYPE_IPV4, &in.sin_addr, sizeof(in.sin_addr), in.sin_port);
	}
	return SOCKS_SAY;
}

static enum socks_result
take_method(struct socks *s, const struct addr *to)
{
	if (s->in[0] != SOCKS_VERSION)
		return broken(s, "it does not speak SOCKS5");
	if (s->nin < 2)
		return SOCKS_MORE;
	return s->in[1] == NO_AUTH ? say_request(s, to) : broken(s, "it wants authentication");
}

/* How long an answer of this type is; 0: no such type. */
static size_t
answer_len(const struct socks *s)
{
	switch (s->in[3]) {
	case TYPE_IPV4:
		return 4 + 4 + 2;
	case TYPE_IPV6:
		return 4 + 16 + 2;
	case TYPE_NAME:
		return 4 + 1 + (size_t)s->in[4] + 2;
	default:
		return 0;
	}
}

static enum socks_result
take_answer(struct socks *s)
{
	if (s->in[0] != SOCKS_VERSION)
		return broken(s, "it does not speak SOCKS5");
	if (s->nin >= 2 && s->in[1] != 0)
		return broken(
		    s, s->in[1] < NITEMS(replies) ? replies[s->in[1]] : "unknown failure");
	if (s->nin < ANSWER_FIXED)
		return SOCKS_MORE;
	if (answer_len(s) == 0)
		return broken(s, "an unknown type of address");
	if (s->nin < answer_len(s))
		return SOCKS_MORE;
	s->stage = SOCKS_OVER;
	return SOCKS_DONE;
}

enum socks_result
socks_feed(struct socks *s, const struct addr *to, const uint8_t *octet)
{
	if (s->stage == SOCKS_START)
		return say_methods(s);
	if (s->stage == SOCKS_OVER || octet == NULL || s->nin == sizeof(s->in))
		return broken(s, "it says too much");
	s->in[s->nin++] = *octet;
	return s->stage == SOCKS_METHOD ? take_method(s, to) : take_answer(s);
}
