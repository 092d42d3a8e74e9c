/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_MEMORY_H
#define LOOKUP_TABLE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/table_entry.h"
#include "lib/mail/address.h"
#include "lib/net/addr.h"
#include "lookup/answer.h"

/*
 * A table in memory: keys in order, each with a value or without; inline in
 * the configuration, or the text of a file (table_file.h).
 *
 * Keys are found whatever their case, and those with a domain whether they or the
 * question have it with A-labels or with U-labels; the question with A-labels finds
 * both.  Of two entries with one key the first counts.  A key may be a pattern: "*" stands for any run of octets, a domain
 * that starts with a dot for all names below it.
 *
 * A question is answered in the same time however many entries there are, but
 * for patterns other than ".example.org" and "*.example.org", and for
 * regular expressions: these are tried one by one.
 *
 * Every question may be asked of NULL, a table whose contents did not arrive:
 * the answer is TABLE_TROUBLE, never "no".
 */
struct table;

#define TABLE_ENTRIES_MAX (4U << 20) /* entries of one table */
#define TABLE_REGEXES_MAX 1000	     /* of one table; what comes after them is refused */
#define TABLE_STATES_MAX  50000	     /* of all its regular expressions; the same */

struct table *table_create(const char *name) WARN_UNUSED;
void table_free(struct table *t); /* NULL is fine */
/* There will be so many entries: the table takes room for these and no more.  -1: ENOMEM. */
int table_reserve(struct table *t, size_t entries) WARN_UNUSED;
/* Borrows both strings for the life of the table; value may be NULL.  -1: EINVAL (a key that
 * is empty or too long), ENOBUFS, ENOMEM. */
int table_add(struct table *t, const char *key, const char *value) WARN_UNUSED;
void table_own_text(struct table *t, char *text); /* freed with the table */
bool table_owns_text(const struct table *t);
const char *table_name(const struct table *t);
size_t table_count(const struct table *t);
bool table_is_list(const struct table *t); /* no entry has a value */
/* The keys in the order of their entries; NULL behind the last. */
const char *table_key_at(const struct table *t, size_t i);

/* The value under a key; a key without a value is not found. */
enum table_answer table_value(const struct table *t, const char *key, const char **value);

/* Is the subject in the list of keys, taken as words, domains, networks, mailboxes? */
enum table_answer table_has_word(const struct table *t, const char *word);
enum table_answer table_has_domain(const struct table *t, const char *domain);
/* The networks are compiled at the first question. */
enum table_answer table_has_network(struct table *t, const struct addr *a);
/* Keys "user@domain", "@domain", "user" (at any domain), "<>" (the null path), "@" (all of these). */
enum table_answer table_has_mailbox(const struct table *t, const struct address *a);
/* The keys as regular expressions, see regex.h.  They are compiled at the first question; where one
 * is refused that is logged, and TROUBLE is the answer unless another matches. */
enum table_answer table_has_regex(struct table *t, const char *text);

#endif
