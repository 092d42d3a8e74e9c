/* SPDX-License-Identifier: ISC */
/*
 * The file format of tables, read in place: entries point into the text.
 *
 * Invariant: what is written never passes what was read, so joining lines
 * needs no room.  Whatever the text, it costs one pass.  Nothing is fatal.
 */
#include "lookup/table_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"

#define BLANKS	   " \t"
#define LOGGED_MAX 10 /* bad lines that are logged one by one */

struct reader {
	const char *name;
	char *at, *end;
	size_t line; /* of the physical line that was read last, from 1 */
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

/* The next line as it stands, without its end and the blanks before that; NULL when none is left. */
static char *
line_next(struct reader *r, size_t *len)
{
	char *start = r->at, *end;

	if (start >= r->end)
		return NULL;
	if ((end = memchr(start, '\n', (size_t)(r->end - start))) == NULL)
		end = r->end;
	r->at = end + 1;
	r->line++;
	while (end > start && strchr(BLANKS "\r", end[-1]) != NULL && end[-1] != '\0')
		end--;
	*end = '\0';
	*len = (size_t)(end - start);
	return start;
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

/*
 * Does what comes next, comments and empty lines aside, belong to the entry
 * before it?  If so, it is what will be read next.
 */
static bool
is_continued(struct reader *r)
{
	const char *p = r->at, *line = p;
	size_t passed = 0;

	for (;;) {
		while (p < r->end && is_blank(*p))
			p++;
		if (p >= r->end)
			return false;
		if (strchr("#\r\n", *p) == NULL || *p == '\0')
			break;
		if ((p = memchr(p, '\n', (size_t)(r->end - p))) == NULL)
			return false;
		line = ++p;
		passed++;
	}
	if (p == line)
		return false;
	r->at += line - r->at;
	r->line += passed;
	return true;
}

/* An entry with all its lines in one string, *len octets; NULL when none is left. */
static char *
entry_next(struct reader *r, size_t *len, size_t *line)
{
	char *start, *more;
	size_t n;

	if ((start = line_next(r, len)) == NULL)
		return NULL;
	*line = r->line;
	for (;;) {
		bool backslash = *len > 0 && start[*len - 1] == '\\';

		if (*len == 0 || start[strspn(start, BLANKS)] == '#' ||
		    (!backslash && !is_continued(r)))
			return start;
		if (backslash)
			start[--*len] = '\0';
		if ((more = line_next(r, &n)) == NULL)
			return start;
		memmove(start + *len, more, n + 1);
		*len += n;
	}
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

	while ((line = entry_next(r, &len, &number)) != NULL) {
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
	struct reader r = {.name = name, .at = text, .end = text + len};
	struct table *t;

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
