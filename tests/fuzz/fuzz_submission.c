/* SPDX-License-Identifier: ISC */
/*
 * Bcc removal against a plain reading, a line at a time, however the input is cut;
 * and the header scanner still ends the header where it did.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The octets of the line at data, its LF included. */
static size_t
line_len(const uint8_t *data, size_t size)
{
	const uint8_t *lf = memchr(data, '\n', size);

	return lf != NULL ? (size_t)(lf - data) + 1 : size;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Where the name of the field at data ends, spaces and all: at its colon.  0: no field. */
static size_t
name_len(const uint8_t *data, size_t size, size_t *letters)
{
	size_t n = 0;

	while (n < size && data[n] > ' ' && data[n] < 0x7f && data[n] != ':')
		n++;
	*letters = n;
	while (n > 0 && n < size && is_blank(data[n]))
		n++;
	return n < size && data[n] == ':' ? n : 0;
}

static bool
is_bcc(const uint8_t *data, size_t letters, size_t whole)
{
	if (whole > BCC_HELD_MAX)
		return false;
	return (letters == 3 && str_starts_nocase((const char *)data, "bcc")) ||
	       (letters == 10 && str_starts_nocase((const char *)data, "resent-bcc"));
}

/* data ends with a NUL that size does not count. */
static size_t
strip_plainly(const uint8_t *data, size_t size, uint8_t *out)
{
	size_t at = 0, nout = 0, n, letters, whole;
	bool gone = false;

	while (at < size) {
		n = line_len(data + at, size - at);
		if (at == 0 || !is_blank(data[at])) {
			whole = name_len(data + at, size - at, &letters);
			if (whole == 0)
				break;
			gone = is_bcc(data + at, letters, whole);
		}
		if (!gone) {
			memcpy(out + nout, data + at, n);
			nout += n;
		}
		at += n;
	}
	memcpy(out + nout, data + at, size - at);
	return nout + size - at;
}

/* step 0: all at once; else pieces of 1 to step octets, chosen by the input itself. */
static size_t
strip_by_machine(const uint8_t *data, size_t size, size_t step, uint8_t *out)
{
	size_t at = 0, n, nout, total = 0;
	uint8_t *piece, *room;
	struct bcc_strip s;

	bcc_strip_init(&s);
	while (at < size) {
		n = step == 0 ? size : 1 + data[at] % step;
		if (n > size - at)
			n = size - at;
		if ((piece = malloc(n)) == NULL || (room = malloc(n + BCC_HELD_MAX)) == NULL)
			abort();
		memcpy(piece, data + at, n);
		bcc_strip_feed(&s, piece, n, room, &nout);
		memcpy(out + total, room, nout);
		total += nout;
		at += n;
		free(piece);
		free(room);
	}
	bcc_strip_end(&s, out + total, &nout);
	total += nout;
	if (s.found != (total != size))
		abort();
	return total;
}

/* What follows the header, empty line first, is the same before and after. */
static void
check_body(const uint8_t *in, size_t nin, const uint8_t *out, size_t nout)
{
	struct header_scan before, after;

	header_scan_init(&before, NULL);
	header_scan_feed(&before, in, nin);
	header_scan_end(&before);
	header_scan_init(&after, NULL);
	header_scan_feed(&after, out, nout);
	header_scan_end(&after);
	if (nin - before.size != nout - after.size ||
	    memcmp(in + before.size, out + after.size, nout - after.size) != 0)
		abort();
	if (before.has_date != after.has_date || before.received != after.received)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {0, 1, 5, 64};
	uint8_t *copy = malloc(size + 1), *want = malloc(size + BCC_HELD_MAX);
	uint8_t *got = malloc(size + BCC_HELD_MAX);
	size_t i, nwant;

	if (copy == NULL || want == NULL || got == NULL)
		abort();
	memcpy(copy, data, size);
	copy[size] = '\0';
	nwant = strip_plainly(copy, size, want);
	for (i = 0; i < NITEMS(steps); i++)
		if (strip_by_machine(copy, size, steps[i], got) != nwant ||
		    memcmp(got, want, nwant) != 0)
			abort();
	check_body(copy, size, want, nwant);
	free(copy);
	free(want);
	free(got);
	return 0;
}
