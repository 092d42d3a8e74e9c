/* SPDX-License-Identifier: ISC */
/*
 * Makes what a table keeps for a secret.
 *
 * Invariants: each has a salt of its own from the kernel; what is made passes
 * stored_hash_fault(), or comes back from token_key(); nothing of the secret is
 * left behind.
 */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/str.h"
#include "lib/secret/stored.h"
#include "lib/secret/token.h"

#define BCRYPT_SECRET_MAX 72
#define SALT_SIZE	  16

struct method {
	const char *name;
	const char *prefix; /* of crypt(5); NULL: not by crypt(3) */
	unsigned long cost; /* 0: the library's */
	size_t secret_max;
	int (*make)(const struct method *m, const char *secret, size_t len, char *dst);
};

/* crypt(3) wants a string. */
static int
hash_string(const char *secret, const char *setting, char *dst)
{
	struct crypt_data *data;
	char *hash;
	int rc = -1;

	if ((data = calloc(1, sizeof(*data))) == NULL)
		return -1;
	hash = crypt_r(secret, setting, data);
	if (hash == NULL || hash[0] == '*')
		errno = EINVAL;
	else
		rc = str_copy(dst, STORED_NEW_SIZE, hash);
	explicit_bzero(data, sizeof(*data));
	free(data);
	if (rc == 0 && stored_hash_fault(dst) != NULL) {
		errno = ENOSYS;
		rc = -1;
	}
	return rc;
}

static int
make_hash(const struct method *m, const char *secret, size_t len, char *dst)
{
	char salt[SALT_SIZE], setting[CRYPT_GENSALT_OUTPUT_SIZE], string[STORED_SECRET_MAX + 1];
	int rc;

	if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt) ||
	    crypt_gensalt_rn(m->prefix, m->cost, salt, sizeof(salt), setting, sizeof(setting)) ==
		NULL)
		return -1;
	memcpy(string, secret, len);
	string[len] = '\0';
	rc = hash_string(string, setting, dst);
	explicit_bzero(string, sizeof(string));
	return rc;
}

static int
make_scram(const struct method *m, const char *secret, size_t len, char *dst)
{
	struct scram_keys keys = {.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_SIZE};

	(void)m;
	_Static_assert(SCRAM_TEXT_SIZE <= STORED_NEW_SIZE, "keys fit");
	if (getrandom(keys.salt, keys.salt_len, 0) != (ssize_t)keys.salt_len ||
	    scram_derive(secret, len, &keys) == -1)
		return -1;
	scram_keys_format(&keys, dst);
	explicit_bzero(&keys, sizeof(keys));
	return 0;
}

static int
make_token(const struct method *m, const char *secret, size_t len, char *dst)
{
	(void)m;
	_Static_assert(TOKEN_KEY_SIZE <= STORED_NEW_SIZE, "a key fits");
	token_key(secret, len, dst);
	return 0;
}

#define CRYPT_SECRET_MAX (CRYPT_MAX_PASSPHRASE_SIZE - 1)
static const struct method methods[STORED_METHOD__MAX] = {
    [STORED_YESCRYPT] = {"yescrypt", "$y$", 0, CRYPT_SECRET_MAX, make_hash},
    [STORED_BCRYPT] = {"bcrypt", "$2b$", 11, BCRYPT_SECRET_MAX, make_hash},
    [STORED_SHA512] = {"sha512", "$6$", 200000, CRYPT_SECRET_MAX, make_hash},
    [STORED_SCRAM] = {"scram-sha-256", NULL, 0, STORED_SECRET_MAX, make_scram},
    [STORED_TOKEN] = {"token", NULL, 0, STORED_SECRET_MAX, make_token},
};

const char *
stored_method_name(enum stored_method m)
{
	return methods[m].name;
}

int
stored_method_parse(const char *name, enum stored_method *out)
{
	size_t i;

	for (i = 0; i < STORED_METHOD__MAX; i++)
		if (strcmp(methods[i].name, name) == 0) {
			*out = (enum stored_method)i;
			return 0;
		}
	errno = EINVAL;
	return -1;
}

int
stored_make(enum stored_method m, const char *secret, size_t len, char dst[STORED_NEW_SIZE])
{
	dst[0] = '\0';
	if (len == 0 || len > methods[m].secret_max || memchr(secret, '\0', len) != NULL) {
		errno = EINVAL;
		return -1;
	}
	return methods[m].make(&methods[m], secret, len, dst);
}
