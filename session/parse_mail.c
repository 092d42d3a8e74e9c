/* SPDX-License-Identifier: ISC */
/*
 * The arguments of MAIL and RCPT: a path, and ESMTP parameters by one table for
 * each.  The values are taken by functions of one shape, in the order of the
 * tables.
 *
 * Invariant: as parse.c's.  Nothing is fatal.
 */
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "session/parse.h"
#include "session/xtext.h"

#define VALUE_MAX 511 /* no parameter's value may be longer */

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
	return xtext_decode(t->mail->envid, value, false) == -1 ? PARSE_BAD_PARAM : PARSE_OK;
}

static enum parse_result
take_auth(struct target *t, const char *value)
{
	char decoded[VALUE_MAX + 1];
	struct address a;

	if (xtext_decode(decoded, value, false) == -1)
		return PARSE_BAD_PARAM;
	t->mail->has_auth = true;
	if (strcmp(decoded, "<>") != 0 && address_parse(decoded, 0, &a) != ADDRESS_OK)
		return PARSE_BAD_PARAM;
	return str_copy(t->mail->auth, sizeof(t->mail->auth), decoded) == -1 ? PARSE_BAD_PARAM
									     : PARSE_OK;
}

static enum parse_result
take_requiretls(struct target *t, const char *value)
{
	(void)value;
	t->mail->requiretls = true;
	return PARSE_OK;
}

static enum parse_result
take_priority(struct target *t, const char *value)
{
	bool minus = value[0] == '-';
	char digit = value[minus];

	if (!char_is_digit((unsigned char)digit) || value[minus + 1] != '\0' ||
	    (minus && digit == '0'))
		return PARSE_BAD_PARAM;
	t->mail->has_priority = true;
	t->mail->priority = minus ? '0' - digit : digit - '0';
	return PARSE_OK;
}

static enum parse_result
take_holdfor(struct target *t, const char *value)
{
	uint64_t seconds;

	if (t->mail->has_hold || value[0] == '0' || str_u64(value, 1, 999999999, &seconds) == -1)
		return PARSE_BAD_PARAM;
	t->mail->has_hold = true;
	t->mail->hold_for_s = (int64_t)seconds;
	return PARSE_OK;
}

static enum parse_result
take_holduntil(struct target *t, const char *value)
{
	if (t->mail->has_hold || date_parse_internet(value, &t->mail->hold_until_s) == -1 ||
	    t->mail->hold_until_s <= 0)
		return PARSE_BAD_PARAM;
	t->mail->has_hold = true;
	return PARSE_OK;
}

/* "[+-]seconds;mode[T]"; what is to be returned when its time is over must have some. */
static enum parse_result
take_by(struct target *t, const char *value)
{
	bool minus = value[0] == '-';
	size_t sign = minus || value[0] == '+', n = strspn(value + sign, "0123456789");
	const char *mode = value + sign + n;
	char digits[10];
	uint64_t seconds;

	if (n == 0 || n >= sizeof(digits) || mode[0] != ';')
		return PARSE_BAD_PARAM;
	memcpy(digits, value + sign, n);
	digits[n] = '\0';
	mode++;
	if (str_u64(digits, 0, UINT32_MAX, &seconds) == -1 ||
	    (!str_equal_nocase(mode, "R") && !str_equal_nocase(mode, "N") &&
		!str_equal_nocase(mode, "RT") && !str_equal_nocase(mode, "NT")))
		return PARSE_BAD_PARAM;
	t->mail->by_mode = char_lower((unsigned char)mode[0]) == 'r' ? 'R' : 'N';
	if (t->mail->by_mode == 'R' && (minus || seconds == 0))
		return PARSE_BAD_PARAM;
	t->mail->has_by = true;
	t->mail->by_s = minus ? -(int64_t)seconds : (int64_t)seconds;
	t->mail->by_trace = mode[1] != '\0';
	return PARSE_OK;
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
	return xtext_decode(dst + type + 1, value + type + 1, t->smtputf8) == -1 ? PARSE_BAD_PARAM
										 : PARSE_OK;
}

static const struct param mail_params[] = {
    {"SIZE", true, take_size},		    /* RFC 1870 3 */
    {"BODY", true, take_body},		    /* RFC 6152 2, RFC 3030 3 */
    {"SMTPUTF8", false, take_smtputf8},	    /* RFC 6531 3.4 */
    {"RET", true, take_ret},		    /* RFC 3461 4.3 */
    {"ENVID", true, take_envid},	    /* RFC 3461 4.4 */
    {"AUTH", true, take_auth},		    /* RFC 4954 5 */
    {"REQUIRETLS", false, take_requiretls}, /* RFC 8689 3 */
    {"MT-PRIORITY", true, take_priority},   /* RFC 6710 3 */
    {"HOLDFOR", true, take_holdfor},	    /* RFC 4865 3 */
    {"HOLDUNTIL", true, take_holduntil},    /* RFC 4865 3, erratum 2040 */
    {"BY", true, take_by},		    /* RFC 2852 4 */
};

static const struct param rcpt_params[] = {
    {"NOTIFY", true, take_notify}, /* RFC 3461 4.1 */
    {"ORCPT", true, take_orcpt},   /* RFC 3461 4.2 */
};

static const char *
skip_spaces(const char *p)
{
	return p + strspn(p, " ");
}

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
