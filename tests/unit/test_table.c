/* SPDX-License-Identifier: ISC */
/* Tables: what their files say, and what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lookup/table_file.h"

#define KEY64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY1024                                                                                   \
	KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 KEY64 \
	    KEY64

static struct table *
parse(const char *text, size_t len, size_t *skipped)
{
	char *copy = malloc(len + 1);
	struct table *t;

	assert_non_null(copy);
	memcpy(copy, text, len);
	t = table_parse("test", copy, len, skipped);
	assert_non_null(t);
	return t;
}

/* key NULL: only the counts are looked at; value NULL: the key has none. */
#define LINE(text) text, sizeof(text) - 1
static const struct {
	const char *text;
	size_t len, entries, skipped;
	const char *key, *value;
} files[] = {
    {LINE(""), 0, 0, NULL, NULL},
    {LINE("\n\n \n\t\r\n"), 0, 0, NULL, NULL},
    {LINE("# comment: here\n  # and: here\n"), 0, 0, NULL, NULL},
    {LINE("bob: alice\n"), 1, 0, "bob", "alice"},
    {LINE("bob: alice"), 1, 0, "bob", "alice"},
    {LINE("bob:alice, carol\r\n"), 1, 0, "bob", "alice, carol"},
    {LINE("bob alice"), 1, 0, "bob", "alice"},
    {LINE("bob\t \talice \t"), 1, 0, "bob", "alice"},
    {LINE("bob : alice"), 1, 0, "bob", "alice"},
    {LINE("Bob: Alice"), 1, 0, "bOB", "Alice"},
    {LINE("bob"), 1, 0, "bob", NULL},
    {LINE("bob:"), 1, 0, "bob", NULL},
    {LINE("bob: a,\n  b,\n\tc\ndave: e\n"), 2, 0, "bob", "a,  b,\tc"},
    {LINE("bob: a,\n# comment\n\n  b\n"), 1, 0, "bob", "a,  b"},
    {LINE("bob: a, \\\nb\n"), 1, 0, "bob", "a, b"},
    {LINE("bob: a\\"), 1, 0, "bob", "a"},
    {LINE("bob: a\n# c\\\nb: c\n"), 2, 0, "b", "c"},
    {LINE("bob: a # b\n"), 1, 0, "bob", "a # b"},
    {LINE("list: :include:/x"), 1, 0, "list", ":include:/x"},
    {LINE("list :include:/x"), 1, 0, "list", ":include:/x"},
    {LINE("\"a b\": c"), 1, 0, "a b", "c"},
    {LINE("\"a b\" c"), 1, 0, "a b", "c"},
    {LINE("\"a b: c\nd: e\n"), 1, 1, "d", "e"},
    {LINE(": c\nd: e\n"), 1, 1, "d", "e"},
    {LINE("\"\": c\nd: e\n"), 1, 1, "d", "e"},
    {LINE("a\0b: c\nd: e\n"), 1, 1, "d", "e"},
    {LINE("d: e\n\0\n"), 1, 1, "d", "e"},
    {LINE("2001:db8::/32"), 1, 0, "2001:db8::/32", NULL},
    {LINE("2001:db8::1 here"), 1, 0, "2001:db8::1", "here"},
    {LINE("::1"), 1, 0, "::1", NULL},
    {LINE("@: all"), 1, 0, "@", "all"},
    {LINE("@example.org all@example.net"), 1, 0, "@example.org", "all@example.net"},
    {LINE("b: first\nB: second\n"), 2, 0, "b", "first"},
    {LINE("# @list\n^a b: c$\n"), 1, 0, "^a b: c$", NULL},
    {LINE(KEY1024 ": a"), 1, 0, KEY1024, "a"},
    {LINE(KEY1024 "x: a"), 0, 1, NULL, NULL},
};

static void
test_files(void **state)
{
	size_t i, skipped;

	(void)state;
	for (i = 0; i < NITEMS(files); i++) {
		struct table *t = parse(files[i].text, files[i].len, &skipped);
		const char *value = NULL;

		print_message("file %zu: %s\n", i, files[i].text);
		assert_int_equal(table_count(t), files[i].entries);
		assert_int_equal(skipped, files[i].skipped);
		if (files[i].key != NULL) {
			assert_int_equal(table_has_word(t, files[i].key), TABLE_YES);
			assert_int_equal(table_value(t, files[i].key, &value),
			    files[i].value == NULL ? TABLE_NO : TABLE_YES);
			if (files[i].value != NULL)
				assert_string_equal(value, files[i].value);
		}
		table_free(t);
	}
}

/* A file that costs time in proportion to its square would not end here. */
static void
test_long_files(void **state)
{
	static const char *const units[] = {
	    "\n", "#\n", "a\n", "a\\\n", "a,\n ", " b\n", "a\n\n#x\n"};
	const size_t size = 4U << 20;
	char *text = malloc(size);
	size_t i, at, skipped;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < NITEMS(units); i++) {
		for (at = 0; at + strlen(units[i]) <= size; at += strlen(units[i]))
			memcpy(text + at, units[i], strlen(units[i]));
		table_free(parse(text, at, &skipped));
	}
	free(text);
}

