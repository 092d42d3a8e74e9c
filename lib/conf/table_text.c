/* SPDX-License-Identifier: ISC */
/*
 * Entries of a table's file, joined where they stand.
 *
 * Invariant: what is written never passes what was read, so joining lines
 * needs no room.  Whatever the text, it costs one pass.
 */
#include "lib/conf/table_text.h"

#include <stdbool.h>
#include <string.h>

#define BLANKS " \t"

void
table_text_init(struct table_text *t, char *text, size_t len)
{
	*t = (struct table_text){.at = text, .end = text + len};
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next line as it stands, without its end and the blanks before that; NULL when none is left. */
static char *
line_next(struct table_text *t, size_t *len)
{
	char *start = t->at, *end;

	if (start >= t->end)
		return NULL;
	if ((end = memchr(start, '\n', (size_t)(t->end - start))) == NULL)
		end = t->end;
	t->at = end + 1;
	t->line++;
	while (end > start && (is_blank(end[-1]) || end[-1] == '\r'))
		end--;
	*end = '\0';
	*len = (size_t)(end - start);
	return start;
}

/*
 * Does what comes next, comments and empty lines aside, belong to the entry
 * before it?  If so, it is what will be read next.
 */
static bool
is_continued(struct table_text *t)
{
	char *p = t->at, *line = p;
	size_t passed = 0;

	for (;;) {
		while (p < t->end && is_blank(*p))
			p++;
		if (p >= t->end)
			return false;
		if (*p != '#' && *p != '\r' && *p != '\n')
			break;
		if ((p = memchr(p, '\n', (size_t)(t->end - p))) == NULL)
			return false;
		line = ++p;
		passed++;
	}
	if (p == line)
		return false;
	t->at = line;
	t->line += passed;
	return true;
}

char *
table_text_next(struct table_text *t, size_t *len, size_t *line)
{
	char *start, *more;
	size_t n;

	if ((start = line_next(t, len)) == NULL)
		return NULL;
	*line = t->line;
	for (;;) {
		bool backslash = *len > 0 && start[*len - 1] == '\\';

		if (*len == 0 || start[strspn(start, BLANKS)] == '#' ||
		    (!backslash && !is_continued(t)))
			return start;
		if (backslash)
			start[--*len] = '\0';
		if ((more = line_next(t, &n)) == NULL)
			return start;
		memmove(start + *len, more, n + 1);
		*len += n;
	}
}
