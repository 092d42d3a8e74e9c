/* SPDX-License-Identifier: ISC */
/* SMTP command lines: verbs, arguments, parameters, and the answer each refusal gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session/parse.h"

#define L50 "01234567890123456789012345678901234567890123456789"

static void
test_commands(void **state)
{
	static const struct {
		const char *line;
		size_t len;
		enum verb verb;
		const char *arg;
		unsigned bad;
	} rows[] = {
#define LINE(s) s, sizeof(s) - 1
	    {LINE("EHLO client.example"), VERB_EHLO, "client.example", 0},
	    {LINE("ehlo   a  "), VERB_EHLO, "a", 0},
	    {LINE("HELO"), VERB_HELO, "", 0},
	    {LINE("mAiL FROM:<a@b>"), VERB_MAIL, "FROM:<a@b>", 0},
	    {LINE("RSET "), VERB_RSET, "", 0},
	    {LINE("STARTTLS"), VERB_STARTTLS, "", 0},
	    {LINE("XCLIENT ADDR=1.2.3.4"), VERB_XCLIENT, "ADDR=1.2.3.4", 0},
	    {LINE("DATAX"), VERB_UNKNOWN, "", 0},
	    {LINE("DAT"), VERB_UNKNOWN, "", 0},
	    {LINE(" DATA"), VERB_UNKNOWN, "DATA", 0},
	    {LINE(""), VERB_UNKNOWN, "", 0},
	    {LINE("GET / HTTP/1.1"), VERB_HTTP, "/ HTTP/1.1", 0},
	    {LINE("PRI * HTTP/2.0"), VERB_HTTP, "* HTTP/2.0", 0},
	    {LINE("\x16\x03\x01\x02"), VERB_UNKNOWN, "\x16\x03\x01\x02", COMMAND_CONTROL},
	    {LINE("MAIL\tFROM:<a@b>"), VERB_MAIL, "\tFROM:<a@b>", COMMAND_CONTROL},
	    {LINE("BDAT\t1"), VERB_BDAT, "\t1", COMMAND_CONTROL},
	    {LINE("MAIL FROM:<a\0@b>"), VERB_MAIL, "FROM:<a", COMMAND_NUL},
	    {LINE("NOOP a\rb\nc\x7f"), VERB_NOOP, "a\rb\nc\x7f",
		COMMAND_CR | COMMAND_LF | COMMAND_CONTROL},
	};
	struct command c;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].line);
		parse_command(rows[i].line, rows[i].len, &c);
		assert_int_equal(c.verb, rows[i].verb);
		assert_int_equal(c.bad_octets, rows[i].bad);
		assert_int_equal(c.arg_len, strlen(rows[i].arg));
		assert_memory_equal(c.arg, rows[i].arg, c.arg_len);
		assert_false(c.has_8bit);
	}
	parse_command("NOOP \xc3\xa9", 7, &c);
	assert_true(c.has_8bit);
	assert_string_equal(verb_name(VERB_BDAT), "BDAT");
	assert_string_equal(verb_name(VERB_HTTP), "?");
}

/* -- MAIL -- */

