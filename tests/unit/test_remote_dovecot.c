/* SPDX-License-Identifier: ISC */
/* Questions to Dovecot: its greeting, its answers in any order, what it does not offer, its lies. */
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

/* -- Dovecot -- */

static void
test_dovecot(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_hears(r, 0, "AUTH\t1\tPLAIN\t");
	assert_waiting(r, 0);
	say(r, 0, "OK\t1\tuser=demo@example.org\n");
	assert_answer(r, 0, IPC_AUTH_OK, "demo@example.org");
	/* The connection stays. */
	assert_non_null(ask(r, 1, dovecot, REMOTE_OAUTHBEARER));
	assert_hears(r, 0, "AUTH\t2\tOAUTHBEARER\t");
	say(r, 0, "FAIL\t2\tuser=demo\n");
	assert_answer(r, 1, IPC_AUTH_REFUSED, "");
	assert_int_equal(r->npeers, 1);
}

static void
test_dovecot_many(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < 5; i++)
		assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_int_equal(r->npeers, 1);
	say(r, 0,
	    "FAIL\t3\ttemp\nOK\t5\tuser=five\nOK\t99\tuser=forged\nOK\t5\tuser=again\n"
	    "NEW\tword\nFAIL\t0\n");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 4, IPC_AUTH_OK, "five");
	assert_waiting(r, 0);
	assert_waiting(r, 1);
	assert_non_null(ask(r, 5, dovecot, REMOTE_PASSWORD));
	say(r, 0, "OK\t6\tuser=not fit\n");
	assert_answer(r, 5, IPC_AUTH_TROUBLE, "");
	say(r, 0, "OK\t1\tuser=o");
	assert_waiting(r, 0);
	say(r, 0, "ne\nOK\t4\tuser=four\n");
	assert_answer(r, 0, IPC_AUTH_OK, "one");
	assert_answer(r, 3, IPC_AUTH_OK, "four");
	hang_up(r, 0);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_int_equal(r->answers[2].times, 1);
}

static void
test_dovecot_refused_token(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_OAUTHBEARER));
	greet(r, 0);
	(void)hear(r, 0);
	say(r, 0, "CONT\t1\teyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\n");
	assert_hears(r, 0, "CONT\t1\tAQ==\n");
	say(r, 0, "FAIL\t1\tuser=demo\n");
	assert_answer(r, 0, IPC_AUTH_REFUSED, "");
	assert_non_null(ask(r, 1, dovecot, REMOTE_OAUTHBEARER));
	(void)hear(r, 0);
	say(r, 0, "CONT\t2\tx\nCONT\t2\tx\n");
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, "(closed)");
}

static void
test_dovecot_does_not_offer(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_XOAUTH2));
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_non_null(strstr(last_line, "does not offer XOAUTH2"));
	assert_hears(r, 0, "AUTH\t2\tPLAIN");
	assert_null(ask(r, 2, dovecot, REMOTE_XOAUTH2));
	say(r, 0, "OK\t2\tuser=d\n");
	assert_answer(r, 1, IPC_AUTH_OK, "d");
}

static void
test_dovecot_liars(void **state)
{
	static const struct {
		const char *greeting, *then; /* then NULL: it is the greeting that is wrong */
	} cases[] = {
	    {"VERSION\t2\t0\nDONE\n", NULL},
	    {"VERSION\tx\n", NULL},
	    {"OK\t1\tuser=root\n", NULL},
	    {"MECH\n", NULL},
	    {GREETING, "OK\n"},
	    {GREETING, "OK\tx\tuser=root\n"},
	    {GREETING, "FAIL\t-1\n"},
	    {GREETING, "CONT\t8\tx\n"},
	};
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		later(r, 60000);
		assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
		assert_int_equal(r->npeers, i + 1);
		(void)hear(r, i);
		say(r, i, cases[i].greeting);
		if (cases[i].then != NULL) {
			assert_hears(r, i, "AUTH");
			say(r, i, cases[i].then);
		}
		assert_answer(r, i, IPC_AUTH_TROUBLE, "");
		assert_hears(r, i, "(closed)");
	}
}

static void
test_dovecot_endless(void **state)
{
	static char line[DOVECOT_LINE_MAX + 2];
	struct rig *r = *state;
	size_t i;

	memset(line, 'x', sizeof(line) - 1);
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 0);
	say(r, 0, line);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_non_null(strstr(last_line, "too long a line"));
	later(r, 60000);
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 1);
	for (i = 0; i < 200; i++) {
		assert_waiting(r, 1);
		say(r, 1, "COOKIE\tx\n");
	}
	say(r, 1, "COOKIE\tx\n");
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
}

/* The longest line that it takes. */
static void
test_dovecot_long_line(void **state)
{
	static char line[DOVECOT_LINE_MAX + 2];
	struct rig *r = *state;

	memset(line, 'x', sizeof(line) - 2);
	line[DOVECOT_LINE_MAX] = '\n';
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 0);
	say(r, 0, line);
	say(r, 0, GREETING);
	say(r, 0, line);
	say(r, 0, "OK\t1\tuser=d\n");
	assert_answer(r, 0, IPC_AUTH_OK, "d");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_dovecot),
	    TEST(test_dovecot_many),
	    TEST(test_dovecot_refused_token),
	    TEST(test_dovecot_does_not_offer),
	    TEST(test_dovecot_liars),
	    TEST(test_dovecot_endless),
	    TEST(test_dovecot_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
