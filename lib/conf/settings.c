/* SPDX-License-Identifier: ISC */
/*
 * The plain settings: from text to struct conf_values and back.
 *
 * Invariant: a member holds its default or a text that its type and range
 * allow; setting_text() of it gives setting_set() the same value again.
 */
#include "lib/conf/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/anchor.h"
#include "lib/conf/check.h"
#include "lib/conf/size.h"
#include "lib/conf/tls_words.h"

#define SETTING_ROW(group, name, member, type, fallback, min, max, roles)                        \
	[SETTING_##member] = {group, name, offsetof(struct conf_values, member), SETTING_##type, \
	    fallback, min, max, (roles) | CONF_FOR_PARENT},
const struct setting conf_settings[SETTING__MAX] = {CONF_SETTINGS(SETTING_ROW)};
#undef SETTING_ROW

static bool (*const string_checks[])(const char *) = {
    [SETTING_PATH] = check_path,
    [SETTING_HOSTNAME] = check_hostname,
    [SETTING_ACCOUNT] = check_account,
    [SETTING_SERVERS] = check_servers,
    [SETTING_SERVERS_NONE] = check_servers_none,
    [SETTING_ANCHOR] = check_anchor,
    [SETTING_DELIMITERS] = check_delimiters,
    [SETTING_RECIPIENT] = check_recipient,
    [SETTING_SECRET] = check_secret,
    [SETTING_TABLE] = check_name,
    [SETTING_CIPHERS] = check_ciphers,
    [SETTING_PROTOCOLS] = check_protocols,
    [SETTING_CURVES] = check_curves,
};

#define SERVERS_TEXT "addresses such as 192.0.2.1 or 192.0.2.1@5353"

static const char *const string_kinds[] = {
    [SETTING_PATH] = "an absolute path",
    [SETTING_HOSTNAME] = "a host name",
    [SETTING_ACCOUNT] = "an account name",
    [SETTING_SERVERS] = SERVERS_TEXT,
    [SETTING_SERVERS_NONE] = "'none' or " SERVERS_TEXT,
    [SETTING_ANCHOR] = "an absolute path or a DS record",
    [SETTING_DELIMITERS] = "'none' or characters such as + and -, each once",
    [SETTING_RECIPIENT] = "an account or address",
    [SETTING_SECRET] = "a secret of 1 to 1024 printable characters",
    [SETTING_TABLE] = "a table",
    [SETTING_CIPHERS] = CIPHERS_TEXT,
    [SETTING_PROTOCOLS] = PROTOCOLS_TEXT,
    [SETTING_CURVES] = CURVES_TEXT,
};

/* In the order of their numbers. */
static const char *const choices[SETTING__MAX][6] = {
    [SETTING_smtp_bare_lf] = {"refuse", "normalize"},
    [SETTING_forward_files] = {"no", "yes"},
    [SETTING_mta_remember_tls] = {"off", "warn", "enforce"},
    [SETTING_mta_chunking] = {"no", "yes"},
    [SETTING_mta_family] = {"prefer-ipv6", "prefer-ipv4", "any", "ipv6", "ipv4"},
};

static const char *const *
choices_of(const struct setting *s)
{
	return choices[s - conf_settings];
}

bool
setting_is_string(const struct setting *s)
{
	return s->type >= SETTING_PATH;
}

static void *
member_of(const struct conf_values *v, const struct setting *s)
{
	return (char *)(uintptr_t)v + s->offset;
}

static void
string_free(const struct setting *s, char *text)
{
	if (text != NULL && s->type == SETTING_SECRET)
		explicit_bzero(text, strlen(text));
	free(text);
}

static int
parse_choice(const struct setting *s, const char *text, uint64_t *n)
{
	const char *const *words = choices_of(s);

	for (*n = 0; words[*n] != NULL; (*n)++) {
		if (strcmp(words[*n], text) == 0)
			return 0;
	}
	errno = EINVAL;
	return -1;
}

