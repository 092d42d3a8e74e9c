/* SPDX-License-Identifier: ISC */
/* The tree of an explanation: order, depth, bounds; and what a client's limits would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lookup/clients.h"
#include "lookup/explain_tree.h"

static struct explain_tree *
make_tree(void)
{
	struct explain_tree *t = explain_tree_create();

	assert_non_null(t);
	return t;
}

static void
add(struct explain_tree *t, const char *kind)
{
	explain_add(t, &(struct explain_step){.kind = kind});
}

static void
wrap(struct explain_tree *t, size_t mark, const char *kind)
{
	explain_wrap(t, mark, &(struct explain_step){.kind = kind});
}

/* "rule(test(lookup)test)rule": kinds, with what is deeper in brackets. */
static void
tree_text(const struct explain_tree *t, char *dst, size_t size)
{
	struct explain_shown s;
	unsigned int depth = 0;
	size_t i, n = 0;

	dst[0] = '\0';
	for (i = 0; i < explain_count(t); i++) {
		explain_get(t, i, &s);
		for (; depth < s.depth; depth++)
			n += (size_t)snprintf(dst + n, size - n, "(");
		for (; depth > s.depth; depth--)
			n += (size_t)snprintf(dst + n, size - n, ")");
		n += (size_t)snprintf(dst + n, size - n, "%s%s%s",
		    i > 0 && dst[n - 1] != '(' && dst[n - 1] != ')' ? " " : "", s.step.kind,
		    s.step.decides ? "!" : "");
	}
	for (; depth > 0; depth--)
		n += (size_t)snprintf(dst + n, size - n, ")");
}

static void
expect(const struct explain_tree *t, const char *text)
{
	char got[1024];

	tree_text(t, got, sizeof(got));
	assert_string_equal(got, text);
}

static void
test_parts_before_the_whole(void **state)
{
	struct explain_tree *t = make_tree();
	size_t rule, test;

	(void)state;
	add(t, "client");
	explain_in(t);
	add(t, "name");
	explain_out(t);
	rule = test = explain_mark(t);
	add(t, "lookup");
	wrap(t, test, "test");
	test = explain_mark(t);
	wrap(t, test, "test");
	wrap(t, rule, "rule");
	explain_wrap(t, explain_mark(t), &(struct explain_step){.kind = "rule", .decides = true});
	expect(t, "client(name)rule(test(lookup)test)rule!");
	explain_tree_free(t);
}

/* A stage that is run again begins where it began before. */
static void
test_cut(void **state)
{
	struct explain_tree *t = make_tree();
	size_t mark;

	(void)state;
	add(t, "a");
	mark = explain_mark(t);
	add(t, "b");
	wrap(t, mark, "c");
	explain_cut(t, mark);
	expect(t, "a");
	add(t, "d");
	expect(t, "a d");
	explain_cut(t, 0);
	expect(t, "");
	explain_tree_free(t);
}

static void
test_texts(void **state)
{
	static char text[5000];
	struct explain_tree *t = make_tree();
	struct explain_shown s;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	explain_add(
	    t, &(struct explain_step){
		   .kind = text, .subject = text, .result = text, .text = text, .line = 12});
	explain_get(t, 0, &s);
	assert_int_equal(strlen(s.step.kind), IPC_WORD_MAX);
	assert_int_equal(strlen(s.step.subject), IPC_TEXT_MAX);
	assert_int_equal(strlen(s.step.result), IPC_WORD_MAX);
	assert_int_equal(strlen(s.step.text), IPC_TEXT_MAX);
	assert_string_equal(s.step.text + IPC_TEXT_MAX - 4, "x...");
	assert_int_equal(s.step.line, 12);
	explain_add(t, &(struct explain_step){.kind = "k"});
	explain_get(t, 1, &s);
	assert_string_equal(s.step.subject, "");
	assert_string_equal(s.step.text, "");
	explain_tree_free(t);
}

/* What is too much is counted; a step goes before its parts, and what decides before anything. */
static void
test_rows_are_bounded(void **state)
{
	struct explain_tree *t = make_tree();
	struct explain_shown s;
	size_t i;

	(void)state;
	for (i = 0; i < EXPLAIN_ROWS_MAX + 7; i++)
		add(t, "part");
	assert_int_equal(explain_count(t), EXPLAIN_ROWS_MAX);
	assert_int_equal(explain_dropped(t), 7);
	wrap(t, 10, "whole");
	assert_int_equal(explain_count(t), EXPLAIN_ROWS_MAX);
	assert_int_equal(explain_dropped(t), 8);
	explain_get(t, 10, &s);
	assert_string_equal(s.step.kind, "whole");
	explain_get(t, 11, &s);
	assert_int_equal(s.depth, 1);
	explain_add(t, &(struct explain_step){.kind = "rule", .decides = true});
	assert_int_equal(explain_count(t), EXPLAIN_ROWS_MAX + 1);
	for (i = 0; i < 100; i++)
		explain_add(t, &(struct explain_step){.kind = "rule", .decides = true});
	assert_int_equal(explain_count(t), EXPLAIN_ROWS_MAX + 16);
	explain_cut(t, 5);
	assert_int_equal(explain_dropped(t), 0);
	explain_tree_free(t);
}

