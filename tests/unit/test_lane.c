/* SPDX-License-Identifier: ISC */
/*
 * Lanes without a network: who gets a connection, what is judged by whom, and when
 * a dead destination is asked again.  Carriers and relays are this file's own; the clock
 * stands still unless a test moves it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "delivery/carrier.h"
#include "delivery/lane_private.h"
#include "lib/base/bug.h"
#include "lib/service/service.h"

#define RELAYS_MAX 64

/* -- what stands in for the rest of the program -- */

struct service {
	struct event_base *base;
	int64_t now_ms;
};

struct carrier {
	TAILQ_ENTRY(carrier) entry, idle_entry;
	struct lane *lane;
	bool idle, retired;
};

static struct service service;
static struct delivery d;
static struct conf conf;

struct event_base *
service_base(const struct service *s)
{
	return s->base;
}

int64_t
service_now_ms(const struct service *s)
{
	return s->now_ms;
}

int
carrier_start(struct lane *l)
{
	struct carrier *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->lane = l;
	TAILQ_INSERT_TAIL(&l->carriers, c, entry);
	l->nsearching++;
	l->nactive++;
	d.lanes.ncarriers++;
	return 0;
}

void
carrier_free(struct carrier *c)
{
	TAILQ_REMOVE(&c->lane->carriers, c, entry);
	if (c->idle)
		TAILQ_REMOVE(&d.lanes.idle, c, idle_entry);
	d.lanes.ncarriers--;
	d.lanes.room = true;
	lane_mark(c->lane);
	free(c);
}

/* A search that is over, or a connection. */
static void
end(struct carrier *c)
{
	c->lane->nsearching--;
	c->lane->nactive--;
	carrier_free(c);
}

void
carriers_feed(struct lane *l)
{
	(void)l;
}

void
carriers_wear(struct lane *l)
{
	(void)l;
}

void
carriers_turn(struct delivery *delivery)
{
	(void)delivery;
}

void
carrier_retire(struct carrier *c)
{
	c->retired = true;
}

void
carrier_cut(struct carrier *c)
{
	(void)c;
}

static struct {
	struct relay relay;
	struct verdict verdict;
	size_t njudged;
} relays[RELAYS_MAX];

void
relay_judge(struct relay *r, const struct verdict *v, const struct job_via *via)
{
	size_t i = (size_t)(((char *)r - (char *)relays) / (ptrdiff_t)sizeof(relays[0]));

	(void)via;
	relays[i].verdict = *v;
	relays[i].njudged++;
}

void
relay_end(struct relay *r)
{
	r->place = RELAY_OVER;
}

/* -- the stage -- */

static int
set_up(void **state)
{
	(void)state;
	memset(&d, 0, sizeof(d));
	memset(&conf, 0, sizeof(conf));
	memset(relays, 0, sizeof(relays));
	service.base = event_base_new();
	service.now_ms = 1000000;
	d.service = &service;
	d.conf = &conf;
	conf.values.delivery_max_connections = 100;
	conf.values.delivery_max_per_destination = 10;
	conf.values.retry_min_s = 300;
	if (service.base == NULL || lanes_init(&d) == -1)
		return -1;
	limits_configure(d.limits, &conf);
	return 0;
}

static int
tear_down(void **state)
{
	struct carrier *c;
	struct lane *l;

	(void)state;
	while ((l = TAILQ_FIRST(&d.lanes.all)) != NULL) {
		while ((c = TAILQ_FIRST(&l->carriers)) != NULL)
			carrier_free(c);
		lane_free(l);
	}
	map_free(d.lanes.by_key, NULL);
	limits_free(d.limits);
	event_base_free(service.base);
	return 0;
}

static struct lane *
join(size_t from, size_t count, const char *dest)
{
	struct lane_plan plan = {.action = "out", .dest = dest};
	size_t i;

	for (i = from; i < from + count; i++)
		assert_int_equal(lane_join(&d, &plan, &relays[i].relay), 0);
	lanes_turn(&d);
	return relays[from].relay.lane;
}

