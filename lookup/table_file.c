/* SPDX-License-Identifier: ISC */
/*
 * The file of a table, read in place: entries point into the text.
 * Whatever the text, it costs one pass.  Nothing is fatal.
 */
#include "lookup/table_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

#define LOGGED_MAX 10 /* bad lines that are logged one by one */

static void
log_skipped(const char *name, const struct table_entry *e)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "table-line-skipped");
	logline_str(&l, "table", name);
	logline_u64(&l, "line", e->line);
	logline_str(&l, "why", e->why);
	logline_end(&l);
}

static int
read_entries(struct table *t, struct table_entries *entries, size_t *skipped)
{
	struct table_entry e;

	while (table_entries_next(entries, &e)) {
		if (e.why == NULL) {
			if (table_add(t, e.key, e.value) == -1)
				return -1;
		} else if ((*skipped)++ < LOGGED_MAX) {
			log_skipped(table_name(t), &e);
		}
	}
	return 0;
}

/* More than there are entries where there are comments and continued lines. */
static size_t
count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 1;

	while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
		text++;
		n++;
	}
	return n;
}

struct table *
table_parse(const char *name, char *text, size_t len, size_t *skipped)
{
	struct table_entries entries;
	struct table *t;

	if ((t = table_create(name)) == NULL) {
		free(text);
		return NULL;
	}
	table_own_text(t, text);
	*skipped = 0;
	table_entries_init(&entries, text, len, TABLE_ENTRY_NAMES);
	if (table_reserve(t, count_lines(text, len)) == -1 ||
	    read_entries(t, &entries, skipped) == -1) {
		table_free(t);
		return NULL;
	}
	if (*skipped > LOGGED_MAX)
		log_warn("event=table-lines-skipped table=%s count=%zu", name, *skipped);
	return t;
}
