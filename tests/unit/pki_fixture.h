/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_PKI_FIXTURE_H
#define TESTS_UNIT_PKI_FIXTURE_H

/* Keys and certificates made on the spot, as PEM, for tests of what reads them. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

struct pki_spec {
	const char *key;   /* "P-256", "P-384", "P-521", "secp256k1", "RSA-2048", "ED25519" */
	const char *name;  /* common name; and the one of subjectAltName, unless names is given */
	const char *names; /* "DNS:a,IP:192.0.2.1"; "" for none */
	long from_s, to_s; /* from now */
	const struct pki *issuer; /* NULL: itself */
	const char *basic,
	    *usage;	  /* extensions basicConstraints and extendedKeyUsage; NULL: none */
	const EVP_MD *md; /* NULL: SHA-256 */
};

struct pki {
	EVP_PKEY *key;
	X509 *x509;
	struct buf cert_pem, key_pem;
};

static inline EVP_PKEY *
pki_make_key(const char *type)
{
	if (strncmp(type, "RSA-", 4) == 0)
		return EVP_RSA_gen((unsigned int)strtoul(type + 4, NULL, 10));
	if (strcmp(type, "ED25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(type);
}

static inline void
pki_add(X509 *x, const char *ext, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf(NULL, NULL, ext, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline void
pki_to_pem(struct pki *p)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	buf_init(&p->cert_pem, 1 << 20);
	buf_init(&p->key_pem, 1 << 16);
	assert_int_equal(PEM_write_bio_X509(bio, p->x509), 1);
	n = BIO_get_mem_data(bio, &text);
	assert_int_equal(buf_append(&p->cert_pem, text, (size_t)n), 0);
	assert_int_equal(BIO_reset(bio), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &text);
	assert_int_equal(buf_append(&p->key_pem, text, (size_t)n), 0);
	BIO_free(bio);
}

static inline void
pki_extend(X509 *x, const struct pki_spec *s)
{
	char names[300];

	(void)snprintf(names, sizeof(names), "DNS:%s", s->name);
	if (s->names == NULL || s->names[0] != '\0')
		pki_add(x, "subjectAltName", s->names == NULL ? names : s->names);
	if (s->basic != NULL)
		pki_add(x, "basicConstraints", s->basic);
	if (s->usage != NULL)
		pki_add(x, "extendedKeyUsage", s->usage);
}

static inline void
pki_make(struct pki *p, const struct pki_spec *s)
{
	static long serial = 1000;
	const struct pki *issuer = s->issuer == NULL ? p : s->issuer;
	bool is_ed;
	X509 *x = p->x509 = X509_new();

	assert_non_null(p->key = pki_make_key(s->key));
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), s->from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), s->to_s));
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
			     (const uint8_t *)s->name, -1, -1, 0),
	    1);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer->x509)), 1);
	assert_int_equal(X509_set_pubkey(x, p->key), 1);
	pki_extend(x, s);
	is_ed = EVP_PKEY_is_a(issuer->key, "ED25519");
	assert_true(X509_sign(x, issuer->key,
			is_ed		? NULL
			: s->md == NULL ? EVP_sha256()
					: s->md) > 0);
	pki_to_pem(p);
}

static inline void
pki_free(struct pki *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->x509);
	buf_free(&p->cert_pem);
	buf_free(&p->key_pem);
}

#define PKI_DAY 86400L

/* A certificate of its own issue, valid for 90 days. */
static inline void
pki_make_simple(struct pki *p, const char *key, const char *name)
{
	pki_make(
	    p, &(struct pki_spec){.key = key, .name = name, .from_s = -60, .to_s = 90 * PKI_DAY});
}

#endif
