/* SPDX-License-Identifier: ISC */
/*
 * What a load balancer says of its client, versions 1 and 2, each header fed at
 * every length up to its own from a buffer that is no larger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/proxy.h"

static enum proxy_result
parse(const void *data, size_t len, bool v2_only, struct proxy_header *h)
{
	uint8_t *exact = malloc(len == 0 ? 1 : len);
	enum proxy_result r;

	assert_non_null(exact);
	memcpy(exact, data, len);
	r = proxy_parse(exact, len, v2_only, h);
	free(exact);
	return r;
}

/* PROXY_MORE at every length but its own; then the result, whatever follows. */
static void
check_header(const void *data, size_t len, struct proxy_header *h)
{
	uint8_t more[PROXY_HEADER_MAX + 8];
	size_t n;

	for (n = 0; n < len; n++)
		assert_int_equal(parse(data, n, false, h), PROXY_MORE);
	assert_true(len + 6 <= sizeof(more));
	memcpy(more, data, len);
	memcpy(more + len, "EHLO\r\n", 6);
	assert_int_equal(parse(more, len + 6, false, h), PROXY_OK);
	assert_int_equal(h->len, len);
	assert_int_equal(parse(data, len, false, h), PROXY_OK);
	assert_int_equal(h->len, len);
}

static void
check_source(const struct proxy_header *h, const char *source, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(h->own, source == NULL);
	if (source == NULL)
		return;
	addr_format(&h->source, text);
	assert_string_equal(text, source);
	assert_int_equal(addr_port(&h->source), port);
}

/* -- version 1 -- */

#define V6_LONG "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void
test_v1(void **state)
{
	static const struct {
		const char *line, *source;
		uint16_t port;
	} rows[] = {
	    {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n", "192.0.2.1", 56324},
	    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255",
		65535},
	    {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0", 0},
	    {"PROXY TCP6 2001:db8::1 ::1 1 25\r\n", "2001:db8::1", 1},
	    {"PROXY TCP6 " V6_LONG " " V6_LONG " 65535 65535\r\n", V6_LONG, 65535},
	    {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", "192.0.2.1", 1},
	    {"PROXY UNKNOWN\r\n", NULL, 0},
	    {"PROXY UNKNOWN \r\n", NULL, 0},
	    {"PROXY UNKNOWN " V6_LONG " " V6_LONG " 65535 65535\r\n", NULL, 0},
	    {"PROXY UNKNOWN what \xff ever\r\n", NULL, 0},
	};
	struct proxy_header h;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("%s", rows[i].line);
		check_header(rows[i].line, strlen(rows[i].line), &h);
		check_source(&h, rows[i].source, rows[i].port);
		assert_int_equal(parse(rows[i].line, strlen(rows[i].line), true, &h), PROXY_BAD);
	}
}

static void
test_v1_bad(void **state)
{
	static const char *const lines[] = {"X", "EHLO a\r\n", "PROXYTCP4", "proxy TCP4 ",
	    "PROXY\r\n", "PROXY \r\n", "PROXY TCP4\r\n", "PROXY UNKNOWNS\r\n", "PROXY unknown\r\n",
	    "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	    "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2  1 2\r\n",
	    "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.x 1 2\r\n", "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n", "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
	    "PROXY TCP6 fe80::1%1 ::1 1 2\r\n", "PROXY TCP6 ::1 fe80::1%1 1 2\r\n",
	    "PROXY TCP6 :::1 ::1 1 2\r\n", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 0x2\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n"};
	static const char nul[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\0\r\n";
	static const char nul_unknown[] = "PROXY UNKNOWN\0 x\r\n";
	struct proxy_header h;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(lines); i++) {
		print_message("%s\n", lines[i]);
		assert_int_equal(parse(lines[i], strlen(lines[i]), false, &h), PROXY_BAD);
	}
	assert_int_equal(parse(nul, sizeof(nul) - 1, false, &h), PROXY_BAD);
	assert_int_equal(parse(nul_unknown, sizeof(nul_unknown) - 1, false, &h), PROXY_BAD);
}

/* 107 octets with the CRLF, and no more. */
static void
test_v1_length(void **state)
{
	char line[128];
	struct proxy_header h;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_int_equal(parse(line, 106, false, &h), PROXY_MORE);
	assert_int_equal(parse(line, 107, false, &h), PROXY_BAD);
	line[105] = '\r';
	assert_int_equal(parse(line, 106, false, &h), PROXY_MORE);
	line[106] = '\n';
	check_header(line, 107, &h);
	line[105] = 'x';
	line[106] = '\r';
	line[107] = '\n';
	assert_int_equal(parse(line, 108, false, &h), PROXY_BAD);
	/* A line feed alone ends nothing. */
	memset(line + 14, 'x', sizeof(line) - 14);
	line[14] = '\n';
	assert_int_equal(parse(line, 20, false, &h), PROXY_MORE);
	assert_int_equal(parse(line, 107, false, &h), PROXY_BAD);
}

/* -- version 2 -- */

#define V2(command, family) "\r\n\r\n\0\r\nQUIT\n" command family
#define INET		    "\300\0\2\1\306\63\144\1\xdc\x04\0\31"
#define INET6                                      \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xff\xff\0\31"

static void
test_v2(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *source;
		uint16_t port;
	} rows[] = {
#define BYTES(s) s, sizeof(s) - 1
	    {BYTES(V2("\x21", "\x11\0\14") INET), "192.0.2.1", 56324},
	    {BYTES(V2("\x21", "\x21\0\44") INET6), "2001:db8::1", 65535},
	    /* with a TLV after them */
	    {BYTES(V2("\x21", "\x11\0\22") INET "\4\0\3abc"), "192.0.2.1", 56324},
	    {BYTES(V2("\x21", "\x21\0\47") INET6 "\4\0\0"), "2001:db8::1", 65535},
	    /* LOCAL, with whatever family and addresses */
	    {BYTES(V2("\x20", "\0\0\0")), NULL, 0},
	    {BYTES(V2("\x20", "\x11\0\14") INET), NULL, 0},
	    {BYTES(V2("\x20", "\x11\0\1") "x"), NULL, 0},
	    {BYTES(V2("\x20", "\xff\0\3") "xyz"), NULL, 0},
	    /* a client that no TCP brought */
	    {BYTES(V2("\x21", "\0\0\0")), NULL, 0},
	    {BYTES(V2("\x21", "\0\0\5") "abcde"), NULL, 0},
	    {BYTES(V2("\x21", "\x10\0\14") INET), NULL, 0},
	    {BYTES(V2("\x21", "\x12\0\14") INET), NULL, 0},
	    {BYTES(V2("\x21", "\x22\0\44") INET6), NULL, 0},
	    {BYTES(V2("\x21", "\x01\0\0")), NULL, 0},
	    {BYTES(V2("\x21", "\x31\0\4") "/tmp"), NULL, 0},
	    {BYTES(V2("\x21", "\x32\0\0")), NULL, 0},
	};
	struct proxy_header h;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("row %zu\n", i);
		check_header(rows[i].data, rows[i].len, &h);
		check_source(&h, rows[i].source, rows[i].port);
		assert_int_equal(parse(rows[i].data, rows[i].len, true, &h), PROXY_OK);
	}
}

