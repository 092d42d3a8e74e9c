/* SPDX-License-Identifier: ISC */
/*
 * Values of ESMTP parameters that are written as xtext.
 *
 * Invariant: what comes out is printable ASCII or well-formed UTF-8, however it
 * was written.  Nothing is fatal.
 */
#include "session/xtext.h"

#include <stddef.h>
#include <string.h>

#include "lib/mail/address.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F') /* RFC 3461 4: upper case only */
		return c - 'A' + 10;
	return -1;
}

/* One xtext character as the octet it means; 0 when it is none, or not printable. */
static char
xtext_char(const char **p)
{
	const char *s = *p;
	int high, low, c;

	if (*s != '+') {
		*p = s + 1;
		return *s > ' ' && *s < 0x7f && *s != '=' ? *s : '\0';
	}
	if ((high = hex_value(s[1])) == -1 || (low = hex_value(s[2])) == -1)
		return '\0';
	c = high * 16 + low;
	*p = s + 3;
	return c >= ' ' && c < 0x7f ? (char)c : '\0';
}

int
xtext_decode(char *dst, const char *src, bool utf8)
{
	size_t n;

	while (*src != '\0') {
		if (((unsigned char)*src & 0x80) == 0) {
			if ((*dst = xtext_char(&src)) == '\0')
				return -1;
			dst++;
			continue;
		}
		if (!utf8 || (n = address_utf8_len(src)) == 0)
			return -1;
		memcpy(dst, src, n);
		dst += n;
		src += n;
	}
	*dst = '\0';
	return 0;
}
