/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_DATE_H
#define LIB_MAIL_DATE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/base/bug.h"

#define DATE_SIZE 40

/*
 * RFC 5322 3.3 in the local zone: "Sun, 22 Nov 2026 23:37:29 +0000".  The names
 * are English whatever the locale.  -1: ENAMETOOLONG, EOVERFLOW (no such year).
 */
int date_format(char *dst, size_t size, time_t t) WARN_UNUSED;
/*
 * The seconds since 1970 of "2026-11-22T23:37:29Z", or with "+09:00" for the Z (RFC 3339
 * 5.6); a fraction of a second is dropped, a leap second is the next one.  -1: EINVAL.
 */
int date_parse_internet(const char *s, int64_t *out) WARN_UNUSED;

#endif
