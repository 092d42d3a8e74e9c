/* SPDX-License-Identifier: ISC */
/*
 * Predicates over what names other servers: where to relay to, through what, and
 * whom to believe.
 *
 * Invariant: as in check.c.  check_relay_url() takes what relay_url_parse() of
 * lib/mail does, and a label where TLS is forbidden, of which the parser has more
 * to say; a test holds the two together.
 */
#include "lib/conf/check_url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/conf.h"

#define HOSTNAME_MAX 255

bool
check_ip(const char *s)
{
	uint8_t scratch[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, scratch) == 1 || inet_pton(AF_INET6, s, scratch) == 1;
}

/* HOST, 192.0.2.1 or [2001:db8::1], with an optional :PORT. */
static bool
is_host_port(const char *s, bool port_wanted)
{
	char host[HOSTNAME_MAX + sizeof("[]:65535")], *port, *end;
	uint64_t number;

	if (str_copy(host, sizeof(host), s) == -1)
		return false;
	if (*host == '[') {
		if ((end = strchr(host, ']')) == NULL)
			return false;
		port = end[1] == ':' ? end + 1 : NULL;
		if (port == NULL && end[1] != '\0')
			return false;
		*end = '\0';
	} else {
		port = strchr(host, ':');
	}
	if (port == NULL && port_wanted)
		return false;
	if (port != NULL) {
		*port++ = '\0';
		if (str_u64(port, 1, UINT16_MAX, &number) == -1)
			return false;
	}
	return *host == '[' ? check_ip(host + 1) : check_hostname(host);
}

/* -- where to relay to -- */

enum scheme { SCHEME_TLS, SCHEME_CLEAR, SCHEME_LMTP };

static const struct {
	const char *prefix;
	enum scheme scheme;
} schemes[] = {
    {"smtp://", SCHEME_TLS},
    {"smtp+tls://", SCHEME_TLS},
    {"smtp+notls://", SCHEME_CLEAR},
    {"smtps://", SCHEME_TLS},
    {"lmtp://", SCHEME_LMTP},
    {"lmtp+tls://", SCHEME_LMTP},
};

/* What comes after the scheme; NULL: there is no such scheme. */
static const char *
skip_scheme(const char *url, enum scheme *scheme)
{
	size_t i;

	*scheme = SCHEME_TLS;
	for (i = 0; i < NITEMS(schemes); i++) {
		if (str_starts_nocase(url, schemes[i].prefix)) {
			*scheme = schemes[i].scheme;
			return url + strlen(schemes[i].prefix);
		}
	}
	return strstr(url, "://") == NULL ? url : NULL;
}

bool
check_relay_label(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] > '~' ||
		    strchr("/,\"\\", s[i]) != NULL)
			return false;
	return i > 0 && i <= CONF_NAME_MAX;
}

bool
check_oauth_label(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (!char_is_alnum((unsigned char)s[i]) &&
		    (i == 0 || strchr("._@+-", s[i]) == NULL))
			return false;
	return i > 0 && i <= CONF_NAME_MAX;
}

bool
check_relay_url(const char *s)
{
	char label[CONF_NAME_MAX + 1];
	const char *rest, *at;
	enum scheme scheme;

	if ((rest = skip_scheme(s, &scheme)) == NULL)
		return false;
	if ((at = strrchr(rest, '@')) != NULL) {
		if (str_format(label, sizeof(label), "%.*s", (int)(at - rest), rest) == -1 ||
		    !check_relay_label(label))
			return false;
		rest = at + 1;
	}
	return is_host_port(rest, scheme == SCHEME_LMTP);
}

bool
relay_url_is_clear(const char *url)
{
	enum scheme scheme;

	return skip_scheme(url, &scheme) != NULL && scheme == SCHEME_CLEAR;
}

bool
relay_url_label(const char *url, char label[CONF_NAME_MAX + 1])
{
	enum scheme scheme;
	const char *rest = skip_scheme(url, &scheme), *at;

	return rest != NULL && (at = strrchr(rest, '@')) != NULL &&
	       str_format(label, CONF_NAME_MAX + 1, "%.*s", (int)(at - rest), rest) == 0;
}

bool
text_next(const char **list, char item[CONF_STRING_MAX + 1])
{
	const char *s = *list;
	size_t len;

	if (s == NULL)
		return false;
	s += strspn(s, " \t");
	len = strcspn(s, ",");
	*list = s[len] == ',' ? s + len + 1 : NULL;
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	return str_format(item, CONF_STRING_MAX + 1, "%.*s", (int)len, s) == 0;
}

static bool
all_items(const char *list, bool (*check)(const char *))
{
	char item[CONF_STRING_MAX + 1];

	while (text_next(&list, item))
		if (!check(item))
			return false;
	return true;
}

bool
check_relay_urls(const char *s)
{
	return all_items(s, check_relay_url);
}

bool
check_ips(const char *s)
{
	return all_items(s, check_ip);
}

/* -- how to get there, and whom to believe -- */

bool
check_lmtp(const char *s)
{
	return *s == '/' ? check_socket_path(s) : is_host_port(s, true);
}

bool
check_proxy(const char *s)
{
	static const char scheme[] = "socks5://";
	char address[INET6_ADDRSTRLEN + sizeof("[]:65535")], *port;

	if (strncmp(s, scheme, sizeof(scheme) - 1) != 0)
		return false;
	s += sizeof(scheme) - 1;
	if (str_copy(address, sizeof(address), s) == -1 || !is_host_port(address, true))
		return false;
	/* No name: who would look it up? */
	if (*address == '[')
		return true;
	port = strchr(address, ':');
	*port = '\0';
	return check_ip(address);
}

static bool
is_fingerprint(const char *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t skip;

	if (str_starts_nocase(s, "SHA256:"))
		skip = sizeof("SHA256:") - 1;
	else if (str_starts_nocase(s, "SPKI:"))
		skip = sizeof("SPKI:") - 1;
	else
		return false;
	return strspn(s + skip, hex) == 64 && s[skip + 64] == '\0';
}

bool
check_fingerprints(const char *s)
{
	return strpbrk(s, " \t") == NULL && all_items(s, is_fingerprint);
}

/* Without a user in it, or a fragment: nothing that would not be sent there. */
bool
check_https(const char *s)
{
	static const char scheme[] = "https://";
	char host[HOSTNAME_MAX + sizeof("[]:65535")];
	size_t i;

	if (strncmp(s, scheme, sizeof(scheme) - 1) != 0)
		return false;
	for (i = 0; s[i] != '\0'; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] > '~' ||
		    strchr("\"<>\\^`{|}#@", s[i]) != NULL)
			return false;
	s += sizeof(scheme) - 1;
	return str_format(host, sizeof(host), "%.*s", (int)strcspn(s, "/?"), s) == 0 &&
	       is_host_port(host, false);
}
