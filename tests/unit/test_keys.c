/* SPDX-License-Identifier: ISC */
/* The vault's store of keys: what it takes, when it signs, and with which key. */
#include "vault/keys.h"

#include <sys/wait.h>

#include <errno.h>
#include <openssl/rsa.h>
#include <seccomp.h>
#include <stdbool.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/key/key_id.h"
#include "tests/unit/pki_fixture.h"

#define NOW 1000000

static struct pki p256, p384, p521, rsa, other;
static unsigned int lines; /* logged */

static void
count_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	assert_null(strstr(line, "PRIVATE"));
	lines++;
}

static int
setup(void **state)
{
	(void)state;
	log_set_sink(count_line, NULL);
	pki_make_simple(&p256, "P-256", "p256.example.org");
	pki_make_simple(&p384, "P-384", "p384.example.org");
	pki_make_simple(&p521, "P-521", "p521.example.org");
	pki_make_simple(&rsa, "RSA-2048", "rsa.example.org");
	pki_make_simple(&other, "P-256", "p256.example.org");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&p256);
	pki_free(&p384);
	pki_free(&p521);
	pki_free(&rsa);
	pki_free(&other);
	return 0;
}

/* In pieces of an odd size. */
static void
feed(struct keys *k, enum ipc_data kind, const char *name, const struct buf *b)
{
	size_t at, n;

	for (at = 0; at < b->len; at += n) {
		n = b->len - at < 111 ? b->len - at : 111;
		assert_int_equal(keys_feed(k, &(struct msg_file_data){.kind = (uint8_t)kind,
						  .name = name,
						  .last = at + n == b->len,
						  .data = {buf_head(b) + at, n}}),
		    0);
	}
}

static void
feed_pki(struct keys *k, const char *name, const struct pki *cert, const struct pki *key)
{
	feed(k, IPC_DATA_KEY, name, &key->key_pem);
	feed(k, IPC_DATA_CERT, name, &cert->cert_pem);
	assert_int_equal(
	    keys_feed(
		k, &(struct msg_file_data){.kind = IPC_DATA_OCSP, .name = name, .last = true}),
	    0);
}

static const char *
id_of(const char *name, const struct pki *p)
{
	static char id[KEY_ID_SIZE];
	uint8_t *spki = NULL;
	int len = i2d_PUBKEY(p->key, &spki);

	assert_int_equal(key_id(id, name, spki, (size_t)len), 0);
	OPENSSL_free(spki);
	return id;
}

static const uint8_t text12[64 + 4 + 32] = {[64] = 3, [66] = 29, [67] = 32};

struct signature {
	uint8_t data[IPC_SIGN_MAX];
	size_t len;
};

static int
sign(struct keys *k, const char *id, enum ipc_scheme scheme, enum ipc_digest digest,
    struct signature *out)
{
	struct msg_sign m = {.key = id,
	    .scheme = (uint8_t)scheme,
	    .digest = (uint8_t)digest,
	    .text = {text12, sizeof(text12)}};

	return keys_sign(k, &m, out->data, &out->len);
}

static bool
signs(struct keys *k, const char *name, const struct pki *p)
{
	struct signature sig;

	return sign(k, id_of(name, p), IPC_SIGN_ECDSA, IPC_SHA256, &sig) == 0;
}

static bool
verifies(EVP_PKEY *key, enum ipc_scheme scheme, const char *digest, const struct signature *sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int rc;

	assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &pctx, digest, NULL, NULL, key, NULL), 1);
	if (scheme == IPC_SIGN_RSA_PSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	rc = EVP_DigestVerify(ctx, sig->data, sig->len, text12, sizeof(text12));
	EVP_MD_CTX_free(ctx);
	return rc == 1;
}

/* Every kind, scheme and digest; each twice, for the second takes what the first made. */
static void
test_schemes(void **state)
{
	static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
	const struct {
		const char *name;
		const struct pki *pki;
		enum ipc_scheme scheme;
	} rows[] = {
	    {"p256", &p256, IPC_SIGN_ECDSA},
	    {"p384", &p384, IPC_SIGN_ECDSA},
	    {"p521", &p521, IPC_SIGN_ECDSA},
	    {"rsa", &rsa, IPC_SIGN_RSA_PKCS1},
	    {"rsa", &rsa, IPC_SIGN_RSA_PSS},
	};
	struct keys *k = keys_create();
	struct signature sig;
	size_t i, j;

	(void)state;
	feed_pki(k, "p256", &p256, &p256);
	feed_pki(k, "p384", &p384, &p384);
	feed_pki(k, "p521", &p521, &p521);
	feed_pki(k, "rsa", &rsa, &rsa);
	keys_commit(k, NOW);
	for (i = 0; i < NITEMS(rows); i++)
		for (j = 0; j < 2 * NITEMS(digests); j++) {
			const char *id = id_of(rows[i].name, rows[i].pki);

			assert_int_equal(
			    sign(k, id, rows[i].scheme, (enum ipc_digest)(j / 2), &sig), 0);
			assert_true(
			    verifies(rows[i].pki->key, rows[i].scheme, digests[j / 2], &sig));
			sig.data[sig.len / 2] ^= 1;
			assert_false(
			    verifies(rows[i].pki->key, rows[i].scheme, digests[j / 2], &sig));
		}
	assert_int_equal(keys_counters(k)->signatures, 30);
	assert_int_equal(keys_counters(k)->refused, 0);
	assert_int_equal(keys_count(k), 4);
	assert_string_equal(keys_entry(k, 3).name, "rsa");
	assert_int_equal(keys_entry(k, 3).signatures, 12);
	keys_free(k);
}

