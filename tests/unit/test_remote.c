/* SPDX-License-Identifier: ISC */
/*
 * Questions to back ends, whoever they are: lost connections, the parent's answers,
 * deadlines, bounds, askers that are gone; each ends once.
 */
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

/* -- connections -- */

static void
test_parent_refuses(void **state)
{
	struct rig *r = *state;
	size_t i;

	r->parent_does = REFUSE;
	for (i = 0; i < 4; i++) {
		assert_non_null(ask(r, 2 * i, dovecot, REMOTE_PASSWORD));
		assert_answer(r, 2 * i, IPC_AUTH_TROUBLE, "");
		assert_non_null(strstr(last_line, "Connection refused"));
		/* It is left alone for a while, longer each time. */
		later(r, (1000 << i) - 1);
		assert_null(ask(r, 2 * i + 1, dovecot, REMOTE_PASSWORD));
		later(r, 1);
	}
	later(r, 60000);
	r->parent_does = CONNECT;
	assert_non_null(ask(r, 8, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	say(r, 0, "FAIL\t9\n");
	say(r, 0, "FAIL\t5\n");
	assert_answer(r, 8, IPC_AUTH_REFUSED, "");
	/* An answer, and all is well again. */
	hang_up(r, 0);
	r->parent_does = REFUSE;
	assert_non_null(ask(r, 9, dovecot, REMOTE_PASSWORD));
	later(r, 1000);
	r->parent_does = CONNECT;
	assert_non_null(ask(r, 10, dovecot, REMOTE_PASSWORD));
}

static void
test_parent_is_silent(void **state)
{
	struct rig *r = *state;
	struct msg_helper_link late = {.req = 0};
	int pair[2];

	r->parent_does = NOTHING;
	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	later(r, 5000);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	/* What comes late, or was never asked for, is closed. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->peers[r->npeers++] = pair[0];
	late.req = r->last_req;
	assert_int_equal(channel_send_fd(r->parent, MSG_helper_link, &late, pair[1]), 0);
	turn(r);
	assert_hears(r, 0, "(closed)");
}

static void
test_idle_close(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	say(r, 0, "OK\t1\tuser=d\n");
	last_line[0] = '\0';
	hang_up(r, 0);
	/* That is nobody's fault. */
	assert_string_equal(last_line, "");
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 1);
	assert_hears(r, 1, "AUTH\t2");
	say(r, 1, "OK\t2\tuser=e\n");
	assert_answer(r, 1, IPC_AUTH_OK, "e");
}

static void
test_deadlines(void **state)
{
	struct rig *r = *state;

	/* It never greets. */
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	later(r, 9999);
	assert_waiting(r, 0);
	later(r, 1);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, "VERSION");
	assert_hears(r, 0, "(closed)");
	later(r, 60000);
	/* It greets, and falls silent: the connection is not worth keeping. */
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 1);
	later(r, 5000);
	assert_non_null(ask(r, 2, dovecot, REMOTE_PASSWORD));
	later(r, 5000);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	later(r, 60000);
	/* It answers others: that one question is late, and its answer too. */
	assert_non_null(ask(r, 3, dovecot, REMOTE_PASSWORD));
	greet(r, 2);
	later(r, 5000);
	assert_non_null(ask(r, 4, dovecot, REMOTE_PASSWORD));
	say(r, 2, "OK\t5\tuser=d\n");
	assert_answer(r, 4, IPC_AUTH_OK, "d");
	later(r, 5000);
	assert_answer(r, 3, IPC_AUTH_TROUBLE, "");
	say(r, 2, "OK\t4\tuser=d\n");
	assert_non_null(ask(r, 5, dovecot, REMOTE_PASSWORD));
	say(r, 2, "OK\t6\tuser=d\n");
	assert_answer(r, 5, IPC_AUTH_OK, "d");
}

static void
test_full(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < REMOTE_WAITING_MAX; i++)
		assert_non_null(ask_as(r, &r->answers[i], dovecot, REMOTE_PASSWORD));
	assert_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	say(r, 0, "OK\t7\tuser=d\n");
	assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	hang_up(r, 0);
	for (i = 0; i < REMOTE_WAITING_MAX; i++)
		assert_int_equal(r->answers[i].times, 1);
}

