/* SPDX-License-Identifier: ISC */
/* Who is connected, what each client did, and what that costs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lookup/clients.h"

#define PERIOD_MS 60000

/* -- limits -- */

struct fixture {
	struct conf_values values;
	struct clients *c;
	int64_t now_ms;
	uint32_t visit;
	unsigned int logged; /* lines */
	char last_line[LOG_LINE_MAX];
	struct client_refusal refusal;
};

static void
on_line(void *arg, enum log_level level, const char *line)
{
	struct fixture *f = arg;

	(void)level;
	f->logged++;
	(void)snprintf(f->last_line, sizeof(f->last_line), "%s", line);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || (f->c = clients_create()) == NULL)
		return -1;
	f->now_ms = 1000;
	f->values = (struct conf_values){.smtp_max_sessions = 100000,
	    .smtp_max_sessions_per_client = 100000,
	    .smtp_rate_period_s = PERIOD_MS / 1000,
	    .smtp_prefix4 = 32,
	    .smtp_prefix6 = 64};
	clients_configure(f->c, &f->values);
	log_set_sink(on_line, f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	log_set_sink(NULL, NULL);
	clients_free(f->c);
	free(f);
	return 0;
}

static bool
enter_as(struct fixture *f, const char *client, bool any_rate, bool any_limit)
{
	struct addr a;
	struct client_entry e = {.addr = &a, .any_rate = any_rate, .any_limit = any_limit};

	assert_int_equal(host_parse(client, &a), 0);
	f->visit++;
	return clients_enter(f->c, (struct visit_id){1, f->visit}, &e, f->now_ms, &f->refusal);
}

static bool
enter(struct fixture *f, const char *client)
{
	return enter_as(f, client, false, false);
}

static void
enter_again(struct fixture *f, const char *client)
{
	struct addr a;
	struct client_entry e = {.addr = &a};

	assert_int_equal(host_parse(client, &a), 0);
	f->visit++;
	clients_enter_again(f->c, (struct visit_id){1, f->visit}, &e, f->now_ms);
}

static void
leave(struct fixture *f, uint32_t visit)
{
	clients_leave(f->c, (struct visit_id){1, visit}, f->now_ms);
}

static bool
rcpt(struct fixture *f, uint32_t visit, bool first)
{
	return clients_rcpt(f->c, (struct visit_id){1, visit}, first, f->now_ms, &f->refusal);
}

static bool
rcpt_refused(struct fixture *f, uint32_t visit)
{
	return clients_rcpt_refused(f->c, (struct visit_id){1, visit}, f->now_ms, &f->refusal);
}

static void
expect_refusal(const struct fixture *f, uint16_t code, const char *status, const char *text)
{
	assert_int_equal(f->refusal.code, code);
	assert_string_equal(f->refusal.status, status);
	assert_string_equal(f->refusal.text, text);
}

static struct client_row
row_of(struct fixture *f, const char *client)
{
	struct client_row row = {.number = 0};

	clients_tick(f->c, f->now_ms);
	while (clients_next(f->c, row.number, f->now_ms, &row))
		if (strcmp(row.client, client) == 0)
			return row;
	return (struct client_row){.client = NULL};
}

static void
test_whole_server(void **state)
{
	struct fixture *f = *state;

	f->values.smtp_max_sessions = 2;
	assert_true(enter(f, "192.0.2.1"));
	assert_true(enter_as(f, "192.0.2.2", true, true));
	assert_false(enter_as(f, "192.0.2.3", true, true));
	expect_refusal(f, 421, "4.3.2",
	    "this server has as many connections as it takes; try again in a minute");
	assert_false(enter(f, "192.0.2.3"));
	assert_int_equal(f->logged, 1);
	assert_non_null(strstr(f->last_line, "event=server-full"));
	f->now_ms += 60000;
	assert_false(enter(f, "192.0.2.3"));
	assert_int_equal(f->logged, 2);
	leave(f, 1);
	assert_true(enter(f, "192.0.2.3"));
	assert_int_equal(clients_counters(f->c)->turned_away, 3);
}

