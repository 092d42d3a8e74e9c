/* SPDX-License-Identifier: ISC */
/* What is said of a certificate and its key, good and bad. */
#include "vault/certificate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/certificate_fixture.h"

static struct pki ca, other_ca, good;

static int
setup(void **state)
{
	(void)state;
	pki_make(&ca, &(struct pki_spec){.key = "P-256",
			  .name = "Test CA",
			  .names = "",
			  .from_s = -PKI_DAY,
			  .to_s = 900 * PKI_DAY,
			  .basic = "critical,CA:TRUE"});
	pki_make(&other_ca, &(struct pki_spec){.key = "P-256",
				.name = "Other CA",
				.names = "",
				.from_s = -PKI_DAY,
				.to_s = 900 * PKI_DAY,
				.basic = "critical,CA:TRUE"});
	pki_make(&good, &(struct pki_spec){.key = "P-256",
			    .name = "mx.example.org",
			    .from_s = -60,
			    .to_s = 90 * PKI_DAY,
			    .issuer = &ca});
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&ca);
	pki_free(&other_ca);
	pki_free(&good);
	return 0;
}

static void
test_good(void **state)
{
	struct certificate c;
	const struct certificate_files files = {
	    span_of(&good.cert_pem), span_of(&good.key_pem), {NULL, 0}};
	uint8_t hash[EVP_MAX_MD_SIZE];
	char hex[3];
	unsigned int len, i;

	(void)state;
	certificate_open(&c, &files);
	assert_string_equal(told(&c), "");
	assert_string_equal(c.subject, "CN=mx.example.org");
	assert_string_equal(c.issuer, "CN=Test CA");
	assert_string_equal(c.names, "mx.example.org");
	assert_string_equal(c.key_type, "ECDSA P-256");
	assert_int_equal(c.kind, TEMPLATE_P256);
	assert_int_equal(c.not_after_s - c.not_before_s, 90 * PKI_DAY + 60);
	assert_true(llabs(c.not_before_s + 60 - (int64_t)time(NULL)) < 60);
	assert_int_equal(X509_digest(good.x509, EVP_sha256(), hash, &len), 1);
	assert_memory_equal(c.fingerprint, "SHA256:", 7);
	assert_int_equal(strlen(c.fingerprint), 7 + 64);
	for (i = 0; i < len; i++) {
		(void)snprintf(hex, sizeof(hex), "%02x", hash[i]);
		assert_memory_equal(c.fingerprint + 7 + 2 * (size_t)i, hex, 2);
	}
	certificate_close(&c);
	assert_null(c.key);
}

#define SELF	   "warning: self-signed: clients that verify will refuse it"
#define NO_SUPPORT ", which is not supported: take ECDSA P-256 or RSA"

