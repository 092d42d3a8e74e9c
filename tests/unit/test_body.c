/* SPDX-License-Identifier: ISC */
/*
 * The end of DATA: fourteen sequences that some server somewhere has taken for
 * it, each fed whole, octet by octet and cut in two at every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/bug.h"
#include "session/body.h"

#define TEXT_MAX 512

struct text {
	const char *data;
	size_t len;
};
#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

struct run {
	struct body body;
	uint8_t out[TEXT_MAX];
	size_t nout, taken;
};

static void
run_feed(struct run *r, const char *in, size_t n)
{
	size_t nout, taken, room = BODY_OUT_MAX(n, r->body.accept);
	uint8_t *out;

	if (n == 0 || r->body.done)
		return;
	out = malloc(room); /* no larger than the contract, so that one octet too many is seen */
	assert_non_null(out);
	taken = body_feed(&r->body, (const uint8_t *)in, n, out, &nout);
	assert_true(taken <= n && nout <= room);
	assert_true(taken == n || r->body.done);
	assert_true(r->nout + nout <= sizeof(r->out));
	memcpy(r->out + r->nout, out, nout);
	free(out);
	r->nout += nout;
	r->taken += taken;
}

/* -- what the machine must say about one input, however it is cut -- */

struct expect {
	struct text in, out;
	unsigned faults;
	size_t taken; /* 0: all */
	bool done;
};

static void
run_check(const struct run *r, const struct expect *e)
{
	assert_int_equal(r->body.done, e->done);
	assert_int_equal(r->body.faults, e->faults);
	assert_int_equal(r->taken, e->taken != 0 ? e->taken : e->in.len);
	if (e->faults != 0)
		return;
	assert_int_equal(r->nout, e->out.len);
	assert_memory_equal(r->out, e->out.data, e->out.len);
	assert_int_equal(r->body.bytes, e->out.len);
}

static void
check_all_cuts(const struct expect *e, size_t max_line, uint64_t max_bytes, unsigned accept)
{
	struct run r;
	size_t cut, i;

	for (cut = 0; cut <= e->in.len; cut++) {
		memset(&r, 0, sizeof(r));
		body_init(&r.body, max_line, max_bytes, accept);
		run_feed(&r, e->in.data, cut);
		run_feed(&r, e->in.data + cut, e->in.len - cut);
		run_check(&r, e);
	}
	memset(&r, 0, sizeof(r));
	body_init(&r.body, max_line, max_bytes, accept);
	for (i = 0; i < e->in.len; i++)
		run_feed(&r, e->in.data + i, 1);
	run_check(&r, e);
}

/* The real end follows each: nothing before it may end the message. */
#define SMUGGLE(seq) TEXT("text" seq "MAIL FROM:<a@b>\r\n.\r\n")