static void
test_at_once(void **state)
{
	struct fixture *f = *state;

	f->values.smtp_max_sessions_per_client = 2;
	assert_true(enter(f, "2001:db8::1"));
	assert_true(enter_as(f, "2001:db8::ffff:1", true, false));
	assert_false(enter(f, "2001:db8::2:1"));
	expect_refusal(f, 421, "4.7.0",
	    "too many connections at once from 2001:db8::/64; try again when one has ended");
	assert_string_equal(f->last_line, "event=client-limited client=2001:db8::/64 "
					  "limit=max-sessions-per-client");
	assert_true(enter(f, "2001:db8:0:1::1"));
	/* Who may is not one of them: it is counted by itself. */
	assert_true(enter_as(f, "2001:db8::3", true, true));
	assert_int_equal(row_of(f, "2001:db8::3").open, 1);
	leave(f, 2);
	assert_true(enter(f, "2001:db8::2"));
	assert_int_equal(f->logged, 1);
}

static void
test_connection_rate(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	f->values.smtp_connection_rate = 3;
	for (i = 1; i <= 3; i++) {
		assert_true(enter(f, "192.0.2.1"));
		leave(f, i);
		f->now_ms += 1000;
	}
	assert_false(enter(f, "192.0.2.1"));
	expect_refusal(
	    f, 421, "4.7.0", "too many connections from 192.0.2.1 within 1m00s; try again in 57s");
	assert_true(enter_as(f, "192.0.2.1", true, false));
	/* Trying goes on counting, and makes the period no longer. */
	for (i = 0; i < 10; i++)
		assert_false(enter(f, "192.0.2.1"));
	assert_int_equal(f->logged, 1);
	assert_int_equal(row_of(f, "192.0.2.1").connections, 15);
	assert_string_equal(row_of(f, "192.0.2.1").over, "max-connection-rate");
	f->now_ms = 1000 + PERIOD_MS - 1;
	assert_false(enter(f, "192.0.2.1"));
	assert_non_null(strstr(f->refusal.text, "try again in 1s"));
	f->now_ms++;
	assert_true(enter(f, "192.0.2.1"));
	assert_int_equal(row_of(f, "192.0.2.1").connections, 1);
	assert_string_equal(row_of(f, "192.0.2.1").over, "");
}

static void
test_message_rate(void **state)
{
	struct fixture *f = *state;

	f->values.smtp_message_rate = 1;
	assert_true(enter(f, "192.0.2.1"));
	assert_true(enter(f, "192.0.2.1"));
	assert_true(rcpt(f, 1, true));
	assert_false(rcpt(f, 2, true));
	expect_refusal(
	    f, 451, "4.7.1", "too many messages from 192.0.2.1 within 1m00s; try again in 1m00s");
	/* A message is refused whole, and only that message. */
	assert_false(rcpt(f, 2, false));
	assert_true(rcpt(f, 1, false));
	assert_string_equal(
	    f->last_line, "event=client-limited client=192.0.2.1 limit=max-message-rate");
	f->now_ms += PERIOD_MS;
	assert_false(rcpt(f, 2, false));
	assert_true(rcpt(f, 2, true));
	assert_true(rcpt(f, 2, false));
}

static void
test_recipient_rate(void **state)
{
	struct fixture *f = *state;

	f->values.smtp_recipient_rate = 2;
	assert_true(enter(f, "192.0.2.1"));
	assert_true(enter_as(f, "192.0.2.1", true, false));
	assert_true(rcpt(f, 1, true));
	assert_true(rcpt(f, 1, false));
	assert_false(rcpt(f, 1, false));
	expect_refusal(
	    f, 451, "4.7.1", "too many recipients from 192.0.2.1 within 1m00s; try again in 1m00s");
	assert_true(rcpt(f, 2, false));
	assert_int_equal(row_of(f, "192.0.2.1").recipients, 4);
	assert_int_equal(row_of(f, "192.0.2.1").messages, 1);
	/* Visits nobody told us of, and links nobody has, are served. */
	assert_true(rcpt(f, 77, true));
	assert_true(clients_rcpt(f->c, (struct visit_id){63, 1}, true, f->now_ms, &f->refusal));
}

