/* SPDX-License-Identifier: ISC */
/*
 * Lets clients in: the balancers, the limits, the name that the DNS has for
 * them, the filters of phase connect; in this order.
 *
 * Invariants: every question gets one verdict, unless the client leaves
 * before; a client that was let in is counted until it leaves or its session
 * process is gone, any other is not.  Whatever can't be found out is a 421.
 * Nothing is fatal.
 */
#include "lookup/arrival.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/filter.h"
#include "lookup/lookup.h"
#include "lookup/rdns.h"

#define ARRIVALS_MAX 2048  /* that wait for the DNS; half of its questions are left for others */
#define DEADLINE_MS  20000 /* a greeting is waited for by five minutes (RFC 5321 4.5.3.2.1) */

struct arrival { /* waits for its name; owned by its struct arrivals */
	TAILQ_ENTRY(arrival) entry;
	struct arrivals *arrivals;
	struct channel *ch;
	struct visit_id visit;
	uint32_t req;
	bool xclient;
	int64_t deadline_ms;
	struct addr client;
	char filter[CONF_NAME_MAX + 1];
	struct rdns *query; /* NULL: answered */
};

TAILQ_HEAD(arrival_list, arrival);

struct arrivals {
	struct lookup *lookup;
	struct arrival_list list; /* the oldest first */
	struct map *by_visit;
};

struct arrivals *
arrivals_create(struct lookup *l)
{
	struct arrivals *as;

	if ((as = calloc(1, sizeof(*as))) == NULL)
		return NULL;
	as->lookup = l;
	TAILQ_INIT(&as->list);
	if ((as->by_visit = map_create(ARRIVALS_MAX)) == NULL) {
		free(as);
		return NULL;
	}
	return as;
}

static uint64_t
visit_key(struct visit_id id)
{
	return (uint64_t)id.link << 32 | id.number;
}

static void
arrival_free(struct arrival *a)
{
	struct arrivals *as = a->arrivals;

	rdns_cancel(a->query);
	(void)map_remove_u64(as->by_visit, visit_key(a->visit));
	TAILQ_REMOVE(&as->list, a, entry);
	free(a);
}

void
arrivals_free(struct arrivals *as)
{
	struct arrival *a;

	if (as == NULL)
		return;
	while ((a = TAILQ_FIRST(&as->list)) != NULL)
		arrival_free(a);
	map_free(as->by_visit, NULL);
	free(as);
}

/* -- verdicts -- */

/* Who asked, and what is known by now. */
struct guest {
	struct channel *ch;
	struct visit_id visit;
	uint32_t req;
	bool xclient;
	const struct addr *client;
	const char *filter;
};

static void
send_refusal(const struct guest *g, uint16_t code, const char *status, const char *text)
{
	struct msg_client_verdict m = {
	    .req = g->req, .code = code, .status = status, .text = text, .name = ""};

	(void)channel_send(g->ch, MSG_client_verdict, &m);
}

static void
send_trouble(const struct guest *g)
{
	send_refusal(g, 421, "4.3.0", "can't be checked now, try again later");
}

/* The last step: what the filters say.  It was let in, and is sent away again when they refuse. */
static void
ask_filters(struct lookup *l, const struct guest *g, enum ipc_rdns rdns, const char *name)
{
	struct msg_client_verdict m = {
	    .req = g->req, .xclient = g->xclient, .rdns = (uint8_t)rdns, .name = name};
	struct filter_question q = {.phase = CONF_PHASE_CONNECT,
	    .client = g->client->ss.ss_family == AF_UNIX ? NULL : g->client,
	    .rdns = rdns,
	    .name = name,
	    .helo = "",
	    .auth = "",
	    .sender = "",
	    .rcpt = ""};
	struct filter_verdict v;

	filter_evaluate(&l->policy, g->filter, &q, &v);
	m.code = v.code;
	m.status = v.status;
	m.text = v.text;
	m.junk = v.junk;
	m.bypass = v.bypass;
	if (v.code != 0) {
		l->counters.filters_refused++;
		clients_leave(l->clients, g->visit, service_now_ms(l->service));
	}
	(void)channel_send(g->ch, MSG_client_verdict, &m);
}

/* -- the name -- */

static void
arrival_end(struct arrival *a, enum ipc_rdns rdns, const char *name)
{
	struct lookup *l = a->arrivals->lookup;
	struct addr client = a->client;
	char filter[sizeof(a->filter)];
	struct guest g = {a->ch, a->visit, a->req, a->xclient, &client, filter};

	memcpy(filter, a->filter, sizeof(filter));
	arrival_free(a);
	ask_filters(l, &g, rdns, name);
}

static void
on_name(void *arg, enum ipc_rdns rdns, const char *name)
{
	struct arrival *a = arg;

	a->query = NULL;
	arrival_end(a, rdns, name);
}

static struct arrival *
arrival_add(struct arrivals *as, const struct guest *g)
{
	struct arrival *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	*a = (struct arrival){.arrivals = as,
	    .ch = g->ch,
	    .visit = g->visit,
	    .req = g->req,
	    .xclient = g->xclient,
	    .client = *g->client,
	    .deadline_ms = service_now_ms(as->lookup->service) + DEADLINE_MS};
	if (str_copy(a->filter, sizeof(a->filter), g->filter) == -1 ||
	    map_set_u64(as->by_visit, visit_key(g->visit), a) == -1) {
		free(a);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&as->list, a, entry);
	return a;
}

