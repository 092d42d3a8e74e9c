/* SPDX-License-Identifier: ISC */
/*
 * A relay's URL, taken apart.  Pure.
 */
#include "lib/mail/relay_url.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

static const struct {
	const char *prefix;
	enum relay_tls tls;
	uint16_t port;
} schemes[] = {
    {"smtp://", RELAY_TLS_MAY, 25},
    {"smtp+tls://", RELAY_TLS_MUST, 25},
    {"smtp+notls://", RELAY_TLS_NEVER, 25},
    {"smtps://", RELAY_TLS_FIRST, 465},
};

static const char *
take_scheme(const char *text, struct relay_url *out)
{
	size_t i;

	out->tls = RELAY_TLS_MAY;
	out->port = 25;
	for (i = 0; i < NITEMS(schemes); i++)
		if (str_starts_nocase(text, schemes[i].prefix)) {
			out->tls = schemes[i].tls;
			out->port = schemes[i].port;
			return text + strlen(schemes[i].prefix);
		}
	return text;
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
	    out->host[strspn(out->host, "0123456789abcdefABCDEF:.")] != '\0')
		return NULL;
	return close + 1;
}

int
relay_url_parse(const char *text, struct relay_url *out)
{
	const char *at;
	uint64_t port;

	*out = (struct relay_url){.tls = RELAY_TLS_MAY};
	text = take_scheme(text, out);
	if ((at = strchr(text, '@')) != NULL) {
		if (take(out->label, sizeof(out->label), text, (size_t)(at - text)) == -1)
			goto bad;
		text = at + 1;
	}
	if ((text = take_host(text, out)) == NULL)
		goto bad;
	if (*text == '\0')
		return 0;
	if (*text != ':' || str_u64(text + 1, 1, UINT16_MAX, &port) == -1)
		goto bad;
	out->port = (uint16_t)port;
	return 0;
bad:
	errno = EINVAL;
	return -1;
}
