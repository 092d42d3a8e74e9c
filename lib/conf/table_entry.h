/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_TABLE_ENTRY_H
#define LIB_CONF_TABLE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/table_text.h"

/*
 * The text of a table's file, in the format of aliases(5) and of plain lists:
 *
 *   # a comment, on a line of its own
 *   key value		key: value	"key with spaces": value	key
 *
 * A line that starts with a blank, or follows a backslash at a line's end,
 * goes on with the entry before it.  After the comment "# @list" each line is
 * one key, blanks included.  Of two entries with one key the first counts, and
 * keys are the same whatever the case of their ASCII letters.
 */
#define TABLE_KEY_MAX 1024 /* octets */

/* Which keys may have colons; and "# @list" is for names alone. */
enum table_entry_keys {
	TABLE_ENTRY_NAMES, /* addresses of IPv6, networks, URLs */
	TABLE_ENTRY_LOGINS /* "cert:...", "sha256:..." */
};

struct table_entries {
	struct table_text text;
	enum table_entry_keys keys;
	bool list; /* "# @list" was seen */
};

struct table_entry {
	const char *key, *value; /* in the text, value NULL: there is none */
	size_t line;		 /* its first, from 1 */
	const char *why;	 /* no entry: what is wrong with the line; NULL otherwise */
};

/* text has len octets and one more that may be written; it is taken apart in place. */
void
table_entries_init(struct table_entries *e, char *text, size_t len, enum table_entry_keys keys);
/* The next entry, or the next line that makes none.  False: nothing is left. */
bool table_entries_next(struct table_entries *e, struct table_entry *out);

/*
 * The items of a value, which are separated by commas but not by those in
 * double quotes.  Empty ones are left out, blanks around them too.  False:
 * none is left.
 */
struct table_item {
	const char *at;
	size_t len;
};
bool table_item_next(const char **value, struct table_item *out);
/* Of ":include:/path" the path, which ends with the item; NULL: it is another item. */
#define TABLE_INCLUDE ":include:"
const char *table_item_include(const struct table_item *item, size_t *len);
/*
 * The text of an included file, made a value in place: one item a line, or several
 * with commas; "#" starts a line that is a comment.  text has len octets and one
 * more that may be written.
 */
void table_include_to_value(char *text, size_t len);

#endif
