/* SPDX-License-Identifier: ISC */
/* What a client's address is called: by the limits, and by the DNS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "lib/net/host.h"

static void
test_networks(void **state)
{
	static const struct {
		const char *client;
		unsigned int bits4, bits6;
		const char *network;
	} cases[] = {
	    {"192.0.2.77", 32, 64, "192.0.2.77"},
	    {"192.0.2.77", 24, 64, "192.0.2.0/24"},
	    {"192.0.2.255", 31, 64, "192.0.2.254/31"},
	    {"192.0.2.77", 8, 64, "192.0.0.0/8"},
	    {"10.255.2.77", 9, 64, "10.128.0.0/9"},
	    {"::ffff:192.0.2.77", 24, 64, "192.0.2.0/24"},
	    {"2001:db8:1:2:3:4:5:6", 32, 64, "2001:db8:1:2::/64"},
	    {"2001:db8:1:2:3:4:5:6", 32, 128, "2001:db8:1:2:3:4:5:6"},
	    {"2001:db8:1:2:3:4:5:6", 32, 127, "2001:db8:1:2:3:4:5:6/127"},
	    {"2001:db8:1:ffff::1", 32, 52, "2001:db8:1:f000::/52"},
	    {"2001:db8::1", 32, 16, "2001::/16"},
	    {"fe80::1%3", 32, 64, "fe80::/64"},
	    {"fe80::1%3", 32, 128, "fe80::1"},
	    {"::1", 32, 64, "::/64"},
	    {"unix", 8, 16, "unix"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const struct host_prefix prefix = {cases[i].bits4, cases[i].bits6};
		char network[HOST_NETWORK_SIZE];
		struct addr a;

		assert_int_equal(host_parse(cases[i].client, &a), 0);
		host_network(&a, &prefix, network);
		assert_string_equal(network, cases[i].network);
	}
}

static void
test_networks_as_text(void **state)
{
	static const struct {
		const char *text;
		int error;
		const char *network;
	} cases[] = {
	    {"192.0.2.77", 0, "192.0.2.0/24"},
	    {"192.0.2.0/24", 0, "192.0.2.0/24"},
	    {"192.0.2.0/25", ENOENT, ""},
	    {"192.0.2.0/", ENOENT, ""},
	    {"192.0.2.0/24x", ENOENT, ""},
	    {"2001:DB8::1", 0, "2001:db8::1"},
	    {"2001:db8::1/128", ENOENT, ""},
	    {"unix", 0, "unix"},
	    {"unix/24", ENOENT, ""},
	    {"", EINVAL, ""},
	    {"/24", EINVAL, ""},
	    {"192.0.2", EINVAL, ""},
	    {"192.0.2.1x", EINVAL, ""},
	    {"2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8", EINVAL, ""},
	};
	const struct host_prefix prefix = {24, 128};
	char network[HOST_NETWORK_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int rc = host_network_parse(cases[i].text, &prefix, network);

		assert_int_equal(rc == 0 ? 0 : errno, cases[i].error);
		if (rc == 0)
			assert_string_equal(network, cases[i].network);
	}
}

static void
test_names_in_the_dns(void **state)
{
	static const struct {
		const char *client, *name;
	} cases[] = {
	    {"192.0.2.77", "77.2.0.192.in-addr.arpa"},
	    {"::ffff:192.0.2.77", "77.2.0.192.in-addr.arpa"},
	    {"2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0."
				   "2.ip6.arpa"},
	    {"unix", NULL},
	};
	static const char *const none[] = {
	    "", "unix:/x", "localhost", "192.0.2", "192.0.2.1/24", "x"};
	char name[HOST_REVERSE_SIZE];
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(host_parse(cases[i].client, &a), 0);
		assert_int_equal(host_reverse(&a, name), cases[i].name == NULL ? -1 : 0);
		if (cases[i].name != NULL)
			assert_string_equal(name, cases[i].name);
	}
	for (i = 0; i < NITEMS(none); i++)
		assert_int_equal(host_parse(none[i], &a), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_networks_as_text),
	    cmocka_unit_test(test_names_in_the_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
