/* SPDX-License-Identifier: ISC */
/* Bcc fields go, all else stays, however the message is cut; Date and Message-ID to add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mail/submission.h"

struct row {
	const char *in, *out;
};

#define S10 "          "

static const struct row rows[] = {
    {"", ""},
    {"From: a\r\nBcc: b\r\nTo: c\r\n\r\nbody\r\n", "From: a\r\nTo: c\r\n\r\nbody\r\n"},
    {"Bcc: b\r\nFrom: a\r\n\r\nbody", "From: a\r\n\r\nbody"},
    {"From: a\r\nBcc: b\r\n\r\nbody", "From: a\r\n\r\nbody"},
    {"BCC:b\r\nbcc:c\r\nbCc:\r\n\r\n", "\r\n"},
    {"Bcc: b\r\n", ""},
    {"Bcc: b", ""},
    {"Bcc:", ""},
    {"Resent-Bcc: b\r\nRESENT-BCC:c\r\nResent-To: d\r\n\r\n", "Resent-To: d\r\n\r\n"},
    /* folded lines belong to the field before */
    {"Bcc: b,\r\n c,\r\n\td\r\nTo: e\r\n f\r\n\r\n", "To: e\r\n f\r\n\r\n"},
    {"Bcc:\r\n b\r\n \r\n c\r\n\r\n", "\r\n"},
    {"To: a\r\n Bcc: b\r\n\r\n", "To: a\r\n Bcc: b\r\n\r\n"},
    {"To: a\r\nBcc: b\r\n c", "To: a\r\n"},
    /* spaces before the colon, as many as are held back */
    {"Bcc : b\r\nBcc\t \t: c\r\n\r\n", "\r\n"},
    {"Bcc" S10 S10 " : b\r\n\r\n", "\r\n"},
    {"Bcc" S10 S10 "  : b\r\n\r\n", "Bcc" S10 S10 "  : b\r\n\r\n"},
    {"Resent-Bcc" S10 "    : b\r\n\r\n", "\r\n"},
    {"Resent-Bcc" S10 "     : b\r\n\r\n", "Resent-Bcc" S10 "     : b\r\n\r\n"},
    /* names that are others */
    {"Bc: b\r\nBccc: b\r\nBcc-: b\r\nABcc: b\r\nB: b\r\nResent-Bc: b\r\nResent-Bccs: b\r\n\r\n",
	"Bc: b\r\nBccc: b\r\nBcc-: b\r\nABcc: b\r\nB: b\r\nResent-Bc: b\r\nResent-Bccs: b\r\n\r\n"},
    {"Resent: a\r\nBcc: b\r\nB : c\r\n\r\n", "Resent: a\r\nB : c\r\n\r\n"},
    /* the header is over */
    {"\r\nBcc: b\r\n", "\r\nBcc: b\r\n"},
    {"To: a\r\n\r\nBcc: b\r\n", "To: a\r\n\r\nBcc: b\r\n"},
    {"Bcc: a\r\n\r\nBcc: b\r\n", "\r\nBcc: b\r\n"},
    {"To: a\r\nno field\r\nBcc: b\r\n", "To: a\r\nno field\r\nBcc: b\r\n"},
    {"Bcc no field\r\nBcc: b\r\n", "Bcc no field\r\nBcc: b\r\n"},
    {"Bcc x: y\r\nBcc: b\r\n", "Bcc x: y\r\nBcc: b\r\n"},
    {"Bcc\r\nBcc: b\r\n", "Bcc\r\nBcc: b\r\n"},
    {"Bcc: a\r\n: x\r\nBcc: b\r\n", ": x\r\nBcc: b\r\n"},
    {" x\r\nBcc: b\r\n", " x\r\nBcc: b\r\n"},
    {"To: a\r\n\xc3\xa9: x\r\nBcc: b\r\n", "To: a\r\n\xc3\xa9: x\r\nBcc: b\r\n"},
    /* the end, in the middle of a name */
    {"To: a\r\nBc", "To: a\r\nBc"},
    {"To: a\r\nBcc", "To: a\r\nBcc"},
    {"To: a\r\nBcc ", "To: a\r\nBcc "},
    {"resent-", "resent-"},
    /* bare line feeds, that a binary body may have */
    {"To: a\nBcc: b\n c\nCc: d\n\nBcc: e\n", "To: a\nCc: d\n\nBcc: e\n"},
};

/* All of out's room is what the contract asks for, and no more. */
static void
feed(struct bcc_strip *s, const char *in, size_t n, struct buf *all)
{
	uint8_t *exact = malloc(n + BCC_HELD_MAX);
	size_t nout;

	assert_non_null(exact);
	bcc_strip_feed(s, (const uint8_t *)in, n, exact, &nout);
	assert_true(nout <= n + BCC_HELD_MAX);
	assert_int_equal(buf_append(all, exact, nout), 0);
	free(exact);
}

static void
finish(struct bcc_strip *s, const struct row *row, struct buf *all)
{
	uint8_t *exact = malloc(BCC_HELD_MAX);
	size_t nout;

	assert_non_null(exact);
	bcc_strip_end(s, exact, &nout);
	assert_int_equal(buf_append(all, exact, nout), 0);
	free(exact);
	assert_int_equal(all->len, strlen(row->out));
	if (all->len > 0)
		assert_memory_equal(buf_head(all), row->out, all->len);
	assert_int_equal(s->found, strcmp(row->in, row->out) != 0);
	buf_free(all);
}

static void
test_bcc(void **state)
{
	struct bcc_strip s;
	size_t i, cut, len;
	struct buf all;

	(void)state;
	buf_init(&all, 4096);
	for (i = 0; i < NITEMS(rows); i++) {
		print_message("row %zu\n", i);
		len = strlen(rows[i].in);
		for (cut = 0; cut <= len; cut++) {
			bcc_strip_init(&s);
			feed(&s, rows[i].in, cut, &all);
			feed(&s, rows[i].in + cut, len - cut, &all);
			finish(&s, &rows[i], &all);
		}
		bcc_strip_init(&s);
		for (cut = 0; cut < len; cut++)
			feed(&s, rows[i].in + cut, 1, &all);
		finish(&s, &rows[i], &all);
	}
}

static void
check_text(struct buf *b, const char *want)
{
	assert_int_equal(buf_append(b, "", 1), 0);
	assert_string_equal((const char *)buf_head(b), want);
	buf_consume(b, b->len);
}

static void
test_added_fields(void **state)
{
	struct buf b;

	(void)state;
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	buf_init(&b, 256);
	assert_int_equal(submission_date(1795390649, &b), 0);
	check_text(&b, "Date: Sun, 22 Nov 2026 23:37:29 +0000\r\n");
	assert_int_equal(submission_message_id(1795390649, "00000012ab", "mx.example.org", &b), 0);
	check_text(&b, "Message-ID: <1795390649.00000012ab@mx.example.org>\r\n");
	assert_int_equal(submission_message_id(1, "a", "x y", &b), 0);
	check_text(&b, "Message-ID: <1.a@localhost>\r\n");
	assert_int_equal(submission_message_id(1, "a", "", &b), 0);
	check_text(&b, "Message-ID: <1.a@localhost>\r\n");
	assert_int_equal(submission_date((time_t)INT64_MAX, &b), -1);
	buf_free(&b);
	buf_init(&b, 16);
	assert_int_equal(submission_date(0, &b), -1);
	assert_int_equal(submission_message_id(0, "a", "b", &b), -1);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bcc),
	    cmocka_unit_test(test_added_fields),
	};

	return cmocka_run_group_tests_name("submission", tests, NULL, NULL);
}
