/* SPDX-License-Identifier: ISC */
/*
 * Rows to structs and back, and what becomes of rows that are not legal.
 *
 * Invariant: what leaves here as a struct has every string ended and within
 * its bound and every number within its range, whatever the file says.  A bad
 * row is copied to table quarantine, leaves the schedule, is counted and
 * logged once; it is never fatal and never tried again.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "queue/spool_private.h"

struct text_field {
	size_t offset, max;
};

#define M(field, max)                                      \
	{                                                  \
		offsetof(struct spool_message, field), max \
	}
#define R(field, max)                                   \
	{                                               \
		offsetof(struct spool_rcpt, field), max \
	}

/* In the order of the columns in MESSAGE_COLUMNS and RCPT_COLUMNS, after the numbers. */
static const struct text_field message_texts[] = {
    M(sender, SPOOL_ADDRESS_MAX),
    M(envid, SPOOL_ENVID_MAX),
    M(ret, SPOOL_RET_MAX),
    M(client, SPOOL_ADDRESS_MAX),
};
static const struct text_field rcpt_texts[] = {
    R(address, SPOOL_ADDRESS_MAX),
    R(original, SPOOL_ADDRESS_MAX),
    R(orcpt, SPOOL_ADDRESS_MAX),
    R(action, SPOOL_WORD_MAX),
    R(user, SPOOL_WORD_MAX),
    R(dest, SPOOL_NAME_MAX),
    R(status, SPOOL_STATUS_MAX),
    R(text, SPOOL_TEXT_MAX),
    R(remote, SPOOL_NAME_MAX),
};

enum {
	M_ID,
	M_FLAGS,
	M_RECEIVED,
	M_EXPIRES,
	M_SIZE,
	M_NCHUNKS,
	M_PRIORITY,
	M_RELEASE,
	M_BY_MODE,
	M_BY_TIME,
	M_BY_TRACE,
	M_NUMBERS
};
enum { R_KEY, R_STATE, R_HELD, R_DUE, R_ATTEMPTS, R_NOTIFY, R_NUMBERS };

static const char *
text_get(const void *row, const struct text_field *f)
{
	const char *value;

	memcpy(&value, (const char *)row + f->offset, sizeof(value));
	return value;
}

static int
texts_check(const void *row, const struct text_field *f, size_t n)
{
	const char *value;
	size_t i;

	for (i = 0; i < n; i++) {
		value = text_get(row, &f[i]);
		if (value != NULL && strnlen(value, f[i].max + 1) > f[i].max) {
			errno = EINVAL;
			return -1;
		}
	}
	return 0;
}

static void
texts_bind(struct spool *s, enum statement q, int first, const void *row,
    const struct text_field *f, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		spool_bind_text(s, q, first + (int)i, text_get(row, &f[i]), f[i].max);
}

/* Numbers, then texts, each of its type and within its bound. */
static int
columns_get(sqlite3_stmt *st, int64_t *numbers, int nnumbers, void *row, const struct text_field *f,
    size_t n)
{
	const char *value;
	size_t i, len;
	int col;

	for (col = 0; col < nnumbers; col++) {
		if (sqlite3_column_type(st, col) != SQLITE_INTEGER)
			goto bad;
		numbers[col] = sqlite3_column_int64(st, col);
	}
	for (i = 0; i < n; i++, col++) {
		if (sqlite3_column_type(st, col) != SQLITE_TEXT)
			goto bad;
		if ((value = (const char *)sqlite3_column_text(st, col)) == NULL) {
			errno = ENOMEM;
			return -1;
		}
		len = (size_t)sqlite3_column_bytes(st, col);
		if (len > f[i].max || memchr(value, '\0', len) != NULL)
			goto bad;
		memcpy((char *)row + f[i].offset, &value, sizeof(value));
	}
	return 0;
bad:
	errno = EILSEQ;
	return -1;
}

static bool
in_range(int64_t value, uint64_t max)
{
	return value >= 0 && (uint64_t)value <= max;
}

/* A time of which the negative is one too. */
static bool
is_time(int64_t value)
{
	return value >= -INT64_MAX;
}

static bool
is_priority(int64_t value)
{
	return value >= -SPOOL_PRIORITY_MAX && value <= SPOOL_PRIORITY_MAX;
}

int
spool_check_message(const struct spool_message *m)
{
	if (m->flags <= SPOOL_FLAGS_MAX && is_time(m->received_s) && is_time(m->expires_s) &&
	    is_priority(m->priority) && is_time(m->release_s) && m->by < IPC_BY__MAX &&
	    is_time(m->by_s))
		return texts_check(m, message_texts, NITEMS(message_texts));
	errno = EINVAL;
	return -1;
}

int
spool_check_rcpt(const struct spool_rcpt *r)
{
	if (r->state < SPOOL_STATE__MAX && r->notify <= SPOOL_NOTIFY_MAX && is_time(r->due_s))
		return texts_check(r, rcpt_texts, NITEMS(rcpt_texts));
	errno = EINVAL;
	return -1;
}

