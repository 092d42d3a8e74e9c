/* SPDX-License-Identifier: ISC */
/* What smtpd-fetch makes of a URL before it asks for addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fetch/transfer.h"

static void
test_hosts(void **state)
{
	static const struct {
		const char *url, *name; /* name NULL: refused */
		uint16_t port;
		bool is_address;
	} cases[] = {
	    {"https://oauth2.example.com/token", "oauth2.example.com", 443, false},
	    {"https://oauth2.example.com", "oauth2.example.com", 443, false},
	    {"https://a.test:8443/x?y=z", "a.test", 8443, false},
	    {"HTTPS://a.test/", "a.test", 443, false},
	    {"https://127.0.0.1:1/", "127.0.0.1", 1, true},
	    {"https://[2001:db8::1]:65535/", "2001:db8::1", 65535, true},
	    {"https://[::1]/", "::1", 443, true},
	    {"http://a.test/", NULL, 0, false},
	    {"ftp://a.test/", NULL, 0, false},
	    {"file:///etc/passwd", NULL, 0, false},
	    {"a.test/token", NULL, 0, false},
	    {"//a.test/", NULL, 0, false},
	    {"https://user@a.test/", NULL, 0, false},
	    {"https://user:password@a.test/", NULL, 0, false},
	    {"https://a.test/#b", NULL, 0, false},
	    {"https://a.test:0/", NULL, 0, false},
	    {"https://a.test:65536/", NULL, 0, false},
	    {"https://a.test:x/", NULL, 0, false},
	    {"https://[fe80::1%25eth0]/", NULL, 0, false},
	    {"https://[::1/", NULL, 0, false},
	    {"https://[a.test]/", NULL, 0, false},
	    {"https://a b/", NULL, 0, false},
	    {"https://a.test/\r\nX: y", NULL, 0, false},
	    {"", NULL, 0, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct transfer_host h = {0};
		int rc = transfer_host_of(cases[i].url, &h);

		if ((rc == 0) != (cases[i].name != NULL))
			fail_msg("'%s': %d %s", cases[i].url, rc, h.name);
		if (rc == -1)
			continue;
		assert_string_equal(h.name, cases[i].name);
		assert_int_equal(h.port, cases[i].port);
		assert_int_equal(h.is_address, cases[i].is_address);
	}
}

/* A name as long as a message may have, and one octet more. */
static void
test_long_names(void **state)
{
	char url[8 + IPC_NAME_MAX + 3] = "https://";
	struct transfer_host h;

	(void)state;
	(void)memset(url + 8, 'a', IPC_NAME_MAX);
	(void)memcpy(url + 8 + IPC_NAME_MAX, "/", 2);
	assert_int_equal(transfer_host_of(url, &h), 0);
	assert_int_equal(strlen(h.name), IPC_NAME_MAX);
	(void)memcpy(url + 8 + IPC_NAME_MAX, "a/", 3);
	assert_int_equal(transfer_host_of(url, &h), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests_name("fetch_url", tests, NULL, NULL);
}
