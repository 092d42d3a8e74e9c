/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_SIZE_H
#define LIB_CONF_SIZE_H

#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Amounts with a unit, as smtpd.conf(5) writes them: a decimal number and at
 * most one letter.  Durations take s, m, h, d or w and are seconds without
 * one; sizes take K, M, G or T (powers of 1024, either case) and are octets
 * without one.  -1 with EINVAL for other text, ERANGE when it does not fit.
 */
int size_parse_duration(const char *s, int64_t *seconds) WARN_UNUSED;
int size_parse_bytes(const char *s, uint64_t *bytes) WARN_UNUSED;

/* The shortest text that parses to the same amount: "4d", "90s", "0s", "35M", "0". */
#define SIZE_TEXT_MAX 32
void size_format_duration(char dst[SIZE_TEXT_MAX], int64_t seconds);
void size_format_bytes(char dst[SIZE_TEXT_MAX], uint64_t bytes);

#endif
