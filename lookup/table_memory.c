/* SPDX-License-Identifier: ISC */
/*
 * One table in memory: its entries and the index of its keys.
 *
 * Invariant: slots holds, for each key whatever its case, the number of the first
 * entry that has it, and half of it is free; patterns holds the keys that
 * must be tried one by one.  A key with a domain that isn't ASCII is found with
 * A-labels, too.  A plain entry costs its two pointers and eight octets of slots,
 * besides its text.  Nothing is fatal.
 */
#include "lookup/table_memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/domains.h"
#include "lookup/networks.h"
#include "lookup/regex.h"
#include "lookup/table_memory_private.h"

#define SLOTS_FIRST 16
#define MADE	    0x80000000U /* in a number: of a key that was made */

struct table *
table_create(const char *name)
{
	struct table *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	hash_seed_make(&t->seed);
	if ((t->name = strdup(name)) == NULL) {
		table_free(t);
		return NULL;
	}
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	while (t->nregexes > 0)
		regex_free(t->regexes[--t->nregexes]);
	free(t->regexes);
	networks_free(t->networks);
	while (t->nmade > 0)
		free(t->made[--t->nmade].key);
	free(t->made);
	free(t->patterns);
	free(t->slots);
	free(t->entries);
	free(t->text);
	free(t->name);
	free(t);
}

/* -- the index -- */

static const char *
key_at(const struct table *t, uint32_t number)
{
	return (number & MADE) != 0 ? t->made[number & ~MADE].key : t->entries[number].key;
}

/* The slot of a key, which is in lower case: that of its entry, or the free one where it belongs. */
static uint32_t *
slot_of(const struct table *t, const char *low)
{
	size_t i = hash_octets(&t->seed, low, strlen(low)) & (t->nslots - 1);

	while (t->slots[i] != 0 && !str_equal_nocase(key_at(t, t->slots[i] - 1), low))
		i = (i + 1) & (t->nslots - 1);
	return &t->slots[i];
}

static int
key_lower(char low[TABLE_KEY_MAX + 1], const char *key)
{
	if (str_copy(low, TABLE_KEY_MAX + 1, key) == -1)
		return -1;
	str_lower(low);
	return 0;
}

/* The first of two entries with one key stays. */
static void
index_key(struct table *t, uint32_t number)
{
	char low[TABLE_KEY_MAX + 1];
	uint32_t *slot;

	if (key_lower(low, key_at(t, number)) == 0 && *(slot = slot_of(t, low)) == 0)
		*slot = number + 1;
}

static void
index_all(struct table *t)
{
	uint32_t i, made = 0;

	for (i = 0; i < t->n; i++) {
		index_key(t, i);
		for (; made < t->nmade && t->made[made].entry == i; made++)
			index_key(t, made | MADE);
	}
}

/* Slots for so many entries and the keys that were made, half of them free. */
static int
index_reserve(struct table *t, size_t entries)
{
	size_t n = t->nslots == 0 ? SLOTS_FIRST : t->nslots;
	uint32_t *slots;

	while (n < (entries + t->nmade) * 2)
		n *= 2;
	if (n == t->nslots)
		return 0;
	if ((slots = calloc(n, sizeof(*slots))) == NULL)
		return -1;
	free(t->slots);
	t->slots = slots;
	t->nslots = n;
	index_all(t);
	return 0;
}

static const struct entry *
table_find(const struct table *t, const char *key)
{
	char low[TABLE_KEY_MAX + 1];
	uint32_t number;

	if (t->nslots == 0 || key_lower(low, key) == -1 || (number = *slot_of(t, low)) == 0)
		return NULL;
	number--;
	return &t->entries[(number & MADE) != 0 ? t->made[number & ~MADE].entry : number];
}

bool
table_has_key(const struct table *t, const char *key)
{
	return table_find(t, key) != NULL;
}

/* -- making it -- */

int
table_reserve(struct table *t, size_t entries)
{
	struct entry *more;

	if (entries > TABLE_ENTRIES_MAX)
		entries = TABLE_ENTRIES_MAX; /* what comes after them is refused */
	if (entries <= t->cap)
		return 0;
	if (index_reserve(t, entries) == -1 ||
	    (more = reallocarray(t->entries, entries, sizeof(*more))) == NULL)
		return -1;
	t->entries = more;
	t->cap = entries;
	return 0;
}

