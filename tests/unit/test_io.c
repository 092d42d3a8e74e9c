/* SPDX-License-Identifier: ISC */
/* The stream to a stranger: lines, limits, back-pressure, time, one end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/net/io.h"

struct rig {
	struct event_base *base;
	struct io *io;
	int peer;
	unsigned int inputs, drained, ends;
	enum io_end why;
	bool free_on_input, take_lines;
	bool read_meanwhile; /* what the peer was sent, when input comes while some is unsent */
	bool wait_on;	     /* on_timeout: go on waiting */
	unsigned int timeouts;
	size_t max;
	int rc; /* of the last io_line() */
	char lines[512];
};

static void
take_lines(struct rig *r, struct io *io)
{
	const char *line;
	size_t len;

	while ((r->rc = io_line(io, r->max, &line, &len)) == 1) {
		char text[128];

		assert_true(len < sizeof(text));
		memcpy(text, line, len);
		text[len] = '\0';
		assert_int_equal(str_append(r->lines, sizeof(r->lines), text), 0);
		assert_int_equal(str_append(r->lines, sizeof(r->lines), "|"), 0);
		io_line_done(io);
	}
}

/* The peer reads all that there is. */
static void
read_all(int peer)
{
	static char junk[65536];

	while (read(peer, junk, sizeof(junk)) > 0)
		continue;
}

static void
on_input(void *arg, struct io *io)
{
	struct rig *r = arg;

	r->inputs++;
	if (r->free_on_input) {
		r->io = NULL;
		io_free(io);
	} else if (r->take_lines)
		take_lines(r, io);
	else if (r->read_meanwhile && io_unsent(io) > 0)
		read_all(r->peer);
	else if (r->read_meanwhile)
		io_consume(io, io_input(io)->len);
}

static void
on_drained(void *arg, struct io *io)
{
	struct rig *r = arg;

	r->drained++;
	if (r->read_meanwhile && io_input(io)->len > 0)
		io_kick(io);
}

static bool
on_timeout(void *arg, struct io *io)
{
	struct rig *r = arg;

	(void)io;
	r->timeouts++;
	return r->wait_on;
}

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	struct rig *r = arg;

	(void)io;
	r->ends++;
	r->why = why;
}

static const struct io_callbacks callbacks = {
    .on_input = on_input, .on_drained = on_drained, .on_timeout = on_timeout, .on_end = on_end};

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	int pair[2];

	assert_non_null(r);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->base = event_base_new();
	assert_non_null(r->base);
	r->io = io_create(r->base, pair[0], &callbacks, r);
	assert_non_null(r->io);
	r->peer = pair[1];
	r->max = 64;
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	io_free(r->io);
	if (r->peer != -1)
		(void)close(r->peer);
	event_base_free(r->base);
	free(r);
	return 0;
}