/* The first carrier has a server. */
static struct carrier *
arrive(struct lane *l)
{
	struct carrier *c = TAILQ_FIRST(&l->carriers);

	l->nsearching--;
	lane_alive(l);
	lanes_turn(&d);
	return c;
}

/* The first carrier found nobody. */
static void
find_nobody(struct lane *l, enum ipc_outcome outcome, int64_t again_s)
{
	struct verdict v = {
	    .outcome = outcome, .status = "4.4.1", .text = "nobody", .again_s = again_s};

	end(TAILQ_FIRST(&l->carriers));
	lane_nobody(l, &v, "mx.example[192.0.2.1]");
	lanes_turn(&d);
}

static size_t
count_judged(size_t from, size_t n, bool untried)
{
	size_t i, judged = 0;

	for (i = from; i < from + n; i++)
		judged += relays[i].njudged == 1 && relays[i].verdict.untried == untried;
	return judged;
}

/* -- tests -- */

static void
test_one_goes_and_sees(void **state)
{
	struct lane *l = join(0, 20, "a.example");
	size_t i;

	(void)state;
	assert_int_equal(l->nactive, 1);
	(void)arrive(l);
	assert_int_equal(l->nactive, 1); /* it took nothing yet */
	for (i = 1; i < 5; i++) {
		(void)lane_take(l);
		lane_success(l);
		lanes_turn(&d);
		assert_int_equal(l->nactive, i + 1);
	}
}

static void
test_no_more_than_there_is_mail(void **state)
{
	struct lane *l = join(0, 2, "a.example");

	(void)state;
	(void)arrive(l);
	l->window = 50;
	lane_mark(l);
	lanes_turn(&d);
	assert_int_equal(l->nactive, 3); /* one that has a server, and one for each that waits */
}

static void
test_all_is_judged_by_the_first(void **state)
{
	struct lane *l = join(0, 10, "a.example");

	(void)state;
	find_nobody(l, IPC_RETRY, 0);
	assert_int_equal(count_judged(0, 10, false), 10);
	assert_int_equal(l->state, LANE_DEAD);
	/* What comes later is put off, and nobody sets out. */
	service.now_ms += 1000;
	assert_ptr_equal(join(10, 5, "a.example"), l);
	assert_int_equal(count_judged(10, 5, true), 5);
	assert_int_equal(
	    relays[10].verdict.again_s, 149); /* half of retry-min, less what has passed */
	assert_int_equal(l->nactive, 0);
	/* Another destination is none of that. */
	assert_int_equal(join(20, 1, "b.example")->nactive, 1);
}

static void
test_dead_for_longer_each_time(void **state)
{
	static const int64_t seconds[] = {150, 300, 600, 600};
	struct lane *l;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(seconds); i++) {
		l = join(i, 1, "a.example");
		assert_int_equal(l->nactive, 1);
		find_nobody(l, IPC_RETRY, 0);
		assert_int_equal(l->dead_until_ms, service.now_ms + seconds[i] * 1000);
		service.now_ms = l->dead_until_ms;
	}
}

static void
test_as_long_as_the_server_wishes(void **state)
{
	struct lane *l = join(0, 1, "a.example");

	(void)state;
	find_nobody(l, IPC_RETRY, 1); /* half of retry-min is the least, however many it concerns */
	assert_int_equal(l->dead_until_ms, service.now_ms + 150000);
	lanes_forgive(&d);
	l = join(2, 1, "a.example");
	find_nobody(l, IPC_RETRY, 3600);
	assert_int_equal(l->dead_until_ms, service.now_ms + 3600000);
	lanes_forgive(&d);
	l = join(1, 1, "a.example");
	find_nobody(l, IPC_RETRY, 1000000000);
	assert_int_equal(l->dead_until_ms, service.now_ms + 4 * 3600000);
}

