/* SPDX-License-Identifier: ISC */
/* TLSA records and fingerprints: which can be used, and which certificates they are good for. */
#include <openssl/evp.h>

#include "tests/unit/tls_client_fixture.h"

#define RECORDS_MAX 3

/* A record about one of the certificates, or with data that is about none. */
struct about {
	uint8_t usage, selector, matching;
	enum kind of;
	bool wrong; /* one bit of the data is */
};

struct data {
	uint8_t octets[2048];
	size_t len;
};

/* RFC 6698 2.1.2 and 2.1.3: of the certificate or its key, whole or a digest. */
static struct data
association(const struct about *a)
{
	const EVP_MD *digest = a->matching == 1 ? EVP_sha256() : EVP_sha512();
	struct data d = {{0}, 0};
	uint8_t *der = NULL;
	unsigned int n;
	int len;

	len = a->selector == 0 ? i2d_X509(made[a->of].cert, &der)
			       : i2d_PUBKEY(made[a->of].key, &der);
	assert_true(len > 0 && (size_t)len <= sizeof(d.octets));
	if (a->matching == 0) {
		memcpy(d.octets, der, (size_t)len);
		d.len = (size_t)len;
	} else {
		assert_int_equal(EVP_Digest(der, (size_t)len, d.octets, &n, digest, NULL), 1);
		d.len = n;
	}
	OPENSSL_free(der);
	d.octets[d.len - 1] ^= a->wrong ? 1 : 0;
	return d;
}

static const char *const peer_test[] = {"peer.test"};
static const char *const other_test[] = {"other.test"};
static const char *const other_or_peer[] = {"other.test", "peer.test"};

