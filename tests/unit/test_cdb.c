/* SPDX-License-Identifier: ISC */
/* Indexed tables: what libcdb writes is found, and what is damaged does no harm. */
#include <sys/stat.h>

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lib/conf/table_index.h"
#include "lookup/table_cdb.h"

static size_t log_lines;

static void
count_lines(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	log_lines += strstr(line, "event=table-trouble") != NULL;
}

/* -- files -- */

static int
file_open(void)
{
	char path[] = "/tmp/test_cdb.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(unlink(path), 0);
	return fd;
}

/* Pairs of key and value, NULL at the end; magic NULL: none. */
static int
file_make(const char *const *pairs, const char *magic)
{
	struct cdb_make cdb;
	int fd = file_open();

	assert_int_equal(cdb_make_start(&cdb, fd), 0);
	for (; pairs[0] != NULL; pairs += 2)
		assert_int_equal(cdb_make_add(&cdb, pairs[0], (unsigned int)strlen(pairs[0]),
				     pairs[1], (unsigned int)strlen(pairs[1])),
		    0);
	if (magic != NULL)
		assert_int_equal(cdb_make_add(&cdb, "", 0, magic, (unsigned int)strlen(magic)), 0);
	assert_int_equal(cdb_make_finish(&cdb), 0);
	return fd;
}

static enum table_answer
find(void *t, const char *key, const char **value)
{
	struct memo_waiter w = {0};

	return table_cdb_ops.find(t, SERVICE_VIRTUAL, key, &w, value);
}

static void *
table_make(int fd)
{
	void *t = table_cdb_ops.create(NULL, "test");

	assert_non_null(t);
	assert_int_equal(table_cdb_ops.load(t, "", fd), 0);
	return t;
}

static const char *const few[] = {"bob", "alice", "carol", "", "bob", "second", NULL};

static void
test_find(void **state)
{
	void *t = table_make(file_make(few, TABLE_INDEX_MAGIC "3"));
	char key[TABLE_KEY_MAX + 2];
	const char *value = NULL;

	(void)state;
	assert_int_equal(find(t, "bob", &value), TABLE_YES);
	assert_string_equal(value, "alice");
	assert_int_equal(find(t, "carol", &value), TABLE_YES);
	assert_string_equal(value, "");
	assert_int_equal(find(t, "dave", &value), TABLE_NO);
	assert_int_equal(find(t, "bo", &value), TABLE_NO);
	assert_int_equal(find(t, "bobb", &value), TABLE_NO);
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(find(t, key, &value), TABLE_NO);
	table_cdb_ops.free(t);
}

static void
test_many(void **state)
{
	enum { ENTRIES = 20000 };
	struct cdb_make cdb;
	char key[32], want[32], *large = malloc(TABLE_INDEX_VALUE_MAX);
	const char *value;
	int fd = file_open(), i;
	void *t;

	(void)state;
	assert_non_null(large);
	memset(large, 'v', TABLE_INDEX_VALUE_MAX);
	assert_int_equal(cdb_make_start(&cdb, fd), 0);
	for (i = 0; i < ENTRIES; i++) {
		int n = snprintf(key, sizeof(key), "user%d@example.org", i);
		int m = snprintf(want, sizeof(want), "mailbox%d", i);

		assert_int_equal(
		    cdb_make_add(&cdb, key, (unsigned int)n, want, (unsigned int)m), 0);
	}
	assert_int_equal(cdb_make_add(&cdb, "large", 5, large, TABLE_INDEX_VALUE_MAX), 0);
	assert_int_equal(cdb_make_add(&cdb, "", 0, TABLE_INDEX_MAGIC "20001", 21), 0);
	assert_int_equal(cdb_make_finish(&cdb), 0);
	t = table_make(fd);
	for (i = 0; i < ENTRIES; i++) {
		(void)snprintf(key, sizeof(key), "user%d@example.org", i);
		(void)snprintf(want, sizeof(want), "mailbox%d", i);
		assert_int_equal(find(t, key, &value), TABLE_YES);
		assert_string_equal(value, want);
		(void)snprintf(key, sizeof(key), "nobody%d@example.org", i);
		assert_int_equal(find(t, key, &value), TABLE_NO);
	}
	assert_int_equal(find(t, "large", &value), TABLE_YES);
	assert_int_equal(strlen(value), TABLE_INDEX_VALUE_MAX);
	assert_memory_equal(value, large, TABLE_INDEX_VALUE_MAX);
	assert_int_equal(find(t, "user7@example.org", &value), TABLE_YES);
	assert_string_equal(value, "mailbox7");
	table_cdb_ops.free(t);
	free(large);
}

