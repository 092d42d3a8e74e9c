/* SPDX-License-Identifier: ISC */
/*
 * The octets of a message between DATA and its end.
 *
 * Invariant: only CRLF.CRLF sets done (the first CRLF may be the one that ended
 * the DATA command); a bare CR or LF never begins a line, not even where it is
 * changed into CRLF; and the result is the same however the octets were cut into
 * pieces.  Ordinary text is looked at by memchr() and copied in runs of many
 * lines.  Nothing is fatal.
 */
#include "session/body.h"

#include <string.h>

enum state {
	AT_LINE_START,
	IN_LINE,
	IN_CR,	   /* after a CR, which is part of the text already */
	IN_DOT,	   /* after a dot that began a line and was dropped */
	IN_DOT_CR, /* after that dot and a CR, held back: the end or a fault */
};

void
body_init(struct body *b, size_t max_line, uint64_t max_bytes, unsigned accept)
{
	*b = (struct body){.max_line = max_line, .max_bytes = max_bytes, .accept = accept};
	b->state = AT_LINE_START;
}

static void
line_grow(struct body *b, size_t n)
{
	b->line += n;
	if (b->max_line != 0 && b->line > b->max_line)
		b->faults |= BODY_LINE_TOO_LONG;
}

static void
line_end(struct body *b)
{
	b->line = 0;
	b->state = AT_LINE_START;
}

/* The octet after a CR: an LF belongs to it, anything else makes it bare. */
static size_t
after_cr(struct body *b, uint8_t c)
{
	if (c == '\n') {
		line_grow(b, 1);
		line_end(b);
		return 1;
	}
	b->faults |= BODY_BARE_CR;
	b->state = IN_LINE;
	return 0;
}

/* The octet after a dropped dot; one that doesn't make the end is read again as text. */
static size_t
after_dot(struct body *b, uint8_t c)
{
	if (b->state == IN_DOT && c == '\r') {
		line_grow(b, 1);
		b->state = IN_DOT_CR;
		return 1;
	}
	if (b->state == IN_DOT_CR && c == '\n') {
		b->done = true;
		return 1;
	}
	if (b->state == IN_DOT_CR)
		b->faults |= BODY_BARE_CR;
	b->state = IN_LINE;
	return 0;
}

/* Octets before the next CR or, where it is to be changed, LF: all if there is none. */
static size_t
plain_len(const struct body *b, const uint8_t *in, size_t n)
{
	const uint8_t *cr;
	size_t len = 0;

	if ((b->accept & BODY_ACCEPT_BARE_LF) != 0) {
		while (len < n && in[len] != '\r' && in[len] != '\n')
			len++;
		return len;
	}
	cr = memchr(in, '\r', n);
	return cr != NULL ? (size_t)(cr - in) : n;
}

/* The rest of a line with its CRLF, its CR if that is the last octet, or all there is of it. */
static size_t
line_rest(struct body *b, const uint8_t *in, size_t n)
{
	size_t len = plain_len(b, in, n);

	if (memchr(in, '\n', len) != NULL)
		b->faults |= BODY_BARE_LF;
	if (len == n || in[len] != '\r') {
		line_grow(b, len);
		b->state = IN_LINE;
		return len;
	}
	len++;
	line_grow(b, len);
	b->state = IN_CR;
	if (len < n)
		len += after_cr(b, in[len]);
	return len;
}

/* Whether text stops here: at a dot that begins a line, or a bare LF to be changed. */
static bool
is_stop(const struct body *b, uint8_t c)
{
	if (c == '.')
		return b->state == AT_LINE_START && (b->accept & BODY_ACCEPT_CHUNKS) == 0;
	return c == '\n' && (b->accept & BODY_ACCEPT_BARE_LF) != 0;
}

/* How many octets are text just as they stand: all, or up to a stop. */
static size_t
text_run(struct body *b, const uint8_t *in, size_t n)
{
	size_t at = 0;

	while (at < n) {
		if (b->state == IN_CR)
			at += after_cr(b, in[at]);
		else if (is_stop(b, in[at]))
			break;
		else
			at += line_rest(b, in + at, n - at);
	}
	return at;
}

static void
take_text(struct body *b, const uint8_t *in, size_t n, uint8_t *out, size_t *nout)
{
	b->bytes += n;
	if (b->max_bytes != 0 && b->bytes > b->max_bytes)
		b->faults |= BODY_TOO_BIG;
	if (b->faults != 0 || n == 0)
		return;
	memcpy(out + *nout, in, n);
	*nout += n;
}

/* At what stopped the text. */
static void
take_stop(struct body *b, uint8_t c, uint8_t *out, size_t *nout)
{
	if (c == '.') {
		b->state = IN_DOT;
		line_grow(b, 1);
		return;
	}
	line_grow(b, 2);
	take_text(b, (const uint8_t *)"\r\n", 2, out, nout);
	b->line = 0;
	b->state = IN_LINE; /* not AT_LINE_START: see body.h */
}

size_t
body_feed(struct body *b, const uint8_t *in, size_t n, uint8_t *out, size_t *nout)
{
	bool binary = (b->accept & BODY_ACCEPT_BINARY) != 0;
	size_t at = 0, len;

	*nout = 0;
	while (at < n && !b->done) {
		if (b->state == IN_DOT || b->state == IN_DOT_CR) {
			at += after_dot(b, in[at]);
			continue;
		}
		len = binary ? n : text_run(b, in + at, n - at);
		take_text(b, in + at, len, out, nout);
		at += len;
		if (at < n)
			take_stop(b, in[at++], out, nout);
	}
	if (!binary && at > 0 && memchr(in, '\0', at) != NULL)
		b->faults |= BODY_NUL;
	if (b->faults != 0)
		*nout = 0;
	return at;
}

void
body_end_chunks(struct body *b)
{
	if (b->state == IN_CR)
		b->faults |= BODY_BARE_CR;
}