static void
test_refused_rate(void **state)
{
	struct fixture *f = *state;

	f->values.smtp_refused_rate = 2;
	assert_true(enter(f, "192.0.2.1"));
	assert_true(enter_as(f, "192.0.2.1", true, false));
	assert_true(rcpt_refused(f, 1));
	assert_true(rcpt_refused(f, 1));
	assert_true(rcpt(f, 1, true));
	assert_false(rcpt_refused(f, 1));
	expect_refusal(f, 421, "4.7.1",
	    "too many refused recipients from 192.0.2.1 within 1m00s; try again in 1m00s");
	/* It is put out, on whatever connection, and kept out. */
	assert_false(rcpt(f, 1, true));
	assert_int_equal(f->refusal.code, 421);
	assert_false(enter(f, "192.0.2.1"));
	expect_refusal(f, 421, "4.7.1",
	    "too many refused recipients from 192.0.2.1 within 1m00s; try again in 1m00s");
	assert_true(rcpt_refused(f, 2));
	assert_true(rcpt(f, 2, true));
	assert_true(enter(f, "192.0.2.2"));
	assert_int_equal(f->logged, 1);
	f->now_ms += PERIOD_MS;
	assert_true(enter(f, "192.0.2.1"));
	assert_true(rcpt(f, 1, true));
}

static void
test_no_limits(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	assert_true(enter(f, "192.0.2.1"));
	for (i = 0; i < 5000; i++) {
		assert_true(enter(f, "192.0.2.1"));
		assert_true(rcpt(f, 1, true));
		assert_true(rcpt_refused(f, 1));
	}
	assert_int_equal(f->logged, 0);
}

/* -- what is known, and for how long -- */

static void
test_forgetting(void **state)
{
	struct fixture *f = *state;

	assert_true(enter(f, "192.0.2.1"));
	f->now_ms += 10;
	assert_true(enter(f, "192.0.2.2"));
	leave(f, 2);
	leave(f, 2);
	assert_int_equal(clients_counters(f->c)->known, 2);
	f->now_ms += PERIOD_MS;
	clients_tick(f->c, f->now_ms);
	assert_int_equal(clients_counters(f->c)->known, 1);
	assert_int_equal(row_of(f, "192.0.2.1").open, 1);
	assert_int_equal(row_of(f, "192.0.2.1").connections, 0);
	assert_int_equal(row_of(f, "192.0.2.1").left_ms, 0);
	/* A period begins with an act, not with the clock. */
	assert_true(rcpt(f, 1, true));
	assert_int_equal(row_of(f, "192.0.2.1").left_ms, PERIOD_MS);
	leave(f, 1);
	assert_int_equal(clients_counters(f->c)->known, 1);
	f->now_ms += PERIOD_MS;
	clients_tick(f->c, f->now_ms);
	assert_int_equal(clients_counters(f->c)->known, 0);
	assert_int_equal(clients_counters(f->c)->open, 0);
}

static void
test_link_lost_and_announced_again(void **state)
{
	struct fixture *f = *state;
	const struct visit_id elsewhere = {2, 1}, first = {1, 1};
	struct addr a;
	struct client_entry e = {.addr = &a};
	uint64_t serial;

	f->values.smtp_connection_rate = 2;
	assert_int_equal(host_parse("192.0.2.1", &a), 0);
	assert_true(enter(f, "192.0.2.1"));
	serial = clients_serial(f->c, first);
	assert_int_not_equal(serial, 0);
	assert_true(clients_enter(f->c, elsewhere, &e, f->now_ms, &f->refusal));
	clients_link_lost(f->c, 1, f->now_ms);
	assert_int_equal(clients_serial(f->c, first), 0);
	assert_int_equal(row_of(f, "192.0.2.1").open, 1);
	clients_link_lost(f->c, 2, f->now_ms);
	f->now_ms += PERIOD_MS;
	/* Any number may have been let in before we were restarted; none of them is new. */
	f->values.smtp_max_sessions = f->values.smtp_max_sessions_per_client = 5;
	f->visit = 0;
	for (; f->visit < 9;)
		enter_again(f, "192.0.2.1");
	assert_int_equal(row_of(f, "192.0.2.1").open, 9);
	assert_int_equal(row_of(f, "192.0.2.1").connections, 0);
	assert_true(clients_serial(f->c, first) > serial);
	assert_false(enter(f, "192.0.2.2"));
	for (; f->visit > 0; f->visit--)
		leave(f, f->visit);
	assert_null(row_of(f, "192.0.2.1").client);
}

