/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_PRIVATE_H
#define DELIVERY_RELAY_PRIVATE_H

#include "delivery/body.h"
#include "delivery/client.h"
#include "delivery/relay.h"
#include "delivery/relay_url.h"
#include "delivery/route.h"

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
	const char **addresses; /* of the recipients the client is given */
	size_t *indices;	/* and which of the job's they are */
	struct body body;
};

/* -- relay_order.c -- */
/*
 * Reads what is to be done out of r->job and the action.  A recipient that can't be
 * written on the wire gets its verdict now; with the last of them r->job is NULL.
 * -1: none can be served, and why.
 */
int relay_take_order(
    struct relay *r, const struct conf_action *action, struct verdict *why) WARN_UNUSED;

#endif
