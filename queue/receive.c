/* SPDX-License-Identifier: ISC */
/*
 * Messages on their way in.
 *
 * Invariant: a transaction answers mail_done with OK only from the callback
 * of a durable commit.  After bad news it lingers, mute, until its session
 * aborts or commits it, so that frames which crossed the news are understood.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "queue/queue.h"

/* Of what a session says of a message, these are kept; the others are the queue's own. */
#define FLAGS_TAKEN                                                                 \
	(SPOOL_8BITMIME | SPOOL_SMTPUTF8 | SPOOL_AUTHENTICATED | SPOOL_BINARYMIME | \
	    SPOOL_REQUIRETLS)
#define TIME_MAX 253402300799 /* the end of the year 9999: sums of times stay in range */

struct incoming { /* owned by the map p->incoming; once committing, by the spool's callback */
	struct program *program;
	struct channel *ch; /* NULL: its session process is gone */
	uint32_t req;
	uint64_t id;
	struct spool_message message;
	struct spool_rcpt *rcpts;
	size_t nrcpts;
	uint32_t seq;
	bool failed; /* mail_done was sent, the rest is to be ignored */
	bool committing;
};

static uint64_t
map_key(const struct channel *ch, uint32_t req)
{
	return (uint64_t)channel_instance(ch) << 32 | req;
}

static void
rcpt_clear(struct spool_rcpt *r)
{
	free((char *)(uintptr_t)r->address);
	free((char *)(uintptr_t)r->original);
	free((char *)(uintptr_t)r->orcpt);
	free((char *)(uintptr_t)r->action);
}

static void
incoming_free(struct incoming *in)
{
	size_t i;

	for (i = 0; i < in->nrcpts; i++)
		rcpt_clear(&in->rcpts[i]);
	free(in->rcpts);
	free((char *)(uintptr_t)in->message.sender);
	free((char *)(uintptr_t)in->message.client);
	free((char *)(uintptr_t)in->message.envid);
	free((char *)(uintptr_t)in->message.ret);
	free(in);
}

static struct incoming *
incoming_find(struct program *p, struct channel *ch, uint32_t req)
{
	return map_get_u64(p->incoming, map_key(ch, req));
}

static void
incoming_remove(struct incoming *in)
{
	(void)map_remove_u64(in->program->incoming, map_key(in->ch, in->req));
}

static void
say_done(struct incoming *in, enum ipc_outcome outcome)
{
	struct msg_mail_done m = {.req = in->req, .outcome = (uint8_t)outcome, .id = in->id};

	if (in->ch != NULL)
		(void)channel_send(in->ch, MSG_mail_done, &m);
}

/* Bad news before the commit. */
static void
incoming_fail(struct incoming *in, enum ipc_outcome outcome)
{
	if (in->failed)
		return;
	in->failed = true;
	spool_abandon(in->program->spool, in->id);
	say_done(in, outcome);
}

static int
incoming_fill(struct incoming *in, const struct msg_mail_begin *m)
{
	in->message = (struct spool_message){.sender = strdup(m->sender),
	    .client = strdup(m->client),
	    .envid = strdup(m->envid),
	    .ret = strdup(m->ret),
	    .flags = m->flags & FLAGS_TAKEN,
	    .priority = (int)m->priority,
	    .release_s = m->release_s,
	    .by = (enum ipc_by)m->by,
	    .by_s = m->by_s,
	    .by_trace = m->by_trace};
	return in->message.sender == NULL || in->message.client == NULL ||
		       in->message.envid == NULL || in->message.ret == NULL
		   ? -1
		   : 0;
}

/* Text that will stand in headers, logs and commands: no peer may put a control octet there. */
bool
peer_text_is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool
are_times_sane(const struct msg_mail_begin *m)
{
	int64_t by_min = m->by == IPC_BY_NONE ? 0 : 1;

	return m->release_s >= 0 && m->release_s <= TIME_MAX && m->by_s >= by_min &&
	       m->by_s <= TIME_MAX;
}

void
receive_begin(struct program *p, struct channel *ch, const struct msg_mail_begin *m)
{
	struct msg_mail_ready ready = {.req = m->req, .outcome = IPC_RETRY};
	struct incoming *in;

	if (incoming_find(p, ch, m->req) != NULL) {
		channel_reject(ch, "a transaction begun twice");
		return;
	}
	if (!peer_text_is_clean(m->sender) || !peer_text_is_clean(m->client) ||
	    !peer_text_is_clean(m->envid) || !peer_text_is_clean(m->ret)) {
		channel_reject(ch, "control octets in an envelope");
		return;
	}
	if (!are_times_sane(m)) {
		channel_reject(ch, "a time that no calendar has");
		return;
	}
	if ((in = calloc(1, sizeof(*in))) == NULL)
		goto answer;
	in->program = p;
	in->ch = ch;
	in->req = m->req;
	if (incoming_fill(in, m) == -1 || map_set_u64(p->incoming, map_key(ch, m->req), in) == -1) {
		incoming_free(in);
		goto answer;
	}
	if (spool_begin(p->spool, service_now_s(p->service), m->expect_bytes, &in->id) == -1) {
		ready.outcome = (uint8_t)outcome_of_error(errno);
		in->failed = true; /* its recipients are already under way to us */
	} else {
		ready.outcome = IPC_OK;
		ready.id = in->id;
	}
answer:
	(void)channel_send(ch, MSG_mail_ready, &ready);
}

