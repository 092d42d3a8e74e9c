/* SPDX-License-Identifier: ISC */
/*
 * What reaches smtpd-lookup, and where it goes: its life, its questions.
 *
 * Invariant: whoever can't do without answers gets them until the last of
 * them is gone: a drain ends this program after session, queue and delivery.
 * Nothing is fatal here.
 */
#include <stdlib.h>

#include "lib/base/log.h"
#include "lookup/admin.h"
#include "lookup/check.h"
#include "lookup/expand.h"
#include "lookup/filter.h"
#include "lookup/lookup.h"
#include "lookup/recipient.h"
#include "lookup/senders.h"
#include "lookup/setup.h"

int
lookup_init(struct lookup *l)
{
	l->tables = tables_create();
	l->accounts = accounts_create(&l->service);
	l->checks = checks_create();
	l->routes = routes_create(l);
	l->clients = clients_create();
	l->arrivals = arrivals_create(l);
	if (l->tables == NULL || l->accounts == NULL || l->checks == NULL || l->routes == NULL ||
	    l->clients == NULL || l->arrivals == NULL)
		return -1;
	return 0;
}

void
lookup_free(struct lookup *l)
{
	arrivals_free(l->arrivals);
	clients_free(l->clients);
	routes_free(l->routes);
	checks_free(l->checks);
	accounts_free(l->accounts);
	tables_free(l->tables);
	dns_free(l->dns);
	free(l->anchors);
	free(l->resolv_conf);
	free(l->forward);
}

/* -- life -- */

/* Session, queue and delivery need answers until they are gone themselves. */
static bool
is_user(const struct channel *ch)
{
	return channel_peer(ch) != ROLE_CONTROL;
}

static void
on_link(void *ctx, struct channel *ch)
{
	struct lookup *l = ctx;

	l->nusers += is_user(ch);
}

static void
stop_if_drained(struct lookup *l)
{
	if (service_is_draining(l->service) &&
	    (l->nusers == 0 || service_now_ms(l->service) >= l->drain_deadline_ms))
		service_stop(l->service);
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct lookup *l = ctx;

	checks_unlink(l->checks, ch);
	routes_unlink(l->routes, ch);
	arrivals_unlink(l->arrivals, ch);
	l->nusers -= is_user(ch);
	stop_if_drained(l);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct lookup *l = ctx;

	l->drain_deadline_ms = deadline_ms;
	stop_if_drained(l);
}

static void
on_turn(void *ctx)
{
	struct lookup *l = ctx;

	setup_renew(l);
}

static void
on_tick(void *ctx)
{
	struct lookup *l = ctx;
	int64_t now_ms = service_now_ms(l->service);

	routes_tick(l->routes, now_ms);
	arrivals_tick(l->arrivals, now_ms);
	clients_tick(l->clients, now_ms);
	accounts_tick(l->accounts, now_ms);
	stop_if_drained(l);
}

static void
counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct lookup *l = ctx;
	const struct dns_counters *d = dns_counters(l->dns);
	const struct account_counters *a = accounts_counters(l->accounts);
	const struct client_counters *c = clients_counters(l->clients);
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
	    {"clients.open", c->open},
	    {"clients.known", c->known},
	    {"clients.waiting", arrivals_count(l->arrivals)},
	    {"clients.turned-away", c->turned_away},
	    {"clients.not-counted", c->not_counted},
	    {"filters.asked", l->counters.filters_asked},
	    {"filters.refused", l->counters.filters_refused},
	    {"senders.refused", l->counters.senders_refused},
	    {"rcpt.over-limit", c->rcpts_over_limit},
	    {"rcpt.checks", l->counters.checks},
	    {"rcpt.accepted", l->counters.accepted},
	    {"rcpt.refused", l->counters.refused},
	    {"rcpt.deferred", l->counters.deferred},
	    {"rcpt.waiting", checks_count(l->checks)},
	    {"expand.done", l->counters.expansions},
	    {"expand.failed", l->counters.expansions_failed},
	    {"accounts.asked", a->asked},
	    {"accounts.remembered", a->remembered},
	    {"accounts.cached", accounts_count(l->accounts)},
	    {"routes.waiting", routes_count(l->routes)},
	    {"dns.asked", d->asked},
	    {"dns.found", d->found},
	    {"dns.absent", d->absent},
	    {"dns.trouble", d->trouble},
	    {"dns.bogus", d->bogus},
	    {"dns.waiting", d->under_way},
	    {"tables", tables_count(l->tables)},
	};
	size_t i;

	for (i = 0; i < NITEMS(rows); i++)
		row(arg, rows[i].name, rows[i].value);
}

/* -- questions -- */

static void
on_client_enter(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	arrival_begin(l->arrivals, ch, &msg->client_enter);
}

static void
on_client_leave(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	arrival_leave(l->arrivals, ch, msg->client_leave.visit);
}

