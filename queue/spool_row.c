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

#define WORD_MAX 255

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
    M(envid, SPOOL_ADDRESS_MAX),
    M(ret, WORD_MAX),
    M(client, SPOOL_TEXT_MAX),
};
static const struct text_field rcpt_texts[] = {
    R(address, SPOOL_ADDRESS_MAX),
    R(original, SPOOL_ADDRESS_MAX),
    R(orcpt, SPOOL_ADDRESS_MAX),
    R(action, WORD_MAX),
    R(user, WORD_MAX),
    R(dest, SPOOL_ADDRESS_MAX),
    R(status, WORD_MAX),
    R(text, SPOOL_TEXT_MAX),
    R(remote, SPOOL_ADDRESS_MAX),
};

enum { M_ID, M_FLAGS, M_RECEIVED, M_EXPIRES, M_SIZE, M_NCHUNKS, M_NUMBERS };
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

int
spool_check_message(const struct spool_message *m)
{
	return texts_check(m, message_texts, NITEMS(message_texts));
}

int
spool_check_rcpt(const struct spool_rcpt *r)
{
	if (r->state == SPOOL_EXPAND || r->state == SPOOL_READY)
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
	texts_bind(s, q, 1 + M_NUMBERS, m, message_texts, NITEMS(message_texts));
	spool_bind_int(s, q, 1 + M_NUMBERS + (int)NITEMS(message_texts), (int64_t)nrcpts);
	if (spool_run(s, q) == -1)
		return -1;
	s->totals.messages++;
	return 0;
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
	if (!in_range(n[M_ID], SPOOL_ID_MAX) || !in_range(n[M_FLAGS], UINT32_MAX) ||
	    !in_range(n[M_SIZE], INT64_MAX) || !in_range(n[M_NCHUNKS], SPOOL_ROWS_MAX) ||
	    n[M_NCHUNKS] == 0) {
		errno = EILSEQ;
		return -1;
	}
	m->id = (uint64_t)n[M_ID];
	m->flags = (unsigned int)n[M_FLAGS];
	m->received_s = n[M_RECEIVED];
	m->expires_s = n[M_EXPIRES];
	m->size_bytes = (uint64_t)n[M_SIZE];
	m->nchunks = (uint32_t)n[M_NCHUNKS];
	return 0;
}

int
spool_get_rcpt_row(struct spool *s, enum statement q, struct spool_rcpt *r)
{
	int64_t n[R_NUMBERS];

	if (columns_get(s->stmt[q], n, R_NUMBERS, r, rcpt_texts, NITEMS(rcpt_texts)) == -1)
		return -1;
	if (!in_range(n[R_STATE], SPOOL_STATE__MAX - 1) || !in_range(n[R_HELD], HELD_DAMAGED) ||
	    !in_range(n[R_ATTEMPTS], UINT32_MAX) || !in_range(n[R_NOTIFY], UINT32_MAX)) {
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
	return SPOOL_KEY(id, 0xfffff);
}

bool
spool_is_blocked(const struct spool *s, uint64_t key)
{
	return map_count(s->blocked) > 0 &&
	       (map_get_u64(s->blocked, key) != NULL ||
		   map_get_u64(s->blocked, block_key(SPOOL_KEY_MESSAGE(key))) != NULL);
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
		spool_bind_text(s, q, 3, why, WORD_MAX);
		if (q == Q_DAMAGED_ADD)
			spool_bind_text(s, q, 4, what, WORD_MAX);
		if ((rc = spool_run(s, q)) == 0 && spool_changed(s) > 0)
			return 1;
	}
	return rc;
}

static void
damage_record(struct spool *s, bool message, uint64_t id, uint64_t key, const char *why)
{
	const char *what = message ? "message" : "recipient";
	enum statement copy = message ? Q_DAMAGED_MESSAGE_COPY : Q_DAMAGED_RCPT_COPY;
	enum statement hold = message ? Q_DAMAGED_MESSAGE_HOLD : Q_DAMAGED_RCPT_HOLD;
	uint64_t block = message ? block_key(id) : key;
	bool known = map_get_u64(s->blocked, block) != NULL;
	int copied;

	if (spool_tx(s) == 0) {
		copied = damage_copy(s, copy, what, message ? id : key, why);
		if (copied == 1 && !known)
			damage_log(s, what, id, key, why);
		known = known || copied != -1;
		spool_bind_int(s, hold, 1, (int64_t)(message ? id : key));
		if (spool_run(s, hold) == 0 && spool_changed(s) > 0)
			return;
	}
	/* It can't be marked: this process at least leaves it alone. */
	if (!known)
		damage_log(s, what, id, key, why);
	if (map_set_u64(s->blocked, block, s) == -1)
		log_warn("event=spool-blocked-full");
}

void
spool_quarantine_rcpt(struct spool *s, uint64_t key, const char *why)
{
	damage_record(s, false, SPOOL_KEY_MESSAGE(key), key, why);
}

void
spool_quarantine_message(struct spool *s, uint64_t id, const char *why)
{
	damage_record(s, true, id, id, why);
}
