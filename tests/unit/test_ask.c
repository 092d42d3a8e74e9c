/* SPDX-License-Identifier: ISC */
/* Questions: each ends once, by its answer, its time, its peer's death or its owner's leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/ipc/ask.h"

#define NOW   1000
#define LATER 2000

struct owner {
	struct asks *asks;
	unsigned int failed;
	uint32_t req;
	enum ask_failure why;
	uint32_t also; /* a question to end when this one fails; 0: none */
};

/* Channels are only compared: any address will do. */
static char places[2];
#define CHANNEL_A ((struct channel *)(void *)&places[0])
#define CHANNEL_B ((struct channel *)(void *)&places[1])

static void
on_failed(void *arg, uint32_t req, enum ask_failure why)
{
	struct owner *o = arg;

	o->failed++;
	o->req = req;
	o->why = why;
	ask_end(o->asks, o->also);
}

static int
setup(void **state)
{
	*state = asks_create(4);
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	asks_free(*state);
	return 0;
}

static uint32_t
begin(struct asks *a, struct channel *ch, struct owner *o)
{
	uint32_t req;

	o->asks = a;
	req = ask_begin(a, ch, LATER, on_failed, o);
	assert_int_not_equal(req, 0);
	return req;
}

static void
test_answer(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t req = begin(a, CHANNEL_A, &o);

	assert_ptr_equal(ask_owner(a, CHANNEL_A, req), &o);
	assert_ptr_equal(ask_owner(a, CHANNEL_A, req), &o); /* until it is ended */
	ask_end(a, req);
	assert_null(ask_owner(a, CHANNEL_A, req));
	ask_end(a, req);
	ask_end(a, 0);
	asks_tick(a, INT64_MAX);
	asks_channel_lost(a, CHANNEL_A);
	assert_int_equal(o.failed, 0);
	assert_int_equal(asks_count(a), 0);
}

static void
test_forged(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t req = begin(a, CHANNEL_A, &o);

	assert_null(ask_owner(a, CHANNEL_B, req)); /* not the one that was asked */
	assert_null(ask_owner(a, NULL, req));
	assert_null(ask_owner(a, CHANNEL_A, req + 1));
	assert_null(ask_owner(a, CHANNEL_A, 0));
	assert_null(ask_owner(a, CHANNEL_A, UINT32_MAX));
	ask_end(a, req);
}

static void
test_deadline(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t req = begin(a, CHANNEL_A, &o);

	asks_tick(a, LATER - 1);
	assert_int_equal(o.failed, 0);
	asks_tick(a, LATER);
	assert_int_equal(o.failed, 1);
	assert_int_equal(o.req, req);
	assert_int_equal(o.why, ASK_TIMEOUT);
	assert_null(ask_owner(a, CHANNEL_A, req));
	asks_tick(a, INT64_MAX);
	assert_int_equal(o.failed, 1);
}

static void
test_deadline_moved(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t req = begin(a, CHANNEL_A, &o);

	ask_set_deadline(a, req, INT64_MAX);
	ask_set_deadline(a, req + 1, NOW); /* nobody's */
	asks_tick(a, LATER * 1000);
	assert_int_equal(o.failed, 0);
	ask_set_deadline(a, req, NOW);
	asks_tick(a, NOW);
	assert_int_equal(o.failed, 1);
}

static void
test_lost(void **state)
{
	struct asks *a = *state;
	struct owner o[3] = {0};
	uint32_t other;

	(void)begin(a, CHANNEL_A, &o[0]);
	other = begin(a, CHANNEL_B, &o[1]);
	(void)begin(a, CHANNEL_A, &o[2]);
	asks_channel_lost(a, CHANNEL_A);
	assert_int_equal(o[0].failed, 1);
	assert_int_equal(o[0].why, ASK_LOST);
	assert_int_equal(o[1].failed, 0);
	assert_int_equal(o[2].failed, 1);
	assert_ptr_equal(ask_owner(a, CHANNEL_B, other), &o[1]);
}

static void
test_nobody_to_ask(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};

	(void)begin(a, NULL, &o);
	assert_int_equal(o.failed, 0); /* never inside of ask_begin() */
	asks_tick(a, NOW);
	assert_int_equal(o.failed, 1);
	assert_int_equal(o.why, ASK_LOST);
}

/* The end of one may take others with it, its neighbours included. */
static void
test_ending_others_inside(void **state)
{
	struct asks *a = *state;
	struct owner o[3] = {0};
	uint32_t req[3];
	size_t i;

	for (i = 0; i < 3; i++)
		req[i] = begin(a, CHANNEL_A, &o[i]);
	o[0].also = req[1];
	o[2].also = req[2]; /* itself, ended already */
	asks_channel_lost(a, CHANNEL_A);
	assert_int_equal(o[0].failed, 1);
	assert_int_equal(o[1].failed, 0);
	assert_int_equal(o[2].failed, 1);
	assert_int_equal(asks_count(a), 0);
}

static void
test_full(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t first = begin(a, CHANNEL_A, &o);
	size_t i;

	for (i = 1; i < 4; i++)
		(void)begin(a, CHANNEL_A, &o);
	assert_int_equal(ask_begin(a, CHANNEL_A, LATER, on_failed, &o), 0);
	ask_end(a, first);
	(void)begin(a, CHANNEL_A, &o);
	assert_int_equal(asks_count(a), 4);
}

/* An id is not used again while it is under way; a late answer meets no stranger soon. */
static void
test_ids_are_fresh(void **state)
{
	struct asks *a = *state;
	struct owner o = {0};
	uint32_t kept = begin(a, CHANNEL_A, &o), last = kept, req;
	size_t i;

	for (i = 0; i < 100000; i++) {
		req = begin(a, CHANNEL_A, &o);
		assert_true(req != kept && req != last);
		ask_end(a, req);
		last = req;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answer),
	    TEST(test_forged),
	    TEST(test_deadline),
	    TEST(test_deadline_moved),
	    TEST(test_lost),
	    TEST(test_nobody_to_ask),
	    TEST(test_ending_others_inside),
	    TEST(test_full),
	    TEST(test_ids_are_fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