static const struct {
	const char *what;
	struct scene scene; /* with its want's names alone */
	struct about records[RECORDS_MAX];
	bool good;
} rows[] = {
#define PEER  .want = {.names = peer_test, .nnames = 1}
#define OTHER .want = {.names = other_test, .nnames = 1}
    {"key, SHA-256", {.shown = GOOD, PEER}, {{3, 1, 1, GOOD, false}}, true},
    {"key, SHA-512", {.shown = GOOD, PEER}, {{3, 1, 2, GOOD, false}}, true},
    {"key, whole", {.shown = GOOD, PEER}, {{3, 1, 0, GOOD, false}}, true},
    {"certificate, SHA-256", {.shown = GOOD, PEER}, {{3, 0, 1, GOOD, false}}, true},
    {"certificate, SHA-512", {.shown = GOOD, PEER}, {{3, 0, 2, GOOD, false}}, true},
    {"certificate, whole", {.shown = GOOD, PEER}, {{3, 0, 0, GOOD, false}}, true},
    {"not this key", {.shown = GOOD, PEER}, {{3, 1, 1, GOOD, true}}, false},
    {"not this certificate", {.shown = GOOD, PEER}, {{3, 0, 1, GOOD, true}}, false},
    {"another's certificate", {.shown = GOOD, PEER}, {{3, 0, 0, SELF, false}}, false},
    {"a trusted authority is no record", {.shown = GOOD, PEER}, {{3, 1, 1, SELF, false}}, false},
    {"usage 3: whatever the name", {.shown = GOOD, OTHER}, {{3, 1, 1, GOOD, false}}, true},
    {"usage 3: no name at all", {.shown = GOOD}, {{3, 1, 1, GOOD, false}}, true},
    {"usage 3: whatever the time", {.shown = EXPIRED, PEER}, {{3, 1, 1, EXPIRED, false}}, true},
    {"usage 3: whoever signed", {.shown = SELF, PEER}, {{3, 0, 1, SELF, false}}, true},
    {"usage 3: of the authority", {.shown = GOOD, .chain = {CA}, .nchain = 1, PEER},
	{{3, 1, 1, CA, false}}, false},
    {"the second of two", {.shown = GOOD, PEER}, {{3, 1, 1, SELF, false}, {3, 1, 1, GOOD, false}},
	true},
    {"beside one for authorities", {.shown = GOOD, PEER},
	{{2, 0, 1, CA_STRANGER, false}, {3, 1, 1, GOOD, false}}, true},
    /* RFC 7671 9: of digests of one kind the strongest alone counts */
    {"the stronger digest", {.shown = GOOD, PEER}, {{3, 1, 1, GOOD, true}, {3, 1, 2, GOOD, false}},
	true},
    {"the weaker digest", {.shown = GOOD, PEER}, {{3, 1, 1, GOOD, false}, {3, 1, 2, GOOD, true}},
	false},
    {"usage 2", {.shown = GOOD, .chain = {CA}, .nchain = 1, PEER}, {{2, 0, 1, CA, false}}, true},
    {"usage 2: a key", {.shown = GOOD, .chain = {CA}, .nchain = 1, PEER}, {{2, 1, 2, CA, false}},
	true},
    {"usage 2: not sent", {.shown = GOOD, PEER}, {{2, 0, 1, CA, false}}, false},
    {"usage 2: not sent, but in the record", {.shown = GOOD, PEER}, {{2, 0, 0, CA, false}}, true},
    {"usage 2: whole key in the record", {.shown = GOOD, PEER}, {{2, 1, 0, CA, false}}, true},
    {"usage 2: in between", {.shown = UNDER, .chain = {CA_UNDER}, .nchain = 1, PEER},
	{{2, 1, 1, CA_UNDER, false}}, true},
    {"usage 2: above", {.shown = UNDER, .chain = {CA_UNDER, CA}, .nchain = 2, PEER},
	{{2, 1, 1, CA, false}}, true},
    {"usage 2: a stranger no bundle has",
	{.shown = STRANGER, .chain = {CA_STRANGER}, .nchain = 1, PEER},
	{{2, 0, 1, CA_STRANGER, false}}, true},
    {"usage 2: another name", {.shown = GOOD, .chain = {CA}, .nchain = 1, OTHER},
	{{2, 0, 1, CA, false}}, false},
    {"usage 2: one of the names",
	{.shown = GOOD, .chain = {CA}, .nchain = 1, .want = {.names = other_or_peer, .nnames = 2}},
	{{2, 0, 1, CA, false}}, true},
    {"usage 2: expired", {.shown = EXPIRED, .chain = {CA}, .nchain = 1, PEER},
	{{2, 0, 1, CA, false}}, false},
    {"usage 2: forged", {.shown = FORGED, .chain = {CA}, .nchain = 1, PEER}, {{2, 0, 1, CA, false}},
	false},
    {"usage 2: forged, key alone", {.shown = FORGED, PEER}, {{2, 1, 0, CA, false}}, false},
    {"usage 2: another authority", {.shown = GOOD, .chain = {CA}, .nchain = 1, PEER},
	{{2, 0, 1, CA_STRANGER, false}}, false},
    /* RFC 7672 3.1.3: what can't be used does not count, neither for nor against */
    {"beside an unusable one", {.shown = GOOD, PEER},
	{{1, 1, 1, SELF, false}, {3, 1, 1, GOOD, false}}, true},
    {"an unusable one matches", {.shown = GOOD, PEER},
	{{1, 1, 1, GOOD, false}, {3, 1, 1, SELF, false}}, false},
};

static size_t
fill(const struct about *about, struct data data[RECORDS_MAX], struct tls_record out[RECORDS_MAX])
{
	size_t n;

	for (n = 0; n < RECORDS_MAX && about[n].usage > 0; n++) {
		data[n] = association(&about[n]);
		out[n] = (struct tls_record){.usage = about[n].usage,
		    .selector = about[n].selector,
		    .matching = about[n].matching,
		    .data = data[n].octets,
		    .size = data[n].len};
	}
	return n;
}

static void
test_records(void **state)
{
	struct tls_client *t = client_create();
	struct tls_record records[RECORDS_MAX];
	struct data data[RECORDS_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct scene s = rows[i].scene;
		struct result r;

		s.want.check = TLS_CHECK_RECORDS;
		s.want.host = "peer.test";
		s.want.records = records;
		s.want.nrecords = fill(rows[i].records, data, records);
		r = play(t, &s);
		if (r.rc != (rows[i].good ? 0 : -1))
			fail_msg("%s: %d, %s", rows[i].what, r.rc, r.error);
		if (rows[i].good && !r.judged.by_records)
			fail_msg("%s: %s", rows[i].what, r.judged.why);
		if (!rows[i].good && strstr(r.error, "certificate") == NULL)
			fail_msg("%s: %s", rows[i].what, r.error);
		assert_false(r.judged.by_names);
		assert_string_equal(r.sni, "peer.test");
	}
	tls_client_free(t);
}

