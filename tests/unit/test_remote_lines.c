/* SPDX-License-Identifier: ISC */
/* The lines of Dovecot and of token helpers: what is understood, what is refused, what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/bug.h"
#include "vault/remote_lines.h"

#define BAD (-1)

static void
test_dovecot_answers(void **state)
{
	static const struct {
		const char *line;
		int word; /* BAD: refused */
		uint32_t number;
		const char *login;
		bool flag; /* of MECH: known; of FAIL: temporary */
	} cases[] = {
	    {"VERSION\t1\t2", DOVECOT_VERSION, 1, "", false},
	    {"VERSION\t2\t0", DOVECOT_VERSION, 2, "", false},
	    {"VERSION", BAD, 0, "", false},
	    {"VERSION\tone\t0", BAD, 0, "", false},
	    {"MECH\tPLAIN\tplaintext", DOVECOT_MECH, 0, "", true},
	    {"MECH\tXOAUTH2\tplaintext", DOVECOT_MECH, 0, "", true},
	    {"MECH\tOAUTHBEARER", DOVECOT_MECH, 0, "", true},
	    {"MECH\tCRAM-MD5\tdictionary\tactive", DOVECOT_MECH, 0, "", false},
	    {"MECH\tPLAINER", DOVECOT_MECH, 0, "", false},
	    {"MECH", BAD, 0, "", false},
	    {"SPID\t12", DOVECOT_OTHER, 0, "", false},
	    {"COOKIE\tabc", DOVECOT_OTHER, 0, "", false},
	    {"", DOVECOT_OTHER, 0, "", false},
	    {"DONE", DOVECOT_DONE, 0, "", false},
	    {"DONE\tmore", DOVECOT_DONE, 0, "", false},
	    {"done", DOVECOT_OTHER, 0, "", false},
	    {"CONT\t7\teyJ9", DOVECOT_CONT, 7, "", false},
	    {"CONT\t7", DOVECOT_CONT, 7, "", false},
	    {"CONT", BAD, 0, "", false},
	    {"OK\t7\tuser=demo@example.org", DOVECOT_OK, 7, "demo@example.org", false},
	    {"OK\t7\tfoo\tuser=demo\tpass=secret", DOVECOT_OK, 7, "demo", false},
	    {"OK\t7\tuser=demo\tnologin\treason=no", DOVECOT_FAIL, 7, "", false},
	    {"OK\t7\tproxy\tuser=demo\thost=192.0.2.1", DOVECOT_FAIL, 7, "", false},
	    {"OK\t7\tuser=demo\treason=nologin", DOVECOT_OK, 7, "demo", false},
	    {"OK\t4294967295\tuser=d", DOVECOT_OK, 4294967295U, "d", false},
	    {"OK\t4294967296\tuser=d", BAD, 0, "", false},
	    {"OK\t-1\tuser=d", BAD, 0, "", false},
	    {"OK\t+1\tuser=d", BAD, 0, "", false},
	    {"OK\t 1\tuser=d", BAD, 0, "", false},
	    {"OK\t\tuser=d", BAD, 0, "", false},
	    {"OK\t00000000000000000000001\tuser=d", BAD, 0, "", false},
	    {"OK\t7", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser=", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\txuser=d", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser=two words", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser=a\001tb", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser=caf\xc3\xa9", DOVECOT_OK, 7, "caf\xc3\xa9", false},
	    {"OK\t7\tuser=a\x7f", DOVECOT_FAIL, 7, "", true},
	    {"OK\t7\tuser=a\r", DOVECOT_FAIL, 7, "", true},
	    {"OK 7 user=d", DOVECOT_OTHER, 0, "", false},
	    {"FAIL\t7\tuser=demo\treason=no", DOVECOT_FAIL, 7, "", false},
	    {"FAIL\t7\tuser=demo\ttemp", DOVECOT_FAIL, 7, "", true},
	    {"FAIL\t7\tcode=temp_fail", DOVECOT_FAIL, 7, "", true},
	    {"FAIL\t7\treason=temp", DOVECOT_FAIL, 7, "", false},
	    {"FAIL\t7", DOVECOT_FAIL, 7, "", false},
	    {"FAIL", BAD, 0, "", false},
	};
	struct dovecot_line line;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int ok = dovecot_parse(cases[i].line, strlen(cases[i].line), &line);

		if ((ok == -1) != (cases[i].word == BAD))
			fail_msg("'%s': %d", cases[i].line, ok);
		if (ok == -1)
			continue;
		assert_int_equal(line.word, cases[i].word);
		assert_int_equal(
		    line.word == DOVECOT_VERSION ? line.major : line.id, cases[i].number);
		assert_string_equal(line.login, cases[i].login);
		assert_int_equal(line.known || line.temporary, cases[i].flag);
	}
}

static void
test_dovecot_nul(void **state)
{
	static const char id[] = "OK\t1\0002\tuser=d", user[] = "OK\t1\tuser=d\0e";
	struct dovecot_line line;

	(void)state;
	assert_int_equal(dovecot_parse(id, sizeof(id) - 1, &line), -1);
	assert_int_equal(dovecot_parse(user, sizeof(user) - 1, &line), 0);
	assert_int_equal(line.word, DOVECOT_FAIL);
	assert_true(line.temporary);
}

