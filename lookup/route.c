/* SPDX-License-Identifier: ISC */
/*
 * The way to the servers of a domain: MX, then all there is to know of each
 * host, asked at once and given out (route_give.c) when all of it is there.
 *
 * Invariants: each route owns its DNS queries, and ends once: by its answer,
 * by its deadline, or forgotten by who asked; nothing is given out before.
 * Nothing is fatal.
 */
#include "lookup/route.h"

#include <sys/random.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lookup/domains.h"
#include "lookup/lookup.h"
#include "lookup/route_private.h"

#define ROUTES_MAX  1024
#define DEADLINE_MS 60000

struct routes *
routes_create(struct lookup *l)
{
	struct routes *rs;

	if ((rs = calloc(1, sizeof(*rs))) == NULL)
		return NULL;
	rs->lookup = l;
	TAILQ_INIT(&rs->list);
	return rs;
}

static void
stop_asking(struct route *r)
{
	size_t i;

	dns_cancel(r->mx_query);
	r->mx_query = NULL;
	for (i = 0; r->hops != NULL && i < r->list.n; i++)
		hop_stop(&r->hops[i]);
	free(r->hops);
	r->hops = NULL;
	r->list.n = 0;
}

void
route_free(struct route *r)
{
	stop_asking(r);
	if (r->start != NULL)
		event_free(r->start);
	TAILQ_REMOVE(&r->routes->list, r, entry);
	r->routes->n--;
	free(r);
}

/* -- asking -- */

/* Ends the route when all of its hosts are settled. */
static void
route_advance(struct route *r)
{
	size_t i;

	for (i = 0; i < r->list.n; i++)
		if (!hop_is_settled(&r->hops[i]))
			return;
	route_give_hosts(r);
}

static void
on_hop(void *arg)
{
	route_advance(arg);
}

static void
ask_hosts(struct route *r)
{
	size_t i;

	if ((r->hops = calloc(r->list.n, sizeof(*r->hops))) == NULL) {
		route_finish(r, END_BUSY);
		return;
	}
	for (i = 0; i < r->list.n; i++) {
		struct hop *h = &r->hops[i];

		h->plan = &r->plan;
		h->name = r->list.hosts[i].name;
		h->done = on_hop;
		h->arg = r;
		hop_start(h);
	}
	route_advance(r);
}

static void
on_mx(void *arg, enum dns_result result, const struct dns_records *records)
{
	static const enum end none[] = {
	    [MX_NULL] = END_NULL_MX,
	    [MX_LOOP] = END_LOOP,
	    [MX_NO_NAME] = END_NO_NAME,
	    [MX_UNUSABLE] = END_UNUSABLE,
	    [MX_TROUBLE] = END_TROUBLE,
	    [MX_BOGUS] = END_BOGUS,
	};
	struct route *r = arg;
	struct mx_question q = {.domain = r->name,
	    .self = r->routes->lookup->hostname,
	    .backup = r->backup,
	    .seed = r->seed};
	enum mx_result chosen = mx_choose(&q, result, records, &r->list);

	r->mx_query = NULL;
	r->secure = records != NULL && records->secure;
	if (chosen == MX_HOSTS)
		ask_hosts(r);
	else
		route_finish(r, none[chosen]);
}

/* A name to be taken as it is: a host of the configuration, or one of our own. */
static void
route_to_host(struct route *r)
{
	struct mx_host *h = &r->list.hosts[0];

	(void)memcpy(h->name, r->name, sizeof(h->name));
	h->preference = 0;
	r->list.n = 1;
	ask_hosts(r);
}

static void
route_to_address(struct route *r, int family, const uint8_t *address)
{
	struct mx_host host = {.preference = 0};

	(void)memcpy(host.name, r->name, sizeof(host.name));
	r->loops = r->mx && route_is_own_address(r, family, address);
	if (!r->loops && hop_uses(r->plan.family, family) && hop_is_address(family, address))
		route_give_address(r, &host, family, address);
	route_end_with_hosts(r);
}

