/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLES_H
#define LOOKUP_TABLES_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lookup/table.h"

/* All tables of the configuration by name. */
struct tables;

struct tables *tables_create(void) WARN_UNUSED;
void tables_free(struct tables *ts);
/*
 * The tables of a new configuration, which must outlive them.  Files that
 * were loaded and are still named are kept until they are loaded again.
 * -1: ENOMEM, ENOBUFS, and everything as it was.
 */
int tables_configure(struct tables *ts, const struct conf *conf) WARN_UNUSED;
/*
 * The contents of a table's file, new or again; fd stays open.  -1 with errno
 * of file_read() or table_parse(): the contents are what they were before.
 */
int tables_load(struct tables *ts, const char *name, int fd) WARN_UNUSED;
/* NULL: there is none, or its file did not arrive. */
struct table *tables_find(const struct tables *ts, const char *name);
size_t tables_count(const struct tables *ts);

#endif
