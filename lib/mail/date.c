/* SPDX-License-Identifier: ISC */
/*
 * Dates as mail writes them.  strftime() would follow the locale's names, and
 * mail has only English ones.  Nothing is fatal.
 */
#include "lib/mail/date.h"

#include <stdlib.h>

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
