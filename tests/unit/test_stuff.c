/* SPDX-License-Identifier: ISC */
/* Dot-stuffing, cut at every place, and a relay's URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "delivery/stuff.h"
#include "lib/base/bug.h"
#include "lib/mail/relay_url.h"

struct text {
	const char *data;
	size_t len;
};
#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

static const struct {
	struct text in, out;
} cases[] = {
    {TEXT(""), TEXT(".\r\n")},
    {TEXT("a\r\n"), TEXT("a\r\n.\r\n")},
    {TEXT("a"), TEXT("a\r\n.\r\n")},
    {TEXT("a\r"), TEXT("a\r\n.\r\n")},
    {TEXT("."), TEXT("..\r\n.\r\n")},
    {TEXT(".\r\n"), TEXT("..\r\n.\r\n")},
    {TEXT("..\r\n"), TEXT("...\r\n.\r\n")},
    {TEXT("a\r\n.\r\nb\r\n"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\r\n.b.\r\n\r\n.c\r\n"), TEXT("a\r\n..b.\r\n\r\n..c\r\n.\r\n")},
    {TEXT("a.b\r\n"), TEXT("a.b\r\n.\r\n")},
    {TEXT("a\0b\r\n"), TEXT("a\0b\r\n.\r\n")},
    /* what the spool never holds: nothing of it may look like an end to anybody */
    {TEXT("a\n.\nb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\n.\r\nb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\r\n.\nb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\r.\rb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\r.\r\nb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("a\r\n.\rb"), TEXT("a\r\n..\r\nb\r\n.\r\n")},
    {TEXT("\r\r\n"), TEXT("\r\n\r\n.\r\n")},
    {TEXT("\n\r"), TEXT("\r\n\r\n.\r\n")},
    {TEXT("a\n\nb"), TEXT("a\r\n\r\nb\r\n.\r\n")},
};

static void
check_cut(const struct text *in, const struct text *want, size_t one, size_t two)
{
	const uint8_t *data = (const uint8_t *)in->data;
	uint8_t out[256];
	struct stuff s = {.at = STUFF_START};
	size_t n;

	n = stuff_feed(&s, data, one, out);
	assert_true(n <= STUFF_ROOM(one));
	n += stuff_feed(&s, data + one, two - one, out + n);
	n += stuff_feed(&s, data + two, in->len - two, out + n);
	n += stuff_end(&s, out + n);
	assert_int_equal(n, want->len);
	assert_memory_equal(out, want->data, n);
}

static void
test_stuff(void **state)
{
	size_t i, one, two;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		for (one = 0; one <= cases[i].in.len; one++)
			for (two = one; two <= cases[i].in.len; two++)
				check_cut(&cases[i].in, &cases[i].out, one, two);
}

/* For a chunk: lines all the same, and the dots as they are. */
static void
test_kept_dots(void **state)
{
	static const struct {
		struct text in, out;
	} kept[] = {
	    {TEXT(""), TEXT("")},
	    {TEXT("a\r\n"), TEXT("a\r\n")},
	    {TEXT("a"), TEXT("a\r\n")},
	    {TEXT("."), TEXT(".\r\n")},
	    {TEXT("a\r\n.\r\n..b\r\n"), TEXT("a\r\n.\r\n..b\r\n")},
	    {TEXT("a\n.\rb\r"), TEXT("a\r\n.\r\nb\r\n")},
	};
	uint8_t out[64];
	struct stuff s;
	size_t i, n;

	(void)state;
	for (i = 0; i < NITEMS(kept); i++) {
		s = (struct stuff){.keeps_dots = true};
		n = stuff_feed(&s, (const uint8_t *)kept[i].in.data, kept[i].in.len, out);
		n += stuff_end(&s, out + n);
		assert_int_equal(n, kept[i].out.len);
		assert_memory_equal(out, kept[i].out.data, n);
	}
}

static void
test_relay_url(void **state)
{
	static const struct {
		const char *text, *label, *host;
		enum relay_tls tls;
		uint16_t port;
	} urls[] = {
	    {"smtp://mx.example.org", "", "mx.example.org", RELAY_TLS_MAY, 25},
	    {"SMTP://mx.example.org:2525", "", "mx.example.org", RELAY_TLS_MAY, 2525},
	    {"mx.example.org", "", "mx.example.org", RELAY_TLS_MAY, 25},
	    {"smtp+tls://me@mx:587", "me", "mx", RELAY_TLS_MUST, 587},
	    {"smtp+notls://127.0.0.1:26", "", "127.0.0.1", RELAY_TLS_NEVER, 26},
	    {"smtps://[2001:db8::1]", "", "2001:db8::1", RELAY_TLS_FIRST, 465},
	    {"smtps://[::1]:4650", "", "::1", RELAY_TLS_FIRST, 4650},
	};
	static const char *const bad[] = {"", "smtp://", "smtp://:25", "smtp://@mx",
	    "smtp://mx:", "smtp://mx:0", "smtp://mx:65536", "smtp://mx:25x", "ftp://mx",
	    "smtp://[::1", "smtp://[]", "smtp://[mx]", "smtp://m x", "smtp://mx/", "lmtp://mx",
	    "smtp://m\r\nx"};
	struct relay_url u;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(urls); i++) {
		assert_int_equal(relay_url_parse(urls[i].text, &u), 0);
		assert_string_equal(u.label, urls[i].label);
		assert_string_equal(u.host, urls[i].host);
		assert_int_equal(u.tls, urls[i].tls);
		assert_int_equal(u.port, urls[i].port);
	}
	for (i = 0; i < NITEMS(bad); i++)
		if (relay_url_parse(bad[i], &u) == 0)
			fail_msg("'%s' was taken for host %s", bad[i], u.host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stuff),
	    cmocka_unit_test(test_kept_dots),
	    cmocka_unit_test(test_relay_url),
	};

	return cmocka_run_group_tests_name("stuff", tests, NULL, NULL);
}
