/* SPDX-License-Identifier: ISC */
/* Which keys are looked for in a table, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/net/host.h"
#include "lookup/table_keys.h"

static const struct {
	enum table_subject kind;
	const char *subject;
	const char *keys; /* a blank between each */
} cases[] = {
    {TABLE_SUBJECT_WORD, "Word", "word"},
    {TABLE_SUBJECT_WORD, "", ""},
    {TABLE_SUBJECT_DOMAIN, "mx.Example.ORG", "mx.example.org .example.org .org"},
    {TABLE_SUBJECT_DOMAIN, "org", "org"},
    {TABLE_SUBJECT_DOMAIN, "", ""},
    {TABLE_SUBJECT_DOMAIN, "a..b", "a..b ..b .b"},
    {TABLE_SUBJECT_DOMAIN, "a.", "a. ."},
    {TABLE_SUBJECT_DOMAIN, ".a.b", ".a.b .b"},
    {TABLE_SUBJECT_DOMAIN, "[192.0.2.1]", "[192.0.2.1]"},
    {TABLE_SUBJECT_NETWORK, "192.0.2.1", "192.0.2.1"},
    {TABLE_SUBJECT_NETWORK, "::ffff:192.0.2.1", "192.0.2.1"},
    {TABLE_SUBJECT_NETWORK, "2001:DB8::1", "2001:db8::1"},
    {TABLE_SUBJECT_NETWORK, "unix", "unix"},
    {TABLE_SUBJECT_MAILBOX, "User@A.b.c", "user@a.b.c @a.b.c user @.b.c @.c @"},
    {TABLE_SUBJECT_MAILBOX, "user@[192.0.2.1]", "user@[192.0.2.1] @[192.0.2.1] user @"},
    {TABLE_SUBJECT_MAILBOX, "\"x@y\"@b.c", "x@y@b.c @b.c @.c @"},
    {TABLE_SUBJECT_MAILBOX, "\"<>\"@b.c", "<>@b.c @b.c @.c @"},
    {TABLE_SUBJECT_MAILBOX, "", "<> @"},
};

static void
start(struct table_keys *k, enum table_subject kind, const char *subject, struct addr *addr,
    struct address *address)
{
	switch (kind) {
	case TABLE_SUBJECT_WORD:
		table_keys_word(k, subject);
		break;
	case TABLE_SUBJECT_DOMAIN:
		table_keys_domain(k, subject);
		break;
	case TABLE_SUBJECT_NETWORK:
		assert_int_equal(host_parse(subject, addr), 0);
		table_keys_network(k, addr, false);
		break;
	case TABLE_SUBJECT_MAILBOX:
		assert_int_equal(address_parse(subject, ADDRESS_NULL_OK, address), ADDRESS_OK);
		table_keys_mailbox(k, address);
		break;
	}
}

static void
test_cases(void **state)
{
	struct address address;
	struct table_keys k;
	struct addr addr;
	char all[512];
	const char *key;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		all[0] = '\0';
		start(&k, cases[i].kind, cases[i].subject, &addr, &address);
		while ((key = table_keys_next(&k)) != NULL) {
			if (all[0] != '\0')
				assert_int_equal(str_append(all, sizeof(all), " "), 0);
			assert_int_equal(str_append(all, sizeof(all), key), 0);
		}
		assert_string_equal(all, cases[i].keys);
	}
}

/* The n-th key of an address with its prefixes. */
static void
check_prefix(const char *address, size_t n, const char *want)
{
	struct table_keys k;
	const char *key = NULL;
	struct addr a;
	size_t i;

	assert_int_equal(host_parse(address, &a), 0);
	table_keys_network(&k, &a, true);
	for (i = 0; i <= n; i++)
		key = table_keys_next(&k);
	if (want == NULL)
		assert_null(key);
	else
		assert_string_equal(key, want);
}

static void
test_prefixes(void **state)
{
	(void)state;
	check_prefix("192.0.2.77", 0, "192.0.2.77");
	check_prefix("192.0.2.77", 1, "192.0.2.77/32");
	check_prefix("192.0.2.77", 2, "192.0.2.76/31");
	check_prefix("192.0.2.77", 9, "192.0.2.0/24");
	check_prefix("192.0.2.77", 33, "0.0.0.0/0");
	check_prefix("192.0.2.77", 34, NULL);
	check_prefix("2001:db8::7", 1, "2001:db8::7/128");
	check_prefix("2001:db8::7", 97, "2001:db8::/32");
	check_prefix("2001:db8::7", 129, "::/0");
	check_prefix("2001:db8::7", 130, NULL);
	check_prefix("unix", 0, "unix");
	check_prefix("unix", 1, NULL);
}

/* What is too long to be a key is none. */
static void
test_too_long(void **state)
{
	char word[TABLE_KEY_MAX + 2];
	struct table_keys k;

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	table_keys_word(&k, word);
	assert_null(table_keys_next(&k));
	table_keys_word(&k, word + 1);
	assert_non_null(table_keys_next(&k));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
