/* SPDX-License-Identifier: ISC */
/*
 * Dot-stuffing.  Invariant: whatever comes in, every CR that leaves is
 * followed by LF and every LF follows a CR, and CRLF.CRLF leaves only as the end.
 */
#include "delivery/stuff.h"

#include <string.h>

static const uint8_t *
find(const uint8_t *from, const uint8_t *end, int octet)
{
	const uint8_t *p = memchr(from, octet, (size_t)(end - from));

	return p == NULL ? end : p;
}

size_t
stuff_feed(struct stuff *s, const uint8_t *in, size_t n, uint8_t *out)
{
	const uint8_t *end = in + n, *lf = in, *stop;
	uint8_t *p = out;

	if (n > 0)
		lf = find(in, end, '\n');
	while (in < end) {
		if (s->at == STUFF_CR) {
			*p++ = '\n';
			s->at = STUFF_START;
			in += *in == '\n';
			continue;
		}
		if (lf < in)
			lf = find(in, end, '\n');
		stop = find(in, lf, '\r');
		if (s->at == STUFF_START && *in == '.' && !s->keeps_dots)
			*p++ = '.';
		if (stop > in)
			s->at = STUFF_MIDDLE;
		memcpy(p, in, (size_t)(stop - in));
		p += stop - in;
		in = stop;
		if (in == end)
			break;
		*p++ = '\r';
		s->at = STUFF_CR;
		in += *in == '\r'; /* a bare LF is looked at again, as the LF of this CR */
	}
	return (size_t)(p - out);
}

size_t
stuff_end(struct stuff *s, uint8_t out[STUFF_END_ROOM])
{
	static const char *const ends[] = {
	    [STUFF_START] = ".\r\n", [STUFF_MIDDLE] = "\r\n.\r\n", [STUFF_CR] = "\n.\r\n"};
	const char *text = ends[s->at];
	size_t n = strlen(text) - (s->keeps_dots ? 3 : 0);

	memcpy(out, text, n);
	s->at = STUFF_START;
	return n;
}
