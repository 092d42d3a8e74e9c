/* SPDX-License-Identifier: ISC */
/*
 * The schedule: what is due becomes work, work is expanded by lookup, and
 * works of one message for one destination become a job.
 *
 * Invariants: a recipient is in p->working exactly while something is being
 * done about it, so it is never handed out twice; only a bounded number is.
 * Nothing here is remembered that the spool does not know: a crash costs
 * the attempts under way, no more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "queue/queue.h"

#define WORKING_LIMIT	   1024 /* recipients under way at once */
#define PULL_MAX	   256	/* recipients taken from the spool in a turn */
#define JOB_RCPTS_MAX	   100	/* RFC 5321 4.5.3.1.8: what every server must take */
#define EXPAND_DEADLINE_MS 90000
#define EXPAND_MAX	   10000 /* recipients that one may become */

struct expansion { /* what lookup said so far; owned by its work */
	struct spool_rcpt *items;
	size_t n;
	bool too_many;
};

/* -- messages, shared by works -- */

static void
message_release(struct job_message *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	free(m->sender);
	free(m->envid);
	free(m->ret);
	free(m);
}

static struct job_message *
message_copy(const struct spool_message *from)
{
	struct job_message *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	*m = (struct job_message){.refs = 1,
	    .id = from->id,
	    .size_bytes = from->size_bytes,
	    .nchunks = from->nchunks,
	    .flags = from->flags,
	    .sender = strdup(from->sender),
	    .envid = strdup(from->envid),
	    .ret = strdup(from->ret)};
	if (m->sender == NULL || m->envid == NULL || m->ret == NULL) {
		message_release(m);
		return NULL;
	}
	return m;
}

/* -- work -- */

static void
item_clear(struct spool_rcpt *r)
{
	free((char *)(uintptr_t)r->address);
	free((char *)(uintptr_t)r->action);
	free((char *)(uintptr_t)r->user);
	free((char *)(uintptr_t)r->dest);
}

static void
expansion_free(struct work *w)
{
	struct expansion *e = w->expansion;
	size_t i;

	if (e == NULL)
		return;
	for (i = 0; i < e->n; i++)
		item_clear(&e->items[i]);
	free(e->items);
	free(e);
	w->expansion = NULL;
}

static void
work_destroy(struct work *w)
{
	expansion_free(w);
	message_release(w->message);
	free(w->address);
	free(w->action);
	free(w->user);
	free(w->dest);
	free(w->orcpt);
	free(w->original);
	free(w);
}

static void
ready_remove(struct work *w)
{
	TAILQ_REMOVE(&w->program->ready, w, entry);
	w->is_ready = false;
}

void
work_free(struct work *w)
{
	if (w->is_ready)
		ready_remove(w);
	(void)map_remove_u64(w->program->working, w->key);
	ask_end(service_asks(w->program->service), w->question);
	work_destroy(w);
}

static struct work *
work_create(struct program *p, struct job_message *m, const struct spool_rcpt *r)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct work){.program = p,
	    .key = r->key,
	    .attempts = r->attempts,
	    .notify = r->notify,
	    .address = strdup(r->address),
	    .action = strdup(r->action),
	    .user = strdup(r->user),
	    .dest = strdup(r->dest),
	    .orcpt = strdup(r->orcpt),
	    .original = strdup(r->original),
	    .message = m};
	m->refs++;
	if (w->address == NULL || w->action == NULL || w->user == NULL || w->dest == NULL ||
	    w->orcpt == NULL || w->original == NULL || map_set_u64(p->working, w->key, w) == -1) {
		work_destroy(w);
		return NULL;
	}
	return w;
}

/* -- verdicts -- */

/* RFC 5321 4.5.4.1: wait longer after each failure, from minutes to hours. */
static int64_t
retry_delay(const struct program *p, uint32_t attempts)
{
	int64_t delay = p->conf->values.retry_min_s, max = p->conf->values.retry_max_s;
	uint32_t i;

	for (i = 0; i < attempts && delay < max; i++)
		delay *= 2;
	return delay < max ? delay : max;
}

static void
on_recorded(void *arg, int error)
{
	struct work *w = arg;
	struct program *p = w->program;

	if (error == 0 || error == ENOENT) { /* an admin removed it meanwhile */
		work_free(w);
		p->more_due = true;
		return;
	}
	if (!w->is_unrecorded)
		log_warn("event=verdict-not-stored error=\"%s\"", strerror(error));
	w->is_unrecorded = true;
	TAILQ_INSERT_TAIL(&p->unrecorded, w, entry);
}

