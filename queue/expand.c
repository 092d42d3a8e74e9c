/* SPDX-License-Identifier: ISC */
/*
 * Aliases and virtual users: lookup is asked what a recipient stands for.
 *
 * One that stands for one other is delivered as that, and stays as it is in the
 * spool, so that the next attempt follows the tables of then.  One that
 * stands for many is replaced by them, in one step of the spool.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "queue/queue.h"

#define EXPAND_DEADLINE_MS 90000
#define EXPAND_MAX	   10000 /* recipients that one may become */
/* In dest, lookup's word that this one can't be, with status and text; or not yet. */
#define FAIL_MARK  "fail:"
#define LATER_MARK "later:"

struct expansion { /* what lookup said so far; owned by its work */
	struct spool_rcpt *items;
	size_t n, room;
	bool too_many;
	bool is_settled; /* one of them can be delivered, or never */
};

static const struct spool_answer no_room = {
    "4.3.0", "no memory for the recipients that this one stands for", ""};

static void
item_clear(struct spool_rcpt *r)
{
	free((char *)(uintptr_t)r->address);
	free((char *)(uintptr_t)r->action);
	free((char *)(uintptr_t)r->user);
	free((char *)(uintptr_t)r->dest);
	free((char *)(uintptr_t)r->status);
	free((char *)(uintptr_t)r->text);
}

static bool
item_is_whole(const struct spool_rcpt *r)
{
	return r->address != NULL && r->action != NULL && r->user != NULL && r->dest != NULL &&
	       r->status != NULL && r->text != NULL;
}

void
work_expansion_free(struct work *w)
{
	struct expansion *e = w->expansion;
	size_t i;

	if (e == NULL)
		return;
	for (i = 0; i < e->n; i++)
		item_clear(&e->items[i]);
	free(e->items);
	free(e);
	w->expansion = NULL;
}

/* Lookup's death costs nothing but time; its silence costs an attempt. */
static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	static const struct spool_answer answer = {
	    "4.3.0", "the recipient could not be looked up", ""};
	struct work *w = owner;

	(void)req;
	if (why == ASK_LOST) {
		w->program->more_due = true;
		work_free(w);
	} else
		outcome_set(w, IPC_RETRY, &answer);
}

void
expand_ask(struct work *w)
{
	struct service *service = w->program->service;
	struct channel *lookup = service_peer(service, ROLE_LOOKUP, 0);
	struct msg_expand m = {.address = w->address, .action = w->action};

	if (lookup != NULL)
		w->question = m.req = ask_begin(service_asks(service), lookup,
		    service_now_ms(service) + EXPAND_DEADLINE_MS, on_ask_failed, w);
	if (w->question == 0)
		on_ask_failed(w, 0, ASK_LOST);
	else
		(void)channel_send(lookup, MSG_expand, &m);
}

static int
expansion_grow(struct expansion *e)
{
	struct spool_rcpt *items;

	if (e->n < e->room)
		return 0;
	if ((items = reallocarray(e->items, 2 * e->room + 1, sizeof(*items))) == NULL)
		return -1;
	e->items = items;
	e->room = 2 * e->room + 1;
	return 0;
}

/* "fail:5.1.1 no such user" */
static void
item_failed(struct spool_rcpt *r, const char *what)
{
	size_t n = strcspn(what, " ");

	r->state = SPOOL_FAILED;
	r->status = strndup(what, n < IPC_STATUS_MAX ? n : IPC_STATUS_MAX);
	r->text = strdup(what[n] == ' ' ? what + n + 1 : what + n);
	r->dest = strdup("");
}

static int
expansion_add(struct expansion *e, const struct msg_expand_item *m)
{
	bool failed = m->action[0] == '\0' && str_starts_nocase(m->dest, FAIL_MARK);
	bool later = strcmp(m->dest, LATER_MARK) == 0;
	struct spool_rcpt *r;

	if (expansion_grow(e) == -1)
		return -1;
	r = &e->items[e->n];
	*r = (struct spool_rcpt){.state = later ? SPOOL_EXPAND : SPOOL_READY,
	    .address = strdup(m->address),
	    .action = strdup(m->action),
	    .user = strdup(m->user)};
	if (failed)
		item_failed(r, m->dest + sizeof(FAIL_MARK) - 1);
	else {
		r->dest = strdup(later ? "" : m->dest);
		r->status = strdup("");
		r->text = strdup("");
	}
	if (!item_is_whole(r)) {
		item_clear(r);
		return -1;
	}
	e->is_settled = e->is_settled || !later;
	e->n++;
	return 0;
}

