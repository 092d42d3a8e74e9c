/* SPDX-License-Identifier: ISC */
/* Indexed files as they should not be: every question ends soon, and stays within the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/table_entry.h"
#include "lib/conf/table_index.h"

#define READS_MAX 1200 /* of one question */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	const uint8_t *data;
	size_t size, reads;
};

static int
read_at(void *arg, uint64_t offset, void *dst, size_t n)
{
	struct file *f = arg;

	if (offset > f->size || n > f->size - offset || ++f->reads > READS_MAX)
		abort();
	memcpy(dst, f->data + offset, n);
	return 0;
}

static void
check_record(const struct file *f, const struct table_record *r)
{
	if (r->key_at + r->key_len > f->size || r->value_at + r->value_len > f->size ||
	    r->key_len > TABLE_KEY_MAX || r->value_len > TABLE_INDEX_VALUE_MAX)
		abort();
}

/* The key of each record, which leads to the first one of that key or to none. */
static void
find_again(struct file *f, const struct table_index *x, const struct table_record *r)
{
	char key[TABLE_KEY_MAX + 1];
	struct table_record found;

	memcpy(key, f->data + r->key_at, r->key_len);
	key[r->key_len] = '\0';
	f->reads = 0;
	if (table_index_find(x, key, &found) != 1)
		return;
	check_record(f, &found);
	if (found.key_len != strlen(key) || memcmp(f->data + found.key_at, key, found.key_len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file f = {.data = data, .size = size};
	struct table_index x = {.read_at = read_at, .arg = &f, .size = size};
	struct table_record r;
	uint64_t at = 0, before;

	if (table_index_open(&x) == -1)
		return 0;
	for (;;) {
		f.reads = 0;
		before = at;
		if (table_index_next(&x, &at, &r) != 1)
			return 0;
		if (at <= before)
			abort();
		check_record(&f, &r);
		find_again(&f, &x, &r);
	}
}
