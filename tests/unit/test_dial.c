/* SPDX-License-Identifier: ISC */
/* Which address answers first, from which of ours, and through a SOCKS5 proxy: on the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "delivery/dial.h"
#include "delivery/socks.h"
#include "lib/base/bug.h"
#include "lib/base/time.h"

#define DEADLINE_MS 20000
#define FILLERS	    8

struct run {
	struct event_base *base;
	bool done;
	int fd, error;
	size_t address;
	char text[64];
};

static void
on_done(void *arg, int fd, size_t address, int error, const char *text)
{
	struct run *r = arg;

	assert_false(r->done);
	r->done = true;
	r->fd = fd;
	r->address = address;
	r->error = error;
	(void)strncat(r->text, text, sizeof(r->text) - 1);
}

static void
turn_until(struct run *r, const bool *what)
{
	int64_t deadline = time_mono_ms() + DEADLINE_MS;

	while (!*what) {
		(void)event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_true(time_mono_ms() < deadline);
	}
}

/* A listener on the loopback, and its address. */
static int
listen_on(const char *host, int backlog, struct addr *out)
{
	int fd;

	assert_int_equal(addr_parse(host, 0, out), 0);
	fd = socket(out->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&out->ss, out->len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&out->ss, &out->len), 0);
	return fd;
}

/* Nobody answers there: the queue of who waits to be accepted is full. */
struct hole {
	int fd, fillers[FILLERS];
	struct addr addr;
};

static void
hole_dig(struct hole *h)
{
	size_t i;

	h->fd = listen_on("127.0.0.1", 0, &h->addr);
	for (i = 0; i < FILLERS; i++) {
		h->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(h->fillers[i] >= 0);
		(void)connect(h->fillers[i], (struct sockaddr *)&h->addr.ss, h->addr.len);
	}
}

static void
hole_fill(struct hole *h)
{
	size_t i;

	for (i = 0; i < FILLERS; i++)
		(void)close(h->fillers[i]);
	(void)close(h->fd);
}

static struct run
dial(const struct dial_options *with)
{
	struct run r = {.base = event_base_new(), .fd = -1};
	struct dial_options o = *with;
	struct dial *d;

	o.done = on_done;
	o.arg = &r;
	d = dial_start(r.base, &o);
	assert_non_null(d);
	assert_false(r.done);
	turn_until(&r, &r.done);
	dial_stop(d);
	event_base_free(r.base);
	return r;
}

static void
test_order(void **state)
{
	struct addr a[3];
	int one = listen_on("127.0.0.1", 5, &a[0]), two = listen_on("127.0.0.1", 5, &a[1]),
	    value = 0;
	socklen_t len = sizeof(value);
	struct run r;

	(void)state;
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 2});
	assert_int_equal(r.address, 0);
	assert_true(r.fd >= 0);
	assert_int_equal(getsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
	assert_int_equal(value, 1);
	(void)close(r.fd);
	(void)close(one); /* refused from here on */
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 2});
	assert_int_equal(r.address, 1);
	assert_true(r.fd >= 0);
	(void)close(r.fd);
	(void)close(two);
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 2});
	assert_int_equal(r.fd, -1);
	assert_int_equal(r.error, ECONNREFUSED);
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 0});
	assert_int_equal(r.fd, -1);
}

/* Two who do not answer have their time; the next has its turn beside the first. */
static void
test_race(void **state)
{
	struct hole h;
	struct addr a[2];
	int two = listen_on("127.0.0.1", 5, &a[1]);
	int64_t began = time_mono_ms();
	struct run r;

	(void)state;
	hole_dig(&h);
	a[0] = h.addr;
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 2});
	assert_int_equal(r.address, 1);
	assert_true(r.fd >= 0);
	assert_true(time_mono_ms() - began >= DIAL_RACE_MS - 50);
	(void)close(r.fd);
	r = dial(&(struct dial_options){.addresses = a, .naddresses = 1, .timeout_ms = 50});
	assert_int_equal(r.fd, -1);
	assert_int_equal(r.error, ETIMEDOUT);
	hole_fill(&h);
	(void)close(two);
}

static void
test_source(void **state)
{
	struct addr a[2], from[2], peer = {.len = sizeof(peer.ss)};
	int four = listen_on("127.0.0.1", 5, &a[0]), six = listen_on("::1", 5, &a[1]), fd;
	struct run r;

	(void)state;
	assert_int_equal(addr_parse("127.0.0.9", 0, &from[0]), 0);
	assert_int_equal(addr_parse("::1", 0, &from[1]), 0);
	r = dial(&(struct dial_options){
	    .addresses = a, .naddresses = 2, .sources = from, .nsources = 1});
	assert_int_equal(r.address, 0);
	fd = accept(four, (struct sockaddr *)&peer.ss, &peer.len);
	assert_true(fd >= 0 && addr_equal(&peer, &from[0]));
	(void)close(fd);
	(void)close(r.fd);
	/* no source of IPv4: that address is passed over */
	r = dial(&(struct dial_options){
	    .addresses = a, .naddresses = 2, .sources = &from[1], .nsources = 1});
	assert_int_equal(r.address, 1);
	(void)close(r.fd);
	r = dial(&(struct dial_options){
	    .addresses = a, .naddresses = 1, .sources = &from[1], .nsources = 1});
	assert_int_equal(r.fd, -1);
	assert_int_equal(r.error, EADDRNOTAVAIL);
	(void)close(four);
	(void)close(six);
}

