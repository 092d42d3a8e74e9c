/* SPDX-License-Identifier: ISC */
/* Reports and trace fields made of hostile strings: no line too long, no part or field too many. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/dsn.h"
#include "lib/mail/received.h"

#define NSTRINGS 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the input at each 0xfe into strings; the last takes the rest. */
static void
split(char *copy, const char *strings[NSTRINGS])
{
	size_t i;

	for (i = 0; i < NSTRINGS; i++) {
		char *cut = strchr(copy, '\xfe');

		strings[i] = copy;
		if (cut == NULL)
			copy += strlen(copy);
		else {
			*cut = '\0';
			copy = cut + 1;
		}
	}
}

static void
check_lines(const struct buf *b)
{
	const char *p = (const char *)buf_head(b), *end = p + b->len, *cr;

	while (p < end) {
		cr = memchr(p, '\r', (size_t)(end - p));
		if (cr == NULL || cr + 1 >= end || cr[1] != '\n' || cr - p > 998)
			abort();
		if (memchr(p, '\n', (size_t)(cr - p)) != NULL || memchr(p, '\0', (size_t)(cr - p)))
			abort();
		p = cr + 2;
	}
}

static size_t
count(const struct buf *b, const char *what)
{
	const uint8_t *p = buf_head(b), *end = p + b->len;
	size_t n = 0;

	while ((p = memmem(p, (size_t)(end - p), what, strlen(what))) != NULL) {
		p++;
		n++;
	}
	return n;
}

static void
try_dsn(const char *s[NSTRINGS], const uint8_t *data, size_t size)
{
	struct dsn_recipient r = {
	    .original = s[0],
	    .final = s[1],
	    .orcpt = s[2],
	    .status = s[3],
	    .diagnostic = s[4],
	    .remote_mta = s[5],
	    .action = (enum dsn_action)(size % 5),
	};
	struct dsn d = {
	    .kind = (enum dsn_kind)(size % 3),
	    .sender = s[6],
	    .from_mailer = s[7],
	    .envid = s[8],
	    .reporting_mta = "mx.example.org",
	    .boundary = "Bound",
	    .recipients = &r,
	    .nrecipients = 1,
	    .headers = {data, size},
	};
	struct buf b;

	buf_init(&b, 1 << 20);
	if (dsn_format(&d, &b) == -1)
		abort();
	check_lines(&b);
	if (count(&b, "\r\n--Bound") != (size == 0 ? 3 : 4))
		abort();
	buf_free(&b);
}

static void
try_received(const char *s[NSTRINGS])
{
	struct received r = {
	    .helo = s[0],
	    .client_name = s[1],
	    .client_addr = s[2],
	    .by_host = s[3],
	    .protocol = s[4],
	    .tls_comment = s[5],
	    .id = s[6],
	    .for_addr = s[7],
	    .smtputf8 = true,
	};
	struct buf b;
	size_t lines;

	buf_init(&b, 1 << 16);
	if (received_format(&r, &b) == -1)
		abort();
	check_lines(&b);
	/* One field: each line but the last is followed by a folded one. */
	lines = count(&b, "\r\n");
	if (count(&b, "\r\n\t") != lines - 1)
		abort();
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *strings[NSTRINGS];
	char *copy = malloc(size + 1);

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	split(copy, strings);
	try_dsn(strings, data, size);
	try_received(strings);
	free(copy);
	return 0;
}
