/* SPDX-License-Identifier: ISC */
/*
 * Logins of ours elsewhere: what each mechanism says, when it stops, and that a server
 * of SCRAM has to know the password, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/secret/scram_client.h"
#include "vault/relay_credential.h"
#include "vault/sasl_client.h"

static void
test_choose(void **state)
{
	static const struct {
		const char *offered;
		bool is_token;
		const char *chosen; /* NULL: none */
	} cases[] = {
	    {"LOGIN PLAIN", false, "PLAIN"},
	    {"LOGIN PLAIN SCRAM-SHA-256 CRAM-MD5", false, "SCRAM-SHA-256"},
	    {"scram-sha-256", false, "SCRAM-SHA-256"},
	    {"SCRAM-SHA-256-PLUS", false, NULL},
	    {"login", false, "LOGIN"},
	    {"XOAUTH2 OAUTHBEARER PLAIN", true, "OAUTHBEARER"},
	    {"PLAIN XOAUTH2", true, "XOAUTH2"},
	    {"PLAIN LOGIN SCRAM-SHA-256", true, NULL},
	    {"XOAUTH2 OAUTHBEARER", false, NULL},
	    {"", false, NULL},
	    {"  PLAINX\tPLAIN  ", false, "PLAIN"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const char *chosen = sasl_client_choose(cases[i].offered, cases[i].is_token);

		if (cases[i].chosen == NULL)
			assert_null(chosen);
		else
			assert_string_equal(chosen, cases[i].chosen);
	}
}

static struct sasl_client *
client(const char *mechanism, const char *login, const char *secret)
{
	const struct sasl_client_login l = {.login = login,
	    .secret = {(const uint8_t *)secret, strlen(secret)},
	    .is_token = strstr(mechanism, "OAUTH") != NULL,
	    .host = "mail.example.org",
	    .port = 587};

	return sasl_client_create(mechanism, &l);
}

static enum sasl_client_move
challenge(struct sasl_client *c, const char *text)
{
	const struct span s = {(const uint8_t *)text, strlen(text)};

	return sasl_client_next(c, &s);
}

static void
assert_said(const struct sasl_client *c, const void *text, size_t len)
{
	struct span said;

	assert_true(sasl_client_said(c, &said));
	assert_int_equal(said.len, len);
	assert_memory_equal(said.data, text, len);
}

#define assert_says(c, text) assert_said((c), (text), sizeof(text) - 1)

static void
test_plain(void **state)
{
	struct sasl_client *c = client("PLAIN", "ann@a.example", "s3cret:with=all,");

	(void)state;
	assert_non_null(c);
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_says(c, "\0ann@a.example\0s3cret:with=all,");
	assert_true(sasl_client_end(c));
	/* One that wants it again, as an answer to nothing. */
	assert_int_equal(challenge(c, ""), SASL_CLIENT_SAY);
	assert_says(c, "\0ann@a.example\0s3cret:with=all,");
	assert_int_equal(challenge(c, ""), SASL_CLIENT_STOP);
	sasl_client_free(c);
	c = client("PLAIN", "ann", "x");
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_int_equal(challenge(c, "what?"), SASL_CLIENT_STOP);
	assert_string_not_equal(sasl_client_why(c), "");
	sasl_client_free(c);
}

static void
test_login(void **state)
{
	struct sasl_client *c = client("LOGIN", "ann", "secret");
	struct span said;

	(void)state;
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_false(sasl_client_said(c, &said));
	assert_int_equal(challenge(c, "Username:"), SASL_CLIENT_SAY);
	assert_says(c, "ann");
	assert_int_equal(challenge(c, "Password:"), SASL_CLIENT_SAY);
	assert_says(c, "secret");
	assert_true(sasl_client_end(c));
	assert_int_equal(challenge(c, "Once more:"), SASL_CLIENT_STOP);
	sasl_client_free(c);
}

