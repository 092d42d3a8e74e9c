/* SPDX-License-Identifier: ISC */
/* Targets, one by one; what is kept of a .forward file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lookup/forward.h"

/* The targets of a text, with ";" behind each; "!" is one that is too long. */
static void
check_targets(const char *text, const char *want)
{
	char got[4096] = "", target[TARGET_MAX + 1];
	enum target_result r;

	while ((r = target_next(&text, target)) != TARGET_END) {
		if (r == TARGET_TOO_LONG)
			(void)!str_copy(target, sizeof(target), "!");
		assert_int_equal(str_append(got, sizeof(got), target), 0);
		assert_int_equal(str_append(got, sizeof(got), ";"), 0);
	}
	assert_string_equal(got, want);
	assert_int_equal(target_next(&text, target), TARGET_END); /* and stays there */
}

static void
test_targets(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"", ""},
	    {" , ,\t,", ""},
	    {"alice", "alice;"},
	    {"alice,bob , carol@c.example", "alice;bob;carol@c.example;"},
	    {"\"|cat -a, b\", alice", "|cat -a, b;alice;"},
	    {"\"|sh -c \\\"a, b\\\"\"", "|sh -c \"a, b\";"},
	    {"\"a b\"@c.example, d", "\"a b\"@c.example;d;"},
	    {"\"a\\\"b\"@c.example", "\"a\\\"b\"@c.example;"},
	    {"\"\", x", "x;"},
	    {"\"open, x", "\"open, x;"},
	    {"\\alice", "\\alice;"},
	    {"a b", "a b;"},
	};
	char text[2 * TARGET_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		check_targets(rows[i].text, rows[i].want);
	memset(text, 'x', sizeof(text));
	memcpy(text + TARGET_MAX, ",y", 3);
	text[0] = 'a';
	{
		char want[TARGET_MAX + 4];

		memcpy(want, text, TARGET_MAX);
		memcpy(want + TARGET_MAX, ";y;", 4);
		check_targets(text, want);
	}
	memcpy(text + TARGET_MAX, "x,y", 4);
	check_targets(text, "!;y;");
}

static void
test_values(void **state)
{
	static const struct {
		enum forward_kind kind;
		const char *text, *want;
	} rows[] = {
	    {FORWARD_USER, "alice\n# a comment, too\n  bob,carol\r\n", "alice;bob;carol;"},
	    {FORWARD_ROOT, "\"|cmd, x\"\n\"open\nbob", "|cmd, x;open;bob;"},
	    {FORWARD_USER, "#\n", ""},
	    {FORWARD_USER, "", ""},
	    {FORWARD_UNSAFE, "others can write to it", "others can write to it;"},
	};
	struct forward f;
	char *value;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		value = forward_format(rows[i].kind, rows[i].text, strlen(rows[i].text));
		assert_non_null(value);
		assert_true(forward_parse(value, &f));
		assert_int_equal(f.kind, rows[i].kind);
		check_targets(f.text, rows[i].want);
		free(value);
	}
	value = forward_format(FORWARD_USER, "a\0b", 3);
	assert_true(forward_parse(value, &f));
	assert_int_equal(f.kind, FORWARD_UNSAFE);
	free(value);
	assert_false(forward_parse("", &f));
	assert_false(forward_parse("alice", &f));
	assert_false(forward_parse("user", &f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_targets),
	    cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
