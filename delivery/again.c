/* SPDX-License-Identifier: ISC */
/*
 * Replies have no field for the time after which a try is welcome; servers
 * say it in prose.  A time counts only close behind a word that asks for
 * another try, for a text also tells of other times: "100 mails in 60 seconds is
 * too much, try again later".
 *
 * Invariant: whatever the text, the answer is within 0 and AGAIN_MAX_S.
 */
#include "delivery/again.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"

#define REACH 48 /* octets from the word to its time, at most */

static const char *const wishes[] = {
    "again", "retry", "retries", "greylist", "graylist", "wait", "come back", "deferred", "later"};

static const struct {
	const char *word;
	int64_t seconds;
} units[] = {
    {"s", 1},
    {"sec", 1},
    {"secs", 1},
    {"second", 1},
    {"seconds", 1},
    {"m", 60},
    {"min", 60},
    {"mins", 60},
    {"minute", 60},
    {"minutes", 60},
    {"h", 3600},
    {"hr", 3600},
    {"hrs", 3600},
    {"hour", 3600},
    {"hours", 3600},
};

static bool
is_word(char c)
{
	return char_is_alnum((unsigned char)c);
}

/* Not within a name, an address or a version. */
static bool
may_begin(const char *s, const char *start)
{
	return char_is_digit((unsigned char)*s) &&
	       (s == start || (!is_word(s[-1]) && s[-1] != '.' && s[-1] != ':'));
}

/* Digits at *s, which moves behind them; more than a day is a day, so that sums stay small. */
static int64_t
read_number(const char **s)
{
	int64_t n = 0;

	for (; char_is_digit((unsigned char)**s); (*s)++)
		if (n <= AGAIN_MAX_S)
			n = n * 10 + (**s - '0');
	return n < AGAIN_MAX_S ? n : AGAIN_MAX_S;
}

/* A unit at *s, which moves behind it: its seconds, or 0. */
static int64_t
read_unit(const char **s)
{
	size_t i, len = 0;

	while (char_is_alpha((unsigned char)(*s)[len]))
		len++;
	for (i = 0; i < NITEMS(units); i++)
		if (strlen(units[i].word) == len && str_starts_nocase(*s, units[i].word)) {
			*s += len;
			return units[i].seconds;
		}
	return 0;
}

/* "00:04:59" or "04:59" behind its first number n; -1: that is not what it is. */
static int64_t
read_clock(const char *s, int64_t n)
{
	int colons;

	for (colons = 0; *s == ':' && char_is_digit((unsigned char)s[1]) && colons < 2; colons++) {
		s++;
		n = n * 60 + read_number(&s);
	}
	return colons == 0 || *s == ':' ? -1 : n;
}

/* "300 seconds", "5m30s", "4 minutes and 30 seconds", "00:04:59" at s; 0: no time. */
static int64_t
read_time(const char *s)
{
	int64_t sum = 0, n, unit;

	while (char_is_digit((unsigned char)*s)) {
		n = read_number(&s);
		if (sum == 0 && read_clock(s, n) != -1)
			return read_clock(s, n);
		while (*s == ' ' || *s == '-')
			s++;
		if ((unit = read_unit(&s)) == 0)
			break;
		sum += n * unit;
		if (sum >= AGAIN_MAX_S)
			break;
		s += strspn(s, " ,");
		if (str_starts_nocase(s, "and "))
			s += 4;
	}
	return sum;
}

/* The first time behind a word that asks for another try. */
static int64_t
time_behind(const char *s)
{
	const char *start = s;
	int64_t seconds;

	for (; *s != '\0' && s - start < REACH; s++) {
		if (may_begin(s, start) && (seconds = read_time(s)) > 0)
			return seconds;
	}
	return 0;
}

static int64_t
behind_wish(const char *s)
{
	size_t i;

	for (i = 0; i < NITEMS(wishes); i++)
		if (str_starts_nocase(s, wishes[i]))
			return time_behind(s + strlen(wishes[i]));
	return 0;
}

int64_t
again_seconds(const char *text)
{
	const char *s;
	int64_t seconds = 0;

	for (s = text; *s != '\0' && seconds == 0; s++)
		if (s == text || !is_word(s[-1]))
			seconds = behind_wish(s);
	return seconds < AGAIN_MAX_S ? seconds : AGAIN_MAX_S;
}