static void
test_xoauth2(void **state)
{
	struct sasl_client *c = client("XOAUTH2", "ann@a.example", "ya29.token");

	(void)state;
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_says(c, "user=ann@a.example\001auth=Bearer ya29.token\001\001");
	assert_string_equal(sasl_client_why(c), "");
	assert_int_equal(challenge(c, "{\"status\":\"400\"}\r\nX"), SASL_CLIENT_SAY);
	assert_says(c, "");
	assert_string_equal(sasl_client_why(c), "{\"status\":\"400\"}\\x0d\\x0aX");
	assert_int_equal(challenge(c, ""), SASL_CLIENT_STOP);
	sasl_client_free(c);
}

static void
test_oauthbearer(void **state)
{
	struct sasl_client *c = client("OAUTHBEARER", "a,n=n@a.example", "t0ken");

	(void)state;
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_says(c, "n,a=a=2Cn=3Dn@a.example,\001host=mail.example.org\001port=587\001"
		       "auth=Bearer t0ken\001\001");
	assert_int_equal(challenge(c, "{}"), SASL_CLIENT_SAY);
	assert_says(c, "\001");
	assert_int_equal(challenge(c, "{}"), SASL_CLIENT_STOP);
	sasl_client_free(c);
}

static void
test_not_created(void **state)
{
	char long_token[IPC_SASL_MAX + 2];

	(void)state;
	memset(long_token, 'x', sizeof(long_token));
	long_token[sizeof(long_token) - 1] = '\0';
	assert_null(client("PLAIN", "", "secret"));
	assert_null(client("PLAIN", "a\nb", "secret"));
	assert_null(client("PLAIN", "ann", ""));
	assert_null(client("CRAM-MD5", "ann", "secret"));
	assert_null(client("XOAUTH2", "ann", "with blank"));
	assert_null(client("XOAUTH2", "ann", "with\001control"));
	assert_null(client("XOAUTH2", "ann", long_token));
}

/* -- SCRAM, with the example of RFC 7677 3 -- */

#define NONCE  "rOprNGfwEbeRWgbNEkqO"
#define BOTH   NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL  "c=biws,r=" BOTH ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define PROOF  "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void
begin(struct scram_client *c, struct scram_client_keys *k)
{
	assert_int_equal(scram_client_first(c, "user", NONCE), 0);
	assert_string_equal(c->first, "n,,n=user,r=" NONCE);
	assert_int_equal(scram_client_read(c, SERVER, strlen(SERVER)), 0);
	assert_int_equal(c->iterations, 4096);
	assert_int_equal(c->salt_len, 16);
	assert_int_equal(scram_client_derive("pencil", 6, c, k), 0);
}

static void
test_scram_example(void **state)
{
	static const struct {
		const char *said;
		int error; /* 0: good */
	} cases[] = {
	    {PROOF, 0},
	    {PROOF ",x=more", 0},
	    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", EINVAL},
	    {"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", EINVAL},
	    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==", EINVAL},
	    {"v=", EINVAL},
	    {"", EINVAL},
	    {"x=y," PROOF, EINVAL},
	    {"e=invalid-proof", EACCES},
	};
	char final[SCRAM_CLIENT_FINAL_SIZE];
	struct scram_client_keys keys;
	struct scram_client c;
	size_t i;

	(void)state;
	begin(&c, &keys);
	assert_int_equal(scram_client_final(&c, &keys, final), 0);
	assert_string_equal(final, FINAL);
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		assert_int_equal(scram_client_check(&c, cases[i].said, strlen(cases[i].said)),
		    cases[i].error == 0 ? 0 : -1);
		assert_int_equal(errno, cases[i].error);
	}
}

