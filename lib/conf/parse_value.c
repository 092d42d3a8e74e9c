/* SPDX-License-Identifier: ISC */
/*
 * The values of statements: strings, tables, and references to what may be
 * defined further down.
 *
 * Invariant: every array grows through parse_new(), which bounds it.
 */
#include "lib/conf/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"

void *
parse_new(struct parser *p, void *list, size_t n, size_t size, size_t max)
{
	char *items;

	if (n >= max) {
		(void)parse_fail(p, "too many of these: at most %zu", max);
		return NULL;
	}
	/* The array has room for the next power of two. */
	memcpy(&items, list, sizeof(items));
	if ((n & (n - 1)) == 0) {
		items = reallocarray(items, n == 0 ? 1 : 2 * n, size);
		if (items == NULL) {
			(void)parse_fail(p, "out of memory");
			return NULL;
		}
		memcpy(list, &items, sizeof(items));
	}
	memset(items + n * size, 0, size);
	return items + n * size;
}

int
parse_string(struct parser *p, const char *what, size_t max, char **out)
{
	if (!parse_is_name(p))
		return parse_expected(p, what);
	if (strlen(p->tok.text) > max)
		return parse_fail(p, "%s may have at most %zu octets", what, max);
	free(*out);
	if ((*out = strdup(p->tok.text)) == NULL)
		return parse_fail(p, "out of memory");
	parse_advance(p);
	return 0;
}

int
parse_checked(struct parser *p, const char *what, bool (*check)(const char *), char **out)
{
	if (!parse_is_name(p))
		return parse_expected(p, what);
	if (!check(p->tok.text))
		return parse_fail(p, "'%.64s' is not %s", p->tok.text, what);
	return parse_string(p, what, CONF_STRING_MAX, out);
}

int
parse_reference(
    struct parser *p, enum reference_kind kind, const char *name, const struct place *at)
{
	struct reference *r;

	if ((r = parse_new(p, &p->refs, p->nrefs, sizeof(*r), PARSE_REFS_MAX)) == NULL)
		return -1;
	r->kind = kind;
	r->at = *at;
	if ((r->name = strdup(name)) == NULL)
		return parse_fail(p, "out of memory");
	p->nrefs++;
	return 0;
}

struct conf_table *
parse_new_table(struct parser *p, char *name)
{
	struct conf *c = p->conf;
	struct conf_table *t = parse_new(p, &c->tables, c->ntables, sizeof(*t), PARSE_TABLES_MAX);

	if (t == NULL) {
		free(name);
		return NULL;
	}
	t->name = name;
	c->ntables++;
	return t;
}

static int
parse_key_and_value(struct parser *p, struct conf_pair *pair)
{
	if (parse_string(p, "a value or '}'", CONF_STRING_MAX, &pair->key) == -1)
		return -1;
	if (!parse_take_punct(p, '='))
		return 0;
	(void)parse_take_punct(p, '>');
	return parse_string(p, "a value", CONF_STRING_MAX, &pair->value);
}

static int
parse_pair(struct parser *p, struct conf_table *t)
{
	enum conf_table_kind kind;
	struct conf_pair *pair;
	struct place at = p->tok.at;

	pair = parse_new(p, &t->pairs, t->npairs, sizeof(*pair), PARSE_ENTRIES_MAX);
	if (pair == NULL)
		return -1;
	/* Who looks at the table in the end is to find whole pairs. */
	if (parse_key_and_value(p, pair) == -1) {
		free(pair->key);
		free(pair->value);
		return -1;
	}
	kind = pair->value == NULL ? CONF_TABLE_LIST : CONF_TABLE_MAP;
	t->npairs++;
	if (t->npairs > 1 && kind != t->kind) {
		error_add(p->errors, &at, "a table has values or pairs of key and value, not both");
		return -1;
	}
	t->kind = kind;
	return 0;
}

void
parse_skip_separators(struct parser *p)
{
	while (parse_is_punct(p, ',') || p->tok.kind == TOKEN_NEWLINE)
		parse_advance(p);
}

int
parse_entries(struct parser *p, struct conf_table *t)
{
	struct place open = p->tok.at;

	parse_advance(p);
	parse_skip_separators(p);
	while (!parse_is_punct(p, '}')) {
		if (p->tok.kind == TOKEN_END) {
			error_add(p->errors, &open, "'{' without a '}' in this file");
			return -1;
		}
		if (parse_pair(p, t) == -1)
			return -1;
		parse_skip_separators(p);
	}
	if (t->npairs == 0)
		return parse_fail(p, "a table needs at least one value");
	parse_advance(p);
	return 0;
}

bool
parse_is_table(const struct parser *p)
{
	return parse_is_name(p) || parse_is_punct(p, '<') || parse_is_punct(p, '{');
}

/* A table that is written where it is used. */
static int
parse_inline_table(struct parser *p, enum reference_kind kind, char **out)
{
	struct place at = p->tok.at;
	struct conf_table *t;
	struct conf_pair *pair;
	char name[CONF_NAME_MAX];

	do
		(void)snprintf(name, sizeof(name), "dynamic:%u", ++p->dynamic);
	while (conf_table_find(p->conf, name) != NULL);
	free(*out);
	if ((*out = strdup(name)) == NULL || (t = parse_new_table(p, strdup(name))) == NULL)
		return -1;
	if (parse_reference(p, kind, name, &at) == -1)
		return -1;
	if (parse_is_punct(p, '{'))
		return parse_entries(p, t);
	if ((pair = parse_new(p, &t->pairs, 0, sizeof(*pair), 1)) == NULL)
		return -1;
	if (parse_string(p, "a value", CONF_STRING_MAX, &pair->key) == -1)
		return -1;
	t->npairs = 1;
	return 0;
}

int
parse_table(struct parser *p, enum reference_kind kind, char **out)
{
	bool one = kind < REFERENCE_MAPPING;
	struct place at;

	if (!parse_is_punct(p, '<')) {
		if (parse_is_punct(p, '{') || (one && parse_is_name(p)))
			return parse_inline_table(p, kind, out);
		return parse_expected(p, one ? "a value or <table>" : "a mapping as <table>");
	}
	parse_advance(p);
	at = p->tok.at;
	if (parse_string(p, "a table name", CONF_NAME_MAX, out) == -1)
		return -1;
	if (!parse_take_punct(p, '>'))
		return parse_expected(p, "'>' after the table name");
	return parse_reference(p, kind, *out, &at);
}

int
parse_old_line(struct parser *p, unsigned int *line)
{
	uint64_t number;

	if (!parse_take_word(p, "line"))
		return 0;
	if (str_u64(p->tok.text, 1, UINT32_MAX, &number) == -1)
		return parse_expected(p, "a line number");
	*line = (unsigned int)number;
	parse_advance(p);
	return 0;
}
