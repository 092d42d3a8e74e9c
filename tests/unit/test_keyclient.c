/* SPDX-License-Identifier: ISC */
/*
 * TLS without a private key in the process: handshakes by libtls, with a
 * forked signer in the vault's place that speaks `sign` and `signature` and
 * holds the keys in the vault's own store.
 */
#include "lib/net/keyclient.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <tls.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/ipc/message.h"
#include "tests/unit/pki_fixture.h"
#include "vault/keys.h"

/* -- the signer -- */

enum manner {
	SIGNS,
	REFUSES,
	IS_SILENT,
	DIES,
	TALKS_RUBBISH,
	SAYS_SOMETHING_ELSE,
	ANSWERS_LATE, /* the first question not at all, both at the second */
	SIGNS_NOTHING
};

struct signer {
	pid_t pid;
};

static void
answer(int fd, uint32_t req, enum ipc_outcome outcome, const uint8_t *sig, size_t len)
{
	struct msg_signature m = {.req = req, .outcome = (uint8_t)outcome, .data = {sig, len}};
	struct buf b;

	buf_init(&b, 8192);
	if (message_encode(MSG_signature, &m, &b) == -1 ||
	    send(fd, buf_head(&b), b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		_exit(3);
	buf_free(&b);
}

static void
sign(int fd, struct keys *k, const struct msg_sign *m)
{
	uint8_t sig[IPC_SIGN_MAX];
	size_t len = 0;
	int rc = keys_sign(k, m, sig, &len);

	answer(fd, m->req, rc == 0 ? IPC_OK : IPC_FAIL, sig, rc == 0 ? len : 0);
}

static void
answer_late(int fd, struct keys *k, const struct msg_sign *m)
{
	static uint32_t first;
	static const uint8_t old[100] = {1};

	if (first == 0) {
		first = m->req;
		return;
	}
	answer(fd, first, IPC_OK, old, sizeof(old));
	sign(fd, k, m);
}

static void
act(int fd, struct keys *k, const struct msg_sign *m, enum manner manner)
{
	static const uint8_t rubbish[64] = "this is not a frame at all";
	struct msg_ticket_key other = {.req = m->req, .key = {rubbish, 48}};
	struct buf b;

	switch (manner) {
	case SIGNS:
		sign(fd, k, m);
		break;
	case REFUSES:
		answer(fd, m->req, IPC_FAIL, NULL, 0);
		break;
	case SIGNS_NOTHING:
		answer(fd, m->req, IPC_OK, NULL, 0);
		break;
	case IS_SILENT:
		break;
	case DIES:
		_exit(0);
	case TALKS_RUBBISH:
		(void)!write(fd, rubbish, sizeof(rubbish));
		break;
	case SAYS_SOMETHING_ELSE:
		buf_init(&b, 8192);
		if (message_encode(MSG_ticket_key, &other, &b) == 0)
			(void)!write(fd, buf_head(&b), b.len);
		buf_free(&b);
		break;
	case ANSWERS_LATE:
		answer_late(fd, k, m);
		break;
	}
}

static void
serve(int fd, struct keys *k, enum manner manner)
{
	uint8_t frame[8192];
	size_t len = 0;
	struct message_header h;
	union message m;
	ssize_t n;

	while ((n = read(fd, frame + len, sizeof(frame) - len)) > 0) {
		len += (size_t)n;
		while (message_header(frame, len, &h) == 0) {
			if (h.type != MSG_sign || message_decode(&h, frame, &m) == -1)
				_exit(4);
			act(fd, k, &m.sign, manner);
			memmove(frame, frame + h.length, len - h.length);
			len -= h.length;
		}
	}
	_exit(0);
}

static void
feed(struct keys *k, enum ipc_data kind, const char *name, const struct buf *b)
{
	struct msg_file_data m = {
	    .kind = (uint8_t)kind, .name = name, .last = true, .data = {buf_head(b), b->len}};

	if (keys_feed(k, &m) == -1)
		_exit(5);
}

static struct keys *
make_keys(const struct pki *const *pkis, const char *const *names)
{
	struct keys *k = keys_create();
	size_t i;

	for (i = 0; names[i] != NULL; i++) {
		feed(k, IPC_DATA_CERT, names[i], &pkis[i]->cert_pem);
		feed(k, IPC_DATA_KEY, names[i], &pkis[i]->key_pem);
	}
	keys_commit(k, time_wall_s());
	return k;
}

/* Starts it and gives keyclient the other end, with a time limit of its own. */
static void
signer_start(struct signer *s, const struct pki *const *pkis, const char *const *names,
    enum manner manner, int limit_ms)
{
	struct timeval limit = {limit_ms / 1000, (limit_ms % 1000) * 1000};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	assert_true((s->pid = fork()) != -1);
	if (s->pid == 0) {
		(void)close(pair[0]);
		keyclient_set_channel(-1);
		serve(pair[1], make_keys(pkis, names), manner);
	}
	(void)close(pair[1]);
	keyclient_set_channel(pair[0]);
	keyclient_forget();
}

static void
signer_stop(struct signer *s)
{
	int status;

	keyclient_set_channel(-1);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* -- TLS -- */

/* In TLS 1.2 a certificate's curve must be among them too (RFC 8422 5.3). */
#define ALL_CURVES "X25519,P-256,P-384,P-521"

static struct tls *
make_server(const struct pki *const *pkis, const char *const *names)
{
	struct tls_config *config = tls_config_new();
	struct tls *tls = tls_server();
	struct buf key;
	size_t i;
	int rc;

	buf_init(&key, 16384);
	assert_int_equal(keyclient_configure(config), 0);
	assert_int_equal(tls_config_set_ecdhecurves(config, ALL_CURVES), 0);
	for (i = 0; names[i] != NULL; i++) {
		const struct buf *cert = &pkis[i]->cert_pem;

		assert_int_equal(keyclient_key(names[i], buf_head(cert), cert->len, &key), 0);
		rc = (i == 0 ? tls_config_set_keypair_mem : tls_config_add_keypair_mem)(
		    config, buf_head(cert), cert->len, buf_head(&key), key.len);
		assert_int_equal(rc, 0);
		buf_consume(&key, key.len);
	}
	buf_free(&key);
	if (tls_configure(tls, config) != 0)
		fail_msg("%s", tls_error(tls));
	tls_config_free(config);
	return tls;
}

static struct tls *
make_client(const struct pki *trusted, uint32_t protocols)
{
	struct tls_config *config = tls_config_new();
	struct tls *tls = tls_client();

	assert_int_equal(
	    tls_config_set_ca_mem(config, buf_head(&trusted->cert_pem), trusted->cert_pem.len), 0);
	assert_int_equal(tls_config_set_protocols(config, protocols), 0);
	assert_int_equal(tls_config_set_ecdhecurves(config, ALL_CURVES), 0);
	assert_int_equal(tls_configure(tls, config), 0);
	tls_config_free(config);
	return tls;
}

/* Both sides in one thread, turn by turn.  0: both are through. */
static int
shake_hands(struct tls *server, struct tls *client, const char *name)
{
	struct tls *conn = NULL;
	int pair[2], s = TLS_WANT_POLLIN, c = TLS_WANT_POLLIN, turns;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(tls_connect_socket(client, pair[0], name), 0);
	assert_int_equal(tls_accept_socket(server, &conn, pair[1]), 0);
	for (turns = 0; turns < 100 && (s != 0 || c != 0) && s != -1 && c != -1; turns++) {
		if (c != 0)
			c = tls_handshake(client);
		if (s != 0)
			s = tls_handshake(conn);
	}
	if (s == 0 && c == 0)
		assert_non_null(tls_conn_version(conn));
	(void)close(pair[0]);
	(void)close(pair[1]);
	tls_free(conn);
	return s == 0 && c == 0 ? 0 : -1;
}

static struct pki p256, p384, p521, rsa2048;

static const struct {
	const char *name;
	const struct pki *pki;
} kinds[] = {{"p256.example.org", &p256}, {"p384.example.org", &p384}, {"p521.example.org", &p521},
    {"rsa.example.org", &rsa2048}};

static const struct pki *const all_pkis[] = {&p256, &p384, &p521, &rsa2048, NULL};
static const char *const all_names[] = {
    "p256.example.org", "p384.example.org", "p521.example.org", "rsa.example.org", NULL};

static int
try(struct tls *server, const struct pki *trusted, const char *name, uint32_t protocols)
{
	struct tls *client = make_client(trusted, protocols);
	int rc = shake_hands(server, client, name);

	if (rc == 0) {
		assert_string_equal(tls_conn_version(client),
		    protocols == TLS_PROTOCOL_TLSv1_3 ? "TLSv1.3" : "TLSv1.2");
	}
	tls_free(client);
	return rc;
}

static int
setup(void **state)
{
	(void)state;
	log_set_name("test");
	if (keyclient_init() == -1)
		return -1;
	pki_make_simple(&p256, "P-256", "p256.example.org");
	pki_make_simple(&p384, "P-384", "p384.example.org");
	pki_make_simple(&p521, "P-521", "p521.example.org");
	pki_make_simple(&rsa2048, "RSA-2048", "rsa.example.org");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&p256);
	pki_free(&p384);
	pki_free(&p521);
	pki_free(&rsa2048);
	return 0;
}

/* Each kind of key with each protocol, all in one server: the client's name chooses. */
static void
test_every_kind(void **state)
{
	static const uint32_t protocols[] = {TLS_PROTOCOL_TLSv1_2, TLS_PROTOCOL_TLSv1_3};
	struct signer signer;
	struct tls *server;
	size_t i, j;

	(void)state;
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	server = make_server(all_pkis, all_names);
	for (i = 0; i < NITEMS(kinds); i++)
		for (j = 0; j < NITEMS(protocols); j++) {
			keyclient_forget();
			assert_null(keyclient_last());
			assert_int_equal(try(server, kinds[i].pki, kinds[i].name, protocols[j]), 0);
			assert_string_equal(keyclient_last(), kinds[i].name);
		}
	/* A client that names nobody known gets the first. */
	keyclient_forget();
	assert_int_equal(try(server, &p256, "elsewhere.example.org", TLS_PROTOCOL_TLSv1_3), -1);
	assert_string_equal(keyclient_last(), "p256.example.org");
	tls_free(server);
	signer_stop(&signer);
}

/* A vault that fails in whatever way costs a handshake, and nothing more. */
static void
test_failures(void **state)
{
	static const struct {
		enum manner manner;
		bool keeps_channel; /* the next question is asked too */
	} rows[] = {{REFUSES, true}, {IS_SILENT, true}, {SIGNS_NOTHING, true}, {DIES, false},
	    {TALKS_RUBBISH, false}, {SAYS_SOMETHING_ELSE, false}};
	struct signer signer;
	struct tls *server;
	size_t i;
	int64_t start;

	(void)state;
	server = make_server(all_pkis, all_names);
	for (i = 0; i < NITEMS(rows); i++) {
		signer_start(&signer, all_pkis, all_names, rows[i].manner, 200);
		assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
		start = time_mono_ms();
		assert_int_equal(try(server, &rsa2048, all_names[3], TLS_PROTOCOL_TLSv1_2), -1);
		if (rows[i].manner == IS_SILENT)
			assert_true(time_mono_ms() - start >= 150);
		assert_null(keyclient_last());
		signer_stop(&signer);
	}
	/* Without any channel; then with one that works. */
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), 0);
	tls_free(server);
	signer_stop(&signer);
}

