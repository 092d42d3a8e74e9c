/* SPDX-License-Identifier: ISC */
/* Who is blocked after how many failures, for how long, and who is not for what others did. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/backoff.h"

#define FREE 3
#define MAX  (60 * 1000)

static int
setup(void **state)
{
	static const struct backoff_limits limits = {FREE, MAX};
	struct backoff *b = backoff_create();

	if (b == NULL)
		return -1;
	backoff_configure(b, &limits);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	backoff_free(*state);
	return 0;
}

static void
fail_times(struct backoff *b, const char *client, const char *login, int n, int64_t now_ms)
{
	while (n-- > 0)
		backoff_failed(b, client, login, now_ms);
}

/* 5 s, 10 s, 20 s, 40 s, then no more than a minute. */
static void
test_doubles(void **state)
{
	static const int64_t blocks[] = {5000, 10000, 20000, 40000, MAX, MAX};
	struct backoff *b = *state;
	int64_t now = 1000;
	size_t i;

	fail_times(b, "192.0.2.1", "", FREE, now);
	assert_null(backoff_blocked(b, "192.0.2.1", "", now));
	for (i = 0; i < NITEMS(blocks); i++) {
		backoff_failed(b, "192.0.2.1", "", now);
		assert_string_equal(backoff_blocked(b, "192.0.2.1", "", now), "client");
		assert_string_equal(
		    backoff_blocked(b, "192.0.2.1", "x", now + blocks[i] - 1), "client");
		assert_null(backoff_blocked(b, "192.0.2.1", "x", now + blocks[i]));
		now += blocks[i];
	}
	assert_null(backoff_blocked(b, "192.0.2.2", "", now - 1));
	/* no overflow however often */
	fail_times(b, "192.0.2.1", "", 1000, now);
	assert_null(backoff_blocked(b, "192.0.2.1", "", now + MAX));
	assert_non_null(backoff_blocked(b, "192.0.2.1", "", now + MAX - 1));
}

/* A login is blocked for strangers; in any case of its letters. */
static void
test_login(void **state)
{
	struct backoff *b = *state;
	char client[32];
	int i;

	for (i = 0; i <= FREE; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%d", i);
		backoff_failed(b, client, i % 2 == 0 ? "demo" : "DEMO", 0);
	}
	assert_string_equal(backoff_blocked(b, "198.51.100.1", "Demo", 0), "login");
	assert_null(backoff_blocked(b, "198.51.100.1", "other", 0));
	assert_null(backoff_blocked(b, "198.51.100.1", "", 0));
	assert_null(backoff_blocked(b, "198.51.100.1", "demo", BACKOFF_FIRST_MS));
}

/* Nobody can lock a user out from elsewhere. */
static void
test_known_pair(void **state)
{
	struct backoff *b = *state;

	backoff_succeeded(b, "198.51.100.1", "Demo", 0);
	fail_times(b, "192.0.2.1", "demo", 20, 0);
	assert_null(backoff_blocked(b, "198.51.100.1", "demo", 1));
	assert_string_equal(backoff_blocked(b, "198.51.100.2", "demo", 1), "login");
	assert_string_equal(backoff_blocked(b, "192.0.2.1", "demo", 1), "client");
	/* What it does itself counts all the same. */
	fail_times(b, "198.51.100.1", "demo", FREE + 1, 1);
	assert_string_equal(backoff_blocked(b, "198.51.100.1", "demo", 2), "client");
}

static void
test_success(void **state)
{
	struct backoff *b = *state;
	struct backoff_row row;

	fail_times(b, "192.0.2.1", "demo", FREE, 0);
	backoff_succeeded(b, "192.0.2.1", "demo", 0);
	fail_times(b, "192.0.2.1", "", FREE, 0);
	assert_null(backoff_blocked(b, "192.0.2.1", "", 0));
	/* The login's failures were not its own alone. */
	assert_true(backoff_next(b, 0, &row));
	assert_int_equal(row.kind, BACKOFF_CLIENT);
	assert_true(backoff_next(b, row.number, &row));
	assert_int_equal(row.kind, BACKOFF_LOGIN);
	assert_int_equal(row.failures, FREE);
}

