/* SPDX-License-Identifier: ISC */
/* XCLIENT: each attribute, those refused, and what is not given or not known told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session/parse.h"

#define L50  "01234567890123456789012345678901234567890123456789"
#define L250 L50 L50 L50 L50 L50

static void
test_results(void **state)
{
	static const struct {
		const char *arg;
		enum parse_result result;
	} rows[] = {
	    {"", PARSE_SYNTAX},
	    {"   ", PARSE_SYNTAX},
	    {"ADDR", PARSE_BAD_PARAM},
	    {"ADDR=", PARSE_BAD_PARAM},
	    {"=1", PARSE_BAD_PARAM},
	    {"ADDRS=1.2.3.4", PARSE_BAD_PARAM},
	    {"COLOUR=red", PARSE_BAD_PARAM},
	    {"ADDR=1.2.3.4 ADDR=1.2.3.4", PARSE_BAD_PARAM},
	    {"ADDR=[UNAVAILABLE] ADDR=1.2.3.4", PARSE_BAD_PARAM},
	    {"ADDR=1.2.3", PARSE_BAD_PARAM},
	    {"ADDR=1.2.3.256", PARSE_BAD_PARAM},
	    {"ADDR=[1.2.3.4]", PARSE_BAD_PARAM},
	    {"ADDR=1.2.3.4]", PARSE_BAD_PARAM},
	    {"ADDR=2001:db8::1", PARSE_BAD_PARAM},
	    {"ADDR=IPV6:", PARSE_BAD_PARAM},
	    {"ADDR=IPV6:1.2.3.4", PARSE_BAD_PARAM},
	    {"ADDR=IPV6:fe80::1%2", PARSE_BAD_PARAM},
	    {"ADDR=" L250 L50, PARSE_BAD_PARAM},
	    {"PORT=65536", PARSE_BAD_PARAM},
	    {"PORT=-1", PARSE_BAD_PARAM},
	    {"PORT=", PARSE_BAD_PARAM},
	    {"NAME=", PARSE_BAD_PARAM},
	    {"NAME=a b", PARSE_BAD_PARAM},
	    {"NAME=a+20b", PARSE_BAD_PARAM},
	    {"NAME=a..b", PARSE_BAD_PARAM},
	    {"NAME=a+0D+0A", PARSE_BAD_PARAM},
	    {"NAME=a+00", PARSE_BAD_PARAM},
	    {"NAME=a(b)", PARSE_BAD_PARAM},
	    {"HELO=a+0D", PARSE_BAD_PARAM},
	    {"HELO=\xc3\xa9.example", PARSE_BAD_PARAM},
	    {"PROTO=LMTP", PARSE_BAD_PARAM},
	    {"PROTO=", PARSE_BAD_PARAM},
	    {"LOGIN=", PARSE_BAD_PARAM},
	    {"LOGIN=a+20b", PARSE_BAD_PARAM},
	    {"LOGIN=a+2", PARSE_BAD_PARAM},
	    {"DESTADDR=host", PARSE_BAD_PARAM},
	    {"DESTPORT=smtp", PARSE_BAD_PARAM},
	    {"LOGIN=" L250 "01234", PARSE_OK},
	    {"LOGIN=" L250 "012345", PARSE_BAD_PARAM},
	    {"HELO=" L250 L250 L250 L250 "012345678901234567890123456789", PARSE_BAD_PARAM},
	};
	struct xclient_args x;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s\n", rows[i].arg);
		assert_int_equal(parse_xclient(rows[i].arg, &x), rows[i].result);
	}
}

static void
test_values(void **state)
{
	struct xclient_args x;

	(void)state;
	assert_int_equal(
	    parse_xclient("addr=ipv6:2001:db8::1 Name=h_1.example  PORT=65535 HELO=[1.2.3.4] "
			  "PROTO=esmtp LOGIN=a+40b+2B DESTADDR=192.0.2.1 DESTPORT=25 ",
		&x),
	    PARSE_OK);
	assert_string_equal(x.addr, "2001:db8::1");
	assert_string_equal(x.name, "h_1.example");
	assert_string_equal(x.port, "65535");
	assert_string_equal(x.helo, "[1.2.3.4]");
	assert_string_equal(x.proto, "esmtp");
	assert_string_equal(x.login, "a@b+");
	assert_string_equal(x.destaddr, "192.0.2.1");
	assert_string_equal(x.destport, "25");

	assert_int_equal(
	    parse_xclient("ADDR=192.0.2.7 NAME=[tempunavail] LOGIN=[UNAVAILABLE]", &x), PARSE_OK);
	assert_string_equal(x.addr, "192.0.2.7");
	assert_string_equal(x.name, "");
	assert_string_equal(x.login, "");
	assert_null(x.helo);
	assert_null(x.port);
	assert_null(x.proto);
	assert_null(x.destaddr);
	assert_null(x.destport);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests_name("xclient", tests, NULL, NULL);
}