static void
test_login_bounds(void **state)
{
	char text[IPC_ADDRESS_MAX + 16];
	struct dovecot_line line;
	struct helper_line answer;
	int n;

	(void)state;
	for (n = IPC_ADDRESS_MAX; n <= IPC_ADDRESS_MAX + 1; n++) {
		bool fits = n == IPC_ADDRESS_MAX;

		(void)snprintf(text, sizeof(text), "OK\t1\tuser=%0*d", n, 0);
		assert_int_equal(dovecot_parse(text, strlen(text), &line), 0);
		assert_int_equal(line.word, fits ? DOVECOT_OK : DOVECOT_FAIL);
		assert_int_equal(strlen(line.login), fits ? n : 0);
		(void)snprintf(text, sizeof(text), "OK %0*d", n, 0);
		assert_int_equal(helper_parse(text, strlen(text), &answer), fits ? 0 : -1);
	}
}

static void
test_helper_answers(void **state)
{
	static const struct {
		const char *line;
		int result; /* BAD: refused */
		const char *login;
	} cases[] = {
	    {"OK demo@example.org", IPC_AUTH_OK, "demo@example.org"},
	    {"OK caf\xc3\xa9", IPC_AUTH_OK, "caf\xc3\xa9"},
	    {"OK a\x7f", BAD, ""},
	    {"NO", IPC_AUTH_REFUSED, ""},
	    {"LATER", IPC_AUTH_TROUBLE, ""},
	    {"OK", BAD, ""},
	    {"OK ", BAD, ""},
	    {"OK  demo", BAD, ""},
	    {"OK demo more", BAD, ""},
	    {"OK demo\r", BAD, ""},
	    {"OK\tdemo", BAD, ""},
	    {"NO ", BAD, ""},
	    {"NO\r", BAD, ""},
	    {"no", BAD, ""},
	    {"LATERAL", BAD, ""},
	    {"", BAD, ""},
	};
	struct helper_line line;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int ok = helper_parse(cases[i].line, strlen(cases[i].line), &line);

		if ((ok == -1) != (cases[i].result == BAD))
			fail_msg("'%s': %d", cases[i].line, ok);
		if (ok == -1)
			continue;
		assert_int_equal(line.result, cases[i].result);
		assert_string_equal(line.login, cases[i].login);
	}
}

/* -- what is said -- */

static struct remote_request
request(enum remote_secret kind, const char *login, const char *secret)
{
	return (struct remote_request){.table = "t",
	    .client = "192.0.2.1",
	    .kind = kind,
	    .login = login,
	    .secret = {(const uint8_t *)secret, strlen(secret)}};
}

/* The line up to "resp=" must be head, what is behind it must stand for message. */
static void
assert_auth(const struct remote_request *r, const char *head, const char *message, size_t len)
{
	uint8_t decoded[512];
	struct buf out;
	const char *resp;
	char text[1024];
	size_t n;

	buf_init(&out, HELPER_LINE_MAX);
	assert_int_equal(dovecot_auth(&out, 7, r), 0);
	assert_in_range(out.len, 1, sizeof(text) - 1);
	memcpy(text, buf_head(&out), out.len);
	text[out.len] = '\0';
	assert_int_equal(text[out.len - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + out.len - 1);
	resp = strstr(text, "\tresp=");
	assert_non_null(resp);
	assert_int_equal(resp - text, strlen(head));
	assert_memory_equal(text, head, strlen(head));
	resp += 6;
	assert_int_equal(base64_decode(resp, strlen(resp) - 1, decoded, sizeof(decoded), &n), 0);
	assert_int_equal(n, len);
	assert_memory_equal(decoded, message, len);
	buf_free(&out);
}

#define TAIL	   "\tservice=smtp\tnologin\tsecured\tno-penalty"
#define MESSAGE(s) (s), sizeof(s) - 1

static void
test_dovecot_auth(void **state)
{
	struct remote_request r = request(REMOTE_PASSWORD, "demo", "pass word");

	(void)state;
	assert_auth(&r, "AUTH\t7\tPLAIN" TAIL "\trip=192.0.2.1", MESSAGE("\0demo\0pass word"));
	r.client = "2001:db8::1";
	assert_auth(&r, "AUTH\t7\tPLAIN" TAIL "\trip=2001:db8::1", MESSAGE("\0demo\0pass word"));
	r.client = "local\tuser=root";
	assert_auth(&r, "AUTH\t7\tPLAIN" TAIL, MESSAGE("\0demo\0pass word"));
	r.client = "";
	assert_auth(&r, "AUTH\t7\tPLAIN" TAIL, MESSAGE("\0demo\0pass word"));
	r = request(REMOTE_OAUTHBEARER, "a,b=c@example.org", "t.o-k~e+n/=");
	r.client = "";
	assert_auth(&r, "AUTH\t7\tOAUTHBEARER" TAIL,
	    MESSAGE("n,a=a=2Cb=3Dc@example.org,\1auth=Bearer t.o-k~e+n/=\1\1"));
	r.login = "";
	assert_auth(&r, "AUTH\t7\tOAUTHBEARER" TAIL, MESSAGE("n,,\1auth=Bearer t.o-k~e+n/=\1\1"));
	r.kind = REMOTE_XOAUTH2;
	r.login = "demo";
	assert_auth(&r, "AUTH\t7\tXOAUTH2" TAIL, MESSAGE("user=demo\1auth=Bearer t.o-k~e+n/=\1\1"));
}

static void
assert_not_asked(const struct remote_request *r, int error)
{
	struct buf out;

	buf_init(&out, HELPER_LINE_MAX + 1);
	errno = 0;
	assert_int_equal(dovecot_auth(&out, 7, r), -1);
	assert_int_equal(errno, error);
	buf_free(&out);
}

static void
test_dovecot_cannot_be_asked(void **state)
{
	static const char *const logins[] = {"a\tb", "a\nb", "a\1b", "a\x7f"};
	struct remote_request r;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(logins); i++) {
		r = request(REMOTE_XOAUTH2, logins[i], "t");
		assert_not_asked(&r, EINVAL);
		r.kind = REMOTE_PASSWORD;
		assert_not_asked(&r, EINVAL);
	}
	r = request(REMOTE_PASSWORD, "", "x");
	assert_not_asked(&r, EINVAL);
	r = request(REMOTE_XOAUTH2, "demo", "t\1user=root");
	assert_not_asked(&r, EINVAL);
	r = request(REMOTE_PASSWORD, "demo", "p");
	r.secret = (struct span){(const uint8_t *)"p\0q", 3};
	assert_not_asked(&r, EINVAL);
}