/* Before its file has come it is trouble, and a bad one changes nothing. */
static void
test_load(void **state)
{
	static const char *const other[] = {"bob", "carol", NULL};
	static const char *const magics[] = {NULL, "", "postern-table 2 1", TABLE_INDEX_MAGIC,
	    TABLE_INDEX_MAGIC "x", TABLE_INDEX_MAGIC "1 ", TABLE_INDEX_MAGIC "99999999999",
	    TABLE_INDEX_MAGIC "000000000000000000000000000000000000001"};
	void *t = table_cdb_ops.create(NULL, "test");
	const char *value = NULL;
	size_t i;
	int fd;

	(void)state;
	assert_non_null(t);
	assert_int_equal(find(t, "bob", &value), TABLE_TROUBLE);
	assert_int_equal(table_cdb_ops.load(t, "", file_make(few, TABLE_INDEX_MAGIC "3")), 0);
	for (i = 0; i < NITEMS(magics); i++) {
		fd = file_make(other, magics[i]);
		assert_int_equal(table_cdb_ops.load(t, "", fd), -1);
		assert_int_equal(errno, EPROTO);
		assert_int_equal(fcntl(fd, F_GETFD), -1); /* it is closed */
	}
	assert_int_equal(table_cdb_ops.load(t, "", file_open()), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(table_cdb_ops.load(t, "", open("/dev/null", O_RDONLY)), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(find(t, "bob", &value), TABLE_YES);
	assert_string_equal(value, "alice");
	assert_int_equal(table_cdb_ops.load(t, "", file_make(other, TABLE_INDEX_MAGIC "1")), 0);
	assert_int_equal(find(t, "bob", &value), TABLE_YES);
	assert_string_equal(value, "carol");
	table_cdb_ops.free(t);
}

/* Shortened while it is used: trouble for what is gone, each of a few times in the log. */
static void
test_shortened(void **state)
{
	int fd = file_make(few, TABLE_INDEX_MAGIC "3"), i;
	void *t = table_make(fd);
	const char *value = NULL;

	(void)state;
	log_lines = 0;
	assert_int_equal(ftruncate(fd, TABLE_INDEX_HEAD + 8), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(find(t, "bob", &value), TABLE_TROUBLE);
	assert_int_equal(log_lines, 10);
	table_cdb_ops.free(t);
}

/* -- octets in memory -- */

struct octets {
	uint8_t *data;
	size_t len;
	size_t reads, most; /* how often, and the furthest that was asked for */
};

static int
octets_read(void *arg, uint64_t offset, void *dst, size_t n)
{
	struct octets *o = arg;

	o->reads++;
	assert_true(offset + n <= o->len);
	memcpy(dst, o->data + offset, n);
	return 0;
}

static struct octets
octets_of(int fd)
{
	struct octets o = {0};
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	o.len = (size_t)st.st_size;
	assert_non_null(o.data = malloc(o.len));
	assert_int_equal(pread(fd, o.data, o.len, 0), (ssize_t)o.len);
	(void)close(fd);
	return o;
}

/* Opens it, looks for what is and what is not there, and walks through: it ends, and stays within. */
static void
look_at(struct octets *o, size_t len)
{
	struct table_index x = {.read_at = octets_read, .arg = o, .size = len};
	size_t whole = o->len, records = 0;
	struct table_record r;
	uint64_t at = 0;

	o->len = len;
	if (table_index_open(&x) == 0) {
		if (table_index_find(&x, "bob", &r) == 1)
			assert_true(r.value_at + r.value_len <= len);
		(void)!table_index_find(&x, "nobody", &r);
		while (table_index_next(&x, &at, &r) == 1) {
			assert_true(r.key_at + r.key_len <= len);
			assert_true(++records < len);
		}
	}
	o->len = whole;
}

static void
test_damage(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct octets o = octets_of(file_make(few, TABLE_INDEX_MAGIC "3"));
	size_t i, j;

	(void)state;
	for (i = 0; i <= o.len; i++)
		look_at(&o, i);
	for (i = 0; i < o.len; i++) {
		uint8_t good = o.data[i];

		for (j = 0; j < NITEMS(values); j++) {
			o.data[i] = values[j];
			look_at(&o, o.len);
		}
		o.data[i] = good;
	}
	free(o.data);
}

static void
put(struct octets *o, size_t at, uint32_t number)
{
	int i;

	for (i = 0; i < 4; i++)
		o->data[at + (size_t)i] = (uint8_t)(number >> 8 * i);
}

/*
 * One hash table of so many slots for all keys, none of them free: of another
 * hash, or of that of "bob" and leading to another key's record.
 */
static struct octets
octets_full(uint32_t nslots, bool same_hash)
{
	const size_t table = TABLE_INDEX_HEAD + 16;
	struct octets o = {.len = table + nslots * 8};
	size_t i;

	assert_non_null(o.data = calloc(1, o.len));
	for (i = 0; i < 256; i++) {
		put(&o, i * 8, (uint32_t)table);
		put(&o, i * 8 + 4, nslots);
	}
	put(&o, TABLE_INDEX_HEAD, 3);
	memcpy(o.data + TABLE_INDEX_HEAD + 8, "eve", 3);
	for (i = 0; i < nslots; i++) {
		put(&o, table + i * 8, cdb_hash("bob", 3) + (same_hash ? 0 : 1));
		put(&o, table + i * 8 + 4, TABLE_INDEX_HEAD);
	}
	return o;
}

static void
test_bounded_search(void **state)
{
	static const struct {
		uint32_t nslots;
		bool same_hash;
		int want;
		size_t reads; /* at most */
	} cases[] = {
	    {4096, false, 0, 66}, /* what is full is searched through */
	    {100000, false, -1, 66},
	    {1000, true, 0, 1020},
	    {100000, true, -1, 1050},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct octets o = octets_full(cases[i].nslots, cases[i].same_hash);
		struct table_index x = {.read_at = octets_read, .arg = &o, .size = o.len};
		struct table_record r;

		memcpy(x.head, o.data, sizeof(x.head));
		assert_int_equal(table_index_find(&x, "bob", &r), cases[i].want);
		if (cases[i].want == -1)
			assert_int_equal(errno, EPROTO);
		print_message("%u slots: %zu reads\n", cases[i].nslots, o.reads);
		assert_true(o.reads <= cases[i].reads);
		free(o.data);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_load),
	    cmocka_unit_test(test_shortened),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_bounded_search),
	};

	log_set_sink(count_lines, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
