/* SPDX-License-Identifier: ISC */
/*
 * A table that another program knows: each question ends once, whatever that
 * program says, or if it says nothing, or if it dies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/log.h"
#include "tests/unit/table_remote_rig.h"

#define CACHE_MS 5000

struct waiter {
	struct memo_waiter w;
	int told;
	enum table_answer answer;
	char *value; /* NULL: none came */
};

static unsigned int nlines;

static void
count_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
	nlines++;
}

static void
on_done(void *arg, enum table_answer answer, const char *value)
{
	struct waiter *w = arg;

	w->told++;
	w->answer = answer;
	if (value != NULL)
		w->value = strdup(value);
}

static void
wait_with(struct waiter *w)
{
	*w = (struct waiter){.w = {.done = on_done, .arg = w}};
}

static void
drop(struct waiter *w)
{
	free(w->value);
	w->value = NULL;
}

static enum table_answer
find(struct rig *r, struct waiter *w, const char *key, const char **value)
{
	wait_with(w);
	return table_remote_ops.find(r->table, SERVICE_ALIAS, key, &w->w, value);
}

/* Asks, and lets the program hear it; its id. */
static uint32_t
ask(struct rig *r, struct waiter *w, const char *key)
{
	const char *value;

	r->nasked = 0;
	assert_int_equal(find(r, w, key, &value), TABLE_PENDING);
	rig_turn(r);
	assert_int_equal(r->nasked, 1);
	return r->asked[0].req;
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	log_set_sink(count_line, NULL);
	nlines = 0;
	rig_open(r, CACHE_MS);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	rig_close(*state);
	free(*state);
	return 0;
}

static void
test_answers(void **state)
{
	static const struct {
		const char *rows[3];
		enum ipc_outcome outcome;
		enum table_answer answer;
		const char *value;
	} cases[] = {
	    {{"root"}, IPC_OK, TABLE_YES, "root"},
	    {{"a", "b", "c"}, IPC_OK, TABLE_YES, "a, b, c"},
	    {{""}, IPC_OK, TABLE_YES, ""},
	    {{"", ""}, IPC_OK, TABLE_YES, ", "},
	    {{"tab\there"}, IPC_OK, TABLE_YES, "tab\there"},
	    {{NULL}, IPC_GONE, TABLE_NO, NULL},
	    {{NULL}, IPC_RETRY, TABLE_TROUBLE, NULL},
	    /* not believed */
	    {{NULL}, IPC_OK, TABLE_TROUBLE, NULL},
	    {{"a"}, IPC_GONE, TABLE_TROUBLE, NULL},
	    {{"a"}, IPC_RETRY, TABLE_TROUBLE, NULL},
	    {{NULL}, IPC_DENIED, TABLE_TROUBLE, NULL},
	    {{NULL}, IPC_FAIL, TABLE_TROUBLE, NULL},
	    {{"a\r\nRCPT TO:<b>"}, IPC_OK, TABLE_TROUBLE, NULL},
	    {{"a", "b\x7f"}, IPC_OK, TABLE_TROUBLE, NULL},
	    {{"\x1b[2J"}, IPC_OK, TABLE_TROUBLE, NULL},
	};
	struct rig *r = *state;
	struct waiter w;
	char key[16];
	uint32_t req;
	size_t i, j;

	for (i = 0; i < NITEMS(cases); i++) {
		(void)snprintf(key, sizeof(key), "key %zu", i);
		req = ask(r, &w, key);
		assert_string_equal(r->asked[0].table, "pg");
		assert_string_equal(r->asked[0].key, key);
		assert_int_equal(r->asked[0].service, SERVICE_ALIAS);
		for (j = 0; j < NITEMS(cases[i].rows) && cases[i].rows[j] != NULL; j++)
			rig_row(r, req, cases[i].rows[j]);
		rig_end(r, req, cases[i].outcome, "");
		rig_turn(r);
		if (w.told != 1 || w.answer != cases[i].answer)
			fail_msg("case %zu: told %d, answer %d", i, w.told, (int)w.answer);
		if (cases[i].value != NULL)
			assert_string_equal(w.value, cases[i].value);
		drop(&w);
		assert_int_equal(asks_count(r->asks), 0);
	}
}

static void
test_remembers(void **state)
{
	struct rig *r = *state;
	const char *value;
	struct waiter w;
	uint32_t req = ask(r, &w, "root");

	rig_row(r, req, "admin");
	rig_end(r, req, IPC_OK, "");
	rig_turn(r);
	drop(&w);
	assert_int_equal(find(r, &w, "root", &value), TABLE_YES);
	assert_string_equal(value, "admin");
	/* of that service alone */
	wait_with(&w);
	assert_int_equal(
	    table_remote_ops.find(r->table, SERVICE_VIRTUAL, "root", &w.w, &value), TABLE_PENDING);
	memo_forget(&w.w);
	rig_turn(r);
	table_remote_ops.drop(r->table);
	req = ask(r, &w, "root");
	rig_end(r, req, IPC_GONE, "");
	rig_turn(r);
	assert_int_equal(w.answer, TABLE_NO);
	drop(&w);
	assert_int_equal(find(r, &w, "root", &value), TABLE_NO);
	r->now_ms += CACHE_MS + 1;
	table_remote_ops.tick(r->table, r->now_ms);
	(void)ask(r, &w, "root");
	memo_forget(&w.w);
}

