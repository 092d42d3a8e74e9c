/* SPDX-License-Identifier: ISC */
/*
 * One decision's questions: asked of whom they concern, remembered where
 * asking again would cost, waited for where the answer takes a while.
 *
 * Invariant: pending counts the questions whose waiter is in use.  An answer that was
 * waited for stays until the inquiry is freed, so that a decision comes to its end
 * however short the memory of others is; but a table that says more and more fills no more
 * memory than INQUIRY_VALUES_MAX and ALL_VALUES_MAX.  Nothing is fatal.
 */
#include "lookup/inquiry.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/conf.h"
#include "lookup/inquiry_private.h"

#define QUESTIONS_MAX  200000	   /* of one inquiry that are remembered */
#define ALL_VALUES_MAX (64U << 20) /* octets of values, of all inquiries */

struct question { /* owned by its inquiry */
	TAILQ_ENTRY(question) entry;
	struct inquiry *inquiry;
	struct memo_waiter waiter;
	enum table_answer answer;
	char *value; /* with YES */
};

struct inquiry {
	const struct inquiry_sources *sources;
	void (*resume)(void *arg);
	void *arg;
	inquiry_observer observe;
	void *observe_arg;
	TAILQ_ENTRY(inquiry) ready;
	bool is_ready, has_given_up;
	size_t pending, octets;		  /* of values */
	TAILQ_HEAD(, question) questions; /* those in by_key */
	struct map *by_key;		  /* NULL: none */
	struct question *spare;		  /* for the next one; NULL: to be made */
	struct question first;		  /* most decisions need no other */
	char trouble[CONF_NAME_MAX + sizeof("table <>")];
};

struct inquiry_queue {
	TAILQ_HEAD(, inquiry) head;
	size_t n, octets;
};

/* -- the queue -- */

struct inquiry_queue *
inquiry_queue_create(void)
{
	struct inquiry_queue *queue;

	if ((queue = calloc(1, sizeof(*queue))) != NULL)
		TAILQ_INIT(&queue->head);
	return queue;
}

void
inquiry_queue_free(struct inquiry_queue *queue)
{
	free(queue);
}

static void
queue_add(struct inquiry *q)
{
	if (q->is_ready || q->resume == NULL)
		return;
	q->is_ready = true;
	TAILQ_INSERT_TAIL(&q->sources->queue->head, q, ready);
	q->sources->queue->n++;
}

static void
queue_remove(struct inquiry *q)
{
	if (!q->is_ready)
		return;
	q->is_ready = false;
	TAILQ_REMOVE(&q->sources->queue->head, q, ready);
	q->sources->queue->n--;
}

bool
inquiry_queue_run(struct inquiry_queue *queue)
{
	struct inquiry *q;
	size_t n = queue->n;

	for (; n > 0 && (q = TAILQ_FIRST(&queue->head)) != NULL; n--) {
		queue_remove(q);
		q->resume(q->arg);
	}
	return !TAILQ_EMPTY(&queue->head);
}

/* -- its life -- */

struct inquiry *
inquiry_create(const struct inquiry_sources *sources, void (*resume)(void *arg), void *arg)
{
	struct inquiry *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	q->sources = sources;
	q->resume = sources->queue == NULL ? NULL : resume;
	q->arg = arg;
	q->spare = &q->first;
	TAILQ_INIT(&q->questions);
	return q;
}

void
inquiry_set_owner(struct inquiry *q, void *arg)
{
	q->arg = arg;
}

static void
question_free(struct question *x)
{
	memo_forget(&x->waiter);
	free(x->value);
	if (x != &x->inquiry->first)
		free(x);
}

void
inquiry_free(struct inquiry *q)
{
	struct question *x;

	if (q == NULL)
		return;
	queue_remove(q);
	while ((x = TAILQ_FIRST(&q->questions)) != NULL) {
		TAILQ_REMOVE(&q->questions, x, entry);
		question_free(x);
	}
	map_free(q->by_key, NULL);
	if (q->sources->queue != NULL)
		q->sources->queue->octets -= q->octets;
	if (q->spare != &q->first)
		free(q->spare);
	free(q);
}

void
inquiry_observe(struct inquiry *q, inquiry_observer observe, void *arg)
{
	q->observe = observe;
	q->observe_arg = arg;
}

bool
inquiry_is_pending(const struct inquiry *q)
{
	return q->pending > 0;
}

void
inquiry_give_up(struct inquiry *q)
{
	struct question *x;

	q->has_given_up = true;
	TAILQ_FOREACH (x, &q->questions, entry) {
		memo_forget(&x->waiter);
		if (x->answer == TABLE_PENDING)
			x->answer = TABLE_TROUBLE;
	}
	q->pending = 0;
}

void
inquiry_yield(struct inquiry *q)
{
	queue_add(q);
}

