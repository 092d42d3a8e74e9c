/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery/verdict.h"
#include "lib/ipc/message.h"
#include "lib/net/addr.h"
#include "lib/service/service.h"

#define ROUTE_HOSTS_MAX 32 /* addresses tried for one message */

struct route_host {
	char name[IPC_NAME_MAX + 1];
	struct addr addr;
};

/* Once.  why NULL: hosts are there, best first; else what to tell the recipients. */
typedef void (*route_done)(void *arg, const struct verdict *why);

struct route { /* part of its owner; all zero: not started */
	struct service *service;
	uint32_t req; /* of the question to lookup */
	uint16_t port;
	struct route_host *hosts;
	size_t nhosts, next;
	route_done done;
	void *arg;
};

/* name: a domain (mx) or a host; an address needs no question.  done may be called from within. */
void route_start(struct route *r, const char *name, bool mx);
void route_stop(struct route *r);		      /* gives all back; fine at any time */
const struct route_host *route_next(struct route *r); /* NULL: that was all */

/* Lookup's answers to r's question. */
void route_add(struct route *r, const struct msg_route_host *m);
void route_end(struct route *r, const struct msg_route_end *m);

#endif
