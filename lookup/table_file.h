/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_FILE_H
#define LOOKUP_TABLE_FILE_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lookup/table.h"

/*
 * The text of a table's file, in the format of aliases(5) and of plain lists:
 *
 *   # a comment, on a line of its own
 *   key value		key: value	"key with spaces": value	key
 *
 * A line that starts with a blank, or follows a backslash at a line's end,
 * goes on with the entry before it.  After the comment "# @list" each line is
 * one key, blanks included.
 *
 * text has len octets and one more, which is written to; it is taken over.
 * Lines that make no entry are skipped and logged by number, the first
 * few of them; *skipped counts them.  NULL: ENOBUFS, ENOMEM (text is freed then, too).
 */
struct table *table_parse(const char *name, char *text, size_t len, size_t *skipped) WARN_UNUSED;

#endif
