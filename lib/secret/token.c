/* SPDX-License-Identifier: ISC */
/*
 * Bearer tokens as a table keeps them: by their hash, so that who reads the
 * table can't be any of them.  Pure.
 */
#include "lib/secret/token.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define BLANKS " \t"

void
token_key(const void *token, size_t len, char dst[TOKEN_KEY_SIZE])
{
	uint8_t hash[SHA256_DIGEST_LENGTH] = {0};
	char *at = dst + 7;
	size_t i;

	(void)SHA256(token, len, hash);
	memcpy(dst, "sha256:", 8);
	for (i = 0; i < sizeof(hash); i++, at += 2)
		(void)snprintf(at, 3, "%02x", hash[i]);
	explicit_bzero(hash, sizeof(hash));
}

/* n digits as a number within [min, max]. */
static int
digits_take(const char **at, size_t n, unsigned int min, unsigned int max, unsigned int *out)
{
	for (*out = 0; n > 0; n--, ++*at) {
		if (!char_is_digit((unsigned char)**at))
			return -1;
		*out = *out * 10 + (unsigned int)(**at - '0');
	}
	return *out >= min && *out <= max ? 0 : -1;
}

static int
mark_take(const char **at, char mark)
{
	if ((char)char_lower((unsigned char)**at) != mark)
		return -1;
	++*at;
	return 0;
}

/* Days since 1970-01-01 of a day in the Gregorian calendar, from the year 1 on. */
static int64_t
days_from_civil(unsigned int year, unsigned int month, unsigned int day)
{
	/* Years that begin in March have their odd day at the end. */
	int64_t y = (int64_t)year - (month <= 2), m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool
is_day(unsigned int year, unsigned int month, unsigned int day)
{
	static const unsigned int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return day <= days[month - 1] && (month != 2 || day < 29 || leap);
}

/* time-offset of RFC 3339, as seconds east. */
static int
offset_take(const char **at, int64_t *seconds)
{
	unsigned int hour, minute;
	bool west = **at == '-';

	*seconds = 0;
	if (**at != '+' && !west)
		return mark_take(at, 'z');
	++*at;
	if (digits_take(at, 2, 0, 23, &hour) == -1 || mark_take(at, ':') == -1 ||
	    digits_take(at, 2, 0, 59, &minute) == -1)
		return -1;
	*seconds = (int64_t)(hour * 3600 + minute * 60) * (west ? -1 : 1);
	return 0;
}

/* A date-time of RFC 3339 5.6; what is behind the second's point does not matter. */
static int
date_time_parse(const char *at, int64_t *out)
{
	unsigned int year, month, day, hour, minute, second;
	int64_t offset;

	if (digits_take(&at, 4, 1970, 9999, &year) == -1 || mark_take(&at, '-') == -1 ||
	    digits_take(&at, 2, 1, 12, &month) == -1 || mark_take(&at, '-') == -1 ||
	    digits_take(&at, 2, 1, 31, &day) == -1 || !is_day(year, month, day) ||
	    mark_take(&at, 't') == -1 || digits_take(&at, 2, 0, 23, &hour) == -1 ||
	    mark_take(&at, ':') == -1 || digits_take(&at, 2, 0, 59, &minute) == -1 ||
	    mark_take(&at, ':') == -1 || digits_take(&at, 2, 0, 60, &second) == -1)
		return -1;
	if (*at == '.') {
		if (!char_is_digit((unsigned char)at[1]))
			return -1;
		at += 1 + strspn(at + 1, "0123456789");
	}
	if (offset_take(&at, &offset) == -1 || *at != '\0')
		return -1;
	*out = days_from_civil(year, month, day) * 86400 + (int64_t)(hour * 3600 + minute * 60) +
	       second - offset;
	return 0;
}

static int
expiry_parse(const char *text, int64_t *out)
{
	uint64_t n;

	if (str_u64(text, 0, INT64_MAX, &n) == -1)
		return date_time_parse(text, out);
	*out = (int64_t)n;
	return 0;
}

int
token_grant_parse(const char *value, struct token_grant *out)
{
	size_t len = strcspn(value, BLANKS), rest;
	char expiry[64];
	const char *at = value + len;

	*out = (struct token_grant){.expires_s = INT64_MAX};
	at += strspn(at, BLANKS);
	rest = strcspn(at, BLANKS);
	if (len == 0 || len > TOKEN_LOGIN_MAX || rest >= sizeof(expiry) ||
	    at[rest + strspn(at + rest, BLANKS)] != '\0')
		goto invalid;
	memcpy(out->login, value, len);
	memcpy(expiry, at, rest);
	expiry[rest] = '\0';
	if (rest == 0 || expiry_parse(expiry, &out->expires_s) == 0)
		return 0;
invalid:
	*out = (struct token_grant){.expires_s = 0};
	errno = EINVAL;
	return -1;
}
