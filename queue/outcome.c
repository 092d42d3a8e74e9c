/* SPDX-License-Identifier: ISC */
/*
 * What became of a recipient, from the moment it is known until the disk has it.
 *
 * Invariant: an outcome is not forgotten because the disk was full: the work
 * stays, and the disk is asked again each second; nothing is delivered
 * twice for want of room to write down that it was delivered once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "queue/queue.h"

#define DEATHS_TOLERATED 2 /* before what it had at hand is held back for a while */
#define POISON_DELAY_S	 10
#define SPREAD_S	 4 /* over which those come back that were put off together */

struct outcome { /* owned by its work */
	enum ipc_outcome outcome;
	enum spool_state success; /* OK: of which kind, for it is to be reported */
	bool tried;		  /* RETRY: it was an attempt of its own */
	int64_t due_s;
	char *status, *text, *remote;
};

struct judgement { /* what delivery says, or we do ourselves */
	enum ipc_outcome outcome;
	int64_t again_s; /* RETRY: not before; 0: as we like */
	bool tried;	 /* RETRY: an attempt of its own */
	bool relayed;	 /* OK: to a server that reports no success */
};

void
outcome_free(struct work *w)
{
	struct outcome *o = w->outcome;

	if (o == NULL)
		return;
	free(o->status);
	free(o->text);
	free(o->remote);
	free(o);
	w->outcome = NULL;
}

/* A copy of what, with the answer. */
static int
outcome_keep(struct work *w, const struct outcome *what, const struct spool_answer *why)
{
	struct outcome *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -1;
	outcome_free(w);
	w->outcome = o;
	*o = *what;
	o->status = strdup(why->status);
	o->text = strdup(why->text);
	o->remote = strdup(why->remote);
	if (o->status != NULL && o->text != NULL && o->remote != NULL)
		return 0;
	outcome_free(w);
	return -1;
}

/* ENOENT: an admin removed it meanwhile. */
static void
on_recorded(void *arg, int error)
{
	struct work *w = arg;
	struct program *p = w->program;

	if (error != 0 && error != ENOENT) {
		log_warn("event=outcome-not-stored error=\"%s\"", strerror(error));
		work_stage(w, WORK_UNRECORDED);
		return;
	}
	if (w->outcome != NULL && w->outcome->outcome != IPC_RETRY)
		p->reports_due = true;
	p->more_due = true;
	work_free(w);
}

static void
outcome_record(struct work *w)
{
	struct spool *s = w->program->spool;
	const struct outcome *o = w->outcome;
	struct spool_answer why;

	work_stage(w, WORK_RECORDING);
	if (o == NULL) {
		spool_delivered(s, w->key, on_recorded, w);
		return;
	}
	why = (struct spool_answer){o->status, o->text, o->remote};
	if (o->outcome == IPC_FAIL)
		spool_failed(s, w->key, o->due_s, &why, on_recorded, w);
	else if (o->outcome == IPC_OK)
		spool_succeeded(s, w->key, o->success, o->due_s, &why, on_recorded, w);
	else if (!o->tried)
		spool_put_off(s, w->key, o->due_s, &why, on_recorded, w);
	else
		spool_deferred(s, w->key, o->due_s, &why, on_recorded, w);
}

void
outcomes_retry(struct program *p)
{
	struct works again = TAILQ_HEAD_INITIALIZER(again);
	struct work *w;

	TAILQ_CONCAT(&again, &p->unrecorded, entry);
	while ((w = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, w, entry);
		TAILQ_INSERT_TAIL(&p->unrecorded, w, entry);
		outcome_record(w);
	}
}

/*
 * RFC 5321 4.5.4.1: wait longer after each failure, from minutes to hours; once more at
 * the end.  A server's own wish takes the place of that.  Who was not tried comes
 * back when it can be, not all in the same second.
 */
static int64_t
retry_at(const struct work *w, const struct judgement *j)
{
	const struct conf_values *v = &w->program->conf->values;
	int64_t now_s = service_now_s(w->program->service), left = w->expires_s - now_s;
	int64_t delay = v->retry_min_s;
	uint32_t i;

	if (j->again_s > 0)
		delay = j->again_s > v->retry_min_s ? j->again_s : v->retry_min_s;
	else
		for (i = 0; i < w->attempts && delay < v->retry_max_s; i++)
			delay *= 2;
	if (delay > v->retry_max_s)
		delay = v->retry_max_s;
	if (j->again_s > 0 && !j->tried)
		delay = j->again_s < left ? j->again_s + (int64_t)(w->message->id % SPREAD_S)
					  : left;
	return now_s + (delay < left ? delay : left);
}

