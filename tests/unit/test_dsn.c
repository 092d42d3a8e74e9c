/* SPDX-License-Identifier: ISC */
/* Delivery status notifications: the required fields, and nothing that a remote text can add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/mail/dsn.h"

#define HEADERS "From: a@example.net\r\nSubject: hello\r\n"

static const struct dsn_recipient gone = {
    .original = "info@example.org",
    .final = "gone@example.com",
    .orcpt = "rfc822;Info@example.org",
    .action = DSN_ACTION_FAILED,
    .status = "5.1.1",
    .diagnostic = "550 5.1.1 no such user",
    .remote_mta = "mx.example.com",
    .last_attempt_s = 1795390649,
};

static const struct dsn failed = {
    .kind = DSN_FAILED,
    .reporting_mta = "mx.example.org",
    .sender = "a@example.net",
    .from_mailer = "MAILER-DAEMON@mx.example.org",
    .envid = "QQ314",
    .boundary = "00000012ab.4711",
    .arrival_s = 1795390600,
    .now_s = 1795390649,
    .recipients = &gone,
    .nrecipients = 1,
    .headers = {(const uint8_t *)HEADERS, sizeof(HEADERS) - 1},
};

/* The message as a string; every line is checked for its length and its end. */
static char *
report(const struct dsn *d)
{
	struct buf b;
	char *text, *p, *end;

	buf_init(&b, 1 << 20);
	assert_int_equal(dsn_format(d, &b), 0);
	text = test_malloc(b.len + 1);
	memcpy(text, buf_head(&b), b.len);
	text[b.len] = '\0';
	assert_int_equal(strlen(text), b.len);
	buf_free(&b);
	for (p = text; *p != '\0'; p = end + 2) {
		end = strpbrk(p, "\r\n");
		assert_non_null(end);
		assert_memory_equal(end, "\r\n", 2);
		assert_true(end - p <= 998);
	}
	return text;
}

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
has_all(const char *text, const char *const *parts)
{
	for (; *parts != NULL; parts++) {
		if (strstr(text, *parts) == NULL)
			print_message("missing: %s\n", *parts);
		assert_non_null(strstr(text, *parts));
	}
}

static void
test_failed(void **state)
{
	static const char *const parts[] = {
	    "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n",
	    "\r\nTo: <a@example.net>\r\n",
	    "\r\nDate: Sun, 22 Nov 2026 23:37:29 +0000\r\n",
	    "\r\nAuto-Submitted: auto-replied\r\n",
	    "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"00000012ab.4711\"\r\n\r\n--00000012ab.4711\r\n",
	    "  <info@example.org>\r\n    which goes to: <gone@example.com>\r\n",
	    "The other server said: 550 5.1.1 no such user\r\n",
	    "Check its spelling",
	    "\r\n\r\n--00000012ab.4711\r\nContent-Type: message/delivery-status\r\n\r\n"
	    "Original-Envelope-Id: QQ314\r\n"
	    "Reporting-MTA: dns; mx.example.org\r\n"
	    "Arrival-Date: Sun, 22 Nov 2026 23:36:40 +0000\r\n"
	    "\r\n"
	    "Original-Recipient: rfc822; Info@example.org\r\n"
	    "Final-Recipient: rfc822; gone@example.com\r\n"
	    "Action: failed\r\n"
	    "Status: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.example.com\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
	    "Last-Attempt-Date: Sun, 22 Nov 2026 23:37:29 +0000\r\n"
	    "\r\n--00000012ab.4711\r\nContent-Type: text/rfc822-headers\r\n\r\n" HEADERS
	    "\r\n--00000012ab.4711--\r\n",
	    NULL,
	};
	char *text = report(&failed);

	(void)state;
	has_all(text, parts);
	assert_false(dsn_is_8bit(&failed));
	test_free(text);
}

