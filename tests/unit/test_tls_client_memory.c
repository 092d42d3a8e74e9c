/* SPDX-License-Identifier: ISC */
/* Each allocation fails once: no connection then, or a sound one, and never one that is taken for verified wrongly. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "tests/unit/tls_client_fixture.h"

static bool failed;

static bool
fails(void)
{
	if (allocations_fail_from <= 0 || --allocations_fail_from > 0)
		return false;
	return failed = true;
}

static void *
take(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : malloc(size);
}

static void *
retake(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : realloc(p, size);
}

static void
give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static const char *const peer_test[] = {"peer.test"};
static const char *const other_test[] = {"other.test"};
static uint8_t digest[32]; /* of an authority's certificate */
static const struct tls_record authority = {2, 0, 1, digest, sizeof(digest)};

#define WANT(c, n)                  \
	.chain = {CA}, .nchain = 1, \
	.want = {.check = (c),      \
	    .host = "peer.test",    \
	    .names = (n),           \
	    .nnames = 1,            \
	    .records = &authority,  \
	    .nrecords = 1}

static const struct {
	struct scene scene;
	bool good; /* when nothing fails */
} rows[] = {
    {{.shown = GOOD, WANT(TLS_CHECK_NAMES, peer_test)}, true},
    {{.shown = GOOD, WANT(TLS_CHECK_NAMES, other_test)}, false},
    {{.shown = GOOD, WANT(TLS_CHECK_LATER, other_test)}, false},
    {{.shown = GOOD, WANT(TLS_CHECK_RECORDS, other_test)}, false},
};

#define MANY 1000000
#define STEP 3 /* a list of one name is three */

/* What comes before a handshake is the same for all rows, and long. */
static long
count_connecting(struct tls_client *t, const struct tls_want *want)
{
	struct tls *tls;
	long left;

	allocations_fail_from = MANY;
	tls = tls_client_connect(t, NULL, want);
	left = allocations_fail_from;
	allocations_fail_from = 0;
	assert_non_null(tls);
	tls_free(tls);
	return MANY - left;
}

static void
try_row(struct tls_client *t, size_t row)
{
	struct scene s = rows[row].scene;
	struct result r;

	s.fails_at = 0;
	r = play(t, &s);
	assert_int_equal(r.judged.by_names || r.judged.by_records, rows[row].good);
	s.fails_at = count_connecting(t, &s.want);
	for (failed = true; failed; s.fails_at += STEP) {
		failed = false;
		r = play(t, &s);
		if (!rows[row].good && (r.judged.by_names || r.judged.by_records))
			fail_msg("row %zu, allocation %ld: taken for verified", row, s.fails_at);
	}
}

static void
test_handshakes(void **state)
{
	struct tls_client *t = client_create();
	size_t i;

	(void)state;
	assert_int_equal(X509_digest(made[CA].cert, EVP_sha256(), digest, NULL), 1);
	for (i = 0; i < NITEMS(rows); i++)
		try_row(t, i);
	tls_client_free(t);
}

static void
test_connecting(void **state)
{
	struct tls_client *t = client_create();
	const struct tls_want *want = &rows[0].scene.want;
	long n, end = count_connecting(t, want);

	(void)state;
	for (n = 1; n <= end; n += STEP) {
		allocations_fail_from = n;
		tls_free(tls_client_connect(t, NULL, want));
		allocations_fail_from = 0;
	}
	tls_client_free(t);
}

static void
test_authorities(void **state)
{
	struct tls_client *t = tls_client_create();
	const char *pem = pem_of(CA);
	long n;
	int rc = -1;

	(void)state;
	for (n = 1, failed = true; failed; n++) {
		failed = false;
		allocations_fail_from = n;
		rc = tls_client_add_ca(t, "theirs", pem, strlen(pem));
		allocations_fail_from = 0;
	}
	assert_int_equal(rc, 0);
	assert_true(n > 10);
	tls_client_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connecting),
	    cmocka_unit_test(test_handshakes),
	    cmocka_unit_test(test_authorities),
	};

	if (CRYPTO_set_mem_functions(take, retake, give) != 1)
		return 1;
	return cmocka_run_group_tests_name("tls_client_memory", tests, make_all, free_all);
}
