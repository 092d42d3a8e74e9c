/* SPDX-License-Identifier: ISC */
/*
 * A client of SCRAM-SHA-256: its messages, and what they prove (RFC 5802 3, 5, 7).
 *
 * Invariants: nothing that a server says is believed before its length and form
 * were looked at; signatures are compared in constant time; every intermediate that
 * a password could be had from is wiped.
 */
#include "lib/secret/scram_client.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"

#define GS2_HEADER "n,,"  /* no channel binding, no other identity */
#define BINDING	   "biws" /* the same in base64 */

static int
hmac(const uint8_t key[SCRAM_KEY_SIZE], const void *text, size_t len, uint8_t out[SCRAM_KEY_SIZE])
{
	unsigned int n = 0;

	if (HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, text, len, out, &n) != NULL &&
	    n == SCRAM_KEY_SIZE)
		return 0;
	errno = ENOMEM;
	return -1;
}

static int
invalid(void)
{
	errno = EINVAL;
	return -1;
}

/* -- client-first-message -- */

int
scram_name_encode(const char *name, char *dst, size_t size)
{
	size_t n = 0, len;

	for (; *name != '\0'; name++) {
		const char *code = *name == ',' ? "=2C" : "=3D";
		bool plain = *name != ',' && *name != '=';

		len = plain ? 1 : 3;
		if ((unsigned char)*name < 0x20 || *name == 0x7f || size - n <= len)
			return invalid();
		memcpy(dst + n, plain ? name : code, len);
		n += len;
	}
	dst[n] = '\0';
	return n == 0 ? invalid() : 0;
}

int
scram_client_first(struct scram_client *c, const char *login, const char *nonce)
{
	char name[3 * SCRAM_NAME_MAX + 1];

	memset(c, 0, sizeof(*c));
	if (strlen(login) > SCRAM_NAME_MAX || scram_name_encode(login, name, sizeof(name)) == -1 ||
	    str_copy(c->nonce, sizeof(c->nonce), nonce) == -1)
		return invalid();
	if (str_format(c->first, sizeof(c->first), GS2_HEADER "n=%s,r=%s", name, c->nonce) == -1)
		return invalid();
	return 0;
}

/* -- server-first-message -- */

struct reader {
	const char *at; /* NULL: the message is over */
};

/* The value of the attribute that has to be next.  -1: another, or none. */
static int
take(struct reader *r, char name, const char **value, size_t *len)
{
	const char *comma;

	if (r->at == NULL || r->at[0] != name || r->at[1] != '=')
		return -1;
	*value = r->at + 2;
	*len = strcspn(*value, ",");
	comma = *value + *len;
	r->at = *comma == ',' ? comma + 1 : NULL;
	return *len == 0 ? -1 : 0;
}

/* Ours, and something behind it: or the server would have had no part in it. */
static int
take_nonce(struct scram_client *c, struct reader *r)
{
	size_t len, ours = strlen(c->nonce), i;
	const char *value;

	if (take(r, 'r', &value, &len) == -1 || len >= sizeof(c->both) || len <= ours ||
	    strncmp(value, c->nonce, ours) != 0)
		return -1;
	for (i = 0; i < len; i++)
		if (value[i] < 0x21 || value[i] > 0x7e)
			return -1;
	memcpy(c->both, value, len);
	c->both[len] = '\0';
	return 0;
}

static int
take_salt(struct scram_client *c, struct reader *r)
{
	const char *value;
	size_t len;

	if (take(r, 's', &value, &len) == -1)
		return -1;
	return base64_decode(value, len, c->salt, sizeof(c->salt), &c->salt_len);
}

static int
take_iterations(struct scram_client *c, struct reader *r)
{
	const char *value;
	char text[16];
	uint64_t n;
	size_t len;

	if (take(r, 'i', &value, &len) == -1 || len >= sizeof(text))
		return -1;
	memcpy(text, value, len);
	text[len] = '\0';
	if (str_u64(text, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX, &n) == -1)
		return -1;
	c->iterations = (uint32_t)n;
	return 0;
}

/* What follows the iterations are extensions, which may be passed over (RFC 5802 5.1). */
int
scram_client_read(struct scram_client *c, const void *message, size_t len)
{
	struct reader r = {.at = c->server_first};

	if (len == 0 || len > SCRAM_SERVER_MESSAGE_MAX || memchr(message, '\0', len) != NULL)
		return invalid();
	memcpy(c->server_first, message, len);
	c->server_first[len] = '\0';
	if (take_nonce(c, &r) == -1 || take_salt(c, &r) == -1 || take_iterations(c, &r) == -1)
		return invalid();
	return 0;
}

