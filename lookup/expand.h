/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPAND_H
#define LOOKUP_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "lookup/rules.h"

/*
 * A recipient as the queue has it, to those that deliveries are made for.
 * Pure: the answer depends on the policy alone, its inquiry included.
 *
 * Aliases, virtual users, included lists and .forward files are followed, depth
 * first and in the order of their texts, until only accounts of this host and
 * addresses for a relay action are left.  An address that a target names goes
 * through the rules as mail from this host does.  Loops are cut, each result comes
 * once.  A target that can't be used is an item of its own if others can: the sender is
 * told of it.  So is one that nobody can say anything of now: it is expanded later, by
 * itself.  Past the limits below, the whole fails.
 *
 * It is done in pieces, as many of them as the caller has time for.
 */
#define EXPAND_DEPTH_MAX 16
#define EXPAND_WIDTH_MAX 10000 /* targets of one expansion, repeated ones included */
#define EXPAND_AHEAD	 32    /* targets that are asked about at once */
#define EXPAND_TEXT_MAX	 256
#define EXPAND_FAILED	 "fail:"
#define EXPAND_LATER	 "later:"

struct expand_item {
	const char *address; /* the nearest address above: what the mailbox is found by */
	const char *user;    /* the account, "" for a relay */
	const char *dest;    /* MAILBOX_DEST... and the account, the relay's host or the domain */
	/*
	 * "" with a dest of EXPAND_FAILED, the enhanced status, a space and what is wrong:
	 * nothing can be delivered; address is the target.  With a dest of EXPAND_LATER
	 * address is to be expanded by itself, "": by the action that the rules choose.
	 */
	const char *action;
};

struct expansion {
	enum ipc_outcome outcome;  /* OK: something to deliver; RETRY: it can't be said now; FAIL */
	struct expand_item *items; /* none but with OK */
	size_t nitems, nfailed, nlater; /* how many of nitems can't be delivered, or not yet */
	size_t problems;
	char status[IPC_STATUS_MAX + 1]; /* of the first problem, or the first trouble */
	char text[EXPAND_TEXT_MAX];
};

struct expander;
enum expand_state {
	EXPAND_MORE,
	EXPAND_PENDING, /* the policy's inquiry will be resumed: run again then */
	EXPAND_DONE
};

/* What is followed, for smtpctl explain: a part of the last one before it with a smaller depth. */
struct expand_event {
	unsigned int depth;
	/* "recipient", "alias", "virtual", "include", "forward", "srs", "postmaster": it leads further;
	 * "mailbox", "relay": an item; "failed", "later", "repeated". */
	const char *kind;
	const char *subject; /* the target */
	const char *action;  /* of the step; "" when it has none */
	const char *text;    /* the table, the path, the account, the host; or what is wrong */
};
typedef void (*expand_observer)(void *arg, const struct expand_event *e);

/*
 * p is copied, what it points to and its inquiry stay the caller's.  action NULL: the
 * rules choose it, as for mail from this host.  NULL: ENOMEM.
 */
struct expander *expander_create(
    const struct policy *p, const struct address *a, const struct conf_action *action) WARN_UNUSED;
void expander_free(struct expander *e); /* NULL is fine */
void expander_observe(struct expander *e, expand_observer observe, void *arg);
/* Follows at most so many targets. */
enum expand_state expander_run(struct expander *e, size_t targets) WARN_UNUSED;
/* Of what is looked for just now, as its event will have it. */
unsigned int expander_depth(const struct expander *e);
/* So much was met so far that it is to be kept in memory beside a few others at most. */
bool expander_is_large(const struct expander *e);
/* After EXPAND_DONE; it lives as long as e. */
const struct expansion *expander_result(const struct expander *e);

#endif
