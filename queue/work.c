/* SPDX-License-Identifier: ISC */
/*
 * A recipient while something is being done about it.
 *
 * Invariants: a recipient is in p->working exactly as long, so it is never
 * handed out twice; it is in the one list that its stage names.  A work is
 * memory only: freeing it leaves the recipient due in the spool.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"

void
job_message_release(struct job_message *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	free(m->sender);
	free(m->envid);
	free(m->ret);
	free(m);
}

struct job_message *
job_message_copy(const struct spool_message *from)
{
	struct job_message *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	*m = (struct job_message){.refs = 1,
	    .id = from->id,
	    .size_bytes = from->size_bytes,
	    .nchunks = from->nchunks,
	    .flags = from->flags,
	    .priority = from->priority,
	    .by = from->by,
	    .by_s = from->by_s,
	    .by_trace = from->by_trace,
	    .sender = strdup(from->sender),
	    .envid = strdup(from->envid),
	    .ret = strdup(from->ret)};
	if (m->sender == NULL || m->envid == NULL || m->ret == NULL) {
		job_message_release(m);
		return NULL;
	}
	return m;
}

static void
work_destroy(struct work *w)
{
	work_expansion_free(w);
	outcome_free(w);
	job_message_release(w->message);
	free(w->address);
	free(w->action);
	free(w->user);
	free(w->dest);
	free(w->original);
	free(w->orcpt);
	free(w->said);
	free(w);
}

struct work *
work_create(struct program *p, struct job_message *m, const struct spool_rcpt *r)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct work){.program = p,
	    .stage = WORK_EXPANDING,
	    .key = r->key,
	    .attempts = r->attempts,
	    .notify = r->notify,
	    .address = strdup(r->address),
	    .original = strdup(r->original),
	    .action = strdup(r->action),
	    .user = strdup(r->user),
	    .dest = strdup(r->dest),
	    .orcpt = strdup(r->orcpt),
	    .said = m->by == IPC_BY_RETURN && r->text[0] != '\0' ? strdup(r->text) : NULL,
	    .message = m};
	m->refs++;
	if (w->address == NULL || w->action == NULL || w->user == NULL || w->dest == NULL ||
	    w->original == NULL || w->orcpt == NULL || map_set_u64(p->working, w->key, w) == -1) {
		work_destroy(w);
		return NULL;
	}
	p->nstage[w->stage]++;
	return w;
}

/* Stages without a list: whoever asked or was handed the work keeps track of it. */
static struct works *
list_of(struct work *w)
{
	switch (w->stage) {
	case WORK_READY:
		return &w->program->ready;
	case WORK_UNRECORDED:
		return &w->program->unrecorded;
	case WORK_EXPANDING:
	case WORK_PARKED:
	case WORK_HANDED:
	case WORK_RECORDING:
	case WORK_STAGE__MAX:
		break;
	}
	return NULL;
}

/* Behind those of its priority, ahead of the lower ones (RFC 6710): at the end, for most mail. */
static void
list_insert(struct works *list, struct work *w)
{
	struct work *before = TAILQ_LAST(list, works);

	while (before != NULL && before->message->priority < w->message->priority)
		before = TAILQ_PREV(before, works, entry);
	if (before == NULL)
		TAILQ_INSERT_HEAD(list, w, entry);
	else
		TAILQ_INSERT_AFTER(list, before, w, entry);
}

void
work_stage(struct work *w, enum work_stage stage)
{
	struct works *list = list_of(w);

	if (list != NULL)
		TAILQ_REMOVE(list, w, entry);
	w->program->nstage[w->stage]--;
	w->stage = stage;
	w->program->nstage[stage]++;
	if ((list = list_of(w)) != NULL)
		list_insert(list, w);
}

bool
work_is_late(const struct work *w, int64_t now_s)
{
	return w->message->by == IPC_BY_RETURN && now_s >= w->message->by_s;
}

void
work_free(struct work *w)
{
	destination_leave(w);
	work_stage(w, WORK_RECORDING);
	w->program->nstage[WORK_RECORDING]--;
	(void)map_remove_u64(w->program->working, w->key);
	ask_end(service_asks(w->program->service), w->question);
	work_destroy(w);
}
