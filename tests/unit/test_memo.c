/* SPDX-License-Identifier: ISC */
/* Answers that are remembered: for how long, how many, and who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/memo.h"

#define YES_MS 1000
#define NO_MS  100

/* Whom the memo asks: what it was asked, and what it says from within. */
struct source {
	struct memo *memo;
	struct memo_entry *asked[64];
	size_t n, cancelled;
	enum table_answer at_once; /* PENDING: it waits for the test */
	int64_t now_ms;
	bool refuses;
};

struct listener { /* somebody who waits */
	struct memo_waiter w;
	enum table_answer answer;
	char value[64];
	int told;
	struct memo_waiter *forgets; /* when it is told */
};

static int
on_ask(void *arg, struct memo_entry *e)
{
	struct source *s = arg;

	if (s->refuses)
		return -1;
	assert_true(s->n < 64);
	s->asked[s->n++] = e;
	if (s->at_once != TABLE_PENDING)
		memo_answer(e, s->at_once, memo_key(e), s->now_ms);
	return 0;
}

static void
on_cancel(void *arg, struct memo_entry *e)
{
	struct source *s = arg;

	(void)e;
	s->cancelled++;
}

static void
on_done(void *arg, enum table_answer answer, const char *value)
{
	struct listener *l = arg;

	l->answer = answer;
	l->told++;
	(void)snprintf(l->value, sizeof(l->value), "%s", value);
	if (l->forgets != NULL)
		memo_forget(l->forgets);
}

static void
listen_for(struct listener *l)
{
	*l = (struct listener){.w = {.done = on_done, .arg = l}, .answer = TABLE_PENDING};
}

static void
source_init(struct source *s, size_t entries_max, size_t octets_max, size_t asked_max)
{
	struct memo_plan plan = {.entries_max = entries_max,
	    .octets_max = octets_max,
	    .asked_max = asked_max,
	    .yes_ms = YES_MS,
	    .no_ms = NO_MS,
	    .ask = on_ask,
	    .cancel = on_cancel,
	    .arg = s};

	*s = (struct source){.at_once = TABLE_PENDING};
	s->memo = memo_create(&plan);
	assert_non_null(s->memo);
}

static struct memo_counters
counters(const struct source *s)
{
	struct memo_counters c;

	memo_count(s->memo, &c);
	return c;
}

/* An answer at once is good for its time and no longer. */
static void
test_times(void **state)
{
	static const struct {
		enum table_answer answer;
		int64_t good_ms;
	} rows[] = {{TABLE_YES, YES_MS}, {TABLE_NO, NO_MS}, {TABLE_TROUBLE, 0}};
	const char *value = NULL;
	struct listener l;
	struct source s;
	size_t i;

	(void)state;
	listen_for(&l);
	for (i = 0; i < 3; i++) {
		source_init(&s, 10, 10000, 10);
		s.at_once = rows[i].answer;
		assert_int_equal(memo_find(s.memo, "k", 0, &l.w, &value), rows[i].answer);
		assert_int_equal(s.n, 1);
		if (rows[i].good_ms > 0) {
			assert_int_equal(memo_find(s.memo, "k", rows[i].good_ms - 1, &l.w, &value),
			    rows[i].answer);
			assert_int_equal(s.n, 1);
			assert_int_equal(counters(&s).remembered, 1);
		}
		assert_int_equal(
		    memo_find(s.memo, "k", rows[i].good_ms, &l.w, &value), rows[i].answer);
		assert_int_equal(s.n, 2);
		assert_int_equal(l.told, 0);
		if (rows[i].answer == TABLE_YES)
			assert_string_equal(value, "k");
		memo_free(s.memo);
	}
}

/* Everybody who waits is told of one answer to one question, but for who has gone meanwhile. */
static void
test_waiters(void **state)
{
	struct listener l[4];
	const char *value;
	struct source s;
	size_t i;

	(void)state;
	source_init(&s, 10, 10000, 10);
	for (i = 0; i < 4; i++) {
		listen_for(&l[i]);
		assert_int_equal(memo_find(s.memo, "k", 0, &l[i].w, &value), TABLE_PENDING);
	}
	assert_int_equal(s.n, 1);
	assert_int_equal(counters(&s).under_way, 1);
	memo_forget(&l[1].w);
	memo_forget(&l[1].w);
	l[0].forgets = &l[2].w;
	memo_answer(s.asked[0], TABLE_YES, "v", 0);
	assert_int_equal(l[0].told, 1);
	assert_int_equal(l[0].answer, TABLE_YES);
	assert_string_equal(l[0].value, "v");
	assert_int_equal(l[1].told, 0);
	assert_int_equal(l[2].told, 0);
	assert_int_equal(l[3].told, 1);
	assert_int_equal(memo_find(s.memo, "k", 0, &l[0].w, &value), TABLE_YES);
	assert_string_equal(value, "v");
	assert_int_equal(counters(&s).under_way, 0);
	memo_free(s.memo);
}

static void
test_trouble_is_not_remembered(void **state)
{
	const char *value;
	struct listener l;
	struct source s;

	(void)state;
	source_init(&s, 10, 10000, 10);
	listen_for(&l);
	assert_int_equal(memo_find(s.memo, "k", 0, &l.w, &value), TABLE_PENDING);
	memo_answer(s.asked[0], TABLE_TROUBLE, NULL, 0);
	assert_int_equal(l.answer, TABLE_TROUBLE);
	assert_int_equal(counters(&s).entries, 0);
	assert_int_equal(memo_find(s.memo, "k", 0, &l.w, &value), TABLE_PENDING);
	assert_int_equal(s.n, 2);
	memo_answer(s.asked[1], TABLE_NO, NULL, 0);
	assert_int_equal(l.answer, TABLE_NO);
	s.refuses = true;
	assert_int_equal(memo_find(s.memo, "other", 0, &l.w, &value), TABLE_TROUBLE);
	memo_free(s.memo);
}