static void
test_never_is_for_those_that_wait(void **state)
{
	struct lane *l = join(0, 3, "a.example");

	(void)state;
	find_nobody(l, IPC_FAIL, 0);
	assert_int_equal(count_judged(0, 3, false), 3);
	assert_int_equal(relays[0].verdict.outcome, IPC_FAIL);
	assert_int_equal(join(3, 1, "a.example")->nactive, 1);
}

static void
test_one_of_several_is_no_news(void **state)
{
	struct lane *l = join(0, 10, "a.example");
	struct carrier *c = arrive(l);
	struct verdict v = {.outcome = IPC_RETRY};

	(void)state;
	l->window = 4;
	lane_mark(l);
	lanes_turn(&d);
	assert_int_equal(l->nactive, 4);
	end(TAILQ_NEXT(c, entry));
	lane_nobody(l, &v, "");
	lanes_turn(&d);
	assert_int_equal(count_judged(0, 10, false), 0);
	assert_int_equal(l->window, 2);
	assert_int_equal(l->state, LANE_OPEN);
}

static void
test_an_admin_forgives(void **state)
{
	struct lane *l = join(0, 1, "a.example");

	(void)state;
	find_nobody(l, IPC_RETRY, 0);
	lanes_forgive(&d);
	assert_int_equal(join(1, 1, "a.example")->nactive, 1);
}

static void
test_connections_that_take_nothing(void **state)
{
	struct lane *l;
	struct verdict v = {.outcome = IPC_RETRY};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		l = join(i, 1, "a.example");
		service.now_ms += 1000; /* it is given a second */
		lane_mark(l);
		lanes_turn(&d);
		assert_int_equal(l->nactive, 1);
		(void)arrive(l);
		(void)lane_take(l);
		TAILQ_FIRST(&l->carriers)->lane->nsearching++;
		end(TAILQ_FIRST(&l->carriers));
		lane_lost(l, &v, "");
		lanes_turn(&d);
	}
	assert_int_equal(l->state, LANE_DEAD);
}

/* What is said of one message for good is nothing that others are to be told. */
static void
test_a_message_that_is_refused_in_the_midst(void **state)
{
	struct verdict v = {.outcome = IPC_FAIL, .status = "5.7.1", .text = "554 spam"};
	struct lane *l = join(0, 10, "a.example");
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		service.now_ms += 1000;
		lane_mark(l);
		lanes_turn(&d);
		assert_int_equal(l->nactive, 1);
		(void)arrive(l);
		(void)lane_take(l);
		l->nsearching++;
		end(TAILQ_FIRST(&l->carriers));
		lane_lost(l, &v, "");
		lanes_turn(&d);
	}
	assert_int_equal(l->state, LANE_OPEN);
	assert_int_equal(l->nwaiting, 5);
	assert_int_equal(count_judged(5, 5, false) + count_judged(5, 5, true), 0);
}

/* A limit that holds for long is waited for in the queue, for as long. */
static void
test_our_own_limits_kill_nobody(void **state)
{
	struct lane *l = join(0, 3, "a.example");
	struct verdict v = {.outcome = IPC_RETRY, .untried = true, .again_s = 600};

	(void)state;
	end(TAILQ_FIRST(&l->carriers));
	lane_nobody(l, &v, "");
	assert_int_not_equal(l->state, LANE_DEAD);
	lanes_turn(&d); /* and it is over */
	assert_int_equal(count_judged(0, 3, true), 3);
	assert_int_equal(relays[0].verdict.again_s, 600);
}

