/* SPDX-License-Identifier: ISC */
/*
 * The hashers, and who has them.
 *
 * Invariants: a slot has at most one question under way and at most one job;
 * a job has a slot, or waits for one, or neither.  Nobody's callback is called
 * from within its own call.  Nothing is fatal.
 */
#include "vault/work.h"

#include <stdlib.h>

#include "lib/ipc/ask.h"
#include "lib/service/service.h"

struct work_slot {
	struct channel *ch; /* NULL: no hasher here */
	uint32_t ask;	    /* what it was asked; 0: it does nothing */
	struct job *job;    /* who has it; NULL: nobody, or one that has let go */
};

struct work {
	struct service **service;
	struct turns *turns;
	struct work_slot slots[IPC_INSTANCES_MAX];
};

struct work *
work_create(struct service **service)
{
	struct work *w;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->service = service;
	if ((w->turns = turns_create()) == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void
work_free(struct work *w)
{
	if (w == NULL)
		return;
	turns_free(w->turns);
	free(w);
}

void
work_link(struct work *w, struct channel *ch)
{
	w->slots[channel_instance(ch)] = (struct work_slot){.ch = ch};
}

/* What was asked of it has failed before. */
void
work_unlink(struct work *w, struct channel *ch)
{
	struct work_slot *s = &w->slots[channel_instance(ch)];

	if (s->ch != ch)
		return;
	if (s->job != NULL)
		s->job->slot = NULL;
	*s = (struct work_slot){0};
}

int
work_wait(struct work *w, struct job *j, const char *client)
{
	bug_on(j->slot != NULL);
	return turn_wait(w->turns, &j->turn, client);
}

void
work_let_go(struct work *w, struct job *j)
{
	turn_leave(w->turns, &j->turn);
	if (j->slot != NULL)
		j->slot->job = NULL;
	j->slot = NULL;
}

void
work_run(struct work *w)
{
	struct turn *turn;
	struct job *j;
	size_t i;

	for (i = 0; i < NITEMS(w->slots); i++) {
		struct work_slot *s = &w->slots[i];

		/* A job may find that it needs none, and let go at once. */
		while (s->ch != NULL && s->job == NULL && s->ask == 0 &&
		       (turn = turns_next(w->turns)) != NULL) {
			j = (struct job *)(void *)((char *)turn - offsetof(struct job, turn));
			j->slot = s;
			s->job = j;
			j->ready(j);
		}
	}
}

/* -- questions -- */

static void
finish(struct work_slot *s, enum ipc_outcome outcome, const char *value)
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
ask(struct work *w, struct job *j, job_done done)
{
	struct work_slot *s = j->slot;

	if (s == NULL)
		return 0;
	bug_on(s->ask != 0);
	j->done = done;
	s->ask = ask_begin(service_asks(*w->service), s->ch,
	    service_now_ms(*w->service) + WORK_DEADLINE_MS, on_failed, s);
	return s->ask;
}

static int
send_or_fail(struct work *w, struct job *j, enum message_type type, const void *msg)
{
	if (channel_send(j->slot->ch, type, msg) == 0)
		return 0;
	ask_end(service_asks(*w->service), j->slot->ask);
	j->slot->ask = 0;
	return -1;
}

int
work_hash(struct work *w, struct job *j, const char *stored, struct span password, job_done done)
{
	struct msg_hash m = {.stored = stored, .password = password};

	if ((m.req = ask(w, j, done)) == 0)
		return -1;
	return send_or_fail(w, j, MSG_hash, &m);
}

int
work_find(struct work *w, struct job *j, const struct msg_find *question, job_done done)
{
	struct msg_find m = *question;

	if ((m.req = ask(w, j, done)) == 0)
		return -1;
	return send_or_fail(w, j, MSG_find, &m);
}

void
work_answer(
    struct work *w, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *value)
{
	struct asks *asks = service_asks(*w->service);
	struct work_slot *s = ask_owner(asks, ch, req);

	if (s == NULL)
		return; /* too late */
	ask_end(asks, req);
	finish(s, outcome, value);
}

/* -- what there is -- */

size_t
work_waiting(const struct work *w)
{
	return turns_count(w->turns);
}

size_t
work_hashers(const struct work *w)
{
	size_t i, n = 0;

	for (i = 0; i < NITEMS(w->slots); i++)
		n += w->slots[i].ch != NULL;
	return n;
}
