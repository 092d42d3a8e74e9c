/* SPDX-License-Identifier: ISC */
/* Questions to token helpers: one after the other on each of a few connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "vault/remote.h"
#include "vault/remote_lines.h"

#include "tests/unit/remote_rig.h"

/* -- helpers -- */

static void
test_helper(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	assert_hears(r, 0, TOKEN);
	say(r, 0, "OK demo@example.org\n");
	assert_answer(r, 0, IPC_AUTH_OK, "demo@example.org");
	assert_non_null(ask(r, 1, helper, REMOTE_OAUTHBEARER));
	assert_hears(r, 0, TOKEN);
	say(r, 0, "NO\n");
	assert_answer(r, 1, IPC_AUTH_REFUSED, "");
	assert_non_null(ask(r, 2, helper, REMOTE_OAUTHBEARER));
	say(r, 0, "LATER\n");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_int_equal(r->npeers, 1);
}

static void
test_helper_pool(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < 6; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	assert_int_equal(r->npeers, 4);
	for (i = 0; i < 4; i++) {
		assert_string_equal(hear(r, i), TOKEN);
		assert_hears(r, i, "");
	}
	say(r, 2, "OK two\n");
	assert_answer(r, 2, IPC_AUTH_OK, "two");
	assert_string_equal(hear(r, 2), TOKEN);
	say(r, 0, "NO\n");
	assert_answer(r, 0, IPC_AUTH_REFUSED, "");
	assert_string_equal(hear(r, 0), TOKEN);
	say(r, 2, "OK four\n");
	say(r, 0, "OK five\n");
	assert_answer(r, 4, IPC_AUTH_OK, "four");
	assert_answer(r, 5, IPC_AUTH_OK, "five");
	assert_waiting(r, 1);
	assert_waiting(r, 3);
}

static void
test_helper_closes_each_time(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK a\n");
	/* It closes while the next question is on its way: asked again, once. */
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	hang_up(r, 0);
	assert_waiting(r, 1);
	assert_string_equal(hear(r, 1), TOKEN);
	say(r, 1, "OK b\n");
	assert_answer(r, 1, IPC_AUTH_OK, "b");
	assert_non_null(ask(r, 2, helper, REMOTE_XOAUTH2));
	hang_up(r, 1);
	assert_string_equal(hear(r, 2), TOKEN);
	hang_up(r, 2);
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_null(ask(r, 3, helper, REMOTE_XOAUTH2));
	later(r, 1000);
	/* Half an answer is none to ask again for. */
	assert_non_null(ask(r, 4, helper, REMOTE_XOAUTH2));
	say(r, 3, "OK a\n");
	assert_non_null(ask(r, 5, helper, REMOTE_XOAUTH2));
	say(r, 3, "OK r");
	hang_up(r, 3);
	assert_answer(r, 5, IPC_AUTH_TROUBLE, "");
}

static void
test_helper_liars(void **state)
{
	static const char *const cases[] = {
	    "YES\n", "OK two words\n", "\n", "OK\n", "OK a\nOK b\n", "NO\r\n"};
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		later(r, 60000);
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
		(void)hear(r, i);
		say(r, i, cases[i]);
		assert_hears(r, i, "(closed)");
		if (strcmp(cases[i], "OK a\nOK b\n") == 0)
			assert_answer(r, i, IPC_AUTH_OK, "a");
		else
			assert_answer(r, i, IPC_AUTH_TROUBLE, "");
	}
	/* Nothing was asked. */
	later(r, 60000);
	assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	say(r, i, "OK a\n");
	say(r, i, "OK root\n");
	assert_null(ask(r, i + 1, helper, REMOTE_XOAUTH2));
}

static void
test_helper_late(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK a\n");
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	later(r, 9999);
	assert_waiting(r, 1);
	later(r, 1);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, TOKEN TOKEN);
	/* Its answer can't become the next one's. */
	assert_hears(r, 0, "(closed)");
	assert_int_equal(r->npeers, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_helper),
	    TEST(test_helper_pool),
	    TEST(test_helper_closes_each_time),
	    TEST(test_helper_liars),
	    TEST(test_helper_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
