/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LANE_H
#define DELIVERY_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/delivery.h"
#include "delivery/verdict.h"
#include "lib/mail/relay_url.h"

/*
 * A lane: all mail that may share connections: one action, destination, list
 * of servers, source and need of protection.  It has the messages that wait and the
 * carriers (carrier.h) that take them, one after the other.
 *
 *   new      one carrier sets out; if it finds nobody, all that waits is judged by it
 *   open     as many carriers as the mail needs and the limits allow, more with each success
 *   dead     until a time: what comes is put off at once (not tried); then as new
 *
 * A lane exists while it has mail, a carrier, or is known to be dead.
 */
struct lane;
struct relay;

#define LANE_SERVERS_MAX 16
#define LANE_SOURCES_MAX 8

struct lane_plan { /* what makes the lane; copied */
	const char *action,
	    *dest; /* dest: the recipients' domain, "" where the servers are all that counts */
	struct relay_url servers[LANE_SERVERS_MAX]; /* in order; none: the MX of dest */
	size_t nservers;
	bool lmtp_socket; /* instead: the Unix socket of the action, which the parent opens */
	const char *sources
	    [LANE_SOURCES_MAX]; /* addresses, used in turn by family; none: the kernel's choice */
	const char *helos[LANE_SOURCES_MAX]; /* the name that goes with each, "" for the action's */
	size_t nsources;
	bool requires_tls, needs_deliverby;
	enum ipc_tls_level tls_best; /* remembered of dest; not part of what makes it */
};

/*
 * Joins the lane of this plan, or a new one; the relay is in it until its job is judged.
 * It may be judged at once, when the lane is dead.  -1: ENOMEM, ENOBUFS.
 */
int lane_join(struct delivery *d, const struct lane_plan *plan, struct relay *r) WARN_UNUSED;
void lane_leave(struct relay *r); /* it is abandoned; fine when it is in none */

int lanes_init(struct delivery *d) WARN_UNUSED;
void lanes_turn(struct delivery *d); /* at the loop's top: ends what ended, sends carriers out */
void lanes_tick(struct delivery *d);
void lanes_forgive(struct delivery *d); /* nothing is known to be dead any more */
void lanes_drain(struct delivery *d);	/* idle connections have nothing to wait for */
/* A new configuration: no connection that was made under another takes more mail. */
void lanes_renew(struct delivery *d);

/* -- lane_rows.c: smtpctl show limits -- */
void lanes_list(struct delivery *d, struct channel *ch, const struct msg_limits *m);

#endif