static void
test_refusals(void **state)
{
	struct keys *k = keys_create();
	uint8_t sig[IPC_SIGN_MAX];
	struct msg_sign m = {
	    .scheme = IPC_SIGN_ECDSA, .digest = IPC_SHA256, .text = {text12, sizeof(text12)}};
	size_t len;
	int i;

	(void)state;
	feed_pki(k, "a", &p256, &p256);
	feed_pki(k, "b", &rsa, &rsa);
	keys_commit(k, NOW);

	m.key = "a"; /* without its id */
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, ENOENT);
	m.key = id_of("a", &rsa); /* another's */
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, ENOENT);
	m.key = "";
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, ENOENT);
	m.key = id_of("b", &rsa); /* another kind */
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, EPERM);
	m.key = id_of("a", &p256);
	m.text.len--;
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, EPERM);
	m.text = (struct span){NULL, 0};
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(keys_counters(k)->refused, 6);
	assert_int_equal(keys_counters(k)->signatures, 0);

	/* Who asks for nonsense all the time does not fill the log. */
	lines = 0;
	for (i = 0; i < 1000; i++)
		assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_true(lines < 20);
	keys_tick(k, NOW);
	lines = 0;
	assert_int_equal(keys_sign(k, &m, sig, &len), -1);
	assert_int_equal(lines, 1);
	keys_free(k);
}

/* A renewed key takes over at once; the old one goes on for a minute. */
static void
test_reload(void **state)
{
	struct keys *k = keys_create();

	(void)state;
	feed_pki(k, "a", &p256, &p256);
	assert_false(signs(k, "a", &p256)); /* not before all of it is there */
	keys_commit(k, NOW);
	assert_true(signs(k, "a", &p256));

	feed_pki(k, "a", &other, &other);
	keys_commit(k, NOW + 10);
	assert_int_equal(keys_count(k), 1);
	assert_int_equal(keys_entry(k, 0).signatures, 1);
	assert_true(signs(k, "a", &other));
	assert_true(signs(k, "a", &p256));
	keys_tick(k, NOW + 10 + KEYS_LINGER_S - 1);
	assert_true(signs(k, "a", &p256));
	keys_tick(k, NOW + 10 + KEYS_LINGER_S);
	assert_false(signs(k, "a", &p256));
	assert_true(signs(k, "a", &other));

	/* The same again: nothing lingers.  There and back: each still has its key. */
	feed_pki(k, "a", &other, &other);
	keys_commit(k, NOW + 100);
	keys_tick(k, NOW + 200);
	assert_true(signs(k, "a", &other));
	feed_pki(k, "a", &p256, &p256);
	keys_commit(k, NOW + 200);
	feed_pki(k, "a", &other, &other);
	keys_commit(k, NOW + 201);
	assert_true(signs(k, "a", &p256));
	assert_true(signs(k, "a", &other));
	keys_tick(k, NOW + 300);
	assert_false(signs(k, "a", &p256));
	assert_true(signs(k, "a", &other));

	/* Gone from the configuration.  A clock that was set back keeps no key for long. */
	keys_commit(k, NOW + 400);
	assert_int_equal(keys_count(k), 0);
	assert_true(signs(k, "a", &other));
	keys_tick(k, NOW);
	assert_false(signs(k, "a", &other));
	keys_free(k);
}

/* Files that can't be read, or are withheld, leave what was there, for as long as it takes. */
static void
test_kept(void **state)
{
	struct keys *k = keys_create();
	int kind;

	(void)state;
	feed_pki(k, "a", &p256, &p256);
	feed_pki(k, "b", &other, &other);
	keys_commit(k, NOW);
	for (kind = IPC_DATA_CERT; kind <= IPC_DATA_OCSP; kind++) {
		struct msg_file_data m = {.kind = (uint8_t)kind, .name = "a", .last = true};

		assert_int_equal(keys_feed(k, &m), 0);
	}
	feed_pki(k, "b", &other, &other);
	keys_commit(k, NOW + 1);
	keys_tick(k, NOW + 10 * KEYS_LINGER_S);
	assert_int_equal(keys_count(k), 2);
	assert_true(signs(k, "a", &p256));
	assert_true(signs(k, "b", &other));

	keys_forget(k, "a");
	assert_int_equal(keys_count(k), 1);
	assert_false(signs(k, "a", &p256));
	assert_true(signs(k, "b", &other));
	keys_free(k);
}

