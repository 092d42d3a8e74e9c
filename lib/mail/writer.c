/* SPDX-License-Identifier: ISC */
/*
 * Writing for people and programs what others had a say in.
 *
 * Invariant: what the clean functions return has no CR, LF or other control
 * octet and nothing above 127, so that no value can end its line or its field;
 * and no line that writer_wrap() makes is longer than RFC 5322 2.1.1 allows.
 * Nothing is fatal.
 */
#include "lib/mail/writer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"

#define COLUMN_MAX 76
#define WORD_BREAK 512 /* a word longer than this is broken */

static void
put_octets(struct writer *w, const char *s, size_t len)
{
	if (w->error == 0 && buf_append(w->out, s, len) == -1)
		w->error = errno;
}

void
writer_put(struct writer *w, const char *s)
{
	put_octets(w, s, strlen(s));
}

/* How much of s fits in room columns: whole words, or the first, cut if it fits no line. */
static size_t
wrap_len(const char *s, size_t room)
{
	size_t len = strlen(s), at;

	if (len <= room)
		return len;
	for (at = room; at > 0 && s[at] != ' ';)
		at--;
	if (at > 0)
		return at;
	at = strcspn(s, " ");
	return at < WORD_BREAK ? at : WORD_BREAK;
}

void
writer_wrap(struct writer *w, size_t column, const char *margin, const char *s)
{
	while (*s != '\0' && w->error == 0) {
		size_t len = wrap_len(s, column < COLUMN_MAX ? COLUMN_MAX - column : 0);

		put_octets(w, s, len);
		s += len;
		s += *s == ' ';
		writer_put(w, *s != '\0' ? "\r\n" : "");
		writer_put(w, *s != '\0' ? margin : "");
		column = strlen(margin);
	}
	writer_put(w, "\r\n");
}

bool
text_is_8bit(const char *s)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s & 0x80) != 0)
			return true;
	return false;
}

/* One UTF-8 character as RFC 6533 3 writes it in ASCII: \x{20AC}. */
static size_t
unitext(char out[16], const char *s, size_t n)
{
	uint32_t code = (unsigned char)s[0] & (n == 1 ? 0x7fU : 0xffU >> (n + 1));
	size_t i;

	for (i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	return (size_t)snprintf(out, 16, "\\x{%02X}", (unsigned)code);
}

char *
text_clean(char *dst, size_t size, const char *src)
{
	bool escape = src != NULL && text_is_8bit(src);
	size_t at = 0, n, step;
	char one[16];

	for (; src != NULL && *src != '\0'; src += step) {
		step = address_utf8_len(src);
		n = 1;
		if (step > 1 || (escape && *src == '\\'))
			n = unitext(one, src, step);
		else if (step == 1)
			one[0] = *src;
		else
			one[0] = ((unsigned char)*src & 0x80) != 0 ? '?' : ' ';
		if (step == 0)
			step = 1;
		if (one[0] == ' ' && (at == 0 || dst[at - 1] == ' '))
			continue;
		if (n >= size - at)
			break;
		memcpy(dst + at, one, n);
		at += n;
	}
	while (at > 0 && dst[at - 1] == ' ')
		at--;
	dst[at] = '\0';
	return dst;
}

char *
text_clean_word(char *dst, size_t size, const char *src)
{
	size_t at = 0;

	for (; src != NULL && *src != '\0' && at + 1 < size; src++)
		if (char_is_alnum((unsigned char)*src) || strchr(".-_:[]", *src) != NULL)
			dst[at++] = *src;
	dst[at] = '\0';
	return dst;
}
