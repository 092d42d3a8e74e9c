/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_HASH_H
#define LIB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012): keyed with random bytes, so
 * that a stranger who chooses what is hashed can't choose the collisions.
 */
struct hash_seed {
	uint64_t k[2];
};

void hash_seed_make(struct hash_seed *seed);
uint64_t hash_octets(const struct hash_seed *seed, const void *data, size_t len);

#endif
