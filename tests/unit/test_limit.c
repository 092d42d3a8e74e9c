/* SPDX-License-Identifier: ISC */
/*
 * Limits on what goes out: which value counts for whom, and that each holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "delivery/limit_private.h"
#include "lib/base/bug.h"

#define START 1000000

static struct conf_limit
unset(enum conf_scope of, const char *name)
{
	struct conf_limit l = {.of = of,
	    .name = (char *)(uintptr_t)name,
	    .session_mails = CONF_LIMIT_UNSET,
	    .session_delay_ms = CONF_LIMIT_UNSET,
	    .session_idle_ms = CONF_LIMIT_UNSET};
	int i;

	for (i = 0; i < CONF_SCOPE__MAX; i++)
		l.connections[i] = l.delay_ms[i] = l.rate[i] = CONF_LIMIT_UNSET;
	return l;
}

static struct conf
conf_with(struct conf_limit *limits, size_t n)
{
	return (struct conf){
	    .limits = limits, .nlimits = n, .values = {.delivery_max_per_destination = 10}};
}

static struct limits *
create(const struct conf *conf)
{
	struct limits *ls = limits_create();

	assert_non_null(ls);
	limits_configure(ls, conf);
	return ls;
}

static struct limit_subject
mail_for(const char *domain, const char *mx)
{
	return (struct limit_subject){.keys = {[CONF_SCOPE_DOMAIN] = domain, [CONF_SCOPE_MX] = mx}};
}

static void
test_which_value(void **state)
{
	struct conf_limit limits[5] = {unset(CONF_SCOPE_DOMAIN, NULL),
	    unset(CONF_SCOPE_DOMAIN, "a.example"), unset(CONF_SCOPE_DOMAIN, "*.a.example"),
	    unset(CONF_SCOPE_MX, "*.google.com"), unset(CONF_SCOPE_DOMAIN, NULL)};
	struct conf conf = conf_with(limits, NITEMS(limits));
	static const struct {
		const char *domain, *mx;
		int64_t connections;
	} cases[] = {
	    {"b.example", NULL, 5}, /* the later of the two for all */
	    {"a.example", NULL, 2}, {"A.EXAMPLE", NULL, 2}, {"x.a.example", NULL, 3},
	    {"x.y.a.example", NULL, 3}, {"xa.example", NULL, 5}, {"b.example", "google.com", 4},
	    {"b.example", "gooogle.com", 5},
	    {"x.a.example", "google.com", 4}, /* exact before a pattern */
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(limits); i++)
		limits[i].connections[CONF_SCOPE_DOMAIN] = (int64_t)i + 1;
	for (i = 0; i < NITEMS(cases); i++) {
		struct limit_subject s = mail_for(cases[i].domain, cases[i].mx);

		assert_int_equal(limit_in_conf(&conf, LIMIT_CONNECTIONS, CONF_SCOPE_DOMAIN, &s),
		    cases[i].connections);
	}
}

static void
test_defaults(void **state)
{
	struct conf conf = conf_with(NULL, 0);
	struct limit_subject s = mail_for("a.example", "b.example");
	struct limit_subject host = {.keys = {[CONF_SCOPE_RELAY] = "out smtp://h.example"}};
	struct limit_session session = limit_session_of(&conf, &s);

	(void)state;
	assert_int_equal(limit_in_conf(&conf, LIMIT_CONNECTIONS, CONF_SCOPE_DOMAIN, &s), 10);
	assert_int_equal(limit_in_conf(&conf, LIMIT_CONNECTIONS, CONF_SCOPE_MX, &s), 0);
	assert_int_equal(limit_in_conf(&conf, LIMIT_CONNECTIONS, CONF_SCOPE_RELAY, &s), 0);
	assert_int_equal(limit_in_conf(&conf, LIMIT_CONNECTIONS, CONF_SCOPE_RELAY, &host), 10);
	assert_int_equal(limit_in_conf(&conf, LIMIT_RATE, CONF_SCOPE_DOMAIN, &s), 0);
	assert_int_equal(session.mails, 100);
	assert_int_equal(session.idle_ms, 10000);
	assert_int_equal(session.delay_ms, 0);
}

static void
test_connections(void **state)
{
	struct conf_limit limits[1] = {unset(CONF_SCOPE_DOMAIN, NULL)};
	struct conf conf = conf_with(limits, 1);
	struct limit_subject a = mail_for("a.example", "mx.example");
	struct limit_subject b = mail_for("b.example", "mx.example");
	enum conf_scope scope = CONF_SCOPE__MAX;
	struct limits *ls;

	(void)state;
	limits[0].connections[CONF_SCOPE_MX] = 2;
	ls = create(&conf);
	assert_int_equal(limit_connect_at(ls, &a, START, &scope), 0);
	assert_int_equal(limit_connect(ls, &a, START), 0);
	assert_int_equal(limit_connect(ls, &b, START), 0);
	assert_true(limit_connect_at(ls, &a, START, &scope) > START);
	assert_int_equal(scope, CONF_SCOPE_MX);
	limit_disconnect(ls, &b, START);
	assert_int_equal(limit_connect_at(ls, &a, START, &scope), 0);
	limits_free(ls);
}

