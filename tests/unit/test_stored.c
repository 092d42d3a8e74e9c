/* SPDX-License-Identifier: ISC */
/*
 * What a table keeps: hashes that are taken and those that are not, values of
 * several words, hashes that no password has, and what stored_make() makes;
 * tokens and their expiry.
 */
#include <crypt.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/bug.h"
#include "lib/secret/stored.h"
#include "lib/secret/token.h"

/* Well made; no password is known. */
#define YESCRYPT "$y$j75$abcdefghijklmnop$"
#define YESHASH	 "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
#define BCRYPT	 "$2b$05$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU"
#define SHA256	 "$5$saltsalt$0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
#define SHA512         \
	"$6$saltsalt$" \
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr0123456789ABCDEFGHIJKLMNOPQRSTUV"
#define SCRAM                                                                                      \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void
test_hash_fault(void **state)
{
	static const struct {
		const char *hash;
		bool ok;
		const char *kind;
	} cases[] = {
	    {YESCRYPT YESHASH, true, "$y$j75$"},
	    {"$y$j9T$abcdefghijklmnop$" YESHASH, true, "$y$j9T$"},
	    {"$y$jDT$abcdefghijklmnop$" YESHASH, true, "$y$jDT$"},
	    {"$y$jET$abcdefghijklmnop$" YESHASH, false, NULL}, /* 512 MiB */
	    {"$y$jzz$abcdefghijklmnop$" YESHASH, false, NULL},
	    {"$y$j65$abcdefghijklmnop$" YESHASH, false, NULL}, /* 512 KiB */
	    {"$y$j9T$$" YESHASH, false, NULL},		       /* no salt */
	    {"$y$j9T1$abcdefghijklmnop$" YESHASH, false, NULL},
	    {"$y$k9T$abcdefghijklmnop$" YESHASH, false, NULL},
	    {"$y$j9T$abcdefghijklmnop$" YESHASH "0", false, NULL},
	    {"$y$j9T$abcdefghijklmnop$", false, NULL},
	    {"$y$j9T$abcdefghijklmnop", false, NULL},
	    {"$y$", false, NULL},
	    {"$y$j", false, NULL},
	    {BCRYPT, true, "$2b$05$"},
	    {"$2a$12$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU", true, "$2a$12$"},
	    {"$2y$15$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU", true, "$2y$15$"},
	    {"$2b$16$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU", false, NULL},
	    {"$2b$03$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU", false, NULL},
	    {"$2x$05$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU", false, NULL},
	    {"$2b$5$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTUV", false, NULL},
	    {"$2b$05$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRST", false, NULL},
	    {"$2b$0", false, NULL},
	    {SHA256, true, "$5$"},
	    {SHA512, true, "$6$"},
	    {"$5$rounds=500000$saltsalt$" YESHASH, true, "$5$rounds=500000$"},
	    {"$5$rounds=500001$saltsalt$" YESHASH, false, NULL},
	    {"$5$rounds=4294972296$saltsalt$" YESHASH, false, NULL},
	    {"$5$rounds=18446744073709556616$saltsalt$" YESHASH, false, NULL},
	    {"$5$rounds=-1$saltsalt$" YESHASH, false, NULL},
	    {"$5$rounds=$saltsalt$" YESHASH, false, NULL},
	    {"$5$salt$salt$" YESHASH, false, NULL},
	    {"$5$$" YESHASH, false, NULL},
	    {"$6$saltsalt$" YESHASH, false, NULL},
	    /* weaker, or nothing of the kind */
	    {"$1$saltsalt$0123456789ABCDEFGHIJKL", false, NULL},
	    {"$sha1$40000$saltsalt$0123456789ABCDEFGHIJKLMNOPQR", false, NULL},
	    {"abJnggxhB/yWI", false, NULL},
	    {"password", false, NULL},
	    {"{PLAIN}password", false, NULL},
	    {"!" SHA512, false, NULL},
	    {"*", false, NULL},
	    {"", false, NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const char *why = stored_hash_fault(cases[i].hash);

		if ((why == NULL) != cases[i].ok)
			fail_msg("%s: %s", cases[i].hash, why == NULL ? "taken" : why);
		if (cases[i].kind != NULL) {
			assert_int_equal(stored_hash_kind(cases[i].hash), strlen(cases[i].kind));
			assert_memory_equal(cases[i].hash, cases[i].kind, strlen(cases[i].kind));
		}
	}
}

static void
test_values(void **state)
{
	static const struct {
		const char *value, *hash; /* NULL: refused */
		bool scram;
	} cases[] = {
	    {SHA256, SHA256, false},
	    {SCRAM, "", true},
	    {SHA256 " " SCRAM, SHA256, true},
	    {" \t" SCRAM "\t " SHA256 " ", SHA256, true},
	    {SHA256 " " SHA512, SHA256, false},	  /* the first counts */
	    {"$1$weak$x " SHA512, SHA512, false}, /* what is weak does not */
	    {"SCRAM-SHA-1$x " SCRAM " x", "", true},
	    {"", NULL, false},
	    {"  ", NULL, false},
	    {"password", NULL, false},
	    {"SCRAM-SHA-256$x", NULL, false},
	    {"!", NULL, false},
	};
	struct stored s;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int rc = stored_parse(cases[i].value, &s, &why);

		if ((rc == 0) != (cases[i].hash != NULL))
			fail_msg("%s", cases[i].value);
		assert_non_null(why);
		assert_string_equal(s.hash, cases[i].hash == NULL ? "" : cases[i].hash);
		assert_int_equal(s.has_scram, cases[i].scram);
	}
}

