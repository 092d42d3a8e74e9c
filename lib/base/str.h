/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_STR_H
#define LIB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/* Copies src whole, or nothing: -1 with ENAMETOOLONG and dst empty when it does not fit. */
int str_copy(char *dst, size_t size, const char *src) WARN_UNUSED;
/* Appends with the same promise: on -1 dst is as before. */
int str_append(char *dst, size_t size, const char *src) WARN_UNUSED;
/* snprintf that fails (-1, ENAMETOOLONG) rather than cut. */
int str_format(char *dst, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4) WARN_UNUSED;

/* For people's eyes only: what does not fit is left out. */
void str_cut(char *dst, size_t size, const char *src);

/* ASCII only, whatever the locale. */
bool str_equal_nocase(const char *a, const char *b);
bool str_starts_nocase(const char *s, const char *prefix);
void str_lower(char *s);
bool char_is_alpha(unsigned char c);
bool char_is_digit(unsigned char c);
bool char_is_alnum(unsigned char c);
unsigned char char_lower(unsigned char c);

/*
 * A whole decimal number within [min, max].  -1 with EINVAL for anything but
 * digits, ERANGE outside the bounds.  No sign, no space, no base prefix.
 */
int str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out) WARN_UNUSED;

/*
 * Bytes outside printable ASCII become \xNN; cut with "..." at
 * size, for which there is always room left: what was not cut ends 4 octets before size.
 * A backslash stays single: what is quoted already is not quoted again.
 */
void str_escape(char *dst, size_t size, const char *src, size_t len);
/*
 * Servers say back what they were told: asterisks take the place of every piece of a secret in the
 * text, of 8 octets or more, or of all of a shorter one.
 */
void str_hide(char *text, const void *secret, size_t len);
/* One log or listing value: bare when it is a plain word, else "quoted" and escaped. */
void str_quote(char *dst, size_t size, const char *src);

/* A message id as people see it: ten lower-case hexadecimal digits (more when it needs them). */
#define STR_ID_SIZE 20
void str_id(char dst[STR_ID_SIZE], uint64_t id);
int str_id_parse(const char *s, uint64_t *id) WARN_UNUSED;

/* The word of a NULL-terminated list nearest to s by edit distance; NULL when none is near. */
const char *str_nearest(const char *s, const char *const *words);

#endif
