/* SPDX-License-Identifier: ISC */
/*
 * The set of tables: inline ones are built from the configuration, those of
 * files from descriptors that the parent opened, others by their back ends.
 *
 * Invariant: by_name owns its slots and all that is in them; an inline table
 * never outlives the configuration whose strings it borrows.  Nothing is fatal.
 */
#include "lookup/tables.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lib/conf/table_text.h"
#include "lookup/file.h"
#include "lookup/includes.h"
#include "lookup/table_file.h"
#include "lookup/table_memory.h"

#define TABLES_MAX	 4096
#define INCLUDE_TEXT_MAX (4U << 20) /* octets of a file that a table includes */
#define INCLUDES_DUE_MS	 10000	    /* behind the table's own file */

struct include { /* owned by its slot */
	TAILQ_ENTRY(include) entry;
	unsigned int generation;
	char *text;
	char path[];
};

struct slot { /* a table; owned by the map */
	enum conf_table_kind kind;
	bool inherits;	      /* what the old one of that name has is still to be taken over */
	struct table *memory; /* NULL: of a back end, or its file did not arrive */
	const struct backend_ops *ops;
	void *backend;
	unsigned int generation; /* of the file: grows when it is loaded */
	bool lists_due;		 /* what it includes is on its way */
	int64_t since_ms;	 /* 0: not known yet */
	TAILQ_HEAD(, include) includes;
	size_t nincludes;
};

struct tables {
	const struct backend_env *env;
	struct map *by_name;
	struct includes *includes;
};

/* NULL: it is in memory, or another role's. */
static const struct backend_ops *
ops_of(enum conf_table_kind kind)
{
	static const struct backend_ops *const rows[] = {
	    [CONF_TABLE_CDB] = &table_cdb_ops,
	    [CONF_TABLE_SQLITE] = &table_sqlite_ops,
	    [CONF_TABLE_POSTGRES] = &table_remote_ops,
	};

	return (size_t)kind < NITEMS(rows) ? rows[kind] : NULL;
}

static void
include_free(struct slot *s, struct include *i)
{
	TAILQ_REMOVE(&s->includes, i, entry);
	s->nincludes--;
	free(i->text);
	free(i);
}

static void
free_slot(void *value)
{
	struct slot *s = value;
	struct include *i;

	table_free(s->memory);
	if (s->backend != NULL)
		s->ops->free(s->backend);
	while ((i = TAILQ_FIRST(&s->includes)) != NULL)
		include_free(s, i);
	free(s);
}

struct tables *
tables_create(const struct backend_env *env)
{
	struct tables *ts;

	if ((ts = calloc(1, sizeof(*ts))) == NULL)
		return NULL;
	ts->env = env;
	ts->by_name = map_create(TABLES_MAX);
	ts->includes = includes_create();
	if (ts->by_name != NULL && ts->includes != NULL)
		return ts;
	tables_free(ts);
	return NULL;
}

void
tables_free(struct tables *ts)
{
	if (ts == NULL)
		return;
	includes_free(ts->includes);
	map_free(ts->by_name, free_slot);
	free(ts);
}

/* -- a configuration -- */

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

/* What a slot of this kind holds from its beginning. */
static int
slot_fill(const struct tables *ts, struct slot *s, const struct conf_table *ct)
{
	const struct slot *old = map_get(ts->by_name, ct->name);

	s->kind = ct->kind;
	s->ops = ops_of(ct->kind);
	if (ct->kind == CONF_TABLE_LIST || ct->kind == CONF_TABLE_MAP)
		return (s->memory = table_inline(ct)) == NULL ? -1 : 0;
	s->inherits = old != NULL && old->kind == ct->kind;
	if (s->ops == NULL || s->inherits)
		return 0;
	return (s->backend = s->ops->create(ts->env, ct->name)) == NULL ? -1 : 0;
}

static bool
is_ours(enum conf_table_kind kind)
{
	return kind == CONF_TABLE_LIST || kind == CONF_TABLE_MAP || kind == CONF_TABLE_FILE ||
	       ops_of(kind) != NULL;
}

