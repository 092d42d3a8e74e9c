/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_KEYS_H
#define LOOKUP_TABLE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/mail/address.h"
#include "lib/net/addr.h"
#include "lookup/backend.h"

/*
 * The keys that are looked for in a table when a subject is, in their order, each in
 * lower case; the first one that is there decides.  Pure.
 *
 * word      itself
 * domain    "a.b.c", ".b.c", ".c"; of an address literal itself alone
 * network   "192.0.2.1"; with prefixes also "192.0.2.1/32", "192.0.2.0/31" ... "0.0.0.0/0";
 *           "unix" for a client without an address
 * mailbox   "user@a.b.c", "@a.b.c", "user", "@.b.c", "@.c"; "<>" for the null path; of both then "@".
 *           A quoted local part that could pass for another key is no "user".
 */
enum table_subject {
	TABLE_SUBJECT_WORD,
	TABLE_SUBJECT_DOMAIN,
	TABLE_SUBJECT_NETWORK,
	TABLE_SUBJECT_MAILBOX
};

struct table_keys { /* an iteration; its members are table_keys.c's */
	enum table_subject kind;
	size_t tried;
	bool prefixes;
	const struct addr *addr;
	const struct address *address;
	const char *rest; /* of the domain: where the next dot is looked for */
	char key[TABLE_KEY_MAX + 1];
};

/* The subject must outlive the iteration. */
void table_keys_word(struct table_keys *k, const char *word);
void table_keys_domain(struct table_keys *k, const char *domain);
void table_keys_network(struct table_keys *k, const struct addr *a, bool prefixes);
void table_keys_mailbox(struct table_keys *k, const struct address *a);
/* The next one, good until the one after; NULL: there are no more (or it is too long for any). */
const char *table_keys_next(struct table_keys *k);

#endif