const char *
inquiry_trouble(const struct inquiry *q)
{
	return q->trouble;
}

/* -- one question, of whatever source -- */

/* Two questions are one if this is the same of both. */
struct full_key {
	char text[CONF_NAME_MAX + MEMO_KEY_MAX + 16];
};

/* -1: ENOMEM, or more than may be kept. */
static int
keep_value(struct inquiry *q, struct question *x, const char *value)
{
	struct inquiry_queue *queue = q->sources->queue;
	size_t octets = strlen(value) + 1;

	if (q->octets + octets > INQUIRY_VALUES_MAX ||
	    (queue != NULL && queue->octets + octets > ALL_VALUES_MAX) ||
	    (x->value = strdup(value)) == NULL)
		return -1;
	q->octets += octets;
	if (queue != NULL)
		queue->octets += octets;
	return 0;
}

static void
on_answer(void *arg, enum table_answer answer, const char *value)
{
	struct question *x = arg;

	if (answer == TABLE_YES && keep_value(x->inquiry, x, value) == -1)
		answer = TABLE_TROUBLE;
	x->answer = answer;
	if (--x->inquiry->pending == 0)
		queue_add(x->inquiry);
}

static int
full_key_set(struct full_key *k, const struct whom *whom, const char *key)
{
	return str_format(k->text, sizeof(k->text), "%c%u\n%s\n%s", whom->table == NULL ? 'm' : 't',
	    (unsigned int)whom->service, whom->source, key);
}

static struct question *
take_spare(struct inquiry *q)
{
	if (q->spare == NULL && (q->spare = calloc(1, sizeof(*q->spare))) == NULL)
		return NULL;
	q->spare->inquiry = q;
	q->spare->waiter = (struct memo_waiter){.done = on_answer, .arg = q->spare};
	return q->spare;
}

/* The spare one becomes a part of what is remembered; value: with YES. */
static int
remember(struct inquiry *q, const struct full_key *key, enum table_answer answer, const char *value)
{
	struct question *x = q->spare;

	if (q->by_key == NULL && (q->by_key = map_create(QUESTIONS_MAX)) == NULL)
		return -1;
	if (map_set(q->by_key, key->text, x) == -1)
		return -1;
	if (answer == TABLE_YES && keep_value(q, x, value) == -1) {
		(void)map_remove(q->by_key, key->text);
		return -1;
	}
	x->answer = answer;
	TAILQ_INSERT_TAIL(&q->questions, x, entry);
	q->spare = NULL;
	return 0;
}

static enum table_answer
ask_source(struct inquiry *q, const struct whom *whom, const char *key, const char **value)
{
	int64_t now_ms = q->sources->now_ms(q->sources->now_arg);
	const struct table_ref *t = whom->table;
	struct memo_waiter *w = &q->spare->waiter;

	return t == NULL ? memo_find(whom->memo, key, now_ms, w, value)
			 : t->ops->find(t->backend, whom->service, key, w, value);
}

/* What is not known yet is asked. */
static enum table_answer
ask_anew(struct inquiry *q, const struct whom *whom, const char *key, const char **value)
{
	bool is_dear = whom->table != NULL && whom->table->ops->is_dear;
	struct question *x = take_spare(q);
	enum table_answer answer;
	struct full_key full;

	if (x == NULL || q->has_given_up)
		return TABLE_TROUBLE;
	answer = ask_source(q, whom, key, value);
	if (answer == TABLE_TROUBLE || (answer != TABLE_PENDING && !is_dear))
		return answer;
	if ((answer == TABLE_PENDING && q->resume == NULL) ||
	    full_key_set(&full, whom, key) == -1 || remember(q, &full, answer, *value) == -1) {
		memo_forget(&x->waiter);
		return TABLE_TROUBLE;
	}
	q->pending += answer == TABLE_PENDING;
	return answer;
}

enum table_answer
inquiry_ask(struct inquiry *q, const struct whom *whom, const char *key, const char **value)
{
	const struct question *x;
	struct full_key full;

	if (q->by_key != NULL && full_key_set(&full, whom, key) == 0 &&
	    (x = map_get(q->by_key, full.text)) != NULL) {
		*value = x->value;
		return x->answer;
	}
	return ask_anew(q, whom, key, value);
}

bool
inquiry_is_observed(const struct inquiry *q)
{
	return q->observe != NULL;
}

enum table_answer
inquiry_tell(struct inquiry *q, const struct inquiry_event *e)
{
	if (e->answer == TABLE_TROUBLE)
		(void)snprintf(q->trouble, sizeof(q->trouble),
		    e->service == SERVICE__MAX ? "%s" : "table <%s>", e->source);
	if (q->observe != NULL)
		q->observe(q->observe_arg, e);
	return e->answer;
}

const struct inquiry_sources *
inquiry_sources(const struct inquiry *q)
{
	return q->sources;
}
