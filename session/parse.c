/* SPDX-License-Identifier: ISC */
/*
 * Command lines of SMTP, and the arguments of those that have any.
 *
 * Invariant: PARSE_OK means that every field of the result is within its
 * grammar, decoded, and free of control octets; every refusal names the answer
 * to give.  ESMTP parameters are one table.  Nothing is fatal.
 */
#include "session/parse.h"

#include <string.h>

#include "lib/base/str.h"

#define VALUE_MAX 511 /* no parameter's value may be longer */

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

void
parse_command(const char *line, size_t len, struct command *out)
{
	size_t word = strcspn(line, " "), i;

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

/* -- parameters -- */

struct target { /* where a parameter's value goes; mail or rcpt is NULL */
	struct mail_args *mail;
	struct rcpt_args *rcpt;
	bool smtputf8;
};

struct param {
	const char *keyword;
	bool has_value;
	enum parse_result (*take)(struct target *t, const char *value);
};

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F') /* RFC 3461 4: upper case only */
		return c - 'A' + 10;
	return -1;
}

/* One xtext character (RFC 3461 4) as the octet it means; 0 when it is none, or not printable. */
static char
xtext_char(const char **p)
{
	const char *s = *p;
	int high, low, c;

	if (*s != '+') {
		*p = s + 1;
		return *s > ' ' && *s < 0x7f && *s != '=' ? *s : '\0';
	}
	if ((high = hex_value(s[1])) == -1 || (low = hex_value(s[2])) == -1)
		return '\0';
	c = high * 16 + low;
	*p = s + 3;
	return c >= ' ' && c < 0x7f ? (char)c : '\0';
}

/* Decodes src into dst, which has room for src; utf8 lets raw UTF-8 through (RFC 6533 3). */
static enum parse_result
xtext_decode(char *dst, const char *src, bool utf8)
{
	size_t n;

	while (*src != '\0') {
		if (((unsigned char)*src & 0x80) == 0) {
			if ((*dst = xtext_char(&src)) == '\0')
				return PARSE_BAD_PARAM;
			dst++;
			continue;
		}
		if (!utf8 || (n = address_utf8_len(src)) == 0)
			return PARSE_BAD_PARAM;
		memcpy(dst, src, n);
		dst += n;
		src += n;
	}
	*dst = '\0';
	return PARSE_OK;
}

static enum parse_result
take_size(struct target *t, const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || digits > 20 || value[digits] != '\0') /* RFC 1870 5 */
		return PARSE_BAD_PARAM;
	t->mail->has_size = true;
	return str_u64(value, 0, INT64_MAX, &t->mail->size) == -1 ? PARSE_TOO_BIG : PARSE_OK;
}

static enum parse_result
take_body(struct target *t, const char *value)
{
	static const char *const kinds[] = {
	    [BODY_KIND_7BIT] = "7BIT",
	    [BODY_KIND_8BITMIME] = "8BITMIME",
	    [BODY_KIND_BINARYMIME] = "BINARYMIME",
	};
	unsigned i;

	for (i = BODY_KIND_7BIT; i < NITEMS(kinds); i++)
		if (str_equal_nocase(value, kinds[i])) {
			t->mail->body = (enum body_kind)i;
			return PARSE_OK;
		}
	return PARSE_BAD_PARAM;
}

static enum parse_result
take_smtputf8(struct target *t, const char *value)
{
	(void)value;
	t->mail->smtputf8 = true;
	return PARSE_OK;
}

static enum parse_result
take_ret(struct target *t, const char *value)
{
	bool full = str_equal_nocase(value, "FULL");

	if (!full && !str_equal_nocase(value, "HDRS"))
		return PARSE_BAD_PARAM;
	memcpy(t->mail->ret, full ? "FULL" : "HDRS", sizeof(t->mail->ret));
	return PARSE_OK;
}

static enum parse_result
take_envid(struct target *t, const char *value)
{
	if (*value == '\0' || strlen(value) > PARSE_ENVID_MAX)
		return PARSE_BAD_PARAM;
	return xtext_decode(t->mail->envid, value, false);
}

static enum parse_result
take_auth(struct target *t, const char *value)
{
	char decoded[VALUE_MAX + 1];
	struct address a;

	if (xtext_decode(decoded, value, false) != PARSE_OK)
		return PARSE_BAD_PARAM;
	t->mail->has_auth = true;
	if (strcmp(decoded, "<>") != 0 && address_parse(decoded, 0, &a) != ADDRESS_OK)
		return PARSE_BAD_PARAM;
	return str_copy(t->mail->auth, sizeof(t->mail->auth), decoded) == -1 ? PARSE_BAD_PARAM
									     : PARSE_OK;
}

/* The bit of the word of len octets at s, 0 if it is none. */
static unsigned
notify_bit(const char *s, size_t len)
{
	static const struct {
		const char *word;
		enum notify bit;
	} words[] = {
	    {"NEVER", NOTIFY_NEVER},
	    {"SUCCESS", NOTIFY_SUCCESS},
	    {"FAILURE", NOTIFY_FAILURE},
	    {"DELAY", NOTIFY_DELAY},
	};
	size_t i;

	for (i = 0; i < NITEMS(words); i++)
		if (strlen(words[i].word) == len && str_starts_nocase(s, words[i].word))
			return words[i].bit;
	return 0;
}

