/* SPDX-License-Identifier: ISC */
/*
 * Reading cdb files.  The first 2,048 octets are 256 pairs of where a hash
 * table stands and how many slots it has; a slot is the hash of a key and where
 * its record stands, both 0 where it is free; a record is the lengths of key and
 * value, then these.  All numbers are of 32 bits, the least octet first.
 *
 * Invariant: whatever the file, a question looks at no more than SLOTS_MAX slots
 * and MATCHES_MAX records, and nothing beyond the file's size is asked for.
 */
#include "lib/conf/table_index.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/table_entry.h"

#define RECORD_HEAD 8	 /* octets: its lengths */
#define SLOT	    8	 /* octets of one */
#define SLOTS_ONCE  64	 /* that are read at a time */
#define SLOTS_MAX   4096 /* half of a table's slots are free, so a run of more is no accident */
#define MATCHES_MAX 1024 /* records whose key has the hash that is looked for */

static uint32_t
unpack(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t
key_hash(const char *key, size_t len)
{
	uint32_t hash = 5381;
	size_t i;

	for (i = 0; i < len; i++)
		hash = ((hash << 5) + hash) ^ (uint8_t)key[i];
	return hash;
}

static int
damaged(void)
{
	errno = EPROTO;
	return -1;
}

static int
read_within(const struct table_index *x, uint64_t at, void *dst, size_t n)
{
	if (at > x->size || n > x->size - at)
		return damaged();
	return n == 0 ? 0 : x->read_at(x->arg, at, dst, n);
}

/* -- records -- */

/* What its lengths say of the record at an offset. */
static int
record_take(
    const struct table_index *x, uint64_t at, const uint8_t *lengths, struct table_record *out)
{
	out->key_len = unpack(lengths);
	out->value_len = unpack(lengths + 4);
	out->key_at = at + RECORD_HEAD;
	out->value_at = out->key_at + out->key_len;
	if (out->key_len > TABLE_KEY_MAX || out->value_len > TABLE_INDEX_VALUE_MAX ||
	    out->value_at + out->value_len > x->size)
		return damaged();
	return 0;
}

/* 1: the record at an offset is that of the key, 0: it is another's. */
static int
record_is(const struct table_index *x, uint64_t at, const char *key, struct table_record *out)
{
	uint8_t found[RECORD_HEAD + TABLE_KEY_MAX];
	size_t len = strlen(key), n = RECORD_HEAD + len;

	/* Lengths and key at once, but not beyond the end. */
	if (at < x->size && n > x->size - at)
		n = (size_t)(x->size - at);
	if (read_within(x, at, found, n) == -1 || record_take(x, at, found, out) == -1)
		return -1;
	return out->key_len == len && memcmp(found + RECORD_HEAD, key, len) == 0;
}

/* -- slots -- */

struct search {
	const struct table_index *index;
	const char *key;
	uint32_t hash;
	unsigned int matches;
	struct table_record *out;
};

#define SEARCH_ON 2 /* neither found nor known to be nowhere */

static int
search_slots(struct search *s, const uint8_t *slots, uint32_t n)
{
	for (; n > 0; n--, slots += SLOT) {
		uint32_t at = unpack(slots + 4);
		int is;

		if (at == 0)
			return 0;
		if (unpack(slots) != s->hash)
			continue;
		if (s->matches++ == MATCHES_MAX)
			return damaged();
		if ((is = record_is(s->index, at, s->key, s->out)) != 0)
			return is;
	}
	return SEARCH_ON;
}

/* How many slots to read next: up to the end of the hash table, where it goes on at its start. */
static uint32_t
slots_ahead(uint32_t nslots, uint32_t slot, uint32_t seen)
{
	uint32_t n = SLOTS_ONCE;

	if (n > nslots - slot)
		n = nslots - slot;
	return n < nslots - seen ? n : nslots - seen;
}

int
table_index_find(const struct table_index *x, const char *key, struct table_record *out)
{
	size_t len = strlen(key);
	struct search s = {.index = x, .key = key, .hash = key_hash(key, len), .out = out};
	const uint8_t *head = x->head + (s.hash & 0xff) * SLOT;
	uint64_t table = unpack(head);
	uint32_t nslots = unpack(head + 4), slot, seen, n;
	uint8_t slots[SLOTS_ONCE * SLOT];
	int found = 0;

	if (nslots == 0 || len > TABLE_KEY_MAX)
		return 0;
	slot = (s.hash >> 8) % nslots;
	for (seen = 0; seen < nslots; seen += n) {
		if (seen >= SLOTS_MAX)
			return damaged();
		n = slots_ahead(nslots, slot, seen);
		if (read_within(x, table + (uint64_t)slot * SLOT, slots, n * SLOT) == -1)
			return -1;
		if ((found = search_slots(&s, slots, n)) != SEARCH_ON)
			return found;
		slot = slot + n == nslots ? 0 : slot + n;
	}
	return 0;
}

/* -- the file -- */

/* The first hash table begins where the records end. */
static uint64_t
records_end(const struct table_index *x)
{
	return unpack(x->head);
}

int
table_index_open(struct table_index *x)
{
	char text[sizeof(TABLE_INDEX_MAGIC) + 20];
	const size_t prefix = strlen(TABLE_INDEX_MAGIC);
	struct table_record r;
	int found;

	if (x->size > UINT32_MAX)
		return damaged();
	if (read_within(x, 0, x->head, sizeof(x->head)) == -1 ||
	    (found = table_index_find(x, "", &r)) == -1)
		return -1;
	if (found == 0 || r.value_len >= sizeof(text) || records_end(x) > x->size)
		return damaged();
	if (read_within(x, r.value_at, text, r.value_len) == -1)
		return -1;
	text[r.value_len] = '\0';
	if (strncmp(text, TABLE_INDEX_MAGIC, prefix) != 0 ||
	    str_u64(text + prefix, 0, UINT32_MAX, &x->count) == -1)
		return damaged();
	return 0;
}

int
table_index_next(const struct table_index *x, uint64_t *at, struct table_record *out)
{
	uint8_t lengths[RECORD_HEAD];

	if (*at == 0)
		*at = TABLE_INDEX_HEAD;
	if (*at == records_end(x))
		return 0;
	if (*at > records_end(x))
		return damaged();
	if (read_within(x, *at, lengths, sizeof(lengths)) == -1 ||
	    record_take(x, *at, lengths, out) == -1)
		return -1;
	*at = out->value_at + out->value_len;
	return 1;
}
