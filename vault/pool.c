/* SPDX-License-Identifier: ISC */
/*
 * The hashers, and who has them.
 *
 * Invariants: a slot has at most one question under way and at most one job;
 * a job has a slot, or waits for one, or neither.  Nobody's callback is called
 * from within its own call.  Nothing is fatal.
 */
#include "vault/pool.h"

#include <stdlib.h>

#include "lib/ipc/ask.h"
#include "lib/service/service.h"

struct pool_slot {
	struct channel *ch; /* NULL: no hasher here */
	uint32_t ask;	    /* what it was asked; 0: it does nothing */
	struct job *job;    /* who has it; NULL: nobody, or one that has let go */
};

struct pool {
	struct service **service;
	struct turns *turns;
	struct pool_slot slots[IPC_INSTANCES_MAX];
};

struct pool *
pool_create(struct service **service)
{
	struct pool *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->service = service;
	if ((p->turns = turns_create()) == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	turns_free(p->turns);
	free(p);
}

void
pool_link(struct pool *p, struct channel *ch)
{
	p->slots[channel_instance(ch)] = (struct pool_slot){.ch = ch};
}

/* What was asked of it has failed before. */
void
pool_unlink(struct pool *p, struct channel *ch)
{
	struct pool_slot *s = &p->slots[channel_instance(ch)];

	if (s->ch != ch)
		return;
	if (s->job != NULL)
		s->job->slot = NULL;
	*s = (struct pool_slot){0};
}

int
pool_wait(struct pool *p, struct job *j, const char *client)
{
	bug_on(j->slot != NULL);
	return turn_wait(p->turns, &j->turn, client);
}

void
pool_let_go(struct pool *p, struct job *j)
{
	turn_leave(p->turns, &j->turn);
	if (j->slot != NULL)
		j->slot->job = NULL;
	j->slot = NULL;
}

void
pool_run(struct pool *p)
{
	struct turn *turn;
	struct job *j;
	size_t i;

	for (i = 0; i < NITEMS(p->slots); i++) {
		struct pool_slot *s = &p->slots[i];

		/* A job may find that it needs none, and let go at once. */
		while (s->ch != NULL && s->job == NULL && s->ask == 0 &&
		       (turn = turns_next(p->turns)) != NULL) {
			j = (struct job *)(void *)((char *)turn - offsetof(struct job, turn));
			j->slot = s;
			s->job = j;
			j->ready(j);
		}
	}
}

/* -- questions -- */

static void
finish(struct pool_slot *s, enum ipc_outcome outcome, const char *value)
{
	s->ask = 0;
	if (s->job != NULL)
		s->job->done(s->job, outcome, value);
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	(void)why;
	finish(owner, IPC_RETRY, "");
}

/* Asks; 0: it can't. */
static uint32_t
ask(struct pool *p, struct job *j, job_done done)
{
	struct pool_slot *s = j->slot;

	if (s == NULL)
		return 0;
	bug_on(s->ask != 0);
	j->done = done;
	j->data = (struct span){NULL, 0};
	s->ask = ask_begin(service_asks(*p->service), s->ch,
	    service_now_ms(*p->service) + POOL_DEADLINE_MS, on_failed, s);
	return s->ask;
}

static int
send_or_fail(struct pool *p, struct job *j, enum message_type type, const void *msg)
{
	if (channel_send(j->slot->ch, type, msg) == 0)
		return 0;
	ask_end(service_asks(*p->service), j->slot->ask);
	j->slot->ask = 0;
	return -1;
}

int
pool_hash(struct pool *p, struct job *j, const char *stored, struct span password, job_done done)
{
	struct msg_hash m = {.stored = stored, .password = password};

	if ((m.req = ask(p, j, done)) == 0)
		return -1;
	return send_or_fail(p, j, MSG_hash, &m);
}

int
pool_find(struct pool *p, struct job *j, const struct msg_find *question, job_done done)
{
	struct msg_find m = *question;

	if ((m.req = ask(p, j, done)) == 0)
		return -1;
	return send_or_fail(p, j, MSG_find, &m);
}

int
pool_derive(struct pool *p, struct job *j, const struct msg_derive *question, job_done done)
{
	struct msg_derive m = *question;

	if ((m.req = ask(p, j, done)) == 0)
		return -1;
	return send_or_fail(p, j, MSG_derive, &m);
}

void
pool_answer_data(
    struct pool *p, struct channel *ch, uint32_t req, enum ipc_outcome outcome, struct span data)
{
	const struct pool_slot *s = ask_owner(service_asks(*p->service), ch, req);

	if (s != NULL && s->job != NULL)
		s->job->data = data;
	pool_answer(p, ch, req, outcome, "");
}

void
pool_answer(
    struct pool *p, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *value)
{
	struct asks *asks = service_asks(*p->service);
	struct pool_slot *s = ask_owner(asks, ch, req);

	if (s == NULL)
		return; /* too late */
	ask_end(asks, req);
	finish(s, outcome, value);
}

/* -- what there is -- */

size_t
pool_waiting(const struct pool *p)
{
	return turns_count(p->turns);
}

size_t
pool_hashers(const struct pool *p)
{
	size_t i, n = 0;

	for (i = 0; i < NITEMS(p->slots); i++)
		n += p->slots[i].ch != NULL;
	return n;
}
