/* SPDX-License-Identifier: ISC */
/*
 * The machine for DATA and BDAT against a plain reading of the rules, one octet at
 * a time: the end, the faults and the text must be the same however the input is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "session/body.h"

#define LINE_CAP  40
#define BYTES_CAP 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	uint8_t *out;
	size_t nout, taken;
	unsigned faults;
	bool done;
};

/* Where CRLF.CRLF first ends in data, the line before DATA's own included; 0: nowhere. */
static size_t
real_end(const uint8_t *data, size_t size)
{
	static const uint8_t mark[] = "\r\n.\r\n";
	const uint8_t *p;

	if (size >= 3 && memcmp(data, mark + 2, 3) == 0)
		return 3;
	p = memmem(data, size, mark, 5);
	return p != NULL ? (size_t)(p - data) + 5 : 0;
}

/* An LF with no CR before it. */
static bool
is_bare_lf(const uint8_t *data, size_t i)
{
	return data[i] == '\n' && (i == 0 || data[i - 1] != '\r');
}

static unsigned
line_faults(const uint8_t *data, size_t n, unsigned accept)
{
	bool change = (accept & BODY_ACCEPT_BARE_LF) != 0;
	unsigned faults = 0;
	size_t i, line = 0;

	for (i = 0; i < n; i++) {
		bool cr_before = i > 0 && data[i - 1] == '\r', bare = is_bare_lf(data, i);

		if (data[i] == '\0')
			faults |= BODY_NUL;
		if (bare && !change)
			faults |= BODY_BARE_LF;
		if (cr_before && data[i] != '\n')
			faults |= BODY_BARE_CR;
		line += bare && change ? 2 : 1;
		if (line > LINE_CAP)
			faults |= BODY_LINE_TOO_LONG;
		if (data[i] == '\n' && (cr_before || change))
			line = 0;
	}
	return faults;
}

static void
read_plainly(struct outcome *o, const uint8_t *data, size_t size, unsigned accept)
{
	bool chunks = (accept & BODY_ACCEPT_CHUNKS) != 0,
	     binary = (accept & BODY_ACCEPT_BINARY) != 0;
	size_t end = chunks ? 0 : real_end(data, size), text, i;

	o->done = end != 0;
	o->taken = o->done ? end : size;
	text = o->done ? end - 3 : size;
	for (i = 0; i < text; i++) {
		bool start = i == 0 || (i >= 2 && data[i - 1] == '\n' && data[i - 2] == '\r');

		/* A dot, or a dot and a CR, with nothing after them yet are held back. */
		if (start && data[i] == '.' && !chunks) {
			if (i + 2 == text && data[i + 1] == '\r')
				break;
			continue;
		}
		if (!binary && (accept & BODY_ACCEPT_BARE_LF) != 0 && is_bare_lf(data, i))
			o->out[o->nout++] = '\r';
		o->out[o->nout++] = data[i];
	}
	o->faults = binary ? 0 : line_faults(data, o->taken, accept);
	if (chunks && !binary && size > 0 && data[size - 1] == '\r')
		o->faults |= BODY_BARE_CR;
	if (o->nout > BYTES_CAP)
		o->faults |= BODY_TOO_BIG;
}

/* step 0: all at once; else pieces of 1 to step octets, chosen by the input itself. */
static void
read_by_machine(struct outcome *o, const uint8_t *data, size_t size, size_t step, unsigned accept)
{
	uint8_t *piece, *out;
	struct body b;
	size_t n, nout;

	body_init(&b, LINE_CAP, BYTES_CAP, accept);
	while (o->taken < size && !b.done) {
		n = step == 0 ? size : 1 + data[o->taken] % step;
		if (n > size - o->taken)
			n = size - o->taken;
		/* exact copies, so that a step past either end is seen */
		if ((piece = malloc(n)) == NULL || (out = malloc(BODY_OUT_MAX(n, accept))) == NULL)
			abort();
		memcpy(piece, data + o->taken, n);
		o->taken += body_feed(&b, piece, n, out, &nout);
		if (b.faults != 0 && nout != 0)
			abort();
		memcpy(o->out + o->nout, out, nout);
		o->nout += nout;
		free(piece);
		free(out);
	}
	if ((accept & BODY_ACCEPT_CHUNKS) != 0)
		body_end_chunks(&b);
	o->faults = b.faults;
	o->done = b.done;
	if (b.faults == 0 && b.bytes != o->nout)
		abort();
}

static void
compare(const struct outcome *want, const struct outcome *got)
{
	if (want->done != got->done || want->taken != got->taken)
		abort();
	/* Once there is a fault, sizes mean nothing: what was held back may differ. */
	if ((want->faults & ~(unsigned)BODY_TOO_BIG) != (got->faults & ~(unsigned)BODY_TOO_BIG))
		abort();
	if (want->faults == 0 && got->faults != 0)
		abort();
	if (want->faults == 0 &&
	    (want->nout != got->nout || memcmp(want->out, got->out, got->nout) != 0))
		abort();
}

static void
try_mode(const uint8_t *data, size_t size, unsigned accept)
{
	static const size_t steps[] = {0, 1, 7, 64};
	struct outcome want = {.out = malloc(BODY_OUT_MAX(size, accept))};
	size_t i;

	if (want.out == NULL)
		return;
	read_plainly(&want, data, size, accept);
	for (i = 0; i < NITEMS(steps); i++) {
		struct outcome got = {.out = malloc(BODY_OUT_MAX(size, accept))};

		if (got.out == NULL)
			break;
		read_by_machine(&got, data, size, steps[i], accept);
		compare(&want, &got);
		free(got.out);
	}
	free(want.out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_mode(data, size, 0);
	try_mode(data, size, BODY_ACCEPT_BARE_LF);
	try_mode(data, size, BODY_ACCEPT_CHUNKS);
	try_mode(data, size, BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BARE_LF);
	try_mode(data, size, BODY_ACCEPT_CHUNKS | BODY_ACCEPT_BINARY);
	return 0;
}
