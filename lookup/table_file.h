/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_FILE_H
#define LOOKUP_TABLE_FILE_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lookup/table_memory.h"

/*
 * A table of a file's text, whose format is told in lib/conf/table_entry.h.
 * text has len octets and one more, which is written to; it is taken over.
 * Lines that make no entry are skipped and logged by number, the first
 * few of them; *skipped counts them.  NULL: ENOBUFS, ENOMEM (text is freed then, too).
 */
struct table *table_parse(const char *name, char *text, size_t len, size_t *skipped) WARN_UNUSED;

#endif