static int
set_number(struct conf_values *v, const struct setting *s, const char *text)
{
	uint64_t n = 0;
	int64_t seconds;
	int r;

	if (s->type == SETTING_DURATION) {
		if ((r = size_parse_duration(text, &seconds)) == 0)
			n = (uint64_t)seconds;
	} else if (s->type == SETTING_BYTES) {
		r = size_parse_bytes(text, &n);
	} else if (s->type == SETTING_CHOICE) {
		r = parse_choice(s, text, &n);
	} else {
		r = str_u64(text, 0, UINT64_MAX, &n);
	}
	if (r == -1)
		return -1;
	if (n < s->min || n > s->max) {
		errno = ERANGE;
		return -1;
	}
	/* int64_t and uint64_t members alike: the ranges keep to what both hold. */
	memcpy(member_of(v, s), &n, sizeof(n));
	return 0;
}

int
setting_set(struct conf_values *v, const struct setting *s, const char *text)
{
	char **member, *copy;

	if (!setting_is_string(s))
		return set_number(v, s, text);
	if (!string_checks[s->type](text)) {
		errno = EINVAL;
		return -1;
	}
	if (s->type == SETTING_PROTOCOLS)
		text = protocols_canonical(text);
	if ((copy = strdup(text)) == NULL)
		return -1;
	member = member_of(v, s);
	string_free(s, *member);
	*member = copy;
	return 0;
}

int
settings_init(struct conf_values *v)
{
	size_t i;

	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];

		if (s->fallback != NULL && setting_set(v, s, s->fallback) == -1) {
			bug_on(errno != ENOMEM);
			return -1;
		}
	}
	return 0;
}

void
settings_free(struct conf_values *v)
{
	size_t i;

	for (i = 0; i < SETTING__MAX; i++) {
		if (setting_is_string(&conf_settings[i]))
			string_free(&conf_settings[i], *(char **)member_of(v, &conf_settings[i]));
	}
}

/* "'a', 'b' or 'c'". */
static void
describe_choice(const struct setting *s, char *dst, size_t size)
{
	const char *const *words = choices_of(s);
	size_t i, len = 0;

	for (i = 0; words[i] != NULL && len < size; i++) {
		const char *before = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";

		len += (size_t)snprintf(dst + len, size - len, "%s'%s'", before, words[i]);
	}
}

void
setting_describe(const struct setting *s, char *dst, size_t size)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

	if (setting_is_string(s)) {
		(void)snprintf(dst, size, "%s", string_kinds[s->type]);
	} else if (s->type == SETTING_DURATION) {
		size_format_duration(min, (int64_t)s->min);
		size_format_duration(max, (int64_t)s->max);
		(void)snprintf(dst, size, "a duration such as 5m, from %s to %s", min, max);
	} else if (s->type == SETTING_BYTES) {
		size_format_bytes(min, s->min);
		size_format_bytes(max, s->max);
		(void)snprintf(dst, size, "a size such as 35M, from %s to %s", min, max);
	} else if (s->type == SETTING_CHOICE) {
		describe_choice(s, dst, size);
	} else {
		(void)snprintf(dst, size, "a number from %" PRIu64 " to %" PRIu64, s->min, s->max);
	}
}

void
setting_fault(const struct setting *s, const char *text, char *dst, size_t size)
{
	char wanted[SETTING_DESCRIPTION_MAX];

	if (s->type == SETTING_ANCHOR && anchor_check(text, dst, size) == -1)
		return;
	setting_describe(s, wanted, sizeof(wanted));
	if (s->type == SETTING_SECRET)
		(void)snprintf(dst, size, "this is not %s", wanted);
	else
		(void)snprintf(dst, size, "'%.64s' is not %s", text, wanted);
}

const char *
setting_text(const struct conf_values *v, const struct setting *s, char *dst)
{
	uint64_t n;

	if (setting_is_string(s))
		return *(char **)member_of(v, s);
	memcpy(&n, member_of(v, s), sizeof(n));
	if (s->type == SETTING_CHOICE)
		return choices_of(s)[n];
	if (s->type == SETTING_DURATION)
		size_format_duration(dst, (int64_t)n);
	else if (s->type == SETTING_BYTES)
		size_format_bytes(dst, n);
	else
		(void)snprintf(dst, SIZE_TEXT_MAX, "%" PRIu64, n);
	return dst;
}
