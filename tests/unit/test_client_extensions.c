/* SPDX-License-Identifier: ISC */
/* What a message may need of the SMTP client's server: chunks (RFC 3030), TLS all the way (RFC 8689). */
#include "tests/unit/client_script.h"

#define BINARY_MAIL "C:MAIL FROM:<s@example.net> BODY=BINARYMIME\r\n"
#define RAW	    "C:BDAT 29 LAST\r\nSubject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
#define BINARY_HELLO \
	"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"

static const struct script binary[] = {
    {.name = "one chunk",
	.is_binary = true,
	.is_8bit = true,
	.nrcpts = 2,
	.steps = {BINARY_HELLO, BINARY_MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", RCPT("1"), OK,
	    RAW, "S:250 2.6.0 kept\r\n", QUIT},
	.told = "0 fail 5.1.1\n1 ok 2.6.0\n" DONE},
    {.name = "pipelined up to the chunk",
	.is_binary = true,
	.nrcpts = 2,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n",
	    BINARY_MAIL "RCPT TO:<r0@example.org>\r\nRCPT TO:<r1@example.org>\r\n",
	    "S:250 ok\r\n250 ok\r\n450 4.7.1 later\r\n", RAW, OK, QUIT},
	.told = "1 retry 4.7.1\n0 ok 2.0.0\n" DONE},
    {.name = "nobody to take it",
	.is_binary = true,
	.steps = {BINARY_HELLO, BINARY_MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", RSET, QUIT},
	.told = "0 fail 5.1.1\n" DONE},
    {.name = "MAIL refused",
	.is_binary = true,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n",
	    BINARY_MAIL "RCPT TO:<r0@example.org>\r\n", "S:550 5.7.1 no\r\n250 ok\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "a chunk that failed is followed by RSET",
	.is_binary = true,
	.nrcpts = 2,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-LIMITS RCPTMAX=1\r\n250-CHUNKING\r\n250 BINARYMIME\r\n", BINARY_MAIL,
	    OK, RCPT("0"), OK, RAW, "S:452 4.3.1 full\r\n", "C:RSET\r\n", OK, BINARY_MAIL, OK,
	    RCPT("1"), OK, RAW, OK, QUIT},
	.told = "0 retry 4.3.1\n1 ok 2.0.0\n" DONE},
    {.name = "no BINARYMIME",
	.is_binary = true,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-8BITMIME\r\n250 CHUNKING\r\n", QUIT},
	.told = "0 fail 5.6.3\n" DONE},
    {.name = "no CHUNKING",
	.is_binary = true,
	.steps = {HELLO_WITH("BINARYMIME"), QUIT},
	.told = "0 fail 5.6.3\n" DONE},
    {.name = "no EHLO",
	.is_binary = true,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:502 what\r\n", "C:HELO mx.test\r\n", OK,
	    QUIT},
	.told = "0 fail 5.6.3\n" DONE},
    {.name = "cut short, and never as if it were whole",
	.is_binary = true,
	.body = BODY_BROKEN,
	.more = true,
	.steps = {BINARY_HELLO, BINARY_MAIL, OK, RCPT("0"), OK},
	.told = "stop\n0 retry 4.3.0\nlost"},
};

/* What requires TLS is never said in plain, and not to who does not promise to go on with it. */
static const struct script required[] = {
    {.name = "no STARTTLS",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("REQUIRETLS"), QUIT},
	.told = "unusable 5.7.10"},
    {.name = "no TLS by the URL",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_NEVER,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-STARTTLS\r\n250 REQUIRETLS\r\n", QUIT},
	.told = "unusable 5.7.10"},
    {.name = "STARTTLS refused for good",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:502 5.5.1 no\r\n", QUIT},
	.told = "unusable 5.7.10"},
    {.name = "STARTTLS refused for now",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:454 4.7.0 no\r\n", QUIT},
	.told = "unusable 4.7.4"},
    {.name = "gone instead of QUIT's reply",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_MUST,
	.steps = {HELLO_WITH("REQUIRETLS"), "C:QUIT\r\n", "X"},
	.told = "unusable 5.7.10"},
    {.name = "no TLS behind STARTTLS",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_MUST,
	.more = true,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:220 go\r\n", "C:\x16\x03",
	    "S:500 no such thing as TLS\r\n"},
	.told = "tls 5.7.10"},
    {.name = "in among mail that does without",
	.requires_tls = true,
	.steps = {HELLO_WITH("REQUIRETLS"), QUIT},
	.told = "0 fail 5.7.10\n" DONE},
    {.name = "a report goes all the same, without a word of it",
	.requires_tls = true,
	.is_report = true,
	.steps = {HELLO_WITH("REQUIRETLS"), "C:MAIL FROM:<>\r\n", "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
};

static void
test_binary(void **state)
{
	(void)state;
	run_scripts(binary, NITEMS(binary), NULL);
}

static void
test_required(void **state)
{
	struct tls_client *tls = tls_client_create();

	(void)state;
	assert_non_null(tls);
	run_scripts(required, NITEMS(required), tls);
	tls_client_free(tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_binary),
	    cmocka_unit_test(test_required),
	};

	return cmocka_run_group_tests_name("client extensions", tests, NULL, NULL);
}