/*
 * While the spool can't take verdicts (a full disk), nothing is delivered over
 * and over: what was delivered is only to be written down; the rest is due again.
 */
void
schedule_tick(struct program *p)
{
	struct work *w;

	while ((w = TAILQ_FIRST(&p->unrecorded)) != NULL) {
		TAILQ_REMOVE(&p->unrecorded, w, entry);
		if (w->is_delivered) {
			spool_delivered(p->spool, w->key, on_recorded, w);
			continue;
		}
		work_free(w);
		p->more_due = true;
	}
}

/* What delivery did not log, for it never had it. */
static void
log_ours(const struct work *w, const char *event, const struct spool_answer *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, event);
	logline_id(&l, "id", SPOOL_KEY_MESSAGE(w->key));
	logline_str(&l, "to", w->address);
	logline_str(&l, "status", why->status);
	logline_str(&l, "text", why->text);
	logline_end(&l);
}

void
work_deliver(struct work *w, enum ipc_outcome outcome, const struct spool_answer *why)
{
	struct program *p = w->program;
	int64_t now_s = service_now_s(p->service);
	static const struct spool_answer expired = {"4.4.7", "could not be delivered in time", ""};
	const struct spool_answer *last = why;

	w->question = 0;
	if (outcome == IPC_OK) {
		p->delivered++;
		w->is_delivered = true;
		spool_delivered(p->spool, w->key, on_recorded, w);
		return;
	}
	if (outcome != IPC_FAIL && w->expires_s > now_s) {
		p->deferred++;
		spool_deferred(
		    p->spool, w->key, now_s + retry_delay(p, w->attempts), why, on_recorded, w);
		return;
	}
	if (outcome != IPC_FAIL && why->text[0] == '\0')
		last = &expired;
	if (outcome != IPC_FAIL)
		log_ours(w, "expired", last);
	p->failed++;
	spool_failed(p->spool, w->key, now_s, last, on_recorded, w);
}

/* -- expansion -- */

static void
on_expand_failed(void *owner, uint32_t req, enum ask_failure why)
{
	static const struct spool_answer answer = {
	    "4.3.0", "the recipient could not be looked up", ""};

	(void)req;
	(void)why;
	work_deliver(owner, IPC_RETRY, &answer);
}

static void
ask_expand(struct work *w)
{
	struct service *service = w->program->service;
	struct channel *lookup = service_peer(service, ROLE_LOOKUP, 0);
	struct msg_expand m = {.address = w->address, .action = w->action};

	w->question = lookup == NULL
			  ? 0
			  : ask_begin(service_asks(service), lookup,
				service_now_ms(service) + EXPAND_DEADLINE_MS, on_expand_failed, w);
	if (w->question == 0) {
		on_expand_failed(w, 0, ASK_LOST);
		return;
	}
	m.req = w->question;
	(void)channel_send(lookup, MSG_expand, &m);
}

static int
expansion_add(struct expansion *e, const struct msg_expand_item *m)
{
	struct spool_rcpt *items, *r;

	if ((e->n & (e->n + 1)) == 0 ||
	    e->items == NULL) { /* at 0, 1, 3, 7...: room for as many again */
		items = reallocarray(e->items, 2 * e->n + 2, sizeof(*items));
		if (items == NULL)
			return -1;
		e->items = items;
	}
	r = &e->items[e->n];
	*r = (struct spool_rcpt){.state = SPOOL_READY,
	    .address = strdup(m->address),
	    .action = strdup(m->action),
	    .user = strdup(m->user),
	    .dest = strdup(m->dest)};
	if (r->address == NULL || r->action == NULL || r->user == NULL || r->dest == NULL) {
		item_clear(r);
		return -1;
	}
	e->n++;
	return 0;
}

void
schedule_expanded_item(struct work *w, const struct msg_expand_item *m)
{
	struct expansion *e = w->expansion;

	if (e == NULL && (w->expansion = e = calloc(1, sizeof(*e))) == NULL)
		return;
	if (e->n >= EXPAND_MAX || expansion_add(e, m) == -1)
		e->too_many = true;
}

