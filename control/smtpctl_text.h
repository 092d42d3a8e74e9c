/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_TEXT_H
#define CONTROL_SMTPCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/bug.h"

/* Words for people.  Addresses and mail come from strangers: nothing of them may steer a terminal. */

/* The length of the UTF-8 character at p (RFC 3629: shortest form, no surrogates), 0 when none is. */
size_t utf8_decode(const uint8_t *p, size_t left, uint32_t *character);
/* How many octets at the end may be the start of a character whose rest is still to come. */
size_t utf8_unfinished(const uint8_t *p, size_t len);

/* Control characters, and those that turn the direction of writing, as \xNN; \n and \t too
 * unless lines are to be kept. */
void text_print(FILE *out, const void *text, size_t len, bool keep_lines);
void text_print_str(FILE *out, const char *text);
/* "smtpctl: " and a line on stderr. */
void text_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* "812B", "4.1K", "35M": at most five characters. */
#define TEXT_SIZE_MAX 16
void text_size(char dst[TEXT_SIZE_MAX], uint64_t octets);

/*
 * The next key=value of a line as log.h writes them; a value in quotes comes
 * without them, and that of "fds<=64" is "<=64".  false at the end.  What does
 * not fit is cut.
 */
#define TEXT_VALUE_MAX 1025
struct text_pair {
	char key[65];
	char value[TEXT_VALUE_MAX];
};
bool text_pair_next(const char **line, struct text_pair *out);

#endif