static enum parse_result
take_notify(struct target *t, const char *value)
{
	unsigned bits = 0, bit;
	size_t len;

	for (;;) {
		len = strcspn(value, ",");
		if ((bit = notify_bit(value, len)) == 0)
			return PARSE_BAD_PARAM;
		bits |= bit;
		if (value[len] == '\0')
			break;
		value += len + 1;
	}
	if ((bits & NOTIFY_NEVER) != 0 && bits != NOTIFY_NEVER)
		return PARSE_BAD_PARAM;
	t->rcpt->notify = bits;
	return PARSE_OK;
}

/* "type;address": the type is a word, the address xtext (RFC 3461 4.2). */
static enum parse_result
take_orcpt(struct target *t, const char *value)
{
	char *dst = t->rcpt->orcpt;
	size_t type = 0;

	while (char_is_alnum((unsigned char)value[type]) || value[type] == '-')
		type++;
	if (type == 0 || value[type] != ';' || value[type + 1] == '\0' ||
	    strlen(value) > PARSE_ORCPT_MAX)
		return PARSE_BAD_PARAM;
	memcpy(dst, value, type + 1);
	return xtext_decode(dst + type + 1, value + type + 1, t->smtputf8);
}

static const struct param mail_params[] = {
    {"SIZE", true, take_size},		/* RFC 1870 3 */
    {"BODY", true, take_body},		/* RFC 6152 2, RFC 3030 3 */
    {"SMTPUTF8", false, take_smtputf8}, /* RFC 6531 3.4 */
    {"RET", true, take_ret},		/* RFC 3461 4.3 */
    {"ENVID", true, take_envid},	/* RFC 3461 4.4 */
    {"AUTH", true, take_auth},		/* RFC 4954 5 */
};

static const struct param rcpt_params[] = {
    {"NOTIFY", true, take_notify}, /* RFC 3461 4.1 */
    {"ORCPT", true, take_orcpt},   /* RFC 3461 4.2 */
};

/* The row of the keyword of len octets at s, or n. */
static size_t
param_lookup(const struct param *table, size_t n, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strlen(table[i].keyword) == len && str_starts_nocase(s, table[i].keyword))
			break;
	return i;
}

/* One "KEYWORD[=value]" of len octets, for the row it names. */
static enum parse_result
take_param(const struct param *row, const char *s, size_t len, struct target *t)
{
	size_t keyword = strlen(row->keyword);
	char value[VALUE_MAX + 1];

	if (row->has_value != (keyword < len))
		return PARSE_BAD_PARAM;
	if (!row->has_value)
		return row->take(t, "");
	len -= keyword + 1;
	if (len > VALUE_MAX)
		return PARSE_BAD_PARAM;
	memcpy(value, s + keyword + 1, len);
	value[len] = '\0';
	return row->take(t, value);
}

/* All parameters after the path, to the end of the line; none may come twice. */
static enum parse_result
take_params(const char *p, const struct param *table, size_t n, struct target *t)
{
	unsigned seen = 0;
	enum parse_result r;
	size_t len, i;

	if (*p != ' ' && *p != '\0')
		return PARSE_SYNTAX;
	for (p = skip_spaces(p); *p != '\0'; p = skip_spaces(p + len)) {
		len = strcspn(p, " ");
		if ((i = param_lookup(table, n, p, strcspn(p, " ="))) == n)
			return PARSE_UNKNOWN_PARAM;
		if ((seen & 1U << i) != 0)
			return PARSE_BAD_PARAM;
		seen |= 1U << i;
		if ((r = take_param(&table[i], p, len, t)) != PARSE_OK)
			return r;
	}
	return PARSE_OK;
}

/* "FROM:" or "TO:", spaces that shouldn't be there but are, and the path. */
static enum parse_result
take_path(const char **p, const char *prefix, unsigned flags, struct address *out)
{
	if (!str_starts_nocase(*p, prefix))
		return PARSE_SYNTAX;
	*p = skip_spaces(*p + strlen(prefix));
	if (**p != '<')
		return PARSE_SYNTAX;
	switch (address_parse_path(p, flags, out)) {
	case ADDRESS_OK:
		return PARSE_OK;
	case ADDRESS_LOCAL_TOO_LONG:
		return PARSE_LOCAL_TOO_LONG;
	case ADDRESS_UTF8:
		return PARSE_NEEDS_SMTPUTF8;
	case ADDRESS_BAD:
	case ADDRESS_DOMAIN_TOO_LONG:
		break;
	}
	return PARSE_BAD_ADDRESS;
}

enum parse_result
parse_mail(const char *arg, struct mail_args *out)
{
	struct target t = {.mail = out};
	enum parse_result r;

	memset(out, 0, sizeof(*out));
	/* Whether UTF-8 was announced is known only after the address. */
	r = take_path(&arg, "FROM:", ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &out->from);
	if (r == PARSE_OK)
		r = take_params(arg, mail_params, NITEMS(mail_params), &t);
	if (r == PARSE_OK && out->from.utf8 && !out->smtputf8)
		r = PARSE_NEEDS_SMTPUTF8;
	return r;
}

enum parse_result
parse_rcpt(const char *arg, bool smtputf8, struct rcpt_args *out)
{
	unsigned flags = ADDRESS_BARE_POSTMASTER_OK | (smtputf8 ? ADDRESS_UTF8_OK : 0U);
	struct target t = {.rcpt = out, .smtputf8 = smtputf8};
	enum parse_result r;

	memset(out, 0, sizeof(*out));
	r = take_path(&arg, "TO:", flags, &out->to);
	if (r == PARSE_OK)
		r = take_params(arg, rcpt_params, NITEMS(rcpt_params), &t);
	return r;
}
