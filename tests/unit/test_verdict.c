/* SPDX-License-Identifier: ISC */
/* Any outcome of a delivery -> delivered, again later, or never, with a fitting status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "delivery/verdict.h"
#include "lib/base/bug.h"

static void
check_whole(const struct verdict *v)
{
	static const char classes[] = {[IPC_OK] = '2', [IPC_RETRY] = '4', [IPC_FAIL] = '5'};
	char parsed[REPLY_ENHANCED_SIZE];
	const char *p;

	assert_true(v->outcome <= IPC_FAIL);
	assert_int_equal(v->status[0], classes[v->outcome]);
	assert_int_equal(
	    reply_enhanced(v->status, strlen(v->status), (v->status[0] - '0') * 100, parsed),
	    strlen(v->status));
	for (p = v->text; *p != '\0'; p++)
		assert_true(*p >= ' ' && *p < 0x7f);
}

static void
test_every_cause(void **state)
{
	struct verdict v;
	int cause;

	(void)state;
	for (cause = 0; cause < CAUSE__MAX; cause++) {
		verdict_of(&v, (enum cause)cause, NULL);
		check_whole(&v);
		assert_true(v.outcome == IPC_RETRY || v.outcome == IPC_FAIL);
		assert_true(v.text[0] != '\0');
		verdict_of(&v, (enum cause)cause, "line\r\n250 ok \xff");
		check_whole(&v);
		assert_non_null(strstr(v.text, "line"));
	}
}

static void
make_reply(struct reply *r, const char *line)
{
	reply_reset(r);
	assert_int_equal(reply_feed_line(r, line, strlen(line)), REPLY_DONE);
}

static void
test_replies(void **state)
{
	static const struct {
		enum verdict_stage stage;
		const char *line;
		enum ipc_outcome outcome;
		const char *status, *text;
	} cases[] = {
	    {STAGE_DATA, "250 2.6.0 queued", IPC_OK, "2.6.0", "250 2.6.0 queued"},
	    {STAGE_DATA, "250", IPC_OK, "2.0.0", "250"},
	    {STAGE_RCPT, "550 5.7.1 no relay", IPC_FAIL, "5.7.1", "550 5.7.1 no relay"},
	    {STAGE_RCPT, "550 who", IPC_FAIL, "5.1.1", "550 who"},
	    {STAGE_MAIL, "550 who", IPC_FAIL, "5.7.1", "550 who"},
	    {STAGE_DATA, "550 spam", IPC_FAIL, "5.0.0", "550 spam"},
	    {STAGE_DATA, "552 big", IPC_FAIL, "5.3.4", "552 big"},
	    {STAGE_RCPT, "552 many", IPC_RETRY, "4.5.3", "552 many"},
	    {STAGE_RCPT, "552 5.2.2 full", IPC_FAIL, "5.2.2", "552 5.2.2 full"},
	    {STAGE_RCPT, "450 grey", IPC_RETRY, "4.2.0", "450 grey"},
	    /* a credential is put right while the mail waits */
	    {STAGE_AUTH, "535 no", IPC_RETRY, "4.7.8", "535 no"},
	    {STAGE_AUTH, "535 5.7.8 no", IPC_RETRY, "4.7.8", "535 5.7.8 no"},
	    {STAGE_AUTH, "534 5.7.9 weak", IPC_RETRY, "4.7.9", "534 5.7.9 weak"},
	    {STAGE_AUTH, "500 what", IPC_RETRY, "4.0.0", "500 what"},
	    {STAGE_AUTH, "454 4.7.0 later", IPC_RETRY, "4.7.0", "454 4.7.0 later"},
	    {STAGE_CONNECT, "421 busy", IPC_RETRY, "4.3.2", "421 busy"},
	    {STAGE_CONNECT, "554 no mail here", IPC_FAIL, "5.0.0", "554 no mail here"},
	    /* a code of another class is not taken */
	    {STAGE_RCPT, "450 5.1.1 odd", IPC_RETRY, "4.2.0", "450 5.1.1 odd"},
	    {STAGE_RCPT, "599 strange", IPC_FAIL, "5.0.0", "599 strange"},
	    {STAGE_RCPT, "354 strange", IPC_RETRY, "4.0.0", "354 strange"},
	};
	struct reply r;
	struct verdict v;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		make_reply(&r, cases[i].line);
		verdict_of_reply(&v, cases[i].stage, &r);
		check_whole(&v);
		assert_int_equal(v.outcome, cases[i].outcome);
		assert_string_equal(v.status, cases[i].status);
		assert_string_equal(v.text, cases[i].text);
	}
}

/* Every code that a reply can have, at every stage, gives a verdict of its class or milder. */
static void
test_every_code(void **state)
{
	struct reply r;
	struct verdict v;
	char line[16];
	int stage, code;

	(void)state;
	for (stage = 0; stage < STAGE__MAX; stage++)
		for (code = 200; code <= 599; code++) {
			(void)snprintf(line, sizeof(line), "%d x", code);
			make_reply(&r, line);
			verdict_of_reply(&v, (enum verdict_stage)stage, &r);
			check_whole(&v);
			assert_int_equal(v.outcome == IPC_OK, code < 300);
			if (v.outcome == IPC_FAIL)
				assert_true(code >= 500 && stage != STAGE_AUTH);
		}
}

/* What another server wishes, and only of mail that is to be tried again; nothing is left of before. */
static void
test_again(void **state)
{
	struct reply r;
	struct verdict v;

	(void)state;
	memset(&v, 0xff, sizeof(v));
	make_reply(&r, "451 4.7.1 Greylisted, try again in 300 seconds");
	verdict_of_reply(&v, STAGE_RCPT, &r);
	assert_int_equal(v.again_s, 300);
	assert_false(v.untried || v.relayed);
	make_reply(&r, "550 5.7.1 try again in 300 seconds");
	verdict_of_reply(&v, STAGE_RCPT, &r);
	assert_int_equal(v.again_s, 0);
	memset(&v, 0xff, sizeof(v));
	verdict_of(&v, CAUSE_UNREACHABLE, "try again in 300 seconds");
	assert_int_equal(v.again_s, 0);
	assert_false(v.untried || v.relayed);
	memset(&v, 0xff, sizeof(v));
	verdict_set(&v, IPC_RETRY, "4.2.0", "try again in 300 seconds");
	assert_int_equal(v.again_s, 0);
	assert_false(v.untried || v.relayed);
}

static void
test_set(void **state)
{
	static const struct {
		enum ipc_outcome outcome;
		const char *status, *want;
	} cases[] = {
	    {IPC_OK, "2.1.5", "2.1.5"},
	    {IPC_OK, "5.1.5", "2.0.0"},
	    {IPC_RETRY, "", "4.0.0"},
	    {IPC_RETRY, "4.2.2x", "4.0.0"},
	    {IPC_FAIL, "5.1.1 ", "5.0.0"},
	    {IPC_FAIL, "5.1.10", "5.1.10"},
	    {IPC_DENIED, "4.7.1", "4.7.1"},
	};
	struct verdict v;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		verdict_set(&v, cases[i].outcome, cases[i].status, "a\nb");
		check_whole(&v);
		assert_string_equal(v.status, cases[i].want);
	}
	assert_string_equal(verdict_event(&v), "deferred");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cause),
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_every_code),
	    cmocka_unit_test(test_again),
	    cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
