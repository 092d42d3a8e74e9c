/* SPDX-License-Identifier: ISC */
/*
 * Messages on their way in.
 *
 * A small one waits in memory and reaches the tables in spool_finish() alone.
 * A big one, or any one when all together hold too much, goes to the chunk
 * table as it comes, behind a row in table incoming by which the next start
 * finds what was left half-received.  Invariant: a row of message exists only
 * in the group that has all its chunks and recipients.  Nothing is fatal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "queue/spool_private.h"

#define SMALL_BYTES    (64U << 10) /* a message up to here waits in memory */
#define HELD_BYTES_MAX (8U << 20)  /* of all that wait; beyond it everything spills */
#define EPOCH_S	       1700000000  /* ids count from here, 64 a second */
#define ID_SHIFT       6

void
spool_incoming_free(void *incoming)
{
	struct incoming *inc = incoming;

	if (inc == NULL)
		return;
	buf_free(&inc->buf);
	free(inc);
}

/* Takes a message out of the receiving ones. */
static void
incoming_drop(struct spool *s, struct incoming *inc)
{
	(void)map_remove_u64(s->incoming, inc->id);
	s->held_bytes -= inc->buf.cap;
	spool_incoming_free(inc);
}

static int
incoming_doom_one(void *arg, void *value)
{
	const struct change *why = arg;
	struct incoming *inc = value;

	if (inc->group == why->id && inc->error == 0)
		inc->error = why->error;
	return 0;
}

void
spool_incoming_doom(struct spool *s, int error)
{
	struct change why = {.id = s->group, .error = error};

	(void)map_each(s->incoming, incoming_doom_one, &why);
}

/* Free room is measured once a group and counted down between. */
static bool
room_for(struct spool *s, uint64_t bytes)
{
	struct statvfs fs;

	if (!s->room_known) {
		if (fstatvfs(s->dirfd, &fs) == -1)
			return true; /* the write will tell */
		s->room = (uint64_t)fs.f_bavail * fs.f_frsize;
		s->room_known = true;
	}
	return s->room >= s->options.reserve_bytes && s->room - s->options.reserve_bytes >= bytes;
}

static uint64_t
id_next(struct spool *s, int64_t now_s)
{
	uint64_t floor = now_s > EPOCH_S ? (uint64_t)(now_s - EPOCH_S) << ID_SHIFT : 1;

	if (s->totals.next_id < floor)
		s->totals.next_id = floor;
	return s->totals.next_id++;
}

int
spool_begin(struct spool *s, int64_t now_s, uint64_t expect_bytes, uint64_t *id)
{
	struct incoming *inc;

	bug_on(s->visiting != 0);
	if (spool_up(s, now_s) == -1) {
		errno = EIO;
		return -1;
	}
	if (s->doomed != 0) {
		errno = s->doomed;
		return -1;
	}
	if (!room_for(s, expect_bytes)) {
		errno = ENOSPC;
		return -1;
	}
	if ((inc = calloc(1, sizeof(*inc))) == NULL)
		return -1;
	inc->id = id_next(s, now_s);
	inc->next_seq = 1;
	buf_init(&inc->buf, SMALL_BYTES + SPOOL_CHUNK_MAX);
	if (inc->id > SPOOL_ID_MAX || map_set_u64(s->incoming, inc->id, inc) == -1) {
		free(inc);
		errno = ENOMEM;
		return -1;
	}
	*id = inc->id;
	return 0;
}

static int
chunk_add(struct spool *s, uint64_t id, uint32_t seq, struct span data)
{
	if (seq >= SPOOL_NCHUNKS_MAX) {
		errno = EINVAL;
		return -1;
	}
	spool_bind_int(s, Q_CHUNK_ADD, 1, SPOOL_CHUNK_KEY(id, seq));
	spool_bind_blob(s, Q_CHUNK_ADD, 2, data);
	if (spool_run(s, Q_CHUNK_ADD) == -1)
		return -1;
	s->open_bytes += data.len;
	return 0;
}

/* One row of a body that spills. */
static int
spill_row(struct spool *s, struct incoming *inc, struct span data)
{
	if (spool_tx(s) == -1)
		return -1;
	inc->group = s->group;
	if (!inc->spilled) {
		spool_bind_int(s, Q_INCOMING_ADD, 1, (int64_t)inc->id);
		if (spool_run(s, Q_INCOMING_ADD) == -1)
			return -1;
		inc->spilled = true;
	}
	if (chunk_add(s, inc->id, inc->rows + 1, data) == -1)
		return -1;
	inc->rows++;
	return 0;
}

/* Writes what fills whole rows, and the rest too when memory is short. */
static int
spill(struct spool *s, struct incoming *inc, bool all)
{
	struct span piece;

	while (inc->buf.len >= SPOOL_CHUNK_MAX || (all && inc->buf.len > 0)) {
		piece.data = buf_head(&inc->buf);
		piece.len = inc->buf.len < SPOOL_CHUNK_MAX ? inc->buf.len : SPOOL_CHUNK_MAX;
		if (spill_row(s, inc, piece) == -1)
			return -1;
		buf_consume(&inc->buf, piece.len);
	}
	return 0;
}

static int
incoming_take(struct spool *s, struct incoming *inc, struct span data)
{
	size_t before = inc->buf.cap;
	int rc;

	/* The common case of a big message: whole chunks, straight to the table. */
	if (inc->spilled && inc->buf.len == 0 && data.len == SPOOL_CHUNK_MAX)
		return spill_row(s, inc, data);
	rc = buf_append(&inc->buf, data.data, data.len);
	s->held_bytes += inc->buf.cap - before;
	if (rc == -1)
		return -1;
	if (s->held_bytes > HELD_BYTES_MAX) {
		rc = spill(s, inc, true);
		s->held_bytes -= inc->buf.cap;
		if (rc == 0)
			buf_free(&inc->buf);
		s->held_bytes += inc->buf.cap;
		return rc;
	}
	return inc->bytes > SMALL_BYTES ? spill(s, inc, false) : 0;
}