/*
 * Must the entry be tried, or is it found by its key?  ".example.org" is, "*.example.org"
 * and "@.example.org" too: see has_parent().
 */
static bool
is_pattern(const char *key)
{
	const char *at = strrchr(key, '@');

	if (at == NULL && strncmp(key, "*.", 2) == 0)
		return strchr(key + 1, '*') != NULL;
	return strchr(key, '*') != NULL || (at != NULL && at != key && at[1] == '.');
}

/* ".example.org", "*.example.org", "@.example.org" */
static bool
is_parent(const char *key)
{
	return key[0] == '.' || ((key[0] == '*' || key[0] == '@') && key[1] == '.');
}

static int
patterns_add(struct table *t, uint32_t number)
{
	size_t cap = t->patterns_cap == 0 ? 16 : t->patterns_cap * 2;
	uint32_t *more;

	if (t->npatterns == t->patterns_cap) {
		if ((more = reallocarray(t->patterns, cap, sizeof(*more))) == NULL)
			return -1;
		t->patterns = more;
		t->patterns_cap = cap;
	}
	t->patterns[t->npatterns++] = number;
	return 0;
}

const char *
table_pattern(const struct table *t, size_t i)
{
	return key_at(t, t->patterns[i]);
}

static int
made_reserve(struct table *t)
{
	size_t cap = t->made_cap == 0 ? 16 : t->made_cap * 2;
	struct made_key *more;

	if (t->nmade < t->made_cap)
		return 0;
	if ((more = reallocarray(t->made, cap, sizeof(*more))) == NULL)
		return -1;
	t->made = more;
	t->made_cap = cap;
	return 0;
}

/* The same key with A-labels, where it has some. */
static int
made_add(struct table *t, uint32_t entry)
{
	char ascii[TABLE_KEY_MAX + 1];
	uint32_t number = (uint32_t)t->nmade | MADE;
	char *key;

	if (domain_key_to_ascii(t->entries[entry].key, ascii) == -1)
		return 0;
	if (made_reserve(t) == -1 || (key = strdup(ascii)) == NULL)
		return -1;
	t->made[t->nmade++] = (struct made_key){key, entry};
	if (index_reserve(t, t->cap) == -1 || (is_pattern(key) && patterns_add(t, number) == -1))
		return -1;
	index_key(t, number);
	return 0;
}

int
table_add(struct table *t, const char *key, const char *value)
{
	uint32_t number = (uint32_t)t->n;

	if (key[0] == '\0' || strlen(key) > TABLE_KEY_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (t->n == TABLE_ENTRIES_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	if (t->n == t->cap && table_reserve(t, t->cap == 0 ? 8 : t->cap * 2) == -1)
		return -1;
	if (is_pattern(key) && patterns_add(t, number) == -1)
		return -1;
	t->has_parents |= is_parent(key);
	t->has_values |= value != NULL;
	t->entries[t->n++] = (struct entry){key, value};
	index_key(t, number);
	return made_add(t, number);
}

void
table_own_text(struct table *t, char *text)
{
	free(t->text);
	t->text = text;
}

bool
table_owns_text(const struct table *t)
{
	return t->text != NULL;
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

size_t
table_count(const struct table *t)
{
	return t->n;
}

/* -- by key -- */

enum table_answer
table_value(const struct table *t, const char *key, const char **value)
{
	const struct entry *e;

	if (t == NULL)
		return TABLE_TROUBLE;
	if ((e = table_find(t, key)) == NULL || e->value == NULL)
		return TABLE_NO;
	*value = e->value;
	return TABLE_YES;
}

enum table_answer
table_has_word(const struct table *t, const char *word)
{
	if (t == NULL)
		return TABLE_TROUBLE;
	return table_has_key(t, word) ? TABLE_YES : TABLE_NO;
}

bool
table_is_list(const struct table *t)
{
	return !t->has_values;
}

const char *
table_key_at(const struct table *t, size_t i)
{
	return i < t->n ? t->entries[i].key : NULL;
}
