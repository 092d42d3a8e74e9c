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
#include "lookup/filter_log.h"
#include "lookup/lookup.h"
#include "lookup/rdns.h"

#define ARRIVALS_MAX 16384 /* under way at once */
#define DEADLINE_MS  20000 /* a greeting is waited for by five minutes (RFC 5321 4.5.3.2.1) */

enum stage {
	ARRIVAL_TABLES, /* is it one of ours, may it come in */
	ARRIVAL_NAME,	/* it is counted; what is it called */
	ARRIVAL_FILTERS
};

struct arrival { /* owned by its struct arrivals */
	TAILQ_ENTRY(arrival) entry;
	struct arrivals *arrivals;
	struct channel *ch;
	struct visit_id visit;
	uint32_t req;
	int64_t deadline_ms;
	bool local, again;
	struct addr client;
	char proxy[CONF_NAME_MAX + 1], xclient[CONF_NAME_MAX + 1], filter[CONF_NAME_MAX + 1];
	enum stage stage;
	bool may_xclient;
	struct inquiry *inquiry;
	struct rdns *query; /* NULL: not asked, or answered */
	enum ipc_rdns rdns;
	char name[IPC_NAME_MAX + 1];
	struct filter_log log;
};

TAILQ_HEAD(arrival_list, arrival);

struct arrivals {
	struct lookup *lookup;
	struct arrival_list list; /* the oldest first */
	struct map *by_visit;
};

static void arrival_run(void *arg);

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
query_cancel(struct arrival *a)
{
	rdns_cancel(a->query);
	a->query = NULL;
}

