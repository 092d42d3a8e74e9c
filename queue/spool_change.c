/* SPDX-License-Identifier: ISC */
/*
 * Changes to messages that are in the spool: expansions, verdicts, reports,
 * the admin's orders.
 *
 * Each joins the open group, and either happens whole in it or not at all:
 * those of several statements that could stop half-way run behind a savepoint.
 * Nothing is fatal.
 */
#include <errno.h>

#include "queue/spool_private.h"

struct order {	     /* one call's arguments, for the function that carries it out */
	uint64_t id; /* of the message, or the recipient's key */
	int64_t time_s;
	const struct spool_answer *why;
	const struct spool_rcpt *rcpts;
	size_t n;
	const struct spool_report *report;
	unsigned int set, clear;
	enum spool_state state; /* into which a recipient is settled */
	bool tried;
};

typedef int (*carry_out)(struct spool *s, const struct order *o);

/* Runs one change and notes how it went. */
static void
change(struct spool *s, carry_out act, const struct order *o, struct change c)
{
	bug_on(s->visiting != 0);
	if (spool_tx(s) == -1 || act(s, o) == -1)
		c.error = errno;
	spool_group_add(s, &c);
}

/* The same, undone when it stops half-way. */
static int
behind_savepoint(struct spool *s, carry_out act, const struct order *o)
{
	int error;

	if (spool_run(s, Q_SAVE) == -1)
		return -1;
	if (act(s, o) == 0)
		return spool_run(s, Q_RELEASE);
	error = errno;
	if (s->in_tx && (spool_run(s, Q_UNDO) == -1 || spool_run(s, Q_RELEASE) == -1))
		return -1;
	errno = error;
	return -1;
}

static int
run_on_one(struct spool *s, enum statement q)
{
	if (spool_run(s, q) == -1)
		return -1;
	if (spool_changed(s) > 0)
		return 0;
	errno = ENOENT;
	return -1;
}

static int
message_exists(struct spool *s, uint64_t id)
{
	uint64_t numbers;

	spool_bind_int(s, Q_MESSAGE_NUMBERS_GET, 1, (int64_t)id);
	return spool_ask(s, Q_MESSAGE_NUMBERS_GET, &numbers, 1);
}

static int
carry_delivered(struct spool *s, const struct order *o)
{
	spool_bind_int(s, Q_RCPT_DELETE, 1, (int64_t)o->id);
	if (run_on_one(s, Q_RCPT_DELETE) == -1)
		return -1;
	s->totals.recipients -= s->totals.recipients > 0 ? 1 : 0;
	return spool_erase_empty(s, SPOOL_KEY_MESSAGE(o->id));
}

void
spool_delivered(struct spool *s, uint64_t key, spool_done done, void *arg)
{
	change(s, carry_delivered, &(struct order){.id = key},
	    (struct change){.done = done, .arg = arg});
}

/* Numbers for n - 1 more recipients, never used before in this message. */
static int
numbers_take(struct spool *s, uint64_t id, size_t n, uint64_t *first)
{
	spool_bind_int(s, Q_MESSAGE_NUMBERS_GET, 1, (int64_t)id);
	if (spool_ask(s, Q_MESSAGE_NUMBERS_GET, first, 1) == -1)
		return -1;
	if (*first > SPOOL_RCPT_MAX - n) {
		errno = E2BIG;
		return -1;
	}
	spool_bind_int(s, Q_MESSAGE_NUMBERS_SET, 1, (int64_t)id);
	spool_bind_int(s, Q_MESSAGE_NUMBERS_SET, 2, (int64_t)(*first + n));
	return spool_run(s, Q_MESSAGE_NUMBERS_SET);
}