static void
end_question(struct work *w)
{
	ask_end(service_asks(w->program->service), w->question);
	w->question = 0;
}

void
expand_item(struct work *w, const struct msg_expand_item *m)
{
	struct expansion *e = w->expansion;

	if (e == NULL && (w->expansion = e = calloc(1, sizeof(*e))) == NULL) {
		/* Those that follow must not pass for all of them. */
		end_question(w);
		outcome_set(w, IPC_RETRY, &no_room);
		return;
	}
	if (e->n >= EXPAND_MAX || expansion_add(e, m) == -1)
		e->too_many = true;
}

static void
take(char **mine, const char **theirs)
{
	free(*mine);
	*mine = (char *)(uintptr_t)*theirs;
	*theirs = NULL;
}

/* One for one, which is most mail: no change of the spool, straight into a job. */
static void
expand_to_one(struct work *w)
{
	struct spool_rcpt *r = &w->expansion->items[0];

	take(&w->address, &r->address);
	take(&w->action, &r->action);
	take(&w->user, &r->user);
	take(&w->dest, &r->dest);
	work_expansion_free(w);
	work_stage(w, WORK_READY);
}

static void
on_expanded(void *arg, int error)
{
	static const struct spool_answer too_many = {
	    "5.2.4", "the recipients that this one stands for are too many", ""};
	static const struct spool_answer not_stored = {
	    "4.3.0", "the recipients that this one stands for could not be stored", ""};
	struct work *w = arg;

	if (error == E2BIG || error == EINVAL) { /* it will never fit */
		outcome_set(w, IPC_FAIL, &too_many);
		return;
	}
	if (error != 0 &&
	    error != ENOENT) { /* still due as it was; not at once, or it would spin */
		outcome_set(w, IPC_RETRY, &not_stored);
		return;
	}
	/* Replaced; or removed by an admin. */
	w->program->more_due = w->program->reports_due = true;
	work_free(w);
}

/*
 * RFC 3461 5.2.7.3: who wants to know of success is told that this one became several, and
 * not of each of them.  No memory: the several tell of themselves.
 */
static void
expansion_tell(const struct work *w)
{
	struct expansion *e = w->expansion;
	struct spool_rcpt *r;

	if (e->n < 2 || (w->notify & IPC_NOTIFY_SUCCESS) == 0 || w->message->sender[0] == '\0' ||
	    expansion_grow(e) == -1)
		return;
	r = &e->items[e->n];
	*r = (struct spool_rcpt){.state = SPOOL_EXPANDED,
	    .address = strdup(w->address),
	    .action = strdup(w->action),
	    .user = strdup(""),
	    .dest = strdup(""),
	    .status = strdup("2.0.0"),
	    .text = strdup("")};
	if (item_is_whole(r))
		e->n++;
	else
		item_clear(r);
}

static void
expand_to_many(struct work *w)
{
	struct program *p = w->program;

	expansion_tell(w);
	work_stage(w, WORK_RECORDING);
	spool_expand(p->spool, w->key, w->expansion->items, w->expansion->n,
	    service_now_s(p->service), on_expanded, w);
	work_expansion_free(w);
}

static void
log_refused(const struct work *w, const struct msg_expand_end *m)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, m->outcome == IPC_FAIL ? "failed" : "deferred");
	logline_id(&l, "id", SPOOL_KEY_MESSAGE(w->key));
	logline_str(&l, "to", w->address);
	logline_str(&l, "status", m->status);
	logline_str(&l, "text", m->text);
	logline_end(&l);
}

void
expand_end(struct work *w, const struct msg_expand_end *m)
{
	struct spool_answer answer = {m->status, m->text, ""};
	const struct expansion *e = w->expansion;

	end_question(w);
	if (m->outcome != IPC_OK) {
		log_refused(w, m);
		outcome_set(w, (enum ipc_outcome)m->outcome, &answer);
	} else if (e == NULL || e->too_many || !e->is_settled)
		outcome_set(w, IPC_RETRY, &no_room);
	else if (e->n == 1 && e->items[0].state == SPOOL_READY)
		expand_to_one(w);
	else
		expand_to_many(w);
}
