/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_H
#define LOOKUP_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/mail/address.h"
#include "lib/net/addr.h"

/*
 * A table of smtpd.conf(5): keys in order, each with a value or without.
 *
 * Keys are found whatever their case.  Of two entries with one key the first
 * counts.  A key may be a pattern: "*" stands for any run of octets, a domain
 * that starts with a dot for all names below it.
 *
 * Every question may be asked of NULL, a table whose contents did not arrive:
 * the answer is TABLE_TROUBLE, never "no".
 */
struct table;

enum table_answer { TABLE_NO, TABLE_YES, TABLE_TROUBLE };

#define TABLE_KEY_MAX	  1024	      /* octets */
#define TABLE_ENTRIES_MAX (4U << 20)  /* entries of one table */
#define TABLE_TEXT_MAX	  (64U << 20) /* octets of a table's file */
#define TABLE_REGEX_MAX	  256	      /* octets of a regular expression */

struct table *table_create(const char *name) WARN_UNUSED;
void table_free(struct table *t); /* NULL is fine */
/* Borrows both strings for the life of the table; value may be NULL.  -1: EINVAL (a key that
 * is empty or too long), ENOBUFS, ENOMEM. */
int table_add(struct table *t, const char *key, const char *value) WARN_UNUSED;
void table_own_text(struct table *t, char *text); /* freed with the table */
bool table_owns_text(const struct table *t);
const char *table_name(const struct table *t);
size_t table_count(const struct table *t);

/* The value under a key; a key without a value is not found. */
enum table_answer table_value(const struct table *t, const char *key, const char **value);

/* Is the subject in the list of keys, taken as words, domains, networks, mailboxes? */
enum table_answer table_has_word(const struct table *t, const char *word);
enum table_answer table_has_domain(const struct table *t, const char *domain);
enum table_answer table_has_network(const struct table *t, const struct addr *a);
/* Keys "user@domain", "@domain", "user" (at any domain), "<>" (the null path). */
enum table_answer table_has_mailbox(const struct table *t, const struct address *a);
/* The keys as extended regular expressions (POSIX), "(?i)" before one that ignores case.
 * They are compiled at the first question; what does not compile is logged and never matches. */
enum table_answer table_has_regex(struct table *t, const char *text);

#endif
