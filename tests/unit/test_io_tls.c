/* SPDX-License-Identifier: ISC */
/* TLS under a stream: nothing waits for an event that will not come, and nothing follows its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tls.h>
#include <unistd.h>

#include "lib/net/io.h"
#include "tests/unit/tls_pair.h"

#define TURNS_MAX 2000

struct rig {
	struct event_base *base;
	struct tls *server;
	struct io *io;
	pid_t client;
	size_t octets; /* that came in by TLS */
	size_t header; /* octets in plain before it */
	bool up, pause_on_input, early;
	unsigned int ends, handshakes;
	enum io_end why;
};

static struct tls *
accept_tls(struct rig *r)
{
	struct tls *tls = NULL;

	assert_int_equal(tls_accept_cbs(r->server, &tls, io_tls_read, io_tls_write, r->io), 0);
	return tls;
}

static void
on_input(void *arg, struct io *io)
{
	struct rig *r = arg;
	size_t n = io_input(io)->len;

	if (!r->up) {
		if (n <= r->header)
			return;
		io_consume(io, r->header);
		io_start_tls_with_input(io, accept_tls(r));
		return;
	}
	r->octets += n;
	io_consume(io, n);
	if (r->pause_on_input)
		io_pause_input(io, true);
}

static void
on_ready(void *arg, struct io *io)
{
	struct rig *r = arg;

	(void)io;
	r->up = true;
}

static void
on_handshake(void *arg, struct io *io)
{
	struct rig *r = arg;

	(void)io;
	r->handshakes++;
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
    .on_input = on_input, .on_ready = on_ready, .on_handshake = on_handshake, .on_end = on_end};

/* -- the client: a process of its own that speaks, and waits for nothing but the handshake -- */

static struct tls *
client_tls(int fd)
{
	struct tls_config *config = tls_config_new();
	struct tls *tls = tls_client();

	tls_config_insecure_noverifycert(config);
	tls_config_insecure_noverifyname(config);
	if (tls_configure(tls, config) == -1 || tls_connect_socket(tls, fd, "peer.test") == -1 ||
	    tls_handshake(tls) == -1)
		_exit(1);
	return tls;
}

static void
client_say(struct tls *tls, size_t n)
{
	static char text[40000];
	size_t done = 0;
	ssize_t got;

	memset(text, 'x', sizeof(text));
	while (done < n) {
		if ((got = tls_write(tls, text + done, n - done)) < 0)
			_exit(1);
		done += (size_t)got;
	}
}

static void
say_much(int fd)
{
	client_say(client_tls(fd), 40000);
}

static void
say_with_header(int fd)
{
	if (write(fd, "HEADER\r\n", 8) != 8)
		_exit(1);
	client_say(client_tls(fd), 5);
}

static void
say_on_after_the_end(int fd)
{
	struct tls *tls = client_tls(fd);

	client_say(tls, 3);
	(void)tls_close(tls);
	if (write(fd, "QUIT\r\n", 6) != 6)
		_exit(1);
}

static void
say_a_bad_record(int fd)
{
	struct tls *tls = client_tls(fd);

	client_say(tls, 3);
	if (write(fd, "\x17\x03\x03\x00\x20 this is no record of this connection", 40) != 40)
		_exit(1);
}

static void
say_plain(int fd)
{
	if (write(fd, "EHLO me\r\n", 9) != 9)
		_exit(1);
}

/* -- the rig -- */

static void
start(struct rig *r, void (*client)(int fd), size_t header, size_t input_max)
{
	struct tls_config *config = tls_config_new();
	int pair[2];

	*r = (struct rig){.base = event_base_new(), .server = tls_server(), .header = header};
	assert_int_equal(tls_config_set_keypair_mem(config, (const uint8_t *)certificate,
			     strlen(certificate), (const uint8_t *)key, strlen(key)),
	    0);
	assert_int_equal(tls_configure(r->server, config), 0);
	tls_config_free(config);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if ((r->client = fork()) == 0) {
		(void)close(pair[0]);
		client(pair[1]);
		/* Until the server has seen enough: the end of the socket is not what is tested. */
		while (read(pair[1], &pair, sizeof(pair)) > 0)
			continue;
		_exit(0);
	}
	(void)close(pair[1]);
	r->io = io_create(r->base, pair[0], &callbacks, r);
	assert_non_null(r->io);
	io_set_limits(r->io, input_max, 65536);
	if (header == 0)
		r->early = io_start_tls(r->io, accept_tls(r));
}

static void
turn_until(struct rig *r, size_t octets)
{
	const struct timeval late = {10, 0};
	unsigned int i;

	(void)event_base_loopexit(r->base, &late);
	for (i = 0; i < TURNS_MAX && r->octets < octets && r->ends == 0; i++)
		(void)event_base_loop(r->base, EVLOOP_ONCE);
}

static void
stop(struct rig *r)
{
	int status;

	io_free(r->io);
	assert_int_equal(waitpid(r->client, &status, 0), r->client);
	tls_free(r->server);
	event_base_free(r->base);
}

/* A record is longer than what may be read at once. */
static void
test_small_reads(void **state)
{
	struct rig r;

	(void)state;
	start(&r, say_much, 0, 700);
	turn_until(&r, 40000);
	assert_int_equal(r.octets, 40000);
	assert_true(r.handshakes > 1);
	stop(&r);
}

/* All of it has left the socket long before it is asked for. */
static void
test_paused_between(void **state)
{
	struct rig r;
	unsigned int i;

	(void)state;
	start(&r, say_much, 0, 700);
	r.pause_on_input = true;
	for (i = 0; i < 100 && r.octets < 40000; i++) {
		size_t before = r.octets;

		io_pause_input(r.io, false);
		turn_until(&r, before + 1);
		assert_true(r.octets > before);
	}
	assert_int_equal(r.octets, 40000);
	stop(&r);
}

static void
test_after_a_header(void **state)
{
	struct rig r;

	(void)state;
	start(&r, say_with_header, 8, 65536);
	turn_until(&r, 5);
	assert_int_equal(r.octets, 5);
	stop(&r);
}

static void
test_nothing_after_the_end(void **state)
{
	struct rig r;

	(void)state;
	start(&r, say_on_after_the_end, 0, 65536);
	turn_until(&r, 100);
	assert_int_equal(r.octets, 3);
	assert_int_equal(r.ends, 1);
	assert_int_equal(r.why, IO_CLOSED);
	stop(&r);
}

static void
test_bad_record(void **state)
{
	struct rig r;

	(void)state;
	start(&r, say_a_bad_record, 0, 65536);
	turn_until(&r, 100);
	assert_int_equal(r.octets, 3);
	assert_int_equal(r.ends, 1);
	assert_int_equal(r.why, IO_TLS_FAILED);
	stop(&r);
}

static void
test_no_handshake(void **state)
{
	struct rig r;

	(void)state;
	start(&r, say_plain, 0, 65536);
	turn_until(&r, 1);
	assert_false(r.up);
	assert_int_equal(r.octets, 0);
	assert_int_equal(r.ends, 1);
	assert_int_equal(r.why, IO_TLS_FAILED);
	stop(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small_reads),
	    cmocka_unit_test(test_paused_between),
	    cmocka_unit_test(test_after_a_header),
	    cmocka_unit_test(test_nothing_after_the_end),
	    cmocka_unit_test(test_bad_record),
	    cmocka_unit_test(test_no_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
