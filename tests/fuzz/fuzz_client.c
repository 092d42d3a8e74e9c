/* SPDX-License-Identifier: ISC */
/*
 * A hostile server.  The first octet says what kind of client and mail it
 * has, the rest is what it sends, cut into pieces at octets of 0xff; between
 * them the client has its say.  Whatever comes: every recipient of every message has at
 * most one verdict, nobody is delivered before the message's end was said, each end
 * fits what was judged, there is one, and no bare CR or LF goes out.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/client_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NRCPTS	  3
#define NMAILS	  3
#define TURNS	  4
#define TOLD_MAX  1024
#define IS_LMTP	  0x01
#define IS_CHUNKS 0x02
#define IS_BINARY 0x04
#define IS_DSN	  0x08
#define IS_LATE	  0x10 /* BY, RETURN */
#define IS_AUTH	  0x20
#define IS_LONG	  0x40

struct run {
	struct event_base *base;
	struct client *client;
	struct client_mail mail;
	int fd;
	size_t left, nverdicts;
	bool judged[NRCPTS], begun, ended, over, in_send;
	uint8_t kind, last; /* last: the octet that was said last */
};

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
on_verdict(void *arg, size_t rcpt, const struct verdict *v)
{
	struct run *r = arg;

	check(!r->over && r->begun && rcpt < NRCPTS && !r->judged[rcpt]);
	check(v->outcome <= IPC_FAIL && v->status[0] == "245"[v->outcome]);
	check(v->outcome != IPC_OK || r->ended);
	check(v->again_s >= 0 && (v->again_s == 0 || v->outcome == IPC_RETRY));
	check(!v->relayed || v->outcome == IPC_OK);
	r->judged[rcpt] = true;
	r->nverdicts++;
}

static void
on_body(void *arg)
{
	static const uint8_t text[] = ".Subject: x\n\r\n.\r\n\rend";
	static const uint8_t much[40000];
	struct run *r = arg;
	const struct span span = {text, sizeof(text) - 1}, long_span = {much, sizeof(much)};

	if ((r->kind & IS_LONG) != 0)
		client_body(r->client, long_span);
	client_body(r->client, span);
	r->ended = true;
	client_body_end(r->client);
}

static void
on_room(void *arg, bool room)
{
	(void)arg;
	(void)room;
}

static void
on_body_stop(void *arg)
{
	(void)arg;
}

static void
send_next(struct run *r)
{
	if (r->left == 0) {
		client_quit(r->client);
		return;
	}
	r->left--;
	memset(r->judged, 0, sizeof(r->judged));
	r->nverdicts = 0;
	r->begun = true;
	r->ended = false;
	r->in_send = true;
	client_send(r->client, &r->mail);
	r->in_send = false;
}

static void
on_ready(void *arg)
{
	send_next(arg);
}

static void
on_done(void *arg)
{
	struct run *r = arg;

	check(!r->over && !r->in_send && r->begun && r->nverdicts == NRCPTS);
	r->begun = false;
	send_next(r);
}

static bool
on_tls(void *arg, struct tls *tls, struct verdict *why)
{
	(void)arg;
	(void)tls;
	(void)why;
	return true;
}

static void
on_auth(void *arg, const char *mechanisms)
{
	static const uint8_t secret[] = "a secret of ours";
	const struct span data = {secret, sizeof(secret) - 1};
	struct run *r = arg;

	check(strlen(mechanisms) <= IPC_NAME_MAX);
	client_auth(r->client, "PLAIN", &data);
}

static void
on_auth_challenge(void *arg, struct span data)
{
	struct run *r = arg;

	check(data.len <= IPC_SASL_MAX);
	client_auth(r->client, "", &data);
}

static void
on_auth_result(void *arg, enum ipc_outcome outcome, const char *text)
{
	(void)arg;
	check(outcome <= IPC_FAIL && strlen(text) <= TOLD_MAX);
}

