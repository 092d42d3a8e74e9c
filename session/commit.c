/* SPDX-License-Identifier: ISC */
/*
 * A body is whole: its trace header, the filters' last word, the commit, the answer.
 *
 * Invariant: 250 is said when the queue said OK to the commit, and never else.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mail/received.h"
#include "lib/mail/submission.h"
#include "session/session.h"

#define COMMIT_DEADLINE_MS 120000

/* -- what goes before the message -- */

static const char *
protocol_of(const struct session *s)
{
	return received_protocol(
	    (s->extended ? RECEIVED_EXTENDED : 0U) | (s->policy->lmtp ? RECEIVED_LMTP : 0U) |
	    (io_tls(s->io) != NULL ? RECEIVED_TLS : 0U) | (s->auth != NULL ? RECEIVED_AUTH : 0U) |
	    (s->tx->mail.smtputf8 ? RECEIVED_UTF8 : 0U));
}

static int
add_received(const struct session *s, const char *id, struct buf *out)
{
	const struct transaction *t = s->tx;
	bool masked = s->policy->mask_src;
	char client[ADDR_TEXT_MAX], tls[TLS_TEXT_MAX];
	struct received r = {.helo = masked ? "" : s->helo,
	    .client_name = s->rdns == IPC_RDNS_CONFIRMED && s->name != NULL && !masked ? s->name
										       : "",
	    .client_addr = masked || s->peer.ss.ss_family == AF_UNIX ? "" : client,
	    .by_host = session_hostname(s),
	    .protocol = protocol_of(s),
	    .tls_comment = tls,
	    .auth = s->policy->received_auth && s->auth != NULL ? s->auth : "",
	    .id = id,
	    .for_addr = t->nrcpts == 1 ? t->rcpts[0].address : "",
	    .smtputf8 = false, /* an ASCII header may go to who knows none (RFC 6531 3.2) */
	    .when = (time_t)service_now_s(s->program->service)};

	tls_text(s, tls);
	addr_format(&s->peer, client);
	client[strcspn(client, "%")] = '\0'; /* a scope means nothing to anybody else */
	return received_format(&r, out);
}

/* RFC 6409 8: what a submission lacks. */
static int
add_missing(const struct session *s, const char *id, struct buf *out)
{
	const struct transaction *t = s->tx;
	time_t now = (time_t)service_now_s(s->program->service);

	if (!s->policy->submission)
		return 0;
	if (!t->headers.has_message_id &&
	    submission_message_id(now, id, session_hostname(s), out) == -1)
		return -1;
	return t->headers.has_date ? 0 : submission_date(now, out);
}

/*
 * A message whose first line is no field would be read as a part of our own
 * (folded, RFC 5322 2.2.3), or end our header in the middle of its text.
 */
static bool
lacks_header(const struct transaction *t)
{
	return t->headers.size == 0 && t->body.bytes > 0 && !t->headers.empty_line;
}

static int
send_commit(struct session *s)
{
	struct transaction *t = s->tx;
	struct channel *queue = queue_of(s);
	struct service *service = s->program->service;
	char id[STR_ID_SIZE];
	struct msg_mail_commit m = {.req = t->req};
	struct buf trace;
	int rc = -1;

	str_id(id, t->id);
	buf_init(&trace, IPC_TRACE_MAX);
	if (queue == NULL || add_received(s, id, &trace) == -1 ||
	    add_missing(s, id, &trace) == -1 ||
	    ((s->junk || t->junk) && buf_append_str(&trace, "X-Spam: yes\r\n") == -1) ||
	    (lacks_header(t) && buf_append_str(&trace, "\r\n") == -1))
		goto out;
	m.trace = (struct span){buf_head(&trace), trace.len};
	ask_set_deadline(
	    service_asks(service), t->req, service_now_ms(service) + COMMIT_DEADLINE_MS);
	rc = channel_send(queue, MSG_mail_commit, &m);
out:
	buf_free(&trace);
	return rc;
}

/* -- the end of the body -- */

void
commit_ask(struct session *s)
{
	struct transaction *t = s->tx;

	t->ended = true;
	header_scan_end(&t->headers);
	stream_flush(s);
	if (t->verdict != REPLY_NONE)
		data_give_up(s, t->verdict);
	else
		gate_ask(s, CONF_PHASE_COMMIT);
}

void
commit_passed(struct session *s, const char *value)
{
	struct transaction *t = s->tx;

	(void)value;
	if (t->verdict == REPLY_NONE && send_commit(s) == -1)
		stream_refuse(s, REPLY_QUEUE_DOWN);
	if (t->verdict != REPLY_NONE)
		data_give_up(s, t->verdict);
	else
		session_enter(s, STATE_COMMITTING);
}

/* -- the answer -- */

void
commit_reply(struct session *s, int code, const char *status, const char *text)
{
	const struct transaction *t = s->tx;
	size_t i, n = s->policy->lmtp && t->ended ? t->nrcpts : 1;
	char line[SESSION_LINE_MAX];

	transaction_free(s);
	session_format(line, code, status, text);
	io_cork(s->io);
	for (i = 1; i < n && !s->buried; i++)
		session_say(s, line);
	io_uncork(s->io);
	if (!s->buried)
		session_reply_text(s, code, status, text);
}

static void
log_accepted(const struct session *s)
{
	const struct transaction *t = s->tx;
	char client[ADDR_TEXT_MAX], tls[TLS_TEXT_MAX];
	struct logline l;

	tls_text(s, tls);
	addr_format(&s->peer, client);
	logline_start(&l, LOG_LEVEL_INFO, "accepted");
	logline_id(&l, "id", t->id);
	logline_str(&l, "client", client);
	if (s->auth != NULL)
		logline_str(&l, "login", s->auth);
	if (tls[0] != '\0')
		logline_str(&l, "tls", tls);
	logline_str(&l, "from", t->sender);
	logline_u64(&l, "recipients", t->nrcpts);
	logline_str(&l, "to", t->rcpts[0].address);
	logline_u64(&l, "size", t->body.bytes);
	logline_end(&l);
}

static void
say_accepted(struct session *s)
{
	char text[64], id[STR_ID_SIZE];

	s->program->accepted++;
	log_accepted(s);
	str_id(id, s->tx->id);
	(void)snprintf(text, sizeof(text), "%s Message accepted for delivery", id);
	session_enter(s, STATE_IDLE);
	commit_reply(s, 250, "2.0.0", text);
}

void
commit_answer(struct session *s, enum ipc_outcome outcome)
{
	struct transaction *t = s->tx;

	if (s->state != STATE_COMMITTING) {
		stream_refuse(s, data_reply_of(outcome));
		return;
	}
	t->taken = false; /* the queue has forgotten it, or keeps it for good */
	if (outcome == IPC_OK)
		say_accepted(s);
	else
		data_give_up(s, data_reply_of(outcome));
	session_continue(s);
}
