/* SPDX-License-Identifier: ISC */
/* Socket addresses as text: all families and scopes, both ways, and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "lib/net/addr.h"

static void
test_round_trip(void **state)
{
	static const struct {
		const char *text, *format, *literal;
		bool loopback;
	} cases[] = {
	    {"192.0.2.1", NULL, "[192.0.2.1]", false},
	    {"0.0.0.0", NULL, "[0.0.0.0]", false},
	    {"255.255.255.255", NULL, "[255.255.255.255]", false},
	    {"127.0.0.1", NULL, "[127.0.0.1]", true},
	    {"127.255.0.9", NULL, "[127.255.0.9]", true},
	    {"128.0.0.1", NULL, "[128.0.0.1]", false},
	    {"::", NULL, "[IPv6:::]", false},
	    {"::1", NULL, "[IPv6:::1]", true},
	    {"2001:db8::1", NULL, "[IPv6:2001:db8::1]", false},
	    {"2001:DB8:0:0::1", "2001:db8::1", "[IPv6:2001:db8::1]", false},
	    {"fe80::1%2", NULL, "[IPv6:fe80::1]", false},
	    {"fe80::1%4294967295", NULL, "[IPv6:fe80::1]", false},
	    {"fe80::1%0", "fe80::1", "[IPv6:fe80::1]", false},
	    {"::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]", false},
	    {"::ffff:127.0.0.1", "127.0.0.1", "[127.0.0.1]", true},
	    {"1111:2222:3333:4444:5555:6666:7777:8888", NULL,
		"[IPv6:1111:2222:3333:4444:5555:6666:7777:8888]", false},
	};
	char text[ADDR_TEXT_MAX];
	struct addr a, again;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(addr_parse(cases[i].text, 25, &a), 0);
		assert_int_equal(addr_port(&a), 25);
		addr_format(&a, text);
		assert_string_equal(
		    text, cases[i].format != NULL ? cases[i].format : cases[i].text);
		assert_int_equal(addr_parse(text, 26, &again), 0);
		assert_true(addr_equal(&a, &again));
		addr_literal(&a, text);
		assert_string_equal(text, cases[i].literal);
		assert_int_equal(addr_is_loopback(&a), cases[i].loopback);
	}
}

static void
test_not_addresses(void **state)
{
	static const char *const cases[] = {"", " ", "localhost", "192.0.2", "192.0.2.1.5",
	    "192.0.2.256", "192.0.2.01x", "192.0.2.1 ", " 192.0.2.1", "192.0.2.1%1", "0x7f.0.0.1",
	    "127.1", "2130706433", ":", ":::", "1::2::3", "fe80::1%", "fe80::1%eth0", "fe80::1%-1",
	    "fe80::1%4294967296", "fe80::1%1%2", "[::1]", "12345::", "::1/128",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999",
	    "fe80::1%000000000000000000000000000000000000000000000000000000000000001"};
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		if (addr_parse(cases[i], 0, &a) != -1 || errno != EINVAL)
			fail_msg("accepted \"%s\"", cases[i]);
	}
}

static void
test_networks(void **state)
{
	static const struct {
		const char *address, *network;
		bool within;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.1", "192.0.2.0/24", true},
	    {"192.0.3.1", "192.0.2.0/24", false},
	    {"192.0.3.1", "192.0.2.0/23", true},
	    {"192.0.2.127", "192.0.2.0/25", true},
	    {"192.0.2.128", "192.0.2.0/25", false},
	    {"10.9.8.7", "0.0.0.0/0", true},
	    {"192.0.2.1", "192.0.2.1/32", true},
	    {"192.0.2.0", "192.0.2.1/32", false},
	    {"192.0.2.0", "192.0.2.1/31", true},
	    {"2001:db8::1", "2001:db8::/32", true},
	    {"2001:db9::1", "2001:db8::/32", false},
	    {"2001:db8::1", "::/0", true},
	    {"2001:db8::1", "2001:db8::1/128", true},
	    {"2001:db8::2", "2001:db8::1/127", false},
	    {"2001:db8::3", "2001:db8::2/127", true},
	    /* A family is not in the other's networks, but a mapped address is IPv4. */
	    {"192.0.2.1", "::/0", false},
	    {"2001:db8::1", "0.0.0.0/0", false},
	    {"::ffff:192.0.2.1", "192.0.2.0/24", true},
	    /* What is no network holds nobody. */
	    {"192.0.2.1", "192.0.2.0/33", false},
	    {"192.0.2.1", "192.0.2.0/", false},
	    {"192.0.2.1", "192.0.2.0/-1", false},
	    {"192.0.2.1", "192.0.2.0/24x", false},
	    {"192.0.2.1", "192.0.2/24", false},
	    {"192.0.2.1", "/24", false},
	    {"192.0.2.1", "", false},
	    {"2001:db8::1", "2001:db8::/129", false},
	};
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(addr_parse(cases[i].address, 0, &a), 0);
		if (addr_in_network(&a, cases[i].network) != cases[i].within)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

static void
test_unix(void **state)
{
	struct addr a = {.len = sizeof(struct sockaddr_un)}, b;
	char text[ADDR_TEXT_MAX];

	(void)state;
	a.ss.ss_family = AF_UNIX;
	addr_format(&a, text);
	assert_string_equal(text, "unix");
	assert_int_equal(addr_port(&a), 0);
	assert_true(addr_is_loopback(&a));
	assert_int_equal(addr_parse("127.0.0.1", 0, &b), 0);
	assert_false(addr_equal(&a, &b));
	assert_false(addr_equal(&a, &a)); /* it has no host to be equal */
	assert_false(addr_in_network(&a, "0.0.0.0/0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_not_addresses),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_unix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
