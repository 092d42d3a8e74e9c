/* SPDX-License-Identifier: ISC */
#ifndef VAULT_JWT_H
#define VAULT_JWT_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

struct evp_pkey_st;

/*
 * Assertions by which a service account logs in to an authorization server (RFC 7523):
 * a JSON web token (RFC 7519), signed by RSA with SHA-256 ("RS256", RFC 7518 3.3).
 */
#define JWT_MAX	   8192
#define JWT_LIFE_S 300

/* A private key in PEM: RSA of 2048 bits or more.  NULL: it is none. */
struct evp_pkey_st *jwt_key_read(struct span pem) WARN_UNUSED;
void jwt_key_free(struct evp_pkey_st *key); /* NULL is fine */

struct jwt_claims { /* NULL: left out */
	const char *issuer, *subject, *audience, *scope;
	const char *key_id; /* of the header; the digest of a certificate in hex is "x5t", too */
	int64_t now_s;
};

/* Appends the token, with an id of its own.  -1: it can't be made. */
int jwt_make(struct evp_pkey_st *key, const struct jwt_claims *claims, struct buf *out) WARN_UNUSED;

#endif