/* What must not be remembered at all still reaches who waits. */
static void
test_no_time_at_all(void **state)
{
	const char *value = NULL;
	struct listener l;
	struct source s;

	(void)state;
	source_init(&s, 10, 10000, 10);
	memo_set_times(s.memo, 0, 0);
	listen_for(&l);
	assert_int_equal(memo_find(s.memo, "k", 5, &l.w, &value), TABLE_PENDING);
	memo_answer(s.asked[0], TABLE_YES, "v", 5);
	assert_string_equal(l.value, "v");
	assert_int_equal(counters(&s).entries, 0);
	s.at_once = TABLE_YES;
	s.now_ms = 5;
	assert_int_equal(memo_find(s.memo, "k", 5, &l.w, &value), TABLE_YES);
	assert_string_equal(value, "k");
	assert_int_equal(memo_find(s.memo, "k", 5, &l.w, &value), TABLE_YES);
	assert_int_equal(s.n, 3);
	memo_free(s.memo);
}

/* Memory is bounded by number and by octets; those who were never there make room first. */
static void
test_limits(void **state)
{
	char key[32], longest[MEMO_KEY_MAX + 2];
	const char *value;
	struct listener l;
	struct source s;
	size_t i;

	(void)state;
	listen_for(&l);
	source_init(&s, 3, 100000, 2);
	s.at_once = TABLE_YES;
	assert_int_equal(memo_find(s.memo, "friend", 0, &l.w, &value), TABLE_YES);
	s.at_once = TABLE_NO;
	for (i = 0; i < 60; i++) {
		(void)snprintf(key, sizeof(key), "guess%zu", i);
		assert_int_equal(memo_find(s.memo, key, 0, &l.w, &value), TABLE_NO);
		assert_true(counters(&s).entries <= 3);
	}
	assert_int_equal(memo_find(s.memo, "friend", 0, &l.w, &value), TABLE_YES);
	assert_int_equal(s.n, 61);
	s.at_once = TABLE_PENDING;
	assert_int_equal(memo_find(s.memo, "a", 0, &l.w, &value), TABLE_PENDING);
	memo_forget(&l.w);
	assert_int_equal(memo_find(s.memo, "b", 0, &l.w, &value), TABLE_PENDING);
	memo_forget(&l.w);
	assert_int_equal(memo_find(s.memo, "c", 0, &l.w, &value), TABLE_TROUBLE);
	assert_int_equal(counters(&s).refused, 1);
	memo_free(s.memo);
	assert_int_equal(s.cancelled, 2);

	source_init(&s, 1000, 2000, 2);
	s.at_once = TABLE_YES;
	for (i = 0; i < 60; i++) {
		(void)snprintf(key, sizeof(key), "key%zu", i);
		assert_int_equal(memo_find(s.memo, key, 0, &l.w, &value), TABLE_YES);
		assert_string_equal(value, key);
	}
	assert_true(counters(&s).entries > 0 && counters(&s).entries < 40);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(memo_find(s.memo, longest, 0, &l.w, &value), TABLE_TROUBLE);
	assert_int_equal(memo_find(s.memo, longest + 1, 0, &l.w, &value), TABLE_YES);
	memo_free(s.memo);
}

/* After memo_drop_all() nothing old is said, not even what was under way. */
static void
test_drop(void **state)
{
	const char *value;
	struct listener l;
	struct source s;

	(void)state;
	listen_for(&l);
	source_init(&s, 10, 10000, 10);
	s.at_once = TABLE_NO;
	assert_int_equal(memo_find(s.memo, "gone", 0, &l.w, &value), TABLE_NO);
	s.at_once = TABLE_PENDING;
	assert_int_equal(memo_find(s.memo, "asked", 0, &l.w, &value), TABLE_PENDING);
	memo_drop_all(s.memo);
	assert_int_equal(counters(&s).entries, 0);
	memo_answer(s.asked[1], TABLE_YES, "old", 0);
	assert_string_equal(l.value, "old");
	assert_int_equal(counters(&s).entries, 0);
	memo_free(s.memo);
}

static void
test_tick(void **state)
{
	const char *value;
	struct listener l;
	struct source s;

	(void)state;
	listen_for(&l);
	source_init(&s, 10, 10000, 10);
	s.at_once = TABLE_YES;
	assert_int_equal(memo_find(s.memo, "yes", 0, &l.w, &value), TABLE_YES);
	s.at_once = TABLE_NO;
	assert_int_equal(memo_find(s.memo, "no", 0, &l.w, &value), TABLE_NO);
	memo_tick(s.memo, NO_MS - 1);
	assert_int_equal(counters(&s).entries, 2);
	memo_tick(s.memo, NO_MS);
	assert_int_equal(counters(&s).entries, 1);
	memo_tick(s.memo, YES_MS);
	assert_int_equal(counters(&s).entries, 0);
	memo_free(s.memo);
}

/* Who waits when the memo goes is told so, and whoever was asked, too. */
static void
test_end(void **state)
{
	const char *value;
	struct listener l;
	struct source s;

	(void)state;
	listen_for(&l);
	source_init(&s, 10, 10000, 10);
	assert_int_equal(memo_find(s.memo, "k", 0, &l.w, &value), TABLE_PENDING);
	memo_free(s.memo);
	assert_int_equal(l.answer, TABLE_TROUBLE);
	assert_int_equal(s.cancelled, 1);
	memo_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_waiters),
	    cmocka_unit_test(test_trouble_is_not_remembered),
	    cmocka_unit_test(test_no_time_at_all),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_tick),
	    cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
