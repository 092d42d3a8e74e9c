/* SPDX-License-Identifier: ISC */
/* Another server's replies, line by line: bounded, and printable whatever came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_printable(const char *s, size_t size)
{
	size_t n;

	for (n = 0; n < size && s[n] != '\0'; n++)
		if (s[n] < ' ' || s[n] == 0x7f)
			abort();
	if (n == size)
		abort();
}

static void
feed_line(struct reply *r, const uint8_t *data, size_t len)
{
	struct reply_keyword k;
	char *line = malloc(len == 0 ? 1 : len);

	if (line == NULL)
		return;
	memcpy(line, data, len);
	if (reply_line_keyword(line, len, &k)) {
		check_printable(k.word, sizeof(k.word));
		check_printable(k.args, sizeof(k.args));
	}
	if (reply_feed_line(r, line, len) != REPLY_BROKEN && (r->code < 200 || r->code > 599))
		abort();
	check_printable(r->text, sizeof(r->text));
	check_printable(r->enhanced, sizeof(r->enhanced));
	if (r->lines > REPLY_LINES_MAX || r->octets > REPLY_OCTETS_MAX)
		abort();
	if (r->done)
		reply_reset(r);
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *lf;
	struct reply r;

	reply_reset(&r);
	for (; data < end; data = lf + 1) {
		if ((lf = memchr(data, '\n', (size_t)(end - data))) == NULL)
			lf = end - 1;
		feed_line(&r, data, (size_t)(lf - data));
	}
	return 0;
}