static const struct expect sequences[] = {
    {SMUGGLE("\n.\n"), {NULL, 0}, BODY_BARE_LF, 0, true},
    {SMUGGLE("\n.\r\n"), {NULL, 0}, BODY_BARE_LF, 0, true},
    {SMUGGLE("\r\n.\n"), {NULL, 0}, BODY_BARE_LF, 0, true},
    {SMUGGLE("\r.\r"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r.\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\n.\r"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r.\n"), {NULL, 0}, BODY_BARE_CR | BODY_BARE_LF, 0, true},
    {SMUGGLE("\n.\r"), {NULL, 0}, BODY_BARE_CR | BODY_BARE_LF, 0, true},
    {SMUGGLE("\r\n\0.\r\n"), {NULL, 0}, BODY_NUL, 0, true},
    {SMUGGLE("\r\n.\0\r\n"), {NULL, 0}, BODY_NUL, 0, true},
    {SMUGGLE("\r\n.\r\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\r\n.\r\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\n. \r\n"), TEXT("text\r\n \r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {SMUGGLE("\r\n..\r\n"), TEXT("text\r\n.\r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
};

static void
test_fourteen_sequences(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(NITEMS(sequences), 14);
	for (i = 0; i < NITEMS(sequences); i++) {
		print_message("sequence %zu\n", i + 1);
		check_all_cuts(&sequences[i], BODY_LINE_MAX, 0, 0);
	}
}

/* The same where bare LFs are changed into CRLF: they still end nothing. */
static const struct expect normalized[] = {
    {SMUGGLE("\n.\n"), TEXT("text\r\n.\r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {SMUGGLE("\n.\r\n"), TEXT("text\r\n.\r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {SMUGGLE("\r\n.\n"), TEXT("text\r\n\r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {SMUGGLE("\r.\r"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r.\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\n.\r"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r.\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\n.\r"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\n\0.\r\n"), {NULL, 0}, BODY_NUL, 0, true},
    {SMUGGLE("\r\n.\0\r\n"), {NULL, 0}, BODY_NUL, 0, true},
    {SMUGGLE("\r\n.\r\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\r\n.\r\r\n"), {NULL, 0}, BODY_BARE_CR, 0, true},
    {SMUGGLE("\r\n. \r\n"), TEXT("text\r\n \r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {SMUGGLE("\r\n..\r\n"), TEXT("text\r\n.\r\nMAIL FROM:<a@b>\r\n"), 0, 0, true},
    {TEXT("\n.\r\n.\r\n"), TEXT("\r\n.\r\n"), 0, 0, true},
    {TEXT("a\n..b\n\n.\r\n"), TEXT("a\r\n..b\r\n\r\n.\r\n"), 0, 0, false},
    {TEXT("\n\r\n\n\n.\r\n.\r\nx\n"), TEXT("\r\n\r\n\r\n\r\n.\r\n"), 0, 11, true},
    {TEXT("..\n.\r\n..a\n.\r\n.\r\n"), TEXT(".\r\n.\r\n.a\r\n.\r\n"), 0, 0, true},
};

static void
test_normalized(void **state)
{
	static const struct expect lines = {TEXT("12345678\n12345678\r\n1234567\n"),
	    TEXT("12345678\r\n12345678\r\n1234567\r\n"), 0, 0, false};
	static const struct expect longer = {
	    TEXT("123456789\n.\r\n"), {NULL, 0}, BODY_LINE_TOO_LONG, 0, false};
	static const struct expect bigger = {TEXT("a\nb\n"), {NULL, 0}, BODY_TOO_BIG, 0, false};
	static const struct expect chunks = {
	    TEXT("a\n.\r\n.\n\r\n..\nb"), TEXT("a\r\n.\r\n.\r\n\r\n..\r\nb"), 0, 0, false};
	static const struct expect binary = {TEXT("a\n\r\0"), TEXT("a\n\r\0"), 0, 0, false};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(normalized); i++) {
		print_message("row %zu\n", i);
		check_all_cuts(&normalized[i], BODY_LINE_MAX, 0, BODY_ACCEPT_BARE_LF);
	}
	check_all_cuts(&lines, 10, 29, BODY_ACCEPT_BARE_LF);
	check_all_cuts(&longer, 10, 0, BODY_ACCEPT_BARE_LF);
	check_all_cuts(&bigger, 0, 5, BODY_ACCEPT_BARE_LF);
	check_all_cuts(&chunks, 10, 0, BODY_ACCEPT_BARE_LF | BODY_ACCEPT_CHUNKS);
	check_all_cuts(
	    &binary, 1, 0, BODY_ACCEPT_BARE_LF | BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BINARY);
}

static const struct expect plain[] = {
    {TEXT(".\r\n"), TEXT(""), 0, 0, true},
    {TEXT("a\r\n.\r\nQUIT\r\n"), TEXT("a\r\n"), 0, 6, true},
    {TEXT("a\r\nb\r\n\r\n.\r\n"), TEXT("a\r\nb\r\n\r\n"), 0, 0, true},
    {TEXT("..a\r\n...\r\n.b.\r\n.\r\n"), TEXT(".a\r\n..\r\nb.\r\n"), 0, 0, true},
    {TEXT("a.\r\n.\r\n"), TEXT("a.\r\n"), 0, 0, true},
    {TEXT("a\r\n."), TEXT("a\r\n"), 0, 0, false},
    {TEXT("a\r\n.\r"), TEXT("a\r\n"), 0, 0, false},
    {TEXT("\xff\xfe\x80\r\n.\r\n"), TEXT("\xff\xfe\x80\r\n"), 0, 0, true},
    /* what comes after the end is none of the body's */
    {TEXT("a\r\n.\r\n\0\n\r"), TEXT("a\r\n"), 0, 6, true},
    {TEXT("\r\r\r\n.\r\nx"), {NULL, 0}, BODY_BARE_CR, 7, true},
};

static void
test_plain(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(plain); i++) {
		print_message("row %zu\n", i);
		check_all_cuts(&plain[i], BODY_LINE_MAX, 0, 0);
	}
}

static void
test_limits(void **state)
{
	static const struct expect fits = {
	    TEXT("12345678\r\n.2345678\r\n.\r\n"), TEXT("12345678\r\n2345678\r\n"), 0, 0, true};
	static const struct expect longer = {
	    TEXT("123456789\r\n.\r\n"), {NULL, 0}, BODY_LINE_TOO_LONG, 0, true};
	static const struct expect dotted = {
	    TEXT(".12345678\r\n.\r\n"), {NULL, 0}, BODY_LINE_TOO_LONG, 0, true};
	static const struct expect bigger = {
	    TEXT("12345678\r\n.\r\n"), {NULL, 0}, BODY_TOO_BIG, 0, true};

	(void)state;
	check_all_cuts(&fits, 10, 19, 0);
	check_all_cuts(&longer, 10, 0, 0);
	check_all_cuts(&dotted, 10, 0, 0);
	check_all_cuts(&bigger, 0, 9, 0);
}

static void
test_chunks(void **state)
{
	static const struct expect dots = {
	    TEXT("a\r\n.\r\n..\r\nb"), TEXT("a\r\n.\r\n..\r\nb"), 0, 0, false};
	static const struct expect bare = {
	    TEXT("a\nb\rc\0"), {NULL, 0}, BODY_BARE_LF | BODY_BARE_CR | BODY_NUL, 0, false};
	static const struct expect binary = {
	    TEXT("a\nb\rc\0\r\n.\r\n"), TEXT("a\nb\rc\0\r\n.\r\n"), 0, 0, false};
	static const struct expect nul = {TEXT("a\0\r\n"), {NULL, 0}, BODY_NUL, 0, false};
	static const struct expect longer = {
	    TEXT("abc\r\n"), {NULL, 0}, BODY_LINE_TOO_LONG, 0, false};
	static const struct expect bigger = {TEXT("abc"), {NULL, 0}, BODY_TOO_BIG, 0, false};

	(void)state;
	check_all_cuts(&dots, BODY_LINE_MAX, 0, BODY_ACCEPT_CHUNKS);
	check_all_cuts(&bare, BODY_LINE_MAX, 0, BODY_ACCEPT_CHUNKS);
	check_all_cuts(&binary, 4, 0, BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BINARY);
	check_all_cuts(&nul, 0, 0, BODY_ACCEPT_CHUNKS);
	check_all_cuts(&longer, 4, 0, BODY_ACCEPT_CHUNKS);
	check_all_cuts(&bigger, 4, 2, BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BINARY);
}

/* CR at the end of a chunk: LF may begin the next, but nothing else may, nor may it be the last. */
static void
test_chunk_ends(void **state)
{
	struct body b;
	uint8_t out[8];
	size_t nout;

	(void)state;
	body_init(&b, 0, 0, BODY_ACCEPT_CHUNKS);
	assert_int_equal(body_feed(&b, (const uint8_t *)"a\r", 2, out, &nout), 2);
	assert_int_equal(nout, 2);
	assert_int_equal(body_feed(&b, (const uint8_t *)"\n", 1, out, &nout), 1);
	assert_int_equal(nout, 1);
	body_end_chunks(&b);
	assert_int_equal(b.faults, 0);
	assert_int_equal(b.bytes, 3);

	body_init(&b, 0, 0, BODY_ACCEPT_CHUNKS);
	assert_int_equal(body_feed(&b, (const uint8_t *)"a\r", 2, out, &nout), 2);
	assert_int_equal(body_feed(&b, (const uint8_t *)"b", 1, out, &nout), 1);
	assert_int_equal(b.faults, BODY_BARE_CR);

	body_init(&b, 0, 0, BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BINARY);
	assert_int_equal(body_feed(&b, (const uint8_t *)"a\r", 2, out, &nout), 2);
	body_end_chunks(&b);
	assert_int_equal(b.faults, 0);

	body_init(&b, 0, 0, BODY_ACCEPT_CHUNKS);
	assert_int_equal(body_feed(&b, (const uint8_t *)"a\r", 2, out, &nout), 2);
	assert_int_equal(b.faults, 0);
	body_end_chunks(&b);
	assert_int_equal(b.faults, BODY_BARE_CR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fourteen_sequences),
	    cmocka_unit_test(test_normalized),
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_chunks),
	    cmocka_unit_test(test_chunk_ends),
	};

	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