/* An account of one's own does not pay for guesses at the others'. */
static void
test_forgiven_once(void **state)
{
	struct backoff *b = *state;
	int64_t later_ms = 1000 + BACKOFF_FORGIVE_MS;

	fail_times(b, "192.0.2.1", "", FREE, 1);
	backoff_succeeded(b, "192.0.2.1", "mine", 1000);
	fail_times(b, "192.0.2.1", "", FREE, 1001);
	backoff_succeeded(b, "192.0.2.1", "mine", 1002);
	assert_null(backoff_blocked(b, "192.0.2.1", "", 1003));
	fail_times(b, "192.0.2.1", "", 1, 1003);
	assert_string_equal(backoff_blocked(b, "192.0.2.1", "", 1004), "client");
	backoff_succeeded(b, "192.0.2.1", "mine", later_ms);
	assert_null(backoff_blocked(b, "192.0.2.1", "", later_ms));
}

static void
test_forgets(void **state)
{
	struct backoff *b = *state;

	fail_times(b, "192.0.2.1", "demo", FREE, 0);
	backoff_failed(b, "192.0.2.2", "", 1000);
	backoff_tick(b, BACKOFF_FORGET_MS - 1);
	assert_int_equal(backoff_count(b), 3);
	backoff_tick(b, BACKOFF_FORGET_MS);
	assert_int_equal(backoff_count(b), 1);
	backoff_tick(b, BACKOFF_FORGET_MS + 1000);
	assert_int_equal(backoff_count(b), 0);
}

static void
test_rows(void **state)
{
	struct backoff *b = *state;
	struct backoff_row row;
	uint64_t second;

	assert_false(backoff_next(b, 0, &row));
	fail_times(b, "192.0.2.1", "demo", FREE + 1, 7);
	backoff_failed(b, "192.0.2.2", "demo", 9);
	assert_true(backoff_next(b, 0, &row));
	assert_int_equal(row.kind, BACKOFF_CLIENT);
	assert_string_equal(row.what, "192.0.2.1");
	assert_int_equal(row.failures, FREE + 1);
	assert_int_equal(row.last_ms, 7);
	assert_int_equal(row.until_ms, 7 + BACKOFF_FIRST_MS);
	assert_true(backoff_next(b, row.number, &row));
	assert_int_equal(row.kind, BACKOFF_LOGIN);
	assert_string_equal(row.what, "demo");
	assert_int_equal(row.failures, FREE + 2);
	second = row.number;
	assert_true(backoff_next(b, row.number, &row));
	assert_string_equal(row.what, "192.0.2.2");
	assert_false(backoff_next(b, row.number, &row));
	/* One that is gone meanwhile does not end the page. */
	assert_int_equal(backoff_clear(b, "DEMO"), 0);
	assert_true(backoff_next(b, second, &row));
	assert_string_equal(row.what, "192.0.2.2");
	assert_int_equal(backoff_clear(b, "demo"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(backoff_clear(b, "192.0.2.1"), 0);
	assert_null(backoff_blocked(b, "192.0.2.1", "demo", 8));
	backoff_clear_all(b);
	assert_int_equal(backoff_count(b), 0);
}

/* The oldest go first, and made-up logins push out logins alone. */
static void
test_bounded(void **state)
{
	struct backoff *b = *state;
	char name[64];
	int i;

	fail_times(b, "192.0.2.1", "first", FREE + 1, 0);
	fail_times(b, "192.0.2.1", "second", FREE + 1, 0);
	for (i = 0; i < BACKOFF_LOGINS_MAX - 1; i++) {
		(void)snprintf(name, sizeof(name), "guess%d", i);
		backoff_failed(b, "192.0.2.2", name, 1);
	}
	assert_int_equal(backoff_count(b), BACKOFF_LOGINS_MAX + 2);
	assert_null(backoff_blocked(b, "203.0.113.1", "first", 2));
	assert_string_equal(backoff_blocked(b, "203.0.113.1", "second", 2), "login");
	assert_string_equal(backoff_blocked(b, "192.0.2.1", "", 2), "client");
	/* Who fails again is young again. */
	backoff_failed(b, "192.0.2.2", "second", 3);
	backoff_failed(b, "192.0.2.2", "one more", 3);
	assert_string_equal(backoff_blocked(b, "203.0.113.1", "second", 4), "login");
	for (i = 0; i < BACKOFF_PAIRS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "guess%d", i);
		backoff_succeeded(b, "192.0.2.3", name, 0);
	}
	fail_times(b, "192.0.2.4", "guess0", FREE + 1, 5);
	assert_null(backoff_blocked(b, "192.0.2.3", "guess0", 6));
	backoff_succeeded(b, "192.0.2.3", "one more", 0);
	assert_string_equal(backoff_blocked(b, "192.0.2.3", "guess0", 6), "login");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_doubles, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_login, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_known_pair, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_success, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forgiven_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forgets, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
