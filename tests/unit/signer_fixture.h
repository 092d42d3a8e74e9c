/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SIGNER_FIXTURE_H
#define TESTS_UNIT_SIGNER_FIXTURE_H

/*
 * TLS without a private key in the process: handshakes by libtls, with a
 * forked signer in the vault's place that speaks `sign` and `signature`, in
 * one manner or another, and holds the keys in the vault's own store.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <stdbool.h>
#include <stdlib.h>
#include <tls.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/ipc/message.h"
#include "lib/key/keyclient.h"
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

static inline void
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

static inline void
sign(int fd, struct keys *k, const struct msg_sign *m)
{
	uint8_t sig[IPC_SIGN_MAX];
	size_t len = 0;
	int rc = keys_sign(k, m, sig, &len);

	answer(fd, m->req, rc == 0 ? IPC_OK : IPC_FAIL, sig, rc == 0 ? len : 0);
}

static inline void
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

static inline void
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
		answer(fd, m->req, IPC_FAIL, rubbish, sizeof(rubbish));
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

static inline void
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

static inline void
feed(struct keys *k, enum ipc_data kind, const char *name, const struct buf *b)
{
	struct msg_file_data m = {
	    .kind = (uint8_t)kind, .name = name, .last = true, .data = {buf_head(b), b->len}};

	if (keys_feed(k, &m) == -1)
		_exit(5);
}

static inline struct keys *
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
static inline void
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

static inline void
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

static inline struct tls *
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

static inline struct tls *
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
static inline int
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

static inline int
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

#endif
