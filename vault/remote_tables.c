/* SPDX-License-Identifier: ISC */
/*
 * The tables themselves: from smtpd.conf, and until it says otherwise; the
 * connections that the parent makes for them.
 *
 * Invariant: no table is in use when it is freed: what was asked of it has ended.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "vault/remote_private.h"

static void
table_free(struct remote_table *t)
{
	free(t->path);
	free(t);
}

static struct remote_table *
table_create(struct remotes *r, const struct conf_table *ct)
{
	struct remote_table *t;
	size_t i;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->remotes = r;
	t->protocol = protocol_of(ct->kind);
	TAILQ_INIT(&t->waiting);
	for (i = 0; i < NITEMS(t->links); i++)
		link_init(&t->links[i], t);
	if (str_copy(t->name, sizeof(t->name), ct->name) == -1 ||
	    (ct->path != NULL && (t->path = strdup(ct->path)) == NULL)) {
		table_free(t);
		return NULL;
	}
	return t;
}

static bool
table_is_same(const struct remote_table *t, const struct conf_table *ct)
{
	if (ct == NULL || protocol_of(ct->kind) != t->protocol)
		return false;
	if (t->path == NULL || ct->path == NULL)
		return t->path == ct->path;
	return strcmp(t->path, ct->path) == 0;
}

/* Its questions end; whoever asked finds no such table any more. */
static void
table_end(struct remotes *r, struct remote_table *t)
{
	size_t i;

	TAILQ_REMOVE(&r->tables, t, entry);
	t->retry_ms = INT64_MAX;
	for (i = 0; i < NITEMS(t->links); i++) {
		link_down(&t->links[i]);
		questions_end(&t->links[i].questions);
	}
	questions_end(&t->waiting);
	table_free(t);
}

int
remotes_configure(struct remotes *r, const struct conf *conf)
{
	const struct conf_table *ct;
	struct remote_table *t, *next;
	size_t i;

	for (t = TAILQ_FIRST(&r->tables); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (!table_is_same(t, conf_table_find(conf, t->name)))
			table_end(r, t);
	}
	for (i = 0; i < conf->ntables; i++) {
		ct = &conf->tables[i];
		if (protocol_of(ct->kind) == NULL || table_find(r, ct->name) != NULL)
			continue;
		if ((t = table_create(r, ct)) == NULL)
			return -1;
		TAILQ_INSERT_TAIL(&r->tables, t, entry);
	}
	return 0;
}

struct remotes *
remotes_create(struct event_base *base, struct asks *asks, struct channel *parent)
{
	struct remotes *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	TAILQ_INIT(&r->tables);
	r->base = base;
	r->asks = asks;
	r->parent = parent;
	return r;
}

static void
questions_forget(struct remote_questions *list)
{
	struct remote_question *q;

	TAILQ_FOREACH (q, list, entry)
		q->done = NULL;
}

void
remotes_free(struct remotes *r)
{
	struct remote_table *t;
	size_t i;

	if (r == NULL)
		return;
	while ((t = TAILQ_FIRST(&r->tables)) != NULL) {
		for (i = 0; i < NITEMS(t->links); i++)
			questions_forget(&t->links[i].questions);
		questions_forget(&t->waiting);
		table_end(r, t);
	}
	free(r);
}

/* -- connections -- */

/* By the parent's answer; not by its owner, for which a wrong one could stand. */
static struct remote_link *
link_find(struct remotes *r, const struct channel *parent, uint32_t req)
{
	struct remote_table *t;
	size_t i;

	if (req == 0 || ask_owner(r->asks, parent, req) == NULL)
		return NULL;
	TAILQ_FOREACH (t, &r->tables, entry)
		for (i = 0; i < t->protocol->links; i++)
			if (t->links[i].state == REMOTE_ASKED && t->links[i].req == req)
				return &t->links[i];
	return NULL;
}

void
remotes_on_link(struct remotes *r, struct channel *parent, uint32_t req, int fd)
{
	struct remote_link *l = link_find(r, parent, req);

	if (l == NULL) {
		(void)close(fd);
		return;
	}
	ask_end(r->asks, req);
	link_up(l, fd);
}

void
remotes_on_refused(struct remotes *r, struct channel *parent, uint32_t req, const char *text)
{
	struct remote_link *l = link_find(r, parent, req);

	if (l != NULL)
		link_lose(l, text);
}