static void
test_one_question_for_many(void **state)
{
	struct rig *r = *state;
	struct waiter w[50];
	const char *value;
	uint32_t req;
	size_t i;

	req = ask(r, &w[0], "root");
	for (i = 1; i < NITEMS(w); i++)
		assert_int_equal(find(r, &w[i], "root", &value), TABLE_PENDING);
	memo_forget(&w[1].w);
	rig_turn(r);
	assert_int_equal(r->nasked, 1);
	rig_row(r, req, "admin");
	rig_end(r, req, IPC_OK, "");
	rig_turn(r);
	for (i = 0; i < NITEMS(w); i++) {
		assert_int_equal(w[i].told, i == 1 ? 0 : 1);
		drop(&w[i]);
	}
}

static void
test_is_down(void **state)
{
	struct rig *r = *state;
	const char *value;
	struct waiter w;
	int i;

	(void)ask(r, &w, "root");
	channel_free(r->program);
	r->program = NULL;
	rig_turn(r);
	assert_null(r->lookup);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.answer, TABLE_TROUBLE);
	drop(&w);
	nlines = 0;
	r->now_ms += 1000;
	for (i = 0; i < 100; i++)
		assert_int_equal(find(r, &w, "other", &value), TABLE_TROUBLE);
	assert_int_equal(w.told, 0);
	assert_int_equal(nlines, 1); /* the log is not flooded */
}

static void
test_is_silent(void **state)
{
	struct rig *r = *state;
	struct waiter w;
	uint32_t req = ask(r, &w, "root");

	rig_row(r, req, "half");
	rig_turn(r);
	r->now_ms += TABLE_REMOTE_DEADLINE_MS - 1;
	asks_tick(r->asks, r->now_ms);
	assert_int_equal(w.told, 0);
	r->now_ms += 1;
	asks_tick(r->asks, r->now_ms);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.answer, TABLE_TROUBLE);
	drop(&w);
	rig_end(r, req, IPC_OK, ""); /* too late */
	rig_turn(r);
	assert_int_equal(w.told, 1);
	assert_non_null(r->lookup);
}

/* Rows and ends for nobody, and rows behind the end. */
static void
test_lies(void **state)
{
	struct rig *r = *state;
	struct waiter w;
	uint32_t req = ask(r, &w, "root");

	rig_row(r, req + 1, "forged");
	rig_end(r, req + 1, IPC_OK, "");
	rig_row(r, 0, "forged");
	rig_row(r, req, "good");
	rig_end(r, req, IPC_OK, "");
	rig_row(r, req, "late");
	rig_end(r, req, IPC_OK, "");
	rig_turn(r);
	assert_int_equal(w.told, 1);
	assert_string_equal(w.value, "good");
	drop(&w);
}

static void
test_bounds(void **state)
{
	static char longest[IPC_VALUE_MAX + 1];
	struct rig *r = *state;
	struct waiter w;
	uint32_t req = ask(r, &w, "rows");
	unsigned int i;

	for (i = 0; i < TABLE_REMOTE_ROWS_MAX; i++) {
		rig_row(r, req, "u");
		if (i % 1000 == 0)
			rig_turn(r);
	}
	rig_end(r, req, IPC_OK, "");
	while (w.told == 0)
		rig_turn(r);
	assert_int_equal(w.answer, TABLE_YES);
	assert_int_equal(strlen(w.value), 3 * TABLE_REMOTE_ROWS_MAX - 2);
	drop(&w);

	req = ask(r, &w, "one more");
	for (i = 0; i <= TABLE_REMOTE_ROWS_MAX; i++)
		rig_row(r, req, "u");
	while (w.told == 0)
		rig_turn(r);
	assert_int_equal(w.answer, TABLE_TROUBLE);
	drop(&w);

	memset(longest, 'x', IPC_VALUE_MAX);
	req = ask(r, &w, "octets");
	for (i = 0; i < TABLE_VALUE_MAX / IPC_VALUE_MAX + 1; i++)
		rig_row(r, req, longest);
	while (w.told == 0)
		rig_turn(r);
	assert_int_equal(w.answer, TABLE_TROUBLE);
	drop(&w);
}

static void
test_long_keys(void **state)
{
	struct rig *r = *state;
	char key[IPC_ADDRESS_MAX + 2];
	const char *value;
	struct waiter w;

	memset(key, 'k', sizeof(key));
	key[IPC_ADDRESS_MAX + 1] = '\0';
	assert_int_equal(find(r, &w, key, &value), TABLE_TROUBLE);
	key[IPC_ADDRESS_MAX] = '\0';
	(void)ask(r, &w, key);
	assert_string_equal(r->asked[0].key, key);
	memo_forget(&w.w);
}

/* The table goes while it is asked: who waits is told. */
static void
test_goes(void **state)
{
	struct remote_world world;
	struct rig *r = *state;
	struct waiter w;

	(void)ask(r, &w, "root");
	table_remote_ops.free(r->table);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.answer, TABLE_TROUBLE);
	drop(&w);
	assert_int_equal(asks_count(r->asks), 0);
	world = (struct remote_world){rig_asks, rig_peer, rig_now_ms, r};
	r->table = table_remote_create(&world, "pg");
	assert_non_null(r->table);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_answers),
	    CASE(test_remembers),
	    CASE(test_one_question_for_many),
	    CASE(test_is_down),
	    CASE(test_is_silent),
	    CASE(test_lies),
	    CASE(test_bounds),
	    CASE(test_long_keys),
	    CASE(test_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
