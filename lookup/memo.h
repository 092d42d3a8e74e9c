/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_MEMO_H
#define LOOKUP_MEMO_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lookup/answer.h"

/*
 * Answers that are remembered for a while, in bounded memory; a question that
 * is under way already is not asked a second time.  Accounts, .forward files and
 * the tables of other programs stand behind one of these.
 *
 * Time is an argument, so that the unit tests need none.
 */
struct memo;
struct memo_entry; /* a question under way, or its answer */

/* Somebody who waits; part of its owner, who forgets it before it goes. */
struct memo_waiter {
	TAILQ_ENTRY(memo_waiter) link;
	struct memo_entry *entry; /* NULL: not waiting */
	/* YES with its value (gone afterwards), NO or TROUBLE.  It may free its owner, and ask and forget others. */
	void (*done)(void *arg, enum table_answer answer, const char *value);
	void *arg;
};

struct memo_plan {
	size_t entries_max, octets_max; /* answers remembered; the oldest make room */
	size_t asked_max;		/* questions under way; above it the answer is TROUBLE */
	int64_t yes_ms, no_ms;		/* for how long; TROUBLE is never remembered */
	/*
	 * Asks; ends in memo_answer(), from within or later, and that is certain:
	 * whoever asks has a deadline.  -1: it can't be asked now.
	 */
	int (*ask)(void *arg, struct memo_entry *e);
	/* The memo goes: e, which is under way, wants no answer any more.  NULL: nothing to do. */
	void (*cancel)(void *arg, struct memo_entry *e);
	void *arg;
};

/* NULL: ENOMEM. */
struct memo *memo_create(const struct memo_plan *plan) WARN_UNUSED;
/* Who waits is told TROUBLE from within, and must not ask this memo again. */
void memo_free(struct memo *m);
void memo_set_times(struct memo *m, int64_t yes_ms, int64_t no_ms);

/*
 * PENDING: w waits.  YES: *value is there until the next call of any of these;
 * "" where there is only presence.  key is at most MEMO_KEY_MAX octets, or it is TROUBLE.
 */
#define MEMO_KEY_MAX 1200
enum table_answer memo_find(struct memo *m, const char *key, int64_t now_ms, struct memo_waiter *w,
    const char **value) WARN_UNUSED;
void memo_forget(struct memo_waiter *w); /* done will not be called */

const char *memo_key(const struct memo_entry *e);
/* The answer to an entry under way, which is gone then; value may be NULL for "". */
void memo_answer(struct memo_entry *e, enum table_answer answer, const char *value, int64_t now_ms);
void memo_drop_all(struct memo *m);		/* what is remembered; questions under way go on */
void memo_tick(struct memo *m, int64_t now_ms); /* forgets what is old */

struct memo_counters {
	uint64_t asked, remembered, refused;
	size_t entries, under_way;
};
void memo_count(const struct memo *m, struct memo_counters *out);

#endif
