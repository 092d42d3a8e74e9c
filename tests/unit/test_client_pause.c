/* SPDX-License-Identifier: ISC */
/*
 * A body whose owner was told to pause: what still comes, and the server that reads on
 * late, must not leave both waiting for each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/client.h"

#define PIECE	   32768
#define SMALL	   1024
#define GATHERED   16384 /* less waits for more, as long as more may come */
#define ROUNDS_MAX 100000

static struct scene {
	struct event_base *base;
	struct client *client;
	int fd; /* the server's end */
	bool ready, begun, paused, over;
	size_t heard, before, fed; /* octets: read by the server, those of commands; the body's */
} s;

static void
on_ready(void *arg)
{
	(void)arg;
	s.ready = true;
}

static void
on_verdict(void *arg, size_t rcpt, const struct verdict *v)
{
	(void)arg;
	(void)rcpt;
	(void)v;
}

static void
on_body(void *arg)
{
	(void)arg;
	s.begun = true;
}

static void
on_room(void *arg, bool room)
{
	(void)arg;
	s.paused = !room;
}

static void
on_nothing(void *arg)
{
	(void)arg;
}

static void
on_over(void *arg, enum client_end how)
{
	(void)arg;
	(void)how;
	s.over = true;
}

static const struct client_callbacks calls = {.on_ready = on_ready,
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_nothing,
    .on_done = on_nothing,
    .on_over = on_over};

/* The server reads all there is, and the client sends as much as then has room. */
static void
turn(void)
{
	char room[PIECE];
	ssize_t n;

	while ((n = recv(s.fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
		s.heard += (size_t)n;
	(void)event_base_loop(s.base, EVLOOP_NONBLOCK);
}

/* Says a reply, and waits for what the client says to it, or is told of it. */
static void
answer(const char *reply, const bool *until)
{
	size_t i, heard = s.heard;

	assert_int_equal(send(s.fd, reply, strlen(reply), 0), strlen(reply));
	for (i = 0; i < ROUNDS_MAX && (until != NULL ? !*until : s.heard == heard); i++)
		turn();
	assert_true(i < ROUNDS_MAX);
}

static void
feed(size_t len)
{
	static const uint8_t text[PIECE] = {0}; /* goes out as it is */

	client_body(s.client, (struct span){text, len});
	s.fed += len;
}

/* What the client has not sent yet. */
static size_t
unsent(void)
{
	int pending = 0;

	assert_int_equal(ioctl(s.fd, FIONREAD, &pending), 0);
	return s.fed - (s.heard - s.before) - (size_t)pending;
}

static void
test_a_late_piece(void **state)
{
	static const char *const rcpts[] = {"r@example.org"};
	static const struct client_mail mail = {.sender = "", .rcpts = rcpts, .nrcpts = 1};
	const struct client_options options = {.callbacks = &calls, .helo = "mx.test"};
	const int size = 4096;
	int fds[2];
	size_t i;

	(void)state;
	s.base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	s.fd = fds[1];
	assert_non_null(s.client = client_create(s.base, fds[0], &options));
	answer("220 hi\r\n", NULL);
	answer("250 HELP\r\n", &s.ready);
	client_send(s.client, &mail);
	turn();
	for (i = 0; i < 2; i++) /* RCPT and DATA follow */
		answer("250 ok\r\n", NULL);
	answer("354 go\r\n", &s.begun);
	s.before = s.heard;
	while (!s.paused)
		feed(PIECE);
	while (unsent() >= GATHERED - SMALL)
		turn();
	assert_true(s.paused && unsent() > 0);
	feed(SMALL);
	for (i = 0; i < ROUNDS_MAX && s.paused; i++)
		turn();
	assert_false(s.paused);
	assert_int_equal(unsent(), 0);
	client_free(s.client);
	(void)close(s.fd);
	event_base_free(s.base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_late_piece)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
