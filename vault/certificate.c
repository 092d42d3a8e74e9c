/* SPDX-License-Identifier: ISC */
/*
 * A certificate, the key and the OCSP response that belong to it: read, and
 * compared with each other.
 *
 * Invariants: c->key is one that this TLS can use and that belongs to c->leaf;
 * no text holds anything of it.  The files are an admin's, and may hold anything:
 * nothing here is fatal.
 */
#include "vault/certificate.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "vault/certificate_private.h"

#define CHAIN_MAX    32 /* certificates of a file that are looked at */
#define TIMED_MAX    5	/* problems that come with time */
#define RSA_BITS_MIN 2048

void
certificate_problem(struct certificate *c, bool is_error, const char *fmt, ...)
{
	struct certificate_problem *p = &c->problems[c->nproblems];
	va_list ap;

	if (c->nproblems == CERTIFICATE_PROBLEMS_MAX - TIMED_MAX)
		return;
	c->nproblems++;
	p->is_error = is_error;
	va_start(ap, fmt);
	(void)vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

/* By the library's own arithmetic: the C library's would look for a time zone. */
int64_t
certificate_time(const ASN1_TIME *t)
{
	ASN1_TIME *epoch = ASN1_TIME_new();
	int days, seconds;
	int64_t result = 0;

	if (epoch != NULL && ASN1_TIME_set_string(epoch, "19700101000000Z") == 1 &&
	    ASN1_TIME_diff(&days, &seconds, epoch, t) == 1)
		result = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return result;
}

/* -- the certificate, and those that come after it -- */

static const struct certificate_key keys[] = {
    {NID_rsaEncryption, NID_undef, TEMPLATE_RSA, "RSA"},
    {NID_X9_62_id_ecPublicKey, NID_X9_62_prime256v1, TEMPLATE_P256, "ECDSA P-256"},
    {NID_X9_62_id_ecPublicKey, NID_secp384r1, TEMPLATE_P384, "ECDSA P-384"},
    {NID_X9_62_id_ecPublicKey, NID_secp521r1, TEMPLATE_P521, "ECDSA P-521"},
};

/* SubjectPublicKeyInfo's algorithm, and the curve when it is named there (RFC 5480 2.1.1). */
static int
public_algorithm(X509 *x, int *curve)
{
	const ASN1_OBJECT *algorithm;
	const void *value;
	X509_ALGOR *a;
	int type;

	if (X509_PUBKEY_get0_param(NULL, NULL, NULL, &a, X509_get_X509_PUBKEY(x)) != 1)
		return NID_undef;
	X509_ALGOR_get0(&algorithm, &type, &value, a);
	*curve = type == V_ASN1_OBJECT ? OBJ_obj2nid(value) : NID_undef;
	return OBJ_obj2nid(algorithm);
}

const struct certificate_key *
certificate_public_key(X509 *x)
{
	int curve = NID_undef, algorithm = public_algorithm(x, &curve);
	size_t i;

	if (X509_get0_pubkey(x) == NULL)
		return NULL;
	for (i = 0; i < NITEMS(keys); i++)
		if (keys[i].algorithm == algorithm && keys[i].curve == curve)
			return &keys[i];
	return NULL;
}

const char *
certificate_algorithm(X509 *x)
{
	int curve;

	return OBJ_nid2sn(public_algorithm(x, &curve));
}

static void
check_public_key(struct certificate *c)
{
	const struct certificate_key *type = certificate_public_key(c->leaf);
	const EVP_PKEY *key = X509_get0_pubkey(c->leaf);

	if (type == NULL) {
		certificate_problem(c, true,
		    "has a key of type %s, which is not supported: take ECDSA P-256 or RSA",
		    c->key_type);
		return;
	}
	c->kind = type->kind;
	if (type->kind == TEMPLATE_P521)
		certificate_problem(
		    c, false, "has a key on P-521, which many clients can't use: take P-256");
	if (type->kind != TEMPLATE_RSA)
		c->is_usable = true;
	else if (EVP_PKEY_bits(key) < RSA_BITS_MIN)
		certificate_problem(
		    c, true, "its RSA key is too weak: less than %d bits", RSA_BITS_MIN);
	else if (EVP_PKEY_size(key) > IPC_SIGN_MAX)
		certificate_problem(
		    c, true, "its RSA key is too long: more than %d bits", 8 * IPC_SIGN_MAX);
	else
		c->is_usable = true;
}

static void
check_leaf(struct certificate *c)
{
	bool is_self_signed = X509_check_issued(c->leaf, c->leaf) == X509_V_OK;
	int digest = NID_undef;

	check_public_key(c);
	if (is_self_signed)
		certificate_problem(c, false, "self-signed: clients that verify will refuse it");
	else if (X509_check_ca(c->leaf) == 1)
		certificate_problem(c, false, "is that of an authority, not of a server");
	if (X509_check_purpose(c->leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
		certificate_problem(c, false, "is not meant for TLS servers, by its key usage");
	/* The library doesn't look at one that vouches for itself. */
	if (!is_self_signed && X509_get_signature_info(c->leaf, &digest, NULL, NULL, NULL) == 1 &&
	    (digest == NID_sha1 || digest == NID_md5))
		certificate_problem(c, true, "is signed by way of SHA-1 or MD5: too weak");
}

/* RFC 8446 4.4.2, RFC 5246 7.4.2: each certificate certifies the one before it. */
static void
check_chain(struct certificate *c, BIO *bio)
{
	X509 *before = c->leaf, *x;
	bool ordered = true;
	int64_t end;
	int n;

	X509_up_ref(before);
	for (n = 2; n <= CHAIN_MAX; n++) {
		if ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL)
			break;
		if (ordered && X509_check_issued(x, before) != X509_V_OK) {
			ordered = false;
			certificate_problem(c, false,
			    "the chain is out of order: certificate %d is not the issuer of the "
			    "one "
			    "before it",
			    n);
		}
		end = certificate_time(X509_get0_notAfter(x));
		if (end < c->chain_not_after_s)
			c->chain_not_after_s = end;
		X509_free(before);
		before = x;
	}
	X509_free(before);
}

static void
read_certificates(struct certificate *c, struct span pem)
{
	BIO *bio;

	if (pem.len == 0 || pem.len > INT_MAX) {
		certificate_problem(c, true, "the certificate's file can't be read, or is empty");
		return;
	}
	if ((bio = BIO_new_mem_buf(pem.data, (int)pem.len)) == NULL)
		return;
	if ((c->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL)
		certificate_problem(c, true, "there is no certificate in PEM in its file");
	else {
		certificate_tell(c);
		check_leaf(c);
		check_chain(c, bio);
	}
	BIO_free(bio);
}

/* -- the key -- */

struct asked {
	bool password;
};

/* There is nobody to ask for a password. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	struct asked *asked = arg;

	(void)buf;
	(void)size;
	(void)writing;
	asked->password = true;
	return -1;
}

static void
check_key(struct certificate *c, EVP_PKEY **key)
{
	if (c->leaf == NULL)
		return;
	if (X509_check_private_key(c->leaf, *key) != 1)
		certificate_problem(c, true, "the key does not match the certificate");
	else if (c->is_usable) {
		c->key = *key;
		*key = NULL;
	}
}

static void
read_key(struct certificate *c, struct span pem)
{
	struct asked asked = {false};
	EVP_PKEY *key;
	BIO *bio;

	if (pem.len == 0 || pem.len > INT_MAX) {
		certificate_problem(c, true, "the key's file can't be read, or is empty");
		return;
	}
	if ((bio = BIO_new_mem_buf(pem.data, (int)pem.len)) == NULL)
		return;
	if ((key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked)) != NULL)
		check_key(c, &key);
	else if (asked.password)
		certificate_problem(c, true, "the key is protected by a password");
	else
		certificate_problem(c, true, "there is no private key in PEM in its file");
	EVP_PKEY_free(key);
	BIO_free(bio);
}

/* -- the whole -- */

void
certificate_open(struct certificate *c, const struct certificate_files *f)
{
	memset(c, 0, sizeof(*c));
	c->chain_not_after_s = c->ocsp_not_after_s = INT64_MAX;
	read_certificates(c, f->cert);
	read_key(c, f->key);
	if (c->leaf != NULL && f->ocsp.len > 0)
		certificate_check_ocsp(c, f->ocsp);
	ERR_clear_error();
}

void
certificate_close(struct certificate *c)
{
	X509_free(c->leaf);
	EVP_PKEY_free(c->key); /* wipes the private half */
	memset(c, 0, sizeof(*c));
}

size_t
certificate_problems(const struct certificate *c, int64_t now_s,
    struct certificate_problem out[CERTIFICATE_PROBLEMS_MAX])
{
	const struct {
		bool is_there, is_error;
		const char *text;
	} timed[TIMED_MAX] = {
	    {c->not_after_s < now_s, true, "has expired"},
	    {c->not_after_s >= now_s && c->not_after_s - now_s < CERTIFICATE_SOON_S, false,
		"expires within 14 days"},
	    {c->not_before_s > now_s, true, "is not yet valid"},
	    {c->chain_not_after_s < now_s, false, "another certificate in its file has expired"},
	    {c->ocsp_not_after_s < now_s, false, "the OCSP response is out of date"},
	};
	size_t n = c->nproblems, i;

	memcpy(out, c->problems, n * sizeof(*out));
	for (i = 0; c->leaf != NULL && i < TIMED_MAX; i++) {
		if (!timed[i].is_there)
			continue;
		out[n].is_error = timed[i].is_error;
		str_cut(out[n++].text, sizeof(out->text), timed[i].text);
	}
	return n;
}

/* RFC 5929 4.1 */
int
certificate_binding(const struct certificate *c, uint8_t hash[CERTIFICATE_BINDING_MAX], size_t *len)
{
	const EVP_MD *md;
	unsigned int n = 0;
	int digest;

	errno = ENOTSUP;
	if (c->leaf == NULL || X509_get_signature_info(c->leaf, &digest, NULL, NULL, NULL) != 1)
		return -1;
	md = digest == NID_sha1 || digest == NID_md5 ? EVP_sha256() : EVP_get_digestbynid(digest);
	if (md == NULL || X509_digest(c->leaf, md, hash, &n) != 1)
		return -1;
	*len = n;
	return 0;
}
