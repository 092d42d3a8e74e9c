/* SPDX-License-Identifier: ISC */
/*
 * Keys that are elsewhere, for LibreSSL's own libtls: its tls_config_set_sign_cb()
 * asks us for signatures.  Never built or run by us: written to the declarations
 * in LibreSSL's libtls, where the function has no manual page.
 *
 * What is weaker here than with OpenSSL: libtls shows the digest of a text, not
 * the text, so the vault (vault/template.c, built against LibreSSL) signs any digest of the right
 * length with an ECDSA key.  RSA keys, for which it would have to sign any octets
 * whatever, are refused.
 */
#include "lib/key/keyclient_private.h"

#include <openssl/opensslv.h>

#ifdef LIBRESSL_VERSION_NUMBER

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/key/keyclient.h"
#define PADDING_NONE 0 /* TLS_PADDING_NONE, which is not declared to us */
#define HASH_SIZE    (sizeof("SHA256:") + 64)

/* As LibreSSL has them. */
typedef int (*sign_callback)(void *arg, const char *pubkey_hash, const uint8_t *input,
    size_t input_len, int padding, uint8_t **sig, size_t *sig_len);
int tls_config_set_sign_cb(struct tls_config *config, sign_callback callback, void *arg);

/* Never freed: as many as there were keys. */
struct known {
	struct known *next;
	char hash[HASH_SIZE]; /* what libtls calls the key */
	char name[KEY_ID_SIZE], id[KEY_ID_SIZE];
};

static struct known *all;

static struct known *
find(const char *hash)
{
	struct known *k;

	for (k = all; k != NULL; k = k->next)
		if (strcmp(k->hash, hash) == 0)
			return k;
	return NULL;
}

static int
make_signature(void *arg, const char *hash, const uint8_t *input, size_t len, int padding,
    uint8_t **sig, size_t *sig_len)
{
	struct keyclient_question q = {.scheme = IPC_SIGN_ECDSA, .text = {input, len}};
	const struct known *k = find(hash);

	(void)arg;
	*sig = NULL;
	if (k == NULL || padding != PADDING_NONE || (len != 32 && len != 48 && len != 64))
		return -1;
	q.name = k->name;
	q.id = k->id;
	q.digest = len == 32 ? IPC_SHA256 : len == 48 ? IPC_SHA384 : IPC_SHA512;
	if ((*sig = calloc(1, IPC_SIGN_MAX)) == NULL)
		return -1;
	if (keyclient_ask(&q, *sig, IPC_SIGN_MAX, sig_len) == 0)
		return 0;
	free(*sig);
	*sig = NULL;
	return -1;
}

int
keyclient_configure(struct tls_config *config)
{
	return tls_config_set_sign_cb(config, make_signature, NULL);
}

int
keyclient_init(void)
{
	return tls_init() == -1 ? -1 : keyclient_warm_up();
}

static int
make_hash(char hash[HASH_SIZE], X509 *x)
{
	uint8_t octets[EVP_MAX_MD_SIZE];
	unsigned int len, i;
	size_t at;

	if (X509_pubkey_digest(x, EVP_sha256(), octets, &len) != 1)
		return -1;
	at = (size_t)snprintf(hash, HASH_SIZE, "SHA256:");
	for (i = 0; i < len; i++, at += 2)
		(void)snprintf(hash + at, HASH_SIZE - at, "%02x", octets[i]);
	return 0;
}

static int
know(const char *name, X509 *x)
{
	struct known k = {0}, *old;
	uint8_t *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki), rc;

	if (len <= 0 || make_hash(k.hash, x) == -1) {
		errno = EINVAL;
		return -1;
	}
	rc = key_id(k.id, name, spki, (size_t)len);
	OPENSSL_free(spki);
	if (rc == -1) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(k.name, sizeof(k.name), "%s", name);
	if ((old = find(k.hash)) != NULL) {
		k.next = old->next;
		*old = k;
		return 0;
	}
	if ((old = malloc(sizeof(*old))) == NULL)
		return -1;
	*old = k;
	old->next = all;
	all = old;
	return 0;
}

int
keyclient_key(const char *name, const uint8_t *cert, size_t len, struct buf *out)
{
	BIO *bio = BIO_new_mem_buf(cert, (int)len);
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *key = x == NULL ? NULL : X509_get0_pubkey(x);
	int rc = -1;

	if (key == NULL)
		errno = EINVAL;
	else if (EVP_PKEY_base_id(key) != EVP_PKEY_EC)
		errno = ENOTSUP;
	else
		rc = know(name, x);
	X509_free(x);
	BIO_free(bio);
	/* libtls takes the certificate's public key, and looks at nothing here. */
	return rc == -1 ? -1 : buf_append_str(out, "elsewhere\n");
}

#endif
