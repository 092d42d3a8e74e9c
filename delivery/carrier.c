/* SPDX-License-Identifier: ISC */
/*
 * The life of a connection: what it does next, and what it counts as.
 *
 * Invariants: a carrier has at most one relay, and none but a busy one has any.
 * A relay that nobody judged goes back to its lane, three times; one that was
 * judged in part is not sent again.  What happens inside callbacks waits for
 * carriers_turn(), which is where carriers are freed.  Nothing is fatal.
 */
#include "delivery/carrier.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/carrier_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define STALE_MAX 3

/* -- what happened -- */

void
carrier_ripen(struct carrier *c, enum carrier_event event)
{
	if (c->event < event)
		c->event = event;
	if (c->ripe)
		return;
	c->ripe = true;
	TAILQ_INSERT_TAIL(&c->lane->delivery->lanes.ripe, c, ripe_entry);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	carrier_ripen(arg, EVENT_TIMER);
}

void
carrier_wake_at(struct carrier *c, int64_t at_ms)
{
	int64_t ms = at_ms - service_now_ms(c->lane->delivery->service);
	struct timeval tv;

	ms = ms > 0 ? ms : 1;
	tv = (struct timeval){ms / 1000, (ms % 1000) * 1000};
	(void)event_add(c->timer, &tv);
}

/*
 * Waiting is better than giving up: one host's "later" outweighs another's "never", and
 * so does one that we could not ask; but what a host says of a while outweighs what we say.
 */
void
carrier_keep_why(struct carrier *c, const struct verdict *v)
{
	bool waits = c->why.outcome == IPC_RETRY;

	if (c->has_why && (v->outcome == IPC_FAIL || (waits && (!c->why.untried || v->untried))))
		return;
	c->why = *v;
	memcpy(c->why_remote, c->remote, sizeof(c->why_remote));
	c->has_why = true;
}

void
carrier_failed(struct carrier *c, const struct verdict *why)
{
	struct logline l;

	carrier_keep_why(c, why);
	if (why->untried || c->remote[0] == '\0')
		return;
	logline_start(&l, LOG_LEVEL_INFO, "host-failed");
	logline_str(&l, "action", c->lane->action);
	logline_str(&l, "dest", c->lane->domain_key);
	logline_str(&l, "host", c->remote);
	logline_str(&l, "status", why->status);
	logline_str(&l, "why", why->text);
	logline_end(&l);
}

const struct conf_action *
carrier_action(const struct carrier *c)
{
	return conf_action_find(c->lane->delivery->conf, c->lane->action);
}

const struct relay_url *
carrier_url(const struct carrier *c)
{
	static const struct relay_url by_mx = {.tls = RELAY_TLS_MAY, .port = 25};

	return c->server < c->lane->nservers ? &c->lane->servers[c->server] : &by_mx;
}

/* -- what it counts as -- */

/* How each state counts in its lane. */
static const struct {
	bool searching, active;
} counts[CARRIER__MAX] = {
    [CARRIER_FINDING] = {true, true},
    [CARRIER_PACED] = {true, true},
    [CARRIER_IDLE] = {false, true},
    [CARRIER_BUSY] = {false, true},
};

void
carrier_enter(struct carrier *c, enum carrier_state state)
{
	struct lanes *lanes = &c->lane->delivery->lanes;

	c->lane->nsearching -= counts[c->state].searching;
	c->lane->nactive -= counts[c->state].active;
	if (c->state == CARRIER_IDLE)
		TAILQ_REMOVE(&lanes->idle, c, idle_entry);
	c->state = state;
	c->lane->nsearching += counts[c->state].searching;
	c->lane->nactive += counts[c->state].active;
	if (c->state == CARRIER_IDLE)
		TAILQ_INSERT_TAIL(&lanes->idle, c, idle_entry);
	(void)event_del(c->timer);
}

int
carrier_start(struct lane *l)
{
	struct delivery *d = l->delivery;
	struct carrier *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return -1;
	c->asker = ASKER_CARRIER;
	c->lane = l;
	c->fd = -1;
	c->state = CARRIER_LEAVING; /* counts as nothing yet */
	if ((c->timer = event_new(service_base(d->service), -1, 0, on_timer, c)) == NULL) {
		free(c);
		return -1;
	}
	TAILQ_INSERT_TAIL(&l->carriers, c, entry);
	d->lanes.ncarriers++;
	c->since_ms = service_now_ms(d->service);
	carrier_enter(c, CARRIER_FINDING);
	carrier_limits_init(c);
	carrier_find(c);
	return 0;
}

