/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_TIME_H
#define LIB_BASE_TIME_H

#include <stdint.h>

/*
 * The only two clocks.  Programs read them at the top of their loop and pass
 * the value down: nothing below main asks what time it is.
 */
int64_t time_mono_ms(void); /* milliseconds, never steps back; for deadlines */
int64_t time_wall_s(void);  /* seconds since the epoch; for dates and schedules */

/* "3h12m", "45s", "2d4h": how long, in at most two units. */
#define TIME_AGE_SIZE 32
void time_age(char dst[TIME_AGE_SIZE], int64_t seconds);

#endif
