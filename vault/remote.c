/* SPDX-License-Identifier: ISC */
/*
 * Tables that are programs behind a Unix socket: which questions there are, who
 * gets the next connection, and what becomes of them all when one is lost.
 *
 * Invariant: a question is in one list, its table's or one connection's, and ends
 * once: by an answer, its deadline, the loss of its connection, or because nobody
 * wants to know.  Nothing is fatal.
 */
#include "vault/remote.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/remote_private.h"

static void
log_trouble(const struct remote_table *t, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "table-trouble");
	logline_str(&l, "table", t->name);
	logline_str(&l, "why", why);
	logline_end(&l);
}

/* -- questions -- */

static void
question_remove(struct remote_question *q)
{
	if (q->link != NULL) {
		TAILQ_REMOVE(&q->link->questions, q, entry);
		q->link->nquestions--;
	} else
		TAILQ_REMOVE(&q->table->waiting, q, entry);
	q->table->nquestions--;
}

static void
question_free(struct remote_question *q)
{
	question_remove(q);
	buf_free(&q->line);
	free(q);
}

void
question_end(struct remote_question *q, enum ipc_auth result, const char *login)
{
	remote_done done = q->done;
	void *owner = q->owner;

	if (result != IPC_AUTH_TROUBLE)
		q->table->failures = 0;
	question_free(q);
	if (done != NULL)
		done(owner, result, login);
}

void
questions_end(struct remote_questions *list)
{
	struct remote_question *q;

	while ((q = TAILQ_FIRST(list)) != NULL)
		question_end(q, IPC_AUTH_TROUBLE, "");
}

/* Onto a connection; -1: not now. */
static int
question_send(struct remote_question *q, struct remote_link *l)
{
	if (link_write(l, buf_head(&q->line), q->line.len) == -1)
		return -1;
	TAILQ_REMOVE(&q->table->waiting, q, entry);
	TAILQ_INSERT_TAIL(&l->questions, q, entry);
	q->link = l;
	l->nquestions++;
	return 0;
}

/* -- tables -- */

static struct remote_link *
table_free_link(struct remote_table *t)
{
	size_t i;

	for (i = 0; i < t->protocol->links; i++)
		if (t->links[i].ready && t->links[i].nquestions < t->protocol->at_once)
			return &t->links[i];
	return NULL;
}

static size_t
table_count(const struct remote_table *t, enum remote_state state)
{
	size_t i, n = 0;

	for (i = 0; i < t->protocol->links; i++)
		n += t->links[i].state == state;
	return n;
}

/* As many more connections as there are questions that have none to hope for. */
static void
table_connect(struct remote_table *t)
{
	size_t n = table_count(t, REMOTE_ASKED), wanted = 0, i;
	const struct remote_question *q;

	if (t->remotes->now_ms < t->retry_ms)
		return;
	TAILQ_FOREACH (q, &t->waiting, entry)
		wanted++;
	for (i = 0; i < t->protocol->links && n < wanted; i++)
		if (t->links[i].state == REMOTE_DOWN) {
			if (link_ask(&t->links[i]) == -1)
				return;
			n++;
		}
}

void
table_work(struct remote_table *t)
{
	struct remote_question *q;
	struct remote_link *l;

	while ((q = TAILQ_FIRST(&t->waiting)) != NULL && (l = table_free_link(t)) != NULL)
		if (question_send(q, l) == -1)
			return;
	if (q != NULL)
		table_connect(t);
}

/* A helper that closed rather than answer again may not have seen this one. */
static bool
question_repeat(struct remote_question *q, const struct remote_link *l)
{
	if (q->repeated || l->answers == 0 || l->in.len > 0 || q->done == NULL ||
	    q->table->protocol->at_once != 1)
		return false;
	q->repeated = true;
	return true;
}

static void
table_back_off(struct remote_table *t, const char *why)
{
	int64_t wait_ms = REMOTE_BACKOFF_MS << (t->failures < 5 ? t->failures : 5);

	if (wait_ms > REMOTE_BACKOFF_MAX_MS)
		wait_ms = REMOTE_BACKOFF_MAX_MS;
	t->failures++;
	t->retry_ms = t->remotes->now_ms + wait_ms;
	log_trouble(t, why);
}

void
table_lost_link(struct remote_table *t, struct remote_link *l, const char *why)
{
	struct remote_question *q = TAILQ_FIRST(&l->questions);

	if (q != NULL && question_repeat(q, l)) {
		TAILQ_REMOVE(&l->questions, q, entry);
		l->nquestions--;
		q->link = NULL;
		TAILQ_INSERT_HEAD(&t->waiting, q, entry);
		why = NULL;
	}
	link_down(l);
	if (why != NULL)
		table_back_off(t, why);
	questions_end(&l->questions);
	if (why != NULL && table_count(t, REMOTE_DOWN) == t->protocol->links)
		questions_end(&t->waiting);
	table_work(t);
}

/* -- what Dovecot offers: a question about anything else would cost us the connection -- */

static bool
link_offers(const struct remote_link *l, enum remote_secret kind)
{
	return !l->table->protocol->greets || (l->offers >> kind & 1U) != 0;
}

