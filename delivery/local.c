/* SPDX-License-Identifier: ISC */
/*
 * Mail for mailboxes on this host: the delivery agents.
 *
 * Invariants: one agent a mailbox, at most DELIVERY_AGENTS_MAX that get on; what an
 * agent does wrong costs it its channel and defers its letters.  An agent
 * that ends inside a callback is freed by local_turn().
 */
#include "delivery/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/local_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define LETTERS_WINDOW	 16   /* with an agent at once: they share a sync of the directory */
#define AGENT_LETTERS	 1000 /* then a fresh one */
#define AGENT_IDLE_MS	 5000
#define START_TIMEOUT_MS 60000
#define STALLED_MS	 5000 /* without a sign of life */
#define STALLED_MAX	 4    /* of one user; then it has to wait */
#define KEYS_MAX	 (DELIVERY_JOBS_MAX * 2)

/* -- an agent -- */

static bool
is_running(const struct agent *a)
{
	return a->state == AGENT_STARTING || a->state == AGENT_READY;
}

static void
agent_fail_letters(struct agent *a, const struct verdict *v)
{
	struct letter *l;

	while ((l = TAILQ_FIRST(&a->sent)) != NULL || (l = TAILQ_FIRST(&a->waiting)) != NULL)
		letter_verdict(l, v);
}

static void
agent_gets_on(struct agent *a)
{
	a->since_ms = service_now_ms(a->delivery->service);
	a->delivery->local.nstalled -= a->stalled;
	a->stalled = false;
}

/* The parent sees to it that it ends. */
static void
let_go(struct agent *a)
{
	struct msg_agent_end m = {.req = a->started};

	if (a->started != 0)
		(void)channel_send(
		    service_peer(a->delivery->service, ROLE_PARENT, 0), MSG_agent_end, &m);
	a->started = 0;
}

/* why NULL: it is not needed any more. */
static void
agent_end(struct agent *a, const struct verdict *why)
{
	struct local *local = &a->delivery->local;

	if (a->state == AGENT_DEAD)
		return;
	agent_gets_on(a);
	local->running -= is_running(a);
	a->state = AGENT_DEAD;
	ask_end(service_asks(a->delivery->service), a->req);
	TAILQ_REMOVE(&local->agents, a, entry);
	(void)map_remove(local->by_key, a->key);
	TAILQ_INSERT_TAIL(&local->dead, a, entry);
	if (why != NULL)
		agent_fail_letters(a, why);
	if (a->ch != NULL) {
		asks_channel_lost(service_asks(a->delivery->service), a->ch);
		channel_free(a->ch);
		a->ch = NULL;
	}
	let_go(a);
}

void
agent_fail(struct agent *a, enum cause cause)
{
	struct verdict v;

	verdict_of(&v, cause, NULL);
	agent_end(a, &v);
}

static void
on_start_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct agent *a = owner;

	(void)req;
	(void)why;
	a->req = 0;
	agent_fail(a, CAUSE_NO_AGENT);
}

static void
agent_start(struct agent *a)
{
	struct service *s = a->delivery->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_agent_start m = {.action = a->action, .user = a->user, .path = a->path};

	a->state = AGENT_STARTING;
	agent_gets_on(a);
	a->delivery->local.running++;
	m.req = a->req = ask_begin(
	    service_asks(s), parent, service_now_ms(s) + START_TIMEOUT_MS, on_start_failed, a);
	if (m.req == 0 || channel_send(parent, MSG_agent_start, &m) == -1)
		agent_fail(a, CAUSE_NO_AGENT);
}

static void
agent_feed(struct agent *a)
{
	struct letter *l;

	while (a->state == AGENT_READY && !a->high && a->nsent < LETTERS_WINDOW &&
	       a->nserved < AGENT_LETTERS && (l = TAILQ_FIRST(&a->waiting)) != NULL) {
		if (a->nsent == 0)
			agent_gets_on(a);
		letter_send(l);
	}
}

static void
on_put_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = ctx;
	const struct msg_put_verdict *m = &msg->put_verdict;
	struct letter *l = ask_owner(service_asks(a->delivery->service), ch, m->req);
	struct verdict v;

	(void)fd;
	if (l == NULL)
		return;
	if (l->state != LETTER_WHOLE) {
		channel_reject(ch, "a verdict ahead of the message");
		return;
	}
	verdict_set(&v, (enum ipc_outcome)m->outcome, m->status, m->text);
	agent_gets_on(a);
	letter_verdict(l, &v);
	agent_feed(a);
}

static void
on_agent_close(void *ctx, struct channel *ch)
{
	(void)ch; /* a->ch: agent_end() frees it */
	agent_fail(ctx, CAUSE_AGENT_LOST);
}