static void
test_pace(void **state)
{
	struct conf_limit limits[1] = {unset(CONF_SCOPE_DOMAIN, "a.example")};
	struct conf conf = conf_with(limits, 1);
	struct limit_subject a = mail_for("a.example", NULL), b = mail_for("b.example", NULL);
	enum conf_scope scope;
	struct limits *ls;

	(void)state;
	limits[0].delay_ms[CONF_SCOPE_DOMAIN] = 3000;
	ls = create(&conf);
	assert_int_equal(limit_connect(ls, &a, START), 0);
	assert_int_equal(limit_connect(ls, &b, START), 0);
	limit_disconnect(ls, &a, START + 1);
	limits_tick(ls, START + 2);
	assert_int_equal(limit_connect_at(ls, &a, START + 2, &scope), START + 3000);
	assert_int_equal(limit_connect_at(ls, &b, START + 2, &scope), 0);
	assert_int_equal(limit_connect_at(ls, &a, START + 3000, &scope), 0);
	limits_free(ls);
}

/* Never more than the rate within any minute, and as many as that when they are there. */
static void
test_rate(void **state)
{
	struct conf_limit limits[1] = {unset(CONF_SCOPE_DOMAIN, NULL)};
	struct conf conf = conf_with(limits, 1);
	struct limit_subject a = mail_for("a.example", NULL);
	int64_t now_ms, at_ms, sent[400];
	enum conf_scope scope;
	struct limits *ls;
	size_t n = 0, i;

	(void)state;
	limits[0].rate[CONF_SCOPE_DOMAIN] = 20;
	ls = create(&conf);
	assert_int_equal(limit_connect(ls, &a, START), 0);
	for (now_ms = START; now_ms < START + 600000; now_ms += 700) {
		while ((at_ms = limit_mail_at(ls, &a, now_ms, &scope)) == 0) {
			limit_mail(ls, &a, now_ms);
			sent[n++] = now_ms;
			assert_in_range(n, 1, NITEMS(sent) - 1);
		}
		assert_true(at_ms > now_ms && at_ms <= now_ms + 66000);
		assert_int_equal(scope, CONF_SCOPE_DOMAIN);
	}
	for (i = 20; i < n; i++)
		assert_true(sent[i] - sent[i - 20] >= 60000);
	assert_true(n >= 180);
	limits_free(ls);
}

static void
test_hosts_down(void **state)
{
	struct conf conf = conf_with(NULL, 0);
	struct limits *ls = create(&conf);
	int64_t now_ms = START;
	int i;

	(void)state;
	assert_false(limit_host_is_down(ls, "192.0.2.1", now_ms));
	for (i = 0; i < 8; i++) {
		int64_t down_ms = 30000 << i < 900000 ? 30000 << i : 900000;

		limit_host_down(ls, "192.0.2.1", now_ms, "refused");
		limit_host_down(ls, "192.0.2.1", now_ms + 1, "another attempt found the same");
		assert_true(limit_host_is_down(ls, "192.0.2.1", now_ms + down_ms - 1));
		assert_false(limit_host_is_down(ls, "192.0.2.1", now_ms + down_ms));
		assert_false(limit_host_is_down(ls, "192.0.2.2", now_ms));
		now_ms += down_ms;
		limits_tick(ls, now_ms);
	}
	limit_host_down(ls, "192.0.2.1", now_ms, "refused");
	limit_host_up(ls, "192.0.2.1");
	assert_false(limit_host_is_down(ls, "192.0.2.1", now_ms));
	limit_host_down(ls, "192.0.2.1", now_ms, "refused");
	assert_false(limit_host_is_down(ls, "192.0.2.1", now_ms + 30000)); /* from the start */
	limit_host_down(ls, "192.0.2.1", now_ms + 30000, "refused");
	limits_forgive(ls);
	assert_false(limit_host_is_down(ls, "192.0.2.1", now_ms + 30000));
	limits_free(ls);
}

static bool
count_row(void *arg, const struct limit_row *row)
{
	(void)row;
	return ++*(size_t *)arg < 3;
}

static void
test_forgets_and_lists(void **state)
{
	struct conf conf = conf_with(NULL, 0);
	struct limits *ls = create(&conf);
	char names[5][16];
	struct limit_subject s[5];
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < 5; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "d%zu.example", i);
		s[i] = mail_for(names[i], NULL);
		assert_int_equal(limit_connect(ls, &s[i], START), 0);
	}
	limits_list(ls, 0, START, count_row, &n);
	assert_int_equal(n, 3);
	n = 0;
	limits_list(ls, 3, START, count_row, &n);
	assert_int_equal(n, 2);
	for (i = 0; i < 5; i++)
		limit_disconnect(ls, &s[i], START);
	limits_tick(ls, START + 1);
	n = 0;
	limits_list(ls, 0, START, count_row, &n);
	assert_int_equal(n, 0);
	limits_free(ls);
}

static void
test_who_runs_it(void **state)
{
	static const struct {
		const char *host, *provider;
	} cases[] = {
	    {"aspmx.l.google.com", "google.com"},
	    {"google.com", "google.com"},
	    {"mx1.mail.example.co.uk", "example.co.uk"},
	    {"example.co.uk", "example.co.uk"},
	    {"co.uk", "co.uk"},
	    {"mx.gmx.de", "gmx.de"},
	    {"mx.example.com.au", "example.com.au"},
	    {"mx.com.example", "com.example"},
	    {"localhost", "localhost"},
	    {"192.0.2.1", "192.0.2.1"},
	    {"2001:db8::1", "2001:db8::1"},
	    {"[192.0.2.1]", "[192.0.2.1]"},
	    {"", ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		assert_string_equal(limit_mx_provider(cases[i].host), cases[i].provider);
	assert_non_null(limit_mx_provider("."));
	assert_non_null(limit_mx_provider(".."));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_which_value),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_connections),
	    cmocka_unit_test(test_pace),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_hosts_down),
	    cmocka_unit_test(test_forgets_and_lists),
	    cmocka_unit_test(test_who_runs_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
