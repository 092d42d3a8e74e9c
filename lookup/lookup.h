/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_LOOKUP_H
#define LOOKUP_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/conf/conf.h"
#include "lib/service/service.h"
#include "lookup/accounts.h"
#include "lookup/arrival.h"
#include "lookup/clients.h"
#include "lookup/dns.h"
#include "lookup/inquiry.h"
#include "lookup/resolver.h"
#include "lookup/route.h"
#include "lookup/rules.h"
#include "lookup/tables.h"

#define LOOKUP_HOSTNAME_MAX 255

struct lookup_counters {
	uint64_t checks, accepted, refused, deferred; /* RCPT */
	uint64_t expansions, expansions_failed;
	uint64_t filters_asked, filters_refused;
	uint64_t senders_refused; /* not the login's own */
};

struct checks;
struct expansions;
struct explains;
struct filterings;
struct finds;
struct forwards;
struct relay_asks;
struct srs;
struct userinfos;

/* All that the program has; made in main.c. */
struct lookup {
	struct service *service;
	const struct conf *conf; /* the service's; replaced on reload */
	char hostname[LOOKUP_HOSTNAME_MAX + 1];
	bool rules_need_name; /* of each client, by the DNS */

	/* what decisions ask */
	struct backend_env env;
	struct tables *tables;
	struct accounts *accounts;
	struct forwards *forwards;
	struct srs *srs;
	struct inquiry_sources sources; /* all of those */
	struct inquiry_queue *inquiries;

	/* what is under way */
	struct clients *clients;
	struct arrivals *arrivals;     /* clients that are not let in yet */
	struct filterings *filterings; /* questions for the filters */
	struct checks *checks;	       /* RCPTs */
	struct expansions *expansions;
	struct relay_asks *relay_asks; /* delivery's, of an action's tables */
	struct userinfos *userinfos;   /* the parent's, where an account is */
	struct explains *explains;
	struct finds *finds;

	struct resolver resolver;
	struct dns *dns;
	struct routes *routes;
	unsigned int nusers; /* links to those who can't do without us */
	int64_t drain_deadline_ms;
	struct lookup_counters counters;
};

extern const struct service_program lookup_program;

/* Everything but the service: once, before service_main().  -1: ENOMEM. */
int lookup_init(struct lookup *l) WARN_UNUSED;
void lookup_free(struct lookup *l);

/* See inquiry_create(). */
struct inquiry *lookup_inquiry(struct lookup *l, void (*resume)(void *arg), void *arg) WARN_UNUSED;
/* For one look at a decision: made anew each time it goes on, as a reload may have come between. */
struct policy lookup_policy(const struct lookup *l, struct inquiry *q);

/* For `smtpctl show stats`. */
void
lookup_counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg);

#endif
