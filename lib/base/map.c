/* SPDX-License-Identifier: ISC */
/*
 * Hash map: open hashing, a keyed hash, a ceiling on entries.
 *
 * Invariant: count <= max, and every entry sits in the bucket of its hash.
 */
#include "lib/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

#define MAP_BUCKETS_FIRST 16

struct entry { /* owned by its map */
	struct entry *next;
	uint64_t hash;
	void *value;
	size_t len;
	uint8_t key[];
};

struct map {
	struct entry **buckets;
	size_t nbuckets, count, max;
	struct hash_seed seed;
};

static uint64_t
map_hash(const struct map *m, const void *key, size_t len)
{
	return hash_octets(&m->seed, key, len);
}

struct map *
map_create(size_t max)
{
	struct map *m;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	m->max = max;
	m->nbuckets = MAP_BUCKETS_FIRST;
	if ((m->buckets = calloc(m->nbuckets, sizeof(*m->buckets))) == NULL) {
		free(m);
		return NULL;
	}
	hash_seed_make(&m->seed);
	return m;
}

void
map_free(struct map *m, void (*free_value)(void *))
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->nbuckets; i++) {
		struct entry *e = m->buckets[i], *next;

		for (; e != NULL; e = next) {
			next = e->next;
			if (free_value != NULL)
				free_value(e->value);
			free(e);
		}
	}
	free(m->buckets);
	free(m);
}

static struct entry **
map_slot(const struct map *m, const void *key, size_t len, uint64_t hash)
{
	struct entry **e = &m->buckets[hash & (m->nbuckets - 1)];

	while (*e != NULL &&
	       ((*e)->hash != hash || (*e)->len != len || memcmp((*e)->key, key, len) != 0))
		e = &(*e)->next;
	return e;
}

/* Failure to grow only makes chains longer. */
static void
map_grow(struct map *m)
{
	size_t n = m->nbuckets * 2, i;
	struct entry **fresh, *e, *next;

	if ((fresh = calloc(n, sizeof(*fresh))) == NULL)
		return;
	for (i = 0; i < m->nbuckets; i++)
		for (e = m->buckets[i]; e != NULL; e = next) {
			next = e->next;
			e->next = fresh[e->hash & (n - 1)];
			fresh[e->hash & (n - 1)] = e;
		}
	free(m->buckets);
	m->buckets = fresh;
	m->nbuckets = n;
}

static int
map_put(struct map *m, const void *key, size_t len, void *value)
{
	uint64_t hash = map_hash(m, key, len);
	struct entry **slot = map_slot(m, key, len, hash), *e;

	if (*slot != NULL) {
		(*slot)->value = value;
		return 0;
	}
	if (m->count >= m->max) {
		errno = ENOBUFS;
		return -1;
	}
	if ((e = malloc(sizeof(*e) + len)) == NULL)
		return -1;
	*e = (struct entry){.hash = hash, .value = value, .len = len};
	memcpy(e->key, key, len);
	*slot = e;
	if (++m->count > m->nbuckets)
		map_grow(m);
	return 0;
}

static void *
map_find(const struct map *m, const void *key, size_t len)
{
	struct entry *e = *map_slot(m, key, len, map_hash(m, key, len));

	return e == NULL ? NULL : e->value;
}

static void *
map_take(struct map *m, const void *key, size_t len)
{
	struct entry **slot = map_slot(m, key, len, map_hash(m, key, len)), *e = *slot;
	void *value;

	if (e == NULL)
		return NULL;
	*slot = e->next;
	value = e->value;
	free(e);
	m->count--;
	return value;
}

int
map_set(struct map *m, const char *key, void *value)
{
	return map_put(m, key, strlen(key), value);
}

void *
map_get(const struct map *m, const char *key)
{
	return map_find(m, key, strlen(key));
}

void *
map_remove(struct map *m, const char *key)
{
	return map_take(m, key, strlen(key));
}

int
map_set_u64(struct map *m, uint64_t key, void *value)
{
	return map_put(m, &key, sizeof(key), value);
}

void *
map_get_u64(const struct map *m, uint64_t key)
{
	return map_find(m, &key, sizeof(key));
}

void *
map_remove_u64(struct map *m, uint64_t key)
{
	return map_take(m, &key, sizeof(key));
}

size_t
map_count(const struct map *m)
{
	return m->count;
}

int
map_each(const struct map *m, int (*visit)(void *arg, void *value), void *arg)
{
	size_t i;
	int rc;

	for (i = 0; i < m->nbuckets; i++) {
		struct entry *e, *next;

		for (e = m->buckets[i]; e != NULL; e = next) {
			next = e->next;
			if ((rc = visit(arg, e->value)) != 0)
				return rc;
		}
	}
	return 0;
}
