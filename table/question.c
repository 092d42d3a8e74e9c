/* SPDX-License-Identifier: ISC */
/*
 * Questions under way.
 *
 * Invariants: a question is in the list, and its back end has it, from when it is
 * asked to its one end; whoever asked hears of that end unless his channel is gone.
 * What a data base says reaches a channel only when it is text.  Nothing is fatal.
 */
#include "table/question.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

void
questions_init(struct questions *qs)
{
	TAILQ_INIT(&qs->list);
}

static void
question_free(struct question *q)
{
	TAILQ_REMOVE(&q->all->list, q, entry);
	q->all->n--;
	explicit_bzero(q, sizeof(*q));
	free(q);
}

/* -- answers -- */

static void
send_end(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *why)
{
	char text[IPC_NAME_MAX + 1];
	struct msg_table_end m = {.req = req, .outcome = (uint8_t)outcome, .text = text};

	str_cut(text, sizeof(text), why);
	(void)channel_send(ch, MSG_table_end, &m);
}

void
question_refuse(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *why)
{
	send_end(ch, req, outcome, why);
}

void
question_end(struct question *q, enum ipc_outcome outcome, const char *why)
{
	if (outcome == IPC_OK && q->nrows == 0)
		outcome = IPC_GONE;
	else if (outcome == IPC_GONE && q->nrows > 0)
		outcome = IPC_RETRY;
	send_end(q->ch, q->req, outcome, why);
	question_free(q);
}

static bool
is_text(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
			return false;
	return true;
}

/* What is long leaves room for the short answers of other tables: they share the channel. */
static bool
has_room(const struct question *q, size_t len)
{
	size_t share = q->nbytes + len <= QUESTION_SHORT ? CHANNEL_MAX / 4 * 3 : CHANNEL_MAX / 2;

	return channel_pending_bytes(q->ch) + len <= share;
}

/* NULL, or what is wrong with one more row. */
static const char *
row_fault(const struct question *q, const char *value, size_t len)
{
	if (!is_text(value, len))
		return "a control character in a value";
	if (len > IPC_VALUE_MAX)
		return "too long a value";
	if (q->nrows == QUESTION_ROWS_MAX || q->nbytes + len > QUESTION_BYTES_MAX)
		return "too many rows";
	if (!has_room(q, len))
		return "too much was asked at once";
	return NULL;
}

int
question_row(struct question *q, const char *value, size_t len)
{
	const char *why = row_fault(q, value, len);
	char text[IPC_VALUE_MAX + 1];
	struct msg_table_row m = {.req = q->req, .value = text};

	if (why != NULL) {
		question_end(q, IPC_RETRY, why);
		return -1;
	}
	memcpy(text, value, len);
	text[len] = '\0';
	(void)channel_send(q->ch, MSG_table_row, &m);
	explicit_bzero(text, len);
	q->nrows++;
	q->nbytes += len;
	return 0;
}

/* -- asking -- */

void
question_ask(struct questions *qs, struct table *t, struct channel *ch,
    const struct msg_table_ask *m, int64_t now_ms)
{
	struct question *q;

	if (t->backend == NULL || qs->n == QUESTIONS_MAX || (q = calloc(1, sizeof(*q))) == NULL) {
		send_end(ch, m->req, IPC_RETRY,
		    t->backend == NULL ? t->why : "too many questions at once");
		return;
	}
	q->all = qs;
	q->table = t;
	q->ch = ch;
	q->req = m->req;
	q->service = (enum table_service)m->service;
	q->deadline_ms = now_ms + QUESTION_MS;
	str_cut(q->key, sizeof(q->key), m->key);
	TAILQ_INSERT_TAIL(&qs->list, q, entry);
	qs->n++;
	the_backend.ask(t->backend, q, now_ms);
}

enum table_service
question_service(const struct question *q)
{
	return q->service;
}

const char *
question_key(const struct question *q)
{
	return q->key;
}

void
question_set_note(struct question *q, void *note)
{
	q->note = note;
}

void *
question_note(const struct question *q)
{
	return q->note;
}

/* -- other ends -- */

static void
drop(struct question *q, const char *told_why)
{
	the_backend.forget(q->table->backend, q);
	if (told_why != NULL) {
		question_end(q, IPC_RETRY, told_why);
		return;
	}
	question_free(q);
}

void
questions_drop(
    struct questions *qs, const struct table *t, const struct channel *ch, const char *told_why)
{
	struct question *q, *next;

	for (q = TAILQ_FIRST(&qs->list); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		if ((t == NULL || q->table == t) && (ch == NULL || q->ch == ch))
			drop(q, told_why);
	}
}

void
questions_tick(struct questions *qs, int64_t now_ms)
{
	struct question *q;

	while ((q = TAILQ_FIRST(&qs->list)) != NULL && q->deadline_ms <= now_ms)
		drop(q, "no answer in time");
}