/* The last fifth of all connections is for lanes that have none. */
static void
test_room_for_who_has_none(void **state)
{
	struct lane *a, *b;

	(void)state;
	conf.values.delivery_max_connections = 10;
	a = join(0, 30, "a.example");
	(void)arrive(a);
	a->window = 30;
	lane_mark(a);
	lanes_turn(&d);
	assert_int_equal(a->nactive, 8);
	b = join(30, 5, "b.example");
	assert_int_equal(b->nactive, 1);
	(void)join(35, 1, "c.example");
	assert_int_equal(d.lanes.ncarriers, 10);
	assert_int_equal(join(36, 1, "e.example")->nactive, 0);
	/* One that ends makes room for who waits without any. */
	end(TAILQ_FIRST(&b->carriers));
	lanes_turn(&d);
	assert_int_equal(d.lanes.ncarriers, 10);
	assert_int_equal(relays[36].relay.lane->nactive, 1);
}

static void
test_an_idle_connection_makes_room(void **state)
{
	struct lane *l;
	struct carrier *c;

	(void)state;
	conf.values.delivery_max_connections = 1;
	l = join(0, 1, "a.example");
	c = arrive(l);
	(void)lane_take(l);
	c->idle = true;
	TAILQ_INSERT_TAIL(&d.lanes.idle, c, idle_entry);
	(void)join(1, 1, "b.example");
	assert_true(c->retired);
	l->nsearching++;
	end(c);
	lanes_turn(&d);
	assert_int_equal(relays[1].relay.lane->nactive, 1);
}

static void
test_one_that_came_back_is_next(void **state)
{
	struct lane *l = join(0, 3, "a.example");
	struct relay *r = lane_take(l);

	(void)state;
	assert_ptr_equal(r, &relays[0].relay);
	lane_put_back(l, r);
	assert_ptr_equal(lane_take(l), r);
	assert_ptr_equal(lane_take(l), &relays[1].relay);
}

static void
test_who_leaves_is_not_judged(void **state)
{
	struct lane *l = join(0, 2, "a.example");

	(void)state;
	lane_leave(&relays[0].relay);
	assert_int_equal(l->nwaiting, 1);
	find_nobody(l, IPC_RETRY, 0);
	assert_int_equal(relays[0].njudged, 0);
	assert_int_equal(relays[1].njudged, 1);
}

static void
test_a_lane_that_is_done_with_goes(void **state)
{
	struct lane *l = join(0, 1, "a.example");

	(void)state;
	(void)arrive(l);
	(void)lane_take(l);
	l->nsearching++;
	end(TAILQ_FIRST(&l->carriers));
	lanes_turn(&d);
	assert_null(TAILQ_FIRST(&d.lanes.all));
	/* What is known of a dead one is kept for a while. */
	l = join(1, 1, "a.example");
	find_nobody(l, IPC_RETRY, 0);
	service.now_ms = l->dead_until_ms + 599000;
	lanes_tick(&d);
	lanes_turn(&d);
	assert_non_null(TAILQ_FIRST(&d.lanes.all));
	service.now_ms += 2000;
	lanes_tick(&d);
	lanes_turn(&d);
	assert_null(TAILQ_FIRST(&d.lanes.all));
}

#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LANE_TEST(test_one_goes_and_sees),
	    LANE_TEST(test_no_more_than_there_is_mail),
	    LANE_TEST(test_all_is_judged_by_the_first),
	    LANE_TEST(test_dead_for_longer_each_time),
	    LANE_TEST(test_as_long_as_the_server_wishes),
	    LANE_TEST(test_never_is_for_those_that_wait),
	    LANE_TEST(test_one_of_several_is_no_news),
	    LANE_TEST(test_an_admin_forgives),
	    LANE_TEST(test_connections_that_take_nothing),
	    LANE_TEST(test_a_message_that_is_refused_in_the_midst),
	    LANE_TEST(test_our_own_limits_kill_nobody),
	    LANE_TEST(test_room_for_who_has_none),
	    LANE_TEST(test_an_idle_connection_makes_room),
	    LANE_TEST(test_one_that_came_back_is_next),
	    LANE_TEST(test_who_leaves_is_not_judged),
	    LANE_TEST(test_a_lane_that_is_done_with_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
