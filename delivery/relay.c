/* SPDX-License-Identifier: ISC */
/*
 * One job on its way to another server: which hosts, in which order, how
 * often, and what to say when none takes it.
 *
 * Invariants: at most the configured number of connections at once, in all
 * and to one destination; others wait in order.  A host that can't be used is
 * followed by the next; a message is never sent to a second host once a
 * recipient had a verdict from the first.  What ends inside a callback is
 * dealt with by relays_turn().
 */
#include "delivery/relay.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/relay_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

/* -- ends -- */

static void
relay_ripen(struct relay *r, enum relay_event event)
{
	if (r->event < event)
		r->event = event;
	if (r->ripe)
		return;
	r->ripe = true;
	TAILQ_INSERT_TAIL(&r->delivery->out.ripe, r, ripe_entry);
}

static void
relay_free(struct relay *r)
{
	struct relays_out *out = &r->delivery->out;

	if (r->ripe)
		TAILQ_REMOVE(&out->ripe, r, ripe_entry);
	TAILQ_REMOVE(r->waiting ? &out->waiting : &out->active, r, entry);
	if (!r->waiting)
		out->nactive--;
	if (r->job != NULL)
		r->job->relay = NULL;
	body_stop(&r->body);
	route_stop(&r->route);
	ask_end(service_asks(r->delivery->service), r->srs_req);
	client_free(r->client);
	free(r->addresses);
	free(r->indices);
	free(r);
}

void
relay_fail(struct relay *r, const struct verdict *why)
{
	if (r->job != NULL)
		job_verdict_all(r->job, why, r->remote);
	relay_ripen(r, EVENT_OVER);
}

void
relay_forget_job(struct relay *r)
{
	r->job = NULL;
}

/* The client reads the job's strings until it is freed. */
void
relay_abandon(struct relay *r)
{
	r->job = NULL;
	body_stop(&r->body);
	route_stop(&r->route);
	ask_end(service_asks(r->delivery->service), r->srs_req);
	r->srs_req = 0;
	client_free(r->client);
	r->client = NULL;
	relay_ripen(r, EVENT_OVER);
}

/* -- a host -- */

/* Waiting is better than giving up: one host's "later" outweighs another's "never". */
static void
keep_why(struct relay *r, const struct verdict *v)
{
	if (r->has_why && (r->why.outcome == IPC_RETRY || v->outcome == IPC_FAIL))
		return;
	r->why = *v;
	r->has_why = true;
}

static int
open_socket(const struct addr *to)
{
	int fd, error;

	fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to->ss, to->len) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static void
set_remote(struct relay *r)
{
	char address[ADDR_TEXT_MAX];

	addr_format(&r->host->addr, address);
	(void)snprintf(r->remote, sizeof(r->remote), "%.*s[%s]",
	    (int)(sizeof(r->remote) - sizeof(address) - 2), r->host->name, address);
}