static void
bind_target(struct spool *s, enum statement q, const struct order *o, const struct spool_rcpt *r)
{
	bool settled = r->state >= SPOOL_FAILED;

	spool_bind_int(s, q, 1, (int64_t)o->id);
	spool_bind_int(s, q, 2, (int64_t)r->state);
	spool_bind_int(s, q, 3, o->time_s);
	spool_bind_text(s, q, 4, r->address, SPOOL_ADDRESS_MAX);
	spool_bind_text(s, q, 5, r->action, SPOOL_WORD_MAX);
	spool_bind_text(s, q, 6, r->user, SPOOL_WORD_MAX);
	spool_bind_text(s, q, 7, r->dest, SPOOL_NAME_MAX);
	spool_bind_text(s, q, 8, settled ? r->status : "", SPOOL_STATUS_MAX);
	spool_bind_text(s, q, 9, settled ? r->text : "", SPOOL_TEXT_MAX);
	spool_bind_text(s, q, 10, settled ? r->remote : "", SPOOL_NAME_MAX);
}

static int
report_due(struct spool *s, uint64_t id, int64_t due_s)
{
	spool_bind_int(s, Q_MESSAGE_REPORT_DUE, 1, (int64_t)id);
	spool_bind_int(s, Q_MESSAGE_REPORT_DUE, 2, due_s);
	return run_on_one(s, Q_MESSAGE_REPORT_DUE);
}

/* The first target takes the row over, the others are added beside it. */
static int
expand_rows(struct spool *s, const struct order *o)
{
	uint64_t first = 0, id = SPOOL_KEY_MESSAGE(o->id);
	bool settled = false, expanded = false;
	size_t i;

	for (i = 0; i < o->n; i++) {
		settled = settled || o->rcpts[i].state >= SPOOL_FAILED;
		expanded = expanded || o->rcpts[i].state == SPOOL_EXPANDED;
	}
	bind_target(s, Q_RCPT_EXPAND, o, &o->rcpts[0]);
	if (run_on_one(s, Q_RCPT_EXPAND) == -1)
		return -1;
	spool_bind_int(s, Q_RCPT_HUSH, 1, (int64_t)o->id);
	if (expanded && run_on_one(s, Q_RCPT_HUSH) == -1)
		return -1;
	if (o->n > 1 && numbers_take(s, id, o->n - 1, &first) == -1)
		return -1;
	for (i = 1; i < o->n; i++) {
		bind_target(s, Q_RCPT_ADD_LIKE, o, &o->rcpts[i]);
		spool_bind_int(s, Q_RCPT_ADD_LIKE, 11, (int64_t)SPOOL_KEY(id, first + i - 1));
		if (run_on_one(s, Q_RCPT_ADD_LIKE) == -1)
			return -1;
	}
	if (settled && report_due(s, id, o->time_s) == -1)
		return -1;
	s->totals.recipients += o->n - 1;
	return 0;
}

static int
carry_expand(struct spool *s, const struct order *o)
{
	size_t i;

	if (o->n > SPOOL_RCPT_MAX) {
		errno = E2BIG;
		return -1;
	}
	for (i = 0; i < o->n; i++)
		if (spool_check_rcpt(&o->rcpts[i]) == -1)
			return -1;
	if (o->n == 0)
		return carry_delivered(s, o);
	if (spool_hide(s, SPOOL_KEY_MESSAGE(o->id)) == -1)
		return -1;
	if (o->n == 1 && o->rcpts[0].state < SPOOL_FAILED)
		return expand_rows(s, o);
	return behind_savepoint(s, expand_rows, o);
}

void
spool_expand(struct spool *s, uint64_t key, const struct spool_rcpt *into, size_t n, int64_t now_s,
    spool_done done, void *arg)
{
	change(s, carry_expand, &(struct order){.id = key, .rcpts = into, .n = n, .time_s = now_s},
	    (struct change){
		.done = done, .arg = arg, .id = SPOOL_KEY_MESSAGE(key), .kind = CHANGE_EXPAND});
}

static void
bind_answer(struct spool *s, enum statement q, const struct order *o)
{
	spool_bind_int(s, q, 1, (int64_t)o->id);
	spool_bind_int(s, q, 2, o->time_s);
	spool_bind_text(s, q, 3, o->why->status, SPOOL_STATUS_MAX);
	spool_bind_text(s, q, 4, o->why->text, SPOOL_TEXT_MAX);
	spool_bind_text(s, q, 5, o->why->remote, SPOOL_NAME_MAX);
}

static int
carry_deferred(struct spool *s, const struct order *o)
{
	bind_answer(s, Q_RCPT_DEFER, o);
	spool_bind_int(s, Q_RCPT_DEFER, 6, o->tried);
	return run_on_one(s, Q_RCPT_DEFER);
}