static void
test_delayed(void **state)
{
	static const char *const parts[] = {
	    "Subject: Your message is delayed\r\n",
	    "It is tried until Fri, 27 Nov 2026",
	    "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-postern; connection refused\r\n"
	    "Will-Retry-Until: Fri, 27 Nov 2026 23:37:29 +0000\r\n",
	    "nor send it again",
	    NULL,
	};
	struct dsn_recipient r = {
	    .final = "b@example.com",
	    .action = DSN_ACTION_DELAYED,
	    .status = "5.4.1", /* the class follows the action */
	    .diagnostic = "connection refused",
	    .will_retry_until_s = 1795822649,
	};
	struct dsn d = failed;
	char *text;

	(void)state;
	d.kind = DSN_DELAYED;
	d.recipients = &r;
	d.headers = (struct span){NULL, 0};
	text = report(&d);
	has_all(text, parts);
	assert_null(strstr(text, "rfc822-headers"));
	test_free(text);
}

/* What we found out about a server is not what it said (RFC 3464 2.3.6). */
static void
test_own_words(void **state)
{
	static const struct {
		const char *diagnostic, *remote_mta, *human, *code;
	} rows[] = {
	    {"550 no", "mx.example.com", "The other server said: 550 no\r\n", ": smtp; 550 no\r\n"},
	    {"550", "mx.example.com", "The other server said: 550\r\n", ": smtp; 550\r\n"},
	    {"it takes no 8-bit text", "mx.example.com", "Reason: it takes no",
		": x-postern; it takes"},
	    {"8 bits", "mx.example.com", "Reason: 8 bits\r\n", ": x-postern; 8 bits\r\n"},
	    {"5500 no", "mx.example.com", "Reason: 5500 no\r\n", ": x-postern; 5500 no\r\n"},
	    {"550 no", NULL, "Reason: 550 no\r\n", ": x-postern; 550 no\r\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct dsn_recipient r = gone;
		struct dsn d = failed;
		char *text;

		r.diagnostic = rows[i].diagnostic;
		r.remote_mta = rows[i].remote_mta;
		d.recipients = &r;
		text = report(&d);
		assert_non_null(strstr(text, rows[i].human));
		assert_non_null(strstr(text, rows[i].code));
		test_free(text);
	}
}

static void
test_status(void **state)
{
	static const struct {
		const char *status;
		enum dsn_action action;
		const char *line;
	} rows[] = {
	    {"5.7.1", DSN_ACTION_FAILED, "\r\nStatus: 5.7.1\r\n"},
	    {"4.4.7", DSN_ACTION_FAILED, "\r\nStatus: 5.4.7\r\n"},
	    {"", DSN_ACTION_FAILED, "\r\nStatus: 5.0.0\r\n"},
	    {NULL, DSN_ACTION_DELAYED, "\r\nStatus: 4.0.0\r\n"},
	    {"5.7", DSN_ACTION_FAILED, "\r\nStatus: 5.0.0\r\n"},
	    {"5.7.1 x", DSN_ACTION_FAILED, "\r\nStatus: 5.0.0\r\n"},
	    {"5.1234.1", DSN_ACTION_FAILED, "\r\nStatus: 5.0.0\r\n"},
	    {"x", DSN_ACTION_DELIVERED, "\r\nStatus: 2.0.0\r\n"},
	    {"2.1.5", DSN_ACTION_RELAYED, "\r\nStatus: 2.1.5\r\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct dsn_recipient r = gone;
		struct dsn d = failed;
		char *text;

		r.status = rows[i].status;
		r.action = rows[i].action;
		d.recipients = &r;
		text = report(&d);
		assert_non_null(strstr(text, rows[i].line));
		test_free(text);
	}
}

#define INJECT "x\r\n\r\n--B\r\nContent-Type: text/html\r\nBcc: evil\r\n.\r\n\x01\xff"

static void
test_injection(void **state)
{
	static const char hostile_headers[] =
	    "Subject: a\rb\x01\n--B\r\n--B--\r\nX: \r\n\r\nbody\r\n";
	struct dsn_recipient r = {
	    .original = INJECT,
	    .final = INJECT,
	    .orcpt = INJECT ";" INJECT,
	    .status = INJECT,
	    .diagnostic = INJECT,
	    .remote_mta = INJECT,
	};
	struct dsn d = {
	    .sender = INJECT,
	    .from_mailer = INJECT,
	    .reporting_mta = INJECT,
	    .envid = INJECT,
	    .boundary = "B",
	    .recipients = &r,
	    .nrecipients = 1,
	    .headers = {(const uint8_t *)hostile_headers, sizeof(hostile_headers) - 1},
	};
	char *text = report(&d);

	(void)state;
	assert_int_equal(count(text, "\r\n--B"), 4);
	assert_int_equal(count(text, "\r\nBcc"), 0);
	assert_int_equal(count(text, "\r\nContent-Type: "), 4);
	assert_int_equal(count(text, "\r\n.\r\n"), 0);
	assert_non_null(strstr(text, "Subject: a?b?\r\n --B\r\n --B--\r\nX: \r\n\r\n--B--\r\n"));
	assert_null(strchr(text, '\xff'));
	assert_null(strstr(text, "body"));
	test_free(text);
}

static void
test_utf8(void **state)
{
	static const char *const parts[] = {
	    "\r\nTo: <\xc3\xa9@example.net>\r\n",
	    "\r\nContent-Transfer-Encoding: 8bit\r\n",
	    "\r\nFinal-Recipient: utf-8; \\x{E9}\\x{20AC}@example.com\r\n",
	    "  <\\x{E9}\\x{20AC}@example.com>\r\n",
	    NULL,
	};
	struct dsn_recipient r = {.final = "\xc3\xa9\xe2\x82\xac@example.com"};
	struct dsn d = failed;
	char *text;

	(void)state;
	d.sender = "\xc3\xa9@example.net";
	d.recipients = &r;
	text = report(&d);
	has_all(text, parts);
	assert_true(dsn_is_8bit(&d));
	test_free(text);
}

/* Octets above 127 in the returned header make the whole message 8bit. */
static void
test_8bit_header(void **state)
{
	static const char header[] = "Subject: \xc3\xa9\r\n";
	struct dsn d = failed;
	char *text;

	(void)state;
	d.headers = (struct span){(const uint8_t *)header, sizeof(header) - 1};
	assert_true(dsn_is_8bit(&d));
	text = report(&d);
	assert_int_equal(count(text, "Content-Transfer-Encoding: 8bit\r\n"), 2);
	assert_non_null(strstr(text, header));
	test_free(text);
}

static void
test_spaces(void **state)
{
	struct dsn d = failed;
	char *text;

	(void)state;
	d.envid = " \r\n a  \t\tb\r\n";
	text = report(&d);
	assert_non_null(strstr(text, "\r\nOriginal-Envelope-Id: a b\r\n"));
	test_free(text);
	d.envid = "\r\n";
	text = report(&d);
	assert_null(strstr(text, "Original-Envelope-Id"));
	test_free(text);
}

/* Texts and headers beyond every bound: whole lines, none too long, a bounded size. */
static void
test_bounds(void **state)
{
	static char diagnostic[8192], headers[3 * DSN_HEADERS_MAX];
	struct dsn_recipient r = gone;
	struct dsn d = failed;
	char *text;

	(void)state;
	memset(diagnostic, 'd', sizeof(diagnostic) - 1);
	memset(headers, 'h', sizeof(headers));
	memcpy(headers, "X: a\r\n", 6);
	r.diagnostic = diagnostic;
	d.recipients = &r;
	d.headers = (struct span){(const uint8_t *)headers, sizeof(headers)};
	text = report(&d);
	assert_true(strlen(text) < DSN_HEADERS_MAX);
	assert_non_null(strstr(text, "X: a\r\n\r\n--"));
	test_free(text);
	headers[5] = 'h'; /* no line end at all */
	headers[4] = 'h';
	text = report(&d);
	assert_true(strlen(text) < DSN_HEADERS_MAX);
	test_free(text);
}

static void
test_no_room(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	assert_int_equal(dsn_format(&failed, &b), -1);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_failed),
	    cmocka_unit_test(test_delayed),
	    cmocka_unit_test(test_own_words),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_injection),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_8bit_header),
	    cmocka_unit_test(test_spaces),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_no_room),
	};

	(void)setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}