/* The transaction a frame belongs to, unless it is to be ignored. */
static struct incoming *
incoming_open(struct program *p, struct channel *ch, uint32_t req)
{
	struct incoming *in = incoming_find(p, ch, req);

	if (in == NULL || in->committing) {
		channel_reject(ch, "no such transaction");
		return NULL;
	}
	return in->failed ? NULL : in;
}

static int
rcpt_fill(struct spool_rcpt *r, const struct msg_mail_rcpt *m)
{
	*r = (struct spool_rcpt){.state = SPOOL_EXPAND,
	    .address = strdup(m->address),
	    .original = strdup(m->original),
	    .orcpt = strdup(m->orcpt),
	    .action = strdup(m->action),
	    .user = "",
	    .dest = "",
	    .notify = m->notify,
	    .status = "",
	    .text = "",
	    .remote = ""};
	return r->address == NULL || r->original == NULL || r->orcpt == NULL || r->action == NULL
		   ? -1
		   : 0;
}

void
receive_rcpt(struct program *p, struct channel *ch, const struct msg_mail_rcpt *m)
{
	struct incoming *in = incoming_open(p, ch, m->req);
	struct spool_rcpt *list;

	if (in == NULL)
		return;
	if (!peer_text_is_clean(m->address) || !peer_text_is_clean(m->original) ||
	    !peer_text_is_clean(m->orcpt) || !peer_text_is_clean(m->action)) {
		channel_reject(ch, "control octets in an envelope");
		return;
	}
	if (in->nrcpts >= p->conf->values.smtp_max_recipients) {
		incoming_fail(in, IPC_RETRY); /* a reload may have lowered the limit meanwhile */
		return;
	}
	list = reallocarray(in->rcpts, in->nrcpts + 1, sizeof(*list));
	if (list == NULL) {
		incoming_fail(in, IPC_RETRY);
		return;
	}
	in->rcpts = list;
	if (rcpt_fill(&list[in->nrcpts], m) == -1) {
		rcpt_clear(&list[in->nrcpts]);
		incoming_fail(in, IPC_RETRY);
		return;
	}
	in->nrcpts++;
}

void
receive_chunk(struct program *p, struct channel *ch, const struct msg_mail_chunk *m)
{
	struct incoming *in = incoming_open(p, ch, m->req);

	if (in == NULL)
		return;
	if (m->seq != in->seq + 1) {
		channel_reject(ch, "a chunk out of order");
		return;
	}
	in->seq = m->seq;
	if (spool_append(p->spool, in->id, m->seq, m->data) == -1)
		incoming_fail(in, outcome_of_error(errno));
}

static void
on_durable(void *arg, int error)
{
	struct incoming *in = arg;
	struct program *p = in->program;

	say_done(in, outcome_of_error(error));
	if (error == 0) {
		p->received++;
		p->more_due = true;
	}
	if (in->ch != NULL)
		incoming_remove(in);
	incoming_free(in);
}

/*
 * A message that is held for later (RFC 4865) is first due then, and its days in
 * the queue count from there.  One that must be returned when it is late (RFC 2852)
 * is looked at again at that time, if not before, to be returned.
 */
static void
set_times(struct incoming *in, int64_t now_s)
{
	struct spool_message *m = &in->message;
	int64_t due_s = m->release_s > now_s ? m->release_s : now_s;
	size_t i;

	m->received_s = now_s;
	m->expires_s = due_s + in->program->conf->values.queue_ttl_s;
	if (m->by == IPC_BY_RETURN && m->by_s < m->expires_s)
		m->expires_s = m->by_s;
	if (m->by == IPC_BY_RETURN && m->by_s < due_s)
		due_s = m->by_s;
	for (i = 0; i < in->nrcpts; i++)
		in->rcpts[i].due_s = due_s;
}

void
receive_commit(struct program *p, struct channel *ch, const struct msg_mail_commit *m)
{
	struct incoming *in = incoming_find(p, ch, m->req);

	if (in != NULL && in->failed) { /* it crossed our bad news */
		incoming_remove(in);
		incoming_free(in);
		return;
	}
	if (in == NULL || in->committing || in->nrcpts == 0) {
		channel_reject(ch, "nothing to commit");
		return;
	}
	in->committing = true;
	in->message.id = in->id;
	set_times(in, service_now_s(p->service));
	spool_finish(p->spool, &in->message, m->trace, in->rcpts, in->nrcpts, on_durable, in);
}

/* May come late, after the commit was answered. */
void
receive_abort(struct program *p, struct channel *ch, uint32_t req)
{
	struct incoming *in = incoming_find(p, ch, req);

	if (in == NULL)
		return;
	incoming_remove(in);
	if (in->committing) {
		in->ch = NULL; /* the callback frees it */
		return;
	}
	if (!in->failed)
		spool_abandon(p->spool, in->id);
	incoming_free(in);
}

struct lost {
	struct channel *ch;
	struct incoming *found;
};

static int
find_of_channel(void *arg, void *value)
{
	struct lost *l = arg;
	struct incoming *in = value;

	if (in->ch != l->ch)
		return 0;
	l->found = in;
	return 1;
}

void
receive_lost(struct program *p, struct channel *ch)
{
	struct lost l = {.ch = ch};

	while (map_each(p->incoming, find_of_channel, &l) == 1)
		receive_abort(p, ch, l.found->req);
}