static void
ask_name(struct arrivals *as, const struct guest *g)
{
	struct lookup *l = as->lookup;
	struct arrival *a = arrival_add(as, g);

	if (a == NULL) {
		ask_filters(l, g, IPC_RDNS_TROUBLE, "");
		return;
	}
	a->query = rdns_ask(l->dns, g->client, on_name, a);
	if (a->query == NULL)
		arrival_end(a, IPC_RDNS_TROUBLE, "");
}

/* -- the question -- */

/* Is the client in the table?  "" is no table; who has no address is looked for as "unix". */
static enum table_answer
is_listed(const struct lookup *l, const char *table, const struct addr *client)
{
	const struct table *t;

	if (table == NULL || table[0] == '\0')
		return TABLE_NO;
	t = tables_find(l->tables, table);
	if (client->ss.ss_family == AF_UNIX)
		return table_has_word(t, "unix");
	return table_has_network(t, client);
}

/* A table of exemptions that is not there exempts nobody. */
static void
set_exemptions(const struct lookup *l, bool local, struct client_entry *e)
{
	const char *table = l->conf->values.smtp_exempt;

	e->any_limit = is_listed(l, table, e->addr) == TABLE_YES;
	e->any_rate = e->any_limit || (table == NULL && local);
}

/* It may come in, if the filters agree. */
static void
welcome(struct arrivals *as, const struct guest *g)
{
	struct lookup *l = as->lookup;

	if (!filter_needs_name(l->conf, g->filter))
		ask_filters(l, g, IPC_RDNS_UNASKED, "");
	else if (g->client->ss.ss_family == AF_UNIX)
		ask_filters(l, g, IPC_RDNS_CONFIRMED, "localhost");
	else
		ask_name(as, g);
}

/* Whether it speaks for others is asked before anything is counted. */
static bool
is_proxy(struct lookup *l, const struct guest *g, const char *table)
{
	struct msg_client_verdict m = {
	    .req = g->req, .status = "", .text = "", .proxied = true, .name = ""};

	switch (is_listed(l, table, g->client)) {
	case TABLE_YES:
		(void)channel_send(g->ch, MSG_client_verdict, &m);
		return true;
	case TABLE_TROUBLE:
		send_trouble(g);
		return true;
	case TABLE_NO:
		break;
	}
	return false;
}

static void
judge(struct arrivals *as, struct guest *g, const struct client_entry *e, const char *xclient)
{
	struct lookup *l = as->lookup;
	enum table_answer listed = is_listed(l, xclient, g->client);
	struct client_refusal refusal;

	if (listed == TABLE_TROUBLE) {
		send_trouble(g);
	} else if (!clients_enter(l->clients, g->visit, e, service_now_ms(l->service), &refusal)) {
		send_refusal(g, refusal.code, refusal.status, refusal.text);
	} else {
		g->xclient = listed == TABLE_YES;
		welcome(as, g);
	}
}

void
arrival_begin(struct arrivals *as, struct channel *ch, const struct msg_client_enter *m)
{
	struct lookup *l = as->lookup;
	struct addr client;
	struct client_entry e = {.addr = &client};
	struct guest g = {.ch = ch,
	    .visit = {channel_instance(ch), m->visit},
	    .req = m->req,
	    .client = &client,
	    .filter = m->filter};

	if (host_parse(m->client, &client) == -1) {
		channel_reject(ch, "a client without an address");
		return;
	}
	if (clients_serial(l->clients, g.visit) != 0) {
		channel_reject(ch, "a visit that is under way already");
		return;
	}
	set_exemptions(l, m->local, &e);
	if (m->again)
		clients_enter_again(l->clients, g.visit, &e, service_now_ms(l->service));
	else if (!is_proxy(l, &g, m->proxy))
		judge(as, &g, &e, m->xclient);
}

/* -- ends from outside -- */

void
arrival_leave(struct arrivals *as, const struct channel *ch, uint32_t visit)
{
	struct visit_id id = {channel_instance(ch), visit};
	struct arrival *a = map_get_u64(as->by_visit, visit_key(id));

	if (a != NULL)
		arrival_free(a);
	clients_leave(as->lookup->clients, id, service_now_ms(as->lookup->service));
}

void
arrivals_unlink(struct arrivals *as, const struct channel *ch)
{
	struct lookup *l = as->lookup;
	struct arrival *a, *next;

	for (a = TAILQ_FIRST(&as->list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->ch == ch)
			arrival_free(a);
	}
	if (channel_peer(ch) == ROLE_SESSION)
		clients_link_lost(l->clients, channel_instance(ch), service_now_ms(l->service));
}

void
arrivals_tick(struct arrivals *as, int64_t now_ms)
{
	struct arrival *a;

	while ((a = TAILQ_FIRST(&as->list)) != NULL && a->deadline_ms <= now_ms)
		arrival_end(a, IPC_RDNS_TROUBLE, "");
}

void
arrivals_fail(struct arrivals *as)
{
	struct arrival *a;

	while ((a = TAILQ_FIRST(&as->list)) != NULL)
		arrival_end(a, IPC_RDNS_TROUBLE, "");
}

size_t
arrivals_count(const struct arrivals *as)
{
	return map_count(as->by_visit);
}
