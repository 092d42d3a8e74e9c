/* SPDX-License-Identifier: ISC */
/* Signatures that come from elsewhere: every kind, and every way to fail. */
#include "lib/key/keyclient.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <poll.h>

#include "tests/unit/signer_fixture.h"

static struct pki p256, p384, p521, rsa2048;

static const struct {
	const char *name;
	const struct pki *pki;
} kinds[] = {{"p256.example.org", &p256}, {"p384.example.org", &p384}, {"p521.example.org", &p521},
    {"rsa.example.org", &rsa2048}};

static const struct pki *const all_pkis[] = {&p256, &p384, &p521, &rsa2048, NULL};
static const char *const all_names[] = {
    "p256.example.org", "p384.example.org", "p521.example.org", "rsa.example.org", NULL};

static int
setup(void **state)
{
	(void)state;
	log_set_name("test");
	if (keyclient_init() == -1)
		return -1;
	pki_make_simple(&p256, "P-256", "p256.example.org");
	pki_make_simple(&p384, "P-384", "p384.example.org");
	pki_make_simple(&p521, "P-521", "p521.example.org");
	pki_make_simple(&rsa2048, "RSA-2048", "rsa.example.org");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&p256);
	pki_free(&p384);
	pki_free(&p521);
	pki_free(&rsa2048);
	return 0;
}

/* Each kind of key with each protocol, all in one server: the client's name chooses. */
static void
test_every_kind(void **state)
{
	static const uint32_t protocols[] = {TLS_PROTOCOL_TLSv1_2, TLS_PROTOCOL_TLSv1_3};
	struct signer signer;
	struct tls *server;
	size_t i, j;

	(void)state;
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	server = make_server(all_pkis, all_names);
	for (i = 0; i < NITEMS(kinds); i++)
		for (j = 0; j < NITEMS(protocols); j++) {
			keyclient_forget();
			assert_null(keyclient_last());
			assert_int_equal(try(server, kinds[i].pki, kinds[i].name, protocols[j]), 0);
			assert_string_equal(keyclient_last(), kinds[i].name);
		}
	/* A client that names nobody known gets the first. */
	keyclient_forget();
	assert_int_equal(try(server, &p256, "elsewhere.example.org", TLS_PROTOCOL_TLSv1_3), -1);
	assert_string_equal(keyclient_last(), "p256.example.org");
	tls_free(server);
	signer_stop(&signer);
}

/* A vault that fails in whatever way costs a handshake, and nothing more. */
static void
test_failures(void **state)
{
	static const struct {
		enum manner manner;
		bool keeps_channel; /* the next question is asked too */
	} rows[] = {{REFUSES, true}, {IS_SILENT, true}, {SIGNS_NOTHING, true}, {DIES, false},
	    {TALKS_RUBBISH, false}, {SAYS_SOMETHING_ELSE, false}};
	struct signer signer;
	struct tls *server;
	size_t i;
	int64_t start;

	(void)state;
	server = make_server(all_pkis, all_names);
	for (i = 0; i < NITEMS(rows); i++) {
		signer_start(&signer, all_pkis, all_names, rows[i].manner, 200);
		assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
		start = time_mono_ms();
		assert_int_equal(try(server, &rsa2048, all_names[3], TLS_PROTOCOL_TLSv1_2), -1);
		/* Who was waited for in vain is not waited for again at once. */
		if (rows[i].manner == IS_SILENT)
			assert_true(time_mono_ms() - start < 150);
		assert_null(keyclient_last());
		signer_stop(&signer);
	}
	/* Without any channel; then with one that works. */
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), 0);
	tls_free(server);
	signer_stop(&signer);
}

/* What comes after its deadline is not taken for the answer to the next question. */
static void
test_late_answer(void **state)
{
	struct signer signer;
	struct tls *server;

	(void)state;
	server = make_server(all_pkis, all_names);
	signer_start(&signer, all_pkis, all_names, ANSWERS_LATE, 200);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
	(void)poll(NULL, 0, KEYCLIENT_REST_MS + 50);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), 0);
	tls_free(server);
	signer_stop(&signer);
}

