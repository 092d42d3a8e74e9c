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

#include "delivery/body.h"
#include "delivery/client.h"
#include "delivery/relay_url.h"
#include "delivery/route.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

#define TIMEOUT_BASE_S 300 /* "mta timeout" of this means the RFC's own time-outs */

enum relay_event { EVENT_NONE, EVENT_NEXT_HOST, EVENT_OVER };

struct relay { /* owned by the delivery: in waiting or active, and in ripe besides */
	TAILQ_ENTRY(relay) entry, ripe_entry;
	struct delivery *delivery;
	struct job *job; /* NULL when it has its verdicts */
	bool waiting, ripe;
	enum relay_event event;
	char dest[IPC_NAME_MAX + 1], helo[IPC_NAME_MAX + 1], remote[IPC_NAME_MAX + 1];
	struct relay_url url; /* its host "": the MX of dest */
	bool plain;	      /* TLS failed with this host: once without */
	struct route route;
	const struct route_host *host;
	struct verdict why; /* the best of what hosts gave as a reason */
	bool has_why;
	struct client *client;
	struct client_options options;
	struct client_mail mail;
	const char **addresses; /* of the recipients the client is given */
	size_t *indices;	/* and which of the job's they are */
	struct body body;
};

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
	client_free(r->client);
	free(r->addresses);
	free(r->indices);
	free(r);
}

/* No host is left, or none was found. */
static void
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
	r->options.tls = r->plain ? CLIENT_TLS_NEVER : r->url.tls;
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
	bool again = how == CLIENT_TLS_BROKEN && r->options.tls == CLIENT_TLS_MAY;

	if (how == CLIENT_DONE) {
		relay_ripen(r, EVENT_OVER);
		return;
	}
	keep_why(r, client_why(r->client));
	r->plain = again;
	relay_ripen(r, EVENT_NEXT_HOST);
}

static const struct client_callbacks client_calls = {
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_over = on_over,
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

static int
take_action(struct relay *r, const struct conf_action *action)
{
	const struct delivery *d = r->delivery;

	if (action->host != NULL && relay_url_parse(action->host, &r->url) == -1)
		return -1;
	if (action->host == NULL)
		r->url = (struct relay_url){.tls = CLIENT_TLS_MAY, .port = 25};
	/* A credential is for the one it was meant for. */
	if (action->tls_required && r->url.tls == CLIENT_TLS_MAY)
		r->url.tls = CLIENT_TLS_MUST;
	r->options = (struct client_options){
	    .callbacks = &client_calls,
	    .arg = r,
	    .helo = r->helo,
	    .tls_verify = (action->tls_required || r->url.label[0] != '\0') &&
			  !action->tls_no_verify,
	    .tls_client = d->tls,
	    .timeout_scale = 1000 * d->conf->values.delivery_timeout_s / TIMEOUT_BASE_S,
	};
	r->route.port = r->url.port;
	return str_copy(
	    r->helo, sizeof(r->helo), action->helo != NULL ? action->helo : d->hostname);
}

/* Recipients that can't be written on the wire get their verdict now. */
static void
take_recipients(struct relay *r)
{
	const unsigned int flags = ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	struct job *j = r->job;
	struct address a;
	struct verdict v;
	size_t i;

	for (i = 0; i < j->nrcpts; i++) {
		if (address_parse(j->rcpts[i].address, flags, &a) != ADDRESS_OK) {
			verdict_of(&v, CAUSE_BAD_RECIPIENT, NULL);
			job_verdict(j, i, &v, "");
			continue;
		}
		r->mail.is_utf8 |= a.utf8;
		r->addresses[r->mail.nrcpts] = j->rcpts[i].address;
		r->indices[r->mail.nrcpts++] = i;
	}
}

static void
take_mail(struct relay *r)
{
	const struct job *j = r->job;

	r->mail.sender = j->sender;
	r->mail.rcpts = r->addresses;
	r->mail.size_bytes = j->size_bytes;
	r->mail.is_8bit = (j->flags & IPC_FLAG_8BITMIME) != 0;
	r->mail.is_utf8 = (j->flags & IPC_FLAG_SMTPUTF8) != 0;
	take_recipients(r);
}

static bool
is_sender_valid(struct relay *r)
{
	struct address a;

	if (address_parse(r->job->sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return false;
	r->mail.is_utf8 |= a.utf8;
	return true;
}

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
	if (take_action(r, action) == -1) {
		verdict_of(&v, CAUSE_BAD_RELAY, action->host);
		relay_fail(r, &v);
		return;
	}
	take_mail(r);
	if (r->job != NULL && !is_sender_valid(r)) {
		verdict_of(&v, CAUSE_BAD_SENDER, NULL);
		relay_fail(r, &v);
	} else if (r->job == NULL)
		relay_ripen(r, EVENT_OVER);
	else if (may_connect(r))
		relay_activate(r);
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
		if (!r->ripe && may_connect(r))
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
