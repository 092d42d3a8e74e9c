/* SPDX-License-Identifier: ISC */
/*
 * Jobs under way: what delivery was handed, and what it says became of it.
 *
 * Invariant: a job holds the works that delivery still owes a verdict on.  A
 * verdict on anything else is a breach; the death of delivery frees all
 * works, which are then due again in the spool.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "queue/queue.h"

#define DEATH_WINDOW_MS 60000

/* Counts the jobs of a message: delivery may read it while there are any. */
static int
hand_out(struct program *p, uint64_t id, intptr_t change)
{
	intptr_t n = (intptr_t)map_get_u64(p->handed, id) + change;

	if (n > 0)
		return map_set_u64(p->handed, id, (void *)n);
	(void)map_remove_u64(p->handed, id);
	return 0;
}

struct job *
job_create(struct program *p, struct job_message *message)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	TAILQ_INIT(&j->works);
	j->program = p;
	j->message = message;
	do {
		j->req = ++p->last_job;
	} while (j->req == 0 || map_get_u64(p->jobs, j->req) != NULL);
	if (hand_out(p, message->id, 1) == -1) {
		free(j);
		return NULL;
	}
	if (map_set_u64(p->jobs, j->req, j) == -1) {
		(void)hand_out(p, message->id, -1);
		free(j);
		return NULL;
	}
	return j;
}

void
job_add(struct job *j, struct work *w)
{
	work_stage(w, WORK_HANDED);
	w->job = j;
	TAILQ_INSERT_TAIL(&j->works, w, entry);
	j->nworks++;
	/* Each work counts its message, so it outlives the job that borrows it from the first. */
}

static void
job_remove(struct job *j, struct work *w)
{
	TAILQ_REMOVE(&j->works, w, entry);
	w->job = NULL;
	if (--j->nworks > 0)
		return;
	(void)map_remove_u64(j->program->jobs, j->req);
	(void)hand_out(j->program, SPOOL_KEY_MESSAGE(w->key), -1);
	free(j);
}

static struct msg_job
describe(const struct job *j)
{
	const struct job_message *m = j->message;
	const struct work *first = TAILQ_FIRST(&j->works);

	return (struct msg_job){.req = j->req,
	    .id = m->id,
	    .sender = m->sender,
	    .action = first->action,
	    .dest = first->dest,
	    .flags = m->flags,
	    .size_bytes = m->size_bytes,
	    .nchunks = m->nchunks,
	    .nrcpts = (uint32_t)j->nworks,
	    .envid = m->envid,
	    .ret = m->ret,
	    .priority = m->priority,
	    .by_s = m->by_s,
	    .by = (uint8_t)m->by,
	    .by_trace = m->by_trace,
	    .tls_best = (uint8_t)(first->user[0] != '\0' ? IPC_TLS_PLAIN
							 : tls_best(j->program, first->dest))};
}

static struct msg_job_rcpt
describe_rcpt(const struct job *j, const struct work *w)
{
	return (struct msg_job_rcpt){.req = j->req,
	    .key = w->key,
	    .address = w->address,
	    .original = w->original,
	    .user = w->user,
	    .orcpt = w->orcpt,
	    .notify = w->notify};
}

/* The spool gave something that no message can carry: these recipients can't be served. */
static void
job_give_up(struct job *j)
{
	static const struct spool_answer why = {"5.3.0", "the message is damaged in the spool", ""};
	struct work *w;
	size_t n;

	for (n = j->nworks; n > 0; n--) {
		w = TAILQ_FIRST(&j->works);
		job_remove(j, w);
		outcome_set(w, IPC_FAIL, &why);
	}
}

static bool
job_fits(const struct job *j, const struct msg_job *m)
{
	const struct work *w;

	if (!message_fits(MSG_job, m))
		return false;
	TAILQ_FOREACH (w, &j->works, entry) {
		struct msg_job_rcpt r = describe_rcpt(j, w);

		if (!message_fits(MSG_job_rcpt, &r))
			return false;
	}
	return true;
}

void
job_send(struct job *j, struct channel *delivery)
{
	struct msg_job m = describe(j);
	const struct work *w;

	if (!job_fits(j, &m)) {
		job_give_up(j);
		return;
	}
	(void)channel_send(delivery, MSG_job, &m);
	TAILQ_FOREACH (w, &j->works, entry) {
		struct msg_job_rcpt r = describe_rcpt(j, w);

		(void)channel_send(delivery, MSG_job_rcpt, &r);
	}
}

void
job_verdict(struct program *p, struct channel *ch, const struct msg_verdict *m)
{
	struct work *w = map_get_u64(p->working, m->key);

	if (w == NULL || w->job == NULL || w->job->req != m->req) {
		channel_reject(ch, "a verdict nobody asked for");
		return;
	}
	job_remove(w->job, w);
	outcome_verdict(w, m);
}

struct chunk_answer {
	struct channel *ch;
	struct msg_chunk m;
};

static void
send_chunk(void *arg, struct span data)
{
	struct chunk_answer *a = arg;

	a->m.outcome = IPC_OK;
	a->m.data = data;
	(void)channel_send(a->ch, MSG_chunk, &a->m);
}

void
job_chunk(struct program *p, struct channel *ch, const struct msg_chunk_get *m)
{
	struct chunk_answer answer = {.ch = ch, .m = {.req = m->req, .outcome = IPC_GONE}};

	if (map_get_u64(p->handed, m->id) == NULL)
		errno = ENOENT; /* not delivery's to read */
	else if (spool_read(p->spool, m->id, m->seq, send_chunk, &answer) == 0)
		return;
	answer.m.outcome = (uint8_t)(errno == ENOENT ? IPC_GONE : IPC_RETRY);
	answer.m.data = (struct span){NULL, 0};
	(void)channel_send(ch, MSG_chunk, &answer.m);
}

static int
any(void *arg, void *value)
{
	*(struct job **)arg = value;
	return 1;
}

/* Deaths close to each other are counted: something that delivery is given may be killing it. */
static void
count_death(struct program *p)
{
	int64_t now_ms = service_now_ms(p->service);

	p->deaths = now_ms - p->death_ms < DEATH_WINDOW_MS ? p->deaths + 1 : 1;
	p->death_ms = now_ms;
}

void
jobs_lost(struct program *p)
{
	struct job *j;
	struct work *w;
	size_t n;

	count_death(p);
	while (map_each(p->jobs, any, &j) == 1)
		for (n = j->nworks; n > 0; n--) {
			w = TAILQ_FIRST(&j->works);
			job_remove(j, w);
			outcome_lost(w);
		}
	p->more_due = true;
}
