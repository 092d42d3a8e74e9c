/* SPDX-License-Identifier: ISC */
/*
 * Options by table: the parser.
 *
 * Invariant: a row is given at most once, and of the rows that share a member
 * only one.
 */
#include "lib/conf/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/check_url.h"
#include "lib/conf/size.h"
#include "lib/conf/tls_words.h"

#define OPTIONS_MAX 64

_Static_assert(sizeof(enum conf_tls) == sizeof(int), "OPTION_CHOICE stores an int");
_Static_assert(sizeof(enum conf_oauth_provider) == sizeof(int), "OPTION_WORD stores an int");
_Static_assert(sizeof(enum conf_oauth_grant) == sizeof(int), "OPTION_WORD stores an int");

static const char *const service_names[] = {"smtp", "smtps", "submission", "submissions"};
static const uint16_t service_ports[] = {25, 465, 587, 465};

/* Those that are text of some form. */
static const struct {
	const char *what;
	bool (*check)(const char *);
} texts[] = {
    [OPTION_CIPHERS] = {CIPHERS_TEXT, check_ciphers},
    [OPTION_CURVES] = {CURVES_TEXT, check_curves},
    [OPTION_NAME] = {"a name", check_name},
    [OPTION_HOSTNAME] = {"a host name", check_hostname},
    [OPTION_ACCOUNT] = {"an account name", check_account},
    [OPTION_FINGERPRINTS] = {"SHA256: or SPKI: and 64 hexadecimal digits", check_fingerprints},
    [OPTION_PROXY] = {"a proxy such as socks5://192.0.2.1:1080", check_proxy},
    [OPTION_ADDRESS] = {"a mail address", check_address},
    [OPTION_HTTPS] = {"a URL that begins with https://", check_https},
    [OPTION_PATH] = {"an absolute path", check_path},
};

static int
parse_port(struct parser *p, uint16_t *port)
{
	uint64_t number;
	size_t i;

	if (p->tok.kind != TOKEN_WORD && p->tok.kind != TOKEN_STRING)
		return parse_expected(p, "a port");
	for (i = 0; i < NITEMS(service_names); i++) {
		if (strcmp(p->tok.text, service_names[i]) == 0)
			break;
	}
	if (i < NITEMS(service_names))
		*port = service_ports[i];
	else if (str_u64(p->tok.text, 0, UINT16_MAX, &number) == 0)
		*port = (uint16_t)number;
	else
		return parse_fail(p, "'%.64s' is not a port", p->tok.text);
	parse_advance(p);
	return 0;
}

static int
parse_duration(struct parser *p, int64_t *seconds)
{
	if (p->tok.kind != TOKEN_WORD && p->tok.kind != TOKEN_STRING)
		return parse_expected(p, "a duration");
	if (size_parse_duration(p->tok.text, seconds) == -1 || *seconds == 0)
		return parse_fail(p, "'%.64s' is not a duration such as 4d", p->tok.text);
	parse_advance(p);
	return 0;
}

/* Names of certificates and authorities are host names, or like them: case does not matter. */
static int
parse_lower(struct parser *p, enum reference_kind kind, char **name)
{
	struct place at = p->tok.at;

	if (parse_string(
		p, kind == REFERENCE_CA ? "a ca name" : "a pki name", CONF_NAME_MAX, name) == -1)
		return -1;
	str_lower(*name);
	return parse_reference(p, kind, *name, &at);
}

static int
parse_pkis(struct parser *p, const struct option *row, void *object)
{
	void *list = (char *)object + row->offset;
	size_t *n = (void *)((char *)object + row->value), i;
	struct place at = p->tok.at;
	char **names, **name;

	if ((name = parse_new(p, list, *n, sizeof(*name), PARSE_PKIS_MAX)) == NULL)
		return -1;
	(*n)++;
	if (parse_lower(p, REFERENCE_PKI, name) == -1)
		return -1;
	memcpy(&names, list, sizeof(names));
	for (i = 0; i + 1 < *n; i++) {
		if (strcmp(names[i], *name) == 0) {
			error_add(p->errors, &at, "'%.64s' was given before", *name);
			return -1;
		}
	}
	return 0;
}

static int
parse_passwords(struct parser *p, const struct option *row, void *object)
{
	char **name = (void *)((char *)object + row->value);

	*(bool *)((char *)object + row->offset) = true;
	if (parse_is_punct(p, '<') || parse_is_punct(p, '{'))
		return parse_table(p, REFERENCE_PASSWORDS, name);
	return 0;
}

/* Kept in their one form. */
static int
parse_protocols(struct parser *p, char **text)
{
	char *canonical;

	if (parse_checked(p, PROTOCOLS_TEXT, check_protocols, text) == -1)
		return -1;
	if ((canonical = strdup(protocols_canonical(*text))) == NULL)
		return parse_fail(p, "out of memory");
	free(*text);
	*text = canonical;
	return 0;
}

static int
parse_url(struct parser *p, const struct option *row, void *object)
{
	if (parse_is_punct(p, '<') || parse_is_punct(p, '{'))
		return parse_table(
		    p, option_refers[row->type].reference, (void *)((char *)object + row->value));
	return parse_checked(p, "a host such as smtp://mx.example.org:25", check_relay_url,
	    (void *)((char *)object + row->offset));
}

static int
parse_choice(struct parser *p, const struct option *row, void *member)
{
	const char *const *words = option_words[row->value].words;
	int i;

	for (i = 0; words[i] != NULL; i++) {
		if (parse_is_word(p, words[i])) {
			memcpy(member, &i, sizeof(i));
			parse_advance(p);
			return 0;
		}
	}
	return parse_unknown(p, option_words[row->value].what, words);
}

