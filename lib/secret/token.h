/* SPDX-License-Identifier: ISC */
#ifndef LIB_SECRET_TOKEN_H
#define LIB_SECRET_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Bearer tokens in a table: the key is the token's hash, the value who has it
 * and, if anything, until when: "login [expiry]", the expiry as a UNIX time or a
 * date-time of RFC 3339.
 */
#define TOKEN_KEY_SIZE	72 /* "sha256:", 64 hexadecimal digits, NUL */
#define TOKEN_LOGIN_MAX 512

struct token_grant {
	char login[TOKEN_LOGIN_MAX + 1];
	int64_t expires_s; /* INT64_MAX: never */
};

void token_key(const void *token, size_t len, char dst[TOKEN_KEY_SIZE]);
int token_grant_parse(const char *value, struct token_grant *out) WARN_UNUSED; /* -1: EINVAL */

#endif
