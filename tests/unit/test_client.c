/* SPDX-License-Identifier: ISC */
/* The SMTP client and a server that does well, badly, or something else entirely. */
#include "tests/unit/client_script.h"

static const struct script plain[] = {
    {.name = "one by one",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:550 5.1.1 who\r\n", DATA, TEXT,
	    "S:250 2.6.0 queued\r\n", QUIT},
	.told = "1 fail 5.1.1\n0 ok 2.6.0\n" DONE},
    {.name = "pipelined",
	.nrcpts = 2,
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nRCPT "
	    "TO:<r1@example.org>\r\nDATA\r\n",
	    "S:250 ok\r\n250 ok\r\n450 4.7.1 later\r\n354 go\r\n", TEXT, OK, QUIT},
	.told = "1 retry 4.7.1\n0 ok 2.0.0\n" DONE},
    {.name = "parameters",
	.is_8bit = true,
	.is_utf8 = true,
	.steps = {"S:220-hi\r\n220 there\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-8bitmime\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n",
	    "C:MAIL FROM:<s@example.net> SIZE=29 BODY=8BITMIME SMTPUTF8\r\n", OK, RCPT("0"), OK,
	    DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "HELO",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:502 what\r\n", "C:HELO mx.test\r\n", OK,
	    MAIL, OK, RCPT("0"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "a recipient a transaction",
	.nrcpts = 2,
	.steps = {HELLO_WITH("LIMITS MAILMAX=9 RCPTMAX=1"), MAIL, OK, RCPT("0"), OK, DATA, TEXT, OK,
	    MAIL, OK, RCPT("1"), OK, DATA, TEXT, "S:451 later\r\n", QUIT},
	.told = "0 ok 2.0.0\n1 retry 4.3.0\n" DONE},
    {.name = "refused, then the next transaction",
	.nrcpts = 2,
	.steps = {HELLO_WITH("LIMITS RCPTMAX=1"), MAIL, OK, RCPT("0"), "S:550 who\r\n", RSET, MAIL,
	    OK, RCPT("1"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 fail 5.1.1\n1 ok 2.0.0\n" DONE},
    {.name = "everybody refused",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.7.1 no\r\n", RCPT("1"), "S:450 x\r\n", RSET,
	    QUIT},
	.told = "0 fail 5.7.1\n1 retry 4.2.0\n" DONE},
    {.name = "MAIL refused",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, "S:550 5.7.1 not you\r\n", QUIT},
	.told = "0 fail 5.7.1\n1 fail 5.7.1\n" DONE},
    {.name = "MAIL refused and data wanted for all that",
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nDATA\r\n",
	    "S:451 4.3.0 no\r\n250 ok\r\n354 go\r\n"},
	.told = "0 retry 4.3.0\nclosed"},
    {.name = "everybody refused and data wanted for nobody",
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nDATA\r\n",
	    "S:250 ok\r\n550 5.1.1 who\r\n354 go\r\n", "C:.\r\n", "S:250 ok\r\n", QUIT},
	.told = "0 fail 5.1.1\n" DONE},
    {.name = "DATA refused",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "S:554 5.6.0 no\r\n", RSET, QUIT},
	.told = "0 fail 5.6.0\n" DONE},
    {.name = "the message refused",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT, "S:554 5.7.1 spam\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "too large",
	.size_bytes = 1001,
	.steps = {HELLO_WITH("SIZE 1000"), QUIT},
	.told = "0 fail 5.3.4\n" DONE},
    {.name = "no limit on the size",
	.size_bytes = 1001,
	.steps = {HELLO_WITH("SIZE 0"), "C:MAIL FROM:<s@example.net> SIZE=1001\r\n", OK, RCPT("0"),
	    "S:550 5.1.1 who\r\n", RSET, QUIT},
	.told = "0 fail 5.1.1\n" DONE},
    {.name = "no 8BITMIME", .is_8bit = true, .steps = {HELLO, QUIT}, .told = "0 fail 5.6.3\n" DONE},
    {.name = "no SMTPUTF8",
	.is_utf8 = true,
	.steps = {HELLO_WITH("8BITMIME"), QUIT},
	.told = "0 fail 5.6.7\n" DONE},
};

