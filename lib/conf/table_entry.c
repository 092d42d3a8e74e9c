/* SPDX-License-Identifier: ISC */
/*
 * Entries, items and included files: what stands in the lines of a table.
 *
 * Invariant: everything is taken apart where it stands, so that a text of any
 * length costs one pass and no memory.
 */
#include "lib/conf/table_entry.h"

#include <string.h>

#include "lib/base/str.h"

#define BLANKS " \t"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *
skip_blanks(char *s)
{
	return s + strspn(s, BLANKS);
}

/* -- entries -- */

void
table_entries_init(struct table_entries *e, char *text, size_t len, enum table_entry_keys keys)
{
	table_text_init(&e->text, text, len);
	e->keys = keys;
	e->list = false;
}

/* "2001:db8::/32" as a key: its colons end nothing. */
static bool
is_ipv6(const char *s, size_t len)
{
	size_t i, colons = 0;

	for (i = 0; i < len; i++) {
		if (strchr("0123456789abcdefABCDEF.:/", s[i]) == NULL)
			return false;
		colons += s[i] == ':';
	}
	return colons >= 2;
}

/* "smtps://mail.example.org:465" as a key: so is it. */
static bool
is_url(const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);

	return colon != NULL && strncmp(colon, "://", 3) == 0;
}

static bool
has_colons(const struct table_entries *e, const char *s, size_t len)
{
	if (e->keys == TABLE_ENTRY_LOGINS)
		return str_starts_nocase(s, "sha256:") || str_starts_nocase(s, "cert:");
	return is_ipv6(s, len) || is_url(s, len);
}

/* The key is cut off and what comes after it is returned; NULL: an open quote. */
static char *
take_key(const struct table_entries *e, char *line, const char **key)
{
	size_t n;

	if (*line == '"') {
		*key = ++line;
		if ((line = strchr(line, '"')) == NULL)
			return NULL;
		*line++ = '\0';
		return *line == ':' ? line + 1 : line;
	}
	*key = line;
	n = strcspn(line, BLANKS);
	if (!has_colons(e, line, n))
		n = strcspn(line, BLANKS ":");
	line += n;
	if (*line != '\0')
		*line++ = '\0';
	return line;
}

/* NULL, or what is wrong with the line. */
static const char *
take_entry(const struct table_entries *e, char *line, struct table_entry *out)
{
	char *value;

	if (e->list) {
		out->key = line;
		out->value = NULL;
	} else {
		if ((value = take_key(e, line, &out->key)) == NULL)
			return "open quote";
		value = skip_blanks(value);
		/* "key : value", but ":include:" is a value. */
		if (value[0] == ':' && (value[1] == '\0' || is_blank(value[1])))
			value = skip_blanks(value + 1);
		out->value = *value == '\0' ? NULL : value;
	}
	if (out->key[0] == '\0')
		return "no key";
	return strlen(out->key) > TABLE_KEY_MAX ? "key too long" : NULL;
}

bool
table_entries_next(struct table_entries *e, struct table_entry *out)
{
	char *line;
	size_t len;

	while ((line = table_text_next(&e->text, &len, &out->line)) != NULL) {
		if (memchr(line, '\0', len) != NULL) {
			out->why = "NUL octet";
			return true;
		}
		line = skip_blanks(line);
		if (*line == '#' && e->keys == TABLE_ENTRY_NAMES &&
		    strcmp(skip_blanks(line + 1), "@list") == 0)
			e->list = true;
		if (*line == '\0' || *line == '#')
			continue;
		out->why = take_entry(e, line, out);
		return true;
	}
	return false;
}

/* -- items -- */

bool
table_item_next(const char **value, struct table_item *out)
{
	const char *at = *value;
	bool quoted = false;
	size_t n;

	at += strspn(at, BLANKS ",");
	for (n = 0; at[n] != '\0' && (quoted || at[n] != ','); n++) {
		if (at[n] == '"')
			quoted = !quoted;
		else if (at[n] == '\\' && quoted && at[n + 1] != '\0')
			n++;
	}
	*value = at + n;
	while (n > 0 && is_blank(at[n - 1]))
		n--;
	*out = (struct table_item){at, n};
	return n > 0;
}

const char *
table_item_include(const struct table_item *item, size_t *len)
{
	const size_t prefix = strlen(TABLE_INCLUDE);

	if (item->len <= prefix || strncmp(item->at, TABLE_INCLUDE, prefix) != 0)
		return NULL;
	*len = item->len - prefix;
	return item->at + prefix;
}

/* A quote that the line does not close must not swallow those that follow: it becomes a blank. */
static void
close_quotes(char *p, const char *end)
{
	char *open = NULL;

	for (; p < end; p++) {
		if (*p == '"')
			open = open == NULL ? p : NULL;
		else if (*p == '\\' && open != NULL)
			p++;
	}
	if (open != NULL)
		*open = ' ';
}

/* A comment becomes blanks; what else would end a line or the string, a comma. */
void
table_include_to_value(char *text, size_t len)
{
	char *end = text + len, *line = text, *next, *p;

	for (; line < end; line = next + 1) {
		if ((next = memchr(line, '\n', (size_t)(end - line))) == NULL)
			next = end;
		for (p = line; p < next && is_blank(*p);)
			p++;
		if (p < next && *p == '#')
			memset(p, ' ', (size_t)(next - p));
		close_quotes(p, next);
		for (; p < next; p++)
			if (*p == '\r' || *p == '\0')
				*p = ',';
		*next = ',';
	}
	*end = '\0';
}
