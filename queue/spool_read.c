/* SPDX-License-Identifier: ISC */
/*
 * What the spool answers at once: the schedule, bodies, the admin's view.
 *
 * Invariant: nothing that is not durable is ever given to the schedule, so
 * that no message is delivered of which its client may yet hear 451, and no
 * recipient is worked on whose number a rollback could give to another.
 * Nothing is fatal; damaged rows are quarantined on the way.
 */
#include <errno.h>

#include "queue/spool_private.h"

/* Reads answer EIO for what only this folder tells apart. */
static int
read_failed(void)
{
	if (errno == EILSEQ)
		errno = EIO;
	return -1;
}

static int
read_start(struct spool *s)
{
	bug_on(s->visiting != 0);
	if (s->db != NULL)
		return 0;
	errno = EIO;
	return -1;
}

/*
 * One message, on whose row Q_MESSAGE_GET then stands: 1, the caller ends it.
 * 0: there is none (errno ENOENT), or none fit to work with (EILSEQ).
 */
static int
message_get(struct spool *s, uint64_t id, struct spool_message *m)
{
	int got;

	spool_bind_int(s, Q_MESSAGE_GET, 1, (int64_t)id);
	if ((got = spool_step(s, Q_MESSAGE_GET)) == 0) {
		errno = ENOENT;
		return 0;
	}
	if (got == 1 && spool_get_message_row(s, Q_MESSAGE_GET, m) == 0)
		return 1;
	spool_end(s, Q_MESSAGE_GET);
	if (errno != EILSEQ)
		return -1;
	spool_quarantine_message(s, id, "bad message row", false);
	errno = EILSEQ;
	return 0;
}

static int
rcpt_get(struct spool *s, uint64_t key, struct spool_rcpt *r)
{
	int got;

	spool_bind_int(s, Q_RCPT_GET, 1, (int64_t)key);
	if ((got = spool_step(s, Q_RCPT_GET)) == 0) {
		spool_doubt(s, SPOOL_INDEX_DUE);
		spool_quarantine_rcpt(s, key, "in the index only");
		return 0;
	}
	if (got == 1 && spool_get_rcpt_row(s, Q_RCPT_GET, r) == 0)
		return 1;
	spool_end(s, Q_RCPT_GET);
	if (errno != EILSEQ)
		return -1;
	spool_quarantine_rcpt(s, key, "bad recipient row");
	return 0;
}

/* Shows one due recipient to visit.  1: it was fit to be shown. */
static int
due_show(struct spool *s, uint64_t key, spool_visit visit, void *arg)
{
	struct spool_message m;
	struct spool_rcpt r;
	int got;

	if ((got = rcpt_get(s, key, &r)) != 1)
		return got;
	if ((got = message_get(s, SPOOL_KEY_MESSAGE(key), &m)) == 1) {
		s->visiting++;
		visit(arg, &m, &r);
		s->visiting--;
		spool_end(s, Q_MESSAGE_GET);
	} else if (got == 0 && errno == ENOENT)
		spool_quarantine_rcpt(s, key, "no message of this recipient");
	spool_end(s, Q_RCPT_GET);
	return got;
}

static bool
due_skip(struct spool *s, uint64_t key, spool_skip skip, void *arg)
{
	bool skipped;

	if (map_get_u64(s->hidden, SPOOL_KEY_MESSAGE(key)) != NULL || spool_is_blocked(s, key))
		return true;
	if (skip == NULL)
		return false;
	s->visiting++;
	skipped = skip(arg, key);
	s->visiting--;
	return skipped;
}

struct due { /* a walk over what is scheduled */
	spool_skip skip;
	spool_visit visit;
	void *arg;
};

/* Shows what q, whose parameters are bound, finds. */
static int
due_walk(struct spool *s, enum statement q, size_t limit, const struct due *d)
{
	size_t n = 0;
	int got = 1, shown;
	uint64_t key;

	while (n < limit && (got = spool_step(s, q)) == 1) {
		key = (uint64_t)sqlite3_column_int64(s->stmt[q], 0);
		if (due_skip(s, key, d->skip, d->arg))
			continue;
		if ((shown = due_show(s, key, d->visit, d->arg)) == -1) {
			spool_end(s, q);
			return read_failed();
		}
		n += (size_t)shown;
	}
	if (got == -1)
		return read_failed();
	spool_end(s, q);
	return 0;
}

int
spool_due(
    struct spool *s, int64_t now_s, size_t limit, spool_skip skip, spool_visit visit, void *arg)
{
	bug_on(s->visiting != 0);
	if (spool_up(s, now_s) == -1 || read_start(s) == -1)
		return read_failed();
	spool_bind_int(s, Q_DUE, 1, now_s);
	return due_walk(s, Q_DUE, limit, &(struct due){skip, visit, arg});
}

int
spool_scheduled(struct spool *s, uint64_t id, spool_skip skip, spool_visit visit, void *arg)
{
	if (read_start(s) == -1)
		return -1;
	spool_bind_int(s, Q_DUE_OF, 1, (int64_t)id);
	return due_walk(s, Q_DUE_OF, SIZE_MAX, &(struct due){skip, visit, arg});
}

int64_t
spool_next_due(struct spool *s, int64_t now_s)
{
	int64_t due = 0;

	if (read_start(s) == -1)
		return 0;
	spool_bind_int(s, Q_NEXT_DUE, 1, now_s);
	if (spool_step(s, Q_NEXT_DUE) == 1) {
		due = sqlite3_column_int64(s->stmt[Q_NEXT_DUE], 0);
		spool_end(s, Q_NEXT_DUE);
	}
	return due;
}