int
spool_add_message_row(struct spool *s, const struct spool_message *m, size_t nrcpts)
{
	enum statement q = Q_MESSAGE_ADD;

	spool_bind_int(s, q, 1 + M_ID, (int64_t)m->id);
	spool_bind_int(s, q, 1 + M_FLAGS, m->flags);
	spool_bind_int(s, q, 1 + M_RECEIVED, m->received_s);
	spool_bind_int(s, q, 1 + M_EXPIRES, m->expires_s);
	spool_bind_int(s, q, 1 + M_SIZE, (int64_t)m->size_bytes);
	spool_bind_int(s, q, 1 + M_NCHUNKS, m->nchunks);
	spool_bind_int(s, q, 1 + M_PRIORITY, m->priority);
	spool_bind_int(s, q, 1 + M_RELEASE, m->release_s);
	spool_bind_int(s, q, 1 + M_BY_MODE, (int64_t)m->by);
	spool_bind_int(s, q, 1 + M_BY_TIME, m->by_s);
	spool_bind_int(s, q, 1 + M_BY_TRACE, m->by_trace);
	texts_bind(s, q, 1 + M_NUMBERS, m, message_texts, NITEMS(message_texts));
	spool_bind_int(s, q, 1 + M_NUMBERS + (int)NITEMS(message_texts), (int64_t)nrcpts);
	if (spool_run(s, q) == -1)
		return -1;
	s->totals.messages++;
	if (m->by == IPC_BY_NONE)
		return 0;
	spool_bind_int(s, Q_MESSAGE_REPORT_NEXT, 1, (int64_t)m->id);
	spool_bind_int(s, Q_MESSAGE_REPORT_NEXT, 2, -1); /* even if it is late already */
	return spool_run(s, Q_MESSAGE_REPORT_NEXT);
}

int
spool_add_rcpt_row(struct spool *s, const struct spool_rcpt *r, bool held)
{
	enum statement q = Q_RCPT_ADD;

	spool_bind_int(s, q, 1 + R_KEY, (int64_t)r->key);
	spool_bind_int(s, q, 1 + R_STATE, (int64_t)r->state);
	spool_bind_int(s, q, 1 + R_HELD, held ? HELD_ADMIN : HELD_NO);
	spool_bind_int(s, q, 1 + R_DUE, r->due_s);
	spool_bind_int(s, q, 1 + R_ATTEMPTS, r->attempts);
	spool_bind_int(s, q, 1 + R_NOTIFY, r->notify);
	texts_bind(s, q, 1 + R_NUMBERS, r, rcpt_texts, NITEMS(rcpt_texts));
	if (spool_run(s, q) == -1)
		return -1;
	s->totals.recipients++;
	return 0;
}

int
spool_get_message_row(struct spool *s, enum statement q, struct spool_message *m)
{
	int64_t n[M_NUMBERS];

	if (columns_get(s->stmt[q], n, M_NUMBERS, m, message_texts, NITEMS(message_texts)) == -1)
		return -1;
	if (!in_range(n[M_ID], SPOOL_ID_MAX) || !in_range(n[M_FLAGS], SPOOL_FLAGS_MAX) ||
	    !in_range(n[M_SIZE], INT64_MAX) || !in_range(n[M_NCHUNKS], SPOOL_NCHUNKS_MAX) ||
	    n[M_NCHUNKS] == 0 || !is_time(n[M_RECEIVED]) || !is_time(n[M_EXPIRES]) ||
	    !is_priority(n[M_PRIORITY]) || !is_time(n[M_RELEASE]) ||
	    !in_range(n[M_BY_MODE], IPC_BY__MAX - 1) || !is_time(n[M_BY_TIME]) ||
	    !in_range(n[M_BY_TRACE], 1)) {
		errno = EILSEQ;
		return -1;
	}
	m->id = (uint64_t)n[M_ID];
	m->flags = (unsigned int)n[M_FLAGS];
	m->received_s = n[M_RECEIVED];
	m->expires_s = n[M_EXPIRES];
	m->size_bytes = (uint64_t)n[M_SIZE];
	m->nchunks = (uint32_t)n[M_NCHUNKS];
	m->priority = (int)n[M_PRIORITY];
	m->release_s = n[M_RELEASE];
	m->by = (enum ipc_by)n[M_BY_MODE];
	m->by_s = n[M_BY_TIME];
	m->by_trace = n[M_BY_TRACE] != 0;
	return 0;
}

