/* SPDX-License-Identifier: ISC */
/* AUTH (RFC 4954) over verified TLS: the exchange, and how it ends; and never without. */
#include "tests/unit/client_script.h"

#define SECURE(k) "T", "S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250 " k "\r\n"
#define LATER(k)                                                                                \
	"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", \
	    "C:STARTTLS\r\n", "S:220 go\r\n", "T", "C:EHLO mx.test\r\n",                        \
	    "S:250-mx\r\n250 " k "\r\n"

#define LONG64	      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG48_BASE64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"
#define LONG384	      LONG64 LONG64 LONG64 LONG64 LONG64 LONG64
#define LONG384_BASE64                                                                      \
	LONG48_BASE64 LONG48_BASE64 LONG48_BASE64 LONG48_BASE64 LONG48_BASE64 LONG48_BASE64 \
	    LONG48_BASE64 LONG48_BASE64

static const struct script auth[] = {
    {.name = "with an initial response",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH PLAIN LOGIN"), "W:auth", "A:PLAIN user", "C:AUTH PLAIN dXNlcg==\r\n",
	    "S:235 2.7.0 welcome\r\n", ONE("250 ok"), QUIT},
	.told = "auth PLAIN LOGIN\nauth is ok: welcome\nready\n0 ok 2.0.0\n" DONE},
    {.name = "behind STARTTLS, and by what is offered there",
	.tls = RELAY_TLS_MUST,
	.auth = true,
	.steps = {LATER("AUTH LOGIN"), "W:auth", "A:LOGIN", "C:AUTH LOGIN\r\n",
	    "S:334 VXNlcm5hbWU6\r\n", "W:challenge", "A: user", "C:dXNlcg==\r\n",
	    "S:334 UGFzc3dvcmQ6\r\n", "W:Password", "A: secret", "C:c2VjcmV0\r\n",
	    "S:235 2.7.0 welcome\r\n", ONE("250 ok"), QUIT},
	.told = "auth LOGIN\nchallenge Username:\nchallenge Password:\nauth is ok: welcome\nready\n"
		"0 ok 2.0.0\n" DONE},
    {.name = "an initial response of nothing, an empty challenge, and an empty response",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH EXTERNAL"), "W:auth", "A:EXTERNAL ", "C:AUTH EXTERNAL =\r\n",
	    "S:334 \r\n", "W:challenge", "A: ", "C:\r\n", "S:235 ok\r\n", ONE("250 ok"), QUIT},
	.told = "auth EXTERNAL\nchallenge \nauth is ok: ok\nready\n0 ok 2.0.0\n" DONE},
    {.name = "a long one has no room in its command",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH XOAUTH2"), "W:auth", "A:XOAUTH2 " LONG384, "C:AUTH XOAUTH2\r\n",
	    "S:334 go on\r\n", "C:" LONG384_BASE64 "\r\n", "S:235 ok\r\n", ONE("250 ok"), QUIT},
	.told = "auth XOAUTH2\nauth is ok: ok\nready\n0 ok 2.0.0\n" DONE},
    {.name = "refused, and why",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH PLAIN"), "W:auth", "A:PLAIN x", "C:AUTH PLAIN eA==\r\n",
	    "S:535 5.7.8 no such user\r\n", QUIT},
	.told = "auth PLAIN\nauth is fail: 535 5.7.8 no such user\nunusable 4.7.8"},
    {.name = "not now",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH PLAIN"), "W:auth", "A:PLAIN x", "C:AUTH PLAIN eA==\r\n",
	    "S:454 4.7.0 busy\r\n", QUIT},
	.told = "auth PLAIN\nauth is retry: 454 4.7.0 busy\nunusable 4.7.0"},
    {.name = "what it says back of what we said is hidden",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH PLAIN"), "W:auth", "A:PLAIN a long secret",
	    "C:AUTH PLAIN YSBsb25nIHNlY3JldA==\r\n",
	    "S:500 unknown: AUTH PLAIN YSBsb25nIHNlY3JldA==, and bG9uZyBz is other\r\n", QUIT},
	.told = "auth PLAIN\nauth is fail: 500 unknown: AUTH PLAIN ******************==, and "
		"bG9uZyBz is other\nunusable 4.0.0"},
    {.name = "nor is what it decoded for people",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH XOAUTH2"), "W:auth",
	    "A:XOAUTH2 user=ann@a.example\1auth=Bearer abcdefghi\1\1",
	    "C:AUTH XOAUTH2 dXNlcj1hbm5AYS5leGFtcGxlAWF1dGg9QmVhcmVyIGFiY2RlZmdoaQEB\r\n",
	    "S:535 5.7.8 no abcdefghi of user=ann@a.example\r\n", QUIT},
	.told = "auth XOAUTH2\nauth is fail: 535 5.7.8 no********** of "
		"user=ann@a.example\nunusable 4.7.8"},
    {.name = "a challenge that is none",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH LOGIN"), "W:auth", "A:LOGIN", "C:AUTH LOGIN\r\n", "S:334 no!\r\n"},
	.told = "auth LOGIN\nunusable 4.5.0"},
    {.name = "a challenge in two lines",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH LOGIN"), "W:auth", "A:LOGIN", "C:AUTH LOGIN\r\n",
	    "S:334-VXNl\r\n334 VXNl\r\n"},
	.told = "auth LOGIN\nunusable 4.5.0"},
    {.name = "an answer ahead of our step",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("AUTH LOGIN"), "W:auth", "S:235 2.7.0 welcome\r\n"},
	.told = "auth LOGIN\nunusable 4.5.0"},
    {.name = "lost in the exchange",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.more = true,
	.steps = {SECURE("AUTH LOGIN"), "W:auth", "A:LOGIN", "X"},
	.told = "auth LOGIN\nunusable 4.4.2"},
    {.name = "no credential after all",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.more = true,
	.steps = {SECURE("AUTH LOGIN"), "W:auth", "A:!"},
	.told = "auth LOGIN\nunusable 4.7.8"},
    {.name = "no AUTH there",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.steps = {SECURE("SIZE 0"), QUIT},
	.told = "unusable 4.7.0"},
    {.name = "never in plain",
	.tls = RELAY_TLS_NEVER,
	.auth = true,
	.steps = {HELLO_WITH("AUTH PLAIN"), QUIT},
	.told = "unusable 4.7.11"},
    {.name = "never where TLS was refused",
	.tls = RELAY_TLS_MAY,
	.auth = true,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "C:STARTTLS\r\n",
	    "S:454 4.7.0 no\r\n", QUIT},
	.told = "unusable 4.7.11"},
    {.name = "never with whom the owner does not know",
	.tls = RELAY_TLS_FIRST,
	.auth = true,
	.bad_tls = true,
	.steps = {"T"},
	.told = "unusable 4.7.5"},
};

