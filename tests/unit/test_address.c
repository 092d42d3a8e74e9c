/* SPDX-License-Identifier: ISC */
/* Addresses: what is one, what it means, and that writing it down keeps the meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mail/address.h"

#define L16 "0123456789abcdef"
#define L64 L16 L16 L16 L16
#define L63 L16 L16 L16 "0123456789abcde"

static const struct {
	const char *path;
	unsigned flags;
	enum address_result result;
	const char *local, *domain;
	const char *text; /* as address_format() writes it */
} paths[] = {
    {"<u@example.org>", 0, ADDRESS_OK, "u", "example.org", "u@example.org"},
    {"<User@EXAMPLE.Org>", 0, ADDRESS_OK, "User", "example.org", "User@example.org"},
    {"<a.b.c@x>", 0, ADDRESS_OK, "a.b.c", "x", "a.b.c@x"},
    {"<user%d@us>", 0, ADDRESS_OK, "user%d", "us", "user%d@us"},
    {"<a!b@us>", 0, ADDRESS_OK, "a!b", "us", "a!b@us"},
    {"<;id;@us>", 0, ADDRESS_BAD, "", "", NULL},
    {"<`id`$x|y{z}@us>", 0, ADDRESS_OK, "`id`$x|y{z}", "us", "`id`$x|y{z}@us"},
    {"<\"a b\"@x>", 0, ADDRESS_OK, "a b", "x", "\"a b\"@x"},
    {"<\"ab\"@x>", 0, ADDRESS_OK, "ab", "x", "ab@x"},
    {"<\"a\\\"b\\\\\"@x>", 0, ADDRESS_OK, "a\"b\\", "x", "\"a\\\"b\\\\\"@x"},
    {"<\"a@b\"@x>", 0, ADDRESS_OK, "a@b", "x", "\"a@b\"@x"},
    {"<\".\"@x>", 0, ADDRESS_OK, ".", "x", "\".\"@x"},
    {"<\">\"@x>", 0, ADDRESS_OK, ">", "x", "\">\"@x"},
    {"<\"\"@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<\"a\tb\"@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<\"a\\\rb\"@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<\"a@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<\"a\\", 0, ADDRESS_BAD, "", "", NULL},
    {"<\"a\"b@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@b@c>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a..b@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<.a@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a.@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a b@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"< a@x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x >", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x", 0, ADDRESS_BAD, "", "", NULL},
    {"<a", 0, ADDRESS_BAD, "", "", NULL},
    {"<", 0, ADDRESS_BAD, "", "", NULL},
    {"", 0, ADDRESS_BAD, "", "", NULL},
    {"a@x", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x.>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@-x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x->", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x-.y>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@x_y>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@" L63 ".x>", 0, ADDRESS_OK, "a", L63 ".x", "a@" L63 ".x"},
    {"<a@" L64 ".x>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@" L63 "." L63 "." L63 "." L63 ">", 0, ADDRESS_OK, "a", L63 "." L63 "." L63 "." L63, NULL},
    {"<a@" L63 "." L63 "." L63 "." L63 ".x>", 0, ADDRESS_DOMAIN_TOO_LONG, "", "", NULL},
    {"<" L64 "@x>", 0, ADDRESS_OK, L64, "x", L64 "@x"},
    {"<" L64 "0@x>", 0, ADDRESS_LOCAL_TOO_LONG, "", "", NULL},
    {"<\"" L64 " \"@x>", 0, ADDRESS_LOCAL_TOO_LONG, "", "", NULL},
    /* the null path and the postmaster */
    {"<>", ADDRESS_NULL_OK, ADDRESS_OK, "", "", ""},
    {"<>", 0, ADDRESS_BAD, "", "", NULL},
    {"<Postmaster>", ADDRESS_BARE_POSTMASTER_OK, ADDRESS_OK, "Postmaster", "", "Postmaster"},
    {"<postmaster>", 0, ADDRESS_BAD, "", "", NULL},
    {"<root>", ADDRESS_BARE_POSTMASTER_OK, ADDRESS_BAD, "", "", NULL},
    /* source routes */
    {"<@a,@b:u@c>", 0, ADDRESS_OK, "u", "c", "u@c"},
    {"<@a:u@c>", 0, ADDRESS_OK, "u", "c", "u@c"},
    {"<@a,b:u@c>", 0, ADDRESS_BAD, "", "", NULL},
    {"<@a,:u@c>", 0, ADDRESS_BAD, "", "", NULL},
    {"<@[1.2.3.4]:u@c>", 0, ADDRESS_BAD, "", "", NULL},
    {"<@a:>", ADDRESS_NULL_OK, ADDRESS_BAD, "", "", NULL},
    {"<@a", 0, ADDRESS_BAD, "", "", NULL},
    /* literals */
    {"<a@[192.0.2.1]>", 0, ADDRESS_OK, "a", "[192.0.2.1]", "a@[192.0.2.1]"},
    {"<a@[ipv6:2001:DB8::1]>", 0, ADDRESS_OK, "a", "[IPv6:2001:db8::1]", NULL},
    {"<a@[192.0.2.256]>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@[192.0.2.1>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@[]>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@[x]>", 0, ADDRESS_BAD, "", "", NULL},
    {"<a@[2001:db8::1]>", 0, ADDRESS_BAD, "", "", NULL},
    /* octets above 127 */
    {"<\xc3\xa9@x>", 0, ADDRESS_UTF8, "", "", NULL},
    {"<a@\xc3\xa9>", 0, ADDRESS_UTF8, "", "", NULL},
    {"<\xc3\xa9@\xe2\x82\xac.x>", ADDRESS_UTF8_OK, ADDRESS_OK, "\xc3\xa9", "\xe2\x82\xac.x", NULL},
    {"<\xc0\x80@x>", ADDRESS_UTF8_OK, ADDRESS_BAD, "", "", NULL},
    {"<\xc3@x>", ADDRESS_UTF8_OK, ADDRESS_BAD, "", "", NULL},
    {"<a@\xff>", ADDRESS_UTF8_OK, ADDRESS_BAD, "", "", NULL},
};