/* A certificate that was renewed here, and not yet there: its key does not sign for the old one. */
static void
test_another_key(void **state)
{
	struct pki renewed;
	const struct pki *const others[] = {&renewed, NULL};
	const char *const names[] = {"p256.example.org", NULL};
	struct signer signer;
	struct tls *server;

	(void)state;
	pki_make_simple(&renewed, "P-256", names[0]);
	server = make_server(all_pkis, names);
	signer_start(&signer, others, names, SIGNS, 3000);
	assert_int_equal(try(server, &p256, names[0], TLS_PROTOCOL_TLSv1_3), -1);
	assert_null(keyclient_last());
	tls_free(server);
	signer_stop(&signer);
	pki_free(&renewed);
}

static EVP_PKEY *
load_standin(const struct pki *pki, const char *name)
{
	EVP_PKEY *key;
	struct buf pem;
	BIO *bio;

	buf_init(&pem, 16384);
	assert_int_equal(keyclient_key(name, buf_head(&pki->cert_pem), pki->cert_pem.len, &pem), 0);
	bio = BIO_new_mem_buf(buf_head(&pem), (int)pem.len);
	assert_non_null(key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
	BIO_free(bio);
	buf_free(&pem);
	return key;
}

/* PKCS #1 is what the oldest clients of TLS 1.2 ask for; libtls can't be made to. */
static void
test_pkcs1(void **state)
{
	uint8_t text[64 + 4 + 32] = {[64] = 3, [66] = 29, [67] = 32}, sig[512];
	EVP_PKEY *key = load_standin(&rsa2048, "rsa.example.org");
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx;
	struct signer signer;
	size_t len = sizeof(sig);

	(void)state;
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, text, sizeof(text)), 1);
	EVP_MD_CTX_reset(ctx);
	assert_int_equal(
	    EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, rsa2048.key, NULL), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, len, text, sizeof(text)), 1);

	/* What is no text of TLS is not signed; nor with a salt or digest that TLS has not. */
	EVP_MD_CTX_reset(ctx);
	len = sizeof(sig);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_not_equal(EVP_DigestSign(ctx, sig, &len, text, sizeof(text) - 1), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST), 1);
	assert_int_not_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, 20), 1);
	EVP_MD_CTX_reset(ctx);
	assert_int_not_equal(
	    EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA1", NULL, NULL, key, NULL), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	signer_stop(&signer);
}

/* There is no private half to be had, and other keys are as they were. */
static void
test_no_private_half(void **state)
{
	EVP_PKEY *ec = load_standin(&p256, "p256.example.org"), *other;
	OSSL_PARAM *params = NULL;
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	assert_int_equal(EVP_PKEY_todata(ec, EVP_PKEY_PUBLIC_KEY, &params), 1);
	OSSL_PARAM_free(params);
	params = NULL;
	assert_int_not_equal(EVP_PKEY_todata(ec, EVP_PKEY_KEYPAIR, &params), 1);
	assert_int_not_equal(PEM_write_bio_PrivateKey(bio, ec, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(X509_check_private_key(p256.x509, ec), 1);
	assert_int_not_equal(X509_check_private_key(p384.x509, ec), 1);
	EVP_PKEY_free(ec);
	BIO_free(bio);

	bio = BIO_new_mem_buf(buf_head(&p256.key_pem), (int)p256.key_pem.len);
	assert_non_null(other = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
	assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(other)), "default");
	EVP_PKEY_free(other);
	BIO_free(bio);
	ERR_clear_error();
}

static void
test_bad_certificates(void **state)
{
	static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB\n";
	char name[IPC_NAME_MAX + 1];
	struct pki ed, odd;
	struct buf out;

	(void)state;
	memset(name, 'a', IPC_NAME_MAX);
	name[IPC_NAME_MAX] = '\0';
	buf_init(&out, 16384);
	pki_make_simple(&ed, "ED25519", "ed.example.org");
	pki_make_simple(&odd, "secp256k1", "odd.example.org");
	assert_int_equal(keyclient_key("x", (const uint8_t *)"", 0, &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(keyclient_key("x", (const uint8_t *)cut, strlen(cut), &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(keyclient_key("x", buf_head(&ed.cert_pem), ed.cert_pem.len, &out), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(keyclient_key("x", buf_head(&odd.cert_pem), odd.cert_pem.len, &out), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(
	    keyclient_key(name, buf_head(&p256.cert_pem), p256.cert_pem.len, &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(out.len, 0);
	pki_free(&ed);
	pki_free(&odd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_late_answer),
	    cmocka_unit_test(test_another_key),
	    cmocka_unit_test(test_pkcs1),
	    cmocka_unit_test(test_no_private_half),
	    cmocka_unit_test(test_bad_certificates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
