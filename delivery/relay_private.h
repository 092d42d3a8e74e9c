/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_PRIVATE_H
#define DELIVERY_RELAY_PRIVATE_H

#include "delivery/body.h"
#include "delivery/client.h"
#include "delivery/relay.h"
#include "delivery/route.h"
#include "lib/mail/relay_url.h"

/* The inside of a struct relay, for relay.c and relay_order.c. */
enum relay_event { EVENT_NONE, EVENT_NEXT_HOST, EVENT_OVER };

struct relay { /* owned by the delivery: in waiting or active, and in ripe besides */
	TAILQ_ENTRY(relay) entry, ripe_entry;
	struct delivery *delivery;
	struct job *job; /* NULL when it has its verdicts */
	bool waiting, ripe;
	enum relay_event event;
	char dest[IPC_NAME_MAX + 1], helo[IPC_NAME_MAX + 1], remote[IPC_NAME_MAX + 1];
	struct relay_url url; /* its host "": the MX of dest */
	bool plain;	      /* TLS failed with this host: once without */
	struct route route;
	const struct route_host *host;
	struct verdict why; /* the best of what hosts gave as a reason */
	bool has_why;
	struct client *client;
	struct client_options options;
	struct client_mail mail;
	uint32_t srs_req;		  /* the vault's answer is waited for */
	char sender[IPC_ADDRESS_MAX + 1]; /* as it was rewritten */
	const char **addresses;		  /* of the recipients the client is given */
	size_t *indices;		  /* and which of the job's they are */
	struct body body;
};

/* -- relay.c -- */
/* No host is left, or none can be asked. */
void relay_fail(struct relay *r, const struct verdict *why);
/* What had to be known first is known. */
void relay_go_on(struct relay *r);

/* -- relay_srs.c -- */
/* True: relay_go_on() or relay_fail() follows, or was called already. */
bool relay_srs_begin(struct relay *r, const struct conf_action *action) WARN_UNUSED;

/* -- relay_order.c -- */
/*
 * Reads what is to be done out of r->job and the action.  A recipient that can't be
 * written on the wire gets its verdict now; with the last of them r->job is NULL.
 * -1: none can be served, and why.
 */
int relay_take_order(
    struct relay *r, const struct conf_action *action, struct verdict *why) WARN_UNUSED;

#endif