/* REQUIRETLS is said on where TLS is verified. */
static const struct script required[] = {
    {.name = "kept",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_FIRST,
	.steps = {SECURE("REQUIRETLS"), "C:MAIL FROM:<s@example.net> REQUIRETLS\r\n",
	    "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\n" DONE},
    {.name = "not promised",
	.requires_tls = true,
	.needs_requiretls = true,
	.tls = RELAY_TLS_FIRST,
	.steps = {SECURE("SIZE 0"), QUIT},
	.told = "unusable 5.7.30"},
    {.name = "a report is sent with it where it can be",
	.requires_tls = true,
	.is_report = true,
	.tls = RELAY_TLS_FIRST,
	.steps = {SECURE("REQUIRETLS"), "C:MAIL FROM:<> REQUIRETLS\r\n", "S:550 5.7.1 no\r\n",
	    QUIT},
	.told = "0 fail 5.7.1\n" DONE},
};

static void
run_secure(const struct script *list, size_t n)
{
	struct tls_client *tls = tls_client_create();

	assert_non_null(tls);
	assert_int_equal(tls_client_set_ca(tls, certificate, strlen(certificate)), 0);
	run_scripts(list, n, tls);
	tls_client_free(tls);
}

static void
test_auth(void **state)
{
	(void)state;
	run_secure(auth, NITEMS(auth));
}

static void
test_required(void **state)
{
	(void)state;
	run_secure(required, NITEMS(required));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_auth),
	    cmocka_unit_test(test_required),
	};

	return cmocka_run_group_tests_name("client auth", tests, NULL, NULL);
}