/* An address is not indicated, and with a fingerprint nothing but that counts. */
static void
test_address(void **state)
{
	static const char *const names[] = {"192.0.2.1"};
	static const struct about about[RECORDS_MAX] = {{3, 1, 1, EXPIRED, false}};
	struct tls_client *t = tls_client_create();
	struct tls_record records[RECORDS_MAX];
	struct data data[RECORDS_MAX];
	struct scene s = {.shown = EXPIRED,
	    .want = {.check = TLS_CHECK_RECORDS,
		.host = names[0],
		.names = names,
		.nnames = 1,
		.records = records,
		.nrecords = fill(about, data, records)}};
	struct result r = play(t, &s);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_true(r.judged.by_records);
	assert_string_equal(r.sni, "");
	s.shown = GOOD;
	r = play(t, &s);
	assert_int_equal(r.rc, -1);
	assert_string_equal(r.error, "no TLSA record or fingerprint matches the certificate");
	tls_client_free(t);
}

/* Where there is none that can be used, there is no connection that pretends. */
static void
test_none_usable(void **state)
{
	static const uint8_t digest[32];
	const struct tls_record bad[] = {{1, 1, 1, digest, 32}, {3, 1, 1, digest, 31}};
	struct tls_client *t = client_create();
	struct tls_want want = {.check = TLS_CHECK_RECORDS,
	    .host = "peer.test",
	    .names = peer_test,
	    .nnames = 1,
	    .records = bad,
	    .nrecords = NITEMS(bad)};

	(void)state;
	assert_null(tls_client_connect(t, NULL, &want));
	want.nrecords = 0;
	assert_null(tls_client_connect(t, NULL, &want));
	tls_client_free(t);
}

static void
test_usable(void **state)
{
	static const uint8_t octets[64];
	static const struct {
		uint8_t usage, selector, matching;
		size_t size;
		bool usable;
	} cases[] = {
	    {3, 1, 1, 32, true},
	    {3, 0, 2, 64, true},
	    {2, 0, 1, 32, true},
	    {0, 0, 1, 32, false}, /* PKIX-TA and PKIX-EE: RFC 7672 3.1.3 */
	    {1, 0, 1, 32, false},
	    {4, 0, 1, 32, false},
	    {255, 0, 1, 32, false},
	    {3, 2, 1, 32, false},
	    {3, 255, 1, 32, false},
	    {3, 1, 3, 32, false},
	    {3, 1, 255, 32, false},
	    {3, 1, 1, 0, false},
	    {3, 1, 1, 31, false},
	    {3, 1, 1, 33, false},
	    {3, 1, 2, 32, false},
	    {3, 0, 0, 64, false}, /* neither certificate nor key */
	    {3, 1, 0, 64, false},
	    {3, 0, 0, 0, false},
	};
	size_t i;

	(void)state;
	assert_true(tls_client_has_dane());
	for (i = 0; i < NITEMS(cases); i++) {
		struct tls_record r = {
		    cases[i].usage, cases[i].selector, cases[i].matching, octets, cases[i].size};

		if (tls_record_is_usable(&r) != cases[i].usable)
			fail_msg("case %zu", i);
	}
}

/* Whole data is usable as it is, and not with an octet more or less, or of the other kind. */
static void
test_usable_whole(void **state)
{
	uint8_t selector;

	(void)state;
	for (selector = 0; selector < 2; selector++) {
		struct about a = {3, selector, 0, GOOD, false};
		struct data d = association(&a);
		struct tls_record r = {3, selector, 0, d.octets, d.len};

		assert_true(tls_record_is_usable(&r));
		r.size++;
		assert_false(tls_record_is_usable(&r));
		r.size -= 2;
		assert_false(tls_record_is_usable(&r));
		r.size++;
		r.selector = !selector;
		assert_false(tls_record_is_usable(&r));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_none_usable),
	    cmocka_unit_test(test_usable),
	    cmocka_unit_test(test_usable_whole),
	};

	return cmocka_run_group_tests_name("tls_client_records", tests, make_all, free_all);
}
