/* SPDX-License-Identifier: ISC */
/*
 * Makes assertions.
 *
 * Invariant: only the two objects that are built here are signed by a service
 * account's key, and that key signs nothing else.
 */
#include "vault/jwt.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"
#include "vault/json_doc.h"
#include "vault/oauth_form.h"

#define RSA_BITS_MIN  2048
#define SIGNATURE_MAX 1024 /* of a key of 8192 bits */
#define SKEW_S	      10   /* our clock may be before theirs */

/* -- the key -- */

/* A key that wants a password is none: nobody is there to type it. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

struct evp_pkey_st *
jwt_key_read(struct span pem)
{
	EVP_PKEY *key = NULL;
	BIO *bio;

	if (pem.len == 0 || pem.len > INT_MAX ||
	    (bio = BIO_new_mem_buf(pem.data, (int)pem.len)) == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_bits(key) >= RSA_BITS_MIN && EVP_PKEY_size(key) <= SIGNATURE_MAX)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

void
jwt_key_free(struct evp_pkey_st *key)
{
	EVP_PKEY_free(key);
}

/* -- what is signed -- */

/* The octets that hexadecimal digits stand for.  False: they are not such, or not so many. */
static bool
from_hex(const char *text, uint8_t *dst, size_t want)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	if (strlen(text) != 2 * want)
		return false;
	for (i = 0; i < 2 * want; i++) {
		const char *digit = strchr(digits, char_lower((unsigned char)text[i]));

		if (digit == NULL)
			return false;
		dst[i / 2] = (uint8_t)(dst[i / 2] << 4 | (digit - digits));
	}
	return true;
}

/* RFC 7515 4.1.7, 4.1.8: Microsoft knows a key by its certificate alone. */
static int
add_thumbprint(struct json_t *header, const char *key_id)
{
	uint8_t sha1[20] = {0}, sha256[32] = {0};
	char text[BASE64_SIZE(sizeof(sha256))];

	if (key_id != NULL && from_hex(key_id, sha1, sizeof(sha1))) {
		(void)base64url_encode(sha1, sizeof(sha1), text);
		return json_doc_add_text(header, "x5t", text);
	}
	if (key_id != NULL && from_hex(key_id, sha256, sizeof(sha256))) {
		(void)base64url_encode(sha256, sizeof(sha256), text);
		return json_doc_add_text(header, "x5t#S256", text);
	}
	return 0;
}

static struct json_t *
make_header(const struct jwt_claims *c)
{
	struct json_t *j = json_doc_create();

	if (j != NULL && json_doc_add_text(j, "alg", "RS256") == 0 &&
	    json_doc_add_text(j, "typ", "JWT") == 0 &&
	    json_doc_add_text(j, "kid", c->key_id) == 0 && add_thumbprint(j, c->key_id) == 0)
		return j;
	json_doc_free(j);
	return NULL;
}

/* An id that nobody used before (RFC 7519 4.1.7). */
static int
add_id(struct json_t *j)
{
	uint8_t octets[18];
	char text[BASE64_SIZE(sizeof(octets))];

	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return -1;
	(void)base64url_encode(octets, sizeof(octets), text);
	return json_doc_add_text(j, "jti", text);
}

static struct json_t *
make_claims(const struct jwt_claims *c)
{
	struct json_t *j = json_doc_create();

	if (j != NULL && json_doc_add_text(j, "iss", c->issuer) == 0 &&
	    json_doc_add_text(j, "sub", c->subject) == 0 &&
	    json_doc_add_text(j, "aud", c->audience) == 0 &&
	    json_doc_add_text(j, "scope", c->scope) == 0 &&
	    json_doc_add_number(j, "iat", c->now_s - SKEW_S) == 0 &&
	    json_doc_add_number(j, "exp", c->now_s + JWT_LIFE_S) == 0 && add_id(j) == 0)
		return j;
	json_doc_free(j);
	return NULL;
}

/* -- the token -- */

static int
append_base64url(const void *data, size_t len, struct buf *out)
{
	uint8_t *room = buf_reserve(out, BASE64_SIZE(len));

	if (room == NULL)
		return -1;
	buf_commit(out, base64url_encode(data, len, (char *)room));
	return 0;
}

/* Takes j. */
static int
append_object(struct json_t *j, struct buf *out)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, JWT_MAX);
	if (j != NULL && json_doc_write(j, &text) == 0)
		rc = append_base64url(buf_head(&text), text.len, out);
	buf_free(&text);
	json_doc_free(j);
	return rc;
}

static int
append_signature(EVP_PKEY *key, size_t from, struct buf *out)
{
	uint8_t signature[SIGNATURE_MAX];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sizeof(signature);
	int rc = -1;

	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, signature, &len, buf_head(out) + from, out->len - from) == 1 &&
	    buf_append(out, ".", 1) == 0)
		rc = append_base64url(signature, len, out);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

int
jwt_make(struct evp_pkey_st *key, const struct jwt_claims *claims, struct buf *out)
{
	size_t from = out->len;

	if (append_object(make_header(claims), out) == 0 && buf_append(out, ".", 1) == 0 &&
	    append_object(make_claims(claims), out) == 0)
		return append_signature(key, from, out);
	errno = ENOMEM;
	return -1;
}
