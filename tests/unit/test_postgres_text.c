/* SPDX-License-Identifier: ISC */
/* Keys, rows and errors of PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "table/postgres_text.h"

static void
test_keys(void **state)
{
	static const char *const good[] = {"", "plain@example.org", "\tok", "\x7f", "\xc3\xa9",
	    "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xe9", "a\xc3", "\xc3(", "\xc0\xaf", "\xc1\xbf",
	    "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
	    "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "ok\xfe"};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(good); i++)
		if (!pg_is_utf8(good[i]))
			fail_msg("good %zu", i);
	for (i = 0; i < NITEMS(bad); i++)
		if (pg_is_utf8(bad[i]))
			fail_msg("bad %zu", i);
}

#define C(text)                        \
	{                              \
		text, sizeof(text) - 1 \
	}
#define NO_COLUMN       \
	{               \
		NULL, 0 \
	}

static void
test_rows(void **state)
{
	static const struct {
		enum table_service service;
		struct pg_column columns[4];
		size_t n;
		enum pg_row row;
		const char *value;
	} cases[] = {
	    {SERVICE_ALIAS, {C("root")}, 1, PG_ROW_TAKEN, "root"},
	    {SERVICE_ALIAS, {C("a, b")}, 1, PG_ROW_TAKEN, "a, b"},
	    {SERVICE_ALIAS, {NO_COLUMN}, 1, PG_ROW_EMPTY, ""},
	    {SERVICE_ALIAS, {C("")}, 1, PG_ROW_EMPTY, ""},
	    {SERVICE_ALIAS, {NO_COLUMN}, 0, PG_ROW_EMPTY, ""},
	    {SERVICE_USERINFO, {C("1000"), C("100"), C("/home/u")}, 3, PG_ROW_TAKEN,
		"1000:100:/home/u"},
	    {SERVICE_USERINFO, {C("1000"), NO_COLUMN, C("/home/u")}, 3, PG_ROW_TAKEN,
		"1000::/home/u"},
	    {SERVICE_USERINFO, {NO_COLUMN, C("100"), C("/home/u")}, 3, PG_ROW_TAKEN,
		":100:/home/u"},
	    {SERVICE_USERINFO, {NO_COLUMN, NO_COLUMN, NO_COLUMN}, 3, PG_ROW_EMPTY, ""},
	    {SERVICE_AUTH, {C("login"), C("$6$hash")}, 2, PG_ROW_TAKEN, "$6$hash"},
	    {SERVICE_AUTH, {C("$6$hash")}, 1, PG_ROW_TAKEN, "$6$hash"},
	    {SERVICE_AUTH, {C("login"), NO_COLUMN}, 2, PG_ROW_EMPTY, ""},
	    {SERVICE_AUTH, {C("login"), C("$6$hash"), C("more")}, 3, PG_ROW_TAKEN, "$6$hash"},
	    {SERVICE_CREDENTIALS, {C("relay"), C("user:secret")}, 2, PG_ROW_TAKEN, "user:secret"},
	    /* presence is all */
	    {SERVICE_DOMAIN, {C("1")}, 1, PG_ROW_TAKEN, ""},
	    {SERVICE_DOMAIN, {C("")}, 1, PG_ROW_TAKEN, ""},
	    {SERVICE_DOMAIN, {NO_COLUMN}, 1, PG_ROW_EMPTY, ""},
	    {SERVICE_NETADDR, {C("a\r\nb")}, 1, PG_ROW_TAKEN, ""},
	    {SERVICE_MAILADDR, {NO_COLUMN}, 0, PG_ROW_TAKEN, ""},
	};
	char value[IPC_VALUE_MAX + 1];
	size_t i, len;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (pg_row_value(cases[i].service, cases[i].columns, cases[i].n, value, &len) !=
		    cases[i].row)
			fail_msg("case %zu", i);
		assert_string_equal(value, cases[i].value);
		assert_int_equal(len, strlen(cases[i].value));
	}
}

static void
test_takes_one(void **state)
{
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < SERVICE__MAX; i++)
		n += !pg_takes_one_row((enum table_service)i);
	assert_int_equal(n, 6); /* alias, virtual, source, mailaddrmap, senders, relayhost */
	assert_true(pg_takes_one_row(SERVICE_USERINFO));
	assert_false(pg_takes_one_row(SERVICE_ALIAS));
}

static void
test_long_rows(void **state)
{
	static char text[IPC_VALUE_MAX + 2];
	struct pg_column columns[3] = {{text, IPC_VALUE_MAX}, {"", 0}, {"", 0}};
	char value[IPC_VALUE_MAX + 1];
	size_t len;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(pg_row_value(SERVICE_ALIAS, columns, 1, value, &len), PG_ROW_TAKEN);
	assert_int_equal(len, IPC_VALUE_MAX);
	assert_int_equal(pg_row_value(SERVICE_ALIAS, columns, 2, value, &len), PG_ROW_TOO_LONG);
	columns[0].len = IPC_VALUE_MAX + 1;
	assert_int_equal(pg_row_value(SERVICE_ALIAS, columns, 1, value, &len), PG_ROW_TOO_LONG);
	columns[0].len = IPC_VALUE_MAX - 2;
	assert_int_equal(pg_row_value(SERVICE_ALIAS, columns, 3, value, &len), PG_ROW_TAKEN);
	assert_int_equal(len, IPC_VALUE_MAX);
}

static void
test_errors(void **state)
{
	(void)state;
	assert_int_equal(pg_error_outcome("22021"), IPC_GONE);
	assert_int_equal(pg_error_outcome("22P05"), IPC_GONE);
	assert_int_equal(pg_error_outcome("42P01"), IPC_RETRY);
	assert_int_equal(pg_error_outcome("57014"), IPC_RETRY);
	assert_int_equal(pg_error_outcome(""), IPC_RETRY);
	assert_true(pg_error_is_stale("0A000"));
	assert_true(pg_error_is_stale("26000"));
	assert_false(pg_error_is_stale("57014"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_takes_one),
	    cmocka_unit_test(test_long_rows),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
