/* SPDX-License-Identifier: ISC */
/*
 * Checks a password, by crypt(3) or by PBKDF2 for SCRAM keys.
 *
 * Invariant: a hash that is weak, or that takes more than about two seconds, is
 * not computed, whoever asks.
 */
#include "vault/hasher_crypt.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/secret/stored.h"

/* Static: 33 KB, of which nothing must be left on a stack or heap. */
static struct crypt_data crypt_space;
static char password_space[IPC_PASSWORD_MAX + 1];

/* In constant time, as far as it may matter: the lengths are no secret. */
static bool
is_same(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

static enum ipc_outcome
check_hash(const char *hash, const char *password)
{
	enum ipc_outcome outcome;
	const char *made;

	errno = 0;
	made = crypt_r(password, hash, &crypt_space);
	if (made == NULL || made[0] == '*')
		outcome = errno == ENOMEM ? IPC_RETRY : IPC_FAIL;
	else
		outcome = is_same(made, hash) ? IPC_OK : IPC_FAIL;
	explicit_bzero(&crypt_space, sizeof(crypt_space));
	return outcome;
}

static enum ipc_outcome
check_scram(const struct scram_keys *keys, struct span password)
{
	int rc = scram_keys_check(keys, password.data, password.len);

	if (rc == -1)
		return IPC_RETRY;
	return rc == 1 ? IPC_OK : IPC_FAIL;
}

enum ipc_outcome
hasher_crypt_check(const char *stored, struct span password)
{
	enum ipc_outcome outcome = IPC_FAIL;
	struct scram_keys keys;
	const char *why;

	if (scram_keys_parse(stored, strlen(stored), &keys) == 0) {
		outcome = check_scram(&keys, password);
		explicit_bzero(&keys, sizeof(keys));
		return outcome;
	}
	if ((why = stored_hash_fault(stored)) != NULL) {
		log_warn("event=hash-refused why=\"%s\"", why);
		return IPC_RETRY;
	}
	/* crypt(3) takes a string: what comes behind a NUL would not count. */
	if (password.len > 0 && password.len < sizeof(password_space) &&
	    memchr(password.data, '\0', password.len) == NULL) {
		memcpy(password_space, password.data, password.len);
		password_space[password.len] = '\0';
		outcome = check_hash(stored, password_space);
		explicit_bzero(password_space, sizeof(password_space));
	}
	return outcome;
}

enum ipc_outcome
hasher_crypt_derive(const struct msg_derive *m, struct scram_client_keys *out)
{
	struct scram_client c = {.iterations = m->iterations, .salt_len = m->salt.len};

	if (m->salt.len == 0 || m->salt.len > sizeof(c.salt))
		return IPC_RETRY;
	memcpy(c.salt, m->salt.data, m->salt.len);
	return scram_client_derive(m->password.data, m->password.len, &c, out) == 0 ? IPC_OK
										    : IPC_RETRY;
}

int
hasher_crypt_prepare(void)
{
	static const enum stored_method methods[] = {STORED_YESCRYPT, STORED_SCRAM};
	static const uint8_t word[] = "warm";
	struct span password = {word, sizeof(word) - 1};
	char made[STORED_NEW_SIZE];
	size_t i;

	for (i = 0; i < NITEMS(methods); i++)
		if (stored_make(methods[i], (const char *)word, sizeof(word) - 1, made) == -1 ||
		    hasher_crypt_check(made, password) != IPC_OK)
			return -1;
	return 0;
}
