/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPAND_H
#define LOOKUP_EXPAND_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "lookup/rules.h"

/*
 * A recipient as the queue has it, to those that deliveries are made for.
 * Pure: the answer depends on the policy alone.
 *
 * Aliases and virtual users are followed until only accounts of this host and
 * addresses for a relay action are left.  An address that an alias leads to
 * goes through the rules as mail from this host does.  Loops are cut, each
 * result comes once.  A target that can't be used is an item of its own if others
 * can: the sender is told of it.  Past the limits below, the whole fails.
 */
#define EXPAND_DEPTH_MAX 16
#define EXPAND_WIDTH_MAX 10000 /* targets of one expansion, repeated ones included */
#define EXPAND_TEXT_MAX	 256
#define EXPAND_FAILED	 "fail:"

struct expand_item {
	char *address; /* the nearest address above: what the mailbox is found by */
	char *user;    /* the account, "" for a relay */
	char *dest;    /* MAILBOX_DEST... and the account, the relay's host or the domain */
	/*
	 * Of the configuration: it lives as long.  "": nothing can be delivered;
	 * address is the target, dest EXPAND_FAILED, the enhanced status, a
	 * space and what is wrong with it.
	 */
	const char *action;
};

struct expansion {
	enum ipc_outcome outcome;  /* OK: something to deliver; RETRY: a table is not there; FAIL */
	struct expand_item *items; /* none but with OK */
	size_t nitems, nfailed;	   /* nfailed: how many of nitems can't be delivered */
	size_t problems;
	char status[IPC_STATUS_MAX + 1]; /* of the first problem */
	char text[EXPAND_TEXT_MAX];
};

/* action NULL: the rules choose it, as for mail from this host.  -1: ENOMEM, and nothing to be freed. */
int expand_run(const struct policy *p, const struct address *a, const struct conf_action *action,
    struct expansion *out) WARN_UNUSED;
void expansion_free(struct expansion *e);

#endif