static void
test_mail_results(void **state)
{
	static const struct {
		const char *arg;
		enum parse_result result;
	} rows[] = {
	    {"FROM:<>", PARSE_OK},
	    {"FROM:<a@b>", PARSE_OK},
	    {"from: <a@b>  ", PARSE_OK},
	    {"FROM:<@x,@y:a@b>", PARSE_OK},
	    {"FROM:<a@b> SIZE=0 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x AUTH=<>", PARSE_OK},
	    {"FROM:<a@b>   size=1   body=7bit ", PARSE_OK},
	    {"", PARSE_SYNTAX},
	    {"TO:<a@b>", PARSE_SYNTAX},
	    {"FROM", PARSE_SYNTAX},
	    {"FROM:", PARSE_SYNTAX},
	    {"FROM:a@b", PARSE_SYNTAX},
	    {"FROM:<a@b>SIZE=1", PARSE_SYNTAX},
	    {"FROM:<a@b>>", PARSE_SYNTAX},
	    {"FROM:<a@b", PARSE_BAD_ADDRESS},
	    {"FROM:<a>", PARSE_BAD_ADDRESS},
	    {"FROM:<postmaster>", PARSE_BAD_ADDRESS},
	    {"FROM:<" L50 "012345678901234@b>", PARSE_LOCAL_TOO_LONG},
	    {"FROM:<a@b> FOO=1", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> FOO", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> =1", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> SIZES=1", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> SIZ=1", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> NOTIFY=NEVER", PARSE_UNKNOWN_PARAM},
	    {"FROM:<a@b> SIZE", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SIZE=", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SIZE=-1", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SIZE=0x10", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SIZE=1 SIZE=2", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SIZE=9223372036854775807", PARSE_OK},
	    {"FROM:<a@b> SIZE=9223372036854775808", PARSE_TOO_BIG},
	    {"FROM:<a@b> SIZE=99999999999999999999", PARSE_TOO_BIG},
	    {"FROM:<a@b> SIZE=999999999999999999999", PARSE_BAD_PARAM},
	    {"FROM:<a@b> BODY=9BIT", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SMTPUTF8=1", PARSE_BAD_PARAM},
	    {"FROM:<a@b> SMTPUTF8=", PARSE_BAD_PARAM},
	    {"FROM:<a@b> RET=SOME", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a+0D+0Ab", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a+00", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a+2b", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a+2", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a+", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=a=b", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=\xc3\xa9", PARSE_BAD_PARAM},
	    {"FROM:<a@b> ENVID=" L50 L50, PARSE_OK},
	    {"FROM:<a@b> ENVID=" L50 L50 "0", PARSE_BAD_PARAM},
	    {"FROM:<a@b> AUTH=a+40b", PARSE_OK},
	    {"FROM:<a@b> AUTH=a@b", PARSE_OK},
	    {"FROM:<a@b> AUTH=nobody", PARSE_BAD_PARAM},
	    {"FROM:<a@b> AUTH=a+0A@b", PARSE_BAD_PARAM},
	    {"FROM:<\xc3\xa9@b>", PARSE_NEEDS_SMTPUTF8},
	    {"FROM:<\xc3\xa9@b> SMTPUTF8", PARSE_OK},
	    {"FROM:<\xc3@b> SMTPUTF8", PARSE_BAD_ADDRESS},
	};
	struct mail_args m;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].arg);
		assert_int_equal(parse_mail(rows[i].arg, &m), rows[i].result);
	}
}

static void
test_mail_values(void **state)
{
	struct mail_args m;

	(void)state;
	assert_int_equal(parse_mail("FROM:<A@B> SIZE=12 BODY=BINARYMIME RET=full ENVID=a+2Bb+20c "
				    "AUTH=x+3Dy@z SMTPUTF8",
			     &m),
	    PARSE_OK);
	assert_string_equal(m.from.local, "A");
	assert_string_equal(m.from.domain, "b");
	assert_true(m.has_size && m.size == 12);
	assert_int_equal(m.body, BODY_KIND_BINARYMIME);
	assert_string_equal(m.ret, "FULL");
	assert_string_equal(m.envid, "a+b c");
	assert_true(m.has_auth);
	assert_string_equal(m.auth, "x=y@z");
	assert_true(m.smtputf8);

	assert_int_equal(parse_mail("FROM:<>", &m), PARSE_OK);
	assert_string_equal(m.from.local, "");
	assert_false(m.has_size || m.has_auth || m.smtputf8);
	assert_int_equal(m.body, BODY_KIND_NONE);
}

/* Parameters of submission (RFC 6710, 4865, 2852, 8689): those in bounds, and those beside them. */
static void
test_mail_submission(void **state)
{
	static const struct {
		const char *params;
		enum parse_result result;
	} rows[] = {
	    {"REQUIRETLS", PARSE_OK},
	    {"requiretls", PARSE_OK},
	    {"REQUIRETLS=", PARSE_BAD_PARAM},
	    {"REQUIRETLS=1", PARSE_BAD_PARAM},
	    {"REQUIRETLS REQUIRETLS", PARSE_BAD_PARAM},
	    {"MT-PRIORITY", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=-", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=10", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=-10", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=-0", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=+1", PARSE_BAD_PARAM},
	    {"MT-PRIORITY=a", PARSE_BAD_PARAM},
	    {"MT-PRIORITYS=1", PARSE_UNKNOWN_PARAM},
	    {"HOLDFOR", PARSE_BAD_PARAM},
	    {"HOLDFOR=", PARSE_BAD_PARAM},
	    {"HOLDFOR=0", PARSE_BAD_PARAM},
	    {"HOLDFOR=01", PARSE_BAD_PARAM},
	    {"HOLDFOR=-1", PARSE_BAD_PARAM},
	    {"HOLDFOR=1000000000", PARSE_BAD_PARAM},
	    {"HOLDFOR=1 HOLDFOR=1", PARSE_BAD_PARAM},
	    {"HOLDFOR=1 HOLDUNTIL=2026-11-22T23:37:29Z", PARSE_BAD_PARAM},
	    {"HOLDUNTIL=2026-11-22T23:37:29Z HOLDFOR=1", PARSE_BAD_PARAM},
	    {"HOLDUNTIL=", PARSE_BAD_PARAM},
	    {"HOLDUNTIL=tomorrow", PARSE_BAD_PARAM},
	    {"HOLDUNTIL=1970-01-01T00:00:00Z", PARSE_BAD_PARAM},
	    {"HOLDUNTIL=1969-12-31T23:59:59Z", PARSE_BAD_PARAM},
	    {"BY", PARSE_BAD_PARAM},
	    {"BY=", PARSE_BAD_PARAM},
	    {"BY=120", PARSE_BAD_PARAM},
	    {"BY=120;", PARSE_BAD_PARAM},
	    {"BY=;R", PARSE_BAD_PARAM},
	    {"BY=-;N", PARSE_BAD_PARAM},
	    {"BY=+-1;N", PARSE_BAD_PARAM},
	    {"BY=120;X", PARSE_BAD_PARAM},
	    {"BY=120;T", PARSE_BAD_PARAM},
	    {"BY=120;RN", PARSE_BAD_PARAM},
	    {"BY=120;RTT", PARSE_BAD_PARAM},
	    {"BY=0;R", PARSE_BAD_PARAM},
	    {"BY=-0;R", PARSE_BAD_PARAM},
	    {"BY=-120;R", PARSE_BAD_PARAM},
	    {"BY=1234567890;N", PARSE_BAD_PARAM},
	    {"BY=0x10;N", PARSE_BAD_PARAM},
	};
	char arg[256];
	struct mail_args m;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].params);
		(void)snprintf(arg, sizeof(arg), "FROM:<a@b> %s", rows[i].params);
		assert_int_equal(parse_mail(arg, &m), rows[i].result);
	}
	assert_int_equal(parse_mail("FROM:<a@b> requiretls", &m), PARSE_OK);
	assert_true(m.requiretls);
	assert_int_equal(parse_mail("FROM:<a@b>", &m), PARSE_OK);
	assert_false(m.requiretls || m.has_priority || m.has_hold || m.has_by);
}