static void
on_filter_check(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_filter_check *m = &msg->filter_check;
	struct msg_filter_verdict answer = {.req = m->req};
	struct filter_question q = {.phase = m->phase,
	    .rdns = (enum ipc_rdns)m->rdns,
	    .name = m->name,
	    .helo = m->helo,
	    .auth = m->auth,
	    .sender = m->sender,
	    .rcpt = m->rcpt};
	struct lookup *l = ctx;
	struct filter_verdict v;
	struct addr client;

	(void)fd;
	if (host_parse(m->client, &client) == 0 && client.ss.ss_family != AF_UNIX)
		q.client = &client;
	filter_evaluate(&l->policy, m->filter, &q, &v);
	l->counters.filters_asked++;
	l->counters.filters_refused += v.code != 0;
	if (v.code == 0 && m->owned) {
		senders_judge(&l->policy, m->senders, &q, &v);
		l->counters.senders_refused += v.code != 0;
	}
	answer.code = v.code;
	answer.status = v.status;
	answer.text = v.text;
	answer.disconnect = v.disconnect;
	answer.junk = v.junk;
	answer.bypass = v.bypass;
	answer.value = v.value;
	answer.filter = v.filter;
	(void)channel_send(ch, MSG_filter_verdict, &answer);
}

static void
on_clients(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	admin_clients(ctx, ch, &msg->clients);
}

static void
on_clients_clear(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	admin_clients_clear(ctx, ch, &msg->clients_clear);
}

static void
on_rcpt_check(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	check_begin(ctx, ch, &msg->rcpt_check);
}

static void
on_route(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	route_begin(l->routes, ch, &msg->route);
}

static void
on_user_answer(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	accounts_answer(l->accounts, ch, msg->req, (enum ipc_outcome)msg->user_answer.outcome);
}

static void
send_expand_end(struct channel *ch, const struct msg_expand_end *m)
{
	(void)channel_send(ch, MSG_expand_end, m);
}

static void
log_expansion(const struct msg_expand *m, const struct expansion *e)
{
	struct logline l;

	if (e->problems == 0)
		return;
	logline_start(&l, LOG_LEVEL_WARN, "expand-problem");
	logline_str(&l, "address", m->address);
	logline_str(&l, "status", e->status);
	logline_str(&l, "problem", e->text);
	logline_u64(&l, "problems", e->problems);
	logline_u64(&l, "recipients", e->nitems - e->nfailed);
	logline_end(&l);
}

/* The items one by one and the end.  The channel may close within: then it is over. */
static void
send_expansion(struct channel *ch, uint32_t req, const struct expansion *e)
{
	struct msg_expand_end end = {
	    .req = req, .outcome = (uint8_t)e->outcome, .status = "", .text = ""};
	size_t i;

	for (i = 0; i < e->nitems; i++) {
		const struct expand_item *item = &e->items[i];
		struct msg_expand_item m = {.req = req,
		    .address = item->address,
		    .action = item->action,
		    .user = item->user,
		    .dest = item->dest};

		if (channel_send(ch, MSG_expand_item, &m) == -1)
			return;
	}
	if (e->outcome != IPC_OK) {
		end.status = e->status;
		end.text = e->text;
	}
	send_expand_end(ch, &end);
}

/* What an expansion may add to what waits to go out already, at its worst. */
#define EXPAND_PENDING_MAX (CHANNEL_MAX / 4)

static void
on_expand(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_expand *m = &msg->expand;
	struct msg_expand_end end = {.req = m->req, .outcome = IPC_RETRY, .status = "4.3.0"};
	struct lookup *l = ctx;
	const struct conf_action *action = conf_action_find(l->conf, m->action);
	struct address address;
	struct expansion e;

	(void)fd;
	l->counters.expansions++;
	if (recipient_parse(&l->policy, m->address, &address) == -1) {
		end = (struct msg_expand_end){.req = m->req,
		    .outcome = IPC_FAIL,
		    .status = "5.1.3",
		    .text = "not an address"};
	} else if (action == NULL && m->action[0] != '\0') {
		end.text = "the action is no longer configured";
	} else if (channel_pending_bytes(ch) > EXPAND_PENDING_MAX ||
		   expand_run(&l->policy, &address, action, &e) == -1) {
		end.text = "too much to do";
	} else {
		l->counters.expansions_failed += e.outcome != IPC_OK;
		log_expansion(m, &e);
		send_expansion(ch, m->req, &e);
		expansion_free(&e);
		return;
	}
	l->counters.expansions_failed++;
	send_expand_end(ch, &end);
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_client_enter] = on_client_enter,
    [MSG_client_leave] = on_client_leave,
    [MSG_filter_check] = on_filter_check,
    [MSG_rcpt_check] = on_rcpt_check,
    [MSG_expand] = on_expand,
    [MSG_route] = on_route,
    [MSG_user_answer] = on_user_answer,
    [MSG_clients] = on_clients,
    [MSG_clients_clear] = on_clients_clear,
};

const struct service_program lookup_program = {
    .role = ROLE_LOOKUP,
    .handlers = handlers,
    .configure = setup_configure,
    .on_file = setup_file,
    .prepare = setup_prepare,
    .on_link = on_link,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain,
    .counters = counters,
};