/* Never shown, not in an error either. */
static int
parse_secret(struct parser *p, char **secret)
{
	if (p->read == NULL && parse_take_word(p, "elsewhere")) {
		free(*secret);
		return (*secret = strdup("")) == NULL ? parse_fail(p, "out of memory") : 0;
	}
	if (!parse_is_name(p))
		return parse_expected(p, "a secret");
	if (!check_secret(p->tok.text))
		return parse_fail(p, "this is not a secret of 1 to 1024 printable characters");
	return parse_string(p, "a secret", CONF_STRING_MAX, secret);
}

static int
parse_option_value(struct parser *p, const struct option *row, void *object)
{
	void *member = (char *)object + row->offset;
	int choice = (int)row->value;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)member = true;
		return 0;
	case OPTION_CHOICE:
		memcpy(member, &choice, sizeof(choice));
		return 0;
	case OPTION_WORD:
		return parse_choice(p, row, member);
	case OPTION_PASSWORDS:
		return parse_passwords(p, row, object);
	case OPTION_MAPPING:
	case OPTION_LIST:
	case OPTION_TOKENS:
	case OPTION_CREDENTIALS:
	case OPTION_URL_MAP:
	case OPTION_SOURCES:
	case OPTION_HELOS:
		return parse_table(p, option_refers[row->type].reference, member);
	case OPTION_PKI:
	case OPTION_CA:
		return parse_lower(p, option_refers[row->type].reference, member);
	case OPTION_PKIS:
		return parse_pkis(p, row, object);
	case OPTION_FILTER:
		return parse_filter_use(p, member);
	case OPTION_URL:
		return parse_url(p, row, object);
	case OPTION_SECRET:
		return parse_secret(p, member);
	case OPTION_STRING:
		return parse_string(p, "a value", CONF_STRING_MAX, member);
	case OPTION_PROTOCOLS:
		return parse_protocols(p, member);
	case OPTION_CIPHERS:
	case OPTION_CURVES:
	case OPTION_NAME:
	case OPTION_HOSTNAME:
	case OPTION_ACCOUNT:
	case OPTION_FINGERPRINTS:
	case OPTION_PROXY:
	case OPTION_ADDRESS:
	case OPTION_HTTPS:
	case OPTION_PATH:
		return parse_checked(p, texts[row->type].what, texts[row->type].check, member);
	case OPTION_DURATION:
		return parse_duration(p, member);
	case OPTION_PORT:
		return parse_port(p, member);
	}
	return 0;
}

static int
option_unknown(struct parser *p, const struct option_table *table, unsigned int kind)
{
	const char *words[OPTIONS_MAX + 1];
	size_t i, n = 0;

	for (i = 0; i < table->nrows; i++) {
		if ((table->rows[i].kinds & kind) != 0)
			words[n++] = table->rows[i].word;
	}
	words[n] = NULL;
	return parse_unknown(p, "option", words);
}

/* Whether it stands where it has to. */
static int
option_placed(struct parser *p, const struct option_run *run, const struct option *row)
{
	const char *last = run->last == NULL ? "" : run->last->word;

	if (row->after[0] == NULL || strcmp(last, row->after[0]) == 0 ||
	    (row->after[1] != NULL && strcmp(last, row->after[1]) == 0))
		return 0;
	if (row->after[1] == NULL)
		return parse_fail(p, "'%s' comes right after '%s'", row->word, row->after[0]);
	return parse_fail(
	    p, "'%s' comes right after '%s' or '%s'", row->word, row->after[0], row->after[1]);
}

static int
option_allowed(struct parser *p, const struct option_table *table, const struct option_run *run,
    const struct option *row)
{
	const char *context = table->context;
	size_t i;

	if (parse_supported(p, &p->tok.at, context, row->word) == -1)
		return -1;
	if ((row->kinds & run->kind) == 0)
		return parse_fail(p, "this kind of %s has no '%s'", context, row->word);
	if (option_placed(p, run, row) == -1)
		return -1;
	for (i = 0; i < table->nrows; i++) {
		const struct option *other = &table->rows[i];

		if ((run->seen >> i & 1) == 0 || other->offset != row->offset ||
		    row->type == OPTION_PKIS)
			continue;
		if (other == row)
			return parse_fail(p, "'%s' was given before", row->word);
		return parse_fail(p, "'%s' after '%s'", row->word, other->word);
	}
	return 0;
}

int
option_parse(struct parser *p, const struct option_table *table, struct option_run *run)
{
	const struct option *row;
	size_t i;

	while (!parse_is_end(p)) {
		for (i = 0; i < table->nrows; i++) {
			if (parse_is_word(p, table->rows[i].word))
				break;
		}
		if (i == table->nrows) {
			if (p->tok.kind == TOKEN_WORD &&
			    parse_supported(p, &p->tok.at, table->context, p->tok.text) == -1)
				return -1;
			return option_unknown(p, table, run->kind);
		}
		row = &table->rows[i];
		if (option_allowed(p, table, run, row) == -1)
			return -1;
		parse_advance(p);
		if (parse_option_value(p, row, run->object) == -1)
			return -1;
		run->seen |= 1ULL << i;
		run->last = row;
	}
	return 0;
}

bool
option_was_given(const struct option_table *table, const struct option_run *run, const char *word)
{
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		if (strcmp(table->rows[i].word, word) == 0)
			return (run->seen >> i & 1) != 0;
	}
	return false;
}