static void
test_mail_priority(void **state)
{
	char arg[64];
	struct mail_args m;
	int i;

	(void)state;
	for (i = -9; i <= 9; i++) {
		(void)snprintf(arg, sizeof(arg), "FROM:<a@b> mt-Priority=%d", i);
		assert_int_equal(parse_mail(arg, &m), PARSE_OK);
		assert_true(m.has_priority);
		assert_int_equal(m.priority, i);
	}
}

static void
test_mail_hold(void **state)
{
	static const struct {
		const char *param;
		int64_t hold_for_s, hold_until_s;
	} rows[] = {
	    {"HOLDFOR=1", 1, 0},
	    {"holdfor=999999999", 999999999, 0},
	    {"HOLDUNTIL=2026-11-22T23:37:29Z", 0, 1795390649},
	    {"holduntil=2026-11-23t08:37:29+09:00", 0, 1795390649},
	};
	char arg[128];
	struct mail_args m;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].param);
		(void)snprintf(arg, sizeof(arg), "FROM:<a@b> %s", rows[i].param);
		assert_int_equal(parse_mail(arg, &m), PARSE_OK);
		assert_true(m.has_hold);
		assert_int_equal(m.hold_for_s, rows[i].hold_for_s);
		assert_int_equal(m.hold_until_s, rows[i].hold_until_s);
	}
}

