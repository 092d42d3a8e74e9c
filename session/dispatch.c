/* SPDX-License-Identifier: ISC */
/*
 * What other programs tell a session process.  An answer counts only when
 * its request is under way with that very peer and the session is in the
 * state that waits for it; an answer that comes too early is a breach.
 */
#include "session/session.h"

#include <unistd.h>

#include "lib/base/log.h"

static void
on_listen(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	listener_add(ctx, msg->listen.index, fd);
}

static void
on_listen_clear(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
	listener_clear(ctx);
}

static void
on_pause(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	if (msg->pause.what == IPC_PAUSE_SMTP)
		listener_pause(ctx, msg->pause.on);
}

/* The session that waits for this answer in this state; NULL: none, or the peer is lying. */
static struct session *
waiting_session(struct program *p, struct channel *ch, uint32_t req, unsigned int states)
{
	struct session *s = ask_owner(service_asks(p->service), ch, req);

	if (s != NULL && s->state == STATE_CLOSING)
		return NULL; /* the answer and the goodbye crossed */
	if (s != NULL && (s->state & states) == 0) {
		channel_reject(ch, "an answer out of order");
		return NULL;
	}
	return s;
}

/* Lookup's words become a line of ours: no octet of them may end it or begin another. */
static bool
is_reply_text(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

static void
on_rcpt_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	struct session *s = waiting_session(p, ch, msg->req, STATE_ASKING);

	(void)fd;
	if (s == NULL)
		return;
	if (msg->rcpt_verdict.code < 250 ||
	    (msg->rcpt_verdict.code > 250 && msg->rcpt_verdict.code < 400)) {
		channel_reject(ch, "not a reply code for RCPT");
		return;
	}
	if (!is_reply_text(msg->rcpt_verdict.status) || !is_reply_text(msg->rcpt_verdict.text)) {
		channel_reject(ch, "not the text of a reply");
		return;
	}
	ask_end(service_asks(p->service), msg->req);
	mail_rcpt_answer(s, &msg->rcpt_verdict);
}

static void
on_mail_ready(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct session *s = waiting_session(
	    ctx, ch, msg->req, STATE_BEGINNING | STATE_RCPT | STATE_ASKING);

	(void)fd;
	if (s == NULL)
		return;
	if (s->tx == NULL || s->tx->req != msg->req || s->tx->begun != BEGUN_ASKED)
		channel_reject(ch, "ready for something else");
	else
		data_ready(s, (enum ipc_outcome)msg->mail_ready.outcome, msg->mail_ready.id);
}

static void
on_mail_done(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	enum ipc_outcome outcome = (enum ipc_outcome)msg->mail_done.outcome;
	/* Bad news may come while the body is still on its way; good news only after it. */
	struct session *s = waiting_session(
	    p, ch, msg->req, outcome == IPC_OK ? STATE_COMMITTING : STATE_COMMITTING | STATE_DATA);

	(void)fd;
	if (s == NULL)
		return;
	if (msg->mail_done.id != s->tx->id) {
		channel_reject(ch, "another message's id");
		return;
	}
	data_done(s, outcome);
}

/* The queue died, or did not answer in time: nothing is known to be durable, so 451. */
void
on_queue_lost(void *owner, uint32_t req, enum ask_failure why)
{
	struct session *s = owner;

	(void)req;
	if (why == ASK_LOST)
		s->tx->taken = false;
	if (s->state & (unsigned int)(STATE_DATA | STATE_COMMITTING))
		data_done(s, IPC_RETRY);
	else
		data_forget(s);
}

void
on_lookup_lost(void *owner, uint32_t req, enum ask_failure why)
{
	const struct reply_row *row = reply_row(REPLY_LOOKUP_DOWN);
	struct msg_rcpt_verdict m = {
	    .code = (uint16_t)row->code, .status = row->status, .text = row->text, .action = ""};

	(void)req;
	(void)why;
	mail_rcpt_answer(owner, &m);
}

const channel_handler session_handlers[MSG__MAX] = {
    [MSG_listen] = on_listen,
    [MSG_listen_clear] = on_listen_clear,
    [MSG_pause] = on_pause,
    [MSG_rcpt_verdict] = on_rcpt_verdict,
    [MSG_mail_ready] = on_mail_ready,
    [MSG_mail_done] = on_mail_done,
};
