/* SPDX-License-Identifier: ISC */
/* Paths made of patterns and strangers' addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/conf/pattern.h"

static const struct pattern_values values = {.sender = "Me+Tag@Sender.example",
    .rcpt = "User+Tag@Example.org",
    .dest = "you@example.org",
    .username = "you",
    .directory = "/home/you"};

static void
test_good(void **state)
{
	static const struct {
		const char *pattern, *path;
	} cases[] = {
	    {"/m/%{dest}", "/m/you@example.org"},
	    {"/m/%{dest.domain}/%{dest.user}/", "/m/example.org/you/"},
	    {"/m/%{rcpt}", "/m/User+Tag@Example.org"},
	    {"/m/%{rcpt.user}", "/m/User+Tag"},
	    {"/m/%{rcpt.domain}", "/m/Example.org"},
	    {"/m/%{sender}/%{sender.user}/%{sender.domain}",
		"/m/Me+Tag@Sender.example/Me+Tag/Sender.example"},
	    {"~/Maildir", "/home/you/Maildir"},
	    {"~", "/home/you"},
	    {"Maildir", "/home/you/Maildir"},
	    {"%{user.directory}/x", "/home/you/x"},
	    {"%{user.username}/x", "/home/you/you/x"},
	    {"/m/%{user.username}%{user.username}", "/m/youyou"},
	    {"/100%/x", "/100%/x"},
	    {"//m//x", "//m//x"},
	    /* ranges */
	    {"/%{dest.domain[0]}", "/e"},
	    {"/%{dest.domain[1]}", "/x"},
	    {"/%{dest.domain[-1]}", "/g"},
	    {"/%{dest.domain[8:]}", "/org"},
	    {"/%{dest.domain[-3:]}", "/org"},
	    {"/%{dest.domain[0:6]}", "/example"},
	    {"/%{dest.domain[0:-4]}", "/example"},
	    {"/%{dest.domain[:1]}", "/ex"},
	    {"/%{dest.domain[:]}", "/example.org"},
	    {"/%{dest.domain[-99:99]}", "/example.org"},
	    {"/%{dest.user[0:0]}/%{dest.user[1:1]}", "/y/o"},
	    /* modifiers */
	    {"/%{rcpt:lowercase}", "/user+tag@example.org"},
	    {"/%{rcpt:uppercase}", "/USER+TAG@EXAMPLE.ORG"},
	    {"/%{rcpt:strip}", "/User@Example.org"},
	    {"/%{rcpt.user:strip}", "/User"},
	    {"/%{rcpt:lowercase|strip}", "/user@example.org"},
	    {"/%{rcpt[0:1]:lowercase}", "/us"},
	};
	char path[256];
	struct pattern_fault fault;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (pattern_check(cases[i].pattern, &fault) == -1)
			fail_msg("%s: %s", cases[i].pattern, fault.text);
		assert_int_equal(pattern_expand(cases[i].pattern, &values, path, sizeof(path)), 0);
		assert_string_equal(path, cases[i].path);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		const char *pattern;
		size_t offset;
		const char *text;
	} cases[] = {
	    {"", 0, "an empty path"},
	    {"~you/x", 1, "'~' is followed by '/'"},
	    {"/m/%{dst}", 3, "unknown format specifier '%{dst}'"},
	    {"/m/%{}", 3, "unknown format specifier '%{}'"},
	    {"/m/%{dest", 3, "'%{' without a '}'"},
	    {"/m/%{dest[}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[a]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[1:2:3]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[1-2]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[--1]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[10000]}", 9, "not a range such as [0:2]"},
	    {"/m/%{dest[0]x}", 3, "'%{' without a '}'"},
	    {"/m/%{dest:}", 9, "unknown modifier: there are lowercase, uppercase and strip"},
	    {"/m/%{dest:raw}", 9, "unknown modifier: there are lowercase, uppercase and strip"},
	    {"/m/%{dest:strip|}", 9, "unknown modifier: there are lowercase, uppercase and strip"},
	    {"/m/%{dest|strip}", 3, "unknown format specifier '%{dest|strip}'"},
	    {"/m/../x", 3, "'.' or '..' in a path"},
	    {"/m/.", 3, "'.' or '..' in a path"},
	    {"./m", 0, "'.' or '..' in a path"},
	    {"~/../x", 2, "'.' or '..' in a path"},
	    {"/m/\x1b", 3, "control byte in a path"},
	};
	struct pattern_fault fault;
	char path[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (pattern_check(cases[i].pattern, &fault) == 0)
			fail_msg("accepted: %s", cases[i].pattern);
		assert_string_equal(fault.text, cases[i].text);
		if (fault.offset != cases[i].offset)
			fail_msg("%s: offset %zu", cases[i].pattern, fault.offset);
		assert_int_equal(pattern_expand(cases[i].pattern, &values, path, sizeof(path)), -1);
		assert_int_equal(errno, EINVAL);
	}
}

