/* SPDX-License-Identifier: ISC */
/*
 * Durations and sizes of smtpd.conf, both ways.
 *
 * Invariant: what a format function writes, its parse function reads back to
 * the same amount.  Nothing is fatal; overflow is an answer (ERANGE).
 */
#include "lib/conf/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/str.h"

struct unit {
	char letter;
	uint64_t factor;
};

/* Largest first: the format functions take the first that divides. */
static const struct unit duration_units[] = {
    {'w', 7 * 86400}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}, {'\0', 1}};
static const struct unit byte_units[] = {
    {'t', 1ULL << 40}, {'g', 1ULL << 30}, {'m', 1ULL << 20}, {'k', 1ULL << 10}, {'\0', 1}};

static int
parse_scaled(const char *s, const struct unit *units, uint64_t max, uint64_t *out)
{
	uint64_t v = 0, digit;

	if (!char_is_digit((unsigned char)*s)) {
		errno = EINVAL;
		return -1;
	}
	for (; char_is_digit((unsigned char)*s); s++) {
		digit = (uint64_t)(*s - '0');
		if (v > (max - digit) / 10) {
			errno = ERANGE;
			return -1;
		}
		v = v * 10 + digit;
	}
	while (units->letter != '\0' && char_lower((unsigned char)*s) != units->letter)
		units++;
	if (*s != '\0' && (units->letter == '\0' || s[1] != '\0')) {
		errno = EINVAL;
		return -1;
	}
	if (v > max / units->factor) {
		errno = ERANGE;
		return -1;
	}
	*out = v * units->factor;
	return 0;
}

int
size_parse_duration(const char *s, int64_t *seconds)
{
	uint64_t v;

	if (parse_scaled(s, duration_units, INT64_MAX, &v) == -1)
		return -1;
	*seconds = (int64_t)v;
	return 0;
}

int
size_parse_bytes(const char *s, uint64_t *bytes)
{
	return parse_scaled(s, byte_units, UINT64_MAX, bytes);
}

static void
format_scaled(char dst[SIZE_TEXT_MAX], const struct unit *units, uint64_t v, bool upper)
{
	char letter[2] = "";

	while (units->factor > 1 && (v == 0 || v % units->factor != 0))
		units++;
	letter[0] = units->letter;
	if (upper && letter[0] != '\0')
		letter[0] = (char)(letter[0] - 'a' + 'A');
	(void)snprintf(dst, SIZE_TEXT_MAX, "%" PRIu64 "%s", v / units->factor, letter);
}

void
size_format_duration(char dst[SIZE_TEXT_MAX], int64_t seconds)
{
	format_scaled(dst, duration_units, seconds < 0 ? 0 : (uint64_t)seconds, false);
}

void
size_format_bytes(char dst[SIZE_TEXT_MAX], uint64_t bytes)
{
	format_scaled(dst, byte_units, bytes, true);
}
