/* SPDX-License-Identifier: ISC */
/*
 * Room to work for those who keep secrets: the vault has twelve system calls,
 * which do for signatures and messages; a hasher can hash, and read a database of
 * which it has the descriptor.
 */
#include "tests/unit/role_child.h"

#include <crypt.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "lib/base/log.h"
#include "lib/role/calls.h"

/* The vault: it signs, and passes messages and descriptors on. */

static EVP_PKEY *signing_key[2];

static int
job_sign(void *arg)
{
	unsigned char signature[1024], digest[32];
	const int *sv = arg;
	struct iovec iov = {digest, sizeof(digest)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t i, len;

	for (i = 0; i < NITEMS(signing_key); i++) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();

		len = sizeof(signature);
		MUST(md != NULL &&
		     EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, signing_key[i]) == 1);
		MUST(EVP_DigestSign(md, signature, &len, (const unsigned char *)"text", 4) == 1);
		EVP_MD_CTX_free(md);
	}
	MUST(RAND_bytes(digest, sizeof(digest)) == 1);
	MUST(sendmsg(sv[0], &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(digest));
	MUST(recvmsg(sv[1], &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == sizeof(digest));
	/* Nothing else may be said or heard, not even on what it holds (a sanitizer may). */
	MUST(call_rights(0) != 0 || (write(sv[1], "x", 1) == -1 && errno == EBADF));
	return 0;
}

static void
test_vault(void **state)
{
	int sv[2];
	size_t i;

	(void)state;
	assert_non_null(signing_key[0] = EVP_EC_gen("P-256"));
	assert_non_null(signing_key[1] = EVP_RSA_gen(2048));
	for (i = 0; i < (getuid() == 0 ? 2 : 1); i++) {
		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), errno);
		expect_works(role_named("vault"), i == 1, job_sign, sv);
		(void)close(sv[0]);
		(void)close(sv[1]);
	}
	EVP_PKEY_free(signing_key[0]);
	EVP_PKEY_free(signing_key[1]);
}

/* The hasher: costly hashes, and a database of which it has the descriptor. */

static int
job_hash(void *arg)
{
	static const char *const settings[] = {"$y$j9T$abcdefghijklmnopqrst./",
	    "$2b$05$abcdefghijklmnopqrstuu", "$6$abcdefgh", "$5$abcdefgh"};
	static struct crypt_data data;
	unsigned char key[32];
	size_t i;

	(void)arg;
	for (i = 0; i < NITEMS(settings); i++) {
		MUST(crypt_rn("password", settings[i], &data, sizeof(data)) != NULL);
		MUST(data.output[0] == '$');
	}
	MUST(PKCS5_PBKDF2_HMAC("password", 8, key, 16, 10000, EVP_sha256(), sizeof(key), key) == 1);
	return 0;
}

static int
job_read_database(void *arg)
{
	struct flock lock = {
	    .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 1 << 30, .l_len = 1};
	char page[512];
	int fd = *(int *)arg;
	struct stat st;

	MUST(fstat(fd, &st) == 0 && st.st_size == 5);
	MUST(fcntl(fd, F_SETLK, &lock) == 0 && fcntl(fd, F_GETLK, &lock) == 0);
	MUST(pread(fd, page, sizeof(page), 0) == 5);
	MUST(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
	return 0;
}

static void
test_hasher(void **state)
{
	FILE *fp = tmpfile();
	int fd;

	(void)state;
	assert_non_null(fp);
	fd = fileno(fp);
	assert_int_equal(write(fd, "pages", 5), 5);
	works("hasher", job_hash, NULL);
	works("hasher", job_read_database, &fd);
	(void)fclose(fp);
}

/* A defect. */

static int
job_abort(void *arg)
{
	(void)arg;
	abort();
}

/* cmocka's, which would go on with the next test. */
static void
forget_handlers(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	(void)signal(SIGILL, SIG_DFL);
	(void)signal(SIGTRAP, SIG_DFL);
}

/* It may not even send itself a signal: abort() ends by a trap, and is not taken for an attack. */
static void
test_vault_aborts(void **state)
{
	struct role_rights r;
	struct child_end end;

	(void)state;
	child_rights(&r, role_named("vault"), false);
	child_before = forget_handlers;
	child_run(&r, job_abort, NULL, &end);
	child_before = NULL;
	assert_int_equal(end.outcome, PROBE_DIED);
	assert_true(end.signal == SIGSEGV || end.signal == SIGILL || end.signal == SIGTRAP);
	assert_string_equal(end.call, "");
}

static void
quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vault),
	    cmocka_unit_test(test_vault_aborts),
	    cmocka_unit_test(test_hasher),
	};

	log_set_sink(quiet, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
