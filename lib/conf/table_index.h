/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_TABLE_INDEX_H
#define LIB_CONF_TABLE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * An indexed table: a file in the format of cdb (D. J. Bernstein, "A
 * structure for constant databases", 1996) that "smtpctl table build" made.
 * Keys are in lower case, a key without a value has an empty one.  Under the
 * empty key, which no table has, stands "postern-table 1 COUNT".
 *
 * A reader of our own, since a file may be damaged while it is used: whatever
 * is in it, a question costs a bounded number of reads and none is mapped.
 */
#define TABLE_INDEX_MAGIC     "postern-table 1 "
#define TABLE_INDEX_VALUE_MAX (1U << 20) /* octets */
#define TABLE_INDEX_HEAD      2048	 /* octets of its first part */

struct table_index {
	/* All n octets that stand at an offset; -1 with errno. */
	int (*read_at)(void *arg, uint64_t offset, void *dst, size_t n);
	void *arg;
	uint64_t size;	/* of the file, in octets */
	uint64_t count; /* of entries, as the file says */
	uint8_t head[TABLE_INDEX_HEAD];
};

struct table_record { /* where it stands in the file */
	uint64_t key_at, value_at;
	size_t key_len, value_len;
};

/* read_at, arg and size are filled by the caller.  -1: EPROTO, it is not such a file; errno of read_at. */
int table_index_open(struct table_index *x) WARN_UNUSED;
/*
 * The first record of a key, which must be in lower case: 1 with *out, 0 when there
 * is none.  -1: EPROTO when the file is damaged, errno of read_at.
 */
int table_index_find(
    const struct table_index *x, const char *key, struct table_record *out) WARN_UNUSED;
/*
 * All records in the order of the file: *at is 0 at first.  1, 0 and -1 as above; the record of
 * the empty key is among them.
 */
int
table_index_next(const struct table_index *x, uint64_t *at, struct table_record *out) WARN_UNUSED;

#endif
