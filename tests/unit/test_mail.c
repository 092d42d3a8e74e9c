/* SPDX-License-Identifier: ISC */
/* Dates, trace fields, header scanning and other servers' replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/mail/received.h"
#include "lib/mail/reply.h"

static void
zone_set(const char *tz)
{
	assert_int_equal(setenv("TZ", tz, 1), 0);
	tzset();
}

/* -- dates -- */

static void
test_date(void **state)
{
	static const struct {
		const char *zone;
		time_t t;
		const char *text;
	} rows[] = {
	    {"UTC0", 1795390649, "Sun, 22 Nov 2026 23:37:29 +0000"},
	    {"XST-9", 1795390649, "Mon, 23 Nov 2026 08:37:29 +0900"},
	    {"NST3:30", 1795390649, "Sun, 22 Nov 2026 20:07:29 -0330"},
	    {"XST0:30", 0, "Wed, 31 Dec 1969 23:30:00 -0030"},
	    {"UTC0", 951782400, "Tue, 29 Feb 2000 00:00:00 +0000"},
	};
	char text[DATE_SIZE], small[8];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		zone_set(rows[i].zone);
		assert_int_equal(date_format(text, sizeof(text), rows[i].t), 0);
		assert_string_equal(text, rows[i].text);
	}
	zone_set("UTC0");
	assert_int_equal(date_format(small, sizeof(small), 0), -1);
	assert_int_equal(date_format(text, sizeof(text), (time_t)INT64_MAX), -1);
	assert_string_equal(text, "");
}

static void
test_date_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1969-12-31T23:59:59Z", -1},
	    {"2026-11-22T23:37:29Z", 1795390649},
	    {"2026-11-22t23:37:29z", 1795390649},
	    {"2026-11-22T23:37:29.999Z", 1795390649},
	    {"2026-11-23T08:37:29+09:00", 1795390649},
	    {"2026-11-22T20:07:29-03:30", 1795390649},
	    {"2000-02-29T00:00:00Z", 951782400},
	    {"2000-03-01T00:00:00Z", 951868800},
	    {"1999-12-31T23:59:60Z", 946684800},
	    {"2038-01-19T03:14:08Z", 2147483648},
	    {"0000-01-01T00:00:00Z", -62167219200},
	    {"9999-12-31T23:59:59Z", 253402300799},
	};
	static const char *const bad[] = {"", "2026", "2026-11-22", "2026-11-22T23:37:29",
	    "2026-11-22T23:37:29ZZ", "2026-11-22T23:37:29 Z", "2026-11-22 23:37:29Z",
	    "26-11-22T23:37:29Z", "2026-1-22T23:37:29Z", "2026-11-22T23:37Z",
	    "2026-00-22T23:37:29Z", "2026-13-22T23:37:29Z", "2026-11-00T23:37:29Z",
	    "2026-11-31T23:37:29Z", "2026-02-29T23:37:29Z", "1900-02-29T23:37:29Z",
	    "2026-11-22T24:00:00Z", "2026-11-22T23:60:29Z", "2026-11-22T23:37:61Z",
	    "2026-11-22T23:37:29.Z", "2026-11-22T23:37:29+0900", "2026-11-22T23:37:29+24:00",
	    "2026-11-22T23:37:29+09:60", "2026-11-22T23:37:29+", "-2026-11-22T23:37:29Z",
	    "2026-11-22T23:37:2aZ"};
	int64_t seconds;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(good); i++) {
		print_message("%s\n", good[i].text);
		assert_int_equal(date_parse_internet(good[i].text, &seconds), 0);
		assert_int_equal(seconds, good[i].seconds);
	}
	for (i = 0; i < NITEMS(bad); i++) {
		print_message("%s\n", bad[i]);
		assert_int_equal(date_parse_internet(bad[i], &seconds), -1);
	}
}