static void
test_many_reloads(void **state)
{
	struct keys *k = keys_create();
	int i;

	(void)state;
	for (i = 0; i < 1500; i++) {
		feed_pki(k, "a", i % 2 == 0 ? &p256 : &other, i % 2 == 0 ? &p256 : &other);
		keys_commit(k, NOW);
	}
	assert_true(signs(k, "a", &p256));
	assert_true(signs(k, "a", &other));
	keys_tick(k, NOW + KEYS_LINGER_S);
	assert_false(signs(k, "a", &p256));
	assert_true(signs(k, "a", &other));
	keys_free(k);
}

static void
test_bad_files(void **state)
{
	static uint8_t much[IPC_CHUNK_MAX];
	struct msg_file_data m = {.kind = IPC_DATA_KEY, .name = "a", .data = {much, sizeof(much)}};
	struct keys *k = keys_create();
	char warnings[IPC_TEXT_MAX], name[32];
	uint8_t hash[CERTIFICATE_BINDING_MAX];
	size_t len;
	int i;

	(void)state;
	feed_pki(k, "mixed", &p256, &p384);
	assert_int_equal(keys_feed(k, &m), 0);
	assert_int_equal(keys_feed(k, &m), 0);
	assert_int_equal(keys_feed(k, &m), -1);
	assert_int_equal(errno, EMSGSIZE);
	m.kind = IPC_DATA_TABLE;
	assert_int_equal(keys_feed(k, &m), -1);
	assert_int_equal(errno, EINVAL);
	lines = 0;
	keys_commit(k, NOW);
	assert_true(lines >= 3);
	assert_int_equal(keys_count(k), 2);
	assert_false(signs(k, "mixed", &p256));
	keys_warnings(k, 0, NOW, warnings);
	assert_non_null(
	    strstr(warnings, "; the key does not match the certificate; is not yet valid"));
	assert_int_equal(keys_binding(k, "mixed", hash, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(keys_binding(k, "a", hash, &len), -1);
	assert_int_equal(keys_binding(k, "none", hash, &len), -1);

	m.kind = IPC_DATA_CERT;
	m.data.len = 10;
	for (i = 0; i < 1024; i++) {
		(void)snprintf(name, sizeof(name), "pki-%d", i);
		m.name = name;
		assert_int_equal(keys_feed(k, &m), 0);
	}
	m.name = "one too many";
	assert_int_equal(keys_feed(k, &m), -1);
	assert_int_equal(errno, ENOBUFS);
	keys_free(k);
}

/* A second file of the same name and kind takes the place of the first. */
static void
test_fed_twice(void **state)
{
	struct keys *k = keys_create();

	(void)state;
	feed_pki(k, "a", &p384, &p384);
	feed_pki(k, "a", &p256, &p256);
	keys_commit(k, NOW);
	assert_int_equal(keys_count(k), 1);
	assert_true(signs(k, "a", &p256));
	keys_free(k);
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void
allow_little(void)
{
	/* What the vault may do besides its event loop (epoll_*, sendmsg, recvmsg, close). */
	static const int calls[] = {SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap),
	    SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(futex), SCMP_SYS(exit_group)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;

	for (i = 0; i < NITEMS(calls); i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			_exit(10);
	if (seccomp_load(filter) != 0)
		_exit(11);
}

/* After keys_create() everything is done with seven system calls, a reload included. */
static void
test_sandboxed(void **state)
{
	struct keys *k;
	pid_t pid;
	int status;

	(void)state;
	if (SANITIZED)
		skip();
	k = keys_create();
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		struct signature sig;

		allow_little();
		feed_pki(k, "a", &p256, &p256);
		feed_pki(k, "b", &rsa, &rsa);
		keys_commit(k, NOW);
		if (!signs(k, "a", &p256) ||
		    sign(k, id_of("b", &rsa), IPC_SIGN_RSA_PSS, IPC_SHA256, &sig) == -1)
			_exit(1);
		feed_pki(k, "a", &other, &other);
		keys_commit(k, NOW);
		keys_tick(k, NOW + KEYS_LINGER_S);
		_exit(signs(k, "a", &other) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	keys_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schemes),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_many_reloads),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_fed_twice),
	    cmocka_unit_test(test_sandboxed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
