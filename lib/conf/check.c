/* SPDX-License-Identifier: ISC */
/*
 * Predicates over the strings of a configuration.
 *
 * Invariant: pure; every one refuses the empty string and control bytes, and
 * all but a secret and a reply also blanks, so that no string of smtpd.conf can break a log line, an SMTP
 * command or a path.
 */
#include "lib/conf/check.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/conf/check_url.h"
#include "lib/conf/conf.h"

#define HOSTNAME_MAX   255
#define LOCAL_PART_MAX 64		     /* RFC 5321 section 4.5.3.1.1 */
#define ATEXT	       "!#$%&'*+-/=?^_`{|}~" /* RFC 5322 section 3.2.3, without letters and digits */

static bool
all_of(const char *s, size_t min, size_t max, const char *punct)
{
	size_t len = strlen(s), i;

	for (i = 0; i < len; i++) {
		if (!char_is_alnum((unsigned char)s[i]) && strchr(punct, s[i]) == NULL)
			return false;
	}
	return len >= min && len <= max;
}

static bool
is_printable(const char *s, size_t max)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	}
	return i > 0 && i <= max;
}

bool
check_hostname(const char *s)
{
	if (*s == '[')
		return all_of(s, 3, HOSTNAME_MAX, ".:[]") && s[strlen(s) - 1] == ']';
	return all_of(s, 1, HOSTNAME_MAX, ".-_") && *s != '.' && *s != '-' &&
	       strstr(s, "..") == NULL;
}

bool
check_loopback(const char *s)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	uint8_t address[16];

	if (inet_pton(AF_INET, s, address) == 1)
		return address[0] == 127;
	if (inet_pton(AF_INET6, s, address) == 1)
		return memcmp(address, loopback6, sizeof(loopback6)) == 0;
	return strcmp(s, "localhost") == 0 || strcmp(s, "lo") == 0;
}

bool
check_path(const char *s)
{
	return *s == '/' && is_printable(s, PATH_MAX - 1);
}

bool
check_account(const char *s)
{
	return all_of(s, 1, 32, "._-$") && *s != '-';
}

bool
check_name(const char *s)
{
	return is_printable(s, CONF_NAME_MAX) && strpbrk(s, " <>\"'\\") == NULL;
}

/* RFC 5321 section 4.1.2 Mailbox with a Dot-string. */
bool
check_address(const char *s)
{
	char local[LOCAL_PART_MAX + 1];
	const char *at = strchr(s, '@');

	return at != NULL && str_format(local, sizeof(local), "%.*s", (int)(at - s), s) == 0 &&
	       all_of(local, 1, LOCAL_PART_MAX, "." ATEXT) && *local != '.' && at[-1] != '.' &&
	       strstr(local, "..") == NULL && check_hostname(at + 1);
}

bool
check_reply_text(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if ((unsigned char)s[i] > '~')
			return false;
	}
	return is_printable(s, CONF_REPLY_MAX);
}

bool
check_socket_path(const char *s)
{
	return check_path(s) && strlen(s) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

static bool
check_server(const char *s)
{
	char address[INET6_ADDRSTRLEN + sizeof("@65535")], *port;
	uint64_t number;

	if (str_copy(address, sizeof(address), s) == -1)
		return false;
	if ((port = strchr(address, '@')) != NULL) {
		*port++ = '\0';
		if (str_u64(port, 1, UINT16_MAX, &number) == -1)
			return false;
	}
	return check_ip(address);
}

bool
check_servers(const char *s)
{
	char one[CONF_STRING_MAX + 1];
	size_t len;

	for (;;) {
		len = strcspn(s, ",");
		if (str_format(one, sizeof(one), "%.*s", (int)len, s) == -1 || !check_server(one))
			return false;
		if (s[len] == '\0')
			return true;
		s += len + 1;
	}
}

bool
check_servers_none(const char *s)
{
	return strcmp(s, "none") == 0 || check_servers(s);
}

bool
check_recipient(const char *s)
{
	return check_account(s) || check_address(s);
}

bool
check_secret(const char *s)
{
	return is_printable(s, CONF_STRING_MAX);
}

bool
check_delimiters(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if (strchr("." ATEXT, s[i]) == NULL || strchr(s + i + 1, s[i]) != NULL)
			return strcmp(s, "none") == 0;
	}
	return i > 0;
}
