/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_DATE_H
#define LIB_MAIL_DATE_H

#include <stddef.h>
#include <time.h>

#include "lib/base/bug.h"

#define DATE_SIZE 40

/*
 * RFC 5322 3.3 in the local zone: "Sun, 22 Nov 2026 23:37:29 +0000".  The names
 * are English whatever the locale.  -1: ENAMETOOLONG, EOVERFLOW (no such year).
 */
int date_format(char *dst, size_t size, time_t t) WARN_UNUSED;

#endif