int
spool_append(struct spool *s, uint64_t id, uint32_t seq, struct span data)
{
	struct incoming *inc = map_get_u64(s->incoming, id);

	bug_on(s->visiting != 0);
	if (inc == NULL || seq != inc->next_seq || data.len > SPOOL_CHUNK_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (inc->error == 0 && s->doomed != 0)
		inc->error = s->doomed;
	if (inc->error == 0) {
		inc->next_seq++;
		inc->bytes += data.len;
		s->room -= s->room < data.len ? s->room : data.len;
		if (incoming_take(s, inc, data) == 0)
			return 0;
		inc->error = errno == EILSEQ ? EIO : errno;
	}
	errno = inc->error;
	return -1;
}

void
spool_abandon(struct spool *s, uint64_t id)
{
	struct incoming *inc = map_get_u64(s->incoming, id);

	bug_on(s->visiting != 0);
	if (inc == NULL)
		return;
	if (inc->spilled)
		spool_condemn(s, id, false);
	incoming_drop(s, inc);
}

/* A message that never spilled: trace and body are cut into rows as one stream. */
static int
store_small(struct spool *s, struct incoming *inc, struct span trace)
{
	size_t room = SPOOL_CHUNK_MAX - trace.len;
	size_t n = inc->buf.len < room ? inc->buf.len : room;
	struct span first = {s->row, trace.len + n};

	if (trace.len > 0)
		memcpy(s->row, trace.data, trace.len);
	if (n > 0)
		memcpy(s->row + trace.len, buf_head(&inc->buf), n);
	buf_consume(&inc->buf, n);
	return chunk_add(s, inc->id, 0, first);
}

/* What is not on disk yet goes there. */
static int
store_body(struct spool *s, struct incoming *inc, struct span trace)
{
	struct span piece;

	if (inc->spilled) {
		spool_bind_int(s, Q_INCOMING_DELETE, 1, (int64_t)inc->id);
		if (spool_run(s, Q_INCOMING_DELETE) == -1 || chunk_add(s, inc->id, 0, trace) == -1)
			return -1;
	} else if (store_small(s, inc, trace) == -1)
		return -1;
	for (; inc->buf.len > 0; buf_consume(&inc->buf, piece.len)) {
		piece.data = buf_head(&inc->buf);
		piece.len = inc->buf.len < SPOOL_CHUNK_MAX ? inc->buf.len : SPOOL_CHUNK_MAX;
		if (chunk_add(s, inc->id, inc->rows + 1, piece) == -1)
			return -1;
		inc->rows++;
	}
	return 0;
}

static int
store_check(
    const struct spool_message *m, struct span trace, const struct spool_rcpt *rcpts, size_t nrcpts)
{
	size_t i;

	if (nrcpts > SPOOL_RCPT_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (nrcpts == 0 || trace.len > SPOOL_CHUNK_MAX || spool_check_message(m) == -1) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < nrcpts; i++)
		if (rcpts[i].state >= SPOOL_FAILED || spool_check_rcpt(&rcpts[i]) == -1) {
			errno = EINVAL;
			return -1;
		}
	return 0;
}

static int
store_rows(struct spool *s, struct incoming *inc, const struct spool_message *m, struct span trace,
    const struct spool_rcpt *rcpts, size_t nrcpts)
{
	struct spool_message row = *m;
	struct spool_rcpt r;
	size_t i;

	if (store_body(s, inc, trace) == -1)
		return -1;
	row.size_bytes = trace.len + inc->bytes;
	row.nchunks = inc->rows + 1;
	if (spool_add_message_row(s, &row, nrcpts) == -1)
		return -1;
	for (i = 0; i < nrcpts; i++) {
		r = rcpts[i];
		r.key = SPOOL_KEY(m->id, i);
		if (spool_add_rcpt_row(s, &r, (m->flags & SPOOL_HELD_MESSAGE) != 0) == -1)
			return -1;
	}
	return 0;
}

int
spool_store_message(struct spool *s, const struct spool_message *m, struct span trace,
    const struct spool_rcpt *rcpts, size_t nrcpts)
{
	struct incoming *inc = map_get_u64(s->incoming, m->id);
	bool wrote = false;
	int error = 0;

	if (inc == NULL) {
		errno = ENOENT;
		return -1;
	}
	if (inc->error != 0)
		error = inc->error;
	else if (store_check(m, trace, rcpts, nrcpts) == -1 || spool_tx(s) == -1 ||
		 spool_hide(s, m->id) == -1)
		error = errno;
	else {
		wrote = true;
		if (store_rows(s, inc, m, trace, rcpts, nrcpts) == -1)
			error = errno;
	}
	if (error != 0 && (wrote || inc->spilled))
		spool_condemn(s, m->id, false);
	incoming_drop(s, inc);
	errno = error;
	return error == 0 ? 0 : -1;
}

void
spool_finish(struct spool *s, const struct spool_message *m, struct span trace,
    const struct spool_rcpt *rcpts, size_t nrcpts, spool_done done, void *arg)
{
	struct change c = {.done = done, .arg = arg, .id = m->id, .kind = CHANGE_NEW};

	bug_on(s->visiting != 0);
	if (spool_store_message(s, m, trace, rcpts, nrcpts) == -1)
		c.error = errno;
	spool_group_add(s, &c);
}
