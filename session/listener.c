/* SPDX-License-Identifier: ISC */
/*
 * Accepting clients.  When descriptors run out, accepting rests for a second
 * instead of spinning; over the limit a client hears 421 and is closed.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/net/tls_server.h"
#include "session/session.h"

#define RESERVE	     64 /* descriptors that are not for clients */
#define ACCEPT_ROUND 16 /* clients taken before others get their turn */

/* Some descriptors are kept for links and listeners, whatever clients do.  All else is lookup's to count. */
static uint64_t
sessions_max(const struct program *p)
{
	return p->descriptors > RESERVE ? p->descriptors - RESERVE : 1;
}

static void
turn_away(struct program *p, int fd)
{
	static const char text[] = "421 4.3.2 Too many connections, try again later\r\n";

	p->refused++;
	(void)send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

static void
on_accept_again(evutil_socket_t sock, short what, void *arg)
{
	struct program *p = arg;

	(void)sock;
	(void)what;
	if (!p->paused)
		listener_pause(p, false);
}

static void
rest(struct program *p)
{
	const struct timeval second = {1, 0};

	log_warn("event=accept-failed error=\"%s\"", strerror(errno));
	listener_pause(p, true);
	p->paused = false;
	if (p->accept_again == NULL)
		p->accept_again = event_new(service_base(p->service), -1, 0, on_accept_again, p);
	if (p->accept_again != NULL)
		(void)event_add(p->accept_again, &second);
}

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	struct listening_socket *l = arg;
	struct program *p = l->program;
	int i, fd;

	(void)what;
	for (i = 0; i < ACCEPT_ROUND; i++) {
		struct addr peer = {.len = sizeof(peer.ss)};

		fd = accept4(
		    sock, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			/*
			 * Another process was faster, or the client gave up
			 * meanwhile, or its network did (accept(2)).
			 */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				rest(p);
			return;
		}
		p->connections++;
		if (p->nsessions >= sessions_max(p))
			turn_away(p, fd);
		else
			session_create(p, l->policy, fd, &peer);
	}
}

/* -- what was said of the port -- */

struct policy *
policy_hold(struct policy *policy)
{
	policy->refs++;
	return policy;
}

void
policy_release(struct policy *policy)
{
	if (policy == NULL || --policy->refs > 0)
		return;
	free(policy->tag);
	free(policy->hostname);
	free(policy->filter);
	free(policy->proxy);
	free(policy->xclient);
	free(policy->passwords);
	free(policy->tokens);
	free(policy->senders);
	free(policy->pki);
	tls_server_release(policy->tls);
	free(policy);
}

static char *
copy_word(const char *word)
{
	return strdup(word == NULL ? "" : word);
}

/* What a client may have to show before it is taken mail from. */
static void
policy_add_secrets(struct policy *policy, struct program *p, const struct conf_listener *l)
{
	policy->smtps = l->tls == CONF_TLS_SMTPS;
	policy->tls_offered = l->tls != CONF_TLS_NONE;
	policy->tls_required = l->tls == CONF_TLS_REQUIRE;
	policy->auth_offered = l->auth || l->auth_optional;
	policy->auth_required = l->auth && !l->auth_optional;
	policy->auth_system = policy->auth_offered && l->auth_table == NULL;
	policy->insecure_auth = l->insecure_auth;
	policy->passwords = copy_word(l->auth_table);
	policy->tokens = copy_word(l->tokens);
	policy->senders = copy_word(l->senders);
	policy->pki = copy_word(l->npkis == 1 ? l->pkis[0] : NULL);
	if (policy->tls_offered)
		policy->tls = certs_context(p->certs, p->conf, l);
}

static bool
policy_is_whole(const struct policy *policy)
{
	return policy->tag != NULL && policy->hostname != NULL && policy->filter != NULL &&
	       policy->proxy != NULL && policy->xclient != NULL && policy->passwords != NULL &&
	       policy->tokens != NULL && policy->senders != NULL && policy->pki != NULL;
}

static struct policy *
policy_create(struct program *p, const struct conf_listener *l)
{
	const struct conf *conf = p->conf;
	const struct conf_filter *filter = l->filter == NULL ? NULL
							     : conf_filter_find(conf, l->filter);
	struct policy *policy = calloc(1, sizeof(*policy));
	unsigned int phase;

	if (policy == NULL)
		return NULL;
	*policy = (struct policy){.refs = 1,
	    .tag = copy_word(l->tag),
	    .hostname = copy_word(l->hostname),
	    .filter = copy_word(l->filter),
	    .proxy = copy_word(l->proxy),
	    .xclient = copy_word(l->xclient),
	    .lmtp = l->lmtp,
	    .submission = l->submission,
	    .mask_src = l->mask_src,
	    .no_dsn = l->no_dsn,
	    .received_auth = l->received_auth,
	    .proxy_v2 = l->proxy_v2};
	policy_add_secrets(policy, p, l);
	for (phase = 0; filter != NULL && phase < CONF_PHASE__MAX; phase++)
		policy->gates[phase] = conf_filter_acts(conf, filter, (enum conf_phase)phase);
	if (!policy_is_whole(policy)) {
		policy_release(policy);
		return NULL;
	}
	return policy;
}

static void
socket_free(struct listening_socket *l)
{
	if (l->event != NULL)
		event_free(l->event);
	policy_release(l->policy);
	(void)close(l->fd);
	free(l);
}

void
listener_add(struct program *p, uint32_t index, int fd)
{
	struct listening_socket *l = calloc(1, sizeof(*l));

	if (l == NULL || index >= p->conf->nlisteners) {
		free(l);
		(void)close(fd);
		return;
	}
	*l = (struct listening_socket){.program = p, .fd = fd};
	l->policy = policy_create(p, &p->conf->listeners[index]);
	l->event = event_new(service_base(p->service), fd, EV_READ | EV_PERSIST, on_accept, l);
	if (l->policy == NULL || l->event == NULL ||
	    (!p->paused && event_add(l->event, NULL) == -1)) {
		log_warn("event=listener-failed error=\"out of memory\"");
		socket_free(l);
		return;
	}
	TAILQ_INSERT_TAIL(&p->sockets, l, entry);
}

void
listener_clear(struct program *p)
{
	struct listening_socket *l;

	while ((l = TAILQ_FIRST(&p->sockets)) != NULL) {
		TAILQ_REMOVE(&p->sockets, l, entry);
		socket_free(l);
	}
}

void
listener_pause(struct program *p, bool paused)
{
	struct listening_socket *l;

	p->paused = paused;
	TAILQ_FOREACH (l, &p->sockets, entry)
		(void)(paused ? event_del(l->event) : event_add(l->event, NULL));
}
