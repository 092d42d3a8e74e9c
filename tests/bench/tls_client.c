/* SPDX-License-Identifier: ISC */
/*
 * The client of tls.py: many SMTP sessions under TLS from one thread.  It speaks
 * to OpenSSL itself: what libtls does for a server is part of what is measured.
 *
 * Without -i it keeps so many sessions busy for so long.  Each connects, says
 * EHLO and STARTTLS (with -s nothing: TLS comes first), shakes hands in full,
 * says EHLO and QUIT.  A line for each: microseconds from connect to the 221,
 * those of the handshake, 1 if it resumed a session.  The first failure ends it.
 * -r resumes whenever the server allows; -2 speaks TLS 1.2 instead of 1.3.
 *
 * With -i it opens so many, writes "held N" after the second EHLO, waits for the
 * end of its standard input and writes "alive N": how many still answer.
 *
 * It verifies the server's signature, as every client does, but no certificate.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "tests/bench/common.h"

#define SESSIONS_MAX 100000
#define SECONDS_MAX  600
#define SAMPLES_MAX  (1U << 20) /* then it ends early */
#define REPLY_MAX    1024	/* octets of one reply */
#define OPENING_MAX  64		/* idle sessions that have not said EHLO yet */
#define PATIENCE_MS  30000	/* without any answer at all */
#define DESCRIPTORS  32		/* that are not sessions */
#define EVENTS_MAX   256

enum act { SAY, SHAKE, HOLD, END };

struct step { /* what is awaited, and what is done when it came; code 0: nothing, at once */
	int code;
	enum act act;
	const char *text; /* said; after SHAKE: when hands are shaken */
};

#define EHLO "EHLO client.test\r\n"

/* clang-format off */
static const struct step starttls[] = {
	{220, SAY, EHLO},
	{250, SAY, "STARTTLS\r\n"},
	{220, SHAKE, EHLO},
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
static const struct step implicit[] = {
	{0, SHAKE, NULL},
	{220, SAY, EHLO},
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
static const struct step starttls_idle[] = {
	{220, SAY, EHLO},
	{250, SAY, "STARTTLS\r\n"},
	{220, SHAKE, EHLO},
	{250, HOLD, NULL},	/* on the other side of the hold: NOOP */
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
static const struct step implicit_idle[] = {
	{0, SHAKE, NULL},
	{220, SAY, EHLO},
	{250, HOLD, NULL},
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
/* clang-format on */

struct client {
	int fd; /* -1: none */
	SSL *ssl;
	bool waiting, shaking; /* for a reply or a handshake; for the latter */
	size_t step, nin;      /* nin: octets of the reply so far */
	uint64_t started_ns, shake_ns;
	SSL_SESSION *resumable; /* the newest; owned, and used until the next */
	char in[REPLY_MAX];
};

struct sample {
	uint32_t session_us, shake_us;
	bool resumed;
};

struct load {
	/* as asked */
	bool idle, smtps, resume, tls12;
	uint64_t nclients, seconds;
	uint16_t port;
	/* as it goes */
	int epoll;
	SSL_CTX *tls;
	const struct step *script;
	struct client *clients;
	size_t opened, waiting, held, alive, failed; /* waiting: clients that do */
	uint64_t end_ns;
	struct sample *samples;
	size_t nsamples;
};

/* -- one client -- */

static void
client_close(struct load *l, struct client *c)
{
	SSL_free(c->ssl);
	if (c->fd != -1)
		(void)close(c->fd);
	if (c->waiting)
		l->waiting--;
	c->fd = -1;
	c->ssl = NULL;
	c->waiting = c->shaking = false;
}

static void
client_fail(struct load *l, struct client *c, const char *why)
{
	if (l->failed++ == 0)
		log_warn("session %zu failed at step %zu: %s: %.*s", (size_t)(c - l->clients),
		    c->step, why, (int)strcspn(c->in, "\r\n"), c->in);
	if (!c->waiting)
		l->held--;
	client_close(l, c);
}

static const char *
tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : "TLS: closed";
}

static void
client_say(struct load *l, struct client *c, const char *text)
{
	size_t len = strlen(text);
	bool taken;

	if (c->ssl == NULL)
		taken = send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
	else
		taken = SSL_write(c->ssl, text, (int)len) == (int)len;
	if (!taken)
		client_fail(l, c, "what was said was not taken");
}

/* Goes on when the socket has more; done when hands are shaken. */
static void
client_shake(struct load *l, struct client *c)
{
	const char *text = l->script[c->step - 1].text;
	int rc;

	ERR_clear_error();
	if ((rc = SSL_connect(c->ssl)) != 1) {
		if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ)
			client_fail(l, c, tls_reason());
		return;
	}
	c->shaking = false;
	c->shake_ns = now_ns() - c->shake_ns;
	if (text != NULL)
		client_say(l, c, text);
}

static void
client_start_tls(struct load *l, struct client *c)
{
	if ((c->ssl = SSL_new(l->tls)) == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
	    SSL_set_ex_data(c->ssl, 0, c) != 1)
		fatal("a TLS connection: %s", tls_reason());
	if (c->resumable != NULL)
		(void)SSL_set_session(c->ssl, c->resumable);
	c->shaking = true;
	c->shake_ns = now_ns();
}

static void
client_open(struct load *l, struct client *c)
{
	struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};

	*c = (struct client){.waiting = true, .started_ns = now_ns(), .resumable = c->resumable};
	l->waiting++;
	c->fd = client_connect((size_t)(c - l->clients), l->port);
	/* Where TLS comes first, what is ready first is the connection. */
	if (l->smtps)
		want.events |= EPOLLOUT;
	if (c->fd == -1 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &want) == -1)
		client_fail(l, c, strerror(errno));
}