static void
test_mail_by(void **state)
{
	static const struct {
		const char *param;
		int64_t by_s;
		char mode;
		bool trace;
	} rows[] = {
	    {"BY=1;R", 1, 'R', false},
	    {"BY=+120;RT", 120, 'R', true},
	    {"by=000000120;nt", 120, 'N', true},
	    {"BY=999999999;N", 999999999, 'N', false},
	    {"BY=-999999999;N", -999999999, 'N', false},
	    {"BY=0;N", 0, 'N', false},
	};
	char arg[128];
	struct mail_args m;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].param);
		(void)snprintf(arg, sizeof(arg), "FROM:<a@b> %s", rows[i].param);
		assert_int_equal(parse_mail(arg, &m), PARSE_OK);
		assert_true(m.has_by);
		assert_int_equal(m.by_s, rows[i].by_s);
		assert_int_equal(m.by_mode, rows[i].mode);
		assert_int_equal(m.by_trace, rows[i].trace);
	}
}

/* -- RCPT -- */

static void
test_rcpt_results(void **state)
{
	static const struct {
		const char *arg;
		bool smtputf8;
		enum parse_result result;
		unsigned notify;
		const char *orcpt;
	} rows[] = {
	    {"TO:<a@b>", false, PARSE_OK, 0, ""},
	    {"to: <Postmaster>", false, PARSE_OK, 0, ""},
	    {"TO:<POSTMASTER>", false, PARSE_OK, 0, ""},
	    {"TO:<postmasters>", false, PARSE_BAD_ADDRESS, 0, NULL},
	    {"TO:<" L50 "01234567890123@b>", false, PARSE_OK, 0, ""},
	    {"TO:<a@b> NOTIFY=NEVER", false, PARSE_OK, NOTIFY_NEVER, ""},
	    {"TO:<a@b> notify=success,Delay", false, PARSE_OK, NOTIFY_SUCCESS | NOTIFY_DELAY, ""},
	    {"TO:<a@b> ORCPT=rfc822;x+40y NOTIFY=FAILURE", false, PARSE_OK, NOTIFY_FAILURE,
		"rfc822;x@y"},
	    {"TO:<a@b> ORCPT=utf-8;\xc3\xa9@y", true, PARSE_OK, 0, "utf-8;\xc3\xa9@y"},
	    {"TO:<a@b> ORCPT=utf-8;\xc3\xa9@y", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=utf-8;\xc2\x85@y", true, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<>", false, PARSE_BAD_ADDRESS, 0, NULL},
	    {"TO:<a@b@c>", false, PARSE_BAD_ADDRESS, 0, NULL},
	    {"TO:<\xc3\xa9@b>", false, PARSE_NEEDS_SMTPUTF8, 0, NULL},
	    {"TO:<\xc3\xa9@b>", true, PARSE_OK, 0, ""},
	    {"TO:<a@b> SIZE=1", false, PARSE_UNKNOWN_PARAM, 0, NULL},
	    {"TO:<a@b> NOTIFY", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> NOTIFY=", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> NOTIFY=NEVER,DELAY", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> NOTIFY=DELAY,", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> NOTIFY=DELAYS", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=rfc822", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=;x", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=rfc822;", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=rf c;x", false, PARSE_BAD_PARAM, 0, NULL},
	    {"TO:<a@b> ORCPT=rfc822;a+0D+0Ab", false, PARSE_BAD_PARAM, 0, NULL},
	};
	struct rcpt_args r;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].arg);
		assert_int_equal(parse_rcpt(rows[i].arg, rows[i].smtputf8, &r), rows[i].result);
		if (rows[i].result != PARSE_OK)
			continue;
		assert_int_equal(r.notify, rows[i].notify);
		assert_string_equal(r.orcpt, rows[i].orcpt);
	}
}

static void
test_orcpt_length(void **state)
{
	char arg[1024];
	struct rcpt_args r;
	int n;

	(void)state;
	n = snprintf(arg, sizeof(arg), "TO:<a@b> ORCPT=x;%0498d", 0);
	assert_true(n > 0);
	assert_int_equal(parse_rcpt(arg, false, &r), PARSE_OK);
	assert_int_equal(strlen(r.orcpt), PARSE_ORCPT_MAX);
	(void)snprintf(arg, sizeof(arg), "TO:<a@b> ORCPT=x;%0499d", 0);
	assert_int_equal(parse_rcpt(arg, false, &r), PARSE_BAD_PARAM);
	(void)snprintf(arg, sizeof(arg), "TO:<a@b> ORCPT=x;%0900d", 0);
	assert_int_equal(parse_rcpt(arg, false, &r), PARSE_BAD_PARAM);
}

