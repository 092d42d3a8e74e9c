/* SPDX-License-Identifier: ISC */
/*
 * Answers remembered, and questions that are asked once however many want to know.
 *
 * Invariant: an entry is in by_key and in one list: asked (it may have
 * waiters, and is nobody's to remove) or that of its answer, oldest first.  A
 * flood of different questions fills the memory up to the plan's limits and no
 * further: the oldest answers make room.  Nothing is fatal.
 */
#include "lookup/memo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"

TAILQ_HEAD(waiter_list, memo_waiter);
TAILQ_HEAD(entry_list, memo_entry);

struct memo_entry { /* owned by its memo */
	TAILQ_ENTRY(memo_entry) link;
	struct memo *memo;
	struct waiter_list waiters;
	enum table_answer answer; /* PENDING: it is under way */
	bool asking;		  /* it is just being asked: the answer may come from within */
	bool fleeting;		  /* the answer is not to be remembered */
	int64_t until_ms;
	size_t octets;
	char *value; /* with YES */
	char key[];
};

struct memo {
	struct memo_plan plan;
	struct map *by_key;
	struct entry_list asked, yes, no;
	size_t nasked, nanswered, octets;
	struct memo_counters counters;
};

struct memo *
memo_create(const struct memo_plan *plan)
{
	struct memo *m;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	m->plan = *plan;
	TAILQ_INIT(&m->asked);
	TAILQ_INIT(&m->yes);
	TAILQ_INIT(&m->no);
	if ((m->by_key = map_create(plan->entries_max + plan->asked_max + 1)) == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

static void
entry_free(struct memo_entry *e)
{
	free(e->value);
	free(e);
}

/* One whose answer is there. */
static void
entry_remove(struct memo *m, struct memo_entry *e)
{
	TAILQ_REMOVE(e->answer == TABLE_YES ? &m->yes : &m->no, e, link);
	m->nanswered--;
	m->octets -= e->octets;
	(void)map_remove(m->by_key, e->key);
	entry_free(e);
}

/* A waiter that is told may take others with it, so each is taken from the list as it is then. */
static void
tell_waiters(struct memo_entry *e, enum table_answer answer, const char *value)
{
	struct memo_waiter *w;

	while ((w = TAILQ_FIRST(&e->waiters)) != NULL) {
		TAILQ_REMOVE(&e->waiters, w, link);
		w->entry = NULL;
		w->done(w->arg, answer, value);
	}
}

void
memo_free(struct memo *m)
{
	struct memo_entry *e;

	if (m == NULL)
		return;
	while ((e = TAILQ_FIRST(&m->asked)) != NULL) {
		if (m->plan.cancel != NULL)
			m->plan.cancel(m->plan.arg, e);
		tell_waiters(e, TABLE_TROUBLE, "");
		TAILQ_REMOVE(&m->asked, e, link);
		entry_free(e);
	}
	while ((e = TAILQ_FIRST(&m->yes)) != NULL || (e = TAILQ_FIRST(&m->no)) != NULL)
		entry_remove(m, e);
	map_free(m->by_key, NULL);
	free(m);
}

void
memo_set_times(struct memo *m, int64_t yes_ms, int64_t no_ms)
{
	m->plan.yes_ms = yes_ms;
	m->plan.no_ms = no_ms;
}

/* -- questions -- */

static struct memo_entry *
entry_add(struct memo *m, const char *key)
{
	size_t len = strlen(key);
	struct memo_entry *e;

	if (len > MEMO_KEY_MAX || m->nasked >= m->plan.asked_max ||
	    (e = calloc(1, sizeof(*e) + len + 1)) == NULL)
		return NULL;
	e->memo = m;
	e->answer = TABLE_PENDING;
	TAILQ_INIT(&e->waiters);
	memcpy(e->key, key, len + 1);
	if (map_set(m->by_key, e->key, e) == -1) {
		free(e);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&m->asked, e, link);
	m->nasked++;
	return e;
}

static void
entry_end(struct memo_entry *e)
{
	struct memo *m = e->memo;

	TAILQ_REMOVE(&m->asked, e, link);
	m->nasked--;
}

static void
entry_forget(struct memo_entry *e)
{
	entry_end(e);
	(void)map_remove(e->memo->by_key, e->key);
	entry_free(e);
}

/* The entry with its answer goes from those that are asked to those that are remembered. */
static void
entry_keep(struct memo_entry *e)
{
	struct memo *m = e->memo;
	struct memo_entry *oldest;

	entry_end(e);
	e->octets = sizeof(*e) + strlen(e->key) + 1;
	if (e->value != NULL)
		e->octets += strlen(e->value) + 1;
	while (m->nanswered > 0 && (m->nanswered >= m->plan.entries_max ||
				       m->octets + e->octets > m->plan.octets_max)) {
		/* Those that were never there go first: a flood of guesses is made of them. */
		oldest = TAILQ_FIRST(TAILQ_EMPTY(&m->no) ? &m->yes : &m->no);
		entry_remove(m, oldest);
	}
	TAILQ_INSERT_TAIL(e->answer == TABLE_YES ? &m->yes : &m->no, e, link);
	m->nanswered++;
	m->octets += e->octets;
}

/* A question that nobody asked before.  NULL: it can't be asked, or came to nothing at once. */
static struct memo_entry *
ask_anew(struct memo *m, const char *key)
{
	struct memo_entry *e = entry_add(m, key);

	if (e == NULL) {
		m->counters.refused++;
		return NULL;
	}
	m->counters.asked++;
	e->asking = true;
	if (m->plan.ask(m->plan.arg, e) == -1)
		e->answer = TABLE_TROUBLE;
	e->asking = false;
	if (e->answer == TABLE_TROUBLE) {
		entry_forget(e);
		return NULL;
	}
	if (e->answer != TABLE_PENDING)
		entry_keep(e);
	return e;
}

enum table_answer
memo_find(
    struct memo *m, const char *key, int64_t now_ms, struct memo_waiter *w, const char **value)
{
	struct memo_entry *e = map_get(m->by_key, key);

	if (e != NULL && e->answer != TABLE_PENDING && e->until_ms <= now_ms) {
		entry_remove(m, e);
		e = NULL;
	}
	if (e != NULL)
		m->counters.remembered += e->answer != TABLE_PENDING;
	else if ((e = ask_anew(m, key)) == NULL)
		return TABLE_TROUBLE;
	if (e->answer == TABLE_PENDING) {
		w->entry = e;
		TAILQ_INSERT_TAIL(&e->waiters, w, link);
	} else if (e->answer == TABLE_YES) {
		*value = e->value;
	}
	return e->answer;
}

void
memo_forget(struct memo_waiter *w)
{
	if (w->entry != NULL)
		TAILQ_REMOVE(&w->entry->waiters, w, link);
	w->entry = NULL;
}

/* -- answers -- */

const char *
memo_key(const struct memo_entry *e)
{
	return e->key;
}

void
memo_answer(struct memo_entry *e, enum table_answer answer, const char *value, int64_t now_ms)
{
	const struct memo_plan *plan = &e->memo->plan;
	int64_t good_ms = answer == TABLE_YES ? plan->yes_ms : plan->no_ms;

	bug_on(e->answer != TABLE_PENDING || answer == TABLE_PENDING);
	if (answer == TABLE_YES && (e->value = strdup(value == NULL ? "" : value)) == NULL)
		answer = TABLE_TROUBLE;
	e->until_ms = e->fleeting ? now_ms : now_ms + good_ms;
	if (e->asking) {
		e->answer = answer;
		return;
	}
	tell_waiters(e, answer, e->value == NULL ? "" : e->value);
	if (answer == TABLE_TROUBLE || e->until_ms <= now_ms) {
		entry_forget(e);
		return;
	}
	e->answer = answer;
	entry_keep(e);
}

/* -- what is remembered -- */

static void
drop_list(struct memo *m, struct entry_list *list)
{
	struct memo_entry *e;

	while ((e = TAILQ_FIRST(list)) != NULL)
		entry_remove(m, e);
}

void
memo_drop_all(struct memo *m)
{
	struct memo_entry *e;

	drop_list(m, &m->yes);
	drop_list(m, &m->no);
	TAILQ_FOREACH (e, &m->asked, link)
		e->fleeting = true;
}

static void
drop_old(struct memo *m, struct entry_list *list, int64_t now_ms)
{
	struct memo_entry *e;

	while ((e = TAILQ_FIRST(list)) != NULL && e->until_ms <= now_ms)
		entry_remove(m, e);
}

void
memo_tick(struct memo *m, int64_t now_ms)
{
	drop_old(m, &m->yes, now_ms);
	drop_old(m, &m->no, now_ms);
}

void
memo_count(const struct memo *m, struct memo_counters *out)
{
	*out = m->counters;
	out->entries = m->nanswered;
	out->under_way = m->nasked;
}
