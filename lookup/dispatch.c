/* SPDX-License-Identifier: ISC */
/*
 * What reaches smtpd-lookup, and where it goes: its life, its questions.
 *
 * Invariant: whoever can't do without answers gets them until the last of
 * them is gone: a drain ends this program after session, queue and delivery.
 * Nothing is fatal here.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lookup/admin.h"
#include "lookup/checks.h"
#include "lookup/expansions.h"
#include "lookup/explain.h"
#include "lookup/filterings.h"
#include "lookup/find.h"
#include "lookup/forwards.h"
#include "lookup/lookup.h"
#include "lookup/relay_asks.h"
#include "lookup/setup.h"
#include "lookup/srs.h"
#include "lookup/table_remote.h"
#include "lookup/userinfos.h"

/* -- life -- */

/* Session, queue and delivery need answers until they are gone themselves. */
static bool
is_user(const struct channel *ch)
{
	enum role peer = channel_peer(ch);

	return peer == ROLE_SESSION || peer == ROLE_QUEUE || peer == ROLE_DELIVERY;
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
	filterings_unlink(l->filterings, ch);
	expansions_unlink(l->expansions, ch);
	relay_asks_unlink(l->relay_asks, ch);
	explains_unlink(l->explains, ch);
	finds_unlink(l->finds, ch);
	routes_unlink(l->routes, ch);
	arrivals_unlink(l->arrivals, ch);
	l->nusers -= is_user(ch);
	stop_if_drained(l);
}

static void
on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct lookup *l = ctx;

	if (!high)
		expansions_go_on(l->expansions, ch);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct lookup *l = ctx;

	l->drain_deadline_ms = deadline_ms;
	stop_if_drained(l);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Decisions that can go on, and what they leave for the next turn, which comes at once then. */
static void
on_turn(void *ctx)
{
	static const struct timeval now = {0, 0};
	struct lookup *l = ctx;

	setup_renew(l);
	if (inquiry_queue_run(l->inquiries))
		(void)event_base_once(
		    service_base(l->service), -1, EV_TIMEOUT, on_wake, NULL, &now);
}

static void
on_tick(void *ctx)
{
	struct lookup *l = ctx;
	int64_t now_ms = service_now_ms(l->service);

	tables_tick(l->tables, now_ms);
	accounts_tick(l->accounts, now_ms);
	forwards_tick(l->forwards, now_ms);
	srs_tick(l->srs, now_ms);
	checks_tick(l->checks, now_ms);
	filterings_tick(l->filterings, now_ms);
	expansions_tick(l->expansions, now_ms);
	relay_asks_tick(l->relay_asks, now_ms);
	userinfos_tick(l->userinfos, now_ms);
	explains_tick(l->explains, now_ms);
	finds_tick(l->finds, now_ms);
	routes_tick(l->routes, now_ms);
	dns_tick(l->dns, now_ms);
	arrivals_tick(l->arrivals, now_ms);
	clients_tick(l->clients, now_ms);
	stop_if_drained(l);
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
	struct lookup *l = ctx;

	(void)fd;
	filtering_begin(l->filterings, ch, &msg->filter_check);
}

static void
on_rcpt_check(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	check_begin(l->checks, ch, &msg->rcpt_check);
}

static void
on_expand(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	expansion_begin(l->expansions, ch, &msg->expand);
}

static void
on_relay_ask(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	relay_ask_begin(l->relay_asks, ch, &msg->relay_ask);
}

static void
on_route(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	route_begin(l->routes, ch, &msg->route);
}

static void
on_userinfo_get(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	userinfo_begin(l->userinfos, ch, &msg->userinfo_get);
}

/* -- an admin's -- */

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
on_find_in(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	find_begin(l->finds, ch, &msg->find_in);
}

static void
on_explain(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	explain_begin(l->explains, ch, &msg->explain);
}

/* -- answers, and what comes of itself -- */

static void
on_include(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	setup_include(ctx, &msg->include, fd);
}

static void
on_table_update(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)ch;
	(void)fd;
	tables_forget(l->tables, msg->table_update.table);
}

static void
on_user_answer(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	accounts_answer(l->accounts, ch, msg->req, (enum ipc_outcome)msg->user_answer.outcome);
}

static void
on_forward_file(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	forwards_file(l->forwards, ch, msg->req, fd, msg->forward_file.root);
}

static void
on_forward_none(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_forward_none *m = &msg->forward_none;
	struct lookup *l = ctx;

	(void)fd;
	forwards_none(l->forwards, ch, msg->req, (enum ipc_outcome)m->outcome, m->text);
}

static void
on_srs_answer(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_srs_answer *m = &msg->srs_answer;
	struct lookup *l = ctx;

	(void)fd;
	srs_answer(l->srs, ch, msg->req, (enum ipc_outcome)m->outcome, m->address);
}

static void
on_table_row(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	table_remote_on_row(service_asks(l->service), ch, &msg->table_row);
}

static void
on_table_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct lookup *l = ctx;

	(void)fd;
	table_remote_on_end(service_asks(l->service), ch, &msg->table_end);
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_client_enter] = on_client_enter,
    [MSG_client_leave] = on_client_leave,
    [MSG_filter_check] = on_filter_check,
    [MSG_rcpt_check] = on_rcpt_check,
    [MSG_expand] = on_expand,
    [MSG_relay_ask] = on_relay_ask,
    [MSG_route] = on_route,
    [MSG_userinfo_get] = on_userinfo_get,
    [MSG_clients] = on_clients,
    [MSG_clients_clear] = on_clients_clear,
    [MSG_find_in] = on_find_in,
    [MSG_explain] = on_explain,
    [MSG_include] = on_include,
    [MSG_table_update] = on_table_update,
    [MSG_user_answer] = on_user_answer,
    [MSG_forward_file] = on_forward_file,
    [MSG_forward_none] = on_forward_none,
    [MSG_srs_answer] = on_srs_answer,
    [MSG_table_row] = on_table_row,
    [MSG_table_end] = on_table_end,
};

const struct service_program lookup_program = {
    .role = ROLE_LOOKUP,
    .handlers = handlers,
    .configure = setup_configure,
    .on_file = setup_file,
    .prepare = setup_prepare,
    .on_link = on_link,
    .on_unlink = on_unlink,
    .on_pressure = on_pressure,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain,
    .counters = lookup_counters,
};