/* What a stranger may put into an address, and where it ends up. */
static void
test_hostile(void **state)
{
	static const struct {
		const char *pattern, *dest, *path; /* NULL: refused */
	} cases[] = {
	    {"/m/%{dest.user}", "../../etc@x", NULL},
	    {"/m/%{dest.user[0:1]}", "ab/c@x", "/m/ab"},
	    {"/m/%{dest.user}", "..@x", NULL},
	    {"/m/%{dest.user}", ".@x", NULL},
	    {"/m/%{dest.user}", "@x", NULL},
	    {"/m/%{dest.user}/x", "@x", NULL},
	    {"/m/%{dest.domain}/x", "postmaster", NULL},
	    {"/m/%{dest.user}.%{dest.domain}", "@.", NULL},
	    {"/m/.%{dest.user}", ".@x", NULL},
	    {"/m/%{dest.user[0]}", ".a@x", NULL},
	    {"/m/%{dest.user[5:]}", "a@x", NULL},
	    {"/m/%{dest.user:strip}", "+tag@x", NULL},
	    {"/m/x%{dest.user}", "@x", "/m/x"},
	    {"/m/%{dest.user}", "...@x", "/m/..."},
	    {"/m/%{dest.user}", "a\nb@x", NULL},
	    {"/m/%{dest.user}", "a\x7f@x", NULL},
	    {"/m/%{dest.user}", "%{rcpt}@x", "/m/%{rcpt}"},
	    {"/m/%{dest.user}", "~@x", "/m/~"},
	    {"%{dest.user}", "/etc/passwd@x", NULL},
	    {"/m/%{dest.user}", "$(id)`id`|id;&@x", "/m/$(id)`id`|id;&"},
	    {"/m/%{dest.user}", "o'brien@x", "/m/o'brien"},
	    {"/m/%{dest.user}", "\"a@b\"@x", "/m/\"a@b\""},
	    {"/m/%{dest.user}", "\xc3\xa9@x", "/m/\xc3\xa9"},
	    {"/m/%{user.username}", NULL, "/m/you"},
	    {"/m/%{dest.user}", NULL, NULL},
	};
	char path[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct pattern_values v = values;
		int r;

		v.dest = cases[i].dest;
		r = pattern_expand(cases[i].pattern, &v, path, sizeof(path));
		if (cases[i].path == NULL) {
			if (r == 0)
				fail_msg("%s: %s", cases[i].dest, path);
			assert_int_equal(errno, EINVAL);
			assert_string_equal(path, "");
		} else {
			if (r == -1)
				fail_msg("refused: %s", cases[i].dest);
			assert_string_equal(path, cases[i].path);
		}
	}
}

static void
test_directory(void **state)
{
	static const char *const bad[] = {NULL, "", "home", "/home/../x/", "/home/./"};
	struct pattern_values v = values;
	char path[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		v.directory = bad[i];
		assert_int_equal(pattern_expand("~/x", &v, path, sizeof(path)), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(pattern_expand("/x", &v, path, sizeof(path)), 0);
}

static void
test_room(void **state)
{
	static const char want[] = "/m/you@example.org";
	char path[sizeof(want) + 1];
	size_t size;

	(void)state;
	for (size = 1; size < sizeof(want); size++) {
		assert_int_equal(pattern_expand("/m/%{dest}", &values, path, size), -1);
		assert_int_equal(errno, ENAMETOOLONG);
		assert_string_equal(path, "");
	}
	assert_int_equal(pattern_expand("/m/%{dest}", &values, path, sizeof(want)), 0);
	assert_string_equal(path, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_directory),
	    cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