static int
slots_create(const struct tables *ts, struct map *fresh, const struct conf *conf)
{
	struct slot *s;
	size_t i;

	for (i = 0; i < conf->ntables; i++) {
		if (!is_ours(conf->tables[i].kind))
			continue;
		if ((s = calloc(1, sizeof(*s))) == NULL)
			return -1;
		TAILQ_INIT(&s->includes);
		if (slot_fill(ts, s, &conf->tables[i]) == -1 ||
		    map_set(fresh, conf->tables[i].name, s) == -1) {
			free_slot(s);
			return -1;
		}
	}
	return 0;
}

static void
slot_inherit(struct slot *s, struct slot *old)
{
	s->inherits = false;
	s->memory = old->memory;
	s->backend = old->backend;
	s->generation = old->generation;
	s->lists_due = old->lists_due;
	s->since_ms = old->since_ms;
	TAILQ_CONCAT(&s->includes, &old->includes, entry);
	s->nincludes = old->nincludes;
	old->nincludes = 0;
	old->memory = NULL;
	old->backend = NULL;
}

static void
slot_forget(struct slot *s)
{
	if (s->backend != NULL && s->ops->drop != NULL)
		s->ops->drop(s->backend);
}

int
tables_configure(struct tables *ts, const struct conf *conf)
{
	struct map *fresh, *old = ts->by_name;
	struct slot *s;
	size_t i;

	if ((fresh = map_create(TABLES_MAX)) == NULL)
		return -1;
	if (slots_create(ts, fresh, conf) == -1) {
		map_free(fresh, free_slot);
		return -1;
	}
	ts->by_name = fresh;
	for (i = 0; i < conf->ntables; i++) {
		if ((s = map_get(fresh, conf->tables[i].name)) == NULL)
			continue;
		if (s->inherits)
			slot_inherit(s, map_get(old, conf->tables[i].name));
		slot_forget(s);
		if (s->backend != NULL && s->ops->configure != NULL)
			s->ops->configure(s->backend, conf);
	}
	map_free(old, free_slot);
	return 0;
}

/* -- files -- */

static void
log_loaded(const char *name, const struct table *t, size_t skipped)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, "table-loaded");
	logline_str(&l, "table", name);
	if (t != NULL) {
		logline_u64(&l, "entries", table_count(t));
		logline_u64(&l, "skipped", skipped);
	}
	logline_end(&l);
}

static int
load_memory(struct slot *s, const char *name, int fd)
{
	size_t len, skipped;
	struct table *t;
	char *text;

	text = file_read(fd, TABLE_TEXT_MAX, &len);
	(void)close(fd);
	if (text == NULL || (t = table_parse(name, text, len, &skipped)) == NULL)
		return -1;
	table_free(s->memory);
	s->memory = t;
	log_loaded(name, t, skipped);
	return 0;
}

static int
load_backend(struct slot *s, const char *name, const char *part, int fd)
{
	if (s->ops->load == NULL) {
		(void)close(fd);
		errno = EINVAL;
		return -1;
	}
	if (s->ops->load(s->backend, part, fd) == -1)
		return -1;
	if (part[0] == '\0')
		log_loaded(name, NULL, 0);
	return 0;
}

/*
 * Those that the table did not include any more the last time; the others stay until fresh
 * ones come.  What that was is not known yet while the last time's are on their way.
 */
static void
expect_includes(struct slot *s)
{
	struct include *i, *next;
	bool is_sure = !s->lists_due;

	s->lists_due = true;
	s->since_ms = 0;
	if (!is_sure)
		return;
	for (i = TAILQ_FIRST(&s->includes); i != NULL; i = next) {
		next = TAILQ_NEXT(i, entry);
		if (i->generation != s->generation)
			include_free(s, i);
	}
	s->generation++;
}

