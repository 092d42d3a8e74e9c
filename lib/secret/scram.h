/* SPDX-License-Identifier: ISC */
#ifndef LIB_SECRET_SCRAM_H
#define LIB_SECRET_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

/*
 * SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): the arithmetic and
 * the messages.  Pure: random numbers, tables and channel bindings come from the
 * caller.
 *
 * Passwords are octets here: SASLprep (RFC 4013) leaves what a keyboard gives
 * as it is, and clients do the rest.
 */
#define SCRAM_KEY_SIZE	     32
#define SCRAM_SALT_MIN	     8
#define SCRAM_SALT_MAX	     64
#define SCRAM_SALT_SIZE	     16	     /* of keys that are made here, and */
#define SCRAM_ITERATIONS     32768   /* theirs: some 10 ms */
#define SCRAM_ITERATIONS_MIN 4096    /* RFC 7677 4 */
#define SCRAM_ITERATIONS_MAX 1000000 /* what a hasher, or a telephone, does in about a second */
#define SCRAM_NAME_MAX	     512     /* octets of a login */
#define SCRAM_NONCE_MAX	     256     /* octets of a client's part */
#define SCRAM_NONCE_SIZE     24	     /* characters of ours: 18 random octets in base64 */
#define SCRAM_BINDING_MAX    64	     /* octets of a channel binding: a hash */
#define SCRAM_TEXT_SIZE	     256     /* of keys as text, NUL included */
#define SCRAM_MESSAGE_MAX    4096    /* octets of a client's message */

struct scram_keys { /* what is kept in place of a password */
	uint32_t iterations;
	size_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];
};

/* -- keys -- */

/* The keys of a password, with k's iterations and salt.  -1: EINVAL (out of bounds), ENOMEM. */
int scram_derive(const void *password, size_t len, struct scram_keys *k) WARN_UNUSED;
/* "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", as PostgreSQL keeps them. */
int scram_keys_parse(const char *text, size_t len, struct scram_keys *out) WARN_UNUSED;
void scram_keys_format(const struct scram_keys *k, char dst[SCRAM_TEXT_SIZE]);
/* Is it the password of these keys?  1, 0, or -1 with ENOMEM.  Takes a hash's time. */
int scram_keys_check(const struct scram_keys *k, const void *password, size_t len) WARN_UNUSED;
/*
 * Keys that no password has, for a login that does not exist: always the same for
 * a login, with a salt as good as random to all who don't know the secret.
 */
void scram_keys_fake(const uint8_t secret[SCRAM_KEY_SIZE], const char *login, uint32_t iterations,
    size_t salt_len, struct scram_keys *out);

/* -- messages -- */

enum scram_flag {	    /* of channel binding, RFC 5802 7 */
	SCRAM_NO_BINDING,   /* "n": the client can't */
	SCRAM_NOT_OFFERED,  /* "y": it can, and thinks that we can't */
	SCRAM_WITH_BINDING, /* "p": it does */
};

struct scram_first { /* client-first-message; spans are of the message */
	enum scram_flag flag;
	struct span binding; /* name of its type, with SCRAM_WITH_BINDING */
	struct span header;  /* gs2-header, its last comma included */
	struct span bare;    /* client-first-message-bare */
	struct span nonce;
	char login[SCRAM_NAME_MAX + 1];
	char authzid[SCRAM_NAME_MAX + 1]; /* "": none */
};

struct scram_final { /* client-final-message; spans are of the message */
	uint8_t binding[3 * SCRAM_NAME_MAX + 64 + SCRAM_BINDING_MAX]; /* header and data, decoded */
	size_t binding_len;
	struct span nonce;
	struct span without_proof;
	uint8_t proof[SCRAM_KEY_SIZE];
};

/* -1 with EINVAL: not such a message. */
int scram_first_parse(const uint8_t *message, size_t len, struct scram_first *out) WARN_UNUSED;
int scram_final_parse(const uint8_t *message, size_t len, struct scram_final *out) WARN_UNUSED;

/* The server-first-message: "r=<theirs><ours>,s=...,i=...". */
#define SCRAM_SERVER_FIRST_SIZE (SCRAM_NONCE_MAX + SCRAM_NONCE_SIZE + 128)
void scram_server_first(const struct scram_first *first, const char ours[SCRAM_NONCE_SIZE + 1],
    const struct scram_keys *k, char dst[SCRAM_SERVER_FIRST_SIZE]);

struct scram_exchange { /* all that was said before the proof */
	const struct scram_first *first;
	const char *server_first;
	const struct scram_final *final;
	struct span binding; /* data the client should have, len 0: none */
};

/* Is the answer to this exchange: its nonce, and its channel binding? */
bool scram_final_fits(const struct scram_exchange *x) WARN_UNUSED;
/*
 * Does the proof come from one who has the password?  If so the
 * server-final-message, "v=...", in dst.  -1 is as good as no.
 */
#define SCRAM_SERVER_FINAL_SIZE 64
bool scram_verify(const struct scram_exchange *x, const struct scram_keys *k,
    char dst[SCRAM_SERVER_FINAL_SIZE]) WARN_UNUSED;

#endif