static void
test_paths(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(paths); i++) {
		const char *p = paths[i].path;
		char text[ADDRESS_MAX + 1];
		struct address a;

		print_message("%s\n", paths[i].path);
		assert_int_equal(address_parse_path(&p, paths[i].flags, &a), paths[i].result);
		assert_string_equal(a.local, paths[i].local);
		assert_string_equal(a.domain, paths[i].domain);
		if (paths[i].result != ADDRESS_OK) {
			assert_ptr_equal(p, paths[i].path);
			continue;
		}
		assert_int_equal(*p, '\0');
		assert_int_equal(a.literal, a.domain[0] == '[');
		assert_int_equal(address_format(&a, text, sizeof(text)), 0);
		if (paths[i].text != NULL)
			assert_string_equal(text, paths[i].text);
	}
}

static void
test_bare(void **state)
{
	struct address a;

	(void)state;
	assert_int_equal(address_parse("a@x", 0, &a), ADDRESS_OK);
	assert_int_equal(address_parse("a@x y", 0, &a), ADDRESS_BAD);
	assert_int_equal(address_parse("a@x>", 0, &a), ADDRESS_BAD);
	assert_int_equal(address_parse("<a@x>", 0, &a), ADDRESS_BAD);
	assert_int_equal(address_parse("@r:a@x", 0, &a), ADDRESS_BAD);
	assert_int_equal(address_parse("", 0, &a), ADDRESS_BAD);
	assert_int_equal(address_parse("", ADDRESS_NULL_OK, &a), ADDRESS_OK);
	assert_int_equal(a.domain[0], '\0');
}

static void
test_format_too_long(void **state)
{
	struct address a;
	char text[4];

	(void)state;
	assert_int_equal(address_parse("ab@x", 0, &a), ADDRESS_OK);
	assert_int_equal(address_format(&a, text, sizeof(text)), -1);
	assert_string_equal(text, "");
}

