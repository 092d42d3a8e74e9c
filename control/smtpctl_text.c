/* SPDX-License-Identifier: ISC */
/*
 * Text on its way to a terminal.
 *
 * Invariant: of what a stranger wrote, only printable characters leave here
 * as they are.
 */
#include "control/smtpctl_text.h"

#include <stdarg.h>
#include <string.h>

#include "lib/base/log.h"

/* What the first octet of a character says: its length, its bits, the smallest value it may code. */
struct utf8_lead {
	uint8_t mask, want, length;
	uint32_t least;
};

static const struct utf8_lead leads[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static const struct utf8_lead *
lead_of(uint8_t octet)
{
	size_t i;

	for (i = 0; i < NITEMS(leads); i++)
		if ((octet & leads[i].mask) == leads[i].want)
			return &leads[i];
	return NULL;
}

size_t
utf8_decode(const uint8_t *p, size_t left, uint32_t *character)
{
	const struct utf8_lead *lead;
	uint32_t c;
	size_t i;

	if (left == 0 || (lead = lead_of(p[0])) == NULL || left < lead->length)
		return 0;
	c = p[0] & (uint8_t)~lead->mask;
	for (i = 1; i < lead->length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (c < lead->least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*character = c;
	return lead->length;
}

size_t
utf8_unfinished(const uint8_t *p, size_t len)
{
	size_t back;

	for (back = 1; back <= 3 && back <= len; back++) {
		uint8_t octet = p[len - back];
		const struct utf8_lead *lead = lead_of(octet);

		if ((octet & 0xc0) == 0x80)
			continue;
		return lead != NULL && lead->length > back ? back : 0;
	}
	return 0;
}

/* Neither a control character, nor one that changes the order in which others are shown. */
static bool
is_printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	if (c == 0x061c || c == 0x200e || c == 0x200f || c == 0xfeff)
		return false;
	return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

void
text_print(FILE *out, const void *text, size_t len, bool keep_lines)
{
	const uint8_t *p = text;
	uint32_t c = 0;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = utf8_decode(p, len, &c);
		if (keep_lines && n == 1 && c == '\r' && len > 1 && p[1] == '\n')
			continue;
		if (n > 0 && (is_printable(c) || (keep_lines && (c == '\n' || c == '\t')))) {
			(void)fwrite(p, 1, n, out);
			continue;
		}
		n = 1;
		(void)fprintf(out, "\\x%02x", *p);
	}
}

void
text_print_str(FILE *out, const char *text)
{
	text_print(out, text, strlen(text), false);
}

void
text_complain(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fputs("smtpctl: ", stderr);
	text_print_str(stderr, line);
	(void)fputc('\n', stderr);
}

void
text_size(char dst[TEXT_SIZE_MAX], uint64_t octets)
{
	static const char units[] = "KMGTPE";
	double v = (double)octets / 1024;
	size_t unit = 0;

	if (octets < 1024) {
		(void)snprintf(dst, TEXT_SIZE_MAX, "%uB", (unsigned int)octets);
		return;
	}
	while (v >= 1023.5 && units[unit + 1] != '\0') {
		v /= 1024;
		unit++;
	}
	(void)snprintf(dst, TEXT_SIZE_MAX, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

static void
put(char *dst, size_t size, size_t *at, char c)
{
	if (*at + 1 < size)
		dst[(*at)++] = c;
}

bool
text_pair_next(const char **line, struct text_pair *out)
{
	const char *p = *line + strspn(*line, " ");
	size_t nkey = 0, nvalue = 0;
	bool quoted;

	if (*p == '\0')
		return false;
	for (; *p != '\0' && strchr("=< ", *p) == NULL; p++)
		put(out->key, sizeof(out->key), &nkey, *p);
	if (*p == '=')
		p++;
	if ((quoted = *p == '"'))
		p++;
	for (; *p != '\0' && *p != (quoted ? '"' : ' '); p++) {
		if (quoted && p[0] == '\\' && p[1] != '\0')
			p++;
		put(out->value, sizeof(out->value), &nvalue, *p);
	}
	if (quoted && *p == '"')
		p++;
	out->key[nkey] = '\0';
	out->value[nvalue] = '\0';
	*line = p;
	return true;
}
