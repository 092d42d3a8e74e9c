/* SPDX-License-Identifier: ISC */
/* The keyed hash of everything that is found by hashing. */
#include "lib/base/hash.h"

#include <string.h>
#include <sys/random.h>

void
hash_seed_make(struct hash_seed *seed)
{
	if (getrandom(seed, sizeof(*seed), 0) == (ssize_t)sizeof(*seed))
		return;
	/* Addresses are random too, if less so. */
	seed->k[0] = (uint64_t)(uintptr_t)seed;
	seed->k[1] = (uint64_t)(uintptr_t)&hash_seed_make;
}

static uint64_t
rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t
hash_octets(const struct hash_seed *seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {seed->k[0] ^ 0x736f6d6570736575ULL, seed->k[1] ^ 0x646f72616e646f6dULL,
	    seed->k[0] ^ 0x6c7967656e657261ULL, seed->k[1] ^ 0x7465646279746573ULL};
	uint64_t last = (uint64_t)len << 56, w;
	size_t i, whole = len & ~(size_t)7;

	for (i = 0; i < whole; i += 8) {
		memcpy(&w, p + i, 8);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	for (i = whole; i < len; i++)
		last |= (uint64_t)p[i] << (8 * (i & 7));
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
