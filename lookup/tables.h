/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLES_H
#define LOOKUP_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lookup/backend.h"

/*
 * All tables of the configuration by name, of whatever kind: those in memory (inline,
 * file; table_memory.h), and those that a back end looks into (backend.h).
 * Decisions ask through an inquiry (inquiry.h), which remembers and waits.
 */
struct tables;
struct table; /* in memory */

/* env must outlive them; NULL: unit tests, where there are tables in memory alone. */
struct tables *tables_create(const struct backend_env *env) WARN_UNUSED;
void tables_free(struct tables *ts);
/*
 * The tables of a new configuration, which must outlive them.  What was
 * loaded of a table is kept when it is still there and of its kind; what was
 * remembered of answers is not.  -1: ENOMEM, ENOBUFS, and everything as it was.
 */
int tables_configure(struct tables *ts, const struct conf *conf) WARN_UNUSED;
/*
 * A file of a table, new or again: "NAME" is its contents or data base, "NAME#conf" what
 * tells how to ask that.  Takes fd over.  -1 with errno: what was there before stays.
 */
int tables_load(struct tables *ts, const char *name, int fd) WARN_UNUSED;
/* What ":include:path" in a table stands for; comes after the table itself.  The same of fd and errno. */
#define TABLES_INCLUDES_MAX 1024 /* of one table */
int tables_load_include(struct tables *ts, const char *name, const char *path, int fd) WARN_UNUSED;
/* What was remembered of a table is asked anew. */
void tables_forget(struct tables *ts, const char *name);
void tables_tick(struct tables *ts, int64_t now_ms);
size_t tables_count(const struct tables *ts);

/* -- for inquiry.c and find.c -- */

struct table_ref {
	bool known;		       /* the configuration has it */
	struct table *memory;	       /* NULL: not in memory, or its file did not arrive */
	const struct backend_ops *ops; /* NULL: not of a back end */
	void *backend;
};

/* What there is of a table; good for this turn. */
void tables_find(const struct tables *ts, const char *name, struct table_ref *out);
/* TROUBLE: its file did not arrive; PENDING: not yet.  *text is good for this turn. */
enum table_answer tables_include(
    const struct tables *ts, const char *name, const char *path, const char **text) WARN_UNUSED;
/* Where who met PENDING waits; see includes.h for its keys. */
struct memo *tables_includes(const struct tables *ts);

#endif
