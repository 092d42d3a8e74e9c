/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPAND_PRIVATE_H
#define LOOKUP_EXPAND_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lookup/expand.h"
#include "lookup/forward.h"
#include "lookup/recipient.h"

/* The inside of an expander, for expand.c, which does, and expand_plan.c, which only asks. */
struct map;

struct step {				  /* on the way to a mailbox */
	struct address address;		  /* the nearest address above, or what is to be expanded */
	char name[ADDRESS_LOCAL_MAX + 1]; /* to be expanded; "": the address is */
	const struct conf_action *action;
	bool no_alias;	 /* the name is an account, whatever the alias table has */
	bool no_forward; /* and its mailbox is meant, whatever its .forward file has */
	bool tagged;	 /* the tag of address is part of the mailbox's name */
};

enum source {
	SOURCE_ALIAS,
	SOURCE_VIRTUAL,
	SOURCE_INCLUDE,
	SOURCE_FORWARD,
	SOURCE_SRS,
	SOURCE_POSTMASTER
};

struct frame {		  /* targets that are being followed */
	struct step step; /* that they stand for */
	enum source source;
	const char *table;	       /* where its ":include:" lists are found; NULL: nowhere */
	bool by_alias;		       /* its own name is its account */
	char account[ACCOUNT_MAX + 1]; /* whose .forward file it is, or it is followed from; "" */
	char *text;
	const char *at; /* the next one in text */
};

struct expander {
	struct policy policy;
	struct step first;
	bool begun;
	struct frame frames[EXPAND_DEPTH_MAX];
	size_t nframes;
	size_t ntargets; /* of all, repeated ones included */
	size_t noctets;	 /* of all texts that were followed */
	struct map *seen;
	struct expansion out;
	bool no_memory;
	expand_observer observe;
	void *observe_arg;
};

enum move {
	MOVE_PENDING,
	MOVE_FAIL,
	MOVE_LATER, /* nobody can say now */
	MOVE_REPEATED,
	MOVE_FOLLOW, /* the targets in text */
	MOVE_MAILBOX,
	MOVE_RELAY
};

struct plan { /* what a target leads to */
	enum move move;
	struct step step;
	bool is_step; /* LATER: step is what is to be expanded */
	const char *status;
	char why[EXPAND_TEXT_MAX / 2];
	/* FOLLOW */
	enum source source;
	const char *table, *text;      /* text is good until the inquiry's next question */
	char account[ACCOUNT_MAX + 1]; /* of MAILBOX, too */
};

#define STEP_KEY_MAX (ADDRESS_MAX + ADDRESS_LOCAL_MAX + ACCOUNT_MAX + CONF_NAME_MAX + 16)

/* -- expand_plan.c -- */
/* f NULL: there is none yet. */
void plan_step(const struct expander *e, const struct frame *f, struct plan *plan);
void plan_address(const struct expander *e, const struct frame *f, struct plan *plan);
void
plan_target(const struct expander *e, const struct frame *f, const char *target, struct plan *plan);
/* Names a step for seen.  -1: it is too long. */
int step_key(const struct step *s, const struct frame *f, char *dst, size_t size) WARN_UNUSED;

/* -- expand_items.c -- */
/* True when the key is new; false when it was there, or memory ran out. */
bool expand_seen_first(struct expander *e, const char *key);
void expand_tell(const struct expander *e, const char *kind, const char *subject,
    const struct step *s, const char *text);
void expand_add_failed(struct expander *e, const char *status, const char *text, const char *what);
/* Too much: better nobody gets it, and the sender hears of it, than some do and he does not. */
void expand_fail_all(struct expander *e, const char *text, const char *what);
/* Others need not wait for what one of them has to wait for. */
void expand_add_later(struct expander *e, const struct plan *plan, const char *what);
void expand_add_local(struct expander *e, const struct step *s, const char *user);
void expand_add_relay(struct expander *e, const struct step *s, const char *what);
void expand_settle(struct expander *e);
void expand_items_drop(struct expansion *x);

#endif