/* After the 221 has come, or the reply to the EHLO of an idle one: another takes its turn. */
static void
client_next(struct load *l, struct client *c)
{
	if (l->idle) {
		if (l->opened < l->nclients)
			client_open(l, &l->clients[l->opened++]);
	} else if (now_ns() < l->end_ns && l->nsamples < SAMPLES_MAX)
		client_open(l, c);
}

static uint32_t
in_us(uint64_t ns)
{
	return ns / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 1000);
}

static void
client_sample(struct load *l, const struct client *c)
{
	if (l->nsamples < SAMPLES_MAX)
		l->samples[l->nsamples++] = (struct sample){in_us(now_ns() - c->started_ns),
		    in_us(c->shake_ns), SSL_session_reused(c->ssl) == 1};
}

static void
client_end(struct load *l, struct client *c)
{
	if (!l->idle)
		client_sample(l, c);
	(void)SSL_shutdown(c->ssl); /* without close_notify no session may be resumed */
	client_close(l, c);
	if (!l->idle)
		client_next(l, c);
}

static void
client_act(struct load *l, struct client *c)
{
	const struct step *step = &l->script[c->step];

	if (c->step > 0 && step[-1].act == HOLD)
		l->alive++;
	c->step++;
	switch (step->act) {
	case SAY:
		client_say(l, c, step->text);
		break;
	case SHAKE:
		client_start_tls(l, c);
		client_shake(l, c);
		break;
	case HOLD:
		c->waiting = false;
		l->waiting--;
		l->held++;
		client_next(l, c);
		break;
	case END:
		client_end(l, c);
		break;
	}
}

/* -1: nothing yet, or it has failed. */
static ssize_t
client_receive(struct load *l, struct client *c)
{
	size_t room = sizeof(c->in) - 1 - c->nin;
	ssize_t n;

	if (c->ssl == NULL) {
		n = recv(c->fd, c->in + c->nin, room, 0);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return -1;
	} else {
		ERR_clear_error();
		n = SSL_read(c->ssl, c->in + c->nin, (int)room);
		if (n <= 0 && SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ)
			return -1;
	}
	if (n > 0)
		return n;
	client_fail(l, c, c->ssl != NULL ? tls_reason() : "closed, or a reply too long");
	return -1;
}

static void
client_read(struct load *l, struct client *c)
{
	ssize_t n = client_receive(l, c);
	int code = 0;

	if (n == -1)
		return;
	c->nin += (size_t)n;
	c->in[c->nin] = '\0';
	if (!reply_whole(c->in, c->nin, &code))
		return;
	if (code != l->script[c->step].code) {
		client_fail(l, c, "unexpected reply");
		return;
	}
	c->nin = 0;
	client_act(l, c);
}

static void
client_connected(struct load *l, struct client *c)
{
	struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};

	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &want) == -1)
		fatal("epoll_ctl: %s", strerror(errno));
	client_act(l, c);
}

static void
client_ready(struct load *l, struct client *c)
{
	if (l->script[c->step].code == 0)
		client_connected(l, c);
	else if (c->shaking)
		client_shake(l, c);
	else
		client_read(l, c);
}