void
carrier_free(struct carrier *c)
{
	struct lane *l = c->lane;
	struct lanes *lanes = &l->delivery->lanes;

	carrier_enter(c, CARRIER_LEAVING);
	if (c->ripe)
		TAILQ_REMOVE(&lanes->ripe, c, ripe_entry);
	TAILQ_REMOVE(&l->carriers, c, entry);
	lanes->ncarriers--;
	lanes->room = true;
	carrier_auth_drop(c);
	client_free(c->client);
	carrier_find_stop(c);
	carrier_limits_forget(c);
	event_free(c->timer);
	lane_mark(l);
	free(c);
}

/* -- what it does next -- */

static void
say_quit(struct carrier *c)
{
	carrier_enter(c, CARRIER_LEAVING);
	if (c->event != EVENT_OVER)
		client_quit(c->client);
}

void
carrier_retire(struct carrier *c)
{
	say_quit(c);
}

void
carrier_cut(struct carrier *c)
{
	client_free(c->client);
	c->client = NULL;
	c->relay->carrier = NULL;
	c->relay = NULL;
	carrier_enter(c, CARRIER_LEAVING);
	c->end = CLIENT_CLOSED;
	carrier_ripen(c, EVENT_OVER);
}

static void
take(struct carrier *c, struct relay *r)
{
	struct delivery *d = c->lane->delivery;

	carrier_enter(c, CARRIER_BUSY);
	c->relay = r;
	c->took = false;
	r->carrier = c;
	r->place = RELAY_CARRIED;
	limit_mail(d->limits, &c->subject, service_now_ms(d->service));
	client_send(c->client, &r->mail);
}

/* It took as much as it may take, or there is no more to come. */
static bool
is_worn(const struct carrier *c, const struct limit_session *s)
{
	if (c->worn || carrier_tls_is_outgrown(c))
		return true;
	if (c->lane->nwaiting == 0 &&
	    (c->lane->delivery->drain_deadline_ms != 0 || s->idle_ms <= 0))
		return true;
	return c->nmails > 0 &&
	       ((s->mails > 0 && c->nmails >= s->mails) || client_mails_left(c->client) == 0);
}

static int64_t
mail_at(struct carrier *c, const struct limit_session *s, int64_t now)
{
	int64_t at = c->nmails > 0 && s->delay_ms > 0 ? c->last_ms + s->delay_ms : 0;
	enum conf_scope scope;
	int64_t limit_at = limit_mail_at(c->lane->delivery->limits, &c->subject, now, &scope);

	at = at > limit_at ? at : limit_at;
	return at > now ? at : 0;
}

/* It has a server, and is free. */
static void
go_on(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;
	struct limit_session s = limit_session(d->limits, &c->subject);
	int64_t now = service_now_ms(d->service), at;

	if (is_worn(c, &s)) {
		say_quit(c);
		return;
	}
	if (c->lane->nwaiting == 0) {
		if (c->state != CARRIER_IDLE)
			carrier_enter(c, CARRIER_IDLE);
		carrier_wake_at(c, now + s.idle_ms);
		return;
	}
	if ((at = mail_at(c, &s, now)) == 0) {
		take(c, lane_take(c->lane));
		return;
	}
	if (at - now > s.idle_ms + s.delay_ms) { /* nobody likes a connection that says nothing */
		lane_pause(c->lane, at);
		say_quit(c);
		return;
	}
	carrier_enter(c, CARRIER_PACED);
	carrier_wake_at(c, at);
}

void
carriers_wear(struct lane *l)
{
	struct carrier *c;

	for (c = TAILQ_FIRST(&l->carriers); c != NULL; c = TAILQ_NEXT(c, entry)) {
		c->worn = true;
		if (c->state == CARRIER_IDLE)
			say_quit(c);
	}
}

