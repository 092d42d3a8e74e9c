/* SPDX-License-Identifier: ISC */
/*
 * Before the greeting: whom a balancer speaks for, whether lookup lets the
 * client stay, whether it can wait.
 *
 * Invariants: nobody is greeted whom lookup did not admit; what lookup counts
 * it is told the end of, once.  Until the greeting nothing is read but a
 * balancer's header, so that waiting costs no memory.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "session/proxy.h"
#include "session/session.h"

/* -- who left: nobody waits for it, so lookup is not woken for each -- */

#define LEAVE_DELAY_US 20000

static void
tell_left(struct program *p)
{
	struct channel *lookup = service_peer(p->service, ROLE_LOOKUP, 0);
	size_t i;

	for (i = 0; lookup != NULL && i < p->nleft; i++) {
		struct msg_client_leave m = {.visit = p->left[i]};

		(void)channel_send(lookup, MSG_client_leave, &m);
	}
	p->nleft = 0;
}

static void
on_tell_left(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	tell_left(arg);
}

/* Before the next visit of that number begins, or soon. */
static void
leave_soon(struct program *p, uint32_t visit)
{
	const struct timeval soon = {0, LEAVE_DELAY_US};

	p->left[p->nleft++] = visit;
	if (p->tell_left == NULL)
		p->tell_left = event_new(service_base(p->service), -1, 0, on_tell_left, p);
	if (p->nleft == LEFT_MAX || p->tell_left == NULL)
		tell_left(p);
	else if (p->nleft == 1 && event_add(p->tell_left, &soon) == -1)
		tell_left(p);
}

/* -- lookup's word -- */

static int
send_enter(struct session *s, uint32_t req, bool again)
{
	struct channel *lookup = service_peer(s->program->service, ROLE_LOOKUP, 0);
	char client[ADDR_TEXT_MAX];
	struct msg_client_enter m = {.req = req,
	    .visit = (uint32_t)io_fd(s->io), /* no other visit has it until it is closed */
	    .client = client,
	    .local = s->local,
	    .filter = s->policy->filter,
	    .proxy = s->spoken_for ? "" : s->policy->proxy,
	    .xclient = s->spoken_for ? "" : s->policy->xclient,
	    .again = again};

	tell_left(s->program);
	addr_format(&s->peer, client);
	return lookup == NULL ? -1 : channel_send(lookup, MSG_client_enter, &m);
}

#define ENTER_DEADLINE_MS 60000
#define PATIENCE_MS	  5000 /* with a lookup that is away: it is restarted at once */
#define ASK_AGAIN_MS	  100

static void
wait_for_lookup(struct session *s)
{
	s->question = 0;
	s->entered = false;
	if (service_now_ms(s->program->service) - s->heard_ms >= PATIENCE_MS)
		session_quit(s, REPLY_LOOKUP_AWAY);
	else
		session_delay(s, NULL, ASK_AGAIN_MS);
}

static void
on_enter_lost(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	/* One that is slow has our question still, and will count the visit when it comes to it. */
	if (why == ASK_TIMEOUT)
		door_leave(owner);
	wait_for_lookup(owner);
}

void
door_ask(struct session *s)
{
	struct service *service = s->program->service;
	struct channel *lookup = service_peer(service, ROLE_LOOKUP, 0);

	io_pause_input(s->io, true);
	if (lookup == NULL) {
		wait_for_lookup(s);
		return;
	}
	s->question = ask_begin(service_asks(service), lookup,
	    service_now_ms(service) + ENTER_DEADLINE_MS, on_enter_lost, s);
	if (s->question == 0)
		session_quit(s, REPLY_LOOKUP_AWAY);
	else
		s->entered = send_enter(s, s->question, false) == 0;
}

void
door_leave(struct session *s)
{
	if (s->entered)
		leave_soon(s->program, (uint32_t)io_fd(s->io));
	s->entered = false;
}

void
door_announce_again(struct program *p)
{
	struct session *s;

	p->nleft = 0;
	TAILQ_FOREACH (s, &p->sessions, entry)
		if (s->admitted)
			s->entered = send_enter(s, 0, true) == 0;
}