static void
test_reload(void **state)
{
	struct fixture *f = *state;
	struct conf_values fresh = f->values;

	f->values.smtp_connection_rate = 1;
	assert_true(enter(f, "192.0.2.1"));
	assert_false(enter(f, "192.0.2.1"));
	fresh.smtp_connection_rate = 3;
	fresh.smtp_rate_period_s = 2;
	clients_configure(f->c, &fresh);
	assert_true(enter(f, "192.0.2.1"));
	assert_false(enter(f, "192.0.2.1"));
	f->now_ms += 2000;
	assert_true(enter(f, "192.0.2.1"));
	fresh.smtp_prefix4 = 24;
	assert_true(enter(f, "192.0.2.1"));
	assert_int_equal(row_of(f, "192.0.2.0/24").open, 1);
	assert_int_equal(row_of(f, "192.0.2.1").open, 3);
}

/* More clients than are known: nobody is turned away for it, and one line a minute says so. */
static void
test_too_many_clients(void **state)
{
	struct fixture *f = *state;
	char client[INET6_ADDRSTRLEN];
	unsigned int i;

	f->values.smtp_max_sessions_per_client = 1;
	for (i = 0; i < CLIENTS_MAX + 10; i++) {
		(void)snprintf(client, sizeof(client), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		assert_true(enter(f, client));
		if (i >= 1000)
			leave(f, f->visit);
	}
	assert_int_equal(clients_counters(f->c)->known, CLIENTS_MAX);
	assert_int_equal(clients_counters(f->c)->not_counted, 10);
	assert_int_equal(f->logged, 1);
	assert_non_null(strstr(f->last_line, "event=clients-not-counted"));
	assert_true(enter(f, client));
	assert_true(enter(f, client));
	assert_true(rcpt(f, f->visit, true));
	assert_true(rcpt_refused(f, f->visit));
	assert_int_equal(clients_counters(f->c)->open, 1002);
	leave(f, f->visit);
	/* Once their periods are over there is room again; those that are open stay. */
	f->now_ms += PERIOD_MS;
	assert_true(enter(f, client));
	assert_int_equal(clients_counters(f->c)->known, 1001);
	assert_false(enter(f, client));
}

/* -- for the admin -- */

static void
test_pages(void **state)
{
	struct fixture *f = *state;
	struct client_row row = {.number = 0};
	char client[32];
	unsigned int i, n = 0;
	uint64_t middle = 0;

	for (i = 0; i < 10; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%u", i);
		assert_true(enter(f, client));
		if (i == 4)
			f->now_ms++;
	}
	while (clients_next(f->c, row.number, f->now_ms, &row)) {
		(void)snprintf(client, sizeof(client), "192.0.2.%u", n++);
		assert_string_equal(row.client, client);
		if (n == 5)
			middle = row.number;
	}
	assert_int_equal(n, 10);
	/* The one that a page ended with is gone meanwhile. */
	for (i = 1; i <= 5; i++)
		leave(f, i);
	f->now_ms += PERIOD_MS - 1;
	clients_tick(f->c, f->now_ms);
	assert_true(clients_next(f->c, middle, f->now_ms, &row));
	assert_string_equal(row.client, "192.0.2.5");
	assert_false(clients_next(f->c, UINT64_MAX, f->now_ms, &row));
}

static void
test_clear(void **state)
{
	static const char *const there[] = {"192.0.2.1", "unix", "2001:db8::7", "2001:DB8::/64"};
	struct fixture *f = *state;
	size_t i;

	f->values.smtp_connection_rate = 1;
	for (i = 0; i < NITEMS(there); i++) {
		assert_true(enter(f, "192.0.2.1"));
		assert_true(enter(f, "2001:db8::1"));
		assert_true(enter(f, "unix"));
		assert_int_equal(clients_clear(f->c, there[i]), 0);
		assert_int_equal(enter(f, "192.0.2.1"), i == 0);
		assert_int_equal(enter(f, "unix"), i == 1);
		assert_int_equal(enter(f, "2001:db8::1"), i >= 2);
		clients_clear_all(f->c);
	}
	assert_int_equal(clients_clear(f->c, "192.0.2.9"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(clients_clear(f->c, ""), -1);
	assert_int_equal(errno, EINVAL);
	/* What is open stays open. */
	assert_int_equal(row_of(f, "192.0.2.1").open, 5);
	assert_int_equal(row_of(f, "192.0.2.1").connections, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_whole_server, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_connection_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_message_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_recipient_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_limits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forgetting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_link_lost_and_announced_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_many_clients, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