/* Every day of four centuries, beside the C library. */
static void
test_date_parse_days(void **state)
{
	char text[32];
	int64_t day, seconds;
	struct tm tm;
	time_t t;

	(void)state;
	for (day = -40000; day < 110000; day++) {
		t = (time_t)(day * 86400);
		assert_non_null(gmtime_r(&t, &tm));
		assert_true(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
		assert_int_equal(date_parse_internet(text, &seconds), 0);
		assert_int_equal(seconds, t);
	}
}

/* -- trace fields -- */

static const struct received full = {
    .helo = "client.example",
    .client_name = "host.example.net",
    .client_addr = "192.0.2.1",
    .by_host = "mx.example.org",
    .protocol = "ESMTPS",
    .tls_comment = "TLSv1.3 TLS_AES_256_GCM_SHA384",
    .auth = "",
    .id = "00000012ab",
    .for_addr = "demo@example.org",
    .when = 1795390649,
};

static void
received_check(const struct received *r, const char *want)
{
	struct buf b;

	zone_set("UTC0");
	buf_init(&b, 8192);
	assert_int_equal(received_format(r, &b), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	assert_string_equal((const char *)buf_head(&b), want);
	buf_free(&b);
}

static void
test_received(void **state)
{
	struct received r = full;

	(void)state;
	received_check(&r, "Received: from client.example (host.example.net [192.0.2.1])\r\n"
			   "\tby mx.example.org with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
			   "\tid 00000012ab\r\n"
			   "\tfor <demo@example.org>;\r\n"
			   "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
	r.client_name = r.tls_comment = r.for_addr = "";
	r.client_addr = "2001:db8::1";
	received_check(&r, "Received: from client.example (unknown [IPv6:2001:db8::1])\r\n"
			   "\tby mx.example.org with ESMTPS id 00000012ab;\r\n"
			   "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
	r.helo = r.client_addr = "";
	r.protocol = "";
	received_check(&r, "Received: by mx.example.org id 00000012ab;\r\n"
			   "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
}

/* A client that is to be hidden leaves neither its name nor its address. */
static void
test_received_masked(void **state)
{
	struct received r = full;

	(void)state;
	r.helo = r.client_addr = "";
	r.protocol = received_protocol(RECEIVED_EXTENDED | RECEIVED_TLS | RECEIVED_AUTH);
	r.auth = "demo@example.org";
	received_check(&r,
	    "Received: by mx.example.org with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
	    "\t(Authenticated sender: demo@example.org) id 00000012ab\r\n"
	    "\tfor <demo@example.org>;\r\n"
	    "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
	r.auth = NULL;
	r.tls_comment = r.for_addr = "";
	received_check(&r, "Received: by mx.example.org with ESMTPSA id 00000012ab;\r\n"
			   "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
}

static void
test_received_protocol(void **state)
{
	static const struct {
		unsigned flags;
		const char *name;
	} rows[] = {
	    {0, "SMTP"},
	    {RECEIVED_TLS, "SMTP"},
	    {RECEIVED_EXTENDED, "ESMTP"},
	    {RECEIVED_EXTENDED | RECEIVED_TLS, "ESMTPS"},
	    {RECEIVED_EXTENDED | RECEIVED_AUTH, "ESMTPA"},
	    {RECEIVED_EXTENDED | RECEIVED_TLS | RECEIVED_AUTH, "ESMTPSA"},
	    {RECEIVED_EXTENDED | RECEIVED_UTF8, "UTF8SMTP"},
	    {RECEIVED_EXTENDED | RECEIVED_UTF8 | RECEIVED_TLS, "UTF8SMTPS"},
	    {RECEIVED_EXTENDED | RECEIVED_UTF8 | RECEIVED_AUTH, "UTF8SMTPA"},
	    {RECEIVED_EXTENDED | RECEIVED_UTF8 | RECEIVED_TLS | RECEIVED_AUTH, "UTF8SMTPSA"},
	    {RECEIVED_LMTP, "LMTP"},
	    {RECEIVED_LMTP | RECEIVED_EXTENDED, "LMTP"},
	    {RECEIVED_LMTP | RECEIVED_TLS, "LMTPS"},
	    {RECEIVED_LMTP | RECEIVED_AUTH, "LMTPA"},
	    {RECEIVED_LMTP | RECEIVED_TLS | RECEIVED_AUTH, "LMTPSA"},
	    {RECEIVED_LMTP | RECEIVED_UTF8, "UTF8LMTP"},
	    {RECEIVED_LMTP | RECEIVED_UTF8 | RECEIVED_TLS, "UTF8LMTPS"},
	    {RECEIVED_LMTP | RECEIVED_UTF8 | RECEIVED_AUTH, "UTF8LMTPA"},
	    {RECEIVED_LMTP | RECEIVED_UTF8 | RECEIVED_TLS | RECEIVED_AUTH, "UTF8LMTPSA"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		assert_string_equal(received_protocol(rows[i].flags), rows[i].name);
}

static void
test_received_hostile(void **state)
{
	struct received r = full;

	(void)state;
	r.helo = "a)\r\nSubject: x (";
	r.client_name = "b\\\xff;c";
	r.client_addr = "]) by evil (";
	r.tls_comment = "x) (y\n";
	r.auth = "u)\r\nX: (";
	r.for_addr = "a@b>\r\nX: y";
	received_check(&r, "Received: from a???Subject:?x?? (b???c []??by?evil??])\r\n"
			   "\tby mx.example.org with ESMTPS (x? ?y?)\r\n"
			   "\t(Authenticated sender: u???X: ?) id 00000012ab;\r\n"
			   "\tSun, 22 Nov 2026 23:37:29 +0000\r\n");
}

static void
test_received_for(void **state)
{
	struct received r = full;
	struct buf b;

	(void)state;
	r.for_addr = "\xc3\xa9@b";
	buf_init(&b, 8192);
	assert_int_equal(received_format(&r, &b), 0);
	assert_null(memmem(buf_head(&b), b.len, "for", 3));
	buf_consume(&b, b.len);
	r.smtputf8 = true;
	assert_int_equal(received_format(&r, &b), 0);
	assert_non_null(memmem(buf_head(&b), b.len, "for <\xc3\xa9@b>;", 11));
	buf_free(&b);
	buf_init(&b, 40);
	assert_int_equal(received_format(&r, &b), -1);
	buf_free(&b);
}

/* -- headers -- */

struct header_row {
	const char *text;
	unsigned received, delivered_to;
	bool date, message_id, from, done;
	uint64_t size;
};

static const struct header_row header_rows[] = {
    {"Received: a\r\nreceived: b\r\nRECEIVED : c\r\n\r\nReceived: d\r\n", 3, 0, false, false, false,
	true, 40},
    {"Date: x\r\nMessage-Id: <y>\r\nFrom: z\r\n\r\n", 0, 0, true, true, true, true, 35},
    {"Dates: x\r\nX-Date: x\r\nDat: x\r\n\r\n", 0, 0, false, false, false, true, 29},
    {"DATE : x\r\nmessage-ID\t :\r\n <y>\r\n\r\n", 0, 0, true, true, false, true, 31},
    {"Date:\r\nMessage-ID:\r\n\r\n", 0, 0, true, true, false, true, 20},
    {"Resent-Date: x\r\nResent-Message-ID: x\r\nMessage-IDs: x\r\n\r\n", 0, 0, false, false, false,
	true, 54},
    {"Message-ID\r\n : <y>\r\nDate: x\r\n\r\n", 0, 0, false, false, false, true, 0},
    {"Subject: x\r\n Date: y\r\n\tReceived: z\r\n\r\n", 0, 0, false, false, false, true, 36},
    {"X-A-Name-Longer-Than-Any: x\r\nFrom: y\r\n\r\n", 0, 0, false, false, true, true, 38},
    {"Delivered-To: demo@example.org\r\n\r\n", 0, 1, false, false, false, true, 32},
    {"DELIVERED-TO:Demo@Example.ORG \r\nDelivered-To:\r\n demo@example.org\r\n\r\n", 0, 2, false,
	false, false, true, 66},
    {"Delivered-To: demo@example.org.uk\r\nDelivered-To: xdemo@example.org\r\n\r\n", 0, 0, false,
	false, false, true, 68},
    {"Delivered-To: demo@example.org\r\n x\r\n\r\n", 0, 0, false, false, false, true, 36},
    {"Delivered-To: demo@example.org\r\n \r\n\r\n", 0, 1, false, false, false, true, 35},
    {"Delivered-To: demo@exam\r\n ple.org\r\n\r\n", 0, 0, false, false, false, true, 35},
    {"Delivered-To: demo@example.org", 0, 1, false, false, false, false, 30},
    /* no header at all, and one that stops being one */
    {"\r\nReceived: a\r\n", 0, 0, false, false, false, true, 0},
    {"hello world\r\nReceived: a\r\n", 0, 0, false, false, false, true, 0},
    {" Received: a\r\n", 0, 0, false, false, false, true, 0},
    {"From: a\r\nnot a field\r\nDate: b\r\n\r\n", 0, 0, false, false, true, true, 9},
    {"From: a\r\n: b\r\n", 0, 0, false, false, true, true, 9},
    {"From: a\nDate: b\n\nReceived: c\n", 0, 0, true, false, true, true, 16},
    {"From: a\r\nSubj", 0, 0, false, false, true, false, 9},
    {"", 0, 0, false, false, false, false, 0},
};

static void
header_check(const struct header_row *row, size_t cut)
{
	struct header_scan s;
	size_t len = strlen(row->text);

	header_scan_init(&s, "demo@example.org");
	header_scan_feed(&s, row->text, cut);
	header_scan_feed(&s, row->text + cut, len - cut);
	assert_int_equal(s.done, row->done);
	header_scan_end(&s);
	assert_true(s.done);
	assert_int_equal(s.received, row->received);
	assert_int_equal(s.delivered_to, row->delivered_to);
	assert_int_equal(s.has_date, row->date);
	assert_int_equal(s.has_message_id, row->message_id);
	assert_int_equal(s.has_from, row->from);
	assert_int_equal(s.size, row->size);
}

static void
test_header(void **state)
{
	size_t i, cut;

	(void)state;
	assert_true(sizeof(struct header_scan) < 256);
	for (i = 0; i < NITEMS(header_rows); i++) {
		print_message("row %zu\n", i);
		for (cut = 0; cut <= strlen(header_rows[i].text); cut++)
			header_check(&header_rows[i], cut);
	}
}

/* -- replies -- */

static void
test_reply(void **state)
{
	static const struct {
		const char *lines[4];
		enum reply_result result;
		int code;
		const char *enhanced, *text;
	} rows[] = {
	    {{"250 ok"}, REPLY_DONE, 250, "", "ok"}, {{"250"}, REPLY_DONE, 250, "", ""},
	    {{"250 "}, REPLY_DONE, 250, "", ""}, {{"250-"}, REPLY_MORE, 250, "", ""},
	    {{"250-a", "250-", "250 b"}, REPLY_DONE, 250, "", "a / b"},
	    {{"250-a", "250"}, REPLY_DONE, 250, "", "a"},
	    {{"550 5.1.1 no such user"}, REPLY_DONE, 550, "5.1.1", "no such user"},
	    {{"550-5.7.1 first", "550 5.7.1 second"}, REPLY_DONE, 550, "5.7.1", "first / second"},
	    {{"550-5.7.1 first", "550 5.7.2 second"}, REPLY_DONE, 550, "5.7.1",
		"first / 5.7.2 second"},
	    {{"550 5.7.1"}, REPLY_DONE, 550, "5.7.1", ""},
	    {{"550 5.7."}, REPLY_DONE, 550, "", "5.7."},
	    {{"550 4.7.1 odd"}, REPLY_DONE, 550, "", "4.7.1 odd"},
	    {{"550 5.7.1234 odd"}, REPLY_DONE, 550, "", "5.7.1234 odd"},
	    {{"550 5.7.1x odd"}, REPLY_DONE, 550, "", "5.7.1x odd"},
	    {{"354 5.0.0 go"}, REPLY_DONE, 354, "", "5.0.0 go"},
	    {{"550 a\rb\nc\x01\xff"}, REPLY_DONE, 550, "", "a\\x0db\\x0ac\\x01\\xff"},
	    {{"250-a", "251 b"}, REPLY_BROKEN, 0, "", NULL}, {{"199 a"}, REPLY_BROKEN, 0, "", NULL},
	    {{"600 a"}, REPLY_BROKEN, 0, "", NULL}, {{"25"}, REPLY_BROKEN, 0, "", NULL},
	    {{""}, REPLY_BROKEN, 0, "", NULL}, {{"2500 a"}, REPLY_BROKEN, 0, "", NULL},
	    {{"250\ta"}, REPLY_BROKEN, 0, "", NULL}, {{" 250 a"}, REPLY_BROKEN, 0, "", NULL},
	    {{"HTTP/1.1 400 Bad Request"}, REPLY_BROKEN, 0, "", NULL},
	    {{"250 a", "250 b"}, REPLY_BROKEN, 0, "", NULL}, /* nobody asked for the second */
	};
	enum reply_result result = REPLY_BROKEN;
	struct reply r;
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("row %zu: %s\n", i, rows[i].lines[0]);
		reply_reset(&r);
		for (j = 0; j < 4 && rows[i].lines[j] != NULL; j++)
			result = reply_feed_line(&r, rows[i].lines[j], strlen(rows[i].lines[j]));
		assert_int_equal(result, rows[i].result);
		assert_int_equal(r.done, result != REPLY_MORE);
		if (result == REPLY_BROKEN)
			continue;
		assert_int_equal(r.code, rows[i].code);
		assert_string_equal(r.enhanced, rows[i].enhanced);
		assert_string_equal(r.text, rows[i].text);
	}
}

static void
test_reply_bounds(void **state)
{
	static char line[REPLY_OCTETS_MAX + 1];
	enum reply_result result = REPLY_MORE;
	struct reply r;
	unsigned n;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "550-", 4);
	reply_reset(&r);
	assert_int_equal(reply_feed_line(&r, line, REPLY_OCTETS_MAX), REPLY_MORE);
	assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
	assert_string_equal(r.text + strlen(r.text) - 3, "...");
	assert_int_equal(reply_feed_line(&r, "550 a", 5), REPLY_BROKEN);

	reply_reset(&r);
	for (n = 0; n < REPLY_LINES_MAX && result == REPLY_MORE; n++)
		result = reply_feed_line(&r, line, 400);
	assert_int_equal(n, REPLY_LINES_MAX);
	assert_int_equal(result, REPLY_MORE);
	assert_string_equal(r.text + strlen(r.text) - 3, "...");
	assert_int_equal(reply_feed_line(&r, line, 4), REPLY_BROKEN);
}

/* Every length of a first line: the second joins it, or the cut is marked. */
static void
test_reply_cut(void **state)
{
	static char line[REPLY_TEXT_SIZE + 16];
	struct reply r;
	size_t len, text;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "550-", 4);
	for (len = 900; len <= sizeof(line); len++) {
		reply_reset(&r);
		assert_int_equal(reply_feed_line(&r, line, len), REPLY_MORE);
		assert_int_equal(reply_feed_line(&r, "550-yyyyyyyyyyyyyyyyyyyy", 24), REPLY_MORE);
		assert_int_equal(reply_feed_line(&r, "550 zzzzzzzzzzzzzzzzzzzz", 24), REPLY_DONE);
		text = strlen(r.text);
		assert_true(text < sizeof(r.text));
		assert_true(r.text[text - 1] == 'z' || strcmp(r.text + text - 3, "...") == 0);
		assert_null(strstr(r.text, "......"));
	}
}

static void
test_reply_keyword(void **state)
{
	static const struct {
		const char *line, *word, *args;
	} rows[] = {
	    {"250-SIZE 1000", "SIZE", "1000"},
	    {"250 pipelining", "PIPELINING", ""},
	    {"250-AUTH PLAIN  LOGIN", "AUTH", "PLAIN  LOGIN"},
	    {"250-8BITMIME", "8BITMIME", ""},
	    {"250-AUTH=LOGIN", NULL, NULL},
	    {"250-mx.example.org Hello", NULL, NULL},
	    {"250-", NULL, NULL},
	    {"250", NULL, NULL},
	    {"250--X", NULL, NULL},
	    {"250-X \x01", NULL, NULL},
	    {"250-A123456789012345678901234567890123456789", NULL, NULL},
	};
	struct reply_keyword k;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		bool found = reply_line_keyword(rows[i].line, strlen(rows[i].line), &k);

		print_message("%s\n", rows[i].line);
		assert_int_equal(found, rows[i].word != NULL);
		if (!found)
			continue;
		assert_string_equal(k.word, rows[i].word);
		assert_string_equal(k.args, rows[i].args);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_date),
	    cmocka_unit_test(test_date_parse),
	    cmocka_unit_test(test_date_parse_days),
	    cmocka_unit_test(test_received),
	    cmocka_unit_test(test_received_masked),
	    cmocka_unit_test(test_received_protocol),
	    cmocka_unit_test(test_received_hostile),
	    cmocka_unit_test(test_received_for),
	    cmocka_unit_test(test_header),
	    cmocka_unit_test(test_reply),
	    cmocka_unit_test(test_reply_bounds),
	    cmocka_unit_test(test_reply_cut),
	    cmocka_unit_test(test_reply_keyword),
	};

	return cmocka_run_group_tests_name("mail", tests, NULL, NULL);
}