/* -- all of them -- */

/* Until nobody waits for a reply any more, or a busy one has failed. */
static void
load_run(struct load *l)
{
	struct epoll_event ready[EVENTS_MAX];
	int i, n;

	while (l->waiting > 0 && (l->idle || l->failed == 0)) {
		n = epoll_wait(l->epoll, ready, EVENTS_MAX, PATIENCE_MS);
		if (n == 0 || (n == -1 && errno != EINTR)) {
			log_warn("%zu sessions: %s", l->waiting,
			    n == 0 ? "no answer in time" : strerror(errno));
			l->failed += l->waiting;
			return;
		}
		for (i = 0; i < n; i++)
			client_ready(l, ready[i].data.ptr);
	}
}

static void
load_open(struct load *l, size_t n)
{
	while (l->opened < n)
		client_open(l, &l->clients[l->opened++]);
	load_run(l);
}

static int
run_busy(struct load *l)
{
	const struct sample *s;
	size_t i;

	l->script = l->smtps ? implicit : starttls;
	l->end_ns = now_ns() + l->seconds * NS_PER_S;
	load_open(l, l->nclients);
	for (i = 0; i < l->nsamples; i++) {
		s = &l->samples[i];
		(void)printf(
		    "%" PRIu32 " %" PRIu32 " %d\n", s->session_us, s->shake_us, s->resumed);
	}
	return l->failed > 0;
}

static int
run_idle(struct load *l)
{
	char c;
	size_t i;

	l->script = l->smtps ? implicit_idle : starttls_idle;
	load_open(l, l->nclients < OPENING_MAX ? l->nclients : OPENING_MAX);
	(void)printf("held %zu\n", l->held);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	for (i = 0; i < l->opened; i++) {
		if (l->clients[i].fd == -1)
			continue;
		l->clients[i].waiting = true;
		l->waiting++;
		client_say(l, &l->clients[i], "NOOP\r\n");
	}
	load_run(l);
	(void)printf("alive %zu\n", l->alive);
	return 0;
}

/* Takes the session over. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_ex_data(ssl, 0);

	SSL_SESSION_free(c->resumable);
	c->resumable = session;
	return 1;
}

static SSL_CTX *
tls_create(const struct load *l)
{
	int version = l->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL || SSL_CTX_set_min_proto_version(tls, version) != 1 ||
	    SSL_CTX_set_max_proto_version(tls, version) != 1)
		fatal("TLS: %s", tls_reason());
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	if (l->resume) {
		(void)SSL_CTX_set_session_cache_mode(
		    tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls, on_session);
	} else
		(void)SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
	return tls;
}

static void __attribute__((noreturn)) usage(void)
{
	(void)fputs("usage: bench-tls [-2irs] [-n sessions] [-t seconds] port\n", stderr);
	exit(2);
}

static void
options(struct load *l, int argc, char **argv)
{
	uint64_t port;
	int c, bad = 0;

	while ((c = getopt(argc, argv, "2irsn:t:")) != -1) {
		if (c == '2')
			l->tls12 = true;
		else if (c == 'i')
			l->idle = true;
		else if (c == 'r')
			l->resume = true;
		else if (c == 's')
			l->smtps = true;
		else if (c == 'n')
			bad |= str_u64(optarg, 1, SESSIONS_MAX, &l->nclients);
		else if (c == 't')
			bad |= str_u64(optarg, 1, SECONDS_MAX, &l->seconds);
		else
			usage();
	}
	if (bad != 0 || optind + 1 != argc || str_u64(argv[optind], 1, UINT16_MAX, &port) == -1)
		usage();
	l->port = (uint16_t)port;
}

int
main(int argc, char **argv)
{
	static struct load l = {.nclients = 1, .seconds = 1};

	log_set_name("bench-tls");
	options(&l, argc, argv);
	descriptors_raise(l.nclients + DESCRIPTORS);
	l.tls = tls_create(&l);
	l.clients = calloc(l.nclients, sizeof(*l.clients));
	l.samples = l.idle ? NULL : calloc(SAMPLES_MAX, sizeof(*l.samples));
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.clients == NULL || (l.samples == NULL && !l.idle) || l.epoll == -1)
		fatal("start: %s", strerror(errno));
	return l.idle ? run_idle(&l) : run_busy(&l);
}
