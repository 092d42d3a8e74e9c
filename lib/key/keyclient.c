/* SPDX-License-Identifier: ISC */
/*
 * Asks the vault for signatures: one question at a time, and the process waits
 * for the answer.
 *
 * Invariant: an answer is taken for the question that it names and for no
 * other; one that comes after its deadline is skipped by the next question.  A
 * channel that speaks anything but `signature` is closed.  Nothing here is fatal.
 */
#include "lib/key/keyclient.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <tls.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/ipc/message.h"
#include "lib/key/keyclient_private.h"

#define FRAME_MAX (2 * IPC_SIGN_MAX + 512) /* of a question or an answer, generously */

/* The crypto library has one set of algorithms; so there is one of these. */
static struct keyclient {
	int fd; /* -1: no channel */
	uint32_t req;
	struct buf in, out;
	bool complained; /* since the last signature that worked */
	bool broken;	 /* the channel was closed here, not taken away */
	int64_t rest_until_ms;
	char last[KEY_ID_SIZE];
} client = {.fd = -1, .in = {.max = FRAME_MAX}, .out = {.max = FRAME_MAX}};

void
keyclient_set_channel(int fd)
{
	if (client.fd != -1)
		(void)close(client.fd);
	client.fd = fd;
	if (fd != -1)
		client.complained = client.broken = false;
	client.rest_until_ms = 0;
	buf_free(&client.in);
	buf_free(&client.out);
}

const char *
keyclient_last(void)
{
	return client.last[0] == '\0' ? NULL : client.last;
}

void
keyclient_forget(void)
{
	client.last[0] = '\0';
}

/* Once for a row of failures: clients come faster than a log should grow. */
static int
complain(const struct keyclient_question *q, const char *why)
{
	struct logline l;

	if (client.complained)
		return -1;
	client.complained = true;
	logline_start(&l, LOG_LEVEL_WARN, "sign-failed");
	logline_str(&l, "pki", q->name);
	logline_str(&l, "why", why);
	logline_end(&l);
	return -1;
}

static int
break_channel(const struct keyclient_question *q, const char *why)
{
	keyclient_set_channel(-1);
	client.broken = true;
	return complain(q, why);
}

bool
keyclient_is_broken(void)
{
	return client.broken;
}

/* A vault that let one handshake wait would let all the others of this process wait as long. */
static int
rest(const struct keyclient_question *q, const char *why)
{
	client.rest_until_ms = time_mono_ms() + KEYCLIENT_REST_MS;
	return complain(q, why);
}

