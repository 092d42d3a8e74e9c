/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RECIPIENT_H
#define LOOKUP_RECIPIENT_H

#include <stdbool.h>

#include "lib/conf/conf.h"
#include "lib/mail/address.h"
#include "lookup/rules.h"

/*
 * One step from a local recipient towards its mailbox.  The same step answers
 * RCPT and expands a message's recipients: what is accepted can be delivered.
 *
 * An action with a virtual table knows the recipients of that table and no
 * others, but for postmaster (RFC 5321 4.5.1).  Any other action tries its
 * alias table, if it has one, and then the accounts of this host.
 */
#define ACCOUNT_MAX 32 /* octets of an account's name */

enum recipient_kind {
	RECIPIENT_UNKNOWN,
	RECIPIENT_TARGETS, /* an alias or virtual user: see targets */
	RECIPIENT_ACCOUNT, /* whatever account that is, if it exists */
	RECIPIENT_TROUBLE  /* a table is not there */
};

struct recipient {
	enum recipient_kind kind;
	const char *targets; /* the table's text */
	bool by_alias;	     /* targets are those of the alias table */
	bool tagged;	     /* the table has the local part with its tag: that is the name */
	char account[ACCOUNT_MAX + 1];
};

/*
 * A recipient as session and queue have it.  The bare postmaster is this
 * host's (RFC 5321 4.5.1).  -1: not an address.
 */
int recipient_parse(const struct policy *p, const char *text, struct address *out) WARN_UNUSED;

void recipient_find(const struct policy *p, const struct conf_action *action,
    const struct address *a, struct recipient *out);
/* The same for a bare name that an alias or virtual user led to. */
void recipient_find_name(const struct policy *p, const struct conf_action *action, const char *name,
    struct recipient *out);
/* The same, aliases aside. */
void
recipient_find_account(const struct conf_action *action, const char *name, struct recipient *out);

bool action_is_local(const struct conf_action *action);

#endif