/* Does crypt(3) find settings and salt good? */
static bool
is_checked(const char *hash)
{
	static struct crypt_data data;
	char *again = crypt_r("no such password", hash, &data);

	return again != NULL && again[0] == '$' && strcmp(again, hash) != 0 &&
	       strlen(again) == strlen(hash);
}

static void
test_fake(void **state)
{
	static const char *const like[] = {NULL, "", YESCRYPT YESHASH, BCRYPT, SHA256, SHA512};
	char a[STORED_HASH_SIZE], b[STORED_HASH_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(like); i++) {
		assert_int_equal(stored_hash_fake(like[i], a), 0);
		assert_int_equal(stored_hash_fake(like[i], b), 0);
		assert_null(stored_hash_fault(a));
		assert_true(is_checked(a));
		assert_string_not_equal(a, b);
		if (like[i] == NULL || like[i][0] == '\0')
			assert_memory_equal(a, "$y$j9T$", 7);
		else
			assert_int_equal(strlen(a), strlen(like[i]));
	}
}

static void
test_make(void **state)
{
	static const struct {
		const char *name, *prefix;
		size_t longest;
	} methods[STORED_METHOD__MAX] = {
	    [STORED_YESCRYPT] = {"yescrypt", "$y$j9T$", 511},
	    [STORED_BCRYPT] = {"bcrypt", "$2b$11$", 72},
	    [STORED_SHA512] = {"sha512", "$6$rounds=200000$", 511},
	    [STORED_SCRAM] = {"scram-sha-256", "SCRAM-SHA-256$32768:", 1024},
	    [STORED_TOKEN] = {"token", "sha256:", 1024},
	};
	static struct crypt_data data;
	char made[STORED_NEW_SIZE], again[STORED_NEW_SIZE], secret[1026];
	const char *why;
	struct stored s;
	enum stored_method m;
	size_t i;

	(void)state;
	memset(secret, 'x', sizeof(secret));
	secret[sizeof(secret) - 1] = '\0';
	for (i = 0; i < STORED_METHOD__MAX; i++) {
		assert_int_equal(stored_method_parse(methods[i].name, &m), 0);
		assert_int_equal(m, i);
		assert_string_equal(stored_method_name(m), methods[i].name);
		assert_int_equal(stored_make(m, "demo", 4, made), 0);
		assert_memory_equal(made, methods[i].prefix, strlen(methods[i].prefix));
		assert_int_equal(stored_make(m, "demo", 4, again), 0);
		if (m == STORED_TOKEN) {
			assert_string_equal(made, again);
			assert_string_equal(made,
			    "sha256:2a97516c354b68848cdbd8f54a226a0a55b21ed138e2"
			    "07ad6c5cbb9c00aa5aea");
		} else {
			assert_string_not_equal(made, again);
			assert_int_equal(stored_parse(made, &s, &why), 0);
		}
		if (m == STORED_SCRAM)
			assert_int_equal(scram_keys_check(&s.scram, "demo", 4), 1);
		else if (m != STORED_TOKEN)
			assert_string_equal(crypt_r("demo", made, &data), made);
		assert_int_equal(stored_make(m, secret, methods[i].longest, made), 0);
		assert_int_equal(stored_make(m, secret, methods[i].longest + 1, made), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(stored_make(m, "", 0, made), -1);
		assert_int_equal(stored_make(m, "de\0mo", 5, made), -1);
	}
	assert_int_equal(stored_method_parse("md5", &m), -1);
}

static void
test_grant(void **state)
{
	static const struct {
		const char *value, *login; /* NULL: refused */
		int64_t expires_s;
	} cases[] = {
	    {"demo", "demo", INT64_MAX},
	    {"demo@example.org \t", "demo@example.org", INT64_MAX},
	    {"demo 0", "demo", 0},
	    {"demo 1700000000", "demo", 1700000000},
	    {"demo\t9223372036854775807", "demo", INT64_MAX},
	    {"demo 1970-01-01T00:00:00Z", "demo", 0},
	    {"demo 2000-02-29T12:30:45Z", "demo", 951827445},
	    {"demo 2023-11-14T22:13:20Z", "demo", 1700000000},
	    {"demo 2023-11-14t22:13:20.123456z", "demo", 1700000000},
	    {"demo 2023-11-15T00:13:20+02:00", "demo", 1700000000},
	    {"demo 2023-11-14T16:43:20-05:30", "demo", 1700000000},
	    {"demo 2016-12-31T23:59:60Z", "demo", 1483228800},
	    {"demo 9999-12-31T23:59:59Z", "demo", 253402300799},
	    {"demo 2024-03-01T00:00:00Z", "demo", 1709251200},
	    {"", NULL, 0},
	    {" demo", NULL, 0},
	    {"demo 1 2", NULL, 0},
	    {"demo -1", NULL, 0},
	    {"demo 9223372036854775808", NULL, 0},
	    {"demo tomorrow", NULL, 0},
	    {"demo 2023-11-14", NULL, 0},
	    {"demo 2023-11-14T22:13:20", NULL, 0},
	    {"demo 2023-11-14T22:13Z", NULL, 0},
	    {"demo 2023-02-29T00:00:00Z", NULL, 0},
	    {"demo 1900-02-29T00:00:00Z", NULL, 0},
	    {"demo 2023-13-01T00:00:00Z", NULL, 0},
	    {"demo 2023-00-01T00:00:00Z", NULL, 0},
	    {"demo 2023-04-31T00:00:00Z", NULL, 0},
	    {"demo 2023-01-00T00:00:00Z", NULL, 0},
	    {"demo 2023-01-01T24:00:00Z", NULL, 0},
	    {"demo 2023-01-01T00:00:00.Z", NULL, 0},
	    {"demo 2023-01-01T00:00:00Zx", NULL, 0},
	    {"demo 2023-01-01T00:00:00+24:00", NULL, 0},
	    {"demo 2023-01-01T00:00:00+0200", NULL, 0},
	};
	struct token_grant g;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int rc = token_grant_parse(cases[i].value, &g);

		if ((rc == 0) != (cases[i].login != NULL))
			fail_msg("%s", cases[i].value);
		if (rc == -1)
			continue;
		assert_string_equal(g.login, cases[i].login);
		if (g.expires_s != cases[i].expires_s)
			fail_msg("%s: %lld", cases[i].value, (long long)g.expires_s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash_fault),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_fake),
	    cmocka_unit_test(test_make),
	    cmocka_unit_test(test_grant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
