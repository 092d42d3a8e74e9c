/* SPDX-License-Identifier: ISC */
/* What names other servers in smtpd.conf, but for relays, which test_conf_relay.c has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/conf/check_url.h"

#define LABEL_64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"

static const struct {
	bool (*check)(const char *);
	const char *yes[8], *no[16];
} cases[] = {
    {check_ip, {"192.0.2.1", "2001:db8::1", "::"},
	{"", "mx", "192.0.2", "192.0.2.1:25", "[::1]", "192.0.2.1 ", "fe80::1%lo"}},
    {check_ips, {"192.0.2.1", "192.0.2.1,::1", "192.0.2.1 ,\t::1"},
	{"", ",", "192.0.2.1,", ",192.0.2.1", "192.0.2.1 192.0.2.2"}},
    {check_relay_urls, {"mx", "mx, smtps://l@mx:1 ,[::1]"}, {"", "mx,", "mx mx", "mx;mx"}},
    {check_lmtp, {"/run/x", "/a b", "localhost:24", "[::1]:24", "192.0.2.1:65535"},
	{"", "x", "localhost", "::1:24", "[::1]", "h:0", "h:65536", "h:24/", "run/x:1", "/a\nb"}},
    {check_proxy, {"socks5://192.0.2.1:1080", "socks5://[2001:db8::1]:1"},
	{"", "socks5://192.0.2.1", "socks5://h:1", "socks4://192.0.2.1:1", "192.0.2.1:1",
	    "socks5://u@192.0.2.1:1", "socks5://192.0.2.1:1/", "socks5://[::1]", "socks5://::1:1",
	    "socks5://"}},
    {check_oauth_label, {"a", "7", "me@example.org", "a.b_c+d-e", LABEL_64},
	{"", ".", "..", ".a", "@a", "-a", "a/b", "a b", "a,b", "a\nb", "a\"", "\xc3\xa9",
	    LABEL_64 "m"}},
    {check_https,
	{"https://h", "https://h/", "https://h:8443/a/b?c=d&e=f%20", "https://[::1]:1/",
	    "https://192.0.2.1/~x"},
	{"", "http://h/", "https:h", "https://", "https:///x", "https://h:0/", "https://h:x/",
	    "https://u@h/", "https://h/#f", "https://h/a b", "https://h/\"", "https://h/\r\n",
	    "https://h/\xc3\xa9", "HTTPS://h/", "https://h:1:2/"}},
};

static void
test_checks(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		for (j = 0; j < NITEMS(cases[i].yes) && cases[i].yes[j] != NULL; j++)
			if (!cases[i].check(cases[i].yes[j]))
				fail_msg("%zu: refused: %s", i, cases[i].yes[j]);
		for (j = 0; j < NITEMS(cases[i].no) && cases[i].no[j] != NULL; j++)
			if (cases[i].check(cases[i].no[j]))
				fail_msg("%zu: taken: %s", i, cases[i].no[j]);
	}
}

static void
test_items(void **state)
{
	static const char *const wanted[] = {"one", "", "t wo", "three"};
	const char *list = " one,, t wo\t ,three  ";
	char item[CONF_STRING_MAX + 1];
	size_t n;

	(void)state;
	for (n = 0; text_next(&list, item); n++) {
		assert_true(n < NITEMS(wanted));
		assert_string_equal(item, wanted[n]);
	}
	assert_int_equal(n, NITEMS(wanted));
}

static void
test_labels(void **state)
{
	char label[CONF_NAME_MAX + 1];

	(void)state;
	assert_true(relay_url_label("smtp+tls://me@example.org@mx:587", label));
	assert_string_equal(label, "me@example.org");
	assert_true(relay_url_label("l@mx", label));
	assert_string_equal(label, "l");
	assert_false(relay_url_label("smtp://mx", label));
	assert_true(relay_url_is_clear("smtp+notls://mx"));
	assert_true(relay_url_is_clear("SMTP+NOTLS://mx"));
	assert_false(relay_url_is_clear("smtp://mx"));
	assert_false(relay_url_is_clear("mx"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_checks),
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
