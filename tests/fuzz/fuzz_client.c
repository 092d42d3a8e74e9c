/* SPDX-License-Identifier: ISC */
/*
 * A hostile server.  The input is what it sends, cut into pieces at octets of
 * 0xff; between them the client has its say.  Whatever comes: every recipient
 * has at most one verdict, nobody is delivered before the final dot, and the
 * end comes once.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NRCPTS 3
#define TURNS  4

struct run {
	struct event_base *base;
	struct client *client;
	int fd;
	bool judged[NRCPTS], dot, over;
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

	check(!r->over && rcpt < NRCPTS && !r->judged[rcpt]);
	check(v->outcome <= IPC_FAIL && v->status[0] == "245"[v->outcome]);
	check(v->outcome != IPC_OK || r->dot);
	r->judged[rcpt] = true;
}

static void
on_body(void *arg)
{
	static const uint8_t text[] = ".Subject: x\r\n\r\n.\r\n";
	struct run *r = arg;
	const struct span span = {text, sizeof(text) - 1};

	client_body(r->client, span);
	r->dot = true;
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
on_over(void *arg, enum client_end how)
{
	struct run *r = arg;
	size_t i, n = 0;

	check(!r->over);
	r->over = true;
	for (i = 0; i < NRCPTS; i++)
		n += r->judged[i];
	check(how == CLIENT_DONE ? n == NRCPTS : n == 0);
}

static const struct client_callbacks callbacks = {
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_over = on_over,
};

/* What the client says is only got out of its way. */
static void
turn(struct run *r)
{
	char said[16384];
	int i;

	for (i = 0; i < TURNS; i++) {
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		while (recv(r->fd, said, sizeof(said), MSG_DONTWAIT) > 0)
			;
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const rcpts[NRCPTS] = {
	    "a@example.org", "b@example.org", "c@example.org"};
	static const struct client_mail mail = {
	    .sender = "s@example.net", .rcpts = rcpts, .nrcpts = NRCPTS, .size_bytes = 18};
	struct run r = {.base = event_base_new()};
	const struct client_options options = {
	    .callbacks = &callbacks, .arg = &r, .helo = "mx.test", .host = "example.org"};
	int pair[2];

	if (r.base == NULL || size > 65536 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == -1)
		goto out;
	r.fd = pair[1];
	if ((r.client = client_create(r.base, pair[0], &options, &mail)) == NULL)
		(void)close(pair[0]);
	else
		serve(&r, data, size);
	client_free(r.client);
	(void)close(r.fd);
out:
	if (r.base != NULL)
		event_base_free(r.base);
	return 0;
}