/* One certificate each, made as the row says. */
static void
test_rows(void **state)
{
	static const struct {
		struct pki_spec spec;
		bool self, has_key;
		const char *problems;
	} rows[] = {
	    {{.key = "P-256", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY}, true,
		true, SELF},
	    {{.key = "P-384", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY}, false,
		true, ""},
	    {{.key = "RSA-2048", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY},
		false, true, ""},
	    {{.key = "P-521", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY}, false,
		true, "warning: has a key on P-521, which many clients can't use: take P-256"},
	    {{.key = "ED25519", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY}, false,
		false, "error: has a key of type ED25519" NO_SUPPORT},
	    {{.key = "secp256k1", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY},
		false, false, "error: has a key of type id-ecPublicKey" NO_SUPPORT},
	    {{.key = "RSA-1024", .name = "a.example.org", .from_s = -9, .to_s = 90 * PKI_DAY},
		false, false, "error: its RSA key is too weak: less than 2048 bits"},
	    {{.key = "P-256", .name = "a.example.org", .from_s = -99, .to_s = -9}, false, true,
		"error: has expired"},
	    {{.key = "P-256", .name = "a.example.org", .from_s = 999, .to_s = 90 * PKI_DAY}, false,
		true, "error: is not yet valid"},
	    {{.key = "P-256", .name = "a.example.org", .from_s = -9, .to_s = 14 * PKI_DAY - 99},
		false, true, "warning: expires within 14 days"},
	    {{.key = "P-256", .name = "a.example.org", .from_s = -9, .to_s = 14 * PKI_DAY + 99},
		false, true, ""},
	    {{.key = "P-256",
		 .name = "a.example.org",
		 .names = "",
		 .from_s = -9,
		 .to_s = 90 * PKI_DAY},
		false, true, "warning: names no host: clients that verify will refuse it"},
	    {{.key = "P-256",
		 .name = "a.example.org",
		 .from_s = -9,
		 .to_s = 90 * PKI_DAY,
		 .basic = "CA:TRUE"},
		false, true, "warning: is that of an authority, not of a server"},
	    {{.key = "P-256",
		 .name = "a.example.org",
		 .from_s = -9,
		 .to_s = 90 * PKI_DAY,
		 .usage = "clientAuth"},
		false, true, "warning: is not meant for TLS servers, by its key usage"},
	    {{.key = "P-256",
		 .name = "a.example.org",
		 .from_s = -9,
		 .to_s = 90 * PKI_DAY,
		 .usage = "serverAuth"},
		false, true, ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct pki_spec spec = rows[i].spec;
		struct pki p;

		spec.issuer = rows[i].self ? NULL : &ca;
		pki_make(&p, &spec);
		expect(&(struct certificate_files){span_of(&p.cert_pem), span_of(&p.key_pem),
			   {NULL, 0}},
		    rows[i].problems, rows[i].has_key);
		pki_free(&p);
	}
}

static void
test_weak_signature(void **state)
{
	struct pki p;

	(void)state;
	pki_make(&p, &(struct pki_spec){.key = "P-256",
			 .name = "a.example.org",
			 .from_s = -9,
			 .to_s = 90 * PKI_DAY,
			 .issuer = &ca,
			 .md = EVP_sha1()});
	expect(&(struct certificate_files){span_of(&p.cert_pem), span_of(&p.key_pem), {NULL, 0}},
	    "error: is signed by way of SHA-1 or MD5: too weak", true);
	pki_free(&p);
}

#define NO_CERT	 "error: the certificate's file can't be read, or is empty"
#define BAD_CERT "error: there is no certificate in PEM in its file"
#define NO_KEY	 "error: the key's file can't be read, or is empty"
#define BAD_KEY	 "error: there is no private key in PEM in its file"

static void
test_bad_files(void **state)
{
	const struct span none = {NULL, 0}, cert = span_of(&good.cert_pem),
			  key = span_of(&good.key_pem), noise = span_of_text("what is this\n");

	(void)state;
	expect(&(struct certificate_files){none, key, none}, NO_CERT, false);
	expect(&(struct certificate_files){noise, key, none}, BAD_CERT, false);
	expect(&(struct certificate_files){key, key, none}, BAD_CERT, false);
	expect(&(struct certificate_files){cert, none, none}, NO_KEY, false);
	expect(&(struct certificate_files){cert, noise, none}, BAD_KEY, false);
	expect(&(struct certificate_files){cert, cert, none}, BAD_KEY, false);
	expect(&(struct certificate_files){cert, span_of(&ca.key_pem), none},
	    "error: the key does not match the certificate", false);
	expect(&(struct certificate_files){none, none, none}, NO_CERT "; " NO_KEY, false);
}

static void
test_password(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	(void)state;
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
			     bio, good.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
	    1);
	len = BIO_get_mem_data(bio, &text);
	expect(&(struct certificate_files){span_of(&good.cert_pem),
		   {(const uint8_t *)text, (size_t)len}, {NULL, 0}},
	    "error: the key is protected by a password", false);
	BIO_free(bio);
}

/* Files that were cut at any octet: some are still good, none is trouble. */
static void
test_cut_files(void **state)
{
	struct certificate c;
	size_t n;

	(void)state;
	for (n = 0; n < good.cert_pem.len; n += 3) {
		uint8_t *cut = test_malloc(n + 1);

		memcpy(cut, buf_head(&good.cert_pem), n);
		certificate_open(
		    &c, &(struct certificate_files){{cut, n}, span_of(&good.key_pem), {cut, n}});
		certificate_close(&c);
		test_free(cut);
	}
	for (n = 0; n < good.key_pem.len; n++) {
		uint8_t *cut = test_malloc(n + 1);

		memcpy(cut, buf_head(&good.key_pem), n);
		certificate_open(
		    &c, &(struct certificate_files){span_of(&good.cert_pem), {cut, n}, {NULL, 0}});
		assert_true(c.key == NULL || n >= good.key_pem.len - 2);
		certificate_close(&c);
		test_free(cut);
	}
}

static void
join(struct buf *out, const struct pki *const *pkis, size_t n)
{
	size_t i;

	buf_init(out, 1 << 20);
	for (i = 0; i < n; i++)
		assert_int_equal(
		    buf_append(out, buf_head(&pkis[i]->cert_pem), pkis[i]->cert_pem.len), 0);
}

