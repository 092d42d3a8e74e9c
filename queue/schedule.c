/* SPDX-License-Identifier: ISC */
/*
 * The schedule: what is due becomes work; work is expanded by lookup, and works
 * of one message for one destination become a job.
 *
 * Invariants: only a bounded number of recipients is under way, of each
 * destination and in all.  Nothing is remembered here that the spool does not
 * know: a crash costs the attempts under way, no more.
 */
#include <event2/event.h>
#include <string.h>

#include "queue/queue.h"

#define JOB_RCPTS_MAX 100   /* RFC 5321 4.5.3.1.8: what every server must take */
#define LOOK_MS	      30000 /* all that is due is looked at this often, whatever else happens */

/* -- out: works into jobs -- */

static bool
same_job(const struct work *a, const struct work *b)
{
	return a->message->id == b->message->id && strcmp(a->dest, b->dest) == 0 &&
	       strcmp(a->action, b->action) == 0;
}

/* Recipients of one message for one destination travel together. */
static void
send_job(struct program *p, struct work *first, struct channel *delivery)
{
	struct job *j = job_create(p, first->message);
	struct work *w, *next;

	if (j == NULL) {
		work_free(first);
		return;
	}
	job_add(j, first);
	for (w = TAILQ_FIRST(&p->ready); w != NULL && j->nworks < JOB_RCPTS_MAX; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (same_job(first, w) && destination_join(w))
			job_add(j, w);
	}
	job_send(j, delivery);
}

static void
send_ready(struct program *p)
{
	struct channel *delivery = service_peer(p->service, ROLE_DELIVERY, 0);
	int64_t now_s = service_now_s(p->service);
	struct work *w;

	while ((w = TAILQ_FIRST(&p->ready)) != NULL)
		if (work_is_late(w, now_s))
			outcome_late(w);
		else if (delivery == NULL || p->paused)
			work_free(w); /* still due in the spool */
		else if (destination_join(w))
			send_job(p, w, delivery);
}

void
schedule_hand_out(struct program *p)
{
	struct channel *delivery = service_peer(p->service, ROLE_DELIVERY, 0);

	if (delivery == NULL || service_is_draining(p->service))
		return;
	send_ready(p);
	channel_flush(delivery);
}

/* -- in: what is due into works -- */

struct pull { /* one look at the spool */
	struct program *p;
	struct work *works[PULL_MAX]; /* on which something is to be done when it is over */
	size_t n, taken;
	struct job_message *message; /* of the last one: recipients come grouped */
};

static bool
pull_skip(void *arg, uint64_t key)
{
	const struct pull *pull = arg;

	return map_get_u64(pull->p->working, key) != NULL;
}

static struct work *
pull_take(struct pull *pull, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct work *w;

	pull->taken++;
	if (pull->message == NULL || pull->message->id != m->id) {
		job_message_release(pull->message);
		if ((pull->message = job_message_copy(m)) == NULL)
			return NULL;
	}
	if ((w = work_create(pull->p, pull->message, r)) != NULL)
		w->expires_s = m->expires_s;
	return w;
}

static void
pull_visit(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct pull *pull = arg;
	struct work *w = pull_take(pull, m, r);

	if (w != NULL && r->state == SPOOL_EXPAND)
		pull->works[pull->n++] = w;
	else if (w != NULL)
		work_stage(w, WORK_READY);
}

/* How many may be pulled; in batches, for each look passes over what is under way. */
static size_t
room(const struct program *p)
{
	size_t working = map_count(p->working);

	if (working - p->nstage[WORK_PARKED] + PULL_MAX > WORKING_LIMIT ||
	    p->nstage[WORK_EXPANDING] + PULL_MAX > ASKED_LIMIT || working + PULL_MAX > WORKING_MAX)
		return 0;
	return PULL_MAX;
}

static void
pull_due(struct program *p, size_t limit)
{
	int64_t now_s = service_now_s(p->service);
	struct pull pull = {.p = p};
	size_t i;

	p->look_ms = service_now_ms(p->service);
	if (spool_due(p->spool, now_s, limit, pull_skip, pull_visit, &pull) == -1) {
		p->next_due_s = now_s + 1; /* the store is down for now */
		p->more_due = false;
		return;
	}
	job_message_release(pull.message);
	/* Only now: an answer changes the spool, which must not be while it is read. */
	for (i = 0; i < pull.n; i++)
		if (work_is_late(pull.works[i], now_s))
			outcome_late(pull.works[i]);
		else
			expand_ask(pull.works[i]);
	if (pull.taken < limit) {
		p->more_due = false;
		p->next_due_s = spool_next_due(p->spool, now_s);
	}
}

static bool
can_pull(const struct program *p)
{
	/* An outcome that the disk does not take is no time to deliver more. */
	return !p->paused && TAILQ_EMPTY(&p->unrecorded) &&
	       service_peer(p->service, ROLE_DELIVERY, 0) != NULL &&
	       service_peer(p->service, ROLE_LOOKUP, 0) != NULL;
}

void
schedule_run(struct program *p)
{
	size_t limit = room(p);

	if (service_now_ms(p->service) - p->look_ms > LOOK_MS)
		p->more_due = true;
	if (p->more_due && limit > 0 && can_pull(p))
		pull_due(p, limit);
	send_ready(p);
	/* Another batch in a turn of its own: what has come meanwhile is answered first. */
	if (p->more_due && room(p) > 0 && can_pull(p))
		event_active(p->again, EV_TIMEOUT, 0);
}

/* -- what is late is returned whether or not anything can be delivered -- */

static bool
late_skip(void *arg, uint64_t key)
{
	const struct pull *pull = arg;

	return pull->n == PULL_MAX || pull_skip(arg, key);
}

static void
late_visit(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct pull *pull = arg;
	struct work *w = pull_take(pull, m, r);

	if (w != NULL)
		pull->works[pull->n++] = w;
}

size_t
schedule_late(struct program *p, uint64_t id)
{
	struct pull pull = {.p = p};
	size_t i;
	int rc;

	rc = spool_scheduled(p->spool, id, late_skip, late_visit, &pull);
	job_message_release(pull.message);
	for (i = 0; i < pull.n; i++)
		if (rc == 0)
			outcome_late(pull.works[i]);
		else
			work_free(pull.works[i]); /* the store is down for now */
	return pull.n;
}

/* -- an admin's hold or removal reaches what was pulled already -- */

struct forget {
	uint64_t id;
	struct work *found[64];
	size_t n;
};

static int
forget_visit(void *arg, void *value)
{
	struct forget *f = arg;
	struct work *w = value;

	if ((w->stage == WORK_PARKED || w->stage == WORK_READY) &&
	    (f->id == 0 || SPOOL_KEY_MESSAGE(w->key) == f->id))
		f->found[f->n++] = w;
	return f->n == NITEMS(f->found);
}

void
schedule_forget(struct program *p, uint64_t id)
{
	struct forget f = {.id = id};
	size_t i;

	do {
		f.n = 0;
		(void)map_each(p->working, forget_visit, &f);
		for (i = 0; i < f.n; i++)
			work_free(f.found[i]);
	} while (f.n == NITEMS(f.found));
}
