/* SPDX-License-Identifier: ISC */
/*
 * Questions to a program of tables.
 *
 * Invariant: a question has an owner until it is answered, fails or is cancelled,
 * whichever comes first; its value is wiped with it.  That program is believed
 * no more than a table: what it says is looked at by whoever asked.
 */
#include "vault/program.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/table_program.h"
#include "vault/vault.h"

#define QUESTION_MS 8000 /* that program gives up sooner */

struct program_question { /* owned by who asked, until done */
	struct vault *vault;
	uint32_t ask;
	program_done done;
	void *owner;
	bool has_row, is_bad;
	char value[IPC_SECRET_MAX + 1];
};

static void
question_free(struct program_question *q)
{
	explicit_bzero(q, sizeof(*q));
	free(q);
}

static void
finish(struct program_question *q, enum ipc_outcome outcome)
{
	q->done(q->owner, outcome, outcome == IPC_OK ? q->value : "");
	question_free(q);
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	(void)why;
	finish(owner, IPC_RETRY);
}

/* NULL: there is none, or it is down. */
static struct channel *
channel_of(const struct vault *v, const char *table)
{
	const struct conf_table *t = conf_table_find(v->conf, table);
	enum table_program program = t == NULL ? TABLE_PROGRAM__MAX : table_program_of(t->kind);

	return program == TABLE_PROGRAM__MAX ? NULL : service_peer(v->service, ROLE_TABLE, program);
}

struct program_question *
program_ask(struct vault *v, const struct program_key *key, program_done done, void *owner)
{
	struct msg_table_ask m = {
	    .table = key->table, .service = (uint8_t)key->service, .key = key->key};
	struct asks *asks = service_asks(v->service);
	struct channel *ch = channel_of(v, key->table);
	struct program_question *q;

	if (ch == NULL || (q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	q->vault = v;
	q->done = done;
	q->owner = owner;
	q->ask = ask_begin(asks, ch, service_now_ms(v->service) + QUESTION_MS, on_failed, q);
	m.req = q->ask;
	if (q->ask != 0 && channel_send(ch, MSG_table_ask, &m) == 0)
		return q;
	ask_end(asks, q->ask);
	question_free(q);
	return NULL;
}

/* At the end of the process the service is gone first. */
void
program_cancel(struct program_question *q)
{
	if (q == NULL)
		return;
	if (q->vault->service != NULL)
		ask_end(service_asks(q->vault->service), q->ask);
	question_free(q);
}

void
program_on_row(struct vault *v, struct channel *ch, const struct msg_table_row *m)
{
	struct program_question *q = ask_owner(service_asks(v->service), ch, m->req);

	if (q == NULL || q->has_row)
		return;
	q->has_row = true;
	q->is_bad = str_copy(q->value, sizeof(q->value), m->value) == -1;
}

void
program_on_end(struct vault *v, struct channel *ch, const struct msg_table_end *m)
{
	struct program_question *q = ask_owner(service_asks(v->service), ch, m->req);

	if (q == NULL)
		return;
	ask_end(service_asks(v->service), q->ask);
	if (m->outcome == IPC_OK && q->has_row && !q->is_bad)
		finish(q, IPC_OK);
	else
		finish(q, m->outcome == IPC_GONE && !q->has_row ? IPC_GONE : IPC_RETRY);
}
