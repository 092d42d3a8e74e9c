/* SPDX-License-Identifier: ISC */
/*
 * Strings that are never cut in silence.
 *
 * Invariant: every function here leaves its destination NUL-terminated and
 * says so when the whole did not fit.
 */
#include "lib/base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HIDE_PIECE 8

int
str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);

	if (n >= size) {
		dst[0] = '\0';
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dst, src, n + 1);
	return 0;
}

int
str_append(char *dst, size_t size, const char *src)
{
	size_t have = strlen(dst), n = strlen(src);

	if (n >= size - have) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dst + have, src, n + 1);
	return 0;
}

int
str_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size) {
		dst[0] = '\0';
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

void
str_cut(char *dst, size_t size, const char *src)
{
	(void)snprintf(dst, size, "%s", src);
}

bool
char_is_alpha(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
char_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

bool
char_is_alnum(unsigned char c)
{
	return char_is_alpha(c) || char_is_digit(c);
}

unsigned char
char_lower(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool
str_equal_nocase(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (char_lower((unsigned char)*a) != char_lower((unsigned char)*b))
			return false;
	return *a == *b;
}

bool
str_starts_nocase(const char *s, const char *prefix)
{
	for (; *prefix != '\0'; s++, prefix++)
		if (char_lower((unsigned char)*s) != char_lower((unsigned char)*prefix))
			return false;
	return true;
}

void
str_lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)char_lower((unsigned char)*s);
}

int
str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0') {
		errno = EINVAL;
		return -1;
	}
	for (; *s != '\0'; s++) {
		uint64_t d = (uint64_t)(*s - '0');

		if (!char_is_digit((unsigned char)*s)) {
			errno = EINVAL;
			return -1;
		}
		if (v > (UINT64_MAX - d) / 10) {
			errno = ERANGE;
			return -1;
		}
		v = v * 10 + d;
	}
	if (v < min || v > max) {
		errno = ERANGE;
		return -1;
	}
	*out = v;
	return 0;
}

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

/* One octet as it may be shown; returns how many characters that takes (1, 2 or 4). */
static size_t
escape_one(char out[5], unsigned char c)
{
	if (is_plain(c)) {
		out[0] = (char)c;
		return 1;
	}
	if (c == '\\')
		return (size_t)snprintf(out, 5, "\\\\");
	return (size_t)snprintf(out, 5, "\\x%02x", c);
}

/* How many octets from src on can be copied as they are. */
static size_t
plain_run(const char *src, size_t len)
{
	size_t n;

	for (n = 0; n < len; n++)
		if ((unsigned char)src[n] < 0x20 || (unsigned char)src[n] >= 0x7f)
			break;
	return n;
}

void
str_escape(char *dst, size_t size, const char *src, size_t len)
{
	size_t keep = size > 4 ? size - 4 : 0; /* "..." begins here at the latest */
	size_t at = 0, used, n;
	const char *piece;
	char one[5];

	bug_on(size == 0);
	for (; len > 0; src += used, len -= used) {
		used = n = plain_run(src, len);
		piece = src;
		if (used == 0) {
			n = escape_one(one, (unsigned char)*src);
			piece = one;
			used = 1;
		}
		if (at + n > keep) {
			if (piece == src && keep > at) {
				memcpy(dst + at, src, keep - at);
				at = keep;
			}
			n = size - 1 - at < 3 ? size - 1 - at : 3;
			memcpy(dst + at, "...", n);
			at += n;
			break;
		}
		memcpy(dst + at, piece, n);
		at += n;
	}
	dst[at] = '\0';
}

static bool
is_word(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!is_plain((unsigned char)*s) || strchr(" \"=", *s) != NULL)
			return false;
	return true;
}

void
str_hide(char *text, const void *secret, size_t len)
{
	size_t piece = len < HIDE_PIECE ? len : HIDE_PIECE, end = strlen(text), until = 0, i;

	/* An octet is overwritten when no later piece begins with it any more. */
	for (i = 0; piece > 0 && i < end; i++) {
		if (i + piece <= end && memmem(secret, len, text + i, piece) != NULL)
			until = i + piece;
		if (i < until)
			text[i] = '*';
	}
}

void
str_quote(char *dst, size_t size, const char *src)
{
	size_t at = 0;
	char one[5];

	bug_on(size < 16);
	if (is_word(src) && strlen(src) < size) {
		memcpy(dst, src, strlen(src) + 1);
		return;
	}
	dst[at++] = '"';
	for (; *src != '\0'; src++) {
		size_t n;

		if (*src == '"')
			n = (size_t)snprintf(one, sizeof(one), "\\\"");
		else
			n = escape_one(one, (unsigned char)*src);
		if (at + n + 5 > size) {
			memcpy(dst + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(dst + at, one, n);
		at += n;
	}
	dst[at++] = '"';
	dst[at] = '\0';
}

void
str_id(char dst[STR_ID_SIZE], uint64_t id)
{
	(void)snprintf(dst, STR_ID_SIZE, "%010" PRIx64, id);
}

int
str_id_parse(const char *s, uint64_t *id)
{
	uint64_t v = 0;
	size_t n;

	for (n = 0; s[n] != '\0'; n++) {
		unsigned char c = char_lower((unsigned char)s[n]);

		if (n >= 16 || !(char_is_digit(c) || (c >= 'a' && c <= 'f'))) {
			errno = EINVAL;
			return -1;
		}
		v = v << 4 | (uint64_t)(char_is_digit(c) ? c - '0' : c - 'a' + 10);
	}
	if (n < 10) {
		errno = EINVAL;
		return -1;
	}
	*id = v;
	return 0;
}

#define NEAREST_MAX 32

static size_t
edit_distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1], la = strlen(a), lb = strlen(b), i, j;

	if (la > NEAREST_MAX || lb > NEAREST_MAX)
		return NEAREST_MAX;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (j = 1; j <= lb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *
str_nearest(const char *s, const char *const *words)
{
	const char *best = NULL;
	size_t limit = strlen(s) / 3 + 1, i;

	for (i = 0; words[i] != NULL; i++) {
		size_t d = edit_distance(s, words[i]);

		if (d <= limit && d < strlen(words[i])) {
			best = words[i];
			if (d == 0)
				break;
			limit = d - 1;
		}
	}
	return best;
}