/* -- the rest -- */

static void
test_hello(void **state)
{
	static const struct {
		const char *line;
		enum parse_result result;
		const char *name;
	} rows[] = {
	    {"EHLO Client.example ", PARSE_OK, "Client.example"},
	    {"EHLO [IPv6:::1]", PARSE_OK, "[IPv6:::1]"},
	    {"EHLO", PARSE_SYNTAX, ""},
	    {"EHLO a b", PARSE_SYNTAX, ""},
	    {"EHLO a(comment)", PARSE_SYNTAX, ""},
	    {"EHLO \xff", PARSE_SYNTAX, ""},
	};
	char name[ADDRESS_DOMAIN_MAX + 1];
	struct command c;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		parse_command(rows[i].line, strlen(rows[i].line), &c);
		assert_int_equal(parse_hello(&c, name), rows[i].result);
		assert_string_equal(name, rows[i].name);
	}
}

static void
test_bdat(void **state)
{
	static const struct {
		const char *line;
		enum parse_result result;
		uint64_t size;
		bool last;
	} rows[] = {
	    {"BDAT 0", PARSE_OK, 0, false},
	    {"BDAT 100 ", PARSE_OK, 100, false},
	    {"BDAT 100 LAST", PARSE_OK, 100, true},
	    {"BDAT 0 last", PARSE_OK, 0, true},
	    {"BDAT 4294967296", PARSE_OK, 4294967296, false},
	    {"BDAT 18446744073709551616", PARSE_SYNTAX, 0, false},
	    {"BDAT 9223372036854775808", PARSE_SYNTAX, 0, false},
	    {"BDAT 000000000000000000001", PARSE_SYNTAX, 0, false},
	    {"BDAT", PARSE_SYNTAX, 0, false},
	    {"BDAT -1", PARSE_SYNTAX, 0, false},
	    {"BDAT 0x10", PARSE_SYNTAX, 0, false},
	    {"BDAT 1 2", PARSE_SYNTAX, 0, false},
	    {"BDAT 1 LAST LAST", PARSE_SYNTAX, 0, false},
	    {"BDAT LAST", PARSE_SYNTAX, 0, false},
	};
	struct command c;
	uint64_t size;
	size_t i;
	bool last;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].line);
		parse_command(rows[i].line, strlen(rows[i].line), &c);
		assert_int_equal(c.verb, VERB_BDAT);
		assert_int_equal(parse_bdat(&c, &size, &last), rows[i].result);
		if (rows[i].result != PARSE_OK)
			continue;
		assert_int_equal(size, rows[i].size);
		assert_int_equal(last, rows[i].last);
	}
}

static void
test_answers(void **state)
{
	static const struct {
		enum parse_result result;
		enum verb verb;
		int code;
		const char *enhanced;
	} rows[] = {
	    {PARSE_SYNTAX, VERB_MAIL, 501, "5.5.4"},
	    {PARSE_BAD_ADDRESS, VERB_MAIL, 501, "5.1.7"},
	    {PARSE_BAD_ADDRESS, VERB_RCPT, 501, "5.1.3"},
	    {PARSE_LOCAL_TOO_LONG, VERB_RCPT, 501, "5.1.3"},
	    {PARSE_NEEDS_SMTPUTF8, VERB_RCPT, 553, "5.6.7"},
	    {PARSE_UNKNOWN_PARAM, VERB_MAIL, 555, "5.5.4"},
	    {PARSE_BAD_PARAM, VERB_MAIL, 501, "5.5.4"},
	    {PARSE_TOO_BIG, VERB_MAIL, 552, "5.3.4"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		const struct parse_answer *a = parse_answer(rows[i].result, rows[i].verb);

		assert_int_equal(a->code, rows[i].code);
		assert_string_equal(a->enhanced, rows[i].enhanced);
		assert_true(strlen(a->text) > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_mail_results),
	    cmocka_unit_test(test_mail_values),
	    cmocka_unit_test(test_mail_submission),
	    cmocka_unit_test(test_mail_priority),
	    cmocka_unit_test(test_mail_hold),
	    cmocka_unit_test(test_mail_by),
	    cmocka_unit_test(test_rcpt_results),
	    cmocka_unit_test(test_orcpt_length),
	    cmocka_unit_test(test_hello),
	    cmocka_unit_test(test_bdat),
	    cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
