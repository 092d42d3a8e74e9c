/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_MEMORY_PRIVATE_H
#define LOOKUP_TABLE_MEMORY_PRIVATE_H

#include <stdint.h>

#include "lib/base/hash.h"
#include "lookup/table_memory.h"

/* Between table_memory.c, which has the entries, and table_match.c, which looks for what is no key. */
struct networks;
struct regex;

struct entry { /* strings are borrowed, or point into the table's text */
	const char *key, *value;
};

struct made_key { /* the key of an entry with A-labels */
	char *key;
	uint32_t entry;
};

struct table { /* owned by its struct tables */
	char *name, *text;
	struct entry *entries;
	size_t n, cap;
	struct hash_seed seed;
	struct made_key *made; /* in the order of their entries */
	size_t nmade, made_cap;
	uint32_t *slots; /* by hash: number of the key, plus one; 0: free */
	size_t nslots;	 /* a power of two, or 0 */
	bool has_values;
	bool has_parents; /* a key that has_parent() may find */
	uint32_t *patterns;
	size_t npatterns, patterns_cap;
	struct networks *networks; /* NULL until the first question */
	struct regex **regexes;	   /* as that */
	size_t nregexes, refused;  /* that can't be asked */
};

/* -- table_memory.c -- */
/* Is it a key, whatever its case? */
bool table_has_key(const struct table *t, const char *key);
/* A key that must be tried; i below npatterns. */
const char *table_pattern(const struct table *t, size_t i);

#endif