static void
on_start(evutil_socket_t sock, short what, void *arg)
{
	struct route *r = arg;
	const struct dns_question q = {r->name, DNS_MX, DNS_FOR_ROUTES};
	struct address_literal literal;
	uint8_t address[16];

	(void)sock;
	(void)what;
	if (address_literal_parse(r->name, &literal))
		route_to_address(
		    r, literal.family == ADDRESS_IPV4 ? AF_INET : AF_INET6, literal.bytes);
	else if (!r->mx && inet_pton(AF_INET, r->name, address) == 1)
		route_to_address(r, AF_INET, address);
	else if (!r->mx && inet_pton(AF_INET6, r->name, address) == 1)
		route_to_address(r, AF_INET6, address);
	else if (!address_domain_valid(r->name, false))
		route_finish(r, END_BAD_NAME);
	else if (!r->mx || hop_is_local(r->name))
		route_to_host(r);
	else if ((r->mx_query = dns_ask(r->plan.dns, &q, on_mx, r)) == NULL)
		route_finish(r, END_BUSY);
}

int
route_ask(
    struct routes *rs, const struct route_question *q, const struct route_events *events, void *arg)
{
	struct lookup *l = rs->lookup;
	struct route *r;

	if (rs->n == ROUTES_MAX) {
		errno = EBUSY;
		return -1;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return -1;
	*r = (struct route){.routes = rs,
	    .events = events,
	    .arg = arg,
	    .req = q->req,
	    .mx = q->mx,
	    .deadline_ms = service_now_ms(l->service) + DEADLINE_MS};
	TAILQ_INSERT_TAIL(&rs->list, r, entry);
	rs->n++;
	domain_canonical(q->name, r->name);
	domain_canonical(q->backup, r->backup);
	/* What is too long a name is none. */
	if (strlen(q->name) > ADDRESS_DOMAIN_MAX)
		r->name[0] = '\0';
	if (getrandom(&r->seed, sizeof(r->seed), 0) != (ssize_t)sizeof(r->seed))
		r->seed = q->req;
	r->plan = (struct hop_plan){.dns = l->dns,
	    .family = (enum conf_family)l->conf->values.mta_family,
	    .either = (r->seed >> 16 & 1U) != 0,
	    .tlsa = q->tlsa,
	    .port = q->port};
	if ((r->start = evtimer_new(service_base(l->service), on_start, r)) == NULL) {
		route_free(r);
		errno = ENOMEM;
		return -1;
	}
	event_active(r->start, EV_TIMEOUT, 0);
	return 0;
}

/* -- ends from outside -- */

void
routes_forget(struct routes *rs, const void *arg)
{
	struct route *r, *next;

	for (r = TAILQ_FIRST(&rs->list); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->arg == arg)
			route_free(r);
	}
}

/* What is there is good, though there may have been more. */
static void
end_early(struct route *r)
{
	size_t i;

	if (r->hops == NULL) {
		route_finish(r, END_TROUBLE);
		return;
	}
	for (i = 0; i < r->list.n; i++)
		hop_give_up(&r->hops[i]);
	route_advance(r);
}

void
routes_tick(struct routes *rs, int64_t now_ms)
{
	struct route *r;

	/* All have the same time, so the oldest is first. */
	while ((r = TAILQ_FIRST(&rs->list)) != NULL && r->deadline_ms <= now_ms)
		end_early(r);
}

void
routes_ask_again(struct routes *rs, struct dns *dns)
{
	struct route *r;

	TAILQ_FOREACH (r, &rs->list, entry) {
		stop_asking(r);
		r->plan.dns = dns;
		event_active(r->start, EV_TIMEOUT, 0);
	}
}

void
routes_free(struct routes *rs)
{
	struct route *r;

	if (rs == NULL)
		return;
	while ((r = TAILQ_FIRST(&rs->list)) != NULL)
		route_free(r);
	free(rs);
}

size_t
routes_count(const struct routes *rs)
{
	return rs->n;
}
