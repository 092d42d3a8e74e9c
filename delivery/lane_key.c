/* SPDX-License-Identifier: ISC */
/*
 * What makes a lane, and its birth and death.
 *
 * Invariant: two plans share a lane exactly when nothing that a server could see or
 * has to prove differs.  Nothing is fatal.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/lane_private.h"
#include "lib/base/str.h"

#define SERVER_KEY_MAX (RELAY_LABEL_MAX + RELAY_HOST_MAX + 32)

static int
add(char *dst, size_t size, size_t *at, const char *part)
{
	if (str_copy(dst + *at, size - *at, part) == -1)
		return -1;
	*at += strlen(part);
	return 0;
}

static int
add_server(char *dst, size_t size, size_t *at, const struct relay_url *u)
{
	char text[SERVER_KEY_MAX];

	if (str_format(text, sizeof(text), "\n%d%d %s@%s:%u", (int)u->tls, u->lmtp, u->label,
		u->host, u->port) == -1)
		return -1;
	return add(dst, size, at, text);
}

static int
add_source(char *dst, size_t size, size_t *at, const char *address, const char *helo)
{
	return add(dst, size, at, "\n<") == -1 || add(dst, size, at, address) == -1 ||
		       add(dst, size, at, " ") == -1 || add(dst, size, at, helo) == -1
		   ? -1
		   : 0;
}

int
lane_key(const struct lane_plan *plan, char *dst, size_t size)
{
	size_t i, at = 0;

	if (add(dst, size, &at, plan->action) == -1 || add(dst, size, &at, "\n") == -1 ||
	    add(dst, size, &at, plan->dest) == -1 ||
	    add(dst, size, &at, plan->requires_tls ? "\nT" : "\n") == -1 ||
	    add(dst, size, &at, plan->needs_deliverby ? "B" : "") == -1 ||
	    add(dst, size, &at, plan->lmtp_socket ? "S" : "") == -1)
		return -1;
	for (i = 0; i < plan->nservers; i++)
		if (add_server(dst, size, &at, &plan->servers[i]) == -1)
			return -1;
	for (i = 0; i < plan->nsources; i++)
		if (add_source(dst, size, &at, plan->sources[i], plan->helos[i]) == -1)
			return -1;
	return 0;
}

/* Copies src to the end of what was copied before. */
static const char *
keep(char **at, const char *src)
{
	size_t size = strlen(src) + 1;
	char *dst = memcpy(*at, src, size);

	*at += size;
	return dst;
}

static size_t
text_size(const struct lane_plan *plan)
{
	size_t i, n = 2 * (strlen(plan->action) + strlen(plan->dest)) + RELAY_HOST_MAX + 16;

	for (i = 0; i < plan->nsources; i++)
		n += strlen(plan->sources[i]) + strlen(plan->helos[i]) + 2;
	return n;
}

/* What is no address can't be connected from: it is left out. */
static void
copy_sources(struct lane *l, const struct lane_plan *plan, char **at)
{
	struct lane_source *s;
	size_t i;

	for (i = 0; i < plan->nsources; i++) {
		s = &l->sources[l->nsources];
		if (addr_parse(plan->sources[i], 0, &s->addr) == -1)
			continue;
		s->address = keep(at, plan->sources[i]);
		s->helo = keep(at, plan->helos[i]);
		l->nsources++;
	}
}

/* By what its connections are counted: mail by MX for a domain, else for the first server. */
static void
make_keys(struct lane *l, char **at)
{
	const char *host = l->nservers > 0 ? l->servers[0].host : l->lmtp_socket ? "socket" : "mx";
	char relay[IPC_WORD_MAX + RELAY_HOST_MAX + 2];

	l->domain_key = l->dest[0] != '\0' ? l->dest
			: l->nservers > 0  ? l->servers[0].host
					   : l->action;
	(void)snprintf(relay, sizeof(relay), "%s %s", l->action, host);
	l->relay_key = keep(at, relay);
}

static int
copy_plan(struct lane *l, const struct lane_plan *plan)
{
	char *at;

	l->text = at = malloc(text_size(plan));
	l->servers = calloc(plan->nservers + 1, sizeof(*l->servers));
	l->sources = calloc(plan->nsources + 1, sizeof(*l->sources));
	if (l->text == NULL || l->servers == NULL || l->sources == NULL)
		return -1;
	l->action = keep(&at, plan->action);
	l->dest = keep(&at, plan->dest);
	memcpy(l->servers, plan->servers, plan->nservers * sizeof(*l->servers));
	l->nservers = plan->nservers;
	copy_sources(l, plan, &at);
	l->lmtp_socket = plan->lmtp_socket;
	l->requires_tls = plan->requires_tls;
	l->needs_deliverby = plan->needs_deliverby;
	l->tls_best = plan->tls_best;
	make_keys(l, &at);
	return 0;
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	lane_mark(arg);
}

struct lane *
lane_create(struct delivery *d, const struct lane_plan *plan, const char *key)
{
	struct lane *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->delivery = d;
	TAILQ_INIT(&l->waiting);
	TAILQ_INIT(&l->carriers);
	l->window = 1;
	l->number = ++d->lanes.nlanes;
	l->turn = l->number; /* one that begins anew goes on with the sources */
	TAILQ_INSERT_TAIL(&d->lanes.all, l, entry);
	l->key = strdup(key);
	l->timer = event_new(service_base(d->service), -1, 0, on_timer, l);
	if (l->key != NULL && l->timer != NULL && copy_plan(l, plan) == 0 &&
	    map_set(d->lanes.by_key, key, l) == 0)
		return l;
	lane_free(l);
	return NULL;
}

/* It has no relays and no carriers. */
void
lane_free(struct lane *l)
{
	struct lanes *lanes = &l->delivery->lanes;

	TAILQ_REMOVE(&lanes->all, l, entry);
	if (l->hot)
		TAILQ_REMOVE(&lanes->hot, l, hot_entry);
	if (l->blocked)
		TAILQ_REMOVE(&lanes->blocked, l, blocked_entry);
	if (l->key != NULL && map_get(lanes->by_key, l->key) == l)
		(void)map_remove(lanes->by_key, l->key);
	if (l->timer != NULL)
		event_free(l->timer);
	free(l->key);
	free(l->text);
	free(l->servers);
	free(l->sources);
	free(l->why);
	free(l);
}
