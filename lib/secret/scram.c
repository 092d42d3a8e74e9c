/* SPDX-License-Identifier: ISC */
/*
 * The arithmetic of SCRAM-SHA-256 (RFC 5802 3).
 *
 * Invariants: secrets are compared in constant time, and every intermediate
 * that a password or a client's key could be had from is wiped.  A library that
 * fails (no memory) never makes a proof good.
 */
#include "lib/secret/scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"

#define PREFIX "SCRAM-SHA-256$"

_Static_assert(SCRAM_KEY_SIZE == SHA256_DIGEST_LENGTH, "keys are hashes");

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
hash(const uint8_t key[SCRAM_KEY_SIZE], uint8_t out[SCRAM_KEY_SIZE])
{
	if (SHA256(key, SCRAM_KEY_SIZE, out) != NULL)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* -- keys -- */

static bool
is_within_bounds(size_t salt_len, uint64_t iterations)
{
	return salt_len >= SCRAM_SALT_MIN && salt_len <= SCRAM_SALT_MAX &&
	       iterations >= SCRAM_ITERATIONS_MIN && iterations <= SCRAM_ITERATIONS_MAX;
}

int
scram_derive(const void *password, size_t len, struct scram_keys *k)
{
	uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE];
	int rc = -1;

	if (!is_within_bounds(k->salt_len, k->iterations) || len > INT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (PKCS5_PBKDF2_HMAC(password, (int)len, k->salt, (int)k->salt_len, (int)k->iterations,
		EVP_sha256(), sizeof(salted), salted) != 1)
		errno = ENOMEM;
	else if (hmac(salted, "Client Key", 10, client) == 0 && hash(client, k->stored_key) == 0 &&
		 hmac(salted, "Server Key", 10, k->server_key) == 0)
		rc = 0;
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return rc;
}

int
scram_keys_check(const struct scram_keys *k, const void *password, size_t len)
{
	struct scram_keys own = *k;
	int rc = -1;

	if (scram_derive(password, len, &own) == 0)
		/* To HMAC a key is as good with NULs at its end as without. */
		rc = memchr(password, '\0', len) == NULL &&
		     CRYPTO_memcmp(own.stored_key, k->stored_key, SCRAM_KEY_SIZE) == 0;
	explicit_bzero(&own, sizeof(own));
	return rc;
}

/* The text up to a separator, which is passed over; the separator '\0' is the end.  NULL: none. */
static const char *
take(const char **at, const char *end, char separator, size_t *len)
{
	const char *start = *at, *stop = end;

	if (separator != '\0' && (stop = memchr(start, separator, (size_t)(end - start))) == NULL)
		return NULL;
	*at = separator == '\0' ? end : stop + 1;
	*len = (size_t)(stop - start);
	return start;
}

static int
take_number(const char **at, const char *end, char separator, uint32_t *out)
{
	char text[16];
	const char *word;
	uint64_t n;
	size_t len;

	if ((word = take(at, end, separator, &len)) == NULL || len >= sizeof(text))
		return -1;
	memcpy(text, word, len);
	text[len] = '\0';
	if (str_u64(text, 1, UINT32_MAX, &n) == -1)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
take_octets(const char **at, const char *end, char separator, struct buf *out)
{
	const char *word;
	size_t len;

	if ((word = take(at, end, separator, &len)) == NULL)
		return -1;
	return base64_decode(word, len, out->data, out->max, &out->len);
}

static int
take_key(const char **at, const char *end, char separator, uint8_t key[SCRAM_KEY_SIZE])
{
	struct buf octets = {.data = key, .max = SCRAM_KEY_SIZE};

	if (take_octets(at, end, separator, &octets) == -1 || octets.len != SCRAM_KEY_SIZE)
		return -1;
	return 0;
}

int
scram_keys_parse(const char *text, size_t len, struct scram_keys *out)
{
	const char *at = text, *end = text + len;
	struct buf salt = {.data = out->salt, .max = SCRAM_SALT_MAX};

	memset(out, 0, sizeof(*out));
	if (len < strlen(PREFIX) || memcmp(text, PREFIX, strlen(PREFIX)) != 0)
		goto invalid;
	at += strlen(PREFIX);
	if (take_number(&at, end, ':', &out->iterations) == -1 ||
	    take_octets(&at, end, '$', &salt) == -1 ||
	    take_key(&at, end, ':', out->stored_key) == -1 ||
	    take_key(&at, end, '\0', out->server_key) == -1 ||
	    !is_within_bounds(salt.len, out->iterations))
		goto invalid;
	out->salt_len = salt.len;
	return 0;
invalid:
	explicit_bzero(out, sizeof(*out));
	errno = EINVAL;
	return -1;
}

void
scram_keys_format(const struct scram_keys *k, char dst[SCRAM_TEXT_SIZE])
{
	char salt[BASE64_SIZE(SCRAM_SALT_MAX)], stored[BASE64_SIZE(SCRAM_KEY_SIZE)],
	    server[BASE64_SIZE(SCRAM_KEY_SIZE)];

	_Static_assert(
	    sizeof(PREFIX) + 10 + sizeof(salt) + sizeof(stored) + sizeof(server) <= SCRAM_TEXT_SIZE,
	    "the text of keys fits");
	(void)base64_encode(k->salt, k->salt_len, salt);
	(void)base64_encode(k->stored_key, SCRAM_KEY_SIZE, stored);
	(void)base64_encode(k->server_key, SCRAM_KEY_SIZE, server);
	(void)snprintf(
	    dst, SCRAM_TEXT_SIZE, PREFIX "%u:%s$%s:%s", k->iterations, salt, stored, server);
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
}

/* Octets that depend on the secret, the login and what they are for; zeros when memory is out. */
static void
fake(const uint8_t secret[SCRAM_KEY_SIZE], const char *login, char what, uint8_t *dst)
{
	char text[SCRAM_NAME_MAX + 2];
	int n = snprintf(text, sizeof(text), "%c%s", what, login);

	if (hmac(secret, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1, dst) == -1)
		memset(dst, 0, SCRAM_KEY_SIZE);
}

void
scram_keys_fake(const uint8_t secret[SCRAM_KEY_SIZE], const char *login, uint32_t iterations,
    size_t salt_len, struct scram_keys *out)
{
	_Static_assert(SCRAM_SALT_MAX == 2 * SCRAM_KEY_SIZE, "two hashes make the longest salt");
	bug_on(salt_len > SCRAM_SALT_MAX);
	fake(secret, login, '1', out->salt);
	fake(secret, login, '2', out->salt + SCRAM_KEY_SIZE);
	fake(secret, login, '3', out->stored_key);
	fake(secret, login, '4', out->server_key);
	out->salt_len = salt_len;
	out->iterations = iterations;
}

/* -- what an exchange proves -- */

static bool
is_same(struct span a, const void *data, size_t len)
{
	return a.len == len && (len == 0 || memcmp(a.data, data, len) == 0);
}

bool
scram_final_fits(const struct scram_exchange *x)
{
	const struct span header = x->first->header;
	const uint8_t *binding = x->final->binding;
	const char *nonce = x->server_first + 2; /* behind "r=" */

	if (!is_same(x->final->nonce, nonce, strcspn(nonce, ",")))
		return false;
	return x->final->binding_len == header.len + x->binding.len &&
	       is_same(header, binding, header.len) &&
	       is_same(x->binding, binding + header.len, x->binding.len);
}

#define AUTH_MESSAGE_MAX (2 * SCRAM_MESSAGE_MAX + SCRAM_SERVER_FIRST_SIZE + 2)

/* AuthMessage: the three messages before the proof, with commas between them. */
static size_t
auth_message(const struct scram_exchange *x, uint8_t dst[AUTH_MESSAGE_MAX])
{
	const struct span parts[] = {x->first->bare,
	    {(const uint8_t *)x->server_first, strlen(x->server_first)}, x->final->without_proof};
	size_t i, len = 0;

	for (i = 0; i < NITEMS(parts); i++) {
		if (i > 0)
			dst[len++] = ',';
		bug_on(parts[i].len > AUTH_MESSAGE_MAX - len);
		memcpy(dst + len, parts[i].data, parts[i].len);
		len += parts[i].len;
	}
	return len;
}

bool
scram_verify(
    const struct scram_exchange *x, const struct scram_keys *k, char dst[SCRAM_SERVER_FINAL_SIZE])
{
	uint8_t said[AUTH_MESSAGE_MAX], client[SCRAM_KEY_SIZE], own[SCRAM_KEY_SIZE],
	    server[SCRAM_KEY_SIZE];
	size_t len = auth_message(x, said), i;
	bool ok = false;

	dst[0] = '\0';
	/* ClientKey := ClientProof XOR ClientSignature; StoredKey is its hash. */
	if (hmac(k->stored_key, said, len, client) == -1)
		goto out;
	for (i = 0; i < SCRAM_KEY_SIZE; i++)
		client[i] ^= x->final->proof[i];
	if (hash(client, own) == -1 || hmac(k->server_key, said, len, server) == -1)
		goto out;
	ok = CRYPTO_memcmp(own, k->stored_key, SCRAM_KEY_SIZE) == 0;
	if (ok) {
		_Static_assert(BASE64_SIZE(SCRAM_KEY_SIZE) + 2 <= SCRAM_SERVER_FINAL_SIZE, "fits");
		memcpy(dst, "v=", 2);
		(void)base64_encode(server, sizeof(server), dst + 2);
	}
out:
	explicit_bzero(client, sizeof(client));
	explicit_bzero(own, sizeof(own));
	explicit_bzero(server, sizeof(server));
	return ok;
}
