/* SPDX-License-Identifier: ISC */
#ifndef LIB_SECRET_STORED_H
#define LIB_SECRET_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/secret/scram.h"

/*
 * What a table keeps for a login, and how it is made.  It is a value of words
 * separated by blanks, one of each kind at most:
 *
 *   $y$... $2b$... $6$... $5$...   a hash of crypt(5)
 *   SCRAM-SHA-256$...              keys of SCRAM, see scram.h
 *
 * Anything weaker than these is not a hash here, and neither is one that takes
 * more than about two seconds to check.
 */
#define STORED_HASH_SIZE  384  /* of one hash of crypt(3), NUL included: its CRYPT_OUTPUT_SIZE */
#define STORED_VALUE_MAX  1024 /* octets of a value */
#define STORED_NEW_SIZE	  384  /* of what stored_make() makes, NUL included */
#define STORED_SECRET_MAX 1024 /* octets of a password or token */

struct stored {
	char hash[STORED_HASH_SIZE]; /* "": none */
	bool has_scram;
	struct scram_keys scram;
};

/*
 * Takes a value apart.  What is no hash that we know is left out; -1 with
 * EINVAL and *why ("weaker than SHA-256-crypt", to be logged) when nothing is left.
 */
int stored_parse(const char *value, struct stored *out, const char **why) WARN_UNUSED;

/* A hash of crypt(5) that is strong enough, and cheap enough to check?  NULL: yes; else why not. */
const char *stored_hash_fault(const char *hash);

/*
 * The part of a hash that says how dear it is, "$y$j9T$" or "$2b$12$": its length.
 * Two hashes that have it in common take the same time.
 */
size_t stored_hash_kind(const char *hash);
/*
 * A hash of the same kind (and length of salt) that no password has, for a login that does not
 * exist; like NULL or "": of the kind that stored_make() prefers.  -1: random numbers failed.
 */
int stored_hash_fake(const char *like, char dst[STORED_HASH_SIZE]) WARN_UNUSED;

/* -- making them -- */

enum stored_method {
	STORED_YESCRYPT, /* the one to prefer */
	STORED_BCRYPT,
	STORED_SHA512,
	STORED_SCRAM,
	STORED_TOKEN, /* no hash but a table's key, see token.h */
	STORED_METHOD__MAX
};

const char *stored_method_name(enum stored_method m); /* "yescrypt", "scram-sha-256"... */
int stored_method_parse(const char *name, enum stored_method *out) WARN_UNUSED; /* -1: EINVAL */

/*
 * Makes the word to keep for a secret, with a salt of its own.  -1: EINVAL (a
 * secret that is empty, has a NUL, or is longer than the method takes into
 * account: 72 octets for bcrypt), or what the system says.
 */
int stored_make(
    enum stored_method m, const char *secret, size_t len, char dst[STORED_NEW_SIZE]) WARN_UNUSED;

#endif
