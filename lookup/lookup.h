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

struct check_list;

/* All that the program has; made in main.c. */
struct lookup {
	struct service *service;
	const struct conf *conf; /* the service's; replaced on reload */
	char hostname[LOOKUP_HOSTNAME_MAX + 1];
	struct tables *tables;
	struct policy policy; /* conf, tables and hostname */
	struct accounts *accounts;
	struct clients *clients;
	struct arrivals *arrivals; /* clients that wait for their names */
	struct check_list *checks; /* RCPTs that wait for an account */
	struct dns *dns;
	char *anchors, *resolv_conf; /* as they were handed over; NULL: not */
	char *forward;		     /* "resolver forward", as dns was made with it */
	bool dns_stale;		     /* dns is to be made anew */
	struct routes *routes;
	unsigned int nusers; /* links to those who can't do without us */
	int64_t drain_deadline_ms;
	struct lookup_counters counters;
};

extern const struct service_program lookup_program;

/* Everything but the service: once, before service_main().  -1: ENOMEM. */
int lookup_init(struct lookup *l) WARN_UNUSED;
void lookup_free(struct lookup *l);

#endif
