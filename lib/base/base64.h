/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_BASE64_H
#define LIB_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Base64 as RFC 4648 4 has it, and nothing that only looks like it: no white
 * space, padding where it is due, unused bits zero (3.5).  Each octet string
 * has one text, and each text one octet string.
 */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1) /* of the text of n octets, NUL included */
#define BASE64_MAX(n)  ((n) / 4 * 3)	       /* octets that n characters stand for, at most */

/* Writes the text and a NUL: BASE64_SIZE(len) octets.  Returns its length. */
size_t base64_encode(const void *data, size_t len, char *dst);

/*
 * Decodes the len characters of text (no NUL is looked for) into at most size
 * octets.  -1: EINVAL (not base64), ENOBUFS (more than size); *out_len is 0 then,
 * and what was written to dst is wiped.
 */
int
base64_decode(const char *text, size_t len, uint8_t *dst, size_t size, size_t *out_len) WARN_UNUSED;

#endif
