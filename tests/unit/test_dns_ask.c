/* SPDX-License-Identifier: ISC */
/* Questions through libunbound, to a name server in the same loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lookup/dns.h"

#define PACKET(text) text, sizeof(text) - 1

/* -- the server: one record of each type, whatever the name -- */

static const struct {
	enum dns_type type;
	const char *data;
	size_t size;
} records[] = {
    {DNS_A, PACKET("\300\0\2\1")},
    {DNS_CNAME, PACKET("\1x\7example\0")},
    {DNS_MX, PACKET("\0\12\2mx\7example\0")},
    {DNS_TXT, PACKET("\5v=\r\nx\2\0y")},
    {DNS_TLSA, PACKET("\3\1\1abcdef")},
};

#define HELD_MAX 4

struct server {
	int sock;
	struct event *event;
	unsigned int asked;
	bool hold; /* answers wait */
	size_t nheld;
	struct held {
		struct sockaddr_in peer;
		uint8_t data[512];
		size_t len;
	} held[HELD_MAX];
};

struct rig {
	struct event_base *base;
	struct server server;
	struct dns *dns;
	/* the last answer */
	unsigned int answers;
	enum dns_result result;
	bool has_records;
	struct dns_records records;
};

static void
answer(struct server *s, const struct held *q)
{
	const uint8_t *type = q->data + 12;
	uint8_t reply[1024];
	size_t i, len;

	while (*type != 0)
		type += *type + 1;
	len = (size_t)(type - q->data) + 5;
	memcpy(reply, q->data, len);
	memcpy(reply + 2, "\x85\x80\0\1\0\0\0\0\0\0", 10);
	for (i = 0; i < NITEMS(records); i++)
		if (records[i].type == type[2]) {
			reply[7] = 1;
			memcpy(reply + len, "\xc0\x0c", 2);
			memcpy(reply + len + 2, type + 1, 4);
			memcpy(reply + len + 6, "\0\0\0\74\0", 5);
			reply[len + 11] = (uint8_t)records[i].size;
			memcpy(reply + len + 12, records[i].data, records[i].size);
			len += 12 + records[i].size;
		}
	assert_int_equal(
	    sendto(s->sock, reply, len, 0, (const struct sockaddr *)&q->peer, sizeof(q->peer)),
	    len);
}

static void
on_question(evutil_socket_t sock, short what, void *arg)
{
	struct server *s = arg;
	struct held q;
	socklen_t size = sizeof(q.peer);
	ssize_t n = recvfrom(sock, q.data, sizeof(q.data), 0, (struct sockaddr *)&q.peer, &size);

	(void)what;
	assert_true(n > 17);
	q.len = (size_t)n;
	s->asked++;
	if (!s->hold)
		answer(s, &q);
	else if (s->nheld < HELD_MAX)
		s->held[s->nheld++] = q;
}

static void
release(struct server *s)
{
	size_t i;

	s->hold = false;
	for (i = 0; i < s->nheld; i++)
		answer(s, &s->held[i]);
	s->nheld = 0;
}

static uint16_t
server_start(struct server *s, struct event_base *base)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(a);

	s->sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->sock, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(s->sock, (struct sockaddr *)&a, &size), 0);
	s->event = event_new(base, s->sock, EV_READ | EV_PERSIST, on_question, s);
	assert_int_equal(event_add(s->event, NULL), 0);
	return ntohs(a.sin_port);
}

/* -- the asker -- */

static int
setup(void **state)
{
	/* Nobody can sign for it: what is said of it is forged. */
	static const char anchors[] =
	    "; none knows its key\n"
	    "bogus.example. DS 1 13 2 "
	    "0000000000000000000000000000000000000000000000000000000000000000\n";
	struct resolv_servers forward = {.n = 1}, root = {.n = 0};
	struct dns_plan plan = {anchors, &forward, &root};
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->base = event_base_new();
	(void)snprintf(forward.list[0], sizeof(forward.list[0]), "127.0.0.1@%u",
	    server_start(&r->server, r->base));
	r->dns = dns_create(r->base, &plan);
	assert_non_null(r->dns);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	dns_free(r->dns);
	event_free(r->server.event);
	(void)close(r->server.sock);
	event_base_free(r->base);
	free(r);
	return 0;
}

static void
on_done(void *arg, enum dns_result result, const struct dns_records *got)
{
	struct rig *r = arg;

	r->answers++;
	r->result = result;
	r->has_records = got != NULL;
	if (got != NULL)
		r->records = *got;
}

static void
wait_for(struct rig *r, unsigned int answers)
{
	while (r->answers < answers)
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
}

static struct dns_query *
start(struct rig *r, const char *name, enum dns_type type)
{
	const struct dns_question q = {name, type, DNS_FOR_ROUTES};

	return dns_ask(r->dns, &q, on_done, r);
}

static void
ask(struct rig *r, const char *name, enum dns_type type)
{
	r->answers = 0;
	assert_non_null(start(r, name, type));
	assert_int_equal(r->answers, 0);
	wait_for(r, 1);
}

