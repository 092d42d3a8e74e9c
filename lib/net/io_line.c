/* SPDX-License-Identifier: ISC */
/*
 * Lines out of a stream's input.
 *
 * Invariant: CRLF ends a line and nothing else does (RFC 5321 2.3.8); no octet
 * is looked at twice, however slowly a line arrives.
 */
#include <string.h>

#include "lib/net/io_private.h"

void
io_consume(struct io *io, size_t n)
{
	buf_consume(&io->in, n);
	io->scanned = 0;
}

int
io_line(struct io *io, size_t max, const char **line, size_t *len)
{
	const uint8_t *start = buf_head(&io->in), *lf;
	size_t from = io->scanned, limit = io->in.len < max ? io->in.len : max;

	if (from > limit)
		from = limit;
	while (from < limit && (lf = memchr(start + from, '\n', limit - from)) != NULL) {
		size_t at = (size_t)(lf - start);

		if (at > 0 && start[at - 1] == '\r') {
			*line = (const char *)start;
			*len = at - 1;
			io->line_len = at + 1;
			return 1;
		}
		from = at + 1;
	}
	io->scanned = limit;
	return io->in.len >= max ? -1 : 0;
}

void
io_line_done(struct io *io)
{
	buf_consume(&io->in, io->line_len);
	io->line_len = io->scanned = 0;
}
