/* SPDX-License-Identifier: ISC */
#ifndef LIB_SECRET_SCRAM_CLIENT_H
#define LIB_SECRET_SCRAM_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/secret/scram.h"

/*
 * SCRAM-SHA-256, the client's side (RFC 5802, RFC 7677), without channel binding.
 * Pure: the nonce comes from the caller, and so do the keys, which take a
 * hasher's time.
 */
#define SCRAM_CLIENT_FIRST_SIZE	 (3 * SCRAM_NAME_MAX + SCRAM_NONCE_SIZE + 16)
#define SCRAM_SERVER_MESSAGE_MAX 2048 /* octets of a server's message */
#define SCRAM_CLIENT_FINAL_SIZE	 (SCRAM_NONCE_MAX + 96)
#define SCRAM_CLIENT_SALT_MAX	 64

struct scram_client_keys {
	uint8_t client_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];
};

struct scram_client { /* explicit_bzero() it when it is of no more use */
	char nonce[SCRAM_NONCE_SIZE + 1];
	char first[SCRAM_CLIENT_FIRST_SIZE]; /* to be said first */
	char server_first[SCRAM_SERVER_MESSAGE_MAX + 1];
	char both[SCRAM_NONCE_MAX + 1]; /* our nonce and the server's */
	uint8_t salt[SCRAM_CLIENT_SALT_MAX];
	size_t salt_len;
	uint32_t iterations;
	uint8_t expected[SCRAM_KEY_SIZE]; /* the server's signature */
};

/*
 * A login as saslname (RFC 5802 5.1): a comma is "=2C", "=" is "=3D".  -1 with EINVAL: it is empty,
 * has control characters, or does not fit.
 */
int scram_name_encode(const char *name, char *dst, size_t size) WARN_UNUSED;

/*
 * -1 with EINVAL: a login that is empty, too long, or has control characters; a nonce of more than
 * SCRAM_NONCE_SIZE.
 */
int scram_client_first(struct scram_client *c, const char *login, const char *nonce) WARN_UNUSED;
/*
 * Reads the server-first-message: salt and iterations are known then.  -1 with EINVAL: it is none,
 * its nonce is not ours with something behind it, or it asks for too few or too many iterations.
 */
int scram_client_read(struct scram_client *c, const void *message, size_t len) WARN_UNUSED;
/* The keys of the password for salt and iterations as they were read.  -1: ENOMEM, EINVAL. */
int scram_client_derive(const void *password, size_t len, const struct scram_client *c,
    struct scram_client_keys *out) WARN_UNUSED;
/* The client-final-message, with the proof.  -1: ENOMEM. */
int scram_client_final(struct scram_client *c, const struct scram_client_keys *k,
    char dst[SCRAM_CLIENT_FINAL_SIZE]) WARN_UNUSED;
/*
 * Is the server-final-message by one that knows the password, too?  -1 with EACCES: the server's
 * "e=..."; EINVAL: anything else.
 */
int scram_client_check(const struct scram_client *c, const void *message, size_t len) WARN_UNUSED;

#endif
