/* SPDX-License-Identifier: ISC */
/*
 * One table in memory, and the ways of looking into it.
 *
 * Invariant: by_key holds, for each key in lower case, the number of the first
 * entry that has it; patterns holds the entries that must be tried one by one,
 * so that a question about a long list of plain names costs one look.
 * Nothing is fatal.
 */
#include "lookup/table.h"

#include <errno.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/glob.h"

struct entry { /* strings are borrowed, or point into the table's text */
	const char *key, *value;
};

struct list { /* of entry numbers */
	size_t *at, n, cap;
};

struct table { /* owned by its struct tables */
	char *name, *text;
	struct entry *entries;
	size_t n, cap;
	struct map *by_key; /* number of the entry, plus one */
	struct list patterns;
	regex_t *regexes; /* NULL until the first question */
	size_t nregexes;
};

struct table *
table_create(const char *name)
{
	struct table *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->name = strdup(name);
	t->by_key = map_create(TABLE_ENTRIES_MAX);
	if (t->name == NULL || t->by_key == NULL) {
		table_free(t);
		return NULL;
	}
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	while (t->nregexes > 0)
		regfree(&t->regexes[--t->nregexes]);
	free(t->regexes);
	free(t->patterns.at);
	free(t->entries);
	map_free(t->by_key, NULL);
	free(t->text);
	free(t->name);
	free(t);
}

static bool
is_pattern(const char *key)
{
	const char *at = strrchr(key, '@');

	return strchr(key, '*') != NULL || key[0] == '.' || (at != NULL && at[1] == '.');
}

static int
list_add(struct list *l, size_t value)
{
	size_t cap = l->cap == 0 ? 16 : l->cap * 2, *at;

	if (l->n == l->cap) {
		if ((at = reallocarray(l->at, cap, sizeof(*at))) == NULL)
			return -1;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->n++] = value;
	return 0;
}