static void
on_agent_pressure(void *ctx, struct channel *ch, bool high)
{
	struct agent *a = ctx;

	(void)ch;
	a->high = high; /* local_turn() acts on it */
}

/* What was written in a turn of the loop goes out at its end. */
static void
on_agent_pending(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static const channel_handler agent_handlers[MSG__MAX] = {[MSG_put_verdict] = on_put_verdict};

static const struct channel_rules agent_rules = {
    .self = ROLE_DELIVERY,
    .handlers = agent_handlers,
    .on_close = on_agent_close,
    .on_pressure = on_agent_pressure,
    .on_pending = on_agent_pending,
};

void
local_agent_started(struct agent *a, int fd)
{
	struct delivery *d = a->delivery;

	ask_end(service_asks(d->service), a->req);
	a->started = a->req;
	a->req = 0;
	a->ch = channel_create(service_base(d->service), fd, ROLE_AGENT, 0, &agent_rules);
	if (a->ch == NULL) {
		(void)close(fd);
		agent_fail(a, CAUSE_NO_AGENT);
		return;
	}
	channel_set_context(a->ch, a);
	a->state = AGENT_READY;
	a->idle_since_ms = service_now_ms(d->service);
	d->nagents++;
	agent_feed(a);
}

void
local_agent_refused(struct agent *a, const struct msg_agent_refused *m)
{
	struct verdict v;

	verdict_set(
	    &v, (enum ipc_outcome)m->outcome, m->outcome == IPC_FAIL ? "5.2.0" : "4.2.0", m->text);
	agent_end(a, &v);
}

/* -- a job -- */

static struct agent *
agent_create(
    struct delivery *d, const char *key, const struct job *j, size_t rcpt, const char *path)
{
	struct agent *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->asker = ASKER_AGENT;
	a->delivery = d;
	TAILQ_INIT(&a->waiting);
	TAILQ_INIT(&a->sent);
	if (str_copy(a->key, sizeof(a->key), key) == -1 ||
	    str_copy(a->action, sizeof(a->action), j->action) == -1 ||
	    str_copy(a->user, sizeof(a->user), j->rcpts[rcpt].user) == -1 ||
	    str_copy(a->path, sizeof(a->path), path) == -1 ||
	    map_set(d->local.by_key, key, a) == -1) {
		free(a);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&d->local.agents, a, entry);
	return a;
}

static struct agent *
agent_for(const struct job *j, size_t rcpt, const char *path)
{
	struct delivery *d = j->delivery;
	char key[LOCAL_KEY_SIZE];
	struct agent *a;

	if (str_format(key, sizeof(key), "%s\n%s\n%s", j->action, j->rcpts[rcpt].user, path) == -1)
		return NULL;
	a = map_get(d->local.by_key, key);
	return a != NULL ? a : agent_create(d, key, j, rcpt, path);
}

static void
start_rcpt(struct job *j, size_t rcpt, const struct conf_action *action)
{
	char path[IPC_PATH_MAX + 1];
	struct verdict v;
	struct agent *a;

	if (letter_path(action, j, rcpt, path, sizeof(path)) == -1) {
		verdict_of(&v, CAUSE_BAD_MAILBOX,
		    errno == ENAMETOOLONG
			? "its path would be too long"
			: "a slash or control character, or nothing, in its name");
		job_verdict(j, rcpt, &v, NULL);
		return;
	}
	if ((a = agent_for(j, rcpt, path)) == NULL || letter_create(a, j, rcpt) == -1) {
		verdict_of(&v, CAUSE_NO_MEMORY, NULL);
		job_verdict(j, rcpt, &v, NULL);
		return;
	}
	agent_feed(a);
}

void
local_start(struct job *j, const struct conf_action *action)
{
	size_t i;

	for (i = 0; i < j->nrcpts; i++)
		start_rcpt(j, i, action);
}

/* -- the loop's top -- */

static bool
is_idle(const struct agent *a)
{
	return a->state == AGENT_READY && a->nsent == 0 &&
	       (TAILQ_EMPTY(&a->waiting) || a->nserved >= AGENT_LETTERS);
}

/* It served its run.  The letters that wait are for the next one. */
static void
agent_retire(struct agent *a)
{
	struct delivery *d = a->delivery;

	agent_gets_on(a);
	if (TAILQ_EMPTY(&a->waiting)) {
		agent_end(a, NULL);
		return;
	}
	channel_free(a->ch);
	a->ch = NULL;
	let_go(a);
	a->nserved = 0;
	a->high = a->was_high = false;
	a->state = AGENT_QUEUED;
	d->local.running--;
}

static bool
retire_longest_idle(struct local *local)
{
	struct agent *a, *longest = NULL;

	for (a = TAILQ_FIRST(&local->agents); a != NULL; a = TAILQ_NEXT(a, entry))
		if (is_idle(a) && (longest == NULL || a->idle_since_ms < longest->idle_since_ms))
			longest = a;
	if (longest == NULL)
		return false;
	agent_retire(longest);
	return true;
}

/*
 * An account whose mailboxes hang, perhaps by its own doing, is not to have all the
 * agents: those don't count, and it gets no more of them.
 */
static bool
is_full(const struct local *local)
{
	return local->running - local->nstalled >= DELIVERY_AGENTS_MAX ||
	       local->running >= DELIVERY_AGENTS_ALL;
}

static struct staller *
find_staller(struct local *local, const char *user)
{
	size_t i;

	for (i = 0; i < local->nstallers; i++)
		if (strcmp(local->stallers[i].user, user) == 0)
			return &local->stallers[i];
	return NULL;
}

static bool
stalls_much(struct local *local, const char *user)
{
	const struct staller *s = find_staller(local, user);

	return s != NULL && s->n >= STALLED_MAX;
}

static void
note_staller(struct local *local, const char *user)
{
	struct staller *s = find_staller(local, user);

	if (s == NULL && local->nstallers < NITEMS(local->stallers)) {
		s = &local->stallers[local->nstallers++];
		s->n = 0;
		str_cut(s->user, sizeof(s->user), user);
	}
	if (s != NULL)
		s->n++;
}

static void
note_stalled(struct local *local, int64_t now_ms)
{
	struct agent *a;

	local->nstalled = local->nstallers = 0;
	for (a = TAILQ_FIRST(&local->agents); a != NULL; a = TAILQ_NEXT(a, entry)) {
		a->stalled = (a->state == AGENT_STARTING || a->nsent > 0) &&
			     now_ms - a->since_ms >= STALLED_MS;
		if (!a->stalled)
			continue;
		local->nstalled++;
		note_staller(local, a->user);
	}
}

static void
start_queued(struct local *local)
{
	struct agent *a, *next;

	for (a = TAILQ_FIRST(&local->agents); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->state != AGENT_QUEUED || stalls_much(local, a->user))
			continue;
		if (is_full(local) && !retire_longest_idle(local))
			return;
		next = TAILQ_NEXT(a, entry); /* the retired one may have been it */
		agent_start(a);
	}
}