/* What DNS calls the client, unless a listed host has told us. */
static int
keep_name(struct session *s, const struct msg_client_verdict *m)
{
	if (s->named)
		return 0;
	free(s->name);
	s->name = NULL;
	s->rdns = m->rdns;
	if (m->name[0] == '\0')
		return 0;
	return (s->name = strdup(m->name)) == NULL ? -1 : 0;
}

static void
await_proxy(struct session *s)
{
	s->entered = false;
	session_enter(s, STATE_PROXY);
	s->heard_ms = service_now_ms(s->program->service);
	io_set_timeout(s->io, DOOR_PROXY_TIMEOUT_MS);
	io_pause_input(s->io, false);
}

void
door_answer(struct session *s, const struct msg_client_verdict *m)
{
	int64_t wait_s = s->program->conf->values.smtp_greet_delay_s;

	s->question = 0;
	s->admitted = m->code == 0 && !m->proxied;
	if (m->proxied && !s->spoken_for && m->code == 0) {
		await_proxy(s);
		return;
	}
	if (m->code != 0) {
		s->entered = false;
		s->program->refused++;
		session_quit_text(s, m->code, m->status, m->text);
		return;
	}
	s->may_xclient |= m->xclient;
	s->junk = s->door_junk = s->junk || m->junk;
	s->bypass = s->door_bypass = s->bypass || m->bypass;
	if (keep_name(s, m) == -1)
		session_quit(s, REPLY_NO_MEMORY);
	else if (wait_s > 0 && !session_is_local(s))
		session_delay(s, NULL, wait_s * 1000);
	else
		door_greet(s);
}

/* -- the greeting -- */

/* Octets that came although nothing was said: of what was read, or still in the socket. */
static bool
spoke_early(struct session *s)
{
	char octet;

	if (io_tls(s->io) != NULL)
		return false; /* nothing was read of what is within */
	return io_input(s->io)->len > 0 ||
	       recv(io_fd(s->io), &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void
door_greet(struct session *s)
{
	char line[512];

	if (s->policy->smtps && io_tls(s->io) == NULL) {
		tls_begin(s); /* and be back here when TLS is up */
		return;
	}
	if (spoke_early(s)) {
		s->program->early++;
		session_quit(s, REPLY_EARLY_TALKER);
		return;
	}
	if (service_is_draining(s->program->service)) {
		session_quit(s, REPLY_CLOSING);
		return;
	}
	session_enter(s, STATE_NEW);
	s->heard_ms = service_now_ms(s->program->service);
	(void)snprintf(line, sizeof(line), "220 %s %s Postern", session_hostname(s),
	    s->policy->lmtp ? "LMTP" : "ESMTP");
	session_say(s, line);
	if (!s->buried)
		io_pause_input(s->io, false);
}

/* -- a balancer's header -- */

void
door_wait_over(struct session *s)
{
	if (s->admitted)
		door_greet(s);
	else
		door_ask(s);
}

void
door_proxy_input(struct session *s)
{
	struct buf *in = io_input(s->io);
	struct proxy_header h;

	switch (proxy_parse(buf_head(in), in->len, s->policy->proxy_v2, &h)) {
	case PROXY_MORE:
		return;
	case PROXY_BAD:
		session_quit(s, REPLY_BAD_PROXY);
		return;
	case PROXY_OK:
		break;
	}
	io_consume(s->io, h.len);
	s->spoken_for = true;
	/* Nobody becomes local by what is said of him, or is not said. */
	s->local = s->local && !h.own && addr_is_loopback(&h.source);
	if (!h.own)
		s->peer = h.source;
	io_set_timeout(s->io, s->program->conf->values.smtp_timeout_s * 1000);
	session_enter(s, STATE_ENTERING);
	s->heard_ms = service_now_ms(s->program->service);
	door_ask(s);
}

void
door_open(struct session *s)
{
	if (s->policy->proxy_v2)
		await_proxy(s);
	else
		door_ask(s);
}