int
tables_load(struct tables *ts, const char *name, int fd)
{
	char table[CONF_NAME_MAX + 1];
	const char *part = strchr(name, '#');
	struct slot *s;

	str_cut(table, sizeof(table), name);
	table[strcspn(table, "#")] = '\0';
	if ((s = map_get(ts->by_name, table)) == NULL) {
		(void)close(fd);
		errno = ENOENT;
		return -1;
	}
	if (s->backend != NULL)
		return load_backend(s, table, part == NULL ? "" : part + 1, fd);
	if (load_memory(s, table, fd) == -1)
		return -1;
	expect_includes(s);
	return 0;
}

static struct include *
include_find(const struct slot *s, const char *path)
{
	struct include *i;

	TAILQ_FOREACH (i, &s->includes, entry)
		if (strcmp(i->path, path) == 0)
			return i;
	return NULL;
}

static struct include *
include_add(struct slot *s, const char *path)
{
	size_t len = strlen(path);
	struct include *i;

	if (s->nincludes == TABLES_INCLUDES_MAX) {
		errno = ENOBUFS;
		return NULL;
	}
	if ((i = calloc(1, sizeof(*i) + len + 1)) == NULL)
		return NULL;
	memcpy(i->path, path, len + 1);
	TAILQ_INSERT_TAIL(&s->includes, i, entry);
	s->nincludes++;
	return i;
}

/* The file's text as a value. */
static char *
include_read(int fd)
{
	size_t len;
	char *text = file_read(fd, INCLUDE_TEXT_MAX, &len);

	if (text != NULL)
		table_include_to_value(text, len);
	return text;
}

int
tables_load_include(struct tables *ts, const char *name, const char *path, int fd)
{
	struct slot *s = map_get(ts->by_name, name);
	char *text = include_read(fd);
	struct include *i = NULL;

	(void)close(fd);
	if (s == NULL)
		errno = ENOENT;
	else if (text != NULL && (i = include_find(s, path)) == NULL)
		i = include_add(s, path);
	if (i == NULL) {
		free(text);
		return -1;
	}
	free(i->text);
	i->text = text;
	i->generation = s->generation;
	includes_came(ts->includes, name, path);
	return 0;
}

/* -- what is there -- */

void
tables_find(const struct tables *ts, const char *name, struct table_ref *out)
{
	const struct slot *s = map_get(ts->by_name, name);

	*out = (struct table_ref){.known = s != NULL};
	if (s != NULL) {
		out->memory = s->memory;
		out->ops = s->ops;
		out->backend = s->backend;
	}
}

enum table_answer
tables_include(const struct tables *ts, const char *name, const char *path, const char **text)
{
	const struct slot *s = map_get(ts->by_name, name);
	const struct include *i = s == NULL ? NULL : include_find(s, path);

	if (i == NULL)
		return s != NULL && s->lists_due ? TABLE_PENDING : TABLE_TROUBLE;
	*text = i->text;
	return TABLE_YES;
}

struct memo *
tables_includes(const struct tables *ts)
{
	return includes_memo(ts->includes);
}

void
tables_forget(struct tables *ts, const char *name)
{
	struct slot *s = map_get(ts->by_name, name);

	if (s != NULL)
		slot_forget(s);
}

static int
slot_tick(void *arg, void *value)
{
	const int64_t *now_ms = arg;
	struct slot *s = value;

	if (s->backend != NULL && s->ops->tick != NULL)
		s->ops->tick(s->backend, *now_ms);
	if (s->since_ms == 0)
		s->since_ms = *now_ms;
	else if (*now_ms - s->since_ms >= INCLUDES_DUE_MS)
		s->lists_due = false;
	return 0;
}

static bool
lists_are_due(const void *arg, const char *table)
{
	const struct tables *ts = arg;
	const struct slot *s = map_get(ts->by_name, table);

	return s != NULL && s->lists_due;
}

void
tables_tick(struct tables *ts, int64_t now_ms)
{
	(void)map_each(ts->by_name, slot_tick, &now_ms);
	includes_review(ts->includes, lists_are_due, ts);
}

size_t
tables_count(const struct tables *ts)
{
	return map_count(ts->by_name);
}
