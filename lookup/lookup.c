/* SPDX-License-Identifier: ISC */
/*
 * All that smtpd-lookup has: made, wired, counted, freed.  Nothing is fatal.
 */
#include "lookup/lookup.h"

#include "lookup/checks.h"
#include "lookup/expansions.h"
#include "lookup/explain.h"
#include "lookup/filterings.h"
#include "lookup/find.h"
#include "lookup/forwards.h"
#include "lookup/relay_asks.h"
#include "lookup/srs.h"
#include "lookup/userinfos.h"

static int64_t
now_ms(void *arg)
{
	const struct lookup *l = arg;

	return service_now_ms(l->service);
}

/* -1: ENOMEM. */
static int
make_sources(struct lookup *l)
{
	l->env.service = &l->service;
	l->tables = tables_create(&l->env);
	l->accounts = accounts_create(&l->service);
	l->forwards = forwards_create(&l->service);
	l->srs = srs_create(&l->service);
	l->inquiries = inquiry_queue_create();
	if (l->tables == NULL || l->accounts == NULL || l->forwards == NULL || l->srs == NULL ||
	    l->inquiries == NULL)
		return -1;
	l->sources = (struct inquiry_sources){.queue = l->inquiries,
	    .tables = l->tables,
	    .accounts = accounts_memo(l->accounts),
	    .forwards = forwards_memo(l->forwards),
	    .srs = srs_memo(l->srs),
	    .now_ms = now_ms,
	    .now_arg = l};
	return 0;
}

int
lookup_init(struct lookup *l)
{
	if (make_sources(l) == -1)
		return -1;
	l->clients = clients_create();
	l->arrivals = arrivals_create(l);
	l->filterings = filterings_create(l);
	l->checks = checks_create(l);
	l->expansions = expansions_create(l);
	l->relay_asks = relay_asks_create(l);
	l->userinfos = userinfos_create(l);
	l->explains = explains_create(l);
	l->finds = finds_create(l);
	l->routes = routes_create(l);
	if (l->clients == NULL || l->arrivals == NULL || l->filterings == NULL ||
	    l->checks == NULL || l->expansions == NULL || l->relay_asks == NULL ||
	    l->userinfos == NULL || l->explains == NULL || l->finds == NULL || l->routes == NULL)
		return -1;
	return 0;
}

/* Who asks goes before whom it asks. */
void
lookup_free(struct lookup *l)
{
	finds_free(l->finds);
	explains_free(l->explains);
	userinfos_free(l->userinfos);
	relay_asks_free(l->relay_asks);
	expansions_free(l->expansions);
	checks_free(l->checks);
	filterings_free(l->filterings);
	arrivals_free(l->arrivals);
	clients_free(l->clients);
	routes_free(l->routes);
	inquiry_queue_free(l->inquiries);
	srs_free(l->srs);
	forwards_free(l->forwards);
	accounts_free(l->accounts);
	tables_free(l->tables);
	dns_free(l->dns);
	resolver_free(&l->resolver);
}

struct inquiry *
lookup_inquiry(struct lookup *l, void (*resume)(void *arg), void *arg)
{
	return inquiry_create(&l->sources, resume, arg);
}

struct policy
lookup_policy(const struct lookup *l, struct inquiry *q)
{
	return (struct policy){l->conf, q, l->hostname};
}

/* -- counters -- */

struct counter {
	const char *name;
	uint64_t value;
};

static void
tell(const struct counter *list, size_t n, void (*row)(void *arg, const char *name, uint64_t value),
    void *arg)
{
	size_t i;

	for (i = 0; i < n; i++)
		row(arg, list[i].name, list[i].value);
}

static void
tell_memo(const char *const names[3], const struct memo *m,
    void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	struct memo_counters c;

	memo_count(m, &c);
	row(arg, names[0], c.asked);
	row(arg, names[1], c.remembered);
	row(arg, names[2], c.entries + c.under_way);
}

static void
tell_questions(
    const struct lookup *l, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct client_counters *c = clients_counters(l->clients);
	const struct counter rows[] = {
	    {"clients.open", c->open},
	    {"clients.known", c->known},
	    {"clients.waiting", arrivals_count(l->arrivals)},
	    {"clients.turned-away", c->turned_away},
	    {"clients.not-counted", c->not_counted},
	    {"filters.asked", l->counters.filters_asked},
	    {"filters.refused", l->counters.filters_refused},
	    {"filters.waiting", filterings_count(l->filterings)},
	    {"senders.refused", l->counters.senders_refused},
	    {"rcpt.over-limit", c->rcpts_over_limit},
	    {"rcpt.checks", l->counters.checks},
	    {"rcpt.accepted", l->counters.accepted},
	    {"rcpt.refused", l->counters.refused},
	    {"rcpt.deferred", l->counters.deferred},
	    {"rcpt.waiting", checks_count(l->checks)},
	    {"expand.done", l->counters.expansions},
	    {"expand.failed", l->counters.expansions_failed},
	    {"expand.waiting", expansions_count(l->expansions)},
	};

	tell(rows, NITEMS(rows), row, arg);
}

static void
tell_sources(
    const struct lookup *l, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	static const char *const accounts[] = {
	    "accounts.asked", "accounts.remembered", "accounts.cached"};
	static const char *const forwards[] = {
	    "forwards.asked", "forwards.remembered", "forwards.cached"};
	const struct dns_counters *d = dns_counters(l->dns);
	const struct counter rows[] = {
	    {"relay.waiting", relay_asks_count(l->relay_asks)},
	    {"routes.waiting", routes_count(l->routes)},
	    {"dns.asked", d->asked},
	    {"dns.found", d->found},
	    {"dns.absent", d->absent},
	    {"dns.trouble", d->trouble},
	    {"dns.bogus", d->bogus},
	    {"dns.waiting", d->under_way},
	    {"tables", tables_count(l->tables)},
	};

	tell_memo(accounts, accounts_memo(l->accounts), row, arg);
	tell_memo(forwards, forwards_memo(l->forwards), row, arg);
	tell(rows, NITEMS(rows), row, arg);
}

void
lookup_counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct lookup *l = ctx;

	tell_questions(l, row, arg);
	tell_sources(l, row, arg);
}
