/* SPDX-License-Identifier: ISC */
/*
 * The queue is told that a message begins: with the first good recipient, so that
 * room is reserved and the id is there when the body comes, and nobody waits
 * for it.
 *
 * Invariant: what the queue was told it is told the end of: by the commit, or
 * by taking it back.
 */
#include <stdio.h>

#include "lib/base/str.h"
#include "session/session.h"

#define BEGIN_DEADLINE_MS 60000

struct channel *
queue_of(const struct session *s)
{
	return service_peer(s->program->service, ROLE_QUEUE, 0);
}

/* The queue is to forget what it was told of this transaction. */
void
announce_take_back(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	struct msg_mail_abort m = {.req = t->req};

	if (t->taken && queue != NULL)
		(void)channel_send(queue, MSG_mail_abort, &m);
	t->taken = false;
	ask_end(service_asks(s->program->service), t->req);
}

static void
describe_client(const struct session *s, char *dst, size_t size)
{
	char literal[ADDR_TEXT_MAX];

	addr_literal(&s->peer, literal);
	(void)snprintf(dst, size, "%s %.400s", literal, s->helo);
}

static uint32_t
flags_of(const struct session *s)
{
	const struct mail_args *a = &s->tx->mail;

	return (a->body == BODY_KIND_8BITMIME ? IPC_FLAG_8BITMIME : 0U) |
	       (a->body == BODY_KIND_BINARYMIME ? IPC_FLAG_BINARYMIME : 0U) |
	       (a->smtputf8 ? IPC_FLAG_SMTPUTF8 : 0U) | (a->requiretls ? IPC_FLAG_REQUIRETLS : 0U) |
	       (s->auth != NULL ? IPC_FLAG_AUTHENTICATED : 0U);
}

/* RFC 4865 and 2852 as points in time. */
static void
set_times(const struct session *s, struct msg_mail_begin *m)
{
	const struct mail_args *a = &s->tx->mail;
	int64_t now_s = service_now_s(s->program->service);

	/* now_s is cut to whole seconds, and before the time it must not go (RFC 4865 4.3). */
	if (a->has_hold)
		m->release_s = a->hold_for_s > 0 ? now_s + 1 + a->hold_for_s : a->hold_until_s;
	if (!a->has_by)
		return;
	m->by = a->by_mode == 'R' ? IPC_BY_RETURN : IPC_BY_NOTIFY;
	m->by_s = now_s + a->by_s;
	m->by_trace = a->by_trace;
}

void
announce(struct session *s)
{
	struct transaction *t = s->tx;
	struct service *service = s->program->service;
	struct channel *queue = queue_of(s);
	char client[IPC_ADDRESS_MAX];
	struct msg_mail_begin begin = {.sender = t->sender,
	    .client = client,
	    .expect_bytes = t->mail.has_size ? t->mail.size : 0,
	    .flags = flags_of(s),
	    .envid = t->mail.envid,
	    .ret = t->mail.ret,
	    .priority = t->mail.priority};

	t->begun = BEGUN_NOT;
	if (queue == NULL)
		return;
	t->req = begin.req = ask_begin(service_asks(service), queue,
	    service_now_ms(service) + BEGIN_DEADLINE_MS, on_queue_lost, s);
	if (t->req == 0)
		return;
	describe_client(s, client, sizeof(client));
	set_times(s, &begin);
	t->taken = channel_send(queue, MSG_mail_begin, &begin) == 0;
	t->begun = BEGUN_ASKED;
}

int
announce_recipients(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	size_t i;

	for (i = 0; i < t->nrcpts; i++) {
		struct msg_mail_rcpt m = {.req = t->req,
		    .address = t->rcpts[i].address,
		    .original = t->rcpts[i].address,
		    .orcpt = t->rcpts[i].orcpt,
		    .action = t->rcpts[i].action,
		    .notify = t->rcpts[i].notify};

		if (queue == NULL || channel_send(queue, MSG_mail_rcpt, &m) == -1)
			return -1;
	}
	return 0;
}

/* The queue's answer; the body may not have been offered yet. */
void
announce_answer(struct session *s, enum ipc_outcome outcome, uint64_t id)
{
	struct transaction *t = s->tx;

	t->begun = BEGUN_ANSWERED;
	t->outcome = outcome;
	t->id = id;
	if (s->state == STATE_BEGINNING) {
		data_begin(s);
		session_continue(s);
	}
}

/* The queue died, or did not answer, before the body came: it is told anew then. */
void
announce_forget(struct session *s)
{
	struct transaction *t = s->tx;

	announce_take_back(s);
	t->req = 0;
	t->begun = BEGUN_NOT;
	if (s->state == STATE_BEGINNING) {
		data_give_up(s, REPLY_QUEUE_DOWN);
		session_continue(s);
	}
}
