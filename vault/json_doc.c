/* SPDX-License-Identifier: ISC */
/*
 * JSON as it comes from authorization servers, and goes into assertions and what is
 * kept of a consent.
 *
 * Invariants: depth is counted before the library, which descends by recursion, sees
 * the text; all memory of the library is ours, and wiped.  Nothing is fatal.
 */
#include "vault/json_doc.h"

#include <jansson.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/str.h"

/* -- memory: each block has its length before it -- */

#define BEFORE (alignof(max_align_t) > sizeof(size_t) ? alignof(max_align_t) : sizeof(size_t))

static void *
wiped_malloc(size_t n)
{
	unsigned char *block;

	if (n > SIZE_MAX - BEFORE || (block = malloc(BEFORE + n)) == NULL)
		return NULL;
	memcpy(block, &n, sizeof(n));
	return block + BEFORE;
}

static void
wiped_free(void *p)
{
	unsigned char *block;
	size_t n;

	if (p == NULL)
		return;
	block = (unsigned char *)p - BEFORE;
	memcpy(&n, block, sizeof(n));
	explicit_bzero(block, BEFORE + n);
	free(block);
}

/* With a seed of ours it does not look for a file of random numbers. */
int
json_doc_prepare(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -1;
	json_set_alloc_funcs(wiped_malloc, wiped_free);
	json_object_seed(seed | 1);
	return 0;
}

/* -- reading -- */

/* Brackets outside strings; whether they fit together is the library's to say. */
static bool
is_flat(const char *text, size_t len)
{
	bool quoted = false;
	size_t depth = 0, i;

	for (i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > JSON_DEPTH_MAX)
			return false;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return true;
}

struct json_t *
json_doc_read(const void *data, size_t len)
{
	json_t *j;

	if (len > JSON_TEXT_MAX || !is_flat(data, len))
		return NULL;
	j = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

void
json_doc_free(struct json_t *j)
{
	json_decref(j);
}

const char *
json_doc_text(const struct json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

int64_t
json_doc_number(const struct json_t *j, const char *name, int64_t min, int64_t max, int64_t other)
{
	const json_t *value = json_object_get(j, name);
	const char *text = json_string_value(value);
	int64_t n = json_integer_value(value);
	uint64_t number;

	if (text != NULL)
		return min >= 0 && str_u64(text, (uint64_t)min, (uint64_t)max, &number) == 0
			   ? (int64_t)number
			   : other;
	return json_is_integer(value) && n >= min && n <= max ? n : other;
}

/* -- writing -- */

struct json_t *
json_doc_create(void)
{
	return json_pack("{}"); /* control/json.h has a json_object(), too */
}

int
json_doc_add_text(struct json_t *j, const char *name, const char *value)
{
	return value == NULL ? 0 : json_object_set_new(j, name, json_string(value));
}

int
json_doc_add_number(struct json_t *j, const char *name, int64_t value)
{
	return json_object_set_new(j, name, json_integer(value));
}

int
json_doc_write(const struct json_t *j, struct buf *out)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	size_t n = json_dumpb(j, NULL, 0, flags);
	uint8_t *room;

	if (n == 0 || (room = buf_reserve(out, n)) == NULL)
		return -1;
	if (json_dumpb(j, (char *)room, n, flags) != n)
		return -1;
	buf_commit(out, n);
	return 0;
}
