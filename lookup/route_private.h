/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ROUTE_PRIVATE_H
#define LOOKUP_ROUTE_PRIVATE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "lib/mail/address.h"
#include "lookup/hop.h"
#include "lookup/mx.h"
#include "lookup/route.h"

/* What route.c and route_give.c share. */
struct event;

struct route { /* owned by its struct routes */
	TAILQ_ENTRY(route) entry;
	struct routes *routes;
	const struct route_events *events;
	void *arg;
	uint32_t req, seed;
	int64_t deadline_ms;
	bool mx;
	char name[ADDRESS_DOMAIN_MAX + 1]; /* with A-labels */
	char backup[ADDRESS_DOMAIN_MAX + 1];
	struct event *start;
	struct dns_query *mx_query;
	bool secure; /* the hosts' names are */
	struct mx_list list;
	struct hop_plan plan;
	struct hop *hops; /* list.n of them */
	size_t given;	  /* addresses */
	enum hop_trouble trouble;
	bool loops; /* a host is ourselves by another name or by address */
};

TAILQ_HEAD(route_list, route);

struct routes {
	struct lookup *lookup;
	struct route_list list; /* the oldest first */
	size_t n;
};

enum end {
	END_OK,
	END_TROUBLE,
	END_BOGUS,
	END_BUSY,
	END_BAD_NAME,
	END_NO_NAME,
	END_NULL_MX,
	END_LOOP,
	END_UNUSABLE,
	END_NO_ADDRESS,
	END_NO_HOST
};

/* Each ends the route and frees it. */
void route_finish(struct route *r, enum end end);
void route_end_with_hosts(struct route *r); /* by what was given out so far */
void route_give_hosts(struct route *r);	    /* all of them are settled */

void
route_give_address(struct route *r, const struct mx_host *host, int family, const uint8_t *address);
bool route_is_own_address(const struct route *r, int family, const uint8_t *address);

void route_free(struct route *r);

#endif
