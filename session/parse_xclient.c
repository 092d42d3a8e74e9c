/* SPDX-License-Identifier: ISC */
/*
 * XCLIENT: what a host that speaks for other clients says of one.
 *
 * Invariant: as parse.c's; a value has its attribute's kind, or is "" because
 * the other side does not know it.  Nothing is fatal.
 */
#include <stddef.h>
#include <string.h>

#include "lib/base/str.h"
#include "session/parse.h"
#include "session/xtext.h"

#define LOGIN_MAX 255 /* octets; fits every message that bears it */

/* Whether a value is of its kind; it may step over a prefix that says no more than that. */
typedef bool value_check(const char **value);

static bool
check_addr(const char **value)
{
	struct address_literal literal;
	char text[ADDRESS_DOMAIN_MAX + 1];

	if (str_format(text, sizeof(text), "[%s]", *value) == -1 ||
	    !address_literal_parse(text, &literal))
		return false;
	if (literal.family == ADDRESS_IPV6)
		*value += strlen("IPV6:");
	return true;
}

static bool
check_port(const char **value)
{
	uint64_t port;

	return str_u64(*value, 0, UINT16_MAX, &port) == 0;
}

static bool
check_host(const char **value)
{
	return address_helo_valid(*value);
}

static bool
check_proto(const char **value)
{
	return str_equal_nocase(*value, "SMTP") || str_equal_nocase(*value, "ESMTP");
}

static bool
check_login(const char **value)
{
	return **value != '\0' && strlen(*value) <= LOGIN_MAX && strchr(*value, ' ') == NULL;
}

#define ATTRIBUTE(member) offsetof(struct xclient_args, member)
static const struct {
	const char *name;
	size_t offset;
	value_check *check;
} attributes[] = {
    {"ADDR", ATTRIBUTE(addr), check_addr},
    {"PORT", ATTRIBUTE(port), check_port},
    {"NAME", ATTRIBUTE(name), check_host},
    {"HELO", ATTRIBUTE(helo), check_host},
    {"PROTO", ATTRIBUTE(proto), check_proto},
    {"LOGIN", ATTRIBUTE(login), check_login},
    {"DESTADDR", ATTRIBUTE(destaddr), check_addr},
    {"DESTPORT", ATTRIBUTE(destport), check_port},
};

/* The row of the name of len octets at s, or how many rows there are. */
static size_t
attribute_lookup(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < NITEMS(attributes); i++)
		if (strlen(attributes[i].name) == len && str_starts_nocase(s, attributes[i].name))
			break;
	return i;
}

static bool
is_unknown(const char *value)
{
	return str_equal_nocase(value, "[UNAVAILABLE]") || str_equal_nocase(value, "[TEMPUNAVAIL]");
}

/* One "NAME=value" of len octets; its value is decoded to the text at *used. */
static enum parse_result
take_attribute(const char *s, size_t len, struct xclient_args *out, size_t *used)
{
	size_t name = strcspn(s, "= "), i = attribute_lookup(s, name);
	char raw[sizeof(out->text)], *decoded = out->text + *used;
	const char *value = decoded, **member;

	if (i == NITEMS(attributes) || name >= len || len - name > sizeof(out->text) - *used)
		return PARSE_BAD_PARAM;
	member = (const char **)(void *)((char *)out + attributes[i].offset);
	memcpy(raw, s + name + 1, len - name - 1);
	raw[len - name - 1] = '\0';
	if (*member != NULL || xtext_decode(decoded, raw, false) == -1)
		return PARSE_BAD_PARAM;
	if (is_unknown(decoded))
		decoded[0] = '\0';
	else if (!attributes[i].check(&value))
		return PARSE_BAD_PARAM;
	*member = value;
	*used += strlen(decoded) + 1;
	return PARSE_OK;
}

enum parse_result
parse_xclient(const char *arg, struct xclient_args *out)
{
	enum parse_result r = PARSE_SYNTAX; /* there must be one */
	size_t used = 0, len;

	memset(out, 0, sizeof(*out));
	for (arg += strspn(arg, " "); *arg != '\0'; arg += strspn(arg, " ")) {
		len = strcspn(arg, " ");
		if ((r = take_attribute(arg, len, out, &used)) != PARSE_OK)
			break;
		arg += len;
	}
	return r;
}
