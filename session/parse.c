/* SPDX-License-Identifier: ISC */
/*
 * Command lines of SMTP: verbs, what an argument is refused with, and the
 * arguments of the short commands; MAIL and RCPT are in parse_mail.c, XCLIENT
 * in parse_xclient.c.
 *
 * Invariant: PARSE_OK means that every field of the result is within its
 * grammar, decoded, and free of control octets; every refusal names the answer
 * to give.  Nothing is fatal.
 */
#include "session/parse.h"

#include <string.h>

#include "lib/base/str.h"

static const struct {
	enum verb verb;
	const char *name;
} verbs[] = {
    {VERB_HELO, "HELO"}, {VERB_EHLO, "EHLO"}, {VERB_LHLO, "LHLO"}, /* RFC 2033 4.1 */
    {VERB_MAIL, "MAIL"}, {VERB_RCPT, "RCPT"}, {VERB_DATA, "DATA"},
    {VERB_BDAT, "BDAT"}, /* RFC 3030 2 */
    {VERB_RSET, "RSET"}, {VERB_NOOP, "NOOP"}, {VERB_QUIT, "QUIT"}, {VERB_VRFY, "VRFY"},
    {VERB_EXPN, "EXPN"}, {VERB_HELP, "HELP"}, {VERB_STARTTLS, "STARTTLS"}, /* RFC 3207 4 */
    {VERB_AUTH, "AUTH"},						   /* RFC 4954 4 */
    {VERB_ETRN, "ETRN"},						   /* RFC 1985 */
    {VERB_XCLIENT, "XCLIENT"}, {VERB_HTTP, "GET"}, {VERB_HTTP, "POST"}, {VERB_HTTP, "PUT"},
    {VERB_HTTP, "HEAD"}, {VERB_HTTP, "OPTIONS"}, {VERB_HTTP, "CONNECT"}, {VERB_HTTP, "DELETE"},
    {VERB_HTTP, "PATCH"}, {VERB_HTTP, "TRACE"}, {VERB_HTTP, "PRI"}, /* RFC 9113 3.4 */
};

static const struct parse_answer answers[PARSE__MAX] = {
    [PARSE_SYNTAX] = {501, "5.5.4", "Syntax error in arguments"},
    [PARSE_BAD_ADDRESS] = {501, "5.1.3", "Bad recipient address syntax"},
    [PARSE_LOCAL_TOO_LONG] = {501, "5.1.3", "Local part longer than 64 octets"},
    [PARSE_NEEDS_SMTPUTF8] = {553, "5.6.7", "Address needs SMTPUTF8"}, /* RFC 6531 3.5 */
    [PARSE_UNKNOWN_PARAM] = {555, "5.5.4", "Unknown parameter"},
    [PARSE_BAD_PARAM] = {501, "5.5.4", "Bad parameter value"},
    [PARSE_TOO_BIG] = {552, "5.3.4", "Message too big"},
};

static const struct parse_answer bad_sender = {501, "5.1.7", "Bad sender address syntax"};

const struct parse_answer *
parse_answer(enum parse_result r, enum verb verb)
{
	bug_on(r == PARSE_OK || r >= PARSE__MAX);
	if (r == PARSE_BAD_ADDRESS && verb == VERB_MAIL)
		return &bad_sender;
	return &answers[r];
}

/* -- lines -- */

static enum verb
verb_lookup(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < NITEMS(verbs); i++)
		if (strlen(verbs[i].name) == len && str_starts_nocase(line, verbs[i].name))
			return verbs[i].verb;
	return VERB_UNKNOWN;
}

const char *
verb_name(enum verb v)
{
	size_t i;

	for (i = 0; i < NITEMS(verbs); i++)
		if (verbs[i].verb == v && v != VERB_HTTP)
			return verbs[i].name;
	return "?";
}

static unsigned
octet_class(unsigned char c)
{
	switch (c) {
	case '\0':
		return COMMAND_NUL;
	case '\r':
		return COMMAND_CR;
	case '\n':
		return COMMAND_LF;
	default:
		return c < ' ' || c == 0x7f ? COMMAND_CONTROL : 0;
	}
}

static const char *
skip_spaces(const char *p)
{
	return p + strspn(p, " ");
}

/* Up to a space, or to an octet that has no place in a line: the verb is known all the same. */
static size_t
word_len(const char *line)
{
	size_t n = 0;

	while ((unsigned char)line[n] > ' ' && line[n] != 0x7f)
		n++;
	return n;
}

void
parse_command(const char *line, size_t len, struct command *out)
{
	size_t word = word_len(line), i;

	bug_on(line[len] != '\0');
	*out = (struct command){.verb = verb_lookup(line, word)};
	for (i = 0; i < len; i++) {
		out->bad_octets |= octet_class((unsigned char)line[i]);
		out->has_8bit |= ((unsigned char)line[i] & 0x80) != 0;
	}
	out->arg = skip_spaces(line + word);
	out->arg_len = strlen(out->arg);
	while (out->arg_len > 0 && out->arg[out->arg_len - 1] == ' ')
		out->arg_len--;
}

enum parse_result
parse_hello(const struct command *c, char dst[ADDRESS_DOMAIN_MAX + 1])
{
	dst[0] = '\0';
	if (c->arg_len > ADDRESS_DOMAIN_MAX)
		return PARSE_SYNTAX;
	memcpy(dst, c->arg, c->arg_len);
	dst[c->arg_len] = '\0';
	if (address_helo_valid(dst))
		return PARSE_OK;
	dst[0] = '\0';
	return PARSE_SYNTAX;
}

enum parse_result
parse_bdat(const struct command *c, uint64_t *size, bool *last)
{
	char digits[21];
	size_t n = strcspn(c->arg, " "), left;
	const char *rest = skip_spaces(c->arg + n);

	left = c->arg_len > (size_t)(rest - c->arg) ? c->arg_len - (size_t)(rest - c->arg) : 0;
	*last = left > 0;
	if (n >= sizeof(digits) || (left > 0 && (left != 4 || !str_starts_nocase(rest, "LAST"))))
		return PARSE_SYNTAX;
	memcpy(digits, c->arg, n);
	digits[n] = '\0';
	return str_u64(digits, 0, INT64_MAX, size) == -1 ? PARSE_SYNTAX : PARSE_OK;
}
