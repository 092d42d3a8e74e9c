/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_TABLE_TEXT_H
#define LIB_CONF_TABLE_TEXT_H

#include <stddef.h>

#include "lib/base/bug.h"

/*
 * The lines of a table's file, read in place.  An entry goes on in the next
 * line when it ends in a backslash, or when the next line begins with a blank;
 * comments and empty lines may stand in between.
 */
#define TABLE_TEXT_MAX (64U << 20) /* octets of a table's file */

struct table_text {
	char *at, *end;
	size_t line; /* the physical line that was read last, from 1 */
};

/* text has len octets and one more that may be written. */
void table_text_init(struct table_text *t, char *text, size_t len);
/*
 * An entry with all its lines in one string of *len octets (a NUL may be
 * among them), without the blanks at its end; comments and empty lines come as
 * they stand.  *line is its first.  NULL: none is left.
 */
char *table_text_next(struct table_text *t, size_t *len, size_t *line);

#endif
