/* SPDX-License-Identifier: ISC */
/*
 * A relay's URL, taken apart.  Pure.
 *
 * Invariant: a URL with a label, which stands for a credential, never comes out as
 * one that may do without TLS.
 */
#include "lib/mail/relay_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

struct scheme {
	const char *prefix;
	enum relay_tls tls;
	uint16_t port; /* 0: the URL has to say it */
	bool lmtp;
};

static const struct scheme schemes[] = {
    {"smtp://", RELAY_TLS_MAY, 25, false},
    {"smtp+tls://", RELAY_TLS_MUST, 25, false},
    {"smtp+notls://", RELAY_TLS_NEVER, 25, false},
    {"smtps://", RELAY_TLS_FIRST, 465, false},
    {"lmtp://", RELAY_TLS_MAY, 0, true},
    {"lmtp+tls://", RELAY_TLS_MUST, 0, true},
};

static const char *
take_scheme(const char *text, struct relay_url *out)
{
	const struct scheme *s = &schemes[0];
	size_t i, len = 0;

	for (i = 0; i < NITEMS(schemes); i++)
		if (str_starts_nocase(text, schemes[i].prefix)) {
			s = &schemes[i];
			len = strlen(s->prefix);
		}
	out->tls = s->tls;
	out->port = s->port;
	out->lmtp = s->lmtp;
	return text + len;
}

static int
take(char *dst, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return -1;
	memcpy(dst, from, len);
	dst[len] = '\0';
	return 0;
}

/* A mail address may be a label: the last '@' ends it. */
static const char *
take_label(const char *text, struct relay_url *out)
{
	const char *at = strrchr(text, '@'), *p;

	if (at == NULL)
		return text;
	for (p = text; p < at; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' ||
		    strchr("/,\"\\", *p) != NULL)
			return NULL;
	if (take(out->label, sizeof(out->label), text, (size_t)(at - text)) == -1 ||
	    out->tls == RELAY_TLS_NEVER)
		return NULL;
	if (out->tls == RELAY_TLS_MAY)
		out->tls = RELAY_TLS_MUST;
	return at + 1;
}

static bool
is_number(const char *host)
{
	uint8_t scratch[sizeof(struct in6_addr)];

	return inet_pton(AF_INET6, host, scratch) == 1 || inet_pton(AF_INET, host, scratch) == 1;
}

static const char *
take_host(const char *text, struct relay_url *out)
{
	size_t len = strcspn(text, ":");
	const char *close;

	if (*text != '[') {
		if (take(out->host, sizeof(out->host), text, len) == -1 ||
		    !address_domain_valid(out->host, false))
			return NULL;
		return text + len;
	}
	if ((close = strchr(text, ']')) == NULL ||
	    take(out->host, sizeof(out->host), text + 1, (size_t)(close - text - 1)) == -1 ||
	    !is_number(out->host))
		return NULL;
	return close + 1;
}

int
relay_url_parse(const char *text, struct relay_url *out)
{
	uint64_t port;

	*out = (struct relay_url){.tls = RELAY_TLS_MAY};
	text = take_scheme(text, out);
	if ((text = take_label(text, out)) == NULL || (text = take_host(text, out)) == NULL)
		goto bad;
	if (*text != '\0') {
		if (*text != ':' || str_u64(text + 1, 1, UINT16_MAX, &port) == -1)
			goto bad;
		out->port = (uint16_t)port;
	}
	if (out->port != 0)
		return 0;
bad:
	errno = EINVAL;
	return -1;
}