static const struct script trouble[] = {
    {.name = "greeted with 421", .steps = {"S:421 busy\r\n"}, .told = "unusable 4.3.2"},
    {.name = "plain where TLS is wanted",
	.steps = {HELLO, "C:MAIL FROM:<s@example.net>\r\n", "S:530 5.7.0 STARTTLS first\r\n", QUIT},
	.told = "0 retry 4.7.4\n" DONE},
    {.name = "greeted with 554", .steps = {"S:554 no mail\r\n", QUIT}, .told = "unusable 5.0.0"},
    {.name = "EHLO is too early",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:421 4.3.2 no\r\n"},
	.told = "unusable 4.3.2"},
    {.name = "closed at once", .steps = {"X"}, .told = "unusable 4.4.2"},
    {.name = "silent", .timeout_scale = 1, .steps = {"S:22"}, .told = "unusable 4.4.2"},
    {.name = "lost after MAIL",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", RCPT("1"), "X"},
	.told = "0 fail 5.1.1\n1 retry 4.4.2\nlost"},
    {.name = "lost after the final dot",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT, "X"},
	.told = "0 retry 4.4.2\nlost"},
    {.name = "silent after the final dot",
	.timeout_scale = 1,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT},
	.told = "0 retry 4.4.2\nlost"},
    {.name = "not SMTP", .steps = {"S:HTTP/1.1 400 Bad Request\r\n"}, .told = "unusable 4.5.0"},
    {.name = "an intermediate reply to MAIL",
	.steps = {HELLO, MAIL, "S:354 go\r\n"},
	.told = "0 retry 4.5.0\nlost"},
    {.name = "two codes in a reply", .steps = {"S:220-a\r\n250 b\r\n"}, .told = "unusable 4.5.0"},
    {.name = "a reply ahead of its command",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250 mx\r\n250 ok\r\n"},
	.told = "unusable 4.5.0"},
    {.name = "talks out of turn when all is said",
	.size_bytes = 1001,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250 SIZE 10\r\n250 ok\r\n"},
	.told = "unusable 4.5.0"},
    {.name = "the last reply ahead of the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "S:354 go\r\n250 ok\r\n"},
	.told = "0 retry 4.5.0\nlost"},
    {.name = "a good end inside the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, "B", OK},
	.told = "stop\n0 retry 4.5.0\nlost"},
    {.name = "enough of the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, "B", "S:552 5.3.4 enough\r\n"},
	.told = "0 fail 5.3.4\nstop\nlost"},
    {.name = "a message that can't be read to its end",
	.body = BODY_BROKEN,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA},
	.told = "stop\n0 retry 4.3.0\nlost"},
    {.name = "quits without QUIT's reply",
	.steps = {HELLO, MAIL, "S:550 5.7.1 no\r\n", "C:QUIT\r\n", "X"},
	.told = "0 fail 5.7.1\n" DONE},
};

static const struct script secure[] = {
    {.name = "STARTTLS refused, and may be",
	.tls = RELAY_TLS_MAY,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:454 4.7.0 no\r\n", MAIL,
	    "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "STARTTLS, and it closes",
	.tls = RELAY_TLS_MAY,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:421 4.3.2 busy\r\n"},
	.told = "unusable 4.3.2"},
    {.name = "STARTTLS not wanted",
	.tls = RELAY_TLS_NEVER,
	.steps = {HELLO_WITH("STARTTLS"), MAIL, "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "STARTTLS refused, and must not be",
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:454 4.7.0 no\r\n", QUIT},
	.told = "unusable 4.7.4"},
    {.name = "STARTTLS missing",
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("SIZE 0"), QUIT},
	.told = "unusable 4.7.4"},
    {.name = "STARTTLS missing, and EHLO too",
	.tls = RELAY_TLS_MUST,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:502 no\r\n", "C:HELO mx.test\r\n", OK,
	    QUIT},
	.told = "unusable 4.7.4"},
    {.name = "octets slipped in behind STARTTLS",
	.tls = RELAY_TLS_MAY,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:220 go\r\n250 2.0.0 fake\r\n"},
	.told = "unusable 4.7.0"},
    {.name = "no TLS behind STARTTLS",
	.tls = RELAY_TLS_MAY,
	.more = true,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:220 go\r\n", "C:\x16\x03",
	    "S:500 no such thing as TLS\r\n"},
	.told = "tls 4.7.5"},
    {.name = "no TLS at all",
	.tls = RELAY_TLS_FIRST,
	.more = true,
	.steps = {"C:\x16\x03", "S:220 hi\r\n"},
	.told = "tls 4.7.5"},
};

static void
test_plain(void **state)
{
	(void)state;
	run_scripts(plain, NITEMS(plain), NULL);
}

static void
test_trouble(void **state)
{
	(void)state;
	run_scripts(trouble, NITEMS(trouble), NULL);
}

static void
test_secure(void **state)
{
	struct tls_client *tls = tls_client_create();

	(void)state;
	assert_non_null(tls);
	run_scripts(secure, NITEMS(secure), tls);
	tls_client_free(tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_trouble),
	    cmocka_unit_test(test_secure),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