static int
entries_reserve(struct table *t)
{
	size_t cap = t->cap == 0 ? 16 : t->cap * 2;
	struct entry *entries;

	if (t->n < t->cap)
		return 0;
	if (t->n >= TABLE_ENTRIES_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	if ((entries = reallocarray(t->entries, cap, sizeof(*entries))) == NULL)
		return -1;
	t->entries = entries;
	t->cap = cap;
	return 0;
}

int
table_add(struct table *t, const char *key, const char *value)
{
	char low[TABLE_KEY_MAX + 1];

	if (key[0] == '\0' || str_copy(low, sizeof(low), key) == -1) {
		errno = EINVAL;
		return -1;
	}
	str_lower(low);
	if (entries_reserve(t) == -1)
		return -1;
	if (is_pattern(key) && list_add(&t->patterns, t->n) == -1)
		return -1;
	if (map_get(t->by_key, low) == NULL &&
	    map_set(t->by_key, low, (void *)(uintptr_t)(t->n + 1)) == -1)
		return -1;
	t->entries[t->n++] = (struct entry){key, value};
	return 0;
}

void
table_own_text(struct table *t, char *text)
{
	free(t->text);
	t->text = text;
}

bool
table_owns_text(const struct table *t)
{
	return t->text != NULL;
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

size_t
table_count(const struct table *t)
{
	return t->n;
}

/* -- by key -- */

static const struct entry *
table_find(const struct table *t, const char *key)
{
	char low[TABLE_KEY_MAX + 1];
	uintptr_t number;

	if (str_copy(low, sizeof(low), key) == -1)
		return NULL;
	str_lower(low);
	number = (uintptr_t)map_get(t->by_key, low);
	return number == 0 ? NULL : &t->entries[number - 1];
}

enum table_answer
table_value(const struct table *t, const char *key, const char **value)
{
	const struct entry *e;

	if (t == NULL)
		return TABLE_TROUBLE;
	if ((e = table_find(t, key)) == NULL || e->value == NULL)
		return TABLE_NO;
	*value = e->value;
	return TABLE_YES;
}

enum table_answer
table_has_word(const struct table *t, const char *word)
{
	if (t == NULL)
		return TABLE_TROUBLE;
	return table_find(t, word) != NULL ? TABLE_YES : TABLE_NO;
}

/* -- by pattern -- */

enum table_answer
table_has_domain(const struct table *t, const char *domain)
{
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (table_find(t, domain) != NULL)
		return TABLE_YES;
	for (i = 0; i < t->patterns.n; i++)
		if (glob_matches_domain(t->entries[t->patterns.at[i]].key, domain))
			return TABLE_YES;
	return TABLE_NO;
}

enum table_answer
table_has_network(const struct table *t, const struct addr *a)
{
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	for (i = 0; i < t->n; i++)
		if (addr_in_network(a, t->entries[i].key))
			return TABLE_YES;
	return TABLE_NO;
}

static bool
mailbox_matches(const char *pattern, const struct address *a)
{
	const char *at = strrchr(pattern, '@');
	char local[TABLE_KEY_MAX + 1];
	size_t n;

	if (at == NULL)
		return glob_matches(pattern, a->local, true);
	n = (size_t)(at - pattern);
	memcpy(local, pattern, n);
	local[n] = '\0';
	return (n == 0 || glob_matches(local, a->local, true)) &&
	       glob_matches_domain(at + 1, a->domain);
}

/* A local part as a key of its own.  A quoted one must not pass for a whole address, or for "<>". */
static bool
has_user(const struct table *t, const char *local)
{
	return strpbrk(local, "@<>") == NULL && table_find(t, local) != NULL;
}

enum table_answer
table_has_mailbox(const struct table *t, const struct address *a)
{
	char whole[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (a->local[0] == '\0')
		return table_find(t, "<>") != NULL ? TABLE_YES : TABLE_NO;
	if (str_format(whole, sizeof(whole), "%s@%s", a->local, a->domain) == -1)
		return TABLE_NO;
	if (table_find(t, whole) != NULL || table_find(t, strrchr(whole, '@')) != NULL ||
	    has_user(t, a->local))
		return TABLE_YES;
	for (i = 0; i < t->patterns.n; i++)
		if (mailbox_matches(t->entries[t->patterns.at[i]].key, a))
			return TABLE_YES;
	return TABLE_NO;
}

/* -- by regular expression -- */

static int
regex_compile(regex_t *regex, const char *text)
{
	int flags = REG_EXTENDED | REG_NOSUB;

	if (strncmp(text, "(?i)", 4) == 0) {
		flags |= REG_ICASE;
		text += 4;
	}
	return strlen(text) > TABLE_REGEX_MAX ? REG_ESPACE : regcomp(regex, text, flags);
}

static int
table_compile(struct table *t)
{
	struct logline l;
	size_t i;

	if ((t->regexes = calloc(t->n + 1, sizeof(*t->regexes))) == NULL)
		return -1;
	for (i = 0; i < t->n; i++) {
		if (regex_compile(&t->regexes[t->nregexes], t->entries[i].key) == 0) {
			t->nregexes++;
			continue;
		}
		logline_start(&l, LOG_LEVEL_WARN, "regex-refused");
		logline_str(&l, "table", t->name);
		logline_str(&l, "regex", t->entries[i].key);
		logline_end(&l);
	}
	return 0;
}

enum table_answer
table_has_regex(struct table *t, const char *text)
{
	size_t i;

	if (t == NULL || (t->regexes == NULL && table_compile(t) == -1))
		return TABLE_TROUBLE;
	for (i = 0; i < t->nregexes; i++)
		switch (regexec(&t->regexes[i], text, 0, NULL, 0)) {
		case 0:
			return TABLE_YES;
		case REG_NOMATCH:
			break;
		default:
			return TABLE_TROUBLE;
		}
	return TABLE_NO;
}
