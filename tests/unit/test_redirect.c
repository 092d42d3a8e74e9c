/* SPDX-License-Identifier: ISC */
/* What a browser comes back with, and what people paste. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "control/smtpctl_redirect.h"
#include "lib/base/bug.h"

struct redirect_case {
	const char *text;
	enum redirect_kind kind;
	const char *code, *state, *error;
};

typedef enum redirect_kind (*reader)(const char *text, size_t len, struct redirect *out);

static void
check(reader read, const struct redirect_case *cases, size_t n)
{
	struct redirect got;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct redirect_case *c = &cases[i];
		enum redirect_kind kind = read(c->text, strlen(c->text), &got);

		if (kind != c->kind)
			fail_msg("'%s': %d", c->text, (int)kind);
		if (kind == REDIRECT_NONE)
			continue;
		assert_string_equal(got.state, c->state);
		assert_string_equal(got.code, kind == REDIRECT_CODE ? c->code : got.code);
		assert_string_equal(got.error, kind == REDIRECT_ERROR ? c->error : "");
	}
}

static void
test_urls(void **state)
{
	static const struct redirect_case cases[] = {
	    {"http://127.0.0.1:1/?code=c&state=s", REDIRECT_CODE, "c", "s", NULL},
	    {"http://127.0.0.1:1?state=s&scope=x&code=4%2F0Ab+c%7e", REDIRECT_CODE, "4/0Ab c~", "s",
		NULL},
	    {"code=c", REDIRECT_CODE, "c", "", NULL},
	    {"code=c&state=", REDIRECT_CODE, "c", "", NULL},
	    {"http://h/?code=c&state=s#code=d", REDIRECT_CODE, "c", "s", NULL},
	    {"&&code=c&&state=s&", REDIRECT_CODE, "c", "s", NULL},
	    {"code=a=b&state=s", REDIRECT_CODE, "a=b", "s", NULL},
	    {"http://h/?error=access_denied&state=s", REDIRECT_ERROR, NULL, "s", "access_denied"},
	    {"error=access_denied&error_description=the+user%20said%3A+no&code=c", REDIRECT_ERROR,
		NULL, "", "access_denied: the user said: no"},
	    {"error=x&error_description=%1b[2J", REDIRECT_ERROR, NULL, "", "x"},
	    {"code=c&code=d", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=c&state=s&state=s", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=%", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=%4", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=%4g", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=%41", REDIRECT_CODE, "A", "", NULL},
	    {"code=%00", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=a%0d%0ab", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=\xc3\xbc", REDIRECT_NONE, NULL, NULL, NULL},
	    {"code=%80", REDIRECT_NONE, NULL, NULL, NULL},
	    {"error=%0a", REDIRECT_NONE, NULL, NULL, NULL},
	    {"xcode=c&codex=d", REDIRECT_NONE, NULL, NULL, NULL},
	    {"http://h/path", REDIRECT_NONE, NULL, NULL, NULL},
	    {"http://h/#code=c", REDIRECT_NONE, NULL, NULL, NULL},
	    {"", REDIRECT_NONE, NULL, NULL, NULL},
	};

	(void)state;
	check(redirect_of_url, cases, NITEMS(cases));
}

static void
test_pastes(void **state)
{
	static const struct redirect_case cases[] = {
	    {" http://127.0.0.1:1/?code=c&state=s \r\n", REDIRECT_CODE, "c", "s", NULL},
	    {"4/0AbCd-e_f\n", REDIRECT_CODE, "4/0AbCd-e_f", "", NULL},
	    {"\t0.AXoA~x\n", REDIRECT_CODE, "0.AXoA~x", "", NULL},
	    {"code=c&state=s\n", REDIRECT_CODE, "c", "s", NULL},
	    {"http://127.0.0.1:1/?error=access_denied", REDIRECT_ERROR, NULL, "", "access_denied"},
	    {"http://127.0.0.1:1/", REDIRECT_NONE, NULL, NULL, NULL},
	    {"two words", REDIRECT_NONE, NULL, NULL, NULL},
	    {"b\x1b[2J", REDIRECT_NONE, NULL, NULL, NULL},
	    {"\xc3\xbc", REDIRECT_NONE, NULL, NULL, NULL},
	    {" \n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"", REDIRECT_NONE, NULL, NULL, NULL},
	};

	(void)state;
	check(redirect_of_paste, cases, NITEMS(cases));
}

static void
test_requests(void **state)
{
	static const struct redirect_case cases[] = {
	    {"GET /?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", REDIRECT_CODE, "c", "s",
		NULL},
	    {"GET /x?code=c&state=s HTTP/1.0\n\n", REDIRECT_CODE, "c", "s", NULL},
	    {"GET http://127.0.0.1/?code=c&state=s HTTP/1.1\r\n\r\n", REDIRECT_CODE, "c", "s",
		NULL},
	    {"GET /?error=no&state=s HTTP/1.1\r\n\r\n", REDIRECT_ERROR, NULL, "s", "no"},
	    {"GET /favicon.ico HTTP/1.1\r\nX: ?code=c&state=s\r\n\r\n", REDIRECT_NONE, NULL, NULL,
		NULL},
	    {"GET / HTTP/1.1\r\nReferer: http://x/?code=c HTTP/1.1\r\n\r\n", REDIRECT_NONE, NULL,
		NULL, NULL},
	    {"POST /?code=c&state=s HTTP/1.1\r\n\r\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"GET /?code=c d&state=s HTTP/1.1\r\n\r\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"GET /?code=c&state=s\r\n\r\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"GET /?code=c&state=s HTTP/2.0\r\n\r\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"GET /?code=c&state=s HTTP/1.1", REDIRECT_NONE, NULL, NULL, NULL},
	    {"\x16\x03\x01\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"G\n", REDIRECT_NONE, NULL, NULL, NULL},
	    {"", REDIRECT_NONE, NULL, NULL, NULL},
	};

	(void)state;
	check(redirect_of_request, cases, NITEMS(cases));
}

/* A code as long as may be, and one octet more. */
static void
test_bounds(void **state)
{
	char text[5 + IPC_URL_MAX + 2], long_state[6 + IPC_NAME_MAX + 2];
	struct redirect got;

	(void)state;
	(void)memset(text, 'c', sizeof(text));
	(void)memcpy(text, "code=", 5);
	assert_int_equal(redirect_of_url(text, 5 + IPC_URL_MAX, &got), REDIRECT_CODE);
	assert_int_equal(strlen(got.code), IPC_URL_MAX);
	assert_int_equal(redirect_of_url(text, 5 + IPC_URL_MAX + 1, &got), REDIRECT_NONE);
	assert_int_equal(redirect_of_paste(text + 5, IPC_URL_MAX, &got), REDIRECT_CODE);
	assert_int_equal(redirect_of_paste(text + 5, IPC_URL_MAX + 1, &got), REDIRECT_NONE);
	(void)memset(long_state, 's', sizeof(long_state));
	(void)memcpy(long_state, "state=", 6);
	assert_int_equal(redirect_of_url(long_state, 6 + IPC_NAME_MAX + 1, &got), REDIRECT_NONE);
	assert_string_equal(got.state, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_pastes),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