int
spool_get_rcpt_row(struct spool *s, enum statement q, struct spool_rcpt *r)
{
	int64_t n[R_NUMBERS];

	if (columns_get(s->stmt[q], n, R_NUMBERS, r, rcpt_texts, NITEMS(rcpt_texts)) == -1)
		return -1;
	if (!in_range(n[R_KEY], SPOOL_KEY(SPOOL_ID_MAX, SPOOL_NUMBER_MAX)) ||
	    !in_range(n[R_STATE], SPOOL_STATE__MAX - 1) || !in_range(n[R_HELD], HELD_DAMAGED) ||
	    !in_range(n[R_ATTEMPTS], UINT32_MAX) || !in_range(n[R_NOTIFY], SPOOL_NOTIFY_MAX) ||
	    !is_time(n[R_DUE])) {
		errno = EILSEQ;
		return -1;
	}
	r->key = (uint64_t)n[R_KEY];
	r->state = (enum spool_state)n[R_STATE];
	r->due_s = n[R_DUE];
	r->attempts = (uint32_t)n[R_ATTEMPTS];
	r->notify = (unsigned int)n[R_NOTIFY];
	return 0;
}

/* The number that stands for a whole message among the blocked: no recipient has it. */
static uint64_t
block_key(uint64_t id)
{
	return SPOOL_KEY(id, SPOOL_NUMBER_MAX);
}

bool
spool_message_is_blocked(const struct spool *s, uint64_t id)
{
	return map_count(s->blocked) > 0 && map_get_u64(s->blocked, block_key(id)) != NULL;
}

bool
spool_is_blocked(const struct spool *s, uint64_t key)
{
	return map_count(s->blocked) > 0 &&
	       (map_get_u64(s->blocked, key) != NULL ||
		   spool_message_is_blocked(s, SPOOL_KEY_MESSAGE(key)));
}

static void
damage_log(struct spool *s, const char *what, uint64_t id, uint64_t key, const char *why)
{
	struct logline l;

	s->stats.quarantined++;
	logline_start(&l, LOG_LEVEL_WARN, "spool-quarantine");
	logline_id(&l, "id", id);
	logline_str(&l, "what", what);
	logline_u64(&l, "key", key);
	logline_str(&l, "reason", why);
	logline_end(&l);
}

/* Copies a row, as far as it can be read, once.  1: it was new there; 0: it was not. */
static int
damage_copy(struct spool *s, enum statement copy, const char *what, uint64_t key, const char *why)
{
	enum statement q = copy;
	int tries, rc = 0;

	for (tries = 0; tries < 2; tries++, q = Q_DAMAGED_ADD) {
		spool_bind_int(s, q, 1, (int64_t)key);
		spool_bind_int(s, q, 2, s->now_s);
		spool_bind_text(s, q, 3, why, SPOOL_NAME_MAX);
		if (q == Q_DAMAGED_ADD)
			spool_bind_text(s, q, 4, what, SPOOL_NAME_MAX);
		if ((rc = spool_run(s, q)) == 0 && spool_changed(s) > 0)
			return 1;
	}
	return rc;
}

struct damage {
	const char *what;
	uint64_t id, key; /* of the message; of the row */
	uint64_t block;	  /* names it among the blocked */
	enum statement copy;
	enum statement marks[2]; /* by which it leaves the schedule, and the reports */
	size_t nmarks;
	bool needs_row; /* without one to mark it stays where it is */
};

static bool
damage_mark(struct spool *s, const struct damage *d)
{
	size_t i;

	for (i = 0; i < d->nmarks; i++) {
		spool_bind_int(s, d->marks[i], 1, (int64_t)d->key);
		if (spool_run(s, d->marks[i]) == -1)
			return false;
	}
	return !d->needs_row || spool_changed(s) > 0;
}

static void
damage_record(struct spool *s, const struct damage *d, const char *why)
{
	bool known = map_get_u64(s->blocked, d->block) != NULL;
	int copied;

	if (spool_tx(s) == 0) {
		copied = damage_copy(s, d->copy, d->what, d->key, why);
		if (copied == 1 && !known)
			damage_log(s, d->what, d->id, d->key, why);
		known = known || copied != -1;
		if (damage_mark(s, d))
			return;
	}
	/* It can't be marked: this process at least leaves it alone. */
	if (!known)
		damage_log(s, d->what, d->id, d->key, why);
	if (map_set_u64(s->blocked, d->block, s) == -1)
		log_warn("event=spool-blocked-full");
}

void
spool_quarantine_rcpt(struct spool *s, uint64_t key, const char *why)
{
	struct damage d = {.what = "recipient",
	    .id = SPOOL_KEY_MESSAGE(key),
	    .key = key,
	    .block = key,
	    .copy = Q_DAMAGED_RCPT_COPY,
	    .marks = {Q_DAMAGED_RCPT_HOLD},
	    .nmarks = 1,
	    .needs_row = true};

	damage_record(s, &d, why);
}

void
spool_quarantine_message(struct spool *s, uint64_t id, const char *why, bool reportable)
{
	struct damage d = {.what = "message",
	    .id = id,
	    .key = id,
	    .block = block_key(id),
	    .copy = Q_DAMAGED_MESSAGE_COPY,
	    .marks = {Q_DAMAGED_MESSAGE_HOLD, Q_DAMAGED_MESSAGE_NO_REPORT},
	    .nmarks = reportable ? 1 : 2};

	damage_record(s, &d, why);
}