static void
test_stop(void **state)
{
	struct addr a;
	int listener = listen_on("127.0.0.1", 5, &a);
	struct run r = {.base = event_base_new()};
	struct dial_options o = {.addresses = &a, .naddresses = 1, .done = on_done, .arg = &r};
	struct dial *d = dial_start(r.base, &o);

	(void)state;
	assert_non_null(d);
	dial_stop(d);
	dial_stop(NULL);
	(void)event_base_loop(r.base, EVLOOP_NONBLOCK);
	assert_false(r.done);
	event_base_free(r.base);
	(void)close(listener);
}

/* -- a proxy -- */

struct proxy_case {
	const char *method; /* what it says to our methods, len octets */
	size_t method_len;
	const char *answer; /* to our request; NULL: it hangs up */
	size_t answer_len;
	const char *text; /* "" when all is well */
};

static void
proxy_expect(int fd, struct run *r, const void *want, size_t len)
{
	int64_t deadline = time_mono_ms() + DEADLINE_MS;
	uint8_t got[64];
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		n = recv(fd, got + have, len - have, MSG_DONTWAIT);
		have += n > 0 ? (size_t)n : 0;
		assert_true(n != 0 && time_mono_ms() < deadline);
	}
	assert_memory_equal(got, want, len);
}

static void
proxy_run(int listener, struct run *r, const struct proxy_case *pc)
{
	static const uint8_t request[] = {5, 1, 0, 1, 192, 0, 2, 7, 0, 25};
	int fd = -1;

	while (fd == -1) {
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		fd = accept(listener, NULL, NULL);
	}
	proxy_expect(fd, r, "\x05\x01\x00", 3);
	(void)send(fd, pc->method, pc->method_len, MSG_NOSIGNAL);
	if (pc->method_len == 2 && pc->method[1] == 0) {
		proxy_expect(fd, r, request, sizeof(request));
		if (pc->answer != NULL)
			(void)send(fd, pc->answer, pc->answer_len, MSG_NOSIGNAL);
	}
	(void)shutdown(fd, SHUT_WR);
	turn_until(r, &r->done);
	(void)close(fd);
}

#define OCTETS(s) s, sizeof(s) - 1

static void
test_proxy(void **state)
{
	static const struct proxy_case cases[] = {
	    {OCTETS("\x05\x00"),
		OCTETS("\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x19"
		       "220 hi\r\n"),
		""},
	    {OCTETS("\x05\x00"),
		OCTETS("\x05\x00\x00\x03\x03"
		       "abc\x00\x19"
		       "220 hi\r\n"),
		""},
	    {OCTETS("\x05\x00"), OCTETS("\x05\x05\x00\x01"), "connection refused"},
	    {OCTETS("\x05\x00"), OCTETS("\x05\x63\x00\x01"), "unknown failure"},
	    {OCTETS("\x05\x00"), OCTETS("\x05\x00\x00\x09\x01"), "an unknown type of address"},
	    {OCTETS("\x05\x00"), OCTETS("\x05\x00\x00\x01\x7f"), "the proxy hung up"},
	    {OCTETS("\x05\x00"), NULL, 0, "the proxy hung up"},
	    {OCTETS("\x05\xff"), NULL, 0, "it wants authentication"},
	    {OCTETS("HTTP/1.1 400"), NULL, 0, "it does not speak SOCKS5"},
	};
	struct addr proxy, to;
	int listener = listen_on("127.0.0.1", 5, &proxy);
	char text[16];
	size_t i;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.7", 25, &to), 0);
	for (i = 0; i < NITEMS(cases); i++) {
		struct run r = {.base = event_base_new(), .fd = -1};
		struct dial_options o = {
		    .addresses = &to, .naddresses = 1, .proxy = &proxy, .done = on_done, .arg = &r};
		struct dial *d = dial_start(r.base, &o);

		assert_non_null(d);
		proxy_run(listener, &r, &cases[i]);
		assert_string_equal(r.text, cases[i].text);
		assert_int_equal(r.fd != -1, cases[i].text[0] == '\0');
		if (r.fd != -1) {
			/* what the server says is still all there */
			assert_int_equal(recv(r.fd, text, sizeof(text), 0), 8);
			assert_memory_equal(text, "220 hi\r\n", 8);
			(void)close(r.fd);
		}
		dial_stop(d);
		event_base_free(r.base);
	}
	(void)close(listener);
}

static void
test_socks_ipv6(void **state)
{
	static const uint8_t want[] = {
	    5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0x4b};
	struct socks s = {0};
	struct addr to;
	uint8_t octet;

	(void)state;
	assert_int_equal(addr_parse("2001:db8::1", 587, &to), 0);
	assert_int_equal(socks_feed(&s, &to, NULL), SOCKS_SAY);
	octet = 5;
	assert_int_equal(socks_feed(&s, &to, &octet), SOCKS_MORE);
	octet = 0;
	assert_int_equal(socks_feed(&s, &to, &octet), SOCKS_SAY);
	assert_int_equal(s.nout, sizeof(want));
	assert_memory_equal(s.out, want, sizeof(want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_race),
	    cmocka_unit_test(test_source),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_proxy),
	    cmocka_unit_test(test_socks_ipv6),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
