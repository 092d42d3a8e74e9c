/* SPDX-License-Identifier: ISC */
/* One connection, many messages and transactions: what is kept, what is stale, what is put off. */
#include "tests/unit/client_script.h"

static const struct script reuse[] = {
    {.name = "two messages",
	.nmails = 2,
	.steps = {HELLO, ONE("250 ok"), ONE("250 ok"), QUIT},
	.told = "0 ok 2.0.0\ndone\n0 ok 2.0.0\n" DONE},
    {.name = "the next after one that was refused",
	.nmails = 3,
	.steps = {HELLO, MAIL, "S:550 5.7.1 no\r\n", ONE("554 5.7.1 spam"), ONE("250 ok"), QUIT},
	.told = "0 fail 5.7.1\ndone\n0 fail 5.7.1\ndone\n0 ok 2.0.0\n" DONE},
    {.name = "a transaction that was begun is forgotten first",
	.nmails = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", RSET, ONE("250 ok"), QUIT},
	.told = "0 fail 5.1.1\ndone\n0 ok 2.0.0\n" DONE},
    {.name = "DATA refused",
	.nmails = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "S:451 4.3.0 no\r\n", RSET,
	    ONE("250 ok"), QUIT},
	.told = "0 retry 4.3.0\ndone\n0 ok 2.0.0\n" DONE},
    {.name = "RSET that is refused",
	.nmails = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", "C:RSET\r\n",
	    "S:500 what\r\n"},
	.told = "0 fail 5.1.1\nlost"},
    {.name = "very many that need no word: each from the loop, not within the last",
	.nmails = 50000,
	.size_bytes = 11,
	.quiet = true,
	.steps = {HELLO_WITH("SIZE 10"), QUIT},
	.told = "closed"},
    {.name = "closed when idle",
	.shy = true,
	.steps = {HELLO, ONE("250 ok"), "X"},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "a last word when idle",
	.shy = true,
	.steps = {HELLO, ONE("250 ok"), "W:done", "S:421 4.4.2 idle\r\n"},
	.told = "0 ok 2.0.0\n" DONE},
    {.name = "talk when idle",
	.shy = true,
	.steps = {HELLO, ONE("250 ok"), "W:done", "S:250 more\r\n"},
	.told = "0 ok 2.0.0\n" DONE},
};

static const struct script stale[] = {
    {.name = "lost before the second MAIL's reply",
	.nmails = 2,
	.steps = {HELLO, ONE("250 ok"), MAIL, "X"},
	.told = "0 ok 2.0.0\ndone\nstale"},
    {.name = "421 to the second MAIL",
	.nmails = 2,
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), OK, DATA, TEXT, OK, MAIL,
	    "S:421 4.7.0 enough\r\n"},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\ndone\nstale"},
    {.name = "421 behind the last reply",
	.nmails = 2,
	.more = true,
	.steps = {HELLO, ONE("250 ok\r\n421 4.7.0 enough")},
	.told = "0 ok 2.0.0\ndone\nstale"},
    {.name = "lost at DATA",
	.nmails = 2,
	.steps = {HELLO, ONE("250 ok"), MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "X"},
	.told = "0 ok 2.0.0\ndone\nstale"},
    {.name = "silent",
	.nmails = 2,
	.timeout_scale = 2,
	.steps = {HELLO, ONE("250 ok"), MAIL},
	.told = "0 ok 2.0.0\ndone\nstale"},
    {.name = "not with a verdict",
	.nmails = 2,
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), OK, DATA, TEXT, OK, MAIL, OK,
	    RCPT("0"), "S:550 5.1.1 who\r\n", RCPT("1"), "X"},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\ndone\n0 fail 5.1.1\n1 retry 4.4.2\nlost"},
    {.name = "not when the text was wanted: it may be the text",
	.nmails = 2,
	.more = true,
	.steps = {HELLO, ONE("250 ok"), MAIL, OK, RCPT("0"), OK, DATA, "X"},
	.told = "0 ok 2.0.0\ndone\n0 retry 4.4.2\nlost"},
    {.name = "not when all was said: it may be there",
	.nmails = 2,
	.steps = {HELLO, ONE("250 ok"), MAIL, OK, RCPT("0"), OK, DATA, TEXT, "X"},
	.told = "0 ok 2.0.0\ndone\n0 retry 4.4.2\nlost"},
    {.name = "not the first",
	.steps = {HELLO, MAIL, "S:421 4.7.0 busy, try again in 5 minutes\r\n"},
	.told = "0 retry 4.7.0 again 300\nlost"},
    {.name = "421 to one recipient is for all",
	.nrcpts = 3,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:421 4.7.0 enough\r\n"},
	.told = "0 retry 4.7.0\n1 retry 4.7.0\n2 retry 4.7.0\nlost"},
    {.name = "421 at the end",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT, "S:421 4.3.2 stopping\r\n"},
	.told = "0 retry 4.3.2\nlost"},
};

static const struct script many[] = {
    {.name = "more recipients than it takes",
	.nrcpts = 5,
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nRCPT "
	    "TO:<r1@example.org>\r\n"
	    "RCPT TO:<r2@example.org>\r\nRCPT TO:<r3@example.org>\r\nRCPT TO:<r4@example.org>\r\n"
	    "DATA\r\n",
	    "S:250 ok\r\n250 ok\r\n250 ok\r\n452 4.5.3 many\r\n550 5.1.1 who\r\n452 4.5.3 many\r\n"
	    "354 go\r\n",
	    TEXT, OK,
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r2@example.org>\r\nRCPT "
	    "TO:<r4@example.org>\r\n"
	    "DATA\r\n",
	    "S:250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", TEXT, "S:250 2.6.0 ok\r\n", QUIT},
	.told = "3 fail 5.1.1\n0 ok 2.0.0\n1 ok 2.0.0\n2 ok 2.6.0\n4 ok 2.6.0\n" DONE},
    {.name = "one by one, and the rest is not asked",
	.nrcpts = 3,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:552 many\r\n", DATA, TEXT, OK, MAIL,
	    OK, RCPT("1"), OK, DATA, TEXT, OK, MAIL, OK, RCPT("2"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\n2 ok 2.0.0\n" DONE},
    {.name = "452 of another kind",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:452 4.2.2 full\r\n", DATA, TEXT, OK,
	    QUIT},
	.told = "1 retry 4.2.2\n0 ok 2.0.0\n" DONE},
    {.name = "452 with nobody accepted",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:452 4.5.3 many\r\n", RCPT("1"),
	    "S:452 4.5.3 many\r\n", RSET, QUIT},
	.told = "0 retry 4.5.3\n1 retry 4.5.3\n" DONE},
    {.name = "no more transactions than it takes",
	.nrcpts = 3,
	.steps = {HELLO_WITH("LIMITS MAILMAX=2 RCPTMAX=1"), MAIL, OK, RCPT("0"), OK, DATA, TEXT, OK,
	    MAIL, OK, RCPT("1"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\n1 ok 2.0.0\n2 retry 4.3.2 again 1 untried\n" DONE},
};

static void
test_reuse(void **state)
{
	(void)state;
	run_scripts(reuse, NITEMS(reuse), NULL);
}

static void
test_stale(void **state)
{
	(void)state;
	run_scripts(stale, NITEMS(stale), NULL);
}

static void
test_many(void **state)
{
	(void)state;
	run_scripts(many, NITEMS(many), NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reuse),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("client reuse", tests, NULL, NULL);
}
