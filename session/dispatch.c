/* SPDX-License-Identifier: ISC */
/*
 * What other programs tell a session process.  An answer counts only when
 * its request is under way with that very peer and the session is in the
 * state that waits for it; an answer that comes too early is a breach.
 */
#include "session/session.h"

#include <unistd.h>

#include "lib/base/log.h"
#include "lib/key/keyclient.h"
#include "lib/net/tls_library.h"

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

/* Whether it may be said to a client: a code within these bounds, and text that is one line. */
static bool
may_be_said(struct channel *ch, unsigned int code, const char *status, const char *text)
{
	if (code < 400 || code > 599)
		channel_reject(ch, "not the code of a refusal");
	else if (!is_reply_text(status) || !is_reply_text(text))
		channel_reject(ch, "not the text of a reply");
	else
		return true;
	return false;
}

static void
on_client_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	const struct msg_client_verdict *m = &msg->client_verdict;
	struct session *s = waiting_session(p, ch, m->req, STATE_ENTERING);

	(void)fd;
	if (s == NULL || (m->code != 0 && !may_be_said(ch, m->code, m->status, m->text)))
		return;
	if (m->name[0] != '\0' && !address_domain_valid(m->name, false)) {
		channel_reject(ch, "not the name of a host");
		return;
	}
	ask_end(service_asks(p->service), m->req);
	door_answer(s, m);
}

static void
on_filter_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	const struct msg_filter_verdict *m = &msg->filter_verdict;
	struct session *s = waiting_session(p, ch, m->req, STATE_FILTERING);

	(void)fd;
	if (s == NULL || (m->code != 0 && !may_be_said(ch, m->code, m->status, m->text)))
		return;
	ask_end(service_asks(p->service), m->req);
	gate_answer(s, m);
}

static void
on_rcpt_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	const struct msg_rcpt_verdict *m = &msg->rcpt_verdict;
	struct session *s = waiting_session(p, ch, m->req, STATE_ASKING);

	(void)fd;
	if (s == NULL || (m->code != 250 && !may_be_said(ch, m->code, m->status, m->text)))
		return;
	if (!is_reply_text(m->status) || !is_reply_text(m->text)) {
		channel_reject(ch, "not the text of a reply");
		return;
	}
	ask_end(service_asks(p->service), m->req);
	mail_rcpt_answer(s, m);
}

#define BEFORE_THE_BODY \
	(STATE_BEGINNING | STATE_RCPT | STATE_ASKING | STATE_FILTERING | STATE_DELAYED)

static void
on_mail_ready(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct session *s = waiting_session(ctx, ch, msg->req, BEFORE_THE_BODY);

	(void)fd;
	if (s == NULL)
		return;
	if (s->tx == NULL || s->tx->req != msg->req || s->tx->begun != BEGUN_ASKED)
		channel_reject(ch, "ready for something else");
	else
		announce_answer(s, (enum ipc_outcome)msg->mail_ready.outcome, msg->mail_ready.id);
}

#define WITHIN_THE_BODY (STATE_DATA | STATE_CHUNK | STATE_CHUNKS | STATE_FILTERING | STATE_DELAYED)

static void
on_mail_done(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;
	enum ipc_outcome outcome = (enum ipc_outcome)msg->mail_done.outcome;
	/* Bad news may come while the body is still on its way; good news only after it. */
	struct session *s = waiting_session(p, ch, msg->req,
	    outcome == IPC_OK ? STATE_COMMITTING : STATE_COMMITTING | WITHIN_THE_BODY);

	(void)fd;
	if (s == NULL)
		return;
	if (!s->tx->streaming || s->tx->req != msg->req) {
		channel_reject(ch, "done with nothing");
		return;
	}
	if (msg->mail_done.id != s->tx->id) {
		channel_reject(ch, "another message's id");
		return;
	}
	commit_answer(s, outcome);
}

/* -- the vault, and what the parent read for us -- */

static void
on_file_data(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;

	(void)ch;
	(void)fd;
	certs_take(p->certs, &msg->file_data);
}

static void
on_sign_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	keyclient_set_channel(fd);
}

/* keyclient.c waits for it, on the channel for signatures. */
static void
on_signature(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)msg;
	(void)fd;
	channel_reject(ch, "a signature that nobody asked for");
}

static void
on_ticket_key(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_ticket_key *m = &msg->ticket_key;

	(void)ctx;
	(void)fd;
	if (m->key.len != TLS_TICKET_KEY)
		channel_reject(ch, "not a key for tickets");
	else
		tls_library_ticket_key(m->revision, m->key.data);
}

static void
on_table_state(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct program *p = ctx;

	(void)ch;
	(void)fd;
	certs_table_state(p->certs, msg->table_state.table, msg->table_state.scram);
}

static void
on_auth_challenge(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct session *s = waiting_session(ctx, ch, msg->req, STATE_CHECKING);

	(void)fd;
	if (s != NULL)
		auth_challenge(s, msg->auth_challenge.data);
}

static void
on_auth_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_auth_verdict *m = &msg->auth_verdict;
	struct program *p = ctx;
	/* Bad news may come while the client is to speak: it was silent for too long. */
	struct session *s = waiting_session(p, ch, m->req,
	    m->result == IPC_AUTH_OK ? STATE_CHECKING : STATE_CHECKING | STATE_CHALLENGED);

	(void)fd;
	if (s == NULL)
		return;
	if (m->result == IPC_AUTH_OK && (m->login[0] == '\0' || !is_reply_text(m->login))) {
		channel_reject(ch, "not a login");
		return;
	}
	ask_end(service_asks(p->service), m->req);
	auth_verdict(s, (enum ipc_auth)m->result, m->login);
}

/* The queue died, or did not answer in time: nothing is known to be durable, so 451. */
void
on_queue_lost(void *owner, uint32_t req, enum ask_failure why)
{
	struct session *s = owner;

	(void)req;
	if (why == ASK_LOST)
		s->tx->taken = false;
	if (s->tx->streaming)
		commit_answer(s, IPC_RETRY);
	else
		announce_forget(s);
}

void
on_lookup_lost(void *owner, uint32_t req, enum ask_failure why)
{
	const char *reason = why == ASK_TIMEOUT ? "lookup took too long" : "lookup is down";
	const struct reply_row *row = reply_row(REPLY_LOOKUP_DOWN);
	struct session *s = owner;
	struct msg_rcpt_verdict m = {.code = (uint16_t)row->code,
	    .status = row->status,
	    .text = row->text,
	    .action = "",
	    .why = reason};

	(void)req;
	if (s->state == STATE_FILTERING) {
		gate_lost(s, reason);
		session_continue(s);
	} else
		mail_rcpt_answer(s, &m);
}

const channel_handler session_handlers[MSG__MAX] = {
    [MSG_listen] = on_listen,
    [MSG_listen_clear] = on_listen_clear,
    [MSG_pause] = on_pause,
    [MSG_client_verdict] = on_client_verdict,
    [MSG_filter_verdict] = on_filter_verdict,
    [MSG_rcpt_verdict] = on_rcpt_verdict,
    [MSG_file_data] = on_file_data,
    [MSG_sign_link] = on_sign_link,
    [MSG_signature] = on_signature,
    [MSG_ticket_key] = on_ticket_key,
    [MSG_table_state] = on_table_state,
    [MSG_auth_challenge] = on_auth_challenge,
    [MSG_auth_verdict] = on_auth_verdict,
    [MSG_mail_ready] = on_mail_ready,
    [MSG_mail_done] = on_mail_done,
};