static void
test_helo(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} names[] = {
	    {"mx.example.org", true},
	    {"localhost", true},
	    {"my_pc", true},
	    {"[127.0.0.1]", true},
	    {"[IPv6:::1]", true},
	    {"", false},
	    {"a b", false},
	    {"a.", false},
	    {"a(b)", false},
	    {"a\r\nb", false},
	    {"[127.0.0.1", false},
	    {"\xc3\xa9", false},
	    {"[IPv6:", false},
	    {"[", false},
	    {"]", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(names); i++) {
		print_message("%s\n", names[i].name);
		assert_int_equal(address_helo_valid(names[i].name), names[i].valid);
	}
}

static void
test_literal(void **state)
{
	struct address_literal l;

	(void)state;
	assert_true(address_literal_parse("[192.0.2.7]", &l));
	assert_int_equal(l.family, ADDRESS_IPV4);
	assert_memory_equal(l.bytes, "\300\000\002\007", 4);
	assert_true(address_literal_parse("[IPv6:2001:db8::7]", &l));
	assert_int_equal(l.family, ADDRESS_IPV6);
	assert_memory_equal(l.bytes, "\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\007", 16);
	assert_false(address_literal_parse("192.0.2.7", &l));
	assert_false(address_literal_parse("[192.0.2.7]x", &l));
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *s;
		size_t len;
	} rows[] = {
	    {"a", 1},
	    {"", 0},
	    {"\x1f", 0},
	    {"\x7f", 0},
	    {"\xc2\xa0", 2},
	    {"\xc2\x85", 0},	 /* C1 control */
	    {"\xe2\x80\xa8", 0}, /* line separator */
	    {"\xe2\x82\xac", 3},
	    {"\xe0\x80\x80", 0}, /* overlong */
	    {"\xed\xa0\x80", 0}, /* surrogate */
	    {"\xf0\x9f\x98\x80", 4},
	    {"\xf0\x80\x80\x80", 0},
	    {"\xf4\x90\x80\x80", 0}, /* past U+10FFFF */
	    {"\xf0\x9f\x98", 0},     /* cut */
	    {"\x80", 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		assert_int_equal(address_utf8_len(rows[i].s), rows[i].len);
}

static void
test_canonical(void **state)
{
	static const struct {
		const char *text, *plain, *tagged;
	} rows[] = {
	    {"demo@example.org", "demo", "demo"},
	    {"DeMo@Example.ORG", "demo", "demo"},
	    {"\"Demo\"@example.org", "demo", "demo"},
	    {"Demo+Tag@example.org", "demo", "demo+tag"},
	    {"demo+a+b@example.org", "demo", "demo+a+b"},
	    {"demo+@example.org", "demo", "demo+"},
	    {"+tag@example.org", "+tag", "+tag"}, /* of nobody */
	    {"+tag+x@example.org", "+tag", "+tag+x"},
	    {"\xc3\x89+x@example.org", "\xc3\x89", "\xc3\x89+x"},
	};
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		assert_int_equal(address_parse(rows[i].text, ADDRESS_UTF8_OK, &a), ADDRESS_OK);
		address_canonical(&a, NULL);
		assert_string_equal(a.local, rows[i].tagged);
		address_canonical(&a, "+");
		assert_string_equal(a.local, rows[i].plain);
		assert_string_equal(a.domain, "example.org");
	}
}

static void
test_delimiters(void **state)
{
	static const struct {
		const char *local, *delimiters;
		size_t n;
	} rows[] = {
	    {"demo+tag", "+", 4},
	    {"demo-tag", "+", 8},
	    {"demo-tag", "+-", 4},
	    {"demo-a+b", "+-", 4}, /* the leftmost of any of them */
	    {"demo+a-b", "-+", 4},
	    {"_demo_x", "_", 5},
	    {"-", "-", 1},
	    {"--", "-", 1},
	    {"", "+", 0},
	    {"none+x", "none", 6}, /* the word, not its letters */
	    {"demo+tag", "none", 8},
	    {"demo+tag", "", 8},
	    {"demo+tag", NULL, 8},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		assert_int_equal(address_untagged(rows[i].local, rows[i].delimiters), rows[i].n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_bare),
	    cmocka_unit_test(test_format_too_long),
	    cmocka_unit_test(test_helo),
	    cmocka_unit_test(test_literal),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_canonical),
	    cmocka_unit_test(test_delimiters),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
