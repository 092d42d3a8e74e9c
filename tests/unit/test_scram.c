/* SPDX-License-Identifier: ISC */
/*
 * SCRAM-SHA-256: the exchange of RFC 7677 3, keys as text, messages that are
 * none, channel bindings, and proofs that prove nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/base64.h"
#include "lib/secret/scram.h"

#define FIRST	     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define OURS	     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT	     "W22ZaJ0SNY7soEsUEjb6gQ=="
#define NONCE	     "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER_FIRST "r=" NONCE ",s=" SALT ",i=4096"
#define FINAL	     "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

/* The same octets in memory of exactly that size. */
static uint8_t *
exact(const char *text, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, text, len);
	return copy;
}

static struct scram_keys
keys_of(const char *password)
{
	struct scram_keys k = {.iterations = 4096};

	assert_int_equal(base64_decode(SALT, strlen(SALT), k.salt, sizeof(k.salt), &k.salt_len), 0);
	assert_int_equal(scram_derive(password, strlen(password), &k), 0);
	return k;
}

static void
test_rfc7677(void **state)
{
	struct scram_keys k = keys_of("pencil");
	struct scram_first first;
	struct scram_final final;
	struct scram_exchange x = {&first, SERVER_FIRST, &final, {NULL, 0}};
	char text[SCRAM_SERVER_FIRST_SIZE], verdict[SCRAM_SERVER_FINAL_SIZE];

	(void)state;
	assert_int_equal(scram_first_parse((const uint8_t *)FIRST, strlen(FIRST), &first), 0);
	assert_string_equal(first.login, "user");
	assert_string_equal(first.authzid, "");
	assert_int_equal(first.flag, SCRAM_NO_BINDING);
	/* The RFC's nonce is longer than ours, but the message is made the same way. */
	scram_server_first(&first, "0123456789abcdefghijklmn", &k, text);
	assert_string_equal(
	    text, "r=rOprNGfwEbeRWgbNEkqO0123456789abcdefghijklmn,s=" SALT ",i=4096");
	assert_int_equal(scram_final_parse((const uint8_t *)FINAL, strlen(FINAL), &final), 0);
	assert_true(scram_final_fits(&x));
	assert_true(scram_verify(&x, &k, verdict));
	assert_string_equal(verdict, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	final.proof[31] ^= 1;
	assert_false(scram_verify(&x, &k, verdict));
	assert_string_equal(verdict, "");
	final.proof[31] ^= 1;
	k = keys_of("pencil2");
	assert_false(scram_verify(&x, &k, verdict));
}

static void
test_fits(void **state)
{
	static const uint8_t hash[] = {1, 2, 3, 4};
	static const struct {
		const char *first, *final;
		size_t binding_len;
		bool fits;
	} cases[] = {
	    {FIRST, "c=biws,r=" NONCE ",p=", 0, true},
	    /* another nonce, a shorter one, a longer one */
	    {"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=biws,r=x" NONCE ",p=", 0, false},
	    {FIRST, "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=", 0, false},
	    {FIRST, "c=biws,r=" NONCE "0,p=", 0, false},
	    /* a header that is not the one of before: "y,,", "n,a=u,", and data that nobody has */
	    {FIRST, "c=eSws,r=" NONCE ",p=", 0, false},
	    {FIRST, "c=bixhPXUs,r=" NONCE ",p=", 0, false},
	    {FIRST, "c=biwsAQIDBA==,r=" NONCE ",p=", 0, false},
	    /* with a binding: right, without, cut short, another, of another type */
	    {"p=b,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=cD1iLCwBAgME,r=" NONCE ",p=", 4, true},
	    {"p=b,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=cD1iLCw=,r=" NONCE ",p=", 4, false},
	    {"p=b,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=cD1iLCwBAgM=,r=" NONCE ",p=", 4, false},
	    {"p=b,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=cD1iLCwBAgMF,r=" NONCE ",p=", 4, false},
	    {"p=b,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=cD1jLCwBAgME,r=" NONCE ",p=", 4, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scram_first first;
		struct scram_final final;
		struct scram_exchange x = {
		    &first, SERVER_FIRST, &final, {hash, cases[i].binding_len}};
		char text[512] = "";

		strcat(
		    strcpy(text, cases[i].final), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
		assert_int_equal(scram_first_parse((const uint8_t *)cases[i].first,
				     strlen(cases[i].first), &first),
		    0);
		assert_int_equal(scram_final_parse((const uint8_t *)text, strlen(text), &final), 0);
		if (scram_final_fits(&x) != cases[i].fits)
			fail_msg("%s", text);
	}
}

static void
test_first(void **state)
{
	static const struct {
		const char *text, *login, *authzid;
		enum scram_flag flag;
	} good[] = {
	    {"n,,n=user,r=abc", "user", "", SCRAM_NO_BINDING},
	    {"y,,n=u,r=a", "u", "", SCRAM_NOT_OFFERED},
	    {"p=tls-server-end-point,,n=user,r=abc", "user", "", SCRAM_WITH_BINDING},
	    {"p=tls-exporter,a=b,n=user,r=abc", "user", "b", SCRAM_WITH_BINDING},
	    {"n,a=other,n=user,r=abc", "user", "other", SCRAM_NO_BINDING},
	    {"n,a=a=2Cb=3Dc,n=x=3Dy=2Cz,r=abc", "x=y,z", "a,b=c", SCRAM_NO_BINDING},
	    {"n,,n=us\xc3\xa9r,r=abc", "us\xc3\xa9r", "", SCRAM_NO_BINDING},
	    {"n,,n=user,r=abc,x=ext,y=more", "user", "", SCRAM_NO_BINDING},
	    {"n,,n=user name,r=!~", "user name", "", SCRAM_NO_BINDING},
	};
	static const char *const bad[] = {"", "n", "n,", "n,,", "n,,n=user", "n,,n=user,",
	    "n,,r=abc", "n,,n=,r=abc", "n,,n=user,r=", "n,n=user,r=abc", "x,,n=user,r=abc",
	    "nn,,n=user,r=abc", "p,,n=user,r=abc", "p=,,n=user,r=abc", "p=t_u,,n=user,r=abc",
	    "n,a=,n=user,r=abc", "n,b=x,n=user,r=abc", "n,a=x=2c,n=user,r=abc", "n,,n=a=b,r=abc",
	    "n,,n=a=,r=abc", "n,,n=a=2,r=abc", "n,,n=a=3E,r=abc", "n,,m=ext,n=user,r=abc",
	    "n,,n=user,m=x,r=abc", "n,,n=user,r=a b", "n,,n=user,r=a\x7f", "n,,n=user,r=\xc3\xa9",
	    "n,,n=user,r=abc,", "n,,n=user,r=abc,1=x", "n,,n=user,r=abc,x",
	    "n,,n=user,r=abc,x=", "n,,user,r=abc", "n,, n=user,r=abc", "n,,N=user,r=abc",
	    "n,,n=user,R=abc", "\n,,n=user,r=abc"};
	struct scram_first first;
	size_t i;
	uint8_t *m;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		m = exact(good[i].text, strlen(good[i].text));
		if (scram_first_parse(m, strlen(good[i].text), &first) == -1)
			fail_msg("refused: %s", good[i].text);
		assert_string_equal(first.login, good[i].login);
		assert_string_equal(first.authzid, good[i].authzid);
		assert_int_equal(first.flag, good[i].flag);
		assert_int_equal(first.header.len + first.bare.len, strlen(good[i].text));
		free(m);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = exact(bad[i], strlen(bad[i]));
		if (scram_first_parse(m, strlen(bad[i]), &first) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(errno, EINVAL);
		free(m);
	}
	assert_int_equal(scram_first_parse((const uint8_t *)"n,,n=us\0r,r=abc", 15, &first), -1);
}

static void
test_first_bounds(void **state)
{
	char text[SCRAM_MESSAGE_MAX + 16];
	struct scram_first first;
	size_t n;

	(void)state;
	/* a login of 512 octets, and of one more */
	n = (size_t)snprintf(text, sizeof(text), "n,,n=%0*d,r=abc", SCRAM_NAME_MAX, 0);
	assert_int_equal(scram_first_parse((const uint8_t *)text, n, &first), 0);
	assert_int_equal(strlen(first.login), SCRAM_NAME_MAX);
	n = (size_t)snprintf(text, sizeof(text), "n,,n=%0*d,r=abc", SCRAM_NAME_MAX + 1, 0);
	assert_int_equal(scram_first_parse((const uint8_t *)text, n, &first), -1);
	/* a nonce of 256, and of one more */
	n = (size_t)snprintf(text, sizeof(text), "n,,n=u,r=%0*d", SCRAM_NONCE_MAX, 0);
	assert_int_equal(scram_first_parse((const uint8_t *)text, n, &first), 0);
	n = (size_t)snprintf(text, sizeof(text), "n,,n=u,r=%0*d", SCRAM_NONCE_MAX + 1, 0);
	assert_int_equal(scram_first_parse((const uint8_t *)text, n, &first), -1);
	/* the whole message */
	n = (size_t)snprintf(text, sizeof(text), "n,,n=u,r=a,x=%0*d", SCRAM_MESSAGE_MAX - 13, 0);
	assert_int_equal(n, SCRAM_MESSAGE_MAX);
	assert_int_equal(scram_first_parse((const uint8_t *)text, n, &first), 0);
	text[n] = '0';
	assert_int_equal(scram_first_parse((const uint8_t *)text, n + 1, &first), -1);
}

#define P "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void
test_final(void **state)
{
	static const struct {
		const char *text, *without_proof; /* NULL: refused */
	} cases[] = {
	    {"c=biws,r=abc," P, "c=biws,r=abc"},
	    {"c=biws,r=abc,x=y,z=a=b," P, "c=biws,r=abc,x=y,z=a=b"},
	    {"c=biws,r=abc", NULL},
	    {"c=biws,r=abc,", NULL},
	    {"c=biws,r=abc," P ",x=y", NULL},
	    {"c=biws,r=abc," P ",", NULL},
	    {"c=biws," P, NULL},
	    {"r=abc," P, NULL},
	    {"c=,r=abc," P, NULL},
	    {"c=biw,r=abc," P, NULL},
	    {"c=b iws,r=abc," P, NULL},
	    {"c=biws,r=," P, NULL},
	    {"c=biws,r=a b," P, NULL},
	    {"r=abc,c=biws," P, NULL},
	    {"c=biws,r=abc,p=dHzbZapWIk4=", NULL},
	    {"c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ", NULL},
	    {"c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQAAA==", NULL},
	    {"c=biws,r=abc,p=", NULL},
	    {"", NULL},
	    {",", NULL},
	    {"c=biws", NULL},
	};
	struct scram_final final;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *m = exact(cases[i].text, strlen(cases[i].text));
		int rc = scram_final_parse(m, strlen(cases[i].text), &final);

		if ((rc == 0) != (cases[i].without_proof != NULL))
			fail_msg("%s", cases[i].text);
		if (rc == 0) {
			assert_int_equal(final.without_proof.len, strlen(cases[i].without_proof));
			assert_memory_equal(final.without_proof.data, cases[i].without_proof,
			    final.without_proof.len);
			assert_memory_equal(final.binding, "n,,", 3);
		}
		free(m);
	}
}

static void
test_keys_text(void **state)
{
	struct scram_keys k = keys_of("pencil"), again;
	char text[SCRAM_TEXT_SIZE], longest[SCRAM_TEXT_SIZE], broken[SCRAM_TEXT_SIZE];
	size_t i, len;

	(void)state;
	scram_keys_format(&k, text);
	/* what PostgreSQL makes of the same password and salt */
	assert_string_equal(text,
	    "SCRAM-SHA-256$4096:" SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	assert_int_equal(scram_keys_parse(text, strlen(text), &again), 0);
	assert_memory_equal(&again, &k, sizeof(k));
	assert_int_equal(scram_keys_check(&k, "pencil", 6), 1);
	assert_int_equal(scram_keys_check(&k, "pencil\0", 7), 0);
	assert_int_equal(scram_keys_check(&k, "Pencil", 6), 0);
	assert_int_equal(scram_keys_check(&k, "", 0), 0);
	/* no part of it is enough, and none of its characters may change */
	len = strlen(text);
	for (i = 0; i < len; i++) {
		uint8_t *m = exact(text, i);

		assert_int_equal(scram_keys_parse((const char *)m, i, &again), -1);
		free(m);
		memcpy(broken, text, len + 1);
		broken[i] = '*';
		assert_int_equal(scram_keys_parse(broken, len, &again), -1);
	}
	k.iterations = SCRAM_ITERATIONS_MAX;
	k.salt_len = SCRAM_SALT_MAX;
	assert_int_equal(scram_derive("x", 1, &k), 0);
	scram_keys_format(&k, longest);
	assert_int_equal(scram_keys_parse(longest, strlen(longest), &again), 0);
}

static void
test_keys_bounds(void **state)
{
	static const char keys[] = "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
				   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	static const struct {
		const char *start;
		bool ok;
	} cases[] = {{"SCRAM-SHA-256$4096:" SALT, true}, {"SCRAM-SHA-256$4095:" SALT, false},
	    {"SCRAM-SHA-256$1000000:" SALT, true}, {"SCRAM-SHA-256$1000001:" SALT, false},
	    {"SCRAM-SHA-256$4294971392:" SALT, false}, {"SCRAM-SHA-256$+4096:" SALT, false},
	    {"SCRAM-SHA-256$:" SALT, false}, {"SCRAM-SHA-1$4096:" SALT, false},
	    {"SCRAM-SHA-256$4096:AAAAAAAAAAA=", true} /* 8 octets */,
	    {"SCRAM-SHA-256$4096:AAAAAAAAAA==", false}, {"SCRAM-SHA-256$4096:", false},
	    {"scram-sha-256$4096:" SALT, false}};
	struct scram_keys k;
	char text[SCRAM_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", cases[i].start, keys);
		if ((scram_keys_parse(text, strlen(text), &k) == 0) != cases[i].ok)
			fail_msg("%s", text);
	}
	k = (struct scram_keys){.iterations = 4096, .salt_len = SCRAM_SALT_MIN - 1};
	assert_int_equal(scram_derive("x", 1, &k), -1);
	k.salt_len = SCRAM_SALT_MAX + 1;
	assert_int_equal(scram_derive("x", 1, &k), -1);
	k = (struct scram_keys){.iterations = 4095, .salt_len = SCRAM_SALT_MIN};
	assert_int_equal(scram_derive("x", 1, &k), -1);
}

static void
test_fake(void **state)
{
	const uint8_t secret[SCRAM_KEY_SIZE] = {1}, other[SCRAM_KEY_SIZE] = {2};
	struct scram_keys a, b;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	scram_keys_fake(secret, "nobody", 5000, 16, &a);
	scram_keys_fake(secret, "nobody", 5000, 16, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(a.salt_len, 16);
	assert_int_equal(a.iterations, 5000);
	scram_keys_fake(secret, "nobodz", 5000, 16, &b);
	assert_memory_not_equal(a.salt, b.salt, 16);
	scram_keys_fake(other, "nobody", 5000, 16, &b);
	assert_memory_not_equal(a.salt, b.salt, 16);
	/* The longest has no part that is seen twice. */
	scram_keys_fake(secret, "nobody", 5000, SCRAM_SALT_MAX, &b);
	assert_memory_equal(a.salt, b.salt, 16);
	assert_memory_not_equal(b.salt, b.salt + 32, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc7677),
	    cmocka_unit_test(test_fits),
	    cmocka_unit_test(test_first),
	    cmocka_unit_test(test_first_bounds),
	    cmocka_unit_test(test_final),
	    cmocka_unit_test(test_keys_text),
	    cmocka_unit_test(test_keys_bounds),
	    cmocka_unit_test(test_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