static void
test_types(void **state)
{
	struct rig *r = *state;
	const struct dns_record *first = &r->records.list[0];

	ask(r, "a.example", DNS_TXT);
	assert_int_equal(r->result, DNS_FOUND);
	assert_int_equal(first->size, 7);
	ask(r, "_25._tcp.a.example", DNS_TLSA);
	assert_int_equal(r->result, DNS_FOUND);
	assert_int_equal(first->usage, 3);
	assert_int_equal(first->size, 6);
	ask(r, "a.example", DNS_CNAME);
	assert_int_equal(r->result, DNS_FOUND);
	assert_string_equal(first->name, "x.example");
	ask(r, "a.example", DNS_PTR);
	assert_int_equal(r->result, DNS_NO_DATA);
	assert_true(r->has_records && !r->records.secure);
}

static void
test_remembered(void **state)
{
	struct rig *r = *state;
	unsigned int asked;

	ask(r, "a.example", DNS_MX);
	asked = r->server.asked;
	ask(r, "a.example", DNS_MX);
	ask(r, "A.Example", DNS_MX);
	assert_int_equal(r->result, DNS_FOUND);
	assert_int_equal(r->server.asked, asked);
	assert_int_equal(dns_counters(r->dns)->found, 3);
}

/* Asked once, whoever asks and however often; one of them doesn't wait for it. */
static void
test_equal_questions(void **state)
{
	struct rig *r = *state;
	struct dns_query *gone = NULL;
	unsigned int i;

	r->server.hold = true;
	for (i = 0; i < 100; i++) {
		struct dns_query *q = start(r, "a.example", DNS_MX);

		assert_non_null(q);
		gone = i == 50 ? q : gone;
	}
	dns_cancel(gone);
	while (r->server.asked == 0)
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
	release(&r->server);
	wait_for(r, 99);
	assert_int_equal(r->result, DNS_FOUND);
	/* libunbound may have lost its patience meanwhile. */
	assert_in_range(r->server.asked, 1, 4);
}

static void
test_bogus_is_no_trouble(void **state)
{
	struct rig *r = *state;

	ask(r, "a.bogus.example", DNS_MX);
	assert_int_equal(r->result, DNS_BOGUS);
	assert_false(r->has_records);
	assert_int_equal(dns_counters(r->dns)->bogus, 1);
	assert_int_equal(dns_counters(r->dns)->trouble, 0);
}

static void
test_bounded(void **state)
{
	struct rig *r = *state;
	unsigned int i;

	r->server.hold = true;
	for (i = 0; start(r, "a.example", DNS_MX) != NULL; i++)
		assert_true(i < 10000);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(dns_counters(r->dns)->under_way, i);
	/* The end of all of them is teardown()'s. */
}

/* One use can fill its half, and the other still asks. */
static void
test_halves(void **state)
{
	static const struct dns_question client = {"b.example", DNS_A, DNS_FOR_CLIENTS};
	struct rig *r = *state;

	r->server.hold = true;
	while (start(r, "a.example", DNS_MX) != NULL)
		;
	assert_non_null(dns_ask(r->dns, &client, on_done, r));
	assert_null(start(r, "a.example", DNS_MX));
}

/* Who asks and goes away, again and again, can't have more under way than who waits. */
static void
test_gone_askers_count(void **state)
{
	struct rig *r = *state;
	struct dns_query *q;
	char name[32];
	unsigned int i;

	r->server.hold = true;
	for (i = 0;; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		if ((q = start(r, name, DNS_A)) == NULL)
			break;
		dns_cancel(q);
		assert_true(i < 10000);
	}
	assert_int_equal(errno, EBUSY);
	assert_int_equal(dns_counters(r->dns)->under_way, i);
	/* What libunbound never answers is given up at last. */
	dns_tick(r->dns, 1000);
	dns_tick(r->dns, 300999);
	assert_int_equal(dns_counters(r->dns)->under_way, i);
	dns_tick(r->dns, 301000);
	assert_int_equal(dns_counters(r->dns)->under_way, 0);
	assert_int_equal(r->answers, 0);
	assert_non_null(start(r, "a.example", DNS_A));
}

/* The answer comes after all: it is nobody's, and its place is free. */
static void
test_answer_for_nobody(void **state)
{
	struct rig *r = *state;

	r->server.hold = true;
	dns_cancel(start(r, "a.example", DNS_A));
	assert_int_equal(dns_counters(r->dns)->under_way, 1);
	while (r->server.nheld == 0)
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
	release(&r->server);
	while (dns_counters(r->dns)->under_way > 0)
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
	assert_int_equal(r->answers, 0);
	/* It is remembered. */
	r->server.asked = 0;
	ask(r, "a.example", DNS_A);
	assert_int_equal(r->server.asked, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_types),
	    TEST(test_remembered),
	    TEST(test_equal_questions),
	    TEST(test_bogus_is_no_trouble),
	    TEST(test_bounded),
	    TEST(test_halves),
	    TEST(test_gone_askers_count),
	    TEST(test_answer_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