static void
turn(struct rig *r)
{
	(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
}

static void
say(struct rig *r, const char *data, size_t n)
{
	assert_int_equal(send(r->peer, data, n, MSG_NOSIGNAL), n);
	turn(r);
}

static size_t
hear(const struct rig *r)
{
	uint8_t space[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(r->peer, space, sizeof(space), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

static void
hang_up(struct rig *r)
{
	(void)close(r->peer);
	r->peer = -1;
	turn(r);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *in, *lines;
		int rc;
	} cases[] = {
	    {"one\r\n", "one|", 0},
	    {"one\r\ntwo\r\nthr", "one|two|", 0},
	    {"\r\n\r\n", "||", 0},
	    {"a\nb\r\n", "a\nb|", 0}, /* a bare LF ends nothing */
	    {"a\rb\r\n", "a\rb|", 0},
	    {"a\r\r\n", "a\r|", 0},
	    {"\n\r\n", "\n|", 0},
	    {"a\r", "", 0},
	    {"a\n", "", 0},
	    {"12345678901234\r\n", "12345678901234|", 0},
	    {"123456789012345\r\n", "", -1}, /* 17 with its CRLF; 16 are allowed */
	    {"ok\r\n123456789012345678901234567890\r\n", "ok|", -1},
	};
	struct rig *r;
	size_t i, k;

	for (i = 0; i < NITEMS(cases); i++) {
		/* Whole, and octet by octet. */
		for (k = 0; k < 2; k++) {
			size_t n, step = k == 0 ? strlen(cases[i].in) : 1;

			if (i + k > 0)
				assert_int_equal(setup(state), 0);
			r = *state;
			r->take_lines = true;
			r->max = 16;
			for (n = 0; n < strlen(cases[i].in); n += step)
				say(r, cases[i].in + n, step);
			assert_string_equal(r->lines, cases[i].lines);
			assert_int_equal(r->rc, cases[i].rc);
			if (i + 1 < NITEMS(cases) || k == 0)
				assert_int_equal(teardown(state), 0);
		}
	}
}

/* A client that sends more than is read is held back by its own socket. */
static void
test_input_is_bounded(void **state)
{
	static char octets[4096];
	struct rig *r = *state;
	size_t sent = 0;
	ssize_t n;
	int i;

	memset(octets, 'x', sizeof(octets));
	io_set_limits(r->io, 10000, 10000);
	for (i = 0; i < 1000; i++) {
		if ((n = send(r->peer, octets, sizeof(octets), MSG_NOSIGNAL)) > 0)
			sent += (size_t)n;
		turn(r);
		assert_true(io_input(r->io)->len <= 10000);
	}
	assert_true(sent < 2000000);
	assert_int_equal(io_input(r->io)->len, 10000);
	io_consume(r->io, 10000);
	io_continue(r->io);
	turn(r);
	assert_true(io_input(r->io)->len > 0);
	assert_int_equal(r->ends, 0);
}

static void
test_pause(void **state)
{
	struct rig *r = *state;

	io_pause_input(r->io, true);
	say(r, "x", 1);
	assert_int_equal(r->inputs, 0);
	io_pause_input(r->io, false);
	turn(r);
	assert_int_equal(r->inputs, 1);
	io_continue(r->io); /* hands over again what is still there */
	assert_int_equal(r->inputs, 2);
}

static void
test_output_is_bounded(void **state)
{
	static char octets[4096];
	struct rig *r = *state;
	int i;

	memset(octets, 'x', sizeof(octets));
	for (i = 0; i < 10000 && io_write(r->io, octets, sizeof(octets)) == 0; i++)
		assert_true(io_unsent(r->io) <= 65536);
	assert_true(i < 10000);
	assert_int_equal(r->ends, 0);
	r->drained = 0;
	while (io_unsent(r->io) > 0) {
		assert_true(hear(r) > 0);
		turn(r);
	}
	assert_int_equal(r->drained, 1);
	assert_int_equal(io_write_str(r->io, "again"), 0);
}

static void
test_cork(void **state)
{
	struct rig *r = *state;

	io_cork(r->io);
	io_cork(r->io);
	assert_int_equal(io_write_str(r->io, "one"), 0);
	turn(r);
	assert_int_equal(hear(r), 0);
	io_uncork(r->io);
	assert_int_equal(hear(r), 0);
	io_uncork(r->io);
	assert_int_equal(hear(r), 3);
}

static void
test_end(void **state)
{
	struct rig *r = *state;

	say(r, "last words", 10);
	hang_up(r);
	assert_int_equal(r->inputs, 1);
	assert_int_equal(r->ends, 1);
	assert_int_equal(r->why, IO_CLOSED);
	turn(r);
	assert_int_equal(r->ends, 1);
	assert_int_equal(io_write_str(r->io, "to nobody"), 0);
	io_continue(r->io);
	assert_int_equal(r->ends, 1);
}

static void
test_free_inside(void **state)
{
	struct rig *r = *state;

	r->free_on_input = true;
	say(r, "x", 1);
	assert_int_equal(r->inputs, 1);
	hang_up(r);
	assert_int_equal(r->ends, 0);
}

static void
test_timeout(void **state)
{
	struct rig *r = *state;

	io_set_timeout(r->io, 20);
	(void)event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(r->ends, 1);
	assert_int_equal(r->why, IO_TIMEOUT);
}

/* More than the socket takes, so that some of it waits. */
static void
write_too_much(struct rig *r)
{
	static const char much[340000]; /* less than twice what it takes */

	io_set_limits(r->io, 1000, sizeof(much));
	assert_int_equal(io_write(r->io, much, sizeof(much)), 0);
	assert_true(io_unsent(r->io) > 0);
}

/* Who is waited for is still watched: when the time comes again, and when it goes. */
static void
test_timeout_waited_out_while_unsent(void **state)
{
	struct rig *r = *state;

	r->wait_on = true;
	io_pause_input(r->io, true);
	io_set_timeout(r->io, 20);
	write_too_much(r);
	while (r->timeouts < 3)
		(void)event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(r->ends, 0);
	(void)close(r->peer);
	r->peer = -1;
	while (r->ends == 0)
		(void)event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(r->why, IO_ERROR);
}

/* The input fills up in the very turn in which the output drains: it is handed over all the same. */
static void
test_kick_with_the_input_full(void **state)
{
	static const char octets[1000];
	struct rig *r = *state;
	int turns;

	r->read_meanwhile = true;
	write_too_much(r);
	assert_int_equal(write(r->peer, octets, sizeof(octets)), sizeof(octets));
	for (turns = 0; turns < 100 && io_input(r->io)->len == 0; turns++)
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	for (turns = 0; turns < 100 && io_input(r->io)->len > 0; turns++)
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	assert_int_equal(io_input(r->io)->len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_lines),
	    TEST(test_input_is_bounded),
	    TEST(test_pause),
	    TEST(test_output_is_bounded),
	    TEST(test_cork),
	    TEST(test_end),
	    TEST(test_free_inside),
	    TEST(test_timeout),
	    TEST(test_timeout_waited_out_while_unsent),
	    TEST(test_kick_with_the_input_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