/* True when the pressure changed, and with it what may be sent. */
static bool
apply_pressure(struct agent *a)
{
	struct letter *l, *next;

	if (a->high == a->was_high)
		return false;
	a->was_high = a->high;
	for (l = TAILQ_FIRST(&a->sent); l != NULL && a->state == AGENT_READY; l = next) {
		next = TAILQ_NEXT(l, entry);
		body_pause(&l->body, a->was_high);
	}
	return true;
}

/* A flush may relieve the pressure, and that must not wait for another event. */
static void
agent_turn(struct agent *a)
{
	(void)apply_pressure(a);
	do {
		agent_feed(a);
		if (a->state == AGENT_READY)
			channel_flush(a->ch);
	} while (a->state == AGENT_READY && apply_pressure(a));
	if (a->nserved >= AGENT_LETTERS && is_idle(a))
		agent_retire(a);
}

static void
bury(struct local *local)
{
	struct agent *a;
	struct letter *l;

	while ((l = TAILQ_FIRST(&local->ended)) != NULL) {
		TAILQ_REMOVE(&local->ended, l, entry);
		free(l);
	}
	while ((a = TAILQ_FIRST(&local->dead)) != NULL) {
		TAILQ_REMOVE(&local->dead, a, entry);
		free(a);
	}
}

void
local_turn(struct delivery *d)
{
	struct local *local = &d->local;
	struct agent *a, *next;

	for (a = TAILQ_FIRST(&local->agents); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->state == AGENT_READY)
			agent_turn(a);
	}
	start_queued(local);
	bury(local);
}

void
local_tick(struct delivery *d)
{
	int64_t now = service_now_ms(d->service);
	struct agent *a, *next;

	note_stalled(&d->local, now);
	for (a = TAILQ_FIRST(&d->local.agents); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (is_idle(a) && now - a->idle_since_ms >= AGENT_IDLE_MS)
			agent_retire(a);
	}
}

int
local_init(struct delivery *d)
{
	TAILQ_INIT(&d->local.agents);
	TAILQ_INIT(&d->local.dead);
	TAILQ_INIT(&d->local.ended);
	return (d->local.by_key = map_create(KEYS_MAX)) == NULL ? -1 : 0;
}
