/* SPDX-License-Identifier: ISC */
/*
 * Options by table: parse, dump, and what they refer to.
 *
 * Invariant: what option_dump() writes, option_parse() reads into an equal
 * object.  A row is given at most once, and of the rows that share a member
 * only one.
 */
#include "lib/conf/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/dump.h"
#include "lib/conf/size.h"
#include "lib/conf/tls_words.h"

#define OPTIONS_MAX 64

_Static_assert(sizeof(enum conf_tls) == sizeof(int), "OPTION_CHOICE stores an int");

static const char *const service_names[] = {"smtp", "smtps", "submission", "submissions"};
static const uint16_t service_ports[] = {25, 465, 587, 465};

/* What the values of options refer to. */
static const struct {
	enum option_named named;
	enum reference_kind reference;
} named[] = {
    [OPTION_MAPPING] = {OPTION_NAMED_TABLE, REFERENCE_MAPPING},
    [OPTION_LIST] = {OPTION_NAMED_TABLE, REFERENCE_NETWORKS},
    [OPTION_PASSWORDS] = {OPTION_NAMED_TABLE, REFERENCE_PASSWORDS},
    [OPTION_TOKENS] = {OPTION_NAMED_TABLE, REFERENCE_TOKENS},
    [OPTION_CREDENTIALS] = {OPTION_NAMED_TABLE, REFERENCE_CREDENTIALS},
    [OPTION_PKI] = {OPTION_NAMED_PKI, REFERENCE_PKI},
    [OPTION_PKIS] = {OPTION_NAMED_PKI, REFERENCE_PKI},
    [OPTION_CA] = {OPTION_NAMED_CA, REFERENCE_CA},
    [OPTION_PORT] = {OPTION_NAMED_NOTHING, REFERENCE_LIST}, /* the last type */
};

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
parse_url(struct parser *p, char **url)
{
	if ((parse_is_punct(p, '<') || parse_is_punct(p, '{')) &&
	    parse_supported(p, &p->tok.at, "action", "host list") == -1)
		return -1;
	return parse_checked(p, "a host such as smtp://mx.example.org:25", check_relay_url, url);
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
	case OPTION_PASSWORDS:
		return parse_passwords(p, row, object);
	case OPTION_MAPPING:
	case OPTION_LIST:
	case OPTION_TOKENS:
	case OPTION_CREDENTIALS:
		return parse_table(p, named[row->type].reference, member);
	case OPTION_PKI:
	case OPTION_CA:
		return parse_lower(p, named[row->type].reference, member);
	case OPTION_PKIS:
		return parse_pkis(p, row, object);
	case OPTION_FILTER:
		return parse_filter_use(p, member);
	case OPTION_URL:
		return parse_url(p, member);
	case OPTION_STRING:
		return parse_string(p, "a value", CONF_STRING_MAX, member);
	case OPTION_PROTOCOLS:
		return parse_protocols(p, member);
	case OPTION_CIPHERS:
	case OPTION_CURVES:
	case OPTION_NAME:
	case OPTION_HOSTNAME:
	case OPTION_ACCOUNT:
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

static int
dump_named(const char *word, const char *name, bool table, struct buf *out)
{
	if (name == NULL)
		return 0;
	if (buf_printf(out, " %s ", word) == -1)
		return -1;
	return table ? dump_table_name(name, out) : dump_string(name, out);
}

static int
dump_names(const char *word, char *const *names, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (dump_named(word, names[i], false, out) == -1)
			return -1;
	}
	return 0;
}

static int
dump_option(const struct option *row, const void *object, struct buf *out)
{
	const void *member = (const char *)object + row->offset;
	const void *value = (const char *)object + row->value;
	char text[SIZE_TEXT_MAX];
	int choice;

	switch (row->type) {
	case OPTION_FLAG:
		return *(const bool *)member ? buf_printf(out, " %s", row->word) : 0;
	case OPTION_CHOICE:
		memcpy(&choice, member, sizeof(choice));
		return choice == (int)row->value ? buf_printf(out, " %s", row->word) : 0;
	case OPTION_PASSWORDS:
		if (!*(const bool *)member)
			return 0;
		if (*(char *const *)value == NULL)
			return buf_printf(out, " %s", row->word);
		return dump_named(row->word, *(char *const *)value, true, out);
	case OPTION_PKIS:
		return dump_names(
		    row->word, *(char *const *const *)member, *(const size_t *)value, out);
	case OPTION_MAPPING:
	case OPTION_LIST:
	case OPTION_TOKENS:
	case OPTION_CREDENTIALS:
		return dump_named(row->word, *(char *const *)member, true, out);
	case OPTION_PKI:
	case OPTION_CA:
	case OPTION_FILTER:
	case OPTION_CIPHERS:
	case OPTION_PROTOCOLS:
	case OPTION_CURVES:
	case OPTION_STRING:
	case OPTION_URL:
	case OPTION_NAME:
	case OPTION_HOSTNAME:
	case OPTION_ACCOUNT:
		return dump_named(row->word, *(char *const *)member, false, out);
	case OPTION_DURATION:
		if (*(const int64_t *)member == 0)
			return 0;
		size_format_duration(text, *(const int64_t *)member);
		return buf_printf(out, " %s %s", row->word, text);
	case OPTION_PORT:
		return buf_printf(out, " %s %u", row->word, *(const uint16_t *)member);
	}
	return 0;
}

int
option_dump(const struct option_table *table, const void *object, unsigned int kind,
    unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		const struct option *row = &table->rows[i];

		if ((row->roles & roles) != 0 && (row->kinds & kind) != 0 &&
		    dump_option(row, object, out) == -1)
			return -1;
	}
	return 0;
}

static bool
row_names(const struct option *row, const void *object, const char *name)
{
	const char *member = (const char *)object + row->offset;
	const char *value = (const char *)object + row->value;
	char *const *names;
	size_t i, n = 1;

	if (row->type == OPTION_PKIS) {
		memcpy(&names, member, sizeof(names));
		memcpy(&n, value, sizeof(n));
	} else {
		names = (const void *)(row->type == OPTION_PASSWORDS ? value : member);
	}
	for (i = 0; i < n; i++) {
		if (names[i] != NULL && strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

bool
option_names(const struct option_table *table, const void *object, unsigned int roles,
    enum option_named what, const char *name)
{
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		const struct option *row = &table->rows[i];

		if ((row->roles & roles) != 0 && named[row->type].named == what &&
		    row_names(row, object, name))
			return true;
	}
	return false;
}

unsigned int
option_services(const struct option_table *table, const void *object, const char *name)
{
	unsigned int services = 0;
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		const struct option *row = &table->rows[i];

		if (named[row->type].named == OPTION_NAMED_TABLE && row_names(row, object, name))
			services |= 1U << row->service;
	}
	return services;
}