void
carriers_feed(struct lane *l)
{
	struct carrier *c, *next;

	for (c = TAILQ_FIRST(&l->carriers); c != NULL && l->nwaiting > 0; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state == CARRIER_IDLE && c->event < EVENT_OVER)
			go_on(c);
	}
}

/* -- what happened, at the loop's top -- */

static void
let_relay_go(struct carrier *c)
{
	struct relay *r = c->relay;

	c->relay = NULL;
	if (r == NULL)
		return;
	r->carrier = NULL;
	relay_end(r);
}

static void
relay_is_stale(struct carrier *c)
{
	struct relay *r = c->relay;

	if (r->nstale++ < STALE_MAX && !job_is_judged(r->job)) {
		c->relay = NULL;
		body_stop(&r->body);
		lane_put_back(c->lane, r);
		return;
	}
	carrier_judge(c, CAUSE_STALE);
	let_relay_go(c);
}

/* After a login the vault has the last word: who let us in may have proved nothing (RFC 5802 3). */
static void
on_ready(struct carrier *c)
{
	if (c->auth_req != 0) {
		c->held = EVENT_READY;
		return;
	}
	lane_alive(c->lane);
	carrier_tls_ready(c);
	go_on(c);
}

static void
note_success(struct carrier *c)
{
	if (!c->took)
		return;
	lane_success(c->lane);
	carrier_tls_delivered(c);
	c->took = false;
}

static void
on_done(struct carrier *c)
{
	note_success(c);
	let_relay_go(c);
	c->nmails++;
	c->last_ms = service_now_ms(c->lane->delivery->service);
	carrier_enter(c, CARRIER_PACED);
	go_on(c);
}

static void
on_wake(struct carrier *c)
{
	if (c->state == CARRIER_FINDING)
		carrier_next_host(c);
	else if (c->state == CARRIER_IDLE)
		say_quit(c);
	else if (c->state == CARRIER_PACED)
		go_on(c);
}

/* A server that did not come as far as a greeting: another one. */
static void
on_unusable(struct carrier *c)
{
	bool in_plain = c->end == CLIENT_TLS_BROKEN && c->policy.plain_after_failure && !c->plain;

	if (carrier_tls_failed(c, client_why(c->client)))
		carrier_keep_why(c, client_why(c->client));
	else
		carrier_failed(c, client_why(c->client));
	client_free(c->client);
	c->client = NULL;
	carrier_auth_drop(c);
	carrier_limits_forget_host(c);
	c->plain = in_plain;
	if (c->login_failed)
		carrier_next_server(
		    c); /* the same login at each of its addresses would lock the account */
	else
		carrier_next_host(c);
}

static void
on_over(struct carrier *c)
{
	struct lane *l = c->lane;
	struct verdict why;
	char remote[sizeof(c->remote)];
	bool lost;

	if (c->state == CARRIER_FINDING && c->client != NULL && c->login_failed &&
	    c->auth_req != 0) {
		c->held = EVENT_OVER; /* the vault knows when a login may go better */
		return;
	}
	if (c->state == CARRIER_FINDING && c->client != NULL) {
		on_unusable(c);
		return;
	}
	if (c->relay != NULL && c->end == CLIENT_STALE)
		relay_is_stale(c);
	note_success(c);
	let_relay_go(c);
	if ((lost = c->end == CLIENT_LOST && c->client != NULL))
		why = *client_why(c->client);
	(void)snprintf(remote, sizeof(remote), "%s", c->remote);
	carrier_free(c);
	if (lost)
		lane_lost(l, &why, remote);
}

static void (*const reactions[])(struct carrier *c) = {
    [EVENT_TIMER] = on_wake,
    [EVENT_ROUTED] = carrier_on_routed,
    [EVENT_DIALED] = carrier_on_dialed,
    [EVENT_READY] = on_ready,
    [EVENT_DONE] = on_done,
    [EVENT_OVER] = on_over,
};

void
carriers_turn(struct delivery *d)
{
	struct carrier *c;
	enum carrier_event event;

	while ((c = TAILQ_FIRST(&d->lanes.ripe)) != NULL) {
		TAILQ_REMOVE(&d->lanes.ripe, c, ripe_entry);
		c->ripe = false;
		event = c->event;
		c->event = EVENT_NONE;
		if (event != EVENT_NONE)
			reactions[event](c);
	}
}
