/* SPDX-License-Identifier: ISC */
/*
 * The byte queue that every stream passes through.
 *
 * Invariants: head + len <= cap <= max, and len never exceeds max: what comes
 * from outside can't make one grow past what its owner declared.  No octet is
 * left behind, neither in the buffer nor in freed memory, once it is consumed: it may have
 * been one of a password.
 */
#include "lib/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_free(struct buf *b)
{
	if (b->len > 0)
		explicit_bzero(b->data + b->head, b->len);
	free(b->data);
	b->data = NULL;
	b->head = b->len = b->cap = 0;
}

const uint8_t *
buf_head(const struct buf *b)
{
	return b->data == NULL ? NULL : b->data + b->head;
}

static int
buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap == 0 ? BUF_FIRST : b->cap;
	uint8_t *data;

	while (cap < need)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	/* Not realloc(): it would leave a copy behind. */
	if ((data = malloc(cap)) == NULL)
		return -1;
	if (b->len > 0) {
		memcpy(data, b->data + b->head, b->len);
		explicit_bzero(b->data + b->head, b->len);
	}
	free(b->data);
	b->data = data;
	b->head = 0;
	b->cap = cap;
	return 0;
}

static void
buf_move_to_front(struct buf *b)
{
	size_t stale = b->head < b->len ? b->head : b->len;

	memmove(b->data, b->data + b->head, b->len);
	explicit_bzero(b->data + b->head + b->len - stale, stale);
	b->head = 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max || b->len > b->max - n) {
		errno = ENOBUFS;
		return NULL;
	}
	if (b->len + n > b->cap && buf_grow(b, b->len + n) == -1)
		return NULL;
	if (b->head + b->len + n > b->cap)
		buf_move_to_front(b);
	if (b->data == NULL && buf_grow(b, 1) == -1)
		return NULL;
	return b->data + b->head + b->len;
}

void
buf_commit(struct buf *b, size_t n)
{
	bug_on(b->head + b->len + n > b->cap);
	b->len += n;
}

int
buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p;

	if (n == 0)
		return 0;
	if ((p = buf_reserve(b, n)) == NULL)
		return -1;
	memcpy(p, data, n);
	b->len += n;
	return 0;
}

int
buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = buf_reserve(b, (size_t)n + 1)) == NULL)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	bug_on(n > b->len);
	if (n > 0)
		explicit_bzero(b->data + b->head, n);
	b->len -= n;
	b->head = b->len == 0 ? 0 : b->head + n;
}
