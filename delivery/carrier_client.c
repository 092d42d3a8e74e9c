/* SPDX-License-Identifier: ISC */
/*
 * Between a carrier and its connection: what the client is told at the start, and
 * what it says.
 *
 * Invariant: verdicts, bodies and questions pass straight through; all that changes a
 * carrier's state waits for the loop's top.  Nothing is fatal.
 */
#include <event2/event.h>
#include <string.h>

#include "delivery/carrier_private.h"

#define TIMEOUT_BASE_S 300 /* "mta timeout" of this means the RFC's own time-outs */

/* -- of the message under way -- */

static void
on_verdict(void *arg, size_t rcpt, const struct verdict *v)
{
	struct carrier *c = arg;
	const struct job_via via = {.remote = c->remote, .tls = c->tls.summary};

	if (c->relay == NULL)
		return;
	c->took |= v->outcome == IPC_OK;
	job_verdict(c->relay->job, c->relay->indices[rcpt], v, &via);
}

void
carrier_judge(struct carrier *c, enum cause cause)
{
	const struct job_via via = {.remote = c->remote, .tls = c->tls.summary};
	struct verdict v;

	verdict_of(&v, cause, NULL);
	relay_judge(c->relay, &v, &via);
}

static void
on_body(void *arg)
{
	struct carrier *c = arg;

	if (c->relay != NULL)
		body_start(&c->relay->body, &c->lane->delivery->bodies);
}

static void
on_room(void *arg, bool room)
{
	struct carrier *c = arg;

	if (c->relay != NULL)
		body_pause(&c->relay->body, !room);
}

static void
on_body_stop(void *arg)
{
	struct carrier *c = arg;

	if (c->relay != NULL)
		body_stop(&c->relay->body);
}

void
carrier_body(struct carrier *c, struct span data)
{
	client_body(c->client, data);
}

void
carrier_body_end(struct carrier *c)
{
	client_body_end(c->client);
}

void
carrier_body_break(struct carrier *c, enum cause why)
{
	client_body_break(c->client, why);
}

/* -- of the connection -- */

static void
on_ready(void *arg)
{
	carrier_ripen(arg, EVENT_READY);
}

static void
on_done(void *arg)
{
	carrier_ripen(arg, EVENT_DONE);
}

static void
on_over(void *arg, enum client_end how)
{
	struct carrier *c = arg;

	c->end = how;
	carrier_ripen(c, EVENT_OVER);
}

static bool
on_tls(void *arg, struct tls *tls, struct verdict *why)
{
	return carrier_tls_accepts(arg, tls, why);
}

static void
on_auth(void *arg, const char *mechanisms)
{
	carrier_auth_begin(arg, mechanisms);
}

static void
on_auth_challenge(void *arg, struct span data)
{
	carrier_auth_challenge(arg, data);
}

static void
on_auth_result(void *arg, enum ipc_outcome outcome, const char *text)
{
	carrier_auth_result(arg, outcome, text);
}

static int64_t
on_clock(void *arg)
{
	const struct carrier *c = arg;

	return service_now_s(c->lane->delivery->service);
}

static const struct client_callbacks callbacks = {
    .on_ready = on_ready,
    .on_tls = on_tls,
    .on_auth = on_auth,
    .on_auth_challenge = on_auth_challenge,
    .on_auth_result = on_auth_result,
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_done = on_done,
    .on_over = on_over,
    .on_clock = on_clock,
};

/* -- the start -- */

/* The name that goes with the address we come from; else the action's; else our own. */
static const char *
helo_for(const struct carrier *c, const struct conf_action *a)
{
	size_t i;

	for (i = 0; i < c->nsources && !c->lane->lmtp_socket; i++)
		if (c->sources[i].ss.ss_family == c->route.hosts[c->current].addr.ss.ss_family &&
		    c->chosen[i]->helo[0] != '\0')
			return c->chosen[i]->helo;
	return a != NULL && a->helo != NULL ? a->helo : c->lane->delivery->hostname;
}

static enum relay_tls
tls_for(const struct carrier *c)
{
	return c->plain || c->lane->lmtp_socket ? RELAY_TLS_NEVER : c->policy.tls;
}

int
carrier_connect(struct carrier *c, int fd)
{
	struct delivery *d = c->lane->delivery;
	const struct relay_url *u = carrier_url(c);

	memset(&c->tls, 0, sizeof(c->tls));
	c->options = (struct client_options){.callbacks = &callbacks,
	    .arg = c,
	    .helo = helo_for(c, carrier_action(c)),
	    .lmtp = u->lmtp || c->lane->lmtp_socket,
	    .tls = tls_for(c),
	    .want = &c->policy.want,
	    .tls_client = d->tls,
	    .auth = u->label[0] != '\0',
	    .needs_requiretls = c->lane->requires_tls,
	    .needs_deliverby = c->lane->needs_deliverby,
	    .chunking = d->conf->values.mta_chunking == CONF_YES,
	    .timeout_scale = 1000 * d->conf->values.delivery_timeout_s / TIMEOUT_BASE_S};
	c->client = client_create(service_base(d->service), fd, &c->options);
	return c->client == NULL ? -1 : 0;
}