void
spool_deferred(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg)
{
	change(s, carry_deferred,
	    &(struct order){.id = key, .time_s = due_s, .why = why, .tried = true},
	    (struct change){.done = done, .arg = arg});
}

void
spool_put_off(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg)
{
	change(s, carry_deferred, &(struct order){.id = key, .time_s = due_s, .why = why},
	    (struct change){.done = done, .arg = arg});
}

static int
carry_postponed(struct spool *s, const struct order *o)
{
	spool_bind_int(s, Q_RCPT_POSTPONE, 1, (int64_t)o->id);
	spool_bind_int(s, Q_RCPT_POSTPONE, 2, o->time_s);
	return run_on_one(s, Q_RCPT_POSTPONE);
}

void
spool_postponed(struct spool *s, uint64_t key, int64_t due_s, spool_done done, void *arg)
{
	change(s, carry_postponed, &(struct order){.id = key, .time_s = due_s},
	    (struct change){.done = done, .arg = arg});
}

static int
settle_rows(struct spool *s, const struct order *o)
{
	bind_answer(s, Q_RCPT_SETTLE, o);
	spool_bind_int(s, Q_RCPT_SETTLE, 6, (int64_t)o->state);
	if (run_on_one(s, Q_RCPT_SETTLE) == -1)
		return -1;
	return report_due(s, SPOOL_KEY_MESSAGE(o->id), o->time_s);
}

static int
carry_settled(struct spool *s, const struct order *o)
{
	return behind_savepoint(s, settle_rows, o);
}

void
spool_failed(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg)
{
	change(s, carry_settled,
	    &(struct order){.id = key, .time_s = due_s, .why = why, .state = SPOOL_FAILED},
	    (struct change){.done = done, .arg = arg});
}

void
spool_succeeded(struct spool *s, uint64_t key, enum spool_state state, int64_t now_s,
    const struct spool_answer *why, spool_done done, void *arg)
{
	change(s, carry_settled,
	    &(struct order){.id = key, .time_s = now_s, .why = why, .state = state},
	    (struct change){.done = done, .arg = arg});
}

/* A message that can't even be put off is in the way of all others: it is set aside. */
static int
carry_report_later(struct spool *s, const struct order *o)
{
	spool_bind_int(s, Q_MESSAGE_REPORT_SET, 1, (int64_t)o->id);
	spool_bind_int(s, Q_MESSAGE_REPORT_SET, 2, o->time_s);
	if (run_on_one(s, Q_MESSAGE_REPORT_SET) == 0)
		return 0;
	if (errno == EILSEQ) {
		spool_quarantine_message(s, o->id, "its report can't be put off", false);
		errno = EILSEQ;
	}
	return -1;
}

void
spool_report_later(struct spool *s, uint64_t id, int64_t due_s, spool_done done, void *arg)
{
	change(s, carry_report_later, &(struct order){.id = id, .time_s = due_s},
	    (struct change){.done = done, .arg = arg});
}

/* Those that are settled go; ENOENT when one is not there any more, or still scheduled. */
static int
settled_erase(struct spool *s, const struct spool_report *r)
{
	size_t i;

	for (i = 0; i < r->nsettled; i++) {
		if (SPOOL_KEY_MESSAGE(r->settled[i]) != r->id) {
			errno = EINVAL;
			return -1;
		}
		spool_bind_int(s, Q_RCPT_DELETE_SETTLED, 1, (int64_t)r->settled[i]);
		if (run_on_one(s, Q_RCPT_DELETE_SETTLED) == -1)
			return -1;
		s->totals.recipients -= s->totals.recipients > 0 ? 1 : 0;
	}
	return 0;
}

static int
flags_set(struct spool *s, uint64_t id, unsigned int set, unsigned int clear)
{
	spool_bind_int(s, Q_MESSAGE_FLAGS, 1, (int64_t)id);
	spool_bind_int(s, Q_MESSAGE_FLAGS, 2, set);
	spool_bind_int(s, Q_MESSAGE_FLAGS, 3, clear);
	return run_on_one(s, Q_MESSAGE_FLAGS);
}

