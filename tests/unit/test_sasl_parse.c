/* SPDX-License-Identifier: ISC */
/* The messages of SASL mechanisms: what is one and what is not, in memory of the exact size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/sasl_parse.h"

typedef int (*parser)(const uint8_t *data, size_t len, struct sasl_message *out);

#define TEXT(s) s, sizeof(s) - 1
#define A	"\x01"

static const struct {
	parser parse;
	const char *data;
	size_t len;
	const char *login; /* NULL: refused */
	const char *authzid, *secret;
} cases[] = {
    {sasl_plain_parse, TEXT("\0demo\0secret"), "demo", "", "secret"},
    {sasl_plain_parse, TEXT("demo\0demo\0secret"), "demo", "demo", "secret"},
    {sasl_plain_parse, TEXT("other\0demo\0 "), "demo", "other", " "},
    {sasl_plain_parse,
	TEXT("\0d\xc3\xa9mo\0s\xc3\xa9"
	     "cret\x01"),
	"d\xc3\xa9mo", "",
	"s\xc3\xa9"
	"cret\x01"},
    {sasl_plain_parse, TEXT(""), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0\0"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0demo"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0demo\0"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0\0secret"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("demo\0secret"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0demo\0secret\0"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0demo\0sec\0ret"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0de\nmo\0secret"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("\0demo\x7f\0secret"), NULL, NULL, NULL},
    {sasl_plain_parse, TEXT("a\tb\0demo\0secret"), NULL, NULL, NULL},

    {sasl_external_parse, TEXT(""), "", "", ""},
    {sasl_external_parse, TEXT("demo@example.org"), "", "demo@example.org", ""},
    {sasl_external_parse, TEXT("de\0mo"), NULL, NULL, NULL},
    {sasl_external_parse, TEXT("demo\r\n"), NULL, NULL, NULL},

    {sasl_oauthbearer_parse, TEXT("n,a=demo@example.org," A "auth=Bearer abc" A A),
	"demo@example.org", "", "abc"},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a-._~+/9==" A A), "", "", "a-._~+/9=="},
    {sasl_oauthbearer_parse,
	TEXT("y,a=x=2Cy=3Dz," A "host=h" A "port=587" A "auth=bEARER  abc" A A), "x,y=z", "",
	"abc"},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer abc" A "x=a\tb\r\n c" A A), "", "", "abc"},
    {sasl_oauthbearer_parse, TEXT(""), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,,"), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer abc" A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer abc"), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer abc" A A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer abc" A A "x"), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,,auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("p=tls-exporter,," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,b=x," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,a," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,a=," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,a=x=2," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,a=x=," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,a=x=2c," A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Basic abc" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer " A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer =" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a b" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a\nb" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a=b" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a\0b" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "auth=Bearer a" A "auth=Bearer b" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "x1=y" A "auth=Bearer a" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "=y" A "auth=Bearer a" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "x" A "auth=Bearer a" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "x=\x02" A "auth=Bearer a" A A), NULL, NULL, NULL},
    {sasl_oauthbearer_parse, TEXT("n,," A "x=\0" A "auth=Bearer a" A A), NULL, NULL, NULL},

    {sasl_xoauth2_parse, TEXT("user=demo" A "auth=Bearer abc" A A), "demo", "", "abc"},
    {sasl_xoauth2_parse, TEXT("auth=Bearer abc" A "user=demo" A A), "demo", "", "abc"},
    {sasl_xoauth2_parse, TEXT("auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_xoauth2_parse, TEXT("user=demo" A A), NULL, NULL, NULL},
    {sasl_xoauth2_parse, TEXT("user=" A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_xoauth2_parse, TEXT("user=a" A "user=b" A "auth=Bearer abc" A A), NULL, NULL, NULL},
    {sasl_xoauth2_parse, TEXT("user=demo" A "auth=Bearer abc" A), NULL, NULL, NULL},
    {sasl_xoauth2_parse, TEXT(""), NULL, NULL, NULL},
};

static uint8_t *
exact(const char *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static void
test_messages(void **state)
{
	struct sasl_message m;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		uint8_t *data = exact(cases[i].data, cases[i].len);
		int rc = cases[i].parse(data, cases[i].len, &m);

		if ((rc == 0) != (cases[i].login != NULL))
			fail_msg("case %zu: %s", i, cases[i].data);
		if (rc == 0) {
			assert_string_equal(m.login, cases[i].login);
			assert_string_equal(m.authzid, cases[i].authzid);
			assert_int_equal(m.secret.len, strlen(cases[i].secret));
			if (m.secret.len > 0)
				assert_memory_equal(m.secret.data, cases[i].secret, m.secret.len);
		} else {
			assert_int_equal(errno, EINVAL);
			assert_int_equal(m.login[0], '\0');
			assert_null(m.secret.data);
		}
		free(data);
	}
}

/* PLAIN with names and a password of these lengths. */
static int
plain(size_t authzid, size_t login, size_t password)
{
	size_t len = authzid + login + password + 2;
	uint8_t *data = malloc(len);
	struct sasl_message m;
	int rc;

	assert_non_null(data);
	memset(data, 'x', len);
	data[authzid] = data[authzid + 1 + login] = '\0';
	rc = sasl_plain_parse(data, len, &m);
	free(data);
	return rc;
}

static void
test_bounds(void **state)
{
	uint8_t text[IPC_SASL_MAX];
	char name[IPC_ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(plain(IPC_ADDRESS_MAX, IPC_ADDRESS_MAX, IPC_PASSWORD_MAX), 0);
	assert_int_equal(plain(IPC_ADDRESS_MAX + 1, 1, 1), -1);
	assert_int_equal(plain(0, IPC_ADDRESS_MAX + 1, 1), -1);
	assert_int_equal(plain(0, 1, IPC_PASSWORD_MAX + 1), -1);
	memset(text, 'x', sizeof(text));
	assert_int_equal(sasl_login_name(text, IPC_ADDRESS_MAX, name), 0);
	assert_int_equal(strlen(name), IPC_ADDRESS_MAX);
	assert_int_equal(sasl_login_name(text, IPC_ADDRESS_MAX + 1, name), -1);
	assert_string_equal(name, "");
	assert_int_equal(sasl_login_password(text, IPC_PASSWORD_MAX), 0);
	assert_int_equal(sasl_login_password(text, IPC_PASSWORD_MAX + 1), -1);
}

static void
test_login(void **state)
{
	char name[IPC_ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(sasl_login_name((const uint8_t *)"demo", 4, name), 0);
	assert_string_equal(name, "demo");
	assert_int_equal(sasl_login_name((const uint8_t *)"demo\0", 5, name), 0);
	assert_string_equal(name, "demo");
	assert_int_equal(sasl_login_name((const uint8_t *)"de\0mo", 5, name), -1);
	assert_int_equal(sasl_login_name((const uint8_t *)"\0", 1, name), -1);
	assert_int_equal(sasl_login_name(NULL, 0, name), -1);
	assert_int_equal(sasl_login_password((const uint8_t *)"x", 1), 0);
	assert_int_equal(sasl_login_password((const uint8_t *)"x\0y", 3), -1);
	assert_int_equal(sasl_login_password(NULL, 0), -1);
}

static void
test_may_act(void **state)
{
	(void)state;
	assert_true(sasl_may_act("demo", ""));
	assert_true(sasl_may_act("demo", "demo"));
	assert_false(sasl_may_act("demo", "Demo"));
	assert_false(sasl_may_act("demo", "root"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_may_act),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