static void
log_expired(const struct work *w, const struct spool_answer *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, "expired");
	logline_id(&l, "id", SPOOL_KEY_MESSAGE(w->key));
	logline_str(&l, "to", w->address);
	logline_str(&l, "status", why->status);
	logline_str(&l, "text", why->text);
	logline_end(&l);
}

/* Its sender's time is over: that is why it fails, whatever was said at the last attempt. */
static struct spool_answer
late_answer(const char *said, char *text, size_t size)
{
	bool tried = said != NULL && said[0] != '\0';

	(void)snprintf(text, size, "not delivered within the time that its sender gave it%s%.900s",
	    tried ? "; the last answer was: " : "", tried ? said : "");
	return (struct spool_answer){STATUS_LATE, text, ""};
}

/* EXPAND: nothing is to be reported; the next server does, or nobody asked. */
static enum spool_state
success_of(const struct work *w, const struct judgement *j)
{
	if ((w->notify & IPC_NOTIFY_SUCCESS) == 0 || w->message->sender[0] == '\0')
		return SPOOL_EXPAND;
	/* Who speaks LMTP is the last one, too (RFC 2033). */
	if (w->user[0] != '\0' || str_starts_nocase(w->dest, "lmtp:") ||
	    str_starts_nocase(w->dest, "lmtp+"))
		return SPOOL_DELIVERED;
	return j->relayed ? SPOOL_RELAYED : SPOOL_EXPAND;
}

static void
outcome_succeed(struct work *w, const struct judgement *j, const struct spool_answer *why)
{
	struct outcome o = {.outcome = IPC_OK,
	    .success = success_of(w, j),
	    .due_s = service_now_s(w->program->service)};

	w->program->delivered++;
	/* No memory: a confirmation less, not a message twice. */
	if (o.success != SPOOL_EXPAND && outcome_keep(w, &o, why) == -1)
		log_warn("event=confirmation-lost error=\"%s\"", strerror(errno));
	outcome_record(w);
}

static void
outcome_judge(struct work *w, const struct judgement *j, const struct spool_answer *why)
{
	char text[IPC_TEXT_MAX + 1];
	struct spool_answer late;
	struct program *p = w->program;
	int64_t now_s = service_now_s(p->service);
	struct outcome o = {.outcome = IPC_FAIL, .tried = j->tried, .due_s = now_s};

	w->question = 0;
	if (j->outcome == IPC_OK) {
		outcome_succeed(w, j, why);
		return;
	}
	if (j->outcome != IPC_FAIL && w->expires_s > now_s) {
		o.outcome = IPC_RETRY;
		o.due_s = retry_at(w, j);
		p->deferred++;
	} else {
		if (j->outcome != IPC_FAIL && work_is_late(w, now_s)) {
			late = late_answer(why->text, text, sizeof(text));
			why = &late;
		}
		if (j->outcome != IPC_FAIL)
			log_expired(w, why);
		p->failed++;
	}
	if (outcome_keep(w, &o, why) == -1)
		work_free(w); /* no memory: still due in the spool */
	else
		outcome_record(w);
}

void
outcome_set(struct work *w, enum ipc_outcome outcome, const struct spool_answer *why)
{
	outcome_judge(w, &(struct judgement){.outcome = outcome, .tried = true}, why);
}

void
outcome_verdict(struct work *w, const struct msg_verdict *m)
{
	struct spool_answer why = {m->status, m->text, m->remote};
	struct judgement j = {(enum ipc_outcome)m->outcome, m->again_s, m->tried, m->relayed};

	outcome_judge(w, &j, &why);
}

void
outcome_late(struct work *w)
{
	const struct spool_answer last = {"", w->said != NULL ? w->said : "", ""};

	outcome_set(w, IPC_RETRY, &last);
}

/*
 * Delivery died with this at hand.  Tried again at once, unless that keeps
 * happening: then it is held back, longer each time, so that a message that
 * kills delivery does not keep it from all others.
 */
void
outcome_lost(struct work *w)
{
	static const struct spool_answer why = {"4.3.0", "the delivery process died", ""};
	int64_t delay = POISON_DELAY_S << (w->attempts < 8 ? w->attempts : 8);
	struct outcome o = {.outcome = IPC_RETRY,
	    .tried = true,
	    .due_s = service_now_s(w->program->service) + delay};

	if (w->program->deaths <= DEATHS_TOLERATED || outcome_keep(w, &o, &why) == -1) {
		work_free(w);
		return;
	}
	outcome_record(w);
}