static int
report_rows(struct spool *s, const struct order *o)
{
	const struct spool_report *r = o->report;
	enum statement q = r->more ? Q_MESSAGE_REPORT_SET : Q_MESSAGE_REPORT_NEXT;

	if (message_exists(s, r->id) == -1 ||
	    (r->message != NULL && spool_store_message(s, r->message, r->trace, r->to, 1) == -1) ||
	    settled_erase(s, r) == -1 || (r->warned && flags_set(s, r->id, SPOOL_WARNED, 0) == -1))
		return -1;
	spool_bind_int(s, q, 1, (int64_t)r->id);
	spool_bind_int(s, q, 2, s->now_s);
	return spool_run(s, q) == -1 ? -1 : spool_erase_empty(s, r->id);
}

static int
carry_reported(struct spool *s, const struct order *o)
{
	struct totals before = s->totals;

	if (behind_savepoint(s, report_rows, o) == 0)
		return 0;
	if (s->in_tx)
		s->totals = before;
	return -1;
}

void
spool_reported(struct spool *s, const struct spool_report *r, spool_done done, void *arg)
{
	struct order o = {.id = r->id, .report = r};
	struct change c = {.done = done, .arg = arg};

	if (r->message != NULL) {
		c.id = r->message->id;
		c.kind = CHANGE_REPORT;
	}
	change(s, carry_reported, &o, c);
	if (r->message == NULL || s->changes[s->nchanges - 1].error == 0)
		return;
	/* Undone or never begun: its body, wherever it is, goes too. */
	if (map_get_u64(s->incoming, r->message->id) != NULL)
		spool_abandon(s, r->message->id);
	else
		spool_condemn(s, r->message->id, false);
}

static int
flag_rows(struct spool *s, const struct order *o)
{
	enum held held = o->set & SPOOL_HELD_MESSAGE ? HELD_ADMIN : HELD_NO;

	if ((o->set | o->clear) > SPOOL_FLAGS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (flags_set(s, o->id, o->set, o->clear & ~o->set) == -1)
		return -1;
	if (((o->set | o->clear) & SPOOL_HELD_MESSAGE) == 0)
		return 0;
	spool_bind_int(s, Q_RCPT_HOLD, 1, (int64_t)o->id);
	spool_bind_int(s, Q_RCPT_HOLD, 2, held);
	return spool_run(s, Q_RCPT_HOLD);
}

static int
carry_flags(struct spool *s, const struct order *o)
{
	return behind_savepoint(s, flag_rows, o);
}

void
spool_set_flags(
    struct spool *s, uint64_t id, unsigned int set, unsigned int clear, spool_done done, void *arg)
{
	change(s, carry_flags, &(struct order){.id = id, .set = set, .clear = clear},
	    (struct change){.done = done, .arg = arg});
}

static int
remove_rows(struct spool *s, const struct order *o)
{
	return o->id == 0 ? spool_erase_all(s) : spool_erase_message(s, o->id);
}

static int
carry_remove(struct spool *s, const struct order *o)
{
	struct totals before = s->totals;

	if (behind_savepoint(s, remove_rows, o) == 0)
		return 0;
	if (s->in_tx)
		s->totals = before;
	return -1;
}

void
spool_remove(struct spool *s, uint64_t id, spool_done done, void *arg)
{
	change(
	    s, carry_remove, &(struct order){.id = id}, (struct change){.done = done, .arg = arg});
}

static int
carry_schedule(struct spool *s, const struct order *o)
{
	enum statement q = o->id == 0 ? Q_RCPT_DUE_NOW_ALL : Q_RCPT_DUE_NOW;

	if (o->id != 0 && message_exists(s, o->id) == -1)
		return -1;
	if (o->id != 0)
		spool_bind_int(s, q, 1, (int64_t)o->id);
	spool_bind_int(s, q, o->id == 0 ? 1 : 2, o->time_s);
	return spool_run(s, q);
}

void
spool_schedule(struct spool *s, uint64_t id, int64_t now_s, spool_done done, void *arg)
{
	change(s, carry_schedule, &(struct order){.id = id, .time_s = now_s},
	    (struct change){.done = done, .arg = arg});
}
