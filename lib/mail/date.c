/* SPDX-License-Identifier: ISC */
/*
 * Dates as mail writes them, and as ESMTP parameters do.  strftime() would follow
 * the locale's names, and mail has only English ones; timegm() reads the zone's
 * file, which a jail has not.  Nothing is fatal.
 */
#include "lib/mail/date.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

int
date_format(char *dst, size_t size, time_t t)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;
	long zone_min;

	if (localtime_r(&t, &tm) == NULL) {
		dst[0] = '\0';
		return -1;
	}
	zone_min = tm.tm_gmtoff / 60;
	return str_format(dst, size, "%s, %d %s %ld %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday],
	    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900L, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    zone_min < 0 ? '-' : '+', labs(zone_min) / 60, labs(zone_min) % 60);
}

enum part { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PART__MAX };

/* One part of a date, of so many digits and after its separator; *p is past it then. */
static bool
take_part(const char **p, const char *separators, size_t digits, int64_t *out)
{
	size_t i;

	if (separators[0] != '\0') {
		if (**p == '\0' || strchr(separators, **p) == NULL)
			return false;
		(*p)++;
	}
	for (i = 0, *out = 0; i < digits; i++, (*p)++) {
		if (!char_is_digit((unsigned char)**p))
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

static int64_t
month_days(int64_t year, int64_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Days from 1970-01-01 to a date; the year counted from March, so that a leap day ends it. */
static int64_t
days_since_1970(const int64_t v[PART__MAX])
{
	int64_t year = v[YEAR] + 400 - (v[MONTH] <= 2 ? 1 : 0);
	int64_t month = (v[MONTH] + 9) % 12;

	return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + v[DAY] -
	       1 - (719468 + 146097);
}

static bool
take_date_time(const char **p, int64_t v[PART__MAX])
{
	static const struct {
		const char *separators;
		size_t digits;
		int64_t min, max;
	} parts[PART__MAX] = {
	    [YEAR] = {"", 4, 0, 9999},
	    [MONTH] = {"-", 2, 1, 12},
	    [DAY] = {"-", 2, 1, 31},
	    [HOUR] = {"Tt", 2, 0, 23},
	    [MINUTE] = {":", 2, 0, 59},
	    [SECOND] = {":", 2, 0, 60},
	};
	unsigned i;

	for (i = 0; i < PART__MAX; i++)
		if (!take_part(p, parts[i].separators, parts[i].digits, &v[i]) ||
		    v[i] < parts[i].min || v[i] > parts[i].max)
			return false;
	return v[DAY] <= month_days(v[YEAR], v[MONTH]);
}

/* "Z", "+09:00", "-03:30": seconds east of Greenwich. */
static bool
take_zone(const char **p, int64_t *out)
{
	bool west = **p == '-';
	int64_t hours, minutes;

	*out = 0;
	if (**p == 'Z' || **p == 'z') {
		(*p)++;
		return true;
	}
	if (!take_part(p, "+-", 2, &hours) || !take_part(p, ":", 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*out = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

int
date_parse_internet(const char *s, int64_t *out)
{
	int64_t v[PART__MAX], zone;
	bool ok = take_date_time(&s, v);

	if (ok && *s == '.') {
		size_t digits = strspn(s + 1, "0123456789");

		ok = digits > 0;
		s += 1 + digits;
	}
	if (!ok || !take_zone(&s, &zone) || *s != '\0') {
		errno = EINVAL;
		return -1;
	}
	*out = days_since_1970(v) * 86400 + v[HOUR] * 3600 + v[MINUTE] * 60 + v[SECOND] - zone;
	return 0;
}