static void
test_octets_are_bounded(void **state)
{
	static char text[IPC_TEXT_MAX + 1];
	struct explain_tree *t = make_tree();
	size_t i, n = EXPLAIN_OCTETS_MAX / IPC_TEXT_MAX + 100;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (i = 0; i < n; i++)
		explain_add(t, &(struct explain_step){.kind = "k", .text = text});
	assert_in_range(explain_count(t), EXPLAIN_OCTETS_MAX / (IPC_TEXT_MAX + 8),
	    EXPLAIN_OCTETS_MAX / IPC_TEXT_MAX);
	assert_int_equal(explain_count(t) + explain_dropped(t), n);
	explain_add(t, &(struct explain_step){.kind = "rule", .text = text, .decides = true});
	assert_int_equal(explain_count(t) + explain_dropped(t), n + 1);
	explain_tree_free(t);
}

/* -- the limits of a client, of which nothing is counted -- */

static const char *
exceeded(const struct client_outlook *o)
{
	const char *setting = "";
	size_t i, n = 0;

	for (i = 0; i < CLIENT_LIMITS; i++)
		if (o->limits[i].refuses) {
			setting = o->limits[i].setting;
			n++;
		}
	assert_in_range(n, 0, 1);
	return setting;
}

static void
expect_at(struct clients *c, const struct client_entry *e, enum client_act act, int64_t now_ms,
    const char *setting)
{
	struct client_outlook o;
	bool may = clients_foresee(c, e, act, now_ms, &o);

	assert_string_equal(exceeded(&o), setting);
	assert_int_equal(may, setting[0] == '\0');
	assert_int_equal(o.refusal.code == 0, may);
	assert_string_equal(may ? "" : o.refusal.limit, setting);
}

static void
expect_limit(struct clients *c, const struct client_entry *e, int64_t now_ms, const char *setting)
{
	expect_at(c, e, CLIENT_COMES, now_ms, setting);
}

/* What is foreseen is what happens, act by act; and foreseeing it a thousand times changes nothing. */
static void
test_foresee(void **state)
{
	const struct conf_values values = {.smtp_max_sessions = 5,
	    .smtp_max_sessions_per_client = 2,
	    .smtp_rate_period_s = 60,
	    .smtp_connection_rate = 4,
	    .smtp_message_rate = 2,
	    .smtp_recipient_rate = 3,
	    .smtp_refused_rate = 1,
	    .smtp_prefix4 = 32,
	    .smtp_prefix6 = 64};
	struct clients *c = clients_create();
	struct client_entry e = {.any_rate = false}, friend;
	struct client_refusal refusal;
	struct addr addr;
	unsigned int i;

	(void)state;
	assert_non_null(c);
	clients_configure(c, &values);
	assert_int_equal(addr_parse("192.0.2.1", 0, &addr), 0);
	e.addr = &addr;
	friend = e;
	friend.any_rate = friend.any_limit = true;
	for (i = 0; i < 1000; i++)
		expect_limit(c, &e, 0, "");
	assert_int_equal(clients_counters(c)->known, 0);
	for (i = 0; i < 2; i++)
		assert_true(clients_enter(c, (struct visit_id){0, i}, &e, 0, &refusal));
	expect_limit(c, &e, 0, "max-sessions-per-client");
	expect_limit(c, &friend, 0, "");
	clients_leave(c, (struct visit_id){0, 1}, 0);
	expect_limit(c, &e, 0, "");
	for (i = 0; i < 2; i++)
		assert_true(clients_rcpt(c, (struct visit_id){0, 0}, true, 0, &refusal));
	expect_limit(c, &e, 0, "");
	expect_at(c, &e, CLIENT_SENDS, 0, "max-message-rate");
	assert_false(clients_rcpt(c, (struct visit_id){0, 0}, true, 0, &refusal));
	expect_at(c, &e, CLIENT_SENDS, 59999, "max-message-rate");
	expect_at(c, &e, CLIENT_SENDS, 60000, "");
	expect_at(c, &e, CLIENT_GUESSES, 60000, "");
	assert_true(clients_rcpt_refused(c, (struct visit_id){0, 0}, 60000, &refusal));
	expect_limit(c, &e, 60000, "");
	expect_at(c, &e, CLIENT_SENDS, 60000, "");
	expect_at(c, &e, CLIENT_GUESSES, 60000, "max-refused-rate");
	assert_false(clients_rcpt_refused(c, (struct visit_id){0, 0}, 60000, &refusal));
	expect_limit(c, &e, 60000, "max-refused-rate");
	for (i = 2; i < 6; i++)
		assert_true(clients_enter(c, (struct visit_id){0, i}, &friend, 60000, &refusal));
	expect_limit(c, &friend, 60000, "max-sessions");
	clients_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts_before_the_whole),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_rows_are_bounded),
	    cmocka_unit_test(test_octets_are_bounded),
	    cmocka_unit_test(test_foresee),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