/* One for one, which is most mail: no change of the spool, straight into a job. */
static bool
expand_to_one(struct work *w)
{
	struct spool_rcpt *r = &w->expansion->items[0];

	if (w->expansion->n != 1)
		return false;
	free(w->address);
	free(w->action);
	free(w->user);
	free(w->dest);
	w->address = (char *)(uintptr_t)r->address;
	w->action = (char *)(uintptr_t)r->action;
	w->user = (char *)(uintptr_t)r->user;
	w->dest = (char *)(uintptr_t)r->dest;
	w->expansion->n = 0;
	expansion_free(w);
	return true;
}

static void
expand_to_many(struct work *w)
{
	struct program *p = w->program;

	spool_expand(p->spool, w->key, w->expansion->items, w->expansion->n,
	    service_now_s(p->service), on_recorded, w);
	expansion_free(w);
}

static void ready_add(struct work *w);

void
schedule_expanded(struct work *w, const struct msg_expand_end *m)
{
	struct spool_answer answer = {m->status, m->text, ""};

	ask_end(service_asks(w->program->service), w->question);
	w->question = 0;
	if (m->outcome != IPC_OK) {
		log_ours(w, m->outcome == IPC_FAIL ? "failed" : "deferred", &answer);
		work_deliver(w, (enum ipc_outcome)m->outcome, &answer);
	} else if (w->expansion == NULL || w->expansion->too_many) {
		answer = (struct spool_answer){
		    "4.3.0", "the recipient stands for too many others", ""};
		work_deliver(w, IPC_RETRY, &answer);
	} else if (expand_to_one(w))
		ready_add(w);
	else
		expand_to_many(w);
}

/* -- from due to done -- */

static void
ready_add(struct work *w)
{
	w->is_ready = true;
	TAILQ_INSERT_TAIL(&w->program->ready, w, entry);
}

static struct work *
ready_take(struct program *p)
{
	struct work *w = TAILQ_FIRST(&p->ready);

	if (w != NULL)
		ready_remove(w);
	return w;
}

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
		if (same_job(first, w)) {
			ready_remove(w);
			job_add(j, w);
		}
	}
	job_send(j, delivery);
}

static void
send_ready(struct program *p)
{
	struct channel *delivery = service_peer(p->service, ROLE_DELIVERY, 0);
	struct work *w;

	while ((w = ready_take(p)) != NULL)
		if (delivery == NULL || p->paused)
			work_free(w); /* still due in the spool */
		else
			send_job(p, w, delivery);
}

struct pull { /* one look at the spool */
	struct program *p;
	struct work *unexpanded[PULL_MAX];
	size_t n;
	struct job_message *message; /* of the last one: recipients come grouped */
};

static bool
pull_skip(void *arg, uint64_t key)
{
	const struct pull *pull = arg;

	return map_get_u64(pull->p->working, key) != NULL;
}

static void
pull_visit(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct pull *pull = arg;
	struct work *w;

	if (pull->message == NULL || pull->message->id != m->id) {
		message_release(pull->message);
		if ((pull->message = message_copy(m)) == NULL)
			return;
	}
	if ((w = work_create(pull->p, pull->message, r)) == NULL)
		return;
	w->expires_s = m->expires_s;
	/* One that stands for itself alone stays so in the spool, and is expanded at each attempt. */
	if (r->state == SPOOL_EXPAND)
		pull->unexpanded[pull->n++] = w;
	else
		ready_add(w);
}

/* How many may be pulled; in batches, for each look passes over what is under way. */
static size_t
room(const struct program *p)
{
	return map_count(p->working) + PULL_MAX <= WORKING_LIMIT ? PULL_MAX : 0;
}

static void
pull_due(struct program *p, size_t limit)
{
	int64_t now_s = service_now_s(p->service);
	size_t before = map_count(p->working), i;
	struct pull pull = {.p = p};

	if (spool_due(p->spool, now_s, limit, pull_skip, pull_visit, &pull) == -1) {
		p->next_due_s = now_s + 1; /* the store is down for now */
		p->more_due = false;
		return;
	}
	message_release(pull.message);
	/* Only now: an answer changes the spool, which must not be while it is read. */
	for (i = 0; i < pull.n; i++)
		ask_expand(pull.unexpanded[i]);
	if (map_count(p->working) - before < limit) {
		p->more_due = false;
		p->next_due_s = spool_next_due(p->spool, now_s);
	}
}

void
schedule_run(struct program *p)
{
	size_t limit = room(p);

	if (p->more_due && !p->paused && limit > 0 &&
	    service_peer(p->service, ROLE_DELIVERY, 0) != NULL &&
	    service_peer(p->service, ROLE_LOOKUP, 0) != NULL)
		pull_due(p, limit);
	send_ready(p);
}
