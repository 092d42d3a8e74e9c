/* SPDX-License-Identifier: ISC */
/*
 * Stand-ins for private keys: made of certificates, and read again when
 * OpenSSL loads what it takes for a key.
 *
 * Invariant: all that is in one is public.  Nothing here is fatal.
 */
#include "lib/key/keyclient_standin.h"

#include <openssl/opensslv.h>

#ifndef LIBRESSL_VERSION_NUMBER

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/key/keyclient.h"

void
standin_free(struct standin *s)
{
	if (s == NULL)
		return;
	EVP_PKEY_free(s->public);
	free(s);
}

static const char *const groups[] = {"prime256v1", "secp384r1", "secp521r1"};

static bool
is_supported(const EVP_PKEY *key, char *group, size_t size)
{
	size_t i;

	if (EVP_PKEY_is_a(key, "RSA"))
		return true;
	if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, size, NULL) != 1)
		return false;
	for (i = 0; i < NITEMS(groups); i++)
		if (strcmp(group, groups[i]) == 0)
			return true;
	return false;
}

struct standin *
standin_parse(const uint8_t *data, size_t len)
{
	size_t name_len = len == 0 ? 0 : data[0];
	const uint8_t *spki = data + 1 + name_len;
	struct standin *s;

	if (len < 1 + name_len || (s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	memcpy(s->name, data + 1, name_len);
	len -= 1 + name_len;
	if (key_id(s->id, s->name, spki, len) == -1 ||
	    (s->public = d2i_PUBKEY(NULL, &spki, (long)len)) == NULL ||
	    !is_supported(s->public, s->group, sizeof(s->group))) {
		standin_free(s);
		return NULL;
	}
	s->is_rsa = s->group[0] == '\0';
	s->bits = EVP_PKEY_get_bits(s->public);
	s->security_bits = EVP_PKEY_get_security_bits(s->public);
	s->size = EVP_PKEY_get_size(s->public);
	return s;
}

static int
standin_write(const char *name, const uint8_t *spki, size_t len, struct buf *out)
{
	uint8_t data[1 + KEY_ID_SIZE + KEYCLIENT_STANDIN_MAX];
	size_t name_len = strlen(name);
	BIO *bio;
	char *text;
	long n;
	int rc = -1;

	if (len > KEYCLIENT_STANDIN_MAX) {
		errno = ENOTSUP;
		return -1;
	}
	data[0] = (uint8_t)name_len;
	memcpy(data + 1, name, name_len);
	memcpy(data + 1 + name_len, spki, len);
	errno = ENOMEM;
	if ((bio = BIO_new(BIO_s_mem())) == NULL)
		return -1;
	if (PEM_write_bio(bio, STANDIN_LABEL, "", data, (long)(1 + name_len + len)) > 0 &&
	    (n = BIO_get_mem_data(bio, &text)) > 0)
		rc = buf_append(out, text, (size_t)n);
	BIO_free(bio);
	return rc;
}

static X509 *
read_certificate(const uint8_t *cert, size_t len)
{
	X509 *x = NULL;
	BIO *bio;

	if (len > INT32_MAX || (bio = BIO_new_mem_buf(cert, (int)len)) == NULL)
		return NULL;
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return x;
}

static int
standin_of(const char *name, X509 *x, struct buf *out)
{
	char id[KEY_ID_SIZE], group[32];
	EVP_PKEY *key = X509_get0_pubkey(x);
	uint8_t *spki = NULL;
	int len, rc;

	if (key == NULL || !is_supported(key, group, sizeof(group))) {
		errno = ENOTSUP;
		return -1;
	}
	if ((len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki)) <= 0) {
		errno = ENOMEM;
		return -1;
	}
	if ((rc = key_id(id, name, spki, (size_t)len)) == 0)
		rc = standin_write(name, spki, (size_t)len, out);
	else
		errno = EINVAL;
	OPENSSL_free(spki);
	return rc;
}

int
keyclient_key(const char *name, const uint8_t *cert, size_t len, struct buf *out)
{
	X509 *x = read_certificate(cert, len);
	int rc = -1;

	if (x == NULL)
		errno = EINVAL;
	else
		rc = standin_of(name, x, out);
	X509_free(x);
	ERR_clear_error();
	return rc;
}

#endif
