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
 * An SRS address of ours stands for the address in it.  An action with a
 * virtual table knows the recipients of that table and no others.  Any other action
 * tries its alias table, if it has one, and then the accounts of this host or of the
 * action's userbase.  Actions that only expand or forward know the accounts that
 * have a .forward file.  Postmaster and abuse are never unknown (RFC 5321 4.5.1, RFC 2142).
 */
#define ACCOUNT_MAX 32 /* octets of an account's name */

enum recipient_kind {
	RECIPIENT_UNKNOWN,
	RECIPIENT_TARGETS, /* an alias or virtual user: see targets */
	RECIPIENT_ACCOUNT, /* whatever account that is, if it exists */
	RECIPIENT_ADDRESS, /* of SRS: targets is the address that it stands for */
	RECIPIENT_POSTMASTER, /* postmaster or abuse, and nobody here: "smtp postmaster" is to get it */
	RECIPIENT_TROUBLE, /* it can't be said now */
	RECIPIENT_PENDING  /* it was asked; find again when the inquiry is resumed */
};

struct recipient {
	enum recipient_kind kind;
	const char *targets; /* good until the inquiry's next question */
	const char *
	    source; /* the table that targets are from, or the one that has it not or is in trouble; NULL: none */
	bool by_alias; /* source is the alias table, and not the virtual one */
	bool tagged;   /* the local part with its tag is the name, in the table or of the account */
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
void recipient_find_account(const struct policy *p, const struct conf_action *action,
    const char *name, struct recipient *out);

bool action_is_local(const struct conf_action *action);
/* Does it deliver to nobody by itself, but only to where tables and files lead? */
bool action_has_no_mailboxes(const struct conf_action *action);
/* Is there such an account, in the action's userbase or on this host? */
enum table_answer recipient_exists(
    const struct policy *p, const struct conf_action *action, const char *account) WARN_UNUSED;
/* Has an account of this action a .forward file that counts?  What is in it: see forward.h. */
enum table_answer recipient_forward(const struct policy *p, const struct conf_action *action,
    const char *account, const char **value) WARN_UNUSED;

/*
 * The action that the rules choose for mail from this host: what an alias leads to, or
 * an SRS address stands for, goes by it.  NO: they let nothing through.
 */
enum table_answer recipient_route(
    const struct policy *p, const struct address *a, const struct conf_action **action) WARN_UNUSED;

/* -- recipient_check.c -- */
/* What RCPT is answered once the rules chose the action. */
enum recipient_result {
	RECIPIENT_EXISTS,
	RECIPIENT_ABSENT, /* why says what of, for the log; so does it with UNSURE */
	RECIPIENT_UNSURE, /* it can't be said now */
	RECIPIENT_WAITS	  /* it was asked; check again when the inquiry is resumed */
};
enum recipient_result recipient_check(const struct policy *p, const struct conf_action *action,
    const struct address *rcpt, char *why, size_t why_size) WARN_UNUSED;

#endif
