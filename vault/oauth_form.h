/* SPDX-License-Identifier: ISC */
#ifndef VAULT_OAUTH_FORM_H
#define VAULT_OAUTH_FORM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

/*
 * What is asked of an authorization server, as application/x-www-form-urlencoded (RFC
 * 6749 B), and the base64 of URLs (RFC 4648 5).  Pure.
 */
/* Adds "name=value", with "&" before it where there is something.  NULL: nothing.  -1: ENOBUFS, ENOMEM. */
int form_add(struct buf *form, const char *name, const char *value) WARN_UNUSED;

/* base64url without padding: BASE64_SIZE(len) octets.  Returns its length. */
size_t base64url_encode(const void *data, size_t len, char *dst);

/* PKCE (RFC 7636 4.2): the challenge of a verifier, by SHA-256. */
#define PKCE_SIZE 44 /* of either, NUL included */
int pkce_challenge(const char verifier[PKCE_SIZE], char dst[PKCE_SIZE]) WARN_UNUSED;

#endif
