/* SPDX-License-Identifier: ISC */
/*
 * Jobs, from the first frame to the last verdict.
 *
 * Invariant: a recipient is judged once, and a job is over exactly when all
 * are.  A job that can't be done is deferred, never lost and never fatal.
 */
#include "delivery/job.h"

#include <stdlib.h>
#include <string.h>

#include "delivery/local.h"
#include "delivery/relay.h"
#include "lib/base/log.h"

struct job *
job_create(struct delivery *d, const struct msg_job *m)
{
	struct job *j;

	if ((j = calloc(1, sizeof(*j))) == NULL)
		return NULL;
	j->delivery = d;
	j->req = m->req;
	j->id = m->id;
	j->size_bytes = m->size_bytes;
	j->nchunks = m->nchunks;
	j->flags = m->flags;
	j->priority = (int)m->priority;
	j->by = (enum ipc_by)m->by;
	j->by_s = m->by_s;
	j->by_trace = m->by_trace;
	j->tls_best = (enum ipc_tls_level)m->tls_best;
	j->nrcpts = m->nrcpts;
	j->envid = strdup(m->envid);
	j->ret = strdup(m->ret);
	j->sender = strdup(m->sender);
	j->action = strdup(m->action);
	j->dest = strdup(m->dest);
	j->rcpts = calloc(m->nrcpts, sizeof(*j->rcpts));
	if (j->sender != NULL && j->action != NULL && j->dest != NULL && j->rcpts != NULL &&
	    j->envid != NULL && j->ret != NULL)
		return j;
	job_free(j);
	return NULL;
}

int
job_add_rcpt(struct job *j, const struct msg_job_rcpt *m)
{
	struct job_rcpt *r = &j->rcpts[j->nhere++];

	r->key = m->key;
	r->address = strdup(m->address);
	r->user = strdup(m->user);
	r->original = strdup(m->original);
	r->orcpt = strdup(m->orcpt);
	r->notify = m->notify;
	return r->address == NULL || r->user == NULL || r->original == NULL || r->orcpt == NULL ? -1
												: 0;
}

void
job_free(struct job *j)
{
	size_t i;

	if (j == NULL)
		return;
	for (i = 0; i < j->nhere; i++) {
		free(j->rcpts[i].address);
		free(j->rcpts[i].user);
		free(j->rcpts[i].original);
		free(j->rcpts[i].orcpt);
	}
	free(j->rcpts);
	free(j->sender);
	free(j->action);
	free(j->dest);
	free(j->envid);
	free(j->ret);
	free(j);
}

static void
job_refuse(struct job *j, enum cause cause)
{
	struct verdict v;

	verdict_of(&v, cause, NULL);
	job_verdict_all(j, &v, NULL);
}

void
job_start(struct job *j)
{
	struct delivery *d = j->delivery;
	const struct conf_action *action = conf_action_find(d->conf, j->action);
	bool busy = d->njobs >= DELIVERY_JOBS_MAX;

	TAILQ_INSERT_TAIL(&d->jobs, j, entry);
	d->njobs++;
	if (d->drain_deadline_ms != 0)
		job_refuse(j, CAUSE_STOPPING);
	else if (busy)
		job_refuse(j, CAUSE_BUSY);
	else if (action == NULL)
		job_refuse(j, CAUSE_NO_ACTION);
	else if (action->kind == CONF_ACTION_MAILDIR)
		local_start(j, action);
	else if (action->kind == CONF_ACTION_RELAY || action->kind == CONF_ACTION_LMTP)
		relay_start(j, action);
	else
		job_refuse(j, CAUSE_ACTION_UNSUPPORTED);
}

/* -- verdicts -- */

static void
count_verdict(struct delivery *d, const struct verdict *v)
{
	if (v->outcome == IPC_OK)
		d->ndelivered++;
	else if (v->outcome == IPC_RETRY)
		d->ndeferred++;
	else
		d->nfailed++;
}

static void
log_verdict(const struct job *j, size_t rcpt, const struct verdict *v, const struct job_via *via)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, verdict_event(v));
	logline_id(&l, "id", j->id);
	logline_str(&l, "to", j->rcpts[rcpt].address);
	logline_str(&l, "action", j->action);
	if (via->remote[0] != '\0')
		logline_str(&l, "relay", via->remote);
	if (via->tls[0] != '\0')
		logline_str(&l, "tls", via->tls);
	if (v->untried)
		logline_i64(&l, "put_off_s", v->again_s);
	logline_str(&l, "status", v->status);
	logline_str(&l, "text", v->text);
	logline_end(&l);
}

bool
job_is_judged(const struct job *j)
{
	return j->njudged == j->nrcpts;
}

/* A relay's connection may still read of it. */
static void
job_finish(struct job *j)
{
	struct delivery *d = j->delivery;

	TAILQ_REMOVE(&d->jobs, j, entry);
	d->njobs--;
	if (j->relay == NULL)
		TAILQ_INSERT_TAIL(&d->finished, j, entry);
}

void
job_relayed(struct job *j)
{
	j->relay = NULL;
	if (job_is_judged(j))
		TAILQ_INSERT_TAIL(&j->delivery->finished, j, entry);
}

static void
tell_queue(struct job *j, size_t rcpt, const struct verdict *v, const struct job_via *via)
{
	struct channel *queue = service_peer(j->delivery->service, ROLE_QUEUE, 0);
	struct msg_verdict m = {.req = j->req,
	    .key = j->rcpts[rcpt].key,
	    .outcome = (uint8_t)v->outcome,
	    .status = v->status,
	    .text = v->text,
	    .remote = via->remote,
	    .again_s = v->again_s,
	    .tried = !v->untried,
	    .relayed = v->relayed};

	if (queue == NULL)
		return;
	(void)channel_send(queue, MSG_verdict, &m);
	count_verdict(j->delivery, v);
	log_verdict(j, rcpt, v, via);
}

void
job_verdict(struct job *j, size_t rcpt, const struct verdict *v, const struct job_via *via)
{
	static const struct job_via ours = {"", ""};

	if (j->rcpts[rcpt].judged)
		return;
	j->rcpts[rcpt].judged = true;
	tell_queue(j, rcpt, v, via != NULL ? via : &ours);
	if (++j->njudged == j->nrcpts)
		job_finish(j);
}

void
job_verdict_all(struct job *j, const struct verdict *v, const struct job_via *via)
{
	size_t i, n = j->nrcpts;

	for (i = 0; i < n; i++)
		job_verdict(j, i, v, via);
}

/* -- ends -- */

static void
job_drop(struct job *j)
{
	struct delivery *d = j->delivery;
	size_t i;

	if (j->relay != NULL)
		relay_abandon(j->relay);
	j->relay = NULL;
	for (i = 0; i < j->nrcpts; i++)
		if (j->rcpts[i].letter != NULL)
			local_abandon(j->rcpts[i].letter);
	TAILQ_REMOVE(&d->jobs, j, entry);
	d->njobs--;
	job_free(j);
}

void
jobs_drop(struct delivery *d)
{
	struct job *j;

	job_free(d->gathering);
	d->gathering = NULL;
	while ((j = TAILQ_FIRST(&d->jobs)) != NULL)
		job_drop(j);
}

void
jobs_turn(struct delivery *d)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&d->finished)) != NULL) {
		TAILQ_REMOVE(&d->finished, j, entry);
		job_free(j);
	}
}