static struct table *
make_list(const char *const *keys)
{
	struct table *t = table_create("list");

	assert_non_null(t);
	for (; *keys != NULL; keys++)
		assert_int_equal(table_add(t, *keys, NULL), 0);
	return t;
}

static void
test_domains(void **state)
{
	static const char *const keys[] = {
	    "example.org", "*.wild.example", ".dot.example", "mail*.test", "a*b*c", NULL};
	static const struct {
		const char *domain;
		enum table_answer want;
	} cases[] = {
	    {"example.org", TABLE_YES},
	    {"EXAMPLE.org", TABLE_YES},
	    {"sub.example.org", TABLE_NO},
	    {"xexample.org", TABLE_NO},
	    {"a.wild.example", TABLE_YES},
	    {"a.b.wild.example", TABLE_YES},
	    {"A.WILD.Example", TABLE_YES},
	    {"wild.example", TABLE_NO},
	    {"xwild.example", TABLE_NO},
	    {"a.dot.example", TABLE_YES},
	    {"dot.example", TABLE_NO},
	    {"xdot.example", TABLE_NO},
	    {"mail.test", TABLE_YES},
	    {"mail7.test", TABLE_YES},
	    {"mail7.test.org", TABLE_NO},
	    {"axxbyybzzc", TABLE_YES},
	    {"axxbyybzzd", TABLE_NO},
	    {"abc", TABLE_YES},
	    {".wild.example", TABLE_NO},
	    {"*.wild.example", TABLE_YES},
	    {"a..dot.example", TABLE_YES},
	    {".", TABLE_NO},
	    {"", TABLE_NO},
	};
	struct table *t = make_list(keys);
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("domain %s\n", cases[i].domain);
		assert_int_equal(table_has_domain(t, cases[i].domain), cases[i].want);
	}
	table_free(t);
}

static void
test_networks(void **state)
{
	static const char *const keys[] = {"192.0.2.0/24", "198.51.100.7", "2001:db8::/32",
	    "nonsense", "203.0.113.77/28", "203.0.113.64/26", "10.0.0.0/33", "10.0.0.0/",
	    "10.0.0.0/8x", "/8", "11.0.0.0/8/8", "::ffff:12.0.0.0", "::ffff:13.0.0.0/104",
	    "fe80::1", NULL};
	static const struct {
		const char *address;
		enum table_answer want;
	} cases[] = {
	    {"192.0.2.255", TABLE_YES},
	    {"192.0.3.0", TABLE_NO},
	    {"198.51.100.7", TABLE_YES},
	    {"198.51.100.8", TABLE_NO},
	    {"2001:db8:ffff::1", TABLE_YES},
	    {"2001:db9::1", TABLE_NO},
	    {"::ffff:192.0.2.1", TABLE_YES},
	    {"192.0.1.255", TABLE_NO},
	    {"203.0.113.63", TABLE_NO},
	    {"203.0.113.64", TABLE_YES},
	    {"203.0.113.127", TABLE_YES},
	    {"203.0.113.128", TABLE_NO},
	    {"10.0.0.0", TABLE_NO},
	    {"11.0.0.1", TABLE_NO},
	    {"12.0.0.0", TABLE_YES},
	    {"13.0.0.1", TABLE_NO},
	    {"fe80::1%7", TABLE_YES},
	    {"0.0.0.0", TABLE_NO},
	    {"255.255.255.255", TABLE_NO},
	    {"::", TABLE_NO},
	};
	struct table *t = make_list(keys);
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("address %s\n", cases[i].address);
		assert_int_equal(addr_parse(cases[i].address, 0, &a), 0);
		assert_int_equal(table_has_network(t, &a), cases[i].want);
	}
	table_free(t);
}

