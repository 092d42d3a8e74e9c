/* SPDX-License-Identifier: ISC */
/* What the process that speaks TLS needs no right to, and what it does not know. */
#include "lib/key/keyclient.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <seccomp.h>

#include "tests/unit/signer_fixture.h"

static struct pki p256, rsa;

static int
setup(void **state)
{
	(void)state;
	log_set_name("test");
	if (keyclient_init() == -1)
		return -1;
	pki_make_simple(&p256, "P-256", "p256.example.org");
	pki_make_simple(&rsa, "RSA-2048", "rsa.example.org");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&p256);
	pki_free(&rsa);
	return 0;
}

static void
wait_for_success(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
forbid_files(void)
{
	static const char *const calls[] = {"open", "openat", "openat2", "newfstatat", "stat",
	    "access", "faccessat", "readlink", "execve", "socket", "connect"};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	size_t i;

	for (i = 0; i < NITEMS(calls); i++)
		if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS,
			seccomp_syscall_resolve_name(calls[i]), 0) != 0)
			_exit(10);
	if (seccomp_load(filter) != 0)
		_exit(11);
	seccomp_release(filter);
}

/* New contexts, as after a reload, and handshakes: without one look at a file. */
static void
test_sandboxed(void **state)
{
	const struct pki *const pkis[] = {&p256, &rsa, NULL};
	const char *const names[] = {"p256.example.org", "rsa.example.org", NULL};
	struct signer signer;
	pid_t pid;

	(void)state;
	signer_start(&signer, pkis, names, SIGNS, 3000);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		struct tls *server;

		forbid_files();
		server = make_server(pkis, names);
		if (try(server, &p256, names[0], TLS_PROTOCOL_TLSv1_3) == -1 ||
		    try(server, &rsa, names[1], TLS_PROTOCOL_TLSv1_2) == -1)
			_exit(1);
		_exit(0);
	}
	wait_for_success(pid);
	signer_stop(&signer);
}

#define SCAN_CHUNK (1 << 16)
#define RANGE_MAX  (1ULL << 30) /* longer ones are a sanitizer's */

/* How often a process has these octets in its memory. */
static unsigned int
scan_range(int mem, uint64_t from, uint64_t to, const uint8_t *what, size_t len)
{
	static uint8_t chunk[SCAN_CHUNK];
	unsigned int found = 0;
	ssize_t n;

	for (; from < to; from += SCAN_CHUNK / 2) {
		const uint8_t *hit;
		size_t want = to - from < SCAN_CHUNK ? to - from : SCAN_CHUNK;

		if ((n = pread(mem, chunk, want, (off_t)from)) <= 0)
			break;
		if ((hit = memmem(chunk, (size_t)n, what, len)) != NULL &&
		    (hit - chunk < SCAN_CHUNK / 2 || from + SCAN_CHUNK >= to))
			found++;
	}
	explicit_bzero(chunk, sizeof(chunk));
	return found;
}

static unsigned int
scan(pid_t pid, const uint8_t *what, size_t len)
{
	char path[64], line[512];
	unsigned int found = 0;
	unsigned long long from, to;
	FILE *maps;
	int mem;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	assert_non_null(maps = fopen(path, "re"));
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	assert_true((mem = open(path, O_RDONLY | O_CLOEXEC)) != -1);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%llx-%llx r", &from, &to) == 2 && to - from < RANGE_MAX)
			found += scan_range(mem, from, to, what, len);
	(void)fclose(maps);
	(void)close(mem);
	return found;
}

/* A private number as it is in files, and as a little-endian machine has it. */
static size_t
private_octets(const EVP_PKEY *key, uint8_t big[64], uint8_t little[64])
{
	const char *param = EVP_PKEY_is_a(key, "RSA") ? OSSL_PKEY_PARAM_RSA_FACTOR1
						      : OSSL_PKEY_PARAM_PRIV_KEY;
	uint8_t all[512];
	BIGNUM *bn = NULL;
	size_t len, i;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
	len = (size_t)BN_bn2bin(bn, all);
	BN_clear_free(bn);
	if (len > 64)
		len = 64;
	for (i = 0; i < len; i++) {
		big[i] = all[i];
		little[i] = all[len - 1 - i];
	}
	explicit_bzero(all, sizeof(all));
	return len;
}

/*
 * What a session process does with a certificate that it is given by its parent:
 * one handshake; then it waits to be looked at.
 */
static void
be_session(int fd, const char *name)
{
	struct pki pki = {0};
	const struct pki *const pkis[] = {&pki, NULL};
	const char *const names[] = {name, NULL};
	uint8_t pem[8192];
	struct tls *server;
	ssize_t n;

	if ((n = recv(fd, pem, sizeof(pem), 0)) <= 0)
		_exit(20);
	buf_init(&pki.cert_pem, sizeof(pem));
	if (buf_append(&pki.cert_pem, pem, (size_t)n) == -1)
		_exit(21);
	server = make_server(pkis, names);
	if (try(server, &pki, name, TLS_PROTOCOL_TLSv1_3) == -1)
		_exit(22);
	if (send(fd, "x", 1, 0) != 1 || recv(fd, pem, 1, 0) != 0)
		_exit(23);
	_exit(0);
}

static void
sign_once(int fd, struct keys *k)
{
	uint8_t frame[4096];
	ssize_t n = recv(fd, frame, sizeof(frame), 0);
	struct message_header h;
	union message m;

	assert_true(n > 0);
	assert_int_equal(message_header(frame, (size_t)n, &h), 0);
	assert_int_equal(message_decode(&h, frame, &m), 0);
	sign(fd, k, &m.sign);
}

/* The key is made after the fork, so the other process has only what it is given. */
static void
test_memory(void **state)
{
	static const char *const types[] = {"P-256", "RSA-2048"};
	const char *const names[] = {"secret.example.org", NULL};
	size_t i, len;

	(void)state;
	for (i = 0; i < NITEMS(types); i++) {
		uint8_t big[64], little[64];
		struct pki pki;
		const struct pki *const pkis[] = {&pki, NULL};
		struct keys *k;
		int talk[2], ask[2];
		pid_t pid;
		char c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ask), 0);
		assert_true((pid = fork()) != -1);
		if (pid == 0) {
			(void)close(talk[1]);
			(void)close(ask[1]);
			keyclient_set_channel(ask[0]);
			be_session(talk[0], names[0]);
		}
		(void)close(talk[0]);
		(void)close(ask[0]);
		pki_make_simple(&pki, types[i], names[0]);
		k = make_keys(pkis, names);
		assert_true(send(talk[1], buf_head(&pki.cert_pem), pki.cert_pem.len, 0) > 0);
		sign_once(ask[1], k);
		assert_int_equal(recv(talk[1], &c, 1, 0), 1);

		len = private_octets(pki.key, big, little);
		assert_true(len >= 30);
		assert_int_equal(scan(pid, big, len), 0);
		assert_int_equal(scan(pid, little, len), 0);
		/* The search finds what is there. */
		assert_true(scan(getpid(), big, len) > 0);
		assert_true(scan(getpid(), little, len) > 1);
		assert_true(scan(pid, buf_head(&pki.cert_pem), 64) > 0);

		(void)close(talk[1]);
		(void)close(ask[1]);
		wait_for_success(pid);
		keys_free(k);
		pki_free(&pki);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sandboxed),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