static void
test_scram_server_first(void **state)
{
	static const char *const bad[] = {
	    "",
	    "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing of the server's own */
	    "r=xOprNGfwEbeRWgbNEkqOabc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-4096",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
	    "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
	    "r=" BOTH ",s=,i=4096",
	    "r=" BOTH ",s=not base64,i=4096",
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=" BOTH ",i=4096",
	    "m=must,r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "r=" NONCE "a b,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	};
	char text[2 * SCRAM_SERVER_MESSAGE_MAX];
	struct scram_client c;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		assert_int_equal(scram_client_first(&c, "user", NONCE), 0);
		if (scram_client_read(&c, bad[i], strlen(bad[i])) != -1)
			fail_msg("taken: %s", bad[i]);
	}
	(void)snprintf(
	    text, sizeof(text), "r=" NONCE "%02000d,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", 0);
	assert_int_equal(scram_client_read(&c, text, strlen(text)), -1);
	assert_int_equal(scram_client_read(&c, SERVER "\0", sizeof(SERVER)), -1);
	assert_int_equal(scram_client_read(&c, SERVER ",x=more", sizeof(SERVER ",x=more") - 1), 0);
}

static void
test_scram_login(void **state)
{
	char server[512], *nonce;
	struct sasl_client *c = client("SCRAM-SHA-256", "us,er=", "pencil");
	struct scram_client_keys keys;
	struct span said;

	(void)state;
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_true(sasl_client_said(c, &said));
	(void)snprintf(server, sizeof(server), "%.*s", (int)said.len, (const char *)said.data);
	assert_non_null(strstr(server, "n,,n=us=2Cer=3D,r="));
	nonce = strdup(strstr(server, ",r=") + 3);
	(void)snprintf(server, sizeof(server), "r=%sabc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", nonce);
	free(nonce);
	assert_int_equal(challenge(c, server), SASL_CLIENT_DERIVE);
	assert_false(sasl_client_end(c));
	assert_int_equal(scram_client_derive("pencil", 6, sasl_client_scram(c), &keys), 0);
	assert_int_equal(sasl_client_keys(c, &keys), SASL_CLIENT_SAY);
	/* Whoever lets us in without proof may be anybody. */
	assert_false(sasl_client_end(c));
	assert_int_equal(challenge(c, PROOF), SASL_CLIENT_STOP);
	assert_false(sasl_client_end(c));
	sasl_client_free(c);
}

static void
test_no_keys(void **state)
{
	struct sasl_client *c = client("SCRAM-SHA-256", "user", "pencil");

	(void)state;
	assert_int_equal(sasl_client_next(c, NULL), SASL_CLIENT_SAY);
	assert_int_equal(sasl_client_keys(c, NULL), SASL_CLIENT_STOP);
	sasl_client_free(c);
}

static void
test_credential(void **state)
{
	static const struct {
		const char *value, *user, *password; /* NULL: refused */
	} cases[] = {
	    {"ann@a.example:s3cret", "ann@a.example", "s3cret"},
	    {"ann:a:b c ", "ann", "a:b c "},
	    {"ann", NULL, NULL},
	    {"ann:", NULL, NULL},
	    {":secret", NULL, NULL},
	    {"", NULL, NULL},
	    {"a\tn:secret", NULL, NULL},
	};
	struct relay_credential c;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const char *why = relay_credential_parse(cases[i].value, &c);

		assert_true((why != NULL) == (cases[i].user == NULL));
		if (why != NULL) {
			assert_null(strstr(why, "secret"));
			continue;
		}
		assert_string_equal(c.user, cases[i].user);
		assert_int_equal(c.password.len, strlen(cases[i].password));
		assert_memory_equal(c.password.data, cases[i].password, c.password.len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_choose),
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_xoauth2),
	    cmocka_unit_test(test_oauthbearer),
	    cmocka_unit_test(test_not_created),
	    cmocka_unit_test(test_scram_example),
	    cmocka_unit_test(test_scram_server_first),
	    cmocka_unit_test(test_scram_login),
	    cmocka_unit_test(test_no_keys),
	    cmocka_unit_test(test_credential),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