static void
test_one_client(void **state)
{
	struct rig *r = *state;
	struct remote_request request = {.table = helper,
	    .client = "192.0.2.1",
	    .kind = REMOTE_XOAUTH2,
	    .login = "demo",
	    .secret = {(const uint8_t *)"x", 1}};
	size_t i;

	for (i = 0; i < REMOTE_WAITING_EACH; i++)
		assert_non_null(
		    remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[i]));
	assert_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[i]));
	turn(r);
	assert_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[i]));
	request.client = "192.0.2.2";
	assert_non_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[i]));
	say(r, 0, "NO\n");
	request.client = "192.0.2.1";
	assert_non_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[i + 1]));
}

static void
test_cannot_be_asked(void **state)
{
	struct rig *r = *state;
	static const uint8_t long_secret[REMOTE_SECRET_MAX + 1] = {'x'};
	struct remote_request request = {.table = helper,
	    .client = "",
	    .kind = REMOTE_XOAUTH2,
	    .login = "demo",
	    .secret = {long_secret, sizeof(long_secret)}};

	assert_null(ask(r, 0, "nobody", REMOTE_PASSWORD));
	assert_null(ask(r, 0, helper, REMOTE_PASSWORD));
	assert_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[0]));
	assert_int_equal(r->npeers, 0);
}

/* -- who asked is gone, or asks more -- */

static void
test_cancel(void **state)
{
	struct rig *r = *state;
	struct remote_question *q;
	size_t i;

	remote_cancel(NULL);
	q = ask(r, 0, helper, REMOTE_XOAUTH2);
	remote_cancel(q);
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK zero\n");
	say(r, 1, "OK one\n");
	assert_waiting(r, 0);
	assert_answer(r, 1, IPC_AUTH_OK, "one");
	for (i = 2; i < 6; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	q = ask(r, 6, helper, REMOTE_XOAUTH2);
	assert_non_null(ask(r, 7, helper, REMOTE_XOAUTH2));
	remote_cancel(q);
	say(r, 0, "NO\n");
	say(r, 0, "OK seven\n");
	assert_answer(r, 7, IPC_AUTH_OK, "seven");
	assert_waiting(r, 6);
}

static void
test_from_inside(void **state)
{
	struct rig *r = *state;
	struct remote_question *waiting;
	size_t i;

	for (i = 0; i < 4; i++)
		r->answers[i].again = true;
	for (i = 0; i < 4; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	waiting = ask(r, 4, helper, REMOTE_XOAUTH2);
	r->answers[0].cancel = waiting;
	say(r, 0, "OK a\n");
	/* The place is its own again. */
	assert_string_equal(hear(r, 0), TOKEN TOKEN);
	for (i = 0; i < 4; i++)
		hang_up(r, i);
	/* One was asked anew at once, the others were told, and asked again. */
	for (i = 0; i < 4; i++) {
		assert_string_equal(hear(r, 4), TOKEN);
		say(r, 4, "OK b\n");
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(r->answers[i].times, 2);
		assert_string_equal(r->answers[i].login, "b");
	}
	assert_waiting(r, 4);
}

static void
test_configure(void **state)
{
	static char path_b[] = "/b";
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_waiting(r, 0);
	r->tables[1].path = path_b;
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_waiting(r, 1);
	assert_non_null(ask(r, 2, helper, REMOTE_XOAUTH2));
	r->answers[2].again = true;
	r->conf.ntables = 0;
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_null(ask(r, 3, helper, REMOTE_XOAUTH2));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_parent_refuses),
	    TEST(test_parent_is_silent),
	    TEST(test_idle_close),
	    TEST(test_deadlines),
	    TEST(test_full),
	    TEST(test_one_client),
	    TEST(test_cannot_be_asked),
	    TEST(test_cancel),
	    TEST(test_from_inside),
	    TEST(test_configure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
