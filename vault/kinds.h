/* SPDX-License-Identifier: ISC */
#ifndef VAULT_KINDS_H
#define VAULT_KINDS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/secret/stored.h"

/*
 * What checking a password of a table costs, by the kinds of hash that its
 * logins have: a login that does not exist is given a hash of the usual one that
 * no password has, and a SCRAM exchange its usual iterations and length of salt, so
 * that neither time nor form tells it from one that does.  Pure but for random
 * numbers.
 */
#define KINDS_MAX 16 /* kinds of a table that are told apart */

struct kind {
	char name[48]; /* "$y$j9T$", "SCRAM 4096 16" */
	uint64_t logins;
	char dummy[STORED_HASH_SIZE];
};

struct kinds {
	struct kind checks[KINDS_MAX];
	size_t nchecks;
	struct scram_kind {
		uint32_t iterations;
		size_t salt_len;
		uint64_t logins;
	} scrams[KINDS_MAX];
	size_t nscrams; /* 0: no login has SCRAM keys */
};

/* One more login that has this. */
void kinds_count(struct kinds *k, const struct stored *s);
/* A hash, or SCRAM keys, that no password has.  NULL: random numbers failed. */
const char *kinds_dummy(struct kinds *k);
/* The usual iterations and length of salt, or those that we make ourselves. */
struct scram_kind kinds_scram(const struct kinds *k);
/* What a password is checked with, if both are there the hash; into dst. */
void kinds_check_of(const struct stored *s, char dst[STORED_HASH_SIZE]);

#endif
