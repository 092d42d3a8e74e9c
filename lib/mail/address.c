/* SPDX-License-Identifier: ISC */
/*
 * Mail addresses: the one parser that session, configuration and admin use.
 *
 * Invariant: what comes out as ADDRESS_OK has a domain of valid labels or a
 * valid literal, and a local part free of control octets and malformed UTF-8,
 * so that whatever later quotes, logs or writes it has nothing left to fear;
 * and address_format() of it parses to the same address.  Nothing is fatal.
 */
#include "lib/mail/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

enum domain_allow { ALLOW_UTF8 = 1 << 0, ALLOW_UNDERSCORE = 1 << 1 };

static bool
is_8bit(char c)
{
	return ((unsigned char)c & 0x80) != 0;
}

static bool
is_atext(char c)
{
	return c != '\0' &&
	       (char_is_alnum((unsigned char)c) || strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Controls and line separators hide or forge lines where the address is shown. */
static bool
is_hidden(uint32_t code)
{
	return (code >= 0x80 && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

size_t
address_utf8_len(const char *s)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)*s;
	uint32_t code;
	size_t n, i;

	if (lead < 0x80)
		return lead >= 0x20 && lead != 0x7f ? 1 : 0;
	if (lead >= 0xc2 && lead < 0xe0)
		n = 2;
	else if (lead >= 0xe0 && lead < 0xf0)
		n = 3;
	else if (lead >= 0xf0 && lead < 0xf5)
		n = 4;
	else
		return 0;
	code = lead & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		/* The string's NUL is no continuation: nothing is read past it. */
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return is_hidden(code) ? 0 : n;
}

/* -- domains -- */

/* The length of the label at s, 0 if it is none. */
static size_t
label_len(const char *s, unsigned allow)
{
	size_t n = 0;

	while (s[n] != '\0' && s[n] != '.') {
		size_t step = 1;

		if (is_8bit(s[n])) {
			if ((allow & ALLOW_UTF8) == 0 || (step = address_utf8_len(s + n)) == 0)
				return 0;
		} else if (!char_is_alnum((unsigned char)s[n]) && s[n] != '-' &&
			   !(s[n] == '_' && (allow & ALLOW_UNDERSCORE) != 0)) {
			return 0;
		}
		n += step;
	}
	if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return 0;
	return n;
}

static bool
is_domain(const char *s, unsigned allow)
{
	size_t n;

	if (strlen(s) > ADDRESS_DOMAIN_MAX)
		return false;
	for (;;) {
		if ((n = label_len(s, allow)) == 0)
			return false;
		s += n;
		if (*s == '\0')
			return true;
		s++; /* the dot; a label must follow */
	}
}

bool
address_domain_valid(const char *domain, bool utf8)
{
	return is_domain(domain, utf8 ? ALLOW_UTF8 : 0);
}

bool
address_helo_valid(const char *s)
{
	struct address_literal literal;

	if (*s == '[')
		return address_literal_parse(s, &literal);
	return is_domain(s, ALLOW_UNDERSCORE);
}

bool
address_literal_parse(const char *domain, struct address_literal *out)
{
	static const char tag[] = "[IPv6:";
	char text[INET6_ADDRSTRLEN];
	size_t len = strlen(domain), skip;
	bool six = str_starts_nocase(domain, tag);

	skip = six ? sizeof(tag) - 1 : 1;
	if (len < skip + 1 || domain[0] != '[' || domain[len - 1] != ']')
		return false;
	len -= skip + 1;
	if (len >= sizeof(text))
		return false;
	memcpy(text, domain + skip, len);
	text[len] = '\0';
	*out = (struct address_literal){.family = six ? ADDRESS_IPV6 : ADDRESS_IPV4};
	return inet_pton(six ? AF_INET6 : AF_INET, text, out->bytes) == 1;
}

/* One way to write a literal, so that equal ones compare equal. */
static void
literal_canonical(char *domain)
{
	str_lower(domain);
	if (strncmp(domain, "[ipv6:", 6) == 0)
		memcpy(domain, "[IPv6:", 6);
}

/* Where the domain at p ends: a literal with its bracket, else before what can follow a domain. */
static size_t
domain_extent(const char *p)
{
	size_t n;

	if (*p != '[')
		return strcspn(p, ">,:@ ");
	n = strcspn(p, "]>");
	return p[n] == ']' ? n + 1 : n;
}

static enum address_result
parse_domain(const char **p, unsigned flags, struct address *out)
{
	struct address_literal literal;
	bool utf8_ok = (flags & ADDRESS_UTF8_OK) != 0;
	size_t n = domain_extent(*p), i;

	for (i = 0; i < n; i++)
		if (is_8bit((*p)[i]))
			out->utf8 = true;
	if (out->utf8 && !utf8_ok)
		return ADDRESS_UTF8;
	if (n > ADDRESS_DOMAIN_MAX)
		return ADDRESS_DOMAIN_TOO_LONG;
	memcpy(out->domain, *p, n);
	out->domain[n] = '\0';
	out->literal = **p == '[';
	if (out->literal) {
		if (!address_literal_parse(out->domain, &literal))
			return ADDRESS_BAD;
		literal_canonical(out->domain);
	} else {
		if (!address_domain_valid(out->domain, utf8_ok))
			return ADDRESS_BAD;
		str_lower(out->domain);
	}
	*p += n;
	return ADDRESS_OK;
}

/* -- local parts -- */

/* Adds the character at *p, of one octet or several, to the local part and steps over it. */
static enum address_result
take_char(const char **p, unsigned flags, struct address *out, size_t *at)
{
	size_t n = 1;

	if (is_8bit(**p)) {
		if ((flags & ADDRESS_UTF8_OK) == 0)
			return ADDRESS_UTF8;
		if ((n = address_utf8_len(*p)) == 0)
			return ADDRESS_BAD;
		out->utf8 = true;
	}
	if (n > ADDRESS_LOCAL_MAX - *at)
		return ADDRESS_LOCAL_TOO_LONG;
	memcpy(out->local + *at, *p, n);
	*at += n;
	out->local[*at] = '\0';
	*p += n;
	return ADDRESS_OK;
}

/* Atoms with single dots between them (RFC 5321 4.1.2, Dot-string). */
static enum address_result
parse_dot_string(const char **p, unsigned flags, struct address *out)
{
	enum address_result r;
	bool want_atom = true;
	size_t at = 0;

	while (is_atext(**p) || is_8bit(**p) || (**p == '.' && !want_atom)) {
		want_atom = **p == '.';
		if ((r = take_char(p, flags, out, &at)) != ADDRESS_OK)
			return r;
	}
	return want_atom ? ADDRESS_BAD : ADDRESS_OK;
}

/* RFC 5321 4.1.2, Quoted-string.  An empty one names nobody, though the grammar has it. */
static enum address_result
parse_quoted(const char **p, unsigned flags, struct address *out)
{
	enum address_result r;
	size_t at = 0;

	for ((*p)++; **p != '"';) {
		if (**p == '\\') {
			(*p)++;
			if (!is_printable(**p))
				return ADDRESS_BAD;
		}
		if (!is_printable(**p) && !is_8bit(**p))
			return ADDRESS_BAD;
		if ((r = take_char(p, flags, out, &at)) != ADDRESS_OK)
			return r;
	}
	(*p)++;
	return at == 0 ? ADDRESS_BAD : ADDRESS_OK;
}

/* local@domain, or the bare postmaster; stops at what can't belong to it. */
static enum address_result
parse_mailbox(const char **p, unsigned flags, struct address *out)
{
	enum address_result r;

	r = **p == '"' ? parse_quoted(p, flags, out) : parse_dot_string(p, flags, out);
	if (r != ADDRESS_OK)
		return r;
	if (**p == '@') {
		(*p)++;
		return parse_domain(p, flags, out);
	}
	if ((flags & ADDRESS_BARE_POSTMASTER_OK) != 0 && str_equal_nocase(out->local, "postmaster"))
		return ADDRESS_OK;
	return ADDRESS_BAD;
}

/* "@a,@b:" before the mailbox: it must be well-formed and is then forgotten. */
static enum address_result
skip_route(const char **p, unsigned flags)
{
	struct address hop;
	enum address_result r;

	if (**p != '@')
		return ADDRESS_OK;
	for (;;) {
		memset(&hop, 0, sizeof(hop));
		if (**p != '@')
			return ADDRESS_BAD;
		(*p)++;
		if ((r = parse_domain(p, flags, &hop)) != ADDRESS_OK)
			return r;
		if (hop.literal || (**p != ',' && **p != ':'))
			return ADDRESS_BAD;
		if (*(*p)++ == ':')
			return ADDRESS_OK;
	}
}

enum address_result
address_parse_path(const char **p, unsigned flags, struct address *out)
{
	const char *s = *p;
	enum address_result r;

	memset(out, 0, sizeof(*out));
	if (*s++ != '<')
		return ADDRESS_BAD;
	if (*s == '>') {
		r = (flags & ADDRESS_NULL_OK) != 0 ? ADDRESS_OK : ADDRESS_BAD;
	} else if ((r = skip_route(&s, flags)) == ADDRESS_OK) {
		r = parse_mailbox(&s, flags, out);
	}
	if (r == ADDRESS_OK && *s != '>')
		r = ADDRESS_BAD;
	if (r == ADDRESS_OK)
		*p = s + 1;
	else
		memset(out, 0, sizeof(*out));
	return r;
}

enum address_result
address_parse(const char *s, unsigned flags, struct address *out)
{
	enum address_result r;

	memset(out, 0, sizeof(*out));
	if (*s == '\0')
		return (flags & ADDRESS_NULL_OK) != 0 ? ADDRESS_OK : ADDRESS_BAD;
	r = parse_mailbox(&s, flags, out);
	if (r == ADDRESS_OK && *s != '\0')
		r = ADDRESS_BAD;
	if (r != ADDRESS_OK)
		memset(out, 0, sizeof(*out));
	return r;
}

/* -- writing -- */

static bool
is_dot_string(const char *local)
{
	bool want_atom = true;

	for (; *local != '\0'; local++) {
		if (*local == '.' ? want_atom : !is_atext(*local) && !is_8bit(*local))
			return false;
		want_atom = *local == '.';
	}
	return !want_atom;
}

static void
quote_local(char *dst, const char *local)
{
	*dst++ = '"';
	for (; *local != '\0'; local++) {
		if (*local == '"' || *local == '\\')
			*dst++ = '\\';
		*dst++ = *local;
	}
	*dst++ = '"';
	*dst = '\0';
}

size_t
address_untagged(const char *local, const char *delimiters)
{
	if (delimiters == NULL || strcmp(delimiters, "none") == 0 || local[0] == '\0')
		return strlen(local);
	return 1 + strcspn(local + 1, delimiters);
}

void
address_canonical(struct address *a, const char *delimiters)
{
	str_lower(a->local);
	a->local[address_untagged(a->local, delimiters)] = '\0';
}

int
address_format(const struct address *a, char *dst, size_t size)
{
	char quoted[2 * ADDRESS_LOCAL_MAX + 3];
	const char *local = a->local;

	if (*local != '\0' && !is_dot_string(local)) {
		quote_local(quoted, local);
		local = quoted;
	}
	return str_format(dst, size, "%s%s%s", local, a->domain[0] != '\0' ? "@" : "", a->domain);
}