static void
test_mailboxes(void **state)
{
	static const char *const keys[] = {"bob@example.org", "@example.net", "root",
	    "eve@*.example.com", "@.example.edu", "list-*@example.org", "*.star", "*.b@star",
	    "*@catch.example", NULL};
	static const struct {
		const char *address;
		enum table_answer want;
	} cases[] = {
	    {"bob@example.org", TABLE_YES},
	    {"BOB@example.org", TABLE_YES},
	    {"bobby@example.org", TABLE_NO},
	    {"x@example.net", TABLE_YES},
	    {"x@sub.example.net", TABLE_NO},
	    {"root@anywhere", TABLE_YES},
	    {"eve@a.example.com", TABLE_YES},
	    {"eve@example.com", TABLE_NO},
	    {"adam@a.example.com", TABLE_NO},
	    {"x@cs.example.edu", TABLE_YES},
	    {"x@a.b.example.edu", TABLE_YES},
	    {"a.star@anywhere", TABLE_YES},
	    {"\"a.b@star\"@anywhere", TABLE_NO},
	    {"x@example.edu", TABLE_NO},
	    {"list-a@example.org", TABLE_YES},
	    {"any@catch.example", TABLE_YES},
	    {"any@sub.catch.example", TABLE_NO},
	    /* What is in quotes is no address and no user of ours. */
	    {"\"bob@example.org\"@evil.example", TABLE_NO},
	    {"\"@example.net\"@evil.example", TABLE_NO},
	    {"\"<>\"@evil.example", TABLE_NO},
	    {"", TABLE_NO},
	};
	static const char *const null_keys[] = {"<>", NULL}, *const all_keys[] = {"@", NULL};
	struct table *t = make_list(keys), *null_table = make_list(null_keys),
		     *all = make_list(all_keys);
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("mailbox %s\n", cases[i].address);
		assert_int_equal(address_parse(cases[i].address, ADDRESS_NULL_OK, &a), ADDRESS_OK);
		assert_int_equal(table_has_mailbox(t, &a), cases[i].want);
		assert_int_equal(table_has_mailbox(all, &a), TABLE_YES);
		assert_int_equal(table_has_mailbox(null_table, &a),
		    cases[i].address[0] == '\0' ? TABLE_YES : TABLE_NO);
	}
	table_free(t);
	table_free(null_table);
	table_free(all);
}

/* Networks are merged where one holds another; whatever the order, the answer is that of the list. */
static void
test_networks_like_a_list(void **state)
{
	enum { NETWORKS = 300, QUESTIONS = 3000 };
	static char texts[NETWORKS][ADDR_TEXT_MAX + 4];
	struct table *t = table_create("many");
	unsigned int i, j;

	(void)state;
	assert_non_null(t);
	srandom(5);
	for (i = 0; i < NETWORKS; i++) {
		bool v6 = i % 3 == 0;

		(void)snprintf(texts[i], sizeof(texts[i]),
		    v6 ? "2001:db8:%lx::%lx/%ld" : "10.%ld.%ld.0/%ld", random() % 4, random() % 256,
		    v6 ? 40 + random() % 89 : 14 + random() % 19);
		assert_int_equal(table_add(t, texts[i], NULL), 0);
	}
	for (i = 0; i < QUESTIONS; i++) {
		enum table_answer want = TABLE_NO;
		char text[ADDR_TEXT_MAX];
		struct addr a;

		(void)snprintf(text, sizeof(text),
		    i % 3 == 0 ? "2001:db8:%lx::%lx" : "10.%ld.%ld.9", random() % 4,
		    random() % 256);
		assert_int_equal(addr_parse(text, 0, &a), 0);
		for (j = 0; j < NETWORKS; j++)
			if (addr_in_network(&a, texts[j]))
				want = TABLE_YES;
		assert_int_equal(table_has_network(t, &a), want);
	}
	table_free(t);
}

/* Entry by entry or with room made before: the same table. */
static void
test_many_entries(void **state)
{
	enum { ENTRIES = 100000 };
	char(*keys)[12] = calloc(ENTRIES, sizeof(*keys));
	size_t round, i;

	(void)state;
	assert_non_null(keys);
	for (i = 0; i < ENTRIES; i++)
		(void)snprintf(keys[i], sizeof(keys[i]), "User%zu", i);
	for (round = 0; round < 2; round++) {
		struct table *t = table_create("many");
		const char *value = NULL;

		assert_non_null(t);
		if (round == 1)
			assert_int_equal(table_reserve(t, ENTRIES + 7), 0);
		for (i = 0; i < ENTRIES; i++)
			assert_int_equal(table_add(t, keys[i], keys[i]), 0);
		assert_int_equal(table_add(t, "uSER7", "second"), 0);
		assert_int_equal(table_count(t), ENTRIES + 1);
		for (i = 0; i < ENTRIES; i++) {
			assert_int_equal(table_value(t, keys[i], &value), TABLE_YES);
			assert_ptr_equal(value, keys[i]);
		}
		assert_int_equal(table_has_word(t, "user100000"), TABLE_NO);
		table_free(t);
	}
	free(keys);
}

static void
test_absent_table_is_trouble(void **state)
{
	struct address a = {.local = "a", .domain = "b"};
	struct addr addr;
	const char *value;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.1", 0, &addr), 0);
	assert_int_equal(table_value(NULL, "a", &value), TABLE_TROUBLE);
	assert_int_equal(table_has_word(NULL, "a"), TABLE_TROUBLE);
	assert_int_equal(table_has_domain(NULL, "a"), TABLE_TROUBLE);
	assert_int_equal(table_has_network(NULL, &addr), TABLE_TROUBLE);
	assert_int_equal(table_has_mailbox(NULL, &a), TABLE_TROUBLE);
	assert_int_equal(table_has_regex(NULL, "a"), TABLE_TROUBLE);
}

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_long_files),
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_networks_like_a_list),
	    cmocka_unit_test(test_mailboxes),
	    cmocka_unit_test(test_many_entries),
	    cmocka_unit_test(test_absent_table_is_trouble),
	};

	log_set_sink(ignore_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