static void
test_v2_bad(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} rows[] = {
	    {BYTES("\r\n\r\n\0\r\nQUIX")},
	    {BYTES("\r\n\r\n\1")},
	    {BYTES("\r\nPROXY")},
	    {BYTES(V2("\x11", "\x11\0\14") INET)},
	    {BYTES(V2("\x31", "\x11\0\14") INET)},
	    {BYTES(V2("\x22", "\x11\0\14") INET)},
	    {BYTES(V2("\x2f", "\x11\0\14") INET)},
	    {BYTES(V2("\x21", "\x41\0\14") INET)},
	    {BYTES(V2("\x21", "\x13\0\14") INET)},
	    /* too short for what they announce: refused before a length is believed */
	    {BYTES(V2("\x21", "\x11\0\0"))},
	    {BYTES(V2("\x21", "\x11\0\13") INET)},
	    {BYTES(V2("\x21", "\x21\0\0"))},
	    {BYTES(V2("\x21", "\x21\0\14") INET)},
	    {BYTES(V2("\x21", "\x21\0\43") INET6)},
	    {BYTES(V2("\x21", "\x11\xff\xff") INET)},
	};
	struct proxy_header h;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("row %zu\n", i);
		assert_int_equal(parse(rows[i].data, rows[i].len, false, &h), PROXY_BAD);
	}
}

static void
test_v2_length(void **state)
{
	static uint8_t data[PROXY_HEADER_MAX + 1];
	static const char head[] = V2("\x21", "\x11");
	struct proxy_header h;

	(void)state;
	memcpy(data, head, sizeof(head) - 1);
	memcpy(data + 16, INET, 12);
	data[14] = (PROXY_HEADER_MAX - 16) >> 8;
	data[15] = (PROXY_HEADER_MAX - 16) & 0xff;
	check_header(data, PROXY_HEADER_MAX, &h);
	check_source(&h, "192.0.2.1", 56324);
	data[15]++;
	assert_int_equal(parse(data, 16, false, &h), PROXY_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v1),
	    cmocka_unit_test(test_v1_bad),
	    cmocka_unit_test(test_v1_length),
	    cmocka_unit_test(test_v2),
	    cmocka_unit_test(test_v2_bad),
	    cmocka_unit_test(test_v2_length),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