static void
arrival_free(struct arrival *a)
{
	struct arrivals *as = a->arrivals;

	query_cancel(a);
	inquiry_free(a->inquiry);
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

/* The arrival is over; the channel may close within. */
static void
send_verdict(struct arrival *a, struct msg_client_verdict *m)
{
	struct channel *ch = a->ch;
	char name[sizeof(a->name)];

	str_cut(name, sizeof(name), a->name);
	m->req = a->req;
	m->rdns = (uint8_t)a->rdns;
	m->name = name;
	m->xclient = a->may_xclient;
	arrival_free(a);
	(void)channel_send(ch, MSG_client_verdict, m);
}

static void
send_refusal(struct arrival *a, uint16_t code, const char *status, const char *text)
{
	struct msg_client_verdict m = {.code = code, .status = status, .text = text};

	send_verdict(a, &m);
}

static void
send_trouble(struct arrival *a)
{
	send_refusal(a, 421, "4.4.3", "can't be checked now, try again later");
}

/* -- the last step: what the filters say -- */

/* It was let in, and is sent away again when they refuse. */
static void
ask_filters(struct arrival *a)
{
	struct lookup *l = a->arrivals->lookup;
	const struct policy policy = lookup_policy(l, a->inquiry);
	struct filter_question q = {.phase = CONF_PHASE_CONNECT,
	    .client = a->client.ss.ss_family == AF_UNIX ? NULL : &a->client,
	    .rdns = a->rdns,
	    .name = a->name,
	    .helo = "",
	    .auth = "",
	    .sender = "",
	    .rcpt = ""};
	const struct filter_observer observer = filter_log_observer(&a->log, &q);
	struct msg_client_verdict m;
	struct filter_verdict v;

	if (!filter_evaluate(&policy, a->filter, &q, &observer, &v))
		return;
	m = (struct msg_client_verdict){
	    .code = v.code, .status = v.status, .text = v.text, .junk = v.junk, .bypass = v.bypass};
	if (v.code != 0) {
		l->counters.filters_refused++;
		clients_leave(l->clients, a->visit, service_now_ms(l->service));
	}
	send_verdict(a, &m);
}

/* -- the name -- */

static void
name_settled(struct arrival *a, enum ipc_rdns rdns, const char *name)
{
	a->rdns = rdns;
	if (str_copy(a->name, sizeof(a->name), name) == -1)
		a->rdns = IPC_RDNS_TROUBLE;
	a->stage = ARRIVAL_FILTERS;
	ask_filters(a);
}

static void
on_name(void *arg, enum ipc_rdns rdns, const char *name)
{
	struct arrival *a = arg;

	a->query = NULL;
	name_settled(a, rdns, name);
}

static void
ask_name(struct arrival *a)
{
	struct arrivals *as = a->arrivals;
	struct lookup *l = as->lookup;

	a->stage = ARRIVAL_NAME;
	if (!l->rules_need_name && !filter_needs_name(l->conf, a->filter)) {
		name_settled(a, IPC_RDNS_UNASKED, "");
	} else if (a->client.ss.ss_family == AF_UNIX) {
		name_settled(a, IPC_RDNS_CONFIRMED, "localhost");
	} else if ((a->query = rdns_ask(l->dns, &a->client, on_name, a)) == NULL) {
		name_settled(a, IPC_RDNS_TROUBLE, "");
	}
}

/* -- the first step: what tables say of its address -- */

/* "" is no table; who has no address is looked for as "unix". */
static enum table_answer
is_listed(struct arrival *a, const char *table)
{
	if (table[0] == '\0')
		return TABLE_NO;
	return inquiry_has_network(a->inquiry, table, &a->client);
}

/* A table of exemptions that is not there exempts nobody. */
static enum table_answer
set_exemptions(struct arrival *a, struct client_entry *e)
{
	const char *table = a->arrivals->lookup->conf->values.smtp_exempt;
	enum table_answer listed = table == NULL ? TABLE_NO : is_listed(a, table);

	e->any_limit = listed == TABLE_YES;
	e->any_rate = e->any_limit || (table == NULL && a->local);
	return listed;
}

/* Whether it speaks for others is asked before anything is counted. */
static void
enter(struct arrival *a, const struct client_entry *e)
{
	struct msg_client_verdict proxied = {.status = "", .text = "", .proxied = true};
	struct lookup *l = a->arrivals->lookup;
	enum table_answer proxy = is_listed(a, a->proxy), xclient = is_listed(a, a->xclient);
	struct client_refusal refusal;

	if (proxy == TABLE_PENDING || xclient == TABLE_PENDING)
		return;
	if (proxy == TABLE_YES) {
		send_verdict(a, &proxied);
	} else if (proxy == TABLE_TROUBLE || xclient == TABLE_TROUBLE) {
		send_trouble(a);
	} else if (!clients_enter(l->clients, a->visit, e, service_now_ms(l->service), &refusal)) {
		send_refusal(a, refusal.code, refusal.status, refusal.text);
	} else {
		a->may_xclient = xclient == TABLE_YES;
		ask_name(a);
	}
}

static void
ask_tables(struct arrival *a)
{
	struct client_entry e = {.addr = &a->client};
	struct lookup *l = a->arrivals->lookup;
	bool pending = set_exemptions(a, &e) == TABLE_PENDING;

	if (!a->again && pending) {
		/* What is independent of it is asked meanwhile. */
		(void)is_listed(a, a->proxy);
		(void)is_listed(a, a->xclient);
	} else if (!a->again) {
		enter(a, &e);
	} else if (!pending) {
		clients_enter_again(l->clients, a->visit, &e, service_now_ms(l->service));
		arrival_free(a);
	}
}

/* -- the question -- */

/* Goes on from where it waits. */
static void
arrival_run(void *arg)
{
	struct arrival *a = arg;

	if (a->stage == ARRIVAL_TABLES)
		ask_tables(a);
	else if (a->stage == ARRIVAL_FILTERS)
		ask_filters(a);
}

/* NULL: too many are under way. */
static struct arrival *
arrival_add(struct arrivals *as, struct channel *ch, const struct msg_client_enter *m)
{
	struct lookup *l = as->lookup;
	struct arrival *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	*a = (struct arrival){.arrivals = as,
	    .ch = ch,
	    .visit = {channel_instance(ch), m->visit},
	    .req = m->req,
	    .local = m->local,
	    .again = m->again,
	    .inquiry = lookup_inquiry(l, arrival_run, a),
	    .deadline_ms = service_now_ms(l->service) + DEADLINE_MS};
	if (a->inquiry == NULL || str_copy(a->proxy, sizeof(a->proxy), m->proxy) == -1 ||
	    str_copy(a->xclient, sizeof(a->xclient), m->xclient) == -1 ||
	    str_copy(a->filter, sizeof(a->filter), m->filter) == -1 ||
	    map_set_u64(as->by_visit, visit_key(a->visit), a) == -1) {
		inquiry_free(a->inquiry);
		free(a);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&as->list, a, entry);
	return a;
}

void
arrival_begin(struct arrivals *as, struct channel *ch, const struct msg_client_enter *m)
{
	struct msg_client_verdict full = {.req = m->req,
	    .code = 421,
	    .status = "4.3.2",
	    .text = "too much to do, try again later",
	    .name = ""};
	struct visit_id visit = {channel_instance(ch), m->visit};
	struct addr client;
	struct arrival *a;

	if (host_parse(m->client, &client) == -1) {
		channel_reject(ch, "a client without an address");
	} else if (clients_serial(as->lookup->clients, visit) != 0 ||
		   map_get_u64(as->by_visit, visit_key(visit)) != NULL) {
		channel_reject(ch, "a visit that is under way already");
	} else if ((a = arrival_add(as, ch, m)) != NULL) {
		a->client = client;
		arrival_run(a);
	} else if (!m->again) {
		(void)channel_send(ch, MSG_client_verdict, &full);
	}
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

/* What a client waits for will not come. */
static void
give_up(struct arrival *a)
{
	inquiry_give_up(a->inquiry);
	if (a->stage != ARRIVAL_NAME) {
		arrival_run(a);
		return;
	}
	query_cancel(a);
	name_settled(a, IPC_RDNS_TROUBLE, "");
}

void
arrivals_tick(struct arrivals *as, int64_t now_ms)
{
	struct arrival *a;

	while ((a = TAILQ_FIRST(&as->list)) != NULL && a->deadline_ms <= now_ms)
		give_up(a);
}

void
arrivals_fail(struct arrivals *as)
{
	struct arrival *a;

again: /* one that ends may take others with it */
	TAILQ_FOREACH (a, &as->list, entry)
		if (a->query != NULL) {
			query_cancel(a);
			name_settled(a, IPC_RDNS_TROUBLE, "");
			goto again;
		}
}

size_t
arrivals_count(const struct arrivals *as)
{
	return map_count(as->by_visit);
}
