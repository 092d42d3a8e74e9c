/* SPDX-License-Identifier: ISC */
/* Lines served in turn: who asks much waits behind itself alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/turn.h"

static int
setup(void **state)
{
	return (*state = turns_create()) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	while (turns_next(*state) != NULL)
		;
	turns_free(*state);
	return 0;
}

static void
test_round(void **state)
{
	/* Three of a, who came first, two of b, one of c: a b c a b a. */
	struct turn a[3] = {0}, b[2] = {0}, c = {0};
	size_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(turn_wait(*state, &a[i], "a"), 0);
	assert_int_equal(turn_wait(*state, &b[0], "b"), 0);
	assert_int_equal(turn_wait(*state, &b[1], "b"), 0);
	assert_int_equal(turn_wait(*state, &c, "c"), 0);
	assert_int_equal(turns_count(*state), 6);
	assert_ptr_equal(turns_next(*state), &a[0]);
	assert_ptr_equal(turns_next(*state), &b[0]);
	assert_ptr_equal(turns_next(*state), &c);
	assert_ptr_equal(turns_next(*state), &a[1]);
	assert_ptr_equal(turns_next(*state), &b[1]);
	assert_ptr_equal(turns_next(*state), &a[2]);
	assert_null(turns_next(*state));
	assert_null(c.line);
	assert_int_equal(turns_count(*state), 0);
}

/* Who comes back at once stands behind all others. */
static void
test_comes_back(void **state)
{
	struct turn a = {0}, b[2] = {0};

	assert_int_equal(turn_wait(*state, &a, "a"), 0);
	assert_int_equal(turn_wait(*state, &b[0], "b"), 0);
	assert_ptr_equal(turns_next(*state), &a);
	assert_int_equal(turn_wait(*state, &a, "a"), 0);
	assert_int_equal(turn_wait(*state, &b[1], "b"), 0);
	assert_ptr_equal(turns_next(*state), &b[0]);
	assert_ptr_equal(turns_next(*state), &a);
	assert_ptr_equal(turns_next(*state), &b[1]);
}

static void
test_leaves(void **state)
{
	struct turn a[3] = {0}, b = {0};
	size_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(turn_wait(*state, &a[i], "a"), 0);
	assert_int_equal(turn_wait(*state, &b, "b"), 0);
	turn_leave(*state, &a[1]);
	turn_leave(*state, &a[1]);
	assert_ptr_equal(turns_next(*state), &a[0]);
	turn_leave(*state, &b);
	assert_ptr_equal(turns_next(*state), &a[2]);
	assert_null(turns_next(*state));
	turn_leave(*state, &a[2]);
	assert_int_equal(turns_count(*state), 0);
}

static void
test_bounds(void **state)
{
	static struct turn w[TURNS_MAX + 1];
	char client[32];
	size_t i;

	memset(w, 0, sizeof(w));
	for (i = 0; i < TURNS_MAX_EACH; i++)
		assert_int_equal(turn_wait(*state, &w[i], "a"), 0);
	assert_int_equal(turn_wait(*state, &w[i], "a"), -1);
	assert_int_equal(errno, EAGAIN);
	for (; i < TURNS_MAX; i++) {
		(void)snprintf(client, sizeof(client), "%zu", i);
		assert_int_equal(turn_wait(*state, &w[i], client), 0);
	}
	assert_int_equal(turn_wait(*state, &w[i], "b"), -1);
	assert_int_equal(errno, EAGAIN);
	assert_ptr_equal(turns_next(*state), &w[0]);
	assert_int_equal(turn_wait(*state, &w[i], "b"), 0);
	turn_leave(*state, &w[5]);
	assert_int_equal(turn_wait(*state, &w[0], "a"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_leaves, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