static void
on_over(void *arg, enum client_end how)
{
	struct run *r = arg;

	check(!r->over);
	r->over = true;
	if (how == CLIENT_LOST)
		check(r->begun && r->nverdicts == NRCPTS);
	else if (how == CLIENT_STALE)
		check(r->begun && r->nverdicts == 0 && !r->ended && r->left < NMAILS - 1);
	else
		check(!r->begun || (how == CLIENT_CLOSED && r->nverdicts == NRCPTS));
}

static int64_t
on_clock(void *arg)
{
	(void)arg;
	return 0;
}

static const struct client_callbacks callbacks = {
    .on_ready = on_ready,
    .on_tls = on_tls,
    .on_auth = on_auth,
    .on_auth_challenge = on_auth_challenge,
    .on_auth_result = on_auth_result,
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_done = on_done,
    .on_over = on_over,
    .on_clock = on_clock,
};

/* A binary text has what it has; anything else leaves in lines. */
static void
hear(struct run *r, const uint8_t *said, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((r->kind & IS_BINARY) == 0)
			check((said[i] == '\n') == (r->last == '\r'));
		r->last = said[i];
	}
}

static void
turn(struct run *r)
{
	uint8_t said[16384];
	ssize_t n;
	int i;

	for (i = 0; i < TURNS; i++) {
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		while ((n = recv(r->fd, said, sizeof(said), MSG_DONTWAIT)) > 0)
			hear(r, said, (size_t)n);
	}
}

static void
serve(struct run *r, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *cut;

	turn(r);
	for (; data < end && !r->over; data = cut + 1) {
		if ((cut = memchr(data, 0xff, (size_t)(end - data))) == NULL)
			cut = end;
		if (send(r->fd, data, (size_t)(cut - data), MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			break;
		turn(r);
		if (cut == end)
			break;
	}
	(void)shutdown(r->fd, SHUT_WR);
	while (!r->over)
		turn(r);
}

static struct client_mail
mail_of(uint8_t kind)
{
	static const char *const rcpts[NRCPTS] = {
	    "a@example.org", "b@example.org", "c@example.org"};
	static const struct client_dsn dsn[NRCPTS] = {
	    {IPC_NOTIFY_NEVER, ""}, {IPC_NOTIFY_SUCCESS, "rfc822;b@example.org"}, {0, "a\r\nb"}};

	return (struct client_mail){.sender = "s@example.net",
	    .rcpts = rcpts,
	    .nrcpts = NRCPTS,
	    .dsn = (kind & IS_DSN) != 0 ? dsn : NULL,
	    .envid = "id",
	    .ret = "HDRS",
	    .size_bytes = 21 + ((kind & IS_LONG) != 0 ? 40000 : 0),
	    .is_binary = (kind & IS_BINARY) != 0,
	    .by = (kind & IS_LATE) != 0 ? IPC_BY_RETURN : IPC_BY_NONE,
	    .by_s = 100,
	    .priority = 1};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t kind = size > 0 ? data[0] : 0;
	struct run r = {
	    .base = event_base_new(), .left = NMAILS, .mail = mail_of(kind), .kind = kind};
	const struct client_options options = {.callbacks = &callbacks,
	    .arg = &r,
	    .helo = "mx.test",
	    .lmtp = (kind & IS_LMTP) != 0,
	    .auth = (kind & IS_AUTH) != 0,
	    .chunking = (kind & IS_CHUNKS) != 0};
	int pair[2];

	if (r.base == NULL || size == 0 || size > 65536 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == -1)
		goto out;
	r.fd = pair[1];
	if ((r.client = client_create(r.base, pair[0], &options)) == NULL)
		(void)close(pair[0]);
	else {
		r.client->secure = r.client->options.auth; /* as if by a handshake */
		serve(&r, data + 1, size - 1);
	}
	client_free(r.client);
	(void)close(r.fd);
out:
	if (r.base != NULL)
		event_base_free(r.base);
	return 0;
}