/* A row that is not there, or bad: damage, if the message says that it has one. */
static int
chunk_missing(struct spool *s, uint64_t id, uint32_t seq)
{
	struct spool_message m;
	int got;

	if ((got = message_get(s, id, &m)) == 1) {
		spool_end(s, Q_MESSAGE_GET);
		if (seq < m.nchunks) {
			spool_quarantine_message(s, id, "body damaged", true);
			errno = EIO;
			return -1;
		}
	}
	if (got != -1)
		errno = ENOENT;
	return read_failed();
}

int
spool_read(struct spool *s, uint64_t id, uint32_t seq, spool_chunk visit_chunk, void *arg)
{
	sqlite3_stmt *st = s->stmt[Q_CHUNK_GET];
	struct span data;
	bool good = false;
	int got;

	if (read_start(s) == -1)
		return -1;
	if (seq >= SPOOL_NCHUNKS_MAX) {
		errno = ENOENT;
		return -1;
	}
	spool_bind_int(s, Q_CHUNK_GET, 1, SPOOL_CHUNK_KEY(id, seq));
	if ((got = spool_step(s, Q_CHUNK_GET)) == 1) {
		data.data = sqlite3_column_blob(st, 0);
		data.len = (size_t)sqlite3_column_bytes(st, 0);
		good = sqlite3_column_type(st, 0) == SQLITE_BLOB && data.len <= SPOOL_CHUNK_MAX;
		if (good) {
			s->visiting++;
			visit_chunk(arg, data);
			s->visiting--;
		}
		spool_end(s, Q_CHUNK_GET);
	} else if (got == -1 && errno != EILSEQ)
		return -1;
	return good ? 0 : chunk_missing(s, id, seq);
}

/* Shows a message whose report is due, if it is fit to be reported on: 1. */
static int
report_show(struct spool *s, uint64_t id, spool_id visit, void *arg)
{
	struct spool_message m;
	int got;

	if (spool_message_is_blocked(s, id) || map_get_u64(s->hidden, id) != NULL)
		return 0;
	if ((got = message_get(s, id, &m)) == 1) {
		spool_end(s, Q_MESSAGE_GET);
		s->visiting++;
		visit(arg, id);
		s->visiting--;
	} else if (got == 0 && errno == ENOENT) {
		spool_doubt(s, SPOOL_INDEX_REPORT);
		spool_quarantine_message(s, id, "in the index only", false);
	}
	return got;
}

int
spool_reports(struct spool *s, int64_t now_s, size_t limit, spool_id visit, void *arg)
{
	size_t n = 0;
	int got = 1, shown;

	if (read_start(s) == -1)
		return -1;
	spool_bind_int(s, Q_REPORTS, 1, now_s);
	while (n < limit && (got = spool_step(s, Q_REPORTS)) == 1) {
		shown = report_show(
		    s, (uint64_t)sqlite3_column_int64(s->stmt[Q_REPORTS], 0), visit, arg);
		if (shown == -1) {
			spool_end(s, Q_REPORTS);
			return read_failed();
		}
		n += (size_t)shown;
	}
	if (got == -1)
		return read_failed();
	spool_end(s, Q_REPORTS);
	return 0;
}

/* The recipients of m, as far as they are legal: keys first, so that a bad row can't end it. */
static int
list_rcpts(
    struct spool *s, const struct spool_message *m, size_t limit, spool_visit visit, void *arg)
{
	enum statement q = Q_RCPT_LIST;
	struct spool_rcpt r;
	int got, found;

	spool_bind_int(s, q, 1, (int64_t)m->id);
	spool_bind_int(s, q, 2, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
	while ((got = spool_step(s, q)) == 1) {
		found = rcpt_get(s, (uint64_t)sqlite3_column_int64(s->stmt[q], 0), &r);
		if (found == 1) {
			s->visiting++;
			visit(arg, m, &r);
			s->visiting--;
			spool_end(s, Q_RCPT_GET);
		} else if (found == -1) {
			spool_end(s, q);
			return -1;
		}
	}
	return got;
}

/* 1: it was there and shown, with its recipients. */
static int
list_message(struct spool *s, uint64_t id, size_t rcpt_limit, spool_visit visit, void *arg)
{
	struct spool_message m;
	int got;

	if ((got = message_get(s, id, &m)) != 1)
		return got;
	s->visiting++;
	visit(arg, &m, NULL);
	s->visiting--;
	got = list_rcpts(s, &m, rcpt_limit, visit, arg);
	spool_end(s, Q_MESSAGE_GET);
	return got == -1 ? -1 : 1;
}

int
spool_list(
    struct spool *s, uint64_t after, size_t limit, size_t rcpt_limit, spool_visit visit, void *arg)
{
	enum statement q = Q_MESSAGE_LIST;
	uint64_t id;
	int got;

	if (read_start(s) == -1)
		return -1;
	spool_bind_int(s, q, 1, after > INT64_MAX ? INT64_MAX : (int64_t)after);
	spool_bind_int(s, q, 2, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
	while ((got = spool_step(s, q)) == 1) {
		id = (uint64_t)sqlite3_column_int64(s->stmt[q], 0);
		if (list_message(s, id, rcpt_limit, visit, arg) == -1) {
			spool_end(s, q);
			return read_failed();
		}
	}
	return got == 0 ? 0 : read_failed();
}

int
spool_get(struct spool *s, uint64_t id, size_t rcpt_limit, spool_visit visit, void *arg)
{
	int got;

	if (read_start(s) == -1)
		return -1;
	if ((got = list_message(s, id, rcpt_limit, visit, arg)) == 1)
		return 0;
	if (got == 0)
		errno = ENOENT;
	return read_failed();
}