static int
send_question(const struct keyclient_question *q)
{
	struct msg_sign m = {.req = ++client.req,
	    .key = q->id,
	    .scheme = (uint8_t)q->scheme,
	    .digest = (uint8_t)q->digest,
	    .text = q->text};
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t len;
	ssize_t n;

	if (message_encode(MSG_sign, &m, &client.out) == -1)
		return complain(q, "too long a text");
	len = client.out.len;
	iov = (struct iovec){client.out.data + client.out.head, len};
	do
		n = sendmsg(client.fd, &msg, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	buf_consume(&client.out, len);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return rest(q, "the vault does not read");
	/* Half a question can't be taken back. */
	if (n == -1 || (size_t)n != len)
		return break_channel(q, "the vault is gone");
	return 0;
}

static int
receive(const struct keyclient_question *q)
{
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t room = FRAME_MAX - client.in.len;
	uint8_t *p;
	ssize_t n;

	if ((p = buf_reserve(&client.in, room)) == NULL)
		return complain(q, "out of memory");
	iov = (struct iovec){p, room};
	do
		n = recvmsg(client.fd, &msg, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return rest(q, "the vault does not answer");
	if (n <= 0)
		return break_channel(q, "the vault is gone");
	buf_commit(&client.in, (size_t)n);
	return 0;
}

enum found { FOUND_NOTHING, FOUND_OTHER, FOUND_ANSWER, FOUND_BROKEN };

/* The frame at the head of what came, if it is whole; it stays there. */
static enum found
look_for_answer(struct message_header *h, union message *m)
{
	int rc = message_header(buf_head(&client.in), client.in.len, h);

	if (client.in.len >= MSG_HEADER_SIZE &&
	    (rc == -1 || h->type != MSG_signature || h->length > FRAME_MAX))
		return FOUND_BROKEN;
	if (rc != 0)
		return FOUND_NOTHING;
	if (message_decode(h, buf_head(&client.in), m) == -1)
		return FOUND_BROKEN;
	return m->req == client.req ? FOUND_ANSWER : FOUND_OTHER;
}

/* Until the answer is at the head of client.in. */
static int
wait_for_answer(
    const struct keyclient_question *q, struct message_header *h, union message *m, int64_t until)
{
	for (;;) {
		switch (look_for_answer(h, m)) {
		case FOUND_ANSWER:
			return 0;
		case FOUND_OTHER: /* to a question whose deadline had passed */
			buf_consume(&client.in, h->length);
			break;
		case FOUND_BROKEN:
			return break_channel(q, "not an answer");
		case FOUND_NOTHING:
			if (time_mono_ms() >= until)
				return rest(q, "the vault is too slow");
			if (receive(q) == -1)
				return -1;
			break;
		}
	}
}

static int
take_signature(const struct keyclient_question *q, const struct msg_signature *m, uint8_t *sig,
    size_t size, size_t *len)
{
	if (m->outcome != IPC_OK)
		return complain(q, "the vault refuses");
	if (m->data.len == 0 || m->data.len > size)
		return complain(q, "not a signature");
	memcpy(sig, m->data.data, m->data.len);
	*len = m->data.len;
	client.complained = false;
	str_cut(client.last, sizeof(client.last), q->name);
	return 0;
}

int
keyclient_ask(const struct keyclient_question *q, uint8_t *sig, size_t size, size_t *len)
{
	struct message_header h;
	union message m;
	int rc;

	if (client.fd == -1)
		return complain(q, "no channel to the vault");
	if (time_mono_ms() < client.rest_until_ms)
		return complain(q, "the vault was too slow a moment ago");
	if (send_question(q) == -1 ||
	    wait_for_answer(q, &h, &m, time_mono_ms() + KEYCLIENT_DEADLINE_MS) == -1)
		return -1;
	rc = take_signature(q, &m.signature, sig, size, len);
	buf_consume(&client.in, h.length);
	return rc;
}

/* -- before the sandbox -- */

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (x == NULL)
		return NULL;
	if (X509_set_version(x, X509_VERSION_3) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 1) != NULL &&
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
		(const uint8_t *)"warm-up", -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	    X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static int
configure_server(const uint8_t *cert, size_t len)
{
	struct tls_config *config = tls_config_new();
	struct tls *tls = tls_server();
	struct buf key;
	int rc = -1;

	buf_init(&key, 2 * KEYCLIENT_STANDIN_MAX);
	if (config != NULL && tls != NULL && keyclient_key("warm-up", cert, len, &key) == 0 &&
	    tls_config_set_keypair_mem(config, cert, len, buf_head(&key), key.len) == 0)
		rc = tls_configure(tls, config);
	buf_free(&key);
	tls_free(tls);
	tls_config_free(config);
	return rc;
}

/*
 * A server that serves nobody, with a certificate made for it: only then has
 * all been looked up that libtls and the crypto library look up once, some of it in files.
 * Its private key is thrown away and was of no use to anybody.
 */
int
keyclient_warm_up(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key == NULL ? NULL : make_certificate(key);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	int rc = -1;

	if (x != NULL && bio != NULL && PEM_write_bio_X509(bio, x) == 1 &&
	    (len = BIO_get_mem_data(bio, &text)) > 0)
		rc = configure_server((const uint8_t *)text, (size_t)len);
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	if (rc == -1)
		errno = ENOTSUP;
	return rc;
}