/* What comes after its deadline is not taken for the answer to the next question. */
static void
test_late_answer(void **state)
{
	struct signer signer;
	struct tls *server;

	(void)state;
	server = make_server(all_pkis, all_names);
	signer_start(&signer, all_pkis, all_names, ANSWERS_LATE, 200);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), -1);
	assert_int_equal(try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3), 0);
	tls_free(server);
	signer_stop(&signer);
}

/* A certificate that was renewed here, and not yet there: its key does not sign for the old one. */
static void
test_another_key(void **state)
{
	const struct pki *const others[] = {&p384, NULL};
	const char *const names[] = {"p256.example.org", NULL};
	struct signer signer;
	struct tls *server;

	(void)state;
	server = make_server(all_pkis, names);
	signer_start(&signer, others, names, SIGNS, 3000);
	assert_int_equal(try(server, &p256, names[0], TLS_PROTOCOL_TLSv1_3), -1);
	tls_free(server);
	signer_stop(&signer);
}

static EVP_PKEY *
load_standin(const struct pki *pki, const char *name)
{
	EVP_PKEY *key;
	struct buf pem;
	BIO *bio;

	buf_init(&pem, 16384);
	assert_int_equal(keyclient_key(name, buf_head(&pki->cert_pem), pki->cert_pem.len, &pem), 0);
	bio = BIO_new_mem_buf(buf_head(&pem), (int)pem.len);
	assert_non_null(key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
	BIO_free(bio);
	buf_free(&pem);
	return key;
}

/* PKCS #1 is what the oldest clients of TLS 1.2 ask for; libtls can't be made to. */
static void
test_pkcs1(void **state)
{
	uint8_t text[64 + 4 + 32] = {[64] = 3, [66] = 29, [67] = 32}, sig[512];
	EVP_PKEY *key = load_standin(&rsa2048, "rsa.example.org");
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx;
	struct signer signer;
	size_t len = sizeof(sig);

	(void)state;
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, text, sizeof(text)), 1);
	EVP_MD_CTX_reset(ctx);
	assert_int_equal(
	    EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, rsa2048.key, NULL), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, len, text, sizeof(text)), 1);

	/* What is no text of TLS is not signed; nor with a salt or digest that TLS has not. */
	EVP_MD_CTX_reset(ctx);
	len = sizeof(sig);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_not_equal(EVP_DigestSign(ctx, sig, &len, text, sizeof(text) - 1), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST), 1);
	assert_int_not_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, 20), 1);
	EVP_MD_CTX_reset(ctx);
	assert_int_not_equal(
	    EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA1", NULL, NULL, key, NULL), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	signer_stop(&signer);
}

