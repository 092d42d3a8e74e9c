/* SPDX-License-Identifier: ISC */
/* A maildir pattern, split into what the parent opens and what is expanded below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/conf/mailbox.h"

static void
test_split(void **state)
{
	static const struct {
		const char *pattern, *base, *rest;
	} cases[] = {
	    {NULL, "~", "Maildir"},
	    {"~/Maildir", "~", "Maildir"},
	    {"~/mail/in/", "~", "mail/in"},
	    {"~/mail/%{rcpt.domain}", "~", "mail/%{rcpt.domain}"},
	    {"%{user.directory}/mail", "~", "mail"},
	    {"mail/%{user.username}", "~", "mail/%{user.username}"},
	    {"/var/mail/%{dest.domain}/%{dest.user}", "/var/mail", "%{dest.domain}/%{dest.user}"},
	    {"/var/mail/u-%{dest.user}/x", "/var/mail", "u-%{dest.user}/x"},
	    {"/%{dest.user}", "/", "%{dest.user}"},
	    {"/var/mail/shared", "/var/mail", "shared"},
	    {"/var/mail/shared//", "/var/mail", "shared"},
	    {"/shared", "/", "shared"},
	};
	char base[64], rest[64];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(
		    mailbox_split(cases[i].pattern, base, sizeof(base), rest, sizeof(rest)), 0);
		assert_string_equal(base, cases[i].base);
		assert_string_equal(rest, cases[i].rest);
	}
}

static void
test_split_refused(void **state)
{
	static const char *const cases[] = {"", "/", "//", "~/", "%{user.directory}/", "~/../x",
	    "~/a/./b", "~/a//b", "/var/../etc/%{dest.user}", "/var//mail/%{dest.user}",
	    "/var/mail/%{dest.user}/..", "/srv/%{user.directory}/x",
	    "/srv/%{user.directory[0:3]}/x", ".", ".."};
	char base[64], rest[64];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		if (mailbox_split(cases[i], base, sizeof(base), rest, sizeof(rest)) == 0)
			fail_msg("%s was split into %s and %s", cases[i], base, rest);
		assert_int_equal(errno, EINVAL);
	}
}

static void
test_split_too_long(void **state)
{
	char base[8], rest[8];

	(void)state;
	assert_int_equal(mailbox_split("/1234567/x", base, sizeof(base), rest, sizeof(rest)), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(mailbox_split("/1/12345678", base, sizeof(base), rest, sizeof(rest)), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(
	    mailbox_split("/123456/1234567", base, sizeof(base), rest, sizeof(rest)), 0);
}

static void
test_path_valid(void **state)
{
	static const struct {
		const char *path;
		bool valid;
	} cases[] = {{"a", true}, {"a/b", true}, {"...", true}, {".a/b.", true}, {"", false},
	    {"/", false}, {"/a", false}, {"a/", false}, {"a//b", false}, {".", false},
	    {"..", false}, {"a/..", false}, {"../a", false}, {"a/./b", false}};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		assert_int_equal(mailbox_path_valid(cases[i].path), cases[i].valid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_split_refused),
	    cmocka_unit_test(test_split_too_long),
	    cmocka_unit_test(test_path_valid),
	};

	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
