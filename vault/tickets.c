/* SPDX-License-Identifier: ISC */
/*
 * Keys for session tickets.
 *
 * Invariants: revisions only grow, also from one life of this process to the
 * next; without tickets there are no keys.  Random numbers that fail leave the
 * old key in use, with a log line.
 */
#include "vault/tickets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "vault/vault.h"

struct ticket_key {
	uint32_t revision; /* 0: there is none */
	uint8_t key[IPC_TICKET_KEY_SIZE];
};

struct tickets {
	struct ticket_key current, previous;
	int64_t made_s;
};

struct tickets *
tickets_create(void)
{
	return calloc(1, sizeof(struct tickets));
}

void
tickets_free(struct tickets *t)
{
	if (t == NULL)
		return;
	explicit_bzero(t, sizeof(*t));
	free(t);
}

static void
send_key(struct channel *ch, const struct ticket_key *k)
{
	struct msg_ticket_key m = {.revision = k->revision, .key = {k->key, sizeof(k->key)}};

	if (k->revision != 0)
		(void)channel_send(ch, MSG_ticket_key, &m);
}

void
tickets_link(struct vault *v, struct channel *ch)
{
	send_key(ch, &v->tickets->previous);
	send_key(ch, &v->tickets->current);
}

static int
make_key(struct tickets *t, int64_t now_s)
{
	struct ticket_key fresh;

	if (getrandom(fresh.key, sizeof(fresh.key), 0) != (ssize_t)sizeof(fresh.key))
		return -1;
	/* The time in seconds, so that a process of before had smaller ones. */
	fresh.revision = (uint32_t)now_s;
	if (fresh.revision <= t->current.revision)
		fresh.revision = t->current.revision + 1;
	t->previous = t->current;
	t->current = fresh;
	t->made_s = now_s;
	explicit_bzero(&fresh, sizeof(fresh));
	return 0;
}

static bool
is_due(const struct tickets *t, int64_t lifetime_s, int64_t now_s)
{
	/* A clock that was set back makes it due as well. */
	return t->current.revision == 0 || now_s - t->made_s >= (lifetime_s + 1) / 2 ||
	       now_s < t->made_s;
}

void
tickets_tick(struct vault *v, int64_t now_s)
{
	int64_t lifetime_s = v->conf->values.smtp_ticket_lifetime_s;
	struct tickets *t = v->tickets;
	struct channel *ch;
	uint32_t i;

	if (lifetime_s == 0) {
		explicit_bzero(t, sizeof(*t));
		return;
	}
	if (!is_due(t, lifetime_s, now_s))
		return;
	if (make_key(t, now_s) == -1) {
		log_warn("event=ticket-key-not-made");
		return;
	}
	for (i = 0; i < IPC_INSTANCES_MAX; i++)
		if ((ch = service_peer(v->service, ROLE_SESSION, i)) != NULL)
			send_key(ch, &t->current);
}
