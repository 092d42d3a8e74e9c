/* SPDX-License-Identifier: ISC */
/*
 * The file format of tables, read in place: entries point into the text.
 * Whatever the text, it costs one pass.  Nothing is fatal.
 */
#include "lookup/table_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/table_text.h"

#define BLANKS	   " \t"
#define LOGGED_MAX 10 /* bad lines that are logged one by one */

struct reader {
	const char *name;
	struct table_text text;
	size_t skipped;
	bool list; /* "# @list" was seen */
};

static void
line_refused(struct reader *r, size_t line, const char *why)
{
	struct logline l;

	if (r->skipped++ >= LOGGED_MAX)
		return;
	logline_start(&l, LOG_LEVEL_WARN, "table-line-skipped");
	logline_str(&l, "table", r->name);
	logline_u64(&l, "line", line);
	logline_str(&l, "why", why);
	logline_end(&l);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, BLANKS);
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

/* Cuts the key off at *line, which moves behind it.  False: an open quote. */
static bool
take_key(char **line, char **key)
{
	size_t n;

	*key = *line;
	if (**line == '"') {
		++*key;
		if ((*line = strchr(*key, '"')) == NULL)
			return false;
		*(*line)++ = '\0';
		if (**line == ':')
			++*line;
		return true;
	}
	n = strcspn(*line, BLANKS);
	if (!is_ipv6(*line, n))
		n = strcspn(*line, BLANKS ":");
	*line += n;
	if (**line != '\0')
		*(*line)++ = '\0';
	return true;
}

static int
add_entry(struct reader *r, struct table *t, char *line, size_t number)
{
	const char *value;
	char *key = line;

	if (r->list)
		line += strlen(line);
	else if (!take_key(&line, &key)) {
		line_refused(r, number, "open quote");
		return 0;
	}
	value = skip_blanks(line);
	/* "key : value", but ":include:" is a value. */
	if (value[0] == ':' && (value[1] == '\0' || is_blank(value[1])))
		value = skip_blanks(value + 1);
	if (table_add(t, key, *value == '\0' ? NULL : value) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	line_refused(r, number, *key == '\0' ? "no key" : "key too long");
	return 0;
}

static int
read_entries(struct reader *r, struct table *t)
{
	char *line;
	size_t len, number;

	while ((line = table_text_next(&r->text, &len, &number)) != NULL) {
		if (memchr(line, '\0', len) != NULL) {
			line_refused(r, number, "NUL octet");
			continue;
		}
		line += strspn(line, BLANKS);
		if (*line == '#' && strcmp(skip_blanks(line + 1), "@list") == 0)
			r->list = true;
		if (*line != '\0' && *line != '#' && add_entry(r, t, line, number) == -1)
			return -1;
	}
	return 0;
}

struct table *
table_parse(const char *name, char *text, size_t len, size_t *skipped)
{
	struct reader r = {.name = name};
	struct table *t;

	table_text_init(&r.text, text, len);
	if ((t = table_create(name)) == NULL) {
		free(text);
		return NULL;
	}
	table_own_text(t, text);
	if (read_entries(&r, t) == -1) {
		table_free(t);
		return NULL;
	}
	if (r.skipped > LOGGED_MAX)
		log_warn("event=table-lines-skipped table=%s count=%zu", name, r.skipped);
	*skipped = r.skipped;
	return t;
}
