/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_MAP_H
#define LIB_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * A hash map from byte strings or 64-bit numbers to pointers.  Keys are
 * copied; values belong to the caller.  The hash is keyed with random bytes
 * (SipHash), so that a stranger who chooses the keys can't choose the collisions.
 */
struct map;

struct map *map_create(size_t max); /* max: entries it may hold; NULL: ENOMEM */
void map_free(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */

/* -1: ENOBUFS (full), ENOMEM.  An old value under the key is replaced, not freed. */
int map_set(struct map *m, const char *key, void *value) WARN_UNUSED;
void *map_get(const struct map *m, const char *key); /* NULL: not there */
void *map_remove(struct map *m, const char *key);    /* the value, or NULL */

int map_set_u64(struct map *m, uint64_t key, void *value) WARN_UNUSED;
void *map_get_u64(const struct map *m, uint64_t key);
void *map_remove_u64(struct map *m, uint64_t key);

size_t map_count(const struct map *m);
/* Calls visit on each entry until it returns non-zero; the map must not change meanwhile. */
int map_each(const struct map *m, int (*visit)(void *arg, void *value), void *arg);

#endif