/* The longest question that there can be fits; more than Dovecot reads is not said. */
static void
test_dovecot_bounds(void **state)
{
	static uint8_t token[2 * REMOTE_SECRET_MAX];
	static char login[IPC_ADDRESS_MAX + 1];
	struct remote_request r = request(REMOTE_OAUTHBEARER, login, "");
	struct buf out;

	(void)state;
	memset(login, ',', IPC_ADDRESS_MAX);
	login[IPC_ADDRESS_MAX] = '\0';
	memset(token, 't', sizeof(token));
	r.client = "2001:0db8:ffff:ffff:ffff:ffff:ffff:ffff";
	r.secret = (struct span){token, REMOTE_SECRET_MAX};
	buf_init(&out, DOVECOT_LINE_MAX + 1);
	assert_int_equal(dovecot_auth(&out, UINT32_MAX, &r), 0);
	assert_in_range(out.len, REMOTE_SECRET_MAX / 3 * 4, DOVECOT_LINE_MAX + 1);
	buf_free(&out);
	r.secret.len = sizeof(token);
	assert_not_asked(&r, EMSGSIZE);
	r.secret.len = 11700;
	assert_not_asked(&r, EMSGSIZE);
}

static void
test_give_up(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_int_equal(dovecot_give_up(&out, 7, REMOTE_OAUTHBEARER), 0);
	assert_int_equal(dovecot_give_up(&out, 8, REMOTE_XOAUTH2), 0);
	assert_int_equal(out.len, 20);
	assert_memory_equal(buf_head(&out), "CONT\t7\tAQ==\nCONT\t8\t\n", out.len);
	buf_free(&out);
}

static void
test_helper_token(void **state)
{
	static const struct {
		const char *login, *secret, *line; /* NULL: can't be asked */
	} cases[] = {
	    {"demo@example.org", "token", "TOKEN dG9rZW4= demo@example.org\n"},
	    {"", "token", "TOKEN dG9rZW4= -\n"},
	    {"", "a\nOK root", "TOKEN YQpPSyByb290 -\n"},
	    {"-", "token", "TOKEN dG9rZW4= -\n"},
	    {"two words", "token", "TOKEN dG9rZW4= -\n"},
	    {"a\nb", "token", "TOKEN dG9rZW4= -\n"},
	    {"caf\xc3\xa9", "token", "TOKEN dG9rZW4= caf\xc3\xa9\n"},
	    {"demo", "", NULL},
	};
	struct remote_request r;
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int ok;

		r = request(REMOTE_OAUTHBEARER, cases[i].login, cases[i].secret);
		buf_init(&out, HELPER_LINE_MAX);
		ok = helper_token(&out, &r);
		assert_int_equal(ok, cases[i].line == NULL ? -1 : 0);
		if (ok == 0) {
			assert_int_equal(out.len, strlen(cases[i].line));
			assert_memory_equal(buf_head(&out), cases[i].line, out.len);
		} else
			assert_int_equal(errno, EINVAL);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dovecot_answers),
	    cmocka_unit_test(test_dovecot_nul),
	    cmocka_unit_test(test_login_bounds),
	    cmocka_unit_test(test_helper_answers),
	    cmocka_unit_test(test_dovecot_auth),
	    cmocka_unit_test(test_dovecot_cannot_be_asked),
	    cmocka_unit_test(test_dovecot_bounds),
	    cmocka_unit_test(test_give_up),
	    cmocka_unit_test(test_helper_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
