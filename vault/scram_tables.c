/* SPDX-License-Identifier: ISC */
/*
 * Tells the session processes which tables have SCRAM keys.
 *
 * Invariant: one database is asked at a time, by its name, for the table may be
 * gone when the answer comes.  Nothing is fatal.
 */
#include "vault/scram_tables.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/service.h"
#include "vault/passwords.h"
#include "vault/pool.h"
#include "vault/vault.h"

struct scram_tables {
	struct job job;
	bool asks;
	size_t next; /* table to look at */
	char table[CONF_NAME_MAX + 1];
	int64_t due_ms;
};

struct scram_tables *
scram_tables_create(void)
{
	struct scram_tables *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->next = SIZE_MAX;
	return s;
}

void
scram_tables_free(struct scram_tables *s, struct vault *v)
{
	if (s == NULL)
		return;
	pool_let_go(v->pool, &s->job);
	free(s);
}

/* -- telling -- */

static void
tell(struct channel *ch, const struct credentials *c)
{
	struct msg_table_state m = {
	    .table = credentials_name(c), .scram = credentials_has_scram(c)};

	(void)channel_send(ch, MSG_table_state, &m);
}

void
scram_tables_link(struct vault *v, struct channel *ch)
{
	const struct credentials *c;
	size_t i;

	for (i = 0; (c = passwords_each(v->passwords, i)) != NULL; i++)
		if (!credentials_is_relays(c))
			tell(ch, c);
}

static struct channel *
session_link(const struct vault *v, uint32_t i)
{
	return service_peer(v->service, ROLE_SESSION, i);
}

void
scram_tables_tell(const struct vault *v, const struct credentials *c)
{
	uint32_t i;

	for (i = 0; i < IPC_INSTANCES_MAX; i++)
		if (session_link(v, i) != NULL)
			tell(session_link(v, i), c);
}

static void
set_scram(struct vault *v, struct credentials *c, bool scram)
{
	bool before = credentials_has_scram(c);

	credentials_set_scram(c, scram);
	if (credentials_has_scram(c) != before)
		scram_tables_tell(v, c);
}

/* -- asking -- */

static void
on_found(struct job *j, enum ipc_outcome outcome, const char *value)
{
	struct vault *v = j->owner;
	struct scram_tables *s = v->scram_tables;
	struct credentials *c = passwords_find(v->passwords, s->table);

	(void)value;
	pool_let_go(v->pool, j);
	s->asks = false;
	if (c != NULL && (outcome == IPC_OK || outcome == IPC_GONE))
		set_scram(v, c, outcome == IPC_OK);
}

static void
on_hasher(struct job *j)
{
	struct vault *v = j->owner;
	struct msg_find m = {
	    .table = v->scram_tables->table, .service = SERVICE_AUTH, .key = "", .scram = true};

	if (pool_find(v->pool, j, &m, on_found) == -1)
		on_found(j, IPC_RETRY, "");
}

/* The next database from here on, if there is one. */
static void
ask_next(struct vault *v)
{
	struct scram_tables *s = v->scram_tables;
	const struct credentials *c;

	while ((c = passwords_each(v->passwords, s->next)) != NULL) {
		s->next++;
		if (credentials_where(c) != CREDENTIALS_SQLITE || credentials_is_relays(c))
			continue;
		str_cut(s->table, sizeof(s->table), credentials_name(c));
		s->job.ready = on_hasher;
		s->job.owner = v;
		s->asks = pool_wait(v->pool, &s->job, "") == 0;
		return;
	}
	s->next = SIZE_MAX;
}

void
scram_tables_tick(struct vault *v, int64_t now_ms)
{
	struct scram_tables *s = v->scram_tables;

	if (s->due_ms <= now_ms) {
		s->due_ms = now_ms + SCRAM_TABLES_EVERY_MS;
		if (s->next == SIZE_MAX)
			s->next = 0;
	}
	if (!s->asks && s->next != SIZE_MAX && pool_hashers(v->pool) > 0)
		ask_next(v);
}

void
scram_tables_changed(struct vault *v)
{
	uint32_t i;

	for (i = 0; i < IPC_INSTANCES_MAX; i++)
		if (session_link(v, i) != NULL)
			scram_tables_link(v, session_link(v, i));
	v->scram_tables->next = 0;
}