/* -- keys -- */

int
scram_client_derive(
    const void *password, size_t len, const struct scram_client *c, struct scram_client_keys *out)
{
	uint8_t salted[SCRAM_KEY_SIZE];
	int rc = -1;

	if (c->salt_len == 0 || c->salt_len > sizeof(c->salt) ||
	    c->iterations < SCRAM_ITERATIONS_MIN || c->iterations > SCRAM_ITERATIONS_MAX ||
	    len > INT32_MAX)
		return invalid();
	if (PKCS5_PBKDF2_HMAC(password, (int)len, c->salt, (int)c->salt_len, (int)c->iterations,
		EVP_sha256(), sizeof(salted), salted) != 1)
		errno = ENOMEM;
	else if (hmac(salted, "Client Key", 10, out->client_key) == 0 &&
		 hmac(salted, "Server Key", 10, out->server_key) == 0)
		rc = 0;
	explicit_bzero(salted, sizeof(salted));
	return rc;
}

/* -- client-final-message -- */

#define SAID_SIZE (SCRAM_CLIENT_FIRST_SIZE + SCRAM_SERVER_MESSAGE_MAX + SCRAM_CLIENT_FINAL_SIZE + 3)

/* ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage). */
static int
prove(struct scram_client *c, const struct scram_client_keys *k, const char *said,
    uint8_t proof[SCRAM_KEY_SIZE])
{
	uint8_t stored[SCRAM_KEY_SIZE];
	size_t i;
	int rc = -1;

	if (SHA256(k->client_key, SCRAM_KEY_SIZE, stored) == NULL)
		errno = ENOMEM;
	else if (hmac(stored, said, strlen(said), proof) == 0 &&
		 hmac(k->server_key, said, strlen(said), c->expected) == 0)
		rc = 0;
	for (i = 0; i < SCRAM_KEY_SIZE; i++)
		proof[i] ^= k->client_key[i];
	explicit_bzero(stored, sizeof(stored));
	return rc;
}

int
scram_client_final(
    struct scram_client *c, const struct scram_client_keys *k, char dst[SCRAM_CLIENT_FINAL_SIZE])
{
	char said[SAID_SIZE], text[BASE64_SIZE(SCRAM_KEY_SIZE)];
	uint8_t proof[SCRAM_KEY_SIZE] = {0};
	int rc = -1;

	_Static_assert(sizeof("c=" BINDING ",r=,p=") + SCRAM_NONCE_MAX + sizeof(text) <=
			   SCRAM_CLIENT_FINAL_SIZE,
	    "the message fits");
	if (str_format(dst, SCRAM_CLIENT_FINAL_SIZE, "c=" BINDING ",r=%s", c->both) == 0 &&
	    str_format(said, sizeof(said), "%s,%s,%s", c->first + strlen(GS2_HEADER),
		c->server_first, dst) == 0 &&
	    prove(c, k, said, proof) == 0) {
		(void)base64_encode(proof, sizeof(proof), text);
		if (str_append(dst, SCRAM_CLIENT_FINAL_SIZE, ",p=") == 0 &&
		    str_append(dst, SCRAM_CLIENT_FINAL_SIZE, text) == 0)
			rc = 0;
	}
	explicit_bzero(proof, sizeof(proof));
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* -- server-final-message -- */

int
scram_client_check(const struct scram_client *c, const void *message, size_t len)
{
	char text[SCRAM_SERVER_MESSAGE_MAX + 1];
	struct reader r = {.at = text};
	uint8_t signature[SCRAM_KEY_SIZE];
	const char *value;
	size_t n;

	if (len == 0 || len >= sizeof(text) || memchr(message, '\0', len) != NULL)
		return invalid();
	memcpy(text, message, len);
	text[len] = '\0';
	if (take(&r, 'e', &value, &n) == 0) {
		errno = EACCES;
		return -1;
	}
	if (take(&r, 'v', &value, &n) == -1 ||
	    base64_decode(value, n, signature, sizeof(signature), &n) == -1 ||
	    n != sizeof(signature) || CRYPTO_memcmp(signature, c->expected, sizeof(signature)) != 0)
		return invalid();
	return 0;
}