static void
table_miss(struct remote_table *t, enum remote_secret kind)
{
	static const char *const why[] = {
	    [REMOTE_PASSWORD] = "it does not offer PLAIN",
	    [REMOTE_OAUTHBEARER] = "it does not offer OAUTHBEARER",
	    [REMOTE_XOAUTH2] = "it does not offer XOAUTH2",
	};

	if ((t->missed & 1U << kind) == 0)
		log_trouble(t, why[kind]);
	t->missed |= 1U << kind;
}

static struct remote_question *
first_not_offered(struct remote_table *t, const struct remote_link *l)
{
	struct remote_question *q;

	TAILQ_FOREACH (q, &t->waiting, entry)
		if (!link_offers(l, q->kind))
			return q;
	return NULL;
}

void
table_greeted(struct remote_table *t, struct remote_link *l)
{
	struct remote_question *q;

	while (l->ready && (q = first_not_offered(t, l)) != NULL) {
		table_miss(t, q->kind);
		question_end(q, IPC_AUTH_TROUBLE, "");
	}
}

static size_t
count_of(const struct remote_questions *list, const char *network)
{
	const struct remote_question *q;
	size_t n = 0;

	TAILQ_FOREACH (q, list, entry)
		n += strcmp(q->network, network) == 0;
	return n;
}

/* Whoever asks much does not keep others from asking. */
static bool
is_too_many(const struct remote_table *t, const char *network)
{
	size_t i, n = count_of(&t->waiting, network);

	for (i = 0; i < t->protocol->links; i++)
		n += count_of(&t->links[i].questions, network);
	return n >= REMOTE_WAITING_EACH;
}

/* Can it be asked now, as far as we know? */
static bool
table_is_open(struct remote_table *t, enum remote_secret kind)
{
	size_t i;

	if (t->nquestions >= REMOTE_WAITING_MAX || (t->protocol->kinds >> kind & 1U) == 0)
		return false;
	for (i = 0; i < t->protocol->links; i++)
		if (t->links[i].ready && !link_offers(&t->links[i], kind)) {
			table_miss(t, kind);
			return false;
		}
	return t->remotes->now_ms >= t->retry_ms ||
	       table_count(t, REMOTE_DOWN) < t->protocol->links;
}

struct remote_table *
table_find(struct remotes *r, const char *name)
{
	struct remote_table *t;

	TAILQ_FOREACH (t, &r->tables, entry)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

static struct remote_question *
question_create(struct remote_table *t, const struct remote_request *request, const char *network)
{
	struct remote_question *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	buf_init(&q->line, HELPER_LINE_MAX + 1);
	q->table = t;
	q->kind = request->kind;
	q->id = ++t->last_id;
	str_cut(q->network, sizeof(q->network), network);
	if (t->protocol->write(&q->line, q->id, request) == -1) {
		buf_free(&q->line);
		free(q);
		return NULL;
	}
	return q;
}

struct remote_question *
remote_ask(struct remotes *r, const struct remote_request *request, int64_t now_ms,
    remote_done done, void *owner)
{
	const char *network = request->network != NULL ? request->network : request->client;
	struct remote_table *t = table_find(r, request->table);
	struct remote_question *q;

	r->now_ms = now_ms;
	if (t == NULL || request->secret.len > REMOTE_SECRET_MAX ||
	    !table_is_open(t, request->kind) || is_too_many(t, network) ||
	    (q = question_create(t, request, network)) == NULL)
		return NULL;
	q->deadline_ms = now_ms + REMOTE_DEADLINE_MS;
	q->done = done;
	q->owner = owner;
	TAILQ_INSERT_TAIL(&t->waiting, q, entry);
	t->nquestions++;
	table_work(t);
	return q;
}

void
remote_cancel(struct remote_question *q)
{
	if (q == NULL)
		return;
	q->done = NULL;
	q->owner = NULL;
	if (q->link == NULL)
		question_free(q);
	else /* its answer has still to be told from the next one's */
		buf_free(&q->line);
}

/* -- deadlines: each list is in the order of them -- */

static struct remote_question *
first_late(struct remote_questions *list, int64_t now_ms)
{
	struct remote_question *q = TAILQ_FIRST(list);

	return q != NULL && q->deadline_ms <= now_ms ? q : NULL;
}

static void
link_tick(struct remote_link *l, int64_t now_ms)
{
	static const char late[] = "it does not answer in time";
	struct remote_question *q;

	if (l->state == REMOTE_UP && !l->ready && l->greet_ms <= now_ms)
		link_lose(l, late);
	while ((q = first_late(&l->questions, now_ms)) != NULL) {
		bool silent = l->heard_ms <= q->deadline_ms - REMOTE_DEADLINE_MS;

		q->repeated = true;
		/* One that answers in turn would give the next this one's answer. */
		if (silent || l->table->protocol->at_once == 1)
			link_lose(l, late);
		else
			question_end(q, IPC_AUTH_TROUBLE, "");
	}
}

void
remotes_tick(struct remotes *r, int64_t now_ms)
{
	struct remote_question *q;
	struct remote_table *t;
	size_t i;

	r->now_ms = now_ms;
	TAILQ_FOREACH (t, &r->tables, entry) {
		for (i = 0; i < t->protocol->links; i++)
			link_tick(&t->links[i], now_ms);
		while ((q = first_late(&t->waiting, now_ms)) != NULL)
			question_end(q, IPC_AUTH_TROUBLE, "");
		table_work(t);
	}
}
