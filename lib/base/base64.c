/* SPDX-License-Identifier: ISC */
/*
 * Base64, strictly.
 *
 * Invariants: no octet past text[len - 1] is read, none past dst[size - 1]
 * written; what decodes, encodes to the same text.
 */
#include "lib/base/base64.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
base64_encode(const void *data, size_t len, char *dst)
{
	const uint8_t *p = data;
	char *out = dst;

	for (; len >= 3; p += 3, len -= 3) {
		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 0x03U) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 0x0fU) << 2 | p[2] >> 6];
		*out++ = digits[p[2] & 0x3fU];
	}
	if (len > 0) {
		unsigned int second = len == 2 ? p[1] : 0;

		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 0x03U) << 4 | second >> 4];
		*out++ = len == 2 ? digits[(second & 0x0fU) << 2] : '=';
		*out++ = '=';
	}
	*out = '\0';
	return (size_t)(out - dst);
}

/* -1: no digit. */
static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The n digits of a group, 2 to 4, as its 24 bits; -1: one is none. */
static int
group_bits(const char *text, size_t n, uint32_t *bits)
{
	size_t i;
	int value;

	*bits = 0;
	for (i = 0; i < n; i++) {
		if ((value = digit_value(text[i])) == -1)
			return -1;
		*bits |= (uint32_t)value << (18 - 6 * i);
	}
	return 0;
}

/* Characters of padding at the end: 0 to 2. */
static size_t
padding(const char *text, size_t len)
{
	if (len == 0 || text[len - 1] != '=')
		return 0;
	return text[len - 2] == '=' ? 2 : 1;
}

int
base64_decode(const char *text, size_t len, uint8_t *dst, size_t size, size_t *out_len)
{
	size_t pad, octets, at = 0, i, n, j;
	uint32_t bits;

	*out_len = 0;
	if (len % 4 != 0) {
		errno = EINVAL;
		return -1;
	}
	pad = padding(text, len);
	octets = len / 4 * 3 - pad;
	if (octets > size) {
		errno = ENOBUFS;
		return -1;
	}
	for (i = 0; i < len; i += 4) {
		n = i + 4 == len ? 3 - pad : 3;
		/* Bits that no octet takes are zero, or two texts would mean the same. */
		if (group_bits(text + i, n + 1, &bits) == -1 || (bits & 0xffffffU >> 8 * n) != 0) {
			explicit_bzero(dst, at);
			errno = EINVAL;
			return -1;
		}
		for (j = 0; j < n; j++)
			dst[at++] = (uint8_t)(bits >> (16 - 8 * j));
	}
	*out_len = octets;
	return 0;
}
