/* SPDX-License-Identifier: ISC */
/* Clocks and ages.  Both clocks are vdso calls: no system call, no filter entry. */
#include "lib/base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

int64_t
time_mono_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
time_wall_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec;
}

void
time_age(char dst[TIME_AGE_SIZE], int64_t seconds)
{
	int64_t s = seconds < 0 ? 0 : seconds;

	if (s < 60)
		(void)snprintf(dst, TIME_AGE_SIZE, "%" PRId64 "s", s);
	else if (s < 3600)
		(void)snprintf(dst, TIME_AGE_SIZE, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(
		    dst, TIME_AGE_SIZE, "%" PRId64 "h%02" PRId64 "m", s / 3600, s % 3600 / 60);
	else
		(void)snprintf(
		    dst, TIME_AGE_SIZE, "%" PRId64 "d%" PRId64 "h", s / 86400, s % 86400 / 3600);
}