static void
test_chain(void **state)
{
	struct pki middle, leaf, old;
	const struct pki *in_order[] = {&leaf, &middle, &ca}, *turned[] = {&leaf, &ca, &middle},
			 *foreign[] = {&leaf, &other_ca}, *with_old[] = {&leaf, &middle, &old};
	const struct {
		const struct pki **pkis;
		size_t n;
		const char *problems;
	} rows[] = {
	    {in_order, 1, ""},
	    {in_order, 2, ""},
	    {in_order, 3, ""},
	    {turned, 3,
		"warning: the chain is out of order: certificate 2 is not the issuer of the one "
		"before it"},
	    {foreign, 2,
		"warning: the chain is out of order: certificate 2 is not the issuer of the one "
		"before it"},
	    {with_old, 3, "warning: another certificate in its file has expired"},
	};
	size_t i;

	(void)state;
	pki_make(&middle, &(struct pki_spec){.key = "P-256",
			      .name = "Middle CA",
			      .names = "",
			      .from_s = -9,
			      .to_s = 90 * PKI_DAY,
			      .issuer = &ca,
			      .basic = "CA:TRUE"});
	pki_make(&leaf, &(struct pki_spec){.key = "P-256",
			    .name = "a.example.org",
			    .from_s = -9,
			    .to_s = 90 * PKI_DAY,
			    .issuer = &middle});
	pki_make(&old, &(struct pki_spec){.key = "P-256",
			   .name = "Test CA",
			   .names = "",
			   .from_s = -99,
			   .to_s = -9,
			   .basic = "CA:TRUE"});
	for (i = 0; i < NITEMS(rows); i++) {
		struct buf pem;

		join(&pem, rows[i].pkis, rows[i].n);
		expect(
		    &(struct certificate_files){span_of(&pem), span_of(&leaf.key_pem), {NULL, 0}},
		    rows[i].problems, true);
		buf_free(&pem);
	}
	pki_free(&middle);
	pki_free(&leaf);
	pki_free(&old);
}

/* Whatever a certificate says, it is one line of words. */
static void
test_odd_names(void **state)
{
	static const struct {
		const char *name, *names, *subject, *told;
	} rows[] = {
	    {"a.example.org", "DNS:a.example.org,DNS:*.example.org,IP:192.0.2.1,IP:2001:db8::1",
		"CN=a.example.org", "a.example.org *.example.org 192.0.2.1 2001:db8::1"},
	    {"a\nb\"c\033[2J", "DNS:a b,DNS:ok.example.org", "CN=a\\0Ab\\\"c\\1B[2J",
		"ok.example.org"},
	    {"\xc3\xa4.example.org", "email:me@example.org", "CN=\\C3\\A4.example.org",
		"me@example.org"},
	};
	struct certificate c;
	size_t i, at;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct pki p;

		pki_make(&p, &(struct pki_spec){.key = "P-256",
				 .name = rows[i].name,
				 .names = rows[i].names,
				 .from_s = -9,
				 .to_s = 90 * PKI_DAY,
				 .issuer = &ca});
		certificate_open(&c, &(struct certificate_files){
					 span_of(&p.cert_pem), span_of(&p.key_pem), {NULL, 0}});
		assert_string_equal(c.subject, rows[i].subject);
		assert_string_equal(c.names, rows[i].told);
		for (at = 0; c.subject[at] != '\0'; at++)
			assert_in_range(c.subject[at], ' ', '~');
		certificate_close(&c);
		pki_free(&p);
	}
}

/* More names than there is room for: whole ones only. */
static void
test_many_names(void **state)
{
	char names[8192];
	struct certificate c;
	struct pki p;
	size_t at = 0;
	int i;

	(void)state;
	for (i = 0; i < 200; i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at,
		    "%sDNS:host-%03d.example.org", i == 0 ? "" : ",", i);
	pki_make(&p, &(struct pki_spec){.key = "P-256",
			 .name = "a",
			 .names = names,
			 .from_s = -9,
			 .to_s = 90 * PKI_DAY,
			 .issuer = &ca});
	certificate_open(
	    &c, &(struct certificate_files){span_of(&p.cert_pem), span_of(&p.key_pem), {NULL, 0}});
	assert_in_range(strlen(c.names), 900, sizeof(c.names) - 1);
	assert_string_equal(c.names + strlen(c.names) - 12, ".example.org");
	certificate_close(&c);
	pki_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_weak_signature),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_password),
	    cmocka_unit_test(test_cut_files),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_odd_names),
	    cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
