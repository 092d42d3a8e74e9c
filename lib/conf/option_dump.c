/* SPDX-License-Identifier: ISC */
/*
 * Options by table: the dump, and what they refer to.
 *
 * Invariant: what option_dump() writes, option_parse() reads into an equal
 * object.
 */
#include "lib/conf/option.h"

#include <string.h>

#include "lib/conf/dump.h"
#include "lib/conf/size.h"

/* In the order of their numbers. */
const struct option_choice option_words[] = {
    [OPTION_WORDS_PROVIDERS] = {"provider", {"other", "google", "microsoft"}},
    [OPTION_WORDS_GRANTS] = {"grant", {"device", "code", "client", "jwt"}},
};

/* What the values of options refer to. */
const struct option_reference option_refers[] = {
    [OPTION_MAPPING] = {OPTION_NAMED_TABLE, REFERENCE_MAPPING},
    [OPTION_LIST] = {OPTION_NAMED_TABLE, REFERENCE_NETWORKS},
    [OPTION_PASSWORDS] = {OPTION_NAMED_TABLE, REFERENCE_PASSWORDS},
    [OPTION_TOKENS] = {OPTION_NAMED_TABLE, REFERENCE_TOKENS},
    [OPTION_CREDENTIALS] = {OPTION_NAMED_TABLE, REFERENCE_CREDENTIALS},
    [OPTION_PKI] = {OPTION_NAMED_PKI, REFERENCE_PKI},
    [OPTION_PKIS] = {OPTION_NAMED_PKI, REFERENCE_PKI},
    [OPTION_CA] = {OPTION_NAMED_CA, REFERENCE_CA},
    [OPTION_URL] = {OPTION_NAMED_TABLE, REFERENCE_URLS},
    [OPTION_URL_MAP] = {OPTION_NAMED_TABLE, REFERENCE_URL_MAP},
    [OPTION_SOURCES] = {OPTION_NAMED_TABLE, REFERENCE_SOURCES},
    [OPTION_HELOS] = {OPTION_NAMED_TABLE, REFERENCE_HELOS},
    [OPTION_PORT] = {OPTION_NAMED_NOTHING, REFERENCE_LIST}, /* the last type */
};

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

/* As a setting that is a secret: people don't see it either. */
static int
dump_secret(const struct option *row, const char *secret, unsigned int roles, struct buf *out)
{
	if (secret != NULL && (roles != CONF_FOR_VAULT || *secret == '\0'))
		return buf_printf(out, " %s elsewhere", row->word);
	return dump_named(row->word, secret, false, out);
}

static int
dump_choice(const struct option *row, const void *member, struct buf *out)
{
	int choice;

	memcpy(&choice, member, sizeof(choice));
	if (row->type == OPTION_WORD)
		return buf_printf(out, " %s %s", row->word, option_words[row->value].words[choice]);
	return choice == (int)row->value ? buf_printf(out, " %s", row->word) : 0;
}

static int
dump_option(const struct option *row, const void *object, unsigned int roles, struct buf *out)
{
	const void *member = (const char *)object + row->offset;
	const void *value = (const char *)object + row->value;
	char text[SIZE_TEXT_MAX];

	switch (row->type) {
	case OPTION_FLAG:
		return *(const bool *)member ? buf_printf(out, " %s", row->word) : 0;
	case OPTION_CHOICE:
	case OPTION_WORD:
		return dump_choice(row, member, out);
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
	case OPTION_URL_MAP:
	case OPTION_SOURCES:
	case OPTION_HELOS:
		return dump_named(row->word, *(char *const *)member, true, out);
	case OPTION_PKI:
	case OPTION_CA:
	case OPTION_FILTER:
	case OPTION_CIPHERS:
	case OPTION_PROTOCOLS:
	case OPTION_CURVES:
	case OPTION_STRING:
	case OPTION_NAME:
	case OPTION_HOSTNAME:
	case OPTION_ACCOUNT:
	case OPTION_FINGERPRINTS:
	case OPTION_PROXY:
	case OPTION_ADDRESS:
	case OPTION_HTTPS:
	case OPTION_PATH:
		return dump_named(row->word, *(char *const *)member, false, out);
	case OPTION_URL:
		if (*(char *const *)member == NULL)
			return dump_named(row->word, *(char *const *)value, true, out);
		return dump_named(row->word, *(char *const *)member, false, out);
	case OPTION_SECRET:
		return dump_secret(row, *(char *const *)member, roles, out);
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
		    dump_option(row, object, roles, out) == -1)
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
		names = (const void *)(row->type == OPTION_PASSWORDS || row->type == OPTION_URL
					   ? value
					   : member);
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

		if ((row->roles & roles) != 0 && option_refers[row->type].named == what &&
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

		if (option_refers[row->type].named == OPTION_NAMED_TABLE &&
		    row_names(row, object, name))
			services |= 1U << row->service;
	}
	return services;
}
