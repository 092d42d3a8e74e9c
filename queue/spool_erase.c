/* SPDX-License-Identifier: ISC */
/*
 * Taking messages away, in steps whose cost does not grow with the message.
 *
 * Invariant: chunk rows without a message have their id in table garbage or
 * incoming, so that nothing is ever lost track of and nothing scanned for.
 * A body whose pages are damaged is given up, with a line in the log.
 */
#include <errno.h>

#include "lib/base/log.h"
#include "queue/spool_private.h"

#define FIRST_ROWS 16 /* rows of a body that go at once; the rest is garbage */

static void
totals_less(uint64_t *total, uint64_t n)
{
	*total -= *total < n ? *total : n;
}

static int
garbage_add(struct spool *s, uint64_t id)
{
	spool_bind_int(s, Q_GARBAGE_ADD, 1, (int64_t)id);
	s->garbage = true;
	return spool_run(s, Q_GARBAGE_ADD);
}

/* True when an error is only that pages of this body can't be read: they stay, unused. */
static bool
body_given_up(uint64_t id)
{
	struct logline l;

	if (errno != EILSEQ)
		return false;
	logline_start(&l, LOG_LEVEL_WARN, "spool-damaged-body");
	logline_id(&l, "id", id);
	logline_end(&l);
	errno = EILSEQ;
	return true;
}

static int
body_erase(struct spool *s, uint64_t id)
{
	spool_bind_int(s, Q_CHUNK_DELETE, 1, SPOOL_CHUNK_KEY(id, 0));
	spool_bind_int(s, Q_CHUNK_DELETE, 2, SPOOL_CHUNK_KEY(id, FIRST_ROWS));
	if (spool_run(s, Q_CHUNK_DELETE) == -1)
		return body_given_up(id) ? 0 : -1;
	return spool_changed(s) < FIRST_ROWS ? 0 : garbage_add(s, id);
}

/* The row of message; ENOENT. */
static int
row_erase(struct spool *s, uint64_t id)
{
	spool_bind_int(s, Q_MESSAGE_DELETE, 1, (int64_t)id);
	if (spool_run(s, Q_MESSAGE_DELETE) == -1)
		return -1;
	if (spool_changed(s) == 0) {
		errno = ENOENT;
		return -1;
	}
	totals_less(&s->totals.messages, 1);
	return 0;
}

static int
rcpts_erase(struct spool *s, uint64_t id)
{
	spool_bind_int(s, Q_RCPT_DELETE_OF, 1, (int64_t)id);
	if (spool_run(s, Q_RCPT_DELETE_OF) == -1)
		return -1;
	totals_less(&s->totals.recipients, spool_changed(s));
	return 0;
}

int
spool_erase_message(struct spool *s, uint64_t id)
{
	return row_erase(s, id) == -1 || rcpts_erase(s, id) == -1 || body_erase(s, id) == -1 ? -1
											     : 0;
}

int
spool_erase_empty(struct spool *s, uint64_t id)
{
	int any;

	spool_bind_int(s, Q_RCPT_ANY, 1, (int64_t)id);
	if ((any = spool_step(s, Q_RCPT_ANY)) != 0) {
		if (any == 1)
			spool_end(s, Q_RCPT_ANY);
		return any == 1 ? 0 : -1;
	}
	if (row_erase(s, id) == -1)
		return errno == ENOENT ? 0 : -1;
	return body_erase(s, id);
}

int
spool_erase_all(struct spool *s)
{
	s->garbage = true;
	if (spool_run(s, Q_GARBAGE_ADD_ALL) == -1 || spool_run(s, Q_RCPT_DELETE_ALL) == -1 ||
	    spool_run(s, Q_MESSAGE_DELETE_ALL) == -1)
		return -1;
	s->totals.messages = s->totals.recipients = 0;
	return 0;
}

static int
condemned_erase(struct spool *s, const struct condemned *c)
{
	int any = 0;

	if (c->unless_message) {
		spool_bind_int(s, Q_MESSAGE_GET, 1, (int64_t)c->id);
		if ((any = spool_step(s, Q_MESSAGE_GET)) == 1) {
			spool_end(s, Q_MESSAGE_GET);
			return 0;
		}
	}
	if (any == -1 || (row_erase(s, c->id) == -1 && errno != ENOENT) ||
	    rcpts_erase(s, c->id) == -1)
		return -1;
	spool_bind_int(s, Q_INCOMING_DELETE, 1, (int64_t)c->id);
	return spool_run(s, Q_INCOMING_DELETE) == -1 ? -1 : garbage_add(s, c->id);
}

int
spool_erase_condemned(struct spool *s)
{
	size_t i;

	for (i = 0; i < s->ncondemned; i++)
		if (condemned_erase(s, &s->condemned[i]) == -1) {
			/* Damaged pages cost this group, which undoes what it wrote, not every one. */
			if (body_given_up(s->condemned[i].id))
				s->condemned[i] = s->condemned[--s->ncondemned];
			return -1;
		}
	return 0;
}

int
spool_erase_some_garbage(struct spool *s)
{
	uint64_t id;

	if (!s->garbage)
		return 0;
	if (spool_ask(s, Q_GARBAGE_GET, &id, 1) == -1) {
		s->garbage = errno != ENOENT;
		return s->garbage ? -1 : 0;
	}
	spool_bind_int(s, Q_CHUNK_DELETE_SOME, 1, (int64_t)id);
	if (spool_run(s, Q_CHUNK_DELETE_SOME) == 0) {
		s->open_bytes += FIRST_ROWS * (size_t)SPOOL_CHUNK_MAX;
		if (spool_changed(s) == FIRST_ROWS)
			return 0;
	} else if (!body_given_up(id))
		return -1;
	spool_bind_int(s, Q_GARBAGE_DELETE, 1, (int64_t)id);
	return spool_run(s, Q_GARBAGE_DELETE);
}