/* There is no private half to be had, and other keys are as they were. */
static void
test_no_private_half(void **state)
{
	EVP_PKEY *ec = load_standin(&p256, "p256.example.org"), *other;
	OSSL_PARAM *params = NULL;
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	assert_int_equal(EVP_PKEY_todata(ec, EVP_PKEY_PUBLIC_KEY, &params), 1);
	OSSL_PARAM_free(params);
	params = NULL;
	assert_int_not_equal(EVP_PKEY_todata(ec, EVP_PKEY_KEYPAIR, &params), 1);
	assert_int_not_equal(PEM_write_bio_PrivateKey(bio, ec, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(X509_check_private_key(p256.x509, ec), 1);
	assert_int_not_equal(X509_check_private_key(p384.x509, ec), 1);
	EVP_PKEY_free(ec);
	BIO_free(bio);

	bio = BIO_new_mem_buf(buf_head(&p256.key_pem), (int)p256.key_pem.len);
	assert_non_null(other = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
	assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(other)), "default");
	EVP_PKEY_free(other);
	BIO_free(bio);
	ERR_clear_error();
}

static void
test_bad_certificates(void **state)
{
	static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB\n";
	char name[IPC_NAME_MAX + 1];
	struct pki ed, odd;
	struct buf out;

	(void)state;
	memset(name, 'a', IPC_NAME_MAX);
	name[IPC_NAME_MAX] = '\0';
	buf_init(&out, 16384);
	pki_make_simple(&ed, "ED25519", "ed.example.org");
	pki_make_simple(&odd, "secp256k1", "odd.example.org");
	assert_int_equal(keyclient_key("x", (const uint8_t *)"", 0, &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(keyclient_key("x", (const uint8_t *)cut, strlen(cut), &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(keyclient_key("x", buf_head(&ed.cert_pem), ed.cert_pem.len, &out), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(keyclient_key("x", buf_head(&odd.cert_pem), odd.cert_pem.len, &out), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(
	    keyclient_key(name, buf_head(&p256.cert_pem), p256.cert_pem.len, &out), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(out.len, 0);
	pki_free(&ed);
	pki_free(&odd);
}

/* -- what the process that speaks TLS may do, and what it may know -- */

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
	struct signer signer;
	pid_t pid;

	(void)state;
	signer_start(&signer, all_pkis, all_names, SIGNS, 3000);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		struct tls *server;

		forbid_files();
		server = make_server(all_pkis, all_names);
		if (try(server, &p256, all_names[0], TLS_PROTOCOL_TLSv1_3) == -1 ||
		    try(server, &rsa2048, all_names[3], TLS_PROTOCOL_TLSv1_2) == -1)
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
	    cmocka_unit_test(test_every_kind),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_late_answer),
	    cmocka_unit_test(test_another_key),
	    cmocka_unit_test(test_pkcs1),
	    cmocka_unit_test(test_no_private_half),
	    cmocka_unit_test(test_bad_certificates),
	    cmocka_unit_test(test_sandboxed),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
