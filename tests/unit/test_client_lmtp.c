/* SPDX-License-Identifier: ISC */
/* LMTP (RFC 2033), DSN (RFC 3461), chunks of a text (RFC 3030), and other parameters. */
#include "tests/unit/client_script.h"

#define LHLO	     "S:220 hi\r\n", "C:LHLO mx.test\r\n", "S:250 mx\r\n"
#define LHLO_WITH(k) "S:220 hi\r\n", "C:LHLO mx.test\r\n", "S:250-mx\r\n250 " k "\r\n"

static const struct script lmtp[] = {
    {.name = "a reply a recipient",
	.lmtp = true,
	.nrcpts = 3,
	.steps = {LHLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:550 5.1.1 who\r\n", RCPT("2"), OK,
	    DATA, TEXT, "S:250 2.1.5 kept\r\n", "S:452 4.2.2 full\r\n", QUIT},
	.told = "1 fail 5.1.1\n0 ok 2.1.5\n2 retry 4.2.2\n" DONE},
    {.name = "pipelined, but for DATA",
	.lmtp = true,
	.nrcpts = 2,
	.steps = {LHLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nRCPT "
	    "TO:<r1@example.org>\r\n",
	    "S:250 ok\r\n250 ok\r\n250 ok\r\n", DATA, TEXT, "S:250 a\r\n250 b\r\n", QUIT},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\n" DONE},
    {.name = "nobody: no DATA",
	.lmtp = true,
	.steps = {LHLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\n",
	    "S:250 ok\r\n550 5.1.1 who\r\n", RSET, QUIT},
	.told = "0 fail 5.1.1\n" DONE},
    {.name = "lost between the replies",
	.lmtp = true,
	.nrcpts = 2,
	.steps = {LHLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), OK, DATA, TEXT, OK, "W:0 ok", "X"},
	.told = "0 ok 2.0.0\n1 retry 4.4.2\nlost"},
    {.name = "two messages",
	.lmtp = true,
	.nmails = 2,
	.steps = {LHLO, ONE("250 2.0.0 a"), ONE("250 2.0.0 b"), QUIT},
	.told = "0 ok 2.0.0\ndone\n0 ok 2.0.0\n" DONE},
    {.name = "one reply too many",
	.lmtp = true,
	.nmails = 2,
	.more = true,
	.steps = {LHLO, ONE("250 a\r\n250 b")},
	.told = "0 ok 2.0.0\ndone\nstale"},
    {.name = "no HELO in LMTP",
	.lmtp = true,
	.steps = {"S:220 hi\r\n", "C:LHLO mx.test\r\n", "S:500 what\r\n", QUIT},
	.told = "unusable 5.0.0"},
    {.name = "no chunks for a text",
	.lmtp = true,
	.chunking = true,
	.steps = {"S:220 hi\r\n", "C:LHLO mx.test\r\n",
	    "S:250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\n", "S:250 ok\r\n250 ok\r\n",
	    DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n" DONE},
};

static const struct client_dsn asked[] = {{IPC_NOTIFY_NEVER, "rfc822;a+b@example.org"},
    {IPC_NOTIFY_SUCCESS | IPC_NOTIFY_FAILURE | IPC_NOTIFY_DELAY, ""}, {0, "no grammar=\r\nRSET"}};

static const struct script dsn[] = {
    {.name = "said on",
	.nrcpts = 3,
	.dsn = asked,
	.envid = "QQ=31 4159",
	.ret = "HDRS",
	.steps = {HELLO_WITH("DSN"),
	    "C:MAIL FROM:<s@example.net> RET=HDRS ENVID=QQ+3D31+204159\r\n", OK,
	    "C:RCPT TO:<r0@example.org> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@example.org\r\n", OK,
	    "C:RCPT TO:<r1@example.org> NOTIFY=SUCCESS,FAILURE,DELAY\r\n", OK, RCPT("2"), OK, DATA,
	    TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\n2 ok 2.0.0\n" DONE},
    {.name = "not known there: relayed is all that can be told",
	.nrcpts = 2,
	.dsn = asked,
	.envid = "QQ314159",
	.ret = "FULL",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:550 5.1.1 who\r\n", DATA, TEXT, OK,
	    QUIT},
	.told = "1 fail 5.1.1\n0 ok 2.0.0 relayed\n" DONE},
    {.name = "no parameter that would be another command",
	.envid = "a\r\nRSET",
	.ret = "FULL\r\n",
	.steps = {HELLO_WITH("DSN"), ONE("250 ok"), QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "a store tells nobody",
	.lmtp = true,
	.dsn = asked,
	.steps = {LHLO, ONE("250 ok"), QUIT},
	.told = "0 ok 2.0.0 relayed\n" DONE},
    {.name = "priority and time",
	.priority = -3,
	.by = IPC_BY_NOTIFY,
	.by_s = NOW_S - 20,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-DELIVERBY 240\r\n250 MT-PRIORITY\r\n",
	    "C:MAIL FROM:<s@example.net> BY=-20;N MT-PRIORITY=-3\r\n", OK, RCPT("0"), OK, DATA,
	    TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "time enough",
	.by = IPC_BY_RETURN,
	.by_s = NOW_S + 240,
	.needs_deliverby = true,
	.steps = {HELLO_WITH("DELIVERBY 240"), "C:MAIL FROM:<s@example.net> BY=240;R\r\n",
	    "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "too late",
	.by = IPC_BY_RETURN,
	.by_s = NOW_S + 239,
	.needs_deliverby = true,
	.steps = {HELLO_WITH("DELIVERBY 240"), QUIT},
	.told = "0 fail 5.4.7\n" DONE},
    {.name = "nobody promises",
	.by = IPC_BY_RETURN,
	.by_s = NOW_S + 239,
	.needs_deliverby = true,
	.steps = {HELLO, QUIT},
	.told = "unusable 5.4.7"},
};

#define CHUNKS_HELLO \
	"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define BEGIN \
	"C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\n", "S:250 ok\r\n250 ok\r\n"
#define ONE_CHUNK  "C:BDAT 29 LAST\r\nSubject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
#define LAST_CHUNK ONE_CHUNK

static const struct script chunks[] = {
    {.name = "a text in one chunk, with its dots",
	.chunking = true,
	.nmails = 2,
	.steps = {CHUNKS_HELLO, BEGIN, ONE_CHUNK, OK, BEGIN, ONE_CHUNK, "S:554 5.7.1 spam\r\n",
	    RSET, QUIT},
	.told = "0 ok 2.0.0\ndone\n0 fail 5.7.1\n" DONE},
    {.name = "not without PIPELINING",
	.chunking = true,
	.steps = {HELLO_WITH("CHUNKING"), ONE("250 ok"), QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "not when it is not wanted",
	.steps = {CHUNKS_HELLO,
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nDATA\r\n",
	    "S:250 ok\r\n250 ok\r\n354 go\r\n", TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "nobody accepted",
	.chunking = true,
	.steps = {CHUNKS_HELLO, "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\n",
	    "S:250 ok\r\n550 5.1.1 who\r\n", RSET, QUIT},
	.told = "0 fail 5.1.1\n" DONE},
    {.name = "cut short, and never as if it were whole",
	.chunking = true,
	.body = BODY_BROKEN,
	.more = true,
	.steps = {CHUNKS_HELLO, BEGIN},
	.told = "stop\n0 retry 4.3.0\nlost"},
    {.name = "a reply ahead of the chunk",
	.chunking = true,
	.body = BODY_HELD,
	.steps = {CHUNKS_HELLO, BEGIN, "B", OK},
	.told = "stop\n0 retry 4.5.0\nlost"},
};

static void
test_lmtp(void **state)
{
	(void)state;
	run_scripts(lmtp, NITEMS(lmtp), NULL);
}

static void
test_dsn(void **state)
{
	(void)state;
	run_scripts(dsn, NITEMS(dsn), NULL);
}

static void
test_chunks(void **state)
{
	(void)state;
	run_scripts(chunks, NITEMS(chunks), NULL);
}

/* 32,768 octets, then the rest: the first chunk is not the last. */
static void
check_long(const char *name, const char *replies, bool resets, const char *told)
{
	static const char quit[] = "C:QUIT\r\n", bye[] = "S:221 bye\r\n";
	static char said[40000];
	struct script s = {.name = name,
	    .chunking = true,
	    .is_binary = true,
	    .body = BODY_LONG,
	    .size_bytes = 32797,
	    .steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
		"S:250-mx\r\n250-PIPELINING\r\n250-BINARYMIME\r\n250 CHUNKING\r\n",
		"C:MAIL FROM:<s@example.net> BODY=BINARYMIME\r\nRCPT TO:<r0@example.org>\r\n",
		"S:250 ok\r\n250 ok\r\n", said, replies, resets ? "C:RSET\r\n" : quit,
		resets ? "S:250 ok\r\n" : bye, resets ? quit : NULL, bye},
	    .told = told};
	int n = snprintf(said, sizeof(said), "C:BDAT 32768\r\n");

	memset(said + n, 'x', 32768);
	(void)snprintf(
	    said + n + 32768, 100, "BDAT 29 LAST\r\nSubject: x\r\n\r\n.dot\r\n..\r\nend\r\n");
	run_script(&s, NULL);
}

static void
test_long_chunks(void **state)
{
	(void)state;
	check_long("both taken", "S:250 ok\r\n250 2.6.0 kept\r\n", false, "0 ok 2.6.0\n" DONE);
	check_long(
	    "the first refused", "S:452 4.3.1 full\r\n503 no\r\n", true, "0 retry 4.3.1\n" DONE);
	check_long("the last refused", "S:250 ok\r\n554 5.6.0 no\r\n", true, "0 fail 5.6.0\n" DONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lmtp),
	    cmocka_unit_test(test_dsn),
	    cmocka_unit_test(test_chunks),
	    cmocka_unit_test(test_long_chunks),
	};

	return cmocka_run_group_tests_name("client lmtp", tests, NULL, NULL);
}
