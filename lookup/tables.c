/* SPDX-License-Identifier: ISC */
/*
 * The set of tables: inline ones are built from the configuration, those of
 * files from descriptors that the parent opened.
 *
 * Invariant: by_name owns its tables; an inline table never outlives the
 * configuration whose strings it borrows.  Nothing is fatal.
 */
#include "lookup/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lookup/file.h"
#include "lookup/table_file.h"

#define TABLES_MAX 4096

struct tables {
	struct map *by_name;
};

static void
free_table(void *value)
{
	table_free(value);
}

struct tables *
tables_create(void)
{
	struct tables *ts;

	if ((ts = calloc(1, sizeof(*ts))) == NULL)
		return NULL;
	if ((ts->by_name = map_create(TABLES_MAX)) == NULL) {
		free(ts);
		return NULL;
	}
	return ts;
}

void
tables_free(struct tables *ts)
{
	if (ts == NULL)
		return;
	map_free(ts->by_name, free_table);
	free(ts);
}

static struct table *
table_inline(const struct conf_table *ct)
{
	struct table *t;
	size_t i;

	if ((t = table_create(ct->name)) == NULL)
		return NULL;
	for (i = 0; i < ct->npairs; i++)
		if (table_add(t, ct->pairs[i].key, ct->pairs[i].value) == -1 && errno != EINVAL) {
			table_free(t);
			return NULL;
		}
	return t;
}

static int
add_inline(struct map *fresh, const struct conf *conf)
{
	struct table *t;
	size_t i;

	for (i = 0; i < conf->ntables; i++) {
		const struct conf_table *ct = &conf->tables[i];

		if (ct->kind != CONF_TABLE_LIST && ct->kind != CONF_TABLE_MAP)
			continue;
		if ((t = table_inline(ct)) == NULL)
			return -1;
		if (map_set(fresh, ct->name, t) == -1) {
			table_free(t);
			return -1;
		}
	}
	return 0;
}

/* Shares the loaded files that conf still names: both maps hold them then. */
static int
share_files(struct map *fresh, const struct map *old, const struct conf *conf)
{
	struct table *t;
	size_t i;

	for (i = 0; i < conf->ntables; i++) {
		const struct conf_table *ct = &conf->tables[i];

		if (ct->kind == CONF_TABLE_FILE && (t = map_get(old, ct->name)) != NULL &&
		    table_owns_text(t) && map_set(fresh, ct->name, t) == -1)
			return -1;
	}
	return 0;
}

/* Takes what both maps hold out of one of them. */
static void
unshare_files(struct map *from, const struct map *keeper, const struct conf *conf)
{
	const char *name;
	size_t i;

	for (i = 0; i < conf->ntables; i++) {
		name = conf->tables[i].name;
		if (map_get(from, name) == map_get(keeper, name))
			(void)map_remove(from, name);
	}
}

int
tables_configure(struct tables *ts, const struct conf *conf)
{
	struct map *fresh;

	if ((fresh = map_create(TABLES_MAX)) == NULL)
		return -1;
	if (add_inline(fresh, conf) == -1 || share_files(fresh, ts->by_name, conf) == -1) {
		unshare_files(fresh, ts->by_name, conf);
		map_free(fresh, free_table);
		return -1;
	}
	unshare_files(ts->by_name, fresh, conf);
	map_free(ts->by_name, free_table);
	ts->by_name = fresh;
	return 0;
}

int
tables_load(struct tables *ts, const char *name, int fd)
{
	struct logline l;
	struct table *t;
	size_t len, skipped;
	char *text;

	if ((text = file_read(fd, TABLE_TEXT_MAX, &len)) == NULL ||
	    (t = table_parse(name, text, len, &skipped)) == NULL)
		return -1;
	table_free(map_remove(ts->by_name, name));
	if (map_set(ts->by_name, name, t) == -1) {
		table_free(t);
		return -1;
	}
	logline_start(&l, LOG_LEVEL_INFO, "table-loaded");
	logline_str(&l, "table", name);
	logline_u64(&l, "entries", table_count(t));
	logline_u64(&l, "skipped", skipped);
	logline_end(&l);
	return 0;
}

struct table *
tables_find(const struct tables *ts, const char *name)
{
	return map_get(ts->by_name, name);
}

size_t
tables_count(const struct tables *ts)
{
	return map_count(ts->by_name);
}
