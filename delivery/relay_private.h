/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_PRIVATE_H
#define DELIVERY_RELAY_PRIVATE_H

#include "delivery/body.h"
#include "delivery/client.h"
#include "delivery/lane.h"
#include "delivery/relay.h"
#include "lib/mail/header.h"

/* The inside of a struct relay, for relay*.c, and for lanes and carriers. */
enum relay_place {
	RELAY_PREPARING, /* something has to be known first */
	RELAY_WAITING,	 /* in its lane */
	RELAY_CARRIED,
	RELAY_OVER /* freed by relays_turn() */
};

struct ascii_address; /* relay_ascii.c */
struct relay_answer;  /* relay_plan.c */

struct relay { /* owned by whom place names */
	enum asker asker;
	TAILQ_ENTRY(relay) entry;
	struct delivery *delivery;
	struct job *job; /* it lives as long; NULL: it was abandoned */
	enum relay_place place;
	struct lane *lane;
	struct carrier *carrier;
	unsigned int nstale; /* how often it came back from a connection that was lost before */
	size_t step;	     /* of what has to be known first */
	struct client_mail mail;
	const char **addresses; /* of the recipients that can be served */
	struct client_dsn *dsn; /* NULL: nobody said anything of that */
	size_t *indices;	/* which of the job's they are */
	struct body body;
	uint32_t req; /* the answer to a question is waited for */
	char *sender; /* as it was rewritten */
	struct relay_answer *answer;
	/* relay_ascii.c: addresses by A-labels, and how far the header was read */
	struct ascii_address *ascii;
	struct header_scan scan;
	uint64_t scan_octets;
};

/* -- relay.c -- */
void relay_go_on(struct relay *r);			     /* what had to be known is known */
void relay_fail(struct relay *r, const struct verdict *why); /* nobody can be asked */
void relay_fail_by(struct relay *r, enum cause cause, const char *detail);
/* Of the recipients that have none yet; via NULL: our own. */
void relay_judge(struct relay *r, const struct verdict *v, const struct job_via *via);
void relay_end(struct relay *r); /* nobody reads of it any more */

/*
 * Steps before the lane.  True: relay_go_on() or relay_fail() follows, or was called
 * already; false: there is nothing to wait for.
 */
bool relay_srs_begin(struct relay *r, const struct conf_action *action) WARN_UNUSED;
bool relay_ascii_begin(struct relay *r, const struct conf_action *action) WARN_UNUSED;
bool relay_plan_begin(struct relay *r, const struct conf_action *action) WARN_UNUSED;
void relay_ascii_free(struct relay *r);
void relay_plan_free(struct relay *r);
/* Into its lane, with what the steps found. */
int relay_plan_join(struct relay *r, const struct conf_action *action) WARN_UNUSED;

/* -- relay_order.c -- */
/*
 * Reads what is to be done out of r->job and the action.  A recipient that can't be
 * written on the wire gets its verdict now.  -1: none can be served, and why; or all
 * have their verdicts.
 */
int relay_take_order(
    struct relay *r, const struct conf_action *action, struct verdict *why) WARN_UNUSED;

#endif
