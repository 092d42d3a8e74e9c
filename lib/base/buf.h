/* SPDX-License-Identifier: ISC */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * A byte queue with a ceiling: appended at the tail, consumed at the head.
 * Nothing is allocated until the first byte; buf_free() gives all back and
 * leaves the buffer usable.  Readable bytes are data[head .. head+len).  What
 * is consumed is overwritten at once.
 */
struct buf {
	uint8_t *data;
	size_t head, len, cap;
	size_t max; /* octets it may ever hold; appending past it is ENOBUFS */
};

struct span { /* bytes that somebody else owns */
	const uint8_t *data;
	size_t len;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Room for n more contiguous octets at the tail: pointer, or NULL with ENOBUFS or ENOMEM. */
uint8_t *buf_reserve(struct buf *b, size_t n) WARN_UNUSED;
void buf_commit(struct buf *b, size_t n); /* n of the reserved octets were written */
int buf_append(struct buf *b, const void *data, size_t n) WARN_UNUSED;
int buf_append_str(struct buf *b, const char *s) WARN_UNUSED;
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) WARN_UNUSED;
void buf_consume(struct buf *b, size_t n);
const uint8_t *buf_head(const struct buf *b);

#endif
