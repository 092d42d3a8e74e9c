/* SPDX-License-Identifier: ISC */
/*
 * What a table has under a key, wherever the table is: here, in a database
 * that a hasher reads or a program of tables asks, or in the system's shadow
 * file, which the parent reads.
 *
 * Invariant: one look-up of an exchange at a time; its answer, or that there
 * is trouble, reaches on_value() once, unless the exchange ends before.
 */
#include <string.h>

#include "lib/base/str.h"
#include "vault/mechanism.h"
#include "vault/program.h"

#define SHADOW_DEADLINE_MS 10000

static void
answer(struct exchange *x, enum credentials_answer a, const char *found, const char *value)
{
	value_done done = x->on_value;

	x->on_value = NULL;
	done(x, a, found, value);
}

static void
trouble(struct exchange *x)
{
	answer(x, CREDENTIALS_TROUBLE, "", "");
}

static enum credentials_answer
answer_of(enum ipc_outcome outcome)
{
	if (outcome == IPC_OK)
		return CREDENTIALS_YES;
	return outcome == IPC_GONE ? CREDENTIALS_NO : CREDENTIALS_TROUBLE;
}

/* -- a database -- */

static void
on_found(struct job *j, enum ipc_outcome outcome, const char *value)
{
	struct exchange *x = j->owner;

	answer(x, answer_of(outcome), x->key, value);
}

static void
ask_hasher(struct job *j)
{
	struct exchange *x = j->owner;
	struct msg_find m = {.table = x->table, .service = SERVICE_AUTH, .key = x->key};

	if (pool_find(x->vault->pool, j, &m, on_found) == -1)
		trouble(x);
}

static void
find_in_database(struct exchange *x, const char *table)
{
	str_cut(x->table, sizeof(x->table), table);
	/* A login is one whatever its case; databases are asked in lower case. */
	str_lower(x->key);
	if (x->job.slot != NULL) {
		ask_hasher(&x->job);
		return;
	}
	x->job.ready = ask_hasher;
	if (pool_wait(x->vault->pool, &x->job, x->network) == -1)
		trouble(x);
}

/* -- a program of tables -- */

static void
on_program(void *owner, enum ipc_outcome outcome, const char *value)
{
	struct exchange *x = owner;

	x->program = NULL;
	answer(x, answer_of(outcome), x->key, value);
}

static void
ask_program(struct exchange *x, const char *table)
{
	const struct program_key key = {table, SERVICE_AUTH, x->key};

	str_lower(x->key);
	x->program = program_ask(x->vault, &key, on_program, x);
	if (x->program == NULL)
		trouble(x);
}

/* -- the system's accounts -- */

static void
on_shadow_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct exchange *x = owner;

	(void)req;
	(void)why;
	x->ask = 0;
	trouble(x);
}

void
value_shadow_answer(struct exchange *x, enum ipc_outcome outcome, const char *stored)
{
	answer(x, answer_of(outcome), x->key, stored);
}

static void
find_in_shadow(struct exchange *x)
{
	struct service *s = x->vault->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_shadow m = {.name = x->key};

	if (strlen(x->key) > IPC_WORD_MAX) { /* no account has such a name */
		answer(x, CREDENTIALS_NO, "", "");
		return;
	}
	m.req = x->ask = ask_begin(
	    service_asks(s), parent, service_now_ms(s) + SHADOW_DEADLINE_MS, on_shadow_failed, x);
	if (x->ask == 0 || channel_send(parent, MSG_shadow, &m) == -1)
		trouble(x);
}

void
value_find(struct exchange *x, struct credentials *c, const char *key, value_done done)
{
	const char *found = "", *value = "";
	enum credentials_answer a;

	x->on_value = done;
	str_cut(x->key, sizeof(x->key), key);
	switch (c == NULL ? CREDENTIALS_REMOTE : credentials_where(c)) {
	case CREDENTIALS_HERE:
		a = credentials_value(c, key, &found, &value);
		answer(x, a, found, value);
		break;
	case CREDENTIALS_SQLITE:
		find_in_database(x, credentials_name(c));
		break;
	case CREDENTIALS_PROGRAM:
		ask_program(x, credentials_name(c));
		break;
	case CREDENTIALS_SYSTEM:
		find_in_shadow(x);
		break;
	case CREDENTIALS_REMOTE:
		trouble(x);
		break;
	}
}