static int
relay_connect(struct relay *r)
{
	struct delivery *d = r->delivery;
	int fd, error;

	set_remote(r);
	r->options.host = r->host->name;
	r->options.tls = r->plain ? RELAY_TLS_NEVER : r->url.tls;
	if ((fd = open_socket(&r->host->addr)) == -1)
		return -1;
	r->client = client_create(service_base(d->service), fd, &r->options, &r->mail);
	if (r->client != NULL) {
		d->nconnections++;
		return 0;
	}
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static void
relay_try_hosts(struct relay *r)
{
	struct verdict v;

	while (r->plain || (r->host = route_next(&r->route)) != NULL) {
		if (relay_connect(r) == 0)
			return;
		r->plain = false;
		verdict_of(&v, CAUSE_UNREACHABLE, strerror(errno));
		keep_why(r, &v);
	}
	relay_fail(r, &r->why);
}

static void
on_routed(void *arg, const struct verdict *why)
{
	struct relay *r = arg;

	if (why != NULL)
		relay_fail(r, why);
	else
		relay_try_hosts(r);
}

/* -- what the client says -- */

static void
on_verdict(void *arg, size_t rcpt, const struct verdict *v)
{
	struct relay *r = arg;

	if (r->job != NULL)
		job_verdict(r->job, r->indices[rcpt], v, r->remote);
}

static void
on_body(void *arg)
{
	struct relay *r = arg;

	if (r->job != NULL)
		body_start(&r->body, &r->delivery->bodies);
}

static void
on_room(void *arg, bool room)
{
	struct relay *r = arg;

	body_pause(&r->body, !room);
}

static void
on_body_stop(void *arg)
{
	struct relay *r = arg;

	body_stop(&r->body);
}

/* Opportunistic TLS that fails is worth one try without: RFC 7435 3. */
static void
on_over(void *arg, enum client_end how)
{
	struct relay *r = arg;
	bool again = how == RELAY_TLS_BROKEN && r->options.tls == RELAY_TLS_MAY;

	if (how == CLIENT_DONE) {
		relay_ripen(r, EVENT_OVER);
		return;
	}
	keep_why(r, client_why(r->client));
	r->plain = again;
	relay_ripen(r, EVENT_NEXT_HOST);
}

static int64_t
on_clock(void *arg)
{
	const struct relay *r = arg;

	return service_now_s(r->delivery->service);
}

static const struct client_callbacks client_calls = {
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_over = on_over,
    .on_clock = on_clock,
};

static void
on_chunk(void *arg, struct span data)
{
	struct relay *r = arg;

	client_body(r->client, data);
}

static void
on_body_whole(void *arg)
{
	struct relay *r = arg;

	client_body_end(r->client);
}

static void
on_body_broken(void *arg, enum cause why)
{
	struct relay *r = arg;

	client_body_break(r->client, why);
}

static const struct body_callbacks body_calls = {on_chunk, on_body_whole, on_body_broken};

/* -- the start -- */

static size_t
count_to(const struct relays_out *out, const char *dest)
{
	const struct relay *r;
	size_t n = 0;

	for (r = TAILQ_FIRST(&out->active); r != NULL; r = TAILQ_NEXT(r, entry))
		n += strcmp(r->dest, dest) == 0;
	return n;
}

static bool
may_connect(const struct relay *r)
{
	const struct delivery *d = r->delivery;
	const struct conf_values *v = &d->conf->values;

	return d->out.nactive < v->delivery_max_connections &&
	       count_to(&d->out, r->dest) < v->delivery_max_per_destination;
}

static void
relay_activate(struct relay *r)
{
	struct relays_out *out = &r->delivery->out;
	bool mx = r->url.host[0] == '\0';

	TAILQ_REMOVE(&out->waiting, r, entry);
	TAILQ_INSERT_TAIL(&out->active, r, entry);
	r->waiting = false;
	out->nactive++;
	route_start(&r->route, mx ? r->dest : r->url.host, mx);
}

void
relay_go_on(struct relay *r)
{
	if (may_connect(r))
		relay_activate(r);
}

static struct relay *
relay_create(struct job *j)
{
	struct delivery *d = j->delivery;
	struct relay *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->delivery = d;
	r->job = j;
	r->route.service = d->service;
	r->route.done = on_routed;
	r->route.arg = r;
	r->options.callbacks = &client_calls;
	r->options.arg = r;
	r->body.callbacks = &body_calls;
	r->body.arg = r;
	r->body.id = j->id;
	r->body.size_bytes = j->size_bytes;
	r->body.nchunks = j->nchunks;
	r->addresses = calloc(j->nrcpts, sizeof(*r->addresses));
	r->indices = calloc(j->nrcpts, sizeof(*r->indices));
	if (r->addresses == NULL || r->indices == NULL ||
	    str_copy(r->dest, sizeof(r->dest), j->dest) == -1) {
		free(r->addresses);
		free(r->indices);
		free(r);
		return NULL;
	}
	r->waiting = true;
	j->relay = r;
	TAILQ_INSERT_TAIL(&d->out.waiting, r, entry);
	return r;
}

void
relay_start(struct job *j, const struct conf_action *action)
{
	struct relay *r = relay_create(j);
	struct verdict v;

	if (r == NULL) {
		verdict_of(&v, CAUSE_NO_MEMORY, NULL);
		job_verdict_all(j, &v, "");
		return;
	}
	if (relay_take_order(r, action, &v) == -1)
		relay_fail(r, &v);
	else if (r->job == NULL)
		relay_ripen(r, EVENT_OVER);
	else if (!relay_srs_begin(r, action))
		relay_go_on(r);
}

/* -- the loop's top -- */

static void
relay_turn(struct relay *r)
{
	enum relay_event event = r->event;

	TAILQ_REMOVE(&r->delivery->out.ripe, r, ripe_entry);
	r->ripe = false;
	r->event = EVENT_NONE;
	if (event == EVENT_OVER) {
		relay_free(r);
		return;
	}
	client_free(r->client);
	r->client = NULL;
	relay_try_hosts(r);
}

static void
start_waiting(struct delivery *d)
{
	struct relay *r, *next;

	for (r = TAILQ_FIRST(&d->out.waiting); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (d->out.nactive >= d->conf->values.delivery_max_connections)
			return;
		if (!r->ripe && r->srs_req == 0 && may_connect(r))
			relay_activate(r);
	}
}

void
relays_turn(struct delivery *d)
{
	struct relay *r;
	bool freed = false;

	while ((r = TAILQ_FIRST(&d->out.ripe)) != NULL) {
		relay_turn(r);
		freed = true;
	}
	if (freed)
		start_waiting(d);
}
